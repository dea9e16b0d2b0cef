#include "apply/tags.h"
#include <stdio.h>
#include <string.h>
#include "support/test.h"

static const char *const labels[] = {"O", "B-PER", "I-PER", "LOC"};
/* "Anna" "Lee" "##son" "in" "Paris" "Rome", the probabilities of four classes each. */
static const float scores[6][4] = {{.1f, .8f, .1f, 0}, {.2f, .1f, .7f, 0}, {.5f, 0, .1f, .4f},
                                   {.9f, .1f, 0, 0},   {.1f, 0, .1f, .8f}, {.3f, 0, .1f, .6f}};
static const wf_tag_token tokens[] = {{scores[0], 0, 4, 1, false},   {scores[1], 5, 8, 2, false},
                                      {scores[2], 8, 11, 3, true},   {scores[3], 12, 14, 4, false},
                                      {scores[4], 15, 20, 5, false}, {scores[5], 21, 25, 6, false}};

static void check(wf_tag_merging how, const char *expected) {
    wf_arena arena;
    wf_entities all;
    size_t n = 0;
    char text[512] = "";
    wf_arena_init(&arena, &wf_mem_default, 0);
    assert_int_equal(wf_tags_merge(how, &(wf_tag_classes){labels, 4}, tokens, COUNT_OF(tokens), &arena, &all, NULL), WEFT_OK);
    for (size_t i = 0; i < all.count; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s %u-%u %.3f;", all.list[i].label, (unsigned)all.list[i].start,
                              (unsigned)all.list[i].end, (double)all.list[i].score);
    assert_string_equal(text, expected);
    wf_arena_free(&arena);
}

static void test_merging(void **state) {
    check(WF_TAGS_NONE, "B-PER 0-4 0.800;I-PER 5-8 0.700;O 8-11 0.500;O 12-14 0.900;LOC 15-20 0.800;LOC 21-25 0.600;");
    check(WF_TAGS_SIMPLE, "PER 0-8 0.750;O 8-14 0.700;LOC 15-25 0.700;");
    check(WF_TAGS_FIRST, "PER 0-11 0.750;O 12-14 0.900;LOC 15-25 0.700;");
    check(WF_TAGS_AVERAGE, "PER 0-11 0.600;O 12-14 0.900;LOC 15-25 0.700;");
    check(WF_TAGS_MAX, "PER 0-11 0.750;O 12-14 0.900;LOC 15-25 0.700;");
}

/* The longest of those that overlap stays. */
static void test_joining(void **state) {
    wf_entity list[] = {
        {"A", .5f, 8, 12, 0}, {"A", .9f, 0, 3, 0}, {"B", .6f, 8, 15, 0}, {"C", .7f, 20, 22, 0}, {"C", .8f, 20, 22, 1}};
    wf_entities all = {list, COUNT_OF(list)};
    wf_tags_join(&all);
    assert_int_equal(all.count, 3);
    assert_int_equal(list[0].end, 3);
    assert_string_equal(list[1].label, "B");
    assert_true(list[2].score > .75f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_merging), cmocka_unit_test(test_joining)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
