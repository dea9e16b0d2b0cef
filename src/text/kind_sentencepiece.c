/* kind_sentencepiece.c - SentencePiece .model files: a protocol buffer of pieces and of the normaliser's and trainer's
 * settings. */
#include <string.h>

#include "base/reader.h"
#include "text/classes.h"
#include "text/sentencepiece_file.h"
#include "text/unicode.h"

/* ---- protocol buffers ---- */

typedef struct field {
    uint32_t number;
    uint64_t value; /* of a varint or a fixed32 */
    wf_bytes bytes;
} field;

static uint64_t read_varint(wf_reader *r) {
    uint64_t value = 0;
    for (int shift = 0; shift < 70 && !r->failed; shift += 7) {
        uint8_t b = wf_read_u8(r);
        if (shift < 64)
            value |= (uint64_t)(b & 127u) << shift;
        if (!(b & 128u))
            return value;
    }
    r->failed = true;
    return 0;
}

/* The next field; false at the end, and when the bytes are no message (then r->failed). */
static bool next_field(wf_reader *r, field *f) {
    enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };
    if (wf_reader_left(r) == 0 || r->failed)
        return false;
    uint64_t tag = read_varint(r);
    *f = (field){.number = (uint32_t)(tag >> 3)};
    switch (tag & 7) {
    case VARINT:
        f->value = read_varint(r);
        break;
    case FIXED64:
        f->value = wf_read_u64(r);
        break;
    case FIXED32:
        f->value = wf_read_u32(r);
        break;
    case BYTES:
        f->bytes.length = (size_t)read_varint(r);
        f->bytes.data = (const char *)wf_read_bytes(r, f->bytes.length);
        break;
    default:
        r->failed = true;
    }
    return !r->failed && f->number > 0;
}

/* ---- the model ---- */

static bool read_piece(wf_bytes bytes, wf_sentencepiece_piece *p) {
    wf_reader r = wf_reader_of(bytes.data, bytes.length);
    field f;
    *p = (wf_sentencepiece_piece){.text = {"", 0}, .type = 1};
    while (next_field(&r, &f)) {
        if (f.number == 1 && f.bytes.data)
            p->text = f.bytes;
        if (f.number == 2) {
            uint32_t bits = (uint32_t)f.value;
            memcpy(&p->score, &bits, sizeof p->score);
        }
        p->type = f.number == 3 ? f.value : p->type;
    }
    return !r.failed;
}

static bool read_trainer(wf_sentencepiece *m, wf_bytes bytes) {
    wf_reader r = wf_reader_of(bytes.data, bytes.length);
    field f;
    while (next_field(&r, &f)) {
        m->type = f.number == 3 ? f.value : m->type;
        m->suffix = f.number == 24 ? f.value != 0 : m->suffix;
        m->byte_fallback = f.number == 35 ? f.value != 0 : m->byte_fallback;
        m->bos = f.number == 41 ? (int32_t)f.value : m->bos;
        m->eos = f.number == 42 ? (int32_t)f.value : m->eos;
        m->unknown_surface = f.number == 44 && f.bytes.data ? f.bytes : m->unknown_surface;
    }
    return !r.failed;
}

static bool read_normalizer(wf_sentencepiece *m, wf_bytes bytes) {
    wf_reader r = wf_reader_of(bytes.data, bytes.length);
    field f;
    while (next_field(&r, &f)) {
        m->charsmap = f.number == 2 && f.bytes.data ? f.bytes : m->charsmap;
        m->dummy_prefix = f.number == 3 ? f.value != 0 : m->dummy_prefix;
        m->remove_extra = f.number == 4 ? f.value != 0 : m->remove_extra;
        m->escape = f.number == 5 ? f.value != 0 : m->escape;
    }
    return !r.failed;
}

/* Does the denormalizer have rules? */
static bool rewrites(wf_bytes bytes) {
    wf_reader r = wf_reader_of(bytes.data, bytes.length);
    field f;
    while (next_field(&r, &f))
        if (f.number == 2 && f.bytes.length)
            return true;
    return r.failed;
}

static weft_status note_piece(wf_sentencepiece *m, wf_bytes bytes) {
    static const char kinds[] = "?nucdxb";
    wf_sentencepiece_piece p;
    WF_CHECK(read_piece(bytes, &p) && p.type >= 1 && p.type <= 6, m->err, WEFT_BAD_INPUT, "piece %zu is damaged", m->pieces);
    WF_CHECK(wf_utf8_valid((const uint8_t *)p.text.data, p.text.length) && p.text.length > 0, m->err, WEFT_BAD_INPUT,
             "piece %zu is %s", m->pieces, p.text.length ? "not UTF-8" : "empty");
    WF_CHECK(p.score == p.score && p.score > -1e30f && p.score < 1e30f, m->err, WEFT_BAD_INPUT,
             "the score of piece %zu is no number", m->pieces);
    WF_CHECK(p.type != 2 || m->unknown < 0, m->err, WEFT_BAD_INPUT, "two unknown pieces");
    if (p.type == 2)
        m->unknown = (int64_t)m->pieces;
    wf_str_putc(&m->kinds, kinds[p.type]);
    m->pieces++;
    return WEFT_OK;
}

static weft_status read_model(wf_sentencepiece *m) {
    wf_reader r = wf_reader_of(m->in->files[0].data, m->in->files[0].length);
    field f;
    while (next_field(&r, &f)) {
        if (f.number == 1)
            WF_TRY(note_piece(m, f.bytes));
        WF_CHECK(f.number != 2 || read_trainer(m, f.bytes), m->err, WEFT_BAD_INPUT, "the trainer's settings are damaged");
        WF_CHECK(f.number != 3 || read_normalizer(m, f.bytes), m->err, WEFT_BAD_INPUT, "the normaliser's settings are damaged");
        WF_CHECK(f.number != 5 || f.bytes.length == 0 || !rewrites(f.bytes), m->err, WEFT_UNSUPPORTED,
                 "a SentencePiece model with a denormalizer");
    }
    WF_CHECK(!r.failed, m->err, WEFT_BAD_INPUT, "the file is cut off or no SentencePiece model, at byte %zu", r.position);
    WF_CHECK(m->pieces > 0 && m->unknown >= 0, m->err, WEFT_BAD_INPUT,
             "a SentencePiece model needs pieces, and one of them unknown");
    WF_CHECK(m->type >= WF_SP_UNIGRAM && m->type <= WF_SP_CHAR, m->err, WEFT_UNSUPPORTED,
             "SentencePiece models of an unknown type");
    return m->kinds.failed ? wf_fail_memory(m->err) : WEFT_OK;
}

void wf_each_piece(const wf_sentencepiece *m, void *user, wf_piece_fn fn) {
    wf_reader r = wf_reader_of(m->in->files[0].data, m->in->files[0].length);
    field f;
    for (uint32_t id = 0; next_field(&r, &f);) {
        wf_sentencepiece_piece p;
        if (f.number == 1 && read_piece(f.bytes, &p))
            fn(user, id++, &p);
    }
}

char *wf_piece_name(const wf_sentencepiece *m, wf_arena *arena, int64_t id) {
    wf_reader r = wf_reader_of(m->in->files[0].data, m->in->files[0].length);
    field f;
    for (int64_t at = 0; next_field(&r, &f);) {
        wf_sentencepiece_piece p;
        if (f.number == 1 && at++ == id && read_piece(f.bytes, &p))
            return wf_arena_strndup(arena, p.text.data, p.text.length);
    }
    return NULL;
}

/* ---- the kinds ---- */

static weft_status convert(const wf_kind_input *in, bool ids_beside, wf_str *json, weft_error *err) {
    wf_sentencepiece m = {.in = in,
                          .dummy_prefix = true,
                          .remove_extra = true,
                          .escape = true,
                          .type = 1,
                          .bos = 1,
                          .eos = 2,
                          .unknown = -1,
                          .unknown_surface = {" \xE2\x81\x87 ", 5},
                          .charsmap = {"", 0},
                          .kinds = wf_str_new(in->mem),
                          .err = err};
    wf_arena arena;
    wf_arena_init(&arena, in->mem, 0);
    weft_status status = read_model(&m);
    if (status == WEFT_OK)
        status = wf_write_sentencepiece(&m, ids_beside ? &in->files[1] : NULL, &arena, json);
    wf_arena_free(&arena);
    wf_str_free(&m.kinds);
    return status;
}

static weft_status convert_sentencepiece(const wf_kind_input *in, wf_str *json, weft_error *err) {
    return convert(in, false, json, err);
}

static weft_status convert_with_ids(const wf_kind_input *in, wf_str *json, weft_error *err) {
    return convert(in, true, json, err);
}

/* Fields of a ModelProto begin with the first piece: tag 0x0A, a length, and the piece's own tag 0x0A. */
static bool is_sentencepiece(const char *name, wf_bytes content) {
    return content.length > 4 && content.data[0] == 0x0A && (uint8_t)content.data[1] < 128 && content.data[2] == 0x0A;
}

static const char *const names[] = {"tokenizer.model",     "spiece.model", "sentencepiece.bpe.model",
                                    "sentencepiece.model", "spm.model",    NULL};
const wf_file_kind wf_kind_sentencepiece = {.name = "sentencepiece",
                                            .folder = names,
                                            .recognise = is_sentencepiece,
                                            .options = wf_class_options,
                                            .files = 1,
                                            .convert = convert_sentencepiece};

static const char *const with_ids_names[] = {"source.spm+vocab.json", "sentencepiece.bpe.model+vocab.json", NULL},
                         *const with_ids_targets[] = {"target.spm+target_vocab.json", "target.spm+vocab.json", NULL};
const wf_file_kind wf_kind_sentencepiece_ids = {.name = "sentencepiece+vocab.json",
                                                .folder = with_ids_names,
                                                .target = with_ids_targets,
                                                .options = wf_class_options,
                                                .usual_class = "MarianTokenizer",
                                                .files = 2,
                                                .convert = convert_with_ids};

/* Half of a Marian folder: refused with what is missing. */
static const char *const source_names[] = {"source.spm", NULL};
const wf_file_kind wf_kind_sentencepiece_source = {.name = "source.spm",
                                                   .folder = source_names,
                                                   .options = wf_class_options,
                                                   .usual_class = "MarianTokenizer",
                                                   .files = 1,
                                                   .convert = convert_sentencepiece};
