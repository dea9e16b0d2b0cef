/* chat.c - what happens to messages before a template sees them, and where a folder keeps its template. */
#include "template/chat.h"
#include <string.h>
#include "base/reader.h"

static const char continue_tag[] = "CONTINUE_FINAL_MESSAGE_TAG ";
static const char *const reasoning_fields[] = {"reasoning_content", "thinking", "reasoning", NULL};

static bool is_kind(const wf_json *j, wf_json_kind kind) { return j && j->kind == kind; }
static bool is_there(const wf_json *j) { return j && j->kind != WF_JSON_NULL; }

/* ---- messages ---- */

static const wf_json *reasoning_of(const wf_json *message) {
    for (const char *const *field = reasoning_fields; *field; field++) {
        const wf_json *j = wf_json_get(message, *field);
        if (is_there(j))
            return j;
    }
    return NULL;
}

/* {"thinking": reasoning, ...message, "reasoning_content": reasoning} */
static wf_json *prepared(wf_arena *arena, const wf_json *message) {
    const wf_json *reasoning = reasoning_of(message);
    if (!reasoning)
        return wf_json_copy(arena, message);
    wf_json *out = wf_json_new(arena, WF_JSON_OBJECT);
    wf_json_put(arena, out, "thinking", wf_json_copy(arena, reasoning));
    for (const wf_json *j = message->child; j; j = j->next)
        wf_json_put(arena, out, j->key, wf_json_copy(arena, j));
    return wf_json_put(arena, out, "reasoning_content", wf_json_copy(arena, reasoning)) ? out : NULL;
}

static weft_status prepare(wf_arena *arena, const wf_json *messages, wf_json **out, weft_error *err) {
    WF_CHECK(is_kind(messages, WF_JSON_ARRAY), err, WEFT_BAD_INPUT, "the messages of a chat are a list");
    *out = wf_json_new(arena, WF_JSON_ARRAY);
    for (const wf_json *one = messages->child; one; one = one->next) {
        WF_CHECK(one->kind == WF_JSON_OBJECT, err, WEFT_BAD_INPUT, "a message of a chat is an object with role and content");
        wf_json_push(*out, prepared(arena, one));
    }
    return arena->failed ? wf_fail_memory(err) : WEFT_OK;
}

/* ---- continuing the last message ---- */

typedef struct continuation {
    wf_arena *arena;
    wf_json *last;
    const char *field, *text; /* the text to be continued */
    weft_error *err;
} continuation;

static weft_status append_tag(continuation *c, wf_json *text) {
    c->text = text->string;
    char *joined = wf_arena_printf(c->arena, "%s%s", text->string, continue_tag);
    if (!joined)
        return wf_fail_memory(c->err);
    text->string = joined;
    text->length = strlen(joined);
    return WEFT_OK;
}

/* Content in blocks: the last one with a text. */
static weft_status tag_blocks(continuation *c, wf_json *blocks) {
    wf_json *text = NULL;
    for (wf_json *block = blocks->child; block; block = block->next)
        for (wf_json *j = block->kind == WF_JSON_OBJECT ? block->child : NULL; j; j = j->next)
            text = wf_streq(j->key, "text") && j->kind == WF_JSON_STRING ? j : text;
    WF_CHECK(text, c->err, WEFT_BAD_INPUT, "continue_final_message is set but we could not find any text to continue in the final message!");
    return append_tag(c, text);
}

static bool is_reasoning(const char *field) {
    for (const char *const *word = reasoning_fields; *word; word++)
        if (wf_streq(field, *word))
            return true;
    return false;
}

/* Reasoning stands under several names: every copy is marked. */
static weft_status tag_text(continuation *c, const wf_json *content) {
    const char *original = content->string;
    bool copies = is_reasoning(c->field);
    for (wf_json *j = c->last->child; j; j = j->next)
        if (j->kind == WF_JSON_STRING && (copies ? is_reasoning(j->key) && wf_streq(j->string, original) : wf_streq(j->key, c->field)))
            WF_TRY(append_tag(c, j));
    c->text = original;
    return WEFT_OK;
}

static weft_status tag_last(continuation *c, const char *source) {
    WF_CHECK(c->last, c->err, WEFT_BAD_INPUT, "continue_final_message is set but the conversation is empty!");
    const wf_json *content = wf_json_get(c->last, c->field);
    WF_CHECK(is_there(content), c->err, WEFT_BAD_INPUT, "continue_final_message is set but the final message has no \"%s\" to continue!", c->field);
    bool named = strstr(source, c->field) != NULL;
    for (const char *const *word = reasoning_fields; *word && is_reasoning(c->field); word++)
        named |= is_there(wf_json_get(c->last, *word)) && strstr(source, *word);
    WF_CHECK(named, c->err, WEFT_BAD_INPUT, "continue_final_message is set to \"%s\" but this is not an accepted field in the chat_template", c->field);
    for (wf_json *j = c->last->child; j; j = j->next)
        if (wf_streq(j->key, c->field) && j->kind == WF_JSON_ARRAY)
            return tag_blocks(c, j);
    WF_CHECK(content->kind == WF_JSON_STRING, c->err, WEFT_BAD_INPUT, "the content of the final message is not a text");
    return tag_text(c, content);
}

static bool blank_at(const char *text, size_t end, size_t *start) {
    static const char *const wide[] = {"\xC2\x85", "\xC2\xA0", "\xE1\x9A\x80", "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80"};
    unsigned char last = (unsigned char)text[end - 1];
    *start = end - 1;
    if ((last >= 9 && last <= 13) || (last >= 28 && last <= 32))
        return true;
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        size_t n = strlen(wide[i]);
        if (end >= n && memcmp(text + end - n, wide[i], n) == 0) {
            *start = end - n;
            return true;
        }
    }
    *start = end - 3; /* U+2000 to U+200A */
    return end >= 3 && memcmp(text + end - 3, "\xE2\x80", 2) == 0 && last >= 0x80 && last <= 0x8A;
}

static void cut(wf_str *text, size_t length) {
    text->length = length;
    if (text->data)
        text->data[length] = 0;
}

static void strip_end(wf_str *text) {
    size_t end = text->length, start;
    while (end > 0 && blank_at(text->data, end, &start))
        end = start;
    cut(text, end);
}

/* `text` without white space at its ends; in the arena. */
static char *stripped(wf_arena *arena, const char *text) {
    wf_str s = wf_str_new(arena->mem);
    size_t length;
    wf_str_puts(&s, text);
    strip_end(&s);
    const char *from = wf_str_text(&s);
    while ((length = (size_t)wf_utf8_length(from, strlen(from))) > 0) {
        size_t start;
        if (!blank_at(from, length, &start) || start != 0)
            break;
        from += length;
    }
    char *out = s.failed ? NULL : wf_arena_strdup(arena, from);
    wf_str_free(&s);
    return out;
}

/* Cuts the text at the last tag; when the template trimmed the blank of the tag, it trimmed those in front too. */
static weft_status cut_at_tag(const continuation *c, wf_str *text) {
    const char *tag = NULL;
    const size_t bare = sizeof continue_tag - 2;
    const char *final = stripped(c->arena, c->text);
    if (!final)
        return wf_fail_memory(c->err);
    for (const char *at = wf_str_text(text); (at = strstr(at, "CONTINUE_FINAL_MESSAGE_TAG")) != NULL; at++)
        tag = at;
    WF_CHECK(tag && strstr(wf_str_text(text), final), c->err, WEFT_BAD_INPUT,
             "continue_final_message is set but the final message does not appear in the chat after applying the chat template!");
    bool kept = tag[bare] == ' ';
    cut(text, (size_t)(tag - text->data));
    if (!kept)
        strip_end(text);
    return WEFT_OK;
}

/* ---- rendering ---- */

static void put(wf_arena *arena, wf_json *object, const char *key, const wf_json *value) {
    wf_json_put(arena, object, key, value ? wf_json_copy(arena, value) : wf_json_new(arena, WF_JSON_NULL));
}

static weft_status check_objects(const wf_json *list, const char *what, weft_error *err) {
    WF_CHECK(!is_there(list) || list->kind == WF_JSON_ARRAY, err, WEFT_BAD_INPUT, "the %s of a chat are a list", what);
    for (const wf_json *one = is_there(list) ? list->child : NULL; one; one = one->next)
        WF_CHECK(one->kind == WF_JSON_OBJECT, err, WEFT_BAD_INPUT, "the %s of a chat are a list of objects", what);
    return WEFT_OK;
}

static weft_status gather(wf_arena *arena, const wf_chat *chat, wf_json **variables, wf_json **messages, weft_error *err) {
    WF_TRY(check_objects(chat->tools, "tools", err));
    WF_TRY(check_objects(chat->documents, "documents", err));
    WF_TRY(prepare(arena, chat->messages, messages, err));
    *variables = wf_json_new(arena, WF_JSON_OBJECT);
    for (const wf_json *j = chat->variables ? chat->variables->child : NULL; j; j = j->next)
        put(arena, *variables, j->key, j);
    put(arena, *variables, "tools", chat->tools);
    put(arena, *variables, "documents", chat->documents);
    wf_json_put(arena, *variables, "add_generation_prompt", wf_json_new_bool(arena, chat->add_generation_prompt));
    wf_json_put(arena, *variables, "messages", *messages);
    return arena->failed ? wf_fail_memory(err) : WEFT_OK;
}

static weft_status render(wf_arena *arena, const wf_template *t, const wf_mem *mem, const wf_chat *chat, const wf_template_input *limits,
                          wf_template_result *result, weft_error *err) {
    continuation c = {.arena = arena, .field = chat->continue_field, .err = err};
    wf_template_input in = *limits;
    wf_json *variables = NULL, *messages = NULL;
    WF_TRY(gather(arena, chat, &variables, &messages, err));
    c.last = messages->last;
    if (c.field)
        WF_TRY(tag_last(&c, wf_template_source(t)));
    in.variables = variables;
    WF_TRY(wf_template_render(t, mem, &in, result, err));
    return c.field ? cut_at_tag(&c, &result->text) : WEFT_OK;
}

weft_status wf_chat_render(const wf_template *t, const wf_mem *mem, const wf_chat *chat, const wf_template_input *limits, wf_template_result *result,
                           weft_error *err) {
    wf_arena arena;
    wf_arena_init(&arena, mem, 0);
    *result = (wf_template_result){.text = wf_str_new(mem), .message = wf_str_new(mem)};
    weft_status status = render(&arena, t, mem, chat, limits, result, err);
    wf_arena_free(&arena);
    if (status && result->error == WF_TEMPLATE_FINE)
        result->error = WF_TEMPLATE_RUNTIME;
    if (status)
        wf_str_clear(&result->text);
    return status;
}

/* ---- folders ---- */

static weft_status compile_file(wf_arena *arena, const char *path, wf_template **out, weft_error *err) {
    wf_file file;
    WF_TRY(wf_file_open(arena->mem, path, false, WF_TEMPLATE_LONGEST, &file, err));
    weft_status status = wf_template_compile(arena->mem, (const char *)file.data, file.size, out, err);
    wf_file_close(&file);
    return status ? wf_fail_in(err, "%s", path) : WEFT_OK;
}

static weft_status read_config(wf_arena *arena, const char *folder, const char *name, wf_json **out, weft_error *err) {
    char *path = wf_path_join(arena, folder, name);
    *out = NULL;
    if (!path)
        return wf_fail_memory(err);
    return wf_is_file(path) ? wf_json_parse_file(arena, path, out, err) : WEFT_OK;
}

/* "<s>", or an object as added tokens are stored. */
static const wf_json *token_text(const wf_json *j) {
    if (is_kind(j, WF_JSON_OBJECT))
        j = wf_json_get(j, "content");
    return is_kind(j, WF_JSON_STRING) ? j : NULL;
}

static void add_specials(wf_arena *arena, const wf_json *config, wf_json *out) {
    static const char *const names[] = {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const wf_json *text = token_text(wf_json_get(config, names[i]));
        if (text && !wf_json_get(out, names[i]))
            put(arena, out, names[i], text);
    }
    const wf_json *more = wf_json_get(config, "additional_special_tokens"), *extra = wf_json_get(config, "extra_special_tokens");
    if (is_kind(more, WF_JSON_ARRAY) && !wf_json_get(out, "additional_special_tokens")) {
        wf_json *list = wf_json_put(arena, out, "additional_special_tokens", wf_json_new(arena, WF_JSON_ARRAY));
        for (const wf_json *one = more->child; one; one = one->next)
            if (token_text(one))
                wf_json_push(list, wf_json_copy(arena, token_text(one)));
    }
    for (const wf_json *one = is_kind(extra, WF_JSON_OBJECT) ? extra->child : NULL; one; one = one->next)
        if (token_text(one) && !wf_json_get(out, one->key))
            put(arena, out, one->key, token_text(one));
}

/* Among [{"name": ..., "template": ...}]. */
static const wf_json *named_template(const wf_json *list, const char *name) {
    for (const wf_json *one = list->child; one; one = one->next)
        if (wf_json_is_string(wf_json_get(one, "name"), name))
            return wf_json_get(one, "template");
    return NULL;
}

static const wf_json *choose(const wf_json *stored, const char *name, bool tools) {
    const wf_json *found = NULL;
    if (is_kind(stored, WF_JSON_STRING))
        return name && !wf_streq(name, "default") ? NULL : stored;
    if (!is_kind(stored, WF_JSON_ARRAY))
        return NULL;
    if (!name && tools)
        found = named_template(stored, "tool_use");
    return found ? found : named_template(stored, name ? name : "default");
}

static weft_status find_file(wf_arena *arena, const char *folder, const char *name, bool tools, char **out, weft_error *err) {
    char *plain = wf_path_join(arena, folder, "chat_template.jinja"), *more = wf_path_join(arena, folder, "additional_chat_templates");
    char *file = wf_arena_printf(arena, "%s.jinja", name ? name : "tool_use");
    char *named = more && file ? wf_path_join(arena, more, file) : NULL;
    *out = NULL;
    if (!plain || !named)
        return wf_fail_memory(err);
    WF_CHECK(!name || !strchr(name, '/'), err, WEFT_USAGE, "a template's name has no '/'");
    if ((name ? !wf_streq(name, "default") : tools) && wf_is_file(named))
        *out = named;
    else if ((!name || wf_streq(name, "default")) && wf_is_file(plain))
        *out = plain;
    return WEFT_OK;
}

static weft_status open_template(wf_arena *arena, const char *folder, const char *name, bool tools, const wf_json *config, wf_template **out,
                                 weft_error *err) {
    char *path;
    wf_json *own;
    WF_TRY(find_file(arena, folder, name, tools, &path, err));
    if (path)
        return compile_file(arena, path, out, err);
    WF_TRY(read_config(arena, folder, "chat_template.json", &own, err));
    const wf_json *stored = choose(wf_json_get(own, "chat_template"), name, tools);
    if (!stored)
        stored = choose(wf_json_get(config, "chat_template"), name, tools);
    WF_CHECK(is_kind(stored, WF_JSON_STRING), err, WEFT_BAD_INPUT, "%s: no chat template%s%s%s (chat_template.jinja, or chat_template in tokenizer_config.json)",
             folder, name ? " named '" : "", name ? name : "", name ? "'" : "");
    weft_status status = wf_template_compile(arena->mem, stored->string, stored->length, out, err);
    return status ? wf_fail_in(err, "%s: chat template", folder) : WEFT_OK;
}

weft_status wf_chat_open(wf_arena *arena, const char *folder, const char *name, bool tools, wf_chat_folder *out, weft_error *err) {
    wf_json *config, *map;
    *out = (wf_chat_folder){0};
    WF_TRY(read_config(arena, folder, "tokenizer_config.json", &config, err));
    WF_TRY(read_config(arena, folder, "special_tokens_map.json", &map, err));
    out->specials = wf_json_new(arena, WF_JSON_OBJECT);
    add_specials(arena, config, out->specials);
    add_specials(arena, map, out->specials);
    if (!out->specials || arena->failed)
        return wf_fail_memory(err);
    return open_template(arena, folder, name, tools, config, &out->template_, err);
}
