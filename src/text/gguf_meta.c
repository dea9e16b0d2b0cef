/* gguf_meta.c - GGUF versions 2 and 3: magic, version, counts, then key-value pairs. Lengths are checked against what is left.
 */
#include "text/gguf_meta.h"

#include <string.h>

#include "base/reader.h"

/* Bytes of the fixed types 0..12, 0 for texts and arrays. */
static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
enum { TYPES = sizeof sizes };

static wf_bytes read_text(wf_reader *r) {
    uint64_t n = wf_read_u64(r);
    const uint8_t *p = n <= wf_reader_left(r) ? wf_read_bytes(r, (size_t)n) : NULL;
    r->failed = r->failed || (!p && n > 0);
    return (wf_bytes){p ? (const char *)p : "", p ? (size_t)n : 0};
}

static void skip_elements(wf_reader *r, uint32_t type, uint64_t count) {
    if (type >= TYPES || type == WF_GGUF_ARRAY) {
        r->failed = true;
    } else if (type != WF_GGUF_STRING) {
        r->failed = r->failed || count > wf_reader_left(r) / sizes[type] ||
                    (count > 0 && !wf_read_bytes(r, (size_t)count * sizes[type]));
    } else {
        r->failed = r->failed || count > wf_reader_left(r) / 8;
        for (uint64_t i = 0; i < count && !r->failed; i++)
            read_text(r);
    }
}

static void read_value(wf_reader *r, wf_gguf_value *v) {
    v->key = read_text(r);
    v->type = v->element = wf_read_u32(r);
    v->count = 1;
    if (v->type == WF_GGUF_ARRAY) {
        v->element = wf_read_u32(r);
        v->count = wf_read_u64(r);
    }
    size_t start = r->position;
    v->data = r->base + start;
    skip_elements(r, v->element, v->count);
    v->bytes = r->position - start;
}

weft_status wf_gguf_meta_read(wf_arena *arena, wf_bytes file, wf_gguf_meta *out, weft_error *err) {
    enum { LEAST_BYTES = 13 }; /* of a pair: an empty key, a type, a byte */
    wf_reader r = wf_reader_of(file.data, file.length);
    const uint8_t *magic = wf_read_bytes(&r, 4);
    uint32_t version = wf_read_u32(&r);
    wf_read_u64(&r); /* tensors */
    uint64_t n = wf_read_u64(&r);
    WF_CHECK(!r.failed && memcmp(magic, "GGUF", 4) == 0, err, WEFT_BAD_INPUT, "no GGUF file");
    WF_CHECK(version == 2 || version == 3, err, WEFT_UNSUPPORTED, "GGUF version %u", version);
    WF_CHECK(n <= wf_reader_left(&r) / LEAST_BYTES, err, WEFT_BAD_INPUT, "%llu entries in a file of %zu bytes",
             (unsigned long long)n, file.length);
    *out = (wf_gguf_meta){wf_arena_alloc(arena, (size_t)n * sizeof *out->values), (size_t)n};
    if (!out->values)
        return wf_fail_memory(err);
    for (size_t i = 0; i < out->count; i++) {
        read_value(&r, &out->values[i]);
        WF_CHECK(!r.failed, err, WEFT_BAD_INPUT, "entry %zu of the metadata is damaged or cut off, at byte %zu", i, r.position);
    }
    return WEFT_OK;
}

const wf_gguf_value *wf_gguf_find(const wf_gguf_meta *m, const char *key) {
    size_t n = strlen(key);
    for (size_t i = 0; i < m->count; i++)
        if (m->values[i].key.length == n && memcmp(m->values[i].key.data, key, n) == 0)
            return &m->values[i];
    return NULL;
}

int64_t wf_gguf_int(const wf_gguf_meta *m, const char *key, int64_t fallback) {
    const wf_gguf_value *v = wf_gguf_find(m, key);
    enum { F64 = 12 };
    if (!v || v->type >= TYPES || v->type == WF_GGUF_F32 || v->type == F64)
        return fallback;
    wf_reader r = wf_reader_of(v->data, v->bytes);
    switch (sizes[v->type]) {
    case 1:
        return wf_read_u8(&r);
    case 2:
        return wf_read_u16(&r);
    case 4:
        return (int32_t)wf_read_u32(&r);
    case 8:
        return (int64_t)wf_read_u64(&r);
    default:
        return fallback;
    }
}

wf_bytes wf_gguf_text(const wf_gguf_meta *m, const char *key) {
    const wf_gguf_value *v = wf_gguf_find(m, key);
    size_t at = 0;
    return v && v->type == WF_GGUF_STRING ? wf_gguf_next_text(v, &at) : (wf_bytes){"", 0};
}

wf_bytes wf_gguf_next_text(const wf_gguf_value *v, size_t *at) {
    wf_reader r = wf_reader_of(v->data, v->bytes);
    r.position = *at;
    wf_bytes text = read_text(&r);
    *at = r.position;
    return text;
}

int32_t wf_gguf_i32(const wf_gguf_value *v, size_t i) {
    wf_reader r = wf_reader_of(v->data, v->bytes);
    r.position = 4 * i;
    return (int32_t)wf_read_u32(&r);
}

float wf_gguf_f32(const wf_gguf_value *v, size_t i) {
    wf_reader r = wf_reader_of(v->data, v->bytes);
    r.position = 4 * i;
    return wf_read_f32(&r);
}
