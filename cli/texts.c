/* texts.c - texts through a model: lines on stdout as they come. */
#include "texts.h"
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TOLD = 256 }; /* they come by the thousand */

/* Results that go to a file or a pipe: a terminal on stderr sees how many there are. */
typedef struct telling {
    const cli_run *run;
    bool shown;
    long long texts;
    double began, last;
} telling;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void tell(telling *t) {
    double now = seconds();
    if (++t->texts % TOLD != 0 || !t->shown || now - t->last < 0.2)
        return;
    t->last = now;
    fprintf(stderr, "\r\033[K%s: %lld texts  %.0f texts/s", t->run->command->name, t->texts,
            (double)t->texts / (now - t->began));
    fflush(stderr);
}

static int write_piece(void *user, const char *text, size_t length) {
    tell(user);
    return fwrite(text, 1, length, stdout) != length;
}

static void complete(const cli_run *run, cli_buffer *json) {
    cli_puts(json, "{\"model\": ");
    cli_put_json_string(json, run->rest[0], strlen(run->rest[0]));
    for (int i = 1; i < run->n_rest; i++) {
        cli_puts(json, i > 1 ? ", " : ", \"text\": [");
        cli_put_json_string(json, run->rest[i], strlen(run->rest[i]));
    }
    cli_puts(json, run->n_rest > 1 ? "]" : "");
    cli_puts(json, run->json ? ", \"json\": true" : "");
    cli_puts(json, strcmp(run->options, "{}") == 0 ? "" : ", ");
    cli_puts(json, run->options + 1);
}

int cli_run_texts(cli_run *run, cli_text_job job) {
    cli_buffer json = {0};
    weft_error err = {0};
    weft_result result = {NULL, NULL};
    if (run->n_rest < 1) {
        fprintf(stderr, "weft %s: which model? (see: weft help %s)\n", run->command->name, run->command->name);
        return WEFT_USAGE;
    }
    telling t = {.run = run, .shown = run->terminal && !run->quiet && !isatty(1), .began = seconds()};
    complete(run, &json);
    weft_status status = json.failed ? WEFT_NO_MEMORY : job(run->lib, json.data, write_piece, &t, &result, &err);
    if (t.shown)
        fputs("\r\033[K", stderr);
    cli_buffer_free(&json);
    weft_result_free(run->lib, &result);
    fflush(stdout);
    err.status = status;
    return status == WEFT_OK ? 0 : cli_fail(&err);
}
