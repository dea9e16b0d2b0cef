/* rnn.h - what the recurrent cells share: one layer in one direction over a whole sequence. ih [B,T,gates*h] holds the
 * pre-activations of the input; each step adds the product of the last state with hh [gates*h, h].
 *
 * How the work is cut depends on the shape only. Several sequences and weights that fit a cache: a piece is a few sequences for
 * all steps. Otherwise every step is a phase and a piece a block of lanes (channels of the state) of all sequences, so that
 * each thread keeps its share of the weights in its own cache. */
#ifndef WF_TENSOR_OPS_RNN_H
#define WF_TENSOR_OPS_RNN_H
#include "kernels/gemm/gemm.h"
#include "tensor/ops/elementwise.h"

enum { RNN_IH, RNN_HH, RNN_BIAS, RNN_MASK, RNN_H_IN, RNN_C_IN, RNN_INPUTS };
enum { RNN_Y, RNN_H_OUT }; /* then what the cell keeps, see struct rnn */
enum { RNN_LANES = WF_GEMM_COLUMNS, RNN_ROWS = WF_GEMM_ROWS, RNN_SAVED = 4 };

/* What one call of a cell works on: at most RNN_ROWS sequences from b0, n lanes from j0 (at most RNN_LANES). */
typedef struct rnn_at {
    int64_t step, time, before, after; /* step in running order; its place in time, and those of its neighbours in that order */
    int64_t b0, rows, j0, n;
} rnn_at;

/* A cell: stages are products that follow each other within a step (the backward runs them from the last to the first). z in
 * scratch is [row][RNN_SAVED][n]; saved activations of a sequence are [RNN_SAVED][n]. */
typedef struct rnn_cell {
    int gates, stages;
    bool cells; /* a second state c */
    void (*forward)(const wf_node *node, int stage, rnn_at at, wf_worker *w);
    void (*backward)(const wf_node *node, int stage, rnn_at at, wf_worker *w);
} rnn_cell;

typedef struct rnn {
    const rnn_cell *cell;
    int64_t batch, t, hidden, width; /* width: gates*hidden */
    bool reverse, by_step, sweep;    /* sweep: one step of few sequences reads hh in place */
    bool hidden_gate;                /* the last gate's product has a gradient of its own, not that of ih (gru, reset after) */
    int64_t groups;                  /* of sequences, when not by step */
    int c_out, gates, cells, states; /* index among the outputs, -1: not there; states: with a mask, else those are y */
    bool wants_state;
    wf_gemm_plan *dw[2]; /* gradient of hh; [1]: of its last gate when that reads r*h (gru, reset before) */
} rnn;

/* Working memory of a pass. du [B,T,width]: gradient of hh h + bias; dih: of ih, the same memory unless they differ. */
typedef struct rnn_memory {
    float *panels, *du, *dih, *before, *reset; /* packed hh; [B,T,h]: the state each step read; r*h of it (forward: [B,h]) */
    float *dh, *dc;                            /* [B,h]: gradients of the states by later steps */
    size_t count;
} rnn_memory;
rnn_memory wf_rnn_memory(const wf_node *node, wf_pass pass, const wf_worker *w);

bool wf_rnn_padding(const wf_node *node, rnn_at at, int64_t b);
const float *wf_rnn_ih(const wf_node *node, rnn_at at, int64_t b, int gate); /* n lanes */
const float *wf_rnn_bias(const wf_node *node, rnn_at at, int gate);          /* n lanes; NULL: none */
const float *wf_rnn_before(const wf_node *node, rnn_at at, int64_t b);       /* n lanes of h before the step */
float *wf_rnn_saved(const wf_node *node, rnn_at at, int64_t b);
void wf_rnn_write(const wf_node *node, rnn_at at, int64_t b, const float *h); /* NULL: padding, the state stays and y is 0 */
/* z gates g0..g1-1 += hh times the state before the step, or times rows of `reset` [B,h]. */
void wf_rnn_product(const wf_node *node, rnn_at at, int g0, int g1, const float *reset, float *z, wf_worker *w);
/* out [row][ldc] += du of the step (gates g0..g1-1) times hh. */
void wf_rnn_product_back(const wf_node *node, rnn_at at, int g0, int g1, float *out, int64_t ldc, wf_worker *w);
/* Adds to dh what the step after this one sends back through gates 0..gates-1. */
void wf_rnn_carry(const wf_node *node, rnn_at at, int gates, wf_worker *w);
const float *wf_rnn_dy(const wf_node *node, rnn_at at, int64_t b); /* n lanes; zeros when no gradient arrives */
/* Writes du (and dih, where it is other memory) of one gate; NULL: zeros. */
void wf_rnn_write_back(const wf_node *node, rnn_at at, int64_t b, int gate, const float *du, const float *dih,
                       const wf_worker *w);

int wf_rnn_pieces(const wf_node *node, wf_pass pass, int phase);
void wf_rnn_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w);
double wf_rnn_flops(const wf_node *node, wf_pass pass);
void wf_rnn_release(const wf_env *env, wf_node *node);
wf_tensor *wf_rnn_record(wf_tape *t, const wf_op *op, const rnn_cell *cell, bool hidden_gate, wf_tensor *ih,
                         const wf_rnn_spec *spec);
#define WF_RNN_OP(op_name)                                                                                                     \
    {                                                                                                                          \
        .name = op_name, .pieces = wf_rnn_pieces, .run = wf_rnn_run, .flops = wf_rnn_flops, .release = wf_rnn_release,         \
        .in_place = 6, .saves_in = (1u << RNN_INPUTS) - 1 - (1u << RNN_IH | 1u << RNN_BIAS), .saves_out = 1u | 0x3cu           \
    }
#endif
