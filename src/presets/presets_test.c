/* Presets fitted to a size, and patterns as text. */
#include "presets/presets.h"
#include "support/model.h"
#include <math.h>

static void solve(test_env *e, const char *name, int64_t params) {
    wf_json *template_, *spec = NULL;
    weft_error err = {0};
    int64_t got = 0;
    if (wf_preset_template(&e->arena, name, &template_, &err) != WEFT_OK ||
        wf_preset_solve(&e->env, &e->arena, template_, &(wf_sizing){params, 257, 64}, &spec, &err) != WEFT_OK ||
        wf_spec_params(&e->env, spec, &got, &err) != WEFT_OK)
        fail_msg("%s %lld: %s", name, (long long)params, err.message);
    if (fabs((double)(got - params)) > 0.02 * (double)params)
        fail_msg("%s: %lld parameters, asked for %lld", name, (long long)got, (long long)params);
}

static void test_solve(void **state) {
    static const int64_t sizes[] = {60000, 150000, 500000, 1000000, 3000000, 10000000};
    static const char *const patterns[] = {"mamba*3+attention", "gru", "retention+linear_attention", "attention*2+lstm",
                                           "gpt2+mamba"};
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        for (size_t i = 0; wf_preset_name(i); i++)
            solve(&e, wf_preset_name(i), sizes[s]);
        for (size_t i = 0; s > 0 && i < COUNT_OF(patterns); i++)
            solve(&e, patterns[i], sizes[s]);
    }
    test_env_close(&e);
}

/* Every token mixer by its name alone, as its row shows it. */
static void test_every_mixer(void **state) {
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    for (size_t i = 0; wf_mixers[i]; i++)
        solve(&e, wf_mixers[i]->name, 500000);
    test_env_close(&e);
}

static void test_about(void **state) {
    const char *about;
    test_env e;
    weft_error err = {0};
    (void)state;
    test_env_open(&e, 1);
    for (size_t i = 0; wf_preset_name(i); i++) {
        assert_true(wf_preset_exists(wf_preset_name(i)));
        assert_int_equal(wf_preset_about(&e.arena, wf_preset_name(i), &about, &err), WEFT_OK);
        assert_true(about[0]);
    }
    assert_false(wf_preset_exists("nonesuch"));
    assert_int_equal(wf_preset_about(&e.arena, "nonesuch", &about, &err), WEFT_USAGE);
    test_env_close(&e);
}

/* The blocks a pattern stands for, in order. */
static void test_patterns(void **state) {
    static const struct {
        const char *pattern, *blocks;
    } rows[] = {{"mamba*3+attention", "mamba mamba mamba attention "},
                {"lstm", "lstm "},
                {"gru*2", "gru gru "},
                {"gpt2+mamba", "attention mamba "},
                {"attention+lstm+attention", "attention lstm attention "}};
    test_env e;
    weft_error err = {0};
    (void)state;
    test_env_open(&e, 1);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        wf_json *template_;
        char got[128] = "";
        if (wf_preset_exists(rows[i].pattern))
            continue;
        assert_int_equal(wf_preset_template(&e.arena, rows[i].pattern, &template_, &err), WEFT_OK);
        const wf_json *blocks = wf_json_path(template_, "spec.blocks");
        for (const wf_json *b = blocks ? blocks->child : NULL; b; b = b->next) {
            const wf_json *mixer = wf_json_get(b, "mixer");
            strcat(strcat(got, mixer->kind == WF_JSON_STRING ? mixer->string : wf_json_text(mixer, "mixer", "?")), " ");
        }
        assert_string_equal(got, rows[i].blocks);
    }
    test_env_close(&e);
}

static void test_refused(void **state) {
    static const struct {
        const char *pattern, *says;
    } rows[] = {{"", "needs a name"},
                {"mambo", "did you mean 'mamba'?"},
                {"gtp2", "did you mean 'gpt2'?"},
                {"mamba*", "not a number of layers"},
                {"mamba*0", "from 1 to 64"},
                {"mamba*65", "from 1 to 64"},
                {"mamba*x", "not a number"},
                {"mamba++lstm", "a pattern is"},
                {"+", "a pattern is"},
                {"lstm+", "a pattern is"},
                {"lstm*64+gru", "at most 64 blocks"},
                {"entirely unknown", "unknown model"}};
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        wf_json *template_;
        weft_error err = {0};
        assert_int_equal(wf_preset_template(&e.arena, rows[i].pattern, &template_, &err), WEFT_USAGE);
        if (!strstr(err.message, rows[i].says))
            fail_msg("'%s': %s", rows[i].pattern, err.message);
    }
    wf_json *template_, *spec;
    weft_error err = {0};
    assert_int_equal(wf_preset_template(&e.arena, "llama", &template_, &err), WEFT_OK);
    assert_int_equal(wf_preset_solve(&e.env, &e.arena, template_, &(wf_sizing){10, 257, 64}, &spec, &err), WEFT_USAGE);
    assert_int_equal(wf_preset_solve(&e.env, &e.arena, template_, &(wf_sizing){60000, 100000, 64}, &spec, &err), WEFT_USAGE);
    assert_non_null(strstr(err.message, "vocabulary"));
    test_env_close(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_solve), cmocka_unit_test(test_every_mixer),
                                       cmocka_unit_test(test_about), cmocka_unit_test(test_patterns),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
