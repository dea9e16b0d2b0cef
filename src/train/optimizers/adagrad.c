/* adagrad.c - Adagrad (Duchi et al. 2011): g += wd*p; acc += g^2; p -= lr/(1+(t-1)*lr_decay) * g/(sqrt(acc)+eps).
 * Reference: torch.optim.Adagrad. */
#include "train/optimizer.h"

enum { LR_DECAY = WF_OPT_OWN, INITIAL, EPS };

static const wf_option keys[] = {
    WF_OPTION_LR(1e-2),
    {.name = "lr_decay", .at = LR_DECAY, .max = HUGE_VAL, .help = "the rate falls as 1/(1 + (t-1)*lr_decay)"},
    WF_OPTION_DECAY(0, "L2: added to the gradient"),
    {.name = "initial_accumulator_value", .at = INITIAL, .max = HUGE_VAL, .help = "what the sum of squares starts from"},
    WF_OPTION_EPS(EPS, 1e-10, "added to the root of the sum"),
    {0}};

static int slots(const double *value, int rank, const int64_t *dims, int64_t count, wf_opt_slot out[WF_OPT_SLOTS]) {
    out[0] = (wf_opt_slot){"sum", count, (float)value[INITIAL]};
    return 1;
}

static void update(const wf_optimizer *o, const wf_opt_tensor *t, int64_t first, int64_t n) {
    float *restrict p = t->param + first, *restrict sum = t->state[0] + first;
    const float *restrict g = t->grad + first;
    float lr = (float)(o->lr / (1 + (double)(o->updates - 1) * o->value[LR_DECAY])), eps = (float)o->value[EPS];
    float scale = o->grad_scale, decay = (float)wf_opt_decay(o, t);
    for (int64_t i = 0; i < n; i++) {
        float gi = g[i] * scale + decay * p[i];
        sum[i] += gi * gi;
        p[i] -= lr * gi / (sqrtf(sum[i]) + eps);
    }
}

const wf_optimizer_row wf_optimizer_adagrad = {.name = "adagrad",
                                               .help = "gradients divided by the root of the sum of their squares",
                                               .keys = keys,
                                               .slots = slots,
                                               .update = update};
