/* Every model folder of the fixtures that can be opened is saved as what it was, class and type included, and opens again as
 * the same model with equal bits. */
#include <stdlib.h>
#include "base/reader.h"
#include "families/load.h"
#include "formats/shards.h"
#include "support/model.h"

#define OWN WEFT_SOURCE_DIR "/tests/fixtures"
#define SCRATCH WEFT_BINARY_DIR "/folders-scratch"

static weft_status open_folder(test_env *e, const char *folder, wf_checkpoint *out, weft_error *err) {
    return wf_checkpoint_open(&e->env, folder, &(wf_load_options){.strict = true}, out, err);
}

static const wf_json *normal_of(test_env *e, const wf_model *model) {
    wf_json *normal = NULL;
    assert_int_equal(wf_spec_normal(&e->arena, model->spec, &normal, NULL), WEFT_OK);
    return normal;
}

static void same_key(const char *folder, const wf_json *a, const wf_json *b, const char *key) {
    const wf_json *x = wf_json_get(a, key), *y = wf_json_get(b, key);
    if (x && !(y && wf_json_equal(x, y)))
        fail_msg("%s: saved with another '%s'", folder, key);
}

/* The spec says the same, and every parameter has the same bits. */
static void same_model(test_env *e, const char *folder, const wf_checkpoint *a, const wf_checkpoint *b) {
    same_key(folder, a->config, b->config, "model_type");
    same_key(folder, a->config, b->config, "architectures");
    if (!wf_json_equal(normal_of(e, a->model), normal_of(e, b->model)))
        fail_msg("%s: saved as another spec", folder);
    assert_int_equal(wf_params_digest(&a->model->params), wf_params_digest(&b->model->params));
    assert_int_equal(a->names.count, b->names.count);
}

static bool there_and_back(test_env *e, const char *folder) {
    wf_checkpoint a, b;
    weft_error err = {0};
    weft_status status = open_folder(e, folder, &a, &err);
    if (status == WEFT_UNSUPPORTED)
        return false;
    if (status == WEFT_OK && !wf_json_get(a.family->json, "config")) { /* of a family that is only read */
        wf_checkpoint_close(&a);
        return false;
    }
    if (status != WEFT_OK || wf_model_save(a.model, SCRATCH, NULL, &err) != WEFT_OK ||
        open_folder(e, SCRATCH, &b, &err) != WEFT_OK)
        fail_msg("%s: %s", folder, err.message);
    same_model(e, folder, &a, &b);
    wf_checkpoint_close(&a);
    wf_checkpoint_close(&b);
    return true;
}

static size_t each(test_env *e, const char *root, const char *group) {
    char **names = NULL, *path = wf_arena_printf(&e->arena, "%s/%s", root, group);
    size_t count = 0, n = 0;
    if (!wf_is_dir(path) || wf_list_dir(&e->arena, path, &names, &count, NULL) != WEFT_OK)
        return 0;
    for (size_t i = 0; i < count; i++) {
        char *folder = wf_path_join(&e->arena, path, names[i]);
        if (wf_is_file(wf_path_join(&e->arena, folder, "config.json")))
            n += there_and_back(e, folder);
    }
    return n;
}

static void test_own(void **state) {
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    assert_true(each(&e, OWN, "decoders") >= 5);
    assert_true(each(&e, OWN, "encoders") >= 3);
    test_env_close(&e);
}

static void test_given(void **state) {
    static const char *const groups[] = {"decoders", "encoders", "recurrent", "seq2seq"};
    const char *root = getenv("WEFT_FIXTURES");
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    for (size_t i = 0; root && i < sizeof groups / sizeof *groups; i++)
        assert_true(each(&e, root, groups[i]) > 0);
    test_env_close(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_own), cmocka_unit_test(test_given)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
