/* relative.c - scores of queries or keys with vectors that stand for distances: y[b,h,i,j] = scale * x[b,i,h] . table[row(i -
 * j)] (Shaw et al. 2018, arXiv 1803.02155), or with x[b,j,h] (He et al. 2020, arXiv 2006.03654, position to content). */
#include "tensor/ops/elementwise.h"

enum { X, TABLE };
typedef struct relative {
    wf_relative_spec spec;
    int64_t b, n, h, k; /* batch, rows of x, heads, width */
    int64_t rows, table_heads;
} relative;

static int64_t start_of(const relative *a, int64_t b, const wf_worker *w) {
    return a->spec.behind + (a->spec.offset_from_start && w->rt->start ? w->rt->start[b] : 0);
}

static bool turns(const relative *a, int64_t b) { return a->spec.mirrored && b >= a->b / 2; }

/* The row of the table for a query and a key of sequence b; -1: none. */
static int64_t row_of(const relative *a, int64_t b, int64_t start, int64_t i, int64_t j) {
    int64_t distance = (start + i) * a->spec.step - j, at = (turns(a, b) ? -distance : distance) + a->spec.zero;
    if (i < a->spec.skip || j < a->spec.skip)
        return -1;
    at = at < 0 ? 0 : at >= a->spec.count ? a->spec.count - 1 : at;
    return a->spec.index[at];
}

static const float *entry(const wf_node *node, int64_t row, int64_t h) {
    const relative *a = node->attr;
    return (const float *)node->in[TABLE]->data + (row * a->table_heads + h % a->table_heads) * a->k;
}

static const float *x_row(const wf_node *node, int64_t b, int64_t i, int64_t h) {
    const relative *a = node->attr;
    return (const float *)node->in[X]->data + ((b * a->n + i) * a->h + h) * a->k;
}

static int64_t score_at(const relative *a, int64_t b, int64_t h, int64_t i, int64_t j) {
    return ((b * a->h + h) * a->spec.queries + i) * a->spec.keys + j;
}

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const relative *a = node->attr;
    if (phase == 0)
        return (int)(a->b * a->h);
    return phase == 1 && pass == WF_BACKWARD && node->grad_mode[TABLE] ? wf_split_pieces(a->rows, 1) : 0;
}

static void forward(const wf_node *node, int64_t b, int64_t h, wf_worker *w) {
    const relative *a = node->attr;
    int64_t start = start_of(a, b, w);
    for (int64_t i = 0; i < a->spec.queries; i++)
        for (int64_t j = 0; j < a->spec.keys; j++) {
            int64_t row = row_of(a, b, start, i, j);
            double dot = row < 0 ? 0.0 : w->k->dot(x_row(node, b, a->spec.of_keys ? j : i, h), entry(node, row, h), a->k);
            ((float *)node->out[0]->data)[score_at(a, b, h, i, j)] = (float)((double)a->spec.scale * dot);
        }
}

static void backward_x(const wf_node *node, int64_t b, int64_t h, wf_worker *w) {
    const relative *a = node->attr;
    const float *dy = node->out[0]->grad;
    float *sum = w->scratch;
    int64_t others = a->spec.of_keys ? a->spec.queries : a->spec.keys, start = start_of(a, b, w);
    for (int64_t r = 0; r < a->n; r++) {
        memset(sum, 0, (size_t)a->k * sizeof *sum);
        for (int64_t o = 0; o < others; o++) {
            int64_t i = a->spec.of_keys ? o : r, j = a->spec.of_keys ? r : o, row = row_of(a, b, start, i, j);
            if (row >= 0)
                w->k->axpy(sum, a->spec.scale * dy[score_at(a, b, h, i, j)], entry(node, row, h), a->k);
        }
        store_din(node, X, ((b * a->n + r) * a->h + h) * a->k, a->k, sum, w);
    }
}

/* What a row of the table gets from the keys of row i that have the entry `at` of the index: one key, or at the ends all that
 * are farther away. */
static void add_entry(const wf_node *node, int64_t at, int64_t b, int64_t h, int64_t i, float *sum, wf_worker *w) {
    const relative *a = node->attr;
    const float *dy = node->out[0]->grad;
    bool turned = turns(a, b), low = at == 0, high = at == a->spec.count - 1;
    int64_t distance = turned ? a->spec.zero - at : at - a->spec.zero, j = (start_of(a, b, w) + i) * a->spec.step - distance;
    int64_t first = (turned ? low : high) ? 0 : j, last = (turned ? high : low) ? a->spec.keys - 1 : j;
    first = first < a->spec.skip ? a->spec.skip : first;
    last = last < a->spec.keys ? last : a->spec.keys - 1;
    for (j = first; j <= last; j++)
        w->k->axpy(sum, a->spec.scale * dy[score_at(a, b, h, i, j)], x_row(node, b, a->spec.of_keys ? j : i, h), a->k);
}

/* What one row of the table gets from one head of one sequence. */
static void add_row(const wf_node *node, int64_t row, int64_t b, int64_t h, float *sum, wf_worker *w) {
    const relative *a = node->attr;
    for (int64_t at = 0; at < a->spec.count; at++)
        for (int64_t i = a->spec.skip; a->spec.index[at] == row && i < a->spec.queries; i++)
            add_entry(node, at, b, h, i, sum, w);
}

static void backward_table(const wf_node *node, int piece, wf_worker *w) {
    const relative *a = node->attr;
    int64_t first, end;
    float *sum = w->scratch;
    wf_split_bounds(a->rows, wf_split_pieces(a->rows, 1), piece, &first, &end);
    for (int64_t row = first; row < end; row++)
        for (int64_t th = 0; th < a->table_heads; th++) {
            memset(sum, 0, (size_t)a->k * sizeof *sum);
            for (int64_t b = 0; b < a->b; b++)
                for (int64_t h = th; h < a->h; h += a->table_heads)
                    add_row(node, row, b, h, sum, w);
            store_din(node, TABLE, (row * a->table_heads + th) * a->k, a->k, sum, w);
        }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const relative *a = node->attr;
    if (pass == WF_FORWARD)
        forward(node, piece / a->h, piece % a->h, w);
    else if (phase == 0 && node->grad_mode[X])
        backward_x(node, piece / a->h, piece % a->h, w);
    else if (phase == 1)
        backward_table(node, piece, w);
}

static double flops(const wf_node *node, wf_pass pass) {
    double one = 2.0 * (double)node->out[0]->count * (double)((const relative *)node->attr)->k;
    return pass == WF_FORWARD ? one : 2.0 * one;
}

const wf_op wf_op_relative = {.name = "relative",
                              .by_runtime = true,
                              .pieces = pieces,
                              .run = run,
                              .flops = flops,
                              .saves_in = 1u << X | 1u << TABLE,
                              .uneven = true};

wf_tensor *wf_relative(wf_tape *t, wf_tensor *x, wf_tensor *table, const wf_relative_spec *spec) {
    x = wf_cast(t, x, WF_F32);
    table = wf_cast(t, table, WF_F32);
    if (!x || !table)
        return NULL;
    bool per_head = table->rank == 3 && x->rank == 4 && table->dims[1] == x->dims[2], shared = table->rank == 2;
    if (x->rank != 4 || !(per_head || shared) || wf_dim(table, -1) != x->dims[3] ||
        x->dims[1] != (spec->of_keys ? spec->keys : spec->queries))
        return wf_tape_error(t, WEFT_USAGE, "relative: rows and table do not fit");
    relative *a = attr_copy(
        t, &(relative){*spec, x->dims[0], x->dims[1], x->dims[2], x->dims[3], table->dims[0], per_head ? x->dims[2] : 1},
        sizeof(relative));
    if (a && a->spec.step == 0)
        a->spec.step = 1;
    wf_tensor *y = wf_out(t, WF_F32, 4, (int64_t[]){x->dims[0], x->dims[2], spec->queries, spec->keys});
    wf_node *node = a && y ? wf_record(t, &wf_op_relative, 2, (wf_tensor *[]){x, table}, 1, &y, a) : NULL;
    if (node)
        node->scratch = (size_t)a->k * sizeof(float);
    return node ? y : NULL;
}
