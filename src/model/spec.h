/* spec.h - the data that describes a model, checked and filled in. The JSON (docs/spec.md) is the source; this is what the
 * grammar makes of it. Every option has one owner: the block, stem and head options are declared as rows here, the mixers' own
 * options in their rows. */
#ifndef WF_MODEL_SPEC_H
#define WF_MODEL_SPEC_H
#include "base/json.h"
#include "heads/head.h"
#include "mixers/mixer.h"

typedef enum wf_norm_kind { WF_NORM_NONE, WF_NORM_RMS, WF_NORM_LAYER, WF_NORM_SCALE } wf_norm_kind;

typedef struct wf_norm_spec {
    wf_norm_kind kind;
    bool affine, bias; /* a weight; and (layer norm) a bias */
    float offset, eps; /* y = xhat*(weight + offset) */
} wf_norm_spec;

typedef enum wf_position_count { WF_COUNT_ROWS, WF_COUNT_TOKENS, WF_COUNT_MASK } wf_position_count;
typedef enum wf_position_kind {
    WF_POSITION_NONE,
    WF_POSITION_LEARNED,
    WF_POSITION_SINUSOIDAL,
    WF_POSITION_AXIAL
} wf_position_kind;
typedef enum wf_project_place {
    WF_PROJECT_NONE,
    WF_PROJECT_TOKENS,
    WF_PROJECT_SUM,
    WF_PROJECT_NORM,
    WF_PROJECT_DROPOUT
} wf_project_place;

enum { WF_MAX_CLUSTERS = 8, WF_MAX_TABLES = 8, WF_MAX_LOOKUPS = 4, WF_MAX_HEADS = 8 };

typedef struct wf_clusters {       /* tokens in pieces, see model/clusters.c */
    int64_t count;                 /* 0: none */
    int64_t ends[WF_MAX_CLUSTERS]; /* the token behind the last of each */
    int64_t divisor;               /* piece n has rows of dim / divisor^n */
    bool tied[WF_MAX_CLUSTERS];    /* of a head: the projection is that of the stem */
} wf_clusters;

typedef struct wf_stem_table { /* ids beside those of the tokens */
    const char *name, *input;  /* parameter stem.NAME.weight; the input that holds its ids */
    int64_t rows;
    int64_t missing;   /* row that is looked up when the input is absent; -1 none */
    int64_t separator; /* token; when the input is absent, row 1 behind its first, else row 0; -1 none */
    int64_t padding;   /* row that gets no gradient; -1 none */
    int64_t dim;
    int of;        /* number of an earlier table whose rows these are; -1: its own */
    bool side;     /* stands beside the others of the side stream */
    bool join;     /* stands beside the rows of the tokens instead of being added */
    bool kinds;    /* has no weights: its ids say to the mixers of which kind each row is */
    int n_lookups; /* how often the table is looked up: by a column of the input, or a difference of two */
    int64_t plus[WF_MAX_LOOKUPS], minus[WF_MAX_LOOKUPS]; /* -1: none */
} wf_stem_table;

enum { WF_MAX_CONVS = 8, WF_MAX_HASHES = 16 };
typedef struct wf_conv_spec { /* a convolution over time */
    int64_t in, out, kernel, stride, padding;
    bool bias, gated; /* gated: makes 2*out channels, the second half a gate */
    wf_activation activation;
    float norm; /* eps of the norm of a whole sequence; 0: none */
} wf_conv_spec;

typedef struct wf_stem_spec {
    const char *input;   /* of frames: the input's name */
    int64_t channels;    /* of frames: channels of the input; 0: the stem reads tokens */
    bool channels_first; /* files of inputs have them before the rows */
    wf_conv_spec convs[WF_MAX_CONVS];
    int n_convs;
    int64_t dim; /* width of the tables */
    int64_t hashes[WF_MAX_HASHES], n_hashes,
        buckets;          /* instead of one token table: multipliers of hashes, each with a table of so many rows; 0: none */
    float scale, dropout; /* multiplies the token rows */
    wf_position_kind position;
    int64_t length, offset; /* rows of the learned table; first row used */
    bool given_rows;        /* the reference's input of positions names rows of the table, `offset` counted */
    int64_t axes[2],
        axis_dims[2];        /* of axial positions: rows and widths of the two tables; length is the product of the rows */
    wf_position_count count; /* what positions count */
    bool blank;              /* counting tokens: padding has no position */
    bool halves, endpoint;   /* of sinusoids: all sines, then all cosines; the last rate is 1/10000 */
    int64_t padding;         /* id whose row gets no gradient; -1 none */
    int64_t span;            /* the rows of so many tokens stand beside each other, the last one first */
    int64_t dropped_token;   /* id whose rows are zero, the others scaled up; -1 none */
    float dropped_rate;
    bool types; /* token types are looked up in the token table (GPT-2) */
    wf_stem_table tables[WF_MAX_TABLES];
    int n_tables;
    wf_project_place project; /* where rows of width `dim` of the stem become those of the model */
    bool project_bias;
    int64_t fill, fill_beyond, fill_token; /* longer sequences are filled up to a multiple with a masked token; 0: no */
    bool dropout_first;                    /* before the norm */
    wf_globals globals;                    /* rows that are global when no mask of them is given */
    int64_t global_token;
    bool masked;       /* rows of padding are zero */
    int64_t side;      /* width of a second stream beside the first; 0: none */
    int64_t side_rows; /* it is so many learned rows; 0: it has a row for each of the first */
    bool side_copies;  /* the second stream begins as the first */
    wf_norm_spec side_norm;
    const char *variants; /* input that says which of several weights a row takes; NULL: none */
    bool ends;            /* without a mask, sequences end after as many rows as tokens differ from `padding` (XLM) */
    bool pads;            /* without a mask, the rows of `padding` are masked (FSMT) */
    bool norm_first;      /* the norm comes before the positions */
    bool shared;          /* of an encoder: the token table is that of the model around it */
    wf_norm_spec norm;
    wf_clusters clusters;         /* of a token table in pieces; none: it is one */
    int64_t queries;              /* streams of queries beside the rows; 0: none */
    const char *query_map;        /* input that gives their rows places among the others; NULL: they have a row for each */
    const char *pairs, *segments; /* inputs: which pairs of rows are hidden from each other; the segments; NULL: none */
} wf_stem_spec;

typedef struct wf_rows_kind wf_rows_kind;
typedef struct wf_rows_step { /* changes the rows of the stream (rows.c) */
    const wf_rows_kind *kind;
    wf_windows how;
    int64_t kernel, count, in, out, least;
    int64_t of; /* number of an earlier block; -1: not asked */
    bool largest, all, same, bias, skip, last, before;
    wf_activation activation;
    wf_norm_spec norm;
    float dropout;
} wf_rows_step;

typedef struct wf_rows_list {
    wf_rows_step *steps;
    int64_t n;
} wf_rows_list;

struct wf_wiring;
struct wf_block_run;
typedef struct wf_block_spec {
    const struct wf_wiring *wiring;
    wf_norm_spec norm[4];             /* norm1..norm4, as many as the wiring has */
    wf_norm_spec aside_norm;          /* after `aside` has been added */
    wf_norm_spec cross_norm[2];       /* around `cross`, as many as the wiring has around the mixer */
    wf_layer *mixer, *channel;        /* channel NULL: none */
    wf_layer *aside;                  /* a mixer of the block's input that is added to its output; NULL: none */
    wf_layer *cross;                  /* a mixer that reads the memory, between the two; NULL: none */
    wf_layer *adapter;                /* a channel mixer behind the other one; NULL: none */
    wf_norm_spec adapter_norm;        /* before it */
    bool adapter_own_norm;            /* with weights of its own, not those of the second norm */
    bool adapter_from_norm;           /* added to what the norm gives, not to what goes in */
    float residual_scale[2], keep[2]; /* of the branches of mixer and channel, and of the stream they join */
    float stream_scale, dropout, attention_dropout;
    bool masked;           /* rows of padding are zero after the block */
    wf_rows_list rows;     /* what the stream goes through before the block */
    int64_t from_dim, dim; /* its width before and after them */
    bool before;           /* the memory of the mixer is the stream as it was before them */
    wf_norm_spec memory_norm;
    int64_t past_start;           /* rows of zeros before every sequence, where none are given */
    int64_t past_keep, past_take; /* how many of its last rows go on, and of the call's first; -1: all */
    const wf_json *borrow;        /* {"mixer.SLOT": block}: single weights of other blocks; NULL: none */
    int share;                    /* index of the block whose weights this one uses; -1: its own */
} wf_block_spec;

typedef struct wf_head_layer_spec { /* act(Lin(x)), then the norm */
    int64_t in, out;
    bool dense; /* else act(x) */
    bool bias;
    wf_activation activation;
    float dropout; /* of its input */
    bool residual; /* the rows that the first layer reads are added, and the dropout is of the result */
    wf_norm_spec norm;
} wf_head_layer_spec;

typedef struct wf_head_spec {
    const wf_head *row;
    const char *task;            /* what a checkpoint calls it */
    const wf_json *names;        /* of the classes; NULL: none */
    const char *output, *labels; /* names of the logits and of their labels; several are separated by a space */
    const wf_pool_row *pool;
    bool late; /* the logits are pooled, not the rows */
    wf_head_layer_spec *layers;
    int n_layers;
    int64_t width, classes;      /* of the last product, [classes, width]; 0 classes: none */
    bool tied, bias, bias_fixed; /* a fixed bias is never trained */
    bool aligned;                /* labels stand at the rows that predict them, not one row later */
    int64_t pool_token;          /* the rows that are pooled: those with this token in the source; -1: not asked */
    int64_t pool_padding;        /* the same: those with other tokens */
    int64_t pool_later;          /* so many rows behind those, at most the last */
    float scale, softcap;        /* logits = softcap*tanh(scale*logits/softcap) */
    float dropout;               /* before the last product */
    int64_t extra;               /* of the width: the last so many channels have a matrix of their own */
    int64_t query;               /* token whose first row asks the others; -1: none */
    int64_t separator;           /* token; rows up to its first are hidden from a span; -1: none */
    int64_t of;                  /* reads the rows that this block gives; -1: those at the end */
    const char *problem;         /* of `classify`: auto, single, multi, regression */
    int64_t stream, streams;     /* streams of queries that it reads: the first, how many; 0: the hidden rows */
    bool shared;                 /* the last product is that of the first head */
    float weight, smoothing;     /* of the loss; of the labels */
    wf_clusters clusters;        /* of an adaptive softmax */
    float z_loss;                /* weight of the mean of log(sum(exp(logit)))^2 in the loss */
} wf_head_spec;

typedef struct wf_shift_spec { /* what a decoder reads that is given only labels, or only a source: they, moved by one row */
    bool masked;               /* without a mask, rows that came out as padding are masked */
    bool there, rotate;        /* rotate: the last token that is not padding comes first, else `token` */
    int64_t token, padding;    /* padding also stands for labels that do not count */
} wf_shift_spec;

typedef struct wf_out_spec { /* a dense layer to the width dim; not there: the width stays */
    bool there, bias;
    int64_t dim;
} wf_out_spec;

typedef struct wf_spec {
    const wf_json *json;     /* as given, in the arena */
    const char *stack;       /* for messages: "", or "encoder " */
    struct wf_spec *encoder; /* its rows are the memory of `cross`; it has no heads; NULL: none */
    wf_shift_spec shift;
    const char *name;
    int64_t dim, vocab, layers, context; /* context: trained length, 0 unknown */
    wf_stem_spec stem;
    wf_block_spec *blocks;
    wf_rows_list rows; /* what the stream goes through behind the last block */
    int64_t end_dim;   /* its width then */
    bool reshaped;     /* there are such steps somewhere */
    wf_norm_spec norm;
    bool prefixed;                    /* some mixer looks at the prefixes of sequences (its option prefix_lm) */
    bool joined;                      /* the second stream stands before the first at the end, under the norm */
    bool layer_sum;                   /* the inputs of the blocks and the normed rows, weighted, are the rows */
    float dropout;                    /* of the rows after the norm */
    wf_out_spec project, bridge;      /* after the norm; of an encoder, from its rows to the memory */
    wf_head_spec heads[WF_MAX_HEADS]; /* the first is `head` */
    int n_heads;                      /* 0: the model ends with its hidden states */
} wf_spec;

/* Limits: refused before anything is allocated. */
enum { WF_MAX_LAYERS = 1024, WF_MAX_DIM = 1 << 20, WF_MAX_VOCAB = 1 << 24 };

/* Reads a spec; everything lives in `arena`. Errors name the block and the key, with the nearest name for unknown ones. */
weft_status wf_spec_read(wf_arena *arena, const wf_json *json, wf_spec **out, weft_error *err);
/* The spec written out in full, every option with its value, in the same grammar: two spellings of one model give equal JSON
 * (wf_json_equal). The name and the trained length are left out. */
weft_status wf_spec_normal(wf_arena *arena, const wf_spec *spec, wf_json **out, weft_error *err);
/* "mamba*3+attention" over `layers` blocks of width `dim` -> a spec as JSON with the defaults of a modern decoder. Each word
 * names a mixer; the cycle repeats until there are `layers` blocks. */
weft_status wf_spec_of_pattern(wf_arena *arena, const char *pattern, wf_json **out, weft_error *err);

/* Rows that a stem makes of `rows` frames or tokens. */
int64_t wf_stem_rows(const wf_stem_spec *stem, int64_t rows);
/* Rows of block `index` (the number of blocks: at the end) when the stem gives `rows`. */
int64_t wf_spec_rows(const wf_spec *spec, int64_t index, int64_t rows);
const char *wf_rows_kind_name(size_t i, const char **about); /* NULL behind the last */

/* The options of every part but the mixers' own, as rows: what is read, and docs/spec.md. */
typedef struct wf_spec_key {
    const char *name, *type, *fallback, *help;
} wf_spec_key; /* fallback NULL: required */
typedef struct wf_spec_part {
    const char *name, *about;
    const wf_spec_key *keys;
} wf_spec_part;
extern const wf_spec_part wf_spec_parts[]; /* ends with a NULL name */

/* How one sublayer's residual program reads: the wirings are a table (block.c). */
typedef enum wf_gates { WF_GATES_NONE, WF_GATES_SHUT, WF_GATES_OPEN } wf_gates; /* none; starting at 0, or at 1 */
typedef struct wf_wiring {
    const char *name, *about;
    int norms; /* how many norms a block has; channel-less blocks use the first half, rounded up */
    int norms_without_channel;
    wf_gates gates;  /* learned: gate1, gate2 */
    int cross_norms; /* around a cross mixer; 0: there is no place for one */
    bool adapts;     /* there is a place for an adapter */
    bool rebuilds;   /* it is made of couplings: training rebuilds what goes in from what comes out */
    wf_tensor *(*run)(struct wf_block_run *b, wf_tensor *x);
} wf_wiring;
extern const wf_wiring wf_wirings[]; /* ends with a NULL name */
#endif
