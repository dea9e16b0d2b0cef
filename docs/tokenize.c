/* tokenize.c - weft's tokenizers from C: train one, look at the tokens of a text, decode them as they come, render a
 * conversation.
 *
 *     cc tokenize.c $(pkg-config --cflags --libs weft) && ./a.out
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

static void write_file(const char *path, const char *text, int times) {
    FILE *f = fopen(path, "w");
    for (int i = 0; f && i < times; i++)
        fputs(text, f);
    if (!f || fclose(f) != 0)
        exit(1);
}

int main(void) {
    static const char text[] = "A weaver weaves a web.";
    weft *lib = NULL;
    weft_error err = {0};
    weft_result result = {NULL, NULL};
    weft_tokenizer *tokenizer = NULL;

    if (weft_create(NULL, &lib, &err) != WEFT_OK)
        die(&err);

    /* 1. Train: the options are those of `weft tokenize`. Hugging Face's tokenizers open the file too. */
    write_file("loom.txt", "The weaver weaves what weavers wove, a web of wool and woven words.\n", 50);
    if (weft_tokenize(lib,
                      "{\"train\": \"bpe\", \"text\": [\"loom.txt\"], \"vocab\": 300, \"special_tokens\": [\"<s>\", \"</s>\"],"
                      " \"out\": \"tokenizer.json\"}",
                      NULL, NULL, &result, &err) != WEFT_OK)
        die(&err);
    fputs(result.text, stdout);
    weft_result_free(lib, &result);

    /* 2. Tokens and the bytes they stand for. */
    weft_tokens tokens = {0};
    if (weft_tokenizer_open(lib, "tokenizer.json", &tokenizer, &err) != WEFT_OK ||
        weft_tokenizer_tokens(tokenizer, text, strlen(text), 0, &tokens, &err) != WEFT_OK)
        die(&err);
    for (size_t i = 0; i < tokens.count; i++)
        printf("%5d  %2zu..%2zu  '%.*s'\n", (int)tokens.ids[i], tokens.starts[i], tokens.ends[i],
               (int)(tokens.ends[i] - tokens.starts[i]), text + tokens.starts[i]);

    /* 3. Many texts, over all threads; so is a single one of megabytes. */
    weft_text texts[] = {{"A web", 5, NULL, 0}, {"of wool", 7, NULL, 0}, {"and woven words", 15, NULL, 0}};
    if (weft_tokenizer_encode_many(lib, tokenizer, texts, 3, WEFT_ENCODE_NO_SPECIALS, &err) != WEFT_OK)
        die(&err);
    for (size_t i = 0; i < 3; i++) {
        printf("%s: %zu tokens\n", texts[i].text, texts[i].count);
        weft_ids_free(tokenizer, texts[i].ids);
    }

    /* 4. Back to text, token by token. */
    weft_decoder *decoder = NULL;
    const char *piece = NULL;
    size_t length = 0;
    if (weft_decoder_create(tokenizer, &decoder, &err) != WEFT_OK)
        die(&err);
    for (size_t i = 0; i < tokens.count; i++) {
        if (weft_decoder_put(decoder, tokens.ids[i], &piece, &length, &err) != WEFT_OK)
            die(&err);
        fwrite(piece, 1, length, stdout);
    }
    if (weft_decoder_end(decoder, &piece, &length, &err) != WEFT_OK)
        die(&err);
    printf("%s\n", piece);

    /* 5. A conversation, through the chat template of a model folder. */
    write_file("tokenizer_config.json",
               "{\"bos_token\": \"<s>\", \"chat_template\": \"{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ "
               "m.content | trim }}\\n"
               "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}\"}",
               1);
    if (weft_chat(lib, ".",
                  "{\"messages\": [{\"role\": \"user\", \"content\": \"What does a weaver weave? \"}], "
                  "\"add_generation_prompt\": true}",
                  &result, &err) != WEFT_OK)
        die(&err);
    printf("%s\n", result.text);

    weft_result_free(lib, &result);
    weft_decoder_free(decoder);
    weft_tokens_free(tokenizer, &tokens);
    weft_tokenizer_free(tokenizer);
    weft_free(lib);
    return 0;
}
