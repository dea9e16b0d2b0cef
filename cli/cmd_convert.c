#include <string.h>
#include "command.h"

static const cli_option options[] = {
    {"dtype", CLI_TEXT, "TYPE", "as it is", "fp32, fp16 or bf16", NULL},
    {"shard-size", CLI_TEXT, "SIZE", "5GB",
     "most bytes of a file of weights, such as 2GB or 500MB; more makes shards with an index", "shard_size"},
    {"prefix", CLI_TEXT, "add|strip", "keep",
     "the first part of the names that a base model leaves out (model., transformer., ..)", NULL},
    {"adapter", CLI_TEXT, "DIR", NULL, "a LoRA adapter, a folder in PEFT's format", NULL},
    {"merge", CLI_FLAG, NULL, NULL, "put the adapter into the weights", NULL},
    {NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

/* The model and the new folder, then the options. */
static int run(cli_run *run) {
    cli_buffer json = {0};
    weft_error err = {0};
    weft_result result = {NULL, NULL};
    if (run->n_rest != 2) {
        fprintf(stderr, "weft convert: %s (see: weft help convert)\n",
                run->n_rest == 0   ? "which model?"
                : run->n_rest == 1 ? "where to?"
                                   : "a model and a new folder, no more");
        return WEFT_USAGE;
    }
    cli_puts(&json, "{\"model\": ");
    cli_put_json_string(&json, run->rest[0], strlen(run->rest[0]));
    cli_puts(&json, ", \"out\": ");
    cli_put_json_string(&json, run->rest[1], strlen(run->rest[1]));
    cli_puts(&json, strcmp(run->options, "{}") == 0 ? "" : ", ");
    cli_puts(&json, run->options + 1);
    weft_status status = json.failed ? WEFT_NO_MEMORY : weft_convert(run->lib, json.data, cli_progress, run, &result, &err);
    cli_buffer_free(&json);
    return cli_finish(run, status, &result, &err);
}

const cli_command cli_command_convert = {
    .name = "convert",
    .about = "write a model folder anew: another number type, shards, an adapter merged into it",
    .arguments = "MODEL OUT",
    .options = options,
    .run = run,
    .details =
        "OUT must be new or empty. Tokenizer, configs and the other files come along; what need not change keeps its bits.\n\n"
        "examples:\n  weft convert model model-bf16 --dtype bf16 --shard-size 2GB\n"
        "  weft convert model tuned --adapter run --merge\n"};
