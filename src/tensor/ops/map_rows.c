/* map_rows.c - rows mixed by given numbers: y[b,i] = sum_j m[b,i,j] x[b,j], or with the numbers turned, sum_j m[b,j,i] x[b,j].
 * The numbers are an input without a gradient. */
#include "tensor/ops/elementwise.h"

enum { X, MAP };
typedef struct map_rows {
    int64_t b, from, to, width;
    bool turned;
} map_rows;

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const map_rows *a = node->attr;
    (void)pass;
    return phase == 0 ? (int)a->b : 0;
}

static float number(const wf_node *node, int64_t b, int64_t to, int64_t from) {
    const map_rows *a = node->attr;
    return ((const float *)node->in[MAP]->data)[b * a->from * a->to + (a->turned ? from * a->to + to : to * a->from + from)];
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const map_rows *a = node->attr;
    bool back = pass == WF_BACKWARD;
    int64_t rows = back ? a->from : a->to, others = back ? a->to : a->from;
    const float *of = (const float *)(back ? node->out[0]->grad : node->in[X]->data) + piece * others * a->width;
    float *sum = w->scratch;
    (void)phase;
    for (int64_t r = 0; r < rows; r++) {
        memset(sum, 0, (size_t)a->width * sizeof *sum);
        for (int64_t o = 0; o < others; o++)
            w->k->axpy(sum, back ? number(node, piece, o, r) : number(node, piece, r, o), of + o * a->width, a->width);
        if (back)
            store_din(node, X, (piece * rows + r) * a->width, a->width, sum, w);
        else
            memcpy((float *)node->out[0]->data + (piece * rows + r) * a->width, sum, (size_t)a->width * sizeof *sum);
    }
}

const wf_op wf_op_map_rows = {.name = "map_rows", .pieces = pieces, .run = run, .saves_in = 1u << MAP};

wf_tensor *wf_map_rows(wf_tape *t, wf_tensor *x, wf_tensor *map, bool turned) {
    x = wf_cast(t, x, WF_F32);
    if (!x || !map)
        return NULL;
    int64_t from = map->rank == 3 ? map->dims[turned ? 1 : 2] : 0, to = map->rank == 3 ? map->dims[turned ? 2 : 1] : 0;
    if (x->rank != 3 || map->type != WF_F32 || map->dims[0] != x->dims[0] || x->dims[1] != from)
        return wf_tape_error(t, WEFT_USAGE, "map_rows: rows and numbers do not fit");
    map_rows *a = attr_copy(t, &(map_rows){x->dims[0], from, to, x->dims[2], turned}, sizeof *a);
    wf_tensor *y = wf_out(t, WF_F32, 3, (int64_t[]){x->dims[0], to, x->dims[2]});
    wf_node *node = a && y ? wf_record(t, &wf_op_map_rows, 2, (wf_tensor *[]){x, map}, 1, &y, a) : NULL;
    if (node)
        node->scratch = (size_t)a->width * sizeof(float);
    return node ? y : NULL;
}
