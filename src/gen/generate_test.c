/* Generation against a plain loop over a session, and the ways a text can end. Random weights: the tokens are bytes, most of
 * them no characters, which is what the pieces must cope with. */
#include "support/test.h"
#include "support/fail_mem.h"
#include <string.h>
#include "base/json.h"
#include "gen/generate.h"

static const char *const learned =
    "{\"format\": 1, \"dim\": 32, \"layers\": 2, \"vocab\": 260, \"context\": 24, \"stem\": {\"positions\": "
    "{\"kind\": \"learned\"}}, \"block\": {\"mixer\": {\"mixer\": \"attention\", \"heads\": 4, \"causal\": true}, "
    "\"channel\": {\"mixer\": \"mlp\", \"hidden\": 48}}, \"head\": {\"tied\": true}}";

typedef struct world {
    wf_env env;
    wf_kernels kernels;
    atomic_int stop;
    wf_model *model;
    wf_tokenizer *tok;
} world;

static void open_world(world *w, const wf_mem *mem, int threads) {
    wf_arena arena;
    wf_json *spec;
    memset(w, 0, sizeof *w);
    w->env.mem = *mem;
    assert_int_equal(wf_kernels_choose(NULL, &w->kernels, NULL), WEFT_OK);
    w->env.kernels = &w->kernels;
    w->env.stop = &w->stop;
    assert_int_equal(wf_pool_create(mem, threads, &w->env.pool, NULL), WEFT_OK);
    wf_arena_init(&arena, mem, 0);
    assert_int_equal(wf_json_parse(&arena, learned, strlen(learned), 0, &spec, NULL), WEFT_OK);
    assert_int_equal(wf_model_create(&w->env, spec, &w->model, NULL), WEFT_OK);
    assert_int_equal(wf_params_allocate(&w->model->params, NULL), WEFT_OK);
    wf_params_init(&w->model->params, 3);
    for (int64_t i = 0; i < w->model->token->count; i++) /* far apart, so that samples differ */
        w->model->token->value[i] *= 20.0f;
    wf_arena_free(&arena);
    assert_int_equal(wf_tokenizer_bytes(&w->env.mem, NULL, 0, &w->tok, NULL), WEFT_OK);
}

static void close_world(world *w) {
    wf_model_free(w->model);
    wf_tokenizer_free(w->tok);
    wf_pool_free(w->env.pool);
}

static const uint32_t prompt[] = {72, 101, 108, 108, 111};

/* What came in pieces, each checked to be whole characters. */
typedef struct pieces {
    char text[8192];
    size_t length, calls, most;
} pieces;

static int take_piece(void *user, const char *text, size_t length) {
    pieces *p = user;
    for (size_t i = 0; i < length;) {
        int n = wf_utf8_length(text + i, length - i);
        assert_true(n > 0);
        i += (size_t)n;
    }
    memcpy(p->text + p->length, text, length);
    p->length += length;
    return ++p->calls == p->most;
}

static wf_generation run(world *w, wf_generate_options o, weft_status expected) {
    wf_generation g = {.text = wf_str_new(&w->env.mem)};
    pieces p = {.length = 0};
    weft_error err = {0};
    o.piece = take_piece;
    o.user = &p;
    assert_int_equal(wf_generate(w->model, w->tok, prompt, COUNT_OF(prompt), &o, &g, &err), expected);
    assert_int_equal(p.length, g.text.length);
    assert_memory_equal(p.text, wf_str_text(&g.text), p.length);
    return g;
}

static wf_generate_options sampled(int64_t tokens) {
    wf_generate_options o = wf_generate_usual();
    o.sampling.seed = 11;
    o.max_tokens = tokens;
    return o;
}

static void test_equals_a_plain_loop(void **state) {
    world w;
    wf_session *s;
    const float *logits;
    int32_t ids[24];
    open_world(&w, &wf_mem_default, 2);
    wf_str want = wf_str_new(&wf_mem_default);
    wf_generate_options o = sampled(12);
    o.sampling.temperature = 0;
    assert_int_equal(wf_session_create(w.model, 1, 24, &s, NULL), WEFT_OK);
    for (size_t i = 0; i < COUNT_OF(prompt); i++)
        ids[i] = (int32_t)prompt[i];
    assert_int_equal(wf_session_feed(s, ids, COUNT_OF(prompt), &logits, NULL), WEFT_OK);
    uint32_t written[12];
    for (int i = 0; i < 12; i++) {
        int32_t best = 0;
        for (int32_t j = 1; j < 260; j++)
            best = logits[j] > logits[best] ? j : best;
        written[i] = (uint32_t)best;
        assert_int_equal(wf_session_feed(s, &best, 1, &logits, NULL), WEFT_OK);
    }
    const unsigned how = WF_DECODE_SKIP_SPECIALS | WF_DECODE_TEXT;
    assert_int_equal(wf_tokenizer_decode(w.tok, written, COUNT_OF(written), how, &want, NULL), WEFT_OK);
    wf_generation g = run(&w, o, WEFT_OK);
    assert_int_equal(g.tokens, 12);
    assert_int_equal(g.prompt_tokens, 5);
    assert_int_equal(g.finish, WF_FINISH_LENGTH);
    assert_string_equal(wf_str_text(&g.text), wf_str_text(&want));
    wf_str_free(&want);
    wf_str_free(&g.text);
    wf_session_free(s);
    close_world(&w);
}

static void test_same_text_for_every_thread_count(void **state) {
    wf_str first = wf_str_new(&wf_mem_default);
    for (int threads = 1; threads <= 4; threads++) {
        world w;
        open_world(&w, &wf_mem_default, threads);
        wf_generation g = run(&w, sampled(19), WEFT_OK);
        if (threads == 1)
            wf_str_puts(&first, wf_str_text(&g.text));
        else
            assert_string_equal(wf_str_text(&first), wf_str_text(&g.text));
        wf_str_free(&g.text);
        close_world(&w);
    }
    wf_str_free(&first);
}

static void test_stop_strings(void **state) {
    world w;
    open_world(&w, &wf_mem_default, 2);
    wf_generation whole = run(&w, sampled(19), WEFT_OK);
    size_t n = whole.text.length;
    assert_true(n > 8);
    /* Every cut of the text at a character: the stop string is what follows. */
    for (size_t at = 0; at + 3 < n; at++) {
        char stop[8] = {0};
        int step = wf_utf8_length(whole.text.data + at, n - at);
        if (step == 0)
            continue;
        memcpy(stop, whole.text.data + at, (size_t)step);
        const char *list[] = {"never there", stop};
        wf_generate_options o = sampled(19);
        o.stop = list;
        o.n_stop = 2;
        wf_generation g = run(&w, o, WEFT_OK);
        assert_int_equal(g.finish, WF_FINISH_STOP);
        size_t found = (size_t)(strstr(whole.text.data, stop) - whole.text.data);
        assert_int_equal(g.text.length, found);
        assert_memory_equal(g.text.data ? g.text.data : "", whole.text.data, found);
        wf_str_free(&g.text);
    }
    /* A stop string that only begins in the text is not lost. */
    char half[16] = {0};
    memcpy(half, whole.text.data + n - 3, 3);
    strcat(half, "zz");
    const char *list[] = {half};
    wf_generate_options o = sampled(19);
    o.stop = list;
    o.n_stop = 1;
    wf_generation g = run(&w, o, WEFT_OK);
    assert_string_equal(wf_str_text(&g.text), wf_str_text(&whole.text));
    wf_str_free(&g.text);
    wf_str_free(&whole.text);
    close_world(&w);
}

/* One that stays: the text ends behind it. */
static void test_stops_that_stay(void **state) {
    world w;
    open_world(&w, &wf_mem_default, 2);
    wf_generation whole = run(&w, sampled(19), WEFT_OK);
    size_t n = whole.text.length;
    for (size_t at = 0; at < n; at++) {
        char stop[8] = {0};
        int step = wf_utf8_length(whole.text.data + at, n - at);
        if (step == 0 || memcmp(whole.text.data + at, "\xEF\xBF\xBD", 3) == 0)
            continue;
        memcpy(stop, whole.text.data + at, (size_t)step);
        wf_generate_options o = sampled(19);
        o.stops = (wf_stops){&w.env.mem, w.tok, stop, 1};
        wf_generation g = run(&w, o, WEFT_OK);
        assert_int_equal(g.finish, WF_FINISH_STOP);
        size_t end = (size_t)(strstr(whole.text.data, stop) - whole.text.data) + (size_t)step;
        assert_int_equal(g.text.length, end);
        assert_memory_equal(g.text.data, whole.text.data, end);
        wf_str_free(&g.text);
    }
    wf_str_free(&whole.text);
    close_world(&w);
}

static void test_end_of_the_context(void **state) {
    world w;
    open_world(&w, &wf_mem_default, 2);
    assert_int_equal(wf_context_end(w.model), 24);
    wf_generation g = run(&w, sampled(100), WEFT_OK);
    assert_int_equal(g.finish, WF_FINISH_CONTEXT);
    assert_int_equal(g.tokens, 24 - 5 + 1); /* the last one is chosen, not fed */
    wf_generate_options o = sampled(100);
    o.overflow = WF_OVERFLOW_SLIDE;
    wf_generation slid = run(&w, o, WEFT_OK);
    assert_int_equal(slid.tokens, 100);
    assert_int_equal(slid.finish, WF_FINISH_LENGTH);
    assert_true(slid.slides >= 5);
    o.context = 3; /* shorter than the prompt */
    wf_generation tiny = run(&w, o, WEFT_OK);
    assert_int_equal(tiny.tokens, 100);
    o.overflow = WF_OVERFLOW_ERROR;
    o.context = 0;
    wf_generation failed = run(&w, o, WEFT_FAILURE);
    o.context = 25;
    wf_generation too_long = run(&w, o, WEFT_USAGE);
    o.context = 4;
    wf_generation too_short = run(&w, o, WEFT_USAGE);
    wf_str_free(&g.text);
    wf_str_free(&slid.text);
    wf_str_free(&tiny.text);
    wf_str_free(&failed.text);
    wf_str_free(&too_long.text);
    wf_str_free(&too_short.text);
    close_world(&w);
}

static void test_ends(void **state) {
    world w;
    open_world(&w, &wf_mem_default, 1);
    wf_generate_options o = sampled(19);
    int32_t every[260];
    for (int32_t i = 0; i < 260; i++)
        every[i] = i;
    o.eos = every;
    o.n_eos = 260;
    wf_generation g = run(&w, o, WEFT_OK);
    assert_int_equal(g.finish, WF_FINISH_EOS);
    assert_int_equal(g.tokens, 1);
    assert_int_equal(g.text.length, 0);
    wf_generation none = run(&w, sampled(0), WEFT_OK);
    assert_int_equal(none.tokens, 0);
    atomic_store(&w.stop, WEFT_INTERRUPTED);
    wf_generation stopped = run(&w, sampled(19), WEFT_INTERRUPTED);
    atomic_store(&w.stop, 0);
    wf_generation caller = {.text = wf_str_new(&w.env.mem)};
    pieces p = {.most = 3};
    o = sampled(19);
    o.piece = take_piece;
    o.user = &p;
    assert_int_equal(wf_generate(w.model, w.tok, prompt, COUNT_OF(prompt), &o, &caller, NULL), WEFT_OK);
    assert_int_equal(caller.finish, WF_FINISH_CALLER);
    assert_int_equal(p.calls, 3);
    wf_str_free(&g.text);
    wf_str_free(&none.text);
    wf_str_free(&stopped.text);
    wf_str_free(&caller.text);
    close_world(&w);
}

static void test_bad_requests(void **state) {
    world w;
    weft_error err = {0};
    open_world(&w, &wf_mem_default, 1);
    wf_generate_options o = sampled(4);
    wf_generation g = {.text = wf_str_new(&w.env.mem)};
    assert_int_equal(wf_generate(w.model, w.tok, prompt, 0, &o, &g, &err), WEFT_USAGE);
    const uint32_t foreign[] = {260};
    assert_int_equal(wf_generate(w.model, w.tok, foreign, 1, &o, &g, &err), WEFT_BAD_INPUT);
    o.sampling.top_p = 0;
    assert_int_equal(wf_generate(w.model, w.tok, prompt, 2, &o, &g, &err), WEFT_USAGE);
    o = sampled(-1);
    assert_int_equal(wf_generate(w.model, w.tok, prompt, 2, &o, &g, &err), WEFT_USAGE);
    wf_str_free(&g.text);
    close_world(&w);
}

/* Beams: every text that is given back, nothing else is followed beside. */
static void test_beams(void **state) {
    world w;
    open_world(&w, &wf_mem_default, 2);
    wf_generate_options o = sampled(12);
    o.sampling.temperature = 0;
    o.beams = (wf_beams){.beams = 3, .returned = 2, .length_penalty = 1.0};
    wf_generation g = run(&w, o, WEFT_OK);
    assert_int_equal(g.n_texts, 2);
    assert_int_equal(g.tokens, 12);
    assert_int_equal(g.finish, WF_FINISH_LENGTH);
    assert_true(g.texts[0].score > g.texts[1].score);
    assert_int_equal(g.text.length, g.texts[0].text.length + 1 + g.texts[1].text.length);
    wf_generation_free(&w.env, &g);
    o.max_tokens = 40; /* the context has 24 */
    g = run(&w, o, WEFT_OK);
    assert_int_equal(g.tokens, 24 - (int64_t)COUNT_OF(prompt) + 1);
    assert_int_equal(g.finish, WF_FINISH_CONTEXT);
    wf_generation_free(&w.env, &g);
    o.overflow = WF_OVERFLOW_SLIDE;
    g = run(&w, o, WEFT_UNSUPPORTED);
    wf_generation_free(&w.env, &g);
    o = sampled(4);
    o.beams.beams = 2; /* and a temperature */
    g = run(&w, o, WEFT_UNSUPPORTED);
    wf_generation_free(&w.env, &g);
    close_world(&w);
}

static void check_out_of_memory(const wf_generate_options *o) {
    world w;
    fail_mem f = {0};
    wf_mem hook = fail_mem_hook(&f);
    open_world(&w, &hook, 1);
    long live = f.live;
    while (fail_mem_next(&f)) {
        wf_generation g = {.text = wf_str_new(&w.env.mem)};
        weft_status status = wf_generate(w.model, w.tok, prompt, COUNT_OF(prompt), o, &g, NULL);
        assert_int_equal(status, f.fired ? WEFT_NO_MEMORY : WEFT_OK);
        wf_generation_free(&w.env, &g);
        assert_int_equal(f.live, live);
    }
    close_world(&w);
    assert_int_equal(f.live, 0);
}

static void test_out_of_memory(void **state) {
    wf_generate_options o = sampled(6);
    check_out_of_memory(&o);
    o.sampling.temperature = 0;
    o.beams.beams = o.beams.returned = 2;
    check_out_of_memory(&o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_a_plain_loop), cmocka_unit_test(test_same_text_for_every_thread_count),
        cmocka_unit_test(test_stop_strings),        cmocka_unit_test(test_stops_that_stay),
        cmocka_unit_test(test_end_of_the_context),  cmocka_unit_test(test_ends),
        cmocka_unit_test(test_bad_requests),        cmocka_unit_test(test_beams),
        cmocka_unit_test(test_out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
