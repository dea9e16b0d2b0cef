/* trie.c - building the double array: the children of each node, breadth first, go to the first base where all of them fit. */
#include "text/trie.h"

#include <stdlib.h>
#include <string.h>

typedef struct range { /* keys that share a node's path */
    size_t first, end, depth;
    uint32_t node;
} range;

typedef struct builder {
    const wf_mem *mem;
    const wf_trie_key *keys;
    wf_trie *t;
    size_t capacity;
    uint32_t *next_free, *previous_free; /* a ring of free nodes, in order */
    size_t ring_capacity[2];
    uint32_t first_free;
    range *stack;
    size_t n_stack, stack_capacity;
    weft_error *err;
} builder;

static int compare(const void *a, const void *b) {
    const wf_trie_key *x = a, *y = b;
    size_t n = x->length < y->length ? x->length : y->length;
    int order = memcmp(x->text, y->text, n);
    return order                    ? order
           : x->length != y->length ? (x->length < y->length ? -1 : 1)
           : x->value < y->value    ? -1
                                    : x->value > y->value;
}

/* 256 more free nodes at the end of the ring. */
static weft_status grow(builder *b) {
    uint32_t old = b->t->count, new = old + 256;
    WF_CHECK(new < UINT32_MAX / 2, b->err, WEFT_BAD_INPUT, "too many strings");
    WF_TRY(wf_grow(b->mem, (void **)&b->t->nodes, &b->capacity, new, sizeof *b->t->nodes, b->err));
    WF_TRY(wf_grow(b->mem, (void **)&b->next_free, &b->ring_capacity[0], new, sizeof *b->next_free, b->err));
    WF_TRY(wf_grow(b->mem, (void **)&b->previous_free, &b->ring_capacity[1], new, sizeof *b->previous_free, b->err));
    for (uint32_t i = old; i < new; i++) {
        b->t->nodes[i] = (wf_trie_node){0, WF_TRIE_FREE, WF_TRIE_NONE};
        uint32_t last = b->first_free == WF_TRIE_FREE ? i : b->previous_free[b->first_free];
        if (b->first_free == WF_TRIE_FREE)
            b->first_free = i;
        b->next_free[last] = i;
        b->previous_free[i] = last;
        b->next_free[i] = b->first_free;
        b->previous_free[b->first_free] = i;
    }
    b->t->count = new;
    return WEFT_OK;
}

static void take(builder *b, uint32_t node, uint32_t parent) {
    uint32_t next = b->next_free[node];
    b->next_free[b->previous_free[node]] = next;
    b->previous_free[next] = b->previous_free[node];
    if (b->first_free == node)
        b->first_free = next == node ? WF_TRIE_FREE : next;
    b->t->nodes[node].parent = parent;
}

static bool fits(const builder *b, uint32_t base, const uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (b->t->nodes[base ^ bytes[i]].parent != WF_TRIE_FREE)
            return false;
    return true;
}

/* A base where all children are free. The oldest holes are too small for many children: only a few are tried, then the end. */
static weft_status find_base(builder *b, const uint8_t *bytes, size_t n, uint32_t *base) {
    uint32_t at = b->first_free;
    for (int tries = 0; at != WF_TRIE_FREE && tries < 64; tries++) {
        *base = at ^ bytes[0];
        if (fits(b, *base, bytes, n))
            return WEFT_OK;
        at = b->next_free[at];
        if (at == b->first_free)
            break;
    }
    /* Nodes that many failed on are given up, so that searching stays short: the end of the ring is the fresh part. */
    for (uint32_t block = b->t->count >= 1024 ? b->t->count - 1024 : 0; block < b->t->count; block += 256)
        for (uint32_t low = 0; low < 256; low++)
            if (fits(b, block + low, bytes, n)) {
                *base = block + low;
                return WEFT_OK;
            }
    *base = b->t->count;
    return grow(b);
}

static size_t child_end(const builder *b, const range *r, size_t first) {
    uint8_t byte = (uint8_t)b->keys[first].text[r->depth];
    size_t end = first + 1;
    while (end < r->end && (uint8_t)b->keys[end].text[r->depth] == byte)
        end++;
    return end;
}

static weft_status place_children(builder *b, range r) {
    uint8_t bytes[256];
    size_t n = 0;
    uint32_t base;
    for (; r.first < r.end && b->keys[r.first].length == r.depth; r.first++)
        b->t->nodes[r.node].value = b->keys[r.first].value;
    for (size_t i = r.first; i < r.end; i = child_end(b, &r, i))
        bytes[n++] = (uint8_t)b->keys[i].text[r.depth];
    if (n == 0)
        return WEFT_OK;
    WF_TRY(find_base(b, bytes, n, &base));
    b->t->nodes[r.node].base = base;
    for (size_t i = 0; i < n; i++)
        take(b, base ^ bytes[i], r.node);
    WF_TRY(wf_grow(b->mem, (void **)&b->stack, &b->stack_capacity, b->n_stack + n, sizeof *b->stack, b->err));
    for (size_t i = r.first, end; i < r.end; i = end) {
        end = child_end(b, &r, i);
        b->stack[b->n_stack++] = (range){i, end, r.depth + 1, base ^ (uint8_t)b->keys[i].text[r.depth]};
    }
    return WEFT_OK;
}

static weft_status build(builder *b, size_t first, size_t n) {
    WF_TRY(grow(b));
    take(b, WF_TRIE_ROOT, WF_TRIE_FREE - 1);
    WF_TRY(place_children(b, (range){first, n, 0, WF_TRIE_ROOT}));
    while (b->n_stack)
        WF_TRY(place_children(b, b->stack[--b->n_stack]));
    return WEFT_OK;
}

weft_status wf_trie_build(const wf_mem *mem, wf_trie_key *keys, size_t n, wf_trie *out, weft_error *err) {
    size_t first = 0;
    if (n)
        qsort(keys, n, sizeof *keys, compare);
    while (first < n && keys[first].length == 0)
        first++;
    *out = (wf_trie){0};
    builder b = {.mem = mem, .keys = keys, .t = out, .first_free = WF_TRIE_FREE, .err = err};
    weft_status status = build(&b, first, n);
    wf_free(mem, b.next_free);
    wf_free(mem, b.previous_free);
    wf_free(mem, b.stack);
    if (status != WEFT_OK)
        wf_trie_free(out, mem);
    return status;
}

void wf_trie_free(wf_trie *t, const wf_mem *mem) {
    wf_free(mem, t->nodes);
    *t = (wf_trie){0};
}
