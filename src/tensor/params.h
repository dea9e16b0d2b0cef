/* params.h - parameters: fp32 masters, gradients, and bf16 compute copies. Gradients accumulate per parameter, however many
 * places use it. Thread rule: one owner; read-only while tapes that use them run forward. */
#ifndef WF_TENSOR_PARAMS_H
#define WF_TENSOR_PARAMS_H
#include <stdbool.h>
#include "base/env.h"
#include "base/rng.h"

typedef enum wf_init {
    WF_INIT_ZEROS,
    WF_INIT_ONES,
    WF_INIT_NORMAL /* std scale */,
    WF_INIT_UNIFORM /* +-scale */,
    WF_INIT_CONSTANT /* scale */,
    WF_INIT_CUSTOM /* the row fills it */,
    WF_INIT_SEEDED /* wf_torch_normal of a seed of its own */
} wf_init;

struct wf_param;

/* What an adapter makes of a parameter, seen as `slices` matrices [rows, columns] one behind the other: W_i + scale_i * L_i
 * R_i, and with a magnitude its rows (or columns) brought to these lengths. L_i are rows of `left`, from row first + i*rows on;
 * R_i are rows of `right`, from i*rank on. Several parameters may share a right factor and have rows of one left. */
typedef struct wf_adapter {
    struct wf_param *left, *right; /* [.., rank], [slices*rank, columns] */
    struct wf_param *magnitude;    /* [..]: of row i at first + i, or of column j of slice s at s*columns + j; NULL: none */
    bool by_column;
    int64_t first, slices, rows, columns, rank;
    const float *scales; /* [slices] */
    float dropout;       /* of what goes into a projection, in training */
} wf_adapter;

typedef struct wf_param {
    const char *name; /* e.g. "block.0.mixer.q.weight" */
    int rank;
    int64_t dims[6], count;
    float *value;    /* [count] */
    float *grad;     /* [count], NULL when not training */
    uint16_t *bf16;  /* [count] compute copy, NULL in fp32 mode */
    bool buffer;     /* never trained */
    bool frozen;     /* not trained while an adapter is */
    bool table;      /* rows are looked up by number */
    bool no_decay;   /* its row of the mixers exempts it from weight decay */
    bool owns_value; /* false: value points into a mapped file */
    int64_t turned; /* of a matrix: 0, or element [i][j] is value[j*turned + i]. Such values are read through wf_param_values */
    wf_init init;
    float init_scale;
    void (*init_fn)(float *value, int64_t count, const int64_t *dims, wf_rng rng); /* WF_INIT_CUSTOM */
    uint32_t id;
    const wf_adapter *adapter; /* NULL: the parameter is its value */
    uint64_t init_seed;        /* WF_INIT_SEEDED */
    float *panels;             /* a matrix as kernels/gemm/panels.h has it; NULL: products are to read it as it lies */
    uint16_t *bf16_panels;     /* the same of `bf16` */
    uint8_t *int8;             /* rows of the last dimension packed (kernels/int8.h); NULL: products in int8 are not wanted */
    const float *balance;      /* of int8: one for all matrices that read the same rows, */
    struct wf_param *together; /* of which this is the next; NULL: none */
} wf_param;

static inline bool wf_param_trains(const wf_param *p) { return !p->buffer && !p->frozen; }

typedef struct wf_params {
    const wf_env *env;
    wf_arena arena; /* names and records */
    wf_param **list;
    size_t count, capacity;
    void **blocks; /* what panels and int8 lie in: one for all parameters packed at the same time, so that pages are large */
    size_t n_blocks, block_capacity;
} wf_params;

void wf_params_open(wf_params *params, const wf_env *env);
void wf_params_close(wf_params *params);
/* Declares a parameter; memory comes with wf_params_allocate. A name twice is an error. */
weft_status wf_param_add(wf_params *params, const char *name, int rank, const int64_t *dims, wf_param **out, weft_error *err);
void wf_params_cut(wf_params *params, size_t count); /* frees all but the first `count` */
wf_param *wf_param_find(const wf_params *params, const char *name);
weft_status wf_params_allocate(wf_params *params, weft_error *err);       /* values that have none yet, zeroed */
weft_status wf_params_allocate_grads(wf_params *params, weft_error *err); /* of those that train */
weft_status wf_params_allocate_bf16(wf_params *params, weft_error *err);
/* `count` values from `first` on, whole rows where they lie turned: where they are, or copied in order into `out`. */
const float *wf_param_values(const wf_params *params, const wf_param *param, int64_t first, int64_t count, float *out);
/* Of all matrices but tables: in bf16 where there are copies and the processor multiplies it, in fp32 where there are none. */
weft_status wf_params_allocate_panels(wf_params *params, weft_error *err);
bool wf_params_have_bf16_panels(const wf_params *params);                /* any of them: products in bf16 read these */
weft_status wf_params_allocate_int8(wf_params *params, weft_error *err); /* of all matrices, from the masters */
void wf_params_refresh_bf16(wf_params *params);                          /* bf16 copies from the masters */
void wf_params_init(wf_params *params,
                    uint64_t seed); /* every value from its init; keyed by name, so adding a parameter moves no other */
void wf_param_init(const wf_params *params, wf_param *param, uint64_t seed); /* the same of one */
/* Random numbers of a parameter at a step; init draws those of step 0. */
wf_rng wf_param_rng(const wf_param *param, uint64_t seed, uint32_t step);
int64_t wf_params_total(const wf_params *params);   /* elements of all but buffers */
int64_t wf_params_trained(const wf_params *params); /* elements of those that train */
uint64_t wf_params_digest(const wf_params *params); /* xxh64 over names and values */
#endif
