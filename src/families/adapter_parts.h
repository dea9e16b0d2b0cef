/* adapter_parts.h - private to the families: what an adapter beside a model consists of. */
#ifndef WF_FAMILIES_ADAPTER_PARTS_H
#define WF_FAMILIES_ADAPTER_PARTS_H
#include "families/load_adapter.h"

typedef enum wf_adapter_part { WF_PART_A, WF_PART_B, WF_PART_MAGNITUDE } wf_adapter_part;

/* The terms of the modules that make up the same parameters: one module, or one per slice of them. The file's tensor is the
 * stack of rows of the parameters, whose terms are the rows of one left factor. */
typedef struct wf_adapter_unit {
    wf_param *left, *right, *magnitude;
    size_t n_parts;
    wf_param *params[WF_NAME_PARTS];
    int64_t rows[WF_NAME_PARTS], first[WF_NAME_PARTS]; /* of a slice; in the left factor */
    int64_t slices, all_rows, columns, rank, pieces;
    bool swapped; /* left is A^T and right B^T */
    float *scales;
    const char *where; /* a module, for messages */
} wf_adapter_unit;

typedef struct wf_merged { /* a parameter's value before */
    wf_param *param;
    float *value;
    bool owned;
    const wf_adapter *adapter;
} wf_merged;

struct wf_adapters {
    wf_arena arena;
    wf_json *config;
    wf_adapter_unit *units;
    size_t n_units;
    wf_adapter_tensor *tensors;
    size_t n_tensors, capacity;
    wf_merged *merged;
    size_t n_merged;
    bool parted;      /* one use of a tied tensor is another one than before */
    const char *term; /* a module of a tied pair that has terms; NULL: none */
};

void wf_adapters_free(const wf_mem *mem, wf_adapters *adapters);
/* Elements between a tensor of the file and the parameters. */
weft_status wf_adapter_tensor_read(const wf_model *model, const wf_adapter_tensor *tensor, const float *file, weft_error *err);
/* Magnitudes that leave the base as it is. */
void wf_adapter_measure(const wf_adapter_unit *unit, const wf_kernels *k);
#endif
