/* mamba2.c - the state space dual (Dao & Gu 2024, arXiv 2405.21060, section 7): S_t = e^{A_h dt_t} S_{t-1} + B_t (dt_t x_t)^T,
 * y_t = S_t^T C_t + d_h x_t, one decay per head, B and C shared by the heads of a group, and a gated norm. Reference:
 * transformers Mamba2Mixer. */
#include <math.h>
#include "mixers/mixer.h"
#include "parts/init.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads"},
    {"value_dim", WF_KEY_INT, "2*dim % heads == 0 ? 2*dim // heads : null", 1, NULL, "channels of a head"},
    {"state", WF_KEY_INT, "64", 1, NULL, "states per channel"},
    {"groups", WF_KEY_INT, "1", 1, NULL, "groups of heads that share B and C"},
    {"norm_groups", WF_KEY_INT, "groups", 1, NULL, "equal parts of the channels that are normed alone"},
    {"norm", WF_KEY_BOOL, "true", 0, NULL, "the norm; without it only the gate"},
    {"norm_before_gate", WF_KEY_BOOL, "false", 0, NULL, "norm first, then the gate"},
    {"part_scales", WF_KEY_LIST, "[1, 1, 1, 1, 1]", 0, NULL, "multiply the parts z, x, B, C and dt of the projection"},
    {"dt_limit", WF_KEY_LIST, "[null, null]", 0, NULL, "bounds of dt after softplus, null: none"},
    {"conv", WF_KEY_INT, "4", 1, NULL, "taps of the short convolution"},
    {"conv_bias", WF_KEY_BOOL, "true", 0, NULL, "its bias"},
    {"bias", WF_KEY_LIST, "[]", 0, NULL, "projections with a bias, of in o"},
    {"norm_eps", WF_KEY_FLOAT, "1e-5", 0, NULL, "of the norm"},
    {0}};

/* Rows of `in`: z | x | B | C | dt. */
static const wf_slot slots[] = {
    {"in.weight", "[2*heads*value_dim + 2*groups*state + heads, dim]", "linear", NULL, NULL, false, NULL},
    {"in.bias", "[2*heads*value_dim + 2*groups*state + heads]", "zeros", "has(bias, 'in')", NULL, false, NULL},
    {"conv.weight", "[heads*value_dim + 2*groups*state, 1, conv]", "uniform:0.5", NULL, NULL, false, NULL},
    {"conv.bias", "[heads*value_dim + 2*groups*state]", "zeros", "conv_bias", NULL, false, NULL},
    {"dt.bias", "[heads]", "custom", NULL, NULL, false, wf_init_step_bias},
    {"a_log", "[heads]", "custom", NULL, NULL, false, wf_init_log_rates},
    {"d", "[heads]", "ones", NULL, NULL, false, NULL},
    {"norm.weight", "[heads*value_dim]", "ones", "norm", NULL, false, NULL},
    {"o.weight", "[dim, heads*value_dim]", "linear_out", NULL, NULL, false, NULL},
    {"o.bias", "[dim]", "zeros", "has(bias, 'o')", NULL, false, NULL},
    {0}};

static const wf_state_slot states[] = {
    {"s", WF_STATE_FIXED, "[heads, state, value_dim]", NULL, NULL, 0},
    {"conv", WF_STATE_FIXED, "[heads*value_dim + 2*groups*state, conv - 1]", NULL, "conv > 1", 0},
    {0}};

static weft_status check(const wf_layer *l, weft_error *err) {
    const wf_value *limit = wf_get(l, "dt_limit");
    long long heads = wf_int(l, "heads"), groups = wf_int(l, "groups"), parts = wf_int(l, "norm_groups"),
              width = heads * wf_int(l, "value_dim");
    WF_CHECK(heads % groups == 0, err, WEFT_USAGE, "'heads' (%lld) must be a multiple of 'groups' (%lld)", heads, groups);
    WF_CHECK(width % parts == 0, err, WEFT_USAGE, "'norm_groups' (%lld) must divide the %lld channels", parts, width);
    bool pair = limit->count == 2;
    for (size_t i = 0; pair && i < 2; i++)
        pair = limit->items[i].type == WF_NULL || limit->items[i].type == WF_INT || limit->items[i].type == WF_FLOAT;
    WF_CHECK(pair, err, WEFT_USAGE, "'dt_limit' is a pair of numbers, or null for no bound");
    WF_CHECK(limit->items[0].type == WF_NULL || limit->items[1].type == WF_NULL ||
                 limit->items[0].number <= limit->items[1].number,
             err, WEFT_USAGE, "'dt_limit': %g is above %g", limit->items[0].number, limit->items[1].number);
    const wf_value *scales = wf_get(l, "part_scales");
    bool five = scales->count == 5;
    for (size_t i = 0; five && i < 5; i++)
        five = scales->items[i].type == WF_INT || scales->items[i].type == WF_FLOAT;
    WF_CHECK(five, err, WEFT_USAGE, "'part_scales' are five numbers");
    return wf_check_bias(l, (const char *const[]){"in", "o"}, 2, err);
}

enum { Z, X, B, C, DT };
static float part_scale(const wf_layer *l, int part) { return (float)wf_get(l, "part_scales")->items[part].number; }

/* x|B|C of the projection. */
static wf_tensor *convolved(wf_run *r, const wf_layer *l, wf_tensor *x) {
    int64_t width = wf_int(l, "heads") * wf_int(l, "value_dim"), shared = wf_int(l, "groups") * wf_int(l, "state");
    if (part_scale(l, X) == 1.0f && part_scale(l, B) == 1.0f && part_scale(l, C) == 1.0f)
        return wf_project_rows(r, l, "in", x, width, width + 2 * shared);
    wf_tensor *u = wf_scale(r->tape, wf_project_rows(r, l, "in", x, width, width), part_scale(l, X));
    wf_tensor *b = wf_scale(r->tape, wf_project_rows(r, l, "in", x, 2 * width, shared), part_scale(l, B));
    wf_tensor *c = wf_scale(r->tape, wf_project_rows(r, l, "in", x, 2 * width + shared, shared), part_scale(l, C));
    return wf_join_channels(r->tape, u, wf_join_channels(r->tape, b, c));
}

/* dt = softplus(its rows of `in` + dt.bias), within bounds. */
static wf_tensor *time_steps(wf_run *r, const wf_layer *l, wf_tensor *x, int64_t first) {
    int64_t heads = wf_int(l, "heads");
    const wf_value *limit = wf_get(l, "dt_limit")->items;
    wf_tensor *dt = wf_scale(r->tape, wf_project_rows(r, l, "in", x, first, heads), part_scale(l, DT));
    dt = wf_activate(r->tape, wf_add_rows(r->tape, dt, wf_weight(r, l, "dt.bias")), WF_SOFTPLUS);
    if (limit[0].type == WF_NULL && limit[1].type == WF_NULL)
        return dt;
    return wf_clamp(r->tape, dt, limit[0].type == WF_NULL ? 0.0f : (float)limit[0].number,
                    limit[1].type == WF_NULL ? INFINITY : (float)limit[1].number);
}

/* The gated norm over each of norm_groups parts. */
static wf_tensor *finish(wf_run *r, const wf_layer *l, wf_tensor *o, wf_tensor *z) {
    int64_t width = wf_int(l, "heads") * wf_int(l, "value_dim"), parts = wf_int(l, "norm_groups");
    bool late = wf_flag(l, "norm_before_gate") && wf_flag(l, "norm");
    o = wf_merge_heads(r, o);
    if (!late)
        o = wf_gate(r->tape, z, o, WF_SILU);
    if (wf_flag(l, "norm")) {
        o = wf_rms_norm(r->tape, wf_split_heads(r, o, parts, width / parts), wf_weight(r, l, "norm.weight"), 0.0f,
                        (float)wf_float(l, "norm_eps"));
        o = wf_merge_heads(r, o);
    }
    return wf_project(r, l, "o", late ? wf_gate(r->tape, z, o, WF_SILU) : o);
}

/* The bias of `in` reaches the convolution's window of the first rows behind padding. */
static unsigned lost_traits(const wf_layer *l) {
    return wf_int(l, "conv") > 1 && wf_lists(l, "bias", "in") ? 0u : WF_PADDING_TRACE;
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    int64_t heads = wf_int(l, "heads"), p = wf_int(l, "value_dim"), n = wf_int(l, "state"), groups = wf_int(l, "groups");
    int64_t width = heads * p, shared = groups * n;
    wf_tape *t = r->tape;
    wf_tensor *s = NULL, *window = NULL, *x = wf_mask_rows(t, io->x, io->mask),
              *z = wf_scale(t, wf_project_rows(r, l, "in", x, 0, width), part_scale(l, Z));
    wf_tensor *u = convolved(r, l, x), *dt = time_steps(r, l, x, 2 * (width + shared));
    u = wf_conv(t, u, wf_weight(r, l, "conv.weight"), wf_weight(r, l, "conv.bias"), true, wf_state_in(r, l, "conv"),
                wf_state_wanted(r) ? &window : NULL);
    u = wf_mask_rows(t, u, io->mask);
    wf_tensor *v = wf_split_heads(r, wf_slice_channels(t, u, 0, width), heads, p);
    wf_tensor *b = wf_split_heads(r, wf_slice_channels(t, u, width, shared), groups, n);
    wf_tensor *c = wf_split_heads(r, wf_slice_channels(t, u, width + shared, shared), groups, n);
    wf_tensor *a = wf_scale(t, wf_activate(t, wf_weight(r, l, "a_log"), WF_EXP), -1.0f);
    wf_recurrence_spec spec = {.decay = WF_DECAY_SCALAR,
                               .g = wf_mul_rows(t, dt, a),
                               .scale = 1.0f,
                               .s_in = wf_state_in(r, l, "s"),
                               .s_out = wf_state_wanted(r) ? &s : NULL};
    wf_tensor *o = wf_recurrence(t, c, b, wf_scale_rows(t, v, dt), &spec);
    io->y = finish(r, l, wf_add(t, o, wf_scale_rows(t, v, wf_weight(r, l, "d"))), z);
    wf_state_out(r, l, "s", s);
    wf_state_out(r, l, "conv", window);
    return WEFT_OK;
}

const wf_mixer wf_mixer_mamba2 = {.name = "mamba2",
                                  .about = "S = e^(A dt) S + B (dt x)^T, y = norm((C S + d x) silu(z))",
                                  .source = "Dao & Gu 2024, arXiv 2405.21060, section 7",
                                  .keys = keys,
                                  .slots = slots,
                                  .no_decay = "dt.bias|a_log|d",
                                  .states = states,
                                  .inputs = "x mask?",
                                  .outputs = "y",
                                  .flops = "4*T*heads*state*value_dim",
                                  .bf16 = 0.03,
                                  .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PADDING_TRACE,
                                  .lost_traits = lost_traits,
                                  .check = check,
                                  .run = run};
