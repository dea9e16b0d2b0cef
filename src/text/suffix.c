/* suffix.c - the suffix array by doubling prefixes (Manber and Myers 1990) with counting sorts, common prefixes after Kasai et
 * al. 2001, and the inner nodes of the suffix tree from a stack over them. */
#include "text/suffix.h"

#include <stdlib.h>
#include <string.h>

typedef struct sorter {
    uint32_t *order, *rank, *next, *count; /* [n], [n], [n], [n + 1] */
    size_t n;
} sorter;

static int by_number(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Ranks of the numbers themselves. */
static void first_ranks(sorter *s, const uint32_t *text) {
    size_t different = 0;
    memcpy(s->next, text, s->n * sizeof *text);
    qsort(s->next, s->n, sizeof *s->next, by_number);
    for (size_t i = 0; i < s->n; i++)
        if (i == 0 || s->next[i] != s->next[different - 1])
            s->next[different++] = s->next[i];
    for (size_t i = 0; i < s->n; i++) {
        size_t low = 0, high = different;
        while (low + 1 < high) {
            size_t middle = (low + high) / 2;
            if (s->next[middle] <= text[i])
                low = middle;
            else
                high = middle;
        }
        s->rank[i] = (uint32_t)low;
    }
}

/* Sorts `from` (positions) stably by rank into s->order. */
static void sort_by_rank(sorter *s, const uint32_t *from) {
    memset(s->count, 0, (s->n + 1) * sizeof *s->count);
    for (size_t i = 0; i < s->n; i++)
        s->count[s->rank[i] + 1]++;
    for (size_t i = 1; i <= s->n; i++)
        s->count[i] += s->count[i - 1];
    for (size_t i = 0; i < s->n; i++)
        s->order[s->count[s->rank[from[i]]]++] = from[i];
}

/* One doubling: suffixes are sorted by their first 2k numbers. False when all are told apart. */
static bool double_prefix(sorter *s, size_t k) {
    size_t at = 0;
    for (size_t i = s->n - (k < s->n ? k : s->n); i < s->n; i++)
        s->next[at++] = (uint32_t)i; /* what is short comes first */
    for (size_t i = 0; i < s->n; i++)
        if (s->order[i] >= k)
            s->next[at++] = s->order[i] - (uint32_t)k;
    sort_by_rank(s, s->next);
    uint32_t *new = s->next, rank = 0;
    for (size_t i = 0; i < s->n; i++) {
        size_t a = s->order[i], b = i ? s->order[i - 1] : 0;
        bool same =
            i && s->rank[a] == s->rank[b] && (a + k < s->n ? s->rank[a + k] + 1 : 0) == (b + k < s->n ? s->rank[b + k] + 1 : 0);
        rank += i && !same;
        new[a] = rank;
    }
    s->next = s->rank;
    s->rank = new;
    return rank + 1 < s->n;
}

static void sort_suffixes(sorter *s, const uint32_t *text) {
    first_ranks(s, text);
    for (size_t i = 0; i < s->n; i++)
        s->next[i] = (uint32_t)i;
    sort_by_rank(s, s->next);
    for (size_t k = 1; k < s->n && double_prefix(s, k); k *= 2)
        ;
}

/* common[i]: how much the suffixes order[i - 1] and order[i] share. Written over s->next. */
static void common_prefixes(sorter *s, const uint32_t *text) {
    size_t shared = 0;
    for (size_t i = 0; i < s->n; i++)
        s->rank[s->order[i]] = (uint32_t)i;
    for (size_t i = 0; i < s->n; i++) {
        if (s->rank[i] == 0) {
            shared = 0;
            s->next[0] = 0;
            continue;
        }
        size_t j = s->order[s->rank[i] - 1];
        while (i + shared < s->n && j + shared < s->n && text[i + shared] == text[j + shared])
            shared++;
        s->next[s->rank[i]] = (uint32_t)shared;
        shared -= shared > 0;
    }
}

typedef struct open_node {
    uint32_t length, first; /* first: place in the order */
} open_node;

typedef struct collector {
    const wf_mem *mem;
    const sorter *s;
    size_t most;
    open_node *stack;
    size_t depth, stack_capacity;
    wf_repeat **out;
    size_t *count, capacity;
    weft_error *err;
} collector;

static weft_status close_node(collector *c, open_node node, size_t end) {
    if (node.length == 0 || node.length > c->most)
        return WEFT_OK;
    WF_TRY(wf_grow(c->mem, (void **)c->out, &c->capacity, *c->count + 1, sizeof **c->out, c->err));
    (*c->out)[(*c->count)++] = (wf_repeat){c->s->order[node.first], node.length, (uint32_t)(end - node.first)};
    return WEFT_OK;
}

static weft_status collect(collector *c) {
    size_t n = c->s->n;
    for (size_t i = 1; i <= n; i++) {
        uint32_t shared = i < n ? c->s->next[i] : 0, first = (uint32_t)i - 1;
        while (c->depth && c->stack[c->depth - 1].length > shared) {
            open_node node = c->stack[--c->depth];
            first = node.first;
            WF_TRY(close_node(c, node, i));
        }
        if (shared && (!c->depth || c->stack[c->depth - 1].length < shared)) {
            WF_TRY(wf_grow(c->mem, (void **)&c->stack, &c->stack_capacity, c->depth + 1, sizeof *c->stack, c->err));
            c->stack[c->depth++] = (open_node){shared, first};
        }
    }
    return WEFT_OK;
}

weft_status wf_find_repeats(const wf_mem *mem, const uint32_t *text, size_t n, size_t most, wf_repeat **out, size_t *count,
                            weft_error *err) {
    *out = NULL;
    *count = 0;
    WF_CHECK(n < UINT32_MAX / 2, err, WEFT_BAD_INPUT, "a text of %zu characters is too long to train on", n);
    if (n == 0)
        return WEFT_OK;
    sorter s = {wf_calloc(mem, n, 4), wf_calloc(mem, n, 4), wf_calloc(mem, n, 4), wf_calloc(mem, n + 1, 4), n};
    collector c = {.mem = mem, .s = &s, .most = most, .out = out, .count = count, .err = err};
    weft_status status = s.order && s.rank && s.next && s.count ? WEFT_OK : wf_fail_memory(err);
    if (status == WEFT_OK) {
        sort_suffixes(&s, text);
        common_prefixes(&s, text);
        status = collect(&c);
    }
    wf_free(mem, s.order);
    wf_free(mem, s.rank);
    wf_free(mem, s.next);
    wf_free(mem, s.count);
    wf_free(mem, c.stack);
    if (status != WEFT_OK) {
        wf_free(mem, *out);
        *out = NULL;
    }
    return status;
}
