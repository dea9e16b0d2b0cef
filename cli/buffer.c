#include <stdlib.h>
#include <string.h>
#include "command.h"

void cli_put(cli_buffer *b, const char *text, size_t n) {
    if (b->length + n + 1 > b->capacity) {
        size_t capacity = 2 * (b->length + n + 64);
        char *data = b->failed ? NULL : realloc(b->data, capacity);
        if (!data) {
            b->failed = true;
            return;
        }
        b->data = data;
        b->capacity = capacity;
    }
    memcpy(b->data + b->length, text, n);
    b->length += n;
    b->data[b->length] = 0;
}

void cli_puts(cli_buffer *b, const char *text) { cli_put(b, text, strlen(text)); }

/* Bytes of the character that begins here; 0: it is none (RFC 3629: no surrogates, no longer form than needed). */
static size_t character(const unsigned char *c, size_t n) {
    size_t length = c[0] < 0x80                   ? 1
                    : c[0] >= 0xC2 && c[0] < 0xE0 ? 2
                    : (c[0] & 0xF0) == 0xE0       ? 3
                    : c[0] >= 0xF0 && c[0] < 0xF5 ? 4
                                                  : 0;
    unsigned least = c[0] == 0xE0 ? 0xA0 : c[0] == 0xF0 ? 0x90 : 0x80, most = c[0] == 0xED ? 0x9F : c[0] == 0xF4 ? 0x8F : 0xBF;
    if (length > n || (length > 1 && (c[1] < least || c[1] > most)))
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((c[i] & 0xC0) != 0x80)
            return 0;
    return length;
}

/* What is no UTF-8 becomes U+FFFD, as everywhere. */
void cli_put_json_string(cli_buffer *b, const char *text, size_t n) {
    char escape[8];
    cli_puts(b, "\"");
    for (const char *c = text, *end = text + n; c < end; c++) {
        size_t length = character((const unsigned char *)c, (size_t)(end - c));
        if (*c == '"' || *c == '\\') {
            cli_puts(b, "\\");
            cli_put(b, c, 1);
        } else if ((unsigned char)*c < 0x20) {
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(unsigned char)*c);
            cli_puts(b, escape);
        } else if (length > 0) {
            cli_put(b, c, length);
            c += length - 1;
        } else {
            cli_puts(b, "\xEF\xBF\xBD");
        }
    }
    cli_puts(b, "\"");
}

static const char *digits(const char *c) {
    while (*c >= '0' && *c <= '9')
        c++;
    return c;
}

/* RFC 8259: -? (0 | [1-9] digits) (. digits)? ([eE] [+-]? digits)? */
bool cli_is_json_number(const char *text) {
    const char *c = text + (*text == '-'), *end = digits(c);
    if (end == c || (*c == '0' && end > c + 1))
        return false;
    c = end;
    if (*c == '.') {
        end = digits(c + 1);
        if (end == c + 1)
            return false;
        c = end;
    }
    if (*c == 'e' || *c == 'E') {
        c += c[1] == '+' || c[1] == '-' ? 2 : 1;
        end = digits(c);
        if (end == c)
            return false;
        c = end;
    }
    return *c == 0;
}

void cli_buffer_free(cli_buffer *b) {
    free(b->data);
    *b = (cli_buffer){0};
}

/* Edit distance with swaps of neighbours, words up to 31 characters. */
static int distance(const char *a, const char *b) {
    int row[3][33], n = (int)strlen(a), m = (int)strlen(b);
    if (n > 31 || m > 31)
        return 99;
    for (int j = 0; j <= m; j++)
        row[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *now = row[i % 3], *before = row[(i + 2) % 3], *twice = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= m; j++) {
            int best = before[j - 1] + (a[i - 1] != b[j - 1]);
            best = before[j] + 1 < best ? before[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && twice[j - 2] + 1 < best)
                best = twice[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[n % 3][m];
}

const char *cli_nearest(const char *word, const char *(*next)(const void *, int), const void *user) {
    int best = (int)strlen(word) / 3 + 2;
    const char *near = NULL, *candidate;
    for (int i = 0; (candidate = next(user, i)); i++) {
        int d = distance(word, candidate);
        if (d < best) {
            best = d;
            near = candidate;
        }
    }
    return near;
}
