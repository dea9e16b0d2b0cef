/* moves.h - private to the families: the words of `how`, which turn the stack of a file's parameters into its tensor and back.
 * Words only move elements. */
#ifndef WF_FAMILIES_MOVES_H
#define WF_FAMILIES_MOVES_H
#include "base/expr.h"
#include "families/names.h"

/* One word of `how`, as the family wrote it: its row and the expression of its argument. */
typedef struct wf_move_entry {
    const struct wf_move *move;
    const char *argument; /* NULL: it takes none */
} wf_move_entry;

/* "transpose", or {"interleave": "expression"}. False when there is no such word or its argument is missing. */
bool wf_move_read(const wf_json *word, wf_move_entry *out);
/* Takes the shape of `map` one step towards the file's; `argument`: the value of the expression. WEFT_UNSUPPORTED says why it
 * does not fit. */
weft_status wf_move_add(wf_tensor_map *map, const wf_move_entry *entry, const wf_value *argument, weft_error *err);
#endif
