/* base64.c - with the usual alphabet. */
#include "base/base64.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* What is no letter has the highest bit. */
static inline uint32_t value_of(char c) {
    /* of '+' to 'z': 62 more, '$' for none */
    static const char values[] = "|$$$}rstuvwxyz{$$$$$$$>?@ABCDEFGHIJKLMNOPQRSTUVW$$$$$$XYZ[\\]^_`abcdefghijklmnopq";
    unsigned at = (unsigned)(unsigned char)c - '+';
    return (at < sizeof values - 1 ? (uint32_t)(unsigned char)values[at] : '$') - 62;
}

bool wf_base64_decode(const char *text, size_t n, uint8_t *out, size_t *length) {
    uint32_t bits = 0;
    size_t count = 0;
    for (int padding = 0; n > 0 && text[n - 1] == '=' && padding < 2; padding++)
        n--;
    *length = 0;
    for (; count + 4 <= n; count += 4, *length += 3) {
        uint32_t a = value_of(text[count]), b = value_of(text[count + 1]), c = value_of(text[count + 2]),
                 d = value_of(text[count + 3]);
        if ((a | b | c | d) >> 31)
            return false;
        bits = a << 18 | b << 12 | c << 6 | d;
        out[*length] = (uint8_t)(bits >> 16);
        out[*length + 1] = (uint8_t)(bits >> 8);
        out[*length + 2] = (uint8_t)bits;
    }
    for (size_t i = count; i < n; i++) {
        uint32_t v = value_of(text[i]);
        if (v >> 31)
            return false;
        bits = bits << 6 | v;
        if (++count % 4 != 1)
            out[(*length)++] = (uint8_t)(bits >> (6 - 2 * ((count - 1) % 4)));
    }
    return n % 4 != 1;
}

void wf_base64_encode(const uint8_t *data, size_t n, wf_str *out) {
    for (size_t i = 0; i < n; i += 3) {
        uint32_t bits = (uint32_t)data[i] << 16 | (i + 1 < n ? (uint32_t)data[i + 1] << 8 : 0) | (i + 2 < n ? data[i + 2] : 0u);
        wf_str_putc(out, letters[bits >> 18]);
        wf_str_putc(out, letters[bits >> 12 & 63]);
        wf_str_putc(out, i + 1 < n ? letters[bits >> 6 & 63] : '=');
        wf_str_putc(out, i + 2 < n ? letters[bits & 63] : '=');
    }
}
