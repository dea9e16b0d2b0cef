/* tokenize_compare.c - where two tokenizers cut a text differently, and how far their tokens reach. */
#include "jobs/put.h"
#include "jobs/tokenize.h"

typedef struct side {
    const char *path;
    wf_tokenizer *tok;
    wf_encoder *encoder;
    wf_encoding encoding;
    size_t tokens;
} side;

typedef struct comparison {
    wf_job *job;
    const wf_tokenize_request *r;
    side sides[2];
    size_t bytes, texts, differing_texts, places, differing_bytes;
    wf_json *examples;
    int64_t shown;
} comparison;

static weft_status open_side(comparison *c, int i, const char *path) {
    side *s = &c->sides[i];
    s->path = path;
    s->encoding = wf_encoding_new(&c->job->env->mem);
    WF_TRY(wf_tokenizer_open(&c->job->env->mem, path, &s->tok, c->job->err));
    return wf_encoder_create(s->tok, &s->encoder, c->job->err);
}

static void close_side(side *s) {
    if (s->encoder)
        wf_encoder_free(s->encoder);
    if (s->tok)
        wf_encoding_free(&s->encoding);
    wf_tokenizer_free(s->tok);
}

/* ---- one place: tokens [from, to) of each side that cover the same bytes ---- */
typedef struct place {
    size_t from[2], to[2];
    size_t start, end;
} place;

static void put_pieces(comparison *c, const place *p, int i, wf_json *example) {
    const wf_encoding *g = &c->sides[i].encoding;
    wf_json *list = wf_put_list(c->job->arena, example, i ? "other" : "tokenizer");
    for (size_t k = p->from[i]; k < p->to[i]; k++) {
        wf_bytes piece = g->pieces[k];
        wf_json_push(list, wf_tokenize_piece_json(c->job->arena, piece));
        wf_str_puts(&c->job->text, k > p->from[i] ? " " : i ? "   |   " : "   ");
        wf_tokenize_put_piece(&c->job->text, piece);
    }
}

static void show(comparison *c, const place *p, wf_bytes text) {
    if (c->shown++ >= c->r->examples)
        return;
    size_t end = p->end < text.length ? p->end : text.length, start = p->start < end ? p->start : end;
    wf_json *example = wf_json_push(c->examples, wf_json_new(c->job->arena, WF_JSON_OBJECT));
    wf_put_int(c->job->arena, example, "text", (int64_t)c->texts);
    wf_put_int(c->job->arena, example, "offset", (int64_t)start);
    wf_str_printf(&c->job->text, "  text %zu, byte %zu: ", c->texts, start);
    wf_tokenize_put_piece(&c->job->text, (wf_bytes){text.data + start, end - start > 80 ? 80 : end - start});
    put_pieces(c, p, 0, example);
    put_pieces(c, p, 1, example);
    wf_str_putc(&c->job->text, '\n');
}

static bool same_cuts(const comparison *c, const place *p) {
    if (p->to[0] - p->from[0] != p->to[1] - p->from[1])
        return false;
    for (size_t k = 0; k < p->to[0] - p->from[0]; k++)
        if (c->sides[0].encoding.spans[p->from[0] + k].end != c->sides[1].encoding.spans[p->from[1] + k].end)
            return false;
    return true;
}

/* Takes tokens from the side that is behind until both end at the same byte, with all that end there. */
static void next_place(const comparison *c, place *p) {
    size_t end[2] = {p->end, p->end};
    for (int i = 0; i < 2; i++)
        p->from[i] = p->to[i];
    p->start = p->end;
    for (;;) {
        int behind = end[0] <= end[1] ? 0 : 1;
        if (p->to[behind] == c->sides[behind].encoding.count)
            behind = 1 - behind;
        const wf_encoding *g = &c->sides[behind].encoding;
        if (p->to[behind] == g->count)
            break;
        size_t reach = g->spans[p->to[behind]++].end;
        end[behind] = reach > end[behind] ? reach : end[behind];
        if (end[0] == end[1] && p->to[0] > p->from[0] && p->to[1] > p->from[1])
            break;
    }
    p->end = end[0] > end[1] ? end[0] : end[1];
    for (int i = 0; i < 2; i++)
        while (p->to[i] < c->sides[i].encoding.count && c->sides[i].encoding.spans[p->to[i]].end <= p->end)
            p->to[i]++;
}

static weft_status compare_text(comparison *c, wf_bytes text) {
    unsigned flags = WF_ENCODE_UNLIMITED | WF_ENCODE_BYTE_OFFSETS | (c->r->plain ? WF_ENCODE_PLAIN : 0u);
    size_t before = c->places;
    place p = {0};
    for (int i = 0; i < 2; i++) {
        side *s = &c->sides[i];
        WF_TRY(wf_encode_text(s->encoder, &(wf_text_input){.text = text}, NULL, flags, &s->encoding, c->job->err));
        s->tokens += s->encoding.count;
    }
    while (p.to[0] < c->sides[0].encoding.count || p.to[1] < c->sides[1].encoding.count) {
        next_place(c, &p);
        if (same_cuts(c, &p))
            continue;
        c->places++;
        c->differing_bytes += p.end - p.start;
        show(c, &p, text);
    }
    c->bytes += text.length;
    c->differing_texts += c->places > before;
    c->texts++;
    return wf_stopped(c->job->env);
}

/* ---- the result ---- */

static void tell_side(comparison *c, int i) {
    const side *s = &c->sides[i];
    wf_arena *arena = c->job->arena;
    wf_json *one = wf_put_object(arena, c->job->json, i ? "other" : "tokenizer");
    double ratio = s->tokens ? (double)c->bytes / (double)s->tokens : NAN;
    wf_put_text(arena, one, "path", s->path);
    wf_put_int(arena, one, "vocab", (int64_t)wf_tokenizer_vocab(s->tok));
    wf_put_int(arena, one, "tokens", (int64_t)s->tokens);
    wf_put_number(arena, one, "bytes_per_token", ratio);
    wf_str_printf(&c->job->text, "%-40s %8zu ids %10zu tokens %8.3f bytes per token\n", s->path, wf_tokenizer_vocab(s->tok),
                  s->tokens, s->tokens ? ratio : 0.0);
}

static void tell(comparison *c) {
    wf_arena *arena = c->job->arena;
    tell_side(c, 0);
    tell_side(c, 1);
    wf_put_int(arena, c->job->json, "texts", (int64_t)c->texts);
    wf_put_int(arena, c->job->json, "bytes", (int64_t)c->bytes);
    wf_put_int(arena, c->job->json, "differing_texts", (int64_t)c->differing_texts);
    wf_put_int(arena, c->job->json, "differences", (int64_t)c->places);
    wf_put_int(arena, c->job->json, "differing_bytes", (int64_t)c->differing_bytes);
    wf_str_printf(&c->job->text, "%zu of %zu texts differ, in %zu places that hold %zu of %zu bytes\n", c->differing_texts,
                  c->texts, c->places, c->differing_bytes, c->bytes);
}

static weft_status compare_all(comparison *c) {
    wf_tokenize_texts texts;
    weft_status status = wf_tokenize_load(c->job, c->r, &texts);
    WF_TRY(status);
    for (size_t i = 0; i < texts.count && status == WEFT_OK; i++)
        status = compare_text(c, texts.list[i]);
    wf_tokenize_texts_free(&texts);
    if (status == WEFT_OK)
        tell(c);
    return status;
}

weft_status wf_tokenize_compare(wf_job *job, const wf_tokenize_request *r) {
    comparison c = {.job = job, .r = r};
    WF_CHECK(r->tokenizer, job->err, WEFT_USAGE,
             "tokenize: compare with which tokenizer? 'tokenizer' names the first, 'compare' the second");
    c.examples = wf_put_list(job->arena, job->json, "examples");
    weft_status status = open_side(&c, 0, r->tokenizer);
    if (status == WEFT_OK)
        status = open_side(&c, 1, r->compare);
    if (status == WEFT_OK)
        status = compare_all(&c);
    close_side(&c.sides[0]);
    close_side(&c.sides[1]);
    return status;
}
