/* init.h - starts of decay parameters that several mixers share (wf_slot.init_fn). */
#ifndef WF_PARTS_INIT_H
#define WF_PARTS_INIT_H
#include "base/rng.h"

/* log of rates uniform in [1, 16], as Mamba-2 has it. */
void wf_init_log_rates(float *value, int64_t count, const int64_t *dims, wf_rng rng);
/* The inverse of softplus of steps between 0.001 and 0.1, log-uniform. */
void wf_init_step_bias(float *value, int64_t count, const int64_t *dims, wf_rng rng);
/* log of steps between 0.001 and 0.1, log-uniform, as S4 has them. */
void wf_init_log_steps(float *value, int64_t count, const int64_t *dims, wf_rng rng);
/* [.., n]: pi times 0, 1, .. n - 1, the imaginary parts of S4D-Lin's poles -1/2 + i pi n. */
void wf_init_pole_turns(float *value, int64_t count, const int64_t *dims, wf_rng rng);
/* From -6 to -1 over the channels: decays e^-e^b from 0.998 to e^-e^-1, as RWKV has them. */
void wf_init_decay_curve(float *value, int64_t count, const int64_t *dims, wf_rng rng);
#endif
