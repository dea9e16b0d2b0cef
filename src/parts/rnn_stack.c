/* rnn_stack.c - a layer reads the one below; its directions run over the same input and stand side by side in its output. */
#include "parts/rnn_stack.h"

/* Side by side along the channels: rows of one token are a short time axis. */
static wf_tensor *beside(wf_tape *t, wf_tensor *a, wf_tensor *b) {
    if (!a || !b)
        return NULL;
    int64_t batch = b->dims[0], time = b->dims[1], h = b->dims[2], rows[] = {batch * time, 1, h};
    wf_tensor *both = wf_time_concat(t, wf_reshape(t, a, 3, rows), wf_reshape(t, b, 3, rows));
    return both ? wf_reshape(t, both, 3, (int64_t[]){batch, time, 2 * h}) : NULL;
}

/* State i of [B,n,h], and the collection of new ones in order. */
static wf_tensor *state_of(wf_tape *t, wf_tensor *states, int64_t i) { return states ? wf_time_slice(t, states, i, 1) : NULL; }
static wf_tensor *collect(wf_tape *t, wf_tensor *states, wf_tensor *one, int64_t count) {
    if (!one || count == 1)
        return one;
    one = wf_reshape(t, one, 3, (int64_t[]){one->dims[0], 1, one->dims[1]});
    return wf_time_concat(t, states, one);
}

static wf_tensor *run_direction(wf_tape *t, wf_tensor *x, wf_rnn_stack *s, int64_t i) {
    const wf_rnn_weights *w = &s->weights[i];
    wf_tensor *h = NULL, *c = NULL;
    wf_rnn_spec spec = {.hh = w->hh,
                        .hh_bias = w->hh_bias,
                        .mask = s->mask,
                        .reverse = i % s->directions == 1,
                        .reset_before = s->reset_before,
                        .relu = s->relu,
                        .h_in = state_of(t, s->h_in, i),
                        .c_in = state_of(t, s->c_in, i)};
    if (s->states) {
        spec.h_out = &h;
        spec.c_out = &c;
    }
    wf_tensor *y = s->cell(t, wf_linear_as(t, x, w->ih, w->ih_bias, WF_F32), &spec);
    s->h_out = collect(t, s->h_out, h, s->layers * s->directions);
    s->c_out = collect(t, s->c_out, c, s->layers * s->directions);
    return y;
}

wf_tensor *wf_run_rnn_stack(wf_tape *t, wf_tensor *x, wf_rnn_stack *s) {
    s->h_out = s->c_out = NULL;
    for (int64_t layer = 0; layer < s->layers; layer++) {
        wf_tensor *forward = run_direction(t, x, s, layer * s->directions);
        x = s->directions == 1 ? forward : beside(t, forward, run_direction(t, x, s, layer * s->directions + 1));
    }
    return x;
}
