/* rnn.c - the frame of the recurrent cells: packing of hh, products per step, the order of steps, backward through time
 * (Werbos 1990). The gradient of hh is one matrix product over all steps after the loop. */
#include "tensor/ops/rnn.h"

enum { FEW = 4, GROUPS = 16, GROUP_BYTES = 1 << 20, BIAS_COLUMNS = 256, COPY_ROWS = 16 };

static const float zeros[RNN_LANES];

static int64_t blocks(const rnn *a) { return (a->hidden + RNN_LANES - 1) / RNN_LANES; }
static int64_t time_of(const rnn *a, int64_t step) { return a->reverse ? a->t - 1 - step : step; }
static bool resets(const rnn *a) { return a->cell->stages > 1; }
static const float *data_of(const wf_tensor *x) { return x ? x->data : NULL; }
static const float *states_of(const wf_node *node) {
    const rnn *a = node->attr;
    return node->out[a->states < 0 ? RNN_Y : a->states]->data;
}

/* ---- working memory ---- */

static float *carve(float *base, size_t *at, int64_t n) {
    float *p = base ? base + *at : NULL;
    *at += (size_t)((n + 15) / 16 * 16);
    return p;
}

static float *ih_gradient(const wf_node *node, const wf_worker *w) {
    float beta, *grad = w ? wf_grad_in(node, RNN_IH, w, &beta) : NULL;
    return grad && beta == 0.0f ? grad : NULL;
}

rnn_memory wf_rnn_memory(const wf_node *node, wf_pass pass, const wf_worker *w) {
    const rnn *a = node->attr;
    float *base = node->work_data[pass], *direct = ih_gradient(node, w);
    int64_t rows = a->batch * a->t;
    rnn_memory m = {0};
    m.panels = carve(base, &m.count, a->sweep ? 0 : blocks(a) * RNN_LANES * a->width);
    m.reset = carve(base, &m.count, resets(a) ? (pass == WF_FORWARD ? a->batch : rows) * a->hidden : 0);
    if (pass == WF_FORWARD)
        return m;
    m.before = carve(base, &m.count, rows * a->hidden);
    m.dh = carve(base, &m.count, a->batch * a->hidden);
    m.dc = carve(base, &m.count, a->cell->cells ? a->batch * a->hidden : 0);
    m.du = carve(base, &m.count, rows * a->width);
    m.dih = m.du;
    if (a->hidden_gate) {
        m.dih = carve(base, &m.count, rows * a->width);
        m.dih = direct ? direct : m.dih;
    } else if (direct) {
        m.du = m.dih = direct;
    }
    return m;
}

/* ---- what cells read and write ---- */

bool wf_rnn_padding(const wf_node *node, rnn_at at, int64_t b) {
    const rnn *a = node->attr;
    const wf_tensor *mask = node->in[RNN_MASK];
    return mask && !((const uint8_t *)mask->data)[b * a->t + at.time];
}

const float *wf_rnn_ih(const wf_node *node, rnn_at at, int64_t b, int gate) {
    const rnn *a = node->attr;
    return (const float *)node->in[RNN_IH]->data + (b * a->t + at.time) * a->width + gate * a->hidden + at.j0;
}

const float *wf_rnn_bias(const wf_node *node, rnn_at at, int gate) {
    const rnn *a = node->attr;
    return node->in[RNN_BIAS] ? (const float *)node->in[RNN_BIAS]->data + gate * a->hidden + at.j0 : NULL;
}

/* Whole row of the state before a step; NULL: zeros. */
static const float *row_before(const wf_node *node, rnn_at at, int64_t b) {
    const rnn *a = node->attr;
    const float *first = data_of(node->in[RNN_H_IN]);
    if (at.step > 0)
        return states_of(node) + (b * a->t + at.before) * a->hidden;
    return first ? first + b * a->hidden : NULL;
}

const float *wf_rnn_before(const wf_node *node, rnn_at at, int64_t b) {
    const float *row = row_before(node, at, b);
    return row ? row + at.j0 : zeros;
}

float *wf_rnn_saved(const wf_node *node, rnn_at at, int64_t b) {
    const rnn *a = node->attr;
    return (float *)node->out[a->gates]->data + (b * a->t + at.time) * RNN_SAVED * a->hidden + RNN_SAVED * at.j0;
}

void wf_rnn_write(const wf_node *node, rnn_at at, int64_t b, const float *h) {
    const rnn *a = node->attr;
    size_t bytes = (size_t)at.n * sizeof(float);
    int64_t to = (b * a->t + at.time) * a->hidden + at.j0;
    memcpy((float *)node->out[RNN_Y]->data + to, h ? h : zeros, bytes);
    if (a->states >= 0)
        memcpy((float *)node->out[a->states]->data + to, h ? h : wf_rnn_before(node, at, b), bytes);
}

const float *wf_rnn_dy(const wf_node *node, rnn_at at, int64_t b) {
    const rnn *a = node->attr;
    const float *dy = node->out[RNN_Y]->grad;
    return dy ? dy + (b * a->t + at.time) * a->hidden + at.j0 : zeros;
}

void wf_rnn_write_back(const wf_node *node, rnn_at at, int64_t b, int gate, const float *du, const float *dih,
                       const wf_worker *w) {
    const rnn *a = node->attr;
    rnn_memory m = wf_rnn_memory(node, WF_BACKWARD, w);
    size_t bytes = (size_t)at.n * sizeof(float);
    int64_t to = (b * a->t + at.time) * a->width + gate * a->hidden + at.j0;
    memcpy(m.du + to, du ? du : zeros, bytes);
    if (m.dih != m.du)
        memcpy(m.dih + to, dih ? dih : zeros, bytes);
}

/* ---- products ---- */

/* Few rows of one step: hh is read once, where it lies. */
static void sweep_product(const wf_node *node, rnn_at at, int g0, int g1, const float *reset, float *z, wf_worker *w) {
    const rnn *a = node->attr;
    float *y = (float *)w->scratch + RNN_ROWS * RNN_SAVED * RNN_LANES;
    for (int64_t i = 0; i < at.rows; i++) {
        const float *from = reset ? reset + (at.b0 + i) * a->hidden : row_before(node, at, at.b0 + i);
        for (int g = g0; from && g < g1; g++) {
            int64_t first = g * a->hidden + at.j0;
            float *to = z + (i * RNN_SAVED + g) * at.n;
            w->k->gemv(y, node->in[RNN_HH]->data, from, NULL, a->hidden, first, first + at.n);
            w->k->add(to, to, y + first, at.n);
        }
    }
}

void wf_rnn_product(const wf_node *node, rnn_at at, int g0, int g1, const float *reset, float *z, wf_worker *w) {
    const rnn *a = node->attr;
    if (a->sweep) {
        sweep_product(node, at, g0, g1, reset, z, w);
        return;
    }
    const float *panels = wf_rnn_memory(node, WF_FORWARD, NULL).panels + at.j0 * a->width;
    const float *from = reset ? reset + at.b0 * a->hidden : row_before(node, at, at.b0);
    int64_t stride = reset || at.step == 0 ? a->hidden : a->t * a->hidden;
    for (int g = g0; from && g < g1; g++)
        w->k->gemm_block(z + g * at.n, RNN_SAVED * at.n, from, stride, 1, panels + g * a->hidden * RNN_LANES, a->hidden,
                         at.rows, at.n, true, NULL);
}

void wf_rnn_product_back(const wf_node *node, rnn_at at, int g0, int g1, float *out, int64_t ldc, wf_worker *w) {
    const rnn *a = node->attr;
    rnn_memory m = wf_rnn_memory(node, WF_BACKWARD, w);
    const float *panel = m.panels + at.j0 * a->width + g0 * a->hidden * RNN_LANES;
    const float *du = m.du + (at.b0 * a->t + at.time) * a->width + g0 * a->hidden;
    w->k->gemm_block(out, ldc, du, a->t * a->width, 1, panel, (g1 - g0) * a->hidden, at.rows, at.n, true, NULL);
}

void wf_rnn_carry(const wf_node *node, rnn_at at, int gates, wf_worker *w) {
    const rnn *a = node->attr;
    float *dh = wf_rnn_memory(node, WF_BACKWARD, w).dh + at.b0 * a->hidden + at.j0;
    if (at.step + 1 == a->t)
        return;
    at.time = at.after;
    wf_rnn_product_back(node, at, 0, gates, dh, a->hidden, w);
}

/* Forward: [gate][p][lane] = hh[gate*h + j0 + lane][p]; backward: [row][lane] = hh[row][j0 + lane]. */
static void pack(const wf_node *node, wf_pass pass, int64_t j0) {
    const rnn *a = node->attr;
    const float *hh = node->in[RNN_HH]->data;
    float *panel = wf_rnn_memory(node, pass, NULL).panels + j0 * a->width;
    int64_t h = a->hidden, n = h - j0 < RNN_LANES ? h - j0 : RNN_LANES;
    memset(panel, 0, (size_t)(a->width * RNN_LANES) * sizeof *panel);
    for (int64_t r = 0; pass == WF_BACKWARD && r < a->width; r++)
        memcpy(panel + r * RNN_LANES, hh + r * h + j0, (size_t)n * sizeof *panel);
    for (int64_t g = 0; pass == WF_FORWARD && g < a->cell->gates; g++)
        for (int64_t lane = 0; lane < n; lane++)
            for (int64_t p = 0; p < h; p++)
                panel[(g * h + p) * RNN_LANES + lane] = hh[(g * h + j0 + lane) * h + p];
}

/* ---- the loop over steps ---- */

static int64_t units(const rnn *a) { return a->t * a->cell->stages; }

/* One stage of one step (units count up in running order, backwards they count from the end), for some sequences and lanes. */
static void run_unit(const wf_node *node, wf_pass pass, int64_t unit, int64_t b0, int64_t b1, int64_t j0, wf_worker *w) {
    const rnn *a = node->attr;
    int64_t u = pass == WF_FORWARD ? unit : units(a) - 1 - unit, step = u / a->cell->stages;
    rnn_at at = {.step = step,
                 .time = time_of(a, step),
                 .before = time_of(a, step - 1),
                 .after = time_of(a, step + 1),
                 .j0 = j0,
                 .n = a->hidden - j0 < RNN_LANES ? a->hidden - j0 : RNN_LANES};
    for (at.b0 = b0; at.b0 < b1; at.b0 += RNN_ROWS) {
        at.rows = b1 - at.b0 < RNN_ROWS ? b1 - at.b0 : RNN_ROWS;
        (pass == WF_FORWARD ? a->cell->forward : a->cell->backward)(node, (int)(u % a->cell->stages), at, w);
    }
}

/* Phases of the loop, and its pieces in each. */
static int64_t loop_phases(const rnn *a) { return a->by_step ? units(a) : 1; }
static int64_t loop_pieces(const rnn *a) { return a->by_step ? blocks(a) : a->groups; }

static void run_loop(const wf_node *node, wf_pass pass, int64_t phase, int piece, wf_worker *w) {
    const rnn *a = node->attr;
    int64_t b0, b1;
    if (a->by_step) {
        run_unit(node, pass, phase, 0, a->batch, piece * RNN_LANES, w);
        return;
    }
    wf_split_bounds(a->batch, (int)a->groups, piece, &b0, &b1);
    for (int64_t unit = 0; unit < units(a); unit++)
        for (int64_t j0 = 0; j0 < a->hidden; j0 += RNN_LANES)
            run_unit(node, pass, unit, b0, b1, j0, w);
}

/* ---- before and after the loop ---- */

static void write_final_states(const wf_node *node) {
    const rnn *a = node->attr;
    int64_t last = time_of(a, a->t - 1);
    size_t bytes = (size_t)a->hidden * sizeof(float);
    for (int64_t b = 0; b < a->batch; b++) {
        int64_t from = (b * a->t + last) * a->hidden;
        memcpy((float *)node->out[RNN_H_OUT]->data + b * a->hidden, states_of(node) + from, bytes);
        if (a->cells >= 0)
            memcpy((float *)node->out[a->c_out]->data + b * a->hidden, (const float *)node->out[a->cells]->data + from, bytes);
    }
}

static void start_gradient(float *to, const float *from, int64_t n) {
    if (from)
        memcpy(to, from, (size_t)n * sizeof *to);
    else
        memset(to, 0, (size_t)n * sizeof *to);
}

static void start_backward(const wf_node *node, int64_t j0, const wf_worker *w) {
    const rnn *a = node->attr;
    rnn_memory m = wf_rnn_memory(node, WF_BACKWARD, w);
    const float *dh = node->out[RNN_H_OUT]->grad, *dc = a->c_out < 0 ? NULL : node->out[a->c_out]->grad;
    int64_t n = a->hidden - j0 < RNN_LANES ? a->hidden - j0 : RNN_LANES;
    pack(node, WF_BACKWARD, j0);
    for (int64_t b = 0; b < a->batch; b++) {
        int64_t at = b * a->hidden + j0;
        start_gradient(m.dh + at, dh ? dh + at : NULL, n);
        if (a->cell->cells)
            start_gradient(m.dc + at, dc ? dc + at : NULL, n);
    }
}

/* The state that each step read, as the rows of a matrix; and r times it. */
static void gather(const wf_node *node, int piece, int n_pieces) {
    const rnn *a = node->attr;
    rnn_memory m = wf_rnn_memory(node, WF_BACKWARD, NULL);
    int64_t first, end, h = a->hidden;
    wf_split_bounds(a->batch * a->t, n_pieces, piece, &first, &end);
    for (int64_t row = first; row < end; row++) {
        int64_t b = row / a->t, time = row % a->t, step = a->reverse ? a->t - 1 - time : time;
        rnn_at at = {.step = step, .time = time, .before = time_of(a, step - 1)};
        start_gradient(m.before + row * h, row_before(node, at, b), h);
        for (int64_t j0 = 0; resets(a) && j0 < h; j0 += RNN_LANES) {
            at.j0 = j0;
            const float *r = wf_rnn_saved(node, at, b);
            for (int64_t j = 0; j < RNN_LANES && j0 + j < h; j++)
                m.reset[row * h + j0 + j] = wf_rnn_padding(node, at, b) ? 0.0f : r[j] * m.before[row * h + j0 + j];
        }
    }
}

static void finish_state_gradients(const wf_node *node, int64_t j0, wf_worker *w) {
    const rnn *a = node->attr;
    rnn_memory m = wf_rnn_memory(node, WF_BACKWARD, w);
    int64_t n = a->hidden - j0 < RNN_LANES ? a->hidden - j0 : RNN_LANES;
    float beta, *grad;
    rnn_at at = {.step = -1, .after = time_of(a, 0), .j0 = j0, .n = n};
    for (at.b0 = 0; at.b0 < a->batch; at.b0 += RNN_ROWS) {
        at.rows = a->batch - at.b0 < RNN_ROWS ? a->batch - at.b0 : RNN_ROWS;
        wf_rnn_carry(node, at, resets(a) ? a->cell->gates - 1 : a->cell->gates, w);
    }
    for (int64_t b = 0; b < a->batch; b++) {
        int64_t to = b * a->hidden + j0;
        if ((grad = wf_grad_in(node, RNN_H_IN, w, &beta)))
            wf_store(w, grad, WF_F32, to, n, m.dh + to, beta);
        if (a->cell->cells && (grad = wf_grad_in(node, RNN_C_IN, w, &beta)))
            wf_store(w, grad, WF_F32, to, n, m.dc + to, beta);
    }
}

static bool wants(const wf_node *node, int i) { return node->grad_mode[i] != 0; }

static void bias_gradient(const wf_node *node, int piece, const wf_worker *w) {
    const rnn *a = node->attr;
    rnn_memory m = wf_rnn_memory(node, WF_BACKWARD, w);
    float beta, sum[BIAS_COLUMNS] = {0}, *grad = wf_grad_in(node, RNN_BIAS, w, &beta);
    int64_t first = (int64_t)piece * BIAS_COLUMNS, n = a->width - first < BIAS_COLUMNS ? a->width - first : BIAS_COLUMNS;
    for (int64_t row = 0; row < a->batch * a->t; row++)
        w->k->add(sum, sum, m.du + row * a->width + first, n);
    wf_store(w, grad, WF_F32, first, n, sum, beta);
}

static void ih_add(const wf_node *node, int piece, int n_pieces, const wf_worker *w) {
    const rnn *a = node->attr;
    rnn_memory m = wf_rnn_memory(node, WF_BACKWARD, w);
    int64_t first, end;
    float beta, *grad = wf_grad_in(node, RNN_IH, w, &beta);
    wf_split_bounds(a->batch * a->t * a->width, n_pieces, piece, &first, &end);
    if (grad != m.dih)
        wf_store(w, grad, WF_F32, first, end - first, m.dih + first, beta);
}

/* Kinds of pieces of the last phase. */
enum { DW, DW_RESET, DB, DIH, DSTATE, LAST };
static int last_pieces(const wf_node *node, int kind) {
    const rnn *a = node->attr;
    switch (kind) {
    case DW:
        return wants(node, RNN_HH) ? wf_gemm_tiles(a->dw[0]) : 0;
    case DW_RESET:
        return wants(node, RNN_HH) && a->dw[1] ? wf_gemm_tiles(a->dw[1]) : 0;
    case DB:
        return wants(node, RNN_BIAS) ? (int)((a->width + BIAS_COLUMNS - 1) / BIAS_COLUMNS) : 0;
    case DIH:
        return wants(node, RNN_IH) ? wf_split_pieces(a->batch * a->t * a->width, 8192) : 0;
    default:
        return wants(node, RNN_H_IN) || wants(node, RNN_C_IN) ? (int)blocks(a) : 0;
    }
}

static void run_last(const wf_node *node, int piece, wf_worker *w) {
    const rnn *a = node->attr;
    rnn_memory m = wf_rnn_memory(node, WF_BACKWARD, w);
    int kind = 0;
    for (; piece >= last_pieces(node, kind); kind++)
        piece -= last_pieces(node, kind);
    int64_t cut = (a->cell->gates - 1) * a->hidden;
    float beta, *grad = kind <= DW_RESET ? wf_grad_in(node, RNN_HH, w, &beta) : NULL;
    if (kind == DW)
        wf_gemm_run(a->dw[0], piece, m.du, m.before, grad, NULL, beta, w->scratch);
    else if (kind == DW_RESET)
        wf_gemm_run(a->dw[1], piece, m.du + cut, m.reset, grad + cut * a->hidden, NULL, beta, w->scratch);
    else if (kind == DB)
        bias_gradient(node, piece, w);
    else if (kind == DIH)
        ih_add(node, piece, last_pieces(node, DIH), w);
    else
        finish_state_gradients(node, (int64_t)piece * RNN_LANES, w);
}

static int gather_pieces(const wf_node *node) {
    const rnn *a = node->attr;
    return wants(node, RNN_HH) ? wf_split_pieces(a->batch * a->t, COPY_ROWS) : 0;
}

int wf_rnn_pieces(const wf_node *node, wf_pass pass, int phase) {
    const rnn *a = node->attr;
    int64_t loop = phase - (pass == WF_FORWARD && a->sweep ? 0 : 1); /* a phase of packing comes first */
    if (loop < 0)
        return (int)blocks(a) + (pass == WF_BACKWARD ? gather_pieces(node) : 0);
    if (loop < loop_phases(a))
        return (int)loop_pieces(a);
    if (loop > loop_phases(a))
        return 0;
    if (pass == WF_FORWARD)
        return a->wants_state ? 1 : 0;
    int n = 0;
    for (int kind = 0; kind < LAST; kind++)
        n += last_pieces(node, kind);
    return n;
}

void wf_rnn_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const rnn *a = node->attr;
    int64_t loop = phase - (pass == WF_FORWARD && a->sweep ? 0 : 1);
    if (loop >= 0 && loop < loop_phases(a))
        run_loop(node, pass, loop, piece, w);
    else if (loop >= 0 && pass == WF_FORWARD)
        write_final_states(node);
    else if (loop >= 0)
        run_last(node, piece, w);
    else if (pass == WF_FORWARD)
        pack(node, WF_FORWARD, (int64_t)piece * RNN_LANES);
    else if (piece < blocks(a))
        start_backward(node, (int64_t)piece * RNN_LANES, w);
    else
        gather(node, piece - (int)blocks(a), gather_pieces(node));
}

double wf_rnn_flops(const wf_node *node, wf_pass pass) {
    const rnn *a = node->attr;
    double one = 2.0 * (double)(a->batch * a->t) * (double)a->width * (double)a->hidden;
    return pass == WF_FORWARD ? one : 2 * one;
}

void wf_rnn_release(const wf_env *env, wf_node *node) {
    rnn *a = node->attr;
    wf_gemm_plan_free(env, a->dw[0]);
    wf_gemm_plan_free(env, a->dw[1]);
}

/* ---- recording ---- */

static weft_status make_plans(wf_tape *t, rnn *a, weft_error *err) {
    int64_t cut = resets(a) ? a->width - a->hidden : a->width;
    wf_gemm g = {
        .m = cut, .n = a->hidden, .k = a->batch * a->t, .lda = a->width, .ldb = a->hidden, .ldc = a->hidden, .trans_a = true};
    if (!wf_tape_grad(t))
        return WEFT_OK;
    WF_TRY(wf_gemm_plan_create(wf_tape_env(t), &g, &a->dw[0], err));
    g.m = a->hidden;
    return resets(a) ? wf_gemm_plan_create(wf_tape_env(t), &g, &a->dw[1], err) : WEFT_OK;
}

static void choose_cut(wf_tape *t, rnn *a) {
    bool cached = a->width * a->hidden * (int64_t)sizeof(float) <= GROUP_BYTES;
    a->sweep = a->t == 1 && a->batch <= FEW && !wf_tape_grad(t);
    a->by_step = a->sweep || a->batch < FEW || !cached;
    a->groups = a->batch >= 2 * FEW ? a->batch / FEW : (a->batch + 1) / 2;
    a->groups = a->groups > GROUPS ? GROUPS : a->groups;
}

static int list_outputs(wf_tape *t, rnn *a, bool masked, wf_tensor **out) {
    int64_t sequence[] = {a->batch, a->t, a->hidden}, last[] = {a->batch, a->hidden};
    int n = 2;
    out[RNN_Y] = wf_out(t, WF_F32, 3, sequence);
    out[RNN_H_OUT] = wf_out(t, WF_F32, 2, last);
    a->c_out = a->cells = a->states = -1;
    if (a->cell->cells)
        out[a->c_out = n++] = wf_out(t, WF_F32, 2, last);
    out[a->gates = n++] = wf_out(t, WF_F32, 3, (int64_t[]){a->batch, a->t, RNN_SAVED * a->hidden});
    if (a->cell->cells)
        out[a->cells = n++] = wf_out(t, WF_F32, 3, sequence);
    if (masked)
        out[a->states = n++] = wf_out(t, WF_F32, 3, sequence);
    return n;
}

static bool fits(const rnn *a, wf_tensor *const *in) {
    const wf_tensor *hh = in[RNN_HH], *mask = in[RNN_MASK];
    return hh->rank == 2 && hh->dims[0] == a->width && a->hidden * a->cell->gates == a->width &&
           (!in[RNN_BIAS] || in[RNN_BIAS]->count == a->width) &&
           (!mask || (mask->type == WF_U8 && mask->count == a->batch * a->t)) &&
           (!in[RNN_H_IN] || in[RNN_H_IN]->count == a->batch * a->hidden) &&
           (!in[RNN_C_IN] || (a->cell->cells && in[RNN_C_IN]->count == a->batch * a->hidden));
}

static void set_memory(wf_node *node, const rnn *a) {
    size_t cell = (size_t)(RNN_ROWS * RNN_SAVED * RNN_LANES + a->width + 8 * RNN_LANES) * sizeof(float);
    node->scratch = cell;
    for (int i = 0; i < 2; i++)
        if (a->dw[i] && wf_gemm_scratch(a->dw[i]) > node->scratch)
            node->scratch = wf_gemm_scratch(a->dw[i]);
    node->work[WF_FORWARD] = wf_rnn_memory(node, WF_FORWARD, NULL).count * sizeof(float);
    node->work[WF_BACKWARD] = wf_rnn_memory(node, WF_BACKWARD, NULL).count * sizeof(float);
}

wf_tensor *wf_rnn_record(wf_tape *t, const wf_op *op, const rnn_cell *cell, bool hidden_gate, wf_tensor *ih,
                         const wf_rnn_spec *spec) {
    wf_no_output(spec->h_out);
    wf_no_output(spec->c_out);
    if (!ih || !spec->hh)
        return NULL;
    wf_tensor *in[RNN_INPUTS] = {wf_cast(t, ih, WF_F32), spec->hh, spec->hh_bias, spec->mask, spec->h_in, spec->c_in},
              *out[WF_MAX_OUT];
    if (!in[RNN_IH])
        return NULL;
    rnn a = {.cell = cell,
             .reverse = spec->reverse,
             .hidden_gate = hidden_gate,
             .batch = ih->dims[0],
             .t = ih->rank == 3 ? ih->dims[1] : 0,
             .width = wf_dim(ih, -1),
             .hidden = wf_dim(spec->hh, -1),
             .wants_state = spec->h_out || spec->c_out};
    if (ih->rank != 3 || !fits(&a, in))
        return wf_tape_error(t, WEFT_USAGE, "%s: pre-activations of width %lld do not fit a state of %lld", op->name,
                             (long long)a.width, (long long)a.hidden);
    choose_cut(t, &a);
    int n_out = list_outputs(t, &a, spec->mask != NULL, out);
    rnn *attr = attr_copy(t, &a, sizeof a);
    wf_node *node = attr ? wf_record(t, op, RNN_INPUTS, in, n_out, out, attr) : NULL;
    weft_error err = {0};
    if (!node)
        return NULL;
    if (make_plans(t, attr, &err) != WEFT_OK)
        return wf_tape_error(t, err.status, "%s", err.message);
    set_memory(node, attr);
    if (spec->h_out)
        *spec->h_out = out[RNN_H_OUT];
    if (spec->c_out)
        *spec->c_out = a.c_out < 0 ? NULL : out[a.c_out];
    return out[RNN_Y];
}
