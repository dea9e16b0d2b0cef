/* turn_repeat.c - a matrix turned and given to every sequence: [m,n] -> [B,n,m]. The backward adds the sequences in order. */
#include "tensor/ops/elementwise.h"

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? wf_split_pieces(node->in[0]->dims[0], 16) : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t m = node->in[0]->dims[0], n = node->in[0]->dims[1], batch = node->out[0]->dims[0], first, end;
    const float *x = node->in[0]->data, *dy = node->out[0]->grad;
    float *y = node->out[0]->data, beta = 0.0f, *dx = pass == WF_BACKWARD ? wf_grad_in(node, 0, w, &beta) : NULL;
    (void)phase;
    wf_split_bounds(m, wf_split_pieces(m, 16), piece, &first, &end);
    for (int64_t i = first; i < end; i++)
        for (int64_t j = 0; j < n; j++) {
            float sum = 0.0f;
            for (int64_t b = 0; b < batch; b++) {
                int64_t at = (b * n + j) * m + i;
                if (dx)
                    sum += dy[at];
                else if (pass == WF_FORWARD)
                    y[at] = x[i * n + j];
            }
            if (dx)
                dx[i * n + j] = (beta == 0.0f ? 0.0f : dx[i * n + j]) + sum;
        }
}

const wf_op wf_op_turn_repeat = {.name = "turn_repeat", .pieces = pieces, .run = run};

wf_tensor *wf_turn_repeat(wf_tape *t, wf_tensor *x, int64_t batch) {
    if (!x)
        return NULL;
    if (x->rank != 2 || x->type != WF_F32 || batch < 1)
        return wf_tape_error(t, WEFT_USAGE, "turn_repeat: an fp32 matrix is needed");
    wf_tensor *y = wf_out(t, WF_F32, 3, (int64_t[]){batch, x->dims[1], x->dims[0]});
    return y && wf_record(t, &wf_op_turn_repeat, 1, &x, 1, &y, NULL) ? y : NULL;
}
