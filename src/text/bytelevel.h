/* bytelevel.h - the 256 letters that stand for bytes in byte-level vocabularies (Radford et al. 2019, GPT-2): printable Latin-1
 * bytes stand for themselves, the other 68 take U+0100 + n in order, so that every token is printable text without spaces. */
#ifndef WF_TEXT_BYTELEVEL_H
#define WF_TEXT_BYTELEVEL_H
#include <stddef.h>
#include <stdint.h>

enum { WF_LETTER_BYTES = 2 /* the longest UTF-8 form of a letter */ };

static inline uint32_t wf_letter_of_byte(uint8_t b) {
    if (b <= 0x20)
        return 0x100u + b;
    if (b >= 0x7F && b <= 0xA0)
        return 0x100u + 33u + (b - 0x7Fu);
    return b == 0xAD ? 0x143u : b;
}

/* The byte a letter stands for, -1 when it is no letter of the alphabet. */
static inline int wf_byte_of_letter(uint32_t c) {
    if (c >= 0x100u)
        return c <= 0x120u ? (int)(c - 0x100u) : c <= 0x142u ? (int)(c - 0x121u + 0x7Fu) : c == 0x143u ? 0xAD : -1;
    return c <= 0x20u || (c >= 0x7Fu && c <= 0xA0u) || c == 0xADu ? -1 : (int)c;
}

/* Writes the UTF-8 form of a byte's letter (no terminator); returns its length, 1 or 2. */
static inline size_t wf_put_letter(uint8_t b, char out[WF_LETTER_BYTES]) {
    uint32_t c = wf_letter_of_byte(b);
    if (c < 0x80u) {
        out[0] = (char)c;
        return 1;
    }
    out[0] = (char)(0xC0u | (c >> 6));
    out[1] = (char)(0x80u | (c & 0x3Fu));
    return 2;
}
#endif
