/* experts.c - experts behind a routing: rows sorted by expert, two or three grouped products, rows back. */
#include "parts/experts.h"
#include <math.h>

/* act(h), or with a gate act(gate) * up; clamped and shifted as gpt-oss does it: act(alpha min(g, limit)) / alpha * (clamp(u) +
 * shift). */
static wf_tensor *inside(wf_tape *t, wf_tensor *up, wf_tensor *gate, const wf_expert_weights *e) {
    if (e->limit > 0.0f) {
        up = gate ? wf_clamp(t, up, -e->limit, e->limit) : wf_clamp(t, up, -INFINITY, e->limit);
        gate = gate ? wf_clamp(t, gate, -INFINITY, e->limit) : NULL;
    }
    wf_tensor *active = gate ? gate : up;
    if (gate && e->alpha == 1.0f && e->up_shift == 0.0f)
        return wf_gate(t, gate, up, e->activation);
    active = wf_activate(t, e->alpha == 1.0f ? active : wf_scale(t, active, e->alpha), e->activation);
    active = e->alpha == 1.0f ? active : wf_scale(t, active, 1.0f / e->alpha);
    if (!gate)
        return active;
    wf_tensor *y = wf_mul(t, active, up);
    return e->up_shift == 0.0f ? y : wf_add_scaled(t, y, active, e->up_shift);
}

wf_tensor *wf_run_experts(wf_tape *t, wf_tensor *x, wf_tensor *weights, const wf_dispatch *d, const wf_expert_weights *e,
                          bool weigh_input) {
    if (!x)
        return NULL;
    wf_tensor *rows = wf_spread_rows(t, x, weigh_input ? weights : NULL, d);
    wf_tensor *up = wf_grouped_linear(t, rows, e->up, e->up_bias, d),
              *gate = e->gate ? wf_grouped_linear(t, rows, e->gate, e->gate_bias, d) : NULL;
    if (e->gate && !gate)
        return NULL;
    wf_tensor *y = wf_grouped_linear(t, inside(t, up, gate, e), e->down, e->down_bias, d);
    return wf_collect_rows(t, y, weigh_input ? NULL : weights, d, x->dims[0]);
}

wf_tensor *wf_run_feed_forward(wf_tape *t, wf_tensor *x, const wf_expert_weights *e) {
    wf_tensor *up = wf_linear(t, x, e->up, e->up_bias), *gate = e->gate ? wf_linear(t, x, e->gate, e->gate_bias) : NULL;
    if (e->gate && !gate)
        return NULL;
    return wf_linear(t, inside(t, up, gate, e), e->down, e->down_bias);
}
