/* optimizer.h - optimizers as rows. A row says its options, what it keeps per tensor, and how one piece of one tensor moves;
 * the driver spreads the pieces over the pool. Pieces depend on the shapes only, and sums over a tensor are made of the pieces'
 * sums in order, so the bits are the same for every number of threads. The rules: docs, and each row's own file.
 *
 *     wf_optimizer *o;
 *     WF_TRY(wf_optimizer_create(env, options, params, n, &o, err));   // {"name": "adamw", "lr": 3e-4, "betas": [0.9, 0.95]}
 *     double rate = wf_optimizer_step(o, multiplier, grad_scale);       // one update of every tensor
 *
 * Thread rule: one caller at a time; a step runs one region of the pool. */
#ifndef WF_TRAIN_OPTIMIZER_H
#define WF_TRAIN_OPTIMIZER_H
#include "base/env.h"
#include "train/options.h"

enum { WF_OPT_SLOTS = 4, WF_OPT_RANK = 8, WF_OPT_CONSTANTS = 12, WF_OPT_PIECE = 65536 };
/* Places of the options every row has; a row's own start at WF_OPT_OWN. */
enum { WF_OPT_LR, WF_OPT_WEIGHT_DECAY, WF_OPT_NO_DECAY, WF_OPT_MAXIMIZE, WF_OPT_OWN };
enum { WF_NO_DECAY_1D, WF_NO_DECAY_USUAL }; /* what WF_OPT_NO_DECAY may be, if it is a number */

typedef struct wf_opt_param { /* one tensor as the caller gives it; the pointers must stay valid */
    const char *name;
    float *param;
    const float *grad;
    uint16_t *bf16; /* NULL, or a copy that receives the rounded new values */
    int rank;
    const int64_t *dims;
    bool no_decay; /* does not decay under the option no_decay "usual" */
} wf_opt_param;

typedef struct wf_opt_slot { /* what a row keeps for a tensor: `count` floats, at first `initial` */
    const char *name;
    int64_t count;
    float initial;
} wf_opt_slot;

typedef struct wf_opt_tensor {
    const char *name;
    float *param;
    const float *grad;
    uint16_t *bf16;
    int rank;
    int64_t dims[WF_OPT_RANK], count;
    bool decay;
    int slots;
    wf_opt_slot slot[WF_OPT_SLOTS];
    float *state[WF_OPT_SLOTS]; /* by slot; NULL where the slot is empty */
    void *scratch;              /* of a row with phases, 64-byte aligned */
    const void *plan;           /* of a row with phases */
} wf_opt_tensor;

typedef struct wf_optimizer wf_optimizer;

typedef struct wf_opt_work { /* one piece of one phase */
    int phase;
    int64_t piece;
    void *thread_scratch;
} wf_opt_work;

/* Rows that need sums over a tensor work in phases; all tensors of a wave finish a phase before the next begins. */
typedef struct wf_opt_phases {
    int (*count)(const wf_optimizer *o);
    int64_t (*pieces)(const wf_optimizer *o, const wf_opt_tensor *t, int phase); /* 0: nothing to do in this phase */
    size_t (*scratch)(const wf_optimizer *o, const wf_opt_tensor *t);
    void (*run)(const wf_optimizer *o, const wf_opt_tensor *t, const wf_opt_work *w);
    /* The rest may be NULL. `bind` sets t->plan; plans are owned by o->plans and released by `release`. */
    weft_status (*bind)(wf_optimizer *o, wf_opt_tensor *t, weft_error *err);
    void (*release)(wf_optimizer *o);
    size_t (*thread_scratch)(const wf_optimizer *o, const wf_opt_tensor *t);
    void (*thread_init)(void);
} wf_opt_phases;

typedef struct wf_optimizer_row {
    const char *name, *help;
    const wf_option *keys;                                      /* own options; no_decay and maximize are common */
    weft_status (*check)(const double *value, weft_error *err); /* options that exclude each other; may be NULL */
    bool (*accepts)(int rank, const int64_t *dims);             /* NULL: every tensor */
    int (*slots)(const double *value, int rank, const int64_t *dims, int64_t count, wf_opt_slot out[WF_OPT_SLOTS]);
    void (*begin)(wf_optimizer *o);                                 /* constants of the update o->updates; may be NULL */
    double (*rate)(const double *value, double lr, int64_t update); /* NULL: lr is the rate */
    /* Exactly one of the two: elements first..first+n-1, or phases. */
    void (*update)(const wf_optimizer *o, const wf_opt_tensor *t, int64_t first, int64_t n);
    const wf_opt_phases *phases;
    bool writes_bf16; /* `update` writes t->bf16 itself */
} wf_optimizer_row;

struct wf_optimizer {
    const wf_env *env;
    const wf_optimizer_row *row;
    double value[WF_OPTION_VALUES];
    double c[WF_OPT_CONSTANTS]; /* the row's constants of this update, set by begin */
    int64_t updates;            /* done; inside a step the number t = 1, 2, ... of the running one */
    double lr;                  /* of the running update: the option times the schedule's multiplier */
    float grad_scale;           /* every gradient counts times this (clipping; negative to maximize) */
    wf_opt_tensor *tensors;
    size_t count;
    size_t *waves, wave_count; /* first tensor of each wave; one more entry ends the list */
    void *plans;
    uint8_t *thread_scratch;
    size_t thread_scratch_size;
    float *states;
    uint8_t *scratch;
    wf_arena arena; /* names, tensors, waves */
};

/* ---- the table ---- */
extern const wf_optimizer_row *const wf_optimizers[]; /* NULL-terminated */
extern const wf_option wf_optimizer_common[];
const wf_optimizer_row *wf_optimizer_find(const char *name, weft_error *err); /* NULL and a message with the nearest name */

/* ---- use ---- */
/* `options` holds "name" and the row's options. WEFT_UNSUPPORTED when the row does not accept a tensor. */
weft_status wf_optimizer_create(const wf_env *env, const wf_json *options, const wf_opt_param *params, size_t n,
                                wf_optimizer **out, weft_error *err);
void wf_optimizer_free(wf_optimizer *o);
/* The rate the next update would use. */
double wf_optimizer_rate(const wf_optimizer *o, double multiplier);
/* One update. Returns the rate used: lr * multiplier, or the row's own. */
double wf_optimizer_step(wf_optimizer *o, double multiplier, double grad_scale);

/* What a checkpoint must hold beside `updates`: every state, as floats. */
typedef struct wf_opt_state {
    const char *tensor, *slot;
    float *data;
    int64_t count;
} wf_opt_state;
size_t wf_optimizer_states(const wf_optimizer *o);
wf_opt_state wf_optimizer_state(const wf_optimizer *o, size_t i);
/* The resolved options, defaults included. */
wf_json *wf_optimizer_options(const wf_optimizer *o, wf_arena *arena);
/* Floats of state a tensor would take; -1 when the row does not accept it. For estimates, no optimizer needed. */
int64_t wf_optimizer_state_count(const wf_optimizer_row *row, const double *value, int rank, const int64_t *dims);
/* Options alone: row and values, for estimates and checks before any tensor exists. */
weft_status wf_optimizer_read(const wf_json *options, const wf_optimizer_row **row, double value[WF_OPTION_VALUES],
                              weft_error *err);

/* ---- helpers for rows ---- */
static inline int64_t wf_opt_pieces(int64_t count) { return (count + WF_OPT_PIECE - 1) / WF_OPT_PIECE; }
/* Weight decay of this tensor, 0 when it does not decay. */
static inline double wf_opt_decay(const wf_optimizer *o, const wf_opt_tensor *t) {
    return t->decay ? o->value[WF_OPT_WEIGHT_DECAY] : 0;
}
/* Rounds elements first..first+n-1 into t->bf16 when there is one: for phases that wrote the parameters. */
void wf_opt_round(const wf_optimizer *o, const wf_opt_tensor *t, int64_t first, int64_t n);

#define WF_OPTION_LR(standard)                                                                                                 \
    { .name = "lr", .at = WF_OPT_LR, .fallback = {standard}, .max = HUGE_VAL, .help = "peak learning rate" }
#define WF_OPTION_DECAY(standard, text)                                                                                        \
    { .name = "weight_decay", .at = WF_OPT_WEIGHT_DECAY, .fallback = {standard}, .max = HUGE_VAL, .help = text }
#define WF_OPTION_BETAS(place, first, second)                                                                                  \
    {                                                                                                                          \
        .name = "betas", .at = place, .count = 2, .fallback = {first, second}, .max = 1, .below = true,                        \
        .help = "decay of the running averages of the gradient and of its square"                                              \
    }
#define WF_OPTION_EPS(place, standard, text)                                                                                   \
    { .name = "eps", .at = place, .fallback = {standard}, .max = HUGE_VAL, .help = text }
#endif
