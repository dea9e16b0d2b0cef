/* poles.c - diagonal state spaces (Gu et al. 2022, arXiv 2206.11893): the discretisation of their poles, and the scan with
 * them. */
#include <math.h>
#include "tensor/ops/complex.h"
#include "tensor/ops/parts.h"

/* ---- discretisation: (log_dt [D], a_log [D,M], a_imag [D,M]) -> a, b ---- */
enum { LOG_DT, A_LOG, A_IMAG };

typedef struct discretise {
    bool bilinear;
} discretise;

typedef struct pole {
    double complex A, a, b;
    double dt;
} pole;

/* e^z - 1 with all its digits near 0. */
static double complex expm1_of(double complex z) {
    double grown = expm1(creal(z)), s = sin(0.5 * cimag(z)), c = cos(0.5 * cimag(z)), fall = 2.0 * s * s;
    return complex_of(grown * (1.0 - fall) - fall, (grown + 1.0) * 2.0 * s * c);
}

static double step_of(const wf_node *node, int64_t d) { return exp((double)data_of(node->in[LOG_DT])[d]); }

static pole pole_at(const wf_node *node, int64_t i, double dt) {
    const float *imag = data_of(node->in[A_IMAG]);
    pole p = {.A = complex_of(-exp((double)data_of(node->in[A_LOG])[i]), imag ? (double)imag[i] : 0.0), .dt = dt};
    double complex z = p.dt * p.A;
    if (((const discretise *)node->attr)->bilinear) {
        p.a = (1.0 + 0.5 * z) / (1.0 - 0.5 * z);
        p.b = p.dt / (1.0 - 0.5 * z);
    } else {
        p.a = expm1_of(z);
        p.b = p.a / p.A;
        p.a += 1.0;
    }
    return p;
}

static double complex number_at(const float *x, int64_t i, bool real) {
    return !x ? 0.0 : real ? complex_of((double)x[i], 0.0) : complex_of((double)x[2 * i], (double)x[2 * i + 1]);
}

static void store_number(float *x, int64_t i, double complex v, bool real) {
    x[real ? i : 2 * i] = (float)creal(v);
    if (!real)
        x[2 * i + 1] = (float)cimag(v);
}

/* Gradients of A (re and im of its complex number) and of dt by those of a and b: dL/dA = conj(da/dA) dL/da + conj(db/dA)
 * dL/db. */
static double complex back_pole(const wf_node *node, const pole *p, double complex da, double complex db, double *ddt) {
    if (((const discretise *)node->attr)->bilinear) {
        double complex n = 1.0 / (1.0 - 0.5 * p->dt * p->A), square = conj(n * n);
        *ddt += creal(da * conj(p->A) * square + db * square);
        return (da * p->dt + db * 0.5 * p->dt * p->dt) * square;
    }
    *ddt += creal(da * conj(p->A * p->a) + db * conj(p->a));
    return da * p->dt * conj(p->a) + db * conj((p->dt * p->a - p->b) / p->A);
}

static int pole_pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? wf_split_pieces(node->in[LOG_DT]->count, 16) : 0;
}

static void back_channel(const wf_node *node, int64_t d, const wf_worker *w) {
    int64_t modes = wf_dim(node->in[A_LOG], -1);
    bool real = !node->in[A_IMAG];
    double ddt = 0.0, dt = step_of(node, d);
    for (int64_t i = d * modes; i < (d + 1) * modes; i++) {
        pole p = pole_at(node, i, dt);
        double complex dA =
            back_pole(node, &p, number_at(node->out[0]->grad, i, real), number_at(node->out[1]->grad, i, real), &ddt);
        float log_part = (float)(creal(dA) * creal(p.A)), imag_part = (float)cimag(dA);
        store_din(node, A_LOG, i, 1, &log_part, w);
        if (!real)
            store_din(node, A_IMAG, i, 1, &imag_part, w);
    }
    store_din(node, LOG_DT, d, 1, &(float){(float)(ddt * dt)}, w);
}

static void discretise_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t channels = node->in[LOG_DT]->count, modes = wf_dim(node->in[A_LOG], -1), first, end;
    bool real = !node->in[A_IMAG];
    wf_split_bounds(channels, pole_pieces(node, pass, phase), piece, &first, &end);
    for (int64_t d = first; d < end; d++) {
        if (pass == WF_BACKWARD)
            back_channel(node, d, w);
        double dt = step_of(node, d);
        for (int64_t i = d * modes; pass == WF_FORWARD && i < (d + 1) * modes; i++) {
            pole p = pole_at(node, i, dt);
            store_number(node->out[0]->data, i, p.a, real);
            store_number(node->out[1]->data, i, p.b, real);
        }
    }
}

const wf_op wf_op_discretise = {.name = "discretise", .pieces = pole_pieces, .run = discretise_run, .saves_in = 7};

wf_tensor *wf_discretise(wf_tape *t, wf_tensor *log_dt, wf_tensor *a_log, wf_tensor *a_imag, bool bilinear, wf_tensor **b) {
    wf_no_output(b);
    if (!log_dt || !a_log)
        return NULL;
    if (a_log->rank != 2 || log_dt->count != a_log->dims[0] || (a_imag && a_imag->count != a_log->count))
        return wf_tape_error(t, WEFT_USAGE, "discretise: a step per channel and poles [D,M] are needed");
    int64_t dims[] = {a_log->dims[0], a_log->dims[1], 2};
    wf_tensor *out[2] = {wf_out(t, WF_F32, a_imag ? 3 : 2, dims), wf_out(t, WF_F32, a_imag ? 3 : 2, dims)};
    discretise *attr = attr_copy(t, &(discretise){bilinear}, sizeof(discretise));
    if (!attr || !wf_record(t, &wf_op_discretise, 3, (wf_tensor *[]){log_dt, a_log, a_imag}, 2, out, attr))
        return NULL;
    *b = out[1];
    return out[0];
}

/* ---- the scan; a piece is one block of channels of one sequence ---- */
enum { X, A, B, C, E, READ, SKIP, H_IN, INPUTS };
enum { Y };

typedef struct scan {
    int64_t batch, t, channels, modes, numbers, blocks; /* numbers: floats of the modes of all channels */
    bool real, reverse, ranked;
    int h_out, checkpoints; /* index among the outputs, -1: not there */
} scan;

typedef struct parts {
    float *dx, *da, *db, *dc, *de, *dv, *dskip, *dh;
    size_t count;
} parts;
static parts map_parts(const scan *a, float *base) {
    parts p = {0};
    p.dx = carve(base, &p.count, a->batch * a->t * a->channels);
    p.da = carve(base, &p.count, a->batch * a->numbers);
    p.db = carve(base, &p.count, a->batch * a->numbers);
    p.dc = carve(base, &p.count, a->batch * a->numbers);
    p.de = carve(base, &p.count, a->ranked ? a->batch * a->numbers : 0);
    p.dv = carve(base, &p.count, a->ranked ? a->batch * a->numbers : 0);
    p.dh = carve(base, &p.count, a->batch * a->numbers);
    p.dskip = carve(base, &p.count, a->batch * a->channels);
    return p;
}

static float *output(const wf_node *node, int i) { return i < 0 ? NULL : node->out[i]->data; }

static wf_pole_args scan_args(const wf_node *node) {
    const scan *a = node->attr;
    return (wf_pole_args){.batch = a->batch,
                          .t = a->t,
                          .channels = a->channels,
                          .modes = a->modes,
                          .real = a->real,
                          .reverse = a->reverse,
                          .x = data_of(node->in[X]),
                          .a = data_of(node->in[A]),
                          .b = data_of(node->in[B]),
                          .c = data_of(node->in[C]),
                          .e = data_of(node->in[E]),
                          .v = data_of(node->in[READ]),
                          .skip = data_of(node->in[SKIP]),
                          .h_in = data_of(node->in[H_IN]),
                          .h_out = output(node, a->h_out),
                          .y = node->out[Y]->data,
                          .checkpoints = output(node, a->checkpoints)};
}

static wf_pole_args back_args(const wf_node *node, const wf_worker *w) {
    const scan *a = node->attr;
    wf_pole_args args = scan_args(node);
    parts p = map_parts(a, node->work_data[WF_BACKWARD]);
    args.h_out = args.y = NULL;
    args.dy = node->out[Y]->grad;
    args.dh_out = a->h_out < 0 ? NULL : node->out[a->h_out]->grad;
    args.dx = direct_or(node, X, true, p.dx, w);
    args.da_part = p.da;
    args.db_part = p.db;
    args.dc_part = p.dc;
    args.de_part = a->ranked ? p.de : NULL;
    args.dv_part = a->ranked ? p.dv : NULL;
    args.dskip_part = node->in[SKIP] ? p.dskip : NULL;
    args.dh_in = node->in[H_IN] ? direct_or(node, H_IN, true, p.dh, w) : NULL;
    return args;
}

static int token_pieces(const scan *a) { return wf_split_pieces(a->batch * a->t, 64); }

static int scan_pieces(const wf_node *node, wf_pass pass, int phase) {
    const scan *a = node->attr;
    if (phase == 0)
        return (int)(a->batch * a->blocks);
    return pass == WF_BACKWARD && phase == 1 ? token_pieces(a) + 1 : 0;
}

static void sum_parts(const wf_node *node, const wf_pole_args *args, int piece, const wf_worker *w) {
    const scan *a = node->attr;
    int64_t first, end;
    if (piece < token_pieces(a)) {
        wf_split_bounds(a->batch * a->t, token_pieces(a), piece, &first, &end);
        add_parts(node, X, first * a->channels, end * a->channels, (sum_of){args->dx, 1, 0}, w);
        return;
    }
    add_parts(node, A, 0, a->numbers, (sum_of){args->da_part, a->batch, a->numbers}, w);
    add_parts(node, B, 0, a->numbers, (sum_of){args->db_part, a->batch, a->numbers}, w);
    add_parts(node, C, 0, a->numbers, (sum_of){args->dc_part, a->batch, a->numbers}, w);
    add_parts(node, E, 0, a->numbers, (sum_of){args->de_part, a->batch, a->numbers}, w);
    add_parts(node, READ, 0, a->numbers, (sum_of){args->dv_part, a->batch, a->numbers}, w);
    add_parts(node, SKIP, 0, a->channels, (sum_of){args->dskip_part, a->batch, a->channels}, w);
    add_parts(node, H_IN, 0, a->batch * a->numbers, (sum_of){args->dh_in, 1, 0}, w);
}

static void scan_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const scan *a = node->attr;
    wf_pole_args args = pass == WF_FORWARD ? scan_args(node) : back_args(node, w);
    if (pass == WF_FORWARD)
        w->k->pole_scan(&args, piece / a->blocks, piece % a->blocks, w->scratch);
    else if (phase == 0)
        w->k->pole_scan_back(&args, piece / a->blocks, piece % a->blocks, w->scratch);
    else
        sum_parts(node, &args, piece, w);
}

/* Per channel, mode and token: a complex product, an update and the real part of a read; the backward repeats them and does
 * twice as much. */
static double flops(const wf_node *node, wf_pass pass) {
    const scan *a = node->attr;
    double one = (a->ranked ? 24.0 : 16.0) * (double)(a->batch * a->t) * (double)a->channels * (double)a->modes;
    return pass == WF_FORWARD ? one : 3 * one;
}

const wf_op wf_op_pole_scan = {.name = "pole_scan",
                               .pieces = scan_pieces,
                               .run = scan_run,
                               .flops = flops,
                               .in_place = 1u << 1,
                               .saves_in = (1u << INPUTS) - 1,
                               .saves_out = 1u << 1 | 1u << 2};

static wf_node *record_scan(wf_tape *t, wf_tensor *const *in, scan *a, bool want_state) {
    int64_t stretches = (a->t + WF_SCAN_CHECKPOINT - 1) / WF_SCAN_CHECKPOINT;
    wf_tensor *out[3] = {wf_out(t, WF_F32, 3, in[X]->dims)};
    int n = 1;
    a->h_out = a->checkpoints = -1;
    if (want_state)
        out[a->h_out = n++] = wf_out(t, WF_F32, a->real ? 3 : 4, (int64_t[]){a->batch, a->channels, a->modes, 2});
    if (wf_tape_grad(t))
        out[a->checkpoints = n++] = wf_out(t, WF_F32, 3, (int64_t[]){a->batch, stretches, a->numbers});
    scan *attr = attr_copy(t, a, sizeof *a);
    wf_node *node = attr ? wf_record(t, &wf_op_pole_scan, INPUTS, in, n, out, attr) : NULL;
    if (!node)
        return NULL;
    node->scratch = wf_pole_scratch(&(wf_pole_args){.modes = a->modes}, wf_tape_grad(t));
    node->work[WF_BACKWARD] = map_parts(a, NULL).count * sizeof(float);
    return node;
}

wf_tensor *wf_pole_scan(wf_tape *t, wf_tensor *x, wf_tensor *a, wf_tensor *b, wf_tensor *c, const wf_pole_spec *spec) {
    wf_no_output(spec->h_out);
    if (!x || !a || !b || !c || !(x = wf_cast(t, x, WF_F32)))
        return NULL;
    if (x->rank != 3 || a->rank < 2 || a->rank > 3 || a->dims[0] != x->dims[2] || (a->rank == 3 && a->dims[2] != 2) ||
        b->count != a->count || c->count != a->count || (spec->skip && spec->skip->count != x->dims[2]) ||
        (spec->h_in && spec->h_in->count != x->dims[0] * a->count) ||
        (spec->e && (spec->e->count != a->count || !spec->v || spec->v->count != a->count || spec->reverse)))
        return wf_tape_error(t, WEFT_USAGE, "pole_scan: the shapes of x, the poles and the state do not fit together");
    scan s = {.batch = x->dims[0],
              .t = x->dims[1],
              .channels = x->dims[2],
              .modes = a->dims[1],
              .numbers = a->count,
              .blocks = wf_scan_blocks(x->dims[2]),
              .real = a->rank == 2,
              .reverse = spec->reverse,
              .ranked = spec->e != NULL};
    wf_node *node = record_scan(t, (wf_tensor *[]){x, a, b, c, spec->e, spec->e ? spec->v : NULL, spec->skip, spec->h_in}, &s,
                                spec->h_out != NULL);
    if (node && spec->h_out)
        *spec->h_out = node->out[s.h_out];
    return node ? node->out[Y] : NULL;
}
