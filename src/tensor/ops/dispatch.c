/* dispatch.c - assignments sorted by expert, and rows between the order of the tokens and that order. Both directions walk a
 * table in index order, one piece per range of rows, so that sums are made in the same order whoever computes them. */
#include "base/str.h"
#include "tensor/experts.h"
#include "tensor/ops/elementwise.h"

/* ---- dispatch ---- */
enum { INDICES, KEPT };
enum { SLOT, ROW, BLOCKS };
typedef struct sort {
    int64_t n, experts, per;
} sort; /* per: rows that belong to the experts in turn, so many each; 0: by INDICES */

wf_blocks wf_blocks_of(const void *data, int64_t experts) {
    const int32_t *at = data;
    return (wf_blocks){.start = at, .used = at[experts + 1], .block = (const wf_block *)(at + experts + 2)};
}

static int64_t rounded(int64_t rows) { return (rows + WF_EXPERT_ROUND - 1) / WF_EXPERT_ROUND * WF_EXPERT_ROUND; }
int64_t wf_blocks_most(const wf_dispatch *d) {
    return d->rows / WF_EXPERT_BLOCK + (d->experts < d->rows ? d->experts : d->rows);
}

double wf_dispatch_waste(const void *blocks, int64_t experts) {
    wf_blocks b = wf_blocks_of(blocks, experts);
    int64_t real = 0, rows = 0;
    for (int32_t i = 0; i < b.start[experts]; i++) {
        rows += b.block[i].rows;
        real += b.block[i].real;
    }
    return real > 0 ? (double)(rows - real) / (double)real : 0.0;
}

/* The blocks of an expert with `real` rows: equal parts of at most WF_EXPERT_BLOCK rows. Returns how many. */
static int32_t cut_blocks(wf_block *to, int64_t first, int64_t real) {
    int64_t count = (rounded(real) + WF_EXPERT_BLOCK - 1) / WF_EXPERT_BLOCK,
            each = count ? rounded((real + count - 1) / count) : 0;
    int32_t n = 0;
    for (int64_t at = 0; at < real; at += each) {
        int64_t take = real - at < each ? real - at : each;
        to[n++] = (wf_block){(int32_t)(first + at), (int32_t)rounded(take), (int32_t)take};
    }
    return n;
}

static int64_t expert_at(const wf_node *node, int64_t i) {
    const sort *a = node->attr;
    return a->per ? i / a->per % a->experts : ((const int64_t *)node->in[INDICES]->data)[i];
}

static void sort_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const sort *a = node->attr;
    const uint8_t *kept = node->in[KEPT] ? node->in[KEPT]->data : NULL;
    int32_t *slot = node->out[SLOT]->data, *row = node->out[ROW]->data, *start = node->out[BLOCKS]->data, *next = w->scratch;
    wf_block *block = (wf_block *)(start + a->experts + 2);
    int64_t at = 0;
    (void)pass, (void)phase, (void)piece;
    memset(next, 0, (size_t)a->experts * sizeof *next);
    memset(slot, 0xff, (size_t)node->out[SLOT]->count * sizeof *slot);
    for (int64_t i = 0; i < a->n; i++)
        next[expert_at(node, i)] += !kept || kept[i];
    start[0] = 0;
    for (int64_t e = 0; e < a->experts; e++) {
        int64_t rows = next[e];
        start[e + 1] = start[e] + cut_blocks(block + start[e], at, rows);
        next[e] = (int32_t)at;
        at += rounded(rows);
    }
    start[a->experts + 1] = (int32_t)at;
    for (int64_t i = 0; i < a->n; i++) {
        row[i] = !kept || kept[i] ? next[expert_at(node, i)]++ : -1;
        if (row[i] >= 0)
            slot[row[i]] = (int32_t)i;
    }
}

static int sort_pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)node;
    return pass == WF_FORWARD && phase == 0 ? 1 : 0;
}

const wf_op wf_op_dispatch = {.name = "dispatch", .pieces = sort_pieces, .run = sort_run};

static bool record_sort(wf_tape *t, const wf_routing *routing, const sort *how, wf_dispatch *out) {
    sort *a = attr_copy(t, how, sizeof *a);
    out->rows = out->most + (WF_EXPERT_ROUND - 1) * (out->experts < out->most ? out->experts : out->most);
    wf_tensor *o[3] = {wf_out(t, WF_I32, 1, &out->rows), wf_out(t, WF_I32, 1, &how->n),
                       wf_out(t, WF_I32, 1, (int64_t[]){out->experts + 2 + 3 * wf_blocks_most(out)})};
    wf_node *node = a ? wf_record(t, &wf_op_dispatch, 2, (wf_tensor *[]){routing->indices, routing->kept}, 3, o, a) : NULL;
    if (!node)
        return false;
    node->scratch = (size_t)out->experts * sizeof(int32_t);
    out->slot = o[SLOT];
    out->row = o[ROW];
    out->blocks = o[BLOCKS];
    return true;
}

bool wf_dispatch_rows(wf_tape *t, const wf_routing *routing, int64_t experts, int64_t most, wf_dispatch *out) {
    const wf_tensor *index = routing->indices, *kept = routing->kept;
    *out = (wf_dispatch){.slot = NULL};
    if (!index)
        return false;
    if (index->type != WF_I64 || index->rank < 1 || (kept && (kept->type != WF_U8 || kept->count != index->count)) ||
        experts < 1 || index->count > INT32_MAX / 4 || experts > INT32_MAX / 4) {
        wf_tape_error(t, WEFT_USAGE, "dispatch: int64 indices and one byte for each are needed");
        return false;
    }
    most = most > 0 && most < index->count ? most : index->count;
    *out = (wf_dispatch){.most = most, .experts = experts, .top_k = wf_dim(index, -1), .tokens = wf_row_count(index)};
    return record_sort(t, routing, &(sort){index->count, experts, 0}, out);
}

bool wf_dispatch_slots(wf_tape *t, int64_t batch, int64_t experts, int64_t slots, wf_dispatch *out) {
    const wf_routing none = {NULL, NULL, NULL};
    int64_t n = batch * experts * slots;
    *out = (wf_dispatch){.most = n, .experts = experts, .top_k = 1, .tokens = n};
    if (batch < 1 || experts < 1 || slots < 1 || experts > 1 << 20 || slots > 1 << 20 || n > INT32_MAX / 4) {
        wf_tape_error(t, WEFT_USAGE, "dispatch: too many slots");
        return false;
    }
    return record_sort(t, &none, &(sort){n, experts, slots}, out);
}

/* ---- rows there and back ---- */
enum { X, WEIGHTS, TO_SLOT, TO_ROW };
typedef struct move {
    int64_t width, tokens, top_k, rows;
    bool collects;
} move;

typedef struct transfer { /* from data to out, rows of two tensors */
    const wf_tensor *from, *to;
    const void *data;
    void *out;
    float beta;
} transfer;

static float weight_at(const wf_node *node, int64_t slot) {
    return node->in[WEIGHTS] ? ((const float *)node->in[WEIGHTS]->data)[slot] : 1.0f;
}

/* Sorted rows from those of tokens: to[r] = weight * from[token of r], 0 for padding. */
static void spread(const wf_node *node, const transfer *m, int64_t r, wf_worker *w) {
    const move *a = node->attr;
    int64_t slot = ((const int32_t *)node->in[TO_SLOT]->data)[r], n = a->width, token = slot / a->top_k;
    float tmp[TILE], y[TILE], weight = slot >= 0 ? weight_at(node, slot) : 0.0f;
    if (slot < 0)
        memset(y, 0, sizeof y);
    for (int64_t c = 0; c < n; c += TILE) {
        int64_t part = n - c < TILE ? n - c : TILE;
        if (slot >= 0)
            w->k->scale(y, weight, wf_load(w, m->data, m->from->type, token * n + c, part, tmp), part);
        wf_store(w, m->out, m->to->type, r * n + c, part, y, m->beta);
    }
}

/* Rows of tokens from sorted ones: to[token] = the sum of weight * from[row] over its assignments. */
static void collect(const wf_node *node, const transfer *m, int64_t token, wf_worker *w) {
    const move *a = node->attr;
    const int32_t *row = (const int32_t *)node->in[TO_ROW]->data + token * a->top_k;
    int64_t n = a->width;
    float tmp[TILE], y[TILE];
    for (int64_t c = 0; c < n; c += TILE) {
        int64_t part = n - c < TILE ? n - c : TILE;
        memset(y, 0, (size_t)part * sizeof *y);
        for (int64_t j = 0; j < a->top_k; j++)
            if (row[j] >= 0)
                w->k->axpy(y, weight_at(node, token * a->top_k + j),
                           wf_load(w, m->data, m->from->type, row[j] * n + c, part, tmp), part);
        wf_store(w, m->out, m->to->type, token * n + c, part, y, m->beta);
    }
}

/* The gradient of a weight: the row of the token times the sorted row. */
static void weight_gradient(const wf_node *node, int64_t token, wf_worker *w) {
    const move *a = node->attr;
    const wf_tensor *x = node->in[X], *y = node->out[0];
    float beta, *grad = wf_grad_in(node, WEIGHTS, w, &beta), tx[TILE], ty[TILE];
    int64_t n = a->width;
    for (int64_t j = 0; grad && j < a->top_k; j++) {
        int64_t at = token * a->top_k + j, row = ((const int32_t *)node->in[TO_ROW]->data)[at];
        double sum = 0.0;
        for (int64_t c = 0; row >= 0 && c < n; c += TILE) {
            int64_t m = n - c < TILE ? n - c : TILE, i = token * n + c, r = row * n + c;
            sum += w->k->dot(wf_load(w, x->data, x->type, a->collects ? r : i, m, tx),
                             wf_load(w, y->grad, y->type, a->collects ? i : r, m, ty), m);
        }
        grad[at] = (beta == 0.0f ? 0.0f : grad[at]) + (float)sum;
    }
}

static int move_pieces(const wf_node *node, wf_pass pass, int phase) {
    const move *a = node->attr;
    bool by_rows = a->collects == (pass == WF_BACKWARD);
    if (phase == 0)
        return wf_split_pieces(by_rows ? a->rows : a->tokens, 4);
    return phase == 1 && pass == WF_BACKWARD && node->grad_mode[WEIGHTS] ? wf_split_pieces(a->tokens, 4) : 0;
}

static void move_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const move *a = node->attr;
    bool by_rows = a->collects == (pass == WF_BACKWARD);
    const wf_tensor *x = node->in[X], *y = node->out[0];
    int64_t first, end, count = by_rows && phase == 0 ? a->rows : a->tokens;
    transfer m = {.from = x, .data = x->data, .to = y, .out = y->data};
    if (pass == WF_BACKWARD) {
        m = (transfer){.from = y, .data = y->grad, .to = x};
        m.out = wf_grad_in(node, X, w, &m.beta);
    }
    wf_split_bounds(count, wf_split_pieces(count, 4), piece, &first, &end);
    for (int64_t i = first; i < end; i++) {
        if (phase == 1)
            weight_gradient(node, i, w);
        else if (m.out)
            (by_rows ? spread : collect)(node, &m, i, w);
    }
}

#define MOVE_SAVES (1u << X | 1u << WEIGHTS | 1u << TO_SLOT | 1u << TO_ROW)
const wf_op wf_op_spread_rows = {.name = "spread_rows", .pieces = move_pieces, .run = move_run, .saves_in = MOVE_SAVES};
const wf_op wf_op_collect_rows = {.name = "collect_rows", .pieces = move_pieces, .run = move_run, .saves_in = MOVE_SAVES};

static wf_tensor *record_move(wf_tape *t, const wf_op *op, wf_tensor *x, wf_tensor *weights, const wf_dispatch *d,
                              const move *a, wf_tensor *y) {
    move *attr = attr_copy(t, a, sizeof *a);
    return attr && y && wf_record(t, op, 4, (wf_tensor *[]){x, weights, d->slot, d->row}, 1, &y, attr) ? y : NULL;
}

wf_tensor *wf_spread_rows(wf_tape *t, wf_tensor *x, wf_tensor *weights, const wf_dispatch *d) {
    if (!x || !d->slot)
        return NULL;
    int64_t n = wf_dim(x, -1);
    if (wf_row_count(x) != d->tokens || (weights && weights->count != d->row->count))
        return wf_tape_error(t, WEFT_USAGE, "spread_rows: the rows are not those of the routing");
    return record_move(t, &wf_op_spread_rows, x, weights, d, &(move){n, d->tokens, d->top_k, d->rows, false},
                       wf_out(t, wf_tape_type(t), 2, (int64_t[]){d->rows, n}));
}

wf_tensor *wf_collect_rows(wf_tape *t, wf_tensor *rows, wf_tensor *weights, const wf_dispatch *d, int64_t batch) {
    if (!rows || !d->slot)
        return NULL;
    int64_t n = wf_dim(rows, -1);
    if (rows->rank != 2 || rows->dims[0] != d->rows || d->tokens % batch || (weights && weights->count != d->row->count))
        return wf_tape_error(t, WEFT_USAGE, "collect_rows: the rows are not those of the routing");
    return record_move(t, &wf_op_collect_rows, rows, weights, d, &(move){n, d->tokens, d->top_k, d->rows, true},
                       wf_out(t, WF_F32, 3, (int64_t[]){batch, d->tokens / batch, n}));
}
