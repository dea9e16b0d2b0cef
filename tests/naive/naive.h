/* naive.h - the naive form of a mixer: its definition, written from the formulas of the conformance documents in plain loops and double
 * precision. A row also says what it is tried on: axes of options and inputs, of which every case takes one entry each. */
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
    const int64_t *positions, *segments, *prefix;
    const double *weights[NAIVE_MOST_SLOTS];  /* in the order of layer->slots */
    const double *state_in[WF_MAX_STATES];    /* [B, shape]; NULL: zeros */
    /* out */
    double *y;                                /* [B,T,width], in the scratch arena */
    double *attention;                        /* [B,H,T,S] or NULL */
    double *state_out[WF_MAX_STATES];
    int64_t width;
    wf_arena *scratch;
    double *constants; /* what the backward takes as constant, in the order of use */
    size_t used;
    bool frozen;       /* take them instead of computing them */
} naive_io;

/* An axis: NULL-terminated entries. An entry is a piece of a JSON object and then words that name inputs: "@rows 5", "@memory",
 * "@mask left|right|middle|all", "@positions", "@segments", "@prefix", "@state", "@start 5"; either may be missing. */
typedef const char *const *naive_axis;

typedef struct naive_row {
    const char *mixer;
    void (*run)(naive_io *io);
    const naive_axis *axes; /* NULL-terminated */
    int cases;              /* how many are drawn; every entry of every axis comes up */
} naive_row;

extern const naive_row naive_attention, naive_linear_attention, naive_retention, naive_mamba, naive_lstm, naive_gru, naive_mlp, naive_glu;
extern const naive_row naive_performer, naive_gla, naive_simple_gla, naive_lightning, naive_mamba2, naive_hgrn2, naive_based, naive_mlstm;
extern const naive_row naive_deltanet, naive_gated_deltanet, naive_kda, naive_rwkv7, naive_rglru, naive_hgrn, naive_minrnn, naive_s4d, naive_slstm, naive_fourier, naive_hyena, naive_plain_rnn, naive_s4;
extern const naive_row naive_rwkv4, naive_rwkv5, naive_rwkv6;

double *naive_zeros(naive_io *io, int64_t count);
const double *naive_weight(const naive_io *io, const char *name); /* NULL when the spec leaves it out */
int64_t naive_width(const naive_io *io, const char *slot);        /* its first dimension */
/* Lin(name, x) of `rows` rows: [rows, in] -> [rows, out]. */
double *naive_linear(naive_io *io, const char *name, const double *x, int64_t rows);
double naive_activation(const char *kind, double x);
static inline double naive_sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }
void naive_rms(double *x, int64_t n, double eps, const double *weight); /* weight NULL: ones */
static inline bool naive_real(const uint8_t *mask, int64_t i) { return !mask || mask[i]; }
double naive_constant(naive_io *io, double value);
/* A copy of the state that came in, of batch * (values of one) elements, which becomes the one that goes out. */
double *naive_state(naive_io *io, const char *name, int64_t per_sequence);
#endif
