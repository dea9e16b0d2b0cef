/* shares.h - a long list or object of a tokenizer.json, read in shares by several threads. Where a share begins is a guess: a
 * comma that looks like one between two elements. It was right if the share before it ends there, for what a reader meets
 * depends on nothing but where it is; else the container is read again in one share. */
#ifndef WF_TEXT_SHARES_H
#define WF_TEXT_SHARES_H
#include "text/loading.h"
#include "text/vocab.h"

/* A merge of a list: where its parts are in the file. Of an odd one (part of it is a copy, for it has escapes, or is very long)
 * `left_length` is WF_ODD_MERGE, and `left` its place among those. */
typedef struct wf_merge_text {
    uint32_t left, right, left_length, right_length;
} wf_merge_text;
#define WF_ODD_MERGE UINT32_MAX
typedef struct wf_odd_merge {
    size_t at; /* in the file */
    const char *left, *right;
    size_t left_length, right_length;
} wf_odd_merge;

enum { WF_SHARES = 32 };
typedef struct wf_share {
    wf_json_reader reader;
    size_t begin, stop; /* the comma before the next share, SIZE_MAX for the last one */
    size_t room_end;    /* the place in the file up to which its lists may come to hold what there is */
    bool ended;         /* it has met the end of the container */
    wf_json_kind form;  /* of merges: STRING or ARRAY; END: there is none yet */
    weft_status status;
    weft_error error;
    wf_arena copies; /* of texts that are not in the file as they are */
    /* what was read */
    wf_vocab_entry *tokens; /* this, the scores and the merges of wf_grow_big */
    double *scores;
    wf_merge_text *merges;
    wf_odd_merge *odd;
    size_t count, capacity, scores_capacity, n_odd, odd_capacity;
} wf_share;
typedef struct wf_shares {
    wf_share *list; /* [WF_SHARES]; NULL: nothing was begun */
    int n;
    char bracket;
    size_t at; /* behind the bracket */
    const wf_mem *mem;
} wf_shares;
typedef weft_status (*wf_share_fn)(const wf_loading *l, wf_share *s);

/* How many shares are worth making: several for each thread, which takes the next one when it is done. */
int wf_shares_wanted(const wf_loading *l);
/* The container whose bracket stands before `at`, a sibling of what `r` has entered or that itself, in n shares at most. `end`:
 * a place behind it. */
weft_status wf_shares_begin(const wf_loading *l, const wf_json_reader *r, char bracket, size_t at, size_t end, int n,
                            wf_shares *out);
/* Runs fn(arg, thread, i) for every i below n, on the threads. */
void wf_shares_each(const wf_loading *l, int n, void (*fn)(void *arg, int thread, int i), void *arg);
void wf_shares_free(wf_shares *s);
void wf_share_read(const wf_loading *l, wf_shares *s, int i, wf_share_fn fn); /* share i, on any thread */
/* After all shares: the status of the whole. When the shares do not fit together, or one failed, they are read again as one, so
 * that the first error of the file is what is told. */
weft_status wf_shares_settle(const wf_loading *l, const wf_json_reader *r, wf_shares *s, wf_share_fn fn);
size_t wf_shares_count(const wf_shares *s);

/* What a container that began at `start` goes on to hold until `end` is guessed once, from its first WF_MANY elements, which
 * end at `position`. */
enum { WF_MANY = 4096 };
size_t wf_guess_count(size_t start, size_t position, size_t end);
#endif
