/* adapt.c - what an adapter makes of a parameter: V = W + scale * L R per slice, and with a magnitude m every row (or column)
 * of V times m / n, n its length. n is a constant of the backward (Liu et al. 2024, section 4.3). Row pieces make V and the
 * gradients of L, of W and of a magnitude by row; column pieces make those of R and of a magnitude by column. */
#include <math.h>
#include "tensor/ops/elementwise.h"

enum { W, L, R, M };
enum { Y, LENGTHS };
enum { COLUMNS = 256 };

static const wf_adapter *adapter(const wf_node *node) { return node->attr; }
static int64_t all_rows(const wf_adapter *a) { return a->slices * a->rows; }
static int row_pieces(const wf_adapter *a) { return wf_split_pieces(all_rows(a), 1 + 16384 / (a->columns * (a->rank + 1))); }
static int column_pieces(const wf_adapter *a) { return (int)(a->slices * ((a->columns + COLUMNS - 1) / COLUMNS)); }

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const wf_adapter *a = adapter(node);
    bool columns = pass == WF_BACKWARD || (node->in[M] && a->by_column);
    return phase == 0 ? row_pieces(a) : phase == 1 && columns ? column_pieces(a) : 0;
}

static float data(const wf_node *node, int i, int64_t at) { return ((const float *)node->in[i]->data)[at]; }

/* V of row `row`, columns first..first+n-1. */
static void base_row(const wf_node *node, int64_t row, int64_t first, int64_t n, float *v, const wf_worker *w) {
    const wf_adapter *a = adapter(node);
    int64_t slice = row / a->rows;
    memcpy(v, (const float *)node->in[W]->data + row * a->columns + first, (size_t)n * sizeof *v);
    for (int64_t k = 0; k < a->rank; k++)
        w->k->axpy(v, a->scales[slice] * data(node, L, row * a->rank + k),
                   (const float *)node->in[R]->data + (slice * a->rank + k) * a->columns + first, n);
}

static float over(float a, float b) { return b > 0.0f ? a / b : 0.0f; }

static float length_at(const wf_node *node, int64_t at) { return ((const float *)node->out[LENGTHS]->data)[at]; }

/* m / n of row or column `at`. */
static float factor(const wf_node *node, int64_t at) { return over(data(node, M, at), length_at(node, at)); }

/* ---- forward ---- */
static void forward_rows(const wf_node *node, int piece, const wf_worker *w) {
    const wf_adapter *a = adapter(node);
    int64_t first, end;
    wf_split_bounds(all_rows(a), row_pieces(a), piece, &first, &end);
    for (int64_t row = first; row < end; row++) {
        float *y = (float *)node->out[Y]->data + row * a->columns;
        base_row(node, row, 0, a->columns, y, w);
        if (!node->in[M] || a->by_column)
            continue;
        ((float *)node->out[LENGTHS]->data)[row] = (float)sqrt(w->k->sum_squares(y, a->columns));
        w->k->scale(y, factor(node, row), y, a->columns);
    }
}

typedef struct range { /* of columns in a slice */
    int64_t slice, first, n;
} range;

static range range_of(const wf_adapter *a, int piece) {
    int64_t per = (a->columns + COLUMNS - 1) / COLUMNS, slice = piece / per, first = piece % per * COLUMNS;
    return (range){slice, first, a->columns - first < COLUMNS ? a->columns - first : COLUMNS};
}

static void forward_columns(const wf_node *node, int piece) {
    const wf_adapter *a = adapter(node);
    range r = range_of(a, piece);
    float *y = (float *)node->out[Y]->data + r.slice * a->rows * a->columns + r.first;
    double squares[COLUMNS] = {0};
    for (int64_t row = 0; row < a->rows; row++)
        for (int64_t j = 0; j < r.n; j++)
            squares[j] += (double)y[row * a->columns + j] * (double)y[row * a->columns + j];
    for (int64_t j = 0; j < r.n; j++)
        ((float *)node->out[LENGTHS]->data)[r.slice * a->columns + r.first + j] = (float)sqrt(squares[j]);
    for (int64_t row = 0; row < a->rows; row++)
        for (int64_t j = 0; j < r.n; j++)
            y[row * a->columns + j] *= factor(node, r.slice * a->columns + r.first + j);
}

/* ---- backward ---- */
/* The gradient of V in row `row`, columns first..first+n-1. */
static void base_grad(const wf_node *node, int64_t row, int64_t first, int64_t n, float *dv, const wf_worker *w) {
    const wf_adapter *a = adapter(node);
    const float *dy = (const float *)node->out[Y]->grad + row * a->columns + first;
    int64_t slice = row / a->rows;
    if (!node->in[M])
        memcpy(dv, dy, (size_t)n * sizeof *dv);
    else if (!a->by_column)
        w->k->scale(dv, factor(node, row), dy, n);
    else
        for (int64_t j = 0; j < n; j++)
            dv[j] = dy[j] * factor(node, slice * a->columns + first + j);
}

static void backward_rows(const wf_node *node, int piece, wf_worker *w) {
    const wf_adapter *a = adapter(node);
    float *dv = w->scratch, *v = dv + a->columns, *dl = v + a->columns;
    int64_t first, end;
    wf_split_bounds(all_rows(a), row_pieces(a), piece, &first, &end);
    for (int64_t row = first; row < end; row++) {
        int64_t slice = row / a->rows;
        const float *right = (const float *)node->in[R]->data + slice * a->rank * a->columns;
        base_grad(node, row, 0, a->columns, dv, w);
        store_din(node, W, row * a->columns, a->columns, dv, w);
        for (int64_t k = 0; k < a->rank; k++)
            dl[k] = a->scales[slice] * (float)w->k->dot(dv, right + k * a->columns, a->columns);
        store_din(node, L, row * a->rank, a->rank, dl, w);
        if (!node->in[M] || a->by_column || !node->grad_mode[M])
            continue;
        base_row(node, row, 0, a->columns, v, w);
        float dm =
            over((float)w->k->dot((const float *)node->out[Y]->grad + row * a->columns, v, a->columns), length_at(node, row));
        store_din(node, M, row, 1, &dm, w);
    }
}

static void right_gradient(const wf_node *node, range r, const wf_worker *w) {
    const wf_adapter *a = adapter(node);
    float dv[COLUMNS], sum[COLUMNS];
    for (int64_t k = 0; k < a->rank; k++) {
        memset(sum, 0, sizeof sum);
        for (int64_t row = r.slice * a->rows; row < (r.slice + 1) * a->rows; row++) {
            base_grad(node, row, r.first, r.n, dv, w);
            w->k->axpy(sum, a->scales[r.slice] * data(node, L, row * a->rank + k), dv, r.n);
        }
        store_din(node, R, (r.slice * a->rank + k) * a->columns + r.first, r.n, sum, w);
    }
}

static void column_magnitudes(const wf_node *node, range r, const wf_worker *w) {
    const wf_adapter *a = adapter(node);
    float v[COLUMNS], dm[COLUMNS];
    double sum[COLUMNS] = {0};
    for (int64_t row = r.slice * a->rows; row < (r.slice + 1) * a->rows; row++) {
        const float *dy = (const float *)node->out[Y]->grad + row * a->columns + r.first;
        base_row(node, row, r.first, r.n, v, w);
        for (int64_t j = 0; j < r.n; j++)
            sum[j] += (double)dy[j] * (double)v[j];
    }
    for (int64_t j = 0; j < r.n; j++)
        dm[j] = over((float)sum[j], length_at(node, r.slice * a->columns + r.first + j));
    store_din(node, M, r.slice * a->columns + r.first, r.n, dm, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const wf_adapter *a = adapter(node);
    if (phase == 0 && pass == WF_FORWARD) {
        forward_rows(node, piece, w);
    } else if (phase == 0) {
        backward_rows(node, piece, w);
    } else if (pass == WF_FORWARD) {
        forward_columns(node, piece);
    } else {
        if (node->grad_mode[R])
            right_gradient(node, range_of(a, piece), w);
        if (node->in[M] && a->by_column && node->grad_mode[M])
            column_magnitudes(node, range_of(a, piece), w);
    }
}

static double flops(const wf_node *node, wf_pass pass) {
    const wf_adapter *a = adapter(node);
    double one = 2.0 * (double)node->out[Y]->count * (double)a->rank;
    return pass == WF_FORWARD ? one : 2.0 * one;
}

const wf_op wf_op_adapt = {.name = "adapt",
                           .pieces = pieces,
                           .run = run,
                           .saves_in = 1u << W | 1u << L | 1u << R | 1u << M,
                           .saves_out = 1u << LENGTHS,
                           .flops = flops,
                           .bare = true};

static bool fits(const wf_tensor *w, const wf_tensor *left, const wf_tensor *right, const wf_tensor *m, const wf_adapter *a) {
    return w->type == WF_F32 && w->count == all_rows(a) * a->columns && left->count == all_rows(a) * a->rank &&
           right->count == a->slices * a->rank * a->columns &&
           (!m || m->count == (a->by_column ? a->slices * a->columns : all_rows(a)));
}

wf_tensor *wf_adapt(wf_tape *t, wf_tensor *w, wf_tensor *left, wf_tensor *right, wf_tensor *magnitude, const wf_adapter *a) {
    if (!w || !left || !right)
        return NULL;
    if (!fits(w, left, right, magnitude, a))
        return wf_tape_error(t, WEFT_USAGE, "adapt: '%s' does not fit its adapter", w->label);
    wf_tensor *out[2] = {wf_out(t, WF_F32, w->rank, w->dims), magnitude ? wf_out(t, WF_F32, 1, &magnitude->count) : NULL};
    wf_adapter *attr = attr_copy(t, a, sizeof *a);
    wf_node *node =
        attr ? wf_record(t, &wf_op_adapt, 4, (wf_tensor *[]){w, left, right, magnitude}, magnitude ? 2 : 1, out, attr) : NULL;
    if (!node)
        return NULL;
    node->scratch = (size_t)(2 * a->columns + a->rank) * sizeof(float);
    return out[Y];
}

static wf_tensor *record(wf_tape *t, wf_tensor *whole, const wf_adapter *a) {
    if (!a)
        return wf_straighten(t, whole);
    wf_tensor *left = wf_rows(t, wf_use(t, a->left), a->first, all_rows(a)), *magnitude = wf_use(t, a->magnitude);
    if (magnitude && !a->by_column)
        magnitude = wf_rows(t, magnitude, a->first, all_rows(a));
    return wf_adapt(t, whole, left, wf_use(t, a->right), magnitude, a);
}

wf_tensor *wf_adapted(wf_tape *t, wf_tensor *x) {
    wf_tensor *whole = x && x->base ? x->base : x; /* a parameter has an adapter or lies turned, never both */
    const wf_adapter *a = x ? wf_adapter_of(x) : NULL;
    if (!x || (!a && !wf_turned(x)))
        return x;
    if (!whole->adapted && !(whole->adapted = record(t, whole, a)))
        return NULL;
    if (x == whole)
        return whole->adapted;
    wf_tensor *flat = wf_reshape(t, whole->adapted, 1, &whole->count);
    return wf_reshape(t, wf_rows(t, flat, x->offset, x->count), x->rank, x->dims);
}
