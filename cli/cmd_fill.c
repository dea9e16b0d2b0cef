#include "texts.h"

static const cli_option options[] = {CLI_TEXT_OPTIONS,
                                     {"top-k", CLI_VALUE, "N", "5", "tokens shown, the best first", NULL},
                                     {"mask", CLI_TEXT, "TEXT", "the model's", "how the texts write what is missing", NULL},
                                     {"targets", CLI_LIST, "A,B", NULL, "only these tokens", NULL},
                                     {NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

static int run(cli_run *run) { return cli_run_texts(run, weft_fill); }

const cli_command cli_command_fill = {.name = "fill",
                                      .about = "words for the gaps of every text",
                                      .arguments = "MODEL [TEXT...]",
                                      .options = options,
                                      .run = run,
                                      .details = CLI_TEXT_DETAILS
                                      "\n\nA line is TOKEN<tab>SCORE<tab>TOKEN<tab>SCORE ..., one for every mask.\n\n"
                                      "examples:\n  echo 'Paris is the [MASK] of France.' | weft fill bert\n"
                                      "  weft fill roberta cloze.txt --mask ___ --targets good,bad --json\n"};
