/* retrieve.c - experts of one hidden unit, fetched by number: y = sum_k g_k act(x . down_e) up_e, e the k-th expert of a row
 * (He 2024, arXiv 2407.04153, eq. 2; cross domain experts, Shi et al. 2024, arXiv 2412.11834). Forward pieces are rows; the
 * backward of the tables goes through all choices in the order of the rows, one range of experts a piece. */
#include "tensor/ops/elementwise.h"

enum { X, INDICES, GATES, DOWN, UP };
enum { Y, DOTS }; /* DOTS: x . down_e of every choice */
typedef struct retrieve {
    int64_t rows, k, width, experts;
    wf_activation kind;
} retrieve;

static int64_t expert(const wf_node *node, int64_t r, int64_t j) {
    return ((const int64_t *)node->in[INDICES]->data)[r * ((const retrieve *)node->attr)->k + j];
}
static const float *table_row(const wf_node *node, int i, int64_t e) {
    return (const float *)node->in[i]->data + e * ((const retrieve *)node->attr)->width;
}

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const retrieve *a = node->attr;
    bool tables = node->grad_mode[DOWN] || node->grad_mode[UP];
    if (phase == 0)
        return wf_split_pieces(a->rows, 4);
    return phase == 1 && pass == WF_BACKWARD && tables ? wf_split_pieces(a->experts, 1) : 0;
}

static void forward_row(const wf_node *node, int64_t r, wf_worker *w) {
    const retrieve *a = node->attr;
    const float *x = (const float *)node->in[X]->data + r * a->width, *g = (const float *)node->in[GATES]->data + r * a->k;
    float *y = (float *)node->out[Y]->data + r * a->width, *dots = (float *)node->out[DOTS]->data + r * a->k;
    float *hidden = w->scratch;
    memset(y, 0, (size_t)a->width * sizeof *y);
    for (int64_t j = 0; j < a->k; j++)
        dots[j] = w->k->dot(x, table_row(node, DOWN, expert(node, r, j)), a->width);
    w->k->activate(a->kind, hidden, dots, a->k);
    for (int64_t j = 0; j < a->k; j++)
        w->k->axpy(y, g[j] * hidden[j], table_row(node, UP, expert(node, r, j)), a->width);
}

/* What a choice's hidden unit and its dot product get: dh = dy . up_e, and act'(dot) g dh. */
static float hidden_grad(const wf_node *node, int64_t r, int64_t j, float *dh, wf_worker *w) {
    const retrieve *a = node->attr;
    const float *dy = (const float *)node->out[Y]->grad + r * a->width;
    float g = ((const float *)node->in[GATES]->data)[r * a->k + j], out;
    *dh = w->k->dot(dy, table_row(node, UP, expert(node, r, j)), a->width);
    float scaled = g * *dh;
    w->k->activate_back(a->kind, &out, (const float *)node->out[DOTS]->data + r * a->k + j, &scaled, 1);
    return out;
}

static void backward_row(const wf_node *node, int64_t r, wf_worker *w) {
    const retrieve *a = node->attr;
    const float *dots = (const float *)node->out[DOTS]->data + r * a->k;
    float *hidden = w->scratch, *dx = hidden + a->k, dh;
    w->k->activate(a->kind, hidden, dots, a->k);
    memset(dx, 0, (size_t)a->width * sizeof *dx);
    for (int64_t j = 0; j < a->k; j++) {
        w->k->axpy(dx, hidden_grad(node, r, j, &dh, w), table_row(node, DOWN, expert(node, r, j)), a->width);
        float gate = dh * hidden[j];
        store_din(node, GATES, r * a->k + j, 1, &gate, w);
    }
    store_din(node, X, r * a->width, a->width, dx, w);
}

static void add_to(const wf_node *node, int i, int64_t e, float scale, const float *row, wf_worker *w) {
    const retrieve *a = node->attr;
    float beta, *grad = wf_grad_in(node, i, w, &beta);
    if (grad)
        w->k->axpy(grad + e * a->width, scale, row, a->width);
}

static void clear_tables(const wf_node *node, int64_t first, int64_t end, wf_worker *w) {
    const retrieve *a = node->attr;
    for (int i = DOWN; i <= UP; i++) {
        float beta, *grad = wf_grad_in(node, i, w, &beta);
        if (grad && beta == 0.0f)
            memset(grad + first * a->width, 0, (size_t)((end - first) * a->width) * sizeof *grad);
    }
}

static void backward_tables(const wf_node *node, int piece, wf_worker *w) {
    const retrieve *a = node->attr;
    int64_t first, end;
    float hidden, dh;
    wf_split_bounds(a->experts, wf_split_pieces(a->experts, 1), piece, &first, &end);
    clear_tables(node, first, end, w);
    for (int64_t r = 0; r < a->rows; r++)
        for (int64_t j = 0; j < a->k; j++) {
            int64_t e = expert(node, r, j), at = r * a->k + j;
            if (e < first || e >= end)
                continue;
            w->k->activate(a->kind, &hidden, (const float *)node->out[DOTS]->data + at, 1);
            add_to(node, UP, e, ((const float *)node->in[GATES]->data)[at] * hidden,
                   (const float *)node->out[Y]->grad + r * a->width, w);
            add_to(node, DOWN, e, hidden_grad(node, r, j, &dh, w), (const float *)node->in[X]->data + r * a->width, w);
        }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const retrieve *a = node->attr;
    int64_t first, end;
    if (phase == 1) {
        backward_tables(node, piece, w);
        return;
    }
    wf_split_bounds(a->rows, wf_split_pieces(a->rows, 4), piece, &first, &end);
    for (int64_t r = first; r < end; r++)
        if (pass == WF_FORWARD)
            forward_row(node, r, w);
        else
            backward_row(node, r, w);
}

static double flops(const wf_node *node, wf_pass pass) {
    const retrieve *a = node->attr;
    double one = 4.0 * (double)a->rows * (double)a->k * (double)a->width;
    return pass == WF_FORWARD ? one : 2.0 * one;
}

const wf_op wf_op_retrieve = {.name = "retrieve",
                              .pieces = pieces,
                              .run = run,
                              .flops = flops,
                              .saves_in = 1u << X | 1u << INDICES | 1u << GATES | 1u << DOWN | 1u << UP,
                              .saves_out = 1u << DOTS};

wf_tensor *wf_retrieve(wf_tape *t, wf_tensor *x, wf_tensor *indices, wf_tensor *gates, wf_tensor *const tables[2],
                       wf_activation kind) {
    wf_tensor *down = wf_cast(t, tables[0], WF_F32), *up = wf_cast(t, tables[1], WF_F32);
    x = wf_cast(t, x, WF_F32);
    if (!x || !indices || !gates || !down || !up)
        return NULL;
    int64_t width = wf_dim(x, -1), k = wf_dim(indices, -1);
    if (x->rank != 3 || down->rank != 2 || !wf_same_shape(down, up) || down->dims[1] != width || indices->type != WF_I64 ||
        wf_row_count(indices) != wf_row_count(x) || gates->count != indices->count || gates->type != WF_F32)
        return wf_tape_error(t, WEFT_USAGE, "retrieve: rows, choices and tables do not fit");
    retrieve *a = attr_copy(t, &(retrieve){wf_row_count(x), k, width, down->dims[0], kind}, sizeof(retrieve));
    wf_tensor *out[2] = {wf_out(t, WF_F32, 3, x->dims), wf_out(t, WF_F32, 2, (int64_t[]){wf_row_count(x), k})};
    wf_node *node = a && out[0] && out[1]
                        ? wf_record(t, &wf_op_retrieve, 5, (wf_tensor *[]){x, indices, gates, down, up}, 2, out, a)
                        : NULL;
    if (node)
        node->scratch = (size_t)(k + width) * sizeof(float);
    return node ? out[0] : NULL;
}
