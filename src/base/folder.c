#include "base/reader.h"
#include <dirent.h>
#include <errno.h>
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
