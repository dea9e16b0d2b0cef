/* translator.h - sequences of tokens through an encoder-decoder, many at a time: sorted by length, as many sources side by side
 * as the limit of tokens allows, and what the decoder writes to each handed back with the number of its source.
 *
 *     wf_translator *t;
 *     WF_TRY(wf_translator_create(model, &options, &t, err));
 *     WF_TRY(wf_translator_run(t, list, n, take, user, err));
 *
 * Only sources of nearly equal length share a batch; one that ends before its neighbours gets padding until all have ended.
 * Draws are keyed by the number of the source among all that this translator has read, so batches do not change them.
 * Thread rule: one caller; the model may be shared. */
#ifndef WF_APPLY_TRANSLATOR_H
#define WF_APPLY_TRANSLATOR_H
#include "apply/runner.h"
#include "gen/beam.h"

typedef struct wf_translator_options {
    wf_sampling sampling; /* of the rules the lengths are set here */
    wf_beams beams;       /* more than one: no temperature */
    int64_t tokens;       /* of the sources of a batch, at most, but for a single one; 0: 2048 */
    int64_t longest;      /* tokens written at most; those of `start` behind its first one count */
    const int32_t *start; /* what every text begins with: the decoder's first token, then what is forced to follow */
    size_t n_start;       /* at least 1 */
    size_t given;         /* of them, those that do not count as written; 0: 1 */
    const int32_t *eos;   /* any of them ends a text */
    size_t n_eos;
    wf_stops stops; /* they end it too */
    int32_t padding;
} wf_translator_options;

typedef struct wf_translator wf_translator;
/* The arrays of the options must outlive it. WEFT_UNSUPPORTED without an encoder, or when the decoder cannot stream. */
weft_status wf_translator_create(const wf_model *model, const wf_translator_options *options, wf_translator **out,
                                 weft_error *err);
void wf_translator_free(wf_translator *translator); /* NULL is fine */

typedef struct wf_translated { /* what was written behind `start`, without the token that ended it */
    const uint32_t *ids;
    size_t n;
    bool ended;   /* there was one */
    bool stopped; /* a stop string ended it, which is among the ids */
    double score; /* of beams */
} wf_translated;
/* What was written to source `index`; of beams once for each that is given back, the best first. Valid during the call; called
 * on the caller's thread, the sources in no order. */
typedef weft_status (*wf_translated_fn)(void *user, size_t index, const wf_translated *text);
weft_status wf_translator_run(wf_translator *translator, const wf_sequence *list, size_t n, wf_translated_fn take, void *user,
                              weft_error *err);
#endif
