/* job.h - a job is what a command does: options as JSON in, JSON and text out, progress on the way. One file per job and one
 * line in jobs.def; the facade (src/weft.c) turns each line into a public function. Jobs may include every room below the CLI.
 */
#ifndef WF_JOBS_JOB_H
#define WF_JOBS_JOB_H
#include "base/env.h"
#include "base/json.h"
#include "model/options.h"
#include "weft/weft.h"

typedef struct wf_job {
    wf_env *env;
    const wf_json *options; /* an object or NULL; keys with '_' */
    wf_arena *arena;        /* for the length of the job */
    weft_progress_fn progress;
    void *user;
    wf_json *json;      /* out: the result, in the arena */
    wf_str text;        /* out: for people */
    weft_text_fn piece; /* of jobs in texts.def, and of tokenize: takes text as it comes; may be NULL */
    weft_error *err;
} wf_job;

typedef weft_status (*wf_job_fn)(wf_job *job);

#define WF_JOB(name) weft_status wf_job_##name(wf_job *job);
#include "jobs/jobs.def"
#undef WF_JOB

/* Hands the text so far to `piece`, where there is one; WEFT_FAILURE when that wants no more. */
weft_status wf_job_hand_out(wf_job *job);
/* Those whose result is text that comes piece by piece: `piece` instead of `progress`. */
#define WF_TEXT_JOB(name) weft_status wf_job_##name(wf_job *job);
#include "jobs/texts.def"
#undef WF_TEXT_JOB

/* A tick or a line of progress; numbers unknown. */
weft_progress wf_progress_new(const char *phase, const char *subject);
void wf_job_report(const wf_job *job, const weft_progress *progress);
/* "12s" "2m" "1h" or a plain number of seconds; "1M" "10k" "2.5e6" as counts. NaN when malformed. */
double wf_parse_seconds(const char *text);
double wf_parse_count(const char *text);
/* The option as a number, given as a JSON number or as text in the forms above; `fallback` when absent. */
double wf_job_seconds(wf_options *o, const char *key, double fallback);
double wf_job_count(wf_options *o, const char *key, double fallback);
/* `value`, read from the option `key`: an error when it was given as 0. */
double wf_job_positive(wf_options *o, const char *key, double value);
/* The option as texts, given as one or as a list of them: *n is 0 when absent. The list lives in the job's arena. */
const char *const *wf_job_texts(const wf_job *job, wf_options *o, const char *key, size_t *n);
/* The option that names a model: a path, or a name in the cache of the Hugging Face hub (formats/hub.h). */
const char *wf_job_model(const wf_job *job, wf_options *o, const char *key);
/* The option `precision`: what products with weights are computed in. */
typedef enum wf_precision { WF_PRECISION_FP32, WF_PRECISION_BF16, WF_PRECISION_INT8 } wf_precision;
wf_precision wf_job_precision(wf_options *o); /* of a model that is used */
bool wf_job_bf16(wf_options *o);              /* of one that trains, which is not done in int8: whether bf16 */
const char *wf_precision_name(wf_precision precision);
#endif
