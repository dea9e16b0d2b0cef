/* For every row of the mixer tables: the full, chunk and step forms are one function (outputs and gradients), and the traits of
 * the row are what probes find, both ways. A row without a spec below does not pass. */
#include "support/test.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "kernels/kernels.h"
#include "verify/forms.h"

typedef struct case_row {
    const char *mixer, *spec; /* a JSON object; dim is 12 */
    bool ordered;             /* a position scheme or window tells the rows apart */
} case_row;

static const case_row cases[] = {
    {"attention", "{\"heads\": 3}", false},
    {"attention", "{\"heads\": 3, \"bias\": [\"q\", \"k\", \"v\", \"o\"], \"softcap\": 3.0}", false},
    {"attention", "{\"heads\": 4, \"kv_heads\": 2, \"causal\": true, \"rope\": {\"theta\": 100.0}, \"key_dim\": 6}", true},
    {"attention", "{\"heads\": 2, \"causal\": true, \"window\": [2, null], \"alibi\": true, \"value_dim\": 5}", true},
    {"attention", "{\"heads\": 2, \"window\": [3, 1], \"rope\": {\"pairing\": \"interleaved\", \"dim\": 4}}", true},
    {"attention", "{\"heads\": 3, \"causal\": true, \"sinks\": true, \"qk_norm\": {\"kind\": \"layer\", \"scope\": \"all\"}}",
     false},
    {"attention", "{\"heads\": 2, \"causal\": true, \"chunk\": 3, \"temper\": {\"scale\": 0.5, \"step\": 2}}", true},
    {"attention", "{\"heads\": 3, \"causal\": true, \"xpos\": {\"base\": 16.0}}", true},
    {"attention", "{\"heads\": 2, \"t5_bias\": {\"buckets\": 8, \"max_distance\": 9}, \"scale\": 1.0}", true},
    {"attention",
     "{\"heads\": 2, \"causal\": true, \"t5_bias\": {\"buckets\": 8, \"max_distance\": 9, \"bidirectional\": false}}", true},
    {"attention", "{\"heads\": 3, \"causal\": true, \"relative\": {\"of\": \"both\", \"length\": 5}}", true},
    {"attention", "{\"heads\": 2, \"causal\": true, \"rope\": {}, \"rope_values\": true}", true},
    {"attention", "{\"heads\": 4, \"kv_heads\": 2, \"causal\": true, \"dynamic\": {\"keep\": 3}}", false},
    {"disentangled", "{\"heads\": 3, \"distance\": 5}", true},
    {"relative_attention", "{\"heads\": 3, \"segments\": true}", true},
    {"relative_attention", "{\"heads\": 2, \"key_dim\": 5, \"causal\": true, \"clamp\": 4, \"window\": 6}", true},
    {"relative_attention", "{\"heads\": 3, \"causal\": true, \"positions\": \"buckets\", \"buckets\": 4, \"max_distance\": 7}",
     true},
    {"xl_attention", "{\"heads\": 3, \"kinds\": true, \"apart\": 1, \"bias\": [\"k\", \"v\", \"o\"]}", true},
    {"xl_attention", "{\"heads\": 4, \"kv_heads\": 2, \"key_dim\": 5, \"value_dim\": 3}", true},
    {"time_conv", "{\"width\": 3, \"activation\": \"gelu\"}", true},
    {"mla", "{\"heads\": 3, \"kv_rank\": 5, \"rope_dim\": 2}", true},
    {"mla",
     "{\"heads\": 3, \"kv_rank\": 5, \"q_rank\": 7, \"nope_dim\": 3, \"rope_dim\": 4, \"value_dim\": 5, \"causal\": true}",
     true},
    {"differential", "{\"heads\": 4}", false},
    {"differential", "{\"heads\": 4, \"kv_heads\": 2, \"causal\": true, \"rope\": {}, \"key_dim\": 4, \"value_dim\": 3}", true},
    {"sparse", "{\"heads\": 3, \"pattern\": \"strided\", \"stride\": 4}", true},
    {"sparse",
     "{\"heads\": 2, \"pattern\": \"fixed\", \"stride\": 4, \"summary\": 2, \"combine\": \"heads\", \"bias\": [\"o\"]}", true},
    {"local_chunk", "{\"heads\": 3, \"chunk\": 3}", true},
    {"local_chunk", "{\"heads\": 3, \"chunk\": 5, \"before\": 0, \"after\": 0, \"whole\": true}", true},
    {"local_chunk", "{\"heads\": 3, \"chunk\": 3, \"causal\": true, \"before\": 2, \"exact\": true, \"rope\": {}}", true},
    {"local_chunk", "{\"heads\": 3, \"chunk\": 2, \"causal\": true, \"after\": 1, \"xpos\": {\"base\": 8.0}}", true},
    {"local_chunk", "{\"heads\": 3, \"chunk\": 13, \"wrap\": true, \"causal\": true}", true},
    {"longformer", "{\"heads\": 3, \"window\": [2, 1]}", true},
    {"longformer", "{\"heads\": 3, \"window\": [2, 1], \"causal\": true, \"globals\": false, \"dilation\": [1, 2, 3]}", true},
    {"bigbird", "{\"heads\": 3, \"block\": 1, \"random\": 2}", true},
    {"transient_global", "{\"heads\": 3, \"window\": [2, 1], \"block\": 3}", true},
    {"transient_global", "{\"heads\": 2, \"window\": [2, 2], \"block\": 2, \"t5_bias\": {\"buckets\": 8, \"max_distance\": 9}}",
     true},
    {"block_global", "{\"heads\": 3, \"block\": 4, \"offset\": 2}", true},
    {"bigbird", "{\"heads\": 3, \"block\": 2, \"random\": 1, \"extra\": 3}", true},
    {"linformer", "{\"heads\": 3, \"max_len\": 15, \"rank\": 4}", true},
    {"nystrom", "{\"heads\": 3, \"landmarks\": 13, \"conv\": 3}", true},
    {"axial", "{\"heads\": 2, \"shape\": [13, 1], \"causal\": true}", true},
    {"axial", "{\"heads\": 3, \"shape\": [1, 13], \"causal\": true, \"combine\": \"sequential\"}", true},
    {"ring", "{\"heads\": 3}", false},
    {"ring", "{\"heads\": 4, \"kv_heads\": 2, \"causal\": true, \"parts\": 3, \"rope\": {}, \"key_dim\": 4}", true},
    {"ring", "{\"heads\": 2, \"causal\": true, \"parts\": 5, \"order\": \"striped\", \"bias\": [\"k\"]}", false},
    {"lsh", "{\"heads\": 3, \"rounds\": 2, \"buckets\": 4, \"chunk\": 1, \"after\": 1}", true},
    {"lsh",
     "{\"heads\": 2, \"rounds\": 2, \"buckets\": [2, 2], \"chunk\": 1, \"before\": 3, \"causal\": true, \"key_norm\": \"l2\"}",
     true},
    {"routing", "{\"heads\": 3, \"clusters\": 3, \"window\": 4}", false},
    {"routing",
     "{\"heads\": 3, \"clusters\": 2, \"window\": 5, \"causal\": true, \"shared_qk\": true, \"memory_slots\": 2, "
     "\"local_heads\": 1, \"local_chunk\": 4}",
     true},
    {"additive", "{\"hidden\": 7, \"memory_dim\": 6, \"init\": \"backward\", \"readout\": \"maxout\", \"out\": 5}", true},
    {"additive", "{\"normed\": true, \"reset\": \"before\"}", true},
    {"additive", "{\"readout\": \"none\"}", true},
    {"additive", "{\"hidden\": 7, \"cell\": \"lstm\", \"readout\": \"none\", \"side\": true}", true},
    {"luong", "{\"hidden\": 7, \"memory_dim\": 5}", true},
    {"luong", "{\"score\": \"dot\", \"input_feeding\": false, \"scaled\": true, \"local\": \"monotonic\", \"window\": 2}",
     true},
    {"luong", "{\"score\": \"concat\", \"local\": \"predictive\", \"window\": 3}", true},
    {"parallel",
     "{\"branches\": [{\"mixer\": \"attention\", \"spec\": {\"heads\": 3}}, {\"mixer\": \"mlp\", \"spec\": {\"hidden\": 5}, "
     "\"scale\": 0.5}]}",
     false},
    {"parallel",
     "{\"branches\": [{\"mixer\": \"attention\", \"spec\": {\"heads\": 3, \"causal\": true, \"window\": [3, 0]}, \"norm\": "
     "{}}, {\"mixer\": \"mamba\"}]}",
     true},
    {"parallel",
     "{\"branches\": [{\"mixer\": \"attention\", \"spec\": {\"heads\": 3, \"causal\": true, \"window\": [2, 0]}}, {\"mixer\": "
     "\"attention\", \"spec\": {\"heads\": 2, \"causal\": true}}]}",
     true},
    {"parallel",
     "{\"branches\": [{\"mixer\": \"mlp\", \"spec\": {\"hidden\": 5}}, {\"mixer\": \"mlp\", \"spec\": {\"hidden\": 4}}]}",
     false},
    {"reversible", "{\"mixer\": {\"heads\": 3}, \"ffn\": {\"hidden\": 7}}", false},
    {"reversible",
     "{\"mixer\": {\"mixer\": \"retention\", \"heads\": 3}, \"ffn\": {\"mixer\": \"glu\", \"hidden\": 7}, \"norm_eps\": 0.01}",
     true},
    {"linear_attention", "{\"heads\": 3}", false},
    {"linear_attention", "{\"heads\": 3, \"causal\": true, \"key_dim\": 5, \"value_dim\": 3}", false},
    {"linear_attention", "{\"heads\": 2, \"causal\": true, \"feature\": \"relu\", \"normalise\": false, \"scale\": 0.3}",
     false},
    {"retention", "{\"heads\": 3}", true},
    {"retention", "{\"heads\": 2, \"value_dim\": 5, \"rotation\": \"rope\", \"row_norm\": \"none\", \"gate\": \"sigmoid\"}",
     true},
    {"retention", "{\"heads\": 3, \"row_norm\": \"clamped_sum\"}", true},
    {"mamba", "{}", true},
    {"mamba", "{\"inner\": 10, \"state\": 3, \"rank\": 2, \"conv\": 3, \"inner_norms\": true, \"bias\": [\"in\", \"o\"]}",
     true},
    {"mamba", "{\"inner\": 12, \"state\": 3, \"rank\": 2, \"heads\": 3}", true},
    {"chain",
     "{\"steps\": [{\"mixer\": \"attention\", \"start\": true, \"norm\": {}, \"spec\": {\"heads\": 3, \"out_dim\": 12, "
     "\"causal\": true, "
     "\"low_rank\": 2}}, {\"mixer\": \"glu\", \"norm\": {}, \"project\": true, \"spec\": {\"hidden\": 5, \"low_rank\": 2}}, "
     "{\"mixer\": "
     "\"mamba\", \"norm\": {}, \"add\": true}]}",
     true},
    {"performer", "{\"heads\": 3, \"rows\": 10}", false},
    {"performer", "{\"heads\": 3, \"causal\": true, \"rows\": 7, \"value_dim\": 5, \"eps\": 0.1}", false},
    {"performer", "{\"heads\": 2, \"causal\": true, \"kernel\": \"relu\", \"rows\": 0, \"feature_eps\": 0.1}", false},
    {"performer", "{\"heads\": 2, \"causal\": true, \"stabiliser\": \"max\", \"rows\": 9, \"feature_eps\": 0.1}", true},
    {"performer", "{\"heads\": 2, \"mask_keys\": \"values\", \"kernel\": \"relu\", \"rows\": 9, \"feature_eps\": 0.1}", false},
    {"gla", "{\"heads\": 3, \"rank\": 4, \"gate\": \"silu\"}", true},
    {"gla",
     "{\"heads\": 4, \"kv_heads\": 2, \"rank\": 2, \"value_dim\": 5, \"conv\": 3, \"conv_bias\": true, \"clamp_min\": -0.05}",
     true},
    {"simple_gla", "{\"heads\": 3, \"gate\": \"sigmoid\", \"conv\": 4}", true},
    {"simple_gla", "{\"heads\": 4, \"kv_heads\": 2, \"feature\": \"elu1\", \"gate_normalizer\": 2}", true},
    {"lightning", "{\"heads\": 3, \"layer\": 1, \"layers\": 4}", true},
    {"mamba2", "{\"heads\": 4, \"state\": 5, \"groups\": 2}", true},
    {"mamba2",
     "{\"heads\": 2, \"state\": 3, \"norm_before_gate\": true, \"dt_limit\": [0.3, 0.9], \"bias\": [\"in\", \"o\"], \"conv\": "
     "1}",
     true},
    {"hgrn2", "{\"heads\": 3, \"lower_bound\": 0.3}", true},
    {"hgrn2", "{\"heads\": 2, \"conv\": 3, \"conv_bias\": true, \"key_dim\": 5}", true},
    {"based", "{\"heads\": 3, \"causal\": true, \"value_dim\": 5}", false},
    {"based", "{\"heads\": 2, \"feature\": \"rebased\", \"causal\": true, \"eps\": 0.1, \"key_dim\": 3}", false},
    {"based", "{\"heads\": 2}", false},
    {"mlstm", "{\"heads\": 3, \"value_dim\": 5}", true},
    {"short_conv", "{}", true},
    {"short_conv", "{\"inner\": 9, \"conv\": 4, \"conv_bias\": true, \"bias\": [\"in\", \"o\"]}", true},
    {"rwkv4", "{\"inner\": 9}", true},
    {"rwkv5", "{\"heads\": 3, \"value_dim\": 5}", true},
    {"rwkv5", "{\"heads\": 2, \"gate\": \"none\"}", true},
    {"rwkv6", "{\"heads\": 3, \"value_dim\": 5, \"mix_rank\": 2, \"decay_rank\": 3}", true},
    {"deltanet", "{\"heads\": 3}", true},
    {"deltanet",
     "{\"heads\": 2, \"value_dim\": 5, \"conv\": 4, \"conv_bias\": true, \"gate\": \"silu\", \"qk_norm\": \"sum\", "
     "\"beta_scale\": 2}",
     true},
    {"gated_deltanet", "{\"heads\": 3, \"gate\": \"silu\", \"conv\": 4}", true},
    {"gated_deltanet", "{\"heads\": 2, \"v_heads\": 4, \"value_dim\": 5, \"beta_scale\": 2}", true},
    {"kda", "{\"heads\": 3, \"rank\": 4, \"conv\": 3}", true},
    {"kda", "{\"heads\": 2, \"v_heads\": 4, \"value_dim\": 5, \"lower_bound\": -5.0, \"gate_bias\": true}", true},
    {"rwkv7", "{\"heads\": 3, \"ranks\": {\"w\": 3, \"a\": 2, \"gate\": 4}}", true},
    {"rwkv7", "{\"heads\": 2, \"value_dim\": 5, \"bias\": [\"o\"]}", true},
    {"rglru", "{\"heads\": 3}", true},
    {"rglru", "{\"heads\": 2, \"inner\": 10, \"conv\": 1}", true},
    {"hgrn", "{\"lower_bound\": 0.3}", true},
    {"hgrn", "{\"inner\": 7, \"conv\": 3, \"conv_bias\": true}", true},
    {"minrnn", "{\"hidden\": 7}", true},
    {"minrnn", "{\"cell\": \"lstm\", \"candidate\": \"positive\"}", true},
    {"s4d", "{\"modes\": 3}", true},
    {"s4d", "{\"modes\": 2, \"real\": true, \"discretisation\": \"bilinear\"}", true},
    {"s4d", "{\"modes\": 2, \"bidirectional\": true}", true},
    {"s4", "{\"modes\": 3}", true},
    {"slstm", "{\"heads\": 3}", true},
    {"slstm", "{\"heads\": 2, \"hidden\": 10}", true},
    {"fourier", "{}", true},
    {"hyena", "{\"filter_dim\": 8, \"max_len\": 20}", true},
    {"hyena", "{\"filter_dim\": 8, \"max_len\": 20, \"order\": 3, \"embed\": 7}", true},
    {"rnn", "{\"hidden\": 7}", true},
    {"rnn", "{\"hidden\": 5, \"layers\": 2, \"activation\": \"relu\", \"bias\": false}", true},
    {"rnn", "{\"hidden\": 5, \"bidirectional\": true}", true},
    {"lstm", "{\"hidden\": 7}", true},
    {"lstm", "{\"hidden\": 5, \"layers\": 2}", true},
    {"lstm", "{\"hidden\": 5, \"layers\": 2, \"bidirectional\": true, \"bias\": false}", true},
    {"gru", "{\"hidden\": 7}", true},
    {"gru", "{\"hidden\": 5, \"layers\": 2, \"reset\": \"before\"}", true},
    {"gru", "{\"hidden\": 5, \"bidirectional\": true}", true},
    {"mlp", "{\"hidden\": 9, \"bias\": true}", false},
    {"glu", "{\"hidden\": 9, \"activation\": \"silu\"}", false},
    {"mlp", "{\"hidden\": 9, \"bias\": true, \"chunk\": 4}", false},
    {"glu", "{\"hidden\": 9, \"norm\": {}, \"chunk\": 5}", false},
    {"moa", "{\"heads\": 2, \"experts\": 4}", false},
    {"moa", "{\"heads\": 3, \"key_dim\": 4, \"experts\": 4, \"top_k\": 3, \"causal\": true, \"rope\": {}, \"out_bias\": true}",
     true},
    {"moe", "{\"hidden\": 9, \"experts\": 5, \"top_k\": 2, \"normalise\": true}", false},
    {"moe", "{\"hidden\": 9, \"experts\": 4, \"top_k\": 1, \"gated\": false, \"activation\": \"relu\", \"capacity\": 3}", true},
    {"moe", "{\"hidden\": 9, \"experts\": 4, \"top_k\": 2, \"capacity\": 4}", true},
    {"moe",
     "{\"hidden\": 6, \"experts\": 6, \"groups\": 3, \"top_groups\": 2, \"router\": \"sigmoid\", \"shared\": 5, "
     "\"shared_gate\": true}",
     false},
    {"product_keys", "{\"hidden\": 9, \"keys\": 3, \"top_k\": 2}", false},
    {"product_keys", "{\"hidden\": 9, \"keys\": 3, \"top_k\": 2, \"whole\": true}", true},
    {"expert_choice", "{\"hidden\": 9, \"experts\": 4, \"capacity\": 3}", false},
    {"soft_moe", "{\"hidden\": 9, \"experts\": 3, \"slots\": 2, \"normed\": true}", false},
    {"rwkv_channel", "{\"hidden\": 9}", true},
    {"bottleneck", "{\"heads\": 3, \"inner\": 6, \"networks\": 2}", false},
    {"bottleneck", "{\"heads\": 3, \"attend\": \"inner\", \"norm\": \"layer\"}", false},
    {"yoso", "{\"heads\": 3}", false},
    {"yoso", "{\"heads\": 2, \"bits\": 4, \"conv\": 3}", true},
    {"span_conv", "{\"heads\": 3, \"taps\": 3}", true},
    {"side_attention", "{\"heads\": 3, \"side_dim\": 6}", false},
    {"side_mlp", "{\"hidden\": 9, \"side_dim\": 6}", false},
    {"adapters", "{\"hidden\": 9, \"names\": [\"en\", \"de\"], \"default\": 1}", false},
    {"rwkv_channel", "{\"hidden\": 9, \"receptance\": false, \"mix_of\": \"shifted\"}", true},
};

enum { BATCH = 2, ROWS = 13, DIM = 12, PADDED = 5, MEMORY_ROWS = 7 };

typedef struct subject {
    wf_env env;
    wf_kernels kernels;
    wf_arena arena;
    wf_params params;
    wf_layer *layer;
    wf_form_io io;
    const case_row *row;
} subject;

static float *draw(wf_arena *arena, size_t count, uint32_t site, float scale) {
    float *values = wf_arena_alloc(arena, count * sizeof *values);
    wf_rng rng = wf_rng_make(3, site, 0);
    assert_non_null(values);
    for (size_t i = 0; i < count; i++)
        values[i] = scale * (float)wf_rng_normal(rng, i);
    return values;
}

static void open_env(subject *s) {
    weft_error err = {0};
    memset(s, 0, sizeof *s);
    s->env = (wf_env){.mem = wf_mem_default, .kernels = &s->kernels};
    assert_int_equal(wf_kernels_choose(NULL, &s->kernels, &err), WEFT_OK);
    assert_int_equal(wf_pool_create(&s->env.mem, 2, &s->env.pool, &err), WEFT_OK);
}

static void open_layer(subject *s, const case_row *row) {
    weft_error err = {0};
    wf_json *spec;
    wf_arena_init(&s->arena, &s->env.mem, 0);
    wf_params_open(&s->params, &s->env);
    s->row = row;
    assert_int_equal(wf_json_parse(&s->arena, row->spec, strlen(row->spec), 0, &spec, &err), WEFT_OK);
    const wf_mixer *mixer = wf_mixer_find(row->mixer);
    assert_non_null(mixer);
    if (wf_layer_build(&s->arena, mixer, spec, DIM, "test", &s->layer, &err) != WEFT_OK ||
        wf_form_params(&s->params, s->layer, &err) != WEFT_OK)
        fail_msg("%s %s: %s", row->mixer, row->spec, err.message);
    for (size_t i = 0; i < s->params.count; i++)
        memcpy(s->params.list[i]->value, draw(&s->arena, (size_t)s->params.list[i]->count, 100 + (uint32_t)i, 0.4f),
               (size_t)s->params.list[i]->count * sizeof(float));
    s->io = (wf_form_io){.batch = BATCH, .rows = ROWS, .dim = DIM, .x = draw(&s->arena, BATCH * ROWS * DIM, 1, 1.0f)};
    if (strstr(mixer->inputs, " memory ")) { /* one that it cannot do without */
        s->io.memory_rows = MEMORY_ROWS;
        s->io.memory_dim = wf_int(s->layer, "memory_dim");
        s->io.memory = draw(&s->arena, (size_t)(BATCH * MEMORY_ROWS * s->io.memory_dim), 4, 1.0f);
    }
}

static void close_layer(subject *s) {
    wf_params_close(&s->params);
    wf_arena_free(&s->arena);
}

static void ok(const subject *s, weft_status status, const weft_error *err) {
    if (status != WEFT_OK)
        fail_msg("%s %s: %s", s->row->mixer, s->row->spec, err->message);
}

/* Runs the full form for y only, from x (and a mask, when the mixer takes one). */
static const float *output(subject *s, const float *x, const uint8_t *mask) {
    weft_error err = {0};
    wf_form_io io = s->io;
    io.x = x;
    io.mask = mask;
    io.dy = NULL;
    io.y = NULL;
    ok(s, wf_form_full(&s->env, s->layer, &io, false, &s->arena, &err), &err);
    return io.y;
}

/* ---- one function in every form ---- */
static void close_to(const subject *s, const char *what, const float *a, const float *b, size_t count) {
    double most = 1e-3, worst = 0.0;
    for (size_t i = 0; i < count; i++) {
        most = fmax(most, fabs((double)b[i]));
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
        assert_true(isfinite(a[i]));
    }
    if (!(worst <= 3e-5 * most))
        fail_msg("%s %s: %s differs by %g of %g", s->row->mixer, s->row->spec, what, worst, most);
}

/* The gradients of all parameters, copied one after the other. */
static float *gradients(subject *s, size_t *count) {
    size_t n = 0;
    for (size_t i = 0; i < s->params.count; i++)
        n += s->params.list[i]->buffer ? 0 : (size_t)s->params.list[i]->count;
    float *all = wf_arena_alloc(&s->arena, (n + 1) * sizeof *all), *at = all;
    for (size_t i = 0; i < s->params.count; i++) {
        if (s->params.list[i]->buffer)
            continue;
        memcpy(at, s->params.list[i]->grad, (size_t)s->params.list[i]->count * sizeof *at);
        at += s->params.list[i]->count;
    }
    *count = n;
    return all;
}

static void check_chunks(subject *s, const wf_form_io *full, const float *full_gradients, const int64_t *pieces, size_t n) {
    weft_error err = {0};
    wf_form_io io = s->io;
    size_t count;
    io.dy = full->dy;
    ok(s, wf_form_chunk(&s->env, s->layer, &io, pieces, n, &s->arena, &err), &err);
    const float *own = gradients(s, &count);
    close_to(s, "y of the chunks", io.y, full->y, (size_t)(BATCH * ROWS * full->width));
    close_to(s, "dx of the chunks", io.dx, full->dx, BATCH * ROWS * DIM);
    close_to(s, "a gradient of the chunks", own, full_gradients, count);
}

static void check_forms(subject *s) {
    weft_error err = {0};
    wf_form_io full = s->io, step = s->io;
    int64_t ones[ROWS];
    size_t count;
    ok(s, wf_form_full(&s->env, s->layer, &full, false, &s->arena, &err), &err); /* says how wide y is */
    full.dy = draw(&s->arena, (size_t)(BATCH * ROWS * full.width), 2, 1.0f);
    full.y = NULL;
    ok(s, wf_form_full(&s->env, s->layer, &full, false, &s->arena, &err), &err);
    const float *all = gradients(s, &count);
    for (int64_t i = 0; i < ROWS; i++)
        ones[i] = 1;
    check_chunks(s, &full, all, (int64_t[]){ROWS}, 1);
    check_chunks(s, &full, all, (int64_t[]){5, ROWS - 5}, 2);
    check_chunks(s, &full, all, (int64_t[]){1, 6, 2, 4}, 4);
    check_chunks(s, &full, all, ones, ROWS);
    ok(s, wf_form_step(&s->env, s->layer, &step, &s->arena, &err), &err);
    close_to(s, "y of the steps", step.y, full.y, (size_t)(BATCH * ROWS * full.width));
}

/* ---- bf16 ---- */
static double apart(const float *a, const float *b, size_t count) {
    double sum = 0.0, all = 0.0;
    for (size_t i = 0; i < count; i++) {
        assert_true(isfinite(a[i]));
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        all += (double)b[i] * (double)b[i];
    }
    return sqrt(sum / all);
}

/* The root of the mean square of what bf16 mode changes in y and dx, as a share of theirs. */
static double half_error(subject *s) {
    weft_error err = {0};
    wf_form_io full = s->io, half = s->io;
    ok(s, wf_form_full(&s->env, s->layer, &full, false, &s->arena, &err), &err);
    size_t count = (size_t)(BATCH * ROWS * full.width);
    full.dy = half.dy = draw(&s->arena, count, 2, 1.0f);
    full.y = NULL;
    half.bf16 = true;
    ok(s, wf_params_allocate_bf16(&s->params, &err), &err);
    wf_params_refresh_bf16(&s->params);
    ok(s, wf_form_full(&s->env, s->layer, &full, false, &s->arena, &err), &err);
    ok(s, wf_form_full(&s->env, s->layer, &half, false, &s->arena, &err), &err);
    return fmax(apart(half.y, full.y, count), apart(half.dx, full.dx, BATCH * ROWS * DIM));
}

/* The most of the cases of each row, against what the row states: no case above, and not stated too loosely. */
static double worst_half[COUNT_OF(cases)];

static void check_half(subject *s) {
    double error = half_error(s), stated = s->layer->row->bf16;
    worst_half[s->row - cases] = error;
    if (error > stated)
        fail_msg("%s %s: bf16 mode is off by %g, the row states %g", s->row->mixer, s->row->spec, error, stated);
}

static void check_stated_halves(void) {
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        double worst = 0.0, stated = wf_mixer_find(cases[i].mixer)->bf16;
        for (size_t j = 0; j < COUNT_OF(cases); j++)
            worst = strcmp(cases[i].mixer, cases[j].mixer) == 0 ? fmax(worst, worst_half[j]) : worst;
        if (worst < 0.3 * stated)
            fail_msg("%s: bf16 mode is off by %g only, the row states %g", cases[i].mixer, worst, stated);
    }
}

/* ---- probes ---- */
static bool same_rows(const float *a, const float *b, size_t width, int64_t batch, int64_t first, int64_t end) {
    return memcmp(a + (size_t)(batch * ROWS + first) * width, b + (size_t)(batch * ROWS + first) * width,
                  (size_t)(end - first) * width * sizeof *a) == 0;
}

static void agree(const subject *s, const char *what, bool trait, bool found) {
    if (trait != found)
        fail_msg("%s %s: the traits say %s%s, the probe says %s", s->row->mixer, s->row->spec, trait ? "" : "not ", what,
                 found ? "yes" : "no");
}

static float *changed(subject *s, int64_t first, int64_t end) {
    float *x = wf_arena_alloc(&s->arena, BATCH * ROWS * DIM * sizeof *x);
    memcpy(x, s->io.x, BATCH * ROWS * DIM * sizeof *x);
    for (int64_t b = 0; b < BATCH; b++)
        for (int64_t i = first * DIM; i < end * DIM; i++)
            x[b * ROWS * DIM + i] = 2.0f - 1.5f * x[b * ROWS * DIM + i];
    return x;
}

/* Rows from `cut` on change: a causal mixer gives the same bits before. */
static void probe_causality(subject *s) {
    int64_t cut = 8;
    const float *a = output(s, s->io.x, NULL), *b = output(s, changed(s, cut, ROWS), NULL);
    size_t width = (size_t)s->io.width;
    bool same = same_rows(a, b, width, 0, 0, cut) && same_rows(a, b, width, 1, 0, cut);
    agree(s, "causal", wf_layer_causal(s->layer), same);
    assert_false(same_rows(a, b, width, 0, cut, ROWS)); /* the probe does reach the mixer */
}

/* Rows 0, 1 and the last two are padding and change: the others keep their bits. */
static void probe_padding(subject *s) {
    bool takes_mask = strstr(s->layer->row->inputs, " mask?") != NULL;
    uint8_t mask[BATCH * ROWS];
    for (int64_t i = 0; i < BATCH * ROWS; i++)
        mask[i] = i % ROWS >= 2 && i % ROWS < ROWS - 2;
    float *x = changed(s, ROWS - 2, ROWS);
    memcpy(x, changed(s, 0, 2), 2 * DIM * sizeof *x);
    const float *a = output(s, s->io.x, takes_mask ? mask : NULL), *b = output(s, x, takes_mask ? mask : NULL);
    size_t width = (size_t)s->io.width;
    agree(s, "inert to padding", (wf_layer_traits(s->layer) & WF_PADDING_INERT) != 0,
          same_rows(a, b, width, 0, 2, ROWS - 2) && same_rows(a, b, width, 1, 2, ROWS - 2));
}

/* PADDED masked rows in front (no multiple of a chunk), or the other rows alone. */
static void probe_trace(subject *s) {
    weft_error err = {0};
    bool takes_mask = strstr(s->layer->row->inputs, " mask?") != NULL;
    int64_t rows = ROWS - PADDED;
    uint8_t mask[BATCH * ROWS];
    float *x = wf_arena_alloc(&s->arena, BATCH * ROWS * DIM * sizeof *x), worst = 0.0f;
    if (!takes_mask || !wf_layer_streams(s->layer))
        return;
    for (int64_t i = 0; i < BATCH * ROWS; i++)
        mask[i] = i % ROWS >= PADDED;
    for (int64_t b = 0; b < BATCH; b++)
        memcpy(x + b * rows * DIM, s->io.x + (b * ROWS + PADDED) * DIM, (size_t)(rows * DIM) * sizeof *x);
    wf_form_io alone = {.batch = BATCH,
                        .rows = rows,
                        .dim = DIM,
                        .x = x,
                        .memory = s->io.memory,
                        .memory_rows = s->io.memory_rows,
                        .memory_dim = s->io.memory_dim};
    ok(s, wf_form_full(&s->env, s->layer, &alone, false, &s->arena, &err), &err);
    const float *padded = output(s, s->io.x, mask);
    int64_t width = s->io.width;
    for (int64_t b = 0; b < BATCH; b++)
        for (int64_t i = 0; i < rows * width; i++)
            worst = fmaxf(worst, fabsf(padded[(b * ROWS + PADDED) * width + i] - alone.y[b * rows * width + i]));
    agree(s, "marked by padding before it", (wf_layer_traits(s->layer) & WF_PADDING_TRACE) != 0, worst > 1e-4f);
}

/* The rows in another order. */
static void probe_permutation(subject *s) {
    unsigned traits = wf_layer_traits(s->layer);
    size_t width = (size_t)s->io.width;
    float *x = wf_arena_alloc(&s->arena, BATCH * ROWS * DIM * sizeof *x), worst = 0.0f;
    for (int64_t i = 0; i < BATCH * ROWS; i++)
        memcpy(x + i * DIM, s->io.x + (i / ROWS * ROWS + (i % ROWS * 5 + 3) % ROWS) * DIM, DIM * sizeof *x);
    const float *a = output(s, s->io.x, NULL), *b = output(s, x, NULL);
    for (int64_t i = 0; i < BATCH * ROWS; i++)
        for (size_t c = 0; c < width; c++)
            worst = fmaxf(
                worst, fabsf(b[(size_t)i * width + c] - a[(size_t)(i / ROWS * ROWS + (i % ROWS * 5 + 3) % ROWS) * width + c]));
    bool wanted = (traits & WF_PERMUTATION) && ((traits & WF_PER_TOKEN) || (!wf_layer_causal(s->layer) && !s->row->ordered));
    agree(s, "equivariant to permutations", wanted, worst < 1e-4f);
}

/* A row by itself: no other row changes. */
static void probe_per_token(subject *s) {
    const float *a = output(s, s->io.x, NULL), *b = output(s, changed(s, 4, 5), NULL);
    size_t width = (size_t)s->io.width;
    agree(s, "per token", wf_layer_traits(s->layer) & WF_PER_TOKEN,
          same_rows(a, b, width, 0, 0, 4) && same_rows(a, b, width, 0, 5, ROWS));
}

static void test_rows(void **state) {
    subject s;
    open_env(&s);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        weft_error err = {0};
        open_layer(&s, &cases[i]);
        ok(&s, wf_form_full(&s.env, s.layer, &s.io, false, &s.arena, &err), &err);
        s.io.y = NULL;
        if (wf_layer_streams(s.layer))
            check_forms(&s);
        probe_causality(&s);
        probe_padding(&s);
        probe_trace(&s);
        probe_permutation(&s);
        probe_per_token(&s);
        check_half(&s);
        close_layer(&s);
    }
    check_stated_halves();
    wf_pool_free(s.env.pool);
}

static bool has_case(const char *mixer) {
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (strcmp(cases[i].mixer, mixer) == 0)
            return true;
    return false;
}

static void test_every_row_has_a_spec(void **state) {
    for (size_t t = 0; t < 2; t++)
        for (const wf_mixer *const *row = t ? wf_channels : wf_mixers; *row; row++)
            if (!has_case((*row)->name))
                fail_msg("no spec for '%s' in tests/forms_test.c", (*row)->name);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_row_has_a_spec), cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
