/* normal.c - a spec written out in full: every option of every block with its value, so that two spellings of one model are the
 * same JSON. What says nothing about the computation (name, source, the trained length) is left out. */
#include <stdio.h>
#include <stdlib.h>
#include "model/spec.h"

typedef struct maker {
    wf_arena *arena;
    bool failed; /* the arena was full once */
} maker;

typedef struct writer {
    maker *make;
    wf_arena *arena;
    wf_json *object;
} writer;

static void put(const writer *w, const char *key, wf_json *value) {
    if (!wf_json_put(w->arena, w->object, key, value))
        w->make->failed = true;
}

static void put_int(const writer *w, const char *key, int64_t value) { put(w, key, wf_json_new_int(w->arena, value)); }
static void put_bool(const writer *w, const char *key, bool value) { put(w, key, wf_json_new_bool(w->arena, value)); }
static void put_text(const writer *w, const char *key, const char *text) { put(w, key, wf_json_new_string(w->arena, text, strlen(text))); }

/* The decimal a person would have written for a float: the fewest digits that read back as the same float. */
static double plain(float value) {
    char text[32];
    double d = (double)value;
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (wf_parse_double(text, strlen(text), &d) && (float)d == value)
            return d;
    }
    return (double)value;
}

static void put_float(const writer *w, const char *key, float value) { put(w, key, wf_json_new_double(w->arena, plain(value))); }

static writer begin(maker *m) { return (writer){m, m->arena, wf_json_new(m->arena, WF_JSON_OBJECT)}; }

static wf_json *normal_norm(maker *m, const wf_norm_spec *norm) {
    static const char *const kinds[] = {[WF_NORM_NONE] = "none", [WF_NORM_RMS] = "rms", [WF_NORM_LAYER] = "layer"};
    writer w = begin(m);
    put_text(&w, "kind", kinds[norm->kind]);
    if (norm->kind == WF_NORM_NONE)
        return w.object;
    put_float(&w, "eps", norm->eps);
    put_bool(&w, "affine", norm->affine);
    put_float(&w, "offset", norm->affine ? norm->offset : 0.0f);
    if (norm->kind == WF_NORM_LAYER)
        put_bool(&w, "bias", norm->bias);
    return w.object;
}

static wf_json *normal_positions(maker *m, const wf_stem_spec *stem) {
    static const char *const kinds[] = {
        [WF_POSITION_NONE] = "none", [WF_POSITION_LEARNED] = "learned", [WF_POSITION_SINUSOIDAL] = "sinusoidal"};
    writer w = begin(m);
    put_text(&w, "kind", kinds[stem->position]);
    if (stem->position != WF_POSITION_NONE) {
        put_int(&w, "length", stem->length);
        put_int(&w, "offset", stem->offset);
    }
    return w.object;
}

static wf_json *normal_stem(maker *m, const wf_stem_spec *stem) {
    writer w = begin(m);
    put_text(&w, "kind", "token");
    put_float(&w, "scale", stem->scale);
    put_float(&w, "dropout", stem->dropout);
    put(&w, "positions", normal_positions(m, stem));
    put_int(&w, "padding", stem->padding);
    put_bool(&w, "types", stem->types);
    put(&w, "norm", normal_norm(m, &stem->norm));
    return w.object;
}

static wf_json *normal_layer(maker *m, const wf_layer *layer) {
    wf_json *object = wf_layer_json(m->arena, layer);
    m->failed |= !object;
    return object;
}

static wf_json *normal_block(maker *m, const wf_block_spec *block) {
    writer w = begin(m);
    put_text(&w, "wiring", block->wiring->name);
    put(&w, "norm", normal_norm(m, &block->norm[0]));
    put(&w, "mixer", normal_layer(m, block->mixer));
    put(&w, "channel", block->channel ? normal_layer(m, block->channel) : wf_json_new(m->arena, WF_JSON_NULL));
    put_float(&w, "residual_scale", block->residual_scale);
    put_float(&w, "stream_scale", block->stream_scale);
    put_float(&w, "dropout", block->dropout);
    put_float(&w, "attention_dropout", block->attention_dropout);
    put_int(&w, "share", block->share);
    return w.object;
}

static wf_json *normal_head(maker *m, const wf_head_spec *head) {
    writer w = begin(m);
    put_text(&w, "kind", "lm");
    put_bool(&w, "tied", head->tied);
    put_bool(&w, "bias", head->bias);
    put_float(&w, "scale", head->scale);
    put_float(&w, "softcap", head->softcap);
    put_float(&w, "z_loss", head->z_loss);
    return w.object;
}

weft_status wf_spec_normal(wf_arena *arena, const wf_spec *spec, wf_json **out, weft_error *err) {
    maker make = {arena, false}, *m = &make;
    writer w = begin(m);
    wf_json *blocks = wf_json_new(arena, WF_JSON_ARRAY);
    put_int(&w, "dim", spec->dim);
    put_int(&w, "vocab", spec->vocab);
    put_int(&w, "layers", spec->layers);
    put(&w, "stem", normal_stem(m, &spec->stem));
    for (int64_t i = 0; i < spec->layers && !make.failed; i++)
        make.failed |= !wf_json_push(blocks, normal_block(m, &spec->blocks[i]));
    put(&w, "blocks", blocks);
    put(&w, "norm", normal_norm(m, &spec->norm));
    put(&w, "head", normal_head(m, &spec->head));
    *out = w.object;
    return make.failed ? wf_fail_memory(err) : WEFT_OK;
}
