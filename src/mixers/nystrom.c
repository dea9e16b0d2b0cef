/* nystrom.c - softmax attention through landmarks: the map of all rows to all rows is put together from three small ones, and a
 * convolution of the values is added. Xiong et al. 2021 (arXiv 2102.03902, eq. 9-13). */
#include <math.h>
#include "mixers/mixer.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads"},
    {"kv_heads", WF_KEY_INT, "heads", 1, NULL, "always heads"},
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a key, per head"},
    {"value_dim", WF_KEY_INT, "key_dim", 1, NULL, "channels of a value, per head"},
    {"bias", WF_KEY_LIST, "['q', 'k', 'v', 'o']", 0, NULL, "projections with a bias, of q k v o"},
    {"landmarks", WF_KEY_INT, "null", 1, NULL,
     "means of consecutive rows; the length is a multiple; null: none, every row meets every row"},
    {"conv", WF_KEY_INT, "null", 1, NULL, "width of the convolution of the values, odd; null: none"},
    {NULL}};

static const wf_slot slots[] = {
    WF_QKVO_SLOTS, {"conv.weight", "[heads, 1, conv]", "uniform:0.1", "conv != null", NULL, false, NULL}, {NULL}};

static weft_status check(const wf_layer *l, weft_error *err) {
    WF_CHECK(wf_int(l, "kv_heads") == wf_int(l, "heads"), err, WEFT_UNSUPPORTED, "'kv_heads' must be heads");
    WF_CHECK(!wf_given(l, "conv") || wf_int(l, "conv") % 2 == 1, err, WEFT_USAGE, "'conv' must be odd");
    return wf_check_qkvo(l, err);
}

static wf_tensor *through_landmarks(wf_run *r, const wf_layer *l, wf_tensor *q, wf_tensor *k, wf_tensor *v,
                                    wf_attention_spec spec) {
    int64_t landmarks = wf_int(l, "landmarks");
    if (r->rows % landmarks != 0)
        wf_tape_error(r->tape, WEFT_USAGE, "%s: nystrom: %lld rows are not a multiple of 'landmarks' (%lld)", l->where,
                      (long long)r->rows, (long long)landmarks);
    wf_tensor *ql = wf_mean_rows(r->tape, q, r->rows / landmarks), *kl = wf_mean_rows(r->tape, k, r->rows / landmarks);
    wf_tensor *u = wf_nystrom(r->tape, ql, kl, wf_attention(r->tape, ql, k, v, &spec));
    spec.key_mask = NULL;
    return wf_attention(r->tape, q, kl, u, &spec);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    float scale = (float)pow((double)wf_int(l, "key_dim"), -0.25);
    wf_tape *t = r->tape;
    wf_tensor *q = wf_scale(t, wf_project_heads(r, l, "q", io->x), scale),
              *k = wf_scale(t, wf_project_heads(r, l, "k", io->x), scale), *v = wf_project_heads(r, l, "v", io->x);
    wf_attention_spec spec = {
        .scale = 1.0f, .left = INT64_MAX, .right = INT64_MAX, .dropout = r->attention_dropout, .key_mask = io->mask};
    wf_tensor *o = wf_given(l, "landmarks") ? through_landmarks(r, l, q, k, v, spec) : wf_attention(t, q, k, v, &spec);
    if (wf_given(l, "conv"))
        o = wf_add(t, o, wf_conv_heads(t, v, wf_weight(r, l, "conv.weight")));
    io->y = wf_project(r, l, "o", wf_merge_heads(r, o));
    return WEFT_OK;
}

const wf_mixer wf_mixer_nystrom = {
    .name = "nystrom",
    .about = "softmax through landmarks, and a convolution of the values",
    .source = "Xiong et al. 2021, arXiv 2102.03902, eq. 9-13",
    .keys = keys,
    .slots = slots,
    .inputs = "x mask?",
    .outputs = "y",
    .example = "{\"heads\": \"=dim // 32\", \"landmarks\": \"=min(32, context)\"}",
    .flops = "heads*(4*T*(landmarks ?? T / 2)*(key_dim + value_dim) + 48*pow(landmarks ?? 0, 3) + 2*T*value_dim*(conv ?? 0))",
    .bf16 = 0.01,
    .traits = 0,
    .companion = "mlp",
    .check = check,
    .run = run};
