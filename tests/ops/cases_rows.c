/* cases_rows.c - cases of operations on rows: products, tables, norms, slices, positions, pooling, losses. */
#include "ops/cases.h"
#include <math.h>
#include "tensor/experts.h"

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
static wf_tensor *behind_case(fixture *f) { /* rows that are lowered: the gradient goes through */
    wf_tensor *kept = wf_behind_token(f->tape, ids(f, 3, 5), 3, true);
    return wf_mul(f->tape, wf_lower_rows(f->tape, leaf3(f, 3, 5, 4), kept, 2.5f), leaf3(f, 3, 5, 4));
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
static wf_tensor *windows(fixture *f, wf_windows how, bool largest) { /* fewer rows, masked, and many again */
    wf_tensor *mask = wf_window_mask(f->tape, wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){2, 11}), &how, wf_window_count(&how, 11), largest);
    wf_tensor *kinds = wf_window_first(f->tape, ids(f, 2, 11), &how, wf_window_count(&how, 11));
    wf_tensor *x = wf_mask_rows(f->tape, wf_pool_windows(f->tape, leaf3(f, 2, 11, 5), &how, largest), mask);
    x = wf_add(f->tape, x, wf_embed(f->tape, kinds, leaf2(f, 9, 5), -1));
    wf_fill_spec spec = {.how = how, .rows = 13, .skip = !how.apart, .last = largest};
    return wf_fill_windows(f->tape, x, &spec);
}
static wf_tensor *windows_plain(fixture *f) { return windows(f, (wf_windows){.stride = 3}, false); }
static wf_tensor *windows_apart(fixture *f) { return windows(f, (wf_windows){.stride = 2, .apart = true, .drop = 2}, false); }
static wf_tensor *windows_largest(fixture *f) { return windows(f, (wf_windows){.stride = 4, .apart = true}, true); }
static wf_tensor *windows_last(fixture *f) { return windows(f, (wf_windows){.stride = 2, .drop = 3}, true); }
static wf_tensor *open_case(fixture *f) {
    wf_tensor *mask = wf_window_open(f->tape, wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){2, 11}), 2, false);
    return wf_mask_rows(f->tape, wf_mask_rows(f->tape, leaf3(f, 2, 11, 5), mask), wf_window_open(f->tape, mask, 3, true));
}
static wf_tensor *apart_case(fixture *f) { return wf_scale_apart(f->tape, leaf4(f, 2, 11, 3, 5), wf_input(f->tape, "mask", WF_U8, 2, (int64_t[]){2, 11}), -1.7f, -1.7f); }
static wf_tensor *hash_case(fixture *f) { return wf_embed(f->tape, wf_hash_ids(f->tape, ids(f, 3, 5), 31, 7), leaf2(f, 7, 6), -1); }
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
static wf_tensor *counted_case(fixture *f) { return wf_embed(f->tape, wf_token_positions(f->tape, ids(f, 3, 5), NULL, 3, true), leaf2(f, 9, 6), -1); }
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
    return wf_mask_rows(f->tape, x, wf_token_rows(f->tape, start, 1, true, 0));
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

const op_case wf_op_cases_rows[] = {
    {"linear", linear_case, 2e-3}, {"linear", linear_plain, 2e-3}, {"linear", linear_sliced, 2e-3}, {"embed", embed_case, 2e-3},
    {"adapt", adapt_case, 2e-3}, {"adapt", adapt_rows, 2e-3}, {"adapt", adapt_columns, 2e-3},
    {"embed_positions", positions_case, 2e-3}, {"add", add_case, 2e-3}, {"add", add_same, 2e-3}, {"mul", mul_case, 2e-3},
    {"mul_rows", mul_rows_case, 2e-3}, {"scale", scale_case, 2e-3}, {"scale", affine_case, 2e-3}, {"activate", silu_case, 2e-3},
    {"softcap", softcap_case, 2e-3}, {"xielu", xielu_case, 4e-3}, {"dropout", dropout_case, 2e-3}, {"rms_norm", rms_case, 4e-3},
    {"layer_norm", layer_case, 4e-3}, {"layer_norm", layer_plain, 4e-3}, {"time_slice", slice_case, 2e-3},
    {"time_concat", concat_case, 2e-3}, {"row_dot", row_dot_case, 2e-3}, {"gate", gate_case, 2e-3},
    {"scale_by", scale_by_case, 2e-3}, {"unit", unit_l2, 2e-3}, {"unit", unit_floored, 4e-3}, {"unit", unit_sum, 2e-3},
    {"swap_rows", swap_rows_case, 2e-3}, {"mean_rows", mean_rows_case, 2e-3}, {"time_project", time_project_case, 2e-3},
    {"time_project", time_project_heads, 2e-3}, {"conv_heads", conv_heads_case, 2e-3},
    {"dynamic_conv", dynamic_conv_case, 2e-3}, {"collide", collide_case, 2e-3}, {"find_token", find_token_case, 2e-3}, {"behind_token", behind_case, 2e-3},
    {"nystrom", nystrom_case, 2e-3}, {"mask_rows", mask_case, 2e-3}, {"rotate", rotate_case, 2e-3}, {"rotate", xpos_case, 2e-3},
    {"temper", temper_case, 2e-3}, {"cross_entropy", entropy_case, 2e-3}, {"take_rows", take_rows_case, 2e-3},
    {"merge_partials", merge_case, 2e-3}, {"lsh_sort", lsh_case, 2e-3}, {"order_places", lsh_case, 2e-3}, {"memory_attention", memory_case, 2e-3},
    {"memory_attention", memory_near, 2e-3}, {"max_pairs", max_pairs_case, 2e-3}, {"cluster_select", cluster_case, 2e-3},
    {"scatter_mean", cluster_case, 2e-3}, {"commitment", commitment_case, 4e-3}, {"repeat_batch", repeat_case, 2e-3},
    {"block_ids", blocks_case, 2e-3}, {"block_sum", blocks_case, 2e-3}, {"block_mask", blocks_case, 2e-3},
    {"block_buckets", blocks_case, 2e-3}, {"slice_channels", slice_channels_case, 2e-3},
    {"join_channels", join_channels_case, 2e-3}, {"cross_entropy", entropy_capped, 4e-3},
    {"cross_entropy", entropy_squares, 4e-3}, {"token_positions", counted_case, 2e-3}, {"frames", frames_case, 2e-3},
    {"frame_mask", frames_case, 2e-3}, {"token_dropout", token_dropout_case, 2e-3}, {"token_mask", masked_case, 2e-3},
    {"unfold", unfold_case, 2e-3}, {"id_pad", pad_case, 2e-3}, {"mask_pad", pad_case, 2e-3}, {"token_globals", pad_case, 2e-3},
    {"id_column", column_case, 2e-3}, {"shift_right", shift_right_case, 2e-3}, {"token_rows", shift_right_case, 2e-3},
    {"mask_positions", by_mask_case, 2e-3}, {"pool_rows", pool_mean, 2e-3}, {"pool_rows", pool_all, 2e-3},
    {"pool_rows", pool_sqrt, 2e-3}, {"pool_rows", pool_weighted, 2e-3}, {"pool_rows", pool_last, 2e-3},
    {"pool_rows", pool_first, 2e-3}, {"pool_rows", pool_max, 2e-3}, {"class_loss", class_case, 2e-3},
    {"class_loss", class_span, 2e-3}, {"value_loss", values_case, 2e-3}, {"value_loss", squares_case, 2e-3},
    {"add_rows", add_rows_case, 2e-3}, {"pool_windows", windows_plain, 2e-3}, {"pool_windows", windows_apart, 2e-3},
    {"pool_windows", windows_largest, 2e-3}, {"fill_windows", windows_last, 2e-3}, {"window_mask", windows_plain, 2e-3},
    {"window_first", windows_plain, 2e-3}, {"window_open", open_case, 2e-3}, {"hash_ids", hash_case, 2e-3},
    {"scale_apart", apart_case, 2e-3},
    {NULL, NULL, 0.0},
};
