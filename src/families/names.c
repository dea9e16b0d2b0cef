#include "families/names.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/checked.h"
#include "families/moves.h"
#include "families/rules.h"

/* ---- patterns ---- */
enum { NAME_SIZE = 256, MOST_GROUPS = 4 };

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

typedef struct place {    /* which of the tensors a pattern stands for */
    int64_t layer, slice; /* {i}, {e} */
    size_t choice[MOST_GROUPS];
} place;

static bool names_slices(const char *at) { return strncmp(at, "{e:", 3) == 0; }

static bool is_number(const char *at) {
    return names_slices(at) || strncmp(at, "{i}", 3) == 0 || strncmp(at, "{e}", 3) == 0 || strncmp(at, "{*}", 3) == 0 ||
           strncmp(at, "{=", 2) == 0 || strncmp(at, "{e=", 3) == 0;
}

/* Writes `pattern` with {i}, {e} and the chosen alternatives filled in; false when it does not fit or is malformed. */
static bool expand(const char *pattern, const place *at_place, char out[NAME_SIZE]) {
    size_t group = 0, n = 0;
    for (const char *at = pattern; *at; at++) {
        const char *piece = at;
        char digits[24];
        size_t length = 1;
        if (names_slices(at)) {
            length = alternative(at + 2, (size_t)at_place->slice, &piece);
        } else if (is_number(at)) {
            length =
                (size_t)snprintf(digits, sizeof digits, "%lld", (long long)(at[1] == 'i' ? at_place->layer : at_place->slice));
            piece = digits;
        } else if (*at == '{') {
            if (group == MOST_GROUPS)
                return false;
            length = alternative(at, at_place->choice[group++], &piece);
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
    const wf_named_model *model;
    const char *prefix;   /* of the names that are being read */
    const wf_json *stack; /* written out in full: the model, or its encoder while that is being named */
    size_t *order;        /* indices of the parameters sorted by name */
    int64_t *covered;     /* elements that have a name */
    wf_names *out;
    weft_error *err;
} mapper;

typedef struct entry { /* one line of "names" */
    const char *pattern, *targets[WF_NAME_PARTS];
    const char *when; /* expression: the layers it holds for; NULL: all */
    bool cut;         /* files may cut the stack of the first group's tensors elsewhere */
    size_t n_targets;
    wf_move_entry moves[WF_NAME_MOVES];
    int n_moves;
} entry;

typedef struct sort_item {
    const char *name;
    size_t index;
} sort_item;

static int by_name(const void *a, const void *b) { return strcmp(((const sort_item *)a)->name, ((const sort_item *)b)->name); }

static weft_status sort_params(mapper *m) {
    size_t n = m->model->count;
    sort_item *items = wf_arena_alloc(m->arena, n * sizeof *items);
    m->order = wf_arena_alloc(m->arena, n * sizeof *m->order);
    m->covered = wf_arena_alloc(m->arena, n * sizeof *m->covered);
    if (!items || !m->order || !m->covered)
        return wf_fail_memory(m->err);
    for (size_t i = 0; i < n; i++)
        items[i] = (sort_item){m->model->params[i].name, i};
    qsort(items, n, sizeof *items, by_name);
    for (size_t i = 0; i < n; i++)
        m->order[i] = items[i].index;
    return WEFT_OK;
}

static bool find_param(const mapper *m, const char *name, size_t *out) {
    size_t low = 0, high = m->model->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(name, m->model->params[m->order[middle]].name);
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

static bool sliced(const entry *e) {
    return strstr(e->pattern, "{e}") || strstr(e->pattern, "{e=") || strstr(e->pattern, "{e:");
}

/* How many slices have names; 0: they have numbers. */
static int64_t named_slices(const entry *e) {
    const char *at = strstr(e->pattern, "{e:");
    return at ? (int64_t)alternatives(at) : 0;
}

/* The stack of the parts: they must agree in all but their first dimension. */
static weft_status stack_shape(mapper *m, const entry *e, wf_tensor_map *map) {
    const wf_named_shape *first = &m->model->params[map->parts[0].param];
    int skip = sliced(e) ? 1 : 0; /* of a slice: the dimensions inside */
    map->rank = first->rank - skip;
    memcpy(map->dims, first->dims + skip, (size_t)map->rank * sizeof *first->dims);
    for (size_t i = 1; i < map->n_parts; i++) {
        const wf_named_shape *p = &m->model->params[map->parts[i].param];
        bool same = p->rank == first->rank && map->rank > 0;
        for (int d = skip + 1; same && d < p->rank; d++)
            same = p->dims[d] == first->dims[d];
        WF_CHECK(same, m->err, WEFT_UNSUPPORTED, "family %s cannot stack '%s' and '%s'", m->family->name, first->name, p->name);
        map->dims[0] += p->dims[skip];
    }
    return wf_product(map->dims, map->rank, &map->count) ? WEFT_OK
                                                         : wf_fail(m->err, WEFT_BAD_INPUT, "'%s' is too large", map->name);
}

/* Expressions see the spec written out in full, `block` (the layer's), `i` and `task`. */
static weft_status argument_value(const mapper *m, const char *expression, int64_t layer, int64_t slice, wf_value *out) {
    wf_vars vars = {.arena = m->arena};
    wf_value value;
    const wf_json *spec = m->model->spec, *block = wf_json_at(wf_json_get(m->stack, "blocks"), (size_t)layer);
    *out = (wf_value){.type = WF_NULL};
    if (!expression)
        return WEFT_OK;
    for (const wf_json *j = spec ? spec->child : NULL; j; j = j->next) {
        WF_TRY(wf_value_of_json(m->arena, j, &value, m->err));
        WF_TRY(wf_vars_put(&vars, j->key, value, m->err));
    }
    WF_TRY(wf_value_of_json(m->arena, block, &value, m->err));
    WF_TRY(wf_vars_put(&vars, "block", value, m->err));
    WF_TRY(wf_vars_put(&vars, "i", wf_value_int(layer), m->err));
    WF_TRY(wf_vars_put(&vars, "e", wf_value_int(slice), m->err));
    WF_TRY(wf_vars_put(&vars, "task", wf_value_string(wf_json_text(wf_json_get(spec, "head"), "task", "Model")), m->err));
    WF_TRY(wf_vars_where(&vars, m->family, m->err));
    return wf_vars_eval(&vars, expression, out, m->err);
}

static weft_status plan_moves(mapper *m, const entry *e, int64_t layer, wf_tensor_map *map) {
    for (int i = 0; i < e->n_moves; i++) {
        wf_value argument;
        WF_TRY(argument_value(m, e->moves[i].argument, layer, 0, &argument));
        if (wf_move_add(map, &e->moves[i], &argument, m->err) != WEFT_OK)
            return wf_fail_in(m->err, "family %s", m->family->name);
    }
    map->plain = map->n_parts == 1 && map->n_steps == 0 && map->pieces == 1 && !sliced(e);
    return WEFT_OK;
}

static weft_status new_map(mapper *m, wf_tensor_map **map) {
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
    *map = &out->list[out->count++];
    return WEFT_OK;
}

/* The part of a parameter that one tensor holds: all of it, or slice e of its first dimension. */
static weft_status take_part(mapper *m, const entry *e, size_t param, int64_t slice, wf_name_part *part) {
    const wf_named_shape *p = &m->model->params[param];
    int64_t count = 0, slices = sliced(e) ? p->dims[0] : 1;
    WF_CHECK(wf_product(p->dims, p->rank, &count), m->err, WEFT_BAD_INPUT, "'%s' is too large", p->name);
    *part = (wf_name_part){param, slice * (count / slices), count / slices};
    m->covered[param] += part->count;
    WF_CHECK(m->covered[param] <= count, m->err, WEFT_BAD_INPUT, "family %s names '%s' twice", m->family->name, p->name);
    return WEFT_OK;
}

static size_t siblings(const entry *e) {
    const char *at = strchr(e->pattern, '{');
    while (at && is_number(at))
        at = strchr(at + 1, '{');
    return e->cut && at ? alternatives(at) : 1;
}

static weft_status add_map(mapper *m, const entry *e, const char *name, const size_t *params, const place *where) {
    wf_tensor_map *map;
    WF_TRY(new_map(m, &map));
    *map = (wf_tensor_map){.name = wf_arena_strdup(m->arena, name),
                           .n_parts = e->n_targets,
                           .pieces = 1,
                           .sibling = where->choice[0],
                           .siblings = siblings(e)};
    map->parts = wf_arena_alloc(m->arena, e->n_targets * sizeof *map->parts);
    if (!map->name || !map->parts)
        return wf_fail_memory(m->err);
    for (size_t i = 0; i < e->n_targets; i++)
        WF_TRY(take_part(m, e, params[i], where->slice, &map->parts[i]));
    WF_TRY(stack_shape(m, e, map));
    return plan_moves(m, e, where->layer, map);
}

/* {=expression} and {e=expression} of a pattern become their value. */
static weft_status fill_formulas(const mapper *m, const char *pattern, int64_t layer, int64_t slice, char out[NAME_SIZE]) {
    size_t n = 0;
    for (const char *at = pattern; *at; at++) {
        size_t opening = strncmp(at, "{=", 2) == 0 ? 2 : strncmp(at, "{e=", 3) == 0 ? 3 : 0;
        const char *close = opening ? strchr(at, '}') : NULL;
        char digit[24] = {*at, 0};
        const char *text = digit;
        if (close) {
            wf_value value;
            char *formula = wf_arena_strndup(m->arena, at + opening, (size_t)(close - at) - opening);
            if (!formula)
                return wf_fail_memory(m->err);
            WF_TRY(argument_value(m, formula, layer, slice, &value));
            WF_CHECK(value.type == WF_INT || value.type == WF_STRING, m->err, WEFT_BAD_INPUT,
                     "family %s: '%s' is no number or text", m->family->name, formula);
            snprintf(digit, sizeof digit, "%lld", (long long)value.integer);
            text = value.type == WF_STRING ? value.string : digit;
            at = close;
        }
        WF_CHECK(n + strlen(text) < NAME_SIZE && !strpbrk(text, close ? "{}" : ""), m->err, WEFT_BAD_INPUT,
                 "family %s: bad name '%s'", m->family->name, pattern);
        n += (size_t)snprintf(out + n, NAME_SIZE - n, "%s", text);
    }
    out[n] = 0;
    return WEFT_OK;
}

/* What comes before the rest of a name: where the family's classes of this task have another base, names that begin with its
 * own begin with that one. */
static const char *first_part(const mapper *m, const char **name) {
    const wf_names *out = m->out;
    if (!out->base || !out->other || !wf_starts_with(*name, out->base))
        return m->prefix;
    *name += strlen(out->base);
    return out->other;
}

/* The tensors of targets that were found: one, or one per slice. */
static weft_status add_slices(mapper *m, const entry *e, const char *suffix, const size_t *params, place where) {
    char name[NAME_SIZE], full[2 * NAME_SIZE + 16], pattern[NAME_SIZE];
    const wf_named_shape *first = &m->model->params[params[0]];
    int64_t slices = sliced(e) && first->rank > 0 ? first->dims[0] : 1;
    for (size_t i = 0; i < e->n_targets; i++)
        WF_CHECK(!sliced(e) || (m->model->params[params[i]].rank > 0 && m->model->params[params[i]].dims[0] == slices), m->err,
                 WEFT_UNSUPPORTED, "family %s: '%s' has other slices than '%s'", m->family->name,
                 m->model->params[params[i]].name, first->name);
    WF_CHECK(named_slices(e) == 0 || named_slices(e) == slices, m->err, WEFT_UNSUPPORTED, "family %s: '%s' has %lld slices",
             m->family->name, first->name, (long long)slices);
    for (where.slice = 0; where.slice < slices; where.slice++) {
        WF_TRY(fill_formulas(m, e->pattern, where.layer, where.slice, pattern));
        WF_CHECK(expand(pattern, &where, name), m->err, WEFT_BAD_INPUT, "family %s: bad name '%s'", m->family->name,
                 e->pattern);
        const char *rest = name, *start = first_part(m, &rest);
        snprintf(full, sizeof full, "%s%s%s", start, rest, suffix);
        WF_TRY(add_map(m, e, full, params, &where));
    }
    return WEFT_OK;
}

/* The tensors of one entry, one layer and one choice of alternatives: those whose targets the model has. */
static weft_status map_choice(mapper *m, const entry *e, const place *where) {
    static const char *const suffixes[] = {"", ".weight", ".bias"};
    char target[NAME_SIZE], full[NAME_SIZE + 16];
    size_t params[WF_NAME_PARTS];
    for (size_t s = 0; s < sizeof suffixes / sizeof *suffixes; s++) {
        size_t found = 0;
        for (size_t t = 0; t < e->n_targets; t++) {
            WF_CHECK(expand(e->targets[t], where, target), m->err, WEFT_BAD_INPUT, "family %s: bad name '%s'", m->family->name,
                     e->targets[t]);
            snprintf(full, sizeof full, "%s%s", target, suffixes[s]);
            found += find_param(m, full, &params[t]);
        }
        if (found == 0)
            continue;
        WF_CHECK(found == e->n_targets, m->err, WEFT_UNSUPPORTED, "family %s: '%s' lacks a part", m->family->name, e->pattern);
        WF_TRY(add_slices(m, e, suffixes[s], params, *where));
    }
    return WEFT_OK;
}

/* Layers count in the stack whose parameters the targets are. */
static int64_t choose_stack(mapper *m, const entry *e) {
    const wf_json *encoder = wf_json_get(m->model->spec, "encoder");
    bool inner = strncmp(e->targets[0], "encoder.", strlen("encoder.")) == 0;
    m->stack = inner ? encoder : m->model->spec;
    return inner ? wf_json_int(encoder, "layers", 0) : m->model->layers;
}

static weft_status map_entry(mapper *m, const entry *e) {
    size_t most[MOST_GROUPS] = {1, 1, 1, 1}, groups = 0;
    for (const char *at = e->pattern; (at = strchr(at, '{')); at++) {
        if (is_number(at))
            continue;
        WF_CHECK(groups < MOST_GROUPS, m->err, WEFT_BAD_INPUT, "family %s: bad name '%s'", m->family->name, e->pattern);
        most[groups++] = alternatives(at);
    }
    bool repeated = strstr(e->targets[0], "{i}") != NULL;
    int64_t layers = choose_stack(m, e);
    for (int64_t layer = 0; layer < (repeated ? layers : 1); layer++) {
        place where = {.layer = layer};
        wf_value holds;
        WF_TRY(argument_value(m, e->when, layer, 0, &holds));
        if (e->when && !wf_value_true(&holds))
            continue;
        for (size_t g = 0; g < MOST_GROUPS;) { /* every combination, the first group fastest */
            WF_TRY(map_choice(m, e, &where));
            for (g = 0; g < MOST_GROUPS && ++where.choice[g] == most[g]; g++)
                where.choice[g] = 0;
        }
    }
    return WEFT_OK;
}

static weft_status read_entry(const mapper *m, const wf_json *j, entry *e) {
    const wf_json *to = wf_json_get(j, "to"), *how = wf_json_get(j, "how");
    *e = (entry){.pattern = j->key, .when = wf_json_text(j, "when", NULL), .cut = wf_json_bool(j, "cut", false)};
    if (j->kind == WF_JSON_STRING || (to && to->kind == WF_JSON_STRING))
        e->targets[e->n_targets++] = j->kind == WF_JSON_STRING ? j->string : to->string;
    for (const wf_json *t = to && to->kind == WF_JSON_ARRAY ? to->child : NULL; t; t = t->next) {
        WF_CHECK(t->kind == WF_JSON_STRING && e->n_targets < WF_NAME_PARTS, m->err, WEFT_BAD_INPUT,
                 "family %s: bad targets of '%s'", m->family->name, j->key);
        e->targets[e->n_targets++] = t->string;
    }
    WF_CHECK(e->n_targets > 0, m->err, WEFT_BAD_INPUT, "family %s: '%s' has no targets", m->family->name, j->key);
    for (const wf_json *word = how ? how->child : NULL; word; word = word->next) {
        bool known = e->n_moves < WF_NAME_MOVES && wf_move_read(word, &e->moves[e->n_moves]);
        WF_CHECK(known, m->err, WEFT_BAD_INPUT, "family %s: '%s' has an unknown word", m->family->name, j->key);
        e->n_moves++;
    }
    WF_CHECK(!e->cut || (e->n_moves == 0 && e->n_targets == 1 && siblings(e) <= WF_NAME_PARTS), m->err, WEFT_BAD_INPUT,
             "family %s: '%s' cannot be cut", m->family->name, j->key);
    return WEFT_OK;
}

static weft_status map_same(mapper *m) {
    place where = {0};
    for (size_t i = 0; i < m->model->count; i++) {
        entry e = {.pattern = "", .n_targets = 1};
        WF_TRY(add_map(m, &e, m->model->params[i].name, &i, &where));
    }
    return WEFT_OK;
}

/* {i} is a number, {*} whatever does not hold the text after it. */
static bool matches(const char *pattern, const char *name) {
    while (*pattern) {
        if (strncmp(pattern, "{*}", 3) == 0) {
            pattern += 3;
            while (*name && strncmp(name, pattern, strcspn(pattern, "{") + (*pattern == 0)) != 0)
                name++;
            if (!*name)
                return *pattern == 0;
        } else if (is_number(pattern)) {
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

bool wf_names_computed(const wf_family *family, const char *param) {
    const wf_json *list = wf_json_get(family->json, "computed");
    for (const wf_json *j = list ? list->child : NULL; j; j = j->next)
        if (j->kind == WF_JSON_STRING && matches(j->string, param))
            return true;
    return false;
}

static weft_status check_covered(const mapper *m) {
    for (size_t i = 0; i < m->model->count; i++) {
        const wf_named_shape *p = &m->model->params[i];
        int64_t count = 0;
        bool named = wf_product(p->dims, p->rank, &count) && m->covered[i] == count;
        WF_CHECK(named || (m->covered[i] == 0 && wf_names_computed(m->family, p->name)), m->err, WEFT_UNSUPPORTED,
                 "family %s has no name for '%s'", m->family->name, p->name);
    }
    return WEFT_OK;
}

enum { DEEPEST_NAMES = 4 };

static weft_status map_names(mapper *m, const wf_json *names, int depth);

/* "?condition": {names} holds names for some models only, "@text": {names} those that begin with the text of an expression. */
static weft_status map_group(mapper *m, const wf_json *group, int depth) {
    const char *outer = m->prefix;
    wf_value value;
    WF_CHECK(depth < DEEPEST_NAMES, m->err, WEFT_BAD_INPUT, "family %s: names are nested too deep", m->family->name);
    m->stack = m->model->spec;
    WF_TRY(argument_value(m, group->key + 1, 0, 0, &value));
    if (*group->key == '?')
        return wf_value_true(&value) ? map_names(m, group, depth + 1) : WEFT_OK;
    WF_CHECK(value.type == WF_STRING && strlen(value.string) < NAME_SIZE, m->err, WEFT_BAD_INPUT, "family %s: '%s' is no text",
             m->family->name, group->key);
    m->prefix = value.string;
    WF_TRY(map_names(m, group, depth + 1));
    m->prefix = outer;
    return WEFT_OK;
}

static weft_status map_names(mapper *m, const wf_json *names, int depth) {
    for (const wf_json *j = names->child; j; j = j->next) {
        entry e;
        if (j->key[0] == '?' || j->key[0] == '@') {
            WF_TRY(map_group(m, j, depth));
            continue;
        }
        WF_TRY(read_entry(m, j, &e));
        WF_TRY(map_entry(m, &e));
    }
    return WEFT_OK;
}

/* The patterns of tensors nobody reads, with their formulas filled in. */
static weft_status fill_unused(const mapper *m, const wf_json *list, const wf_json **out) {
    char pattern[NAME_SIZE];
    wf_json *filled = wf_json_new(m->arena, WF_JSON_ARRAY);
    for (const wf_json *j = list ? list->child : NULL; j; j = j->next) {
        if (j->kind != WF_JSON_STRING)
            continue;
        WF_TRY(fill_formulas(m, j->string, 0, 0, pattern));
        wf_json *one = wf_json_new_string(m->arena, pattern, strlen(pattern));
        if (!filled || !one || !wf_json_push(filled, one))
            return wf_fail_memory(m->err);
    }
    *out = filled;
    return filled ? WEFT_OK : wf_fail_memory(m->err);
}

weft_status wf_names_map(const wf_family *family, wf_arena *arena, const wf_named_model *model, wf_names *out,
                         weft_error *err) {
    mapper m = {.family = family, .arena = arena, .model = model, .prefix = "", .stack = model->spec, .out = out, .err = err};
    const wf_json *names = wf_json_get(family->json, "names");
    const char *base = wf_json_text(family->json, "base", NULL);
    *out = (wf_names){.tied = wf_json_get(family->json, "tied"),
                      .optional = wf_json_get(family->json, "optional"),
                      .zero = wf_json_get(family->json, "zero")};
    WF_CHECK(names, err, WEFT_BAD_INPUT, "family %s has no names", family->name);
    WF_TRY(fill_unused(&m, wf_json_get(family->json, "unused"), &out->unused));
    WF_TRY(fill_unused(&m, wf_json_get(family->json, "kept"), &out->kept));
    if (base && !(out->base = wf_arena_printf(arena, "%s.", base)))
        return wf_fail_memory(err);
    const char *task = wf_json_text(wf_json_get(model->spec, "head"), "task", "Model");
    const char *other = wf_json_text(wf_json_get(family->json, "bases"), task, NULL);
    if (other && !(out->other = wf_arena_printf(arena, "%s.", other)))
        return wf_fail_memory(err);
    WF_TRY(sort_params(&m));
    if (wf_json_is_string(names, "same"))
        return map_same(&m);
    WF_TRY(map_names(&m, names, 0));
    return check_covered(&m);
}

/* ---- tensors nobody reads ---- */
/* The first line of a list that the tensor's name is one of, with the base or without it. */
static const wf_json *line_of(const wf_names *names, const wf_json *list, const char *tensor, bool *bare) {
    size_t base = names->base ? strlen(names->base) : 0;
    if (names->other && wf_starts_with(tensor, names->other))
        tensor += strlen(names->other);
    for (const wf_json *j = list ? list->child : NULL; j; j = j->next) {
        if (j->kind != WF_JSON_STRING)
            continue;
        bool whole = matches(j->string, tensor);
        *bare = !whole && base && strncmp(j->string, names->base, base) == 0 && matches(j->string + base, tensor);
        if (whole || *bare)
            return j;
    }
    return NULL;
}

static bool listed(const wf_names *names, const wf_json *list, const char *tensor) {
    bool bare;
    return line_of(names, list, tensor, &bare) != NULL;
}

bool wf_names_kept(const wf_names *names, const char *tensor) { return listed(names, names->kept, tensor); }

size_t wf_names_first(const char *base) { return base && *base ? strcspn(base, ".") + 1 : 0; }

static bool is_bare_twin(const wf_names *names, const char *tensor) {
    size_t base = names->base ? strlen(names->base) : 0;
    for (const wf_json *j = names->tied ? names->tied->child : NULL; base && j; j = j->next)
        if (wf_starts_with(j->key, names->base) && wf_streq(j->key + base, tensor))
            return true;
    return false;
}

const char *wf_names_whole(const wf_names *names, wf_arena *arena, const char *tensor) {
    bool bare = false, whole = names->other && wf_starts_with(tensor, names->other);
    if (!whole && !line_of(names, names->kept, tensor, &bare) && !line_of(names, names->unused, tensor, &bare))
        bare = is_bare_twin(names, tensor);
    return bare ? wf_arena_printf(arena, "%s%s", names->base, tensor) : wf_arena_strdup(arena, tensor);
}

bool wf_names_unused(const wf_names *names, const char *tensor) {
    return listed(names, names->unused, tensor) || wf_names_kept(names, tensor);
}
bool wf_names_zero(const wf_names *names, const char *tensor) { return listed(names, names->zero, tensor); }
bool wf_names_optional(const wf_names *names, const char *tensor) { return listed(names, names->optional, tensor); }
