/* choose_tokens.c - the experts' choice (Zhou et al. 2022, arXiv 2202.09368, eq. 1-2): softmax over the experts, then every
 * expert takes the `capacity` tokens of a sequence where it is largest. Handed on as a choice of the tokens, who go to expert j
 * as their choice j or not. */
#include "tensor/experts.h"
#include "tensor/ops/elementwise.h"

enum { LOGITS, MASK };
enum { WEIGHTS, ASSIGNED, KEPT, PROBS, INDICES, TAKEN };
typedef struct choose {
    int64_t batch, rows, experts, most;
} choose;

/* Is token a of expert e behind token b: a smaller probability, or the same further on? NaN comes last. */
typedef struct order {
    const float *p;
    int64_t experts;
} order;
static bool behind(const order *o, int32_t a, int32_t b) {
    float x = o->p[a * o->experts], y = o->p[b * o->experts];
    return x < y || (!(x > y) && a > b);
}

static void sink(const order *o, int32_t *heap, int64_t n, int64_t i) {
    for (int64_t child = 2 * i + 1; child < n; child = 2 * i + 1) {
        if (child + 1 < n && behind(o, heap[child], heap[child + 1]))
            child++;
        if (!behind(o, heap[i], heap[child]))
            return;
        int32_t old = heap[i];
        heap[i] = heap[child];
        heap[child] = old;
        i = child;
    }
}

static void choose_for(const wf_node *node, int64_t b, int64_t e, wf_worker *w) {
    const choose *a = node->attr;
    const uint8_t *mask = node->in[MASK] ? (const uint8_t *)node->in[MASK]->data + b * a->rows : NULL;
    int32_t *heap = w->scratch;
    const order o = {(const float *)node->out[PROBS]->data + b * a->rows * a->experts + e, a->experts};
    int64_t n = 0, at = (b * a->experts + e) * a->most;
    for (int64_t t = 0; t < a->rows; t++)
        if (!mask || mask[t])
            heap[n++] = (int32_t)t;
    for (int64_t i = n / 2; i-- > 0;)
        sink(&o, heap, n, i);
    for (int64_t c = 0; c < a->most; c++, at++) {
        int64_t t = n > 0 ? heap[0] : -1; /* fewer tokens than places: -1, weight 0 */
        ((int64_t *)node->out[INDICES]->data)[at] = t;
        ((float *)node->out[TAKEN]->data)[at] = t >= 0 ? o.p[t * a->experts] : 0.0f;
        if (n == 0)
            continue;
        int64_t pair = (b * a->rows + t) * a->experts + e;
        ((uint8_t *)node->out[KEPT]->data)[pair] = 1;
        ((float *)node->out[WEIGHTS]->data)[pair] = o.p[t * a->experts];
        heap[0] = heap[--n];
        sink(&o, heap, n, 0);
    }
}

static void prepare(const wf_node *node, int64_t n, wf_worker *w) {
    const choose *a = node->attr;
    w->k->softmax((float *)node->out[PROBS]->data + n * a->experts, (const float *)node->in[LOGITS]->data + n * a->experts,
                  a->experts);
    for (int64_t e = 0; e < a->experts; e++) {
        ((int64_t *)node->out[ASSIGNED]->data)[n * a->experts + e] = e;
        ((uint8_t *)node->out[KEPT]->data)[n * a->experts + e] = 0;
        ((float *)node->out[WEIGHTS]->data)[n * a->experts + e] = 0.0f;
    }
}

static void back(const wf_node *node, int64_t n, wf_worker *w) {
    const choose *a = node->attr;
    const float *p = (const float *)node->out[PROBS]->data + n * a->experts,
                *dg = (const float *)node->out[WEIGHTS]->grad + n * a->experts;
    const uint8_t *kept = (const uint8_t *)node->out[KEPT]->data + n * a->experts;
    float *d = w->scratch;
    double sum = 0.0;
    for (int64_t e = 0; e < a->experts; e++)
        sum += kept[e] ? (double)p[e] * (double)dg[e] : 0.0;
    for (int64_t e = 0; e < a->experts; e++)
        d[e] = (float)((double)p[e] * ((kept[e] ? (double)dg[e] : 0.0) - sum));
    store_din(node, LOGITS, n * a->experts, a->experts, d, w);
}

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const choose *a = node->attr;
    if (phase == 0)
        return wf_split_pieces(a->batch * a->rows, 16);
    return phase == 1 && pass == WF_FORWARD ? (int)(a->batch * a->experts) : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const choose *a = node->attr;
    int64_t first, end, n = a->batch * a->rows;
    if (phase == 1) {
        choose_for(node, piece / a->experts, piece % a->experts, w);
        return;
    }
    wf_split_bounds(n, wf_split_pieces(n, 16), piece, &first, &end);
    for (; first < end; first++)
        (pass == WF_FORWARD ? prepare : back)(node, first, w);
}

const wf_op wf_op_choose_tokens = {
    .name = "choose_tokens", .pieces = pieces, .run = run, .saves_out = 1u << KEPT | 1u << PROBS};

bool wf_choose_tokens(wf_tape *t, wf_tensor *logits, wf_tensor *mask, int64_t capacity, wf_routing *tokens,
                      wf_routing *experts) {
    *tokens = *experts = (wf_routing){NULL, NULL, NULL};
    if (!logits)
        return false;
    if (logits->rank != 3 || logits->type != WF_F32 || capacity < 1 || logits->dims[1] > INT32_MAX / 2 ||
        (mask && (mask->type != WF_U8 || mask->count != wf_row_count(logits)))) {
        wf_tape_error(t, WEFT_USAGE, "choose_tokens: logits [B,T,E] and one byte per token are needed");
        return false;
    }
    choose a = {.batch = logits->dims[0], .rows = logits->dims[1], .experts = logits->dims[2]};
    a.most = capacity < a.rows ? capacity : a.rows;
    choose *attr = attr_copy(t, &a, sizeof a);
    const int64_t taken[3] = {a.batch, a.experts, a.most};
    wf_tensor *o[6] = {wf_out(t, WF_F32, 3, logits->dims), wf_out(t, WF_I64, 3, logits->dims),
                       wf_out(t, WF_U8, 3, logits->dims),  wf_out(t, WF_F32, 3, logits->dims),
                       wf_out(t, WF_I64, 3, taken),        wf_out(t, WF_F32, 3, taken)};
    wf_node *node = attr ? wf_record(t, &wf_op_choose_tokens, 2, (wf_tensor *[]){logits, mask}, 6, o, attr) : NULL;
    if (!node)
        return false;
    node->scratch = (size_t)(a.rows > a.experts ? a.rows : a.experts) * sizeof(float);
    *tokens = (wf_routing){o[ASSIGNED], o[WEIGHTS], o[KEPT]};
    *experts = (wf_routing){o[INDICES], o[TAKEN], NULL};
    return true;
}
