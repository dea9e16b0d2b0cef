/* The expression evaluator: no text makes it misbehave, every error has a place in the text, and a value survives the way
 * through JSON text and back. */
#include "base/expr.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static const char config[] = "{\"n\": 4, \"x\": 0.5, \"t\": true, \"z\": null, \"s\": \"abc\", \"l\": [1, [2, \"b\"], null],"
                             "\"o\": {\"a\": 1, \"b\": {\"c\": [3]}}}";

typedef struct names {
    wf_arena *arena;
    const wf_json *root;
} names;

/* The members of the document by their names, and the document itself as `root`. */
static bool look_up(const void *user, const char *name, size_t length, wf_value *out) {
    const names *n = user;
    const wf_json *found = length == 4 && memcmp(name, "root", 4) == 0 ? n->root : NULL;
    for (const wf_json *j = n->root->child; j && !found; j = j->next)
        if (strlen(j->key) == length && memcmp(j->key, name, length) == 0)
            found = j;
    return found && wf_value_of_json(n->arena, found, out, NULL) == WEFT_OK;
}

static void check_round_trip(wf_arena *arena, const wf_value *v) {
    wf_str text = wf_str_new(&wf_mem_default);
    wf_json *tree = wf_value_to_json(arena, v), *back;
    wf_value again;
    require(tree != NULL);
    wf_json_print(&text, tree, 0);
    require(!text.failed);
    require(wf_json_parse(arena, text.data, text.length, 0, &back, NULL) == WEFT_OK);
    require(wf_value_of_json(arena, back, &again, NULL) == WEFT_OK);
    require(wf_value_true(&again) == wf_value_true(v));
    wf_str_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    wf_arena arena;
    wf_json *root;
    wf_value v;
    weft_error err = {0};
    wf_arena_init(&arena, &wf_mem_default, (size_t)256 << 20);
    char *source = wf_arena_strndup(&arena, (const char *)data, size);
    require(wf_json_parse(&arena, config, sizeof config - 1, 0, &root, NULL) == WEFT_OK);
    names user = {&arena, root};
    wf_scope scope = {look_up, NULL, &user};
    weft_status status = wf_expr_eval(source, &scope, &arena, &v, &err);
    if (status == WEFT_OK)
        check_round_trip(&arena, &v);
    else
        require(err.status == status && err.message[0] && err.offset <= (int64_t)strlen(source));
    wf_arena_free(&arena);
    return 0;
}
