/* data_gzip.c - gzip, unpacked within a limit. */
#include <limits.h>
#include <zlib.h>

#include "base/checked.h"
#include "train/data_text.h"

enum { CHUNK = 1 << 16 };

bool wf_is_gzip(const void *data, size_t n) {
    const unsigned char *p = data;
    return n >= 3 && p[0] == 0x1F && p[1] == 0x8B && p[2] == 8;
}

static void *hook_alloc(void *mem, unsigned items, unsigned size) {
    size_t total;
    return wf_mul_size(items, size, &total) ? wf_alloc(mem, total) : NULL;
}
static void hook_free(void *mem, void *block) { wf_free(mem, block); }

/* Everything the member gives, until its end. */
static weft_status inflate_member(z_stream *z, size_t limit, wf_str *out, weft_error *err) {
    char chunk[CHUNK];
    int rc = Z_OK;
    while (rc != Z_STREAM_END) {
        z->next_out = (Bytef *)chunk;
        z->avail_out = sizeof chunk;
        rc = inflate(z, Z_NO_FLUSH);
        if (rc == Z_MEM_ERROR)
            return wf_fail_memory(err);
        size_t n = sizeof chunk - z->avail_out;
        WF_CHECK(rc == Z_OK || rc == Z_STREAM_END || (rc == Z_BUF_ERROR && n > 0), err, WEFT_BAD_INPUT,
                 rc == Z_BUF_ERROR ? "the gzip data is cut off" : "the gzip data is damaged");
        WF_CHECK(n <= limit - out->length, err, WEFT_NO_MEMORY, "unpacked it is more than the limit of %zu bytes", limit);
        wf_str_put(out, chunk, n);
        if (out->failed)
            return wf_fail_memory(err);
    }
    return WEFT_OK;
}

static bool only_zeros(const unsigned char *p, size_t n) {
    while (n > 0 && p[n - 1] == 0)
        n--;
    return n == 0;
}

static weft_status inflate_all(z_stream *z, const unsigned char *data, size_t n, size_t limit, wf_str *out, weft_error *err) {
    WF_CHECK(n <= UINT_MAX, err, WEFT_UNSUPPORTED, "a gzip file above 4 GiB");
    z->avail_in = (unsigned)n;
    while (z->avail_in > 0) {
        size_t at = n - z->avail_in;
        if (at > 0 && only_zeros(data + at, n - at)) /* padding, as on tapes */
            return WEFT_OK;
        WF_CHECK(at == 0 || wf_is_gzip(data + at, n - at), err, WEFT_BAD_INPUT, "data follows the gzip stream at byte %zu", at);
        WF_CHECK(inflateReset(z) == Z_OK, err, WEFT_FAILURE, "zlib failed");
        WF_TRY(inflate_member(z, limit, out, err));
    }
    return WEFT_OK;
}

weft_status wf_gunzip(const wf_mem *mem, const void *data, size_t n, size_t limit, wf_str *out, weft_error *err) {
    /* zlib takes non-const pointers and only reads through the first, and hands the second back. */
    z_stream z = {
        .next_in = (Bytef *)(uintptr_t)data, .zalloc = hook_alloc, .zfree = hook_free, .opaque = (void *)(uintptr_t)mem};
    if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
        return wf_fail_memory(err);
    weft_status status = inflate_all(&z, data, n, limit, out, err);
    inflateEnd(&z);
    return status;
}
