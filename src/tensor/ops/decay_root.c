/* decay_root.c - the two factors of the real-gated linear recurrent unit (De et al. 2024, arXiv 2402.19427, eq. 3-4): a = e^la
 * and root = sqrt(1 - a^2), which keeps the size of the state. A row of position 0 starts afresh: a = 0, root = 1. */
#include <math.h>
#include "tensor/ops/elementwise.h"

enum { LA, POSITIONS, STATE };
enum { A_OUT, ROOT };
static const float LEAST = 1e-6f; /* of 4(1 - a^2) in the slope of the root, as in the reference */

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? wf_split_pieces(wf_row_count(node->in[LA]), 16) : 0;
}

/* The first token of a sequence that brings no state. A state of nothing but zeros is that of a sequence not begun. */
static bool begins(const wf_node *node, int64_t b, int64_t t, const wf_worker *w) {
    const wf_tensor *state = node->in[STATE];
    if (node->in[POSITIONS])
        return ((const int64_t *)node->in[POSITIONS]->data)[b * node->in[LA]->dims[1] + t] == 0;
    if (t != 0 || (w->rt->start && w->rt->start[b] != 0))
        return false;
    int64_t n = state ? state->count / state->dims[0] : 0;
    for (int64_t i = 0; i < n; i++)
        if (((const float *)state->data)[b * n + i] != 0.0f)
            return false;
    return true;
}

static void forward(const wf_node *node, int64_t r, const wf_worker *w) {
    int64_t n = wf_dim(node->in[LA], -1), t = node->in[LA]->dims[1];
    const float *la = (const float *)node->in[LA]->data + r * n;
    float *a = (float *)node->out[A_OUT]->data + r * n, *root = (float *)node->out[ROOT]->data + r * n;
    bool first = begins(node, r / t, r % t, w);
    w->k->activate(WF_EXP, a, la, n);
    for (int64_t i = 0; i < n; i++) {
        a[i] = first ? 0.0f : a[i];
        root[i] = first ? 1.0f : sqrtf(-expm1f(2.0f * la[i]));
    }
}

/* Where a is 0 both slopes are. */
static void backward(const wf_node *node, int64_t r, const wf_worker *w) {
    int64_t n = wf_dim(node->in[LA], -1);
    const float *a = (const float *)node->out[A_OUT]->data + r * n, *root = (const float *)node->out[ROOT]->data + r * n;
    const float *da = node->out[A_OUT]->grad, *droot = node->out[ROOT]->grad;
    float dx[TILE];
    for (int64_t c = 0; c < n; c += TILE) {
        int64_t m = n - c < TILE ? n - c : TILE;
        for (int64_t i = c; i < c + m; i++) {
            float slope = -2.0f * a[i] * a[i] / sqrtf(fmaxf(4.0f * root[i] * root[i], LEAST));
            dx[i - c] = (da ? da[r * n + i] : 0.0f) * a[i] + (droot ? droot[r * n + i] : 0.0f) * slope;
        }
        store_din(node, LA, r * n + c, m, dx, w);
    }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t first, end, rows = wf_row_count(node->in[LA]);
    (void)phase;
    wf_split_bounds(rows, wf_split_pieces(rows, 16), piece, &first, &end);
    for (int64_t r = first; r < end; r++)
        if (pass == WF_FORWARD)
            forward(node, r, w);
        else
            backward(node, r, w);
}

const wf_op wf_op_decay_root = {
    .name = "decay_root", .by_runtime = true, .pieces = pieces, .run = run, .saves_out = 1u << A_OUT | 1u << ROOT};

wf_tensor *wf_decay_root(wf_tape *t, wf_tensor *la, wf_tensor *positions, wf_tensor *state, wf_tensor **root) {
    wf_no_output(root);
    if (!la || !(la = wf_cast(t, la, WF_F32)))
        return NULL;
    if (la->rank != 3 || (positions && (positions->type != WF_I64 || positions->count != la->dims[0] * la->dims[1])))
        return wf_tape_error(t, WEFT_USAGE, "decay_root: log decays [B,T,n] and one position per row are needed");
    wf_tensor *out[2] = {wf_out(t, WF_F32, 3, la->dims), wf_out(t, WF_F32, 3, la->dims)};
    if (!wf_record(t, &wf_op_decay_root, 3, (wf_tensor *[]){la, positions, state}, 2, out, NULL))
        return NULL;
    *root = out[ROOT];
    return out[A_OUT];
}
