/* bench_layers.c - layers that promise a cost linear in time: time per token at growing lengths, and what the core adds to its
 * projections. */
#include <string.h>
#include "jobs/bench_layer.h"
#include "jobs/put.h"

typedef struct parts {
    double projections, core; /* seconds by the profile of the last run */
} parts;

static void add_profile(void *user, const char *op, wf_pass pass, double seconds, int calls) {
    parts *p = user;
    (void)pass;
    (void)calls;
    *(strcmp(op, "linear") == 0 ? &p->projections : &p->core) += seconds;
}

typedef struct length_run {
    wf_bench_layer layer;
    int64_t rows;
} length_run;

/* Seconds of a thousand tokens. */
static weft_status once(void *state, double *seconds, weft_error *err) {
    length_run *r = state;
    WF_TRY(wf_bench_layer_once(&r->layer, seconds, err));
    *seconds *= 1000.0 / (double)r->rows;
    return WEFT_OK;
}

static void tell_core(wf_bench *b, wf_bench_line *line, const wf_tape *tape) {
    parts p = {0};
    wf_tape_profile_each(tape, add_profile, &p);
    wf_put_number(b->job->arena, line->extra, "core_over_projections", p.core / p.projections);
    line->note = wf_bench_text(b, "core %.0f %% of the projections", 100.0 * p.core / p.projections);
}

static weft_status run_length(wf_bench *b, const char *name, const char *mixer, int64_t rows, double *median) {
    length_run r = {.rows = rows};
    wf_bench_line *line = wf_bench_add(b, "%s T=%lldk, 1000 tokens", name, (long long)rows / 1024);
    if (!line)
        return wf_fail_memory(b->job->err);
    wf_bench_layer_case c = {.mixer = mixer, .use = WF_LAYER_TRAIN, .dim = 512, .batch = 1, .rows = rows};
    weft_status status = wf_bench_layer_open(b, &c, &r.layer);
    if (status == WEFT_OK)
        status = wf_bench_rounds(b, line, NULL, rows > 16384 ? 3 : 7, once, &r);
    if (status == WEFT_OK) {
        tell_core(b, line, r.layer.one.tape);
        *median = line->ours.median;
    }
    wf_bench_layer_close(&r.layer);
    return status;
}

static weft_status run_mixer(wf_bench *b, const char *name, const char *mixer) {
    static const int64_t lengths[] = {1024, 8192, 65536};
    double low = 0.0, high = 0.0, t = 0.0;
    for (size_t i = 0; i < (b->quick ? 2u : 3u); i++) {
        WF_TRY(run_length(b, name, mixer, lengths[i], &t));
        low = i == 0 || t < low ? t : low;
        high = i == 0 || t > high ? t : high;
    }
    wf_put_number(b->job->arena, b->last->extra, "slowest_over_fastest_length", high / low);
    b->last->note = wf_bench_text(b, "%s; slowest length %.0f %% above the fastest", b->last->note, 100.0 * (high / low - 1.0));
    return WEFT_OK;
}

static weft_status run(wf_bench *b) {
    WF_TRY(run_mixer(b, "mamba", "\"mixer\": \"mamba\""));
    WF_TRY(run_mixer(b, "linear_attention", "\"mixer\": \"linear_attention\", \"heads\": 8, \"causal\": true"));
    return run_mixer(b, "retention", "\"mixer\": \"retention\", \"heads\": 8");
}

const wf_bench_row wf_bench_layers = {
    "layers", "mamba, linear attention and retention, width 512, forward and backward: time per token as T grows", run};
