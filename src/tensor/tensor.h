/* tensor.h - tensors, operations and the tape.
 *
 * A tape is recorded once per shape and replayed: ops append nodes (no arithmetic happens), wf_tape_plan computes lifetimes and
 * lays every temporary out in one arena, wf_tape_forward and wf_tape_backward replay without allocating.
 *
 *     wf_tape *t; wf_tape_create(env, &(wf_tape_options){.type = WF_F32, .grad = true}, &t, err);
 *     wf_tensor *ids = wf_input(t, "ids", WF_I32, 2, (int64_t[]){B, T});
 *     wf_tensor *x = wf_embed(t, ids, wf_use(t, table));
 *     wf_tensor *loss = ...;
 *     wf_root(t, loss);                       // gradients start here
 *     wf_tape_plan(t, err);
 *     memcpy(ids->data, ...); wf_tape_forward(t, &rt, err); wf_tape_backward(t, &rt, err);
 *
 * Errors while recording are sticky: an op that gets a NULL tensor or a bad shape returns NULL, and wf_tape_plan reports the
 * first message. Thread rule: a tape is used by one caller at a time; it runs on the env's pool.
 *
 * An op is one file in ops/ and one line in ops.def: its constructor checks shapes, `run` does piece i of n of a pass and opens
 * no parallel region itself. Pieces depend on the shape only, never on the number of threads, and a piece's result does not
 * depend on who computes it: so every thread count gives the same bits. A pass may have several phases; all pieces of a phase
 * are done before the next begins. */
#ifndef WF_TENSOR_H
#define WF_TENSOR_H
#include <stdbool.h>
#include "base/env.h"
#include "base/rng.h"
#include "kernels/dtype.h"
#include "kernels/kernels.h"
#include "tensor/params.h"

enum { WF_MAX_RANK = 6, WF_MAX_IN = 16, WF_MAX_OUT = 6 };

typedef struct wf_tensor wf_tensor;
typedef struct wf_node wf_node;
typedef struct wf_tape wf_tape;

typedef enum wf_tensor_kind { WF_TEMP, WF_INPUT, WF_PARAMETER, WF_VIEW } wf_tensor_kind;

struct wf_tensor {
    const char *label;
    wf_dtype type;
    int rank;
    int64_t dims[WF_MAX_RANK], count; /* row-major, contiguous */
    wf_tensor_kind kind;
    bool needs_grad;
    void *data;      /* valid after planning; inputs may be bound elsewhere with wf_bind */
    void *grad;      /* same type as data (parameters: fp32); NULL when no gradient arrives */
    wf_tensor *base; /* of a view: whose memory it shares; never itself a view */
    int64_t offset;  /* of a view, in elements */
    wf_param *param;
    wf_tensor
        *adapted; /* of a parameter with an adapter or one that lies turned: what wf_adapted makes of it, once asked for */
    wf_node *producer;
    struct wf_life *life; /* the planner's */
};

typedef enum wf_pass { WF_FORWARD, WF_BACKWARD } wf_pass;

/* What changes from replay to replay. */
typedef struct wf_runtime {
    uint64_t seed;
    uint32_t step;        /* of the trainer: keys dropout */
    int micro;            /* index of the micro-batch in its accumulation: 0 overwrites parameter gradients, others add */
    bool training;        /* dropout on */
    float loss_scale;     /* gradient of every loss root */
    const int64_t *start; /* [B] tokens each sequence has seen before this call; NULL: zeros */
} wf_runtime;

typedef struct wf_worker { /* what one thread has while it runs a piece */
    int thread;
    void *scratch; /* node->scratch bytes, aligned to 64 */
    const wf_kernels *k;
    const wf_runtime *rt;
    const void *kept;      /* of run_rows: what the node before, of the same op and rows, had in scratch; NULL: nothing */
    const void *kept_with; /* what else decided it */
    const void *ahead;     /* what is read after this node (wf_op.begins): may be fetched meanwhile; NULL: nothing */
} wf_worker;

typedef struct wf_op {
    const char *name;
    /* Number of pieces of a phase; 0: the pass has no such phase (and none after it). NULL for backward = no gradient. */
    int (*pieces)(const wf_node *node, wf_pass pass, int phase);
    void (*run)(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *worker);
    /* The forward of rows first..end-1 of node->rows: of that share of every output, from the same share of every input that is
     * no parameter. NULL: not by rows. */
    void (*run_rows)(const wf_node *node, int64_t first, int64_t end, wf_worker *worker);
    const void *(*begins)(const wf_node *node); /* what run_rows reads first beside its rows; NULL: nothing of the kind */
    uint32_t saves_in, saves_out;               /* bit i: the backward reads in[i]->data / out[i]->data */
    double (*flops)(const wf_node *node, wf_pass pass); /* multiply-adds count 2; NULL: not counted */
    /* The same of the forward that has just run, where its data decide what is computed; NULL: flops. */
    double (*scheduled)(const wf_node *node, const wf_runtime *rt);
    void (*release)(const wf_env *env, wf_node *node); /* frees what attr owns; may be NULL */
    bool no_grad;      /* the op has no gradient: recording it where one is needed is an error that names it */
    uint32_t in_place; /* bit i: out[i] may share memory with in[j], j the matching state (recurrent states while decoding) */
    uint32_t over;  /* bit i: out[0] may lie where in[i] did: its numbers are read before those of the same place are written */
    uint32_t early; /* bit i: the forward of a training tape already writes the gradient of in[i] (cross_entropy) */
    bool by_runtime; /* reads what changes from replay to replay (wf_runtime): its inputs alone do not decide */
    bool uneven;     /* pieces differ in cost: threads claim them one by one instead of sharing them out */
    bool bare;       /* takes parameters without what their adapters make of them: its constructor sees to those */
    bool turned;     /* takes parameters as they lie (wf_param.turned) */
} wf_op;

struct wf_node {
    const wf_op *op;
    int n_in, n_out;
    wf_tensor *in[WF_MAX_IN];   /* entries may be NULL: optional inputs */
    wf_tensor *out[WF_MAX_OUT]; /* outputs, then what the op saves for its own backward */
    void *attr;                 /* the op's own record, in the tape's arena */
    int64_t rows;               /* of op->run_rows; 0: this node does not run by rows */
    size_t scratch;             /* bytes per thread */
    size_t work[2];             /* bytes shared by the phases of one pass */
    void *work_data[2];
    uint8_t grad_mode[WF_MAX_IN]; /* set by the planner: 0 none, 1 first writer, 2 adds */
    int index, region;            /* position on the tape; innermost region, -1 none */
    bool inverse;                 /* belongs to the inverse of its region */
};

/* ---- building ---- */
/* Memory that tapes which run one after the other share: what one leaves there is gone when another runs. Empty at first, it
 * grows when a tape is planned that needs more; then the tapes planned before must not run any more (`moves` counts). */
typedef struct wf_tape_memory {
    void *data[2]; /* temporaries, scratch */
    size_t size[2];
    int moves;
} wf_tape_memory;
void wf_tape_memory_free(const wf_env *env, wf_tape_memory *memory);

typedef struct wf_tape_options {
    wf_dtype type;          /* of activations: F32, or BF16 (fp32 residual stream, sums and parameters) */
    bool grad;              /* record for a backward pass */
    bool fixed;             /* parameters stay as they are: what they alone decide is computed in the first forward only */
    bool measure;           /* for wf_tape_measure: parameters need no memory, their gradients are planned all the same */
    wf_tape_memory *memory; /* NULL: the tape has its own; else it outlives the tape */
} wf_tape_options;

weft_status wf_tape_create(const wf_env *env, const wf_tape_options *options, wf_tape **out, weft_error *err);
void wf_tape_free(wf_tape *tape);
const wf_env *wf_tape_env(const wf_tape *tape);
wf_arena *wf_tape_arena(wf_tape *tape);
wf_dtype wf_tape_type(const wf_tape *tape);
bool wf_tape_grad(const wf_tape *tape);
bool wf_tape_failed(const wf_tape *tape);
uint32_t wf_tape_site(wf_tape *tape); /* a new stream number for random numbers: 0, 1, .. in recording order */
/* Remembers the first recording error; returns NULL so that constructors can `return wf_tape_error(...)`. */
wf_tensor *wf_tape_error(wf_tape *tape, weft_status status, const char *fmt, ...) WF_PRINTF(3, 4);
void wf_tape_error_of(wf_tape *tape, const char *who); /* puts "who: " before the message, where it does not say so itself */

wf_tensor *wf_input(wf_tape *tape, const char *label, wf_dtype type, int rank, const int64_t *dims);
wf_tensor *wf_input_grad(wf_tape *tape, const char *label, int rank, const int64_t *dims); /* fp32, its gradient is wanted */
wf_tensor *wf_use(wf_tape *tape, wf_param *param); /* the same tensor for the same parameter; NULL gives NULL without error */
wf_tensor *wf_zeros(wf_tape *tape, int rank, const int64_t *dims);                   /* fp32, constant */
wf_tensor *wf_constant(wf_tape *tape, int rank, const int64_t *dims, float *values); /* fp32, `values` in the tape's arena */
void wf_bind(wf_tensor *input, void *data); /* memory of the caller instead of the arena's; any time before a run */
/* Views: same memory, no node. Slices are of the first dimension only. */
wf_tensor *wf_reshape(wf_tape *tape, wf_tensor *x, int rank, const int64_t *dims);
wf_tensor *wf_rows(wf_tape *tape, wf_tensor *x, int64_t first, int64_t count);
void wf_root(wf_tape *tape, wf_tensor *x);                         /* a gradient starts here: a scalar loss (loss_scale) */
void wf_root_seeded(wf_tape *tape, wf_tensor *x, wf_tensor *seed); /* ... or `seed`, an input of x's shape */
/* Makes the output `x` of a node share the memory of the input `target` (same count and type): a state updated in place. */
void wf_alias(wf_tape *tape, wf_tensor *x, wf_tensor *target);
void wf_keep(wf_tape *tape, wf_tensor *x);      /* x->data stays valid until the next forward */
void wf_keep_grad(wf_tape *tape, wf_tensor *x); /* x->grad stays valid until the next backward */
/* Nodes recorded between these are recomputed before their backward instead of keeping their temporaries (Chen et al. 2016).
 * Regions may stand inside others. What the backward does not ask for is not recomputed. */
void wf_region_begin(wf_tape *tape);
void wf_region_end(wf_tape *tape);
/* A region may carry its inverse: the nodes recorded from here to its end, which run in the backward only, after the others
 * have been recomputed, and may read what these made. wf_rebuilt: `again`, made by them, is x (fp32, from outside of the
 * region), which therefore is not kept for the backward where nothing else needs it sooner (Gomez et al. 2017). Integers that
 * nodes of regions make of real numbers are kept once there is an inverse: choices stay the same where their reasons were
 * rebuilt. */
void wf_region_inverse(wf_tape *tape);
void wf_rebuilt(wf_tape *tape, wf_tensor *x, wf_tensor *again);

/* ---- for ops ---- */
/* Appends a node. `attr` must live in the tape's arena. Outputs are made with wf_out before. */
wf_node *wf_record(wf_tape *tape, const wf_op *op, int n_in, wf_tensor *const *in, int n_out, wf_tensor *const *out,
                   void *attr);
wf_tensor *wf_out(wf_tape *tape, wf_dtype type, int rank, const int64_t *dims);
/* Where node's backward writes the gradient of in[i]: NULL when none is wanted; *beta is 0 (overwrite) or 1 (add). */
void *wf_grad_in(const wf_node *node, int i, const wf_worker *w, float *beta);
static inline int64_t wf_dim(const wf_tensor *x, int i) {
    return x->dims[i < 0 ? x->rank + i : i];
} /* negative: from the end */
static inline int64_t wf_row_count(const wf_tensor *x) { return x->rank ? x->count / x->dims[x->rank - 1] : 1; }
/* The adapter of a parameter or of a view of one; NULL: none. */
static inline const wf_adapter *wf_adapter_of(const wf_tensor *x) {
    const wf_param *p = (x->base ? x->base : x)->param;
    return p ? p->adapter : NULL;
}
/* How a parameter, or that of a view, lies (wf_param.turned). */
static inline int64_t wf_turned(const wf_tensor *x) {
    const wf_param *p = (x->base ? x->base : x)->param;
    return p ? p->turned : 0;
}
/* The memory of a parameter, with its compute copy. */
static inline bool wf_is_parameter(const wf_tensor *x) {
    return (x->base ? x->base : x)->kind == WF_PARAMETER && !wf_adapter_of(x);
}
bool wf_same_shape(const wf_tensor *a, const wf_tensor *b);
/* n elements from `first` as fp32: a pointer into fp32 data, or converted into tmp. Store is the reverse; store_add adds
 * beta*old. */
const float *wf_load(const wf_worker *w, const void *data, wf_dtype type, int64_t first, int64_t n, float *tmp);
void wf_store(const wf_worker *w, void *data, wf_dtype type, int64_t first, int64_t n, const float *values, float beta);
/* A fixed split of `count` items into pieces of at least `grain` items (at most 64 pieces); bounds of piece p. */
int wf_split_pieces(int64_t count, int64_t grain);
void wf_split_bounds(int64_t count, int pieces, int p, int64_t *first, int64_t *end);

/* ---- running ---- */
weft_status wf_tape_plan(wf_tape *tape, weft_error *err);
weft_status wf_tape_forward(wf_tape *tape, const wf_runtime *rt, weft_error *err);
/* The same on the calling thread alone, the same bits; threads of a region may each run a tape that shares no memory with the
 * others'. */
weft_status wf_tape_forward_alone(wf_tape *tape, const wf_runtime *rt, weft_error *err);
weft_status wf_tape_backward(wf_tape *tape, const wf_runtime *rt, weft_error *err);
typedef struct wf_tape_stats {
    size_t arena_bytes, scratch_bytes, nodes;
    double flops_forward, flops_backward;
} wf_tape_stats;
wf_tape_stats wf_tape_stats_of(const wf_tape *tape);
/* FLOPs of the forward that has just run with `rt`, of a tape with a backward (whose inputs are still there): those of the
 * stats, but what patterns made of the data has been counted key by key. */
double wf_tape_scheduled_flops(const wf_tape *tape, const wf_runtime *rt);
/* What a replay would take, without taking it: of a tape made with `measure`, instead of wf_tape_plan. */
weft_status wf_tape_measure(wf_tape *tape, wf_tape_stats *out, weft_error *err);
/* Seconds per op name of the last run, for profiling: calls fn for each; needs wf_tape_profile(tape, true) before. */
void wf_tape_profile(wf_tape *tape, bool on);
void wf_tape_profile_each(const wf_tape *tape, void (*fn)(void *user, const char *op, wf_pass pass, double seconds, int calls),
                          void *user);
#endif
