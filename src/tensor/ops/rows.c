/* rows.c - rows in another order or number: two middle dimensions exchanged, means of consecutive rows. */
#include "tensor/ops/elementwise.h"

static int row_pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? wf_split_pieces(node->in[0]->dims[0] * node->in[0]->dims[1], 4) : 0;
}

/* ---- swap ---- */
static void swap_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const wf_tensor *x = node->in[0], *y = node->out[0];
    int64_t n = x->dims[1], m = x->dims[2], width = x->dims[3], first, end;
    size_t size = wf_dtypes[x->type].size;
    float tmp[TILE];
    wf_split_bounds(x->dims[0] * n, row_pieces(node, pass, phase), piece, &first, &end);
    for (int64_t r = first; r < end; r++)
        for (int64_t j = 0; j < m; j++) {
            int64_t from = (r * m + j) * width, to = ((r / n * m + j) * n + r % n) * width;
            if (pass == WF_FORWARD) {
                memcpy((char *)y->data + (size_t)to * size, (const char *)x->data + (size_t)from * size, (size_t)width * size);
                continue;
            }
            for (int64_t c = 0; c < width; c += TILE) {
                int64_t count = width - c < TILE ? width - c : TILE;
                store_din(node, 0, from + c, count, load_dout(node, to + c, count, tmp, w), w);
            }
        }
}

const wf_op wf_op_swap_rows = {.name = "swap_rows", .pieces = row_pieces, .run = swap_run};

wf_tensor *wf_swap_rows(wf_tape *t, wf_tensor *x) {
    if (!x)
        return NULL;
    if (x->rank != 4)
        return wf_tape_error(t, WEFT_USAGE, "swap_rows: four dimensions are needed");
    int64_t dims[4] = {x->dims[0], x->dims[2], x->dims[1], x->dims[3]};
    if (dims[1] == 1 || dims[2] == 1)
        return wf_reshape(t, x, 4, dims);
    wf_tensor *y = wf_out(t, x->type, 4, dims);
    return y && wf_record(t, &wf_op_swap_rows, 1, &x, 1, &y, NULL) ? y : NULL;
}

/* ---- means ---- */
static int mean_pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? wf_split_pieces(node->out[0]->dims[0] * node->out[0]->dims[1], 4) : 0;
}

static void mean_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const wf_tensor *y = node->out[0];
    int64_t rows = y->dims[0] * y->dims[1], per = node->in[0]->dims[1] / y->dims[1], width = y->count / rows, first, end;
    float tmp[TILE], sum[TILE], scale = 1.0f / (float)per;
    wf_split_bounds(rows, mean_pieces(node, pass, phase), piece, &first, &end);
    for (int64_t r = first; r < end; r++)
        for (int64_t c = 0; c < width; c += TILE) {
            int64_t n = width - c < TILE ? width - c : TILE;
            memset(sum, 0, sizeof sum);
            for (int64_t i = r * per; pass == WF_FORWARD && i < (r + 1) * per; i++)
                w->k->add(sum, sum, load_in(node, 0, i * width + c, n, tmp, w), n);
            if (pass == WF_FORWARD) {
                w->k->scale(sum, scale, sum, n);
                store_out(node, r * width + c, n, sum, w);
                continue;
            }
            w->k->scale(sum, scale, load_dout(node, r * width + c, n, tmp, w), n);
            for (int64_t i = r * per; i < (r + 1) * per; i++)
                store_din(node, 0, i * width + c, n, sum, w);
        }
}

const wf_op wf_op_mean_rows = {.name = "mean_rows", .pieces = mean_pieces, .run = mean_run};

wf_tensor *wf_mean_rows(wf_tape *t, wf_tensor *x, int64_t per) {
    if (!x || per == 1)
        return x;
    if (x->rank < 2 || per < 1 || x->dims[1] % per != 0)
        return wf_tape_error(t, WEFT_USAGE, "mean_rows: %lld rows are not whole groups of %lld",
                             (long long)(x->rank < 2 ? 0 : x->dims[1]), (long long)per);
    int64_t dims[WF_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    dims[1] /= per;
    wf_tensor *y = wf_out(t, WF_F32, x->rank, dims);
    return y && wf_record(t, &wf_op_mean_rows, 1, &x, 1, &y, NULL) ? y : NULL;
}
