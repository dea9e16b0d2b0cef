/* bench_experts.c - what routing costs: a Switch layer of 16 experts against the dense layer that computes as much, forward and
 * backward, and the share of the experts' rows that is computed for nothing. */
#include "jobs/bench_layer.h"
#include "jobs/put.h"
#include "tensor/experts.h"

enum { EXPERTS = 16, WIDTH = 512, HIDDEN = 2048 };

static void tell_waste(wf_bench *b, wf_bench_line *line, const wf_bench_layer *layer, double dense) {
    double waste = wf_dispatch_waste(layer->one.blocks->data, EXPERTS), ratio = dense / line->ours.median;
    wf_put_number(b->job->arena, line->extra, "wasted_rows", waste);
    wf_put_number(b->job->arena, line->extra, "of_dense", ratio);
    line->note = wf_bench_text(b, "%.2fx of the dense layer; %.1f %% of the rows for nothing", ratio, 100.0 * waste);
}

static weft_status run_layer(wf_bench *b, const char *label, const char *channel, int64_t tokens, bool bf16, double *median) {
    wf_bench_layer layer;
    wf_bench_layer_case c = {.mixer = "\"mixer\": \"lstm\", \"hidden\": 8",
                             .channel = channel,
                             .use = WF_LAYER_TRAIN,
                             .dim = WIDTH,
                             .batch = 1,
                             .rows = tokens,
                             .bf16 = bf16};
    wf_bench_line *line = wf_bench_add(b, "%s, %lld tokens, %s", label, (long long)tokens, bf16 ? "bf16" : "fp32");
    if (!line)
        return wf_fail_memory(b->job->err);
    line->tokens = (double)tokens;
    weft_status status = wf_bench_layer_open(b, &c, &layer);
    if (status == WEFT_OK)
        status = wf_bench_rounds(b, line, NULL, 9, wf_bench_layer_once, &layer);
    if (status == WEFT_OK && layer.one.blocks)
        tell_waste(b, line, &layer, *median);
    else if (status == WEFT_OK)
        *median = line->ours.median;
    wf_bench_layer_close(&layer);
    return status;
}

static weft_status run(wf_bench *b) {
    static const int64_t tokens[] = {1024, 4096};
    for (size_t i = 0; i < (b->quick ? 1u : 2u); i++)
        for (int bf16 = 0; bf16 < 2; bf16++) {
            double dense;
            WF_TRY(run_layer(b, "dense",
                             wf_bench_text(b, "\"mixer\": \"mlp\", \"hidden\": %d, \"activation\": \"relu\"", HIDDEN),
                             tokens[i], bf16, &dense));
            WF_TRY(run_layer(b, "switch",
                             wf_bench_text(b,
                                           "\"mixer\": \"moe\", \"hidden\": %d, \"activation\": \"relu\", \"gated\": false, "
                                           "\"experts\": %d, \"top_k\": 1",
                                           HIDDEN, EXPERTS),
                             tokens[i], bf16, &dense));
        }
    return WEFT_OK;
}

const wf_bench_row wf_bench_experts = {
    "experts", "a Switch layer of 16 experts, 512 wide, against a dense layer of the same FLOPs, forward and backward", run};
