#include "texts.h"

static const cli_option options[] = {
    CLI_TEXT_OPTIONS,
    {"aggregation", CLI_TEXT, "NAME", "simple",
     "of tokens: none, simple (neighbours), or by whole words with the class of their first, average or max token", NULL},
    {"stride", CLI_VALUE, "N", NULL, "long texts are read in windows that share N tokens, instead of being cut off", NULL},
    {"ignore", CLI_LIST, "A,B", "O", "labels that are not shown", NULL},
    {NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

static int run(cli_run *run) { return cli_run_texts(run, weft_tag); }

const cli_command cli_command_tag = {
    .name = "tag",
    .about = "names and other stretches of every text, with their places",
    .arguments = "MODEL [TEXT...]",
    .options = options,
    .run = run,
    .details = CLI_TEXT_DETAILS
    "\n\nA line is TEXT<tab>START<tab>END<tab>LABEL<tab>SCORE<tab>WORDS for every stretch that was found: the number of the\n"
    "text from 1, and characters from 0. With --json there is an object for every text, with its \"entities\".\n\n"
    "examples:\n  weft tag bert-ner letters.txt\n  weft tag bert-ner book.txt --aggregation first --stride 64 --json\n"};
