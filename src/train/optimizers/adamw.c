/* adamw.c - AdamW (Loshchilov and Hutter 2019): Adam with decoupled decay, p *= 1 - lr*wd first. Reference: torch.optim.AdamW.
 */
#include "train/optimizers/adam.h"

static const wf_option keys[] = {WF_OPTION_LR(1e-3),
                                 WF_OPTION_BETAS(WF_ADAM_BETA1, 0.9, 0.999),
                                 WF_OPTION_EPS(WF_ADAM_EPS, 1e-8, "added to the root of the average"),
                                 WF_OPTION_DECAY(1e-2, "decoupled: p *= 1 - lr*weight_decay"),
                                 WF_ADAM_AMSGRAD_OPTION,
                                 {0}};

static void update(const wf_optimizer *o, const wf_opt_tensor *t, int64_t first, int64_t n) {
    wf_adam_update(o, t, first, n, true);
}

const wf_optimizer_row wf_optimizer_adamw = {.name = "adamw",
                                             .help = "Adam with decoupled decay",
                                             .keys = keys,
                                             .slots = wf_adam_slots,
                                             .update = update,
                                             .writes_bf16 = true};
