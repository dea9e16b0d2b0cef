/* mla.c - multi-head latent attention: keys and values come out of one narrow latent row per token, positions out of one more
 * key that all heads share. DeepSeek-AI 2024 (DeepSeek-V2, arXiv 2405.04434, eq. 9-19). The states are the latent rows, not
 * keys and values, and decoding reads them as they are. */
#include "mixers/mixer.h"
#include "parts/rope.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads"},
    {"kv_rank", WF_KEY_INT, NULL, 1, NULL, "width of the latent row of keys and values"},
    {"q_rank", WF_KEY_INT, "null", 1, NULL, "width of the latent row of queries; null: queries come from x itself"},
    {"nope_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a key without position, per head"},
    {"rope_dim", WF_KEY_INT, NULL, 2, NULL, "channels of a key that turn, the same for all heads; even"},
    {"value_dim", WF_KEY_INT, "nope_dim", 1, NULL, "channels of a value, per head"},
    {"causal", WF_KEY_BOOL, "false", 0, NULL, "row i sees rows 0..i"},
    WF_PREFIX_KEY,
    {"bias", WF_KEY_LIST, "[]", 0, NULL, "projections with a bias, of q q.down q.up kv.down kv.up o"},
    {"rope", WF_KEY_OBJECT, "null", 0, "['theta', 10000.0, 'dim', rope_dim, 'pairing', 'half', 'scaling', null]",
     "rotary positions {theta, dim, pairing, scaling}; null: all defaults"},
    {"turns", WF_KEY_BOOL, "true", 0, NULL, "rotary positions; false: no positions"},
    {"scale", WF_KEY_FLOAT, "pow(nope_dim + rope_dim, -0.5)", 0, NULL, "of the scores"},
    {"norm_eps", WF_KEY_FLOAT, "1e-6", 0, NULL, "of the norms of the latent rows"},
    {NULL}};

static const wf_slot slots[] = {
    {"q.weight", "[heads*(nope_dim + rope_dim), dim]", "linear", "q_rank == null", NULL, false, NULL},
    {"q.bias", "[heads*(nope_dim + rope_dim)]", "zeros", "q_rank == null && has(bias, 'q')", NULL, false, NULL},
    {"q.down.weight", "[q_rank, dim]", "linear", "q_rank != null", NULL, false, NULL},
    {"q.down.bias", "[q_rank]", "zeros", "q_rank != null && has(bias, 'q.down')", NULL, false, NULL},
    {"q_norm.weight", "[q_rank]", "ones", "q_rank != null", NULL, false, NULL},
    {"q.up.weight", "[heads*(nope_dim + rope_dim), q_rank]", "linear", "q_rank != null", NULL, false, NULL},
    {"q.up.bias", "[heads*(nope_dim + rope_dim)]", "zeros", "q_rank != null && has(bias, 'q.up')", NULL, false, NULL},
    {"kv.down.weight", "[kv_rank + rope_dim, dim]", "linear", NULL, NULL, false, NULL},
    {"kv.down.bias", "[kv_rank + rope_dim]", "zeros", "has(bias, 'kv.down')", NULL, false, NULL},
    {"kv_norm.weight", "[kv_rank]", "ones", NULL, NULL, false, NULL},
    {"kv.up.weight", "[heads*(nope_dim + value_dim), kv_rank]", "linear", NULL, NULL, false, NULL},
    {"kv.up.bias", "[heads*(nope_dim + value_dim)]", "zeros", "has(bias, 'kv.up')", NULL, false, NULL},
    {"o.weight", "[dim, heads*value_dim]", "linear_out", NULL, NULL, false, NULL},
    {"o.bias", "[dim]", "zeros", "has(bias, 'o')", NULL, false, NULL},
    {NULL}};

static const wf_state_slot states[] = {
    {"c", WF_STATE_APPEND, "[kv_rank]", NULL, NULL, 0}, {"k_rot", WF_STATE_APPEND, "[rope_dim]", NULL, NULL, 0}, {NULL}};

static const wf_json plain_rope = {.kind = WF_JSON_OBJECT};
static const wf_json *rope_of(const wf_layer *l) { return wf_given(l, "rope") ? wf_get(l, "rope")->object : &plain_rope; }

static weft_status check(const wf_layer *l, weft_error *err) {
    static const char *const names[] = {"q", "q.down", "q.up", "kv.down", "kv.up", "o"};
    WF_TRY(wf_check_bias(l, names, sizeof names / sizeof *names, err));
    WF_TRY(wf_check_prefix(l, err));
    WF_CHECK(wf_int(l, "rope_dim") % 2 == 0, err, WEFT_USAGE, "'rope_dim' (%lld) must be even",
             (long long)wf_int(l, "rope_dim"));
    return wf_rope_check(l->mem, rope_of(l), wf_int(l, "rope_dim"), err);
}

/* The channels from `first` on turn. */
static wf_tensor *turn(wf_run *r, const wf_layer *l, wf_tensor *x, const wf_ports *io, int64_t first) {
    wf_rotate_args args;
    weft_error err = {0};
    if (!wf_flag(l, "turns"))
        return x;
    if (wf_rope_args(wf_tape_arena(r->tape), rope_of(l), wf_int(l, "rope_dim"), r->length, &args, &err) != WEFT_OK)
        return wf_tape_error(r->tape, err.status, "%s: %s", l->where, err.message);
    args.first = first;
    args.positions = io->positions;
    return wf_rotate(r->tape, x, &args);
}

static wf_tensor *queries(wf_run *r, const wf_layer *l, const wf_ports *io) {
    int64_t nope = wf_int(l, "nope_dim"), width = nope + wf_int(l, "rope_dim");
    wf_tensor *q;
    if (wf_given(l, "q_rank")) {
        wf_tensor *low = wf_rms_norm(r->tape, wf_project(r, l, "q.down", io->x), wf_weight(r, l, "q_norm.weight"), 0.0f,
                                     (float)wf_float(l, "norm_eps"));
        q = wf_project(r, l, "q.up", low);
    } else {
        q = wf_project(r, l, "q", io->x);
    }
    return turn(r, l, wf_split_heads(r, q, wf_int(l, "heads"), width), io, nope);
}

/* Keys and values of every row, made of the latent rows: the definition. */
static wf_tensor *expanded(wf_run *r, const wf_layer *l, wf_tensor *q, wf_tensor *c, wf_tensor *rot,
                           const wf_attention_spec *spec) {
    int64_t heads = wf_int(l, "heads"), nope = wf_int(l, "nope_dim"), value = wf_int(l, "value_dim");
    wf_tensor *up = wf_split_heads(r, wf_project(r, l, "kv.up", c), heads, nope + value);
    wf_tensor *k = wf_join_channels(r->tape, wf_slice_channels(r->tape, up, 0, nope), rot),
              *v = wf_slice_channels(r->tape, up, nope, value);
    return wf_attention(r->tape, q, k, v, spec);
}

/* Columns first..first+count-1 of every head in a weight or bias of kv.up, [heads, count*width]. */
static wf_tensor *of_heads(wf_run *r, const wf_layer *l, const char *slot, int64_t width, int64_t first, int64_t count) {
    int64_t heads = wf_int(l, "heads"), all = wf_int(l, "nope_dim") + wf_int(l, "value_dim");
    wf_tensor *w = wf_weight(r, l, slot);
    w = w ? wf_reshape(r->tape, w, 2, (int64_t[]){heads, all * width}) : NULL;
    return w ? wf_slice_channels(r->tape, w, first * width, count * width) : NULL;
}

/* The same without expanding them: the matrices of keys and values move to the queries and the output (section 2.1.2), so that
 * attention reads the latent rows themselves. The bias of the keys adds the same to all scores of a row: nothing. */
static wf_tensor *absorbed(wf_run *r, const wf_layer *l, wf_tensor *q, wf_tensor *c, wf_tensor *rot,
                           const wf_attention_spec *spec) {
    wf_tape *t = r->tape;
    int64_t heads = wf_int(l, "heads"), nope = wf_int(l, "nope_dim"), value = wf_int(l, "value_dim"),
            rank = wf_int(l, "kv_rank"), turned = wf_int(l, "rope_dim");
    wf_tensor *keys_ = of_heads(r, l, "kv.up.weight", rank, 0, nope),
              *values = of_heads(r, l, "kv.up.weight", rank, nope, value);
    wf_tensor *bias = of_heads(r, l, "kv.up.bias", 1, nope, value);
    if (!keys_ || !values || !q)
        return NULL;
    keys_ = wf_reshape(t, keys_, 3, (int64_t[]){heads, nope, rank});
    values = wf_swap_rows(t, wf_reshape(t, values, 4, (int64_t[]){heads, value, rank, 1}));
    values = values ? wf_reshape(t, values, 3, (int64_t[]){heads, rank, value}) : NULL;
    q = wf_join_channels(t, wf_head_linear(t, wf_slice_channels(t, q, 0, nope), keys_, NULL),
                         wf_cast(t, wf_slice_channels(t, q, nope, turned), WF_F32));
    c = wf_split_heads(r, wf_cast(t, c, WF_F32), 1, rank);
    wf_tensor *o = wf_attention(t, q, wf_join_channels(t, c, wf_cast(t, rot, WF_F32)), c, spec);
    return wf_head_linear(t, o, values, bias);
}

/* Decoding a few rows at a time is cheaper absorbed: there every cached row costs its width once for each new row and head. */
static bool absorbs(const wf_run *r, const wf_layer *l) {
    int64_t rank = wf_int(l, "kv_rank"), both = wf_int(l, "nope_dim") + wf_int(l, "value_dim");
    return r->mode == WF_STATE_IN_PLACE && r->rows * (2 * rank - both) < rank * both;
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    int64_t rank = wf_int(l, "kv_rank"), turned = wf_int(l, "rope_dim");
    wf_tape *t = r->tape;
    wf_tensor *q = queries(r, l, io), *down = wf_project(r, l, "kv.down", io->x);
    wf_tensor *c = wf_rms_norm(t, wf_slice_channels(t, down, 0, rank), wf_weight(r, l, "kv_norm.weight"), 0.0f,
                               (float)wf_float(l, "norm_eps"));
    wf_tensor *rot =
        wf_merge_heads(r, turn(r, l, wf_split_heads(r, wf_slice_channels(t, down, rank, turned), 1, turned), io, 0));
    c = wf_state_append(r, l, "c", c);
    rot = wf_split_heads(r, wf_state_append(r, l, "k_rot", rot), 1, turned);
    wf_attention_spec spec = {.scale = (float)wf_float(l, "scale"),
                              .dropout = r->attention_dropout,
                              .causal = wf_flag(l, "causal"),
                              .left = INT64_MAX,
                              .right = INT64_MAX,
                              .key_mask = io->mask,
                              .prefix = io->prefix,
                              .q_segments = io->segments,
                              .k_segments = io->segments,
                              .offset_from_start = wf_state_wanted(r),
                              .cached = wf_state_wanted(r) && r->mode == WF_STATE_IN_PLACE};
    spec.probs = r->want_attention ? &io->attention : NULL;
    wf_tensor *o = absorbs(r, l) ? absorbed(r, l, q, c, rot, &spec) : expanded(r, l, q, c, rot, &spec);
    io->y = wf_project(r, l, "o", wf_merge_heads(r, o));
    return WEFT_OK;
}

const wf_mixer wf_mixer_mla = {
    .name = "mla",
    .about = "softmax attention whose keys and values are made of one latent row per token",
    .source = "DeepSeek-AI 2024, arXiv 2405.04434, eq. 9-19",
    .keys = keys,
    .slots = slots,
    .states = states,
    .inputs = "x mask? positions? segments? prefix?",
    .outputs = "y attention?",
    .example = "{\"heads\": \"=dim // 32\", \"kv_rank\": \"=dim // 2\", \"rope_dim\": 16, \"causal\": true}",
    .time = "T*T",
    .flops = "2*heads*(nope_dim + rope_dim + value_dim) * T * (causal ? (T + 1) / 2 : T)",
    .bf16 = 0.012,
    .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT,
    .companion = "glu",
    .check = check,
    .run = run};
