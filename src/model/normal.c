/* normal.c - a spec written out in full: every option of every block with its value, so that two spellings of one model are the
 * same JSON. What says nothing about the computation (name, source, the trained length) is left out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model/parts.h"

typedef wf_normal writer;

void wf_normal_put(const writer *w, const char *key, wf_json *value) {
    if (!wf_json_put(w->arena, w->object, key, value))
        *w->failed = true;
}

void wf_normal_int(const writer *w, const char *key, int64_t value) { wf_normal_put(w, key, wf_json_new_int(w->arena, value)); }
void wf_normal_bool(const writer *w, const char *key, bool value) { wf_normal_put(w, key, wf_json_new_bool(w->arena, value)); }
void wf_normal_text(const writer *w, const char *key, const char *text) {
    wf_normal_put(w, key, wf_json_new_string(w->arena, text, strlen(text)));
}

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

void wf_normal_float(const writer *w, const char *key, float value) {
    wf_normal_put(w, key, wf_json_new_float(w->arena, plain(value)));
}

writer wf_normal_begin(const writer *of) { return (writer){of->arena, wf_json_new(of->arena, WF_JSON_OBJECT), of->failed}; }

wf_json *wf_norm_normal(const writer *of, const wf_norm_spec *norm) {
    static const char *const kinds[] = {
        [WF_NORM_NONE] = "none", [WF_NORM_RMS] = "rms", [WF_NORM_LAYER] = "layer", [WF_NORM_SCALE] = "scale"};
    writer w = wf_normal_begin(of);
    wf_normal_text(&w, "kind", kinds[norm->kind]);
    if (norm->kind == WF_NORM_NONE)
        return w.object;
    wf_normal_float(&w, "eps", norm->eps);
    wf_normal_bool(&w, "affine", norm->affine);
    wf_normal_float(&w, "offset", norm->affine ? norm->offset : 0.0f);
    if (norm->kind >= WF_NORM_LAYER)
        wf_normal_bool(&w, "bias", norm->bias);
    return w.object;
}

static wf_json *normal_layer(const writer *of, const wf_layer *layer) {
    wf_json *object = wf_layer_json(of->arena, layer);
    *of->failed |= !object;
    return object;
}

/* A norm of its own is said where it is another than the first. */
static void normal_norms(const writer *w, const wf_block_spec *block) {
    static const char *const keys[] = {"norm1", "norm2", "norm3", "norm4"};
    wf_json *first = wf_norm_normal(w, &block->norm[0]);
    wf_normal_put(w, "norm", first);
    int norms = block->channel ? block->wiring->norms : block->wiring->norms_without_channel;
    for (int i = 1; i < norms; i++) {
        wf_json *norm = wf_norm_normal(w, &block->norm[i]);
        if (!wf_json_equal(first, norm))
            wf_normal_put(w, keys[i], norm);
    }
    wf_json *aside = block->aside ? wf_norm_normal(w, &block->aside_norm) : NULL;
    if (aside && !wf_json_equal(first, aside))
        wf_normal_put(w, "aside_norm", aside);
    wf_json *cross = block->cross ? wf_norm_normal(w, &block->cross_norm[0]) : NULL;
    if (cross && !wf_json_equal(first, cross))
        wf_normal_put(w, "cross_norm", cross);
}

static void normal_pair(const writer *w, const char *key, const float pair[2]) {
    wf_json *list;
    if (pair[0] == pair[1]) {
        wf_normal_float(w, key, pair[0]);
        return;
    }
    list = wf_json_new(w->arena, WF_JSON_ARRAY);
    for (int i = 0; i < 2; i++)
        *w->failed |= !wf_json_push(list, wf_json_new_float(w->arena, plain(pair[i])));
    wf_normal_put(w, key, list);
}

static void normal_past(const writer *of, const wf_block_spec *block) {
    writer w = wf_normal_begin(of);
    wf_normal_int(&w, "start", block->past_start);
    wf_normal_int(&w, "keep", block->past_keep);
    wf_normal_int(&w, "take", block->past_take);
    wf_normal_put(of, "past", w.object);
}

static wf_json *normal_block(const writer *of, const wf_block_spec *block) {
    writer w = wf_normal_begin(of);
    wf_normal_text(&w, "wiring", block->wiring->name);
    if (block->rows.n)
        wf_normal_put(&w, "rows", wf_rows_normal(&w, &block->rows));
    if (block->before) {
        wf_normal_text(&w, "memory", "before");
        wf_normal_put(&w, "memory_norm", wf_norm_normal(&w, &block->memory_norm));
    }
    normal_norms(&w, block);
    wf_normal_put(&w, "mixer", normal_layer(of, block->mixer));
    if (block->cross)
        wf_normal_put(&w, "cross", normal_layer(of, block->cross));
    if (block->aside)
        wf_normal_put(&w, "aside", normal_layer(of, block->aside));
    wf_normal_put(&w, "channel", block->channel ? normal_layer(of, block->channel) : wf_json_new(of->arena, WF_JSON_NULL));
    if (block->adapter) {
        wf_normal_put(&w, "adapter", normal_layer(of, block->adapter));
        wf_normal_text(&w, "adapter_wiring", block->adapter_from_norm ? "from_norm" : "pre");
        wf_normal_put(&w, "adapter_norm",
                      block->adapter_own_norm ? wf_norm_normal(of, &block->adapter_norm)
                                              : wf_json_new_string(of->arena, "norm2", 5));
    }
    normal_pair(&w, "residual_scale", block->residual_scale);
    normal_pair(&w, "keep", block->keep);
    wf_normal_float(&w, "stream_scale", block->stream_scale);
    wf_normal_float(&w, "dropout", block->dropout);
    wf_normal_float(&w, "attention_dropout", block->attention_dropout);
    wf_normal_bool(&w, "masked", block->masked);
    if (block->past_start > 0 || block->past_keep != 0)
        normal_past(&w, block);
    wf_normal_int(&w, "share", block->share);
    if (block->borrow)
        wf_normal_put(&w, "borrow", wf_json_copy(of->arena, block->borrow));
    return w.object;
}

static wf_json *normal_heads(const writer *of, const wf_spec *spec) {
    wf_json *list = wf_json_new(of->arena, WF_JSON_ARRAY);
    for (int i = 1; i < spec->n_heads; i++)
        *of->failed |= !wf_json_push(list, wf_head_normal(of, &spec->heads[i]));
    return list;
}

static void normal_out(const writer *of, const char *key, const wf_out_spec *out) {
    if (!out->there)
        return;
    writer w = wf_normal_begin(of);
    wf_normal_int(&w, "dim", out->dim);
    wf_normal_bool(&w, "bias", out->bias);
    wf_normal_put(of, key, w.object);
}

static void normal_stack(const writer *w, const wf_spec *spec) {
    wf_json *blocks = wf_json_new(w->arena, WF_JSON_ARRAY);
    wf_normal_int(w, "dim", spec->dim);
    wf_normal_int(w, "vocab", spec->vocab);
    wf_normal_int(w, "layers", spec->layers);
    wf_normal_put(w, "stem", wf_stem_normal(w, &spec->stem));
    for (int64_t i = 0; i < spec->layers && !*w->failed; i++)
        *w->failed |= !wf_json_push(blocks, normal_block(w, &spec->blocks[i]));
    wf_normal_put(w, "blocks", blocks);
    if (spec->rows.n)
        wf_normal_put(w, "rows", wf_rows_normal(w, &spec->rows));
    wf_normal_put(w, "norm", wf_norm_normal(w, &spec->norm));
    if (spec->joined)
        wf_normal_bool(w, "joined", true);
    if (spec->layer_sum)
        wf_normal_bool(w, "layer_sum", true);
    if (spec->dropout != 0.0f)
        wf_normal_float(w, "dropout", spec->dropout);
    normal_out(w, "project", &spec->project);
    normal_out(w, "bridge", &spec->bridge);
}

static wf_json *normal_shift(const writer *of, const wf_shift_spec *shift) {
    writer w = wf_normal_begin(of);
    wf_normal_text(&w, "kind", shift->rotate ? "rotate" : "start");
    wf_normal_int(&w, "token", shift->rotate ? 0 : shift->token);
    wf_normal_int(&w, "padding", shift->padding);
    wf_normal_bool(&w, "masked", shift->masked);
    return w.object;
}

static void normal_encoder(const writer *w, const wf_spec *spec) {
    if (!spec->encoder)
        return;
    writer encoder = wf_normal_begin(w);
    normal_stack(&encoder, spec->encoder);
    wf_normal_put(w, "encoder", encoder.object);
    if (spec->shift.there)
        wf_normal_put(w, "shift", normal_shift(w, &spec->shift));
}

weft_status wf_spec_normal(wf_arena *arena, const wf_spec *spec, wf_json **out, weft_error *err) {
    bool failed = false;
    writer w = {arena, wf_json_new(arena, WF_JSON_OBJECT), &failed};
    normal_stack(&w, spec);
    normal_encoder(&w, spec);
    wf_normal_put(&w, "head", spec->n_heads ? wf_head_normal(&w, &spec->heads[0]) : wf_json_new(arena, WF_JSON_NULL));
    if (spec->n_heads > 1)
        wf_normal_put(&w, "heads", normal_heads(&w, spec));
    *out = w.object;
    return failed ? wf_fail_memory(err) : WEFT_OK;
}
