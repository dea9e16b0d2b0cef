/* one_layer.h - the token mixer (or the channel mixer) of a model's first block by itself, recorded for T tokens: to count what
 * it costs, and to time it. Its inputs are the rows x and, where the row cannot do without, a memory of as many rows. */
#ifndef WF_JOBS_ONE_LAYER_H
#define WF_JOBS_ONE_LAYER_H
#include "model/model.h"

typedef enum wf_layer_use {
    WF_LAYER_FORWARD, /* T tokens */
    WF_LAYER_TRAIN,   /* the same with a backward */
    WF_LAYER_DECODE   /* one token after T - 1 others, states in place; of layers that stream */
} wf_layer_use;

typedef struct wf_one_layer {
    const wf_env *env;
    wf_tape *tape;
    wf_tensor *blocks;            /* of experts: their rows (tensor/experts.h); else NULL */
    float *states[WF_MAX_STATES]; /* of decoding; freed with the rest */
    int64_t batch, rows, *start;  /* start [batch] */
    wf_layer_use use;
} wf_one_layer;

/* The options of a row's example (presets.h), or of `options` instead, filled in for width dim and T = rows, in a model of one
 * block, in the arena. */
weft_status wf_one_layer_spec(wf_arena *arena, const wf_mixer *row, const char *options, int64_t dim, int64_t rows,
                              wf_json **spec, weft_error *err);
/* Records the mixer (the channel mixer, when `channel`), with values in its inputs unless it is only measured. What it made is
 * freed by wf_one_layer_close, also after a failure. */
typedef struct wf_one_layer_how {
    wf_layer_use use;
    int64_t batch, rows; /* batch 0: one sequence */
    bool channel, bf16;
    wf_tape_stats *measured; /* NULL: to be run; else only measured */
} wf_one_layer_how;
weft_status wf_one_layer_record(const wf_env *env, const wf_model *model, const wf_one_layer_how *how, wf_one_layer *out,
                                weft_error *err);
weft_status wf_one_layer_run(const wf_one_layer *one, weft_error *err);
/* FLOPs of a training layer's forward: it runs, and what its patterns visit is counted. */
weft_status wf_one_layer_visited(const wf_one_layer *one, double *flops, weft_error *err);
void wf_one_layer_close(wf_one_layer *one);
#endif
