/* apply.h - what the commands have in common that send texts through a model and give a line for each: embed, classify, tag,
 * answer, fill, rerank, translate, generate with texts. A command is a row: which head it needs, what its records hold, what
 * becomes of the logits; the frame opens the model, reads the records, encodes a window of them over the threads, runs their
 * sequences in batches of similar length and has the lines written in the order of the records.
 *
 * Lines go to job->piece as they are ready, else all of them are the text of the result. A record that cannot be asked (a field
 * that is missing, a text without what the command looks for) ends the run with an error that names its line, behind the lines
 * of those in front of it. */
#ifndef WF_JOBS_APPLY_H
#define WF_JOBS_APPLY_H
#include "apply/facts.h"
#include "apply/records.h"
#include "apply/runner.h"
#include "apply/translator.h"
#include "jobs/job.h"
#include "jobs/opened.h"

typedef struct wf_apply wf_apply;

typedef struct wf_apply_input { /* what the tokenizer gets; pair.data NULL: one text */
    wf_bytes text, pair;
} wf_apply_input;

typedef struct wf_apply_item { /* a record of the window */
    size_t number;             /* among all records, from 0 */
    wf_text_record record;
    wf_apply_input *inputs; /* [n]: one, but where a record makes several */
    wf_encoding *codes;     /* [n] */
    size_t n, first;        /* first: of its sequences in the window */
    size_t n_sequences;
    void *own; /* the row's, in the arena of the window */
} wf_apply_item;

typedef struct wf_apply_row {
    const char *name;
    const char *const *heads;                        /* kinds that serve, the first is the one to name; NULL: none is needed */
    const char *const *words;                        /* its own options, ended by NULL */
    bool whole;                                      /* a text file is one record */
    bool pools;                                      /* one result for the whole text, which may have no tokens */
    bool empties;                                    /* of a text without tokens the result is empty, unasked */
    size_t own;                                      /* bytes of its own state, zeroed */
    weft_status (*read)(wf_apply *a, wf_options *o); /* its options, the fields of the records */
    weft_status (*prepare)(wf_apply *a);             /* the model is open, the runner is not; may be NULL */
    weft_status (*inputs)(wf_apply *a, wf_apply_item *item); /* NULL: the first field, and the second as its pair */
    /* A sequence, before it runs; `code` is input k of the item, or one of its windows. May be NULL. */
    weft_status (*ready)(wf_apply *a, wf_apply_item *item, const wf_encoding *code, wf_sequence *sequence);
    /* The result of sequence `index` of the item; see wf_sequence_fn. */
    weft_status (*take)(wf_apply *a, wf_apply_item *item, size_t index, const wf_encoding *code, const float *values,
                        int64_t rows, int64_t columns);
    /* Instead of `take`: the row's model writes a text to each sequence (apply/translator.h), as `a->writing` says, which
     * `prepare` fills in; see wf_translated_fn. */
    weft_status (*written)(wf_apply *a, wf_apply_item *item, const wf_translated *text);
    /* Instead of all of them: what becomes of the items of a window, each put (wf_apply_put) as it is done, in order. An item
     * without tokens has no sequence; those of the others begin at `first`. */
    weft_status (*together)(wf_apply *a, wf_apply_item *items, size_t n, const wf_sequence *sequences);
    weft_status (*put)(wf_apply *a, wf_apply_item *item); /* all sequences are done: its line into a->line */
    weft_status (*end)(wf_apply *a);                      /* after the last record; may be NULL */
    void (*close)(wf_apply *a);                           /* may be NULL */
} wf_apply_row;

struct wf_apply {
    wf_job *job;
    const wf_apply_row *row;
    void *own;
    const char *model, *folder; /* as given; of the transformer itself */
    bool json;                  /* lines are JSON objects */
    bool body;                  /* the model is opened without its heads */
    wf_precision precision;
    bool windowed; /* what truncation cuts off becomes further sequences; else it is counted and told */
    wf_records_options records;
    wf_record_field fields[WF_RECORD_FIELDS];
    size_t joined;         /* the first so many fields are one text, a line each */
    int64_t limit, stride; /* tokens of a sequence, 0: the model's own; of overlap between windows */
    wf_runner_options how;
    wf_translator_options writing;
    wf_truncation cut;
    wf_opened m;
    wf_facts facts;
    int head; /* -1: none */
    wf_records *list;
    wf_runner *runner; /* one of the two */
    wf_translator *translator;
    wf_arena arena; /* of the window */
    wf_str line;
    size_t texts, tokens, truncated, first_truncated; /* counts; the number of the first one */
};

weft_status wf_apply_run(wf_job *job, const wf_apply_row *row);
extern const wf_apply_row wf_apply_embed;    /* embed.c */
extern const wf_apply_row wf_apply_generate; /* generate_texts.c */
/* The parts of it, for measuring: all is open and read; every record is run, any number of times. Close after a failure too. */
weft_status wf_apply_open(wf_apply *a, wf_job *job, const wf_apply_row *row);
weft_status wf_apply_records(wf_apply *a);
void wf_apply_close(wf_apply *a);
/* Hands out a->line (one line or several) and empties it. */
weft_status wf_apply_put(wf_apply *a);
/* Fields by the option `field`, else these. With more names than fields the first ones are joined by a line end. */
weft_status wf_apply_fields(wf_apply *a, wf_options *o, const char *const *usual, size_t n);
weft_status wf_apply_usual_inputs(wf_apply *a, wf_apply_item *item);
/* The names of the head's classes: LABEL_0, .. where it has none. In the job's arena. */
weft_status wf_apply_labels(wf_apply *a, const char *const **out);
/* The n best of a list, best first; ties by index. `order` [count] in the arena of the window. */
weft_status wf_apply_best(wf_apply *a, const float *scores, size_t count, size_t n, size_t **order);
void wf_apply_put_score(wf_str *out, float score); /* behind a tab, six digits */
void wf_apply_softmax(const float *logits, int64_t n, float *out);
/* A text in a line of text: quoted like JSON where a tab or a line end is in it. */
void wf_apply_put_text(wf_str *out, wf_bytes text);
#endif
