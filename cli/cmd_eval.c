#include <string.h>
#include "command.h"

static const cli_option options[] = {
    {"context", CLI_VALUE, "N", "the model's", "tokens of a window; each window is predicted from its own start", NULL},
    {"batch", CLI_VALUE, "N", "1024 tokens", "windows at a time", NULL},
    {"windows", CLI_VALUE, "N", "all", "at most so many windows, evenly spread", NULL},
    {"precision", CLI_TEXT, "TYPE", "fp32", "fp32, bf16 or int8", NULL},
    {"by-position", CLI_FLAG, NULL, NULL, "also the loss at each position of a window", NULL},
    CLI_INPUT,
    {"field", CLI_LIST, "A,B", "text", "members of JSONL objects or columns of tables (numbers: a table without a header line)",
     NULL},
    CLI_ADAPTER,
    CLI_TOKENIZER,
    {NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

/* The first argument is the model, the others are texts. */
static int run(cli_run *run) {
    cli_buffer json = {0};
    weft_error err = {0};
    weft_result result = {NULL, NULL};
    if (run->n_rest < 2) {
        fprintf(stderr, "weft eval: which %s? (see: weft help eval)\n", run->n_rest ? "text" : "model");
        return WEFT_USAGE;
    }
    cli_puts(&json, "{\"model\": ");
    cli_put_json_string(&json, run->rest[0], strlen(run->rest[0]));
    cli_puts(&json, ", \"text\": [");
    for (int i = 1; i < run->n_rest; i++) {
        cli_puts(&json, i > 1 ? ", " : "");
        cli_put_json_string(&json, run->rest[i], strlen(run->rest[i]));
    }
    cli_puts(&json, strcmp(run->options, "{}") == 0 ? "]" : "], ");
    cli_puts(&json, run->options + 1);
    weft_status status = json.failed ? WEFT_NO_MEMORY : weft_eval(run->lib, json.data, cli_progress, run, &result, &err);
    cli_buffer_free(&json);
    return cli_finish(run, status, &result, &err);
}

const cli_command cli_command_eval = {
    .name = "eval",
    .about = "how well a model predicts a text: loss, perplexity, bits per byte",
    .arguments = "MODEL TEXT...",
    .options = options,
    .run = run,
    .details = "TEXT is a file, a folder, or - for standard input; plain, JSON lines, CSV or TSV, gzipped or not.\n\n"
               "examples:\n  weft eval run book.txt\n  weft eval run reviews.csv --field title,text --by-position --json\n"};
