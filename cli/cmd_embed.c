#include "texts.h"

static const cli_option options[] = {
    CLI_TEXT_OPTIONS,
    {"format", CLI_TEXT, "NAME", "jsonl", "of the result: jsonl (a list a line), tsv, npy, fvecs or f32 (bare numbers)", NULL},
    {"pooling", CLI_TEXT, "NAME", "the folder's, else mean", "cls, mean, max, mean_sqrt_len_tokens, weightedmean or lasttoken",
     NULL},
    {"prompt", CLI_TEXT, "NAME", "the folder's", "a prompt that config_sentence_transformers.json names", NULL},
    {"prompt-text", CLI_TEXT, "TEXT", NULL, "put before every text", NULL},
    {"dims", CLI_VALUE, "N", "all", "only the first N numbers of each vector", NULL},
    {"normalize", CLI_FLAG, NULL, NULL, "to length 1, after --dims", NULL},
    {NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

static int run(cli_run *run) { return cli_run_texts(run, weft_embed); }

const cli_command cli_command_embed = {
    .name = "embed",
    .about = "a vector for every text",
    .arguments = "MODEL [TEXT...]",
    .options = options,
    .run = run,
    .details = CLI_TEXT_DETAILS
    "\n\nA sentence-transformers folder (modules.json) says itself how rows become a vector; of any other encoder the mean of\n"
    "the rows is taken.\n\n"
    "examples:\n  weft embed all-MiniLM-L6-v2 notes.txt > notes.jsonl\n"
    "  weft embed e5-base docs.csv --field title,body --prompt-text 'passage: ' --format npy > docs.npy\n"};
