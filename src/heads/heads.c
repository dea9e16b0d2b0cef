/* heads.c - the table of heads and the table of poolings. */
#include "heads/head.h"

/* ---- poolings ---- */
static wf_tensor *one_row(wf_tape *t, wf_tensor *x, int64_t row) {
    wf_tensor *y = x ? wf_time_slice(t, x, row, 1) : NULL;
    return y ? wf_reshape(t, y, 2, (int64_t[]){x->dims[0], x->dims[2]}) : NULL;
}

static wf_tensor *first(wf_tape *t, wf_tensor *x, wf_tensor *mask) { return (void)mask, one_row(t, x, 0); }
static wf_tensor *last(wf_tape *t, wf_tensor *x, wf_tensor *mask) {
    return (void)mask, x ? one_row(t, x, x->dims[1] - 1) : NULL;
}
static wf_tensor *end(wf_tape *t, wf_tensor *x, wf_tensor *mask) { return wf_pool_rows(t, x, WF_POOL_LAST, mask); }
static wf_tensor *mean(wf_tape *t, wf_tensor *x, wf_tensor *mask) { return wf_pool_rows(t, x, WF_POOL_MEAN, mask); }
static wf_tensor *mean_all(wf_tape *t, wf_tensor *x, wf_tensor *mask) {
    return (void)mask, wf_pool_rows(t, x, WF_POOL_MEAN, NULL);
}
static wf_tensor *mean_sqrt(wf_tape *t, wf_tensor *x, wf_tensor *mask) { return wf_pool_rows(t, x, WF_POOL_MEAN_SQRT, mask); }
static wf_tensor *weighted(wf_tape *t, wf_tensor *x, wf_tensor *mask) { return wf_pool_rows(t, x, WF_POOL_WEIGHTED, mask); }
static wf_tensor *max(wf_tape *t, wf_tensor *x, wf_tensor *mask) { return wf_pool_rows(t, x, WF_POOL_MAX, mask); }

const wf_pool_row wf_pool_table[] = {
    {"rows", "none: every row", NULL},
    {"first", "the first row", first},
    {"last", "the last row, padding or not", last},
    {"end", "the last row that is not padding", end},
    {"mean", "the mean of the rows that are not padding", mean},
    {"mean_all", "the mean of all rows, padding too", mean_all},
    {"mean_sqrt", "the sum of the rows that are not padding, divided by the root of their number", mean_sqrt},
    {"weighted", "the mean of the rows that are not padding, weighted by their numbers from 1", weighted},
    {"max", "the largest entry of each channel among the rows that are not padding", max},
    {NULL, NULL, NULL}};

/* ---- logits and losses ---- */
wf_tensor *wf_head_logits(wf_tape *t, wf_head_io *io) {
    if (io->logits)
        return io->logits;
    wf_tensor *y = io->weight ? wf_linear_as(t, io->x, io->weight, io->bias, WF_F32) : wf_cast(t, io->x, WF_F32);
    y = wf_lower_rows(t, wf_softcap(t, wf_scale(t, y, io->scale), io->softcap), io->shown, 1e6f);
    return io->logits = io->late ? io->late->run(t, y, io->mask) : y;
}

/* The labels of all streams. */
static wf_tensor *stream_labels(wf_tape *t, const wf_head_io *io) {
    wf_tensor *all = io->labels;
    for (int64_t n = 1; n < io->streams; n++)
        all = wf_time_concat(t, all, io->labels);
    return all;
}

/* A class per row: logits and probabilities of all rows never exist at once. */
static wf_tensor *row_loss(wf_tape *t, wf_head_io *io) {
    float share = io->streams > 1 ? 1.0f / (float)io->streams : 1.0f; /* of a stream: `inverse` counts the labels of one */
    wf_tensor *inverse = wf_scale(t, io->inverse, io->weighed * share), *labels = stream_labels(t, io);
    wf_cross_entropy_spec spec = {.ignore = -100,
                                  .smoothing = io->smoothing,
                                  .logit_scale = io->scale,
                                  .softcap = io->softcap,
                                  .z_loss = io->z_loss,
                                  .inverse_count = inverse};
    return io->weight ? wf_cross_entropy(t, io->x, io->weight, io->bias, labels, &spec, io->token_loss)
                      : wf_class_loss(t, io->x, io->classes, labels, inverse);
}

static wf_tensor *class_loss(wf_tape *t, wf_head_io *io) {
    return wf_class_loss(t, wf_head_logits(t, io), io->classes, io->labels, io->inverse);
}

/* What is not said follows from the labels: one number is a regression, numbers are probabilities, integers are classes. */
static wf_tensor *sequence_loss(wf_tape *t, wf_head_io *io) {
    bool unsaid = wf_streq(io->problem, "auto"), squares = wf_streq(io->problem, "regression") || (unsaid && io->classes == 1);
    bool numbers = io->labels && io->labels->type == WF_F32;
    if (squares && numbers)
        return wf_value_loss(t, WF_LOSS_SQUARE, wf_head_logits(t, io), io->labels, io->inverse, NULL);
    if (numbers && (unsaid || wf_streq(io->problem, "multi")))
        return wf_value_loss(t, WF_LOSS_SIGMOID, wf_head_logits(t, io), io->labels, io->inverse, NULL);
    if (numbers || squares || wf_streq(io->problem, "multi"))
        return wf_tape_error(t, WEFT_USAGE, "the labels do not fit a problem '%s'", io->problem);
    return class_loss(t, io);
}

/* The sequences that belong together are the classes. */
static wf_tensor *choice_loss(wf_tape *t, wf_head_io *io) {
    wf_tensor *z = wf_head_logits(t, io);
    return z && io->labels ? wf_class_loss(t, z, z->count / io->labels->count, io->labels, io->inverse) : NULL;
}

/* The rows are the classes of the two columns. */
static wf_tensor *span_loss(wf_tape *t, wf_head_io *io) {
    wf_tensor *z = wf_head_logits(t, io);
    return z ? wf_class_loss(t, z, z->dims[1], io->labels, io->inverse) : NULL;
}

static wf_tensor *flag_loss(wf_tape *t, wf_head_io *io) {
    return wf_value_loss(t, WF_LOSS_SIGMOID, wf_head_logits(t, io), io->labels, io->inverse, io->mask);
}

const wf_head wf_head_rows[] = {
    {"lm", "logits of the next token", "rows", WF_CLASSES_VOCAB, true, "logits", "labels", WF_LABEL_NEXT, true, row_loss},
    {"mlm", "logits of the token that was hidden", "rows", WF_CLASSES_VOCAB, true, "logits", "labels", WF_LABEL_ROW, false,
     row_loss},
    {"tag", "a class for each row", "rows", WF_CLASSES_GIVEN, false, "logits", "labels", WF_LABEL_ROW, false, row_loss},
    {"classify", "a class for a sequence, several, or a number", "first", WF_CLASSES_GIVEN, false, "logits", "labels",
     WF_LABEL_SEQUENCE, false, sequence_loss},
    {"choice", "one logit; the best of several sequences", "first", WF_CLASSES_ONE, false, "logits", "labels", WF_LABEL_CHOICE,
     false, choice_loss},
    {"span", "logits of the first and of the last row of an answer", "rows", WF_CLASSES_TWO, false, "start_logits end_logits",
     "start_positions end_positions", WF_LABEL_SPAN, false, span_loss},
    {"detect", "one logit for each row: was it replaced", "rows", WF_CLASSES_ONE, false, "logits", "labels", WF_LABEL_FLAG,
     false, flag_loss},
    {"pool", "one row per sequence, no logits", "first", WF_CLASSES_NONE, false, "pooler_output", "", WF_LABEL_NONE, false,
     NULL},
    {NULL, NULL, NULL, WF_CLASSES_NONE, false, NULL, NULL, WF_LABEL_NONE, false, NULL}};
