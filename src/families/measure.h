/* measure.h - a config for weights that come without one (or with what their file says of itself): the first family whose
 * `recognized` holds tells by its `measured` formulas what the tensors say. Both see `tensors` (name -> list of dimensions),
 * `format` (the name of the file's kind) and `config` (what the file says). */
#ifndef WF_FAMILIES_MEASURE_H
#define WF_FAMILIES_MEASURE_H
#include "families/family.h"
#include "formats/shards.h"

/* `given`: what was said already, NULL: nothing; what is measured stands over it. Where no family knows the tensors, the config
 * is `given` when it names a model, else WEFT_UNSUPPORTED. */
weft_status wf_family_measure(const wf_families *set, wf_arena *arena, const wf_shards *shards, const wf_json *given,
                              const wf_json **config, weft_error *err);
#endif
