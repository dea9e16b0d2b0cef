/* bench_peer.c - the program a benchmark is compared with: a shell command, run between weft's own rounds. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include "jobs/bench.h"

enum { ABSENT = 77, OUTPUT_MAX = 1 << 20 };

/* Pins of somebody's environment would handicap the peer: a pinned core type halves OpenBLAS. */
static const char unpinned[] =
    "unset OPENBLAS_CORETYPE MKL_DEBUG_CPU_TYPE MKL_ENABLE_INSTRUCTIONS ONEDNN_MAX_CPU_ISA DNNL_MAX_CPU_ISA "
    "NPY_DISABLE_CPU_FEATURES ATEN_CPU_CAPABILITY; ";

/* A variable of the peer's environment, whatever its value holds. */
static void export_text(wf_str *out, const char *name, const char *value) {
    wf_str_printf(out, "export %s='", name);
    for (; *value; value++)
        wf_str_puts(out, *value == '\'' ? "'\\''" : (char[]){*value, 0});
    wf_str_puts(out, "'; ");
}

static weft_status command(wf_bench *b, const wf_bench_case *c, wf_str *out) {
    wf_str_puts(out, unpinned);
    wf_str_printf(
        out,
        "export WEFT_BENCH=%s WEFT_BENCH_THREADS=%d WEFT_BENCH_BATCH=%lld WEFT_BENCH_CONTEXT=%lld WEFT_BENCH_PRECISION=%s; ",
        b->name, wf_pool_threads(b->job->env->pool), (long long)c->batch, (long long)c->context,
        c->precision ? c->precision : "");
    const char *const more[][2] = {{"WEFT_BENCH_DATA", b->data},
                                   {"WEFT_BENCH_CASE", c->name},
                                   {"WEFT_BENCH_SUBJECT", c->subject},
                                   {"WEFT_BENCH_WAY", c->way}};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        if (more[i][1])
            export_text(out, more[i][0], more[i][1]);
    wf_str_puts(out, b->peer);
    return out->failed ? wf_fail_memory(b->job->err) : WEFT_OK;
}

static weft_status collect(wf_bench *b, const char *text, wf_str *output, int *code) {
    char block[4096];
    FILE *pipe = popen(text, "r");
    if (!pipe)
        return wf_fail(b->job->err, WEFT_FAILURE, "the peer command could not be started");
    for (size_t n; (n = fread(block, 1, sizeof block, pipe)) > 0 && output->length < OUTPUT_MAX;)
        wf_str_put(output, block, n);
    int status = pclose(pipe);
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    WF_TRY(wf_stopped(b->job->env));
    return output->failed ? wf_fail_memory(b->job->err) : WEFT_OK;
}

/* The last line of the output that is a JSON object: a peer may chat before it. */
static const char *last_object(const wf_str *output, size_t *length) {
    const char *text = wf_str_text(output), *found = NULL;
    for (const char *line = text; line && *line;) {
        const char *end = strchr(line, '\n');
        size_t n = end ? (size_t)(end - line) : strlen(line);
        if (n > 0 && line[0] == '{') {
            found = line;
            *length = n;
        }
        line = end ? end + 1 : NULL;
    }
    return found;
}

static weft_status read_seconds(wf_bench *b, const wf_str *output, int code, double *seconds) {
    size_t n = 0;
    const char *text = last_object(output, &n);
    wf_json *j;
    WF_CHECK(code == 0, b->job->err, WEFT_FAILURE, "the peer command ended with code %d", code);
    WF_CHECK(text, b->job->err, WEFT_FAILURE, "the peer command printed no JSON object");
    if (wf_json_parse(b->job->arena, text, n, 1000, &j, b->job->err) != WEFT_OK)
        return wf_fail_in(b->job->err, "the peer's output");
    *seconds = wf_json_double(j, "seconds", 0.0);
    WF_CHECK(*seconds > 0, b->job->err, WEFT_FAILURE, "the peer's output has no positive 'seconds'");
    return WEFT_OK;
}

weft_status wf_bench_run_peer(wf_bench *b, const wf_bench_case *c, double *seconds, bool *absent) {
    wf_str text = wf_str_new(&b->job->env->mem), output = wf_str_new(&b->job->env->mem);
    int code = -1;
    weft_status status = command(b, c, &text);
    if (status == WEFT_OK)
        status = collect(b, wf_str_text(&text), &output, &code);
    *absent = status == WEFT_OK && code == ABSENT;
    if (status == WEFT_OK && !*absent)
        status = read_seconds(b, &output, code, seconds);
    wf_str_free(&text);
    wf_str_free(&output);
    return status;
}
