/* matcher.c - the automaton of Aho and Corasick with the failure links that make matches leftmost: a state whose path contains
 * a match from its very start has no failure link (DEAD), because anything found after failing would begin later. */
#include "text/matcher.h"

#include <string.h>

enum { ROOT = 0 };
#define DEAD UINT32_MAX

typedef struct node {
    uint32_t first_child, next_sibling; /* 0 = none: the root is nobody's child */
    uint32_t fail;
    uint32_t match; /* pattern + 1 that ends here, the longest of the leftmost */
    uint8_t byte;
    bool from_start; /* a pattern is a prefix of the path to this node */
} node;

struct wf_matcher {
    node *nodes;
    uint32_t n_nodes;
    size_t *lengths; /* of the patterns */
    uint32_t root[256];
    int only_first; /* the byte every pattern begins with, -1 when they differ */
};

static uint32_t child_of(const wf_matcher *m, uint32_t at, uint8_t byte) {
    if (at == ROOT)
        return m->root[byte];
    uint32_t c = m->nodes[at].first_child;
    while (c && m->nodes[c].byte != byte)
        c = m->nodes[c].next_sibling;
    return c;
}

static uint32_t add_child(wf_matcher *m, uint32_t at, uint8_t byte) {
    uint32_t c = m->n_nodes++;
    m->nodes[c].byte = byte;
    m->nodes[c].next_sibling = m->nodes[at].first_child;
    m->nodes[at].first_child = c;
    if (at == ROOT)
        m->root[byte] = c;
    return c;
}

static void add_pattern(wf_matcher *m, const wf_pattern *p, uint32_t number) {
    uint32_t at = ROOT;
    for (size_t i = 0; i < p->length; i++) {
        uint32_t c = child_of(m, at, (uint8_t)p->text[i]);
        at = c ? c : add_child(m, at, (uint8_t)p->text[i]);
    }
    if (at != ROOT && m->nodes[at].match == 0)
        m->nodes[at].match = number + 1;
}

static uint32_t failure(const wf_matcher *m, uint32_t parent, uint8_t byte) {
    if (parent == ROOT)
        return ROOT;
    for (uint32_t f = m->nodes[parent].fail; f != DEAD; f = m->nodes[f].fail) {
        uint32_t c = child_of(m, f, byte);
        if (c || f == ROOT)
            return c;
    }
    return DEAD;
}

/* Breadth first, so that shorter paths are finished before longer ones ask for them. */
static void link_failures(wf_matcher *m, uint32_t *queue) {
    size_t head = 0, tail = 0;
    queue[tail++] = ROOT;
    m->nodes[ROOT].fail = ROOT;
    while (head < tail) {
        uint32_t parent = queue[head++];
        for (uint32_t c = m->nodes[parent].first_child; c; c = m->nodes[c].next_sibling) {
            node *n = &m->nodes[c];
            n->from_start = m->nodes[parent].from_start || n->match != 0;
            n->fail = n->from_start ? DEAD : failure(m, parent, n->byte);
            if (n->match == 0 && n->fail != DEAD)
                n->match = m->nodes[n->fail].match;
            queue[tail++] = c;
        }
    }
}

static int common_first(const wf_matcher *m) {
    int only = -1;
    for (int b = 0; b < 256; b++)
        if (m->root[b]) {
            if (only >= 0)
                return -1;
            only = b;
        }
    return only;
}

weft_status wf_matcher_create(wf_arena *arena, const wf_pattern *patterns, size_t n, wf_matcher **out, weft_error *err) {
    size_t total = 1;
    for (size_t i = 0; i < n; i++)
        total += patterns[i].length;
    WF_CHECK(total < UINT32_MAX / 2 && n < UINT32_MAX / 2, err, WEFT_BAD_INPUT, "too many strings to match");
    wf_matcher *m = wf_arena_alloc(arena, sizeof *m);
    uint32_t *queue = wf_arena_alloc(arena, total * sizeof *queue);
    if (!m || !queue)
        return wf_fail_memory(err);
    m->nodes = wf_arena_alloc(arena, total * sizeof *m->nodes);
    m->lengths = wf_arena_alloc(arena, n * sizeof *m->lengths);
    if (!m->nodes || !m->lengths)
        return wf_fail_memory(err);
    m->n_nodes = 1;
    for (size_t i = 0; i < n; i++) {
        m->lengths[i] = patterns[i].length;
        add_pattern(m, &patterns[i], (uint32_t)i);
    }
    link_failures(m, queue);
    m->only_first = common_first(m);
    *out = m;
    return WEFT_OK;
}

/* Where a match may begin at `at` or later; n when nowhere. */
static size_t skip(const wf_matcher *m, const uint8_t *text, size_t n, size_t at) {
    if (m->only_first >= 0) {
        const uint8_t *hit = at < n ? memchr(text + at, m->only_first, n - at) : NULL;
        return hit ? (size_t)(hit - text) : n;
    }
    while (at < n && m->root[text[at]] == 0)
        at++;
    return at;
}

/* The state after `byte`; DEAD when only an earlier match remains. */
static uint32_t step(const wf_matcher *m, uint32_t at, uint8_t byte) {
    for (;;) {
        uint32_t c = child_of(m, at, byte);
        if (c || at == ROOT)
            return c;
        at = m->nodes[at].fail;
        if (at == DEAD)
            return DEAD;
    }
}

bool wf_matcher_find(const wf_matcher *m, const uint8_t *text, size_t n, size_t from, wf_match *out) {
    uint32_t at = ROOT;
    bool found = false;
    for (size_t i = from; i < n; i++) {
        if (at == ROOT && !found) {
            i = skip(m, text, n, i);
            if (i == n)
                break;
        }
        at = step(m, at, text[i]);
        if (at == DEAD)
            break;
        if (m->nodes[at].match) {
            size_t pattern = m->nodes[at].match - 1;
            *out = (wf_match){i + 1 - m->lengths[pattern], i + 1, pattern};
            found = true;
        }
    }
    return found;
}
