/* bench_against.c - layers against the implementations people use today, forward and backward. The peer command finds the case
 * in WEFT_BENCH_CASE, the lengths and the number format beside it (bench/peers/layers.py). */
#include "jobs/bench_layer.h"

typedef struct versus {
    const char *name; /* of the case, for the peer */
    const char *mixer;
    int64_t dim, rows;
} versus;

#define HEADS8 "\"heads\": 8"
static const versus layers[] = {
    {"longformer", "\"mixer\": \"longformer\", \"heads\": 12, \"window\": [256, 256]", 768, 4096},
    {"bigbird", "\"mixer\": \"bigbird\", \"heads\": 12, \"block\": 64, \"random\": 3", 768, 4096},
    {"lsh", "\"mixer\": \"lsh\", " HEADS8 ", \"causal\": true, \"rounds\": 4, \"buckets\": 128, \"chunk\": 64", 512, 8192},
    {"mamba", "\"mixer\": \"mamba\"", 512, 2048},
    {"mamba2", "\"mixer\": \"mamba2\", \"heads\": 16, \"state\": 128", 512, 2048},
    {"retention", "\"mixer\": \"retention\", " HEADS8, 512, 2048},
    {"gla", "\"mixer\": \"gla\", " HEADS8, 512, 512},
    {"deltanet", "\"mixer\": \"deltanet\", " HEADS8, 512, 2048},
    {"gated_deltanet", "\"mixer\": \"gated_deltanet\", " HEADS8, 512, 2048},
    {"rwkv6", "\"mixer\": \"rwkv6\", " HEADS8, 512, 512},
    {"rwkv7", "\"mixer\": \"rwkv7\", " HEADS8, 512, 2048},
};

static weft_status measure(wf_bench *b, const char *name, int64_t rows, bool bf16, wf_bench_layer *layer) {
    const char *precision = bf16 ? "bf16" : "fp32";
    wf_bench_line *line = wf_bench_add(b, "%s, T=%lld, %s", name, (long long)rows, precision);
    wf_bench_case c = {.batch = 1, .context = rows, .precision = precision, .name = name};
    double seconds;
    if (!line)
        return wf_fail_memory(b->job->err);
    WF_TRY(wf_bench_rounds(b, line, &c, b->peer ? 3 : 7, wf_bench_layer_once, layer));
    WF_TRY(wf_bench_layer_once(layer, &seconds, b->job->err));
    wf_bench_tell_operations(b, line, layer->one.tape, seconds);
    return WEFT_OK;
}

static weft_status run_layer(wf_bench *b, const versus *v) {
    wf_bench_layer layer;
    int64_t rows = b->quick ? v->rows / 4 : v->rows;
    wf_bench_layer_case c = {.mixer = v->mixer, .use = WF_LAYER_TRAIN, .dim = v->dim, .batch = 1, .rows = rows};
    weft_status status = wf_bench_layer_open(b, &c, &layer);
    if (status == WEFT_OK)
        status = measure(b, v->name, rows, false, &layer);
    wf_bench_layer_close(&layer);
    return status;
}

/* Causal attention without projections: 12 heads of 64. */
static weft_status run_attention(wf_bench *b, int64_t rows, bool bf16) {
    wf_bench_layer layer = {0};
    weft_status status = wf_bench_attention_open(b, rows, 12, bf16, &layer);
    if (status == WEFT_OK)
        status = measure(b, "attention", rows, bf16, &layer);
    wf_bench_layer_close(&layer);
    return status;
}

static const char *case_name(const void *user, size_t i) {
    (void)user;
    return i == 0 ? "attention" : i <= sizeof layers / sizeof *layers ? layers[i - 1].name : NULL;
}

static weft_status run(wf_bench *b) {
    WF_TRY(wf_bench_check_only(b, case_name));
    for (int i = 0; i < 4 && wf_bench_wants(b, "attention"); i++)
        WF_TRY(run_attention(b, i < 2 ? 1024 : 4096, i % 2 == 1));
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (wf_bench_wants(b, layers[i].name))
            WF_TRY(run_layer(b, &layers[i]));
    return WEFT_OK;
}

const wf_bench_row wf_bench_against = {"against", "layers against the implementations people use today, forward and backward",
                                       run};
