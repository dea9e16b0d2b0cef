/* cross_entropy.c - the language-model head and its loss in one op: blocks of rows go through logits -> loss -> gradient while
 * they are warm, so neither logits nor probabilities of all rows exist at once. On a training tape the forward already makes
 * the gradients of x (kept until the backward hands them on), of the head and of its bias; the loss must therefore reach the
 * root by additions only. Phases per block: logits, rows, gradients; one last phase sums the losses in a fixed order. */
#include <math.h>
#include "kernels/gemm/gemm.h"
#include "tensor/ops/elementwise.h"

enum { X, W, B, TARGETS, INVERSE_COUNT };
enum { LOSS, TOKEN_LOSS, DX };
enum { BLOCK_BYTES = 64 << 20, ROWS_PER_PIECE = 4, BIAS_COLUMNS = 256 };

typedef struct head {
    wf_cross_entropy_spec spec;
    int64_t m, v, n, block, blocks; /* rows, vocabulary, width, rows per block */
    bool grad;
    wf_dtype compute;
    wf_gemm_plan *y[2], *dx[2], *dw[2]; /* whole blocks, the last block */
} head;

static int64_t block_rows(const head *a, int64_t b) { return b + 1 < a->blocks ? a->block : a->m - b * a->block; }
static int last(const head *a, int64_t b) { return b + 1 == a->blocks; }
static int row_pieces(int64_t rows) { return (int)((rows + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE); }
static int bias_pieces(const head *a) { return (int)((a->v + BIAS_COLUMNS - 1) / BIAS_COLUMNS); }
static bool trains(const wf_node *node, int i) {
    return ((const head *)node->attr)->grad && node->in[i] && node->in[i]->needs_grad;
}

static int gradient_pieces(const wf_node *node, int64_t b) {
    const head *a = node->attr;
    return (trains(node, X) ? wf_gemm_tiles(a->dx[last(a, b)]) : 0) + (trains(node, W) ? wf_gemm_tiles(a->dw[last(a, b)]) : 0) +
           (trains(node, B) ? bias_pieces(a) : 0);
}

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const head *a = node->attr;
    int per_block = a->grad ? 3 : 2;
    int64_t b = phase / per_block;
    if (pass == WF_BACKWARD)
        return phase == 0 && trains(node, X) ? wf_split_pieces(a->m * a->n, 8192) : 0;
    if (b >= a->blocks)
        return phase == a->blocks * per_block ? 1 : 0;
    switch (phase % per_block) {
    case 0:
        return wf_gemm_tiles(a->y[last(a, b)]);
    case 1:
        return row_pieces(block_rows(a, b));
    default:
        return gradient_pieces(node, b);
    }
}

/* With a z-loss, one number per row stands before the logits. */
static int64_t squares(const head *a) { return a->spec.z_loss == 0.0f ? 0 : (a->m + 15) / 16 * 16; }
static float *logits_of(const wf_node *node) { return (float *)node->work_data[WF_FORWARD] + squares(node->attr); }
/* In bf16 the gradient of the logits is rounded into a buffer behind the logits. */
static uint16_t *rounded_of(const wf_node *node) {
    const head *a = node->attr;
    return (uint16_t *)(logits_of(node) + a->block * a->v);
}
static const void *weight_of(const wf_node *node) {
    const head *a = node->attr;
    const wf_tensor *w = node->in[W];
    return a->compute == WF_F32 ? w->data : (const void *)((w->base ? w->base->param : w->param)->bf16 + w->offset);
}
static const char *x_block(const wf_node *node, int64_t b) {
    const head *a = node->attr;
    return (const char *)node->in[X]->data + (size_t)(b * a->block * a->n) * wf_dtypes[node->in[X]->type].size;
}

typedef struct row_task {
    int64_t target;
    bool counts;
    float scale, z_scale; /* of the gradients: of the loss, of the squares; 0: none wanted */
    float *square;        /* log(sum(exp))^2, with a z-loss */
} row_task;

/* The logits become their gradient; scratch holds two rows. */
static float row_loss(const head *a, float *z, const row_task *r, float *scratch, wf_worker *w) {
    float ls = a->spec.logit_scale, cap = a->spec.softcap, *capped = scratch, *p = scratch + a->v, sum = 0.0f, loss = 0.0f;
    if (ls != 1.0f)
        w->k->scale(z, ls, z, a->v);
    if (cap != 0.0f) {
        w->k->scale(z, 1.0f / cap, z, a->v);
        w->k->activate(WF_TANH, z, z, a->v);
        memcpy(capped, z, (size_t)a->v * sizeof *z);
        w->k->scale(z, cap, z, a->v);
    }
    if (a->spec.z_loss != 0.0f) {
        sum = w->k->log_sum_exp(z, a->v);
        *r->square = sum * sum;
        w->k->softmax(p, z, a->v);
    }
    if (r->counts)
        loss = w->k->cross_entropy(z, r->target, a->spec.smoothing, r->scale, a->v);
    if (a->grad && (!r->counts || r->scale == 0.0f))
        memset(z, 0, (size_t)a->v * sizeof *z);
    if (r->z_scale != 0.0f)
        w->k->axpy(z, 2.0f * sum * r->z_scale, p, a->v);
    if (a->grad && cap != 0.0f)
        for (int64_t i = 0; i < a->v; i++)
            z[i] *= 1.0f - capped[i] * capped[i];
    if (a->grad && ls != 1.0f)
        w->k->scale(z, ls, z, a->v);
    return loss;
}

static void rows(const wf_node *node, int64_t b, int piece, wf_worker *w) {
    const head *a = node->attr;
    const int32_t *targets = node->in[TARGETS]->data;
    row_task r = {.scale = a->grad ? w->rt->loss_scale * *(const float *)node->in[INVERSE_COUNT]->data : 0.0f,
                  .z_scale = a->grad ? w->rt->loss_scale * a->spec.z_loss / (float)a->m : 0.0f};
    int64_t first = (int64_t)piece * ROWS_PER_PIECE, end = first + ROWS_PER_PIECE, n = block_rows(a, b);
    for (int64_t i = first; i < (end < n ? end : n); i++) {
        float *z = logits_of(node) + i * a->v;
        int64_t row = b * a->block + i;
        r.target = targets[row];
        r.counts = r.target != a->spec.ignore && r.target >= 0 && r.target < a->v;
        r.square = (float *)node->work_data[WF_FORWARD] + row;
        float loss = r.counts || squares(a) ? row_loss(a, z, &r, w->scratch, w) : 0.0f;
        if (a->grad && !r.counts && !squares(a))
            memset(z, 0, (size_t)a->v * sizeof *z);
        if (a->grad && a->compute == WF_BF16)
            w->k->f32_to_bf16(rounded_of(node) + i * a->v, z, a->v);
        ((float *)node->out[TOKEN_LOSS]->data)[row] = loss;
    }
}

static void bias_gradient(const wf_node *node, int64_t b, int piece, wf_worker *w) {
    const head *a = node->attr;
    float beta, sum[BIAS_COLUMNS] = {0}, *db = wf_grad_in(node, B, w, &beta);
    int64_t first = (int64_t)piece * BIAS_COLUMNS, n = a->v - first < BIAS_COLUMNS ? a->v - first : BIAS_COLUMNS;
    for (int64_t i = 0; i < block_rows(a, b); i++)
        w->k->add(sum, sum, logits_of(node) + i * a->v + first, n);
    wf_store(w, db, WF_F32, first, n, sum, b == 0 ? beta : 1.0f);
}

static void gradients(const wf_node *node, int64_t b, int piece, wf_worker *w) {
    const head *a = node->attr;
    const void *dz = a->compute == WF_F32 ? (const void *)logits_of(node) : (const void *)rounded_of(node);
    int tiles = trains(node, X) ? wf_gemm_tiles(a->dx[last(a, b)]) : 0;
    float beta;
    if (piece < tiles) {
        char *dx = (char *)node->out[DX]->data + (size_t)(b * a->block * a->n) * wf_dtypes[node->out[DX]->type].size;
        wf_gemm_run(a->dx[last(a, b)], piece, dz, weight_of(node), dx, NULL, 0.0f, w->scratch);
        return;
    }
    piece -= tiles;
    tiles = trains(node, W) ? wf_gemm_tiles(a->dw[last(a, b)]) : 0;
    if (piece < tiles) {
        void *dw = wf_grad_in(node, W, w, &beta);
        wf_gemm_run(a->dw[last(a, b)], piece, dz, x_block(node, b), dw, NULL, b == 0 ? beta : 1.0f, w->scratch);
        return;
    }
    bias_gradient(node, b, piece - tiles, w);
}

static void sum_losses(const wf_node *node) {
    const head *a = node->attr;
    const float *token = node->out[TOKEN_LOSS]->data;
    double sum = 0.0;
    for (int64_t i = 0; i < a->m; i++)
        sum += (double)token[i];
    sum *= (double)*(const float *)node->in[INVERSE_COUNT]->data;
    double z = 0.0;
    for (int64_t i = 0; squares(a) && i < a->m; i++)
        z += (double)((const float *)node->work_data[WF_FORWARD])[i];
    *(float *)node->out[LOSS]->data = (float)(sum + (double)a->spec.z_loss * z / (double)a->m);
}

static void hand_on(const wf_node *node, int piece, wf_worker *w) {
    const head *a = node->attr;
    int64_t first, end;
    float tmp[TILE];
    wf_split_bounds(a->m * a->n, wf_split_pieces(a->m * a->n, 8192), piece, &first, &end);
    for (int64_t i = first; i < end; i += TILE) {
        int64_t m = end - i < TILE ? end - i : TILE;
        store_din(node, X, i, m, wf_load(w, node->out[DX]->data, node->out[DX]->type, i, m, tmp), w);
    }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const head *a = node->attr;
    int per_block = a->grad ? 3 : 2;
    int64_t b = phase / per_block;
    if (pass == WF_BACKWARD)
        hand_on(node, piece, w);
    else if (b >= a->blocks)
        sum_losses(node);
    else if (phase % per_block == 0)
        wf_gemm_run(a->y[last(a, b)], piece, x_block(node, b), weight_of(node), logits_of(node),
                    node->in[B] ? node->in[B]->data : NULL, 0.0f, w->scratch);
    else if (phase % per_block == 1)
        rows(node, b, piece, w);
    else
        gradients(node, b, piece, w);
}

static double flops(const wf_node *node, wf_pass pass) {
    const head *a = node->attr;
    double one = 2.0 * (double)a->m * (double)a->v * (double)a->n;
    return pass == WF_FORWARD
               ? one
               : one * (trains(node, X) + trains(node, W)); /* spent in the forward, counted where others count */
}

static void release(const wf_env *env, wf_node *node) {
    head *a = node->attr;
    for (int i = 0; i < 2; i++) {
        wf_gemm_plan_free(env, a->y[i]);
        wf_gemm_plan_free(env, a->dx[i]);
        wf_gemm_plan_free(env, a->dw[i]);
    }
}

const wf_op wf_op_cross_entropy = {.name = "cross_entropy",
                                   .pieces = pieces,
                                   .run = run,
                                   .saves_out = 1u << DX,
                                   .flops = flops,
                                   .release = release,
                                   .uneven = true,
                                   .early = 1u << W | 1u << B};

static weft_status make_plans(const wf_env *env, head *a, int i, bool bias, wf_dtype x_type, weft_error *err) {
    int64_t m = i ? a->m - (a->blocks - 1) * a->block : a->block;
    wf_dtype c = a->compute;
    WF_TRY(wf_gemm_plan_create(
        env,
        &(wf_gemm){.m = m, .n = a->v, .k = a->n, .a_type = c, .b_type = c, .c_type = WF_F32, .trans_b = true, .bias = bias},
        &a->y[i], err));
    if (!a->grad)
        return WEFT_OK;
    WF_TRY(wf_gemm_plan_create(env, &(wf_gemm){.m = m, .n = a->n, .k = a->v, .a_type = c, .b_type = c, .c_type = x_type},
                               &a->dx[i], err));
    return wf_gemm_plan_create(
        env, &(wf_gemm){.m = a->v, .n = a->n, .k = m, .a_type = c, .b_type = c, .c_type = WF_F32, .trans_a = true}, &a->dw[i],
        err);
}

static size_t scratch_of(const head *a) {
    size_t most = a->spec.softcap != 0.0f || squares(a) ? 2 * (size_t)a->v * sizeof(float) : 0;
    for (int i = 0; i < 2; i++) {
        const wf_gemm_plan *plans[] = {a->y[i], a->dx[i], a->dw[i]};
        for (int j = 0; j < 3; j++)
            if (plans[j] && wf_gemm_scratch(plans[j]) > most)
                most = wf_gemm_scratch(plans[j]);
    }
    return most;
}

static void choose_blocks(head *a) {
    int64_t most = BLOCK_BYTES / ((int64_t)sizeof(float) * a->v);
    most = most < 64 ? 64 : most;
    a->blocks = (a->m + most - 1) / most;
    a->block = (a->m + a->blocks - 1) / a->blocks;
    a->blocks = (a->m + a->block - 1) / a->block;
}

static bool fits(const wf_tensor *x, const wf_tensor *w, const wf_tensor *b, const wf_tensor *targets) {
    return w->rank == 2 && wf_dim(x, -1) == w->dims[1] && (!b || b->count == w->dims[0]) && targets->type == WF_I32 &&
           targets->count == wf_row_count(x);
}

wf_tensor *wf_cross_entropy(wf_tape *t, wf_tensor *x, wf_tensor *w, wf_tensor *b, wf_tensor *targets,
                            const wf_cross_entropy_spec *spec, wf_tensor **token_loss) {
    wf_no_output(token_loss);
    if (!x || !w || !targets || !spec->inverse_count)
        return NULL;
    if (!fits(x, w, b, targets))
        return wf_tape_error(t, WEFT_USAGE, "cross_entropy: head, rows and targets do not fit");
    bool bf16 = wf_tape_type(t) == WF_BF16 && wf_is_parameter(w);
    x = wf_cast(t, x, bf16 ? WF_BF16 : WF_F32);
    head *a = x ? attr_copy(t,
                            &(head){.spec = *spec,
                                    .m = wf_row_count(x),
                                    .v = w->dims[0],
                                    .n = w->dims[1],
                                    .grad = wf_tape_grad(t),
                                    .compute = x->type},
                            sizeof(head))
                : NULL;
    if (!a)
        return NULL;
    choose_blocks(a);
    wf_tensor *out[3] = {wf_out(t, WF_F32, 1, (int64_t[]){1}), wf_out(t, WF_F32, targets->rank, targets->dims),
                         wf_out(t, x->type, x->rank, x->dims)};
    wf_node *node =
        wf_record(t, &wf_op_cross_entropy, 5, (wf_tensor *[]){x, w, b, targets, spec->inverse_count}, a->grad ? 3 : 2, out, a);
    weft_error err = {0};
    if (!node)
        return NULL;
    for (int i = 0; i < 2; i++)
        if (make_plans(wf_tape_env(t), a, i, b != NULL, x->type, &err) != WEFT_OK)
            return wf_tape_error(t, err.status, "%s", err.message);
    node->scratch = scratch_of(a);
    node->work[WF_FORWARD] = (size_t)squares(a) * sizeof(float) +
                             (size_t)(a->block * a->v) * (sizeof(float) + (a->grad && bf16 ? sizeof(uint16_t) : 0));
    if (token_loss)
        *token_loss = out[TOKEN_LOSS];
    return out[LOSS];
}
