/* expert_choice.c - mixtures where the experts choose (Zhou et al. 2022, arXiv 2202.09368, eq. 1-4): p = softmax(Lin(router,
 * x)) over the experts; expert e takes the `capacity` tokens of a sequence with the largest p_e; y_t = sum p_te expert_e(x_t)
 * over those that took t. */
#include "mixers/mixer.h"
#include "parts/experts.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"hidden", WF_KEY_INT, "(8*dim//3 + 15) // 16 * 16", 1, NULL, "width inside an expert"},
    {"experts", WF_KEY_INT, "8", 1, NULL, "experts"},
    {"capacity", WF_KEY_INT, NULL, 1, NULL, "tokens of an expert per sequence; all of a shorter one"},
    {"gated", WF_KEY_BOOL, "true", 0, NULL, "experts are glu, else mlp"},
    {"activation", WF_KEY_STRING, "'silu'", 0, WF_ACTIVATION_WORDS, "the non-linearity of the experts"},
    {NULL}};

static const wf_slot slots[] = {{"router.weight", "[experts, dim]", "linear", NULL, NULL, false, NULL},
                                {"experts.gate.weight", "[experts, hidden, dim]", "linear", "gated", NULL, false, NULL},
                                {"experts.up.weight", "[experts, hidden, dim]", "linear", NULL, NULL, false, NULL},
                                {"experts.down.weight", "[experts, dim, hidden]", "linear_out", NULL, NULL, false, NULL},
                                {NULL}};

static weft_status check(const wf_layer *l, weft_error *err) {
    WF_CHECK(wf_int(l, "experts") <= 4096, err, WEFT_USAGE, "'experts' must be at most 4096");
    return WEFT_OK;
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    int64_t experts = wf_int(l, "experts"), capacity = wf_int(l, "capacity"), most = capacity < r->rows ? capacity : r->rows;
    wf_routing routing, chosen;
    wf_dispatch d;
    wf_tensor *logits = wf_linear_exact(r->tape, io->x, wf_weight(r, l, "router.weight"), NULL);
    if (!wf_choose_tokens(r->tape, logits, io->mask, capacity, &routing, &chosen) ||
        !wf_dispatch_rows(r->tape, &routing, experts, r->batch * experts * most, &d))
        return WEFT_OK; /* the tape says why */
    wf_expert_weights e = {.up = wf_weight(r, l, "experts.up.weight"),
                           .gate = wf_weight(r, l, "experts.gate.weight"),
                           .down = wf_weight(r, l, "experts.down.weight"),
                           .alpha = 1.0f,
                           .activation = (wf_activation)wf_activation_by_name(wf_string(l, "activation"))};
    io->y = wf_run_experts(r->tape, io->x, routing.weights, &d, &e, false);
    io->indices = chosen.indices;
    io->weights = chosen.weights;
    return WEFT_OK;
}

const wf_mixer wf_mixer_expert_choice = {.name = "expert_choice",
                                         .about = "every expert takes the tokens it scores highest",
                                         .source = "Zhou et al. 2022, arXiv 2202.09368, eq. 1-4",
                                         .keys = keys,
                                         .slots = slots,
                                         .inputs = "x mask?",
                                         .outputs = "y indices weights",
                                         .example = "{\"hidden\": \"=hidden\", \"capacity\": \"=max(1, context // 4)\"}",
                                         .time = "T",
                                         .flops = "min(T, capacity)*experts*hidden*dim*(gated ? 6 : 4)",
                                         .bf16 = 0.015,
                                         .traits = WF_PADDING_INERT | WF_PERMUTATION,
                                         .check = check,
                                         .run = run};
