/* moa.c - mixture of attention heads: keys and values are shared, each of a token's top_k experts has queries and an output
 * projection of its own (Zhang et al. 2022, arXiv 2210.05144; JetMoE, Shen et al. 2024, arXiv 2404.07413). The router always
 * works in fp32. */
#include "mixers/mixer.h"
#include "parts/rope.h"
#include "tensor/experts.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads of keys and values, and of the queries of one expert"},
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a key and of a value, per head"},
    {"experts", WF_KEY_INT, "8", 1, NULL, "experts"},
    {"top_k", WF_KEY_INT, "min(2, experts)", 1, NULL, "experts of a token"},
    {"causal", WF_KEY_BOOL, "false", 0, NULL, "row i sees rows 0..i"},
    {"rope", WF_KEY_OBJECT, "null", 0, "['theta', 10000.0, 'dim', key_dim, 'pairing', 'half', 'scaling', null]",
     "rotary positions {theta, dim, pairing, scaling}"},
    {"scale", WF_KEY_FLOAT, "pow(key_dim, -0.5)", 0, NULL, "of the scores"},
    {"out_bias", WF_KEY_BOOL, "false", 0, NULL, "one bias added to y"},
    {"aux_joint", WF_KEY_BOOL, "false", 0, NULL, "the balance loss is taken over the tokens of all such layers together"},
    {"aux_mask", WF_KEY_BOOL, "true", 0, NULL, "padding does not count in it"},
    {"aux_weight", WF_KEY_FLOAT, "0.0", 0, NULL, "of the balance loss in the loss of training"},
    {NULL}};

static const wf_slot slots[] = {{"router.weight", "[experts, dim]", "linear", NULL, NULL, false, NULL},
                                {"q.weight", "[experts, heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"k.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"v.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"o.weight", "[experts, dim, heads*key_dim]", "linear_out", NULL, NULL, false, NULL},
                                {"o.bias", "[dim]", "zeros", "out_bias", NULL, false, NULL},
                                {NULL}};

static const wf_state_slot states[] = {{"k", WF_STATE_APPEND, "[heads, key_dim]", NULL, NULL, 0},
                                       {"v", WF_STATE_APPEND, "[heads, key_dim]", NULL, NULL, 0},
                                       {NULL}};

static weft_status check(const wf_layer *l, weft_error *err) {
    int64_t experts = wf_int(l, "experts"), k = wf_int(l, "top_k");
    WF_CHECK(experts <= 4096 && k <= experts && k <= 256, err, WEFT_USAGE,
             "'top_k' (%lld) must be at most 256 and the number of experts (%lld, at most 4096)", (long long)k,
             (long long)experts);
    return wf_given(l, "rope") ? wf_rope_check(l->mem, wf_get(l, "rope")->object, wf_int(l, "key_dim"), err) : WEFT_OK;
}

/* Rows of n x m heads in the order of the other index: [B,T,n*m,width] from [B,T,..]. */
static wf_tensor *reorder(wf_run *r, const wf_layer *l, wf_tensor *x, int64_t n, int64_t m) {
    int64_t width = wf_int(l, "key_dim"), rows = r->batch * r->rows;
    x = x ? wf_swap_rows(r->tape, wf_reshape(r->tape, x, 4, (int64_t[]){rows, n, m, width})) : NULL;
    return x ? wf_reshape(r->tape, x, 4, (int64_t[]){r->batch, r->rows, n * m, width}) : NULL;
}

static void add_losses(wf_run *r, const wf_layer *l, wf_tensor *logits, wf_tensor *indices, wf_ports *io) {
    wf_router_losses *out = &io->router;
    out->sums = wf_router_sums(r->tape, logits, indices, wf_flag(l, "aux_mask") ? io->mask : NULL, "softmax", false);
    out->joint = wf_flag(l, "aux_joint");
    out->aux_weight = (float)wf_float(l, "aux_weight");
    if (!out->joint)
        io->aux_loss = wf_balance_loss(r->tape, out->sums);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    int64_t heads = wf_int(l, "heads"), top = wf_int(l, "top_k"), width = wf_int(l, "key_dim");
    wf_tape *t = r->tape;
    wf_routing routing;
    wf_dispatch d;
    wf_route_spec how = {.router = "softmax", .top_k = top, .normalise = true, .normalise_order = 1.0f, .scale = 1.0f};
    wf_tensor *logits = wf_linear_exact(t, io->x, wf_weight(r, l, "router.weight"), NULL), *bias = wf_weight(r, l, "o.bias");
    if (!wf_route(t, logits, &how, &routing) || !wf_dispatch_rows(t, &routing, wf_int(l, "experts"), 0, &d))
        return WEFT_OK; /* the tape says why */
    wf_tensor *q = wf_grouped_linear(t, wf_spread_rows(t, io->x, NULL, &d), wf_weight(r, l, "q.weight"), NULL, &d);
    q = wf_turn_heads(r, l, reorder(r, l, wf_unsort_rows(t, q, &d, r->batch), top, heads), io);
    wf_tensor *k = wf_turn_heads(r, l, wf_split_heads(r, wf_project(r, l, "k", io->x), heads, width), io);
    wf_tensor *v = wf_split_heads(r, wf_project(r, l, "v", io->x), heads, width);
    wf_attention_spec spec = {.scale = (float)wf_float(l, "scale"),
                              .causal = wf_flag(l, "causal"),
                              .left = INT64_MAX,
                              .right = INT64_MAX,
                              .key_mask = io->mask};
    wf_tensor *o = wf_merge_heads(r, reorder(r, l, wf_attend(r, l, q, k, v, &spec), heads, top));
    o = wf_grouped_linear(t, wf_sort_rows(t, o, &d), wf_weight(r, l, "o.weight"), NULL, &d);
    io->y = wf_collect_rows(t, o, routing.weights, &d, r->batch);
    if (bias)
        io->y = wf_add_rows(t, io->y, bias);
    if (r->want_losses)
        add_losses(r, l, logits, routing.indices, io);
    return WEFT_OK;
}

const wf_mixer wf_mixer_moa = {.name = "moa",
                               .about =
                                   "softmax attention whose queries and output projections are experts, chosen by a router",
                               .source = "Zhang et al. 2022, arXiv 2210.05144; Shen et al. 2024, arXiv 2404.07413",
                               .keys = keys,
                               .slots = slots,
                               .states = states,
                               .inputs = "x mask? positions?",
                               .outputs = "y aux_loss",
                               .time = "T*T",
                               .flops = "T*top_k*heads*key_dim*(4*dim + 4*(causal ? (T + 1) / 2 : T))",
                               .bf16 = 0.012,
                               .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PERMUTATION,
                               .companion = "glu",
                               .check = check,
                               .run = run};
