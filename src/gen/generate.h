/* generate.h - text from a prompt: a session, a sampler and a tokenizer in a loop. The prompt of an encoder-decoder is what its
 * encoder reads.
 *
 *     wf_generate_options o = wf_generate_usual();
 *     wf_generation g = {.text = wf_str_new(&env->mem)};
 *     WF_TRY(wf_generate(model, tok, prompt.data, prompt.count, &o, &g, err));
 *
 * The same model, prompt, options and seed give the same text, for every number of threads. */
#ifndef WF_GEN_GENERATE_H
#define WF_GEN_GENERATE_H
#include "gen/beam.h"
#include "text/tokenizer.h"

/* What happens when the context is full. A row adds a policy (generate.c). */
typedef enum wf_overflow { WF_OVERFLOW_STOP, WF_OVERFLOW_SLIDE, WF_OVERFLOW_ERROR } wf_overflow;
typedef struct wf_overflow_row {
    const char *name, *about;
    wf_overflow policy;
} wf_overflow_row;
extern const wf_overflow_row wf_overflows[]; /* ends with a NULL name */

typedef enum wf_finish {
    WF_FINISH_LENGTH,
    WF_FINISH_EOS,
    WF_FINISH_STOP,
    WF_FINISH_CONTEXT,
    WF_FINISH_CALLER,
    WF_FINISH_INTERRUPT
} wf_finish;
const char *wf_finish_name(wf_finish finish); /* "max_tokens", "eos", "stop", "context", "caller", "interrupted" */

typedef struct wf_generate_options {
    wf_sampling sampling; /* of the rules the lengths are set here */
    wf_beams beams;       /* more than one: no temperature, no stop strings, and nothing is told before the end */
    int64_t max_tokens;
    int64_t context;      /* tokens a sequence may have; 0: the model's own end, or none */
    const int32_t *start; /* what a decoder with an encoder begins with; none: what the spec's `shift` says */
    size_t n_start;
    const int32_t *eos; /* any of them ends the text */
    size_t n_eos;
    const char *const *stop; /* any of these strings ends the text and is left out of it */
    size_t n_stop;
    wf_stops stops; /* any of these strings ends it too, and stays in it */
    wf_overflow overflow;
    int (*piece)(void *user, const char *text, size_t length); /* complete characters; nonzero ends the text; may be NULL */
    void *user;
    int64_t
        batch; /* tokens that texts written side by side may come to have, prompts included; 0: as many texts as are worth it */
} wf_generate_options;
wf_generate_options wf_generate_usual(void); /* 256 tokens, temperature 0.8, top-p 0.95, seed 0 */

typedef struct wf_generated { /* one of the texts that beams give */
    wf_str text;
    int64_t tokens;
    double score;
    wf_finish finish;
} wf_generated;

typedef struct wf_generation {
    wf_str text; /* the new text */
    wf_finish finish;
    int64_t prompt_tokens, tokens, slides;
    wf_generated *texts; /* [n_texts] of beams, the best first; `text` is all of them, a line end between them; NULL: none */
    size_t n_texts;
    int64_t context;       /* tokens the sequence could have, 0: no end */
    double prompt_seconds; /* feeding the prompt */
    double first_seconds;  /* until the first token was chosen */
    double decode_seconds; /* from then to the last one */
} wf_generation;

/* Tokens a sequence of this model may have: its position table, or (attention without a window) its trained length; 0: no end.
 */
int64_t wf_context_end(const wf_model *model);
/* What a decoder with an encoder begins with where nobody says: the spec's first token, or (where the labels' own last one
 * comes first) the end of a text. */
int32_t wf_first_token(const wf_model *model, const int32_t *eos, size_t n_eos);
void wf_generation_free(const wf_env *env, wf_generation *generation);
/* `prompt` must not be empty. `out` is filled, and the caller's to free, after a failure too: an interrupt leaves what came
 * until then. */
weft_status wf_generate(const wf_model *model, const wf_tokenizer *tok, const uint32_t *prompt, size_t n,
                        const wf_generate_options *options, wf_generation *out, weft_error *err);

typedef struct wf_prompt {
    const uint32_t *ids; /* [n] */
    size_t n;
    int64_t max_tokens; /* in the place of that of the options */
} wf_prompt;
typedef struct wf_prompts {
    const wf_prompt *list;
    size_t n;
} wf_prompts;
/* What was written to prompt `index`, valid during the call. Called in the order of the prompts, each as soon as it and those
 * in front of it are done; a status ends the run. After a failure the text that could not be written is the last one: `status`
 * is not WEFT_OK, the error of the run says why, and the status to give back is the caller's. */
typedef weft_status (*wf_generation_fn)(void *user, size_t index, wf_generation *generation, weft_status status);
/* What follows each of many prompts. Several are written at the same time, each with the draws, rules, stop strings and end it
 * has alone, so that they depend on their neighbours by rounding at most (beams: one after the other). A decoder's next prompt
 * takes the place of a text that has ended; the sources of encoder-decoders go by nearly equal length. `piece` must be NULL. */
weft_status wf_generate_many(const wf_model *model, const wf_tokenizer *tok, const wf_prompts *prompts,
                             const wf_generate_options *options, wf_generation_fn take, void *user, weft_error *err);
#endif
