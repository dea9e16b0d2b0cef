/* experts.h - the operations of mixtures of experts. N = B*T tokens, E experts, k assignments per token.
 *
 * A routing says for every token which experts it goes to and with what weights. A dispatch sorts the assignments by expert, in
 * the order of the tokens; each expert's rows are rounded up to WF_EXPERT_ROUND. Rows are spread to that order, go through one
 * matrix product per expert, and are collected again. Everything is done in a fixed order, so that the bits do not depend on
 * threads. */
#ifndef WF_TENSOR_EXPERTS_H
#define WF_TENSOR_EXPERTS_H
#include "tensor/ops.h"

typedef struct wf_routing {
    wf_tensor *indices; /* I64 [B,T,k], best first */
    wf_tensor *weights; /* F32 [B,T,k]: 0 where dropped; NULL: all 1 */
    wf_tensor *kept;    /* U8 [B,T,k]; NULL: all */
} wf_routing;

typedef struct wf_route_spec {
    const char *router; /* a row of wf_routers: "softmax", "sigmoid", "sparsemixer" */
    int64_t top_k;
    int64_t groups, top_groups; /* of consecutive experts: all but the best groups are excluded; groups 0: none */
    bool group_max;             /* a group's score is its largest; else the sum of its two largest */
    bool normalise;             /* weights / max(their norm, normalise_min) */
    float normalise_order, normalise_min;
    float scale;      /* of the weights */
    float jitter;     /* of sparsemixer: experts further below the best than twice this part leave the softmax */
    int64_t capacity; /* assignments per sequence and expert; all first choices by position, then all second; 0: no limit */
    wf_tensor *select_bias;         /* [E] or NULL: moves the choice, not the weights */
    wf_tensor *used_in, **used_out; /* with a capacity, F32 [B,E]: assignments kept before and after these tokens; or NULL */
} wf_route_spec;
/* logits F32 [B,T,E] -> a routing by the tokens' choice. False after an error. */
bool wf_route(wf_tape *t, wf_tensor *logits, const wf_route_spec *spec, wf_routing *out);

/* logits F32 [B,T,E] -> a routing by the experts' choice: each takes the min(capacity, T) tokens of a sequence with its largest
 * softmax over the experts (mask U8 [B,T] or NULL: never padding). `tokens` has k = E: token t goes to expert j as its choice
 * j, or not; `experts` says it by expert: indices I64 and weights F32 [B,E,C], best first, -1 and 0 where tokens are wanting.
 */
bool wf_choose_tokens(wf_tape *t, wf_tensor *logits, wf_tensor *mask, int64_t capacity, wf_routing *tokens,
                      wf_routing *experts);

/* ---- from tokens to sorted rows and back ---- */
enum { WF_EXPERT_ROUND = 4 };
typedef struct wf_dispatch {
    wf_tensor *slot;                            /* I32 [R]: which assignment n*k+j a sorted row is, -1: padding */
    wf_tensor *row;                             /* I32 [N*k]: the sorted row of an assignment, -1: dropped */
    wf_tensor *blocks;                          /* I32: see wf_blocks_of */
    int64_t rows, most, experts, top_k, tokens; /* R, the bound of the assignments, E, k, N */
} wf_dispatch;
/* `most`: a bound of the assignments that are kept; 0: N*k. False after an error. */
bool wf_dispatch_rows(wf_tape *t, const wf_routing *routing, int64_t experts, int64_t most, wf_dispatch *out);
/* Rows [B, E*slots, ..] that belong to the experts in turn, `slots` each. */
bool wf_dispatch_slots(wf_tape *t, int64_t batch, int64_t experts, int64_t slots, wf_dispatch *out);
/* x [B,T,n] -> act [R,n]: row r is x of its token (times its weight when `weights` is not NULL), 0 for padding. */
wf_tensor *wf_spread_rows(wf_tape *t, wf_tensor *x, wf_tensor *weights, const wf_dispatch *d);
/* rows [R,n] -> fp32 [B,T,n]: the sum of a token's rows, each times its weight (weights NULL: 1). */
wf_tensor *wf_collect_rows(wf_tape *t, wf_tensor *rows, wf_tensor *weights, const wf_dispatch *d, int64_t batch);
/* x [B,T,k*n], one row for each choice of a token -> [R,n] in the order of the dispatch; and back. Padding and what is dropped
 * become 0. */
wf_tensor *wf_sort_rows(wf_tape *t, wf_tensor *x, const wf_dispatch *d);
wf_tensor *wf_unsort_rows(wf_tape *t, wf_tensor *rows, const wf_dispatch *d, int64_t batch);
/* Row r of expert e: y = x W_e^T + b_e. x [R,in], w [E,out,in], b [E,out] or NULL -> act [R,out]; rows of no expert become 0.
 */
wf_tensor *wf_grouped_linear(wf_tape *t, wf_tensor *x, wf_tensor *w, wf_tensor *b, const wf_dispatch *d);

/* What the I32 data of `blocks` holds: rows of one expert in pieces of at most WF_EXPERT_BLOCK, for one matrix product each. */
enum { WF_EXPERT_BLOCK = 256 };
typedef struct wf_block {
    int32_t first, rows, real;
} wf_block; /* `rows` includes the rounding, `real` does not */
typedef struct wf_blocks {
    const int32_t *start; /* [E+1]: the blocks of expert e are start[e]..start[e+1]-1 */
    const wf_block *block;
    int64_t used; /* sorted rows before which all blocks end */
} wf_blocks;
wf_blocks wf_blocks_of(const void *data, int64_t experts);
int64_t wf_blocks_most(const wf_dispatch *d); /* how many there can be */
/* Rows computed for nothing, as a part of those that were asked for. */
double wf_dispatch_waste(const void *blocks, int64_t experts);

/* ---- losses of the router ---- */
/* Sums over tokens, per group (`per_sequence`: one group per sequence, else one): fp32 [G, 2E+2] = how often each expert was
 * among the k | its summed probability | tokens | sum of logsumexp^2. mask U8 [B,T] or NULL: padding does not count. The counts
 * are constants of the backward. Sums of several layers may be added. */
wf_tensor *wf_router_sums(wf_tape *t, wf_tensor *logits, wf_tensor *indices, wf_tensor *mask, const char *router,
                          bool per_sequence);
wf_tensor *wf_balance_loss(wf_tape *t, wf_tensor *sums); /* [1]: mean over groups of E sum_e f_e P_e */
wf_tensor *wf_z_loss(wf_tape *t, wf_tensor *sums);       /* [1]: mean over tokens of logsumexp^2 */
#endif
