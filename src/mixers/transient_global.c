/* transient_global.c - a window and one key per block of rows: the sum of the block, normed, through the same projections. Guo
 * et al. 2021 (arXiv 2112.07916, section 3.2). Rows behind the last full block belong to it. */
#include <math.h>
#include "mixers/mixer.h"

static const wf_key keys[] = {WF_QKVO_KEYS,
                              {"bias", WF_KEY_LIST, "[]", 0, NULL, "projections with a bias, of q k v o"},
                              {"scale", WF_KEY_FLOAT, "pow(key_dim, -0.5)", 0, NULL, "of the scores"},
                              {"window", WF_KEY_LIST, NULL, 0, NULL, "[left, right] keys visible beside row i, inclusive"},
                              {"block", WF_KEY_INT, NULL, 1, NULL, "rows of a block"},
                              {"t5_bias", WF_KEY_OBJECT, "null", 0,
                               "['buckets', 32, 'max_distance', 128, 'bidirectional', true]",
                               "learned biases by distance, of rows and of blocks {buckets, max_distance, bidirectional}"},
                              {"norm_eps", WF_KEY_FLOAT, "1e-6", 0, NULL, "of the RMS norm of the sums"},
                              {NULL}};

static const wf_slot slots[] = {
    WF_QKVO_SLOTS,
    {"global_norm.weight", "[dim]", "ones", NULL, NULL, false, NULL},
    {"rel_bias.weight", "[t5_bias.buckets ?? 32, heads]", "table:0.02", "t5_bias != null", NULL, false, NULL},
    {"global_bias.weight", "[t5_bias.buckets ?? 32, heads]", "table:0.02", "t5_bias != null", NULL, false, NULL},
    {NULL}};

static weft_status check(const wf_layer *l, weft_error *err) {
    const wf_value *window = wf_get(l, "window");
    WF_TRY(wf_check_qkvo(l, err));
    WF_CHECK(window->count == 2, err, WEFT_USAGE, "'window' must be [left, right]");
    for (size_t i = 0; i < 2; i++)
        WF_CHECK(window->items[i].type == WF_INT && window->items[i].integer >= 0, err, WEFT_USAGE,
                 "'window' must be [left, right], integers from 0");
    return wf_given(l, "t5_bias") ? wf_check_t5_bias(wf_get(l, "t5_bias")->object, err) : WEFT_OK;
}

/* The table's rows for the blocks as every row sees them, [B,H,T,count]. */
static wf_tensor *block_bias(wf_run *r, const wf_layer *l, wf_tensor *ids, int64_t count) {
    const wf_json *t5 = wf_get(l, "t5_bias")->object;
    int64_t heads = wf_int(l, "heads");
    wf_tensor *of = wf_block_buckets(r->tape, ids, count, wf_json_int(t5, "buckets", 32), wf_json_int(t5, "max_distance", 128),
                                     wf_json_bool(t5, "bidirectional", true));
    wf_tensor *bias = wf_cast(r->tape, wf_embed(r->tape, of, wf_weight(r, l, "global_bias.weight"), -1), WF_F32);
    bias = bias ? wf_swap_rows(r->tape, wf_reshape(r->tape, bias, 4, (int64_t[]){r->batch, r->rows * count, heads, 1})) : NULL;
    return bias ? wf_reshape(r->tape, bias, 4, (int64_t[]){r->batch, heads, r->rows, count}) : NULL;
}

static wf_partial of_blocks(wf_run *r, const wf_layer *l, const wf_ports *io, wf_tensor *q, wf_attention_spec spec) {
    int64_t count = r->rows / wf_int(l, "block");
    wf_tensor *ids = wf_block_ids(r->tape, io->mask, r->batch, r->rows, wf_int(l, "block"));
    wf_tensor *x = wf_rms_norm(r->tape, wf_block_sum(r->tape, io->x, ids, count), wf_weight(r, l, "global_norm.weight"), 0.0f,
                               (float)wf_float(l, "norm_eps"));
    spec.key_mask = wf_block_mask(r->tape, ids, count);
    spec.bias = wf_given(l, "t5_bias") ? block_bias(r, l, ids, count) : NULL;
    return wf_attend_part(r, q, wf_project_heads(r, l, "k", x), wf_project_heads(r, l, "v", x), &spec);
}

static wf_partial of_rows(wf_run *r, const wf_layer *l, const wf_ports *io, wf_tensor *q, wf_attention_spec spec) {
    const wf_value *window = wf_get(l, "window");
    spec.key_mask = io->mask;
    spec.left = window->items[0].integer;
    spec.right = window->items[1].integer;
    if (wf_given(l, "t5_bias")) {
        const wf_json *t5 = wf_get(l, "t5_bias")->object;
        spec.rel_bias = wf_weight(r, l, "rel_bias.weight");
        spec.buckets = wf_json_int(t5, "buckets", 32);
        spec.max_distance = wf_json_int(t5, "max_distance", 128);
        spec.bidirectional = wf_json_bool(t5, "bidirectional", true);
    }
    return wf_attend_part(r, q, wf_project_heads(r, l, "k", io->x), wf_project_heads(r, l, "v", io->x), &spec);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_attention_spec spec = {.scale = (float)wf_float(l, "scale"), .left = INT64_MAX, .right = INT64_MAX};
    wf_tensor *q = wf_project_heads(r, l, "q", io->x);
    wf_partial rows = of_rows(r, l, io, q, spec);
    wf_tensor *o = rows.o;
    if (r->rows >= wf_int(l, "block")) {
        wf_partial blocks = of_blocks(r, l, io, q, spec);
        o = wf_join_parts(r, &rows, &blocks);
    }
    io->y = wf_project(r, l, "o", wf_merge_heads(r, o));
    return WEFT_OK;
}

const wf_mixer wf_mixer_transient_global = {
    .name = "transient_global",
    .about = "softmax over a window and one summed key per block",
    .source = "Guo et al. 2021, arXiv 2112.07916, section 3.2",
    .keys = keys,
    .slots = slots,
    .inputs = "x mask?",
    .outputs = "y",
    .example = "{\"heads\": \"=dim // 32\", \"window\": [127, 127], \"block\": 16}",
    .time = "T*(window[0] + window[1] + 1) + T*T / block",
    .space = "t5_bias != null ? T*T / block : T",
    .flops = "2*heads*(key_dim + value_dim)*T*(min(T, window[0] + window[1] + 1) + T // block) + 2*(T // "
             "block)*dim*kv_heads*(key_dim + value_dim)",
    .bf16 = 0.012,
    .traits = WF_PADDING_INERT | WF_PADDING_TRACE,
    .companion = "glu",
    .check = check,
    .run = run};
