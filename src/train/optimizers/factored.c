/* factored.c - see factored.h. Sums are fp64; the factors are kept in fp32. */
#include "train/optimizers/factored.h"
#include <string.h>
#include "kernels/kernels.h"

enum { ROW_BLOCKS = 32, COLUMN_BLOCK = 1024, CHUNK = 256 };

typedef struct shape { /* a tensor as `batch` matrices; each is cut into `blocks` of `block_rows` rows */
    int64_t batch, rows, columns, block_rows, blocks, column_blocks;
} shape;

typedef struct scratch {       /* of one tensor */
    double *param, *direction; /* sums of squares per piece */
    double *row_mean;          /* per matrix */
    double *column; /* [batch, blocks, columns] sums of squares; from phase 1 on the first block holds 1/sqrt(factor) */
} scratch;

static shape shape_of(const wf_opt_tensor *t) {
    shape s = {.batch = 1, .rows = t->dims[t->rank - 2], .columns = t->dims[t->rank - 1]};
    for (int i = 0; i < t->rank - 2; i++)
        s.batch *= t->dims[i];
    int64_t large = s.columns ? (WF_OPT_PIECE + s.columns - 1) / s.columns : 1, few = (s.rows + ROW_BLOCKS - 1) / ROW_BLOCKS;
    s.block_rows = large > few ? large : few;
    s.blocks = s.block_rows ? (s.rows + s.block_rows - 1) / s.block_rows : 0;
    s.column_blocks = (s.columns + COLUMN_BLOCK - 1) / COLUMN_BLOCK;
    return s;
}

static bool is_matrix(const wf_opt_tensor *t) { return t->rank >= 2; }

static int64_t main_pieces(const wf_opt_tensor *t) {
    if (!is_matrix(t))
        return wf_opt_pieces(t->count);
    shape s = shape_of(t);
    return t->count ? s.batch * s.blocks : 0;
}

static scratch scratch_of(const wf_opt_tensor *t) {
    int64_t pieces = main_pieces(t);
    scratch x = {.param = t->scratch};
    x.direction = x.param + pieces;
    x.row_mean = x.direction + pieces;
    x.column = x.row_mean + (is_matrix(t) ? shape_of(t).batch : 0);
    return x;
}

int wf_factored_slots(bool momentum, int rank, const int64_t *dims, int64_t count, wf_opt_slot out[WF_OPT_SLOTS]) {
    bool matrix = rank >= 2;
    out[WF_FACTORED_ROW] = (wf_opt_slot){"row", matrix && dims[rank - 1] ? count / dims[rank - 1] : 0, 0};
    out[WF_FACTORED_COLUMN] = (wf_opt_slot){"column", matrix && dims[rank - 2] ? count / dims[rank - 2] : 0, 0};
    out[WF_FACTORED_PLAIN] = (wf_opt_slot){"v", matrix ? 0 : count, 0};
    out[WF_FACTORED_MOMENTUM] = (wf_opt_slot){"m", momentum ? count : 0, 0};
    return 4;
}

int wf_factored_phase_count(const wf_optimizer *o) { return 4; }

int64_t wf_factored_pieces(const wf_optimizer *o, const wf_opt_tensor *t, int phase) {
    if (phase == 0 || phase == 3)
        return main_pieces(t);
    if (!is_matrix(t) || t->count == 0)
        return 0;
    shape s = shape_of(t);
    return phase == 1 ? s.batch * (s.column_blocks + 1) : s.batch * s.blocks;
}

size_t wf_factored_scratch(const wf_optimizer *o, const wf_opt_tensor *t) {
    size_t doubles = 2 * (size_t)main_pieces(t);
    if (is_matrix(t)) {
        shape s = shape_of(t);
        doubles += (size_t)s.batch + (size_t)(s.batch * s.blocks * s.columns);
    }
    return doubles * sizeof(double);
}

/* ---- phase 0 ---- */
static void add_squares(const wf_factored *f, const float *restrict g, float scale, int64_t n, double *restrict column) {
    for (int64_t i = 0; i < n; i++) {
        double x = (double)g[i] * (double)scale;
        column[i] += x * x + f->add;
    }
}

static void gather_matrix(const wf_factored *f, const wf_optimizer *o, const wf_opt_tensor *t, int64_t piece) {
    shape s = shape_of(t);
    scratch x = scratch_of(t);
    int64_t matrix = piece / s.blocks, from = (piece % s.blocks) * s.block_rows,
            to = from + s.block_rows < s.rows ? from + s.block_rows : s.rows;
    double *column = x.column + piece * s.columns, scale = (double)o->grad_scale;
    memset(column, 0, (size_t)s.columns * sizeof *column);
    float *row = t->state[WF_FACTORED_ROW] + matrix * s.rows;
    for (int64_t r = from; r < to; r++) {
        const float *g = t->grad + (matrix * s.rows + r) * s.columns;
        add_squares(f, g, o->grad_scale, s.columns, column);
        double mean = o->env->kernels->sum_squares(g, s.columns) * scale * scale / (double)s.columns + f->add;
        row[r] = (float)((1 - f->take) * row[r] + f->take * mean);
    }
    int64_t first = (matrix * s.rows + from) * s.columns;
    x.param[piece] = o->env->kernels->sum_squares(t->param + first, (to - from) * s.columns);
}

/* u = g/sqrt(v), v not below the floor */
static double plain_direction(const wf_factored *f, double g, double v) {
    return g / sqrt(v > f->square_floor ? v : f->square_floor);
}

static void gather_plain(const wf_factored *f, const wf_optimizer *o, const wf_opt_tensor *t, int64_t piece) {
    int64_t first = piece * WF_OPT_PIECE, end = first + WF_OPT_PIECE < t->count ? first + WF_OPT_PIECE : t->count;
    float *v = t->state[WF_FACTORED_PLAIN];
    double param = 0, direction = 0;
    for (int64_t i = first; i < end; i++) {
        double g = (double)(t->grad[i] * o->grad_scale);
        v[i] = (float)((1 - f->take) * v[i] + f->take * (g * g + f->add));
        double u = plain_direction(f, g, v[i]);
        param += (double)t->param[i] * t->param[i];
        direction += u * u;
    }
    scratch_of(t).param[piece] = param;
    scratch_of(t).direction[piece] = direction;
}

/* ---- phase 1 ---- */
static void row_mean(const wf_factored *f, const wf_opt_tensor *t, const shape *s, int64_t matrix) {
    const float *row = t->state[WF_FACTORED_ROW] + matrix * s->rows;
    double sum = 0;
    for (int64_t r = 0; r < s->rows; r++)
        sum += row[r];
    double mean = sum / (double)s->rows;
    scratch_of(t).row_mean[matrix] = mean > f->row_floor ? mean : f->row_floor;
}

static void factors(const wf_factored *f, const wf_opt_tensor *t, int64_t piece) {
    shape s = shape_of(t);
    int64_t matrix = piece / (s.column_blocks + 1), block = piece % (s.column_blocks + 1);
    if (block == s.column_blocks) {
        row_mean(f, t, &s, matrix);
        return;
    }
    double *partial = scratch_of(t).column + matrix * s.blocks * s.columns;
    float *column = t->state[WF_FACTORED_COLUMN] + matrix * s.columns;
    int64_t end = (block + 1) * COLUMN_BLOCK < s.columns ? (block + 1) * COLUMN_BLOCK : s.columns;
    for (int64_t c = block * COLUMN_BLOCK; c < end; c++) {
        double sum = 0;
        for (int64_t b = 0; b < s.blocks; b++)
            sum += partial[b * s.columns + c];
        column[c] = (float)((1 - f->take) * column[c] + f->take * sum / (double)s.rows);
        partial[c] = 1 / sqrt((double)column[c]);
    }
}

/* ---- phases 2 and 3 ---- */
/* Directions of elements c..c+n-1 of one row: g/sqrt(row/mean * column), `column` being 1/sqrt(column) here. The two roots are
 * taken apart, because their product may be far below the least float where a gradient is zero. */
static void directions(const wf_factored *f, const float *g, float scale, double row, const double *restrict column, int64_t n,
                       float *restrict u) {
    double by_row = 1 / sqrt(row), limit = f->square_floor > 0 ? 1 / sqrt(f->square_floor) : INFINITY;
    for (int64_t i = 0; i < n; i++) {
        double factor = by_row * column[i];
        u[i] = (float)((double)(g[i] * scale) * (factor < limit ? factor : limit));
    }
}

static double sum_in_order(const double *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

typedef struct step { /* p = p*keep - (u*rate, averaged) */
    double rate, keep;
    float beta1, rest;
    bool momentum;
} step;

static step step_of(const wf_factored *f, const wf_opt_tensor *t) {
    scratch x = scratch_of(t);
    int64_t pieces = main_pieces(t);
    double n = (double)t->count, rms = sqrt(sum_in_order(x.param, pieces) / n);
    double size = f->rate * (f->scaled ? (rms > f->scale_floor ? rms : f->scale_floor) : 1);
    double excess = sqrt(sum_in_order(x.direction, pieces) / n) / f->clip;
    step s = {.rate = size / (excess > 1 ? excess : 1), .keep = f->keep - f->decay * size, .momentum = !isnan(f->beta1)};
    if (s.momentum) {
        s.beta1 = (float)f->beta1;
        s.rest = (float)(1 - f->beta1);
    }
    return s;
}

static void apply(const step *s, const wf_opt_tensor *t, int64_t first, int64_t n, const float *u) {
    float *p = t->param + first, *m = t->state[WF_FACTORED_MOMENTUM] ? t->state[WF_FACTORED_MOMENTUM] + first : NULL;
    for (int64_t i = 0; i < n; i++) {
        double move = u[i] * s->rate;
        if (s->momentum)
            move = m[i] = (float)(s->beta1 * m[i] + s->rest * move);
        p[i] = (float)(p[i] * s->keep - move);
    }
}

/* Goes over the rows of a piece in chunks: sums u^2 (last == NULL) or takes the step. */
static void sweep_matrix(const wf_factored *f, const wf_optimizer *o, const wf_opt_tensor *t, int64_t piece, const step *last) {
    shape s = shape_of(t);
    scratch x = scratch_of(t);
    int64_t matrix = piece / s.blocks, from = (piece % s.blocks) * s.block_rows,
            to = from + s.block_rows < s.rows ? from + s.block_rows : s.rows;
    const float *row = t->state[WF_FACTORED_ROW] + matrix * s.rows;
    const double *column = x.column + matrix * s.blocks * s.columns;
    double sum = 0;
    float u[CHUNK];
    for (int64_t r = from; r < to; r++)
        for (int64_t c = 0; c < s.columns; c += CHUNK) {
            int64_t n = s.columns - c < CHUNK ? s.columns - c : CHUNK, at = (matrix * s.rows + r) * s.columns + c;
            directions(f, t->grad + at, o->grad_scale, row[r] / x.row_mean[matrix], column + c, n, u);
            if (last)
                apply(last, t, at, n, u);
            else
                sum += o->env->kernels->sum_squares(u, n);
        }
    if (!last)
        x.direction[piece] = sum;
    else
        wf_opt_round(o, t, (matrix * s.rows + from) * s.columns, (to - from) * s.columns);
}

static void apply_plain(const wf_factored *f, const wf_optimizer *o, const wf_opt_tensor *t, int64_t piece, const step *last) {
    int64_t first = piece * WF_OPT_PIECE, end = first + WF_OPT_PIECE < t->count ? first + WF_OPT_PIECE : t->count;
    const float *v = t->state[WF_FACTORED_PLAIN];
    float u[CHUNK];
    for (int64_t at = first; at < end; at += CHUNK) {
        int64_t n = end - at < CHUNK ? end - at : CHUNK;
        for (int64_t i = 0; i < n; i++)
            u[i] = (float)plain_direction(f, (double)(t->grad[at + i] * o->grad_scale), v[at + i]);
        apply(last, t, at, n, u);
    }
    wf_opt_round(o, t, first, end - first);
}

void wf_factored_run(const wf_factored *f, const wf_optimizer *o, const wf_opt_tensor *t, const wf_opt_work *w) {
    bool matrix = is_matrix(t);
    if (w->phase == 0) {
        matrix ? gather_matrix(f, o, t, w->piece) : gather_plain(f, o, t, w->piece);
    } else if (w->phase == 1) {
        factors(f, t, w->piece);
    } else if (w->phase == 2) {
        sweep_matrix(f, o, t, w->piece, NULL);
    } else {
        step s = step_of(f, t);
        matrix ? sweep_matrix(f, o, t, w->piece, &s) : apply_plain(f, o, t, w->piece, &s);
    }
}
