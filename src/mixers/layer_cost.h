/* layer_cost.h - what a layer costs by its own law. */
#ifndef WF_MIXERS_LAYER_COST_H
#define WF_MIXERS_LAYER_COST_H
#include "mixers/mixer.h"
/* Multiply-adds x 2 of one sequence of `rows` tokens forward: projections (every matrix slot once per token) plus the row's
 * law. NaN when memory ran out. */
double wf_layer_flops(const wf_layer *layer, int64_t rows);
/* Bytes of fp32 state of one sequence after `tokens` tokens (and of a source of as many rows). */
size_t wf_layer_state_bytes(const wf_layer *layer, int64_t tokens);
#endif
