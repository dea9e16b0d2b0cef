/* matrix_state.h - for the ops on kernels L and D: a state [B,H,K,V] along a sequence. A piece is one slice of one head of one
 * sequence; what slices and the heads of a group share is summed in order by a second phase, over strips of tokens. */
#ifndef WF_TENSOR_OPS_MATRIX_STATE_H
#define WF_TENSOR_OPS_MATRIX_STATE_H
#include "tensor/ops/parts.h"

enum { Q, K, V, G }; /* the first inputs; G: log decays */

typedef struct matrix_state { /* begins the attributes of such a node */
    wf_decay decay;
    float scale;
    int64_t batch, t, heads, qk_heads, key_dim, value_dim, slices;
} matrix_state;

static inline int64_t tokens_of(const matrix_state *a) { return a->batch * a->t; }
static inline int64_t state_count(const matrix_state *a) { return a->batch * a->heads * a->key_dim * a->value_dim; }
/* Log decays per token. */
static inline int64_t decays_of(const matrix_state *a) {
    return a->decay == WF_DECAY_NONE ? 0 : wf_decay_per_channel(a->decay) ? a->heads * a->key_dim : a->heads;
}

static inline int token_pieces(const matrix_state *a) { return wf_split_pieces(tokens_of(a), 64); }
/* Of the backward's second phase: strips of tokens, then what has no token axis. */
static inline int state_pieces(const wf_node *node, wf_pass pass, int phase) {
    const matrix_state *a = node->attr;
    if (phase == 0)
        return (int)(a->batch * a->heads * a->slices);
    return pass == WF_BACKWARD && phase == 1 ? token_pieces(a) + 1 : 0;
}

/* in[] in fp32 and what q [B,T,h,K] and v [B,T,H,V] say; false: the tape says why. */
static inline bool read_state(wf_tape *t, const char *op, wf_tensor **in, int n, matrix_state *a) {
    for (int i = 0; i < n; i++)
        if ((i <= V && !in[i]) || (in[i] && !(in[i] = wf_cast(t, in[i], WF_F32))))
            return false;
    if (in[Q]->rank != 4 || in[K]->rank != 4 || in[V]->rank != 4) {
        wf_tape_error(t, WEFT_USAGE, "%s: q, k and v need a batch, a time, heads and channels", op);
        return false;
    }
    const int64_t *q = in[Q]->dims, *v = in[V]->dims;
    a->batch = v[0], a->t = v[1], a->heads = v[2], a->value_dim = v[3];
    a->qk_heads = q[2], a->key_dim = q[3];
    a->slices = wf_recurrence_slices(a->value_dim);
    return true;
}
static inline bool state_fits(const matrix_state *a, wf_tensor *const *in, const wf_tensor *state) {
    return in[Q]->dims[0] == a->batch && in[Q]->dims[1] == a->t && in[K]->count == in[Q]->count &&
           in[K]->dims[2] == a->qk_heads && a->heads % a->qk_heads == 0 && (!state || state->count == state_count(a));
}
#endif
