#include "base/mem.h"
#include "base/checked.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

enum { BIG_ALIGNMENT = 64, HUGE_PAGE = 2 << 20 };

static void *default_resize(void *user, void *block, size_t size) { return realloc(block, size); }
static void default_release(void *user, void *block) { free(block); }

const wf_mem wf_mem_default = {default_resize, default_release, NULL};

void *wf_alloc(const wf_mem *mem, size_t size) { return size ? mem->resize(mem->user, NULL, size) : NULL; }

void *wf_calloc(const wf_mem *mem, size_t count, size_t size) {
    size_t total;
    if (!wf_mul_size(count, size, &total))
        return NULL;
    void *block = wf_alloc(mem, total);
    if (block)
        memset(block, 0, total);
    return block;
}

/* realloc(block, 0) may free the block and return NULL, which looks like a failure: never ask for it. */
void *wf_resize(const wf_mem *mem, void *block, size_t size) { return mem->resize(mem->user, block, size ? size : 1); }

void wf_free(const wf_mem *mem, void *block) {
    if (block)
        mem->release(mem->user, block);
}

char *wf_strndup(const wf_mem *mem, const char *text, size_t length) {
    if (length == SIZE_MAX)
        return NULL;
    char *copy = wf_alloc(mem, length + 1);
    if (!copy)
        return NULL;
    if (length)
        memcpy(copy, text, length);
    copy[length] = 0;
    return copy;
}

char *wf_strdup(const wf_mem *mem, const char *text) { return wf_strndup(mem, text, strlen(text)); }

/* The C library hands out fresh pages already zeroed; only a foreign allocator needs the pages to be touched. */
static void *alloc_zeroed(const wf_mem *mem, size_t size) {
    return mem->resize == default_resize ? calloc(1, size) : wf_calloc(mem, 1, size);
}

void wf_advise_big(void *block, size_t size) {
#if defined(MADV_HUGEPAGE)
    uintptr_t skipped = (HUGE_PAGE - (uintptr_t)block % HUGE_PAGE) % HUGE_PAGE;
    if (size >= skipped + HUGE_PAGE)
        (void)madvise((unsigned char *)block + skipped, (size - skipped) / HUGE_PAGE * HUGE_PAGE,
                      MADV_HUGEPAGE); /* advice: refusing it is fine */
#else
    (void)block;
    (void)size;
#endif
}

/* The block the hook gave is remembered just below the aligned address. */
void *wf_alloc_big(const wf_mem *mem, size_t size) {
    size_t alignment = size >= HUGE_PAGE ? HUGE_PAGE : BIG_ALIGNMENT, total;
    if (size == 0 || !wf_add_size(size, alignment + sizeof(void *), &total))
        return NULL;
    unsigned char *block = alloc_zeroed(mem, total);
    if (!block)
        return NULL;
    uintptr_t at = (uintptr_t)block + sizeof(void *);
    at = (at + alignment - 1) / alignment * alignment;
    unsigned char *aligned = block + (at - (uintptr_t)block);
    if (alignment == HUGE_PAGE)
        wf_advise_big(aligned, total - (size_t)(aligned - block));
    memcpy(aligned - sizeof(void *), &block, sizeof(void *));
    return aligned;
}

void wf_free_big(const wf_mem *mem, void *block) {
    if (!block)
        return;
    void *original;
    memcpy(&original, (unsigned char *)block - sizeof(void *), sizeof original);
    wf_free(mem, original);
}

static size_t grown_capacity(size_t capacity, size_t need) {
    size_t wanted = capacity > SIZE_MAX / 2 ? need : capacity * 2;
    wanted = wanted < 8 ? 8 : wanted;
    return wanted < need ? need : wanted;
}

weft_status wf_grow_big(const wf_mem *mem, void **array, size_t *capacity, size_t need, size_t size, weft_error *err) {
    if (need <= *capacity)
        return WEFT_OK;
    size_t wanted = grown_capacity(*capacity, need), bytes;
    void *grown = wf_mul_size(wanted, size, &bytes) ? wf_alloc_big(mem, bytes) : NULL;
    if (!grown)
        return wf_fail_memory(err);
    if (*array)
        memcpy(grown, *array, *capacity * size);
    wf_free_big(mem, *array);
    *array = grown;
    *capacity = wanted;
    return WEFT_OK;
}

weft_status wf_grow(const wf_mem *mem, void **array, size_t *capacity, size_t need, size_t size, weft_error *err) {
    if (need <= *capacity)
        return WEFT_OK;
    size_t wanted = grown_capacity(*capacity, need), bytes;
    if (!wf_mul_size(wanted, size, &bytes))
        return wf_fail_memory(err);
    void *grown = wf_resize(mem, *array, bytes);
    if (!grown)
        return wf_fail_memory(err);
    *array = grown;
    *capacity = wanted;
    return WEFT_OK;
}

double wf_memory_total(void) {
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
    return pages > 0 && page > 0 ? (double)pages * (double)page : 0.0;
}

weft_status wf_memory_check(double bytes, const char *what, weft_error *err) {
    double total = wf_memory_total();
    WF_CHECK(total == 0.0 || bytes <= total, err, WEFT_NO_MEMORY, "%s needs %.3g GB of memory, this machine has %.3g GB", what,
             bytes / 1e9, total / 1e9);
    return WEFT_OK;
}
