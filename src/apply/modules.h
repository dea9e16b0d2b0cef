/* modules.h - how a model folder makes one vector of a text: the modules of a sentence-transformers folder (modules.json:
 * Transformer, Pooling, Dense, LayerNorm, Normalize, Dropout), its prompts, its longest text. A folder without modules.json is
 * an encoder whose rows are averaged.
 *
 * Paths in modules.json are plain names below the folder. A module weft does not have is WEFT_UNSUPPORTED, with its name.
 * Thread rule: immutable once open. */
#ifndef WF_APPLY_MODULES_H
#define WF_APPLY_MODULES_H
#include "base/json.h"
#include "tensor/ops.h"

typedef struct wf_modules wf_modules;

/* `pooling`: in the place of the folder's: cls, mean, max, mean_sqrt_len_tokens, weightedmean or lasttoken; NULL: the folder's.
 */
weft_status wf_modules_open(const wf_env *env, const char *folder, const char *pooling, wf_modules **out, weft_error *err);
void wf_modules_free(wf_modules *modules); /* NULL is fine */

const char *wf_modules_folder(const wf_modules *modules); /* of the transformer itself */
int64_t wf_modules_limit(const wf_modules *modules);      /* tokens of a text; 0: not said */
bool wf_modules_lowers(const wf_modules *modules);        /* texts become small letters first */
bool wf_modules_strips(const wf_modules *modules);        /* white space around texts does not count */
bool wf_modules_pools_prompt(const wf_modules *modules);  /* whether the rows of a prompt count */
/* The prompt of that name; NULL: the folder's default, which may be none (*text NULL). */
weft_status wf_modules_prompt(const wf_modules *modules, const char *name, const char **text, weft_error *err);

/* What a module needs to fit hidden states of this width; known once the model is open. Reads the weights. */
weft_status wf_modules_load(wf_modules *modules, int64_t width, weft_error *err);
int64_t wf_modules_width(const wf_modules *modules); /* of the vectors, once loaded */
/* hidden [B,T,width], mask U8 [B,T] or NULL -> [B,wf_modules_width] fp32. `modules`: a wf_modules. */
wf_tensor *wf_modules_record(void *modules, wf_tape *tape, wf_tensor *hidden, wf_tensor *mask);
#endif
