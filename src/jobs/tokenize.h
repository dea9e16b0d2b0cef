/* tokenize.h - private to the tokenize job: what was asked for, the texts, and the job's parts. */
#ifndef WF_JOBS_TOKENIZE_H
#define WF_JOBS_TOKENIZE_H
#include "jobs/job.h"
#include "text/tokenizer.h"
#include "train/data_text.h"

typedef enum wf_tokenize_show {
    WF_SHOW_IDS,
    WF_SHOW_PIECES,
    WF_SHOW_TABLE,
    WF_SHOW_COUNT,
    WF_SHOW_TEXT,
    WF_SHOWS
} wf_tokenize_show;

typedef struct wf_tokenize_request {
    const char *tokenizer, *string, *format;
    const char *const *paths, *const *fields;
    size_t n_paths, n_fields;
    wf_tokenize_show show;
    bool lines, specials, plain, limits, bytes, skip_specials, records;
    const char *train, *compare, *chat; /* what to do; none of them and not `decode`: encode */
    bool decode;
    /* training */
    const char *out, *like;
    int64_t vocab, min_frequency; /* 0: the reference's */
    const wf_json *special_tokens, *trainer;
    /* comparing, chats */
    int64_t examples;
    const char *template_, *go_on;
    bool generation_prompt;
} wf_tokenize_request;

/* The texts of a request: documents, or their lines. */
typedef struct wf_tokenize_texts {
    wf_text text;
    wf_bytes *list;
    size_t count, capacity;
} wf_tokenize_texts;
weft_status wf_tokenize_load(wf_job *job, const wf_tokenize_request *r, wf_tokenize_texts *out);
void wf_tokenize_texts_free(wf_tokenize_texts *texts);
/* The line that begins at *at, without its end; *at becomes the place behind that. False where no line begins. */
bool wf_tokenize_next_line(const char *data, size_t *at, size_t length, wf_bytes *line);
/* Adds the lines of a text, without their ends; views into it. */
weft_status wf_tokenize_push_lines(wf_job *job, wf_tokenize_texts *t, const char *data, size_t length);

/* One text through the encoder, and shown as asked: a line (or a table) of text, a record of JSON. */
typedef struct wf_tokenize_counts {
    size_t texts, tokens, bytes;
} wf_tokenize_counts;
weft_status wf_tokenize_show_texts(wf_job *job, const wf_tokenize_request *r, const wf_tokenizer *tok, const wf_bytes *texts,
                                   size_t n, wf_tokenize_counts *counts);
unsigned wf_tokenize_flags(const wf_tokenize_request *r); /* WF_ENCODE_... */

/* Ids or counts of texts that come a few at a time. */
typedef struct wf_tokenize_ids wf_tokenize_ids;
weft_status wf_tokenize_ids_open(wf_job *job, const wf_tokenize_request *r, const wf_tokenizer *tok, wf_tokenize_counts *counts,
                                 wf_tokenize_ids **out);
weft_status wf_tokenize_ids_put(wf_tokenize_ids *s, const wf_bytes *texts, size_t n);
void wf_tokenize_ids_close(wf_tokenize_ids *s);
/* Whether the request is one for the lines of one plain file; and that. */
bool wf_tokenize_is_plain_file(const wf_tokenize_request *r);
weft_status wf_tokenize_file(wf_job *job, const wf_tokenize_request *r, const wf_tokenizer *tok, wf_tokenize_counts *counts);
/* Whether the request is one for lines of standard input, which can be told as they come; and that. */
bool wf_tokenize_streams(const wf_tokenize_request *r);
weft_status wf_tokenize_stream(wf_job *job, const wf_tokenize_request *r, const wf_tokenizer *tok, wf_tokenize_counts *counts);

void wf_tokenize_put_piece(wf_str *out, wf_bytes piece); /* in quotes, as JSON, where it holds white space or controls */

wf_json *wf_tokenize_piece_json(wf_arena *arena, wf_bytes piece);
/* A decoded or rendered text as the job's text. */
weft_status wf_tokenize_put_text(wf_job *job, const wf_tokenize_request *r, const wf_str *text);

/* The parts: each does one thing that can be asked for. */
weft_status wf_tokenize_encode(wf_job *job, const wf_tokenize_request *r);
weft_status wf_tokenize_decode(wf_job *job, const wf_tokenize_request *r);
weft_status wf_tokenize_train(wf_job *job, const wf_tokenize_request *r);
weft_status wf_tokenize_compare(wf_job *job, const wf_tokenize_request *r);
weft_status wf_tokenize_chat(wf_job *job, const wf_tokenize_request *r);
#endif
