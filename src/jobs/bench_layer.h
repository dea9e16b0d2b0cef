/* bench_layer.h - private to the job bench: one layer by itself (one_layer.h) with random values; trained, with gradients of
 * its parameters and its input. */
#ifndef WF_JOBS_BENCH_LAYER_H
#define WF_JOBS_BENCH_LAYER_H
#include "jobs/bench.h"
#include "jobs/one_layer.h"

typedef struct wf_bench_layer_case {
    const char *mixer, *channel; /* members of a JSON object; `channel` NULL: the mixer is measured, else the channel */
    wf_layer_use use;
    int64_t dim, batch, rows;
    bool bf16;
} wf_bench_layer_case;

typedef struct wf_bench_layer {
    wf_model *model; /* NULL: attention by itself */
    wf_one_layer one;
} wf_bench_layer;

/* Builds the layer with random values. Close it also after a failure. */
weft_status wf_bench_layer_open(wf_bench *b, const wf_bench_layer_case *c, wf_bench_layer *out);
/* Causal attention by itself, heads of 64, one sequence, forward and backward. */
weft_status wf_bench_attention_open(wf_bench *b, int64_t rows, int64_t heads, bool bf16, wf_bench_layer *out);
void wf_bench_layer_close(wf_bench_layer *layer);
/* One use of it, profiled; a wf_bench_once over the wf_bench_layer. */
weft_status wf_bench_layer_once(void *layer, double *seconds, weft_error *err);
#endif
