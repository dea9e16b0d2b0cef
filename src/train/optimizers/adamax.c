/* adamax.c - Adamax (Kingma and Ba 2015, section 7.1): g += wd*p; u = max(b2*u, |g|+eps); p -= lr/(1-b1^t) * m/u.
 * Reference: torch.optim.Adamax. */
#include "train/optimizer.h"

enum { BETA1 = WF_OPT_OWN, BETA2, EPS };

static const wf_option keys[] = {WF_OPTION_LR(2e-3),
                                 WF_OPTION_BETAS(BETA1, 0.9, 0.999),
                                 WF_OPTION_EPS(EPS, 1e-8, "added to the size of the gradient"),
                                 WF_OPTION_DECAY(0, "L2: added to the gradient"),
                                 {0}};

static int slots(const double *value, int rank, const int64_t *dims, int64_t count, wf_opt_slot out[WF_OPT_SLOTS]) {
    out[0] = (wf_opt_slot){"m", count, 0};
    out[1] = (wf_opt_slot){"u", count, 0};
    return 2;
}

static void update(const wf_optimizer *o, const wf_opt_tensor *t, int64_t first, int64_t n) {
    float *restrict p = t->param + first, *restrict m = t->state[0] + first, *restrict u = t->state[1] + first;
    const float *restrict g = t->grad + first;
    float b1 = (float)o->value[BETA1], a1 = (float)(1 - o->value[BETA1]), b2 = (float)o->value[BETA2],
          eps = (float)o->value[EPS];
    float scale = o->grad_scale, decay = (float)wf_opt_decay(o, t);
    float step = (float)(o->lr / (1 - pow(o->value[BETA1], (double)o->updates)));
    for (int64_t i = 0; i < n; i++) {
        float gi = g[i] * scale + decay * p[i];
        m[i] = b1 * m[i] + a1 * gi;
        float old = b2 * u[i], now = fabsf(gi) + eps;
        u[i] = old > now ? old : now;
        p[i] -= step * m[i] / u[i];
    }
}

const wf_optimizer_row wf_optimizer_adamax = {.name = "adamax",
                                              .help = "Adam with the largest gradient in place of the root mean square",
                                              .keys = keys,
                                              .slots = slots,
                                              .update = update};
