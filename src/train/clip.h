/* clip.h - gradient clipping: the norm of all gradients together, and the factor they are scaled by. The factor goes to the
 * optimizers as grad_scale, so clipping costs one read of the gradients and no write. The norm is made of fp64 sums over fixed
 * pieces added in order: the same bits for every number of threads.
 *
 *     wf_clip *clip;
 *     WF_TRY(wf_clip_create(env, views, n, &clip, err));
 *     double norm = wf_clip_norm(clip, 2);
 *     double scale = wf_clip_scale(norm, 1.0); // min(1, 1.0 / (norm + 1e-6))
 *
 * Thread rule: one caller at a time; a norm runs one region of the pool. */
#ifndef WF_TRAIN_CLIP_H
#define WF_TRAIN_CLIP_H
#include "base/env.h"

typedef struct wf_grad_view { /* a tied tensor is listed once */
    const float *data;
    int64_t count;
} wf_grad_view;

typedef struct wf_clip wf_clip;
weft_status wf_clip_create(const wf_env *env, const wf_grad_view *views, size_t n, wf_clip **out, weft_error *err);
void wf_clip_free(wf_clip *clip);
/* The p-norm of all elements together, p > 0; HUGE_VAL: the largest size. NaN when a gradient is NaN. */
double wf_clip_norm(wf_clip *clip, double p);
double wf_clip_scale(double norm, double max_norm);
/* Clamps every element to -limit..limit. */
void wf_clip_value(float *data, int64_t count, float limit);
#endif
