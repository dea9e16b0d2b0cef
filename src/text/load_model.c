/* load_model.c - the "model" object, read as it streams past: it is most of the file, so no tree is built of it. */
#include "text/engine.h"
#include "text/merges.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool key_is(const char *key, size_t length, const char *name) {
    return length == strlen(name) && memcmp(key, name, length) == 0;
}

/* ---- the vocabulary: {"token": id} ---- */

static weft_status put_token(const wf_loading *l, wf_share *s, const char *text, size_t length, uint32_t id) {
    if (s->count == s->capacity) {
        size_t count = s->count == WF_MANY ? wf_guess_count(s->begin, s->reader.position, s->room_end) : s->count + 1;
        WF_TRY(wf_grow_big(l->mem, (void **)&s->tokens, &s->capacity, count, sizeof *s->tokens, l->err));
    }
    s->tokens[s->count++] = (wf_vocab_entry){wf_vocab_head(text, length), (uint32_t)length, id, text};
    return WEFT_OK;
}

/* The text itself, where it lies in the file as it is, or a copy. */
static weft_status keep(const wf_loading *l, wf_share *s, const char **text, size_t length) {
    if (*text < l->tok->json || *text >= l->tok->json + l->tok->json_length)
        *text = wf_arena_strndup(&s->copies, *text, length);
    return *text ? WEFT_OK : wf_fail_memory(l->err);
}

static weft_status next_token(const wf_loading *l, wf_share *s) {
    wf_json_kind kind;
    const char *key, *value;
    size_t key_length, value_length;
    int64_t id = 0;
    WF_TRY(wf_json_next(&s->reader, &kind, &key, &key_length, &value, &value_length));
    s->ended = kind == WF_JSON_END;
    if (s->ended)
        return WEFT_OK;
    if (kind != WF_JSON_NUMBER || !wf_parse_i64(value, value_length, &id) || id < 0 || id >= UINT32_MAX)
        return wf_load_fail_at(l, WEFT_BAD_INPUT, s->reader.value_offset,
                               "the id of a token must be a whole number from 0 to 4294967294");
    WF_TRY(keep(l, s, &key, key_length));
    return put_token(l, s, key, key_length, (uint32_t)id);
}

static weft_status read_tokens(const wf_loading *l, wf_share *s) {
    const char *text;
    size_t length;
    uint32_t id;
    while (s->reader.position < s->stop && !s->ended) {
        while (s->reader.position < s->stop && wf_json_quick_count(&s->reader, &text, &length, &id))
            WF_TRY(put_token(l, s, text, length, id));
        if (s->reader.position < s->stop)
            WF_TRY(next_token(l, s));
    }
    return WEFT_OK;
}

/* ---- scores ---- */

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
    enum { SURE = 18 }; /* characters whose digits fit into 64 bits */
    uint64_t digits = 0;
    int64_t exponent = 0, said = 0;
    size_t i = text[0] == '-';
    double nearest;
    bool point = false, full = false;
    for (; i < length && i < SURE && (text[i] == '.' || (text[i] >= '0' && text[i] <= '9')); i++) {
        if (text[i] == '.')
            point = true;
        else
            digits = digits * 10 + (uint64_t)(text[i] - '0'), exponent -= point;
    }
    for (; i < length && (text[i] | 32) != 'e'; i++) {
        if (text[i] == '.') {
            point = true;
            continue;
        }
        uint64_t digit = (uint64_t)(text[i] - '0');
        full = full || digits > (UINT64_MAX - 9) / 10 + (digit <= UINT64_MAX % 10); /* the digits from here on are left out */
        digits = full ? digits : digits * 10 + digit;
        exponent += (full && !point) - (!full && point);
    }
    if ((i < length || length >= 300) && !wf_parse_double(text, length, &nearest)) /* beyond all doubles? */
        return false;
    if (i < length && (!wf_parse_i64(text + i + 1, length - i - 1, &said) || said > INT32_MAX || said < -INT32_MAX))
        said = text[i + 1] == '-' ? -INT32_MAX : INT32_MAX;
    bool fits = scale((double)digits, exponent + said, out);
    *out = text[0] == '-' ? -*out : *out;
    return fits;
}

/* ---- the vocabulary: [["piece", -1.5]] ---- */

static weft_status put_piece(const wf_loading *l, wf_share *s, wf_bytes piece, wf_bytes score, size_t at) {
    double value;
    if (!read_score(score.data, score.length, &value))
        return wf_load_fail_at(l, WEFT_BAD_INPUT, at, "a piece must be a text and its score");
    WF_TRY(put_token(l, s, piece.data, piece.length, (uint32_t)s->count));
    if (s->scores_capacity < s->capacity)
        WF_TRY(wf_grow_big(l->mem, (void **)&s->scores, &s->scores_capacity, s->capacity, sizeof *s->scores, l->err));
    s->scores[s->count - 1] = value;
    return WEFT_OK;
}

/* ["piece", -1.5], entered already */
static weft_status read_scored(const wf_loading *l, wf_share *s) {
    wf_json_kind kinds[3] = {WF_JSON_END, WF_JSON_END, WF_JSON_END};
    wf_bytes texts[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    size_t at = s->reader.value_offset;
    for (int i = 0; i < 3; i++) {
        WF_TRY(wf_json_next(&s->reader, &kinds[i], NULL, NULL, &texts[i].data, &texts[i].length));
        if (kinds[i] != (i == 0 ? WF_JSON_STRING : i == 1 ? WF_JSON_NUMBER : WF_JSON_END))
            return wf_load_fail_at(l, WEFT_BAD_INPUT, at, "a piece must be a text and its score");
        if (i == 0)
            WF_TRY(keep(l, s, &texts[0].data, texts[0].length));
    }
    return put_piece(l, s, texts[0], texts[1], at);
}

static weft_status next_piece(const wf_loading *l, wf_share *s) {
    wf_json_kind kind;
    WF_TRY(wf_json_next(&s->reader, &kind, NULL, NULL, NULL, NULL));
    s->ended = kind == WF_JSON_END;
    if (!s->ended && kind != WF_JSON_ARRAY)
        return wf_load_fail_at(l, WEFT_BAD_INPUT, s->reader.value_offset, "a piece must be a text and its score");
    return s->ended ? WEFT_OK : read_scored(l, s);
}

static weft_status read_pieces(const wf_loading *l, wf_share *s) {
    const char *texts[2];
    size_t lengths[2];
    while (s->reader.position < s->stop && !s->ended) {
        while (s->reader.position < s->stop && wf_json_quick_scored(&s->reader, texts, lengths))
            WF_TRY(put_piece(l, s, (wf_bytes){texts[0], lengths[0]}, (wf_bytes){texts[1], lengths[1]}, s->reader.value_offset));
        if (s->reader.position < s->stop)
            WF_TRY(next_piece(l, s));
    }
    return WEFT_OK;
}

/* ---- shares of it on threads ---- */

typedef struct vocabulary {
    wf_loading *l;
    wf_vocab *out;
    wf_shares shares, *merges; /* merges: read ahead; NULL: none */
    wf_share_fn read;
    size_t first[WF_SHARES + 1]; /* of the tokens of a share */
    double *scores;
    bool twice[WF_SHARES];
} vocabulary;

static void read_share(void *arg, int thread, int i) {
    vocabulary *v = arg;
    if (i < v->shares.n)
        wf_share_read(v->l, &v->shares, i, v->read);
    else
        wf_share_read(v->l, v->merges, i - v->shares.n, wf_merges_share);
}

/* Pieces of a list have their places as ids. The first share is where it belongs. */
static void join_share(void *arg, int thread, int i) {
    vocabulary *v = arg;
    const wf_share *s = &v->shares.list[i];
    if (i == 0 || s->count == 0)
        return;
    wf_vocab_entry *to = v->out->entries + v->first[i];
    memcpy(to, s->tokens, s->count * sizeof *to);
    for (size_t k = 0; v->scores && k < s->count; k++) {
        v->scores[v->first[i] + k] = s->scores[k];
        to[k].id += (uint32_t)v->first[i];
    }
}

static void enter_share(void *arg, int thread, int i) {
    vocabulary *v = arg;
    v->twice[i] = !wf_vocab_enter(v->out, v->first[i], v->first[i + 1]);
}

/* All tokens behind those of the first share. */
static weft_status join(vocabulary *v) {
    wf_share *s = &v->shares.list[0];
    for (int i = 0; i < v->shares.n; i++)
        v->first[i + 1] = v->first[i] + v->shares.list[i].count;
    size_t count = v->first[v->shares.n];
    WF_TRY(wf_grow_big(v->l->mem, (void **)&s->tokens, &s->capacity, count, sizeof *s->tokens, v->l->err));
    if (v->read == read_pieces)
        WF_TRY(wf_grow_big(v->l->mem, (void **)&s->scores, &s->scores_capacity, count + 1, sizeof *s->scores, v->l->err));
    v->out->entries = s->tokens;
    v->out->capacity = s->capacity;
    v->out->count = count;
    v->scores = s->scores;
    s->tokens = NULL;
    s->scores = NULL;
    for (int i = 0; i < v->shares.n; i++)
        wf_arena_join(&v->out->copies, &v->shares.list[i].copies);
    wf_shares_each(v->l, v->shares.n, join_share, v);
    return wf_vocab_clear_slots(v->out, v->l->err);
}

/* Which one is it, and where? */
static weft_status fail_twice(vocabulary *v, const wf_json_reader *r) {
    wf_json_reader again;
    wf_json_kind kind;
    const char *key, *name = v->scores ? "the piece" : "the vocabulary has the token";
    size_t length, n = 0;
    WF_TRY(wf_vocab_clear_slots(v->out, v->l->err));
    while (n + 1 < v->out->count && wf_vocab_enter(v->out, n, n + 1))
        n++;
    wf_json_ahead(r, v->shares.bracket, v->shares.at, true, &again);
    weft_status status = WEFT_OK;
    for (size_t i = 0; i <= n && status == WEFT_OK; i++) {
        status = wf_json_next(&again, &kind, &key, &length, NULL, NULL);
        if (status == WEFT_OK && kind == WF_JSON_ARRAY && i < n)
            status = wf_json_skip(&again);
    }
    const wf_vocab_entry *e = &v->out->entries[n];
    if (status == WEFT_OK)
        status = wf_load_fail_at(v->l, v->scores ? WEFT_UNSUPPORTED : WEFT_BAD_INPUT,
                                 v->scores ? again.value_offset : again.key_offset, "%s \"%.*s\" twice", name,
                                 (int)(e->length < 64 ? e->length : 64), e->text);
    wf_json_close(&again);
    return status;
}

static weft_status enter(vocabulary *v, const wf_json_reader *r) {
    bool twice = false;
    WF_TRY(wf_shares_settle(v->l, r, &v->shares, v->read));
    WF_TRY(join(v));
    wf_shares_each(v->l, v->shares.n, enter_share, v);
    for (int i = 0; i < v->shares.n; i++)
        twice = twice || v->twice[i];
    return twice ? fail_twice(v, r) : WEFT_OK;
}

/* The container that `r` has just entered, and ahead of it the merges, if they seem to follow. */
static weft_status read_vocab(wf_loading *l, wf_json_reader *r, wf_vocab *out, bool list, wf_model_source *s) {
    vocabulary v = {.l = l, .out = out, .read = list ? read_pieces : read_tokens};
    int n = wf_shares_wanted(l);
    size_t end = l->tok->json_length, merges = list || out != &l->tok->vocab ? 0 : wf_merges_find(l, r);
    if (merges && !s->has_merges && !s->merges.list) {
        WF_TRY(wf_shares_begin(l, r, '[', merges + 1, end, n, &s->merges));
        v.merges = &s->merges;
    }
    weft_status status = wf_shares_begin(l, r, list ? '[' : '{', r->position, merges ? merges : end, n, &v.shares);
    if (status == WEFT_OK) {
        wf_shares_each(l, v.shares.n + (v.merges ? v.merges->n : 0), read_share, &v);
        status = enter(&v, r);
    }
    if (status == WEFT_OK)
        wf_json_follow(r, &v.shares.list[v.shares.n - 1].reader);
    if (list) {
        l->tok->scores = v.scores;
        s->n_scores = out->count;
    }
    wf_shares_free(&v.shares);
    return status;
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
        return read_vocab(l, r, &l->tok->ids, false, s);
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
    return vocab ? read_vocab(l, r, &l->tok->vocab, list, s) : wf_merges_read(l, r, s);
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
        const wf_vocab_entry *piece = &tok->vocab.entries[i], *e = wf_vocab_find(&tok->ids, piece->text, piece->length);
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
    weft_status status = s.options ? read_members(l, r, &s) : wf_fail_memory(l->err);
    if (status == WEFT_OK)
        status = build(l, &s);
    wf_shares_free(&s.merges);
    return status;
}
