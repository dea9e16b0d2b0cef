/* moe.c - mixtures of experts by the tokens' choice: Switch, GShard and GLaM, Mixtral, Qwen-MoE, DeepSeek, gpt-oss.
 *   l = Lin(router, x), p = softmax(l) or sigmoid(l); each token goes to its k best experts with weights g (parts/experts.h,
 * tensor/experts.h) y = sum_k g_k expert_k(x) + shared(x) sigmoid(Lin(shared_gate, x)) The router always works in fp32: its
 * choices should not depend on the precision of the rest. */
#include "base/str.h"
#include "mixers/mixer.h"
#include "parts/experts.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"hidden", WF_KEY_INT, "(8*dim//3 + 15) // 16 * 16", 1, NULL, "width inside an expert"},
    {"experts", WF_KEY_INT, "8", 1, NULL, "experts"},
    {"top_k", WF_KEY_INT, "min(2, experts)", 1, NULL, "experts of a token"},
    {"router", WF_KEY_STRING, "'softmax'", 0, "softmax|sigmoid|sparsemixer",
     "what the scores are made of; sparsemixer: phimoe's softmax over the experts near the best"},
    {"gated", WF_KEY_BOOL, "true", 0, NULL, "experts are glu, else mlp"},
    {"activation", WF_KEY_STRING, "'silu'", 0, WF_ACTIVATION_WORDS, "the non-linearity of the experts"},
    {"normalise", WF_KEY_BOOL, "false", 0, NULL, "a token's weights are divided by their norm"},
    {"normalise_order", WF_KEY_FLOAT, "1.0", 1, NULL, "of that norm: 1 is the sum"},
    {"normalise_min", WF_KEY_FLOAT, "0.0", 0, NULL, "the norm is at least this"},
    {"scale", WF_KEY_FLOAT, "1.0", 0, NULL, "of the weights"},
    {"capacity", WF_KEY_INT, "null", 1, NULL,
     "assignments an expert takes per sequence: all first choices by position, then all second; the rest get 0"},
    {"groups", WF_KEY_INT, "null", 1, NULL, "groups of consecutive experts"},
    {"top_groups", WF_KEY_INT, "null", 1, NULL, "groups that a token may choose from; null: all"},
    {"group_score", WF_KEY_STRING, "'top2'", 0, "top2|max", "of a group: the sum of its two best experts, or the best"},
    {"select_bias", WF_KEY_BOOL, "false", 0, NULL, "a bias per expert that moves the choice only; a buffer"},
    {"bias_speed", WF_KEY_FLOAT, "0.0", 0, NULL,
     "how far an update of training moves the select_bias of an expert that has less or more than its share"},
    {"router_bias", WF_KEY_BOOL, "false", 0, NULL, "a bias of the router's projection"},
    {"bias", WF_KEY_BOOL, "false", 0, NULL, "biases of the experts' projections"},
    {"out_bias", WF_KEY_BOOL, "false", 0, NULL, "one bias added to y"},
    {"masked", WF_KEY_BOOL, "false", 0, NULL, "padding goes to no expert: its rows of y are 0"},
    {"shared", WF_KEY_INT, "null", 1, NULL, "width of the shared expert that every token goes to"},
    {"shared_bias", WF_KEY_BOOL, "false", 0, NULL, "biases of its projections"},
    {"shared_gate", WF_KEY_BOOL, "false", 0, NULL, "the shared expert times sigmoid(Lin(shared_gate, x))"},
    {"weigh", WF_KEY_STRING, "'output'", 0, "output|input",
     "what the weights multiply: what comes out of an expert or what goes in"},
    {"limit", WF_KEY_FLOAT, "0.0", 0, NULL,
     "clamps what goes into the non-linearity from above and the other branch on both sides; 0: off"},
    {"alpha", WF_KEY_FLOAT, "1.0", 1e-6, NULL, "the non-linearity of alpha*x, divided by alpha"},
    {"up_shift", WF_KEY_FLOAT, "0.0", 0, NULL, "gated: added to the branch without non-linearity"},
    {"jitter", WF_KEY_FLOAT, "0.0", 0, NULL, "noise on the router's input in training: times 1 +- jitter"},
    {"sparse_jitter", WF_KEY_FLOAT, "0.01", 0, NULL,
     "of sparsemixer: experts further below the best than twice this part leave the softmax"},
    {"aux", WF_KEY_STRING, "'batch'", 0, "sequence|batch",
     "the balance loss: over all tokens, or over each sequence and then averaged"},
    {"aux_joint", WF_KEY_BOOL, "false", 0, NULL, "the losses are taken over the tokens of all such layers together"},
    {"aux_mask", WF_KEY_BOOL, "true", 0, NULL, "padding does not count in the losses"},
    {"aux_weight", WF_KEY_FLOAT, "0.0", 0, NULL, "of the balance loss in the loss of training"},
    {"z_weight", WF_KEY_FLOAT, "0.0", 0, NULL, "of the z-loss, the mean of logsumexp(l)^2"},
    {NULL}};

static const wf_slot slots[] = {
    {"router.weight", "[experts, dim]", "linear", NULL, NULL, false, NULL},
    {"router.bias", "[experts]", "zeros", "router_bias", NULL, false, NULL},
    {"router.select_bias", "[experts]", "zeros", "select_bias", NULL, true, NULL},
    {"experts.gate.weight", "[experts, hidden, dim]", "linear", "gated", NULL, false, NULL},
    {"experts.gate.bias", "[experts, hidden]", "zeros", "gated && bias", NULL, false, NULL},
    {"experts.up.weight", "[experts, hidden, dim]", "linear", NULL, NULL, false, NULL},
    {"experts.up.bias", "[experts, hidden]", "zeros", "bias", NULL, false, NULL},
    {"experts.down.weight", "[experts, dim, hidden]", "linear_out", NULL, NULL, false, NULL},
    {"experts.down.bias", "[experts, dim]", "zeros", "bias", NULL, false, NULL},
    {"bias", "[dim]", "zeros", "out_bias", NULL, false, NULL},
    {"shared.gate.weight", "[shared, dim]", "linear", "shared != null && gated", NULL, false, NULL},
    {"shared.up.weight", "[shared, dim]", "linear", "shared != null", NULL, false, NULL},
    {"shared.down.weight", "[dim, shared]", "linear_out", "shared != null", NULL, false, NULL},
    {"shared.gate.bias", "[shared]", "zeros", "shared != null && gated && shared_bias", NULL, false, NULL},
    {"shared.up.bias", "[shared]", "zeros", "shared != null && shared_bias", NULL, false, NULL},
    {"shared.down.bias", "[dim]", "zeros", "shared != null && shared_bias", NULL, false, NULL},
    {"shared_gate.weight", "[1, dim]", "linear", "shared != null && shared_gate", NULL, false, NULL},
    {NULL}};

/* With one choice the order of the capacity is the order of the tokens, so a sequence can be cut: how much of it is used. */
static const wf_state_slot states[] = {{"used", WF_STATE_FIXED, "[experts]", NULL, "capacity != null && top_k == 1", 0},
                                       {NULL}};

static weft_status check(const wf_layer *l, weft_error *err) {
    int64_t experts = wf_int(l, "experts"), k = wf_int(l, "top_k");
    WF_CHECK(experts <= 4096, err, WEFT_USAGE, "'experts' must be at most 4096");
    WF_CHECK(k <= experts && k <= 256, err, WEFT_USAGE, "'top_k' (%lld) must be at most 256 and the number of experts (%lld)",
             (long long)k, (long long)experts);
    WF_CHECK(!wf_flag(l, "shared_gate") || wf_given(l, "shared"), err, WEFT_USAGE,
             "'shared_gate' needs 'shared', the width of the shared expert");
    WF_CHECK(wf_float(l, "bias_speed") == 0.0 || wf_flag(l, "select_bias"), err, WEFT_USAGE,
             "'bias_speed' needs 'select_bias'");
    WF_CHECK(wf_float(l, "jitter") < 1.0, err, WEFT_USAGE, "'jitter' must be below 1");
    WF_CHECK(!wf_given(l, "top_groups") || wf_given(l, "groups"), err, WEFT_USAGE, "'top_groups' needs 'groups'");
    if (!wf_given(l, "groups"))
        return WEFT_OK;
    int64_t groups = wf_int(l, "groups"), top = wf_given(l, "top_groups") ? wf_int(l, "top_groups") : groups;
    WF_CHECK(groups <= 256 && experts % groups == 0, err, WEFT_USAGE,
             "'groups' (%lld) must be at most 256 and divide the experts (%lld)", (long long)groups, (long long)experts);
    WF_CHECK(top <= groups, err, WEFT_USAGE, "'top_groups' (%lld) must be at most 'groups' (%lld)", (long long)top,
             (long long)groups);
    WF_CHECK(k <= top * (experts / groups), err, WEFT_USAGE, "'top_k' (%lld) is more than the experts of %lld groups",
             (long long)k, (long long)top);
    return WEFT_OK;
}

/* With a capacity a token's outcome depends on those before it; with several choices on all of the sequence. */
static unsigned lost_traits(const wf_layer *l) {
    unsigned lost = WF_PADDING_INERT | WF_PERMUTATION | WF_PER_TOKEN;
    if (!wf_given(l, "capacity"))
        return WF_PADDING_TRACE;
    return wf_int(l, "top_k") > 1 ? lost | WF_CAUSAL : lost;
}

static wf_tensor *router_logits(wf_run *r, const wf_layer *l, wf_tensor *x) {
    x = wf_jitter(r->tape, x, (float)wf_float(l, "jitter"));
    return wf_linear_exact(r->tape, x, wf_weight(r, l, "router.weight"), wf_weight(r, l, "router.bias"));
}

static bool route(wf_run *r, const wf_layer *l, wf_tensor *logits, wf_routing *out) {
    wf_tensor *used = NULL;
    bool streams = wf_given(l, "capacity") && wf_int(l, "top_k") == 1;
    wf_route_spec spec = {.router = wf_string(l, "router"),
                          .top_k = wf_int(l, "top_k"),
                          .group_max = wf_is(l, "group_score", "max"),
                          .normalise = wf_flag(l, "normalise"),
                          .normalise_order = (float)wf_float(l, "normalise_order"),
                          .normalise_min = (float)wf_float(l, "normalise_min"),
                          .scale = (float)wf_float(l, "scale"),
                          .jitter = (float)wf_float(l, "sparse_jitter"),
                          .select_bias = wf_weight(r, l, "router.select_bias")};
    if (wf_given(l, "groups")) {
        spec.groups = wf_int(l, "groups");
        spec.top_groups = wf_given(l, "top_groups") ? wf_int(l, "top_groups") : spec.groups;
    }
    if (wf_given(l, "capacity"))
        spec.capacity = wf_int(l, "capacity");
    if (streams) {
        spec.used_in = wf_state_in(r, l, "used");
        spec.used_out = wf_state_wanted(r) ? &used : NULL;
    }
    bool ok = wf_route(r->tape, logits, &spec, out);
    if (streams)
        wf_state_out(r, l, "used", used);
    return ok;
}

static wf_expert_weights weights_of(wf_run *r, const wf_layer *l) {
    return (wf_expert_weights){.up = wf_weight(r, l, "experts.up.weight"),
                               .gate = wf_weight(r, l, "experts.gate.weight"),
                               .down = wf_weight(r, l, "experts.down.weight"),
                               .up_bias = wf_weight(r, l, "experts.up.bias"),
                               .gate_bias = wf_weight(r, l, "experts.gate.bias"),
                               .down_bias = wf_weight(r, l, "experts.down.bias"),
                               .activation = (wf_activation)wf_activation_by_name(wf_string(l, "activation")),
                               .limit = (float)wf_float(l, "limit"),
                               .alpha = (float)wf_float(l, "alpha"),
                               .up_shift = (float)wf_float(l, "up_shift")};
}

static wf_tensor *shared_expert(wf_run *r, const wf_layer *l, wf_tensor *x) {
    wf_expert_weights e = weights_of(r, l);
    e.up_bias = wf_weight(r, l, "shared.up.bias");
    e.gate_bias = wf_weight(r, l, "shared.gate.bias");
    e.down_bias = wf_weight(r, l, "shared.down.bias");
    e.up = wf_weight(r, l, "shared.up.weight");
    e.gate = wf_weight(r, l, "shared.gate.weight");
    e.down = wf_weight(r, l, "shared.down.weight");
    wf_tensor *y = wf_run_feed_forward(r->tape, x, &e);
    if (!wf_flag(l, "shared_gate"))
        return y;
    wf_tensor *gate = wf_linear_exact(r->tape, x, wf_weight(r, l, "shared_gate.weight"), NULL);
    return wf_scale_rows(r->tape, y, wf_activate(r->tape, gate, WF_SIGMOID));
}

/* Balance without a loss (Wang et al. 2024, arXiv 2408.15664, algorithm 1): b_e += rate sign(mean count - count_e). */
static void balance(wf_param *bias, const wf_buffer_change *change) {
    int64_t experts = bias->count, width = 2 * experts + 2, count = change->count;
    const float *sums = change->from, rate = change->rate;
    double mean = 0.0;
    for (int64_t i = 0; i < count; i++)
        mean += i % width < experts ? (double)sums[i] / (double)experts : 0.0;
    for (int64_t e = 0; e < experts; e++) {
        double own = 0.0;
        for (int64_t g = 0; g < count / width; g++)
            own += (double)sums[g * width + e];
        bias->value[e] += own < mean ? rate : own > mean ? -rate : 0.0f;
    }
}

static void add_losses(wf_run *r, const wf_layer *l, wf_tensor *logits, wf_ports *io) {
    wf_router_losses *out = &io->router;
    out->sums = wf_router_sums(r->tape, logits, io->indices, wf_flag(l, "aux_mask") ? io->mask : NULL, wf_string(l, "router"),
                               wf_is(l, "aux", "sequence"));
    out->joint = wf_flag(l, "aux_joint");
    out->aux_weight = (float)wf_float(l, "aux_weight");
    out->z_weight = (float)wf_float(l, "z_weight");
    if (wf_float(l, "bias_speed") > 0.0)
        wf_move_buffer(r, &(wf_buffer_update){wf_slot_param(l, "router.select_bias"), out->sums, balance,
                                              (float)wf_float(l, "bias_speed"), 1});
    if (out->joint)
        return;
    io->aux_loss = wf_balance_loss(r->tape, out->sums);
    io->z_loss = wf_z_loss(r->tape, out->sums);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_routing routing;
    wf_dispatch d;
    wf_tensor *logits = router_logits(r, l, io->x), *bias = wf_weight(r, l, "bias");
    if (!route(r, l, logits, &routing) || !wf_dispatch_rows(r->tape, &routing, wf_int(l, "experts"), 0, &d))
        return WEFT_OK; /* the tape says why */
    wf_expert_weights experts = weights_of(r, l);
    io->y = wf_run_experts(r->tape, io->x, routing.weights, &d, &experts, wf_is(l, "weigh", "input"));
    if (wf_given(l, "shared"))
        io->y = wf_add(r->tape, io->y, shared_expert(r, l, io->x));
    if (bias)
        io->y = wf_add_rows(r->tape, io->y, bias);
    if (wf_flag(l, "masked"))
        io->y = wf_mask_rows(r->tape, io->y, io->mask);
    io->indices = routing.indices;
    io->weights = routing.weights;
    io->kept = routing.kept;
    io->blocks = d.blocks;
    if (r->want_losses)
        add_losses(r, l, logits, io);
    return WEFT_OK;
}

const wf_mixer wf_mixer_moe = {.name = "moe",
                               .about = "every token through its top_k of many experts, weighed by a router",
                               .source = "Fedus et al. 2022, arXiv 2101.03961; Jiang et al. 2024, arXiv 2401.04088; "
                                         "DeepSeek-AI 2024, arXiv 2412.19437, eq. 12-20",
                               .keys = keys,
                               .slots = slots,
                               .states = states,
                               .inputs = "x mask?",
                               .outputs = "y indices weights kept aux_loss z_loss",
                               .flops = "T*top_k*hidden*dim*(gated ? 6 : 4)",
                               .bf16 = 0.015,
                               .traits =
                                   WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PADDING_TRACE | WF_PERMUTATION | WF_PER_TOKEN,
                               .lost_traits = lost_traits,
                               .streams = "capacity == null || top_k == 1",
                               .check = check,
                               .run = run};
