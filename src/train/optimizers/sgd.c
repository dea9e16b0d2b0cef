/* sgd.c - stochastic gradient descent with momentum: g += wd*p; buf = mu*buf + (1-dampening)*g (first: buf = g);
 * p -= lr * (nesterov ? g + mu*buf : buf). Reference: torch.optim.SGD. */
#include "train/optimizer.h"

enum { MOMENTUM = WF_OPT_OWN, DAMPENING, NESTEROV };

static const wf_option keys[] = {
    WF_OPTION_LR(1e-3),
    WF_OPTION_DECAY(0, "L2: added to the gradient"),
    {.name = "momentum", .at = MOMENTUM, .max = 1, .help = "share of the last direction that is kept"},
    {.name = "dampening", .at = DAMPENING, .max = 1, .help = "the gradient enters the buffer times 1 - dampening"},
    {.name = "nesterov", .type = WF_OPTION_BOOL, .at = NESTEROV, .help = "look ahead by one momentum step"},
    {0}};

static weft_status check(const double *value, weft_error *err) {
    WF_CHECK(value[NESTEROV] == 0 || (value[MOMENTUM] > 0 && value[DAMPENING] == 0), err, WEFT_USAGE,
             "optimizer sgd: nesterov needs momentum and no dampening");
    return WEFT_OK;
}

static int slots(const double *value, int rank, const int64_t *dims, int64_t count, wf_opt_slot out[WF_OPT_SLOTS]) {
    out[0] = (wf_opt_slot){"momentum", value[MOMENTUM] > 0 ? count : 0, 0};
    return 1;
}

static void plain(const wf_optimizer *o, const wf_opt_tensor *t, int64_t first, int64_t n) {
    float *restrict p = t->param + first;
    const float *restrict g = t->grad + first;
    float scale = o->grad_scale, lr = (float)o->lr, decay = (float)wf_opt_decay(o, t);
    for (int64_t i = 0; i < n; i++)
        p[i] -= lr * (g[i] * scale + decay * p[i]);
}

static void update(const wf_optimizer *o, const wf_opt_tensor *t, int64_t first, int64_t n) {
    if (!t->state[0]) {
        plain(o, t, first, n);
        return;
    }
    float *restrict p = t->param + first, *restrict buf = t->state[0] + first;
    const float *restrict g = t->grad + first;
    float scale = o->grad_scale, lr = (float)o->lr, decay = (float)wf_opt_decay(o, t), mu = (float)o->value[MOMENTUM];
    float keep = o->updates == 1 ? 0 : mu, take = o->updates == 1 ? 1 : (float)(1 - o->value[DAMPENING]);
    /* direction = a*g + b*buf */
    float a = o->value[NESTEROV] != 0 ? 1 : 0, b = o->value[NESTEROV] != 0 ? mu : 1;
    for (int64_t i = 0; i < n; i++) {
        float gi = g[i] * scale + decay * p[i];
        buf[i] = keep * buf[i] + take * gi;
        p[i] -= lr * (a * gi + b * buf[i]);
    }
}

const wf_optimizer_row wf_optimizer_sgd = {
    .name = "sgd", .help = "gradient descent with momentum", .keys = keys, .check = check, .slots = slots, .update = update};
