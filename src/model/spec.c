/* spec.c - the grammar: JSON -> spec. docs/spec.md describes what is read here. */
#include "model/spec.h"
#include <stdio.h>
#include "model/options.h"

typedef struct reader {
    wf_arena *arena;
    wf_spec *spec;
    weft_error *err;
} reader;

static const char *const norm_words[] = {"kind", "eps", "offset", "affine", "bias", NULL};

/* An absent norm is RMS with eps 1e-6; a string is its kind. */
static weft_status read_norm(reader *r, const wf_json *j, const char *what, wf_norm_spec *out) {
    static const char *const kinds[] = {"none", "rms", "layer"};
    bool word = j && j->kind == WF_JSON_STRING;
    wf_options o = wf_options_open(word || (j && j->kind == WF_JSON_NULL) ? NULL : j, what, norm_words, r->err);
    const char *kind = word ? j->string : j && j->kind == WF_JSON_NULL ? "none" : wf_option_text(&o, "kind", "rms");
    int found = -1;
    for (int i = 0; i < 3; i++)
        found = wf_streq(kinds[i], kind) ? i : found;
    if (found < 0)
        wf_option_fail(&o, j, "norm kind is none, rms or layer, not '%s'", kind);
    *out = (wf_norm_spec){.kind = found < 0 ? WF_NORM_NONE : (wf_norm_kind)found};
    out->eps = (float)wf_option_float(&o, "eps", found == WF_NORM_LAYER ? 1e-5 : 1e-6, 0.0, 1.0);
    out->offset = (float)wf_option_float(&o, "offset", 0.0, -1e6, 1e6);
    out->affine = wf_option_bool(&o, "affine", true) && found > WF_NORM_NONE;
    out->bias = wf_option_bool(&o, "bias", found == WF_NORM_LAYER) && out->affine && found == WF_NORM_LAYER;
    return o.status;
}

static const char *const position_words[] = {"kind", "length", "offset", NULL};

static weft_status read_positions(reader *r, const wf_json *j, wf_stem_spec *out) {
    static const char *const kinds[] = {"none", "learned", "sinusoidal"};
    wf_options o = wf_options_open(j && j->kind == WF_JSON_NULL ? NULL : j, "stem positions", position_words, r->err);
    const char *kind = wf_option_text(&o, "kind", "none");
    int found = -1;
    for (int i = 0; i < 3; i++)
        found = wf_streq(kinds[i], kind) ? i : found;
    if (found < 0)
        wf_option_fail(&o, j, "kind is none, learned or sinusoidal, not '%s'", kind);
    out->position = found < 0 ? WF_POSITION_NONE : (wf_position_kind)found;
    out->offset = wf_option_int(&o, "offset", 0, 0, WF_MAX_VOCAB);
    out->length = wf_option_int(&o, "length", found > 0 ? r->spec->context : 0, 0, WF_MAX_VOCAB);
    if (found > 0 && out->length < 1)
        wf_option_fail(&o, j, "positions need a 'length' (or the model a 'context')");
    return o.status;
}

static const char *const stem_words[] = {"kind", "scale", "dropout", "positions", "padding", "types", "norm", NULL};

static weft_status read_stem(reader *r, const wf_json *j) {
    wf_stem_spec *s = &r->spec->stem;
    wf_options o = wf_options_open(j, "stem", stem_words, r->err);
    if (!wf_streq(wf_option_text(&o, "kind", "token"), "token"))
        wf_option_fail(&o, j, "kind '%s' is not known (token)", wf_option_text(&o, "kind", ""));
    s->scale = (float)wf_option_float(&o, "scale", 1.0, -1e6, 1e6);
    s->dropout = (float)wf_option_float(&o, "dropout", 0.0, 0.0, 0.99);
    s->padding = wf_option_int(&o, "padding", -1, -1, WF_MAX_VOCAB);
    s->types = wf_option_bool(&o, "types", false);
    WF_TRY(o.status);
    WF_TRY(read_positions(r, wf_json_get(j, "positions"), s));
    const wf_json *norm = wf_json_get(j, "norm");
    return norm ? read_norm(r, norm, "stem norm", &s->norm) : WEFT_OK;
}

static const char *const head_words[] = {"kind", "tied", "bias", "scale", "softcap", NULL};

static weft_status read_head(reader *r, const wf_json *j) {
    wf_head_spec *h = &r->spec->head;
    wf_options o = wf_options_open(j, "head", head_words, r->err);
    if (!wf_streq(wf_option_text(&o, "kind", "lm"), "lm"))
        wf_option_fail(&o, j, "kind '%s' is not known (lm)", wf_option_text(&o, "kind", ""));
    h->tied = wf_option_bool(&o, "tied", true);
    h->bias = wf_option_bool(&o, "bias", false);
    h->scale = (float)wf_option_float(&o, "scale", 1.0, -1e6, 1e6);
    h->softcap = (float)wf_option_float(&o, "softcap", 0.0, 0.0, 1e6);
    return o.status;
}

/* ---- blocks ---- */
static const char *wiring_name(const void *user, size_t i) { return ((const wf_wiring *)user)[i].name; }

static weft_status find_wiring(const wf_json *at, const char *name, const char *what, const wf_wiring **out, weft_error *err) {
    for (*out = wf_wirings; (*out)->name; (*out)++)
        if (wf_streq((*out)->name, name))
            return WEFT_OK;
    const char *near = wf_nearest(name, wiring_name, wf_wirings);
    return wf_fail_at(err, WEFT_USAGE, at ? at->offset : -1, "%s: unknown wiring '%s'%s%s%s", what, name, near ? ", did you mean '" : "",
                      near ? near : "", near ? "'?" : "");
}

static weft_status read_row(reader *r, const wf_json *j, const char *where, bool channel, wf_layer **out) {
    bool word = j->kind == WF_JSON_STRING;
    const char *name = word ? j->string : wf_json_text(j, "mixer", NULL);
    WF_CHECK(word || j->kind == WF_JSON_OBJECT, r->err, WEFT_USAGE, "%s: must be an object or a name", where);
    WF_CHECK(name, r->err, WEFT_USAGE, "%s: 'mixer' (a name) is missing", where);
    const wf_mixer *row = wf_mixer_find(name);
    if (!row) {
        const char *near = wf_mixer_nearest(name);
        return wf_fail_at(r->err, WEFT_USAGE, j->offset, "%s: unknown %s mixer '%s'%s%s%s", where, channel ? "channel" : "token", name,
                          near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    return wf_layer_build(r->arena, row, word ? wf_json_new(r->arena, WF_JSON_OBJECT) : j, r->spec->dim, where, out, r->err);
}

static const char *const block_words[] = {"wiring", "norm", "mixer", "channel", "residual_scale", "dropout", "attention_dropout", "share", NULL};

/* An option of block i: its own, else that of the common `block`. */
static const wf_json *either(const wf_json *own, const wf_json *common, const char *key) {
    const wf_json *j = wf_json_get(own, key);
    return j ? j : wf_json_get(common, key);
}

static weft_status read_numbers(wf_options *o, int64_t index, wf_block_spec *b) {
    b->residual_scale = (float)wf_option_float(o, "residual_scale", (double)b->residual_scale, -1e6, 1e6);
    b->dropout = (float)wf_option_float(o, "dropout", (double)b->dropout, 0.0, 0.99);
    b->attention_dropout = (float)wf_option_float(o, "attention_dropout", (double)b->attention_dropout, 0.0, 0.99);
    b->share = (int)wf_option_int(o, "share", b->share, -1, index - 1);
    return o->status;
}

static weft_status read_block(reader *r, int64_t index, const wf_json *own, const wf_json *common) {
    wf_block_spec *b = &r->spec->blocks[index];
    char *what = wf_arena_printf(r->arena, "block %lld", (long long)index), *mixer = wf_arena_printf(r->arena, "block %lld mixer", (long long)index);
    char *channel = wf_arena_printf(r->arena, "block %lld channel", (long long)index);
    if (!what || !mixer || !channel)
        return wf_fail_memory(r->err);
    wf_options all = wf_options_open(common, "block", block_words, r->err), one = wf_options_open(own, what, block_words, r->err);
    *b = (wf_block_spec){.residual_scale = 1.0f, .share = -1};
    WF_TRY(all.status);
    WF_TRY(read_numbers(&all, index, b));
    WF_TRY(one.status);
    WF_TRY(read_numbers(&one, index, b));
    const wf_json *m = either(own, common, "mixer"), *c = either(own, common, "channel"), *w = either(own, common, "wiring");
    WF_CHECK(m, r->err, WEFT_USAGE, "%s: 'mixer' is missing", what);
    WF_CHECK(!w || w->kind == WF_JSON_STRING, r->err, WEFT_USAGE, "%s: 'wiring' must be a string", what);
    WF_TRY(find_wiring(w, w ? w->string : "pre", what, &b->wiring, r->err));
    for (int i = 0; i < b->wiring->norms; i++)
        WF_TRY(read_norm(r, either(own, common, "norm"), what, &b->norm[i]));
    WF_TRY(read_row(r, m, mixer, false, &b->mixer));
    return c && c->kind != WF_JSON_NULL ? read_row(r, c, channel, true, &b->channel) : WEFT_OK;
}

static weft_status read_blocks(reader *r, const wf_json *json) {
    const wf_json *common = wf_json_get(json, "block"), *list = wf_json_get(json, "blocks");
    WF_CHECK(common || list, r->err, WEFT_USAGE, "a model needs 'block' or 'blocks'");
    WF_CHECK(!list || (list->kind == WF_JSON_ARRAY && list->count > 0), r->err, WEFT_USAGE, "'blocks' must be a list of blocks");
    r->spec->blocks = wf_arena_alloc(r->arena, (size_t)r->spec->layers * sizeof *r->spec->blocks);
    if (!r->spec->blocks)
        return wf_fail_memory(r->err);
    const wf_json *own = list ? list->child : NULL;
    for (int64_t i = 0; i < r->spec->layers; i++) {
        WF_TRY(read_block(r, i, own, common));
        own = own && own->next ? own->next : list ? list->child : NULL; /* the list is a cycle */
    }
    return WEFT_OK;
}

static const char *const spec_words[] = {"format", "name", "about", "source", "dim", "vocab", "layers", "context", "stem", "block", "blocks", "norm", "head", NULL};

static weft_status read_sizes(reader *r, const wf_json *json) {
    wf_spec *s = r->spec;
    const wf_json *blocks = wf_json_get(json, "blocks");
    wf_options o = wf_options_open(json, "spec", spec_words, r->err);
    int64_t format = wf_option_int(&o, "format", 1, 0, INT32_MAX);
    if (format != 1)
        wf_option_fail(&o, json, "format %lld is not known (1)", (long long)format);
    s->name = wf_option_text(&o, "name", "model");
    s->dim = wf_option_int(&o, "dim", 0, 1, WF_MAX_DIM);
    s->vocab = wf_option_int(&o, "vocab", 0, 1, WF_MAX_VOCAB);
    s->layers = wf_option_int(&o, "layers", blocks ? (int64_t)blocks->count : 0, 1, WF_MAX_LAYERS);
    s->context = wf_option_int(&o, "context", 0, 0, INT32_MAX);
    WF_TRY(o.status);
    WF_CHECK(s->dim > 0 && s->vocab > 0 && s->layers > 0, r->err, WEFT_USAGE, "a model needs 'dim', 'vocab' and 'layers'");
    return WEFT_OK;
}

weft_status wf_spec_read(wf_arena *arena, const wf_json *json, wf_spec **out, weft_error *err) {
    reader r = {.arena = arena, .spec = wf_arena_alloc(arena, sizeof(wf_spec)), .err = err};
    if (!r.spec)
        return wf_fail_memory(err);
    WF_CHECK(json && json->kind == WF_JSON_OBJECT, err, WEFT_USAGE, "a spec must be an object");
    r.spec->json = json;
    WF_TRY(read_sizes(&r, json));
    WF_TRY(read_stem(&r, wf_json_get(json, "stem")));
    WF_TRY(read_norm(&r, wf_json_get(json, "norm"), "norm", &r.spec->norm));
    WF_TRY(read_head(&r, wf_json_get(json, "head")));
    WF_TRY(read_blocks(&r, json));
    *out = r.spec;
    return WEFT_OK;
}
