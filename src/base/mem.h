/* mem.h - the allocator hook and arenas. All memory of weft passes through a wf_mem, so that a test can fail the n-th
 * allocation and count leaks. Thread rule: the hook must be thread-safe; an arena belongs to one thread. */
#ifndef WF_BASE_MEM_H
#define WF_BASE_MEM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

typedef struct wf_mem {
    void *(*resize)(void *user, void *block, size_t size); /* like realloc; block NULL allocates; NULL on failure */
    void (*release)(void *user, void *block);              /* like free; NULL is fine */
    void *user;
} wf_mem;

extern const wf_mem wf_mem_default; /* realloc and free */

void *wf_alloc(const wf_mem *mem, size_t size);                /* NULL on failure or size 0 */
void *wf_calloc(const wf_mem *mem, size_t count, size_t size); /* zeroed, overflow checked */
void *wf_resize(const wf_mem *mem, void *block, size_t size);
void wf_free(const wf_mem *mem, void *block);
char *wf_strdup(const wf_mem *mem, const char *text);
char *wf_strndup(const wf_mem *mem, const char *text, size_t length);
/* Zeroed memory for tensors, aligned to 64 bytes (2 MiB with huge pages advised from 2 MiB up). Free with wf_free_big. */
void *wf_alloc_big(const wf_mem *mem, size_t size);
void wf_free_big(const wf_mem *mem, void *block);
/* Advises huge pages for what lies in a block of any other origin, before it is written. */
void wf_advise_big(void *block, size_t size);
/* Bytes of this machine's memory, 0 when unknown. What cannot fit is refused with a message before anything is allocated: the
 * system would hand it out and end the program later. */
double wf_memory_total(void);
weft_status wf_memory_check(double bytes, const char *what, weft_error *err);

/* Grows `*array` (of `size` bytes each, capacity `*capacity`) to hold at least `need`; doubles. The new tail is not zeroed. */
weft_status wf_grow(const wf_mem *mem, void **array, size_t *capacity, size_t need, size_t size, weft_error *err);

/* The same in memory of wf_alloc_big: for what is filled once, after a guess of its size, for growing copies. */
weft_status wf_grow_big(const wf_mem *mem, void **array, size_t *capacity, size_t need, size_t size, weft_error *err);

/* An arena: many small blocks of one lifetime. Memory is zeroed and aligned to 16 bytes. */
typedef struct wf_arena_block wf_arena_block;
typedef struct wf_arena {
    const wf_mem *mem;
    wf_arena_block *blocks;
    size_t used, limit; /* bytes handed out; 0 = no limit */
    bool failed;        /* some allocation failed: what was built from it may lack parts */
} wf_arena;

void wf_arena_init(wf_arena *arena, const wf_mem *mem, size_t limit);
void *wf_arena_alloc(wf_arena *arena, size_t size); /* NULL on failure or over the limit; size 0 gives a valid pointer */
char *wf_arena_strndup(wf_arena *arena, const char *text, size_t length);
char *wf_arena_strdup(wf_arena *arena, const char *text);
char *wf_arena_printf(wf_arena *arena, const char *fmt, ...) WF_PRINTF(2, 3);
void wf_arena_join(wf_arena *arena, wf_arena *other); /* takes over what the other one, of the same memory, holds */
void wf_arena_free(wf_arena *arena);                  /* releases everything; the arena may be used again */
#endif
