/* decay_norm.c - the row factors of retention (Sun et al. 2023, arXiv 2307.08621, section 2.4; torchscale 0.3.0): o_t /
 * sqrt(n_t), n_t = sum_{j<=t} gamma^j counted from the start of the sequence, and, clamped, also / max(1, |sum_j q_t.k_j
 * gamma^(t-j) / sqrt(n_t)|). Factors are constants of the backward, as in the reference. A piece is one head of one sequence.
 */
#include <math.h>
#include "tensor/ops/elementwise.h"

enum { O, Q, K, Z_IN, INPUTS };
enum { Y, FACTORS, Z_OUT }; /* factors [B,T,H] */

typedef struct decay {
    const float *g; /* [H] ln gamma */
    int64_t t, heads, key_dim, value_dim;
} decay;

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? (int)(node->in[O]->dims[0] * node->in[O]->dims[2]) : 0;
}

/* z_t = gamma z_{t-1} + k_t, so that the clamped sum is q_t.z_t. */
static double clamp(const wf_node *node, int64_t row, float *z, float gamma, double factor, const wf_worker *w) {
    const decay *a = node->attr;
    w->k->scale(z, gamma, z, a->key_dim);
    w->k->add(z, z, (const float *)node->in[K]->data + row * a->key_dim, a->key_dim);
    double sum = fabs(w->k->dot((const float *)node->in[Q]->data + row * a->key_dim, z, a->key_dim) * factor);
    return sum > 1 ? factor / sum : factor;
}

static void forward(const wf_node *node, int64_t b, int64_t h, const wf_worker *w) {
    const decay *a = node->attr;
    float *z = w->scratch, *y = node->out[Y]->data, *factors = node->out[FACTORS]->data;
    int64_t start = w->rt->start ? w->rt->start[b] : 0, state = (b * a->heads + h) * a->key_dim;
    double g = (double)a->g[h];
    memset(z, 0, (size_t)a->key_dim * sizeof *z);
    if (node->in[Z_IN])
        memcpy(z, (const float *)node->in[Z_IN]->data + state, (size_t)a->key_dim * sizeof *z);
    for (int64_t t = 0; t < a->t; t++) {
        int64_t row = (b * a->t + t) * a->heads + h;
        double factor = sqrt(expm1(g) / expm1(g * (double)(start + t + 1)));
        if (node->in[Q])
            factor = clamp(node, row, z, (float)exp(g), factor, w);
        factors[row] = (float)factor;
        w->k->scale(y + row * a->value_dim, factors[row], (const float *)node->in[O]->data + row * a->value_dim, a->value_dim);
    }
    if (node->n_out > Z_OUT)
        memcpy((float *)node->out[Z_OUT]->data + state, z, (size_t)a->key_dim * sizeof *z);
}

static void backward(const wf_node *node, int64_t b, int64_t h, const wf_worker *w) {
    const decay *a = node->attr;
    const float *dy = node->out[Y]->grad, *factors = node->out[FACTORS]->data;
    float beta, *grad = wf_grad_in(node, O, w, &beta), *tmp = w->scratch;
    for (int64_t t = 0; grad && t < a->t; t++) {
        int64_t row = (b * a->t + t) * a->heads + h;
        if (dy)
            w->k->scale(tmp, factors[row], dy + row * a->value_dim, a->value_dim);
        else
            memset(tmp, 0, (size_t)a->value_dim * sizeof *tmp);
        wf_store(w, grad, WF_F32, row * a->value_dim, a->value_dim, tmp, beta);
    }
}

static void zero_rest(const wf_node *node, int64_t b, int64_t h, const wf_worker *w) {
    const decay *a = node->attr;
    float beta, *grad;
    for (int i = Q; i <= Z_IN; i++) {
        if (!(grad = wf_grad_in(node, i, w, &beta)) || beta != 0.0f)
            continue;
        for (int64_t t = 0; i < Z_IN && t < a->t; t++)
            memset(grad + ((b * a->t + t) * a->heads + h) * a->key_dim, 0, (size_t)a->key_dim * sizeof *grad);
        if (i == Z_IN)
            memset(grad + (b * a->heads + h) * a->key_dim, 0, (size_t)a->key_dim * sizeof *grad);
    }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const decay *a = node->attr;
    (void)phase;
    if (pass == WF_FORWARD) {
        forward(node, piece / a->heads, piece % a->heads, w);
        return;
    }
    backward(node, piece / a->heads, piece % a->heads, w);
    zero_rest(node, piece / a->heads, piece % a->heads, w);
}

const wf_op wf_op_decay_norm = {.name = "decay_norm",
                                .by_runtime = true,
                                .pieces = pieces,
                                .run = run,
                                .in_place = 1u << Z_OUT,
                                .saves_out = 1u << FACTORS};

wf_tensor *wf_decay_norm(wf_tape *t, wf_tensor *o, const wf_decay_norm_spec *spec) {
    if (!o)
        return NULL;
    wf_tensor *in[INPUTS] = {wf_cast(t, o, WF_F32), spec->q ? wf_cast(t, spec->q, WF_F32) : NULL,
                             spec->k ? wf_cast(t, spec->k, WF_F32) : NULL, spec->z_in};
    decay a = {.g = spec->g,
               .t = o->dims[1],
               .heads = o->dims[2],
               .key_dim = spec->q ? wf_dim(spec->q, -1) : 0,
               .value_dim = wf_dim(o, -1)};
    int64_t keys = o->dims[0] * a.t * a.heads * a.key_dim;
    if (o->rank != 4 || (in[Q] && (!in[K] || in[Q]->count != keys || in[K]->count != keys)) ||
        (spec->z_in && spec->z_in->count != keys / a.t))
        return wf_tape_error(t, WEFT_USAGE, "decay_norm: the shapes of o, q, k and the state do not fit together");
    bool state = spec->z_out && in[Q];
    wf_tensor *out[3] = {wf_out(t, WF_F32, 4, o->dims), wf_out(t, WF_F32, 3, o->dims), NULL};
    if (state)
        out[Z_OUT] = wf_out(t, WF_F32, 3, (int64_t[]){o->dims[0], a.heads, a.key_dim});
    decay *attr = attr_copy(t, &a, sizeof a);
    wf_node *node = attr ? wf_record(t, &wf_op_decay_norm, INPUTS, in, state ? 3 : 2, out, attr) : NULL;
    if (!node)
        return NULL;
    node->scratch = (size_t)(a.key_dim + a.value_dim) * sizeof(float);
    if (spec->z_out)
        *spec->z_out = out[Z_OUT];
    return out[Y];
}
