/* change.c - alignments of changed text. */
#include "text/change.h"

#include <string.h>

#include "text/unicode.h"

/* The whole characters that bytes [from, to) of the original touch. */
static wf_span whole_chars(wf_bytes original, size_t from, size_t to) {
    const uint8_t *p = (const uint8_t *)original.data;
    for (int back = 0; back < 3 && from > 0 && from < original.length && (p[from] & 0xC0u) == 0x80u; back++)
        from--;
    for (int on = 0; on < 3 && to > from && to < original.length && (p[to] & 0xC0u) == 0x80u; on++)
        to++;
    return (wf_span){(uint32_t)from, (uint32_t)to};
}

wf_span wf_piece_span(wf_piece p, wf_bytes original, size_t from, size_t to) {
    if (from == to && p.align && from < p.length)
        return (wf_span){p.align[from].start, p.align[from].start};
    if (from >= to || to > p.length)
        return (wf_span){(uint32_t)(p.origin + from), (uint32_t)(p.origin + to)};
    if (p.align)
        return (wf_span){p.align[from].start, p.align[to - 1].end};
    return whole_chars(original, p.origin + from, p.origin + to);
}

wf_change wf_change_new(const wf_mem *mem) { return (wf_change){.text = wf_str_new(mem)}; }

void wf_change_free(wf_change *c) {
    wf_free(c->text.mem, c->align);
    wf_str_free(&c->text);
}

void wf_change_start(wf_change *c, wf_piece in, wf_bytes original, bool aligned) {
    wf_str_clear(&c->text);
    c->align_count = c->taken = 0;
    c->in = in;
    c->original = original;
    c->aligned = aligned;
    c->failed = false;
}

static void put_aligned(wf_change *c, const char *bytes, size_t n, wf_span span) {
    wf_str_put(&c->text, bytes, n);
    if (wf_grow(c->text.mem, (void **)&c->align, &c->align_capacity, c->align_count + n, sizeof *c->align, NULL) != WEFT_OK) {
        c->failed = true;
        return;
    }
    for (size_t i = 0; i < n; i++)
        c->align[c->align_count++] = span;
}

static wf_span span_of_byte(const wf_change *c, size_t i) {
    return i < c->in.length ? wf_piece_span(c->in, c->original, i, i + 1)
                            : (wf_span){(uint32_t)c->in.origin, (uint32_t)c->in.origin};
}

static void put_bytes(wf_change *c, const char *bytes, size_t n, int64_t by) {
    wf_span begin = {(uint32_t)c->in.origin, (uint32_t)c->in.origin};
    if (!c->aligned)
        wf_str_put(&c->text, bytes, n);
    else
        put_aligned(c, bytes, n, by <= 0 ? span_of_byte(c, c->taken) : c->taken ? span_of_byte(c, c->taken - 1) : begin);
    if (by <= 0)
        wf_change_drop(c, 1 - by);
}

void wf_change_drop(wf_change *c, int64_t characters) {
    for (size_t length; characters > 0 && c->taken < c->in.length; characters--) {
        wf_char_at(c->in.bytes + c->taken, c->in.length - c->taken, &length);
        c->taken += length;
    }
}

void wf_change_char(wf_change *c, uint32_t character, int64_t by) {
    char bytes[4];
    put_bytes(c, bytes, wf_put_char(character, bytes), by);
}

void wf_change_raw(wf_change *c, uint8_t byte) { put_bytes(c, (const char *)&byte, 1, 0); }

void wf_change_text(wf_change *c, const char *text, size_t length, int by) {
    if (!c->aligned && by > 0) {
        wf_str_put(&c->text, text, length);
        return;
    }
    for (size_t i = 0, step; i < length; i += step) {
        wf_char_at((const uint8_t *)text + i, length - i, &step);
        put_bytes(c, text + i, step, by);
    }
}

void wf_change_keep(wf_change *c, size_t n) {
    const char *from = (const char *)c->in.bytes + c->taken;
    if (c->aligned)
        for (size_t i = 0; i < n; i++)
            put_aligned(c, from + i, 1, span_of_byte(c, c->taken + i));
    else
        wf_str_put(&c->text, from, n);
    c->taken += n;
}

void wf_change_put(wf_change *c, const char *text, size_t length, wf_span span) {
    if (c->aligned)
        put_aligned(c, text, length, span);
    else
        wf_str_put(&c->text, text, length);
}

weft_status wf_change_status(const wf_change *c, weft_error *err) {
    return c->failed || c->text.failed ? wf_fail_memory(err) : WEFT_OK;
}

wf_piece wf_change_piece(const wf_change *c) {
    return (wf_piece){(const uint8_t *)wf_str_text(&c->text), c->text.length, c->aligned ? c->align : NULL, c->in.origin,
                      c->in.letters};
}
