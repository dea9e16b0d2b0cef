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

void cli_put_json_string(cli_buffer *b, const char *text, size_t n) {
    char escape[8];
    cli_puts(b, "\"");
    for (const char *c = text; c < text + n; c++) {
        if (*c == '"' || *c == '\\') {
            cli_puts(b, "\\");
            cli_put(b, c, 1);
        } else if ((unsigned char)*c < 0x20) {
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(unsigned char)*c);
            cli_puts(b, escape);
        } else {
            cli_put(b, c, 1);
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
