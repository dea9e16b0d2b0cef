/* writing.h - what generate is asked, for one prompt (generate.c) or for many (generate_texts.c). */
#ifndef WF_JOBS_WRITING_H
#define WF_JOBS_WRITING_H
#include "apply/runner.h"
#include "gen/generate.h"
#include "jobs/beams.h"
#include "jobs/opened.h"
#include "jobs/sampling.h"

#define WF_WRITING_WORDS "max_tokens", "stop", "overflow", "context", WF_BEAM_WORDS, WF_SAMPLING_WORDS

typedef struct wf_writing {
    wf_asked asked;
    bool measured;           /* max_tokens is asked for */
    bool stops;              /* so are strings that end a text */
    wf_generate_options how; /* without what the model's files say */
} wf_writing;

void wf_writing_read(wf_job *job, wf_options *o, wf_writing *out);
/* What a prompt without tokens is: the token that begins a text, else the one that ends it, else a line break. */
weft_status wf_writing_begin(const wf_opened *m, wf_ids *ids, weft_error *err);
/* With what the model's files say; the same for every prompt. */
weft_status wf_writing_prepare(wf_job *job, const char *model, const wf_writing *w, const wf_opened *m,
                               wf_generate_options *out);
/* The text to a prompt; see wf_generate. `how`: of wf_writing_prepare. */
weft_status wf_writing_run(wf_job *job, const char *model, const wf_writing *w, const wf_opened *m, wf_generate_options how,
                           const wf_ids *prompt, wf_generation *out);
/* As many tokens as a prompt of n tokens is asked for, and the rules of all of them: what wf_generate_many needs to know. */
int64_t wf_writing_length(const wf_job *job, const char *model, const wf_writing *w, const wf_opened *m, size_t n);
wf_rules wf_writing_rules(const wf_opened *m);
#endif
