#include "jobs/learning.h"
#include <math.h>
#include <string.h>
#include "base/reader.h"
#include "families/load_adapter.h"
#include "jobs/lora.h"
#include "jobs/put.h"

static const char *const words[] = {"text",
                                    "format",
                                    "field",
                                    "val",
                                    "tokenizer",
                                    "model",
                                    "spec",
                                    "out",
                                    "params",
                                    "steps",
                                    "tokens",
                                    "time",
                                    "checkpoint_every",
                                    "eval_every",
                                    "eval_windows",
                                    "patience",
                                    "resume",
                                    "force",
                                    "config",
                                    "quiet",
                                    "lora",
                                    WF_RECIPE_WORDS,
                                    NULL};

/* ---- options ---- */
/* Members of `over` replace those of `base`. */
static wf_json *overlay(wf_arena *arena, const wf_json *base, const wf_json *over) {
    wf_json *out = base ? wf_json_copy(arena, base) : wf_json_new(arena, WF_JSON_OBJECT);
    for (const wf_json *j = over ? over->child : NULL; out && j; j = j->next)
        wf_json_put(arena, out, j->key, wf_json_copy(arena, j));
    return out;
}

/* The options in force: a resumed run's own, or those of --config under those given. */
static weft_status gather(wf_job *job) {
    const wf_json *given = job->options;
    const char *out = wf_json_text(given, "out", NULL), *config = wf_json_text(given, "config", NULL);
    wf_json *base = NULL;
    if (wf_json_bool(given, "resume", false)) {
        WF_CHECK(out, job->err, WEFT_USAGE, "--resume needs --out, the folder of the run");
        for (const wf_json *j = given->child; j; j = j->next)
            WF_CHECK(wf_streq(j->key, "resume") || wf_streq(j->key, "out") || wf_streq(j->key, "quiet"), job->err, WEFT_USAGE,
                     "a resumed run keeps its configuration; '%s' cannot be given again", j->key);
        const char *path = wf_path_join(job->arena, out, "train.json");
        if (!path)
            return wf_fail_memory(job->err);
        WF_TRY(wf_json_parse_file(job->arena, path, &base, job->err));
    } else if (config) {
        WF_TRY(wf_json_parse_file(job->arena, config, &base, job->err));
    }
    job->options = overlay(job->arena, base, given);
    return job->options ? WEFT_OK : wf_fail_memory(job->err);
}

/* A model folder with a tokenizer is read with it. */
static const char *usual_tokenizer(const wf_job *job, const char *model) {
    static const char *const files[] = {"tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt"};
    for (size_t i = 0; wf_subject_is_folder(model) && i < sizeof files / sizeof *files; i++) {
        const char *path = wf_path_join(job->arena, model, files[i]);
        if (path && wf_is_file(path))
            return model;
    }
    return "byte";
}

static weft_status read_lora(wf_job *job, wf_training_options *t) {
    const wf_json *lora = wf_json_get(job->options, "lora");
    bool asked = lora && lora->kind != WF_JSON_NULL;
    WF_CHECK(!asked || wf_subject_is_folder(t->model), job->err, WEFT_USAGE,
             "'lora' trains an adapter of a model folder; --model names none");
    WF_CHECK(!asked || t->recipe.dropout < 0.0, job->err, WEFT_USAGE, "an adapter has a dropout of its own: lora dropout=P");
    return wf_lora_read(job, lora, t->model ? t->model : "", &t->lora);
}

weft_status wf_training_options_read(wf_job *job, wf_training_options *t) {
    WF_TRY(gather(job));
    wf_options o = wf_options_open(job->options, "train", words, job->err);
    memset(t, 0, sizeof *t);
    wf_recipe_read(&o, &t->recipe);
    t->model = wf_option_text(&o, "model", NULL);
    t->spec = wf_option_text(&o, "spec", NULL);
    t->out = wf_option_text(&o, "out", "weft-run");
    t->params = wf_job_positive(&o, "params", wf_job_count(&o, "params", 1e6));
    t->steps = wf_job_positive(&o, "steps", wf_job_count(&o, "steps", 0));
    t->tokens = wf_job_positive(&o, "tokens", wf_job_count(&o, "tokens", 0));
    t->seconds = wf_job_positive(&o, "time", wf_job_seconds(&o, "time", 0));
    t->checkpoint_every = wf_option_int(&o, "checkpoint_every", 100, 0, INT32_MAX);
    t->eval_every = wf_option_int(&o, "eval_every", 100, 0, INT32_MAX);
    t->eval_windows = wf_option_int(&o, "eval_windows", 0, 0, INT32_MAX);
    t->patience = wf_option_int(&o, "patience", 0, 0, INT32_MAX);
    t->resume = wf_option_bool(&o, "resume", false);
    t->force = wf_option_bool(&o, "force", false);
    const wf_json *val = wf_json_get(job->options, "val");
    t->source =
        (wf_source_options){.format = wf_option_text(&o, "format", NULL),
                            .validation = val && val->kind == WF_JSON_NUMBER ? val->string : wf_option_text(&o, "val", NULL),
                            .tokenizer = wf_option_text(&o, "tokenizer", usual_tokenizer(job, t->model)),
                            .context = t->recipe.context,
                            .seed = t->recipe.seed,
                            .packed = t->recipe.packed};
    t->source.fields = wf_job_texts(job, &o, "field", &t->source.n_fields);
    WF_TRY(o.status);
    WF_CHECK((t->steps > 0) + (t->tokens > 0) + (t->seconds > 0) <= 1, job->err, WEFT_USAGE,
             "give one of steps, tokens and time");
    WF_TRY(read_lora(job, t));
    return wf_job_strings(job, "text", &t->source.paths, &t->source.n_paths);
}

/* ---- the model ---- */
/* --dropout sets every dropout of the spec. */
static void set_dropout(wf_arena *arena, wf_json *spec, double p) {
    static const char *const parts[] = {"stem", "block"};
    wf_json *value = wf_json_new_double(arena, p), *blocks = NULL;
    for (int i = 0; i < 2; i++) {
        wf_json *part = NULL;
        for (wf_json *j = spec->child; j; j = j->next) {
            part = wf_streq(j->key, parts[i]) ? j : part;
            blocks = wf_streq(j->key, "blocks") ? j : blocks;
        }
        if (!part)
            part = wf_json_put(arena, spec, parts[i], wf_json_new(arena, WF_JSON_OBJECT));
        wf_json_put(arena, part, "dropout", value ? wf_json_copy(arena, value) : NULL);
        if (i == 1)
            wf_json_put(arena, part, "attention_dropout", value ? wf_json_copy(arena, value) : NULL);
    }
    for (wf_json *j = blocks ? blocks->child : NULL; j; j = j->next)
        wf_json_put(arena, j, "dropout", value ? wf_json_copy(arena, value) : NULL);
}

static weft_status new_model(wf_job *job, wf_training_options *o, const wf_source *source, wf_model **out) {
    wf_sizing sizing = {(int64_t)o->params, (int64_t)wf_tokenizer_vocab(source->tokenizer), o->recipe.context};
    wf_json *template_, *spec;
    WF_TRY(wf_subject_template(job, o->model, o->spec, &template_, job->err));
    WF_TRY(wf_subject_spec(job, template_, &sizing, &spec, job->err));
    if (o->recipe.dropout >= 0.0)
        set_dropout(job->arena, spec, o->recipe.dropout);
    WF_TRY(wf_model_create(job->env, spec, out, job->err));
    WF_TRY(wf_params_allocate(&(*out)->params, job->err));
    wf_params_init(&(*out)->params, o->recipe.seed);
    return WEFT_OK;
}

/* The model of a folder; with `lora` beside an adapter that begins, or (`adapter`) one that is there. */
weft_status wf_training_folder(wf_job *job, const wf_training_options *o, const char *adapter, wf_model **out) {
    wf_load_options how = {.unmerged = true,
                           .adapter = o->lora ? adapter : NULL,
                           .new_adapter = adapter ? NULL : o->lora,
                           .adapter_seed = o->recipe.seed};
    return wf_model_load(job->env, o->model, &how, out, job->err);
}

weft_status wf_training_model(wf_job *job, wf_training_options *o, const wf_source *source, wf_model **out) {
    WF_TRY(wf_subject_find(job, &o->model));
    if (wf_subject_is_folder(o->model))
        WF_TRY(wf_training_folder(job, o, NULL, out));
    else
        WF_TRY(new_model(job, o, source, out));
    const wf_spec *spec = (*out)->spec;
    int64_t limit = spec->stem.position == WF_POSITION_NONE ? 0 : spec->stem.length;
    WF_CHECK(spec->vocab >= (int64_t)wf_tokenizer_vocab(source->tokenizer), job->err, WEFT_USAGE,
             "the tokenizer has %zu entries, the model only %lld", wf_tokenizer_vocab(source->tokenizer),
             (long long)spec->vocab);
    WF_CHECK(limit == 0 || o->recipe.context <= limit, job->err, WEFT_USAGE,
             "a context of %lld is longer than the %lld positions of the model", (long long)o->recipe.context,
             (long long)limit);
    if (isnan(o->recipe.lr))
        o->recipe.lr = wf_recipe_usual_lr(spec->dim);
    return WEFT_OK;
}

/* ---- how many steps ---- */
enum { WARM_STEPS = 2, LEAST_STEPS = 3 };

weft_status wf_time_steps(weft_status (*step)(void *arg), void *arg, double *seconds) {
    double begin = 0.0;
    int n = 0;
    for (; n < WARM_STEPS + LEAST_STEPS || (wf_seconds() - begin < 0.5 && n < 200); n++) {
        if (n == WARM_STEPS)
            begin = wf_seconds();
        WF_TRY(step(arg));
    }
    *seconds = (wf_seconds() - begin) / (double)(n - WARM_STEPS);
    return WEFT_OK;
}

typedef struct timed {
    wf_learner learner;
    weft_error *err;
} timed;

static weft_status timed_step(void *arg) {
    timed *t = arg;
    wf_step_result result;
    WF_TRY(wf_stopped(t->learner.env));
    return wf_learner_step(&t->learner, &result, t->err);
}

/* Of this model, which learns meanwhile. */
static weft_status time_model(wf_model *model, const wf_data *data, const wf_trainer_options *options, double *seconds,
                              weft_error *err) {
    timed t = {.err = err};
    WF_TRY(wf_learner_open(&t.learner, model, data, options, err));
    weft_status status = wf_time_steps(timed_step, &t, seconds);
    wf_learner_close(&t.learner);
    return status;
}

/* The same with an adapter: measured on another copy of the folder. */
static weft_status measure_folder(wf_job *job, const wf_training_options *o, const wf_data *data,
                                  const wf_trainer_options *options, double *seconds) {
    wf_model *copy;
    WF_TRY(wf_training_folder(job, o, NULL, &copy));
    weft_status status = time_model(copy, data, options, seconds, job->err);
    wf_model_free(copy);
    return status;
}

/* On a model of the same spec: the weights of `like` are not touched. */
static weft_status measure_copy(const wf_env *env, const wf_model *like, const wf_data *data, const wf_trainer_options *options,
                                double *seconds, weft_error *err) {
    wf_model *copy;
    WF_TRY(wf_model_create(env, like->spec->json, &copy, err));
    weft_status status = wf_params_allocate(&copy->params, err);
    if (status == WEFT_OK) {
        wf_params_init(&copy->params, 1);
        status = time_model(copy, data, options, seconds, err);
    }
    wf_model_free(copy);
    return status;
}

weft_status wf_training_steps(wf_job *job, const wf_training_options *o, const wf_source *source, wf_model *model,
                              int64_t *steps) {
    double per_step = (double)(o->recipe.batch * o->recipe.context * o->recipe.accumulate), n = o->steps;
    if (o->tokens > 0)
        n = ceil(o->tokens / per_step);
    if (o->seconds > 0) {
        wf_trainer_options trainer;
        double seconds;
        weft_progress p = wf_progress_new("calibrate", model->spec->name);
        wf_job_report(job, &p);
        WF_TRY(wf_recipe_trainer(job->arena, &o->recipe, 1000, &trainer, job->err));
        WF_TRY(o->lora ? measure_folder(job, o, source->data, &trainer, &seconds)
                       : measure_copy(job->env, model, source->data, &trainer, &seconds, job->err));
        n = floor(o->seconds / seconds);
    }
    if (n == 0 && o->steps == 0 && o->tokens == 0)
        n = ceil((double)wf_data_training(source->data).tokens / per_step);
    WF_CHECK(n < 1e12, job->err, WEFT_USAGE, "%g steps are too many", n);
    *steps = n < 1 ? 1 : (int64_t)n;
    return WEFT_OK;
}

/* ---- the folder ---- */
/* A folder that holds a run is not overwritten unasked; with `force` its checkpoints go, they belong to other weights. */
static weft_status claim_folder(wf_job *job, const wf_training_options *o) {
    const char *config = wf_path_join(job->arena, o->out, "train.json"),
               *checkpoints = wf_path_join(job->arena, o->out, "checkpoints");
    if (!config || !checkpoints)
        return wf_fail_memory(job->err);
    if (o->resume || !wf_is_file(config))
        return WEFT_OK;
    WF_CHECK(o->force, job->err, WEFT_USAGE,
             "%s already holds a run: --resume goes on with it, --force starts over, or choose another --out", o->out);
    return wf_checkpoint_clear(&job->env->mem, checkpoints, job->err);
}

/* ---- the configuration ---- */
static void put_texts(wf_arena *arena, wf_json *object, const char *key, const char *const *texts, size_t n) {
    wf_json *list = wf_json_put(arena, object, key, wf_json_new(arena, WF_JSON_ARRAY));
    for (size_t i = 0; i < n; i++)
        wf_json_push(list, wf_json_new_string(arena, texts[i], strlen(texts[i])));
}

static wf_json *resolve(wf_job *job, const wf_training_options *o, int64_t steps) {
    wf_arena *arena = job->arena;
    wf_json *j = wf_json_new(arena, WF_JSON_OBJECT);
    put_texts(arena, j, "text", o->source.paths, o->source.n_paths);
    wf_put_text(arena, j, "model", o->spec ? NULL : o->model ? o->model : "llama");
    wf_put_text(arena, j, "spec", o->spec);
    if (o->lora)
        wf_json_put(arena, j, "lora", wf_json_copy(arena, o->lora));
    wf_put_text(arena, j, "format", o->source.format);
    if (o->source.n_fields)
        put_texts(arena, j, "field", o->source.fields, o->source.n_fields);
    wf_put_text(arena, j, "val", o->source.validation ? o->source.validation : "0.05");
    wf_put_text(arena, j, "tokenizer", o->source.tokenizer);
    wf_json_put(arena, j, "params", wf_json_new_int(arena, (int64_t)o->params));
    wf_json_put(arena, j, "steps", wf_json_new_int(arena, steps));
    wf_json_put(arena, j, "checkpoint_every", wf_json_new_int(arena, o->checkpoint_every));
    wf_json_put(arena, j, "eval_every", wf_json_new_int(arena, o->eval_every));
    wf_json_put(arena, j, "eval_windows", wf_json_new_int(arena, o->eval_windows));
    wf_json_put(arena, j, "patience", wf_json_new_int(arena, o->patience));
    wf_recipe_write(arena, &o->recipe, j);
    return j;
}

weft_status wf_training_save_config(wf_job *job, wf_training_options *o, int64_t steps) {
    const wf_mem *mem = &job->env->mem;
    wf_str text = wf_str_new(mem);
    const char *path = wf_path_join(job->arena, o->out, "train.json");
    o->resolved = resolve(job, o, steps);
    if (!path || !o->resolved || job->arena->failed)
        return wf_fail_memory(job->err);
    WF_TRY(claim_folder(job, o));
    WF_TRY(wf_make_dir(o->out, job->err));
    wf_json_print(&text, o->resolved, 2);
    wf_str_putc(&text, '\n');
    weft_status status = text.failed ? wf_fail_memory(job->err) : WEFT_OK;
    if (status == WEFT_OK && !o->resume)
        status = wf_write_file(mem, path, wf_str_text(&text), text.length, job->err);
    wf_str_free(&text);
    return status;
}
