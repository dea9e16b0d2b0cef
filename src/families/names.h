/* names.h - a family's names of weights: which tensors a file has for the parameters of a model, and how the elements move
 * between them. Words only move elements, so reading and writing are the same data in two directions, and bits are kept.
 *
 * In the family file: "names": {"h.{i}.ln_{1,2}": "block.{i}.norm{1,2}", "h.{i}.c_attn": {"to": [q, k, v], "how":
 * ["transpose"]}}. {i} is the layer, {e} a slice of the first dimension ({e:a,b}: slices with names); the n-th group of
 * alternatives on the left goes with the n-th on the right;
 * `.weight` and `.bias` need not be written. Several targets are stacked along their first dimension; `how` lists the words
 * (moves.c) that make the file's tensor of the stack. */
#ifndef WF_FAMILIES_NAMES_H
#define WF_FAMILIES_NAMES_H
#include "families/family.h"

enum { WF_NAME_RANK = 6, WF_NAME_MOVES = 4, WF_NAME_PARTS = 8, WF_NAME_ORDER = 8 };

typedef struct wf_named_shape { /* a parameter of the model */
    const char *name;
    int rank;
    const int64_t *dims;
} wf_named_shape;

typedef struct wf_named_model {
    const wf_named_shape *params;
    size_t count;
    int64_t layers;
    const wf_json *spec; /* written out in full, for the expressions of `how`; NULL: none */
} wf_named_model;

typedef struct wf_name_part { /* `count` elements of parameter `param` from `first` */
    size_t param;
    int64_t first, count;
} wf_name_part;

typedef struct wf_move wf_move;
typedef struct wf_name_step {
    const wf_move *move;
    int rank;
    int64_t dims[WF_NAME_RANK]; /* before it */
    int order[WF_NAME_ORDER];   /* of what it puts in another order */
    int count;                  /* of the order */
} wf_name_step;

typedef struct wf_tensor_map { /* a tensor of the file */
    const char *name;
    int rank;
    int64_t dims[WF_NAME_RANK], count; /* in the file */
    size_t n_parts;
    wf_name_part *parts; /* what is stacked in it */
    int64_t pieces;      /* the stack takes turns: one of this many pieces of each part at a time */
    int n_steps;
    wf_name_step steps[WF_NAME_MOVES]; /* stack -> file */
    bool plain;                        /* one whole parameter, as it is */
    size_t sibling, siblings; /* this many tensors, of which this is the n-th, hold one stack that files may cut elsewhere */
} wf_tensor_map;

typedef struct wf_names {
    wf_tensor_map *list;
    size_t count, capacity;
    const wf_json *tied, *unused, *kept, *optional, *zero; /* of the family; NULL: none */
    const char *base;                                      /* prefix that files may leave out, with its dot; NULL: none */
    const char *other;                                     /* prefix that stands in its place, with its dot; NULL: none */
} wf_names;

/* The tensors for the parameters of a model, in the order of the family file. WEFT_UNSUPPORTED names the first parameter the
 * family has no name for. */
weft_status wf_names_map(const wf_family *family, wf_arena *arena, const wf_named_model *model, wf_names *out, weft_error *err);
/* A parameter that files do not hold: it has its initial value. */
bool wf_names_computed(const wf_family *family, const char *param);
/* A tensor that files of this family may hold and nothing reads. */
bool wf_names_unused(const wf_names *names, const char *tensor);
/* One of those that the reference has a place for: it is written again. */
bool wf_names_kept(const wf_names *names, const char *tensor);
/* The first part of a base, with its dot: what the reference lets files leave out. 0: there is no base. */
size_t wf_names_first(const char *base);
/* The name of a tensor that nobody reads, or of a twin, with the base that files may leave out, in the arena; others stay as
 * they are. NULL: no memory. */
const char *wf_names_whole(const wf_names *names, wf_arena *arena, const char *tensor);
/* A tensor that files may lack: its parameters then have their initial values. */
bool wf_names_optional(const wf_names *names, const char *tensor);
/* A tensor that must be all zeros where a file holds it: a part of the model that is not used. */
bool wf_names_zero(const wf_names *names, const char *tensor);
/* Elements between the file's tensor and its parameters (values[k] is part k). Scratch holds 2*count floats, for reading
 * wf_map_scratch() of them; it is not touched when there is nothing to move. */
int64_t wf_map_scratch(const wf_tensor_map *map);
/* The step of a tensor that is nothing but the stack, one matrix, transposed; NULL: it is something else. */
const wf_name_step *wf_map_turned(const wf_tensor_map *map);
void wf_map_read(const wf_tensor_map *map, const float *file, float *const *values, float *scratch);
void wf_map_write(const wf_tensor_map *map, const float *const *values, float *file, float *scratch);
#endif
