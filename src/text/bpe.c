/* bpe.c - byte-pair encoding: the pair with the lowest rank is merged first, the leftmost among equals, until none is left.
 *
 * A word is first taken apart where no merge can ever join two neighbouring characters, which gives the same tokens: so a text
 * without pre-tokenizer is as cheap as its words, and nothing but the current part is in memory. Short parts scan their few
 * pairs; long ones keep the pairs in a queue by rank over a linked list, so a word of a megabyte costs what its parts would. */
#include "text/bpe.h"

#include <string.h>

#include "text/unicode.h"

#define NONE WF_BPE_NONE
enum { SHORT = WF_BPE_SHORT, UNITS_AT_ONCE = 4096 };

/* NONE for an empty slot. */
static uint32_t rank_of(const wf_bpe *b, uint32_t left, uint32_t right) {
    return (uint32_t)(wf_bpe_find_merge(b, left, right)->what >> 32) - 1;
}

bool wf_bpe_may_join(const wf_bpe *b, uint32_t left, uint32_t right) {
    uint64_t pair = ((uint64_t)left << 32 | right) + 1;
    for (uint64_t i = wf_bpe_pair_hash(pair - 1);; i++) {
        uint64_t have = b->joints[i & b->joint_mask];
        if (have == 0 || have == pair)
            return have == pair;
    }
}

/* A word on its way through the model. */
typedef struct word {
    const wf_bpe *b;
    wf_encoder *e;
    wf_piece piece;
    size_t done;      /* bytes whose tokens are out */
    uint32_t unknown; /* length of the unknown that waits, 0: none */
    bool waits;
    bool last_plain;    /* the last symbol is a character of its own */
    bool after_unknown; /* the last token is the unknown one */
} word;

/* ---- short parts ---- */

/* Until no pair merges, or `least` symbols are left. */
static size_t merge_short(const wf_bpe *b, wf_bpe_symbol *s, size_t n, size_t least) {
    uint32_t ranks[SHORT];
    for (size_t i = 0; i + 1 < n; i++)
        ranks[i] = rank_of(b, s[i].id, s[i + 1].id);
    while (n > least) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            best = ranks[i] < ranks[best] ? i : best;
        if (ranks[best] == NONE)
            break;
        s[best].id = (uint32_t)wf_bpe_find_merge(b, s[best].id, s[best + 1].id)->what;
        s[best].length += s[best + 1].length;
        n--;
        memmove(s + best + 1, s + best + 2, (n - best - 1) * sizeof *s);
        if (best + 1 < n) {
            memmove(ranks + best, ranks + best + 1, (n - best - 1) * sizeof *ranks);
            ranks[best] = rank_of(b, s[best].id, s[best + 1].id);
        }
        if (best > 0)
            ranks[best - 1] = rank_of(b, s[best - 1].id, s[best].id);
    }
    return n;
}

/* ---- long parts ---- */

/* Ranks the pair that begins at `i` anew and queues it. */
static weft_status rank_pair(const word *w, int32_t i) {
    wf_bpe_scratch *s = &w->e->bpe;
    wf_bpe_link *link = &s->links[i];
    link->rank = link->next < 0 ? NONE : rank_of(w->b, s->symbols[i].id, s->symbols[link->next].id);
    return link->rank == NONE ? WEFT_OK : wf_bpe_queue_put(&s->queue, w->e->mem, link->rank, (uint32_t)i, w->e->err);
}

static weft_status link_symbols(const word *w, size_t n) {
    wf_bpe_scratch *s = &w->e->bpe;
    WF_TRY(wf_grow(w->e->mem, (void **)&s->links, &s->links_capacity, n, sizeof *s->links, w->e->err));
    WF_TRY(wf_bpe_queue_begin(&s->queue, w->e->mem, w->b->n_ranks, w->e->err));
    for (size_t i = 0; i < n; i++) {
        bool last = i + 1 == n;
        uint32_t rank = last ? NONE : rank_of(w->b, s->symbols[i].id, s->symbols[i + 1].id);
        s->links[i] = (wf_bpe_link){rank, (int32_t)i - 1, last ? -1 : (int32_t)i + 1};
        if (rank != NONE)
            WF_TRY(wf_bpe_queue_put(&s->queue, w->e->mem, rank, (uint32_t)i, w->e->err));
    }
    return WEFT_OK;
}

static weft_status merge_at(const word *w, int32_t i) {
    wf_bpe_scratch *s = &w->e->bpe;
    int32_t right = s->links[i].next;
    s->symbols[i].id = (uint32_t)wf_bpe_find_merge(w->b, s->symbols[i].id, s->symbols[right].id)->what;
    s->symbols[i].length += s->symbols[right].length;
    s->links[i].next = s->links[right].next;
    s->links[right].rank = NONE; /* its entries in the queue are void */
    if (s->links[i].next >= 0)
        s->links[s->links[i].next].previous = i;
    WF_TRY(rank_pair(w, i));
    return s->links[i].previous < 0 ? WEFT_OK : rank_pair(w, s->links[i].previous);
}

static weft_status merge_long(const word *w, size_t *n) {
    wf_bpe_scratch *s = &w->e->bpe;
    WF_CHECK(*n <= INT32_MAX, w->e->err, WEFT_BAD_INPUT, "a word of %zu characters", *n);
    WF_TRY(link_symbols(w, *n));
    for (uint32_t rank, at;;) {
        bool some;
        WF_TRY(wf_bpe_queue_take(&s->queue, w->e->mem, &rank, &at, &some, w->e->err));
        if (!some)
            break;
        if (s->links[at].rank == rank)
            WF_TRY(merge_at(w, (int32_t)at));
    }
    size_t kept = 0;
    for (int32_t i = 0; i >= 0; i = s->links[i].next)
        s->symbols[kept++] = s->symbols[i];
    *n = kept;
    return WEFT_OK;
}

/* ---- tokens ---- */

static uint32_t token_of(const wf_tokenizer *tok, wf_bytes text) {
    const wf_vocab_entry *entry = wf_vocab_find(&tok->vocab, text.data, text.length);
    return entry ? entry->id : NONE;
}

/* Pieces that are control, unknown, unused or bytes are never found in a text. */
static uint32_t piece_of(const word *w, wf_bytes text) {
    uint32_t id = token_of(w->e->tok, text);
    return id == NONE || strchr("cubx", w->b->kinds[id]) ? NONE : id;
}

/* Of a character, which is a piece or part of some. */
static uint32_t symbol_of(const word *w, wf_bytes c) {
    bool ascii = c.length == 1 && (uint8_t)c.data[0] < 128;
    uint32_t id = ascii ? w->b->ascii_id[(uint8_t)c.data[0]] : piece_of(w, c);
    const wf_vocab_entry *part = id == NONE ? wf_vocab_find(&w->b->extra, c.data, c.length) : NULL;
    return part ? part->id : id;
}

static bool all_bytes_known(const wf_bpe *b, wf_bytes text) {
    for (size_t i = 0; i < text.length; i++)
        if (b->fallback[(uint8_t)text.data[i]] == NONE)
            return false;
    return true;
}

/* What a character that is no piece becomes in SentencePiece: its bytes, the last of which stands for the character, or the
 * unknown token, one for a whole run. */
static weft_status put_no_piece(word *w, uint32_t length) {
    const wf_bpe *b = w->b;
    size_t end = w->done + length;
    if (b->byte_fallback && all_bytes_known(b, (wf_bytes){(const char *)w->piece.bytes + w->done, length})) {
        for (size_t i = w->done; i < end; i++)
            WF_TRY(wf_units_push(w->e, b->fallback[w->piece.bytes[i]], w->done, i + 1 == end ? end : w->done));
        return WEFT_OK;
    }
    if (w->after_unknown && w->e->units.count) {
        w->e->units.data[w->e->units.count - 1].end = (uint32_t)end;
        return WEFT_OK;
    }
    w->after_unknown = true;
    return b->unknown == NONE ? WEFT_OK : wf_units_push(w->e, b->unknown, w->done, end);
}

static weft_status put_unused(word *w, uint32_t length);

static weft_status put_symbol(word *w, wf_bpe_symbol s) {
    const wf_bpe *b = w->b;
    if (b->scored && s.id < b->first_extra && b->kinds[s.id] == 'x')
        return put_unused(w, s.length);
    if (b->scored && s.id >= b->first_extra) {
        WF_TRY(put_no_piece(w, s.length));
    } else {
        WF_TRY(wf_units_push(w->e, s.id, w->done, w->done + s.length));
        w->after_unknown = false;
    }
    w->done += s.length;
    return WEFT_OK;
}

/* An unused piece comes out as the two that it was merged from. */
static weft_status put_unused(word *w, uint32_t length) {
    wf_bpe_symbol symbols[SHORT];
    size_t n = 0, step;
    for (size_t at = 0; at < length && n < SHORT; at += step) {
        const uint8_t *c = w->piece.bytes + w->done + at;
        wf_char_at(c, length - at, &step);
        symbols[n++] = (wf_bpe_symbol){symbol_of(w, (wf_bytes){(const char *)c, step}), (uint32_t)step};
    }
    n = merge_short(w->b, symbols, n, 2);
    for (size_t i = 0; i < n; i++)
        WF_TRY(put_symbol(w, symbols[i]));
    return WEFT_OK;
}

static weft_status put_tokens(word *w, size_t n) {
    for (size_t i = 0; i < n; i++)
        WF_TRY(put_symbol(w, w->e->bpe.symbols[i]));
    bool many = w->e->units.count > UNITS_AT_ONCE && !w->after_unknown;
    return many ? wf_units_flush(w->e, w->piece) : WEFT_OK;
}

/* Merges the symbols so far and puts out their tokens. */
static weft_status end_part(word *w) {
    wf_bpe_scratch *s = &w->e->bpe;
    size_t n = s->count;
    if (n > SHORT)
        WF_TRY(merge_long(w, &n));
    else
        n = merge_short(w->b, s->symbols, n, 1);
    s->count = 0;
    w->last_plain = false;
    return put_tokens(w, n);
}

/* ---- symbols ---- */

static weft_status add_symbol(word *w, uint32_t id, size_t length) {
    wf_bpe_scratch *s = &w->e->bpe;
    if (s->count == s->symbols_capacity)
        WF_TRY(wf_grow(w->e->mem, (void **)&s->symbols, &s->symbols_capacity, s->count + 1, sizeof *s->symbols, w->e->err));
    s->symbols[s->count++] = (wf_bpe_symbol){id, (uint32_t)length};
    return WEFT_OK;
}

/* A character with a token: the part ends before it when nothing can join the two. */
static weft_status add_plain(word *w, uint32_t id, size_t length) {
    wf_bpe_scratch *s = &w->e->bpe;
    if (w->last_plain && w->b->joints && !wf_bpe_may_join(w->b, s->symbols[s->count - 1].id, id))
        WF_TRY(end_part(w));
    w->last_plain = true;
    return add_symbol(w, id, length);
}

static weft_status end_unknown(word *w) {
    if (!w->waits)
        return WEFT_OK;
    w->waits = false;
    w->last_plain = false;
    return add_symbol(w, w->b->unknown, w->unknown);
}

/* A character without a token: it becomes the unknown token, joins the one that waits, or vanishes. */
static weft_status add_unknown(word *w, size_t length) {
    WF_CHECK(!w->b->lacks_unknown, w->e->err, WEFT_BAD_INPUT,
             "the text has a character that the vocabulary lacks, and so is the unknown token");
    if (w->b->unknown == NONE)
        return WEFT_OK;
    if (w->waits && w->b->fuse_unknown) {
        w->unknown += (uint32_t)length;
        return WEFT_OK;
    }
    WF_TRY(end_unknown(w));
    w->waits = true;
    w->last_plain = false;
    w->unknown = (uint32_t)length;
    return WEFT_OK;
}

/* An unknown that waits stays behind the bytes of a character that comes after it: so does the reference. */
static weft_status add_no_token(word *w, wf_bytes text, size_t length) {
    if (!w->b->byte_fallback || !all_bytes_known(w->b, text))
        return add_unknown(w, length);
    w->last_plain = false;
    for (size_t i = 0; i < text.length; i++)
        WF_TRY(add_symbol(w, w->b->fallback[(uint8_t)text.data[i]], 1));
    return WEFT_OK;
}

/* ---- words in letters ---- */

static weft_status encode_letters(word *w) {
    const wf_bpe *b = w->b;
    for (size_t i = 0; i < w->piece.length; i++) {
        uint32_t id = b->byte_id[w->piece.bytes[i]];
        if (id == NONE) {
            WF_TRY(add_unknown(w, 1));
            continue;
        }
        WF_TRY(end_unknown(w));
        WF_TRY(add_plain(w, id, 1));
    }
    WF_TRY(end_unknown(w));
    return end_part(w);
}

/* The usual case in a straight line: a short word whose letters all have tokens. */
static weft_status encode_short_letters(word *w, bool *done) {
    const wf_bpe *b = w->b;
    wf_bpe_symbol symbols[SHORT];
    size_t n = w->piece.length;
    for (size_t i = 0; i < n; i++) {
        symbols[i] = (wf_bpe_symbol){b->byte_id[w->piece.bytes[i]], 1};
        if (symbols[i].id == NONE)
            return WEFT_OK;
    }
    *done = true;
    n = merge_short(b, symbols, n, 1);
    for (size_t i = 0, at = 0; i < n; at += symbols[i++].length)
        WF_TRY(wf_units_push(w->e, symbols[i].id, at, at + symbols[i].length));
    return WEFT_OK;
}

/* ---- words in characters ---- */

static weft_status add_char(word *w, size_t at, size_t length) {
    const wf_bpe *b = w->b;
    wf_bytes text = {(const char *)w->piece.bytes + at, length};
    bool plain = !b->prefix.length && !b->suffix.length;
    uint32_t id;
    if (plain && length == 1 && w->piece.bytes[at] < 128) {
        id = b->ascii_id[w->piece.bytes[at]];
    } else {
        if (!plain) {
            wf_str *s = &w->e->bpe.text;
            wf_str_clear(s);
            wf_str_put(s, b->prefix.data, at > 0 ? b->prefix.length : 0);
            wf_str_put(s, text.data, length);
            wf_str_put(s, b->suffix.data, at + length == w->piece.length ? b->suffix.length : 0);
            if (s->failed)
                return wf_fail_memory(w->e->err);
            text = (wf_bytes){wf_str_text(s), s->length};
        }
        id = token_of(w->e->tok, text);
    }
    if (id == NONE)
        return add_no_token(w, text, length);
    WF_TRY(end_unknown(w));
    return add_plain(w, id, length);
}

static weft_status encode_chars(word *w) {
    for (size_t at = 0, length; at < w->piece.length; at += length) {
        wf_char_at(w->piece.bytes + at, w->piece.length - at, &length);
        WF_TRY(add_char(w, at, length));
    }
    WF_TRY(end_unknown(w));
    return end_part(w);
}

/* ---- pieces with scores ---- */

/* The longest user-defined piece at `at`; its length, 0 when there is none. */
static size_t frozen_at(const word *w, size_t at, uint32_t *id) {
    const wf_trie *t = &w->b->frozen;
    uint32_t node = WF_TRIE_ROOT;
    size_t length = 0;
    for (size_t i = at; t->count && i < w->piece.length && wf_trie_step(t, &node, w->piece.bytes[i]); i++)
        if (t->nodes[node].value != WF_TRIE_NONE) {
            *id = t->nodes[node].value;
            length = i + 1 - at;
        }
    return length;
}

static weft_status add_scored_char(word *w, size_t at, size_t length) {
    const wf_bpe *b = w->b;
    const char *text = (const char *)w->piece.bytes + at;
    uint32_t id = symbol_of(w, (wf_bytes){text, length});
    if (id != NONE)
        return add_plain(w, id, length);
    WF_TRY(end_part(w)); /* nothing joins it */
    WF_TRY(add_symbol(w, b->first_extra, length));
    return end_part(w);
}

static weft_status encode_scored(word *w) {
    for (size_t at = 0, length; at < w->piece.length; at += length) {
        uint32_t id = 0;
        length = frozen_at(w, at, &id);
        if (length) {
            WF_TRY(end_part(w));
            WF_TRY(wf_units_push(w->e, id, w->done, w->done + length));
            w->done += length;
            w->after_unknown = false;
            continue;
        }
        wf_char_at(w->piece.bytes + at, w->piece.length - at, &length);
        WF_TRY(add_scored_char(w, at, length));
    }
    return end_part(w);
}

static weft_status encode_words(word *w) {
    static const char mark[] = "\xE2\x96\x81";
    const char *text = (const char *)w->piece.bytes;
    for (size_t at = 0, end; at < w->piece.length; at = end) {
        for (end = at + 1; end < w->piece.length; end++)
            if (w->piece.length - end >= 3 && memcmp(text + end, mark, 3) == 0)
                break;
        uint32_t id = piece_of(w, (wf_bytes){text + at, end - at});
        WF_TRY(add_symbol(w, id == NONE ? w->b->first_extra : id, end - at));
        WF_TRY(end_part(w));
    }
    return WEFT_OK;
}

/* ---- a piece ---- */

/* The byte tokenizer: a whole text is one piece, and needs no list. */
static weft_status encode_unmerged(const wf_bpe *b, wf_encoder *e, wf_piece piece) {
    for (size_t i = 0; i < piece.length; i++) {
        WF_TRY(wf_units_push(e, b->byte_id[piece.bytes[i]], i, i + 1));
        if (e->units.count > UNITS_AT_ONCE)
            WF_TRY(wf_units_flush(e, piece));
    }
    return WEFT_OK;
}

/* With ignore_merges a piece that is a token as a whole is that token, whatever the merges would give. */
static weft_status whole_token(wf_encoder *e, wf_piece piece, bool *done) {
    wf_piece plain;
    WF_TRY(wf_encoder_spelled(e, piece, &plain));
    uint32_t id = token_of(e->tok, (wf_bytes){(const char *)plain.bytes, plain.length});
    *done = id != NONE;
    return *done ? wf_units_push(e, id, 0, piece.length) : WEFT_OK;
}

bool wf_bpe_takes_letters(const void *model) {
    const wf_bpe *b = model;
    return !b->prefix.length && !b->suffix.length && !b->byte_fallback && !b->scored && !b->drops_letters;
}

weft_status wf_encode_bpe(const void *model, wf_encoder *e, wf_piece piece) {
    const wf_bpe *b = model;
    bool done = false;
    word w = {.b = b, .e = e, .piece = piece};
    e->bpe.count = 0;
    if (b->ignore_merges)
        WF_TRY(whole_token(e, piece, &done));
    if (!done && piece.letters && b->merges_nothing)
        return encode_unmerged(b, e, piece);
    if (!done && piece.letters && piece.length <= WF_WORD_MAX)
        WF_TRY(encode_short_letters(&w, &done));
    if (done)
        return WEFT_OK;
    if (b->words)
        return encode_words(&w);
    return piece.letters ? encode_letters(&w) : b->scored ? encode_scored(&w) : encode_chars(&w);
}
