/* linear.c - y = x W^T + b: matmul tiles fixed by the shape (kernels/gemm); a row sweep for few rows. The model op of the room.
 */
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/panels.h"
#include "tensor/ops.h"

enum { FEW_ROWS = 4, BIAS_COLUMNS = 256 };
enum { INT8_ROWS = 8 * WF_INT8_ROWS, PIECES = 16 }; /* rows of a piece; pieces wanted where rows are few */
enum { LINE = 64 / sizeof(float) };

typedef struct linear {
    int64_t m, n, k;
    int64_t turned;       /* W[i][j] lies at j*turned + i; 0: in order */
    bool sweep;           /* few rows: row sweep instead of tiles */
    const uint8_t *int8;  /* the weight packed, NULL: products in `compute` */
    const float *balance; /* its columns' */
    const wf_int8_form *form;
    const void *panels;    /* the weight in panels, NULL: it is read as it lies */
    int64_t rows, columns; /* int8, panels: pieces along m and n */
    wf_dtype compute;      /* type of x and W in the products */
    wf_gemm_plan *y, *dx, *dw;
} linear;

enum { X, W, B };

static const void *weight_data(const wf_node *node) {
    const linear *a = node->attr;
    const wf_tensor *w = node->in[W];
    if (a->turned) /* rows of it are columns of what lies there */
        return (const float *)(w->base ? w->base : w)->data + w->offset / a->k;
    if (a->compute == WF_F32)
        return w->data;
    const wf_param *p = w->base ? w->base->param : w->param;
    return p ? (const void *)(p->bf16 + w->offset) : w->data;
}

static int sweep_pieces(const linear *a) { return wf_split_pieces(a->n, 128); }
static int bias_pieces(const linear *a) { return (int)((a->n + BIAS_COLUMNS - 1) / BIAS_COLUMNS); }
static bool wants(const wf_node *node, int i) { return node->n_in > i && node->grad_mode[i] != 0; }
/* dY in another type than the products': converted once, in a phase of its own. */
static bool converts_dy(const wf_node *node) {
    const linear *a = node->attr;
    return node->out[0]->type != a->compute;
}

static int backward_pieces(const wf_node *node) {
    const linear *a = node->attr;
    return (wants(node, X) ? wf_gemm_tiles(a->dx) : 0) + (wants(node, W) ? wf_gemm_tiles(a->dw) : 0) +
           (wants(node, B) ? bias_pieces(a) : 0);
}

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const linear *a = node->attr;
    if (pass == WF_FORWARD)
        return phase > 0 ? 0 : a->columns ? (int)(a->rows * a->columns) : a->sweep ? sweep_pieces(a) : wf_gemm_tiles(a->y);
    if (converts_dy(node))
        return phase == 0 ? wf_split_pieces(a->m * a->n, 16384) : phase == 1 ? backward_pieces(node) : 0;
    return phase == 0 ? backward_pieces(node) : 0;
}

static void sweep_f32(const wf_node *node, int64_t row, int64_t first, int64_t end, wf_worker *w) {
    const linear *a = node->attr;
    const float *bias = node->in[B] ? (const float *)node->in[B]->data + first : NULL;
    if (a->turned) {
        w->k->gemv_turned((float *)node->out[0]->data + row * a->n + first, (const float *)weight_data(node) + first, a->turned,
                          (const float *)node->in[X]->data + row * a->k, bias, a->k, end - first);
        return;
    }
    w->k->gemv((float *)node->out[0]->data + row * a->n + first, (const float *)weight_data(node) + first * a->k,
               (const float *)node->in[X]->data + row * a->k, bias, a->k, 0, end - first);
}

static void sweep_bf16(const wf_node *node, int64_t row, int64_t first, int64_t end, wf_worker *w) {
    const linear *a = node->attr;
    const float *bias = node->in[B] ? (const float *)node->in[B]->data + first : NULL;
    float *x = w->scratch, *y = x + a->k;
    w->k->bf16_to_f32(x, (const uint16_t *)node->in[X]->data + row * a->k, a->k);
    w->k->gemv_bf16(y, (const uint16_t *)weight_data(node) + first * a->k, x, bias, a->k, 0, end - first);
    wf_store(w, node->out[0]->data, node->out[0]->type, row * a->n + first, end - first, y, 0.0f);
}

static void sweep(const wf_node *node, int piece, wf_worker *w) {
    const linear *a = node->attr;
    int64_t first, end;
    wf_split_bounds(a->n, sweep_pieces(a), piece, &first, &end);
    for (int64_t row = 0; row < a->m; row++)
        (a->compute == WF_F32 ? sweep_f32 : sweep_bf16)(node, row, first, end, w);
}

/* ---- packed weights ---- */
/* Does the parameter, of which W is some rows, have them as rows of W's width, from the beginning of a panel on? */
static const wf_param *packed(const wf_tensor *w, int64_t panel) {
    const wf_param *p = w->base ? w->base->param : w->param;
    int64_t k = w->dims[1];
    return p && p->dims[p->rank - 1] == k && w->offset % (panel * k) == 0 ? p : NULL;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static void find_int8(linear *a, const wf_tensor *w, const wf_int8_form *form) {
    const wf_param *p = packed(w, WF_INT8_PANEL);
    if (!p || !p->int8)
        return;
    a->form = form;
    a->balance = p->balance;
    a->int8 =
        p->int8 + wf_int8_head(a->k) + w->offset / (a->k * WF_INT8_PANEL) * wf_int8_panel_bytes(form, wf_int8_groups(a->k));
}

static const void *packed_panels(const wf_tensor *w, wf_dtype type) {
    const wf_param *p = packed(w, WF_GEMM_COLUMNS);
    int64_t k = w->dims[1], at = wf_panels_at(type, w->offset / k, k);
    if (type == WF_BF16)
        return p && p->bf16_panels ? p->bf16_panels + at : NULL;
    return p && p->panels ? p->panels + at : NULL;
}

/* Pieces of so many rows; where those are few, their columns are shared out too. */
static void split_packed(linear *a) {
    int64_t rows = a->int8 ? INT8_ROWS : WF_PANELS_ROWS, columns = 4 * (a->int8 ? WF_INT8_COLUMNS : WF_GEMM_COLUMNS),
            most = (a->n + columns - 1) / columns;
    a->rows = (a->m + rows - 1) / rows;
    a->columns = (PIECES + a->rows - 1) / a->rows;
    a->columns = a->columns < most ? a->columns : most;
}

static size_t int8_scratch(const linear *a) {
    int64_t groups = wf_int8_groups(a->k);
    return (size_t)INT8_ROWS * ((size_t)groups * WF_INT8_GROUP + (size_t)wf_int8_spans(a->form, groups) * 2 * sizeof(float));
}

/* The lines of a block that is written soon: its sums would wait for them. */
static void fetch_block(const float *y, int64_t ld, int64_t rows, int64_t columns) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j += LINE)
            __builtin_prefetch(y + i * ld + j, 1, 2);
}

/* At most INT8_ROWS rows, and columns from..to-1. */
static void multiply_int8(const wf_node *node, int64_t first, int64_t rows, int64_t from, int64_t to, wf_worker *w) {
    const linear *a = node->attr;
    int64_t groups = wf_int8_groups(a->k), pair = 2 * wf_int8_spans(a->form, groups);
    const float *x = node->in[X]->data, *bias = node->in[B] ? node->in[B]->data : NULL;
    float *y = node->out[0]->data, *ranges = w->scratch;
    uint8_t *q = (uint8_t *)(ranges + INT8_ROWS * pair);
    bool kept = w->kept == x + first * a->k && w->kept_with == a->balance;
    for (int64_t i = 0; i < rows && !kept; i++)
        w->k->int8_quantize(q + i * groups * WF_INT8_GROUP, ranges + i * pair, x + (first + i) * a->k, a->balance, a->k,
                            a->form);
    w->kept = x + first * a->k;
    w->kept_with = a->balance;
    /* The next panels are on their way meanwhile, a share with each block of rows. */
    const int64_t block = WF_INT8_COLUMNS / WF_INT8_PANEL * wf_int8_panel_bytes(a->form, groups),
                  blocks = (rows + WF_INT8_ROWS - 1) / WF_INT8_ROWS;
    for (int64_t j = from; j < to; j += WF_INT8_COLUMNS) {
        const uint8_t *panels = a->int8 + j / WF_INT8_COLUMNS * block,
                      *next = j + 2 * WF_INT8_COLUMNS <= to ? panels + block : w->ahead, *ahead = next ? next : panels;
        int64_t step = next ? block / (blocks * groups * WF_INT8_STEPS) : 0;
        for (int64_t i = 0; i < rows; i += WF_INT8_ROWS, ahead += step * groups * WF_INT8_STEPS) {
            int64_t below = i + WF_INT8_ROWS < rows ? i + WF_INT8_ROWS : 0, right = below ? j : j + WF_INT8_COLUMNS;
            fetch_block(y + (first + below) * a->n + right, a->n, least(rows - below, WF_INT8_ROWS),
                        least(to - right, WF_INT8_COLUMNS));
            w->k->int8_block(&(wf_int8_args){.c = y + (first + i) * a->n + j,
                                             .q = q + i * groups * WF_INT8_GROUP,
                                             .ranges = ranges + i * pair,
                                             .w = panels,
                                             .bias = bias ? bias + j : NULL,
                                             .ldc = a->n,
                                             .groups = groups,
                                             .m = least(rows - i, WF_INT8_ROWS),
                                             .n = least(to - j, WF_INT8_COLUMNS),
                                             .ahead = ahead,
                                             .ahead_step = step,
                                             .form = a->form});
        }
    }
}

static void multiply_panels(const wf_node *node, int64_t first, int64_t end, int64_t from, int64_t to, wf_worker *w) {
    const linear *a = node->attr;
    const void *x = node->in[X]->data,
               *rows = wf_panels_keeps(w->k, a->compute, end - first, a->k) ? (const float *)x + first * a->k : NULL;
    const wf_panels p = {.x = x,
                         .panels = a->panels,
                         .bias = node->in[B] ? node->in[B]->data : NULL,
                         .y = node->out[0]->data,
                         .ahead = w->ahead,
                         .n = a->n,
                         .k = a->k,
                         .type = a->compute,
                         .y_type = node->out[0]->type,
                         .copied = rows && w->kept == rows && w->kept_with == w->k};
    wf_panels_run(w->k, &p, first, end, from, to, w->scratch);
    w->kept = rows;
    w->kept_with = w->k;
}

static void multiply_packed(const wf_node *node, int64_t first, int64_t end, int64_t from, int64_t to, wf_worker *w) {
    const linear *a = node->attr;
    if (a->panels) {
        multiply_panels(node, first, end, from, to, w);
        return;
    }
    for (; first < end; first += INT8_ROWS)
        multiply_int8(node, first, least(end - first, INT8_ROWS), from, to, w);
}

static void run_rows(const wf_node *node, int64_t first, int64_t end, wf_worker *w) {
    multiply_packed(node, first, end, 0, ((const linear *)node->attr)->n, w);
}

static const void *begins(const wf_node *node) {
    const linear *a = node->attr;
    return a->int8 ? (const void *)a->int8 : a->panels;
}

static void run_packed(const wf_node *node, int piece, wf_worker *w) {
    const linear *a = node->attr;
    int64_t columns = a->int8 ? WF_INT8_COLUMNS : WF_GEMM_COLUMNS, rows = a->int8 ? INT8_ROWS : WF_PANELS_ROWS, from, to,
            first = piece / a->columns * rows;
    wf_split_bounds((a->n + columns - 1) / columns, (int)a->columns, (int)(piece % a->columns), &from, &to);
    multiply_packed(node, first, a->m - first < rows ? a->m : first + rows, from * columns,
                    to * columns < a->n ? to * columns : a->n, w);
}

static void bias_gradient(const wf_node *node, int piece, wf_worker *w) {
    const linear *a = node->attr;
    float beta, tmp[BIAS_COLUMNS], sum[BIAS_COLUMNS] = {0};
    float *db = wf_grad_in(node, B, w, &beta);
    int64_t first = (int64_t)piece * BIAS_COLUMNS, n = a->n - first < BIAS_COLUMNS ? a->n - first : BIAS_COLUMNS;
    for (int64_t r = 0; r < a->m; r++)
        w->k->add(sum, sum, wf_load(w, node->out[0]->grad, node->out[0]->type, r * a->n + first, n, tmp), n);
    wf_store(w, db, WF_F32, first, n, sum, beta);
}

static void backward(const wf_node *node, int piece, wf_worker *w) {
    const linear *a = node->attr;
    const void *dy = converts_dy(node) ? node->work_data[WF_BACKWARD] : node->out[0]->grad;
    float beta;
    int tiles = wants(node, X) ? wf_gemm_tiles(a->dx) : 0;
    if (piece < tiles) {
        void *dx = wf_grad_in(node, X, w, &beta);
        wf_gemm_run(a->dx, piece, dy, weight_data(node), dx, NULL, beta, w->scratch);
        return;
    }
    piece -= tiles;
    tiles = wants(node, W) ? wf_gemm_tiles(a->dw) : 0;
    if (piece < tiles) {
        void *dw = wf_grad_in(node, W, w, &beta);
        wf_gemm_run(a->dw, piece, dy, node->in[X]->data, dw, NULL, beta, w->scratch);
        return;
    }
    bias_gradient(node, piece - tiles, w);
}

static void convert_dy(const wf_node *node, int piece, wf_worker *w) {
    const linear *a = node->attr;
    int64_t first, end;
    wf_split_bounds(a->m * a->n, wf_split_pieces(a->m * a->n, 16384), piece, &first, &end);
    w->k->f32_to_bf16((uint16_t *)node->work_data[WF_BACKWARD] + first, (const float *)node->out[0]->grad + first, end - first);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const linear *a = node->attr;
    if (pass == WF_BACKWARD) {
        if (phase == 0 && converts_dy(node))
            convert_dy(node, piece, w);
        else
            backward(node, piece, w);
    } else if (a->columns) {
        run_packed(node, piece, w);
    } else if (a->sweep) {
        sweep(node, piece, w);
    } else {
        wf_gemm_run(a->y, piece, node->in[X]->data, weight_data(node), node->out[0]->data,
                    node->in[B] ? node->in[B]->data : NULL, 0.0f, w->scratch);
    }
}

static double flops(const wf_node *node, wf_pass pass) {
    const linear *a = node->attr;
    double one = 2.0 * (double)a->m * (double)a->n * (double)a->k;
    return pass == WF_FORWARD ? one : one * (wants(node, X) + wants(node, W));
}

static void release(const wf_env *env, wf_node *node) {
    linear *a = node->attr;
    wf_gemm_plan_free(env, a->y);
    wf_gemm_plan_free(env, a->dx);
    wf_gemm_plan_free(env, a->dw);
}

const wf_op wf_op_linear = {.name = "linear",
                            .pieces = pieces,
                            .run = run,
                            .run_rows = run_rows,
                            .begins = begins,
                            .saves_in = 1u << X | 1u << W,
                            .flops = flops,
                            .release = release,
                            .uneven = true,
                            .bare = true,
                            .turned = true};

static weft_status make_plans(wf_tape *t, linear *a, bool bias, wf_dtype out, wf_dtype grad_x, weft_error *err) {
    const wf_env *env = wf_tape_env(t);
    wf_dtype c = a->compute;
    wf_gemm y = {.m = a->m, .n = a->n, .k = a->k, .ldb = a->turned, .a_type = c, .b_type = c, .c_type = out, .bias = bias},
            dx = {.m = a->m, .n = a->k, .k = a->n, .ldb = a->turned, .a_type = c, .b_type = c, .c_type = grad_x};
    y.trans_b = !a->turned;
    dx.trans_b = a->turned != 0;
    if (!a->sweep && !a->columns)
        WF_TRY(wf_gemm_plan_create(env, &y, &a->y, err));
    if (!wf_tape_grad(t))
        return WEFT_OK;
    WF_TRY(wf_gemm_plan_create(env, &dx, &a->dx, err));
    return wf_gemm_plan_create(
        env, &(wf_gemm){.m = a->n, .n = a->k, .k = a->m, .a_type = c, .b_type = c, .c_type = WF_F32, .trans_a = true}, &a->dw,
        err);
}

static size_t scratch_of(const wf_tape *t, const linear *a) {
    size_t most = a->int8     ? int8_scratch(a)
                  : a->panels ? wf_panels_scratch(wf_tape_env(t)->kernels, a->compute, a->k)
                  : a->sweep  ? (size_t)(a->k + a->n) * sizeof(float)
                              : 0;
    const wf_gemm_plan *plans[] = {a->y, a->dx, a->dw};
    for (int i = 0; i < 3; i++)
        if (plans[i] && wf_gemm_scratch(plans[i]) > most)
            most = wf_gemm_scratch(plans[i]);
    return most;
}

/* Can W, a parameter that lies turned or rows of one, be used as it lies? Copies in bf16 are in order. */
static bool lies_right(const wf_tensor *w, bool bf16) {
    const wf_tensor *whole = w->base ? w->base : w;
    return bf16 || (w->dims[1] == whole->dims[1] && w->offset % w->dims[1] == 0);
}

static wf_tensor *plain(wf_tape *t, wf_tensor *x, wf_tensor *w, wf_tensor *b, wf_dtype type, bool exact) {
    if (!x || !w)
        return NULL;
    if (w->rank != 2 || x->rank < 1 || wf_dim(x, -1) != w->dims[1] || (b && b->count != w->dims[0]))
        return wf_tape_error(t, WEFT_USAGE, "linear: '%s' does not fit an input of width %lld", w->label,
                             (long long)wf_dim(x, -1));
    bool bf16 = wf_tape_type(t) == WF_BF16 && (w->base ? w->base : w)->kind == WF_PARAMETER && !exact;
    x = wf_cast(t, x, bf16 ? WF_BF16 : WF_F32);
    if (wf_turned(w) && !lies_right(w, bf16) && !(w = wf_adapted(t, w)))
        return NULL;
    linear *a = wf_arena_alloc(wf_tape_arena(t), sizeof *a);
    if (!x || !a)
        return a ? NULL : wf_tape_error(t, WEFT_NO_MEMORY, "out of memory");
    *a = (linear){.m = wf_row_count(x), .n = w->dims[0], .k = w->dims[1], .compute = bf16 ? WF_BF16 : WF_F32};
    a->turned = bf16 ? 0 : wf_turned(w);
    type = bf16 ? type : WF_F32;
    bool may = !wf_tape_grad(t) && !wf_adapter_of(w);
    if (may && !exact && !bf16)
        find_int8(a, w, wf_tape_env(t)->kernels->int8_form());
    a->panels = may && !a->int8 && a->m > FEW_ROWS ? packed_panels(w, a->compute) : NULL;
    if (a->int8 || a->panels)
        split_packed(a);
    a->sweep = a->m <= FEW_ROWS && !a->int8 && !wf_tape_grad(t);
    int64_t dims[WF_MAX_RANK];
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dims[i];
    dims[x->rank - 1] = a->n;
    wf_tensor *y = wf_out(t, type, x->rank, dims);
    wf_node *node = y ? wf_record(t, &wf_op_linear, 3, (wf_tensor *[]){x, w, b}, 1, &y, a) : NULL;
    weft_error err = {0};
    if (!node)
        return NULL;
    if (make_plans(t, a, b != NULL, type, x->type, &err) != WEFT_OK)
        return wf_tape_error(t, err.status, "%s", err.message);
    node->rows = a->columns ? a->m : 0;
    node->scratch = scratch_of(t, a);
    node->work[WF_BACKWARD] = type != a->compute ? (size_t)(a->m * a->n) * sizeof(uint16_t) : 0;
    return y;
}

/* ---- weights with adapters ---- */
/* The factors of W[rows, columns], a piece of an adapted matrix: L [rows, rank] and R [rank, columns]. False: it is no such
 * piece. */
static bool factors(wf_tape *t, const wf_tensor *w, const wf_adapter *a, wf_tensor **left, wf_tensor **right) {
    if (a->slices != 1 || w->rank != 2 || w->dims[1] != a->columns || w->offset % a->columns != 0)
        return false;
    *left = wf_rows(t, wf_use(t, a->left), a->first + w->offset / a->columns, w->dims[0]);
    *right = wf_use(t, a->right);
    return true;
}

/* y = x W^T + b + scale * (dropout(x) R^T) L^T, or for rows of given lengths x W^T + b + dropout(x) (adapted W - W)^T: both are
 * the adapted product where nothing is dropped (Hu et al. 2021, eq. 3; Liu et al. 2024, eq. 5). */
static wf_tensor *record(wf_tape *t, wf_tensor *x, wf_tensor *w, wf_tensor *b, wf_dtype type, bool exact) {
    const wf_adapter *a = w ? wf_adapter_of(w) : NULL;
    wf_tensor *left, *right, *more;
    if (!a || !x)
        return plain(t, x, w, b, type, exact);
    float dropout = wf_tape_grad(t) ? a->dropout : 0.0f;
    if ((a->magnitude && dropout == 0.0f) || !factors(t, w, a, &left, &right))
        return plain(t, x, wf_adapted(t, w), b, type, exact);
    wf_tensor *y = plain(t, x, w, b, WF_F32, exact), *dropped = wf_dropout(t, x, dropout);
    if (a->magnitude) {
        more = plain(t, dropped, wf_adapted(t, w), NULL, WF_F32, exact);
        more = wf_add_scaled(t, more, plain(t, dropped, w, NULL, WF_F32, exact), -1.0f);
    } else {
        more = plain(t, plain(t, dropped, right, NULL, type, exact), left, NULL, WF_F32, exact);
    }
    y = wf_add_scaled(t, y, more, a->magnitude ? 1.0f : a->scales[0]);
    return wf_tape_type(t) == WF_BF16 ? wf_cast(t, y, exact ? WF_F32 : type) : y;
}

wf_tensor *wf_linear_as(wf_tape *t, wf_tensor *x, wf_tensor *w, wf_tensor *b, wf_dtype type) {
    return record(t, x, w, b, type, false);
}
wf_tensor *wf_linear(wf_tape *t, wf_tensor *x, wf_tensor *w, wf_tensor *b) { return wf_linear_as(t, x, w, b, wf_tape_type(t)); }
wf_tensor *wf_linear_exact(wf_tape *t, wf_tensor *x, wf_tensor *w, wf_tensor *b) { return record(t, x, w, b, WF_F32, true); }
