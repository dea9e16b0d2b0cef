/* grouped_linear.c - one matrix product per expert over rows sorted by expert: y = x W_e^T + b_e. How many rows an expert has
 * is known only when it runs, so the rows of an expert are cut into blocks, and there is a plan for every size a block can
 * have; a piece is a tile of a block. The gradient of a weight adds up an expert's blocks in order. */
#include "kernels/gemm/gemm.h"
#include "tensor/experts.h"
#include "tensor/ops/elementwise.h"

enum { X, W, B, BLOCKS };
enum { Y_PLAN, DX_PLAN, DW_PLAN, KINDS };
enum { SIZES = WF_EXPERT_BLOCK / WF_EXPERT_ROUND, FEW_EACH = 4, COLUMNS = 128 };

typedef struct grouped {
    int64_t rows, most, experts, n, k, blocks; /* most: assignments there can be, blocks: blocks there can be */
    int sizes, tiles[2], parts; /* sizes of blocks in use; most tiles of a block; row parts of a weight's gradient */
    bool sweep;                 /* few rows for each expert, as while decoding: sweeps over the weights instead of products */
    wf_dtype compute;
    wf_gemm_plan *plans[KINDS][SIZES]; /* for blocks of (i+1)*WF_EXPERT_ROUND rows */
} grouped;

static const char *weight_of(const wf_node *node, int64_t expert) {
    const grouped *a = node->attr;
    const wf_tensor *w = node->in[W];
    const wf_param *p = w->base ? w->base->param : w->param;
    const char *data = a->compute == WF_BF16 ? (const char *)(p->bf16 + w->offset) : w->data;
    return data + (size_t)(expert * a->n * a->k) * wf_dtypes[a->compute].size;
}

static wf_blocks blocks_of(const wf_node *node) {
    return wf_blocks_of(node->in[BLOCKS]->data, ((const grouped *)node->attr)->experts);
}
static char *at_row(const wf_tensor *x, void *data, int64_t row, int64_t width) {
    return (char *)data + (size_t)(row * width) * wf_dtypes[x->type].size;
}
static int size_of(const wf_block *b) { return b->rows / WF_EXPERT_ROUND - 1; }
static bool wants(const wf_node *node, int i) { return node->in[i] && node->grad_mode[i] != 0; }

static int64_t expert_of(const wf_blocks *b, int64_t experts, int32_t block) {
    int64_t low = 0, high = experts - 1;
    while (low < high) { /* the last expert that starts at or before the block; empty ones come before it */
        int64_t middle = (low + high + 1) / 2;
        if (b->start[middle] <= block)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/* ---- y and dx: tiles of blocks; the last piece clears the rows of no expert ---- */
static void clear_tail(const wf_tensor *x, void *data, int64_t used, int64_t rows, int64_t width) {
    memset(at_row(x, data, used, width), 0, (size_t)((rows - used) * width) * wf_dtypes[x->type].size);
}

static void block_tile(const wf_node *node, int kind, int piece, void *out, float beta, wf_worker *w) {
    const grouped *a = node->attr;
    const wf_tensor *to = kind == Y_PLAN ? node->out[0] : node->in[X];
    const void *from = kind == Y_PLAN ? node->in[X]->data : node->out[0]->grad;
    wf_blocks b = blocks_of(node);
    int64_t in = kind == Y_PLAN ? a->k : a->n, width = kind == Y_PLAN ? a->n : a->k;
    int32_t index = piece / a->tiles[kind];
    if (index == a->blocks) {
        if (beta == 0.0f)
            clear_tail(to, out, b.used, a->rows, width);
        return;
    }
    if (index >= b.start[a->experts])
        return;
    const wf_block *block = &b.block[index];
    const wf_gemm_plan *plan = a->plans[kind][size_of(block)];
    int64_t expert = expert_of(&b, a->experts, index);
    const float *bias = kind == Y_PLAN && node->in[B] ? (const float *)node->in[B]->data + expert * a->n : NULL;
    if (piece % a->tiles[kind] < wf_gemm_tiles(plan))
        wf_gemm_run(plan, piece % a->tiles[kind], (const char *)from + (size_t)(block->first * in) * wf_dtypes[a->compute].size,
                    weight_of(node, expert), at_row(to, out, block->first, width), bias, beta, w->scratch);
}

static int tile_pieces(const grouped *a, int kind) { return (int)(a->blocks * a->tiles[kind] + 1); }

/* ---- few rows ---- */
static void sweep_row(const wf_node *node, int64_t row, const char *weight, const float *bias, int64_t first, int64_t end,
                      wf_worker *w) {
    const grouped *a = node->attr;
    float *x = w->scratch, *y = x + a->k;
    if (a->compute == WF_F32) {
        w->k->gemv((float *)node->out[0]->data + row * a->n + first, (const float *)(const void *)weight + first * a->k,
                   (const float *)node->in[X]->data + row * a->k, bias ? bias + first : NULL, a->k, 0, end - first);
        return;
    }
    w->k->bf16_to_f32(x, (const uint16_t *)node->in[X]->data + row * a->k, a->k);
    w->k->gemv_bf16(y, (const uint16_t *)(const void *)weight + first * a->k, x, bias ? bias + first : NULL, a->k, 0,
                    end - first);
    wf_store(w, node->out[0]->data, node->out[0]->type, row * a->n + first, end - first, y, 0.0f);
}

static void sweep(const wf_node *node, int piece, wf_worker *w) {
    const grouped *a = node->attr;
    wf_blocks b = blocks_of(node);
    int64_t first, end;
    if (piece == wf_split_pieces(a->n, COLUMNS)) { /* rounding rows and the tail */
        clear_tail(node->out[0], node->out[0]->data, b.used, a->rows, a->n);
        for (int32_t i = 0; i < b.start[a->experts]; i++)
            memset(at_row(node->out[0], node->out[0]->data, b.block[i].first + b.block[i].real, a->n), 0,
                   (size_t)((b.block[i].rows - b.block[i].real) * a->n) * wf_dtypes[node->out[0]->type].size);
        return;
    }
    wf_split_bounds(a->n, wf_split_pieces(a->n, COLUMNS), piece, &first, &end);
    for (int32_t i = 0; i < b.start[a->experts]; i++) {
        int64_t expert = expert_of(&b, a->experts, i);
        const float *bias = node->in[B] ? (const float *)node->in[B]->data + expert * a->n : NULL;
        for (int32_t r = 0; r < b.block[i].real; r++)
            sweep_row(node, b.block[i].first + r, weight_of(node, expert), bias, first, end, w);
    }
}

/* ---- dw, db ---- */
static void weight_gradient(const wf_node *node, int piece, wf_worker *w) {
    const grouped *a = node->attr;
    wf_blocks b = blocks_of(node);
    int64_t expert = piece / a->parts, height = a->n / a->parts, column = piece % a->parts * height;
    float beta, *dw = wf_grad_in(node, W, w, &beta);
    dw += expert * a->n * a->k + column * a->k;
    if (b.start[expert] == b.start[expert + 1] && beta == 0.0f)
        memset(dw, 0, (size_t)(height * a->k) * sizeof *dw);
    for (int32_t i = b.start[expert]; i < b.start[expert + 1]; i++) {
        const wf_block *block = &b.block[i];
        const wf_gemm_plan *plan = a->plans[DW_PLAN][size_of(block)];
        for (int tile = 0; tile < wf_gemm_tiles(plan); tile++)
            wf_gemm_run(plan, tile,
                        at_row(node->out[0], node->out[0]->grad, block->first, a->n) +
                            (size_t)column * wf_dtypes[a->compute].size,
                        at_row(node->in[X], node->in[X]->data, block->first, a->k), dw, NULL, i > b.start[expert] ? 1.0f : beta,
                        w->scratch);
    }
}

static void bias_gradient(const wf_node *node, int64_t expert, wf_worker *w) {
    const grouped *a = node->attr;
    wf_blocks b = blocks_of(node);
    float beta, tmp[COLUMNS], sum[COLUMNS], *db = wf_grad_in(node, B, w, &beta);
    for (int64_t c = 0; c < a->n; c += COLUMNS) {
        int64_t m = a->n - c < COLUMNS ? a->n - c : COLUMNS;
        memset(sum, 0, sizeof sum);
        for (int32_t i = b.start[expert]; i < b.start[expert + 1]; i++)
            for (int64_t r = b.block[i].first; r < b.block[i].first + b.block[i].real; r++)
                w->k->add(sum, sum, wf_load(w, node->out[0]->grad, node->out[0]->type, r * a->n + c, m, tmp), m);
        wf_store(w, db, WF_F32, expert * a->n + c, m, sum, beta);
    }
}

/* ---- the op ---- */
static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const grouped *a = node->attr;
    if (phase > 0)
        return 0;
    if (pass == WF_FORWARD)
        return a->sweep ? wf_split_pieces(a->n, COLUMNS) + 1 : tile_pieces(a, Y_PLAN);
    return (wants(node, X) ? tile_pieces(a, DX_PLAN) : 0) + (wants(node, W) ? (int)a->experts * a->parts : 0) +
           (wants(node, B) ? (int)a->experts : 0);
}

static void backward(const wf_node *node, int piece, wf_worker *w) {
    const grouped *a = node->attr;
    int count = wants(node, X) ? tile_pieces(a, DX_PLAN) : 0;
    float beta;
    if (piece < count) {
        void *dx = wf_grad_in(node, X, w, &beta);
        block_tile(node, DX_PLAN, piece, dx, beta, w);
        return;
    }
    piece -= count;
    count = wants(node, W) ? (int)a->experts * a->parts : 0;
    if (piece < count)
        weight_gradient(node, piece, w);
    else
        bias_gradient(node, piece - count, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    if (pass == WF_BACKWARD)
        backward(node, piece, w);
    else if (((const grouped *)node->attr)->sweep)
        sweep(node, piece, w);
    else
        block_tile(node, Y_PLAN, piece, node->out[0]->data, 0.0f, w);
}

/* Of the assignments, without the rounding (wf_dispatch_waste). */
static double flops(const wf_node *node, wf_pass pass) {
    const grouped *a = node->attr;
    double one = 2.0 * (double)a->most * (double)a->n * (double)a->k;
    return pass == WF_FORWARD ? one : one * (wants(node, X) + wants(node, W));
}

static void release(const wf_env *env, wf_node *node) {
    grouped *a = node->attr;
    for (int kind = 0; kind < KINDS; kind++)
        for (int i = 0; i < SIZES; i++)
            wf_gemm_plan_free(env, a->plans[kind][i]);
}

const wf_op wf_op_grouped_linear = {.name = "grouped_linear",
                                    .pieces = pieces,
                                    .run = run,
                                    .saves_in = 1u << X | 1u << W | 1u << BLOCKS,
                                    .flops = flops,
                                    .release = release,
                                    .uneven = true};

static weft_status make_plans(const wf_env *env, grouped *a, bool bias, bool grad, weft_error *err) {
    wf_dtype c = a->compute;
    int64_t usual = a->most / a->experts + 1;
    for (int i = 0; i < a->sizes; i++) {
        int64_t m = (i + 1) * WF_EXPERT_ROUND;
        const wf_gemm shapes[KINDS] = {
            [Y_PLAN] = {.m = m,
                        .n = a->n,
                        .k = a->k,
                        .a_type = c,
                        .b_type = c,
                        .c_type = c,
                        .trans_b = true,
                        .bias = bias,
                        .usual = usual},
            [DX_PLAN] = {.m = m, .n = a->k, .k = a->n, .a_type = c, .b_type = c, .c_type = c, .usual = usual},
            [DW_PLAN] = {.m = a->n / a->parts,
                         .n = a->k,
                         .k = m,
                         .lda = a->n,
                         .a_type = c,
                         .b_type = c,
                         .c_type = WF_F32,
                         .trans_a = true}};
        for (int kind = a->sweep ? DX_PLAN : Y_PLAN; kind < (grad ? KINDS : DX_PLAN); kind++)
            WF_TRY(wf_gemm_plan_create(env, &shapes[kind], &a->plans[kind][i], err));
    }
    return WEFT_OK;
}

static size_t finish(grouped *a) {
    size_t most = a->sweep ? (size_t)(a->k + a->n) * sizeof(float) : 0;
    for (int kind = 0; kind < KINDS; kind++)
        for (int i = 0; i < SIZES; i++) {
            const wf_gemm_plan *plan = a->plans[kind][i];
            if (plan && wf_gemm_scratch(plan) > most)
                most = wf_gemm_scratch(plan);
            if (plan && kind != DW_PLAN && wf_gemm_tiles(plan) > a->tiles[kind])
                a->tiles[kind] = wf_gemm_tiles(plan);
        }
    return most;
}

/* A weight's gradient in parts of its rows when there are few experts: enough pieces for the threads. */
static int parts_of(int64_t experts, int64_t n) {
    int64_t parts = (16 + experts - 1) / experts;
    while (parts > 1 && (n % parts || n / parts < 32))
        parts--;
    return (int)parts;
}

wf_tensor *wf_grouped_linear(wf_tape *t, wf_tensor *x, wf_tensor *w, wf_tensor *b, const wf_dispatch *d) {
    if (!x || !w || !d->blocks)
        return NULL;
    if (w->rank != 3 || x->rank != 2 || x->dims[1] != w->dims[2] || x->dims[0] != d->rows || w->dims[0] != d->experts ||
        (b && b->count != w->dims[0] * w->dims[1]))
        return wf_tape_error(t, WEFT_USAGE, "grouped_linear: '%s' does not fit rows of %lld", w->label,
                             (long long)wf_dim(x, -1));
    bool bf16 = wf_tape_type(t) == WF_BF16 && wf_is_parameter(w), grad = wf_tape_grad(t);
    x = wf_cast(t, x, bf16 ? WF_BF16 : WF_F32);
    grouped *a = x ? attr_copy(t,
                               &(grouped){.rows = d->rows,
                                          .most = d->most,
                                          .experts = d->experts,
                                          .n = w->dims[1],
                                          .k = w->dims[2],
                                          .blocks = wf_blocks_most(d),
                                          .sweep = d->most <= FEW_EACH * d->experts && !grad,
                                          .compute = x->type,
                                          .tiles = {1, 1}},
                               sizeof *a)
                   : NULL;
    if (!a)
        return NULL;
    a->sizes = (int)(d->rows < WF_EXPERT_BLOCK ? (d->rows + WF_EXPERT_ROUND - 1) / WF_EXPERT_ROUND : SIZES);
    a->parts = parts_of(a->experts, a->n);
    wf_tensor *y = wf_out(t, a->compute, 2, (int64_t[]){d->rows, a->n});
    wf_node *node = y ? wf_record(t, &wf_op_grouped_linear, 4, (wf_tensor *[]){x, w, b, d->blocks}, 1, &y, a) : NULL;
    weft_error err = {0};
    if (!node)
        return NULL;
    if (make_plans(wf_tape_env(t), a, b != NULL, grad, &err) != WEFT_OK)
        return wf_tape_error(t, err.status, "%s", err.message);
    node->scratch = finish(a);
    return y;
}
