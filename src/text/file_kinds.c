/* file_kinds.c - finding and opening files of every kind. */
#include "text/file_kinds.h"

#include <stdint.h>
#include <string.h>
#include <zlib.h>

#include "text/engine.h"
#include "text/folder.h"

enum { FILE_LIMIT = 1 << 30, MOST_FILES = 2 };

const wf_file_kind *const wf_file_kinds[] = {&wf_kind_tokenizer_json, &wf_kind_sentencepiece_ids,
                                             &wf_kind_sentencepiece,  &wf_kind_sentencepiece_source,
                                             &wf_kind_tiktoken,       &wf_kind_rwkv,
                                             &wf_kind_gguf,           &wf_kind_llama2c,
                                             &wf_kind_vocab_merges,   &wf_kind_vocab_txt,
                                             &wf_kind_vocabulary,     NULL};

const wf_file_kind *wf_file_kind_find(const char *name) {
    for (int i = 0; wf_file_kinds[i]; i++)
        if (wf_streq(wf_file_kinds[i]->name, name))
            return wf_file_kinds[i];
    return NULL;
}

/* ---- files ---- */

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Appends what the gzip file holds, FILE_LIMIT bytes at most. */
static weft_status inflate_all(wf_bytes packed, wf_str *out, weft_error *err) {
    z_stream z = {.avail_in = (uInt)packed.length};
    unsigned char buffer[1 << 15];
    int rc = Z_OK;
    z.next_in = (Bytef *)(uintptr_t)packed.data; /* zlib does not write there */
    WF_CHECK(inflateInit2(&z, 16 + MAX_WBITS) == Z_OK, err, WEFT_NO_MEMORY, "out of memory");
    while (rc == Z_OK && out->length <= FILE_LIMIT && !out->failed) {
        z.next_out = buffer;
        z.avail_out = sizeof buffer;
        rc = inflate(&z, Z_NO_FLUSH);
        wf_str_put(out, (const char *)buffer, sizeof buffer - z.avail_out);
    }
    inflateEnd(&z);
    if (out->failed)
        return wf_fail_memory(err);
    WF_CHECK(rc == Z_STREAM_END, err, WEFT_BAD_INPUT, rc == Z_OK ? "the file is too large" : "the gzip file is damaged");
    return WEFT_OK;
}

typedef struct opening { /* with what: */
    const wf_mem *mem;
    wf_pool *pool;      /* NULL: one thread */
    const char *folder; /* in which the file is, with what else it says; NULL: the file counts alone */
} opening;

typedef struct opened { /* one file, unpacked when it was packed */
    wf_file file;
    wf_str unpacked;
    wf_bytes bytes;
} opened;

static weft_status open_one(opening with, const char *path, opened *o, weft_error *err) {
    o->unpacked = wf_str_new(with.mem);
    WF_TRY(wf_file_open_on(with.mem, with.pool, path, FILE_LIMIT, &o->file, err));
    o->bytes = (wf_bytes){(const char *)o->file.data, o->file.size};
    if (o->file.size < 2 || o->file.data[0] != 0x1F || o->file.data[1] != 0x8B)
        return WEFT_OK;
    weft_status status = inflate_all(o->bytes, &o->unpacked, err);
    o->bytes = (wf_bytes){wf_str_text(&o->unpacked), o->unpacked.length};
    return status == WEFT_OK ? status : (wf_fail_in(err, "%s", path), status);
}

static void close_one(opened *o) {
    wf_file_close(&o->file);
    wf_str_free(&o->unpacked);
}

/* The text, which is the caller's from here on. */
static char *take_text(opened *o) {
    char *text = o->unpacked.data;
    if (!text)
        return wf_file_take(&o->file);
    o->unpacked = wf_str_new(o->unpacked.mem);
    return text;
}

/* ---- reading ---- */

static weft_status check_options(const wf_file_kind *kind, const wf_json *options, weft_error *err) {
    for (const wf_json *j = options ? options->child : NULL; j; j = j->next) {
        size_t i = 0;
        while (kind->options[i] && !wf_streq(kind->options[i], j->key))
            i++;
        WF_CHECK(kind->options[i], err, WEFT_UNSUPPORTED, "%s has no option '%s'", kind->name, j->key);
    }
    return WEFT_OK;
}

static weft_status convert(opening with, const wf_file_kind *kind, const wf_bytes *files, const wf_json *options,
                           wf_tokenizer **out, weft_error *err) {
    wf_str json = wf_str_new(with.mem);
    weft_status status = kind->convert(&(wf_kind_input){with.mem, files, options, with.pool}, &json, err);
    if (status == WEFT_OK && json.failed)
        status = wf_fail_memory(err);
    if (status == WEFT_OK)
        return wf_tokenizer_take(with.mem, with.pool, json.data, json.length, out, err);
    wf_str_free(&json);
    return status;
}

weft_status wf_tokenizer_read_as(const wf_mem *mem, const wf_file_kind *kind, const wf_bytes *files, const wf_json *options,
                                 wf_tokenizer **out, weft_error *err) {
    WF_TRY(check_options(kind, options, err));
    return kind->convert ? convert((opening){.mem = mem}, kind, files, options, out, err)
                         : wf_tokenizer_parse(mem, files[0].data, files[0].length, out, err);
}

static const wf_file_kind *recognise(const char *name, wf_bytes content) {
    for (int i = 0; wf_file_kinds[i]; i++)
        if (wf_file_kinds[i]->recognise && wf_file_kinds[i]->recognise(name, content))
            return wf_file_kinds[i];
    return NULL;
}

static weft_status check_count(const wf_file_kind *kind, const char *path, size_t n, weft_error *err) {
    WF_CHECK(kind, err, WEFT_UNSUPPORTED, "%s: no kind of tokenizer file that is known", path);
    WF_CHECK(kind->files == n, err, WEFT_USAGE, "%s: a tokenizer of kind %s has %zu file%s", path, kind->name, kind->files,
             kind->files == 1 ? "" : "s");
    return WEFT_OK;
}

/* A tokenizer.json, which belongs to the tokenizer from here on. */
static weft_status take_json(opening with, opened *o, wf_tokenizer **out, weft_error *err) {
    wf_str adapted = wf_str_new(with.mem);
    weft_status status = with.folder ? wf_folder_adapt(with.mem, with.folder, o->bytes, &adapted, err) : WEFT_OK;
    if (status == WEFT_OK && adapted.length)
        return wf_tokenizer_take(with.mem, with.pool, adapted.data, adapted.length, out, err);
    wf_str_free(&adapted);
    return status == WEFT_OK ? wf_tokenizer_take(with.mem, with.pool, take_text(o), o->bytes.length, out, err) : status;
}

static weft_status open_files(opening with, const wf_file_kind *kind, const char *const *paths, size_t n,
                              const wf_json *options, wf_tokenizer **out, weft_error *err) {
    opened files[MOST_FILES] = {{{0}}};
    wf_bytes bytes[MOST_FILES];
    weft_status status = WEFT_OK;
    WF_CHECK(n >= 1 && n <= MOST_FILES, err, WEFT_USAGE, "a tokenizer is one file or two");
    for (size_t i = 0; i < n && status == WEFT_OK; i++) {
        status = open_one(with, paths[i], &files[i], err);
        bytes[i] = files[i].bytes;
    }
    if (status == WEFT_OK && !kind)
        kind = recognise(base_name(paths[0]), bytes[0]);
    if (status == WEFT_OK)
        status = check_count(kind, paths[0], n, err);
    if (status == WEFT_OK) {
        status = check_options(kind, options, err);
        if (status == WEFT_OK)
            status = kind->convert ? convert(with, kind, bytes, options, out, err) : take_json(with, &files[0], out, err);
        if (status != WEFT_OK)
            wf_fail_in(err, "%s", paths[0]);
    }
    for (size_t i = 0; i < n; i++)
        close_one(&files[i]);
    return status;
}

weft_status wf_tokenizer_open_as(const wf_mem *mem, const char *kind, const char *const *paths, size_t n,
                                 const wf_json *options, wf_tokenizer **out, weft_error *err) {
    const wf_file_kind *row = kind ? wf_file_kind_find(kind) : NULL;
    WF_CHECK(row || !kind, err, WEFT_UNSUPPORTED, "tokenizer files of kind '%s'", kind);
    return open_files((opening){.mem = mem}, row, paths, n, options, out, err);
}

/* ---- folders ---- */

/* The path of a name in a folder. A star in it stands for any digits: the first such file, NULL when there is none. */
static weft_status find_name(wf_arena *arena, const char *folder, const char *name, char **path, weft_error *err) {
    const char *star = strchr(name, '*');
    char **names;
    size_t count;
    if (!star)
        return wf_path_inside(arena, folder, name, path, err);
    *path = NULL;
    WF_TRY(wf_list_dir(arena, folder, &names, &count, err));
    for (size_t i = 0; i < count; i++) {
        size_t before = (size_t)(star - name), digits;
        if (strncmp(names[i], name, before) != 0 || (digits = strspn(names[i] + before, "0123456789")) == 0)
            continue;
        if (wf_streq(names[i] + before + digits, star + 1))
            return wf_path_inside(arena, folder, names[i], path, err);
    }
    return WEFT_OK;
}

/* The paths of the files "a+b" in a folder; *count 0 when one is missing. */
static weft_status paths_in(wf_arena *arena, const char *folder, const char *names, const char *paths[MOST_FILES],
                            size_t *count, weft_error *err) {
    size_t n = 0;
    *count = 0;
    for (const char *at = names; *at && n < MOST_FILES;) {
        size_t length = strcspn(at, "+");
        char *name = wf_arena_strndup(arena, at, length), *path;
        if (!name)
            return wf_fail_memory(err);
        WF_TRY(find_name(arena, folder, name, &path, err));
        if (!path || !wf_is_file(path))
            return WEFT_OK;
        paths[n] = path;
        n++;
        at += length + (at[length] == '+');
    }
    *count = n;
    return WEFT_OK;
}

/* tokenizer_config.json says what the vocabulary's own file does not: members that are options of the kind. */
static weft_status config_options(const wf_file_kind *kind, wf_arena *arena, const char *folder, const wf_json **out,
                                  weft_error *err) {
    char *path;
    wf_json *config, *options = wf_json_new(arena, WF_JSON_OBJECT);
    const char *class = kind->usual_class;
    if (!options || (class && !wf_json_put(arena, options, "tokenizer_class", wf_json_new_string(arena, class, strlen(class)))))
        return wf_fail_memory(err);
    *out = options;
    WF_TRY(wf_path_inside(arena, folder, "tokenizer_config.json", &path, err));
    if (!wf_is_file(path))
        return WEFT_OK;
    WF_TRY(wf_json_parse_file(arena, path, &config, err));
    for (size_t i = 0; kind->options[i]; i++) {
        const wf_json *j = wf_json_get(config, kind->options[i]);
        if (j && j->kind != WF_JSON_NULL && !wf_json_put(arena, options, kind->options[i], wf_json_copy(arena, j)))
            return wf_fail_memory(err);
    }
    return WEFT_OK;
}

/* The kind of a file that was found by a name which other kinds have too; *kind stays where nobody knows the content. */
static weft_status look_inside(opening with, const char *path, const wf_file_kind **kind, weft_error *err) {
    opened file = {{0}};
    weft_status status = open_one(with, path, &file, err);
    const wf_file_kind *seen = status == WEFT_OK ? recognise(base_name(path), file.bytes) : NULL;
    *kind = seen ? seen : *kind;
    close_one(&file);
    return status;
}

/* The first kind with all its files in the folder; *out stays where there is none. */
static weft_status open_by_names(opening with, wf_arena *arena, const char *folder, bool target, wf_tokenizer **out,
                                 weft_error *err) {
    const char *paths[MOST_FILES];
    for (int i = 0; wf_file_kinds[i]; i++) {
        const wf_file_kind *kind = wf_file_kinds[i];
        const char *const *names = target ? kind->target : kind->folder;
        for (size_t k = 0; names && names[k]; k++) {
            const wf_json *options = NULL;
            size_t n;
            WF_TRY(paths_in(arena, folder, names[k], paths, &n, err));
            if (n == 0)
                continue;
            if (kind->recognise && kind->options[0])
                WF_TRY(look_inside(with, paths[0], &kind, err));
            WF_TRY(config_options(kind, arena, folder, &options, err));
            return open_files(with, kind->recognise && n == 1 ? NULL : kind, paths, n, kind->convert ? options : NULL, out,
                              err);
        }
    }
    return WEFT_OK;
}

/* ---- one file of two ---- */

/* Whether `name` is one of the names in "vocab.json+merges.txt". */
static bool is_half(const char *pair, const char *name) {
    size_t first = strcspn(pair, "+");
    return (strlen(name) == first && memcmp(name, pair, first) == 0) || (pair[first] && wf_streq(name, pair + first + 1));
}

/* The names of the pair that such a file is half of, with its kind; NULL: a whole. */
static const char *pair_of(const char *name, const wf_file_kind **kind) {
    for (int i = 0; wf_file_kinds[i]; i++)
        for (size_t k = 0; wf_file_kinds[i]->halves && wf_file_kinds[i]->folder[k]; k++)
            if (is_half(wf_file_kinds[i]->folder[k], name)) {
                *kind = wf_file_kinds[i];
                return wf_file_kinds[i]->folder[k];
            }
    return NULL;
}

static weft_status open_pair(opening with, wf_arena *arena, const char *path, const char *pair, const wf_file_kind *kind,
                             wf_tokenizer **out, weft_error *err) {
    const char *name = base_name(path), *paths[MOST_FILES];
    const char *folder = name == path ? "." : wf_arena_strndup(arena, path, (size_t)(name - path));
    const wf_json *options = NULL;
    size_t n;
    if (!folder)
        return wf_fail_memory(err);
    WF_TRY(paths_in(arena, folder, pair, paths, &n, err));
    if (n) {
        WF_TRY(config_options(kind, arena, folder, &options, err));
        return open_files(with, kind, paths, n, options, out, err);
    }
    weft_status status = open_files(with, NULL, &path, 1, NULL, out, err);
    bool strange = status == WEFT_BAD_INPUT || status == WEFT_UNSUPPORTED;
    size_t first = strcspn(pair, "+");
    return strange ? wf_fail(err, WEFT_BAD_INPUT, "%s: a tokenizer of %.*s and %s needs both, beside each other", path,
                             (int)first, pair, pair + first + 1)
                   : status;
}

static weft_status open_path(opening with, const char *path, wf_tokenizer **out, weft_error *err) {
    const wf_file_kind *kind;
    const char *pair = pair_of(base_name(path), &kind);
    wf_arena arena;
    if (!pair)
        return open_files(with, NULL, &path, 1, NULL, out, err);
    wf_arena_init(&arena, with.mem, 0);
    weft_status status = open_pair(with, &arena, path, pair, kind, out, err);
    wf_arena_free(&arena);
    return status;
}

/* ---- both ---- */

static weft_status open_folder(opening with, const char *folder, bool target, wf_tokenizer **out, weft_error *err) {
    wf_arena arena;
    wf_arena_init(&arena, with.mem, 0);
    *out = NULL;
    with.folder = folder;
    weft_status status = open_by_names(with, &arena, folder, target, out, err);
    wf_arena_free(&arena);
    return status;
}

weft_status wf_tokenizer_open_on(const wf_mem *mem, wf_pool *pool, const char *path, wf_tokenizer **out, weft_error *err) {
    opening with = {.mem = mem, .pool = pool};
    if (!wf_is_dir(path))
        return open_path(with, path, out, err);
    WF_TRY(open_folder(with, path, false, out, err));
    WF_CHECK(*out, err, WEFT_FAILURE,
             "%s: no tokenizer file in this folder (tokenizer.json, tokenizer.model, vocab.json and merges.txt, "
             "vocab.txt ...)",
             path);
    return WEFT_OK;
}

weft_status wf_tokenizer_open(const wf_mem *mem, const char *path, wf_tokenizer **out, weft_error *err) {
    return wf_tokenizer_open_on(mem, NULL, path, out, err);
}

weft_status wf_tokenizer_open_target(const wf_mem *mem, const char *folder, wf_tokenizer **out, weft_error *err) {
    return open_folder((opening){.mem = mem}, folder, true, out, err);
}

/* ---- tokenizer.json ---- */

static bool is_tokenizer_json(const char *name, wf_bytes content) {
    size_t i = 0;
    while (i < content.length && strchr(" \t\r\n", content.data[i]))
        i++;
    bool object = i < content.length && content.data[i] == '{';
    return object || wf_ends_with(name, ".json") || content.length == 0;
}

static const char *const tokenizer_json_names[] = {"tokenizer.json", "tokenizer.json.gz", NULL}, *const no_options[] = {NULL};
const wf_file_kind wf_kind_tokenizer_json = {.name = "tokenizer.json",
                                             .folder = tokenizer_json_names,
                                             .recognise = is_tokenizer_json,
                                             .options = no_options,
                                             .files = 1};
