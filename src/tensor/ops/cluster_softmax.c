/* cluster_softmax.c - the adaptive softmax (Grave et al. 2017, arXiv 1609.04309): classes stand in clusters, the first with one
 * logit for each of the others behind the classes. ln p of a class of the first cluster is by the softmax over it and those
 * logits, of another ln p(cluster) plus that by the softmax of its cluster. x[.., V+C] -> ln p[.., V]. */
#include <math.h>
#include "tensor/ops/elementwise.h"

typedef struct cluster_softmax {
    const int64_t *ends; /* [clusters]: the class behind the last of each */
    int64_t clusters, classes;
} cluster_softmax;

static int64_t begin_of(const cluster_softmax *a, int64_t c) { return c ? a->ends[c - 1] : 0; }

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? wf_split_pieces(wf_row_count(node->out[0]), 4) : 0;
}

/* ln of the sum of e^z over the first cluster and the logits of the others. */
static float head_sum(const cluster_softmax *a, const float *x, const wf_worker *w) {
    float own = w->k->log_sum_exp(x, a->ends[0]);
    if (a->clusters == 1)
        return own;
    float others = w->k->log_sum_exp(x + a->classes, a->clusters - 1), most = fmaxf(own, others);
    return most + logf(expf(own - most) + expf(others - most));
}

static void forward(const wf_node *node, int64_t r, wf_worker *w) {
    const cluster_softmax *a = node->attr;
    const float *x = (const float *)node->in[0]->data + r * (a->classes + a->clusters - 1);
    float *y = (float *)node->out[0]->data + r * a->classes, head = head_sum(a, x, w);
    for (int64_t c = 0; c < a->clusters; c++) {
        int64_t first = begin_of(a, c);
        float less = c ? w->k->log_sum_exp(x + first, a->ends[c] - first) - x[a->classes + c - 1] + head : head;
        for (int64_t v = first; v < a->ends[c]; v++)
            y[v] = x[v] - less;
    }
}

/* d ln p is dy; every softmax takes its probabilities times the sum of what passes through it. */
static void backward(const wf_node *node, int64_t r, wf_worker *w) {
    const cluster_softmax *a = node->attr;
    int64_t width = a->classes + a->clusters - 1;
    const float *x = (const float *)node->in[0]->data + r * width, *dy = (const float *)node->out[0]->grad + r * a->classes;
    float *dx = w->scratch, head = head_sum(a, x, w);
    double total = 0.0;
    for (int64_t c = 0; c < a->clusters; c++) {
        int64_t first = begin_of(a, c);
        float own = c ? w->k->log_sum_exp(x + first, a->ends[c] - first) : head;
        double sum = 0.0;
        for (int64_t v = first; v < a->ends[c]; v++)
            sum += (double)dy[v];
        total += sum;
        for (int64_t v = first; v < a->ends[c]; v++)
            dx[v] = dy[v] - (c ? (float)(sum * exp((double)(x[v] - own))) : 0.0f);
        if (c)
            dx[a->classes + c - 1] = (float)sum;
    }
    for (int64_t v = 0; v < width; v++)
        if (v < a->ends[0] || v >= a->classes)
            dx[v] -= (float)(total * exp((double)(x[v] - head)));
    store_din(node, 0, r * width, width, dx, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t first, end, rows = wf_row_count(node->out[0]);
    (void)phase;
    wf_split_bounds(rows, wf_split_pieces(rows, 4), piece, &first, &end);
    for (int64_t r = first; r < end; r++)
        (pass == WF_FORWARD ? forward : backward)(node, r, w);
}

const wf_op wf_op_cluster_softmax = {.name = "cluster_softmax", .pieces = pieces, .run = run, .saves_in = 1};

wf_tensor *wf_cluster_softmax(wf_tape *t, wf_tensor *x, const int64_t *ends, int64_t clusters) {
    x = wf_cast(t, x, WF_F32);
    if (!x)
        return NULL;
    int64_t classes = wf_dim(x, -1) - (clusters - 1), dims[WF_MAX_RANK];
    if (clusters < 1 || classes < 1 || ends[clusters - 1] != classes)
        return wf_tape_error(t, WEFT_USAGE, "cluster_softmax: the clusters do not fit the logits");
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank - 1] = classes;
    cluster_softmax *a = attr_copy(t, &(cluster_softmax){ends, clusters, classes}, sizeof *a);
    wf_tensor *y = wf_out(t, WF_F32, x->rank, dims);
    wf_node *node = a && y ? wf_record(t, &wf_op_cluster_softmax, 1, &x, 1, &y, a) : NULL;
    if (node)
        node->scratch = (size_t)wf_dim(x, -1) * sizeof(float);
    return node ? y : NULL;
}
