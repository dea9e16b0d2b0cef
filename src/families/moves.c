/* moves.c - the words of `how`, each a row: what it does to a shape, and how elements move there and back. */
#include "families/moves.h"
#include <string.h>
#include "base/checked.h"

struct wf_move {
    const char *name;
    bool argument;
    weft_status (*plan)(wf_tensor_map *map, const wf_value *argument, weft_error *err); /* map->dims in place */
    void (*forward)(const float *from, float *to, int rank,
                    const int64_t *dims); /* dims before the step; NULL: no element moves */
    void (*back)(const float *from, float *to, int rank, const int64_t *dims);
};

/* ---- transpose: the last two dimensions; vectors stay ---- */
static weft_status transpose_plan(wf_tensor_map *map, const wf_value *argument, weft_error *err) {
    (void)argument, (void)err;
    if (map->rank < 2)
        return WEFT_OK;
    int64_t rows = map->dims[map->rank - 2];
    map->dims[map->rank - 2] = map->dims[map->rank - 1];
    map->dims[map->rank - 1] = rows;
    return WEFT_OK;
}

enum { TILE = 32 };

static void turn(const float *from, float *to, int64_t rows, int64_t columns) {
    for (int64_t r = 0; r < rows; r += TILE)
        for (int64_t c = 0; c < columns; c += TILE)
            for (int64_t i = r; i < rows && i < r + TILE; i++)
                for (int64_t j = c; j < columns && j < c + TILE; j++)
                    to[j * rows + i] = from[i * columns + j];
}

static void transpose(const float *from, float *to, int rank, const int64_t *dims, bool back) {
    int64_t rows = rank > 1 ? dims[rank - 2] : 1, columns = rank > 0 ? dims[rank - 1] : 1, matrices = 1;
    for (int i = 0; i < rank - 2; i++)
        matrices *= dims[i];
    for (int64_t m = 0; m < matrices; m++)
        turn(from + m * rows * columns, to + m * rows * columns, back ? columns : rows, back ? rows : columns);
}

static void transpose_forward(const float *from, float *to, int rank, const int64_t *dims) {
    transpose(from, to, rank, dims, false);
}
static void transpose_back(const float *from, float *to, int rank, const int64_t *dims) {
    transpose(from, to, rank, dims, true);
}

/* ---- interleave(n): piece 0 of every part, then piece 1 of every part, ..; n pieces of equal size ---- */
static weft_status interleave_plan(wf_tensor_map *map, const wf_value *argument, weft_error *err) {
    WF_CHECK(map->n_steps == 0 && argument->type == WF_INT && argument->integer > 0, err, WEFT_UNSUPPORTED,
             "'interleave' comes first and takes a number of pieces");
    for (size_t i = 0; i < map->n_parts; i++)
        WF_CHECK(map->parts[i].count % argument->integer == 0, err, WEFT_UNSUPPORTED, "'%s' cannot be cut into %lld pieces",
                 map->name, (long long)argument->integer);
    map->pieces = argument->integer;
    return WEFT_OK;
}

/* ---- swap: the first two dimensions ---- */
static weft_status swap_plan(wf_tensor_map *map, const wf_value *argument, weft_error *err) {
    (void)argument;
    WF_CHECK(map->rank >= 2, err, WEFT_UNSUPPORTED, "'%s' has no two dimensions to swap", map->name);
    int64_t rows = map->dims[0];
    map->dims[0] = map->dims[1];
    map->dims[1] = rows;
    return WEFT_OK;
}

static void swap(const float *from, float *to, int rank, const int64_t *dims, bool back) {
    int64_t rows = dims[back ? 1 : 0], columns = dims[back ? 0 : 1], n = 1;
    for (int i = 2; i < rank; i++)
        n *= dims[i];
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            memcpy(to + (c * rows + r) * n, from + (r * columns + c) * n, (size_t)n * sizeof *to);
}

static void swap_forward(const float *from, float *to, int rank, const int64_t *dims) { swap(from, to, rank, dims, false); }
static void swap_back(const float *from, float *to, int rank, const int64_t *dims) { swap(from, to, rank, dims, true); }

/* ---- reshape([..]): the same elements in the same order ---- */
static weft_status reshape_plan(wf_tensor_map *map, const wf_value *argument, weft_error *err) {
    int64_t count = 1;
    WF_CHECK(argument->type == WF_LIST && argument->count <= WF_NAME_RANK, err, WEFT_UNSUPPORTED,
             "'reshape' takes a list of dimensions");
    for (size_t i = 0; i < argument->count; i++) {
        WF_CHECK(argument->items[i].type == WF_INT && argument->items[i].integer > 0, err, WEFT_UNSUPPORTED,
                 "'reshape' takes positive integers");
        map->dims[i] = argument->items[i].integer;
    }
    map->rank = (int)argument->count;
    WF_CHECK(wf_product(map->dims, map->rank, &count) && count == map->count, err, WEFT_UNSUPPORTED, "'%s' cannot be reshaped",
             map->name);
    return WEFT_OK;
}

static const wf_move moves[] = {
    {"interleave", true, interleave_plan, NULL, NULL},
    {"transpose", false, transpose_plan, transpose_forward, transpose_back},
    {"swap", false, swap_plan, swap_forward, swap_back},
    {"reshape", true, reshape_plan, NULL, NULL},
};

bool wf_move_read(const wf_json *word, wf_move_entry *out) {
    const wf_json *argument = word->kind == WF_JSON_OBJECT && word->count == 1 ? word->child : NULL;
    const char *name = argument ? argument->key : word->kind == WF_JSON_STRING ? word->string : "";
    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++)
        if (wf_streq(moves[i].name, name) && moves[i].argument == (argument && argument->kind == WF_JSON_STRING)) {
            *out = (wf_move_entry){&moves[i], argument ? argument->string : NULL};
            return true;
        }
    return false;
}

weft_status wf_move_add(wf_tensor_map *map, const wf_move_entry *entry, const wf_value *argument, weft_error *err) {
    wf_name_step step = {.move = entry->move, .rank = map->rank};
    memcpy(step.dims, map->dims, sizeof step.dims);
    WF_TRY(entry->move->plan(map, argument, err));
    if (entry->move->forward)
        map->steps[map->n_steps++] = step;
    return WEFT_OK;
}

/* ---- the stack of the parts ---- */
typedef enum direction { STACK, UNSTACK } direction;

static void move_stack(const wf_tensor_map *map, float *stack, const float *const *from, float *const *to, direction way) {
    for (int64_t piece = 0; piece < map->pieces; piece++)
        for (size_t i = 0; i < map->n_parts; i++) {
            int64_t n = map->parts[i].count / map->pieces;
            if (way == STACK)
                memcpy(stack, from[i] + piece * n, (size_t)n * sizeof *stack);
            else
                memcpy(to[i] + piece * n, stack, (size_t)n * sizeof *stack);
            stack += n;
        }
}

void wf_map_write(const wf_tensor_map *map, const float *const *values, float *file, float *scratch) {
    float *from = scratch, *to = scratch ? scratch + map->count : NULL;
    move_stack(map, map->n_steps ? from : file, values, NULL, STACK);
    for (int i = 0; i < map->n_steps; i++) {
        const wf_name_step *step = &map->steps[i];
        float *target = i + 1 == map->n_steps ? file : to;
        step->move->forward(from, target, step->rank, step->dims);
        to = from;
        from = target;
    }
}

void wf_map_read(const wf_tensor_map *map, const float *file, float *const *values, float *scratch) {
    float *buffers[2] = {scratch, scratch ? scratch + map->count : NULL}, *stack = NULL;
    const float *from = file;
    for (int i = map->n_steps; i-- > 0;) {
        const wf_name_step *step = &map->steps[i];
        stack = buffers[i % 2];
        step->move->back(from, stack, step->rank, step->dims);
        from = stack;
    }
    union {
        const float *from;
        float *to;
    } whole = {from}; /* only read */
    move_stack(map, whole.to, NULL, values, UNSTACK);
}
