/* adam.c - Adam (Kingma and Ba 2015) with L2 decay: m, v running averages of g and g^2;
 * p -= lr * m/(1-b1^t) / (sqrt(v)/sqrt(1-b2^t) + eps); amsgrad takes the largest v so far. Reference: torch.optim.Adam. */
#include "train/optimizers/adam.h"
#include "kernels/kernels.h"

static const wf_option keys[] = {
    WF_OPTION_LR(1e-3),
    WF_OPTION_BETAS(WF_ADAM_BETA1, 0.9, 0.999),
    WF_OPTION_EPS(WF_ADAM_EPS, 1e-8, "added to the root of the average"),
    WF_OPTION_DECAY(0, "L2: added to the gradient"),
    WF_ADAM_AMSGRAD_OPTION,
    {.name = "decoupled_weight_decay", .type = WF_OPTION_BOOL, .at = WF_ADAM_DECOUPLED, .help = "decay as in adamw"},
    {0}};

int wf_adam_slots(const double *value, int rank, const int64_t *dims, int64_t count, wf_opt_slot out[WF_OPT_SLOTS]) {
    out[0] = (wf_opt_slot){"m", count, 0};
    out[1] = (wf_opt_slot){"v", count, 0};
    out[2] = (wf_opt_slot){"v_max", value[WF_ADAM_AMSGRAD] != 0 ? count : 0, 0};
    return 3;
}

/* The corrections are those of the rounded betas: near 1 the rounding of beta2 changes 1 - beta2 by parts in ten thousand,
 * which the correction of the same number takes out again. */
static void by_kernel(const wf_optimizer *o, const wf_opt_tensor *t, int64_t first, int64_t n) {
    double b1 = (float)o->value[WF_ADAM_BETA1], b2 = (float)o->value[WF_ADAM_BETA2], at = (double)o->updates;
    wf_adam_step step = {.lr = (float)o->lr,
                         .beta1 = (float)b1,
                         .beta2 = (float)b2,
                         .eps = (float)o->value[WF_ADAM_EPS],
                         .weight_decay = (float)wf_opt_decay(o, t),
                         .correct1 = (float)(1 - pow(b1, at)),
                         .correct2 = (float)sqrt(1 - pow(b2, at)),
                         .grad_scale = o->grad_scale};
    o->env->kernels->adamw(t->param + first, t->state[0] + first, t->state[1] + first, t->grad + first,
                           t->bf16 ? t->bf16 + first : NULL, &step, n);
}

/* The cases the kernel leaves out: L2 decay and amsgrad. */
static void by_loop(const wf_optimizer *o, const wf_opt_tensor *t, int64_t first, int64_t n, bool decoupled) {
    double at = (double)o->updates, decay = wf_opt_decay(o, t);
    float b1 = (float)o->value[WF_ADAM_BETA1], b2 = (float)o->value[WF_ADAM_BETA2], eps = (float)o->value[WF_ADAM_EPS];
    float a1 = (float)(1 - o->value[WF_ADAM_BETA1]), a2 = (float)(1 - o->value[WF_ADAM_BETA2]), scale = o->grad_scale;
    float step = (float)(o->lr / (1 - pow(o->value[WF_ADAM_BETA1], at))),
          root = (float)(1 / sqrt(1 - pow(o->value[WF_ADAM_BETA2], at)));
    float l2 = decoupled ? 0 : (float)decay, keep = decoupled ? (float)(1 - o->lr * decay) : 1;
    float *restrict p = t->param + first, *restrict m = t->state[0] + first, *restrict v = t->state[1] + first;
    float *most = t->state[2] ? t->state[2] + first : NULL;
    const float *restrict g = t->grad + first;
    for (int64_t i = 0; i < n; i++) {
        float gi = g[i] * scale + l2 * p[i];
        m[i] = b1 * m[i] + a1 * gi;
        v[i] = b2 * v[i] + a2 * gi * gi;
        float square = v[i];
        if (most)
            square = most[i] = most[i] > square ? most[i] : square;
        p[i] = p[i] * keep - step * m[i] / (sqrtf(square) * root + eps);
    }
    wf_opt_round(o, t, first, n);
}

void wf_adam_update(const wf_optimizer *o, const wf_opt_tensor *t, int64_t first, int64_t n, bool decoupled) {
    if (!t->state[2] && (decoupled || wf_opt_decay(o, t) == 0))
        by_kernel(o, t, first, n);
    else
        by_loop(o, t, first, n, decoupled);
}

static void update(const wf_optimizer *o, const wf_opt_tensor *t, int64_t first, int64_t n) {
    wf_adam_update(o, t, first, n, o->value[WF_ADAM_DECOUPLED] != 0);
}

const wf_optimizer_row wf_optimizer_adam = {
    .name = "adam", .help = "Adam, decay as L2", .keys = keys, .slots = wf_adam_slots, .update = update, .writes_bf16 = true};
