/* kernels.h - the compute kernels as one record of function pointers, filled from plain C upward under a mask (WEFT_CPU).
 * Every kernel works on the calling thread, on raw pointers, and does one piece of work; who calls which piece is decided by
 * the ops. kernels.def is THE list: each line has a plain C form (ref/, the specification, names wf_ref_<name>) and may have a
 * vector form (simd/, one source compiled per instruction set). fp32 unless the name says otherwise; sizes are element counts.
 */
#ifndef WF_KERNELS_H
#define WF_KERNELS_H
#include <stdbool.h>
#include "base/rng.h"
#include "base/status.h"
#include "kernels/dtype.h"
#include "kernels/attention.h"
#include "kernels/delta.h"
#include "kernels/int8.h"
#include "kernels/poles.h"
#include "kernels/recurrence.h"
#include "kernels/scan.h"

typedef enum wf_activation { /* channel/README.md; elu1 = elu(x)+1, softplus for state-space mixers */
                             WF_RELU,
                             WF_GELU,
                             WF_GELU_TANH,
                             WF_QUICK_GELU,
                             WF_SILU,
                             WF_RELU2,
                             WF_SIGMOID,
                             WF_TANH,
                             WF_IDENTITY,
                             WF_ELU1,
                             WF_SOFTPLUS,
                             WF_EXP,
                             WF_RELU6, /* from here on: rare, in plain C only */
                             WF_LEAKY_RELU,
                             WF_HARDSWISH,
                             WF_MISH,
                             WF_GELU_10,
                             WF_LAPLACE,
                             WF_SQRT_SOFTPLUS,
                             WF_ACTIVATION_COUNT
} wf_activation;
/* What channel mixers may choose from. */
#define WF_ACTIVATION_WORDS                                                                                                    \
    "relu|gelu|gelu_tanh|quick_gelu|silu|relu2|sigmoid|tanh|identity|relu6|leaky_relu|hardswish|mish|gelu_10|laplace|"         \
    "sqrtsoftplus"
extern const char *const wf_activation_names[WF_ACTIVATION_COUNT];
int wf_activation_by_name(const char *name); /* also gelu_new, gelu_pytorch_tanh, gelu_fast, swish, gelu_python; -1 unknown */

typedef struct wf_adam_step {                  /* constants of one AdamW pass over one tensor; p, m, v updated in place */
    float lr, beta1, beta2, eps, weight_decay; /* decoupled decay: p *= 1 - lr*weight_decay first */
    float correct1, correct2;                  /* 1-b1^t, sqrt(1-b2^t) of these very floats, computed in double */
    float grad_scale;                          /* clipping: g *= grad_scale */
} wf_adam_step;

enum { WF_FFT_LANES = 16 };                       /* signals of one fft */
enum { WF_GEMM_ROWS = 12, WF_GEMM_COLUMNS = 32 }; /* of the packed panels of gemm_block */
enum { WF_PANEL_SLACK = 16 };                     /* floats behind what panel_copy writes */
typedef struct wf_gemm_beside {
    const float *bias; /* [n] is added; NULL: none */
    const char
        *ahead; /* with every step of k the bytes at ahead, ahead + ahead_step, .. are fetched, for what comes next; NULL: */
    int64_t ahead_step; /* none. A few at a time: all at once they would keep the block's own loads waiting */
} wf_gemm_beside;
typedef struct wf_panel_form { /* how panel_product wants its operands */
    int64_t columns;           /* of a panel, a divisor of WF_GEMM_COLUMNS */
    int64_t depth;             /* steps of k at once */
    int64_t rows;              /* that panel_copy puts side by side; 0: rows are read where they lie */
} wf_panel_form;
typedef struct wf_panel_args { /* fp32, and bf16 for panel_product_bf16 */
    void *c;                   /* [m,n], rows ldc apart; n at most a panel's columns; of bf16 also fp32 */
    const void *a;             /* rows `row` apart, or copied */
    const void *panel;         /* [k][columns]; of bf16 [(k + 1)/2][WF_GEMM_COLUMNS][2], with a 0 beside the last of an odd k */
    const float *bias;         /* [n] or NULL */
    const char *ahead;         /* these bytes, as many as the panel has, are fetched meanwhile; NULL: nothing */
    int64_t ldc, row, k, m, n;
    bool add;    /* to what c holds; not of bf16 */
    bool narrow; /* c is bf16 */
} wf_panel_args;
enum { WF_PROBE_CHAINS = 12 }; /* of probe_fma: latency x units of any core, and no more than there are registers */

#define WF_KERNEL(result, name, args) typedef result(*wf_##name##_fn) args;
#include "kernels/kernels.def"
#undef WF_KERNEL

typedef struct wf_kernels {
    const char *isa; /* "baseline", "avx2", "avx512", "avx512_vnni", "avx512_bf16" */
#define WF_KERNEL(result, name, args) wf_##name##_fn name;
#include "kernels/kernels.def"
#undef WF_KERNEL
} wf_kernels;

/* The plain C forms. */
extern const wf_kernels wf_kernels_ref;
/* The best forms for this processor, not above `mask` ("baseline", "avx2", ...; NULL: the environment's WEFT_CPU, or no mask).
 */
weft_status wf_kernels_choose(const char *mask, wf_kernels *out, weft_error *err);
/* Names of the instruction sets built in and supported here, NULL-terminated, best last. */
const char *const *wf_kernels_isas(void);
#endif
