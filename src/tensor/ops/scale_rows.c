/* scale_rows.c - every row times a number of its own: y[r, :] = x[r, :] * s[r], or s[r mod count] when the leading rows share
 * them. The backward makes one product per row, which a second phase sums over the rows that share a number. */
#include "tensor/ops/elementwise.h"

enum { X, S };

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    if (phase == 0)
        return wf_split_pieces(wf_row_count(node->in[X]), 64);
    return phase == 1 && pass == WF_BACKWARD && node->grad_mode[S] ? wf_split_pieces(node->in[S]->count, 64) : 0;
}

static void rows(const wf_node *node, wf_pass pass, int piece, wf_worker *w) {
    int64_t n = wf_dim(node->in[X], -1), count = wf_row_count(node->in[X]), numbers = node->in[S]->count, first, end;
    const float *s = node->in[S]->data;
    float *products = node->work_data[WF_BACKWARD], tx[TILE], ty[TILE], out[TILE];
    wf_split_bounds(count, wf_split_pieces(count, 64), piece, &first, &end);
    for (int64_t r = first; r < end; r++) {
        double sum = 0.0;
        for (int64_t c = 0; c < n; c += TILE) {
            int64_t m = n - c < TILE ? n - c : TILE, at = r * n + c;
            const float *x = load_in(node, X, at, m, tx, w), *from = pass == WF_FORWARD ? x : load_dout(node, at, m, ty, w);
            w->k->scale(out, s[r % numbers], from, m);
            if (pass == WF_FORWARD)
                store_out(node, at, m, out, w);
            else
                store_din(node, X, at, m, out, w);
            if (pass == WF_BACKWARD && node->grad_mode[S])
                sum += w->k->dot(x, from, m);
        }
        if (pass == WF_BACKWARD)
            products[r] = (float)sum;
    }
}

static void numbers(const wf_node *node, int piece, wf_worker *w) {
    int64_t count = wf_row_count(node->in[X]), n = node->in[S]->count, first, end;
    const float *products = node->work_data[WF_BACKWARD];
    wf_split_bounds(n, wf_split_pieces(n, 64), piece, &first, &end);
    for (int64_t i = first; i < end; i++) {
        double sum = 0.0;
        for (int64_t r = i; r < count; r += n)
            sum += (double)products[r];
        store_din(node, S, i, 1, &(float){(float)sum}, w);
    }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    if (phase == 0)
        rows(node, pass, piece, w);
    else
        numbers(node, piece, w);
}

const wf_op wf_op_scale_rows = {.name = "scale_rows", .pieces = pieces, .run = run, .saves_in = 1u << X | 1u << S};

wf_tensor *wf_scale_rows(wf_tape *t, wf_tensor *x, wf_tensor *s) {
    if (!x || !s || !(s = wf_cast(t, s, WF_F32)))
        return NULL;
    if (wf_row_count(x) % s->count != 0)
        return wf_tape_error(t, WEFT_USAGE, "scale_rows: %lld numbers for %lld rows", (long long)s->count,
                             (long long)wf_row_count(x));
    wf_tensor *y = wf_out(t, x->type, x->rank, x->dims);
    wf_node *node = y ? wf_record(t, &wf_op_scale_rows, 2, (wf_tensor *[]){x, s}, 1, &y, NULL) : NULL;
    if (!node)
        return NULL;
    node->work[WF_BACKWARD] = (size_t)wf_row_count(x) * sizeof(float);
    return y;
}
