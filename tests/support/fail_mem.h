/* fail_mem.h - a wf_mem that fails the n-th allocation and counts live blocks, to walk every out-of-memory path of a function:
 *
 *     fail_mem f = {0};
 *     while (fail_mem_next(&f)) {
 *         wf_mem mem = fail_mem_hook(&f);
 *         weft_status status = thing_create(&mem, &thing, &err);
 *         assert_int_equal(status, f.fired ? WEFT_NO_MEMORY : WEFT_OK);
 *         if (status == WEFT_OK)
 *             thing_free(thing);
 *         assert_int_equal(f.live, 0);
 *     }
 *
 * Round n fails the n-th allocation; the loop ends after the first round in which nothing failed. With fail_at left 0 and no
 * loop it only counts. Thread-safe. */
#ifndef WF_TESTS_FAIL_MEM_H
#define WF_TESTS_FAIL_MEM_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include "base/mem.h"

typedef struct fail_mem {
    atomic_long live;    /* blocks not yet released */
    atomic_long calls;   /* allocations and growths asked for in this round */
    atomic_long fail_at; /* the call that fails, from 1; 0 for none */
    atomic_bool fired;   /* it has failed in this round */
    bool started;
} fail_mem;

static inline void *fail_mem_resize(void *user, void *block, size_t size) {
    fail_mem *f = user;
    if (atomic_fetch_add(&f->calls, 1) + 1 == atomic_load(&f->fail_at)) {
        atomic_store(&f->fired, true);
        return NULL;
    }
    if (size > PTRDIFF_MAX) /* malloc refuses it too, but a sanitizer would stop the test */
        return NULL;
    void *grown = realloc(block, size);
    if (grown && !block)
        atomic_fetch_add(&f->live, 1);
    return grown;
}

static inline void fail_mem_release(void *user, void *block) {
    fail_mem *f = user;
    if (block)
        atomic_fetch_sub(&f->live, 1);
    free(block);
}

static inline wf_mem fail_mem_hook(fail_mem *f) { return (wf_mem){fail_mem_resize, fail_mem_release, f}; }

static inline bool fail_mem_next(fail_mem *f) {
    if (f->started && !atomic_load(&f->fired))
        return false;
    f->started = true;
    atomic_fetch_add(&f->fail_at, 1);
    atomic_store(&f->calls, 0);
    atomic_store(&f->fired, false);
    return true;
}
#endif
