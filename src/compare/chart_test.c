/* Ticks, widths, escaping, and the geometry of laid-out charts. */
#include "support/test.h"
#include "support/fail_mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "compare/chart.h"
#include "compare/chart_layout.h"

/* ---- ticks ---- */
static void test_ticks(void **state) {
    static const struct {
        wf_axis axis;
        double low, high;
        int target;
        const char *labels;
    } cases[] = {
        {{.scale = WF_LINEAR}, 0, 10, 5, "0 2 4 6 8 10"},
        {{.scale = WF_LINEAR}, 1.93, 2.41, 5, "2.0 2.1 2.2 2.3 2.4"},
        {{.scale = WF_LINEAR}, 2, 3.5, 6, "2.00 2.25 2.50 2.75 3.00 3.25 3.50"},
        {{.scale = WF_LINEAR}, -1, 1, 4, "-1.0 -0.5 0.0 0.5 1.0"},
        {{.unit = WF_COUNT}, 0, 2600000, 5, "0 1M 2M"},
        {{.unit = WF_SECONDS}, 0, 12, 6, "0 2 s 4 s 6 s 8 s 10 s 12 s"},
        {{.unit = WF_SECONDS}, 0, 600, 5, "0 2 min 4 min 6 min 8 min 10 min"},
        {{.scale = WF_LOG2, .unit = WF_BINARY}, 64, 16384, 12, "64 128 256 512 1k 2k 4k 8k 16k"},
        {{.scale = WF_LOG2, .unit = WF_BINARY}, 64, 16384, 5, "64 256 1k 4k 16k"},
        {{.scale = WF_LOG10, .unit = WF_BYTES}, 9000, 5e7, 6, "10 kB 100 kB 1 MB 10 MB"},
        {{.scale = WF_LOG10}, 0.4, 3, 6, "0.5 1 2"},
        {{.scale = WF_LOG10}, 1, 1e12, 5, "1 1000 1e+06 1e+09 1e+12"},
        {{.scale = WF_LOG10}, -1, 10, 5, ""},
        {{.scale = WF_LINEAR}, 5, 5, 5, ""},
        {{.scale = WF_LINEAR}, 0, INFINITY, 5, ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        wf_tick ticks[WF_MAX_TICKS];
        char joined[512] = "";
        int n = wf_ticks(&cases[i].axis, cases[i].low, cases[i].high, cases[i].target, ticks);
        for (int k = 0; k < n; k++) {
            strcat(joined, k ? " " : "");
            strcat(joined, ticks[k].label);
        }
        assert_string_equal(joined, cases[i].labels);
    }
}

/* Whatever is asked, ticks lie inside, rise, and are neither none nor many. */
static void test_ticks_everywhere(void **state) {
    for (int scale = WF_LINEAR; scale <= WF_LOG10; scale++)
        for (int unit = WF_PLAIN; unit <= WF_SECONDS; unit++)
            for (double low = 1e-6; low < 1e12; low *= 7.3)
                for (double ratio = 1.02; ratio < 1e6; ratio *= 3.1)
                    for (int target = 1; target < 14; target += 3) {
                        wf_axis axis = {.scale = (wf_scale)scale, .unit = (wf_unit)unit};
                        wf_tick ticks[WF_MAX_TICKS];
                        int n = wf_ticks(&axis, low, low * ratio, target, ticks);
                        assert_in_range(n, 0, WF_MAX_TICKS);
                        for (int k = 0; k < n; k++) {
                            assert_true(ticks[k].value >= low * (1 - 1e-6) && ticks[k].value <= low * ratio * (1 + 1e-6));
                            assert_true(k == 0 || ticks[k].value > ticks[k - 1].value);
                        }
                        if (target > 4 && scale != WF_LOG2)
                            assert_true(n >= 2);
                    }
}

/* ---- text ---- */
static void test_escape(void **state) {
    static const struct {
        const char *in, *out;
    } cases[] = {{"plain", "plain"},
                 {"<b>&\"'", "&lt;b&gt;&amp;&quot;&#39;"},
                 {"</script><svg onload=x>", "&lt;/script&gt;&lt;svg onload=x&gt;"},
                 {"caf\xC3\xA9 \xE2\x89\xA4", "caf\xC3\xA9 \xE2\x89\xA4"},
                 {"a\xFF"
                  "b\xC3",
                  "a\xEF\xBF\xBD"
                  "b\xEF\xBF\xBD"},
                 {"a\x01\x7F\n\tb", "a\xEF\xBF\xBD\xEF\xBF\xBD\n\tb"},
                 {"", ""}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        wf_str out = wf_str_new(&wf_mem_default);
        wf_html_escape(&out, cases[i].in);
        assert_string_equal(wf_str_text(&out), cases[i].out);
        wf_str_free(&out);
    }
}

static void test_width(void **state) {
    assert_true(wf_text_width("", 12) == 0);
    assert_true(wf_text_width("iiii", 12) < wf_text_width("mmmm", 12));
    assert_float_equal(wf_text_width("0123456789", 20), 2 * wf_text_width("0123456789", 10), 1e-9);
    assert_true(wf_text_width("\xE6\xB5\x81", 12) >= 12); /* a wide character */
    assert_true(wf_text_width("\xFF\xFE", 12) > 0);
}

/* ---- layout ---- */
enum { SERIES = 12, POINTS = 9 };

typedef struct sample {
    double x[SERIES][POINTS], y[SERIES][POINTS];
    char names[SERIES][24];
    wf_series series[SERIES];
} sample;

static void make_sample(sample *s, int crowd) {
    for (int i = 0; i < SERIES; i++) {
        snprintf(s->names[i], sizeof s->names[i], "architecture %d", i * i * i);
        for (int k = 0; k < POINTS; k++) {
            s->x[i][k] = 64 << k;
            s->y[i][k] = 1 + (crowd ? 0.001 * i : 1.5 * i * i) + 5.0 / (k + 1);
        }
        s->series[i] = (wf_series){.name = s->names[i], .style = i, .x = s->x[i], .y = s->y[i], .count = POINTS};
    }
}

static void check_layout(const wf_chart_layout *l) {
    double before = -1e9;
    assert_true(l->left > 0 && l->right > l->left + 60 && l->bottom > l->top + 60);
    assert_true(l->x_count >= 2 && l->y_count >= 2);
    for (int i = 0; i < l->x_count; i++) { /* x labels apart and inside */
        double half = wf_text_width(l->x_ticks[i].label, 12) / 2;
        assert_true(l->x_label[i] - half > before && l->x_label[i] - half >= 0 && l->x_label[i] + half <= l->width);
        before = l->x_label[i] + half;
    }
    for (int i = 1; i < l->y_count; i++)
        assert_true(fabs(wf_chart_y(l, l->y_ticks[i].value) - wf_chart_y(l, l->y_ticks[i - 1].value)) > 14);
    for (size_t i = 0; i < l->count; i++) { /* names inside, and apart from each other */
        const wf_chart_line *a = &l->lines[i];
        double width = wf_text_width(a->series->name, l->font);
        assert_true(a->label_x + width <= l->width + 0.5 && a->label_y > 0 && a->label_y + 6 <= l->height);
        for (size_t k = 0; k < i; k++) {
            const wf_chart_line *b = &l->lines[k];
            bool same_column = fabs(a->label_x - b->label_x) < 1;
            assert_true(!same_column || fabs(a->label_y - b->label_y) >= l->line_height - 0.01);
        }
    }
}

static void test_layout(void **state) {
    static const double widths[] = {358, 544, 1120};
    for (int crowd = 0; crowd < 2; crowd++)
        for (size_t w = 0; w < COUNT_OF(widths); w++)
            for (size_t n = 1; n <= SERIES; n++)
                for (int scale = WF_LINEAR; scale <= WF_LOG10; scale++) {
                    sample s;
                    wf_arena arena;
                    wf_chart_layout l;
                    make_sample(&s, crowd);
                    wf_arena_init(&arena, &wf_mem_default, 0);
                    wf_chart c = {.id = "c",
                                  .x = {.title = "x", .scale = (wf_scale)scale, .unit = WF_BINARY},
                                  .y = {.title = "y", .scale = (wf_scale)scale},
                                  .series = s.series,
                                  .count = n,
                                  .width = widths[w],
                                  .height = 320,
                                  .legend_below = widths[w] < 400};
                    assert_int_equal(wf_chart_lay_out(&c, &arena, &l, NULL), WEFT_OK);
                    check_layout(&l);
                    wf_arena_free(&arena);
                }
}

/* ---- drawing ---- */
static size_t count_of(const char *text, const char *word) {
    size_t n = 0;
    for (text = strstr(text, word); text; text = strstr(text + 1, word))
        n++;
    return n;
}

static void test_svg(void **state) {
    double x[] = {0, 1, 2, 3, 4}, y[] = {5, NAN, 3, INFINITY, 1};
    wf_series series[] = {{.name = "<a & \"b\">", .note = "ends at 2", .x = x, .y = y, .count = 5},
                          {.name = "none", .style = 1, .x = x, .y = y, .count = 0}};
    wf_chart c = {.id = "t",
                  .label = "<label>",
                  .x = {.title = "x"},
                  .y = {.title = "y"},
                  .series = series,
                  .count = 2,
                  .width = 544,
                  .height = 300,
                  .mark = 2,
                  .mark_label = "here"};
    wf_str out = wf_str_new(&wf_mem_default);
    assert_int_equal(wf_chart_svg(&c, &wf_mem_default, &out, NULL), WEFT_OK);
    const char *text = wf_str_text(&out);
    assert_non_null(strstr(text, "&lt;a &amp; &quot;b&quot;&gt;"));
    assert_null(strstr(text, "<a &"));
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
    assert_non_null(strstr(text, "ends at 2"));
    assert_non_null(strstr(text, ">here<"));
    assert_int_equal(count_of(text, "<svg"), count_of(text, "</svg>"));
    assert_int_equal(count_of(text, "<g"), count_of(text, "</g>"));
    wf_str_free(&out);
}

static void test_nothing_to_draw(void **state) {
    double x[] = {0, 1}, y[] = {NAN, -1};
    wf_series series = {.name = "a", .x = x, .y = y, .count = 2};
    wf_chart c = {.id = "empty",
                  .x = {.title = "x"},
                  .y = {.title = "y", .scale = WF_LOG10},
                  .series = &series,
                  .count = 1,
                  .width = 544,
                  .height = 300};
    wf_str out = wf_str_new(&wf_mem_default);
    weft_error err = {0};
    assert_int_equal(wf_chart_svg(&c, &wf_mem_default, &out, &err), WEFT_USAGE);
    assert_non_null(strstr(err.message, "empty"));
    assert_int_equal(out.length, 0);
    wf_str_free(&out);
}

/* One point, equal values, huge and tiny numbers: something sensible, never a NaN. */
static void test_degenerate(void **state) {
    static const double values[] = {0, 1, -3, 1e-30, 1e30};
    for (size_t i = 0; i < COUNT_OF(values); i++)
        for (int scale = WF_LINEAR; scale <= WF_LOG10; scale++) {
            double x[] = {1, 1, 2}, y[] = {values[i], values[i], values[i]};
            for (size_t n = 1; n <= 3; n += 2) {
                wf_series series = {.name = "a", .x = x, .y = y, .count = n};
                wf_chart c = {.id = "d",
                              .x = {.title = "x"},
                              .y = {.title = "y", .scale = (wf_scale)scale},
                              .series = &series,
                              .count = 1,
                              .width = 358,
                              .height = 300};
                wf_str out = wf_str_new(&wf_mem_default);
                weft_status status = wf_chart_svg(&c, &wf_mem_default, &out, NULL);
                assert_true(status == WEFT_OK || (scale != WF_LINEAR && values[i] <= 0));
                assert_null(strstr(wf_str_text(&out), "nan"));
                assert_null(strstr(wf_str_text(&out), "inf"));
                wf_str_free(&out);
            }
        }
}

static void test_long_series_are_averaged(void **state) {
    enum { MANY = 5000 };
    double *x = malloc(MANY * sizeof *x), *y = malloc(MANY * sizeof *y);
    for (int i = 0; i < MANY; i++) {
        x[i] = i;
        y[i] = i % 2;
    }
    wf_series series = {.name = "a", .x = x, .y = y, .count = MANY};
    wf_chart c = {.id = "m",
                  .x = {.title = "x"},
                  .y = {.title = "y"},
                  .series = &series,
                  .count = 1,
                  .width = 544,
                  .height = 300,
                  .most_points = 50};
    wf_arena arena;
    wf_chart_layout l;
    wf_arena_init(&arena, &wf_mem_default, 0);
    assert_int_equal(wf_chart_lay_out(&c, &arena, &l, NULL), WEFT_OK);
    assert_int_equal(l.lines[0].count, 50);
    assert_float_equal(l.lines[0].value[7], 0.5, 0.01);
    wf_arena_free(&arena);
    free(x);
    free(y);
}

static void test_memory(void **state) {
    sample s;
    fail_mem f = {0};
    make_sample(&s, 0);
    while (fail_mem_next(&f)) {
        wf_mem mem = fail_mem_hook(&f);
        wf_str out = wf_str_new(&mem);
        wf_chart c = {
            .id = "c", .x = {.title = "x"}, .y = {.title = "y"}, .series = s.series, .count = 3, .width = 544, .height = 320};
        weft_status status = wf_chart_svg(&c, &mem, &out, NULL);
        assert_int_equal(status, f.fired ? WEFT_NO_MEMORY : WEFT_OK);
        wf_str_free(&out);
        assert_int_equal(f.live, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ticks),
                                       cmocka_unit_test(test_ticks_everywhere),
                                       cmocka_unit_test(test_escape),
                                       cmocka_unit_test(test_width),
                                       cmocka_unit_test(test_layout),
                                       cmocka_unit_test(test_svg),
                                       cmocka_unit_test(test_nothing_to_draw),
                                       cmocka_unit_test(test_degenerate),
                                       cmocka_unit_test(test_long_series_are_averaged),
                                       cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
