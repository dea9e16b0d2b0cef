/* bench_open.c - from a model folder of 500 MB, in the page cache, to its first token: what opening costs above the computing.
 */
#include <stdlib.h>
#include "base/reader.h"
#include "families/load.h"
#include "gen/session.h"
#include "jobs/bench.h"
#include "jobs/put.h"
#include "presets/presets.h"

enum { PROMPT = 2, ROUNDS = 10 };

typedef struct opening {
    const wf_env *env;
    const char *folder;
    double first_token; /* seconds of the last round, for the line */
} opening;

static weft_status feed(const wf_model *model, double *seconds, weft_error *err) {
    static const int32_t ids[PROMPT] = {1, 2};
    const float *logits;
    wf_session *session;
    double from = wf_seconds();
    WF_TRY(wf_session_create(model, 1, PROMPT + 1, &session, err));
    weft_status status = wf_session_feed(session, ids, PROMPT, &logits, err);
    *seconds = wf_seconds() - from;
    wf_session_free(session);
    return status;
}

/* Opening and the first token, less the same token once everything is warm. */
static weft_status once(void *state, double *seconds, weft_error *err) {
    opening *o = state;
    wf_model *model;
    double from = wf_seconds(), first, again = 0.0;
    WF_TRY(wf_model_load(o->env, o->folder, &(wf_load_options){.map = true, .turned = true}, &model, err));
    weft_status status = feed(model, &first, err);
    *seconds = wf_seconds() - from;
    o->first_token = *seconds;
    if (status == WEFT_OK)
        status = feed(model, &again, err);
    *seconds -= again;
    wf_model_free(model);
    return status;
}

static weft_status time_opening(wf_bench *b, const char *label, const wf_json *spec, const char *folder) {
    opening o = {.env = b->job->env, .folder = folder};
    wf_model *model;
    wf_bench_line *line = wf_bench_add(b, "%s", label);
    if (!line)
        return wf_fail_memory(b->job->err);
    WF_TRY(wf_bench_model(b, spec, &model));
    double bytes = (double)wf_params_total(&model->params) * sizeof(float);
    weft_status status = wf_model_save(model, folder, NULL, b->job->err);
    wf_model_free(model);
    if (status == WEFT_OK)
        status = wf_bench_rounds(b, line, NULL, ROUNDS, once, &o);
    wf_put_number(b->job->arena, line->extra, "first_token_seconds", o.first_token);
    line->note = wf_bench_text(b, "%.0f MB of fp32; above the computing of the token; at most 100 ms wanted", bytes * 1e-6);
    return status;
}

/* One family whose matrices lie in the file in order, and one whose lie turned. */
static weft_status time_both(wf_bench *b, const char *folder) {
    static const struct {
        const char *preset, *label;
        int64_t vocab;
    } rows[] = {{"llama", "llama: matrices used where they lie", 32000},
                {"gpt2", "gpt2: matrices used turned, where they lie", 50257}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const wf_sizing size = {b->quick ? 1000000 : 124000000, b->quick ? 256 : rows[i].vocab, 256};
        wf_json *form, *spec;
        WF_TRY(wf_preset_template(b->job->arena, rows[i].preset, &form, b->job->err));
        WF_TRY(wf_preset_solve(b->job->env, b->job->arena, form, &size, &spec, b->job->err));
        WF_TRY(time_opening(b, rows[i].label, spec, folder));
    }
    return WEFT_OK;
}

static weft_status run(wf_bench *b) {
    char folder[] = "/tmp/weft-bench-XXXXXX";
    WF_CHECK(mkdtemp(folder), b->job->err, WEFT_FAILURE, "no folder could be made in /tmp");
    weft_status status = time_both(b, folder);
    wf_bench_remove(b, folder);
    return status;
}

const wf_bench_row wf_bench_open = {"open", "a model folder of 500 MB to its first token", run, false};
