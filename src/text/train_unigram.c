/* train_unigram.c - training Unigram models (Kudo 2018) as the reference does: seed pieces from repeated substrings, then
 * rounds of expectation, maximisation and pruning until the vocabulary is small enough. The words come in the order of the
 * text, so equal texts give equal models. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/suffix.h"
#include "text/train.h"
#include "text/trie.h"
#include "text/unicode.h"
#include "text/write_json.h"

typedef struct piece {
    wf_bytes text; /* in the pool */
    double score;
} piece;

typedef struct best { /* the two best ways to a position: where their last piece begins, which it is, which way went there */
    double score[2];
    uint32_t from[2], id[2];
    uint8_t way[2];
    int count;
} best;

typedef struct trainer {
    const wf_trainer_in *in;
    wf_arena arena;
    piece *pieces; /* the first is the unknown one of the training */
    size_t n, capacity;
    wf_trie trie;
    double unknown_score;
    size_t max_length, rounds, seed_size;
    double shrinking;
    double *forward, *backward, *expected;
    best *ways;
    size_t longest; /* bytes of a word */
    weft_error *err;
} trainer;

static const wf_vocab *words(const trainer *t) { return &t->in->words->words; }

static wf_bytes word_at(const trainer *t, size_t w) {
    return (wf_bytes){words(t)->entries[w].text, words(t)->entries[w].length};
}

static weft_status push_piece(trainer *t, wf_bytes text, double score) {
    WF_TRY(wf_grow(t->in->mem, (void **)&t->pieces, &t->capacity, t->n + 1, sizeof *t->pieces, t->err));
    t->pieces[t->n++] = (piece){text, score};
    return WEFT_OK;
}

/* ---- seeds ---- */

typedef struct seed {
    wf_bytes text;
    uint64_t score;
} seed;

static int greatest_first(const void *a, const void *b) {
    const seed *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    int order = memcmp(x->text.data, y->text.data, x->text.length < y->text.length ? x->text.length : y->text.length);
    return order ? -order : x->text.length > y->text.length ? -1 : x->text.length < y->text.length;
}

typedef struct flat { /* all words, a 0 after each, as characters */
    uint32_t *chars;
    size_t *at; /* of each character in the bytes */
    size_t n;
    char *bytes;
    size_t n_bytes;
} flat;

static weft_status flatten(trainer *t, flat *f) {
    size_t room = wf_vocab_bytes(words(t)) + 2 * words(t)->count + 1;
    f->chars = wf_calloc(t->in->mem, room, sizeof *f->chars);
    f->at = wf_calloc(t->in->mem, room + 1, sizeof *f->at);
    f->bytes = wf_arena_alloc(&t->arena, room);
    if (!f->chars || !f->at || !f->bytes)
        return wf_fail_memory(t->err);
    for (size_t w = 0; w < words(t)->count; w++) {
        wf_bytes word = word_at(t, w);
        t->longest = word.length > t->longest ? word.length : t->longest;
        for (size_t i = 0, length; i < word.length; i += length) {
            f->at[f->n] = f->n_bytes + i;
            f->chars[f->n++] = wf_char_at((const uint8_t *)word.data + i, word.length - i, &length);
        }
        memcpy(f->bytes + f->n_bytes, word.data, word.length);
        f->n_bytes += word.length;
        f->at[f->n] = f->n_bytes++;
        f->chars[f->n++] = 0;
    }
    f->at[f->n] = f->n_bytes;
    return WEFT_OK;
}

static bool has_zero(const flat *f, const wf_repeat *r) {
    for (size_t i = 0; i < r->length; i++)
        if (f->chars[r->start + i] == 0)
            return true;
    return false;
}

/* Characters with how often they occur. */
static weft_status count_chars(trainer *t, const flat *f, seed **out, size_t *n) {
    uint32_t *place = wf_calloc(t->in->mem, 0x110000u, sizeof *place);
    size_t capacity = 0, at = 0;
    weft_status status = place ? WEFT_OK : wf_fail_memory(t->err);
    for (size_t w = 0; w < words(t)->count && status == WEFT_OK; w++, at++)
        for (; f->chars[at] != 0 && status == WEFT_OK; at++) {
            uint32_t c = f->chars[at];
            if (c > 0x10FFFFu)
                continue;
            if (!place[c]) {
                status = wf_grow(t->in->mem, (void **)out, &capacity, *n + 1, sizeof **out, t->err);
                if (status != WEFT_OK)
                    break;
                (*out)[(*n)++] = (seed){{f->bytes + f->at[at], f->at[at + 1] - f->at[at]}, 0};
                place[c] = (uint32_t)*n;
            }
            (*out)[place[c] - 1].score += t->in->words->counts[w];
        }
    wf_free(t->in->mem, place);
    return status;
}

static weft_status push_seeds(trainer *t, seed *list, size_t n, size_t most) {
    if (n)
        qsort(list, n, sizeof *list, greatest_first);
    for (size_t i = 0; i < n && t->n - 1 < most; i++)
        WF_TRY(push_piece(t, list[i].text, (double)list[i].score));
    return WEFT_OK;
}

static weft_status seeds_of_repeats(trainer *t, const flat *f, seed **list, size_t *n) {
    wf_repeat *repeats;
    size_t count;
    WF_TRY(wf_find_repeats(t->in->mem, f->chars, f->n, t->max_length, &repeats, &count, t->err));
    *list = wf_calloc(t->in->mem, count + 1, sizeof **list);
    for (size_t i = 0; *list && i < count; i++) {
        const wf_repeat *r = &repeats[i];
        if (r->length > 1 && !has_zero(f, r))
            (*list)[(*n)++] = (seed){{f->bytes + f->at[r->start], f->at[r->start + r->length] - f->at[r->start]},
                                     (uint64_t)r->count * r->length};
    }
    wf_free(t->in->mem, repeats);
    return *list ? WEFT_OK : wf_fail_memory(t->err);
}

static weft_status make_seeds(trainer *t) {
    flat f = {0};
    seed *chars = NULL, *repeats = NULL;
    size_t n_chars = 0, n_repeats = 0;
    weft_status status = push_piece(t, (wf_bytes){"", 0}, NAN);
    status = status ? status : flatten(t, &f);
    status = status ? status : count_chars(t, &f, &chars, &n_chars);
    status = status ? status : push_seeds(t, chars, n_chars, SIZE_MAX);
    status = status ? status : seeds_of_repeats(t, &f, &repeats, &n_repeats);
    status = status ? status
                    : push_seeds(t, repeats, n_repeats, t->seed_size > n_chars ? t->seed_size : n_chars + 1); /* one at least */
    double sum = 0;
    for (size_t i = 1; i < t->n; i++)
        sum += t->pieces[i].score;
    for (size_t i = 1; i < t->n; i++)
        t->pieces[i].score = log(t->pieces[i].score) - log(sum);
    wf_free(t->in->mem, chars);
    wf_free(t->in->mem, repeats);
    wf_free(t->in->mem, f.chars);
    wf_free(t->in->mem, f.at);
    return status;
}

/* ---- the model of a round ---- */

static weft_status build_model(trainer *t) {
    wf_trie_key *keys = wf_calloc(t->in->mem, t->n + 1, sizeof *keys);
    double worst = INFINITY;
    if (!keys)
        return wf_fail_memory(t->err);
    for (size_t i = 1; i < t->n; i++) {
        keys[i - 1] = wf_trie_key_of(t->pieces[i].text.data, t->pieces[i].text.length, (uint32_t)i);
        worst = t->pieces[i].score < worst ? t->pieces[i].score : worst;
    }
    t->unknown_score = worst - 10;
    wf_trie_free(&t->trie, t->in->mem);
    weft_status status = wf_trie_build(t->in->mem, NULL, keys, t->n ? t->n - 1 : 0, &t->trie, t->err);
    wf_free(t->in->mem, keys);
    return status;
}

/* The pieces that begin at `at`, one after another: their end and id; false at the end. Where no piece is one character, the
 * unknown one is. */
typedef struct walk {
    const trainer *t;
    wf_bytes text;
    size_t at, i, first;
    uint32_t node;
    bool open, one;
} walk;

static walk walk_from(const trainer *t, wf_bytes text, size_t at) {
    walk w = {.t = t, .text = text, .at = at, .i = at, .node = WF_TRIE_ROOT, .open = true};
    wf_char_at((const uint8_t *)text.data + at, text.length - at, &w.first);
    return w;
}

static bool walk_next(walk *w, size_t *end, uint32_t *id) {
    while (w->open && w->i < w->text.length && wf_trie_step(&w->t->trie, &w->node, (uint8_t)w->text.data[w->i])) {
        w->i++;
        *id = w->t->trie.nodes[w->node].value;
        if (*id == WF_TRIE_NONE)
            continue;
        *end = w->i;
        w->one = w->one || w->i - w->at == w->first;
        return true;
    }
    w->open = false;
    if (w->one)
        return false;
    w->one = true;
    *end = w->at + w->first;
    *id = 0;
    return true;
}

static double piece_score(const trainer *t, uint32_t id) { return id ? t->pieces[id].score : t->unknown_score; }

static double log_sum(double a, double b, bool first) {
    if (first)
        return b;
    double low = a < b ? a : b, high = a < b ? b : a;
    return high > low + 50 ? high : high + log(exp(low - high) + 1);
}

/* Adds how often each piece is expected in a word that occurs `count` times. */
static void expect(trainer *t, wf_bytes text, double count) {
    size_t n = text.length, end, length;
    uint32_t id;
    for (size_t i = 0; i <= n; i++)
        t->forward[i] = t->backward[i] = i == 0 ? 0 : NAN;
    t->backward[0] = NAN;
    t->backward[n] = 0;
    for (size_t at = 0; at < n; at += length) {
        wf_char_at((const uint8_t *)text.data + at, n - at, &length);
        for (walk w = walk_from(t, text, at); walk_next(&w, &end, &id);)
            t->forward[end] = log_sum(t->forward[end], t->forward[at] + piece_score(t, id), isnan(t->forward[end]));
    }
    for (size_t at = n; at > 0;) {
        wf_char_before((const uint8_t *)text.data, at, &length);
        at -= length;
        for (walk w = walk_from(t, text, at); walk_next(&w, &end, &id);)
            t->backward[at] = log_sum(t->backward[at], t->backward[end] + piece_score(t, id), isnan(t->backward[at]));
    }
    for (size_t at = 0; at < n; at += length) {
        wf_char_at((const uint8_t *)text.data + at, n - at, &length);
        for (walk w = walk_from(t, text, at); walk_next(&w, &end, &id);)
            t->expected[id] += count * exp(t->forward[at] + piece_score(t, id) + t->backward[end] - t->forward[n]);
    }
}

static double digamma(double x) {
    double result = 0;
    for (; x < 7; x += 1)
        result -= 1 / x;
    x -= 0.5;
    double xx = 1 / x, xx2 = xx * xx, xx4 = xx2 * xx2;
    return result + log(x) + (1.0 / 24) * xx2 - (7.0 / 960) * xx4 + (31.0 / 8064) * xx4 * xx2 - (127.0 / 30720) * xx4 * xx4;
}

static void maximise(trainer *t) {
    double sum = 0;
    size_t kept = 1;
    for (size_t i = 1; i < t->n; i++) {
        if (t->expected[i] < 0.5)
            continue;
        t->pieces[kept] = t->pieces[i];
        t->pieces[kept++].score = t->expected[i];
        sum += t->expected[i];
    }
    t->n = kept;
    double log_total = digamma(sum);
    for (size_t i = 1; i < t->n; i++)
        t->pieces[i].score = digamma(t->pieces[i].score) - log_total;
}

static weft_status em_round(trainer *t) {
    memset(t->expected, 0, t->n * sizeof *t->expected);
    for (size_t w = 0; w < words(t)->count; w++)
        expect(t, word_at(t, w), (double)t->in->words->counts[w]);
    maximise(t);
    return build_model(t);
}

/* ---- pruning ---- */

static void offer(best *to, double score, uint32_t from, uint32_t id, uint8_t way) {
    int place = to->count == 0 || score > to->score[0] ? 0 : to->count == 1 || score > to->score[1] ? 1 : 2;
    if (place == 2)
        return;
    if (place == 0 && to->count) {
        to->score[1] = to->score[0];
        to->from[1] = to->from[0];
        to->id[1] = to->id[0];
        to->way[1] = to->way[0];
    }
    to->score[place] = score;
    to->from[place] = from;
    to->id[place] = id;
    to->way[place] = way;
    to->count += to->count < 2;
}

static void search(trainer *t, wf_bytes text) {
    size_t end, length;
    uint32_t id;
    memset(t->ways, 0, (text.length + 1) * sizeof *t->ways);
    t->ways[0].count = 1;
    for (size_t at = 0; at < text.length; at += length) {
        wf_char_at((const uint8_t *)text.data + at, text.length - at, &length);
        for (walk w = walk_from(t, text, at); walk_next(&w, &end, &id);)
            for (int k = 0; k < t->ways[at].count; k++)
                offer(&t->ways[end], t->ways[at].score[k] + piece_score(t, id), (uint32_t)at, id, (uint8_t)k);
    }
}

/* The ids of the k-th way through a text, from its end; returns how many. */
static size_t follow(const trainer *t, wf_bytes text, int k, uint32_t *ids) {
    size_t n = 0;
    for (size_t at = text.length; at > 0;) {
        const best *b = &t->ways[at];
        ids[n++] = b->id[k];
        at = b->from[k];
        k = b->way[k];
    }
    return n;
}

typedef struct candidate {
    uint32_t id;
    double loss;
} candidate;

static int costly_first(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    return x->loss != y->loss ? (x->loss > y->loss ? -1 : 1) : x->id < y->id ? -1 : x->id > y->id;
}

typedef struct pruning {
    double *frequency; /* of the pieces in the best ways */
    uint32_t *ids;     /* room for one way */
    candidate *candidates;
    size_t n_candidates;
    piece *kept;
    size_t n_kept;
    double words, sum;
} pruning;

static void count_best_ways(trainer *t, pruning *p) {
    for (size_t w = 0; w < words(t)->count; w++) {
        double count = (double)t->in->words->counts[w];
        search(t, word_at(t, w));
        size_t n = follow(t, word_at(t, w), 0, p->ids);
        p->words += count;
        for (size_t i = 0; i < n; i++)
            p->frequency[p->ids[i]] += count;
    }
    for (size_t i = 0; i < t->n; i++)
        p->sum += p->frequency[i];
}

/* How much the likelihood falls when the piece is put together from `n` others. The words with the piece are counted once for
 * each time it is in them, which is its frequency. The sum without the piece grows by the frequency times all pieces of the
 * model but one, not times n - 1: the reference takes the length of its list of all alternatives there, and its ranking, so its
 * vocabularies, come from it. */
static double loss_of(const trainer *t, const pruning *p, uint32_t id, size_t n) {
    double f = p->frequency[id] / p->words, log_alternative = log(p->sum + p->frequency[id] * (double)(t->n - 1)), other = 0;
    for (size_t i = n; i-- > 0;)
        other += log(p->frequency[p->ids[i]] + p->frequency[id]) - log_alternative;
    return f * (log(p->frequency[id]) - log(p->sum) - other);
}

/* A piece that is not the best way to itself and not used goes; one without another way stays; the others are candidates. */
static void judge(trainer *t, pruning *p, uint32_t id) {
    wf_bytes text = t->pieces[id].text;
    search(t, text);
    const best *end = &t->ways[text.length];
    size_t n = follow(t, text, 0, p->ids);
    bool only = end->count < 2, keep = only || n == 1;
    if (p->frequency[id] == 0 && !keep)
        return;
    if (only || n >= 2) {
        p->kept[p->n_kept++] = t->pieces[id];
        return;
    }
    n = follow(t, text, 1, p->ids);
    if (p->frequency[id] > 0)
        p->candidates[p->n_candidates++] = (candidate){id, loss_of(t, p, id, n)};
}

static size_t wanted(const trainer *t) { return t->in->vocab_size * 11 / 10; }

static void prune_pieces(trainer *t, pruning *p) {
    size_t goal = (size_t)((double)t->n * t->shrinking);
    goal = goal > wanted(t) ? goal : wanted(t);
    count_best_ways(t, p);
    p->kept[p->n_kept++] = t->pieces[0];
    for (uint32_t id = 1; id < t->n; id++)
        judge(t, p, id);
    if (p->n_candidates)
        qsort(p->candidates, p->n_candidates, sizeof *p->candidates, costly_first);
    for (size_t i = 0; i < p->n_candidates && p->n_kept != goal; i++)
        p->kept[p->n_kept++] = t->pieces[p->candidates[i].id];
    memcpy(t->pieces, p->kept, p->n_kept * sizeof *t->pieces);
    t->n = p->n_kept;
}

static weft_status prune(trainer *t) {
    const wf_mem *mem = t->in->mem;
    size_t longest = t->longest + 4 * t->max_length + 1;
    pruning p = {.frequency = wf_calloc(mem, t->n, sizeof(double)),
                 .ids = wf_calloc(mem, longest, sizeof(uint32_t)),
                 .candidates = wf_calloc(mem, t->n, sizeof(candidate)),
                 .kept = wf_calloc(mem, t->n, sizeof(piece))};
    weft_status status = p.frequency && p.ids && p.candidates && p.kept ? WEFT_OK : wf_fail_memory(t->err);
    if (status == WEFT_OK)
        prune_pieces(t, &p);
    wf_free(mem, p.frequency);
    wf_free(mem, p.ids);
    wf_free(mem, p.candidates);
    wf_free(mem, p.kept);
    return status ? status : build_model(t);
}

/* ---- the end ---- */

static int best_first(const void *a, const void *b) {
    const piece *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    int order = memcmp(x->text.data, y->text.data, x->text.length < y->text.length ? x->text.length : y->text.length);
    return order ? order : x->text.length < y->text.length ? -1 : x->text.length > y->text.length;
}

/* Every character of the texts and of the initial alphabet is a piece; one that got lost has less than the worst. */
static weft_status require_char(trainer *t, wf_bytes text, wf_vocab *done, piece *out, size_t *n, double *penalty) {
    uint32_t node = WF_TRIE_ROOT;
    size_t i = 0;
    bool added;
    WF_TRY(wf_vocab_put(done, text.data, text.length, 0, &added, t->err));
    if (!added)
        return WEFT_OK;
    while (i < text.length && wf_trie_step(&t->trie, &node, (uint8_t)text.data[i]))
        i++;
    bool known = i == text.length && t->trie.nodes[node].value != WF_TRIE_NONE;
    out[(*n)++] = (piece){text, known ? t->pieces[t->trie.nodes[node].value].score : t->unknown_score + 10 + *penalty};
    *penalty += known ? 0 : 0.0001;
    return WEFT_OK;
}

static weft_status require_chars(trainer *t, wf_vocab *done, piece *out, size_t *n) {
    const wf_json *initial = wf_json_get(t->in->options, "initial_alphabet");
    double penalty = 0;
    for (size_t w = 0; w < words(t)->count; w++) {
        wf_bytes word = word_at(t, w);
        for (size_t i = 0, length; i < word.length; i += length) {
            wf_char_at((const uint8_t *)word.data + i, word.length - i, &length);
            WF_TRY(require_char(t, (wf_bytes){word.data + i, length}, done, out, n, &penalty));
        }
    }
    for (const wf_json *j = initial ? initial->child : NULL; j; j = j->next) {
        size_t length = 0;
        if (j->kind == WF_JSON_STRING && j->length) {
            wf_char_at((const uint8_t *)j->string, j->length, &length);
            WF_TRY(require_char(t, (wf_bytes){j->string, length}, done, out, n, &penalty));
        }
    }
    return WEFT_OK;
}

/* A special token is no piece a second time: the reference writes it twice, but finds it in the text before its pieces. */
static weft_status put_specials(trainer *t, const wf_json *unknown, wf_vocab *done) {
    bool added;
    for (size_t i = 0; i < t->in->n_specials; i++)
        WF_TRY(wf_vocab_put(done, t->in->specials[i].data, t->in->specials[i].length, 0, &added, t->err));
    return unknown ? wf_vocab_put(done, unknown->string, unknown->length, 0, &added, t->err) : WEFT_OK;
}

static weft_status choose(trainer *t, const wf_json *unknown, size_t room, piece *out, size_t *n) {
    wf_vocab done;
    wf_vocab_init(&done, t->in->mem);
    weft_status status = put_specials(t, unknown, &done);
    status = status ? status : require_chars(t, &done, out, n);
    if (status == WEFT_OK && *n > t->in->vocab_size)
        status = wf_fail(t->err, WEFT_USAGE, "the texts have %zu different characters, more than the vocabulary", *n);
    bool full = false; /* only by a piece: where the characters fill the room alone, the reference takes all pieces */
    for (size_t i = 1; i < t->n && status == WEFT_OK && !full; i++) {
        bool added;
        status = wf_vocab_put(&done, t->pieces[i].text.data, t->pieces[i].text.length, 0, &added, t->err);
        if (added)
            out[(*n)++] = t->pieces[i];
        full = added && *n == room;
    }
    wf_vocab_free(&done);
    if (*n)
        qsort(out, *n, sizeof *out, best_first);
    return status;
}

static void write_scored(wf_json_writer *w, wf_bytes text, double score) {
    wf_jw_begin(w, '[');
    wf_jw_string_n(w, text.data, text.length);
    wf_jw_double(w, score);
    wf_jw_end(w, ']');
}

static weft_status write_result(trainer *t, wf_json_writer *w) {
    const wf_trainer_in *in = t->in;
    const wf_json *unknown;
    size_t n = 0, unknown_id = 0;
    WF_TRY(wf_load_text(in->l, in->options, "unk_token", &unknown));
    while (unknown && unknown_id < in->n_specials &&
           !(in->specials[unknown_id].length == unknown->length &&
             memcmp(in->specials[unknown_id].data, unknown->string, unknown->length) == 0))
        unknown_id++;
    bool add = unknown && unknown_id == in->n_specials;
    size_t extra = in->n_specials + add;
    WF_CHECK(in->vocab_size > extra, t->err, WEFT_USAGE, "a vocabulary of %zu tokens has no room beside %zu special ones",
             in->vocab_size, extra);
    piece *out = wf_calloc(in->mem, t->n + wf_vocab_bytes(words(t)) + words(t)->count + 1024, sizeof *out);
    weft_status status = out ? choose(t, unknown, in->vocab_size - extra, out, &n) : wf_fail_memory(t->err);
    if (status == WEFT_OK) {
        wf_jw_key(w, "unk_id");
        if (unknown)
            wf_jw_int(w, add ? 0 : (int64_t)unknown_id);
        else
            wf_jw_null(w);
        wf_jw_open(w, "vocab", '[');
        if (add)
            write_scored(w, (wf_bytes){unknown->string, unknown->length}, 0);
        for (size_t i = 0; i < in->n_specials; i++) {
            write_scored(w, in->specials[i], 0);
            in->special_ids[i] = (uint32_t)(i + add);
        }
        for (size_t i = 0; i < n; i++)
            write_scored(w, out[i].text, out[i].score);
        wf_jw_end(w, ']');
    }
    wf_free(in->mem, out);
    return status;
}

/* ---- the training ---- */

static weft_status read_options(trainer *t) {
    const wf_json *shrinking = wf_json_get(t->in->options, "shrinking_factor");
    WF_TRY(wf_load_count(t->in->l, t->in->options, "max_piece_length", 16, &t->max_length));
    WF_TRY(wf_load_count(t->in->l, t->in->options, "n_sub_iterations", 2, &t->rounds));
    WF_TRY(wf_load_count(t->in->l, t->in->options, "seed_size", 1000000, &t->seed_size));
    t->shrinking = shrinking ? shrinking->number : 0.75;
    WF_CHECK(t->shrinking > 0 && t->shrinking < 1 && t->max_length > 0 && t->max_length < 65536, t->err, WEFT_USAGE,
             "shrinking_factor must be between 0 and 1, max_piece_length from 1 to 65535");
    return WEFT_OK;
}

static weft_status make_room(trainer *t) {
    size_t longest = t->longest + 4 * t->max_length + 2;
    t->forward = wf_calloc(t->in->mem, longest, sizeof *t->forward);
    t->backward = wf_calloc(t->in->mem, longest, sizeof *t->backward);
    t->ways = wf_calloc(t->in->mem, longest, sizeof *t->ways);
    t->expected = wf_calloc(t->in->mem, t->n + 1, sizeof *t->expected);
    return t->forward && t->backward && t->ways && t->expected ? WEFT_OK : wf_fail_memory(t->err);
}

static weft_status train(trainer *t, wf_json_writer *w) {
    WF_TRY(read_options(t));
    WF_TRY(make_seeds(t));
    WF_TRY(make_room(t));
    WF_TRY(build_model(t));
    for (size_t before = SIZE_MAX;;) {
        for (size_t i = 0; i < t->rounds; i++) {
            WF_TRY(em_round(t));
            if (t->in->env)
                WF_CHECK(wf_stopped(t->in->env) == WEFT_OK, t->err, wf_stopped(t->in->env), "stopped");
        }
        if (t->n <= wanted(t) || t->n == before)
            break;
        before = t->n;
        WF_TRY(prune(t));
    }
    return write_result(t, w);
}

weft_status wf_train_unigram(const wf_trainer_in *in, wf_json_writer *w) {
    trainer t = {.in = in, .err = in->err};
    wf_arena_init(&t.arena, in->mem, 0);
    weft_status status = train(&t, w);
    wf_trie_free(&t.trie, in->mem);
    void *blocks[] = {t.pieces, t.forward, t.backward, t.ways, t.expected};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        wf_free(in->mem, blocks[i]);
    wf_arena_free(&t.arena);
    return status;
}
