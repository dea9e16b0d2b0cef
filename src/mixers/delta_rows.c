#include "mixers/delta_rows.h"
#include <math.h>

wf_activation wf_delta_rows_activation(const wf_layer *l) {
    return (wf_activation)wf_activation_by_name(wf_string(l, "conv_activation"));
}

weft_status wf_delta_rows_check(const wf_layer *l, weft_error *err) {
    long long heads = wf_int(l, "heads"), values = wf_int(l, "v_heads");
    WF_CHECK(values % heads == 0, err, WEFT_USAGE, "'v_heads' (%lld) must be a multiple of 'heads' (%lld)", values, heads);
    return WEFT_OK;
}

/* The bias of the convolution makes keys and values of padding, and so does an activation that is not 0 at 0. */
unsigned wf_delta_rows_lost(const wf_layer *l) {
    bool made = wf_given(l, "conv") && wf_flag(l, "conv_bias");
    return made || wf_delta_rows_activation(l) == WF_SIGMOID ? 0u : WF_PADDING_TRACE;
}

/* One q or k per head, of length one. */
static wf_tensor *direction(wf_run *r, const wf_layer *l, const wf_delta_rows *rows, const char *name) {
    wf_tensor *y = wf_project_conv(r, l, name, rows->x, rows->kind);
    y = wf_split_heads(r, y, wf_int(l, "heads"), wf_int(l, "key_dim"));
    return wf_unit(r->tape, y, wf_is(l, "qk_norm", "sum") ? WF_UNIT_SUM : WF_UNIT_L2, 1e-6f);
}

wf_tensor *wf_delta_rows_run(wf_run *r, const wf_layer *l, const wf_delta_rows *rows, wf_delta_spec *spec) {
    wf_tensor *s = NULL, *q = direction(r, l, rows, "q"), *k = direction(r, l, rows, "k");
    wf_tensor *v = wf_split_heads(r, wf_project_conv(r, l, "v", rows->x, rows->kind), rows->values, wf_int(l, "value_dim"));
    wf_tensor *beta = wf_activate(r->tape, wf_project_f32(r, l, "beta", rows->x), WF_SIGMOID);
    spec->beta = wf_scale(r->tape, beta, (float)wf_float(l, "beta_scale"));
    spec->scale = (float)pow((double)wf_int(l, "key_dim"), -0.5);
    spec->s_in = wf_state_in(r, l, "s");
    spec->s_out = wf_state_wanted(r) ? &s : NULL;
    wf_tensor *o = wf_delta(r->tape, q, k, v, spec);
    wf_state_out(r, l, "s", s);
    return o;
}
