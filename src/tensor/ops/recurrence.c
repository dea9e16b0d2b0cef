/* recurrence.c - the matrix-state recurrence S_t = decay_t S_{t-1} + k_t v_t^T, o_t = S_t^T q_t on kernel L. */
#include "tensor/ops/matrix_state.h"

enum { U = G + 1, S_IN, INPUTS };
enum { O, S_OUT };

typedef struct recurrence {
    matrix_state size;
    const float *g_const;
} recurrence;

/* The backward's own memory: what cannot go straight into a gradient. */
typedef struct parts {
    float *dq, *dk, *dv, *dg, *du, *ds;
    size_t count;
} parts;
static parts map_parts(const matrix_state *a, float *base) {
    int64_t keys = a->slices * tokens_of(a) * a->heads * a->key_dim;
    parts p = {0};
    p.dq = carve(base, &p.count, keys);
    p.dk = carve(base, &p.count, keys);
    p.dv = carve(base, &p.count, tokens_of(a) * a->heads * a->value_dim);
    p.dg = carve(base, &p.count, a->slices * tokens_of(a) * decays_of(a));
    p.du = carve(base, &p.count, a->slices * a->batch * a->heads * a->key_dim);
    p.ds = carve(base, &p.count, state_count(a));
    return p;
}

static wf_recurrence_args forward_args(const wf_node *node) {
    const recurrence *op = node->attr;
    const matrix_state *a = &op->size;
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
                                .g = node->in[G] ? data_of(node->in[G]) : op->g_const,
                                .bonus = data_of(node->in[U]),
                                .scale = a->scale,
                                .s_in = data_of(node->in[S_IN]),
                                .o = data_of(node->out[O]),
                                .s_out = node->n_out > S_OUT ? data_of(node->out[S_OUT]) : NULL};
}

static wf_recurrence_args backward_args(const wf_node *node, const wf_worker *w) {
    const matrix_state *a = node->attr;
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

static void add_tokens(const wf_node *node, const wf_recurrence_args *args, int piece, const wf_worker *w) {
    const matrix_state *a = node->attr;
    int64_t first, end, width = a->heads * a->value_dim, gates = decays_of(a);
    head_rows rows = {tokens_of(a), a->heads, a->qk_heads, a->key_dim, a->slices};
    wf_split_bounds(tokens_of(a), token_pieces(a), piece, &first, &end);
    add_heads(node, Q, args->dq_part, first, end, &rows, w);
    add_heads(node, K, args->dk_part, first, end, &rows, w);
    add_parts(node, V, first * width, end * width, (sum_of){args->dv, 1, 0}, w);
    if (wf_decay_per_token(a->decay))
        add_parts(node, G, first * gates, end * gates, (sum_of){args->dg_part, a->slices, tokens_of(a) * gates}, w);
}

/* What has no token axis. */
static void add_rest(const wf_node *node, const wf_recurrence_args *args, const wf_worker *w) {
    const matrix_state *a = node->attr;
    int64_t gates = decays_of(a), keys = a->heads * a->key_dim;
    if (!wf_decay_per_token(a->decay))
        add_parts(node, G, 0, gates, (sum_of){args->dg_part, a->slices * tokens_of(a), gates}, w);
    add_parts(node, U, 0, keys, (sum_of){args->dbonus_part, a->slices * a->batch, keys}, w);
    if (node->in[S_IN])
        add_parts(node, S_IN, 0, node->in[S_IN]->count, (sum_of){args->ds_in, 1, 0}, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const matrix_state *a = node->attr;
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
    const matrix_state *a = node->attr;
    double one = 4.0 * (double)tokens_of(a) * (double)a->heads * (double)a->key_dim * (double)a->value_dim;
    return pass == WF_FORWARD ? one : 3 * one;
}

const wf_op wf_op_recurrence = {.name = "recurrence",
                                .pieces = state_pieces,
                                .run = run,
                                .flops = flops,
                                .in_place = 1u << S_OUT,
                                .saves_in = 1u << Q | 1u << K | 1u << V | 1u << G | 1u << U | 1u << S_IN};

static bool fits(const matrix_state *a, wf_tensor *const *in, const float *g_const) {
    int64_t gates = wf_decay_per_token(a->decay) ? tokens_of(a) * decays_of(a) : decays_of(a);
    bool given = in[G] || (a->decay == WF_DECAY_CONST && g_const);
    return state_fits(a, in, in[S_IN]) && given == (a->decay != WF_DECAY_NONE) && (!in[G] || in[G]->count == gates) &&
           (!in[U] || in[U]->count == a->heads * a->key_dim);
}

static void set_memory(wf_node *node, const matrix_state *a, bool training) {
    wf_recurrence_args args = forward_args(node);
    size_t forward = wf_recurrence_scratch(&args, false), backward = training ? wf_recurrence_scratch(&args, true) : 0;
    node->scratch = forward > backward ? forward : backward;
    node->work[WF_BACKWARD] = map_parts(a, NULL).count * sizeof(float);
}

wf_tensor *wf_recurrence(wf_tape *t, wf_tensor *q, wf_tensor *k, wf_tensor *v, const wf_recurrence_spec *spec) {
    wf_tensor *in[INPUTS] = {q, k, v, spec->g, spec->bonus, spec->s_in};
    recurrence op = {.size = {.decay = spec->decay, .scale = spec->scale}, .g_const = spec->g_const};
    const matrix_state *a = &op.size;
    wf_no_output(spec->s_out);
    if (!read_state(t, "recurrence", in, INPUTS, &op.size))
        return NULL;
    if (!fits(a, in, spec->g_const))
        return wf_tape_error(t, WEFT_USAGE, "recurrence: the shapes of q, k, v, the decay and the state do not fit together");
    int64_t state[] = {a->batch, a->heads, a->key_dim, a->value_dim};
    wf_tensor *out[2] = {wf_out(t, WF_F32, 4, v->dims), spec->s_out ? wf_out(t, WF_F32, 4, state) : NULL};
    recurrence *attr = attr_copy(t, &op, sizeof op);
    wf_node *node = attr ? wf_record(t, &wf_op_recurrence, INPUTS, in, spec->s_out ? 2 : 1, out, attr) : NULL;
    if (!node)
        return NULL;
    set_memory(node, a, wf_tape_grad(t));
    if (spec->s_out)
        *spec->s_out = out[S_OUT];
    return out[O];
}
