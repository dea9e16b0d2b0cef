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
/* Whether it may stand in the upper and in the lower part of a word: \p{Lu}, \p{Lt}; \p{Ll}; and \p{Lm}, \p{Lo}, \p{M} in both.
 */
enum { WF_IN_UPPER = 1, WF_IN_LOWER = 2 };
unsigned wf_char_cases_beyond_ascii(uint32_t c);
static inline unsigned wf_char_cases(uint32_t c) {
    if (c >= 128)
        return wf_char_cases_beyond_ascii(c);
    return wf_ascii_class[c] != WF_CHAR_LETTER ? 0 : c & 0x20 ? WF_IN_LOWER : WF_IN_UPPER;
}
bool wf_char_is_punctuation(uint32_t c); /* P* (as of Unicode 9, see unicode.c), or an ASCII symbol */
bool wf_char_is_word(uint32_t c);        /* \w: Alphabetic, M*, Nd, Pc, joiners */
bool wf_char_is_numeric(uint32_t c);     /* Nd, Nl, No, as of Unicode 17 */
bool wf_char_is_mark(uint32_t c);        /* M* (as of Unicode 9, see unicode_ages.h) */
bool wf_char_is_accent(uint32_t c);      /* Mn (as of Unicode 9) */
bool wf_char_is_control(uint32_t c);     /* Cc, Cf, Co, Cs (as of Unicode 9) */
uint8_t wf_char_combining(uint32_t c);   /* canonical combining class */
enum { WF_LONGEST_DECOMPOSITION = 32 };
size_t wf_char_decompose(uint32_t c,
                         uint32_t parts[WF_LONGEST_DECOMPOSITION]); /* its canonical decomposition; returns the count */
uint32_t wf_char_base(uint32_t c);                                  /* the first character of its canonical decomposition */
uint32_t wf_char_lower(uint32_t c);                                 /* its simple lower case; U+0130 is for the caller */

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
size_t wf_put_char(uint32_t c, char out[4]); /* its UTF-8 form; returns the length */
size_t wf_count_chars(const uint8_t *p, size_t n);
bool wf_utf8_valid(const uint8_t *p, size_t n);
size_t wf_utf8_valid_length(const uint8_t *p, size_t n); /* of the valid characters at the beginning */
/* How many of the bytes at p, which begin no character, count as one broken one (Unicode's "maximal subparts"), at least 1. */
size_t wf_utf8_broken(const uint8_t *p, size_t n);
/* How many bytes (0..3) at the end of p[0..n) begin a character that more bytes could complete. */
size_t wf_utf8_incomplete(const uint8_t *p, size_t n);
#endif
