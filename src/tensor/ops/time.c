/* time.c - pieces of the time axis: slices, concatenation, masking of padding rows, caches and stored states. */
#include "tensor/ops/elementwise.h"

typedef struct slice {
    int64_t first;
} slice;

static size_t row_bytes(const wf_tensor *x) { return (size_t)(x->count / (x->dims[0] * x->dims[1])) * wf_dtypes[x->type].size; }
static int batch_pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? (int)node->out[0]->dims[0] : 0;
}
static int64_t row_width(const wf_tensor *x) { return x->count / (x->dims[0] * x->dims[1]); }

/* ---- slice ---- */
static void slice_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const wf_tensor *x = node->in[0], *y = node->out[0];
    int64_t first = ((const slice *)node->attr)->first, width = row_width(x), n = y->dims[1] * width;
    int64_t at = (piece * x->dims[1] + first) * width;
    float tmp[TILE], beta;
    (void)phase;
    if (pass == WF_FORWARD) {
        memcpy((char *)y->data + (size_t)piece * (size_t)y->dims[1] * row_bytes(y),
               (const char *)x->data + (size_t)(piece * x->dims[1] + first) * row_bytes(x), (size_t)y->dims[1] * row_bytes(x));
        return;
    }
    void *dx = wf_grad_in(node, 0, w, &beta);
    if (beta == 0.0f)
        memset((char *)dx + (size_t)piece * (size_t)x->dims[1] * row_bytes(x), 0, (size_t)x->dims[1] * row_bytes(x));
    for (int64_t i = 0; i < n; i += TILE) {
        int64_t m = n - i < TILE ? n - i : TILE;
        wf_store(w, dx, x->type, at + i, m, load_dout(node, piece * n + i, m, tmp, w), 1.0f);
    }
}

const wf_op wf_op_time_slice = {.name = "time_slice", .pieces = batch_pieces, .run = slice_run};

wf_tensor *wf_time_slice(wf_tape *t, wf_tensor *x, int64_t first, int64_t count) {
    if (!x || (x->rank >= 2 && first == 0 && count == x->dims[1]))
        return x;
    if (x->rank < 2 || first < 0 || count < 1 || first + count > x->dims[1])
        return wf_tape_error(t, WEFT_USAGE, "a slice of time outside 0..%lld", (long long)(x->rank < 2 ? 0 : x->dims[1]));
    int64_t dims[WF_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    dims[1] = count;
    slice *attr = attr_copy(t, &(slice){first}, sizeof(slice));
    wf_tensor *y = wf_out(t, x->type, x->rank, dims);
    return attr && y && wf_record(t, &wf_op_time_slice, 1, &x, 1, &y, attr) ? y : NULL;
}

/* ---- concat ---- */
static void concat_part(const wf_node *node, wf_pass pass, int piece, int i, wf_worker *w) {
    const wf_tensor *x = node->in[i], *y = node->out[0];
    int64_t width = row_width(y), n = x->dims[1] * width;
    int64_t at = piece * y->dims[1] * width + (i ? node->in[0]->dims[1] * width : 0);
    float tmp[TILE];
    if (pass == WF_FORWARD) {
        size_t size = wf_dtypes[x->type].size;
        memcpy((char *)y->data + (size_t)at * size, (const char *)x->data + (size_t)(piece * n) * size, (size_t)n * size);
        return;
    }
    for (int64_t j = 0; j < n; j += TILE) {
        int64_t m = n - j < TILE ? n - j : TILE;
        store_din(node, i, piece * n + j, m, load_dout(node, at + j, m, tmp, w), w);
    }
}

static void concat_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    concat_part(node, pass, piece, 0, w);
    concat_part(node, pass, piece, 1, w);
}

const wf_op wf_op_time_concat = {.name = "time_concat", .pieces = batch_pieces, .run = concat_run};

wf_tensor *wf_time_concat(wf_tape *t, wf_tensor *a, wf_tensor *b) {
    if (!a || !b)
        return b;
    a = wf_cast(t, a, b->type);
    if (!a || a->rank != b->rank || a->dims[0] != b->dims[0] || row_width(a) != row_width(b))
        return wf_tape_error(t, WEFT_USAGE, "concat: shapes differ");
    int64_t dims[WF_MAX_RANK];
    memcpy(dims, b->dims, sizeof dims);
    dims[1] += a->dims[1];
    wf_tensor *y = wf_out(t, b->type, b->rank, dims);
    return y && wf_record(t, &wf_op_time_concat, 2, (wf_tensor *[]){a, b}, 1, &y, NULL) ? y : NULL;
}

/* ---- mask ---- */
typedef struct mask_change { /* of the rows with mask 0 */
    bool kept;               /* else they count for nothing */
    float added;
} mask_change;

static int mask_pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? wf_split_pieces(node->in[1]->count, 16) : 0;
}

static void mask_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t rows = node->in[1]->count, width = node->out[0]->count / rows, first, end;
    const uint8_t *mask = node->in[1]->data;
    const mask_change *a = node->attr;
    float tmp[TILE], zero[TILE] = {0}, added[TILE];
    (void)phase;
    for (int i = 0; i < TILE; i++)
        added[i] = a->added;
    wf_split_bounds(rows, wf_split_pieces(rows, 16), piece, &first, &end);
    for (int64_t r = first; r < end; r++)
        for (int64_t c = 0; c < width; c += TILE) {
            int64_t m = width - c < TILE ? width - c : TILE, at = r * width + c;
            bool through = mask[r] || a->kept;
            const float *from = !through             ? zero
                                : pass == WF_FORWARD ? load_in(node, 0, at, m, tmp, w)
                                                     : load_dout(node, at, m, tmp, w);
            if (pass == WF_BACKWARD) {
                store_din(node, 0, at, m, from, w);
                continue;
            }
            if (a->kept && !mask[r]) {
                w->k->add(tmp, from, added, m);
                from = tmp;
            }
            store_out(node, at, m, from, w);
        }
}

const wf_op wf_op_mask_rows = {.name = "mask_rows", .pieces = mask_pieces, .run = mask_run, .saves_in = 2};

static wf_tensor *change_rows(wf_tape *t, wf_tensor *x, wf_tensor *mask, mask_change change) {
    if (!x || !mask)
        return x;
    if (mask->type != WF_U8 || x->rank < 2 || mask->count != x->dims[0] * x->dims[1])
        return wf_tape_error(t, WEFT_USAGE, "mask: one byte per row is needed");
    mask_change *attr = attr_copy(t, &change, sizeof change);
    return attr ? record_like(t, &wf_op_mask_rows, 2, (wf_tensor *[]){x, mask}, x, x->type, attr) : NULL;
}

wf_tensor *wf_mask_rows(wf_tape *t, wf_tensor *x, wf_tensor *mask) {
    return change_rows(t, x, mask, (mask_change){false, 0.0f});
}
wf_tensor *wf_lower_rows(wf_tape *t, wf_tensor *x, wf_tensor *mask, float by) {
    return change_rows(t, x, mask, (mask_change){true, -by});
}

/* ---- caches and states: written in place, the caller's memory ---- */
static void append_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const wf_tensor *cache = node->in[0], *x = node->in[1];
    int64_t start = w->rt->start ? w->rt->start[piece] : 0, rows = x->dims[1], cap = cache->dims[1];
    size_t bytes = row_bytes(x);
    (void)pass, (void)phase;
    for (int64_t r = rows > cap ? rows - cap : 0; r < rows; r++)
        memcpy((char *)cache->data + (size_t)(piece * cap + (start + r) % cap) * bytes,
               (const char *)x->data + (size_t)(piece * rows + r) * bytes, bytes);
}

const wf_op wf_op_cache_append = {
    .name = "cache_append", .by_runtime = true, .pieces = batch_pieces, .run = append_run, .no_grad = true};

/* The result shares the cache's memory but is a tensor of its own, so that readers are ordered after the append. */
wf_tensor *wf_cache_append(wf_tape *t, wf_tensor *cache, wf_tensor *x) {
    if (!cache || !x)
        return NULL;
    x = wf_cast(t, x, cache->type);
    if (!x || x->rank != cache->rank || x->dims[0] != cache->dims[0] || row_width(x) != row_width(cache))
        return wf_tape_error(t, WEFT_USAGE, "a cache of another shape");
    wf_tensor *token = wf_out(t, WF_U8, 1, (int64_t[]){cache->dims[0]});
    return token && wf_record(t, &wf_op_cache_append, 2, (wf_tensor *[]){cache, x}, 1, &token, NULL) ? cache : NULL;
}

static int store_pieces(const wf_node *node, wf_pass pass, int phase) {
    return pass == WF_FORWARD && phase == 0 ? wf_split_pieces(node->in[1]->count, 8192) : 0;
}

static void store_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const wf_tensor *target = node->in[0], *x = node->in[1];
    int64_t first, end;
    size_t size = wf_dtypes[x->type].size;
    (void)pass, (void)phase, (void)w;
    wf_split_bounds(x->count, wf_split_pieces(x->count, 8192), piece, &first, &end);
    memcpy((char *)target->data + (size_t)first * size, (const char *)x->data + (size_t)first * size,
           (size_t)(end - first) * size);
}

const wf_op wf_op_store_state = {
    .name = "store_state", .by_runtime = true, .pieces = store_pieces, .run = store_run, .no_grad = true};

wf_tensor *wf_store_state(wf_tape *t, wf_tensor *target, wf_tensor *x) {
    if (!target || !x)
        return NULL;
    x = wf_cast(t, x, target->type);
    if (!x || x->count != target->count)
        return wf_tape_error(t, WEFT_USAGE, "a state of another shape");
    wf_tensor *token = wf_out(t, WF_U8, 1, (int64_t[]){1});
    return token && wf_record(t, &wf_op_store_state, 2, (wf_tensor *[]){target, x}, 1, &token, NULL) ? target : NULL;
}
