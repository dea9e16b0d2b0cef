/* train_words.c - trainers of models that merge (BPE and WordPiece) and of those that look words up. */
#include <stdlib.h>
#include <string.h>

#include "text/bytelevel.h"
#include "text/train.h"
#include "text/train_merges.h"
#include "text/unicode.h"
#include "text/write_json.h"

/* ---- the alphabet ---- */

typedef struct letter {
    uint32_t c;
    uint64_t count;
} letter;
typedef struct alphabet {
    letter *list;
    size_t count, capacity;
    uint32_t *at; /* by code point: place + 1 */
} alphabet;

static weft_status add_letter(const wf_trainer_in *in, alphabet *a, uint32_t c, uint64_t count) {
    if (c > 0x10FFFFu)
        return WEFT_OK;
    if (!a->at[c]) {
        WF_TRY(wf_grow(in->mem, (void **)&a->list, &a->capacity, a->count + 1, sizeof *a->list, in->err));
        a->list[a->count++] = (letter){c, 0};
        a->at[c] = (uint32_t)a->count;
    }
    letter *l = &a->list[a->at[c] - 1];
    l->count = count > UINT64_MAX - l->count ? UINT64_MAX : l->count + count;
    return WEFT_OK;
}

/* "bytelevel": the letters of all bytes; a list: the first character of each text. */
static weft_status add_initial(const wf_trainer_in *in, alphabet *a) {
    const wf_json *given = wf_json_get(in->options, "initial_alphabet");
    if (wf_json_is_string(given, "bytelevel"))
        for (int b = 0; b < 256; b++)
            WF_TRY(add_letter(in, a, wf_letter_of_byte((uint8_t)b), UINT64_MAX));
    else
        WF_CHECK(!given || given->kind == WF_JSON_ARRAY, in->err, WEFT_USAGE,
                 "initial_alphabet must be \"bytelevel\" or a list of texts");
    for (const wf_json *j = given && given->kind == WF_JSON_ARRAY ? given->child : NULL; j; j = j->next) {
        size_t length;
        if (j->kind == WF_JSON_STRING && j->length)
            WF_TRY(add_letter(in, a, wf_char_at((const uint8_t *)j->string, j->length, &length), UINT64_MAX));
    }
    return WEFT_OK;
}

static int rare_first(const void *a, const void *b) {
    const letter *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? -1 : 1) : x->c > y->c ? -1 : x->c < y->c;
}

static int by_code(const void *a, const void *b) {
    const letter *x = a, *y = b;
    return x->c < y->c ? -1 : x->c > y->c;
}

/* The letters that are kept, in the order of their code points. */
static weft_status choose_letters(const wf_trainer_in *in, alphabet *a) {
    const wf_vocab *v = &in->words->words;
    size_t limit;
    for (size_t w = 0; w < v->count; w++) {
        const uint8_t *text = (const uint8_t *)v->entries[w].text;
        for (size_t i = 0, length; i < v->entries[w].length; i += length)
            WF_TRY(add_letter(in, a, wf_char_at(text + i, v->entries[w].length - i, &length), in->words->counts[w]));
    }
    WF_TRY(add_initial(in, a));
    WF_TRY(wf_load_count(in->l, in->options, "limit_alphabet", SIZE_MAX, &limit));
    if (limit < a->count) {
        size_t drop = a->count - limit;
        qsort(a->list, a->count, sizeof *a->list, rare_first);
        memmove(a->list, a->list + drop, limit * sizeof *a->list);
        a->count = limit;
    }
    if (a->count)
        qsort(a->list, a->count, sizeof *a->list, by_code);
    return WEFT_OK;
}

/* ---- words as symbols ---- */

typedef struct affixes {
    wf_bytes prefix, suffix;
    bool has_prefix, has_suffix;
    size_t max_length; /* SIZE_MAX: no limit */
} affixes;

static weft_status read_affix(const wf_trainer_in *in, const char *key, wf_bytes *out, bool *has) {
    const wf_json *text;
    WF_TRY(wf_load_text(in->l, in->options, key, &text));
    *has = text != NULL;
    *out = text ? (wf_bytes){text->string, text->length} : *out;
    return WEFT_OK;
}

static weft_status start_vocab(const wf_trainer_in *in, const alphabet *a, wf_merging *m) {
    uint32_t id;
    for (size_t i = 0; i < in->n_specials; i++)
        WF_TRY(wf_merging_token(m, in->specials[i], &in->special_ids[i], in->err));
    for (size_t i = 0; i < a->count; i++) {
        char text[4];
        WF_TRY(wf_merging_token(m, (wf_bytes){text, wf_put_char(a->list[i].c, text)}, &id, in->err));
    }
    return WEFT_OK;
}

/* The symbols of one word: characters outside the alphabet are left out, affixed ones are tokens of their own. */
static weft_status add_word(const wf_trainer_in *in, const affixes *f, wf_merging *m, size_t w, size_t *total, wf_str *text) {
    const wf_vocab_entry *word = &in->words->words.entries[w];
    const char *p = word->text;
    m->starts[w] = *total;
    m->counts[w] = in->words->counts[w];
    for (size_t i = 0, length; i < word->length; i += length) {
        uint32_t id;
        wf_char_at((const uint8_t *)p + i, word->length - i, &length);
        const wf_vocab_entry *plain = wf_vocab_find(&m->vocab, p + i, length);
        if (!plain)
            continue;
        id = plain->id;
        if ((f->prefix.length && i > 0) || (f->suffix.length && i + length == word->length)) {
            wf_str_clear(text);
            wf_str_put(text, f->prefix.data, i > 0 ? f->prefix.length : 0);
            wf_str_put(text, p + i, length);
            wf_str_put(text, f->suffix.data, i + length == word->length ? f->suffix.length : 0);
            if (text->failed)
                return wf_fail_memory(in->err);
            WF_TRY(wf_merging_token(m, (wf_bytes){wf_str_text(text), text->length}, &id, in->err));
        }
        if (m->sizes)
            m->sizes[*total] = 1;
        m->symbols[(*total)++] = id;
    }
    m->lengths[w] = (uint32_t)(*total - m->starts[w]);
    return WEFT_OK;
}

static weft_status start_words(const wf_trainer_in *in, const affixes *f, wf_merging *m) {
    const wf_vocab *v = &in->words->words;
    size_t room = wf_vocab_bytes(v) + v->count + 1, total = 0;
    m->n_words = v->count;
    m->symbols = wf_calloc(in->mem, room, sizeof *m->symbols);
    m->sizes = f->max_length < SIZE_MAX ? wf_calloc(in->mem, room, sizeof *m->sizes) : NULL;
    m->starts = wf_calloc(in->mem, v->count + 1, sizeof *m->starts);
    m->lengths = wf_calloc(in->mem, v->count + 1, sizeof *m->lengths);
    m->counts = wf_calloc(in->mem, v->count + 1, sizeof *m->counts);
    m->max_size = f->max_length;
    if (!m->symbols || !m->starts || !m->lengths || !m->counts || (f->max_length < SIZE_MAX && !m->sizes))
        return wf_fail_memory(in->err);
    wf_str text = wf_str_new(in->mem);
    weft_status status = WEFT_OK;
    for (size_t w = 0; w < v->count && status == WEFT_OK; w++)
        status = add_word(in, f, m, w, &total, &text);
    wf_str_free(&text);
    return status;
}

/* ---- the result ---- */

static void write_vocab(const wf_vocab *v, wf_json_writer *w) {
    wf_jw_open(w, "vocab", '{');
    for (size_t i = 0; i < v->count; i++) {
        wf_jw_key(w, v->entries[i].text);
        wf_jw_int(w, v->entries[i].id);
    }
    wf_jw_end(w, '}');
}

static void write_merges(const wf_merging *m, wf_json_writer *w) {
    wf_jw_open(w, "merges", '[');
    for (size_t i = 0; i < m->n_merges; i++) {
        if (m->merges[i] == WF_NO_MERGE)
            continue;
        wf_jw_begin(w, '[');
        wf_jw_string(w, m->vocab.entries[m->merges[i] >> 32].text);
        wf_jw_string(w, m->vocab.entries[(uint32_t)m->merges[i]].text);
        wf_jw_end(w, ']');
    }
    wf_jw_end(w, ']');
}

static void write_affix(wf_json_writer *w, const char *key, bool has, wf_bytes text) {
    wf_jw_key(w, key);
    if (has)
        wf_jw_string_n(w, text.data, text.length);
    else
        wf_jw_null(w);
}

static weft_status merge(const wf_trainer_in *in, const affixes *f, alphabet *a, wf_merging *m) {
    size_t least;
    a->at = wf_calloc(in->mem, 0x110000u, sizeof *a->at);
    if (!a->at)
        return wf_fail_memory(in->err);
    WF_TRY(choose_letters(in, a));
    WF_TRY(start_vocab(in, a, m));
    WF_TRY(start_words(in, f, m));
    WF_TRY(wf_load_count(in->l, in->options, "min_frequency", 0, &least));
    m->min_frequency = least;
    m->vocab_size = in->vocab_size;
    m->prefix = f->prefix;
    m->env = in->env;
    return wf_merging_run(in->mem, m, in->err);
}

static weft_status train_merging(const wf_trainer_in *in, const affixes *f, bool with_merges, wf_json_writer *w) {
    alphabet a = {0};
    wf_merging m = {0};
    wf_vocab_init(&m.vocab, in->mem);
    weft_status status = merge(in, f, &a, &m);
    if (status == WEFT_OK) {
        write_vocab(&m.vocab, w);
        if (with_merges)
            write_merges(&m, w);
    }
    wf_merging_free(in->mem, &m);
    wf_free(in->mem, a.list);
    wf_free(in->mem, a.at);
    return status;
}

static weft_status read_affixes(const wf_trainer_in *in, affixes *f) {
    WF_TRY(read_affix(in, "continuing_subword_prefix", &f->prefix, &f->has_prefix));
    WF_TRY(read_affix(in, "end_of_word_suffix", &f->suffix, &f->has_suffix));
    return wf_load_count(in->l, in->options, "max_token_length", SIZE_MAX, &f->max_length);
}

weft_status wf_train_bpe(const wf_trainer_in *in, wf_json_writer *w) {
    affixes f = {.prefix = {"", 0}, .suffix = {"", 0}};
    WF_TRY(read_affixes(in, &f));
    write_affix(w, "continuing_subword_prefix", f.has_prefix, f.prefix);
    write_affix(w, "end_of_word_suffix", f.has_suffix, f.suffix);
    return train_merging(in, &f, true, w);
}

weft_status wf_train_wordpiece(const wf_trainer_in *in, wf_json_writer *w) {
    affixes f = {.prefix = {"##", 2}, .suffix = {"", 0}};
    WF_TRY(read_affixes(in, &f));
    write_affix(w, "continuing_subword_prefix", true, f.prefix);
    return train_merging(in, &f, false, w);
}

/* ---- WordLevel ---- */

typedef struct counted {
    const wf_vocab *v;
    uint32_t word;
    uint64_t count;
} counted;

/* The frequent ones first, equals in the order of their bytes. */
static int by_count(const void *a, const void *b) {
    const counted *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    const wf_vocab_entry *p = &x->v->entries[x->word], *q = &y->v->entries[y->word];
    int order = memcmp(p->text, q->text, p->length < q->length ? p->length : q->length);
    return order ? order : p->length < q->length ? -1 : p->length > q->length;
}

/* What is there already, as a special token that is a word too, gets the later place as its id; the earlier one stays empty. */
static weft_status put_word(const wf_trainer_in *in, wf_vocab *out, wf_bytes text, size_t *next) {
    bool added;
    if (*next >= in->vocab_size)
        return WEFT_OK;
    WF_TRY(wf_vocab_put(out, text.data, text.length, 0, &added, in->err));
    const wf_vocab_entry *e = wf_vocab_find(out, text.data, text.length);
    out->entries[e - out->entries].id = (uint32_t)(*next)++;
    return WEFT_OK;
}

static weft_status choose_words(const wf_trainer_in *in, counted *list, wf_vocab *out) {
    const wf_vocab *v = &in->words->words;
    size_t least, next = 0;
    WF_TRY(wf_load_count(in->l, in->options, "min_frequency", 0, &least));
    for (size_t i = 0; i < v->count; i++)
        list[i] = (counted){v, (uint32_t)i, in->words->counts[i]};
    if (v->count)
        qsort(list, v->count, sizeof *list, by_count);
    for (size_t i = 0; i < in->n_specials; i++)
        WF_TRY(put_word(in, out, in->specials[i], &next));
    for (size_t i = 0; i < v->count && list[i].count >= least; i++) {
        const wf_vocab_entry *e = &v->entries[list[i].word];
        WF_TRY(put_word(in, out, (wf_bytes){e->text, e->length}, &next));
    }
    for (size_t i = 0; i < in->n_specials; i++) { /* those that found no place come behind the model */
        const wf_vocab_entry *e = wf_vocab_find(out, in->specials[i].data, in->specials[i].length);
        in->special_ids[i] = e ? e->id : (uint32_t)i;
    }
    return WEFT_OK;
}

weft_status wf_train_wordlevel(const wf_trainer_in *in, wf_json_writer *w) {
    wf_vocab out;
    counted *list = wf_calloc(in->mem, in->words->words.count + 1, sizeof *list);
    wf_vocab_init(&out, in->mem);
    weft_status status = list ? choose_words(in, list, &out) : wf_fail_memory(in->err);
    if (status == WEFT_OK)
        write_vocab(&out, w);
    wf_free(in->mem, list);
    wf_vocab_free(&out);
    return status;
}
