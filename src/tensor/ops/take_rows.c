/* take_rows.c - rows gathered per head: y[b,n,h,:] = x[b, index[b,h,n], h, :], zeros where the index is negative. The backward
 * adds, in the order of n. A piece is one head of one sequence. */
#include "tensor/ops/elementwise.h"

enum { X, INDEX };

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? (int)(node->in[X]->dims[0] * node->in[X]->dims[2]) : 0;
}

static void clear(const wf_node *node, int64_t first, int64_t step, char *dx) {
    const wf_tensor *x = node->in[X];
    size_t size = wf_dtypes[x->type].size;
    for (int64_t t = 0; t < x->dims[1]; t++)
        memset(dx + (size_t)(first + t * step) * size, 0, (size_t)x->dims[3] * size);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const wf_tensor *x = node->in[X], *y = node->out[0];
    int64_t heads = x->dims[2], width = x->dims[3], n = y->dims[1], b = piece / heads, h = piece % heads, step = heads * width;
    int64_t from = (b * x->dims[1] * heads + h) * width, to = (b * n * heads + h) * width;
    const int32_t *index = (const int32_t *)node->in[INDEX]->data + (int64_t)piece * n;
    size_t size = wf_dtypes[x->type].size;
    float tmp[TILE], beta;
    (void)phase;
    char *dx = pass == WF_BACKWARD ? wf_grad_in(node, X, w, &beta) : NULL;
    if (dx && beta == 0.0f)
        clear(node, from, step, dx);
    for (int64_t i = 0; i < n; i++) {
        bool there = index[i] >= 0 && index[i] < x->dims[1];
        int64_t source = from + index[i] * step, target = to + i * step;
        if (pass == WF_FORWARD && there)
            memcpy((char *)y->data + (size_t)target * size, (const char *)x->data + (size_t)source * size,
                   (size_t)width * size);
        else if (pass == WF_FORWARD)
            memset((char *)y->data + (size_t)target * size, 0, (size_t)width * size);
        for (int64_t c = 0; dx && there && c < width; c += TILE) {
            int64_t m = width - c < TILE ? width - c : TILE;
            wf_store(w, dx, x->type, source + c, m, load_dout(node, target + c, m, tmp, w), 1.0f);
        }
    }
}

const wf_op wf_op_take_rows = {.name = "take_rows", .pieces = pieces, .run = run, .saves_in = 1u << INDEX};

wf_tensor *wf_take_rows(wf_tape *t, wf_tensor *x, wf_tensor *index) {
    if (!x || !index)
        return NULL;
    if (x->rank != 4 || index->rank != 3 || index->type != WF_I32 || index->dims[0] != x->dims[0] ||
        index->dims[1] != x->dims[2])
        return wf_tape_error(t, WEFT_USAGE, "take_rows: the indices do not fit the rows");
    wf_tensor *y = wf_out(t, x->type, 4, (int64_t[]){x->dims[0], index->dims[2], x->dims[2], x->dims[3]});
    return y && wf_record(t, &wf_op_take_rows, 2, (wf_tensor *[]){x, index}, 1, &y, NULL) ? y : NULL;
}
