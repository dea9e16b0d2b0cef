/* convert_tensors.c - the weights of a conversion, one at a time. */
#include <math.h>
#include <string.h>
#include "formats/shards_write.h"
#include "jobs/convert.h"

typedef struct source { /* of one tensor of the new files */
    const wf_stored_tensor *stored;
    const wf_tensor_map *map; /* a merged one is written from the model; NULL: from the file */
} source;

typedef struct writing {
    wf_conversion *c;
    source *sources;
    wf_tensor_plan *plan;
    float *values, *scratch; /* of the largest tensor that changes */
} writing;

/* ---- names ---- */
static const char *base_of(const wf_conversion *c) {
    return c->known ? wf_json_text(c->checkpoint.family->json, "base", NULL) : NULL;
}

static bool is_named(const wf_checkpoint *c, const char *name) {
    for (size_t i = 0; i < c->names.count; i++)
        if (wf_streq(c->names.list[i].name, name))
            return true;
    return false;
}

/* A name without the family's first part, as it is with it: what is called so already stays. */
static weft_status add_base(const wf_conversion *c, const char *base, const char *name, const char **out) {
    wf_arena *arena = c->job->arena;
    const wf_checkpoint *k = &c->checkpoint;
    const char *shorter = wf_arena_printf(arena, "%.*s%s", (int)wf_names_first(base), base, name),
               *longer = wf_arena_printf(arena, "%s.%s", base, name), *whole = wf_names_whole(&k->names, arena, name);
    if (!shorter || !longer || !whole)
        return wf_fail_memory(c->job->err);
    *out = is_named(k, name) ? name : is_named(k, shorter) ? shorter : is_named(k, longer) ? longer : whole;
    return WEFT_OK;
}

/* The name with the family's base, or without its first part, which the reference adds again. */
static weft_status rename_tensor(const wf_conversion *c, const char *name, const char **out) {
    const char *base = base_of(c);
    size_t n = wf_names_first(base);
    bool has = n && strncmp(name, base, n - 1) == 0 && name[n - 1] == '.';
    *out = c->prefix == WF_PREFIX_STRIP && has ? name + n : name;
    return c->prefix == WF_PREFIX_ADD && n && !has ? add_base(c, base, name, out) : WEFT_OK;
}

/* ---- plans ---- */
static const wf_tensor_map *merged_map(const wf_conversion *c, const char *name) {
    const wf_checkpoint *k = &c->checkpoint;
    for (size_t i = 0; c->adapter && i < k->names.count; i++)
        if (wf_streq(k->found[i], name))
            return wf_adapters_change(k->model, &k->names.list[i]) ? &k->names.list[i] : NULL;
    return NULL;
}

static bool is_number(int type) { return type == WF_F32 || type == WF_BF16 || type == WF_F16 || type == WF_F64; }

static weft_status plan_tensor(writing *w, size_t i) {
    wf_conversion *c = w->c;
    const wf_stored_tensor *t = wf_shards_at(c->shards, i);
    WF_CHECK(!c->known || c->checkpoint.found, c->job->err, WEFT_UNSUPPORTED, "convert: the model has no weights");
    w->sources[i] = (source){t, merged_map(c, t->name)};
    c->changed += w->sources[i].map != NULL;
    wf_tensor_plan *p = &w->plan[i];
    wf_dtype type = is_number(t->type) && c->type >= 0 ? (wf_dtype)c->type : t->type >= 0 ? (wf_dtype)t->type : WF_U8;
    *p = (wf_tensor_plan){NULL, type, t->rank, t->dims, t->type >= 0 ? NULL : t->dtype};
    return rename_tensor(c, t->name, &p->name);
}

/* Two tensors of the source can come to have one name. */
static weft_status check_names(const writing *w, size_t n) {
    for (size_t i = 0; w->c->prefix != WF_PREFIX_KEEP && i < n; i++)
        for (size_t k = 0; k < i; k++)
            WF_CHECK(!wf_streq(w->plan[i].name, w->plan[k].name), w->c->job->err, WEFT_BAD_INPUT,
                     "convert: two tensors would be called '%s'", w->plan[i].name);
    return WEFT_OK;
}

/* ---- bytes ---- */
static int64_t count_of(const wf_stored_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        n *= t->dims[i];
    return n;
}

static bool changes(const writing *w, size_t i) {
    return w->sources[i].map || (!w->plan[i].dtype && (int)w->plan[i].type != w->sources[i].stored->type);
}

static void read_merged(const writing *w, const wf_tensor_map *map) {
    const wf_model *m = w->c->checkpoint.model;
    const float *parts[WF_NAME_PARTS];
    for (size_t k = 0; k < map->n_parts; k++)
        parts[k] = m->params.list[map->parts[k].param]->value + map->parts[k].first;
    wf_map_write(map, parts, w->values, w->scratch);
}

/* Numbers that the new type cannot hold become infinite, which is worth a word. */
static void warn_overflow(const writing *w, const char *name, wf_dtype type, int64_t n) {
    int64_t lost = 0;
    for (int64_t i = 0; type == WF_F16 && i < n; i++)
        lost += isfinite(w->values[i]) && fabsf(w->values[i]) >= 65520.0f;
    if (lost)
        wf_log(w->c->job->env, WF_WARN, "%lld numbers of '%s' are beyond the range of fp16", (long long)lost, name);
}

static weft_status bytes_of(void *user, size_t i, const void **data, size_t *size, weft_error *err) {
    const writing *w = user;
    const wf_stored_tensor *t = w->sources[i].stored;
    wf_dtype type = w->plan[i].type;
    int64_t n = count_of(t);
    WF_TRY(wf_stopped(w->c->job->env));
    (void)err;
    if (!changes(w, i)) {
        *data = t->data;
        *size = t->size;
        return WEFT_OK;
    }
    if (w->sources[i].map)
        read_merged(w, w->sources[i].map);
    else
        wf_dtypes[t->type].to_f32(w->values, t->data, n);
    warn_overflow(w, t->name, type, n);
    *data = type == WF_F32 ? w->values : w->scratch;
    *size = (size_t)n * wf_dtypes[type].size;
    if (type != WF_F32)
        wf_dtypes[type].from_f32(w->scratch, w->values, n);
    return WEFT_OK;
}

static weft_status write_all(writing *w, size_t n) {
    wf_conversion *c = w->c;
    int64_t most = 1;
    for (size_t i = 0; i < n; i++) {
        const wf_stored_tensor *t = w->sources[i].stored;
        int64_t count = count_of(t);
        int64_t size = 0;
        most = changes(w, i) && count > most ? count : most;
        WF_CHECK(wf_tensor_plan_bytes(&w->plan[i], &size), c->job->err, WEFT_BAD_INPUT, "'%s' is too large", t->name);
        c->bytes += (uint64_t)size;
    }
    w->values = wf_alloc_big(&c->job->env->mem, (size_t)most * sizeof *w->values);
    w->scratch = wf_alloc_big(&c->job->env->mem, 2 * (size_t)most * sizeof *w->scratch); /* room for fp64 too */
    const wf_shards_plan plan = {w->plan, n, c->shard_bytes, bytes_of, w};
    weft_status status = w->values && w->scratch ? wf_shards_write(&c->job->env->mem, c->to, &plan, &c->files, c->job->err)
                                                 : wf_fail_memory(c->job->err);
    wf_free_big(&c->job->env->mem, w->values);
    wf_free_big(&c->job->env->mem, w->scratch);
    return status;
}

weft_status wf_convert_tensors(wf_conversion *c) {
    size_t n = c->tensors = wf_shards_count(c->shards);
    writing w = {.c = c,
                 .sources = wf_arena_alloc(c->job->arena, (n + 1) * sizeof *w.sources),
                 .plan = wf_arena_alloc(c->job->arena, (n + 1) * sizeof *w.plan)};
    if (!w.sources || !w.plan)
        return wf_fail_memory(c->job->err);
    for (size_t i = 0; i < n; i++)
        WF_TRY(plan_tensor(&w, i));
    WF_TRY(check_names(&w, n));
    return write_all(&w, n);
}
