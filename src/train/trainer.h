/* trainer.h - one training step, replayed: forward and backward over the micro-batches of an update, clipping, the optimizer,
 * the schedule, the average. Where batches come from, logging, evaluation cadence and checkpoints belong to loop.h.
 *
 *     wf_trainer *t;
 *     WF_TRY(wf_trainer_create(model, &options, &t, err));   // allocates gradients and moments
 *     WF_TRY(wf_trainer_step(t, batches, &result, err));      // one update of options.accumulate micro-batches
 *
 * The bits depend on the options, the batches and the seed only, never on the number of threads. Thread rule: exclusive. */
#ifndef WF_TRAIN_TRAINER_H
#define WF_TRAIN_TRAINER_H
#include "model/model.h"
#include "train/average.h"
#include "train/clip.h"
#include "train/optimizer.h"
#include "train/schedule.h"

typedef struct wf_trainer_options {
    int64_t batch, rows;         /* B, T of a micro-batch */
    int64_t accumulate;          /* micro-batches per update */
    bool bf16;                   /* bf16 compute, fp32 masters and sums */
    bool checkpoint_activations; /* recompute each block in the backward */
    bool keep_activations;       /* of reversible layers, too: their inputs are not rebuilt */
    bool global_mean;            /* loss = token sum over all micro-batches / tokens; else the mean of each one's mean */
    bool masks, segments;        /* batches carry padding masks / segments and positions */
    int64_t table_columns[WF_MAX_TABLES]; /* ids per token that batches carry for the tables of the stem; 0: none */
    int64_t source_rows;                  /* of an encoder-decoder: rows of the source; 0: as many as `rows` */
    bool source_masks,
        own_ids;              /* its batches carry masks of the source, and what the decoder reads: else the targets, shifted */
    const wf_json *optimizer; /* {"name": "adamw", ...} */
    const wf_json *fallback;  /* for tensors the optimizer does not take (muon): NULL = adamw with its lr */
    const wf_json *schedule;  /* NULL: constant */
    double clip;              /* 0: off */
    double smoothing;         /* label smoothing */
    const char *average;      /* a row of average.h, NULL: none */
    double average_decay;
    uint64_t seed; /* dropout */
} wf_trainer_options;

typedef struct wf_train_batch {   /* [B,T] each; NULL where unused */
    const int32_t *ids, *targets; /* targets: next tokens, -100 where none */
    const uint8_t *mask;
    const int64_t *positions, *segments;
    const int64_t
        *prefix; /* [B], of a model with prefixes; NULL: none. Their rows see each other: only the last has a target */
    const int32_t *tables[WF_MAX_TABLES]; /* [B,T,columns]: ids of the stem's tables */
    const int32_t *source;                /* [B,S] of an encoder-decoder, whose targets are not those of the next row */
    const uint8_t *source_mask;
} wf_train_batch;

typedef struct wf_step_result {
    double loss, grad_norm, lr;
    int64_t tokens; /* predicted tokens */
} wf_step_result;

typedef struct wf_trainer wf_trainer;

/* The model must have its values; the trainer borrows it. */
weft_status wf_trainer_create(wf_model *model, const wf_trainer_options *options, wf_trainer **out, weft_error *err);
void wf_trainer_free(wf_trainer *trainer);
/* One update from options.accumulate batches. WEFT_FAILURE, naming the step, when the loss or the gradient is not a number:
 * then nothing was changed. */
weft_status wf_trainer_step(wf_trainer *trainer, const wf_train_batch *batches, wf_step_result *out, weft_error *err);
int64_t wf_trainer_steps(const wf_trainer *trainer);           /* updates done */
void wf_trainer_set_steps(wf_trainer *trainer, int64_t steps); /* after restoring a checkpoint */
wf_schedule *wf_trainer_schedule(wf_trainer *trainer);
wf_average *wf_trainer_average(wf_trainer *trainer); /* NULL: none */
/* Every float array a checkpoint must hold beside the parameters, in a fixed order. */
size_t wf_trainer_states(const wf_trainer *trainer);
wf_opt_state wf_trainer_state(const wf_trainer *trainer, size_t i);

typedef struct wf_memory_parts { /* bytes */
    size_t parameters, compute_copies, gradients, moments, average, activations, scratch;
} wf_memory_parts;
wf_memory_parts wf_trainer_memory(const wf_trainer *trainer);
double wf_trainer_flops(const wf_trainer *trainer); /* of one update, counted by the ops */
/* Both for a trainer that is not made: the model needs no values. */
weft_status wf_trainer_measure(const wf_model *model, const wf_trainer_options *options, wf_memory_parts *out, double *flops,
                               weft_error *err);
wf_tape *wf_trainer_tape(wf_trainer *trainer); /* for profiling */

/* ---- evaluation ---- */
typedef struct wf_evaluator wf_evaluator;
/* Forward only, B x T. */
weft_status wf_evaluator_create(const wf_model *model, int64_t batch, int64_t rows, bool bf16, bool masks, wf_evaluator **out,
                                weft_error *err);
void wf_evaluator_free(wf_evaluator *evaluator);
/* *token_loss: [B,T] nats, 0 where the target is -100; valid until the next call. */
weft_status wf_evaluator_run(wf_evaluator *evaluator, const wf_train_batch *batch, const float **token_loss, weft_error *err);
size_t wf_evaluator_bytes(const wf_evaluator *evaluator);
#endif
