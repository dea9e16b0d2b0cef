#include "jobs/opened.h"
#include <string.h>
#include "base/json.h"
#include "base/reader.h"
#include "families/load.h"

static void add_eos(wf_opened *o, const wf_json *j) {
    if (j && j->is_integer && j->integer >= 0 && j->integer < o->model->spec->vocab && o->n_eos < WF_EOS_MAX)
        o->eos[o->n_eos++] = (int32_t)j->integer;
}

/* `eos_token_id` is a number or a list of them. */
static void take_ends(wf_opened *o, const wf_json *config) {
    const wf_json *eos = wf_json_get(config, "eos_token_id"), *bos = wf_json_get(config, "bos_token_id");
    add_eos(o, eos);
    for (const wf_json *j = eos && eos->kind == WF_JSON_ARRAY ? eos->child : NULL; j; j = j->next)
        add_eos(o, j);
    if (bos && bos->is_integer && bos->integer >= 0 && bos->integer < o->model->spec->vocab)
        o->bos = bos->integer;
}

/* A decoder's first token, and the one that follows it whatever the model says (the language, of translators). */
static void take_start(wf_opened *o, const wf_json *config) {
    static const char *const keys[] = {"decoder_start_token_id", "forced_bos_token_id"};
    for (size_t i = 0; i < 2 && o->n_start == i; i++) {
        const wf_json *j = wf_json_get(config, keys[i]);
        if (j && j->is_integer && j->integer >= 0 && j->integer < o->model->spec->vocab)
            o->start[o->n_start++] = (int32_t)j->integer;
    }
}

/* ---- what else the files say about writing ---- */
static bool is_eos(const wf_opened *o, int64_t id) {
    for (size_t i = 0; i < o->n_eos; i++)
        if (o->eos[i] == id)
            return true;
    return false;
}

static bool is_token(const wf_opened *o, const wf_json *j) {
    return j && j->is_integer && j->integer >= 0 && j->integer < o->model->spec->vocab;
}

/* Adds tokens to one of the lists of WF_BANNED_MAX. */
static void take_tokens(wf_opened *o, const wf_json *config, const char *key, int32_t *list, size_t *n) {
    const wf_json *tokens = wf_json_get(config, key);
    if (!tokens || tokens->kind != WF_JSON_ARRAY)
        return;
    *n = 0;
    for (const wf_json *j = tokens->child; j; j = j->next)
        if (*n == WF_BANNED_MAX)
            o->unfollowed = key;
        else if (is_token(o, j))
            list[(*n)++] = (int32_t)j->integer;
}

/* A run of tokens; one with a token that the model does not have never comes. False: no room. */
static bool take_word(wf_opened *o, const wf_json *word, size_t *used) {
    size_t n = 0;
    if (o->rules.n_words == WF_BANNED_MAX || word->count > WF_WORDS_MAX - *used)
        return false;
    for (const wf_json *j = word->child; j; j = j->next) {
        if (!is_token(o, j))
            return true;
        o->words[*used + n++] = (int32_t)j->integer;
    }
    if (n == 0 || (n == 1 && is_eos(o, word->child->integer))) /* the end of a text stays allowed, as in the reference */
        return true;
    o->lengths[o->rules.n_words++] = (int32_t)n;
    *used += n;
    return true;
}

static void take_words(wf_opened *o, const wf_json *config) {
    const wf_json *words = wf_json_get(config, "bad_words_ids");
    size_t used = 0;
    if (!words || words->kind != WF_JSON_ARRAY)
        return;
    o->rules.n_words = 0;
    for (const wf_json *j = words->child; j; j = j->next)
        if (j->kind == WF_JSON_ARRAY && !take_word(o, j, &used))
            o->unfollowed = "bad_words_ids";
}

static void take_number(const wf_json *config, const char *key, int64_t *to) {
    const wf_json *j = wf_json_get(config, key);
    if (j && j->is_integer && j->integer >= 0 && j->integer < INT32_MAX)
        *to = j->integer;
}

static void take_followed(wf_opened *o, const wf_json *config) {
    const wf_json *penalty = wf_json_get(config, "repetition_penalty"), *second = wf_json_get(config, "forced_bos_token_id");
    if (penalty && penalty->kind == WF_JSON_NUMBER && penalty->number > 0)
        o->penalty = penalty->number;
    take_number(config, "no_repeat_ngram_size", &o->rules.no_repeat);
    take_number(config, "min_length", &o->rules.least);
    take_number(config, "min_new_tokens", &o->rules.least_new);
    if (!o->model->encoder && is_token(o, second))
        o->rules.second = second->integer;
    take_words(o, config);
    take_tokens(o, config, "suppress_tokens", o->banned, &o->n_banned);
    take_tokens(o, config, "begin_suppress_tokens", o->not_first, &o->rules.n_not_first);
}

/* Rules that are not followed, and the number that makes one do nothing. */
static const struct rule {
    const char *key;
    double none;
} rules[] = {{"num_beams", 1}, {"encoder_repetition_penalty", 1}, {"encoder_no_repeat_ngram_size", 0}};

void wf_opened_follow(wf_opened *o, const wf_json *config) {
    static const char *const lists[] = {"sequence_bias", "exponential_decay_length_penalty"};
    const wf_json *last = wf_json_get(config, "forced_eos_token_id"), *most = wf_json_get(config, "max_length"),
                  *new_tokens = wf_json_get(config, "max_new_tokens");
    take_followed(o, config);
    if (is_token(o, last))
        o->last = last->integer;
    else if (last && last->kind == WF_JSON_ARRAY)
        o->unfollowed = "forced_eos_token_id";
    if (most && most->is_integer && most->integer > 1 && most->integer < INT32_MAX)
        o->longest = most->integer;
    if (new_tokens && new_tokens->is_integer && new_tokens->integer > 0 && new_tokens->integer < INT32_MAX)
        o->longest = new_tokens->integer + 1;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        double value = wf_json_double(config, rules[i].key, rules[i].none);
        if (value > rules[i].none || value < rules[i].none)
            o->unfollowed = rules[i].key;
    }
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        const wf_json *list = wf_json_get(config, lists[i]);
        if (list && list->child)
            o->unfollowed = lists[i];
    }
}

/* generation_config.json, else the config, else what the tokenizer calls the end. A file that says nothing is no error here:
 * the loader has judged the config already. */
static weft_status find_ends(wf_opened *o, wf_arena *arena, const char *path, const wf_json *config, weft_error *err) {
    const char *usual = o->model->encoder ? "</s>" : "<|endoftext|>";
    char *file;
    wf_json *generation;
    WF_TRY(wf_path_inside(arena, path, "generation_config.json", &file, err));
    weft_status status = wf_is_file(file) ? wf_json_parse_file(arena, file, &generation, NULL) : WEFT_FAILURE;
    if (status == WEFT_NO_MEMORY)
        return wf_fail_memory(err);
    if (status == WEFT_OK) {
        take_ends(o, generation);
        take_start(o, generation);
    }
    if (o->n_eos == 0)
        take_ends(o, config);
    if (o->n_start == 0)
        take_start(o, config);
    if (o->n_start == 0 && o->model->encoder && o->model->spec->shift.rotate && o->bos >= 0) {
        o->start[o->n_start++] = (int32_t)o->bos;
        o->start_usual = true;
    }
    wf_opened_follow(o, status == WEFT_OK ? generation : config);
    int64_t id = wf_tokenizer_id(o->target, usual, strlen(usual));
    if (o->n_eos == 0 && id >= 0 && id < o->model->spec->vocab)
        o->eos[o->n_eos++] = (int32_t)id;
    return WEFT_OK;
}

enum { BYTES = 256 };

/* The tokenizer of translations, where the folder has another one than that of the source. */
static weft_status open_target(wf_opened *o, const wf_mem *mem, const char *folder, weft_error *err) {
    o->target = o->tok;
    if (!o->model->encoder)
        return WEFT_OK;
    o->target = NULL;
    WF_TRY(wf_tokenizer_open_target(mem, folder, &o->target, err));
    o->target = o->target ? o->target : o->tok;
    return WEFT_OK;
}

/* The one asked for, or that of the folder, or of the file's folder; a file of bytes needs none. */
static weft_status open_tokenizer(wf_opened *o, const wf_env *env, const char *path, wf_arena *arena, weft_error *err) {
    const wf_mem *mem = &env->mem;
    if (env->tokenizer) {
        WF_TRY(wf_tokenizer_open_on(mem, env->pool, env->tokenizer, &o->tok, err));
        o->target = o->tok;
        return wf_is_dir(env->tokenizer) ? open_target(o, mem, env->tokenizer, err) : WEFT_OK;
    }
    const char *slash = strrchr(path, '/'), *folder = path;
    if (!wf_is_dir(path))
        folder = slash ? wf_arena_strndup(arena, path, (size_t)(slash - path) + (slash == path)) : ".";
    if (!folder)
        return wf_fail_memory(err);
    weft_status status = wf_tokenizer_open_on(mem, env->pool, folder, &o->tok, err);
    if (status == WEFT_FAILURE && folder != path && o->model->spec->vocab == BYTES)
        status = wf_tokenizer_bytes(mem, NULL, 0, &o->tok, err);
    return status == WEFT_OK ? open_target(o, mem, folder, err) : status;
}

/* What the products read beside the weights themselves. */
static weft_status make_copies(wf_params *params, wf_precision precision, weft_error *err) {
    if (precision == WF_PRECISION_FP32)
        return WEFT_OK;
    return precision == WF_PRECISION_BF16 ? wf_params_allocate_bf16(params, err) : wf_params_allocate_int8(params, err);
}

static weft_status open_parts(wf_opened *o, const wf_env *env, const char *path, wf_precision precision, bool body,
                              wf_arena *arena, weft_error *err) {
    wf_checkpoint c;
    WF_CHECK(wf_is_dir(path) || wf_is_file(path), err, WEFT_USAGE,
             "'%s' is neither a model folder nor a file, nor a name in the cache of the Hugging Face hub", path);
    WF_TRY(wf_checkpoint_open(env, path, &(wf_load_options){.map = true, .turned = true, .body = body}, &c, err));
    o->model = c.model;
    c.model = NULL;
    weft_status status = open_tokenizer(o, env, path, arena, err);
    if (status == WEFT_OK)
        status = make_copies(&o->model->params, precision, err);
    if (status == WEFT_OK)
        status = find_ends(o, arena, path, c.config, err);
    wf_checkpoint_close(&c);
    return status;
}

weft_status wf_opened_open(const wf_env *env, const char *path, wf_precision precision, wf_opened *out, weft_error *err) {
    return wf_opened_open_part(env, path, precision, false, out, err);
}

weft_status wf_opened_open_part(const wf_env *env, const char *path, wf_precision precision, bool body, wf_opened *out,
                                weft_error *err) {
    wf_arena arena;
    wf_arena_init(&arena, &env->mem, 0);
    *out = (wf_opened){.bos = -1, .last = -1, .penalty = 1.0, .rules = {.second = -1, .last = -1}};
    weft_status status = open_parts(out, env, path, precision, body, &arena, err);
    wf_arena_free(&arena);
    if (status != WEFT_OK)
        wf_opened_close(out);
    return status;
}

wf_rules wf_opened_rules(const wf_opened *o) {
    wf_rules r = o->rules;
    r.ends = o->eos;
    r.n_ends = o->n_eos;
    r.words = o->words;
    r.lengths = o->lengths;
    r.not_first = o->not_first;
    return r;
}

void wf_opened_close(wf_opened *o) {
    wf_model_free(o->model);
    if (o->target != o->tok)
        wf_tokenizer_free(o->target);
    wf_tokenizer_free(o->tok);
    *o = (wf_opened){.bos = -1, .last = -1, .penalty = 1.0, .rules = {.second = -1, .last = -1}};
}

typedef struct user_row {
    const char *head, *command;
} user_row;
static const user_row users[] = {{"lm", "generate"}, {"mlm", "fill"},          {"tag", "tag"},
                                 {"span", "answer"}, {"classify", "classify"}, {"choice", "classify"}};

weft_status wf_opened_fail_head(const wf_opened *o, const char *model, const char *command, const char *wanted,
                                weft_error *err) {
    const wf_spec *s = o->model->spec;
    const char *has = s->n_heads ? s->heads[0].row->name : "none", *user = NULL;
    for (size_t i = 0; i < sizeof users / sizeof *users; i++)
        if (wf_streq(users[i].head, has))
            user = users[i].command;
    return wf_fail(err, WEFT_UNSUPPORTED, "%s: %s needs a model with a head '%s'; the head of this one is '%s'%s%s%s", model,
                   command, wanted, has, user ? " (see: weft help " : "", user ? user : "", user ? ")" : "");
}
