/* bpe_load.c - building byte-pair models: from the merges of tokenizer.json, or from pieces with scores, where every way to put
 * a piece together from two others is a merge, ranked by the score. */
#include <stdlib.h>
#include <string.h>

#include "text/bpe.h"
#include "text/bytelevel.h"
#include "text/pieces.h"
#include "text/unicode.h"

#define NONE WF_BPE_NONE

static uint32_t token_of(const wf_tokenizer *tok, const char *text, size_t length) {
    const wf_vocab_entry *e = wf_vocab_find(&tok->vocab, text, length);
    return e ? e->id : NONE;
}

/* ---- tables ---- */

static weft_status make_tables(wf_loading *l, wf_bpe *b, size_t n) {
    enum { JOINTS = 1024 };
    size_t slots = 16;
    while (slots < n * 2)
        slots *= 2;
    b->mask = slots - 1;
    b->joint_mask = JOINTS - 1;
    b->merges = wf_alloc_big(l->mem, slots * sizeof *b->merges);
    b->joints = wf_alloc_big(l->mem, JOINTS * sizeof *b->joints);
    if (!b->merges || !b->joints)
        return wf_fail_memory(l->err);
    return WEFT_OK;
}

/* Empties a share of the slots: no small part of the whole, for they are many. */
static void empty_merges(wf_bpe *b, size_t share, size_t shares) {
    size_t n = (size_t)b->mask + 1, from = n / shares * share, to = share + 1 == shares ? n : from + n / shares;
    memset(b->merges + from, 0xFF, (to - from) * sizeof *b->merges); /* the rank NONE */
}

/* A later merge of the same pair replaces the earlier one, as in the reference. */
static void put_merge(wf_bpe *b, wf_bpe_merge new) {
    *wf_bpe_find_merge(b, new.left, new.right) = new;
    b->n_ranks = new.rank >= b->n_ranks ? new.rank + 1 : b->n_ranks;
}

static uint64_t *find_joint(uint64_t *joints, uint64_t mask, uint64_t pair) {
    for (uint64_t i = wf_bpe_pair_hash(pair - 1);; i++)
        if (joints[i & mask] == 0 || joints[i & mask] == pair)
            return &joints[i & mask];
}

static weft_status grow_joints(wf_loading *l, wf_bpe *b) {
    uint64_t mask = b->joint_mask * 2 + 1, *joints = wf_alloc_big(l->mem, (mask + 1) * sizeof *joints);
    if (!joints)
        return wf_fail_memory(l->err);
    for (uint64_t i = 0; i <= b->joint_mask; i++)
        if (b->joints[i])
            *find_joint(joints, mask, b->joints[i]) = b->joints[i];
    wf_free_big(l->mem, b->joints);
    b->joints = joints;
    b->joint_mask = mask;
    return WEFT_OK;
}

static uint64_t joint_of(uint32_t left, uint32_t right) { return ((uint64_t)left << 32 | right) + 1; }

static weft_status put_joint(wf_loading *l, wf_bpe *b, uint64_t joint) {
    uint64_t *slot = find_joint(b->joints, b->joint_mask, joint);
    if (*slot)
        return WEFT_OK;
    *slot = joint;
    return ++b->n_joints * 2 > b->joint_mask ? grow_joints(l, b) : WEFT_OK;
}

/* ---- options of tokenizer.json ---- */

static weft_status check_options(wf_loading *l, const wf_json *options) {
    static const char *const known[] = {
        "type",          "dropout",       "unk_token",  "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
        "byte_fallback", "ignore_merges", "merge_ranks"};
    for (const wf_json *j = options->child; j; j = j->next) {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found = found || wf_streq(known[i], j->key);
        if (!found)
            return wf_load_fail(l, WEFT_UNSUPPORTED, j, "BPE has the unknown option \"%s\"", j->key);
    }
    const wf_json *dropout = wf_json_get(options, "dropout");
    if (dropout && dropout->kind != WF_JSON_NULL &&
        (dropout->kind != WF_JSON_NUMBER || dropout->number < 0 || dropout->number > 1))
        return wf_load_fail(l, WEFT_BAD_INPUT, dropout, "dropout must be a number from 0 to 1");
    if (dropout && dropout->kind == WF_JSON_NUMBER && dropout->number > 0)
        return wf_load_fail(l, WEFT_UNSUPPORTED, dropout, "BPE with dropout");
    return WEFT_OK;
}

static weft_status load_affix(wf_loading *l, const wf_json *options, const char *key, wf_bytes *out) {
    const wf_json *text;
    WF_TRY(wf_load_text(l, options, key, &text));
    *out = text ? (wf_bytes){text->string, text->length} : (wf_bytes){"", 0};
    return WEFT_OK;
}

static weft_status load_unknown(wf_loading *l, const wf_json *options, wf_bpe *b) {
    const wf_json *text;
    b->unknown = NONE;
    WF_TRY(wf_load_text(l, options, "unk_token", &text));
    if (!text)
        return WEFT_OK;
    b->unknown = token_of(l->tok, text->string, text->length);
    b->lacks_unknown = b->unknown == NONE;
    return WEFT_OK;
}

/* Fallback is by tokens named <0x00> ... <0xFF>. */
static void find_bytes(const wf_tokenizer *tok, wf_bpe *b) {
    static const char hex[] = "0123456789ABCDEF";
    for (int byte = 0; byte < 256; byte++) {
        char name[] = "<0x00>", letter[WF_LETTER_BYTES];
        name[3] = hex[byte >> 4];
        name[4] = hex[byte & 15];
        b->fallback[byte] = token_of(tok, name, 6);
        b->byte_id[byte] = token_of(tok, letter, wf_put_letter((uint8_t)byte, letter));
        if (byte < 128)
            b->ascii_id[byte] = token_of(tok, &(char){(char)byte}, 1);
    }
}

/* ---- merges of tokenizer.json ---- */

static weft_status load_part(wf_loading *l, const wf_merge_text *m, const char *text, size_t length, uint32_t *id) {
    *id = token_of(l->tok, text, length);
    return *id != NONE
               ? WEFT_OK
               : wf_load_fail_at(l, WEFT_BAD_INPUT, m->at, "a merge needs the token \"%.*s\", which is not in the vocabulary",
                                 (int)(length < 64 ? length : 64), text);
}

/* A file's merges on their way into the table, a few at a time: what is read of the vocabulary lies far apart, and is asked
 * for before it is needed. */
enum { AT_ONCE = 32, NEAR_CHARS = 0x10000 };
typedef struct merging {
    wf_loading *l;
    const wf_model_source *s;
    wf_bpe *b;
    bool by_id;
    size_t expected; /* the entry of the last result: mostly the next one is that again, or the one behind it */
    uint32_t *near;  /* tokens of single characters that were looked up; 0: not yet, or token 0 */
    wf_str joined;
    uint64_t hashes[AT_ONCE][2];
} merging;

static uint32_t token_of_char(const merging *m, const char *text, size_t length, uint32_t c) {
    if (c >= NEAR_CHARS)
        return token_of(m->l->tok, text, length);
    if (m->near[c] == 0)
        m->near[c] = token_of(m->l->tok, text, length);
    return m->near[c];
}

/* left, and right without its first `skipped` bytes, side by side. */
static weft_status join(merging *m, const wf_merge_text *t, size_t skipped) {
    wf_str_clear(&m->joined);
    wf_str_put(&m->joined, t->left, t->left_length);
    wf_str_put(&m->joined, t->right + skipped, t->right_length - skipped);
    return m->joined.failed ? wf_fail_memory(m->l->err) : WEFT_OK;
}

static bool is_whole(const merging *m, const wf_merge_text *t, const wf_vocab_entry *e) {
    const char *text = wf_vocab_text(&m->l->tok->vocab, e);
    return e->length == t->left_length + t->right_length && memcmp(text, t->left, t->left_length) == 0 &&
           memcmp(text + t->left_length, t->right, t->right_length) == 0;
}

/* The token left + right. */
static weft_status load_whole(merging *m, const wf_merge_text *t, uint32_t *id) {
    const wf_vocab *v = &m->l->tok->vocab;
    const wf_vocab_entry *e = NULL;
    for (size_t i = m->expected; i < m->expected + 2 && i < v->count && !e; i++)
        e = is_whole(m, t, &v->entries[i]) ? &v->entries[i] : NULL;
    if (!e) {
        WF_TRY(join(m, t, 0));
        e = wf_vocab_find(v, m->joined.data, m->joined.length);
    }
    if (!e)
        return load_part(m->l, t, m->joined.data, m->joined.length, id); /* which says so */
    m->expected = (size_t)(e - v->entries);
    *id = e->id;
    return WEFT_OK;
}

/* The same where the prefix of parts inside a word is said once. */
static weft_status load_result(merging *m, const wf_merge_text *t, uint32_t *id) {
    size_t prefix = m->b->prefix.length;
    if (prefix == 0)
        return load_whole(m, t, id);
    if (t->right_length < prefix)
        return wf_load_fail_at(m->l, WEFT_BAD_INPUT, t->at,
                               "the second part of a merge is shorter than continuing_subword_prefix");
    WF_TRY(join(m, t, prefix));
    return load_part(m->l, t, m->joined.data, m->joined.length, id);
}

/* The characters that meet in a merge, as a pair of tokens. */
static uint64_t find_meeting(const merging *m, const wf_merge_text *t) {
    size_t last, first;
    uint32_t a = wf_char_before((const uint8_t *)t->left, t->left_length, &last),
             z = wf_char_at((const uint8_t *)t->right, t->right_length, &first);
    uint32_t left = token_of_char(m, t->left + t->left_length - last, last, a), right = token_of_char(m, t->right, first, z);
    return left != NONE && right != NONE ? joint_of(left, right) : 0;
}

static void fetch_parts(merging *m, size_t from, size_t n) {
    const wf_vocab *v = &m->l->tok->vocab;
    for (size_t i = 0; i < n; i++) {
        const wf_merge_text *t = &m->s->merges[from + i];
        m->hashes[i][0] = wf_vocab_hash(t->left, t->left_length);
        m->hashes[i][1] = wf_vocab_hash(t->right, t->right_length);
        wf_vocab_fetch_slot(v, m->hashes[i][0]);
        wf_vocab_fetch_slot(v, m->hashes[i][1]);
    }
    for (size_t i = 0; i < 2 * n; i++)
        wf_vocab_fetch_entry(v, m->hashes[i / 2][i % 2]);
    for (size_t i = 0; i < 2 * n; i++)
        wf_vocab_fetch_text(v, m->hashes[i / 2][i % 2]);
}

static weft_status find_part(const merging *m, const wf_merge_text *t, wf_bytes text, uint64_t hash, uint32_t *id) {
    const wf_vocab_entry *e = wf_vocab_find_hashed(&m->l->tok->vocab, hash, text.data, text.length);
    *id = e ? e->id : NONE;
    return e ? WEFT_OK : load_part(m->l, t, text.data, text.length, id); /* which says so */
}

/* Ranks that are ids may lie far apart, and a table of ranks must not be larger than the file: they are numbered anew, in
 * order. */
static int by_number(const void *a, const void *b) {
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static weft_status close_ranks(wf_loading *l, wf_bpe *b, size_t n_merges) {
    size_t n = 0, kept = 0;
    if (b->n_ranks <= 4 * n_merges + 4096)
        return WEFT_OK;
    uint32_t *ranks = wf_calloc(l->mem, n_merges, sizeof *ranks);
    if (!ranks)
        return wf_fail_memory(l->err);
    for (uint64_t i = 0; i <= b->mask; i++)
        if (b->merges[i].rank != NONE)
            ranks[n++] = b->merges[i].rank;
    qsort(ranks, n, sizeof *ranks, by_number);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || ranks[i] != ranks[kept - 1])
            ranks[kept++] = ranks[i];
    for (uint64_t i = 0; i <= b->mask; i++)
        if (b->merges[i].rank != NONE)
            b->merges[i].rank =
                (uint32_t)((uint32_t *)bsearch(&b->merges[i].rank, ranks, kept, sizeof *ranks, by_number) - ranks);
    b->n_ranks = (uint32_t)kept;
    wf_free(l->mem, ranks);
    return WEFT_OK;
}

/* What the merges from..from + n become: merges of ids, and the characters that meet in them. */
static weft_status find_some(merging *m, size_t from, size_t n, wf_bpe_merge *found, uint64_t *joints) {
    fetch_parts(m, from, n);
    for (size_t i = 0; i < n; i++) {
        const wf_merge_text *t = &m->s->merges[from + i];
        wf_bpe_merge *new = &found[i];
        new->rank = (uint32_t)(from + i);
        WF_TRY(find_part(m, t, (wf_bytes){t->left, t->left_length}, m->hashes[i][0], &new->left));
        WF_TRY(find_part(m, t, (wf_bytes){t->right, t->right_length}, m->hashes[i][1], &new->right));
        WF_TRY(load_result(m, t, &new->id));
        if (m->by_id)
            new->rank = new->id;
        joints[i] = find_meeting(m, t);
    }
    return WEFT_OK;
}

/* All merges: every thread finds its share of them, then one puts them into their table, and the last one what meets in them
 * into its own. */
typedef struct filling {
    wf_loading *l;
    const wf_model_source *s;
    wf_bpe *b;
    bool by_id;
    wf_bpe_merge *found;
    uint64_t *joints; /* 0: none */
    weft_status status[WF_LOAD_THREADS];
    weft_error errors[WF_LOAD_THREADS];
    wf_bpe copies[2];
} filling;

static weft_status find_share(filling *f, size_t from, size_t to, weft_error *err) {
    wf_loading mine = *f->l;
    mine.err = err;
    merging m = {.l = &mine, .s = f->s, .b = f->b, .by_id = f->by_id, .joined = wf_str_new(mine.mem)};
    m.near = wf_alloc_big(mine.mem, NEAR_CHARS * sizeof *m.near);
    weft_status status = m.near ? WEFT_OK : wf_fail_memory(err);
    for (size_t i = from; i < to && status == WEFT_OK; i += AT_ONCE)
        status = find_some(&m, i, to - i < AT_ONCE ? to - i : AT_ONCE, f->found + i, f->joints + i);
    wf_str_free(&m.joined);
    wf_free_big(mine.mem, m.near);
    return status;
}

static void find_shares(void *arg, int thread, int n_threads) {
    filling *f = arg;
    size_t n = f->s->n_merges, i = (size_t)thread, parts = (size_t)n_threads;
    empty_merges(f->b, i, parts);
    f->status[i] = find_share(f, n / parts * i, i + 1 == parts ? n : n / parts * (i + 1), &f->errors[i]);
}

static void put_merges(wf_bpe *b, const wf_bpe_merge *found, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const wf_bpe_merge *soon = &found[i + AT_ONCE < n ? i + AT_ONCE : i];
        __builtin_prefetch(&b->merges[wf_bpe_pair_hash((uint64_t)soon->left << 32 | soon->right) & b->mask], 1);
        put_merge(b, found[i]);
    }
}

static weft_status put_joints(wf_loading *l, wf_bpe *b, const uint64_t *joints, size_t n) {
    for (size_t i = 0; i < n; i++) {
        __builtin_prefetch(&b->joints[wf_bpe_pair_hash(joints[i + AT_ONCE < n ? i + AT_ONCE : i] - 1) & b->joint_mask], 1);
        if (joints[i])
            WF_TRY(put_joint(l, b, joints[i]));
    }
    return WEFT_OK;
}

static void put_found(void *arg, int thread, int n_threads) {
    filling *f = arg;
    wf_bpe *own = &f->copies[thread > 0]; /* two threads must not write into the same lines of memory */
    if (thread == 0)
        put_merges(own, f->found, f->s->n_merges);
    if (thread == n_threads - 1)
        f->status[0] = put_joints(f->l, own, f->joints, f->s->n_merges);
}

/* The first error in the order of the file. */
static weft_status first_error(const filling *f) {
    for (int i = 0; i < WF_LOAD_THREADS; i++)
        if (f->status[i] != WEFT_OK) {
            if (f->l->err)
                *f->l->err = f->errors[i];
            return f->status[i];
        }
    return WEFT_OK;
}

static weft_status fill(filling *f) {
    wf_bpe *b = f->b;
    wf_load_region(f->l, find_shares, f);
    WF_TRY(first_error(f));
    f->copies[0] = f->copies[1] = *b;
    wf_load_region(f->l, put_found, f);
    const wf_bpe *merges = &f->copies[0], *joints = &f->copies[f->copies[1].n_joints > 0];
    b->n_ranks = merges->n_ranks;
    b->joints = joints->joints;
    b->joint_mask = joints->joint_mask;
    b->n_joints = joints->n_joints;
    return f->status[0];
}

static weft_status fill_tables(wf_loading *l, const wf_model_source *s, wf_bpe *b, bool by_id) {
    filling *f = wf_calloc(l->mem, 1, sizeof *f);
    if (!f)
        return wf_fail_memory(l->err);
    *f = (filling){.l = l, .s = s, .b = b, .by_id = by_id};
    f->found = wf_alloc_big(l->mem, (s->n_merges + 1) * sizeof *f->found);
    f->joints = wf_alloc_big(l->mem, (s->n_merges + 1) * sizeof *f->joints);
    weft_status status = f->found && f->joints ? fill(f) : wf_fail_memory(l->err);
    wf_free_big(l->mem, f->found);
    wf_free_big(l->mem, f->joints);
    wf_free(l->mem, f);
    return status;
}

static weft_status load_merges(wf_loading *l, const wf_model_source *s, wf_bpe *b) {
    static const char *const names[] = {"by_order", "by_id", NULL};
    int ranks = 0;
    WF_TRY(wf_load_choice(l, s->options, "merge_ranks", names, &ranks));
    WF_TRY(make_tables(l, b, s->n_merges));
    WF_TRY(fill_tables(l, s, b, ranks == 1));
    if (b->prefix.length || b->suffix.length) { /* characters have other names inside a word: no taking apart */
        wf_free_big(l->mem, b->joints);
        b->joints = NULL;
    }
    return close_ranks(l, b, s->n_merges);
}

static bool all_letters(const wf_bpe *b) {
    for (int byte = 0; byte < 256; byte++)
        if (b->byte_id[byte] == NONE)
            return false;
    return true;
}

weft_status wf_load_bpe(wf_loading *l, const wf_model_source *s, void **model) {
    WF_TRY(wf_load_options(l, sizeof(wf_bpe), model));
    wf_bpe *b = *model;
    if (!s->has_vocab || !s->has_merges)
        return wf_fail(l->err, WEFT_BAD_INPUT, "model: BPE needs 'vocab' and 'merges'");
    WF_TRY(check_options(l, s->options));
    WF_TRY(load_affix(l, s->options, "continuing_subword_prefix", &b->prefix));
    WF_TRY(load_affix(l, s->options, "end_of_word_suffix", &b->suffix));
    WF_TRY(wf_load_bool(l, s->options, "byte_fallback", false, &b->byte_fallback));
    WF_TRY(load_unknown(l, s->options, b));
    WF_TRY(wf_load_bool(l, s->options, "fuse_unk", false, &b->fuse_unknown));
    WF_TRY(wf_load_bool(l, s->options, "ignore_merges", false, &b->ignore_merges));
    find_bytes(l->tok, b);
    b->merges_nothing = s->n_merges == 0 && all_letters(b);
    return load_merges(l, s, b);
}

void wf_release_bpe(void *model, const wf_mem *mem) {
    wf_bpe *b = model;
    if (b->extra.mem)
        wf_vocab_free(&b->extra);
    wf_trie_free(&b->frozen, mem);
    wf_free_big(mem, b->merges);
    wf_free_big(mem, b->joints);
}

/* ---- pieces with scores ---- */

typedef struct scored_loading {
    wf_loading *l;
    const wf_pieces *pieces;
    wf_bpe *b;
    uint32_t *ranks; /* of the pieces */
    wf_bpe_merge *merges;
    size_t n_merges, capacity;
    bool characters; /* they stay alone */
} scored_loading;

static int by_score(const void *a, const void *b) {
    const double *x = a, *y = b;
    return *x > *y ? -1 : *x < *y;
}

/* Equal scores have equal ranks: among them the leftmost pair is merged first. */
static weft_status rank_pieces(scored_loading *s) {
    size_t n = s->pieces->count;
    double *sorted = wf_calloc(s->l->mem, n + 1, sizeof *sorted);
    if (!sorted)
        return wf_fail_memory(s->l->err);
    memcpy(sorted, s->pieces->scores, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_score);
    for (size_t i = 0; i < n; i++) {
        size_t low = 0, high = n;
        while (low < high) {
            size_t middle = (low + high) / 2;
            if (sorted[middle] > s->pieces->scores[i])
                low = middle + 1;
            else
                high = middle;
        }
        s->ranks[i] = (uint32_t)low;
    }
    wf_free(s->l->mem, sorted);
    return WEFT_OK;
}

static bool is_found(const wf_pieces *p, uint32_t id) {
    return p->kinds[id] == WF_PIECE_NORMAL || p->kinds[id] == WF_PIECE_USER;
}

/* An unused piece is merged too, but comes out in its parts; one of a single character has none. */
static bool is_part(const scored_loading *s, uint32_t id) {
    wf_bytes text = wf_pieces_text(s->l->tok, id);
    size_t one = 0;
    if (s->pieces->kinds[id] != WF_PIECE_UNUSED || !text.length)
        return is_found(s->pieces, id);
    wf_char_at((const uint8_t *)text.data, text.length, &one);
    return one < text.length;
}

/* The symbol of a part: a piece, or a character. */
static weft_status symbol_of(scored_loading *s, const char *text, size_t length, uint32_t *id) {
    size_t one;
    bool added;
    *id = token_of(s->l->tok, text, length);
    if (*id != NONE && is_part(s, *id))
        return WEFT_OK;
    *id = NONE;
    wf_char_at((const uint8_t *)text, length, &one);
    if (one < length)
        return WEFT_OK;
    WF_TRY(wf_vocab_put(&s->b->extra, text, length, s->b->first_extra + (uint32_t)s->b->extra.count, &added, s->l->err));
    *id = wf_vocab_find(&s->b->extra, text, length)->id;
    return WEFT_OK;
}

/* Every way to put the piece together. */
static weft_status split_piece(scored_loading *s, uint32_t id) {
    wf_bytes text = wf_pieces_text(s->l->tok, id);
    size_t first;
    wf_char_at((const uint8_t *)text.data, text.length, &first);
    for (size_t at = first, step; at < text.length; at += step) {
        wf_bpe_merge m = {.rank = s->ranks[id], .id = id};
        wf_char_at((const uint8_t *)text.data + at, text.length - at, &step);
        WF_TRY(symbol_of(s, text.data, at, &m.left));
        WF_TRY(symbol_of(s, text.data + at, text.length - at, &m.right));
        if (m.left == NONE || m.right == NONE)
            continue;
        WF_TRY(wf_grow(s->l->mem, (void **)&s->merges, &s->capacity, s->n_merges + 1, sizeof *s->merges, s->l->err));
        s->merges[s->n_merges++] = m;
    }
    return WEFT_OK;
}

static weft_status note_joints(scored_loading *s, uint32_t id) {
    wf_bytes text = wf_pieces_text(s->l->tok, id);
    uint32_t left = NONE, right;
    for (size_t at = 0, step; at < text.length; at += step, left = right) {
        wf_char_at((const uint8_t *)text.data + at, text.length - at, &step);
        WF_TRY(symbol_of(s, text.data + at, step, &right));
        if (left != NONE)
            WF_TRY(put_joint(s->l, s->b, joint_of(left, right)));
    }
    return WEFT_OK;
}

static weft_status build_scored(scored_loading *s) {
    const wf_pieces *p = s->pieces;
    size_t longest = 0;
    WF_TRY(rank_pieces(s));
    for (uint32_t id = 0; id < p->count; id++) {
        wf_bytes text = wf_pieces_text(s->l->tok, id);
        longest += text.length;
        /* Every part of a piece is looked at: a few endless pieces must not cost their square. */
        WF_CHECK(text.length <= 4096, s->l->err, WEFT_UNSUPPORTED, "model: a piece of %zu bytes", text.length);
        WF_CHECK(s->characters || p->kinds[id] != WF_PIECE_UNUSED || text.length <= WF_BPE_SHORT, s->l->err, WEFT_UNSUPPORTED,
                 "model: an unused piece of %zu bytes", text.length);
        if (is_part(s, id) && !s->characters)
            WF_TRY(split_piece(s, id));
    }
    WF_TRY(make_tables(s->l, s->b, s->n_merges + longest));
    empty_merges(s->b, 0, 1);
    for (size_t i = 0; i < s->n_merges; i++)
        put_merge(s->b, s->merges[i]);
    for (uint32_t id = 0; id < p->count; id++)
        if (is_part(s, id))
            WF_TRY(note_joints(s, id));
    return WEFT_OK;
}

weft_status wf_load_scored_bpe(wf_loading *l, const wf_model_source *source, void **model) {
    WF_TRY(wf_load_options(l, sizeof(wf_bpe), model));
    wf_bpe *b = *model;
    wf_pieces pieces;
    wf_vocab_init(&b->extra, l->mem);
    WF_TRY(wf_load_pieces(l, source, &pieces));
    b->scored = true;
    b->first_extra = (uint32_t)pieces.count;
    b->unknown = pieces.unknown;
    b->byte_fallback = pieces.byte_fallback;
    find_bytes(l->tok, b);
    b->kinds = pieces.kinds;
    for (int c = 0; c < 128; c++)
        if (b->ascii_id[c] != NONE && !is_found(&pieces, b->ascii_id[c]))
            b->ascii_id[c] = NONE;
    bool characters;
    WF_TRY(wf_load_bool(l, source->options, "characters", false, &characters));
    WF_TRY(wf_load_bool(l, source->options, "words", false, &b->words));
    scored_loading s = {.l = l,
                        .pieces = &pieces,
                        .b = b,
                        .characters = characters || b->words,
                        .ranks = wf_calloc(l->mem, pieces.count + 1, sizeof(uint32_t))};
    weft_status status = s.ranks ? build_scored(&s) : wf_fail_memory(l->err);
    wf_free(l->mem, s.ranks);
    wf_free(l->mem, s.merges);
    WF_TRY(status);
    l->tok->names_unknown = pieces.unknown != NONE;
    l->tok->unknown = pieces.unknown;
    return wf_pieces_trie(l, &pieces, WF_PIECE_USER, &b->frozen);
}
