/* low_rank.c - state spaces whose poles carry a term of rank one, A = diag(l) - p p^* over conjugate pairs (S4: Gu et al. 2022,
 * arXiv 2111.00396), discretised by the bilinear rule; in two forms that must agree.
 *
 * The recurrence (section C.2 there): with w = dt/2, D = 1/(1 - w l), e = w D p, rho = 2 Re(sum conj(p) e), v = 2 conj(p) D/(1
 * + rho), f = dt D b and psi = 2 Re(sum conj(p) f)/(1 + rho), the step h' = (I - wA)^{-1} ((I + wA) h + dt b x) is h' = (2D -
 * 1) h + (f - psi e) x - e 2 Re(sum v h). The kernel (section C.3): K(z) = sum_t k_t z^t = dt (R_cb - w R_cp R_qb/(1 + w
 * R_qp)), w = dt (1 + z)/2, q = conj(p), R_xy = sum x y/d over both of each pair, d = (1 - z) - w l. Its values at L >= 2T
 * points of the circle |z| = r < 1 give k_t up to r^L times k_{t+L}. */
#include <math.h>
#include "tensor/ops/complex.h"
#include "tensor/ops/parts.h"

enum { LOG_DT, A_LOG, A_IMAG, P, B, C, INPUTS }; /* C: of the kernel only */
enum { OUT_A, OUT_B, OUT_E, OUT_V };

static double complex number_at(const float *x, int64_t i) { return complex_of((double)x[2 * i], (double)x[2 * i + 1]); }
static void store_number(float *x, int64_t i, double complex v) {
    x[2 * i] = (float)creal(v);
    x[2 * i + 1] = (float)cimag(v);
}
static double complex input_at(const wf_node *node, int which, int64_t i) { return number_at(node->in[which]->data, i); }
static double step_of(const wf_node *node, int64_t d) { return exp((double)((const float *)node->in[LOG_DT]->data)[d]); }
static double complex pole_of(const wf_node *node, int64_t i) {
    return complex_of(-exp((double)((const float *)node->in[A_LOG]->data)[i]),
                      (double)((const float *)node->in[A_IMAG]->data)[i]);
}
static double both(double complex x) { return 2.0 * creal(x); } /* of a pair */
/* Re(conj(slope) grad): what a complex gradient sends to a real number. */
static double onto(double complex slope, double complex grad) { return creal(conj(slope) * grad); }

/* Gradients of the poles and of the step as they were given. */
static void store_pole(const wf_node *node, int64_t i, double complex grad, const wf_worker *w) {
    float real = (float)(creal(grad) * creal(pole_of(node, i))), imag = (float)cimag(grad);
    store_din(node, A_LOG, i, 1, &real, w);
    store_din(node, A_IMAG, i, 1, &imag, w);
}
static void store_step(const wf_node *node, int64_t d, double grad, const wf_worker *w) {
    store_din(node, LOG_DT, d, 1, &(float){(float)(grad * step_of(node, d))}, w);
}
static void store_pair(const wf_node *node, int which, int64_t i, double complex grad, const wf_worker *w) {
    float pair[2];
    store_number(pair, 0, grad);
    store_din(node, which, 2 * i, 2, pair, w);
}

static int channel_pieces(const wf_node *node, wf_pass pass, int phase) {
    (void)pass;
    return phase == 0 ? wf_split_pieces(node->in[LOG_DT]->count, 4) : 0;
}

/* ---- the recurrence ---- */

typedef struct mode {
    double complex l, p, b, d, e, f;
} mode;
static mode mode_at(const wf_node *node, int64_t i, double dt) {
    mode m = {.l = pole_of(node, i), .p = input_at(node, P, i), .b = input_at(node, B, i)};
    m.d = 1.0 / (1.0 - 0.5 * dt * m.l);
    m.e = 0.5 * dt * m.d * m.p;
    m.f = dt * m.d * m.b;
    return m;
}

typedef struct sums {
    double dt, rho, phi;
} sums; /* of a channel */
static sums sums_of(const wf_node *node, int64_t d) {
    int64_t modes = wf_dim(node->in[A_LOG], -1);
    sums s = {.dt = step_of(node, d)};
    for (int64_t i = d * modes; i < (d + 1) * modes; i++) {
        mode m = mode_at(node, i, s.dt);
        s.rho += both(conj(m.p) * m.e);
        s.phi += both(conj(m.p) * m.f);
    }
    return s;
}

static void step_forward(const wf_node *node, int64_t d) {
    int64_t modes = wf_dim(node->in[A_LOG], -1);
    sums s = sums_of(node, d);
    for (int64_t i = d * modes; i < (d + 1) * modes; i++) {
        mode m = mode_at(node, i, s.dt);
        store_number(node->out[OUT_A]->data, i, 2.0 * m.d - 1.0);
        store_number(node->out[OUT_B]->data, i, m.f - s.phi / (1.0 + s.rho) * m.e);
        store_number(node->out[OUT_E]->data, i, m.e);
        store_number(node->out[OUT_V]->data, i, 2.0 * conj(m.p) * m.d / (1.0 + s.rho));
    }
}

static double complex grad_of(const wf_node *node, int output, int64_t i) {
    return node->out[output]->grad ? number_at(node->out[output]->grad, i) : 0.0;
}

static void step_backward(const wf_node *node, int64_t d, const wf_worker *w) {
    int64_t modes = wf_dim(node->in[A_LOG], -1);
    sums s = sums_of(node, d);
    double k = 1.0 / (1.0 + s.rho), dpsi = 0.0, dk = 0.0, ddt = 0.0;
    for (int64_t i = d * modes; i < (d + 1) * modes; i++) {
        mode m = mode_at(node, i, s.dt);
        dpsi -= onto(m.e, grad_of(node, OUT_B, i));
        dk += onto(2.0 * conj(m.p) * m.d, grad_of(node, OUT_V, i));
    }
    double dphi = dpsi * k, drho = -(dpsi * s.phi + dk) * k * k;
    for (int64_t i = d * modes; i < (d + 1) * modes; i++) {
        mode m = mode_at(node, i, s.dt);
        double complex gb = grad_of(node, OUT_B, i), gv = grad_of(node, OUT_V, i);
        double complex ge = grad_of(node, OUT_E, i) - s.phi * k * gb + 2.0 * drho * m.p, gf = gb + 2.0 * dphi * m.p;
        double complex gd =
            2.0 * grad_of(node, OUT_A, i) + 2.0 * k * m.p * gv + conj(0.5 * s.dt * m.p) * ge + conj(s.dt * m.b) * gf;
        double complex gp = 2.0 * dphi * m.f + 2.0 * drho * m.e + 2.0 * k * m.d * conj(gv) + conj(0.5 * s.dt * m.d) * ge;
        ddt += onto(0.5 * m.d * m.p, ge) + onto(m.d * m.b, gf) + onto(0.5 * m.l * m.d * m.d, gd);
        store_pole(node, i, conj(0.5 * s.dt * m.d * m.d) * gd, w);
        store_pair(node, P, i, gp, w);
        store_pair(node, B, i, conj(s.dt * m.d) * gf, w);
    }
    store_step(node, d, ddt, w);
}

static void step_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t first, end;
    wf_split_bounds(node->in[LOG_DT]->count, channel_pieces(node, pass, phase), piece, &first, &end);
    for (int64_t d = first; d < end; d++)
        if (pass == WF_FORWARD)
            step_forward(node, d);
        else
            step_backward(node, d, w);
}

const wf_op wf_op_low_rank_step = {.name = "low_rank_step", .pieces = channel_pieces, .run = step_run, .saves_in = 31};

static bool fits(const wf_low_rank *m) {
    const wf_tensor *dt = m->log_dt, *a = m->a_log, *rest[] = {m->p, m->b};
    bool fit = dt && a && m->a_imag && a->rank == 2 && dt->count == a->dims[0] && m->a_imag->count == a->count;
    for (int i = 0; i < 2; i++)
        fit = fit && rest[i] && rest[i]->count == 2 * a->count;
    return fit;
}

bool wf_low_rank_step(wf_tape *t, const wf_low_rank *m, wf_tensor *out[4]) {
    for (int i = 0; i < 4; i++)
        out[i] = NULL;
    if (!fits(m))
        return wf_tape_error(t, WEFT_USAGE, "low_rank_step: steps [D], poles [D,M], p and b [D,M,2] are needed") != NULL;
    wf_tensor *made[4];
    for (int i = 0; i < 4; i++)
        made[i] = wf_out(t, WF_F32, 3, (int64_t[]){m->a_log->dims[0], m->a_log->dims[1], 2});
    if (!wf_record(t, &wf_op_low_rank_step, 5, (wf_tensor *[]){m->log_dt, m->a_log, m->a_imag, m->p, m->b}, 4, made, NULL))
        return false;
    memcpy(out, made, sizeof made);
    return true;
}

/* ---- the kernel ---- */

typedef struct kernel { /* points on the circle, and their transform */
    int64_t t, points;
    double radius;
    double complex *roots; /* e^{-2 pi i j / points}, j < points/2 */
} kernel;

/* Cooley & Tukey 1965, in place. */
static void transform(const kernel *a, double complex *x) {
    for (int64_t i = 1, j = 0; i < a->points; i++) {
        int64_t bit = a->points / 2;
        for (; j & bit; bit /= 2)
            j ^= bit;
        j ^= bit;
        if (i < j) {
            double complex swap = x[i];
            x[i] = x[j];
            x[j] = swap;
        }
    }
    for (int64_t half = 1; half < a->points; half *= 2)
        for (int64_t i = 0; i < a->points; i += 2 * half)
            for (int64_t k = 0; k < half; k++) {
                double complex even = x[i + k], odd = a->roots[k * (a->points / 2 / half)] * x[i + k + half];
                x[i + k] = even + odd;
                x[i + k + half] = even - odd;
            }
}

/* The modes of a channel, both of each pair. */
typedef struct term {
    double complex l, p, q, b, c;
} term;
static void load_terms(const wf_node *node, int64_t d, term *to) {
    int64_t modes = wf_dim(node->in[A_LOG], -1);
    for (int64_t n = 0; n < modes; n++) {
        int64_t i = d * modes + n;
        term m = {.l = pole_of(node, i), .p = input_at(node, P, i), .b = input_at(node, B, i), .c = input_at(node, C, i)};
        m.q = conj(m.p);
        to[2 * n] = m;
        to[2 * n + 1] = (term){conj(m.l), conj(m.p), m.p, conj(m.b), conj(m.c)};
    }
}

/* 1 / ((1 - z) - w l). */
static double complex inverse_at(double complex l, double complex z, double complex w) {
    double complex d = (1.0 - z) - w * l;
    return conj(d) / (creal(d) * creal(d) + cimag(d) * cimag(d));
}

typedef struct cauchy {
    double complex z, w, cb, cp, qb, qp;
    double dt;
} cauchy; /* the four sums of a channel at a point */
static cauchy sums_at(const term *terms, int64_t count, double complex z, double dt) {
    cauchy s = {.z = z, .w = 0.5 * dt * (1.0 + z), .dt = dt};
    for (int64_t n = 0; n < count; n++) {
        const term *m = &terms[n];
        double complex inverse = inverse_at(m->l, z, s.w), c = m->c * inverse, q = m->q * inverse;
        s.cb += c * m->b;
        s.cp += c * m->p;
        s.qb += q * m->b;
        s.qp += q * m->p;
    }
    return s;
}

/* What a piece works in. */
typedef struct mode_grads {
    double complex l, p, b, c;
} mode_grads;
typedef struct room {
    double complex *values;
    term *terms;
    mode_grads *grads;
    int64_t modes;
} room;
static room room_of(const wf_node *node, void *scratch) {
    const kernel *a = node->attr;
    room r = {.values = scratch, .modes = wf_dim(node->in[A_LOG], -1)};
    r.terms = (term *)(void *)(r.values + a->points);
    r.grads = (mode_grads *)(void *)(r.terms + 2 * r.modes);
    return r;
}

static double complex point(const kernel *a, int64_t j) {
    return a->radius * conj(j < a->points / 2 ? a->roots[j] : -a->roots[j - a->points / 2]);
}

static void kernel_forward(const wf_node *node, int64_t d, room r) {
    const kernel *a = node->attr;
    int64_t channels = node->in[LOG_DT]->count;
    double complex *values = r.values;
    load_terms(node, d, r.terms);
    for (int64_t j = 0; j <= a->points / 2; j++) { /* the rest are their conjugates */
        cauchy s = sums_at(r.terms, 2 * r.modes, point(a, j), step_of(node, d));
        values[j] = s.dt * (s.cb - s.w * s.cp * s.qb / (1.0 + s.w * s.qp));
        values[(a->points - j) % a->points] = j % (a->points / 2) ? conj(values[j]) : values[j];
    }
    transform(a, values);
    for (int64_t t = 0; t < a->t; t++)
        ((float *)node->out[0]->data)[t * channels + d] =
            (float)(creal(values[t]) * pow(a->radius, -(double)t) / (double)a->points);
}

/* Adds the gradients of all modes by that of the value at one point; returns the gradient of dt. */
static double back_point(const room *r, const cauchy *s, double complex grad) {
    double complex e = 1.0 + s->w * s->qp, ratio = s->cp * s->qb / e;
    double complex to_cb = s->dt, to_cp = -s->dt * s->w * s->qb / e, to_qb = -s->dt * s->w * s->cp / e,
                   to_qp = s->dt * s->w * s->w * ratio / e;
    double complex to_w = -s->dt * ratio + s->dt * s->w * ratio * s->qp / e;
    for (int64_t n = 0; n < 2 * r->modes; n++) {
        bool second = n % 2 == 1;
        const term *m = &r->terms[n];
        double complex inverse = inverse_at(m->l, s->z, s->w), by_b = to_cb * m->c + to_qb * m->q,
                       by_p = to_cp * m->c + to_qp * m->q;
        double complex inner = (by_b * m->b + by_p * m->p) * inverse * inverse, dl = conj(inner * s->w) * grad;
        double complex db = conj(by_b * inverse) * grad, dc = conj((to_cb * m->b + to_cp * m->p) * inverse) * grad;
        double complex dp = conj(by_p * inverse) * grad, dq = conj((to_qb * m->b + to_qp * m->p) * inverse) * grad;
        mode_grads *to = &r->grads[n / 2];
        to_w += inner * m->l;
        to->l += second ? conj(dl) : dl;
        to->b += second ? conj(db) : db;
        to->c += second ? conj(dc) : dc;
        to->p += second ? conj(dp) + dq : dp + conj(dq);
    }
    return onto(s->cb - s->w * ratio + to_w * 0.5 * (1.0 + s->z), grad);
}

static void kernel_backward(const wf_node *node, int64_t d, room r, const wf_worker *w) {
    const kernel *a = node->attr;
    int64_t channels = node->in[LOG_DT]->count;
    double ddt = 0.0;
    load_terms(node, d, r.terms);
    memset(r.grads, 0, (size_t)r.modes * sizeof *r.grads);
    for (int64_t t = 0; t < a->points; t++)
        r.values[t] = t < a->t ? (double)((const float *)node->out[0]->grad)[t * channels + d] * pow(a->radius, -(double)t) /
                                     (double)a->points
                               : 0.0;
    transform(a, r.values);
    for (int64_t j = 0; j <= a->points / 2; j++) {
        cauchy s = sums_at(r.terms, 2 * r.modes, point(a, j), step_of(node, d));
        ddt += back_point(&r, &s, (j % (a->points / 2) ? 2.0 : 1.0) * conj(r.values[j]));
    }
    for (int64_t n = 0; n < r.modes; n++) {
        store_pole(node, d * r.modes + n, r.grads[n].l, w);
        store_pair(node, P, d * r.modes + n, r.grads[n].p, w);
        store_pair(node, B, d * r.modes + n, r.grads[n].b, w);
        store_pair(node, C, d * r.modes + n, r.grads[n].c, w);
    }
    store_step(node, d, ddt, w);
}

static void kernel_run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    int64_t first, end;
    wf_split_bounds(node->in[LOG_DT]->count, channel_pieces(node, pass, phase), piece, &first, &end);
    for (int64_t d = first; d < end; d++)
        if (pass == WF_FORWARD)
            kernel_forward(node, d, room_of(node, w->scratch));
        else
            kernel_backward(node, d, room_of(node, w->scratch), w);
}

static double kernel_flops(const wf_node *node, wf_pass pass) {
    const kernel *a = node->attr;
    return (pass == WF_FORWARD ? 60.0 : 200.0) * (double)a->points * (double)node->in[A_LOG]->count;
}

const wf_op wf_op_low_rank_kernel = {
    .name = "low_rank_kernel", .pieces = channel_pieces, .run = kernel_run, .flops = kernel_flops, .saves_in = 63};

static bool make_points(wf_tape *t, kernel *a) {
    static const double PI = 3.14159265358979323846, ALIAS = 1e-9; /* radius^points: what of k_{t+points} is left in k_t */
    for (a->points = 2; a->points < 2 * a->t; a->points *= 2) {
    }
    a->radius = pow(ALIAS, 1.0 / (double)a->points);
    a->roots = wf_arena_alloc(wf_tape_arena(t), (size_t)(a->points / 2) * sizeof *a->roots);
    for (int64_t j = 0; a->roots && j < a->points / 2; j++)
        a->roots[j] = cexp(complex_of(0.0, -2.0 * PI * (double)j / (double)a->points));
    return a->roots || wf_tape_error(t, WEFT_NO_MEMORY, "out of memory") != NULL;
}

wf_tensor *wf_low_rank_kernel(wf_tape *t, const wf_low_rank *m, wf_tensor *c, int64_t taps) {
    kernel a = {.t = taps};
    if (!c)
        return NULL;
    if (!fits(m) || c->count != 2 * m->a_log->count || taps < 1)
        return wf_tape_error(t, WEFT_USAGE, "low_rank_kernel: steps [D], poles [D,M], p, b and c [D,M,2] are needed");
    kernel *attr = make_points(t, &a) ? attr_copy(t, &a, sizeof a) : NULL;
    wf_tensor *k = wf_out(t, WF_F32, 2, (int64_t[]){taps, m->a_log->dims[0]});
    wf_tensor *in[INPUTS] = {m->log_dt, m->a_log, m->a_imag, m->p, m->b, c};
    wf_node *node = attr && k ? wf_record(t, &wf_op_low_rank_kernel, INPUTS, in, 1, &k, attr) : NULL;
    if (!node)
        return NULL;
    node->scratch =
        (size_t)a.points * sizeof(double complex) + (size_t)m->a_log->dims[1] * (2 * sizeof(term) + sizeof(mode_grads));
    return k;
}
