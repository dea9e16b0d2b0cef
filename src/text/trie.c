/* trie.c - building the double array: the children of a node go to the first base where all of them fit. Nodes are handed out
 * in blocks of 256, in which all children of a node lie, so that threads may build subtrees beside each other. */
#include "text/trie.h"

#include <stdatomic.h>
#include <string.h>

#include "text/trie_keys.h"

enum { BLOCK = 256, RECENT = 2, MOST_THREADS = 8 };

typedef struct range { /* keys that share a node's path */
    size_t first, end;
    uint32_t depth, node;
} range;
typedef struct ranges {
    range *list;
    size_t count, capacity;
} ranges;

typedef struct ground { /* what all threads build on */
    const wf_mem *mem;
    const wf_trie_key *keys;
    wf_trie_node *nodes;
    size_t capacity;
    bool fixed; /* the nodes cannot grow, for several threads have them */
    atomic_size_t used;
    ranges jobs;
    atomic_size_t next_job;
} ground;

/* A thread's own: its free nodes are a ring, in which `base` is the next one and `value` the one before. */
typedef struct builder {
    ground *g;
    uint32_t first_free;
    uint32_t recent[RECENT]; /* blocks */
    ranges stack;
    weft_error *err;
} builder;

static builder builder_new(ground *g, weft_error *err) {
    return (builder){.g = g, .first_free = WF_TRIE_FREE, .recent = {WF_TRIE_FREE, WF_TRIE_FREE}, .err = err};
}

static weft_status push(builder *b, ranges *list, range r) {
    WF_TRY(wf_grow(b->g->mem, (void **)&list->list, &list->capacity, list->count + 1, sizeof r, b->err));
    list->list[list->count++] = r;
    return WEFT_OK;
}

/* One more block at the end of the ring. */
static weft_status add_block(builder *b) {
    ground *g = b->g;
    size_t at = atomic_fetch_add(&g->used, BLOCK);
    WF_CHECK(at + BLOCK < UINT32_MAX / 2, b->err, WEFT_BAD_INPUT, "too many strings");
    if (at + BLOCK > g->capacity) {
        WF_CHECK(!g->fixed, b->err, WEFT_FAILURE, "more nodes than expected");
        WF_TRY(wf_grow_big(g->mem, (void **)&g->nodes, &g->capacity, at + BLOCK, sizeof *g->nodes, b->err));
    }
    uint32_t from = (uint32_t)at, last = from + BLOCK - 1;
    uint32_t first = b->first_free == WF_TRIE_FREE ? from : b->first_free,
             end = b->first_free == WF_TRIE_FREE ? last : g->nodes[first].value;
    for (uint32_t i = from; i <= last; i++)
        g->nodes[i] = (wf_trie_node){i + 1, WF_TRIE_FREE, i - 1};
    g->nodes[last].base = first;
    g->nodes[first].value = last;
    if (first != from) {
        g->nodes[from].value = end;
        g->nodes[end].base = from;
    }
    b->first_free = first;
    memmove(b->recent, b->recent + 1, (RECENT - 1) * sizeof *b->recent);
    b->recent[RECENT - 1] = from;
    return WEFT_OK;
}

static void take(builder *b, uint32_t node, uint32_t parent) {
    wf_trie_node *nodes = b->g->nodes;
    uint32_t next = nodes[node].base, before = nodes[node].value;
    nodes[before].base = next;
    nodes[next].value = before;
    if (b->first_free == node)
        b->first_free = next == node ? WF_TRIE_FREE : next;
    nodes[node] = (wf_trie_node){0, parent, WF_TRIE_NONE};
}

static bool fits(const builder *b, uint32_t base, const uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (b->g->nodes[base ^ bytes[i]].parent != WF_TRIE_FREE)
            return false;
    return true;
}

/* A base where all children are free. Any free node is the place of an only child. Of several, a few holes are tried, from the
 * place on where the last search ended, then the last blocks, then a new one. */
static weft_status find_base(builder *b, const uint8_t *bytes, size_t n, uint32_t *base) {
    enum { TRIES = 16 };
    uint32_t at = b->first_free;
    for (int tries = 0; at != WF_TRIE_FREE && tries < TRIES; tries++) {
        *base = at ^ bytes[0];
        if (n == 1 || fits(b, *base, bytes, n))
            return WEFT_OK;
        at = b->g->nodes[at].base;
        if (at == b->first_free)
            break;
    }
    b->first_free = at;
    for (int i = 0; i < RECENT; i++)
        for (uint32_t low = 0; low < BLOCK && b->recent[i] != WF_TRIE_FREE; low++)
            if (fits(b, b->recent[i] + low, bytes, n)) {
                *base = b->recent[i] + low;
                return WEFT_OK;
            }
    WF_TRY(add_block(b));
    *base = b->recent[RECENT - 1];
    return WEFT_OK;
}

static inline uint8_t byte_at(const wf_trie_key *k, uint32_t depth) {
    return depth < sizeof k->head ? (uint8_t)(k->head >> (56 - 8 * depth)) : (uint8_t)k->text[depth];
}

/* The only key that is left, byte by byte. */
static weft_status place_tail(builder *b, const wf_trie_key *k, uint32_t depth, uint32_t node) {
    for (; depth < k->length; depth++) {
        uint8_t byte = byte_at(k, depth);
        uint32_t base;
        WF_TRY(find_base(b, &byte, 1, &base));
        b->g->nodes[node].base = base;
        take(b, base ^ byte, node);
        node = base ^ byte;
    }
    b->g->nodes[node].value = k->value;
    return WEFT_OK;
}

/* The children of a node; the ranges of keys below them go to `below`. */
static weft_status place_children(builder *b, range r, ranges *below) {
    const wf_trie_key *keys = b->g->keys;
    uint8_t bytes[BLOCK];
    size_t begins[BLOCK + 1], n = 0;
    uint32_t base;
    if (r.end - r.first == 1)
        return place_tail(b, &keys[r.first], r.depth, r.node);
    for (; r.first < r.end && keys[r.first].length == r.depth; r.first++)
        b->g->nodes[r.node].value = keys[r.first].value;
    for (size_t i = r.first; i < r.end; n++) {
        begins[n] = i;
        bytes[n] = byte_at(&keys[i], r.depth);
        while (i < r.end && byte_at(&keys[i], r.depth) == bytes[n])
            i++;
    }
    if (n == 0)
        return WEFT_OK;
    begins[n] = r.end;
    WF_TRY(find_base(b, bytes, n, &base));
    b->g->nodes[r.node].base = base;
    for (size_t i = 0; i < n; i++) {
        take(b, base ^ bytes[i], r.node);
        WF_TRY(push(b, below, (range){begins[i], begins[i + 1], r.depth + 1, base ^ bytes[i]}));
        __builtin_prefetch(keys[begins[i]].text + sizeof keys->head);
    }
    return WEFT_OK;
}

static weft_status place_below(builder *b, range r) {
    b->stack.count = 0;
    WF_TRY(place_children(b, r, &b->stack));
    while (b->stack.count)
        WF_TRY(place_children(b, b->stack.list[--b->stack.count], &b->stack));
    return WEFT_OK;
}

/* ---- on threads ---- */

typedef struct building {
    ground ground;
    builder builders[MOST_THREADS];
    weft_status status[MOST_THREADS];
    weft_error errors[MOST_THREADS];
} building;

static weft_status take_jobs(builder *b) {
    for (size_t i; (i = atomic_fetch_add(&b->g->next_job, 1)) < b->g->jobs.count;)
        WF_TRY(place_below(b, b->g->jobs.list[i]));
    return WEFT_OK;
}

static void build_share(void *arg, int thread, int n_threads) {
    building *x = arg;
    if (thread >= MOST_THREADS)
        return;
    builder own = x->builders[thread]; /* neighbours share cache lines */
    x->status[thread] = take_jobs(&own);
    x->builders[thread] = own;
}

/* The top of the tree, down to subtrees that are small enough to be shared out. */
static weft_status build_top(builder *b, size_t first, size_t n, size_t small) {
    WF_TRY(add_block(b));
    take(b, WF_TRIE_ROOT, WF_TRIE_FREE - 1);
    WF_TRY(push(b, &b->stack, (range){first, n, 0, WF_TRIE_ROOT}));
    while (b->stack.count) {
        range r = b->stack.list[--b->stack.count];
        WF_TRY(r.end - r.first <= small ? push(b, &b->g->jobs, r) : place_children(b, r, &b->stack));
    }
    return WEFT_OK;
}

static weft_status build(building *x, wf_pool *pool, size_t first, size_t n, weft_error *err) {
    enum { JOBS = 16 };
    int threads = pool ? wf_pool_threads(pool) : 1;
    for (int i = 0; i < MOST_THREADS; i++)
        x->builders[i] = builder_new(&x->ground, i == 0 ? err : &x->errors[i]);
    WF_TRY(build_top(&x->builders[0], first, n, pool ? n / ((size_t)threads * JOBS) : n));
    if (!pool)
        return take_jobs(&x->builders[0]);
    wf_pool_run(pool, build_share, x);
    for (int i = 0; i < MOST_THREADS; i++)
        if (x->status[i] != WEFT_OK) {
            if (i > 0 && err)
                *err = x->errors[i];
            return x->status[i];
        }
    return WEFT_OK;
}

static weft_status build_on(const wf_mem *mem, wf_pool *pool, const wf_trie_key *keys, size_t first, size_t n, wf_trie *out,
                            weft_error *err) {
    building *x = wf_calloc(mem, 1, sizeof *x);
    size_t bytes = 0, capacity = 0;
    if (!x)
        return wf_fail_memory(err);
    x->ground = (ground){.mem = mem, .keys = keys, .fixed = pool != NULL};
    for (size_t i = first; pool && i < n; i++)
        bytes += keys[i].length;
    weft_status status = WEFT_OK;
    if (pool) /* no more than one node for each byte, and mostly far less, so that holes have room */
        status = wf_grow_big(mem, (void **)&x->ground.nodes, &x->ground.capacity, bytes + ((size_t)1 << 16),
                             sizeof *x->ground.nodes, err);
    if (status == WEFT_OK)
        status = build(x, pool, first, n, err);
    capacity = atomic_load(&x->ground.used);
    *out = (wf_trie){x->ground.nodes, (uint32_t)capacity};
    for (int i = 0; i < MOST_THREADS; i++)
        wf_free(mem, x->builders[i].stack.list);
    wf_free(mem, x->ground.jobs.list);
    wf_free(mem, x);
    if (status != WEFT_OK)
        wf_trie_free(out, mem);
    return status;
}

weft_status wf_trie_build(const wf_mem *mem, wf_pool *pool, wf_trie_key *keys, size_t n, wf_trie *out, weft_error *err) {
    enum { MANY = 1 << 14 };
    size_t first = 0;
    int parts = 1;
    *out = (wf_trie){0};
    pool = n >= MANY && pool && wf_pool_threads(pool) > 1 ? pool : NULL;
    while (pool && parts * 2 <= wf_pool_threads(pool) && parts < MOST_THREADS)
        parts *= 2;
    wf_trie_key *room = pool ? wf_alloc_big(mem, n * sizeof *room) : keys, *sorted;
    if (!room)
        return wf_fail_memory(err);
    wf_trie_sort(pool, parts, keys, room, n, &sorted);
    while (first < n && sorted[first].length == 0)
        first++;
    weft_status status = build_on(mem, pool, sorted, first, n, out, err);
    if (status == WEFT_FAILURE && pool) /* strings that leave many holes */
        status = build_on(mem, NULL, sorted, first, n, out, err);
    if (pool)
        wf_free_big(mem, room);
    return status;
}

void wf_trie_free(wf_trie *t, const wf_mem *mem) {
    wf_free_big(mem, t->nodes);
    *t = (wf_trie){0};
}
