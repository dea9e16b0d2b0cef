/* train_bpe.c - training byte-level BPE on one text, the quick way: words by the GPT-2 pattern straight from the text. */
#include <string.h>

#include "text/bytelevel.h"
#include "text/engine.h"
#include "text/train_merges.h"
#include "text/words.h"

typedef struct trainer {
    const wf_mem *mem;
    const wf_bpe_training *how;
    weft_error *err;
    wf_words words;
    wf_merging m;
} trainer;

/* Special tokens first, then the alphabet in the order of its letters. */
static weft_status start_vocab(trainer *t, uint32_t byte_ids[256]) {
    uint32_t ignored;
    for (size_t i = 0; i < t->how->n_specials; i++)
        WF_TRY(wf_merging_token(&t->m, (wf_bytes){t->how->specials[i], strlen(t->how->specials[i])}, &ignored, t->err));
    for (uint32_t c = 0; c <= 0x143u; c++) {
        int byte = wf_byte_of_letter(c);
        if (byte < 0)
            continue;
        char letter[WF_LETTER_BYTES];
        size_t n = wf_put_letter((uint8_t)byte, letter);
        WF_TRY(wf_merging_token(&t->m, (wf_bytes){letter, n}, &byte_ids[byte], t->err));
    }
    return WEFT_OK;
}

static weft_status start_symbols(trainer *t, const uint32_t byte_ids[256]) {
    size_t total = 0, n = t->words.count;
    for (size_t w = 0; w < n; w++)
        total += t->words.words[w].length;
    t->m.symbols = wf_calloc(t->mem, total + 1, sizeof *t->m.symbols);
    t->m.starts = wf_calloc(t->mem, n + 1, sizeof *t->m.starts);
    t->m.lengths = wf_calloc(t->mem, n + 1, sizeof *t->m.lengths);
    t->m.counts = wf_calloc(t->mem, n + 1, sizeof *t->m.counts);
    t->m.n_words = n;
    if (!t->m.symbols || !t->m.starts || !t->m.lengths || !t->m.counts)
        return wf_fail_memory(t->err);
    total = 0;
    for (size_t w = 0; w < n; w++) {
        const wf_word *word = &t->words.words[w];
        t->m.starts[w] = total;
        t->m.lengths[w] = word->length;
        t->m.counts[w] = word->count;
        for (size_t i = 0; i < word->length; i++)
            t->m.symbols[total++] = byte_ids[word->bytes[i]];
    }
    return WEFT_OK;
}

/* ---- the result ---- */

static weft_status spell_merges(const trainer *t, wf_arena *arena, const char **out, size_t *count) {
    *count = 0;
    for (size_t i = 0; i < t->m.n_merges; i++) {
        if (t->m.merges[i] == WF_NO_MERGE)
            continue;
        out[*count] = wf_arena_printf(arena, "%s %s", t->m.vocab.entries[t->m.merges[i] >> 32].text,
                                      t->m.vocab.entries[(uint32_t)t->m.merges[i]].text);
        if (!out[(*count)++])
            return wf_fail_memory(t->err);
    }
    return WEFT_OK;
}

static weft_status write_result(const trainer *t, wf_arena *arena, wf_str *json) {
    const char **tokens = wf_arena_alloc(arena, t->m.vocab.count * sizeof *tokens);
    const char **merges = wf_arena_alloc(arena, t->m.n_merges * sizeof *merges);
    wf_bpe_writing writing = {.specials = t->how->specials,
                              .n_specials = t->how->n_specials,
                              .use_regex = true,
                              .tokens = tokens,
                              .n_tokens = t->m.vocab.count,
                              .merges = merges};
    if (!tokens || !merges)
        return wf_fail_memory(t->err);
    for (size_t i = 0; i < t->m.vocab.count; i++)
        tokens[i] = t->m.vocab.entries[i].text;
    WF_TRY(spell_merges(t, arena, merges, &writing.n_merges));
    return wf_write_bpe_json(&writing, json, t->err);
}

static weft_status finish(const trainer *t, wf_tokenizer **out) {
    wf_arena arena;
    wf_str json = wf_str_new(t->mem);
    wf_arena_init(&arena, t->mem, 0);
    weft_status status = write_result(t, &arena, &json);
    wf_arena_free(&arena);
    if (status == WEFT_OK)
        status = wf_tokenizer_parse(t->mem, json.data, json.length, out, t->err);
    wf_str_free(&json);
    return status;
}

static weft_status count_words(trainer *t, const uint8_t *text, size_t length) {
    if (!t->how->ends)
        return wf_words_add(&t->words, text, length, t->how->env, t->err);
    for (size_t i = 0, from = 0; i < t->how->n_ends; from = t->how->ends[i++])
        WF_TRY(wf_words_add(&t->words, text + from, t->how->ends[i] - from, t->how->env, t->err));
    return WEFT_OK;
}

static weft_status train(trainer *t, const uint8_t *text, size_t length, wf_tokenizer **out) {
    uint32_t byte_ids[256];
    WF_TRY(count_words(t, text, length));
    WF_TRY(start_vocab(t, byte_ids));
    WF_TRY(start_symbols(t, byte_ids));
    t->m.vocab_size = t->how->vocab_size;
    t->m.min_frequency = t->how->min_frequency ? t->how->min_frequency : 2;
    t->m.prefix = (wf_bytes){"", 0};
    t->m.env = t->how->env;
    WF_TRY(wf_merging_run(t->mem, &t->m, t->err));
    return finish(t, out);
}

weft_status wf_tokenizer_train(const wf_mem *mem, const wf_bpe_training *how, const void *text, size_t length,
                               wf_tokenizer **out, weft_error *err) {
    size_t least = 256 + how->n_specials;
    WF_TRY(wf_check_specials(how->specials, how->n_specials, err));
    WF_CHECK(how->vocab_size >= least && how->vocab_size <= 1u << 24, err, WEFT_USAGE,
             "a byte-level vocabulary has %zu to 16777216 tokens, not %zu", least, how->vocab_size);
    trainer t = {.mem = mem, .how = how, .err = err};
    wf_words_init(&t.words, mem);
    wf_vocab_init(&t.m.vocab, mem);
    weft_status status = train(&t, text, length, out);
    wf_words_free(&t.words);
    wf_merging_free(mem, &t.m);
    return status;
}
