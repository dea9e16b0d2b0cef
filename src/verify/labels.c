/* labels.c - the labels of a head as its row wants them, and how many of them count. */
#include <string.h>
#include "verify/inputs.h"

typedef struct reader {
    wf_fixture *fx;
    const wf_head_spec *head;
    const wf_model_inputs *in;
    int64_t stacked, index;
    wf_head_labels *out;
    weft_error *err;
} reader;

/* The integers of one micro-batch, `count` of them. */
static weft_status read_ints(const reader *r, const wf_stored_tensor *t, int64_t count, int64_t **out) {
    int64_t stacks = r->stacked ? r->stacked : 1;
    WF_CHECK(wf_stored_count(t) == stacks * count, r->err, WEFT_BAD_INPUT, "'%s' has another shape than expected", t->name);
    WF_TRY(wf_fixture_ints(r->fx, t, out, r->err));
    *out += r->index * count;
    return WEFT_OK;
}

static weft_status make_classes(const reader *r, int64_t count) {
    r->out->count = count;
    r->out->classes = wf_arena_alloc(&r->fx->arena, (size_t)count * sizeof *r->out->classes);
    return r->out->classes ? WEFT_OK : wf_fail_memory(r->err);
}

static weft_status put_class(const reader *r, const wf_stored_tensor *t, int64_t i, int64_t label, int64_t classes) {
    WF_CHECK(label == -100 || (label >= 0 && label < classes), r->err, WEFT_BAD_INPUT, "'%s' holds %lld", t->name,
             (long long)label);
    r->out->classes[i] = (int32_t)label;
    return WEFT_OK;
}

/* Causal models predict the next token: the target of a row is the label of the one after it. */
static weft_status read_rows(const reader *r, const wf_stored_tensor *t, bool next) {
    int64_t *wide, rows = r->in->map_rows ? r->in->map_rows : r->in->rows, count = r->in->batch * rows;
    WF_TRY(read_ints(r, t, count, &wide));
    WF_TRY(make_classes(r, count));
    for (int64_t i = 0; i < count; i++) {
        int64_t label = !next ? wide[i] : (i + 1) % rows ? wide[i + 1] : -100;
        WF_TRY(put_class(r, t, i, label, r->head->classes));
    }
    return WEFT_OK;
}

static weft_status read_values(const reader *r, const wf_stored_tensor *t, int64_t count) {
    WF_CHECK(wf_stored_count(t) == count, r->err, WEFT_BAD_INPUT, "'%s' has another shape than expected", t->name);
    r->out->count = count;
    return wf_fixture_floats(r->fx, t, &r->out->values, r->err);
}

static weft_status read_sequence(const reader *r, const wf_stored_tensor *t) {
    int64_t *wide, count = r->in->batch;
    if (t->type == WF_F32 || t->type == WF_F64 || t->type == WF_F16 || t->type == WF_BF16)
        return read_values(r, t, count * r->head->classes);
    if (wf_streq(r->head->problem, "regression") || (wf_streq(r->head->problem, "auto") && r->head->classes == 1))
        return read_values(r, t, count * r->head->classes);
    WF_TRY(read_ints(r, t, count, &wide));
    WF_TRY(make_classes(r, count));
    for (int64_t i = 0; i < count; i++)
        WF_TRY(put_class(r, t, i, wide[i], r->head->classes));
    return WEFT_OK;
}

static weft_status read_choice(const reader *r, const wf_stored_tensor *t) {
    int64_t *wide;
    WF_CHECK(r->in->choices > 0, r->err, WEFT_BAD_INPUT, "the inputs hold no choices");
    WF_TRY(read_ints(r, t, r->in->batch / r->in->choices, &wide));
    WF_TRY(make_classes(r, r->in->batch / r->in->choices));
    for (int64_t i = 0; i < r->out->count; i++)
        WF_TRY(put_class(r, t, i, wide[i], r->in->choices));
    return WEFT_OK;
}

/* Positions outside the rows count for nothing. */
static weft_status read_span(const reader *r, const wf_stored_tensor *start, const wf_stored_tensor *end) {
    const wf_stored_tensor *both[2] = {start, end};
    WF_TRY(make_classes(r, 2 * r->in->batch));
    for (int c = 0; c < 2; c++) {
        int64_t *wide;
        WF_TRY(read_ints(r, both[c], r->in->batch, &wide));
        for (int64_t b = 0; b < r->in->batch; b++) {
            bool inside = wide[b] < r->in->rows;
            r->out->classes[2 * b + c] = inside ? (int32_t)(wide[b] < 0 ? 0 : wide[b]) : -100;
        }
    }
    return WEFT_OK;
}

static weft_status read_flags(const reader *r, const wf_stored_tensor *t) {
    int64_t *wide, count = r->in->batch * r->in->rows;
    WF_TRY(read_ints(r, t, count, &wide));
    r->out->count = count;
    if (!(r->out->values = wf_arena_alloc(&r->fx->arena, (size_t)count * sizeof *r->out->values)))
        return wf_fail_memory(r->err);
    for (int64_t i = 0; i < count; i++)
        r->out->values[i] = (float)wide[i];
    return WEFT_OK;
}

/* 1 / how many labels count, for each column; the two means of a span are averaged. */
static void count_labels(const reader *r) {
    wf_head_labels *l = r->out;
    bool flags = r->head->row->label == WF_LABEL_FLAG;
    l->columns = r->head->row->label == WF_LABEL_SPAN ? 2 : 1;
    for (int c = 0; c < l->columns; c++) {
        int64_t n = 0;
        for (int64_t i = c; i < l->count; i += l->columns)
            n += l->classes ? l->classes[i] != -100 : !flags || !r->in->mask || r->in->mask[i];
        l->inverse[c] = 1.0f / (float)(n * l->columns);
    }
}

/* The n-th of the names of a head's labels. */
static const wf_stored_tensor *find_labels(const reader *r, int n) {
    const char *names = r->head->labels;
    size_t length = strcspn(names, " ");
    if (n == 1 && names[length])
        names += length + 1;
    else if (n == 1)
        return NULL;
    char *name = wf_arena_strndup(&r->fx->arena, names, strcspn(names, " "));
    return name ? wf_fixture_input(r->fx, name) : NULL;
}

weft_status wf_head_labels_read(wf_fixture *fx, const wf_head_spec *head, const wf_model_inputs *in, int64_t stacked,
                                int64_t index, wf_head_labels *out, weft_error *err) {
    reader r = {fx, head, in, stacked, index, out, err};
    const wf_stored_tensor *t = find_labels(&r, 0), *second = find_labels(&r, 1);
    weft_status status = WEFT_OK;
    memset(out, 0, sizeof *out);
    if (!t)
        return WEFT_OK;
    switch (head->row->label) {
    case WF_LABEL_NONE:
        return WEFT_OK;
    case WF_LABEL_NEXT:
    case WF_LABEL_ROW:
        status = read_rows(&r, t, head->row->label == WF_LABEL_NEXT && !head->aligned);
        break;
    case WF_LABEL_SEQUENCE:
        status = read_sequence(&r, t);
        break;
    case WF_LABEL_CHOICE:
        status = read_choice(&r, t);
        break;
    case WF_LABEL_SPAN:
        WF_CHECK(second, err, WEFT_BAD_INPUT, "'%s' stands alone", t->name);
        status = read_span(&r, t, second);
        break;
    case WF_LABEL_FLAG:
        status = read_flags(&r, t);
        break;
    }
    if (status == WEFT_OK)
        count_labels(&r);
    return status;
}
