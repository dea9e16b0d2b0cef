/* Loops over the table of schedules: options, shapes at their corners, states that can be saved as bytes. */
#include "support/test.h"
#include <string.h>
#include "train/schedule.h"

static wf_json *parse(wf_arena *arena, const char *text) {
    wf_json *j;
    weft_error err = {0};
    if (wf_json_parse(arena, text, strlen(text), 0, &j, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    return j;
}

/* Options that every row can be read with. */
static wf_json *complete(wf_arena *arena, const char *name) {
    char text[256];
    const char *more = strstr(name, "min_lr")                     ? ",\"min_lr_rate\":0.1"
                       : strcmp(name, "warmup_stable_decay") == 0 ? ",\"num_decay_steps\":4"
                                                                  : "";
    snprintf(text, sizeof text, "{\"name\":\"%s\",\"warmup_steps\":3,\"total_steps\":20%s}", name, more);
    return parse(arena, text);
}

static wf_schedule read_row(wf_arena *arena, const char *name) {
    wf_schedule s;
    weft_error err = {0};
    if (wf_schedule_read(complete(arena, name), 1e-3, &s, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    return s;
}

static void test_range(void **state) {
    wf_arena arena;
    wf_arena_init(&arena, &wf_mem_default, 0);
    for (size_t r = 0; wf_schedules[r]; r++) {
        wf_schedule s = read_row(&arena, wf_schedules[r]->name);
        assert_true(s.row->at != NULL || (s.row->start && s.row->report));
        for (int64_t i = 0; i < 40; i++) {
            double m = wf_schedule_at(&s, i);
            assert_true(m >= 0 && (m <= 1 + 1e-12 || wf_schedule_reacts(&s)));
            wf_schedule_report(&s, 3.0 / (double)(i + 1));
        }
    }
    wf_arena_free(&arena);
}

static void test_no_schedule_is_constant(void **state) {
    wf_schedule s;
    assert_int_equal(wf_schedule_read(NULL, 0.5, &s, NULL), WEFT_OK);
    assert_true(wf_schedule_at(&s, 0) == 1 && wf_schedule_at(&s, 1000000) == 1);
}

/* No warm-up, and a warm-up as long as the run. */
static void test_corners(void **state) {
    static const char *const names[] = {"linear", "cosine", "cosine_with_restarts", "polynomial"};
    wf_arena arena;
    wf_arena_init(&arena, &wf_mem_default, 0);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char text[128];
        wf_schedule s;
        snprintf(text, sizeof text, "{\"name\":\"%s\",\"total_steps\":10}", names[i]);
        assert_int_equal(wf_schedule_read(parse(&arena, text), 1e-3, &s, NULL), WEFT_OK);
        assert_float_equal(wf_schedule_at(&s, 0), 1, 1e-12);
        assert_float_equal(wf_schedule_at(&s, 10), 0, 2e-4);
        snprintf(text, sizeof text, "{\"name\":\"%s\",\"warmup_steps\":10,\"total_steps\":10}", names[i]);
        assert_int_equal(wf_schedule_read(parse(&arena, text), 1e-3, &s, NULL), WEFT_OK);
        assert_float_equal(wf_schedule_at(&s, 0), 0, 1e-12);
        assert_float_equal(wf_schedule_at(&s, 5), 0.5, 1e-12);
        assert_true(wf_schedule_at(&s, 10) >= 0);
    }
    wf_arena_free(&arena);
}

/* A copy of the state goes on as the original does. */
static void test_state(void **state) {
    static const char *const names[] = {"{\"name\":\"reduce_lr_on_plateau\",\"patience\":1,\"cooldown\":2}",
                                        "{\"name\":\"greedy\",\"patience\":1,\"smooth\":true,\"window_size\":3,\"factor\":0.5,"
                                        "\"min_lr\":0.01,\"reset_start\":2}"};
    wf_arena arena;
    wf_arena_init(&arena, &wf_mem_default, 0);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        wf_schedule a, b;
        int changes = 0;
        assert_int_equal(wf_schedule_read(parse(&arena, names[i]), 0.1, &a, NULL), WEFT_OK);
        for (int k = 0; k < 17; k++)
            wf_schedule_report(&a, (k * 7) % 5);
        assert_int_equal(wf_schedule_read(parse(&arena, names[i]), 0.1, &b, NULL), WEFT_OK);
        memcpy(&b.state, &a.state, sizeof b.state);
        for (int k = 0; k < 60; k++) {
            double before = wf_schedule_at(&a, k);
            wf_schedule_report(&a, (k * 11) % 7);
            wf_schedule_report(&b, (k * 11) % 7);
            assert_true(wf_schedule_at(&a, k) == wf_schedule_at(&b, k));
            changes += wf_schedule_at(&a, k) != before;
        }
        assert_true(changes > 0);
    }
    wf_arena_free(&arena);
}

static void test_options_round_trip(void **state) {
    wf_arena arena;
    wf_arena_init(&arena, &wf_mem_default, 0);
    for (size_t r = 0; wf_schedules[r]; r++) {
        wf_schedule s = read_row(&arena, wf_schedules[r]->name), again;
        assert_int_equal(wf_schedule_read(wf_schedule_options(&s, &arena), 1e-3, &again, NULL), WEFT_OK);
        for (int64_t i = 0; i < 25; i++)
            assert_true(wf_schedule_at(&s, i) == wf_schedule_at(&again, i));
    }
    wf_arena_free(&arena);
}

static void test_bad_options(void **state) {
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"{}", "name"},
        {"{\"name\":\"cosin\"}", "did you mean \"cosine\""},
        {"{\"name\":\"cosine\"}", "total_steps"},
        {"{\"name\":\"cosine\",\"total_steps\":5,\"num_cycle\":1}", "did you mean \"num_cycles\""},
        {"{\"name\":\"cosine_with_min_lr\",\"total_steps\":5}", "min_lr_rate"},
        {"{\"name\":\"cosine_with_min_lr\",\"total_steps\":5,\"min_lr\":0.1,\"min_lr_rate\":0.1}", "one of"},
        {"{\"name\":\"warmup_stable_decay\",\"total_steps\":5}", "num_decay_steps"},
        {"{\"name\":\"warmup_stable_decay\",\"num_decay_steps\":5}", "num_stable_steps or total_steps"},
        {"{\"name\":\"polynomial\",\"total_steps\":5,\"lr_end\":1}", "below"},
        {"{\"name\":\"greedy\",\"factor\":1}", "factor"},
        {"{\"name\":\"greedy\",\"window_size\":100000}", "window_size"},
    };
    wf_arena arena;
    wf_arena_init(&arena, &wf_mem_default, 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        wf_schedule s;
        weft_error err = {0};
        assert_int_equal(wf_schedule_read(parse(&arena, cases[i].text), 1e-3, &s, &err), WEFT_USAGE);
        if (!strstr(err.message, cases[i].word))
            fail_msg("%s: %s", cases[i].text, err.message);
    }
    wf_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_range), cmocka_unit_test(test_no_schedule_is_constant), cmocka_unit_test(test_corners),
        cmocka_unit_test(test_state), cmocka_unit_test(test_options_round_trip),      cmocka_unit_test(test_bad_options)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
