/* config.h - private to the families: a config.json read with a family's tables. */
#ifndef WF_FAMILIES_CONFIG_H
#define WF_FAMILIES_CONFIG_H
#include "families/rules.h"

/* Puts every key and every `let` of the family into `vars`; fails on values of the wrong type, on what is refused, and on rules
 * (`checks`) that do not hold. */
weft_status wf_config_read(const wf_family *family, const wf_json *config, wf_vars *vars, weft_error *err);
#endif
