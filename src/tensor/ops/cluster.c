/* cluster.c - the routing of the Routing Transformer (Roy et al. 2021, arXiv 2003.05997, section 4.1): which rows every cluster
 * takes, the mean of what a row's clusters give it, and the commitment of rows to their centroids. Choices are constants of the
 * backward. */
#include "tensor/ops/elementwise.h"

/* ---- select: the `take` rows nearest to each centroid, most similar first ---- */
enum { X, CENTROIDS };
enum { MEMBERS, INDEX };

typedef struct cluster {
    int64_t batch, t, heads, width, clusters, take;
} cluster;

static int select_pieces(const wf_node *node, wf_pass pass, int phase) {
    const cluster *a = node->attr;
    return pass == WF_FORWARD && phase == 0 ? (int)(a->batch * a->heads) : 0;
}

typedef struct near_row {
    double value;
    int32_t row;
} near_row;

static bool nearer(near_row a, near_row b) { return a.value > b.value || (a.value == b.value && a.row < b.row); }

/* x goes down from the hole at `at` of a heap whose root is the farthest. */
static void sink(near_row *heap, int64_t n, int64_t at, near_row x) {
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        child += child + 1 < n && nearer(heap[child], heap[child + 1]);
        if (!nearer(x, heap[child]))
            break;
        heap[at] = heap[child];
    }
    heap[at] = x;
}

static void make_heap(near_row *heap, int64_t n) {
    for (int64_t i = n / 2 - 1; i >= 0; i--)
        sink(heap, n, i, heap[i]);
}

/* The nearest rows of one cluster, most similar first, of equal ones the first; how many there are of numbers that are any. */
static int64_t take_nearest(const cluster *a, const float *x, const float *mu, near_row *heap, const wf_worker *w) {
    int64_t n = 0;
    for (int64_t t = 0; t < a->t; t++) {
        const near_row r = {w->k->dot(x + t * a->heads * a->width, mu, a->width), (int32_t)t};
        if (!(r.value > -1e30))
            continue;
        if (n < a->take) {
            heap[n++] = r;
            if (n == a->take)
                make_heap(heap, n);
        } else if (nearer(r, heap[0])) {
            sink(heap, n, 0, r);
        }
    }
    if (n < a->take)
        make_heap(heap, n);
    for (int64_t end = n - 1; end > 0; end--) {
        const near_row last = heap[end];
        heap[end] = heap[0];
        sink(heap, end, 0, last);
    }
    return n;
}

static void select_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const cluster *a = node->attr;
    int64_t b = piece / a->heads, h = piece % a->heads;
    const float *x = (const float *)node->in[X]->data + (b * a->t * a->heads + h) * a->width;
    near_row *heap = w->scratch;
    (void)pass, (void)phase;
    for (int64_t c = 0; c < a->clusters; c++) {
        const float *mu = (const float *)node->in[CENTROIDS]->data + (h * a->clusters + c) * a->width;
        int64_t at = (piece * a->clusters + c) * a->take, n = take_nearest(a, x, mu, heap, w);
        for (int64_t i = 0; i < a->take; i++) {
            int64_t best = i < n ? heap[i].row : i; /* numbers that are not: any row */
            ((int64_t *)node->out[MEMBERS]->data)[at + i] = best;
            ((int32_t *)node->out[INDEX]->data)[at + i] = (int32_t)best;
        }
    }
}

const wf_op wf_op_cluster_select = {.name = "cluster_select", .pieces = select_pieces, .run = select_run};

wf_tensor *wf_cluster_select(wf_tape *t, wf_tensor *x, wf_tensor *centroids, int64_t take, wf_tensor **members) {
    *members = NULL;
    x = wf_cast(t, x, WF_F32);
    if (!x || !centroids)
        return NULL;
    if (x->rank != 4 || centroids->rank != 3 || centroids->dims[0] != x->dims[2] || centroids->dims[2] != x->dims[3] ||
        take < 1 || take > x->dims[1])
        return wf_tape_error(t, WEFT_USAGE, "cluster_select: the centroids do not fit the rows");
    cluster *a =
        attr_copy(t, &(cluster){x->dims[0], x->dims[1], x->dims[2], x->dims[3], centroids->dims[1], take}, sizeof(cluster));
    if (!a)
        return NULL;
    wf_tensor *out[2] = {wf_out(t, WF_I64, 4, (int64_t[]){a->batch, a->heads, a->clusters, take}),
                         wf_out(t, WF_I32, 3, (int64_t[]){a->batch, a->heads, a->clusters * take})};
    wf_node *node = out[0] && out[1] ? wf_record(t, &wf_op_cluster_select, 2, (wf_tensor *[]){x, centroids}, 2, out, a) : NULL;
    if (!node)
        return NULL;
    node->scratch = (size_t)a->take * sizeof(near_row);
    *members = out[MEMBERS];
    return out[INDEX];
}

/* ---- scatter: y[b,t,h] = sum of the entries of t / (their number + eps) ---- */
typedef struct scatter {
    int64_t t;
    float eps;
} scatter;

static int scatter_pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? (int)(node->in[0]->dims[0] * node->in[0]->dims[2]) : 0;
}

static void scatter_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const scatter *a = node->attr;
    const wf_tensor *x = node->in[0];
    int64_t n = x->dims[1], heads = x->dims[2], width = x->dims[3], b = piece / heads, h = piece % heads;
    const int32_t *index = (const int32_t *)node->in[1]->data + piece * n;
    float *count = w->scratch, *tmp = count + a->t, *y = (float *)node->out[0]->data;
    (void)phase;
    memset(count, 0, (size_t)a->t * sizeof *count);
    for (int64_t e = 0; e < n; e++)
        count[index[e]] += 1.0f;
    for (int64_t t = 0; pass == WF_FORWARD && t < a->t; t++)
        memset(y + ((b * a->t + t) * heads + h) * width, 0, (size_t)width * sizeof *y);
    for (int64_t e = 0; e < n; e++) {
        int64_t from = ((b * n + e) * heads + h) * width, to = ((b * a->t + index[e]) * heads + h) * width;
        float share = 1.0f / (count[index[e]] + a->eps);
        if (pass == WF_FORWARD) {
            w->k->axpy(y + to, share, wf_load(w, x->data, x->type, from, width, tmp), width);
        } else {
            w->k->scale(tmp, share, (const float *)node->out[0]->grad + to, width);
            store_din(node, 0, from, width, tmp, w);
        }
    }
}

const wf_op wf_op_scatter_mean = {.name = "scatter_mean", .pieces = scatter_pieces, .run = scatter_run, .saves_in = 2};

wf_tensor *wf_scatter_mean(wf_tape *t, wf_tensor *x, wf_tensor *index, int64_t rows, float eps) {
    if (!x || !index)
        return NULL;
    if (x->rank != 4 || index->type != WF_I32 || index->count != x->dims[0] * x->dims[1] * x->dims[2])
        return wf_tape_error(t, WEFT_USAGE, "scatter_mean: the indices do not fit the rows");
    scatter *a = attr_copy(t, &(scatter){rows, eps}, sizeof(scatter));
    wf_tensor *y = a ? wf_out(t, WF_F32, 4, (int64_t[]){x->dims[0], rows, x->dims[2], x->dims[3]}) : NULL;
    wf_node *node = y ? wf_record(t, &wf_op_scatter_mean, 2, (wf_tensor *[]){x, index}, 1, &y, a) : NULL;
    if (!node)
        return NULL;
    node->scratch = (size_t)(rows + x->dims[3]) * sizeof(float);
    return y;
}

/* ---- commitment: the mean of (x - mu)^2, mu the centroid of the largest product with x; and the rows of each, summed and
 * counted ---- */
enum { LOSS, SUMS };

typedef struct commit {
    int64_t rows, heads, width, clusters;
} commit;

static int commit_pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)node, (void)pass;
    return phase == 0 ? 1 : 0;
}

static int64_t nearest(const wf_node *node, int64_t row, const float *x, wf_worker *w) {
    const commit *a = node->attr;
    const float *mu = (const float *)node->in[CENTROIDS]->data + row % a->heads * a->clusters * a->width;
    int64_t best = 0;
    double most = -1e300;
    for (int64_t c = 0; c < a->clusters; c++) {
        double d = w->k->dot(x, mu + c * a->width, a->width);
        if (d > most) {
            most = d;
            best = c;
        }
    }
    return row % a->heads * a->clusters + best;
}

static void commit_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const commit *a = node->attr;
    double sum = 0.0, count = (double)(a->rows * a->width);
    float *d = w->scratch, *sums = node->out[SUMS]->data;
    (void)phase, (void)piece;
    if (pass == WF_FORWARD)
        memset(sums, 0, (size_t)node->out[SUMS]->count * sizeof *sums);
    for (int64_t r = 0; r < a->rows; r++) {
        const float *x = (const float *)node->in[X]->data + r * a->width;
        int64_t c = nearest(node, r, x, w);
        w->k->scale(d, -1.0f, (const float *)node->in[CENTROIDS]->data + c * a->width, a->width);
        w->k->add(d, d, x, a->width);
        sum += w->k->sum_squares(d, a->width);
        if (pass == WF_FORWARD) {
            w->k->add(sums + c * (a->width + 1), sums + c * (a->width + 1), x, a->width);
            sums[c * (a->width + 1) + a->width] += 1.0f;
        } else {
            w->k->scale(d, (float)(2.0 * (double)((const float *)node->out[0]->grad)[0] / count), d, a->width);
            store_din(node, X, r * a->width, a->width, d, w);
        }
    }
    if (pass == WF_FORWARD)
        ((float *)node->out[0]->data)[0] = (float)(sum / count);
}

const wf_op wf_op_commitment = {.name = "commitment", .pieces = commit_pieces, .run = commit_run, .saves_in = 3};

wf_tensor *wf_commitment(wf_tape *t, wf_tensor *x, wf_tensor *centroids, wf_tensor **sums) {
    *sums = NULL;
    x = wf_cast(t, x, WF_F32);
    if (!x || !centroids)
        return NULL;
    if (x->rank != 4 || centroids->rank != 3 || centroids->dims[0] != x->dims[2] || centroids->dims[2] != x->dims[3])
        return wf_tape_error(t, WEFT_USAGE, "commitment: the centroids do not fit the rows");
    commit *a = attr_copy(t, &(commit){x->dims[0] * x->dims[1] * x->dims[2], x->dims[2], x->dims[3], centroids->dims[1]},
                          sizeof(commit));
    if (!a)
        return NULL;
    wf_tensor *out[2] = {wf_out(t, WF_F32, 1, (int64_t[]){1}),
                         wf_out(t, WF_F32, 3, (int64_t[]){a->heads, a->clusters, a->width + 1})};
    wf_node *node = out[0] && out[1] ? wf_record(t, &wf_op_commitment, 2, (wf_tensor *[]){x, centroids}, 2, out, a) : NULL;
    if (!node)
        return NULL;
    node->scratch = (size_t)a->width * sizeof(float);
    *sums = out[SUMS];
    return out[LOSS];
}
