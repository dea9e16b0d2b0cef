/* rnn_rows.h - what the rows rnn, gru and lstm share: options of stacked cells in one or two directions, PyTorch's weights. */
#ifndef WF_MIXERS_RNN_ROWS_H
#define WF_MIXERS_RNN_ROWS_H
#include "mixers/mixer.h"
#include "parts/rnn_stack.h"

/* clang-format off */
#define WF_RNN_KEYS                                                                                                            \
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},                                                                          \
    {"hidden", WF_KEY_INT, "dim", 1, NULL, "width of the state; y has hidden channels per direction"},                         \
    {"layers", WF_KEY_INT, "1", 1, NULL, "cells on top of each other"},                                                        \
    {"bidirectional", WF_KEY_BOOL, "false", 0, NULL, "also from the last token to the first"},                                 \
    {"bias", WF_KEY_BOOL, "true", 0, NULL, "biases on both products"}

/* `gates`: rows of the weights, "4*hidden"; `x`: channels that the first cell reads. */
#define WF_RNN_SLOTS_OF(name, gates, x, there, bias)                                                                           \
    {name ".ih.weight", "[" gates ", n == 0 ? " x " : hidden * (bidirectional ? 2 : 1)]", "linear", there, "layers", false, NULL}, \
    {name ".ih.bias", "[" gates "]", "zeros", bias, "layers", false, NULL},                                                    \
    {name ".hh.weight", "[" gates ", hidden]", "linear", there, "layers", false, NULL},                                        \
    {name ".hh.bias", "[" gates "]", "zeros", bias, "layers", false, NULL}
#define WF_RNN_SLOTS(gates, x)                                                                                                 \
    WF_RNN_SLOTS_OF("l{n}", gates, x, NULL, "bias"), WF_RNN_SLOTS_OF("l{n}r", gates, x, "bidirectional", "bidirectional && bias")

#define WF_RNN_STATE(name) {name, WF_STATE_FIXED, "[layers * (bidirectional ? 2 : 1), hidden]", NULL, NULL, 0}
/* clang-format on */

weft_status wf_rnn_rows_check(const wf_layer *layer, weft_error *err);
/* y and the state h of the layer over x; the stack says its cell and what else that has, and gives back c_out. */
weft_status wf_rnn_rows_run(wf_run *run, const wf_layer *layer, wf_ports *io, wf_tensor *x, wf_rnn_stack *stack);
#endif
