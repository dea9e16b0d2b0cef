/* merge_partials.c - attention computed in parts becomes whole: L = ln sum_p e^lse_p, o = sum_p e^(lse_p - L) o_p (the merge of
 * ring attention, Liu et al. 2023, arXiv 2310.01889; of Reformer's rounds, Kitaev et al. 2020, arXiv 2001.04451). Row (part p,
 * token t) of the parts stands at place[b,h,p*T+t], or at p*T+t. A token no part has keys for takes its row of `fallback`, or
 * 0. */
#include <math.h>
#include "tensor/ops/elementwise.h"
#include "tensor/ops/partials.h"

enum { O, LSE, PLACE, FALLBACK };

typedef struct merge {
    int64_t batch, t, heads, width, parts;
} merge;

static int pieces(const wf_node *node, wf_pass pass, int phase) { /* tokens with all their heads, which lie together */
    const merge *a = node->attr;
    (void)pass;
    return phase == 0 ? wf_split_pieces(a->batch * a->t, 64) : 0;
}

typedef struct token {
    int64_t b, h, t, row; /* row: its first element in [B,T,H,V] */
    float lse;
} token;

static int64_t entry(const wf_node *node, const token *at, int64_t part) {
    const merge *a = node->attr;
    int64_t n = part * a->t + at->t;
    return node->in[PLACE] ? ((const int32_t *)node->in[PLACE]->data)[(at->b * a->heads + at->h) * a->parts * a->t + n] : n;
}

static int64_t part_row(const wf_node *node, const token *at, int64_t e) {
    const merge *a = node->attr;
    return ((at->b * a->parts * a->t + e) * a->heads + at->h) * a->width;
}

static int64_t lse_at(const wf_node *node, const token *at, int64_t e) {
    const merge *a = node->attr;
    return (at->b * a->heads + at->h) * a->parts * a->t + e;
}

static float lse_of(const wf_node *node, const token *at, int64_t e) {
    return ((const float *)node->in[LSE]->data)[lse_at(node, at, e)];
}

float wf_join_lse(const float *lse, const int32_t *place, int64_t parts, int64_t step) {
    double most = -INFINITY, sum = 0.0;
    if (parts == 1)
        return lse[place ? *place : 0];
    for (int64_t p = 0; p < parts; p++)
        most = fmax(most, (double)lse[place ? place[p * step] : p * step]);
    if (most == -INFINITY)
        return -INFINITY;
    for (int64_t p = 0; p < parts; p++)
        sum += exp((double)lse[place ? place[p * step] : p * step] - most);
    return (float)(most + log(sum));
}

static token open_token(const wf_node *node, int64_t b, int64_t t, int64_t h) {
    const merge *a = node->attr;
    token at = {b, h, t, ((b * a->t + t) * a->heads + h) * a->width, -INFINITY};
    const int64_t head = (b * a->heads + h) * a->parts * a->t;
    const float *lse = (const float *)node->in[LSE]->data + head;
    const int32_t *place = node->in[PLACE] ? (const int32_t *)node->in[PLACE]->data + head + t : NULL;
    at.lse = wf_join_lse(place ? lse : lse + t, place, a->parts, a->t);
    return at;
}

static float share(const wf_node *node, const token *at, int64_t e) {
    float lse = lse_of(node, at, e);
    return lse == -INFINITY ? 0.0f : expf(lse - at->lse);
}

static void forward(const wf_node *node, const token *at, float *y, float *tmp, wf_worker *w) {
    const merge *a = node->attr;
    memset(y, 0, (size_t)a->width * sizeof *y);
    for (int64_t p = 0; p < a->parts && at->lse != -INFINITY; p++) {
        int64_t e = entry(node, at, p);
        w->k->axpy(y, share(node, at, e),
                   wf_load(w, node->in[O]->data, node->in[O]->type, part_row(node, at, e), a->width, tmp), a->width);
    }
    if (at->lse == -INFINITY && node->in[FALLBACK])
        w->k->scale(y, 1.0f, wf_load(w, node->in[FALLBACK]->data, node->in[FALLBACK]->type, at->row, a->width, tmp), a->width);
    store_out(node, at->row, a->width, y, w);
}

static void backward(const wf_node *node, const token *at, float *y, float *tmp, wf_worker *w) {
    const merge *a = node->attr;
    const float *dy = load_dout(node, at->row, a->width, tmp, w), *out = (const float *)node->out[0]->data + at->row;
    float inner = (float)w->k->dot(dy, out, a->width), *other = y + a->width;
    for (int64_t p = 0; p < a->parts; p++) {
        int64_t e = entry(node, at, p), row = part_row(node, at, e);
        float s = at->lse == -INFINITY ? 0.0f : share(node, at, e);
        const float *o = wf_load(w, node->in[O]->data, node->in[O]->type, row, a->width, other);
        store_din(node, LSE, lse_at(node, at, e), 1, &(float){s * ((float)w->k->dot(dy, o, a->width) - inner)}, w);
        w->k->scale(y, s, dy, a->width);
        store_din(node, O, row, a->width, y, w);
    }
    if (node->in[FALLBACK]) {
        w->k->scale(y, at->lse == -INFINITY ? 1.0f : 0.0f, dy, a->width);
        store_din(node, FALLBACK, at->row, a->width, y, w);
    }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const merge *a = node->attr;
    float *y = w->scratch, *tmp = y + 2 * a->width;
    int64_t first, end;
    (void)phase;
    wf_split_bounds(a->batch * a->t, wf_split_pieces(a->batch * a->t, 64), piece, &first, &end);
    for (int64_t t = first * a->heads; t < end * a->heads; t++) {
        token at = open_token(node, t / a->heads / a->t, t / a->heads % a->t, t % a->heads);
        (pass == WF_FORWARD ? forward : backward)(node, &at, y, tmp, w);
    }
}

const wf_op wf_op_merge_partials = {.name = "merge_partials", .pieces = pieces, .run = run, .saves_in = 15, .saves_out = 1};

wf_tensor *wf_merge_partials(wf_tape *t, wf_tensor *o, wf_tensor *lse, wf_tensor *place, wf_tensor *fallback, int64_t parts) {
    if (!o || !lse)
        return NULL;
    if (o->rank != 4 || parts < 1 || o->dims[1] % parts != 0 || lse->type != WF_F32 ||
        lse->count != o->dims[0] * o->dims[1] * o->dims[2] ||
        (place && (place->type != WF_I32 || place->count != lse->count)) || (fallback && fallback->count * parts != o->count))
        return wf_tape_error(t, WEFT_USAGE, "merge_partials: the parts do not fit");
    merge *a = attr_copy(t, &(merge){o->dims[0], o->dims[1] / parts, o->dims[2], o->dims[3], parts}, sizeof(merge));
    wf_tensor *y = a ? wf_out(t, WF_F32, 4, (int64_t[]){a->batch, a->t, a->heads, a->width}) : NULL;
    wf_node *node = y ? wf_record(t, &wf_op_merge_partials, 4, (wf_tensor *[]){o, lse, place, fallback}, 1, &y, a) : NULL;
    if (!node)
        return NULL;
    node->scratch = (size_t)(3 * a->width) * sizeof(float);
    return y;
}
