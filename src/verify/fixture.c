#include "verify/fixture.h"
#include "text/regex.h"
#include <math.h>
#include <string.h>
#include "base/checked.h"
#include "base/reader.h"

/* ---- opening ---- */
static weft_status open_tensors(wf_fixture *fx, const char *file, wf_safetensors **out, weft_error *err) {
    char *path = wf_path_join(&fx->arena, fx->path, file);
    if (!path)
        return wf_fail_memory(err);
    return wf_is_file(path) ? wf_safetensors_open(&fx->env->mem, path, out, err) : WEFT_OK;
}

weft_status wf_fixture_open(const wf_env *env, const char *path, wf_fixture *fx, weft_error *err) {
    wf_json *json;
    memset(fx, 0, sizeof *fx);
    fx->env = env;
    wf_arena_init(&fx->arena, &env->mem, 0);
    fx->path = fx->name = wf_arena_strdup(&fx->arena, path);
    char *file = fx->path ? wf_path_join(&fx->arena, path, "fixture.json") : NULL;
    if (!file)
        return wf_fail_memory(err);
    WF_TRY(wf_json_parse_file(&fx->arena, file, &json, err));
    fx->json = json;
    fx->name = wf_json_text(json, "name", fx->path);
    fx->kind = wf_json_text(json, "kind", NULL);
    fx->gradient_scale = wf_json_double(json, "gradient_scale", 0.0);
    WF_CHECK(fx->kind, err, WEFT_BAD_INPUT, "fixture.json does not say its kind");
    WF_CHECK(wf_json_int(json, "format", 0) == 1, err, WEFT_UNSUPPORTED, "fixture format %g",
             wf_json_double(json, "format", 0.0));
    WF_TRY(open_tensors(fx, "inputs.safetensors", &fx->inputs, err));
    WF_TRY(open_tensors(fx, "expected.safetensors", &fx->expected, err));
    if (fx->expected && !(fx->compared = wf_arena_alloc(&fx->arena, wf_safetensors_count(fx->expected) * sizeof *fx->compared)))
        return wf_fail_memory(err);
    return WEFT_OK;
}

void wf_fixture_close(wf_fixture *fx) {
    for (int w = 0; w < fx->n_where; w++)
        wf_regex_free(fx->where[w].names);
    fx->n_where = 0;
    wf_safetensors_free(fx->inputs);
    wf_safetensors_free(fx->expected);
    wf_arena_free(&fx->arena);
}

static bool listed(const char *const *words, const char *word) {
    for (; words && *words; words++)
        if (wf_streq(*words, word))
            return true;
    return false;
}

weft_status wf_fixture_fields(const wf_fixture *fx, const char *const *fields, weft_error *err) {
    static const char *const common[] = {
        "format", "kind",     "name",      "reference",      "note",           "tolerance",
        "inputs", "outputs",  "gradients", "gradient_scale", "zero_gradients", "tensors_without_gradient",
        "spec",   "backward", NULL};
    for (const wf_json *j = fx->json->child; j; j = j->next)
        WF_CHECK(listed(common, j->key) || listed(fields, j->key), err, WEFT_UNSUPPORTED, "field '%s' of the fixture", j->key);
    return WEFT_OK;
}

/* ---- inputs ---- */
const wf_stored_tensor *wf_fixture_input(const wf_fixture *fx, const char *name) {
    return fx->inputs ? wf_safetensors_find(fx->inputs, name) : NULL;
}

int64_t wf_stored_count(const wf_stored_tensor *t) {
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++)
        count *= t->dims[i]; /* fits: the reader has checked the bytes */
    return count;
}

weft_status wf_fixture_shape(const wf_stored_tensor *t, int rank, const int64_t *dims, weft_error *err) {
    bool same = t->rank == rank;
    for (int i = 0; same && i < rank; i++)
        same = t->dims[i] == dims[i];
    WF_CHECK(same, err, WEFT_BAD_INPUT, "'%s' has another shape than expected", t->name);
    return WEFT_OK;
}

/* One element as a double; exact for every type here but 64-bit integers beyond 2^53, which are read apart. */
static double element(const wf_stored_tensor *t, int64_t i) {
    const char *at = (const char *)t->data + (size_t)i * wf_dtypes[t->type].size;
    double wide;
    float value;
    if (t->type == WF_F64) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    wf_dtypes[t->type].to_f32(&value, at, 1);
    return (double)value;
}

static bool is_integer_type(int type) { return type >= WF_I64 && type <= WF_BOOL8; }

static int64_t whole_element(const wf_stored_tensor *t, int64_t i) {
    const char *at = (const char *)t->data + (size_t)i * wf_dtypes[t->type].size;
    int64_t wide;
    int32_t narrow;
    if (t->type == WF_I64) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    if (t->type == WF_I32) {
        memcpy(&narrow, at, sizeof narrow);
        return narrow;
    }
    return (int64_t)element(t, i);
}

static void *new_array(wf_fixture *fx, const wf_stored_tensor *t, size_t size, weft_error *err) {
    size_t bytes;
    void *array = wf_mul_size((size_t)wf_stored_count(t), size, &bytes) ? wf_arena_alloc(&fx->arena, bytes) : NULL;
    if (!array)
        wf_fail_memory(err);
    return array;
}

weft_status wf_fixture_floats(wf_fixture *fx, const wf_stored_tensor *t, float **out, weft_error *err) {
    WF_CHECK(t->type >= 0, err, WEFT_BAD_INPUT, "'%s' is of type %s", t->name, t->dtype);
    if (!(*out = new_array(fx, t, sizeof **out, err)))
        return WEFT_NO_MEMORY;
    wf_dtypes[t->type].to_f32(*out, t->data, wf_stored_count(t));
    return WEFT_OK;
}

weft_status wf_fixture_ints(wf_fixture *fx, const wf_stored_tensor *t, int64_t **out, weft_error *err) {
    WF_CHECK(is_integer_type(t->type), err, WEFT_BAD_INPUT, "'%s' should hold integers, not %s", t->name, t->dtype);
    if (!(*out = new_array(fx, t, sizeof **out, err)))
        return WEFT_NO_MEMORY;
    for (int64_t i = 0; i < wf_stored_count(t); i++)
        (*out)[i] = whole_element(t, i);
    return WEFT_OK;
}

weft_status wf_fixture_bytes(wf_fixture *fx, const wf_stored_tensor *t, uint8_t **out, weft_error *err) {
    int64_t *wide;
    WF_TRY(wf_fixture_ints(fx, t, &wide, err));
    if (!(*out = new_array(fx, t, sizeof **out, err)))
        return WEFT_NO_MEMORY;
    for (int64_t i = 0; i < wf_stored_count(t); i++) {
        WF_CHECK(wide[i] >= 0 && wide[i] <= 255, err, WEFT_BAD_INPUT, "'%s' should hold bytes", t->name);
        (*out)[i] = (uint8_t)wide[i];
    }
    return WEFT_OK;
}

/* ---- comparing ---- */
static bool is_gradient(const char *name) { return wf_starts_with(name, "grad."); }

static double tolerance_of(const wf_fixture *fx, const char *name) {
    return wf_json_double(wf_json_get(fx->json, "tolerance"), name, is_gradient(name) ? 5e-5 : 1e-5);
}

static void mark(wf_fixture *fx, const wf_stored_tensor *t) {
    for (size_t i = 0; i < wf_safetensors_count(fx->expected); i++)
        fx->compared[i] |= wf_safetensors_at(fx->expected, i) == t;
}

static weft_status find_expected(wf_fixture *fx, const char *name, int64_t count, const wf_stored_tensor **out,
                                 weft_error *err) {
    *out = fx->expected ? wf_safetensors_find(fx->expected, name) : NULL;
    if (!*out)
        return WEFT_OK;
    WF_CHECK((*out)->type >= 0, err, WEFT_UNSUPPORTED, "'%s' is of type %s", name, (*out)->dtype);
    WF_CHECK(wf_stored_count(*out) == count, err, WEFT_MISMATCH, "'%s' has %lld elements instead of %lld", name,
             (long long)count, (long long)wf_stored_count(*out));
    mark(fx, *out);
    return WEFT_OK;
}

static weft_status keep(wf_fixture *fx, const char *name, const char *form, double error, double tolerance, weft_error *err) {
    bool bad = !(error <= tolerance); /* NaN is bad */
    double ratio = bad && !(error / tolerance > 1.0) ? INFINITY : error / tolerance;
    if (tolerance == 0.0)
        ratio = bad ? INFINITY : 0.0;
    wf_log(fx->env, WF_DEBUG, "%s: %s%s%s%s: %.3g of %.3g%s", fx->name, name, form ? " (" : "", form ? form : "",
           form ? ")" : "", error, tolerance, bad ? " FAIL" : "");
    fx->failed |= bad;
    fx->n_compared++;
    if (fx->worst && !(ratio > fx->worst_ratio))
        return WEFT_OK;
    const char *label = form ? wf_arena_printf(&fx->arena, "%s (%s)", name, form) : wf_arena_strdup(&fx->arena, name);
    if (!label)
        return wf_fail_memory(err);
    fx->worst = label;
    fx->worst_ratio = ratio;
    fx->error = error;
    fx->tolerance = tolerance;
    return WEFT_OK;
}

weft_status wf_fixture_add_mask(wf_fixture *fx, const char *pattern, const uint8_t *mask, int64_t batch, int64_t rows,
                                weft_error *err) {
    WF_CHECK(fx->n_where < WF_FIXTURE_MASKS, err, WEFT_UNSUPPORTED, "more than %d masks of outputs", WF_FIXTURE_MASKS);
    wf_fixture_mask *w = &fx->where[fx->n_where];
    *w = (wf_fixture_mask){mask, {batch, rows}, NULL};
    if (pattern)
        WF_TRY(wf_regex_compile(&fx->env->mem, pattern, strlen(pattern), WF_PERL, &w->names, err));
    fx->n_where++;
    return WEFT_OK;
}

static weft_status is_named(const wf_fixture *fx, const wf_regex *names, const char *name, bool *yes, weft_error *err) {
    wf_regex_scratch *scratch;
    size_t span[2] = {1, 1};
    *yes = !names;
    if (!names)
        return WEFT_OK;
    WF_TRY(wf_regex_scratch_create(&fx->env->mem, &scratch, err));
    wf_regex_allow(scratch, strlen(name));
    weft_status status = wf_regex_find(names, scratch, (wf_regex_text){name, strlen(name), 0}, span, yes, err);
    wf_regex_scratch_free(scratch);
    *yes &= span[0] == 0;
    return status;
}

/* The mask of an output that begins with its rows; NULL when all of them count. */
static weft_status find_mask(const wf_fixture *fx, const wf_stored_tensor *t, const uint8_t **mask, weft_error *err) {
    *mask = NULL;
    for (int i = 0; i < fx->n_where && !*mask; i++) {
        const wf_fixture_mask *w = &fx->where[i];
        bool named;
        if (is_gradient(t->name) || t->rank < 2 || t->dims[0] != w->dims[0] || t->dims[1] != w->dims[1])
            continue;
        WF_TRY(is_named(fx, w->names, t->name, &named, err));
        *mask = named ? w->mask : NULL;
    }
    return WEFT_OK;
}

typedef double (*got_fn)(const void *got, int64_t i);
static double got_float(const void *got, int64_t i) { return (double)((const float *)got)[i]; }
static double got_double(const void *got, int64_t i) { return ((const double *)got)[i]; }

static weft_status compare(wf_fixture *fx, const char *name, const char *form, const void *got, got_fn at, int64_t count,
                           weft_error *err) {
    const wf_stored_tensor *t;
    WF_TRY(find_expected(fx, name, count, &t, err));
    if (!t)
        return WEFT_OK;
    const uint8_t *mask;
    WF_TRY(find_mask(fx, t, &mask, err));
    int64_t width = mask ? wf_stored_count(t) / (t->dims[0] * t->dims[1]) : 0;
    double most = 0.0, difference = 0.0, tolerance = tolerance_of(fx, name);
    for (int64_t i = 0; i < count; i++) {
        if (width && !mask[i / width])
            continue;
        double b = element(t, i), d = fabs(at(got, i) - b);
        most = fmax(most, fabs(b));
        difference = d > difference || isnan(d) ? d : difference;
        if (isnan(d))
            break;
    }
    double scale = is_gradient(name) ? fmax(most, fx->gradient_scale / 1000.0) : most;
    double error = difference == 0.0 ? 0.0 : difference / scale;
    return keep(fx, name, form, error, tolerance, err);
}

weft_status wf_fixture_compare(wf_fixture *fx, const char *name, const char *form, const float *got, int64_t count,
                               weft_error *err) {
    return compare(fx, name, form, got, got_float, count, err);
}

weft_status wf_fixture_compare_doubles(wf_fixture *fx, const char *name, const double *got, int64_t count, weft_error *err) {
    return compare(fx, name, NULL, got, got_double, count, err);
}

weft_status wf_fixture_compare_ints(wf_fixture *fx, const char *name, const char *form, const int64_t *got, int64_t count,
                                    weft_error *err) {
    const wf_stored_tensor *t;
    bool same = true;
    WF_TRY(find_expected(fx, name, count, &t, err));
    if (!t)
        return WEFT_OK;
    for (int64_t i = 0; i < count; i++)
        same &= is_integer_type(t->type) && whole_element(t, i) == got[i];
    return keep(fx, name, form, same ? 0.0 : 1.0, 0.0, err);
}

weft_status wf_fixture_all_compared(const wf_fixture *fx, weft_error *err) {
    for (size_t i = 0; fx->expected && i < wf_safetensors_count(fx->expected); i++)
        WF_CHECK(fx->compared[i], err, WEFT_UNSUPPORTED, "output '%s'", wf_safetensors_at(fx->expected, i)->name);
    return WEFT_OK;
}
