/* dynamics.c - see dynamics.h. */
#include "verify/dynamics.h"
#include <float.h>
#include <math.h>
#include <string.h>
#include "train/average.h"
#include "train/clip.h"
#include "train/optimizer.h"
#include "train/schedule.h"

typedef struct run {
    const wf_env *env;
    const wf_json *fixture, *spec;
    wf_arena *arena;
    wf_fixture_tensors inputs, expected;
    wf_verify_report report;
    void *user;
} run;

static weft_status compare(const run *r, const char *name, const float *values, int64_t count, weft_error *err) {
    const wf_fixture_tensor *expected = wf_fixture_find(&r->expected, name);
    WF_CHECK(expected, err, WEFT_BAD_INPUT, "the fixture expects no tensor %s", name);
    double tolerance = wf_json_double(wf_json_get(r->fixture, "tolerance"), name, 1e-5);
    r->report(r->user, name, wf_fixture_error(expected, values, count), tolerance);
    return WEFT_OK;
}

static float *floats(const run *r, int64_t count) { return wf_arena_alloc(r->arena, (size_t)count * sizeof(float)); }

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
    const wf_fixture_tensor *start, *gradients;
    float *param, *grad, *trace; /* trace: the parameter after each update */
} moving;

static weft_status make_moving(const run *r, const wf_fixture_tensor *start, moving *m, weft_error *err) {
    const char *name = start->name + strlen("param.");
    char *gradient = wf_arena_printf(r->arena, "gradient.%s", name);
    m->start = start;
    m->gradients = gradient ? wf_fixture_find(&r->inputs, gradient) : NULL;
    WF_CHECK(m->gradients && m->gradients->rank == start->rank + 1 &&
                 m->gradients->count == m->gradients->dims[0] * start->count,
             err, WEFT_BAD_INPUT, "no gradients of the right shape for %s", start->name);
    m->param = floats(r, start->count);
    m->grad = floats(r, start->count);
    m->trace = floats(r, m->gradients->count);
    if (!m->param || !m->grad || !m->trace)
        return wf_fail_memory(err);
    memcpy(m->param, start->data, (size_t)start->count * sizeof *m->param);
    return WEFT_OK;
}

/* A null eps means the epsilon of the parameter's type, and the references run in float64. */
static const wf_json *resolve_eps(const run *r) {
    const wf_json *eps = wf_json_get(r->spec, "eps"), *first = wf_json_at(eps, 0);
    if (!first || first->kind != WF_JSON_NULL || !strstr(wf_json_text(r->fixture, "reference", ""), "float64"))
        return r->spec;
    wf_json *spec = wf_json_copy(r->arena, r->spec), *list = wf_json_new(r->arena, WF_JSON_ARRAY);
    wf_json_push(list, wf_json_new_double(r->arena, DBL_EPSILON));
    for (const wf_json *rest = first->next; rest; rest = rest->next)
        wf_json_push(list, wf_json_copy(r->arena, rest));
    wf_json_put(r->arena, spec, "eps", list);
    return spec;
}

static void step_all(wf_optimizer *o, moving *m, size_t n, int64_t steps) {
    for (int64_t s = 0; s < steps; s++) {
        for (size_t i = 0; i < n; i++)
            memcpy(m[i].grad, m[i].gradients->data + s * m[i].start->count, (size_t)m[i].start->count * sizeof(float));
        wf_optimizer_step(o, 1, 1);
        for (size_t i = 0; i < n; i++)
            memcpy(m[i].trace + s * m[i].start->count, m[i].param, (size_t)m[i].start->count * sizeof(float));
    }
}

static weft_status run_optimizer(const run *r, weft_error *err) {
    moving *m = wf_arena_alloc(r->arena, (r->inputs.count + 1) * sizeof *m);
    wf_opt_param *params = wf_arena_alloc(r->arena, (r->inputs.count + 1) * sizeof *params);
    wf_optimizer *o;
    size_t n = 0;
    if (!m || !params)
        return wf_fail_memory(err);
    for (size_t i = 0; i < r->inputs.count; i++) {
        const wf_fixture_tensor *t = &r->inputs.items[i];
        if (!wf_starts_with(t->name, "param."))
            continue;
        WF_TRY(make_moving(r, t, &m[n], err));
        params[n] = (wf_opt_param){
            .name = t->name + strlen("param."), .param = m[n].param, .grad = m[n].grad, .rank = t->rank, .dims = t->dims};
        n++;
    }
    WF_CHECK(n > 0, err, WEFT_BAD_INPUT, "the fixture has no parameters");
    WF_TRY(unknown_is_unsupported(wf_optimizer_create(r->env, resolve_eps(r), params, n, &o, err), err));
    step_all(o, m, n, m[0].gradients->dims[0]);
    wf_optimizer_free(o);
    for (size_t i = 0; i < n; i++)
        WF_TRY(compare(r, params[i].name, m[i].trace, m[i].gradients->count, err));
    return WEFT_OK;
}

/* ---- schedules ---- */
static weft_status run_case(const run *r, const wf_json *one, int index, weft_error *err) {
    wf_schedule *s = wf_arena_alloc(r->arena, sizeof *s);
    int64_t steps = wf_json_int(r->spec, "steps", 0);
    float *rates = floats(r, steps);
    char *name = wf_arena_printf(r->arena, "lr.%d", index), *metric_name = wf_arena_printf(r->arena, "metric.%d", index);
    wf_json *options = without(r->arena, one, "base_lr");
    if (!s || !rates || !name || !metric_name || !options)
        return wf_fail_memory(err);
    const wf_fixture_tensor *metric = wf_fixture_find(&r->inputs, metric_name);
    double base = wf_json_double(one, "base_lr", 1);
    WF_TRY(unknown_is_unsupported(wf_schedule_read(options, base, s, err), err));
    WF_CHECK(!wf_schedule_reacts(s) || (metric && metric->count >= steps), err, WEFT_BAD_INPUT, "no metric for case %d", index);
    for (int64_t i = 0; i < steps; i++) {
        rates[i] = (float)(base * wf_schedule_at(s, i));
        if (metric)
            wf_schedule_report(s, metric->data[i]);
    }
    return compare(r, name, rates, steps, err);
}

static weft_status run_schedule(const run *r, weft_error *err) {
    const wf_json *cases = wf_json_get(r->spec, "cases");
    int index = 0;
    for (const wf_json *one = cases ? cases->child : NULL; one; one = one->next)
        WF_TRY(run_case(r, one, index++, err));
    return WEFT_OK;
}

/* ---- averages ---- */
static weft_status run_one_average(const run *r, const char *output, const char *row, weft_error *err) {
    const wf_fixture_tensor *initial = wf_fixture_find(&r->inputs, "initial"), *w = wf_fixture_find(&r->inputs, "w");
    if (!wf_fixture_find(&r->expected, output))
        return WEFT_OK;
    WF_CHECK(initial && w && w->rank > 0 && w->count == w->dims[0] * initial->count, err, WEFT_BAD_INPUT,
             "no weights of the right shape");
    float *now = floats(r, initial->count), *trace = floats(r, w->count);
    if (!now || !trace)
        return wf_fail_memory(err);
    wf_average *a;
    wf_weight_view view = {"w", now, initial->count};
    size_t bytes = (size_t)initial->count * sizeof *now;
    memcpy(now, initial->data, bytes);
    WF_TRY(wf_average_create(r->env, wf_average_find(row, err), wf_json_double(r->spec, "decay", 0.999), &view, 1, &a, err));
    for (int64_t s = 0; s < w->dims[0]; s++) {
        memcpy(now, w->data + s * initial->count, bytes);
        wf_average_update(a);
        memcpy(trace + s * initial->count, a->mean[0], bytes);
    }
    wf_average_free(a);
    return compare(r, output, trace, w->count, err);
}

static weft_status run_average(const run *r, weft_error *err) {
    WF_TRY(run_one_average(r, "plain", "ema", err));
    WF_TRY(run_one_average(r, "first_copies", "ema_first_copies", err));
    return run_one_average(r, "uniform", "uniform", err);
}

/* ---- clipping ---- */
static const char *output_name(const run *r, const char *rule, const char *tensor) {
    return wf_arena_printf(r->arena, "%s.%s", rule, tensor + strlen("gradient."));
}

static weft_status compare_scaled(const run *r, const char *rule, double scale, double limit, weft_error *err) {
    for (size_t i = 0; i < r->inputs.count; i++) {
        const wf_fixture_tensor *t = &r->inputs.items[i];
        if (!wf_starts_with(t->name, "gradient."))
            continue;
        float *values = floats(r, t->count);
        const char *name = output_name(r, rule, t->name);
        if (!values || !name)
            return wf_fail_memory(err);
        for (int64_t k = 0; k < t->count; k++)
            values[k] = (float)(t->data[k] * scale);
        if (limit > 0)
            wf_clip_value(values, t->count, (float)limit);
        WF_TRY(compare(r, name, values, t->count, err));
    }
    return WEFT_OK;
}

static weft_status run_norm(const run *r, wf_clip *clip, const wf_json *type, weft_error *err) {
    const wf_json *limits = wf_json_get(r->spec, "max_norms");
    double p = type->kind == WF_JSON_NUMBER ? type->number : wf_json_is_string(type, "inf") ? HUGE_VAL : NAN;
    WF_CHECK(p > 0, err, WEFT_UNSUPPORTED, "norm type %s", type->string ? type->string : "?");
    for (const wf_json *limit = limits ? limits->child : NULL; limit; limit = limit->next) {
        double norm = wf_clip_norm(clip, p);
        float total = (float)norm;
        char *rule = wf_arena_printf(r->arena, "norm%s.max%s", type->string, limit->string);
        char *name = rule ? wf_arena_printf(r->arena, "%s.total", rule) : NULL;
        if (!name)
            return wf_fail_memory(err);
        WF_TRY(compare(r, name, &total, 1, err));
        WF_TRY(compare_scaled(r, rule, wf_clip_scale(norm, limit->number), 0, err));
    }
    return WEFT_OK;
}

static weft_status run_norms(const run *r, wf_clip *clip, weft_error *err) {
    const wf_json *types = wf_json_get(r->spec, "norm_types"), *value = wf_json_get(r->spec, "clip_value");
    for (const wf_json *type = types ? types->child : NULL; type; type = type->next)
        WF_TRY(run_norm(r, clip, type, err));
    if (!value || value->kind != WF_JSON_NUMBER)
        return WEFT_OK;
    char *rule = wf_arena_printf(r->arena, "value%s", value->string);
    return rule ? compare_scaled(r, rule, 1, value->number, err) : wf_fail_memory(err);
}

static weft_status run_clip(const run *r, weft_error *err) {
    wf_grad_view *views = wf_arena_alloc(r->arena, (r->inputs.count + 1) * sizeof *views);
    wf_clip *clip;
    size_t n = 0;
    if (!views)
        return wf_fail_memory(err);
    for (size_t i = 0; i < r->inputs.count; i++)
        if (wf_starts_with(r->inputs.items[i].name, "gradient."))
            views[n++] = (wf_grad_view){r->inputs.items[i].data, r->inputs.items[i].count};
    WF_TRY(wf_clip_create(r->env, views, n, &clip, err));
    weft_status status = run_norms(r, clip, err);
    wf_clip_free(clip);
    return status;
}

/* ---- the table ---- */
static const struct {
    const char *name;
    weft_status (*run)(const run *r, weft_error *err);
} rows[] = {{"optimizer", run_optimizer}, {"lr_schedule", run_schedule}, {"average", run_average}, {"grad_clip", run_clip}};

static weft_status run_row(run *r, const char *folder, weft_error *err) {
    const char *name = wf_json_text(r->fixture, "dynamics", "none");
    WF_TRY(wf_fixture_read(r->arena, folder, "inputs.safetensors", true, &r->inputs, err));
    WF_TRY(wf_fixture_read(r->arena, folder, "expected.safetensors", false, &r->expected, err));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (wf_streq(rows[i].name, name))
            return rows[i].run(r, err);
    return wf_fail(err, WEFT_UNSUPPORTED, "dynamics \"%s\"", name);
}

weft_status wf_verify_dynamics(const wf_env *env, const char *folder, const wf_json *fixture, wf_verify_report report,
                               void *user, weft_error *err) {
    wf_arena arena;
    wf_arena_init(&arena, &env->mem, 0);
    run r = {
        .env = env, .fixture = fixture, .spec = wf_json_get(fixture, "spec"), .arena = &arena, .report = report, .user = user};
    weft_status status = run_row(&r, folder, err);
    wf_arena_free(&arena);
    return status;
}
