/* adam.h - what adam and adamw share. */
#ifndef WF_TRAIN_OPTIMIZERS_ADAM_H
#define WF_TRAIN_OPTIMIZERS_ADAM_H
#include "train/optimizer.h"

enum { WF_ADAM_BETA1 = WF_OPT_OWN, WF_ADAM_BETA2, WF_ADAM_EPS, WF_ADAM_AMSGRAD, WF_ADAM_DECOUPLED };
#define WF_ADAM_AMSGRAD_OPTION                                                                                                 \
    { .name = "amsgrad", .type = WF_OPTION_BOOL, .at = WF_ADAM_AMSGRAD, .help = "divide by the largest average so far" }

int wf_adam_slots(const double *value, int rank, const int64_t *dims, int64_t count, wf_opt_slot out[WF_OPT_SLOTS]);
void wf_adam_update(const wf_optimizer *o, const wf_opt_tensor *t, int64_t first, int64_t n, bool decoupled);
#endif
