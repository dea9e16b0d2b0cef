#include "mixers/gla_rows.h"
#include <math.h>

weft_status wf_gla_rows_check(const wf_layer *l, weft_error *err) {
    long long heads = wf_int(l, "heads"), groups = wf_int(l, "kv_heads");
    WF_CHECK(heads % groups == 0, err, WEFT_USAGE, "'heads' (%lld) must be a multiple of 'kv_heads' (%lld)", heads, groups);
    return WEFT_OK;
}

/* Through the short convolution with its silu, when there is one: it must not reach into padding. */
static wf_tensor *project(wf_run *r, const wf_layer *l, const char *name, wf_tensor *x, wf_tensor *mask) {
    return wf_mask_rows(r->tape, wf_project_conv(r, l, name, x, wf_given(l, "conv") ? WF_SILU : WF_IDENTITY),
                        wf_given(l, "conv") ? mask : NULL);
}

weft_status wf_gla_rows_run(wf_run *r, const wf_layer *l, wf_ports *io, wf_tensor *x, wf_decay decay, wf_tensor *g) {
    wf_activation feature = (wf_activation)wf_activation_by_name(wf_string(l, "feature"));
    wf_tensor *s = NULL, *v = project(r, l, "v", x, io->mask);
    wf_tensor *q = wf_activate(r->tape, project(r, l, "q", x, io->mask), feature),
              *k = wf_activate(r->tape, project(r, l, "k", x, io->mask), feature);
    wf_recurrence_spec spec = {.decay = decay,
                               .g = g,
                               .scale = 1.0f / sqrtf((float)wf_int(l, "key_dim")),
                               .s_in = wf_state_in(r, l, "s"),
                               .s_out = wf_state_wanted(r) ? &s : NULL};
    q = wf_split_heads(r, q, wf_int(l, "heads"), wf_int(l, "key_dim"));
    wf_tensor *o = wf_recurrence(r->tape, q, wf_share_heads(r, l, k, "key_dim"), wf_share_heads(r, l, v, "value_dim"), &spec);
    wf_tensor *gate = wf_given(l, "gate") ? wf_project(r, l, "gate", io->x) : NULL;
    io->y = wf_finish_heads(r, l, o, gate, gate ? (wf_activation)wf_activation_by_name(wf_string(l, "gate")) : WF_IDENTITY);
    wf_state_out(r, l, "s", s);
    return WEFT_OK;
}
