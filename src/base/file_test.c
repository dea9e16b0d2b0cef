#include "support/test.h"
#include "support/fail_mem.h"
#include "base/reader.h"
#include "base/str.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Every test gets a fresh folder, emptied and removed behind it. */
typedef struct fixture {
    wf_arena arena;
    char folder[64];
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    wf_arena_init(&f->arena, &wf_mem_default, 0);
    strcpy(f->folder, "/tmp/weft_file_XXXXXX");
    *state = f;
    return mkdtemp(f->folder) ? 0 : -1;
}

static int teardown(void **state) {
    fixture *f = *state;
    char **names;
    size_t count;
    int result = wf_list_dir(&f->arena, f->folder, &names, &count, NULL) == WEFT_OK ? 0 : -1;
    for (size_t i = 0; i < count; i++)
        remove(wf_path_join(&f->arena, f->folder, names[i]));
    result |= rmdir(f->folder);
    wf_arena_free(&f->arena);
    free(f);
    return result;
}

static char *inside(fixture *f, const char *name) { return wf_path_join(&f->arena, f->folder, name); }

static size_t entries(fixture *f) {
    char **names;
    size_t count;
    assert_int_equal(wf_list_dir(&f->arena, f->folder, &names, &count, NULL), WEFT_OK);
    return count;
}

static void expect_content(const char *path, const char *content) {
    for (int map = 0; map < 2; map++) {
        wf_file file;
        weft_error err = {0};
        assert_int_equal(wf_file_open(&wf_mem_default, path, map, 0, &file, &err), WEFT_OK);
        assert_int_equal(file.size, strlen(content));
        assert_memory_equal(file.data, content, file.size);
        assert_int_equal(file.mapped, map && file.size > 0);
        if (!file.mapped)
            assert_int_equal(file.data[file.size], 0);
        wf_file_close(&file);
        assert_null(file.data);
        wf_file_close(&file);
    }
}

static void test_write_and_read(void **state) {
    fixture *f = *state;
    weft_error err = {0};
    char *path = inside(f, "a");
    assert_int_equal(wf_write_file(&wf_mem_default, path, "first", 5, &err), WEFT_OK);
    expect_content(path, "first");
    assert_int_equal(wf_write_file(&wf_mem_default, path, NULL, 0, &err), WEFT_OK);
    expect_content(path, "");
    assert_int_equal(entries(f), 1);
}

/* Pieces of every size around the buffer arrive in order. */
static void test_pieces(void **state) {
    static const size_t sizes[] = {1, 100, 65535, 1, 65536, 65537, 3, 200000, 65534, 2};
    fixture *f = *state;
    weft_error err = {0};
    wf_writer *w;
    wf_file file;
    char *path = inside(f, "pieces");
    unsigned char *data = malloc(1000000);
    size_t total = 0;
    for (size_t i = 0; i < 1000000; i++)
        data[i] = (unsigned char)(i * 31 >> 3);
    assert_int_equal(wf_writer_open(&wf_mem_default, path, &w, &err), WEFT_OK);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        assert_int_equal(wf_writer_put(w, data + total, sizes[i], &err), WEFT_OK);
        total += sizes[i];
    }
    assert_false(wf_is_file(path)); /* nothing before the commit */
    assert_int_equal(wf_writer_commit(w, &err), WEFT_OK);
    assert_int_equal(wf_file_open(&wf_mem_default, path, false, total, &file, &err), WEFT_OK);
    assert_int_equal(file.size, total);
    assert_memory_equal(file.data, data, total);
    wf_file_close(&file);
    free(data);
}

static void test_refused(void **state) {
    fixture *f = *state;
    weft_error err = {0};
    wf_file file;
    char *pipe_path = inside(f, "pipe"), *absent = inside(f, "absent"), *path = inside(f, "a");
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    assert_int_equal(wf_file_open(&wf_mem_default, absent, false, 0, &file, &err), WEFT_FAILURE);
    assert_true(wf_starts_with(err.message, absent) && strstr(err.message, strerror(ENOENT)));
    assert_int_equal(wf_file_open(&wf_mem_default, pipe_path, false, 0, &file, &err), WEFT_FAILURE);
    assert_non_null(strstr(err.message, "not a regular file"));
    assert_int_equal(wf_file_open(&wf_mem_default, f->folder, true, 0, &file, &err), WEFT_FAILURE);
    assert_null(file.data);
    assert_int_equal(wf_write_file(&wf_mem_default, path, "12345", 5, &err), WEFT_OK);
    assert_int_equal(wf_file_open(&wf_mem_default, path, false, 5, &file, &err), WEFT_OK);
    wf_file_close(&file);
    assert_int_equal(wf_file_open(&wf_mem_default, path, true, 4, &file, &err), WEFT_BAD_INPUT);
    assert_non_null(strstr(err.message, "has 5 bytes, more than the limit of 4"));
    char *nowhere = inside(f, "no/such/folder");
    assert_int_equal(wf_write_file(&wf_mem_default, nowhere, "x", 1, &err), WEFT_FAILURE);
    assert_true(wf_starts_with(err.message, nowhere));
}

static void test_abort_keeps_the_old_file(void **state) {
    fixture *f = *state;
    wf_writer *w;
    char *path = inside(f, "a");
    assert_int_equal(wf_write_file(&wf_mem_default, path, "old", 3, NULL), WEFT_OK);
    assert_int_equal(wf_writer_open(&wf_mem_default, path, &w, NULL), WEFT_OK);
    assert_int_equal(wf_writer_put(w, "new", 3, NULL), WEFT_OK);
    wf_writer_abort(w);
    wf_writer_abort(NULL);
    expect_content(path, "old");
    assert_int_equal(entries(f), 1);
}

static void test_two_writers_of_one_name(void **state) {
    fixture *f = *state;
    wf_writer *a, *b;
    char *path = inside(f, "a");
    assert_int_equal(wf_writer_open(&wf_mem_default, path, &a, NULL), WEFT_OK);
    assert_int_equal(wf_writer_open(&wf_mem_default, path, &b, NULL), WEFT_OK);
    assert_int_equal(wf_writer_put(a, "from a", 6, NULL), WEFT_OK);
    assert_int_equal(wf_writer_put(b, "from b", 6, NULL), WEFT_OK);
    assert_int_equal(wf_writer_commit(a, NULL), WEFT_OK);
    expect_content(path, "from a");
    assert_int_equal(wf_writer_commit(b, NULL), WEFT_OK);
    expect_content(path, "from b");
    assert_int_equal(entries(f), 1);
}

/* A limit on the file size makes write() fail as a full disk does. */
static void test_full_disk(void **state) {
    fixture *f = *state;
    struct rlimit old, small;
    weft_error err = {0};
    wf_writer *w;
    char *path = inside(f, "a"), *large = calloc(1, 300000);
    assert_int_equal(wf_write_file(&wf_mem_default, path, "old", 3, NULL), WEFT_OK);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 100000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    weft_status whole = wf_write_file(&wf_mem_default, path, large, 300000, &err);
    assert_int_equal(wf_writer_open(&wf_mem_default, path, &w, NULL), WEFT_OK);
    weft_status put = WEFT_OK;
    for (int i = 0; i < 300 && put == WEFT_OK; i++)
        put = wf_writer_put(w, large, 1000, NULL);
    weft_status again = wf_writer_put(w, large, 10, NULL), commit = wf_writer_commit(w, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    free(large);
    assert_int_equal(whole, WEFT_FAILURE);
    assert_true(wf_starts_with(err.message, path));
    assert_int_equal(put, WEFT_FAILURE);
    assert_int_equal(again, WEFT_FAILURE); /* a writer that failed stays failed */
    assert_int_equal(commit, WEFT_FAILURE);
    expect_content(path, "old");
    assert_int_equal(entries(f), 1);
}

static void test_rename_failure(void **state) {
    fixture *f = *state;
    weft_error err = {0};
    char *path = inside(f, "folder");
    assert_int_equal(wf_make_dir(path, NULL), WEFT_OK);
    assert_int_equal(wf_write_file(&wf_mem_default, path, "x", 1, &err), WEFT_FAILURE);
    assert_int_equal(entries(f), 1);
}

static void test_relative_paths(void **state) {
    fixture *f = *state;
    char old[4096];
    assert_non_null(getcwd(old, sizeof old));
    assert_int_equal(chdir(f->folder), 0);
    weft_status status = wf_write_file(&wf_mem_default, "here", "x", 1, NULL);
    assert_int_equal(chdir(old), 0);
    assert_int_equal(status, WEFT_OK);
    expect_content(inside(f, "here"), "x");
}

static void test_folders(void **state) {
    fixture *f = *state;
    weft_error err = {0};
    char **names, *a = inside(f, "a"), *deep = inside(f, "a/b//c/");
    size_t count;
    assert_int_equal(wf_make_dir(deep, &err), WEFT_OK);
    assert_int_equal(wf_make_dir(deep, &err), WEFT_OK);
    assert_true(wf_is_dir(deep) && !wf_is_file(deep) && !wf_is_dir(inside(f, "none")) && !wf_is_file(inside(f, "none")));
    assert_int_equal(wf_write_file(&wf_mem_default, inside(f, "a/z"), "", 0, &err), WEFT_OK);
    assert_int_equal(wf_write_file(&wf_mem_default, inside(f, "a/B"), "", 0, &err), WEFT_OK);
    assert_true(wf_is_file(inside(f, "a/z")) && !wf_is_dir(inside(f, "a/z")));
    assert_int_equal(wf_make_dir(inside(f, "a/z/y"), &err), WEFT_FAILURE);
    assert_int_equal(wf_make_dir(inside(f, "a/z"), &err), WEFT_FAILURE);
    assert_non_null(strstr(err.message, strerror(ENOTDIR)));
    assert_int_equal(wf_make_dir("", &err), WEFT_USAGE);
    assert_int_equal(wf_make_dir("/", &err), WEFT_OK);
    assert_int_equal(wf_list_dir(&f->arena, a, &names, &count, &err), WEFT_OK);
    assert_int_equal(count, 3);
    assert_string_equal(names[0], "B");
    assert_string_equal(names[1], "b");
    assert_string_equal(names[2], "z");
    assert_int_equal(wf_list_dir(&f->arena, inside(f, "a/b/c"), &names, &count, &err), WEFT_OK);
    assert_int_equal(count, 0);
    assert_int_equal(wf_list_dir(&f->arena, inside(f, "none"), &names, &count, &err), WEFT_FAILURE);
    remove(inside(f, "a/b/c"));
    remove(inside(f, "a/b"));
    assert_int_equal(wf_remove_file(inside(f, "a/z"), &err), WEFT_OK);
    assert_false(wf_is_file(inside(f, "a/z")));
    assert_int_equal(wf_remove_file(inside(f, "a/z"), &err), WEFT_FAILURE);
    assert_non_null(strstr(err.message, strerror(ENOENT)));
    remove(inside(f, "a/B"));
}

static void test_join(void **state) {
    fixture *f = *state;
    assert_string_equal(wf_path_join(&f->arena, "a", "b"), "a/b");
    assert_string_equal(wf_path_join(&f->arena, "a///", "b"), "a/b");
    assert_string_equal(wf_path_join(&f->arena, "/", "b"), "/b");
    assert_string_equal(wf_path_join(&f->arena, "", "b"), "b");
    assert_string_equal(wf_path_join(&f->arena, "a/b", "c.d"), "a/b/c.d");
}

static weft_status place(fixture *f, const char *folder, const char *name) {
    char *path = NULL;
    weft_error err = {0};
    weft_status status = wf_path_inside(&f->arena, inside(f, folder), name, &path, &err);
    if (status == WEFT_OK)
        assert_string_equal(path, inside(f, wf_path_join(&f->arena, folder, name)));
    return status;
}

static void put_link(fixture *f, const char *target, const char *name) {
    assert_int_equal(symlink(target, inside(f, name)), 0);
}

/* Names in a folder: plain ones, and links that stay inside or lead to the blobs of the cache. */
static void test_inside(void **state) {
    static const char *const bad[] = {"", ".", "..", "../a", "a/b", "/etc/passwd", ".hidden", "a\\b"};
    static const char *const made[] = {"repo/snapshots/r/in",
                                       "repo/snapshots/r/out",
                                       "repo/snapshots/r/blob",
                                       "repo/snapshots/r/real",
                                       "repo/blobs/b",
                                       "repo/snapshots/r/dir/blob",
                                       "repo/snapshots/r/dir",
                                       "repo/snapshots/r",
                                       "repo/snapshots",
                                       "repo/blobs",
                                       "repo",
                                       "secret"};
    fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(place(f, "", bad[i]), WEFT_BAD_INPUT);
    assert_int_equal(wf_make_dir(inside(f, "repo/snapshots/r/dir"), NULL), WEFT_OK);
    assert_int_equal(wf_make_dir(inside(f, "repo/blobs"), NULL), WEFT_OK);
    assert_int_equal(wf_write_file(&wf_mem_default, inside(f, "secret"), "x", 1, NULL), WEFT_OK);
    assert_int_equal(wf_write_file(&wf_mem_default, inside(f, "repo/blobs/b"), "x", 1, NULL), WEFT_OK);
    assert_int_equal(wf_write_file(&wf_mem_default, inside(f, "repo/snapshots/r/real"), "x", 1, NULL), WEFT_OK);
    put_link(f, "real", "repo/snapshots/r/in");
    put_link(f, "../../../secret", "repo/snapshots/r/out");
    put_link(f, "../../blobs/b", "repo/snapshots/r/blob");
    put_link(f, "../../../blobs/b", "repo/snapshots/r/dir/blob");
    assert_int_equal(place(f, "repo/snapshots/r", "real"), WEFT_OK);
    assert_int_equal(place(f, "repo/snapshots/r", "in"), WEFT_OK);
    assert_int_equal(place(f, "repo/snapshots/r", "blob"), WEFT_OK);
    assert_int_equal(place(f, "repo/snapshots/r/dir", "blob"), WEFT_OK);
    assert_int_equal(place(f, "repo/snapshots/r", "absent"), WEFT_OK);
    assert_int_equal(place(f, "repo/snapshots/r", "out"), WEFT_BAD_INPUT);
    for (size_t i = 0; i < COUNT_OF(made); i++)
        remove(inside(f, made[i]));
}

static void test_memory_failures(void **state) {
    fixture *f = *state;
    char *path = inside(f, "a");
    fail_mem fm = {0};
    while (fail_mem_next(&fm)) {
        wf_mem mem = fail_mem_hook(&fm);
        wf_file file;
        wf_arena arena;
        char **names;
        size_t count;
        wf_arena_init(&arena, &mem, 0);
        weft_status status = wf_write_file(&mem, path, "x", 1, NULL);
        if (status == WEFT_OK)
            status = wf_file_open(&mem, path, false, 0, &file, NULL);
        if (status == WEFT_OK) {
            wf_file_close(&file);
            status = wf_list_dir(&arena, f->folder, &names, &count, NULL);
        }
        assert_int_equal(status, fm.fired ? WEFT_NO_MEMORY : WEFT_OK);
        wf_arena_free(&arena);
        assert_int_equal(fm.live, 0);
    }
    assert_int_equal(entries(f), 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_write_and_read),
        TEST(test_pieces),
        TEST(test_refused),
        TEST(test_abort_keeps_the_old_file),
        TEST(test_two_writers_of_one_name),
        TEST(test_full_disk),
        TEST(test_rename_failure),
        TEST(test_relative_paths),
        TEST(test_folders),
        TEST(test_join),
        TEST(test_inside),
        TEST(test_memory_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
