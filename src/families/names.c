#include "families/names.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"

/* ---- words: each turns a tensor into another of the same elements, and back ---- */
typedef struct wf_move {
    const char *name;
    void (*shape)(int rank, int64_t *dims); /* of the file's side, in place */
    void (*forward)(const float *from, float *to, int rank, const int64_t *dims); /* dims: of the stack's side */
    void (*back)(const float *from, float *to, int rank, const int64_t *dims);
} wf_move;

static void transpose_shape(int rank, int64_t *dims) {
    if (rank != 2)
        return;
    int64_t rows = dims[0];
    dims[0] = dims[1];
    dims[1] = rows;
}

enum { TILE = 32 };

static void transpose(const float *from, float *to, int64_t rows, int64_t columns) {
    for (int64_t r = 0; r < rows; r += TILE)
        for (int64_t c = 0; c < columns; c += TILE)
            for (int64_t i = r; i < rows && i < r + TILE; i++)
                for (int64_t j = c; j < columns && j < c + TILE; j++)
                    to[j * rows + i] = from[i * columns + j];
}

static void copy(const float *from, float *to, int rank, const int64_t *dims) {
    size_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    memcpy(to, from, count * sizeof *to);
}

static void transpose_forward(const float *from, float *to, int rank, const int64_t *dims) {
    if (rank == 2)
        transpose(from, to, dims[0], dims[1]);
    else
        copy(from, to, rank, dims);
}

static void transpose_back(const float *from, float *to, int rank, const int64_t *dims) {
    if (rank == 2)
        transpose(from, to, dims[1], dims[0]);
    else
        copy(from, to, rank, dims);
}

static const wf_move moves[] = {
    {"transpose", transpose_shape, transpose_forward, transpose_back}, /* matrices only */
};

static const wf_move *find_move(const char *name) {
    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++)
        if (wf_streq(moves[i].name, name))
            return &moves[i];
    return NULL;
}

/* ---- moving ---- */
static int64_t stack_parts(const wf_tensor_map *map, const float *const *values, float *stack) {
    int64_t at = 0;
    for (size_t i = 0; i < map->n_parts; i++) {
        memcpy(stack + at, values[i], (size_t)map->part_counts[i] * sizeof *stack);
        at += map->part_counts[i];
    }
    return at;
}

void wf_map_write(const wf_tensor_map *map, const float *const *values, float *file, float *scratch) {
    float *from = scratch, *to = scratch ? scratch + map->count : NULL;
    int64_t dims[WF_NAME_RANK];
    memcpy(dims, map->stack_dims, sizeof dims);
    stack_parts(map, values, map->n_moves ? from : file);
    for (int i = 0; i < map->n_moves; i++) {
        float *target = i + 1 == map->n_moves ? file : to;
        map->moves[i]->forward(from, target, map->stack_rank, dims);
        map->moves[i]->shape(map->stack_rank, dims);
        to = from;
        from = target;
    }
}

static void unstack(const wf_tensor_map *map, const float *stack, float *const *values) {
    for (size_t i = 0; i < map->n_parts; i++) {
        memcpy(values[i], stack, (size_t)map->part_counts[i] * sizeof *stack);
        stack += map->part_counts[i];
    }
}

void wf_map_read(const wf_tensor_map *map, const float *file, float *const *values, float *scratch) {
    int64_t dims[WF_NAME_MOVES + 1][WF_NAME_RANK];
    const float *from = file;
    float *to = scratch;
    memcpy(dims[0], map->stack_dims, sizeof dims[0]);
    for (int i = 0; i < map->n_moves; i++) {
        memcpy(dims[i + 1], dims[i], sizeof dims[0]);
        map->moves[i]->shape(map->stack_rank, dims[i + 1]);
    }
    for (int i = map->n_moves; i-- > 0;) {
        map->moves[i]->back(from, to, map->stack_rank, dims[i]);
        from = to;
        to = to == scratch ? scratch + map->count : scratch;
    }
    unstack(map, from, values);
}

/* ---- patterns ---- */
enum { NAME_SIZE = 256, MOST_GROUPS = 4, MOST_TARGETS = 8 };

/* The n-th alternative of a group "{a,b,c}" that begins at `at`; its length. */
static size_t alternative(const char *at, size_t n, const char **out) {
    for (at++; n > 0 && *at && *at != '}'; at++)
        n -= *at == ',';
    *out = at;
    return strcspn(at, ",}");
}

static size_t alternatives(const char *at) {
    size_t n = 1;
    for (; *at && *at != '}'; at++)
        n += *at == ',';
    return n;
}

/* Writes `pattern` with {i} and the chosen alternatives filled in; false when it does not fit or is malformed. */
static bool expand(const char *pattern, int64_t layer, const size_t *choice, char out[NAME_SIZE]) {
    size_t group = 0, n = 0;
    for (const char *at = pattern; *at; at++) {
        const char *piece = at;
        char digits[24];
        size_t length = 1;
        if (strncmp(at, "{i}", 3) == 0) {
            length = (size_t)snprintf(digits, sizeof digits, "%lld", (long long)layer);
            piece = digits;
        } else if (*at == '{') {
            if (group == MOST_GROUPS)
                return false;
            length = alternative(at, choice[group++], &piece);
        }
        if (n + length >= NAME_SIZE)
            return false;
        memcpy(out + n, piece, length);
        n += length;
        if (*at == '{' && !(at = strchr(at, '}')))
            return false;
    }
    out[n] = 0;
    return true;
}

/* ---- the map ---- */
typedef struct mapper {
    const wf_family *family;
    wf_arena *arena;
    const wf_named_shape *params;
    size_t n, *order;  /* indices sorted by name */
    bool *covered;
    wf_names *out;
    weft_error *err;
} mapper;

typedef struct entry { /* one line of "names" */
    const char *pattern, *targets[MOST_TARGETS];
    size_t n_targets;
    const wf_move *moves[WF_NAME_MOVES];
    int n_moves;
} entry;

typedef struct sort_item { const char *name; size_t index; } sort_item;

static int by_name(const void *a, const void *b) { return strcmp(((const sort_item *)a)->name, ((const sort_item *)b)->name); }

static weft_status sort_params(mapper *m) {
    sort_item *items = wf_arena_alloc(m->arena, m->n * sizeof *items);
    m->order = wf_arena_alloc(m->arena, m->n * sizeof *m->order);
    m->covered = wf_arena_alloc(m->arena, m->n * sizeof *m->covered);
    if (!items || !m->order || !m->covered)
        return wf_fail_memory(m->err);
    for (size_t i = 0; i < m->n; i++)
        items[i] = (sort_item){m->params[i].name, i};
    qsort(items, m->n, sizeof *items, by_name);
    for (size_t i = 0; i < m->n; i++)
        m->order[i] = items[i].index;
    return WEFT_OK;
}

static bool find_param(const mapper *m, const char *name, size_t *out) {
    size_t low = 0, high = m->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(name, m->params[m->order[middle]].name);
        if (order == 0) {
            *out = m->order[middle];
            return true;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

/* Shapes of the stack and of the file's tensor; parts must agree in all but their rows. */
static weft_status set_shape(mapper *m, wf_tensor_map *map) {
    const wf_named_shape *first = &m->params[map->parts[0]];
    map->rank = map->stack_rank = first->rank;
    memcpy(map->stack_dims, first->dims, (size_t)first->rank * sizeof *first->dims);
    for (size_t i = 0; i < map->n_parts; i++) {
        const wf_named_shape *p = &m->params[map->parts[i]];
        bool same = p->rank == first->rank && (map->n_parts == 1 || p->rank > 0);
        for (int d = 1; same && d < p->rank; d++)
            same = p->dims[d] == first->dims[d];
        WF_CHECK(same && wf_product(p->dims, p->rank, &map->part_counts[i]), m->err, WEFT_UNSUPPORTED,
                 "family %s cannot stack '%s' and '%s'", m->family->name, first->name, p->name);
        if (i > 0)
            map->stack_dims[0] += p->dims[0];
    }
    memcpy(map->dims, map->stack_dims, sizeof map->dims);
    for (int i = 0; i < map->n_moves; i++)
        map->moves[i]->shape(map->rank, map->dims);
    return wf_product(map->dims, map->rank, &map->count) ? WEFT_OK : wf_fail(m->err, WEFT_BAD_INPUT, "'%s' is too large", map->name);
}

static weft_status add_map(mapper *m, const entry *e, const char *name, const size_t *parts) {
    wf_names *out = m->out;
    if (out->count == out->capacity) {
        size_t capacity = out->capacity ? 2 * out->capacity : 64;
        wf_tensor_map *list = wf_arena_alloc(m->arena, capacity * sizeof *list);
        if (!list)
            return wf_fail_memory(m->err);
        if (out->count)
            memcpy(list, out->list, out->count * sizeof *list);
        out->list = list;
        out->capacity = capacity;
    }
    wf_tensor_map *map = &out->list[out->count];
    *map = (wf_tensor_map){.name = wf_arena_strdup(m->arena, name), .n_parts = e->n_targets, .n_moves = e->n_moves};
    map->parts = wf_arena_alloc(m->arena, e->n_targets * sizeof *map->parts);
    map->part_counts = wf_arena_alloc(m->arena, e->n_targets * sizeof *map->part_counts);
    if (!map->name || !map->parts || !map->part_counts)
        return wf_fail_memory(m->err);
    memcpy(map->moves, e->moves, sizeof map->moves);
    memcpy(map->parts, parts, e->n_targets * sizeof *parts);
    for (size_t i = 0; i < e->n_targets; i++) {
        WF_CHECK(!m->covered[parts[i]], m->err, WEFT_BAD_INPUT, "family %s names '%s' twice", m->family->name, m->params[parts[i]].name);
        m->covered[parts[i]] = true;
    }
    out->count++;
    return set_shape(m, map);
}

/* The tensors of one entry, one layer and one choice of alternatives: those whose targets the model has. */
static weft_status map_choice(mapper *m, const entry *e, int64_t layer, const size_t *choice) {
    static const char *const suffixes[] = {"", ".weight", ".bias"};
    char name[NAME_SIZE], target[NAME_SIZE], full[NAME_SIZE + 16];
    size_t parts[MOST_TARGETS];
    WF_CHECK(expand(e->pattern, layer, choice, name), m->err, WEFT_BAD_INPUT, "family %s: bad name '%s'", m->family->name, e->pattern);
    for (size_t s = 0; s < sizeof suffixes / sizeof *suffixes; s++) {
        size_t found = 0;
        for (size_t t = 0; t < e->n_targets; t++) {
            WF_CHECK(expand(e->targets[t], layer, choice, target), m->err, WEFT_BAD_INPUT, "family %s: bad name '%s'", m->family->name, e->targets[t]);
            snprintf(full, sizeof full, "%s%s", target, suffixes[s]);
            found += find_param(m, full, &parts[t]);
        }
        if (found == 0)
            continue;
        WF_CHECK(found == e->n_targets, m->err, WEFT_UNSUPPORTED, "family %s: '%s' lacks a part", m->family->name, name);
        snprintf(full, sizeof full, "%s%s", name, suffixes[s]);
        WF_TRY(add_map(m, e, full, parts));
    }
    return WEFT_OK;
}

static weft_status map_entry(mapper *m, const entry *e, int64_t layers) {
    size_t most[MOST_GROUPS] = {1, 1, 1, 1}, groups = 0;
    for (const char *at = e->pattern; (at = strchr(at, '{')); at++) {
        if (strncmp(at, "{i}", 3) == 0)
            continue;
        WF_CHECK(groups < MOST_GROUPS, m->err, WEFT_BAD_INPUT, "family %s: bad name '%s'", m->family->name, e->pattern);
        most[groups++] = alternatives(at);
    }
    bool repeated = strstr(e->pattern, "{i}") != NULL;
    for (int64_t layer = 0; layer < (repeated ? layers : 1); layer++) {
        size_t choice[MOST_GROUPS] = {0};
        for (size_t g = 0; g < MOST_GROUPS;) { /* every combination, the first group fastest */
            WF_TRY(map_choice(m, e, layer, choice));
            for (g = 0; g < MOST_GROUPS && ++choice[g] == most[g]; g++)
                choice[g] = 0;
        }
    }
    return WEFT_OK;
}

static weft_status read_entry(const mapper *m, const wf_json *j, entry *e) {
    const wf_json *to = wf_json_get(j, "to"), *how = wf_json_get(j, "how");
    *e = (entry){.pattern = j->key};
    if (j->kind == WF_JSON_STRING) {
        e->targets[e->n_targets++] = j->string;
        return WEFT_OK;
    }
    for (const wf_json *t = to ? to->child : NULL; t; t = t->next) {
        WF_CHECK(t->kind == WF_JSON_STRING && e->n_targets < MOST_TARGETS, m->err, WEFT_BAD_INPUT, "family %s: bad targets of '%s'", m->family->name, j->key);
        e->targets[e->n_targets++] = t->string;
    }
    WF_CHECK(e->n_targets > 0, m->err, WEFT_BAD_INPUT, "family %s: '%s' has no targets", m->family->name, j->key);
    for (const wf_json *word = how ? how->child : NULL; word; word = word->next) {
        const wf_move *move = word->kind == WF_JSON_STRING && e->n_moves < WF_NAME_MOVES ? find_move(word->string) : NULL;
        WF_CHECK(move, m->err, WEFT_BAD_INPUT, "family %s: '%s' has an unknown word", m->family->name, j->key);
        e->moves[e->n_moves++] = move;
    }
    return WEFT_OK;
}

static weft_status map_same(mapper *m) {
    for (size_t i = 0; i < m->n; i++) {
        entry e = {.n_targets = 1};
        WF_TRY(add_map(m, &e, m->params[i].name, &i));
    }
    return WEFT_OK;
}

weft_status wf_names_map(const wf_family *family, wf_arena *arena, const wf_named_shape *params, size_t n, int64_t layers, wf_names *out,
                         weft_error *err) {
    mapper m = {.family = family, .arena = arena, .params = params, .n = n, .out = out, .err = err};
    const wf_json *names = wf_json_get(family->json, "names");
    const char *base = wf_json_text(family->json, "base", NULL);
    *out = (wf_names){.tied = wf_json_get(family->json, "tied"), .unused = wf_json_get(family->json, "unused")};
    WF_CHECK(names, err, WEFT_BAD_INPUT, "family %s has no names", family->name);
    if (base && !(out->base = wf_arena_printf(arena, "%s.", base)))
        return wf_fail_memory(err);
    WF_TRY(sort_params(&m));
    if (wf_json_is_string(names, "same"))
        return map_same(&m);
    for (const wf_json *j = names->child; j; j = j->next) {
        entry e;
        WF_TRY(read_entry(&m, j, &e));
        WF_TRY(map_entry(&m, &e, layers));
    }
    for (size_t i = 0; i < n; i++)
        WF_CHECK(m.covered[i], err, WEFT_UNSUPPORTED, "family %s has no name for '%s'", family->name, params[i].name);
    return WEFT_OK;
}

/* ---- tensors nobody reads ---- */
static bool matches(const char *pattern, const char *name) {
    while (*pattern) {
        if (strncmp(pattern, "{i}", 3) == 0) {
            size_t digits = strspn(name, "0123456789");
            if (digits == 0)
                return false;
            pattern += 3;
            name += digits;
        } else if (*pattern++ != *name++) {
            return false;
        }
    }
    return *name == 0;
}

bool wf_names_unused(const wf_names *names, const char *tensor) {
    for (const wf_json *j = names->unused ? names->unused->child : NULL; j; j = j->next) {
        size_t base = names->base ? strlen(names->base) : 0;
        if (j->kind != WF_JSON_STRING)
            continue;
        if (matches(j->string, tensor) || (base && strncmp(j->string, names->base, base) == 0 && matches(j->string + base, tensor)))
            return true;
    }
    return false;
}
