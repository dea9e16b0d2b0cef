/* adadelta.c - Adadelta (Zeiler 2012): g += wd*p; v = rho*v + (1-rho)*g^2; d = sqrt(a+eps)/sqrt(v+eps)*g;
 * a = rho*a + (1-rho)*d^2; p -= lr*d. Reference: torch.optim.Adadelta. */
#include "train/optimizer.h"

enum { RHO = WF_OPT_OWN, EPS };

static const wf_option keys[] = {
    WF_OPTION_LR(1),
    {.name = "rho", .at = RHO, .fallback = {0.9}, .max = 1, .help = "decay of both running averages"},
    WF_OPTION_EPS(EPS, 1e-6, "added under both roots"),
    WF_OPTION_DECAY(0, "L2: added to the gradient"),
    {0}};

static int slots(const double *value, int rank, const int64_t *dims, int64_t count, wf_opt_slot out[WF_OPT_SLOTS]) {
    out[0] = (wf_opt_slot){"v", count, 0};
    out[1] = (wf_opt_slot){"delta", count, 0};
    return 2;
}

static void update(const wf_optimizer *o, const wf_opt_tensor *t, int64_t first, int64_t n) {
    float *restrict p = t->param + first, *restrict v = t->state[0] + first, *restrict a = t->state[1] + first;
    const float *restrict g = t->grad + first;
    float rho = (float)o->value[RHO], rest = (float)(1 - o->value[RHO]), eps = (float)o->value[EPS];
    float scale = o->grad_scale, lr = (float)o->lr, decay = (float)wf_opt_decay(o, t);
    for (int64_t i = 0; i < n; i++) {
        float gi = g[i] * scale + decay * p[i];
        v[i] = rho * v[i] + rest * gi * gi;
        float d = sqrtf(a[i] + eps) / sqrtf(v[i] + eps) * gi;
        a[i] = rho * a[i] + rest * d * d;
        p[i] -= lr * d;
    }
}

const wf_optimizer_row wf_optimizer_adadelta = {.name = "adadelta",
                                                .help = "steps scaled by the running size of the steps before",
                                                .keys = keys,
                                                .slots = slots,
                                                .update = update};
