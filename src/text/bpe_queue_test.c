/* bpe_queue_test.c - the queue of pairs against a plain search for the smallest, with newcomers of every rank. */
#include <stdlib.h>

#include "base/rng.h"
#include "support/test.h"
#include "text/bpe_queue.h"

enum { MOST = 4096 };

typedef struct plain {
    uint64_t list[MOST];
    size_t count;
} plain;

static uint32_t draw(uint32_t n) {
    static uint64_t drawn;
    return (uint32_t)wf_rng_below(wf_rng_make(7, 1, 0), drawn++, n);
}

static void put(wf_bpe_queue *q, plain *p, uint32_t rank, uint32_t position) {
    assert_int_equal(wf_bpe_queue_put(q, &wf_mem_default, rank, position, NULL), WEFT_OK);
    p->list[p->count++] = (uint64_t)rank << 32 | position;
}

static uint64_t smallest(plain *p) {
    size_t best = 0;
    for (size_t i = 1; i < p->count; i++)
        best = p->list[i] < p->list[best] ? i : best;
    uint64_t x = p->list[best];
    p->list[best] = p->list[--p->count];
    return x;
}

/* Takes `takes` entries; every second one puts two more, of ranks that `low` lets be lower than its own. */
static void run(wf_bpe_queue *q, uint32_t ranks, size_t takes, bool low) {
    static plain p;
    p.count = 0;
    assert_int_equal(wf_bpe_queue_begin(q, &wf_mem_default, ranks, NULL), WEFT_OK);
    for (uint32_t i = 0; i < 300; i++)
        put(q, &p, draw(ranks), i);
    for (size_t i = 0; i < takes; i++) {
        uint32_t rank, position;
        bool some;
        assert_int_equal(wf_bpe_queue_take(q, &wf_mem_default, &rank, &position, &some, NULL), WEFT_OK);
        assert_int_equal(some, p.count > 0);
        if (!some)
            return;
        assert_true(((uint64_t)rank << 32 | position) == smallest(&p));
        for (int k = 0; k < 2 && i % 2 && p.count < MOST; k++) {
            uint32_t from = low ? 0 : rank;
            put(q, &p, from + draw(ranks - from), draw(1000));
        }
    }
}

static void test_order(void **state) {
    static const uint32_t ranks[] = {1, 2, 63, 64, 65, 1000, 5000, 300000};
    wf_bpe_queue q = {.lasts = NULL};
    for (int round = 0; round < 40; round++)
        for (size_t i = 0; i < COUNT_OF(ranks); i++)
            run(&q, ranks[i], round % 4 ? 900 : 30, round % 2); /* some words are given up */
    wf_bpe_queue_free(&q, &wf_mem_default);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
