/* rmsprop.c - RMSprop (Hinton 2012): g += wd*p; v = alpha*v + (1-alpha)*g^2; centered: v - avg(g)^2; d = sqrt(v) + eps;
 * momentum: buf = mom*buf + g/d. Reference: torch.optim.RMSprop (eps outside the root). */
#include "train/optimizer.h"

enum { ALPHA = WF_OPT_OWN, EPS, MOMENTUM, CENTERED };
enum { SQUARE, MEAN, BUFFER };

static const wf_option keys[] = {
    WF_OPTION_LR(1e-2),
    {.name = "alpha", .at = ALPHA, .fallback = {0.99}, .max = 1, .help = "decay of the running average of the square"},
    WF_OPTION_EPS(EPS, 1e-8, "added to the root of the average"),
    WF_OPTION_DECAY(0, "L2: added to the gradient"),
    {.name = "momentum", .at = MOMENTUM, .max = 1, .help = "share of the last direction that is kept"},
    {.name = "centered", .type = WF_OPTION_BOOL, .at = CENTERED, .help = "subtract the square of the average gradient"},
    {0}};

static int slots(const double *value, int rank, const int64_t *dims, int64_t count, wf_opt_slot out[WF_OPT_SLOTS]) {
    out[SQUARE] = (wf_opt_slot){"v", count, 0};
    out[MEAN] = (wf_opt_slot){"mean", value[CENTERED] != 0 ? count : 0, 0};
    out[BUFFER] = (wf_opt_slot){"momentum", value[MOMENTUM] > 0 ? count : 0, 0};
    return 3;
}

static void update(const wf_optimizer *o, const wf_opt_tensor *t, int64_t first, int64_t n) {
    float *restrict p = t->param + first, *restrict v = t->state[SQUARE] + first;
    float *mean = t->state[MEAN] ? t->state[MEAN] + first : NULL, *buffer = t->state[BUFFER] ? t->state[BUFFER] + first : NULL;
    const float *restrict g = t->grad + first;
    float alpha = (float)o->value[ALPHA], rest = (float)(1 - o->value[ALPHA]), eps = (float)o->value[EPS],
          scale = o->grad_scale;
    float lr = (float)o->lr, decay = (float)wf_opt_decay(o, t), mu = (float)o->value[MOMENTUM];
    for (int64_t i = 0; i < n; i++) {
        float gi = g[i] * scale + decay * p[i];
        v[i] = alpha * v[i] + rest * gi * gi;
        float spread = v[i];
        if (mean) {
            mean[i] = alpha * mean[i] + rest * gi;
            spread -= mean[i] * mean[i];
        }
        /* With one gradient so far the difference can round below zero. */
        float direction = gi / (sqrtf(spread > 0 ? spread : 0) + eps);
        if (buffer)
            direction = buffer[i] = mu * buffer[i] + direction;
        p[i] -= lr * direction;
    }
}

const wf_optimizer_row wf_optimizer_rmsprop = {.name = "rmsprop",
                                               .help = "gradients divided by their running root mean square",
                                               .keys = keys,
                                               .slots = slots,
                                               .update = update};
