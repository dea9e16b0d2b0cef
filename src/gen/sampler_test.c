/* The sampler: which tokens each option leaves, how often they come, and that a seed fixes them. */
#include "gen/sampler.h"
#include "support/test.h"
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "base/rng.h"

enum { VOCAB = 6, DRAWS = 4000 };

static const wf_sampling plain = {.temperature = 1, .top_p = 1, .repetition_penalty = 1};
/* probabilities 0.4, 0.3, 0.15, 0.1, 0.04, 0.01, out of order */
static const double p[VOCAB] = {0.1, 0.4, 0.01, 0.3, 0.04, 0.15};

static const wf_history none = {.n = 0};

static void logits_of(float out[VOCAB]) {
    for (int i = 0; i < VOCAB; i++)
        out[i] = (float)log(p[i]) + 3.0f;
}

static void count(const wf_sampling *o, const int32_t *history, int64_t n, int counts[VOCAB]) {
    wf_env env = {.mem = wf_mem_default};
    wf_sampler *s;
    float logits[VOCAB];
    memset(counts, 0, VOCAB * sizeof *counts);
    logits_of(logits);
    assert_int_equal(wf_sampler_create(&env, VOCAB, o, &s, NULL), WEFT_OK);
    for (uint64_t i = 0; i < DRAWS; i++) {
        int32_t token = -1;
        assert_int_equal(wf_sampler_next(s, logits, &(wf_history){.ids = history, .n = n}, i, &token, NULL), WEFT_OK);
        assert_in_range(token, 0, VOCAB - 1);
        counts[token]++;
    }
    wf_sampler_free(s);
}

/* Expected shares within four standard errors; a share of 0 never comes. */
static void expect(const char *what, const wf_sampling *o, const int32_t *history, int64_t n, const double share[VOCAB]) {
    int counts[VOCAB];
    double total = 0.0;
    for (int i = 0; i < VOCAB; i++)
        total += share[i];
    count(o, history, n, counts);
    for (int i = 0; i < VOCAB; i++) {
        double e = share[i] / total, off = fabs(counts[i] / (double)DRAWS - e);
        if ((e == 0.0 && counts[i] > 0) || off > 4.0 * sqrt(e * (1 - e) / DRAWS) + 1e-12)
            fail_msg("%s: token %d came %d times of %d, its share is %g", what, i, counts[i], DRAWS, e);
    }
}

static void test_options(void **state) {
    static const int32_t seen[] = {1, 1, 4, -3, 99};
    wf_sampling o = plain;
    double warm[VOCAB], penalised[VOCAB];
    (void)state;
    expect("plain", &o, NULL, 0, p);
    o.seed = 7;
    expect("another seed", &o, NULL, 0, p);
    o = plain, o.temperature = 0.5;
    for (int i = 0; i < VOCAB; i++)
        warm[i] = p[i] * p[i];
    expect("temperature", &o, NULL, 0, warm);
    o = plain, o.top_k = 3;
    expect("top-k", &o, NULL, 0, (double[VOCAB]){0, 0.4, 0, 0.3, 0, 0.15});
    o = plain, o.top_p = 0.8; /* 0.4 + 0.3 < 0.8 <= 0.4 + 0.3 + 0.15 */
    expect("top-p", &o, NULL, 0, (double[VOCAB]){0, 0.4, 0, 0.3, 0, 0.15});
    o = plain, o.min_p = 0.2; /* at least 0.08 */
    expect("min-p", &o, NULL, 0, (double[VOCAB]){0.1, 0.4, 0, 0.3, 0, 0.15});
    o = plain, o.top_p = 1e-9;
    expect("nearly no top-p", &o, NULL, 0, (double[VOCAB]){0, 1, 0, 0, 0, 0});
    o = plain, o.typical_p = 0.4; /* the entropy is 1.4: 0.3 lies nearest, then 0.15 and 0.4 */
    expect("typical-p", &o, NULL, 0, (double[VOCAB]){0, 0, 0, 0.3, 0, 0.15});
    o = plain, o.epsilon = 0.12;
    expect("epsilon", &o, NULL, 0, (double[VOCAB]){0, 0.4, 0, 0.3, 0, 0.15});
    o = plain, o.eta = 0.2; /* sqrt(0.2) * exp(-1.4) is 0.11 */
    expect("eta", &o, NULL, 0, (double[VOCAB]){0, 0.4, 0, 0.3, 0, 0.15});
    o = plain, o.top_h = 0.6; /* 0.37 + 0.36 < 0.6 * 1.4 < 0.37 + 0.36 + 0.28 */
    expect("top-h", &o, NULL, 0, (double[VOCAB]){0, 0.4, 0, 0.3, 0, 0});
    o = plain, o.top_k = 1000;
    expect("large top-k", &o, NULL, 0, p);
    o = plain, o.repetition_penalty = 2;
    for (int i = 0; i < VOCAB; i++) {
        double logit = log(p[i]) + 3.0;
        bool was_there = i == 1 || i == 4;
        penalised[i] = exp(was_there ? (logit > 0 ? logit / 2 : logit * 2) : logit);
    }
    expect("penalty", &o, seen, 5, penalised);
    o = plain, o.temperature = 0;
    expect("greedy", &o, NULL, 0, (double[VOCAB]){0, 1, 0, 0, 0, 0});
    o.repetition_penalty = 100;
    expect("greedy with a penalty", &o, seen, 5, (double[VOCAB]){0, 0, 0, 1, 0, 0});
    const wf_rules banned = {.banned = (int32_t[]){1, 4}, .n_banned = 2};
    o = plain, o.rules = &banned;
    expect("banned", &o, NULL, 0, (double[VOCAB]){0.1, 0, 0.01, 0.3, 0, 0.15});
    o.temperature = 0;
    expect("greedy, banned", &o, NULL, 0, (double[VOCAB]){0, 0, 0, 1, 0, 0});
}

/* Rules look at the text, at how many tokens are new, and at the source. */
static void test_rules(void **state) {
    static const int32_t history[] = {5, 1, 3, 5, 1}, ends[] = {1, 5}, words[] = {5, 1, 1, 1, 3, 2}, lengths[] = {3, 2, 1},
                         source[] = {1, 3, 0}, four[] = {4}, two[] = {2}, last_two[] = {2, 4};
    static const double bias[] = {-9.0, 4.0, 1.0};
    wf_env env = {.mem = wf_mem_default};
    const struct {
        const char *what;
        wf_rules rules;
        int64_t n;
        int32_t greedy; /* of 1 3 5 0 4 2 by likelihood */
    } cases[] = {{"none", {0}, 5, 1},
                 {"no token twice", {.no_repeat = 1}, 5, 0},
                 {"no pair twice", {.no_repeat = 2}, 4, 3},
                 {"no three twice", {.no_repeat = 3}, 5, 1},
                 {"no token of the source", {.no_repeat_source = 1}, 5, 5},
                 {"no pair of the source", {.no_repeat_source = 2}, 3, 1},
                 {"short", {.ends = ends, .n_ends = 2, .least = 6}, 5, 3},
                 {"long enough", {.ends = ends, .n_ends = 2, .least = 5}, 5, 1},
                 {"few new ones", {.ends = ends, .n_ends = 2, .least_new = 3, .prompt = 3}, 5, 3},
                 {"enough new ones", {.ends = ends, .n_ends = 2, .least_new = 3, .prompt = 2}, 5, 1},
                 {"words", {.words = words, .lengths = lengths, .n_words = 3}, 5, 5},
                 {"bias", {.biased = words, .bias_lengths = lengths, .bias = bias, .n_biased = 3}, 5, 3},
                 {"the second", {.second = four, .n_second = 1}, 1, 4},
                 {"not the second", {.second = four, .n_second = 1}, 2, 1},
                 {"the last", {.last = two, .n_last = 1, .most = 6}, 5, 2},
                 {"one of the last", {.last = last_two, .n_last = 2, .most = 6}, 5, 2},
                 {"not yet the last", {.last = two, .n_last = 1, .most = 7}, 5, 1},
                 {"the end draws near", {.ends = two, .n_ends = 1, .decay = 3.0, .decay_start = 1, .prompt = 2}, 5, 2},
                 {"not yet near", {.ends = two, .n_ends = 1, .decay = 3.0, .decay_start = 3, .prompt = 2}, 5, 1},
                 {"source likelier", {.source_penalty = 2.0}, 5, 1},
                 {"source less likely", {.source_penalty = 0.1}, 5, 5},
                 {"banned", {.banned = ends, .n_banned = 2}, 5, 3},
                 {"not first", {.not_first = ends, .n_not_first = 2, .begin = 5}, 5, 3},
                 {"no longer first", {.not_first = ends, .n_not_first = 2, .begin = 4}, 5, 1}};
    float logits[VOCAB];
    (void)state;
    logits_of(logits);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        wf_sampling o = plain;
        wf_history h = {.ids = history, .n = cases[c].n, .source = source, .n_source = COUNT_OF(source)};
        wf_sampler *s;
        int32_t token = -1;
        o.temperature = 0;
        o.rules = &cases[c].rules;
        assert_int_equal(wf_sampler_create(&env, VOCAB, &o, &s, NULL), WEFT_OK);
        assert_int_equal(wf_sampler_next(s, logits, &h, 0, &token, NULL), WEFT_OK);
        if (token != cases[c].greedy)
            fail_msg("%s: token %d, not %d", cases[c].what, token, cases[c].greedy);
        wf_sampler_free(s);
    }
}

static void test_seed(void **state) {
    wf_env env = {.mem = wf_mem_default};
    wf_sampler *a, *b, *c;
    wf_sampling o = plain, other = plain;
    float logits[VOCAB];
    int same = 0;
    (void)state;
    o.seed = 5;
    other.seed = 6;
    logits_of(logits);
    assert_int_equal(wf_sampler_create(&env, VOCAB, &o, &a, NULL), WEFT_OK);
    assert_int_equal(wf_sampler_create(&env, VOCAB, &o, &b, NULL), WEFT_OK);
    assert_int_equal(wf_sampler_create(&env, VOCAB, &other, &c, NULL), WEFT_OK);
    for (uint64_t i = 0; i < 200; i++) {
        int32_t x, y, z;
        wf_sampler_next(a, logits, &none, i, &x, NULL);
        wf_sampler_next(b, logits, &none, 199 - i, &y, NULL); /* what was drawn before does not matter, the position does */
        wf_sampler_next(b, logits, &none, i, &y, NULL);
        wf_sampler_next(c, logits, &none, i, &z, NULL);
        assert_int_equal(x, y);
        same += x == z;
    }
    assert_true(same < 150);
    wf_sampler_free(a);
    wf_sampler_free(b);
    wf_sampler_free(c);
}

/* As many tokens as are sorted by digits, some of them equal, against an order by insertion and a plain sum. */
static void test_many_tokens(void **state) {
    enum { MANY = 1500, TOP = 700 };
    static float logits[MANY];
    static int32_t order[MANY];
    static double share[MANY];
    wf_env env = {.mem = wf_mem_default};
    wf_sampling o = plain;
    wf_sampler *s;
    (void)state;
    o.top_k = TOP;
    o.seed = 5;
    for (int32_t i = 0, at; i < MANY; i++) {
        logits[i] = i % 7 == 0 ? 0.0f : i % 7 == 1 ? -0.0f : (float)sin((double)(i % 1100) * 1.7) * 3.0f;
        for (at = i; at > 0 && logits[i] > logits[order[at - 1]]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    int n = TOP;
    while (n < MANY && logits[order[n]] >= logits[order[TOP - 1]])
        n++;
    double sum = 0.0, total = 0.0;
    for (int i = 0; i < n; i++)
        sum += share[i] = exp((double)logits[order[i]] - (double)logits[order[0]]);
    for (int i = 0; i < n; i++)
        total += share[i] /= sum;
    assert_int_equal(wf_sampler_create(&env, MANY, &o, &s, NULL), WEFT_OK);
    for (uint64_t position = 0; position < 400; position++) {
        double u = wf_rng_uniform_double(wf_rng_make(o.seed, 0x5a3bu, 0), position) * total;
        int32_t token, i = 0;
        while (i < n - 1 && (u -= share[i]) >= 0.0)
            i++;
        assert_int_equal(wf_sampler_next(s, logits, &none, position, &token, NULL), WEFT_OK);
        assert_int_equal(token, order[i]);
    }
    wf_sampler_free(s);
}

static void test_odd_logits(void **state) {
    wf_env env = {.mem = wf_mem_default};
    wf_sampler *s;
    weft_error err = {0};
    float logits[VOCAB];
    int32_t token;
    (void)state;
    assert_int_equal(wf_sampler_create(&env, VOCAB, &plain, &s, NULL), WEFT_OK);
    logits_of(logits);
    logits[3] = -INFINITY; /* a token that cannot be */
    for (uint64_t i = 0; i < 500; i++) {
        assert_int_equal(wf_sampler_next(s, logits, &none, i, &token, &err), WEFT_OK);
        assert_int_not_equal(token, 3);
    }
    logits[2] = NAN;
    assert_int_equal(wf_sampler_next(s, logits, &none, 17, &token, &err), WEFT_FAILURE);
    assert_non_null(strstr(err.message, "17"));
    for (int i = 0; i < VOCAB; i++)
        logits[i] = 1.0f; /* ties: greedy takes the lowest id */
    wf_sampler_free(s);
    wf_sampling greedy = plain;
    greedy.temperature = 0;
    assert_int_equal(wf_sampler_create(&env, VOCAB, &greedy, &s, NULL), WEFT_OK);
    assert_int_equal(wf_sampler_next(s, logits, &none, 0, &token, &err), WEFT_OK);
    assert_int_equal(token, 0);
    wf_sampler_free(s);
}

static void test_refused(void **state) {
    static const int32_t outside[] = {VOCAB};
    static const wf_rules banned = {.banned = outside, .n_banned = 1};
    static const wf_sampling rows[] = {{.temperature = -1, .top_p = 1, .repetition_penalty = 1},
                                       {.temperature = 1, .top_p = 0, .repetition_penalty = 1},
                                       {.temperature = 1, .top_p = 1.5, .repetition_penalty = 1},
                                       {.temperature = 1, .top_p = 1, .repetition_penalty = 0},
                                       {.temperature = 1, .top_p = 1, .top_k = -1, .repetition_penalty = 1},
                                       {.temperature = 1, .top_p = 1, .min_p = 2, .repetition_penalty = 1},
                                       {.temperature = 1, .top_p = 1, .typical_p = -1, .repetition_penalty = 1},
                                       {.temperature = 1, .top_p = 1, .eta = 2, .repetition_penalty = 1},
                                       {.top_p = 1, .repetition_penalty = 1, .rules = &banned}};
    wf_env env = {.mem = wf_mem_default};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        wf_sampler *s;
        weft_error err = {0};
        assert_int_equal(wf_sampler_create(&env, VOCAB, &rows[i], &s, &err), WEFT_USAGE);
        assert_true(err.message[0]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_options),    cmocka_unit_test(test_rules),
                                       cmocka_unit_test(test_seed),       cmocka_unit_test(test_many_tokens),
                                       cmocka_unit_test(test_odd_logits), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
