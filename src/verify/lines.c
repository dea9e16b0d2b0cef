#include "verify/lines.h"
#include <string.h>
#include "base/reader.h"

static weft_status run_line(const wf_fixture *fx, const char *text, size_t n, wf_line_fn fn, void *user, weft_error *err) {
    wf_arena arena;
    wf_json *json;
    wf_arena_init(&arena, &fx->env->mem, 0);
    weft_status status = wf_json_parse(&arena, text, n, 0, &json, err);
    if (status == WEFT_OK)
        status = fn(user, &arena, json);
    wf_arena_free(&arena);
    return status;
}

weft_status wf_each_line(wf_fixture *fx, const char *file, wf_line_fn fn, void *user, size_t *seen, weft_error *err) {
    char *path = wf_path_join(&fx->arena, fx->path, file);
    wf_file f;
    if (!path)
        return wf_fail_memory(err);
    if (!wf_is_file(path))
        return WEFT_OK;
    WF_TRY(wf_file_open(&fx->env->mem, path, false, 1u << 30, &f, err));
    weft_status status = WEFT_OK;
    const char *at = (const char *)f.data, *end = at + f.size;
    for (size_t line = 1; status == WEFT_OK && at < end; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        if (stop > at) {
            status = run_line(fx, at, (size_t)(stop - at), fn, user, err);
            ++*seen;
        }
        if (status != WEFT_OK)
            wf_fail_in(err, "%s:%zu", file, line);
        at = stop + 1;
    }
    wf_file_close(&f);
    return status;
}
