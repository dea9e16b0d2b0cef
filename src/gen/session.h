/* session.h - decoding: a model, a state, and recorded tapes per number of rows. Logits come out for what goes in.
 * Thread rule: one caller; the model may be shared. Its weights stay as they are while the session lives: what depends on them
 * alone (discretised poles, filters) is computed once. */
#ifndef WF_GEN_SESSION_H
#define WF_GEN_SESSION_H
#include "model/model.h"

typedef struct wf_session wf_session;

enum { WF_SESSION_CHUNK = 512 }; /* most rows fed at once */

/* `capacity`: most tokens of a sequence. WEFT_UNSUPPORTED when a mixer cannot stream. */
weft_status wf_session_create(const wf_model *model, int64_t batch, int64_t capacity, wf_session **out, weft_error *err);
/* The same for sequences that are written to the same source, `sharing` of them one behind the other (beams): what the encoder
 * makes of it is kept once, where the decoder can share it. `sharing` divides `batch`. */
weft_status wf_session_create_shared(const wf_model *model, int64_t batch, int64_t sharing, int64_t capacity, wf_session **out,
                                     weft_error *err);
void wf_session_free(wf_session *session);
void wf_session_reset(wf_session *session); /* every sequence before its first token */
wf_state *wf_session_state(wf_session *session);
int64_t wf_session_capacity(const wf_session *session);
/* Of an encoder-decoder: reads sources, ids [B / sharing, n] of which lengths[b] (NULL: n) count, once for all that follows,
 * and puts every sequence before its first token. Needed before the first feed; again for other sources. */
weft_status wf_session_source(wf_session *session, const int32_t *ids, int64_t n, const int64_t *lengths, weft_error *err);
/* Feeds ids [B, n] (any n that fits the capacity). In a model with prefixes (prefix_lm) the first rows that a sequence is fed
 * are its prefix. *logits: [B, vocab] after the last token, valid until the next call. */
weft_status wf_session_feed(wf_session *session, const int32_t *ids, int64_t n, const float **logits, weft_error *err);
/* The same for n <= WF_SESSION_CHUNK with the logits of every row: [B, n, vocab]. */
weft_status wf_session_feed_all(wf_session *session, const int32_t *ids, int64_t n, const float **logits, weft_error *err);
/* Where the sequences stand, as bytes (wf_state_saved_size of its state, into memory of the caller), for a session of the same
 * model and batch; that of an encoder-decoder has then read the same sources. */
void wf_session_save(const wf_session *session, void *bytes);
weft_status wf_session_load(wf_session *session, const void *bytes, size_t n, weft_error *err);
/* Most positions the model knows (a learned table ends), 0: no end. */
int64_t wf_model_position_limit(const wf_model *model);
/* WEFT_OK, or which block cannot decode step by step. */
weft_status wf_model_can_stream(const wf_model *model, weft_error *err);
#endif
