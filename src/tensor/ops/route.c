/* route.c - a router's choice: each token's k best experts and their weights (Shazeer et al. 2017; Fedus et al. 2022, eq. 1-3;
 * Lepikhin et al. 2021, algorithm 1; DeepSeek-AI 2024, arXiv 2412.19437, eq. 12-16). What a router makes of its logits is a row
 * of a table. */
#include <math.h>
#include "base/str.h"
#include "tensor/experts.h"
#include "tensor/ops/elementwise.h"

enum { LOGITS, BIAS, USED_IN };
enum { WEIGHTS, INDICES, KEPT, PROBS, USED };

typedef struct route route;

typedef struct router {
    const char *name;
    bool planes; /* probabilities per choice: [k, E] instead of [E] */
    bool eps;    /* 1e-20 in the sum of the weights */
    void (*probabilities)(const route *a, float *p, const float *logits,
                          const wf_worker *w); /* of a row, before the choice; may be NULL */
    void (*choose)(const route *a, float *p, const float *logits, float *score, int64_t *index, const wf_worker *w);
    /* dlogits += of dp[j], the gradient of the probability of choice j. */
    void (*back)(const route *a, float *dlogits, const float *p, const int64_t *index, const double *dp);
} router;

struct route {
    wf_route_spec spec;
    int64_t batch, rows, experts, plane; /* plane: probabilities of a row */
    const router *router;
};

static int64_t row_total(const route *a) { return a->batch * a->rows; }

/* ---- choosing ---- */
static int64_t best_of(const float *score, int64_t n) {
    int64_t best = 0;
    for (int64_t e = 1; e < n; e++)
        if (score[e] > score[best])
            best = e;
    return best;
}

static float group_score(const route *a, const float *score, int64_t size) {
    float first = -INFINITY, second = -INFINITY;
    for (int64_t e = 0; e < size; e++) {
        if (score[e] > first) {
            second = first;
            first = score[e];
        } else if (score[e] > second) {
            second = score[e];
        }
    }
    return a->spec.group_max || size < 2 ? first : first + second;
}

/* Scores of all but the best groups become -inf. groups <= 256. */
static void exclude_groups(const route *a, float *score) {
    int64_t n = a->spec.groups, size = n ? a->experts / n : 0;
    float groups[256];
    bool in[256] = {false};
    if (n == 0)
        return;
    for (int64_t g = 0; g < n; g++)
        groups[g] = group_score(a, score + g * size, size);
    for (int64_t i = 0; i < a->spec.top_groups; i++) {
        int64_t g = best_of(groups, n);
        in[g] = true;
        groups[g] = -INFINITY;
    }
    for (int64_t e = 0; e < a->experts; e++)
        score[e] = in[e / size] ? score[e] : -INFINITY;
}

/* The k best of the scores; what was taken does not come again. */
static void take_best(const route *a, float *score, int64_t *index) {
    for (int64_t j = 0; j < a->spec.top_k; j++) {
        int64_t e = best_of(score, a->experts);
        for (int64_t i = 0; i < j; i++)
            if (index[i] == e) { /* only -inf and NaN are left: the first that is free */
                e = (e + 1) % a->experts;
                i = -1;
            }
        index[j] = e;
        score[e] = -INFINITY;
    }
}

static void choose_by_score(const route *a, float *p, const float *logits, float *score, int64_t *index, const wf_worker *w) {
    (void)logits, (void)w;
    exclude_groups(a, score);
    take_best(a, score, index);
    (void)p;
}

/* ---- softmax ---- */
static void softmax(const route *a, float *p, const float *logits, const wf_worker *w) { w->k->softmax(p, logits, a->experts); }

static void softmax_back(const route *a, float *dlogits, const float *p, const int64_t *index, const double *dp) {
    double sum = 0.0;
    for (int64_t j = 0; j < a->spec.top_k; j++)
        sum += dp[j] * (double)p[index[j]];
    for (int64_t e = 0; e < a->experts; e++)
        dlogits[e] -= (float)((double)p[e] * sum);
    for (int64_t j = 0; j < a->spec.top_k; j++)
        dlogits[index[j]] += (float)(dp[j] * (double)p[index[j]]);
}

/* ---- sigmoid ---- */
static void sigmoid(const route *a, float *p, const float *logits, const wf_worker *w) {
    w->k->activate(WF_SIGMOID, p, logits, a->experts);
}

static void sigmoid_back(const route *a, float *dlogits, const float *p, const int64_t *index, const double *dp) {
    for (int64_t j = 0; j < a->spec.top_k; j++) {
        double s = (double)p[index[j]];
        dlogits[index[j]] += (float)(dp[j] * s * (1.0 - s));
    }
}

/* ---- sparsemixer (Liu et al. 2023, arXiv 2310.00811), as phimoe evaluates it: choice j is the best of those not taken yet,
 * its weight a softmax over them without the experts that are further below than 2*jitter of max(|l|, best). ---- */
static void sparse_softmax(const route *a, float *p, const float *logits, const bool *taken, int64_t best, const wf_worker *w) {
    float top = logits[best];
    for (int64_t e = 0; e < a->experts; e++) {
        float factor = fmaxf(fabsf(logits[e]), top);
        p[e] = taken[e] || (top - logits[e]) / factor > 2.0f * a->spec.jitter ? -INFINITY : logits[e];
    }
    w->k->softmax(p, p, a->experts);
}

enum { MOST_EXPERTS = 4096 };

static void choose_sparse(const route *a, float *p, const float *logits, float *score, int64_t *index, const wf_worker *w) {
    bool taken[MOST_EXPERTS] = {false};
    take_best(a, score, index);
    for (int64_t j = 0; j < a->spec.top_k; j++) {
        sparse_softmax(a, p + j * a->experts, logits, taken, index[j], w);
        taken[index[j]] = true;
    }
}

static void sparse_back(const route *a, float *dlogits, const float *p, const int64_t *index, const double *dp) {
    for (int64_t j = 0; j < a->spec.top_k; j++, p += a->experts) {
        double chosen = (double)p[index[j]];
        for (int64_t e = 0; e < a->experts; e++)
            dlogits[e] += (float)(dp[j] * chosen * ((e == index[j] ? 1.0 : 0.0) - (double)p[e]));
    }
}

static const router routers[] = {{"softmax", false, false, softmax, choose_by_score, softmax_back},
                                 {"sigmoid", false, true, sigmoid, choose_by_score, sigmoid_back},
                                 {"sparsemixer", true, false, NULL, choose_sparse, sparse_back}};

/* ---- weights: g_j = scale * p_j, or scale * p_j / max((sum p^r)^(1/r), min) ---- */
static double chosen(const route *a, const float *p, const int64_t *index, int64_t j) {
    return (double)p[(a->router->planes ? j * a->experts : 0) + index[j]];
}

static double norm_of(const route *a, const float *p, const int64_t *index, bool *clamped) {
    double r = (double)a->spec.normalise_order, sum = a->router->eps ? 1e-20 : 0.0;
    *clamped = false;
    if (!a->spec.normalise)
        return 1.0;
    for (int64_t j = 0; j < a->spec.top_k; j++)
        sum += r == 1.0 ? chosen(a, p, index, j) : pow(chosen(a, p, index, j), r);
    double norm = r == 1.0 ? sum : pow(sum, 1.0 / r);
    *clamped = norm < (double)a->spec.normalise_min;
    return *clamped ? (double)a->spec.normalise_min : norm;
}

static void route_row(const wf_node *node, int64_t n, wf_worker *w) {
    const route *a = node->attr;
    const float *logits = (const float *)node->in[LOGITS]->data + n * a->experts,
                *bias = node->in[BIAS] ? node->in[BIAS]->data : NULL;
    float *p = (float *)node->out[PROBS]->data + n * a->plane, *score = w->scratch;
    int64_t *index = (int64_t *)node->out[INDICES]->data + n * a->spec.top_k;
    bool clamped;
    if (a->router->probabilities)
        a->router->probabilities(a, p, logits, w);
    memcpy(score, a->router->probabilities ? p : logits, (size_t)a->experts * sizeof *score);
    if (bias)
        w->k->add(score, score, bias, a->experts);
    a->router->choose(a, p, logits, score, index, w);
    double norm = norm_of(a, p, index, &clamped);
    for (int64_t j = 0; j < a->spec.top_k; j++) {
        ((float *)node->out[WEIGHTS]->data)[n * a->spec.top_k + j] =
            (float)((double)a->spec.scale * chosen(a, p, index, j) / norm);
        ((uint8_t *)node->out[KEPT]->data)[n * a->spec.top_k + j] = 1;
    }
}

/* Drops what is beyond the capacity of sequence b; `used` [E] counts what was kept. */
static void limit(const wf_node *node, int64_t b) {
    const route *a = node->attr;
    const int64_t *index = (const int64_t *)node->out[INDICES]->data, k = a->spec.top_k;
    float *used = (float *)node->out[USED]->data + b * a->experts;
    for (int64_t e = 0; e < a->experts; e++)
        used[e] = node->in[USED_IN] ? ((const float *)node->in[USED_IN]->data)[b * a->experts + e] : 0.0f;
    for (int64_t j = 0; j < k; j++)
        for (int64_t t = 0; t < a->rows; t++) {
            int64_t at = (b * a->rows + t) * k + j;
            bool fits = used[index[at]] < (float)a->spec.capacity;
            used[index[at]] += fits ? 1.0f : 0.0f;
            ((uint8_t *)node->out[KEPT]->data)[at] = fits;
            if (!fits)
                ((float *)node->out[WEIGHTS]->data)[at] = 0.0f;
        }
}

enum { MOST_CHOICES = 256 };

static void back_row(const wf_node *node, int64_t n, float *dlogits) {
    const route *a = node->attr;
    int64_t k = a->spec.top_k, at = n * k;
    const float *p = (const float *)node->out[PROBS]->data + n * a->plane, *dg = (const float *)node->out[WEIGHTS]->grad + at;
    const int64_t *index = (const int64_t *)node->out[INDICES]->data + at;
    const uint8_t *kept = (const uint8_t *)node->out[KEPT]->data + at;
    double dp[MOST_CHOICES], sum = 0.0, r = (double)a->spec.normalise_order;
    bool clamped;
    double norm = norm_of(a, p, index, &clamped);
    for (int64_t j = 0; j < k; j++)
        sum += kept[j] ? (double)dg[j] * chosen(a, p, index, j) : 0.0;
    for (int64_t j = 0; j < k; j++) {
        dp[j] = kept[j] ? (double)dg[j] / norm : 0.0;
        if (a->spec.normalise && !clamped)
            dp[j] -= sum / (norm * norm) * (r == 1.0 ? 1.0 : pow(chosen(a, p, index, j) / norm, r - 1.0));
        dp[j] *= (double)a->spec.scale;
    }
    a->router->back(a, dlogits, p, index, dp);
}

static void back_rows(const wf_node *node, int64_t first, int64_t end, wf_worker *w) {
    const route *a = node->attr;
    float *d = w->scratch;
    for (int64_t n = first; n < end; n++) {
        memset(d, 0, (size_t)a->experts * sizeof *d);
        if (node->out[WEIGHTS]->grad)
            back_row(node, n, d);
        store_din(node, LOGITS, n * a->experts, a->experts, d, w);
    }
}

static void zero_states(const wf_node *node, wf_worker *w) {
    float beta, *grad = wf_grad_in(node, USED_IN, w, &beta);
    if (grad && beta == 0.0f)
        memset(grad, 0, (size_t)node->in[USED_IN]->count * sizeof *grad);
}

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const route *a = node->attr;
    if (phase == 0)
        return wf_split_pieces(row_total(a), 16);
    if (pass == WF_BACKWARD)
        return phase == 1 && node->in[USED_IN] ? 1 : 0;
    return phase == 1 && a->spec.capacity > 0 ? (int)a->batch : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t first, end, n = row_total(node->attr);
    if (phase == 1 && pass == WF_FORWARD) {
        limit(node, piece);
    } else if (phase == 1) {
        zero_states(node, w);
    } else {
        wf_split_bounds(n, wf_split_pieces(n, 16), piece, &first, &end);
        if (pass == WF_BACKWARD)
            back_rows(node, first, end, w);
        for (; pass == WF_FORWARD && first < end; first++)
            route_row(node, first, w);
    }
}

const wf_op wf_op_route = {
    .name = "route", .pieces = pieces, .run = run, .saves_out = 1u << INDICES | 1u << KEPT | 1u << PROBS};

static const char *problem(const wf_tensor *logits, const route *a) {
    const wf_route_spec *s = &a->spec;
    int64_t group = s->groups > 0 ? a->experts / s->groups : a->experts;
    if (!a->router)
        return "no such router";
    if (logits->rank != 3 || logits->type != WF_F32 || a->experts > MOST_EXPERTS)
        return "logits [B,T,E] of at most 4096 experts are needed";
    if (s->top_k < 1 || s->top_k > a->experts || s->top_k > MOST_CHOICES)
        return "top_k must be between 1 and the number of experts (at most 256)";
    if (s->groups < 0 || s->groups > 256 ||
        (s->groups > 0 && (a->experts % s->groups || s->top_groups < 1 || s->top_groups > s->groups)))
        return "the groups do not divide the experts";
    if (s->groups > 0 && s->top_k > s->top_groups * group)
        return "top_k is more than the experts of the best groups";
    return (s->select_bias && s->select_bias->count != a->experts) || (s->used_in && s->used_in->count != a->batch * a->experts)
               ? "wrong shapes"
               : NULL;
}

bool wf_route(wf_tape *t, wf_tensor *logits, const wf_route_spec *spec, wf_routing *out) {
    *out = (wf_routing){NULL, NULL, NULL};
    wf_no_output(spec->used_out);
    route *a =
        logits
            ? attr_copy(
                  t,
                  &(route){.spec = *spec, .batch = logits->dims[0], .rows = wf_dim(logits, 1), .experts = wf_dim(logits, -1)},
                  sizeof *a)
            : NULL;
    if (!a)
        return false;
    for (size_t i = 0; i < sizeof routers / sizeof *routers; i++)
        if (wf_streq(routers[i].name, spec->router))
            a->router = &routers[i];
    const char *why = problem(logits, a);
    if (why) {
        wf_tape_error(t, WEFT_USAGE, "route: %s", why);
        return false;
    }
    a->plane = a->experts * (a->router->planes ? spec->top_k : 1);
    int64_t dims[3] = {a->batch, a->rows, spec->top_k};
    wf_tensor *o[5] = {wf_out(t, WF_F32, 3, dims), wf_out(t, WF_I64, 3, dims), wf_out(t, WF_U8, 3, dims),
                       wf_out(t, WF_F32, 3, (int64_t[]){a->batch, a->rows, a->plane}), NULL};
    if (spec->capacity > 0)
        o[USED] = wf_out(t, WF_F32, 2, (int64_t[]){a->batch, a->experts});
    wf_node *node = wf_record(t, &wf_op_route, 3, (wf_tensor *[]){logits, spec->select_bias, spec->used_in},
                              spec->capacity > 0 ? 5 : 4, o, a);
    if (!node)
        return false;
    node->scratch = (size_t)a->experts * sizeof(float);
    *out = (wf_routing){.indices = o[INDICES], .weights = o[WEIGHTS], .kept = o[KEPT]};
    if (spec->used_out && spec->capacity > 0)
        *spec->used_out = o[USED];
    return true;
}
