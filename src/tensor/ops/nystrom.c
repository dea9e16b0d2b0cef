/* nystrom.c - y = Z u, where Z approaches the pseudo-inverse of A = softmax(q k^T) over the landmarks: Z_0 = A^T / (the largest
 * column sum of any A), six steps of Z = Z/4 (13 I - a (15 I - a (7 I - a))), a = A Z (Xiong et al. 2021, arXiv 2102.03902, eq.
 * 11). The one maximum couples all heads and sequences, in the gradient too. q, k [B,L,H,K], u [B,L,H,V] -> [B,L,H,V]. */
#include <math.h>
#include "tensor/ops/elementwise.h"

enum { Q, K, U };
enum { Y, A, SUMS };
enum { STEPS = 6 };

typedef struct nystrom {
    int64_t batch, n, heads, key_dim, value_dim;
    size_t at_ds; /* in the backward's work memory: dA of every head, then d(maximum) of every head */
} nystrom;

static int64_t head_count(const nystrom *s) { return s->batch * s->heads; }

/* Rows of one head, gathered: x [B,L,H,w]. */
static void gather(const nystrom *s, const float *x, int64_t head, int64_t width, float *out) {
    for (int64_t i = 0; i < s->n; i++)
        memcpy(out + i * width, x + ((head / s->heads * s->n + i) * s->heads + head % s->heads) * width,
               (size_t)width * sizeof *out);
}

/* c = alpha*a*b + diagonal*I, n x n. */
static void square(const float *a, const float *b, float alpha, float diagonal, float *c, int64_t n, const wf_worker *w) {
    for (int64_t i = 0; i < n; i++) {
        memset(c + i * n, 0, (size_t)n * sizeof *c);
        for (int64_t k = 0; k < n; k++)
            w->k->axpy(c + i * n, alpha * a[i * n + k], b + k * n, n);
        c[i * n + i] += diagonal;
    }
}

static void transpose(const float *a, float *out, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            out[j * n + i] = a[i * n + j];
}

/* ---- forward ---- */
static void make_a(const wf_node *node, int64_t head, wf_worker *w) {
    const nystrom *s = node->attr;
    float *q = w->scratch, *k = q + s->n * s->key_dim, *a = (float *)node->out[A]->data + head * s->n * s->n;
    float *most = (float *)node->out[SUMS]->data + 2 * head;
    gather(s, node->in[Q]->data, head, s->key_dim, q);
    gather(s, node->in[K]->data, head, s->key_dim, k);
    for (int64_t i = 0; i < s->n; i++) {
        for (int64_t j = 0; j < s->n; j++)
            a[i * s->n + j] = (float)w->k->dot(q + i * s->key_dim, k + j * s->key_dim, s->key_dim);
        w->k->softmax(a + i * s->n, a + i * s->n, s->n);
    }
    most[0] = -1.0f;
    for (int64_t j = 0; j < s->n; j++) {
        double sum = 0.0;
        for (int64_t i = 0; i < s->n; i++)
            sum += (double)a[i * s->n + j];
        if ((float)sum > most[0]) {
            most[0] = (float)sum;
            most[1] = (float)j;
        }
    }
}

/* The head whose column sum is the largest. */
static int64_t winner(const wf_node *node) {
    const float *sums = node->out[SUMS]->data;
    int64_t best = 0;
    for (int64_t h = 1; h < head_count(node->attr); h++)
        best = sums[2 * h] > sums[2 * best] ? h : best;
    return best;
}

/* z[0..STEPS]: every iterate, n*n each; room for three. */
static void iterate(const float *a, float most, float *z, float *room, int64_t n, const wf_worker *w) {
    float *p = room, *r = p + n * n, *t = r + n * n;
    transpose(a, z, n);
    w->k->scale(z, 1.0f / most, z, n * n);
    for (int step = 0; step < STEPS; step++, z += n * n) {
        square(a, z, 1.0f, 0.0f, p, n, w); /* a Z */
        w->k->scale(t, -1.0f, p, n * n);
        for (int64_t i = 0; i < n; i++)
            t[i * n + i] += 7.0f;
        square(p, t, -1.0f, 15.0f, r, n, w); /* 15 - a (7 - a) */
        square(p, r, -1.0f, 13.0f, t, n, w); /* 13 - a (..) */
        square(z, t, 0.25f, 0.0f, z + n * n, n, w);
    }
}

static void make_y(const wf_node *node, int64_t head, wf_worker *w) {
    const nystrom *s = node->attr;
    int64_t n = s->n, v = s->value_dim, nn = n * n;
    float *z = w->scratch, *p = z + (STEPS + 1) * nn, *u = p + 3 * nn, *y = u + n * v;
    float most = ((const float *)node->out[SUMS]->data)[2 * winner(node)];
    gather(s, node->in[U]->data, head, v, u);
    iterate((const float *)node->out[A]->data + head * nn, most, z, p, n, w);
    for (int64_t i = 0; i < n; i++) {
        memset(y, 0, (size_t)v * sizeof *y);
        for (int64_t k = 0; k < n; k++)
            w->k->axpy(y, z[STEPS * nn + i * n + k], u + k * v, v);
        memcpy((float *)node->out[Y]->data + ((head / s->heads * n + i) * s->heads + head % s->heads) * v, y,
               (size_t)v * sizeof *y);
    }
}

/* ---- backward ---- */
/* One step: Z' = Z t / 4, t = 13 - p r, r = 15 - p q, q = 7 - p, p = A Z. From dZ' to dZ, dA added to. m: eight matrices of
 * room. */
static void step_back(const float *a, const float *z, float *dz, float *da, float *m, int64_t n, const wf_worker *w) {
    int64_t nn = n * n;
    float *p = m, *q = m + nn, *r = m + 2 * nn, *t = m + 3 * nn, *dt = m + 4 * nn, *dp = m + 5 * nn, *x = m + 6 * nn,
          *y = m + 7 * nn;
    square(a, z, 1.0f, 0.0f, p, n, w);
    w->k->scale(q, -1.0f, p, nn);
    for (int64_t i = 0; i < n; i++)
        q[i * n + i] += 7.0f;
    square(p, q, -1.0f, 15.0f, r, n, w);
    square(p, r, -1.0f, 13.0f, t, n, w);
    transpose(z, x, n);
    square(x, dz, 0.25f, 0.0f, dt, n, w); /* dt = Z^T dZ' / 4 */
    transpose(t, x, n);
    square(dz, x, 0.25f, 0.0f, y, n, w); /* dZ = dZ' t^T / 4, and more below */
    memcpy(dz, y, (size_t)nn * sizeof *dz);
    transpose(r, x, n);
    square(dt, x, -1.0f, 0.0f, dp, n, w); /* dp = -dt r^T */
    transpose(p, x, n);
    square(x, dt, -1.0f, 0.0f, t, n, w); /* dr = -p^T dt, in t */
    square(x, t, -1.0f, 0.0f, y, n, w);  /* dq = -p^T dr; dp -= dq */
    w->k->axpy(dp, -1.0f, y, nn);
    transpose(q, x, n);
    square(t, x, -1.0f, 0.0f, y, n, w); /* dp -= dr q^T */
    w->k->add(dp, dp, y, nn);
    transpose(z, x, n);
    square(dp, x, 1.0f, 0.0f, y, n, w); /* dA += dp Z^T */
    w->k->add(da, da, y, nn);
    transpose(a, x, n);
    square(x, dp, 1.0f, 0.0f, y, n, w); /* dZ += A^T dp */
    w->k->add(dz, dz, y, nn);
}

/* dA (but for the maximum) and d(maximum) of one head; du. */
static void back_inverse(const wf_node *node, int64_t head, wf_worker *w) {
    const nystrom *s = node->attr;
    int64_t n = s->n, v = s->value_dim, nn = n * n;
    float *z = w->scratch, *room = z + (STEPS + 1) * nn, *dz = room + 8 * nn, *u = dz + nn, *dy = u + n * v, *du = dy + n * v;
    const float *a = (const float *)node->out[A]->data + head * nn;
    float most = ((const float *)node->out[SUMS]->data)[2 * winner(node)],
          *da = (float *)node->work_data[WF_BACKWARD] + head * nn;
    double dmost = 0.0;
    gather(s, node->in[U]->data, head, v, u);
    gather(s, node->out[Y]->grad, head, v, dy);
    iterate(a, most, z, room, n, w);
    for (int64_t k = 0; k < n; k++) {
        memset(du, 0, (size_t)v * sizeof *du);
        for (int64_t i = 0; i < n; i++) {
            w->k->axpy(du, z[STEPS * nn + i * n + k], dy + i * v, v);
            dz[i * n + k] = (float)w->k->dot(dy + i * v, u + k * v, v);
        }
        store_din(node, U, ((head / s->heads * n + k) * s->heads + head % s->heads) * v, v, du, w);
    }
    memset(da, 0, (size_t)nn * sizeof *da);
    for (int step = STEPS - 1; step >= 0; step--)
        step_back(a, z + step * nn, dz, da, room, n, w);
    for (int64_t i = 0; i < n; i++) /* Z_0 = A^T / most */
        for (int64_t j = 0; j < n; j++) {
            da[j * n + i] += dz[i * n + j] / most;
            dmost -= (double)dz[i * n + j] * (double)a[j * n + i];
        }
    ((float *)((char *)node->work_data[WF_BACKWARD] + s->at_ds))[head] = (float)(dmost / ((double)most * (double)most));
}

/* From dA to dq and dk. */
static void back_softmax(const wf_node *node, int64_t head, wf_worker *w) {
    const nystrom *s = node->attr;
    int64_t n = s->n, kd = s->key_dim, nn = n * n, first = winner(node);
    float *q = w->scratch, *k = q + n * kd, *dq = k + n * kd, *dk = dq + n * kd;
    const float *a = (const float *)node->out[A]->data + head * nn,
                *ds = (const float *)((const char *)node->work_data[WF_BACKWARD] + s->at_ds);
    float *da = (float *)node->work_data[WF_BACKWARD] + head * nn;
    int64_t column = (int64_t)((const float *)node->out[SUMS]->data)[2 * head + 1];
    double dmost = 0.0;
    for (int64_t h = 0; h < head_count(s) && head == first; h++)
        dmost += (double)ds[h];
    gather(s, node->in[Q]->data, head, kd, q);
    gather(s, node->in[K]->data, head, kd, k);
    memset(dq, 0, (size_t)(2 * n * kd) * sizeof *dq);
    for (int64_t i = 0; i < n; i++) {
        da[i * n + column] += (float)dmost;
        float mean = (float)w->k->dot(a + i * n, da + i * n, n);
        for (int64_t j = 0; j < n; j++) {
            float dz = a[i * n + j] * (da[i * n + j] - mean);
            w->k->axpy(dq + i * kd, dz, k + j * kd, kd);
            w->k->axpy(dk + j * kd, dz, q + i * kd, kd);
        }
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t at = ((head / s->heads * n + i) * s->heads + head % s->heads) * kd;
        store_din(node, Q, at, kd, dq + i * kd, w);
        store_din(node, K, at, kd, dk + i * kd, w);
    }
}

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase < 2 ? (int)head_count(node->attr) : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    void (*const work[2][2])(const wf_node *, int64_t, wf_worker *) = {{make_a, make_y}, {back_inverse, back_softmax}};
    work[pass == WF_BACKWARD][phase](node, piece, w);
}

static double flops(const wf_node *node, wf_pass pass) {
    const nystrom *s = node->attr;
    double n = (double)s->n,
           one = (double)head_count(s) * (STEPS * 8.0 * n * n * n + 2.0 * n * n * (double)(s->key_dim + s->value_dim));
    return pass == WF_FORWARD ? one : 4.0 * one;
}

const wf_op wf_op_nystrom = {
    .name = "nystrom", .pieces = pieces, .run = run, .flops = flops, .saves_in = 7, .saves_out = 1u << A | 1u << SUMS};

wf_tensor *wf_nystrom(wf_tape *t, wf_tensor *q, wf_tensor *k, wf_tensor *u) {
    q = wf_cast(t, q, WF_F32);
    k = wf_cast(t, k, WF_F32);
    u = wf_cast(t, u, WF_F32);
    if (!q || !k || !u)
        return NULL;
    if (q->rank != 4 || !wf_same_shape(q, k) || u->rank != 4 || u->dims[0] != q->dims[0] || u->dims[1] != q->dims[1] ||
        u->dims[2] != q->dims[2])
        return wf_tape_error(t, WEFT_USAGE, "nystrom: the shapes do not fit");
    nystrom *s = attr_copy(
        t,
        &(nystrom){.batch = q->dims[0], .n = q->dims[1], .heads = q->dims[2], .key_dim = q->dims[3], .value_dim = u->dims[3]},
        sizeof(nystrom));
    if (!s)
        return NULL;
    int64_t n = s->n, nn = n * n;
    wf_tensor *out[3] = {wf_out(t, WF_F32, 4, u->dims), wf_out(t, WF_F32, 2, (int64_t[]){head_count(s), nn}),
                         wf_out(t, WF_F32, 2, (int64_t[]){head_count(s), 2})};
    wf_node *node = out[Y] && out[A] && out[SUMS] ? wf_record(t, &wf_op_nystrom, 3, (wf_tensor *[]){q, k, u}, 3, out, s) : NULL;
    if (!node)
        return NULL;
    size_t room = (size_t)((STEPS + 10) * nn + 3 * n * s->value_dim) * sizeof(float),
           keys = (size_t)(4 * n * s->key_dim) * sizeof(float);
    node->scratch = room > keys ? room : keys;
    s->at_ds = ((size_t)(head_count(s) * nn) * sizeof(float) + 63) & ~(size_t)63;
    node->work[WF_BACKWARD] = s->at_ds + (size_t)head_count(s) * sizeof(float);
    return out[Y];
}
