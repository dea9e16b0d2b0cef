/* model.h - a model: a spec, its parameters by canonical name, and recording it on a tape.
 *
 * Parameter names, those of an encoder with `encoder.` before them: stem.token.weight, stem.position.weight,
 * stem.position.{0,1}.weight (axial), stem.<table>.weight, stem.norm.weight, stem.project.weight, stem.side.position.weight,
 * stem.side.norm.weight, stem.side.rows.weight, stem.side.project.weight, block.N.norm1.weight, block.N.mixer.<slot>,
 * stem.queries.weight, stem.token.N.weight and stem.project.N.weight (a table in pieces),
 * block.N.cross.<slot>, block.N.adapter.<slot>, block.N.cross_norm1.weight, block.N.channel.<slot>, norm.weight, layer_sum,
 * block.N.rows.K.weight, block.N.memory_norm.weight, rows.K.weight, stem.token.K.weight (hashes), head.layer.N.weight,
 * head.layer.N.norm.weight, head.weight, head.bias; further heads: heads.N.weight, .. Thread rule: immutable after
 * wf_model_create but for the parameter values; shareable between readers. */
#ifndef WF_MODEL_MODEL_H
#define WF_MODEL_MODEL_H
#include "model/spec.h"

typedef struct wf_rows_params {    /* of one step of `rows` */
    wf_param *linear[2], *norm[2]; /* weight, bias */
} wf_rows_params;

typedef struct wf_block_params {
    wf_rows_params *rows;
    wf_param *memory_norm[2];
    wf_param *aside_norm[2], *adapter_norm[2]; /* weight, bias */
    wf_param *norm_weight[4], *norm_bias[4], *cross_norm_weight[2], *cross_norm_bias[2], *gate[2];
} wf_block_params;

typedef struct wf_head_layer_params {
    wf_param *linear[2], *norm[2];
} wf_head_layer_params;          /* weight, bias */
typedef struct wf_query_params { /* of one class of a head that a row asks */
    wf_head_layer_params *rows, *query;
    wf_param *weight;
} wf_query_params;
typedef struct wf_head_params {
    wf_query_params *queries; /* [classes]; NULL: the head is not asked */
    wf_head_layer_params *layers;
    wf_param *cluster[2]; /* adaptive: logits of the clusters */
    wf_param *part[WF_MAX_CLUSTERS], *part_bias[WF_MAX_CLUSTERS], *part_project[WF_MAX_CLUSTERS];
    wf_param *weight, *bias, *extra; /* the weight is the token table when tied; extra: of the last channels, NULL: none */
} wf_head_params;

typedef struct wf_model {
    const wf_env *env;
    wf_arena arena;
    wf_spec *spec;
    wf_params params;
    wf_param *token, *position, *tables[WF_MAX_TABLES], *stem_norm[2], *project[2], *norm[2], *out[2], *bridge[2];
    wf_param *axis[2];               /* axial positions */
    wf_param *hashed[WF_MAX_HASHES]; /* instead of `token` */
    wf_rows_params *rows;            /* behind the last block */
    wf_param *layer_sum;             /* [layers + 1] */
    wf_param *side_rows, *side_position, *side_project[2], *side_norm[2];
    wf_head_params heads[WF_MAX_HEADS];
    wf_param *token_part[WF_MAX_CLUSTERS], *token_project[WF_MAX_CLUSTERS]; /* of a table in pieces */
    wf_param *queries;                                                      /* [streams, dim] */
    wf_param *conv[WF_MAX_CONVS][2], *conv_norm[WF_MAX_CONVS][2];
    wf_block_params *blocks;
    struct wf_model *encoder;     /* in the arena, without parameters of its own: they are this model's; NULL: none */
    struct wf_model *whole;       /* of an encoder: the model around it */
    size_t own_params;            /* of the spec; behind them come those of an adapter */
    struct wf_adapters *adapters; /* families/load_adapter.h; NULL: none */
    void (*release_adapters)(const wf_mem *mem, struct wf_adapters *adapters);
    struct wf_rest *rest; /* families/load_rest.h: what its folder holds beside it, in the arena; NULL: nothing */
    void *files;          /* what parameter values may point into, released with the model */
    void (*release_files)(void *files);
} wf_model;

/* Declares the model of a spec; memory for the values comes with wf_params_allocate(&model->params). The spec is copied. */
weft_status wf_model_create(const wf_env *env, const wf_json *spec, wf_model **out, weft_error *err);
void wf_model_free(wf_model *model);
/* `rows` rows are to go through the model as its values are now. When they are many enough for it to pay, the matrices are kept
 * a second time as the products of many rows read them fastest (kernels/gemm/panels.h: fp32, or bf16 where the processor
 * multiplies it); what is recorded from now on reads those, and follows no later change of the values. */
weft_status wf_model_expect(wf_model *model, uint64_t rows, weft_error *err);

/* The stream somewhere in the stack: its rows, their mask (U8 [B,rows]), kinds (I32 [B,rows]) and where they lie. */
typedef struct wf_place {
    wf_tensor *x, *mask, *kinds;
    int64_t rows;
    wf_lie lie;
} wf_place;

typedef struct wf_model_ports { /* tensors may be NULL */
    wf_tensor *ids;             /* I32 [B,T] */
    wf_tensor
        *features; /* F32 [B,T,channels] of a stem that reads frames, with as many rows as were asked for; fewer come out */
    wf_tensor *types, *positions, *segments, *prefix;
    wf_tensor *mask;                  /* U8 [B,T]; out: the rows that heads pool, where they ask for those of a token */
    wf_tensor *tables[WF_MAX_TABLES]; /* I32 [B,T] or [B,T,columns]: ids of the stem's tables */
    wf_tensor *global_mask;           /* U8 [B,T] */
    wf_tensor *variants;              /* I64 [B,T]: the input `variants` of the stem */
    wf_tensor *side;                  /* out: the second stream as it leaves the stem; NULL: none */
    wf_tensor *memory, *memory_mask;  /* of `cross` mixers: [B,S,memory_dim], U8 [B,S]; out, where an encoder makes them */
    wf_tensor *pairs, *map;           /* of the inputs that the stem names: U8 [B,T,T], F32 [B,P,T] */
    wf_tensor **past;                 /* not NULL: [layers] rows before the sequences, F32 [B,P,dim] */
    wf_tensor **next_past;            /* not NULL: [layers] receives what goes on to the next call; NULL entries: nothing */
    wf_tensor *streams;               /* out: the streams of queries behind the final norm, [B,n*T or P,dim] */
    wf_tensor **stream_states;        /* not NULL: [layers+1] receives them as hidden_states does the rows */
    wf_tensor *labels;                /* I32 [B,T]: without ids a decoder reads what the spec's `shift` makes of them */
    struct wf_model_ports *source;    /* of the encoder: ids [B,S], mask, ..; not read when the memory is given */
    wf_tensor *hidden;                /* out: [B,T,dim] after the final norm */
    wf_tensor **hidden_states;        /* not NULL: [layers+1] receives the input of each block, then `hidden` */
    wf_place *places;                 /* out, in the tape's arena: what each block gives */
    wf_tensor *stream;                /* out, with hidden_states: what the last block gives, before the norm */
    wf_tensor *aux_loss,
        *z_loss;           /* out, with options.losses: what the routers' losses are, without their weights; NULL: none */
    wf_tensor *extra_loss; /* out: their weighted sum, to be added to the loss; NULL: none has a weight */
    struct wf_update_list *updates; /* out: buffers that training moves, in the tape's arena; NULL: none */
} wf_model_ports;

typedef struct wf_state wf_state;
enum { WF_SIDES = 3 }; /* of a block: mixer, channel, cross */
typedef struct wf_model_options {
    wf_state_mode mode;
    const wf_state *state; /* with WF_STATE_IN_PLACE */
    wf_tensor **state_in,
        **state_out; /* with WF_STATE_VALUES: [layers*WF_SIDES*WF_MAX_STATES] (mixer, channel, cross), NULL entries: start */
    int64_t length;  /* positions reached by the call; 0: T */
    bool checkpoint; /* activation checkpointing: one region per block */
    bool rebuild;    /* blocks made of couplings keep neither their input nor their activations: such a block is no region */
    bool dropout;    /* use the spec's dropout */
    bool losses;     /* of routers: wanted in ports */
    bool last;       /* of `hidden` only the last row is wanted: it may have that row alone */
} wf_model_options;

/* Records stem, blocks and final norm for B x T tokens. */
weft_status wf_model_record(const wf_model *model, wf_tape *tape, int64_t batch, int64_t rows, const wf_model_options *options,
                            wf_model_ports *ports, weft_error *err);
/* Records the encoder (or takes a given memory) and keeps what the decoder needs of it in the state, whose sequences then go on
 * from there: once per source. The source has as many rows as the state has room for, the last ones masked. */
weft_status wf_model_remember(const wf_model *model, wf_tape *tape, const wf_state *state, wf_model_ports *ports,
                              weft_error *err);
/* Head `index` up to its last product; wf_head_logits and the loss of its row record the rest. `mask`: U8 [B,T] or NULL. */
/* What the head reads of a recording: `hidden` and `mask` become those of the block it names. */
wf_model_ports wf_model_head_ports(const wf_model *model, int index, const wf_model_ports *ports);
wf_head_io wf_model_head(const wf_model *model, wf_tape *tape, int index, wf_tensor *hidden, wf_tensor *mask, bool dropout);
/* The same with the tokens and the mask of `ports`: heads that a token asks need them. */
wf_head_io wf_model_head_of(const wf_model *model, wf_tape *tape, int index, const wf_model_ports *ports, bool dropout);
/* Logits and loss of the first head, which must have a class per row (lm, mlm, tag). */
wf_tensor *wf_model_logits(const wf_model *model, wf_tape *tape, wf_tensor *hidden);
/* Loss of [B,T] targets (ignore -100); see wf_cross_entropy for inverse_count and token_loss. */
wf_tensor *wf_model_loss(const wf_model *model, wf_tape *tape, wf_tensor *hidden, wf_tensor *targets, wf_tensor *inverse_count,
                         float smoothing, wf_tensor **token_loss);
wf_tensor *wf_apply_norm(wf_tape *tape, const wf_norm_spec *norm, wf_tensor *x, wf_param *weight, wf_param *bias);
/* Cost of one sequence of T tokens forward, multiply-adds x 2: every projection, and the mixers' own laws. */
double wf_model_flops(const wf_model *model, int64_t rows);

/* The losses of routers, as the blocks of one recording make them. Joint layers of the same experts and weights form a group,
 * whose loss is taken over the tokens of all of them. */
enum { WF_LOSS_GROUPS = 8 };
typedef struct wf_losses {
    wf_router_losses groups[WF_LOSS_GROUPS];
    size_t n_groups;
    wf_tensor *aux, *z, *extra;
} wf_losses;
void wf_losses_add(wf_losses *losses, wf_tape *tape, const wf_ports *io); /* after a layer has run */
void wf_losses_finish(wf_losses *losses, wf_tape *tape);

/* What block.c passes to a wiring. */
typedef struct wf_block_run {
    wf_run *run;
    const wf_model *model;
    const wf_block_spec *block;
    const wf_block_params *params;
    wf_ports *ports;                 /* mask, positions, segments, prefix; v_first, carried from layer to layer */
    const wf_place *before;          /* what the mixer reads as its memory; NULL: not asked */
    wf_layer_state *state[WF_SIDES]; /* NULL without states */
    wf_losses *losses;               /* NULL: not wanted */
    weft_status status;
    int side;        /* of the branch that ran last: 0 mixer, 1 channel */
    wf_tensor *past; /* rows before the sequence, normed as those of the mixer are; NULL: none */
    bool mixed;      /* the mixer has run */
    bool last;       /* behind the mixer only the last row goes on */
} wf_block_run;
wf_tensor *wf_block_norm(wf_block_run *b, int i, wf_tensor *x);         /* norm i (0-based) */
wf_tensor *wf_block_mix(wf_block_run *b, wf_tensor *x);                 /* the token mixer */
wf_tensor *wf_block_channel(wf_block_run *b, wf_tensor *x);             /* the channel mixer; x must not be NULL */
wf_tensor *wf_block_cross(wf_block_run *b, wf_tensor *x);               /* the mixer that reads the memory */
wf_tensor *wf_block_adapt(wf_block_run *b, wf_tensor *x);               /* x after the adapter, where the block has one */
void wf_block_remember(wf_block_run *b);                                /* keeps what that mixer needs of the memory */
wf_tensor *wf_block_aside(wf_block_run *b, wf_tensor *x, wf_tensor *y); /* norm(y + aside(x)), y the result of the wiring */
wf_tensor *wf_block_cross_norm(wf_block_run *b, int i, wf_tensor *x);
wf_tensor *wf_block_join(wf_block_run *b, wf_tensor *x, wf_tensor *branch); /* x + scale*dropout(branch) */
wf_tensor *wf_block_gate(wf_block_run *b, int i, wf_tensor *branch);        /* tanh(gate_i) * branch */

/* ---- states: values that a sequence carries between calls ---- */
typedef struct wf_state_buffer {
    void *data;
    wf_dtype type;
    bool append, source; /* one row per token; one row per row of the memory */
    int rank;
    int64_t dims[WF_MAX_RANK]; /* [B, ..] or [B, cap, ..] */
    int64_t limit;             /* APPEND: rows a ring must keep, 0: grows up to cap */
    float initial;
    size_t bytes;
} wf_state_buffer;

struct wf_state {
    const wf_model *model;
    int64_t batch, capacity, chunk; /* tokens it can hold; most rows of one call */
    int64_t *start;                 /* [B] tokens seen */
    int64_t source;                 /* rows of a memory there is room for; 0: none */
    int64_t sharing;                /* so many sequences, one behind the other, read one memory; 1: each its own */
    wf_state_buffer *buffers; /* [layers][WF_SIDES][WF_MAX_STATES], then the memory (NULL: nothing reads it again), its mask,
                                 the lengths of prefixes and the tokens counted; data NULL: absent */
};

/* `capacity`: most tokens of a sequence (append states that are not rings grow to it); `chunk`: most rows per call. */
weft_status wf_state_create(const wf_model *model, int64_t batch, int64_t capacity, int64_t chunk, wf_state **out,
                            weft_error *err);
/* Room for what is kept of a memory of `rows` rows; `dim`: its width. `sharing` divides the sequences: so many, one behind the
 * other, read one memory (beams); only where mixers keep what they need of it. Once. */
weft_status wf_state_open_source(wf_state *state, int64_t rows, int64_t dim, int64_t sharing, weft_error *err);
const wf_state_buffer *wf_state_memory(const wf_state *state);
const wf_state_buffer *wf_state_memory_mask(const wf_state *state);
const wf_state_buffer *wf_state_prefix(const wf_state *state); /* I64 [B], of models that look at prefixes */
const wf_state_buffer *wf_state_counts(const wf_state *state); /* I32 [B,cap], of a stem whose positions count tokens */
/* A buffer as an input of the tape, bound to its memory; NULL when it is absent. */
wf_tensor *wf_state_bind(wf_tape *tape, const wf_state_buffer *buffer);
void wf_state_free(wf_state *state);
void wf_state_reset(wf_state *state, int64_t sequence); /* to before the first token; what is kept of the memory stays */
weft_status wf_state_copy(wf_state *to, int64_t to_sequence, const wf_state *from, int64_t from_sequence,
                          weft_error *err); /* fork */
weft_status wf_state_reorder(wf_state *state, const int64_t *index,
                             weft_error *err); /* sequence i becomes old index[i] (beams); of the same memory, if shared */
/* Drops the last tokens of a sequence so that n remain: append states only; WEFT_UNSUPPORTED when a fixed state or a full ring
 * is there. */
weft_status wf_state_truncate(wf_state *state, int64_t sequence, int64_t n, weft_error *err);
size_t wf_state_bytes_at(const wf_model *model, int64_t tokens); /* of one sequence that has seen `tokens` tokens */
/* All sequences as bytes, for a state of the same model and batch: its capacity may be another (at least their lengths), what
 * is kept of a memory needs as many rows. The bytes hold the values alone; those of other weights are taken and mean nothing.
 */
size_t wf_state_saved_size(const wf_state *state);
void wf_state_save(const wf_state *state, void *bytes);
/* How many rows of a memory saved bytes hold. */
weft_status wf_state_saved_source(const void *bytes, size_t n, int64_t *rows, weft_error *err);
weft_status wf_state_load(wf_state *state, const void *bytes, size_t n, weft_error *err); /* WEFT_BAD_INPUT: as it was */
#endif
