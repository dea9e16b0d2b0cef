/* postprocessors.c - the table of post-processors: what is put around a text, or around a pair of them. */
#include <string.h>

#include "text/bytelevel.h"
#include "text/engine.h"
#include "text/unicode.h"

/* A special token of a template: one name, one or more ids with a text each. */
typedef struct special {
    const char *name;
    size_t count;
    const uint32_t *ids; /* NULL: one that is named, but not known */
    const wf_bytes *texts;
} special;

static weft_status push_special(wf_encoding *g, const special *s, uint32_t type, weft_error *err) {
    WF_CHECK(s->ids, err, WEFT_BAD_INPUT, "post_processor: the template names \"%s\", which special_tokens does not define",
             s->name);
    for (size_t i = 0; i < s->count; i++) {
        wf_entry x = {
            .id = s->ids[i], .type = type, .word = -1, .sequence = -1, .special = 1, .attention = 1, .piece = s->texts[i]};
        WF_TRY(wf_encoding_push(g, &x, err));
    }
    return WEFT_OK;
}

/* ---- offsets without blanks ---- */

static bool is_blank(uint32_t c) {
    return c != WF_NO_CHAR && (c == wf_letter_of_byte(' ') || wf_char_class_of(c) == WF_CHAR_SPACE);
}

static uint32_t blanks_before(wf_bytes text) {
    uint32_t n = 0;
    for (size_t i = 0, length;
         i < text.length && is_blank(wf_char_at((const uint8_t *)text.data + i, text.length - i, &length)); i += length)
        n++;
    return n;
}

static uint32_t blanks_behind(wf_bytes text) {
    uint32_t n = 0;
    for (size_t length; text.length && is_blank(wf_char_before((const uint8_t *)text.data, text.length, &length));
         text.length -= length)
        n++;
    return n;
}

static void trim(wf_encoding *g, bool prefix_space) {
    for (size_t i = 0; i < g->count; i++) {
        uint32_t before = blanks_before(g->pieces[i]), behind = blanks_behind(g->pieces[i]);
        wf_span *s = &g->spans[i];
        if (prefix_space && before == 1 && (i == 0 || s->start == 0))
            before = 0; /* it was put there: before a text that begins with a blank none is */
        if (before)
            s->start = s->start + before < s->end ? s->start + before : s->end;
        if (behind && s->end >= behind)
            s->end = s->end - behind > s->start ? s->end - behind : s->start;
    }
    for (size_t i = 0; i < g->n_overflow; i++)
        trim(&g->overflow[i], prefix_space); /* overflow has none of its own */
}

typedef struct trimming {
    bool trim, prefix_space;
} trimming;

static weft_status load_trimming(wf_loading *l, const wf_json *j, trimming *o) {
    WF_TRY(wf_load_bool(l, j, "trim_offsets", true, &o->trim));
    return wf_load_bool(l, j, "add_prefix_space", true, &o->prefix_space);
}

static void trim_parts(const trimming *o, wf_parts *parts) {
    for (size_t i = 0; o->trim && i < parts->count; i++)
        trim(&parts->list[i], o->prefix_space);
}

/* ---- ByteLevel ---- */

static weft_status load_byte_level(wf_loading *l, const wf_json *j, void **options) {
    WF_TRY(wf_load_options(l, sizeof(trimming), options));
    return load_trimming(l, j, *options);
}

static size_t added_nothing(const void *options, bool pair) { return 0; }

static weft_status process_byte_level(const void *options, wf_parts *parts, bool specials, weft_error *err) {
    trim_parts(options, parts);
    return WEFT_OK;
}

/* ---- BertProcessing and RobertaProcessing ---- */

/* The members tell the two apart, not the type: so does the reference. */
typedef struct cls_sep {
    special cls, sep;
    bool roberta;
    trimming trimming;
} cls_sep;

/* A token of the vocabulary, by its name alone. */
static weft_status find_special(wf_loading *l, const wf_json *at, const char *name, special *s) {
    const wf_vocab_entry *e = wf_vocab_find(&l->tok->added_vocab, name, strlen(name));
    e = e ? e : wf_vocab_find(wf_outer_vocab(l->tok), name, strlen(name));
    if (!e)
        return wf_load_fail(l, WEFT_BAD_INPUT, at, "\"%s\" is not in the vocabulary", name);
    uint32_t *id = wf_arena_alloc(l->arena, sizeof *id);
    wf_bytes *text = wf_arena_alloc(l->arena, sizeof *text);
    if (!id || !text)
        return wf_fail_memory(l->err);
    *id = e->id;
    *text = (wf_bytes){name, strlen(name)};
    *s = (special){name, 1, id, text};
    return WEFT_OK;
}

/* ["<s>", 0], or weft's own ["<s>"] */
static weft_status load_named_id(wf_loading *l, const wf_json *object, const char *key, special *s) {
    const wf_json *pair = wf_json_get(object, key);
    if (!pair || pair->kind != WF_JSON_ARRAY || pair->count < 1 || pair->count > 2 || pair->child->kind != WF_JSON_STRING)
        return wf_load_fail(l, WEFT_BAD_INPUT, pair ? pair : object, "%s must be a token and its id", key);
    if (pair->count == 1)
        return find_special(l, pair, pair->child->string, s);
    uint32_t *id = wf_arena_alloc(l->arena, sizeof *id);
    wf_bytes *text = wf_arena_alloc(l->arena, sizeof *text);
    if (!id || !text)
        return wf_fail_memory(l->err);
    WF_TRY(wf_load_id(l, wf_json_at(pair, 1), id));
    *text = (wf_bytes){pair->child->string, pair->child->length};
    *s = (special){text->data, 1, id, text};
    return WEFT_OK;
}

static weft_status load_cls_sep(wf_loading *l, const wf_json *j, void **options) {
    WF_TRY(wf_load_options(l, sizeof(cls_sep), options));
    cls_sep *o = *options;
    o->roberta = wf_json_get(j, "trim_offsets") && wf_json_get(j, "add_prefix_space");
    WF_TRY(load_trimming(l, j, &o->trimming));
    WF_TRY(load_named_id(l, j, "cls", &o->cls));
    return load_named_id(l, j, "sep", &o->sep);
}

static size_t added_cls_sep(const void *options, bool pair) {
    const cls_sep *o = options;
    return !pair ? 2 : o->roberta ? 4 : 3;
}

/* Nothing inside is special any more: so does the reference, where several processors follow each other. */
static void make_plain(wf_encoding *g) {
    if (g->count)
        memset(g->special, 0, g->count * sizeof *g->special);
    for (size_t i = 0; i < g->n_overflow; i++)
        make_plain(&g->overflow[i]);
}

/* before, the part, sep: for the part and for what was cut off it. */
static weft_status surround(wf_encoding *g, const special *before, const special *after, uint32_t type, weft_error *err) {
    wf_encoding whole = wf_encoding_new(g->arena.mem), end = wf_encoding_new(g->arena.mem);
    make_plain(g);
    weft_status status = before ? push_special(&whole, before, type, err) : WEFT_OK;
    if (status == WEFT_OK)
        status = wf_encoding_join(&whole, g, err);
    if (status == WEFT_OK)
        status = push_special(&end, after, type, err);
    if (status == WEFT_OK)
        status = wf_encoding_join(&whole, &end, err);
    wf_encoding_free(&end);
    wf_encoding old = *g;
    *g = whole;
    wf_encoding_free(&old);
    return status;
}

static weft_status process_bert(const cls_sep *o, wf_parts *parts, bool specials, weft_error *err) {
    for (size_t i = 0; specials && i < parts->count; i++)
        WF_TRY(surround(&parts->list[i], i ? NULL : &o->cls, &o->sep, i > 0, err));
    return WEFT_OK;
}

static void clear_types(wf_encoding *g) {
    if (g->count)
        memset(g->types, 0, g->count * sizeof *g->types);
}

static weft_status process_roberta(const cls_sep *o, wf_parts *parts, bool specials, weft_error *err) {
    trim_parts(&o->trimming, parts);
    for (size_t i = 0; i < parts->count; i++) {
        wf_encoding *g = &parts->list[i];
        clear_types(g);
        for (size_t j = 0; specials && j < g->n_overflow; j++)
            clear_types(&g->overflow[j]); /* without special tokens what was cut off keeps its types */
        if (specials)
            WF_TRY(surround(g, i ? &o->sep : &o->cls, &o->sep, 0, err));
    }
    return WEFT_OK;
}

static weft_status process_cls_sep(const void *options, wf_parts *parts, bool specials, weft_error *err) {
    const cls_sep *o = options;
    return (o->roberta ? process_roberta : process_bert)(o, parts, specials, err);
}

/* ---- TemplateProcessing ---- */

typedef struct template_item {
    const special *special; /* or a text: */
    int sequence;           /* 0 A, 1 B */
    uint32_t type;
} template_item;
typedef struct template_list {
    template_item *items;
    size_t count;
} template_list;
typedef struct template {
    template_list single, pair;
    special *specials;
    size_t n_specials;
    bool by_name; /* weft's own: short items name tokens of the vocabulary */
}
template;

static weft_status load_special_ids(wf_loading *l, const wf_json *j, special *s) {
    const wf_json *ids = wf_json_get(j, "ids"), *tokens = wf_json_get(j, "tokens");
    if (!ids || !tokens || ids->kind != WF_JSON_ARRAY || tokens->kind != WF_JSON_ARRAY || ids->count != tokens->count)
        return wf_load_fail(l, WEFT_BAD_INPUT, j, "a special token needs ids and as many tokens");
    uint32_t *numbers = wf_arena_alloc(l->arena, (ids->count + 1) * sizeof *numbers);
    wf_bytes *texts = wf_arena_alloc(l->arena, (ids->count + 1) * sizeof *texts);
    if (!numbers || !texts)
        return wf_fail_memory(l->err);
    const wf_json *token = tokens->child;
    for (const wf_json *id = ids->child; id; id = id->next, token = token->next) {
        if (token->kind != WF_JSON_STRING)
            return wf_load_fail(l, WEFT_BAD_INPUT, token, "a token must be a text");
        WF_TRY(wf_load_id(l, id, &numbers[s->count]));
        texts[s->count++] = (wf_bytes){token->string, token->length};
    }
    s->ids = numbers;
    s->texts = texts;
    return WEFT_OK;
}

static weft_status load_specials(wf_loading *l, const wf_json *list, template *o) {
    if (list && list->kind != WF_JSON_OBJECT)
        return wf_load_fail(l, WEFT_BAD_INPUT, list, "special_tokens must be an object");
    o->specials = wf_arena_alloc(l->arena, (list ? list->count + 1 : 1) * sizeof *o->specials);
    if (!o->specials)
        return wf_fail_memory(l->err);
    for (const wf_json *j = list ? list->child : NULL; j; j = j->next) {
        special *s = &o->specials[o->n_specials++];
        const wf_json *id = wf_json_get(j, "id");
        s->name = id && id->kind == WF_JSON_STRING ? id->string : j->key;
        WF_TRY(load_special_ids(l, j, s));
    }
    return WEFT_OK;
}

/* Of a template that is never used nobody asks what it names: so does the reference. */
static weft_status find_defined(wf_loading *l, const template *o, const char *name, const special **out) {
    for (size_t i = 0; i < o->n_specials; i++)
        if (wf_streq(o->specials[i].name, name))
            *out = &o->specials[i];
    if (*out)
        return WEFT_OK;
    special *unknown = wf_arena_alloc(l->arena, sizeof *unknown);
    char *copy = wf_arena_strdup(l->arena, name);
    if (!unknown || !copy)
        return wf_fail_memory(l->err);
    *unknown = (special){.name = copy};
    *out = unknown;
    return WEFT_OK;
}

static weft_status load_item(wf_loading *l, const wf_json *j, const template *o, template_item *item) {
    const wf_json *named = wf_json_get(j, "SpecialToken"), *sequence = wf_json_get(j, "Sequence"),
                  *body = named ? named : sequence;
    const wf_json *id = wf_json_get(body, "id"), *type = wf_json_get(body, "type_id");
    if (!id || id->kind != WF_JSON_STRING)
        return wf_load_fail(l, WEFT_BAD_INPUT, j, "a part of a template must be a SpecialToken or a Sequence with an id");
    WF_TRY(wf_load_id(l, type, &item->type));
    if (!named && !wf_json_is_string(id, "A") && !wf_json_is_string(id, "B"))
        return wf_load_fail(l, WEFT_BAD_INPUT, id, "a template has the sequences A and B, not \"%s\"", id->string);
    item->sequence = wf_json_is_string(id, "B");
    return named ? find_defined(l, o, id->string, &item->special) : WEFT_OK;
}

/* "[CLS]:0" or "$A:0", "$1" (type 1), "$": the short form. */
static weft_status load_short_item(wf_loading *l, const wf_json *at, char *text, const template *o, template_item *item) {
    char *colon = strrchr(text, ':');
    int64_t type = 0;
    if (colon && (!wf_parse_i64(colon + 1, strlen(colon + 1), &type) || type < 0 || type > UINT32_MAX))
        return wf_load_fail(l, WEFT_BAD_INPUT, at, "the part \"%s\" of a template", text);
    if (colon)
        *colon = 0;
    if (text[0] == '$') {
        char first = (char)(text[1] | 32);
        item->sequence = first == 'b';
        if (text[1] && !((first == 'a' || first == 'b') && !text[2]) && !wf_parse_i64(text + 1, strlen(text + 1), &type))
            return wf_load_fail(l, WEFT_BAD_INPUT, at, "the part \"%s\" of a template", text);
    } else if (o->by_name) {
        special *found = wf_arena_alloc(l->arena, sizeof *found);
        WF_TRY(found ? find_special(l, at, text, found) : wf_fail_memory(l->err));
        item->special = found;
    } else {
        WF_TRY(find_defined(l, o, text, &item->special));
    }
    item->type = (uint32_t)type;
    return WEFT_OK;
}

static weft_status load_short(wf_loading *l, const wf_json *j, const template *o, template_list *out) {
    char *copy = wf_arena_strndup(l->arena, j->string, j->length);
    out->items = wf_arena_alloc(l->arena, (j->length + 1) * sizeof *out->items);
    if (!copy || !out->items)
        return wf_fail_memory(l->err);
    for (char *at = copy, *end; *at; at = end) {
        while (*at == ' ')
            at++;
        end = at + strcspn(at, " ");
        bool last = *end == 0;
        *end = 0;
        if (end > at)
            WF_TRY(load_short_item(l, j, at, o, &out->items[out->count++]));
        end += !last;
    }
    return WEFT_OK;
}

static weft_status load_list(wf_loading *l, const wf_json *j, const template *o, template_list *out) {
    if (j->kind == WF_JSON_STRING)
        return load_short(l, j, o, out);
    if (j->kind != WF_JSON_ARRAY)
        return wf_load_fail(l, WEFT_BAD_INPUT, j, "a template must be a list");
    out->items = wf_arena_alloc(l->arena, (j->count + 1) * sizeof *out->items);
    if (!out->items)
        return wf_fail_memory(l->err);
    for (const wf_json *item = j->child; item; item = item->next)
        WF_TRY(load_item(l, item, o, &out->items[out->count++]));
    return WEFT_OK;
}

static weft_status load_template(wf_loading *l, const wf_json *j, void **options) {
    static template_item plain[] = {{NULL, 0, 0}, {NULL, 1, 1}};
    WF_TRY(wf_load_options(l, sizeof(template), options));
    template *o = *options;
    const wf_json *single = wf_json_get(j, "single"), *pair = wf_json_get(j, "pair");
    o->single = (template_list){plain, 1};
    o->pair = (template_list){plain, 2};
    WF_TRY(load_specials(l, wf_json_get(j, "special_tokens"), o));
    o->by_name = !wf_json_get(j, "special_tokens");
    if (single) {
        o->single = (template_list){0};
        WF_TRY(load_list(l, single, o, &o->single));
    }
    if (pair) {
        o->pair = (template_list){0};
        WF_TRY(load_list(l, pair, o, &o->pair));
    }
    return WEFT_OK;
}

static size_t added_template(const void *options, bool pair) {
    const template *o = options;
    const template_list *list = pair ? &o->pair : &o->single;
    size_t n = 0;
    for (size_t i = 0; i < list->count; i++)
        n += list->items[i].special ? list->items[i].special->count : 0;
    return n;
}

/* What was cut off a text keeps the types it had: so does the reference. */
static weft_status add_sequence(wf_parts *out, const wf_encoding *from, uint32_t type, weft_error *err) {
    wf_encoding *g;
    WF_TRY(wf_parts_push(out, &g, err));
    WF_TRY(wf_encoding_copy(g, from, err));
    for (size_t i = 0; i < g->count; i++)
        g->types[i] = type;
    return WEFT_OK;
}

static weft_status apply_template(const template_list *list, const wf_parts *in, wf_parts *out, bool specials,
                                  weft_error *err) {
    for (size_t i = 0; i < list->count; i++) {
        const template_item *item = &list->items[i];
        wf_encoding *g;
        if (!item->special) {
            WF_CHECK((size_t)item->sequence < in->count, err, WEFT_BAD_INPUT,
                     "post_processor: the template for a single text names B");
            WF_TRY(add_sequence(out, &in->list[item->sequence], item->type, err));
        } else if (specials) {
            WF_TRY(wf_parts_push(out, &g, err));
            WF_TRY(push_special(g, item->special, item->type, err));
        }
    }
    return WEFT_OK;
}

static weft_status process_template(const void *options, wf_parts *parts, bool specials, weft_error *err) {
    const template *o = options;
    wf_parts out = {.mem = parts->mem};
    WF_CHECK(parts->count == 1 || parts->count == 2, err, WEFT_BAD_INPUT,
             "post_processor: a template after another that adds tokens");
    weft_status status = apply_template(parts->count == 2 ? &o->pair : &o->single, parts, &out, specials, err);
    wf_parts_free(parts);
    *parts = out;
    return status;
}

/* ---- the table ---- */

static const wf_postprocessor_row rows[] = {
    {.name = "ByteLevel", .load = load_byte_level, .added = added_nothing, .process = process_byte_level},
    {.name = "BertProcessing", .load = load_cls_sep, .added = added_cls_sep, .process = process_cls_sep},
    {.name = "RobertaProcessing", .load = load_cls_sep, .added = added_cls_sep, .process = process_cls_sep},
    {.name = "TemplateProcessing", .load = load_template, .added = added_template, .process = process_template},
};

const wf_postprocessor_row *wf_postprocessor_find(const char *name) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (wf_streq(rows[i].name, name))
            return &rows[i];
    return NULL;
}
