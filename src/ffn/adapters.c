/* adapters.c - several small feed-forward networks, of which each token takes one: that of its language (X-MOD, Pfeiffer et al.
 * 2022, arXiv 2205.06266, section 3). Which one comes from outside, as `variants`. */
#include "parts/experts.h"
#include "mixers/mixer.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"names", WF_KEY_LIST, NULL, 0, NULL, "what the adapters are for, one name each"},
    {"hidden", WF_KEY_INT, "(dim + 1) // 2", 1, NULL, "width inside an adapter"},
    {"default", WF_KEY_INT, "null", 0, NULL, "number of the adapter for tokens of which nobody says it"},
    {"activation", WF_KEY_STRING, "'gelu'", 0, WF_ACTIVATION_WORDS, "the non-linearity"},
    {NULL}};

static const wf_slot slots[] = {{"up.weight", "[len(names), hidden, dim]", "linear", NULL, NULL, false, NULL},
                                {"up.bias", "[len(names), hidden]", "zeros", NULL, NULL, false, NULL},
                                {"down.weight", "[len(names), dim, hidden]", "linear_out", NULL, NULL, false, NULL},
                                {"down.bias", "[len(names), dim]", "zeros", NULL, NULL, false, NULL},
                                {NULL}};

static weft_status check(const wf_layer *l, weft_error *err) {
    const wf_value *names = wf_get(l, "names");
    WF_CHECK(names->count > 0 && names->count <= 4096, err, WEFT_USAGE, "'names' must list 1 to 4096 adapters");
    for (size_t i = 0; i < names->count; i++)
        WF_CHECK(names->items[i].type == WF_STRING, err, WEFT_USAGE, "'names' must be a list of strings");
    WF_CHECK(!wf_given(l, "default") || wf_int(l, "default") < (int64_t)names->count, err, WEFT_USAGE,
             "'default' must be one of the %zu adapters", names->count);
    return WEFT_OK;
}

static wf_expert_weights weights_of(const wf_run *r, const wf_layer *l) {
    return (wf_expert_weights){.up = wf_weight(r, l, "up.weight"),
                               .down = wf_weight(r, l, "down.weight"),
                               .up_bias = wf_weight(r, l, "up.bias"),
                               .down_bias = wf_weight(r, l, "down.bias"),
                               .activation = (wf_activation)wf_activation_by_name(wf_string(l, "activation")),
                               .alpha = 1.0f};
}

/* Adapter i of weights [E,m,n] or [E,m]: [m,n] or [m]. */
static wf_tensor *one_of(const wf_run *r, wf_tensor *w, int64_t i) {
    int64_t rows = w ? w->dims[1] : 0, count = w && w->rank == 3 ? w->dims[2] : 1;
    if (!w)
        return NULL;
    wf_tensor *flat = wf_reshape(r->tape, w, w->rank - 1, (int64_t[]){w->dims[0] * rows, count});
    return wf_rows(r->tape, flat, i * rows, rows);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_expert_weights e = weights_of(r, l);
    wf_dispatch d;
    if (io->variants) {
        wf_tensor *ids = wf_reshape(r->tape, io->variants, 3, (int64_t[]){r->batch, r->rows, 1});
        if (wf_dispatch_rows(r->tape, &(wf_routing){.indices = ids}, (int64_t)wf_get(l, "names")->count, 0, &d))
            io->y = wf_run_experts(r->tape, io->x, NULL, &d, &e, false);
        return WEFT_OK;
    }
    if (!wf_given(l, "default")) {
        wf_tape_error(r->tape, WEFT_USAGE, "%s: nothing says which adapter a sequence takes: there is no 'default'", l->where);
        return WEFT_OK;
    }
    wf_tensor **const parts[] = {&e.up, &e.down, &e.up_bias, &e.down_bias};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        *parts[i] = one_of(r, *parts[i], wf_int(l, "default"));
    io->y = wf_run_feed_forward(r->tape, io->x, &e);
    return WEFT_OK;
}

/* Without a default nothing runs that nobody has chosen for. */
const wf_mixer wf_mixer_adapters = {.name = "adapters",
                                    .about = "down(act(up(x))) with the weights of the adapter that a token asks for",
                                    .source = "Pfeiffer et al. 2022, arXiv 2205.06266, section 3",
                                    .keys = keys,
                                    .slots = slots,
                                    .inputs = "x variants?",
                                    .outputs = "y",
                                    .example = "{\"names\": [\"en\", \"de\"], \"hidden\": \"=hidden\", \"default\": 0}",
                                    .flops = "4*T*dim*hidden",
                                    .bf16 = 0.012,
                                    .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PERMUTATION | WF_PER_TOKEN,
                                    .check = check,
                                    .run = run};
