#include "support/test.h"
#include "support/fail_mem.h"
#include "base/env.h"
#include "base/pool.h"
#include <float.h>
#include <time.h>

static const int sizes[] = {1, 2, 3, 4, 8};

typedef struct marks {
    wf_pool *pool;
    atomic_int visits[256];
    int plain[256]; /* not atomic: what barriers and regions must order */
    int rounds;
    atomic_int wrong;
} marks;

static void visit(void *arg, int thread, int n_threads) {
    marks *m = arg;
    atomic_fetch_add(&m->visits[thread], 1);
    if (n_threads != wf_pool_threads(m->pool))
        atomic_fetch_add(&m->wrong, 1);
    m->plain[thread]++;
}

static void test_every_thread_runs_once(void **state) {
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        marks m = {0};
        assert_int_equal(wf_pool_create(&wf_mem_default, sizes[s], &m.pool, NULL), WEFT_OK);
        assert_int_equal(wf_pool_threads(m.pool), sizes[s]);
        for (int i = 0; i < 200; i++)
            wf_pool_run(m.pool, visit, &m);
        wf_pool_free(m.pool);
        assert_int_equal(m.wrong, 0);
        for (int t = 0; t < 256; t++) {
            assert_int_equal(m.visits[t], t < sizes[s] ? 200 : 0);
            assert_int_equal(m.plain[t], m.visits[t]);
        }
    }
}

/* Each round every thread writes its slot, and after the barrier reads everyone's. */
static void meet(void *arg, int thread, int n_threads) {
    marks *m = arg;
    for (int round = 1; round <= m->rounds; round++) {
        m->plain[thread] = round;
        wf_pool_barrier(m->pool);
        for (int t = 0; t < n_threads; t++)
            if (m->plain[t] != round)
                atomic_fetch_add(&m->wrong, 1);
        wf_pool_barrier(m->pool);
    }
}

static void test_barrier(void **state) {
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        marks m = {.rounds = 300};
        assert_int_equal(wf_pool_create(&wf_mem_default, sizes[s], &m.pool, NULL), WEFT_OK);
        wf_pool_run(m.pool, meet, &m);
        wf_pool_run(m.pool, meet, &m);
        wf_pool_free(m.pool);
        assert_int_equal(m.wrong, 0);
    }
}

/* Workers that went to sleep wake up for the next region. */
static void test_sleeping_workers_wake(void **state) {
    marks m = {0};
    assert_int_equal(wf_pool_create(&wf_mem_default, 4, &m.pool, NULL), WEFT_OK);
    for (int i = 0; i < 5; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        wf_pool_run(m.pool, visit, &m);
    }
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    wf_pool_free(m.pool);
    assert_int_equal(m.visits[3], 5);
}

/* An idle pool uses no processor time: its workers sleep. */
static void test_idle_pool_is_quiet(void **state) {
    wf_pool *pool;
    assert_int_equal(wf_pool_create(&wf_mem_default, 4, &pool, NULL), WEFT_OK);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    clock_t before = clock();
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    assert_true((double)(clock() - before) / CLOCKS_PER_SEC < 0.05);
    wf_pool_free(pool);
}

#if defined(__x86_64__) || defined(__aarch64__)
static volatile float tiny = FLT_MIN;

static void halve(void *arg, int thread, int n_threads) {
    marks *m = arg;
    volatile float half = tiny * 0.5f;
    m->plain[thread] = half == 0;
}

static void test_denormals_are_flushed(void **state) {
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        marks m = {0};
        assert_int_equal(wf_pool_create(&wf_mem_default, sizes[s], &m.pool, NULL), WEFT_OK);
        wf_pool_run(m.pool, halve, &m);
        for (int t = 0; t < sizes[s]; t++)
            assert_int_equal(m.plain[t], 1);
        wf_pool_free(m.pool);
        volatile float half = tiny * 0.5f;
        assert_true(half != 0); /* the caller has its own mode back */
    }
}
#else
static void test_denormals_are_flushed(void **state) {}
#endif

static void test_bad_arguments(void **state) {
    static const int bad[] = {0, -1, 257};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        wf_pool *pool;
        weft_error err = {0};
        assert_int_equal(wf_pool_create(&wf_mem_default, bad[i], &pool, &err), WEFT_USAGE);
        assert_null(pool);
        assert_true(err.message[0] != 0);
    }
    wf_pool_free(NULL);
}

static void test_memory_failures(void **state) {
    fail_mem f = {0};
    while (fail_mem_next(&f)) {
        wf_mem mem = fail_mem_hook(&f);
        wf_pool *pool;
        weft_status status = wf_pool_create(&mem, 3, &pool, NULL);
        assert_int_equal(status, f.fired ? WEFT_NO_MEMORY : WEFT_OK);
        wf_pool_free(pool);
        assert_int_equal(f.live, 0);
    }
}

static void test_cpu_count(void **state) { assert_in_range(wf_cpu_count(), 1, 65536); }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_thread_runs_once), cmocka_unit_test(test_barrier),
        cmocka_unit_test(test_sleeping_workers_wake),  cmocka_unit_test(test_idle_pool_is_quiet),
        cmocka_unit_test(test_denormals_are_flushed),  cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_memory_failures),        cmocka_unit_test(test_cpu_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
