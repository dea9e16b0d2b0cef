/* models.c - the table of models, in the order in which one is guessed for a file that does not say. */
#include "text/bpe.h"
#include "text/unigram.h"
#include "text/wordpiece.h"

static const wf_model_row rows[] = {
    {.name = "BPE",
     .needs = WF_NEEDS_MERGES,
     .load = wf_load_bpe,
     .encode = wf_encode_bpe,
     .cached = true,
     .takes_letters = wf_bpe_takes_letters,
     .release = wf_release_bpe},
    {.name = "WordPiece",
     .needs = WF_NEEDS_PREFIX,
     .load = wf_load_wordpiece,
     .encode = wf_encode_wordpiece,
     .cached = true,
     .release = wf_release_wordpiece},
    {.name = "WordLevel", .needs = WF_NEEDS_VOCAB, .load = wf_load_wordlevel, .encode = wf_encode_wordlevel},
    {.name = "Unigram",
     .needs = WF_NEEDS_LIST,
     .load = wf_load_unigram,
     .encode = wf_encode_unigram,
     .cached = true,
     .release = wf_release_unigram},
    {.name = "ScoredBPE", .load = wf_load_scored_bpe, .encode = wf_encode_bpe, .release = wf_release_bpe},
    {.name = "Greedy",
     .load = wf_load_greedy,
     .encode = wf_encode_greedy,
     .takes_letters = wf_greedy_takes_letters,
     .release = wf_release_greedy},
};
enum { ROWS = sizeof rows / sizeof *rows };

const wf_model_row *wf_model_find(const char *name) {
    for (int i = 0; i < ROWS; i++)
        if (wf_streq(rows[i].name, name))
            return &rows[i];
    return NULL;
}

static bool fits(const wf_model_row *row, const wf_model_source *s) {
    switch (row->needs) {
    case WF_NEEDS_MERGES:
        return s->has_vocab && s->has_merges;
    case WF_NEEDS_PREFIX:
        return s->has_vocab && wf_json_get(s->options, "unk_token") && wf_json_get(s->options, "continuing_subword_prefix") &&
               wf_json_get(s->options, "max_input_chars_per_word");
    case WF_NEEDS_VOCAB:
        return s->has_vocab;
    case WF_NEEDS_LIST:
        return s->has_list;
    default:
        return false;
    }
}

const wf_model_row *wf_model_guess(const wf_model_source *s) {
    for (int i = 0; i < ROWS; i++)
        if (fits(&rows[i], s))
            return &rows[i];
    return NULL;
}
