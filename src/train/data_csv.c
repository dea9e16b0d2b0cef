/* data_csv.c - tables: CSV (RFC 4180: quotes, doubled quotes, line breaks inside quotes; semicolons where the first line has no
 * comma) and TSV (tabs, no quotes). The first record names the columns; each further one is a document. Where the columns asked
 * for are numbers, there is no such record: the first one is a document too. */
#include <string.h>

#include "train/data_text.h"

enum { FIELDS_MAX = 16, COLUMNS_MAX = 4096 };

typedef struct cell {
    const char *text;
    size_t length;
    bool quoted;
} cell; /* quoted: doubled quotes are still inside */

typedef struct table {
    const wf_text_source *source;
    const char *at, *end;
    char separator;
    bool quotes;
    size_t line;  /* of the record's beginning, from 1 */
    size_t lines; /* passed so far */
    cell *cells;  /* of the record */
    size_t n_cells, capacity;
    char **names; /* of the columns, in the arena */
    size_t n_names;
    size_t picked[FIELDS_MAX];
    size_t n_picked;
    wf_arena arena;
    weft_error *err;
} table;

static weft_status fail_line(const table *t, size_t line, const char *what) {
    return wf_fail_at(t->err, WEFT_BAD_INPUT, t->at - t->source->bytes, "%s: line %zu: %s", t->source->where, line, what);
}

/* ---- records ---- */

static weft_status read_quoted(table *t, cell *c) {
    size_t line = t->lines + 1;
    c->text = ++t->at;
    c->quoted = true;
    for (; t->at < t->end; t->at++) {
        if (*t->at == '\n')
            t->lines++;
        if (*t->at != '"')
            continue;
        if (t->at + 1 < t->end && t->at[1] == '"') {
            t->at++;
            continue;
        }
        c->length = (size_t)(t->at++ - c->text);
        if (t->at < t->end && *t->at == '\r' && (t->at + 1 == t->end || t->at[1] == '\n'))
            t->at++;
        if (t->at < t->end && *t->at != t->separator && *t->at != '\n')
            return fail_line(t, t->lines + 1, "text after a closing quote");
        return WEFT_OK;
    }
    return fail_line(t, line, "the quote that opens here is never closed");
}

static void read_bare(table *t, cell *c) {
    c->text = t->at;
    while (t->at < t->end && *t->at != t->separator && *t->at != '\n')
        t->at++;
    c->length = (size_t)(t->at - c->text);
    bool last = t->at == t->end || *t->at == '\n';
    if (last && c->length > 0 && c->text[c->length - 1] == '\r')
        c->length--;
}

/* The cells of one record; there is text left. */
static weft_status read_record(table *t) {
    t->n_cells = 0;
    t->line = t->lines + 1;
    for (;;) {
        if (t->n_cells == COLUMNS_MAX)
            return fail_line(t, t->line, "more than 4096 columns");
        WF_TRY(wf_grow(t->arena.mem, (void **)&t->cells, &t->capacity, t->n_cells + 1, sizeof *t->cells, t->err));
        cell *c = &t->cells[t->n_cells++];
        *c = (cell){0};
        if (t->quotes && t->at < t->end && *t->at == '"')
            WF_TRY(read_quoted(t, c));
        else
            read_bare(t, c);
        if (t->at == t->end)
            return WEFT_OK;
        if (*t->at++ == '\n') {
            t->lines++;
            return WEFT_OK;
        }
    }
}

static bool is_blank(const table *t) { return t->n_cells == 1 && t->cells[0].length == 0 && !t->cells[0].quoted; }

/* ---- the header ---- */

static char *name_of(table *t, const cell *c) {
    char *name = wf_arena_strndup(&t->arena, c->text, c->length);
    size_t n = 0;
    for (size_t i = 0; name && i < c->length; i++) {
        name[n++] = name[i];
        i += c->quoted && name[i] == '"';
    }
    if (name)
        name[n] = 0;
    return name;
}

static weft_status read_header(table *t) {
    WF_TRY(read_record(t));
    t->n_names = t->n_cells;
    t->names = wf_arena_alloc(&t->arena, (t->n_names + 1) * sizeof *t->names);
    if (!t->names)
        return wf_fail_memory(t->err);
    for (size_t i = 0; i < t->n_names; i++)
        if (!(t->names[i] = name_of(t, &t->cells[i])))
            return wf_fail_memory(t->err);
    return WEFT_OK;
}

static const char *name_at(const void *user, size_t i) { return ((char *const *)user)[i]; }

static weft_status pick(table *t, const char *field) {
    for (size_t i = 0; i < t->n_names; i++)
        if (wf_streq(t->names[i], field)) {
            t->picked[t->n_picked++] = i;
            return WEFT_OK;
        }
    const char *nearest = wf_nearest(field, name_at, t->names), *shown = nearest ? nearest : t->names[0];
    return wf_fail(t->err, WEFT_BAD_INPUT, "%s: there is no column \"%s\"; the %s \"%s\"%s", t->source->where, field,
                   nearest ? "nearest is" : "first is", shown,
                   nearest ? "" : " (columns of a table without a header line are 1, 2, ..)");
}

/* Columns by number, from 1, of a table whose first record is no header. */
static bool pick_numbers(table *t) {
    const wf_text_options *o = t->source->options;
    int64_t number;
    for (size_t i = 0; i < o->n_fields; i++) {
        const char *field = o->fields[i];
        if (!wf_parse_i64(field, strlen(field), &number) || number < 1 || number > (int64_t)t->n_names)
            return false;
        t->picked[i] = (size_t)number - 1;
    }
    t->n_picked = o->n_fields;
    return o->n_fields > 0;
}

static weft_status pick_columns(table *t) {
    const wf_text_options *o = t->source->options;
    WF_CHECK(o->n_fields <= FIELDS_MAX, t->err, WEFT_USAGE, "%zu columns; the limit is %d", o->n_fields, FIELDS_MAX);
    if (pick_numbers(t)) {
        t->at = t->source->bytes;
        t->lines = 0;
        return WEFT_OK;
    }
    for (size_t i = 0; i < o->n_fields; i++)
        WF_TRY(pick(t, o->fields[i]));
    if (o->n_fields == 0 && t->n_names == 1)
        t->picked[t->n_picked++] = 0;
    else if (o->n_fields == 0)
        return pick(t, "text");
    return WEFT_OK;
}

/* ---- documents ---- */

static weft_status put_cell(const table *t, const cell *c, wf_text *out) {
    const char *p = c->text, *end = c->text + c->length;
    while (c->quoted && p < end) { /* up to and with the first of two quotes */
        const char *quote = memchr(p, '"', (size_t)(end - p));
        if (!quote)
            break;
        WF_TRY(wf_text_put(out, p, (size_t)(quote + 1 - p), t->err));
        p = quote + 2;
    }
    return p < end ? wf_text_put(out, p, (size_t)(end - p), t->err) : WEFT_OK;
}

static weft_status put_record(const table *t, wf_text *out) {
    if (t->n_cells != t->n_names)
        return wf_fail_at(t->err, WEFT_BAD_INPUT, t->at - t->source->bytes, "%s: line %zu has %zu columns, the header has %zu",
                          t->source->where, t->line, t->n_cells, t->n_names);
    bool apart = t->source->options->apart;
    for (size_t i = 0; i < t->n_picked; i++) {
        if (i > 0 && !apart)
            WF_TRY(wf_text_put(out, "\n", 1, t->err));
        WF_TRY(put_cell(t, &t->cells[t->picked[i]], out));
        if (apart)
            WF_TRY(wf_text_end_any(out, t->err));
    }
    return apart ? WEFT_OK : wf_text_end_record(t->source, out, t->err);
}

static weft_status read_table(table *t, wf_text *out) {
    if (t->at == t->end)
        return WEFT_OK;
    WF_TRY(read_header(t));
    WF_TRY(pick_columns(t));
    while (t->at < t->end) {
        WF_TRY(read_record(t));
        if (!is_blank(t))
            WF_TRY(put_record(t, out));
    }
    return WEFT_OK;
}

static weft_status read_with(const wf_text_source *source, char separator, bool quotes, wf_text *out, weft_error *err) {
    table t = {.source = source,
               .at = source->bytes,
               .end = source->bytes + source->length,
               .separator = separator,
               .quotes = quotes,
               .err = err};
    wf_arena_init(&t.arena, out->mem, 0);
    weft_status status = read_table(&t, out);
    wf_arena_free(&t.arena);
    wf_free(out->mem, t.cells);
    return status;
}

/* Outside of quotes in the first line. */
static char separator_of(const wf_text_source *source) {
    bool quoted = false, semicolon = false;
    for (const char *c = source->bytes, *end = c + source->length; c < end && (quoted || *c != '\n'); c++) {
        quoted ^= *c == '"';
        if (!quoted && *c == ',')
            return ',';
        semicolon |= !quoted && *c == ';';
    }
    return semicolon ? ';' : ',';
}

static weft_status read_csv(const wf_text_source *source, wf_text *out, weft_error *err) {
    return read_with(source, separator_of(source), true, out, err);
}
static weft_status read_tsv(const wf_text_source *source, wf_text *out, weft_error *err) {
    return read_with(source, '\t', false, out, err);
}

static const char *const csv_endings[] = {".csv", NULL}, *const tsv_endings[] = {".tsv", NULL};
const wf_text_format wf_text_format_csv = {"csv", csv_endings, read_csv};
const wf_text_format wf_text_format_tsv = {"tsv", tsv_endings, read_tsv};
