/* kind_llama2c.c - the tokenizer.bin of llama2.c: the longest token's length, then for each token its score, length and bytes.
 * A SentencePiece vocabulary whose blanks are blanks again; bytes have the tokens 3 to 258. Source: llama2.c, tokenizer.py and
 * run.c. */
#include <stdio.h>
#include <string.h>

#include "base/reader.h"
#include "text/file_kinds.h"
#include "text/write_json.h"

enum { UNKNOWN = 0, BOS = 1, EOS = 2, FIRST_BYTE = 3, PLAIN = FIRST_BYTE + 256, LONGEST = 4096 };

typedef struct token {
    float score;
    wf_bytes text;
} token;

static bool next_token(wf_reader *r, token *t) {
    t->score = wf_read_f32(r);
    t->text.length = wf_read_u32(r);
    t->text.data = t->text.length <= LONGEST ? (const char *)wf_read_bytes(r, t->text.length) : NULL;
    return t->text.data && !r->failed;
}

static bool is_byte(const token *t, size_t id) {
    char name[8];
    snprintf(name, sizeof name, "<0x%02X>", (unsigned)(id - FIRST_BYTE) & 255u);
    return t->text.length == 6 && memcmp(t->text.data, name, 6) == 0;
}

/* Every byte of the file must belong to a token, and the bytes' tokens must be in their places. */
static size_t count_tokens(wf_bytes content) {
    wf_reader r = wf_reader_of(content.data, content.length);
    token t;
    size_t n = 0;
    if (wf_read_u32(&r) > LONGEST)
        return 0;
    for (; wf_reader_left(&r) > 0; n++)
        if (!next_token(&r, &t) || (n >= FIRST_BYTE && n < PLAIN && !is_byte(&t, n)))
            return 0;
    return n >= PLAIN ? n : 0;
}

static bool is_llama2c(const char *name, wf_bytes content) {
    (void)name;
    return count_tokens(content) > 0;
}

static const char *const specials[] = {"<unk>", "<s>", "</s>"};

static void write_added(wf_json_writer *w) {
    wf_jw_open(w, "added_tokens", '[');
    for (uint32_t i = UNKNOWN; i <= EOS; i++)
        wf_jw_special(w, i, (wf_bytes){specials[i], strlen(specials[i])});
    wf_jw_end(w, ']');
}

static void write_type(wf_json_writer *w, const char *key, const char *type) {
    wf_jw_open(w, key, '{');
    wf_jw_text(w, "type", type);
}

static void write_replace(wf_json_writer *w, const char *from, const char *to) {
    write_type(w, NULL, "Replace");
    wf_jw_open(w, "pattern", '{');
    wf_jw_text(w, "String", from);
    wf_jw_end(w, '}');
    wf_jw_text(w, "content", to);
    wf_jw_end(w, '}');
}

/* Texts begin with a blank, and blanks are U+2581; on the way back the first blank goes. */
static void write_blanks(wf_json_writer *w) {
    write_type(w, "normalizer", "Sequence");
    wf_jw_open(w, "normalizers", '[');
    write_type(w, NULL, "Prepend");
    wf_jw_text(w, "prepend", "\xE2\x96\x81");
    wf_jw_end(w, '}');
    write_replace(w, " ", "\xE2\x96\x81");
    wf_jw_end(w, ']');
    wf_jw_end(w, '}');
    write_type(w, "decoder", "Sequence");
    wf_jw_open(w, "decoders", '[');
    write_replace(w, "\xE2\x96\x81", " ");
    write_type(w, NULL, "ByteFallback");
    wf_jw_end(w, '}');
    write_type(w, NULL, "Fuse");
    wf_jw_end(w, '}');
    write_type(w, NULL, "Strip");
    wf_jw_text(w, "content", " ");
    wf_jw_key(w, "start");
    wf_jw_int(w, 1);
    wf_jw_key(w, "stop");
    wf_jw_int(w, 0);
    wf_jw_end(w, '}');
    wf_jw_end(w, ']');
    wf_jw_end(w, '}');
}

static void write_piece(wf_json_writer *w, const token *t, size_t id, wf_str *scratch) {
    wf_str_clear(scratch);
    for (size_t i = 0; i < t->text.length && id > EOS; i++)
        if (t->text.data[i] == ' ')
            wf_str_puts(scratch, "\xE2\x96\x81");
        else
            wf_str_putc(scratch, t->text.data[i]);
    wf_jw_begin(w, '[');
    if (id <= EOS)
        wf_jw_string(w, specials[id]);
    else
        wf_jw_string_n(w, wf_str_text(scratch), scratch->length);
    wf_jw_double(w, (double)t->score);
    wf_jw_end(w, ']');
}

static weft_status write_model(const wf_kind_input *in, size_t count, wf_json_writer *w, weft_error *err) {
    wf_reader r = wf_reader_of(in->files[0].data, in->files[0].length);
    wf_str scratch = wf_str_new(in->mem), kinds = wf_str_new(in->mem);
    token t;
    wf_read_u32(&r);
    for (size_t i = 0; i < count; i++)
        wf_str_putc(&kinds, i == UNKNOWN ? 'u' : i <= EOS ? 'c' : i < PLAIN ? 'b' : 'n');
    write_type(w, "model", "ScoredBPE");
    wf_jw_flag(w, "byte_fallback", true);
    wf_jw_key(w, "unk_id");
    wf_jw_int(w, UNKNOWN);
    wf_jw_text(w, "kinds", wf_str_text(&kinds));
    wf_jw_open(w, "vocab", '[');
    for (size_t i = 0; i < count && next_token(&r, &t); i++)
        write_piece(w, &t, i, &scratch);
    wf_jw_end(w, ']');
    wf_jw_end(w, '}');
    weft_status status = scratch.failed || kinds.failed ? wf_fail_memory(err) : WEFT_OK;
    wf_str_free(&scratch);
    wf_str_free(&kinds);
    return status;
}

static weft_status convert(const wf_kind_input *in, wf_str *json, weft_error *err) {
    wf_json_writer w;
    size_t count = count_tokens(in->files[0]);
    WF_CHECK(count > 0, err, WEFT_BAD_INPUT, "this is no tokenizer.bin of llama2.c");
    wf_json_writer_init(&w, json, 0);
    wf_jw_begin_tokenizer(&w);
    write_added(&w);
    write_blanks(&w);
    wf_jw_template(&w, &(wf_frame){.bos = "<s>", .bos_id = BOS});
    WF_TRY(write_model(in, count, &w, err));
    wf_jw_end(&w, '}');
    return WEFT_OK;
}

static const char *const file_names[] = {"tokenizer.bin", "tok*.bin", NULL}, *const options[] = {NULL};
const wf_file_kind wf_kind_llama2c = {
    .name = "llama2.c", .folder = file_names, .recognise = is_llama2c, .options = options, .files = 1, .convert = convert};
