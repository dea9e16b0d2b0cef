/* experts.h - the experts themselves: E feed-forward networks of one shape behind a routing; shared by every mixture. */
#ifndef WF_PARTS_EXPERTS_H
#define WF_PARTS_EXPERTS_H
#include "tensor/experts.h"

typedef struct wf_expert_weights { /* of E experts [E,..], or of one feed-forward network without E; absent ones NULL */
    wf_tensor *up, *gate, *down;
    wf_tensor *up_bias, *gate_bias, *down_bias;
    wf_activation activation;
    float limit;    /* gated: the gate at most, the other branch within +- this; 0: none */
    float alpha;    /* x act(alpha x) / .. : the activation of alpha*x, divided by alpha; 1 */
    float up_shift; /* gated: added to the branch that is not activated; 0 */
} wf_expert_weights;

/* x [B,T,dim] -> fp32 [B,T,dim]: every token's sum over its experts, times their weights (NULL: 1), which with `weigh_input`
 * multiply what goes into an expert instead of what comes out. */
wf_tensor *wf_run_experts(wf_tape *t, wf_tensor *x, wf_tensor *weights, const wf_dispatch *d, const wf_expert_weights *e,
                          bool weigh_input);
/* The same network without routing: weights [hidden,dim] and [dim,hidden]. */
wf_tensor *wf_run_feed_forward(wf_tape *t, wf_tensor *x, const wf_expert_weights *weights);
#endif
