/* cut.h - cutting a piece at what a pattern matches: the behaviours that the pre-tokenizers Split, Punctuation and Digits
 * share. A pre-tokenizer feeds it the whole piece from left to right, matched and unmatched stretches, and it hands on the
 * parts. */
#ifndef WF_TEXT_CUT_H
#define WF_TEXT_CUT_H
#include "text/engine.h"

typedef enum wf_cut_behavior {
    WF_CUT_REMOVED,
    WF_CUT_ISOLATED,
    WF_CUT_WITH_PREVIOUS,
    WF_CUT_WITH_NEXT,
    WF_CUT_CONTIGUOUS
} wf_cut_behavior;

typedef struct wf_cut {
    wf_encoder *e;
    int stage;
    wf_piece piece;
    wf_cut_behavior behavior;
    bool invert;
    size_t from, to; /* the part being put together */
    bool open;       /* there is one, maybe an empty one */
    bool previous;   /* the last stretch was a match */
} wf_cut;

wf_cut wf_cut_new(wf_encoder *e, int stage, wf_piece piece, wf_cut_behavior behavior, bool invert);
weft_status wf_cut_feed(wf_cut *c, size_t from, size_t to, bool match); /* empty ones that are no matches do not count */
weft_status wf_cut_end(wf_cut *c);
/* The behaviour named by the member `behavior`. */
weft_status wf_cut_load(wf_loading *l, const wf_json *j, wf_cut_behavior fallback, wf_cut_behavior *out);
#endif
