/* texts.c - texts through a model: lines on stdout as they come. */
#include "texts.h"
#include <string.h>

static int write_piece(void *user, const char *text, size_t length) {
    (void)user;
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
    complete(run, &json);
    weft_status status = json.failed ? WEFT_NO_MEMORY : job(run->lib, json.data, write_piece, NULL, &result, &err);
    cli_buffer_free(&json);
    weft_result_free(run->lib, &result);
    fflush(stdout);
    err.status = status;
    return status == WEFT_OK ? 0 : cli_fail(&err);
}
