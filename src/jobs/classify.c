/* classify.c - the classes of every text, or of a pair of texts; the best of several choices. */
#include <math.h>
#include <string.h>
#include "jobs/apply.h"

typedef enum function { FUNCTION_AUTO, FUNCTION_SOFTMAX, FUNCTION_SIGMOID, FUNCTION_NONE } function;

typedef struct classifying {
    const char *pair; /* field of the second text, NULL: none */
    int64_t top;      /* 0: all */
    double threshold;
    bool limited; /* by the threshold */
    function how;
    bool choices; /* the head compares texts */
    const char *const *labels;
    int64_t classes;
} classifying;

enum { FIRST, SECOND, CHOICES }; /* fields of a record of choices */

static function read_function(wf_options *o) {
    static const char *const words[] = {"auto", "softmax", "sigmoid", "none"};
    const char *word = wf_option_text(o, "function", "auto");
    for (int i = 0; i < 4; i++)
        if (wf_streq(words[i], word))
            return (function)i;
    wf_option_fail(o, wf_json_get(o->object, "function"), "'function' must be softmax, sigmoid or none, not '%s'", word);
    return FUNCTION_AUTO;
}

static weft_status read(wf_apply *a, wf_options *o) {
    static const char *const one[] = {"text"};
    classifying *c = a->own;
    c->pair = wf_option_text(o, "pair", NULL);
    c->top = wf_option_int(o, "top_k", 1, 0, 1 << 20);
    c->limited = wf_json_get(o->object, "threshold") != NULL;
    c->threshold = wf_option_float(o, "threshold", 0.0, -1e30, 1e30);
    if (c->limited && !wf_json_get(o->object, "top_k"))
        c->top = 0;
    c->how = read_function(o);
    WF_TRY(wf_apply_fields(a, o, one, 1));
    if (c->pair)
        a->fields[a->records.n_fields++] = (wf_record_field){.name = c->pair};
    return WEFT_OK;
}

/* As transformers chooses: by the problem, else by the number of classes. */
static function choose_function(const wf_head_spec *h) {
    if (wf_streq(h->problem, "regression"))
        return FUNCTION_NONE;
    return wf_streq(h->problem, "multi") || (h->classes == 1 && !wf_streq(h->problem, "single")) ? FUNCTION_SIGMOID
                                                                                                 : FUNCTION_SOFTMAX;
}

/* A record of choices: a text, maybe a question that goes with each, and the list. */
static weft_status prepare(wf_apply *a) {
    classifying *c = a->own;
    const wf_head_spec *h = &a->m.model->spec->heads[a->head];
    c->classes = h->classes;
    c->choices = wf_streq(h->row->name, "choice");
    if (c->how == FUNCTION_AUTO)
        c->how = c->choices ? FUNCTION_SOFTMAX : choose_function(h);
    if (!c->choices)
        return wf_apply_labels(a, &c->labels);
    WF_CHECK(a->records.n_fields == 1, a->job->err, WEFT_USAGE,
             "classify: this model chooses among texts: JSON Lines with \"text\" and a list \"choices\", no pairs");
    a->fields[1] = (wf_record_field){.name = "question", .optional = true};
    a->fields[2] = (wf_record_field){.name = "choices", .list = true};
    a->records.n_fields = 3;
    return WEFT_OK;
}

/* "question choice": the second text of a pair, as multiple choice is usually trained (SWAG, RACE). */
static weft_status choice_text(wf_apply *a, wf_bytes question, wf_bytes choice, wf_bytes *out) {
    size_t length = question.length + 1 + choice.length;
    char *text = wf_arena_alloc(&a->arena, length + 1);
    *out = choice;
    if (!question.data)
        return WEFT_OK;
    if (!text)
        return wf_fail_memory(a->job->err);
    memcpy(text, question.data, question.length);
    text[question.length] = ' ';
    memcpy(text + question.length + 1, choice.data, choice.length);
    *out = (wf_bytes){text, length};
    return WEFT_OK;
}

static weft_status choice_inputs(wf_apply *a, wf_apply_item *item) {
    const wf_text_record *r = &item->record;
    WF_CHECK(r->counts[CHOICES] > 0, a->job->err, WEFT_BAD_INPUT, "the field \"choices\" must be a list of texts");
    item->n = r->counts[CHOICES];
    if (!(item->inputs = wf_arena_alloc(&a->arena, item->n * sizeof *item->inputs)))
        return wf_fail_memory(a->job->err);
    for (size_t i = 0; i < item->n; i++) {
        item->inputs[i].text = r->fields[FIRST];
        WF_TRY(choice_text(a, r->fields[SECOND], r->lists[CHOICES][i], &item->inputs[i].pair));
    }
    return WEFT_OK;
}

static weft_status inputs(wf_apply *a, wf_apply_item *item) {
    return ((const classifying *)a->own)->choices ? choice_inputs(a, item) : wf_apply_usual_inputs(a, item);
}

static weft_status take(wf_apply *a, wf_apply_item *item, size_t index, const wf_encoding *code, const float *values,
                        int64_t rows, int64_t columns) {
    const classifying *c = a->own;
    size_t count = c->choices ? item->n : (size_t)columns;
    (void)code, (void)rows;
    if (!item->own && !(item->own = wf_arena_alloc(&a->arena, count * sizeof(float))))
        return wf_fail_memory(a->job->err);
    if (c->choices)
        ((float *)item->own)[index] = values[0];
    else
        memcpy(item->own, values, count * sizeof(float));
    return WEFT_OK;
}

static void apply_function(function how, float *scores, size_t n) {
    if (how == FUNCTION_SOFTMAX)
        wf_apply_softmax(scores, (int64_t)n, scores);
    for (size_t i = 0; how == FUNCTION_SIGMOID && i < n; i++)
        scores[i] = (float)(1.0 / (1.0 + exp(-(double)scores[i])));
}

static wf_bytes name_of(const classifying *c, const wf_apply_item *item, size_t i) {
    return c->choices ? item->record.lists[CHOICES][i] : (wf_bytes){c->labels[i], strlen(c->labels[i])};
}

static bool is_wanted(const classifying *c, float score) { return !c->limited || (double)score >= c->threshold; }

static void put_text(wf_apply *a, const wf_apply_item *item, const float *scores, const size_t *order, size_t n) {
    const classifying *c = a->own;
    size_t shown = 0;
    for (size_t i = 0; i < n && is_wanted(c, scores[order[i]]); i++) {
        wf_str_puts(&a->line, shown++ ? "\t" : "");
        wf_apply_put_text(&a->line, name_of(c, item, order[i]));
        wf_apply_put_score(&a->line, scores[order[i]]);
    }
    wf_str_putc(&a->line, '\n');
}

static void put_json(wf_apply *a, const wf_apply_item *item, const float *scores, const size_t *order, size_t n) {
    const classifying *c = a->own;
    wf_json_writer w;
    wf_json_writer_init(&w, &a->line, 0);
    wf_jw_begin(&w, '{');
    wf_jw_key(&w, "text");
    wf_jw_string_n(&w, item->record.fields[0].data, item->record.fields[0].length);
    if (n > 0) {
        wf_bytes best = name_of(c, item, order[0]);
        wf_jw_key(&w, "label");
        wf_jw_string_n(&w, best.data, best.length);
        wf_jw_key(&w, "score");
        wf_jw_float(&w, scores[order[0]]);
    }
    wf_jw_key(&w, "scores");
    wf_jw_begin(&w, '[');
    for (size_t i = 0; i < n && is_wanted(c, scores[order[i]]); i++) {
        wf_bytes name = name_of(c, item, order[i]);
        wf_jw_begin(&w, '{');
        wf_jw_key(&w, "label");
        wf_jw_string_n(&w, name.data, name.length);
        wf_jw_key(&w, "score");
        wf_jw_float(&w, scores[order[i]]);
        wf_jw_end(&w, '}');
    }
    wf_jw_end(&w, ']');
    wf_jw_end(&w, '}');
    wf_str_putc(&a->line, '\n');
}

/* JSON has all scores unless fewer are asked for. */
static weft_status put(wf_apply *a, wf_apply_item *item) {
    const classifying *c = a->own;
    bool all = c->top == 0 || (a->json && !wf_json_get(a->job->options, "top_k"));
    size_t count = c->choices ? item->n : (size_t)c->classes, n = all || (size_t)c->top > count ? count : (size_t)c->top;
    float *scores = item->own;
    size_t *order;
    apply_function(c->how, scores, count);
    WF_TRY(wf_apply_best(a, scores, count, n, &order));
    (a->json ? put_json : put_text)(a, item, scores, order, n);
    return WEFT_OK;
}

static const char *const heads[] = {"classify", "choice", NULL};
static const char *const words[] = {"pair", "top_k", "threshold", "function", NULL};
static const wf_apply_row row = {.name = "classify",
                                 .heads = heads,
                                 .words = words,
                                 .pools = true,
                                 .own = sizeof(classifying),
                                 .read = read,
                                 .prepare = prepare,
                                 .inputs = inputs,
                                 .take = take,
                                 .put = put};

weft_status wf_job_classify(wf_job *job) { return wf_apply_run(job, &row); }
