/* memory_attention.c - one softmax over a memory for every row, as sequence models before the Transformer had it: scores
 * v.tanh(q + k) (Bahdanau et al. 2015, arXiv 1409.0473) or q.k (Luong et al. 2015, arXiv 1508.04025), the keys near a centre
 * only (ibid. section 3.2). A piece is one sequence. */
#include <math.h>
#include "tensor/ops/elementwise.h"

enum { Q, K, V, VALUES, MASK, CENTRE };
enum { CONTEXT, PROBS, SOFT };

typedef struct memory {
    int64_t batch, t, s, units, width;
    wf_memory_spec spec;
} memory;

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const memory *a = node->attr;
    if (phase == 0)
        return (int)a->batch;
    return phase == 1 && pass == WF_BACKWARD && node->in[V] && node->grad_mode[V] ? 1 : 0;
}

static const float *row(const wf_node *node, int i, int64_t r, int64_t width) {
    return (const float *)node->in[i]->data + r * width;
}

static bool real(const wf_node *node, int64_t b, int64_t j) {
    return !node->in[MASK] || ((const uint8_t *)node->in[MASK]->data)[b * ((const memory *)node->attr)->s + j];
}

static int64_t real_keys(const wf_node *node, int64_t b) {
    const memory *a = node->attr;
    int64_t count = 0;
    for (int64_t j = 0; j < a->s; j++)
        count += real(node, b, j);
    return count;
}

/* Where row t looks; only with spec.local. */
static double centre(const wf_node *node, int64_t b, int64_t t, const wf_worker *w) {
    const memory *a = node->attr;
    if (node->in[CENTRE])
        return (double)real_keys(node, b) * (double)((const float *)node->in[CENTRE]->data)[b * a->t + t];
    return (double)((w->rt->start ? w->rt->start[b] : 0) + a->spec.first + t);
}

static double score(const wf_node *node, const float *q, const float *k, const wf_worker *w) {
    const memory *a = node->attr;
    const float *v = node->in[V] ? node->in[V]->data : NULL;
    double sum = 0.0;
    if (!v)
        return w->k->dot(q, k, a->units);
    for (int64_t u = 0; u < a->units; u++)
        sum += (double)v[u] * (double)tanhf(q[u] + k[u]);
    return sum;
}

/* ---- forward ---- */
static void soften(float *z, int64_t n) { /* -INFINITY is hidden; all hidden: zeros */
    double most = -INFINITY, sum = 0.0;
    for (int64_t j = 0; j < n; j++)
        most = fmax(most, (double)z[j]);
    for (int64_t j = 0; j < n; j++) {
        z[j] = most > -INFINITY ? (float)exp((double)z[j] - most) : 0.0f;
        sum += (double)z[j];
    }
    for (int64_t j = 0; j < n && sum > 0.0; j++)
        z[j] = (float)((double)z[j] / sum);
}

static double bell(const memory *a, double distance) {
    double sigma = (double)a->spec.window / 2.0;
    return a->spec.bell ? exp(-distance * distance / (2.0 * sigma * sigma)) : 1.0;
}

static void forward(const wf_node *node, int64_t b, int64_t t, wf_worker *w) {
    const memory *a = node->attr;
    int64_t r = b * a->t + t;
    float *soft = (float *)node->out[SOFT]->data + r * a->s, *probs = (float *)node->out[PROBS]->data + r * a->s;
    float *context = (float *)node->out[CONTEXT]->data + r * a->width;
    double p = a->spec.local ? centre(node, b, t, w) : 0.0;
    for (int64_t j = 0; j < a->s; j++) {
        bool near = !a->spec.local || fabs((double)j - p) <= (double)a->spec.window;
        soft[j] = near && real(node, b, j)
                      ? (float)score(node, row(node, Q, r, a->units), row(node, K, b * a->s + j, a->units), w)
                      : -INFINITY;
    }
    soften(soft, a->s);
    memset(context, 0, (size_t)a->width * sizeof *context);
    for (int64_t j = 0; j < a->s; j++) {
        probs[j] = (float)((double)soft[j] * bell(a, (double)j - p));
        if (probs[j] != 0.0f)
            w->k->axpy(context, probs[j], row(node, VALUES, b * a->s + j, a->width), a->width);
    }
}

/* ---- backward ---- */
static void add_to(const wf_node *node, int i, int64_t r, int64_t width, float scale, const float *x, wf_worker *w) {
    float beta, *grad = wf_grad_in(node, i, w, &beta);
    if (grad)
        w->k->axpy(grad + r * width, scale, x, width);
}

/* Gradients are summed over rows: whoever writes first begins at zero. */
static void clear(const wf_node *node, int i, int64_t first, int64_t count, wf_worker *w) {
    float beta, *grad = wf_grad_in(node, i, w, &beta);
    if (grad && beta == 0.0f)
        memset(grad + first, 0, (size_t)count * sizeof *grad);
}

static void back_score(const wf_node *node, int64_t r, int64_t k, float dz, float *dv, wf_worker *w) {
    const memory *a = node->attr;
    const float *q = row(node, Q, r, a->units), *key = row(node, K, k, a->units), *v = node->in[V] ? node->in[V]->data : NULL;
    float *d = w->scratch;
    if (!v) {
        add_to(node, Q, r, a->units, dz, key, w);
        add_to(node, K, k, a->units, dz, q, w);
        return;
    }
    for (int64_t u = 0; u < a->units; u++) {
        float th = tanhf(q[u] + key[u]);
        dv[u] += dz * th;
        d[u] = dz * v[u] * (1.0f - th * th);
    }
    add_to(node, Q, r, a->units, 1.0f, d, w);
    add_to(node, K, k, a->units, 1.0f, d, w);
}

static void backward(const wf_node *node, int64_t b, int64_t t, float *dv, wf_worker *w) {
    const memory *a = node->attr;
    int64_t r = b * a->t + t;
    const float *soft = (const float *)node->out[SOFT]->data + r * a->s,
                *probs = (const float *)node->out[PROBS]->data + r * a->s;
    const float *dy = (const float *)node->out[CONTEXT]->grad + r * a->width;
    float *da = (float *)w->scratch + a->units;
    double p = a->spec.local ? centre(node, b, t, w) : 0.0, inner = 0.0, dcentre = 0.0, sigma = (double)a->spec.window / 2.0;
    for (int64_t j = 0; j < a->s; j++) {
        double d = w->k->dot(dy, row(node, VALUES, b * a->s + j, a->width), a->width), distance = (double)j - p;
        add_to(node, VALUES, b * a->s + j, a->width, probs[j], dy, w);
        if (a->spec.bell)
            dcentre += d * (double)probs[j] * distance / (sigma * sigma);
        da[j] = (float)(d * bell(a, distance));
        inner += (double)soft[j] * (double)da[j];
    }
    for (int64_t j = 0; j < a->s; j++)
        if (soft[j] != 0.0f)
            back_score(node, r, b * a->s + j, (float)((double)soft[j] * ((double)da[j] - inner)), dv, w);
    if (node->in[CENTRE])
        store_din(node, CENTRE, r, 1, &(float){(float)(dcentre * (double)real_keys(node, b))}, w);
}

static void back_sequence(const wf_node *node, int64_t b, wf_worker *w) {
    const memory *a = node->attr;
    float *dv = (float *)node->work_data[WF_BACKWARD] + b * a->units;
    clear(node, Q, b * a->t * a->units, a->t * a->units, w);
    clear(node, K, b * a->s * a->units, a->s * a->units, w);
    clear(node, VALUES, b * a->s * a->width, a->s * a->width, w);
    memset(dv, 0, (size_t)a->units * sizeof *dv);
    for (int64_t t = 0; t < a->t; t++)
        backward(node, b, t, dv, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const memory *a = node->attr;
    if (pass == WF_BACKWARD && phase == 0) {
        back_sequence(node, piece, w);
    } else if (pass == WF_BACKWARD) {
        float *dv = node->work_data[WF_BACKWARD];
        for (int64_t b = 1; b < a->batch; b++)
            w->k->add(dv, dv, dv + b * a->units, a->units);
        store_din(node, V, 0, a->units, dv, w);
    } else {
        for (int64_t t = 0; t < a->t; t++)
            forward(node, piece, t, w);
    }
}

static double flops(const wf_node *node, wf_pass pass) {
    const memory *a = node->attr;
    double one = 2.0 * (double)(a->batch * a->t * a->s) * (double)(a->units * (node->in[V] ? 10 : 1) + a->width);
    return pass == WF_FORWARD ? one : 2.0 * one;
}

const wf_op wf_op_memory_attention = {.name = "memory_attention",
                                      .by_runtime = true,
                                      .pieces = pieces,
                                      .run = run,
                                      .flops = flops,
                                      .saves_in = 63,
                                      .saves_out = 1u << PROBS | 1u << SOFT};

wf_tensor *wf_memory_attention(wf_tape *t, wf_tensor *q, wf_tensor *k, wf_tensor *values, const wf_memory_spec *spec,
                               wf_tensor **probs) {
    wf_no_output(probs);
    q = wf_cast(t, q, WF_F32);
    k = wf_cast(t, k, WF_F32);
    values = wf_cast(t, values, WF_F32);
    if (!q || !k || !values)
        return NULL;
    if (q->rank != 3 || k->rank != 3 || values->rank != 3 || k->dims[0] != q->dims[0] || k->dims[2] != q->dims[2] ||
        values->dims[0] != k->dims[0] || values->dims[1] != k->dims[1] ||
        (spec->v && (spec->v->count != q->dims[2] || spec->v->type != WF_F32)) ||
        (spec->centre && spec->centre->count != q->dims[0] * q->dims[1]) ||
        (spec->mask && spec->mask->count != k->dims[0] * k->dims[1]))
        return wf_tape_error(t, WEFT_USAGE, "memory_attention: the shapes do not fit");
    memory *a = attr_copy(t, &(memory){q->dims[0], q->dims[1], k->dims[1], q->dims[2], values->dims[2], *spec}, sizeof(memory));
    if (!a)
        return NULL;
    wf_tensor *centre_ = spec->centre ? wf_cast(t, spec->centre, WF_F32) : NULL;
    int64_t map[3] = {a->batch, a->t, a->s};
    wf_tensor *out[3] = {wf_out(t, WF_F32, 3, (int64_t[]){a->batch, a->t, a->width}), wf_out(t, WF_F32, 3, map),
                         wf_out(t, WF_F32, 3, map)};
    wf_node *node =
        out[0] && out[1] && out[2]
            ? wf_record(t, &wf_op_memory_attention, 6, (wf_tensor *[]){q, k, spec->v, values, spec->mask, centre_}, 3, out, a)
            : NULL;
    if (!node)
        return NULL;
    node->scratch = (size_t)(a->units + a->s) * sizeof(float);
    node->work[WF_BACKWARD] = (size_t)(a->batch * a->units) * sizeof(float);
    if (probs)
        *probs = out[PROBS];
    return out[CONTEXT];
}
