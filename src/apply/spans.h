/* spans.h - the best answers in a context, from the logits of the first and of the last token, as the question-answering
 * pipeline of Hugging Face's transformers finds them: over windows of the context, each with probabilities of its own. */
#ifndef WF_APPLY_SPANS_H
#define WF_APPLY_SPANS_H
#include "base/mem.h"

typedef struct wf_answer {
    float score;         /* probability of first token times that of the last, in its window */
    uint32_t start, end; /* characters of the context */
    bool none;           /* "there is no answer" */
} wf_answer;

typedef struct wf_span_token {
    uint32_t start, end; /* characters of the context */
    int32_t word;        /* answers are whole words: from the first to the last character of a word; -1: of the token */
    bool allowed;        /* a token of the context */
} wf_span_token;

typedef struct wf_span_window {
    const float *logits; /* [n,2] */
    const wf_span_token *tokens;
    size_t n;
    size_t null_row; /* of the token that stands for no answer ([CLS]); n: there is none */
} wf_span_window;

typedef struct wf_span_options {
    size_t longest; /* tokens of an answer */
    size_t top;     /* answers wanted */
    bool may_fail;  /* "no answer" counts as one */
} wf_span_options;

/* A list of answers that windows are added to; `out` holds top + 1, *count so far, best first. */
weft_status wf_spans_add(const wf_mem *mem, const wf_span_options *options, const wf_span_window *window, wf_answer *out,
                         size_t *count, float *no_answer, weft_error *err);
/* After the last window: "no answer" takes its place. *no_answer begins at 1. */
void wf_spans_end(const wf_span_options *options, wf_answer *out, size_t *count, float no_answer);
#endif
