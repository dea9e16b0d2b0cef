/* summary.h - a run document (docs/run-format.md) read for people: the models' figures, and who won by which criterion. The
 * HTML report and the terminal table are both made from it. Figures that are missing or null are NaN.
 *
 * Ties. A model ties with the best when the difference is below two standard errors of a difference of means; the spread of one
 * measurement is pooled over the models, because two or three seeds say little about one. Figures that are measured once tie
 * within a margin of the criterion (2 % for speeds, 0.5 % for sizes). */
#ifndef WF_COMPARE_SUMMARY_H
#define WF_COMPARE_SUMMARY_H
#include "base/json.h"

typedef struct wf_measure { /* over the seeds */
    double mean, spread;    /* spread: standard deviation of one measurement; NaN with one seed */
    int count;
} wf_measure;

typedef struct wf_model_summary {
    const wf_json *json;
    const char *name, *pattern, *status, *note; /* pattern, note: NULL when absent */
    double params, lr, steps, tokens, passes, peak_memory;
    wf_measure loss;       /* validation, bits per byte */
    wf_measure accuracy;   /* of answers to a task, 0 to 1 */
    wf_measure train_rate; /* tokens per second */
    double decode_rate;    /* tokens per second at the longest context */
    double state_bytes;    /* at the longest context */
    bool complete;
} wf_model_summary;

enum { WF_MAX_MODELS = 64 };
enum { WF_BY_LOSS, WF_BY_ACCURACY, WF_BY_TRAINING, WF_BY_MEMORY, WF_BY_DECODING, WF_BY_STATE, WF_CRITERIA };

typedef struct wf_criterion {
    const char *name;                   /* "Best validation loss" */
    bool decided;                       /* false: no model has the figure */
    int best;                           /* index of the model */
    int ties[WF_MAX_MODELS], tie_count; /* models within the noise, the best first */
    int next;                           /* the best of the others, -1: none */
    double value;                       /* of the best */
    double next_value;                  /* of `next` */
} wf_criterion;

typedef struct wf_run_summary {
    const wf_json *json;
    wf_model_summary *models;
    int count;
    double longest;    /* the longest context decoded, NaN: none */
    int seeds;         /* most runs of a model */
    bool on_task;      /* what was learned is a task, not a text */
    bool partial;      /* interrupted, or a model that is not complete */
    double loss_noise; /* differences of mean losses below it are ties; NaN with one seed */
    wf_criterion criteria[WF_CRITERIA];
} wf_run_summary;

/* Everything lives in `arena` or points into `run`. WEFT_BAD_INPUT when it is no run document. */
weft_status wf_summarise(wf_arena *arena, const wf_json *run, wf_run_summary *out, weft_error *err);
/* The figure of a model for a criterion, and its text with the unit: "1.912 bits/byte", "3.4 MB". */
double wf_criterion_value(const wf_model_summary *m, int criterion);
void wf_criterion_text(int criterion, double value, char out[48]);

/* ---- texts of quantities, for both renderings; NaN gives a dash ---- */
void wf_text_bytes(double bytes, char out[24]);           /* "3.4 MB", decimal units */
void wf_text_count(double n, char out[24]);               /* "1.02M", "812" */
void wf_text_rate(double rate, char out[24]);             /* "18.4k", whole numbers up to four digits */
void wf_text_loss(const wf_measure *m, char out[48]);     /* "1.912 ± 0.004" */
void wf_text_accuracy(const wf_measure *m, char out[48]); /* "98.2 ± 0.4 %" */
/* The number of column `key` of `model`'s decode table at a context; NaN: not measured, or not defined there. */
double wf_decode_at(const wf_json *model, const char *key, double context);
/* Indices of the models, best first: by accuracy on a task, else by validation loss; those without a figure last. `order` holds
 * count entries. */
void wf_by_loss(const wf_run_summary *s, int *order);
#endif
