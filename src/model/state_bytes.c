/* state_bytes.c - states as bytes, little endian: a mark, a digest of the shapes, batch, rows of the memory, the lengths of the
 * sequences, then every buffer: of rows per token those of the sequence that are there, the oldest first, of others all. */
#include <string.h>
#include "base/checked.h"
#include "base/reader.h"
#include "model/model.h"

static const char mark[8] = {'w', 'e', 'f', 't', 's', 't', 'a', '1'};

static size_t buffer_count(const wf_state *s) { return (size_t)s->model->spec->layers * WF_SIDES * WF_MAX_STATES + 4; }

/* Bytes of one row per token, or of all that a sequence has. */
static size_t unit(const wf_state_buffer *b) { return b->bytes / (size_t)b->dims[0] / (b->append ? (size_t)b->dims[1] : 1); }

/* What must be the same on both sides: which buffers there are, of which kind and width. */
static uint64_t shapes(const wf_state *s) {
    uint64_t hash = 1469598103934665603u; /* FNV-1a, by numbers */
    for (size_t i = 0; i < buffer_count(s); i++) {
        const wf_state_buffer *b = &s->buffers[i];
        const uint64_t parts[] = {i, (uint64_t)b->type, (uint64_t)b->append, (uint64_t)b->limit, b->data ? unit(b) : 0};
        for (size_t k = 0; b->data && k < sizeof parts / sizeof *parts; k++)
            hash = (hash ^ parts[k]) * 1099511628211u;
    }
    return hash;
}

/* Rows of a sequence of `length` tokens: the first that is there, and the one behind the last. A ring that keeps more than its
 * window is cut to what another one may have room for. */
static void rows_of(const wf_state_buffer *b, int64_t length, int64_t *first, int64_t *end) {
    int64_t most = b->limit > 0 ? b->limit : length;
    *first = b->append && length > most ? length - most : 0;
    *end = b->append ? length : 1;
}

static char *row_at(const wf_state_buffer *b, int64_t sequence, int64_t row) {
    size_t one = unit(b), all = b->bytes / (size_t)b->dims[0];
    return (char *)b->data + (size_t)sequence * all + (b->append ? (size_t)(row % b->dims[1]) * one : 0);
}

static bool size_for(const wf_state *s, const int64_t *lengths, size_t *out) {
    *out = sizeof mark + (3 + (size_t)s->batch) * sizeof(uint64_t);
    for (size_t i = 0; i < buffer_count(s); i++)
        for (int64_t q = 0; s->buffers[i].data && q < s->batch; q++) {
            int64_t first, end;
            size_t bytes;
            rows_of(&s->buffers[i], lengths[q], &first, &end);
            if (!wf_mul_size((size_t)(end - first), unit(&s->buffers[i]), &bytes) || !wf_add_size(*out, bytes, out))
                return false;
        }
    return true;
}

size_t wf_state_saved_size(const wf_state *s) {
    size_t size;
    return size_for(s, s->start, &size) ? size : 0;
}

static char *put(char *at, const void *data, size_t n) {
    memcpy(at, data, n);
    return at + n;
}

static char *put_u64(char *at, uint64_t value) {
    for (int i = 0; i < 8; i++)
        at[i] = (char)(value >> (8 * i) & 255);
    return at + 8;
}

void wf_state_save(const wf_state *s, void *bytes) {
    char *at = put(bytes, mark, sizeof mark);
    at = put_u64(at, shapes(s));
    at = put_u64(at, (uint64_t)s->batch);
    at = put_u64(at, (uint64_t)s->source);
    for (int64_t q = 0; q < s->batch; q++)
        at = put_u64(at, (uint64_t)s->start[q]);
    for (size_t i = 0; i < buffer_count(s); i++)
        for (int64_t q = 0; s->buffers[i].data && q < s->batch; q++) {
            int64_t row, end;
            rows_of(&s->buffers[i], s->start[q], &row, &end);
            for (; row < end; row++)
                at = put(at, row_at(&s->buffers[i], q, row), unit(&s->buffers[i]));
        }
}

/* ---- loading ---- */
typedef struct header {
    uint64_t shapes, batch, source;
} header;

static weft_status read_header(wf_reader *r, header *out, weft_error *err) {
    const uint8_t *start = wf_read_bytes(r, sizeof mark);
    *out = (header){.shapes = wf_read_u64(r), .batch = wf_read_u64(r), .source = wf_read_u64(r)};
    WF_CHECK(!r->failed && memcmp(start, mark, sizeof mark) == 0, err, WEFT_BAD_INPUT, "these bytes are no saved state");
    WF_CHECK(out->source <= r->length, err, WEFT_BAD_INPUT, "a saved state that is cut off"); /* its mask has a byte per row */
    return WEFT_OK;
}

weft_status wf_state_saved_source(const void *bytes, size_t n, int64_t *rows, weft_error *err) {
    wf_reader r = wf_reader_of(bytes, n);
    header h;
    WF_TRY(read_header(&r, &h, err));
    *rows = (int64_t)h.source;
    return WEFT_OK;
}

static weft_status read_lengths(const wf_state *s, wf_reader *r, int64_t *lengths, weft_error *err) {
    for (int64_t q = 0; q < s->batch; q++) {
        uint64_t length = wf_read_u64(r);
        WF_CHECK(length <= (uint64_t)s->capacity, err, WEFT_BAD_INPUT,
                 "a saved sequence of %llu tokens; there is room for %lld", (unsigned long long)length, (long long)s->capacity);
        lengths[q] = (int64_t)length;
    }
    return WEFT_OK;
}

/* Positions that count tokens are looked up in tables: row i of a sequence has at most i + 1 before it. */
static weft_status check_counts(const wf_state *s, const int64_t *lengths, const uint8_t *counts, weft_error *err) {
    wf_reader r = wf_reader_of(counts, SIZE_MAX / 2);
    for (int64_t q = 0; q < s->batch; q++)
        for (int64_t i = 0; i < lengths[q]; i++)
            WF_CHECK(wf_read_u32(&r) <= (uint64_t)i + 1, err, WEFT_BAD_INPUT,
                     "a saved state that counts more tokens than rows");
    return WEFT_OK;
}

static void take(wf_state *s, const int64_t *lengths, wf_reader *r) {
    for (size_t i = 0; i < buffer_count(s); i++)
        for (int64_t q = 0; s->buffers[i].data && q < s->batch; q++) {
            int64_t row, end;
            size_t one = unit(&s->buffers[i]);
            rows_of(&s->buffers[i], lengths[q], &row, &end);
            for (; row < end; row++)
                memcpy(row_at(&s->buffers[i], q, row), wf_read_bytes(r, one), one);
        }
    memcpy(s->start, lengths, (size_t)s->batch * sizeof *lengths);
}

static weft_status load(wf_state *s, wf_reader *r, int64_t *lengths, weft_error *err) {
    size_t size, counted = 0;
    const wf_state_buffer *counts = wf_state_counts(s);
    WF_TRY(read_lengths(s, r, lengths, err));
    WF_CHECK(size_for(s, lengths, &size) && size == r->length, err, WEFT_BAD_INPUT,
             "a saved state that is cut off or too long");
    for (int64_t q = 0; counts->data && q < s->batch; q++)
        counted += (size_t)lengths[q] * sizeof(int32_t);
    WF_TRY(counts->data ? check_counts(s, lengths, r->base + (size - counted), err) : WEFT_OK); /* the last buffer */
    take(s, lengths, r);
    return WEFT_OK;
}

weft_status wf_state_load(wf_state *s, const void *bytes, size_t n, weft_error *err) {
    const wf_mem *mem = &s->model->env->mem;
    wf_reader r = wf_reader_of(bytes, n);
    header h;
    WF_TRY(read_header(&r, &h, err));
    WF_CHECK(h.shapes == shapes(s) && h.source == (uint64_t)s->source, err, WEFT_BAD_INPUT,
             "a saved state of another model, or of a memory of another length");
    WF_CHECK(h.batch == (uint64_t)s->batch, err, WEFT_BAD_INPUT, "a saved state of %llu sequences; here are %lld",
             (unsigned long long)h.batch, (long long)s->batch);
    int64_t *lengths = wf_alloc(mem, (size_t)s->batch * sizeof *lengths);
    if (!lengths)
        return wf_fail_memory(err);
    weft_status status = load(s, &r, lengths, err);
    wf_free(mem, lengths);
    return status;
}
