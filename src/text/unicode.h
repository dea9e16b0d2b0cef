/* unicode.h - characters and their classes, as the tokenizers see them. Bytes that are not valid UTF-8 are characters of one
 * byte without a number (WF_NO_CHAR), of no class but OTHER. */
#ifndef WF_TEXT_UNICODE_H
#define WF_TEXT_UNICODE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WF_NO_CHAR UINT32_MAX

typedef enum wf_char_class { WF_CHAR_OTHER, WF_CHAR_LETTER, WF_CHAR_NUMBER, WF_CHAR_SPACE } wf_char_class;

extern const uint8_t wf_ascii_class[128];
wf_char_class wf_char_class_beyond_ascii(uint32_t c);

/* \p{L}, \p{N}, \s (White_Space), or none of them. */
static inline wf_char_class wf_char_class_of(uint32_t c) {
    return c < 128 ? (wf_char_class)wf_ascii_class[c] : wf_char_class_beyond_ascii(c);
}
bool wf_char_is_punctuation(uint32_t c); /* P* (as of Unicode 9, see unicode.c), or an ASCII symbol */
bool wf_char_is_word(uint32_t c);        /* \w: Alphabetic, M*, Nd, Pc, joiners */
uint8_t wf_char_combining(uint32_t c);   /* canonical combining class */

/* The character at `p` and its length in bytes (1..4); n > 0. */
uint32_t wf_char_beyond_ascii(const uint8_t *p, size_t n, size_t *length);
static inline uint32_t wf_char_at(const uint8_t *p, size_t n, size_t *length) {
    if (p[0] < 128) {
        *length = 1;
        return p[0];
    }
    return wf_char_beyond_ascii(p, n, length);
}
/* The character that ends at p + n (n > 0); `length` as above. */
uint32_t wf_char_before(const uint8_t *p, size_t n, size_t *length);
/* How many bytes (0..3) at the end of p[0..n) begin a character that more bytes could complete. */
size_t wf_utf8_incomplete(const uint8_t *p, size_t n);
#endif
