#include <string.h>
#include <unistd.h>
#include "texts.h"

static const cli_option options[] = {
    {"prompt", CLI_TEXT, "TEXT", NULL, "the prompt, when it is not the second argument", NULL},
    {"chat", CLI_TEXT, "FILE", NULL, "a conversation to answer, as `tokenize --chat` reads it: JSON, - for standard input",
     NULL},
    {"text", CLI_MANY, "FILE", NULL,
     "a text for every line or record of a file (- for standard input) in the place of one prompt; may be given more than once",
     NULL},
    {"input", CLI_TEXT, "NAME", "by the file's name", "what those texts are: text (lines), jsonl, csv or tsv", NULL},
    {"field", CLI_LIST, "A,B", "text", "members of their JSONL objects or columns of their tables", NULL},
    {"template", CLI_TEXT, "NAME", "default", "which of the folder's chat templates", NULL},
    {"max-tokens", CLI_VALUE, "N", "the model's, or 256", "new tokens at most", NULL},
    CLI_SAMPLING("0.8", "0.95"),
    CLI_BEAMS,
    {"stop", CLI_MANY, "TEXT", "the model's", "ends before this text; may be given more than once", NULL},
    {"overflow", CLI_TEXT, "POLICY", "stop", "at the end of the context: stop, slide (forget the first half) or error", NULL},
    {"context", CLI_VALUE, "N", "the model's", "tokens a sequence may have", NULL},
    {"batch", CLI_VALUE, "N", "what fits 32 texts",
     "tokens, prompts included, of the texts of --text that are written side by side", NULL},
    {"precision", CLI_TEXT, "TYPE", "fp32", "fp32, bf16 or int8", NULL},
    CLI_ADAPTER,
    CLI_TOKENIZER,
    {NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

static int write_piece(void *user, const char *text, size_t length) {
    (void)user;
    return fwrite(text, 1, length, stdout) != length || fflush(stdout) != 0;
}

enum { MOST_PROMPT = 16 << 20 }; /* bytes; no context has so many tokens, and a stream may never end */

static bool read_stdin(cli_buffer *text) {
    char block[4096];
    if (isatty(0))
        fputs("weft: reading the prompt, Ctrl-D ends it\n", stderr);
    for (ssize_t n; text->length <= MOST_PROMPT && !text->failed && (n = read(0, block, sizeof block)) > 0;)
        cli_put(text, block, (size_t)n);
    if (text->length > MOST_PROMPT)
        fprintf(stderr, "weft generate: the prompt on standard input has more than %d MiB (--text reads many prompts)\n",
                MOST_PROMPT >> 20);
    return text->length <= MOST_PROMPT;
}

static void put_member(cli_buffer *json, const char *key, const char *text, size_t n) {
    cli_put(json, json->length ? ", " : "{", json->length ? 2 : 1);
    cli_put_json_string(json, key, strlen(key));
    cli_puts(json, ": ");
    cli_put_json_string(json, text, n);
}

/* The options with the model and the prompt: the second argument, or what stdin says when there is none or it is `-`. False
 * when that is too long. */
static bool complete(const cli_run *run, cli_buffer *json) {
    bool from_stdin = run->n_rest < 2 ? !cli_given(run, "prompt") && !cli_given(run, "chat") : strcmp(run->rest[1], "-") == 0;
    bool fits = true;
    cli_buffer text = {0};
    put_member(json, "model", run->rest[0], strlen(run->rest[0]));
    if (from_stdin)
        fits = read_stdin(&text);
    else if (run->n_rest == 2)
        cli_puts(&text, run->rest[1]);
    if (from_stdin || run->n_rest == 2)
        put_member(json, "prompt", text.data ? text.data : "", text.length);
    if (strcmp(run->options, "{}") != 0) {
        cli_puts(json, ", ");
        cli_puts(json, run->options + 1);
    } else {
        cli_puts(json, "}");
    }
    json->failed |= text.failed;
    cli_buffer_free(&text);
    return fits;
}

/* Without --json the text goes out as it comes and the statistics are talk. */
static int generate(cli_run *run, const char *json) {
    weft_error err = {0};
    weft_result result = {NULL, NULL};
    if (run->json) {
        weft_status status = weft_generate(run->lib, json, NULL, NULL, &result, &err);
        return cli_finish(run, status, &result, &err);
    }
    weft_status status = weft_generate(run->lib, json, write_piece, NULL, &result, &err);
    if (result.text && result.text[0])
        putchar('\n');
    fflush(stdout);
    if (result.text && !run->quiet)
        fputs(result.text, stderr);
    weft_result_free(run->lib, &result);
    err.status = status;
    return status == WEFT_OK ? 0 : cli_fail(&err);
}

static int run(cli_run *run) {
    cli_buffer json = {0};
    bool twice = run->n_rest == 2 && cli_given(run, "prompt");
    if (cli_given(run, "text") && run->n_rest == 1) {
        setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* a text takes its time */
        return cli_run_texts(run, weft_generate);
    }
    if (run->n_rest < 1 || run->n_rest > 2 || twice) {
        fprintf(stderr, "weft generate: %s (see: weft help generate)\n",
                twice         ? "the prompt is the second argument or --prompt, not both"
                : run->n_rest ? "a model and one prompt, no more"
                              : "which model?");
        return WEFT_USAGE;
    }
    bool fits = complete(run, &json);
    int code = json.failed ? WEFT_NO_MEMORY : fits ? generate(run, json.data) : WEFT_BAD_INPUT;
    cli_buffer_free(&json);
    return code;
}

const cli_command cli_command_generate = {
    .name = "generate",
    .about = "text from a trained model",
    .arguments = "MODEL [PROMPT]",
    .options = options,
    .run = run,
    .details =
        "The prompt is the second argument, --prompt, or else what standard input holds (to its last byte). The text goes to\n"
        "standard output as it comes, the statistics to standard error. Beams (--beams, or num_beams in the model's\n"
        "generation_config.json) write at the end; several --sequences are a line each, and with --json have their scores.\n\n"
        "With --text a line goes out for every text, in order and as each is ready: what it would be alone, although several "
        "are\n"
        "written at the same time (--batch). A text with line ends is quoted as in JSON; --json prints an object a line.\n\n"
        "What no option says is what the model's generation_config.json says: whether tokens are drawn (do_sample), how, and\n"
        "how many. Where it does not say, tokens are drawn. Its stop_strings end a text and stay in it; --stop takes their "
        "place and\n"
        "leaves out what it names. The last line on standard error tells how they were chosen.\n\n"
        "examples:\n  weft generate run 'Once upon a time'\n  echo -n 'To be' | weft generate run --temperature 0 --max-tokens "
        "40 --quiet\n  weft generate chat-model --chat conversation.json\n"
        "  weft generate run --text prompts.jsonl --field prompt --json > answers.jsonl\n"};
