/* run.c - running a job: progress as one changing line on a terminal, plain finished lines elsewhere; result on stdout. */
#include <math.h>
#include <string.h>
#include "command.h"

static void put_time(char out[24], double seconds) {
    long s = (long)seconds;
    if (s >= 3600)
        snprintf(out, 24, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, 24, "%ld:%02ld", s / 60, s % 60);
}

static void put_tick(const weft_progress *p) {
    char left[24] = "";
    fputs("\r\033[K", stderr);
    if (p->index >= 0 && p->count > 1)
        fprintf(stderr, "[%lld/%lld] ", (long long)p->index + 1, (long long)p->count);
    fprintf(stderr, "%s%s%s", p->subject ? p->subject : "", p->subject ? ": " : "", p->phase);
    if (p->step >= 0 && p->steps > 0)
        fprintf(stderr, " %lld/%lld", (long long)p->step, (long long)p->steps);
    if (!isnan(p->bits_per_byte))
        fprintf(stderr, "  %.3f bits/byte", p->bits_per_byte);
    else if (!isnan(p->loss))
        fprintf(stderr, "  loss %.4f", p->loss);
    if (!isnan(p->tokens_per_second))
        fprintf(stderr, "  %.0f tokens/s", p->tokens_per_second);
    if (!isnan(p->seconds_left)) {
        put_time(left, p->seconds_left);
        fprintf(stderr, "  %s left", left);
    }
    fflush(stderr);
}

void cli_progress(void *user, const weft_progress *p) {
    const cli_run *run = user;
    if (run->quiet)
        return;
    if (p->line) {
        fprintf(stderr, "%s%s\n", run->terminal ? "\r\033[K" : "", p->line);
        return;
    }
    if (run->terminal)
        put_tick(p);
}

/* A result that cannot be written is told by main. */
int cli_fail(const weft_error *err) {
    if (!ferror(stdout))
        fprintf(stderr, "weft: %s\n", err->message[0] ? err->message : weft_status_name(err->status));
    return err->status ? (int)err->status : 1;
}

/* Keys are written as "key": and quotes inside values are escaped, so this finds nothing else. */
bool cli_given(const cli_run *run, const char *key) {
    char quoted[80];
    snprintf(quoted, sizeof quoted, "\"%s\": ", key);
    return strstr(run->options, quoted) != NULL;
}

static void print_result(const cli_run *run, weft_status status, const weft_result *result) {
    bool empty = status != WEFT_OK && result->json && strcmp(result->json, "{}") == 0;
    if (run->json && result->json && !empty)
        printf("%s\n", result->json);
    else if (!run->json && result->text)
        fputs(result->text, stdout);
}

int cli_finish(cli_run *run, weft_status status, weft_result *result, weft_error *err) {
    if (run->terminal && !run->quiet)
        fputs("\r\033[K", stderr);
    print_result(run, status, result);
    weft_result_free(run->lib, result);
    if (status == WEFT_OK)
        return 0;
    err->status = status;
    return cli_fail(err);
}

int cli_run_job(cli_run *run) {
    weft_error err = {0};
    weft_result result = {NULL, NULL};
    weft_status status = run->command->job(run->lib, run->options, cli_progress, run, &result, &err);
    return cli_finish(run, status, &result, &err);
}
