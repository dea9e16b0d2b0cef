/* The main stream: z_ij = ((q_i + u).k_j + (q_i + v).r_(i-j) + (q_i + s).e_(differs)) scale, or q_i.k_j scale + the number of
 * the bucket of i - j; p = softmax over the keys a row may see, all keys alike where it may see none; y = Lin(o, merge(p v)).
 */
#include "naive/naive_heads.h"

static double plus(const double *a, const double *b, const double *c, int64_t n) {
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (a[i] + (b ? b[i] : 0.0)) * c[i];
    return sum;
}

/* r_d of all heads. */
static double *wave(naive_io *io, int64_t d) {
    const wf_layer *l = io->layer;
    int64_t D = wf_int(l, "dim"), clamp = wf_given(l, "clamp") ? wf_int(l, "clamp") : INT64_MAX;
    double *w = naive_zeros(io, D), at = (double)(d > clamp ? clamp : d < -clamp ? -clamp : d);
    for (int64_t c = 0; c < D / 2; c++) {
        double angle = at * pow(10000.0, -2.0 * (double)c / (double)D);
        w[c] = sin(angle);
        w[D / 2 + c] = cos(angle);
    }
    return naive_linear(io, "r", w, 1);
}

static int64_t bucket(const wf_layer *l, int64_t d) {
    int64_t count = wf_int(l, "buckets"), exact = count / 2, n = d > 0 ? d : 0;
    if (n < exact)
        return n;
    double share = log((double)n / (double)exact) / log((double)wf_int(l, "max_distance") / (double)exact);
    int64_t far = exact + (int64_t)floor(share * (double)(count - exact));
    return far < count - 1 ? far : count - 1;
}

typedef struct parts {
    double *q, *k, *v, *numbers, **r; /* r[d + T - 1] */
} parts;

static double score(const naive_io *io, const parts *p, int64_t b, int64_t h, int64_t i, int64_t j) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, H = wf_int(l, "heads"), K = wf_int(l, "key_dim"), W = H * K;
    const double *q = p->q + (b * T + i) * W + h * K, *k = p->k + (b * T + j) * W + h * K, *e = naive_weight(io, "segments");
    if (p->numbers)
        return plus(q, NULL, k, K) * wf_float(l, "scale") +
               p->numbers[((b * T + i) * wf_int(l, "buckets") + bucket(l, i - j)) * H + h];
    bool turned = wf_flag(l, "mirrored") && b >= io->batch / 2;
    double z = plus(q, naive_weight(io, "content") + h * K, k, K) +
               plus(q, naive_weight(io, "position") + h * K, p->r[(turned ? j - i : i - j) + T - 1] + h * K, K);
    if (e && io->segments)
        z += plus(q, naive_weight(io, "segment") + h * K,
                  e + ((io->segments[b * T + i] != io->segments[b * T + j] ? H : 0) + h) * K, K);
    return z * wf_float(l, "scale");
}

static bool sees(const naive_io *io, int64_t b, int64_t i, int64_t j) {
    const wf_layer *l = io->layer;
    const wf_value *window = wf_get(l, "window");
    int64_t left = window->type == WF_INT ? window->integer : window->type == WF_STRING ? 0 : INT64_MAX;
    if (wf_flag(l, "self") && i == j)
        return true;
    return naive_real(io->mask, b * io->rows + j) && (!wf_flag(l, "causal") || j <= i) && i - j <= left;
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, H = wf_int(l, "heads"), K = wf_int(l, "key_dim"), W = H * K, rows = io->batch * T;
    bool waves = naive_weight(io, "r.weight") != NULL;
    parts p = {naive_linear(io, "q", io->x, rows), naive_linear(io, "k", io->x, rows), naive_linear(io, "v", io->x, rows),
               waves ? NULL : naive_linear(io, "distance", io->x, rows), (double **)(void *)naive_zeros(io, 2 * T)};
    for (int64_t d = 1 - T; waves && d < T; d++)
        p.r[d + T - 1] = wave(io, d);
    double *out = naive_zeros(io, rows * W), *z = naive_zeros(io, T);
    for (int64_t n = 0; n < io->batch * H * T; n++) {
        int64_t b = n / (H * T), h = n / T % H, i = n % T, seen = 0;
        for (int64_t j = 0; j < T; j++) {
            bool visible = sees(io, b, i, j);
            seen += visible;
            z[j] = visible ? score(io, &p, b, h, i, j) : -INFINITY;
        }
        for (int64_t j = 0; seen == 0 && j < T; j++)
            z[j] = 0.0;
        naive_softmax(z, T);
        for (int64_t j = 0; j < T; j++)
            for (int64_t c = 0; c < K; c++)
                out[(b * T + i) * W + h * K + c] += z[j] * p.v[(b * T + j) * W + h * K + c];
    }
    io->y = naive_linear(io, "o", out, rows);
    io->width = wf_int(l, "dim");
}

static const char *const heads[] = {"\"heads\": 3", "\"heads\": 2, \"key_dim\": 5", "\"heads\": 1, \"scale\": 0.4", NULL};
static const char *const kinds[] = {"",
                                    "\"clamp\": 3",
                                    "\"segments\": true @segments",
                                    "\"segments\": true",
                                    "\"mirrored\": true, \"clamp\": 5",
                                    "\"causal\": true, \"positions\": \"buckets\", \"buckets\": 6, \"max_distance\": 9",
                                    "\"causal\": true, \"positions\": \"buckets\", \"bias\": [\"distance\", \"q\"]",
                                    NULL};
static const char *const biases[] = {"", "\"self\": true", NULL};
static const char *const masks[] = {"", "@mask right", NULL};
static const char *const rows[] = {"", "@rows 1", "@rows 17", NULL};
static const naive_axis axes[] = {heads, kinds, biases, masks, rows, NULL};
const naive_row naive_relative_attention = {"relative_attention", run, axes, 30};
