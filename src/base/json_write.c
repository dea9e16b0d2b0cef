#include "base/json.h"
#include <math.h>
#include <string.h>

enum { WRITER_DEPTH = 64 };

/* ---- pieces ---- */

static void put_escape(wf_str *out, unsigned char c) {
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *found = c ? strchr(from, c) : NULL;
    if (found) {
        wf_str_putc(out, '\\');
        wf_str_putc(out, to[found - from]);
    } else {
        wf_str_printf(out, "\\u%04x", c);
    }
}

static bool is_plain(unsigned char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; }

void wf_json_put_string(wf_str *out, const char *text, size_t length) {
    size_t piece = 0, i = 0;
    wf_str_putc(out, '"');
    while (i < length) {
        unsigned char c = (unsigned char)text[i];
        if (is_plain(c)) {
            i++;
            continue;
        }
        int step = wf_utf8_length(text + i, length - i);
        if (step > 1) {
            i += (size_t)step;
            continue;
        }
        wf_str_put(out, text + piece, i - piece);
        if (step == 0)
            wf_str_puts(out, "\xEF\xBF\xBD");
        else
            put_escape(out, c);
        piece = ++i;
    }
    wf_str_put(out, text + piece, length - piece);
    wf_str_putc(out, '"');
}

static void put_double(wf_str *out, double value) {
    char text[32] = "null";
    if (isfinite(value))
        wf_format_double(value, text);
    wf_str_puts(out, text);
}

static void put_line(wf_str *out, int indent, int depth) {
    if (indent <= 0)
        return;
    wf_str_putc(out, '\n');
    for (int i = 0; i < indent * depth; i++)
        wf_str_putc(out, ' ');
}

/* ---- trees ---- */

static void put_leaf(wf_str *out, const wf_json *j) {
    static const char *const words[] = {[WF_JSON_NULL] = "null", [WF_JSON_FALSE] = "false", [WF_JSON_TRUE] = "true",
                                        [WF_JSON_ARRAY] = "[]",  [WF_JSON_OBJECT] = "{}",   [WF_JSON_END] = "null"};
    if (j->kind == WF_JSON_STRING)
        wf_json_put_string(out, j->string, j->length);
    else if (j->kind != WF_JSON_NUMBER)
        wf_str_puts(out, words[j->kind]);
    else if (j->string)
        wf_str_put(out, j->string, j->length);
    else
        put_double(out, j->number);
}

/* `outer` levels lie around the tree, which only matters for the indentation. */
static void put_tree(wf_str *out, const wf_json *j, int indent, int outer) {
    const wf_json *open[WF_JSON_MAX_DEPTH];
    for (int depth = 0;;) {
        if (depth > 0 && open[depth - 1]->kind == WF_JSON_OBJECT) {
            wf_json_put_string(out, j->key, strlen(j->key));
            wf_str_puts(out, indent > 0 ? ": " : ":");
        }
        if (j->child && depth < WF_JSON_MAX_DEPTH) {
            wf_str_putc(out, j->kind == WF_JSON_OBJECT ? '{' : '[');
            open[depth++] = j;
            j = j->child;
            put_line(out, indent, outer + depth);
            continue;
        }
        out->failed |= j->child != NULL; /* too deep to print */
        put_leaf(out, j);
        while (depth > 0 && !j->next) {
            j = open[--depth];
            put_line(out, indent, outer + depth);
            wf_str_putc(out, j->kind == WF_JSON_OBJECT ? '}' : ']');
        }
        if (depth == 0)
            return;
        j = j->next;
        wf_str_putc(out, ',');
        put_line(out, indent, outer + depth);
    }
}

void wf_json_print(wf_str *out, const wf_json *j, int indent) {
    if (j)
        put_tree(out, j, indent, 0);
}

/* ---- streams ---- */

void wf_json_writer_init(wf_json_writer *w, wf_str *out, int indent) {
    *w = (wf_json_writer){.out = out, .indent = indent};
    w->first[0] = true;
}

/* The comma and the line in front of an element; a value behind its name needs neither. */
static void separate(wf_json_writer *w) {
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (!w->first[w->depth])
        wf_str_putc(w->out, ',');
    if (w->depth > 0)
        put_line(w->out, w->indent, w->depth);
    w->first[w->depth] = false;
}

void wf_jw_begin(wf_json_writer *w, char open) {
    separate(w);
    wf_str_putc(w->out, open);
    if (w->depth + 1 >= WRITER_DEPTH) {
        w->out->failed = true;
        return;
    }
    w->first[++w->depth] = true;
}

void wf_jw_end(wf_json_writer *w, char close) {
    if (w->depth == 0) {
        w->out->failed = true;
        return;
    }
    bool empty = w->first[w->depth--];
    if (!empty)
        put_line(w->out, w->indent, w->depth);
    wf_str_putc(w->out, close);
}

void wf_jw_key(wf_json_writer *w, const char *key) {
    separate(w);
    wf_json_put_string(w->out, key, strlen(key));
    wf_str_puts(w->out, w->indent > 0 ? ": " : ":");
    w->after_key = true;
}

void wf_jw_string_n(wf_json_writer *w, const char *text, size_t length) {
    separate(w);
    wf_json_put_string(w->out, text, length);
}

void wf_jw_string(wf_json_writer *w, const char *text) {
    if (text)
        wf_jw_string_n(w, text, strlen(text));
    else
        wf_jw_null(w);
}

void wf_jw_int(wf_json_writer *w, int64_t value) {
    separate(w);
    char text[24];
    if (value < 0)
        wf_str_putc(w->out, '-');
    wf_str_put(w->out, text, wf_format_u64(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, text));
}

void wf_jw_double(wf_json_writer *w, double value) {
    separate(w);
    put_double(w->out, value);
}

void wf_jw_float(wf_json_writer *w, float value) {
    char text[32] = "null";
    separate(w);
    if (isfinite(value))
        wf_format_float(value, text);
    wf_str_puts(w->out, text);
}

void wf_jw_bool(wf_json_writer *w, bool value) {
    separate(w);
    wf_str_puts(w->out, value ? "true" : "false");
}

void wf_jw_null(wf_json_writer *w) {
    separate(w);
    wf_str_puts(w->out, "null");
}

void wf_jw_raw(wf_json_writer *w, const char *text, size_t length) {
    separate(w);
    wf_str_put(w->out, text, length);
}

void wf_jw_json(wf_json_writer *w, const wf_json *j) {
    separate(w);
    if (j)
        put_tree(w->out, j, w->indent, w->depth);
    else
        wf_str_puts(w->out, "null");
}
