/* adapter_config.json: which modules, how strong, what is refused. The rules are PEFT's (peft.tuners.tuners_utils). */
#include "families/adapter_config.h"
#include <math.h>
#include <string.h>
#include "support/test.h"

static wf_json *parse(wf_arena *arena, const char *text) {
    wf_json *json;
    assert_int_equal(wf_json_parse(arena, text, strlen(text), 0, &json, NULL), WEFT_OK);
    return json;
}

/* ---- targets ---- */
typedef struct target_case {
    const char *config, *module;
    bool linear, yes;
} target_case;

static const target_case targets[] = {
    {"{\"target_modules\": [\"c_attn\"]}", "transformer.h.0.attn.c_attn", true, true},
    {"{\"target_modules\": [\"attn\"]}", "transformer.h.0.attn.c_attn", true, false},
    {"{\"target_modules\": [\"o\"]}", "encoder.block.0.wo", true, false},
    {"{\"target_modules\": [\"o\"]}", "encoder.block.0.SelfAttention.o", true, true},
    {"{\"target_modules\": [\"lm_head\"]}", "lm_head", true, true},
    {"{\"target_modules\": [\"self_attn.q_proj\"]}", "model.layers.1.self_attn.q_proj", true, true},
    {"{\"target_modules\": \".*layers\\\\.1\\\\.(self_attn|mlp)\\\\.(o_proj|up)\"}", "model.layers.1.mlp.up", true, true},
    {"{\"target_modules\": \".*layers\\\\.1\\\\.(self_attn|mlp)\\\\.(o_proj|up)\"}", "model.layers.1.mlp.up_proj", true, false},
    {"{\"target_modules\": \"q_proj\"}", "model.layers.1.self_attn.q_proj", true, false},
    {"{\"target_modules\": \"a|ab\"}", "ab", true, true},
    {"{\"target_modules\": \"all-linear\"}", "model.layers.1.mlp.up", true, true},
    {"{\"target_modules\": \"All-Linear\"}", "model.layers.1.mlp.up", true, true},
    {"{\"target_modules\": \"all-linear\"}", "model.norm", false, false},
    {"{\"target_modules\": \"all-linear\", \"exclude_modules\": [\"up\"]}", "model.layers.1.mlp.up", true, false},
    {"{\"target_modules\": [\"up\"], \"exclude_modules\": \".*\\\\.1\\\\..*\"}", "model.layers.1.mlp.up", true, false},
    {"{\"target_modules\": [\"up\"], \"exclude_modules\": \".*\\\\.1\\\\..*\"}", "model.layers.11.mlp.up", true, true},
    {"{\"target_modules\": [\"up\"], \"modules_to_save\": [\"mlp\"]}", "model.layers.1.mlp.up", true, false},
    {"{\"target_modules\": [\"up\"], \"layers_to_transform\": [0, 2]}", "model.layers.2.mlp.up", true, true},
    {"{\"target_modules\": [\"up\"], \"layers_to_transform\": [0, 2]}", "model.layers.1.mlp.up", true, false},
    {"{\"target_modules\": [\"up\"], \"layers_to_transform\": 1}", "model.layers.1.mlp.up", true, true},
    {"{\"target_modules\": [\"up\"], \"layers_to_transform\": 3}", "model.layers.1.mlp.experts.3.up", true, false},
    {"{\"target_modules\": [\"up\"], \"layers_to_transform\": 1}", "model.layers.1.mlp.experts.3.up", true, true},
    {"{\"target_modules\": [\"up\"], \"layers_to_transform\": 1}", "h.1.up", true, false},
    {"{\"target_modules\": [\"up\"], \"layers_to_transform\": 1, \"layers_pattern\": \"h\"}", "h.1.up", true, true},
    {"{\"target_modules\": [\"up\"], \"layers_to_transform\": 1, \"layers_pattern\": [\"x\", \"h\"]}", "a.h.1.up", true, true},
    {"{\"target_modules\": [\"up\"], \"layers_to_transform\": 1, \"layers_pattern\": \"blocks\"}", "a.h.1.up", true, false},
    {"{\"target_modules\": [\"up\"], \"layers_to_transform\": 1, \"layers_pattern\": \"\"}", "a.h.1.up", true, true},
    {"{\"target_modules\": [\"up\"], \"layers_to_transform\": 1, \"layers_pattern\": \"\"}", "a.h.2.up", true, false},
    {"{\"target_modules\": \"all-linear\", \"task_type\": \"TOKEN_CLS\"}", "classifier", true, false},
    {"{\"target_modules\": \"all-linear\", \"task_type\": \"QUESTION_ANS\"}", "qa_outputs", true, false},
    {"{\"target_modules\": \"all-linear\", \"task_type\": \"QUESTION_ANS\"}", "classifier", true, true},
    {"{\"target_modules\": \"all-linear\", \"task_type\": \"CAUSAL_LM\"}", "qa_outputs", true, true},
    {"{\"target_modules\": [\"h.1.up\"], \"layers_to_transform\": 0}", "h.1.up", true, true},
};

static void test_targets(void **state) {
    wf_arena arena;
    (void)state;
    wf_arena_init(&arena, &wf_mem_default, 0);
    for (size_t i = 0; i < COUNT_OF(targets); i++) {
        wf_adapter_config c;
        bool yes;
        assert_int_equal(wf_adapter_config_read(&wf_mem_default, parse(&arena, targets[i].config), &c, NULL), WEFT_OK);
        assert_int_equal(wf_adapter_targets(&c, &(wf_adapter_module){targets[i].module, targets[i].linear}, &yes, NULL),
                         WEFT_OK);
        if (yes != targets[i].yes)
            fail_msg("%s: %s is %sa target", targets[i].config, targets[i].module, yes ? "" : "not ");
    }
    wf_arena_free(&arena);
}

static void test_saved(void **state) {
    wf_arena arena;
    wf_adapter_config c;
    (void)state;
    wf_arena_init(&arena, &wf_mem_default, 0);
    wf_json *json = parse(&arena, "{\"target_modules\": [\"q\"], \"modules_to_save\": [\"norm\"], \"task_type\": \"SEQ_CLS\"}");
    assert_int_equal(wf_adapter_config_read(&wf_mem_default, json, &c, NULL), WEFT_OK);
    assert_true(wf_adapter_saves(&c, "model.norm.weight"));
    assert_true(wf_adapter_saves(&c, "model.layers.0.input_layernorm.weight"));
    assert_true(wf_adapter_saves(&c, "classifier.dense.bias"));
    assert_true(wf_adapter_saves(&c, "score.weight"));
    assert_false(wf_adapter_saves(&c, "model.norms.weight"));
    assert_false(wf_adapter_saves(&c, "model.norm"));
    wf_arena_free(&arena);
}

/* ---- strength ---- */
static void test_strength(void **state) {
    static const struct {
        const char *module;
        int64_t rank;
        double scale;
    } modules[] = {{"model.layers.0.k", 2, 6.0 / 1.4142135623730951},
                   {"model.layers.1.q", 7, 5.0 / 2.6457513110645907},
                   {"model.layers.11.q", 4, 3.0}};
    wf_arena arena;
    wf_adapter_config c;
    (void)state;
    wf_arena_init(&arena, &wf_mem_default, 0);
    wf_json *json =
        parse(&arena, "{\"target_modules\": [\"q\"], \"r\": 4, \"lora_alpha\": 6, \"use_rslora\": true, "
                      "\"rank_pattern\": {\"k\": 2, \"layers.1.q\": 7}, \"alpha_pattern\": {\".*\\\\.1\\\\.q\": 5}}");
    assert_int_equal(wf_adapter_config_read(&wf_mem_default, json, &c, NULL), WEFT_OK);
    for (size_t i = 0; i < COUNT_OF(modules); i++) {
        int64_t rank;
        float scale;
        assert_int_equal(wf_adapter_strength(&c, modules[i].module, &rank, &scale, NULL), WEFT_OK);
        assert_int_equal(rank, modules[i].rank);
        assert_true(fabs((double)scale - modules[i].scale) < 1e-6);
    }
    wf_arena_free(&arena);
}

/* ---- what is refused, and what is not ---- */
static void test_keys(void **state) {
    static const struct {
        const char *config;
        weft_status status;
        const char *text;
    } configs[] = {{"{\"target_modules\": [\"q\"], \"use_qalora\": false, \"arrow_config\": null, \"loftq_config\": {}, "
                    "\"megatron_core\": \"x\"}",
                    WEFT_OK, ""},
                   {"{\"target_modules\": [\"q\"], \"something_new\": null}", WEFT_OK, ""},
                   {"{\"target_modules\": [\"q\"], \"something_new\": 1}", WEFT_UNSUPPORTED, "something_new"},
                   {"{\"target_modules\": [\"q\"], \"use_qalora\": true}", WEFT_UNSUPPORTED, "use_qalora"},
                   {"{\"target_modules\": [\"q\"], \"lora_bias\": true}", WEFT_UNSUPPORTED, "lora_bias"},
                   {"{\"target_modules\": [\"q\"], \"target_parameters\": [\"w\"]}", WEFT_UNSUPPORTED, "target_parameters"},
                   {"{\"target_modules\": [\"q\"], \"peft_type\": \"LOHA\"}", WEFT_UNSUPPORTED, "LOHA"},
                   {"{\"target_modules\": [\"q\"], \"init_lora_weights\": \"pissa\"}", WEFT_UNSUPPORTED, "pissa"},
                   {"{\"target_modules\": [\"q\"], \"init_lora_weights\": \"gaussian\"}", WEFT_OK, ""},
                   {"{\"target_modules\": null}", WEFT_UNSUPPORTED, "target_modules"},
                   {"{\"target_modules\": [1]}", WEFT_BAD_INPUT, "target_modules"},
                   {"{\"target_modules\": \"q\", \"layers_to_transform\": 1}", WEFT_BAD_INPUT, "layers_to_transform"},
                   {"{\"target_modules\": [\"q\"], \"layers_pattern\": \"h\"}", WEFT_BAD_INPUT, "layers_pattern"},
                   {"{\"target_modules\": [\"q\"], \"r\": 0}", WEFT_BAD_INPUT, "'r'"},
                   {"{\"target_modules\": [\"q\"], \"r\": 2.5}", WEFT_BAD_INPUT, "'r'"},
                   {"{\"target_modules\": [\"q\"], \"rank_pattern\": {\"q\": 1.5}}", WEFT_BAD_INPUT, "'q'"},
                   {"{\"target_modules\": [\"q\"], \"lora_dropout\": 1}", WEFT_BAD_INPUT, "lora_dropout"},
                   {"{\"target_modules\": [\"q\"], \"bias\": \"some\"}", WEFT_BAD_INPUT, "bias"},
                   {"{\"target_modules\": [\"q\"], \"use_dora\": \"yes\"}", WEFT_BAD_INPUT, "use_dora"},
                   {"[]", WEFT_BAD_INPUT, "object"}};
    wf_arena arena;
    (void)state;
    wf_arena_init(&arena, &wf_mem_default, 0);
    for (size_t i = 0; i < COUNT_OF(configs); i++) {
        wf_adapter_config c;
        weft_error err = {0};
        weft_status status = wf_adapter_config_read(&wf_mem_default, parse(&arena, configs[i].config), &c, &err);
        if (status != configs[i].status || (status && !strstr(err.message, configs[i].text)))
            fail_msg("%s: status %d, %s", configs[i].config, (int)status, err.message);
    }
    wf_arena_free(&arena);
}

static void test_wild_patterns(void **state) {
    static const char *const patterns[] = {"(", "(a+)+$", "[z-a]"};
    wf_arena arena;
    (void)state;
    wf_arena_init(&arena, &wf_mem_default, 0);
    for (size_t i = 0; i < COUNT_OF(patterns); i++) {
        wf_adapter_config c;
        bool yes;
        wf_json *json = parse(&arena, "{\"target_modules\": \"x\"}");
        json->child->string = patterns[i];
        json->child->length = strlen(patterns[i]);
        assert_int_equal(wf_adapter_config_read(&wf_mem_default, json, &c, NULL), WEFT_OK);
        weft_status status = wf_adapter_targets(
            &c, &(wf_adapter_module){"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b", true}, &yes, NULL);
        assert_true(status == WEFT_BAD_INPUT || status == WEFT_FAILURE || (status == WEFT_OK && !yes));
    }
    wf_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_targets), cmocka_unit_test(test_saved),
                                       cmocka_unit_test(test_strength), cmocka_unit_test(test_keys),
                                       cmocka_unit_test(test_wild_patterns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
