/* lion.c - Lion (Chen et al. 2023): p *= 1 - lr*wd; p -= lr*sign(b1*m + (1-b1)*g); then m = b2*m + (1-b2)*g. */
#include "train/optimizer.h"

enum { BETA1 = WF_OPT_OWN, BETA2 };

static const wf_option keys[] = {
    WF_OPTION_LR(1e-4), WF_OPTION_BETAS(BETA1, 0.9, 0.99), WF_OPTION_DECAY(0, "decoupled: p *= 1 - lr*weight_decay"), {0}};

static int slots(const double *value, int rank, const int64_t *dims, int64_t count, wf_opt_slot out[WF_OPT_SLOTS]) {
    out[0] = (wf_opt_slot){"m", count, 0};
    return 1;
}

static void update(const wf_optimizer *o, const wf_opt_tensor *t, int64_t first, int64_t n) {
    float *restrict p = t->param + first, *restrict m = t->state[0] + first;
    const float *restrict g = t->grad + first;
    float b1 = (float)o->value[BETA1], a1 = (float)(1 - o->value[BETA1]), b2 = (float)o->value[BETA2],
          a2 = (float)(1 - o->value[BETA2]);
    float scale = o->grad_scale, lr = (float)o->lr, keep = (float)(1 - o->lr * wf_opt_decay(o, t));
    for (int64_t i = 0; i < n; i++) {
        float gi = g[i] * scale, direction = b1 * m[i] + a1 * gi;
        float sign = direction > 0 ? 1.0f : direction < 0 ? -1.0f : 0.0f;
        p[i] = p[i] * keep - lr * sign;
        m[i] = b2 * m[i] + a2 * gi;
    }
}

const wf_optimizer_row wf_optimizer_lion = {
    .name = "lion", .help = "the sign of a running average", .keys = keys, .slots = slots, .update = update};
