/* tape.h - private to the tensor room: what recording, planning and running share. */
#ifndef WF_TENSOR_TAPE_H
#define WF_TENSOR_TAPE_H
#include <stdatomic.h>
#include "tensor/tensor.h"

/* The planner's notes on one tensor. Slots 0, 1, ..: data, then data after a region that it does not leave was recomputed, from
 * the outermost such region inwards; the last: gradient. */
enum { WF_MAX_NESTED = 3, WF_DATA = 0, WF_GRAD = WF_MAX_NESTED + 1, WF_SLOTS };
struct wf_life {
    int first[WF_SLOTS], last[WF_SLOTS]; /* entry times; first -1: unused */
    size_t offset[WF_SLOTS];
    int home;           /* the innermost region that all its producers and readers stand in, -1 none: it is not kept outside */
    int now;            /* slot of its data at this point of the plan or of the replay */
    bool wanted, moved; /* by the region being planned; the plan has passed the place where it is rebuilt */
    wf_tensor *again;   /* what it is rebuilt as, NULL: nothing */
    wf_tensor *over;    /* whose memory it takes when nothing reads that any more (wf_op.over); NULL: it has its own */
    int reader;         /* index of the last node that reads it */
    bool keep, keep_grad, bound;
    bool constant; /* decided by parameters that do not change: see wf_tape_options.fixed */
    bool sliced;   /* some view covers only a part: gradients are zeroed first and every writer adds */
    bool grad_arrives, grad_written;
};

/* A stretch of nodes whose temporaries are recomputed; those from `inverse` on rebuild inputs of the others. */
typedef struct wf_region {
    int parent;             /* the region around it, -1 none */
    size_t first, end;      /* nodes */
    size_t inverse;         /* first node of the inverse; end: none */
    size_t tensor, tensors; /* first and last+1 of those made meanwhile */
    bool again;             /* the plan has recomputed it */
} wf_region;

typedef enum wf_entry_kind { WF_RUN, WF_ZERO_GRAD, WF_SEED, WF_RECOMPUTE, WF_REBUILT } wf_entry_kind;
typedef struct wf_entry {
    wf_entry_kind kind;
    wf_pass pass;
    wf_node *node;
    wf_tensor *tensor, *seed; /* ZERO_GRAD, SEED */
    int region;               /* RECOMPUTE: its tensors move to their next slot; REBUILT: its inputs to where they are now */
    size_t work;              /* RUN: offset of what its phases share */
    bool once;                /* its outputs are constant */
    int more;                 /* RUN: so many nodes after it run with it, by strips of rows: see wf_op.run_rows */
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
    wf_region *regions;
    size_t n_regions, regions_capacity;
    int region;   /* the open one, -1 none */
    bool inverts; /* some region has an inverse */
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
bool wf_region_holds(const wf_tape *tape, int outer, int inner); /* inner is outer or stands inside it */
weft_status wf_list_push(wf_tape *tape, wf_list *list, void *item);
weft_status wf_plan_schedule(wf_tape *tape, weft_error *err); /* entries and lifetimes */
/* Arena and pointers; `measure`: sizes only. */
weft_status wf_plan_memory(wf_tape *tape, bool measure, weft_error *err);
/* Gives the entry's node the memory that its phases share in this entry. */
static inline void wf_entry_work(const wf_tape *tape, const wf_entry *entry) {
    entry->node->work_data[entry->pass] = entry->node->work[entry->pass] ? tape->memory + entry->work : NULL;
}
/* A chain's rows in strips: how many, and the blocks of each. */
static inline int64_t wf_row_blocks(int64_t rows) { return (rows + WF_GEMM_ROWS - 1) / WF_GEMM_ROWS; }
int wf_strips(int64_t blocks, int threads);
void wf_strip_bounds(int64_t blocks, int threads, int strip, int64_t *first, int64_t *end);
void wf_plan_resolve_views(wf_tape *tape, size_t first, size_t end); /* of these tensors */
#endif
