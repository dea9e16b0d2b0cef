/* base64.c - with the usual alphabet. */
#include "base/base64.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int value_of(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool wf_base64_decode(const char *text, size_t n, uint8_t *out, size_t *length) {
    uint32_t bits = 0;
    size_t count = 0;
    for (int padding = 0; n > 0 && text[n - 1] == '=' && padding < 2; padding++)
        n--;
    *length = 0;
    for (size_t i = 0; i < n; i++) {
        int v = value_of(text[i]);
        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
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
