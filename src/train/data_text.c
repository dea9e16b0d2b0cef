/* data_text.c - finding the text: files, folders, standard input; and the table of formats. */
#include "train/data_text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/reader.h"

enum { DEPTH_MAX = 64, CHUNK = 1 << 16 };
static const size_t LIMIT = (size_t)4 << 30;

/* ---- documents ---- */

wf_text wf_text_new(const wf_mem *mem) { return (wf_text){.mem = mem}; }

void wf_text_free(wf_text *text) {
    wf_free(text->mem, text->bytes);
    wf_free(text->mem, text->ends);
    *text = wf_text_new(text->mem);
}

weft_status wf_text_put(wf_text *text, const char *bytes, size_t n, weft_error *err) {
    if (n == 0)
        return WEFT_OK;
    WF_CHECK(!text->limit || n <= text->limit - text->length, err, WEFT_NO_MEMORY, "more than %zu bytes of text", text->limit);
    WF_TRY(wf_grow(text->mem, (void **)&text->bytes, &text->capacity, text->length + n, 1, err));
    memcpy(text->bytes + text->length, bytes, n);
    text->length += n;
    return WEFT_OK;
}

weft_status wf_text_end(wf_text *text, weft_error *err) {
    size_t begin = text->count ? text->ends[text->count - 1] : 0;
    return text->length == begin ? WEFT_OK : wf_text_end_any(text, err);
}

weft_status wf_text_end_any(wf_text *text, weft_error *err) {
    WF_TRY(wf_grow(text->mem, (void **)&text->ends, &text->ends_capacity, text->count + 1, sizeof *text->ends, err));
    text->ends[text->count++] = text->length;
    return WEFT_OK;
}

weft_status wf_text_end_record(const wf_text_source *source, wf_text *text, weft_error *err) {
    return (source->options->empty ? wf_text_end_any : wf_text_end)(text, err);
}

/* ---- formats ---- */

static weft_status read_plain(const wf_text_source *source, wf_text *out, weft_error *err) {
    WF_TRY(wf_text_put(out, source->bytes, source->length, err));
    return wf_text_end(out, err);
}
static const char *const no_endings[] = {NULL};
static const wf_text_format plain = {"text", no_endings, read_plain};
static const wf_text_format *const formats[] = {&plain, &wf_text_format_jsonl, &wf_text_format_csv, &wf_text_format_tsv};
enum { FORMATS = sizeof formats / sizeof *formats };

static const char *format_name(const void *user, size_t i) { return i < FORMATS ? formats[i]->name : NULL; }

static weft_status format_by_name(const char *name, const wf_text_format **out, weft_error *err) {
    for (size_t i = 0; i < FORMATS; i++)
        if (wf_streq(formats[i]->name, name)) {
            *out = formats[i];
            return WEFT_OK;
        }
    const char *nearest = wf_nearest(name, format_name, NULL);
    return wf_fail(err, WEFT_USAGE, "unknown text format \"%s\"%s%s", name, nearest ? "; the nearest is " : "",
                   nearest ? nearest : "");
}

static bool ends_with(const char *name, size_t n, const char *ending) {
    size_t m = strlen(ending);
    for (size_t i = 0; i < m; i++) {
        char c = n < m ? 0 : name[n - m + i];
        if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != ending[i])
            return false;
    }
    return true;
}

static const wf_text_format *format_of_name(const char *name) {
    size_t n = strlen(name);
    if (ends_with(name, n, ".gz"))
        n -= 3;
    for (size_t i = 0; i < FORMATS; i++)
        for (const char *const *e = formats[i]->endings; *e; e++)
            if (ends_with(name, n, *e))
                return formats[i];
    return &plain;
}

bool wf_text_is_plain(const char *path) { return format_of_name(path) == &plain; }

weft_status wf_text_read(const wf_text_source *source, const char *format, wf_text *out, weft_error *err) {
    wf_text_source s = *source;
    const wf_text_format *f = format_of_name(source->where);
    if (format)
        WF_TRY(format_by_name(format, &f, err));
    size_t mark = f == &plain ? 0 : wf_utf8_mark(s.bytes, s.length);
    s.bytes += mark;
    s.length -= mark;
    return f->read(&s, out, err);
}

/* ---- files ---- */

typedef struct loading {
    const wf_env *env;
    const wf_text_options *options;
    wf_text *text;
    wf_arena arena;           /* paths inside folders */
    bool stdin_read, listing; /* listing: paths are kept instead of read */
    const char **list;
    size_t listed, capacity;
    weft_error *err;
} loading;

typedef struct found { /* one file's bytes */
    const char *path;
    bool in_folder; /* then it may be left out */
} found;

static weft_status take_plain(loading *l, found f, const char *bytes, size_t n) {
    wf_text *text = l->text;
    if (n == 0) {
        WF_CHECK(f.in_folder || l->options->none, l->err, WEFT_BAD_INPUT, "%s is empty", f.path);
        text->skipped_empty++;
        return WEFT_OK;
    }
    if (memchr(bytes, 0, n)) {
        if (f.in_folder) {
            text->skipped_binary++;
            return WEFT_OK;
        }
        wf_log(l->env, WF_WARN, "%s has NUL bytes: is it a text?", f.path);
    }
    text->files++;
    wf_text_source source = {f.path, bytes, n, l->options};
    return wf_text_read(&source, l->options->format, text, l->err);
}

static weft_status take(loading *l, found f, const void *bytes, size_t n) {
    if (!wf_is_gzip(bytes, n))
        return take_plain(l, f, bytes, n);
    wf_str unpacked = wf_str_new(l->text->mem);
    weft_status status = wf_gunzip(l->text->mem, bytes, n, l->text->limit, &unpacked, l->err);
    if (status != WEFT_OK)
        wf_fail_in(l->err, "%s", f.path);
    else
        status = take_plain(l, f, wf_str_text(&unpacked), unpacked.length);
    wf_str_free(&unpacked);
    return status;
}

static weft_status read_stream(loading *l, const char *name, int fd, wf_str *out) {
    char chunk[CHUNK];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR && wf_stopped(l->env) == WEFT_OK)
            continue;
        WF_CHECK(wf_stopped(l->env) == WEFT_OK, l->err, wf_stopped(l->env), "stopped");
        if (n < 0)
            return wf_fail_os(l->err, name);
        if (n == 0)
            return WEFT_OK;
        WF_CHECK((size_t)n <= l->text->limit - out->length, l->err, WEFT_NO_MEMORY, "%s: more than %zu bytes", name,
                 l->text->limit);
        wf_str_put(out, chunk, (size_t)n);
        if (out->failed)
            return wf_fail_memory(l->err);
    }
}

static weft_status load_stream(loading *l, const char *name, int fd) {
    wf_str bytes = wf_str_new(l->text->mem);
    weft_status status = read_stream(l, name, fd, &bytes);
    if (status == WEFT_OK)
        status = take(l, (found){name, false}, wf_str_text(&bytes), bytes.length);
    wf_str_free(&bytes);
    return status;
}

static weft_status load_stdin(loading *l) {
    WF_CHECK(!l->stdin_read, l->err, WEFT_USAGE, "standard input (-) is named twice");
    l->stdin_read = true;
    return load_stream(l, "standard input", STDIN_FILENO);
}

static weft_status load_pipe(loading *l, const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return wf_fail_os(l->err, path);
    weft_status status = load_stream(l, path, fd);
    close(fd);
    return status;
}

static weft_status keep_path(loading *l, const char *path) {
    WF_TRY(wf_grow(&l->env->mem, (void **)&l->list, &l->capacity, l->listed + 1, sizeof *l->list, l->err));
    l->list[l->listed++] = path;
    return WEFT_OK;
}

static weft_status load_file(loading *l, found f) {
    wf_file file;
    if (l->listing)
        return keep_path(l, f.path);
    WF_CHECK(wf_stopped(l->env) == WEFT_OK, l->err, wf_stopped(l->env), "stopped");
    WF_TRY(wf_file_open(l->text->mem, f.path, true, 0, &file, l->err));
    weft_status status = take(l, f, file.data, file.size);
    wf_file_close(&file);
    return status;
}

/* ---- folders ---- */

static weft_status load_folder(loading *l, const char *path, int depth);

static weft_status load_entry(loading *l, const char *folder, const char *name, int depth) {
    struct stat link, target;
    if (name[0] == '.') {
        l->text->skipped_hidden++;
        return WEFT_OK;
    }
    char *path = wf_path_join(&l->arena, folder, name);
    if (!path)
        return wf_fail_memory(l->err);
    if (lstat(path, &link) != 0 || (S_ISLNK(link.st_mode) && stat(path, &target) != 0 && errno != ENOENT))
        return wf_fail_os(l->err, path);
    if (S_ISDIR(link.st_mode))
        return load_folder(l, path, depth + 1);
    if (S_ISREG(link.st_mode) || (S_ISLNK(link.st_mode) && wf_is_file(path)))
        return load_file(l, (found){path, true});
    l->text->skipped_links++; /* a link to a folder could lead in circles; a dangling one, a pipe or a device is no text */
    return WEFT_OK;
}

/* Depth is bounded by DEPTH_MAX. */
static weft_status load_folder(loading *l, const char *path, int depth) {
    char **names;
    size_t count;
    WF_CHECK(depth < DEPTH_MAX, l->err, WEFT_BAD_INPUT, "%s: folders more than %d deep", path, DEPTH_MAX);
    WF_TRY(wf_list_dir(&l->arena, path, &names, &count, l->err));
    for (size_t i = 0; i < count; i++)
        WF_TRY(load_entry(l, path, names[i], depth));
    return WEFT_OK;
}

/* ---- all of it ---- */

static weft_status load_path(loading *l, const char *path) {
    struct stat info;
    if (wf_streq(path, "-"))
        return load_stdin(l);
    if (wf_is_dir(path))
        return load_folder(l, path, 0);
    if (stat(path, &info) == 0 && (S_ISFIFO(info.st_mode) || S_ISCHR(info.st_mode)))
        return load_pipe(l, path);
    return load_file(l, (found){path, l->options->listed});
}

static void report(const loading *l) {
    const wf_text *t = l->text;
    wf_log(l->env, WF_INFO, "read %zu files: %zu documents, %zu bytes", t->files, t->count, t->length);
    if (t->skipped_binary + t->skipped_hidden + t->skipped_empty + t->skipped_links)
        wf_log(l->env, WF_INFO, "left out: %zu binary files, %zu hidden entries, %zu empty files, %zu links and special files",
               t->skipped_binary, t->skipped_hidden, t->skipped_empty, t->skipped_links);
}

static weft_status load_all(loading *l, const char *const *paths, size_t n) {
    for (size_t i = 0; i < n; i++)
        WF_TRY(load_path(l, paths[i]));
    WF_CHECK(l->text->length > 0 || l->options->none, l->err, WEFT_BAD_INPUT, "there is no text in %s%s",
             n ? paths[0] : "no files", n > 1 ? " and the others" : "");
    l->text->digest = XXH3_64bits(l->text->bytes, l->text->length);
    report(l);
    return WEFT_OK;
}

weft_status wf_text_load(const wf_env *env, const char *const *paths, size_t n, const wf_text_options *options, wf_text *out,
                         weft_error *err) {
    static const wf_text_options defaults;
    *out = wf_text_new(&env->mem);
    loading l = {.env = env, .options = options ? options : &defaults, .text = out, .err = err};
    out->limit = l.options->limit ? l.options->limit : LIMIT;
    wf_arena_init(&l.arena, &env->mem, 0);
    weft_status status = load_all(&l, paths, n);
    wf_arena_free(&l.arena);
    if (status != WEFT_OK)
        wf_text_free(out);
    return status;
}

weft_status wf_text_list(const wf_env *env, wf_arena *arena, const char *folder, const char *const **files, size_t *n,
                         weft_error *err) {
    static const wf_text_options defaults;
    wf_text none = wf_text_new(&env->mem);
    loading l = {.env = env, .options = &defaults, .text = &none, .listing = true, .err = err};
    wf_arena_init(&l.arena, &env->mem, 0);
    weft_status status = load_folder(&l, folder, 0);
    const char **list = status == WEFT_OK ? wf_arena_alloc(arena, (l.listed + 1) * sizeof *list) : NULL;
    if (status == WEFT_OK && !list)
        status = wf_fail_memory(err);
    for (size_t i = 0; status == WEFT_OK && i < l.listed; i++)
        if (!(list[i] = wf_arena_strdup(arena, l.list[i])))
            status = wf_fail_memory(err);
    *files = list;
    *n = l.listed;
    wf_free(&env->mem, l.list);
    wf_arena_free(&l.arena);
    return status;
}
