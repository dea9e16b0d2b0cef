/* cases.h - what the cases of operations are built with, and their tables, one for each file beside this one. */
#ifndef WF_TESTS_OPS_CASES_H
#define WF_TESTS_OPS_CASES_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tensor/ops.h"
#include "tensor/tape.h"

enum { MAX_LEAVES = 8 };

typedef struct fixture {
    wf_env env;
    wf_kernels kernels;
    wf_params params;
    wf_tape *tape;
    wf_tensor *leaf[MAX_LEAVES];
    int leaves;
    wf_tensor *y, *probe;
} fixture;

/* A differentiable input filled with numbers in about [-1, 1] + shift. */
static inline wf_tensor *leaf(fixture *f, int rank, const int64_t *dims) {
    wf_tensor *x = wf_input_grad(f->tape, "x", rank, dims);
    f->leaf[f->leaves++] = x;
    return x;
}
static inline wf_tensor *leaf1(fixture *f, int64_t n) { return leaf(f, 1, (int64_t[]){n}); }
static inline wf_tensor *leaf2(fixture *f, int64_t a, int64_t b) { return leaf(f, 2, (int64_t[]){a, b}); }
static inline wf_tensor *leaf3(fixture *f, int64_t a, int64_t b, int64_t c) { return leaf(f, 3, (int64_t[]){a, b, c}); }
static inline wf_tensor *leaf4(fixture *f, int64_t a, int64_t b, int64_t c, int64_t d) {
    return leaf(f, 4, (int64_t[]){a, b, c, d});
}
static inline wf_tensor *ids(fixture *f, int64_t a, int64_t b) {
    return wf_input(f->tape, "ids", WF_I32, 2, (int64_t[]){a, b});
}
/* Keys and queries above zero, as feature maps make them. */
static inline wf_tensor *positive4(fixture *f, int64_t a, int64_t b, int64_t c, int64_t d) {
    return wf_activate(f->tape, leaf4(f, a, b, c, d), WF_ELU1);
}

typedef struct op_case {
    const char *op;
    wf_tensor *(*build)(fixture *f);
    double tolerance;
} op_case;

/* Each ends with a row without a name. */
extern const op_case wf_op_cases_rows[], wf_op_cases_recurrent[], wf_op_cases_attention[];
#endif
