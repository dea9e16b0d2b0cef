/* mamba.c - the selective state space (Gu & Dao 2023, arXiv 2312.00752, algorithm 2): h_t = exp(dt_t A) h_{t-1} + dt_t u_t B_t,
 * y_t = (C_t h_t + d u_t) * silu(z_t), with dt, B and C read from u. References: transformers MambaMixer; mambapy (inner
 * norms). */
#include <math.h>
#include "mixers/mixer.h"
#include "parts/init.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"inner", WF_KEY_INT, "2*dim", 1, NULL, "channels of the scan"},
    {"state", WF_KEY_INT, "16", 1, NULL, "states per channel"},
    {"rank", WF_KEY_INT, "(dim + 15) // 16", 1, NULL, "width dt is read through"},
    {"heads", WF_KEY_INT, "1", 1, NULL, "groups of channels that read dt, B and C from their own channels alone"},
    {"conv", WF_KEY_INT, "4", 1, NULL, "taps of the short convolution"},
    {"conv_bias", WF_KEY_BOOL, "true", 0, NULL, "its bias"},
    {"bias", WF_KEY_LIST, "[]", 0, NULL, "projections with a bias, of in o"},
    {"inner_norms", WF_KEY_BOOL, "false", 0, NULL, "RMS norms on dt, B and C"},
    {"norm_eps", WF_KEY_FLOAT, "1e-6", 0, NULL, "of those norms"},
    {"norm_affine", WF_KEY_BOOL, "true", 0, NULL, "weights on them"},
    {0}};

/* A_n = -(n+1) for every channel (the S4D-real start). */
static void init_a_log(float *value, int64_t count, const int64_t *dims, wf_rng rng) {
    (void)rng;
    for (int64_t i = 0; i < count; i++)
        value[i] = logf((float)(i % dims[1] + 1));
}

/* Uniform within rank^-1/2, so that the spread of dt stays that of its bias. */
static void init_dt_weight(float *value, int64_t count, const int64_t *dims, wf_rng rng) {
    float most = 1.0f / sqrtf((float)dims[1]);
    for (int64_t i = 0; i < count; i++)
        value[i] = most * (2.0f * wf_rng_uniform(rng, (uint64_t)i) - 1.0f);
}

static const wf_slot slots[] = {
    {"in.weight", "[2*inner, dim]", "linear", NULL, NULL, false, NULL},
    {"in.bias", "[2*inner]", "zeros", "has(bias, 'in')", NULL, false, NULL},
    {"conv.weight", "[inner, 1, conv]", "uniform:0.5", NULL, NULL, false, NULL},
    {"conv.bias", "[inner]", "zeros", "conv_bias", NULL, false, NULL},
    {"x.weight", WF_GROUPED("heads", "heads*(rank + 2*state)", "inner"), "linear", NULL, NULL, false, NULL},
    {"dt_norm.weight", "[rank]", "ones", "inner_norms && norm_affine", NULL, false, NULL},
    {"b_norm.weight", "[state]", "ones", "inner_norms && norm_affine", NULL, false, NULL},
    {"c_norm.weight", "[state]", "ones", "inner_norms && norm_affine", NULL, false, NULL},
    {"dt.weight", WF_GROUPED("heads", "inner", "heads*rank"), "custom", NULL, NULL, false, init_dt_weight},
    {"dt.bias", "[inner]", "custom", NULL, NULL, false, wf_init_step_bias},
    {"a_log", "[inner, state]", "custom", NULL, NULL, false, init_a_log},
    {"d", "[inner]", "ones", NULL, NULL, false, NULL},
    {"o.weight", "[dim, inner]", "linear_out", NULL, NULL, false, NULL},
    {"o.bias", "[dim]", "zeros", "has(bias, 'o')", NULL, false, NULL},
    {0}};

static const wf_state_slot states[] = {{"h", WF_STATE_FIXED, "[inner, state]", NULL, NULL, 0},
                                       {"conv", WF_STATE_FIXED, "[inner, conv - 1]", NULL, "conv > 1", 0},
                                       {0}};

static weft_status check(const wf_layer *l, weft_error *err) {
    long long inner = wf_int(l, "inner"), heads = wf_int(l, "heads");
    WF_CHECK(inner % heads == 0, err, WEFT_USAGE, "'inner' (%lld) must be a multiple of 'heads' (%lld)", inner, heads);
    return wf_check_bias(l, (const char *const[]){"in", "o"}, 2, err);
}

/* dt, B or C: rows of the projection of u, or of those of its heads [B,T,heads,..], normed when the spec says so. */
static wf_tensor *read_u(wf_run *r, const wf_layer *l, const char *norm, wf_tensor *u, int64_t first, int64_t count) {
    int64_t heads = wf_int(l, "heads");
    wf_tensor *y = heads == 1
                       ? wf_project_rows(r, l, "x", u, first, count)
                       : wf_slice_channels(r->tape,
                                           wf_head_linear(r->tape, wf_split_heads(r, u, heads, wf_int(l, "inner") / heads),
                                                          wf_weight(r, l, "x.weight"), NULL),
                                           first, count);
    return wf_flag(l, "inner_norms") ? wf_rms_norm(r->tape, y, wf_weight(r, l, norm), 0.0f, (float)wf_float(l, "norm_eps")) : y;
}

/* Lin(dt, x) for the channels, from a row per head. */
static wf_tensor *step_of(wf_run *r, const wf_layer *l, wf_tensor *x) {
    wf_tensor *weight = wf_weight(r, l, "dt.weight"), *bias = wf_weight(r, l, "dt.bias");
    int64_t heads = wf_int(l, "heads");
    if (heads == 1)
        return wf_linear_as(r->tape, x, weight, bias, WF_F32);
    bias = wf_reshape(r->tape, bias, 2, (int64_t[]){heads, wf_int(l, "inner") / heads});
    return wf_merge_heads(r, wf_head_linear(r->tape, x, weight, bias));
}

/* The bias of `in` reaches the convolution's window of the first rows behind padding. */
static unsigned lost_traits(const wf_layer *l) {
    return wf_int(l, "conv") > 1 && wf_lists(l, "bias", "in") ? 0u : WF_PADDING_TRACE;
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    int64_t inner = wf_int(l, "inner"), n = wf_int(l, "state"), rank = wf_int(l, "rank");
    bool states_out = wf_state_wanted(r);
    wf_tape *t = r->tape;
    wf_tensor *h = NULL, *window = NULL, *x = wf_mask_rows(t, io->x, io->mask);
    wf_tensor *u = wf_project_rows(r, l, "in", x, 0, inner), *z = wf_project_rows(r, l, "in", x, inner, inner);
    u = wf_conv(t, u, wf_weight(r, l, "conv.weight"), wf_weight(r, l, "conv.bias"), true, wf_state_in(r, l, "conv"),
                states_out ? &window : NULL);
    u = wf_mask_rows(t, u, io->mask);
    wf_tensor *dt = read_u(r, l, "dt_norm.weight", u, 0, rank), *b = read_u(r, l, "b_norm.weight", u, rank, n);
    wf_tensor *c = read_u(r, l, "c_norm.weight", u, rank + n, n);
    dt = wf_activate(t, step_of(r, l, dt), WF_SOFTPLUS);
    wf_scan_spec scan = {.a_log = wf_weight(r, l, "a_log"),
                         .skip = wf_weight(r, l, "d"),
                         .z = z,
                         .h_in = wf_state_in(r, l, "h"),
                         .h_out = states_out ? &h : NULL};
    io->y = wf_project(r, l, "o", wf_selective_scan(t, u, dt, b, c, &scan));
    wf_state_out(r, l, "h", h);
    wf_state_out(r, l, "conv", window);
    return WEFT_OK;
}

const wf_mixer wf_mixer_mamba = {.name = "mamba",
                                 .about = "h = exp(dt A) h + dt u B, y = (C h + d u) silu(z)",
                                 .source = "Gu & Dao 2023, arXiv 2312.00752, algorithm 2",
                                 .keys = keys,
                                 .slots = slots,
                                 .no_decay = "a_log|d",
                                 .states = states,
                                 .inputs = "x mask?",
                                 .outputs = "y",
                                 .example = "{}",
                                 .flops = "T*inner*(22*state + 2*conv + (heads > 1 ? 4*(rank + state) : 0))",
                                 .bf16 = 0.05,
                                 .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PADDING_TRACE,
                                 .lost_traits = lost_traits,
                                 .check = check,
                                 .run = run};
