/* comparison.h - private to the job `compare`: what its parts share. */
#ifndef WF_JOBS_COMPARISON_H
#define WF_JOBS_COMPARISON_H
#include "jobs/learning.h"
#include "jobs/put.h"
#include "tasks/task.h"
#include "train/practice.h"

enum { WF_MAX_COMPARED = 64 };

typedef struct wf_lesson wf_lesson;

typedef struct wf_comparison {
    wf_job *job;
    const wf_lesson *lesson;
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
    const char *task_text;
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

/* One model of a comparison as it learns (compare_trial.c). */
typedef struct wf_trial {
    wf_comparison *c;
    wf_json *entry; /* of the model in the document */
    const char *name;
    int64_t index, steps;
    double rate, step_seconds;
    wf_model *model;
    wf_trainer *trainer; /* of the one below that the lesson opened */
    wf_learner learner;
    wf_practice practice;
} wf_trial;

/* How well a model does: what the rates are judged by, and the share of right answers, NAN where nothing is asked. */
typedef struct wf_mark {
    double loss, accuracy;
} wf_mark;

/* What models learn from, a row of `wf_lessons`: the rest of a trial is the same for all. Names are of members of the document.
 */
struct wf_lesson {
    const char *curve, *grid, *loss, *final_loss; /* a grid of rates and a curve hold `loss`, a run holds `final_loss` */
    int points;                                   /* of a curve */
    bool untrained;                               /* a curve begins before the first step */
    bool asks;                                    /* marks have an accuracy, which may end a training */
    struct {
        double seconds, params;
        int64_t batch, context; /* context 0: that of the recipe */
    } usual;
    weft_status (*read)(wf_comparison *c); /* what it needs before the models; sets `vocab` */
    void (*put_facts)(wf_comparison *c);
    weft_status (*open)(wf_trial *t, const wf_trainer_options *options); /* sets `trainer` */
    weft_status (*step)(wf_trial *t, wf_step_result *out);
    weft_status (*examine)(wf_trial *t, bool last, wf_mark *out);
    weft_status (*measure)(wf_trial *t); /* what else the first seed shows */
    void (*summary)(const wf_trial *t, char *line, size_t size);
    void (*close)(wf_trial *t);
};
extern const wf_lesson wf_lesson_text, wf_lesson_task; /* compare_text.c, compare_task.c */
/* Calibrates, tries the rates, trains and measures one model; fills its entry. A seed that its `runs` hold is not run again. */
weft_status wf_comparison_trial(wf_comparison *c, int64_t index, wf_json *entry);
double wf_trial_mean(const wf_trial *t, const char *member); /* of the runs */
void wf_trial_report(const wf_trial *t, const char *phase, int64_t step, const wf_mark *mark, double seconds_left);
/* compare_measure.c: what a trained model does. */
weft_status wf_measure_decoding(wf_comparison *c, const wf_model *model, wf_json *entry);
weft_status wf_measure_positions(wf_comparison *c, const wf_model *model, wf_json *entry);
weft_status wf_measure_sample(wf_comparison *c, const wf_model *model, wf_json *entry);
/* compare_facts.c */
void wf_put_machine(wf_comparison *c);
#endif
