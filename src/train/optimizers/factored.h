/* factored.h - the machinery of the two Adafactor rows: second moments of matrices kept as a row and a column factor. Tensors
 * of more dimensions are stacks of matrices over the last two. Phase 0: squares per row and per column, sum of p^2. Phase 1:
 * the column factor and the mean of the row factor. Phase 2: sum of u^2. Phase 3: the step. Tensors of fewer dimensions keep
 * plain second moments and skip phases 1 and 2. */
#ifndef WF_TRAIN_OPTIMIZERS_FACTORED_H
#define WF_TRAIN_OPTIMIZERS_FACTORED_H
#include "train/optimizer.h"

typedef struct wf_factored {  /* one update of one tensor, as the row says it */
    double take;              /* weight of the new squares in the averages */
    double add;               /* added to every square */
    double row_floor;         /* least mean of a row factor */
    double square_floor;      /* least second moment */
    double clip;              /* u is divided by max(1, rms(u)/clip) */
    double rate, scale_floor; /* the step is rate * max(scale_floor, rms(p)), or rate when not `scaled` */
    bool scaled;
    double beta1; /* running average of the step, NAN: none */
    double keep;  /* p *= keep before the step ... */
    double decay; /* ... or p *= 1 - decay*step */
} wf_factored;

enum { WF_FACTORED_ROW, WF_FACTORED_COLUMN, WF_FACTORED_PLAIN, WF_FACTORED_MOMENTUM };

int wf_factored_slots(bool momentum, int rank, const int64_t *dims, int64_t count, wf_opt_slot out[WF_OPT_SLOTS]);
int wf_factored_phase_count(const wf_optimizer *o);
int64_t wf_factored_pieces(const wf_optimizer *o, const wf_opt_tensor *t, int phase);
size_t wf_factored_scratch(const wf_optimizer *o, const wf_opt_tensor *t);
void wf_factored_run(const wf_factored *f, const wf_optimizer *o, const wf_opt_tensor *t, const wf_opt_work *w);
#endif
