#include "texts.h"

static const cli_option options[] = {
    {"question", CLI_TEXT, "TEXT", NULL, "the question about every text; without it records have a field of their own", NULL},
    {"input", CLI_TEXT, "NAME", "by the file's name", "what the texts are: text, jsonl, csv or tsv", NULL},
    {"field", CLI_LIST, "A,B", "question,context",
     "members of JSONL objects or columns of tables (numbers: a table without a header line)", NULL},
    {"lines", CLI_FLAG, NULL, NULL, "every line of a text file is a context of its own, not the whole file", NULL},
    {"top-k", CLI_VALUE, "N", "1", "answers, the best first", NULL},
    {"no-answer", CLI_FLAG, NULL, NULL, "that there is none is an answer too, of models that learnt it", NULL},
    {"longest", CLI_VALUE, "N", "15", "tokens of an answer", NULL},
    {"max-length", CLI_VALUE, "N", "384", "tokens of a window of the context, with the question", NULL},
    {"stride", CLI_VALUE, "N", "128", "tokens that windows share", NULL},
    {"batch", CLI_VALUE, "N", "1024", "tokens of a batch", NULL},
    {"precision", CLI_TEXT, "TYPE", "fp32", "fp32, bf16 or int8", NULL},
    {NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

static int run(cli_run *run) { return cli_run_texts(run, weft_answer); }

const cli_command cli_command_answer = {
    .name = "answer",
    .about = "the words of a text that answer a question",
    .arguments = "MODEL [TEXT...]",
    .options = options,
    .run = run,
    .details =
        "TEXT is a file, a folder, or - for standard input (the default), gzipped or not. A text file is one context; JSON\n"
        "lines and tables have a question and a context each. A line goes out for every context: ANSWER<tab>SCORE<tab>START\n"
        "<tab>END, in characters from 0; --json prints a JSON object a line. Contexts of any length are read in windows.\n\n"
        "examples:\n  weft answer squad-model --question 'Who wrote it?' book.txt\n"
        "  weft answer squad-model questions.jsonl --top-k 3 --json\n"};
