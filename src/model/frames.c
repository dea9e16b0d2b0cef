/* frames.c - the part of a stem that makes rows of numbers: convolutions over time, each with a non-linearity, that make fewer
 * and wider rows of audio features or samples. */
#include <stdio.h>
#include "model/parts.h"

const wf_spec_key wf_conv_keys[] = {
    {"dim", "integer", "`dim` of the stem", "channels of the result"},
    {"kernel", "integer", NULL, "rows of a window"},
    {"stride", "integer", "1", "rows from one window to the next"},
    {"padding", "integer", "0", "rows of zeros before and behind"},
    {"bias", "boolean", "true", "a learned bias"},
    {"gated", "boolean", "false", "twice as many channels are made, the second half a gate by its sigmoid"},
    {"activation", "string", "identity", "of the result"},
    {"norm", "number", "0", "a norm of all rows and channels of a sequence at once, with this eps; 0 is none"},
    {NULL, NULL, NULL, NULL}};

static weft_status read_conv(wf_spec_reader *r, const wf_json *j, int64_t in, wf_conv_spec *out) {
    wf_options o = wf_part_open(j, "stem conv", wf_conv_keys, r->err);
    const char *name = wf_option_text(&o, "activation", "identity");
    int activation = wf_activation_by_name(name);
    if (activation < 0)
        wf_option_fail(&o, j, "unknown activation '%s'", name);
    out->in = in;
    out->out = wf_option_int(&o, "dim", r->spec->stem.dim, 1, WF_MAX_DIM);
    out->kernel = wf_option_int(&o, "kernel", 0, 1, 1 << 16);
    out->stride = wf_option_int(&o, "stride", 1, 1, 1 << 16);
    out->padding = wf_option_int(&o, "padding", 0, 0, 1 << 16);
    out->bias = wf_option_bool(&o, "bias", true);
    out->gated = wf_option_bool(&o, "gated", false);
    out->activation = activation < 0 ? WF_IDENTITY : (wf_activation)activation;
    out->norm = (float)wf_option_float(&o, "norm", 0.0, 0.0, 1.0);
    if (out->kernel < 1)
        wf_option_fail(&o, j, "'kernel' is needed");
    return o.status;
}

weft_status wf_frames_read(wf_spec_reader *r, const wf_json *list) {
    wf_stem_spec *s = &r->spec->stem;
    int64_t width = s->channels;
    WF_CHECK(!list || (list->kind == WF_JSON_ARRAY && list->count <= WF_MAX_CONVS), r->err, WEFT_USAGE,
             "stem: 'convs' must list at most %d convolutions", (int)WF_MAX_CONVS);
    for (const wf_json *j = list ? list->child : NULL; j; j = j->next) {
        WF_TRY(read_conv(r, j, width, &s->convs[s->n_convs]));
        width = s->convs[s->n_convs++].out;
    }
    WF_CHECK(width == s->dim, r->err, WEFT_USAGE, "stem: %lld channels come out of the convolutions, not %lld",
             (long long)width, (long long)s->dim);
    return WEFT_OK;
}

int64_t wf_stem_rows(const wf_stem_spec *s, int64_t rows) {
    for (int i = 0; i < s->n_convs; i++)
        rows = wf_frame_count(rows, s->convs[i].kernel, s->convs[i].stride, s->convs[i].padding);
    return rows;
}

weft_status wf_frames_declare(wf_model *m, weft_error *err) {
    const wf_stem_spec *s = &m->spec->stem;
    char name[64];
    for (int i = 0; i < s->n_convs; i++) {
        const wf_conv_spec *c = &s->convs[i];
        int64_t out = c->gated ? 2 * c->out : c->out;
        snprintf(name, sizeof name, "stem.conv.%d.weight", i);
        WF_TRY(wf_declare(m, name, 3, (int64_t[]){out, c->kernel, c->in}, WF_INIT_NORMAL, &m->conv[i][0], err));
        m->conv[i][0]->init_scale = wf_init_std(c->kernel * c->in);
        snprintf(name, sizeof name, "stem.conv.%d.bias", i);
        if (c->bias)
            WF_TRY(wf_declare(m, name, 1, &out, WF_INIT_ZEROS, &m->conv[i][1], err));
        snprintf(name, sizeof name, "stem.conv.%d.norm", i);
        const wf_norm_spec norm = {.kind = WF_NORM_LAYER, .affine = true, .bias = true};
        if (c->norm > 0.0f)
            WF_TRY(wf_declare_norm(m, &norm, name, c->out, &m->conv_norm[i][0], &m->conv_norm[i][1], err));
    }
    return WEFT_OK;
}

/* A norm of everything a sequence has, then weights and biases of the channels. */
static wf_tensor *norm_all(wf_tape *t, wf_tensor *x, float eps, wf_param *const weight_bias[2]) {
    if (!x)
        return NULL;
    int64_t dims[3] = {x->dims[0], x->dims[1], x->dims[2]};
    x = wf_layer_norm(t, wf_reshape(t, x, 3, (int64_t[]){dims[0], 1, dims[1] * dims[2]}), NULL, NULL, 0.0f, eps);
    x = x ? wf_reshape(t, x, 3, dims) : NULL;
    return wf_add_rows(t, wf_mul_rows(t, x, wf_use(t, weight_bias[0])), wf_use(t, weight_bias[1]));
}

static wf_tensor *convolve(const wf_model *m, wf_tape *t, int i, wf_tensor *x) {
    const wf_conv_spec *c = &m->spec->stem.convs[i];
    wf_tensor *w = wf_use(t, m->conv[i][0]);
    w = w ? wf_reshape(t, w, 2, (int64_t[]){w->dims[0], c->kernel * c->in}) : NULL;
    x = wf_linear_as(t, wf_frames(t, x, c->kernel, c->stride, c->padding), w, wf_use(t, m->conv[i][1]), WF_F32);
    if (c->gated)
        x = wf_gate(t, wf_slice_channels(t, x, c->out, c->out), wf_slice_channels(t, x, 0, c->out), WF_SIGMOID);
    x = wf_activate(t, x, c->activation);
    return c->norm > 0.0f ? norm_all(t, x, c->norm, m->conv_norm[i]) : x;
}

wf_tensor *wf_frames_record(const wf_model *m, wf_tape *t, wf_model_ports *p) {
    wf_tensor *x = p->features;
    for (int i = 0; i < m->spec->stem.n_convs; i++) {
        x = convolve(m, t, i, x);
        if (x)
            p->mask = wf_frame_mask(t, p->mask, x->dims[1], m->spec->stem.convs[i].stride);
    }
    return x ? wf_cast(t, x, WF_F32) : NULL;
}

wf_json *wf_frames_normal(const wf_normal *of, const wf_stem_spec *s) {
    wf_json *list = wf_json_new(of->arena, WF_JSON_ARRAY);
    for (int i = 0; i < s->n_convs; i++) {
        const wf_conv_spec *c = &s->convs[i];
        wf_normal w = wf_normal_begin(of);
        wf_normal_int(&w, "dim", c->out);
        wf_normal_int(&w, "kernel", c->kernel);
        wf_normal_int(&w, "stride", c->stride);
        wf_normal_int(&w, "padding", c->padding);
        wf_normal_bool(&w, "bias", c->bias);
        wf_normal_bool(&w, "gated", c->gated);
        wf_normal_text(&w, "activation", wf_activation_names[c->activation]);
        wf_normal_float(&w, "norm", c->norm);
        *of->failed |= !wf_json_push(list, w.object);
    }
    return list;
}
