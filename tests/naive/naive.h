/* naive.h - the naive form of a mixer: its definition, written from the formulas of the conformance documents in plain loops
 * and double precision. A row also says what it is tried on: axes of options and inputs, of which every case takes one entry
 * each. */
#ifndef WF_TESTS_NAIVE_H
#define WF_TESTS_NAIVE_H
#include <math.h>
#include "mixers/mixer.h"

enum { NAIVE_MOST_SLOTS = 64, NAIVE_MOST_AXES = 16, NAIVE_MOST_CONSTANTS = 1 << 14 };

typedef struct naive_io {
    const wf_layer *layer;
    int64_t batch, rows, memory_rows, start; /* start: tokens seen before */
    const double *x, *memory;
    const uint8_t *mask, *memory_mask;
    const uint8_t *global_mask;
    const int64_t *positions, *segments, *prefix, *plan;
    const int32_t *kinds;
    const double *weights[NAIVE_MOST_SLOTS]; /* in the order of layer->slots */
    const double *state_in[WF_MAX_STATES];   /* [B, shape]; NULL: zeros */
    /* out */
    double *y;         /* [B,T,width], in the scratch arena */
    double *attention; /* [B,H,T,S] or NULL */
    double *state_out[WF_MAX_STATES];
    int64_t width;
    wf_arena *scratch;
    double *constants; /* what the backward takes as constant, in the order of use */
    size_t used;
    bool frozen; /* take them instead of computing them */
} naive_io;

/* An axis: NULL-terminated entries. An entry is a piece of a JSON object and then words that name inputs: "@rows 5", "@memory",
 * "@mask left|right|middle|all", "@global", "@plan HEADS ROWS COLUMNS", "@positions", "@segments", "@prefix", "@state", "@start
 * 5"; either may be missing. */
typedef const char *const *naive_axis;

typedef struct naive_row {
    const char *mixer;
    void (*run)(naive_io *io);
    const naive_axis *axes; /* NULL-terminated */
    int cases;              /* how many are drawn; every entry of every axis comes up */
    bool chooses;           /* hashes, routes: rounding to bf16 may choose otherwise, so half of the numbers must agree there */
} naive_row;

/* The table: naive_rows.def. */
#define NAIVE(name) extern const naive_row naive_##name;
#include "naive/naive_rows.def"
#undef NAIVE
extern const naive_row *const naive_rows[];
extern const size_t naive_row_count;

double *naive_zeros(naive_io *io, int64_t count);
const double *naive_weight(const naive_io *io, const char *name); /* NULL when the spec leaves it out */
int64_t naive_width(const naive_io *io, const char *slot);        /* its first dimension */
/* Lin(name, x) of `rows` rows: [rows, in] -> [rows, out]. */
double *naive_linear(naive_io *io, const char *name, const double *x, int64_t rows);
double naive_activation(const char *kind, double x);
static inline double naive_sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }
/* Turns pairs of n channels by position * theta^(-2p/n); `half`: pairs (p, p + n/2), else (2p, 2p + 1). */
void naive_rope(double *x, int64_t n, double theta, bool half, double position);
/* Softmax of n scores in place; -INFINITY is hidden, all hidden: all 0. */
void naive_softmax(double *z, int64_t n);
double naive_dot(const double *a, const double *b, int64_t n);
double naive_position(const naive_io *io, int64_t row); /* of row b*rows + t: positions, or start + t */
/* Runs part i of a layer made of layers on rows x; its states are carried through. Returns its y. */
double *naive_part(naive_io *io, int i, const double *x);
/* What is added to the score of row i and row j, -INFINITY hides it; and softmax attention by the options heads, kv_heads,
 * key_dim and value_dim: q [B,T,H,K], k [B,T,G,K], v [B,T,G,V] -> [B,T,H,V]. */
typedef double (*naive_pair)(const naive_io *io, int64_t b, int64_t h, int64_t i, int64_t j);
double *naive_attend(naive_io *io, const double *q, const double *k, const double *v, double scale, naive_pair pair);
/* y = Lin(o, attention of Lin(q, x), Lin(k, x), Lin(v, x)), scores times K^-0.5. */
void naive_self_attention(naive_io *io, naive_pair pair);
/* Row i sees row j: causal order, padding, segments. */
bool naive_sees(const naive_io *io, int64_t b, int64_t i, int64_t j);
void naive_rms(double *x, int64_t n, double eps, const double *weight); /* weight NULL: ones */
static inline bool naive_real(const uint8_t *mask, int64_t i) { return !mask || mask[i]; }
double naive_constant(naive_io *io, double value);
/* A copy of the state that came in, of batch * (values of one) elements, which becomes the one that goes out. */
double *naive_state(naive_io *io, const char *name, int64_t per_sequence);
#endif
