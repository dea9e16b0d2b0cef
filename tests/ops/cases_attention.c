/* cases_attention.c - cases of attention and its kin, of gates and norms inside mixers, and of experts. */
#include "ops/cases.h"
#include <math.h>
#include "tensor/experts.h"

/* clang-format off */
static wf_tensor *attend(fixture *f, int64_t heads, int64_t groups, wf_attention_spec spec) {
    spec.scale = 0.7f;
    if (spec.left == 0)
        spec.left = spec.right = INT64_MAX;
    return wf_attention(f->tape, leaf4(f, 2, 9, heads, 5), leaf4(f, 2, 9, groups, 5), leaf4(f, 2, 9, groups, 3), &spec);
}
static wf_tensor *attention_plain(fixture *f) { return attend(f, 3, 3, (wf_attention_spec){.causal = true}); }
static wf_tensor *attention_groups(fixture *f) {
    return attend(f, 4, 2, (wf_attention_spec){.softcap = 1.5f, .left = 4, .right = 2, .dropout = 0.2f, .sinks = leaf1(f, 4),
                                               .key_mask = wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){2, 9})});
}
static wf_tensor *attention_t5(fixture *f) {
    return attend(f, 2, 1, (wf_attention_spec){.rel_bias = leaf2(f, 8, 2), .buckets = 8, .max_distance = 20, .bidirectional = true});
}
static wf_tensor *alibi_case(fixture *f) {
    static const float slopes[] = {0.3f, 0.07f, 0.9f};
    return attend(f, 3, 3, (wf_attention_spec){.bias = wf_alibi_keys(f->tape, wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){2, 9}), 9, slopes, 3, 0.5f)});
}
static wf_tensor *attention_bias(fixture *f) { /* one per head, the sequences share it */
    return attend(f, 4, 2, (wf_attention_spec){.causal = true, .bias = leaf4(f, 1, 4, 9, 9)});
}
static wf_tensor *attention_bias_alone(fixture *f) { /* one per sequence, then one for each head of each */
    wf_tensor *y = attend(f, 3, 3, (wf_attention_spec){.softcap = 2, .bias = leaf4(f, 2, 1, 9, 9)});
    return wf_add(f->tape, y, attend(f, 3, 1, (wf_attention_spec){.bias = wf_scale(f->tape, leaf4(f, 2, 3, 9, 9), 2)}));
}
static wf_tensor *kinds_case(fixture *f) {
    wf_kind_spec s = {.q_kinds = ids(f, 2, 6), .k_kinds = ids(f, 2, 9), .keys = 9, .common = 2, .skip = 1};
    return wf_kind_scores(f->tape, leaf4(f, 2, 6, 3, 2), &s);
}
static const int32_t distances[7] = {5, -1, 3, 0, 1, 1, 2};
static wf_tensor *relative_case(fixture *f) {
    wf_relative_spec s = {.queries = 6, .keys = 8, .index = distances, .count = 7, .zero = 3, .scale = 0.7f};
    wf_tensor *y = wf_relative(f->tape, leaf4(f, 2, 6, 3, 5), leaf2(f, 7, 5), &s);
    s.step = 2;
    s.skip = 1;
    y = wf_add(f->tape, y, wf_relative(f->tape, leaf4(f, 2, 6, 3, 5), leaf2(f, 7, 5), &s));
    s.of_keys = true;
    s.step = s.skip = 0;
    return wf_add(f->tape, y, wf_relative(f->tape, leaf4(f, 2, 8, 3, 5), leaf3(f, 7, 3, 5), &s));
}
static wf_tensor *relative_mirrored(fixture *f) {
    static const int32_t every[9] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    wf_relative_spec s = {.queries = 4, .keys = 6, .index = every, .count = 9, .zero = 4, .step = 1, .behind = 1, .mirrored = true, .scale = 0.7f};
    return wf_relative(f->tape, leaf4(f, 2, 4, 3, 5), leaf3(f, 9, 3, 5), &s);
}
static wf_tensor *segment_case(fixture *f) {
    wf_tensor *q = wf_input(f->tape, "segments", WF_I64, 2, (int64_t[]){2, 4}), *k = wf_input(f->tape, "segments", WF_I64, 2, (int64_t[]){2, 6});
    wf_tensor *table = leaf3(f, 2, 3, 5), *x = leaf4(f, 2, 4, 3, 5);
    wf_tensor *y = wf_segment_scores(f->tape, x, table, (wf_tensor *[]){q, k}, 6, 0.7f);
    return wf_add(f->tape, y, wf_segment_scores(f->tape, x, table, (wf_tensor *[]){q, NULL}, 6, 0.3f));
}
static wf_tensor *hide_pairs_case(fixture *f) { /* hidden scores are alike but for the others' weight */
    wf_hide_spec s = {.causal = true, .self = true, .behind = 1, .left = 3};
    wf_tensor *q = leaf4(f, 2, 6, 3, 5), *k = leaf4(f, 2, 6, 3, 5), *bias = wf_hide_pairs(f->tape, leaf4(f, 2, 3, 6, 6), NULL, NULL, &s);
    return wf_attention(f->tape, q, k, k, &(wf_attention_spec){.scale = 0.7f, .left = INT64_MAX, .right = INT64_MAX, .bias = bias});
}
static wf_tensor *map_rows_case(fixture *f) {
    static float map[2 * 3 * 4] = {0.5f, -1, 0, 2, 1, 0, 0, 0.25f, -0.5f, 1, 1, 0, 0, 1, 0, 0, 1, 0, 0.5f, 0, 0, 0, 1, -1};
    wf_tensor *m = wf_constant(f->tape, 3, (int64_t[]){2, 3, 4}, map);
    return wf_time_concat(f->tape, wf_map_rows(f->tape, leaf3(f, 2, 4, 5), m, false), wf_map_rows(f->tape, leaf3(f, 2, 3, 5), m, true));
}
static const int64_t cluster_ends[3] = {3, 5, 9};
static wf_tensor *cluster_softmax_case(fixture *f) { return wf_cluster_softmax(f->tape, leaf3(f, 2, 5, 11), cluster_ends, 3); }
static wf_tensor *keep_keys_case(fixture *f) { /* which are kept does not change with small steps of the inputs */
    wf_keep_spec s = {.heads = 4, .rows = 6, .keep = 3, .causal = true, .left = INT64_MAX, .right = INT64_MAX};
    wf_tensor *bias = wf_keep_keys(f->tape, leaf3(f, 2, 6, 2), NULL, &s);
    wf_tensor *q = leaf4(f, 2, 6, 4, 5), *k = leaf4(f, 2, 6, 2, 5);
    return wf_attention(f->tape, q, k, k, &(wf_attention_spec){.scale = 0.7f, .causal = true, .left = INT64_MAX, .right = INT64_MAX, .bias = bias});
}
static wf_tensor *pair_scores_case(fixture *f) { return wf_pair_scores(f->tape, leaf3(f, 2, 5, 3), leaf3(f, 2, 5, 4)); }
static wf_tensor *retrieve_case(fixture *f) {
    wf_routing routing;
    wf_tensor *x = leaf3(f, 2, 5, 6), *tables[2] = {leaf2(f, 7, 6), leaf2(f, 7, 6)};
    wf_route_spec spec = {.router = "softmax", .top_k = 3, .normalise = true, .normalise_order = 1.0f, .scale = 1.0f};
    if (!wf_route(f->tape, wf_scale(f->tape, leaf3(f, 2, 5, 7), 3.0f), &spec, &routing))
        return NULL;
    return wf_retrieve(f->tape, x, routing.indices, routing.weights, tables, WF_SILU);
}
static wf_tensor *normalise_case(fixture *f) {
    wf_tensor *o = leaf4(f, 2, 7, 3, 4), *q = positive4(f, 2, 7, 3, 5), *k = positive4(f, 2, 7, 3, 5), *z;
    wf_normalise_spec a = {.causal = true, .eps = 0.1f, .z_in = wf_activate(f->tape, leaf3(f, 2, 3, 5), WF_ELU1), .z_out = &z};
    wf_tensor *y = wf_normalise_sum(f->tape, wf_time_slice(f->tape, o, 0, 4), wf_time_slice(f->tape, q, 0, 4), wf_time_slice(f->tape, k, 0, 4), &a);
    wf_normalise_spec b = {.causal = true, .eps_inside = true, .eps = 0.1f, .z_in = z};
    return wf_time_concat(f->tape, y, wf_normalise_sum(f->tape, wf_time_slice(f->tape, o, 4, 3), wf_time_slice(f->tape, q, 4, 3),
                                                       wf_time_slice(f->tape, k, 4, 3), &b));
}
static wf_tensor *normalise_full(fixture *f) {
    wf_normalise_spec a = {.eps = 0.1f};
    return wf_normalise_sum(f->tape, leaf4(f, 2, 4, 2, 3), positive4(f, 2, 4, 2, 5), positive4(f, 2, 6, 2, 5), &a);
}
static wf_tensor *full_linear_case(fixture *f) {
    return wf_full_linear(f->tape, leaf4(f, 2, 4, 3, 5), leaf4(f, 2, 6, 3, 5), leaf4(f, 2, 6, 3, 7));
}
static const float retention_decays[3] = {-0.03f, -0.01f, -0.3f};
static wf_tensor *decay_norm_case(fixture *f) { /* without the clamp the factors do not depend on the inputs */
    return wf_decay_norm(f->tape, leaf4(f, 2, 6, 3, 5), &(wf_decay_norm_spec){.g = retention_decays});
}

static wf_tensor *clamp_case(fixture *f) { return wf_clamp(f->tape, wf_scale(f->tape, leaf2(f, 3, 9), 3.0f), -1.1f, 1.4f); }
static wf_tensor *scale_rows_case(fixture *f) { return wf_scale_rows(f->tape, leaf4(f, 2, 5, 3, 7), leaf3(f, 2, 5, 3)); }
static wf_tensor *scale_rows_shared(fixture *f) { return wf_scale_rows(f->tape, leaf4(f, 2, 50, 3, 7), leaf1(f, 3)); }
static wf_tensor *log_gate_case(fixture *f) { return wf_log_gate(f->tape, wf_scale(f->tape, leaf2(f, 5, 90), 4.0f), 0.0f, 0.3f); }
static wf_tensor *log_gate_low(fixture *f) { return wf_log_gate(f->tape, wf_scale(f->tape, leaf2(f, 5, 90), 4.0f), 0.2f, 1.0f); }
static wf_tensor *grouped_rms(fixture *f) { return wf_rms_norm(f->tape, leaf4(f, 2, 35, 3, 7), leaf1(f, 21), 0.0f, 1e-2f); }
static wf_tensor *grouped_layer(fixture *f) { return wf_layer_norm(f->tape, leaf4(f, 2, 9, 100, 7), leaf1(f, 700), leaf1(f, 700), 0.0f, 1e-2f); }
static wf_tensor *repeat_heads_case(fixture *f) { return wf_repeat_heads(f->tape, leaf4(f, 2, 19, 2, 5), 3); }
static wf_tensor *taylor_case(fixture *f) { return wf_quadratic(f->tape, leaf4(f, 2, 9, 2, 5), true); }
static wf_tensor *quadratic_case(fixture *f) { return wf_quadratic(f->tape, leaf4(f, 2, 9, 2, 5), false); }
static wf_tensor *shift_case(fixture *f) {
    wf_tensor *x = leaf3(f, 2, 7, 5), *s;
    wf_tensor *a = wf_time_shift(f->tape, wf_time_slice(f->tape, x, 0, 6), leaf2(f, 2, 5), &s);
    return wf_time_concat(f->tape, a, wf_time_shift(f->tape, wf_time_slice(f->tape, x, 6, 1), s, NULL));
}
static wf_tensor *favor_case(fixture *f) { return wf_favor(f->tape, leaf4(f, 2, 9, 3, 7), leaf4(f, 2, 9, 3, 5), WF_FAVOR_NONE, 0.1f); }
/* Experts of 12 tokens with two choices each; the third expert has many rows, one has none. */
static wf_tensor *experts_case(fixture *f, const wf_route_spec *spec, bool weigh_input) {
    wf_routing routing;
    wf_dispatch d;
    wf_tensor *x = leaf3(f, 2, 6, 5);
    if (!wf_route(f->tape, wf_scale(f->tape, leaf3(f, 2, 6, 4), 3.0f), spec, &routing) || !wf_dispatch_rows(f->tape, &routing, 4, 0, &d))
        return NULL;
    wf_tensor *rows = wf_spread_rows(f->tape, x, weigh_input ? routing.weights : NULL, &d);
    wf_tensor *y = wf_grouped_linear(f->tape, rows, leaf3(f, 4, 7, 5), leaf2(f, 4, 7), &d);
    return wf_collect_rows(f->tape, y, weigh_input ? NULL : routing.weights, &d, 2);
}
static wf_tensor *experts_softmax(fixture *f) {
    return experts_case(f, &(wf_route_spec){.router = "softmax", .top_k = 2, .scale = 1.5f, .normalise = true, .normalise_order = 2.0f}, false);
}
static wf_tensor *experts_sigmoid(fixture *f) {
    return experts_case(f, &(wf_route_spec){.router = "sigmoid", .top_k = 2, .scale = 1.0f, .normalise = true, .normalise_order = 1.0f, .capacity = 3}, true);
}
static wf_tensor *experts_sparse(fixture *f) {
    return experts_case(f, &(wf_route_spec){.router = "sparsemixer", .top_k = 2, .scale = 1.0f, .normalise_order = 1.0f, .jitter = 1.2f}, false);
}
static wf_tensor *many_experts(fixture *f) { /* several blocks of rows each */
    wf_routing routing;
    wf_dispatch d;
    wf_tensor *x = leaf3(f, 1, 700, 3);
    if (!wf_route(f->tape, leaf3(f, 1, 700, 2), &(wf_route_spec){.router = "softmax", .top_k = 2, .scale = 1.0f, .normalise_order = 1.0f}, &routing) ||
        !wf_dispatch_rows(f->tape, &routing, 2, 0, &d))
        return NULL;
    wf_tensor *y = wf_grouped_linear(f->tape, wf_spread_rows(f->tape, x, NULL, &d), leaf3(f, 2, 64, 3), NULL, &d);
    return wf_collect_rows(f->tape, y, routing.weights, &d, 1);
}
static wf_tensor *sort_case(fixture *f) {
    wf_routing routing;
    wf_dispatch d;
    wf_tensor *x = leaf3(f, 2, 6, 10), *logits = wf_input(f->tape, "logits", WF_F32, 3, (int64_t[]){2, 6, 4}); /* only the order counts */
    if (!wf_route(f->tape, logits, &(wf_route_spec){.router = "softmax", .top_k = 2, .scale = 1.0f, .normalise_order = 1.0f}, &routing) ||
        !wf_dispatch_rows(f->tape, &routing, 4, 0, &d))
        return NULL;
    wf_tensor *rows = wf_grouped_linear(f->tape, wf_sort_rows(f->tape, x, &d), leaf3(f, 4, 7, 5), NULL, &d);
    return wf_unsort_rows(f->tape, rows, &d, 2);
}
static wf_tensor *router_loss(fixture *f, const char *router, bool masked, bool z) {
    wf_routing routing;
    wf_tensor *logits = leaf3(f, 2, 6, 4), *mask = masked ? wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){2, 6}) : NULL;
    if (!wf_route(f->tape, logits, &(wf_route_spec){.router = router, .top_k = 2, .scale = 1.0f, .normalise_order = 1.0f}, &routing))
        return NULL;
    wf_tensor *sums = wf_router_sums(f->tape, logits, routing.indices, mask, router, masked);
    return z ? wf_z_loss(f->tape, sums) : wf_balance_loss(f->tape, sums);
}
static wf_tensor *choose_tokens_case(fixture *f) {
    wf_routing tokens, experts;
    wf_dispatch d;
    wf_tensor *x = leaf3(f, 2, 6, 5), *mask = wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){2, 6});
    if (!wf_choose_tokens(f->tape, wf_scale(f->tape, leaf3(f, 2, 6, 4), 3.0f), mask, 3, &tokens, &experts) || !wf_dispatch_rows(f->tape, &tokens, 4, 24, &d))
        return NULL;
    return wf_collect_rows(f->tape, wf_grouped_linear(f->tape, wf_spread_rows(f->tape, x, NULL, &d), leaf3(f, 4, 5, 5), NULL, &d), tokens.weights, &d, 2);
}
static wf_tensor *turn_repeat_case(fixture *f) {
    wf_dispatch d;
    wf_tensor *x = wf_turn_repeat(f->tape, leaf2(f, 5, 12), 3);
    if (!wf_dispatch_slots(f->tape, 3, 4, 3, &d))
        return NULL;
    return wf_collect_rows(f->tape, wf_grouped_linear(f->tape, wf_spread_rows(f->tape, x, NULL, &d), leaf3(f, 4, 5, 5), NULL, &d), NULL, &d, 3);
}
static wf_tensor *balance_case(fixture *f) { return router_loss(f, "softmax", true, false); }
static wf_tensor *balance_sigmoid(fixture *f) { return router_loss(f, "sigmoid", false, false); }
static wf_tensor *z_case(fixture *f) { return router_loss(f, "softmax", true, true); }
static wf_tensor *jitter_case(fixture *f) { return wf_jitter(f->tape, leaf2(f, 3, 700), 0.3f); }

const op_case wf_op_cases_attention[] = {
    {"normalise_sum", normalise_case, 2e-3}, {"normalise_sum", normalise_full, 2e-3}, {"full_linear", full_linear_case, 2e-3},
    {"decay_norm", decay_norm_case, 2e-3}, {"clamp", clamp_case, 2e-3}, {"scale_rows", scale_rows_case, 2e-3},
    {"scale_rows", scale_rows_shared, 2e-3}, {"log_gate", log_gate_case, 2e-3}, {"log_gate", log_gate_low, 2e-3},
    {"rms_norm", grouped_rms, 4e-3}, {"layer_norm", grouped_layer, 4e-3}, {"repeat_heads", repeat_heads_case, 2e-3},
    {"quadratic", taylor_case, 2e-3}, {"quadratic", quadratic_case, 2e-3}, {"time_shift", shift_case, 2e-3},
    {"favor", favor_case, 4e-3}, {"attention", attention_plain, 2e-3}, {"attention", attention_groups, 2e-3},
    {"attention", attention_t5, 2e-3}, {"attention", attention_bias, 2e-3}, {"attention", attention_bias_alone, 2e-3},
    {"kind_scores", kinds_case, 2e-3}, {"relative", relative_case, 2e-3}, {"alibi_keys", alibi_case, 2e-3}, {"route", experts_softmax, 2e-3},
    {"dispatch", experts_sigmoid, 2e-3}, {"spread_rows", experts_sigmoid, 2e-3}, {"collect_rows", experts_sparse, 2e-3},
    {"sort_rows", sort_case, 2e-3}, {"grouped_linear", many_experts, 2e-3}, {"router_sums", balance_sigmoid, 2e-3},
    {"balance_loss", balance_case, 2e-3}, {"z_loss", z_case, 2e-3}, {"jitter", jitter_case, 2e-3},
    {"choose_tokens", choose_tokens_case, 2e-3}, {"turn_repeat", turn_repeat_case, 2e-3},
    {"relative", relative_mirrored, 2e-3}, {"segment_scores", segment_case, 2e-3}, {"hide_pairs", hide_pairs_case, 2e-3},
    {"map_rows", map_rows_case, 2e-3}, {"cluster_softmax", cluster_softmax_case, 2e-3}, {"keep_keys", keep_keys_case, 2e-3}, {"pair_scores", pair_scores_case, 2e-3}, {"retrieve", retrieve_case, 2e-3},
    {NULL, NULL, 0.0},
};
