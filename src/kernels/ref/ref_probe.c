/* ref_probe.c - probes of the machine, plain forms. */
#include "kernels/ref/ref.h"

/* x -> x * 0.5 + 0 from 0 stays 0; `start` is 0 at run time only. */
float wf_ref_probe_fma(float start, int64_t rounds, int *lanes) {
    float chain[WF_PROBE_CHAINS], sum = 0.0f;
    for (int i = 0; i < WF_PROBE_CHAINS; i++)
        chain[i] = start;
    for (int64_t r = 0; r < rounds; r++)
        for (int i = 0; i < WF_PROBE_CHAINS; i++)
            chain[i] = chain[i] * 0.5f + start;
    for (int i = 0; i < WF_PROBE_CHAINS; i++)
        sum += chain[i];
    *lanes = 1;
    return sum;
}

float wf_ref_probe_read(const float *a, int64_t n) {
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i];
    return (float)sum;
}
