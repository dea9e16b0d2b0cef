#include "formats/zip.h"
#include <limits.h>
#include <string.h>
#include <zlib.h>

enum {
    LOCAL = 0x04034b50,
    CENTRAL = 0x02014b50,
    END = 0x06054b50,
    END64 = 0x06064b50,
    LOCATOR64 = 0x07064b50,
    END_BYTES = 22,
    CENTRAL_BYTES = 46,
    LOCAL_BYTES = 30,
    LOCATOR_BYTES = 20,
    LONGEST_COMMENT = 65535,
    STORED = 0,
    DEFLATED = 8,
    MOST_GAIN = 1032 /* deflate packs no better than this */
};

typedef struct directory { /* of the archive */
    uint64_t count, size, offset;
    size_t end; /* where the records of its end begin */
} directory;

typedef struct zip_reader {
    const uint8_t *data;
    size_t size;
    wf_arena *arena;
    weft_error *err;
} zip_reader;

bool wf_zip_is(const uint8_t *data, size_t size) {
    wf_reader r = wf_reader_of(data, size);
    return wf_read_u32(&r) == LOCAL;
}

static weft_status fail(const zip_reader *z, size_t at, const char *what) {
    return wf_fail_at(z->err, WEFT_BAD_INPUT, (int64_t)at, "zip archive: %s (byte %zu)", what, at);
}

static wf_reader reader_at(const zip_reader *z, size_t at) {
    wf_reader r = wf_reader_of(z->data, z->size);
    r.failed = at > z->size;
    r.position = r.failed ? 0 : at;
    return r;
}

/* ---- the end, where the directory is told ---- */
static bool find_end(const zip_reader *z, size_t *at) {
    size_t last = z->size >= END_BYTES ? z->size - END_BYTES : 0, least = last > LONGEST_COMMENT ? last - LONGEST_COMMENT : 0;
    for (size_t i = last + 1; z->size >= END_BYTES && i-- > least;) {
        wf_reader r = reader_at(z, i);
        if (wf_read_u32(&r) == END) {
            *at = i;
            return true;
        }
    }
    return false;
}

static weft_status read_end64(const zip_reader *z, directory *d) {
    wf_reader r = reader_at(z, d->end - LOCATOR_BYTES);
    wf_read_u32(&r);
    wf_read_u32(&r); /* number of the disk */
    uint64_t at = wf_read_u64(&r);
    if (at > z->size)
        return fail(z, d->end - LOCATOR_BYTES, "its 64-bit end is not in the file");
    r = reader_at(z, (size_t)at);
    if (wf_read_u32(&r) != END64)
        return fail(z, (size_t)at, "its 64-bit end is damaged");
    wf_read_bytes(&r, 8 + 2 + 2 + 4 + 4); /* size of the record, versions, disks */
    wf_read_u64(&r);
    d->count = wf_read_u64(&r);
    d->size = wf_read_u64(&r);
    d->offset = wf_read_u64(&r);
    d->end = (size_t)at;
    return r.failed ? fail(z, (size_t)at, "its 64-bit end is cut") : WEFT_OK;
}

static weft_status read_end(const zip_reader *z, directory *d) {
    if (!find_end(z, &d->end))
        return fail(z, z->size, "it has no end: the file is cut");
    wf_reader r = reader_at(z, d->end + 4);
    wf_read_u32(&r); /* disks */
    wf_read_u16(&r);
    d->count = wf_read_u16(&r);
    d->size = wf_read_u32(&r);
    d->offset = wf_read_u32(&r);
    wf_reader locator = reader_at(z, d->end >= LOCATOR_BYTES ? d->end - LOCATOR_BYTES : z->size);
    if (wf_read_u32(&locator) == LOCATOR64)
        WF_TRY(read_end64(z, d));
    if (d->offset > d->end || d->size > d->end - d->offset)
        return fail(z, d->end, "its directory is not in the file");
    if (d->count > d->size / CENTRAL_BYTES)
        return fail(z, d->end, "it counts more members than its directory can hold");
    return WEFT_OK;
}

/* ---- members ---- */
/* Sizes of 2^32 - 1 stand in the extra field, 64 bits each, in this order. */
static void widen(wf_reader *extra, uint64_t *size, uint64_t *packed, uint64_t *offset) {
    uint64_t *fields[] = {size, packed, offset};
    while (!extra->failed && wf_reader_left(extra) >= 4) {
        unsigned id = wf_read_u16(extra), length = wf_read_u16(extra);
        const uint8_t *body = wf_read_bytes(extra, length);
        if (!body || id != 1)
            continue;
        wf_reader wide = wf_reader_of(body, length);
        for (int i = 0; i < 3; i++)
            if (*fields[i] == UINT32_MAX)
                *fields[i] = wf_read_u64(&wide);
        extra->failed |= wide.failed;
        return;
    }
}

/* Behind the local header, whose own name and extra field may have other lengths. */
static weft_status find_data(const zip_reader *z, wf_zip_member *m, uint64_t offset) {
    wf_reader r = offset > z->size ? (wf_reader){.failed = true} : reader_at(z, (size_t)offset);
    if (wf_read_u32(&r) != LOCAL)
        return fail(z, (size_t)(offset > z->size ? z->size : offset), "a member is not where the directory says");
    wf_read_bytes(&r, LOCAL_BYTES - 8);
    size_t skip = wf_read_u16(&r);
    skip += wf_read_u16(&r);
    wf_read_bytes(&r, skip);
    m->offset = r.position;
    m->data = wf_read_bytes(&r, m->packed);
    if (!m->data)
        return fail(z, (size_t)offset, "a member ends beyond the file");
    return WEFT_OK;
}

static weft_status read_member(const zip_reader *z, wf_reader *r, wf_zip_member *m) {
    size_t at = r->position;
    if (wf_read_u32(r) != CENTRAL)
        return fail(z, at, "its directory is damaged");
    wf_read_u32(r); /* versions */
    unsigned flags = wf_read_u16(r);
    m->method = wf_read_u16(r);
    wf_read_u32(r); /* time */
    m->check = wf_read_u32(r);
    uint64_t packed = wf_read_u32(r), size = wf_read_u32(r), offset;
    size_t name_length = wf_read_u16(r), extra_length = wf_read_u16(r), comment_length = wf_read_u16(r);
    wf_read_bytes(r, 2 + 2 + 4); /* disk, attributes */
    offset = wf_read_u32(r);
    const uint8_t *name = wf_read_bytes(r, name_length), *extra = wf_read_bytes(r, extra_length);
    wf_read_bytes(r, comment_length);
    if (r->failed)
        return fail(z, at, "its directory is cut");
    wf_reader fields = wf_reader_of(extra, extra_length);
    widen(&fields, &size, &packed, &offset);
    if (fields.failed || packed > z->size || memchr(name, 0, name_length))
        return fail(z, at, "a member's record is damaged");
    if (flags & 1)
        return fail(z, at, "a member is encrypted");
    if (m->method == STORED ? size != packed : size / MOST_GAIN > packed)
        return fail(z, at, "a member's sizes cannot be right");
    m->packed = (size_t)packed;
    m->size = (size_t)size;
    m->name = wf_arena_strndup(z->arena, (const char *)name, name_length);
    return m->name ? find_data(z, m, offset) : wf_fail_memory(z->err);
}

weft_status wf_zip_open(wf_arena *arena, const void *data, size_t size, wf_zip *out, weft_error *err) {
    zip_reader z = {data, size, arena, err};
    directory d = {0};
    WF_TRY(read_end(&z, &d));
    out->count = (size_t)d.count;
    if (!(out->list = wf_arena_alloc(arena, out->count * sizeof *out->list)))
        return wf_fail_memory(err);
    wf_reader r = wf_reader_of(data, (size_t)(d.offset + d.size));
    r.position = (size_t)d.offset;
    size_t packed = 0;
    for (size_t i = 0; i < out->count; i++) {
        WF_TRY(read_member(&z, &r, &out->list[i]));
        if (out->list[i].packed > size - packed) /* members that lie over each other would unpack to any size */
            return fail(&z, r.position, "its members overlap");
        packed += out->list[i].packed;
    }
    return WEFT_OK;
}

const wf_zip_member *wf_zip_find(const wf_zip *zip, const char *name) {
    for (size_t i = 0; i < zip->count; i++)
        if (wf_streq(zip->list[i].name, name))
            return &zip->list[i];
    return NULL;
}

const wf_zip_member *wf_zip_ends_with(const wf_zip *zip, const char *suffix) {
    for (size_t i = 0; i < zip->count; i++)
        if (wf_ends_with(zip->list[i].name, suffix))
            return &zip->list[i];
    return NULL;
}

/* ---- unpacking ---- */
static weft_status inflate_member(const wf_zip_member *m, void *out, weft_error *err) {
    z_stream z = {.next_in = (Bytef *)(uintptr_t)m->data, .next_out = out}; /* zlib does not write to what it reads */
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return wf_fail_memory(err);
    size_t in = m->packed, room = m->size;
    int rc = Z_OK;
    while (rc == Z_OK && (in || room || z.avail_in || z.avail_out)) {
        uInt more_in = in > UINT_MAX ? UINT_MAX : (uInt)in, more_out = room > UINT_MAX ? UINT_MAX : (uInt)room;
        if (z.avail_in == 0)
            z.avail_in = more_in, in -= more_in;
        if (z.avail_out == 0)
            z.avail_out = more_out, room -= more_out;
        rc = inflate(&z, Z_NO_FLUSH);
    }
    bool whole = rc == Z_STREAM_END && room == 0 && z.avail_out == 0;
    inflateEnd(&z);
    if (rc == Z_MEM_ERROR)
        return wf_fail_memory(err);
    if (!whole || crc32_z(0, out, m->size) != m->check)
        return wf_fail_at(err, WEFT_BAD_INPUT, (int64_t)m->offset, "zip archive: the member '%.80s' is damaged (byte %zu)",
                          m->name, m->offset);
    return WEFT_OK;
}

weft_status wf_zip_read(wf_tensor_file *file, const wf_zip_member *m, const uint8_t **out, weft_error *err) {
    void *block;
    *out = m->data;
    if (m->method == STORED)
        return WEFT_OK;
    WF_CHECK(m->method == DEFLATED, err, WEFT_UNSUPPORTED, "the zip member '%.80s' is packed by method %u", m->name, m->method);
    WF_TRY(wf_tensor_file_block(file, m->size, SIZE_MAX, &block, err));
    *out = block;
    return inflate_member(m, block, err);
}
