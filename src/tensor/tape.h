/* tape.h - private to the tensor room: what recording, planning and running share. */
#ifndef WF_TENSOR_TAPE_H
#define WF_TENSOR_TAPE_H
#include <stdatomic.h>
#include "tensor/tensor.h"

/* The planner's notes on one tensor. Slot 0: data; slot 1: data after its region was recomputed; slot 2: gradient. */
enum { WF_DATA, WF_DATA_AGAIN, WF_GRAD, WF_SLOTS };
struct wf_life {
    int first[WF_SLOTS], last[WF_SLOTS]; /* entry times; first -1: unused */
    size_t offset[WF_SLOTS];
    bool keep, keep_grad, bound;
    bool constant; /* decided by parameters that do not change: see wf_tape_options.fixed */
    bool sliced;   /* some view covers only a part: gradients are zeroed first and every writer adds */
    bool grad_arrives, grad_written;
    bool region_local; /* produced and used inside one region only: recomputed into slot 1 */
};

typedef enum wf_entry_kind { WF_RUN, WF_ZERO_GRAD, WF_SEED, WF_RECOMPUTE } wf_entry_kind;
typedef struct wf_entry {
    wf_entry_kind kind;
    wf_pass pass;
    wf_node *node;
    wf_tensor *tensor, *seed; /* ZERO_GRAD, SEED */
    int region;               /* RECOMPUTE: tensors of this region move to slot 1 */
    bool once;                /* its outputs are constant */
    int phases, *pieces;      /* pieces of each phase, in the tape's arena */
    size_t claim;             /* of the first phase, in tape->claims */
    double seconds;
    int calls;
} wf_entry;

typedef struct wf_entries {
    wf_entry *list;
    size_t count, capacity;
} wf_entries;

typedef struct wf_list { /* of pointers, in the env's memory */
    void **items;
    size_t count, capacity;
} wf_list;

typedef struct wf_root_mark {
    wf_tensor *tensor, *seed;
} wf_root_mark;

struct wf_tape {
    const wf_env *env;
    wf_tape_options options;
    wf_arena arena;
    wf_list nodes, tensors, roots;
    weft_error error;
    uint32_t sites;
    int region, regions; /* open region (-1), number of regions */
    bool inner;          /* the open region stands inside another */
    bool planned, profile;
    bool warm;  /* a forward has run: what is constant is there */
    bool alone; /* too little work to share: runs on the caller */
    wf_entries passes[2];
    atomic_int *claims; /* next piece per entry and phase */
    size_t n_claims;
    char *memory;
    size_t memory_bytes;
    char *scratch;
    size_t scratch_bytes; /* per thread */
};

static inline wf_tensor *wf_base(wf_tensor *x) { return x->base ? x->base : x; }
weft_status wf_list_push(wf_tape *tape, wf_list *list, void *item);
weft_status wf_plan_schedule(wf_tape *tape, weft_error *err); /* entries and lifetimes */
/* Arena and pointers; `measure`: sizes only. */
weft_status wf_plan_memory(wf_tape *tape, bool measure, weft_error *err);
void wf_plan_resolve_views(wf_tape *tape);
#endif
