/* save.c - tokenizer.json of byte-level BPE, as Hugging Face's `tokenizers` reads it; and the byte tokenizer. */
#include "text/bytelevel.h"
#include "text/engine.h"

#include <stdio.h>
#include <string.h>

static void write_byte_level(wf_json_writer *w, const char *key, bool use_regex) {
    wf_jw_key(w, key);
    wf_jw_begin(w, '{');
    wf_jw_key(w, "type");
    wf_jw_string(w, "ByteLevel");
    wf_jw_key(w, "add_prefix_space");
    wf_jw_bool(w, false);
    wf_jw_key(w, "trim_offsets");
    wf_jw_bool(w, true);
    wf_jw_key(w, "use_regex");
    wf_jw_bool(w, use_regex);
    wf_jw_end(w, '}');
}

static void write_null(wf_json_writer *w, const char *key) {
    wf_jw_key(w, key);
    wf_jw_null(w);
}

static void write_flag(wf_json_writer *w, const char *key, bool value) {
    wf_jw_key(w, key);
    wf_jw_bool(w, value);
}

static void write_added(wf_json_writer *w, const wf_bpe_writing *b) {
    wf_jw_key(w, "added_tokens");
    wf_jw_begin(w, '[');
    for (size_t i = 0; i < b->n_specials; i++) {
        wf_jw_begin(w, '{');
        wf_jw_key(w, "id");
        wf_jw_int(w, (int64_t)(b->first_special + i));
        wf_jw_key(w, "content");
        wf_jw_string(w, b->specials[i]);
        write_flag(w, "single_word", false);
        write_flag(w, "lstrip", false);
        write_flag(w, "rstrip", false);
        write_flag(w, "normalized", false);
        write_flag(w, "special", true);
        wf_jw_end(w, '}');
    }
    wf_jw_end(w, ']');
}

static void write_model(wf_json_writer *w, const wf_bpe_writing *b) {
    wf_jw_key(w, "model");
    wf_jw_begin(w, '{');
    wf_jw_key(w, "type");
    wf_jw_string(w, "BPE");
    write_null(w, "dropout");
    write_null(w, "unk_token");
    write_null(w, "continuing_subword_prefix");
    write_null(w, "end_of_word_suffix");
    write_flag(w, "fuse_unk", false);
    write_flag(w, "byte_fallback", false);
    write_flag(w, "ignore_merges", false);
    wf_jw_key(w, "vocab");
    wf_jw_begin(w, '{');
    for (size_t i = 0; i < b->n_tokens; i++) {
        wf_jw_key(w, b->tokens[i]);
        wf_jw_int(w, (int64_t)i);
    }
    wf_jw_end(w, '}');
    wf_jw_key(w, "merges"); /* as texts, which every version of the reference reads; letters hold no spaces */
    wf_jw_begin(w, '[');
    for (size_t i = 0; i < b->n_merges; i++)
        wf_jw_string(w, b->merges[i]);
    wf_jw_end(w, ']');
    wf_jw_end(w, '}');
}

weft_status wf_write_bpe_json(const wf_bpe_writing *b, wf_str *out, weft_error *err) {
    wf_json_writer w;
    wf_json_writer_init(&w, out, 2);
    wf_jw_begin(&w, '{');
    wf_jw_key(&w, "version");
    wf_jw_string(&w, "1.0");
    write_null(&w, "truncation");
    write_null(&w, "padding");
    write_added(&w, b);
    write_null(&w, "normalizer");
    write_byte_level(&w, "pre_tokenizer", b->use_regex);
    write_null(&w, "post_processor");
    write_byte_level(&w, "decoder", b->use_regex);
    write_model(&w, b);
    wf_jw_end(&w, '}');
    wf_str_putc(out, '\n');
    return out->failed ? wf_fail_memory(err) : WEFT_OK;
}

weft_status wf_check_specials(const char *const *specials, size_t n, weft_error *err) {
    WF_CHECK(n <= 1024, err, WEFT_USAGE, "%zu special tokens; the limit is 1024", n);
    for (size_t i = 0; i < n; i++) {
        WF_CHECK(specials[i][0], err, WEFT_USAGE, "a special token must not be empty");
        for (size_t k = 0; specials[i][k];) {
            int step = wf_utf8_length(specials[i] + k, strlen(specials[i] + k));
            WF_CHECK(step > 0, err, WEFT_USAGE, "special token %zu is not valid UTF-8", i);
            k += (size_t)step;
        }
        for (size_t j = 0; j < i; j++)
            WF_CHECK(strcmp(specials[i], specials[j]) != 0, err, WEFT_USAGE, "the special token \"%s\" is given twice",
                     specials[i]);
    }
    return WEFT_OK;
}

weft_status wf_tokenizer_bytes(const wf_mem *mem, const char *const *specials, size_t n_specials, wf_tokenizer **out,
                               weft_error *err) {
    char letters[256][WF_LETTER_BYTES + 1] = {{0}};
    const char *tokens[256];
    WF_TRY(wf_check_specials(specials, n_specials, err));
    for (int b = 0; b < 256; b++) {
        wf_put_letter((uint8_t)b, letters[b]);
        tokens[b] = letters[b];
    }
    for (size_t i = 0; i < n_specials; i++)
        for (int b = 0; b < 256; b++)
            WF_CHECK(strcmp(specials[i], tokens[b]) != 0, err, WEFT_USAGE, "the special token \"%s\" is the letter of a byte",
                     specials[i]);
    wf_bpe_writing writing = {
        .specials = specials, .n_specials = n_specials, .first_special = 256, .tokens = tokens, .n_tokens = 256};
    wf_str json = wf_str_new(mem);
    weft_status status = wf_write_bpe_json(&writing, &json, err);
    if (status == WEFT_OK)
        status = wf_tokenizer_parse(mem, json.data, json.length, out, err);
    wf_str_free(&json);
    return status;
}
