/* delta.c - the matrix state with a rank-one correction on kernel D: the delta rule, S_t = D_t S_{t-1} + beta_t k_t (v_t - (D_t
 * S_{t-1})^T k_t)^T, or the general form S_t = D_t S_{t-1} + b_t (a_t^T S_{t-1}) + k_t v_t^T; o_t = S_t^T q_t. */
#include "tensor/ops/matrix_state.h"

enum { BETA = G + 1, A, B, S_IN, INPUTS };
enum { O, KEPT }; /* then the state; without a backward nothing is kept and the state comes second */

typedef struct delta {
    matrix_state size;
    int s_out, kept; /* index among the outputs, -1: not there */
} delta;

/* The backward's own memory: what cannot go straight into a gradient. */
typedef struct parts {
    float *dq, *dk, *da, *db, *dv, *de, *dg, *dbeta, *ds;
    size_t count;
} parts;
static parts map_parts(const matrix_state *a, bool general, float *base) {
    int64_t keys = a->slices * tokens_of(a) * a->heads * a->key_dim, values = tokens_of(a) * a->heads * a->value_dim;
    parts p = {0};
    p.dq = carve(base, &p.count, keys);
    p.dk = carve(base, &p.count, keys);
    p.da = carve(base, &p.count, general ? keys : 0);
    p.db = carve(base, &p.count, general ? keys : 0);
    p.dv = carve(base, &p.count, values);
    p.de = carve(base, &p.count, values);
    p.dg = carve(base, &p.count, a->slices * tokens_of(a) * decays_of(a));
    p.dbeta = carve(base, &p.count, general ? 0 : a->slices * tokens_of(a) * a->heads);
    p.ds = carve(base, &p.count, state_count(a));
    return p;
}

static float *output(const wf_node *node, int i) { return i < 0 ? NULL : node->out[i]->data; }

static wf_delta_args forward_args(const wf_node *node) {
    const delta *d = node->attr;
    const matrix_state *a = &d->size;
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
                           .s_out = output(node, d->s_out),
                           .e = output(node, d->kept)};
}

static wf_delta_args backward_args(const wf_node *node, const wf_worker *w) {
    const delta *d = node->attr;
    const matrix_state *a = &d->size;
    wf_delta_args args = forward_args(node);
    parts p = map_parts(a, !node->in[BETA], node->work_data[WF_BACKWARD]);
    bool one = a->slices == 1, single = one && a->heads == a->qk_heads;
    args.o = args.s_out = NULL;
    args.do_ = node->out[O]->grad;
    args.ds_out = d->s_out < 0 ? NULL : node->out[d->s_out]->grad;
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

static void add_tokens(const wf_node *node, const wf_delta_args *args, int piece, const wf_worker *w) {
    const matrix_state *a = node->attr;
    int64_t first, end, values = a->heads * a->value_dim, gates = decays_of(a);
    head_rows rows = {tokens_of(a), a->heads, a->qk_heads, a->key_dim, a->slices};
    wf_split_bounds(tokens_of(a), token_pieces(a), piece, &first, &end);
    add_heads(node, Q, args->dq_part, first, end, &rows, w);
    add_heads(node, K, args->dk_part, first, end, &rows, w);
    add_heads(node, A, args->da_part, first, end, &rows, w);
    add_heads(node, B, args->db_part, first, end, &rows, w);
    add_parts(node, V, first * values, end * values, (sum_of){args->dv, 1, 0}, w);
    add_parts(node, G, first * gates, end * gates, (sum_of){args->dg_part, a->slices, tokens_of(a) * gates}, w);
    add_parts(node, BETA, first * a->heads, end * a->heads, (sum_of){args->dbeta_part, a->slices, tokens_of(a) * a->heads}, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const matrix_state *a = node->attr;
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
    const matrix_state *a = node->attr;
    double one =
        (node->in[BETA] ? 6.0 : 8.0) * (double)tokens_of(a) * (double)a->heads * (double)a->key_dim * (double)a->value_dim;
    return pass == WF_FORWARD ? one : 3 * one;
}

const wf_op wf_op_delta = {.name = "delta",
                           .pieces = state_pieces,
                           .run = run,
                           .flops = flops,
                           .in_place = 1u << 1 | 1u << 2,
                           .saves_in = (1u << INPUTS) - 1,
                           .saves_out = 1u << KEPT};

static bool fits(const matrix_state *a, wf_tensor *const *in) {
    int64_t keys = in[Q]->count;
    bool general = in[A] && in[B], decays_fit = a->decay == WF_DECAY_NONE || wf_decay_per_token(a->decay);
    return state_fits(a, in, in[S_IN]) && decays_fit && (in[G] != NULL) == (a->decay != WF_DECAY_NONE) &&
           (!in[G] || in[G]->count == tokens_of(a) * decays_of(a)) && (in[BETA] != NULL) != general &&
           (in[A] != NULL) == (in[B] != NULL) && (!in[BETA] || in[BETA]->count == tokens_of(a) * a->heads) &&
           (!in[A] || (in[A]->count == keys && in[B]->count == keys));
}

static void set_memory(wf_node *node, const matrix_state *a, bool training) {
    wf_delta_args args = forward_args(node);
    size_t forward = wf_delta_scratch(&args, false), backward = training ? wf_delta_scratch(&args, true) : 0;
    node->scratch = forward > backward ? forward : backward;
    node->work[WF_BACKWARD] = map_parts(a, !node->in[BETA], NULL).count * sizeof(float);
}

static wf_node *record(wf_tape *t, wf_tensor *const *in, delta *d, bool want_state) {
    const matrix_state *a = &d->size;
    wf_tensor *out[3] = {wf_out(t, WF_F32, 4, in[V]->dims)};
    int n = 1;
    d->kept = d->s_out = -1;
    if (wf_tape_grad(t))
        out[d->kept = n++] = wf_out(t, WF_F32, 4, in[V]->dims);
    if (want_state)
        out[d->s_out = n++] = wf_out(t, WF_F32, 4, (int64_t[]){a->batch, a->heads, a->key_dim, a->value_dim});
    delta *attr = attr_copy(t, d, sizeof *d);
    wf_node *node = attr ? wf_record(t, &wf_op_delta, INPUTS, in, n, out, attr) : NULL;
    if (node)
        set_memory(node, a, wf_tape_grad(t));
    return node;
}

wf_tensor *wf_delta(wf_tape *t, wf_tensor *q, wf_tensor *k, wf_tensor *v, const wf_delta_spec *spec) {
    wf_tensor *in[INPUTS] = {q, k, v, spec->g, spec->beta, spec->a, spec->b, spec->s_in};
    delta d = {.size = {.decay = spec->decay, .scale = spec->scale}};
    wf_no_output(spec->s_out);
    if (!read_state(t, "delta", in, INPUTS, &d.size))
        return NULL;
    if (!fits(&d.size, in))
        return wf_tape_error(t, WEFT_USAGE,
                             "delta: the shapes of q, k, v, the decay, the correction and the state do not fit together");
    wf_node *node = record(t, in, &d, spec->s_out != NULL);
    if (node && spec->s_out)
        *spec->s_out = node->out[d.s_out];
    return node ? node->out[O] : NULL;
}
