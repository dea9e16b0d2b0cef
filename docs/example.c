/* example.c - weft from C: train a small model on a text, open it, and continue a prompt token by token.
 *
 *     cc example.c $(pkg-config --cflags --libs weft) && ./a.out
 *
 * The tests compile and run this file as it stands. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft/weft.h>

static void die(const weft_error *err) {
    fprintf(stderr, "%s\n", err->message);
    exit(err->status);
}

/* A text to learn: any file would do. */
static void write_text(const char *path) {
    FILE *f = fopen(path, "w");
    for (int i = 0; f && i < 2000; i++)
        fprintf(f, "%d and %d make %d.\n", i % 7, i % 5, i % 7 + i % 5);
    if (!f || fclose(f) != 0)
        exit(1);
}

static void on_progress(void *user, const weft_progress *p) {
    (void)user;
    if (strcmp(p->phase, "train") == 0 && p->step % 20 == 0)
        fprintf(stderr, "step %lld of %lld, loss %.3f\n", (long long)p->step, (long long)p->steps, p->loss);
}

static int32_t most_likely(const float *logits, int64_t n) {
    int32_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = (int32_t)i;
    return best;
}

int main(void) {
    weft *lib = NULL;
    weft_error err = {0};
    weft_result result = {NULL, NULL};
    weft_model *model = NULL;
    weft_tokenizer *tokenizer = NULL;
    weft_session *session = NULL;

    if (weft_create(NULL, &lib, &err) != WEFT_OK)
        die(&err);

    /* 1. Train: the options are those of `weft train`. The result is a folder that Hugging Face opens too. */
    write_text("sums.txt");
    if (weft_train(lib,
                   "{\"text\": [\"sums.txt\"], \"model\": \"llama\", \"params\": 60000, \"steps\": 60, \"context\": 64,"
                   " \"lr\": 0.005, \"force\": true, \"out\": \"sums-model\"}",
                   on_progress, NULL, &result, &err) != WEFT_OK)
        die(&err);
    fputs(result.text, stdout);
    weft_result_free(lib, &result);

    /* 2. Open what was trained. */
    if (weft_model_open(lib, "sums-model", &model, &err) != WEFT_OK ||
        weft_tokenizer_open(lib, "sums-model", &tokenizer, &err) != WEFT_OK ||
        weft_session_create(model, 1, 64, &session, &err) != WEFT_OK)
        die(&err);
    printf("%lld parameters, %lld tokens\n", (long long)weft_model_parameters(model), (long long)weft_model_vocab(model));

    /* 3. Feed a prompt, then the most likely token again and again. */
    int32_t *prompt = NULL, ids[24];
    size_t count = 0, n = 0;
    const float *logits = NULL;
    if (weft_tokenizer_encode(tokenizer, "3 and 4 make", 12, &prompt, &count, &err) != WEFT_OK ||
        weft_session_feed(session, prompt, (int64_t)count, &logits, &err) != WEFT_OK)
        die(&err);
    while (n < sizeof ids / sizeof *ids) {
        ids[n] = most_likely(logits, weft_model_vocab(model));
        if (weft_session_feed(session, &ids[n++], 1, &logits, &err) != WEFT_OK)
            die(&err);
    }
    char *text = NULL;
    size_t length = 0;
    if (weft_tokenizer_decode(tokenizer, ids, n, &text, &length, &err) != WEFT_OK)
        die(&err);
    printf("3 and 4 make%.*s\n", (int)length, text);

    weft_text_free(tokenizer, text);
    weft_ids_free(tokenizer, prompt);
    weft_session_free(session);
    weft_tokenizer_free(tokenizer);
    weft_model_free(model);
    weft_free(lib);
    return 0;
}
