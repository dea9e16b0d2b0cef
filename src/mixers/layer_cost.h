/* layer_cost.h - what a layer costs by its own law. */
#ifndef WF_MIXERS_LAYER_COST_H
#define WF_MIXERS_LAYER_COST_H
#include "mixers/mixer.h"
/* FLOPs of the projections of one sequence of `rows` tokens forward: every matrix NAME.weight once per token. */
double wf_layer_projections(const wf_layer *layer, int64_t rows);
/* Multiply-adds x 2 of one sequence of `rows` tokens forward: projections plus the row's law. NaN when memory ran out. */
double wf_layer_flops(const wf_layer *layer, int64_t rows);
/* How FLOPs and kept bytes grow, by the laws of the row and its parts (the largest); NaN when memory ran out. */
double wf_layer_time(const wf_layer *layer, int64_t rows);
double wf_layer_space(const wf_layer *layer, int64_t rows);
/* Bytes of fp32 state of one sequence after `tokens` tokens (and of a source of as many rows). */
size_t wf_layer_state_bytes(const wf_layer *layer, int64_t tokens); /* 0 for a layer that only reads whole sequences */
#endif
