/* data.c - tokenising, splitting and sampling. */
#include "train/data.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/rng.h"

/* What the random numbers of this file are for (see rng.h). */
enum { SITE_ORDER = 0x64617401, SITE_OFFSET, SITE_WINDOW, SITE_PREFIX };
enum { VALIDATION_MAX = 1 << 20, LINE_SEARCH = 1024 };

/* Token ids of one side, 2 bytes each when the vocabulary allows. Documents in the order in which they are read. */
typedef struct part {
    void *ids;
    size_t count, capacity, bytes;
    bool wide;
    size_t *starts; /* of documents in `ids`; one more at the end */
    size_t n_documents, starts_capacity;
    size_t *stream; /* packed: where document i of `order` begins in the packed stream; one more at the end */
    uint32_t *order;
} part;

struct wf_data {
    const wf_mem *mem;
    const wf_tokenizer *tok;
    uint64_t seed;
    bool packed;
    part training, validation;
};

wf_data_options wf_data_options_usual(int64_t context) {
    return (wf_data_options){.context = context, .validation = 0.05, .separator = WF_SEPARATOR_AUTO};
}

/* ---- tokenising ---- */

typedef struct building {
    wf_data *data;
    const wf_env *env;
    wf_encoder *encoder;
    wf_ids scratch;
    int64_t separator;
    weft_error *err;
} building;

static weft_status put_ids(building *b, part *p, const uint32_t *ids, size_t n) {
    size_t size = p->wide ? sizeof(uint32_t) : sizeof(uint16_t);
    WF_TRY(wf_grow(b->data->mem, &p->ids, &p->capacity, p->count + n, size, b->err));
    if (p->wide)
        memcpy((uint32_t *)p->ids + p->count, ids, n * size);
    else
        for (size_t i = 0; i < n; i++)
            ((uint16_t *)p->ids)[p->count + i] = (uint16_t)ids[i];
    p->count += n;
    return WEFT_OK;
}

static weft_status put_start(building *b, part *p) {
    WF_TRY(wf_grow(b->data->mem, (void **)&p->starts, &p->starts_capacity, p->n_documents + 1, sizeof *p->starts, b->err));
    p->starts[p->n_documents] = p->count;
    return WEFT_OK;
}

/* One document, or the part of one that the cut leaves; `whole`: it ends here. */
static weft_status put_document(building *b, part *p, const char *bytes, size_t n, bool whole) {
    uint32_t separator = (uint32_t)b->separator;
    WF_CHECK(wf_stopped(b->env) == WEFT_OK, b->err, wf_stopped(b->env), "stopped");
    b->scratch.count = 0;
    WF_TRY(wf_encode(b->encoder, bytes, n, 0, &b->scratch, b->err));
    WF_TRY(put_start(b, p));
    if (b->scratch.count)
        WF_TRY(put_ids(b, p, b->scratch.data, b->scratch.count));
    if (whole && b->separator >= 0)
        WF_TRY(put_ids(b, p, &separator, 1));
    p->n_documents++;
    p->bytes += n;
    return WEFT_OK;
}

/* The documents of bytes [from, to). */
static weft_status put_range(building *b, part *p, const wf_text *text, size_t from, size_t to) {
    for (size_t i = 0, begin = 0; i < text->count && begin < to; begin = text->ends[i++]) {
        size_t end = text->ends[i], first = begin > from ? begin : from, last = end < to ? end : to;
        if (first < last)
            WF_TRY(put_document(b, p, text->bytes + first, last - first, last == end));
    }
    return put_start(b, p); /* the end of the last one */
}

/* ---- the split ---- */

/* After the next line break, or at the next character, from `cut` on. */
static size_t tidy_cut(const wf_text *text, size_t cut) {
    size_t left = text->length - cut;
    const char *line = memchr(text->bytes + cut, '\n', left < LINE_SEARCH ? left : LINE_SEARCH);
    if (line && line + 1 < text->bytes + text->length)
        return (size_t)(line + 1 - text->bytes);
    while (cut < text->length && ((unsigned char)text->bytes[cut] & 0xC0) == 0x80)
        cut++;
    return cut;
}

/* Where validation begins; the rule stands in the header. */
static size_t find_cut(const wf_text *text, const wf_data_options *o) {
    size_t n = text->length;
    if (o->validation <= 0)
        return n;
    double share = o->validation * (double)n;
    size_t want = (size_t)share, least = 4 * ((size_t)o->context + 1);
    want = want < least ? least : want;
    want = want > VALIDATION_MAX ? VALIDATION_MAX : want;
    want = want > n / 2 ? n / 2 : want;
    size_t cut = n - want, boundary = 0;
    for (size_t i = 0; i < text->count && text->ends[i] <= cut; i++)
        boundary = text->ends[i];
    return boundary > 0 && n - boundary <= 2 * want ? boundary : tidy_cut(text, cut);
}

/* ---- packing ---- */

static weft_status pack(wf_data *d, part *p, bool shuffle, weft_error *err) {
    size_t n = p->n_documents;
    WF_CHECK(n < UINT32_MAX, err, WEFT_UNSUPPORTED, "more than 2^32 documents");
    p->order = wf_calloc(d->mem, n + 1, sizeof *p->order);
    p->stream = wf_calloc(d->mem, n + 1, sizeof *p->stream);
    if (!p->order || !p->stream)
        return wf_fail_memory(err);
    wf_rng rng = wf_rng_make(d->seed, SITE_ORDER, 0);
    for (size_t i = 0, at = 0; i < n; i++) {
        p->order[i] = (uint32_t)(shuffle ? wf_rng_permute(rng, i, n) : i);
        at += p->starts[p->order[i] + 1] - p->starts[p->order[i]];
        p->stream[i + 1] = at;
    }
    return WEFT_OK;
}

/* ---- creation ---- */

static weft_status check_options(const wf_tokenizer *tok, const wf_data_options *o, weft_error *err) {
    WF_CHECK(o->context >= 1 && o->context <= INT32_MAX / 8, err, WEFT_USAGE, "a context of %lld tokens",
             (long long)o->context);
    WF_CHECK(o->validation >= 0 && o->validation <= 0.5, err, WEFT_USAGE, "the share for validation must be from 0 to 0.5");
    WF_CHECK(o->separator >= WF_SEPARATOR_AUTO && o->separator < (int64_t)wf_tokenizer_vocab(tok), err, WEFT_USAGE,
             "the separator %lld is no token", (long long)o->separator);
    return WEFT_OK;
}

static weft_status build(building *b, const wf_text *text, const wf_text *validation, const wf_data_options *o) {
    wf_data *d = b->data;
    size_t cut = !text ? 0 : validation ? text->length : find_cut(text, o);
    if (text)
        WF_TRY(put_range(b, &d->training, text, 0, cut));
    WF_TRY(validation ? put_range(b, &d->validation, validation, 0, validation->length)
                      : put_range(b, &d->validation, text, cut, text->length));
    size_t need = (size_t)o->context + 1;
    WF_CHECK(!text || d->training.count >= need, b->err, WEFT_BAD_INPUT,
             "the text is too short: %zu tokens to train on, and a window of context %lld needs %zu. Give more text or a "
             "smaller context",
             d->training.count, (long long)o->context, need);
    if (!d->packed)
        return WEFT_OK;
    WF_TRY(pack(d, &d->training, true, b->err));
    return pack(d, &d->validation, false, b->err);
}

weft_status wf_data_create(const wf_env *env, const wf_tokenizer *tok, const wf_text *text, const wf_text *validation,
                           const wf_data_options *o, wf_data **out, weft_error *err) {
    WF_TRY(check_options(tok, o, err));
    wf_data *d = wf_calloc(&env->mem, 1, sizeof *d);
    if (!d)
        return wf_fail_memory(err);
    *d = (wf_data){.mem = &env->mem, .tok = tok, .seed = o->seed, .packed = o->packed};
    d->training.wide = d->validation.wide = wf_tokenizer_vocab(tok) > 65536;
    static const char usual[] = "<|endoftext|>";
    building b = {.data = d, .env = env, .scratch = wf_ids_new(d->mem), .separator = o->separator, .err = err};
    if (b.separator == WF_SEPARATOR_AUTO)
        b.separator = wf_tokenizer_id(tok, usual, strlen(usual));
    weft_status status = wf_encoder_create(tok, &b.encoder, err);
    if (status == WEFT_OK)
        status = build(&b, text, validation, o);
    wf_encoder_free(b.encoder);
    wf_ids_free(&b.scratch);
    if (status == WEFT_OK)
        *out = d;
    else
        wf_data_free(d);
    return status;
}

static void free_part(const wf_mem *mem, part *p) {
    wf_free(mem, p->ids);
    wf_free(mem, p->starts);
    wf_free(mem, p->stream);
    wf_free(mem, p->order);
}

void wf_data_free(wf_data *d) {
    if (!d)
        return;
    free_part(d->mem, &d->training);
    free_part(d->mem, &d->validation);
    wf_free(d->mem, d);
}

static wf_data_part size_of(const part *p) { return (wf_data_part){p->count, p->bytes, p->n_documents}; }
wf_data_part wf_data_training(const wf_data *d) { return size_of(&d->training); }
wf_data_part wf_data_validation(const wf_data *d) { return size_of(&d->validation); }

/* ---- rows ---- */

static int32_t id_at(const part *p, size_t i) {
    return p->wide ? (int32_t)((const uint32_t *)p->ids)[i] : ((const uint16_t *)p->ids)[i];
}

typedef struct row {
    int32_t *ids, *targets, *segments, *positions;
} row;

static row row_of(const wf_batch *b, int64_t r) {
    int64_t at = r * b->length;
    return (row){b->ids + at, b->targets + at, b->segments ? b->segments + at : NULL, b->positions ? b->positions + at : NULL};
}

static void put(row r, int64_t j, int32_t id, int32_t target, int64_t segment, int64_t position) {
    r.ids[j] = id;
    r.targets[j] = target;
    if (r.segments)
        r.segments[j] = (int32_t)segment;
    if (r.positions)
        r.positions[j] = (int32_t)position;
}

static void put_padding(row r, int64_t from, int64_t length, int64_t segment) {
    for (int64_t j = from; j < length; j++)
        put(r, j, 0, WF_NO_TARGET, segment, j - from);
}

/* The document of the packed stream that holds position `at`. */
static size_t document_at(const part *p, size_t at) {
    size_t low = 0, high = p->n_documents;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (p->stream[middle] <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void fill_packed(const part *p, size_t at, int64_t length, row r) {
    size_t k = document_at(p, at), end = p->stream[k + 1];
    int64_t segment = 0, position = 0, j = 0;
    for (; j < length && at < p->count; j++, at++, position++) {
        while (at == end) { /* the next document that is not empty */
            end = p->stream[++k + 1];
            segment += position > 0;
            position = 0;
        }
        size_t token = p->starts[p->order[k]] + at - p->stream[k];
        put(r, j, id_at(p, token), at + 1 < end ? id_at(p, token + 1) : WF_NO_TARGET, segment, position);
    }
    put_padding(r, j, length, segment + 1);
}

static void fill_window(const part *p, size_t at, int64_t length, row r) {
    int64_t j = 0;
    for (; j < length && at < p->count; j++, at++)
        put(r, j, id_at(p, at), at + 1 < p->count ? id_at(p, at + 1) : WF_NO_TARGET, 0, j);
    put_padding(r, j, length, j > 0);
}

static void fill(const wf_data *d, const part *p, size_t at, int64_t length, row r) {
    if (at >= p->count)
        put_padding(r, 0, length, 0);
    else if (d->packed)
        fill_packed(p, at, length, r);
    else
        fill_window(p, at, length, r);
}

/* ---- sampling ---- */

/* Row r of the batch, the number'th of all, gets a prefix of 0 to length - 1 tokens: none of them is to be guessed. */
static void put_prefix(const wf_data *d, uint64_t number, const wf_batch *b, int64_t r) {
    if (!b->prefix)
        return;
    b->prefix[r] = (int64_t)wf_rng_below(wf_rng_make(d->seed, SITE_PREFIX, 0), number, (uint64_t)b->length);
    for (int64_t j = 0; j + 1 < b->prefix[r]; j++)
        b->targets[r * b->length + j] = WF_NO_TARGET;
}

/* All windows that fit but one, when there are many: the freed room lets every epoch begin at another offset. */
uint64_t wf_data_windows(const wf_data *d, int64_t length) {
    uint64_t fit = d->training.count > 0 ? (d->training.count - 1) / (uint64_t)length : 0;
    return fit < 16 ? fit : fit - 1;
}

void wf_data_batch(const wf_data *d, uint64_t cursor, const wf_batch *out) {
    uint64_t length = (uint64_t)out->length, windows = wf_data_windows(d, out->length);
    uint64_t slack = d->training.count - 1 - windows * length, offsets = slack < length ? slack + 1 : length;
    for (int64_t r = 0; r < out->rows; r++) {
        uint64_t epoch = (cursor + (uint64_t)r) / windows, i = (cursor + (uint64_t)r) % windows;
        uint64_t offset = wf_rng_below(wf_rng_make(d->seed, SITE_OFFSET, (uint32_t)epoch), 0, offsets);
        uint64_t window = wf_rng_permute(wf_rng_make(d->seed, SITE_WINDOW, (uint32_t)epoch), i, windows);
        fill(d, &d->training, (size_t)(offset + window * length), out->length, row_of(out, r));
        put_prefix(d, cursor + (uint64_t)r, out, r);
    }
}

double wf_data_passes(const wf_data *d, uint64_t cursor, int64_t length) {
    uint64_t windows = wf_data_windows(d, length);
    return windows ? (double)cursor / (double)windows : 0;
}

/* The last token is a target only, so a window that would begin with it is none. */
uint64_t wf_data_validation_windows(const wf_data *d, int64_t length) {
    uint64_t targets = d->validation.count > 0 ? d->validation.count - 1 : 0;
    return (targets + (uint64_t)length - 1) / (uint64_t)length;
}

void wf_data_validation_batch(const wf_data *d, uint64_t first, uint64_t stride, const wf_batch *out) {
    uint64_t windows = wf_data_validation_windows(d, out->length);
    for (int64_t r = 0; r < out->rows; r++) {
        uint64_t window = first + (uint64_t)r * stride;
        size_t at = window < windows ? (size_t)(window * (uint64_t)out->length) : d->validation.count;
        fill(d, &d->validation, at, out->length, row_of(out, r));
        put_prefix(d, window, out, r);
    }
}

weft_status wf_data_target_bytes(const wf_data *d, const int32_t *targets, size_t n, uint64_t *bytes, weft_error *err) {
    wf_str text = wf_str_new(d->mem);
    bool failed = false;
    for (size_t i = 0; i < n && !failed; i++)
        if (targets[i] >= 0 && !wf_tokenizer_is_special(d->tok, (uint32_t)targets[i])) {
            wf_str_clear(&text);
            wf_tokenizer_put_token(d->tok, (uint32_t)targets[i], &text);
            *bytes += text.length;
            failed = text.failed;
        }
    wf_str_free(&text);
    return failed ? wf_fail_memory(err) : WEFT_OK;
}
