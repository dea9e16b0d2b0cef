/* forms.h - one mixer run in each of its forms: full (no state, or a state that comes in and goes out), chunk (any cut of the
 * sequence, one recording per piece, states and their gradients carried over) and step (one token at a time, states in place).
 */
#ifndef WF_VERIFY_FORMS_H
#define WF_VERIFY_FORMS_H
#include "mixers/mixer.h"

typedef struct wf_form_io {
    int64_t batch, rows, dim;               /* of x */
    int64_t memory_rows, memory_dim, width; /* width of y and dy: set by the run */
    /* in; NULL: absent */
    const float *x, *memory, *dy; /* [B,T,dim], [B,S,memory_dim], [B,T,width] */
    const uint8_t *mask, *memory_mask;
    const uint8_t *global_mask; /* [B,T] */
    const int64_t *plan;        /* of plan_dims */
    int64_t plan_dims[3];
    const int64_t *positions, *segments, *prefix;
    const int32_t *kinds; /* [B,T] */
    const float *v_first; /* [B,T,v_first_dim] */
    int64_t v_first_dim;
    const float *state_in[WF_MAX_STATES]; /* fixed states only */
    int64_t start;                        /* tokens seen before */
    bool bf16;                            /* activations and weights (which need their bf16 copies) */
    double aux_weight, z_weight;          /* of the router losses in what is differentiated */
    /* out, in the arena; NULL when the mixer does not give it */
    float *y, *dx, *dmemory;
    float *attention;
    int64_t attention_count;
    float *aux_loss, *z_loss;
    float *v_first_out; /* [B,T,values] */
    int64_t v_first_count;
    int64_t *indices, *kept; /* a router's choices, of choice_count */
    float *weights;
    int64_t choice_count;
    int64_t *buckets, *members, buckets_count, members_count;
    float *state_out[WF_MAX_STATES]; /* fixed states, [B, shape] */
    int64_t state_count[WF_MAX_STATES];
} wf_form_io;

/* The parameters of a layer's slots, declared under their slot names, with memory for values and gradients. */
weft_status wf_form_params(wf_params *params, wf_layer *layer, weft_error *err);
/* `with_state`: states are taken in and given out. Gradients of parameters are overwritten. */
weft_status wf_form_full(const wf_env *env, const wf_layer *layer, wf_form_io *io, bool with_state, wf_arena *arena,
                         weft_error *err);
/* Pieces of these lengths (their sum is rows). Gradients as in the full form. */
weft_status wf_form_chunk(const wf_env *env, const wf_layer *layer, wf_form_io *io, const int64_t *pieces, size_t n,
                          wf_arena *arena, weft_error *err);
/* y and state_out only. */
weft_status wf_form_step(const wf_env *env, const wf_layer *layer, wf_form_io *io, wf_arena *arena, weft_error *err);
/* Row b of the batch without its padding, for mixers whose states hold one row per token; false when there is a hole in it.
 * Positions are made explicit. *first: where its rows begin. */
bool wf_form_unpad(const wf_form_io *io, int64_t b, wf_arena *arena, wf_form_io *out, int64_t *first);
#endif
