/* Every allocation that passes through the hook of weft_options failed in turn, through the public interface: a status comes
 * back, nothing leaks, nothing crashes. WEFT_QUICK=1 samples them, at another offset for each part of them. */
#include "support/test.h"
#include "support/fail_mem.h"
#include <string.h>
#include <sys/stat.h>
#include "weft/weft.h"

enum { QUICK_SAMPLES = 120 };

static char folder[512], text_path[600], prompts_path[600], run_path[600], model_path[600], options[4096];

typedef weft_status (*scenario)(weft *lib, weft_error *err);

/* The whole life of a handle under the hook; the status of the first call that failed. */
static weft_status live(fail_mem *f, scenario run, weft_error *err) {
    weft_options o;
    weft *lib = NULL;
    weft_options_init(&o);
    o.threads = 2;
    o.resize = fail_mem_resize;
    o.release = fail_mem_release;
    o.memory_user = f;
    weft_status status = weft_create(&o, &lib, err);
    if (status == WEFT_OK)
        status = run(lib, err);
    weft_free(lib);
    return status;
}

static void check(fail_mem *f, scenario run, const char *name, long at) {
    weft_error err = {0};
    atomic_store(&f->calls, 0);
    atomic_store(&f->fired, false);
    atomic_store(&f->fail_at, at);
    weft_status status = live(f, run, &err);
    if (atomic_load(&f->live) != 0)
        fail_msg("%s: allocation %ld failed and %ld blocks leaked", name, at, atomic_load(&f->live));
    if (status != (atomic_load(&f->fired) ? WEFT_NO_MEMORY : WEFT_OK))
        fail_msg("%s: allocation %ld %s, status %d: %s", name, at, atomic_load(&f->fired) ? "failed" : "was not reached",
                 (int)status, err.message);
}

static void fail_each(scenario run, const char *name) {
    fail_mem f = {0};
    check(&f, run, name, 0);
    long total = atomic_load(&f.calls), step = getenv("WEFT_QUICK") && total > QUICK_SAMPLES ? total / QUICK_SAMPLES : 1;
    for (long at = 1; at <= total; at += step)
        check(&f, run, name, at + (at / step) % step);
}

/* ---- what is run ---- */
static weft_status train(weft *lib, weft_error *err) {
    weft_result result = {NULL, NULL};
    weft_status status = weft_train(lib, options, NULL, NULL, &result, err);
    weft_result_free(lib, &result);
    return status;
}

static weft_status generate(weft *lib, weft_error *err) {
    weft_result result = {NULL, NULL};
    char job[1024];
    snprintf(job, sizeof job,
             "{\"model\": \"%s\", \"prompt\": \"ab\", \"max_tokens\": 6, \"context\": 6, \"overflow\": \"slide\", \"stop\": "
             "[\"zq\"]}",
             model_path);
    weft_status status = weft_generate(lib, job, NULL, NULL, &result, err);
    weft_result_free(lib, &result);
    return status;
}

/* Some lines of the text, three at a time. */
static weft_status generate_texts(weft *lib, weft_error *err) {
    weft_result result = {NULL, NULL};
    char job[1400];
    snprintf(job, sizeof job,
             "{\"model\": \"%s\", \"text\": [\"%s\"], \"max_length\": 5, \"max_tokens\": 4, \"context\": 7, \"overflow\": "
             "\"slide\", \"batch\": 21, \"stop\": [\"zq\"], \"json\": true}",
             model_path, prompts_path);
    weft_status status = weft_generate(lib, job, NULL, NULL, &result, err);
    weft_result_free(lib, &result);
    return status;
}

static weft_status evaluate(weft *lib, weft_error *err) {
    weft_result result = {NULL, NULL};
    char job[1400];
    snprintf(job, sizeof job, "{\"model\": \"%s\", \"text\": [\"%s\"], \"by_position\": true}", model_path, text_path);
    weft_status status = weft_eval(lib, job, NULL, NULL, &result, err);
    weft_result_free(lib, &result);
    return status;
}

static weft_status inspect(weft *lib, weft_error *err) {
    weft_result result = {NULL, NULL};
    char job[1400];
    snprintf(job, sizeof job, "{\"model\": \"%s\", \"batch\": 2}", model_path);
    weft_status status = weft_inspect(lib, job, NULL, NULL, &result, err);
    weft_result_free(lib, &result);
    return status;
}

static weft_status list(weft *lib, weft_error *err) {
    weft_result result = {NULL, NULL};
    weft_status status = weft_list(lib, NULL, NULL, NULL, &result, err);
    weft_result_free(lib, &result);
    return status;
}

static weft_status load_and_save(weft *lib, weft_error *err) {
    weft_model *model = NULL;
    char copy[700];
    snprintf(copy, sizeof copy, "%s/copy", folder);
    weft_status status = weft_model_open(lib, model_path, &model, err);
    if (status == WEFT_OK)
        status = weft_model_save(model, copy, err);
    weft_model_free(model);
    return status;
}

static weft_status feed(const weft_model *model, const int32_t *ids, size_t n, weft_error *err) {
    weft_session *session = NULL;
    const float *logits;
    weft_status status = weft_session_create(model, 1, 16, &session, err);
    if (status == WEFT_OK)
        status = weft_session_feed(session, ids, (int64_t)n, &logits, err);
    weft_session_free(session);
    return status;
}

static weft_status session(weft *lib, weft_error *err) {
    weft_model *model = NULL;
    weft_tokenizer *tok = NULL;
    int32_t *ids = NULL;
    char *text = NULL;
    size_t n = 0, length;
    weft_status status = weft_model_open(lib, model_path, &model, err);
    if (status == WEFT_OK)
        status = weft_model_pack(model, err);
    if (status == WEFT_OK)
        status = weft_tokenizer_open(lib, model_path, &tok, err);
    if (status == WEFT_OK)
        status = weft_tokenizer_encode(tok, "abc", 3, &ids, &n, err);
    if (status == WEFT_OK)
        status = feed(model, ids, n, err);
    if (status == WEFT_OK)
        status = weft_tokenizer_decode(tok, ids, n, &text, &length, err);
    weft_text_free(tok, text);
    weft_ids_free(tok, ids);
    weft_tokenizer_free(tok);
    weft_model_free(model);
    return status;
}

static weft_status create(weft *lib, weft_error *err) {
    static const char spec[] =
        "{\"format\": 1, \"dim\": 16, \"layers\": 2, \"vocab\": 20, \"block\": {\"mixer\": {\"mixer\": \"mamba\"}}}";
    weft_model *model = NULL;
    weft_status status = weft_model_create(lib, spec, 1, &model, err);
    weft_model_free(model);
    return status;
}

/* ---- tests ---- */
static void train_with(const char *more, const char *name) {
    snprintf(options, sizeof options,
             "{\"text\": [\"%s\"], \"out\": \"%s\", \"force\": true, \"context\": 16, \"batch\": 2, \"steps\": 2, \"val\": "
             "\"0.2\"%s}",
             text_path, run_path, more);
    fail_each(train, name);
}

static void test_train(void **state) {
    train_with(", \"params\": 20000", "train llama");
    train_with(", \"params\": 20000, \"model\": \"mamba+attention\", \"precision\": \"bf16\", \"tokenizer\": \"bpe:300\", "
               "\"accumulate\": 2, \"checkpoint_every\": 1",
               "train hybrid");
    train_with(", \"params\": 80000, \"model\": \"lstm\", \"optimizer\": \"muon\", \"average\": \"ema\", \"packed\": false",
               "train lstm");
}

static void test_use(void **state) {
    fail_each(generate, "generate");
    fail_each(generate_texts, "generate texts");
    fail_each(evaluate, "eval");
    fail_each(inspect, "inspect");
    fail_each(list, "list");
    fail_each(load_and_save, "load and save");
    fail_each(session, "session");
    fail_each(create, "create");
}

static int prepare(void **state) {
    const char *base = getenv("WEFT_BINARY_DIR");
    (void)state;
    snprintf(folder, sizeof folder, "%s/test-alloc", base ? base : ".");
    mkdir(folder, 0777);
    snprintf(text_path, sizeof text_path, "%s/text.txt", folder);
    snprintf(prompts_path, sizeof prompts_path, "%s/prompts.txt", folder);
    snprintf(run_path, sizeof run_path, "%s/run", folder);
    snprintf(model_path, sizeof model_path, "%s/run", folder);
    FILE *f = fopen(text_path, "w");
    for (int i = 0; f && i < 60; i++)
        fprintf(f, "abc %d is a line of text that says little.\n", i);
    FILE *prompts = fopen(prompts_path, "w");
    if (prompts)
        fputs("abc\nline of\n\na text that says\nsay\n", prompts);
    bool there = f && fclose(f) == 0;
    return prompts && fclose(prompts) == 0 && there ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_train), cmocka_unit_test(test_use)};
    return cmocka_run_group_tests(tests, prepare, NULL);
}
