/* lamb.c - LAMB (You et al. 2020): u = mhat/(sqrt(vhat)+eps) + wd*p; p -= lr*(norm(p)/norm(u), 1 when either is 0)*u, norms per
 * tensor. Phase 0 moves the averages and sums the squares of p and u per piece, phase 1 adds those in order and moves p. */
#include "kernels/kernels.h"
#include "train/optimizer.h"

enum { BETA1 = WF_OPT_OWN, BETA2, EPS };
enum { CHUNK = 512 };

static const wf_option keys[] = {WF_OPTION_LR(1e-3),
                                 WF_OPTION_BETAS(BETA1, 0.9, 0.999),
                                 WF_OPTION_EPS(EPS, 1e-6, "added to the root of the average"),
                                 WF_OPTION_DECAY(0, "added to the direction: u += weight_decay*p"),
                                 {0}};

typedef struct sums {
    double param, direction;
} sums;

typedef struct direction { /* u = m*step / (sqrt(v)*root + eps) + decay*p */
    float step, root, eps, decay;
} direction;

static int slots(const double *value, int rank, const int64_t *dims, int64_t count, wf_opt_slot out[WF_OPT_SLOTS]) {
    out[0] = (wf_opt_slot){"m", count, 0};
    out[1] = (wf_opt_slot){"v", count, 0};
    return 2;
}

static int phase_count(const wf_optimizer *o) { return 2; }
static int64_t piece_count(const wf_optimizer *o, const wf_opt_tensor *t, int phase) { return wf_opt_pieces(t->count); }
static size_t scratch_size(const wf_optimizer *o, const wf_opt_tensor *t) {
    return (size_t)wf_opt_pieces(t->count) * sizeof(sums);
}

static direction direction_of(const wf_optimizer *o, const wf_opt_tensor *t) {
    double at = (double)o->updates;
    return (direction){(float)(1 / (1 - pow(o->value[BETA1], at))), (float)(1 / sqrt(1 - pow(o->value[BETA2], at))),
                       (float)o->value[EPS], (float)wf_opt_decay(o, t)};
}

static float direction_at(const direction *d, float p, float m, float v) {
    return m * d->step / (sqrtf(v) * d->root + d->eps) + d->decay * p;
}

static void gather(const wf_optimizer *o, const wf_opt_tensor *t, int64_t first, int64_t n, sums *out) {
    float *restrict m = t->state[0] + first, *restrict v = t->state[1] + first;
    const float *restrict p = t->param + first, *restrict g = t->grad + first;
    float b1 = (float)o->value[BETA1], a1 = (float)(1 - o->value[BETA1]), b2 = (float)o->value[BETA2],
          a2 = (float)(1 - o->value[BETA2]);
    direction d = direction_of(o, t);
    *out = (sums){o->env->kernels->sum_squares(p, n), 0};
    float u[CHUNK];
    for (int64_t from = 0; from < n; from += CHUNK) {
        int64_t length = n - from < CHUNK ? n - from : CHUNK;
        for (int64_t i = 0; i < length; i++) {
            float gi = g[from + i] * o->grad_scale;
            m[from + i] = b1 * m[from + i] + a1 * gi;
            v[from + i] = b2 * v[from + i] + a2 * gi * gi;
            u[i] = direction_at(&d, p[from + i], m[from + i], v[from + i]);
        }
        out->direction += o->env->kernels->sum_squares(u, length);
    }
}

static double trust(const wf_opt_tensor *t) {
    const sums *piece = t->scratch;
    sums s = {0, 0};
    for (int64_t i = 0; i < wf_opt_pieces(t->count); i++) {
        s.param += piece[i].param;
        s.direction += piece[i].direction;
    }
    return s.param > 0 && s.direction > 0 ? sqrt(s.param / s.direction) : 1;
}

static void run(const wf_optimizer *o, const wf_opt_tensor *t, const wf_opt_work *w) {
    int64_t first = w->piece * WF_OPT_PIECE, left = t->count - first, n = left < WF_OPT_PIECE ? left : WF_OPT_PIECE;
    if (w->phase == 0) {
        gather(o, t, first, n, (sums *)t->scratch + w->piece);
        return;
    }
    const float *m = t->state[0] + first, *v = t->state[1] + first;
    float *p = t->param + first, step = (float)(o->lr * trust(t));
    direction d = direction_of(o, t);
    for (int64_t i = 0; i < n; i++)
        p[i] -= step * direction_at(&d, p[i], m[i], v[i]);
    wf_opt_round(o, t, first, n);
}

static const wf_opt_phases phases = {.count = phase_count, .pieces = piece_count, .scratch = scratch_size, .run = run};

const wf_optimizer_row wf_optimizer_lamb = {.name = "lamb",
                                            .help = "Adam with a step in proportion to each tensor's norm",
                                            .keys = keys,
                                            .slots = slots,
                                            .phases = &phases};
