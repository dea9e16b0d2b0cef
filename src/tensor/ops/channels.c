/* channels.c - pieces of the channel axis (the last dimension): slices, and two tensors side by side. */
#include "tensor/ops/elementwise.h"

typedef struct channels {
    int64_t first, per; /* slice: its first channel; join: rows of a for each row of b */
} channels;

static const char *bytes_at(const wf_tensor *x, int64_t element) {
    return (const char *)x->data + (size_t)element * wf_dtypes[x->type].size;
}
static void copy(const wf_tensor *to, int64_t at, const wf_tensor *from, int64_t element, int64_t n) {
    memcpy((char *)(uintptr_t)bytes_at(to, at), bytes_at(from, element), (size_t)n * wf_dtypes[to->type].size);
}

/* ---- slice ---- */
static int row_pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? wf_split_pieces(wf_row_count(node->out[0]), 16) : 0;
}

/* The channels outside of a slice have no gradient from it: whoever writes first clears them. */
static void slice_back(const wf_node *node, int64_t row, wf_worker *w) {
    const channels *a = node->attr;
    const wf_tensor *x = node->in[0];
    int64_t n = wf_dim(x, -1), count = wf_dim(node->out[0], -1);
    float tmp[TILE], beta;
    char *dx = wf_grad_in(node, 0, w, &beta);
    if (dx && beta == 0.0f)
        memset(dx + (size_t)(row * n) * wf_dtypes[x->type].size, 0, (size_t)n * wf_dtypes[x->type].size);
    for (int64_t c = 0; dx && c < count; c += TILE) {
        int64_t m = count - c < TILE ? count - c : TILE;
        wf_store(w, dx, x->type, row * n + a->first + c, m, load_dout(node, row * count + c, m, tmp, w), 1.0f);
    }
}

static void slice_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t rows = wf_row_count(node->out[0]), n = wf_dim(node->in[0], -1), count = wf_dim(node->out[0], -1), first, end;
    wf_split_bounds(rows, row_pieces(node, pass, phase), piece, &first, &end);
    for (int64_t r = first; r < end; r++)
        if (pass == WF_FORWARD)
            copy(node->out[0], r * count, node->in[0], r * n + ((const channels *)node->attr)->first, count);
        else
            slice_back(node, r, w);
}

const wf_op wf_op_slice_channels = {.name = "slice_channels", .pieces = row_pieces, .run = slice_run};

/* ---- join ---- */
static void join_back_shared(const wf_node *node, int64_t row, wf_worker *w) {
    const channels *a = node->attr;
    int64_t n = wf_dim(node->in[0], -1), m = wf_dim(node->in[1], -1);
    float tmp[TILE], sum[TILE];
    for (int64_t c = 0; c < m; c += TILE) {
        int64_t count = m - c < TILE ? m - c : TILE;
        memset(sum, 0, sizeof sum);
        for (int64_t i = row * a->per; i < (row + 1) * a->per; i++)
            w->k->add(sum, sum, load_dout(node, i * (n + m) + n + c, count, tmp, w), count);
        store_din(node, 1, row * m + c, count, sum, w);
    }
}

/* Rows of b: each goes to `per` rows of the result. */
static void join_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const channels *a = node->attr;
    int64_t rows = wf_row_count(node->in[1]), n = wf_dim(node->in[0], -1), m = wf_dim(node->in[1], -1), first, end;
    float tmp[TILE];
    (void)phase;
    wf_split_bounds(rows, wf_split_pieces(rows, 16), piece, &first, &end);
    for (int64_t i = first * a->per; i < end * a->per; i++) {
        if (pass == WF_FORWARD) {
            copy(node->out[0], i * (n + m), node->in[0], i * n, n);
            copy(node->out[0], i * (n + m) + n, node->in[1], i / a->per * m, m);
            continue;
        }
        for (int64_t c = 0; c < n; c += TILE) {
            int64_t count = n - c < TILE ? n - c : TILE;
            store_din(node, 0, i * n + c, count, load_dout(node, i * (n + m) + c, count, tmp, w), w);
        }
    }
    for (int64_t r = first; pass == WF_BACKWARD && r < end; r++)
        join_back_shared(node, r, w);
}

static int join_pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? wf_split_pieces(wf_row_count(node->in[1]), 16) : 0;
}

const wf_op wf_op_join_channels = {.name = "join_channels", .pieces = join_pieces, .run = join_run};

wf_tensor *wf_join_channels(wf_tape *t, wf_tensor *a, wf_tensor *b) {
    if (!a || !b)
        return NULL;
    b = wf_cast(t, b, a->type);
    if (!b || a->rank < 1 || b->rank < 1 || wf_row_count(a) % wf_row_count(b) != 0)
        return wf_tape_error(t, WEFT_USAGE, "join: the rows do not fit");
    int64_t dims[WF_MAX_RANK];
    memcpy(dims, a->dims, sizeof dims);
    dims[a->rank - 1] += wf_dim(b, -1);
    channels *attr = attr_copy(t, &(channels){.per = wf_row_count(a) / wf_row_count(b)}, sizeof(channels));
    wf_tensor *y = wf_out(t, a->type, a->rank, dims);
    return attr && y && wf_record(t, &wf_op_join_channels, 2, (wf_tensor *[]){a, b}, 1, &y, attr) ? y : NULL;
}

/* ---- slice of either ---- */
/* The half of a join that a slice of it is; NULL: none. */
static wf_tensor *half_of(const wf_tensor *x, int64_t first, int64_t count) {
    const wf_node *join = x->kind == WF_TEMP && x->producer && x->producer->op == &wf_op_join_channels ? x->producer : NULL;
    if (!join || ((const channels *)join->attr)->per != 1)
        return NULL;
    int64_t n = wf_dim(join->in[0], -1), m = wf_dim(join->in[1], -1);
    return first == 0 && count == n ? join->in[0] : first == n && count == m ? join->in[1] : NULL;
}

wf_tensor *wf_slice_channels(wf_tape *t, wf_tensor *x, int64_t first, int64_t count) {
    if (!x || (x->rank > 0 && first == 0 && count == wf_dim(x, -1)))
        return x;
    if (x->rank < 1 || first < 0 || count < 1 || first + count > wf_dim(x, -1))
        return wf_tape_error(t, WEFT_USAGE, "a slice of channels outside 0..%lld",
                             (long long)(x->rank < 1 ? 0 : wf_dim(x, -1)));
    if (half_of(x, first, count))
        return half_of(x, first, count);
    int64_t dims[WF_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank - 1] = count;
    channels *attr = attr_copy(t, &(channels){.first = first}, sizeof(channels));
    wf_tensor *y = wf_out(t, x->type, x->rank, dims);
    return attr && y && wf_record(t, &wf_op_slice_channels, 1, &x, 1, &y, attr) ? y : NULL;
}
