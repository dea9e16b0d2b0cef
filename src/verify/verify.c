#include "verify/verify.h"
#include <string.h>
#include "base/reader.h"
#include "verify/fixture.h"

/* One kind of fixture: the fields of fixture.json it honours beside the common ones, and how it is run. */
typedef struct kind_row {
    const char *name;
    const char *const *fields;
    weft_status (*run)(wf_fixture *fx, weft_error *err);
} kind_row;

static const char *const mixer_fields[] = {"mixer", NULL};
static const char *const model_fields[] = {"architecture",     "family", "compare_where", "arguments", "valid_mask",
                                           "prefix_invariant", NULL};

static const char *const adapter_fields[] = {"adapter", "merge", "architecture", "family", NULL};
static const char *const train_fields[] = {"architecture", "family", "train", "adapter", NULL};
static const char *const dynamics_fields[] = {"dynamics", "steps", "generation", "order", "prompt_length", NULL};
static const char *const generate_fields[] = {"architecture", "family", "generation", "prompt_length", NULL};

static const char *const tokenizer_fields[] = {"tokenizer_format",
                                               "file",
                                               "options",
                                               "part",
                                               "pattern",
                                               "pattern_syntax",
                                               "special_tokens",
                                               "cases",
                                               "decode_cases",
                                               "stream_cases",
                                               "batches",
                                               "vocab_size",
                                               "model_type",
                                               "normalizer",
                                               "add_dummy_prefix",
                                               "byte_fallback",
                                               "remove_extra_whitespaces",
                                               NULL};
static const char *const training_fields[] = {"start",
                                              "corpus",
                                              "trainer",
                                              "expected",
                                              "compare",
                                              "agreement",
                                              "pass_if",
                                              "deterministic",
                                              "cases",
                                              "pieces",
                                              "pieces_common_to_8_runs",
                                              "score_tolerance",
                                              NULL};
static const char *const template_fields[] = {"template", "variables", "cases", "errors", "rare", "limits", NULL};

static const char *const format_fields[] = {"accept",     "reject",      "files",   "folders",           "expected", "manifest",
                                            "generators", "format_name", "pass_if", "reference_differs", NULL};

static const kind_row kinds[] = {
    {"mixer", mixer_fields, wf_verify_mixer},
    {"model", model_fields, wf_verify_model},
    {"adapter", adapter_fields, wf_verify_model},
    {"train", train_fields, wf_verify_train},
    {"dynamics", dynamics_fields, wf_verify_dynamics},
    {"generate", generate_fields, wf_verify_generate},
    {"tokenizer", tokenizer_fields, wf_verify_tokenizer},
    {"tokenizer-training", training_fields, wf_verify_tokenizer_training},
    {"template", template_fields, wf_verify_template},
    {"format", format_fields, wf_verify_format},
};

static const kind_row *find_kind(const char *name) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (wf_streq(kinds[i].name, name))
            return &kinds[i];
    return NULL;
}

static weft_status run_kind(wf_fixture *fx, weft_error *err) {
    const kind_row *kind = find_kind(fx->kind);
    WF_CHECK(kind, err, WEFT_UNSUPPORTED, "kind %s", fx->kind);
    WF_TRY(wf_fixture_fields(fx, kind->fields, err));
    WF_TRY(kind->run(fx, err));
    return wf_fixture_all_compared(fx, err);
}

/* What the status of a run means for the fixture. A tensor that is wrong decides before one that is missing. */
static wf_outcome judge(const wf_fixture *fx, weft_status status) {
    if (fx->failed)
        return WF_FAILED;
    return status == WEFT_OK ? WF_PASSED : status == WEFT_UNSUPPORTED ? WF_NOT_SUPPORTED : WF_FAILED;
}

static bool ends_the_run(weft_status status) {
    return status == WEFT_NO_MEMORY || status == WEFT_INTERRUPTED || status == WEFT_TERMINATED;
}

typedef struct walk {
    const wf_env *env;
    wf_verdict_fn fn;
    void *user;
    wf_verify_totals *totals;
    wf_arena arena;
    const char **pending; /* paths, the next one last */
    size_t count, capacity;
    weft_error *err;
} walk;

static weft_status verify_one(walk *w, const char *path) {
    wf_fixture fx;
    weft_error err = {.offset = -1};
    weft_status status = wf_fixture_open(w->env, path, &fx, &err);
    if (status == WEFT_OK)
        status = run_kind(&fx, &err);
    if (ends_the_run(status)) {
        wf_fixture_close(&fx);
        return wf_fail(w->err, status, "%s", err.message);
    }
    wf_verdict v = {.name = fx.name,
                    .outcome = judge(&fx, status),
                    .worst = fx.worst,
                    .error = fx.error,
                    .tolerance = fx.tolerance,
                    .compared = fx.n_compared};
    if (v.outcome != WF_PASSED)
        v.why = fx.failed ? "a tensor is beyond its tolerance" : err.message;
    size_t *counts[] = {
        [WF_PASSED] = &w->totals->passed, [WF_FAILED] = &w->totals->failed, [WF_NOT_SUPPORTED] = &w->totals->unsupported};
    ++*counts[v.outcome];
    if (w->fn)
        w->fn(w->user, &v);
    wf_fixture_close(&fx);
    return WEFT_OK;
}

static weft_status push(walk *w, const char *path) {
    WF_TRY(wf_grow(&w->env->mem, (void **)&w->pending, &w->capacity, w->count + 1, sizeof *w->pending, w->err));
    w->pending[w->count++] = path;
    return WEFT_OK;
}

enum { LONGEST_PATH = 4000, MOST_FOLDERS = 100000 };

/* Folders are stacked backwards, so that they are taken in order. */
static weft_status push_children(walk *w, const char *path) {
    char **names;
    size_t count;
    WF_TRY(wf_list_dir(&w->arena, path, &names, &count, w->err));
    for (size_t i = count; i-- > 0;) {
        char *child = wf_path_join(&w->arena, path, names[i]);
        if (!child)
            return wf_fail_memory(w->err);
        if (strlen(child) < LONGEST_PATH && wf_is_dir(child)) /* links that lead in circles end here */
            WF_TRY(push(w, child));
    }
    return WEFT_OK;
}

static weft_status walk_all(walk *w, const char *path) {
    WF_TRY(push(w, path));
    for (size_t seen = 0; w->count > 0; seen++) {
        const char *at = w->pending[--w->count];
        char *fixture = wf_path_join(&w->arena, at, "fixture.json");
        WF_CHECK(seen < MOST_FOLDERS, w->err, WEFT_USAGE, "%s holds more than %d folders", path, (int)MOST_FOLDERS);
        if (!fixture)
            return wf_fail_memory(w->err);
        WF_TRY(wf_stopped(w->env));
        WF_TRY(wf_is_file(fixture) ? verify_one(w, at) : push_children(w, at));
    }
    return WEFT_OK;
}

static weft_status summary(const walk *w, const char *path) {
    const wf_verify_totals *t = w->totals;
    WF_CHECK(t->passed + t->failed + t->unsupported > 0, w->err, WEFT_USAGE, "%s: no fixture found", path);
    WF_CHECK(t->failed == 0, w->err, WEFT_MISMATCH, "%zu of %zu fixtures failed", t->failed,
             t->passed + t->failed + t->unsupported);
    WF_CHECK(t->unsupported == 0, w->err, WEFT_UNSUPPORTED, "%zu fixtures are not supported", t->unsupported);
    return WEFT_OK;
}

weft_status wf_verify_path(const wf_env *env, const char *path, wf_verdict_fn fn, void *user, wf_verify_totals *totals,
                           weft_error *err) {
    walk w = {.env = env, .fn = fn, .user = user, .totals = totals, .err = err};
    memset(totals, 0, sizeof *totals);
    WF_CHECK(wf_is_dir(path), err, WEFT_USAGE, "%s: no such folder", path);
    wf_arena_init(&w.arena, &env->mem, 0);
    weft_status status = walk_all(&w, path);
    wf_free(&env->mem, w.pending);
    wf_arena_free(&w.arena);
    return status ? status : summary(&w, path);
}
