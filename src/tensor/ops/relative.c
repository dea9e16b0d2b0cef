/* relative.c - scores of queries or keys with vectors that stand for distances: y[b,h,i,j] = scale * x[b,i,h] . table[row(i -
 * j)] (Shaw et al. 2018, arXiv 1803.02155), or with x[b,j,h] (He et al. 2020, arXiv 2006.03654, position to content).
 * A block of LINES rows of x and OTHERS rows of the other side has few distances, a run of the index: their rows of the table
 * lie side by side in scratch, one matrix product has all scores with them, and each pair takes its own. Backward the same: the
 * gradients of a block's pairs stand by distance, then come products with the rows of the table or of x. */
#include "tensor/ops/elementwise.h"

enum { X, TABLE };
enum { LINES = 48, OTHERS = 192, BAND = 64, R = WF_GEMM_ROWS, C = WF_GEMM_COLUMNS };
typedef struct relative {
    wf_relative_spec spec;
    int64_t b, n, h, k; /* batch, rows of x, heads, width */
    int64_t rows, table_heads;
} relative;

static int64_t start_of(const relative *a, int64_t b, const wf_worker *w) {
    return a->spec.behind + (a->spec.offset_from_start && w->rt->start ? w->rt->start[b] : 0);
}

static bool turns(const relative *a, int64_t b) { return a->spec.mirrored && b >= a->b / 2; }

/* The entry of the index for a query and a key. */
static int64_t entry_of(const relative *a, bool turned, int64_t start, int64_t i, int64_t j) {
    int64_t distance = (start + i) * a->spec.step - j, at = (turned ? -distance : distance) + a->spec.zero;
    return at < 0 ? 0 : at >= a->spec.count ? a->spec.count - 1 : at;
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

static int64_t least(int64_t p, int64_t q) { return p < q ? p : q; }
static int64_t most(int64_t p, int64_t q) { return p > q ? p : q; }
static int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

/* ---- blocks ---- */
typedef struct block { /* of one head of one sequence */
    int64_t b, h, start;
    bool turned;
    int64_t line, lines, other, others; /* lines are rows of x */
    int64_t first, count;               /* entries of the index that its pairs have */
} block;

typedef struct room {                           /* in scratch */
    int64_t entries, width;                     /* most entries of a block; k, rounded up to panels */
    float *rows, *panels, *scores, *sum, *band; /* [entries,k], [entries,width], [LINES,entries], [LINES,k], [BAND,k] */
} room;

/* Without places. */
static room sizes_of(const relative *a) {
    int64_t far = a->spec.of_keys ? OTHERS * a->spec.step + LINES : LINES * a->spec.step + OTHERS;
    return (room){.entries = round_up(most(far, LINES), C), .width = round_up(a->k, C)};
}

static room room_of(const relative *a, void *scratch) {
    room r = sizes_of(a);
    r.rows = scratch;
    r.panels = r.rows + r.entries * r.width;
    r.scores = r.panels + r.entries * r.width;
    r.sum = r.scores + LINES * most(r.entries, BAND);
    r.band = r.sum + most(LINES, BAND) * r.width;
    return r;
}

static size_t scratch_size(const relative *a) {
    room r = sizes_of(a);
    int64_t sums = most(LINES, BAND) + BAND;
    return (size_t)(2 * r.entries * r.width + LINES * most(r.entries, BAND) + sums * r.width) * sizeof(float);
}

static int64_t others_of(const relative *a) { return a->spec.of_keys ? a->spec.queries : a->spec.keys; }
static block block_of(const relative *a, int64_t b, int64_t h, const wf_worker *w) {
    return (block){.b = b, .h = h, .start = start_of(a, b, w), .turned = turns(a, b)};
}

static int64_t entry_at(const relative *a, const block *t, int64_t line, int64_t other) {
    return a->spec.of_keys ? entry_of(a, t->turned, t->start, other, line) : entry_of(a, t->turned, t->start, line, other);
}
static int64_t pair_at(const relative *a, const block *t, int64_t line, int64_t other) {
    return a->spec.of_keys ? score_at(a, t->b, t->h, other, line) : score_at(a, t->b, t->h, line, other);
}

/* The next block of the same lines; false behind the last. Distances are least and largest at two corners. */
static bool next_others(const relative *a, block *t) {
    t->other += t->others;
    t->others = least(others_of(a) - t->other, OTHERS);
    if (t->others <= 0)
        return false;
    int64_t one = entry_at(a, t, t->line, t->other + t->others - 1), two = entry_at(a, t, t->line + t->lines - 1, t->other);
    t->first = least(one, two);
    t->count = most(one, two) - t->first + 1;
    return true;
}

static bool next_lines(const relative *a, block *t) {
    t->line += t->lines;
    t->lines = least(a->n - t->line, LINES);
    t->other = t->others = 0;
    return t->lines > 0;
}

/* The block's rows of the table, side by side; zeros for no row. */
static void gather(const wf_node *node, const block *t, float *rows) {
    const relative *a = node->attr;
    for (int64_t e = 0; e < t->count; e++) {
        int64_t row = a->spec.index[t->first + e];
        if (row >= 0)
            memcpy(rows + e * a->k, entry(node, row, t->h), (size_t)a->k * sizeof *rows);
        else
            memset(rows + e * a->k, 0, (size_t)a->k * sizeof *rows);
    }
}

typedef struct extent { /* of a product */
    int64_t m, n, steps;
    int64_t apart_a, apart_out; /* floats from row to row */
} extent;

/* out [m,n] (+)= a [m,steps] times panels of n columns. */
static void multiply(const wf_worker *w, float *out, const float *a, const float *panels, extent e, bool add) {
    for (int64_t j = 0; j < e.n; j += C)
        for (int64_t i = 0; i < e.m; i += R)
            w->k->gemm_block(out + i * e.apart_out + j, e.apart_out, a + i * e.apart_a, e.apart_a, 1, panels + j * e.steps,
                             e.steps, least(e.m - i, R), least(e.n - j, C), add, NULL);
}

/* ---- forward ---- */
/* The pairs of a line with the block's others: pair n is at[0] + n*at[1] and has entry[0] + n*entry[1] of the index, cut. */
static void walk(const relative *a, const block *t, int64_t line, int64_t at[2], int64_t entry[2]) {
    int64_t distance =
        a->spec.of_keys ? (t->start + t->other) * a->spec.step - line : (t->start + line) * a->spec.step - t->other;
    at[0] = pair_at(a, t, line, t->other);
    at[1] = a->spec.of_keys ? a->spec.keys : 1;
    entry[0] = (t->turned ? -distance : distance) + a->spec.zero;
    entry[1] = t->turned != a->spec.of_keys ? 1 : -1;
}

static void spread_scores(const wf_node *node, const block *t, const room *r) {
    const relative *a = node->attr;
    float *y = node->out[0]->data, scale = a->spec.scale;
    int64_t at[2], e[2], most_entry = a->spec.count - 1;
    for (int64_t l = 0; l < t->lines; l++) {
        const float *scores = r->scores + l * r->entries;
        int64_t hidden = t->line + l < a->spec.skip ? t->others : least(most(a->spec.skip - t->other, 0), t->others);
        walk(a, t, t->line + l, at, e);
        for (int64_t n = 0; n < hidden; n++)
            y[at[0] + n * at[1]] = 0.0f;
        for (int64_t n = hidden; n < t->others; n++)
            y[at[0] + n * at[1]] = scale * scores[most(least(e[0] + n * e[1], most_entry), 0) - t->first];
    }
}

static void forward(const wf_node *node, int64_t b, int64_t h, wf_worker *w) {
    const relative *a = node->attr;
    room r = room_of(a, w->scratch);
    block t = block_of(a, b, h, w);
    while (next_lines(a, &t))
        while (next_others(a, &t)) {
            gather(node, &t, r.rows);
            w->k->gemm_pack_columns(r.panels, r.rows, false, a->k, t.count, a->k, C);
            multiply(w, r.scores, x_row(node, b, t.line, h), r.panels, (extent){t.lines, t.count, a->k, a->h * a->k, r.entries},
                     false);
            spread_scores(node, &t, &r);
        }
}

/* ---- gradient of x ---- */
/* Gradients of a block's pairs by line and entry. */
static void gather_scores(const wf_node *node, const block *t, const room *r) {
    const relative *a = node->attr;
    const float *dy = node->out[0]->grad;
    int64_t at[2], e[2], most_entry = a->spec.count - 1;
    for (int64_t l = 0; l < t->lines; l++) {
        float *out = r->scores + l * r->entries;
        memset(out, 0, (size_t)t->count * sizeof *out);
        walk(a, t, t->line + l, at, e);
        for (int64_t n = most(a->spec.skip - t->other, 0); n < t->others && t->line + l >= a->spec.skip; n++)
            out[most(least(e[0] + n * e[1], most_entry), 0) - t->first] += a->spec.scale * dy[at[0] + n * at[1]];
    }
}

static void backward_x(const wf_node *node, int64_t b, int64_t h, wf_worker *w) {
    const relative *a = node->attr;
    room r = room_of(a, w->scratch);
    block t = block_of(a, b, h, w);
    while (next_lines(a, &t)) {
        memset(r.sum, 0, (size_t)(t.lines * a->k) * sizeof *r.sum);
        while (next_others(a, &t)) {
            gather(node, &t, r.rows);
            w->k->gemm_pack_rows(r.panels, r.rows, false, a->k, a->k, t.count, C);
            gather_scores(node, &t, &r);
            multiply(w, r.sum, r.scores, r.panels, (extent){t.lines, a->k, t.count, r.entries, a->k}, true);
        }
        for (int64_t l = 0; l < t.lines; l++)
            store_din(node, X, ((b * a->n + t.line + l) * a->h + h) * a->k, a->k, r.sum + l * a->k, w);
    }
}

/* ---- gradient of the table ---- */
/* The others that have an entry with a line: one, or at the ends of the index all that are farther away too. */
static void others_with(const relative *a, const block *t, int64_t line, int64_t at, int64_t *first, int64_t *last) {
    int64_t distance = t->turned ? a->spec.zero - at : at - a->spec.zero,
            o = a->spec.of_keys ? distance + line - t->start : (t->start + line) * a->spec.step - distance;
    bool swapped = t->turned != a->spec.of_keys, least_one = at == 0, largest = at == a->spec.count - 1;
    *first = most((swapped ? least_one : largest) ? 0 : o, a->spec.skip);
    *last = least((swapped ? largest : least_one) ? INT64_MAX : o, others_of(a) - 1);
}

/* An end of the index: of each line all pairs that are farther away too. */
static void gather_end(const wf_node *node, const block *t, int64_t at, float *out) {
    const relative *a = node->attr;
    const float *dy = node->out[0]->grad;
    for (int64_t l = 0; l < t->lines; l++) {
        int64_t first, last, line = t->line + l;
        float sum = 0.0f;
        others_with(a, t, line, at, &first, &last);
        for (int64_t o = first; o <= last && line >= a->spec.skip; o++)
            sum += a->spec.scale * dy[pair_at(a, t, line, o)];
        out[l] = sum;
    }
}

/* The others of one distance move on from line to line: a diagonal of the pairs, as far as there are some. */
static void gather_diagonal(const wf_node *node, const block *t, int64_t at, float *out) {
    const relative *a = node->attr;
    const float *dy = node->out[0]->grad;
    int64_t distance = t->turned ? a->spec.zero - at : at - a->spec.zero, step = a->spec.of_keys ? 1 : a->spec.step,
            other = a->spec.of_keys ? distance + t->line - t->start : (t->start + t->line) * step - distance;
    int64_t first = most(most(a->spec.skip - other + step - 1, 0) / step, a->spec.skip - t->line),
            end = least(most(others_of(a) - other + step - 1, 0) / step, t->lines), pair = pair_at(a, t, t->line, other),
            next = a->spec.of_keys ? a->spec.keys + 1 : a->spec.keys + step;
    memset(out, 0, (size_t)t->lines * sizeof *out);
    for (int64_t l = first; l < end; l++)
        out[l] = a->spec.scale * dy[pair + l * next];
}

/* Gradients of the pairs of the block's lines by entry first..first+count-1 and line. */
static void gather_band(const wf_node *node, const block *t, const room *r) {
    const relative *a = node->attr;
    for (int64_t e = t->first; e < t->first + t->count; e++)
        (e == 0 || e == a->spec.count - 1 ? gather_end : gather_diagonal)(node, t, e, r->scores + (e - t->first) * LINES);
}

/* Does a pair of the block's lines have one of its entries? The others with an entry move one way from line to line. */
static bool touches(const relative *a, const block *t) {
    int64_t from = INT64_MAX, to = -1;
    for (int corner = 0; corner < 4; corner++) {
        int64_t first, last;
        others_with(a, t, corner & 1 ? t->line + t->lines - 1 : t->line, corner & 2 ? t->first + t->count - 1 : t->first,
                    &first, &last);
        from = least(from, first);
        to = most(to, last);
    }
    return from <= to;
}

/* What entries first..first+count-1 get: r->band [count,k]. */
static void add_band(const wf_node *node, int64_t head, int64_t first, int64_t count, const room *r, wf_worker *w) {
    const relative *a = node->attr;
    memset(r->band, 0, (size_t)(count * a->k) * sizeof *r->band);
    for (int64_t b = 0; b < a->b; b++)
        for (int64_t h = head; h < a->h; h += a->table_heads) {
            block t = block_of(a, b, h, w);
            t.first = first;
            t.count = count;
            while (next_lines(a, &t)) {
                if (!touches(a, &t))
                    continue;
                gather_band(node, &t, r);
                w->k->gemm_pack_rows(r->panels, x_row(node, b, t.line, h), false, a->h * a->k, a->k, t.lines, C);
                multiply(w, r->band, r->scores, r->panels, (extent){count, a->k, t.lines, LINES, a->k}, true);
            }
        }
}

static bool is_between(const relative *a, int64_t at, int64_t first, int64_t end) {
    return at < a->spec.count && a->spec.index[at] >= first && a->spec.index[at] < end;
}

/* A piece has some rows of the table for one of its heads: the runs of the index with them. */
static void backward_table(const wf_node *node, int piece, wf_worker *w) {
    const relative *a = node->attr;
    room r = room_of(a, w->scratch);
    int64_t head = piece % a->table_heads, first = piece / a->table_heads * BAND, end = least(first + BAND, a->rows), n;
    memset(r.sum, 0, (size_t)((end - first) * a->k) * sizeof *r.sum);
    for (int64_t at = 0; at < a->spec.count; at += n) {
        for (n = 0; n < BAND && is_between(a, at + n, first, end);)
            n++;
        if (n > 0)
            add_band(node, head, at, n, &r, w);
        for (int64_t e = 0; e < n; e++) {
            float *row = r.sum + (a->spec.index[at + e] - first) * a->k;
            w->k->add(row, row, r.band + e * a->k, a->k);
        }
        n += n == 0;
    }
    for (int64_t row = first; row < end; row++)
        store_din(node, TABLE, (row * a->table_heads + head) * a->k, a->k, r.sum + (row - first) * a->k, w);
}

/* ---- the op ---- */
static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const relative *a = node->attr;
    if (phase == 0)
        return (int)(a->b * a->h);
    return phase == 1 && pass == WF_BACKWARD && node->grad_mode[TABLE] ? (int)((a->rows + BAND - 1) / BAND * a->table_heads)
                                                                       : 0;
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
    if (spec->of_keys && spec->step > 1)
        return wf_tape_error(t, WEFT_USAGE, "relative: only of queries further apart than keys");
    relative *a = attr_copy(
        t, &(relative){*spec, x->dims[0], x->dims[1], x->dims[2], x->dims[3], table->dims[0], per_head ? x->dims[2] : 1},
        sizeof(relative));
    if (a && a->spec.step == 0)
        a->spec.step = 1;
    wf_tensor *y = wf_out(t, WF_F32, 4, (int64_t[]){x->dims[0], x->dims[2], spec->queries, spec->keys});
    wf_node *node = a && y ? wf_record(t, &wf_op_relative, 2, (wf_tensor *[]){x, table}, 1, &y, a) : NULL;
    if (node)
        node->scratch = scratch_size(a);
    return node ? y : NULL;
}
