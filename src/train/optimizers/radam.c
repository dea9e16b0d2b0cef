/* radam.c - RAdam (Liu et al. 2020): the adaptive rate is used once its variance is finite enough: r_inf = 2/(1-b2)-1,
 * r = r_inf - 2t*b2^t/(1-b2^t); r > 5: p -= lr*mhat*rect*sqrt(1-b2^t)/(sqrt(v)+eps), else p -= lr*mhat.
 * Reference: torch.optim.RAdam. */
#include "train/optimizer.h"

enum { BETA1 = WF_OPT_OWN, BETA2, EPS, DECOUPLED };
enum { STEP, ADAPTIVE }; /* constants of an update */

static const wf_option keys[] = {WF_OPTION_LR(1e-3),
                                 WF_OPTION_BETAS(BETA1, 0.9, 0.999),
                                 WF_OPTION_EPS(EPS, 1e-8, "added to the root of the average"),
                                 WF_OPTION_DECAY(0, "L2: added to the gradient (or decoupled)"),
                                 {.name = "decoupled_weight_decay",
                                  .type = WF_OPTION_BOOL,
                                  .at = DECOUPLED,
                                  .help = "p *= 1 - lr*weight_decay instead of L2"},
                                 {0}};

static int slots(const double *value, int rank, const int64_t *dims, int64_t count, wf_opt_slot out[WF_OPT_SLOTS]) {
    out[0] = (wf_opt_slot){"m", count, 0};
    out[1] = (wf_opt_slot){"v", count, 0};
    return 2;
}

static void begin(wf_optimizer *o) {
    double t = (double)o->updates, b2 = o->value[BETA2], power = pow(b2, t);
    double limit = 2 / (1 - b2) - 1, r = limit - 2 * t * power / (1 - power);
    o->c[STEP] = o->lr / (1 - pow(o->value[BETA1], t));
    o->c[ADAPTIVE] = r > 5;
    if (r > 5)
        o->c[STEP] *= sqrt((r - 4) * (r - 2) * limit / ((limit - 4) * (limit - 2) * r)) * sqrt(1 - power);
}

static void update(const wf_optimizer *o, const wf_opt_tensor *t, int64_t first, int64_t n) {
    float *restrict p = t->param + first, *restrict m = t->state[0] + first, *restrict v = t->state[1] + first;
    const float *restrict g = t->grad + first;
    float b1 = (float)o->value[BETA1], a1 = (float)(1 - o->value[BETA1]), b2 = (float)o->value[BETA2],
          a2 = (float)(1 - o->value[BETA2]);
    bool decoupled = o->value[DECOUPLED] != 0, adaptive = o->c[ADAPTIVE] != 0;
    double decay = wf_opt_decay(o, t);
    float l2 = decoupled ? 0 : (float)decay, keep = decoupled ? (float)(1 - o->lr * decay) : 1, scale = o->grad_scale;
    float step = (float)o->c[STEP], eps = (float)o->value[EPS];
    for (int64_t i = 0; i < n; i++) {
        float gi = g[i] * scale + l2 * p[i];
        m[i] = b1 * m[i] + a1 * gi;
        v[i] = b2 * v[i] + a2 * gi * gi;
        p[i] = p[i] * keep - step * m[i] / (adaptive ? sqrtf(v[i]) + eps : 1);
    }
}

const wf_optimizer_row wf_optimizer_radam = {.name = "radam",
                                             .help = "Adam whose adaptive rate is warmed up by its variance",
                                             .keys = keys,
                                             .slots = slots,
                                             .begin = begin,
                                             .update = update};
