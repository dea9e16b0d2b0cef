/* write_json.c - see the header. */
#include "text/write_json.h"

#include "text/bytelevel.h"

void wf_jw_null_member(wf_json_writer *w, const char *key) {
    wf_jw_key(w, key);
    wf_jw_null(w);
}

void wf_jw_flag(wf_json_writer *w, const char *key, bool value) {
    wf_jw_key(w, key);
    wf_jw_bool(w, value);
}

void wf_jw_text(wf_json_writer *w, const char *key, const char *value) {
    wf_jw_key(w, key);
    wf_jw_string(w, value);
}

void wf_jw_open(wf_json_writer *w, const char *key, char bracket) {
    if (key)
        wf_jw_key(w, key);
    wf_jw_begin(w, bracket);
}

void wf_jw_begin_tokenizer(wf_json_writer *w) {
    wf_jw_begin(w, '{');
    wf_jw_text(w, "version", "1.0");
    wf_jw_null_member(w, "truncation");
    wf_jw_null_member(w, "padding");
}

void wf_jw_added(wf_json_writer *w, const wf_added_entry *a) {
    wf_jw_begin(w, '{');
    wf_jw_key(w, "id");
    wf_jw_int(w, a->id);
    wf_jw_key(w, "content");
    wf_jw_string_n(w, a->content.data, a->content.length);
    wf_jw_flag(w, "single_word", a->single_word);
    wf_jw_flag(w, "lstrip", a->lstrip);
    wf_jw_flag(w, "rstrip", a->rstrip);
    wf_jw_flag(w, "normalized", a->normalized);
    wf_jw_flag(w, "special", a->special);
    wf_jw_end(w, '}');
}

void wf_jw_special(wf_json_writer *w, uint32_t id, wf_bytes content) {
    wf_jw_added(w, &(wf_added_entry){.id = id, .content = content, .special = true});
}

void wf_jw_byte_level(wf_json_writer *w, const char *key, bool add_prefix_space, bool trim_offsets, bool use_regex) {
    wf_jw_open(w, key, '{');
    wf_jw_text(w, "type", "ByteLevel");
    wf_jw_flag(w, "add_prefix_space", add_prefix_space);
    wf_jw_flag(w, "trim_offsets", trim_offsets);
    wf_jw_flag(w, "use_regex", use_regex);
    wf_jw_end(w, '}');
}

void wf_jw_template_item(wf_json_writer *w, bool sequence, const char *id, int type) {
    wf_jw_begin(w, '{');
    wf_jw_open(w, sequence ? "Sequence" : "SpecialToken", '{');
    wf_jw_text(w, "id", id);
    wf_jw_key(w, "type_id");
    wf_jw_int(w, type);
    wf_jw_end(w, '}');
    wf_jw_end(w, '}');
}

static void write_framed(wf_json_writer *w, const wf_frame *f, const char *sequence, int type) {
    if (f->bos)
        wf_jw_template_item(w, false, f->bos, type);
    wf_jw_template_item(w, true, sequence, type);
    if (f->eos)
        wf_jw_template_item(w, false, f->eos, type);
}

void wf_jw_template_token(wf_json_writer *w, const char *name, uint32_t id) {
    wf_jw_open(w, name, '{');
    wf_jw_text(w, "id", name);
    wf_jw_open(w, "ids", '[');
    wf_jw_int(w, id);
    wf_jw_end(w, ']');
    wf_jw_open(w, "tokens", '[');
    wf_jw_string(w, name);
    wf_jw_end(w, ']');
    wf_jw_end(w, '}');
}

void wf_jw_template(wf_json_writer *w, const wf_frame *f) {
    if (!f->bos && !f->eos) {
        wf_jw_null_member(w, "post_processor");
        return;
    }
    wf_jw_open(w, "post_processor", '{');
    wf_jw_text(w, "type", "TemplateProcessing");
    wf_jw_open(w, "single", '[');
    write_framed(w, f, "A", 0);
    wf_jw_end(w, ']');
    wf_jw_open(w, "pair", '[');
    write_framed(w, f, "A", 0);
    write_framed(w, f, "B", 1);
    wf_jw_end(w, ']');
    wf_jw_open(w, "special_tokens", '{');
    if (f->bos)
        wf_jw_template_token(w, f->bos, f->bos_id);
    if (f->eos && !(f->bos && wf_streq(f->bos, f->eos)))
        wf_jw_template_token(w, f->eos, f->eos_id);
    wf_jw_end(w, '}');
    wf_jw_end(w, '}');
}

void wf_jw_letters(wf_json_writer *w, wf_bytes bytes, wf_str *scratch) {
    wf_str_clear(scratch);
    for (size_t i = 0; i < bytes.length; i++) {
        char letter[WF_LETTER_BYTES];
        wf_str_put(scratch, letter, wf_put_letter((uint8_t)bytes.data[i], letter));
    }
    wf_jw_string_n(w, wf_str_text(scratch), scratch->length);
    w->out->failed = w->out->failed || scratch->failed;
}
