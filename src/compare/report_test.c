/* The page and the table from the sample run: what must be there, ties, partial runs, hostile text, memory. Writes report.html
 * (and report-partial.html) into the build folder for the browser test. */
#include "support/test.h"
#include "support/fail_mem.h"
#include <math.h>
#include <string.h>
#include "base/reader.h"
#include "compare/report.h"
#include "compare/summary.h"

typedef struct page {
    wf_arena arena;
    wf_json *run;
    wf_str out;
} page;

static void open_page(page *p) {
    weft_error err = {0};
    wf_arena_init(&p->arena, &wf_mem_default, 0);
    p->out = wf_str_new(&wf_mem_default);
    if (wf_json_parse_file(&p->arena, WEFT_SOURCE_DIR "/tests/fixtures/compare/run.json", &p->run, &err) != WEFT_OK)
        fail_msg("%s", err.message);
}

static void close_page(page *p) {
    wf_str_free(&p->out);
    wf_arena_free(&p->arena);
}

static void render(page *p) {
    weft_error err = {0};
    wf_str_clear(&p->out);
    if (wf_report_html(&wf_mem_default, p->run, &p->out, &err) != WEFT_OK)
        fail_msg("%s", err.message);
}

static void must_hold(const page *p, const char *word) {
    if (!strstr(wf_str_text(&p->out), word))
        fail_msg("the page lacks: %s", word);
}

static void put_text(page *p, wf_json *object, const char *key, const char *text) {
    wf_json_put(&p->arena, object, key, wf_json_new_string(&p->arena, text, strlen(text)));
}

static wf_json *model(page *p, const char *name) {
    for (wf_json *m = wf_json_get(p->run, "models")->child; m; m = m->next)
        if (wf_json_is_string(wf_json_get(m, "name"), name))
            return m;
    return NULL;
}

static size_t count_of(const char *text, const char *word) {
    size_t n = 0;
    for (text = strstr(text, word); text; text = strstr(text + 1, word))
        n++;
    return n;
}

static void test_page(void **state) {
    static const char *const words[] = {"hybrid and mamba tie for the best loss",
                                        "id=\"loss-time\"",
                                        "id=\"loss-steps\"",
                                        "id=\"loss-flops\"",
                                        "id=\"gradient-norm\"",
                                        "id=\"loss-position\"",
                                        "id=\"decode-speed\"",
                                        "id=\"state-size\"",
                                        "trained length 256",
                                        "Not defined where positions end: gpt2 (256).",
                                        "ends at 256",
                                        "1.2 passes",
                                        "weft compare --models lstm,gpt2",
                                        "xxh3:9f1c03b2a7d4e655",
                                        "oneDNN 2.6.3",
                                        "12 s of training each",
                                        "Fastest decoding at 16k tokens",
                                        "prefers-color-scheme:dark",
                                        "/* &lt;a &amp; b&gt; */",
                                        "Tokens used",
                                        "</html>"};
    page p;
    open_page(&p);
    render(&p);
    for (size_t i = 0; i < COUNT_OF(words); i++)
        must_hold(&p, words[i]);
    const char *text = wf_str_text(&p.out);
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "http")); /* nothing to fetch */
    assert_null(strstr(text, "nan"));
    static const char *const pairs[][2] = {
        {"<svg", "</svg>"}, {"<figure", "</figure>"}, {"<section", "</section>"}, {"<div", "</div>"}, {"<tr>", "</tr>"}};
    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        assert_int_equal(count_of(text, pairs[i][0]), count_of(text, pairs[i][1]));
    assert_int_equal(wf_write_file(&wf_mem_default, WEFT_BINARY_DIR "/report.html", p.out.data, p.out.length, NULL), WEFT_OK);
    close_page(&p);
}

/* A run stopped early: one model half done, one not begun. */
static void test_partial(void **state) {
    page p;
    open_page(&p);
    wf_json *hybrid = model(&p, "hybrid"), *mamba = model(&p, "mamba");
    put_text(&p, p.run, "status", "interrupted");
    put_text(&p, p.run, "note", "Stopped by Ctrl-C; weft compare --resume goes on.");
    put_text(&p, mamba, "status", "interrupted");
    put_text(&p, hybrid, "status", "not started");
    static const char *const gone[] = {"runs", "curve",   "decode", "positions", "gradient_norm", "samples",
                                       "lr",   "lr_grid", "steps",  "tokens",    "passes",        "peak_memory_bytes"};
    for (size_t i = 0; i < COUNT_OF(gone); i++)
        wf_json_put(&p.arena, hybrid, gone[i], wf_json_new(&p.arena, WF_JSON_NULL));
    wf_json_put(&p.arena, mamba, "decode", wf_json_new(&p.arena, WF_JSON_NULL));
    render(&p);
    must_hold(&p, "Partial results.");
    must_hold(&p, "Stopped by Ctrl-C");
    must_hold(&p, "mamba leads on this text so far");
    must_hold(&p, "not started");
    assert_int_equal(wf_write_file(&wf_mem_default, WEFT_BINARY_DIR "/report-partial.html", p.out.data, p.out.length, NULL),
                     WEFT_OK);
    close_page(&p);
}

static void test_nearly_empty(void **state) {
    static const char *const runs[] = {"{\"format\":\"weft-run\",\"models\":[]}",
                                       "{\"format\":\"weft-run\",\"status\":\"running\",\"models\":[{\"name\":\"a\"},{}]}",
                                       ("{\"format\":\"weft-run\",\"models\":[{\"name\":\"a\",\"runs\":3,"
                                        "\"curve\":[],\"decode\":{\"context\":[1,2]},\"samples\":{}}]}")};
    for (size_t i = 0; i < COUNT_OF(runs); i++) {
        page p = {.out = wf_str_new(&wf_mem_default)};
        wf_arena_init(&p.arena, &wf_mem_default, 0);
        assert_int_equal(wf_json_parse(&p.arena, runs[i], strlen(runs[i]), 0, &p.run, NULL), WEFT_OK);
        render(&p);
        must_hold(&p, "No model has been evaluated yet");
        wf_str_clear(&p.out);
        assert_int_equal(wf_report_table(&wf_mem_default, p.run, 80, false, &p.out, NULL), WEFT_OK);
        close_page(&p);
    }
}

static void test_refused(void **state) {
    static const char *const runs[] = {"{}", "[]", "{\"format\":\"weft-run\"}", "{\"format\":\"weft-run\",\"models\":{}}",
                                       "{\"format\":\"run\",\"models\":[]}"};
    for (size_t i = 0; i < COUNT_OF(runs); i++) {
        page p = {.out = wf_str_new(&wf_mem_default)};
        weft_error err = {0};
        wf_arena_init(&p.arena, &wf_mem_default, 0);
        assert_int_equal(wf_json_parse(&p.arena, runs[i], strlen(runs[i]), 0, &p.run, NULL), WEFT_OK);
        assert_int_equal(wf_report_html(&wf_mem_default, p.run, &p.out, &err), WEFT_BAD_INPUT);
        assert_true(strlen(err.message) > 0);
        close_page(&p);
    }
}

/* Every text of the document is escaped. */
static void test_hostile_text(void **state) {
    static const char evil[] = "\"><script>alert('x')</script>";
    page p;
    open_page(&p);
    put_text(&p, p.run, "command", evil);
    put_text(&p, p.run, "note", evil);
    put_text(&p, p.run, "created", evil);
    put_text(&p, wf_json_get(p.run, "text") ? p.run->child : p.run, "x", evil);
    for (wf_json *m = wf_json_get(p.run, "models")->child; m; m = m->next) {
        put_text(&p, m, "name", evil);
        put_text(&p, m, "pattern", evil);
        put_text(&p, m, "status", evil);
        put_text(&p, m, "note", evil);
        for (wf_json *s = wf_json_get(m, "samples")->child; s; s = s->next) {
            put_text(&p, s, "prompt", evil);
            put_text(&p, s, "text", evil);
        }
    }
    render(&p);
    assert_null(strstr(wf_str_text(&p.out), "<script"));
    close_page(&p);
}

/* ---- who won ---- */
static void test_ties(void **state) {
    page p;
    wf_run_summary s;
    open_page(&p);
    assert_int_equal(wf_summarise(&p.arena, p.run, &s, NULL), WEFT_OK);
    const wf_criterion *loss = &s.criteria[WF_BY_LOSS];
    assert_int_equal(loss->tie_count, 2);
    assert_string_equal(s.models[loss->ties[0]].name, "hybrid");
    assert_string_equal(s.models[loss->ties[1]].name, "mamba");
    assert_string_equal(s.models[loss->next].name, "llama");
    assert_string_equal(s.models[s.criteria[WF_BY_MEMORY].best].name, "lstm");
    assert_true(s.longest == 16384 && s.seeds == 3);
    int order[16];
    wf_by_loss(&s, order);
    for (int i = 1; i < s.count; i++)
        assert_true(s.models[order[i - 1]].loss.mean <= s.models[order[i]].loss.mean);
    close_page(&p);
}

/* With one seed there is no noise to tie by. */
static void test_one_seed(void **state) {
    static const char run[] =
        "{\"format\":\"weft-run\",\"models\":["
        "{\"name\":\"a\",\"runs\":[{\"validation_bits_per_byte\":2.0,\"train_tokens_per_second\":1000}]},"
        "{\"name\":\"b\",\"runs\":[{\"validation_bits_per_byte\":2.0001,\"train_tokens_per_second\":1010}]},"
        "{\"name\":\"c\",\"runs\":[]}]}";
    page p = {.out = wf_str_new(&wf_mem_default)};
    wf_run_summary s;
    wf_arena_init(&p.arena, &wf_mem_default, 0);
    assert_int_equal(wf_json_parse(&p.arena, run, strlen(run), 0, &p.run, NULL), WEFT_OK);
    assert_int_equal(wf_summarise(&p.arena, p.run, &s, NULL), WEFT_OK);
    assert_int_equal(s.criteria[WF_BY_LOSS].tie_count, 1);
    assert_int_equal(s.criteria[WF_BY_TRAINING].tie_count, 2);
    assert_false(s.criteria[WF_BY_STATE].decided);
    assert_true(isnan(s.loss_noise));
    render(&p);
    must_hold(&p, "One seed");
    must_hold(&p, "a learns this text best");
    close_page(&p);
}

/* ---- the table ---- */
static int columns_of(const char *line, size_t n) {
    int columns = 0;
    for (size_t i = 0; i < n; i++)
        columns += ((unsigned char)line[i] & 0xC0) != 0x80;
    return columns;
}

static void test_table(void **state) {
    page p;
    open_page(&p);
    for (int width = 40; width <= 200; width += 7) {
        wf_str_clear(&p.out);
        assert_int_equal(wf_report_table(&wf_mem_default, p.run, width, false, &p.out, NULL), WEFT_OK);
        const char *text = wf_str_text(&p.out);
        assert_null(strchr(text, '\033'));
        assert_non_null(strstr(text, "val bits/byte"));
        assert_true(width < 120 ? width > 80 || !strstr(text, "peak lr") : strstr(text, "passes  ") != NULL);
        for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
            assert_true(columns_of(line, strcspn(line, "\n")) <= width);
    }
    wf_str_clear(&p.out);
    assert_int_equal(wf_report_table(&wf_mem_default, p.run, 120, true, &p.out, NULL), WEFT_OK);
    must_hold(&p, "\033[1m2.0");
    must_hold(&p, "hybrid, mamba tied");
    close_page(&p);
}

static void test_texts(void **state) {
    static const struct {
        double value;
        const char *bytes, *count, *rate;
    } cases[] = {{0, "0 B", "0", "0"},
                 {812, "812 B", "812", "812"},
                 {999.7, "1.00 kB", "1.00k", "1000"},
                 {1003520, "1.00 MB", "1.00M", "1.00M"},
                 {9160.6, "9.16 kB", "9.16k", "9161"},
                 {38456, "38.5 kB", "38.5k", "38.5k"},
                 {NAN, "–", "–", "–"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[24];
        wf_text_bytes(cases[i].value, text);
        assert_string_equal(text, cases[i].bytes);
        wf_text_count(cases[i].value, text);
        assert_string_equal(text, cases[i].count);
        wf_text_rate(cases[i].value, text);
        assert_string_equal(text, cases[i].rate);
    }
}

static void test_memory(void **state) {
    page p;
    fail_mem f = {0};
    open_page(&p);
    while (fail_mem_next(&f)) {
        wf_mem mem = fail_mem_hook(&f);
        wf_str out = wf_str_new(&mem);
        weft_status status = wf_report_html(&mem, p.run, &out, NULL);
        assert_int_equal(status, f.fired ? WEFT_NO_MEMORY : WEFT_OK);
        wf_str_free(&out);
        assert_int_equal(f.live, 0);
    }
    close_page(&p);
}

/* A run on a task: accuracies decide, and the figures are those of exams. */
static void test_task(void **state) {
    static const char run[] =
        "{\"format\": \"weft-run\", \"version\": 1, \"status\": \"complete\", \"task\": {\"name\": \"mqar\", \"about\": "
        "\"pairs & keys\", \"length\": 64}, \"models\": ["
        "{\"name\": \"one\", \"runs\": [{\"accuracy\": 0.5, \"train_tokens_per_second\": 10}, {\"accuracy\": 0.52}]},"
        "{\"name\": \"two\", \"runs\": [{\"accuracy\": 0.98, \"train_tokens_per_second\": 9}, {\"accuracy\": 0.99}], "
        "\"exams\": {\"step\": [1, 2], \"seconds\": [0.5, 1.0], "
        "\"accuracy\": [0.1, 0.98], \"loss\": [2, 0.1]}, \"lengths\": {\"length\": [32, 64, 128], \"accuracy\": [1, 0.98, "
        "null]}}]}";
    page p;
    weft_error err = {0};
    (void)state;
    wf_arena_init(&p.arena, &wf_mem_default, 0);
    p.out = wf_str_new(&wf_mem_default);
    assert_int_equal(wf_json_parse(&p.arena, run, strlen(run), 0, &p.run, &err), WEFT_OK);
    render(&p);
    must_hold(&p, "<h1>two learns this task best</h1>");
    must_hold(&p, "The task: mqar, pairs &amp; keys.");
    must_hold(&p, "<figure class=\"hero\" id=\"accuracy-time\">");
    must_hold(&p, "id=\"accuracy-length\"");
    must_hold(&p, "98.5 ± 0.7 %");
    assert_null(strstr(wf_str_text(&p.out), "bits/byte"));
    wf_str_clear(&p.out);
    assert_int_equal(wf_report_table(&wf_mem_default, p.run, 100, false, &p.out, &err), WEFT_OK);
    must_hold(&p, "Best accuracy: two, 98.5 % (then one, 51.0 %)");
    must_hold(&p, "right, by length           32       64      128");
    must_hold(&p, "two                   100.0 %   98.0 %        –");
    must_hold(&p, "two                         –   10.0 %   10.0 %   98.0 %");
    assert_true(strstr(wf_str_text(&p.out), "two") < strstr(wf_str_text(&p.out), "one"));
    assert_null(strstr(wf_str_text(&p.out), "bits/byte"));
    close_page(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page),         cmocka_unit_test(test_task),     cmocka_unit_test(test_partial),
        cmocka_unit_test(test_nearly_empty), cmocka_unit_test(test_refused),  cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_ties),         cmocka_unit_test(test_one_seed), cmocka_unit_test(test_table),
        cmocka_unit_test(test_texts),        cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
