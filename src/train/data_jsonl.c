/* data_jsonl.c - JSON Lines: one object a line, of which one field (or several) is a document. */
#include <string.h>

#include "base/json.h"
#include "train/data_text.h"

enum { FIELDS_MAX = 16, KEYS_SHOWN = 64 };

typedef struct line_reader {
    const wf_text_source *source;
    const char *const *fields;
    size_t n_fields;
    size_t number;    /* of the line, from 1 */
    const char *text; /* the line */
    size_t length;
    wf_str values; /* of the fields, in the order they came */
    size_t starts[FIELDS_MAX], lengths[FIELDS_MAX];
    bool seen[FIELDS_MAX];
    weft_error *err;
} line_reader;

static int64_t offset_of(const line_reader *l) { return l->text - l->source->bytes; }

/* The JSON reader saw one line: its message begins with "line 1, ". */
static weft_status fail_json(const line_reader *l) {
    if (!l->err || l->err->status != WEFT_BAD_INPUT)
        return l->err ? l->err->status : WEFT_BAD_INPUT;
    static const char first[] = "line 1, ";
    char message[WEFT_MESSAGE_SIZE];
    memcpy(message, l->err->message, sizeof message);
    const char *rest = wf_starts_with(message, first) ? message + strlen(first) : message;
    return wf_fail_at(l->err, WEFT_BAD_INPUT, offset_of(l) + l->err->offset, "%s: line %zu, %s", l->source->where, l->number,
                      rest);
}

/* ---- the message about a field that is not there: with the nearest name among those that are ---- */

typedef struct key_list {
    const char *names[KEYS_SHOWN + 1];
} key_list;
static const char *key_at(const void *user, size_t i) { return ((const key_list *)user)->names[i]; }

static void collect_keys(const line_reader *l, wf_arena *arena, key_list *out) {
    wf_json_reader r;
    wf_json_kind kind = WF_JSON_NULL;
    const char *key;
    size_t length, n = 0;
    wf_json_open(&r, arena->mem, l->text, l->length, NULL);
    if (wf_json_next(&r, &kind, NULL, NULL, NULL, NULL) == WEFT_OK)
        while (n < KEYS_SHOWN && wf_json_next(&r, &kind, &key, &length, NULL, NULL) == WEFT_OK && kind != WF_JSON_END) {
            out->names[n] = wf_arena_strndup(arena, key, length);
            n += out->names[n] != NULL;
            if ((kind == WF_JSON_ARRAY || kind == WF_JSON_OBJECT) && wf_json_skip(&r) != WEFT_OK)
                break;
        }
    out->names[n] = NULL;
    wf_json_close(&r);
}

static weft_status fail_missing(const line_reader *l, const char *field) {
    key_list keys;
    wf_arena arena;
    wf_arena_init(&arena, l->values.mem, 0);
    collect_keys(l, &arena, &keys);
    const char *nearest = wf_nearest(field, key_at, &keys), *shown = nearest ? nearest : keys.names[0];
    weft_status status = wf_fail_at(l->err, WEFT_BAD_INPUT, offset_of(l), "%s: line %zu has no field \"%s\"%s%s%s",
                                    l->source->where, l->number, field,
                                    !shown    ? ""
                                    : nearest ? "; the nearest is \""
                                              : "; its first is \"",
                                    shown ? shown : "", shown ? "\"" : "");
    wf_arena_free(&arena);
    return status;
}

/* ---- a line ---- */

static int field_index(const line_reader *l, const char *key, size_t length) {
    for (size_t i = 0; i < l->n_fields; i++)
        if (strlen(l->fields[i]) == length && memcmp(l->fields[i], key, length) == 0)
            return (int)i;
    return -1;
}

static weft_status take_value(line_reader *l, int i, wf_json_kind kind, const char *value, size_t length) {
    if (kind != WF_JSON_STRING)
        return wf_fail_at(l->err, WEFT_BAD_INPUT, offset_of(l), "%s: line %zu: the field \"%s\" is not a text",
                          l->source->where, l->number, l->fields[i]);
    if (l->seen[i])
        return wf_fail_at(l->err, WEFT_BAD_INPUT, offset_of(l), "%s: line %zu has the field \"%s\" twice", l->source->where,
                          l->number, l->fields[i]);
    l->seen[i] = true;
    l->starts[i] = l->values.length;
    l->lengths[i] = length;
    wf_str_put(&l->values, value, length);
    return l->values.failed ? wf_fail_memory(l->err) : WEFT_OK;
}

static weft_status read_object(line_reader *l, wf_json_reader *r) {
    wf_json_kind kind;
    const char *key, *value;
    size_t key_length, length;
    if (wf_json_next(r, &kind, NULL, NULL, NULL, NULL) != WEFT_OK)
        return fail_json(l);
    if (kind != WF_JSON_OBJECT)
        return wf_fail_at(l->err, WEFT_BAD_INPUT, offset_of(l), "%s: line %zu is not a JSON object", l->source->where,
                          l->number);
    for (;;) {
        if (wf_json_next(r, &kind, &key, &key_length, &value, &length) != WEFT_OK)
            return fail_json(l);
        if (kind == WF_JSON_END)
            break;
        int i = field_index(l, key, key_length);
        if (i >= 0)
            WF_TRY(take_value(l, i, kind, value, length));
        else if ((kind == WF_JSON_ARRAY || kind == WF_JSON_OBJECT) && wf_json_skip(r) != WEFT_OK)
            return fail_json(l);
    }
    return wf_json_next(r, &kind, NULL, NULL, NULL, NULL) == WEFT_OK ? WEFT_OK : fail_json(l);
}

static weft_status read_line(line_reader *l, wf_text *out) {
    wf_json_reader r;
    memset(l->seen, 0, sizeof l->seen);
    wf_str_clear(&l->values);
    wf_json_open(&r, l->values.mem, l->text, l->length, l->err);
    weft_status status = read_object(l, &r);
    wf_json_close(&r);
    WF_TRY(status);
    for (size_t i = 0; i < l->n_fields; i++) {
        if (!l->seen[i])
            return fail_missing(l, l->fields[i]);
        if (i > 0)
            WF_TRY(wf_text_put(out, "\n", 1, l->err));
        WF_TRY(wf_text_put(out, wf_str_text(&l->values) + l->starts[i], l->lengths[i], l->err));
    }
    return wf_text_end_record(l->source, out, l->err);
}

static bool is_blank(const char *p, size_t n) {
    while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t' || p[n - 1] == '\r'))
        n--;
    return n == 0;
}

static weft_status read(const wf_text_source *source, wf_text *out, weft_error *err) {
    static const char *const usual[] = {"text"};
    bool given = source->options->n_fields > 0;
    line_reader l = {.source = source,
                     .fields = given ? source->options->fields : usual,
                     .n_fields = given ? source->options->n_fields : 1,
                     .values = wf_str_new(out->mem),
                     .err = err};
    WF_CHECK(l.n_fields <= FIELDS_MAX, err, WEFT_USAGE, "%zu fields; the limit is %d", l.n_fields, FIELDS_MAX);
    weft_status status = WEFT_OK;
    for (size_t at = 0; at < source->length && status == WEFT_OK; at += l.length + 1) {
        const char *end = memchr(source->bytes + at, '\n', source->length - at);
        l.text = source->bytes + at;
        l.length = end ? (size_t)(end - l.text) : source->length - at;
        l.number++;
        if (!is_blank(l.text, l.length))
            status = read_line(&l, out);
    }
    wf_str_free(&l.values);
    return status;
}

static const char *const endings[] = {".jsonl", ".ndjson", NULL};
const wf_text_format wf_text_format_jsonl = {"jsonl", endings, read};
