#include "base/json.h"
#include "base/reader.h"
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_NODES = 1000000, FEW_MEMBERS = 8 };
static const size_t largest_file = (size_t)1 << 30;

typedef struct parser {
    wf_json_reader reader;
    wf_arena *arena;
    size_t nodes_left;
    wf_json *open[WF_JSON_MAX_DEPTH]; /* the containers around the next value */
    weft_error *err;
} parser;

static weft_status fail_node(parser *p, size_t offset, const char *what, const char *name) {
    size_t line, column;
    wf_json_position(p->reader.text, offset, &line, &column);
    return wf_fail_at(p->err, WEFT_BAD_INPUT, (int64_t)offset, "line %zu, column %zu: %s%s%s%s", line, column, what,
                      name ? " '" : "", name ? name : "", name ? "'" : "");
}

/* ---- duplicate names ---- */

/* A member and the beginning of its name, which mostly says enough. */
typedef struct named {
    uint64_t head;
    const wf_json *member;
} named;

static named name_of(const wf_json *j) {
    named n = {.member = j};
    for (size_t i = 0, more = 1; i < sizeof n.head; i++) {
        more = more && j->key[i];
        n.head = n.head << 8 | (more ? (uint8_t)j->key[i] : 0);
    }
    return n;
}

/* By name, then by place, so that the later of two equal names follows the earlier one. */
static int by_key(const void *a, const void *b) {
    const named *x = a, *y = b;
    if (x->head != y->head)
        return x->head < y->head ? -1 : 1;
    int order = strcmp(x->member->key, y->member->key);
    return order ? order : (x->member->offset > y->member->offset) - (x->member->offset < y->member->offset);
}

static const wf_json *duplicate_of_few(const wf_json *object) {
    for (const wf_json *a = object->child; a; a = a->next)
        for (const wf_json *b = object->child; b != a; b = b->next)
            if (strcmp(a->key, b->key) == 0)
                return a;
    return NULL;
}

/* Sorting, not hashing: a document made to collide cannot make it slow. */
static weft_status find_duplicate(parser *p, const wf_json *object, const wf_json **out) {
    *out = NULL;
    if (object->count <= FEW_MEMBERS) {
        *out = duplicate_of_few(object);
        return WEFT_OK;
    }
    named *members = wf_calloc(p->arena->mem, object->count, sizeof *members);
    if (!members)
        return wf_fail_memory(p->err);
    size_t n = 0;
    for (const wf_json *j = object->child; j; j = j->next)
        members[n++] = name_of(j);
    qsort(members, n, sizeof *members, by_key);
    for (size_t i = 1; i < n; i++) {
        const wf_json *j = members[i].member;
        if (members[i - 1].head == members[i].head && strcmp(members[i - 1].member->key, j->key) == 0 &&
            (!*out || j->offset < (*out)->offset))
            *out = j;
    }
    wf_free(p->arena->mem, members);
    return WEFT_OK;
}

static weft_status close_object(parser *p, const wf_json *object) {
    const wf_json *duplicate;
    WF_TRY(find_duplicate(p, object, &duplicate));
    return duplicate ? fail_node(p, (size_t)duplicate->offset, "the object already has a member", duplicate->key) : WEFT_OK;
}

/* ---- values ---- */

static weft_status set_number(parser *p, wf_json *j) {
    j->is_integer = wf_parse_i64(j->string, j->length, &j->integer);
    if (j->is_integer && j->integer != 0) {
        j->number = (double)j->integer;
        return WEFT_OK;
    }
    if (!wf_parse_double(j->string, j->length, &j->number)) /* -0 comes here too, for its sign */
        return fail_node(p, (size_t)j->offset, "the number is too large or too long", NULL);
    return WEFT_OK;
}

static weft_status add_node(parser *p, wf_json_kind kind, const char *key, size_t key_length, wf_json **out) {
    size_t offset = p->reader.value_offset;
    if (p->nodes_left-- == 0)
        return fail_node(p, offset, "too many values", NULL);
    wf_json *j = wf_json_new(p->arena, kind);
    if (j && key)
        j->key = wf_arena_strndup(p->arena, key, key_length);
    if (!j || (key && !j->key))
        return wf_fail_memory(p->err);
    j->offset = (int64_t)offset;
    if (key && memchr(key, 0, key_length))
        return fail_node(p, p->reader.key_offset, "a name with a zero byte", NULL);
    *out = j;
    return WEFT_OK;
}

static weft_status set_content(parser *p, wf_json *j, const char *text, size_t length) {
    if (j->kind != WF_JSON_STRING && j->kind != WF_JSON_NUMBER)
        return WEFT_OK;
    j->string = wf_arena_strndup(p->arena, text, length);
    j->length = length;
    if (!j->string)
        return wf_fail_memory(p->err);
    return j->kind == WF_JSON_NUMBER ? set_number(p, j) : WEFT_OK;
}

static weft_status parse(parser *p, wf_json **out) {
    wf_json *root = NULL;
    for (;;) {
        wf_json_kind kind;
        const char *key, *text;
        size_t key_length, length;
        int depth = p->reader.depth;
        WF_TRY(wf_json_next(&p->reader, &kind, &key, &key_length, &text, &length));
        if (kind == WF_JSON_END && depth == 0)
            break;
        if (kind == WF_JSON_END) {
            if (p->open[depth - 1]->kind == WF_JSON_OBJECT)
                WF_TRY(close_object(p, p->open[depth - 1]));
            continue;
        }
        wf_json *j = NULL;
        WF_TRY(add_node(p, kind, key, key_length, &j));
        WF_TRY(set_content(p, j, text, length));
        if (depth > 0)
            wf_json_push(p->open[depth - 1], j);
        else
            root = j;
        if (p->reader.depth > depth)
            p->open[depth] = j;
    }
    *out = root;
    return WEFT_OK;
}

weft_status wf_json_parse(wf_arena *arena, const char *text, size_t length, size_t max_nodes, wf_json **out, weft_error *err) {
    *out = NULL;
    parser p = {.arena = arena, .nodes_left = max_nodes ? max_nodes : DEFAULT_NODES, .err = err};
    wf_json_open(&p.reader, arena->mem, text, length, err);
    weft_status status = parse(&p, out);
    wf_json_close(&p.reader);
    return status;
}

weft_status wf_json_parse_file(wf_arena *arena, const char *path, wf_json **out, weft_error *err) {
    wf_file file;
    *out = NULL;
    WF_TRY(wf_file_open(arena->mem, path, false, largest_file, &file, err));
    weft_error local = {0};
    weft_status status = wf_json_parse(arena, (const char *)file.data, file.size, 0, out, &local);
    wf_file_close(&file);
    if (status == WEFT_OK)
        return WEFT_OK;
    return wf_fail_at(err, status, local.offset, "%s: %s", path, local.message);
}
