/* The JSON reader, trees and printer: what is accepted prints, and reads back as the same tree, compact and indented. The pull
 * reader alone accepts all that the tree accepts. */
#include "base/json.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static bool reads(const char *text, size_t length) {
    wf_json_reader r;
    wf_json_kind kind;
    weft_error err = {0};
    weft_status status;
    int depth;
    wf_json_open(&r, &wf_mem_default, text, length, &err);
    do {
        depth = r.depth;
        status = wf_json_next(&r, &kind, NULL, NULL, NULL, NULL);
    } while (status == WEFT_OK && (kind != WF_JSON_END || depth > 0));
    wf_json_close(&r);
    require(status == WEFT_OK || (err.offset >= 0 && (size_t)err.offset <= length));
    return status == WEFT_OK;
}

static void check_round_trip(wf_arena *arena, const wf_json *tree, int indent) {
    wf_str text = wf_str_new(&wf_mem_default);
    wf_json *back;
    wf_json_print(&text, tree, indent);
    require(!text.failed);
    require(wf_json_parse(arena, text.data, text.length, 0, &back, NULL) == WEFT_OK);
    require(wf_json_equal(tree, back));
    wf_str_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    wf_arena arena;
    wf_json *tree;
    weft_error err = {0};
    bool readable = reads(text, size);
    wf_arena_init(&arena, &wf_mem_default, (size_t)64 << 20);
    weft_status status = wf_json_parse(&arena, text, size, 10000, &tree, &err);
    if (status == WEFT_OK) {
        require(readable);
        check_round_trip(&arena, tree, 0);
        check_round_trip(&arena, tree, 2);
        require(wf_json_equal(tree, wf_json_copy(&arena, tree)));
    } else {
        require(tree == NULL && err.status == status && err.message[0]);
    }
    wf_arena_free(&arena);
    return 0;
}
