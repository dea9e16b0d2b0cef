/* weft.c - the facade: implements include/weft/weft.h over the rooms. The only file besides the jobs that sees them all. */
#include "weft/weft.h"
#include <stdlib.h>
#include <string.h>
#include "jobs/job.h"
#include "weft_handle.h"

void weft_options_init(weft_options *options) {
    memset(options, 0, sizeof *options);
    options->struct_size = sizeof *options;
}

const char *weft_version(void) { return "0.1.0"; }

/* ---- the handle ---- */
static weft_status thread_count(const weft_options *options, int *out, weft_error *err) {
    const char *text = getenv("WEFT_THREADS");
    int64_t n = options ? options->threads : 0;
    if (text && *text)
        WF_CHECK(wf_parse_i64(text, strlen(text), &n), err, WEFT_USAGE, "WEFT_THREADS must be a number, not '%s'", text);
    if (n == 0)
        n = wf_cpu_count() < 256 ? wf_cpu_count() : 256;
    WF_CHECK(n >= 1 && n <= 256, err, WEFT_USAGE, "threads must be from 1 to 256, not %lld", (long long)n);
    *out = (int)n;
    return WEFT_OK;
}

static weft_status open_handle(weft *lib, const weft_options *options, weft_error *err) {
    const char *mask = getenv("WEFT_CPU");
    int threads = 1;
    WF_TRY(thread_count(options, &threads, err));
    WF_TRY(wf_kernels_choose(mask && *mask ? mask : options ? options->cpu : NULL, &lib->kernels, err));
    lib->env.kernels = &lib->kernels;
    lib->env.stop = &lib->stop;
    return wf_pool_create(&lib->env.mem, threads, &lib->env.pool, err);
}

static weft_status take_family(weft *lib, const weft_options *options, weft_error *err) {
    const char *path =
        options && options->struct_size >= offsetof(weft_options, family) + sizeof options->family ? options->family : NULL;
    lib->env.family = lib->family = path ? wf_strdup(&lib->env.mem, path) : NULL;
    return path && !lib->family ? wf_fail_memory(err) : WEFT_OK;
}

weft_status weft_create(const weft_options *options, weft **out, weft_error *err) {
    wf_mem mem =
        options && options->resize ? (wf_mem){options->resize, options->release, options->memory_user} : wf_mem_default;
    weft *lib = wf_calloc(&mem, 1, sizeof *lib);
    if (!lib)
        return wf_fail_memory(err);
    lib->env.mem = mem;
    if (options) {
        lib->env.log = options->log;
        lib->env.log_user = options->log_user;
    }
    weft_status status = take_family(lib, options, err);
    if (status == WEFT_OK)
        status = open_handle(lib, options, err);
    if (status != WEFT_OK) {
        wf_free(&mem, lib->family);
        wf_free(&mem, lib);
        return status;
    }
    *out = lib;
    return WEFT_OK;
}

void weft_free(weft *lib) {
    if (!lib)
        return;
    wf_mem mem = lib->env.mem;
    wf_pool_free(lib->env.pool);
    wf_free(&mem, lib->family);
    wf_free(&mem, lib);
}

void weft_interrupt(weft *lib, int status) { atomic_store(&lib->stop, status); }

/* ---- jobs ---- */
void weft_result_free(weft *lib, weft_result *result) {
    if (!lib || !result)
        return;
    wf_free(&lib->env.mem, result->json);
    wf_free(&lib->env.mem, result->text);
    *result = (weft_result){NULL, NULL};
}

/* Options may spell words with '-' as the command line does. */
static void dashes_to_underscores(wf_arena *arena, wf_json *options) {
    for (wf_json *j = options ? options->child : NULL; j; j = j->next) {
        char *key = wf_arena_strdup(arena, j->key);
        for (char *c = key; c && *c; c++)
            *c = *c == '-' ? '_' : *c;
        j->key = key ? key : j->key;
    }
}

static weft_status take_result(wf_job *job, weft_result *result) {
    const wf_mem *mem = &job->env->mem;
    wf_str json = wf_str_new(mem);
    if (job->json)
        wf_json_print(&json, job->json, 2);
    char *j = json.failed ? NULL : wf_strdup(mem, wf_str_text(&json)),
         *t = job->text.failed ? NULL : wf_strdup(mem, wf_str_text(&job->text));
    wf_str_free(&json);
    if (!j || !t) {
        wf_free(mem, j);
        wf_free(mem, t);
        return wf_fail_memory(job->err);
    }
    *result = (weft_result){j, t};
    return WEFT_OK;
}

static weft_status read_options(wf_job *job, const char *options, wf_json **tree) {
    weft_status status = options ? wf_json_parse(job->arena, options, strlen(options), 0, tree, job->err) : WEFT_OK;
    if (status == WEFT_OK) {
        dashes_to_underscores(job->arena, *tree);
        return WEFT_OK;
    }
    wf_fail_in(job->err, "options");
    return status == WEFT_BAD_INPUT ? (job->err->status = WEFT_USAGE) : status;
}

/* Where the arena ran out, options or results may lack members, so whatever the job made of them does not count. */
static weft_status settle(wf_job *job, weft_status status) {
    bool stopped = status == WEFT_INTERRUPTED || status == WEFT_TERMINATED;
    return (job->arena->failed || job->text.failed) && !stopped ? wf_fail_memory(job->err) : status;
}

static weft_status take_path(const wf_json *options, const char *key, const char **out, weft_error *err) {
    const wf_json *path = wf_json_get(options, key);
    WF_CHECK(!path || path->kind == WF_JSON_STRING || path->kind == WF_JSON_NULL, err, WEFT_USAGE, "'%s' must be a path", key);
    *out = wf_json_text(options, key, NULL);
    return WEFT_OK;
}

/* What models are opened with are options of every job that opens one; those that do not, do not know them, or have another
 * use for the word. */
static weft_status take_companions(wf_env *env, const wf_json *options, weft_error *err) {
    WF_TRY(take_path(options, "adapter", &env->adapter, err));
    return take_path(options, "tokenizer", &env->tokenizer, err);
}

static weft_status run_job(weft *lib, wf_job *job, wf_job_fn fn, const char *options, weft_result *result) {
    wf_arena arena;
    wf_env env = lib->env;
    wf_json *tree = NULL;
    weft_error own = {.offset = -1};
    wf_arena_init(&arena, &lib->env.mem, 0);
    job->env = &env;
    job->arena = &arena;
    job->text = wf_str_new(&lib->env.mem);
    job->err = job->err ? job->err : &own;
    weft_status status = read_options(job, options, &tree);
    if (status == WEFT_OK)
        status = take_companions(&env, tree, job->err);
    if (status == WEFT_OK) {
        job->options = tree;
        job->json = wf_json_new(&arena, WF_JSON_OBJECT);
        status = settle(job, fn(job));
    }
    if (result && job->json) {
        weft_status taken = take_result(job, result);
        status = status == WEFT_OK ? taken : status;
    }
    wf_str_free(&job->text);
    wf_arena_free(&arena);
    return status;
}

#define WF_JOB(name)                                                                                                           \
    weft_status weft_##name(weft *lib, const char *options, weft_progress_fn progress, void *user, weft_result *result,        \
                            weft_error *err) {                                                                                 \
        wf_job job = {.progress = progress, .user = user, .err = err};                                                         \
        return run_job(lib, &job, wf_job_##name, options, result);                                                             \
    }
#include "jobs/jobs.def"
#undef WF_JOB

weft_status weft_tokenize_stream(weft *lib, const char *options, weft_text_fn text, void *user, weft_result *result,
                                 weft_error *err) {
    wf_job job = {.piece = text, .user = user, .err = err};
    return run_job(lib, &job, wf_job_tokenize, options, result);
}

#define WF_TEXT_JOB(name)                                                                                                      \
    weft_status weft_##name(weft *lib, const char *options, weft_text_fn piece, void *user, weft_result *result,               \
                            weft_error *err) {                                                                                 \
        wf_job job = {.piece = piece, .user = user, .err = err};                                                               \
        return run_job(lib, &job, wf_job_##name, options, result);                                                             \
    }
#include "jobs/texts.def"
#undef WF_TEXT_JOB
