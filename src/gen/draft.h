/* draft.h - one text while it is written: the ids of its prompt and of what was chosen, the rules for its lengths, its teller,
 * and how much of it a state holds. Whoever owns the state feeds it and draws (generate.c); what ends a text is decided here.
 */
#ifndef WF_GEN_DRAFT_H
#define WF_GEN_DRAFT_H
#include "gen/teller.h"

typedef struct wf_draft {
    const wf_model *model;
    const wf_tokenizer *tok;
    const wf_generate_options *o;
    int64_t max_tokens;
    wf_generation out;
    wf_teller teller;
    int32_t *source; /* of an encoder-decoder: the prompt */
    int64_t n_source;
    int32_t *ids; /* prompt and new tokens */
    size_t capacity;
    int64_t n, fed;   /* tokens in ids; of them what was fed */
    int64_t held;     /* tokens in the state */
    int64_t n_prompt; /* of ids */
    int64_t room;     /* tokens the state may hold */
    wf_rules rules;
    int32_t chosen; /* drawn, not yet put */
    bool done;
    double started;
    weft_error failure; /* of this text alone */
} wf_draft;

/* The draft of a prompt, which it copies; one that cannot be written has failed and is done. NULL: out of memory. */
wf_draft *wf_draft_open(const wf_model *model, const wf_tokenizer *tok, const wf_prompt *prompt,
                        const wf_generate_options *options);
void wf_draft_free(wf_draft *draft); /* NULL is fine */
/* Tokens that the state of this prompt's text may come to hold. */
int64_t wf_draft_room(const wf_model *model, const wf_prompt *prompt, const wf_generate_options *options);
wf_history wf_draft_history(const wf_draft *draft);
/* The ids [n] to feed next; of a prompt that does not fit, the end that leaves half of the room free. Then: they were fed. */
const int32_t *wf_draft_unfed(wf_draft *draft, int64_t *n);
void wf_draft_was_fed(wf_draft *draft);
/* The state is full. By the policy the text ends, fails, or its last half is unfed again, into a state that holds nothing. */
bool wf_draft_is_full(const wf_draft *draft);
void wf_draft_overflow(wf_draft *draft);
void wf_draft_put(wf_draft *draft);                           /* what was chosen */
void wf_draft_end(wf_draft *draft, weft_status status);       /* with what was held back; the status of all, or its own */
weft_status wf_draft_beams(wf_draft *draft, weft_error *err); /* draft_beams.c: all of it at once, in a session of its own */
#endif
