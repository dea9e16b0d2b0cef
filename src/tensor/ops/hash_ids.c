/* hash_ids.c - ids hashed into buckets: (id + 1) * multiplier mod buckets (Clark et al. 2021, arXiv 2103.06874, section 3.1).
 */
#include "tensor/ops/elementwise.h"

typedef struct hash_ids {
    int64_t multiplier, buckets;
} hash_ids;

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    return pass == WF_FORWARD && phase == 0 ? wf_split_pieces(node->out[0]->count, 4096) : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const hash_ids *a = node->attr;
    const int32_t *ids = node->in[0]->data;
    int32_t *y = node->out[0]->data;
    int64_t first, end;
    (void)pass, (void)phase, (void)w;
    wf_split_bounds(node->out[0]->count, wf_split_pieces(node->out[0]->count, 4096), piece, &first, &end);
    for (int64_t i = first; i < end; i++)
        y[i] = (int32_t)(((int64_t)ids[i] + 1) * a->multiplier % a->buckets);
}

const wf_op wf_op_hash_ids = {.name = "hash_ids", .pieces = pieces, .run = run, .no_grad = true};

wf_tensor *wf_hash_ids(wf_tape *t, wf_tensor *ids, int64_t multiplier, int64_t buckets) {
    if (!ids)
        return NULL;
    if (ids->type != WF_I32 || multiplier < 1 || multiplier > INT32_MAX || buckets < 1 || buckets > INT32_MAX)
        return wf_tape_error(t, WEFT_USAGE, "hash_ids: int32 ids and buckets are needed");
    hash_ids *a = attr_copy(t, &(hash_ids){multiplier, buckets}, sizeof(hash_ids));
    return a ? record_like(t, &wf_op_hash_ids, 1, &ids, ids, WF_I32, a) : NULL;
}
