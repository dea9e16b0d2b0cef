/* head.h - what a head is: rows of hidden states to logits, and the loss of their labels. A head is one skeleton
 * (model/head.c): pooling, dense layers, one last product; what differs is a row of a table here: how sequences become one row
 * (wf_pools), and what the logits mean (wf_head_rows). */
#ifndef WF_HEADS_HEAD_H
#define WF_HEADS_HEAD_H
#include "base/str.h"
#include "tensor/ops.h"

/* One row per sequence out of its rows. */
typedef struct wf_pool_row {
    const char *name, *about;
    wf_tensor *(*run)(wf_tape *t, wf_tensor *x,
                      wf_tensor *mask); /* [B,T,n] -> [B,n]; mask U8 [B,T] or NULL; NULL: rows stay rows */
} wf_pool_row;
extern const wf_pool_row wf_pool_table[]; /* ends with a NULL name; the first keeps every row */

typedef enum wf_label_kind {
    WF_LABEL_NONE,
    WF_LABEL_NEXT,     /* I32 [B,T]: the token of the next row, -100 counts for nothing */
    WF_LABEL_ROW,      /* I32 [B,T]: the class of each row, -100 counts for nothing */
    WF_LABEL_SEQUENCE, /* I32 [B]: a class; F32 [B,classes]: numbers, or one probability per class */
    WF_LABEL_CHOICE,   /* I32 [B/choices]: which of the sequences that belong together */
    WF_LABEL_SPAN,     /* I32 [B,2]: first and last row; outside the rows counts for nothing */
    WF_LABEL_FLAG      /* F32 [B,T]: 0 or 1 for each row that is not padding */
} wf_label_kind;

typedef struct wf_head_io {
    wf_tensor *x;             /* what enters the last product: [B,T,n], pooled [B,n] */
    wf_tensor *weight, *bias; /* [classes,n], [classes]; weight NULL: x are the logits */
    float scale, softcap;     /* of the logits */
    float z_loss;             /* weight of the mean of log(sum(exp(logit)))^2 in the loss, where there is a class per row */
    float weighed;            /* of the loss */
    int64_t streams;          /* x are so many streams behind each other, each with all labels; 0 or 1: one */
    int64_t classes;
    const wf_pool_row *late;     /* pools the logits instead of the rows; NULL: no */
    const char *problem;         /* auto, single, multi, regression */
    wf_tensor *mask;             /* U8 [B,T] or NULL */
    wf_tensor *shown;            /* the same: rows with 0 have logits that are 1e6 less */
    wf_tensor *labels, *inverse; /* inverse F32 [1] (span: [2]): 1 / how many labels count */
    float smoothing;
    wf_tensor **token_loss; /* not NULL: see wf_cross_entropy; only heads with a class per row fill it */
    wf_tensor *logits;      /* made by wf_head_logits */
} wf_head_io;

typedef enum wf_head_classes {
    WF_CLASSES_NONE,
    WF_CLASSES_VOCAB,
    WF_CLASSES_GIVEN,
    WF_CLASSES_ONE,
    WF_CLASSES_TWO
} wf_head_classes;

typedef struct wf_head {
    const char *name, *about;
    const char *pool;        /* default pooling */
    wf_head_classes classes; /* how many logits a row has */
    bool tied;               /* default: the last product is the token table */
    const char *outputs;     /* default name of the logits; "start end": names of their columns */
    const char *inputs;      /* default names of the labels */
    wf_label_kind label;
    bool generates;                                 /* logits of the next token */
    wf_tensor *(*loss)(wf_tape *t, wf_head_io *io); /* [1]; NULL: none */
} wf_head;
extern const wf_head wf_head_rows[]; /* ends with a NULL name */

/* The logits, recorded once. */
wf_tensor *wf_head_logits(wf_tape *t, wf_head_io *io);
#endif
