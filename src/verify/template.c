/* template.c - kind `template`: chat templates and what they render. */
#include <string.h>
#include "base/reader.h"
#include "template/chat.h"
#include "verify/fixture.h"

typedef struct run {
    wf_fixture *fx;
    const wf_json *variables; /* of the whole fixture, NULL: none */
    const wf_json *limits;
    wf_template *shared; /* NULL: every case brings its own */
    size_t cases, wrong;
    weft_error first; /* what was wrong with the first case that failed */
} run;

/* ---- reading ---- */

static weft_status read_lines(wf_fixture *fx, wf_file *file, weft_error *err) {
    char *path = wf_path_join(&fx->arena, fx->path, "cases.jsonl");
    return path ? wf_file_open(&fx->env->mem, path, false, 0, file, err) : wf_fail_memory(err);
}

static weft_status open_parts(run *r, weft_error *err) {
    const char *name = wf_json_text(r->fx->json, "template", NULL), *names = wf_json_text(r->fx->json, "variables", NULL);
    wf_json *variables;
    wf_file file;
    if (names) {
        char *path = wf_path_join(&r->fx->arena, r->fx->path, names);
        if (!path)
            return wf_fail_memory(err);
        WF_TRY(wf_json_parse_file(&r->fx->arena, path, &variables, err));
        r->variables = variables;
    }
    if (!name)
        return WEFT_OK;
    char *path = wf_path_join(&r->fx->arena, r->fx->path, name);
    if (!path)
        return wf_fail_memory(err);
    WF_TRY(wf_file_open(&r->fx->env->mem, path, false, 0, &file, err));
    weft_status status = wf_template_compile(&r->fx->env->mem, (const char *)file.data, file.size, &r->shared, err);
    wf_file_close(&file);
    return status;
}

/* prefix + repeat * count + middle + repeat_after * count + suffix, or the template itself. */
static weft_status source_of(run *r, const wf_json *one, wf_str *out, weft_error *err) {
    const char *text = wf_json_text(one, "template", NULL);
    int64_t count = wf_json_int(one, "count", 0);
    const wf_json *whole = wf_json_get(one, "template");
    WF_CHECK(count >= 0 && count <= 10000000, err, WEFT_BAD_INPUT, "a case of impossible length");
    if (text) {
        wf_str_put(out, whole->string, whole->length);
    } else {
        wf_str_puts(out, wf_json_text(one, "prefix", ""));
        for (int64_t i = 0; i < count; i++)
            wf_str_puts(out, wf_json_text(one, "repeat", ""));
        wf_str_puts(out, wf_json_text(one, "middle", ""));
        for (int64_t i = 0; i < count; i++)
            wf_str_puts(out, wf_json_text(one, "repeat_after", ""));
        wf_str_puts(out, wf_json_text(one, "suffix", ""));
    }
    return out->failed ? wf_fail_memory(err) : WEFT_OK;
}

/* "2025-03-09T07:05:02" as seconds since 1970 of a clock without zones (days from civil, Hinnant). */
static int64_t moment(const char *text) {
    static const int widths[] = {4, 2, 2, 2, 2, 2};
    int64_t f[6] = {1970, 1, 1, 0, 0, 0};
    size_t at = 0, length = text ? strlen(text) : 0;
    for (int i = 0; i < 6 && at + (size_t)widths[i] <= length; i++) {
        wf_parse_i64(text + at, (size_t)widths[i], &f[i]);
        at += (size_t)widths[i] + 1;
    }
    int64_t y = f[0] - (f[1] <= 2), era = y / 400, year = y - era * 400,
            day = (153 * (f[1] + (f[1] > 2 ? -3 : 9)) + 2) / 5 + f[2] - 1;
    int64_t days = era * 146097 + year * 365 + year / 4 - year / 100 + day - 719468;
    return ((days * 24 + f[3]) * 60 + f[4]) * 60 + f[5];
}

/* ---- running one case ---- */

static bool listed(const char *const *words, const char *word) {
    for (; *words; words++)
        if (wf_streq(*words, word))
            return true;
    return false;
}

/* What the template sees beside the messages: everything but the words of the fixture. */
static wf_json *names_of(run *r, wf_arena *arena, const wf_json *one) {
    static const char *const words[] = {"case",
                                        "text",
                                        "error",
                                        "assistant_spans",
                                        "now",
                                        "variables",
                                        "continue_final_message",
                                        "messages",
                                        "tools",
                                        "documents",
                                        "add_generation_prompt",
                                        "template",
                                        "rare",
                                        "expect",
                                        "reference",
                                        "length",
                                        "deep",
                                        "prefix",
                                        "repeat",
                                        "count",
                                        "middle",
                                        "repeat_after",
                                        "suffix",
                                        NULL};
    const wf_json *more[] = {r->variables, one, wf_json_get(one, "variables")};
    wf_json *out = wf_json_new(arena, WF_JSON_OBJECT);
    for (int i = 0; i < 3; i++)
        for (const wf_json *j = more[i] ? more[i]->child : NULL; j; j = j->next)
            if (i != 1 || !listed(words, j->key))
                wf_json_put(arena, out, j->key, wf_json_copy(arena, j));
    return out;
}

static wf_json *nested(wf_arena *arena, int64_t deep) {
    wf_json *out = wf_json_new(arena, WF_JSON_ARRAY);
    for (; out && deep > 1; deep--) {
        wf_json *outer = wf_json_new(arena, WF_JSON_ARRAY);
        wf_json_push(outer, out);
        out = outer;
    }
    return out;
}

static weft_status render_chat(run *r, wf_arena *arena, const wf_json *one, const wf_template_input *limits,
                               wf_template_result *result, weft_error *err) {
    const wf_json *go_on = wf_json_get(one, "continue_final_message");
    wf_chat chat = {.messages = wf_json_get(one, "messages"),
                    .tools = wf_json_get(one, "tools"),
                    .documents = wf_json_get(one, "documents"),
                    .add_generation_prompt = wf_json_bool(one, "add_generation_prompt", false),
                    .variables = limits->variables};
    if (go_on)
        chat.continue_field = go_on->kind == WF_JSON_STRING ? go_on->string : go_on->kind == WF_JSON_TRUE ? "content" : NULL;
    return wf_chat_render(r->shared, &r->fx->env->mem, &chat, limits, result, err);
}

static weft_status render_own(run *r, const wf_json *one, const wf_template_input *in, wf_template_result *result,
                              weft_error *err) {
    wf_str source = wf_str_new(&r->fx->env->mem);
    wf_template *t = NULL;
    *result = (wf_template_result){.text = wf_str_new(&r->fx->env->mem), .message = wf_str_new(&r->fx->env->mem)};
    weft_status status = source_of(r, one, &source, err);
    if (status == WEFT_OK)
        status = wf_template_compile(&r->fx->env->mem, wf_str_text(&source), source.length, &t, err);
    if (status == WEFT_OK)
        status = wf_template_render(t, &r->fx->env->mem, in, result, err);
    wf_template_free(t);
    wf_str_free(&source);
    return status;
}

/* ---- comparing ---- */

static bool same_text(const wf_json *expected, const wf_str *got) {
    return expected && expected->length == got->length && memcmp(expected->string, wf_str_text(got), got->length) == 0;
}

static bool same_spans(const wf_json *expected, const wf_template_result *got) {
    size_t i = 0;
    if (!expected)
        return true;
    if (expected->count != got->n_spans)
        return false;
    for (const wf_json *span = expected->child; span; span = span->next, i++) {
        const wf_json *start = wf_json_at(span, 0), *end = wf_json_at(span, 1);
        if (!start || !end || start->integer != (int64_t)got->spans[i].start || end->integer != (int64_t)got->spans[i].end)
            return false;
    }
    return true;
}

/* An error is expected to be an error; what a template raises must carry its message. */
static bool same_error(const wf_json *expected, weft_status status, const wf_template_result *got) {
    const char *message = wf_json_text(expected, "message", "");
    if (status == WEFT_OK || status == WEFT_NO_MEMORY)
        return false;
    return !wf_streq(wf_json_text(expected, "kind", ""), "raise_exception") || strstr(wf_str_text(&got->message), message);
}

static bool as_expected(const wf_json *one, weft_status status, const wf_template_result *got) {
    const wf_json *error = wf_json_get(one, "error"), *text = wf_json_get(one, "text");
    const char *expect = wf_json_text(one, "expect", "");
    bool any_error = wf_json_bool(one, "rare", false) || wf_streq(expect, "text or error");
    if (status == WEFT_NO_MEMORY)
        return false;
    if (status != WEFT_OK && any_error)
        return true;
    if (error || wf_streq(expect, "error"))
        return error ? same_error(error, status, got) : status != WEFT_OK;
    return status == WEFT_OK && same_text(text, &got->text) && same_spans(wf_json_get(one, "assistant_spans"), got);
}

static void note(run *r, const wf_json *one, weft_status status, const wf_template_result *got, const weft_error *err) {
    const wf_env *env = r->fx->env;
    const char *name = wf_json_text(one, "case", wf_json_text(one, "template", "?"));
    wf_log(env, WF_INFO, "%s: case %zu (%s): %s%s", r->fx->name, r->cases, name, status ? "error: " : "got ",
           status ? err->message : wf_str_text(&got->text));
    if (r->wrong++ == 0)
        wf_fail(&r->first, WEFT_MISMATCH, "case %zu (%.100s): %s%.200s", r->cases, name, status ? "error: " : "got ",
                status ? err->message : wf_str_text(&got->text));
}

/* The variables of the case; a template of its own takes `messages` as they are. */
static weft_status variables_of(run *r, wf_arena *arena, const wf_json *one, const wf_json **out, weft_error *err) {
    int64_t deep = wf_json_int(one, "deep", 0);
    const wf_json *messages = wf_json_get(one, "messages");
    wf_json *names = names_of(r, arena, one);
    WF_CHECK(deep >= 0 && deep <= 1000000, err, WEFT_BAD_INPUT, "a case of impossible depth");
    if (deep > 0)
        wf_json_put(arena, names, "messages", nested(arena, deep));
    else if (!r->shared && messages)
        wf_json_put(arena, names, "messages", wf_json_copy(arena, messages));
    *out = names;
    return arena->failed ? wf_fail_memory(err) : WEFT_OK;
}

static weft_status run_case(run *r, wf_arena *arena, const wf_json *one, weft_error *err) {
    weft_error own = {.offset = -1};
    wf_template_result result;
    wf_template_input in = {.now = moment(wf_json_text(one, "now", NULL)),
                            .utc = true,
                            .env = r->fx->env,
                            .memory = (size_t)wf_json_int(r->limits, "memory_MiB", 0)
                                      << 18}; /* a quarter: text and values grow by doubling */
    WF_TRY(variables_of(r, arena, one, &in.variables, err));
    double start = wf_cpu_seconds(); /* rendering waits for nothing; a busy machine is not its fault */
    weft_status status = r->shared ? render_chat(r, arena, one, &in, &result, &own) : render_own(r, one, &in, &result, &own);
    r->cases++;
    if (wf_cpu_seconds() - start > wf_json_double(r->limits, "seconds", 1e9))
        status = wf_fail(&own, WEFT_NO_MEMORY, "over the limit of time");
    if (!as_expected(one, status, &result))
        note(r, one, status, &result, &own);
    wf_template_result_free(&result);
    return status == WEFT_INTERRUPTED || status == WEFT_TERMINATED ? status : WEFT_OK;
}

static weft_status run_lines(run *r, const wf_file *file, weft_error *err) {
    const char *at = (const char *)file->data, *end = at + file->size;
    weft_status status = WEFT_OK;
    while (at < end && status == WEFT_OK) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        wf_arena arena;
        wf_json *one;
        stop = stop ? stop : end;
        wf_arena_init(&arena, &r->fx->env->mem, 0);
        if (stop > at) {
            status = wf_json_parse(&arena, at, (size_t)(stop - at), 0, &one, err);
            status = status ? status : run_case(r, &arena, one, err);
        }
        wf_arena_free(&arena);
        at = stop + 1;
    }
    return status;
}

weft_status wf_verify_template(wf_fixture *fx, weft_error *err) {
    run r = {.fx = fx, .limits = wf_json_get(fx->json, "limits"), .first = {.offset = -1}};
    wf_file file;
    WF_TRY(read_lines(fx, &file, err));
    weft_status status = open_parts(&r, err);
    if (status == WEFT_OK)
        status = run_lines(&r, &file, err);
    wf_template_free(r.shared);
    wf_file_close(&file);
    WF_TRY(status);
    WF_CHECK(r.cases > 0, err, WEFT_BAD_INPUT, "the fixture has no cases");
    WF_CHECK(r.wrong == 0, err, WEFT_MISMATCH, "%zu of %zu cases differ: %.300s", r.wrong, r.cases, r.first.message);
    fx->n_compared += r.cases;
    return WEFT_OK;
}
