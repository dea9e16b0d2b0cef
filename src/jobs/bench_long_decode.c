/* bench_long_decode.c - what a token costs behind a long context: a block of attention, whose cache is read whole for every
 * token, against blocks of the same width that carry a state of fixed size. */
#include "jobs/bench_layer.h"
#include "jobs/put.h"

enum { WIDTH = 512 };

static const struct {
    const char *name, *mixer;
} mixers[] = {
    {"attention, cache of keys and values", "\"mixer\": \"attention\", \"heads\": 8, \"causal\": true"},
    {"retention", "\"mixer\": \"retention\", \"heads\": 8"},
    {"gla", "\"mixer\": \"gla\", \"heads\": 8"},
    {"mamba2", "\"mixer\": \"mamba2\", \"heads\": 16, \"state\": 128"},
    {"mamba", "\"mixer\": \"mamba\""},
};

typedef struct block {
    wf_bench_layer mixer, channel;
} block;

/* One token of every sequence through the mixer and the channel mixer. */
static weft_status once(void *state, double *seconds, weft_error *err) {
    block *d = state;
    double channel = 0.0;
    WF_TRY(wf_bench_layer_once(&d->mixer, seconds, err));
    WF_TRY(wf_bench_layer_once(&d->channel, &channel, err));
    *seconds += channel;
    return WEFT_OK;
}

static weft_status open_block(wf_bench *b, const char *mixer, int64_t batch, int64_t context, block *d) {
    wf_bench_layer_case c = {.mixer = mixer, .use = WF_LAYER_DECODE, .dim = WIDTH, .batch = batch, .rows = context};
    *d = (block){{NULL}, {NULL}};
    WF_TRY(wf_bench_layer_open(b, &c, &d->mixer));
    c.channel = wf_bench_text(b, "\"mixer\": \"mlp\", \"hidden\": %d, \"activation\": \"gelu\"", 4 * WIDTH);
    c.use = WF_LAYER_FORWARD;
    c.rows = 1;
    return wf_bench_layer_open(b, &c, &d->channel);
}

static weft_status run(wf_bench *b) {
    const int64_t batch = b->quick ? 2 : 64, context = b->quick ? 256 : 8192;
    double full = 0.0;
    for (size_t i = 0; i < sizeof mixers / sizeof *mixers; i++) {
        block d;
        wf_bench_line *line = wf_bench_add(b, "%s", mixers[i].name);
        weft_status status = line ? open_block(b, mixers[i].mixer, batch, context, &d) : wf_fail_memory(b->job->err);
        if (!line)
            return status;
        line->tokens = (double)batch;
        if (status == WEFT_OK)
            status = wf_bench_rounds(b, line, NULL, 9, once, &d);
        wf_bench_layer_close(&d.mixer);
        wf_bench_layer_close(&d.channel);
        WF_TRY(status);
        full = i == 0 ? line->ours.median : full;
        wf_put_number(b->job->arena, line->extra, "of_attention", full / line->ours.median);
        if (i > 0)
            line->note = wf_bench_text(b, "%.1fx the tokens of attention", full / line->ours.median);
    }
    return WEFT_OK;
}

const wf_bench_row wf_bench_long_decode = {
    "long_decode",
    "a block 512 wide decoding behind 8k tokens, batch 64: states of fixed size against a cache of keys and values", run};
