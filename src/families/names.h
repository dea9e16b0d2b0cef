/* names.h - a family's names of weights: which tensors a file has for the parameters of a model, and how the elements move
 * between them. Words only move elements, so reading and writing are the same data in two directions, and bits are kept.
 *
 * In the family file: "names": {"h.{i}.ln_{1,2}": "block.{i}.norm{1,2}", "h.{i}.c_attn": {"to": [q, k, v], "how": ["transpose"]}}.
 * {i} is the layer; the n-th group of alternatives on the left goes with the n-th on the right; `.weight` and `.bias` need not be
 * written. Several targets are stacked along their rows; `how` lists the words that make the file's tensor of the stack. */
#ifndef WF_FAMILIES_NAMES_H
#define WF_FAMILIES_NAMES_H
#include "families/family.h"

enum { WF_NAME_RANK = 6, WF_NAME_MOVES = 4 };

typedef struct wf_named_shape { /* a parameter of the model */
    const char *name;
    int rank;
    const int64_t *dims;
} wf_named_shape;

struct wf_move;
typedef struct wf_tensor_map { /* a tensor of the file */
    const char *name;
    int rank;
    int64_t dims[WF_NAME_RANK], count; /* in the file */
    size_t n_parts, *parts;            /* the parameters stacked in it, by index */
    int64_t *part_counts;              /* elements of each */
    int n_moves, stack_rank;
    const struct wf_move *moves[WF_NAME_MOVES]; /* stack -> file */
    int64_t stack_dims[WF_NAME_RANK];
} wf_tensor_map;

typedef struct wf_names {
    wf_tensor_map *list;
    size_t count, capacity;
    const wf_json *tied, *unused; /* of the family; NULL: none */
    const char *base;             /* prefix that files may leave out, with its dot; NULL: none */
} wf_names;

/* The tensors for `n` parameters of a model with `layers` blocks, in the order of the family file. WEFT_UNSUPPORTED names the first
 * parameter the family has no name for. */
weft_status wf_names_map(const wf_family *family, wf_arena *arena, const wf_named_shape *params, size_t n, int64_t layers, wf_names *out,
                         weft_error *err);
/* A tensor that files of this family may hold and nothing reads. */
bool wf_names_unused(const wf_names *names, const char *tensor);
/* Elements between the file's tensor and its parameters (values[k] is part k). Scratch holds 2*count floats; it is not touched
 * when there is nothing to move. */
void wf_map_read(const wf_tensor_map *map, const float *file, float *const *values, float *scratch);
void wf_map_write(const wf_tensor_map *map, const float *const *values, float *file, float *scratch);
static inline bool wf_map_is_plain(const wf_tensor_map *map) { return map->n_parts == 1 && map->n_moves == 0; }
#endif
