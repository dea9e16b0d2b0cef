/* muon.c - Muon (Jordan et al. 2024) as torch.optim.Muon, in full precision: buf = mu*buf + (1-mu)*g; X = nesterov ? (1-mu)*g +
 * mu*buf : buf; X /= max(norm(X), eps); ns_steps times A = X X^T, X = aX + (bA + cA^2)X; p *= 1 - lr*wd; p -= lr*f*X. A tall
 * matrix is iterated from the other side (A = X^T X, X = aX + X(bA + cA^2)), which is the same as transposing it. The products
 * are tiles of gemm plans, one set per shape; every step of an iteration is a phase. */
#include "kernels/gemm/gemm.h"
#include "kernels/kernels.h"
#include "train/optimizer.h"

enum { MOMENTUM = WF_OPT_OWN, NESTEROV, COEFFICIENTS, EPS = COEFFICIENTS + 3, NS_STEPS, ADJUST };
enum { PRODUCTS = 3, PHASES_PER_STEP = 4 };
enum { ORIGINAL, MATCH_RMS_ADAMW, SPECTRAL_UNCLAMPED };

static const wf_option keys[] = {
    WF_OPTION_LR(1e-3),
    WF_OPTION_DECAY(0.1, "decoupled: p *= 1 - lr*weight_decay"),
    {.name = "momentum",
     .at = MOMENTUM,
     .fallback = {0.95},
     .max = 1,
     .below = true,
     .help = "decay of the running average of the gradient"},
    {.name = "nesterov", .type = WF_OPTION_BOOL, .at = NESTEROV, .fallback = {1}, .help = "look ahead by one momentum step"},
    {.name = "ns_coefficients",
     .at = COEFFICIENTS,
     .count = 3,
     .fallback = {3.4445, -4.775, 2.0315},
     .min = -HUGE_VAL,
     .max = HUGE_VAL,
     .help = "of the Newton-Schulz iteration"},
    {.name = "eps", .at = EPS, .fallback = {1e-7}, .max = HUGE_VAL, .help = "least norm a direction is divided by"},
    {.name = "ns_steps", .type = WF_OPTION_INT, .at = NS_STEPS, .fallback = {5}, .max = 99, .help = "iterations"},
    {.name = "adjust_lr_fn",
     .type = WF_OPTION_CHOICE,
     .at = ADJUST,
     .choices = "original|match_rms_adamw|spectral_unclamped",
     .nullable = true,
     .help = "how the rate follows the shape"},
    {0}};

typedef struct plan { /* of one shape; a list in o->plans */
    struct plan *next;
    int64_t rows, columns, small;
    wf_gemm_plan *product[PRODUCTS]; /* A = X X^T; A A; X += B X */
    int64_t matrix, square;          /* floats of scratch for an X and for an A, rounded up to whole cache lines */
} plan;

typedef struct buffers {
    double *squares;     /* per piece */
    float *x[2], *a, *b; /* x[i%2] goes into iteration i */
} buffers;

static bool accepts(int rank, const int64_t *dims) { return rank == 2 && dims[0] > 0 && dims[1] > 0; }

static int slots(const double *value, int rank, const int64_t *dims, int64_t count, wf_opt_slot out[WF_OPT_SLOTS]) {
    out[0] = (wf_opt_slot){"momentum", count, 0};
    return 1;
}

/* ---- plans ---- */
static int64_t round_floats(int64_t n) { return (n + 15) & ~(int64_t)15; }

static weft_status make_products(wf_optimizer *o, plan *p, weft_error *err) {
    bool tall = p->rows > p->columns;
    int64_t s = p->small, l = tall ? p->rows : p->columns;
    wf_gemm gram = {.m = s, .n = s, .k = l, .trans_a = tall, .trans_b = !tall};
    wf_gemm square = {.m = s, .n = s, .k = s};
    wf_gemm turn = {.m = p->rows, .n = p->columns, .k = s};
    WF_TRY(wf_gemm_plan_create(o->env, &gram, &p->product[0], err));
    WF_TRY(wf_gemm_plan_create(o->env, &square, &p->product[1], err));
    return wf_gemm_plan_create(o->env, &turn, &p->product[2], err);
}

static weft_status bind(wf_optimizer *o, wf_opt_tensor *t, weft_error *err) {
    int64_t rows = t->dims[0], columns = t->dims[1];
    plan *p = o->plans;
    while (p && (p->rows != rows || p->columns != columns))
        p = p->next;
    if (!p) {
        p = wf_arena_alloc(&o->arena, sizeof *p);
        if (!p)
            return wf_fail_memory(err);
        *p = (plan){.next = o->plans, .rows = rows, .columns = columns, .small = rows < columns ? rows : columns};
        p->matrix = round_floats(rows * columns);
        p->square = round_floats(p->small * p->small);
        o->plans = p; /* before its products, so that release sees those made */
        WF_TRY(make_products(o, p, err));
    }
    t->plan = p;
    return WEFT_OK;
}

static void release(wf_optimizer *o) {
    for (plan *p = o->plans; p; p = p->next)
        for (int i = 0; i < PRODUCTS; i++)
            wf_gemm_plan_free(o->env, p->product[i]);
}

/* ---- memory and pieces ---- */
static size_t round64(size_t n) { return (n + 63) & ~(size_t)63; }

static size_t scratch_size(const wf_optimizer *o, const wf_opt_tensor *t) {
    const plan *p = t->plan;
    return round64((size_t)wf_opt_pieces(t->count) * sizeof(double)) + (size_t)(2 * p->matrix + 2 * p->square) * sizeof(float);
}

static buffers buffers_of(const wf_opt_tensor *t) {
    const plan *p = t->plan;
    uint8_t *base = t->scratch;
    buffers b = {.squares = t->scratch};
    b.x[0] = (float *)(void *)(base + round64((size_t)wf_opt_pieces(t->count) * sizeof(double)));
    b.x[1] = b.x[0] + p->matrix;
    b.a = b.x[1] + p->matrix;
    b.b = b.a + p->square;
    return b;
}

static size_t thread_scratch(const wf_optimizer *o, const wf_opt_tensor *t) {
    const plan *p = t->plan;
    size_t most = 0;
    for (int i = 0; i < PRODUCTS; i++)
        most = wf_gemm_scratch(p->product[i]) > most ? wf_gemm_scratch(p->product[i]) : most;
    return most;
}

static int steps_of(const wf_optimizer *o) { return (int)o->value[NS_STEPS]; }

/* Phases: direction, normalisation, then per iteration: A, A A, B with a*X, X += B X; last the step. */
static int phase_count(const wf_optimizer *o) { return 3 + PHASES_PER_STEP * steps_of(o); }

enum { GRAM, SQUARE, MIX, TURN }; /* phases of an iteration */

static int64_t piece_count(const wf_optimizer *o, const wf_opt_tensor *t, int phase) {
    const plan *p = t->plan;
    if (phase < 2 || phase == phase_count(o) - 1)
        return wf_opt_pieces(t->count);
    switch ((phase - 2) % PHASES_PER_STEP) {
    case GRAM:
        return wf_gemm_tiles(p->product[0]);
    case SQUARE:
        return wf_gemm_tiles(p->product[1]);
    case MIX:
        return wf_opt_pieces(t->count) + wf_opt_pieces(p->small * p->small);
    default:
        return wf_gemm_tiles(p->product[2]);
    }
}

/* ---- work ---- */
static int64_t piece_length(int64_t count, int64_t first) {
    return count - first < WF_OPT_PIECE ? count - first : WF_OPT_PIECE;
}

static void direction(const wf_optimizer *o, const wf_opt_tensor *t, int64_t piece) {
    int64_t first = piece * WF_OPT_PIECE, n = piece_length(t->count, first);
    buffers b = buffers_of(t);
    float *restrict buf = t->state[0] + first, *restrict x = b.x[0] + first;
    const float *restrict g = t->grad + first;
    float mu = (float)o->value[MOMENTUM], rest = (float)(1 - o->value[MOMENTUM]), scale = o->grad_scale;
    bool nesterov = o->value[NESTEROV] != 0;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        float gi = g[i] * scale;
        buf[i] = mu * buf[i] + rest * gi;
        x[i] = nesterov ? rest * gi + mu * buf[i] : buf[i];
        sum += (double)x[i] * x[i];
    }
    b.squares[piece] = sum;
}

static void normalise(const wf_optimizer *o, const wf_opt_tensor *t, int64_t piece) {
    buffers b = buffers_of(t);
    double sum = 0, floor = o->value[EPS];
    for (int64_t i = 0; i < wf_opt_pieces(t->count); i++)
        sum += b.squares[i];
    double norm = sqrt(sum) > floor ? sqrt(sum) : floor;
    int64_t first = piece * WF_OPT_PIECE, n = piece_length(t->count, first);
    for (int64_t i = first; i < first + n; i++)
        b.x[0][i] = (float)(b.x[0][i] / norm);
}

/* B = bA + cA^2 over A^2, or the next X = aX: the pieces of X come first. */
static void mix(const wf_optimizer *o, const wf_opt_tensor *t, const buffers *b, int iteration, int64_t piece) {
    const plan *p = t->plan;
    const double *c = &o->value[COEFFICIENTS];
    int64_t own = wf_opt_pieces(t->count), square = p->small * p->small;
    if (piece < own) {
        int64_t first = piece * WF_OPT_PIECE;
        o->env->kernels->scale(b->x[(iteration + 1) % 2] + first, (float)c[0], b->x[iteration % 2] + first,
                               piece_length(t->count, first));
        return;
    }
    int64_t first = (piece - own) * WF_OPT_PIECE, n = piece_length(square, first);
    o->env->kernels->scale(b->b + first, (float)c[2], b->b + first, n);
    o->env->kernels->axpy(b->b + first, (float)c[1], b->a + first, n);
}

static void iterate(const wf_optimizer *o, const wf_opt_tensor *t, const wf_opt_work *w, int iteration, int phase) {
    const plan *p = t->plan;
    buffers b = buffers_of(t);
    int tile = (int)w->piece;
    float *x = b.x[iteration % 2], *next = b.x[(iteration + 1) % 2];
    bool tall = p->rows > p->columns;
    if (phase == GRAM)
        wf_gemm_run(p->product[0], tile, x, x, b.a, NULL, 0, w->thread_scratch);
    else if (phase == SQUARE)
        wf_gemm_run(p->product[1], tile, b.a, b.a, b.b, NULL, 0, w->thread_scratch);
    else if (phase == MIX)
        mix(o, t, &b, iteration, w->piece);
    else
        wf_gemm_run(p->product[2], tile, tall ? x : b.b, tall ? b.b : x, next, NULL, 1, w->thread_scratch);
}

static double shape_factor(const wf_optimizer *o, const plan *p) {
    double rows = (double)p->rows, columns = (double)p->columns, ratio = rows / columns;
    if (o->value[ADJUST] == MATCH_RMS_ADAMW)
        return 0.2 * sqrt(rows > columns ? rows : columns);
    if (o->value[ADJUST] == SPECTRAL_UNCLAMPED)
        return sqrt(ratio);
    return sqrt(ratio > 1 ? ratio : 1); /* null is "original" */
}

static void step(const wf_optimizer *o, const wf_opt_tensor *t, int64_t piece) {
    int64_t first = piece * WF_OPT_PIECE, n = piece_length(t->count, first);
    const float *restrict x = buffers_of(t).x[steps_of(o) % 2] + first;
    float *restrict p = t->param + first;
    float keep = (float)(1 - o->lr * wf_opt_decay(o, t)), rate = (float)(o->lr * shape_factor(o, t->plan));
    for (int64_t i = 0; i < n; i++)
        p[i] = p[i] * keep - rate * x[i];
    wf_opt_round(o, t, first, n);
}

static void run(const wf_optimizer *o, const wf_opt_tensor *t, const wf_opt_work *w) {
    if (w->phase == 0)
        direction(o, t, w->piece);
    else if (w->phase == 1)
        normalise(o, t, w->piece);
    else if (w->phase == phase_count(o) - 1)
        step(o, t, w->piece);
    else
        iterate(o, t, w, (w->phase - 2) / PHASES_PER_STEP, (w->phase - 2) % PHASES_PER_STEP);
}

static const wf_opt_phases phases = {.count = phase_count,
                                     .pieces = piece_count,
                                     .scratch = scratch_size,
                                     .run = run,
                                     .bind = bind,
                                     .release = release,
                                     .thread_scratch = thread_scratch,
                                     .thread_init = wf_gemm_thread_init};

const wf_optimizer_row wf_optimizer_muon = {.name = "muon",
                                            .help = "orthogonalised momentum, for matrices only",
                                            .keys = keys,
                                            .accepts = accepts,
                                            .slots = slots,
                                            .phases = &phases};
