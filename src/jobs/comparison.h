/* comparison.h - private to the job `compare`: what its parts share. */
#ifndef WF_JOBS_COMPARISON_H
#define WF_JOBS_COMPARISON_H
#include "jobs/learning.h"
#include "jobs/put.h"
#include "tasks/task.h"

enum { WF_MAX_COMPARED = 64 };

typedef struct wf_comparison {
    wf_job *job;
    wf_recipe recipe;
    wf_source_options source_options;
    wf_source source;
    const char *out, *command, *text_name;
    const char *const *models, *const *specs;
    size_t n_models, n_specs;
    double params, seconds, tokens, steps; /* the budget per model: exactly one of the last three */
    int64_t seeds;
    double rates[8]; /* the grid of peak rates */
    size_t n_rates;
    bool resume;
    const char *task_text; /* NULL: models learn a text */
    wf_task_config task;
    int64_t lengths[16]; /* of exams */
    size_t n_lengths;
    double stop_at; /* accuracy that ends a training */
    int64_t vocab;  /* of the models */
    wf_json *run;   /* the run document, kept on disk as it grows */
    wf_json *list;  /* its models */
} wf_comparison;

/* compare_options.c */
weft_status wf_comparison_read(wf_job *job, wf_comparison *c);
weft_status wf_comparison_plan(wf_comparison *c);  /* the document with one entry per model, specs solved */
weft_status wf_comparison_write(wf_comparison *c); /* OUT/run.json */
/* compare_model.c: calibrates, tries the rates, trains and measures one model; fills its entry. */
weft_status wf_comparison_model(wf_comparison *c, int64_t index, wf_json *entry);
/* compare_measure.c: what a trained model does. */
weft_status wf_measure_decoding(wf_comparison *c, const wf_model *model, wf_json *entry);
weft_status wf_measure_positions(wf_comparison *c, const wf_model *model, wf_json *entry);
weft_status wf_measure_sample(wf_comparison *c, const wf_model *model, wf_json *entry);
/* compare_task.c: the same for a task in the place of a text. */
weft_status wf_comparison_task_read(wf_comparison *c);
void wf_put_task_facts(wf_comparison *c);
weft_status wf_comparison_task_model(wf_comparison *c, int64_t index, wf_json *entry);
/* compare_facts.c */
void wf_put_machine(wf_comparison *c);
#endif
