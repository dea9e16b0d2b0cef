/* favor.c - the positive random features of Performer (Choromanski et al. 2021, arXiv 2009.14794, lemma 1): of projections h
 * [B,T,H,R] of rows u [B,T,H,K], phi = R^-1/2 (e^{h - |u|^2/2 - st} + eps). The stabiliser st is nothing, the largest h of the
 * row, or that of the head's whole sequence, and a constant of the backward. A piece is one head of one sequence. */
#include <math.h>
#include "tensor/ops/elementwise.h"

enum { H, U };

typedef struct favor {
    wf_favor_stabiliser kind;
    float eps;
} favor;

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? (int)(node->in[H]->dims[0] * node->in[H]->dims[2]) : 0;
}

static float largest(const float *x, int64_t n, float most) {
    for (int64_t i = 0; i < n; i++)
        most = x[i] > most ? x[i] : most;
    return most;
}

typedef struct head {             /* rows of one head of one sequence */
    int64_t t, first, step, r, k; /* row i is first + i*step */
    float stabiliser;
} head;

static head locate(const wf_node *node, int piece) {
    const favor *a = node->attr;
    const wf_tensor *h = node->in[H];
    int64_t heads = h->dims[2], b = piece / heads;
    head at = {.t = h->dims[1],
               .first = b * h->dims[1] * heads + piece % heads,
               .step = heads,
               .r = h->dims[3],
               .k = node->in[U]->dims[3]};
    if (a->kind != WF_FAVOR_SEQUENCE)
        return at;
    at.stabiliser = -INFINITY;
    for (int64_t i = 0; i < at.t; i++)
        at.stabiliser = largest((const float *)h->data + (at.first + i * at.step) * at.r, at.r, at.stabiliser);
    return at;
}

/* e = e^{h - |u|^2/2 - st} of a row. */
static void exponentials(const wf_node *node, const head *at, int64_t row, float *e, const wf_worker *w) {
    const float *h = (const float *)node->in[H]->data + row * at->r, *u = (const float *)node->in[U]->data + row * at->k;
    float off = (float)(0.5 * w->k->sum_squares(u, at->k)) +
                (((const favor *)node->attr)->kind == WF_FAVOR_ROW ? largest(h, at->r, -INFINITY) : at->stabiliser);
    for (int64_t i = 0; i < at->r; i++)
        e[i] = h[i] - off;
    w->k->activate(WF_EXP, e, e, at->r);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    head at = locate(node, piece);
    float *e = w->scratch, *du = e + at.r, norm = 1.0f / sqrtf((float)at.r);
    (void)phase;
    for (int64_t i = 0; i < at.t; i++) {
        int64_t row = at.first + i * at.step;
        double sum = 0.0;
        exponentials(node, &at, row, e, w);
        if (pass == WF_FORWARD) {
            for (int64_t j = 0; j < at.r; j++)
                ((float *)node->out[0]->data)[row * at.r + j] = norm * (e[j] + ((const favor *)node->attr)->eps);
            continue;
        }
        w->k->mul(e, e, (const float *)node->out[0]->grad + row * at.r, at.r);
        w->k->scale(e, norm, e, at.r);
        for (int64_t j = 0; j < at.r; j++)
            sum += (double)e[j];
        w->k->scale(du, (float)-sum, (const float *)node->in[U]->data + row * at.k, at.k);
        store_din(node, H, row * at.r, at.r, e, w);
        store_din(node, U, row * at.k, at.k, du, w);
    }
}

const wf_op wf_op_favor = {.name = "favor", .pieces = pieces, .run = run, .saves_in = 1u << H | 1u << U};

wf_tensor *wf_favor(wf_tape *t, wf_tensor *h, wf_tensor *u, wf_favor_stabiliser kind, float eps) {
    if (!h || !u || !(h = wf_cast(t, h, WF_F32)) || !(u = wf_cast(t, u, WF_F32)))
        return NULL;
    if (h->rank != 4 || u->rank != 4 || wf_row_count(h) != wf_row_count(u))
        return wf_tape_error(t, WEFT_USAGE, "favor: the rows of the projection are not those of u");
    favor *attr = attr_copy(t, &(favor){kind, eps}, sizeof(favor));
    wf_tensor *y = attr ? record_like(t, &wf_op_favor, 2, (wf_tensor *[]){h, u}, h, WF_F32, attr) : NULL;
    if (y)
        y->producer->scratch = (size_t)(wf_dim(h, -1) + wf_dim(u, -1)) * sizeof(float);
    return y;
}
