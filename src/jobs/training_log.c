/* training_log.c - the two logs of a run. Lines are flushed as they are written: a killed run loses at most the one in flight.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/reader.h"
#include "jobs/learning.h"

static const char header[] = "step,loss,lr,grad_norm,tokens,seconds,validation_loss,bits_per_byte\n";

/* The step a line is about; -1 when it has none (a header, or a line cut by a kill). */
static int64_t step_of(const char *line, size_t n) {
    static const char key[] = "{\"step\": ";
    size_t at = n > sizeof key && memcmp(line, key, sizeof key - 1) == 0 ? sizeof key - 1 : 0, digits = 0;
    int64_t step;
    while (at + digits < n && line[at + digits] >= '0' && line[at + digits] <= '9')
        digits++;
    return digits && wf_parse_i64(line + at, digits, &step) ? step : -1;
}

/* Keeps the lines of the first `step` steps. */
static weft_status keep_lines(const wf_mem *mem, const char *path, int64_t step, weft_error *err) {
    wf_file file;
    wf_str kept = wf_str_new(mem);
    if (!wf_is_file(path))
        return WEFT_OK;
    WF_TRY(wf_file_open(mem, path, false, 0, &file, err));
    for (size_t at = 0; at < file.size;) {
        const char *line = (const char *)file.data + at, *end = memchr(line, '\n', file.size - at);
        size_t n = end ? (size_t)(end - line) + 1 : file.size - at;
        int64_t s = step_of(line, n);
        if (end && s >= 0 && s <= step)
            wf_str_put(&kept, line, n);
        at += n;
    }
    wf_file_close(&file);
    bool csv = wf_ends_with(path, ".csv");
    wf_str all = wf_str_new(mem);
    if (csv)
        wf_str_puts(&all, header);
    wf_str_put(&all, wf_str_text(&kept), kept.length);
    weft_status status =
        all.failed || kept.failed ? wf_fail_memory(err) : wf_write_file(mem, path, wf_str_text(&all), all.length, err);
    wf_str_free(&kept);
    wf_str_free(&all);
    return status;
}

static weft_status open_one(const wf_mem *mem, const char *out, const char *name, int64_t step, void **file, weft_error *err) {
    wf_arena arena;
    wf_arena_init(&arena, mem, 0);
    char *path = wf_path_join(&arena, out, name);
    weft_status status = path ? WEFT_OK : wf_fail_memory(err);
    if (status == WEFT_OK && step > 0)
        status = keep_lines(mem, path, step, err);
    if (status == WEFT_OK) {
        FILE *f = fopen(path, step > 0 ? "ab" : "wb");
        if (!f)
            status = wf_fail(err, WEFT_FAILURE, "%s: %s", path, strerror(errno));
        else if (step == 0 && wf_ends_with(name, ".csv"))
            fwrite(header, 1, sizeof header - 1, f);
        *file = f;
    }
    wf_arena_free(&arena);
    return status;
}

weft_status wf_training_log_open(const wf_mem *mem, const char *out, int64_t step, wf_training_log *log, weft_error *err) {
    WF_TRY(open_one(mem, out, "log.jsonl", step, &log->json, err));
    return open_one(mem, out, "log.csv", step, &log->csv, err);
}

static weft_status put_line(void *file, const char *line, weft_error *err) {
    size_t n = strlen(line);
    if (fwrite(line, 1, n, file) != n || fflush(file) != 0)
        return wf_fail(err, WEFT_FAILURE, "the log cannot be written: %s", strerror(errno));
    return WEFT_OK;
}

weft_status wf_training_log_step(wf_training_log *log, int64_t step, const wf_step_result *r, double seconds, weft_error *err) {
    char line[256];
    snprintf(line, sizeof line,
             "{\"step\": %lld, \"loss\": %.9g, \"lr\": %.9g, \"grad_norm\": %.9g, \"tokens\": %lld, \"seconds\": %.6f}\n",
             (long long)step, r->loss, r->lr, r->grad_norm, (long long)r->tokens, seconds);
    WF_TRY(put_line(log->json, line, err));
    snprintf(line, sizeof line, "%lld,%.9g,%.9g,%.9g,%lld,%.6f,,\n", (long long)step, r->loss, r->lr, r->grad_norm,
             (long long)r->tokens, seconds);
    return put_line(log->csv, line, err);
}

weft_status wf_training_log_eval(wf_training_log *log, int64_t step, const wf_evaluation *e, weft_error *err) {
    char line[192];
    snprintf(line, sizeof line, "{\"step\": %lld, \"validation_loss\": %.9g, \"bits_per_byte\": %.9g}\n", (long long)step,
             e->nats, e->bits_per_byte);
    WF_TRY(put_line(log->json, line, err));
    snprintf(line, sizeof line, "%lld,,,,,,%.9g,%.9g\n", (long long)step, e->nats, e->bits_per_byte);
    return put_line(log->csv, line, err);
}

void wf_training_log_close(wf_training_log *log) {
    if (log->json)
        fclose(log->json);
    if (log->csv)
        fclose(log->csv);
    *log = (wf_training_log){NULL, NULL};
}
