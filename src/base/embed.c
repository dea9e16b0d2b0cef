#include "base/embed.h"
#include <zlib.h>
#include "base/checked.h"

enum { GZIP = 16 + MAX_WBITS };

static void *take(void *arena, unsigned items, unsigned size) {
    size_t bytes;
    return wf_mul_size(items, size, &bytes) ? wf_arena_alloc(arena, bytes) : NULL;
}

static void leave(void *arena, void *memory) {
    (void)arena;
    (void)memory;
}

weft_status wf_embedded_open(wf_arena *arena, const wf_embedded_table *table, const char **texts, weft_error *err) {
    unsigned char *out = wf_arena_alloc(arena, table->size + 1);
    z_stream z = {.zalloc = take, .zfree = leave, .opaque = arena};
    if (!out || inflateInit2(&z, GZIP) != Z_OK)
        return wf_fail_memory(err);
    z.next_in = (unsigned char *)(uintptr_t)table->packed;
    z.avail_in = (unsigned)table->packed_size;
    z.next_out = out;
    z.avail_out = (unsigned)table->size + 1;
    int code = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    if (code == Z_MEM_ERROR)
        return wf_fail_memory(err);
    WF_CHECK(code == Z_STREAM_END && z.total_out == table->size, err, WEFT_FAILURE, "the files inside the program are damaged");
    *texts = (const char *)out;
    return WEFT_OK;
}
