/* bench_open_tokenizer.c - from the start of the program to the ids of a word, with a tokenizer.json of 30 MB as transformers
 * writes it: merges as pairs, merges as texts, pieces with scores. */
#include <stdlib.h>
#include "base/reader.h"
#include "jobs/bench.h"

enum { FILE_SIZE = 30000000, LITTLE = 300000, ROUNDS = 11, LETTERS = 26, SYLLABLES = 26, LONGEST = 16 };

/* Tokens: the letters, then all words of one syllable, of two, and so on. */
static size_t put_word(size_t i, char *out) {
    static const char consonants[] = "bcdfg", vowels[] = "aeiou";
    size_t n = 0, digits[LONGEST / 2];
    if (i < LETTERS) {
        out[0] = (char)('a' + i);
        return 1;
    }
    for (i -= LETTERS;; i = i / SYLLABLES - 1) {
        digits[n++] = i % SYLLABLES;
        if (i < SYLLABLES)
            break;
    }
    for (size_t k = 0; k < n; k++) {
        size_t digit = digits[n - 1 - k];
        out[2 * k] = digit < 25 ? consonants[digit / 5] : 'x';
        out[2 * k + 1] = digit < 25 ? vowels[digit % 5] : 'y';
    }
    return 2 * n;
}

typedef struct form {
    const char *label, *head, *between, *tail;
    bool pairs, pieces;
} form;
#define HEAD "{\n  \"version\": \"1.0\",\n  \"pre_tokenizer\": null,\n  \"model\": {\n    \"type\": "
#define TAIL "\n    ]\n  }\n}\n"
static const form forms[] = {
    {"merges as pairs", HEAD "\"BPE\",\n    \"vocab\": {", "\n    },\n    \"merges\": [", TAIL, true, false},
    {"merges as texts", HEAD "\"BPE\",\n    \"vocab\": {", "\n    },\n    \"merges\": [", TAIL, false, false},
    {"pieces with scores", HEAD "\"Unigram\",\n    \"unk_id\": 0,\n    \"vocab\": [", "", TAIL, false, true},
};

static void put_merge(const form *f, const char *word, size_t n, size_t left, wf_str *out) {
    const char *comma = out->length ? "," : "";
    if (f->pairs)
        wf_str_printf(out, "%s\n      [\n        \"%.*s\",\n        \"%.*s\"\n      ]", comma, (int)left, word, (int)(n - left),
                      word + left);
    else
        wf_str_printf(out, "%s\n      \"%.*s %.*s\"", comma, (int)left, word, (int)(n - left), word + left);
}

/* A syllable is put together in one way, a longer word in two. */
static void put_token(const form *f, size_t i, wf_str *vocab, wf_str *merges) {
    char word[LONGEST];
    size_t n = put_word(i, word);
    const char *comma = i ? "," : "";
    if (f->pieces) {
        wf_str_printf(vocab, "%s\n      [\n        \"%.*s\",\n        -%.15g\n      ]", comma, (int)n, word,
                      5.0 + (double)(i * 7919 % 1000003) * 1e-5);
        return;
    }
    wf_str_printf(vocab, "%s\n      \"%.*s\": %zu", comma, (int)n, word, i);
    if (n > 1)
        put_merge(f, word, n, n > 2 ? 2 : 1, merges);
    if (n > 4)
        put_merge(f, word, n, n - 2, merges);
}

static weft_status write_file(wf_bench *b, const form *f, const char *path) {
    const wf_mem *mem = &b->job->env->mem;
    size_t size = b->quick ? LITTLE : FILE_SIZE;
    wf_str text = wf_str_new(mem), merges = wf_str_new(mem);
    wf_str_puts(&text, f->head);
    for (size_t i = 0; text.length + merges.length < size && !text.failed && !merges.failed; i++)
        put_token(f, i, &text, &merges);
    wf_str_puts(&text, f->between);
    wf_str_put(&text, wf_str_text(&merges), merges.length);
    wf_str_puts(&text, f->tail);
    weft_status status = text.failed || merges.failed ? wf_fail_memory(b->job->err)
                                                      : wf_write_file(mem, path, text.data, text.length, b->job->err);
    wf_str_free(&text);
    wf_str_free(&merges);
    return status;
}

static weft_status run(wf_bench *b) {
    char folder[] = "/tmp/weft-bench-XXXXXX";
    weft_status status = WEFT_OK;
    if (!b->program) {
        b->skipped = "the path of the program is not known (option program)";
        return WEFT_OK;
    }
    WF_CHECK(mkdtemp(folder), b->job->err, WEFT_FAILURE, "no folder could be made in /tmp");
    const char *path = wf_path_join(b->job->arena, folder, "tokenizer.json");
    for (size_t i = 0; i < sizeof forms / sizeof *forms && status == WEFT_OK; i++) {
        wf_bench_command c = {{b->program, "tokenize", path, "--string", "Hello", NULL}};
        wf_bench_line *line = wf_bench_add(b, "%s", forms[i].label);
        status = path && line ? write_file(b, &forms[i], path) : wf_fail_memory(b->job->err);
        if (status == WEFT_OK)
            status = wf_bench_rounds(b, line, NULL, ROUNDS, wf_bench_spawn, &c);
        if (status == WEFT_OK)
            line->note = "from the start of the program to its end; at most 100 ms wanted";
    }
    wf_bench_remove(b, folder);
    return status;
}

const wf_bench_row wf_bench_open_tokenizer = {"open_tokenizer", "a tokenizer.json of 30 MB to the ids of a word", run, false};
