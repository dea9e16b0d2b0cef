/* opened.h - a model folder, or a file that holds a whole model, opened for use: the model with its values, its tokenizer, the
 * tokens that begin and end a text. */
#ifndef WF_JOBS_OPENED_H
#define WF_JOBS_OPENED_H
#include "model/model.h"
#include "text/tokenizer.h"

enum { WF_EOS_MAX = 16 };

typedef struct wf_opened {
    wf_model *model;
    wf_tokenizer *tok;
    int32_t eos[WF_EOS_MAX];
    size_t n_eos;
    int64_t bos;      /* -1: none */
    int32_t start[2]; /* what a decoder with an encoder begins with, and a token that is forced after it */
    size_t n_start;
} wf_opened;

/* `bf16`: compute in bf16. On failure nothing is left open. */
weft_status wf_opened_open(const wf_env *env, const char *path, bool bf16, wf_opened *out, weft_error *err);
/* The same of a model without its heads, when `body`. */
weft_status wf_opened_open_part(const wf_env *env, const char *path, bool bf16, bool body, wf_opened *out, weft_error *err);
void wf_opened_close(wf_opened *opened);
#endif
