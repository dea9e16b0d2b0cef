/* encoding.c - the arrays of an encoding, joining them, truncation and padding: what the reference's Encoding does. */
#include <string.h>

#include "text/engine.h"

/* ---- one encoding ---- */

wf_encoding wf_encoding_new(const wf_mem *mem) {
    wf_encoding g = {0};
    wf_arena_init(&g.arena, mem, 0);
    return g;
}

static void free_overflow(wf_encoding *g) {
    for (size_t i = 0; i < g->n_overflow; i++)
        wf_encoding_free(&g->overflow[i]);
    wf_free(g->arena.mem, g->overflow);
    g->overflow = NULL;
    g->n_overflow = 0;
}

void wf_encoding_free(wf_encoding *g) {
    const wf_mem *mem = g->arena.mem;
    void *arrays[] = {g->ids, g->types, g->spans, g->words, g->sequences, g->special, g->attention, g->pieces};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        wf_free(mem, arrays[i]);
    free_overflow(g);
    wf_arena_free(&g->arena);
    *g = wf_encoding_new(mem);
}

void wf_encoding_clear(wf_encoding *g) {
    free_overflow(g);
    wf_arena_free(&g->arena);
    g->count = 0;
}

static weft_status grow(wf_encoding *g, size_t need, weft_error *err) {
    struct {
        void **array;
        size_t size;
    } all[] = {{(void **)&g->ids, sizeof *g->ids},
               {(void **)&g->types, sizeof *g->types},
               {(void **)&g->spans, sizeof *g->spans},
               {(void **)&g->words, sizeof *g->words},
               {(void **)&g->sequences, sizeof *g->sequences},
               {(void **)&g->special, sizeof *g->special},
               {(void **)&g->attention, sizeof *g->attention},
               {(void **)&g->pieces, sizeof *g->pieces}};
    size_t capacity = g->capacity;
    if (need <= capacity)
        return WEFT_OK;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        capacity = g->capacity;
        WF_TRY(wf_grow(g->arena.mem, all[i].array, &capacity, need, all[i].size, err));
    }
    g->capacity = capacity < need ? need : capacity;
    return WEFT_OK;
}

wf_entry wf_encoding_at(const wf_encoding *g, size_t i) {
    return (wf_entry){g->ids[i],       g->types[i],   g->spans[i],     g->words[i],
                      g->sequences[i], g->special[i], g->attention[i], g->pieces[i]};
}

static void set(wf_encoding *g, size_t i, const wf_entry *x) {
    g->ids[i] = x->id;
    g->types[i] = x->type;
    g->spans[i] = x->span;
    g->words[i] = x->word;
    g->sequences[i] = x->sequence;
    g->special[i] = x->special;
    g->attention[i] = x->attention;
    g->pieces[i] = x->piece;
}

weft_status wf_encoding_push(wf_encoding *g, const wf_entry *x, weft_error *err) {
    if (g->count == g->capacity)
        WF_TRY(grow(g, g->count + 1, err));
    set(g, g->count++, x);
    return WEFT_OK;
}

/* Entries [from, to) of another one, behind what is there. Pieces that may live in the other's arena are copied. */
static weft_status append(wf_encoding *g, const wf_encoding *from, size_t first, size_t end, weft_error *err) {
    WF_TRY(grow(g, g->count + end - first, err));
    for (size_t i = first; i < end; i++) {
        wf_entry x = wf_encoding_at(from, i);
        if (from->arena.used && x.piece.length) {
            x.piece.data = wf_arena_strndup(&g->arena, x.piece.data, x.piece.length);
            if (!x.piece.data)
                return wf_fail_memory(err);
        }
        set(g, g->count++, &x);
    }
    return WEFT_OK;
}

static weft_status push_overflow(wf_encoding *g, wf_encoding **out, weft_error *err) {
    wf_encoding *more = wf_resize(g->arena.mem, g->overflow, (g->n_overflow + 1) * sizeof *more);
    if (!more)
        return wf_fail_memory(err);
    g->overflow = more;
    *out = &more[g->n_overflow++];
    **out = wf_encoding_new(g->arena.mem);
    return WEFT_OK;
}

weft_status wf_encoding_copy(wf_encoding *g, const wf_encoding *from, weft_error *err) {
    wf_encoding_clear(g);
    WF_TRY(append(g, from, 0, from->count, err));
    for (size_t i = 0; i < from->n_overflow; i++) {
        wf_encoding *o;
        WF_TRY(push_overflow(g, &o, err));
        WF_TRY(append(o, &from->overflow[i], 0, from->overflow[i].count, err));
    }
    return WEFT_OK;
}

static weft_status push_pair(wf_encoding *to, const wf_encoding *a, const wf_encoding *b, weft_error *err) {
    enum { MOST_OVERFLOW = 1 << 20 };
    wf_encoding *o;
    WF_CHECK(to->n_overflow < MOST_OVERFLOW, err, WEFT_BAD_INPUT, "truncation cuts off more than %d pieces",
             (int)MOST_OVERFLOW);
    WF_TRY(push_overflow(to, &o, err));
    WF_TRY(append(o, a, 0, a->count, err));
    return append(o, b, 0, b->count, err);
}

static weft_status join_overflow(wf_encoding *to, const wf_encoding *g, const wf_encoding *more, weft_error *err) {
    for (size_t i = 0; i < g->n_overflow; i++) {
        WF_TRY(push_pair(to, &g->overflow[i], more, err));
        for (size_t k = 0; k < more->n_overflow; k++)
            WF_TRY(push_pair(to, &g->overflow[i], &more->overflow[k], err));
    }
    for (size_t k = 0; k < more->n_overflow; k++)
        WF_TRY(push_pair(to, g, &more->overflow[k], err));
    return WEFT_OK;
}

weft_status wf_encoding_join(wf_encoding *g, const wf_encoding *more, weft_error *err) {
    wf_encoding all = wf_encoding_new(g->arena.mem); /* only its overflow is used */
    weft_status status = join_overflow(&all, g, more, err);
    if (status == WEFT_OK)
        status = append(g, more, 0, more->count, err);
    if (status == WEFT_OK) {
        wf_encoding *old = g->overflow;
        size_t n_old = g->n_overflow;
        g->overflow = all.overflow;
        g->n_overflow = all.n_overflow;
        all.overflow = old;
        all.n_overflow = n_old;
    }
    wf_encoding_free(&all);
    return status;
}

/* ---- encodings side by side ---- */

weft_status wf_parts_push(wf_parts *parts, wf_encoding **out, weft_error *err) {
    WF_TRY(wf_grow(parts->mem, (void **)&parts->list, &parts->capacity, parts->count + 1, sizeof *parts->list, err));
    *out = &parts->list[parts->count++];
    **out = wf_encoding_new(parts->mem);
    return WEFT_OK;
}

void wf_parts_free(wf_parts *parts) {
    for (size_t i = 0; i < parts->count; i++)
        wf_encoding_free(&parts->list[i]);
    wf_free(parts->mem, parts->list);
    *parts = (wf_parts){.mem = parts->mem};
}

/* ---- truncation ---- */

/* Window i of a text of n tokens, each `length` long and stepping by `step`; false when there is none. */
static bool window(size_t n, size_t length, size_t step, bool left, size_t i, size_t range[2]) {
    size_t at = i * step;
    if (left) {
        if (i > 0 && (at >= n || n - (at - step) <= length))
            return false;
        range[1] = n - at;
        range[0] = range[1] > length ? range[1] - length : 0;
        return true;
    }
    if (i > 0 && at - step + length >= n)
        return false;
    range[0] = at;
    range[1] = at + length < n ? at + length : n;
    return at < n;
}

static weft_status cut_windows(wf_encoding *to, const wf_encoding *from, const wf_truncation *t, size_t length,
                               weft_error *err) {
    size_t range[2];
    for (size_t i = 0; window(from->count, length, length - t->stride, t->left, i, range); i++) {
        wf_encoding *o = to;
        if (i > 0)
            WF_TRY(push_overflow(to, &o, err));
        WF_TRY(append(o, from, range[0], range[1], err));
    }
    return WEFT_OK;
}

/* Keeps `length` tokens; the rest becomes overflow. */
static weft_status cut(wf_encoding *g, const wf_truncation *t, size_t length, weft_error *err) {
    if (length >= g->count)
        return WEFT_OK;
    WF_CHECK(length == 0 || t->stride < length, err, WEFT_BAD_INPUT,
             "truncation: the 'stride' %zu must be less than the %zu tokens that are kept of a text", t->stride, length);
    wf_encoding whole = *g, *o;
    *g = wf_encoding_new(whole.arena.mem);
    weft_status status;
    if (length == 0) {
        status = push_overflow(g, &o, err);
        if (status == WEFT_OK)
            status = append(o, &whole, 0, whole.count, err);
    } else {
        status = cut_windows(g, &whole, t, length, err);
    }
    wf_encoding_free(&whole);
    return status;
}

/* Both are cut to halves of the limit, unless the shorter one leaves the other more. */
static weft_status cut_longest(const wf_truncation *t, size_t limit, wf_encoding *text, wf_encoding *pair, weft_error *err) {
    if (!pair)
        return cut(text, t, limit, err);
    size_t n1 = text->count, n2 = pair->count;
    bool swap = n1 > n2;
    if (swap) {
        n1 = pair->count;
        n2 = text->count;
    }
    n2 = n1 > limit ? n1 : limit - n1 > n1 ? limit - n1 : n1;
    if (n1 + n2 > limit) {
        n1 = limit / 2;
        n2 = n1 + limit % 2;
    }
    WF_TRY(cut(text, t, swap ? n2 : n1, err));
    return cut(pair, t, swap ? n1 : n2, err);
}

weft_status wf_truncate(const wf_truncation *t, size_t specials, wf_encoding *text, wf_encoding *pair, weft_error *err) {
    size_t limit = t->max_length - specials; /* below 0 it wraps, and nothing is cut: so does the reference */
    size_t total = text->count + (pair ? pair->count : 0);
    if (limit == 0) {
        WF_TRY(cut(text, t, 0, err));
        return pair ? cut(pair, t, 0, err) : WEFT_OK;
    }
    if (total <= limit)
        return WEFT_OK;
    if (t->strategy == WF_CUT_LONGEST)
        return cut_longest(t, limit, text, pair, err);
    wf_encoding *target = t->strategy == WF_CUT_FIRST ? text : pair;
    WF_CHECK(target, err, WEFT_BAD_INPUT, "truncation: the second text is to be cut, and there is none");
    WF_CHECK(target->count > total - limit, err, WEFT_BAD_INPUT,
             "truncation: the text to be cut has %zu tokens, too few to come down to %zu in all", target->count, limit);
    return cut(target, t, target->count - (total - limit), err);
}

/* ---- padding ---- */

static weft_status pad_one(const wf_padding *p, wf_encoding *g, size_t length, weft_error *err) {
    for (size_t i = 0; i < g->n_overflow; i++)
        WF_TRY(pad_one(p, &g->overflow[i], length, err)); /* overflow has none of its own */
    size_t n = g->count, more = n < length ? length - n : 0;
    wf_entry x = {.id = p->id, .type = p->type, .word = -1, .sequence = -1, .special = 1, .piece = p->token};
    WF_TRY(grow(g, n + more, err));
    g->count += more;
    for (size_t i = n; p->left && more && i-- > 0;) {
        wf_entry moved = wf_encoding_at(g, i);
        set(g, i + more, &moved);
    }
    for (size_t i = 0; i < more; i++)
        set(g, p->left ? i : n + i, &x);
    return WEFT_OK;
}

weft_status wf_pad(const wf_padding *p, wf_encoding *list, size_t n, weft_error *err) {
    enum { LONGEST = 1 << 26 };
    size_t length = p->length;
    for (size_t i = 0; i < n && p->length == 0; i++)
        length = list[i].count > length ? list[i].count : length;
    if (p->multiple > 0 && length % p->multiple)
        length += p->multiple - length % p->multiple;
    WF_CHECK(length <= LONGEST || length < p->length + p->multiple, err, WEFT_BAD_INPUT, "padding to %zu tokens", length);
    for (size_t i = 0; i < n; i++)
        WF_TRY(pad_one(p, &list[i], length, err));
    return WEFT_OK;
}
