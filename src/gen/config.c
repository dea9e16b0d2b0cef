#include "gen/config.h"
#include <string.h>
#include "base/str.h"

void wf_generation_config_init(wf_generation_config *c) {
    memset(c, 0, sizeof *c);
    c->bos = c->pad = -1;
    c->beams = wf_beams_usual;
    c->sampling = (wf_sampling){.temperature = 1.0, .top_k = 50, .top_p = 1.0, .repetition_penalty = 1.0};
}

static bool is_token(const wf_json *j, int64_t vocab) { return j && j->is_integer && j->integer >= 0 && j->integer < vocab; }

/* A token or a list of them, behind those that are there. False: no room. */
static bool take_tokens(const wf_json *j, int64_t vocab, int32_t *list, size_t *n, size_t most) {
    bool whole = true;
    if (!j)
        return true;
    for (const wf_json *one = j->kind == WF_JSON_ARRAY ? j->child : j; one; one = j->kind == WF_JSON_ARRAY ? one->next : NULL)
        if (is_token(one, vocab)) {
            whole = whole && *n < most;
            if (*n < most)
                list[(*n)++] = (int32_t)one->integer;
        }
    return whole;
}

void wf_generation_config_ends(wf_generation_config *c, int64_t vocab, const wf_json *config) {
    const wf_json *bos = wf_json_get(config, "bos_token_id"), *pad = wf_json_get(config, "pad_token_id");
    (void)take_tokens(wf_json_get(config, "eos_token_id"), vocab, c->eos, &c->n_eos, WF_EOS_MAX);
    c->bos = is_token(bos, vocab) ? bos->integer : c->bos;
    c->pad = is_token(pad, vocab) ? pad->integer : c->pad;
}

/* A decoder's first token, and the one that follows it whatever the model says (the language, of translators). */
void wf_generation_config_start(wf_generation_config *c, int64_t vocab, const wf_json *config) {
    static const char *const keys[] = {"decoder_start_token_id", "forced_bos_token_id"};
    for (size_t i = 0; i < 2 && c->n_start == i; i++) {
        const wf_json *j = wf_json_get(config, keys[i]);
        if (is_token(j, vocab))
            c->start[c->n_start++] = (int32_t)j->integer;
    }
}

/* ---- runs of tokens ---- */
/* One with a token that the model does not have never comes. False: no room. */
static bool take_word(const wf_json *word, int64_t vocab, wf_generation_words *to, size_t *words, size_t *used) {
    size_t n = 0;
    if (*words == WF_BANNED_MAX || word->count > WF_WORDS_MAX - *used)
        return false;
    for (const wf_json *j = word->child; j; j = j->next) {
        if (!is_token(j, vocab))
            return true;
        to->ids[*used + n++] = (int32_t)j->integer;
    }
    if (n == 0)
        return true;
    to->lengths[(*words)++] = (int32_t)n;
    *used += n;
    return true;
}

static bool is_eos(const wf_generation_config *c, const wf_json *word) {
    for (size_t i = 0; word->count == 1 && i < c->n_eos; i++)
        if (word->child->is_integer && c->eos[i] == word->child->integer)
            return true;
    return false;
}

/* The end of a text alone stays allowed, as in the reference. */
static bool take_words(wf_generation_config *c, int64_t vocab, const wf_json *list) {
    size_t used = 0;
    c->rules.n_words = 0;
    for (const wf_json *j = list->child; j; j = j->next)
        if (j->kind != WF_JSON_ARRAY || (!is_eos(c, j) && !take_word(j, vocab, &c->words, &c->rules.n_words, &used)))
            return false;
    return true;
}

/* [[tokens, what is added], ..] */
static bool take_bias(wf_generation_config *c, int64_t vocab, const wf_json *list) {
    size_t used = 0;
    c->rules.n_biased = 0;
    if (list->kind != WF_JSON_ARRAY)
        return !list->child;
    for (const wf_json *j = list->child; j; j = j->next) {
        const wf_json *word = wf_json_at(j, 0), *bias = wf_json_at(j, 1);
        size_t n = c->rules.n_biased;
        if (!word || word->kind != WF_JSON_ARRAY || !bias || bias->kind != WF_JSON_NUMBER ||
            !take_word(word, vocab, &c->biased, &c->rules.n_biased, &used))
            return false;
        if (c->rules.n_biased > n)
            c->bias[n] = bias->number;
    }
    return true;
}

/* ---- numbers ---- */
static void take_number(const wf_json *config, const char *key, int64_t *to) {
    const wf_json *j = wf_json_get(config, key);
    if (j && j->is_integer && j->integer >= 0 && j->integer < INT32_MAX)
        *to = j->integer;
}

static void take_float(const wf_json *config, const char *key, double least, double most, double *to) {
    const wf_json *j = wf_json_get(config, key);
    if (j && j->kind == WF_JSON_NUMBER && j->number >= least && j->number <= most)
        *to = j->number;
}

static void take_numbers(wf_generation_config *c, const wf_json *config) {
    const struct {
        const char *key;
        int64_t *to;
    } whole[] = {{"no_repeat_ngram_size", &c->rules.no_repeat},
                 {"encoder_no_repeat_ngram_size", &c->rules.no_repeat_source},
                 {"min_length", &c->rules.least},
                 {"min_new_tokens", &c->rules.least_new},
                 {"num_beams", &c->beams.beams},
                 {"num_return_sequences", &c->beams.returned},
                 {"top_k", &c->sampling.top_k}};
    const struct {
        const char *key;
        double least, most, *to;
    } real[] = {{"repetition_penalty", 1e-6, 1e6, &c->sampling.repetition_penalty},
                {"encoder_repetition_penalty", 1e-6, 1e6, &c->rules.source_penalty},
                {"length_penalty", -1e6, 1e6, &c->beams.length_penalty},
                {"temperature", 0, 1e6, &c->sampling.temperature},
                {"top_h", 0, 1, &c->sampling.top_h},
                {"top_p", 1e-9, 1, &c->sampling.top_p},
                {"min_p", 0, 1, &c->sampling.min_p},
                {"typical_p", 0, 1, &c->sampling.typical_p},
                {"epsilon_cutoff", 0, 1, &c->sampling.epsilon},
                {"eta_cutoff", 0, 1, &c->sampling.eta}};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        take_number(config, whole[i].key, whole[i].to);
    for (size_t i = 0; i < sizeof real / sizeof *real; i++)
        take_float(config, real[i].key, real[i].least, real[i].most, real[i].to);
    c->draws = wf_json_bool(config, "do_sample", c->draws);
    c->beams.renormalize = wf_json_bool(config, "renormalize_logits", c->beams.renormalize);
}

static void take_length(wf_generation_config *c, const wf_json *config) {
    const wf_json *most = wf_json_get(config, "max_length"), *fresh = wf_json_get(config, "max_new_tokens");
    if (most && most->is_integer && most->integer > 1 && most->integer < INT32_MAX)
        c->longest = most->integer;
    if (fresh && fresh->is_integer && fresh->integer > 0 && fresh->integer < INT32_MAX)
        c->longest = fresh->integer + 1;
}

/* [how many tokens it starts behind, factor] */
static bool take_decay(wf_generation_config *c, int64_t vocab, const wf_json *list) {
    (void)vocab;
    const wf_json *start = wf_json_at(list, 0), *factor = wf_json_at(list, 1);
    if (!start || !start->is_integer || !factor || factor->kind != WF_JSON_NUMBER || factor->number <= 0)
        return !list->child;
    c->rules.decay_start = start->integer;
    c->rules.decay = factor->number;
    return true;
}

static bool take_early(wf_generation_config *c, int64_t vocab, const wf_json *early) {
    (void)vocab;
    if (early->kind == WF_JSON_STRING)
        return wf_early_find(early->string, &c->beams.early);
    c->beams.early = early->kind == WF_JSON_TRUE ? WF_EARLY_ONCE : WF_EARLY_NO;
    return early->kind == WF_JSON_TRUE || early->kind == WF_JSON_FALSE;
}

static bool take_list(const wf_json *list, int64_t vocab, int32_t *to, size_t *n, size_t most) {
    *n = 0;
    return take_tokens(list, vocab, to, n, most);
}

static bool take_banned(wf_generation_config *c, int64_t vocab, const wf_json *list) {
    return take_list(list, vocab, c->banned, &c->rules.n_banned, WF_BANNED_MAX);
}
static bool take_not_first(wf_generation_config *c, int64_t vocab, const wf_json *list) {
    return take_list(list, vocab, c->not_first, &c->rules.n_not_first, WF_BANNED_MAX);
}
static bool take_last(wf_generation_config *c, int64_t vocab, const wf_json *list) {
    return take_list(list, vocab, c->last, &c->rules.n_last, WF_EOS_MAX);
}
static bool take_second(wf_generation_config *c, int64_t vocab, const wf_json *list) {
    return take_list(list, vocab, c->second, &c->rules.n_second, 1);
}

/* Keys that are there and say something; false: it cannot be followed. */
static const struct taken {
    const char *key;
    bool (*take)(wf_generation_config *c, int64_t vocab, const wf_json *says);
    bool started; /* an encoder's model has it among its first tokens (wf_generation_config_start) */
} taken[] = {{"bad_words_ids", take_words, false},
             {"sequence_bias", take_bias, false},
             {"exponential_decay_length_penalty", take_decay, false},
             {"early_stopping", take_early, false},
             {"suppress_tokens", take_banned, false},
             {"begin_suppress_tokens", take_not_first, false},
             {"forced_eos_token_id", take_last, false},
             {"forced_bos_token_id", take_second, true}};

/* Rules that are not followed, and the number that makes one do nothing. */
static const struct rule {
    const char *key;
    double none;
} rules[] = {{"num_beam_groups", 1}, {"diversity_penalty", 0}, {"penalty_alpha", 0}, {"guidance_scale", 1}};

void wf_generation_config_follow(wf_generation_config *c, int64_t vocab, bool encoder, const wf_json *config) {
    static const char *const lists[] = {"force_words_ids", "constraints", "watermarking_config", "dola_layers"};
    take_numbers(c, config);
    take_length(c, config);
    for (const struct taken *row = taken; row < taken + sizeof taken / sizeof *taken; row++) {
        const wf_json *j = wf_json_get(config, row->key);
        if (j && j->kind != WF_JSON_NULL && !(encoder && row->started) && !row->take(c, vocab, j))
            c->unfollowed = row->key;
    }
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        double value = wf_json_double(config, rules[i].key, rules[i].none);
        if (value > rules[i].none || value < rules[i].none)
            c->unfollowed = rules[i].key;
    }
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        const wf_json *list = wf_json_get(config, lists[i]);
        if (list && (list->child || list->kind == WF_JSON_STRING))
            c->unfollowed = lists[i];
    }
}

wf_rules wf_generation_config_rules(const wf_generation_config *c, int64_t prompt, int64_t begin, int64_t most) {
    wf_rules r = c->rules;
    r.least = r.least_new > 0 ? 0 : r.least; /* the one takes the place of the other */
    r.ends = c->eos;
    r.n_ends = c->n_eos;
    r.words = c->words.ids;
    r.lengths = c->words.lengths;
    r.biased = c->biased.ids;
    r.bias_lengths = c->biased.lengths;
    r.bias = c->bias;
    r.second = c->second;
    r.last = c->last;
    r.banned = c->banned;
    r.not_first = c->not_first;
    r.prompt = prompt;
    r.begin = begin;
    r.most = most;
    return r;
}
