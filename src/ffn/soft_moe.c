/* soft_moe.c - soft mixtures of experts (Puigcerver et al. 2024, arXiv 2308.00951, eq. 1-3 and section 2.3): z = x slots; a
 * slot's input is the mean of the tokens under softmax over tokens, its expert maps it, and a token gets the slots back under
 * softmax over slots. Both means are attention: of the slots to the tokens, and of the tokens to the slots, with scores z. */
#include <math.h>
#include "mixers/mixer.h"
#include "parts/experts.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"hidden", WF_KEY_INT, "(8*dim//3 + 15) // 16 * 16", 1, NULL, "width inside an expert"},
    {"experts", WF_KEY_INT, "8", 1, NULL, "experts"},
    {"slots", WF_KEY_INT, "1", 1, NULL, "slots of an expert"},
    {"gated", WF_KEY_BOOL, "true", 0, NULL, "experts are glu, else mlp"},
    {"activation", WF_KEY_STRING, "'silu'", 0, WF_ACTIVATION_WORDS, "the non-linearity of the experts"},
    {"normed", WF_KEY_BOOL, "false", 0, NULL, "tokens and slots have length 1 in the scores, times a learned scale"},
    {NULL}};

static const wf_slot slots[] = {{"slots", "[dim, experts*slots]", "linear", NULL, NULL, false, NULL},
                                {"scale", "[1]", "ones", "normed", NULL, false, NULL},
                                {"experts.gate.weight", "[experts, hidden, dim]", "linear", "gated", NULL, false, NULL},
                                {"experts.up.weight", "[experts, hidden, dim]", "linear", NULL, NULL, false, NULL},
                                {"experts.down.weight", "[experts, dim, hidden]", "linear_out", NULL, NULL, false, NULL},
                                {NULL}};

static weft_status check(const wf_layer *l, weft_error *err) {
    WF_CHECK(wf_int(l, "experts") <= 4096 && wf_int(l, "experts") * wf_int(l, "slots") <= 1 << 20, err, WEFT_USAGE,
             "'experts' must be at most 4096, with at most 2^20 slots together");
    return WEFT_OK;
}

/* x / |x| by rows: RMS norm without its factor sqrt(n). */
static wf_tensor *unit(wf_tape *t, wf_tensor *x) {
    return x ? wf_scale(t, wf_rms_norm(t, x, NULL, 0.0f, 1e-24f), 1.0f / sqrtf((float)wf_dim(x, -1))) : NULL;
}

static wf_tensor *one_head(wf_run *r, wf_tensor *x) { return x ? wf_split_heads(r, x, 1, wf_dim(x, -1)) : NULL; }

static wf_tensor *mean(wf_run *r, wf_tensor *q, wf_tensor *k, wf_tensor *v, wf_tensor *mask) {
    const wf_attention_spec spec = {.scale = 1.0f, .left = INT64_MAX, .right = INT64_MAX, .key_mask = mask};
    return wf_merge_heads(r, wf_attention(r->tape, one_head(r, q), one_head(r, k), one_head(r, v), &spec));
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tape *t = r->tape;
    wf_dispatch d;
    int64_t experts = wf_int(l, "experts");
    wf_tensor *slot = wf_turn_repeat(t, wf_weight(r, l, "slots"), r->batch), *x = io->x;
    if (wf_flag(l, "normed")) {
        slot = wf_scale_rows(t, unit(t, slot), wf_weight(r, l, "scale"));
        x = unit(t, x);
    }
    wf_tensor *in = mean(r, slot, x, io->x, io->mask);
    if (!in || !wf_dispatch_slots(t, r->batch, experts, wf_int(l, "slots"), &d))
        return WEFT_OK; /* the tape says why */
    wf_expert_weights e = {.up = wf_weight(r, l, "experts.up.weight"),
                           .gate = wf_weight(r, l, "experts.gate.weight"),
                           .down = wf_weight(r, l, "experts.down.weight"),
                           .alpha = 1.0f,
                           .activation = (wf_activation)wf_activation_by_name(wf_string(l, "activation"))};
    io->y = wf_cast(t, mean(r, x, slot, wf_run_experts(t, in, NULL, &d, &e, false), NULL), WF_F32);
    return WEFT_OK;
}

const wf_mixer wf_mixer_soft_moe = {.name = "soft_moe",
                                    .about =
                                        "experts on weighted means of the tokens; every token a weighted mean of what they say",
                                    .source = "Puigcerver et al. 2024, arXiv 2308.00951, eq. 1-3",
                                    .keys = keys,
                                    .slots = slots,
                                    .inputs = "x mask?",
                                    .outputs = "y",
                                    .flops = "experts*slots*(hidden*dim*(gated ? 6 : 4) + 8*T*dim)",
                                    .bf16 = 0.01,
                                    .traits = WF_PADDING_INERT | WF_PERMUTATION,
                                    .check = check,
                                    .run = run};
