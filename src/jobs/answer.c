/* answer.c - the stretch of a context that answers a question. */
#include <string.h>
#include "apply/spans.h"
#include "jobs/apply.h"

enum { USUAL_LENGTH = 384, USUAL_STRIDE = 128, USUAL_LONGEST = 15 };

typedef struct answering {
    const char *question; /* of every record; NULL: records have their own */
    wf_span_options how;
} answering;

typedef struct found { /* of one record, over its windows */
    wf_answer *list;
    size_t count;
    float no_answer;
} found;

static weft_status read(wf_apply *a, wf_options *o) {
    static const char *const both[] = {"question", "context"}, *const one[] = {"context"};
    answering *q = a->own;
    q->question = wf_option_text(o, "question", NULL);
    q->how.top = (size_t)wf_option_int(o, "top_k", 1, 1, 1000);
    q->how.longest = (size_t)wf_option_int(o, "longest", USUAL_LONGEST, 1, 1 << 20);
    q->how.may_fail = wf_option_bool(o, "no_answer", false);
    a->stride = wf_option_int(o, "stride", -1, 0, 1 << 20);
    a->records.whole = !wf_option_bool(o, "lines", false);
    a->windowed = true;
    WF_CHECK(!q->question || q->question[0], a->job->err, WEFT_USAGE, "answer: the question is empty");
    return q->question ? wf_apply_fields(a, o, one, 1) : wf_apply_fields(a, o, both, 2);
}

static weft_status prepare(wf_apply *a) {
    bool asked = wf_json_get(a->job->options, "max_length") != NULL;
    if (!asked && (a->limit == 0 || a->limit > USUAL_LENGTH))
        a->limit = USUAL_LENGTH;
    if (a->stride < 0)
        a->stride = a->limit / 2 < USUAL_STRIDE ? a->limit / 2 : USUAL_STRIDE;
    a->cut =
        (wf_truncation){.on = true, .max_length = (size_t)a->limit, .stride = (size_t)a->stride, .strategy = WF_CUT_SECOND};
    return WEFT_OK;
}

static weft_status inputs(wf_apply *a, wf_apply_item *item) {
    const answering *q = a->own;
    wf_bytes first = q->question ? (wf_bytes){q->question, strlen(q->question)} : item->record.fields[0],
             second = item->record.fields[q->question ? 0 : 1];
    WF_CHECK(first.length > 0, a->job->err, WEFT_BAD_INPUT, "the question is empty");
    WF_CHECK(second.length > 0, a->job->err, WEFT_BAD_INPUT, "the context is empty");
    if (!(item->inputs = wf_arena_alloc(&a->arena, sizeof *item->inputs)))
        return wf_fail_memory(a->job->err);
    item->n = 1;
    item->inputs[0] = (wf_apply_input){first, second};
    return WEFT_OK;
}

static weft_status new_found(wf_apply *a, wf_apply_item *item) {
    const answering *q = a->own;
    found *f = wf_arena_alloc(&a->arena, sizeof *f);
    if (!f || !(f->list = wf_arena_alloc(&a->arena, (q->how.top + 1) * sizeof *f->list)))
        return wf_fail_memory(a->job->err);
    f->no_answer = 1.0f;
    item->own = f;
    return WEFT_OK;
}

static weft_status take(wf_apply *a, wf_apply_item *item, size_t index, const wf_encoding *code, const float *values,
                        int64_t rows, int64_t columns) {
    const answering *q = a->own;
    wf_span_token *tokens = wf_arena_alloc(&a->arena, (code->count + 1) * sizeof *tokens);
    wf_span_window window = {.logits = values, .tokens = tokens, .n = code->count, .null_row = code->count};
    (void)index, (void)rows, (void)columns;
    if (!item->own)
        WF_TRY(new_found(a, item));
    if (!tokens)
        return wf_fail_memory(a->job->err);
    for (size_t i = 0; i < code->count; i++) {
        tokens[i] = (wf_span_token){code->spans[i].start, code->spans[i].end, code->words[i], code->sequences[i] == 1};
        if (window.null_row == code->count && (int64_t)code->ids[i] == a->facts.first && code->special[i])
            window.null_row = i;
    }
    found *f = item->own;
    return wf_spans_add(&a->job->env->mem, &q->how, &window, f->list, &f->count, &f->no_answer, a->job->err);
}

/* Characters to bytes. */
static size_t byte_of(wf_bytes text, uint32_t character) {
    size_t at = 0;
    for (uint32_t n = 0; at < text.length && n < character; n++) {
        int step = wf_utf8_length(text.data + at, text.length - at);
        at += step ? (size_t)step : 1;
    }
    return at;
}

static wf_bytes text_of(wf_bytes context, const wf_answer *one) {
    size_t start = byte_of(context, one->start), end = byte_of(context, one->end);
    return (wf_bytes){context.data + start, end - start};
}

static void put_text(wf_apply *a, const found *f, wf_bytes context) {
    for (size_t i = 0; i < f->count; i++) {
        wf_str_puts(&a->line, i ? "\t" : "");
        wf_apply_put_text(&a->line, text_of(context, &f->list[i]));
        wf_apply_put_score(&a->line, f->list[i].score);
        wf_str_printf(&a->line, "\t%u\t%u", (unsigned)f->list[i].start, (unsigned)f->list[i].end);
    }
    wf_str_putc(&a->line, '\n');
}

static void put_answer(wf_json_writer *w, wf_bytes context, const wf_answer *one) {
    wf_bytes text = text_of(context, one);
    wf_jw_key(w, "answer");
    wf_jw_string_n(w, text.data, text.length);
    wf_jw_key(w, "score");
    wf_jw_float(w, one->score);
    wf_jw_key(w, "start");
    wf_jw_int(w, one->start);
    wf_jw_key(w, "end");
    wf_jw_int(w, one->end);
}

static void put_json(wf_apply *a, const wf_apply_item *item, const found *f) {
    wf_bytes question = item->inputs[0].text, context = item->inputs[0].pair;
    wf_json_writer w;
    wf_json_writer_init(&w, &a->line, 0);
    wf_jw_begin(&w, '{');
    wf_jw_key(&w, "question");
    wf_jw_string_n(&w, question.data, question.length);
    if (f->count)
        put_answer(&w, context, &f->list[0]);
    if (((const answering *)a->own)->how.top > 1) {
        wf_jw_key(&w, "answers");
        wf_jw_begin(&w, '[');
        for (size_t i = 0; i < f->count; i++) {
            wf_jw_begin(&w, '{');
            put_answer(&w, context, &f->list[i]);
            wf_jw_end(&w, '}');
        }
        wf_jw_end(&w, ']');
    }
    wf_jw_end(&w, '}');
    wf_str_putc(&a->line, '\n');
}

static weft_status put(wf_apply *a, wf_apply_item *item) {
    const answering *q = a->own;
    found *f = item->own;
    wf_spans_end(&q->how, f->list, &f->count, f->no_answer);
    if (a->json)
        put_json(a, item, f);
    else
        put_text(a, f, item->inputs[0].pair);
    return WEFT_OK;
}

static const char *const heads[] = {"span", NULL};
static const char *const words[] = {"question", "top_k", "longest", "no_answer", "stride", "lines", NULL};
static const wf_apply_row row = {.name = "answer",
                                 .heads = heads,
                                 .words = words,
                                 .own = sizeof(answering),
                                 .read = read,
                                 .prepare = prepare,
                                 .inputs = inputs,
                                 .take = take,
                                 .put = put};

weft_status wf_job_answer(wf_job *job) { return wf_apply_run(job, &row); }
