/* layer.c - from the JSON of a spec to a layer: options checked and filled in, slot and state shapes computed. */
#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/str.h"
#include "mixers/layer_cost.h"
#include "mixers/mixer.h"

static const double MOST_ELEMENTS = 0x1p58; /* of a weight or state: their bytes can be counted */

typedef struct builder {
    wf_arena *arena;
    const wf_mixer *row;
    const wf_json *spec, *inner; /* the object, and its "spec" member */
    wf_value *values;
    size_t n_values; /* filled so far: what expressions may see */
    int64_t dim, n;  /* default of `dim`; the repeat index, -1 outside */
    const char *where;
    weft_error *err;
} builder;

static const char *key_name(const void *user, size_t i) {
    const wf_key *keys = user;
    for (size_t j = 0; j <= i; j++)
        if (!keys[j].name)
            return NULL;
    return keys[i].name;
}

static int key_index(const wf_mixer *row, const char *name, size_t length) {
    for (int i = 0; row->keys[i].name; i++)
        if (strlen(row->keys[i].name) == length && memcmp(row->keys[i].name, name, length) == 0)
            return i;
    return -1;
}

static bool lookup(const void *user, const char *name, size_t length, wf_value *out) {
    const builder *b = user;
    if (length == 1 && *name == 'n' && b->n >= 0) {
        *out = wf_value_int(b->n);
        return true;
    }
    int i = key_index(b->row, name, length);
    if (i < 0 || (size_t)i >= b->n_values)
        return false;
    *out = b->values[i];
    return true;
}

static weft_status evaluate(builder *b, const char *source, wf_value *out) {
    wf_scope scope = {lookup, NULL, b};
    weft_status status = wf_expr_eval(source, &scope, b->arena, out, b->err);
    return status ? wf_fail_in(b->err, "%s: %s", b->where, b->row->name) : WEFT_OK;
}

static weft_status check_known(builder *b, const wf_json *object, bool outer) {
    for (const wf_json *j = object ? object->child : NULL; j; j = j->next) {
        if (outer && (wf_streq(j->key, "mixer") || wf_streq(j->key, "spec")))
            continue;
        if (key_index(b->row, j->key, strlen(j->key)) >= 0)
            continue;
        const char *near = wf_nearest(j->key, key_name, b->row->keys);
        wf_fail_at(b->err, WEFT_UNSUPPORTED, j->offset, "%s: %s has no option '%s'%s%s%s", b->where, b->row->name, j->key,
                   near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
        return WEFT_UNSUPPORTED;
    }
    return WEFT_OK;
}

static weft_status bad_value(builder *b, const wf_key *key, const wf_json *j, const char *what) {
    return wf_fail_at(b->err, WEFT_USAGE, j ? j->offset : -1, "%s: %s: '%s' %s", b->where, b->row->name, key->name, what);
}

static bool type_fits(wf_key_type type, wf_value *v) {
    if (type == WF_KEY_FLOAT && v->type == WF_INT)
        *v = wf_value_float(v->number);
    static const wf_type wanted[] = {[WF_KEY_INT] = WF_INT,       [WF_KEY_FLOAT] = WF_FLOAT, [WF_KEY_BOOL] = WF_BOOL,
                                     [WF_KEY_STRING] = WF_STRING, [WF_KEY_LIST] = WF_LIST,   [WF_KEY_OBJECT] = WF_OBJECT};
    return type == WF_KEY_ANY || v->type == wanted[type];
}

static bool among(const char *choices, const char *word) {
    size_t n = strlen(word);
    for (const char *at = choices; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (strncmp(at, word, n) == 0 && (at[n] == '|' || at[n] == 0))
            return true;
    return false;
}

bool wf_slot_no_decay(const wf_mixer *row, const wf_slot *slot) { return row->no_decay && among(row->no_decay, slot->name); }

/* Numbers end up in fp32. */
static bool too_large(const wf_value *v) {
    bool large = v->type == WF_FLOAT && !(fabs(v->number) <= (double)FLT_MAX);
    for (size_t i = 0; v->type == WF_LIST && i < v->count && !large; i++)
        large = too_large(&v->items[i]);
    return large || (v->type == WF_INT && v->integer > INT32_MAX);
}

static weft_status check_value(builder *b, const wf_key *key, const wf_json *j, wf_value *v) {
    static const char *const names[] = {"must be an integer",
                                        "must be a number",
                                        "must be true or false",
                                        "must be a string",
                                        "must be a list",
                                        "must be an object",
                                        ""};
    char text[WEFT_MESSAGE_SIZE];
    if (v->type == WF_NULL && wf_streq(key->fallback, "null"))
        return WEFT_OK;
    if (!j && v->type == WF_NULL) { /* a default may exist only for some sizes */
        snprintf(text, sizeof text, "is needed: no default for these sizes (%s)", key->fallback);
        return bad_value(b, key, NULL, text);
    }
    if (!type_fits(key->type, v))
        return bad_value(b, key, j, names[key->type]);
    if ((v->type == WF_INT || v->type == WF_FLOAT) && v->number < key->min) {
        snprintf(text, sizeof text, "must be at least %g, not %g", key->min, v->number);
        return bad_value(b, key, j, text);
    }
    if (too_large(v))
        return bad_value(b, key, j, "is absurdly large");
    if (v->type == WF_STRING && key->choices && !among(key->choices, v->string)) {
        snprintf(text, sizeof text, "must be one of %s, not '%s'", key->choices, v->string);
        return bad_value(b, key, j, text);
    }
    return WEFT_OK;
}

/* ---- members of object options ---- */
static const wf_value *default_of(const wf_value *defaults, const char *name) {
    for (size_t i = 0; i + 1 < defaults->count; i += 2)
        if (wf_streq(defaults->items[i].string, name))
            return &defaults->items[i + 1];
    return NULL;
}

static const char *nth_member(const void *user, size_t i) {
    const wf_value *defaults = user;
    return 2 * i + 1 < defaults->count ? defaults->items[2 * i].string : NULL;
}

static weft_status check_member(builder *b, const wf_key *key, const wf_json *j, const wf_value *defaults) {
    const wf_value *fallback = default_of(defaults, j->key);
    char text[WEFT_MESSAGE_SIZE];
    wf_value given;
    if (!fallback) {
        const char *near = wf_nearest(j->key, nth_member, defaults);
        return wf_fail_at(b->err, WEFT_UNSUPPORTED, j->offset, "%s: %s: '%s' has no option '%s'%s%s%s", b->where, b->row->name,
                          key->name, j->key, near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
    }
    WF_TRY(wf_value_of_json(b->arena, j, &given, b->err));
    bool fits = fallback->type == WF_NULL || given.type == WF_NULL || given.type == fallback->type ||
                (fallback->type == WF_FLOAT && given.type == WF_INT);
    snprintf(text, sizeof text, "has an option '%s' of the wrong type", j->key);
    return fits ? WEFT_OK : bad_value(b, key, j, text);
}

/* An object option whose row lists its members gets every one of them, given or not. */
static weft_status fill_members(builder *b, const wf_key *key, wf_value *v) {
    wf_value defaults;
    if (key->type != WF_KEY_OBJECT || v->type != WF_OBJECT || !key->choices)
        return WEFT_OK;
    WF_TRY(evaluate(b, key->choices, &defaults));
    for (const wf_json *j = v->object->child; j; j = j->next)
        WF_TRY(check_member(b, key, j, &defaults));
    wf_json *full = wf_json_new(b->arena, WF_JSON_OBJECT);
    for (size_t i = 0; i + 1 < defaults.count; i += 2) {
        const wf_json *given = wf_json_get(v->object, defaults.items[i].string);
        bool there = given && given->kind != WF_JSON_NULL;
        if (!wf_json_put(b->arena, full, defaults.items[i].string,
                         there ? wf_json_copy(b->arena, given) : wf_value_to_json(b->arena, &defaults.items[i + 1])))
            return wf_fail_memory(b->err);
    }
    v->object = full;
    return WEFT_OK;
}

static weft_status fill_value(builder *b, size_t i) {
    const wf_key *key = &b->row->keys[i];
    const wf_json *j = wf_json_get(b->spec, key->name);
    wf_value *v = &b->values[i];
    if ((!j || (wf_streq(key->name, "mixer") && j->kind == WF_JSON_STRING)) && b->inner)
        j = wf_json_get(b->inner, key->name);
    if (j && !(j->kind == WF_JSON_NULL && key->fallback)) {
        WF_TRY(wf_value_of_json(b->arena, j, v, b->err));
    } else if (wf_streq(key->name, "dim") && b->dim > 0) {
        *v = wf_value_int(b->dim);
    } else if (!key->fallback) {
        return bad_value(b, key, b->spec, "is required");
    } else {
        WF_TRY(evaluate(b, key->fallback, v));
    }
    WF_TRY(check_value(b, key, j, v));
    WF_TRY(fill_members(b, key, v));
    b->n_values = i + 1;
    return WEFT_OK;
}

/* The largest integer among the options that an expression mentions, by the letters of their names. */
static const wf_key *largest_in(const builder *b, const char *expression) {
    const wf_key *keys = b->row->keys, *found = NULL;
    for (size_t i = 0; keys[i].name; i++)
        if (b->values[i].type == WF_INT && strstr(expression, keys[i].name) &&
            (!found || b->values[i].integer > b->values[found - keys].integer))
            found = &keys[i];
    return found;
}

static weft_status eval_dims(builder *b, const char *shape, int *rank, int64_t *dims) {
    double count = 1.0;
    wf_value v;
    WF_TRY(evaluate(b, shape, &v));
    WF_CHECK(v.type == WF_LIST && v.count <= WF_MAX_RANK - 1, b->err, WEFT_USAGE, "%s: %s: bad shape %s", b->where,
             b->row->name, shape);
    *rank = (int)v.count;
    for (size_t i = 0; i < v.count; i++) {
        WF_CHECK(v.items[i].type == WF_INT && v.items[i].integer > 0, b->err, WEFT_USAGE,
                 "%s: %s: a dimension of %s is not positive", b->where, b->row->name, shape);
        dims[i] = v.items[i].integer;
        count *= v.items[i].number;
    }
    const wf_key *largest = count > MOST_ELEMENTS ? largest_in(b, shape) : NULL;
    return largest ? bad_value(b, largest, wf_json_get(b->spec, largest->name), "makes a weight or a state of impossible size")
                   : WEFT_OK;
}

static weft_status holds(builder *b, const char *when, bool *out) {
    wf_value v;
    *out = true;
    if (!when)
        return WEFT_OK;
    WF_TRY(evaluate(b, when, &v));
    *out = wf_value_true(&v);
    return WEFT_OK;
}

static const char *slot_name(builder *b, const wf_slot *row) {
    const char *at = strstr(row->name, "{n}");
    if (!at)
        return row->name;
    return wf_arena_printf(b->arena, "%.*s%lld%s", (int)(at - row->name), row->name, (long long)b->n, at + 3);
}

static weft_status add_slot(builder *b, const wf_slot *row, wf_layer *layer, size_t capacity) {
    bool present;
    WF_TRY(holds(b, row->when, &present));
    if (!present)
        return WEFT_OK;
    WF_CHECK(layer->n_slots < capacity, b->err, WEFT_USAGE, "%s: too many weights", b->where);
    wf_layer_slot *slot = &layer->slots[layer->n_slots++];
    slot->row = row;
    slot->seed = strcmp(row->init, "seeded") == 0 ? &b->values[key_index(b->row, "seed", strlen("seed"))] : NULL;
    slot->no_decay = wf_slot_no_decay(b->row, row);
    slot->together = among(b->row->together, row->name);
    slot->name = slot_name(b, row);
    return slot->name ? eval_dims(b, row->shape, &slot->rank, slot->dims) : wf_fail_memory(b->err);
}

enum { MAX_REPEAT = 64, MAX_SLOTS = 512 };

static weft_status add_repeated(builder *b, const wf_slot *row, wf_layer *layer) {
    wf_value times;
    if (!row->repeat)
        return add_slot(b, row, layer, MAX_SLOTS);
    WF_TRY(evaluate(b, row->repeat, &times));
    WF_CHECK(times.type == WF_INT && times.integer >= 0 && times.integer <= MAX_REPEAT, b->err, WEFT_USAGE,
             "%s: %s: '%s' is %g, at most %d weights of a kind are possible", b->where, b->row->name, row->repeat, times.number,
             MAX_REPEAT);
    weft_status status = WEFT_OK;
    for (b->n = 0; b->n < times.integer && status == WEFT_OK; b->n++)
        status = add_slot(b, row, layer, MAX_SLOTS);
    b->n = -1;
    return status;
}

static weft_status add_slots(builder *b, wf_layer *layer) {
    layer->slots = wf_arena_alloc(b->arena, MAX_SLOTS * sizeof *layer->slots);
    if (!layer->slots)
        return wf_fail_memory(b->err);
    for (const wf_slot *row = b->row->slots; row && row->name; row++)
        WF_TRY(add_repeated(b, row, layer));
    return WEFT_OK;
}

static weft_status add_states(builder *b, wf_layer *layer) {
    for (const wf_state_slot *row = b->row->states; row && row->name; row++) {
        assert(layer->n_states < WF_MAX_STATES);
        wf_layer_state_shape *shape = &layer->states[layer->n_states++];
        shape->row = row;
        shape->name = row->name;
        wf_value limit = {0};
        WF_TRY(holds(b, row->when, &shape->present));
        if (!shape->present)
            continue;
        WF_TRY(eval_dims(b, row->shape, &shape->rank, shape->dims));
        if (row->limit)
            WF_TRY(evaluate(b, row->limit, &limit));
        shape->limit = limit.type == WF_INT ? limit.integer : 0;
        shape->present = row->kind != WF_STATE_SOURCE;
    }
    return WEFT_OK;
}

void wf_layer_reads_memory(wf_layer *layer) {
    layer->whole =
        wf_layer_needs_memory(layer) || !(wf_layer_traits(layer) & WF_STREAMS); /* the first has a state of its own */
    for (int i = 0; i < layer->n_states; i++)
        layer->states[i].present = layer->states[i].row->kind == WF_STATE_SOURCE;
}

bool wf_layer_can_read_memory(const wf_layer *layer) {
    bool can = strstr(layer->row->inputs, " memory") != NULL;
    for (int i = 0; i < layer->n_parts && !can; i++)
        can = wf_layer_can_read_memory(layer->parts[i]);
    return can;
}

bool wf_layer_needs_memory(const wf_layer *layer) { return strstr(layer->row->inputs, " memory ") != NULL; }

bool wf_layer_keeps_memory(const wf_layer *layer) {
    for (int i = 0; i < layer->n_states; i++)
        if (layer->states[i].present && layer->states[i].row->kind == WF_STATE_SOURCE)
            return true;
    return false;
}

/* ---- parts ---- */
typedef struct wf_part_builder {
    wf_arena *arena;
    wf_layer *layer;
} wf_part_builder;

/* The slots of a part lie in those of the layer around it; so do those of its own parts. */
static void lay_slots(wf_layer *part, wf_layer_slot *slots, size_t prefix) {
    part->slots = slots;
    part->prefix += prefix;
    for (int i = 0; i < part->n_parts; i++)
        lay_slots(part->parts[i], slots + part->parts[i]->first_slot, prefix);
}

static weft_status take_slots(wf_part_builder *b, wf_layer *part, const char *prefix, weft_error *err) {
    wf_layer *l = b->layer;
    WF_CHECK(l->n_slots + part->n_slots <= MAX_SLOTS, err, WEFT_USAGE, "%s: too many weights", l->where);
    part->first_slot = l->n_slots;
    for (size_t i = 0; i < part->n_slots; i++) {
        wf_layer_slot *slot = &l->slots[l->n_slots++];
        *slot = part->slots[i];
        slot->name = wf_arena_printf(b->arena, "%s%s", prefix, part->slots[i].name);
        if (!slot->name)
            return wf_fail_memory(err);
    }
    lay_slots(part, l->slots + part->first_slot, strlen(prefix));
    return WEFT_OK;
}

static weft_status take_states(wf_part_builder *b, wf_layer *part, const char *prefix, weft_error *err) {
    wf_layer *l = b->layer;
    WF_CHECK(l->n_states + part->n_states <= WF_MAX_STATES, err, WEFT_USAGE, "%s: more than %d states", l->where,
             WF_MAX_STATES);
    part->first_state = l->n_states;
    for (int i = 0; i < part->n_states; i++) {
        wf_layer_state_shape *shape = &l->states[l->n_states++];
        *shape = part->states[i];
        shape->name = wf_arena_printf(b->arena, "%s%s", prefix, part->states[i].name);
        if (!shape->name)
            return wf_fail_memory(err);
    }
    return WEFT_OK;
}

weft_status wf_layer_add_part(wf_part_builder *b, const char *prefix, const char *mixer, const wf_json *spec, int64_t dim,
                              weft_error *err) {
    enum { MOST_PARTS = 16 };
    wf_layer *l = b->layer, *part;
    const wf_mixer *row = wf_mixer_find(mixer);
    const char *near = row ? NULL : wf_mixer_nearest(mixer),
               *where = wf_arena_printf(b->arena, "%s %.*s", l->where, (int)strcspn(prefix, "."), prefix);
    if (!l->parts)
        l->parts = wf_arena_alloc(b->arena, MOST_PARTS * sizeof *l->parts);
    wf_json *none = wf_json_new(b->arena, WF_JSON_OBJECT);
    if (!where || !l->parts || !none)
        return wf_fail_memory(err);
    WF_CHECK(row, err, WEFT_USAGE, "%s: unknown mixer '%s'%s%s%s", where, mixer, near ? ", did you mean '" : "",
             near ? near : "", near ? "'?" : "");
    WF_CHECK(l->n_parts < MOST_PARTS, err, WEFT_USAGE, "%s: more than %d parts", l->where, MOST_PARTS);
    WF_TRY(wf_layer_build(b->arena, row, spec ? spec : none, dim, where, &part, err));
    WF_TRY(take_slots(b, part, prefix, err));
    WF_TRY(take_states(b, part, prefix, err));
    l->parts[l->n_parts++] = part;
    return WEFT_OK;
}

/* Options stand beside the name of the mixer; under "spec" where one of them is called "mixer" as well. */
wf_json *wf_layer_json(wf_arena *arena, const wf_layer *layer) {
    const wf_mixer *row = layer->row;
    bool inside = key_index(row, "mixer", strlen("mixer")) >= 0;
    wf_json *object = wf_json_new(arena, WF_JSON_OBJECT), *options = inside ? wf_json_new(arena, WF_JSON_OBJECT) : object;
    bool ok = object && options && wf_json_put(arena, object, "mixer", wf_json_new_string(arena, row->name, strlen(row->name)));
    for (size_t i = 0; ok && row->keys[i].name; i++)
        ok = wf_json_put(arena, options, row->keys[i].name, wf_value_to_json(arena, &layer->values[i]));
    if (ok && inside)
        ok = wf_json_put(arena, object, "spec", options);
    return ok ? object : NULL;
}

weft_status wf_layer_build(wf_arena *arena, const wf_mixer *row, const wf_json *spec, int64_t dim, const char *where,
                           wf_layer **out, weft_error *err) {
    builder b = {.arena = arena,
                 .row = row,
                 .spec = spec,
                 .inner = wf_json_get(spec, "spec"),
                 .dim = dim,
                 .n = -1,
                 .where = where,
                 .err = err};
    size_t n = 0;
    while (row->keys[n].name)
        n++;
    b.values = wf_arena_alloc(arena, (n + 1) * sizeof *b.values);
    wf_layer *layer = wf_arena_alloc(arena, sizeof *layer);
    if (!b.values || !layer)
        return wf_fail_memory(err);
    *layer = (wf_layer){.row = row, .where = where, .mem = arena->mem, .values = b.values};
    WF_TRY(check_known(&b, spec, true));
    WF_TRY(check_known(&b, b.inner, false));
    for (size_t i = 0; i < n; i++)
        WF_TRY(fill_value(&b, i));
    if (row->check && row->check(layer, err) != WEFT_OK)
        return wf_fail_in(err, "%s: %s", where, row->name);
    WF_TRY(add_slots(&b, layer));
    WF_TRY(add_states(&b, layer));
    WF_TRY(holds(&b, row->streams, &layer->streams));
    if (row->apart)
        WF_TRY(holds(&b, row->apart, &layer->apart));
    if (row->parts)
        WF_TRY(row->parts(&(wf_part_builder){arena, layer}, layer, err));
    *out = layer;
    return WEFT_OK;
}

const wf_value *wf_get(const wf_layer *layer, const char *key) {
    int i = key_index(layer->row, key, strlen(key));
    assert(i >= 0);
    return &layer->values[i];
}

int64_t wf_int(const wf_layer *layer, const char *key) { return wf_get(layer, key)->integer; }
double wf_float(const wf_layer *layer, const char *key) { return wf_get(layer, key)->number; }
bool wf_flag(const wf_layer *layer, const char *key) { return wf_value_true(wf_get(layer, key)); }
const char *wf_string(const wf_layer *layer, const char *key) { return wf_get(layer, key)->string; }
bool wf_given(const wf_layer *layer, const char *key) { return wf_get(layer, key)->type != WF_NULL; }
bool wf_is(const wf_layer *layer, const char *key, const char *text) { return wf_streq(wf_string(layer, key), text); }

bool wf_lists(const wf_layer *layer, const char *key, const char *text) {
    const wf_value *list = wf_get(layer, key);
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].type == WF_STRING && wf_streq(list->items[i].string, text))
            return true;
    return false;
}

unsigned wf_layer_traits(const wf_layer *layer) {
    unsigned traits = layer->row->traits & ~(layer->row->lost_traits ? layer->row->lost_traits(layer) : 0u);
    const unsigned marks =
        WF_PADDING_TRACE | WF_PADDING_COUNTS; /* of one part are marks of all, the others are promises of all */
    for (int i = 0; i < layer->n_parts; i++) {
        unsigned part = wf_layer_traits(layer->parts[i]);
        traits = (traits & (part | marks | WF_REBUILDS)) | (part & marks);
    }
    return traits;
}

bool wf_layer_causal(const wf_layer *layer) {
    for (int i = 0; i < layer->n_parts; i++)
        if (!wf_layer_causal(layer->parts[i]))
            return false;
    bool causal = key_index(layer->row, "causal", strlen("causal")) < 0 || wf_flag(layer, "causal");
    bool one_way = key_index(layer->row, "bidirectional", strlen("bidirectional")) < 0 || !wf_flag(layer, "bidirectional");
    return (wf_layer_traits(layer) & WF_CAUSAL) && causal && one_way;
}

bool wf_layer_takes_prefix(const wf_layer *layer) {
    bool takes = key_index(layer->row, "prefix_lm", strlen("prefix_lm")) >= 0 && wf_flag(layer, "prefix_lm");
    for (int i = 0; i < layer->n_parts && !takes; i++)
        takes = wf_layer_takes_prefix(layer->parts[i]);
    return takes;
}

bool wf_layer_streams(const wf_layer *layer) {
    for (int i = 0; i < layer->n_parts; i++)
        if (!wf_layer_streams(layer->parts[i]))
            return false;
    return (wf_layer_traits(layer) & WF_STREAMS) && layer->streams && wf_layer_causal(layer);
}

weft_status wf_check_bias(const wf_layer *layer, const char *const *names, size_t count, weft_error *err) {
    const wf_value *list = wf_get(layer, "bias");
    char all[96] = "";
    for (size_t n = 0, used = 0; n < count && used < sizeof all; n++)
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", n ? " " : "", names[n]);
    for (size_t i = 0; i < list->count; i++) {
        bool known = false;
        WF_CHECK(list->items[i].type == WF_STRING, err, WEFT_USAGE, "'bias' lists projections among %s, in quotes", all);
        const char *s = list->items[i].string;
        for (size_t n = 0; n < count; n++)
            known |= wf_streq(s, names[n]);
        WF_CHECK(known, err, WEFT_USAGE, "'bias' lists projections among %s, not '%s'", all, s);
    }
    return WEFT_OK;
}

weft_status wf_check_groups(const wf_layer *layer, const char *key, int64_t in, int64_t out, weft_error *err) {
    int64_t groups = wf_int(layer, key);
    WF_CHECK(in % groups == 0 && out % groups == 0, err, WEFT_USAGE,
             "%lld and %lld channels cannot be cut into '%s' (%lld) pieces", (long long)in, (long long)out, key,
             (long long)groups);
    return WEFT_OK;
}

weft_status wf_check_prefix(const wf_layer *layer, weft_error *err) {
    WF_CHECK(!wf_flag(layer, "prefix_lm") || wf_flag(layer, "causal"), err, WEFT_USAGE, "'prefix_lm' needs 'causal'");
    return WEFT_OK;
}

weft_status wf_check_qkvo(const wf_layer *layer, weft_error *err) {
    int64_t heads = wf_int(layer, "heads"), groups = wf_int(layer, "kv_heads");
    WF_CHECK(heads % groups == 0, err, WEFT_USAGE, "'heads' (%lld) must be a multiple of 'kv_heads' (%lld)", (long long)heads,
             (long long)groups);
    return wf_check_bias(layer, (const char *const[]){"q", "k", "v", "o"}, 4, err);
}

/* ---- cost laws ---- */
typedef struct law {
    const wf_layer *layer;
    int64_t rows;
} law;

static bool law_lookup(const void *user, const char *name, size_t length, wf_value *out) {
    const law *l = user;
    if (length == 1 && *name == 'T') {
        *out = wf_value_int(l->rows);
        return true;
    }
    int i = key_index(l->layer->row, name, length);
    if (i >= 0)
        *out = l->layer->values[i];
    return i >= 0;
}

/* A law of the layer itself, without its parts. */
static double own_law(const wf_layer *layer, const char *expression, int64_t rows) {
    law l = {layer, rows};
    wf_scope scope = {law_lookup, NULL, &l};
    wf_value v = {0};
    wf_arena arena;
    double value = NAN;
    wf_arena_init(&arena, layer->mem, 0);
    if (wf_expr_eval(expression, &scope, &arena, &v, NULL) == WEFT_OK)
        value = v.number;
    wf_arena_free(&arena);
    return value;
}

static double law_flops(const wf_layer *layer, int64_t rows) {
    double flops = own_law(layer, layer->row->flops, rows);
    for (int i = 0; i < layer->n_parts; i++)
        flops += law_flops(layer->parts[i], rows);
    return flops;
}

double wf_layer_time(const wf_layer *layer, int64_t rows) {
    double most = own_law(layer, layer->row->time ? layer->row->time : "T", rows);
    for (int i = 0; i < layer->n_parts; i++)
        most = fmax(most, wf_layer_time(layer->parts[i], rows));
    return most;
}

double wf_layer_space(const wf_layer *layer, int64_t rows) {
    double most = own_law(layer, layer->row->space ? layer->row->space : "T", rows);
    for (int i = 0; i < layer->n_parts; i++)
        most = fmax(most, wf_layer_space(layer->parts[i], rows));
    return most;
}

double wf_layer_projections(const wf_layer *layer, int64_t rows) {
    double flops = 0.0;
    for (size_t i = 0; i < layer->n_slots; i++) {
        const wf_layer_slot *slot = &layer->slots[i];
        if (slot->rank == 2 && wf_ends_with(slot->name, ".weight"))
            flops += 2.0 * (double)slot->dims[0] * (double)slot->dims[1] * (double)rows;
    }
    return flops;
}

double wf_layer_flops(const wf_layer *layer, int64_t rows) {
    return wf_layer_projections(layer, rows) + law_flops(layer, rows);
}

size_t wf_layer_state_bytes(const wf_layer *layer, int64_t tokens) {
    size_t total = 0;
    bool kept = wf_layer_streams(layer) || wf_layer_keeps_memory(layer);
    for (int i = 0; kept && i < layer->n_states; i++) {
        const wf_layer_state_shape *s = &layer->states[i];
        size_t n = s->present ? sizeof(float) : 0;
        for (int d = 0; d < s->rank; d++)
            n *= (size_t)s->dims[d];
        if (layer->states[i].row->kind != WF_STATE_FIXED)
            n *= (size_t)(s->limit > 0 && s->limit < tokens ? s->limit : tokens);
        total += n;
    }
    return total;
}
