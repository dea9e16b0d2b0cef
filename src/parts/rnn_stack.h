/* rnn_stack.h - layers of a recurrent cell over a whole sequence, each in one or two directions; shared by rnn, lstm and gru.
 */
#ifndef WF_PARTS_RNN_STACK_H
#define WF_PARTS_RNN_STACK_H
#include "tensor/ops.h"

typedef struct wf_rnn_weights {
    wf_tensor *ih, *ih_bias, *hh, *hh_bias;
} wf_rnn_weights; /* biases may be NULL */

typedef struct wf_rnn_stack {
    wf_tensor *(*cell)(wf_tape *t, wf_tensor *ih, const wf_rnn_spec *spec); /* wf_lstm, wf_gru or wf_plain_rnn */
    int64_t layers, directions;
    const wf_rnn_weights *weights; /* [layers*directions], the reverse direction after the forward one */
    bool reset_before, relu;       /* see wf_rnn_spec */
    wf_tensor *mask;               /* U8 [B,T] or NULL */
    wf_tensor *h_in, *c_in;        /* [B, layers*directions, h] or NULL */
    wf_tensor *h_out, *c_out;      /* set by the call when `states` */
    bool states;
} wf_rnn_stack;

/* x [B,T,in] -> [B,T,h*directions], the top layer, forward and reverse side by side. */
wf_tensor *wf_run_rnn_stack(wf_tape *t, wf_tensor *x, wf_rnn_stack *stack);
#endif
