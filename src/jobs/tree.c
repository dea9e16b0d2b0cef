#include "jobs/tree.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { RIGHT_COLUMN = 48, DEPTH_MAX = 8 };

wf_tree wf_tree_new(wf_arena *arena) { return (wf_tree){.arena = arena}; }

/* Old lines stay in the arena: a tree doubles a few times and lives as long as its job. */
static bool room(wf_tree *t) {
    if (t->count < t->capacity)
        return true;
    size_t capacity = t->capacity ? 2 * t->capacity : 64;
    wf_tree_line *lines = wf_arena_alloc(t->arena, capacity * sizeof *lines);
    if (!lines)
        return false;
    if (t->count)
        memcpy(lines, t->lines, t->count * sizeof *lines);
    t->lines = lines;
    t->capacity = capacity;
    return true;
}

void wf_tree_add(wf_tree *t, int depth, const char *right, const char *fmt, ...) {
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    const char *left = wf_arena_strdup(t->arena, text), *copy = wf_arena_strdup(t->arena, right);
    if (t->failed || !left || !copy || !room(t)) {
        t->failed = true;
        return;
    }
    t->lines[t->count++] = (wf_tree_line){depth < DEPTH_MAX ? depth : DEPTH_MAX - 1, left, copy};
}

bool wf_tree_same(const wf_tree *t, size_t a, size_t b, size_t n) {
    for (size_t i = 1; i < n; i++)
        if (t->lines[a + i].depth != t->lines[b + i].depth || strcmp(t->lines[a + i].left, t->lines[b + i].left) != 0 ||
            strcmp(t->lines[a + i].right, t->lines[b + i].right) != 0)
            return false;
    return true;
}

/* Whether another line of this depth follows under the same parent. */
static bool goes_on(const wf_tree *t, size_t i, int depth) {
    for (size_t j = i + 1; j < t->count && t->lines[j].depth >= depth; j++)
        if (t->lines[j].depth == depth)
            return true;
    return false;
}

static int columns(const char *text) {
    int n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

static void print_line(const wf_tree *t, size_t i, wf_str *out) {
    const wf_tree_line *line = &t->lines[i];
    for (int d = 1; d < line->depth; d++)
        wf_str_puts(out, goes_on(t, i, d) ? "\u2502  " : "   ");
    if (line->depth > 0)
        wf_str_puts(out, goes_on(t, i, line->depth) ? "\u251C\u2500 " : "\u2514\u2500 ");
    wf_str_puts(out, line->left);
    int used = 3 * line->depth + columns(line->left);
    if (line->right[0])
        wf_str_printf(out, "%*s%s", used < RIGHT_COLUMN ? RIGHT_COLUMN - used : 2, "", line->right);
    wf_str_putc(out, '\n');
}

void wf_tree_print(const wf_tree *t, wf_str *out) {
    for (size_t i = 0; i < t->count; i++)
        print_line(t, i, out);
    out->failed |= t->failed;
}
