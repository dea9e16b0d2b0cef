/* order_places.c - where the rows of every round stand in its order: place[order[e]] = e, by rounds of T entries. Made of the
 * order alone, so that training need not keep it beside the order. No gradient. A piece is one head of one sequence. */
#include "tensor/ops/elementwise.h"

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const wf_tensor *order = node->in[0];
    return pass == WF_FORWARD && phase == 0 ? (int)(order->dims[0] * order->dims[1]) : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t t = *(const int64_t *)node->attr, n = node->in[0]->dims[2];
    const int32_t *order = (const int32_t *)node->in[0]->data + piece * n;
    int32_t *place = (int32_t *)node->out[0]->data + piece * n;
    (void)pass, (void)phase, (void)w;
    for (int64_t e = 0; e < n; e++)
        place[e / t * t + order[e]] = (int32_t)e;
}

const wf_op wf_op_order_places = {.name = "order_places", .pieces = pieces, .run = run};

wf_tensor *wf_order_places(wf_tape *t, wf_tensor *order, int64_t rows) {
    if (!order)
        return NULL;
    if (order->rank != 3 || order->type != WF_I32 || rows < 1 || order->dims[2] % rows != 0)
        return wf_tape_error(t, WEFT_USAGE, "order_places: no order of rounds of %lld rows", (long long)rows);
    int64_t *attr = attr_copy(t, &rows, sizeof rows);
    wf_tensor *place = wf_out(t, WF_I32, 3, order->dims);
    return attr && place && wf_record(t, &wf_op_order_places, 1, &order, 1, &place, attr) ? place : NULL;
}
