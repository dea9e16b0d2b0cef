#include "apply/spans.h"
#include <math.h>

/* Probabilities of one side: tokens outside the context count for nothing but that of no answer, whose logit is in the sum. */
static void side(const wf_span_window *w, int column, double *out) {
    double most = -INFINITY, sum = 0.0;
    for (size_t i = 0; i < w->n; i++) {
        bool counts = w->tokens[i].allowed || i == w->null_row;
        out[i] = counts ? (double)w->logits[2 * i + (size_t)column] : -10000.0;
        most = out[i] > most ? out[i] : most;
    }
    for (size_t i = 0; i < w->n; i++)
        sum += out[i] = exp(out[i] - most);
    for (size_t i = 0; i < w->n; i++)
        out[i] /= sum;
}

/* The characters of the words that tokens first and last belong to. */
static void find_words(const wf_span_window *w, size_t first, size_t last, wf_answer *out) {
    const wf_span_token *t = w->tokens;
    while (first > 0 && t[first].word >= 0 && t[first - 1].allowed && t[first - 1].word == t[first].word)
        first--;
    while (last + 1 < w->n && t[last].word >= 0 && t[last + 1].allowed && t[last + 1].word == t[last].word)
        last++;
    out->start = t[first].start;
    out->end = t[last].end;
}

static bool same_place(const wf_answer *a, const wf_answer *b) {
    return a->none == b->none && a->start == b->start && a->end == b->end;
}

/* Keeps the best, in order; an answer that is there already counts once, with the better score. */
static void keep(const wf_span_options *o, wf_answer one, wf_answer *out, size_t *count) {
    for (size_t i = 0; i < *count; i++)
        if (same_place(&out[i], &one)) {
            if (out[i].score >= one.score)
                return;
            for (size_t k = i + 1; k < *count; k++)
                out[k - 1] = out[k];
            --*count;
            break;
        }
    size_t at = *count;
    while (at > 0 && out[at - 1].score < one.score)
        at--;
    if (at >= o->top)
        return;
    size_t n = *count < o->top ? *count : o->top - 1;
    for (size_t k = n; k > at; k--)
        out[k] = out[k - 1];
    out[at] = one;
    *count = n + 1;
}

static void search(const wf_span_options *o, const wf_span_window *w, const double *begin, const double *end, wf_answer *out,
                   size_t *count) {
    for (size_t i = 0; i < w->n; i++) {
        if (!w->tokens[i].allowed)
            continue;
        for (size_t j = i; j < w->n && j < i + o->longest; j++) {
            float score = (float)(begin[i] * end[j]);
            if (!w->tokens[j].allowed || (*count == o->top && score <= out[*count - 1].score))
                continue;
            wf_answer one = {.score = score};
            find_words(w, i, j, &one);
            keep(o, one, out, count);
        }
    }
}

weft_status wf_spans_add(const wf_mem *mem, const wf_span_options *o, const wf_span_window *w, wf_answer *out, size_t *count,
                         float *no_answer, weft_error *err) {
    double *begin = wf_calloc(mem, 2 * w->n + 1, sizeof *begin);
    if (!begin)
        return wf_fail_memory(err);
    double *end = begin + w->n;
    side(w, 0, begin);
    side(w, 1, end);
    if (w->null_row < w->n && (float)(begin[w->null_row] * end[w->null_row]) < *no_answer)
        *no_answer = (float)(begin[w->null_row] * end[w->null_row]);
    search(o, w, begin, end, out, count);
    wf_free(mem, begin);
    return WEFT_OK;
}

void wf_spans_end(const wf_span_options *o, wf_answer *out, size_t *count, float no_answer) {
    if (o->may_fail)
        keep(o, (wf_answer){.score = no_answer, .none = true}, out, count);
}
