/* options.h - named numeric options of a row (an optimizer, a schedule): a table of keys, read from a JSON object into an array
 * of doubles and written back. One table serves parsing, `list`, the documentation and the saved configuration. */
#ifndef WF_TRAIN_OPTIONS_H
#define WF_TRAIN_OPTIONS_H
#include <math.h>
#include "base/json.h"

typedef enum wf_option_type { WF_OPTION_FLOAT, WF_OPTION_INT, WF_OPTION_BOOL, WF_OPTION_CHOICE } wf_option_type;

enum { WF_OPTION_VALUES = 24, WF_OPTION_LIST = 3 };

typedef struct wf_option {
    const char *name;
    wf_option_type type;
    int at;                          /* index of its first value */
    int count;                       /* 0 and 1: a scalar; more: a JSON list of that length */
    double fallback[WF_OPTION_LIST]; /* NAN: null */
    double min, max;                 /* both included, unless `below` */
    const char *help;
    const char *choices; /* CHOICE: "linear|cosine", the value is the index */
    bool below;          /* the value must stay below max */
    bool nullable;       /* null is allowed and reads as NAN */
    bool required;
} wf_option;

/* Reads `object` (NULL: nothing given) by two key tables, each ended by a row without a name; `common` may be NULL. Defaults
 * first, so `values` is complete. The member "name" is skipped. `what` names the row in messages: optimizer "adamw". */
weft_status wf_options_read(const wf_option *keys, const wf_option *common, const wf_json *object, const char *what,
                            double *values, weft_error *err);
/* Adds every option with its value to `object`; null ones that are null by default are left out. */
void wf_options_write(wf_arena *arena, const wf_option *keys, const double *values, wf_json *object);
/* The text of a default, for tables and help; `out` holds 96 bytes. */
void wf_option_default(const wf_option *key, char out[96]);
#endif
