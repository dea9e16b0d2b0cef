/* teller.h - tokens to the text that comes out: whole characters, and what may be the beginning of a stop string is held back.
 */
#ifndef WF_GEN_TELLER_H
#define WF_GEN_TELLER_H
#include "gen/generate.h"

typedef struct wf_teller {
    const wf_generate_options *o;
    wf_generation *out; /* `text` and, where a stop string or the caller ends it, `finish` */
    wf_text_stream stream;
    wf_str fresh;   /* characters of the last token */
    wf_str pending; /* not yet told: may be the beginning of a stop string */
    bool failed;    /* out of memory */
} wf_teller;

wf_teller wf_teller_open(const wf_generate_options *o, wf_generation *out, const wf_tokenizer *tok, const wf_mem *mem);
void wf_teller_close(wf_teller *teller);
bool wf_teller_put(wf_teller *teller, uint32_t id); /* false when the text has ended */
void wf_teller_end(wf_teller *teller);              /* what was held back */
#endif
