#include "apply/records.h"
#include <string.h>
#include "base/reader.h"
#include "train/data_text.h"

typedef struct found { /* one record in the text */
    size_t start, length, line;
    size_t source; /* which of the files */
} found;

typedef struct record_source {
    const char *where;
    wf_text text;
    bool json, table;
} record_source;

struct wf_records {
    const wf_env *env;
    wf_record_field fields[WF_RECORD_FIELDS];
    size_t n_fields;
    record_source *sources;
    size_t n_sources, capacity_sources;
    found *list;
    size_t count, capacity;
    wf_arena arena;
};

/* ---- loading ---- */
static weft_status push(wf_records *r, found one, weft_error *err) {
    WF_TRY(wf_grow(&r->env->mem, (void **)&r->list, &r->capacity, r->count + 1, sizeof *r->list, err));
    r->list[r->count++] = one;
    return WEFT_OK;
}

static bool is_blank(const char *text, size_t n) {
    while (n > 0 && strchr(" \t\r", text[n - 1]))
        n--;
    return n == 0;
}

/* The lines of one document; a line end at its end begins no further line. */
static weft_status push_lines(wf_records *r, size_t source, size_t start, size_t end, weft_error *err) {
    const record_source *s = &r->sources[source];
    for (size_t at = start, line = 1, next; at < end; at = next + 1, line++) {
        const char *stop = memchr(s->text.bytes + at, '\n', end - at);
        next = stop ? (size_t)(stop - s->text.bytes) : end;
        size_t length = next - at;
        if (length && s->text.bytes[next - 1] == '\r')
            length--;
        if (!s->json || !is_blank(s->text.bytes + at, length))
            WF_TRY(push(r, (found){at, length, line, source}, err));
    }
    return WEFT_OK;
}

/* Fields that must be there: the columns of a table. */
static size_t columns_of(const wf_records *r) {
    size_t n = 0;
    for (size_t i = 0; i < r->n_fields; i++)
        n += !r->fields[i].optional;
    return n;
}

static weft_status push_all(wf_records *r, size_t source, const wf_records_options *o, weft_error *err) {
    const record_source *s = &r->sources[source];
    size_t columns = columns_of(r), rows = s->table ? s->text.count / columns : s->text.count;
    for (size_t i = 0, start = 0; i < rows; start = s->text.ends[i++]) {
        start += s->table ? 0 : wf_utf8_mark(s->text.bytes + start, s->text.ends[i] - start); /* a table has passed over it */
        if (s->table)
            WF_TRY(push(r, (found){i * columns, 0, i + 1, source}, err));
        else if (o->whole && !s->json)
            WF_TRY(push(r, (found){start, s->text.ends[i] - start, 0, source}, err));
        else
            WF_TRY(push_lines(r, source, start, s->text.ends[i], err));
    }
    return WEFT_OK;
}

static bool ends_in(const char *path, const char *ending) {
    size_t n = strlen(path), m = strlen(ending);
    n -= n > 3 && strcmp(path + n - 3, ".gz") == 0 ? 3 : 0;
    return n >= m && strncmp(path + n - m, ending, m) == 0;
}

typedef struct form {
    const char *name, *endings[2];
    bool json, table;
} form;
static const form forms[] = {{"text", {NULL, NULL}, false, false},
                             {"jsonl", {".jsonl", ".ndjson"}, true, false},
                             {"csv", {".csv", NULL}, false, true},
                             {"tsv", {".tsv", NULL}, false, true}};
enum { FORMS = sizeof forms / sizeof *forms };

static weft_status find_form(const char *path, const char *name, const form **out, weft_error *err) {
    *out = &forms[0];
    for (size_t i = 0; i < FORMS; i++) {
        if (name && strcmp(forms[i].name, name) == 0)
            return *out = &forms[i], WEFT_OK;
        for (int k = 0; !name && k < 2 && forms[i].endings[k]; k++)
            if (ends_in(path, forms[i].endings[k]))
                *out = &forms[i];
    }
    WF_CHECK(!name, err, WEFT_USAGE, "unknown format of the input '%s': text, jsonl, csv or tsv", name);
    return WEFT_OK;
}

/* Of tables only the fields that must be there are read. */
static weft_status load_one(wf_records *r, const char *path, const form *f, bool listed, weft_error *err) {
    record_source *s = &r->sources[r->n_sources];
    const char *names[WF_RECORD_FIELDS];
    size_t n = 0;
    for (size_t i = 0; f->table && i < r->n_fields; i++)
        if (!r->fields[i].optional)
            names[n++] = r->fields[i].name;
    wf_text_options how = {
        .format = f->table ? f->name : "text", .fields = names, .n_fields = n, .none = true, .listed = listed, .apart = true};
    *s = (record_source){.where = wf_streq(path, "-") ? "standard input" : path, .json = f->json, .table = f->table};
    return wf_text_load(r->env, &path, 1, &how, &s->text, err);
}

static weft_status check_fields(const wf_records *r, const char *path, const form *f, const char *named, weft_error *err) {
    size_t needed = columns_of(r);
    WF_CHECK(!named || f->json || f->table, err, WEFT_USAGE,
             "%s: lines of text have no field '%s': give JSON Lines or a table (--input)", path, named);
    for (size_t i = 0; f->table && i < r->n_fields; i++)
        WF_CHECK(r->fields[i].optional || !r->fields[i].list, err, WEFT_USAGE, "%s: '%s' is a list: it needs JSON Lines", path,
                 r->fields[i].name);
    WF_CHECK(needed <= 1 || f->json || f->table, err, WEFT_USAGE,
             "%s: lines of text have one field, here '%s' and '%s' are needed: give JSON Lines or a table (--input)", path,
             r->fields[0].name, r->fields[1].name);
    return WEFT_OK;
}

static weft_status load_file(wf_records *r, const char *path, const wf_records_options *o, bool listed, weft_error *err) {
    const form *f;
    WF_TRY(find_form(path, o->format, &f, err));
    WF_TRY(check_fields(r, wf_streq(path, "-") ? "standard input" : path, f, o->named, err));
    WF_TRY(wf_grow(&r->env->mem, (void **)&r->sources, &r->capacity_sources, r->n_sources + 1, sizeof *r->sources, err));
    r->sources[r->n_sources].text = wf_text_new(&r->env->mem);
    WF_TRY(load_one(r, path, f, listed, err));
    return push_all(r, r->n_sources++, o, err);
}

/* Each file of a folder has the format of its name. */
static weft_status load_folder(wf_records *r, const char *folder, const wf_records_options *o, weft_error *err) {
    const char *const *files;
    size_t n;
    WF_TRY(wf_text_list(r->env, &r->arena, folder, &files, &n, err));
    for (size_t i = 0; i < n; i++)
        WF_TRY(load_file(r, files[i], o, true, err));
    return WEFT_OK;
}

static weft_status load(wf_records *r, const char *const *paths, size_t n, const wf_records_options *o, weft_error *err) {
    bool standard = false;
    for (size_t i = 0; i < n; i++) {
        WF_CHECK(!standard || !wf_streq(paths[i], "-"), err, WEFT_USAGE, "standard input (-) is named twice");
        standard |= wf_streq(paths[i], "-");
        WF_TRY(wf_is_dir(paths[i]) ? load_folder(r, paths[i], o, err) : load_file(r, paths[i], o, false, err));
    }
    return WEFT_OK;
}

weft_status wf_records_load(const wf_env *env, const char *const *paths, size_t n_paths, const wf_records_options *options,
                            wf_records **out, weft_error *err) {
    WF_CHECK(options->n_fields >= 1 && options->n_fields <= WF_RECORD_FIELDS, err, WEFT_USAGE, "1 to %d fields",
             (int)WF_RECORD_FIELDS);
    wf_records *r = wf_calloc(&env->mem, 1, sizeof *r);
    if (!r)
        return wf_fail_memory(err);
    r->env = env;
    wf_arena_init(&r->arena, &env->mem, 0);
    r->n_fields = options->n_fields;
    memcpy(r->fields, options->fields, options->n_fields * sizeof *r->fields);
    weft_status status = load(r, paths, n_paths, options, err);
    if (status == WEFT_OK)
        *out = r;
    else
        wf_records_free(r);
    return status;
}

void wf_records_free(wf_records *r) {
    if (!r)
        return;
    for (size_t i = 0; i < r->n_sources; i++)
        wf_text_free(&r->sources[i].text);
    wf_free(&r->env->mem, r->sources);
    wf_free(&r->env->mem, r->list);
    wf_arena_free(&r->arena);
    wf_free(&r->env->mem, r);
}

size_t wf_records_count(const wf_records *r) { return r->count; }

/* ---- one record ---- */
weft_status wf_text_record_fail_in(const wf_text_record *record, weft_error *err) {
    if (record->line)
        return wf_fail_in(err, "%s: line %zu", record->where, record->line);
    return wf_fail_in(err, "%s", record->where);
}

static weft_status take_list(const wf_record_field *field, const wf_json *j, size_t i, wf_arena *arena, wf_text_record *out,
                             weft_error *err) {
    wf_bytes *list = wf_arena_alloc(arena, j->count * sizeof *list);
    if (!list)
        return wf_fail_memory(err);
    out->lists[i] = list;
    for (const wf_json *c = j->child; c; c = c->next) {
        WF_CHECK(c->kind == WF_JSON_STRING, err, WEFT_BAD_INPUT, "the field \"%s\" must be a list of texts", field->name);
        list[out->counts[i]++] = (wf_bytes){c->string, c->length};
    }
    return WEFT_OK;
}

static const char *nth_key(const void *user, size_t i) {
    const wf_json *c = wf_json_at(user, i);
    return c ? c->key : NULL;
}

static weft_status take_field(const wf_records *r, size_t i, const wf_json *object, wf_arena *arena, wf_text_record *out,
                              weft_error *err) {
    const wf_record_field *field = &r->fields[i];
    const wf_json *j = wf_json_get(object, field->name);
    WF_CHECK(!j || j->kind != WF_JSON_NULL || field->optional, err, WEFT_BAD_INPUT, "the field \"%s\" is null", field->name);
    if (!j || j->kind == WF_JSON_NULL) {
        const char *near = wf_nearest(field->name, nth_key, object), *shown = near            ? near
                                                                              : object->child ? object->child->key
                                                                                              : NULL;
        WF_CHECK(field->optional, err, WEFT_BAD_INPUT, "there is no field \"%s\"%s%s%s", field->name,
                 !shown ? ""
                 : near ? "; the nearest is \""
                        : "; its first is \"",
                 shown ? shown : "", shown ? "\"" : "");
        return WEFT_OK;
    }
    if (field->list && j->kind == WF_JSON_ARRAY)
        return take_list(field, j, i, arena, out, err);
    WF_CHECK(j->kind == WF_JSON_STRING, err, WEFT_BAD_INPUT, "the field \"%s\" is not a text", field->name);
    out->fields[i] = (wf_bytes){j->string, j->length};
    return WEFT_OK;
}

/* The reader saw one line: its message begins with "line 1, ". */
static weft_status fail_json(weft_error *err) {
    static const char first[] = "line 1, ";
    if (err && wf_starts_with(err->message, first))
        memmove(err->message, err->message + strlen(first), strlen(err->message) - strlen(first) + 1);
    return err ? err->status : WEFT_BAD_INPUT;
}

static weft_status get_json(const wf_records *r, wf_bytes line, wf_arena *arena, wf_text_record *out, weft_error *err) {
    wf_json *object;
    if (wf_json_parse(arena, line.data, line.length, 0, &object, err) != WEFT_OK)
        return fail_json(err);
    WF_CHECK(object->kind == WF_JSON_OBJECT, err, WEFT_BAD_INPUT, "not a JSON object");
    for (size_t i = 0; i < r->n_fields; i++)
        WF_TRY(take_field(r, i, object, arena, out, err));
    return WEFT_OK;
}

static size_t main_field(const wf_records *r) {
    for (size_t i = 0; i < r->n_fields; i++)
        if (!r->fields[i].optional)
            return i;
    return 0;
}

weft_status wf_records_get(const wf_records *r, size_t i, wf_arena *arena, wf_text_record *out, weft_error *err) {
    const found *f = &r->list[i];
    const record_source *s = &r->sources[f->source];
    const char *base = s->text.bytes ? s->text.bytes : "";
    *out = (wf_text_record){.where = s->where, .line = f->line};
    if (s->json)
        return get_json(r, (wf_bytes){base + f->start, f->length}, arena, out, err) ? wf_text_record_fail_in(out, err)
                                                                                    : WEFT_OK;
    if (!s->table) {
        out->fields[main_field(r)] = (wf_bytes){base + f->start, f->length};
        return WEFT_OK;
    }
    for (size_t k = 0, at = f->start; k < r->n_fields; k++) {
        if (r->fields[k].optional)
            continue;
        size_t begin = at ? s->text.ends[at - 1] : 0;
        out->fields[k] = (wf_bytes){base + begin, s->text.ends[at] - begin};
        at++;
    }
    return WEFT_OK;
}
