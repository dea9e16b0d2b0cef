/* hyena.c - the Hyena operator (Poli et al. 2023, arXiv 2302.10866, definition 3.1): gates around convolutions over the whole
 * sequence, whose filters come from a small network of the position and fade with it. Reference: the same operator with
 * transforms in float64. */
#include <math.h>
#include <stdio.h>
#include "mixers/mixer.h"

static const wf_key keys[] = {{"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
                              {"order", WF_KEY_INT, "2", 2, NULL, "gates; one convolution less"},
                              {"max_len", WF_KEY_INT, "1024", 2, NULL, "longest sequence: the filters are made for it"},
                              {"embed", WF_KEY_INT, "3", 3, NULL, "width of the position's embedding, odd"},
                              {"filter_dim", WF_KEY_INT, "64", 1, NULL, "width of the filters' network"},
                              {"filter_layers", WF_KEY_INT, "4", 2, NULL, "its layers"},
                              {"conv", WF_KEY_INT, "3", 1, NULL, "taps of the short convolution"},
                              {"shift", WF_KEY_FLOAT, "0.0", -INFINITY, NULL, "added to the fading of the filters"},
                              {0}};

static const wf_slot slots[] = {{"in.weight", "[(order + 1)*dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"in.bias", "[(order + 1)*dim]", "zeros", NULL, NULL, false, NULL},
                                {"conv.weight", "[(order + 1)*dim, 1, conv]", "uniform:0.5", NULL, NULL, false, NULL},
                                {"conv.bias", "[(order + 1)*dim]", "zeros", NULL, NULL, false, NULL},
                                {"filter.{n}.weight",
                                 "[n == filter_layers - 1 ? (order - 1)*dim : filter_dim, n == 0 ? embed : filter_dim]",
                                 "normal:0.2", NULL, "filter_layers", false, NULL},
                                {"filter.{n}.bias", "[filter_dim]", "zeros", NULL, "filter_layers - 1", false, NULL},
                                {"freq", "[filter_dim]", "ones", NULL, NULL, false, NULL},
                                {"filter_bias", "[order - 1, dim]", "normal:0.02", NULL, NULL, false, NULL},
                                {"o.weight", "[dim, dim]", "linear_out", NULL, NULL, false, NULL},
                                {"o.bias", "[dim]", "zeros", NULL, NULL, false, NULL},
                                {0}};

/* What the convolutions have read so far: a row per token and convolution. */
#define HISTORY(n)                                                                                                             \
    { "v" #n, WF_STATE_APPEND, "[dim]", NULL, "order > " #n " + 1 && order <= 8", 0 }
static const wf_state_slot states[] = {
    {"conv", WF_STATE_FIXED, "[(order + 1)*dim, conv - 1]", NULL, "conv > 1 && order <= 8", 0},
    HISTORY(0),
    HISTORY(1),
    HISTORY(2),
    HISTORY(3),
    HISTORY(4),
    HISTORY(5),
    HISTORY(6),
    {0}};

static weft_status check(const wf_layer *l, weft_error *err) {
    long long embed = wf_int(l, "embed");
    WF_CHECK(embed % 2 == 1, err, WEFT_USAGE, "'embed' (%lld) must be odd: the position, then cosines and sines", embed);
    return WEFT_OK;
}

/* Numbers that no gradient reaches, [rows, n]; `value` gives them. */
static wf_tensor *constants(wf_run *r, const wf_layer *l, int64_t rows, int64_t n,
                            double (*value)(const wf_layer *l, int64_t t, int64_t c)) {
    float *all = wf_arena_alloc(wf_tape_arena(r->tape), (size_t)(rows * n) * sizeof *all);
    if (!all)
        return wf_tape_error(r->tape, WEFT_NO_MEMORY, "out of memory");
    for (int64_t i = 0; i < rows * n; i++)
        all[i] = (float)value(l, i / n, i % n);
    return wf_constant(r->tape, 2, (int64_t[]){rows, n}, all);
}

/* Number i of n from `first` to `last`. */
static double spaced(double first, double last, int64_t i, int64_t n) {
    return n > 1 ? first + (last - first) * (double)i / (double)(n - 1) : first;
}

/* [t/(N-1) | cos(2 pi t f_b / N) | -sin(2 pi t f_b / N)]. */
static double embedding(const wf_layer *l, int64_t t, int64_t c) {
    static const double PI = 3.14159265358979323846;
    int64_t bands = (wf_int(l, "embed") - 1) / 2, n = wf_int(l, "max_len"), band = (c - 1) % bands;
    if (c == 0)
        return (double)t / (double)(n - 1);
    double angle = 2.0 * PI * (double)t * spaced(1e-4, (double)(bands - 1), band, bands) / (double)n;
    return c <= bands ? cos(angle) : -sin(angle);
}

/* How the filter of a channel fades, the same for each of its order-1 convolutions. */
static double fading(const wf_layer *l, int64_t t, int64_t c) {
    int64_t dim = wf_int(l, "dim");
    double rate = spaced(log(0.01) / 1.5, log(0.01) / 0.3, c % dim, dim);
    return exp(-(double)t / (double)(wf_int(l, "max_len") - 1) * fabs(rate)) + wf_float(l, "shift");
}

/* The filters' first `rows` taps, [rows, (order-1)*dim]. */
static wf_tensor *filters(wf_run *r, const wf_layer *l, int64_t rows) {
    wf_tape *t = r->tape;
    int64_t layers = wf_int(l, "filter_layers"), width = (wf_int(l, "order") - 1) * wf_int(l, "dim");
    wf_tensor *x = constants(r, l, rows, wf_int(l, "embed"), embedding);
    for (int64_t n = 0; n < layers; n++) {
        wf_tensor *bias = n + 1 < layers ? wf_weight_n(r, l, "filter.{n}.bias", n) : NULL;
        x = wf_linear_as(t, x, wf_weight_n(r, l, "filter.{n}.weight", n), bias, WF_F32);
        if (n + 1 < layers)
            x = wf_sine(t, wf_mul_rows(t, x, wf_weight(r, l, "freq")));
    }
    return wf_mul(t, x, constants(r, l, rows, width, fading));
}

/* Rows that a convolution reads: those of this call and, with states, all before it (while decoding, what the cache holds). */
static int64_t reach(const wf_run *r, const wf_layer *l) {
    const wf_tensor *before = wf_layer_streams(l) ? wf_state_in(r, l, "v0") : NULL;
    return r->mode == WF_STATE_IN_PLACE && before ? before->dims[1] : r->rows + (before ? before->dims[1] : 0);
}

static wf_tensor *convolve(wf_run *r, const wf_layer *l, int64_t n, wf_tensor *v, wf_tensor *k, wf_tensor *bias) {
    char name[24];
    if (!wf_state_wanted(r))
        return wf_long_conv(r->tape, v, k, bias);
    snprintf(name, sizeof name, "v%lld", (long long)n);
    wf_tensor *all = wf_state_append(r, l, name, v);
    if (r->mode == WF_STATE_IN_PLACE)
        return wf_history_conv(r->tape, all, k, bias, r->rows);
    return all ? wf_time_slice(r->tape, wf_long_conv(r->tape, all, k, bias), all->dims[1] - r->rows, r->rows) : NULL;
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tape *t = r->tape;
    int64_t dim = wf_int(l, "dim"), order = wf_int(l, "order"), rows = reach(r, l);
    wf_tensor *window = NULL;
    if (rows > wf_int(l, "max_len")) {
        wf_tape_error(t, WEFT_UNSUPPORTED, "%s: hyena: 'max_len' is %lld, the sequence has %lld rows", l->where,
                      (long long)wf_int(l, "max_len"), (long long)rows);
        return WEFT_OK;
    }
    wf_tensor *k = filters(r, l, rows), *bias = wf_weight(r, l, "filter_bias");
    wf_tensor *u = wf_conv(t, wf_project_f32(r, l, "in", io->x), wf_weight(r, l, "conv.weight"), wf_weight(r, l, "conv.bias"),
                           false, wf_state_in(r, l, "conv"), wf_state_wanted(r) ? &window : NULL);
    wf_state_out(r, l, "conv", window);
    wf_tensor *v = wf_slice_channels(t, u, order * dim, dim);
    for (int64_t o = 0; o + 1 < order; o++) {
        v = wf_mul(t, v, wf_slice_channels(t, u, (order - 1 - o) * dim, dim));
        v = convolve(r, l, o, v, wf_slice_channels(t, k, o * dim, dim), wf_rows(t, bias, o, 1));
    }
    io->y = wf_project(r, l, "o", wf_mul(t, v, wf_slice_channels(t, u, 0, dim)));
    return WEFT_OK;
}

const wf_mixer wf_mixer_hyena = {
    .name = "hyena",
    .about = "gates around convolutions over the whole sequence, filters from a network of the position",
    .source = "Poli et al. 2023, arXiv 2302.10866, definition 3.1",
    .keys = keys,
    .slots = slots,
    .no_decay = "filter.{n}.weight",
    .states = states,
    .inputs = "x",
    .outputs = "y",
    .example = "{\"max_len\": \"=context\"}",
    .time = "T*ln(T)*ln(T)",
    .flops = "(order - 1)*T*dim*(64 + 5*max(0, pow(ln(T)/ln(2), 2) + 3*ln(T)/ln(2) - 42)) + 2*(order + 1)*T*dim*conv",
    .bf16 = 0.01,
    .streams = "order <= 8",
    .traits = WF_CAUSAL | WF_STREAMS,
    .companion = "mlp",
    .check = check,
    .run = run};
