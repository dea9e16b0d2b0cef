/* unigram.c - Unigram models (Kudo 2018): the pieces whose scores add up to the most, by Viterbi's search over the bytes of a
 * piece. Where all paths meet, what lies before is decided and need not be kept: so a whole text can be one piece. */
#include <math.h>
#include <string.h>

#include "text/pieces.h"
#include "text/unicode.h"
#include "text/unigram.h"

enum { UNKNOWN_PENALTY = 10 };

typedef struct unigram {
    wf_trie trie;
    const double *scores;
    const char *kinds;
    size_t longest; /* bytes of a piece */
    double unknown_score;
    uint32_t unknown;           /* UINT32_MAX: none */
    bool byte_fallback, single; /* single: sums in single precision, as SentencePiece has them */
    bool sentencepiece;
    uint32_t fallback[256];
} unigram;

/* ---- reading ---- */

static void find_fallback(const wf_tokenizer *tok, unigram *u) {
    static const char hex[] = "0123456789ABCDEF";
    for (int byte = 0; byte < 256; byte++) {
        char name[] = "<0x00>";
        name[3] = hex[byte >> 4];
        name[4] = hex[byte & 15];
        const wf_vocab_entry *e = wf_vocab_find(&tok->vocab, name, 6);
        u->fallback[byte] = e ? e->id : UINT32_MAX;
    }
}

/* The longest piece and the worst score, each thread of some; SentencePiece looks at normal pieces only. */
typedef struct measuring {
    const wf_tokenizer *tok;
    const wf_pieces *pieces;
    double worst[WF_LOAD_THREADS];
    size_t longest[WF_LOAD_THREADS];
} measuring;

static void measure_some(void *arg, int thread, int n_threads) {
    measuring *m = arg;
    const wf_pieces *p = m->pieces;
    size_t share = p->count / (size_t)n_threads, longest = 0, from = share * (size_t)thread;
    double worst = INFINITY;
    for (size_t i = from; i < (thread + 1 == n_threads ? p->count : from + share); i++) {
        bool counts = !p->given_kinds || p->kinds[i] == WF_PIECE_NORMAL;
        size_t length = wf_pieces_text(m->tok, (uint32_t)i).length;
        worst = counts && p->scores[i] < worst ? p->scores[i] : worst;
        longest = length > longest ? length : longest;
    }
    m->worst[thread] = worst;
    m->longest[thread] = longest;
}

static void measure_pieces(wf_loading *l, unigram *u, const wf_pieces *p) {
    measuring m = {.tok = l->tok, .pieces = p};
    for (int i = 0; i < WF_LOAD_THREADS; i++)
        m.worst[i] = INFINITY;
    wf_load_region(l, measure_some, &m);
    for (int i = 0; i < WF_LOAD_THREADS; i++) {
        m.worst[0] = m.worst[i] < m.worst[0] ? m.worst[i] : m.worst[0];
        u->longest = m.longest[i] > u->longest ? m.longest[i] : u->longest;
    }
    u->unknown_score = m.worst[0] - UNKNOWN_PENALTY;
}

weft_status wf_load_unigram(wf_loading *l, const wf_model_source *s, void **model) {
    wf_pieces p;
    WF_TRY(wf_load_options(l, sizeof(unigram), model));
    unigram *u = *model;
    WF_TRY(wf_load_pieces(l, s, &p));
    u->scores = p.scores; /* the tokenizer's */
    u->kinds = p.kinds;
    u->unknown = p.unknown;
    u->byte_fallback = p.byte_fallback;
    u->sentencepiece = p.given_kinds;
    WF_TRY(wf_load_bool(l, s->options, "single_precision", false, &u->single));
    measure_pieces(l, u, &p);
    find_fallback(l->tok, u);
    l->tok->names_unknown = p.unknown != UINT32_MAX;
    l->tok->unknown = p.unknown;
    return wf_pieces_trie(l, &p, WF_PIECE_NORMAL, &u->trie);
}

void wf_release_unigram(void *model, const wf_mem *mem) { wf_trie_free(&((unigram *)model)->trie, mem); }

/* ---- the search ---- */

/* A search over one piece. The paths are kept from `base` on: what lies before is decided. */
typedef struct search {
    const unigram *u;
    wf_encoder *e;
    wf_piece piece;
    size_t base, reach, filled; /* the furthest end of a path; paths [base, filled) are in use */
} search;

/* Returns whether it is the best one so far. */
static bool offer(search *s, size_t end, double score, uint32_t id, size_t from) {
    wf_best_path *to = &s->e->paths[end - s->base];
    s->reach = end > s->reach ? end : s->reach;
    if (to->from != WF_NO_PATH && !(score > to->score))
        return false;
    *to = (wf_best_path){score, id, (uint32_t)from};
    return true;
}

/* A user-defined piece costs nothing, so that it is chosen. */
static double score_of(const unigram *u, uint32_t id) { return u->kinds[id] == WF_PIECE_USER ? 0 : u->scores[id]; }

/* In single precision every sum is rounded before it is compared. */
static double sum(const unigram *u, double a, double b) { return u->single ? (double)((float)a + (float)b) : a + b; }

/* Every piece that begins at `at` offers a way to its end. Without an unknown token the reference fails where one would be the
 * best so far, even if bytes could stand for it. */
static weft_status extend(search *s, size_t at, size_t first) {
    const unigram *u = s->u;
    uint32_t node = WF_TRIE_ROOT;
    bool one_character = false;
    double here = s->e->paths[at - s->base].score;
    for (size_t i = at; u->trie.count && i < s->piece.length && wf_trie_step(&u->trie, &node, s->piece.bytes[i]); i++) {
        uint32_t id = u->trie.nodes[node].value;
        if (id == WF_TRIE_NONE || u->kinds[id] == WF_PIECE_UNUSED)
            continue;
        offer(s, i + 1, sum(u, score_of(u, id), here), id, at);
        one_character = one_character || i + 1 - at == first;
    }
    bool lost = !one_character && offer(s, at + first, sum(u, u->unknown_score, here), u->unknown, at);
    WF_CHECK(!lost || u->unknown != UINT32_MAX, s->e->err, WEFT_BAD_INPUT,
             "the text has characters that the vocabulary lacks, and the model names no unknown token");
    return WEFT_OK;
}

/* Room for paths up to `end`. */
static weft_status fill(search *s, size_t end) {
    wf_encoder *e = s->e;
    if (end < s->filled)
        return WEFT_OK;
    WF_TRY(wf_grow(e->mem, (void **)&e->paths, &e->paths_capacity, end + 1 - s->base, sizeof *e->paths, e->err));
    while (s->filled <= end)
        e->paths[s->filled++ - s->base] = (wf_best_path){0, 0, WF_NO_PATH};
    return WEFT_OK;
}

static weft_status finish(search *s, size_t end);

/* All paths go through `at`: what lies before is decided. A run of unknown characters stays together. */
static weft_status decide(search *s, size_t at) {
    double score = s->e->paths[at - s->base].score;
    WF_TRY(finish(s, at));
    WF_TRY(wf_units_flush(s->e, s->piece));
    s->base = s->filled = at;
    WF_TRY(fill(s, at));
    s->e->paths[0].score = score;
    return WEFT_OK;
}

static weft_status run(search *s) {
    enum { AT_ONCE = 4096 };
    WF_TRY(fill(s, 0));
    for (size_t at = 0, first; at < s->piece.length; at += first) {
        wf_char_at(s->piece.bytes + at, s->piece.length - at, &first);
        if (s->reach == at && at - s->base > AT_ONCE && s->e->paths[at - s->base].id != s->u->unknown)
            WF_TRY(decide(s, at));
        WF_TRY(fill(s, at + (s->u->longest > first ? s->u->longest : first)));
        if (at == s->base || s->e->paths[at - s->base].from != WF_NO_PATH)
            WF_TRY(extend(s, at, first));
    }
    return finish(s, s->piece.length);
}

/* ---- tokens ---- */

/* In SentencePiece the last byte stands for the character, in the reference of tokenizer.json each for all. */
static weft_status put_bytes(const unigram *u, wf_encoder *e, wf_piece piece, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        size_t end = u->sentencepiece && i + 1 < to ? from : to;
        WF_TRY(wf_units_push(e, u->fallback[piece.bytes[i]], from, end));
    }
    return WEFT_OK;
}

static bool has_bytes(const unigram *u, wf_piece piece, size_t from, size_t to) {
    for (size_t i = from; u->byte_fallback && i < to; i++)
        if (u->fallback[piece.bytes[i]] == UINT32_MAX)
            return false;
    return u->byte_fallback;
}

/* A run of unknown characters. Joined they may spell a piece after all. */
static weft_status put_unknown(const unigram *u, wf_encoder *e, wf_piece piece, size_t from, size_t to) {
    const wf_vocab_entry *known =
        u->sentencepiece ? NULL : wf_vocab_find(&e->tok->vocab, (const char *)piece.bytes + from, to - from);
    if (known)
        return wf_units_push(e, known->id, from, to);
    if (has_bytes(u, piece, from, to))
        return put_bytes(u, e, piece, from, to);
    return wf_units_push(e, u->unknown, from, to);
}

/* The path is followed from its end: the units come out backwards and are turned round. */
static weft_status collect(const search *s, size_t end) {
    wf_encoder *e = s->e;
    for (size_t at = end; at > s->base; at = e->paths[at - s->base].from)
        WF_TRY(wf_units_push(e, e->paths[at - s->base].id, e->paths[at - s->base].from, at));
    for (size_t i = 0, j = e->units.count; i + 1 < j; i++) {
        wf_unit x = e->units.data[--j];
        e->units.data[j] = e->units.data[i];
        e->units.data[i] = x;
    }
    return WEFT_OK;
}

/* SentencePiece falls back to bytes character by character. */
static bool joins_unknown(const unigram *u) { return !(u->sentencepiece && u->byte_fallback); }

static weft_status put_tokens(const unigram *u, wf_encoder *e, wf_piece piece) {
    size_t n = e->units.count;
    for (size_t i = 0; i < n;) {
        wf_unit x = e->units.data[i++];
        if (x.id != u->unknown) {
            WF_TRY(wf_units_push(e, x.id, x.start, x.end));
            continue;
        }
        while (i < n && e->units.data[i].id == u->unknown && joins_unknown(u))
            x.end = e->units.data[i++].end;
        WF_TRY(put_unknown(u, e, piece, x.start, x.end));
    }
    memmove(e->units.data, e->units.data + n, (e->units.count - n) * sizeof *e->units.data);
    e->units.count -= n;
    return WEFT_OK;
}

static weft_status finish(search *s, size_t end) {
    WF_TRY(collect(s, end));
    return put_tokens(s->u, s->e, s->piece);
}

weft_status wf_encode_unigram(const void *model, wf_encoder *e, wf_piece piece) {
    search s = {.u = model, .e = e, .piece = piece};
    return run(&s);
}
