/* Many prompts at the same time give what each gives alone: of models whose states grow, slide, are recurrent or read a source,
 * for every number of places, however a text is drawn and ends; and what stops them. Random weights; tokens are bytes. */
#include "support/model.h"
#include "support/fail_mem.h"
#include "gen/generate.h"

enum { PROMPTS = 11, LONGEST = 40, NEW = 23, ALL = LONGEST + NEW };

#define BLOCK(mixer) "\"block\": {\"mixer\": " mixer ", \"channel\": {\"mixer\": \"glu\", \"hidden\": 48}}, "
#define SPEC(more)                                                                                                             \
    "{\"format\": 1, \"dim\": 32, \"layers\": 3, \"vocab\": 260, \"context\": 96, " more "\"head\": {\"tied\": false}}"
#define ATTENTION "\"mixer\": \"attention\", \"heads\": 2, \"causal\": true"

static const char growing[] = SPEC(BLOCK("{" ATTENTION ", \"rope\": {}}"));
static const char learned[] = SPEC("\"stem\": {\"positions\": {\"kind\": \"learned\"}}, " BLOCK("{" ATTENTION "}"));
static const char seq2seq[] =
    "{\"dim\": 32, \"vocab\": 260, \"layers\": 2, \"stem\": {\"positions\": {\"kind\": \"learned\", \"length\": 70}},"
    " \"encoder\": {\"dim\": 24, \"vocab\": 260, \"layers\": 2, \"stem\": {\"positions\": {\"kind\": \"sinusoidal\", "
    "\"length\": 64}}, \"block\": {\"mixer\": {\"mixer\": \"attention\", \"heads\": 3}, \"channel\": \"mlp\"}, \"bridge\": "
    "{\"dim\": 20}}, \"shift\": {\"token\": 2, \"padding\": 1},"
    " \"block\": {\"mixer\": {" ATTENTION "}, \"cross\": {\"mixer\": \"attention\", \"heads\": 2, \"memory_dim\": 20}, "
    "\"channel\": \"mlp\"}, \"head\": {\"tied\": false}}";

typedef struct many_case {
    const char *name, *spec;
} many_case;
static const many_case cases[] = {{"growing", growing},
                                  {"learned positions", learned},
                                  {"a sliding window", SPEC(BLOCK("{" ATTENTION ", \"rope\": {}, \"window\": [9, null]}"))},
                                  {"mamba", SPEC(BLOCK("{\"mixer\": \"mamba\"}"))},
                                  {"rwkv7", SPEC(BLOCK("{\"mixer\": \"rwkv7\", \"heads\": 2}"))},
                                  {"a hybrid", SPEC("\"blocks\": [{\"mixer\": \"mamba\"}, {\"mixer\": {" ATTENTION
                                                    ", \"window\": [7, null]}, \"channel\": \"glu\"}, "
                                                    "{\"mixer\": {" ATTENTION ", \"rope\": {}}}], ")},
                                  {"an encoder-decoder", seq2seq}};

typedef struct world {
    test_env e;
    atomic_int stop;
    wf_model *model;
    wf_tokenizer *tok;
    uint32_t ids[PROMPTS][LONGEST];
    wf_prompt prompts[PROMPTS];
} world;

/* Prompts of 1 to LONGEST tokens and texts of 1 to NEW, in no order. */
static void open_world(world *w, const char *spec, int threads) {
    test_env_open(&w->e, threads);
    atomic_init(&w->stop, 0);
    w->e.env.stop = &w->stop;
    w->model = test_model(&w->e, spec, 5);
    wf_param *head = wf_param_find(&w->model->params, "head.weight");
    assert_non_null(head);
    for (int64_t i = 0; i < head->count; i++) /* far apart, so that samples differ */
        head->value[i] *= 20.0f;
    assert_int_equal(wf_tokenizer_bytes(&w->e.env.mem, NULL, 0, &w->tok, NULL), WEFT_OK);
    for (size_t i = 0; i < PROMPTS; i++) {
        w->prompts[i] = (wf_prompt){w->ids[i], 1 + i * 17 % LONGEST, (int64_t)(1 + i * 7 % NEW)};
        for (size_t k = 0; k < LONGEST; k++)
            w->ids[i][k] = (uint32_t)((i * 31 + k * k * 7 + k) % 250);
    }
}

static void close_world(world *w) {
    wf_model_free(w->model);
    wf_tokenizer_free(w->tok);
    test_env_close(&w->e);
}

/* What came, in order. */
typedef struct heard {
    world *w;
    size_t n;
    wf_generation list[PROMPTS];
    weft_status last;
    size_t fail_at, stop_at; /* from this text on; 0: never */
} heard;

static weft_status hear(void *user, size_t index, wf_generation *g, weft_status status) {
    heard *h = user;
    assert_int_equal(index, h->n);
    assert_int_equal(h->last, WEFT_OK); /* nothing comes behind a failure */
    h->last = status;
    h->list[h->n++] = *g;
    *g = (wf_generation){.text = wf_str_new(&h->w->e.env.mem)};
    if (h->stop_at && h->n == h->stop_at)
        atomic_store(&h->w->stop, WEFT_INTERRUPTED);
    return status != WEFT_OK || !h->fail_at || h->n < h->fail_at ? status : WEFT_MISMATCH;
}

static heard run(world *w, const wf_generate_options *o, size_t n, weft_status expected, weft_error *err) {
    heard h = {.w = w};
    assert_int_equal(wf_generate_many(w->model, w->tok, &(wf_prompts){w->prompts, n}, o, hear, &h, err), expected);
    return h;
}

static void forget(world *w, heard *h) {
    for (size_t i = 0; i < h->n; i++)
        wf_generation_free(&w->e.env, &h->list[i]);
}

static void same(const many_case *c, int64_t places, size_t i, const wf_generation *got, const wf_generation *want) {
    bool same = got->tokens == want->tokens && got->finish == want->finish && got->slides == want->slides &&
                got->prompt_tokens == want->prompt_tokens && got->text.length == want->text.length &&
                memcmp(wf_str_text(&got->text), wf_str_text(&want->text), want->text.length) == 0;
    if (!same)
        fail_msg("%s, %lld places, text %zu: %lld tokens (%s, %lld slides) '%s', alone %lld (%s, %lld slides) '%s'", c->name,
                 (long long)places, i, (long long)got->tokens, wf_finish_name(got->finish), (long long)got->slides,
                 wf_str_text(&got->text), (long long)want->tokens, wf_finish_name(want->finish), (long long)want->slides,
                 wf_str_text(&want->text));
}

/* Every prompt alone, then all of them in 1 to 5 places, and in as many as there are prompts. Gives how often each way to end
 * came. */
static void compare(world *w, const many_case *c, wf_generate_options o, int64_t each, size_t ends[6]) {
    wf_generation alone[PROMPTS];
    for (size_t i = 0; i < PROMPTS; i++) {
        alone[i] = (wf_generation){.text = wf_str_new(&w->e.env.mem)};
        o.max_tokens = w->prompts[i].max_tokens;
        assert_int_equal(wf_generate(w->model, w->tok, w->ids[i], w->prompts[i].n, &o, &alone[i], NULL), WEFT_OK);
        ends[alone[i].finish]++;
    }
    for (int64_t places = 1; places <= 6; places++) {
        o.batch = (places < 6 ? places : PROMPTS) * each;
        heard h = run(w, &o, PROMPTS, WEFT_OK, NULL);
        assert_int_equal(h.n, PROMPTS);
        for (size_t i = 0; i < PROMPTS; i++)
            same(c, places, i, &h.list[i], &alone[i]);
        forget(w, &h);
    }
    for (size_t i = 0; i < PROMPTS; i++)
        wf_generation_free(&w->e.env, &alone[i]);
}

static wf_generate_options greedy(void) {
    wf_generate_options o = wf_generate_usual();
    o.sampling.temperature = 0;
    return o;
}

static void test_as_alone(void **state) {
    for (size_t k = 0; k < COUNT_OF(cases); k++) {
        world w;
        size_t ends[6] = {0};
        wf_generate_options o = greedy();
        open_world(&w, cases[k].spec, 2);
        int64_t each = w.model->encoder ? 1 + NEW + 48 : ALL; /* of a place: the longest text, and its source */
        compare(&w, &cases[k], o, each, ends);
        assert_int_equal(ends[WF_FINISH_LENGTH], PROMPTS);
        o = wf_generate_usual();
        o.sampling.seed = 7;
        o.sampling.repetition_penalty = 1.2;
        compare(&w, &cases[k], o, each, ends);
        close_world(&w);
    }
}

/* Texts that end early make room for others. */
static void test_ends(void **state) {
    static const char *const stop[] = {"a", "R", "~!"};
    int32_t eos[60];
    for (int32_t i = 0; i < 60; i++)
        eos[i] = 4 * i + 1;
    for (size_t k = 0; k < COUNT_OF(cases); k++) {
        world w;
        size_t ends[6] = {0};
        wf_generate_options o = wf_generate_usual();
        open_world(&w, cases[k].spec, 2);
        o.sampling.temperature = 1.5;
        o.sampling.seed = k;
        o.eos = eos;
        o.n_eos = 8;
        o.stop = stop;
        o.n_stop = COUNT_OF(stop);
        for (size_t i = 0; i < PROMPTS; i++)
            w.prompts[i].max_tokens = NEW;
        w.prompts[3].max_tokens = 0;
        compare(&w, &cases[k], o, w.model->encoder ? 1 + NEW + 48 : ALL, ends);
        o.n_eos = COUNT_OF(eos);
        compare(&w, &cases[k], o, w.model->encoder ? 1 + NEW + 48 : ALL, ends);
        assert_true(ends[WF_FINISH_EOS] > 3);
        close_world(&w);
    }
}

/* A context of 41 tokens, which prompts fill sooner or later: the end of the text, or the last half is read again. */
static void test_context(void **state) {
    for (size_t k = 0; k < COUNT_OF(cases); k++) {
        world w;
        size_t ends[6] = {0};
        wf_generate_options o = greedy();
        open_world(&w, cases[k].spec, 2);
        o.context = w.model->encoder ? 9 : LONGEST + 1;
        compare(&w, &cases[k], o, o.context + (w.model->encoder ? 48 : 0), ends);
        assert_true(ends[WF_FINISH_CONTEXT] > 0 && ends[WF_FINISH_LENGTH] > 0);
        memset(ends, 0, sizeof ends);
        o.context = 12;
        o.overflow = WF_OVERFLOW_SLIDE;
        compare(&w, &cases[k], o, o.context, ends);
        assert_int_equal(ends[WF_FINISH_LENGTH], PROMPTS);
        close_world(&w);
    }
}

/* No option says how many: all prompts, and none. */
static void test_usual(void **state) {
    world w;
    open_world(&w, growing, 3);
    wf_generate_options o = greedy();
    heard h = run(&w, &o, PROMPTS, WEFT_OK, NULL), nothing = run(&w, &o, 0, WEFT_OK, NULL);
    assert_int_equal(h.n, PROMPTS);
    assert_int_equal(nothing.n, 0);
    forget(&w, &h);
    close_world(&w);
}

/* One that cannot be written ends the run behind those in front of it. */
static void test_failures(void **state) {
    for (int64_t places = 1; places <= 5; places++)
        for (size_t k = 0; k < COUNT_OF(cases); k += COUNT_OF(cases) - 1) {
            world w;
            weft_error err = {0};
            open_world(&w, cases[k].spec, 2);
            wf_generate_options o = greedy();
            o.batch = places * (ALL + 48);
            w.ids[4][0] = 260;
            w.ids[7][0] = 261;
            heard h = run(&w, &o, PROMPTS, WEFT_BAD_INPUT, &err);
            assert_int_equal(h.n, 5);
            assert_int_equal(h.last, WEFT_BAD_INPUT);
            assert_non_null(strstr(err.message, "token 260"));
            assert_int_equal(h.list[3].tokens, w.prompts[3].max_tokens);
            forget(&w, &h);
            w.ids[4][0] = w.ids[7][0] = 1;
            o.overflow = WF_OVERFLOW_ERROR;
            o.context = w.model->encoder ? 9 : LONGEST + 1;
            h = run(&w, &o, PROMPTS, WEFT_FAILURE, &err);
            assert_int_equal(h.last, WEFT_FAILURE);
            assert_true(h.n > 1 && h.n < PROMPTS);
            assert_non_null(strstr(err.message, "is full"));
            forget(&w, &h);
            close_world(&w);
        }
}

static void test_stopped(void **state) {
    for (int64_t places = 1; places <= 5; places++) {
        world w;
        open_world(&w, growing, 2);
        wf_generate_options o = greedy();
        wf_prompts prompts = {w.prompts, PROMPTS};
        o.batch = places * ALL;
        heard h = {.w = &w, .fail_at = 3};
        assert_int_equal(wf_generate_many(w.model, w.tok, &prompts, &o, hear, &h, NULL), WEFT_MISMATCH);
        assert_int_equal(h.n, 3);
        forget(&w, &h);
        h = (heard){.w = &w, .stop_at = 3};
        assert_int_equal(wf_generate_many(w.model, w.tok, &prompts, &o, hear, &h, NULL), WEFT_INTERRUPTED);
        assert_true(h.n >= 3 && h.n < PROMPTS);
        assert_true(h.n == 3 || h.last == WEFT_INTERRUPTED);
        forget(&w, &h);
        close_world(&w);
    }
}

static void check_out_of_memory(const char *spec) {
    world w;
    fail_mem f = {0};
    wf_mem usual;
    open_world(&w, spec, 1);
    usual = w.e.env.mem;
    w.e.env.mem = fail_mem_hook(&f);
    while (fail_mem_next(&f)) {
        wf_generate_options o = wf_generate_usual();
        heard h = {.w = &w};
        o.batch = 3 * (ALL + 48);
        weft_status status = wf_generate_many(w.model, w.tok, &(wf_prompts){w.prompts, 5}, &o, hear, &h, NULL);
        assert_int_equal(status, f.fired ? WEFT_NO_MEMORY : WEFT_OK);
        forget(&w, &h);
        assert_int_equal(f.live, 0);
    }
    w.e.env.mem = usual;
    close_world(&w);
}

static void test_out_of_memory(void **state) {
    check_out_of_memory(growing);
    check_out_of_memory(seq2seq);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_alone),     cmocka_unit_test(test_ends),
                                       cmocka_unit_test(test_context),      cmocka_unit_test(test_usual),
                                       cmocka_unit_test(test_failures),     cmocka_unit_test(test_stopped),
                                       cmocka_unit_test(test_out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
