#include "base/pool.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdbool.h>
#include <string.h>
#if defined(__x86_64__) || defined(__i386__)
#include <xmmintrin.h>
#endif

/* Spins before a yield, and before an idle worker sleeps. A pause takes some 40 to 140 cycles, so a full spin is well under a
 * millisecond; with more threads than processors spinning only keeps others from arriving. */
enum { MAX_THREADS = 256, SPINS = 4000, SPINS_OVERSUBSCRIBED = 8, IDLE_YIELDS = 8, CACHE_LINE = 64 };

typedef struct worker {
    wf_pool *pool;
    pthread_t thread;
    int index;
} worker;

/* What different threads write lies on different cache lines. */
struct wf_pool {
    alignas(CACHE_LINE) atomic_uint generation; /* number of the region; a change starts it */
    atomic_bool quit;
    wf_region_fn fn;
    void *arg;
    alignas(CACHE_LINE) atomic_int running; /* workers still inside the region */
    alignas(CACHE_LINE) atomic_int arrived; /* threads waiting at the barrier */
    alignas(CACHE_LINE) atomic_uint phase;  /* number of the barrier; a change lets them go */
    alignas(CACHE_LINE) atomic_int sleepers;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    const wf_mem *mem;
    worker *workers;
    int n_threads, n_started, spins;
};

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Denormals as zero in inputs and results: they are slow, and every thread must treat them alike for equal bits. */
#if defined(__x86_64__) || defined(__i386__)
typedef unsigned float_mode;
enum { FLUSH_AND_ZERO = 0x8040 };
static float_mode flush_denormals(void) {
    float_mode old = _mm_getcsr();
    _mm_setcsr(old | FLUSH_AND_ZERO);
    return old;
}
static void restore_denormals(float_mode old) {
    _mm_setcsr((_mm_getcsr() & ~(unsigned)FLUSH_AND_ZERO) | (old & FLUSH_AND_ZERO));
}
#elif defined(__aarch64__)
typedef uint64_t float_mode;
static float_mode flush_denormals(void) {
    float_mode old;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" : : "r"(old | (uint64_t)1 << 24));
    return old;
}
static void restore_denormals(float_mode old) { __asm__ volatile("msr fpcr, %0" : : "r"(old)); }
#else
typedef int float_mode;
static float_mode flush_denormals(void) { return 0; }
static void restore_denormals(float_mode old) { (void)old; }
#endif

/* One step of waiting: spin first, then give the processor away. */
static void wait_step(const wf_pool *pool, int *spun) {
    if (*spun < pool->spins) {
        ++*spun;
        relax();
    } else {
        sched_yield();
    }
}

void wf_pool_barrier(wf_pool *pool) {
    unsigned phase = atomic_load_explicit(&pool->phase, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&pool->arrived, 1, memory_order_acq_rel) + 1 == pool->n_threads) {
        atomic_store_explicit(&pool->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&pool->phase, phase + 1, memory_order_release);
        return;
    }
    for (int spun = 0; atomic_load_explicit(&pool->phase, memory_order_acquire) == phase;)
        wait_step(pool, &spun);
}

void wf_pool_lock(wf_pool *pool) { pthread_mutex_lock(&pool->mutex); }
void wf_pool_unlock(wf_pool *pool) { pthread_mutex_unlock(&pool->mutex); }

/* The caller changes the generation and then looks for sleepers; a worker counts itself as a sleeper and then looks at the
 * generation. Both in sequentially consistent order, so one of them always sees the other. */
static void sleep_until_changed(wf_pool *pool, unsigned seen) {
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    while (atomic_load(&pool->generation) == seen)
        pthread_cond_wait(&pool->wake, &pool->mutex);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->mutex);
}

static void wait_for_region(wf_pool *pool, unsigned seen) {
    int steps = 0;
    for (int spun = 0; atomic_load_explicit(&pool->generation, memory_order_acquire) == seen; steps++) {
        if (steps >= pool->spins + IDLE_YIELDS) {
            sleep_until_changed(pool, seen);
            return;
        }
        wait_step(pool, &spun);
    }
}

static void *worker_main(void *arg) {
    worker *self = arg;
    wf_pool *pool = self->pool;
    flush_denormals();
    for (unsigned seen = 0;; seen++) {
        wait_for_region(pool, seen);
        if (atomic_load_explicit(&pool->quit, memory_order_relaxed))
            return NULL;
        pool->fn(pool->arg, self->index, pool->n_threads);
        atomic_fetch_sub_explicit(&pool->running, 1, memory_order_release);
    }
}

static void start_generation(wf_pool *pool) {
    atomic_fetch_add(&pool->generation, 1);
    if (atomic_load(&pool->sleepers) == 0)
        return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}

void wf_pool_run(wf_pool *pool, wf_region_fn fn, void *arg) {
    float_mode old = flush_denormals();
    if (pool->n_threads > 1) {
        pool->fn = fn;
        pool->arg = arg;
        atomic_store_explicit(&pool->running, pool->n_threads - 1, memory_order_relaxed);
        start_generation(pool);
    }
    fn(arg, 0, pool->n_threads);
    for (int spun = 0; atomic_load_explicit(&pool->running, memory_order_acquire) > 0;)
        wait_step(pool, &spun);
    restore_denormals(old);
}

void wf_pool_run_alone(wf_region_fn fn, void *arg) {
    float_mode old = flush_denormals();
    fn(arg, 0, 1);
    restore_denormals(old);
}

/* Signals go to the threads of the program, never to a worker. */
static weft_status start_workers(wf_pool *pool, weft_error *err) {
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int failed = 0;
    for (int i = 1; i < pool->n_threads && !failed; i++) {
        worker *w = &pool->workers[i];
        *w = (worker){.pool = pool, .index = i};
        failed = pthread_create(&w->thread, NULL, worker_main, w);
        if (!failed)
            pool->n_started++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    WF_CHECK(!failed, err, WEFT_FAILURE, "cannot start thread %d of %d", pool->n_started + 2, pool->n_threads);
    return WEFT_OK;
}

weft_status wf_pool_create(const wf_mem *mem, int n_threads, wf_pool **out, weft_error *err) {
    *out = NULL;
    WF_CHECK(n_threads >= 1 && n_threads <= MAX_THREADS, err, WEFT_USAGE, "threads must be 1 to %d, not %d", (int)MAX_THREADS,
             n_threads);
    wf_pool *pool = wf_alloc_big(mem, sizeof *pool);
    if (!pool)
        return wf_fail_memory(err);
    pool->mem = mem;
    pool->n_threads = n_threads;
    pool->spins = n_threads > wf_cpu_count() ? SPINS_OVERSUBSCRIBED : SPINS;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->workers = wf_calloc(mem, (size_t)n_threads, sizeof(worker));
    weft_status status = pool->workers ? start_workers(pool, err) : wf_fail_memory(err);
    if (status != WEFT_OK) {
        wf_pool_free(pool);
        return status;
    }
    *out = pool;
    return WEFT_OK;
}

void wf_pool_free(wf_pool *pool) {
    if (!pool)
        return;
    atomic_store_explicit(&pool->quit, true, memory_order_relaxed);
    start_generation(pool);
    for (int i = 1; i <= pool->n_started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    wf_free(pool->mem, pool->workers);
    wf_free_big(pool->mem, pool);
}

int wf_pool_threads(const wf_pool *pool) { return pool->n_threads; }
