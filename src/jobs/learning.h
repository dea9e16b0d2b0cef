/* learning.h - parts of the job `train`: its options, its model, its number of steps, its log. */
#ifndef WF_JOBS_LEARNING_H
#define WF_JOBS_LEARNING_H
#include "jobs/recipe.h"
#include "jobs/source.h"
#include "jobs/subject.h"
#include "train/checkpoint.h"
#include "train/learner.h"

typedef struct wf_training_options {
    wf_recipe recipe;
    wf_source_options source;
    const char *model, *spec, *out;
    double params, steps, tokens, seconds; /* budgets: 0 when not given */
    int64_t checkpoint_every, eval_every, eval_windows, patience;
    bool resume, force;
    wf_json *lora;     /* the config of a new adapter, which alone trains; NULL: the whole model does */
    wf_json *resolved; /* as saved in OUT/train.json */
} wf_training_options;

/* From --config, then the options themselves; --resume takes everything from OUT/train.json. */
weft_status wf_training_options_read(wf_job *job, wf_training_options *out);
/* A new model with its random start, or the model of a folder. */
weft_status wf_training_model(wf_job *job, wf_training_options *o, const wf_source *source, wf_model **out);
weft_status wf_training_folder(wf_job *job, const wf_training_options *o, const char *adapter, wf_model **out);
/* From steps, tokens or time (a short calibration on a copy); one pass over the text when nothing is given. */
weft_status wf_training_steps(wf_job *job, const wf_training_options *o, const wf_source *source, wf_model *model,
                              int64_t *steps);
/* Resolves the configuration and writes OUT/train.json. */
weft_status wf_training_save_config(wf_job *job, wf_training_options *o, int64_t steps);
/* Seconds of one of these steps, when the first are over. */
weft_status wf_time_steps(weft_status (*step)(void *arg), void *arg, double *seconds);

/* OUT/log.jsonl and OUT/log.csv, one line per step; on resume, lines after `step` are dropped. */
typedef struct wf_training_log {
    void *json, *csv;
} wf_training_log;
weft_status wf_training_log_open(const wf_mem *mem, const char *out, int64_t step, wf_training_log *log, weft_error *err);
weft_status wf_training_log_step(wf_training_log *log, int64_t step, const wf_step_result *result, double seconds,
                                 weft_error *err);
weft_status wf_training_log_eval(wf_training_log *log, int64_t step, const wf_evaluation *e, weft_error *err);
void wf_training_log_close(wf_training_log *log);
#endif
