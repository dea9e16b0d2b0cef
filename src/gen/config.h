/* config.h - what generation_config.json (or config.json, or a task of it) says about writing, in the words of the reference:
 *
 *     wf_generation_config_init(&c);
 *     wf_generation_config_ends(&c, vocab, json);
 *     wf_generation_config_follow(&c, vocab, encoder, json);
 *
 * Every key of the reference is a row of one table: what is followed, what changes no text, and what is not followed, which is
 * named, like a value that makes no sense. Other keys are passed over, as the reference does. */
#ifndef WF_GEN_CONFIG_H
#define WF_GEN_CONFIG_H
#include "base/json.h"
#include "gen/beam.h"
#include "gen/stops.h"

enum { WF_EOS_MAX = 16, WF_BANNED_MAX = 256, WF_WORDS_MAX = 1024, WF_STOPS_MAX = 4096, WF_UNFOLLOWED_MAX = 8 };

typedef struct wf_generation_words { /* runs of tokens, one behind the other */
    int32_t ids[WF_WORDS_MAX], lengths[WF_BANNED_MAX];
} wf_generation_words;

typedef struct wf_generation_config {
    int32_t eos[WF_EOS_MAX];
    size_t n_eos;
    int64_t bos, pad;     /* -1: none */
    int32_t start[2];     /* what a decoder with an encoder begins with, and a token that is forced after it */
    size_t n_start;       /* 0: no file names it */
    wf_beams beams;       /* how texts are searched for */
    bool draws, best;     /* do_sample is true; it is false: the most likely token */
    wf_sampling sampling; /* what is said about drawing, and the penalty, over what the reference draws with; without rules */
    uint32_t said;        /* which rows of wf_sampling_rows, a bit each */
    wf_rules rules;       /* without its arrays, which are: */
    wf_generation_words words, biased;
    double bias[WF_BANNED_MAX];
    int32_t banned[WF_BANNED_MAX], not_first[WF_BANNED_MAX], second[1], last[WF_EOS_MAX];
    char stops[WF_STOPS_MAX]; /* stop_strings, as wf_stops has them */
    size_t n_stops;
    int64_t longest, fresh;                    /* max_length, max_new_tokens; 0: nobody says */
    const char *unfollowed[WF_UNFOLLOWED_MAX]; /* what would change the text and is not followed, as far as there is room */
    size_t n_unfollowed;
} wf_generation_config;

void wf_generation_config_init(wf_generation_config *c);
/* The tokens that begin and end a text: those that a config names are added. */
void wf_generation_config_ends(wf_generation_config *c, int64_t vocab, const wf_json *config);
void wf_generation_config_start(wf_generation_config *c, int64_t vocab, const wf_json *config);
/* The rest, over what was said before. `encoder`: the model has one, and a forced second token is among `start`. */
void wf_generation_config_follow(wf_generation_config *c, int64_t vocab, bool encoder, const wf_json *config);
/* Whether the table has this key. */
bool wf_generation_config_knows(const char *key);
/* How tokens are chosen: as the config says; where it does not say whether they are drawn as usual, but for the numbers it
 * gives. `drawn`: they are, whatever it says. */
wf_sampling wf_generation_config_sampling(const wf_generation_config *c, const wf_sampling *usual, bool drawn);
/* Tokens a text may have of which `prompt` are given, those included; 0: nobody says. */
int64_t wf_generation_config_longest(const wf_generation_config *c, int64_t prompt);
/* The rules with their arrays, those of `c`, for a text whose first `prompt` ids are given and the first `begin` fixed, with at
 * most `most` ids. */
wf_rules wf_generation_config_rules(const wf_generation_config *c, int64_t prompt, int64_t begin, int64_t most);
#endif
