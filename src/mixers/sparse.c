/* sparse.c - the Sparse Transformer's two-step patterns: a local part, and every stride-th key or the last keys of every
 * stride. Child et al. 2019 (arXiv 1904.10509, section 4.2). */
#include <math.h>
#include "mixers/mixer.h"
#include "parts/pattern.h"

static const wf_key keys[] = {
    WF_QKVO_KEYS,
    {"causal", WF_KEY_BOOL, "true", 0, NULL, "always true"},
    {"bias", WF_KEY_LIST, "[]", 0, NULL, "projections with a bias, of q k v o"},
    {"pattern", WF_KEY_STRING, NULL, 0, "strided|fixed",
     "strided: i-j < stride, or i-j a multiple of it; fixed: the same stride, or the last `summary` of any"},
    {"stride", WF_KEY_INT, NULL, 1, NULL, "about the root of the length"},
    {"summary", WF_KEY_INT, "1", 1, NULL, "keys at the end of a stride that later rows see; fixed only"},
    {"combine", WF_KEY_STRING, "'merged'", 0, "merged|heads",
     "every head sees both parts; or even heads the local part, odd heads the other"},
    {NULL}};

static const wf_slot slots[] = {WF_QKVO_SLOTS, {NULL}};
static const wf_state_slot states[] = {WF_KV_STATES(NULL), {NULL}};

/* The strided set is computed in two parts, so that time follows it: the near keys of rows in their order, and the far ones of
 * the rows that stand a multiple of the stride apart, which are the lines of a grid. */
typedef enum part { WHOLE, NEAR, LINES } part;
enum { LINE_MASK };

typedef struct record {
    part part;
    int64_t stride, summary, rows; /* rows: of the grid */
    bool fixed, by_head;
} record;

static const record *record_of(const wf_pattern_rows *r) { return r->a->pattern->record; }
static bool has_near(const wf_pattern_rows *r) { return !record_of(r)->by_head || r->h % 2 == 0; }
static bool has_far(const wf_pattern_rows *r) { return !record_of(r)->by_head || r->h % 2 == 1; }

static float weight(const wf_pattern_rows *r, int64_t i, int64_t j) {
    const record *p = record_of(r);
    bool near = p->fixed ? i / p->stride == j / p->stride : i - j < p->stride;
    bool far = p->part != NEAR && (p->fixed ? j % p->stride >= p->stride - p->summary : (i - j) % p->stride == 0);
    return j <= i && ((near && has_near(r)) || (far && has_far(r))) ? 0.0f : -INFINITY;
}

static wf_seen seen(const wf_pattern_rows *r, int64_t j) {
    const record *p = record_of(r);
    int64_t l = p->stride;
    bool past = j <= r->row;
    if (p->fixed) {
        bool far = has_far(r) && j % l >= l - p->summary, near = has_near(r) && j / l >= r->row / l;
        bool all = past && (far || (near && r->last / l == j / l));
        return all ? WF_SEEN_ALL : far || near ? WF_SEEN_SOME : WF_SEEN_NONE;
    }
    bool near = has_near(r) && j > r->row - l;
    if (near && past && r->last - j < l)
        return WF_SEEN_ALL;
    /* some row stands a multiple of l after j */
    bool far = p->part != NEAR && has_far(r) && (j >= r->row || (r->row - j + l - 1) / l * l <= r->last - j);
    return near || far ? WF_SEEN_SOME : WF_SEEN_NONE;
}

static void weights(const wf_pattern_rows *r, const int64_t *keys_, int count, float *out) {
    wf_pattern_fill(r, weight, keys_, count, out);
}

static int next(const wf_pattern_rows *r, int64_t *at, int64_t *keys_, bool *whole) {
    const record *p = record_of(r);
    int64_t first = p->part == NEAR ? r->row - p->stride + 1 : 0;
    return wf_pattern_walk(r, seen, first > 0 ? first : 0, r->last + 1, at, keys_, whole);
}

/* Along a line the key of row i itself is near already, where the head has near keys. */
static float line_weight(const wf_pattern_rows *r, int64_t i, int64_t j) {
    const record *p = record_of(r);
    const uint8_t *mask = r->a->pattern_data[LINE_MASK];
    bool real = !mask || mask[r->b / p->stride * p->rows + j * p->stride + r->b % p->stride];
    return real && has_far(r) && (p->by_head ? j <= i : j < i) ? 0.0f : -INFINITY;
}

static wf_seen line_seen(const wf_pattern_rows *r, int64_t j) {
    return !has_far(r) ? WF_SEEN_NONE : j < r->row && !r->a->pattern_data[LINE_MASK] ? WF_SEEN_ALL : WF_SEEN_SOME;
}

static void line_weights(const wf_pattern_rows *r, const int64_t *keys_, int count, float *out) {
    wf_pattern_fill(r, line_weight, keys_, count, out);
}

static int line_next(const wf_pattern_rows *r, int64_t *at, int64_t *keys_, bool *whole) {
    return wf_pattern_walk(r, line_seen, 0, r->last + 1, at, keys_, whole);
}

/* Keys of a row, on the average. */
static double keys_of(const record *p, int64_t rows) {
    double near = (double)p->stride * (p->fixed ? 0.5 : 1.0), strides = 0.5 * (double)rows / (double)p->stride;
    double far = strides * (p->fixed ? (double)p->summary : 1.0), share = p->by_head ? 0.5 : 1.0;
    return p->part == NEAR ? share * near : p->part == LINES ? share * far : share * fmin(0.5 * (double)(rows + 1), near + far);
}

/* ---- whole sequences, strided ---- */
/* [B,T,H,w] -> [B,rows,H,w]: zeros behind it. */
static wf_tensor *filled(wf_run *r, wf_tensor *x, int64_t rows) {
    if (!x || x->dims[1] == rows)
        return x;
    wf_tensor *zeros = wf_zeros(r->tape, 4, (int64_t[]){x->dims[0], rows - x->dims[1], x->dims[2], x->dims[3]});
    return wf_time_concat(r->tape, wf_cast(r->tape, x, WF_F32), zeros);
}

/* [B,n*stride,w] -> [B*stride,n,w], and back. */
static wf_tensor *swapped(wf_run *r, wf_tensor *x, int64_t batch, int64_t outer, int64_t inner, int64_t width) {
    return x ? wf_swap_rows(r->tape, wf_reshape(r->tape, x, 4, (int64_t[]){batch, outer, inner, width})) : NULL;
}

static wf_tensor *lines(wf_run *r, const record *p, wf_tensor *x) {
    int64_t heads = x ? x->dims[2] : 1, width = x ? x->dims[3] : 1, n = p->rows / p->stride;
    x = swapped(r, x, r->batch, n, p->stride, heads * width);
    return x ? wf_reshape(r->tape, x, 4, (int64_t[]){r->batch * p->stride, n, heads, width}) : NULL;
}

typedef struct partial {
    wf_tensor *o, *lse; /* [B,rows,H,V], [B,H,rows] */
} partial;

static partial along_lines(wf_run *r, const record *p, wf_tensor *q, wf_tensor *k, wf_tensor *v, wf_attention_spec spec) {
    record far = *p;
    far.part = LINES;
    partial out = {NULL, NULL};
    spec.pattern = wf_pattern(r, line_weights, line_next, &far, sizeof far);
    spec.pattern_data[LINE_MASK] = spec.key_mask;
    spec.pattern_keys = keys_of(&far, p->rows);
    spec.key_mask = NULL;
    spec.lse = &out.lse;
    wf_tensor *o = wf_attention(r->tape, lines(r, p, q), lines(r, p, k), lines(r, p, v), &spec);
    if (!o || !out.lse)
        return (partial){NULL, NULL};
    int64_t heads = o->dims[2], width = o->dims[3], n = p->rows / p->stride;
    o = swapped(r, o, r->batch, p->stride, n, heads * width);
    out.o = o ? wf_reshape(r->tape, o, 4, (int64_t[]){r->batch, p->rows, heads, width}) : NULL;
    out.lse = swapped(r, out.lse, r->batch, p->stride, heads * n, 1); /* [B, heads*n, stride] */
    return out;
}

static wf_tensor *joined(wf_run *r, const partial *a, const partial *b, int64_t heads, int64_t rows) {
    const int64_t dims[3] = {r->batch * heads, rows, 1};
    if (!a->lse || !b->lse)
        return NULL;
    return wf_time_concat(r->tape, wf_reshape(r->tape, a->lse, 3, dims), wf_reshape(r->tape, b->lse, 3, dims));
}

static wf_tensor *in_parts(wf_run *r, record p, wf_tensor *q, wf_tensor *k, wf_tensor *v, wf_attention_spec spec) {
    int64_t heads = q ? q->dims[2] : 1;
    p.rows = (r->rows + p.stride - 1) / p.stride * p.stride;
    p.part = NEAR;
    spec.key_mask =
        spec.key_mask && p.rows > r->rows ? wf_mask_pad(r->tape, spec.key_mask, r->batch, r->rows, p.rows) : spec.key_mask;
    q = filled(r, q, p.rows);
    k = filled(r, k, p.rows);
    v = filled(r, v, p.rows);
    spec.dropout = r->attention_dropout;
    partial far = along_lines(r, &p, q, k, v, spec), near = {NULL, NULL};
    spec.pattern = wf_pattern(r, weights, next, &p, sizeof p);
    spec.pattern_keys = keys_of(&p, p.rows);
    spec.lse = &near.lse;
    near.o = wf_attention(r->tape, q, k, v, &spec);
    wf_tensor *lse = joined(r, &near, &far, heads, p.rows);
    lse = lse ? wf_reshape(r->tape, lse, 3, (int64_t[]){r->batch, heads, 2 * p.rows}) : NULL;
    wf_tensor *o = wf_merge_partials(r->tape, wf_time_concat(r->tape, near.o, far.o), lse, NULL, NULL, 2);
    return p.rows > r->rows ? wf_time_slice(r->tape, o, 0, r->rows) : o;
}

static weft_status check(const wf_layer *l, weft_error *err) {
    WF_CHECK(wf_flag(l, "causal"), err, WEFT_UNSUPPORTED, "'causal' must be true");
    WF_CHECK(wf_is(l, "pattern", "strided") || wf_int(l, "summary") <= wf_int(l, "stride"), err, WEFT_USAGE,
             "'summary' is longer than 'stride'");
    return wf_check_qkvo(l, err);
}

/* Fixed blocks count from the first row; strides are relative. */
static unsigned lost_traits(const wf_layer *l) { return wf_is(l, "pattern", "strided") ? WF_PADDING_TRACE : 0u; }

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    const record p = {.stride = wf_int(l, "stride"),
                      .summary = wf_int(l, "summary"),
                      .fixed = wf_is(l, "pattern", "fixed"),
                      .by_head = wf_is(l, "combine", "heads")};
    wf_tensor *q = wf_project_heads(r, l, "q", io->x), *k = wf_project_heads(r, l, "k", io->x),
              *v = wf_project_heads(r, l, "v", io->x), *o;
    wf_attention_spec spec = {.scale = 1.0f / sqrtf((float)wf_int(l, "key_dim")), .key_mask = io->mask};
    if (!p.fixed && r->rows > p.stride && !wf_state_wanted(r)) {
        o = in_parts(r, p, q, k, v, spec);
    } else {
        spec.pattern = wf_pattern(r, weights, next, &p, sizeof p);
        spec.pattern_keys = keys_of(&p, r->rows);
        o = wf_attend(r, l, q, k, v, &spec);
    }
    io->y = wf_project(r, l, "o", wf_merge_heads(r, o));
    return WEFT_OK;
}

const wf_mixer wf_mixer_sparse = {
    .name = "sparse",
    .about = "softmax over a local part and every stride-th key, or a summary of every stride",
    .source = "Child et al. 2019, arXiv 1904.10509, section 4.2",
    .keys = keys,
    .slots = slots,
    .states = states,
    .inputs = "x mask?",
    .outputs = "y",
    .example = "{\"heads\": \"=dim // 32\", \"pattern\": \"strided\", \"stride\": \"=max(1, round(sqrt(context)))\"}",
    .time = "T*(stride + T / stride)",
    .flops = "2*heads*(key_dim + value_dim) * T * min((T + 1) / 2, (pattern == 'fixed' ? stride / 2 : stride) + "
             "T / (2*stride) * (pattern == 'fixed' ? summary : 1)) * (combine == 'heads' ? 0.5 : 1)",
    .bf16 = 0.01,
    .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PADDING_TRACE,
    .lost_traits = lost_traits,
    .companion = "glu",
    .check = check,
    .run = run};
