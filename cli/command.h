/* command.h - the command table. A command is one file cmd_<name>.c (its row) and one line in commands.def; parsing, --help,
 * man pages, completion and "did you mean" all come from the row. The CLI knows only include/weft. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H
#include <stdbool.h>
#include <stdio.h>
#include "weft/weft.h"

typedef enum cli_type {
    CLI_FLAG,  /* --resume */
    CLI_VALUE, /* --lr 1e-3: numbers go into the JSON as numbers, the rest as text */
    CLI_TEXT,  /* always text */
    CLI_LIST,  /* --models a,b,c: a JSON list */
    CLI_MANY   /* --spec A --spec B: a JSON list, one element per use */
} cli_type;

typedef struct cli_option {
    const char *name;
    cli_type type;
    const char *value;    /* what help shows for it: "N", "FILE"; NULL for flags */
    const char *fallback; /* shown in help; the library applies it */
    const char *help;     /* NULL: an older name, which is taken and not shown */
    const char *key;      /* JSON key when it is not the name */
} cli_option;

/* The options of every command that opens a model for use. */
#define CLI_ADAPTER                                                                                                            \
    { "adapter", CLI_TEXT, "DIR", NULL, "open the model with this LoRA adapter, a folder in PEFT's format", NULL }
#define CLI_TOKENIZER                                                                                                          \
    {                                                                                                                          \
        "tokenizer", CLI_TEXT, "FILE", "the folder's",                                                                         \
            "the model's tokenizer, a file or a folder of any kind `tokenize` opens", NULL                                     \
    }

/* Of the commands that write texts. */
/* clang-format off */
#define CLI_SAMPLING(temperature, top_p)                                                                                       \
    {"temperature", CLI_VALUE, "X", "the model's, or " temperature, "0 takes the most likely token each time, as beams do", NULL}, \
    {"top-k", CLI_VALUE, "N", "the model's, or 0", "choose among the N most likely tokens; 0: among all", NULL},               \
    {"top-p", CLI_VALUE, "X", "the model's, or " top_p, "choose among the fewest tokens that hold this probability; 1: among all", NULL}, \
    {"min-p", CLI_VALUE, "X", "the model's, or 0", "leave out tokens below this share of the most likely one", NULL},          \
    {"typical-p", CLI_VALUE, "X", "the model's, or 1", "choose among the tokens nearest to the entropy that hold this probability", NULL}, \
    {"top-h", CLI_VALUE, "X", "the model's, or 0", "choose among the most likely tokens that hold this share of the entropy", NULL}, \
    {"epsilon-cutoff", CLI_VALUE, "X", "the model's, or 0", "leave out tokens less likely than this", NULL},                   \
    {"eta-cutoff", CLI_VALUE, "X", "the model's, or 0", "the same, with less left out where many tokens are likely", NULL},    \
    {"repetition-penalty", CLI_VALUE, "X", "the model's, or 1", "above 1: tokens that were there become less likely", NULL},   \
    {"seed", CLI_VALUE, "N", "0", "the same seed gives the same text", NULL}
#define CLI_BEAMS                                                                                                              \
    {"beams", CLI_VALUE, "N", "the model's", "texts followed at a time, of which the likeliest is written; not with a temperature", NULL}, \
    {"length-penalty", CLI_VALUE, "X", "the model's", "of beams: above 0 longer texts become likelier, below 0 shorter ones", NULL}, \
    {"early-stopping", CLI_TEXT, "WHEN", "the model's", "of beams: true, false or never, as transformers has it", NULL}, \
    {"sequences", CLI_VALUE, "N", "1", "of beams: how many of the texts are written, the likeliest first", NULL}
/* clang-format on */

/* What the texts of a command are that reads whole documents; `--format` was its name. */
/* clang-format off */
#define CLI_INPUT                                                                                                              \
    {"input", CLI_TEXT, "NAME", "by the file's name", "what the texts are: text, jsonl, csv or tsv", "format"},                \
    {"format", CLI_TEXT, "NAME", NULL, NULL, "format"}
/* clang-format on */

typedef struct cli_buffer { /* a growing string; failure is sticky */
    char *data;
    size_t length, capacity;
    bool failed;
} cli_buffer;

typedef struct cli_run {
    const struct cli_command *command;
    weft *lib;
    const char *options; /* JSON */
    bool json, quiet, verbose;
    const char *family; /* path of a family file, or NULL */
    bool terminal;      /* stderr is one: progress is drawn */
    const char **rest;  /* positional arguments */
    int n_rest;
    char **argv; /* as given, after the command's name */
    int argc;
} cli_run;

typedef weft_status (*cli_job)(weft *lib, const char *options, weft_progress_fn progress, void *user, weft_result *result,
                               weft_error *err);

typedef struct cli_command {
    const char *name, *about;
    const char *arguments;     /* "[TEXT...]", shown in usage */
    const char *rest_key;      /* JSON key of the positional arguments; NULL: none are taken */
    bool rest_single;          /* one argument, as text; else a list */
    const cli_option *options; /* ends with a NULL name */
    const char *details;       /* paragraphs after the options: examples, exit codes */
    cli_job job;               /* the library function behind it, or */
    int (*run)(cli_run *run);  /* a function of its own; returns the exit code */
} cli_command;

extern const cli_command *const cli_commands[]; /* NULL-terminated */
extern const cli_option cli_global_options[];   /* --json, --quiet, .. */
const cli_command *cli_find(const char *name);

/* run.c: a job with progress on stderr and its result on stdout; returns the exit code. */
int cli_run_job(cli_run *run);
bool cli_given(const cli_run *run, const char *key); /* whether run->options has this JSON key */
/* The result on stdout (JSON when asked for, else `text`), the error on stderr; the exit code. Frees the result. */
int cli_finish(cli_run *run, weft_status status, weft_result *result, weft_error *err);
void cli_progress(void *user, const weft_progress *progress); /* user: cli_run */
int cli_fail(const weft_error *err);                          /* "weft: message" on stderr; the exit code */
bool cli_reader_gone(void); /* what read stdout has closed it: no reason for a message (main.c) */
/* help.c */
void cli_print_help(FILE *out, const cli_command *command);
void cli_print_overview(FILE *out);
void cli_print_man_overview(FILE *out);
void cli_print_man(FILE *out, const cli_command *command);
/* parse.c: argv after the command's name -> run; false (and a message on stderr) on a usage error; *help set by --help. */
bool cli_parse(const cli_command *command, int argc, char **argv, cli_run *run, cli_buffer *json, int *threads, bool *help);
/* buffer.c */
void cli_put(cli_buffer *b, const char *text, size_t n);
void cli_puts(cli_buffer *b, const char *text);
void cli_put_json_string(cli_buffer *b, const char *text, size_t n);
bool cli_is_json_number(const char *text);
void cli_buffer_free(cli_buffer *b);
/* The command whose name is nearest, NULL when none is near. */
const char *cli_nearest_command(const char *word);
const char *cli_nearest(const char *word, const char *(*next)(const void *user, int i), const void *user);
#endif
