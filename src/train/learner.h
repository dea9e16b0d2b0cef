/* learner.h - a model learning from data: the cursor over the windows, the trainer, validation. What `train` and `compare`
 * share. Thread rule: exclusive. */
#ifndef WF_TRAIN_LEARNER_H
#define WF_TRAIN_LEARNER_H
#include "train/data.h"
#include "train/trainer.h"

typedef struct wf_learner {
    const wf_env *env;
    const wf_data *data;
    wf_model *model;
    wf_trainer *trainer;
    wf_trainer_options options;
    uint64_t cursor;         /* windows seen */
    wf_train_batch *batches; /* [accumulate], into the memory below */
    int32_t *ids, *targets;
    int64_t *positions, *segments;
    int64_t *prefix; /* [accumulate*batch], of a model with prefixes */
    int32_t *packed; /* segments and positions as the data gives them */
} wf_learner;

/* The model must have its values. options: batch, rows, accumulate and the recipe; `segments` asks for packed documents. */
weft_status wf_learner_open(wf_learner *learner, wf_model *model, const wf_data *data, const wf_trainer_options *options,
                            weft_error *err);
void wf_learner_close(wf_learner *learner);
/* The next accumulate*batch windows, one update. */
weft_status wf_learner_step(wf_learner *learner, wf_step_result *out, weft_error *err);
double wf_learner_passes(const wf_learner *learner); /* over the training text so far */

typedef struct wf_evaluation {
    double nats; /* mean per target token */
    double bits_per_byte;
    uint64_t tokens, bytes;
    double *position_nats; /* [rows] mean loss at each position of a window; NULL unless asked for */
} wf_evaluation;

typedef struct wf_evaluation_options {
    int64_t batch, rows;
    uint64_t max_windows; /* 0: all; else that many, evenly spread */
    bool bf16;
    double *position_nats; /* NULL, or [rows] to fill */
} wf_evaluation_options;
/* Loss on the validation part: windows of `rows` tokens, each from its own start. */
weft_status wf_evaluate(const wf_model *model, const wf_data *data, const wf_evaluation_options *options, wf_evaluation *out,
                        weft_error *err);
#endif
