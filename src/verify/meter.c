#include "verify/meter.h"
#include <string.h>

enum { HEAD = 16 }; /* in front of every block: its size, keeping the alignment */

static size_t size_of(const void *block) {
    size_t size = 0;
    if (block)
        memcpy(&size, (const char *)block - HEAD, sizeof size);
    return size;
}

static bool reserve(wf_meter *m, size_t more) {
    size_t used = atomic_fetch_add(&m->used, more) + more, most = atomic_load(&m->most);
    if (used > m->limit) {
        atomic_fetch_sub(&m->used, more);
        atomic_store(&m->refused, true);
        return false;
    }
    while (used > most && !atomic_compare_exchange_weak(&m->most, &most, used))
        ;
    return true;
}

static void *resize(void *user, void *block, size_t size) {
    wf_meter *m = user;
    size_t old = size_of(block), grown = size > old ? size - old : 0;
    if (size > SIZE_MAX - HEAD || !reserve(m, grown))
        return NULL;
    char *head = m->under->resize(m->under->user, block ? (char *)block - HEAD : NULL, size + HEAD);
    if (!head) {
        atomic_fetch_sub(&m->used, grown);
        return NULL;
    }
    if (size < old)
        atomic_fetch_sub(&m->used, old - size);
    memcpy(head, &size, sizeof size);
    return head + HEAD;
}

static void release(void *user, void *block) {
    wf_meter *m = user;
    if (!block)
        return;
    atomic_fetch_sub(&m->used, size_of(block));
    m->under->release(m->under->user, (char *)block - HEAD);
}

wf_mem wf_meter_hook(wf_meter *m, const wf_mem *under, size_t limit) {
    m->under = under;
    m->limit = limit;
    atomic_init(&m->used, 0);
    atomic_init(&m->most, 0);
    atomic_init(&m->refused, false);
    return (wf_mem){resize, release, m};
}
