#include "mixers/rnn_rows.h"

enum { MAX_LAYERS = 64 };

weft_status wf_rnn_rows_check(const wf_layer *l, weft_error *err) {
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

weft_status wf_rnn_rows_run(wf_run *r, const wf_layer *l, wf_ports *io, wf_tensor *x, wf_rnn_stack *stack) {
    wf_rnn_weights w[2 * MAX_LAYERS];
    stack->layers = wf_int(l, "layers");
    stack->directions = wf_flag(l, "bidirectional") ? 2 : 1;
    for (int64_t i = 0; i < stack->layers * stack->directions; i++)
        w[i] = weights(r, l, i / stack->directions, i % stack->directions == 1);
    stack->weights = w;
    stack->mask = io->mask;
    stack->h_in = wf_state_in(r, l, "h");
    stack->states = wf_state_wanted(r);
    io->y = wf_run_rnn_stack(r->tape, x, stack);
    stack->weights = NULL;
    wf_state_out(r, l, "h", stack->h_out);
    return WEFT_OK;
}
