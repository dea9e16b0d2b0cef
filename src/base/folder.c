#include "base/reader.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LONGEST_PATH = 4096 };

bool wf_is_dir(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool wf_is_file(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static weft_status make_one(const char *path, weft_error *err) {
    if (mkdir(path, 0777) == 0)
        return WEFT_OK;
    int code = errno;
    if (code == EEXIST && wf_is_dir(path))
        return WEFT_OK;
    errno = code == EEXIST ? ENOTDIR : code;
    return wf_fail_os(err, path);
}

weft_status wf_make_dir(const char *path, weft_error *err) {
    size_t length = strlen(path);
    WF_CHECK(length > 0 && length < LONGEST_PATH, err, WEFT_USAGE, "a folder name must have 1 to %d bytes", LONGEST_PATH - 1);
    char copy[LONGEST_PATH];
    memcpy(copy, path, length + 1);
    for (size_t i = 1; i < length; i++) {
        if (copy[i] != '/' || copy[i - 1] == '/')
            continue;
        copy[i] = 0;
        WF_TRY(make_one(copy, err));
        copy[i] = '/';
    }
    return make_one(copy, err);
}

char *wf_path_join(wf_arena *arena, const char *folder, const char *name) {
    size_t length = strlen(folder);
    if (length == 0)
        return wf_arena_strdup(arena, name);
    while (length > 1 && folder[length - 1] == '/')
        length--;
    size_t room = strlen(name) + 1;
    bool slash = folder[length - 1] != '/';
    char *path = wf_arena_alloc(arena, length + slash + room);
    if (!path)
        return NULL;
    memcpy(path, folder, length);
    path[length] = '/'; /* overwritten by the name when the folder is the root */
    memcpy(path + length + slash, name, room);
    return path;
}

bool wf_is_plain_name(const char *name, size_t length) {
    return length > 0 && strlen(name) == length && name[0] != '.' && !strchr(name, '/') && !strchr(name, '\\');
}

/* Cuts the last part off; false at the root. */
static bool to_parent(char *path) {
    char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return false;
    *slash = 0;
    return true;
}

static bool is_below(const char *path, const char *folder) {
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || (n > 0 && folder[n - 1] == '/'));
}

/* The blobs of the repository that `folder` (a real path, cut to pieces here) is a snapshot of, or a folder in one. */
static bool in_blobs(const char *path, char *folder) {
    while (to_parent(folder)) {
        const char *name = strrchr(folder, '/');
        if (!name || strcmp(name, "/snapshots") != 0)
            continue;
        to_parent(folder);
        size_t n = strlen(folder);
        return is_below(path, folder) && strncmp(path + n, "/blobs/", strlen("/blobs/")) == 0;
    }
    return false;
}

weft_status wf_path_inside(wf_arena *arena, const char *folder, const char *name, char **out, weft_error *err) {
    char place[PATH_MAX], target[PATH_MAX];
    WF_CHECK(wf_is_plain_name(name, strlen(name)), err, WEFT_BAD_INPUT, "'%s' is not a plain file name", name);
    char *path = wf_path_join(arena, folder, name);
    if (!path)
        return wf_fail_memory(err);
    *out = path;
    if (!realpath(*folder ? folder : ".", place) || !realpath(path, target))
        return errno == ENOENT || errno == ENOTDIR ? WEFT_OK : wf_fail_os(err, path);
    WF_CHECK(is_below(target, place) || in_blobs(target, place), err, WEFT_BAD_INPUT, "%s: a link that leads out of the folder",
             path);
    return WEFT_OK;
}

typedef struct entry {
    struct entry *next;
    char *name;
} entry;

static weft_status read_entries(wf_arena *arena, DIR *dir, const char *path, entry **out, size_t *count, weft_error *err) {
    for (;;) {
        errno = 0;
        struct dirent *found = readdir(dir);
        if (!found)
            return errno ? wf_fail_os(err, path) : WEFT_OK;
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0)
            continue;
        entry *e = wf_arena_alloc(arena, sizeof *e);
        char *name = wf_arena_strdup(arena, found->d_name);
        if (!e || !name)
            return wf_fail_memory(err);
        *e = (entry){*out, name};
        *out = e;
        ++*count;
    }
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

weft_status wf_list_dir(wf_arena *arena, const char *path, char ***names, size_t *count, weft_error *err) {
    entry *entries = NULL;
    size_t n = 0;
    *names = NULL;
    *count = 0;
    DIR *dir = opendir(path);
    if (!dir)
        return wf_fail_os(err, path);
    weft_status status = read_entries(arena, dir, path, &entries, &n, err);
    closedir(dir);
    if (status != WEFT_OK)
        return status;
    char **list = wf_arena_alloc(arena, n * sizeof *list);
    if (!list)
        return wf_fail_memory(err);
    for (size_t i = 0; i < n; i++, entries = entries->next)
        list[i] = entries->name;
    if (n > 1)
        qsort(list, n, sizeof *list, by_bytes);
    *names = list;
    *count = n;
    return WEFT_OK;
}
