/* lint: long file, because it is one table of cases, an entry for every operation */
/* ops_test.c - every op: gradients against finite differences along random directions, fp32 against bf16, the same bits for 1
 * to 8 threads, checkpoint regions against plain recording. One table of cases; an op without a case fails. */
/* lint: long file, because every operation has its cases in the one table */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "tensor/experts.h"
#include "tensor/ops.h"
#include "tensor/ops_table.h"
#include "tensor/tape.h"

enum { MAX_LEAVES = 8 };

typedef struct fixture {
    wf_env env;
    wf_kernels kernels;
    wf_params params;
    wf_tape *tape;
    wf_tensor *leaf[MAX_LEAVES];
    int leaves;
    wf_tensor *y, *probe;
} fixture;

/* A differentiable input filled with numbers in about [-1, 1] + shift. */
static wf_tensor *leaf(fixture *f, int rank, const int64_t *dims) {
    wf_tensor *x = wf_input_grad(f->tape, "x", rank, dims);
    f->leaf[f->leaves++] = x;
    return x;
}
static wf_tensor *leaf1(fixture *f, int64_t n) { return leaf(f, 1, (int64_t[]){n}); }
static wf_tensor *leaf2(fixture *f, int64_t a, int64_t b) { return leaf(f, 2, (int64_t[]){a, b}); }
static wf_tensor *leaf3(fixture *f, int64_t a, int64_t b, int64_t c) { return leaf(f, 3, (int64_t[]){a, b, c}); }
static wf_tensor *leaf4(fixture *f, int64_t a, int64_t b, int64_t c, int64_t d) { return leaf(f, 4, (int64_t[]){a, b, c, d}); }
static wf_tensor *ids(fixture *f, int64_t a, int64_t b) { return wf_input(f->tape, "ids", WF_I32, 2, (int64_t[]){a, b}); }

/* clang-format off */
static wf_tensor *linear_case(fixture *f) { return wf_linear(f->tape, leaf3(f, 2, 3, 5), leaf2(f, 7, 5), leaf1(f, 7)); }
static wf_tensor *linear_plain(fixture *f) { return wf_linear(f->tape, leaf2(f, 33, 65), leaf2(f, 19, 65), NULL); }
static wf_tensor *linear_sliced(fixture *f) {
    wf_tensor *x = leaf2(f, 6, 9), *w = leaf2(f, 10, 9);
    return wf_mul(f->tape, wf_linear(f->tape, x, wf_rows(f->tape, w, 0, 4), NULL), wf_linear(f->tape, x, wf_rows(f->tape, w, 5, 4), NULL));
}
static const float adapt_scales[2] = {0.7f, -1.3f};
static wf_tensor *adapt_case(fixture *f) { /* two slices, several columns of pieces */
    wf_adapter a = {.slices = 2, .rows = 5, .columns = 300, .rank = 3, .scales = adapt_scales};
    return wf_adapt(f->tape, leaf3(f, 2, 5, 300), leaf2(f, 10, 3), leaf2(f, 6, 300), NULL, &a);
}
static wf_tensor *adapt_rows(fixture *f) { /* the length is a constant: only what does not depend on it is probed */
    wf_adapter a = {.slices = 2, .rows = 4, .columns = 70, .rank = 2, .scales = adapt_scales};
    wf_tensor *w = wf_input(f->tape, "w", WF_F32, 2, (int64_t[]){8, 70}), *l = wf_input(f->tape, "l", WF_F32, 2, (int64_t[]){8, 2});
    return wf_adapt(f->tape, w, l, wf_input(f->tape, "r", WF_F32, 2, (int64_t[]){4, 70}), leaf1(f, 8), &a);
}
static wf_tensor *adapt_columns(fixture *f) {
    wf_adapter a = {.slices = 2, .rows = 4, .columns = 300, .rank = 2, .scales = adapt_scales, .by_column = true};
    wf_tensor *w = wf_input(f->tape, "w", WF_F32, 2, (int64_t[]){8, 300}), *l = wf_input(f->tape, "l", WF_F32, 2, (int64_t[]){8, 2});
    return wf_adapt(f->tape, w, l, wf_input(f->tape, "r", WF_F32, 2, (int64_t[]){4, 300}), leaf1(f, 600), &a);
}
static wf_tensor *embed_case(fixture *f) { return wf_embed(f->tape, ids(f, 3, 5), leaf2(f, 7, 6), -1); }
static wf_tensor *positions_case(fixture *f) { return wf_embed_positions(f->tape, leaf2(f, 9, 6), 2, 5, NULL, 2); }
static wf_tensor *add_case(fixture *f) { return wf_add_scaled(f->tape, leaf2(f, 3, 700), leaf2(f, 3, 700), 0.37f); }
static wf_tensor *add_same(fixture *f) {
    wf_tensor *x = leaf2(f, 3, 7);
    return wf_add(f->tape, x, x);
}
static wf_tensor *mul_case(fixture *f) { return wf_mul(f->tape, leaf2(f, 3, 7), leaf2(f, 3, 7)); }
static wf_tensor *mul_rows_case(fixture *f) { return wf_mul_rows(f->tape, leaf3(f, 2, 19, 301), leaf1(f, 301)); }
static wf_tensor *row_dot_case(fixture *f) { return wf_row_dot(f->tape, leaf3(f, 3, 70, 7), leaf3(f, 3, 70, 7)); }
static wf_tensor *scale_case(fixture *f) { return wf_scale(f->tape, leaf2(f, 3, 7), -1.7f); }
static wf_tensor *affine_case(fixture *f) { return wf_affine(f->tape, leaf2(f, 3, 7), -1.7f, 0.3f); }
static wf_tensor *silu_case(fixture *f) { return wf_activate(f->tape, leaf2(f, 13, 700), WF_SILU); }
static wf_tensor *gate_case(fixture *f) { return wf_gate(f->tape, leaf2(f, 3, 9), leaf2(f, 3, 9), WF_GELU_TANH); }
static wf_tensor *softcap_case(fixture *f) { return wf_softcap(f->tape, leaf2(f, 3, 9), 0.8f); }
static wf_tensor *xielu_case(fixture *f) {
    wf_tensor *x = leaf2(f, 13, 700), *scalars[4] = {leaf1(f, 1), leaf1(f, 1), wf_input(f->tape, "beta", WF_F32, 1, (int64_t[]){1}),
                                                     wf_input(f->tape, "eps", WF_F32, 1, (int64_t[]){1})};
    return wf_xielu(f->tape, x, scalars);
}
static wf_tensor *cast_case(fixture *f) { return wf_cast(f->tape, wf_cast(f->tape, leaf2(f, 3, 9), WF_BF16), WF_F32); }
static wf_tensor *dropout_case(fixture *f) { return wf_dropout(f->tape, leaf2(f, 30, 90), 0.3f); }
static wf_tensor *rms_case(fixture *f) { return wf_rms_norm(f->tape, leaf3(f, 2, 35, 17), leaf1(f, 17), 1.0f, 1e-5f); }
static wf_tensor *layer_case(fixture *f) { return wf_layer_norm(f->tape, leaf3(f, 2, 35, 17), leaf1(f, 17), leaf1(f, 17), 0.0f, 1e-5f); }
static wf_tensor *layer_plain(fixture *f) { return wf_layer_norm(f->tape, leaf2(f, 5, 33), NULL, NULL, 0.0f, 1e-5f); }
static wf_tensor *unit_l2(fixture *f) { return wf_unit(f->tape, leaf3(f, 2, 35, 7), WF_UNIT_L2, 0.1f); }
static wf_tensor *unit_floored(fixture *f) { /* some rows on each side of the floor, none at it */
    return wf_unit(f->tape, wf_mul(f->tape, leaf2(f, 40, 3), leaf2(f, 40, 3)), WF_UNIT_FLOORED, 0.02f);
}
static wf_tensor *unit_sum(fixture *f) { return wf_unit(f->tape, wf_activate(f->tape, leaf2(f, 9, 33), WF_SIGMOID), WF_UNIT_SUM, 1e-6f); }
static wf_tensor *slice_case(fixture *f) {
    wf_tensor *x = leaf3(f, 2, 7, 5);
    return wf_mul(f->tape, wf_time_slice(f->tape, x, 1, 3), wf_time_slice(f->tape, x, 4, 3));
}
static wf_tensor *concat_case(fixture *f) { return wf_time_concat(f->tape, leaf4(f, 2, 3, 2, 5), leaf4(f, 2, 4, 2, 5)); }
static wf_tensor *mask_case(fixture *f) { return wf_mask_rows(f->tape, leaf3(f, 2, 5, 6), wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){2, 5})); }

static wf_tensor *scale_by_case(fixture *f) { return wf_scale_by(f->tape, leaf2(f, 13, 700), leaf1(f, 1)); }
static wf_tensor *slice_channels_case(fixture *f) {
    wf_tensor *x = leaf3(f, 2, 19, 11);
    return wf_mul(f->tape, wf_slice_channels(f->tape, x, 1, 4), wf_slice_channels(f->tape, x, 6, 4));
}
static wf_tensor *join_channels_case(fixture *f) {
    return wf_join_channels(f->tape, wf_join_channels(f->tape, leaf4(f, 2, 9, 3, 5), leaf4(f, 2, 9, 3, 2)), leaf4(f, 2, 9, 1, 4));
}

static wf_tensor *swap_rows_case(fixture *f) { return wf_swap_rows(f->tape, leaf4(f, 2, 5, 3, 7)); }
static wf_tensor *mean_rows_case(fixture *f) { return wf_mean_rows(f->tape, leaf4(f, 2, 12, 3, 5), 3); }
static wf_tensor *time_project_case(fixture *f) { return wf_time_project(f->tape, leaf4(f, 2, 6, 1, 10), leaf3(f, 1, 9, 4)); }
static wf_tensor *time_project_heads(fixture *f) { return wf_time_project(f->tape, leaf4(f, 2, 6, 2, 5), leaf3(f, 4, 6, 3)); }
static wf_tensor *collide_case(fixture *f) { /* the gradient of q and k is not the derivative */
    wf_tensor *q = wf_input(f->tape, "q", WF_F32, 4, (int64_t[]){2, 5, 3, 4}), *k = wf_input(f->tape, "k", WF_F32, 4, (int64_t[]){2, 5, 3, 4});
    return wf_collide(f->tape, wf_unit(f->tape, q, WF_UNIT_L2, 1e-6f), wf_unit(f->tape, k, WF_UNIT_L2, 1e-6f), leaf4(f, 2, 5, 3, 6), 4);
}
static wf_tensor *dynamic_conv_case(fixture *f) { return wf_dynamic_conv(f->tape, leaf4(f, 2, 7, 3, 5), leaf4(f, 2, 7, 3, 4), 1); }
static wf_tensor *find_token_case(fixture *f) {
    return wf_take_rows(f->tape, leaf4(f, 3, 5, 1, 4), wf_find_token(f->tape, ids(f, 3, 5), 3));
}
static wf_tensor *conv_heads_case(fixture *f) { return wf_conv_heads(f->tape, leaf4(f, 2, 7, 3, 5), leaf3(f, 3, 1, 5)); }
static wf_tensor *nystrom_case(fixture *f) { /* queries near their keys: a matrix far from singular */
    wf_tensor *k = wf_scale(f->tape, leaf4(f, 2, 4, 2, 12), 2.0f);
    return wf_nystrom(f->tape, wf_add(f->tape, k, wf_scale(f->tape, leaf4(f, 2, 4, 2, 12), 0.5f)), k, leaf4(f, 2, 4, 2, 3));
}

static wf_tensor *take_rows_case(fixture *f) { /* some rows twice, one index outside */
    return wf_take_rows(f->tape, leaf4(f, 2, 5, 3, 4), wf_input(f->tape, "ids", WF_I32, 3, (int64_t[]){2, 3, 8}));
}
static wf_tensor *merge_case(fixture *f) {
    return wf_merge_partials(f->tape, leaf4(f, 2, 12, 3, 5), leaf3(f, 2, 3, 12), NULL, leaf4(f, 2, 4, 3, 5), 3);
}
static wf_tensor *lsh_case(fixture *f) { /* sorted rows and back again */
    wf_tensor *x = leaf4(f, 2, 8, 2, 6);
    wf_lsh_order s = wf_lsh_sort(f->tape, x, wf_input(f->tape, "rotations", WF_F32, 4, (int64_t[]){1, 6, 2, 3}), NULL, (const int64_t[]){4, 2}, 2);
    wf_tensor *rows = wf_mul(f->tape, wf_take_rows(f->tape, x, s.order), leaf4(f, 2, 16, 2, 6));
    return wf_merge_partials(f->tape, rows, leaf3(f, 2, 2, 16), s.place, NULL, 2);
}

static wf_tensor *memory_case(fixture *f) {
    wf_memory_spec s = {.v = leaf1(f, 5), .mask = wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){2, 9})};
    return wf_memory_attention(f->tape, leaf3(f, 2, 4, 5), leaf3(f, 2, 9, 5), leaf3(f, 2, 9, 7), &s, NULL);
}
static wf_tensor *memory_near(fixture *f) { /* a wide window: no key on its edge */
    wf_memory_spec s = {.local = true, .bell = true, .window = 20, .centre = wf_activate(f->tape, leaf2(f, 2, 4), WF_SIGMOID)};
    return wf_memory_attention(f->tape, leaf3(f, 2, 4, 5), leaf3(f, 2, 9, 5), leaf3(f, 2, 9, 7), &s, NULL);
}
static wf_tensor *max_pairs_case(fixture *f) { return wf_max_pairs(f->tape, wf_scale(f->tape, leaf2(f, 3, 10), 3.0f)); }

static wf_tensor *cluster_case(fixture *f) { /* chosen rows and back again */
    wf_tensor *x = leaf4(f, 2, 7, 2, 6), *members, *seen = wf_input(f->tape, "x", WF_F32, 4, x->dims);
    wf_tensor *index = wf_cluster_select(f->tape, seen, wf_input(f->tape, "centroids", WF_F32, 3, (int64_t[]){2, 3, 6}), 4, &members);
    return wf_scatter_mean(f->tape, wf_mul(f->tape, wf_take_rows(f->tape, x, index), leaf4(f, 2, 12, 2, 6)), index, 7, 0.1f);
}
static wf_tensor *commitment_case(fixture *f) {
    wf_tensor *sums;
    return wf_commitment(f->tape, leaf4(f, 2, 5, 2, 6), wf_input(f->tape, "centroids", WF_F32, 3, (int64_t[]){2, 3, 6}), &sums);
}
static wf_tensor *blocks_case(fixture *f) {
    wf_tensor *ids = wf_block_ids(f->tape, wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){2, 11}), 2, 11, 3);
    wf_tensor *rows = wf_embed(f->tape, wf_block_buckets(f->tape, ids, 3, 8, 20, true), leaf2(f, 8, 3), -1);
    wf_tensor *sums = wf_mask_rows(f->tape, wf_block_sum(f->tape, leaf3(f, 2, 11, 33), ids, 3), wf_block_mask(f->tape, ids, 3));
    return rows && sums ? wf_mul(f->tape, wf_cast(f->tape, rows, WF_F32), wf_reshape(f->tape, sums, 3, rows->dims)) : NULL;
}
static wf_tensor *repeat_case(fixture *f) { return wf_repeat_batch(f->tape, leaf3(f, 1, 5, 7), 3); }

static const double frequencies[3] = {1.0, 0.21, 0.013};
static wf_tensor *rotate_case(fixture *f) {
    wf_rotate_args a = {.first = 2, .pairs = 3, .frequencies = frequencies, .magnitude = 1.2f};
    return wf_rotate(f->tape, leaf4(f, 2, 5, 2, 8), &a);
}
static wf_tensor *temper_case(fixture *f) { return wf_temper(f->tape, leaf4(f, 2, 9, 3, 8), NULL, 0.7f, 3.0f); }
static wf_tensor *xpos_case(fixture *f) {
    wf_rotate_args a = {.pairs = 3, .frequencies = frequencies, .magnitude = 1.0f, .interleaved = true, .xpos_base = 16.0f, .xpos_sign = -1, .shift = 3};
    return wf_rotate(f->tape, leaf4(f, 1, 4, 3, 6), &a);
}

static wf_tensor *entropy(fixture *f, float softcap, float smoothing, float z_loss) {
    wf_tensor *count = wf_input(f->tape, "inverse_count", WF_F32, 1, (int64_t[]){1});
    wf_cross_entropy_spec s = {.ignore = -100, .logit_scale = 1.5f, .softcap = softcap, .smoothing = smoothing, .z_loss = z_loss, .inverse_count = count};
    return wf_cross_entropy(f->tape, leaf3(f, 2, 9, 12), leaf2(f, 11, 12), leaf1(f, 11), ids(f, 2, 9), &s, NULL);
}
static wf_tensor *entropy_case(fixture *f) { return entropy(f, 0.0f, 0.0f, 0.0f); }
static wf_tensor *entropy_capped(fixture *f) { return entropy(f, 2.0f, 0.1f, 0.0f); }
static wf_tensor *entropy_squares(fixture *f) { return entropy(f, 3.0f, 0.0f, 0.3f); }

static wf_tensor *add_rows_case(fixture *f) { return wf_add_rows(f->tape, leaf3(f, 2, 19, 301), leaf1(f, 301)); }
static wf_tensor *by_mask_case(fixture *f) {
    return wf_embed_positions(f->tape, leaf2(f, 9, 6), 3, 5, wf_mask_positions(f->tape, wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){3, 5})), 2);
}
static wf_tensor *counted_case(fixture *f) { return wf_embed(f->tape, wf_token_positions(f->tape, ids(f, 3, 5), 3, true), leaf2(f, 9, 6), -1); }
static wf_tensor *unfold_case(fixture *f) {
    wf_tensor *x = leaf3(f, 2, 7, 5);
    return wf_add(f->tape, wf_unfold(f->tape, x, -2, 3, 1), wf_unfold(f->tape, x, 1, 3, -1));
}
static wf_tensor *pad_case(fixture *f) {
    wf_tensor *mask = wf_mask_pad(f->tape, wf_token_globals(f->tape, ids(f, 2, 5), WF_GLOBALS_BEFORE, 3), 2, 5, 8);
    return wf_mask_rows(f->tape, wf_embed(f->tape, wf_id_pad(f->tape, ids(f, 2, 5), 8, 6), leaf2(f, 7, 5), -1), mask);
}
static wf_tensor *masked_case(fixture *f) { return wf_mask_rows(f->tape, leaf3(f, 3, 5, 6), wf_token_mask(f->tape, ids(f, 3, 5), 3)); }
static wf_tensor *frames_case(fixture *f) {
    wf_tensor *mask = wf_frame_mask(f->tape, wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){2, 11}), 5, 2);
    return wf_mask_rows(f->tape, wf_frames(f->tape, leaf3(f, 2, 11, 5), 4, 2, 1), mask);
}
static wf_tensor *shift_right_case(fixture *f) {
    wf_tensor *start = wf_shift_right(f->tape, ids(f, 2, 5), false, 3, 0), *turned = wf_shift_right(f->tape, ids(f, 2, 5), true, 0, 2);
    wf_tensor *x = wf_add(f->tape, wf_embed(f->tape, start, leaf2(f, 9, 6), -1), wf_embed(f->tape, turned, leaf2(f, 9, 6), -1));
    return wf_mask_rows(f->tape, x, wf_token_rows(f->tape, start, 1, true));
}
static wf_tensor *column_case(fixture *f) {
    wf_tensor *x = wf_input(f->tape, "ids", WF_I32, 3, (int64_t[]){2, 3, 4});
    return wf_embed(f->tape, wf_id_column(f->tape, x, 2, 1, 1), leaf2(f, 9, 6), -1);
}
static wf_tensor *token_dropout_case(fixture *f) {
    return wf_token_dropout(f->tape, leaf3(f, 2, 5, 6), ids(f, 2, 5), wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){2, 5}), 2, 0.12);
}
static wf_tensor *pool_case(fixture *f, wf_pool_kind kind, bool masked) {
    return wf_pool_rows(f->tape, leaf3(f, 3, 7, 5), kind, masked ? wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){3, 7}) : NULL);
}
static wf_tensor *pool_mean(fixture *f) { return pool_case(f, WF_POOL_MEAN, true); }
static wf_tensor *pool_all(fixture *f) { return pool_case(f, WF_POOL_MEAN, false); }
static wf_tensor *pool_sqrt(fixture *f) { return pool_case(f, WF_POOL_MEAN_SQRT, true); }
static wf_tensor *pool_weighted(fixture *f) { return pool_case(f, WF_POOL_WEIGHTED, true); }
static wf_tensor *pool_last(fixture *f) { return pool_case(f, WF_POOL_LAST, true); }
static wf_tensor *pool_first(fixture *f) { return pool_case(f, WF_POOL_FIRST, true); }
static wf_tensor *pool_max(fixture *f) { return pool_case(f, WF_POOL_MAX, true); }
static wf_tensor *inverse_of(fixture *f, int64_t n) { return wf_input(f->tape, "inverse", WF_F32, 1, (int64_t[]){n}); }
static wf_tensor *class_case(fixture *f) { return wf_class_loss(f->tape, leaf3(f, 2, 5, 7), 7, ids(f, 2, 5), inverse_of(f, 1)); }
static wf_tensor *class_span(fixture *f) { return wf_class_loss(f->tape, leaf3(f, 3, 9, 2), 9, ids(f, 3, 2), inverse_of(f, 2)); }
static wf_tensor *values_case(fixture *f) {
    wf_tensor *mask = wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){3, 7});
    return wf_value_loss(f->tape, WF_LOSS_SIGMOID, leaf2(f, 3, 7), wf_input(f->tape, "y", WF_F32, 2, (int64_t[]){3, 7}), inverse_of(f, 1), mask);
}
static wf_tensor *squares_case(fixture *f) {
    return wf_value_loss(f->tape, WF_LOSS_SQUARE, leaf2(f, 3, 7), wf_input(f->tape, "y", WF_F32, 2, (int64_t[]){3, 7}), inverse_of(f, 1), NULL);
}

/* Log decays below zero, shaped like x. */
static wf_tensor *decay_of(fixture *f, wf_tensor *x) { return wf_scale(f->tape, wf_activate(f->tape, x, WF_SIGMOID), -0.5f); }
/* A first part whose state the second part starts from, so that states have gradients too. */
static wf_tensor *recurrence_case(fixture *f, wf_decay decay, int64_t groups, bool bonus, int64_t value_dim) {
    wf_tensor *s0 = leaf4(f, 2, 4, 5, value_dim), *s1, *o1, *o2, *u = bonus ? leaf2(f, 4, 5) : NULL, *g = NULL;
    wf_tensor *q = leaf4(f, 2, 7, groups, 5), *k = leaf4(f, 2, 7, groups, 5), *v = leaf4(f, 2, 7, 4, value_dim);
    if (decay == WF_DECAY_CONST)
        g = decay_of(f, leaf1(f, 4));
    else if (decay == WF_DECAY_CHANNEL)
        g = decay_of(f, leaf2(f, 4, 5));
    else if (decay != WF_DECAY_NONE)
        g = decay_of(f, leaf4(f, 2, 7, 4, decay == WF_DECAY_VECTOR ? 5 : 1));
    bool timed = wf_decay_per_token(decay);
    wf_recurrence_spec a = {.decay = decay, .scale = 0.4f, .bonus = u, .s_in = s0, .s_out = &s1, .g = timed ? wf_time_slice(f->tape, g, 0, 3) : g};
    o1 = wf_recurrence(f->tape, wf_time_slice(f->tape, q, 0, 3), wf_time_slice(f->tape, k, 0, 3), wf_time_slice(f->tape, v, 0, 3), &a);
    wf_recurrence_spec b = {.decay = decay, .scale = 0.4f, .bonus = u, .s_in = s1, .g = timed ? wf_time_slice(f->tape, g, 3, 4) : g};
    o2 = wf_recurrence(f->tape, wf_time_slice(f->tape, q, 3, 4), wf_time_slice(f->tape, k, 3, 4), wf_time_slice(f->tape, v, 3, 4), &b);
    return wf_time_concat(f->tape, o1, o2);
}
static wf_tensor *recurrence_none(fixture *f) { return recurrence_case(f, WF_DECAY_NONE, 4, false, 3); }
static wf_tensor *recurrence_const(fixture *f) { return recurrence_case(f, WF_DECAY_CONST, 4, false, 6); }
static wf_tensor *recurrence_groups(fixture *f) { return recurrence_case(f, WF_DECAY_SCALAR, 2, false, 70); }
static wf_tensor *recurrence_bonus(fixture *f) { return recurrence_case(f, WF_DECAY_VECTOR, 1, true, 66); }
static wf_tensor *recurrence_channel(fixture *f) { return recurrence_case(f, WF_DECAY_CHANNEL, 4, true, 66); }
static wf_tensor *recurrence_alone(fixture *f) {
    wf_tensor *q = leaf4(f, 2, 9, 3, 8);
    return wf_recurrence(f->tape, q, q, leaf4(f, 2, 9, 3, 8), &(wf_recurrence_spec){.scale = 1.0f});
}

/* Unit vectors keep the correction a contraction. */
static wf_tensor *unit4(fixture *f, int64_t a, int64_t b, int64_t c, int64_t d) { return wf_scale(f->tape, leaf4(f, a, b, c, d), 0.3f); }
static wf_tensor *delta_part(fixture *f, wf_tensor *const in[7], int64_t first, int64_t count, wf_delta_spec spec) {
    wf_tensor *x[7];
    for (int i = 0; i < 7; i++)
        x[i] = in[i] ? wf_time_slice(f->tape, in[i], first, count) : NULL;
    spec.g = x[3];
    spec.beta = x[4];
    spec.a = x[5];
    spec.b = x[6];
    return wf_delta(f->tape, x[0], x[1], x[2], &spec);
}
static wf_tensor *delta_case(fixture *f, wf_decay decay, int64_t groups, bool general, int64_t value_dim) {
    wf_tensor *s0 = leaf4(f, 2, 4, 5, value_dim), *s1, *in[7] = {leaf4(f, 2, 7, groups, 5), unit4(f, 2, 7, groups, 5), leaf4(f, 2, 7, 4, value_dim)};
    if (decay != WF_DECAY_NONE)
        in[3] = decay_of(f, leaf4(f, 2, 7, 4, decay == WF_DECAY_VECTOR ? 5 : 1));
    if (general) {
        in[5] = unit4(f, 2, 7, groups, 5);
        in[6] = unit4(f, 2, 7, groups, 5);
    } else {
        in[4] = wf_activate(f->tape, leaf3(f, 2, 7, 4), WF_SIGMOID);
    }
    wf_tensor *o = delta_part(f, in, 0, 3, (wf_delta_spec){.decay = decay, .scale = 0.4f, .s_in = s0, .s_out = &s1});
    return wf_time_concat(f->tape, o, delta_part(f, in, 3, 4, (wf_delta_spec){.decay = decay, .scale = 0.4f, .s_in = s1}));
}
static wf_tensor *delta_none(fixture *f) { return delta_case(f, WF_DECAY_NONE, 4, false, 3); }
static wf_tensor *delta_groups(fixture *f) { return delta_case(f, WF_DECAY_SCALAR, 2, false, 70); }
static wf_tensor *delta_vector(fixture *f) { return delta_case(f, WF_DECAY_VECTOR, 4, false, 6); }
static wf_tensor *delta_general(fixture *f) { return delta_case(f, WF_DECAY_VECTOR, 4, true, 66); }
static wf_tensor *delta_general_groups(fixture *f) { return delta_case(f, WF_DECAY_SCALAR, 1, true, 5); }

static wf_tensor *scan_case(fixture *f) {
    wf_tensor *u = leaf3(f, 2, 7, 21), *x = leaf3(f, 2, 7, 21), *b = leaf3(f, 2, 7, 5), *c = leaf3(f, 2, 7, 5), *h;
    wf_tensor *dt = wf_activate(f->tape, x, WF_SOFTPLUS), *a_log = leaf2(f, 21, 5), *h0 = leaf3(f, 2, 21, 5);
    wf_scan_spec first = {.a_log = a_log, .skip = leaf1(f, 21), .z = wf_time_slice(f->tape, x, 0, 4), .h_in = h0, .h_out = &h};
    wf_tensor *y = wf_selective_scan(f->tape, wf_time_slice(f->tape, u, 0, 4), wf_time_slice(f->tape, dt, 0, 4), wf_time_slice(f->tape, b, 0, 4),
                                     wf_time_slice(f->tape, c, 0, 4), &first);
    wf_scan_spec second = {.a_log = a_log, .h_in = h};
    return wf_time_concat(f->tape, y,
                          wf_selective_scan(f->tape, wf_time_slice(f->tape, u, 4, 3), wf_time_slice(f->tape, dt, 4, 3),
                                            wf_time_slice(f->tape, b, 4, 3), wf_time_slice(f->tape, c, 4, 3), &second));
}

/* Three groups of channels, each with its own b and c. */
static wf_tensor *scan_groups(fixture *f) {
    wf_tensor *u = leaf3(f, 2, 7, 51), *dt = wf_activate(f->tape, leaf3(f, 2, 7, 51), WF_SOFTPLUS);
    wf_scan_spec spec = {.a_log = leaf2(f, 51, 5), .skip = leaf1(f, 51)};
    return wf_selective_scan(f->tape, u, dt, leaf4(f, 2, 7, 3, 5), leaf4(f, 2, 7, 3, 5), &spec);
}

static wf_tensor *long_conv_case(fixture *f) { return wf_long_conv(f->tape, leaf3(f, 2, 11, 19), leaf2(f, 13, 19), leaf1(f, 19)); }
static wf_tensor *long_conv_long(fixture *f) { return wf_long_conv(f->tape, leaf3(f, 1, 300, 17), leaf2(f, 300, 17), leaf1(f, 17)); }
static wf_tensor *long_conv_plain(fixture *f) { return wf_long_conv(f->tape, leaf3(f, 3, 1, 3), leaf2(f, 1, 3), NULL); }
static wf_tensor *fourier_case(fixture *f) { return wf_fourier(f->tape, leaf3(f, 2, 11, 18)); }
static wf_tensor *sine_case(fixture *f) { return wf_sine(f->tape, wf_scale(f->tape, leaf2(f, 5, 7), 3.0f)); }
static wf_tensor *discretise_case(fixture *f, bool bilinear, bool real) {
    wf_tensor *b, *a = wf_discretise(f->tape, leaf1(f, 21), leaf2(f, 21, 3), real ? NULL : leaf2(f, 21, 3), bilinear, &b);
    return wf_add_scaled(f->tape, a, b, 0.3f);
}
static wf_tensor *discretise_zoh(fixture *f) { return discretise_case(f, false, false); }
static wf_tensor *discretise_bilinear(fixture *f) { return discretise_case(f, true, false); }
static wf_tensor *discretise_real(fixture *f) { return discretise_case(f, false, true); }
static wf_low_rank low_rank(fixture *f) { return (wf_low_rank){leaf1(f, 5), leaf2(f, 5, 3), leaf2(f, 5, 3), leaf3(f, 5, 3, 2), leaf3(f, 5, 3, 2)}; }
static wf_tensor *low_rank_step_case(fixture *f) {
    wf_tensor *out[4];
    wf_low_rank m = low_rank(f);
    if (!wf_low_rank_step(f->tape, &m, out))
        return NULL;
    wf_tensor *y = wf_add_scaled(f->tape, out[0], out[1], 0.7f);
    return wf_add(f->tape, wf_mul(f->tape, y, out[2]), wf_scale(f->tape, out[3], 0.4f));
}
static wf_tensor *low_rank_kernel_case(fixture *f) {
    wf_low_rank m = low_rank(f);
    return wf_low_rank_kernel(f->tape, &m, leaf3(f, 5, 3, 2), 7);
}
static wf_tensor *pole_case(fixture *f, int rank, bool reverse, bool ranked) {
    int64_t dims[] = {19, 3, 2}, state[] = {2, 19, 3, 2};
    wf_tensor *x = leaf3(f, 2, 7, 19), *a = wf_scale(f->tape, leaf(f, rank, dims), 0.5f), *b = leaf(f, rank, dims), *c = leaf(f, rank, dims), *h;
    wf_tensor *e = ranked ? wf_scale(f->tape, leaf(f, rank, dims), 0.3f) : NULL, *v = ranked ? wf_scale(f->tape, leaf(f, rank, dims), 0.3f) : NULL;
    wf_pole_spec first = {.e = e, .v = v, .skip = ranked ? NULL : leaf1(f, 19), .reverse = reverse, .h_in = leaf(f, rank + 1, state), .h_out = &h};
    wf_tensor *y = wf_pole_scan(f->tape, wf_time_slice(f->tape, x, 0, 4), a, b, c, &first);
    return wf_time_concat(f->tape, y, wf_pole_scan(f->tape, wf_time_slice(f->tape, x, 4, 3), a, b, c, &(wf_pole_spec){.e = e, .v = v, .reverse = reverse, .h_in = h}));
}
static wf_tensor *pole_complex(fixture *f) { return pole_case(f, 3, false, false); }
static wf_tensor *pole_ranked(fixture *f) { return pole_case(f, 3, false, true); }
static wf_tensor *pole_reverse(fixture *f) { return pole_case(f, 3, true, false); }
static wf_tensor *pole_real(fixture *f) { return pole_case(f, 2, false, false); }
static wf_tensor *lane_scan_case(fixture *f) {
    wf_tensor *a = wf_activate(f->tape, leaf3(f, 2, 7, 71), WF_SIGMOID), *x = leaf3(f, 2, 7, 71), *h0 = leaf2(f, 2, 71), *h;
    wf_tensor *y = wf_lane_scan(f->tape, wf_time_slice(f->tape, a, 0, 4), wf_time_slice(f->tape, x, 0, 4), h0, &h);
    return wf_time_concat(f->tape, y, wf_lane_scan(f->tape, wf_time_slice(f->tape, a, 4, 3), wf_time_slice(f->tape, x, 4, 3), h, NULL));
}
static wf_tensor *lane_scan_same(fixture *f) {
    wf_tensor *a = leaf3(f, 1, 5, 3);
    return wf_lane_scan(f->tape, a, a, NULL, NULL);
}
static wf_tensor *decay_root_case(fixture *f) {
    wf_tensor *root, *la = wf_scale(f->tape, wf_activate(f->tape, leaf3(f, 2, 5, 9), WF_SIGMOID), -0.7f);
    wf_tensor *a = wf_decay_root(f->tape, la, NULL, NULL, &root);
    return wf_mul(f->tape, a, wf_activate(f->tape, root, WF_SILU));
}
static wf_tensor *head_linear_case(fixture *f) { return wf_head_linear(f->tape, leaf4(f, 2, 5, 3, 4), leaf3(f, 3, 4, 6), leaf2(f, 3, 6)); }
static wf_tensor *head_linear_plain(fixture *f) { return wf_head_linear(f->tape, leaf4(f, 1, 35, 2, 33), leaf3(f, 2, 33, 7), NULL); }

/* Parts of `first` and 9 - first tokens: shorter and longer than the filter. */
static wf_tensor *conv_parts(fixture *f, int64_t first, bool silu) {
    wf_tensor *x = leaf3(f, 2, 9, 70), *w = leaf3(f, 70, 1, 4), *bias = leaf1(f, 70), *s0 = leaf3(f, 2, 70, 3), *s1, *s2, *s3;
    wf_tensor *a = wf_conv(f->tape, wf_time_slice(f->tape, x, 0, first), w, bias, silu, s0, &s1);
    wf_tensor *b = wf_conv(f->tape, wf_time_slice(f->tape, x, first, 9 - first), w, silu ? bias : NULL, silu, s1, &s2);
    wf_tensor *c = wf_conv(f->tape, wf_time_slice(f->tape, x, 0, 2), w, bias, silu, s2, &s3);
    return wf_time_concat(f->tape, wf_time_concat(f->tape, a, b), c);
}
static wf_tensor *conv_case(fixture *f) { return conv_parts(f, 5, false); }
static wf_tensor *conv_silu(fixture *f) { return conv_parts(f, 1, true); }
static wf_tensor *conv_plain(fixture *f) { return wf_conv(f->tape, leaf3(f, 1, 11, 3), leaf2(f, 3, 3), NULL, true, NULL, NULL); }

typedef wf_tensor *(*rnn_op)(wf_tape *t, wf_tensor *ih, const wf_rnn_spec *spec);
static wf_tensor *rnn_case(fixture *f, rnn_op op, int64_t batch, int64_t hidden, bool masked, bool reverse, bool before) {
    int64_t gates = op == wf_lstm ? 4 : op == wf_gru ? 3 : 1, part = 3;
    wf_tensor *ih = leaf3(f, batch, 7, gates * hidden), *hh = wf_scale(f->tape, leaf2(f, gates * hidden, hidden), 0.3f), *h, *c = NULL;
    wf_tensor *mask = masked ? wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){batch, part}) : NULL;
    wf_rnn_spec a = {.hh = hh, .hh_bias = leaf1(f, gates * hidden), .mask = mask, .reverse = reverse, .reset_before = before,
                     .h_in = leaf2(f, batch, hidden), .c_in = gates == 4 ? leaf2(f, batch, hidden) : NULL, .h_out = &h, .c_out = &c};
    wf_tensor *y = op(f->tape, wf_time_slice(f->tape, ih, 0, part), &a);
    wf_rnn_spec b = {.hh = hh, .reverse = reverse, .reset_before = before, .h_in = h, .c_in = c};
    return wf_time_concat(f->tape, y, op(f->tape, wf_time_slice(f->tape, ih, part, 7 - part), &b));
}
static wf_tensor *rnn_tanh(fixture *f) { return rnn_case(f, wf_plain_rnn, 3, 6, true, true, false); }
static wf_tensor *rnn_wide(fixture *f) { return rnn_case(f, wf_plain_rnn, 14, 37, true, false, false); }
static wf_tensor *lstm_case(fixture *f) { return rnn_case(f, wf_lstm, 2, 5, true, false, false); }
static wf_tensor *lstm_wide(fixture *f) { return rnn_case(f, wf_lstm, 14, 37, true, true, false); }
static wf_tensor *gru_case(fixture *f) { return rnn_case(f, wf_gru, 3, 6, true, true, false); }
static wf_tensor *gru_wide(fixture *f) { return rnn_case(f, wf_gru, 9, 33, true, false, false); }
static wf_tensor *gru_before(fixture *f) { return rnn_case(f, wf_gru, 2, 35, true, false, true); }
static wf_tensor *gru_before_wide(fixture *f) { return rnn_case(f, wf_gru, 13, 7, true, true, true); }

static wf_tensor *slstm_case(fixture *f) {
    wf_tensor *x = leaf4(f, 4, 2, 7, 12), *r = leaf4(f, 4, 3, 4, 4), *first[4], *states[4];
    wf_slstm_spec a = {.mask = wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){2, 4}), .out = states}, b = {0};
    for (int g = 0; g < 4; g++) {
        wf_tensor *gate = wf_reshape(f->tape, wf_rows(f->tape, x, g, 1), 3, (int64_t[]){2, 7, 12});
        a.recurrent[g] = b.recurrent[g] = wf_reshape(f->tape, wf_rows(f->tape, r, g, 1), 3, (int64_t[]){3, 4, 4});
        first[g] = wf_time_slice(f->tape, gate, 0, 4);
        a.gates[g] = first[g];
        b.gates[g] = wf_time_slice(f->tape, gate, 4, 3);
    }
    wf_tensor *y = wf_slstm(f->tape, &a);
    for (int i = 0; i < 4; i++)
        b.in[i] = states[i];
    return wf_time_concat(f->tape, y, wf_slstm(f->tape, &b));
}

static wf_tensor *attend(fixture *f, int64_t heads, int64_t groups, wf_attention_spec spec) {
    spec.scale = 0.7f;
    if (spec.left == 0)
        spec.left = spec.right = INT64_MAX;
    return wf_attention(f->tape, leaf4(f, 2, 9, heads, 5), leaf4(f, 2, 9, groups, 5), leaf4(f, 2, 9, groups, 3), &spec);
}
static wf_tensor *attention_plain(fixture *f) { return attend(f, 3, 3, (wf_attention_spec){.causal = true}); }
static wf_tensor *attention_groups(fixture *f) {
    return attend(f, 4, 2, (wf_attention_spec){.softcap = 1.5f, .left = 4, .right = 2, .dropout = 0.2f, .sinks = leaf1(f, 4),
                                               .key_mask = wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){2, 9})});
}
static wf_tensor *attention_t5(fixture *f) {
    return attend(f, 2, 1, (wf_attention_spec){.rel_bias = leaf2(f, 8, 2), .buckets = 8, .max_distance = 20, .bidirectional = true});
}
static wf_tensor *alibi_case(fixture *f) {
    static const float slopes[] = {0.3f, 0.07f, 0.9f};
    return attend(f, 3, 3, (wf_attention_spec){.bias = wf_alibi_keys(f->tape, wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){2, 9}), 9, slopes, 3, 0.5f)});
}
static wf_tensor *attention_bias(fixture *f) { /* one per head, the sequences share it */
    return attend(f, 4, 2, (wf_attention_spec){.causal = true, .bias = leaf4(f, 1, 4, 9, 9)});
}
static wf_tensor *attention_bias_alone(fixture *f) { /* one per sequence, then one for each head of each */
    wf_tensor *y = attend(f, 3, 3, (wf_attention_spec){.softcap = 2, .bias = leaf4(f, 2, 1, 9, 9)});
    return wf_add(f->tape, y, attend(f, 3, 1, (wf_attention_spec){.bias = wf_scale(f->tape, leaf4(f, 2, 3, 9, 9), 2)}));
}
static const int32_t distances[7] = {5, -1, 3, 0, 1, 1, 2};
static wf_tensor *relative_case(fixture *f) {
    wf_relative_spec s = {.queries = 6, .keys = 8, .index = distances, .count = 7, .zero = 3, .scale = 0.7f};
    wf_tensor *y = wf_relative(f->tape, leaf4(f, 2, 6, 3, 5), leaf2(f, 7, 5), &s);
    s.of_keys = true;
    return wf_add(f->tape, y, wf_relative(f->tape, leaf4(f, 2, 8, 3, 5), leaf3(f, 7, 3, 5), &s));
}
/* Keys and queries above zero, as feature maps make them. */
static wf_tensor *positive4(fixture *f, int64_t a, int64_t b, int64_t c, int64_t d) { return wf_activate(f->tape, leaf4(f, a, b, c, d), WF_ELU1); }
static wf_tensor *normalise_case(fixture *f) {
    wf_tensor *o = leaf4(f, 2, 7, 3, 4), *q = positive4(f, 2, 7, 3, 5), *k = positive4(f, 2, 7, 3, 5), *z;
    wf_normalise_spec a = {.causal = true, .eps = 0.1f, .z_in = wf_activate(f->tape, leaf3(f, 2, 3, 5), WF_ELU1), .z_out = &z};
    wf_tensor *y = wf_normalise_sum(f->tape, wf_time_slice(f->tape, o, 0, 4), wf_time_slice(f->tape, q, 0, 4), wf_time_slice(f->tape, k, 0, 4), &a);
    wf_normalise_spec b = {.causal = true, .eps_inside = true, .eps = 0.1f, .z_in = z};
    return wf_time_concat(f->tape, y, wf_normalise_sum(f->tape, wf_time_slice(f->tape, o, 4, 3), wf_time_slice(f->tape, q, 4, 3),
                                                       wf_time_slice(f->tape, k, 4, 3), &b));
}
static wf_tensor *normalise_full(fixture *f) {
    wf_normalise_spec a = {.eps = 0.1f};
    return wf_normalise_sum(f->tape, leaf4(f, 2, 4, 2, 3), positive4(f, 2, 4, 2, 5), positive4(f, 2, 6, 2, 5), &a);
}
static wf_tensor *full_linear_case(fixture *f) {
    return wf_full_linear(f->tape, leaf4(f, 2, 4, 3, 5), leaf4(f, 2, 6, 3, 5), leaf4(f, 2, 6, 3, 7));
}
static const float retention_decays[3] = {-0.03f, -0.01f, -0.3f};
static wf_tensor *decay_norm_case(fixture *f) { /* without the clamp the factors do not depend on the inputs */
    return wf_decay_norm(f->tape, leaf4(f, 2, 6, 3, 5), &(wf_decay_norm_spec){.g = retention_decays});
}

static wf_tensor *clamp_case(fixture *f) { return wf_clamp(f->tape, wf_scale(f->tape, leaf2(f, 3, 9), 3.0f), -1.1f, 1.4f); }
static wf_tensor *scale_rows_case(fixture *f) { return wf_scale_rows(f->tape, leaf4(f, 2, 5, 3, 7), leaf3(f, 2, 5, 3)); }
static wf_tensor *scale_rows_shared(fixture *f) { return wf_scale_rows(f->tape, leaf4(f, 2, 50, 3, 7), leaf1(f, 3)); }
static wf_tensor *log_gate_case(fixture *f) { return wf_log_gate(f->tape, wf_scale(f->tape, leaf2(f, 5, 90), 4.0f), 0.0f, 0.3f); }
static wf_tensor *log_gate_low(fixture *f) { return wf_log_gate(f->tape, wf_scale(f->tape, leaf2(f, 5, 90), 4.0f), 0.2f, 1.0f); }
static wf_tensor *grouped_rms(fixture *f) { return wf_rms_norm(f->tape, leaf4(f, 2, 35, 3, 7), leaf1(f, 21), 0.0f, 1e-2f); }
static wf_tensor *grouped_layer(fixture *f) { return wf_layer_norm(f->tape, leaf4(f, 2, 9, 100, 7), leaf1(f, 700), leaf1(f, 700), 0.0f, 1e-2f); }
static wf_tensor *repeat_heads_case(fixture *f) { return wf_repeat_heads(f->tape, leaf4(f, 2, 19, 2, 5), 3); }
static wf_tensor *taylor_case(fixture *f) { return wf_quadratic(f->tape, leaf4(f, 2, 9, 2, 5), true); }
static wf_tensor *quadratic_case(fixture *f) { return wf_quadratic(f->tape, leaf4(f, 2, 9, 2, 5), false); }
static wf_tensor *shift_case(fixture *f) {
    wf_tensor *x = leaf3(f, 2, 7, 5), *s;
    wf_tensor *a = wf_time_shift(f->tape, wf_time_slice(f->tape, x, 0, 6), leaf2(f, 2, 5), &s);
    return wf_time_concat(f->tape, a, wf_time_shift(f->tape, wf_time_slice(f->tape, x, 6, 1), s, NULL));
}
static wf_tensor *favor_case(fixture *f) { return wf_favor(f->tape, leaf4(f, 2, 9, 3, 7), leaf4(f, 2, 9, 3, 5), WF_FAVOR_NONE, 0.1f); }
/* A matrix memory of exponential gates over a part of the sequence: the gradient of a gate is right for the whole only. */
typedef struct memory { wf_tensor *q, *k, *v, *in, *forget, *s, *n, *m; } memory;
static wf_tensor *remember(fixture *f, memory *a, int64_t first, int64_t count) {
    wf_tensor *u, *all, *m_in = a->m, *q = wf_time_slice(f->tape, a->q, first, count), *k = wf_time_slice(f->tape, a->k, first, count);
    wf_exp_gates_spec gates = {.m_in = m_in, .m_out = &a->m, .u = &u, .m = &all};
    wf_tensor *g = wf_exp_gates(f->tape, wf_time_slice(f->tape, a->in, first, count), wf_time_slice(f->tape, a->forget, first, count), &gates);
    wf_tensor *v = wf_scale_rows(f->tape, wf_time_slice(f->tape, a->v, first, count), u);
    wf_recurrence_spec spec = {.decay = WF_DECAY_SCALAR, .g = g, .scale = 1.0f, .s_in = a->s, .s_out = &a->s};
    wf_tensor *o = wf_recurrence(f->tape, q, k, v, &spec);
    spec.s_in = a->n;
    spec.s_out = &a->n;
    wf_tensor *nq = wf_recurrence(f->tape, q, k, u ? wf_reshape(f->tape, u, 4, (int64_t[]){2, count, 3, 1}) : NULL, &spec);
    return wf_normalise_exp(f->tape, o, nq, all, 1e-3f);
}
/* Gates about `level`: far above 0 the normaliser is |n.q|, far below it the floor e^-m; between lie kinks that differences see. */
static wf_tensor *remember_at(fixture *f, float level) {
    memory a = {.q = positive4(f, 2, 9, 3, 4), .k = positive4(f, 2, 9, 3, 4), .v = leaf4(f, 2, 9, 3, 5),
                .in = wf_affine(f->tape, leaf3(f, 2, 9, 3), 1.0f, level), .forget = wf_log_gate(f->tape, leaf3(f, 2, 9, 3), 0.0f, 1.0f)};
    wf_tensor *y = remember(f, &a, 0, 5);
    return wf_time_concat(f->tape, y, remember(f, &a, 5, 4));
}
static wf_tensor *exp_gates_case(fixture *f) { return remember_at(f, 4.0f); }
static wf_tensor *normalise_exp_case(fixture *f) { return remember_at(f, -9.0f); }
static wf_tensor *wkv_case(fixture *f) {
    wf_tensor *k = wf_scale(f->tape, leaf3(f, 2, 9, 70), 3.0f), *v = leaf3(f, 2, 9, 70), *u = leaf1(f, 70), *s[3];
    wf_tensor *w = decay_of(f, leaf1(f, 70));
    wf_wkv_spec a = {.out = s}, b = {.out = NULL};
    wf_tensor *y = wf_wkv(f->tape, wf_time_slice(f->tape, k, 0, 5), wf_time_slice(f->tape, v, 0, 5), w, u, &a);
    memcpy(b.in, s, sizeof s);
    return wf_time_concat(f->tape, y, wf_wkv(f->tape, wf_time_slice(f->tape, k, 5, 4), wf_time_slice(f->tape, v, 5, 4), w, u, &b));
}
/* Experts of 12 tokens with two choices each; the third expert has many rows, one has none. */
static wf_tensor *experts_case(fixture *f, const wf_route_spec *spec, bool weigh_input) {
    wf_routing routing;
    wf_dispatch d;
    wf_tensor *x = leaf3(f, 2, 6, 5);
    if (!wf_route(f->tape, wf_scale(f->tape, leaf3(f, 2, 6, 4), 3.0f), spec, &routing) || !wf_dispatch_rows(f->tape, &routing, 4, 0, &d))
        return NULL;
    wf_tensor *rows = wf_spread_rows(f->tape, x, weigh_input ? routing.weights : NULL, &d);
    wf_tensor *y = wf_grouped_linear(f->tape, rows, leaf3(f, 4, 7, 5), leaf2(f, 4, 7), &d);
    return wf_collect_rows(f->tape, y, weigh_input ? NULL : routing.weights, &d, 2);
}
static wf_tensor *experts_softmax(fixture *f) {
    return experts_case(f, &(wf_route_spec){.router = "softmax", .top_k = 2, .scale = 1.5f, .normalise = true, .normalise_order = 2.0f}, false);
}
static wf_tensor *experts_sigmoid(fixture *f) {
    return experts_case(f, &(wf_route_spec){.router = "sigmoid", .top_k = 2, .scale = 1.0f, .normalise = true, .normalise_order = 1.0f, .capacity = 3}, true);
}
static wf_tensor *experts_sparse(fixture *f) {
    return experts_case(f, &(wf_route_spec){.router = "sparsemixer", .top_k = 2, .scale = 1.0f, .normalise_order = 1.0f, .jitter = 1.2f}, false);
}
static wf_tensor *many_experts(fixture *f) { /* several blocks of rows each */
    wf_routing routing;
    wf_dispatch d;
    wf_tensor *x = leaf3(f, 1, 700, 3);
    if (!wf_route(f->tape, leaf3(f, 1, 700, 2), &(wf_route_spec){.router = "softmax", .top_k = 2, .scale = 1.0f, .normalise_order = 1.0f}, &routing) ||
        !wf_dispatch_rows(f->tape, &routing, 2, 0, &d))
        return NULL;
    wf_tensor *y = wf_grouped_linear(f->tape, wf_spread_rows(f->tape, x, NULL, &d), leaf3(f, 2, 64, 3), NULL, &d);
    return wf_collect_rows(f->tape, y, routing.weights, &d, 1);
}
static wf_tensor *sort_case(fixture *f) {
    wf_routing routing;
    wf_dispatch d;
    wf_tensor *x = leaf3(f, 2, 6, 10), *logits = wf_input(f->tape, "logits", WF_F32, 3, (int64_t[]){2, 6, 4}); /* only the order counts */
    if (!wf_route(f->tape, logits, &(wf_route_spec){.router = "softmax", .top_k = 2, .scale = 1.0f, .normalise_order = 1.0f}, &routing) ||
        !wf_dispatch_rows(f->tape, &routing, 4, 0, &d))
        return NULL;
    wf_tensor *rows = wf_grouped_linear(f->tape, wf_sort_rows(f->tape, x, &d), leaf3(f, 4, 7, 5), NULL, &d);
    return wf_unsort_rows(f->tape, rows, &d, 2);
}
static wf_tensor *router_loss(fixture *f, const char *router, bool masked, bool z) {
    wf_routing routing;
    wf_tensor *logits = leaf3(f, 2, 6, 4), *mask = masked ? wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){2, 6}) : NULL;
    if (!wf_route(f->tape, logits, &(wf_route_spec){.router = router, .top_k = 2, .scale = 1.0f, .normalise_order = 1.0f}, &routing))
        return NULL;
    wf_tensor *sums = wf_router_sums(f->tape, logits, routing.indices, mask, router, masked);
    return z ? wf_z_loss(f->tape, sums) : wf_balance_loss(f->tape, sums);
}
static wf_tensor *choose_tokens_case(fixture *f) {
    wf_routing tokens, experts;
    wf_dispatch d;
    wf_tensor *x = leaf3(f, 2, 6, 5), *mask = wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){2, 6});
    if (!wf_choose_tokens(f->tape, wf_scale(f->tape, leaf3(f, 2, 6, 4), 3.0f), mask, 3, &tokens, &experts) || !wf_dispatch_rows(f->tape, &tokens, 4, 24, &d))
        return NULL;
    return wf_collect_rows(f->tape, wf_grouped_linear(f->tape, wf_spread_rows(f->tape, x, NULL, &d), leaf3(f, 4, 5, 5), NULL, &d), tokens.weights, &d, 2);
}
static wf_tensor *turn_repeat_case(fixture *f) {
    wf_dispatch d;
    wf_tensor *x = wf_turn_repeat(f->tape, leaf2(f, 5, 12), 3);
    if (!wf_dispatch_slots(f->tape, 3, 4, 3, &d))
        return NULL;
    return wf_collect_rows(f->tape, wf_grouped_linear(f->tape, wf_spread_rows(f->tape, x, NULL, &d), leaf3(f, 4, 5, 5), NULL, &d), NULL, &d, 3);
}
static wf_tensor *balance_case(fixture *f) { return router_loss(f, "softmax", true, false); }
static wf_tensor *balance_sigmoid(fixture *f) { return router_loss(f, "sigmoid", false, false); }
static wf_tensor *z_case(fixture *f) { return router_loss(f, "softmax", true, true); }
static wf_tensor *jitter_case(fixture *f) { return wf_jitter(f->tape, leaf2(f, 3, 700), 0.3f); }

typedef struct op_case {
    const char *op;
    wf_tensor *(*build)(fixture *f);
    double tolerance;
} op_case;

static const op_case cases[] = {
    {"linear", linear_case, 2e-3},       {"linear", linear_plain, 2e-3},    {"linear", linear_sliced, 2e-3}, {"embed", embed_case, 2e-3},
    {"adapt", adapt_case, 2e-3},         {"adapt", adapt_rows, 2e-3},       {"adapt", adapt_columns, 2e-3},
    {"embed_positions", positions_case, 2e-3}, {"add", add_case, 2e-3},     {"add", add_same, 2e-3},         {"mul", mul_case, 2e-3},
    {"mul_rows", mul_rows_case, 2e-3},   {"scale", scale_case, 2e-3},       {"scale", affine_case, 2e-3},    {"activate", silu_case, 2e-3},
    {"softcap", softcap_case, 2e-3},     {"xielu", xielu_case, 4e-3},       {"dropout", dropout_case, 2e-3}, {"rms_norm", rms_case, 4e-3},
    {"layer_norm", layer_case, 4e-3},    {"layer_norm", layer_plain, 4e-3}, {"time_slice", slice_case, 2e-3}, {"time_concat", concat_case, 2e-3},
    {"row_dot", row_dot_case, 2e-3},     {"gate", gate_case, 2e-3},         {"scale_by", scale_by_case, 2e-3},
    {"unit", unit_l2, 2e-3},             {"unit", unit_floored, 4e-3},      {"unit", unit_sum, 2e-3},
    {"swap_rows", swap_rows_case, 2e-3}, {"mean_rows", mean_rows_case, 2e-3}, {"time_project", time_project_case, 2e-3},
    {"time_project", time_project_heads, 2e-3}, {"conv_heads", conv_heads_case, 2e-3}, {"dynamic_conv", dynamic_conv_case, 2e-3}, {"collide", collide_case, 2e-3}, {"find_token", find_token_case, 2e-3}, {"nystrom", nystrom_case, 2e-3},
    {"mask_rows", mask_case, 2e-3},      {"rotate", rotate_case, 2e-3},     {"rotate", xpos_case, 2e-3}, {"temper", temper_case, 2e-3},     {"cross_entropy", entropy_case, 2e-3},
    {"take_rows", take_rows_case, 2e-3}, {"merge_partials", merge_case, 2e-3}, {"lsh_sort", lsh_case, 2e-3},
    {"memory_attention", memory_case, 2e-3}, {"memory_attention", memory_near, 2e-3}, {"max_pairs", max_pairs_case, 2e-3},
    {"cluster_select", cluster_case, 2e-3}, {"scatter_mean", cluster_case, 2e-3}, {"commitment", commitment_case, 4e-3}, {"repeat_batch", repeat_case, 2e-3},
    {"block_ids", blocks_case, 2e-3}, {"block_sum", blocks_case, 2e-3}, {"block_mask", blocks_case, 2e-3}, {"block_buckets", blocks_case, 2e-3},
    {"normalise_sum", normalise_case, 2e-3}, {"normalise_sum", normalise_full, 2e-3}, {"full_linear", full_linear_case, 2e-3},
    {"decay_norm", decay_norm_case, 2e-3},
    {"clamp", clamp_case, 2e-3}, {"scale_rows", scale_rows_case, 2e-3}, {"scale_rows", scale_rows_shared, 2e-3}, {"log_gate", log_gate_case, 2e-3},
    {"log_gate", log_gate_low, 2e-3}, {"rms_norm", grouped_rms, 4e-3}, {"layer_norm", grouped_layer, 4e-3},
    {"slice_channels", slice_channels_case, 2e-3}, {"join_channels", join_channels_case, 2e-3}, {"repeat_heads", repeat_heads_case, 2e-3},
    {"quadratic", taylor_case, 2e-3}, {"quadratic", quadratic_case, 2e-3}, {"time_shift", shift_case, 2e-3}, {"favor", favor_case, 4e-3},
    {"exp_gates", exp_gates_case, 4e-3}, {"normalise_exp", normalise_exp_case, 4e-3}, {"wkv", wkv_case, 4e-3},
    {"recurrence", recurrence_none, 2e-3}, {"recurrence", recurrence_const, 2e-3}, {"recurrence", recurrence_groups, 2e-3},
    {"recurrence", recurrence_bonus, 2e-3}, {"recurrence", recurrence_channel, 2e-3}, {"recurrence", recurrence_alone, 2e-3},
    {"delta", delta_none, 2e-3}, {"delta", delta_groups, 2e-3}, {"delta", delta_vector, 2e-3}, {"delta", delta_general, 2e-3},
    {"delta", delta_general_groups, 2e-3}, {"selective_scan", scan_case, 4e-3}, {"selective_scan", scan_groups, 4e-3},
    {"long_conv", long_conv_case, 2e-3}, {"long_conv", long_conv_long, 2e-3}, {"long_conv", long_conv_plain, 2e-3}, {"sine", sine_case, 2e-3},
    {"discretise", discretise_zoh, 4e-3}, {"discretise", discretise_bilinear, 4e-3}, {"discretise", discretise_real, 4e-3},
    {"low_rank_step", low_rank_step_case, 4e-3}, {"low_rank_kernel", low_rank_kernel_case, 4e-3}, {"pole_scan", pole_complex, 2e-3}, {"pole_scan", pole_reverse, 2e-3}, {"pole_scan", pole_ranked, 2e-3}, {"pole_scan", pole_real, 2e-3}, {"lane_scan", lane_scan_case, 2e-3}, {"lane_scan", lane_scan_same, 2e-3}, {"decay_root", decay_root_case, 4e-3},
    {"head_linear", head_linear_case, 2e-3}, {"head_linear", head_linear_plain, 2e-3}, {"conv", conv_case, 2e-3}, {"conv", conv_silu, 2e-3}, {"conv", conv_plain, 2e-3}, {"plain_rnn", rnn_tanh, 2e-3}, {"plain_rnn", rnn_wide, 2e-3}, {"lstm", lstm_case, 2e-3}, {"lstm", lstm_wide, 2e-3},
    {"gru", gru_case, 2e-3}, {"gru", gru_wide, 2e-3}, {"gru", gru_before, 2e-3}, {"gru", gru_before_wide, 2e-3}, {"slstm", slstm_case, 2e-3},
    {"cross_entropy", entropy_capped, 4e-3}, {"cross_entropy", entropy_squares, 4e-3}, {"attention", attention_plain, 2e-3}, {"attention", attention_groups, 2e-3}, {"attention", attention_t5, 2e-3}, {"attention", attention_bias, 2e-3},
    {"attention", attention_bias_alone, 2e-3}, {"relative", relative_case, 2e-3}, {"token_positions", counted_case, 2e-3}, {"frames", frames_case, 2e-3}, {"frame_mask", frames_case, 2e-3}, {"token_dropout", token_dropout_case, 2e-3}, {"token_mask", masked_case, 2e-3}, {"unfold", unfold_case, 2e-3}, {"id_pad", pad_case, 2e-3}, {"mask_pad", pad_case, 2e-3}, {"token_globals", pad_case, 2e-3}, {"fourier", fourier_case, 2e-3}, {"id_column", column_case, 2e-3}, {"shift_right", shift_right_case, 2e-3}, {"token_rows", shift_right_case, 2e-3},
    {"mask_positions", by_mask_case, 2e-3}, {"alibi_keys", alibi_case, 2e-3},
    {"pool_rows", pool_mean, 2e-3}, {"pool_rows", pool_all, 2e-3}, {"pool_rows", pool_sqrt, 2e-3}, {"pool_rows", pool_weighted, 2e-3}, {"pool_rows", pool_last, 2e-3}, {"pool_rows", pool_first, 2e-3},
    {"pool_rows", pool_max, 2e-3}, {"class_loss", class_case, 2e-3}, {"class_loss", class_span, 2e-3}, {"value_loss", values_case, 2e-3},
    {"value_loss", squares_case, 2e-3},
    {"route", experts_softmax, 2e-3}, {"dispatch", experts_sigmoid, 2e-3}, {"spread_rows", experts_sigmoid, 2e-3}, {"collect_rows", experts_sparse, 2e-3}, {"sort_rows", sort_case, 2e-3},
    {"grouped_linear", many_experts, 2e-3}, {"router_sums", balance_sigmoid, 2e-3}, {"balance_loss", balance_case, 2e-3}, {"z_loss", z_case, 2e-3},
    {"jitter", jitter_case, 2e-3}, {"add_rows", add_rows_case, 2e-3}, {"choose_tokens", choose_tokens_case, 2e-3}, {"turn_repeat", turn_repeat_case, 2e-3},
};
/* clang-format on */
/* Ops whose tests stand beside their kernels or with the states they write. */
static const char *const elsewhere[] = {"cast", "cache_append", "store_state", "begin_state", "history_conv", NULL};

static void fill(wf_tensor *x, uint32_t stream) {
    wf_rng rng = wf_rng_make(7, stream, 0);
    if (x->type == WF_F32)
        for (int64_t i = 0; i < x->count; i++)
            ((float *)x->data)[i] = x->count == 1 ? 0.125f : 2.0f * wf_rng_uniform(rng, (uint64_t)i) - 1.0f;
    if (x->type == WF_I32)
        for (int64_t i = 0; i < x->count; i++)
            ((int32_t *)x->data)[i] = i == 4 ? -100 : (int32_t)wf_rng_below(rng, (uint64_t)i, 7);
    if (x->type == WF_U8)
        for (int64_t i = 0; i < x->count; i++)
            ((uint8_t *)x->data)[i] = i % 3 != 1;
}

static void begin(fixture *f, int threads, wf_dtype type) {
    weft_error err = {0};
    *f = (fixture){.env = {.mem = wf_mem_default, .kernels = &f->kernels}};
    assert_int_equal(wf_kernels_choose(NULL, &f->kernels, &err), WEFT_OK);
    assert_int_equal(wf_pool_create(&f->env.mem, threads, &f->env.pool, &err), WEFT_OK);
    assert_int_equal(wf_tape_create(&f->env, &(wf_tape_options){.type = type, .grad = true}, &f->tape, &err), WEFT_OK);
}

static void build(fixture *f, const op_case *c, bool region) {
    weft_error err = {0};
    if (region)
        wf_region_begin(f->tape);
    f->y = c->build(f);
    if (region)
        wf_region_end(f->tape);
    if (f->y && f->y->count == 1) {
        wf_root(f->tape, f->y);
    } else if (f->y) {
        f->probe = wf_input(f->tape, "probe", WF_F32, f->y->rank, f->y->dims);
        wf_root_seeded(f->tape, f->y, f->probe);
    }
    if (wf_tape_plan(f->tape, &err) != WEFT_OK)
        fail_msg("%s: %s", c->op, err.message);
    uint32_t stream = 0;
    for (size_t i = 0; i < f->tape->tensors.count; i++) {
        wf_tensor *x = f->tape->tensors.items[i];
        if (x->kind == WF_INPUT)
            fill(x, stream++);
    }
}

static void end(fixture *f) {
    wf_tape_free(f->tape);
    wf_pool_free(f->env.pool);
}

static double value(fixture *f) {
    const wf_runtime rt = {.seed = 3, .training = true, .loss_scale = 1.0f};
    float tmp[4096];
    double sum = 0.0;
    assert_int_equal(wf_tape_forward(f->tape, &rt, NULL), WEFT_OK);
    for (int64_t i = 0; i < f->y->count; i += 4096) {
        int64_t n = f->y->count - i < 4096 ? f->y->count - i : 4096;
        wf_worker w = {.k = &f->kernels};
        const float *y = wf_load(&w, f->y->data, f->y->type, i, n, tmp);
        for (int64_t j = 0; j < n; j++)
            sum += (double)y[j] * (f->probe ? (double)((const float *)f->probe->data)[i + j] : 1.0);
    }
    return sum;
}

static void gradients(fixture *f) {
    const wf_runtime rt = {.seed = 3, .training = true, .loss_scale = 1.0f};
    assert_int_equal(wf_tape_forward(f->tape, &rt, NULL), WEFT_OK);
    assert_int_equal(wf_tape_backward(f->tape, &rt, NULL), WEFT_OK);
}

static void shift(wf_tensor *x, uint32_t stream, float by) {
    wf_rng rng = wf_rng_make(99, stream, 1);
    for (int64_t i = 0; i < x->count; i++)
        ((float *)x->data)[i] += by * (2.0f * wf_rng_uniform(rng, (uint64_t)i) - 1.0f);
}

static void check_leaf(fixture *f, const op_case *c, int which) {
    wf_tensor *x = f->leaf[which];
    const float step = 1.0f / 256.0f;
    wf_rng rng = wf_rng_make(99, (uint32_t)which, 1);
    double slope = 0.0, scale = 0.0;
    gradients(f);
    for (int64_t i = 0; i < x->count; i++) {
        double g = (double)((const float *)x->grad)[i], d = 2.0 * (double)wf_rng_uniform(rng, (uint64_t)i) - 1.0;
        slope += g * d;
        scale += g * g;
    }
    shift(x, (uint32_t)which, step);
    double up = value(f);
    shift(x, (uint32_t)which, -2.0f * step);
    double down = value(f), numeric = (up - down) / (2.0 * (double)step);
    shift(x, (uint32_t)which, step);
    if (!(fabs(slope - numeric) <= c->tolerance * (sqrt(scale) + 1e-3)))
        fail_msg("%s: gradient %d is %.7g along a direction where differences say %.7g (scale %.3g)", c->op, which, slope,
                 numeric, sqrt(scale));
}

static void test_gradients(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture f;
        begin(&f, 2, WF_F32);
        build(&f, &cases[i], false);
        for (int j = 0; j < f.leaves; j++)
            check_leaf(&f, &cases[i], j);
        end(&f);
    }
}

static float *copy_gradients(fixture *f, int64_t *n) {
    *n = f->y->count;
    for (int i = 0; i < f->leaves; i++)
        *n += f->leaf[i]->count;
    float *all = calloc((size_t)*n, sizeof *all), *at = all;
    wf_worker w = {.k = &f->kernels};
    const float *y = wf_load(&w, f->y->data, f->y->type, 0, f->y->count, at);
    if (y != at)
        memcpy(at, y, (size_t)f->y->count * sizeof *at);
    at += f->y->count;
    for (int i = 0; i < f->leaves; at += f->leaf[i]->count, i++)
        memcpy(at, f->leaf[i]->grad, (size_t)f->leaf[i]->count * sizeof *at);
    return all;
}

static void compare(const op_case *c, int threads, wf_dtype type, bool region) {
    fixture a, b;
    int64_t n, m;
    begin(&a, 1, type);
    build(&a, c, false);
    gradients(&a);
    begin(&b, threads, type);
    build(&b, c, region);
    gradients(&b);
    float *x = copy_gradients(&a, &n), *y = copy_gradients(&b, &m);
    assert_int_equal(n, m);
    if (memcmp(x, y, (size_t)n * sizeof *x) != 0)
        fail_msg("%s: other bits with %d threads%s", c->op, threads, region ? " in a region" : "");
    free(x);
    free(y);
    end(&a);
    end(&b);
}

static void test_same_bits(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int type = 0; type < 2; type++) {
            compare(&cases[i], 2, type ? WF_BF16 : WF_F32, false);
            compare(&cases[i], 3, type ? WF_BF16 : WF_F32, true);
            compare(&cases[i], 8, type ? WF_BF16 : WF_F32, false);
        }
}

/* Rounding has no slope that differences could see: value and gradient must be the rounded ones. */
static void test_cast(void **state) {
    const op_case c = {"cast", cast_case, 0};
    fixture f;
    (void)state;
    begin(&f, 2, WF_F32);
    build(&f, &c, false);
    gradients(&f);
    for (int64_t i = 0; i < f.y->count; i++) {
        float x = ((const float *)f.leaf[0]->data)[i], dy = ((const float *)f.probe->data)[i];
        assert_true(((const float *)f.y->data)[i] == wf_bf16_to_f32(wf_f32_to_bf16(x)));
        assert_true(((const float *)f.leaf[0]->grad)[i] == wf_bf16_to_f32(wf_f32_to_bf16(dy)));
    }
    end(&f);
}

static void test_every_op_has_a_case(void **state) {
    (void)state;
    for (const wf_op *const *op = wf_ops; *op; op++) {
        bool found = false;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            found |= strcmp(cases[i].op, (*op)->name) == 0;
        for (const char *const *name = elsewhere; *name; name++)
            found |= strcmp(*name, (*op)->name) == 0;
        if (!found)
            fail_msg("op '%s' has no case", (*op)->name);
    }
}

static wf_tensor *bad_linear(fixture *f) { return wf_linear(f->tape, leaf2(f, 3, 4), leaf2(f, 5, 6), NULL); }
static wf_tensor *bad_reshape(fixture *f) { return wf_reshape(f->tape, leaf2(f, 3, 4), 1, (int64_t[]){11}); }
static wf_tensor *bad_rows(fixture *f) { return wf_rows(f->tape, leaf2(f, 3, 4), 2, 2); }
static wf_tensor *bad_dropout(fixture *f) { return wf_dropout(f->tape, leaf2(f, 3, 4), 1.5f); }
static wf_tensor *bad_size(fixture *f) { return leaf2(f, INT64_MAX / 2, 3); }

static void test_errors(void **state) {
    wf_tensor *(*const bad[])(fixture *) = {bad_linear, bad_reshape, bad_rows, bad_dropout, bad_size};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fixture f;
        weft_error err = {0};
        begin(&f, 1, WF_F32);
        assert_null(bad[i](&f));
        assert_int_not_equal(wf_tape_plan(f.tape, &err), WEFT_OK);
        assert_true(err.message[0] != 0);
        end(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gradients), cmocka_unit_test(test_same_bits),
                                       cmocka_unit_test(test_cast), cmocka_unit_test(test_every_op_has_a_case),
                                       cmocka_unit_test(test_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
