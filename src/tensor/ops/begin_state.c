/* begin_state.c - what a recurrence starts from while decoding: for sequences that have seen tokens the state, for new ones
 * `first`, or 0. */
#include "tensor/ops/elementwise.h"

enum { STATE, FIRST };

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    return pass == WF_FORWARD && phase == 0 ? (int)node->out[0]->dims[0] : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t n = node->out[0]->count / node->out[0]->dims[0];
    bool seen = w->rt->start && w->rt->start[piece] > 0;
    const wf_tensor *from = seen ? node->in[STATE] : node->in[FIRST];
    float *y = (float *)node->out[0]->data + piece * n;
    (void)pass, (void)phase;
    if (from)
        memcpy(y, (const float *)from->data + piece * n, (size_t)n * sizeof *y);
    else
        memset(y, 0, (size_t)n * sizeof *y);
}

const wf_op wf_op_begin_state = {.name = "begin_state", .by_runtime = true, .pieces = pieces, .run = run, .no_grad = true};

wf_tensor *wf_begin_state(wf_tape *t, wf_tensor *state, wf_tensor *first) {
    if (!state)
        return NULL;
    if (first)
        first = wf_cast(t, first, WF_F32);
    if (state->type != WF_F32 || (first && first->count != state->count))
        return wf_tape_error(t, WEFT_USAGE, "begin_state: a state of another shape");
    return record_like(t, &wf_op_begin_state, 2, (wf_tensor *[]){state, first}, state, WF_F32, NULL);
}
