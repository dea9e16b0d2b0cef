#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "command.h"

static const cli_option options[] = {
    {"models", CLI_LIST, "A,B,..", "lstm,gpt2,llama,sliding,linear,retnet,mamba,hybrid",
     "presets, mixers or patterns such as mamba*3+attention", NULL},
    {"spec", CLI_MANY, "FILE", NULL, "a spec as JSON; may be given several times", NULL},
    {"task", CLI_TEXT, "NAME[:KEY=N,..]", NULL, "learn a task instead of a text, see: weft list tasks", NULL},
    {"lengths", CLI_LIST, "N,..", "by the task", "lengths of the exams after training on a task", NULL},
    {"stop-at", CLI_VALUE, "X", "0.999", "accuracy that ends training on a task", "stop_at"},
    {"time", CLI_TEXT, "T", "11s (task: 30s)", "training time per model, shared by its seeds", NULL},
    {"tokens", CLI_VALUE, "N", NULL, "tokens per model and seed instead of a time", NULL},
    {"steps", CLI_VALUE, "N", NULL, "updates per model and seed instead of a time", NULL},
    {"params", CLI_VALUE, "N", "1M (task: 200k)", "parameters of every model (widths are solved)", NULL},
    {"context", CLI_VALUE, "N", "256 (task: 128)", "tokens of a training sequence", NULL},
    {"batch", CLI_VALUE, "N", "4 (task: 32)", "sequences of an update", NULL},
    {"precision", CLI_TEXT, "fp32|bf16", "fp32", "of the computation; masters are fp32", NULL},
    {"seeds", CLI_VALUE, "N", "2", "runs per model, for the spread", NULL},
    {"rates", CLI_LIST, "X,..", "1e-3,2e-3,4e-3", "peak learning rates to try for each model", NULL},
    {"tokenizer", CLI_TEXT, "byte|bpe:N|FILE", "bpe:1024", "the same for all models", NULL},
    {"optimizer", CLI_TEXT, "NAME", "adamw", "see: weft list optimizers", NULL},
    {"schedule", CLI_TEXT, "NAME", "cosine", "see: weft list schedules", NULL},
    {"weight-decay", CLI_VALUE, "X", "0.1", "of tensors with two or more dimensions", "weight_decay"},
    {"seed", CLI_VALUE, "N", "1", "first seed", NULL},
    CLI_INPUT,
    {"field", CLI_LIST, "A,B", "text", "members of JSONL objects or columns of tables (numbers: a table without a header line)",
     NULL},
    {"val", CLI_TEXT, "SHARE|FILE", "0.05", "validation text", NULL},
    {"resume", CLI_FLAG, NULL, NULL, "go on with the comparison in --out", NULL},
    {"force", CLI_FLAG, NULL, NULL, "start over in a folder whose comparison has not ended", NULL},
    {"out", CLI_TEXT, "DIR", "weft-compare", "folder for run.json and report.html", NULL},
    {NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

/* The text that comes with weft: where it was built, or beside the installed program. */
static bool find_default_text(char *path, size_t size) {
    ssize_t n = readlink("/proc/self/exe", path, size - 1);
    if (access(WEFT_DEFAULT_TEXT, R_OK) == 0) {
        snprintf(path, size, "%s", WEFT_DEFAULT_TEXT);
        return true;
    }
    if (n <= 0)
        return false;
    path[n] = 0;
    char *slash = strrchr(path, '/');
    static const char tail[] = "/../share/weft/default.txt";
    if (!slash || (size_t)(slash - path) + sizeof tail > size)
        return false;
    strcpy(slash, tail);
    return access(path, R_OK) == 0;
}

/* The command as the report quotes it: what was typed, without its folder. */
static void put_command(cli_buffer *json, const cli_run *run) {
    cli_buffer words = {0};
    cli_puts(&words, "weft compare");
    for (int i = 0; i < run->argc; i++) {
        bool quote = strpbrk(run->argv[i], " *'\"$") != NULL;
        cli_puts(&words, quote ? " '" : " ");
        cli_puts(&words, run->argv[i]);
        cli_puts(&words, quote ? "'" : "");
    }
    cli_puts(json, "{\"command\": ");
    cli_put_json_string(json, words.data ? words.data : "weft compare", words.data ? words.length : 12);
    cli_buffer_free(&words);
}

static int run(cli_run *run) {
    char path[4096];
    cli_buffer json = {0};
    size_t n = strlen(run->options);
    bool resume = strstr(run->options, "\"resume\": true") != NULL, task = strstr(run->options, "\"task\": \"") != NULL;
    put_command(&json, run);
    if (n > 2) { /* the options given, without their braces */
        cli_puts(&json, ", ");
        cli_put(&json, run->options + 1, n - 2);
    }
    if (run->n_rest == 0 && !resume && !task) {
        if (!find_default_text(path, sizeof path)) {
            fputs("weft: the default text is not installed; name a text of your own: weft compare FILE\n", stderr);
            cli_buffer_free(&json);
            return WEFT_USAGE;
        }
        cli_puts(&json, ", \"text_name\": \"weft's own sources and documentation\", \"text\": [");
        cli_put_json_string(&json, path, strlen(path));
        cli_puts(&json, "]");
    }
    cli_puts(&json, "}");
    run->options = json.data;
    int code = json.failed ? WEFT_NO_MEMORY : cli_run_job(run);
    cli_buffer_free(&json);
    return code;
}

const cli_command cli_command_compare = {
    .name = "compare",
    .about = "train several architectures on one text, side by side, and report",
    .arguments = "[TEXT...]",
    .rest_key = "text",
    .options = options,
    .job = weft_compare,
    .run = run,
    .details = "TEXT is a file, a folder, or - for standard input; without one, weft's own sources and documentation.\n\n"
               "examples:\n  weft compare\n  weft compare book.txt --models llama,mamba,'mamba*3+attention' --time 30s\n"
               "  weft compare --task mqar:pairs=8 --models llama,mamba,linear\n  weft compare --resume --out weft-compare\n"};
