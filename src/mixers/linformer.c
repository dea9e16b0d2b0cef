/* linformer.c - attention to `rank` mixtures of the rows instead of the rows. Wang et al. 2020 (arXiv 2006.04768, eq. 7). */
#include <math.h>
#include "mixers/mixer.h"

static const wf_key keys[] = {
    WF_QKVO_KEYS,
    {"bias", WF_KEY_LIST, "['o']", 0, NULL, "projections with a bias, of q k v o"},
    {"max_len", WF_KEY_INT, NULL, 1, NULL, "most rows of a sequence; shorter ones use the first rows of the projections"},
    {"rank", WF_KEY_INT, NULL, 1, NULL, "mixtures"},
    {"headwise", WF_KEY_BOOL, "false", 0, NULL, "projections of their own for every head"},
    {"share_proj", WF_KEY_BOOL, "false", 0, NULL, "values are mixed as keys are"},
    {"share_kv", WF_KEY_BOOL, "false", 0, NULL, "values are the keys"},
    {NULL}};

#define MIXTURE "headwise ? [heads, max_len, rank] : [max_len, rank]"
static const wf_slot slots[] = {{"q.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"q.bias", "[heads*key_dim]", "zeros", "has(bias, 'q')", NULL, false, NULL},
                                {"k.weight", "[kv_heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},
                                {"k.bias", "[kv_heads*key_dim]", "zeros", "has(bias, 'k')", NULL, false, NULL},
                                {"v.weight", "[kv_heads*value_dim, dim]", "linear", "!share_kv", NULL, false, NULL},
                                {"v.bias", "[kv_heads*value_dim]", "zeros", "!share_kv && has(bias, 'v')", NULL, false, NULL},
                                {"o.weight", "[dim, heads*value_dim]", "linear_out", NULL, NULL, false, NULL},
                                {"o.bias", "[dim]", "zeros", "has(bias, 'o')", NULL, false, NULL},
                                {"proj_k", MIXTURE, "linear", NULL, NULL, false, NULL},
                                {"proj_v", MIXTURE, "linear", "!share_proj && !share_kv", NULL, false, NULL},
                                {NULL}};

static weft_status check(const wf_layer *l, weft_error *err) {
    WF_CHECK(!wf_flag(l, "share_kv") || wf_int(l, "key_dim") == wf_int(l, "value_dim"), err, WEFT_USAGE,
             "'share_kv' needs value_dim = key_dim");
    return wf_check_qkvo(l, err);
}

/* One mixture for all heads mixes them as one wide head. */
static wf_tensor *mix(wf_run *r, wf_tensor *x, wf_tensor *matrix) {
    if (!x || !matrix || matrix->rank == 3)
        return wf_time_project(r->tape, x, matrix);
    wf_tensor *wide = wf_time_project(r->tape, wf_split_heads(r, wf_merge_heads(r, x), 1, x->dims[2] * x->dims[3]),
                                      wf_reshape(r->tape, matrix, 3, (int64_t[]){1, matrix->dims[0], matrix->dims[1]}));
    return wide ? wf_split_heads(r, wf_merge_heads(r, wide), x->dims[2], x->dims[3]) : NULL;
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    if (r->rows > wf_int(l, "max_len"))
        wf_tape_error(r->tape, WEFT_USAGE, "%s: linformer: %lld rows are more than 'max_len' (%lld)", l->where,
                      (long long)r->rows, (long long)wf_int(l, "max_len"));
    wf_tensor *q = wf_project_heads(r, l, "q", io->x), *k = wf_mask_rows(r->tape, wf_project_heads(r, l, "k", io->x), io->mask),
              *v = k;
    wf_tensor *proj_k = wf_weight(r, l, "proj_k"), *proj_v = wf_weight(r, l, "proj_v");
    if (!wf_flag(l, "share_kv"))
        v = wf_mask_rows(r->tape, wf_project_heads(r, l, "v", io->x), io->mask);
    k = mix(r, k, proj_k);
    v = v == k ? k : mix(r, v, proj_v ? proj_v : proj_k);
    wf_attention_spec spec = {.scale = 1.0f / sqrtf((float)wf_int(l, "key_dim")),
                              .left = INT64_MAX,
                              .right = INT64_MAX,
                              .dropout = r->attention_dropout};
    io->y = wf_project(r, l, "o", wf_merge_heads(r, wf_attention(r->tape, q, k, v, &spec)));
    return WEFT_OK;
}

const wf_mixer wf_mixer_linformer = {
    .name = "linformer",
    .about = "softmax over learned mixtures of the rows",
    .source = "Wang et al. 2020, arXiv 2006.04768, eq. 7",
    .keys = keys,
    .slots = slots,
    .inputs = "x mask?",
    .outputs = "y",
    .example = "{\"heads\": \"=dim // 32\", \"max_len\": \"=context\", \"rank\": \"=min(32, context)\"}",
    .flops = "T*rank*(2*(kv_heads + heads)*key_dim + 2*(kv_heads + heads)*value_dim)",
    .bf16 = 0.01,
    .traits = WF_PADDING_INERT,
    .companion = "mlp",
    .check = check,
    .run = run};
