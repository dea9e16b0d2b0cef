/* pool.h - the thread pool, the only owner of threads. One region runs a function on every thread; inside it threads meet at
 * barriers. Threads spin briefly and then yield, so more threads than cores is slow but works. Denormals are flushed on every
 * thread of a region (restored on the caller after it).
 * Thread rule: a pool is used by one caller at a time; regions do not nest. */
#ifndef WF_BASE_POOL_H
#define WF_BASE_POOL_H
#include <stdatomic.h>
#include "base/mem.h"

typedef struct wf_pool wf_pool;
typedef void (*wf_region_fn)(void *arg, int thread, int n_threads);

weft_status wf_pool_create(const wf_mem *mem, int n_threads, wf_pool **out, weft_error *err); /* n_threads in 1..256 */
void wf_pool_free(wf_pool *pool);
int wf_pool_threads(const wf_pool *pool);
/* Runs fn(arg, i, n) on all n threads, the caller being thread 0; returns when all have returned. */
void wf_pool_run(wf_pool *pool, wf_region_fn fn, void *arg);
/* Runs fn(arg, 0, 1) on the caller alone, with the same treatment of denormals: for work too small to share. No barriers
 * inside. */
void wf_pool_run_alone(wf_region_fn fn, void *arg);
/* Waits until every thread of the running region is here. Cost: a few hundred ns when every thread has a core. */
void wf_pool_barrier(wf_pool *pool);
/* One thread of the running region at a time is between these. */
void wf_pool_lock(wf_pool *pool);
void wf_pool_unlock(wf_pool *pool);
/* Number of processors this process may run on (affinity mask and cgroup quota respected), at least 1. */
int wf_cpu_count(void);
#endif
