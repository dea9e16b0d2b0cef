/* classes.c - see the header. */
#include "text/classes.h"

#include <string.h>

#include "base/embed.h"

const char *const wf_class_options[] = {"tokenizer_class",
                                        "add_bos_token",
                                        "add_eos_token",
                                        "src_lang",
                                        "tgt_lang",
                                        "language_codes",
                                        "lang_codes",
                                        "extra_ids",
                                        "offset",
                                        "legacy",
                                        "legacy_behaviour",
                                        "additional_special_tokens",
                                        "extra_special_tokens",
                                        "added_tokens_decoder",
                                        "do_lower_case",
                                        "do_upper_case",
                                        "keep_accents",
                                        "remove_space",
                                        "split_by_punct",
                                        "add_prefix_space",
                                        "separate_vocabs",
                                        "sp_model_kwargs",
                                        "bos_token",
                                        "eos_token",
                                        "unk_token",
                                        "sep_token",
                                        "cls_token",
                                        "pad_token",
                                        "mask_token",
                                        "mask_token_sent",
                                        NULL};

/* ---- options ---- */

/* What the file says, else the class. */
static const wf_json *option(const wf_class *c, const char *name) {
    const wf_json *said = wf_json_get(c->said, name);
    return said ? said : wf_json_get(wf_json_get(c->row, "options"), name);
}

bool wf_class_flag(const wf_class *c, const char *name) {
    const wf_json *j = option(c, name);
    return j && j->kind == WF_JSON_TRUE;
}

static const char *text_option(const wf_class *c, const char *name) {
    const wf_json *j = option(c, name);
    return j && j->kind == WF_JSON_STRING ? j->string : NULL;
}

static int64_t number_option(const wf_class *c, const char *name) {
    const wf_json *j = option(c, name);
    return j && j->kind == WF_JSON_NUMBER && j->is_integer ? j->integer : 0;
}

int64_t wf_class_offset(const wf_class *c) {
    const wf_json *j = wf_json_get(c->row, "offset");
    return j && j->kind == WF_JSON_STRING ? number_option(c, j->string) : wf_json_int(c->row, "offset", 0);
}

/* ---- opening ---- */

static weft_status find_row(wf_class *c, weft_error *err) {
    const char *texts;
    size_t n = strlen(c->name);
    n -= wf_ends_with(c->name, "Fast") ? strlen("Fast") : 0;
    for (const wf_embedded *e = wf_embedded_classes.list; e->name; e++)
        if (strlen(e->name) == n && memcmp(e->name, c->name, n) == 0) {
            c->name = e->name;
            WF_TRY(wf_embedded_open(c->arena, &wf_embedded_classes, &texts, err));
            return wf_json_parse(c->arena, texts + e->at, e->size, 0, &c->row, err);
        }
    return WEFT_OK;
}

/* The members for the case that an option is true, or is the text that is named. */
static const wf_json *case_of(const wf_class *c, const wf_json *when) {
    const wf_json *said = option(c, when->key);
    if (said && said->kind == WF_JSON_TRUE)
        return when;
    return said && said->kind == WF_JSON_STRING ? wf_json_get(when, said->string) : NULL;
}

static weft_status choose_case(wf_class *c, weft_error *err) {
    const wf_json *cases = wf_json_get(c->row, "when");
    for (const wf_json *j = cases ? cases->child : NULL; j; j = j->next) {
        const wf_json *members = case_of(c, j);
        for (const wf_json *m = members ? members->child : NULL; m; m = m->next)
            if (!wf_json_put(c->arena, c->row, m->key, wf_json_copy(c->arena, m)))
                return wf_fail_memory(err);
    }
    return WEFT_OK;
}

/* A token is said as a text or as an object with its content. */
static const wf_json *content_of(const wf_json *j) {
    const wf_json *content = wf_json_get(j, "content");
    return content ? content : j;
}

static weft_status check_agreement(const wf_class *c, weft_error *err) {
    const wf_json *agree = wf_json_get(c->row, "agree");
    for (const wf_json *j = agree ? agree->child : NULL; j; j = j->next) {
        const wf_json *said = wf_json_get(c->said, j->key);
        WF_CHECK(!said || said->kind == WF_JSON_NULL || wf_json_equal(content_of(said), j), err, WEFT_UNSUPPORTED,
                 "%s with another '%s' than usual", c->name, j->key);
    }
    const wf_json *drawn = wf_json_path(c->said, "sp_model_kwargs.enable_sampling");
    WF_CHECK(!drawn || drawn->kind != WF_JSON_TRUE, err, WEFT_UNSUPPORTED, "sp_model_kwargs: enable_sampling");
    return WEFT_OK;
}

weft_status wf_class_open(wf_arena *arena, const wf_json *said, wf_class *out, weft_error *err) {
    *out = (wf_class){.arena = arena, .name = wf_json_text(said, "tokenizer_class", ""), .said = said};
    WF_TRY(find_row(out, err));
    WF_TRY(choose_case(out, err));
    return check_agreement(out, err);
}

/* ---- texts with a place for something ---- */

static char *fill_star(const wf_class *c, const char *text, const char *with) {
    const char *star = strchr(text, '*');
    wf_str s = wf_str_new(c->arena->mem);
    wf_str_put(&s, text, star ? (size_t)(star - text) : strlen(text));
    if (star) {
        wf_str_puts(&s, with);
        wf_str_puts(&s, star + 1);
    }
    char *out = s.failed ? NULL : wf_arena_strndup(c->arena, wf_str_text(&s), s.length);
    wf_str_free(&s);
    return out;
}

static const wf_json *languages_of(const wf_class *c) {
    const wf_json *j = wf_json_get(c->row, "languages");
    const char *which = j && j->kind == WF_JSON_OBJECT ? text_option(c, "language_codes") : NULL;
    return which ? wf_json_get(j, which) : j;
}

static const char *mark_of(const wf_class *c) { return wf_json_text(c->row, "mark", "*"); }

/* The token of a language, as the option names it: with or without the mark. */
static weft_status language_token(const wf_class *c, const char *option_name, char **out, weft_error *err) {
    const char *said = text_option(c, option_name);
    const wf_json *list = languages_of(c);
    *out = wf_arena_strndup(c->arena, "", 0);
    for (const wf_json *j = said && list ? list->child : NULL; j && *out; j = j->next) {
        char *token = fill_star(c, mark_of(c), j->string);
        if (!token || wf_streq(j->string, said) || wf_streq(token, said)) {
            *out = token;
            return token ? WEFT_OK : wf_fail_memory(err);
        }
    }
    WF_CHECK(*out, err, WEFT_NO_MEMORY, "out of memory");
    WF_CHECK(!said, err, WEFT_UNSUPPORTED, "%s: %s '%s' is none of its languages", c->name, option_name, said);
    return WEFT_OK;
}

weft_status wf_class_fill(const wf_class *c, const char *entry, char **out, weft_error *err) {
    size_t n = strlen(entry);
    bool language = entry[0] == '{' && entry[n - 1] == '}';
    *out = wf_arena_strndup(c->arena, entry + language, n - 2 * (size_t)language);
    if (!*out)
        return wf_fail_memory(err);
    return language ? language_token(c, *out, out, err) : WEFT_OK;
}

/* ---- lists of tokens ---- */

typedef struct listing {
    const wf_class *c;
    wf_class_token *first, **last;
    weft_error *err;
} listing;

static weft_status put(listing *l, const wf_json *entry, char *text) {
    wf_class_token *t = wf_arena_alloc(l->c->arena, sizeof *t);
    if (!t || !text)
        return wf_fail_memory(l->err);
    *t = (wf_class_token){.text = text,
                          .lstrip = wf_json_bool(entry, "lstrip", false),
                          .rstrip = wf_json_bool(entry, "rstrip", false),
                          .normalized = wf_json_bool(entry, "normalized", false)};
    *l->last = t;
    l->last = &t->next;
    return WEFT_OK;
}

static weft_status put_numbered(listing *l, const wf_json *entry) {
    enum { MOST = 100000 };
    int64_t from = wf_json_int(entry, "from", 0), end = number_option(l->c, wf_json_text(entry, "each", ""));
    bool reverse = wf_json_bool(entry, "reverse", false);
    WF_CHECK(end <= MOST, l->err, WEFT_UNSUPPORTED, "%s: %s above %d", l->c->name, wf_json_text(entry, "each", ""), MOST);
    for (int64_t i = from; i < end; i++) {
        wf_str digits = wf_str_new(l->c->arena->mem);
        wf_str_printf(&digits, "%lld", (long long)(reverse ? end - 1 - (i - from) : i));
        char *text = digits.failed ? NULL : fill_star(l->c, wf_json_text(entry, "token", ""), wf_str_text(&digits));
        wf_str_free(&digits);
        WF_TRY(put(l, entry, text));
    }
    return WEFT_OK;
}

static weft_status put_languages(listing *l, const wf_json *entry) {
    const wf_json *list = languages_of(l->c);
    WF_CHECK(list && list->kind == WF_JSON_ARRAY, l->err, WEFT_UNSUPPORTED, "%s: language_codes '%s'", l->c->name,
             text_option(l->c, "language_codes") ? text_option(l->c, "language_codes") : "");
    for (const wf_json *j = list->child; j; j = j->next)
        WF_TRY(put(l, entry, fill_star(l->c, mark_of(l->c), j->string)));
    return WEFT_OK;
}

weft_status wf_class_tokens(const wf_class *c, const char *list, wf_class_token **out, weft_error *err) {
    listing l = {.c = c, .err = err, .last = &l.first};
    const wf_json *j = wf_json_get(c->row, list);
    for (const wf_json *entry = j ? j->child : NULL; entry; entry = entry->next) {
        if (entry->kind == WF_JSON_STRING)
            WF_TRY(put(&l, entry, wf_arena_strndup(c->arena, entry->string, entry->length)));
        else if (wf_json_get(entry, "each"))
            WF_TRY(put_numbered(&l, entry));
        else if (wf_json_get(entry, "languages"))
            WF_TRY(put_languages(&l, entry));
        else
            WF_TRY(put(&l, entry, fill_star(c, wf_json_text(entry, "token", ""), "*")));
    }
    *out = l.first;
    return WEFT_OK;
}
