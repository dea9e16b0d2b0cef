/* weft_handles.c - the facade's second part: models, tokenizers and sessions for programs that embed them. */
#include <string.h>
#include "families/load.h"
#include "formats/hub.h"
#include "gen/session.h"
#include "text/tokenizer.h"
#include "weft_handle.h"

struct weft_model {
    weft *lib;
    wf_model *model;
    char *spec;
};

struct weft_session {
    wf_mem mem;
    wf_session *session;
};

/* ---- models ---- */
static weft_status wrap_model(weft *lib, wf_model *model, weft_model **out, weft_error *err) {
    const wf_mem *mem = &lib->env.mem;
    wf_str text = wf_str_new(mem);
    weft_model *m = wf_calloc(mem, 1, sizeof *m);
    wf_json_print(&text, model->spec->json, 2);
    char *spec = text.failed ? NULL : wf_strdup(mem, wf_str_text(&text));
    wf_str_free(&text);
    if (!m || !spec) {
        wf_free(mem, m);
        wf_free(mem, spec);
        wf_model_free(model);
        return wf_fail_memory(err);
    }
    *m = (weft_model){lib, model, spec};
    *out = m;
    return WEFT_OK;
}

weft_status weft_model_open(weft *lib, const char *folder, weft_model **out, weft_error *err) {
    wf_model *model = NULL;
    wf_arena arena;
    wf_arena_init(&arena, &lib->env.mem, 0);
    weft_status status = wf_hub_path(&arena, folder, &folder, err);
    if (status == WEFT_OK)
        status = wf_model_load(&lib->env, folder, &(wf_load_options){.map = true, .turned = true}, &model, err);
    wf_arena_free(&arena);
    return status == WEFT_OK ? wrap_model(lib, model, out, err) : status;
}

static weft_status new_model(weft *lib, const char *spec, uint64_t seed, wf_arena *arena, wf_model **out, weft_error *err) {
    wf_json *json;
    WF_TRY(wf_json_parse(arena, spec, strlen(spec), 0, &json, err));
    WF_TRY(wf_model_create(&lib->env, json, out, err));
    weft_status status = wf_params_allocate(&(*out)->params, err);
    if (status == WEFT_OK)
        wf_params_init(&(*out)->params, seed);
    else
        wf_model_free(*out);
    return status;
}

weft_status weft_model_create(weft *lib, const char *spec, uint64_t seed, weft_model **out, weft_error *err) {
    wf_arena arena;
    wf_model *model = NULL;
    wf_arena_init(&arena, &lib->env.mem, 0);
    weft_status status = new_model(lib, spec, seed, &arena, &model, err);
    wf_arena_free(&arena);
    return status == WEFT_OK ? wrap_model(lib, model, out, err) : status;
}

weft_status weft_model_save(const weft_model *model, const char *folder, weft_error *err) {
    return wf_model_save(model->model, folder, NULL, err);
}

weft_status weft_model_pack(weft_model *model, weft_error *err) { return wf_model_expect(model->model, UINT64_MAX, err); }

void weft_model_free(weft_model *model) {
    if (!model)
        return;
    const wf_mem *mem = &model->lib->env.mem;
    wf_model_free(model->model);
    wf_free(mem, model->spec);
    wf_free(mem, model);
}

int64_t weft_model_vocab(const weft_model *model) { return model->model->spec->vocab; }
int64_t weft_model_parameters(const weft_model *model) { return wf_params_total(&model->model->params); }
int64_t weft_model_context(const weft_model *model) { return model->model->spec->context; }
const char *weft_model_spec(const weft_model *model) { return model->spec; }

/* ---- tokenizers ---- */
/* The engine keeps a pointer to its allocator, so that lives in the handle. */
weft_status weft_tokenizer_open(weft *lib, const char *path, weft_tokenizer **out, weft_error *err) {
    weft_tokenizer *t = wf_calloc(&lib->env.mem, 1, sizeof *t);
    if (!t)
        return wf_fail_memory(err);
    t->mem = lib->env.mem;
    wf_arena arena;
    wf_arena_init(&arena, &t->mem, 0);
    weft_status status = wf_hub_path(&arena, path, &path, err);
    if (status == WEFT_OK)
        status = wf_tokenizer_open_on(&t->mem, lib->env.pool, path, &t->tok, err);
    wf_arena_free(&arena);
    if (status == WEFT_OK)
        *out = t;
    else
        weft_tokenizer_free(t);
    return status;
}

void weft_tokenizer_free(weft_tokenizer *t) {
    if (!t)
        return;
    wf_mem mem = t->mem;
    wf_tokenizer_free(t->tok);
    wf_free(&mem, t);
}

int64_t weft_tokenizer_vocab(const weft_tokenizer *t) { return (int64_t)wf_tokenizer_vocab(t->tok); }

weft_status weft_tokenizer_encode(const weft_tokenizer *t, const char *text, size_t length, int32_t **ids, size_t *count,
                                  weft_error *err) {
    wf_ids list = wf_ids_new(&t->mem);
    weft_status status = wf_tokenizer_encode(t->tok, text, length, WF_ENCODE_SPECIALS, &list, err);
    int32_t *copy = status == WEFT_OK ? wf_calloc(&t->mem, list.count + 1, sizeof *copy) : NULL;
    if (status == WEFT_OK && !copy)
        status = wf_fail_memory(err);
    if (status == WEFT_OK) {
        for (size_t i = 0; i < list.count; i++)
            copy[i] = (int32_t)list.data[i];
        *ids = copy;
        *count = list.count;
    }
    wf_ids_free(&list);
    return status;
}

void weft_ids_free(const weft_tokenizer *t, int32_t *ids) {
    if (t)
        wf_free(&t->mem, ids);
}

weft_status weft_tokenizer_decode(const weft_tokenizer *t, const int32_t *ids, size_t count, char **text, size_t *length,
                                  weft_error *err) {
    wf_str out = wf_str_new(&t->mem);
    /* Ids below 0 name no token, like those above the vocabulary: as unsigned numbers they are. */
    weft_status status = wf_tokenizer_decode(t->tok, (const uint32_t *)ids, count, WF_DECODE_SKIP_SPECIALS, &out, err);
    if (status == WEFT_OK && !out.data)
        out.data = wf_strdup(&t->mem, "");
    if (status == WEFT_OK && !out.data)
        status = wf_fail_memory(err);
    if (status != WEFT_OK) {
        wf_str_free(&out);
        return status;
    }
    *text = out.data;
    if (length)
        *length = out.length;
    return WEFT_OK;
}

void weft_text_free(const weft_tokenizer *t, char *text) {
    if (t)
        wf_free(&t->mem, text);
}

/* ---- sessions ---- */
weft_status weft_session_create(const weft_model *model, int64_t batch, int64_t capacity, weft_session **out, weft_error *err) {
    wf_mem mem = model->lib->env.mem;
    weft_session *s = wf_calloc(&mem, 1, sizeof *s);
    if (!s)
        return wf_fail_memory(err);
    s->mem = mem;
    weft_status status = wf_session_create(model->model, batch, capacity, &s->session, err);
    if (status == WEFT_OK)
        *out = s;
    else
        wf_free(&mem, s);
    return status;
}

void weft_session_free(weft_session *s) {
    if (!s)
        return;
    wf_mem mem = s->mem;
    wf_session_free(s->session);
    wf_free(&mem, s);
}

void weft_session_reset(weft_session *s) { wf_session_reset(s->session); }

weft_status weft_session_feed(weft_session *s, const int32_t *ids, int64_t n, const float **logits, weft_error *err) {
    return wf_session_feed(s->session, ids, n, logits, err);
}

weft_status weft_session_reorder(weft_session *s, const int64_t *index, weft_error *err) {
    return wf_state_reorder(wf_session_state(s->session), index, err);
}

weft_status weft_session_truncate(weft_session *s, int64_t sequence, int64_t tokens, weft_error *err) {
    wf_state *state = wf_session_state(s->session);
    WF_CHECK(sequence >= 0 && sequence < state->batch, err, WEFT_USAGE, "there is no sequence %lld", (long long)sequence);
    return wf_state_truncate(state, sequence, tokens, err);
}

size_t weft_session_state_size(const weft_session *s) { return wf_state_saved_size(wf_session_state(s->session)); }
void weft_session_save(const weft_session *s, void *bytes) { wf_session_save(s->session, bytes); }

weft_status weft_session_load(weft_session *s, const void *bytes, size_t size, weft_error *err) {
    return wf_session_load(s->session, bytes, size, err);
}
