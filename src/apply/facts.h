/* facts.h - what a model folder says about the texts of its model, beside the tokenizer: how long they may be, which tokens
 * fill up and hide. From tokenizer_config.json, special_tokens_map.json and config.json, as Hugging Face reads them. */
#ifndef WF_APPLY_FACTS_H
#define WF_APPLY_FACTS_H
#include "model/model.h"
#include "text/tokenizer.h"

typedef struct wf_facts {
    int64_t limit;          /* tokens of a text, those around it counted; 0: any */
    int64_t padding, mask;  /* ids; padding is 0 when nobody says, mask -1 when there is none */
    int64_t first, unknown; /* the token that begins every text ([CLS]), the one of unknown words; -1: none */
    wf_bytes mask_text;     /* how the mask is written */
    wf_bytes
        nothing; /* what is read in the place of a text without tokens: the token that begins or ends texts, else a line end */
    const wf_json *config; /* config.json, an empty object when there is none */
} wf_facts;

/* Texts live in the arena. */
weft_status wf_facts_read(wf_arena *arena, const char *folder, const wf_model *model, const wf_tokenizer *tok, wf_facts *out,
                          weft_error *err);
#endif
