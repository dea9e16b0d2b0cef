/* shift_right.c - what a decoder reads of the tokens it is to say: they, one row later. A start token comes first (T5, BART),
 * or the last token that is not padding does, which was the language (mBART). Labels that do not count become padding. */
#include "tensor/ops/elementwise.h"

typedef struct shift_right {
    bool rotate;
    int64_t token, padding;
} shift_right;

static int batch_pieces(const wf_node *node, wf_pass pass, int phase) {
    return pass == WF_FORWARD && phase == 0 ? (int)node->in[0]->dims[0] : 0;
}

static int32_t filled(int32_t id, int64_t padding) { return id < 0 ? (int32_t)padding : id; }

/* The token after which only padding comes, when padding is nowhere else: the reference counts the others. */
static int32_t last_token(const int32_t *ids, int64_t rows, int64_t padding) {
    int64_t n = 0;
    for (int64_t i = 0; i < rows; i++)
        n += filled(ids[i], padding) != padding;
    return filled(ids[n > 0 ? n - 1 : rows - 1], padding);
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const shift_right *a = node->attr;
    int64_t rows = node->in[0]->dims[1];
    const int32_t *ids = (const int32_t *)node->in[0]->data + piece * rows;
    int32_t *to = (int32_t *)node->out[0]->data + piece * rows;
    (void)pass, (void)phase, (void)w;
    to[0] = a->rotate ? last_token(ids, rows, a->padding) : (int32_t)a->token;
    for (int64_t i = 1; i < rows; i++)
        to[i] = filled(ids[i - 1], a->padding);
}

const wf_op wf_op_shift_right = {.name = "shift_right", .pieces = batch_pieces, .run = run, .no_grad = true};

wf_tensor *wf_shift_right(wf_tape *t, wf_tensor *ids, bool rotate, int64_t token, int64_t padding) {
    if (!ids)
        return NULL;
    if (ids->type != WF_I32 || ids->rank != 2)
        return wf_tape_error(t, WEFT_USAGE, "shift_right: int32 ids [B,T] are needed");
    shift_right *a = attr_copy(t, &(shift_right){rotate, token, padding}, sizeof(shift_right));
    wf_tensor *y = wf_out(t, WF_I32, 2, ids->dims);
    return a && y && wf_record(t, &wf_op_shift_right, 1, &ids, 1, &y, a) ? y : NULL;
}
