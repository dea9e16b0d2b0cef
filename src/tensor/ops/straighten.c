/* straighten.c - a parameter that lies turned (wf_param.turned) in ordinary order, for what cannot use it as it lies. */
#include "tensor/ops/elementwise.h"

static int row_pieces(const wf_node *node) {
    const wf_tensor *y = node->out[0];
    return wf_split_pieces(y->dims[0], 1 + 16384 / y->dims[1]);
}

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    return pass == WF_FORWARD && phase == 0 ? row_pieces(node) : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const wf_param *p = node->in[0]->param;
    int64_t columns = p->dims[1], first, end;
    (void)pass, (void)phase;
    wf_split_bounds(p->dims[0], row_pieces(node), piece, &first, &end);
    w->k->gemm_pack_columns((float *)node->out[0]->data + first * columns, p->value + first, false, p->turned, columns,
                            end - first, columns);
}

const wf_op wf_op_straighten = {
    .name = "straighten", .pieces = pieces, .run = run, .no_grad = true, .bare = true, .turned = true};

wf_tensor *wf_straighten(wf_tape *t, wf_tensor *w) {
    wf_tensor *y = w ? wf_out(t, WF_F32, w->rank, w->dims) : NULL;
    return y && wf_record(t, &wf_op_straighten, 1, &w, 1, &y, NULL) ? y : NULL;
}
