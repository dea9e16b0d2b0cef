/* kind_sentencepiece.c - SentencePiece .model files: a protocol buffer of pieces and of the normaliser's and trainer's
 * settings. */
#include <string.h>

#include "base/reader.h"
#include "base/base64.h"
#include "text/file_kinds.h"
#include "text/unicode.h"
#include "text/write_json.h"

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

typedef struct model {
    const wf_kind_input *in;
    wf_bytes charsmap, unknown_surface;
    bool dummy_prefix, remove_extra, escape, suffix, byte_fallback;
    uint64_t type; /* 1 unigram, 2 bpe, 3 word, 4 char */
    int64_t bos, eos;
    size_t pieces;
    wf_str kinds;
    int64_t unknown;
    weft_error *err;
} model;

typedef struct piece {
    wf_bytes text;
    float score;
    uint64_t type;
} piece;

static bool read_piece(wf_bytes bytes, piece *p) {
    wf_reader r = wf_reader_of(bytes.data, bytes.length);
    field f;
    *p = (piece){.text = {"", 0}, .type = 1};
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

static bool read_trainer(model *m, wf_bytes bytes) {
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

static bool read_normalizer(model *m, wf_bytes bytes) {
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

static weft_status note_piece(model *m, wf_bytes bytes) {
    static const char kinds[] = "?nucdxb";
    piece p;
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

static weft_status read_model(model *m) {
    wf_reader r = wf_reader_of(m->in->files[0].data, m->in->files[0].length);
    field f;
    while (next_field(&r, &f)) {
        if (f.number == 1)
            WF_TRY(note_piece(m, f.bytes));
        WF_CHECK(f.number != 2 || read_trainer(m, f.bytes), m->err, WEFT_BAD_INPUT, "the trainer's settings are damaged");
        WF_CHECK(f.number != 3 || read_normalizer(m, f.bytes), m->err, WEFT_BAD_INPUT, "the normaliser's settings are damaged");
    }
    WF_CHECK(!r.failed, m->err, WEFT_BAD_INPUT, "the file is cut off or no SentencePiece model, at byte %zu", r.position);
    WF_CHECK(m->pieces > 0 && m->unknown >= 0, m->err, WEFT_BAD_INPUT,
             "a SentencePiece model needs pieces, and one of them unknown");
    WF_CHECK(m->type == 1 || m->type == 2, m->err, WEFT_UNSUPPORTED, "SentencePiece models of type %llu (word or char)",
             (unsigned long long)m->type);
    return m->kinds.failed ? wf_fail_memory(m->err) : WEFT_OK;
}

/* ---- what the classes of Hugging Face do with such a file ---- */
static const struct class {
    const char *name;
    bool eos;          /* a text ends with it, whatever the options say */
    const char *other; /* the file alone does not say the ids: why not */
} classes[] = {{"T5Tokenizer", true, NULL},
               {"MarianTokenizer", false, "takes its ids from vocab.json"},
               {"M2M100Tokenizer", false, "takes its ids from vocab.json"},
               {"Speech2TextTokenizer", false, "takes its ids from vocab.json"},
               {"MBartTokenizer", false, "moves the ids of the file"},
               {"MBart50Tokenizer", false, "moves the ids of the file"},
               {"NllbTokenizer", false, "moves the ids of the file"},
               {"PLBartTokenizer", false, "moves the ids of the file"},
               {"PegasusTokenizer", false, "moves the ids of the file"},
               {"XLMRobertaTokenizer", false, "moves the ids of the file"},
               {"CamembertTokenizer", false, "moves the ids of the file"},
               {"XGLMTokenizer", false, "moves the ids of the file"}};

static const struct class *class_of(const wf_kind_input *in) {
    const char *said = wf_json_text(in->options, "tokenizer_class", "");
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (wf_starts_with(said, classes[i].name))
            return &classes[i];
    return NULL;
}

/* ---- writing ---- */

typedef void (*piece_fn)(const model *m, wf_json_writer *w, uint32_t id, const piece *p);

static void each_piece(const model *m, wf_json_writer *w, piece_fn fn) {
    wf_reader r = wf_reader_of(m->in->files[0].data, m->in->files[0].length);
    field f;
    for (uint32_t id = 0; next_field(&r, &f);) {
        piece p;
        if (f.number == 1 && read_piece(f.bytes, &p))
            fn(m, w, id++, &p);
    }
}

static void write_scored(const model *m, wf_json_writer *w, uint32_t id, const piece *p) {
    wf_jw_begin(w, '[');
    wf_jw_string_n(w, p->text.data, p->text.length);
    wf_jw_double(w, (double)p->score);
    wf_jw_end(w, ']');
}

static void write_control(const model *m, wf_json_writer *w, uint32_t id, const piece *p) {
    if (p->type == 3 || p->type == 2)
        wf_jw_special(w, id, p->text);
}

static void write_control_text(const model *m, wf_json_writer *w, uint32_t id, const piece *p) {
    if (p->type == 3)
        wf_jw_string_n(w, p->text.data, p->text.length);
}

static void write_user_text(const model *m, wf_json_writer *w, uint32_t id, const piece *p) {
    if (p->type == 4)
        wf_jw_string_n(w, p->text.data, p->text.length);
}

static void write_unknown_text(const model *m, wf_json_writer *w, uint32_t id, const piece *p) {
    if (p->type != 2)
        return;
    wf_jw_key(w, "unknown");
    wf_jw_string_n(w, p->text.data, p->text.length);
}

static void write_normalizer(const model *m, wf_json_writer *w) {
    wf_str map = wf_str_new(m->in->mem);
    wf_base64_encode((const uint8_t *)m->charsmap.data, m->charsmap.length, &map);
    wf_jw_open(w, "normalizer", '{');
    wf_jw_text(w, "type", "SentencePiece");
    wf_jw_text(w, "precompiled_charsmap", wf_str_text(&map));
    wf_jw_flag(w, "add_dummy_prefix", m->dummy_prefix);
    wf_jw_flag(w, "remove_extra_whitespaces", m->remove_extra);
    wf_jw_flag(w, "escape_whitespaces", m->escape);
    wf_jw_flag(w, "whitespace_as_suffix", m->suffix);
    wf_jw_open(w, "kept", '[');
    each_piece(m, w, write_user_text);
    wf_jw_end(w, ']');
    wf_jw_end(w, '}');
    w->out->failed = w->out->failed || map.failed;
    wf_str_free(&map);
}

static void write_decoder(const model *m, wf_json_writer *w) {
    wf_jw_open(w, "decoder", '{');
    wf_jw_text(w, "type", "SentencePiece");
    wf_jw_flag(w, "add_dummy_prefix", m->dummy_prefix);
    wf_jw_flag(w, "remove_extra_whitespaces", m->remove_extra);
    each_piece(m, w, write_unknown_text);
    wf_jw_key(w, "unknown_surface");
    wf_jw_string_n(w, m->unknown_surface.data, m->unknown_surface.length);
    wf_jw_open(w, "control", '[');
    each_piece(m, w, write_control_text);
    wf_jw_end(w, ']');
    wf_jw_flag(w, "byte_fallback", strchr(wf_str_text(&m->kinds), 'b') != NULL);
    wf_jw_end(w, '}');
}

static void write_model(const model *m, wf_json_writer *w) {
    wf_jw_open(w, "model", '{');
    wf_jw_text(w, "type", m->type == 1 ? "Unigram" : "ScoredBPE");
    if (m->type == 1)
        wf_jw_flag(w, "single_precision", true);
    wf_jw_key(w, "unk_id");
    wf_jw_int(w, m->unknown);
    wf_jw_flag(w, "byte_fallback", m->byte_fallback);
    wf_jw_text(w, "kinds", wf_str_text(&m->kinds));
    wf_jw_open(w, "vocab", '[');
    each_piece(m, w, write_scored);
    wf_jw_end(w, ']');
    wf_jw_end(w, '}');
}

/* The piece with an id, as text in the arena; NULL when there is none. */
static char *name_of(const model *m, wf_arena *arena, int64_t id) {
    wf_reader r = wf_reader_of(m->in->files[0].data, m->in->files[0].length);
    field f;
    for (int64_t at = 0; next_field(&r, &f);) {
        piece p;
        if (f.number == 1 && at++ == id && read_piece(f.bytes, &p))
            return wf_arena_strndup(arena, p.text.data, p.text.length);
    }
    return NULL;
}

static void write_all(const model *m, wf_json_writer *w, wf_arena *arena) {
    wf_frame frame = {.bos_id = (uint32_t)m->bos, .eos_id = (uint32_t)m->eos};
    if (wf_json_bool(m->in->options, "add_bos_token", false))
        frame.bos = name_of(m, arena, m->bos);
    const struct class *class = class_of(m->in);
    if ((class && class->eos) || wf_json_bool(m->in->options, "add_eos_token", false))
        frame.eos = name_of(m, arena, m->eos);
    wf_jw_begin_tokenizer(w);
    wf_jw_open(w, "added_tokens", '[');
    each_piece(m, w, write_control);
    wf_jw_end(w, ']');
    write_normalizer(m, w);
    wf_jw_template(w, &frame);
    write_decoder(m, w);
    write_model(m, w);
    wf_jw_end(w, '}');
}

static weft_status convert_sentencepiece(const wf_kind_input *in, wf_str *json, weft_error *err) {
    model m = {.in = in,
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
    wf_json_writer w;
    wf_arena arena;
    wf_arena_init(&arena, in->mem, 0);
    const struct class *class = class_of(in);
    weft_status status = class && class->other ? wf_fail(err, WEFT_UNSUPPORTED, "%s %s, which is not read (tokenizer.json is)",
                                                         class->name, class->other)
                                               : read_model(&m);
    wf_json_writer_init(&w, json, 0);
    if (status == WEFT_OK)
        write_all(&m, &w, &arena);
    wf_arena_free(&arena);
    wf_str_free(&m.kinds);
    return status;
}

/* Fields of a ModelProto begin with the first piece: tag 0x0A, a length, and the piece's own tag 0x0A. */
static bool is_sentencepiece(const char *name, wf_bytes content) {
    return content.length > 4 && content.data[0] == 0x0A && (uint8_t)content.data[1] < 128 && content.data[2] == 0x0A;
}

static const char *const names[] = {"tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "spm.model", NULL},
                         *const options[] = {"add_bos_token", "add_eos_token", "tokenizer_class", NULL};
const wf_file_kind wf_kind_sentencepiece = {.name = "sentencepiece",
                                            .folder = names,
                                            .recognise = is_sentencepiece,
                                            .options = options,
                                            .files = 1,
                                            .convert = convert_sentencepiece};

/* ---- Marian's ---- */
static weft_status refuse_pair(const wf_kind_input *in, wf_str *json, weft_error *err) {
    (void)in, (void)json;
    return wf_fail(err, WEFT_UNSUPPORTED, "source.spm and target.spm with ids from vocab.json (tokenizer.json is read)");
}

static const char *const pair_names[] = {"source.spm", NULL}, *const pair_options[] = {NULL};
const wf_file_kind wf_kind_sentencepiece_pair = {
    .name = "source.spm", .folder = pair_names, .options = pair_options, .files = 1, .convert = refuse_pair};
