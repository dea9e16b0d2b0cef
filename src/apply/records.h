/* records.h - what a command reads line by line: the lines of a text, JSON objects a line each, rows of a table. Every record
 * has the same fields.
 *
 *     wf_records *list;
 *     WF_TRY(wf_records_load(env, paths, n_paths, &(wf_records_options){.fields = fields, .n_fields = 2}, &list, err));
 *     for (size_t i = 0; i < wf_records_count(list); i++)
 *         WF_TRY(wf_records_get(list, i, &arena, &record, err));
 *
 * A blank line of a text is a record with an empty text, so that results stand in the lines of what they belong to; blank lines
 * of JSON Lines are none, and where there is nothing at all there are no records. Files, folders, standard input (`-`) and
 * gzipped ones as train/data_text.h has them. Thread rule: a list never changes once loaded. */
#ifndef WF_APPLY_RECORDS_H
#define WF_APPLY_RECORDS_H
#include "base/env.h"
#include "base/json.h"
#include "text/tokenizer.h"

enum { WF_RECORD_FIELDS = 8 };

typedef struct wf_record_field {
    const char *name;
    bool optional; /* may be missing: then its data is NULL */
    bool list;     /* of JSON: a text, or a list of texts */
} wf_record_field;

typedef struct wf_records_options {
    const char *format; /* text, jsonl, csv or tsv; NULL: by the name */
    const wf_record_field *fields;
    size_t n_fields;
    const char *named; /* a field that somebody asked for by its name: lines of text, which have none, are an error; or NULL */
    bool whole;        /* a text is one record, not its lines */
} wf_records_options;

typedef struct wf_text_record {
    const char *where; /* the file */
    size_t line;       /* of a text or of JSON Lines, or the row of a table, from 1; 0: the whole text */
    wf_bytes fields[WF_RECORD_FIELDS];
    const wf_bytes *lists[WF_RECORD_FIELDS]; /* of fields that are lists: their texts; NULL for the others */
    size_t counts[WF_RECORD_FIELDS];
} wf_text_record;

typedef struct wf_records wf_records;
/* A text has one field, the first that is not optional; lines that need more are an error that says so. */
weft_status wf_records_load(const wf_env *env, const char *const *paths, size_t n_paths, const wf_records_options *options,
                            wf_records **out, weft_error *err);
void wf_records_free(wf_records *records); /* NULL is fine */
size_t wf_records_count(const wf_records *records);
/* Record i; what had to be decoded lives in the arena. */
weft_status wf_records_get(const wf_records *records, size_t i, wf_arena *arena, wf_text_record *out, weft_error *err);
/* "reviews.jsonl: line 3" in front of the message in err. */
weft_status wf_text_record_fail_in(const wf_text_record *record, weft_error *err);
#endif
