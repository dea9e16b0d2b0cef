/* train.h - training a model on words: a table of trainers. Not for other rooms. */
#ifndef WF_TEXT_TRAIN_H
#define WF_TEXT_TRAIN_H
#include "text/loading.h"
#include "text/vocab.h"

/* The different words of the texts, after normalizer and pre-tokenizer of the tokenizer that is trained. */
typedef struct wf_word_counts {
    wf_vocab words; /* in the order of their first occurrence */
    uint64_t *counts;
    size_t capacity;
} wf_word_counts;

typedef struct wf_trainer_in {
    const wf_mem *mem;
    const wf_env *env; /* may be NULL */
    const wf_word_counts *words;
    wf_loading *l; /* for the options; its tokenizer is the one to start from */
    const wf_json *options;
    wf_bytes *specials;
    uint32_t *special_ids; /* theirs in the model: the trainer writes them; at first one after another */
    size_t n_specials;
    size_t vocab_size;
    weft_error *err;
} wf_trainer_in;

typedef struct wf_trainer_row {
    const char *model;
    const char *const *options; /* beside type, vocab_size, special_tokens, show_progress; NULL at the end */
    size_t vocab_size;          /* when none is given */
    /* Writes the members of the model that training decides; those of `start` that `replaced` names are left out. */
    weft_status (*train)(const wf_trainer_in *in, wf_json_writer *w);
    const char *const *replaced; /* NULL at the end */
} wf_trainer_row;

weft_status wf_train_bpe(const wf_trainer_in *in, wf_json_writer *w);
weft_status wf_train_wordpiece(const wf_trainer_in *in, wf_json_writer *w);
weft_status wf_train_wordlevel(const wf_trainer_in *in, wf_json_writer *w);
weft_status wf_train_unigram(const wf_trainer_in *in, wf_json_writer *w);
#endif
