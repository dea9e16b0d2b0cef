/* bench_start.c - how soon the program answers: `weft list`, and the first token of a small model. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/reader.h"
#include "families/load.h"
#include "jobs/bench.h"
#include "jobs/put.h"
#include "presets/presets.h"
#include "text/tokenizer.h"

extern char **environ;

/* posix_spawn takes char *const[] and changes nothing. */
static int spawn(pid_t *pid, const char *program, const posix_spawn_file_actions_t *actions, const char *const *argv) {
    union {
        const char *const *in;
        char *const *out;
    } cast = {argv};
    return posix_spawn(pid, program, actions, NULL, cast.out, environ);
}

weft_status wf_bench_spawn(void *state, double *seconds, weft_error *err) {
    const wf_bench_command *c = state;
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = -1;
    WF_CHECK(posix_spawn_file_actions_init(&actions) == 0, err, WEFT_NO_MEMORY, "out of memory");
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    double from = wf_seconds();
    int failed = spawn(&pid, c->argv[0], &actions, c->argv);
    if (failed == 0)
        while (waitpid(pid, &status, 0) < 0)
            if (wf_seconds() - from > 60.0)
                break;
    *seconds = wf_seconds() - from;
    posix_spawn_file_actions_destroy(&actions);
    WF_CHECK(failed == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0, err, WEFT_FAILURE, "%s %s failed", c->argv[0],
             c->argv[1]);
    return WEFT_OK;
}

/* A model of 1 MB with a byte tokenizer. */
static weft_status write_model(wf_bench *b, const char *folder, const char *tokenizer) {
    wf_json *template_, *spec;
    wf_model *model;
    wf_tokenizer *tok;
    const wf_env *env = b->job->env;
    WF_TRY(wf_preset_template(b->job->arena, "llama", &template_, b->job->err));
    WF_TRY(wf_preset_solve(env, b->job->arena, template_, &(wf_sizing){262144, 256, 256}, &spec, b->job->err));
    WF_TRY(wf_bench_model(b, spec, &model));
    weft_status status = wf_model_save(model, folder, NULL, b->job->err);
    wf_model_free(model);
    if (status == WEFT_OK)
        status = wf_tokenizer_bytes(&env->mem, NULL, 0, &tok, b->job->err);
    if (status == WEFT_OK) {
        status = wf_tokenizer_save(tok, tokenizer, b->job->err);
        wf_tokenizer_free(tok);
    }
    return status;
}

void wf_bench_remove(wf_bench *b, const char *folder) {
    char **names;
    size_t n;
    if (wf_list_dir(b->job->arena, folder, &names, &n, NULL) != WEFT_OK)
        return;
    for (size_t i = 0; i < n; i++) {
        const char *path = wf_path_join(b->job->arena, folder, names[i]);
        if (path)
            unlink(path);
    }
    rmdir(folder);
}

static weft_status time_first_token(wf_bench *b, const char *folder) {
    const char *tokenizer = wf_path_join(b->job->arena, folder, "tokenizer.json");
    wf_bench_command c = {{b->program, "generate", folder, "To be", "--max-tokens", "1", "--quiet", NULL}};
    wf_bench_line *line = wf_bench_add(b, "first token of a 1 MB model");
    if (!tokenizer || !line)
        return wf_fail_memory(b->job->err);
    WF_TRY(write_model(b, folder, tokenizer));
    line->note = "from the start of the program to its end; at most 50 ms wanted";
    return wf_bench_rounds(b, line, NULL, 20, wf_bench_spawn, &c);
}

static weft_status run(wf_bench *b) {
    char folder[] = "/tmp/weft-bench-XXXXXX";
    struct stat st;
    if (!b->program) {
        b->skipped = "the path of the program is not known (option program)";
        return WEFT_OK;
    }
    wf_bench_command c = {{b->program, "list", NULL}};
    wf_bench_line *line = wf_bench_add(b, "weft list");
    WF_TRY(wf_bench_rounds(b, line, NULL, 20, wf_bench_spawn, &c));
    line->note = "at most 10 ms wanted";
    if (stat(b->program, &st) == 0) {
        wf_put_int(b->job->arena, line->extra, "program_bytes", (int64_t)st.st_size);
        line->note = wf_bench_text(b, "at most 10 ms wanted; the program has %.2f MB", (double)st.st_size * 1e-6);
    }
    WF_CHECK(mkdtemp(folder), b->job->err, WEFT_FAILURE, "no folder could be made in /tmp");
    weft_status status = time_first_token(b, folder);
    wf_bench_remove(b, folder);
    return status;
}

const wf_bench_row wf_bench_start = {"start", "how soon the program answers", run};
