/* opened.h - a model folder, or a file that holds a whole model, opened for use: the model with its values, its tokenizer, the
 * tokens that begin and end a text. */
#ifndef WF_JOBS_OPENED_H
#define WF_JOBS_OPENED_H
#include "gen/config.h"
#include "jobs/job.h"
#include "model/model.h"
#include "text/tokenizer.h"

typedef struct wf_opened {
    wf_model *model;
    wf_tokenizer *tok;
    wf_tokenizer *target;      /* of what an encoder-decoder writes: `tok`, or one of its own */
    wf_generation_config says; /* about writing */
    bool start_usual;          /* no file names the first token: the reference takes the one that begins a text */
} wf_opened;

/* On failure nothing is left open. */
weft_status wf_opened_open(const wf_env *env, const char *path, wf_precision precision, wf_opened *out, weft_error *err);
/* The same of a model without its heads, when `body`. */
weft_status wf_opened_open_part(const wf_env *env, const char *path, wf_precision precision, bool body, wf_opened *out,
                                weft_error *err);
void wf_opened_close(wf_opened *opened);
/* The tokenizer of a model's folder, or of the folder of its file; a file of bytes needs none there. WEFT_FAILURE: there is
 * none. */
weft_status wf_opened_tokenizer(const wf_env *env, const char *path, int64_t vocab, wf_arena *arena, wf_tokenizer **out,
                                weft_error *err);
/* "MODEL: COMMAND needs a model with a head 'mlm'; the head of this one is 'lm' (see: weft help generate)" */
weft_status wf_opened_fail_head(const wf_opened *opened, const char *model, const char *command, const char *wanted,
                                weft_error *err);
/* The strings that end a text, as the generation config says; valid as long as `opened`. */
wf_stops wf_opened_stops(const wf_opened *opened);
/* What a config says about writing, over what was said before. */
void wf_opened_follow(wf_opened *opened, const wf_json *config);
#endif
