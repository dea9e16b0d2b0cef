/* subject.h - what a job works on: a model by name, pattern, spec file or folder. */
#ifndef WF_JOBS_SUBJECT_H
#define WF_JOBS_SUBJECT_H
#include "jobs/job.h"
#include "presets/presets.h"

/* The template behind --model NAME|PATTERN or --spec FILE.json (one of the two; both NULL: `llama`). A spec file may be a plain
 * spec or a template with "=expr" sizes. */
weft_status wf_subject_template(wf_job *job, const char *model, const char *spec_file, wf_json **out, weft_error *err);
/* A spec of that template: sizes solved for sizing->params where the template leaves them free, vocab and context filled in. */
weft_status wf_subject_spec(wf_job *job, const wf_json *template_, const wf_sizing *sizing, wf_json **spec, weft_error *err);
/* A name with a slash, which no preset has, is looked for in the cache of the Hugging Face hub (formats/hub.h). NULL is fine.
 */
weft_status wf_subject_find(wf_job *job, const char **name);
/* True when the name is a folder with a config.json. */
bool wf_subject_is_folder(const char *name);
#endif
