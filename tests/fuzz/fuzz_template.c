/* A chat template, then a zero byte, then its variables as JSON: whatever they say, rendering ends within its limits, with a text
 * that is UTF-8 or an error that has a kind and a message, and a second rendering says the same. */
#include <stdlib.h>
#include <string.h>

#include "template/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static const char usual[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi <b>\\u00e9\"}, {\"role\": \"assistant\", \"content\": null}],"
                            "\"tools\": null, \"n\": 7, \"f\": 2.5, \"s\": \"a b,c\", \"l\": [3, 1, 2], \"d\": {\"b\": 1, \"a\": [1]}}";

static bool is_utf8(const char *text, size_t n) {
    for (size_t i = 0, length; i < n; i += length)
        if ((length = (size_t)wf_utf8_length(text + i, n - i)) == 0)
            return false;
    return true;
}

static void check(const wf_template *t, const wf_json *variables) {
    wf_template_input in = {.variables = variables, .now = 1741503902, .utc = true, .memory = 8 << 20, .steps = 200000};
    wf_template_result one, two;
    weft_error err = {0};
    weft_status status = wf_template_render(t, &wf_mem_default, &in, &one, &err);
    require(status == wf_template_render(t, &wf_mem_default, &in, &two, NULL));
    require((status == WEFT_OK) == (one.error == WF_TEMPLATE_FINE) || status == WEFT_NO_MEMORY);
    require(one.text.length == two.text.length && memcmp(wf_str_text(&one.text), wf_str_text(&two.text), one.text.length) == 0);
    require(status == WEFT_OK ? is_utf8(wf_str_text(&one.text), one.text.length) : one.text.length == 0 && err.message[0]);
    wf_template_result_free(&one);
    wf_template_result_free(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    size_t length = end ? (size_t)(end - data) : size;
    wf_template *t;
    wf_arena arena;
    wf_json *variables = NULL;
    weft_error err = {0};
    weft_status status = wf_template_compile(&wf_mem_default, (const char *)data, length, &t, &err);
    if (status != WEFT_OK) {
        require(t == NULL && err.status == status && err.message[0]);
        return 0;
    }
    wf_arena_init(&arena, &wf_mem_default, (size_t)64 << 20);
    if (!end || wf_json_parse(&arena, (const char *)end + 1, size - length - 1, 10000, &variables, NULL) != WEFT_OK || variables->kind != WF_JSON_OBJECT)
        require(wf_json_parse(&arena, usual, sizeof usual - 1, 0, &variables, NULL) == WEFT_OK);
    check(t, variables);
    wf_arena_free(&arena);
    wf_template_free(t);
    return 0;
}
