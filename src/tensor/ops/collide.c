/* collide.c - attention by the chance that hashes meet (YOSO, Zeng et al. 2021, arXiv 2111.09714, section 3): y_i = sum_j w_ij
 * v_j, w_ij = (1 - arccos(q_i . k_j) / pi)^bits for unit q and k. The backward is the paper's: dw_ij = bits/2 w_ij d(q_i .
 * k_j), which stays finite where the arc cosine does not. A piece is one head of one sequence. */
#include <math.h>
#include "tensor/ops/elementwise.h"

enum { Q, K, V };
typedef struct collide {
    int64_t bits;
} collide;

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? (int)(node->in[Q]->dims[0] * node->in[Q]->dims[2]) : 0;
}

typedef struct lines { /* rows of one head of one sequence */
    const float *q, *k, *v;
    int64_t at, value_at, step, value_step, rows, width, value_width, bits;
} lines;

static float chance(const lines *l, int64_t i, int64_t j, const wf_worker *w) {
    double cosine = w->k->dot(l->q + i * l->step, l->k + j * l->step, l->width);
    double p = 1.0 - acos(cosine > 1.0 ? 1.0 : cosine < -1.0 ? -1.0 : cosine) / 3.14159265358979323846, all = 1.0;
    for (int64_t n = 0; n < l->bits; n++)
        all *= p;
    return (float)all;
}

static void forward(const wf_node *node, const lines *l, wf_worker *w) {
    float *y = (float *)node->out[0]->data + l->value_at;
    for (int64_t i = 0; i < l->rows; i++) {
        memset(y + i * l->value_step, 0, (size_t)l->value_width * sizeof *y);
        for (int64_t j = 0; j < l->rows; j++)
            w->k->axpy(y + i * l->value_step, chance(l, i, j, w), l->v + j * l->value_step, l->value_width);
    }
}

/* The gradient of an input, at the first row of this head; zero where it is written first. NULL: not wanted. */
static float *open_grad(const wf_node *node, int i, const lines *l, wf_worker *w) {
    float beta, *grad = wf_grad_in(node, i, w, &beta);
    int64_t step = i == V ? l->value_step : l->step, width = i == V ? l->value_width : l->width;
    grad = grad ? grad + (i == V ? l->value_at : l->at) : NULL;
    for (int64_t t = 0; grad && beta == 0.0f && t < l->rows; t++)
        memset(grad + t * step, 0, (size_t)width * sizeof *grad);
    return grad;
}

static void backward(const wf_node *node, const lines *l, wf_worker *w) {
    const float *dy = (const float *)node->out[0]->grad + l->value_at;
    float *dq = open_grad(node, Q, l, w), *dk = open_grad(node, K, l, w), *dv = open_grad(node, V, l, w);
    for (int64_t i = 0; i < l->rows; i++)
        for (int64_t j = 0; j < l->rows; j++) {
            float p = chance(l, i, j, w);
            double dp = w->k->dot(dy + i * l->value_step, l->v + j * l->value_step, l->value_width);
            float d = (float)(dp * (double)p * (double)l->bits / 2.0);
            if (dv)
                w->k->axpy(dv + j * l->value_step, p, dy + i * l->value_step, l->value_width);
            if (dq)
                w->k->axpy(dq + i * l->step, d, l->k + j * l->step, l->width);
            if (dk)
                w->k->axpy(dk + j * l->step, d, l->q + i * l->step, l->width);
        }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const wf_tensor *q = node->in[Q], *v = node->in[V];
    int64_t heads = q->dims[2], first = piece / heads * q->dims[1] * heads + piece % heads;
    lines l = {.at = first * q->dims[3],
               .value_at = first * v->dims[3],
               .step = heads * q->dims[3],
               .value_step = heads * v->dims[3],
               .rows = q->dims[1],
               .width = q->dims[3],
               .value_width = v->dims[3],
               .bits = ((const collide *)node->attr)->bits};
    l.q = (const float *)q->data + l.at;
    l.k = (const float *)node->in[K]->data + l.at;
    l.v = (const float *)v->data + l.value_at;
    (void)phase;
    if (pass == WF_FORWARD)
        forward(node, &l, w);
    else
        backward(node, &l, w);
}

/* A product of rows for every pair, and one of its weight and the value; backward five of the kind. */
static double flops(const wf_node *node, wf_pass pass) {
    const wf_tensor *q = node->in[0], *v = node->in[2];
    double one = 2.0 * (double)(q->count + v->count) * (double)q->dims[1];
    return pass == WF_FORWARD ? one : 2.5 * one;
}

const wf_op wf_op_collide = {.name = "collide", .pieces = pieces, .run = run, .flops = flops, .saves_in = 7};

wf_tensor *wf_collide(wf_tape *t, wf_tensor *q, wf_tensor *k, wf_tensor *v, int64_t bits) {
    q = q ? wf_cast(t, q, WF_F32) : NULL;
    k = k ? wf_cast(t, k, WF_F32) : NULL;
    v = v ? wf_cast(t, v, WF_F32) : NULL;
    if (!q || !k || !v)
        return NULL;
    if (q->rank != 4 || k->rank != 4 || v->rank != 4 || memcmp(q->dims, k->dims, 4 * sizeof *q->dims) != 0 ||
        memcmp(q->dims, v->dims, 3 * sizeof *q->dims) != 0 || bits < 1 || bits > 64)
        return wf_tape_error(t, WEFT_USAGE, "collide: the shapes of q, k and v do not fit");
    collide *a = attr_copy(t, &(collide){bits}, sizeof(collide));
    return a ? record_like(t, &wf_op_collide, 3, (wf_tensor *[]){q, k, v}, v, WF_F32, a) : NULL;
}
