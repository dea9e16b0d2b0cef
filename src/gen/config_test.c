/* What a generation config says: keys that are followed, passed over, named; how tokens are drawn. */
#include "gen/config.h"
#include "support/test.h"
#include <stdio.h>
#include <string.h>

enum { VOCAB = 100 };

static void follow(wf_generation_config *c, bool encoder, const char *text) {
    wf_mem mem = wf_mem_default;
    wf_arena arena;
    wf_json *json;
    weft_error err;
    wf_arena_init(&arena, &mem, 0);
    if (wf_json_parse(&arena, text, strlen(text), 0, &json, &err) != WEFT_OK)
        fail_msg("%s: %s", text, err.message);
    wf_generation_config_follow(c, VOCAB, encoder, json);
    wf_arena_free(&arena);
}

/* The keys that are named, a comma between them. */
static void named(const wf_generation_config *c, char out[256]) {
    size_t n = 0;
    out[0] = 0;
    for (size_t i = 0; i < c->n_unfollowed; i++)
        n += (size_t)snprintf(out + n, 256 - n, "%s%s", i ? "," : "", c->unfollowed[i]);
}

static void test_named(void **state) {
    static const struct {
        const char *json, *keys;
        bool encoder;
    } rows[] = {
        {"{}", "", false},
        {"{\"temperature\": null, \"stop_strings\": null, \"num_beams\": null, \"unheard_of\": 3}", "", false},
        {"{\"num_beam_groups\": 1, \"diversity_penalty\": 0.0, \"guidance_scale\": 1, \"penalty_alpha\": 0}", "", false},
        {"{\"num_beam_groups\": 2, \"diversity_penalty\": 0.5}", "num_beam_groups,diversity_penalty", false},
        {"{\"constraints\": [], \"stop_strings\": [], \"token_healing\": false, \"dola_layers\": \"low\"}", "dola_layers",
         false},
        {"{\"stop_strings\": [\"a\"], \"max_time\": 1, \"token_healing\": true}", "max_time,token_healing", false},
        {"{\"stop_strings\": \"\"}", "stop_strings", false},
        {"{\"stop_strings\": [\"a\", 3]}", "stop_strings", false},
        {"{\"top_p\": 0, \"temperature\": -1, \"top_k\": 1.5, \"min_p\": \"0.1\"}", "temperature,top_k,top_p,min_p", false},
        {"{\"do_sample\": \"yes\", \"num_beams\": 0, \"max_length\": 0}", "do_sample,num_beams,max_length", false},
        {"{\"forced_bos_token_id\": 3}", "", true},
        {"{\"bad_words_ids\": [3]}", "bad_words_ids", false},
        {"{\"early_stopping\": \"never\", \"use_cache\": true}", "", false}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        wf_generation_config c;
        char keys[256];
        wf_generation_config_init(&c);
        follow(&c, rows[i].encoder, rows[i].json);
        follow(&c, rows[i].encoder, rows[i].json); /* each once */
        named(&c, keys);
        if (strcmp(keys, rows[i].keys) != 0)
            fail_msg("%s: named are '%s', not '%s'", rows[i].json, keys, rows[i].keys);
    }
}

static void test_knows(void **state) {
    (void)state;
    assert_true(wf_generation_config_knows("temperature"));
    assert_true(wf_generation_config_knows("bad_words_ids"));
    assert_true(wf_generation_config_knows("decoder_start_token_id"));
    assert_false(wf_generation_config_knows("prompt_lookup_num_tokens"));
    assert_false(wf_generation_config_knows(""));
}

static void test_sampling(void **state) {
    static const wf_sampling warm = {.temperature = 0.8, .top_p = 0.95, .repetition_penalty = 1, .seed = 5},
                             cold = {.top_p = 1, .repetition_penalty = 1};
    static const struct {
        const char *json;
        const wf_sampling *usual;
        bool drawn;
        double temperature, top_p;
        int64_t top_k;
    } rows[] = {{"{}", &warm, false, 0.8, 0.95, 0},
                {"{}", &cold, false, 0, 1, 0},
                {"{}", &cold, true, 1, 1, 0},
                {"{\"do_sample\": true}", &warm, false, 1, 1, 50},
                {"{\"do_sample\": true, \"temperature\": 0.6, \"top_k\": 0}", &cold, false, 0.6, 1, 0},
                {"{\"do_sample\": false}", &warm, false, 0, 0.95, 0},
                {"{\"do_sample\": false}", &warm, true, 0.8, 0.95, 0},
                {"{\"temperature\": 0.6, \"top_k\": 20}", &warm, false, 0.6, 0.95, 20},
                {"{\"temperature\": 0.6, \"top_k\": 20}", &cold, false, 0, 1, 20},
                {"{\"temperature\": 0.6, \"top_k\": 20}", &cold, true, 0.6, 1, 20}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        wf_generation_config c;
        wf_generation_config_init(&c);
        follow(&c, false, rows[i].json);
        wf_sampling s = wf_generation_config_sampling(&c, rows[i].usual, rows[i].drawn);
        if (s.temperature != rows[i].temperature || s.top_p != rows[i].top_p || s.top_k != rows[i].top_k)
            fail_msg("row %zu, %s: temperature %g, top_p %g, top_k %lld", i, rows[i].json, s.temperature, s.top_p,
                     (long long)s.top_k);
        assert_int_equal(s.seed, rows[i].usual->seed);
    }
}

/* A later config (a task's) is over an earlier one. */
static void test_longest(void **state) {
    wf_generation_config c;
    (void)state;
    wf_generation_config_init(&c);
    assert_int_equal(wf_generation_config_longest(&c, 7), 0);
    follow(&c, false, "{\"max_length\": 20, \"max_new_tokens\": 5}");
    assert_int_equal(wf_generation_config_longest(&c, 7), 12);
    follow(&c, false, "{\"max_length\": 30}");
    assert_int_equal(wf_generation_config_longest(&c, 7), 30);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_named), cmocka_unit_test(test_knows),
                                       cmocka_unit_test(test_sampling), cmocka_unit_test(test_longest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
