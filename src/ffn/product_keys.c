/* product_keys.c - many experts of one hidden unit, found by product keys, beside a gated layer for every token (PEER, He 2024,
 * arXiv 2407.04153, section 2; the cross domain experts of Doge, Shi et al. 2024, arXiv 2412.11834): with K keys on each of two
 * sides, s_(a,b) = u_a + v_b, [u, v] = Lin(router, x), expert e = a K + b; a token's k best have the weights softmax(s).
 *   y = glu(x) + sum_k g_k act(x . down_e) up_e */
#include "base/str.h"
#include "mixers/mixer.h"
#include "tensor/experts.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"hidden", WF_KEY_INT, "(8*dim//3 + 15) // 16 * 16", 1, NULL, "width inside the layer for every token"},
    {"keys", WF_KEY_INT, "8", 1, NULL, "keys on each side; experts are their pairs"},
    {"experts", WF_KEY_INT, "keys * keys", 1, NULL, "rows of the tables of experts; those behind the pairs are never found"},
    {"top_k", WF_KEY_INT, "min(8, keys * keys)", 1, NULL, "experts of a token"},
    {"activation", WF_KEY_STRING, "'silu'", 0, WF_ACTIVATION_WORDS, "the non-linearity of all"},
    {"bias", WF_KEY_BOOL, "false", 0, NULL, "biases of the layer for every token"},
    {"whole", WF_KEY_BOOL, "false", 0, NULL,
     "the scores of all tokens in a row are cut in two halves, one for each side, instead of those of each token (Doge); while "
     "decoding each token has its own"},
    {"aux_weight", WF_KEY_FLOAT, "0.0", 0, NULL,
     "of the balance loss, over the tokens of all such layers, in the loss of training"},
    {NULL}};

static const wf_slot slots[] = {{"router.weight", "[2*keys, dim]", "linear", NULL, NULL, false, NULL},
                                {"gate.weight", "[hidden, dim]", "linear", NULL, NULL, false, NULL},
                                {"gate.bias", "[hidden]", "zeros", "bias", NULL, false, NULL},
                                {"up.weight", "[hidden, dim]", "linear", NULL, NULL, false, NULL},
                                {"up.bias", "[hidden]", "zeros", "bias", NULL, false, NULL},
                                {"down.weight", "[dim, hidden]", "linear_out", NULL, NULL, false, NULL},
                                {"down.bias", "[dim]", "zeros", "bias", NULL, false, NULL},
                                {"experts.down", "[experts, dim]", "table:0.02", NULL, NULL, false, NULL},
                                {"experts.up", "[experts, dim]", "table:0.02", NULL, NULL, false, NULL},
                                {NULL}};

static weft_status check(const wf_layer *l, weft_error *err) {
    int64_t n = wf_int(l, "keys"), k = wf_int(l, "top_k");
    WF_CHECK(n <= 1024, err, WEFT_USAGE, "'keys' must be at most 1024");
    WF_CHECK(wf_int(l, "experts") >= n * n, err, WEFT_USAGE, "'experts' (%lld) are fewer than the pairs of %lld keys",
             (long long)wf_int(l, "experts"), (long long)n);
    WF_CHECK(k <= n * n && k <= 256, err, WEFT_USAGE, "'top_k' (%lld) must be at most 256 and the number of pairs (%lld)",
             (long long)k, (long long)(n * n));
    return WEFT_OK;
}

/* A row of scores holds numbers of other tokens. */
static unsigned lost_traits(const wf_layer *l) {
    unsigned all = WF_CAUSAL | WF_PADDING_INERT | WF_PERMUTATION | WF_PER_TOKEN;
    return wf_flag(l, "whole") ? all : WF_PADDING_TRACE;
}

static wf_tensor *scores(wf_run *r, const wf_layer *l, wf_tensor *x) {
    wf_tensor *z = wf_linear_exact(r->tape, x, wf_weight(r, l, "router.weight"), NULL);
    int64_t n = wf_int(l, "keys"), rows = r->batch * r->rows;
    if (!z || !wf_flag(l, "whole") || r->mode != WF_NO_STATE)
        return wf_pair_scores(r->tape, wf_slice_channels(r->tape, z, 0, n), wf_slice_channels(r->tape, z, n, n));
    z = wf_reshape(r->tape, z, 2, (int64_t[]){2 * rows, n});
    z = wf_pair_scores(r->tape, wf_rows(r->tape, z, 0, rows), wf_rows(r->tape, z, rows, rows));
    return z ? wf_reshape(r->tape, z, 3, (int64_t[]){r->batch, r->rows, n * n}) : NULL;
}

static wf_activation activation(const wf_layer *l) { return (wf_activation)wf_activation_by_name(wf_string(l, "activation")); }

/* Sums of the router in which an expert's share is of all choices, not of all tokens: over its k. */
static wf_tensor *share_sums(wf_run *r, const wf_layer *l, wf_tensor *z, wf_tensor *indices, wf_tensor *mask) {
    wf_tensor *sums = wf_router_sums(r->tape, z, indices, mask, "softmax", false);
    int64_t experts = wf_int(l, "keys") * wf_int(l, "keys"), count = 2 * experts + 2;
    float *scale = wf_arena_alloc(wf_tape_arena(r->tape), (size_t)count * sizeof *scale);
    for (int64_t i = 0; scale && i < count; i++)
        scale[i] = i < experts ? 1.0f / (float)wf_int(l, "top_k") : 1.0f;
    return scale ? wf_mul_rows(r->tape, sums, wf_constant(r->tape, 1, &count, scale))
                 : wf_tape_error(r->tape, WEFT_NO_MEMORY, "out of memory");
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_routing routing;
    wf_tensor *z = scores(r, l, io->x);
    wf_route_spec spec = {
        .router = "softmax", .top_k = wf_int(l, "top_k"), .normalise = true, .normalise_order = 1.0f, .scale = 1.0f};
    if (!wf_route(r->tape, z, &spec, &routing))
        return WEFT_OK; /* the tape says why */
    wf_tensor *tables[2] = {wf_weight(r, l, "experts.down"), wf_weight(r, l, "experts.up")};
    wf_tensor *found = wf_retrieve(r->tape, io->x, routing.indices, routing.weights, tables, activation(l));
    wf_tensor *h = wf_gate(r->tape, wf_project(r, l, "gate", io->x), wf_project(r, l, "up", io->x), activation(l));
    io->y = wf_add(r->tape, found, wf_project(r, l, "down", h));
    io->indices = routing.indices;
    io->weights = routing.weights;
    if (r->want_losses)
        io->router = (wf_router_losses){.sums = share_sums(r, l, z, routing.indices, io->mask),
                                        .joint = true,
                                        .aux_weight = (float)wf_float(l, "aux_weight")};
    return WEFT_OK;
}

const wf_mixer wf_mixer_product_keys = {.name = "product_keys",
                                        .about = "many experts of one hidden unit found by product keys, beside a gated layer",
                                        .source = "He 2024, arXiv 2407.04153, section 2; Shi et al. 2024, arXiv 2412.11834",
                                        .keys = keys,
                                        .slots = slots,
                                        .inputs = "x mask?",
                                        .outputs = "y indices weights",
                                        .flops = "T*top_k*4*dim",
                                        .bf16 = 0.008,
                                        .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PADDING_TRACE |
                                                  WF_PERMUTATION | WF_PER_TOKEN,
                                        .lost_traits = lost_traits,
                                        .streams = "!whole",
                                        .check = check,
                                        .run = run};
