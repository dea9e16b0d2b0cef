#include "texts.h"

static const cli_option options[] = {
    CLI_TEXT_OPTIONS,
    {"pair", CLI_TEXT, "NAME", NULL, "the field of a second text, of models that compare two", NULL},
    {"top-k", CLI_VALUE, "N", "1", "classes shown, the best first; 0: all", NULL},
    {"threshold", CLI_VALUE, "X", NULL, "show every class with at least this score", NULL},
    {"function", CLI_TEXT, "NAME", "by the model's config", "of the logits: softmax, sigmoid or none", NULL},
    {NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

static int run(cli_run *run) { return cli_run_texts(run, weft_classify); }

const cli_command cli_command_classify = {
    .name = "classify",
    .about = "the class of every text, with its score",
    .arguments = "MODEL [TEXT...]",
    .options = options,
    .run = run,
    .details = CLI_TEXT_DETAILS
    "\n\nA line is LABEL<tab>SCORE, and so on with --top-k; --json has all scores. Scores are probabilities (one class of\n"
    "several: softmax; several at a time: sigmoid) or, of a regression, the number itself. A model for multiple choice takes\n"
    "JSON lines with \"text\", maybe \"question\", and a list \"choices\".\n\n"
    "examples:\n  weft classify sentiment reviews.txt\n  weft classify nli pairs.jsonl --field premise --pair hypothesis "
    "--json\n"
    "  weft classify topics news.csv --field title,body --threshold 0.5\n"};
