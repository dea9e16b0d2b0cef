/* practice.h - training on a task (tasks/task.h) and examining what was learned: samples are drawn as they are needed.
 *
 *     wf_practice p;
 *     WF_TRY(wf_practice_open(&p, model, &task, &options, err));      // options as for a trainer; rows is the task's length
 *     WF_TRY(wf_practice_step(&p, &result, err));
 *     WF_TRY(wf_examine(model, &task, &(wf_exam_options){.batch = 32, .samples = 256}, &score, err));
 *
 * Practice draws from its seed, exams from another: they never share a sample. Thread rule: exclusive. */
#ifndef WF_TRAIN_PRACTICE_H
#define WF_TRAIN_PRACTICE_H
#include "tasks/task.h"
#include "train/trainer.h"

typedef struct wf_practice {
    const wf_env *env;
    wf_task_config task;
    wf_trainer *trainer;
    wf_trainer_options options;
    uint64_t cursor;         /* samples seen */
    wf_train_batch *batches; /* [accumulate], into the memory below */
    int32_t *ids, *targets;
    int64_t *prefix; /* [accumulate*batch]: the prompts, for models with prefixes */
} wf_practice;

weft_status wf_practice_open(wf_practice *practice, wf_model *model, const wf_task_config *task,
                             const wf_trainer_options *options, weft_error *err);
void wf_practice_close(wf_practice *practice);
weft_status wf_practice_step(wf_practice *practice, wf_step_result *out, weft_error *err);

typedef struct wf_exam_options {
    int64_t batch, samples;
    bool bf16;
    uint64_t seed;
} wf_exam_options;
typedef struct wf_score {
    double accuracy; /* of the answers asked for: the largest logit is the right one */
    double nats;     /* mean per answer */
    int64_t answers;
} wf_score;
/* At the task's length, with contents that fill it. */
weft_status wf_examine(const wf_model *model, const wf_task_config *task, const wf_exam_options *options, wf_score *out,
                       weft_error *err);
#endif
