#include "formats/hub.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/reader.h"
#include "base/str.h"

enum { REF_BYTES = 256 };

/* ---- the cache ---- */
typedef struct place {
    const char *variable, *below;
} place;
static const place places[] = {{"HF_HUB_CACHE", ""},
                               {"HUGGINGFACE_HUB_CACHE", ""},
                               {"HF_HOME", "hub"},
                               {"XDG_CACHE_HOME", "huggingface/hub"},
                               {"HOME", ".cache/huggingface/hub"}};

/* Where tools/get-model puts what it fetches: one folder a model. */
static const place fetched[] = {{"WEFT_MODELS", ""}, {"HOME", ".cache/weft/models"}};

/* NULL: there is none to look in. */
static char *first_place(wf_arena *arena, const place *list, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const char *root = getenv(list[i].variable);
        if (root && *root)
            return *list[i].below ? wf_path_join(arena, root, list[i].below) : wf_arena_strdup(arena, root);
    }
    return NULL;
}

/* ---- names ---- */
static bool is_word(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-_.", c)))
            return false;
    }
    return n > 0 && n <= 96 && text[0] != '.' && text[0] != '-';
}

typedef struct repository {
    const char *org, *name, *revision; /* org NULL: none */
} repository;

/* "name", "org/name", and maybe "@revision"; false for anything else. */
static bool split(wf_arena *arena, const char *text, repository *out) {
    size_t length = strcspn(text, "@"), first = strcspn(text, "/");
    first = first < length ? first : length;
    const char *second = first < length ? text + first + 1 : NULL;
    size_t rest = second ? length - first - 1 : 0;
    if (!is_word(text, first) || (second && !is_word(second, rest)))
        return false;
    out->org = second ? wf_arena_strndup(arena, text, first) : NULL;
    out->name = second ? wf_arena_strndup(arena, second, rest) : wf_arena_strndup(arena, text, first);
    out->revision = text[length] ? text + length + 1 : "main";
    return is_word(out->revision, strlen(out->revision));
}

/* ---- a snapshot ---- */
/* The commit that refs/REVISION holds; *out NULL when there is no such file. */
static weft_status read_ref(wf_arena *arena, const char *folder, const char *revision, const char **out, weft_error *err) {
    wf_file file;
    char *refs = wf_path_join(arena, folder, "refs"), *path = NULL;
    *out = NULL;
    if (!refs)
        return wf_fail_memory(err);
    WF_TRY(wf_path_inside(arena, refs, revision, &path, err));
    if (!wf_is_file(path))
        return WEFT_OK;
    WF_TRY(wf_file_open(arena->mem, path, false, REF_BYTES, &file, err));
    size_t n = file.size;
    while (n > 0 && strchr(" \t\r\n", (char)file.data[n - 1]))
        n--;
    bool fine = is_word((const char *)file.data, n);
    *out = fine ? wf_arena_strndup(arena, (const char *)file.data, n) : NULL;
    wf_file_close(&file);
    WF_CHECK(fine, err, WEFT_BAD_INPUT, "%s: it does not name a commit", path);
    return *out ? WEFT_OK : wf_fail_memory(err);
}

static weft_status find_snapshot(wf_arena *arena, const char *folder, const char *name, const char *revision, const char **out,
                                 weft_error *err) {
    const char *commit;
    char *snapshots = wf_path_join(arena, folder, "snapshots"), *path;
    if (!snapshots)
        return wf_fail_memory(err);
    WF_TRY(read_ref(arena, folder, revision, &commit, err));
    WF_TRY(wf_path_inside(arena, snapshots, commit ? commit : revision, &path, err));
    WF_CHECK(wf_is_dir(path), err, WEFT_USAGE, "'%s' is in the cache (%s), but without the revision '%s'", name, folder,
             revision);
    *out = path;
    return WEFT_OK;
}

/* *out is left alone when nothing of this name was fetched. */
static weft_status find_fetched(wf_arena *arena, const char *name, const char **out, weft_error *err) {
    char *models = first_place(arena, fetched, sizeof fetched / sizeof *fetched),
         *folder = models ? wf_path_join(arena, models, name) : NULL;
    if (folder && wf_is_dir(folder))
        *out = folder;
    return arena->failed ? wf_fail_memory(err) : WEFT_OK;
}

weft_status wf_hub_path(wf_arena *arena, const char *name, const char **out, weft_error *err) {
    repository r = {NULL, NULL, NULL};
    *out = name;
    if (access(name, F_OK) == 0 || !split(arena, name, &r))
        return arena->failed ? wf_fail_memory(err) : WEFT_OK;
    char *cache = first_place(arena, places, sizeof places / sizeof *places),
         *entry =
             r.org ? wf_arena_printf(arena, "models--%s--%s", r.org, r.name) : wf_arena_printf(arena, "models--%s", r.name),
         *folder = cache && entry ? wf_path_join(arena, cache, entry) : NULL;
    if (arena->failed)
        return wf_fail_memory(err);
    if (folder && wf_is_dir(folder))
        return find_snapshot(arena, folder, name, r.revision, out, err);
    return r.org || strchr(name, '@') ? WEFT_OK : find_fetched(arena, name, out, err);
}
