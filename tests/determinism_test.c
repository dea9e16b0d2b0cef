/* determinism_test.c - every preset, fp32 and bf16: the same weights after 50 steps for 1, 2, 3, 4 and 8 threads, and after a
 * stop and a resume at any step. Through the public interface, as a user's program would see it. WEFT_QUICK=1: of 1 and
 * 3 threads, after 12 steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "weft/weft.h"

static const char *const presets[] = {"lstm", "gpt2", "llama", "sliding", "linear", "retnet", "mamba", "hybrid"};
static char folder[] = "/tmp/weft-determinism-XXXXXX";

typedef struct stopper {
    weft *lib;
    int64_t at;
} stopper;

static void stop_at(void *user, const weft_progress *p) {
    stopper *s = user;
    if (s->at > 0 && strcmp(p->phase, "train") == 0 && p->step >= s->at)
        weft_interrupt(s->lib, WEFT_INTERRUPTED);
}

static weft *open_library(int threads) {
    weft_options options;
    weft_error err = {0};
    weft *lib = NULL;
    weft_options_init(&options);
    options.threads = threads;
    if (weft_create(&options, &lib, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    return lib;
}

/* Trains with these options; the digest of the weights, or "" after a stop. */
static void train(const char *options, int threads, int64_t stop, char digest[17]) {
    weft *lib = open_library(threads);
    weft_result result = {NULL, NULL};
    weft_error err = {0};
    stopper s = {lib, stop};
    weft_status status = weft_train(lib, options, stop_at, &s, &result, &err);
    digest[0] = 0;
    if (status == WEFT_OK) {
        const char *at = strstr(result.json, "\"digest\": \"");
        assert_non_null(at);
        snprintf(digest, 17, "%s", at + strlen("\"digest\": \""));
    } else if (status != WEFT_INTERRUPTED || stop == 0) {
        fail_msg("%s: %s", options, err.message);
    }
    weft_result_free(lib, &result);
    weft_free(lib);
}

static void run(const char *preset, const char *precision, int steps, int threads, char digest[17]) {
    char options[1024];
    snprintf(options, sizeof options,
             "{\"text\": [\"%s/README.md\"], \"model\": \"%s\", \"params\": 60000, \"steps\": %d, \"context\": 24, \"batch\": "
             "2, \"eval_every\": 0,"
             " \"eval_windows\": 2, \"dropout\": 0.1, \"precision\": \"%s\", \"checkpoint_every\": 0, \"force\": true, "
             "\"out\": \"%s/run\"}",
             WEFT_SOURCE_DIR, preset, steps, precision, folder);
    train(options, threads, 0, digest);
}

static void test_threads(void **state) {
    static const int counts[] = {3, 2, 4, 8};
    static const char *const precisions[] = {"fp32", "bf16"};
    bool quick = getenv("WEFT_QUICK");
    int steps = quick ? 12 : 50;
    size_t n = quick ? 1 : sizeof counts / sizeof *counts;
    char one[17], many[17];
    (void)state;
    for (size_t p = 0; p < sizeof presets / sizeof *presets; p++)
        for (int k = 0; k < 2; k++) {
            run(presets[p], precisions[k], steps, 1, one);
            for (size_t t = 0; t < n; t++) {
                run(presets[p], precisions[k], steps, counts[t], many);
                if (strcmp(one, many) != 0)
                    fail_msg("%s %s: %s with one thread, %s with %d", presets[p], precisions[k], one, many, counts[t]);
            }
        }
}

static void test_resume(void **state) {
    char options[1024], whole[17], parts[17], resume[256];
    (void)state;
    for (size_t p = 0; p < sizeof presets / sizeof *presets; p++) {
        run(presets[p], "fp32", 50, 2, whole);
        snprintf(options, sizeof options,
                 "{\"text\": [\"%s/README.md\"], \"model\": \"%s\", \"params\": 60000, \"steps\": 50, \"context\": 24, "
                 "\"batch\": 2, \"eval_every\": 0,"
                 " \"eval_windows\": 2, \"dropout\": 0.1, \"checkpoint_every\": 0, \"force\": true, \"out\": \"%s/stopped\"}",
                 WEFT_SOURCE_DIR, presets[p], folder);
        snprintf(resume, sizeof resume, "{\"resume\": true, \"out\": \"%s/stopped\"}", folder);
        train(options, 2, 1 + (int64_t)(p * 7 % 40), parts);
        for (int again = 0; parts[0] == 0 && again < 3; again++) /* stopped at other steps too, then to the end */
            train(resume, again + 1, again < 2 ? 20 + 15 * again : 0, parts);
        if (strcmp(whole, parts) != 0)
            fail_msg("%s: %s in one go, %s in pieces", presets[p], whole, parts);
    }
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads), cmocka_unit_test(test_resume)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
