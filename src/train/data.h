/* data.h - training data: a text as token ids, split into training and validation, and batches as a pure function of a cursor.
 *
 *     wf_data *data;
 *     WF_TRY(wf_data_create(env, tok, &text, NULL, &options, &data, err));
 *     wf_batch batch = {.rows = B, .length = T, .ids = ids, .targets = targets};
 *     for (uint64_t cursor = 0;; cursor += B)
 *         wf_data_batch(data, cursor, &batch);
 *
 * The split works on bytes, before tokenisation, so every tokenizer validates on the same bytes. Validation is the end of the
 * text: the share asked for (5 % by default), at least four windows' worth of bytes, at most 1 MiB and half of the text. The
 * cut falls on the last document boundary before that point when that makes validation at most twice as big, else inside a
 * document, after the next line break (within 1024 bytes) or character. Or validation is a text of its own.
 *
 * Batches: the cursor counts windows. Windows of T + 1 tokens overlap by the one token that is only a target; every epoch walks
 * all of them once, in a new order, and begins at a new offset below T. Everything follows from (seed, cursor, T), so a run
 * resumes from the cursor alone, and models of one comparison see the same tokens.
 * Windows run across documents, with the separator token between them; `packed` keeps documents apart: they are put in a seeded
 * order and cut into rows, `segments` numbers the documents of a row and `positions` counts inside each, and the last token of
 * a document has no target. Thread rule: wf_data never changes after its creation and may be shared. */
#ifndef WF_TRAIN_DATA_H
#define WF_TRAIN_DATA_H
#include "base/env.h"
#include "text/tokenizer.h"
#include "train/data_text.h"

enum { WF_NO_TARGET = -1, WF_SEPARATOR_AUTO = -2 };

typedef struct wf_data_options {
    int64_t context; /* the shortest text must hold a window of it */
    uint64_t seed;
    double validation; /* share of the bytes, 0 to 0.5; ignored when a validation text is given */
    int64_t separator; /* put after each document; -1: none; WF_SEPARATOR_AUTO: <|endoftext|> if the tokenizer has it */
    bool packed;
} wf_data_options;
wf_data_options wf_data_options_usual(int64_t context); /* 5 % validation, the separator of the tokenizer, seed 0 */

typedef struct wf_data wf_data;
/* `validation` may be NULL: then the text is split; or `text` is NULL and there is nothing to train on (wf_data_windows is 0).
 * The texts are not needed afterwards; the tokenizer and the allocator in `env` are. */
weft_status wf_data_create(const wf_env *env, const wf_tokenizer *tok, const wf_text *text, const wf_text *validation,
                           const wf_data_options *options, wf_data **out, weft_error *err);
void wf_data_free(wf_data *data); /* NULL is fine */

typedef struct wf_data_part {
    size_t tokens, bytes, documents;
} wf_data_part;
wf_data_part wf_data_training(const wf_data *data);
wf_data_part wf_data_validation(const wf_data *data);

typedef struct wf_batch {
    int64_t rows, length;
    int32_t *ids, *targets;        /* rows x length; a target is the next token, or WF_NO_TARGET */
    int32_t *segments, *positions; /* the same, or NULL */
    int64_t *prefix; /* [rows], or NULL: how long the prefix of each is, drawn below `length`; only its last row has a target */
} wf_batch;

/* Windows of `length` tokens in one pass over the training text; 0 when it is too short for one. */
uint64_t wf_data_windows(const wf_data *data, int64_t length);
/* Rows cursor, cursor + 1, ...; needs wf_data_windows(data, length) > 0. */
void wf_data_batch(const wf_data *data, uint64_t cursor, const wf_batch *out);
/* How many passes over the training text `cursor` windows are. */
double wf_data_passes(const wf_data *data, uint64_t cursor, int64_t length);

/* Validation windows follow each other without overlap; the last one may be partly empty (id 0, no targets). */
uint64_t wf_data_validation_windows(const wf_data *data, int64_t length);
/* Rows first, first + stride, ...; rows beyond the end are empty. A stride above 1 samples evenly. */
void wf_data_validation_batch(const wf_data *data, uint64_t first, uint64_t stride, const wf_batch *out);

/* Adds to *bytes the bytes of text that the targets stand for, to turn nats per token into bits per byte. Special tokens stand
 * for none. */
weft_status wf_data_target_bytes(const wf_data *data, const int32_t *targets, size_t n, uint64_t *bytes, weft_error *err);
#endif
