/* router_loss.c - what keeps the experts busy alike and the router's logits small: the load-balancing loss (Fedus et al. 2022,
 * arXiv 2101.03961, eq. 4-6) and the z-loss (Zoph et al. 2022, arXiv 2202.08906, eq. 5), from sums over the tokens that several
 * layers may share. */
#include <math.h>
#include "base/str.h"
#include "tensor/experts.h"
#include "tensor/ops/elementwise.h"

/* ---- sums: [groups, 2E+2] = counts | probabilities | tokens | logsumexp^2 ---- */
enum { LOGITS, INDICES, MASK };
typedef struct sums {
    int64_t groups, rows, experts, top_k;
    bool sigmoid;
} sums;

static bool counts(const wf_node *node, int64_t n) { return !node->in[MASK] || ((const uint8_t *)node->in[MASK]->data)[n]; }

/* P_e of a row: softmax, or the sigmoids as parts of their sum. */
static void probabilities(const sums *a, float *p, const float *logits, const wf_worker *w) {
    double sum = 0.0;
    if (!a->sigmoid) {
        w->k->softmax(p, logits, a->experts);
        return;
    }
    w->k->activate(WF_SIGMOID, p, logits, a->experts);
    for (int64_t e = 0; e < a->experts; e++)
        sum += (double)p[e];
    w->k->scale(p, (float)(1.0 / sum), p, a->experts);
}

static void sum_group(const wf_node *node, int64_t g, wf_worker *w) {
    const sums *a = node->attr;
    double *total = w->scratch;
    float *p = (float *)(total + a->experts + 1), *out = (float *)node->out[0]->data + g * (2 * a->experts + 2);
    const int64_t *index = node->in[INDICES]->data;
    memset(out, 0, (size_t)(2 * a->experts + 2) * sizeof *out);
    memset(total, 0, (size_t)(a->experts + 1) * sizeof *total);
    for (int64_t n = g * a->rows; n < (g + 1) * a->rows; n++) {
        const float *logits = (const float *)node->in[LOGITS]->data + n * a->experts;
        if (!counts(node, n))
            continue;
        probabilities(a, p, logits, w);
        for (int64_t j = 0; j < a->top_k; j++)
            out[index[n * a->top_k + j]] += 1.0f;
        for (int64_t e = 0; e < a->experts; e++)
            total[e] += (double)p[e];
        double z = (double)w->k->log_sum_exp(logits, a->experts);
        total[a->experts] += z * z;
        out[2 * a->experts] += 1.0f;
    }
    for (int64_t e = 0; e < a->experts; e++)
        out[a->experts + e] = (float)total[e];
    out[2 * a->experts + 1] = (float)total[a->experts];
}

static void sum_back(const wf_node *node, int64_t n, wf_worker *w) {
    const sums *a = node->attr;
    const float *logits = (const float *)node->in[LOGITS]->data + n * a->experts,
                *dy = (const float *)node->out[0]->grad + n / a->rows * (2 * a->experts + 2);
    float *p = w->scratch, *d = p + a->experts, z = w->k->log_sum_exp(logits, a->experts);
    double dot = 0.0, dz = 2.0 * (double)z * (double)dy[2 * a->experts + 1];
    memset(d, 0, (size_t)a->experts * sizeof *d);
    if (counts(node, n)) {
        probabilities(a, p, logits, w);
        for (int64_t e = 0; e < a->experts; e++)
            dot += (double)p[e] * (double)dy[a->experts + e];
        for (int64_t e = 0; e < a->experts; e++) {
            double s = 1.0 / (1.0 + exp(-(double)logits[e])), slope = (double)p[e] * ((double)dy[a->experts + e] - dot);
            d[e] = (float)(slope * (a->sigmoid ? 1.0 - s : 1.0) + dz * exp((double)logits[e] - (double)z));
        }
    }
    store_din(node, LOGITS, n * a->experts, a->experts, d, w);
}

static int sums_pieces(const wf_node *node, wf_pass pass, int phase) {
    const sums *a = node->attr;
    return phase > 0 ? 0 : pass == WF_FORWARD ? (int)a->groups : wf_split_pieces(a->groups * a->rows, 16);
}

static void sums_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const sums *a = node->attr;
    int64_t first, end, n = a->groups * a->rows;
    (void)phase;
    if (pass == WF_FORWARD) {
        sum_group(node, piece, w);
        return;
    }
    wf_split_bounds(n, wf_split_pieces(n, 16), piece, &first, &end);
    for (; first < end; first++)
        sum_back(node, first, w);
}

const wf_op wf_op_router_sums = {
    .name = "router_sums", .pieces = sums_pieces, .run = sums_run, .saves_in = 1u << LOGITS | 1u << MASK};

wf_tensor *wf_router_sums(wf_tape *t, wf_tensor *logits, wf_tensor *indices, wf_tensor *mask, const char *router,
                          bool per_sequence) {
    if (!logits || !indices)
        return NULL;
    if (logits->rank != 3 || logits->type != WF_F32 || indices->type != WF_I64 ||
        wf_row_count(indices) != wf_row_count(logits) || (mask && (mask->type != WF_U8 || mask->count != wf_row_count(logits))))
        return wf_tape_error(t, WEFT_USAGE, "router_sums: logits, indices and mask do not fit together");
    sums a = {.groups = per_sequence ? logits->dims[0] : 1,
              .experts = logits->dims[2],
              .top_k = wf_dim(indices, -1),
              .sigmoid = wf_streq(router, "sigmoid")};
    a.rows = wf_row_count(logits) / a.groups;
    sums *attr = attr_copy(t, &a, sizeof a);
    wf_tensor *y = wf_out(t, WF_F32, 2, (int64_t[]){a.groups, 2 * a.experts + 2});
    wf_node *node = attr && y ? wf_record(t, &wf_op_router_sums, 3, (wf_tensor *[]){logits, indices, mask}, 1, &y, attr) : NULL;
    if (!node)
        return NULL;
    node->scratch = (size_t)(a.experts + 1) * sizeof(double) + (size_t)(2 * a.experts) * sizeof(float);
    return y;
}

/* ---- the losses ---- */
typedef struct loss {
    int64_t groups, experts;
} loss;

static int one_piece(const wf_node *node, wf_pass pass, int phase) {
    (void)node, (void)pass;
    return phase == 0;
}

static double part(double sum, double count) { return count > 0.0 ? sum / count : 0.0; }

/* Mean over groups of E sum_e f_e P_e, f and P by the tokens of the group. */
static void balance_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const loss *a = node->attr;
    int64_t E = a->experts, width = 2 * E + 2;
    float beta, *grad = pass == WF_BACKWARD ? wf_grad_in(node, 0, w, &beta) : NULL;
    double sum = 0.0, each = (double)E / (double)a->groups;
    (void)phase, (void)piece;
    for (int64_t g = 0; g < a->groups; g++) {
        const float *s = (const float *)node->in[0]->data + g * width;
        double tokens = (double)s[2 * E];
        for (int64_t e = 0; e < E; e++)
            sum += part((double)s[e], tokens) * part((double)s[E + e], tokens);
        for (int64_t i = 0; grad && i < width; i++) {
            double d = i < E || i >= 2 * E
                           ? 0.0
                           : part(part((double)s[i - E], tokens), tokens) * each * (double)*(const float *)node->out[0]->grad;
            grad[g * width + i] = (beta == 0.0f ? 0.0f : grad[g * width + i]) + (float)d;
        }
    }
    if (pass == WF_FORWARD)
        *(float *)node->out[0]->data = (float)(sum * each);
}

/* Mean over all tokens of logsumexp^2. */
static void z_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const loss *a = node->attr;
    int64_t width = 2 * a->experts + 2;
    float beta, *grad = pass == WF_BACKWARD ? wf_grad_in(node, 0, w, &beta) : NULL;
    double sum = 0.0, tokens = 0.0;
    (void)phase, (void)piece;
    for (int64_t g = 0; g < a->groups; g++) {
        const float *s = (const float *)node->in[0]->data + g * width;
        tokens += (double)s[width - 2];
        sum += (double)s[width - 1];
    }
    for (int64_t i = 0; grad && i < a->groups * width; i++) {
        double d = i % width == width - 1 ? part((double)*(const float *)node->out[0]->grad, tokens) : 0.0;
        grad[i] = (beta == 0.0f ? 0.0f : grad[i]) + (float)d;
    }
    if (pass == WF_FORWARD)
        *(float *)node->out[0]->data = (float)part(sum, tokens);
}

const wf_op wf_op_balance_loss = {.name = "balance_loss", .pieces = one_piece, .run = balance_run, .saves_in = 1};
const wf_op wf_op_z_loss = {.name = "z_loss", .pieces = one_piece, .run = z_run, .saves_in = 1};

static wf_tensor *record_loss(wf_tape *t, const wf_op *op, wf_tensor *x) {
    if (!x)
        return NULL;
    if (x->rank != 2 || x->type != WF_F32 || x->dims[1] < 4 || x->dims[1] % 2)
        return wf_tape_error(t, WEFT_USAGE, "%s: the sums of a router are needed", op->name);
    loss *attr = attr_copy(t, &(loss){x->dims[0], x->dims[1] / 2 - 1}, sizeof *attr);
    wf_tensor *y = wf_out(t, WF_F32, 1, (int64_t[]){1});
    return attr && y && wf_record(t, op, 1, &x, 1, &y, attr) ? y : NULL;
}

wf_tensor *wf_balance_loss(wf_tape *t, wf_tensor *x) { return record_loss(t, &wf_op_balance_loss, x); }
wf_tensor *wf_z_loss(wf_tape *t, wf_tensor *x) { return record_loss(t, &wf_op_z_loss, x); }
