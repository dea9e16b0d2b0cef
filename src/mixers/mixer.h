/* mixer.h - what a mixer is: one row of data and one function.
 *
 * Token mixers (src/mixers) and channel mixers (src/ffn) share this row. A row declares its spec keys, its weight slots, its
 * states and its traits; `run` records ops on the tape. `full`, `chunk` and `step` are the same function called with other T
 * and with or without states. The spec keys and slot names are those of the conformance documents. */
#ifndef WF_MIXERS_MIXER_H
#define WF_MIXERS_MIXER_H
#include "base/expr.h"
#include "tensor/ops.h"

typedef enum wf_key_type {
    WF_KEY_INT,
    WF_KEY_FLOAT,
    WF_KEY_BOOL,
    WF_KEY_STRING,
    WF_KEY_LIST,
    WF_KEY_OBJECT,
    WF_KEY_ANY
} wf_key_type;

/* One option of a row. The fallback is an expression over the keys before it; NULL: required. `null` is allowed exactly when
 * the fallback is "null". */
typedef struct wf_key {
    const char *name;
    wf_key_type type;
    const char *fallback;
    double min; /* numbers: smallest allowed value */
    const char
        *choices; /* strings: "half|interleaved"; objects: their members with defaults, "['theta', 10000.0, 'dim', key_dim]" */
    const char *help;
} wf_key;

/* One weight. Shapes and conditions are expressions over the keys; `{n}` in the name repeats the slot for n = 0..repeat-1,
 * with `n` known to its expressions. init: "linear" (normal, std 0.5/sqrt(fan in)), "linear_out" (the same, divided by
 * sqrt(2*layers)), "zeros", "ones", "normal:S", "table:S" (normal; its rows are looked up by number), "uniform:S",
 * "constant:C", "custom" with init_fn, or "seeded": normal, std 1, as torch draws it for the option `seed` where that is given.
 */
typedef struct wf_slot {
    const char *name, *shape, *init;
    const char *when;   /* NULL: always */
    const char *repeat; /* NULL: once */
    bool buffer;        /* no gradient */
    void (*init_fn)(float *value, int64_t count, const int64_t *dims, wf_rng rng);
} wf_slot;

/* FIXED: [B, shape]; APPEND: one row of `shape` per token; with a limit it is a ring of that many rows. SOURCE: one row of
 * `shape` per row of the memory, made once for a source; only layers that read a memory have it, and no other state. */
typedef enum wf_state_kind { WF_STATE_FIXED, WF_STATE_APPEND, WF_STATE_SOURCE } wf_state_kind;
typedef struct wf_state_slot {
    const char *name;
    wf_state_kind kind;
    const char *shape; /* without B (and without time) */
    const char *limit; /* APPEND: expression, null = grows */
    const char *when;  /* NULL: always */
    float initial;     /* FIXED: value before the first token */
} wf_state_slot;

typedef enum wf_trait {
    WF_CAUSAL = 1,        /* y_t depends on x_0..x_t only (with a key `causal`: when it is true; `bidirectional`: when false) */
    WF_STREAMS = 2,       /* step and chunk forms exist (when causal) */
    WF_PADDING_INERT = 4, /* masked rows do not change the others */
    WF_PERMUTATION = 8,   /* permuting the rows permutes the outputs (when not causal and without positions) */
    WF_PER_TOKEN = 16,    /* every row by itself */
    WF_PADDING_TRACE =
        64, /* masked rows before a sequence change it all the same (by a bias behind the mask, by counting them) */
    WF_PADDING_COUNTS = 256, /* blocks, chunks or buckets are laid over all rows: masked rows behind a sequence count as rows */
    WF_REBUILDS = 128,       /* its input can be rebuilt from its output: it is made of couplings (wf_couple) */
    WF_TORCH_STATES = 32     /* in files the states are [n, B, ..], as torch's recurrent networks give them */
} wf_trait;

/* What a router adds to the loss of training: from its sums over tokens (tensor/experts.h), taken by layer or over all joint
 * layers. */
typedef struct wf_router_losses {
    wf_tensor *sums; /* NULL: no router, or wf_run.want_losses was false */
    bool joint;
    float aux_weight, z_weight;
} wf_router_losses;

/* A buffer that training moves by other means than a gradient: apply is called after every update whose number, counted from 1,
 * is a multiple of `every`. */
typedef struct wf_buffer_change {
    const float *from; /* the sum of the update's `from` over the micro-batches */
    int64_t count;     /* its elements, 0 without */
    float rate;
    wf_rng rng; /* of this parameter at this update: the same for any number of threads and in a resumed run */
} wf_buffer_change;
typedef struct wf_buffer_update {
    wf_param *param;
    wf_tensor *from; /* fp32; NULL: the change needs nothing of the batch */
    void (*apply)(wf_param *param, const wf_buffer_change *change);
    float rate;
    int64_t every;
} wf_buffer_update;
typedef struct wf_update_list {
    wf_buffer_update update;
    struct wf_update_list *next;
} wf_update_list;

/* Where rows lie: row i at origin + i*step, counted in rows of the stem. */
typedef struct wf_lie {
    int64_t origin, step;
} wf_lie;

/* What goes in and out, by name. Unused ports stay NULL; block.c routes them. */
typedef struct wf_ports {
    /* in */
    wf_tensor *x;                    /* [B,T,dim]; NULL: only the memory is read, into SOURCE states */
    wf_tensor *start;                /* [B,T,dim] of the first block of the stack; NULL: x */
    wf_tensor *memory, *memory_mask; /* [B,S,memory_dim], U8 [B,S] */
    wf_tensor *mask;                 /* U8 [B,T], 1 = real */
    wf_tensor *positions, *segments; /* I64 [B,T] */
    wf_tensor *prefix;               /* I64 [B] */
    wf_tensor *kinds, *memory_kinds; /* I32 [B,T], [B,S]: of which kind a row is (which of two texts it belongs to) */
    wf_lie lie, memory_lie;          /* step 0: rows lie one after the other */
    wf_tensor *v_first;     /* [B,T,values] of the first layer, also out: whatever a layer leaves here the next one finds */
    wf_tensor *side;        /* [B,T,n] of a second stream, also out: carried from layer to layer */
    wf_tensor *global_mask; /* U8 [B,T], 1 = global */
    wf_tensor *plan;        /* I64, what the row says */
    wf_tensor *variants;    /* I64 [B,T]: which of several weights a row takes */
    wf_tensor *past;        /* [B,P,dim] rows before the sequence, or [B,1,dim]: `past_rows` times the same */
    int64_t past_rows;
    wf_tensor *pairs;           /* U8 [B,T,T], 1: row i may not see row j */
    int64_t queries;            /* 0: x is the main stream; else x are so many streams of queries, one behind the other */
    wf_tensor *map;             /* F32 [B,P,T]: the place of each row of a stream of queries among those of the main stream */
    wf_tensor *main_k, *main_v; /* [B,S,H,K]: keys and values that the main stream leaves for the streams of queries */
    /* out */
    wf_tensor *y;                 /* [B,T,width] */
    wf_tensor *attention;         /* probabilities, only when run->want_attention */
    wf_tensor *aux_loss, *z_loss; /* [1], of this layer alone, only when run->want_losses */
    wf_router_losses router;
    wf_tensor *indices, *weights, *kept; /* a router's choices: I64, F32 and U8 [B,T,k] or [B,E,C] */
    wf_tensor *blocks;                   /* I32: the rows of the experts as they were computed, see wf_blocks_of */
    wf_tensor *buckets, *members;        /* I64: what was chosen, for inspection */
} wf_ports;

typedef struct wf_layer wf_layer;
typedef struct wf_run wf_run;

struct wf_part_builder;

typedef struct wf_mixer {
    const char *name;
    const char *about;  /* one line: the formula in words */
    const char *source; /* paper, equation */
    const wf_key *keys;
    const wf_slot *slots;
    const char *no_decay; /* slots that published code exempts from weight decay, "a_log|d"; NULL: those of one dimension */
    const char *together; /* matrices that usually read the same rows, "q.weight|k.weight"; NULL: none */
    const wf_state_slot *states;  /* NULL: none */
    const char *inputs, *outputs; /* port names: "x memory? mask?", "y attention?" */
    /* Options of a layer to show and to measure, JSON: in a model of width dim, for T = context tokens; strings "=.." are
     * expressions over dim, hidden and context. NULL: heads of 32 channels, causal, as far as the row has these options. */
    const char *example;
    /* How cost grows with the number of tokens, up to a factor: expressions over T and the keys, NULL is T. time: of the FLOPs
     * besides the projections; space: of the bytes that training keeps. Of rows made of others, beside their parts. */
    const char *time, *space;
    const char *flops; /* forward, one sequence, besides the projections: expression over T and the keys */
    /* What bf16 mode may change: the root of the mean square of the differences of y, and of the gradient of x, from fp32, as a
     * share of that of y (or the gradient). Rows that choose (buckets, experts) may choose otherwise. */
    double bf16;
    unsigned traits;
    unsigned (*lost_traits)(const wf_layer *layer); /* those that the options of a layer take away; NULL: none */
    const char *streams;                            /* expression: which options have the chunk and step forms; NULL: all */
    const char *apart;     /* expression: which options decode by another rule than the full form's; NULL: none */
    const char *companion; /* the channel mixer a text pattern puts after it; NULL: none */
    weft_status (*check)(const wf_layer *layer, weft_error *err); /* relations between keys; may be NULL */
    /* Rows made of other layers: calls wf_layer_add_part for each. Their slots and states become the layer's own, behind a
     * prefix, and only the traits that all of them have are the layer's. NULL: none. */
    weft_status (*parts)(struct wf_part_builder *builder, const wf_layer *layer, weft_error *err);
    weft_status (*run)(wf_run *run, const wf_layer *layer, wf_ports *io);
} wf_mixer;

enum { WF_MAX_STATES = 16 };

typedef struct wf_layer_slot {
    const char *name; /* with {n} filled in */
    const wf_slot *row;
    const struct wf_value *seed; /* of a "seeded" one: the option of the layer or part it belongs to */
    bool no_decay, together;     /* the row's lists of these names have it */
    int rank;
    int64_t dims[WF_MAX_RANK];
    wf_param *param; /* set by whoever owns the parameters */
} wf_layer_slot;

typedef struct wf_layer_state_shape {
    const wf_state_slot *row;
    const char *name; /* the row's, behind the prefix of a part */
    bool present;
    int rank;
    int64_t dims[WF_MAX_RANK]; /* without B and time */
    int64_t limit;             /* APPEND: rows of the ring, 0 grows */
} wf_layer_state_shape;

/* A row with its options filled in. Immutable once built; lives in the model's arena. */
struct wf_layer {
    const wf_mixer *row;
    const char *where;      /* "block 3 mixer", for messages */
    const wf_mem *mem;      /* of the arena it lives in */
    const wf_value *values; /* per key of the row */
    wf_layer_slot *slots;
    size_t n_slots;
    int n_states;
    bool streams; /* the row's condition of that name holds */
    bool apart;   /* the same */
    bool whole;   /* it reads a memory, and all rows must be there when it does */
    wf_layer_state_shape states[WF_MAX_STATES];
    struct wf_layer **parts; /* of a row made of other layers */
    int n_parts;
    /* Of a part: its slots are those of the layer around it from `first_slot` on, their names begin with `prefix` characters
     * that are not its own; its states are those from `first_state` on. */
    size_t prefix, first_slot;
    int first_state;
};

/* Fills a layer from its JSON object: defaults, types, ranges, unknown keys (with the nearest name), slot and state shapes,
 * row->check. The members "mixer" and "spec" are those of the surrounding notation: {"mixer": m, key: ..} and {"mixer": m,
 * "spec": {key: ..}} mean the same. `dim` (0: none) is the default of the key `dim`. */
/* For `parts`: builds a layer of row `mixer` from its spec (may be NULL: all defaults). */
weft_status wf_layer_add_part(struct wf_part_builder *builder, const char *prefix, const char *mixer, const wf_json *spec,
                              int64_t dim, weft_error *err);
/* The spec written out in full, every option with its value, in `arena`; NULL when memory ran out. */
wf_json *wf_layer_json(wf_arena *arena, const wf_layer *layer);
/* Once, after it is built: the layer reads a memory. Its states are those of kind SOURCE. */
void wf_layer_reads_memory(wf_layer *layer);
bool wf_layer_can_read_memory(const wf_layer *layer); /* its row does, or that of a part */
bool wf_layer_needs_memory(const wf_layer *layer);    /* its row cannot do without one */
bool wf_layer_keeps_memory(const wf_layer *layer);    /* it has states of that kind: the memory itself is not needed again */
weft_status wf_layer_build(wf_arena *arena, const wf_mixer *row, const wf_json *spec, int64_t dim, const char *where,
                           wf_layer **out, weft_error *err);
bool wf_slot_no_decay(const wf_mixer *row, const wf_slot *slot); /* the row's list of that name has it */
const wf_mixer *wf_mixer_find(const char *name);                 /* token or channel mixer; NULL */
const char *wf_mixer_nearest(const char *name);                  /* the nearest name; NULL */

/* Options by name; the key must exist (assert). */
int64_t wf_int(const wf_layer *layer, const char *key);
double wf_float(const wf_layer *layer, const char *key);
bool wf_flag(const wf_layer *layer, const char *key);
const char *wf_string(const wf_layer *layer, const char *key);
const wf_value *wf_get(const wf_layer *layer, const char *key);
bool wf_given(const wf_layer *layer, const char *key); /* not null */
unsigned wf_layer_traits(const wf_layer *layer);   /* of the row and of all its parts, without those its options take away */
bool wf_layer_causal(const wf_layer *layer);       /* by its trait and its options causal, bidirectional */
bool wf_layer_takes_prefix(const wf_layer *layer); /* its option prefix_lm, or that of a part */
bool wf_layer_streams(const wf_layer *layer);      /* the chunk and step forms exist */
bool wf_is(const wf_layer *layer, const char *key, const char *text);
bool wf_lists(const wf_layer *layer, const char *key, const char *text); /* a list option holds this string */
/* For `check`: the list option `bias` names only projections among these. */
weft_status wf_check_bias(const wf_layer *layer, const char *const *names, size_t count, weft_error *err);

/* ---- the context of one recording ---- */
typedef enum wf_state_mode {
    WF_NO_STATE,      /* training and plain forward: every sequence starts and ends here */
    WF_STATE_VALUES,  /* states are tensors that come in and go out, differentiable (chunk form) */
    WF_STATE_IN_PLACE /* decoding: states live in the caller's memory and are updated there */
} wf_state_mode;

typedef struct wf_layer_state { /* of the layer being recorded */
    wf_tensor *in[WF_MAX_STATES], *out[WF_MAX_STATES];
} wf_layer_state;

struct wf_run {
    wf_tape *tape;
    int64_t batch, rows; /* B, T */
    int64_t length;      /* positions reached by this call (T without states): for length-dependent rotary scalings */
    wf_state_mode mode;
    wf_layer_state *state; /* NULL in WF_NO_STATE */
    bool want_attention;
    bool drop;               /* dropout of the mixers' own takes part */
    bool rebuild;            /* in training: couplings do not keep what they can rebuild */
    bool want_losses;        /* of routers: training asks for them, decoding does not */
    wf_update_list *updates; /* out, with want_losses: in the tape's arena */
    float dropout, attention_dropout;
};

/* Runs a layer: its row, with what any row may take for granted of its ports. */
weft_status wf_run_layer(wf_run *run, const wf_layer *layer, wf_ports *io);
/* Runs part i of a layer (see wf_mixer.parts) with ports of its own; its states are carried through. */
weft_status wf_run_part(wf_run *run, const wf_layer *layer, int i, wf_ports *io);
/* y = x + scale*f, x fp32 and f made since wf_couple_begin without x: a coupling. With run->rebuild neither x nor what makes f
 * is kept for the backward, which makes f again, then x = y - scale*f (Gomez et al. 2017, arXiv 1707.04585, algorithm 1). */
void wf_couple_begin(const wf_run *run);
wf_tensor *wf_couple(const wf_run *run, wf_tensor *x, wf_tensor *f, float scale);
/* Asks training for a change of a buffer; nothing without run->want_losses. */
void wf_move_buffer(wf_run *run, const wf_buffer_update *update);
/* The parameter of a slot, and the weight on the tape; NULL when the spec leaves it out. */
wf_param *wf_slot_param(const wf_layer *layer, const char *slot);
wf_tensor *wf_weight(const wf_run *run, const wf_layer *layer, const char *slot);
wf_tensor *wf_weight_n(const wf_run *run, const wf_layer *layer, const char *slot, int64_t n); /* "l{n}.ih.weight" */
/* Lin(name, x): slots name.weight and name.bias, and where the row has them name.low.weight and name.high.weight, whose product
 * is added to the weight. Result act. */
wf_tensor *wf_project(const wf_run *run, const wf_layer *layer, const char *name, wf_tensor *x);
/* Rows first..first+count-1 of that projection, in fp32: one part of a fused one. */
wf_tensor *wf_project_rows(const wf_run *run, const wf_layer *layer, const char *name, wf_tensor *x, int64_t first,
                           int64_t count);
wf_tensor *wf_split_heads(const wf_run *run, wf_tensor *x, int64_t heads, int64_t width); /* [B,T,h*w] -> [B,T,h,w], any T */
wf_tensor *wf_merge_heads(const wf_run *run, wf_tensor *x);                               /* [B,T,h,w] -> [B,T,h*w] */
/* A layer that works on every token by itself: part(x) [B,T,dim] -> [B,T,n]; with the option `chunk` so many tokens after the
 * other, at most WF_MOST_PIECES times, each [1,chunk,dim] and computed again in the backward. */
enum { WF_MOST_PIECES = 1024 };
typedef wf_tensor *wf_piece(wf_run *run, const wf_layer *layer, wf_tensor *x);
wf_tensor *wf_in_pieces(wf_run *run, const wf_layer *layer, wf_piece *part, wf_tensor *x);
/* Lin(name, x) in fp32: what goes into exponentials and sums over the whole sequence. */
wf_tensor *wf_project_f32(const wf_run *run, const wf_layer *layer, const char *name, wf_tensor *x);
/* The same, then the short convolution name_conv (slots and state) when the spec has `conv` taps, then the activation. */
wf_tensor *wf_project_conv(const wf_run *run, const wf_layer *layer, const char *name, wf_tensor *x, wf_activation kind);
/* [B,T,kv_heads*n] -> [B,T,heads,n], n the option `width`: kv head g serves heads g*(heads/kv_heads) and the following. */
wf_tensor *wf_share_heads(const wf_run *run, const wf_layer *layer, wf_tensor *x, const char *width);
/* Lin(o, merge(rms of each head of o [B,T,H,V] * norm.weight) * act(gate)); gate [B,T,H*V] or NULL. */
wf_tensor *wf_finish_heads(const wf_run *run, const wf_layer *layer, wf_tensor *o, wf_tensor *gate, wf_activation kind);
/* States. In: NULL when there is none (start of a sequence). Out: hands the new value on. */
bool wf_state_wanted(const wf_run *run); /* out states are needed */
wf_tensor *wf_state_in(const wf_run *run, const wf_layer *layer, const char *name);
void wf_state_out(const wf_run *run, const wf_layer *layer, const char *name, wf_tensor *value);
/* A SOURCE state: with rows of a memory `made` (while it is being read) they are kept, without (NULL) they are what was kept.
 * NULL when the layer keeps none. */
wf_tensor *wf_state_source(const wf_run *run, const wf_layer *layer, const char *name, wf_tensor *made);
/* All rows so far of an APPEND state, x [B,T,..] included: x itself without states, the concatenation with values, the cache in
 * place. */
wf_tensor *wf_state_append(const wf_run *run, const wf_layer *layer, const char *name, wf_tensor *x);

/* ---- what rows with plain heads share: keys, slots, states and steps of q, k, v and o ---- */
#define WF_QKVO_KEYS                                                                                                           \
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"}, {"heads", WF_KEY_INT, NULL, 1, NULL, "query heads"},                     \
        {"kv_heads", WF_KEY_INT, "heads", 1, NULL, "key and value heads; heads is a multiple"},                                \
        {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a key, per head"}, {           \
        "value_dim", WF_KEY_INT, "key_dim", 1, NULL, "channels of a value, per head"                                           \
    }
/* `kv`: the option that counts the heads of k and v; `value`: the one that is the width of a value. */
#define WF_QKVO_SLOTS_OF(kv, value)                                                                                            \
    {"q.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},                                                   \
        {"q.bias", "[heads*key_dim]", "zeros", "has(bias, 'q')", NULL, false, NULL},                                           \
        {"k.weight", "[" kv "*key_dim, dim]", "linear", NULL, NULL, false, NULL},                                              \
        {"k.bias", "[" kv "*key_dim]", "zeros", "has(bias, 'k')", NULL, false, NULL},                                          \
        {"v.weight", "[" kv "*" value ", dim]", "linear", NULL, NULL, false, NULL},                                            \
        {"v.bias", "[" kv "*" value "]", "zeros", "has(bias, 'v')", NULL, false, NULL},                                        \
        {"o.weight", "[dim, heads*" value "]", "linear_out", NULL, NULL, false, NULL}, {                                       \
        "o.bias", "[dim]", "zeros", "has(bias, 'o')", NULL, false, NULL                                                        \
    }
#define WF_QKVO_SLOTS WF_QKVO_SLOTS_OF("kv_heads", "value_dim")
/* The option `prefix_lm` of causal softmax rows, which hand io->prefix to wf_attention. */
#define WF_PREFIX_KEY                                                                                                          \
    {                                                                                                                          \
        "prefix_lm", WF_KEY_BOOL, "false", 0, NULL,                                                                            \
            "causal, but the rows of a sequence's prefix see each other, and all rows see them: the prompt in decoding and "   \
            "of tasks, a drawn length in training on texts, whose tokens are then no targets (Raffel et al. 2020, arXiv "      \
            "1910.10683, section 3.2.2)"                                                                                       \
    }
#define WF_KV_STATES(limit)                                                                                                    \
    {"k", WF_STATE_APPEND, "[kv_heads, key_dim]", limit, NULL, 0}, {                                                           \
        "v", WF_STATE_APPEND, "[kv_heads, value_dim]", limit, NULL, 0                                                          \
    }
/* The shape of a weight, in pieces [groups, in/groups, out/groups] when there are several: wf_project takes both. */
#define WF_GROUPED(groups, out, in)                                                                                            \
    groups " == 1 ? [" out ", " in "] : [" groups ", (" in ") // " groups ", (" out ") // " groups "]"
weft_status wf_check_groups(const wf_layer *layer, const char *key, int64_t in, int64_t out, weft_error *err);
weft_status wf_check_qkvo(const wf_layer *layer, weft_error *err);
weft_status wf_check_prefix(const wf_layer *layer, weft_error *err); /* the option prefix_lm */
weft_status wf_check_t5_bias(const wf_json *t5, weft_error *err);    /* {buckets, max_distance, bidirectional} */
/* Lin(name, x) in its heads, [B,T,heads,width], by the slot's rows and the options heads, kv_heads, key_dim, value_dim: `which`
 * begins with q, k or v. */
wf_tensor *wf_project_heads(const wf_run *run, const wf_layer *layer, const char *which, wf_tensor *x);
/* Heads [B,T,H,key_dim] turned by the option rope (parts/rope.h) at the rows' positions; as they are without it. */
wf_tensor *wf_turn_heads(const wf_run *run, const wf_layer *layer, wf_tensor *x, const wf_ports *io);
/* Attention to some of the keys, and one softmax over two such sets. `spec` comes without dropout. */
typedef struct wf_partial {
    wf_tensor *o, *lse; /* [B,T,H,V], [B,H,T] */
} wf_partial;
wf_partial wf_attend_part(const wf_run *run, wf_tensor *q, wf_tensor *k, wf_tensor *v, const wf_attention_spec *spec);
wf_tensor *wf_join_parts(const wf_run *run, const wf_partial *a, const wf_partial *b);
/* Attention of q to all rows so far, through the states k and v where the row has them. `spec` comes without the members about
 * states. */
wf_tensor *wf_attend(const wf_run *run, const wf_layer *layer, wf_tensor *q, wf_tensor *k, wf_tensor *v,
                     const wf_attention_spec *spec);
/* A pattern in the tape's arena with a copy of its record. */
const wf_attention_pattern *wf_pattern(const wf_run *run,
                                       void (*weights)(const wf_pattern_rows *, const int64_t *, int, float *),
                                       int (*next)(const wf_pattern_rows *, int64_t *, int64_t *, bool *), const void *record,
                                       size_t size);
/* The same of one with more to say; its record has `size` bytes. */
const wf_attention_pattern *wf_pattern_of(const wf_run *run, const wf_attention_pattern *pattern, size_t size);

/* ---- the tables ---- */
extern const wf_mixer *const wf_mixers[];   /* token mixers, NULL-terminated */
extern const wf_mixer *const wf_channels[]; /* channel mixers */
#endif
