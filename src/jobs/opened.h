/* opened.h - a model folder, or a file that holds a whole model, opened for use: the model with its values, its tokenizer, the
 * tokens that begin and end a text. */
#ifndef WF_JOBS_OPENED_H
#define WF_JOBS_OPENED_H
#include "gen/sampler.h"
#include "jobs/job.h"
#include "model/model.h"
#include "text/tokenizer.h"

enum { WF_EOS_MAX = 16, WF_BANNED_MAX = 256, WF_WORDS_MAX = 1024 };

typedef struct wf_opened {
    wf_model *model;
    wf_tokenizer *tok;
    wf_tokenizer *target; /* of what an encoder-decoder writes: `tok`, or one of its own */
    int32_t eos[WF_EOS_MAX];
    size_t n_eos;
    int64_t bos;      /* -1: none */
    int32_t start[2]; /* what a decoder with an encoder begins with, and a token that is forced after it */
    size_t n_start;
    bool start_usual;              /* no file names that token: the reference takes the one that begins a text */
    int32_t banned[WF_BANNED_MAX]; /* tokens that are never written */
    size_t n_banned;
    wf_rules rules; /* without its arrays, which are: */
    int32_t words[WF_WORDS_MAX], lengths[WF_BANNED_MAX], not_first[WF_BANNED_MAX];
    double penalty;         /* of tokens that were there; 1: none */
    int64_t last;           /* what ends a text that is as long as it may be; -1: nothing is forced */
    int64_t longest;        /* tokens a text may have, the first one counted; 0: nobody says */
    const char *unfollowed; /* a rule of generation_config.json that would change the text and is not followed; NULL: none */
} wf_opened;

/* On failure nothing is left open. */
weft_status wf_opened_open(const wf_env *env, const char *path, wf_precision precision, wf_opened *out, weft_error *err);
/* The same of a model without its heads, when `body`. */
weft_status wf_opened_open_part(const wf_env *env, const char *path, wf_precision precision, bool body, wf_opened *out,
                                weft_error *err);
void wf_opened_close(wf_opened *opened);
/* "MODEL: COMMAND needs a model with a head 'mlm'; the head of this one is 'lm' (see: weft help generate)" */
weft_status wf_opened_fail_head(const wf_opened *opened, const char *model, const char *command, const char *wanted,
                                weft_error *err);
/* What a config says about writing, over what was said before. */
void wf_opened_follow(wf_opened *opened, const wf_json *config);
/* The rules with their arrays, those of `opened`; `last` is left to the caller, who knows how long a text may be. */
wf_rules wf_opened_rules(const wf_opened *opened);
#endif
