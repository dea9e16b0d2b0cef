/* attention.c - kernel F on tensors: softmax attention over visible keys. Forward pieces are blocks of query rows of one head,
 * backward pieces whole heads of one sequence; gradients that groups of heads or sequences share are summed in a later phase,
 * in the order of the heads and sequences. */
#include <math.h>
#include "kernels/attention.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/partials.h"
#include "tensor/tape.h"

enum {
    Q,
    K,
    V,
    SINKS,
    MASK,
    PREFIX,
    Q_SEGMENTS,
    K_SEGMENTS,
    REL_BIAS,
    BIAS,
    DATA,
    ENTRIES = DATA + WF_PATTERN_DATA,
    PLACES,
    INPUTS
};
enum { O, LSE, TABLE, PROBS };
enum { JOINED = 64 /* rows of a piece that joins entries */, FEWEST_PIECES = 16 };

typedef struct attention {
    wf_attention_spec spec;
    int64_t b, t, s, h, g, k, v; /* batch, queries, keys, heads, key heads, key and value width */
    int64_t n, parts;            /* rows of kernel F: the queries; or entries, `parts` of each */
    int64_t distances, zero;     /* T5: entries per head, index of distance 0 */
    uint32_t site;
    int64_t *kv_len; /* [b] while decoding */
    bool probs;
    bool shares; /* two of q, k and v are one tensor: their gradients are added one after the other */
    size_t at_dq, at_dk, at_dv, at_dtable, at_dsinks, at_dbias; /* offsets in the backward's work memory */
    size_t at_lse;                                              /* of entries, in the forward's; their o stands before it */
} attention;

static const void *data_of(const wf_node *node, int i) { return node->in[i] ? node->in[i]->data : NULL; }
static int64_t pieces_of(const attention *a) { /* of one head, forward */
    return wf_attention_pieces(&(wf_attention_args){.t = a->n, .pattern = a->spec.pattern});
}
/* Heads of one forward piece. Few rows go over the keys with several heads at once, as far as enough pieces are left. */
static int64_t together(const attention *a) {
    int64_t n = a->n <= WF_ATTENTION_FEW && a->parts == 0 ? WF_ATTENTION_BLOCKS : 1;
    while (n > 1 && (a->h % n != 0 || a->b * a->h / n < FEWEST_PIECES))
        n--;
    return n;
}
static int64_t forward_pieces(const attention *a) { return a->b * a->h / together(a) * pieces_of(a); }
static wf_dtype dq_type(const wf_node *node) { return node->in[ENTRIES] ? WF_F32 : node->in[Q]->type; }
static bool has_table(const wf_node *node) { return node->in[REL_BIAS] != NULL; }
static bool prepares(const wf_node *node) { return has_table(node) || ((const attention *)node->attr)->spec.cached; }
static float *work_at(const wf_node *node, size_t offset) { return (float *)((char *)node->work_data[WF_BACKWARD] + offset); }

int64_t wf_distance_bucket(int64_t distance, int64_t buckets, int64_t max_distance, bool bidirectional) {
    int64_t count = buckets, base = 0, n = distance < 0 ? -distance : 0;
    if (bidirectional) {
        count /= 2;
        base = distance > 0 ? count : 0;
        n = distance < 0 ? -distance : distance;
    }
    int64_t exact = count / 2;
    if (n < exact)
        return base + n;
    int64_t far = exact + (int64_t)floor(log((double)n / (double)exact) / log((double)max_distance / (double)exact) *
                                         (double)(count - exact));
    return base + (far < count - 1 ? far : count - 1);
}

static int64_t bucket_of(const wf_attention_spec *s, int64_t distance) {
    return wf_distance_bucket(distance, s->buckets, s->max_distance, s->bidirectional);
}

static wf_strides strides_of(int64_t rows, int64_t heads, int64_t width) {
    return (wf_strides){rows * heads * width, heads * width, width};
}

/* A bias [batch or 1, heads or 1, rows or 1, keys] beside every score. */
static void put_bias(wf_attention_args *args, const wf_tensor *bias, int64_t keys) {
    int64_t matrix = bias->dims[2] * keys;
    args->bias = bias->data;
    args->bias_row = bias->dims[2] > 1 ? keys : 0;
    args->bias_head = bias->dims[1] > 1 ? matrix : 0;
    args->bias_batch = bias->dims[0] > 1 ? bias->dims[1] * matrix : 0;
}

static wf_attention_args arguments(const wf_node *node, const wf_worker *w) {
    const attention *a = node->attr;
    const wf_attention_spec *s = &a->spec;
    wf_attention_args args = {.batch = a->b,
                              .heads = a->h,
                              .kv_heads = a->g,
                              .together = together(a),
                              .t = a->n,
                              .s = a->s,
                              .key_dim = a->k,
                              .value_dim = a->v,
                              .type = node->in[Q]->type,
                              .q = data_of(node, Q),
                              .k = data_of(node, K),
                              .v = data_of(node, V),
                              .o = node->out[O]->data,
                              .lse = node->out[LSE]->data,
                              .q_stride = strides_of(a->t, a->h, a->k),
                              .k_stride = strides_of(a->s, a->g, a->k),
                              .v_stride = strides_of(a->s, a->g, a->v),
                              .o_stride = strides_of(a->t, a->h, a->v),
                              .do_stride = strides_of(a->t, a->h, a->v),
                              .dq_stride = strides_of(a->t, a->h, a->k),
                              .scale = s->scale,
                              .softcap = s->softcap,
                              .causal = s->causal,
                              .left = s->left,
                              .right = s->right,
                              .start = s->offset_from_start ? w->rt->start : NULL,
                              .kv_len = s->cached ? a->kv_len : NULL,
                              .ring = s->ring ? a->s : 0,
                              .prefix = data_of(node, PREFIX),
                              .q_segments = data_of(node, Q_SEGMENTS),
                              .k_segments = data_of(node, K_SEGMENTS),
                              .key_mask = data_of(node, MASK),
                              .slopes = s->slopes,
                              .sinks = data_of(node, SINKS),
                              .distances = a->distances,
                              .distance_zero = a->zero,
                              .dropout = w->rt->training ? s->dropout : 0.0f,
                              .pattern = s->pattern,
                              .entries = data_of(node, ENTRIES)};
    for (int i = 0; i < WF_PATTERN_DATA; i++)
        args.pattern_data[i] = data_of(node, DATA + i);
    if (has_table(node))
        args.distance_bias = node->out[TABLE]->data;
    if (node->in[BIAS])
        put_bias(&args, node->in[BIAS], a->s);
    if (a->probs)
        args.probs = node->out[PROBS]->data;
    args.rng = wf_rng_make(w->rt->seed + ((uint64_t)(unsigned)w->rt->micro << 32), 0xa7u + (a->site << 8), w->rt->step);
    return args;
}

/* ---- forward ---- */
static void prepare(const wf_node *node, wf_worker *w) {
    const attention *a = node->attr;
    for (int64_t b = 0; a->spec.cached && b < a->b; b++)
        a->kv_len[b] = (w->rt->start ? w->rt->start[b] : 0) + a->t;
    if (!has_table(node))
        return;
    float *table = node->out[TABLE]->data;
    const float *weights = data_of(node, REL_BIAS);
    for (int64_t d = 0; d < a->distances; d++) {
        int64_t bucket = bucket_of(&a->spec, d - a->zero);
        for (int64_t h = 0; h < a->h; h++)
            table[h * a->distances + d] = weights[bucket * a->h + h];
    }
}

static float *lse_of_entries(const wf_node *node) {
    return (float *)((char *)node->work_data[WF_FORWARD] + ((const attention *)node->attr)->at_lse);
}

static int64_t join_pieces(const attention *a) { return a->b * a->h * ((a->t + JOINED - 1) / JOINED); }

/* The entries of JOINED rows of a head come under one softmax. */
static void join_rows(const wf_node *node, int piece, wf_worker *w) {
    const attention *a = node->attr;
    int64_t per = (a->t + JOINED - 1) / JOINED, head = piece / per, first = piece % per * JOINED;
    const int32_t *place = (const int32_t *)node->in[PLACES]->data + head * a->n;
    const float *lse = lse_of_entries(node) + head * a->n;
    wf_dtype type = node->out[O]->type;
    float *y = w->scratch, *tmp = y + a->v;
    for (int64_t t = first; t < a->t && t < first + JOINED; t++) {
        float all = wf_join_lse(lse, place + t, a->parts, a->t);
        memset(y, 0, (size_t)a->v * sizeof *y);
        for (int64_t p = 0; p < a->parts && all != -INFINITY; p++) {
            int64_t e = place[p * a->t + t], row = ((head / a->h * a->n + e) * a->h + head % a->h) * a->v;
            w->k->axpy(y, expf(lse[e] - all), wf_load(w, node->work_data[WF_FORWARD], type, row, a->v, tmp), a->v);
        }
        ((float *)node->out[LSE]->data)[head * a->t + t] = all;
        store_out(node, ((head / a->h * a->t + t) * a->h + head % a->h) * a->v, a->v, y, w);
    }
}

/* The last rows come first: causal ones have the most to do, and what is left for the end is small. */
static void forward(const wf_node *node, int phase, int piece, wf_worker *w) {
    const attention *a = node->attr;
    if (phase == 0 && prepares(node)) {
        prepare(node, w);
        return;
    }
    if (phase == 1 && a->parts > 0) {
        join_rows(node, piece, w);
        return;
    }
    int64_t per = together(a), heads = a->b * a->h / per, head = piece % heads * per;
    wf_attention_args args = arguments(node, w);
    if (a->parts > 0) {
        args.o = node->work_data[WF_FORWARD];
        args.lse = lse_of_entries(node);
        args.o_stride = strides_of(a->n, a->h, a->v);
    }
    w->k->attention(&args, head / a->h, head % a->h, pieces_of(a) - 1 - piece / heads, w->scratch);
}

/* ---- backward ---- */
static int bias_pieces(const wf_node *node) { /* of its gradient */
    const wf_tensor *bias = node->in[BIAS];
    return bias && bias->needs_grad ? wf_split_pieces(wf_row_count(bias), 16) : 0;
}

/* A gradient that one pass over the heads may write in place: fp32 (keys, values), first writer, one query head per key head.
 */
static float *direct(const wf_node *node, int i, const wf_worker *w) {
    const attention *a = node->attr;
    float beta = 1.0f, *grad = wf_grad_in(node, i, w, &beta);
    bool fits = i == Q ? node->in[Q]->type == dq_type(node) : a->h == a->g && node->in[i]->type == WF_F32;
    return grad && beta == 0.0f && fits ? grad : NULL;
}

static void one_head(const wf_node *node, int piece, wf_worker *w) {
    const attention *a = node->attr;
    int64_t b = piece / a->h, h = piece % a->h;
    wf_attention_args args = arguments(node, w);
    float *dq = direct(node, Q, w), *dk = direct(node, K, w), *dv = direct(node, V, w);
    args.do_ = node->out[O]->grad;
    args.d_lse = node->out[LSE]->grad;
    args.do_stride = args.o_stride;
    args.dq_stride = args.q_stride;
    args.dq = dq ? dq : work_at(node, a->at_dq);
    args.dk = dk ? dk : work_at(node, a->at_dk);
    args.dv = dv ? dv : work_at(node, a->at_dv);
    if (has_table(node))
        args.d_distance_bias = work_at(node, a->at_dtable);
    if (node->in[SINKS])
        args.d_sinks = work_at(node, a->at_dsinks);
    if (bias_pieces(node))
        args.d_bias = work_at(node, a->at_dbias);
    w->k->attention_back(&args, b, h, w->scratch);
}

static int64_t row_pieces(int64_t rows) { return wf_split_pieces(rows, 16); }

/* dk or dv of rows first..end: the sum over the query heads of each group. */
static void sum_groups(const wf_node *node, int i, int piece, wf_worker *w) {
    const attention *a = node->attr;
    int64_t width = i == K ? a->k : a->v, rows = a->b * a->s, per = a->h / a->g, first, end;
    const float *parts = work_at(node, i == K ? a->at_dk : a->at_dv);
    float *sum = w->scratch;
    if (direct(node, i, w) || !node->grad_mode[i])
        return;
    wf_split_bounds(rows, (int)row_pieces(rows), piece, &first, &end);
    for (int64_t r = first; r < end; r++)
        for (int64_t g = 0; g < a->g; g++) {
            memcpy(sum, parts + (r * a->h + g * per) * width, (size_t)width * sizeof *sum);
            for (int64_t h = 1; h < per; h++)
                w->k->add(sum, sum, parts + (r * a->h + g * per + h) * width, width);
            store_din(node, i, (r * a->g + g) * width, width, sum, w);
        }
}

static void add_queries(const wf_node *node, int piece, wf_worker *w) {
    const attention *a = node->attr;
    int64_t rows = a->b * a->t, n = a->h * a->k, first, end;
    float tmp[TILE];
    if (direct(node, Q, w) || !node->grad_mode[Q])
        return;
    wf_split_bounds(rows, (int)row_pieces(rows), piece, &first, &end);
    for (int64_t i = first * n; i < end * n; i += TILE) {
        int64_t m = end * n - i < TILE ? end * n - i : TILE;
        store_din(node, Q, i, m, wf_load(w, work_at(node, a->at_dq), dq_type(node), i, m, tmp), w);
    }
}

static void add_sinks(const wf_node *node, wf_worker *w) {
    const attention *a = node->attr;
    for (int64_t h = 0; h < a->h; h++) {
        float sum = 0.0f;
        for (int64_t b = 0; b < a->b; b++)
            sum += work_at(node, a->at_dsinks)[b * a->h + h];
        store_din(node, SINKS, h, 1, &sum, w);
    }
}

static void add_table(const wf_node *node, wf_worker *w) {
    const attention *a = node->attr;
    float beta, *grad = wf_grad_in(node, REL_BIAS, w, &beta);
    if (!grad)
        return;
    if (beta == 0.0f)
        memset(grad, 0, (size_t)node->in[REL_BIAS]->count * sizeof *grad);
    for (int64_t b = 0; b < a->b; b++)
        for (int64_t d = 0; d < a->distances; d++) {
            int64_t bucket = bucket_of(&a->spec, d - a->zero);
            for (int64_t h = 0; h < a->h; h++)
                grad[bucket * a->h + h] += work_at(node, a->at_dtable)[(b * a->h + h) * a->distances + d];
        }
}

/* Rows of the bias's gradient: the sum over the sequences and heads that share it. */
static void sum_bias(const wf_node *node, int piece, wf_worker *w) {
    const attention *a = node->attr;
    const wf_tensor *bias = node->in[BIAS];
    int64_t first, end, shared_b = bias->dims[0] > 1 ? 1 : a->b, shared_h = bias->dims[1] > 1 ? 1 : a->h;
    float *sum = w->scratch;
    wf_split_bounds(wf_row_count(bias), bias_pieces(node), piece, &first, &end);
    for (int64_t r = first; r < end; r++) {
        int64_t i = r % a->t, h0 = r / a->t % bias->dims[1], b0 = r / a->t / bias->dims[1];
        memset(sum, 0, (size_t)a->s * sizeof *sum);
        for (int64_t b = b0; b < b0 + shared_b; b++)
            for (int64_t h = h0; h < h0 + shared_h; h++)
                w->k->add(sum, sum, work_at(node, a->at_dbias) + ((b * a->h + h) * a->t + i) * a->s, a->s);
        store_din(node, BIAS, r * a->s, a->s, sum, w);
    }
}

static void add_rest(const wf_node *node, int64_t piece, wf_worker *w) {
    const attention *a = node->attr;
    int64_t queries = row_pieces(a->b * a->t);
    if (piece < queries) {
        add_queries(node, (int)piece, w);
    } else if (piece < queries + bias_pieces(node)) {
        sum_bias(node, (int)(piece - queries), w);
    } else {
        if (node->in[SINKS] && node->grad_mode[SINKS])
            add_sinks(node, w);
        if (has_table(node))
            add_table(node, w);
    }
}

static void backward(const wf_node *node, int phase, int piece, wf_worker *w) {
    const attention *a = node->attr;
    int64_t keys = row_pieces(a->b * a->s), at = piece;
    if (phase == 0) {
        one_head(node, piece, w);
        return;
    }
    if (a->shares)
        at += (phase - 1) * keys; /* phase 1: keys, 2: values, 3: the rest */
    if (at < keys)
        sum_groups(node, K, (int)at, w);
    else if (at < 2 * keys)
        sum_groups(node, V, (int)(at - keys), w);
    else
        add_rest(node, at - 2 * keys, w);
}

static int back_pieces(const wf_node *node, int phase) {
    const attention *a = node->attr;
    int keys = (int)row_pieces(a->b * a->s), rest = (int)row_pieces(a->b * a->t) + bias_pieces(node) + 1;
    if (phase == 0)
        return (int)(a->b * a->h);
    if (!a->shares)
        return phase == 1 ? 2 * keys + rest : 0;
    return phase <= 2 ? keys : phase == 3 ? rest : 0;
}

/* ---- the row ---- */
static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const attention *a = node->attr;
    if (pass == WF_BACKWARD)
        return back_pieces(node, phase);
    if (prepares(node))
        return phase == 0 ? 1 : phase == 1 ? (int)forward_pieces(a) : 0;
    if (a->parts > 0 && phase == 1)
        return (int)join_pieces(a);
    return phase == 0 ? (int)forward_pieces(a) : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    if (pass == WF_FORWARD)
        forward(node, phase, piece, w);
    else
        backward(node, phase, piece, w);
}

static double flops(const wf_node *node, wf_pass pass) {
    const attention *a = node->attr;
    double keys = a->spec.causal && !a->spec.cached ? 0.5 * (double)(a->s + 1) : (double)a->s;
    double window = (double)a->spec.left + 1.0 + (a->spec.causal ? 0.0 : (double)a->spec.right); /* INT64_MAX: no limit */
    keys = window < keys ? window : keys;
    if (a->spec.pattern)
        keys = a->spec.pattern_keys;
    double one = 2.0 * (double)(a->b * a->h * a->n) * keys * (double)(a->k + a->v);
    return pass == WF_FORWARD ? one : 2.5 * one;
}

/* Keys that the schedule of a pattern visits for one block of rows. */
static double keys_visited(const wf_attention_args *args, int64_t b, int64_t h, int64_t row) {
    const wf_pattern_rows rows = {args, b, h, row,
                                  row + WF_ATTENTION_ROWS < args->t ? row + WF_ATTENTION_ROWS - 1 : args->t - 1};
    int64_t at = 0, keys[WF_ATTENTION_KEYS];
    double sum = 0.0;
    bool whole = false;
    for (int count; (count = args->pattern->next(&rows, &at, keys, &whole)) > 0; whole = false)
        sum += (double)count;
    return sum * (double)(rows.last - rows.row + 1);
}

static double scheduled(const wf_node *node, const wf_runtime *rt) {
    const attention *a = node->attr;
    const wf_attention_args args = arguments(node, &(wf_worker){.rt = rt});
    double pairs = 0.0;
    if (!a->spec.pattern)
        return flops(node, WF_FORWARD);
    for (int64_t i = 0; i < a->b * a->h; i++)
        for (int64_t row = 0; row < a->n; row += WF_ATTENTION_ROWS)
            pairs += keys_visited(&args, i / a->h, i % a->h, row);
    return 2.0 * pairs * (double)(a->k + a->v);
}

const wf_op wf_op_attention = {.name = "attention",
                               .by_runtime = true,
                               .pieces = pieces,
                               .run = run,
                               .flops = flops,
                               .scheduled = scheduled,
                               .uneven = true,
                               .saves_in = (1u << PLACES) - 1u,
                               .saves_out = 1u << O | 1u << LSE | 1u << TABLE};

static bool fits(const wf_tensor *q, const wf_tensor *k, const wf_tensor *v) {
    return q->rank == 4 && k->rank == 4 && v->rank == 4 && q->dims[0] == k->dims[0] && k->dims[0] == v->dims[0] &&
           k->dims[1] == v->dims[1] && k->dims[2] == v->dims[2] && q->dims[3] == k->dims[3] && q->dims[2] % k->dims[2] == 0;
}

/* Queries of several sequences side by side see the keys of one: they are rows of one, where nothing looks at places. */
static wf_tensor *share_keys(wf_tape *t, wf_tensor *q, const wf_tensor *k, const wf_attention_spec *s) {
    int64_t each = q->rank == 4 && k->rank == 4 && k->dims[0] > 0 ? q->dims[0] / k->dims[0] : 0;
    bool places = s->causal || s->left != INT64_MAX || s->right != INT64_MAX || s->slopes || s->rel_bias || s->bias ||
                  s->prefix || s->q_segments || s->pattern || s->entries || s->cached || s->probs || s->lse;
    if (each < 2 || q->dims[0] % k->dims[0] != 0 || places)
        return q;
    return wf_reshape(t, q, 4, (int64_t[]){k->dims[0], each * q->dims[1], q->dims[2], q->dims[3]});
}

static bool bias_fits(const wf_tensor *bias, const wf_tensor *q, const wf_tensor *k) {
    return bias->type == WF_F32 && bias->rank == 4 && (bias->dims[0] == 1 || bias->dims[0] == q->dims[0]) &&
           (bias->dims[1] == 1 || bias->dims[1] == q->dims[2]) &&
           (bias->dims[2] == q->dims[1] || (bias->dims[2] == 1 && !bias->needs_grad)) && bias->dims[3] == k->dims[1];
}

/* Every row of q, k and v stands in as many entries. */
static bool entries_fit(const wf_tensor *q, const wf_tensor *k, const wf_attention_spec *s) {
    const wf_tensor *e = s->entries, *p = s->places;
    if (!e)
        return true;
    return p && e->type == WF_I32 && p->type == WF_I32 && e->rank == 3 && p->count == e->count && e->dims[0] == q->dims[0] &&
           e->dims[1] == q->dims[2] && q->dims[1] == k->dims[1] && q->dims[1] > 0 && e->dims[2] % q->dims[1] == 0 &&
           s->pattern && !s->probs && !s->sinks && !s->cached && !s->rel_bias && !s->offset_from_start;
}

static size_t reserve(size_t *total, int64_t elements) {
    size_t at = *total;
    *total += ((size_t)elements * sizeof(float) + 63) & ~(size_t)63;
    return at;
}

static void plan_work(wf_node *node, attention *a) {
    size_t total = 0, entries = 0;
    a->at_dq = reserve(&total, a->b * a->t * a->h * a->k);
    a->at_dk = reserve(&total, a->b * a->s * a->h * a->k);
    a->at_dv = reserve(&total, a->b * a->s * a->h * a->v);
    a->at_dtable = reserve(&total, a->b * a->h * a->distances);
    a->at_dsinks = reserve(&total, a->b * a->h);
    a->at_dbias = reserve(&total, bias_pieces(node) ? a->b * a->h * a->t * a->s : 0);
    node->work[WF_BACKWARD] = total;
    if (a->parts > 0) {
        reserve(&entries, a->b * a->n * a->h * a->v);
        a->at_lse = reserve(&entries, a->b * a->h * a->n);
        node->work[WF_FORWARD] = entries;
    }
    wf_attention_args args = {.batch = a->b,
                              .heads = a->h,
                              .kv_heads = a->g,
                              .together = together(a),
                              .t = a->n,
                              .s = a->s,
                              .key_dim = a->k,
                              .value_dim = a->v,
                              .type = node->in[Q]->type,
                              .distances = a->distances,
                              .pattern = a->spec.pattern};
    int64_t width = a->k > a->v ? a->k : a->v; /* of what is summed; a row of the bias too */
    size_t sum = (size_t)(bias_pieces(node) && a->s > width ? a->s : 2 * width) * sizeof(float);
    for (int back = 0; back < 2; back++) {
        size_t need = wf_attention_scratch(&args, back);
        sum = need > sum ? need : sum;
    }
    node->scratch = sum;
}

static attention *new_record(wf_tape *t, const wf_tensor *q, const wf_tensor *k, const wf_tensor *v,
                             const wf_attention_spec *spec) {
    attention a = {.spec = *spec,
                   .b = q->dims[0],
                   .t = q->dims[1],
                   .s = k->dims[1],
                   .h = q->dims[2],
                   .g = k->dims[2],
                   .k = q->dims[3],
                   .v = v->dims[3],
                   .site = wf_tape_site(t),
                   .probs = spec->probs != NULL};
    a.n = spec->entries ? spec->entries->dims[2] : a.t;
    a.parts = spec->entries ? a.n / a.t : 0;
    int64_t span = a.t > a.s ? a.t : a.s;
    if (spec->rel_bias) { /* the ends of the table stand for what lies beyond: all one bucket from max_distance on */
        if (spec->offset_from_start && span <= spec->max_distance)
            span = spec->max_distance + 1;
        a.distances = 2 * span - 1;
        a.zero = span - 1;
    }
    if (spec->cached && !(a.kv_len = wf_arena_alloc(wf_tape_arena(t), (size_t)a.b * sizeof *a.kv_len))) {
        wf_tape_error(t, WEFT_NO_MEMORY, "out of memory");
        return NULL;
    }
    return attr_copy(t, &a, sizeof a);
}

wf_tensor *wf_attention(wf_tape *t, wf_tensor *q, wf_tensor *k, wf_tensor *v, const wf_attention_spec *spec) {
    wf_no_output(spec->probs);
    wf_no_output(spec->lse);
    if (!q || !k || !v)
        return NULL;
    const int64_t given[4] = {q->dims[0], q->dims[1], q->dims[2], v->dims[v->rank - 1]};
    q = share_keys(t, q, k, spec);
    if (!q)
        return NULL;
    if (!fits(q, k, v))
        return wf_tape_error(t, WEFT_USAGE, "attention: queries, keys and values do not fit");
    if (spec->bias && !bias_fits(spec->bias, q, k))
        return wf_tape_error(t, WEFT_USAGE, "attention: the bias does not fit");
    if (!entries_fit(q, k, spec))
        return wf_tape_error(t, WEFT_USAGE, "attention: the entries do not fit");
    wf_dtype type = spec->cached ? k->type : wf_tape_type(t); /* caches are fp32: so is decoding */
    q = wf_cast(t, q, type);
    k = wf_cast(t, k, type);
    v = wf_cast(t, v, type);
    attention *a = q && k && v ? new_record(t, q, k, v, spec) : NULL;
    if (!a)
        return NULL;
    a->shares = wf_base(q) == wf_base(k) || wf_base(k) == wf_base(v) || wf_base(q) == wf_base(v);
    wf_tensor *out[4] = {wf_out(t, type, 4, (int64_t[]){a->b, a->t, a->h, a->v}),
                         wf_out(t, WF_F32, 3, (int64_t[]){a->b, a->h, a->t}),
                         wf_out(t, WF_F32, 2, (int64_t[]){a->h, a->distances > 0 ? a->distances : 1}),
                         a->probs ? wf_out(t, WF_F32, 4, (int64_t[]){a->b, a->h, a->t, a->s}) : NULL};
    wf_node *node =
        wf_record(t, &wf_op_attention, INPUTS,
                  (wf_tensor *[]){q, k, v, spec->sinks, spec->key_mask, spec->prefix, spec->q_segments, spec->k_segments,
                                  spec->rel_bias, spec->bias, spec->pattern_data[0], spec->pattern_data[1],
                                  spec->pattern_data[2], spec->pattern_data[3], spec->entries, spec->places},
                  a->probs ? 4 : 3, out, a);
    if (!node)
        return NULL;
    plan_work(node, a);
    if (spec->lse)
        *spec->lse = out[LSE];
    if (spec->probs)
        wf_keep(t, *spec->probs = out[PROBS]);
    return wf_cast(t, given[0] == a->b ? out[O] : wf_reshape(t, out[O], 4, given), wf_tape_type(t));
}
