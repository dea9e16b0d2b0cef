/* full_linear.c - linear attention without causality (Katharopoulos et al. 2020, eq. 6): y = q S, S = sum over all keys of k
 * v^T. A piece is one head of one sequence: two small matrix products, four in the backward. */
#include "kernels/gemm/gemm.h"
#include "tensor/ops/elementwise.h"

enum { Q, K, V };
enum { Y, S };
enum { MAKE_S, MAKE_Y, MAKE_DS, MAKE_DQ, MAKE_DK, MAKE_DV, PLANS };

typedef struct full {
    int64_t batch, t, s, heads, key_dim, value_dim;
    wf_gemm_plan *plans[PLANS];
} full;

static void multiply(const wf_gemm_plan *plan, const float *a, const float *b, float *c, float beta, const wf_worker *w) {
    for (int tile = 0; tile < wf_gemm_tiles(plan); tile++)
        wf_gemm_run(plan, tile, a, b, c, NULL, beta, w->scratch);
}

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const full *a = node->attr;
    (void)pass;
    return phase == 0 ? (int)(a->batch * a->heads) : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const full *a = node->attr;
    int64_t b = piece / a->heads, h = piece % a->heads, one = a->key_dim * a->value_dim;
    int64_t at_q = (b * a->t * a->heads + h) * a->key_dim, at_k = (b * a->s * a->heads + h) * a->key_dim;
    int64_t at_v = (b * a->s * a->heads + h) * a->value_dim, at_y = (b * a->t * a->heads + h) * a->value_dim;
    const float *q = (const float *)node->in[Q]->data + at_q, *k = (const float *)node->in[K]->data + at_k,
                *v = (const float *)node->in[V]->data + at_v;
    float *s = (float *)node->out[S]->data + piece * one, beta, *grad;
    (void)phase;
    if (pass == WF_FORWARD) {
        multiply(a->plans[MAKE_S], k, v, s, 0.0f, w);
        multiply(a->plans[MAKE_Y], q, s, (float *)node->out[Y]->data + at_y, 0.0f, w);
        return;
    }
    const float *dy = (const float *)node->out[Y]->grad + at_y;
    float *ds = (float *)node->work_data[WF_BACKWARD] + piece * one;
    multiply(a->plans[MAKE_DS], q, dy, ds, 0.0f, w);
    if ((grad = wf_grad_in(node, Q, w, &beta)))
        multiply(a->plans[MAKE_DQ], dy, s, grad + at_q, beta, w);
    if ((grad = wf_grad_in(node, K, w, &beta)))
        multiply(a->plans[MAKE_DK], v, ds, grad + at_k, beta, w);
    if ((grad = wf_grad_in(node, V, w, &beta)))
        multiply(a->plans[MAKE_DV], k, ds, grad + at_v, beta, w);
}

static double flops(const wf_node *node, wf_pass pass) {
    const full *a = node->attr;
    double one = 2.0 * (double)(a->batch * a->heads) * (double)(a->t + a->s) * (double)(a->key_dim * a->value_dim);
    return pass == WF_FORWARD ? one : 2 * one;
}

static void release(const wf_env *env, wf_node *node) {
    full *a = node->attr;
    for (int i = 0; i < PLANS; i++)
        wf_gemm_plan_free(env, a->plans[i]);
}

const wf_op wf_op_full_linear = {.name = "full_linear",
                                 .pieces = pieces,
                                 .run = run,
                                 .flops = flops,
                                 .release = release,
                                 .saves_in = 1u << Q | 1u << K | 1u << V,
                                 .saves_out = 1u << S};

static weft_status make_plans(const wf_env *env, full *a, int count, weft_error *err) {
    int64_t d = a->key_dim, v = a->value_dim, keys = a->heads * d, values = a->heads * v;
    const wf_gemm shapes[PLANS] = {
        [MAKE_S] = {.m = d, .n = v, .k = a->s, .lda = keys, .ldb = values, .ldc = v, .trans_a = true},
        [MAKE_Y] = {.m = a->t, .n = v, .k = d, .lda = keys, .ldb = v, .ldc = values},
        [MAKE_DS] = {.m = d, .n = v, .k = a->t, .lda = keys, .ldb = values, .ldc = v, .trans_a = true},
        [MAKE_DQ] = {.m = a->t, .n = d, .k = v, .lda = values, .ldb = v, .ldc = keys, .trans_b = true},
        [MAKE_DK] = {.m = a->s, .n = d, .k = v, .lda = values, .ldb = v, .ldc = keys, .trans_b = true},
        [MAKE_DV] = {.m = a->s, .n = v, .k = d, .lda = keys, .ldb = v, .ldc = values}};
    for (int i = 0; i < count; i++)
        WF_TRY(wf_gemm_plan_create(env, &shapes[i], &a->plans[i], err));
    return WEFT_OK;
}

wf_tensor *wf_full_linear(wf_tape *t, wf_tensor *q, wf_tensor *k, wf_tensor *v) {
    if (!q || !k || !v)
        return NULL;
    wf_tensor *in[] = {wf_cast(t, q, WF_F32), wf_cast(t, k, WF_F32), wf_cast(t, v, WF_F32)};
    if (!in[Q] || !in[K] || !in[V])
        return NULL;
    if (q->rank != 4 || k->rank != 4 || v->rank != 4 || k->dims[0] != q->dims[0] || v->dims[0] != q->dims[0] ||
        k->dims[1] != v->dims[1] || k->dims[2] != q->dims[2] || v->dims[2] != q->dims[2] || k->dims[3] != q->dims[3])
        return wf_tape_error(t, WEFT_USAGE, "full_linear: the shapes of q, k and v do not fit together");
    full *a = wf_arena_alloc(wf_tape_arena(t), sizeof *a);
    if (!a)
        return wf_tape_error(t, WEFT_NO_MEMORY, "out of memory");
    *a = (full){.batch = q->dims[0],
                .t = q->dims[1],
                .s = k->dims[1],
                .heads = q->dims[2],
                .key_dim = q->dims[3],
                .value_dim = v->dims[3]};
    wf_tensor *out[2] = {wf_out(t, WF_F32, 4, (int64_t[]){a->batch, a->t, a->heads, a->value_dim}),
                         wf_out(t, WF_F32, 4, (int64_t[]){a->batch, a->heads, a->key_dim, a->value_dim})};
    wf_node *node = wf_record(t, &wf_op_full_linear, 3, in, 2, out, a);
    weft_error err = {0};
    if (!node)
        return NULL;
    if (make_plans(wf_tape_env(t), a, wf_tape_grad(t) ? PLANS : MAKE_DS, &err) != WEFT_OK)
        return wf_tape_error(t, err.status, "%s", err.message);
    for (int i = 0; i < PLANS; i++)
        if (a->plans[i] && wf_gemm_scratch(a->plans[i]) > node->scratch)
            node->scratch = wf_gemm_scratch(a->plans[i]);
    node->work[WF_BACKWARD] = (size_t)out[S]->count * sizeof(float);
    return out[Y];
}
