/* compare_options.c - the options of a comparison and its plan: one entry per model with the same number of parameters. */
#include <stdio.h>
#include <time.h>
#include "base/reader.h"
#include "jobs/comparison.h"

static const char *const words[] = {"text",  "format", "field",   "val",     "tokenizer",     "models",
                                    "spec",  "time",   "params",  "steps",   "tokens",        "seeds",
                                    "rates", "out",    "resume",  "command", "text_name",     "quiet",
                                    "force", "task",   "lengths", "stop_at", WF_RECIPE_WORDS, NULL};

static const char *const usual_models[] = {"lstm", "gpt2", "llama", "sliding", "linear", "retnet", "mamba", "hybrid"};

/* A resumed comparison keeps its options: those in its document. */
static weft_status gather(wf_comparison *c) {
    wf_job *job = c->job;
    const char *out = wf_json_text(job->options, "out", NULL);
    if (!wf_json_bool(job->options, "resume", false))
        return WEFT_OK;
    WF_CHECK(out, job->err, WEFT_USAGE, "--resume needs --out, the folder of the comparison");
    for (const wf_json *j = job->options->child; j; j = j->next)
        WF_CHECK(wf_streq(j->key, "resume") || wf_streq(j->key, "out") || wf_streq(j->key, "quiet") ||
                     wf_streq(j->key, "command") || wf_streq(j->key, "text_name") || wf_streq(j->key, "text"),
                 job->err, WEFT_USAGE, "a resumed comparison keeps its options; '%s' cannot be given again", j->key);
    const char *path = wf_path_join(job->arena, out, "run.json");
    if (!path)
        return wf_fail_memory(job->err);
    WF_TRY(wf_json_parse_file(job->arena, path, &c->run, job->err));
    const wf_json *options = wf_json_get(c->run, "options");
    WF_CHECK(options && wf_json_get(c->run, "models"), job->err, WEFT_BAD_INPUT, "%s: not a comparison of weft", path);
    wf_json *copy = wf_json_copy(job->arena, options);
    wf_put_text(job->arena, copy, "out", out);
    wf_json_put(job->arena, copy, "resume", wf_json_new_bool(job->arena, true));
    job->options = copy;
    return WEFT_OK;
}

/* One that did not end is worth its time: it is not written over unasked. */
static weft_status check_folder(const wf_comparison *c, bool force) {
    wf_job *job = c->job;
    wf_json *old;
    weft_error none = {0};
    const char *path = wf_path_join(job->arena, c->out, "run.json");
    if (!path)
        return wf_fail_memory(job->err);
    if (c->resume || force || !wf_is_file(path) || wf_json_parse_file(job->arena, path, &old, &none) != WEFT_OK)
        return WEFT_OK;
    const char *status = wf_json_text(old, "status", "complete");
    WF_CHECK(!wf_streq(status, "interrupted") && !wf_streq(status, "running"), job->err, WEFT_USAGE,
             "%s holds a comparison that has not ended: --resume goes on with it, --force starts over, or choose another --out",
             c->out);
    return WEFT_OK;
}

static weft_status read_rates(wf_comparison *c) {
    static const double usual[] = {1e-3, 2e-3, 4e-3};
    const wf_json *list = wf_json_get(c->job->options, "rates");
    for (const wf_json *j = list ? list->child : NULL; j; j = j->next) {
        double rate = j->number;
        bool fine = j->kind == WF_JSON_NUMBER || (j->kind == WF_JSON_STRING && wf_parse_double(j->string, j->length, &rate));
        WF_CHECK(fine && rate > 0 && c->n_rates < 8, c->job->err, WEFT_USAGE, "rates must be up to 8 positive numbers");
        c->rates[c->n_rates++] = rate;
    }
    for (size_t i = 0; !list && i < 3; i++)
        c->rates[c->n_rates++] = usual[i];
    if (!isnan(c->recipe.lr)) {
        c->rates[0] = c->recipe.lr;
        c->n_rates = 1;
    }
    WF_CHECK(c->n_rates > 0, c->job->err, WEFT_USAGE, "rates must hold at least one number");
    return WEFT_OK;
}

static weft_status read_models(wf_comparison *c) {
    wf_job *job = c->job;
    WF_TRY(wf_job_strings(job, "models", &c->models, &c->n_models));
    WF_TRY(wf_job_strings(job, "spec", &c->specs, &c->n_specs));
    if (c->n_models == 0 && c->n_specs == 0) {
        c->models = usual_models;
        c->n_models = sizeof usual_models / sizeof *usual_models;
    }
    WF_CHECK(c->n_models + c->n_specs <= WF_MAX_COMPARED, job->err, WEFT_USAGE, "at most %d models can be compared",
             WF_MAX_COMPARED);
    return WEFT_OK;
}

weft_status wf_comparison_read(wf_job *job, wf_comparison *c) {
    c->job = job;
    WF_TRY(gather(c));
    wf_options o = wf_options_open(job->options, "compare", words, job->err);
    wf_recipe_read(&o, &c->recipe);
    c->task_text = wf_option_text(&o, "task", NULL);
    c->lesson = c->task_text ? &wf_lesson_task : &wf_lesson_text;
    c->stop_at = wf_option_float(&o, "stop_at", 0.999, 0.0, 2.0);
    if (!wf_json_get(job->options, "batch"))
        c->recipe.batch = c->lesson->usual.batch;
    if (!wf_json_get(job->options, "context") && c->lesson->usual.context)
        c->recipe.context = c->lesson->usual.context;
    c->params = wf_job_positive(&o, "params", wf_job_count(&o, "params", c->lesson->usual.params));
    c->tokens = wf_job_positive(&o, "tokens", wf_job_count(&o, "tokens", 0));
    c->steps = wf_job_positive(&o, "steps", wf_job_count(&o, "steps", 0));
    c->seconds =
        wf_job_positive(&o, "time", wf_job_seconds(&o, "time", c->tokens > 0 || c->steps > 0 ? 0 : c->lesson->usual.seconds));
    c->seeds = wf_option_int(&o, "seeds", 2, 1, 64);
    c->out = wf_option_text(&o, "out", "weft-compare");
    c->resume = wf_option_bool(&o, "resume", false);
    bool force = wf_option_bool(&o, "force", false);
    c->command = wf_option_text(&o, "command", "weft compare");
    c->text_name = wf_option_text(&o, "text_name", NULL);
    const wf_json *val = wf_json_get(job->options, "val");
    c->source_options =
        (wf_source_options){.format = wf_option_text(&o, "format", NULL),
                            .validation = val && val->kind == WF_JSON_NUMBER ? val->string : wf_option_text(&o, "val", NULL),
                            .tokenizer = wf_option_text(&o, "tokenizer", "bpe:1024"),
                            .context = c->recipe.context,
                            .seed = c->recipe.seed,
                            .packed = c->recipe.packed};
    c->source_options.fields = wf_job_texts(job, &o, "field", &c->source_options.n_fields);
    WF_TRY(o.status);
    WF_CHECK((c->steps > 0) + (c->tokens > 0) + (c->seconds > 0) == 1, job->err, WEFT_USAGE,
             "give one of time, tokens and steps");
    WF_CHECK(!c->task_text || !wf_json_get(job->options, "text"), job->err, WEFT_USAGE,
             "a comparison learns a text or a task, not both");
    WF_CHECK(c->task_text || !wf_json_get(job->options, "lengths"), job->err, WEFT_USAGE, "'lengths' are those of a task");
    WF_TRY(wf_job_strings(job, "text", &c->source_options.paths, &c->source_options.n_paths));
    WF_TRY(read_rates(c));
    WF_TRY(check_folder(c, force));
    return read_models(c);
}

/* ---- the plan ---- */
static void put_settings(wf_comparison *c) {
    wf_arena *arena = c->job->arena;
    wf_json *s = wf_put_object(arena, c->run, "settings");
    wf_put_int(arena, s, "params", (int64_t)c->params);
    wf_put_int(arena, s, "context", c->recipe.context);
    wf_put_int(arena, s, "seeds", c->seeds);
    if (c->seconds > 0)
        wf_put_number(arena, s, "budget_seconds", c->seconds);
    if (c->tokens > 0)
        wf_put_int(arena, s, "budget_tokens", (int64_t)c->tokens);
    if (c->steps > 0)
        wf_put_int(arena, s, "budget_steps", (int64_t)c->steps);
    wf_put_int(arena, s, "batch", c->recipe.batch * c->recipe.accumulate);
    wf_put_text(arena, s, "precision", c->recipe.bf16 ? "bf16" : "fp32");
    wf_put_text(arena, s, "optimizer",
                wf_arena_printf(arena, "%s, betas %g %g, weight decay %g", c->recipe.optimizer, c->recipe.beta1,
                                c->recipe.beta2, c->recipe.weight_decay));
    wf_put_text(arena, s, "schedule",
                wf_arena_printf(arena, c->recipe.warmup < 1 ? "%s, warm-up share %g" : "%s, warm-up %g steps",
                                c->recipe.schedule, c->recipe.warmup));
    wf_put_number(arena, s, "clip", c->recipe.clip);
}

static wf_json *resolved_options(wf_comparison *c) {
    wf_arena *arena = c->job->arena;
    wf_json *o = c->job->options ? wf_json_copy(arena, c->job->options) : wf_json_new(arena, WF_JSON_OBJECT);
    wf_put_text(arena, o, "command", c->command);
    wf_put_text(arena, o, "tokenizer", c->source_options.tokenizer);
    wf_put_int(arena, o, "seeds", c->seeds);
    wf_recipe_write(arena, &c->recipe, o);
    return o;
}

static weft_status add_entry(wf_comparison *c, const char *name, const char *spec_file) {
    wf_job *job = c->job;
    wf_sizing sizing = {(int64_t)c->params, c->vocab, c->recipe.context};
    wf_json *template_, *spec;
    int64_t params;
    WF_TRY(wf_subject_template(job, spec_file ? NULL : name, spec_file, &template_, job->err));
    if (wf_subject_spec(job, template_, &sizing, &spec, job->err) != WEFT_OK)
        return wf_fail_in(job->err, "%s", name);
    if (wf_spec_params(job->env, spec, &params, job->err) != WEFT_OK)
        return wf_fail_in(job->err, "%s", name);
    wf_json *entry = wf_json_push(c->list, wf_json_new(job->arena, WF_JSON_OBJECT));
    wf_put_text(job->arena, entry, "name", spec_file ? wf_json_text(spec, "name", name) : name);
    wf_put_text(job->arena, entry, "status", "planned");
    wf_put_int(job->arena, entry, "params", params);
    if (fabs((double)params - c->params) > 0.02 * c->params)
        wf_put_text(job->arena, entry, "note", "its size is fixed by the spec and differs from the others");
    wf_json_put(job->arena, entry, "spec", spec);
    return entry ? WEFT_OK : wf_fail_memory(job->err);
}

weft_status wf_comparison_plan(wf_comparison *c) {
    wf_arena *arena = c->job->arena;
    time_t now = time(NULL);
    struct tm utc;
    char date[32] = "";
    if (c->resume) {
        c->list = wf_put_list_once(arena, c->run, "models");
        return c->list ? WEFT_OK : wf_fail_memory(c->job->err);
    }
    c->run = wf_json_new(arena, WF_JSON_OBJECT);
    if (gmtime_r(&now, &utc))
        strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &utc);
    wf_put_text(arena, c->run, "format", "weft-run");
    wf_put_int(arena, c->run, "version", 1);
    wf_put_text(arena, c->run, "status", "running");
    wf_put_text(arena, c->run, "created", date);
    wf_put_text(arena, c->run, "command", c->command);
    c->lesson->put_facts(c);
    put_settings(c);
    wf_put_machine(c);
    wf_json_put(arena, c->run, "options", resolved_options(c));
    c->list = wf_put_list(arena, c->run, "models");
    for (size_t i = 0; i < c->n_models; i++)
        WF_TRY(add_entry(c, c->models[i], NULL));
    for (size_t i = 0; i < c->n_specs; i++)
        WF_TRY(add_entry(c, c->specs[i], c->specs[i]));
    return c->list ? WEFT_OK : wf_fail_memory(c->job->err);
}

weft_status wf_comparison_write(wf_comparison *c) {
    const wf_mem *mem = &c->job->env->mem;
    const char *path = wf_path_join(c->job->arena, c->out, "run.json");
    wf_str text = wf_str_new(mem);
    wf_json_print(&text, c->run, 1);
    wf_str_putc(&text, '\n');
    weft_status status = !path || text.failed ? wf_fail_memory(c->job->err)
                                              : wf_write_file(mem, path, wf_str_text(&text), text.length, c->job->err);
    wf_str_free(&text);
    return status;
}
