/* bench_prefill.c - reading a prompt: all its rows at once, the logits of the last one, keys and values kept. */
#include "gen/session.h"
#include "jobs/bench.h"

enum { PROMPT = 512 };

typedef struct prefill {
    wf_session *session;
    int32_t ids[PROMPT];
} prefill;

static weft_status once(void *state, double *seconds, weft_error *err) {
    prefill *p = state;
    const float *logits;
    wf_session_reset(p->session);
    double from = wf_seconds();
    weft_status status = wf_session_feed(p->session, p->ids, PROMPT, &logits, err);
    *seconds = wf_seconds() - from;
    return status;
}

static weft_status run_precision(wf_bench *b, wf_model *model, const char *precision, wf_roof roof) {
    prefill p = {.session = NULL};
    double seconds;
    wf_bench_line *line = wf_bench_add(b, "%s %s, %d tokens", b->quick ? "toy" : "124M", precision, PROMPT);
    if (!line)
        return wf_fail_memory(b->job->err);
    for (int32_t i = 0; i < PROMPT; i++)
        p.ids[i] = i * 7 % (int32_t)model->spec->vocab;
    /* One row of logits, and one of the last block's channel mixer, four times as wide as the stream. */
    line->work = wf_bench_model_flops(model, 1, PROMPT) / 3.0 -
                 2.0 * (PROMPT - 1) * ((double)model->spec->vocab + 8.0 * (double)model->spec->dim) * (double)model->spec->dim;
    line->roof = roof;
    line->tokens = PROMPT;
    WF_TRY(wf_session_create(model, 1, PROMPT + 16, &p.session, b->job->err));
    weft_status status = once(&p, &seconds, b->job->err); /* records */
    if (status == WEFT_OK)
        status = wf_bench_rounds(b, line, &(wf_bench_case){1, PROMPT, precision}, b->peer ? 5 : 9, once, &p);
    wf_session_free(p.session);
    return status;
}

static weft_status run(wf_bench *b) {
    wf_json *spec;
    wf_model *model;
    char folder[WF_BENCH_FOLDER];
    WF_TRY(wf_bench_gpt2(b, &spec));
    WF_TRY(wf_bench_opened(b, spec, folder, &model));
    weft_status status = wf_model_expect(model, UINT64_MAX, b->job->err); /* one prompt after the other */
    if (status == WEFT_OK)
        status = run_precision(b, model, "fp32", WF_ROOF_MATMUL_F32);
    if (status == WEFT_OK)
        status = wf_params_allocate_bf16(&model->params, b->job->err);
    if (status == WEFT_OK)
        status = wf_model_expect(model, UINT64_MAX, b->job->err);
    if (status == WEFT_OK)
        status = run_precision(b, model, "bf16", WF_ROOF_MATMUL_BF16);
    wf_model_free(model);
    wf_bench_remove(b, folder);
    return status;
}

const wf_bench_row wf_bench_prefill = {"prefill",
                                       "a prompt of 512 tokens into the GPT-2 124M shape, to the logits of its last row; of "
                                       "weights in panels (bf16: where the processor "
                                       "multiplies it)",
                                       run, false};
