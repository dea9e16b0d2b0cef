/* train.c - kind `train`: a model folder, batches and a recipe -> the trace of losses, gradient norms and rates, and the
 * weights (and their average) afterwards. */
#include <string.h>
#include "families/load.h"
#include "train/trainer.h"
#include "verify/adapter.h"
#include "verify/inputs.h"

typedef struct train_run {
    wf_fixture *fx;
    const wf_json *recipe;
    wf_checkpoint c;
    wf_trainer_options options;
    wf_trainer *trainer;
    int64_t steps;
    wf_train_batch *batches; /* [steps*accumulate] */
    weft_error *err;
} train_run;

/* ---- the recipe ---- */
static weft_status check_words(const train_run *r) {
    static const char *const words[] = {"steps",
                                        "grad_accumulation",
                                        "optimizer",
                                        "schedule",
                                        "grad_clip",
                                        "token_normalisation",
                                        "labels_shifted_in_model",
                                        "loss",
                                        "ema",
                                        "precision",
                                        NULL};
    for (const wf_json *j = r->recipe->child; j; j = j->next) {
        size_t i = 0;
        while (words[i] && !wf_streq(words[i], j->key))
            i++;
        WF_CHECK(words[i], r->err, WEFT_UNSUPPORTED, "'%s' of the recipe", j->key);
    }
    return WEFT_OK;
}

static const wf_json *object_of(const train_run *r, const char *key) {
    const wf_json *j = wf_json_get(r->recipe, key);
    return j && j->kind != WF_JSON_NULL ? j : NULL;
}

/* The model's first label is predicted by no row. */
static bool shifts(const train_run *r) {
    const wf_spec *spec = r->c.model->spec;
    return spec->n_heads > 0 && spec->heads[0].row->label == WF_LABEL_NEXT && !spec->heads[0].aligned;
}

static weft_status read_loss(train_run *r) {
    const wf_json *loss = object_of(r, "loss"), *ema = object_of(r, "ema");
    const char *mean = wf_json_text(r->recipe, "token_normalisation", "micro"), *name = wf_json_text(loss, "name", "?");
    WF_CHECK(!loss || wf_streq(name, "label_smoothing"), r->err, WEFT_UNSUPPORTED, "the loss '%s'", name);
    WF_CHECK(wf_streq(mean, "micro") || wf_streq(mean, "global"), r->err, WEFT_UNSUPPORTED, "a token normalisation '%s'", mean);
    r->options.smoothing = wf_json_double(loss, "epsilon", 0.0);
    r->options.global_mean = wf_streq(mean, "global");
    WF_CHECK(!r->options.global_mean || wf_json_bool(r->recipe, "labels_shifted_in_model", shifts(r)) == shifts(r), r->err,
             WEFT_UNSUPPORTED, "counting labels that are not predicted");
    if (ema) {
        r->options.average = "ema";
        r->options.average_decay = wf_json_double(ema, "decay", -1.0);
    }
    return WEFT_OK;
}

static weft_status read_recipe(train_run *r) {
    WF_CHECK(r->recipe && r->recipe->kind == WF_JSON_OBJECT, r->err, WEFT_BAD_INPUT, "the fixture has no recipe ('train')");
    WF_TRY(check_words(r));
    r->steps = wf_json_int(r->recipe, "steps", 0);
    r->options.accumulate = wf_json_int(r->recipe, "grad_accumulation", 1);
    WF_CHECK(r->steps >= 1 && r->steps <= 10000 && r->options.accumulate >= 1 && r->options.accumulate <= 1000, r->err,
             WEFT_BAD_INPUT, "a recipe of impossible length");
    WF_CHECK(wf_streq(wf_json_text(r->recipe, "precision", "fp32"), "fp32"), r->err, WEFT_UNSUPPORTED, "precision '%s'",
             wf_json_text(r->recipe, "precision", ""));
    r->options.optimizer = object_of(r, "optimizer");
    r->options.schedule = object_of(r, "schedule");
    r->options.clip = wf_json_double(r->recipe, "grad_clip", 0.0);
    WF_CHECK(r->options.optimizer, r->err, WEFT_BAD_INPUT, "the recipe has no optimizer");
    return read_loss(r);
}

/* ---- batches ---- */
static weft_status read_batches(train_run *r) {
    int64_t count = r->steps * r->options.accumulate;
    r->batches = wf_arena_alloc(&r->fx->arena, (size_t)count * sizeof *r->batches);
    if (!r->batches)
        return wf_fail_memory(r->err);
    for (int64_t i = 0; i < count; i++) {
        wf_model_inputs in;
        WF_TRY(wf_model_inputs_read(r->fx, r->c.model, count, i, &in, r->err));
        WF_CHECK(in.labels[0].count > 0, r->err, WEFT_BAD_INPUT, "the input 'labels' is missing");
        WF_CHECK(in.targets, r->err, WEFT_UNSUPPORTED, "training with labels that are no class for every row");
        WF_CHECK(!in.types && !in.positions, r->err, WEFT_UNSUPPORTED, "training with '%s'",
                 in.types ? "token_type_ids" : "position_ids");
        r->batches[i] = (wf_train_batch){.ids = in.ids, .targets = in.targets, .mask = in.mask};
        r->options.batch = in.batch;
        r->options.rows = in.rows;
        r->options.masks = in.mask != NULL;
        if (in.source) {
            r->batches[i].source = in.source->ids;
            r->batches[i].source_mask = in.source->mask;
            r->options.source_rows = in.source->rows;
            r->options.source_masks = in.source->mask != NULL;
            r->options.own_ids = in.ids != NULL;
        }
        memcpy(r->batches[i].tables, in.tables, sizeof in.tables);
        memcpy(r->options.table_columns, in.table_columns, sizeof in.table_columns);
    }
    return WEFT_OK;
}

/* ---- the trace ---- */
static weft_status train(train_run *r) {
    size_t bytes = (size_t)r->steps * sizeof(double);
    double *loss = wf_arena_alloc(&r->fx->arena, bytes), *norm = wf_arena_alloc(&r->fx->arena, bytes),
           *lr = wf_arena_alloc(&r->fx->arena, bytes);
    if (!loss || !norm || !lr)
        return wf_fail_memory(r->err);
    for (int64_t i = 0; i < r->steps; i++) {
        wf_step_result result;
        WF_TRY(wf_trainer_step(r->trainer, r->batches + i * r->options.accumulate, &result, r->err));
        loss[i] = result.loss;
        norm[i] = result.grad_norm;
        lr[i] = result.lr;
    }
    WF_TRY(wf_fixture_compare_doubles(r->fx, "loss", loss, r->steps, r->err));
    WF_TRY(wf_fixture_compare_doubles(r->fx, "grad_norm", norm, r->steps, r->err));
    return wf_fixture_compare_doubles(r->fx, "lr", lr, r->steps, r->err);
}

/* ---- weights, and their average, under the file's names ---- */
static const float *average_of(const wf_average *average, const char *name) {
    for (size_t i = 0; average && i < average->count; i++)
        if (wf_streq(average->views[i].name, name))
            return average->mean[i];
    return NULL;
}

static weft_status compare_weights(train_run *r, const wf_tensor_map *map, const char *prefix, const wf_average *average) {
    const float *parts[WF_NAME_PARTS];
    float *file = wf_arena_alloc(&r->fx->arena, (size_t)map->count * sizeof *file);
    float *scratch = wf_arena_alloc(&r->fx->arena, 2 * (size_t)map->count * sizeof *scratch);
    char *name = wf_arena_printf(&r->fx->arena, "%s.%s", prefix, wf_checkpoint_name(&r->c, map));
    if (!file || !scratch || !name)
        return wf_fail_memory(r->err);
    for (size_t i = 0; i < map->n_parts; i++) {
        const wf_param *p = r->c.model->params.list[map->parts[i].param];
        const float *values = average ? average_of(average, p->name) : p->value;
        if (!values)
            return WEFT_OK;
        parts[i] = values + map->parts[i].first;
    }
    wf_map_write(map, parts, file, scratch);
    return wf_fixture_compare(r->fx, name, NULL, file, map->count, r->err);
}

/* With an adapter only its tensors train; merged they are the base's. */
static weft_status compare_adapter(train_run *r) {
    WF_TRY(wf_verify_adapter_tensors(r->fx, r->c.model, "final", false, r->err));
    WF_TRY(wf_adapters_merge(r->c.model, false, r->err));
    return wf_verify_merged(r->fx, &r->c, r->err);
}

static weft_status run(train_run *r) {
    wf_load_options how = {.strict = true, .unmerged = true};
    WF_CHECK(r->fx->inputs && r->fx->expected, r->err, WEFT_BAD_INPUT, "the fixture lacks its inputs or expected tensors");
    WF_TRY(wf_fixture_adapter(r->fx, &how.adapter, r->err));
    WF_TRY(wf_checkpoint_open(r->fx->env, r->fx->path, &how, &r->c, r->err));
    WF_TRY(read_recipe(r));
    WF_TRY(read_batches(r));
    WF_TRY(wf_trainer_create(r->c.model, &r->options, &r->trainer, r->err));
    WF_TRY(train(r));
    if (r->c.model->adapters)
        return compare_adapter(r);
    for (size_t i = 0; i < r->c.names.count; i++) {
        const wf_average *average = wf_trainer_average(r->trainer);
        WF_TRY(compare_weights(r, &r->c.names.list[i], "final", NULL));
        if (average)
            WF_TRY(compare_weights(r, &r->c.names.list[i], "ema", average));
    }
    return WEFT_OK;
}

weft_status wf_verify_train(wf_fixture *fx, weft_error *err) {
    train_run r = {.fx = fx, .recipe = wf_json_get(fx->json, "train"), .err = err};
    weft_status status = run(&r);
    wf_trainer_free(r.trainer);
    if (r.c.model)
        wf_checkpoint_close(&r.c);
    return status;
}
