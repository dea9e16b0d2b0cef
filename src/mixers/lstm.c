/* lstm.c - long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000), stacked and in one
 * or two directions; reference: torch.nn.LSTM. Rows of the weights are the gates i, f, g, o. */
#include "mixers/mixer.h"
#include "parts/rnn_stack.h"

static const wf_key keys[] = {{"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
                              {"hidden", WF_KEY_INT, "dim", 1, NULL, "width of the state; y has hidden channels per direction"},
                              {"layers", WF_KEY_INT, "1", 1, NULL, "cells on top of each other"},
                              {"bidirectional", WF_KEY_BOOL, "false", 0, NULL, "also from the last token to the first"},
                              {"bias", WF_KEY_BOOL, "true", 0, NULL, "biases on both products"},
                              {"side_dim", WF_KEY_INT, "0", 0, NULL,
                               "width of the stream beside the rows, which the first cell reads behind x; 0: does not"},
                              {0}};

#define BELOW "n == 0 ? dim + side_dim : hidden * (bidirectional ? 2 : 1)"
static const wf_slot slots[] = {{"l{n}.ih.weight", "[4*hidden, " BELOW "]", "linear", NULL, "layers", false, NULL},
                                {"l{n}.ih.bias", "[4*hidden]", "zeros", "bias", "layers", false, NULL},
                                {"l{n}.hh.weight", "[4*hidden, hidden]", "linear", NULL, "layers", false, NULL},
                                {"l{n}.hh.bias", "[4*hidden]", "zeros", "bias", "layers", false, NULL},
                                {"l{n}r.ih.weight", "[4*hidden, " BELOW "]", "linear", "bidirectional", "layers", false, NULL},
                                {"l{n}r.ih.bias", "[4*hidden]", "zeros", "bidirectional && bias", "layers", false, NULL},
                                {"l{n}r.hh.weight", "[4*hidden, hidden]", "linear", "bidirectional", "layers", false, NULL},
                                {"l{n}r.hh.bias", "[4*hidden]", "zeros", "bidirectional && bias", "layers", false, NULL},
                                {0}};

#define STATES "[layers * (bidirectional ? 2 : 1), hidden]"
static const wf_state_slot states[] = {
    {"h", WF_STATE_FIXED, STATES, NULL, NULL, 0}, {"c", WF_STATE_FIXED, STATES, NULL, NULL, 0}, {0}};

enum { MAX_LAYERS = 64 };

static weft_status check(const wf_layer *l, weft_error *err) {
    WF_CHECK(wf_int(l, "layers") <= MAX_LAYERS, err, WEFT_USAGE, "'layers' is at most %d", MAX_LAYERS);
    return WEFT_OK;
}

static wf_rnn_weights weights(const wf_run *r, const wf_layer *l, int64_t n, bool reverse) {
    if (reverse)
        return (wf_rnn_weights){wf_weight_n(r, l, "l{n}r.ih.weight", n), wf_weight_n(r, l, "l{n}r.ih.bias", n),
                                wf_weight_n(r, l, "l{n}r.hh.weight", n), wf_weight_n(r, l, "l{n}r.hh.bias", n)};
    return (wf_rnn_weights){wf_weight_n(r, l, "l{n}.ih.weight", n), wf_weight_n(r, l, "l{n}.ih.bias", n),
                            wf_weight_n(r, l, "l{n}.hh.weight", n), wf_weight_n(r, l, "l{n}.hh.bias", n)};
}

/* x, with the stream beside it where the layer reads that. */
static wf_tensor *rows_of(wf_run *r, const wf_layer *l, const wf_ports *io) {
    int64_t wide = wf_int(l, "side_dim"), there = io->side ? wf_dim(io->side, -1) : 0;
    if (wide == 0)
        return io->x;
    if (there != wide)
        return wf_tape_error(r->tape, WEFT_USAGE,
                             "%s: lstm: the stream beside the rows has %lld channels, not 'side_dim' (%lld)", l->where,
                             (long long)there, (long long)wide);
    return wf_join_channels(r->tape, wf_cast(r->tape, io->x, WF_F32), wf_cast(r->tape, io->side, WF_F32));
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_rnn_weights w[2 * MAX_LAYERS];
    int64_t layers = wf_int(l, "layers"), directions = wf_flag(l, "bidirectional") ? 2 : 1;
    for (int64_t i = 0; i < layers * directions; i++)
        w[i] = weights(r, l, i / directions, i % directions == 1);
    wf_rnn_stack stack = {.cell = wf_lstm,
                          .layers = layers,
                          .directions = directions,
                          .weights = w,
                          .mask = io->mask,
                          .h_in = wf_state_in(r, l, "h"),
                          .c_in = wf_state_in(r, l, "c"),
                          .states = wf_state_wanted(r)};
    io->y = wf_run_rnn_stack(r->tape, rows_of(r, l, io), &stack);
    wf_state_out(r, l, "h", stack.h_out);
    wf_state_out(r, l, "c", stack.c_out);
    return WEFT_OK;
}

const wf_mixer wf_mixer_lstm = {.name = "lstm",
                                .about = "c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c)",
                                .source = "Hochreiter & Schmidhuber 1997",
                                .keys = keys,
                                .slots = slots,
                                .states = states,
                                .inputs = "x mask? side?",
                                .outputs = "y",
                                .flops = "0",
                                .bf16 = 0.01,
                                .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_TORCH_STATES,
                                .check = check,
                                .run = run};
