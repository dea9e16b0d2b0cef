/* normalise_sum.c - the denominators of linear attention (Katharopoulos et al. 2020, arXiv 2006.16236, eq. 4 and 9): y_t = o_t
 * / (q_t.z_t + eps), z_t the sum of the keys up to t, or of all keys. A piece is one head of one sequence. */
#include "tensor/ops/elementwise.h"

enum { O, Q, K, Z_IN, INPUTS };
enum { Y, INVERSE, Z_OUT }; /* 1 / denominator, [B,T,H] */

typedef struct normalise {
    int64_t batch, t, s, heads, key_dim, value_dim;
    bool causal, inside;
    float eps;
} normalise;

typedef struct head_at {
    int64_t b, h;
} head_at;
static head_at locate(const normalise *a, int piece) { return (head_at){piece / a->heads, piece % a->heads}; }
/* Index of row t of a head in [B,length,H,width]. */
static int64_t row(const normalise *a, head_at at, int64_t length, int64_t t, int64_t width) {
    return ((at.b * length + t) * a->heads + at.h) * width;
}
static const float *input_row(const wf_node *node, int i, head_at at, int64_t t) {
    const wf_tensor *x = node->in[i];
    return (const float *)x->data + row(node->attr, at, x->dims[1], t, x->dims[3]);
}

/* z before the first query: the state, or without causality the sum of all keys; with eps inside, plus eps. */
static void start(const wf_node *node, head_at at, float *z, const wf_worker *w) {
    const normalise *a = node->attr;
    const float *z_in = node->in[Z_IN] ? (const float *)node->in[Z_IN]->data + (at.b * a->heads + at.h) * a->key_dim : NULL;
    for (int64_t d = 0; d < a->key_dim; d++)
        z[d] = (z_in ? z_in[d] : 0.0f) + (a->inside ? a->eps : 0.0f);
    for (int64_t s = 0; !a->causal && s < a->s; s++)
        w->k->add(z, z, input_row(node, K, at, s), a->key_dim);
}

static void forward(const wf_node *node, head_at at, const wf_worker *w) {
    const normalise *a = node->attr;
    float *z = w->scratch, *y = node->out[Y]->data, *inverse = node->out[INVERSE]->data;
    start(node, at, z, w);
    for (int64_t t = 0; t < a->t; t++) {
        if (a->causal)
            w->k->add(z, z, input_row(node, K, at, t), a->key_dim);
        double sum = w->k->dot(input_row(node, Q, at, t), z, a->key_dim) + (a->inside ? 0.0 : (double)a->eps);
        float by = (float)(1.0 / sum);
        inverse[row(a, at, a->t, t, 1)] = by;
        w->k->scale(y + row(a, at, a->t, t, a->value_dim), by, input_row(node, O, at, t), a->value_dim);
    }
    if (node->n_out <= Z_OUT)
        return;
    float *z_out = (float *)node->out[Z_OUT]->data + (at.b * a->heads + at.h) * a->key_dim;
    for (int64_t d = 0; d < a->key_dim; d++)
        z_out[d] = z[d] - (a->inside ? a->eps : 0.0f);
}

static void store(const wf_node *node, int i, int64_t first, int64_t n, const float *values, const wf_worker *w) {
    float beta, *grad = wf_grad_in(node, i, w, &beta);
    if (grad)
        wf_store(w, grad, WF_F32, first, n, values, beta);
}

/* With d the gradient of a denominator, -<dy, y> / denominator: do = dy / denominator, dq = d z. */
static void back_rows(const wf_node *node, head_at at, float *d, const wf_worker *w) {
    const normalise *a = node->attr;
    const float *y = node->out[Y]->data, *dy = node->out[Y]->grad, *inverse = node->out[INVERSE]->data;
    float *z = w->scratch, *tmp = z + a->key_dim;
    start(node, at, z, w);
    for (int64_t t = 0; t < a->t; t++) {
        int64_t value = row(a, at, a->t, t, a->value_dim), one = row(a, at, a->t, t, 1);
        if (a->causal)
            w->k->add(z, z, input_row(node, K, at, t), a->key_dim);
        d[one] = dy ? (float)(-w->k->dot(dy + value, y + value, a->value_dim) * (double)inverse[one]) : 0.0f;
        w->k->scale(tmp, d[one], z, a->key_dim);
        store(node, Q, row(a, at, a->t, t, a->key_dim), a->key_dim, tmp, w);
        if (!dy)
            memset(tmp, 0, (size_t)a->value_dim * sizeof *tmp);
        else
            w->k->scale(tmp, inverse[one], dy + value, a->value_dim);
        store(node, O, value, a->value_dim, tmp, w);
    }
}

/* dk_s = sum of d_t q_t over the queries that counted key s, plus the gradient of the last state. */
static void back_keys(const wf_node *node, head_at at, const float *d, const wf_worker *w) {
    const normalise *a = node->attr;
    float *sum = w->scratch;
    const float *last = node->n_out > Z_OUT ? node->out[Z_OUT]->grad : NULL;
    int64_t state = (at.b * a->heads + at.h) * a->key_dim;
    memset(sum, 0, (size_t)a->key_dim * sizeof *sum);
    if (last)
        w->k->add(sum, sum, last + state, a->key_dim);
    for (int64_t t = a->t - 1; t >= 0; t--) {
        w->k->axpy(sum, d[row(a, at, a->t, t, 1)], input_row(node, Q, at, t), a->key_dim);
        if (a->causal)
            store(node, K, row(a, at, a->t, t, a->key_dim), a->key_dim, sum, w);
    }
    for (int64_t s = 0; !a->causal && s < a->s; s++)
        store(node, K, row(a, at, a->s, s, a->key_dim), a->key_dim, sum, w);
    store(node, Z_IN, state, a->key_dim, sum, w);
}

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const normalise *a = node->attr;
    (void)pass;
    return phase == 0 ? (int)(a->batch * a->heads) : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    head_at at = locate(node->attr, piece);
    (void)phase;
    if (pass == WF_FORWARD) {
        forward(node, at, w);
        return;
    }
    back_rows(node, at, node->work_data[WF_BACKWARD], w);
    back_keys(node, at, node->work_data[WF_BACKWARD], w);
}

const wf_op wf_op_normalise_sum = {.name = "normalise_sum",
                                   .pieces = pieces,
                                   .run = run,
                                   .in_place = 1u << Z_OUT,
                                   .saves_in = 1u << Q | 1u << K | 1u << Z_IN,
                                   .saves_out = 1u << Y | 1u << INVERSE};

wf_tensor *wf_normalise_sum(wf_tape *t, wf_tensor *o, wf_tensor *q, wf_tensor *k, const wf_normalise_spec *spec) {
    if (!o || !q || !k)
        return NULL;
    wf_tensor *in[INPUTS] = {wf_cast(t, o, WF_F32), wf_cast(t, q, WF_F32), wf_cast(t, k, WF_F32), spec->z_in};
    if (!in[O] || !in[Q] || !in[K])
        return NULL;
    if (o->rank != 4 || q->rank != 4 || k->rank != 4 || o->dims[2] != q->dims[2] || k->dims[2] != q->dims[2] ||
        k->dims[3] != q->dims[3] || o->dims[1] != q->dims[1] || (spec->causal && k->dims[1] != q->dims[1]) ||
        (spec->z_in && spec->z_in->count != q->count / q->dims[1]))
        return wf_tape_error(t, WEFT_USAGE, "normalise_sum: the shapes of o, q, k and the state do not fit together");
    normalise a = {.batch = q->dims[0],
                   .t = q->dims[1],
                   .s = k->dims[1],
                   .heads = q->dims[2],
                   .key_dim = q->dims[3],
                   .value_dim = o->dims[3],
                   .causal = spec->causal,
                   .inside = spec->eps_inside,
                   .eps = spec->eps};
    wf_tensor *out[3] = {wf_out(t, WF_F32, 4, o->dims), wf_out(t, WF_F32, 3, q->dims), NULL};
    if (spec->z_out)
        out[Z_OUT] = wf_out(t, WF_F32, 3, (int64_t[]){a.batch, a.heads, a.key_dim});
    normalise *attr = attr_copy(t, &a, sizeof a);
    wf_node *node = attr ? wf_record(t, &wf_op_normalise_sum, INPUTS, in, spec->z_out ? 3 : 2, out, attr) : NULL;
    if (!node)
        return NULL;
    node->scratch = (size_t)(2 * a.key_dim + a.value_dim) * sizeof(float);
    node->work[WF_BACKWARD] = (size_t)(a.batch * a.t * a.heads) * sizeof(float);
    if (spec->z_out)
        *spec->z_out = out[Z_OUT];
    return out[Y];
}
