/* folder.c - see the header. */
#include "text/folder.h"

#include <stdlib.h>
#include <string.h>

#include "base/embed.h"
#include "base/json.h"
#include "base/reader.h"
#include "text/vocab.h"
#include "text/write_json.h"

typedef struct token {
    wf_bytes content;
    int64_t id;
    size_t turn; /* how many were said before it */
    bool single_word, lstrip, rstrip, normalized, special;
} token;
typedef struct tokens {
    token *data;
    size_t count;
    wf_vocab places; /* by content */
} tokens;

typedef struct adapting {
    wf_arena *arena;
    const char *folder;
    wf_bytes text;
    const wf_json *said, *specials, *added, *config; /* the files; NULL: there is none */
    const wf_json *row;                              /* of the class; NULL: none */
    wf_json *head;                                   /* the members of tokenizer.json but the model */
    wf_json *model;                                  /* its options in front of the vocabulary */
    size_t rest, end;                                /* the rest of the model: text from here to there */
    bool changed;
    bool lacks; /* a token that the row names */
    weft_error *err;
} adapting;

/* ---- tokenizer.json up to the vocabulary ---- */

static const char *const sections[] = {"added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", NULL};

static weft_status put_member(adapting *a, wf_json_reader *r, wf_json_kind kind, const char *key, size_t length,
                              wf_json *into) {
    size_t start = r->value_offset;
    wf_json *value;
    char *name = wf_arena_strndup(a->arena, key, length);
    if (kind == WF_JSON_ARRAY || kind == WF_JSON_OBJECT)
        WF_TRY(wf_json_skip(r));
    WF_TRY(wf_json_parse(a->arena, a->text.data + start, r->position - start, 0, &value, a->err));
    return name && wf_json_put(a->arena, into, name, value) ? WEFT_OK : wf_fail_memory(a->err);
}

static bool is_list(const char *key, size_t length) {
    return (length == 5 && memcmp(key, "vocab", 5) == 0) || (length == 6 && memcmp(key, "merges", 6) == 0);
}

/* The options of the model up to a list, which may have been entered. */
static weft_status read_model(adapting *a, wf_json_reader *r, bool *more, bool *entered) {
    for (;;) {
        wf_json_kind kind;
        const char *key;
        size_t length;
        WF_TRY(wf_json_next(r, &kind, &key, &length, NULL, NULL));
        *more = kind != WF_JSON_END && is_list(key, length);
        *entered = *more && (kind == WF_JSON_ARRAY || kind == WF_JSON_OBJECT);
        a->rest = kind == WF_JSON_END ? r->position - 1 : r->key_offset;
        if (kind == WF_JSON_END)
            return WEFT_OK;
        if (*more)
            return WEFT_OK;
        WF_TRY(put_member(a, r, kind, key, length, a->model));
    }
}

static bool has_all(const wf_json *head) {
    bool all = true;
    for (size_t i = 0; sections[i]; i++)
        all = all && wf_json_get(head, sections[i]);
    return all;
}

/* Where all sections stand before the model, as they do in files that Hugging Face wrote, its lists are not looked at. */
static weft_status read_members(adapting *a, wf_json_reader *r) {
    wf_json_kind kind;
    const char *key;
    size_t length;
    WF_TRY(wf_json_next(r, &kind, NULL, NULL, NULL, NULL));
    WF_CHECK(kind == WF_JSON_OBJECT, a->err, WEFT_BAD_INPUT, "tokenizer.json must hold an object (byte 0)");
    for (;;) {
        WF_TRY(wf_json_next(r, &kind, &key, &length, NULL, NULL));
        if (kind == WF_JSON_END)
            return WEFT_OK;
        bool more, entered;
        if (kind != WF_JSON_OBJECT || length != 5 || memcmp(key, "model", 5) != 0) {
            WF_TRY(put_member(a, r, kind, key, length, a->head));
            continue;
        }
        WF_TRY(read_model(a, r, &more, &entered));
        if (has_all(a->head)) {
            a->end = a->text.length;
            while (a->end > a->rest && a->text.data[a->end - 1] != '}')
                a->end--;
            a->end -= a->end > a->rest; /* the brace of the whole */
            return WEFT_OK;
        }
        for (int levels = more + entered; levels > 0; levels--)
            WF_TRY(wf_json_skip(r));
        a->end = r->position;
    }
}

static weft_status read_head(adapting *a) {
    wf_json_reader r;
    a->head = wf_json_new(a->arena, WF_JSON_OBJECT);
    a->model = wf_json_new(a->arena, WF_JSON_OBJECT);
    if (!a->head || !a->model)
        return wf_fail_memory(a->err);
    wf_json_open(&r, a->arena->mem, a->text.data, a->text.length, a->err);
    weft_status status = read_members(a, &r);
    wf_json_close(&r);
    return status;
}

/* ---- the class ---- */

static const char *text_at(const wf_json *object, const char *key) {
    const wf_json *j = wf_json_get(object, key);
    return j && j->kind == WF_JSON_STRING ? j->string : NULL;
}

static bool lists(const wf_json *list, const char *name) {
    for (const wf_json *j = list ? list->child : NULL; j && name; j = j->next)
        if (wf_streq(j->string, name))
            return true;
    return false;
}

static bool names_bytes(const adapting *a) {
    static const char word[] = "\"ByteLevel\"";
    for (const wf_json *j = a->head->child; j; j = j->next) {
        wf_str text = wf_str_new(a->arena->mem);
        wf_json_print(&text, j, 0);
        bool found = !text.failed && strstr(wf_str_text(&text), word);
        wf_str_free(&text);
        if (found)
            return true;
    }
    return false;
}

/* The class by the rules of AutoTokenizer; NULL: tokenizer.json as it is. */
static const char *class_of(const adapting *a, const wf_json *types) {
    static const char backend[] = "TokenizersBackend";
    const char *said = text_at(a->said, "tokenizer_class"), *type = text_at(a->config, "model_type"), *mapped = NULL;
    said = said ? said : text_at(a->config, "tokenizer_class");
    if (said && wf_ends_with(said, "Fast"))
        said = wf_arena_strndup(a->arena, said, strlen(said) - strlen("Fast"));
    bool wrong = lists(wf_json_get(types, "wrong"), type);
    for (const wf_json *j = types->child; j && !mapped; j = j->next)
        mapped = !wf_streq(j->key, "wrong") && lists(j, type) ? j->key : NULL;
    if (wf_json_path(a->said, "auto_map.AutoTokenizer"))
        return said;
    if (said && wf_streq(said, "LlamaTokenizer") && !wrong && names_bytes(a))
        return NULL;
    if (said && mapped && !wf_streq(said, mapped))
        return wf_streq(mapped, backend) ? NULL : wrong ? mapped : said;
    return said ? said : mapped;
}

static weft_status find_row(adapting *a) {
    const char *texts, *name = NULL;
    wf_json *types = NULL, *classes = NULL;
    WF_TRY(wf_embedded_open(a->arena, &wf_embedded_folders, &texts, a->err));
    for (const wf_embedded *e = wf_embedded_folders.list; e->name; e++)
        WF_TRY(wf_json_parse(a->arena, texts + e->at, e->size, 0, wf_streq(e->name, "types") ? &types : &classes, a->err));
    name = class_of(a, types);
    for (const wf_json *j = classes->child; j && name && !a->row; j = j->next)
        a->row = wf_streq(j->key, name) || lists(wf_json_get(j, "also"), name) ? j : NULL;
    const char *kind = text_at(a->model, "type");
    if (kind && a->row && !wf_streq(kind, wf_json_text(a->row, "kind", "")))
        a->row = NULL;
    return WEFT_OK;
}

/* ---- special tokens ---- */

static const char *const named[] = {"bos_token", "eos_token", "unk_token",  "sep_token",
                                    "pad_token", "cls_token", "mask_token", NULL};

/* Files without added_tokens_decoder have their tokens in special_tokens_map.json. */
static const wf_json *said_member(const adapting *a, const char *key) {
    const wf_json *map = wf_json_get(a->said, "added_tokens_decoder") ? NULL : wf_json_get(a->specials, key);
    return map ? map : wf_json_get(a->said, key);
}

/* A token is a text, or an object with its content. */
static const wf_json *content_of(const wf_json *j) {
    const wf_json *content = wf_json_get(j, "content");
    content = content ? content : j;
    return content && content->kind == WF_JSON_STRING ? content : NULL;
}

/* What bears one of the names; NULL: nothing. */
static const wf_json *named_token(const adapting *a, const char *name) {
    const wf_json *j = said_member(a, name);
    return j ? j : wf_json_get(wf_json_get(a->row, "tokens"), name);
}

static bool is_named(const adapting *a, wf_bytes content) {
    for (size_t i = 0; named[i]; i++) {
        const wf_json *j = content_of(named_token(a, named[i]));
        if (j && j->length == content.length && memcmp(j->string, content.data, content.length) == 0)
            return true;
    }
    return false;
}

/* The list of special tokens without a name. */
static const wf_json *extra_tokens(const adapting *a) {
    const wf_json *extra = wf_json_get(a->said, "extra_special_tokens"),
                  *more = wf_json_get(a->said, "additional_special_tokens");
    if (extra && extra->kind == WF_JSON_ARRAY && extra->count)
        return extra;
    more = more ? more : said_member(a, "additional_special_tokens");
    return more || (extra && extra->kind == WF_JSON_ARRAY) ? more : wf_json_get(a->row, "extra"); /* an empty list is one too */
}

static bool is_extra(const adapting *a, const char *content) {
    const wf_json *extra = extra_tokens(a);
    for (const wf_json *j = extra ? extra->child : NULL; j; j = j->next)
        if (content_of(j) && wf_streq(content_of(j)->string, content))
            return true;
    return false;
}

static token token_of(const wf_json *j, bool special) {
    const wf_json *content = content_of(j);
    token t = {.content = {content ? content->string : "", content ? content->length : 0},
               .id = wf_json_int(j, "id", 0),
               .single_word = wf_json_bool(j, "single_word", false),
               .lstrip = wf_json_bool(j, "lstrip", false),
               .rstrip = wf_json_bool(j, "rstrip", false),
               .special = special || wf_json_bool(j, "special", false)};
    t.normalized = wf_json_bool(j, "normalized", !t.special);
    return t;
}

/* The last one of a content counts, at the place of the first; but what was special once stays so. */
static weft_status set_token(adapting *a, tokens *list, token t) {
    bool added;
    if (!t.content.length)
        return WEFT_OK;
    WF_TRY(wf_vocab_put(&list->places, t.content.data, t.content.length, (uint32_t)list->count, &added, a->err));
    token *place = &list->data[wf_vocab_find(&list->places, t.content.data, t.content.length)->id];
    t.special = t.special || (!added && place->special);
    *place = t;
    list->count += added;
    return WEFT_OK;
}

/* Values that are to be added, each once. */
typedef struct pending {
    const wf_json **data;
    size_t count;
} pending;

/* A token that the list has not yet; the same one said in two ways is taken twice, and the last way counts. */
static void want_token(const tokens *list, const wf_json *j, pending *p) {
    const wf_json *content = content_of(j);
    if (!content || wf_vocab_find(&list->places, content->string, content->length))
        return;
    for (size_t i = 0; i < p->count; i++)
        if (wf_json_equal(p->data[i], j))
            return;
    p->data[p->count++] = j;
}

static void want_all(const tokens *list, const wf_json *many, pending *p) {
    for (const wf_json *j = many ? many->child : NULL; j; j = j->next)
        want_token(list, j, p);
}

/* By id, the later one first among equals. */
static int by_id(const void *a, const void *b) {
    const token *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return x->turn > y->turn ? -1 : 1;
}

static void put_numbered(token *data, size_t *n, token t) {
    t.turn = *n;
    data[(*n)++] = t;
}

/* Of tokens with the same id the last one said counts. */
static void sort_numbered(token *data, size_t *n) {
    size_t kept = 0;
    if (*n)
        qsort(data, *n, sizeof *data, by_id);
    for (size_t i = 0; i < *n; i++)
        if (i == 0 || data[i].id != data[i - 1].id)
            data[kept++] = data[i];
    *n = kept;
}

static weft_status gather_numbered(adapting *a, token *data, size_t *n) {
    const wf_json *decoder = wf_json_get(a->said, "added_tokens_decoder"), *file = wf_json_get(a->head, "added_tokens");
    WF_CHECK(!decoder || decoder->kind == WF_JSON_OBJECT, a->err, WEFT_BAD_INPUT,
             "tokenizer_config.json: added_tokens_decoder must be an object");
    for (const wf_json *j = decoder ? decoder->child : NULL; j; j = j->next) {
        token t = token_of(j, false);
        WF_CHECK(wf_parse_i64(j->key, strlen(j->key), &t.id), a->err, WEFT_BAD_INPUT,
                 "tokenizer_config.json: added_tokens_decoder: the id \"%s\"", j->key);
        put_numbered(data, n, t);
    }
    for (const wf_json *j = a->added && !decoder ? a->added->child : NULL; j; j = j->next) {
        token t = {.content = {j->key, strlen(j->key)}, .id = j->integer};
        t.special = is_named(a, t.content) || is_extra(a, j->key);
        t.normalized = !t.special;
        put_numbered(data, n, t);
    }
    for (const wf_json *j = file && !decoder ? file->child : NULL; j; j = j->next)
        put_numbered(data, n, token_of(j, false));
    sort_numbered(data, n);
    return WEFT_OK;
}

static weft_status add_specials(adapting *a, tokens *list, size_t most) {
    const wf_json *extra = said_member(a, "extra_special_tokens");
    pending p = {.data = wf_arena_alloc(a->arena, most * sizeof *p.data)};
    if (!p.data)
        return wf_fail_memory(a->err);
    for (size_t i = 0; named[i]; i++)
        want_token(list, named_token(a, named[i]), &p);
    for (const wf_json *j = a->said ? a->said->child : NULL; j; j = j->next) { /* names of the model's own */
        bool usual = false;
        for (size_t i = 0; named[i]; i++)
            usual = usual || wf_streq(named[i], j->key);
        if (!usual && wf_ends_with(j->key, "_token"))
            want_token(list, j, &p);
    }
    want_all(list, extra && extra->kind == WF_JSON_OBJECT ? extra : NULL, &p);
    want_all(list, extra_tokens(a), &p);
    for (size_t i = 0; i < p.count; i++)
        WF_TRY(set_token(a, list, token_of(p.data[i], true)));
    return WEFT_OK;
}

static size_t count_of(const wf_json *j) { return j ? j->count : 0; }

static weft_status fill_tokens(adapting *a, tokens *list, token *numbered, size_t most) {
    const wf_json *file = wf_json_get(a->head, "added_tokens");
    size_t n = 0;
    for (const wf_json *j = file && !a->row ? file->child : NULL; j; j = j->next)
        WF_TRY(set_token(a, list, token_of(j, false)));
    WF_TRY(gather_numbered(a, numbered, &n));
    for (size_t i = 0; i < n; i++) {
        numbered[i].special = numbered[i].special || is_named(a, numbered[i].content);
        WF_TRY(set_token(a, list, numbered[i]));
    }
    WF_TRY(add_specials(a, list, most));
    for (size_t i = 0; wf_json_bool(a->row, "resets", false) && i < list->count; i++)
        if (is_named(a, list->data[i].content))
            list->data[i] = (token){.content = list->data[i].content, .id = list->data[i].id, .special = true};
    return WEFT_OK;
}

static bool same_tokens(const tokens *list, const wf_json *file) {
    const wf_json *j = file ? file->child : NULL;
    size_t i = 0;
    for (; j && i < list->count; i++, j = j->next) {
        token t = token_of(j, false), *o = &list->data[i];
        if (t.content.length != o->content.length || memcmp(t.content.data, o->content.data, t.content.length) != 0 ||
            t.single_word != o->single_word || t.lstrip != o->lstrip || t.rstrip != o->rstrip ||
            t.normalized != o->normalized || t.special != o->special)
            return false;
    }
    return !j && i == list->count;
}

static weft_status put_flag(adapting *a, wf_json *object, const char *key, bool value) {
    return wf_json_put(a->arena, object, key, wf_json_new_bool(a->arena, value)) ? WEFT_OK : wf_fail_memory(a->err);
}

static weft_status write_token(adapting *a, const token *t, wf_json *list) {
    wf_json *o = wf_json_push(list, wf_json_new(a->arena, WF_JSON_OBJECT));
    if (!wf_json_put(a->arena, o, "id", wf_json_new_int(a->arena, t->id)) ||
        !wf_json_put(a->arena, o, "content", wf_json_new_string(a->arena, t->content.data, t->content.length)))
        return wf_fail_memory(a->err);
    WF_TRY(put_flag(a, o, "single_word", t->single_word));
    WF_TRY(put_flag(a, o, "lstrip", t->lstrip));
    WF_TRY(put_flag(a, o, "rstrip", t->rstrip));
    WF_TRY(put_flag(a, o, "normalized", t->normalized));
    return put_flag(a, o, "special", t->special);
}

static weft_status replace(adapting *a, const char *key, wf_json *value) {
    a->changed = true;
    return wf_json_put(a->arena, a->head, key, value) ? WEFT_OK : wf_fail_memory(a->err);
}

static weft_status adapt_tokens(adapting *a) {
    enum { MOST_EXTRA = 10000 };
    const wf_json *file = wf_json_get(a->head, "added_tokens");
    size_t most = count_of(file) + count_of(wf_json_get(a->said, "added_tokens_decoder")) + count_of(a->added) + 1,
           all = 2 * most + count_of(a->said) + count_of(extra_tokens(a)) + count_of(said_member(a, "extra_special_tokens")) +
                 sizeof named / sizeof *named;
    tokens list = {.data = wf_arena_alloc(a->arena, all * sizeof *list.data)};
    token *numbered = wf_arena_alloc(a->arena, most * sizeof *numbered);
    wf_json *out = wf_json_new(a->arena, WF_JSON_ARRAY);
    WF_CHECK(count_of(extra_tokens(a)) <= MOST_EXTRA && count_of(wf_json_get(a->said, "extra_special_tokens")) <= MOST_EXTRA &&
                 count_of(a->said) <= MOST_EXTRA,
             a->err, WEFT_UNSUPPORTED, "more than %d special tokens without a place", MOST_EXTRA);
    if (wf_json_get(a->head, "added_token_ids")) /* a file of weft's own, with all it needs */
        return WEFT_OK;
    if (!list.data || !numbered || !out)
        return wf_fail_memory(a->err);
    wf_vocab_init(&list.places, a->arena->mem);
    weft_status status = fill_tokens(a, &list, numbered, all);
    wf_vocab_free(&list.places);
    if (status != WEFT_OK || same_tokens(&list, file))
        return status;
    for (size_t i = 0; i < list.count; i++)
        WF_TRY(write_token(a, &list.data[i], out));
    return replace(a, "added_tokens", out);
}

/* ---- the sections of a class ---- */

static const wf_json *option(const adapting *a, const char *name) {
    const wf_json *usual = wf_json_get(wf_json_get(a->row, "options"), name), *said = wf_json_get(a->said, name);
    return usual && said && said->kind != WF_JSON_NULL ? said : usual;
}

/* The file's stage of a type. */
static const wf_json *stage_of(const wf_json *j, const char *type) {
    const wf_json *stages = wf_json_get(j, "normalizers");
    for (const wf_json *s = stages ? stages->child : j; s; s = stages ? s->next : NULL)
        if (wf_json_is_string(wf_json_get(s, "type"), type))
            return s;
    return NULL;
}

/* What "{name}" is; NULL: nothing. */
static const wf_json *value_of(adapting *a, const char *name, size_t length) {
    char *key = wf_arena_strndup(a->arena, name, length);
    const wf_json *j = key ? option(a, key) : NULL;
    j = j || !key ? j : content_of(named_token(a, key));
    j = j || !key ? j : stage_of(wf_json_get(a->head, "normalizer"), key);
    a->lacks = a->lacks || !j;
    return j;
}

static wf_json *fill_text(adapting *a, const wf_json *j) {
    const char *open = strchr(j->string, '{'), *close = open ? strchr(open, '}') : NULL;
    if (!close || strpbrk(j->string, "\\[")) /* an expression */
        return wf_json_copy(a->arena, j);
    if (open == j->string && !close[1]) {
        const wf_json *value = value_of(a, open + 1, (size_t)(close - open) - 1);
        return value ? wf_json_copy(a->arena, value) : NULL;
    }
    wf_str s = wf_str_new(a->arena->mem);
    const char *at = j->string;
    for (; open && close; open = strchr(at, '{'), close = open ? strchr(open, '}') : NULL) {
        const wf_json *value = value_of(a, open + 1, (size_t)(close - open) - 1);
        wf_str_put(&s, at, (size_t)(open - at));
        wf_str_puts(&s, value && value->kind == WF_JSON_STRING ? value->string : "");
        at = close + 1;
    }
    wf_str_puts(&s, at);
    wf_json *out = s.failed ? NULL : wf_json_new_string(a->arena, wf_str_text(&s), s.length);
    wf_str_free(&s);
    return out;
}

/* A value of a row as the folder has it; NULL: nothing. The rows are flat enough to call itself. */
static wf_json *fill(adapting *a, const wf_json *j) {
    const wf_json *condition = wf_json_get(j, "if");
    if (condition) {
        const wf_json *said = option(a, condition->string);
        bool set = said ? said->kind == WF_JSON_TRUE : stage_of(wf_json_get(a->head, "normalizer"), condition->string) != NULL;
        const wf_json *chosen = wf_json_get(j, set ? "then" : "else");
        return chosen ? fill(a, chosen) : NULL;
    }
    if (j->kind == WF_JSON_STRING)
        return fill_text(a, j);
    if (j->kind != WF_JSON_ARRAY && j->kind != WF_JSON_OBJECT)
        return wf_json_copy(a->arena, j);
    wf_json *out = wf_json_new(a->arena, j->kind);
    for (const wf_json *item = j->child; item && out; item = item->next) {
        wf_json *value = fill(a, item);
        if (value && j->kind == WF_JSON_ARRAY)
            wf_json_push(out, value);
        else if (value)
            wf_json_put(a->arena, out, item->key, value);
    }
    return out;
}

/* A template's list as one short text, so that two can be compared. */
static void spell(const wf_json *list, wf_str *out) {
    for (const wf_json *j = list && list->kind == WF_JSON_ARRAY ? list->child : NULL; j; j = j->next) {
        const wf_json *sequence = wf_json_get(j, "Sequence"), *body = sequence ? sequence : wf_json_get(j, "SpecialToken");
        wf_str_printf(out, "%s%s%s:%lld", out->length ? " " : "", sequence ? "$" : "", wf_json_text(body, "id", ""),
                      (long long)wf_json_int(body, "type_id", 0));
    }
}

static bool same_template(const adapting *a, const wf_json *file, const wf_json *row, const char *key) {
    wf_str text = wf_str_new(a->arena->mem);
    spell(wf_json_get(file, key), &text);
    bool same = !text.failed && wf_json_is_string(wf_json_get(row, key), wf_str_text(&text));
    wf_str_free(&text);
    return same;
}

static bool same_pair(const wf_json *file, const wf_json *row, const char *key) {
    const wf_json *a = wf_json_path(wf_json_get(file, key), "0"), *b = wf_json_path(wf_json_get(row, key), "0");
    return (!a && !b) || (a && b && wf_json_equal(a, b));
}

/* The same post-processor, but for the ids that the file has. */
static bool same_post(const adapting *a, const wf_json *file, const wf_json *row) {
    if (!file || !wf_json_get(file, "type") || !wf_json_equal(wf_json_get(file, "type"), wf_json_get(row, "type")))
        return false;
    if (wf_json_get(row, "single"))
        return same_template(a, file, row, "single") && same_template(a, file, row, "pair");
    return wf_json_get(file, "trim_offsets") && wf_json_get(file, "add_prefix_space") && /* without both it is BERT's */
           same_pair(file, row, "cls") && same_pair(file, row, "sep") &&
           wf_json_bool(file, "trim_offsets", true) == wf_json_bool(row, "trim_offsets", true) &&
           wf_json_bool(file, "add_prefix_space", true) == wf_json_bool(row, "add_prefix_space", true);
}

static weft_status adapt_sections(adapting *a) {
    for (size_t i = 1; sections[i]; i++) {
        const wf_json *row = wf_json_get(a->row, sections[i]), *file = wf_json_get(a->head, sections[i]);
        if (!row)
            continue;
        bool post = wf_streq(sections[i], "post_processor");
        a->lacks = false;
        wf_json *value = fill(a, row);
        if (a->lacks && post) /* it stays as it is */
            continue;
        value = value ? value : wf_json_new(a->arena, WF_JSON_NULL);
        if (!value)
            return wf_fail_memory(a->err);
        if (post ? !same_post(a, file, value) : !file || !wf_json_equal(file, value))
            WF_TRY(replace(a, sections[i], value));
    }
    const wf_json *options = wf_json_get(a->row, "model");
    for (const wf_json *j = options ? options->child : NULL; j; j = j->next) {
        const wf_json *file = wf_json_get(a->model, j->key);
        wf_json *value = fill(a, j);
        value = value ? value : wf_json_new(a->arena, WF_JSON_NULL);
        bool nothing = !file || file->kind == WF_JSON_NULL || file->kind == WF_JSON_FALSE ||
                       (file->kind == WF_JSON_STRING && !file->length);
        if (!value)
            return wf_fail_memory(a->err);
        if (file ? wf_json_equal(file, value) : false)
            continue;
        if (nothing && (value->kind == WF_JSON_NULL || value->kind == WF_JSON_FALSE))
            continue;
        a->changed = true;
        if (!wf_json_put(a->arena, a->model, j->key, value))
            return wf_fail_memory(a->err);
    }
    return WEFT_OK;
}

/* ---- options of every class ---- */

/* A clean-up of decoded text is one more decoder; none where it would spoil what pieces of bytes say. */
static weft_status adapt_decoder(adapting *a) {
    bool asked = wf_json_bool(a->said, "clean_up_tokenization_spaces", false),
         forced = wf_json_bool(a->said, "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output", false),
         bpe = wf_json_is_string(wf_json_get(a->model, "type"), "BPE");
    const wf_json *file = wf_json_get(a->head, "decoder");
    if (!asked || (bpe && !forced))
        return WEFT_OK;
    bool none = !file || file->kind == WF_JSON_NULL;
    wf_json *all = wf_json_new(a->arena, WF_JSON_OBJECT), *list = wf_json_new(a->arena, WF_JSON_ARRAY),
            *clean = wf_json_new(a->arena, WF_JSON_OBJECT);
    wf_json_put(a->arena, all, "type", wf_json_new_string(a->arena, "Sequence", 8));
    wf_json_put(a->arena, clean, "type", wf_json_new_string(a->arena, "CleanText", 9));
    wf_json_put(a->arena, clean, "between", wf_json_new_string(a->arena, " ", none ? 1 : 0));
    if (!none)
        wf_json_push(list, wf_json_copy(a->arena, file));
    if (!wf_json_push(list, clean) || !wf_json_put(a->arena, all, "decoders", list))
        return wf_fail_memory(a->err);
    return replace(a, "decoder", all);
}

static weft_status adapt_splitting(adapting *a) {
    if (!wf_json_bool(a->said, "split_special_tokens", false))
        return WEFT_OK;
    return replace(a, "split_special_tokens", wf_json_new_bool(a->arena, true));
}

/* ---- writing ---- */

static weft_status write_all(const adapting *a, wf_str *out) {
    wf_json_writer w;
    wf_json_writer_init(&w, out, 0);
    wf_jw_begin(&w, '{');
    for (const wf_json *j = a->head->child; j; j = j->next) {
        wf_jw_key(&w, j->key);
        wf_jw_json(&w, j);
    }
    wf_jw_open(&w, "model", '{');
    for (const wf_json *j = a->model->child; j; j = j->next) {
        wf_jw_key(&w, j->key);
        wf_jw_json(&w, j);
    }
    if (a->model->count && a->rest < a->end && a->text.data[a->rest] == '"')
        wf_str_putc(out, ',');
    wf_str_put(out, a->text.data + a->rest, a->end - a->rest);
    wf_str_putc(out, '}');
    return out->failed ? wf_fail_memory(a->err) : WEFT_OK;
}

static weft_status read_file(const adapting *a, const char *name, const wf_json **out) {
    char *path;
    wf_json *tree = NULL;
    WF_TRY(wf_path_inside(a->arena, a->folder, name, &path, a->err));
    if (wf_is_file(path))
        WF_TRY(wf_json_parse_file(a->arena, path, &tree, a->err));
    *out = tree && tree->kind == WF_JSON_OBJECT ? tree : NULL;
    return WEFT_OK;
}

static weft_status adapt(adapting *a, wf_str *out) {
    WF_TRY(read_file(a, "tokenizer_config.json", &a->said));
    WF_TRY(read_file(a, "special_tokens_map.json", &a->specials));
    WF_TRY(read_file(a, "added_tokens.json", &a->added));
    WF_TRY(read_file(a, "config.json", &a->config));
    if (!a->said && !a->specials && !a->added && !text_at(a->config, "model_type") && !text_at(a->config, "tokenizer_class"))
        return WEFT_OK;
    WF_TRY(read_head(a));
    WF_TRY(find_row(a));
    WF_TRY(adapt_sections(a));
    WF_TRY(adapt_tokens(a));
    WF_TRY(adapt_decoder(a));
    WF_TRY(adapt_splitting(a));
    return a->changed && a->rest ? write_all(a, out) : WEFT_OK;
}

weft_status wf_folder_adapt(const wf_mem *mem, const char *folder, wf_bytes text, wf_str *out, weft_error *err) {
    wf_arena arena;
    wf_arena_init(&arena, mem, 0);
    weft_status status = adapt(&(adapting){.arena = &arena, .folder = folder, .text = text, .err = err}, out);
    wf_arena_free(&arena);
    return status;
}
