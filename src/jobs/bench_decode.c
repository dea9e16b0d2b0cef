/* bench_decode.c - decoding token by token: a sweep over the weights for each. */
#include "gen/session.h"
#include "jobs/bench.h"

enum { PROMPT = 32, TOKENS = 16 };

typedef struct decoding {
    wf_session *session;
    int32_t ids[PROMPT];
} decoding;

/* TOKENS tokens after a prompt; seconds of one. */
static weft_status once(void *state, double *seconds, weft_error *err) {
    decoding *d = state;
    const float *logits;
    wf_session_reset(d->session);
    WF_TRY(wf_session_feed(d->session, d->ids, PROMPT, &logits, err));
    WF_TRY(wf_session_feed(d->session, d->ids, 1, &logits, err));
    double from = wf_seconds();
    for (int i = 0; i < TOKENS; i++)
        WF_TRY(wf_session_feed(d->session, d->ids + i, 1, &logits, err));
    *seconds = (wf_seconds() - from) / TOKENS;
    return WEFT_OK;
}

/* Every weight is read once a token; of the position table and of an untied token table only a row. Keys and values add a
 * little. */
static double bytes_per_token(const wf_model *m, size_t element) {
    double weights = (double)wf_params_total(&m->params) - (m->position ? (double)m->position->count : 0.0);
    if (m->heads[0].weight != m->token)
        weights -= (double)m->token->count;
    return weights * (double)element + (double)wf_state_bytes_at(m, PROMPT + TOKENS / 2);
}

static weft_status run_precision(wf_bench *b, wf_model *model, const char *precision, size_t element, const char *how) {
    decoding d = {.session = NULL};
    wf_bench_line *line = wf_bench_add(b, "%s %s, batch 1%s", b->quick ? "toy" : "124M", precision, how);
    if (!line)
        return wf_fail_memory(b->job->err);
    for (int32_t i = 0; i < PROMPT; i++)
        d.ids[i] = i * 7;
    line->work = bytes_per_token(model, element);
    line->roof = WF_ROOF_READ;
    line->tokens = 1.0;
    WF_TRY(wf_session_create(model, 1, 128, &d.session, b->job->err));
    weft_status status = wf_bench_rounds(b, line, &(wf_bench_case){1, PROMPT, precision}, b->peer ? 5 : 9, once, &d);
    wf_session_free(d.session);
    return status;
}

/* A folder of GPT-2 as others write it has its matrices turned; they are used where they lie. */
static weft_status run_opened(wf_bench *b, const wf_json *spec) {
    wf_model *model;
    char folder[WF_BENCH_FOLDER];
    WF_TRY(wf_bench_opened(b, spec, folder, &model));
    weft_status status = run_precision(b, model, "fp32", sizeof(float), ", a folder of it");
    wf_model_free(model);
    wf_bench_remove(b, folder);
    return status;
}

static weft_status run(wf_bench *b) {
    wf_json *spec;
    wf_model *model;
    WF_TRY(wf_bench_gpt2(b, &spec));
    WF_TRY(wf_bench_model(b, spec, &model));
    weft_status status = run_precision(b, model, "fp32", sizeof(float), "");
    if (status == WEFT_OK)
        status = wf_params_allocate_bf16(&model->params, b->job->err);
    if (status == WEFT_OK)
        status = run_precision(b, model, "bf16", sizeof(uint16_t), "");
    wf_model_free(model);
    return status == WEFT_OK ? run_opened(b, spec) : status;
}

const wf_bench_row wf_bench_decode = {"decode",
                                      "tokens of the GPT-2 124M shape, one at a time, as a share of reading its weights", run};
