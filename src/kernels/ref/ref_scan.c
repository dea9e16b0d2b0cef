/* ref_scan.c - kernel E in plain C (mixers.md section 12), straight from the definitions and in double. */
#include <math.h>
#include "kernels/ref/ref.h"

enum { STRETCH = WF_SCAN_CHECKPOINT };

static int64_t stretches(int64_t t) { return (t + STRETCH - 1) / STRETCH; }
static double sigmoid(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }
static double rate(const wf_scan_args *a, int64_t d, int64_t n) { return -exp((double)a->a_log[d * a->state + n]); }

/* Where b and c of a channel lie. */
static int64_t read_row(const wf_scan_args *a, int64_t token, int64_t d) {
    int64_t groups = wf_scan_groups(a);
    return (token * groups + d / (a->channels / groups)) * a->state;
}

/* h_t from h_{t-1} for one channel: h_t = exp(dt A) h + dt u B. */
static void step(const wf_scan_args *a, double *h, const double *before, int64_t token, int64_t d) {
    double dt = a->dt[token * a->channels + d], u = a->u[token * a->channels + d];
    const float *b = a->b + read_row(a, token, d);
    for (int64_t n = 0; n < a->state; n++)
        h[n] = exp(dt * rate(a, d, n)) * before[n] + dt * u * b[n];
}

/* y before the gate. */
static double read_out(const wf_scan_args *a, const double *h, int64_t token, int64_t d) {
    double sum = a->skip ? (double)a->skip[d] * a->u[token * a->channels + d] : 0;
    const float *c = a->c + read_row(a, token, d);
    for (int64_t n = 0; n < a->state; n++)
        sum += c[n] * h[n];
    return sum;
}

static void scan_channel(const wf_scan_args *a, int64_t batch, int64_t d, double *h) {
    int64_t size = a->state;
    for (int64_t n = 0; n < size; n++)
        h[n] = a->h_in ? a->h_in[(batch * a->channels + d) * size + n] : 0;
    for (int64_t t = 0; t < a->t; t++) {
        int64_t token = batch * a->t + t;
        float *kept = a->checkpoints && t % STRETCH == 0
                          ? a->checkpoints + ((batch * stretches(a->t) + t / STRETCH) * a->channels + d) * size
                          : NULL;
        for (int64_t n = 0; kept && n < size; n++)
            kept[n] = (float)h[n];
        step(a, h, h, token, d);
        double z = a->z ? a->z[token * a->channels + d] : 0;
        a->y[token * a->channels + d] = (float)(read_out(a, h, token, d) * (a->z ? z * sigmoid(z) : 1));
    }
    for (int64_t n = 0; a->h_out && n < size; n++)
        a->h_out[(batch * a->channels + d) * size + n] = (float)h[n];
}

void wf_ref_selective_scan(const wf_scan_args *a, int64_t batch, int64_t block, void *scratch) {
    wf_scan_range range = wf_scan_block(a, block);
    for (int64_t d = range.first; d < range.end; d++)
        scan_channel(a, batch, d, scratch);
}

typedef struct sweep { /* one channel, last token to first */
    const wf_scan_args *a;
    int64_t batch, part, d;
    double *h;           /* [STRETCH+1, state]: h[i] is the state before token i of the stretch */
    double *lambda, *da; /* [state]: gradient of h_t by what comes later; gradient of A */
    double dskip;
} sweep;

/* dlog_a, db, dc and lambda of one token; before and after are h_{t-1} and h_t. */
static void back_token(sweep *w, int64_t token, const double *before, const double *after) {
    const wf_scan_args *a = w->a;
    int64_t i = token * a->channels + w->d, read = read_row(a, token, w->d),
            part = w->part * a->batch * a->t * wf_scan_groups(a) * a->state + read;
    double u = a->u[i], dt = a->dt[i], dy = a->dy ? a->dy[i] : 0, du = 0, ddt = 0;
    if (a->z) {
        double z = a->z[i], s = sigmoid(z);
        a->dz[i] = (float)(dy * read_out(a, after, token, w->d) * s * (1 + z * (1 - s)));
        dy *= z * s;
    }
    if (a->skip) {
        du += a->skip[w->d] * dy;
        w->dskip += dy * u;
    }
    for (int64_t n = 0; n < a->state; n++) {
        double rate_n = rate(a, w->d, n), e = exp(dt * rate_n), b = a->b[read + n];
        double lambda = w->lambda[n] + dy * a->c[read + n];
        double through = e * before[n] * lambda; /* gradient of dt*A */
        a->dc_part[part + n] += (float)(dy * after[n]);
        a->db_part[part + n] += (float)(dt * u * lambda);
        du += dt * b * lambda;
        ddt += u * b * lambda + rate_n * through;
        w->da[n] += dt * through;
        w->lambda[n] = e * lambda;
    }
    a->du[i] = (float)du;
    a->ddt[i] = (float)ddt;
}

static void back_channel(sweep *w) {
    const wf_scan_args *a = w->a;
    int64_t size = a->state, at = (w->batch * a->channels + w->d) * size;
    for (int64_t n = 0; n < size; n++) {
        w->lambda[n] = a->dh_out ? a->dh_out[at + n] : 0;
        w->da[n] = 0;
    }
    w->dskip = 0;
    for (int64_t s = stretches(a->t) - 1; s >= 0; s--) {
        int64_t first = s * STRETCH, count = a->t - first < STRETCH ? a->t - first : STRETCH, token = w->batch * a->t + first;
        const float *kept = a->checkpoints + ((w->batch * stretches(a->t) + s) * a->channels + w->d) * size;
        for (int64_t n = 0; n < size; n++)
            w->h[n] = kept[n];
        for (int64_t i = 0; i < count; i++)
            step(a, w->h + (i + 1) * size, w->h + i * size, token + i, w->d);
        for (int64_t i = count - 1; i >= 0; i--)
            back_token(w, token + i, w->h + i * size, w->h + (i + 1) * size);
    }
    for (int64_t n = 0; n < size; n++) {
        a->da_log_part[at + n] = (float)(w->da[n] * rate(a, w->d, n));
        if (a->dh_in)
            a->dh_in[at + n] = (float)w->lambda[n];
    }
    if (a->skip)
        a->dskip_part[w->batch * a->channels + w->d] = (float)w->dskip;
}

void wf_ref_selective_scan_back(const wf_scan_args *a, int64_t batch, int64_t block, void *scratch) {
    double *h = scratch, *lambda = h + (STRETCH + 1) * a->state;
    wf_scan_range range = wf_scan_block(a, block);
    sweep w = {.a = a, .batch = batch, .part = range.part, .h = h, .lambda = lambda, .da = lambda + a->state};
    int64_t groups = wf_scan_groups(a), first = (range.part * a->batch + batch) * a->t;
    for (int64_t t = first; t < first + a->t; t++)
        for (int64_t n = 0; n < a->state; n++) {
            int64_t i = (t * groups + range.group) * a->state + n;
            a->db_part[i] = a->dc_part[i] = 0;
        }
    for (w.d = range.first; w.d < range.end; w.d++)
        back_channel(&w);
}

/* Enough for both forms: the vector form keeps, for a stretch, h and exp(dt A) of a whole block in fp32, and rows of its
 * inputs. */
size_t wf_scan_scratch(const wf_scan_args *a, bool backward) {
    size_t lanes = WF_SCAN_BLOCK * sizeof(float), row = (size_t)a->state * lanes;
    return backward ? row * (2 * STRETCH + 8) + lanes * 5 * STRETCH : row * 4;
}
