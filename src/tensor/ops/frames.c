/* frames.c - windows of rows in steps, what a strided convolution over time multiplies: y[b,t,k,:] = x[b, t*stride - padding +
 * k, :], zeros beyond the ends; and the mask of such rows: a window counts when the row it steps on does. */
#include "tensor/ops/elementwise.h"

typedef struct frames {
    int64_t kernel, stride, padding;
} frames;

static int batch_pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? (int)node->in[0]->dims[0] : 0;
}

static void forward(const wf_node *node, int64_t b, wf_worker *w) {
    const frames *a = node->attr;
    int64_t rows = node->in[0]->dims[1], n = node->in[0]->dims[2], out = node->out[0]->dims[1];
    float tmp[TILE], zero[TILE] = {0};
    for (int64_t t = 0; t < out; t++)
        for (int64_t k = 0; k < a->kernel; k++)
            for (int64_t c = 0; c < n; c += TILE) {
                int64_t from = t * a->stride - a->padding + k, m = n - c < TILE ? n - c : TILE;
                bool inside = from >= 0 && from < rows;
                store_out(node, ((b * out + t) * a->kernel + k) * n + c, m,
                          inside ? load_in(node, 0, (b * rows + from) * n + c, m, tmp, w) : zero, w);
            }
}

/* The first window that holds row r. */
static int64_t first_window(const frames *a, int64_t r) {
    int64_t least = r + a->padding - a->kernel + 1;
    return least > 0 ? (least + a->stride - 1) / a->stride : 0;
}

static void backward(const wf_node *node, int64_t b, wf_worker *w) {
    const frames *a = node->attr;
    int64_t rows = node->in[0]->dims[1], n = node->in[0]->dims[2], out = node->out[0]->dims[1];
    float tmp[TILE], sum[TILE];
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < n; c += TILE) {
            int64_t m = n - c < TILE ? n - c : TILE;
            memset(sum, 0, (size_t)m * sizeof *sum);
            for (int64_t t = first_window(a, r); t < out && t * a->stride - a->padding <= r; t++) {
                int64_t k = r + a->padding - t * a->stride;
                w->k->add(sum, sum, load_dout(node, ((b * out + t) * a->kernel + k) * n + c, m, tmp, w), m);
            }
            store_din(node, 0, (b * rows + r) * n + c, m, sum, w);
        }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    (void)phase;
    (pass == WF_FORWARD ? forward : backward)(node, piece, w);
}

const wf_op wf_op_frames = {.name = "frames", .pieces = batch_pieces, .run = run};

int64_t wf_frame_count(int64_t rows, int64_t kernel, int64_t stride, int64_t padding) {
    return rows + 2 * padding < kernel ? 0 : (rows + 2 * padding - kernel) / stride + 1;
}

wf_tensor *wf_frames(wf_tape *t, wf_tensor *x, int64_t kernel, int64_t stride, int64_t padding) {
    if (!x)
        return NULL;
    int64_t rows = x->rank == 3 && kernel > 0 && stride > 0 ? wf_frame_count(x->dims[1], kernel, stride, padding) : 0;
    if (rows < 1)
        return wf_tape_error(t, WEFT_USAGE, "frames: too few rows for a window of %lld", (long long)kernel);
    frames *a = attr_copy(t, &(frames){kernel, stride, padding}, sizeof(frames));
    wf_tensor *y = wf_out(t, x->type, 3, (int64_t[]){x->dims[0], rows, kernel * x->dims[2]});
    return a && y && wf_record(t, &wf_op_frames, 1, &x, 1, &y, a) ? y : NULL;
}

/* ---- the mask ---- */
static int mask_pieces(const wf_node *node, wf_pass pass, int phase) {
    return pass == WF_FORWARD && phase == 0 ? (int)node->in[0]->dims[0] : 0;
}

static void mask_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t rows = node->in[0]->dims[1], out = node->out[0]->dims[1], stride = ((const frames *)node->attr)->stride;
    const uint8_t *mask = (const uint8_t *)node->in[0]->data + piece * rows;
    uint8_t *to = (uint8_t *)node->out[0]->data + piece * out;
    (void)pass, (void)phase, (void)w;
    for (int64_t i = 0; i < out; i++)
        to[i] = i * stride < rows && mask[i * stride];
}

const wf_op wf_op_frame_mask = {.name = "frame_mask", .pieces = mask_pieces, .run = mask_run, .no_grad = true};

wf_tensor *wf_frame_mask(wf_tape *t, wf_tensor *mask, int64_t rows, int64_t stride) {
    if (!mask)
        return NULL;
    if (mask->type != WF_U8 || mask->rank != 2 || rows < 1 || stride < 1)
        return wf_tape_error(t, WEFT_USAGE, "frame_mask: one byte per row is needed");
    frames *a = attr_copy(t, &(frames){.stride = stride}, sizeof(frames));
    wf_tensor *y = wf_out(t, WF_U8, 2, (int64_t[]){mask->dims[0], rows});
    return a && y && wf_record(t, &wf_op_frame_mask, 1, &mask, 1, &y, a) ? y : NULL;
}
