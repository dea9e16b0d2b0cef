#include "base/checked.h"
#include "base/mem.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Blocks double, so a tiny document costs little and a large one few calls. */
enum { ALIGNMENT = 16, FIRST_BLOCK = 2048, LARGEST_BLOCK = 1 << 20 };

struct wf_arena_block {
    wf_arena_block *next;
    size_t size, used;
    size_t padding; /* keeps the payload on a 16-byte boundary */
};

void wf_arena_init(wf_arena *arena, const wf_mem *mem, size_t limit) {
    *arena = (wf_arena){.mem = mem ? mem : &wf_mem_default, .limit = limit};
}

static unsigned char *payload(wf_arena_block *block) { return (unsigned char *)(block + 1); }

static size_t next_block_size(const wf_arena *arena) {
    size_t size = arena->blocks ? arena->blocks->size * 2 : FIRST_BLOCK;
    return size > LARGEST_BLOCK ? LARGEST_BLOCK : size;
}

/* Adds a block that holds `size` bytes. A block made for one large piece goes behind the current one, whose rest stays in use.
 */
static wf_arena_block *add_block(wf_arena *arena, size_t size) {
    size_t room = next_block_size(arena), total;
    bool dedicated = size > room / 2;
    if (dedicated)
        room = size;
    if (!wf_add_size(room, sizeof(wf_arena_block), &total))
        return NULL;
    wf_arena_block *block = wf_calloc(arena->mem, 1, total);
    if (!block)
        return NULL;
    block->size = room;
    wf_arena_block **where = dedicated && arena->blocks ? &arena->blocks->next : &arena->blocks;
    block->next = *where;
    *where = block;
    return block;
}

static void *take(wf_arena *arena, size_t size) {
    size_t rounded, used;
    if (!wf_add_size(size ? size : 1, ALIGNMENT - 1, &rounded))
        return NULL;
    rounded -= rounded % ALIGNMENT;
    if (!wf_add_size(arena->used, rounded, &used) || (arena->limit && used > arena->limit))
        return NULL;
    wf_arena_block *block = arena->blocks;
    if (!block || block->size - block->used < rounded)
        block = add_block(arena, rounded);
    if (!block)
        return NULL;
    void *out = payload(block) + block->used;
    block->used += rounded;
    arena->used = used;
    return out;
}

void *wf_arena_alloc(wf_arena *arena, size_t size) {
    void *out = take(arena, size);
    arena->failed |= !out;
    return out;
}

char *wf_arena_strndup(wf_arena *arena, const char *text, size_t length) {
    if (length == SIZE_MAX)
        return NULL;
    char *copy = wf_arena_alloc(arena, length + 1);
    if (copy && length)
        memcpy(copy, text, length);
    return copy;
}

char *wf_arena_strdup(wf_arena *arena, const char *text) { return wf_arena_strndup(arena, text, strlen(text)); }

char *wf_arena_printf(wf_arena *arena, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = length < 0 ? NULL : wf_arena_alloc(arena, (size_t)length + 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, fmt, again);
    va_end(again);
    return text;
}

void wf_arena_join(wf_arena *arena, wf_arena *other) {
    wf_arena_block **end = &arena->blocks;
    while (*end)
        end = &(*end)->next;
    *end = other->blocks;
    arena->used += other->used;
    arena->failed = arena->failed || other->failed;
    *other = (wf_arena){.mem = other->mem, .limit = other->limit};
}

void wf_arena_free(wf_arena *arena) {
    for (wf_arena_block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        wf_free(arena->mem, block);
    }
    arena->blocks = NULL;
    arena->used = 0;
    arena->failed = false;
}
