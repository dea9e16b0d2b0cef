/* conv.c - short causal convolution over time, one filter per channel, with its state and an optional silu. A piece is a block
 * of channels of one sequence; weights gather their gradient per sequence, summed in order by a second phase. */
#include "tensor/ops/parts.h"

enum { X, W, B, S_IN };
enum { Y, S_OUT };
enum { BLOCK = 64, SUM = 256 };

typedef struct conv {
    int64_t batch, t, channels, width, blocks;
    bool silu;
    int s_out, raw; /* index among the outputs, -1: not there; raw: before silu, for the backward */
} conv;

static int64_t rows(const conv *a) { return a->batch * a->t; }
static float *grad_of(const wf_node *node, int i) { return i < 0 ? NULL : node->out[i]->grad; }

typedef struct piece_at {
    int64_t b, c0, c1, row, state;
} piece_at; /* first element of the sequence in [B,T,C], of its state */
static piece_at locate(const conv *a, int piece) {
    int64_t b = piece / a->blocks, c0 = piece % a->blocks * BLOCK, c1 = c0 + BLOCK;
    return (piece_at){b, c0, c1 < a->channels ? c1 : a->channels, b * a->t * a->channels, b * a->channels * (a->width - 1)};
}

/* The last width-1 inputs; those before this call come from s_in, which may be the same memory. */
static void write_state(const wf_node *node, piece_at at) {
    const conv *a = node->attr;
    const float *x = (const float *)node->in[X]->data + at.row, *before = data_of(node->in[S_IN]);
    float *after = (float *)node->out[a->s_out]->data + at.state;
    int64_t kept = a->width - 1;
    for (int64_t c = at.c0; c < at.c1; c++)
        for (int64_t j = 0; j < kept; j++) {
            int64_t time = a->t - kept + j;
            float old = before && time < 0 ? before[at.state + c * kept + time + kept] : 0.0f;
            after[c * kept + j] = time >= 0 ? x[time * a->channels + c] : old;
        }
}

static void forward(const wf_node *node, piece_at at, const wf_worker *w) {
    const conv *a = node->attr;
    const float *s_in = data_of(node->in[S_IN]);
    float *y = (float *)node->out[Y]->data + at.row, *raw = a->raw < 0 ? y : (float *)node->out[a->raw]->data + at.row;
    w->k->conv(raw, (const float *)node->in[X]->data + at.row, node->in[W]->data, data_of(node->in[B]),
               s_in ? s_in + at.state : NULL, a->t, a->channels, a->width, at.c0, at.c1);
    for (int64_t i = 0; a->silu && i < a->t; i++)
        w->k->activate(WF_SILU, y + i * a->channels + at.c0, raw + i * a->channels + at.c0, at.c1 - at.c0);
    if (a->s_out >= 0)
        write_state(node, at);
}

/* The backward's own memory. */
typedef struct parts {
    float *draw, *dx, *ds, *dw, *db;
    size_t count;
} parts;
static parts map_parts(const conv *a, float *base) {
    parts p = {0};
    p.draw = carve(base, &p.count, rows(a) * a->channels);
    p.dx = carve(base, &p.count, rows(a) * a->channels);
    p.ds = carve(base, &p.count, a->batch * a->channels * (a->width - 1));
    p.dw = carve(base, &p.count, a->batch * a->channels * a->width);
    p.db = carve(base, &p.count, a->batch * a->channels);
    return p;
}

/* Gradient of the convolution before silu; zeros when only the state has a gradient. */
static const float *raw_gradient(const wf_node *node, piece_at at, float *to, const wf_worker *w) {
    const conv *a = node->attr;
    const float *dy = grad_of(node, Y), *raw = a->raw < 0 ? NULL : node->out[a->raw]->data;
    if (dy && !a->silu)
        return dy + at.row;
    for (int64_t i = 0; i < a->t; i++) {
        int64_t row = at.row + i * a->channels + at.c0;
        if (dy)
            w->k->activate_back(WF_SILU, to + row, raw + row, dy + row, at.c1 - at.c0);
        else
            memset(to + row, 0, (size_t)(at.c1 - at.c0) * sizeof *to);
    }
    return to + at.row;
}

/* The state after the call is inputs of the call or of the state before it. */
static void add_state_gradient(const wf_node *node, piece_at at, float *dx, float *ds) {
    const conv *a = node->attr;
    const float *after = grad_of(node, a->s_out);
    int64_t kept = a->width - 1;
    for (int64_t c = at.c0; after && c < at.c1; c++)
        for (int64_t j = 0; j < kept; j++) {
            int64_t time = a->t - kept + j;
            float *to = time >= 0 ? dx + at.row + time * a->channels + c : ds + at.state + c * kept + time + kept;
            *to += after[at.state + c * kept + j];
        }
}

static void backward(const wf_node *node, piece_at at, const wf_worker *w) {
    const conv *a = node->attr;
    parts p = map_parts(a, node->work_data[WF_BACKWARD]);
    const float *s_in = data_of(node->in[S_IN]), *draw = raw_gradient(node, at, p.draw, w);
    float *dw = p.dw + at.b * a->channels * a->width, *db = p.db + at.b * a->channels, beta, *grad;
    int64_t n = at.c1 - at.c0, kept = (a->width - 1) * n;
    memset(dw + at.c0 * a->width, 0, (size_t)(n * a->width) * sizeof *dw);
    memset(db + at.c0, 0, (size_t)n * sizeof *db);
    w->k->conv_back(p.dx + at.row, dw, db, p.ds + at.state, (const float *)node->in[X]->data + at.row, draw, node->in[W]->data,
                    s_in ? s_in + at.state : NULL, a->t, a->channels, a->width, at.c0, at.c1);
    add_state_gradient(node, at, p.dx, p.ds);
    if ((grad = wf_grad_in(node, X, w, &beta)))
        for (int64_t i = 0; i < a->t; i++)
            wf_store(w, grad, WF_F32, at.row + i * a->channels + at.c0, n, p.dx + at.row + i * a->channels + at.c0, beta);
    if ((grad = wf_grad_in(node, S_IN, w, &beta)))
        wf_store(w, grad, WF_F32, at.state + at.c0 * (a->width - 1), kept, p.ds + at.state + at.c0 * (a->width - 1), beta);
}

static void sum_weights(const wf_node *node, int piece, const wf_worker *w) {
    const conv *a = node->attr;
    parts p = map_parts(a, node->work_data[WF_BACKWARD]);
    int64_t first, end;
    float beta, *grad;
    wf_split_bounds(a->channels, wf_split_pieces(a->channels, SUM), piece, &first, &end);
    for (int i = W; i <= B; i++) {
        int64_t width = i == W ? a->width : 1;
        const float *from = (i == W ? p.dw : p.db) + first * width;
        if (!(grad = wf_grad_in(node, i, w, &beta)))
            continue;
        for (int64_t b = 0; b < a->batch; b++, beta = 1.0f)
            wf_store(w, grad, WF_F32, first * width, (end - first) * width, from + b * a->channels * width, beta);
    }
}

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const conv *a = node->attr;
    bool weights = node->grad_mode[W] || node->grad_mode[B];
    if (phase == 0)
        return (int)(a->batch * a->blocks);
    return pass == WF_BACKWARD && phase == 1 && weights ? wf_split_pieces(a->channels, SUM) : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    if (pass == WF_FORWARD)
        forward(node, locate(node->attr, piece), w);
    else if (phase == 0)
        backward(node, locate(node->attr, piece), w);
    else
        sum_weights(node, piece, w);
}

static double flops(const wf_node *node, wf_pass pass) {
    const conv *a = node->attr;
    double one = 2.0 * (double)rows(a) * (double)a->channels * (double)a->width;
    return pass == WF_FORWARD ? one : 2 * one;
}

const wf_op wf_op_conv = {.name = "conv",
                          .pieces = pieces,
                          .run = run,
                          .flops = flops,
                          .in_place = 1u << S_OUT,
                          .saves_in = 1u << X | 1u << W | 1u << S_IN,
                          .saves_out = 1u << 1 | 1u << 2};

static wf_node *record(wf_tape *t, wf_tensor *const *in, conv *a, bool want_state) {
    wf_tensor *out[3] = {wf_out(t, WF_F32, 3, in[X]->dims)};
    int n = 1;
    a->s_out = a->raw = -1;
    if (want_state)
        out[a->s_out = n++] = wf_out(t, WF_F32, 3, (int64_t[]){a->batch, a->channels, a->width - 1});
    if (a->silu && wf_tape_grad(t))
        out[a->raw = n++] = wf_out(t, WF_F32, 3, in[X]->dims);
    conv *attr = attr_copy(t, a, sizeof *a);
    wf_node *node = attr ? wf_record(t, &wf_op_conv, 4, in, n, out, attr) : NULL;
    if (node)
        node->work[WF_BACKWARD] = map_parts(a, NULL).count * sizeof(float);
    return node;
}

wf_tensor *wf_conv(wf_tape *t, wf_tensor *x, wf_tensor *weight, wf_tensor *bias, bool silu, wf_tensor *s_in,
                   wf_tensor **s_out) {
    wf_no_output(s_out);
    if (!x || !weight)
        return NULL;
    wf_tensor *in[] = {wf_cast(t, x, WF_F32), weight, bias, s_in};
    if (!in[X])
        return NULL;
    conv a = {.batch = x->dims[0],
              .t = x->rank == 3 ? x->dims[1] : 0,
              .channels = wf_dim(x, -1),
              .width = wf_dim(weight, -1),
              .silu = silu};
    a.blocks = (a.channels + BLOCK - 1) / BLOCK;
    if (x->rank != 3 || weight->dims[0] != a.channels || weight->count != a.channels * a.width ||
        (bias && bias->count != a.channels) || (s_in && s_in->count != a.batch * a.channels * (a.width - 1)))
        return wf_tape_error(t, WEFT_USAGE, "conv: a filter [%lld, %lld] does not fit %lld channels",
                             (long long)weight->dims[0], (long long)a.width, (long long)a.channels);
    bool want_state = s_out && a.width > 1; /* one tap remembers nothing */
    wf_node *node = record(t, in, &a, want_state);
    if (node && s_out)
        *s_out = want_state ? node->out[a.s_out] : NULL;
    return node ? node->out[Y] : NULL;
}
