/* tokenizer.c - fixtures of kind `tokenizer`: a file of some kind, and texts with everything that the reference makes of them.
 */
#include <string.h>
#include "base/reader.h"
#include "base/base64.h"
#include "text/file_kinds.h"
#include "text/tokenizer.h"
#include "verify/fixture.h"
#include "verify/lines.h"

typedef struct token_run {
    wf_fixture *fx;
    wf_tokenizer *tok;
    wf_encoder *encoder;
    unsigned flags; /* of every call */
    bool only_normalizer;
    weft_error *err;
} token_run;

/* A line of a file of cases, with memory of its own. */
typedef struct token_case {
    token_run *run;
    const wf_json *json;
    wf_arena *arena;
    const wf_encoding *got;
} token_case;

static wf_bytes bytes_of(const wf_json *j) {
    return j && j->kind == WF_JSON_STRING ? (wf_bytes){j->string, j->length} : (wf_bytes){"", 0};
}

static weft_status differs(const token_case *c, const char *what, size_t at) {
    const wf_json *text = wf_json_get(c->json, "text");
    wf_bytes shown = bytes_of(text && text->kind == WF_JSON_ARRAY ? text->child : text);
    return wf_fail(c->run->err, WEFT_MISMATCH, "%s differ at %zu for \"%.*s\"", what, at,
                   (int)(shown.length < 60 ? shown.length : 60), shown.data);
}

/* ---- fields of an encoding ---- */

/* An integer of field `what` of token i. */
typedef int64_t (*number_fn)(const wf_encoding *g, size_t i);
static int64_t id_at(const wf_encoding *g, size_t i) { return g->ids[i]; }
static int64_t type_at(const wf_encoding *g, size_t i) { return g->types[i]; }
static int64_t special_at(const wf_encoding *g, size_t i) { return g->special[i]; }
static int64_t attention_at(const wf_encoding *g, size_t i) { return g->attention[i]; }
static int64_t word_at(const wf_encoding *g, size_t i) { return g->words[i]; }

static weft_status check_numbers(const token_case *c, const wf_json *want, const wf_encoding *g, const char *what, number_fn fn,
                                 int64_t absent) {
    const wf_json *j = want ? want->child : NULL;
    if (want && want->count != g->count)
        return differs(c, what, want->count < g->count ? want->count : g->count);
    for (size_t i = 0; i < g->count; i++, j = j ? j->next : NULL)
        if (fn(g, i) != (!j ? absent : j->kind == WF_JSON_NULL ? -1 : j->integer))
            return differs(c, what, i);
    return WEFT_OK;
}

static weft_status check_pieces(const token_case *c, const wf_json *want, const wf_encoding *g) {
    size_t i = 0;
    for (const wf_json *j = want ? want->child : NULL; j; j = j->next, i++)
        if (i >= g->count || g->pieces[i].length != j->length || memcmp(g->pieces[i].data, j->string, j->length) != 0)
            return differs(c, "tokens", i);
    return WEFT_OK;
}

static weft_status check_spans(const token_case *c, const wf_json *want, const wf_encoding *g) {
    size_t i = 0;
    for (const wf_json *j = want ? want->child : NULL; j; j = j->next, i++)
        if (i >= g->count || wf_json_at(j, 0)->integer != g->spans[i].start || wf_json_at(j, 1)->integer != g->spans[i].end)
            return differs(c, "offsets", i);
    return WEFT_OK;
}

static weft_status check_encoding(const token_case *c, const wf_json *want, const wf_encoding *g) {
    const wf_json *words = wf_json_get(want, "word_ids"), *types = wf_json_get(want, "type_ids");
    WF_TRY(check_numbers(c, wf_json_get(want, "ids"), g, "ids", id_at, -1));
    WF_TRY(check_pieces(c, wf_json_get(want, "tokens"), g));
    WF_TRY(check_spans(c, wf_json_get(want, "offsets"), g));
    WF_TRY(check_spans(c, wf_json_get(want, "byte_offsets"), g));
    if (wf_json_get(want, "offsets")) { /* full encodings: what is absent has its usual value */
        WF_TRY(check_numbers(c, types, g, "type_ids", type_at, 0));
        WF_TRY(check_numbers(c, wf_json_get(want, "special_mask"), g, "special_mask", special_at, 0));
        WF_TRY(check_numbers(c, wf_json_get(want, "attention_mask"), g, "attention_mask", attention_at, 1));
    }
    return words ? check_numbers(c, words, g, "word_ids", word_at, -1) : WEFT_OK;
}

static weft_status check_overflow(const token_case *c) {
    const wf_json *list = wf_json_get(c->json, "overflowing");
    size_t count = (size_t)wf_json_int(c->json, "overflow_count", 0), i = 0;
    if (wf_json_get(c->json, "overflow_count") && c->got->n_overflow != count)
        return differs(c, "overflow_count", c->got->n_overflow);
    for (const wf_json *j = list ? list->child : NULL; j; j = j->next, i++)
        WF_TRY(check_encoding(c, j, &c->got->overflow[i]));
    return WEFT_OK;
}

/* ---- texts ---- */

static weft_status same_text(const token_case *c, const char *what, const wf_json *want, const wf_str *got) {
    const char *text = wf_str_text(got);
    size_t i = 0;
    while (i < want->length && i < got->length && want->string[i] == text[i])
        i++;
    return i == want->length && i == got->length ? WEFT_OK : differs(c, what, i);
}

static weft_status check_decoded(const token_case *c, const wf_json *ids, const char *field, unsigned flags) {
    const wf_json *want = wf_json_get(c->json, field);
    if (!want || !ids || wf_json_get(c->json, "decode_panics_in_reference"))
        return WEFT_OK;
    uint32_t *numbers = wf_arena_alloc(c->arena, (ids->count + 1) * sizeof *numbers);
    size_t n = 0;
    if (!numbers)
        return wf_fail_memory(c->run->err);
    for (const wf_json *j = ids->child; j; j = j->next)
        numbers[n++] = (uint32_t)j->integer;
    wf_str text = wf_str_new(c->arena->mem);
    weft_status status = wf_tokenizer_decode(c->run->tok, numbers, n, flags | WF_DECODE_TEXT, &text, c->run->err);
    if (status == WEFT_OK)
        status = same_text(c, field, want, &text);
    wf_str_free(&text);
    return status;
}

static weft_status check_normalized(const token_case *c) {
    const wf_json *want = wf_json_get(c->json, "normalized");
    if (!want)
        return WEFT_OK;
    wf_str text = wf_str_new(c->arena->mem);
    weft_status status = wf_encode_normalized(c->run->encoder, bytes_of(wf_json_get(c->json, "text")), &text, c->run->err);
    if (status == WEFT_OK)
        status = same_text(c, "normalized", want, &text);
    wf_str_free(&text);
    return status;
}

static weft_status check_pretokens(const token_case *c) {
    const wf_json *want = wf_json_get(c->json, "pretokens");
    wf_encoding g = wf_encoding_new(c->arena->mem);
    if (!want)
        return WEFT_OK;
    weft_status status = wf_encode_pretokens(c->run->encoder, bytes_of(wf_json_get(c->json, "text")), 0, &g, c->run->err);
    size_t i = 0;
    for (const wf_json *j = want->child; status == WEFT_OK && j; j = j->next, i++) {
        const wf_json *piece = wf_json_at(j, 0), *span = wf_json_at(j, 1);
        bool same = i < g.count && g.pieces[i].length == piece->length &&
                    memcmp(g.pieces[i].data, piece->string, piece->length) == 0 &&
                    wf_json_at(span, 0)->integer == g.spans[i].start && wf_json_at(span, 1)->integer == g.spans[i].end;
        if (!same)
            status = differs(c, "pretokens", i);
    }
    if (status == WEFT_OK && i != g.count)
        status = differs(c, "pretokens", i);
    wf_encoding_free(&g);
    return status;
}

/* The bytes of every token, in base64. */
static weft_status check_bytes(const token_case *c) {
    const wf_json *want = wf_json_get(c->json, "bytes");
    size_t i = 0;
    for (const wf_json *j = want ? want->child : NULL; j; j = j->next, i++) {
        wf_str text = wf_str_new(c->arena->mem), bytes = wf_str_new(c->arena->mem);
        wf_tokenizer_put_token(c->run->tok, c->got->ids[i], &bytes);
        wf_base64_encode((const uint8_t *)wf_str_text(&bytes), bytes.length, &text);
        wf_str_free(&bytes);
        bool same = text.length == j->length && memcmp(wf_str_text(&text), j->string, j->length) == 0;
        wf_str_free(&text);
        if (!same)
            return differs(c, "bytes", i);
    }
    return WEFT_OK;
}

/* ---- a case ---- */

static weft_status input_of(const token_case *c, const wf_json *j, wf_text_input *out) {
    *out = (wf_text_input){.text = bytes_of(j)};
    if (!j || j->kind != WF_JSON_ARRAY)
        return WEFT_OK;
    wf_bytes *words = wf_arena_alloc(c->arena, (j->count + 1) * sizeof *words);
    if (!words)
        return wf_fail_memory(c->run->err);
    for (const wf_json *w = j->child; w; w = w->next)
        words[out->n_words++] = bytes_of(w);
    out->words = words;
    return WEFT_OK;
}

/* Special strings as plain text; the same ids where the case does not say others. */
static weft_status check_ordinary(const token_case *c) {
    const wf_json *want = wf_json_get(c->json, "ids_ordinary");
    wf_encoding g = wf_encoding_new(c->arena->mem);
    wf_text_input text = {.text = bytes_of(wf_json_get(c->json, "text"))};
    if (!wf_json_get(c->json, "bytes"))
        return WEFT_OK;
    weft_status status = wf_encode_text(c->run->encoder, &text, NULL, c->run->flags | WF_ENCODE_PLAIN, &g, c->run->err);
    if (status == WEFT_OK)
        status = check_numbers(c, want ? want : wf_json_get(c->json, "ids"), &g, "ids_ordinary", id_at, -1);
    wf_encoding_free(&g);
    return status;
}

/* The short way to the ids must give the same. */
static weft_status check_short_way(const token_case *c, const wf_text_input *text, unsigned flags) {
    wf_ids ids = wf_ids_new(c->arena->mem);
    wf_encoding whole = wf_encoding_new(c->arena->mem);
    flags |= WF_ENCODE_UNLIMITED;
    weft_status status = wf_encode(c->run->encoder, text->text.data, text->text.length, flags, &ids, c->run->err);
    if (status == WEFT_OK)
        status = wf_encode_text(c->run->encoder, text, NULL, flags, &whole, c->run->err);
    if (status == WEFT_OK &&
        (ids.count != whole.count || (ids.count && memcmp(ids.data, whole.ids, ids.count * sizeof *ids.data) != 0)))
        status = differs(c, "ids of the short way", 0);
    wf_encoding_free(&whole);
    wf_ids_free(&ids);
    return status;
}

static weft_status check_all(token_case *c, const wf_text_input *text, unsigned flags) {
    WF_TRY(check_encoding(c, c->json, c->got));
    WF_TRY(check_overflow(c));
    WF_TRY(check_bytes(c));
    WF_TRY(check_ordinary(c));
    if (!text->words && !wf_json_get(c->json, "pair"))
        WF_TRY(check_short_way(c, text, flags));
    WF_TRY(check_decoded(c, wf_json_get(c->json, "ids"), "decoded", 0));
    WF_TRY(check_decoded(c, wf_json_get(c->json, "ids"), "decoded_skip_special", WF_DECODE_SKIP_SPECIALS));
    return check_pretokens(c);
}

static weft_status run_case(void *user, wf_arena *arena, const wf_json *json) {
    token_case c = {.run = user, .json = json, .arena = arena};
    const wf_json *pair_json = wf_json_get(json, "pair");
    wf_text_input text, pair;
    wf_encoding g = wf_encoding_new(arena->mem);
    unsigned flags = c.run->flags | (wf_json_bool(json, "add_special_tokens", false) ? WF_ENCODE_SPECIALS : 0u);
    weft_error failure = {0};
    WF_TRY(check_normalized(&c));
    if (c.run->only_normalizer)
        return WEFT_OK;
    WF_TRY(input_of(&c, wf_json_get(json, "text"), &text));
    WF_TRY(input_of(&c, pair_json, &pair));
    weft_status status = wf_encode_text(c.run->encoder, &text, pair_json ? &pair : NULL, flags, &g, &failure);
    c.got = &g;
    if (wf_json_get(json, "error"))
        status = status == WEFT_OK ? differs(&c, "an error and a result", 0) : WEFT_OK;
    else
        status = status == WEFT_OK ? check_all(&c, &text, flags) : wf_fail(c.run->err, status, "%s", failure.message);
    wf_encoding_free(&g);
    return status;
}

/* ---- decoding, streams, batches ---- */

static weft_status run_decode(void *user, wf_arena *arena, const wf_json *json) {
    token_case c = {.run = user, .json = json, .arena = arena};
    WF_TRY(check_decoded(&c, wf_json_get(json, "ids"), "decoded", 0));
    return check_decoded(&c, wf_json_get(json, "ids"), "decoded_skip_special", WF_DECODE_SKIP_SPECIALS);
}

static weft_status check_stream(const token_case *c, wf_text_stream *stream, wf_str *text) {
    const wf_json *chunk = wf_json_get(c->json, "chunks")->child;
    size_t i = 0;
    for (const wf_json *id = wf_json_get(c->json, "ids")->child; id && chunk; id = id->next, chunk = chunk->next, i++) {
        wf_str_clear(text);
        WF_TRY(wf_text_stream_put(stream, (uint32_t)id->integer, text, c->run->err));
        bool same = chunk->kind == WF_JSON_NULL
                        ? text->length == 0
                        : text->length == chunk->length && memcmp(wf_str_text(text), chunk->string, chunk->length) == 0;
        if (!same)
            return differs(c, "chunks of a stream", i);
    }
    return WEFT_OK;
}

static weft_status run_stream(void *user, wf_arena *arena, const wf_json *json) {
    token_case c = {.run = user, .json = json, .arena = arena};
    wf_text_stream stream = wf_text_stream_new(c.run->tok, WF_DECODE_SKIP_SPECIALS | WF_DECODE_TEXT);
    wf_str text = wf_str_new(arena->mem);
    WF_CHECK(wf_json_get(json, "ids") && wf_json_get(json, "chunks"), c.run->err, WEFT_BAD_INPUT,
             "a stream needs ids and chunks");
    weft_status status = check_stream(&c, &stream, &text);
    wf_text_stream_free(&stream);
    wf_str_free(&text);
    return status;
}

static weft_status check_batch(const token_case *c, const wf_json *batch, const wf_text_input *texts,
                               const wf_text_input *pairs, wf_encoding *got) {
    const wf_json *want = wf_json_get(c->json, "encodings");
    weft_error failure = {0};
    weft_status status =
        wf_encode_batch(c->run->encoder, texts, pairs, batch->count, c->run->flags | WF_ENCODE_SPECIALS, got, &failure);
    if (!want)
        return status == WEFT_OK ? differs(c, "an error and a result", 0) : WEFT_OK;
    WF_CHECK(status == WEFT_OK, c->run->err, status, "%s", failure.message);
    size_t i = 0;
    for (const wf_json *j = want->child; j; j = j->next, i++)
        WF_TRY(check_encoding(c, j, &got[i]));
    return WEFT_OK;
}

static weft_status run_batch(void *user, wf_arena *arena, const wf_json *json) {
    token_case c = {.run = user, .json = json, .arena = arena};
    const wf_json *batch = wf_json_get(json, "batch");
    size_t n = batch ? batch->count : 0, i = 0;
    wf_text_input *texts = wf_arena_alloc(arena, 2 * (n + 1) * sizeof *texts), *pairs = texts + n;
    wf_encoding *got = wf_arena_alloc(arena, (n + 1) * sizeof *got);
    if (!texts || !got)
        return wf_fail_memory(c.run->err);
    bool paired = n && batch->child->kind == WF_JSON_ARRAY; /* [text, pair] */
    for (const wf_json *j = n ? batch->child : NULL; j; j = j->next, i++) {
        WF_TRY(input_of(&c, paired ? wf_json_at(j, 0) : j, &texts[i]));
        WF_TRY(input_of(&c, paired ? wf_json_at(j, 1) : NULL, &pairs[i]));
        got[i] = wf_encoding_new(arena->mem);
    }
    weft_status status = n ? check_batch(&c, batch, texts, paired ? pairs : NULL, got) : WEFT_OK;
    for (i = 0; i < n; i++)
        wf_encoding_free(&got[i]);
    return status;
}

/* ---- the fixture ---- */

/* The fixture's own fields can be options of a kind too. */
static weft_status options_of(token_run *r, const wf_json **out) {
    static const char *const fields[] = {"pattern", "pattern_syntax", "special_tokens"};
    wf_fixture *fx = r->fx;
    wf_json *options = wf_json_new(&fx->arena, WF_JSON_OBJECT);
    *out = wf_json_get(fx->json, "options");
    for (size_t i = 0; !*out && i < sizeof fields / sizeof *fields; i++) {
        const wf_json *j = wf_json_get(fx->json, fields[i]);
        if (j && !wf_json_put(&fx->arena, options, fields[i], wf_json_copy(&fx->arena, j)))
            return wf_fail_memory(r->err);
    }
    *out = *out ? *out : options;
    return *out ? WEFT_OK : wf_fail_memory(r->err);
}

static weft_status open_tokenizer(token_run *r) {
    wf_fixture *fx = r->fx;
    const wf_json *file = wf_json_get(fx->json, "file"), *options;
    WF_TRY(options_of(r, &options));
    const char *paths[2] = {NULL, NULL};
    size_t n = 0;
    WF_CHECK(file, r->err, WEFT_BAD_INPUT, "the fixture names no file");
    for (const wf_json *j = file->kind == WF_JSON_ARRAY ? file->child : file; j && n < 2;
         j = file->kind == WF_JSON_ARRAY ? j->next : NULL) {
        paths[n] = wf_path_join(&fx->arena, fx->path, bytes_of(j).data);
        if (!paths[n++])
            return wf_fail_memory(r->err);
    }
    return wf_tokenizer_open_as(&fx->env->mem, wf_json_text(fx->json, "tokenizer_format", NULL), paths, n, options, &r->tok,
                                r->err);
}

static unsigned flags_of(const wf_fixture *fx) {
    const char *format = wf_json_text(fx->json, "tokenizer_format", "");
    unsigned flags = wf_streq(format, "gguf")            ? WF_ENCODE_PLAIN
                     : wf_streq(format, "sentencepiece") ? WF_ENCODE_PLAIN | WF_ENCODE_BYTE_OFFSETS
                                                         : 0;
    return wf_json_get(fx->json, "options") ? flags | WF_ENCODE_UNLIMITED : flags; /* published files: without their limits */
}

static weft_status run_files(token_run *r) {
    static const struct {
        const char *name;
        wf_line_fn fn;
    } files[] = {
        {"cases.jsonl", run_case}, {"decode.jsonl", run_decode}, {"stream.jsonl", run_stream}, {"batches.jsonl", run_batch}};
    size_t seen = 0;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        WF_TRY(wf_each_line(r->fx, files[i].name, files[i].fn, r, &seen, r->err));
    WF_CHECK(seen > 0, r->err, WEFT_BAD_INPUT, "the fixture has no cases");
    r->fx->n_compared += seen;
    return WEFT_OK;
}

weft_status wf_verify_tokenizer(wf_fixture *fx, weft_error *err) {
    token_run r = {.fx = fx,
                   .err = err,
                   .flags = flags_of(fx),
                   .only_normalizer = wf_streq(wf_json_text(fx->json, "part", ""), "normalizer")};
    weft_status status = open_tokenizer(&r);
    if (status == WEFT_OK)
        status = wf_encoder_create(r.tok, &r.encoder, err);
    if (status == WEFT_OK)
        status = run_files(&r);
    wf_encoder_free(r.encoder);
    wf_tokenizer_free(r.tok);
    return status;
}
