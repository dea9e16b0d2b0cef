#include "apply/facts.h"
#include <string.h>
#include "apply/runner.h"
#include "base/reader.h"

/* A file of the folder; an empty object when it is not there or cannot be read: whoever needs it has judged it. */
static weft_status read_file(wf_arena *arena, const char *folder, const char *name, const wf_json **out, weft_error *err) {
    wf_json *json = NULL;
    const char *path = wf_path_join(arena, folder, name);
    if (!path)
        return wf_fail_memory(err);
    weft_status status = wf_is_file(path) ? wf_json_parse_file(arena, path, &json, NULL) : WEFT_FAILURE;
    if (status == WEFT_NO_MEMORY)
        return wf_fail_memory(err);
    *out = status == WEFT_OK ? json : wf_json_new(arena, WF_JSON_OBJECT);
    return *out ? WEFT_OK : wf_fail_memory(err);
}

typedef struct reading {
    const wf_json *tokenizer, *specials, *config;
    const wf_tokenizer *tok;
} reading;

/* A special token is a text, or an object with its "content". */
static wf_bytes text_of(const wf_json *files, const char *key) {
    const wf_json *j = wf_json_get(files, key);
    if (j && j->kind == WF_JSON_OBJECT)
        j = wf_json_get(j, "content");
    return j && j->kind == WF_JSON_STRING ? (wf_bytes){j->string, j->length} : (wf_bytes){NULL, 0};
}

/* What the files call so, else the usual spellings. */
static int64_t find_token(const reading *r, const char *key, const char *const *usual, wf_bytes *text) {
    wf_bytes said = text_of(r->tokenizer, key);
    if (!said.data)
        said = text_of(r->specials, key);
    int64_t id = said.data ? wf_tokenizer_id(r->tok, said.data, said.length) : -1;
    for (size_t i = 0; id < 0 && usual[i]; i++) {
        said = (wf_bytes){usual[i], strlen(usual[i])};
        id = wf_tokenizer_id(r->tok, said.data, said.length);
    }
    *text = id >= 0 ? said : (wf_bytes){NULL, 0};
    return id;
}

/* Files without a limit say a huge number. */
static int64_t find_limit(const reading *r, const wf_model *model) {
    enum { HUGE_LENGTH = 100000000 };
    double said = wf_json_double(r->tokenizer, "model_max_length", 0.0);
    int64_t places = wf_runner_limit(model), limit = said >= 1.0 && said < HUGE_LENGTH ? (int64_t)said : 0;
    if (!limit)
        limit = model->spec->context;
    return places && (!limit || places < limit) ? places : limit;
}

static wf_bytes find_nothing(const reading *r) {
    static const char *const keys[] = {"bos_token", "eos_token"}, *const ids[] = {"bos_token_id", "eos_token_id"},
                             *const none[] = {NULL};
    wf_bytes text;
    for (int i = 0; i < 2; i++)
        if (find_token(r, keys[i], none, &text) >= 0)
            return text;
    for (int i = 0; i < 2; i++) {
        int64_t id = wf_json_int(r->config, ids[i], -1);
        if (id >= 0 && id < (int64_t)wf_tokenizer_vocab(r->tok) && (text = wf_tokenizer_piece(r->tok, (uint32_t)id)).length)
            return text;
    }
    return (wf_bytes){"\n", 1};
}

weft_status wf_facts_read(wf_arena *arena, const char *folder, const wf_model *model, const wf_tokenizer *tok, wf_facts *out,
                          weft_error *err) {
    static const char *const masks[] = {"[MASK]", "<mask>", "<special1>", NULL}, *const pads[] = {"[PAD]", "<pad>", NULL},
                             *const firsts[] = {"[CLS]", "<s>", "<cls>", NULL}, *const unknowns[] = {"[UNK]", "<unk>", NULL};
    reading r = {.tok = tok};
    wf_bytes text;
    WF_TRY(read_file(arena, folder, "tokenizer_config.json", &r.tokenizer, err));
    WF_TRY(read_file(arena, folder, "special_tokens_map.json", &r.specials, err));
    WF_TRY(read_file(arena, folder, "config.json", &r.config, err));
    *out = (wf_facts){.limit = find_limit(&r, model), .config = r.config};
    out->padding = find_token(&r, "pad_token", pads, &text);
    if (out->padding < 0)
        out->padding = model->spec->stem.padding;
    for (int i = 0; i < model->spec->n_heads; i++)
        if (model->spec->heads[i].pool_padding >= 0) /* the head tells padding by its token */
            out->padding = model->spec->heads[i].pool_padding;
    if (out->padding < 0 || out->padding >= model->spec->vocab)
        out->padding = 0;
    out->first = find_token(&r, "cls_token", firsts, &text);
    out->unknown = find_token(&r, "unk_token", unknowns, &text);
    out->mask = find_token(&r, "mask_token", masks, &out->mask_text);
    out->nothing = find_nothing(&r);
    return WEFT_OK;
}
