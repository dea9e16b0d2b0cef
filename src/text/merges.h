/* merges.h - reading the merges of a tokenizer.json into a wf_model_source. */
#ifndef WF_TEXT_MERGES_H
#define WF_TEXT_MERGES_H
#include "text/engine.h"

/* What a list or an object that began at `start` goes on to hold until `end` is guessed once, from its first WF_MANY elements,
 * which end at `position`. */
enum { WF_MANY = 4096 };
size_t wf_guess_count(size_t start, size_t position, size_t end);

/* The list that `r` has just entered. */
weft_status wf_merges_read(wf_loading *l, wf_json_reader *r, wf_model_source *s);
/* Where the list seems to stand, behind the vocabulary that `r` has just entered: sets s->merges_at, and with more than one
 * thread s->is_ahead, a reader for the next function. */
void wf_merges_find(wf_loading *l, const wf_json_reader *r, wf_model_source *s);
/* Reads it into `s` before `r` is there, beside a thread that goes on with `r` and leaves the merges of `s` alone.
 * wf_merges_read then has nothing left to do, or reads them again when something was wrong, for the message. */
void wf_merges_read_ahead(const wf_loading *l, wf_model_source *s);
void wf_merges_forget(wf_model_source *s);
#endif
