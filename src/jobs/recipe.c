#include "jobs/recipe.h"
#include "jobs/put.h"
#include <math.h>
#include <string.h>

void wf_recipe_read(wf_options *o, wf_recipe *r) {
    *r = (wf_recipe){.batch = wf_option_int(o, "batch", 8, 1, 65536),
                     .context = wf_option_int(o, "context", 256, 1, 1 << 24),
                     .accumulate = wf_option_int(o, "accumulate", 1, 1, 65536),
                     .checkpoint_activations = wf_option_bool(o, "checkpoint_activations", false),
                     .keep_activations = wf_option_bool(o, "keep_activations", false),
                     .packed = wf_option_bool(o, "packed", false),
                     .optimizer = wf_option_text(o, "optimizer", "adamw"),
                     .schedule = wf_option_text(o, "schedule", "cosine"),
                     .lr = wf_option_float(o, "lr", NAN, 0.0, 1e38),
                     .weight_decay = wf_option_float(o, "weight_decay", 0.1, 0.0, 1e3),
                     .warmup = wf_option_float(o, "warmup", 0.1, 0.0, 1e9),
                     .clip = wf_option_float(o, "clip", 1.0, 0.0, 1e9),
                     .smoothing = wf_option_float(o, "smoothing", 0.0, 0.0, 0.999),
                     .dropout = wf_option_float(o, "dropout", -1.0, 0.0, 0.99),
                     .beta1 = wf_option_float(o, "beta1", 0.9, 0.0, 0.999999),
                     .beta2 = wf_option_float(o, "beta2", 0.98, 0.0, 0.9999999),
                     .average = wf_option_text(o, "average", NULL),
                     .average_decay = wf_option_float(o, "average_decay", 0.999, 0.0, 1.0),
                     .seed = (uint64_t)wf_option_int(o, "seed", 1, 0, INT64_MAX)};
    const char *precision = wf_option_text(o, "precision", "fp32");
    r->bf16 = wf_streq(precision, "bf16");
    if (!r->bf16 && !wf_streq(precision, "fp32"))
        wf_option_fail(o, NULL, "precision is fp32 or bf16, not '%s'", precision);
}

void wf_recipe_write(wf_arena *arena, const wf_recipe *r, wf_json *object) {
    const struct {
        const char *key;
        double value;
    } numbers[] = {{"lr", r->lr},
                   {"weight_decay", r->weight_decay},
                   {"warmup", r->warmup},
                   {"clip", r->clip},
                   {"smoothing", r->smoothing},
                   {"dropout", r->dropout < 0 ? NAN : r->dropout},
                   {"beta1", r->beta1},
                   {"beta2", r->beta2},
                   {"average_decay", r->average_decay}};
    const struct {
        const char *key;
        int64_t value;
    } integers[] = {{"batch", r->batch}, {"context", r->context}, {"accumulate", r->accumulate}, {"seed", (int64_t)r->seed}};
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++)
        wf_json_put(arena, object, integers[i].key, wf_json_new_int(arena, integers[i].value));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!isnan(numbers[i].value))
            wf_json_put(arena, object, numbers[i].key, wf_json_new_double(arena, numbers[i].value));
    wf_put_text(arena, object, "precision", r->bf16 ? "bf16" : "fp32");
    wf_put_text(arena, object, "optimizer", r->optimizer);
    wf_put_text(arena, object, "schedule", r->schedule);
    wf_put_text(arena, object, "average", r->average);
    wf_json_put(arena, object, "checkpoint_activations", wf_json_new_bool(arena, r->checkpoint_activations));
    wf_json_put(arena, object, "keep_activations", wf_json_new_bool(arena, r->keep_activations));
    wf_json_put(arena, object, "packed", wf_json_new_bool(arena, r->packed));
}

double wf_recipe_usual_lr(int64_t dim) { return 3e-3 * sqrt(128.0 / (double)dim); }

static bool has_option(const wf_option *keys, const char *name) {
    for (; keys && keys->name; keys++)
        if (wf_streq(keys->name, name))
            return true;
    return false;
}

static weft_status optimizer_json(wf_arena *arena, const wf_recipe *r, wf_json **out, weft_error *err) {
    const wf_optimizer_row *row = wf_optimizer_find(r->optimizer, err);
    if (!row)
        return err ? err->status : WEFT_USAGE;
    *out = wf_json_new(arena, WF_JSON_OBJECT);
    wf_put_text(arena, *out, "name", r->optimizer);
    if (has_option(row->keys, "lr") || has_option(wf_optimizer_common, "lr"))
        wf_json_put(arena, *out, "lr", wf_json_new_double(arena, r->lr));
    if (has_option(row->keys, "weight_decay") || has_option(wf_optimizer_common, "weight_decay"))
        wf_json_put(arena, *out, "weight_decay", wf_json_new_double(arena, r->weight_decay));
    if (has_option(row->keys, "no_decay") || has_option(wf_optimizer_common, "no_decay"))
        wf_put_text(arena, *out, "no_decay", "usual");
    if (has_option(row->keys, "betas")) {
        wf_json *betas = wf_json_put(arena, *out, "betas", wf_json_new(arena, WF_JSON_ARRAY));
        wf_json_push(betas, wf_json_new_double(arena, r->beta1));
        wf_json_push(betas, wf_json_new_double(arena, r->beta2));
    }
    return *out ? WEFT_OK : wf_fail_memory(err);
}

static weft_status schedule_json(wf_arena *arena, const wf_recipe *r, int64_t steps, wf_json **out, weft_error *err) {
    const wf_schedule_row *row = wf_schedule_find(r->schedule, err);
    if (!row)
        return err ? err->status : WEFT_USAGE;
    double warmup = r->warmup < 1.0 ? r->warmup * (double)steps : r->warmup;
    *out = wf_json_new(arena, WF_JSON_OBJECT);
    wf_put_text(arena, *out, "name", r->schedule);
    wf_json_put(arena, *out, "warmup_steps", wf_json_new_int(arena, (int64_t)llround(warmup)));
    wf_json_put(arena, *out, "total_steps", wf_json_new_int(arena, steps));
    if (has_option(row->keys, "num_decay_steps"))
        wf_json_put(arena, *out, "num_decay_steps", wf_json_new_int(arena, steps / 5));
    return *out ? WEFT_OK : wf_fail_memory(err);
}

weft_status wf_recipe_trainer(wf_arena *arena, const wf_recipe *r, int64_t steps, wf_trainer_options *out, weft_error *err) {
    wf_json *optimizer, *schedule;
    WF_TRY(optimizer_json(arena, r, &optimizer, err));
    WF_TRY(schedule_json(arena, r, steps, &schedule, err));
    *out = (wf_trainer_options){.batch = r->batch,
                                .rows = r->context,
                                .accumulate = r->accumulate,
                                .bf16 = r->bf16,
                                .checkpoint_activations = r->checkpoint_activations,
                                .keep_activations = r->keep_activations,
                                .segments = r->packed,
                                .optimizer = optimizer,
                                .schedule = schedule,
                                .clip = r->clip,
                                .smoothing = r->smoothing,
                                .average = r->average,
                                .average_decay = r->average_decay,
                                .seed = r->seed};
    return WEFT_OK;
}
