/* load_model.c - the "model" object, read as it streams past: it is most of the file, so no tree is built of it. */
#include "text/engine.h"
#include "text/merges.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool key_is(const char *key, size_t length, const char *name) {
    return length == strlen(name) && memcmp(key, name, length) == 0;
}

/* ---- the vocabulary ---- */

typedef struct token {
    const char *text;
    size_t length, at; /* where in the file */
    uint64_t hash;
    uint32_t id;
} token;

static weft_status put_token(wf_loading *l, wf_vocab *vocab, const token *t) {
    bool added;
    WF_TRY(wf_vocab_put_hashed(vocab, t->hash, t->text, t->length, t->id, &added, l->err));
    return added ? WEFT_OK
                 : wf_load_fail_at(l, WEFT_BAD_INPUT, t->at, "the vocabulary has the token \"%.*s\" twice",
                                   (int)(t->length < 64 ? t->length : 64), t->text);
}

/* Tokens as long as they are written as usual, a few at a time: their slots are asked for before they are needed. */
static weft_status tokens_quickly(wf_loading *l, wf_json_reader *r, wf_vocab *vocab, size_t start, size_t end) {
    enum { AT_ONCE = 32 };
    token tokens[AT_ONCE];
    for (size_t n = AT_ONCE; n == AT_ONCE;) {
        for (n = 0; n < AT_ONCE; n++) {
            token *t = &tokens[n];
            if (!wf_json_quick_count(r, &t->text, &t->length, &t->id))
                break;
            t->at = r->key_offset;
            t->hash = wf_vocab_hash(t->text, t->length);
            wf_vocab_fetch_slot(vocab, t->hash);
        }
        for (size_t i = 0; i < n; i++)
            WF_TRY(put_token(l, vocab, &tokens[i]));
        if (vocab->count >= WF_MANY && vocab->capacity <= 2 * WF_MANY) {
            size_t count = wf_guess_count(start, r->position, end);
            WF_TRY(wf_vocab_reserve(vocab, count, count * (vocab->pool_used / WF_MANY + 1), l->err));
        }
    }
    return WEFT_OK;
}

/* `end`: a place in the file behind it, the nearer the better. */
static weft_status read_vocab(wf_loading *l, wf_json_reader *r, wf_vocab *vocab, size_t end) {
    wf_json_kind kind;
    const char *key, *value;
    size_t key_length, value_length, start = r->position;
    for (;;) {
        int64_t id = 0;
        WF_TRY(tokens_quickly(l, r, vocab, start, end));
        WF_TRY(wf_json_next(r, &kind, &key, &key_length, &value, &value_length));
        if (kind == WF_JSON_END)
            return WEFT_OK;
        if (kind != WF_JSON_NUMBER || !wf_parse_i64(value, value_length, &id) || id < 0 || id >= UINT32_MAX)
            return wf_load_fail_at(l, WEFT_BAD_INPUT, r->value_offset,
                                   "the id of a token must be a whole number from 0 to 4294967294");
        WF_TRY(put_token(l, vocab, &(token){key, key_length, r->key_offset, wf_vocab_hash(key, key_length), (uint32_t)id}));
    }
}

/* The vocabulary on one thread, and the merges, if they seem to follow, on another. What that one meets is used only if this
 * one comes to the same place. */
typedef struct both {
    wf_loading *l;
    wf_json_reader *r;
    wf_model_source *s;
    weft_status status;
} both;

static void read_both(void *arg, int thread, int n_threads) {
    both *b = arg;
    if (thread == 0)
        b->status = read_vocab(b->l, b->r, &b->l->tok->vocab, b->s->merges_at);
    if (thread == 1)
        wf_merges_read_ahead(b->l, b->s);
}

static weft_status read_vocab_and_ahead(wf_loading *l, wf_json_reader *r, wf_model_source *s) {
    both b = {.l = l, .r = r, .s = s};
    wf_merges_find(l, r, s);
    if (!s->is_ahead)
        return read_vocab(l, r, &l->tok->vocab, s->merges_at ? s->merges_at : l->tok->json_length);
    wf_load_region(l, read_both, &b);
    return b.status;
}

/* ---- a list of pieces with scores ---- */

/* 1e0 to 1e308, rounded to the nearest. */
static bool power_of_ten(int64_t n, double *out) {
    static const double exact[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (n < (int64_t)(sizeof exact / sizeof *exact)) {
        *out = exact[n];
        return true;
    }
    char text[32];
    snprintf(text, sizeof text, "1e%lld", (long long)n);
    return wf_parse_double(text, strlen(text), out);
}

/* digits * 10^exponent, in the reference's steps */
static bool scale(double digits, int64_t exponent, double *out) {
    enum { LARGEST = 308 };
    double power;
    for (*out = digits; exponent < -LARGEST && *out != 0; exponent += LARGEST)
        *out /= 1e308;
    if (*out == 0)
        return true;
    if (!power_of_ten(exponent < 0 ? -exponent : exponent, &power))
        return false;
    *out = exponent < 0 ? *out / power : *out * power;
    return isfinite(*out);
}

/* A score as the reference reads it: its digits as one whole number, times or through a power of ten. One score in four comes
 * out a last place off the nearest double, and where two ways to cut a text cost the same that decides. */
static bool read_score(const char *text, size_t length, double *out) {
    uint64_t digits = 0;
    int64_t exponent = 0, said = 0;
    size_t i = text[0] == '-';
    double nearest;
    if (!wf_parse_double(text, length, &nearest)) /* no number, or beyond all doubles */
        return false;
    for (bool point = false, full = false; i < length && (text[i] | 32) != 'e'; i++) {
        if (text[i] == '.') {
            point = true;
            continue;
        }
        uint64_t digit = (uint64_t)(text[i] - '0');
        full = full || digits > (UINT64_MAX - digit) / 10; /* the digits from here on are left out */
        digits = full ? digits : digits * 10 + digit;
        exponent += (full && !point) - (!full && point);
    }
    if (i < length && (!wf_parse_i64(text + i + 1, length - i - 1, &said) || said > INT32_MAX || said < -INT32_MAX))
        said = text[i + 1] == '-' ? -INT32_MAX : INT32_MAX;
    bool fits = scale((double)digits, exponent + said, out);
    *out = text[0] == '-' ? -*out : *out;
    return fits;
}

/* ["piece", -1.5], entered already */
static weft_status read_scored(wf_loading *l, wf_json_reader *r, wf_model_source *s) {
    wf_json_kind kind;
    const char *text;
    size_t length, at = r->value_offset;
    bool added;
    double score;
    WF_TRY(wf_json_next(r, &kind, NULL, NULL, &text, &length));
    if (kind != WF_JSON_STRING)
        return wf_load_fail_at(l, WEFT_BAD_INPUT, at, "a piece must be a text and its score");
    WF_TRY(wf_vocab_put(&l->tok->vocab, text, length, (uint32_t)s->n_scores, &added, l->err));
    if (!added)
        return wf_load_fail_at(l, WEFT_UNSUPPORTED, at, "the piece \"%.*s\" twice", (int)(length < 64 ? length : 64), text);
    WF_TRY(wf_json_next(r, &kind, NULL, NULL, &text, &length));
    if (kind != WF_JSON_NUMBER || !read_score(text, length, &score))
        return wf_load_fail_at(l, WEFT_BAD_INPUT, at, "a piece must be a text and its score");
    WF_TRY(wf_grow(l->mem, (void **)&s->scores, &s->scores_capacity, s->n_scores + 1, sizeof *s->scores, l->err));
    s->scores[s->n_scores++] = score;
    WF_TRY(wf_json_next(r, &kind, NULL, NULL, NULL, NULL));
    return kind == WF_JSON_END ? WEFT_OK : wf_load_fail_at(l, WEFT_BAD_INPUT, at, "a piece must be a text and its score");
}

static weft_status read_list(wf_loading *l, wf_json_reader *r, wf_model_source *s) {
    for (;;) {
        wf_json_kind kind;
        WF_TRY(wf_json_next(r, &kind, NULL, NULL, NULL, NULL));
        if (kind == WF_JSON_END)
            return WEFT_OK;
        if (kind != WF_JSON_ARRAY)
            return wf_load_fail_at(l, WEFT_BAD_INPUT, r->value_offset, "a piece must be a text and its score");
        WF_TRY(read_scored(l, r, s));
    }
}

/* ---- the object ---- */

static weft_status read_option(wf_loading *l, wf_json_reader *r, wf_model_source *s, const char *key, size_t length,
                               wf_json_kind kind) {
    char *name = wf_arena_strndup(&l->tok->arena, key, length); /* the view ends with the next read */
    size_t at = r->key_offset;
    wf_json *value;
    int64_t base;
    if (!name)
        return wf_fail_memory(l->err);
    WF_TRY(wf_load_value(l, r, kind, &value, &base));
    if (wf_json_get(s->options, name))
        return wf_load_fail_at(l, WEFT_BAD_INPUT, at, "a second \"%s\"", name);
    value->offset += base;
    return wf_json_put(&l->tok->arena, s->options, name, value) ? WEFT_OK : wf_fail_memory(l->err);
}

static weft_status read_member(wf_loading *l, wf_json_reader *r, wf_model_source *s, const char *key, size_t length,
                               wf_json_kind kind) {
    bool vocab = key_is(key, length, "vocab"), merges = key_is(key, length, "merges");
    if (key_is(key, length, "ids") && kind == WF_JSON_OBJECT && !s->has_ids) {
        s->has_ids = true;
        return read_vocab(l, r, &l->tok->ids, l->tok->json_length);
    }
    if (!vocab && !merges)
        return read_option(l, r, s, key, length, kind);
    bool list = vocab && kind == WF_JSON_ARRAY;
    bool *seen = list ? &s->has_list : vocab ? &s->has_vocab : &s->has_merges;
    if (s->has_list + s->has_vocab > 0 && vocab)
        return wf_load_fail_at(l, WEFT_BAD_INPUT, r->key_offset, "a second \"vocab\"");
    if (*seen)
        return wf_load_fail_at(l, WEFT_BAD_INPUT, r->key_offset, "a second \"merges\"");
    if (!list && kind != (vocab ? WF_JSON_OBJECT : WF_JSON_ARRAY))
        return wf_load_fail_at(l, WEFT_BAD_INPUT, r->key_offset, "\"%s\" is neither an object nor a list as it must be",
                               vocab ? "vocab" : "merges");
    *seen = true;
    return list ? read_list(l, r, s) : vocab ? read_vocab_and_ahead(l, r, s) : wf_merges_read(l, r, s);
}

static weft_status read_members(wf_loading *l, wf_json_reader *r, wf_model_source *s) {
    for (;;) {
        wf_json_kind kind;
        const char *key;
        size_t length;
        WF_TRY(wf_json_next(r, &kind, &key, &length, NULL, NULL));
        if (kind == WF_JSON_END)
            return WEFT_OK;
        WF_TRY(read_member(l, r, s, key, length, kind));
    }
}

/* Pieces that have no id are unknown. */
static weft_status place_pieces(wf_loading *l, const wf_model_source *s) {
    wf_tokenizer *tok = l->tok;
    uint32_t unknown, *map = wf_arena_alloc(l->arena, (tok->vocab.count + 1) * sizeof *map);
    if (!map)
        return wf_fail_memory(l->err);
    WF_CHECK(s->has_list && wf_json_get(s->options, "kinds") && wf_json_get(s->options, "unknown_id"), l->err, WEFT_BAD_INPUT,
             "model: 'ids' needs a list of pieces, 'kinds' and 'unknown_id'");
    WF_TRY(wf_load_id(l, wf_json_get(s->options, "unknown_id"), &unknown));
    for (size_t i = 0; i < tok->vocab.count; i++) {
        const wf_vocab_entry *piece = &tok->vocab.entries[i],
                             *e =
                                 wf_vocab_find_hashed(&tok->ids, piece->hash, wf_vocab_text(&tok->vocab, piece), piece->length);
        map[i] = e ? e->id : unknown;
    }
    tok->id_of_piece = map;
    tok->unknown = tok->names_unknown ? unknown : tok->unknown;
    return WEFT_OK;
}

static weft_status build(wf_loading *l, const wf_model_source *s) {
    const wf_json *type;
    l->base = 0;
    WF_TRY(wf_load_text(l, s->options, "type", &type));
    l->tok->model_row = type ? wf_model_find(type->string) : wf_model_guess(s); /* old files do not say */
    if (!l->tok->model_row && type)
        return wf_load_fail(l, WEFT_UNSUPPORTED, type, "the model \"%s\"", type->string);
    WF_CHECK(l->tok->model_row, l->err, WEFT_BAD_INPUT, "model: it names no type, and its members fit none");
    WF_TRY(l->tok->model_row->load(l, s, &l->tok->model));
    return s->has_ids ? place_pieces(l, s) : WEFT_OK;
}

weft_status wf_load_model(wf_loading *l, wf_json_reader *r) {
    wf_model_source s = {
        .options = wf_json_new(&l->tok->arena, WF_JSON_OBJECT),
    };
    wf_arena_init(&s.copies, l->tok->mem, 0);
    weft_status status = s.options ? read_members(l, r, &s) : wf_fail_memory(l->err);
    if (status == WEFT_OK)
        status = build(l, &s);
    wf_merges_forget(&s);
    wf_arena_free(&s.copies);
    wf_free(l->tok->mem, s.merges);
    wf_free(l->tok->mem, s.scores);
    return status;
}
