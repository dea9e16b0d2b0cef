/* Adapters beside models: what they compute on the tape equals the merged weights, gradients are those of the adapter alone and
 * right, unmerging gives the bits back, and a written folder reads back as the same adapter. */
#include "families/load_adapter.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/reader.h"
#include "families/adapter_parts.h"
#include "presets/presets.h"
#include "support/fail_mem.h"
#include "support/test.h"

#define DECODERS WEFT_SOURCE_DIR "/tests/fixtures/decoders/"
#define SCRATCH WEFT_BINARY_DIR "/load-adapter-scratch"

enum { BATCH = 2, ROWS = 6 };

typedef struct bench {
    wf_env env;
    wf_kernels kernels;
    wf_arena arena;
} bench;

static void open_bench(bench *b) {
    memset(b, 0, sizeof *b);
    b->env = (wf_env){.mem = wf_mem_default, .kernels = &b->kernels};
    assert_int_equal(wf_kernels_choose(NULL, &b->kernels, NULL), WEFT_OK);
    assert_int_equal(wf_pool_create(&b->env.mem, 1, &b->env.pool, NULL), WEFT_OK);
    wf_arena_init(&b->arena, &b->env.mem, 0);
}

static void close_bench(bench *b) {
    wf_pool_free(b->env.pool);
    wf_arena_free(&b->arena);
}

static wf_json *parse(bench *b, const char *text) {
    wf_json *json;
    assert_int_equal(wf_json_parse(&b->arena, text, strlen(text), 0, &json, NULL), WEFT_OK);
    return json;
}

static wf_model *open_with(bench *b, const char *folder, const wf_load_options *how) {
    wf_model *m = NULL;
    weft_error err = {0};
    if (wf_model_load(&b->env, folder, how, &m, &err) != WEFT_OK)
        fail_msg("%s: %s", folder, err.message);
    return m;
}

/* ---- one loss ---- */
typedef struct run {
    wf_tape *tape;
    wf_tensor *ids, *targets, *inverse, *loss, *tokens;
} run;

static double loss_of(bench *b, wf_model *m, bool bf16, bool grad) {
    run r = {NULL};
    wf_runtime rt = {.loss_scale = 1.0f};
    wf_model_options how = {.losses = false};
    weft_error err = {0};
    int64_t dims[2] = {BATCH, ROWS};
    assert_int_equal(wf_tape_create(&b->env, &(wf_tape_options){.type = bf16 ? WF_BF16 : WF_F32, .grad = grad}, &r.tape, NULL),
                     WEFT_OK);
    r.ids = wf_input(r.tape, "ids", WF_I32, 2, dims);
    r.targets = wf_input(r.tape, "targets", WF_I32, 2, dims);
    r.inverse = wf_input(r.tape, "inverse", WF_F32, 1, (int64_t[]){1});
    wf_model_ports ports = {.ids = r.ids};
    assert_int_equal(wf_model_record(m, r.tape, BATCH, ROWS, &how, &ports, &err), WEFT_OK);
    r.loss = wf_model_loss(m, r.tape, ports.hidden, r.targets, r.inverse, 0.0f, &r.tokens);
    if (grad)
        wf_root(r.tape, r.loss);
    wf_keep(r.tape, r.loss);
    if (wf_tape_plan(r.tape, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    for (int i = 0; i < BATCH * ROWS; i++) {
        ((int32_t *)r.ids->data)[i] = (i * 7 + 3) % 40;
        ((int32_t *)r.targets->data)[i] = (i * 5 + 1) % 40;
    }
    *(float *)r.inverse->data = 1.0f / (BATCH * ROWS);
    assert_int_equal(wf_tape_forward(r.tape, &rt, NULL), WEFT_OK);
    if (grad)
        assert_int_equal(wf_tape_backward(r.tape, &rt, NULL), WEFT_OK);
    double loss = (double)*(const float *)r.loss->data;
    wf_tape_free(r.tape);
    return loss;
}

/* ---- terms that say something ---- */
/* Every tensor of the adapter is moved by noise in the file's own shape, so that rows that pad a rank stay zero. */
static void move_terms(bench *b, wf_model *m, double by, uint32_t stream) {
    for (size_t i = 0; i < wf_adapters_count(m); i++) {
        const wf_adapter_tensor *t = wf_adapters_at(m, i);
        wf_rng rng = wf_rng_make(5, stream, (uint32_t)i);
        float *file = malloc((size_t)t->count * sizeof *file);
        assert_int_equal(wf_adapter_tensor_write(m, t, false, file, NULL), WEFT_OK);
        for (int64_t k = 0; k < t->count; k++)
            file[k] += (float)by * (float)wf_rng_normal(rng, (uint64_t)k);
        assert_int_equal(wf_adapter_tensor_read(m, t, file, NULL), WEFT_OK);
        free(file);
    }
    (void)b;
}

/* The sum over all gradients times that noise. */
static double slope(wf_model *m, uint32_t stream) {
    double sum = 0.0;
    for (size_t i = 0; i < wf_adapters_count(m); i++) {
        const wf_adapter_tensor *t = wf_adapters_at(m, i);
        wf_rng rng = wf_rng_make(5, stream, (uint32_t)i);
        float *file = malloc((size_t)t->count * sizeof *file);
        assert_int_equal(wf_adapter_tensor_write(m, t, true, file, NULL), WEFT_OK);
        for (int64_t k = 0; k < t->count; k++)
            sum += (double)file[k] * wf_rng_normal(rng, (uint64_t)k);
        free(file);
    }
    return sum;
}

static bool has_magnitudes(const wf_model *m) { return m->adapters->units[0].magnitude != NULL; }

/* Against differences of the loss; a length is a constant of the backward, so with magnitudes only these are moved. */
static void check_gradients(bench *b, wf_model *m) {
    const double step = 1e-3;
    assert_int_equal(wf_params_allocate_grads(&m->params, NULL), WEFT_OK);
    for (size_t i = 0; i < m->own_params; i++)
        assert_true((m->params.list[i]->grad != NULL) == wf_param_trains(m->params.list[i]));
    (void)loss_of(b, m, false, true);
    double expected = slope(m, 9);
    if (has_magnitudes(m))
        return;
    move_terms(b, m, step, 9);
    double up = loss_of(b, m, false, false);
    move_terms(b, m, -2 * step, 9);
    double down = loss_of(b, m, false, false);
    move_terms(b, m, step, 9);
    double found = (up - down) / (2 * step);
    if (!(fabs(found - expected) < 2e-2 * (fabs(found) + 0.05)))
        fail_msg("%s: slope %g, gradients say %g", m->adapters->units[0].where, found, expected);
}

static uint64_t own_digest(const wf_model *m) {
    uint64_t sum = 0;
    for (size_t i = 0; i < m->own_params; i++)
        for (int64_t k = 0; k < m->params.list[i]->count; k++) {
            uint32_t bits;
            memcpy(&bits, &m->params.list[i]->value[k], sizeof bits);
            sum = sum * 31 + bits;
        }
    return sum;
}

/* ---- the cases ---- */
typedef struct adapter_case {
    const char *folder; /* of tests/fixtures/decoders, or a preset */
    const char *config;
    bool merges;
} adapter_case;

static const adapter_case cases[] = {
    {"llama-gqa-bias-tied", "{\"target_modules\": [\"q_proj\", \"v_proj\", \"up_proj\"], \"r\": 3, \"lora_alpha\": 7}", true},
    {"llama-gqa-bias-tied", "{\"target_modules\": \"all-linear\", \"use_dora\": true, \"use_rslora\": true, \"r\": 2}", true},
    {"llama-gqa-bias-tied",
     "{\"target_modules\": [\"o_proj\", \"q_proj\"], \"bias\": \"lora_only\", \"rank_pattern\": {\"q_proj\": 5}}", true},
    {"gpt2-right-padded-types", "{\"target_modules\": [\"c_attn\", \"c_proj\"], \"bias\": \"all\", \"r\": 4}", true},
    {"gpt2-right-padded-types", "{\"target_modules\": [\"c_attn\"], \"use_dora\": true, \"modules_to_save\": [\"ln_f\"]}",
     true},
    {"gpt2-right-padded-types", "{\"target_modules\": [\"wte\", \"wpe\"], \"r\": 2}", false},
    {"gpt2-inverse-layer-untied", "{\"target_modules\": [\"wte\", \"lm_head\"], \"use_dora\": true, \"r\": 2}", true},
    {"mixtral",
     "{\"target_modules\": [\"w1\", \"w2\"], \"r\": 2, \"alpha_pattern\": {\"experts.3.*\": 1}, "
     "\"rank_pattern\": {\"experts.1.w1\": 3}, \"exclude_modules\": [\"experts.2.w2\"]}",
     true},
    {"mixtral", "{\"target_modules\": [\"w3\", \"gate\", \"q_proj\"], \"r\": 2, \"use_dora\": true}", true},
};

/* A router that is sure of its choices: no small step of the terms changes them. */
static void settle_routers(wf_model *m) {
    for (size_t i = 0; i < m->params.count; i++)
        for (int64_t k = 0; strstr(m->params.list[i]->name, "router") && k < m->params.list[i]->count; k++)
            m->params.list[i]->value[k] *= 100.0f;
}

/* A preset becomes a folder first. */
static const char *folder_of(bench *b, const char *name) {
    char *own = wf_arena_printf(&b->arena, DECODERS "%s", name), *made = wf_arena_printf(&b->arena, SCRATCH "/%s", name);
    wf_json *form, *spec;
    wf_model *m;
    if (wf_is_dir(own))
        return own;
    assert_int_equal(wf_preset_template(&b->arena, name, &form, NULL), WEFT_OK);
    assert_int_equal(wf_preset_fill(&b->arena, form, &(wf_sizes){64, 2, 96, 50, 32}, &spec, NULL), WEFT_OK);
    assert_int_equal(wf_model_create(&b->env, spec, &m, NULL), WEFT_OK);
    assert_int_equal(wf_params_allocate(&m->params, NULL), WEFT_OK);
    wf_params_init(&m->params, 3);
    settle_routers(m);
    assert_int_equal(wf_model_save(m, made, NULL, NULL), WEFT_OK);
    wf_model_free(m);
    return made;
}

/* Saved and opened again: beside the base with the same bits, and merged. */
static void check_folder(bench *b, const wf_model *m, const char *base, double loss) {
    assert_int_equal(wf_model_save(m, SCRATCH "/adapter", NULL, NULL), WEFT_OK);
    wf_model *again = open_with(b, base, &(wf_load_options){.adapter = SCRATCH "/adapter", .unmerged = true});
    assert_true(loss_of(b, again, false, false) == loss);
    assert_true(wf_params_digest(&again->params) == wf_params_digest(&m->params));
    wf_model_free(again);
    again = open_with(b, base, &(wf_load_options){.adapter = SCRATCH "/adapter", .map = true});
    assert_null(again->adapters);
    assert_true(again->params.count == again->own_params);
    assert_true(fabs(loss_of(b, again, false, false) - loss) < 1e-4);
    wf_model_free(again);
}

static void check_case(bench *b, const adapter_case *c) {
    const char *base = folder_of(b, c->folder);
    wf_json *config = parse(b, c->config);
    wf_model *plain = open_with(b, base, NULL);
    wf_model *m = open_with(b, base, &(wf_load_options){.new_adapter = config, .unmerged = true, .adapter_seed = 4});
    double before = loss_of(b, plain, false, false);
    assert_true(fabs(loss_of(b, m, false, false) - before) < 1e-5); /* a new adapter changes nothing */
    move_terms(b, m, 0.1, 1);
    double loss = loss_of(b, m, false, false);
    assert_true(fabs(loss - before) > 1e-4);
    uint64_t digest = own_digest(m);
    weft_status merged = wf_adapters_merge(m, false, NULL);
    assert_int_equal(merged, c->merges ? WEFT_OK : WEFT_UNSUPPORTED);
    if (c->merges) {
        assert_true(own_digest(m) != digest);
        double after = loss_of(b, m, false, false);
        if (!(fabs(after - loss) < 1e-4))
            fail_msg("%s %s: %g merged, %g beside the base", c->folder, c->config, after, loss);
        wf_adapters_unmerge(m);
        assert_true(own_digest(m) == digest);
    }
    check_folder(b, m, base, loss);
    check_gradients(b, m);
    assert_int_equal(wf_params_allocate_bf16(&m->params, NULL), WEFT_OK);
    assert_true(fabs(loss_of(b, m, true, true) - loss) < 5e-2);
    wf_model_free(m);
    wf_model_free(plain);
}

static void test_cases(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bench b;
        open_bench(&b);
        check_case(&b, &cases[i]);
        close_bench(&b);
    }
}

/* Every preset takes one on all its projections, whatever its mixers do with them. */
static void test_every_preset(void **state) {
    (void)state;
    for (size_t i = 0; wf_preset_name(i); i++) {
        bench b;
        open_bench(&b);
        check_case(
            &b, &(adapter_case){wf_preset_name(i), "{\"target_modules\": \"all-linear\", \"r\": 3, \"lora_alpha\": 4}", true});
        close_bench(&b);
    }
}

/* ---- what is refused ---- */
static void check_refused(bench *b, const char *config, weft_status wanted, const char *text) {
    weft_error err = {0};
    wf_model *m;
    weft_status status = wf_model_load(&b->env, DECODERS "llama-gqa-bias-tied",
                                       &(wf_load_options){.new_adapter = parse(b, config), .unmerged = true}, &m, &err);
    if (status != wanted || !strstr(err.message, text))
        fail_msg("%s: status %d, %s", config, (int)status, err.message);
}

static void test_refused(void **state) {
    bench b;
    (void)state;
    open_bench(&b);
    check_refused(&b, "{\"target_modules\": [\"nothing\"]}", WEFT_BAD_INPUT, "no module");
    check_refused(&b, "{\"target_modules\": [\"input_layernorm\"]}", WEFT_UNSUPPORTED, "input_layernorm");
    check_refused(&b, "{\"target_modules\": \"(\"}", WEFT_BAD_INPUT, "'('");
    close_bench(&b);
}

/* A dropout that cannot be kept is refused where it would be trained with, and nowhere else. */
static void test_dropout(void **state) {
    bench b;
    wf_tape *tape;
    weft_error err = {0};
    (void)state;
    open_bench(&b);
    wf_json *config = parse(&b, "{\"target_modules\": [\"lm_head\"], \"lora_dropout\": 0.5}");
    wf_model *m =
        open_with(&b, DECODERS "gpt2-inverse-layer-untied", &(wf_load_options){.new_adapter = config, .unmerged = true});
    (void)loss_of(&b, m, false, false);
    assert_int_equal(wf_params_allocate_grads(&m->params, NULL), WEFT_OK);
    assert_int_equal(wf_tape_create(&b.env, &(wf_tape_options){.type = WF_F32, .grad = true}, &tape, NULL), WEFT_OK);
    wf_tensor *x = wf_input(tape, "x", WF_F32, 3, (int64_t[]){1, 2, m->spec->dim});
    wf_tensor *targets = wf_input(tape, "targets", WF_I32, 2, (int64_t[]){1, 2}), *tokens;
    (void)wf_model_loss(m, tape, x, targets, wf_input(tape, "inverse", WF_F32, 1, (int64_t[]){1}), 0.0f, &tokens);
    assert_int_equal(wf_tape_plan(tape, &err), WEFT_UNSUPPORTED);
    assert_non_null(strstr(err.message, "head.weight"));
    wf_tape_free(tape);
    wf_model_free(m);
    close_bench(&b);
}

/* A folder whose tensors are not those its config says. */
static void test_wrong_folders(void **state) {
    bench b;
    wf_model *m, *other;
    weft_error err = {0};
    static const char *const configs[] = {"{\"target_modules\": [\"q_proj\"], \"r\": 3}",
                                          "{\"target_modules\": [\"q_proj\", \"o_proj\"], \"r\": 2}",
                                          "{\"target_modules\": [\"q_proj\"], \"r\": 2, \"layers_to_transform\": 0}"};
    static const char *const texts[] = {"another shape", "lacks the tensor", "no place"};
    static const weft_status wanted[] = {WEFT_BAD_INPUT, WEFT_BAD_INPUT, WEFT_UNSUPPORTED};
    (void)state;
    open_bench(&b);
    wf_json *right = parse(&b, "{\"target_modules\": [\"q_proj\"], \"r\": 2}");
    m = open_with(&b, DECODERS "llama-gqa-bias-tied", &(wf_load_options){.new_adapter = right, .unmerged = true});
    assert_int_equal(wf_model_save(m, SCRATCH "/wrong", NULL, NULL), WEFT_OK);
    for (size_t i = 0; i < COUNT_OF(configs); i++) {
        assert_int_equal(wf_write_file(&b.env.mem, SCRATCH "/wrong/adapter_config.json", configs[i], strlen(configs[i]), NULL),
                         WEFT_OK);
        weft_status status = wf_model_load(&b.env, DECODERS "llama-gqa-bias-tied",
                                           &(wf_load_options){.adapter = SCRATCH "/wrong"}, &other, &err);
        if (status != wanted[i] || !strstr(err.message, texts[i]))
            fail_msg("%s: status %d, %s", configs[i], (int)status, err.message);
    }
    wf_model_free(m);
    close_bench(&b);
}

/* Every allocation on the way fails once: opening beside and merged, writing. */
static void test_memory(void **state) {
#define ADAPTERS WEFT_SOURCE_DIR "/tests/fixtures/adapter/gpt2-dora"
    fail_mem memory = {0};
    bench b;
    (void)state;
    open_bench(&b);
    while (fail_mem_next(&memory)) {
        wf_env env = b.env;
        wf_model *m, *merged = NULL;
        env.mem = fail_mem_hook(&memory);
        weft_status status =
            wf_model_load(&env, ADAPTERS, &(wf_load_options){.adapter = ADAPTERS "/adapter", .unmerged = true}, &m, NULL);
        if (status == WEFT_OK) {
            status = wf_model_save(m, SCRATCH "/memory", NULL, NULL);
            if (status == WEFT_OK)
                status = wf_adapters_merge(m, false, NULL);
            wf_model_free(m);
        }
        if (status == WEFT_OK)
            status = wf_model_load(&env, ADAPTERS, &(wf_load_options){.adapter = ADAPTERS "/adapter"}, &merged, NULL);
        if (status == WEFT_OK)
            wf_model_free(merged);
        assert_int_equal(status, atomic_load(&memory.fired) ? WEFT_NO_MEMORY : WEFT_OK);
        assert_int_equal(memory.live, 0);
    }
    close_bench(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases),         cmocka_unit_test(test_every_preset),
                                       cmocka_unit_test(test_refused),       cmocka_unit_test(test_dropout),
                                       cmocka_unit_test(test_wrong_folders), cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
