/* unit.c - rows of length one: y = x / n, with n = sqrt(sum x^2 + eps), max(sqrt(sum x^2), eps) or max(sum |x|, eps). */
#include <math.h>
#include "tensor/ops/elementwise.h"

typedef struct unit {
    wf_unit_kind kind;
    float eps;
} unit;

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? wf_split_pieces(wf_row_count(node->in[0]), 16) : 0;
}

/* 1/n of one row; *floored: n is eps, a constant. */
static double inverse(const unit *a, const float *x, int64_t n, bool *floored, const wf_worker *w) {
    double length = 0.0;
    for (int64_t i = 0; a->kind == WF_UNIT_SUM && i < n; i++)
        length += fabs((double)x[i]);
    if (a->kind != WF_UNIT_SUM)
        length = sqrt(w->k->sum_squares(x, n) + (a->kind == WF_UNIT_L2 ? (double)a->eps : 0.0));
    *floored = a->kind != WF_UNIT_L2 && !(length > (double)a->eps);
    return 1.0 / (*floored ? (double)a->eps : length);
}

/* dx = (dy - (y.dy) dn/dx) / n, dn/dx = y or, for sums, the signs. */
static void back(const unit *a, float *dx, const float *x, const float *dy, int64_t n, const wf_worker *w) {
    bool floored;
    double scale = inverse(a, x, n, &floored, w), inner = floored ? 0.0 : scale * w->k->dot(x, dy, n);
    if (a->kind != WF_UNIT_SUM) {
        memcpy(dx, dy, (size_t)n * sizeof *dx);
        w->k->axpy(dx, (float)(-inner * scale), x, n);
        w->k->scale(dx, (float)scale, dx, n);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        dx[i] = (float)(scale * ((double)dy[i] - inner * (double)((x[i] > 0.0f) - (x[i] < 0.0f))));
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const unit *a = node->attr;
    int64_t n = wf_dim(node->in[0], -1), count = wf_row_count(node->in[0]), first, end;
    float *row = w->scratch, *y = row + n, *dy = y + n;
    bool floored;
    (void)phase;
    wf_split_bounds(count, wf_split_pieces(count, 16), piece, &first, &end);
    for (int64_t r = first; r < end; r++) {
        const float *x = load_in(node, 0, r * n, n, row, w);
        if (pass == WF_FORWARD) {
            w->k->scale(y, (float)inverse(a, x, n, &floored, w), x, n);
            store_out(node, r * n, n, y, w);
        } else {
            back(a, y, x, load_dout(node, r * n, n, dy, w), n, w);
            store_din(node, 0, r * n, n, y, w);
        }
    }
}

const wf_op wf_op_unit = {.name = "unit", .pieces = pieces, .run = run, .saves_in = 1};

wf_tensor *wf_unit(wf_tape *t, wf_tensor *x, wf_unit_kind kind, float eps) {
    if (!x)
        return NULL;
    if (x->rank < 1 || !(eps > 0.0f))
        return wf_tape_error(t, WEFT_USAGE, "unit: rows and an eps above zero are needed");
    unit *attr = attr_copy(t, &(unit){kind, eps}, sizeof(unit));
    wf_tensor *y = attr ? record_like(t, &wf_op_unit, 1, &x, x, WF_F32, attr) : NULL;
    if (y)
        y->producer->scratch = (size_t)(3 * wf_dim(x, -1)) * sizeof(float);
    return y;
}
