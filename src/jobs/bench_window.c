/* bench_window.c - from which length on a window of 256 keys is faster than full attention, forward and backward. */
#include <math.h>
#include "jobs/bench_layer.h"
#include "jobs/put.h"

enum { LENGTHS = 6 };
#define ATTENTION "\"mixer\": \"attention\", \"heads\": 8, \"causal\": true"

/* Full and windowed in turn, so that what disturbs one disturbs the other. */
static weft_status measure(wf_bench *b, wf_bench_layer *full, wf_bench_layer *window, int64_t rows, double medians[2]) {
    wf_bench_line *line[2] = {wf_bench_add(b, "full, T=%lld", (long long)rows),
                              wf_bench_add(b, "window 256, T=%lld", (long long)rows)};
    double seconds = 0.0;
    if (!line[0] || !line[1])
        return wf_fail_memory(b->job->err);
    int rounds = b->rounds > 0 ? (int)b->rounds : 15;
    for (int i = -1; i < rounds; i++)
        for (int w = 0; w < 2; w++) {
            WF_TRY(wf_stopped(b->job->env));
            WF_TRY(wf_bench_layer_once(w ? window : full, &seconds, b->job->err));
            if (i >= 0) /* the first warms up */
                wf_series_add(&line[w]->ours, seconds);
        }
    for (int w = 0; w < 2; w++) {
        wf_series_sort(&line[w]->ours);
        medians[w] = line[w]->ours.median;
    }
    line[1]->note = wf_bench_text(b, "%.2fx of full attention", medians[0] / medians[1]);
    return WEFT_OK;
}

static weft_status run_length(wf_bench *b, int64_t rows, double medians[2]) {
    wf_bench_layer full = {0}, window = {0};
    wf_bench_layer_case c = {.mixer = ATTENTION, .use = WF_LAYER_TRAIN, .dim = 512, .batch = 1, .rows = rows};
    weft_status status = wf_bench_layer_open(b, &c, &full);
    c.mixer = ATTENTION ", \"window\": [255, 0]";
    if (status == WEFT_OK)
        status = wf_bench_layer_open(b, &c, &window);
    if (status == WEFT_OK)
        status = measure(b, &full, &window, rows, medians);
    wf_bench_layer_close(&full);
    wf_bench_layer_close(&window);
    return status;
}

static weft_status run(wf_bench *b) {
    static const double lengths[LENGTHS] = {384, 512, 768, 1024, 2048, 4096};
    double full[LENGTHS], window[LENGTHS];
    int n = b->quick ? 3 : LENGTHS;
    for (int i = 0; i < n; i++) {
        double medians[2] = {0.0, 0.0};
        WF_TRY(run_length(b, (int64_t)lengths[i], medians));
        full[i] = medians[0];
        window[i] = medians[1];
    }
    double cross = wf_bench_crossover(lengths, full, window, n);
    wf_put_number(b->job->arena, b->result, "crossover", cross);
    b->last->note = isnan(cross) ? wf_bench_text(b, "%s; no crossover", b->last->note)
                                 : wf_bench_text(b, "%s; faster from %.0f tokens on", b->last->note, cross);
    return WEFT_OK;
}

const wf_bench_row wf_bench_window = {
    "window", "a window of 256 keys against full attention, 8 heads of 64, forward and backward: the length from which it pays",
    run};
