/* delta_rows.h - what the rows of the delta rule share: q, k and v through short convolutions, q and k of length one, beta. */
#ifndef WF_MIXERS_DELTA_ROWS_H
#define WF_MIXERS_DELTA_ROWS_H
#include "mixers/mixer.h"

/* clang-format off */
/* Options of rows whose values may have more heads than their keys. */
#define WF_DELTA_KEYS_FIRST                                                                                                    \
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"}, {"heads", WF_KEY_INT, NULL, 1, NULL, "heads of q and k"},                \
    {"v_heads", WF_KEY_INT, "heads", 1, NULL, "heads of v, a multiple of heads"},                                              \
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a key, per head"},                 \
    {"value_dim", WF_KEY_INT, "key_dim", 1, NULL, "channels of a value, per head"}
#define WF_DELTA_KEYS_CONV                                                                                                     \
    {"conv", WF_KEY_INT, "null", 1, NULL, "taps of a short convolution on q, k and v"},                                        \
    {"conv_bias", WF_KEY_BOOL, "false", 0, NULL, "its biases"},                                                                \
    {"conv_activation", WF_KEY_STRING, "'silu'", 0, WF_ACTIVATION_WORDS, "after it"}
/* Options of every row. */
#define WF_DELTA_KEYS_LAST                                                                                                     \
    {"beta_scale", WF_KEY_FLOAT, "1.0", 0, NULL, "largest correction; 2 allows negative eigenvalues"},                         \
    {"qk_norm", WF_KEY_STRING, "'l2'", 0, "l2|sum", "length of q and k: root of squares, or sum of absolute values"},          \
    {"norm_eps", WF_KEY_FLOAT, "1e-5", 0, NULL, "of the norm of a head"},                                                      \
    {"norm_affine", WF_KEY_BOOL, "true", 0, NULL, "a weight on that norm"}
#define WF_DELTA_CONV(name, width)                                                                                             \
    {name "_conv.weight", "[" width ", 1, conv]", "uniform:0.5", "conv != null", NULL, false, NULL},                           \
    {name "_conv.bias", "[" width "]", "zeros", "conv != null && conv_bias", NULL, false, NULL}
/* `values`: the option that counts the heads of v. */
#define WF_DELTA_SLOTS(values)                                                                                                 \
    {"q.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},                                                   \
    {"k.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},                                                   \
    {"v.weight", "[" values "*value_dim, dim]", "linear", NULL, NULL, false, NULL},                                            \
    WF_DELTA_CONV("q", "heads*key_dim"), WF_DELTA_CONV("k", "heads*key_dim"), WF_DELTA_CONV("v", values "*value_dim"),         \
    {"beta.weight", "[" values ", dim]", "linear", NULL, NULL, false, NULL}
#define WF_DELTA_WINDOW(name, width) {name, WF_STATE_FIXED, "[" width ", conv - 1]", NULL, "conv != null && conv > 1", 0}
#define WF_DELTA_STATES(values)                                                                                                \
    {"s", WF_STATE_FIXED, "[" values ", key_dim, value_dim]", NULL, NULL, 0},                                                  \
    WF_DELTA_WINDOW("q_conv", "heads*key_dim"), WF_DELTA_WINDOW("k_conv", "heads*key_dim"),                                    \
    WF_DELTA_WINDOW("v_conv", values "*value_dim")
/* clang-format on */

/* Of rows with the options v_heads and conv_activation. */
wf_activation wf_delta_rows_activation(const wf_layer *layer);
weft_status wf_delta_rows_check(const wf_layer *layer, weft_error *err);
unsigned wf_delta_rows_lost(const wf_layer *layer);

typedef struct wf_delta_rows {
    wf_tensor *x;       /* rows, without padding */
    int64_t values;     /* heads of v */
    wf_activation kind; /* behind the convolutions */
} wf_delta_rows;
/* o [B,T,Hv,V]; the spec says the decay, the rest is filled in. The state s goes in and out. */
wf_tensor *wf_delta_rows_run(wf_run *run, const wf_layer *layer, const wf_delta_rows *rows, wf_delta_spec *spec);
#endif
