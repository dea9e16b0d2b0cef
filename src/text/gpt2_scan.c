/* gpt2_scan.c - the GPT-2 pattern, by hand: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
#include "text/engine.h"
#include "text/unicode.h"

/* Length of the contraction at `p`, which begins with an apostrophe; 0 when there is none. */
static size_t contraction(const uint8_t *p, size_t n) {
    if (n >= 2 && (p[1] == 's' || p[1] == 't' || p[1] == 'm' || p[1] == 'd'))
        return 2;
    if (n >= 3 && ((p[1] == 'r' && p[2] == 'e') || (p[1] == 'v' && p[2] == 'e') || (p[1] == 'l' && p[2] == 'l')))
        return 3;
    return 0;
}

static wf_char_class class_at(const uint8_t *p, size_t n, size_t *length) {
    uint32_t c = wf_char_at(p, n, length);
    return c == WF_NO_CHAR ? WF_CHAR_OTHER : wf_char_class_of(c);
}

/* The end of the run of `kind` that goes on at `at`. */
static size_t run_end(const uint8_t *text, size_t n, size_t at, wf_char_class kind) {
    size_t length;
    while (at < n && class_at(text + at, n - at, &length) == kind)
        at += length;
    return at;
}

/* A run of white space gives its last character to what follows, unless it is the text's end or all there is. */
static size_t space_end(const uint8_t *text, size_t n, size_t at) {
    size_t end = at, last = at, length;
    while (end < n && class_at(text + end, n - end, &length) == WF_CHAR_SPACE) {
        last = end;
        end += length;
    }
    return end == n || last == at ? end : last;
}

size_t wf_gpt2_next(const uint8_t *text, size_t n, size_t at) {
    size_t length, skip = 0;
    if (text[at] == '\'') {
        size_t c = contraction(text + at, n - at);
        if (c)
            return at + c;
    }
    wf_char_class kind = class_at(text + at, n - at, &length);
    if (text[at] == ' ' && at + 1 < n) {
        wf_char_class next = class_at(text + at + 1, n - at - 1, &length);
        if (next != WF_CHAR_SPACE) {
            kind = next;
            skip = 1;
        }
    }
    return kind == WF_CHAR_SPACE ? space_end(text, n, at) : run_end(text, n, at + skip + length, kind);
}
