/* heads.c - what the rows on a matrix state share: projections through a short convolution, and the normed and gated output. */
#include <stdio.h>
#include "mixers/mixer.h"
#include "parts/rope.h"

wf_tensor *wf_project_f32(const wf_run *run, const wf_layer *layer, const char *name, wf_tensor *x) {
    char weight[64], bias[64];
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    return wf_linear_as(run->tape, x, wf_weight(run, layer, weight), wf_weight(run, layer, bias), WF_F32);
}

wf_tensor *wf_project_conv(const wf_run *run, const wf_layer *layer, const char *name, wf_tensor *x, wf_activation kind) {
    char state[64], weight[80], bias[80];
    wf_tensor *window = NULL, *y = wf_project_f32(run, layer, name, x);
    if (!wf_given(layer, "conv"))
        return kind == WF_IDENTITY ? y : wf_activate(run->tape, y, kind);
    snprintf(state, sizeof state, "%s_conv", name);
    snprintf(weight, sizeof weight, "%s.weight", state);
    snprintf(bias, sizeof bias, "%s.bias", state);
    y = wf_conv(run->tape, y, wf_weight(run, layer, weight), wf_weight(run, layer, bias), kind == WF_SILU,
                wf_state_in(run, layer, state), wf_state_wanted(run) ? &window : NULL);
    wf_state_out(run, layer, state, window);
    return kind == WF_SILU || kind == WF_IDENTITY ? y : wf_activate(run->tape, y, kind);
}

wf_tensor *wf_share_heads(const wf_run *run, const wf_layer *layer, wf_tensor *x, const char *width) {
    int64_t groups = wf_int(layer, "kv_heads");
    return wf_repeat_heads(run->tape, wf_split_heads(run, x, groups, wf_int(layer, width)), wf_int(layer, "heads") / groups);
}

wf_tensor *wf_finish_heads(const wf_run *run, const wf_layer *layer, wf_tensor *o, wf_tensor *gate, wf_activation kind) {
    o = wf_merge_heads(
        run, wf_rms_norm(run->tape, o, wf_weight(run, layer, "norm.weight"), 0.0f, (float)wf_float(layer, "norm_eps")));
    return wf_project(run, layer, "o", gate ? wf_gate(run->tape, gate, o, kind) : o);
}

weft_status wf_check_t5_bias(const wf_json *t5, weft_error *err) {
    int64_t buckets = wf_json_int(t5, "buckets", 32), most = wf_json_int(t5, "max_distance", 128);
    int64_t exact = buckets / (wf_json_bool(t5, "bidirectional", true) ? 4 : 2);
    WF_CHECK(exact >= 1 && most > exact, err, WEFT_USAGE, "'t5_bias': %lld buckets do not fit a distance of %lld",
             (long long)buckets, (long long)most);
    return WEFT_OK;
}

wf_partial wf_attend_part(const wf_run *run, wf_tensor *q, wf_tensor *k, wf_tensor *v, const wf_attention_spec *spec) {
    wf_partial out = {NULL, NULL};
    wf_attention_spec s = *spec;
    s.dropout = run->attention_dropout;
    s.lse = &out.lse;
    out.o = wf_attention(run->tape, q, k, v, &s);
    return out;
}

wf_tensor *wf_join_parts(const wf_run *run, const wf_partial *a, const wf_partial *b) {
    if (!a->o || !a->lse || !b->o || !b->lse)
        return NULL;
    int64_t batch = a->o->dims[0], rows = a->o->dims[1], heads = a->o->dims[2], dims[3] = {batch * heads, rows, 1};
    wf_tensor *lse = wf_time_concat(run->tape, wf_reshape(run->tape, a->lse, 3, dims), wf_reshape(run->tape, b->lse, 3, dims));
    lse = lse ? wf_reshape(run->tape, lse, 3, (int64_t[]){batch, heads, 2 * rows}) : NULL;
    return wf_merge_partials(run->tape, wf_time_concat(run->tape, a->o, b->o), lse, NULL, NULL, 2);
}

wf_tensor *wf_turn_heads(const wf_run *r, const wf_layer *l, wf_tensor *x, const wf_ports *io) {
    wf_rotate_args args;
    weft_error err = {0};
    if (!wf_given(l, "rope"))
        return x;
    if (wf_rope_args(wf_tape_arena(r->tape), wf_get(l, "rope")->object, wf_int(l, "key_dim"), r->length, &args, &err) !=
        WEFT_OK)
        return wf_tape_error(r->tape, err.status, "%s: %s", l->where, err.message);
    args.positions = io->positions;
    return wf_rotate(r->tape, x, &args);
}
