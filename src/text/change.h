/* change.h - text on its way through the pipeline, and changing it: each step of a change says what it does to the characters
 * of the old text, so that every byte of the new one knows which stretch of the original it comes from. The rules are those of
 * the reference's NormalizedString (tokenizers, normalizer.rs: transform_range). */
#ifndef WF_TEXT_CHANGE_H
#define WF_TEXT_CHANGE_H
#include "base/str.h"
#include "text/tokenizer.h"

/* `letters`: a ByteLevel stage was passed; each byte now stands for its letter. */
typedef struct wf_piece {
    const uint8_t *bytes;
    size_t length;
    const wf_span *align; /* per byte, the stretch of the original; NULL: the bytes are the original's own (or nobody asks) */
    size_t origin;        /* where in the original the piece begins */
    bool letters;
} wf_piece;

static inline wf_piece wf_piece_part(wf_piece p, size_t from, size_t to) {
    return (wf_piece){p.bytes + from, to - from, p.align ? p.align + from : NULL,
                      p.align ? p.align[from].start : p.origin + from, p.letters};
}
/* The stretch of the original behind bytes [from, to) of a piece; empty ones and those outside are as the reference has them.
 */
wf_span wf_piece_span(wf_piece p, wf_bytes original, size_t from, size_t to);

/* A change in progress. Without alignment only the text is kept. */
typedef struct wf_change {
    wf_str text;
    bool aligned;
    wf_span *align; /* per byte of text */
    size_t align_count, align_capacity;
    wf_piece in; /* the old text */
    wf_bytes original;
    size_t taken; /* bytes of the old text that are accounted for */
    bool failed;
} wf_change;

wf_change wf_change_new(const wf_mem *mem);
void wf_change_free(wf_change *c);
void wf_change_start(wf_change *c, wf_piece in, wf_bytes original, bool aligned);
/* A character (c; or one byte that is no UTF-8) takes the place of the next old one. `by` > 0: it is put in beside the one
 * before instead; `by` < 0: it takes the place of 1 - by old ones. */
void wf_change_char(wf_change *c, uint32_t character, int64_t by);
void wf_change_raw(wf_change *c, uint8_t byte);
/* A text whose characters are all put in (`by` > 0), or all take the place of one old character each. */
void wf_change_text(wf_change *c, const char *text, size_t length, int by);
void wf_change_keep(wf_change *c, size_t n);           /* the next n bytes of the old text stay */
void wf_change_drop(wf_change *c, int64_t characters); /* the next old characters are gone */
/* Text with a stretch of the original of its own. */
void wf_change_put(wf_change *c, const char *text, size_t length, wf_span span);
weft_status wf_change_status(const wf_change *c, weft_error *err);
/* The new text as a piece. */
wf_piece wf_change_piece(const wf_change *c);
#endif
