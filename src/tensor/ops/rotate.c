/* rotate.c - rotary positions (Su et al. 2021, arXiv 2104.09864), partial, both pairings, with xPos (Sun et al. 2022). */
#include <math.h>
#include "tensor/ops/elementwise.h"
#include "tensor/tape.h"

enum { X, POSITIONS };

static int row_pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? wf_split_pieces(node->in[X]->dims[0] * node->in[X]->dims[1], 16) : 0;
}

static int64_t position_of(const wf_node *node, int64_t row, const wf_worker *w) {
    const wf_rotate_args *a = node->attr; /* the first member of the record */
    int64_t rows = node->in[X]->dims[1];
    if (node->in[POSITIONS])
        return a->shift + ((const int64_t *)node->in[POSITIONS]->data)[row];
    return a->shift + (w->rt->start && !a->from_zero ? w->rt->start[row / rows] : 0) + row % rows;
}

/* zeta_p^(sign*position/base), zeta_p = (2p + 0.4K)/(1.4K) */
static double xpos_factor(const wf_rotate_args *a, int64_t pair, int64_t width, int64_t position) {
    double zeta = (2.0 * (double)pair + 0.4 * (double)width) / (1.4 * (double)width);
    return pow(zeta, a->xpos_sign * (double)position / (double)a->xpos_base);
}

typedef struct rotate {
    wf_rotate_args args;
    const float *table; /* [T][cosines | sines] of positions shift.., or NULL */
} rotate;

static void angles(const wf_rotate_args *a, int64_t width, int64_t position, float *turns) {
    for (int64_t p = 0; p < a->pairs; p++) {
        double angle = (double)position * a->frequencies[p], m = (double)a->magnitude;
        if (a->xpos_base != 0.0f)
            m *= xpos_factor(a, p, width, position);
        turns[p] = (float)(m * cos(angle));
        turns[a->pairs + p] = (float)(m * sin(angle));
    }
}

/* cosines and sines of a row: from the table when it counts from 0, else computed into `own`. */
static const float *turns_of(const wf_node *node, int64_t row, float *own, const wf_worker *w) {
    const rotate *a = node->attr;
    int64_t rows = node->in[X]->dims[1];
    if (a->table && (a->args.from_zero || !w->rt->start || w->rt->start[row / rows] == 0))
        return a->table + (row % rows) * 2 * a->args.pairs;
    angles(&a->args, wf_dim(node->in[X], -1), position_of(node, row, w), own);
    return own;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const wf_rotate_args *a = &((const rotate *)node->attr)->args;
    const wf_tensor *x = node->in[X];
    int64_t rows = x->dims[0] * x->dims[1], heads = x->dims[2], n = x->dims[3], first, end;
    float *own = w->scratch, *tmp = own + 2 * a->pairs, *y = tmp + n;
    (void)phase;
    wf_split_bounds(rows, row_pieces(node, pass, 0), piece, &first, &end);
    for (int64_t r = first; r < end; r++) {
        const float *turns = turns_of(node, r, own, w);
        for (int64_t h = 0; h < heads; h++) {
            int64_t at = (r * heads + h) * n;
            const float *from = pass == WF_FORWARD ? load_in(node, X, at, n, tmp, w) : load_dout(node, at, n, tmp, w);
            memcpy(y, from, (size_t)a->first * sizeof *y);
            w->k->rotate(y + a->first, from + a->first, turns, turns + a->pairs, a->pairs, n - a->first, a->interleaved,
                         pass == WF_FORWARD ? 1.0f : -1.0f);
            if (pass == WF_FORWARD)
                store_out(node, at, n, y, w);
            else
                store_din(node, X, at, n, y, w);
        }
    }
}

const wf_op wf_op_rotate = {
    .name = "rotate", .by_runtime = true, .pieces = row_pieces, .run = run, .saves_in = 1u << POSITIONS};

static bool same_turns(const wf_rotate_args *a, const wf_rotate_args *b) {
    return a->pairs == b->pairs && a->magnitude == b->magnitude && a->shift == b->shift && a->xpos_base == b->xpos_base &&
           a->xpos_sign == b->xpos_sign &&
           memcmp(a->frequencies, b->frequencies, (size_t)a->pairs * sizeof *a->frequencies) == 0;
}

/* The table of this tape for these angles: an earlier node's, or a new one. NULL is fine (computed row by row). */
static const float *table_of(wf_tape *t, const wf_tensor *x, const rotate *a) {
    for (size_t i = t->nodes.count; i-- > 0;) {
        const wf_node *node = t->nodes.items[i];
        const rotate *other = node->op == &wf_op_rotate ? node->attr : NULL;
        if (other && other->table && node->in[X]->dims[1] == x->dims[1] && node->in[X]->dims[3] == x->dims[3] &&
            same_turns(&a->args, &other->args))
            return other->table;
    }
    float *table = wf_arena_alloc(&t->arena, (size_t)(x->dims[1] * 2 * a->args.pairs) * sizeof *table);
    for (int64_t r = 0; table && r < x->dims[1]; r++)
        angles(&a->args, x->dims[3], a->args.shift + r, table + r * 2 * a->args.pairs);
    return table;
}

wf_tensor *wf_rotate(wf_tape *t, wf_tensor *x, const wf_rotate_args *args) {
    if (!x)
        return NULL;
    if (x->rank != 4 || args->first < 0 || args->pairs < 0 || args->first + 2 * args->pairs > x->dims[3])
        return wf_tape_error(t, WEFT_USAGE, "rotate: %lld pairs do not fit heads of %lld channels", (long long)args->pairs,
                             (long long)wf_dim(x, -1));
    if (args->positions && args->positions->count != x->dims[0] * x->dims[1])
        return wf_tape_error(t, WEFT_USAGE, "rotate: the positions are not those of these rows");
    rotate *attr = attr_copy(t, &(rotate){.args = *args}, sizeof(rotate));
    if (attr && !args->positions && x->dims[1] > 1)
        attr->table = table_of(t, x, attr);
    wf_tensor *y = wf_out(t, x->type, x->rank, x->dims);
    wf_node *node = attr && y ? wf_record(t, &wf_op_rotate, 2, (wf_tensor *[]){x, args->positions}, 1, &y, attr) : NULL;
    if (!node)
        return NULL;
    node->scratch = (size_t)(2 * args->pairs + 2 * x->dims[3]) * sizeof(float);
    return y;
}
