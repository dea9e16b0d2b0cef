/* options.h - reading the options of a spec object with types, ranges and near names. Sticky: after an error the rest is
 * skipped. */
#ifndef WF_MODEL_OPTIONS_H
#define WF_MODEL_OPTIONS_H
#include "base/json.h"

typedef struct wf_options {
    const wf_json *object; /* NULL: every option has its default */
    const char *what;      /* "block 2", for messages */
    weft_error *err;
    weft_status status;
} wf_options;

/* Checks that `object` is an object (or NULL) whose keys are among `words` (NULL-terminated). */
wf_options wf_options_open(const wf_json *object, const char *what, const char *const *words, weft_error *err);
int64_t wf_option_int(wf_options *o, const char *key, int64_t fallback, int64_t min, int64_t max);
double wf_option_float(wf_options *o, const char *key, double fallback, double min, double max);
bool wf_option_bool(wf_options *o, const char *key, bool fallback);
const char *wf_option_text(wf_options *o, const char *key, const char *fallback);
void wf_option_fail(wf_options *o, const wf_json *at, const char *fmt, ...) WF_PRINTF(3, 4);
#endif
