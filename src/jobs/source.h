/* source.h - the text of a job and its tokens: options `text`, `format`, `field`, `val`, `tokenizer`. */
#ifndef WF_JOBS_SOURCE_H
#define WF_JOBS_SOURCE_H
#include "jobs/job.h"
#include "train/data.h"

typedef struct wf_source {
    wf_text text, validation; /* validation empty: a share of text */
    wf_tokenizer *tokenizer;
    wf_data *data;
    bool open;
} wf_source;

typedef struct wf_source_options {
    const char *const *paths;
    size_t n_paths;
    const char *format;        /* NULL: by the name */
    const char *const *fields; /* joined by a line end; none: the usual field */
    size_t n_fields;
    const char *validation; /* a share such as "0.05", or a path; NULL: 5 % */
    const char *tokenizer;  /* "byte", "bpe:N", or a file or folder */
    int64_t context;
    uint64_t seed;
    bool packed;
} wf_source_options;

/* Loads, makes or reads the tokenizer, encodes, splits. Close also after a failure. */
weft_status wf_source_open(wf_job *job, const wf_source_options *options, wf_source *out);
void wf_source_close(wf_source *source);
/* The list `key` of the options as strings in the arena (a single string counts as a list of one). */
weft_status wf_job_strings(wf_job *job, const char *key, const char *const **out, size_t *count);
#endif
