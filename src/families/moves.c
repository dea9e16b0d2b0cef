/* moves.c - the words of `how`, each a row: what it does to a shape, and how elements move there and back. */
#include "families/moves.h"
#include <string.h>
#include "base/checked.h"

struct wf_move {
    const char *name;
    bool argument;
    /* Changes map->dims in place; an order goes into the step. */
    weft_status (*plan)(wf_tensor_map *map, wf_name_step *step, const wf_value *argument, weft_error *err);
    void (*forward)(const float *from, float *to, const wf_name_step *step); /* NULL: no element moves */
    void (*back)(const float *from, float *to, const wf_name_step *step);
};

/* ---- transpose: the last two dimensions; vectors stay ---- */
static weft_status transpose_plan(wf_tensor_map *map, wf_name_step *step, const wf_value *argument, weft_error *err) {
    (void)step, (void)argument, (void)err;
    if (map->rank < 2)
        return WEFT_OK;
    int64_t rows = map->dims[map->rank - 2];
    map->dims[map->rank - 2] = map->dims[map->rank - 1];
    map->dims[map->rank - 1] = rows;
    return WEFT_OK;
}

enum { TILE = 16 };

static void turn(const float *from, float *to, int64_t rows, int64_t columns) {
    for (int64_t c = 0; c < columns; c += TILE) /* writes run on where reads jump: that costs less */
        for (int64_t r = 0; r < rows; r += TILE)
            for (int64_t j = c; j < columns && j < c + TILE; j++)
                for (int64_t i = r; i < rows && i < r + TILE; i++)
                    to[j * rows + i] = from[i * columns + j];
}

static void transpose(const float *from, float *to, int rank, const int64_t *dims, bool back) {
    int64_t rows = rank > 1 ? dims[rank - 2] : 1, columns = rank > 0 ? dims[rank - 1] : 1, matrices = 1;
    for (int i = 0; i < rank - 2; i++)
        matrices *= dims[i];
    for (int64_t m = 0; m < matrices; m++)
        turn(from + m * rows * columns, to + m * rows * columns, back ? columns : rows, back ? rows : columns);
}

static void transpose_forward(const float *from, float *to, const wf_name_step *step) {
    transpose(from, to, step->rank, step->dims, false);
}
static void transpose_back(const float *from, float *to, const wf_name_step *step) {
    transpose(from, to, step->rank, step->dims, true);
}

/* ---- interleave(n): piece 0 of every part, then piece 1 of every part, ..; n pieces of equal size ---- */
static weft_status interleave_plan(wf_tensor_map *map, wf_name_step *step, const wf_value *argument, weft_error *err) {
    (void)step;
    WF_CHECK(map->n_steps == 0 && argument->type == WF_INT && argument->integer > 0, err, WEFT_UNSUPPORTED,
             "'interleave' comes first and takes a number of pieces");
    for (size_t i = 0; i < map->n_parts; i++)
        WF_CHECK(map->parts[i].count % argument->integer == 0, err, WEFT_UNSUPPORTED, "'%s' cannot be cut into %lld pieces",
                 map->name, (long long)argument->integer);
    map->pieces = argument->integer;
    return WEFT_OK;
}

/* ---- reshape([..]): the same elements in the same order ---- */
static weft_status reshape_plan(wf_tensor_map *map, wf_name_step *step, const wf_value *argument, weft_error *err) {
    (void)step;
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

/* ---- permute([..]) and pieces([..]): other orders of the dimensions, or of equal pieces of the first one ---- */
/* A list that holds 0..n-1, each once; n 0: of any length. */
static weft_status read_order(wf_name_step *step, const wf_value *argument, int n, weft_error *err) {
    unsigned seen = 0;
    size_t count = argument->type == WF_LIST ? argument->count : 0;
    for (size_t i = 0; i < count && count <= WF_NAME_ORDER; i++) {
        const wf_value *v = &argument->items[i];
        if (v->type != WF_INT || v->integer < 0 || v->integer >= (int64_t)count || (seen & 1u << v->integer))
            break;
        seen |= 1u << v->integer;
        step->order[i] = (int)v->integer;
    }
    step->count = (int)count;
    WF_CHECK(count > 0 && count <= WF_NAME_ORDER && seen == (1u << count) - 1 && (n == 0 || n == (int)count), err,
             WEFT_UNSUPPORTED, "an order must be a list of the numbers from 0, each once");
    return WEFT_OK;
}

/* Dimension d of the file is dimension order[d] of the stack. */
static weft_status permute_plan(wf_tensor_map *map, wf_name_step *step, const wf_value *argument, weft_error *err) {
    WF_TRY(read_order(step, argument, map->rank, err));
    for (int d = 0; d < map->rank; d++)
        map->dims[d] = step->dims[step->order[d]];
    return WEFT_OK;
}

static void permute(const float *from, float *to, const wf_name_step *step, bool back) {
    int64_t strides[WF_NAME_RANK], index[WF_NAME_RANK] = {0}, stride = 1, at = 0, count = 1;
    for (int d = step->rank; d-- > 0; stride *= step->dims[d])
        strides[d] = stride;
    for (int d = 0; d < step->rank; d++)
        count *= step->dims[d];
    for (int64_t i = 0; i < count; i++) { /* i counts through the file, at follows in the stack */
        to[back ? at : i] = from[back ? i : at];
        for (int d = step->rank; d-- > 0;) {
            int source = step->order[d];
            at += strides[source];
            if (++index[d] < step->dims[source])
                break;
            at -= strides[source] * step->dims[source];
            index[d] = 0;
        }
    }
}

static void permute_forward(const float *from, float *to, const wf_name_step *step) { permute(from, to, step, false); }
static void permute_back(const float *from, float *to, const wf_name_step *step) { permute(from, to, step, true); }

/* Piece p of the file is piece order[p] of the stack. */
static weft_status pieces_plan(wf_tensor_map *map, wf_name_step *step, const wf_value *argument, weft_error *err) {
    WF_TRY(read_order(step, argument, 0, err));
    WF_CHECK(map->rank > 0 && map->dims[0] % step->count == 0, err, WEFT_UNSUPPORTED, "'%s' cannot be cut into %d pieces",
             map->name, step->count);
    return WEFT_OK;
}

static void move_pieces(const float *from, float *to, const wf_name_step *step, bool back) {
    int64_t piece = 1;
    for (int d = 0; d < step->rank; d++)
        piece *= step->dims[d];
    piece /= step->count;
    for (int p = 0; p < step->count; p++) {
        int64_t file = p * piece, stack = step->order[p] * piece;
        memcpy(to + (back ? stack : file), from + (back ? file : stack), (size_t)piece * sizeof *to);
    }
}

static void pieces_forward(const float *from, float *to, const wf_name_step *step) { move_pieces(from, to, step, false); }
static void pieces_back(const float *from, float *to, const wf_name_step *step) { move_pieces(from, to, step, true); }

static const wf_move moves[] = {
    {"interleave", true, interleave_plan, NULL, NULL},
    {"transpose", false, transpose_plan, transpose_forward, transpose_back},
    {"reshape", true, reshape_plan, NULL, NULL},
    {"permute", true, permute_plan, permute_forward, permute_back},
    {"pieces", true, pieces_plan, pieces_forward, pieces_back},
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
    WF_TRY(entry->move->plan(map, &step, argument, err));
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
        step->move->forward(from, target, step);
        to = from;
        from = target;
    }
}

const wf_name_step *wf_map_turned(const wf_tensor_map *map) {
    const wf_name_step *step = &map->steps[0];
    bool only = map->n_steps == 1 && map->pieces == 1 && step->move->forward == transpose_forward && step->rank == 2;
    return only ? step : NULL;
}

int64_t wf_map_scratch(const wf_tensor_map *map) {
    bool direct = map->n_steps == 0 || (map->n_steps == 1 && map->n_parts == 1 && map->pieces == 1);
    return direct ? 0 : 2 * map->count;
}

void wf_map_read(const wf_tensor_map *map, const float *file, float *const *values, float *scratch) {
    float *buffers[2] = {scratch, scratch ? scratch + map->count : NULL}, *stack = NULL;
    const float *from = file;
    bool whole_stack = map->n_parts == 1 && map->pieces == 1; /* then the last step writes where it belongs */
    for (int i = map->n_steps; i-- > 0;) {
        const wf_name_step *step = &map->steps[i];
        stack = i == 0 && whole_stack ? values[0] : buffers[i % 2];
        step->move->back(from, stack, step);
        from = stack;
    }
    if (map->n_steps > 0 && whole_stack)
        return;
    union {
        const float *from;
        float *to;
    } whole = {from}; /* only read */
    move_stack(map, whole.to, NULL, values, UNSTACK);
}
