/* shares.c - where a container is cut into shares, and whether they fit together. */
#include "text/shares.h"

#include <stdatomic.h>
#include <string.h>

size_t wf_guess_count(size_t start, size_t position, size_t end) {
    return WF_MANY + (end > position ? end - position : 0) / ((position - start) / WF_MANY + 1);
}

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/* How elements of the container are divided: what stands before the comma and what comes after it. */
typedef struct division {
    char before, behind, first;
} division;

/* Kinds of bytes that end an element: all digits are one. */
static char ending(char c) { return c >= '0' && c <= '9' ? '0' : c; }

static bool divides(const char *text, size_t at, size_t end, const division *d) {
    size_t next = at + 1;
    if (ending(text[at - 1]) != d->before || text[next] != d->behind)
        return false;
    while (next < end && is_space(text[next]))
        next++;
    return next < end && text[next] == d->first;
}

/* As it is behind the first element, which `probe` stands before. */
static bool find_division(wf_json_reader *probe, size_t end, division *d) {
    wf_json_kind kind;
    weft_status status = wf_json_next(probe, &kind, NULL, NULL, NULL, NULL);
    size_t begin = probe->stack[probe->depth - 1] == '{' ? probe->key_offset : probe->value_offset;
    if (status == WEFT_OK && kind == WF_JSON_ARRAY)
        begin = probe->value_offset, status = wf_json_skip(probe);
    if (status != WEFT_OK || kind == WF_JSON_END || probe->position + 1 >= end || probe->text[probe->position] != ',')
        return false;
    *d = (division){ending(probe->text[probe->position - 1]), probe->text[probe->position + 1], probe->text[begin]};
    return true;
}

/* The first comma from `from` on that seems to stand between two elements; 0 when there is none near. */
static size_t find_comma(const char *text, size_t from, size_t end, const division *d) {
    enum { NEAR = 1 << 16 };
    size_t limit = end - from > NEAR ? from + NEAR : end;
    for (const char *at = text + from; at + 1 < text + limit; at++) {
        at = memchr(at, ',', (size_t)(text + limit - 1 - at));
        if (!at)
            return 0;
        if (divides(text, (size_t)(at - text), end, d))
            return (size_t)(at - text);
    }
    return 0;
}

static void begin_share(const wf_loading *l, const wf_json_reader *r, wf_shares *s, size_t begin) {
    wf_share *x = &s->list[s->n];
    *x = (wf_share){.begin = begin, .stop = SIZE_MAX, .form = WF_JSON_END};
    wf_json_ahead(r, s->bracket, begin, s->n == 0, &x->reader);
    x->reader.err = &x->error;
    x->error.offset = -1;
    wf_arena_init(&x->copies, l->mem, 0);
    if (s->n > 0)
        s->list[s->n - 1].stop = begin;
    s->n++;
}

int wf_shares_wanted(const wf_loading *l) {
    enum { EACH = 3 };
    int threads = l->pool ? wf_pool_threads(l->pool) : 1;
    return threads == 1 ? 1 : threads * EACH < WF_SHARES ? threads * EACH : WF_SHARES;
}

typedef struct turns {
    void (*fn)(void *arg, int thread, int i);
    void *arg;
    int n;
    atomic_int next;
} turns;

static void take_turns(void *arg, int thread, int n_threads) {
    turns *t = arg;
    for (int i; (i = atomic_fetch_add(&t->next, 1)) < t->n;)
        t->fn(t->arg, thread, i);
}

void wf_shares_each(const wf_loading *l, int n, void (*fn)(void *arg, int thread, int i), void *arg) {
    turns t = {.fn = fn, .arg = arg, .n = n};
    atomic_init(&t.next, 0);
    wf_load_region(l, take_turns, &t);
}

weft_status wf_shares_begin(const wf_loading *l, const wf_json_reader *r, char bracket, size_t at, size_t end, int n,
                            wf_shares *out) {
    enum { LEAST = 1 << 12 }; /* bytes that are worth a share */
    division d;
    wf_json_reader probe;
    *out = (wf_shares){.bracket = bracket, .at = at, .mem = l->mem};
    out->list = wf_calloc(l->mem, WF_SHARES, sizeof *out->list);
    if (!out->list)
        return wf_fail_memory(l->err);
    begin_share(l, r, out, at);
    size_t step = end > at ? (end - at) / (size_t)n : 0;
    wf_json_ahead(r, bracket, at, true, &probe);
    probe.err = NULL;
    bool cut = n > 1 && step >= LEAST && find_division(&probe, end, &d);
    for (int i = 1; i < n && cut; i++) {
        size_t comma = find_comma(r->text, at + step * (size_t)i, end, &d);
        if (comma > out->list[out->n - 1].begin)
            begin_share(l, r, out, comma);
    }
    wf_json_close(&probe);
    for (int i = 0; i < out->n; i++) /* the first list takes up the others */
        out->list[i].room_end = i > 0 && i + 1 < out->n ? out->list[i].stop : end;
    return WEFT_OK;
}

static void free_share(const wf_mem *mem, wf_share *x) {
    wf_json_close(&x->reader);
    wf_arena_free(&x->copies);
    wf_free_big(mem, x->tokens);
    wf_free_big(mem, x->scores);
    wf_free_big(mem, x->merges);
    wf_free(mem, x->odd);
}

void wf_shares_free(wf_shares *s) {
    for (int i = 0; i < s->n; i++)
        free_share(s->mem, &s->list[i]);
    wf_free(s->mem, s->list);
    *s = (wf_shares){0};
}

void wf_share_read(const wf_loading *l, wf_shares *s, int i, wf_share_fn fn) {
    if (i >= s->n)
        return;
    wf_loading mine = *l;
    mine.err = &s->list[i].error;
    s->list[i].status = fn(&mine, &s->list[i]);
}

static bool fit(const wf_shares *s) {
    for (int i = 0; i < s->n; i++) {
        const wf_share *x = &s->list[i];
        bool last = i + 1 == s->n;
        if (x->status != WEFT_OK || x->ended != last || (!last && x->reader.position != x->stop))
            return false;
    }
    return true;
}

weft_status wf_shares_settle(const wf_loading *l, const wf_json_reader *r, wf_shares *s, wf_share_fn fn) {
    if (s->n > 1 && !fit(s)) {
        size_t end = s->list[0].room_end;
        for (int i = 0; i < s->n; i++)
            free_share(l->mem, &s->list[i]);
        s->n = 0;
        begin_share(l, r, s, s->at);
        s->list[0].room_end = end;
        wf_share_read(l, s, 0, fn);
    }
    if (s->list[0].status != WEFT_OK && l->err)
        *l->err = s->list[0].error;
    return s->list[0].status;
}

size_t wf_shares_count(const wf_shares *s) {
    size_t n = 0;
    for (int i = 0; i < s->n; i++)
        n += s->list[i].count;
    return n;
}
