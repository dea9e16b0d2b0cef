#include "jobs/opened.h"
#include <string.h>
#include "base/json.h"
#include "base/reader.h"
#include "families/load.h"

void wf_opened_follow(wf_opened *o, const wf_json *config) {
    wf_generation_config_follow(&o->says, o->model->spec->vocab, o->model->encoder != NULL, config);
}

wf_stops wf_opened_stops(const wf_opened *o) {
    return (wf_stops){&o->model->env->mem, o->target, o->says.stops, o->says.n_stops};
}

/* generation_config.json, else the config, which the loader has judged already, else what the tokenizer calls the end. */
static weft_status find_ends(wf_opened *o, wf_arena *arena, const char *path, const wf_json *config, weft_error *err) {
    const char *usual = o->model->encoder ? "</s>" : "<|endoftext|>";
    char *file;
    wf_json *generation = NULL;
    WF_TRY(wf_path_inside(arena, path, "generation_config.json", &file, err));
    if (wf_is_file(file))
        WF_TRY(wf_json_parse_file(arena, file, &generation, err));
    int64_t vocab = o->model->spec->vocab;
    wf_generation_config *c = &o->says;
    if (generation) {
        wf_generation_config_ends(c, vocab, generation);
        wf_generation_config_start(c, vocab, generation);
    }
    if (c->n_eos == 0)
        wf_generation_config_ends(c, vocab, config);
    if (c->n_start == 0)
        wf_generation_config_start(c, vocab, config);
    if (c->n_start == 0 && o->model->encoder && o->model->spec->shift.rotate && c->bos >= 0) {
        c->start[c->n_start++] = (int32_t)c->bos;
        o->start_usual = true;
    }
    wf_opened_follow(o, generation ? generation : config);
    int64_t id = wf_tokenizer_id(o->target, usual, strlen(usual));
    if (c->n_eos == 0 && id >= 0 && id < vocab)
        c->eos[c->n_eos++] = (int32_t)id;
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

static const char *folder_of(const char *path, wf_arena *arena) {
    const char *slash = strrchr(path, '/');
    return wf_is_dir(path) ? path : slash ? wf_arena_strndup(arena, path, (size_t)(slash - path) + (slash == path)) : ".";
}

weft_status wf_opened_tokenizer(const wf_env *env, const char *path, int64_t vocab, wf_arena *arena, wf_tokenizer **out,
                                weft_error *err) {
    const char *folder = folder_of(path, arena);
    if (!folder)
        return wf_fail_memory(err);
    weft_status status = wf_tokenizer_open_on(&env->mem, env->pool, folder, out, err);
    return status == WEFT_FAILURE && folder != path && vocab == BYTES ? wf_tokenizer_bytes(&env->mem, NULL, 0, out, err)
                                                                      : status;
}

/* The one asked for, else that of the model. */
static weft_status open_tokenizer(wf_opened *o, const wf_env *env, const char *path, wf_arena *arena, weft_error *err) {
    const wf_mem *mem = &env->mem;
    if (env->tokenizer) {
        WF_TRY(wf_tokenizer_open_on(mem, env->pool, env->tokenizer, &o->tok, err));
        o->target = o->tok;
        return wf_is_dir(env->tokenizer) ? open_target(o, mem, env->tokenizer, err) : WEFT_OK;
    }
    WF_TRY(wf_opened_tokenizer(env, path, o->model->spec->vocab, arena, &o->tok, err));
    const char *folder = folder_of(path, arena);
    return folder ? open_target(o, mem, folder, err) : wf_fail_memory(err);
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
    memset(out, 0, sizeof *out);
    wf_generation_config_init(&out->says);
    weft_status status = open_parts(out, env, path, precision, body, &arena, err);
    wf_arena_free(&arena);
    if (status != WEFT_OK)
        wf_opened_close(out);
    return status;
}

void wf_opened_close(wf_opened *o) {
    wf_model_free(o->model);
    if (o->target != o->tok)
        wf_tokenizer_free(o->target);
    wf_tokenizer_free(o->tok);
    memset(o, 0, sizeof *o);
}

typedef struct user_row {
    const char *head, *command;
} user_row;
static const user_row users[] = {{"lm", "generate"},       {"mlm", "fill"},        {"tag", "tag"},   {"span", "answer"},
                                 {"classify", "classify"}, {"choice", "classify"}, {"pool", "embed"}};

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
