#include "base/reader.h"
#include <string.h>

wf_reader wf_reader_of(const void *base, size_t length) { return (wf_reader){.base = base, .length = length}; }

size_t wf_reader_left(const wf_reader *r) { return r->failed ? 0 : r->length - r->position; }

const uint8_t *wf_read_bytes(wf_reader *r, size_t n) {
    if (n > wf_reader_left(r) || r->failed) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *at = r->base + r->position;
    r->position += n;
    return at;
}

static uint64_t read_little(wf_reader *r, size_t n) {
    const uint8_t *bytes = wf_read_bytes(r, n);
    uint64_t value = 0;
    for (size_t i = 0; bytes && i < n; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

uint8_t wf_read_u8(wf_reader *r) { return (uint8_t)read_little(r, 1); }
uint16_t wf_read_u16(wf_reader *r) { return (uint16_t)read_little(r, 2); }
uint32_t wf_read_u32(wf_reader *r) { return (uint32_t)read_little(r, 4); }
uint64_t wf_read_u64(wf_reader *r) { return read_little(r, 8); }

float wf_read_f32(wf_reader *r) {
    uint32_t bits = wf_read_u32(r);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
