/* s4d.c - the diagonal state space S4D (Gu et al. 2022, arXiv 2206.11893, section 3): h_t = A h_{t-1} + B x_t, u_t = 2 Re(C
 * h_t) + d x_t per channel, with A and B from continuous poles and a step size; a gated linear unit after it. References:
 * state-spaces/s4 s4d.py by its kernel, the recurrence in plain torch. */
#include <math.h>
#include "mixers/mixer.h"
#include "parts/init.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"modes", WF_KEY_INT, "32", 1, NULL, "poles per channel, conjugates not counted"},
    {"real", WF_KEY_BOOL, "false", 0, NULL, "real poles"},
    {"discretisation", WF_KEY_STRING, "'zoh'", 0, "zoh|bilinear", "from continuous to discrete poles"},
    {"bidirectional", WF_KEY_BOOL, "false", 0, NULL, "also from the last token to the first, with c_reverse"},
    {0}};

/* Real poles -(n+1). */
static void init_real(float *value, int64_t count, const int64_t *dims, wf_rng rng) {
    (void)rng;
    for (int64_t i = 0; i < count; i++)
        value[i] = logf((float)(i % dims[1] + 1));
}

#define NUMBERS "real ? [dim, modes] : [dim, modes, 2]"
static const wf_slot slots[] = {{"log_dt", "[dim]", "custom", NULL, NULL, false, wf_init_log_steps},
                                {"a_log", "[dim, modes]", "constant:-0.6931472", "!real", NULL, false, NULL},
                                {"a_log", "[dim, modes]", "custom", "real", NULL, false, init_real},
                                {"a_imag", "[dim, modes]", "custom", "!real", NULL, false, wf_init_pole_turns},
                                {"c", NUMBERS, "normal:0.7", NULL, NULL, false, NULL},
                                {"c_reverse", NUMBERS, "normal:0.7", "bidirectional", NULL, false, NULL},
                                {"d", "[dim]", "ones", NULL, NULL, false, NULL},
                                {"o.weight", "[2*dim, dim]", "linear_out", NULL, NULL, false, NULL},
                                {"o.bias", "[2*dim]", "zeros", NULL, NULL, false, NULL},
                                {0}};

static const wf_state_slot states[] = {{"h", WF_STATE_FIXED, NUMBERS, NULL, NULL, 0}, {0}};

static wf_tensor *output_rows(wf_run *r, const wf_layer *l, wf_tensor *u, int64_t first, int64_t count) {
    wf_tape *t = r->tape;
    wf_tensor *w = wf_weight(r, l, "o.weight"), *b = wf_weight(r, l, "o.bias");
    return wf_linear_as(t, u, wf_rows(t, w, first, count), wf_rows(t, b, first, count), WF_F32);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tape *t = r->tape;
    int64_t dim = wf_int(l, "dim");
    wf_tensor *h = NULL, *b, *x = wf_cast(t, wf_mask_rows(t, io->x, io->mask), WF_F32);
    wf_tensor *a = wf_discretise(t, wf_weight(r, l, "log_dt"), wf_weight(r, l, "a_log"), wf_weight(r, l, "a_imag"),
                                 wf_is(l, "discretisation", "bilinear"), &b);
    wf_pole_spec spec = {.skip = wf_weight(r, l, "d"), .h_in = wf_state_in(r, l, "h"), .h_out = wf_state_wanted(r) ? &h : NULL};
    wf_tensor *u = wf_pole_scan(t, x, a, b, wf_weight(r, l, "c"), &spec);
    if (wf_flag(l, "bidirectional"))
        u = wf_add(t, u, wf_pole_scan(t, x, a, b, wf_weight(r, l, "c_reverse"), &(wf_pole_spec){.reverse = true}));
    u = wf_activate(t, u, WF_GELU);
    io->y = wf_gate(t, output_rows(r, l, u, dim, dim), output_rows(r, l, u, 0, dim), WF_SIGMOID);
    wf_state_out(r, l, "h", h);
    return WEFT_OK;
}

const wf_mixer wf_mixer_s4d = {.name = "s4d",
                               .about = "h = A h + B x per channel, A diagonal and constant, u = 2 Re(C h) + d x, gated",
                               .source = "Gu et al. 2022, arXiv 2206.11893, section 3",
                               .keys = keys,
                               .slots = slots,
                               .no_decay = "log_dt|a_log|a_imag",
                               .states = states,
                               .inputs = "x mask?",
                               .outputs = "y",
                               .flops = "16*T*dim*modes*(bidirectional ? 2 : 1)",
                               .bf16 = 0.006,
                               .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT,
                               .companion = "mlp",
                               .run = run};
