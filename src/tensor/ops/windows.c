/* windows.c - rows that become fewer and many again: windows of rows pooled into one each, what masks and ids become under it,
 * and rows spread over the windows they stand for. */
#include "tensor/ops/elementwise.h"

enum { X };
enum { Y, PICKED }; /* largest: the row of each channel */
typedef struct windows {
    wf_windows how;
    bool largest, all, skip, last;
} windows;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t first_of(const wf_windows *w, int64_t j) { return w->apart && j > 0 ? 1 + (j - 1) * w->stride : j * w->stride; }
static int64_t end_of(const wf_windows *w, int64_t j, int64_t rows) {
    return w->apart && j == 0 ? 1 : least(first_of(w, j) + w->stride, rows - w->drop);
}

int64_t wf_window_count(const wf_windows *w, int64_t rows) {
    int64_t n = rows - w->drop - w->apart;
    return n < 0 ? 0 : (n + w->stride - 1) / w->stride + w->apart;
}

static int batch_pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? (int)node->in[X]->dims[0] : 0;
}

/* ---- pooling ---- */
static void mean_of(const wf_node *node, const float *x, int64_t first, int64_t end, float *y, wf_worker *w) {
    int64_t n = node->in[X]->dims[2];
    memcpy(y, x + first * n, (size_t)n * sizeof *y);
    for (int64_t t = first + 1; t < end; t++)
        w->k->add(y, y, x + t * n, n);
    if (end - first > 1)
        w->k->scale(y, 1.0f / (float)(end - first), y, n);
}

static void largest_of(const wf_node *node, const float *x, int64_t first, int64_t end, float *y, int32_t *picked) {
    int64_t n = node->in[X]->dims[2];
    for (int64_t c = 0; c < n; c++) {
        int64_t at = first;
        for (int64_t t = first + 1; t < end; t++)
            at = x[t * n + c] > x[at * n + c] ? t : at;
        y[c] = x[at * n + c];
        picked[c] = (int32_t)at;
    }
}

static void pool_forward(const wf_node *node, int64_t b, wf_worker *w) {
    const windows *a = node->attr;
    int64_t rows = node->in[X]->dims[1], n = node->in[X]->dims[2], out = node->out[Y]->dims[1];
    const float *x = (const float *)node->in[X]->data + b * rows * n;
    for (int64_t j = 0; j < out; j++) {
        int64_t first = first_of(&a->how, j), end = end_of(&a->how, j, rows), at = (b * out + j) * n;
        if (a->largest)
            largest_of(node, x, first, end, (float *)node->out[Y]->data + at, (int32_t *)node->out[PICKED]->data + at);
        else
            mean_of(node, x, first, end, (float *)node->out[Y]->data + at, w);
    }
}

/* The gradient of row t from its window; dropped rows have none. */
static void pool_back(const wf_node *node, int64_t b, int64_t t, int64_t j, wf_worker *w) {
    const windows *a = node->attr;
    int64_t rows = node->in[X]->dims[1], n = node->in[X]->dims[2], at = (b * node->out[Y]->dims[1] + j) * n;
    bool there = t < rows - a->how.drop;
    float tmp[TILE], by = there ? 1.0f / (float)(end_of(&a->how, j, rows) - first_of(&a->how, j)) : 0.0f;
    for (int64_t c = 0; c < n; c += TILE) {
        int64_t m = n - c < TILE ? n - c : TILE;
        memset(tmp, 0, (size_t)m * sizeof *tmp);
        const float *dy = there ? (const float *)node->out[Y]->grad + at + c : NULL;
        for (int64_t i = 0; dy && a->largest && i < m; i++)
            tmp[i] = ((const int32_t *)node->out[PICKED]->data)[at + c + i] == t ? dy[i] : 0.0f;
        if (dy && !a->largest)
            w->k->scale(tmp, by, dy, m);
        store_din(node, X, (b * rows + t) * n + c, m, tmp, w);
    }
}

static int64_t window_of(const wf_windows *w, int64_t t) {
    return w->apart ? t == 0 ? 0 : 1 + (t - 1) / w->stride : t / w->stride;
}

static void pool_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    if (pass == WF_FORWARD)
        pool_forward(node, piece, w);
    for (int64_t t = 0; pass == WF_BACKWARD && t < node->in[X]->dims[1]; t++)
        pool_back(node, piece, t, window_of(&((const windows *)node->attr)->how, t), w);
}

const wf_op wf_op_pool_windows = {.name = "pool_windows", .pieces = batch_pieces, .run = pool_run, .saves_out = 1u << PICKED};

wf_tensor *wf_pool_windows(wf_tape *t, wf_tensor *x, const wf_windows *how, bool largest) {
    x = wf_cast(t, x, WF_F32);
    if (!x)
        return NULL;
    int64_t rows = x->rank == 3 && how->stride > 0 ? wf_window_count(how, x->dims[1]) : 0;
    if (rows < 1)
        return wf_tape_error(t, WEFT_USAGE, "pool_windows: too few rows");
    windows *a = attr_copy(t, &(windows){.how = *how, .largest = largest}, sizeof(windows));
    int64_t dims[3] = {x->dims[0], rows, x->dims[2]}, one[3] = {x->dims[0], 1, 1};
    wf_tensor *out[2] = {wf_out(t, WF_F32, 3, dims), wf_out(t, WF_I32, 3, largest ? dims : one)};
    return a && out[0] && out[1] && wf_record(t, &wf_op_pool_windows, 1, &x, 2, out, a) ? out[Y] : NULL;
}

/* ---- masks and ids ---- */
static int forward_pieces(const wf_node *node, wf_pass pass, int phase) {
    return pass == WF_FORWARD && phase == 0 ? (int)node->in[X]->dims[0] : 0;
}

static void mask_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const windows *a = node->attr;
    int64_t rows = node->in[X]->dims[1], out = node->out[Y]->dims[1];
    const uint8_t *mask = (const uint8_t *)node->in[X]->data + piece * rows;
    uint8_t *to = (uint8_t *)node->out[Y]->data + piece * out;
    (void)pass, (void)phase, (void)w;
    for (int64_t j = 0; j < out; j++) {
        int64_t first = first_of(&a->how, j), end = end_of(&a->how, j, rows), count = 0;
        for (int64_t t = first; t < end; t++)
            count += mask[t] != 0;
        to[j] = a->all ? first < end && count == end - first : count > 0;
    }
}

static void first_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t rows = node->in[X]->dims[1], out = node->out[Y]->dims[1];
    (void)pass, (void)phase, (void)w;
    for (int64_t j = 0; j < out; j++)
        ((int32_t *)node->out[Y]->data)[piece * out + j] =
            ((const int32_t *)node->in[X]
                 ->data)[piece * rows + least(first_of(&((const windows *)node->attr)->how, j), rows - 1)];
}

static void open_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const windows *a = node->attr;
    int64_t rows = node->in[X]->dims[1], stride = a->how.stride;
    const uint8_t *mask = (const uint8_t *)node->in[X]->data + piece * rows;
    uint8_t *to = (uint8_t *)node->out[Y]->data + piece * rows;
    (void)pass, (void)phase, (void)w;
    for (int64_t first = 0; first < rows; first += stride) {
        int64_t n = least(stride, rows - first);
        bool none = true;
        for (int64_t t = first; t < first + n; t++)
            none &= mask[t] == 0;
        for (int64_t t = first; t < first + n; t++)
            to[t] = a->all ? !none : none || mask[t];
    }
}

const wf_op wf_op_window_open = {.name = "window_open", .pieces = forward_pieces, .run = open_run, .no_grad = true};
const wf_op wf_op_window_mask = {.name = "window_mask", .pieces = forward_pieces, .run = mask_run, .no_grad = true};
const wf_op wf_op_window_first = {.name = "window_first", .pieces = forward_pieces, .run = first_run, .no_grad = true};

static wf_tensor *record_marks(wf_tape *t, const wf_op *op, wf_tensor *x, const windows *attr, int64_t rows) {
    if (x->rank != 2 || rows < 1 || attr->how.stride < 1)
        return wf_tape_error(t, WEFT_USAGE, "%s: one number for each row is needed", op->name);
    windows *a = attr_copy(t, attr, sizeof *attr);
    wf_tensor *y = wf_out(t, x->type, 2, (int64_t[]){x->dims[0], rows});
    return a && y && wf_record(t, op, 1, &x, 1, &y, a) ? y : NULL;
}

wf_tensor *wf_window_mask(wf_tape *t, wf_tensor *mask, const wf_windows *how, int64_t rows, bool all) {
    if (!mask)
        return NULL;
    if (mask->type != WF_U8)
        return wf_tape_error(t, WEFT_USAGE, "window_mask: one byte for each row is needed");
    return record_marks(t, &wf_op_window_mask, mask, &(windows){.how = *how, .all = all}, rows);
}

wf_tensor *wf_window_open(wf_tape *t, wf_tensor *mask, int64_t stride, bool any) {
    if (!mask)
        return NULL;
    if (mask->type != WF_U8)
        return wf_tape_error(t, WEFT_USAGE, "window_open: one byte for each row is needed");
    return record_marks(t, &wf_op_window_open, mask, &(windows){.how = {.stride = stride}, .all = any}, mask->dims[1]);
}

wf_tensor *wf_window_first(wf_tape *t, wf_tensor *ids, const wf_windows *how, int64_t rows) {
    if (!ids)
        return NULL;
    if (ids->type != WF_I32)
        return wf_tape_error(t, WEFT_USAGE, "window_first: int32 ids are needed");
    return record_marks(t, &wf_op_window_first, ids, &(windows){.how = *how}, rows);
}

/* ---- spreading ---- */
/* The row that stands at row t of the result; -1: none. */
static int64_t source_of(const windows *a, int64_t t, int64_t rows) {
    int64_t at = window_of(&a->how, t) + (a->skip && !a->how.apart);
    return at < rows ? at : a->last ? rows - 1 : -1;
}

static void spread_forward(const wf_node *node, int64_t b, wf_worker *w) {
    int64_t rows = node->in[X]->dims[1], n = node->in[X]->dims[2], out = node->out[Y]->dims[1];
    float tmp[TILE], zero[TILE] = {0};
    for (int64_t t = 0; t < out; t++) {
        int64_t from = source_of(node->attr, t, rows);
        for (int64_t c = 0; c < n; c += TILE) {
            int64_t m = n - c < TILE ? n - c : TILE;
            store_out(node, (b * out + t) * n + c, m, from < 0 ? zero : load_in(node, X, (b * rows + from) * n + c, m, tmp, w),
                      w);
        }
    }
}

/* Rows that stand for others are neighbours: those of row r are from..end-1. */
static void spread_bounds(const windows *a, int64_t r, int64_t rows, int64_t out, int64_t *from, int64_t *end) {
    int64_t j = r - (a->skip && !a->how.apart);
    *from = j < 0 ? 0 : least(first_of(&a->how, j), out);
    *end = j < 0 ? 0 : a->how.apart && j == 0 ? 1 : least(first_of(&a->how, j) + a->how.stride, out);
    if (a->last && r == rows - 1)
        *end = out;
}

static void spread_backward(const wf_node *node, int64_t b, wf_worker *w) {
    int64_t rows = node->in[X]->dims[1], n = node->in[X]->dims[2], out = node->out[Y]->dims[1], from, end;
    float tmp[TILE], sum[TILE];
    for (int64_t r = 0; r < rows; r++) {
        spread_bounds(node->attr, r, rows, out, &from, &end);
        for (int64_t c = 0; c < n; c += TILE) {
            int64_t m = n - c < TILE ? n - c : TILE;
            memset(sum, 0, (size_t)m * sizeof *sum);
            for (int64_t t = from; t < end; t++)
                w->k->add(sum, sum, load_dout(node, (b * out + t) * n + c, m, tmp, w), m);
            store_din(node, X, (b * rows + r) * n + c, m, sum, w);
        }
    }
}

static void spread_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    (pass == WF_FORWARD ? spread_forward : spread_backward)(node, piece, w);
}

const wf_op wf_op_fill_windows = {.name = "fill_windows", .pieces = batch_pieces, .run = spread_run};

wf_tensor *wf_fill_windows(wf_tape *t, wf_tensor *x, const wf_fill_spec *spec) {
    if (!x)
        return NULL;
    if (x->rank != 3 || spec->how.stride < 1 || spec->rows < 1)
        return wf_tape_error(t, WEFT_USAGE, "fill_windows: rows [B,T,n] are needed");
    windows *a = attr_copy(t, &(windows){.how = spec->how, .skip = spec->skip, .last = spec->last}, sizeof(windows));
    wf_tensor *y = wf_out(t, x->type, 3, (int64_t[]){x->dims[0], spec->rows, x->dims[2]});
    return a && y && wf_record(t, &wf_op_fill_windows, 1, &x, 1, &y, a) ? y : NULL;
}
