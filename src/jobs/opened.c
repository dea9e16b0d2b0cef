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

/* generation_config.json, else config.json, else what the tokenizer calls the end. A file that says nothing is no error here:
 * the loader has judged config.json already. */
static weft_status find_ends(wf_opened *o, wf_arena *arena, const char *folder, weft_error *err) {
    static const char *const files[] = {"generation_config.json", "config.json"};
    static const char usual[] = "<|endoftext|>";
    for (size_t i = 0; i < 2 && (o->n_eos == 0 || (o->model->encoder && o->n_start == 0)); i++) {
        wf_json *config;
        const char *path = wf_path_join(arena, folder, files[i]);
        weft_status status = !path               ? WEFT_NO_MEMORY
                             : !wf_is_file(path) ? WEFT_FAILURE
                                                 : wf_json_parse_file(arena, path, &config, NULL);
        if (status == WEFT_NO_MEMORY)
            return wf_fail_memory(err);
        if (status == WEFT_OK && o->n_eos == 0)
            take_ends(o, config);
        if (status == WEFT_OK && o->n_start == 0)
            take_start(o, config);
    }
    int64_t id = wf_tokenizer_id(o->tok, usual, strlen(usual));
    if (o->n_eos == 0 && id >= 0 && id < o->model->spec->vocab)
        o->eos[o->n_eos++] = (int32_t)id;
    return WEFT_OK;
}

static weft_status open_parts(wf_opened *o, const wf_env *env, const char *folder, bool bf16, wf_arena *arena,
                              weft_error *err) {
    WF_CHECK(wf_is_dir(folder), err, WEFT_USAGE, "'%s' is not a model folder", folder);
    WF_TRY(wf_model_load(env, folder, &(wf_load_options){.map = true}, &o->model, err));
    WF_TRY(wf_tokenizer_open(&env->mem, folder, &o->tok, err));
    if (bf16)
        WF_TRY(wf_params_allocate_bf16(&o->model->params, err));
    return find_ends(o, arena, folder, err);
}

weft_status wf_opened_open(const wf_env *env, const char *folder, bool bf16, wf_opened *out, weft_error *err) {
    wf_arena arena;
    wf_arena_init(&arena, &env->mem, 0);
    *out = (wf_opened){.bos = -1};
    weft_status status = open_parts(out, env, folder, bf16, &arena, err);
    wf_arena_free(&arena);
    if (status != WEFT_OK)
        wf_opened_close(out);
    return status;
}

void wf_opened_close(wf_opened *o) {
    wf_model_free(o->model);
    wf_tokenizer_free(o->tok);
    *o = (wf_opened){.bos = -1};
}
