#include "families/family.h"
#include <string.h>
#include "base/embed.h"
#include "families/config.h"

/* ---- a family that is like another: its file over the other's ---- */
/* Members of two templates are put together when they are of the same form; a list may also be given members for its `do`, and
 * a switch cases alone. */
static bool combine(const wf_json *old, const wf_json *own) {
    bool same =
        !wf_json_get(old, "switch") == !wf_json_get(own, "switch") && !wf_json_get(old, "each") == !wf_json_get(own, "each");
    return !wf_json_get(old, "?") && !wf_json_get(own, "?") && (same || wf_json_get(old, "each") || wf_json_get(own, "case"));
}

static weft_status merge(wf_arena *arena, wf_json *into, const wf_json *from, weft_error *err);

/* Lists of keys and tensors nobody reads add up. */
static weft_status merge_list(wf_arena *arena, wf_json *into, const wf_json *from, weft_error *err) {
    for (const wf_json *j = from->child; j; j = j->next)
        if (!wf_json_push(into, wf_json_copy(arena, j)))
            return wf_fail_memory(err);
    return WEFT_OK;
}

static wf_json *member(const wf_json *object, const char *key) {
    for (wf_json *j = object->child; j; j = j->next)
        if (wf_streq(j->key, key))
            return j;
    return NULL;
}

static void take_away(wf_json *object, const char *key) {
    wf_json *before = NULL, *j = object->child;
    for (; j && !wf_streq(j->key, key); j = j->next)
        before = j;
    if (!j)
        return;
    *(before ? &before->next : &object->child) = j->next;
    object->last = object->last == j ? before : object->last;
    object->count--;
}

static weft_status merge_member(wf_arena *arena, wf_json *into, const wf_json *from, weft_error *err) {
    wf_json *old = member(into, from->key);
    if (from->kind == WF_JSON_NULL) {
        take_away(into, from->key);
        return WEFT_OK;
    }
    bool lists = wf_streq(from->key, "ignored") || wf_streq(from->key, "unused") || wf_streq(from->key, "kept");
    bool objects = old && old->kind == WF_JSON_OBJECT && from->kind == WF_JSON_OBJECT && combine(old, from);
    if (objects)
        return merge(arena, old, from, err);
    if (lists && old && old->kind == WF_JSON_ARRAY && from->kind == WF_JSON_ARRAY)
        return merge_list(arena, old, from, err);
    return wf_json_put(arena, into, from->key, wf_json_copy(arena, from)) ? WEFT_OK : wf_fail_memory(err);
}

static weft_status merge(wf_arena *arena, wf_json *into, const wf_json *from, weft_error *err) {
    for (const wf_json *j = from->child; j; j = j->next)
        if (!wf_streq(j->key, "like"))
            WF_TRY(merge_member(arena, into, j, err));
    return WEFT_OK;
}

/* Formulas are evaluated in order: new ones come first, so that those of the other family that are replaced may use them. */
static weft_status new_formulas_first(wf_arena *arena, wf_json *into, const wf_json *from, weft_error *err) {
    wf_json *old = member(into, "let"), *let = wf_json_new(arena, WF_JSON_OBJECT);
    const wf_json *own = wf_json_get(from, "let");
    for (const wf_json *j = own ? own->child : NULL; j; j = j->next)
        if (old && !wf_json_get(old, j->key) && !wf_json_put(arena, let, j->key, wf_json_copy(arena, j)))
            return wf_fail_memory(err);
    for (const wf_json *j = old ? old->child : NULL; j; j = j->next)
        if (!wf_json_put(arena, let, j->key, wf_json_copy(arena, j)))
            return wf_fail_memory(err);
    return !old || wf_json_put(arena, into, "let", let) ? WEFT_OK : wf_fail_memory(err);
}

static wf_family *find_named(const wf_families *set, const char *name) {
    for (size_t i = 0; i < set->count; i++)
        if (wf_streq(set->list[i].name, name))
            return &set->list[i];
    return NULL;
}

enum { DEEPEST_LIKENESS = 8 };

static weft_status resolve(wf_families *set, wf_family *family, int depth, weft_error *err) {
    const char *like = wf_json_text(family->json, "like", NULL);
    wf_family *other = like ? find_named(set, like) : NULL;
    if (!like)
        return WEFT_OK;
    WF_CHECK(other && depth < DEEPEST_LIKENESS, err, WEFT_BAD_INPUT, "family %s is like '%s', which is %s", family->name, like,
             other ? "like itself" : "not there");
    WF_TRY(resolve(set, other, depth + 1, err));
    wf_json *json = wf_json_copy(&set->arena, other->pattern);
    if (!json)
        return wf_fail_memory(err);
    WF_TRY(new_formulas_first(&set->arena, json, family->json, err));
    WF_TRY(merge(&set->arena, json, family->json, err));
    family->json = family->pattern = json;
    family->derived = true;
    return WEFT_OK;
}

/* ---- heads that many families share: a part of the common file under the family's own ---- */
/* The part's choice of heads, with the family's own head for what is none of its cases. The family may choose too. */
static weft_status join_head(wf_arena *arena, wf_json *part, wf_json *own, weft_error *err) {
    wf_json *cases = member(member(part, "spec"), "head"), *spec = member(own, "spec");
    wf_json *head = spec ? member(spec, "head") : NULL;
    wf_json *rest = head ? wf_json_copy(arena, head) : wf_json_new(arena, WF_JSON_OBJECT);
    if (!rest)
        return wf_fail_memory(err);
    if (head)
        take_away(spec, "head");
    if (wf_json_get(rest, "switch"))
        return merge(arena, cases, rest, err);
    return wf_json_put(arena, cases, "else", rest) ? WEFT_OK : wf_fail_memory(err);
}

static weft_status join_part(wf_families *set, wf_family *family, weft_error *err) {
    const char *with = wf_json_text(family->pattern, "with", NULL);
    const wf_json *part = with ? wf_json_get(wf_json_get(set->common, "parts"), with) : NULL;
    if (!with)
        return WEFT_OK;
    WF_CHECK(part, err, WEFT_BAD_INPUT, "family %s: there is no part '%s'", family->name, with);
    wf_json *joined = wf_json_copy(&set->arena, part), *own = wf_json_copy(&set->arena, family->pattern);
    if (!joined || !own)
        return wf_fail_memory(err);
    if (!wf_json_get(own, "config"))
        take_away(joined, "config"); /* it cannot be written */
    WF_TRY(join_head(&set->arena, joined, own, err));
    WF_TRY(merge(&set->arena, joined, own, err));
    family->json = joined;
    return WEFT_OK;
}

/* {base} in names stands for the family's base, so that a family that is like another can have another one. */
static weft_status put_base(wf_arena *arena, const char *base, const char **text, weft_error *err) {
    const char *at = *text ? strstr(*text, "{base}") : NULL;
    if (!at)
        return WEFT_OK;
    *text = wf_arena_printf(arena, "%.*s%s%s", (int)(at - *text), *text, base, at + strlen("{base}"));
    return *text ? WEFT_OK : wf_fail_memory(err);
}

static weft_status put_bases(wf_arena *arena, const char *base, wf_json *j, int depth, weft_error *err) {
    WF_TRY(put_base(arena, base, &j->key, err));
    if (j->kind == WF_JSON_STRING) {
        WF_TRY(put_base(arena, base, &j->string, err));
        j->length = strlen(j->string);
    }
    for (wf_json *child = depth < DEEPEST_LIKENESS ? j->child : NULL; child; child = child->next)
        WF_TRY(put_bases(arena, base, child, depth + 1, err));
    return WEFT_OK;
}

static weft_status fill_base(wf_families *set, wf_family *family, weft_error *err) {
    static const char *const sections[] = {"names", "tied", "tables", "unused", "kept", "optional"};
    const char *base = wf_json_text(family->json, "base", NULL);
    if (!base)
        return WEFT_OK;
    wf_json *json = wf_json_copy(&set->arena, family->json);
    for (size_t i = 0; json && i < sizeof sections / sizeof *sections; i++) {
        wf_json *section = member(json, sections[i]);
        if (section)
            WF_TRY(put_bases(&set->arena, base, section, 0, err));
    }
    family->json = json;
    return json ? WEFT_OK : wf_fail_memory(err);
}

/* ---- the set ---- */
static weft_status parse_family(wf_families *set, const char *name, const char *text, size_t size, wf_json **out,
                                weft_error *err) {
    weft_status status = wf_json_parse(&set->arena, text, size, 0, out, err);
    if (status == WEFT_OK && (*out)->kind != WF_JSON_OBJECT)
        status = wf_fail(err, WEFT_BAD_INPUT, "a family must be an object");
    return status ? wf_fail_in(err, "family %s", name) : WEFT_OK;
}

static weft_status add(wf_families *set, const char *name, const char *text, size_t size, weft_error *err) {
    wf_json *json;
    WF_TRY(parse_family(set, name, text, size, &json, err));
    const char *own = wf_json_text(json, "family", NULL);
    WF_CHECK(own, err, WEFT_BAD_INPUT, "family %s: its name ('family') is missing", name);
    WF_TRY(wf_grow(set->arena.mem, (void **)&set->list, &set->capacity, set->count + 1, sizeof *set->list, err));
    memmove(set->list + 1, set->list, set->count * sizeof *set->list);
    set->list[0] = (wf_family){own, json, json, set->common, false};
    set->count++;
    return WEFT_OK;
}

weft_status wf_families_add(wf_families *set, const char *name, const char *text, size_t size, weft_error *err) {
    WF_TRY(add(set, name, text, size, err));
    WF_TRY(resolve(set, &set->list[0], 0, err));
    WF_TRY(join_part(set, &set->list[0], err));
    return fill_base(set, &set->list[0], err);
}

static size_t embedded_count(void) {
    size_t n = 0;
    while (wf_embedded_families.list[n].name)
        n++;
    return n;
}

static weft_status add_embedded(wf_families *set, weft_error *err) {
    wf_json *common = NULL;
    const char *texts;
    WF_TRY(wf_embedded_open(&set->arena, &wf_embedded_families, &texts, err));
    for (const wf_embedded *e = wf_embedded_families.list; e->name; e++)
        if (wf_streq(e->name, "common"))
            WF_TRY(parse_family(set, e->name, texts + e->at, e->size, &common, err));
    set->common = common;
    for (size_t i = embedded_count(); i-- > 0;) { /* backwards, so that the order is that of the table */
        const wf_embedded *e = &wf_embedded_families.list[i];
        if (!wf_streq(e->name, "common"))
            WF_TRY(add(set, e->name, texts + e->at, e->size, err));
    }
    for (size_t i = 0; i < set->count; i++)
        WF_TRY(resolve(set, &set->list[i], 0, err));
    for (size_t i = 0; i < set->count; i++) {
        WF_TRY(join_part(set, &set->list[i], err));
        WF_TRY(fill_base(set, &set->list[i], err));
    }
    return WEFT_OK;
}

weft_status wf_families_open(const wf_mem *mem, wf_families *out, weft_error *err) {
    memset(out, 0, sizeof *out);
    wf_arena_init(&out->arena, mem, 0);
    weft_status status = add_embedded(out, err);
    if (status != WEFT_OK)
        wf_families_close(out);
    return status;
}

void wf_families_close(wf_families *set) {
    if (!set->arena.mem)
        return;
    wf_free(set->arena.mem, set->list);
    wf_arena_free(&set->arena);
    memset(set, 0, sizeof *set);
}

/* ---- which family ---- */
static bool lists_word(const wf_json *list, const char *word) {
    for (const wf_json *j = list ? list->child : NULL; j; j = j->next)
        if (wf_json_is_string(j, word))
            return true;
    return false;
}

static int lower(char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; }

/* Published folders spell classes otherwise than the library that took them up (MPTForCausalLM, LLaMAForCausalLM). */
static bool lists_class(const wf_family *family, const wf_json *name) {
    const wf_json *list = wf_json_get(family->json, "architectures");
    for (const wf_json *j = list ? list->child : NULL; j; j = j->next) {
        size_t i = 0;
        while (i < j->length && i < name->length && lower(j->string[i]) == lower(name->string[i]))
            i++;
        if (i == j->length && i == name->length)
            return true;
    }
    return false;
}

static bool is_type(const wf_family *family, const char *type) {
    const wf_json *types = wf_json_get(family->json, "model_types");
    return types ? lists_word(types, type) : wf_streq(family->name, type);
}

static const char *nth_type(const void *user, size_t i) {
    const wf_families *set = user;
    return i < set->count ? set->list[i].name : NULL;
}

static bool reads_class(const wf_family *family, const wf_json *architecture) {
    return !architecture || lists_class(family, architecture);
}

/* Of several families with this type, one that reads the class. */
static weft_status find_by_type(const wf_families *set, const wf_json *type, const wf_json *architecture, const wf_family **out,
                                weft_error *err) {
    const wf_family *found = NULL;
    if (type->kind != WF_JSON_STRING)
        return wf_fail_at(err, WEFT_BAD_INPUT, type->offset, "'model_type' must be a string");
    for (size_t i = 0; i < set->count; i++)
        if (is_type(&set->list[i], type->string) &&
            (!found || (!reads_class(found, architecture) && reads_class(&set->list[i], architecture))))
            found = &set->list[i];
    *out = found;
    if (found)
        return WEFT_OK;
    const char *near = wf_nearest(type->string, nth_type, set);
    return wf_fail_at(err, WEFT_UNSUPPORTED, type->offset, "model type '%s' is not known%s%s%s", type->string,
                      near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

static weft_status find_by_architecture(const wf_families *set, const wf_json *architecture, const wf_family **out,
                                        weft_error *err) {
    for (size_t i = 0; i < set->count; i++)
        if (lists_class(&set->list[i], architecture)) {
            *out = &set->list[i];
            return WEFT_OK;
        }
    return wf_fail_at(err, WEFT_UNSUPPORTED, architecture->offset, "architecture '%s' is not known", architecture->string);
}

static weft_status read_architecture(const wf_json *config, const wf_json **out, weft_error *err) {
    const wf_json *list = wf_json_get(config, "architectures");
    *out = NULL;
    if (!list || list->kind == WF_JSON_NULL)
        return WEFT_OK;
    *out = wf_json_at(list, 0);
    if (list->kind != WF_JSON_ARRAY || (*out && (*out)->kind != WF_JSON_STRING))
        return wf_fail_at(err, WEFT_BAD_INPUT, list->offset, "'architectures' must be a list of names");
    return WEFT_OK;
}

weft_status wf_family_of_config(const wf_families *set, const wf_json *config, const wf_family **out, weft_error *err) {
    const wf_json *type = wf_json_get(config, "model_type"), *architecture;
    WF_CHECK(config && config->kind == WF_JSON_OBJECT, err, WEFT_BAD_INPUT, "a config must be an object, with 'model_type'");
    WF_TRY(read_architecture(config, &architecture, err));
    const char *other = type || architecture ? NULL : wf_json_text(config, "_class_name", NULL);
    WF_CHECK(!other, err, WEFT_UNSUPPORTED, "models of the class '%s' are not known", other);
    WF_CHECK(type || architecture, err, WEFT_BAD_INPUT, "neither 'model_type' nor 'architectures' says what model this is");
    if (!type)
        return find_by_architecture(set, architecture, out, err);
    WF_TRY(find_by_type(set, type, architecture, out, err));
    if (reads_class(*out, architecture))
        return WEFT_OK;
    const char *why = wf_json_text(wf_json_get((*out)->json, "instead"), architecture->string, NULL);
    return wf_fail_at(err, WEFT_UNSUPPORTED, architecture->offset, "architecture '%s' of model type '%s' is not supported%s%s",
                      architecture->string, type->string, why ? ": " : "", why ? why : "");
}

/* ---- config to spec ---- */
static bool all_equal(const wf_json *list) {
    for (const wf_json *j = list->child; j; j = j->next)
        if (!wf_json_equal(list->child, j))
            return false;
    return list->count > 0;
}

/* A list of equal blocks is one `block`. */
static weft_status shorten(wf_arena *arena, wf_json *spec, wf_json **out, weft_error *err) {
    const wf_json *blocks = wf_json_get(spec, "blocks");
    *out = spec;
    if (!blocks || blocks->kind != WF_JSON_ARRAY || !all_equal(blocks))
        return WEFT_OK;
    wf_json *shorter = wf_json_new(arena, WF_JSON_OBJECT);
    for (const wf_json *j = spec->child; j; j = j->next) {
        bool list = wf_streq(j->key, "blocks");
        if (!wf_json_put(arena, shorter, list ? "block" : j->key, wf_json_copy(arena, list ? blocks->child : j)))
            return wf_fail_memory(err);
    }
    *out = shorter;
    return WEFT_OK;
}

weft_status wf_family_spec(const wf_family *family, wf_arena *arena, const wf_json *config, const wf_config_options *options,
                           wf_json **spec, weft_error *err) {
    weft_error said = {.offset = -1};
    wf_vars vars = {.arena = arena, .options = options, .said = &said};
    wf_json *filled;
    WF_TRY(wf_config_read(family, config, &vars, err));
    WF_TRY(wf_template_fill(&vars, wf_json_get(family->json, "spec"), &filled, err));
    WF_CHECK(filled->kind == WF_JSON_OBJECT, err, WEFT_BAD_INPUT, "family %s: its spec is no object", family->name);
    if (!wf_json_get(filled, "name") &&
        !wf_json_put(arena, filled, "name", wf_json_new_string(arena, family->name, strlen(family->name))))
        return wf_fail_memory(err);
    return shorten(arena, filled, spec, err);
}

/* ---- spec to config ---- */

/* The class that does what the head is for; the first when none does. */
static const wf_json *class_of(const wf_family *family, const char *task) {
    const wf_json *list = wf_json_get(family->json, "architectures");
    for (const wf_json *j = list ? list->child : NULL; j && task; j = j->next)
        if (j->kind == WF_JSON_STRING && wf_streq(wf_task_of(j->string), task))
            return j;
    return wf_json_at(list, 0);
}

/* The class (where the family does not say it) and the type that are written. */
static weft_status put_identity(const wf_family *family, wf_arena *arena, const char *task, wf_json *config, weft_error *err) {
    const wf_json *types = wf_json_get(family->json, "model_types"), *first = class_of(family, task);
    const char *type = types && types->child && types->child->kind == WF_JSON_STRING ? types->child->string : family->name;
    wf_json *list = wf_json_new(arena, WF_JSON_ARRAY);
    bool said = wf_json_get(config, "architectures") != NULL;
    if ((first && !wf_json_push(list, wf_json_copy(arena, first))) ||
        (!said && !wf_json_put(arena, config, "architectures", list)) ||
        !wf_json_put(arena, config, "model_type", wf_json_new_string(arena, type, strlen(type))))
        return wf_fail_memory(err);
    return WEFT_OK;
}

weft_status wf_vars_where(wf_vars *vars, const wf_family *family, weft_error *err) {
    const wf_json *where = wf_json_get(family->json, "where");
    wf_value value;
    for (const wf_json *j = where ? where->child : NULL; j; j = j->next) {
        WF_CHECK(j->kind == WF_JSON_STRING, err, WEFT_BAD_INPUT, "family %s: '%s' must be a formula", family->name, j->key);
        WF_TRY(wf_vars_eval(vars, j->string, &value, err));
        WF_TRY(wf_vars_put(vars, j->key, value, err));
    }
    return WEFT_OK;
}

/* What expressions over a spec written out in full see. */
static weft_status put_spec(wf_vars *vars, const wf_family *family, const wf_json *normal, weft_error *err) {
    wf_arena *arena = vars->arena;
    wf_value value, block;
    for (const wf_json *j = normal->child; j; j = j->next) {
        WF_TRY(wf_value_of_json(arena, j, &value, err));
        WF_TRY(wf_vars_put(vars, j->key, value, err));
    }
    WF_TRY(wf_value_of_json(arena, wf_json_at(wf_json_get(normal, "blocks"), 0), &block, err));
    WF_TRY(wf_vars_put(vars, "block", block, err));
    WF_TRY(wf_vars_put(vars, "i", wf_value_int(0), err));
    const char *task = wf_json_text(wf_json_get(normal, "head"), "task", "Model");
    WF_TRY(wf_vars_put(vars, "task", wf_value_string(task), err));
    return wf_vars_where(vars, family, err);
}

weft_status wf_family_config(const wf_family *family, wf_arena *arena, const wf_json *normal, int64_t context, wf_json **config,
                             weft_error *err) {
    wf_vars vars = {.arena = arena, .nulls = true}; /* the default of a key may be something else */
    const wf_json *template_ = wf_json_get(family->json, "config");
    WF_CHECK(template_, err, WEFT_BAD_INPUT, "family %s cannot be written", family->name);
    WF_TRY(put_spec(&vars, family, normal, err));
    WF_TRY(wf_vars_put(&vars, "context", wf_value_int(context), err));
    WF_TRY(wf_template_fill(&vars, template_, config, err));
    return put_identity(family, arena, wf_json_text(wf_json_get(normal, "head"), "task", "Model"), *config, err);
}

weft_status wf_family_hidden(const wf_family *family, wf_arena *arena, const wf_json *normal, wf_json **out, weft_error *err) {
    wf_vars vars = {.arena = arena};
    const wf_json *template_ = wf_json_get(family->json, "hidden_states");
    *out = NULL;
    if (!template_)
        return WEFT_OK;
    WF_TRY(put_spec(&vars, family, normal, err));
    return wf_template_fill(&vars, template_, out, err);
}
