#include "texts.h"

static const cli_option options[] = {
    {"query", CLI_TEXT, "TEXT", NULL, "what the texts are compared with", NULL},
    CLI_TEXT_OPTIONS,
    {"top-k", CLI_VALUE, "N", "0", "texts shown; 0: all", NULL},
    {"raw", CLI_FLAG, NULL, NULL, "logits instead of what the model's config makes of them", NULL},
    {"label", CLI_TEXT, "NAME", NULL, "the class that counts, of models with several", NULL},
    {NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

static int run(cli_run *run) { return cli_run_texts(run, weft_rerank); }

const cli_command cli_command_rerank = {
    .name = "rerank",
    .about = "texts sorted by how well they answer a query",
    .arguments = "MODEL [TEXT...]",
    .options = options,
    .run = run,
    .details =
        "TEXT is a file, a folder, or - for standard input (the default): lines, JSON lines, CSV or TSV, gzipped or not.\n"
        "A line is SCORE<tab>TEXT, the best first; --json prints objects with \"index\" (of the text, from 0), \"score\" and\n"
        "\"text\". The model is a cross-encoder: one class for a pair of texts.\n\n"
        "examples:\n  weft rerank ms-marco-MiniLM --query 'how to sharpen a knife' passages.txt --top-k 10\n"};
