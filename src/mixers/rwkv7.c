/* rwkv7.c - RWKV-7 (Peng et al. 2025, arXiv 2503.14456, eq. 3-22): S_t = Diag(e^w) S_{t-1} + (kk a)(-kk^T S_{t-1}) + k v^T, o_t
 * = S_t^T r_t, inputs mixed with the token before. Values of the first layer flow into those of the later ones (v_first).
 * Reference: fla RWKV7Attention over its plain recurrence. */
#include <math.h>
#include "mixers/mixer.h"

/* Widths that grow with the root of dim, as the reference has them. */
#define NARROW "max(32, 32*round(sqrt(dim)*2.5/32))"
#define GATE "max(32, 32*round(sqrt(dim)*5/32))"
#define BLEND "max(32, 32*round(sqrt(dim)*1.7/32))"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x, a multiple of heads"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads; key channels per head are dim / heads"},
    {"value_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a value, per head"},
    {"layer", WF_KEY_INT, "0", 0, NULL, "place in the stack: 0 hands its values on, the others take them in"},
    {"ranks", WF_KEY_OBJECT, "null", 0, "['w', " NARROW ", 'a', " NARROW ", 'gate', " GATE ", 'vres', " BLEND "]",
     "widths that the decay, the correction, the gate and the value residual are read through {w, a, gate, vres}"},
    {"norm_eps", WF_KEY_FLOAT, "1e-5", 0, NULL, "of the norm of a head, times the key channels"},
    {"bias", WF_KEY_LIST, "[]", 0, NULL, "projections with a bias, of o"},
    {0}};

#define KEY "dim // heads"
#define RANK(name, fallback) "(ranks." name " ?? " fallback ")"
static const wf_slot slots[] = {
    {"mix_r", "[dim]", "uniform:0.5", NULL, NULL, false, NULL},
    {"mix_w", "[dim]", "uniform:0.5", NULL, NULL, false, NULL},
    {"mix_k", "[dim]", "uniform:0.5", NULL, NULL, false, NULL},
    {"mix_v", "[dim]", "uniform:0.5", NULL, NULL, false, NULL},
    {"mix_a", "[dim]", "uniform:0.5", NULL, NULL, false, NULL},
    {"mix_g", "[dim]", "uniform:0.5", NULL, NULL, false, NULL},
    {"r.weight", "[dim, dim]", "linear", NULL, NULL, false, NULL},
    {"k.weight", "[dim, dim]", "linear", NULL, NULL, false, NULL},
    {"v.weight", "[heads*value_dim, dim]", "linear", NULL, NULL, false, NULL},
    {"w.down.weight", "[" RANK("w", NARROW) ", dim]", "linear", NULL, NULL, false, NULL},
    {"w.up.weight", "[dim, " RANK("w", NARROW) "]", "linear", NULL, NULL, false, NULL},
    {"w.up.bias", "[dim]", "constant:-2", NULL, NULL, false, NULL},
    {"a.down.weight", "[" RANK("a", NARROW) ", dim]", "linear", NULL, NULL, false, NULL},
    {"a.up.weight", "[dim, " RANK("a", NARROW) "]", "linear", NULL, NULL, false, NULL},
    {"a.up.bias", "[dim]", "zeros", NULL, NULL, false, NULL},
    {"vres.down.weight", "[" RANK("vres", BLEND) ", dim]", "linear", "layer > 0", NULL, false, NULL},
    {"vres.up.weight", "[heads*value_dim, " RANK("vres", BLEND) "]", "linear", "layer > 0", NULL, false, NULL},
    {"vres.up.bias", "[heads*value_dim]", "zeros", "layer > 0", NULL, false, NULL},
    {"gate.down.weight", "[" RANK("gate", GATE) ", dim]", "linear", NULL, NULL, false, NULL},
    {"gate.up.weight", "[heads*value_dim, " RANK("gate", GATE) "]", "linear", NULL, NULL, false, NULL},
    {"k_k", "[dim]", "constant:0.85", NULL, NULL, false, NULL},
    {"k_a", "[dim]", "ones", NULL, NULL, false, NULL},
    {"r_k", "[heads, " KEY "]", "zeros", NULL, NULL, false, NULL},
    {"norm.weight", "[heads*value_dim]", "ones", NULL, NULL, false, NULL},
    {"norm.bias", "[heads*value_dim]", "zeros", NULL, NULL, false, NULL},
    {"o.weight", "[dim, heads*value_dim]", "linear_out", NULL, NULL, false, NULL},
    {"o.bias", "[dim]", "zeros", "has(bias, 'o')", NULL, false, NULL},
    {0}};

static const wf_state_slot states[] = {{"s", WF_STATE_FIXED, "[heads, " KEY ", value_dim]", NULL, NULL, 0},
                                       {"shift", WF_STATE_FIXED, "[dim]", NULL, NULL, 0},
                                       {0}};

static weft_status check(const wf_layer *l, weft_error *err) {
    long long dim = wf_int(l, "dim"), heads = wf_int(l, "heads");
    WF_CHECK(dim % heads == 0, err, WEFT_USAGE, "'dim' (%lld) must be a multiple of 'heads' (%lld)", dim, heads);
    return wf_check_bias(l, (const char *const[]){"o"}, 1, err);
}

typedef struct mixing {
    wf_tensor *x, *d;
} mixing; /* d: the token before, less this one */

static wf_tensor *mixed(wf_run *r, const wf_layer *l, mixing m, const char *slot) {
    return wf_add(r->tape, m.x, wf_mul_rows(r->tape, m.d, wf_weight(r, l, slot)));
}

/* up(act(down u)). */
static wf_tensor *narrow(wf_run *r, const wf_layer *l, const char *down, const char *up, wf_tensor *u, wf_activation kind) {
    return wf_project_f32(r, l, up, wf_activate(r->tape, wf_project_f32(r, l, down, u), kind));
}

/* v, with the first layer's blended in by a gate of its own. */
static wf_tensor *values(wf_run *r, const wf_layer *l, mixing m, wf_ports *io) {
    wf_tape *t = r->tape;
    wf_tensor *u = mixed(r, l, m, "mix_v"), *v = wf_mask_rows(t, wf_project_f32(r, l, "v", u), io->mask);
    if (wf_int(l, "layer") == 0)
        return io->v_first = v;
    if (!io->v_first)
        return wf_tape_error(t, WEFT_UNSUPPORTED, "%s: rwkv7 of 'layer' %lld needs the values of a layer 0 before it", l->where,
                             (long long)wf_int(l, "layer"));
    wf_tensor *first = wf_mask_rows(t, wf_cast(t, io->v_first, WF_F32), io->mask),
              *blend = narrow(r, l, "vres.down", "vres.up", u, WF_IDENTITY);
    return wf_add(t, v, wf_gate(t, blend, wf_add_scaled(t, first, v, -1.0f), WF_SIGMOID));
}

/* k (1 + (a - 1) k_a). */
static wf_tensor *replacement_key(wf_run *r, const wf_layer *l, wf_tensor *k, wf_tensor *a) {
    wf_tape *t = r->tape;
    return wf_add(t, k, wf_mul_rows(t, wf_add_scaled(t, wf_mul(t, k, a), k, -1.0f), wf_weight(r, l, "k_a")));
}

/* groupnorm(o) + (sum_channels r k r_k) v, per head. */
static wf_tensor *finish(wf_run *r, const wf_layer *l, wf_tensor *o, wf_tensor *receptance, wf_tensor *k, wf_tensor *v) {
    wf_tape *t = r->tape;
    int64_t heads = wf_int(l, "heads"), width = wf_int(l, "dim") / heads;
    o = wf_layer_norm(t, o, wf_weight(r, l, "norm.weight"), wf_weight(r, l, "norm.bias"), 0.0f,
                      (float)(wf_float(l, "norm_eps") * (double)width));
    receptance = wf_mul_rows(t, receptance, wf_weight(r, l, "r_k"));
    wf_tensor *score = wf_row_dot(t, wf_split_heads(r, receptance, heads, width), wf_split_heads(r, k, heads, width));
    return wf_merge_heads(r, wf_add(t, wf_scale_rows(t, v, score), o));
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tape *t = r->tape;
    int64_t heads = wf_int(l, "heads"), width = wf_int(l, "dim") / heads;
    wf_tensor *s = NULL, *shift = NULL, *x = wf_mask_rows(t, io->x, io->mask);
    wf_tensor *before = wf_time_shift(t, x, wf_state_in(r, l, "shift"), wf_state_wanted(r) ? &shift : NULL);
    mixing m = {x, wf_add_scaled(t, before, x, -1.0f)};
    wf_tensor *receptance = wf_project_f32(r, l, "r", mixed(r, l, m, "mix_r")),
              *k = wf_project_f32(r, l, "k", mixed(r, l, m, "mix_k"));
    wf_tensor *v = wf_split_heads(r, values(r, l, m, io), heads, wf_int(l, "value_dim"));
    wf_tensor *w = wf_activate(t, narrow(r, l, "w.down", "w.up", mixed(r, l, m, "mix_w"), WF_TANH), WF_SIGMOID);
    wf_tensor *a = wf_activate(t, narrow(r, l, "a.down", "a.up", mixed(r, l, m, "mix_a"), WF_IDENTITY), WF_SIGMOID);
    wf_tensor *removal =
        wf_unit(t, wf_split_heads(r, wf_mul_rows(t, k, wf_weight(r, l, "k_k")), heads, width), WF_UNIT_FLOORED, 1e-12f);
    k = replacement_key(r, l, k, a);
    wf_delta_spec spec = {.decay = WF_DECAY_VECTOR,
                          .g = wf_split_heads(r, wf_scale(t, w, (float)-exp(-0.5)), heads, width),
                          .scale = 1.0f,
                          .a = wf_scale(t, removal, -1.0f),
                          .b = wf_mul(t, removal, wf_split_heads(r, a, heads, width)),
                          .s_in = wf_state_in(r, l, "s"),
                          .s_out = wf_state_wanted(r) ? &s : NULL};
    wf_tensor *o = wf_delta(t, wf_split_heads(r, receptance, heads, width), wf_split_heads(r, k, heads, width), v, &spec);
    wf_tensor *gate = narrow(r, l, "gate.down", "gate.up", mixed(r, l, m, "mix_g"), WF_SIGMOID);
    io->y = wf_project(r, l, "o", wf_mul(t, finish(r, l, o, receptance, k, v), gate));
    wf_state_out(r, l, "s", s);
    wf_state_out(r, l, "shift", shift);
    return WEFT_OK;
}

const wf_mixer wf_mixer_rwkv7 = {.name = "rwkv7",
                                 .about = "S = Diag(e^w) S + (kk a)(-kk^T S) + k v^T, o = norm(r S), gated",
                                 .source = "Peng et al. 2025, arXiv 2503.14456, eq. 3-22",
                                 .keys = keys,
                                 .slots = slots,
                                 .no_decay =
                                     "w.down.weight|w.up.weight|a.down.weight|a.up.weight|vres.down.weight|vres.up.weight|"
                                     "gate.down.weight|gate.up.weight|r_k",
                                 .states = states,
                                 .inputs = "x mask? v_first?",
                                 .outputs = "y v_first?",
                                 .flops = "8*T*dim*value_dim",
                                 .bf16 = 0.012,
                                 .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT,
                                 .companion = "glu",
                                 .check = check,
                                 .run = run};
