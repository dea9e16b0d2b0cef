/* nadam.c - NAdam (Dozat 2016): mu_t = b1*(1 - 0.5*0.96^(t*momentum_decay)), P_t the product of mu_1..mu_t;
 * p -= lr*(1-mu_t)/(1-P_t)*g/d + lr*mu_{t+1}/(1-P_t*mu_{t+1})*m/d, d = sqrt(v/(1-b2^t)) + eps. Reference: torch.optim.NAdam. */
#include "train/optimizer.h"

enum { BETA1 = WF_OPT_OWN, BETA2, EPS, MOMENTUM_DECAY, DECOUPLED };
enum { PRODUCT, PRODUCT_AT, GRADIENT_STEP, MOMENT_STEP, ROOT }; /* constants of an update */

static const wf_option keys[] = {WF_OPTION_LR(2e-3),
                                 WF_OPTION_BETAS(BETA1, 0.9, 0.999),
                                 WF_OPTION_EPS(EPS, 1e-8, "added to the root of the average"),
                                 WF_OPTION_DECAY(0, "L2: added to the gradient (or decoupled)"),
                                 {.name = "momentum_decay",
                                  .at = MOMENTUM_DECAY,
                                  .fallback = {4e-3},
                                  .max = HUGE_VAL,
                                  .help = "how fast the momentum approaches beta1"},
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

static double momentum_at(const wf_optimizer *o, double t) {
    return o->value[BETA1] * (1 - 0.5 * pow(0.96, t * o->value[MOMENTUM_DECAY]));
}

/* The product is a function of t alone, so it is no state of a checkpoint: carried from update to update, recomputed after a
 * resume, in the same order. */
static double momentum_product(wf_optimizer *o) {
    double t = (double)o->updates, product = o->c[PRODUCT];
    double from = o->c[PRODUCT_AT];
    if (from == 0 || from >= t)
        product = 1, from = 0;
    while (from < t)
        product *= momentum_at(o, ++from);
    o->c[PRODUCT] = product;
    o->c[PRODUCT_AT] = t;
    return product;
}

static void begin(wf_optimizer *o) {
    double t = (double)o->updates, product = momentum_product(o), next = momentum_at(o, t + 1);
    o->c[GRADIENT_STEP] = o->lr * (1 - momentum_at(o, t)) / (1 - product);
    o->c[MOMENT_STEP] = o->lr * next / (1 - product * next);
    o->c[ROOT] = 1 / sqrt(1 - pow(o->value[BETA2], t));
}

static void update(const wf_optimizer *o, const wf_opt_tensor *t, int64_t first, int64_t n) {
    float *restrict p = t->param + first, *restrict m = t->state[0] + first, *restrict v = t->state[1] + first;
    const float *restrict g = t->grad + first;
    float b1 = (float)o->value[BETA1], a1 = (float)(1 - o->value[BETA1]), b2 = (float)o->value[BETA2],
          a2 = (float)(1 - o->value[BETA2]);
    float root = (float)o->c[ROOT], eps = (float)o->value[EPS], gs = (float)o->c[GRADIENT_STEP], ms = (float)o->c[MOMENT_STEP];
    bool decoupled = o->value[DECOUPLED] != 0;
    double decay = wf_opt_decay(o, t);
    float l2 = decoupled ? 0 : (float)decay, keep = decoupled ? (float)(1 - o->lr * decay) : 1, scale = o->grad_scale;
    for (int64_t i = 0; i < n; i++) {
        float gi = g[i] * scale + l2 * p[i];
        m[i] = b1 * m[i] + a1 * gi;
        v[i] = b2 * v[i] + a2 * gi * gi;
        float d = sqrtf(v[i]) * root + eps;
        p[i] = p[i] * keep - (gs * gi + ms * m[i]) / d;
    }
}

const wf_optimizer_row wf_optimizer_nadam = {
    .name = "nadam", .help = "Adam with Nesterov momentum", .keys = keys, .slots = slots, .begin = begin, .update = update};
