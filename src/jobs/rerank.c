/* rerank.c - texts in the order in which a model of pairs (a cross-encoder) finds that they answer a query. */
#include <math.h>
#include <string.h>
#include "jobs/apply.h"

typedef struct reranking {
    const char *query, *label; /* label: the class whose probability is the score, of models with several */
    int64_t top;               /* 0: all */
    bool raw, sigmoid;
    int64_t class;
    float *scores; /* of every record */
} reranking;

static weft_status read(wf_apply *a, wf_options *o) {
    static const char *const usual[] = {"text"};
    reranking *r = a->own;
    r->query = wf_option_text(o, "query", NULL);
    r->label = wf_option_text(o, "label", NULL);
    r->top = wf_option_int(o, "top_k", 0, 0, INT32_MAX);
    r->raw = wf_option_bool(o, "raw", false);
    WF_TRY(wf_apply_fields(a, o, usual, 1));
    WF_CHECK(r->query && r->query[0], a->job->err, WEFT_USAGE, "rerank: which query? 'query' is the text to compare with");
    return WEFT_OK;
}

/* One class: its sigmoid, unless the config names another function, as sentence-transformers does. */
static weft_status read_function(wf_apply *a, reranking *r) {
    const wf_json *section = wf_json_get(a->facts.config, "sentence_transformers");
    const char *said = wf_json_text(section, "activation_fn",
                                    wf_json_text(a->facts.config, "sbert_ce_default_activation_function",
                                                 "torch.nn.modules.activation.Sigmoid")),
               *dot = strrchr(said, '.'), *word = dot ? dot + 1 : said;
    WF_CHECK(wf_streq(word, "Sigmoid") || wf_streq(word, "Identity"), a->job->err, WEFT_UNSUPPORTED,
             "%s: scores by the function '%s'", a->model, said);
    r->sigmoid = wf_streq(word, "Sigmoid") && !r->raw;
    return WEFT_OK;
}

static weft_status prepare(wf_apply *a) {
    reranking *r = a->own;
    const wf_head_spec *h = &a->m.model->spec->heads[a->head];
    const char *const *labels;
    if (h->classes == 1)
        return read_function(a, r);
    WF_TRY(wf_apply_labels(a, &labels));
    WF_CHECK(r->label, a->job->err, WEFT_UNSUPPORTED,
             "%s: rerank needs a model with one score; this one has %lld classes ('label' chooses one of them, such as %s)",
             a->model, (long long)h->classes, labels[h->classes - 1]);
    for (r->class = 0; r->class < h->classes && !wf_streq(labels[r->class], r->label); r->class ++)
        ;
    WF_CHECK(r->class < h->classes, a->job->err, WEFT_USAGE, "rerank: the model has no class '%s'; its first is %s", r->label,
             labels[0]);
    return WEFT_OK;
}

static weft_status inputs(wf_apply *a, wf_apply_item *item) {
    const reranking *r = a->own;
    WF_TRY(wf_apply_usual_inputs(a, item));
    item->inputs[0].pair = item->inputs[0].text;
    item->inputs[0].text = (wf_bytes){r->query, strlen(r->query)};
    if (!item->inputs[0].pair.data)
        item->inputs[0].pair = (wf_bytes){"", 0};
    return WEFT_OK;
}

static weft_status take(wf_apply *a, wf_apply_item *item, size_t index, const wf_encoding *code, const float *values,
                        int64_t rows, int64_t columns) {
    reranking *r = a->own;
    float score = values[r->class];
    (void)index, (void)code, (void)rows;
    if (!r->scores && !(r->scores = wf_arena_alloc(a->job->arena, wf_records_count(a->list) * sizeof *r->scores)))
        return wf_fail_memory(a->job->err);
    if (columns > 1 && !r->raw) {
        double sum = 0.0;
        for (int64_t i = 0; i < columns; i++)
            sum += exp((double)values[i] - (double)values[r->class]);
        score = (float)(1.0 / sum);
    } else if (r->sigmoid) {
        score = (float)(1.0 / (1.0 + exp(-(double)score)));
    }
    r->scores[item->number] = score;
    return WEFT_OK;
}

static weft_status put(wf_apply *a, wf_apply_item *item) { return (void)a, (void)item, WEFT_OK; }

static void put_line(wf_apply *a, size_t index, float score, wf_bytes text) {
    wf_json_writer w;
    if (!a->json) {
        wf_str_printf(&a->line, "%.6g\t", (double)score);
        wf_apply_put_text(&a->line, text);
        wf_str_putc(&a->line, '\n');
        return;
    }
    wf_json_writer_init(&w, &a->line, 0);
    wf_jw_begin(&w, '{');
    wf_jw_key(&w, "index");
    wf_jw_int(&w, (int64_t)index);
    wf_jw_key(&w, "score");
    wf_jw_float(&w, score);
    wf_jw_key(&w, "text");
    wf_jw_string_n(&w, text.data, text.length);
    wf_jw_end(&w, '}');
    wf_str_putc(&a->line, '\n');
}

static weft_status end(wf_apply *a) {
    const reranking *r = a->own;
    size_t count = wf_records_count(a->list), n = r->top && (size_t)r->top < count ? (size_t)r->top : count, *order;
    if (!r->scores)
        return WEFT_OK;
    WF_TRY(wf_apply_best(a, r->scores, count, n, &order));
    for (size_t i = 0; i < n; i++) {
        wf_apply_item item = {.number = order[i]};
        WF_TRY(wf_records_get(a->list, order[i], &a->arena, &item.record, a->job->err));
        WF_TRY(wf_apply_usual_inputs(a, &item));
        put_line(a, order[i], r->scores[order[i]], item.inputs[0].text);
        WF_TRY(wf_apply_put(a));
    }
    return WEFT_OK;
}

static const char *const heads[] = {"classify", NULL};
static const char *const words[] = {"query", "label", "top_k", "raw", NULL};
static const wf_apply_row row = {.name = "rerank",
                                 .heads = heads,
                                 .words = words,
                                 .own = sizeof(reranking),
                                 .read = read,
                                 .prepare = prepare,
                                 .inputs = inputs,
                                 .take = take,
                                 .put = put,
                                 .end = end};

weft_status wf_job_rerank(wf_job *job) { return wf_apply_run(job, &row); }
