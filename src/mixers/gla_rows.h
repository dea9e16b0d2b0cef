/* gla_rows.h - what the rows gla and simple_gla share: all but how the log decay is read from x. */
#ifndef WF_MIXERS_GLA_ROWS_H
#define WF_MIXERS_GLA_ROWS_H
#include "mixers/mixer.h"

/* clang-format off */
#define WF_GLA_KEYS_FIRST(shared)                                                                                              \
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},                                                                          \
    {"heads", WF_KEY_INT, NULL, 1, NULL, "heads"},                                                                             \
    {"kv_heads", WF_KEY_INT, "heads", 1, NULL, "heads of " shared},                                                            \
    {"key_dim", WF_KEY_INT, "dim % heads == 0 ? dim // heads : null", 1, NULL, "channels of a key, per head"},                 \
    {"value_dim", WF_KEY_INT, "key_dim", 1, NULL, "channels of a value, per head"}
#define WF_GLA_KEYS_LAST                                                                                                       \
    {"feature", WF_KEY_STRING, "'identity'", 0, "identity|elu1|relu|relu2|softplus|exp|sigmoid|silu",                          \
     "feature map of queries and keys"},                                                                                       \
    {"conv", WF_KEY_INT, "null", 1, NULL, "taps of the short convolutions on q, k and v; null: none"},                         \
    {"conv_bias", WF_KEY_BOOL, "false", 0, NULL, "their bias"},                                                                \
    {"gate", WF_KEY_STRING, "null", 0, "silu|sigmoid", "activation of the output gate; null: no gate"},                        \
    {"norm_eps", WF_KEY_FLOAT, "1e-5", 0, NULL, "of the norm of a head"},                                                      \
    {"norm_affine", WF_KEY_BOOL, "true", 0, NULL, "a weight on that norm"}

#define WF_GLA_SLOTS_FIRST                                                                                                     \
    {"q.weight", "[heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},                                                   \
    {"k.weight", "[kv_heads*key_dim, dim]", "linear", NULL, NULL, false, NULL},                                                \
    {"v.weight", "[kv_heads*value_dim, dim]", "linear", NULL, NULL, false, NULL},                                              \
    {"q_conv.weight", "[heads*key_dim, 1, conv]", "uniform:0.5", "conv", NULL, false, NULL},                                   \
    {"k_conv.weight", "[kv_heads*key_dim, 1, conv]", "uniform:0.5", "conv", NULL, false, NULL},                                \
    {"v_conv.weight", "[kv_heads*value_dim, 1, conv]", "uniform:0.5", "conv", NULL, false, NULL},                              \
    {"q_conv.bias", "[heads*key_dim]", "zeros", "conv && conv_bias", NULL, false, NULL},                                       \
    {"k_conv.bias", "[kv_heads*key_dim]", "zeros", "conv && conv_bias", NULL, false, NULL},                                    \
    {"v_conv.bias", "[kv_heads*value_dim]", "zeros", "conv && conv_bias", NULL, false, NULL}
#define WF_GLA_SLOTS_LAST                                                                                                      \
    {"gate.weight", "[heads*value_dim, dim]", "linear", "gate", NULL, false, NULL},                                            \
    {"norm.weight", "[value_dim]", "ones", "norm_affine", NULL, false, NULL},                                                  \
    {"o.weight", "[dim, heads*value_dim]", "linear_out", NULL, NULL, false, NULL}

#define WF_GLA_STATES                                                                                                          \
    {"s", WF_STATE_FIXED, "[heads, key_dim, value_dim]", NULL, NULL, 0},                                                       \
    {"q_conv", WF_STATE_FIXED, "[heads*key_dim, conv - 1]", NULL, "conv && conv > 1", 0},                                      \
    {"k_conv", WF_STATE_FIXED, "[kv_heads*key_dim, conv - 1]", NULL, "conv && conv > 1", 0},                                   \
    {"v_conv", WF_STATE_FIXED, "[kv_heads*value_dim, conv - 1]", NULL, "conv && conv > 1", 0}
/* clang-format on */

weft_status wf_gla_rows_check(const wf_layer *layer, weft_error *err);
/* y of io; x: its rows without padding; log decays g of this kind. */
weft_status wf_gla_rows_run(wf_run *run, const wf_layer *layer, wf_ports *io, wf_tensor *x, wf_decay decay, wf_tensor *g);
#endif
