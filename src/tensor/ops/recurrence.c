/* recurrence.c - the matrix-state recurrence S_t = decay_t S_{t-1} + k_t v_t^T, o_t = S_t^T q_t on kernel L. A piece is one
 * slice of one head of one sequence; what slices and the heads of a group share is summed in order by a second phase. */
#include "tensor/ops/parts.h"

enum { Q, K, V, G, U, S_IN };
enum { O, S_OUT };

typedef struct recurrence {
    wf_decay decay;
    const float *g_const;
    float scale;
    int64_t batch, t, heads, qk_heads, key_dim, value_dim, slices;
} recurrence;

static int64_t tokens(const recurrence *a) { return a->batch * a->t; }
/* Log decays per token. */
static int64_t decays(const recurrence *a) {
    return a->decay == WF_DECAY_NONE ? 0 : wf_decay_per_channel(a->decay) ? a->heads * a->key_dim : a->heads;
}

/* The backward's own memory: what cannot go straight into a gradient. */
typedef struct parts {
    float *dq, *dk, *dv, *dg, *du, *ds;
    size_t count;
} parts;
static parts map_parts(const recurrence *a, float *base) {
    int64_t keys = a->slices * tokens(a) * a->heads * a->key_dim;
    parts p = {0};
    p.dq = carve(base, &p.count, keys);
    p.dk = carve(base, &p.count, keys);
    p.dv = carve(base, &p.count, tokens(a) * a->heads * a->value_dim);
    p.dg = carve(base, &p.count, a->slices * tokens(a) * decays(a));
    p.du = carve(base, &p.count, a->slices * a->batch * a->heads * a->key_dim);
    p.ds = carve(base, &p.count, a->batch * a->heads * a->key_dim * a->value_dim);
    return p;
}

static wf_recurrence_args forward_args(const wf_node *node) {
    const recurrence *a = node->attr;
    return (wf_recurrence_args){.batch = a->batch,
                                .t = a->t,
                                .heads = a->heads,
                                .qk_heads = a->qk_heads,
                                .key_dim = a->key_dim,
                                .value_dim = a->value_dim,
                                .q = data_of(node->in[Q]),
                                .k = data_of(node->in[K]),
                                .v = data_of(node->in[V]),
                                .decay = a->decay,
                                .g = node->in[G] ? data_of(node->in[G]) : a->g_const,
                                .bonus = data_of(node->in[U]),
                                .scale = a->scale,
                                .s_in = data_of(node->in[S_IN]),
                                .o = data_of(node->out[O]),
                                .s_out = node->n_out > S_OUT ? data_of(node->out[S_OUT]) : NULL};
}

static wf_recurrence_args backward_args(const wf_node *node, const wf_worker *w) {
    const recurrence *a = node->attr;
    wf_recurrence_args args = forward_args(node);
    parts p = map_parts(a, node->work_data[WF_BACKWARD]);
    bool one = a->slices == 1, single = one && a->heads == a->qk_heads;
    args.o = args.s_out = NULL;
    args.do_ = node->out[O]->grad;
    args.ds_out = node->n_out > S_OUT ? node->out[S_OUT]->grad : NULL;
    args.dq_part = direct_or(node, Q, single, p.dq, w);
    args.dk_part = direct_or(node, K, single, p.dk, w);
    args.dv = direct_or(node, V, true, p.dv, w);
    args.dg_part = node->grad_mode[G] ? direct_or(node, G, one && wf_decay_per_token(a->decay), p.dg, w) : NULL;
    args.dbonus_part = node->grad_mode[U] ? p.du : NULL;
    args.ds_in = node->grad_mode[S_IN] ? direct_or(node, S_IN, true, p.ds, w) : NULL;
    return args;
}

static int token_pieces(const recurrence *a) { return wf_split_pieces(tokens(a), 64); }

static void add_tokens(const wf_node *node, const wf_recurrence_args *args, int piece, const wf_worker *w) {
    const recurrence *a = node->attr;
    int64_t first, end, width = a->heads * a->value_dim, gates = decays(a);
    head_rows rows = {tokens(a), a->heads, a->qk_heads, a->key_dim, a->slices};
    wf_split_bounds(tokens(a), token_pieces(a), piece, &first, &end);
    add_heads(node, Q, args->dq_part, first, end, &rows, w);
    add_heads(node, K, args->dk_part, first, end, &rows, w);
    add_parts(node, V, first * width, end * width, (sum_of){args->dv, 1, 0}, w);
    if (wf_decay_per_token(a->decay))
        add_parts(node, G, first * gates, end * gates, (sum_of){args->dg_part, a->slices, tokens(a) * gates}, w);
}

/* What has no token axis. */
static void add_rest(const wf_node *node, const wf_recurrence_args *args, const wf_worker *w) {
    const recurrence *a = node->attr;
    int64_t gates = decays(a), keys = a->heads * a->key_dim;
    if (!wf_decay_per_token(a->decay))
        add_parts(node, G, 0, gates, (sum_of){args->dg_part, a->slices * tokens(a), gates}, w);
    add_parts(node, U, 0, keys, (sum_of){args->dbonus_part, a->slices * a->batch, keys}, w);
    if (node->in[S_IN])
        add_parts(node, S_IN, 0, node->in[S_IN]->count, (sum_of){args->ds_in, 1, 0}, w);
}

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const recurrence *a = node->attr;
    if (phase == 0)
        return (int)(a->batch * a->heads * a->slices);
    return pass == WF_BACKWARD && phase == 1 ? token_pieces(a) + 1 : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const recurrence *a = node->attr;
    int64_t slice = piece % a->slices, head = piece / a->slices % a->heads, batch = piece / a->slices / a->heads;
    wf_recurrence_args args = pass == WF_FORWARD ? forward_args(node) : backward_args(node, w);
    if (pass == WF_FORWARD)
        w->k->recurrence(&args, batch, head, slice, w->scratch);
    else if (phase == 0)
        w->k->recurrence_back(&args, batch, head, slice, w->scratch);
    else if (piece < token_pieces(a))
        add_tokens(node, &args, piece, w);
    else
        add_rest(node, &args, w);
}

/* Multiply-adds of the state: two in the forward; in the backward two for each of dq, dk and dv. */
static double flops(const wf_node *node, wf_pass pass) {
    const recurrence *a = node->attr;
    double one = 4.0 * (double)tokens(a) * (double)a->heads * (double)a->key_dim * (double)a->value_dim;
    return pass == WF_FORWARD ? one : 3 * one;
}

const wf_op wf_op_recurrence = {.name = "recurrence",
                                .pieces = pieces,
                                .run = run,
                                .flops = flops,
                                .in_place = 1u << S_OUT,
                                .saves_in = 1u << Q | 1u << K | 1u << V | 1u << G | 1u << U | 1u << S_IN};

static bool fits(const recurrence *a, wf_tensor *const *in, const wf_recurrence_spec *spec) {
    int64_t gates = wf_decay_per_token(a->decay) ? tokens(a) * decays(a) : decays(a);
    bool given = in[G] || (a->decay == WF_DECAY_CONST && spec->g_const);
    return in[Q]->dims[0] == a->batch && in[Q]->dims[1] == a->t && in[K]->count == in[Q]->count &&
           in[K]->dims[2] == a->qk_heads && a->heads % a->qk_heads == 0 && given == (a->decay != WF_DECAY_NONE) &&
           (!in[G] || in[G]->count == gates) && (!in[U] || in[U]->count == a->heads * a->key_dim) &&
           (!in[S_IN] || in[S_IN]->count == a->batch * a->heads * a->key_dim * a->value_dim);
}

static void set_memory(wf_node *node, const recurrence *a, bool training) {
    wf_recurrence_args args = {.batch = a->batch,
                               .t = a->t,
                               .heads = a->heads,
                               .qk_heads = a->qk_heads,
                               .key_dim = a->key_dim,
                               .value_dim = a->value_dim,
                               .decay = a->decay};
    size_t forward = wf_recurrence_scratch(&args, false), backward = training ? wf_recurrence_scratch(&args, true) : 0;
    node->scratch = forward > backward ? forward : backward;
    node->work[WF_BACKWARD] = map_parts(a, NULL).count * sizeof(float);
}

wf_tensor *wf_recurrence(wf_tape *t, wf_tensor *q, wf_tensor *k, wf_tensor *v, const wf_recurrence_spec *spec) {
    wf_no_output(spec->s_out);
    if (!q || !k || !v)
        return NULL;
    wf_tensor *in[] = {q, k, v, spec->g, spec->bonus, spec->s_in};
    for (int i = 0; i < 6; i++)
        if (in[i] && !(in[i] = wf_cast(t, in[i], WF_F32)))
            return NULL;
    if (q->rank != 4 || k->rank != 4 || v->rank != 4)
        return wf_tape_error(t, WEFT_USAGE, "recurrence: q, k and v need a batch, a time, heads and channels");
    recurrence a = {.decay = spec->decay,
                    .g_const = spec->g_const,
                    .scale = spec->scale,
                    .batch = v->dims[0],
                    .t = v->dims[1],
                    .heads = v->dims[2],
                    .qk_heads = q->dims[2],
                    .key_dim = q->dims[3],
                    .value_dim = v->dims[3],
                    .slices = wf_recurrence_slices(v->dims[3])};
    if (!fits(&a, in, spec))
        return wf_tape_error(t, WEFT_USAGE, "recurrence: the shapes of q, k, v, the decay and the state do not fit together");
    int64_t state[] = {a.batch, a.heads, a.key_dim, a.value_dim};
    wf_tensor *out[2] = {wf_out(t, WF_F32, 4, v->dims), spec->s_out ? wf_out(t, WF_F32, 4, state) : NULL};
    recurrence *attr = attr_copy(t, &a, sizeof a);
    wf_node *node = attr ? wf_record(t, &wf_op_recurrence, 6, in, spec->s_out ? 2 : 1, out, attr) : NULL;
    if (!node)
        return NULL;
    set_memory(node, &a, wf_tape_grad(t));
    if (spec->s_out)
        *spec->s_out = out[S_OUT];
    return out[O];
}
