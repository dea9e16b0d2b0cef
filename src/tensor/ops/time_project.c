/* time_project.c - rows of time mixed into fewer: y[b,:,h,:] = e_h[:S]^T x[b,:,h,:] (Wang et al. 2020, arXiv 2006.04768, eq.
 * 7). x [B,S,G,W], e [P,L,R], L >= S: P is 1 (one matrix for all heads) or a multiple of G; y [B,R,G or P,W]. */
#include "kernels/gemm/gemm.h"
#include "tensor/ops/elementwise.h"

enum { X, E };
enum { MAKE_Y, MAKE_DX, MAKE_DE, PLANS };

typedef struct project {
    int64_t batch, s, groups, width, matrices, length, rank, heads; /* heads: of y */
    wf_gemm_plan *plans[PLANS];
} project;

static void multiply(const wf_gemm_plan *plan, const float *a, const float *b, float *c, float beta, const wf_worker *w) {
    for (int tile = 0; tile < wf_gemm_tiles(plan); tile++)
        wf_gemm_run(plan, tile, a, b, c, NULL, beta, w->scratch);
}

static int64_t at_x(const project *p, int64_t b, int64_t h) {
    return (b * p->s * p->groups + h / (p->heads / p->groups)) * p->width;
}
static int64_t at_y(const project *p, int64_t b, int64_t h) { return (b * p->rank * p->heads + h) * p->width; }
static int64_t at_e(const project *p, int64_t h) { return p->matrices > 1 ? h * p->length * p->rank : 0; }

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const project *p = node->attr;
    if (pass == WF_FORWARD)
        return phase == 0 ? (int)(p->batch * p->heads) : 0;
    return phase == 0 ? (int)(p->batch * p->groups) : phase == 1 && node->grad_mode[E] ? (int)p->matrices : 0;
}

static void back_x(const wf_node *node, int piece, wf_worker *w) {
    const project *p = node->attr;
    int64_t b = piece / p->groups, per = p->heads / p->groups, first = piece % p->groups * per;
    float beta, *dx = wf_grad_in(node, X, w, &beta);
    for (int64_t h = first; dx && h < first + per; h++, beta = 1.0f)
        multiply(p->plans[MAKE_DX], (const float *)node->in[E]->data + at_e(p, h),
                 (const float *)node->out[0]->grad + at_y(p, b, h), dx + at_x(p, b, h), beta, w);
}

static void back_e(const wf_node *node, int piece, wf_worker *w) {
    const project *p = node->attr;
    float beta, *de = wf_grad_in(node, E, w, &beta);
    int64_t first = p->matrices > 1 ? piece : 0, end = p->matrices > 1 ? piece + 1 : p->heads, at = at_e(p, piece);
    if (beta == 0.0f) /* the rows beyond S */
        memset(de + at + p->s * p->rank, 0, (size_t)((p->length - p->s) * p->rank) * sizeof *de);
    for (int64_t h = first; h < end; h++)
        for (int64_t b = 0; b < p->batch; b++, beta = 1.0f)
            multiply(p->plans[MAKE_DE], (const float *)node->in[X]->data + at_x(p, b, h),
                     (const float *)node->out[0]->grad + at_y(p, b, h), de + at, beta, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const project *p = node->attr;
    if (pass == WF_BACKWARD && phase == 0) {
        back_x(node, piece, w);
    } else if (pass == WF_BACKWARD) {
        back_e(node, piece, w);
    } else {
        int64_t b = piece / p->heads, h = piece % p->heads;
        multiply(p->plans[MAKE_Y], (const float *)node->in[E]->data + at_e(p, h),
                 (const float *)node->in[X]->data + at_x(p, b, h), (float *)node->out[0]->data + at_y(p, b, h), 0.0f, w);
    }
}

static double flops(const wf_node *node, wf_pass pass) {
    const project *p = node->attr;
    double one = 2.0 * (double)(p->batch * p->heads) * (double)(p->s * p->rank * p->width);
    return pass == WF_FORWARD ? one : 2.0 * one;
}

static void release(const wf_env *env, wf_node *node) {
    project *p = node->attr;
    for (int i = 0; i < PLANS; i++)
        wf_gemm_plan_free(env, p->plans[i]);
}

const wf_op wf_op_time_project = {
    .name = "time_project", .pieces = pieces, .run = run, .flops = flops, .release = release, .saves_in = 1u << X | 1u << E};

static weft_status make_plans(const wf_env *env, project *p, int count, weft_error *err) {
    int64_t ldx = p->groups * p->width, ldy = p->heads * p->width;
    const wf_gemm shapes[PLANS] = {
        [MAKE_Y] = {.m = p->rank, .n = p->width, .k = p->s, .lda = p->rank, .ldb = ldx, .ldc = ldy, .trans_a = true},
        [MAKE_DX] = {.m = p->s, .n = p->width, .k = p->rank, .lda = p->rank, .ldb = ldy, .ldc = ldx},
        [MAKE_DE] = {.m = p->s, .n = p->rank, .k = p->width, .lda = ldx, .ldb = ldy, .ldc = p->rank, .trans_b = true}};
    for (int i = 0; i < count; i++)
        WF_TRY(wf_gemm_plan_create(env, &shapes[i], &p->plans[i], err));
    return WEFT_OK;
}

wf_tensor *wf_time_project(wf_tape *t, wf_tensor *x, wf_tensor *e) {
    if (!x || !e)
        return NULL;
    x = wf_cast(t, x, WF_F32);
    if (!x || x->rank != 4 || e->rank != 3 || e->type != WF_F32 || e->dims[1] < x->dims[1] ||
        (e->dims[0] > 1 && e->dims[0] % x->dims[2] != 0))
        return wf_tape_error(t, WEFT_USAGE, "time_project: the matrices do not fit the rows");
    project *p = wf_arena_alloc(wf_tape_arena(t), sizeof *p);
    if (!p)
        return wf_tape_error(t, WEFT_NO_MEMORY, "out of memory");
    *p = (project){.batch = x->dims[0],
                   .s = x->dims[1],
                   .groups = x->dims[2],
                   .width = x->dims[3],
                   .matrices = e->dims[0],
                   .length = e->dims[1],
                   .rank = e->dims[2]};
    p->heads = p->matrices > 1 ? p->matrices : p->groups;
    wf_tensor *y = wf_out(t, WF_F32, 4, (int64_t[]){p->batch, p->rank, p->heads, p->width});
    wf_node *node = y ? wf_record(t, &wf_op_time_project, 2, (wf_tensor *[]){x, e}, 1, &y, p) : NULL;
    weft_error err = {0};
    if (!node)
        return NULL;
    if (make_plans(wf_tape_env(t), p, wf_tape_grad(t) ? PLANS : MAKE_DX, &err) != WEFT_OK)
        return wf_tape_error(t, err.status, "%s", err.message);
    for (int i = 0; i < PLANS; i++)
        if (p->plans[i] && wf_gemm_scratch(p->plans[i]) > node->scratch)
            node->scratch = wf_gemm_scratch(p->plans[i]);
    return y;
}
