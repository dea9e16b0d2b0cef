/* add.c - y = a + scale*b, the residual connection. */
#include "tensor/ops/elementwise.h"

typedef struct add {
    float scale;
} add;

static void forward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    const add *a = node->attr;
    float ta[TILE], tb[TILE], y[TILE], *to = out_or(node, first, y);
    const float *x0 = load_in(node, 0, first, n, ta, w), *x1 = load_in(node, 1, first, n, tb, w);
    if (a->scale == 1.0f) {
        w->k->add(to, x0, x1, n);
    } else {
        w->k->scale(y, a->scale, x1, n);
        w->k->add(to, x0, y, n);
    }
    put_out(node, first, n, to, w);
}

static void backward(const wf_node *node, int64_t first, int64_t n, wf_worker *w) {
    const add *a = node->attr;
    float tmp[TILE], scaled[TILE];
    const float *dy = load_dout(node, first, n, tmp, w);
    store_din(node, 0, first, n, dy, w);
    if (a->scale != 1.0f) {
        w->k->scale(scaled, a->scale, dy, n);
        dy = scaled;
    }
    store_din(node, 1, first, n, dy, w);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    elementwise_run(node, piece, pass == WF_FORWARD ? forward : backward, w);
}

static void run_rows(const wf_node *node, int64_t first, int64_t end, wf_worker *w) {
    elementwise_rows(node, first, end, forward, w);
}

const wf_op wf_op_add = {.name = "add", .pieces = elementwise_pieces, .run = run, .run_rows = run_rows, .over = 3};

wf_tensor *wf_add_scaled(wf_tape *t, wf_tensor *a, wf_tensor *b, float scale) {
    if (!a || !b)
        return NULL;
    if (a->count != b->count)
        return wf_tape_error(t, WEFT_USAGE, "add: shapes differ");
    add *attr = attr_copy(t, &(add){scale}, sizeof(add));
    wf_dtype type = a->type == WF_F32 || b->type == WF_F32 ? WF_F32 : a->type;
    return attr ? record_like(t, &wf_op_add, 2, (wf_tensor *[]){a, b}, a, type, attr) : NULL;
}

wf_tensor *wf_add(wf_tape *t, wf_tensor *a, wf_tensor *b) { return wf_add_scaled(t, a, b, 1.0f); }
