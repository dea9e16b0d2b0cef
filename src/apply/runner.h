/* runner.h - sequences of tokens through a model, many at a time: sorted by length, as many side by side as the limit of tokens
 * allows, and every result handed back with the number of its sequence.
 *
 *     wf_runner *r;
 *     WF_TRY(wf_runner_create(model, &(wf_runner_options){.head = 0}, &r, err));
 *     WF_TRY(wf_runner_run(r, list, n, take, user, err));
 *
 * Many batches are shared out among the threads, each alone with its own; few run one after the other on all threads.
 * Sequences of one batch are filled up on the right where no layer of the model notices that; where one does, only sequences of
 * equal length share a batch. So the result of a sequence depends on its neighbours by rounding at most. Tapes are kept by
 * shape. Thread rule: one caller; the model may be shared. */
#ifndef WF_APPLY_RUNNER_H
#define WF_APPLY_RUNNER_H
#include "model/model.h"

typedef struct wf_sequence {
    const uint32_t *ids, *types; /* [count]; types NULL: none */
    size_t count;                /* at least 1 */
    size_t skip;                 /* the first rows that pooling leaves out */
    const uint32_t *picks;       /* rows whose logits are wanted, of a runner that picks */
    size_t n_picks;
} wf_sequence;

typedef struct wf_runner_options {
    int head;        /* index of a head; -1: the hidden states */
    bool pick;       /* logits of single rows only */
    bool bf16;       /* the model has bf16 copies */
    int64_t tokens;  /* of a batch, at most, but for a single sequence; 0: 1024 */
    int64_t padding; /* the token that fills up */
    /* What follows the hidden states [B,T,n], with the rows that count U8 [B,T] or NULL (all) -> [B,m]; NULL: nothing. */
    wf_tensor *(*finish)(void *user, wf_tape *tape, wf_tensor *hidden, wf_tensor *mask);
    void *user;
} wf_runner_options;

typedef struct wf_runner wf_runner;
weft_status wf_runner_create(const wf_model *model, const wf_runner_options *options, wf_runner **out, weft_error *err);
void wf_runner_free(wf_runner *runner); /* NULL is fine */

/* The result of sequence `index`: rows x columns, valid during the call; one row where rows are pooled, n_picks of a runner
 * that picks. Called on any thread of the pool, one at a time, in no order. */
typedef weft_status (*wf_sequence_fn)(void *user, size_t index, const float *values, int64_t rows, int64_t columns);
weft_status wf_runner_run(wf_runner *runner, const wf_sequence *list, size_t n, wf_sequence_fn take, void *user,
                          weft_error *err);
/* The numbers of n > 0 sequences by falling length, equal ones as they come; the caller frees *out. */
weft_status wf_longest_first(const wf_mem *mem, const wf_sequence *list, size_t n, size_t **out, weft_error *err);
/* Most tokens a sequence may have, by the positions of the model, or of the encoder that reads for it; 0: any. */
int64_t wf_runner_limit(const wf_model *model);
#endif
