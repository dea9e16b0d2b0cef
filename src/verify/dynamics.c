/* dynamics.c - fixtures of kind `dynamics`: what evolves step by step with every draw given. The field "dynamics" names the
 * row: optimizer, lr_schedule, average, grad_clip, logits_processor. */
#include <float.h>
#include <math.h>
#include <string.h>
#include "train/average.h"
#include "train/clip.h"
#include "train/optimizer.h"
#include "train/schedule.h"
#include "verify/fixture.h"

static const wf_json *spec_of(const wf_fixture *fx) { return wf_json_get(fx->json, "spec"); }

static weft_status new_floats(wf_fixture *fx, int64_t count, float **out, weft_error *err) {
    *out = count >= 0 ? wf_arena_alloc(&fx->arena, (size_t)count * sizeof(float)) : NULL;
    return *out ? WEFT_OK : wf_fail_memory(err);
}

static size_t input_count(const wf_fixture *fx) { return fx->inputs ? wf_safetensors_count(fx->inputs) : 0; }

/* Options this build does not know are unsupported, not a mistake of the caller. */
static weft_status unknown_is_unsupported(weft_status status, weft_error *err) {
    if (status == WEFT_USAGE && err)
        err->status = WEFT_UNSUPPORTED;
    return status == WEFT_USAGE ? WEFT_UNSUPPORTED : status;
}

/* `object` without one member. */
static wf_json *without(wf_arena *arena, const wf_json *object, const char *key) {
    wf_json *copy = wf_json_new(arena, WF_JSON_OBJECT);
    for (const wf_json *member = object->child; copy && member; member = member->next)
        if (!wf_streq(member->key, key))
            wf_json_put(arena, copy, member->key, wf_json_copy(arena, member));
    return copy;
}

/* ---- optimizers ---- */
typedef struct moving { /* one parameter of a fixture */
    const char *name;
    const wf_stored_tensor *start;
    int64_t count, steps;
    float *param, *grad, *gradients, *trace; /* gradients, trace [steps, count]; trace: the parameter after each update */
} moving;

static weft_status make_moving(wf_fixture *fx, const wf_stored_tensor *start, moving *m, weft_error *err) {
    m->name = start->name + strlen("param.");
    m->start = start;
    m->count = wf_stored_count(start);
    char *gradient = wf_arena_printf(&fx->arena, "gradient.%s", m->name);
    const wf_stored_tensor *g = gradient ? wf_fixture_input(fx, gradient) : NULL;
    WF_CHECK(g && g->rank == start->rank + 1, err, WEFT_BAD_INPUT, "no gradients of the right shape for '%s'", start->name);
    m->steps = g->dims[0];
    WF_CHECK(wf_stored_count(g) == m->steps * m->count, err, WEFT_BAD_INPUT, "no gradients of the right shape for '%s'",
             start->name);
    WF_TRY(wf_fixture_floats(fx, start, &m->param, err));
    WF_TRY(wf_fixture_floats(fx, g, &m->gradients, err));
    WF_TRY(new_floats(fx, m->count, &m->grad, err));
    return new_floats(fx, m->steps * m->count, &m->trace, err);
}

/* A null eps means the epsilon of the parameter's type, and the references run in float64. */
static const wf_json *resolve_eps(wf_fixture *fx) {
    const wf_json *eps = wf_json_get(spec_of(fx), "eps"), *first = wf_json_at(eps, 0);
    if (!first || first->kind != WF_JSON_NULL || !strstr(wf_json_text(fx->json, "reference", ""), "float64"))
        return spec_of(fx);
    wf_json *spec = wf_json_copy(&fx->arena, spec_of(fx)), *list = wf_json_new(&fx->arena, WF_JSON_ARRAY);
    if (!spec || !list)
        return NULL;
    wf_json_push(list, wf_json_new_double(&fx->arena, DBL_EPSILON));
    for (const wf_json *rest = first->next; rest; rest = rest->next)
        wf_json_push(list, wf_json_copy(&fx->arena, rest));
    wf_json_put(&fx->arena, spec, "eps", list);
    return spec;
}

static void step_all(wf_optimizer *o, moving *m, size_t n, int64_t steps) {
    for (int64_t s = 0; s < steps; s++) {
        for (size_t i = 0; i < n; i++)
            memcpy(m[i].grad, m[i].gradients + s * m[i].count, (size_t)m[i].count * sizeof(float));
        wf_optimizer_step(o, 1, 1);
        for (size_t i = 0; i < n; i++)
            memcpy(m[i].trace + s * m[i].count, m[i].param, (size_t)m[i].count * sizeof(float));
    }
}

static weft_status gather(wf_fixture *fx, moving *m, wf_opt_param *params, size_t *n, weft_error *err) {
    for (size_t i = 0; i < input_count(fx); i++) {
        const wf_stored_tensor *t = wf_safetensors_at(fx->inputs, i);
        if (!wf_starts_with(t->name, "param."))
            continue;
        moving *one = &m[*n];
        WF_TRY(make_moving(fx, t, one, err));
        WF_CHECK(one->steps == m[0].steps, err, WEFT_BAD_INPUT, "'%s' has another number of steps", t->name);
        params[(*n)++] =
            (wf_opt_param){.name = one->name, .param = one->param, .grad = one->grad, .rank = t->rank, .dims = t->dims};
    }
    WF_CHECK(*n > 0, err, WEFT_BAD_INPUT, "the fixture has no parameters");
    return WEFT_OK;
}

static weft_status run_optimizer(wf_fixture *fx, weft_error *err) {
    moving *m = wf_arena_alloc(&fx->arena, (input_count(fx) + 1) * sizeof *m);
    wf_opt_param *params = wf_arena_alloc(&fx->arena, (input_count(fx) + 1) * sizeof *params);
    const wf_json *spec = resolve_eps(fx);
    wf_optimizer *o;
    size_t n = 0;
    if (!m || !params || (!spec && spec_of(fx)))
        return wf_fail_memory(err);
    WF_TRY(gather(fx, m, params, &n, err));
    WF_TRY(unknown_is_unsupported(wf_optimizer_create(fx->env, spec, params, n, &o, err), err));
    step_all(o, m, n, m[0].steps);
    wf_optimizer_free(o);
    for (size_t i = 0; i < n; i++)
        WF_TRY(wf_fixture_compare(fx, m[i].name, NULL, m[i].trace, m[i].steps * m[i].count, err));
    return WEFT_OK;
}

/* ---- schedules ---- */
enum { MOST_STEPS = 10000000 };

static weft_status read_metric(wf_fixture *fx, const wf_schedule *s, int index, int64_t steps, float **out, weft_error *err) {
    char *name = wf_arena_printf(&fx->arena, "metric.%d", index);
    if (!name)
        return wf_fail_memory(err);
    const wf_stored_tensor *t = wf_fixture_input(fx, name);
    *out = NULL;
    WF_CHECK(!wf_schedule_reacts(s) || (t && wf_stored_count(t) >= steps), err, WEFT_BAD_INPUT, "no '%s' for every step", name);
    return wf_schedule_reacts(s) ? wf_fixture_floats(fx, t, out, err) : WEFT_OK;
}

static weft_status run_case(wf_fixture *fx, const wf_json *one, int index, weft_error *err) {
    wf_schedule *s = wf_arena_alloc(&fx->arena, sizeof *s);
    wf_json *options = without(&fx->arena, one, "base_lr");
    char *name = wf_arena_printf(&fx->arena, "lr.%d", index);
    int64_t steps = wf_json_int(spec_of(fx), "steps", 0);
    float *metric;
    double base = wf_json_double(one, "base_lr", 1);
    WF_CHECK(steps > 0 && steps <= MOST_STEPS, err, WEFT_BAD_INPUT, "the fixture has no steps");
    double *rates = wf_arena_alloc(&fx->arena, (size_t)steps * sizeof *rates);
    if (!s || !options || !name || !rates)
        return wf_fail_memory(err);
    WF_TRY(unknown_is_unsupported(wf_schedule_read(options, base, s, err), err));
    WF_TRY(read_metric(fx, s, index, steps, &metric, err));
    for (int64_t i = 0; i < steps; i++) {
        rates[i] = base * wf_schedule_at(s, i);
        if (metric)
            wf_schedule_report(s, (double)metric[i]);
    }
    return wf_fixture_compare_doubles(fx, name, rates, steps, err);
}

static weft_status run_schedule(wf_fixture *fx, weft_error *err) {
    const wf_json *cases = wf_json_get(spec_of(fx), "cases");
    int index = 0;
    for (const wf_json *one = cases ? cases->child : NULL; one; one = one->next)
        WF_TRY(run_case(fx, one, index++, err));
    return WEFT_OK;
}

/* ---- averages ---- */
typedef struct averaged {
    float *initial, *weights, *now, *trace;
    int64_t count, steps;
} averaged;

static weft_status read_averaged(wf_fixture *fx, averaged *a, weft_error *err) {
    const wf_stored_tensor *initial = wf_fixture_input(fx, "initial"), *w = wf_fixture_input(fx, "w");
    WF_CHECK(initial && w && w->rank > 0 && wf_stored_count(w) == w->dims[0] * wf_stored_count(initial), err, WEFT_BAD_INPUT,
             "no weights of the right shape");
    a->count = wf_stored_count(initial);
    a->steps = w->dims[0];
    WF_TRY(wf_fixture_floats(fx, initial, &a->initial, err));
    WF_TRY(wf_fixture_floats(fx, w, &a->weights, err));
    WF_TRY(new_floats(fx, a->count, &a->now, err));
    return new_floats(fx, a->count * a->steps, &a->trace, err);
}

static weft_status run_one_average(wf_fixture *fx, const averaged *x, const char *output, const char *row, weft_error *err) {
    wf_average *a;
    wf_weight_view view = {"w", x->now, x->count};
    size_t bytes = (size_t)x->count * sizeof *x->now;
    memcpy(x->now, x->initial, bytes);
    double decay = wf_json_double(spec_of(fx), "decay", 0.999);
    WF_TRY(wf_average_create(fx->env, wf_average_find(row, err), decay, &view, 1, &a, err));
    for (int64_t s = 0; s < x->steps; s++) {
        memcpy(x->now, x->weights + s * x->count, bytes);
        wf_average_update(a);
        memcpy(x->trace + s * x->count, a->mean[0], bytes);
    }
    wf_average_free(a);
    return wf_fixture_compare(fx, output, NULL, x->trace, x->count * x->steps, err);
}

static weft_status run_average(wf_fixture *fx, weft_error *err) {
    averaged a;
    WF_TRY(read_averaged(fx, &a, err));
    WF_TRY(run_one_average(fx, &a, "plain", "ema", err));
    WF_TRY(run_one_average(fx, &a, "first_copies", "ema_first_copies", err));
    return run_one_average(fx, &a, "uniform", "uniform", err);
}

/* ---- clipping ---- */
typedef struct gradient {
    const char *name;
    float *data, *changed;
    int64_t count;
} gradient;

typedef struct gradients {
    gradient *items;
    wf_grad_view *views;
    size_t count;
} gradients;

static weft_status read_gradients(wf_fixture *fx, gradients *g, weft_error *err) {
    *g = (gradients){.items = wf_arena_alloc(&fx->arena, (input_count(fx) + 1) * sizeof *g->items),
                     .views = wf_arena_alloc(&fx->arena, (input_count(fx) + 1) * sizeof *g->views)};
    if (!g->items || !g->views)
        return wf_fail_memory(err);
    for (size_t i = 0; i < input_count(fx); i++) {
        const wf_stored_tensor *t = wf_safetensors_at(fx->inputs, i);
        gradient *one = &g->items[g->count];
        if (!wf_starts_with(t->name, "gradient."))
            continue;
        *one = (gradient){.name = t->name + strlen("gradient."), .count = wf_stored_count(t)};
        WF_TRY(wf_fixture_floats(fx, t, &one->data, err));
        WF_TRY(new_floats(fx, one->count, &one->changed, err));
        g->views[g->count++] = (wf_grad_view){one->data, one->count};
    }
    return WEFT_OK;
}

/* Gradients times `scale`, or clamped where `limit` is positive, against <rule>.<name>. */
static weft_status compare_changed(wf_fixture *fx, const gradients *g, const char *rule, double scale, double limit,
                                   weft_error *err) {
    for (size_t i = 0; i < g->count; i++) {
        const gradient *one = &g->items[i];
        char *name = wf_arena_printf(&fx->arena, "%s.%s", rule, one->name);
        if (!name)
            return wf_fail_memory(err);
        for (int64_t k = 0; k < one->count; k++)
            one->changed[k] = (float)((double)one->data[k] * scale);
        if (limit > 0)
            wf_clip_value(one->changed, one->count, (float)limit);
        WF_TRY(wf_fixture_compare(fx, name, NULL, one->changed, one->count, err));
    }
    return WEFT_OK;
}

static weft_status run_norm(wf_fixture *fx, const gradients *g, wf_clip *clip, const wf_json *type, weft_error *err) {
    const wf_json *limits = wf_json_get(spec_of(fx), "max_norms");
    double p = type->kind == WF_JSON_NUMBER ? type->number : wf_json_is_string(type, "inf") ? HUGE_VAL : NAN;
    WF_CHECK(p > 0, err, WEFT_UNSUPPORTED, "norm type %s", type->string ? type->string : "null");
    for (const wf_json *limit = limits ? limits->child : NULL; limit; limit = limit->next) {
        double norm = wf_clip_norm(clip, p);
        char *rule = wf_arena_printf(&fx->arena, "norm%s.max%s", type->string, limit->string ? limit->string : "");
        char *name = rule ? wf_arena_printf(&fx->arena, "%s.total", rule) : NULL;
        if (!name)
            return wf_fail_memory(err);
        WF_TRY(wf_fixture_compare_doubles(fx, name, &norm, 1, err));
        WF_TRY(compare_changed(fx, g, rule, wf_clip_scale(norm, limit->number), 0, err));
    }
    return WEFT_OK;
}

static weft_status run_norms(wf_fixture *fx, const gradients *g, wf_clip *clip, weft_error *err) {
    const wf_json *types = wf_json_get(spec_of(fx), "norm_types"), *value = wf_json_get(spec_of(fx), "clip_value");
    for (const wf_json *type = types ? types->child : NULL; type; type = type->next)
        WF_TRY(run_norm(fx, g, clip, type, err));
    if (!value || value->kind != WF_JSON_NUMBER)
        return WEFT_OK;
    char *rule = wf_arena_printf(&fx->arena, "value%s", value->string);
    return rule ? compare_changed(fx, g, rule, 1, value->number, err) : wf_fail_memory(err);
}

static weft_status run_clip(wf_fixture *fx, weft_error *err) {
    gradients g;
    wf_clip *clip;
    WF_TRY(read_gradients(fx, &g, err));
    WF_TRY(wf_clip_create(fx->env, g.views, g.count, &clip, err));
    weft_status status = run_norms(fx, &g, clip, err);
    wf_clip_free(clip);
    return status;
}

/* ---- the table ---- */
static const struct {
    const char *name;
    weft_status (*run)(wf_fixture *fx, weft_error *err);
    const char *words[4]; /* of the spec; none: its reader knows them */
} rows[] = {{"optimizer", run_optimizer, {NULL}},
            {"lr_schedule", run_schedule, {"cases", "steps", NULL}},
            {"average", run_average, {"decay", NULL}},
            {"logits_processor", wf_verify_processors, {NULL}},
            {"grad_clip", run_clip, {"clip_value", "max_norms", "norm_types", NULL}}};

static weft_status check_words(const wf_fixture *fx, const char *const *words, weft_error *err) {
    const wf_json *spec = spec_of(fx);
    for (const wf_json *j = spec && words[0] ? spec->child : NULL; j; j = j->next) {
        size_t i = 0;
        while (words[i] && !wf_streq(words[i], j->key))
            i++;
        WF_CHECK(words[i], err, WEFT_UNSUPPORTED, "'%s' of the spec", j->key ? j->key : "a list");
    }
    return WEFT_OK;
}

weft_status wf_verify_dynamics(wf_fixture *fx, weft_error *err) {
    const char *name = wf_json_text(fx->json, "dynamics", "none");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (wf_streq(rows[i].name, name)) {
            WF_TRY(check_words(fx, rows[i].words, err));
            return rows[i].run(fx, err);
        }
    return wf_fail(err, WEFT_UNSUPPORTED, "dynamics \"%s\"", name);
}
