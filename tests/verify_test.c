/* The verifier on the project's own fixtures, on those of WEFT_FIXTURES, and on fixtures that were tampered with. */
#include "support/test.h"
#include <stdlib.h>
#include <string.h>
#include "base/reader.h"
#include "base/str.h"
#include "kernels/kernels.h"
#include "verify/verify.h"

#define OWN WEFT_SOURCE_DIR "/tests/fixtures"
#define SCRATCH WEFT_BINARY_DIR "/verify-scratch"

typedef struct bench {
    wf_env env;
    wf_kernels kernels;
    wf_arena arena;
} bench;

static void open_bench(bench *b) {
    weft_error err = {0};
    memset(b, 0, sizeof *b);
    b->env = (wf_env){.mem = wf_mem_default, .kernels = &b->kernels};
    assert_int_equal(wf_kernels_choose(NULL, &b->kernels, &err), WEFT_OK);
    assert_int_equal(wf_pool_create(&b->env.mem, 2, &b->env.pool, &err), WEFT_OK);
    wf_arena_init(&b->arena, &b->env.mem, 0);
}

static void close_bench(bench *b) {
    wf_pool_free(b->env.pool);
    wf_arena_free(&b->arena);
}

typedef struct seen {
    wf_outcome outcome;
    char why[WEFT_MESSAGE_SIZE], worst[128];
    size_t compared;
} seen;

static void look(void *user, const wf_verdict *v) {
    seen *s = user;
    s->outcome = v->outcome;
    s->compared = v->compared;
    snprintf(s->why, sizeof s->why, "%s", v->why ? v->why : "");
    snprintf(s->worst, sizeof s->worst, "%s", v->worst ? v->worst : "");
    if (v->outcome == WF_FAILED)
        printf("%s: %s (%s: %.3g of %.3g)\n", v->name, s->why, s->worst, v->error, v->tolerance);
}

/* ---- all of a folder ---- */
static void must_pass(bench *b, const char *folder, size_t at_least) {
    seen s = {0};
    wf_verify_totals totals;
    weft_error err = {0};
    weft_status status = wf_verify_path(&b->env, folder, look, &s, &totals, &err);
    if (status != WEFT_OK)
        fail_msg("%s: %s", folder, err.message);
    assert_true(totals.passed >= at_least);
    assert_true(s.compared > 0);
}

static void test_own(void **state) {
    bench b;
    open_bench(&b);
    must_pass(&b, OWN "/mixers", 20);
    must_pass(&b, OWN "/channel", 4);
    must_pass(&b, OWN "/decoders", 5);
    must_pass(&b, OWN "/encoders", 3);
    must_pass(&b, OWN "/seq2seq", 1);
    must_pass(&b, OWN "/train", 30);
    close_bench(&b);
}

/* ---- the groups this version reproduces ---- */
typedef struct group_row {
    const char *group, *prefixes[8]; /* of fixture names; those of others are not asked for */
} group_row;

static const group_row groups[] = {
    {"decoders", {"gpt2", "llama-"}},
    {"encoders", {"albert", "bert-", "roberta", "deberta", "electra", "modernbert", "xlm", "esm"}},
    {"mixers", {"attention-", "lstm", "gru", "linear-attention-", "retention-", "mamba-", "mamba"}},
    {"channel", {""}},
    {"safetensors", {"valid", "sharded", "malformed", "npy-malformed", "config-malformed"}},
    {"generate", {"gpt2-", "llama-all", "llama-beam", "llama-eos", "bart-", "t5-", "mistral", "processor-s"}},
    {"train", {"gpt2-adamw", "llama-a", "optimizer-", "schedule-", "average-", "clip-"}},
};

/* The prefix "mamba" alone means that name: mamba2 is another mixer. */
static bool is_asked(const group_row *g, const char *name) {
    for (size_t i = 0; i < COUNT_OF(g->prefixes) && g->prefixes[i]; i++) {
        bool whole = strcmp(g->prefixes[i], "mamba") == 0;
        if (whole ? strcmp(name, "mamba") == 0 : wf_starts_with(name, g->prefixes[i]))
            return true;
    }
    return false;
}

static size_t run_group(bench *b, const char *root, const group_row *g) {
    char **names, *folder = wf_path_join(&b->arena, root, g->group);
    size_t count, passed = 0;
    assert_int_equal(wf_list_dir(&b->arena, folder, &names, &count, NULL), WEFT_OK);
    for (size_t i = 0; i < count; i++) {
        char *path = wf_path_join(&b->arena, folder, names[i]);
        if (is_asked(g, names[i]) && wf_is_dir(path)) {
            must_pass(b, path, 1);
            passed++;
        }
    }
    return passed;
}

static void test_fixtures(void **state) {
    const char *root = getenv("WEFT_FIXTURES");
    size_t passed = 0;
    bench b;
    if (!root || !*root) {
        printf("WEFT_FIXTURES is not set: only the project's own fixtures ran\n");
        return;
    }
    open_bench(&b);
    for (size_t i = 0; i < COUNT_OF(groups); i++)
        passed += run_group(&b, root, &groups[i]);
    printf("%zu fixtures of %s passed\n", passed, root);
    assert_true(passed > 60);
    close_bench(&b);
}

/* ---- fixtures that were tampered with ---- */
static void copy_file(bench *b, const char *from, const char *to, const char *file) {
    wf_file data;
    weft_error err = {0};
    if (!wf_is_file(wf_path_join(&b->arena, from, file)))
        return;
    assert_int_equal(wf_file_open(&b->env.mem, wf_path_join(&b->arena, from, file), false, 0, &data, &err), WEFT_OK);
    assert_int_equal(wf_write_file(&b->env.mem, wf_path_join(&b->arena, to, file), data.data, data.size, &err), WEFT_OK);
    wf_file_close(&data);
}

/* A copy of a fixture in which the first `was` of a file became `is` (of any length in JSON). */
static void tamper(bench *b, const char *fixture, const char *file, const char *was, const char *is) {
    static const char *const files[] = {"fixture.json",         "config.json",       "inputs.safetensors",
                                        "expected.safetensors", "model.safetensors", "weights.safetensors"};
    char *from = wf_path_join(&b->arena, OWN, fixture), *path = wf_path_join(&b->arena, SCRATCH, file);
    wf_file data;
    weft_error err = {0};
    wf_str text = wf_str_new(&b->env.mem);
    assert_int_equal(wf_make_dir(SCRATCH, &err), WEFT_OK);
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        remove(wf_path_join(&b->arena, SCRATCH, files[i]));
        copy_file(b, from, SCRATCH, files[i]);
    }
    assert_int_equal(wf_file_open(&b->env.mem, path, false, 0, &data, &err), WEFT_OK);
    size_t at = 0, n = strlen(was);
    while (at + n <= data.size && memcmp(data.data + at, was, n) != 0)
        at++;
    assert_true(at + n <= data.size);
    wf_str_put(&text, (const char *)data.data, at);
    wf_str_puts(&text, is);
    wf_str_put(&text, (const char *)data.data + at + n, data.size - at - n);
    wf_file_close(&data);
    assert_int_equal(wf_write_file(&b->env.mem, path, text.data, text.length, &err), WEFT_OK);
    wf_str_free(&text);
}

typedef struct tamper_row {
    const char *fixture, *file, *was, *is;
    weft_status status;
    const char *says;
} tamper_row;

static const tamper_row tampered[] = {
    {"mixers/lstm", "fixture.json", "\"kind\": \"mixer\"", "\"kind\": \"dream\"", WEFT_UNSUPPORTED, "kind dream"},
    {"mixers/lstm", "fixture.json", "\"note\"", "\"temperature\": 2, \"note\"", WEFT_UNSUPPORTED, "field 'temperature'"},
    {"mixers/lstm", "fixture.json", "\"format\": 1", "\"format\": 2", WEFT_UNSUPPORTED, "format 2"},
    {"mixers/lstm", "fixture.json", "\"mixer\": \"lstm\"", "\"mixer\": \"nosuch\"", WEFT_UNSUPPORTED, "mixer nosuch"},
    {"mixers/lstm", "fixture.json", "\"hidden\"", "\"peephole\": true, \"hidden\"", WEFT_UNSUPPORTED, "peephole"},
    {"mixers/lstm", "fixture.json", "\"backward\": \"sum(y*dy)\"", "\"backward\": \"max(y)\"", WEFT_UNSUPPORTED, "max(y)"},
    {"mixers/lstm", "fixture.json", "{", "", WEFT_MISMATCH, "fixture.json"},
    {"mixers/lstm", "fixture.json", "\"state.out.h\": 1e-05", "\"state.out.h\": 1e-30", WEFT_MISMATCH, "tolerance"},
    {"mixers/lstm", "weights.safetensors", "l0.hh.weight", "l0.hx.weight", WEFT_MISMATCH, "l0.hh.weight"},
    {"mixers/lstm", "inputs.safetensors", "\"dy\"", "\"dz\"", WEFT_UNSUPPORTED, "'dz'"},
    {"mixers/lstm", "expected.safetensors", "state.out.h", "state.out.q", WEFT_UNSUPPORTED, "state.out.q"},
    {"mixers/attention-cross", "fixture.json", "\"heads\": 3", "\"heads\": 3, \"kv_heads\": 1", WEFT_MISMATCH, "shape"},
    {"decoders/llama-rope-dynamic", "config.json", "\"model_type\": \"llama\"", "\"model_type\": \"lama\"", WEFT_UNSUPPORTED,
     "'llama'"},
    {"decoders/llama-rope-dynamic", "config.json", "\"mlp_bias\"", "\"mlp_bias_new\": 1, \"mlp_bias\"", WEFT_UNSUPPORTED,
     "mlp_bias_new"},
    {"decoders/llama-rope-dynamic", "config.json", "\"rope_type\"", "\"slope\": 1, \"rope_type\"", WEFT_UNSUPPORTED,
     "rope_parameters.slope"},
    {"decoders/llama-rope-dynamic", "config.json", "\"hidden_size\": 32", "\"hidden_size\": 36", WEFT_MISMATCH, "embed_tokens"},
    {"decoders/llama-rope-dynamic", "config.json", "\"hidden_size\": 32", "\"hidden_size\": \"32\"", WEFT_MISMATCH,
     "hidden_size"},
    {"decoders/llama-rope-dynamic", "model.safetensors", "lm_head.weight", "lm_tail.weight", WEFT_MISMATCH, "lm_head.weight"},
    {"decoders/llama-rope-dynamic", "fixture.json", "\"backward\": \"loss\"", "\"backward\": \"hidden_states.0\"",
     WEFT_MISMATCH, "probe"},
    {"decoders/gpt2-right-padded-types", "fixture.json", "\"compare_where\": \"attention_mask\"", "\"compare_where\": \"luck\"",
     WEFT_UNSUPPORTED, "luck"},
    {"decoders/gpt2-right-padded-types", "config.json", "\"scale_attn_weights\": false", "\"scale_attn_weights\": true",
     WEFT_MISMATCH, "tolerance"},
    {"decoders/gpt2-right-padded-types", "config.json", "\"add_cross_attention\": false", "\"add_cross_attention\": true",
     WEFT_UNSUPPORTED, "add_cross_attention"},
    {"train/llama-adamw-linear", "fixture.json", "\"precision\": \"fp32\"", "\"precision\": \"fp8\"", WEFT_UNSUPPORTED, "fp8"},
    {"train/llama-adamw-linear", "fixture.json", "\"weight_decay\": 0.1", "\"weight_decay\": 0.2", WEFT_MISMATCH, "tolerance"},
    {"train/llama-adamw-linear", "fixture.json", "\"steps\": 8", "\"steps\": 8, \"mixup\": 1", WEFT_UNSUPPORTED, "mixup"},
    {"train/llama-adamw-linear", "fixture.json", "\"kind\": \"train\"", "\"adapter\": \"adapter\", \"kind\": \"train\"",
     WEFT_MISMATCH, "adapter: no such folder"},
};

static void test_tampered(void **state) {
    bench b;
    open_bench(&b);
    for (size_t i = 0; i < COUNT_OF(tampered); i++) {
        const tamper_row *row = &tampered[i];
        seen s = {0};
        wf_verify_totals totals;
        weft_error err = {0};
        tamper(&b, row->fixture, row->file, row->was, row->is);
        weft_status status = wf_verify_path(&b.env, SCRATCH, look, &s, &totals, &err);
        if (status != row->status || !strstr(s.why, row->says))
            fail_msg("%s with %s: status %d, '%s'", row->fixture, row->is, (int)status, s.why);
    }
    close_bench(&b);
}

static void test_nothing_found(void **state) {
    bench b;
    wf_verify_totals totals;
    weft_error err = {0};
    open_bench(&b);
    assert_int_equal(wf_verify_path(&b.env, OWN "/nowhere", NULL, NULL, &totals, &err), WEFT_USAGE);
    assert_int_equal(wf_make_dir(SCRATCH "-empty/inner", &err), WEFT_OK);
    assert_int_equal(wf_verify_path(&b.env, SCRATCH "-empty", NULL, NULL, &totals, &err), WEFT_USAGE);
    assert_non_null(strstr(err.message, "no fixture found"));
    close_bench(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_own), cmocka_unit_test(test_fixtures),
                                       cmocka_unit_test(test_tampered), cmocka_unit_test(test_nothing_found)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
