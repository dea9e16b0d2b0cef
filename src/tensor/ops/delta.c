/* delta.c - the matrix state with a rank-one correction on kernel D: the delta rule, S_t = D_t S_{t-1} + beta_t k_t (v_t - (D_t
 * S_{t-1})^T k_t)^T, or the general form S_t = D_t S_{t-1} + b_t (a_t^T S_{t-1}) + k_t v_t^T; o_t = S_t^T q_t. A piece is one
 * slice of one head of one sequence; what slices and the heads of a group share is summed in order by a second phase. */
#include "tensor/ops/parts.h"

enum { Q, K, V, G, BETA, A, B, S_IN, INPUTS };
enum { O, KEPT }; /* then the state; without a backward nothing is kept and the state comes second */

typedef struct delta {
    wf_decay decay;
    float scale;
    int64_t batch, t, heads, qk_heads, key_dim, value_dim, slices;
    int s_out, kept; /* index among the outputs, -1: not there */
} delta;

static int64_t tokens(const delta *a) { return a->batch * a->t; }
/* Log decays per token. */
static int64_t decays(const delta *a) {
    return a->decay == WF_DECAY_NONE ? 0 : a->decay == WF_DECAY_VECTOR ? a->heads * a->key_dim : a->heads;
}

/* The backward's own memory: what cannot go straight into a gradient. */
typedef struct parts {
    float *dq, *dk, *da, *db, *dv, *de, *dg, *dbeta, *ds;
    size_t count;
} parts;
static parts map_parts(const delta *a, bool general, float *base) {
    int64_t keys = a->slices * tokens(a) * a->heads * a->key_dim, values = tokens(a) * a->heads * a->value_dim;
    parts p = {0};
    p.dq = carve(base, &p.count, keys);
    p.dk = carve(base, &p.count, keys);
    p.da = carve(base, &p.count, general ? keys : 0);
    p.db = carve(base, &p.count, general ? keys : 0);
    p.dv = carve(base, &p.count, values);
    p.de = carve(base, &p.count, values);
    p.dg = carve(base, &p.count, a->slices * tokens(a) * decays(a));
    p.dbeta = carve(base, &p.count, general ? 0 : a->slices * tokens(a) * a->heads);
    p.ds = carve(base, &p.count, a->batch * a->heads * a->key_dim * a->value_dim);
    return p;
}

static float *output(const wf_node *node, int i) { return i < 0 ? NULL : node->out[i]->data; }

static wf_delta_args forward_args(const wf_node *node) {
    const delta *a = node->attr;
    return (wf_delta_args){.batch = a->batch,
                           .t = a->t,
                           .heads = a->heads,
                           .qk_heads = a->qk_heads,
                           .key_dim = a->key_dim,
                           .value_dim = a->value_dim,
                           .q = data_of(node->in[Q]),
                           .k = data_of(node->in[K]),
                           .v = data_of(node->in[V]),
                           .decay = a->decay,
                           .g = data_of(node->in[G]),
                           .beta = data_of(node->in[BETA]),
                           .a = data_of(node->in[A]),
                           .b = data_of(node->in[B]),
                           .scale = a->scale,
                           .s_in = data_of(node->in[S_IN]),
                           .o = node->out[O]->data,
                           .s_out = output(node, a->s_out),
                           .e = output(node, a->kept)};
}

static wf_delta_args backward_args(const wf_node *node, const wf_worker *w) {
    const delta *a = node->attr;
    wf_delta_args args = forward_args(node);
    parts p = map_parts(a, !node->in[BETA], node->work_data[WF_BACKWARD]);
    bool one = a->slices == 1, single = one && a->heads == a->qk_heads;
    args.o = args.s_out = NULL;
    args.do_ = node->out[O]->grad;
    args.ds_out = a->s_out < 0 ? NULL : node->out[a->s_out]->grad;
    args.dq_part = direct_or(node, Q, single, p.dq, w);
    args.dk_part = direct_or(node, K, single, p.dk, w);
    args.da_part = direct_or(node, A, single, p.da, w);
    args.db_part = direct_or(node, B, single, p.db, w);
    args.dv = direct_or(node, V, true, p.dv, w);
    args.de = p.de;
    args.dbeta_part = direct_or(node, BETA, one, p.dbeta, w);
    args.dg_part = node->grad_mode[G] ? direct_or(node, G, one, p.dg, w) : NULL;
    args.ds_in = node->grad_mode[S_IN] ? direct_or(node, S_IN, true, p.ds, w) : NULL;
    return args;
}

static int token_pieces(const delta *a) { return wf_split_pieces(tokens(a), 64); }

static void add_tokens(const wf_node *node, const wf_delta_args *args, int piece, const wf_worker *w) {
    const delta *a = node->attr;
    int64_t first, end, values = a->heads * a->value_dim, gates = decays(a);
    head_rows rows = {tokens(a), a->heads, a->qk_heads, a->key_dim, a->slices};
    wf_split_bounds(tokens(a), token_pieces(a), piece, &first, &end);
    add_heads(node, Q, args->dq_part, first, end, &rows, w);
    add_heads(node, K, args->dk_part, first, end, &rows, w);
    add_heads(node, A, args->da_part, first, end, &rows, w);
    add_heads(node, B, args->db_part, first, end, &rows, w);
    add_parts(node, V, first * values, end * values, (sum_of){args->dv, 1, 0}, w);
    add_parts(node, G, first * gates, end * gates, (sum_of){args->dg_part, a->slices, tokens(a) * gates}, w);
    add_parts(node, BETA, first * a->heads, end * a->heads, (sum_of){args->dbeta_part, a->slices, tokens(a) * a->heads}, w);
}

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const delta *a = node->attr;
    if (phase == 0)
        return (int)(a->batch * a->heads * a->slices);
    return pass == WF_BACKWARD && phase == 1 ? token_pieces(a) + 1 : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const delta *a = node->attr;
    int64_t slice = piece % a->slices, head = piece / a->slices % a->heads, batch = piece / a->slices / a->heads;
    wf_delta_args args = pass == WF_FORWARD ? forward_args(node) : backward_args(node, w);
    if (pass == WF_FORWARD)
        w->k->delta(&args, batch, head, slice, w->scratch);
    else if (phase == 0)
        w->k->delta_back(&args, batch, head, slice, w->scratch);
    else if (piece < token_pieces(a))
        add_tokens(node, &args, piece, w);
    else if (node->in[S_IN])
        add_parts(node, S_IN, 0, node->in[S_IN]->count, (sum_of){args.ds_in, 1, 0}, w);
}

/* Multiply-adds of the state: the read before, the update (twice in the general form), the read after; three such scans back.
 */
static double flops(const wf_node *node, wf_pass pass) {
    const delta *a = node->attr;
    double one =
        (node->in[BETA] ? 6.0 : 8.0) * (double)tokens(a) * (double)a->heads * (double)a->key_dim * (double)a->value_dim;
    return pass == WF_FORWARD ? one : 3 * one;
}

const wf_op wf_op_delta = {.name = "delta",
                           .pieces = pieces,
                           .run = run,
                           .flops = flops,
                           .in_place = 1u << 1 | 1u << 2,
                           .saves_in = (1u << INPUTS) - 1,
                           .saves_out = 1u << KEPT};

static bool fits(const delta *a, wf_tensor *const *in) {
    int64_t keys = tokens(a) * a->qk_heads * a->key_dim;
    bool general = in[A] && in[B], decays_fit = a->decay == WF_DECAY_NONE || wf_decay_per_token(a->decay);
    return in[Q]->dims[0] == a->batch && in[Q]->dims[1] == a->t && in[Q]->count == keys && in[K]->count == keys &&
           a->heads % a->qk_heads == 0 && decays_fit && (in[G] != NULL) == (a->decay != WF_DECAY_NONE) &&
           (!in[G] || in[G]->count == tokens(a) * decays(a)) && (in[BETA] != NULL) != general &&
           (in[A] != NULL) == (in[B] != NULL) && (!in[BETA] || in[BETA]->count == tokens(a) * a->heads) &&
           (!in[A] || (in[A]->count == keys && in[B]->count == keys)) &&
           (!in[S_IN] || in[S_IN]->count == a->batch * a->heads * a->key_dim * a->value_dim);
}

static void set_memory(wf_node *node, const delta *a, bool training) {
    wf_delta_args args = {.batch = a->batch,
                          .t = a->t,
                          .heads = a->heads,
                          .qk_heads = a->qk_heads,
                          .key_dim = a->key_dim,
                          .value_dim = a->value_dim,
                          .decay = a->decay};
    size_t forward = wf_delta_scratch(&args, false), backward = training ? wf_delta_scratch(&args, true) : 0;
    node->scratch = forward > backward ? forward : backward;
    node->work[WF_BACKWARD] = map_parts(a, !node->in[BETA], NULL).count * sizeof(float);
}

static wf_node *record(wf_tape *t, wf_tensor *const *in, delta *a, bool want_state) {
    wf_tensor *out[3] = {wf_out(t, WF_F32, 4, in[V]->dims)};
    int n = 1;
    a->kept = a->s_out = -1;
    if (wf_tape_grad(t))
        out[a->kept = n++] = wf_out(t, WF_F32, 4, in[V]->dims);
    if (want_state)
        out[a->s_out = n++] = wf_out(t, WF_F32, 4, (int64_t[]){a->batch, a->heads, a->key_dim, a->value_dim});
    delta *attr = attr_copy(t, a, sizeof *a);
    wf_node *node = attr ? wf_record(t, &wf_op_delta, INPUTS, in, n, out, attr) : NULL;
    if (node)
        set_memory(node, a, wf_tape_grad(t));
    return node;
}

wf_tensor *wf_delta(wf_tape *t, wf_tensor *q, wf_tensor *k, wf_tensor *v, const wf_delta_spec *spec) {
    wf_no_output(spec->s_out);
    if (!q || !k || !v)
        return NULL;
    wf_tensor *in[INPUTS] = {q, k, v, spec->g, spec->beta, spec->a, spec->b, spec->s_in};
    for (int i = 0; i < INPUTS; i++)
        if (in[i] && !(in[i] = wf_cast(t, in[i], WF_F32)))
            return NULL;
    if (q->rank != 4 || k->rank != 4 || v->rank != 4)
        return wf_tape_error(t, WEFT_USAGE, "delta: q, k and v need a batch, a time, heads and channels");
    delta a = {.decay = spec->decay,
               .scale = spec->scale,
               .batch = v->dims[0],
               .t = v->dims[1],
               .heads = v->dims[2],
               .qk_heads = q->dims[2],
               .key_dim = q->dims[3],
               .value_dim = v->dims[3],
               .slices = wf_recurrence_slices(v->dims[3])};
    if (!fits(&a, in))
        return wf_tape_error(t, WEFT_USAGE,
                             "delta: the shapes of q, k, v, the decay, the correction and the state do not fit together");
    wf_node *node = record(t, in, &a, spec->s_out != NULL);
    if (node && spec->s_out)
        *spec->s_out = node->out[a.s_out];
    return node ? node->out[O] : NULL;
}
