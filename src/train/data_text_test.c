#include "train/data_text.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/reader.h"
#include "support/fail_mem.h"
#include "support/test.h"

static char log_text[4096];
static void keep_log(void *user, int level, const char *line) {
    strncat(log_text, line, sizeof log_text - strlen(log_text) - 2);
    strcat(log_text, "\n");
}
static const wf_env env = {.mem = {0}, .log = NULL};
static wf_env env_with(const wf_mem *mem) {
    wf_env e = env;
    e.mem = *mem;
    e.log = keep_log;
    log_text[0] = 0;
    return e;
}

static void write_bytes(const char *folder, const char *name, const void *data, size_t n) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(wf_write_file(&wf_mem_default, path, data, n, NULL), WEFT_OK);
}
static void write_text(const char *folder, const char *name, const char *text) {
    write_bytes(folder, name, text, strlen(text));
}

static void make_folder(const char *folder, const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(wf_make_dir(path, NULL), WEFT_OK);
}

static size_t gzip(const char *text, unsigned char *out, size_t room) {
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)text;
    z.avail_in = (unsigned)strlen(text);
    z.next_out = out;
    z.avail_out = (unsigned)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t n = room - z.avail_out;
    deflateEnd(&z);
    return n;
}

/* The documents with | between them. */
static const char *joined(const wf_text *t, char out[512]) {
    size_t n = 0;
    for (size_t i = 0, begin = 0; i < t->count; begin = t->ends[i++]) {
        if (i > 0)
            out[n++] = '|';
        memcpy(out + n, t->bytes + begin, t->ends[i] - begin);
        n += t->ends[i] - begin;
    }
    out[n] = 0;
    return out;
}

/* ---- formats, from memory ---- */

static const struct {
    const char *name, *field, *text;
    weft_status status;
    const char *result; /* documents, or a part of the message */
} cases[] = {
    {"a.txt", NULL, "one\ntwo\n", WEFT_OK, "one\ntwo\n"},
    {"a.txt", NULL, "\xEF\xBB\xBFx", WEFT_OK, "\xEF\xBB\xBFx"},
    /* JSONL */
    {"a.jsonl", NULL, "{\"text\":\"one\"}\n{\"id\":[1,{}],\"text\":\"t\\u00e9\\n\"}\r\n\n{\"text\":\"\"}\n{\"text\":\"last\"}",
     WEFT_OK, "one|t\xC3\xA9\n|last"},
    {"a.NDJSON", "q", "{\"text\":\"no\",\"q\":\"yes\"}\n", WEFT_OK, "yes"},
    {"a.jsonl", "q,text", "{\"text\":\"no\",\"q\":\"yes\"}\n", WEFT_OK, "yes\nno"},
    {"a.jsonl", NULL, "\xEF\xBB\xBF{\"text\":\"x\"}", WEFT_OK, "x"},
    {"a.jsonl", NULL, "{\"text\":\"one\"}\n{\"text\":oops}\n", WEFT_BAD_INPUT, "a.jsonl: line 2, column 9: expected a value"},
    {"a.jsonl", NULL, "{\"text\":\"one\"", WEFT_BAD_INPUT, "a.jsonl: line 1, column 14"},
    {"a.jsonl", NULL, "\n[1]", WEFT_BAD_INPUT, "line 2 is not a JSON object"},
    {"a.jsonl", NULL, "{\"text\":\"a\"} x", WEFT_BAD_INPUT, "unexpected text"},
    {"a.jsonl", NULL, "{\"id\":1,\"tex\":\"a\"}", WEFT_BAD_INPUT, "line 1 has no field \"text\"; the nearest is \"tex\""},
    {"a.jsonl", NULL, "{\"instruction\":\"a\"}", WEFT_BAD_INPUT, "line 1 has no field \"text\"; its first is \"instruction\""},
    {"a.jsonl", NULL, "{}", WEFT_BAD_INPUT, "line 1 has no field \"text\""},
    {"a.jsonl", NULL, "{\"text\":null}", WEFT_BAD_INPUT, "\"text\" is not a text"},
    {"a.jsonl", NULL, "{\"text\":\"a\",\"text\":\"b\"}", WEFT_BAD_INPUT, "\"text\" twice"},
    /* CSV */
    {"a.csv", NULL, "text,label\none,1\n\"two, with \"\"quotes\"\"\nand a break\",2\r\n", WEFT_OK,
     "one|two, with \"quotes\"\nand a break"},
    {"a.csv", NULL, "only\none\n\ntwo", WEFT_OK, "one|two"},
    {"a.csv", "label,text", "text,label\r\none,1\r\n,2", WEFT_OK, "1\none|2\n"},
    {"a.csv", "a \"b\"", "\"a \"\"b\"\"\",c\nx,y", WEFT_OK, "x"},
    {"a.csv", NULL, "\xEF\xBB\xBFtext,b\nx,", WEFT_OK, "x"},
    {"a.csv", NULL, "text\n\"\"\nx", WEFT_OK, "x"},
    {"a.csv", "txt", "id,text\n1,x\n", WEFT_BAD_INPUT, "no column \"txt\"; the nearest is \"text\""},
    {"a.csv", NULL, "id,question\n1,x\n", WEFT_BAD_INPUT, "no column \"text\"; the first is \"id\""},
    {"a.csv", NULL, "id,text\n1,x\n2\n", WEFT_BAD_INPUT, "line 3 has 1 columns, the header has 2"},
    {"a.csv", NULL, "id,text\n1,x,y\n", WEFT_BAD_INPUT, "line 2 has 3 columns"},
    {"a.csv", NULL, "id,text\n1,\"x\n\n\n", WEFT_BAD_INPUT, "line 2: the quote that opens here is never closed"},
    {"a.csv", NULL, "id,text\n1,\"a\nb\"c\n", WEFT_BAD_INPUT, "line 3: text after a closing quote"},
    {"a.csv", NULL, "id;text\n1;\"one; or, two\"\n2;3,5\n", WEFT_OK, "one; or, two|3,5"},
    {"a.csv", NULL, "\"a;b\",text\n1,x;y\n", WEFT_OK, "x;y"},
    {"a.csv", "2", "one,1\n\"two\",2\n", WEFT_OK, "1|2"},
    {"a.csv", "3,1", "one,1,a\ntwo,2,b\n", WEFT_OK, "a\none|b\ntwo"},
    {"a.csv", "3", "one,1\ntwo,2\n", WEFT_BAD_INPUT, "no column \"3\""},
    {"a.csv", "0", "one,1\ntwo,2\n", WEFT_BAD_INPUT, "no column \"0\""},
    {"a.csv", "who", "one,1\ntwo,2\n", WEFT_BAD_INPUT, "(columns of a table without a header line are 1, 2, ..)"},
    {"a.tsv", "2", "one\t1\ntwo\t2\n", WEFT_OK, "1|2"},
    {"a.tsv", NULL, "id\ttext\n1\t\"quote\n2\tb\"\n", WEFT_OK, "\"quote|b\""},
};

static size_t split_fields(char *list, const char *out[4]) {
    size_t n = 0;
    for (char *p = list; p && n < 4; n++) {
        out[n] = p;
        p = strchr(p, ',');
        if (p)
            *p++ = 0;
    }
    return n;
}

static void test_formats(void **state) {
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char list[64] = "", shown[512];
        const char *fields[4];
        wf_text_options options = {.fields = fields};
        if (cases[i].field) {
            strcpy(list, cases[i].field);
            options.n_fields = split_fields(list, fields);
        }
        wf_text t = wf_text_new(&wf_mem_default);
        weft_error err = {0};
        wf_text_source source = {cases[i].name, cases[i].text, strlen(cases[i].text), &options};
        weft_status status = wf_text_read(&source, NULL, &t, &err);
        if (status != cases[i].status ||
            (status ? !strstr(err.message, cases[i].result) : strcmp(joined(&t, shown), cases[i].result) != 0))
            fail_msg("%s gave %d \"%s\", not \"%s\"", cases[i].text, status, status ? err.message : joined(&t, shown),
                     cases[i].result);
        wf_text_free(&t);
    }
}

static void test_format_option(void **state) {
    wf_text_options options = {.format = "csv"};
    wf_text t = wf_text_new(&wf_mem_default);
    weft_error err = {0};
    wf_text_source source = {"data", "text\nx\n", 7, &options};
    assert_int_equal(wf_text_read(&source, "csv", &t, &err), WEFT_OK);
    assert_int_equal(t.count, 1);
    assert_int_equal(wf_text_read(&source, "jsnl", &t, &err), WEFT_USAGE);
    assert_non_null(strstr(err.message, "jsonl"));
    wf_text_free(&t);
}

/* ---- gzip ---- */

static void test_gzip(void **state) {
    unsigned char packed[512];
    size_t n = gzip("some text, some text", packed, sizeof packed);
    wf_str out = wf_str_new(&wf_mem_default);
    weft_error err = {0};
    assert_true(wf_is_gzip(packed, n) && !wf_is_gzip("\x1F\x8B", 2));
    assert_int_equal(wf_gunzip(&wf_mem_default, packed, n, 100, &out, &err), WEFT_OK);
    assert_string_equal(wf_str_text(&out), "some text, some text");
    wf_str_clear(&out);
    memcpy(packed + n, packed, n); /* two members, then padding */
    memset(packed + 2 * n, 0, 10);
    assert_int_equal(wf_gunzip(&wf_mem_default, packed, 2 * n + 10, 100, &out, &err), WEFT_OK);
    assert_int_equal(out.length, 40);
    wf_str_clear(&out);
    assert_int_equal(wf_gunzip(&wf_mem_default, packed, n, 19, &out, &err), WEFT_NO_MEMORY);
    wf_str_clear(&out);
    for (size_t cut = 3; cut < n; cut++) { /* wherever it is cut */
        assert_int_equal(wf_gunzip(&wf_mem_default, packed, cut, 100, &out, &err), WEFT_BAD_INPUT);
        wf_str_clear(&out);
    }
    assert_non_null(strstr(err.message, "cut off"));
    packed[n - 6] ^= 1; /* the check sum */
    assert_int_equal(wf_gunzip(&wf_mem_default, packed, n, 100, &out, &err), WEFT_BAD_INPUT);
    packed[n - 6] ^= 1;
    packed[n] = 'x';
    assert_int_equal(wf_gunzip(&wf_mem_default, packed, n + 1, 100, &out, &err), WEFT_BAD_INPUT);
    assert_non_null(strstr(err.message, "data follows"));
    wf_str_free(&out);
}

/* ---- files and folders ---- */

static char folder[64];

static int set_up(void **state) {
    unsigned char packed[512];
    strcpy(folder, "/tmp/weft_text_XXXXXX");
    assert_non_null(mkdtemp(folder));
    write_text(folder, "b.txt", "bee");
    write_text(folder, "a.txt", "ay");
    write_text(folder, ".hidden", "no");
    write_text(folder, "empty.txt", "");
    write_bytes(folder, "image.png", "\x89PNG\0", 5);
    make_folder(folder, "aa");
    write_text(folder, "aa/z.jsonl", "{\"text\":\"zed\"}\n{\"text\":\"zee\"}\n");
    make_folder(folder, ".git");
    write_text(folder, ".git/config", "no");
    write_bytes(folder, "c.csv.gz", packed, gzip("text\nsee\n", packed, sizeof packed));
    char link_path[128];
    snprintf(link_path, sizeof link_path, "%s/loop", folder);
    assert_int_equal(symlink(folder, link_path), 0);
    return 0;
}

static int tear_down(void **state) {
    static const char *const names[] = {"b.txt",       "a.txt", ".hidden",  "empty.txt", "image.png", "aa/z.jsonl", "aa",
                                        ".git/config", ".git",  "c.csv.gz", "loop",      "in.txt",    "pipe",       ""};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
    return 0;
}

static void test_folder(void **state) {
    char shown[512];
    const char *paths[] = {folder};
    wf_env e = env_with(&wf_mem_default);
    wf_text t;
    weft_error err = {0};
    if (wf_text_load(&e, paths, 1, NULL, &t, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    assert_string_equal(joined(&t, shown), "ay|zed|zee|bee|see"); /* sorted: a.txt, aa/, b.txt, c.csv.gz */
    assert_int_equal(t.files, 4);
    assert_true(t.skipped_hidden == 2 && t.skipped_empty == 1 && t.skipped_binary == 1 && t.skipped_links == 1);
    assert_non_null(strstr(log_text, "left out: 1 binary files, 2 hidden entries, 1 empty files"));
    uint64_t digest = t.digest;
    wf_text_free(&t);
    assert_int_equal(wf_text_load(&e, paths, 1, NULL, &t, &err), WEFT_OK);
    assert_true(t.digest == digest);
    wf_text_free(&t);
}

static weft_status load_one(const char *name, const wf_text_options *options, wf_text *t, weft_error *err) {
    char path[128];
    const char *paths[] = {path};
    static wf_env e;
    e = env_with(&wf_mem_default);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return wf_text_load(&e, paths, 1, options, t, err);
}

static void test_errors(void **state) {
    wf_text t;
    weft_error err = {0};
    assert_int_equal(load_one("empty.txt", NULL, &t, &err), WEFT_BAD_INPUT);
    assert_non_null(strstr(err.message, "empty.txt is empty"));
    assert_int_equal(load_one("gone.txt", NULL, &t, &err), WEFT_FAILURE);
    assert_non_null(strstr(err.message, "gone.txt"));
    assert_int_equal(load_one("aa", &(wf_text_options){.fields = (const char *const[]){"body"}, .n_fields = 1}, &t, &err),
                     WEFT_BAD_INPUT);
    assert_non_null(strstr(err.message, "z.jsonl: line 1 has no field \"body\""));
    assert_int_equal(load_one("a.txt", &(wf_text_options){.limit = 1}, &t, &err), WEFT_NO_MEMORY);
    assert_int_equal(load_one("image.png", NULL, &t, &err), WEFT_OK); /* named by itself it is taken, with a warning */
    assert_non_null(strstr(log_text, "NUL"));
    wf_text_free(&t);
    wf_env e = env_with(&wf_mem_default);
    assert_int_equal(wf_text_load(&e, NULL, 0, NULL, &t, &err), WEFT_BAD_INPUT);
    assert_int_equal(wf_text_load(&e, (const char *const[]){"-", "-"}, 2, NULL, &t, &err),
                     WEFT_BAD_INPUT); /* here standard input is empty */
}

static void test_standard_input(void **state) {
    char path[128];
    wf_text t;
    weft_error err = {0};
    wf_env e = env_with(&wf_mem_default);
    write_text(folder, "in.txt", "from outside");
    snprintf(path, sizeof path, "%s/in.txt", folder);
    int saved = dup(STDIN_FILENO), fd = open(path, O_RDONLY);
    dup2(fd, STDIN_FILENO);
    close(fd);
    weft_status status = wf_text_load(&e, (const char *const[]){"-"}, 1, NULL, &t, &err);
    dup2(saved, STDIN_FILENO);
    close(saved);
    assert_int_equal(status, WEFT_OK);
    assert_int_equal(t.length, 12);
    wf_text_free(&t);
}

static void test_no_memory(void **state) {
    const char *paths[] = {folder};
    fail_mem f = {0};
    while (fail_mem_next(&f)) {
        wf_mem m = fail_mem_hook(&f);
        wf_env e = env_with(&m);
        wf_text t;
        weft_status status = wf_text_load(&e, paths, 1, NULL, &t, NULL);
        assert_int_equal(status, f.fired ? WEFT_NO_MEMORY : WEFT_OK);
        wf_text_free(&t);
        assert_int_equal(f.live, 0);
    }
}

static int empty_stdin(void **state) {
    int fd = open("/dev/null", O_RDONLY);
    dup2(fd, STDIN_FILENO);
    close(fd);
    return set_up(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),   cmocka_unit_test(test_format_option), cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_folder),    cmocka_unit_test(test_errors),        cmocka_unit_test(test_standard_input),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, empty_stdin, tear_down);
}
