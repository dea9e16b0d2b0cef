/* pieces.c - layers that work on every token by itself, a piece of the tokens after the other (the Reformer's chunked
 * feed-forward, Kitaev et al. 2020, arXiv 2001.04451, section 3). What is inside one piece is forgotten and computed again in
 * the backward, so that a layer's bytes do not grow with its inner width times all tokens. */
#include "mixers/mixer.h"

typedef struct pieces {
    wf_run *run;
    const wf_layer *layer;
    wf_piece *part;
    wf_tensor *x; /* [N, dim] */
    int64_t size;
} pieces;

static wf_tensor *one(const pieces *p, int64_t first, int64_t count) {
    wf_tape *t = p->run->tape;
    if (wf_tape_grad(t))
        wf_region_begin(t);
    wf_tensor *y =
        p->part(p->run, p->layer, wf_reshape(t, wf_rows(t, p->x, first, count), 3, (int64_t[]){1, count, p->x->dims[1]}));
    if (wf_tape_grad(t))
        wf_region_end(t);
    return y;
}

/* Halves are joined, and their halves before: log(pieces) copies of y in all, of which few live at a time. */
static wf_tensor *joined(const pieces *p, int64_t first, int64_t count) {
    int64_t n = (count + p->size - 1) / p->size, left = (n + 1) / 2 * p->size;
    if (n == 1)
        return one(p, first, count);
    wf_tensor *a = joined(p, first, left), *b = joined(p, first + left, count - left);
    return a && b ? wf_time_concat(p->run->tape, a, b) : NULL;
}

wf_tensor *wf_in_pieces(wf_run *run, const wf_layer *layer, wf_piece *part, wf_tensor *x) {
    if (!x || !wf_given(layer, "chunk"))
        return part(run, layer, x);
    int64_t n = x->dims[0] * x->dims[1], least = (n + WF_MOST_PIECES - 1) / WF_MOST_PIECES, size = wf_int(layer, "chunk");
    if (size < least)
        size = least;
    if (n <= size)
        return part(run, layer, x);
    wf_tensor *flat = wf_reshape(run->tape, x, 2, (int64_t[]){n, x->dims[2]});
    wf_tensor *y = flat ? joined(&(pieces){run, layer, part, flat, size}, 0, n) : NULL;
    return y ? wf_reshape(run->tape, y, 3, (int64_t[]){x->dims[0], x->dims[1], y->dims[2]}) : NULL;
}
