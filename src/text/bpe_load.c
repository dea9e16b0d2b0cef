/* bpe_load.c - building byte-pair models: from the merges of tokenizer.json, or from pieces with scores, where every way to put
 * a piece together from two others is a merge, ranked by the score. */
#include <stdlib.h>
#include <string.h>

#include "text/bpe.h"
#include "text/bytelevel.h"
#include "text/merges.h"
#include "text/pieces.h"
#include "text/unicode.h"

#define NONE WF_BPE_NONE

static uint32_t token_of(const wf_tokenizer *tok, const char *text, size_t length) {
    const wf_vocab_entry *e = wf_vocab_find(&tok->vocab, text, length);
    return e ? e->id : NONE;
}

/* ---- tables ---- */

static weft_status make_joints(wf_loading *l, wf_bpe *b) {
    enum { JOINTS = 1024 };
    b->joint_mask = JOINTS - 1;
    b->joints = wf_alloc_big(l->mem, JOINTS * sizeof *b->joints);
    return b->joints ? WEFT_OK : wf_fail_memory(l->err);
}

static weft_status make_tables(wf_loading *l, wf_bpe *b, size_t n) {
    size_t slots = 16;
    while (slots < n * 2)
        slots *= 2;
    b->mask = slots - 1;
    b->merges = wf_alloc_big(l->mem, slots * sizeof *b->merges);
    return b->merges ? make_joints(l, b) : wf_fail_memory(l->err);
}

/* Several threads may put merges, into a slot that each takes in one step. Of the same pair the one with the highest rank
 * stays: a later merge replaces the earlier one, as in the reference. */
static void put_merge(const wf_bpe *b, wf_bpe_merge new) {
    for (uint64_t i = wf_bpe_pair_hash(new.key);; i++) {
        wf_bpe_merge *m = &b->merges[i & b->mask];
        uint64_t key = __atomic_load_n(&m->key, __ATOMIC_RELAXED), what;
        if (key == 0)
            __atomic_compare_exchange_n(&m->key, &key, new.key, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        if (key != 0 && key != new.key)
            continue;
        what = __atomic_load_n(&m->what, __ATOMIC_RELAXED);
        while (what < new.what &&
               !__atomic_compare_exchange_n(&m->what, &what, new.what, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            continue;
        return;
    }
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

/* A share of a file's merges on their way into the table, a few at a time: what is read of the vocabulary lies far apart, and
 * is asked for before it is needed. */
enum { AT_ONCE = 32, NEAR_CHARS = 0x10000, RECENT = 4096, LONGEST_CUT = 1 << 11 };
typedef struct merging {
    wf_loading l;
    wf_share *s;
    const wf_bpe *b;
    size_t expected;  /* the entry of the last result: mostly the next one is that again, or the one behind it */
    uint32_t *near;   /* tokens of single characters that were looked up; 0: not yet, or token 0 */
    uint64_t *recent; /* joints that were put out, most of them */
    bool by_id;
    size_t first;  /* rank of the share's first merge */
    uint32_t last; /* the highest rank */
    wf_str joined;
    wf_bytes parts[AT_ONCE][2];
    uint64_t hashes[AT_ONCE][2];
    uint32_t wholes[AT_ONCE]; /* tokens whose cuts the parts are */
} merging;

/* A pair begins at its bracket, a text at its quote. */
static weft_status fail_part(const merging *m, size_t k, const char *text, size_t length) {
    wf_bytes parts[2];
    size_t at = wf_merge_parts(&m->l, m->s, &m->s->merges[k], parts);
    while (m->s->form == WF_JSON_ARRAY && m->l.tok->json[at] != '[')
        at--;
    return wf_load_fail_at(&m->l, WEFT_BAD_INPUT, at, "a merge needs the token \"%.*s\", which is not in the vocabulary",
                           (int)(length < 64 ? length : 64), text);
}

static uint32_t token_of_char(const merging *m, const char *text, size_t length, uint32_t c) {
    if (c >= NEAR_CHARS)
        return token_of(m->l.tok, text, length);
    if (m->near[c] == 0)
        m->near[c] = token_of(m->l.tok, text, length);
    return m->near[c];
}

static bool is_whole(const wf_bytes parts[2], const wf_vocab_entry *e) {
    return e->length == parts[0].length + parts[1].length && memcmp(e->text, parts[0].data, parts[0].length) == 0 &&
           memcmp(e->text + parts[0].length, parts[1].data, parts[1].length) == 0;
}

/* The token left + right, without the prefix of parts inside a word, which is said once. */
static weft_status find_whole(merging *m, size_t k, const wf_bytes parts[2], uint32_t *id) {
    const wf_vocab *v = &m->l.tok->vocab;
    const wf_vocab_entry *e = NULL;
    size_t prefix = m->b->prefix.length;
    for (size_t i = m->expected; prefix == 0 && i < m->expected + 2 && i < v->count && !e; i++)
        e = is_whole(parts, &v->entries[i]) ? &v->entries[i] : NULL;
    if (!e) {
        if (parts[1].length < prefix)
            return wf_load_fail_at(&m->l, WEFT_BAD_INPUT, wf_merge_parts(&m->l, m->s, &m->s->merges[k], m->parts[0]),
                                   "the second part of a merge is shorter than continuing_subword_prefix");
        wf_str_clear(&m->joined);
        wf_str_put(&m->joined, parts[0].data, parts[0].length);
        wf_str_put(&m->joined, parts[1].data + prefix, parts[1].length - prefix);
        if (m->joined.failed)
            return wf_fail_memory(m->l.err);
        e = wf_vocab_find(v, m->joined.data, m->joined.length);
    }
    if (!e)
        return fail_part(m, k, m->joined.data, m->joined.length);
    m->expected = (size_t)(e - v->entries);
    *id = e->id;
    return WEFT_OK;
}

static void fetch_parts(merging *m, size_t from, size_t n) {
    const wf_vocab *v = &m->l.tok->vocab;
    for (size_t i = 0; i < n; i++) {
        wf_merge_parts(&m->l, m->s, &m->s->merges[from + i], m->parts[i]);
        for (int k = 0; k < 2; k++) {
            m->hashes[i][k] = wf_vocab_hash(m->parts[i][k].data, m->parts[i][k].length);
            wf_vocab_fetch_slot(v, m->hashes[i][k]);
        }
    }
    for (size_t i = 0; i < 2 * n; i++)
        wf_vocab_fetch_entry(v, m->hashes[i / 2][i % 2]);
    for (size_t i = 0; i < 2 * n; i++)
        if (m->parts[i / 2][i % 2].length > sizeof v->entries->head)
            wf_vocab_fetch_text(v, m->hashes[i / 2][i % 2]);
}

static weft_status find_part(const merging *m, size_t k, wf_bytes text, uint64_t hash, uint32_t *id) {
    const wf_vocab_entry *e = wf_vocab_find_hashed(&m->l.tok->vocab, hash, text.data, text.length);
    *id = e ? e->id : NONE;
    return e ? WEFT_OK : fail_part(m, k, text.data, text.length);
}

/* The characters that meet in a merge, as a pair of tokens, into the table of the share's joints. */
static weft_status note_joint(merging *m, const wf_bytes parts[2], wf_bpe *joints) {
    size_t last, first;
    uint32_t a = wf_char_before((const uint8_t *)parts[0].data, parts[0].length, &last),
             z = wf_char_at((const uint8_t *)parts[1].data, parts[1].length, &first);
    uint32_t left = token_of_char(m, parts[0].data + parts[0].length - last, last, a),
             right = token_of_char(m, parts[1].data, first, z);
    if (left == NONE || right == NONE)
        return WEFT_OK;
    uint64_t joint = joint_of(left, right), *known = &m->recent[wf_bpe_pair_hash(joint) % RECENT];
    if (*known == joint)
        return WEFT_OK;
    *known = joint;
    return put_joint(&m->l, joints, joint);
}

/* What the merges from..from + n become, as merges of ids. */
static weft_status find_some(merging *m, size_t from, size_t n, wf_bpe *joints) {
    wf_bpe_merge found[AT_ONCE];
    fetch_parts(m, from, n);
    for (size_t i = 0; i < n; i++) {
        const wf_bytes *parts = m->parts[i];
        uint32_t left, right, id;
        WF_TRY(find_part(m, from + i, parts[0], m->hashes[i][0], &left));
        WF_TRY(find_part(m, from + i, parts[1], m->hashes[i][1], &right));
        WF_TRY(find_whole(m, from + i, parts, &id));
        WF_TRY(note_joint(m, parts, joints));
        uint64_t rank = m->by_id ? id : m->first + from + i;
        found[i] = (wf_bpe_merge){wf_bpe_key(left, right), (rank + 1) << 32 | id};
        m->last = rank > m->last ? (uint32_t)rank : m->last;
        __builtin_prefetch(&m->b->merges[wf_bpe_pair_hash(found[i].key) & m->b->mask], 1);
    }
    for (size_t i = 0; i < n; i++)
        put_merge(m->b, found[i]);
    return WEFT_OK;
}

/* All merges, share by share. */
typedef struct filling {
    wf_loading *l;
    wf_shares *shares;
    wf_bpe *b;
    bool by_id;
    size_t n_merges;
    struct seat {      /* of a thread */
        wf_bpe joints; /* those it met */
        uint32_t *near;
        uint64_t *recent;
    } seats[WF_LOAD_THREADS];
    weft_status status[WF_SHARES];
    weft_error errors[WF_SHARES];
    uint32_t last[WF_SHARES]; /* the highest rank */
    struct found {            /* without a list of merges: what there is */
        wf_bpe_merge *list;
        size_t count, capacity;
    } found[WF_SHARES];
} filling;

static weft_status sit_down(filling *f, struct seat *seat, weft_error *err) {
    const wf_mem *mem = f->l->mem;
    wf_loading mine = *f->l;
    mine.err = err;
    if (seat->joints.joints)
        return WEFT_OK;
    seat->near = seat->near ? seat->near : wf_alloc_big(mem, NEAR_CHARS * sizeof *seat->near);
    seat->recent = seat->recent ? seat->recent : wf_alloc_big(mem, RECENT * sizeof *seat->recent);
    return seat->near && seat->recent ? make_joints(&mine, &seat->joints) : wf_fail_memory(err);
}

static weft_status fill_share(filling *f, struct seat *seat, int i) {
    wf_share *s = &f->shares->list[i];
    wf_bpe joints = seat->joints; /* neighbours share cache lines */
    merging m = {.l = *f->l, .s = s, .b = f->b, .by_id = f->by_id, .near = seat->near, .recent = seat->recent};
    weft_status status = WEFT_OK;
    m.l.err = &f->errors[i];
    m.joined = wf_str_new(m.l.mem);
    for (int k = 0; k < i; k++)
        m.first += f->shares->list[k].count;
    for (size_t k = 0; k < s->count && status == WEFT_OK; k += AT_ONCE)
        status = find_some(&m, k, s->count - k < AT_ONCE ? s->count - k : AT_ONCE, &joints);
    seat->joints = joints;
    f->last[i] = m.last;
    wf_str_free(&m.joined);
    return status;
}

static void fill_one(void *arg, int thread, int i) {
    filling *f = arg;
    struct seat *seat = &f->seats[thread];
    f->status[i] = sit_down(f, seat, &f->errors[i]);
    if (f->status[i] == WEFT_OK)
        f->status[i] = fill_share(f, seat, i);
}

/* The first error in the order of the file. */
static weft_status first_error(const filling *f) {
    for (int i = 0; i < WF_SHARES; i++)
        if (f->status[i] != WEFT_OK) {
            if (f->l->err)
                *f->l->err = f->errors[i];
            return f->status[i];
        }
    return WEFT_OK;
}

static weft_status join_joints(wf_loading *l, wf_bpe *b, const wf_bpe *more) {
    for (uint64_t i = 0; more->joints && i <= more->joint_mask; i++)
        if (more->joints[i])
            WF_TRY(put_joint(l, b, more->joints[i]));
    return WEFT_OK;
}

static weft_status fill(filling *f) {
    WF_TRY(make_tables(f->l, f->b, f->n_merges));
    wf_shares_each(f->l, f->shares->n, fill_one, f);
    WF_TRY(first_error(f));
    for (int i = 0; i < f->shares->n; i++)
        if (f->shares->list[i].count && f->last[i] >= f->b->n_ranks)
            f->b->n_ranks = f->last[i] + 1;
    for (int i = 0; i < WF_LOAD_THREADS; i++)
        WF_TRY(join_joints(f->l, f->b, &f->seats[i].joints));
    return WEFT_OK;
}

/* ---- every way to put a token together from two others ---- */

/* The first n cuts in m, where both sides are tokens. */
static weft_status find_cuts(merging *m, size_t n, wf_bpe *joints, struct found *out) {
    const wf_vocab *v = &m->l.tok->vocab;
    for (size_t i = 0; i < 2 * n; i++)
        wf_vocab_fetch_entry(v, m->hashes[i / 2][i % 2]);
    for (size_t i = 0; i < n; i++) {
        const wf_bytes *parts = m->parts[i];
        const wf_vocab_entry *left = wf_vocab_find_hashed(v, m->hashes[i][0], parts[0].data, parts[0].length), *right = NULL;
        if (left)
            right = wf_vocab_find_hashed(v, m->hashes[i][1], parts[1].data, parts[1].length);
        if (!right)
            continue;
        uint32_t id = m->wholes[i];
        WF_TRY(note_joint(m, parts, joints));
        WF_TRY(wf_grow_big(m->l.mem, (void **)&out->list, &out->capacity, out->count + 1, sizeof *out->list, m->l.err));
        out->list[out->count++] = (wf_bpe_merge){wf_bpe_key(left->id, right->id), ((uint64_t)id + 1) << 32 | id};
        m->last = id > m->last ? id : m->last;
    }
    return WEFT_OK;
}

/* Every cut of the tokens from..to, a few at a time as above. */
static weft_status cut_tokens(merging *m, size_t from, size_t to, wf_bpe *joints, struct found *out) {
    const wf_vocab *v = &m->l.tok->vocab;
    size_t n = 0;
    for (size_t i = from; i < to; i++) {
        const wf_vocab_entry *e = &v->entries[i];
        WF_CHECK(e->length <= LONGEST_CUT, m->l.err, WEFT_UNSUPPORTED, "model: without merges, a token of %u bytes", e->length);
        for (size_t at = 0, step; at < e->length; at += step) {
            wf_char_at((const uint8_t *)e->text + at, e->length - at, &step);
            if (at == 0)
                continue;
            m->parts[n][0] = (wf_bytes){e->text, at};
            m->parts[n][1] = (wf_bytes){e->text + at, e->length - at};
            m->wholes[n] = e->id;
            for (int k = 0; k < 2; k++) {
                m->hashes[n][k] = wf_vocab_hash(m->parts[n][k].data, m->parts[n][k].length);
                wf_vocab_fetch_slot(v, m->hashes[n][k]);
            }
            if (++n == AT_ONCE) {
                WF_TRY(find_cuts(m, n, joints, out));
                n = 0;
            }
        }
    }
    return find_cuts(m, n, joints, out);
}

static void cut_some(void *arg, int thread, int i) {
    filling *f = arg;
    struct seat *seat = &f->seats[thread];
    size_t count = f->l->tok->vocab.count, each = count / WF_SHARES, from = each * (size_t)i;
    merging m = {.l = *f->l, .b = f->b};
    m.l.err = &f->errors[i];
    f->status[i] = sit_down(f, seat, &f->errors[i]);
    if (f->status[i] != WEFT_OK)
        return;
    wf_bpe joints = seat->joints;
    struct found found = {.list = NULL};
    m.near = seat->near;
    m.recent = seat->recent;
    f->status[i] = cut_tokens(&m, from, i + 1 == WF_SHARES ? count : from + each, &joints, &found);
    seat->joints = joints;
    f->found[i] = found;
    f->last[i] = m.last;
}

static void put_found(void *arg, int thread, int i) {
    const filling *f = arg;
    const struct found *x = &f->found[i];
    for (size_t k = 0; k < x->count; k++) {
        if (k + AT_ONCE < x->count)
            __builtin_prefetch(&f->b->merges[wf_bpe_pair_hash(x->list[k + AT_ONCE].key) & f->b->mask], 1);
        put_merge(f->b, x->list[k]);
    }
}

static weft_status fill_by_cuts(filling *f) {
    wf_shares_each(f->l, WF_SHARES, cut_some, f);
    WF_TRY(first_error(f));
    for (int i = 0; i < WF_SHARES; i++) {
        f->n_merges += f->found[i].count;
        if (f->found[i].count && f->last[i] >= f->b->n_ranks)
            f->b->n_ranks = f->last[i] + 1;
    }
    WF_TRY(make_tables(f->l, f->b, f->n_merges));
    wf_shares_each(f->l, WF_SHARES, put_found, f);
    for (int i = 0; i < WF_LOAD_THREADS; i++)
        WF_TRY(join_joints(f->l, f->b, &f->seats[i].joints));
    return WEFT_OK;
}

static weft_status fill_tables(wf_loading *l, const wf_model_source *s, wf_bpe *b, bool by_id, size_t *n_merges) {
    wf_shares shares = s->merges; /* what is in the shares changes */
    filling *f = wf_calloc(l->mem, 1, sizeof *f);
    if (!f)
        return wf_fail_memory(l->err);
    f->l = l;
    f->shares = &shares;
    f->b = b;
    f->by_id = by_id;
    f->n_merges = wf_shares_count(&shares);
    weft_status status = s->has_merges ? fill(f) : fill_by_cuts(f);
    *n_merges = f->n_merges;
    for (int i = 0; i < WF_SHARES; i++)
        wf_free_big(l->mem, f->found[i].list);
    for (int i = 0; i < WF_LOAD_THREADS; i++) {
        wf_free_big(l->mem, f->seats[i].joints.joints);
        wf_free_big(l->mem, f->seats[i].near);
        wf_free_big(l->mem, f->seats[i].recent);
    }
    wf_free(l->mem, f);
    return status;
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
    uint32_t *turns = wf_calloc(l->mem, n_merges, sizeof *turns); /* rank + 1 */
    if (!turns)
        return wf_fail_memory(l->err);
    for (uint64_t i = 0; i <= b->mask; i++)
        if (b->merges[i].key)
            turns[n++] = (uint32_t)(b->merges[i].what >> 32);
    qsort(turns, n, sizeof *turns, by_number);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || turns[i] != turns[kept - 1])
            turns[kept++] = turns[i];
    for (uint64_t i = 0; i <= b->mask; i++) {
        uint32_t turn = (uint32_t)(b->merges[i].what >> 32);
        const uint32_t *at = bsearch(&turn, turns, kept, sizeof *turns, by_number);
        if (b->merges[i].key)
            b->merges[i].what = (uint64_t)(at - turns + 1) << 32 | (uint32_t)b->merges[i].what;
    }
    b->n_ranks = (uint32_t)kept;
    wf_free(l->mem, turns);
    return WEFT_OK;
}

static weft_status load_merges(wf_loading *l, const wf_model_source *s, wf_bpe *b) {
    static const char *const names[] = {"by_order", "by_id", NULL};
    int ranks = 0;
    WF_TRY(wf_load_choice(l, s->options, "merge_ranks", names, &ranks));
    size_t n_merges;
    WF_CHECK(s->has_merges || (ranks == 1 && !b->prefix.length && !b->suffix.length), l->err, WEFT_BAD_INPUT,
             "model: BPE needs 'vocab' and 'merges'");
    WF_TRY(fill_tables(l, s, b, ranks == 1, &n_merges));
    if (b->prefix.length || b->suffix.length) { /* characters have other names inside a word: no taking apart */
        wf_free_big(l->mem, b->joints);
        b->joints = NULL;
    }
    return close_ranks(l, b, n_merges);
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
    if (!s->has_vocab)
        return wf_fail(l->err, WEFT_BAD_INPUT, "model: BPE needs 'vocab' and 'merges'");
    WF_TRY(check_options(l, s->options));
    WF_TRY(load_affix(l, s->options, "continuing_subword_prefix", &b->prefix));
    WF_TRY(load_affix(l, s->options, "end_of_word_suffix", &b->suffix));
    WF_TRY(wf_load_bool(l, s->options, "byte_fallback", false, &b->byte_fallback));
    WF_TRY(load_unknown(l, s->options, b));
    WF_TRY(wf_load_bool(l, s->options, "fuse_unk", false, &b->fuse_unknown));
    WF_TRY(wf_load_bool(l, s->options, "ignore_merges", false, &b->ignore_merges));
    find_bytes(l->tok, b);
    b->merges_nothing = s->has_merges && wf_shares_count(&s->merges) == 0 && all_letters(b);
    b->drops_letters = b->unknown == NONE && !all_letters(b);
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
    uint32_t last;   /* the highest rank */
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
        uint32_t left, right;
        wf_char_at((const uint8_t *)text.data + at, text.length - at, &step);
        WF_TRY(symbol_of(s, text.data, at, &left));
        WF_TRY(symbol_of(s, text.data + at, text.length - at, &right));
        if (left == NONE || right == NONE)
            continue;
        s->last = s->ranks[id] > s->last ? s->ranks[id] : s->last;
        WF_TRY(wf_grow(s->l->mem, (void **)&s->merges, &s->capacity, s->n_merges + 1, sizeof *s->merges, s->l->err));
        s->merges[s->n_merges++] = (wf_bpe_merge){wf_bpe_key(left, right), ((uint64_t)s->ranks[id] + 1) << 32 | id};
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
    for (size_t i = 0; i < s->n_merges; i++)
        put_merge(s->b, s->merges[i]);
    s->b->n_ranks = s->n_merges ? s->last + 1 : 0;
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
