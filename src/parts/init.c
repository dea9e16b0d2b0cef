#include "parts/init.h"
#include <math.h>

void wf_init_log_rates(float *value, int64_t count, const int64_t *dims, wf_rng rng) {
    (void)dims;
    for (int64_t i = 0; i < count; i++)
        value[i] = (float)log(1.0 + 15.0 * wf_rng_uniform_double(rng, (uint64_t)i));
}

void wf_init_step_bias(float *value, int64_t count, const int64_t *dims, wf_rng rng) {
    (void)dims;
    for (int64_t i = 0; i < count; i++) {
        double step = exp(log(0.001) + (log(0.1) - log(0.001)) * wf_rng_uniform_double(rng, (uint64_t)i));
        value[i] = (float)(step + log(-expm1(-step)));
    }
}

void wf_init_log_steps(float *value, int64_t count, const int64_t *dims, wf_rng rng) {
    (void)dims;
    for (int64_t i = 0; i < count; i++)
        value[i] = (float)(log(0.001) + log(100.0) * wf_rng_uniform_double(rng, (uint64_t)i));
}

void wf_init_pole_turns(float *value, int64_t count, const int64_t *dims, wf_rng rng) {
    (void)rng;
    for (int64_t i = 0; i < count; i++)
        value[i] = 3.14159265f * (float)(i % dims[1]);
}

void wf_init_decay_curve(float *value, int64_t count, const int64_t *dims, wf_rng rng) {
    (void)dims, (void)rng;
    for (int64_t i = 0; i < count; i++)
        value[i] = -6.0f + 5.0f * (count > 1 ? (float)i / (float)(count - 1) : 0.0f);
}
