#include "gen/config.h"
#include <stddef.h>
#include <string.h>
#include "base/str.h"

void wf_generation_config_init(wf_generation_config *c) {
    memset(c, 0, sizeof *c);
    c->bos = c->pad = -1;
    c->beams = wf_beams_usual;
    c->sampling = (wf_sampling){.temperature = 1.0, .top_k = 50, .top_p = 1.0, .repetition_penalty = 1.0};
}

/* A key of the reference. */
typedef struct known_key {
    const char *key;
    /* What it says, when that is not null; false: it cannot be followed. */
    bool (*take)(wf_generation_config *c, int64_t vocab, const struct known_key *row, const wf_json *says);
    size_t at;          /* in wf_generation_config, of numbers and flags */
    double least, most; /* of numbers */
    bool started;       /* an encoder's model has it among its first tokens (wf_generation_config_start) */
} known_key;

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
static bool take_words(wf_generation_config *c, int64_t vocab, const known_key *row, const wf_json *list) {
    (void)row;
    size_t used = 0;
    c->rules.n_words = 0;
    for (const wf_json *j = list->child; j; j = j->next)
        if (j->kind != WF_JSON_ARRAY || (!is_eos(c, j) && !take_word(j, vocab, &c->words, &c->rules.n_words, &used)))
            return false;
    return true;
}

/* [[tokens, what is added], ..] */
static bool take_bias(wf_generation_config *c, int64_t vocab, const known_key *row, const wf_json *list) {
    (void)row;
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
static bool take_whole(wf_generation_config *c, int64_t vocab, const known_key *row, const wf_json *j) {
    (void)vocab;
    if (!j->is_integer || (double)j->integer < row->least || (double)j->integer > row->most)
        return false;
    memcpy((char *)c + row->at, &j->integer, sizeof j->integer);
    return true;
}

static bool take_real(wf_generation_config *c, int64_t vocab, const known_key *row, const wf_json *j) {
    (void)vocab;
    if (j->kind != WF_JSON_NUMBER || !(j->number >= row->least && j->number <= row->most))
        return false;
    memcpy((char *)c + row->at, &j->number, sizeof j->number);
    return true;
}

static bool take_flag(wf_generation_config *c, int64_t vocab, const known_key *row, const wf_json *j) {
    const bool value = j->kind == WF_JSON_TRUE;
    (void)vocab;
    memcpy((char *)c + row->at, &value, sizeof value);
    return value || j->kind == WF_JSON_FALSE;
}

static bool take_draws(wf_generation_config *c, int64_t vocab, const known_key *row, const wf_json *j) {
    bool taken = take_flag(c, vocab, row, j);
    c->best = j->kind == WF_JSON_FALSE;
    return taken;
}

/* The later of two configs says it in its own way. */
static bool take_longest(wf_generation_config *c, int64_t vocab, const known_key *row, const wf_json *j) {
    bool taken = take_whole(c, vocab, row, j);
    c->fresh = taken ? 0 : c->fresh;
    return taken;
}

static bool take_sampling(wf_generation_config *c, const wf_json *config, const wf_sampling_row *row) {
    const wf_json *j = wf_json_get(config, row->key);
    if (!j || j->kind == WF_JSON_NULL)
        return true;
    if (j->kind != WF_JSON_NUMBER || (row->whole && !j->is_integer) || !(j->number >= row->least && j->number <= row->most) ||
        (row->above && j->number <= row->least))
        return false;
    wf_sampling_set(&c->sampling, row, j->number);
    c->said |= 1u << (row - wf_sampling_rows);
    return true;
}

/* [how many tokens it starts behind, factor] */
static bool take_decay(wf_generation_config *c, int64_t vocab, const known_key *row, const wf_json *list) {
    (void)vocab, (void)row;
    const wf_json *start = wf_json_at(list, 0), *factor = wf_json_at(list, 1);
    if (!start || !start->is_integer || !factor || factor->kind != WF_JSON_NUMBER || factor->number <= 0)
        return !list->child;
    c->rules.decay_start = start->integer;
    c->rules.decay = factor->number;
    return true;
}

static bool take_early(wf_generation_config *c, int64_t vocab, const known_key *row, const wf_json *early) {
    if (early->kind == WF_JSON_STRING)
        return wf_early_find(early->string, &c->beams.early);
    c->beams.early = early->kind == WF_JSON_TRUE ? WF_EARLY_ONCE : WF_EARLY_NO;
    (void)vocab, (void)row;
    return early->kind == WF_JSON_TRUE || early->kind == WF_JSON_FALSE;
}

static bool take_list(const wf_json *list, int64_t vocab, int32_t *to, size_t *n, size_t most) {
    *n = 0;
    return take_tokens(list, vocab, to, n, most);
}

static bool take_banned(wf_generation_config *c, int64_t vocab, const known_key *row, const wf_json *list) {
    (void)row;
    return take_list(list, vocab, c->banned, &c->rules.n_banned, WF_BANNED_MAX);
}
static bool take_not_first(wf_generation_config *c, int64_t vocab, const known_key *row, const wf_json *list) {
    (void)row;
    return take_list(list, vocab, c->not_first, &c->rules.n_not_first, WF_BANNED_MAX);
}
static bool take_last(wf_generation_config *c, int64_t vocab, const known_key *row, const wf_json *list) {
    (void)row;
    return take_list(list, vocab, c->last, &c->rules.n_last, WF_EOS_MAX);
}
static bool take_second(wf_generation_config *c, int64_t vocab, const known_key *row, const wf_json *list) {
    (void)row;
    return take_list(list, vocab, c->second, &c->rules.n_second, 1);
}

/* ---- stop strings ---- */
static bool add_stop(wf_generation_config *c, size_t *used, const wf_json *j) {
    if (j->kind != WF_JSON_STRING || j->length == 0 || strlen(j->string) != j->length || j->length >= WF_STOPS_MAX - *used)
        return false;
    memcpy(c->stops + *used, j->string, j->length + 1);
    *used += j->length + 1;
    c->n_stops++;
    return true;
}

/* A string or a list of them. An empty one would end every text. */
static bool take_stops(wf_generation_config *c, int64_t vocab, const known_key *row, const wf_json *says) {
    bool list = says->kind == WF_JSON_ARRAY, whole = true;
    size_t used = 0;
    (void)vocab, (void)row;
    c->n_stops = 0;
    for (const wf_json *j = list ? says->child : says; j; j = list ? j->next : NULL)
        whole = add_stop(c, &used, j) && whole;
    return whole;
}

/* ---- what is not followed ---- */
/* It does nothing as this number. */
static bool is_off(wf_generation_config *c, int64_t vocab, const known_key *row, const wf_json *j) {
    (void)c, (void)vocab;
    return j->kind == WF_JSON_FALSE || (j->kind == WF_JSON_NUMBER && j->number == row->least);
}

static bool is_nothing(wf_generation_config *c, int64_t vocab, const known_key *row, const wf_json *j) {
    (void)c, (void)vocab, (void)row;
    return !j->child && j->kind != WF_JSON_NUMBER && j->kind != WF_JSON_TRUE && (j->kind != WF_JSON_STRING || j->length == 0);
}

/* It changes no text: how the work is done, or what is told of it; or the functions above have taken it. */
static bool pass(wf_generation_config *c, int64_t vocab, const known_key *row, const wf_json *j) {
    return (void)c, (void)vocab, (void)row, (void)j, true;
}

#define AT(field) offsetof(wf_generation_config, field)
static const known_key keys[] = {{"bos_token_id", pass},
                                 {"eos_token_id", pass},
                                 {"pad_token_id", pass},
                                 {"decoder_start_token_id", pass},
                                 {"do_sample", take_draws, AT(draws)},
                                 {"num_beams", take_whole, AT(beams.beams), 1, INT32_MAX},
                                 {"num_return_sequences", take_whole, AT(beams.returned), 1, INT32_MAX},
                                 {"length_penalty", take_real, AT(beams.length_penalty), -1e6, 1e6},
                                 {"early_stopping", take_early},
                                 {"renormalize_logits", take_flag, AT(beams.renormalize)},
                                 {"max_length", take_longest, AT(longest), 1, INT32_MAX - 1},
                                 {"max_new_tokens", take_whole, AT(fresh), 1, INT32_MAX - 1},
                                 {"min_length", take_whole, AT(rules.least), 0, INT32_MAX - 1},
                                 {"min_new_tokens", take_whole, AT(rules.least_new), 0, INT32_MAX - 1},
                                 {"no_repeat_ngram_size", take_whole, AT(rules.no_repeat), 0, INT32_MAX - 1},
                                 {"encoder_no_repeat_ngram_size", take_whole, AT(rules.no_repeat_source), 0, INT32_MAX - 1},
                                 {"encoder_repetition_penalty", take_real, AT(rules.source_penalty), 1e-6, 1e6},
                                 {"bad_words_ids", take_words},
                                 {"sequence_bias", take_bias},
                                 {"exponential_decay_length_penalty", take_decay},
                                 {"suppress_tokens", take_banned},
                                 {"begin_suppress_tokens", take_not_first},
                                 {"forced_eos_token_id", take_last},
                                 {"forced_bos_token_id", take_second, .started = true},
                                 {"stop_strings", take_stops},
                                 /* not followed, unless they are the number that does nothing */
                                 {"num_beam_groups", is_off, .least = 1},
                                 {"diversity_penalty", is_off},
                                 {"penalty_alpha", is_off},
                                 {"guidance_scale", is_off, .least = 1},
                                 {"max_time", is_nothing},
                                 {"token_healing", is_nothing},
                                 {"force_words_ids", is_nothing},
                                 {"forced_decoder_ids", is_nothing},
                                 {"constraints", is_nothing},
                                 {"watermarking_config", is_nothing},
                                 {"dola_layers", is_nothing},
                                 {"use_cache", pass}};
#undef AT

bool wf_generation_config_knows(const char *key) {
    bool known = false;
    for (const wf_sampling_row *r = wf_sampling_rows; r->key; r++)
        known |= wf_streq(r->key, key);
    for (const known_key *r = keys; r < keys + sizeof keys / sizeof *keys; r++)
        known |= wf_streq(r->key, key);
    return known;
}

static void name_unfollowed(wf_generation_config *c, const char *key) {
    bool there = c->n_unfollowed == WF_UNFOLLOWED_MAX;
    for (size_t i = 0; i < c->n_unfollowed; i++)
        there |= wf_streq(c->unfollowed[i], key);
    if (!there)
        c->unfollowed[c->n_unfollowed++] = key;
}

void wf_generation_config_follow(wf_generation_config *c, int64_t vocab, bool encoder, const wf_json *config) {
    for (const wf_sampling_row *r = wf_sampling_rows; r->key; r++)
        if (!take_sampling(c, config, r))
            name_unfollowed(c, r->key);
    for (const known_key *r = keys; r < keys + sizeof keys / sizeof *keys; r++) {
        const wf_json *j = wf_json_get(config, r->key);
        if (j && j->kind != WF_JSON_NULL && !(encoder && r->started) && !r->take(c, vocab, r, j))
            name_unfollowed(c, r->key);
    }
}

wf_sampling wf_generation_config_sampling(const wf_generation_config *c, const wf_sampling *usual, bool drawn) {
    wf_sampling s = c->draws ? c->sampling : *usual;
    for (const wf_sampling_row *r = wf_sampling_rows; r->key; r++)
        if (c->said & 1u << (r - wf_sampling_rows))
            wf_sampling_set(&s, r, wf_sampling_get(&c->sampling, r));
    if (!drawn && (c->best || (!c->draws && usual->temperature == 0)))
        s.temperature = 0.0;
    if (drawn && s.temperature == 0)
        s.temperature = usual->temperature > 0 ? usual->temperature : 1.0;
    s.seed = usual->seed;
    return s;
}

int64_t wf_generation_config_longest(const wf_generation_config *c, int64_t prompt) {
    return c->fresh ? prompt + c->fresh : c->longest;
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
