/* trie.c - building the double array: the children of a node go to the first base where all of them fit. Nodes are handed out
 * in blocks of 256, in which all children of a node lie, so that threads may build subtrees beside each other. Which nodes of a
 * block are free is a set of bits: the bases where several children fit are found all at once. */
#include "text/trie.h"

#include <stdatomic.h>
#include <string.h>

#include "text/trie_keys.h"

enum { BLOCK = 256, WORDS = BLOCK / 64, OPEN = 4, MOST_THREADS = 8 };

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

typedef struct block { /* of nodes that one thread gives away */
    uint32_t from;
    uint64_t free[WORDS]; /* a bit for each */
    size_t beyond;        /* as many children as did not fit once */
} block;

typedef struct builder { /* a thread's own */
    ground *g;
    block open[OPEN]; /* where room for several children is sought, the oldest first */
    int n_open;
    block *holes; /* what is left of older ones, for only children */
    size_t n_holes, holes_capacity;
    ranges stack;
    uint8_t bytes[BLOCK]; /* of the children of the node at hand, and where their keys begin */
    size_t begins[BLOCK + 1];
    weft_error *err;
} builder;

static weft_status push(builder *b, ranges *list, range r) {
    WF_TRY(wf_grow(b->g->mem, (void **)&list->list, &list->capacity, list->count + 1, sizeof r, b->err));
    list->list[list->count++] = r;
    return WEFT_OK;
}

static bool has_room(const block *x) { return (x->free[0] | x->free[1] | x->free[2] | x->free[3]) != 0; }

/* One more open block, for which the oldest makes room. */
static weft_status add_block(builder *b) {
    ground *g = b->g;
    size_t at = atomic_fetch_add(&g->used, BLOCK);
    WF_CHECK(at + BLOCK < UINT32_MAX / 2, b->err, WEFT_BAD_INPUT, "too many strings");
    if (at + BLOCK > g->capacity) {
        WF_CHECK(!g->fixed, b->err, WEFT_FAILURE, "more nodes than expected");
        WF_TRY(wf_grow_big(g->mem, (void **)&g->nodes, &g->capacity, at + BLOCK, sizeof *g->nodes, b->err));
    }
    memset(&g->nodes[at], 0xFF, BLOCK * sizeof *g->nodes); /* WF_TRIE_FREE */
    if (b->n_open == OPEN) {
        WF_TRY(wf_grow(g->mem, (void **)&b->holes, &b->holes_capacity, b->n_holes + 1, sizeof *b->holes, b->err));
        b->holes[b->n_holes++] = b->open[0];
        memmove(b->open, b->open + 1, --b->n_open * sizeof *b->open);
    }
    b->open[b->n_open++] = (block){(uint32_t)at, {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}, BLOCK + 1};
    return WEFT_OK;
}

static void take(builder *b, block *x, uint32_t node, uint32_t parent) {
    uint32_t place = node - x->from;
    x->free[place / 64] &= ~((uint64_t)1 << place % 64);
    b->g->nodes[node] = (wf_trie_node){0, parent, WF_TRIE_NONE};
}

/* Keeps of `fits` the bases whose child for the byte is free: bit i ^ byte of the free ones becomes bit i. */
static inline void keep_fitting(const block *x, uint8_t byte, block *fits) {
    static const uint64_t even[] = {0x5555555555555555u, 0x3333333333333333u, 0x0F0F0F0F0F0F0F0Fu,
                                    0x00FF00FF00FF00FFu, 0x0000FFFF0000FFFFu, 0x00000000FFFFFFFFu};
    uint64_t turned[WORDS];
    for (unsigned i = 0; i < WORDS; i++)
        turned[i] = x->free[i ^ byte / 64u];
    for (unsigned k = 0; k < 6; k++)
        for (unsigned i = 0; byte >> k & 1 && i < WORDS; i++)
            turned[i] = (turned[i] & even[k]) << (1u << k) | (turned[i] >> (1u << k) & even[k]);
    for (unsigned i = 0; i < WORDS; i++)
        fits->free[i] &= turned[i];
}

static uint32_t lowest(const block *x) {
    uint32_t word = 0;
    while (!x->free[word])
        word++;
    return word * 64 + (uint32_t)__builtin_ctzll(x->free[word]);
}

/* The lowest base in the block where all children are free. */
static bool find_fit(const block *x, const uint8_t *bytes, size_t n, uint32_t *base) {
    block fits = {x->from, {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}, 0};
    for (size_t i = 0; i < n && has_room(&fits); i++)
        keep_fitting(x, bytes[i], &fits);
    if (!has_room(&fits))
        return false;
    *base = x->from + lowest(&fits);
    return true;
}

/* Any free node is the place of an only child. */
static weft_status find_hole(builder *b, uint8_t byte, uint32_t *base, block **where) {
    while (b->n_holes && !has_room(&b->holes[b->n_holes - 1]))
        b->n_holes--;
    *where = b->n_holes ? &b->holes[b->n_holes - 1] : NULL;
    for (int i = 0; i < b->n_open && !*where; i++)
        *where = has_room(&b->open[i]) ? &b->open[i] : NULL;
    if (!*where) {
        WF_TRY(add_block(b));
        *where = &b->open[b->n_open - 1];
    }
    *base = ((*where)->from + lowest(*where)) ^ byte;
    return WEFT_OK;
}

static weft_status find_base(builder *b, const uint8_t *bytes, size_t n, uint32_t *base, block **where) {
    if (n == 1)
        return find_hole(b, bytes[0], base, where);
    for (int i = 0; i < b->n_open; i++) {
        *where = &b->open[i];
        if (n < (*where)->beyond && find_fit(*where, bytes, n, base))
            return WEFT_OK;
        (*where)->beyond = n < (*where)->beyond ? n : (*where)->beyond;
    }
    WF_TRY(add_block(b));
    *where = &b->open[b->n_open - 1];
    *base = (*where)->from;
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
        block *where;
        WF_TRY(find_hole(b, byte, &base, &where));
        b->g->nodes[node].base = base;
        take(b, where, base ^ byte, node);
        node = base ^ byte;
    }
    b->g->nodes[node].value = k->value;
    return WEFT_OK;
}

/* Where the keys from `i` on with the same byte end: leaps, then halves. */
static size_t run_end(const wf_trie_key *keys, size_t i, size_t end, uint32_t depth) {
    uint8_t byte = byte_at(&keys[i], depth);
    size_t step = 1, high;
    while (i + step < end && byte_at(&keys[i + step], depth) == byte) {
        i += step;
        step *= 2;
    }
    high = i + step < end ? i + step : end;
    while (i + 1 < high) {
        size_t middle = i + (high - i) / 2;
        if (byte_at(&keys[middle], depth) == byte)
            i = middle;
        else
            high = middle;
    }
    return high;
}

/* The children of a node; the ranges of keys below them go to `below`. */
static weft_status place_children(builder *b, range r, ranges *below) {
    const wf_trie_key *keys = b->g->keys;
    uint8_t *bytes = b->bytes;
    size_t *begins = b->begins, n = 0;
    uint32_t base;
    block *where;
    if (r.end - r.first == 1)
        return place_tail(b, &keys[r.first], r.depth, r.node);
    for (; r.first < r.end && keys[r.first].length == r.depth; r.first++)
        b->g->nodes[r.node].value = keys[r.first].value;
    for (size_t i = r.first; i < r.end; n++) {
        begins[n] = i;
        bytes[n] = byte_at(&keys[i], r.depth);
        i = run_end(keys, i, r.end, r.depth);
    }
    if (n == 0)
        return WEFT_OK;
    begins[n] = r.end;
    WF_TRY(find_base(b, bytes, n, &base, &where));
    b->g->nodes[r.node].base = base;
    for (size_t i = 0; i < n; i++) {
        take(b, where, base ^ bytes[i], r.node);
        __builtin_prefetch(keys[begins[i]].text + sizeof keys->head);
    }
    for (size_t i = 0; i < n; i++) {
        range child = {begins[i], begins[i + 1], r.depth + 1, base ^ bytes[i]};
        if (child.end - child.first == 1)
            WF_TRY(place_tail(b, &keys[child.first], child.depth, child.node));
        else
            WF_TRY(push(b, below, child));
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
    take(b, &b->open[0], WF_TRIE_ROOT, WF_TRIE_FREE - 1);
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
        x->builders[i] = (builder){.g = &x->ground, .err = i == 0 ? err : &x->errors[i]};
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
    for (int i = 0; i < MOST_THREADS; i++) {
        wf_free(mem, x->builders[i].stack.list);
        wf_free(mem, x->builders[i].holes);
    }
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
