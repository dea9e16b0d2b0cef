#include <string.h>
#include "command.h"

static const cli_option options[] = {
    {"string", CLI_TEXT, "TEXT", NULL, "the text itself, instead of files", NULL},
    {"lines", CLI_FLAG, NULL, NULL, "every line is a text of its own", NULL},
    {"show", CLI_TEXT, "WHAT", "ids", "ids, pieces, table (id, start, end, piece), count; for a chat also text", NULL},
    {"no-specials", CLI_FLAG, NULL, NULL, "do not add what the tokenizer puts around a text (bos, eos ...)", NULL},
    {"plain", CLI_FLAG, NULL, NULL, "special strings in the text are plain text", NULL},
    {"limits", CLI_FLAG, NULL, NULL, "truncate and pad as the tokenizer's file says", NULL},
    {"bytes", CLI_FLAG, NULL, NULL, "offsets in bytes instead of characters", NULL},
    CLI_INPUT,
    {"field", CLI_LIST, "A,B", "text", "members of JSONL objects or columns of tables (numbers: a table without a header line)",
     NULL},
    {"decode", CLI_FLAG, NULL, NULL, "the input is ids: print their text", NULL},
    {"skip-specials", CLI_FLAG, NULL, NULL, "decode without special tokens", NULL},
    {"train", CLI_TEXT, "KIND", NULL, "make a tokenizer from the texts: bpe, bpe-char, wordpiece, unigram or wordlevel", NULL},
    {"vocab", CLI_VALUE, "N", "30000", "size of the vocabulary to train", NULL},
    {"out", CLI_TEXT, "FILE", NULL, "where the trained tokenizer goes: a tokenizer.json, or a folder (new ones end with /)",
     NULL},
    {"special-tokens", CLI_LIST, "A,B", NULL, "special tokens of the trained tokenizer", NULL},
    {"min-frequency", CLI_VALUE, "N", "the trainer's", "what is seen less often is not learnt", NULL},
    {"trainer", CLI_TEXT, "JSON", NULL, "more options of the trainer, by the names of Hugging Face's", NULL},
    {"like", CLI_TEXT, "PATH", NULL, "train with the normalizer, pre-tokenizer and model of this tokenizer", NULL},
    {"compare", CLI_TEXT, "PATH", NULL, "where a second tokenizer cuts the texts differently", NULL},
    {"examples", CLI_VALUE, "N", "10", "differences shown", NULL},
    {"chat", CLI_TEXT, "FILE", NULL,
     "a conversation as JSON (- for standard input): messages, or an object with messages, tools, documents ...", NULL},
    {"template", CLI_TEXT, "NAME", "default", "which of the folder's chat templates", NULL},
    {"generation-prompt", CLI_FLAG, NULL, NULL, "end with what makes the model answer", NULL},
    {"continue", CLI_TEXT, "FIELD", NULL, "end inside the last message, right behind this field (content)", NULL},
    {NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

static void put_key(cli_buffer *json, const char *key) {
    cli_puts(json, json->length ? ", \"" : "{\"");
    cli_puts(json, key);
    cli_puts(json, "\": ");
}

/* The first argument is the tokenizer, the others are texts; training has no tokenizer yet. */
static void complete(const cli_run *run, cli_buffer *json) {
    int first = cli_given(run, "train") ? 0 : 1;
    if (first) {
        put_key(json, "tokenizer");
        cli_put_json_string(json, run->rest[0], strlen(run->rest[0]));
    }
    if (run->n_rest > first) {
        put_key(json, "text");
        for (int i = first; i < run->n_rest; i++) {
            cli_puts(json, i > first ? ", " : "[");
            cli_put_json_string(json, run->rest[i], strlen(run->rest[i]));
        }
        cli_puts(json, "]");
    }
    put_key(json, "records"); /* lists of tokens cost memory: only where they are printed */
    cli_puts(json, run->json ? "true" : "false");
    cli_puts(json, strcmp(run->options, "{}") == 0 ? "" : ", ");
    cli_puts(json, run->options + 1);
}

static int write_text(void *user, const char *text, size_t length) {
    (void)user;
    return fwrite(text, 1, length, stdout) != length || fflush(stdout) != 0;
}

/* Text goes out as it is made, unless it is progress that comes meanwhile (training) or JSON at the end. */
static weft_status tokenize(cli_run *run, const char *json, weft_result *result, weft_error *err) {
    return run->json || cli_given(run, "train") ? weft_tokenize(run->lib, json, cli_progress, run, result, err)
                                                : weft_tokenize_stream(run->lib, json, write_text, run, result, err);
}

static int run(cli_run *run) {
    cli_buffer json = {0};
    weft_error err = {0};
    weft_result result = {NULL, NULL};
    if (run->n_rest < 1 && !cli_given(run, "train")) {
        fprintf(stderr, "weft tokenize: which tokenizer? (see: weft help tokenize)\n");
        return WEFT_USAGE;
    }
    complete(run, &json);
    weft_status status = json.failed ? WEFT_NO_MEMORY : tokenize(run, json.data, &result, &err);
    cli_buffer_free(&json);
    return cli_finish(run, status, &result, &err);
}

const cli_command cli_command_tokenize = {
    .name = "tokenize",
    .about = "text to tokens and back; train and compare tokenizers; chat templates",
    .arguments = "TOKENIZER [FILE...]",
    .options = options,
    .run = run,
    .details = "TOKENIZER is a tokenizer.json, another vocabulary file, or a model folder, whose tokenizer_config.json counts "
               "too. FILE is a file, a folder, or - for "
               "standard input\n"
               "(the default). Ids are those of the reference. With --train every argument is a FILE.\n\n"
               "examples:\n  weft tokenize model book.txt --show count\n  echo 'Hello there' | weft tokenize tokenizer.json "
               "--show table\n"
               "  weft tokenize model --string 'Hello' | weft tokenize model --decode\n"
               "  weft tokenize --train unigram --vocab 8000 --out tokenizer.json corpus.txt\n"
               "  weft tokenize model-a --compare model-b book.txt\n"
               "  weft tokenize model --chat conversation.json --generation-prompt --show text\n"};
