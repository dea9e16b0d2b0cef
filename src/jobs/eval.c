/* eval.c - how well a model predicts a text: loss, perplexity, bits per byte. */
#include <math.h>
#include "gen/generate.h"
#include "jobs/job.h"
#include "jobs/put.h"
#include "jobs/opened.h"
#include "train/learner.h"

enum { ROWS_AT_ONCE = 1024, USUAL_CONTEXT = 256 };

typedef struct request {
    const char *model;
    const char *const *paths, *const *fields;
    size_t n_paths, n_fields;
    const char *format;
    int64_t context, batch, windows;
    wf_precision precision;
    bool by_position;
} request;

static weft_status read_request(wf_job *job, request *r) {
    static const char *const words[] = {"model",   "text",      "format",      "field",   "context",   "batch",
                                        "windows", "precision", "by_position", "adapter", "tokenizer", NULL};
    wf_options o = wf_options_open(job->options, "eval", words, job->err);
    *r = (request){.model = wf_job_model(job, &o, "model"), .format = wf_option_text(&o, "format", NULL)};
    r->paths = wf_job_texts(job, &o, "text", &r->n_paths);
    r->fields = wf_job_texts(job, &o, "field", &r->n_fields);
    r->context = wf_option_int(&o, "context", 0, 1, INT32_MAX / 16);
    r->batch = wf_option_int(&o, "batch", 0, 1, 65536);
    r->windows = (int64_t)wf_job_count(&o, "windows", 0);
    r->precision = wf_job_precision(&o);
    r->by_position = wf_option_bool(&o, "by_position", false);
    WF_TRY(o.status);
    WF_CHECK(r->model, job->err, WEFT_USAGE, "eval: which model? 'model' names a folder");
    WF_CHECK(r->n_paths > 0, job->err, WEFT_USAGE, "eval: which text? 'text' names files or folders, '-' is standard input");
    return WEFT_OK;
}

static weft_status choose_context(request *r, const wf_model *model, weft_error *err) {
    int64_t limit = wf_model_position_limit(model), trained = model->spec->context ? model->spec->context : limit;
    if (r->context == 0)
        r->context = trained > 0 ? trained : USUAL_CONTEXT;
    WF_CHECK(limit == 0 || r->context <= limit, err, WEFT_USAGE,
             "a context of %lld tokens is more than the %lld positions of this model", (long long)r->context, (long long)limit);
    if (r->batch == 0)
        r->batch = r->context < ROWS_AT_ONCE ? ROWS_AT_ONCE / r->context : 1;
    return WEFT_OK;
}

static void tell_positions(wf_job *job, const request *r, const wf_evaluation *e) {
    wf_json *list = wf_put_list(job->arena, job->json, "position_loss");
    wf_str_puts(&job->text, "loss by position:\n");
    for (int64_t i = 0; i < r->context; i++) {
        double nats = e->position_nats[i];
        wf_json_push(list, isfinite(nats) ? wf_json_new_double(job->arena, nats) : wf_json_new(job->arena, WF_JSON_NULL));
        if ((i & (i + 1)) == 0 || i + 1 == r->context) /* 1, 2, 4, ... and the last */
            wf_str_printf(&job->text, "  %6lld  %.4f\n", (long long)i + 1, nats);
    }
}

static void tell(wf_job *job, const request *r, const wf_evaluation *e, double seconds) {
    wf_put_text(job->arena, job->json, "model", r->model);
    wf_put_number(job->arena, job->json, "loss", e->nats);
    wf_put_number(job->arena, job->json, "perplexity", exp(e->nats));
    wf_put_number(job->arena, job->json, "bits_per_byte", e->bits_per_byte);
    wf_put_int(job->arena, job->json, "tokens", (int64_t)e->tokens);
    wf_put_int(job->arena, job->json, "bytes", (int64_t)e->bytes);
    wf_put_int(job->arena, job->json, "context", r->context);
    wf_put_text(job->arena, job->json, "precision", wf_precision_name(r->precision));
    wf_put_number(job->arena, job->json, "seconds", seconds);
    wf_put_number(job->arena, job->json, "tokens_per_second", seconds > 0 ? (double)e->tokens / seconds : NAN);
    wf_str_printf(&job->text, "loss           %.4f nats/token\nperplexity     %.4g\nbits per byte  %.4f\n", e->nats,
                  exp(e->nats), e->bits_per_byte);
    wf_str_printf(&job->text, "text           %llu tokens, %llu bytes, windows of %lld tokens\n", (unsigned long long)e->tokens,
                  (unsigned long long)e->bytes, (long long)r->context);
    wf_str_printf(&job->text, "speed          %.0f tokens/s\n", seconds > 0 ? (double)e->tokens / seconds : 0.0);
    if (r->by_position)
        tell_positions(job, r, e);
}

static weft_status evaluate(wf_job *job, const request *r, wf_model *model, const wf_data *data) {
    wf_evaluation_options how = {
        .batch = r->batch, .rows = r->context, .max_windows = (uint64_t)r->windows, .bf16 = r->precision == WF_PRECISION_BF16};
    wf_evaluation e = {0};
    double started = wf_seconds();
    uint64_t tokens = wf_data_validation(data).tokens, asked = (uint64_t)r->windows * (uint64_t)r->context;
    WF_TRY(wf_model_expect(model, r->windows && asked < tokens ? asked : tokens, job->err));
    if (r->by_position && !(how.position_nats = wf_arena_alloc(job->arena, (size_t)r->context * sizeof(double))))
        return wf_fail_memory(job->err);
    WF_TRY(wf_evaluate(model, data, &how, &e, job->err));
    WF_CHECK(e.bytes > 0, job->err, WEFT_BAD_INPUT, "the text is too short: there is nothing to predict");
    tell(job, r, &e, wf_seconds() - started);
    return WEFT_OK;
}

static weft_status with_model(wf_job *job, request *r, const wf_opened *m) {
    wf_text text;
    wf_data *data = NULL;
    wf_data_options how = wf_data_options_usual(1);
    WF_TRY(choose_context(r, m->model, job->err));
    WF_CHECK((int64_t)wf_tokenizer_vocab(m->tok) <= m->model->spec->vocab, job->err, WEFT_BAD_INPUT,
             "the tokenizer has %zu tokens, the model only %lld", wf_tokenizer_vocab(m->tok), (long long)m->model->spec->vocab);
    WF_TRY(wf_text_load(job->env, r->paths, r->n_paths,
                        &(wf_text_options){.format = r->format, .fields = r->fields, .n_fields = r->n_fields}, &text,
                        job->err));
    weft_status status = wf_data_create(job->env, m->tok, NULL, &text, &how, &data, job->err);
    wf_text_free(&text);
    if (status == WEFT_OK && wf_data_validation(data).tokens < 2)
        status = wf_fail(job->err, WEFT_BAD_INPUT, "the text is too short: there is nothing to predict");
    if (status == WEFT_OK)
        status = evaluate(job, r, m->model, data);
    wf_data_free(data);
    return status;
}

weft_status wf_job_eval(wf_job *job) {
    request r;
    wf_opened m;
    WF_TRY(read_request(job, &r));
    WF_TRY(wf_opened_open(job->env, r.model, r.precision, &m, job->err));
    weft_status status = with_model(job, &r, &m);
    if (status == WEFT_UNSUPPORTED)
        wf_fail_in(job->err, "%s", r.model);
    wf_opened_close(&m);
    return status;
}
