#include "apply/spans.h"
#include <math.h>
#include "support/test.h"

/* [CLS] q [SEP] a b ##c d: rows 3 to 6 are the context, rows 4 and 5 one word. */
static const wf_span_token tokens[] = {{0, 0, -1, false}, {0, 1, 0, false}, {0, 0, -1, false}, {0, 1, 0, true},
                                       {2, 3, 1, true},   {3, 4, 1, true},  {5, 6, 2, true}};
enum { N = sizeof tokens / sizeof *tokens };

static size_t run(const float *logits, wf_span_options how, wf_answer *out) {
    wf_span_window window = {logits, tokens, N, 0};
    size_t count = 0;
    float no_answer = 1.0f;
    assert_int_equal(wf_spans_add(&wf_mem_default, &how, &window, out, &count, &no_answer, NULL), WEFT_OK);
    wf_spans_end(&how, out, &count, no_answer);
    return count;
}

static void test_best(void **state) {
    /* The question's own rows have the largest logits and must not win; the best end (row 3) stands before the best start. */
    const float logits[2 * N] = {0, 0, 9, 9, 9, 9, 0, 5, 0, 0, 4, 2, 0, 3};
    wf_answer out[3];
    assert_int_equal(run(logits, (wf_span_options){.longest = 15, .top = 2}, out), 2);
    assert_int_equal(out[0].start, 2); /* the whole word of row 5 */
    assert_int_equal(out[0].end, 6);
    double start = 4 + exp(4), end = 2 + exp(5) + exp(2) + exp(3); /* rows that count: 0, 3 .. 6 */
    assert_true(fabs((double)out[0].score - exp(4) / start * exp(3) / end) < 1e-6);
    assert_int_equal(out[1].start, 2);
    assert_int_equal(out[1].end, 4);
    assert_int_equal(run(logits, (wf_span_options){.longest = 1, .top = 1}, out), 1);
    assert_int_equal(out[0].end, 4);
}

static void test_none(void **state) {
    const float logits[2 * N] = {7, 7, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0};
    wf_answer out[3];
    assert_int_equal(run(logits, (wf_span_options){.longest = 15, .top = 1, .may_fail = true}, out), 1);
    assert_true(out[0].none && out[0].score > 0.9f);
    assert_int_equal(run(logits, (wf_span_options){.longest = 15, .top = 1}, out), 1);
    assert_false(out[0].none);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_best), cmocka_unit_test(test_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
