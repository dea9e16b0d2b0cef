/* bench_long_attention.c - the memory of full attention, forward and backward, as sequences grow: a number of bytes for each
 * token, whatever their number. */
#include <stdio.h>
#include "jobs/bench_layer.h"
#include "jobs/inspect.h"
#include "jobs/peak.h"
#include "jobs/put.h"

static weft_status run_length(wf_bench *b, int64_t rows, double *bytes) {
    wf_bench_layer layer;
    double before, seconds = 0.0;
    char text[16];
    if (!wf_peak_begin(&before)) {
        b->skipped = "no /proc/self/clear_refs, so the peak cannot be measured";
        return WEFT_OK;
    }
    weft_status status = wf_bench_attention_open(b, rows, 2, false, &layer);
    if (status == WEFT_OK)
        status = wf_bench_layer_once(&layer, &seconds, b->job->err);
    *bytes = wf_peak_bytes() - before;
    wf_bench_layer_close(&layer);
    WF_TRY(status);
    wf_bench_line *line = wf_bench_add(b, "T=%lld", (long long)rows);
    if (!line)
        return wf_fail_memory(b->job->err);
    wf_series_add(&line->ours, seconds);
    wf_series_sort(&line->ours);
    wf_format_bytes(*bytes, text);
    wf_put_number(b->job->arena, line->extra, "peak_bytes", *bytes);
    line->note = wf_bench_text(b, "peak %s, %.0f bytes a token", text, *bytes / (double)rows);
    return WEFT_OK;
}

static weft_status run(wf_bench *b) {
    static const int64_t lengths[] = {16384, 32768, 65536};
    double first = 0.0, last = 0.0;
    for (int i = 0; i < 3 && !b->skipped; i++) {
        WF_TRY(run_length(b, b->quick ? lengths[i] / 16 : lengths[i], &last));
        first = i == 0 ? last : first;
    }
    if (!b->skipped)
        b->last->note = wf_bench_text(b, "%s; %.2f times the first for 4 times the tokens", b->last->note, last / first);
    return WEFT_OK;
}

const wf_bench_row wf_bench_long_attention = {.name = "long_attention",
                                              .about = "full causal attention, two heads of 64, forward and backward at 16k, "
                                                       "32k and 64k tokens: the peak of its memory",
                                              .run = run,
                                              .on_request = true};
