/* tree.h - text as a tree with branches, for people. Lines are added depth first; equal runs of lines can be folded.
 *
 *     wf_tree t = wf_tree_new(arena);
 *     wf_tree_add(&t, 0, "", "model");
 *     wf_tree_add(&t, 1, "12 parameters", "%s", "head");
 *     wf_tree_print(&t, &text);
 */
#ifndef WF_JOBS_TREE_H
#define WF_JOBS_TREE_H
#include "base/mem.h"
#include "base/str.h"

typedef struct wf_tree_line {
    int depth;
    const char *left, *right; /* right: in a column of its own */
} wf_tree_line;

typedef struct wf_tree {
    wf_arena *arena;
    wf_tree_line *lines;
    size_t count, capacity;
    bool failed; /* out of memory: what follows is dropped */
} wf_tree;

wf_tree wf_tree_new(wf_arena *arena);
/* `right` is copied. */
void wf_tree_add(wf_tree *tree, int depth, const char *right, const char *fmt, ...) WF_PRINTF(4, 5);
/* Whether lines [a, a+n) and [b, b+n) say the same below their first line. */
bool wf_tree_same(const wf_tree *tree, size_t a, size_t b, size_t n);
void wf_tree_print(const wf_tree *tree, wf_str *out);
#endif
