/* words.c - what formulas of family files cannot say: a closed list of words, each a row with its arguments in the order of the
 * checkpoint convention it reads or writes. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "families/rules.h"

typedef struct call {
    const wf_vars *vars;
    wf_arena *arena;
    const wf_value *args;
    size_t count;
    wf_value *out;
    weft_error *err;
} call;

static const wf_value nothing = {.type = WF_NULL};
static const wf_value *arg(const call *c, size_t i) { return i < c->count ? &c->args[i] : &nothing; }

/* ---- activations: names of the checkpoints and ours; the first row of one of ours is the name written ---- */
typedef struct activation_row {
    const char *theirs, *ours; /* ours NULL: known, not built in */
} activation_row;

static const activation_row activations[] = {
    {"gelu", "gelu"},
    {"gelu_python", "gelu"},
    {"gelu_new", "gelu_tanh"},
    {"gelu_pytorch_tanh", "gelu_tanh"},
    {"gelu_fast", "gelu_tanh"},
    {"gelu_accurate", "gelu_tanh"},
    {"gelu_python_tanh", "gelu_tanh"},
    {"quick_gelu", "quick_gelu"},
    {"relu", "relu"},
    {"relu2", "relu2"},
    {"silu", "silu"},
    {"swish", "silu"},
    {"sigmoid", "sigmoid"},
    {"tanh", "tanh"},
    {"linear", "identity"},
    {"gelu_10", "gelu_10"},
    {"hardswish", "hardswish"},
    {"laplace", "laplace"},
    {"leaky_relu", "leaky_relu"},
    {"mish", "mish"},
    {"prelu", NULL},
    {"relu6", "relu6"},
    {"sqrtsoftplus", "sqrtsoftplus"},
    {"xielu", "xielu"},
};
enum { ACTIVATIONS = sizeof activations / sizeof *activations };

/* activation(name): a checkpoint's name of a non-linearity -> ours */
static weft_status word_activation(call *c) {
    const wf_value *name = arg(c, 0);
    WF_CHECK(name->type == WF_STRING, c->err, WEFT_BAD_INPUT, "an activation must be a name");
    for (size_t i = 0; i < ACTIVATIONS; i++)
        if (wf_streq(activations[i].theirs, name->string)) {
            WF_CHECK(activations[i].ours, c->err, WEFT_UNSUPPORTED, "activation '%s' is not built in", name->string);
            *c->out = wf_value_string(activations[i].ours);
            return WEFT_OK;
        }
    return wf_fail(c->err, WEFT_BAD_INPUT, "unknown activation '%s'", name->string);
}

/* their_activation(name): the reverse */
static weft_status word_their_activation(call *c) {
    const wf_value *name = arg(c, 0);
    for (size_t i = 0; i < ACTIVATIONS; i++)
        if (name->type == WF_STRING && wf_streq(activations[i].ours, name->string)) {
            *c->out = wf_value_string(activations[i].theirs);
            return WEFT_OK;
        }
    return wf_fail(c->err, WEFT_BAD_INPUT, "this activation has no name there");
}

/* ---- rotary positions ---- */
typedef enum rope_need { REQUIRED = 1, OPTIONAL, RATIO /* computed from the lengths when absent */, IGNORED } rope_need;
typedef struct rope_member {
    const char *name;
    rope_need need;
    wf_json_kind kind;
} rope_member;
typedef struct rope_rule {
    const char *type;
    bool takes_max, takes_original; /* lengths the rule reads from the config */
    rope_member members[8];
} rope_rule;

static const rope_rule rope_rules[] = {
    {"default", false, false, {{0}}},
    {"linear", false, false, {{"factor", REQUIRED, WF_JSON_NUMBER}}},
    {"dynamic",
     true,
     false,
     {{"factor", REQUIRED, WF_JSON_NUMBER}, {"original_max_position_embeddings", IGNORED, WF_JSON_NUMBER}}},
    {"yarn",
     false,
     true,
     {{"factor", RATIO, WF_JSON_NUMBER},
      {"attention_factor", OPTIONAL, WF_JSON_NUMBER},
      {"beta_fast", OPTIONAL, WF_JSON_NUMBER},
      {"beta_slow", OPTIONAL, WF_JSON_NUMBER},
      {"mscale", OPTIONAL, WF_JSON_NUMBER},
      {"mscale_all_dim", OPTIONAL, WF_JSON_NUMBER},
      {"truncate", OPTIONAL, WF_JSON_TRUE}}},
    {"longrope",
     false,
     true,
     {{"factor", RATIO, WF_JSON_NUMBER},
      {"attention_factor", OPTIONAL, WF_JSON_NUMBER},
      {"short_factor", REQUIRED, WF_JSON_ARRAY},
      {"long_factor", REQUIRED, WF_JSON_ARRAY}}},
    {"llama3",
     false,
     true,
     {{"factor", REQUIRED, WF_JSON_NUMBER},
      {"low_freq_factor", REQUIRED, WF_JSON_NUMBER},
      {"high_freq_factor", REQUIRED, WF_JSON_NUMBER}}},
};

static const char ORIGINAL[] = "original_max_position_embeddings";

typedef struct rope_reader {
    call *c;
    const wf_json *given; /* the checkpoint's object, NULL: none */
    const rope_rule *rule;
    wf_json *scaling;
    double most, original; /* lengths */
} rope_reader;

static weft_status put(const call *c, wf_json *object, const char *key, wf_json *value) {
    return wf_json_put(c->arena, object, key, value) ? WEFT_OK : wf_fail_memory(c->err);
}

static weft_status find_rope_rule(rope_reader *r) {
    const char *type = wf_json_text(r->given, "rope_type", wf_json_text(r->given, "type", "default"));
    for (size_t i = 0; i < sizeof rope_rules / sizeof *rope_rules; i++)
        if (wf_streq(rope_rules[i].type, type)) {
            r->rule = &rope_rules[i];
            return WEFT_OK;
        }
    return wf_fail(r->c->err, WEFT_UNSUPPORTED, "rope type '%s' is unknown (default, linear, dynamic, yarn, longrope, llama3)",
                   type);
}

static bool is_member(const rope_rule *rule, const char *name) {
    for (const rope_member *m = rule->members; m->name; m++)
        if (wf_streq(m->name, name))
            return true;
    return false;
}

static weft_status check_rope_members(const rope_reader *r) {
    /* the sections of mrope differ for pictures only: a token of text has the same position in all */
    static const char *const common[] = {"rope_theta",    "rope_type",         "type", "partial_rotary_factor",
                                         "mrope_section", "mrope_interleaved", NULL};
    for (const wf_json *j = r->given ? r->given->child : NULL; j; j = j->next) {
        bool known = is_member(r->rule, j->key) || (r->rule->takes_original && wf_streq(j->key, ORIGINAL));
        for (size_t i = 0; common[i]; i++)
            known |= wf_streq(common[i], j->key);
        if (!known)
            WF_TRY(wf_unlisted(r->c->vars->options, "rope_parameters", j, r->c->err));
    }
    return WEFT_OK;
}

static bool kind_fits(const wf_json *j, wf_json_kind kind) {
    return j->kind == kind || (kind == WF_JSON_TRUE && j->kind == WF_JSON_FALSE);
}

static weft_status read_rope_member(rope_reader *r, const rope_member *m) {
    const wf_json *j = wf_json_get(r->given, m->name);
    if (m->need == IGNORED)
        return WEFT_OK;
    if (!j || j->kind == WF_JSON_NULL) {
        WF_CHECK(m->need != REQUIRED, r->c->err, WEFT_BAD_INPUT, "rope type '%s' needs '%s'", r->rule->type, m->name);
        return m->need == RATIO ? put(r->c, r->scaling, m->name, wf_json_new_double(r->c->arena, r->most / r->original))
                                : WEFT_OK;
    }
    if (!kind_fits(j, m->kind))
        return wf_fail_at(r->c->err, WEFT_BAD_INPUT, j->offset, "rope '%s' has the wrong type", m->name);
    if (j->kind == WF_JSON_NUMBER && m->need == OPTIONAL && j->number == 0.0)
        return WEFT_OK; /* as if absent */
    if (j->kind == WF_JSON_NUMBER && !(j->number > 0.0))
        return wf_fail_at(r->c->err, WEFT_BAD_INPUT, j->offset, "rope '%s' must be positive, not %g", m->name, j->number);
    return put(r->c, r->scaling, m->name, wf_json_copy(r->c->arena, j));
}

/* The trained length before the scaling: beside the object, inside it, or the maximal length. */
static weft_status read_original(rope_reader *r) {
    const wf_json *inside = wf_json_get(r->given, ORIGINAL);
    const wf_value *beside = arg(r->c, 4);
    if (!r->rule->takes_original)
        return WEFT_OK;
    r->original = beside->type != WF_NULL ? beside->number : inside && inside->kind != WF_JSON_NULL ? inside->number : r->most;
    WF_CHECK(r->original >= 1.0, r->c->err, WEFT_BAD_INPUT, "'%s' must be a positive number", ORIGINAL);
    return put(r->c, r->scaling, ORIGINAL, wf_json_new_double(r->c->arena, r->original));
}

static weft_status read_scaling(rope_reader *r, wf_json *rope) {
    const char *type = r->rule->type;
    r->scaling = wf_json_new(r->c->arena, WF_JSON_OBJECT);
    WF_TRY(put(r->c, r->scaling, "type", wf_json_new_string(r->c->arena, type, strlen(type))));
    WF_TRY(read_original(r));
    if (r->rule->takes_max)
        WF_TRY(put(r->c, r->scaling, "max_position_embeddings", wf_json_new_double(r->c->arena, r->most)));
    for (const rope_member *m = r->rule->members; m->name; m++)
        WF_TRY(read_rope_member(r, m));
    return put(r->c, rope, "scaling", r->scaling);
}

static weft_status read_theta(const rope_reader *r, wf_json *rope) {
    const wf_json *inside = wf_json_get(r->given, "rope_theta");
    double theta = arg(r->c, 2)->type != WF_NULL ? arg(r->c, 2)->number : 10000.0;
    if (inside && inside->kind != WF_JSON_NULL) {
        if (inside->kind != WF_JSON_NUMBER)
            return wf_fail_at(r->c->err, WEFT_BAD_INPUT, inside->offset, "'rope_theta' must be a number");
        theta = inside->number;
    }
    WF_CHECK(theta > 0.0, r->c->err, WEFT_BAD_INPUT, "'rope_theta' must be positive, not %g", theta);
    return put(r->c, rope, "theta", wf_json_new_double(r->c->arena, theta));
}

/* rope(rope_scaling, rope_parameters, rope_theta, max_position_embeddings, original_max_position_embeddings): both spellings of
 * Hugging Face configs (the first is the older one, and wins when it says anything) -> our rope object */
static weft_status word_rope(call *c) {
    rope_reader r = {.c = c, .most = arg(c, 3)->number};
    for (size_t i = 0; i < 2 && !r.given; i++) {
        WF_CHECK(arg(c, i)->type == WF_NULL || arg(c, i)->type == WF_OBJECT, c->err, WEFT_BAD_INPUT,
                 "rope parameters must be an object");
        r.given = arg(c, i)->type == WF_OBJECT && arg(c, i)->object->count ? arg(c, i)->object : NULL;
    }
    const wf_json *type = wf_json_get(r.given, "rope_type");
    type = type ? type : wf_json_get(r.given, "type");
    WF_CHECK(!type || type->kind == WF_JSON_STRING, c->err, WEFT_BAD_INPUT, "a rope type must be a name");
    WF_TRY(find_rope_rule(&r));
    WF_TRY(check_rope_members(&r));
    wf_json *rope = wf_json_new(c->arena, WF_JSON_OBJECT);
    WF_TRY(read_theta(&r, rope));
    if (r.rule->members[0].name)
        WF_TRY(read_scaling(&r, rope));
    *c->out = (wf_value){.type = WF_OBJECT, .object = rope};
    return WEFT_OK;
}

/* their_rope(rope): our object with its members filled in -> rope_parameters */
static weft_status word_their_rope(call *c) {
    const wf_json *rope = arg(c, 0)->type == WF_OBJECT ? arg(c, 0)->object : NULL, *scaling = wf_json_get(rope, "scaling");
    const char *type = wf_json_text(scaling, "type", "default");
    wf_json *out = wf_json_new(c->arena, WF_JSON_OBJECT);
    WF_CHECK(rope, c->err, WEFT_BAD_INPUT, "there are no rotary positions");
    WF_TRY(put(c, out, "rope_theta", wf_json_new_float(c->arena, wf_json_double(rope, "theta", 10000.0))));
    WF_TRY(put(c, out, "rope_type", wf_json_new_string(c->arena, type, strlen(type))));
    for (const wf_json *j = scaling ? scaling->child : NULL; j; j = j->next)
        if (!wf_streq(j->key, "type") && !wf_streq(j->key, "max_position_embeddings"))
            WF_TRY(put(c, out, j->key, wf_json_copy(c->arena, j)));
    *c->out = (wf_value){.type = WF_OBJECT, .object = out};
    return WEFT_OK;
}

/* ---- objects and lists ---- */

/* with(object, 'key', value, ..): the object with these members; null stays null */
static weft_status word_with(call *c) {
    const wf_value *object = arg(c, 0);
    *c->out = *object;
    if (object->type == WF_NULL)
        return WEFT_OK;
    WF_CHECK(object->type == WF_OBJECT && c->count % 2 == 1, c->err, WEFT_BAD_INPUT,
             "with() takes an object, then names and values");
    wf_json *copy = wf_json_copy(c->arena, object->object);
    for (size_t i = 1; i < c->count; i += 2) {
        WF_CHECK(arg(c, i)->type == WF_STRING, c->err, WEFT_BAD_INPUT, "with(): the name of a member must be a string");
        WF_TRY(put(c, copy, arg(c, i)->string, wf_value_to_json(c->arena, arg(c, i + 1))));
    }
    *c->out = (wf_value){.type = WF_OBJECT, .object = copy};
    return WEFT_OK;
}

/* first(blocks, 'path'): the first value at the path that is not null, of the objects of a list */
static weft_status word_first(call *c) {
    const wf_value *list = arg(c, 0);
    WF_CHECK(list->type == WF_LIST && arg(c, 1)->type == WF_STRING, c->err, WEFT_BAD_INPUT, "first() takes a list and a path");
    *c->out = nothing;
    for (size_t i = 0; i < list->count && c->out->type == WF_NULL; i++)
        if (list->items[i].type == WF_OBJECT)
            WF_TRY(wf_value_of_json(c->arena, wf_json_path(list->items[i].object, arg(c, 1)->string), c->out, c->err));
    return WEFT_OK;
}

/* What an element of a list has at the path; the empty path: the element itself. NULL: nothing. */
static const wf_json *member(const call *c, const wf_value *item) {
    const char *path = arg(c, 1)->string;
    return !*path ? wf_value_to_json(c->arena, item) : item->type == WF_OBJECT ? wf_json_path(item->object, path) : NULL;
}

/* matching(blocks, 'path', value): the first object of a list with this value at the path; differing(..): with another one */
static weft_status find_object(call *c, bool same) {
    const wf_value *list = arg(c, 0);
    WF_CHECK(list->type == WF_LIST && arg(c, 1)->type == WF_STRING, c->err, WEFT_BAD_INPUT,
             "matching() takes a list, a path and a value");
    const wf_json *sought = wf_value_to_json(c->arena, arg(c, 2));
    *c->out = nothing;
    for (size_t i = 0; i < list->count && c->out->type == WF_NULL; i++) {
        const wf_json *j = member(c, &list->items[i]);
        bool both_null = (!j || j->kind == WF_JSON_NULL) && sought && sought->kind == WF_JSON_NULL;
        if (list->items[i].type == WF_OBJECT && (both_null || (j && sought && wf_json_equal(j, sought))) == same)
            *c->out = list->items[i];
    }
    return sought ? WEFT_OK : wf_fail_memory(c->err);
}

/* places(blocks, 'path', value): the numbers of the objects that matching() would find */
static weft_status word_places(call *c) {
    const wf_value *list = arg(c, 0);
    WF_CHECK(list->type == WF_LIST && arg(c, 1)->type == WF_STRING, c->err, WEFT_BAD_INPUT,
             "places() takes a list, a path and a value");
    const wf_json *sought = wf_value_to_json(c->arena, arg(c, 2));
    wf_value *items = wf_arena_alloc(c->arena, (list->count + 1) * sizeof *items);
    size_t n = 0;
    if (!sought || !items)
        return wf_fail_memory(c->err);
    for (size_t i = 0; i < list->count; i++) {
        const wf_json *j = member(c, &list->items[i]);
        if (j && wf_json_equal(j, sought))
            items[n++] = wf_value_int((int64_t)i);
    }
    *c->out = (wf_value){.type = WF_LIST, .items = items, .count = n};
    return WEFT_OK;
}

static weft_status word_matching(call *c) { return find_object(c, true); }
static weft_status word_differing(call *c) { return find_object(c, false); }

enum { MOST_ITEMS = 4096 };

static bool is_among(const wf_value *list, const char *text) {
    for (size_t k = 0; k < list->count; k++)
        if (list->items[k].type == WF_STRING && wf_streq(list->items[k].string, text))
            return true;
    return false;
}

/* all_in(list, allowed): the strings of the list, or the names of an object's members (null: none), are among the allowed ones
 */
static weft_status word_all_in(call *c) {
    const wf_value *what = arg(c, 0), *allowed = arg(c, 1);
    bool fits = what->type == WF_LIST || what->type == WF_OBJECT || what->type == WF_NULL, all = true;
    WF_CHECK(fits && allowed->type == WF_LIST, c->err, WEFT_BAD_INPUT, "all_in() takes a list or an object, and a list");
    for (size_t i = 0; what->type == WF_LIST && i < what->count; i++)
        all &= what->items[i].type == WF_STRING && is_among(allowed, what->items[i].string);
    for (const wf_json *j = what->type == WF_OBJECT ? what->object->child : NULL; j; j = j->next)
        all &= is_among(allowed, j->key);
    *c->out = wf_value_bool(all);
    return WEFT_OK;
}

/* as_bf16(x): x with the eight binary digits that bf16 has, halves to even (constants that a reference keeps in bf16) */
static weft_status word_as_bf16(call *c) {
    int exponent;
    WF_CHECK(arg(c, 0)->type == WF_INT || arg(c, 0)->type == WF_FLOAT, c->err, WEFT_BAD_INPUT, "as_bf16() takes a number");
    double part = frexp(arg(c, 0)->number, &exponent);
    *c->out = wf_value_float(ldexp(nearbyint(ldexp(part, 8)), exponent - 8));
    return WEFT_OK;
}

/* repeated([[items, times], ..]): the items so many times over, one list */
static weft_status word_repeated(call *c) {
    const wf_value *groups = arg(c, 0);
    size_t count = 0, at = 0;
    WF_CHECK(groups->type == WF_LIST, c->err, WEFT_BAD_INPUT, "repeated() takes a list of lists");
    for (size_t g = 0; g < groups->count; g++) {
        const wf_value *pair = &groups->items[g];
        bool fits =
            pair->type == WF_LIST && pair->count == 2 && pair->items[0].type == WF_LIST && pair->items[1].type == WF_INT;
        WF_CHECK(fits && pair->items[1].integer >= 0 && pair->items[1].integer <= MOST_ITEMS, c->err, WEFT_BAD_INPUT,
                 "a repetition is [[items], times]");
        count += pair->items[0].count * (size_t)pair->items[1].integer;
        WF_CHECK(count <= MOST_ITEMS, c->err, WEFT_BAD_INPUT, "more than %d repeated items", (int)MOST_ITEMS);
    }
    wf_value *items = wf_arena_alloc(c->arena, (count + 1) * sizeof *items);
    if (!items)
        return wf_fail_memory(c->err);
    for (size_t g = 0; g < groups->count; g++)
        for (int64_t n = 0; n < groups->items[g].items[1].integer; n++)
            for (size_t i = 0; i < groups->items[g].items[0].count; i++)
                items[at++] = groups->items[g].items[0].items[i];
    *c->out = (wf_value){.type = WF_LIST, .items = items, .count = count};
    return WEFT_OK;
}

static weft_status find_equal(call *c, int64_t upto, int64_t *first, int64_t *count) {
    const wf_value *list = arg(c, 0);
    WF_CHECK(list->type == WF_LIST && arg(c, 1)->type == WF_STRING, c->err, WEFT_BAD_INPUT,
             "a list, a path and a value are needed");
    const wf_json *wanted = wf_value_to_json(c->arena, arg(c, 2));
    if (!wanted)
        return wf_fail_memory(c->err);
    *first = (int64_t)list->count;
    *count = 0;
    for (int64_t i = 0; i < (int64_t)list->count && i < upto; i++) {
        const wf_json *j = member(c, &list->items[i]);
        bool equal = j && wf_json_equal(j, wanted);
        *first = equal && *count == 0 ? i : *first;
        *count += equal;
    }
    return WEFT_OK;
}

/* find(list, 'path', value): the number of the first object whose member has the value; -1: none has */
static weft_status word_find(call *c) {
    int64_t first = 0, count = 0;
    WF_TRY(find_equal(c, INT64_MAX, &first, &count));
    *c->out = wf_value_int(count ? first : -1);
    return WEFT_OK;
}

/* count(list, 'path', value, upto): how many of the first `upto` objects (all) have the value there */
static weft_status word_count(call *c) {
    const wf_value *list = arg(c, 0);
    int64_t count = 0, upto = c->count > 3 ? arg(c, 3)->integer : (int64_t)list->count;
    WF_CHECK(list->type == WF_LIST && arg(c, 1)->type == WF_STRING, c->err, WEFT_BAD_INPUT,
             "count() takes a list, a path and a value");
    const wf_json *wanted = wf_value_to_json(c->arena, arg(c, 2));
    if (!wanted)
        return wf_fail_memory(c->err);
    for (int64_t i = 0; i < (int64_t)list->count && i < upto; i++) {
        const wf_json *j = member(c, &list->items[i]);
        count += j && wf_json_equal(j, wanted);
    }
    *c->out = wf_value_int(count);
    return WEFT_OK;
}

/* having(list, 'path', upto): the numbers of those of the first `upto` objects that have something at the path */
static weft_status word_having(call *c) {
    const wf_value *list = arg(c, 0);
    WF_CHECK(list->type == WF_LIST && arg(c, 1)->type == WF_STRING && arg(c, 2)->type == WF_INT, c->err, WEFT_BAD_INPUT,
             "having() takes a list, a path and a number");
    wf_value *items = wf_arena_alloc(c->arena, (list->count + 1) * sizeof *items);
    size_t n = 0;
    if (!items)
        return wf_fail_memory(c->err);
    for (int64_t i = 0; i < (int64_t)list->count && i < arg(c, 2)->integer; i++) {
        const wf_json *j = member(c, &list->items[i]);
        if (j && j->kind != WF_JSON_NULL)
            items[n++] = wf_value_int(i);
    }
    *c->out = (wf_value){.type = WF_LIST, .items = items, .count = n};
    return WEFT_OK;
}

/* Entry i of a list of counts, or the one that stands for all; -1: no count. */
static int64_t count_at(const wf_value *counts, size_t i) {
    const wf_value *one = counts->type == WF_LIST && i < counts->count ? &counts->items[i] : counts;
    return one->type == WF_INT && one->integer >= 0 && one->integer <= MOST_ITEMS ? one->integer : -1;
}

/* units(sizes, times): for group g of so many members, each so many times: [g, member, time], one after the other */
static weft_status word_units(call *c) {
    const wf_value *sizes = arg(c, 0), *times = arg(c, 1);
    WF_CHECK(sizes->type == WF_LIST && (times->type != WF_LIST || times->count == sizes->count), c->err, WEFT_BAD_INPUT,
             "units() takes two lists of counts of the same length");
    wf_value *list = wf_arena_alloc(c->arena, MOST_ITEMS * sizeof *list);
    wf_value *numbers = wf_arena_alloc(c->arena, 3 * MOST_ITEMS * sizeof *numbers);
    int64_t n = 0;
    if (!list || !numbers)
        return wf_fail_memory(c->err);
    for (size_t g = 0; g < sizes->count; g++) {
        int64_t members = count_at(sizes, g), each = count_at(times, g);
        WF_CHECK(members >= 0 && each >= 0 && n + members * each <= MOST_ITEMS, c->err, WEFT_BAD_INPUT,
                 "sizes and repeats must be counts, of at most %d in all", (int)MOST_ITEMS);
        for (int64_t k = 0; k < members * each; k++, n++) {
            numbers[3 * n] = wf_value_int((int64_t)g);
            numbers[3 * n + 1] = wf_value_int(k / each);
            numbers[3 * n + 2] = wf_value_int(k % each);
            list[n] = (wf_value){.type = WF_LIST, .items = numbers + 3 * n, .count = 3};
        }
    }
    *c->out = (wf_value){.type = WF_LIST, .items = list, .count = (size_t)n};
    return WEFT_OK;
}

/* at(numbers, i): entry i of a list, or the one number that is given for all; null beyond the end */
static weft_status word_at(call *c) {
    const wf_value *list = arg(c, 0);
    int64_t i = arg(c, 1)->integer;
    *c->out = list->type != WF_LIST ? *list : i >= 0 && i < (int64_t)list->count ? list->items[i] : nothing;
    return WEFT_OK;
}

/* index(list, text): the number of the first string of the list that is the text; -1: none is */
static weft_status word_index(call *c) {
    const wf_value *list = arg(c, 0), *text = arg(c, 1);
    int64_t i = 0;
    WF_CHECK(list->type == WF_LIST && text->type == WF_STRING, c->err, WEFT_BAD_INPUT, "index() takes a list and a string");
    while (i < (int64_t)list->count && !(list->items[i].type == WF_STRING && wf_streq(list->items[i].string, text->string)))
        i++;
    *c->out = wf_value_int(i < (int64_t)list->count ? i : -1);
    return WEFT_OK;
}

/* lcm(a, b): the least common multiple of two sizes */
static weft_status word_lcm(call *c) {
    int64_t a = arg(c, 0)->integer, b = arg(c, 1)->integer, x = a, y = b;
    bool sizes = arg(c, 0)->type == WF_INT && arg(c, 1)->type == WF_INT && a > 0 && b > 0 && a < INT32_MAX && b < INT32_MAX;
    WF_CHECK(sizes, c->err, WEFT_BAD_INPUT, "lcm() takes two sizes");
    while (y) {
        int64_t rest = x % y;
        x = y;
        y = rest;
    }
    *c->out = wf_value_int(a / x * b);
    return WEFT_OK;
}

/* turned(n): the numbers 1 .. n-1, then 0 */
static weft_status word_turned(call *c) {
    int64_t n = arg(c, 0)->integer;
    WF_CHECK(arg(c, 0)->type == WF_INT && n > 0 && n <= 4096, c->err, WEFT_BAD_INPUT, "turned() takes a small size");
    wf_value *items = wf_arena_alloc(c->arena, (size_t)n * sizeof *items);
    if (!items)
        return wf_fail_memory(c->err);
    for (int64_t i = 0; i < n; i++)
        items[i] = wf_value_int((i + 1) % n);
    *c->out = (wf_value){.type = WF_LIST, .items = items, .count = (size_t)n};
    return WEFT_OK;
}

/* words(text): its parts between bars, without blanks, in small letters; a list stays */
static weft_status word_words(call *c) {
    const wf_value *text = arg(c, 0);
    *c->out = *text;
    if (text->type == WF_LIST)
        return WEFT_OK;
    WF_CHECK(text->type == WF_STRING, c->err, WEFT_BAD_INPUT, "words() takes a string or a list");
    wf_value *list = wf_arena_alloc(c->arena, (strlen(text->string) + 1) * sizeof *list);
    size_t n = 0;
    for (const char *at = text->string; list; at++) {
        size_t blanks = strspn(at, " "), length = strcspn(at + blanks, "| ");
        char *word = wf_arena_strndup(c->arena, at + blanks, length);
        for (char *letter = word; letter && *letter; letter++)
            *letter = *letter >= 'A' && *letter <= 'Z' ? (char)(*letter - 'A' + 'a') : *letter;
        if (!word)
            return wf_fail_memory(c->err);
        if (length)
            list[n++] = wf_value_string(word);
        at += strcspn(at, "|");
        if (!*at)
            break;
    }
    *c->out = (wf_value){.type = WF_LIST, .items = list, .count = n};
    return list ? WEFT_OK : wf_fail_memory(c->err);
}

/* numbered(object, 'a.{i}.b', first): how many members there are of this name with first (0), first + 1 .. for {i} (layers
 * among tensors) */
static weft_status word_numbered(call *c) {
    const wf_value *object = arg(c, 0), *pattern = arg(c, 1);
    const char *at = pattern->type == WF_STRING ? strstr(pattern->string, "{i}") : NULL;
    char name[256];
    int64_t first = arg(c, 2)->type == WF_INT ? arg(c, 2)->integer : 0, n = first;
    WF_CHECK(object->type == WF_OBJECT && at, c->err, WEFT_BAD_INPUT, "numbered() takes an object and a name with {i}");
    for (;; n++) {
        int length =
            snprintf(name, sizeof name, "%.*s%lld%s", (int)(at - pattern->string), pattern->string, (long long)n, at + 3);
        if (length >= (int)sizeof name || !wf_json_get(object->object, name))
            break;
    }
    *c->out = wf_value_int(n - first);
    return WEFT_OK;
}

/* ---- heads ---- */

const char *wf_task_of(const char *name) {
    static const char *const words[] = {"For", "With"};
    const char *task = wf_ends_with(name, "LMHeadModel") ? "LMHeadModel" : "Model";
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        for (const char *at = name; (at = strstr(at, words[i])); at++)
            if (at[strlen(words[i])] >= 'A' && at[strlen(words[i])] <= 'Z')
                task = at + strlen(words[i]);
    return task;
}

/* task(architectures): what the first class does */
static weft_status word_task(call *c) {
    const wf_value *list = arg(c, 0);
    *c->out = wf_value_string(
        wf_task_of(list->type == WF_LIST && list->count && list->items[0].type == WF_STRING ? list->items[0].string : "Model"));
    return WEFT_OK;
}

/* labels(id2label, num_labels): how many classes a head has; 2 when nobody says */
static weft_status word_labels(call *c) {
    const wf_value *names = arg(c, 0), *count = arg(c, 1);
    *c->out = wf_value_int(names->type == WF_OBJECT ? (int64_t)names->object->count
                           : count->type == WF_INT  ? count->integer
                                                    : 2);
    return WEFT_OK;
}

/* label_names(id2label): the names of the classes in their order; null when there are none, or only LABEL_0, LABEL_1, .. */
static weft_status word_label_names(call *c) {
    const wf_value *names = arg(c, 0);
    bool named = false;
    *c->out = nothing;
    if (names->type != WF_OBJECT)
        return WEFT_OK;
    wf_value *items = wf_arena_alloc(c->arena, (names->object->count + 1) * sizeof *items);
    if (!items)
        return wf_fail_memory(c->err);
    for (size_t i = 0; i < names->object->count; i++) {
        char key[32];
        snprintf(key, sizeof key, "%zu", i);
        const wf_json *j = wf_json_get(names->object, key);
        WF_CHECK(j && j->kind == WF_JSON_STRING, c->err, WEFT_BAD_INPUT, "'id2label' must name the classes 0 to %zu",
                 names->object->count - 1);
        items[i] = wf_value_string(j->string);
        snprintf(key, sizeof key, "LABEL_%zu", i);
        named |= !wf_streq(j->string, key);
    }
    if (named)
        *c->out = (wf_value){.type = WF_LIST, .items = items, .count = names->object->count};
    return WEFT_OK;
}

static const char *label_of(const call *c, int64_t i) {
    const wf_value *names = arg(c, 0);
    if (names->type == WF_LIST && i < (int64_t)names->count && names->items[i].type == WF_STRING)
        return names->items[i].string;
    return wf_arena_printf(c->arena, "LABEL_%lld", (long long)i);
}

static weft_status make_labels(call *c, bool by_name) {
    wf_json *out = wf_json_new(c->arena, WF_JSON_OBJECT);
    for (int64_t i = 0; i < arg(c, 1)->integer; i++) {
        const char *name = label_of(c, i), *number = wf_arena_printf(c->arena, "%lld", (long long)i);
        if (!name || !number)
            return wf_fail_memory(c->err);
        WF_TRY(put(c, out, by_name ? name : number,
                   by_name ? wf_json_new_int(c->arena, i) : wf_json_new_string(c->arena, name, strlen(name))));
    }
    *c->out = (wf_value){.type = WF_OBJECT, .object = out};
    return WEFT_OK;
}

/* id2label(names, classes): the reverse, LABEL_n where there are no names; label2id(names, classes): name -> number */
static weft_status word_id2label(call *c) { return make_labels(c, false); }
static weft_status word_label2id(call *c) { return make_labels(c, true); }

/* letters(text): the letters of a word as a list (patterns of layers) */
static weft_status word_letters(call *c) {
    const wf_value *text = arg(c, 0);
    WF_CHECK(text->type == WF_STRING, c->err, WEFT_BAD_INPUT, "letters() takes a string");
    size_t n = strlen(text->string);
    wf_value *list = wf_arena_alloc(c->arena, (n + 1) * sizeof *list);
    if (!list)
        return wf_fail_memory(c->err);
    for (size_t i = 0; i < n; i++) {
        const char *letter = wf_arena_strndup(c->arena, text->string + i, 1);
        if (!letter)
            return wf_fail_memory(c->err);
        list[i] = wf_value_string(letter);
    }
    *c->out = (wf_value){.type = WF_LIST, .items = list, .count = n};
    return WEFT_OK;
}

/* after(text, beginning): what follows it; null when the text begins otherwise */
static weft_status word_after(call *c) {
    const wf_value *text = arg(c, 0), *begin = arg(c, 1);
    WF_CHECK(text->type == WF_STRING && begin->type == WF_STRING, c->err, WEFT_BAD_INPUT, "after() takes two strings");
    *c->out = wf_starts_with(text->string, begin->string) ? wf_value_string(text->string + strlen(begin->string)) : nothing;
    return WEFT_OK;
}

/* ---- numbers without a bound: what Python writes of infinity ---- */

/* The config writer of transformers 5 makes objects of numbers that JSON lacks; bare ones have become blanks (wf_config_parse).
 */
static bool is_infinite(const wf_value *v) {
    bool blank = v->type == WF_STRING && v->string[0] && strspn(v->string, " ") == strlen(v->string);
    return blank || (v->type == WF_OBJECT && wf_json_is_string(wf_json_get(v->object, "__float__"), "Infinity"));
}

/* bounds(list): a pair of numbers; an infinite one, or one that is not there, becomes null */
static weft_status word_bounds(call *c) {
    const wf_value *list = arg(c, 0);
    WF_CHECK(list->type == WF_LIST && list->count == 2, c->err, WEFT_BAD_INPUT, "bounds must be two numbers");
    wf_value *pair = wf_arena_alloc(c->arena, 2 * sizeof *pair);
    if (!pair)
        return wf_fail_memory(c->err);
    for (size_t i = 0; i < 2; i++) {
        pair[i] = is_infinite(&list->items[i]) ? nothing : list->items[i];
        WF_CHECK(pair[i].type == WF_NULL || pair[i].type == WF_INT || pair[i].type == WF_FLOAT, c->err, WEFT_BAD_INPUT,
                 "bounds must be two numbers");
    }
    *c->out = (wf_value){.type = WF_LIST, .items = pair, .count = 2};
    return WEFT_OK;
}

/* their_bounds(pair, least): the reverse; the lower bound that is not there is `least` */
static weft_status word_their_bounds(call *c) {
    const wf_value *pair = arg(c, 0);
    WF_CHECK(pair->type == WF_LIST && pair->count == 2, c->err, WEFT_BAD_INPUT, "bounds must be two numbers");
    wf_json *infinity = wf_json_new(c->arena, WF_JSON_OBJECT);
    WF_TRY(put(c, infinity, "__float__", wf_json_new_string(c->arena, "Infinity", strlen("Infinity"))));
    wf_value *out = wf_arena_alloc(c->arena, 2 * sizeof *out);
    if (!out)
        return wf_fail_memory(c->err);
    out[0] = pair->items[0].type == WF_NULL ? *arg(c, 1) : pair->items[0];
    out[1] = pair->items[1].type == WF_NULL ? (wf_value){.type = WF_OBJECT, .object = infinity} : pair->items[1];
    *c->out = (wf_value){.type = WF_LIST, .items = out, .count = 2};
    return WEFT_OK;
}

/* ---- the table ---- */
typedef struct word_row {
    const char *name;
    size_t fewest, most;
    weft_status (*run)(call *c);
} word_row;

static const word_row words[] = {
    {"activation", 1, 1, word_activation},
    {"their_activation", 1, 1, word_their_activation},
    {"rope", 4, 5, word_rope},
    {"their_rope", 1, 1, word_their_rope},
    {"with", 3, 9, word_with},
    {"first", 2, 2, word_first},
    {"matching", 3, 3, word_matching},
    {"differing", 3, 3, word_differing},
    {"places", 3, 3, word_places},
    {"all_in", 2, 2, word_all_in},
    {"repeated", 1, 1, word_repeated},
    {"count", 3, 4, word_count},
    {"having", 3, 3, word_having},
    {"units", 2, 2, word_units},
    {"at", 2, 2, word_at},
    {"index", 2, 2, word_index},
    {"lcm", 2, 2, word_lcm},
    {"turned", 1, 1, word_turned},
    {"words", 1, 1, word_words},
    {"task", 1, 1, word_task},
    {"labels", 2, 2, word_labels},
    {"label_names", 1, 1, word_label_names},
    {"id2label", 2, 2, word_id2label},
    {"label2id", 2, 2, word_label2id},
    {"find", 3, 3, word_find},
    {"letters", 1, 1, word_letters},
    {"after", 2, 2, word_after},
    {"numbered", 2, 3, word_numbered},
    {"as_bf16", 1, 1, word_as_bf16},
    {"bounds", 1, 1, word_bounds},
    {"their_bounds", 2, 2, word_their_bounds},
};

weft_status wf_word_call(const void *user, const char *name, const wf_value *args, size_t count, wf_arena *arena, wf_value *out,
                         weft_error *err) {
    call c = {user, arena, args, count, out, err};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (wf_streq(words[i].name, name)) {
            WF_CHECK(count >= words[i].fewest && count <= words[i].most, err, WEFT_BAD_INPUT,
                     "%s() does not take %zu arguments", name, count);
            weft_status status = words[i].run(&c);
            if (status != WEFT_OK && err && c.vars->said)
                *c.vars->said = *err;
            return status;
        }
    return WEFT_UNSUPPORTED;
}
