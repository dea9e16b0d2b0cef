#include "texts.h"

static const cli_option options[] = {
    CLI_TEXT_OPTIONS,
    {"from", CLI_TEXT, "CODE", "the tokenizer's", "the language of the texts: en_XX, eng_Latn, en", NULL},
    {"to", CLI_TEXT, "CODE", "the model's", "the language of the translations", NULL},
    {"prefix", CLI_TEXT, "TEXT", "the config's", "what stands before every text; T5: 'translate English to German: '", NULL},
    {"max-tokens", CLI_VALUE, "N", "the model's, or 256", "tokens of a translation at most", NULL},
    CLI_SAMPLING("0", "1"),
    CLI_BEAMS,
    {NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

static int run(cli_run *run) { return cli_run_texts(run, weft_translate); }

const cli_command cli_command_translate = {
    .name = "translate",
    .about = "what an encoder-decoder writes to every text",
    .arguments = "MODEL [TEXT...]",
    .options = options,
    .run = run,
    .details = CLI_TEXT_DETAILS
    "\n\nA line is the translation. Models with the tokens of many languages take --from and --to; T5 takes its prefix\n"
    "from the config where that has just one, or by --from and --to. Several --sequences stand in one line, with tabs\n"
    "between them.\n\n"
    "examples:\n  echo 'The house is wonderful.' | weft translate t5-small --from en --to de\n"
    "  weft translate nllb letters.jsonl --field body --from eng_Latn --to fra_Latn --json\n"};
