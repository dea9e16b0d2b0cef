/* average.h - averages of the weights over the updates, as rows: `ema` starts from the initial weights, `ema_first_copies` from
 * the weights after the first update (torch.optim.swa_utils.AveragedModel), `uniform` is their plain mean (SWA).
 *
 *     wf_average *a;
 *     WF_TRY(wf_average_create(env, kind, 0.999, views, n, &a, err)); // reads the initial weights
 *     wf_average_update(a);                                           // after each update
 *
 * Thread rule: one caller at a time; an update runs one region of the pool. */
#ifndef WF_TRAIN_AVERAGE_H
#define WF_TRAIN_AVERAGE_H
#include "base/env.h"

typedef struct wf_average_row {
    const char *name, *help;
    double (*take)(double decay, int64_t update); /* weight of the new weights in update 1, 2, ... */
} wf_average_row;

extern const wf_average_row wf_averages[]; /* ended by a row without a name */
const wf_average_row *wf_average_find(const char *name, weft_error *err);

typedef struct wf_weight_view {
    const char *name;
    const float *data;
    int64_t count;
} wf_weight_view;

typedef struct wf_average {
    const wf_env *env;
    const wf_average_row *row;
    double decay;
    int64_t updates; /* done; a checkpoint keeps it beside the averages */
    wf_weight_view *views;
    float **mean; /* per view */
    size_t count;
    float *memory;
} wf_average;

weft_status wf_average_create(const wf_env *env, const wf_average_row *row, double decay, const wf_weight_view *views, size_t n,
                              wf_average **out, weft_error *err);
void wf_average_free(wf_average *a);
void wf_average_update(wf_average *a);
#endif
