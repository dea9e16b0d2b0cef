/* write_json.h - parts of a tokenizer.json that several writers share. */
#ifndef WF_TEXT_WRITE_JSON_H
#define WF_TEXT_WRITE_JSON_H
#include "base/json.h"
#include "text/tokenizer.h"

void wf_jw_null_member(wf_json_writer *w, const char *key);
void wf_jw_flag(wf_json_writer *w, const char *key, bool value);
void wf_jw_text(wf_json_writer *w, const char *key, const char *value);
void wf_jw_open(wf_json_writer *w, const char *key, char bracket); /* key NULL: inside a list */
/* Opens the object: version, truncation and padding. */
void wf_jw_begin_tokenizer(wf_json_writer *w);
/* One entry of added_tokens. */
typedef struct wf_added_entry {
    uint32_t id;
    wf_bytes content;
    bool special, lstrip, rstrip, single_word, normalized;
} wf_added_entry;
void wf_jw_added(wf_json_writer *w, const wf_added_entry *a);
void wf_jw_special(wf_json_writer *w, uint32_t id, wf_bytes content); /* a special one */
/* A ByteLevel member. */
void wf_jw_byte_level(wf_json_writer *w, const char *key, bool add_prefix_space, bool trim_offsets, bool use_regex);
/* TemplateProcessing with the given tokens around a text; a name of NULL leaves that one out. Pairs: twice, with types 0 and 1.
 */
typedef struct wf_frame {
    const char *bos, *eos;
    uint32_t bos_id, eos_id;
} wf_frame;
void wf_jw_template(wf_json_writer *w, const wf_frame *f);
/* Its parts: an entry of a template, and of special_tokens. */
void wf_jw_template_item(wf_json_writer *w, bool sequence, const char *id, int type);
void wf_jw_template_token(wf_json_writer *w, const char *name, uint32_t id);
/* The letters of bytes, as a string. */
void wf_jw_letters(wf_json_writer *w, wf_bytes bytes, wf_str *scratch);
#endif
