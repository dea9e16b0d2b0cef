/* s4.c - the structured state space S4 (Gu et al. 2022, arXiv 2111.00396): h' = A h + b x per channel with A = diag(l) - p p^*
 * over conjugate pairs, discretised by the bilinear rule, u = 2 Re(c h) + d x, a gated linear unit after it. A whole sequence
 * is a convolution with a kernel from its generating function (section C.3); with states it is the recurrence (section C.2). */
#include <math.h>
#include "mixers/mixer.h"
#include "parts/init.h"

static const wf_key keys[] = {{"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
                              {"modes", WF_KEY_INT, "32", 1, NULL, "poles per channel, conjugates not counted"},
                              {0}};

static void init_ones(float *value, int64_t count, const int64_t *dims, wf_rng rng) {
    (void)dims, (void)rng;
    for (int64_t i = 0; i < count; i++)
        value[i] = i % 2 ? 0.0f : 1.0f;
}

static const wf_slot slots[] = {{"log_dt", "[dim]", "custom", NULL, NULL, false, wf_init_log_steps},
                                {"a_log", "[dim, modes]", "constant:-0.6931472", NULL, NULL, false, NULL},
                                {"a_imag", "[dim, modes]", "custom", NULL, NULL, false, wf_init_pole_turns},
                                {"p", "[dim, modes, 2]", "normal:0.5", NULL, NULL, false, NULL},
                                {"b", "[dim, modes, 2]", "custom", NULL, NULL, false, init_ones},
                                {"c", "[dim, modes, 2]", "normal:0.7", NULL, NULL, false, NULL},
                                {"d", "[dim]", "ones", NULL, NULL, false, NULL},
                                {"o.weight", "[2*dim, dim]", "linear_out", NULL, NULL, false, NULL},
                                {"o.bias", "[2*dim]", "zeros", NULL, NULL, false, NULL},
                                {0}};

static const wf_state_slot states[] = {{"h", WF_STATE_FIXED, "[dim, modes, 2]", NULL, NULL, 0}, {0}};

static wf_tensor *recurrence(wf_run *r, const wf_layer *l, const wf_low_rank *m, wf_tensor *x) {
    wf_tensor *step[4], *h = NULL;
    wf_low_rank_step(r->tape, m, step);
    wf_pole_spec spec = {.e = step[2], .v = step[3], .skip = wf_weight(r, l, "d"), .h_in = wf_state_in(r, l, "h"), .h_out = &h};
    wf_tensor *u = wf_pole_scan(r->tape, x, step[0], step[1], wf_weight(r, l, "c"), &spec);
    wf_state_out(r, l, "h", h);
    return u;
}

static wf_tensor *output_rows(wf_run *r, const wf_layer *l, wf_tensor *u, int64_t first, int64_t count) {
    wf_tape *t = r->tape;
    wf_tensor *w = wf_weight(r, l, "o.weight"), *b = wf_weight(r, l, "o.bias");
    return wf_linear_as(t, u, wf_rows(t, w, first, count), wf_rows(t, b, first, count), WF_F32);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tape *t = r->tape;
    int64_t dim = wf_int(l, "dim");
    wf_tensor *x = wf_cast(t, wf_mask_rows(t, io->x, io->mask), WF_F32), *u;
    wf_low_rank m = {wf_weight(r, l, "log_dt"), wf_weight(r, l, "a_log"), wf_weight(r, l, "a_imag"), wf_weight(r, l, "p"),
                     wf_weight(r, l, "b")};
    if (wf_state_wanted(r))
        u = recurrence(r, l, &m, x);
    else
        u = wf_long_conv(t, x, wf_low_rank_kernel(t, &m, wf_weight(r, l, "c"), r->rows), wf_weight(r, l, "d"));
    u = wf_activate(t, u, WF_GELU);
    io->y = wf_gate(t, output_rows(r, l, u, dim, dim), output_rows(r, l, u, 0, dim), WF_SIGMOID);
    return WEFT_OK;
}

const wf_mixer wf_mixer_s4 = {
    .name = "s4",
    .about = "h = A h + B x per channel, A diagonal plus rank one and constant, u = 2 Re(C h) + d x, gated",
    .source = "Gu et al. 2022, arXiv 2111.00396",
    .keys = keys,
    .slots = slots,
    .no_decay = "log_dt|a_log|a_imag|p|b",
    .states = states,
    .inputs = "x mask?",
    .outputs = "y",
    .time = "T*(24*modes + pow(ln(T)/ln(2), 2))",
    .flops = "T*dim*(120*modes + 64 + 5*max(0, pow(ln(T)/ln(2), 2) + 3*ln(T)/ln(2) - 42))",
    .bf16 = 0.006,
    .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT,
    .companion = "mlp",
    .run = run};
