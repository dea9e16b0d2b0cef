/* texts.h - what the commands share that send texts through a model and print a line for each. */
#ifndef CLI_TEXTS_H
#define CLI_TEXTS_H
#include "command.h"

typedef weft_status (*cli_text_job)(weft *lib, const char *options, weft_text_fn piece, void *user, weft_result *result,
                                    weft_error *err);
/* The first argument is the model, the others are texts; lines go to stdout as they come. */
int cli_run_texts(cli_run *run, cli_text_job job);

/* clang-format off */
#define CLI_TEXT_OPTIONS                                                                                                       \
    {"input", CLI_TEXT, "NAME", "by the file's name", "what the texts are: text (lines), jsonl, csv or tsv", NULL},            \
    {"field", CLI_LIST, "A,B", "text", "members of JSONL objects or columns of tables (numbers: a table without a header line)", NULL},                                 \
    {"max-length", CLI_VALUE, "N", "the model's", "tokens of a text; the rest is cut off, and a warning says so", NULL},       \
    {"batch", CLI_VALUE, "N", "1024", "tokens of a batch", NULL},                                                               \
    {"precision", CLI_TEXT, "TYPE", "fp32", "fp32, bf16 or int8", NULL},                                                       \
    CLI_ADAPTER, CLI_TOKENIZER
/* clang-format on */

#define CLI_TEXT_DETAILS                                                                                                       \
    "TEXT is a file, a folder, or - for standard input (the default): lines, JSON lines, CSV or TSV, gzipped or not. A line\n" \
    "goes out for every text, in order; --json prints a JSON object a line."
#endif
