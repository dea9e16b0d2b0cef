#include "apply/modules.h"
#include <stdio.h>
#include <string.h>
#include "base/reader.h"
#include "formats/shards.h"
#include "heads/head.h"

enum { MOST_MODULES = 16, MOST_POOLS = 8 };

typedef struct module {
    const struct module_row *row;
    const char *folder;
    const wf_json *config;
    const wf_pool_row *pools[MOST_POOLS]; /* side by side */
    int n_pools;
    int64_t in, out;
    bool biased;
    wf_activation activation;
    wf_param *weight, *bias;
} module;

struct wf_modules {
    const wf_env *env;
    wf_arena arena;
    wf_params params;
    const char *root, *folder, *pooling;
    module list[MOST_MODULES];
    size_t n;
    const wf_json *settings, *prompts; /* of the transformer: its longest text; config_sentence_transformers.json */
    bool sentence, pools_prompt;       /* there is a modules.json */
    int64_t width;
};

typedef struct module_row {
    const char *type; /* the last word of the type in modules.json */
    weft_status (*read)(wf_modules *m, module *one, weft_error *err);
    weft_status (*load)(wf_modules *m, module *one, weft_error *err);
    wf_tensor *(*record)(const module *one, wf_tape *t, wf_tensor *x, wf_tensor *mask);
} module_row;

/* ---- Pooling ---- */
/* What [CLS] is called here is the first row that counts: behind a prompt that does not. */
static wf_tensor *first_counted(wf_tape *t, wf_tensor *x, wf_tensor *mask) { return wf_pool_rows(t, x, WF_POOL_FIRST, mask); }
static const wf_pool_row begin = {"begin", "the first row that counts", first_counted};

typedef struct pool_word {
    const char *word, *key, *pool; /* as newer files say it, as older ones do; the row of wf_pool_table, NULL: `begin` */
} pool_word;
/* In the order in which several stand side by side. */
static const pool_word pool_words[] = {{"cls", "pooling_mode_cls_token", NULL},
                                       {"max", "pooling_mode_max_tokens", "max"},
                                       {"mean", "pooling_mode_mean_tokens", "mean"},
                                       {"mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens", "mean_sqrt"},
                                       {"weightedmean", "pooling_mode_weightedmean_tokens", "weighted"},
                                       {"lasttoken", "pooling_mode_lasttoken", "end"}};
enum { POOL_WORDS = sizeof pool_words / sizeof *pool_words };

static void add_pool(module *one, const pool_word *word) {
    if (!word->pool && one->n_pools < MOST_POOLS)
        one->pools[one->n_pools++] = &begin;
    for (const wf_pool_row *row = wf_pool_table; word->pool && row->name; row++)
        if (wf_streq(row->name, word->pool) && one->n_pools < MOST_POOLS)
            one->pools[one->n_pools++] = row;
}

#define POOL_NAMES "cls, mean, max, mean_sqrt_len_tokens, weightedmean or lasttoken"

static const pool_word *find_pool(const char *word) {
    for (int i = 0; i < POOL_WORDS; i++)
        if (wf_streq(pool_words[i].word, word) || wf_streq(pool_words[i].key, word))
            return &pool_words[i];
    return NULL;
}

static weft_status pool_by_word(module *one, const char *word, weft_error *err) {
    const pool_word *row = find_pool(word);
    WF_CHECK(one->n_pools < MOST_POOLS, err, WEFT_UNSUPPORTED, "more than %d poolings", (int)MOST_POOLS);
    WF_CHECK(row, err, WEFT_UNSUPPORTED, "pooling '%s' is not known: " POOL_NAMES, word);
    return add_pool(one, row), WEFT_OK;
}

/* "pooling_mode": a word or a list of them. */
static weft_status read_mode(module *one, const wf_json *mode, weft_error *err) {
    for (const wf_json *j = mode->kind == WF_JSON_ARRAY ? mode->child : mode; j; j = mode == j ? NULL : j->next) {
        WF_CHECK(j->kind == WF_JSON_STRING, err, WEFT_BAD_INPUT, "'pooling_mode' must be a name or a list of names");
        WF_TRY(pool_by_word(one, j->string, err));
    }
    return WEFT_OK;
}

static weft_status read_pooling(wf_modules *m, module *one, weft_error *err) {
    const wf_json *mode = wf_json_get(one->config, "pooling_mode");
    m->pools_prompt = wf_json_bool(one->config, "include_prompt", true);
    if (m->pooling)
        return pool_by_word(one, m->pooling, err);
    if (mode && mode->kind != WF_JSON_NULL)
        return read_mode(one, mode, err);
    for (const wf_json *j = one->config->child; j; j = j->next)
        if (wf_starts_with(j->key, "pooling_mode_") && j->kind == WF_JSON_TRUE) {
            module known = {.n_pools = 0};
            WF_TRY(pool_by_word(&known, j->key, err));
        }
    for (int i = 0; i < POOL_WORDS; i++)
        if (wf_json_bool(one->config, pool_words[i].key, false))
            add_pool(one, &pool_words[i]);
    WF_CHECK(one->n_pools > 0, err, WEFT_BAD_INPUT, "the config of the pooling names no mode");
    return WEFT_OK;
}

static weft_status load_pooling(wf_modules *m, module *one, weft_error *err) {
    int64_t said =
        wf_json_int(one->config, "word_embedding_dimension", wf_json_int(one->config, "embedding_dimension", m->width));
    WF_CHECK(said == m->width, err, WEFT_BAD_INPUT, "the pooling is for rows of width %lld, the model has %lld",
             (long long)said, (long long)m->width);
    m->width *= one->n_pools;
    return WEFT_OK;
}

static wf_tensor *record_pooling(const module *one, wf_tape *t, wf_tensor *x, wf_tensor *mask) {
    wf_tensor *y = NULL;
    for (int i = 0; i < one->n_pools; i++) {
        wf_tensor *pooled = one->pools[i]->run(t, x, mask);
        y = i ? wf_join_channels(t, y, pooled) : pooled;
    }
    return y;
}

/* ---- Dense, LayerNorm ---- */
typedef struct activation_word {
    const char *word;
    const char *name; /* weft's */
} activation_word;
static const activation_word activation_words[] = {{"Identity", "identity"}, {"Tanh", "tanh"}, {"ReLU", "relu"},
                                                   {"GELU", "gelu"},         {"SiLU", "silu"}, {"Sigmoid", "sigmoid"}};

/* A path like torch.nn.modules.activation.Tanh: its last word counts. */
static const char *last_word(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

static weft_status read_dense(wf_modules *m, module *one, weft_error *err) {
    static const char usual[] = "sentence_embedding";
    const char *word = last_word(wf_json_text(one->config, "activation_function", "torch.nn.modules.activation.Tanh"));
    int found = -1;
    (void)m;
    for (size_t i = 0; i < sizeof activation_words / sizeof *activation_words; i++)
        if (wf_streq(activation_words[i].word, word))
            found = wf_activation_by_name(activation_words[i].name);
    WF_CHECK(found >= 0, err, WEFT_UNSUPPORTED, "the activation '%s' of a dense module", word);
    WF_CHECK(wf_streq(wf_json_text(one->config, "module_input_name", usual), usual) &&
                 wf_streq(wf_json_text(one->config, "module_output_name", usual), usual),
             err, WEFT_UNSUPPORTED, "a dense module of something else than the sentence's vector");
    one->activation = (wf_activation)found;
    one->in = wf_json_int(one->config, "in_features", 0);
    one->out = wf_json_int(one->config, "out_features", 0);
    one->biased = wf_json_bool(one->config, "bias", true);
    WF_CHECK(one->in > 0 && one->out > 0 && one->in <= 1 << 20 && one->out <= 1 << 20, err, WEFT_BAD_INPUT,
             "a dense module needs 'in_features' and 'out_features'");
    return WEFT_OK;
}

typedef struct loading { /* the tensors of one module */
    wf_modules *m;
    const module *one;
    const wf_shards *shards;
    weft_error *err;
} loading;

static weft_status load_param(const loading *l, const char *name, int rank, const int64_t *dims, wf_param **out) {
    const wf_stored_tensor *t = wf_shards_find(l->shards, name);
    WF_CHECK(t, l->err, WEFT_BAD_INPUT, "the weights lack the tensor '%s'", name);
    bool fits = t->rank == rank && t->dims[0] == dims[0] && (rank == 1 || t->dims[1] == dims[1]);
    WF_CHECK(fits && t->type >= 0, l->err, WEFT_BAD_INPUT, "the tensor '%s' has another shape or type than the config says",
             name);
    const char *full = wf_arena_printf(&l->m->arena, "%zu.%s", (size_t)(l->one - l->m->list), name);
    if (!full)
        return wf_fail_memory(l->err);
    WF_TRY(wf_param_add(&l->m->params, full, rank, dims, out, l->err));
    WF_TRY(wf_params_allocate(&l->m->params, l->err));
    wf_dtypes[t->type].to_f32((*out)->value, t->data, (*out)->count);
    return WEFT_OK;
}

static weft_status load_pair(wf_modules *m, module *one, const char *prefix, int rank, const int64_t *dims, weft_error *err) {
    wf_shards *shards;
    char name[2][32];
    snprintf(name[0], sizeof name[0], "%s.weight", prefix);
    snprintf(name[1], sizeof name[1], "%s.bias", prefix);
    WF_TRY(wf_shards_open(&m->env->mem, one->folder, &shards, err));
    loading l = {m, one, shards, err};
    weft_status status = load_param(&l, name[0], rank, dims, &one->weight);
    if (status == WEFT_OK && one->biased)
        status = load_param(&l, name[1], 1, dims, &one->bias);
    wf_shards_free(shards);
    return status;
}

static weft_status load_dense(wf_modules *m, module *one, weft_error *err) {
    WF_CHECK(one->in == m->width, err, WEFT_BAD_INPUT, "the dense module is for vectors of width %lld, there are %lld",
             (long long)one->in, (long long)m->width);
    m->width = one->out;
    return load_pair(m, one, "linear", 2, (int64_t[]){one->out, one->in}, err);
}

static wf_tensor *record_dense(const module *one, wf_tape *t, wf_tensor *x, wf_tensor *mask) {
    (void)mask;
    return wf_activate(t, wf_linear_exact(t, x, wf_use(t, one->weight), wf_use(t, one->bias)), one->activation);
}

static weft_status load_norm(wf_modules *m, module *one, weft_error *err) {
    int64_t said = wf_json_int(one->config, "dimension", m->width);
    one->biased = true;
    WF_CHECK(said == m->width, err, WEFT_BAD_INPUT, "the norm is for vectors of width %lld, there are %lld", (long long)said,
             (long long)m->width);
    return load_pair(m, one, "norm", 1, &m->width, err);
}

static wf_tensor *record_norm(const module *one, wf_tape *t, wf_tensor *x, wf_tensor *mask) {
    (void)mask;
    return wf_layer_norm(t, x, wf_use(t, one->weight), wf_use(t, one->bias), 0.0f, 1e-5f);
}

static wf_tensor *record_unit(const module *one, wf_tape *t, wf_tensor *x, wf_tensor *mask) {
    (void)one, (void)mask;
    return wf_unit(t, x, WF_UNIT_FLOORED, 1e-12f);
}

static const module_row rows[] = {{"Transformer", NULL, NULL, NULL},
                                  {"Pooling", read_pooling, load_pooling, record_pooling},
                                  {"Dense", read_dense, load_dense, record_dense},
                                  {"LayerNorm", NULL, load_norm, record_norm},
                                  {"Normalize", NULL, NULL, record_unit},
                                  {"Dropout", NULL, NULL, NULL}};
enum { ROWS = sizeof rows / sizeof *rows, TRANSFORMER = 0, POOLING = 1 };

/* ---- reading the folder ---- */
/* An empty object when there is no such file. */
static weft_status read_json(wf_modules *m, const char *folder, const char *name, wf_json **out, weft_error *err) {
    char *path;
    WF_TRY(wf_path_inside(&m->arena, folder, name, &path, err));
    *out = wf_json_new(&m->arena, WF_JSON_OBJECT);
    return wf_is_file(path) ? wf_json_parse_file(&m->arena, path, out, err) : *out ? WEFT_OK : wf_fail_memory(err);
}

static weft_status find_row(module *one, const wf_json *j, weft_error *err) {
    const char *type = wf_json_text(j, "type", NULL);
    WF_CHECK(type, err, WEFT_BAD_INPUT, "a module has no 'type'");
    for (size_t i = 0; i < ROWS; i++)
        if (wf_streq(rows[i].type, last_word(type)))
            one->row = &rows[i];
    WF_CHECK(one->row, err, WEFT_UNSUPPORTED,
             "the module '%s' is not supported (Transformer, Pooling, Dense, LayerNorm, Normalize)", type);
    return WEFT_OK;
}

static weft_status read_module(wf_modules *m, const wf_json *j, weft_error *err) {
    module *one = &m->list[m->n];
    const char *name = wf_json_text(j, "path", NULL);
    wf_json *config;
    char *folder;
    WF_CHECK(j->kind == WF_JSON_OBJECT && name, err, WEFT_BAD_INPUT, "a module has no 'path'");
    WF_CHECK(m->n < MOST_MODULES, err, WEFT_UNSUPPORTED, "more than %d modules", (int)MOST_MODULES);
    WF_TRY(find_row(one, j, err));
    WF_CHECK((one->row == &rows[TRANSFORMER]) == (m->n == 0), err, WEFT_UNSUPPORTED,
             "the first module must be the only Transformer");
    one->folder = m->root;
    if (*name) {
        WF_TRY(wf_path_inside(&m->arena, m->root, name, &folder, err));
        one->folder = folder;
    }
    WF_TRY(read_json(m, one->folder, "config.json", &config, err));
    one->config = config;
    m->n++;
    return one->row->read ? one->row->read(m, one, err) : WEFT_OK;
}

/* Older folders name the file with the settings of the transformer after the model. */
static weft_status read_settings(wf_modules *m, weft_error *err) {
    static const char *const names[] = {"sentence_bert_config.json",       "sentence_roberta_config.json",
                                        "sentence_distilbert_config.json", "sentence_camembert_config.json",
                                        "sentence_albert_config.json",     "sentence_xlm-roberta_config.json",
                                        "sentence_xlnet_config.json"};
    wf_json *settings = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && (!settings || !settings->child); i++)
        WF_TRY(read_json(m, m->folder, names[i], &settings, err));
    m->settings = settings;
    return WEFT_OK;
}

static weft_status check_order(const wf_modules *m, weft_error *err) {
    int pools = 0;
    for (size_t i = 1; i < m->n; i++) {
        pools += m->list[i].row == &rows[POOLING];
        WF_CHECK(pools == 1, err, WEFT_UNSUPPORTED, "there must be one Pooling, behind the Transformer");
    }
    WF_CHECK(pools == 1, err, WEFT_UNSUPPORTED, "there is no Pooling module");
    return WEFT_OK;
}

static weft_status read_modules(wf_modules *m, const char *path, weft_error *err) {
    wf_json *list, *prompts;
    WF_TRY(wf_json_parse_file(&m->arena, path, &list, err));
    WF_CHECK(list->kind == WF_JSON_ARRAY && list->count > 0, err, WEFT_BAD_INPUT, "not a list of modules");
    for (const wf_json *j = list->child; j; j = j->next)
        WF_TRY(read_module(m, j, err));
    WF_TRY(check_order(m, err));
    m->folder = m->list[0].folder;
    WF_TRY(read_json(m, m->root, "config_sentence_transformers.json", &prompts, err));
    m->prompts = prompts;
    return read_settings(m, err);
}

/* An encoder without modules.json: its rows are averaged. */
static weft_status plain(wf_modules *m, weft_error *err) {
    wf_json *empty = wf_json_new(&m->arena, WF_JSON_OBJECT);
    if (!empty)
        return wf_fail_memory(err);
    m->n = 2;
    m->list[0] = (module){.row = &rows[TRANSFORMER], .folder = m->root, .config = empty};
    m->list[1] = (module){.row = &rows[POOLING], .folder = m->root, .config = empty};
    m->folder = m->root;
    m->prompts = m->settings = empty;
    return pool_by_word(&m->list[1], m->pooling ? m->pooling : "mean", err);
}

static weft_status read_folder(wf_modules *m, const char *folder, const char *pooling, weft_error *err) {
    char *path;
    m->root = wf_arena_strdup(&m->arena, folder);
    m->pooling = pooling ? wf_arena_strdup(&m->arena, pooling) : NULL;
    if (!m->root || (pooling && !m->pooling))
        return wf_fail_memory(err);
    WF_TRY(wf_path_inside(&m->arena, folder, "modules.json", &path, err));
    if (!wf_is_file(path))
        return plain(m, err);
    m->sentence = true;
    return read_modules(m, path, err) ? wf_fail_in(err, "%s", path) : WEFT_OK;
}

weft_status wf_modules_open(const wf_env *env, const char *folder, const char *pooling, wf_modules **out, weft_error *err) {
    WF_CHECK(!pooling || find_pool(pooling), err, WEFT_USAGE, "'pooling' must be " POOL_NAMES ", not '%s'", pooling);
    wf_modules *m = wf_calloc(&env->mem, 1, sizeof *m);
    if (!m)
        return wf_fail_memory(err);
    m->env = env;
    m->pools_prompt = true;
    wf_arena_init(&m->arena, &env->mem, 0);
    wf_params_open(&m->params, env);
    weft_status status = read_folder(m, folder, pooling, err);
    if (status == WEFT_OK)
        *out = m;
    else
        wf_modules_free(m);
    return status;
}

void wf_modules_free(wf_modules *m) {
    if (!m)
        return;
    wf_params_close(&m->params);
    wf_arena_free(&m->arena);
    wf_free(&m->env->mem, m);
}

/* ---- what it says ---- */
const char *wf_modules_folder(const wf_modules *m) { return m->folder; }
int64_t wf_modules_limit(const wf_modules *m) { return wf_json_int(m->settings, "max_seq_length", 0); }
bool wf_modules_lowers(const wf_modules *m) { return wf_json_bool(m->settings, "do_lower_case", false); }
bool wf_modules_strips(const wf_modules *m) { return m->sentence; }
bool wf_modules_pools_prompt(const wf_modules *m) { return m->pools_prompt; }

static const char *nth_prompt(const void *user, size_t i) {
    const wf_json *j = wf_json_at(user, i);
    return j ? j->key : NULL;
}

weft_status wf_modules_prompt(const wf_modules *m, const char *name, const char **text, weft_error *err) {
    const wf_json *prompts = wf_json_get(m->prompts, "prompts");
    *text = NULL;
    if (!name)
        name = wf_json_text(m->prompts, "default_prompt_name", NULL);
    if (!name)
        return WEFT_OK;
    *text = wf_json_text(prompts, name, NULL);
    const char *near = prompts ? wf_nearest(name, nth_prompt, prompts) : NULL;
    WF_CHECK(*text, err, WEFT_USAGE, "the model has no prompt '%s'%s%s%s", name, near ? ", did you mean '" : "",
             near ? near : "", near ? "'?" : "");
    return WEFT_OK;
}

/* ---- running ---- */
weft_status wf_modules_load(wf_modules *m, int64_t width, weft_error *err) {
    m->width = width;
    for (size_t i = 0; i < m->n; i++)
        if (m->list[i].row->load && m->list[i].row->load(m, &m->list[i], err) != WEFT_OK)
            return wf_fail_in(err, "%s", m->list[i].folder);
    return WEFT_OK;
}

int64_t wf_modules_width(const wf_modules *m) { return m->width; }

wf_tensor *wf_modules_record(void *modules, wf_tape *tape, wf_tensor *hidden, wf_tensor *mask) {
    const wf_modules *m = modules;
    wf_tensor *x = hidden;
    for (size_t i = 0; i < m->n; i++)
        if (m->list[i].row->record)
            x = m->list[i].row->record(&m->list[i], tape, x, mask);
    return x ? wf_cast(tape, x, WF_F32) : NULL;
}
