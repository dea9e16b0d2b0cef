/* Model folders: saved and loaded again with equal bits, as the family that says the spec; tied, bare, sharded, cut and foreign
 * files. */
#include "families/load.h"
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/reader.h"
#include "formats/shards.h"
#include "gen/session.h"
#include "presets/presets.h"
#include "support/fail_mem.h"
#include "support/test.h"

#define OWN WEFT_SOURCE_DIR "/tests/fixtures/decoders/"
#define SCRATCH WEFT_BINARY_DIR "/load-scratch"

typedef struct bench {
    wf_env env;
    wf_kernels kernels;
    wf_arena arena;
    char log[1024]; /* the last warning */
} bench;

static void keep_log(void *user, int level, const char *line) {
    bench *b = user;
    (void)level;
    snprintf(b->log, sizeof b->log, "%s", line);
}

static void open_bench(bench *b) {
    weft_error err = {0};
    memset(b, 0, sizeof *b);
    b->env = (wf_env){.mem = wf_mem_default, .kernels = &b->kernels, .log = keep_log, .log_user = b};
    assert_int_equal(wf_kernels_choose(NULL, &b->kernels, &err), WEFT_OK);
    assert_int_equal(wf_pool_create(&b->env.mem, 1, &b->env.pool, &err), WEFT_OK);
    wf_arena_init(&b->arena, &b->env.mem, 0);
}

static void close_bench(bench *b) {
    wf_pool_free(b->env.pool);
    wf_arena_free(&b->arena);
}

static wf_model *load(bench *b, const char *folder, bool strict) {
    wf_model *model = NULL;
    weft_error err = {0};
    if (wf_model_load(&b->env, folder, &(wf_load_options){.strict = strict}, &model, &err) != WEFT_OK)
        fail_msg("%s: %s", folder, err.message);
    return model;
}

static void save(const wf_model *model, const char *folder, const wf_save_options *options) {
    weft_error err = {0};
    if (wf_model_save(model, folder, options, &err) != WEFT_OK)
        fail_msg("%s: %s", folder, err.message);
}

/* The text of a file, in the arena. */
static char *text_of(bench *b, const char *folder, const char *name) {
    wf_file file;
    assert_int_equal(wf_file_open(&b->env.mem, wf_path_join(&b->arena, folder, name), false, 0, &file, NULL), WEFT_OK);
    char *text = wf_arena_strndup(&b->arena, (const char *)file.data, file.size);
    wf_file_close(&file);
    return text;
}

/* ---- there and back ---- */
static void same_files(bench *b, const char *a, const char *c) {
    wf_shards *x, *y;
    assert_int_equal(wf_shards_open(&b->env.mem, a, &x, NULL), WEFT_OK);
    assert_int_equal(wf_shards_open(&b->env.mem, c, &y, NULL), WEFT_OK);
    assert_int_equal(wf_shards_count(x), wf_shards_count(y));
    for (size_t i = 0; i < wf_shards_count(x); i++) {
        const wf_stored_tensor *t = wf_shards_at(x, i), *u = wf_shards_find(y, t->name);
        assert_non_null(u);
        assert_int_equal(t->size, u->size);
        assert_memory_equal(t->data, u->data, t->size);
    }
    wf_shards_free(x);
    wf_shards_free(y);
}

static void test_folders_return(void **state) {
    static const char *const names[] = {"gpt2-inverse-layer-untied", "gpt2-right-padded-types", "llama-gqa-bias-tied",
                                        "llama-rope-dynamic", "llama-left-padded"};
    bench b;
    open_bench(&b);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char *from = wf_arena_printf(&b.arena, OWN "%s", names[i]);
        wf_model *model = load(&b, from, true), *again;
        save(model, SCRATCH "/back", &(wf_save_options){WF_F32, 1, 2, -1});
        again = load(&b, SCRATCH "/back", true);
        assert_true(wf_params_digest(&model->params) == wf_params_digest(&again->params));
        same_files(&b, from, SCRATCH "/back");
        assert_non_null(strstr(text_of(&b, SCRATCH "/back", "config.json"), names[i][0] == 'g' ? "\"gpt2\"" : "\"llama\""));
        assert_non_null(strstr(text_of(&b, SCRATCH "/back", "generation_config.json"), "\"eos_token_id\": 2"));
        wf_model_free(model);
        wf_model_free(again);
    }
    close_bench(&b);
}

/* Mapped parameters are the file's; they survive saving over the file they came from. */
static void test_mapped(void **state) {
    bench b;
    wf_model *mapped, *model;
    open_bench(&b);
    model = load(&b, OWN "llama-rope-dynamic", true);
    save(model, SCRATCH "/mapped", NULL);
    assert_int_equal(wf_model_load(&b.env, SCRATCH "/mapped", &(wf_load_options){.map = true}, &mapped, NULL), WEFT_OK);
    assert_false(mapped->token->owns_value);
    save(mapped, SCRATCH "/mapped", NULL);
    assert_true(wf_params_digest(&model->params) == wf_params_digest(&mapped->params));
    wf_model_free(mapped);
    mapped = load(&b, SCRATCH "/mapped", true);
    assert_true(wf_params_digest(&model->params) == wf_params_digest(&mapped->params));
    wf_model_free(mapped);
    wf_model_free(model);
    close_bench(&b);
}

static void logits_of(const wf_model *model, float *out, size_t n) {
    static const int32_t ids[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    const float *logits;
    for (int64_t rows = 8; rows > 0; rows -= 6) { /* products by tiles, then by sweeps */
        wf_session *s;
        assert_int_equal(wf_session_create(model, 1, 8, &s, NULL), WEFT_OK);
        assert_int_equal(wf_session_feed(s, ids, rows, &logits, NULL), WEFT_OK);
        memcpy(out, logits, n * sizeof *out);
        out += n;
        wf_session_free(s);
    }
}

/* Matrices that the file holds turned give the same numbers where they lie, and the same bits when they are written. */
static void test_turned(void **state) {
    static const char *const names[] = {"gpt2-inverse-layer-untied", "gpt2-right-padded-types"};
    bench b;
    open_bench(&b);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const char *from = wf_arena_printf(&b.arena, OWN "%s", names[i]);
        wf_model *model = load(&b, from, true), *mapped;
        size_t vocab = (size_t)model->spec->vocab;
        float *a = wf_arena_alloc(&b.arena, 4 * vocab * sizeof *a), *c = a + 2 * vocab;
        save(model, SCRATCH "/turned", NULL);
        assert_int_equal(
            wf_model_load(&b.env, SCRATCH "/turned", &(wf_load_options){.map = true, .turned = true}, &mapped, NULL), WEFT_OK);
        assert_true(wf_param_find(&mapped->params, "block.0.mixer.k.weight")->turned > 0);
        logits_of(model, a, vocab);
        logits_of(mapped, c, vocab);
        for (size_t k = 0; k < 2 * vocab; k++)
            assert_true(fabsf(a[k] - c[k]) <= 1e-5f * (1.0f + fabsf(a[k])));
        for (int type = 0; type < 2; type++) {
            const wf_save_options options = {type ? WF_BF16 : WF_F32, -1, -1, -1};
            save(model, SCRATCH "/straight", &options);
            save(mapped, SCRATCH "/turned2", &options);
            same_files(&b, SCRATCH "/straight", SCRATCH "/turned2");
        }
        save(mapped, SCRATCH "/turned", NULL);
        same_files(&b, from, SCRATCH "/turned");
        wf_model_free(mapped);
        wf_model_free(model);
    }
    close_bench(&b);
}

/* Narrow types lose bits once: what was read from them is written again exactly. */
static void test_narrow(void **state) {
    static const wf_dtype types[] = {WF_BF16, WF_F16};
    bench b;
    open_bench(&b);
    wf_model *model = load(&b, OWN "gpt2-right-padded-types", true);
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        const wf_save_options options = {types[i], -1, -1, -1};
        save(model, SCRATCH "/narrow", &options);
        wf_model *narrow = load(&b, SCRATCH "/narrow", true);
        assert_true(wf_params_digest(&model->params) != wf_params_digest(&narrow->params));
        save(narrow, SCRATCH "/narrow2", &options);
        same_files(&b, SCRATCH "/narrow", SCRATCH "/narrow2");
        wf_model_free(narrow);
    }
    wf_model_free(model);
    close_bench(&b);
}

/* Every preset: the family that should say it does, and the weights return. */
static void test_presets(void **state) {
    bench b;
    open_bench(&b);
    for (size_t i = 0; wf_preset_name(i); i++) {
        const char *name = wf_preset_name(i);
        wf_json *form, *spec;
        wf_model *model, *again;
        weft_error err = {0};
        assert_int_equal(wf_preset_template(&b.arena, name, &form, &err), WEFT_OK);
        assert_int_equal(wf_preset_fill(&b.arena, form, &(wf_sizes){64, 4, 96, 50, 32}, &spec, &err), WEFT_OK);
        if (wf_model_create(&b.env, spec, &model, &err) != WEFT_OK)
            fail_msg("%s: %s", name, err.message);
        assert_int_equal(wf_params_allocate(&model->params, &err), WEFT_OK);
        wf_params_init(&model->params, 5);
        save(model, SCRATCH "/preset", NULL);
        const char *family = strcmp(name, "gpt2") == 0 || strcmp(name, "llama") == 0 || strcmp(name, "mamba") == 0 ? name
                             : strcmp(name, "sliding") == 0                                                        ? "mistral"
                                                                                                                   : "";
        if (*family &&
            !strstr(text_of(&b, SCRATCH "/preset", "config.json"), wf_arena_printf(&b.arena, "\"model_type\": \"%s\"", family)))
            fail_msg("%s is not saved as %s", name, family);
        again = load(&b, SCRATCH "/preset", true);
        assert_true(wf_params_digest(&model->params) == wf_params_digest(&again->params));
        wf_model_free(model);
        wf_model_free(again);
    }
    close_bench(&b);
}

/* Every folder of the conformance fixtures comes back as the same family with the same tensors. */
static void return_folder(bench *b, const char *folder) {
    wf_model *model, *again;
    weft_error err = {0};
    weft_status status = wf_model_load(&b->env, folder, &(wf_load_options){.strict = true}, &model, &err);
    if (status == WEFT_UNSUPPORTED)
        return;
    if (status != WEFT_OK)
        fail_msg("%s: %s", folder, err.message);
    save(model, SCRATCH "/returned", NULL);
    if (wf_model_load(&b->env, SCRATCH "/returned", &(wf_load_options){.strict = true}, &again, &err) != WEFT_OK)
        fail_msg("%s: %s", folder, err.message);
    if (strcmp(model->spec->name, again->spec->name) != 0)
        fail_msg("%s returns as %s", folder, again->spec->name);
    assert_true(wf_params_digest(&model->params) == wf_params_digest(&again->params));
    wf_model_free(model);
    wf_model_free(again);
}

static void return_group(bench *b, const char *root, const char *group) {
    DIR *folder = opendir(wf_arena_printf(&b->arena, "%s/%s", root, group));
    assert_non_null(folder);
    for (const struct dirent *e; (e = readdir(folder));) {
        const char *path = wf_arena_printf(&b->arena, "%s/%s/%s", root, group, e->d_name);
        if (e->d_name[0] != '.' && wf_is_dir(path))
            return_folder(b, path);
    }
    closedir(folder);
}

static void test_fixtures_return(void **state) {
    const char *root = getenv("WEFT_FIXTURES");
    bench b;
    if (!root)
        skip();
    open_bench(&b);
    return_group(&b, root, "decoders");
    return_group(&b, root, "seq2seq");
    close_bench(&b);
}

/* ---- files of other shapes ---- */
typedef struct edit {      /* what becomes of a tensor of the source */
    const char *name, *as; /* as NULL: left out; name NULL: the end */
    bool twice, scaled;    /* both names are written; the second one doubled */
} edit;

typedef struct tensor_list {
    wf_tensor_plan plan[128];
    const void *data[128];
    size_t sizes[128], count;
} tensor_list;

static void add_tensor(tensor_list *list, const wf_stored_tensor *t, const char *name, const void *data) {
    assert_true(list->count < COUNT_OF(list->plan));
    list->plan[list->count] = (wf_tensor_plan){name, (wf_dtype)t->type, t->rank, t->dims};
    list->data[list->count] = data;
    list->sizes[list->count++] = t->size;
}

static void write_tensors(bench *b, const tensor_list *list, size_t first, size_t end, const char *path) {
    wf_safetensors_writer *w;
    assert_int_equal(
        wf_safetensors_create(&b->env.mem, path, &(wf_safetensors_plan){list->plan + first, end - first, NULL, 0}, &w, NULL),
        WEFT_OK);
    for (size_t i = first; i < end; i++)
        assert_int_equal(wf_safetensors_put(w, list->data[i], list->sizes[i], NULL), WEFT_OK);
    assert_int_equal(wf_safetensors_commit(w, NULL), WEFT_OK);
}

static const void *doubled(bench *b, const wf_stored_tensor *t) {
    float *copy = wf_arena_alloc(&b->arena, t->size);
    memcpy(copy, t->data, t->size);
    for (size_t i = 0; i < t->size / sizeof *copy; i++)
        copy[i] *= 2.0f;
    return copy;
}

/* The tensors of a folder with some of them renamed; `drop`: a prefix taken off every name. */
static void edited(bench *b, const wf_shards *from, const edit *edits, const char *drop, tensor_list *list) {
    memset(list, 0, sizeof *list);
    for (size_t i = 0; i < wf_shards_count(from); i++) {
        const wf_stored_tensor *t = wf_shards_at(from, i);
        const edit *e = edits;
        while (e && e->name && strcmp(e->name, t->name) != 0)
            e++;
        const char *name = drop && wf_starts_with(t->name, drop) ? t->name + strlen(drop) : t->name;
        bool hit = e && e->name;
        if (!hit || e->twice)
            add_tensor(list, t, name, t->data);
        if (hit && e->as)
            add_tensor(list, t, e->as, e->scaled ? doubled(b, t) : t->data);
    }
}

static void copy_config(bench *b, const char *from, const char *to, const char *was, const char *is) {
    char *text = text_of(b, from, "config.json"), *at = was ? strstr(text, was) : NULL;
    wf_str out = wf_str_new(&b->env.mem);
    if (at)
        wf_str_printf(&out, "%.*s%s%s", (int)(at - text), text, is, at + strlen(was));
    else
        wf_str_puts(&out, text);
    assert_int_equal(wf_make_dir(to, NULL), WEFT_OK);
    assert_int_equal(wf_write_file(&b->env.mem, wf_path_join(&b->arena, to, "config.json"), out.data, out.length, NULL),
                     WEFT_OK);
    wf_str_free(&out);
}

static uint64_t digest(bench *b, const char *folder, bool strict) {
    wf_model *model = load(b, folder, strict);
    uint64_t h = wf_params_digest(&model->params);
    wf_model_free(model);
    return h;
}

static void write_edited(bench *b, const char *from, const edit *edits, const char *drop, const char *to) {
    tensor_list list;
    wf_shards *shards;
    assert_int_equal(wf_shards_open(&b->env.mem, from, &shards, NULL), WEFT_OK);
    edited(b, shards, edits, drop, &list);
    assert_int_equal(wf_make_dir(to, NULL), WEFT_OK);
    write_tensors(b, &list, 0, list.count, wf_path_join(&b->arena, to, "model.safetensors"));
    wf_shards_free(shards);
}

/* A folder that is opened and saved holds the tensors of another (itself, where its names are whole), and says what it was. */
static void saved_as(bench *b, const char *folder, const char *expected, const char *type) {
    const char *to = SCRATCH "/saved-as";
    wf_model *model = load(b, folder, true);
    save(model, to, NULL);
    assert_true(digest(b, to, true) == wf_params_digest(&model->params));
    wf_model_free(model);
    same_files(b, expected, to);
    const char *said = wf_arena_printf(&b->arena, "\"model_type\": \"%s\"", type);
    if (!strstr(text_of(b, to, "config.json"), said))
        fail_msg("%s is not saved as %s", folder, type);
}

static void test_names_of_old_files(void **state) {
    const char *gpt2 = OWN "gpt2-right-padded-types", *llama = OWN "llama-gqa-bias-tied", *to = SCRATCH "/old";
    bench b;
    open_bench(&b);
    uint64_t plain = digest(&b, gpt2, true), tied = digest(&b, llama, true);
    copy_config(&b, gpt2, to, NULL, NULL);
    write_edited(&b, gpt2, NULL, "transformer.", to); /* as the hub has gpt2 */
    assert_true(digest(&b, to, true) == plain);
    const edit buffer[] = {{"transformer.ln_f.bias", "transformer.h.1.attn.bias", true, false}, {0}};
    write_edited(&b, gpt2, buffer, NULL, to); /* a buffer that old files hold */
    assert_true(digest(&b, to, true) == plain);
    copy_config(&b, llama, to, NULL, NULL);
    const edit twin[] = {{"model.embed_tokens.weight", "lm_head.weight", true, false}, {0}};
    write_edited(&b, llama, twin, NULL, to); /* both names of a tied tensor */
    assert_true(digest(&b, to, true) == tied);
    saved_as(&b, to, llama, "llama"); /* one of them is written, as by the reference */
    const edit other[] = {{"model.embed_tokens.weight", "lm_head.weight", false, false}, {0}};
    write_edited(&b, llama, other, NULL, to); /* only the other one */
    assert_true(digest(&b, to, true) == tied);
    close_bench(&b);
}

/* What the reference has a place for and nothing reads comes back, and so does the config. */
static void test_rest(void **state) {
    const edit pooler[] = {{"bert.embeddings.LayerNorm.bias", "bert.pooler.dense.bias", true, true}, {0}};
    const char *tagger = WEFT_SOURCE_DIR "/tests/fixtures/encoders/bert-tokcls", *from = SCRATCH "/rest",
               *to = SCRATCH "/rest-saved", *bare = SCRATCH "/rest-bare";
    bench b;
    wf_shards *was, *is;
    open_bench(&b);
    copy_config(&b, tagger, from, "{", "{\"pooler_type\": \"first\", \"mask_token_id\": 9,");
    write_edited(&b, tagger, pooler, NULL, from);
    wf_model *model = load(&b, from, false);
    save(model, to, NULL);
    wf_model_free(model);
    assert_non_null(strstr(text_of(&b, to, "config.json"), "\"pooler_type\": \"first\""));
    assert_non_null(strstr(text_of(&b, to, "config.json"), "\"mask_token_id\": 9"));
    assert_int_equal(wf_shards_open(&b.env.mem, from, &was, NULL), WEFT_OK);
    assert_int_equal(wf_shards_open(&b.env.mem, to, &is, NULL), WEFT_OK);
    const wf_stored_tensor *x = wf_shards_find(was, "bert.pooler.dense.bias"),
                           *y = wf_shards_find(is, "bert.pooler.dense.bias");
    assert_true(x && y && x->size == y->size && memcmp(x->data, y->data, x->size) == 0);
    wf_shards_free(was);
    wf_shards_free(is);
    assert_true(digest(&b, to, false) == digest(&b, tagger, true));
    copy_config(&b, tagger, bare, NULL, NULL);
    write_edited(&b, from, NULL, "bert.", bare);
    saved_as(&b, bare, from, "bert");
    close_bench(&b);
}

static void write_settings(bench *b, const char *folder, const char *json) {
    assert_int_equal(
        wf_write_file(&b->env.mem, wf_path_join(&b->arena, folder, "generation_config.json"), json, strlen(json), NULL),
        WEFT_OK);
}

/* Settings for writing text come along, under the ids that are given; where nothing is known there is no file. */
static void test_settings(void **state) {
    const char *from = SCRATCH "/settings", *to = SCRATCH "/settings-saved", *name = "generation_config.json";
    bench b;
    open_bench(&b);
    copy_config(&b, OWN "llama-gqa-bias-tied", from, NULL, NULL);
    write_edited(&b, OWN "llama-gqa-bias-tied", NULL, NULL, from);
    write_settings(&b, from, "{\"num_beams\": 3, \"eos_token_id\": 5, \"pad_token_id\": 6}");
    wf_model *model = load(&b, from, true);
    save(model, to, NULL);
    assert_string_equal(text_of(&b, to, name), "{\n  \"num_beams\": 3,\n  \"eos_token_id\": 5,\n  \"pad_token_id\": 6\n}\n");
    save(model, to, &(wf_save_options){WF_F32, 1, 2, -1});
    assert_non_null(strstr(text_of(&b, to, name), "\"num_beams\": 3"));
    assert_non_null(strstr(text_of(&b, to, name), "\"eos_token_id\": 2"));
    assert_non_null(strstr(text_of(&b, to, name), "\"bos_token_id\": 1"));
    wf_model_free(model);
    write_settings(&b, from, "{\"num_beams\": ");
    model = load(&b, from, true);
    save(model, to, NULL);
    assert_false(wf_is_file(wf_path_join(&b.arena, to, name)));
    save(model, to, NULL);
    wf_model_free(model);
    close_bench(&b);
}

/* Said to be tied, but two different tensors: the file is believed, aloud. */
static void test_untied_by_the_file(void **state) {
    const edit loose[] = {{"model.embed_tokens.weight", "lm_head.weight", true, true}, {0}};
    bench b;
    open_bench(&b);
    copy_config(&b, OWN "llama-gqa-bias-tied", SCRATCH "/loose", NULL, NULL);
    write_edited(&b, OWN "llama-gqa-bias-tied", loose, NULL, SCRATCH "/loose");
    wf_model *model = load(&b, SCRATCH "/loose", true);
    assert_true(model->heads[0].weight != model->token);
    assert_true(model->heads[0].weight->value[5] == 2.0f * model->token->value[5]);
    assert_non_null(strstr(b.log, "not tied"));
    wf_model_free(model);
    saved_as(&b, SCRATCH "/loose", SCRATCH "/loose", "llama");
    assert_non_null(strstr(text_of(&b, SCRATCH "/saved-as", "config.json"), "\"tie_word_embeddings\": true")); /* its own */
    close_bench(&b);
}

/* One table of tokens on both sides, but the file holds two; it is saved as it was, with the third that nothing reads. */
static void test_tables_of_the_file(void **state) {
    const char *bart = WEFT_SOURCE_DIR "/tests/fixtures/seq2seq/bart-greedy-forced", *half = SCRATCH "/half",
               *two = SCRATCH "/two";
    const edit encoder[] = {{"model.shared.weight", "model.encoder.embed_tokens.weight", true, true}, {0}};
    const edit decoder[] = {{"model.shared.weight", "model.decoder.embed_tokens.weight", true, false}, {0}};
    bench b;
    open_bench(&b);
    copy_config(&b, bart, half, NULL, NULL);
    write_edited(&b, bart, encoder, NULL, half);
    copy_config(&b, bart, two, NULL, NULL);
    write_edited(&b, half, decoder, NULL, two);
    wf_model *model = load(&b, two, true);
    assert_true(model->encoder->token != model->token);
    assert_true(model->encoder->token->value[5] == 2.0f * model->token->value[5]);
    assert_non_null(strstr(b.log, "not one"));
    wf_model_free(model);
    saved_as(&b, two, two, "bart");
    close_bench(&b);
}

/* A folder whose names begin with `to` where they began with `from`; tensors of other names are left out. */
static void write_begun(bench *b, const char *folder, const char *from, const char *to, const char *out) {
    tensor_list list;
    wf_shards *shards;
    memset(&list, 0, sizeof list);
    assert_int_equal(wf_shards_open(&b->env.mem, folder, &shards, NULL), WEFT_OK);
    for (size_t i = 0; i < wf_shards_count(shards); i++) {
        const wf_stored_tensor *t = wf_shards_at(shards, i);
        if (wf_starts_with(t->name, from))
            add_tensor(&list, t, wf_arena_printf(&b->arena, "%s%s", to, t->name + strlen(from)), t->data);
    }
    assert_int_equal(wf_make_dir(out, NULL), WEFT_OK);
    write_tensors(b, &list, 0, list.count, wf_path_join(&b->arena, out, "model.safetensors"));
    wf_shards_free(shards);
}

/* A base of several parts: files may leave out all of it, or the first. */
static void test_parts_of_a_base(void **state) {
    static const char *const begins[] = {"question_encoder.bert_model.", "bert_model.", ""};
    const char *tagger = WEFT_SOURCE_DIR "/tests/fixtures/encoders/bert-tokcls", *to = SCRATCH "/parts";
    uint64_t digests[COUNT_OF(begins)];
    bench b;
    open_bench(&b);
    copy_config(&b, tagger, to, "BertForTokenClassification", "DPRQuestionEncoder");
    copy_config(&b, to, to, "\"model_type\": \"bert\"", "\"model_type\": \"dpr\"");
    for (size_t i = 0; i < COUNT_OF(begins); i++) {
        write_begun(&b, tagger, "bert.", begins[i], to);
        digests[i] = digest(&b, to, false);
        assert_true(digests[i] == digests[0]);
    }
    close_bench(&b);
}

/* Wrappers put a word before every name, one over the other. */
static void test_wrapped(void **state) {
    const char *from = OWN "llama-rope-dynamic", *to = SCRATCH "/wrapped";
    tensor_list list;
    wf_shards *shards;
    bench b;
    open_bench(&b);
    uint64_t plain = digest(&b, from, true);
    copy_config(&b, from, to, NULL, NULL);
    assert_int_equal(wf_shards_open(&b.env.mem, from, &shards, NULL), WEFT_OK);
    edited(&b, shards, NULL, NULL, &list);
    for (size_t i = 0; i < list.count; i++)
        list.plan[i].name = wf_arena_printf(&b.arena, "state_dict.module.%s", list.plan[i].name);
    write_tensors(&b, &list, 0, list.count, SCRATCH "/wrapped/model.safetensors");
    assert_true(digest(&b, to, true) == plain);
    wf_shards_free(shards);
    close_bench(&b);
}

/* A link that leads out of the folder is not followed. */
static void test_links(void **state) {
    wf_model *model;
    weft_error err = {0};
    bench b;
    open_bench(&b);
    copy_config(&b, OWN "llama-rope-dynamic", SCRATCH "/links", NULL, NULL);
    remove(SCRATCH "/links/model.safetensors");
    assert_int_equal(symlink(OWN "llama-rope-dynamic/model.safetensors", SCRATCH "/links/model.safetensors"), 0);
    assert_int_equal(wf_model_load(&b.env, SCRATCH "/links", NULL, &model, &err), WEFT_BAD_INPUT);
    assert_non_null(strstr(err.message, "leads out of the folder"));
    close_bench(&b);
}

static void test_shards(void **state) {
    const char *from = OWN "llama-rope-dynamic", *to = SCRATCH "/shards";
    tensor_list list;
    wf_shards *shards;
    bench b;
    wf_str index;
    open_bench(&b);
    index = wf_str_new(&b.env.mem);
    uint64_t plain = digest(&b, from, true);
    copy_config(&b, from, to, NULL, NULL);
    assert_int_equal(wf_shards_open(&b.env.mem, from, &shards, NULL), WEFT_OK);
    edited(&b, shards, NULL, NULL, &list);
    write_tensors(&b, &list, 0, 5, SCRATCH "/shards/one.safetensors");
    write_tensors(&b, &list, 5, list.count, SCRATCH "/shards/two.safetensors");
    wf_str_puts(&index, "{\"weight_map\": {");
    for (size_t i = 0; i < list.count; i++)
        wf_str_printf(&index, "%s\"%s\": \"%s.safetensors\"", i ? ", " : "", list.plan[i].name, i < 5 ? "one" : "two");
    wf_str_puts(&index, "}}");
    assert_int_equal(wf_write_file(&b.env.mem, SCRATCH "/shards/model.safetensors.index.json", index.data, index.length, NULL),
                     WEFT_OK);
    assert_true(digest(&b, to, true) == plain);
    wf_str_free(&index);
    wf_shards_free(shards);
    close_bench(&b);
}

typedef struct index_row {
    const char *text, *says;
} index_row;

static void test_bad_indexes(void **state) {
    static const index_row rows[] = {
        {"{}", "weight_map"},
        {"{\"weight_map\": []}", "weight_map"},
        {"{\"weight_map\": {\"a\": 3}}", "plain"},
        {"{\"weight_map\": {\"a\": \"../one.safetensors\"}}", "plain"},
        {"{\"weight_map\": {\"a\": \"/etc/passwd\"}}", "plain"},
        {"{\"weight_map\": {\"a\": \"one.safetensors\\u0000x\"}}", "plain"},
        {"{\"weight_map\": {\"a\": \"nowhere.safetensors\"}}", "missing"},
        {"{\"weight_map\": {\"a\": \"one.safetensors\"}}", "no tensor 'a'"},
        {"{\"weight_map\": {\"a\": ", "line 1"},
    };
    bench b;
    wf_shards *shards;
    open_bench(&b);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        weft_error err = {0};
        assert_int_equal(
            wf_write_file(&b.env.mem, SCRATCH "/shards/model.safetensors.index.json", rows[i].text, strlen(rows[i].text), NULL),
            WEFT_OK);
        weft_status status = wf_shards_open(&b.env.mem, SCRATCH "/shards", &shards, &err);
        if (status != WEFT_BAD_INPUT || !strstr(err.message, rows[i].says))
            fail_msg("%s: status %d, '%s'", rows[i].text, (int)status, err.message);
    }
    close_bench(&b);
}

/* ---- what is refused ---- */
typedef struct refused_row {
    const edit edits[2];
    const char *was, *is; /* in the config */
    bool strict;
    weft_status status;
    const char *says;
} refused_row;

static void test_refused(void **state) {
    static const refused_row rows[] = {
        {{{"model.norm.weight", NULL, false, false}}, NULL, NULL, false, WEFT_BAD_INPUT, "'model.norm.weight'"},
        {{{"model.norm.weight", "model.extra.weight", true, false}},
         NULL,
         NULL,
         true,
         WEFT_UNSUPPORTED,
         "'model.extra.weight'"},
        {{{0}}, "\"hidden_size\": 32", "\"hidden_size\": 36", false, WEFT_BAD_INPUT, "[101, 32]"},
        {{{0}}, "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", false, WEFT_BAD_INPUT, "model.layers.2"},
        {{{0}}, "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", true, WEFT_UNSUPPORTED, "model.layers.1"},
        {{{0}}, "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3", false, WEFT_BAD_INPUT, "num_key_value_heads"},
        {{{0}}, "\"head_dim\": 8", "\"head_dim\": 7", false, WEFT_BAD_INPUT, "in pairs"},
    };
    bench b;
    open_bench(&b);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        wf_model *model;
        weft_error err = {0};
        copy_config(&b, OWN "llama-rope-dynamic", SCRATCH "/refused", rows[i].was, rows[i].is);
        write_edited(&b, OWN "llama-rope-dynamic", rows[i].edits, NULL, SCRATCH "/refused");
        weft_status status =
            wf_model_load(&b.env, SCRATCH "/refused", &(wf_load_options){.strict = rows[i].strict}, &model, &err);
        if (status != rows[i].status || !strstr(err.message, rows[i].says))
            fail_msg("%zu: status %d, '%s'", i, (int)status, err.message);
        if (rows[i].strict) { /* only a warning otherwise */
            model = load(&b, SCRATCH "/refused", false);
            assert_non_null(strstr(b.log, "is not used"));
            wf_model_free(model);
        }
    }
    assert_int_equal(wf_model_load(&b.env, SCRATCH "/nowhere", NULL, &(wf_model *){NULL}, &(weft_error){0}), WEFT_USAGE);
    close_bench(&b);
}

/* Cut anywhere, the file is refused with its name. */
static void test_cut_weights(void **state) {
    bench b;
    wf_file file;
    open_bench(&b);
    copy_config(&b, OWN "llama-rope-dynamic", SCRATCH "/cut", NULL, NULL);
    assert_int_equal(wf_file_open(&b.env.mem, OWN "llama-rope-dynamic/model.safetensors", false, 0, &file, NULL), WEFT_OK);
    for (size_t keep = 0; keep < file.size; keep += file.size / 7) {
        wf_model *model;
        weft_error err = {0};
        assert_int_equal(wf_write_file(&b.env.mem, SCRATCH "/cut/model.safetensors", file.data, keep, NULL), WEFT_OK);
        assert_int_equal(wf_model_load(&b.env, SCRATCH "/cut", NULL, &model, &err), WEFT_BAD_INPUT);
        assert_non_null(strstr(err.message, "model.safetensors"));
    }
    wf_file_close(&file);
    close_bench(&b);
}

/* The example of docs/families.md is a family. */
static void test_documented(void **state) {
    static const char config[] = "{\"model_type\": \"twostep\", \"width\": 16, \"depth\": 2, \"init_std\": 3}";
    bench b;
    wf_families set;
    wf_json *json, *spec;
    wf_model *model = NULL;
    wf_names names;
    weft_error err = {0};
    open_bench(&b);
    char *text = text_of(&b, WEFT_SOURCE_DIR "/docs", "families.md"), *begin = strstr(text, "```json\n");
    assert_non_null(begin);
    begin += strlen("```json\n");
    assert_int_equal(wf_families_open(&b.env.mem, &set, &err), WEFT_OK);
    if (wf_families_add(&set, "example", begin, (size_t)(strstr(begin, "```") - begin), &err) != WEFT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(wf_config_parse(&b.arena, config, strlen(config), &json, &err), WEFT_OK);
    if (wf_family_spec(&set.list[0], &b.arena, json, &(wf_config_options){.strict = true}, &spec, &err) != WEFT_OK ||
        wf_model_create(&b.env, spec, &model, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    if (wf_model_names(model, &set.list[0], &b.arena, &names, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(names.count, 2 + 2 * 7);
    wf_model_free(model);
    wf_families_close(&set);
    close_bench(&b);
}

static void test_no_memory(void **state) {
    fail_mem memory = {0};
    bench b;
    open_bench(&b);
    while (fail_mem_next(&memory)) {
        wf_env env = b.env;
        wf_model *model;
        weft_error err = {0};
        env.mem = fail_mem_hook(&memory);
        weft_status status =
            wf_model_load(&env, OWN "gpt2-right-padded-types", &(wf_load_options){.strict = true}, &model, &err);
        if (status == WEFT_OK) {
            status = wf_model_save(model, SCRATCH "/memory", NULL, &err);
            wf_model_free(model);
        }
        assert_int_equal(status, atomic_load(&memory.fired) ? WEFT_NO_MEMORY : WEFT_OK);
        assert_int_equal(memory.live, 0);
    }
    close_bench(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_folders_return),
                                       cmocka_unit_test(test_mapped),
                                       cmocka_unit_test(test_turned),
                                       cmocka_unit_test(test_narrow),
                                       cmocka_unit_test(test_presets),
                                       cmocka_unit_test(test_fixtures_return),
                                       cmocka_unit_test(test_names_of_old_files),
                                       cmocka_unit_test(test_rest),
                                       cmocka_unit_test(test_settings),
                                       cmocka_unit_test(test_untied_by_the_file),
                                       cmocka_unit_test(test_tables_of_the_file),
                                       cmocka_unit_test(test_parts_of_a_base),
                                       cmocka_unit_test(test_wrapped),
                                       cmocka_unit_test(test_links),
                                       cmocka_unit_test(test_shards),
                                       cmocka_unit_test(test_bad_indexes),
                                       cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_cut_weights),
                                       cmocka_unit_test(test_documented),
                                       cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
