/* recipe.h - how a model is trained, resolved from options: what `train` and `compare` share. */
#ifndef WF_JOBS_RECIPE_H
#define WF_JOBS_RECIPE_H
#include "jobs/job.h"
#include "train/trainer.h"

typedef struct wf_recipe {
    int64_t batch, context, accumulate;
    bool bf16, checkpoint_activations, keep_activations, packed;
    const char *optimizer, *schedule;
    double lr, weight_decay, warmup, clip, smoothing,
        dropout; /* warmup: updates, or a share below 1; dropout < 0: the spec's */
    double beta1, beta2;
    const char *average;
    double average_decay;
    uint64_t seed;
} wf_recipe;

/* The option names read here, for a job's list of words. */
#define WF_RECIPE_WORDS                                                                                                        \
    "batch", "context", "accumulate", "precision", "checkpoint_activations", "keep_activations", "packed", "optimizer",        \
        "schedule", "lr", "weight_decay", "warmup", "clip", "smoothing", "dropout", "beta1", "beta2", "average",               \
        "average_decay", "seed"
/* Defaults first; errors go to o. */
void wf_recipe_read(wf_options *o, wf_recipe *out);
/* Back to an object with the same names (resolved). */
void wf_recipe_write(wf_arena *arena, const wf_recipe *recipe, wf_json *object);
/* The trainer's options for `steps` updates at peak rate recipe->lr; JSON parts live in the arena. */
weft_status wf_recipe_trainer(wf_arena *arena, const wf_recipe *recipe, int64_t steps, wf_trainer_options *out,
                              weft_error *err);
/* A good peak rate for AdamW at this width: 3e-3 at 128, falling with its square root. */
double wf_recipe_usual_lr(int64_t dim);
#endif
