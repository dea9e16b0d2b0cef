/* Conversations: what messages become, how they end, where folders keep templates; without memory too. */
#include "template/chat.h"
#include "base/reader.h"
#include "support/fail_mem.h"
#include "support/test.h"
#include <string.h>

#define FOLDER WEFT_BINARY_DIR "/chat-test"

typedef struct row {
    const char *source, *conversation, *text; /* text NULL: an error */
} row;

static const row rows[] = {
    {"{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}", "[{\"role\": \"user\", \"content\": \"a\"}]",
     "user:a;"},
    {"{{ messages[0] | tojson }}", "[{\"role\": \"a\", \"reasoning\": \"why\"}]",
     "{\"thinking\": \"why\", \"role\": \"a\", \"reasoning\": \"why\", \"reasoning_content\": \"why\"}"},
    {"{{ messages[0] | tojson }}", "[{\"role\": \"a\", \"thinking\": \"t\", \"reasoning_content\": \"r\"}]",
     "{\"thinking\": \"t\", \"role\": \"a\", \"reasoning_content\": \"r\"}"},
    {"{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}{{ bos_token }}", "{\"messages\": []}",
     "TrueTrueFalse<s>"},
    {"{{ tools[0].n }}{{ mood }}{{ bos_token }}",
     "{\"messages\": [], \"tools\": [{\"n\": 1}], \"mood\": \"calm\", \"bos_token\": \"b\"}", "1calmb"},
    {"<{{ messages[0].content }}>", "{\"messages\": [{\"content\": \"go on\"}], \"continue_final_message\": true}", "<go on"},
    {"<{{ messages[0].content | trim }}>  ", "{\"messages\": [{\"content\": \" go on \"}], \"continue_final_message\": true}",
     "<go on"},
    {"{{ messages[0].content[1].text }}!",
     "{\"messages\": [{\"content\": [{\"text\": \"a\"}, {\"text\": \"b\"}, {\"type\": \"image\"}]}],"
     " \"continue_final_message\": true}",
     "b"},
    {"{{ messages[0].thinking }}|{{ messages[0].content }}",
     "{\"messages\": [{\"content\": \"c\", \"reasoning\": \"why\"}], \"continue_final_message\": \"reasoning_content\"}",
     "why"},
    {"content {{ messages | length }}", "{\"messages\": [{\"content\": \"lost\"}], \"continue_final_message\": true}", NULL},
    {"content", "{\"messages\": [], \"continue_final_message\": true}", NULL},
    {"content", "{\"messages\": [{\"role\": \"a\"}], \"continue_final_message\": true}", NULL},
    {"{{ messages }}", "{\"messages\": [{\"content\": \"c\"}], \"continue_final_message\": true}", NULL},
    {"", "[1]", NULL},
    {"", "{\"message\": []}", NULL},
    {"", "{\"messages\": [], \"tools\": [1]}", NULL},
    {"", "{\"messages\": [], \"continue_final_message\": 1}", NULL},
};

static weft_status render(const wf_mem *mem, const row *one, wf_template_result *result, weft_error *err) {
    static const char special[] = "{\"bos_token\": \"<s>\"}";
    wf_template_input limits = {.utc = true};
    wf_template *t = NULL;
    wf_arena arena;
    wf_json *json = NULL, *specials = NULL;
    wf_chat chat;
    wf_arena_init(&arena, mem, 0);
    *result = (wf_template_result){.text = wf_str_new(mem), .message = wf_str_new(mem)};
    weft_status status = wf_json_parse(&arena, special, sizeof special - 1, 0, &specials, err);
    if (status == WEFT_OK)
        status = wf_json_parse(&arena, one->conversation, strlen(one->conversation), 0, &json, err);
    if (status == WEFT_OK)
        status = wf_template_compile(mem, one->source, strlen(one->source), &t, err);
    if (status == WEFT_OK)
        status = wf_chat_read(&arena, json, specials, &chat, err);
    if (status == WEFT_OK)
        status = wf_chat_render(t, mem, &chat, &limits, result, err);
    wf_template_free(t);
    wf_arena_free(&arena);
    return status;
}

static void test_rows(void **state) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        wf_template_result result;
        weft_error err = {0};
        weft_status status = render(&wf_mem_default, &rows[i], &result, &err);
        if ((status == WEFT_OK) != (rows[i].text != NULL))
            fail_msg("%s %s: %s", rows[i].source, rows[i].conversation, err.message);
        if (rows[i].text && strcmp(wf_str_text(&result.text), rows[i].text) != 0)
            fail_msg("%s: '%s'", rows[i].source, wf_str_text(&result.text));
        assert_true(status == WEFT_OK || (err.status == status && err.message[0]));
        wf_template_result_free(&result);
    }
}

static void test_no_memory(void **state) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fail_mem f = {0};
        while (fail_mem_next(&f)) {
            wf_mem mem = fail_mem_hook(&f);
            wf_template_result result;
            weft_error err = {0};
            weft_status status = render(&mem, &rows[i], &result, &err);
            bool fine = f.fired ? status == WEFT_NO_MEMORY || (status != WEFT_OK && !rows[i].text)
                                : (status == WEFT_OK) == (rows[i].text != NULL);
            if (!fine)
                fail_msg("%s: allocation %ld: %s", rows[i].conversation, atomic_load(&f.fail_at), err.message);
            wf_template_result_free(&result);
            assert_int_equal(atomic_load(&f.live), 0);
        }
    }
}

/* ---- folders ---- */
static void write_text(const char *name, const char *text) {
    weft_error err = {0};
    assert_int_equal(wf_make_dir(FOLDER "/additional_chat_templates", &err), WEFT_OK);
    char path[512];
    snprintf(path, sizeof path, "%s/%s", FOLDER, name);
    if (text)
        assert_int_equal(wf_write_file(&wf_mem_default, path, text, strlen(text), &err), WEFT_OK);
    else
        remove(path);
}

static void check_folder(const char *name, bool tools, const char *source, const char *bos) {
    wf_arena arena;
    wf_chat_folder f;
    weft_error err = {0};
    wf_arena_init(&arena, &wf_mem_default, 0);
    weft_status status = wf_chat_open(&arena, FOLDER, name, tools, &f, &err);
    if ((status == WEFT_OK) != (source != NULL))
        fail_msg("%s: %s", name ? name : "(none)", err.message);
    if (source) {
        assert_string_equal(wf_template_source(f.template_), source);
        assert_string_equal(wf_json_text(f.specials, "bos_token", ""), bos);
        wf_template_free(f.template_);
    }
    wf_arena_free(&arena);
}

static void test_folders(void **state) {
    static const char *const files[] = {"chat_template.jinja",
                                        "chat_template.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "additional_chat_templates/rag.jinja",
                                        "additional_chat_templates/tool_use.jinja"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        write_text(files[i], NULL);
    check_folder(NULL, false, NULL, "");
    write_text("tokenizer_config.json", "{\"bos_token\": {\"content\": \"<b>\"}, \"chat_template\": \"config\"}");
    write_text("special_tokens_map.json", "{\"bos_token\": \"other\", \"eos_token\": \"e\"}");
    check_folder(NULL, false, "config", "<b>");
    check_folder(NULL, true, "config", "<b>");
    check_folder("default", false, "config", "<b>");
    check_folder("rag", false, NULL, "");
    write_text("tokenizer_config.json",
               "{\"chat_template\": [{\"name\": \"default\", \"template\": \"one\"}, {\"name\": \"tool_use\", \"template\":"
               " \"two\"}, {\"name\": \"rag\", \"template\": \"three\"}]}");
    check_folder(NULL, false, "one", "other");
    check_folder(NULL, true, "two", "other");
    check_folder("rag", true, "three", "other");
    check_folder("nosuch", false, NULL, "");
    check_folder("../x", false, NULL, "");
    write_text("chat_template.json", "{\"chat_template\": \"processor\"}");
    check_folder(NULL, false, "processor", "other");
    write_text("chat_template.jinja", "file");
    write_text("additional_chat_templates/rag.jinja", "file rag");
    check_folder(NULL, true, "file", "other");
    check_folder("rag", false, "file rag", "other");
    write_text("additional_chat_templates/tool_use.jinja", "file tools");
    check_folder(NULL, true, "file tools", "other");
    write_text("chat_template.jinja", "{{");
    check_folder(NULL, false, NULL, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_no_memory),
                                       cmocka_unit_test(test_folders)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
