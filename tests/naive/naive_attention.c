/* z_ij = scale q_i.k_j, softcap, position bias; p_i = softmax over the allowed j; y = Lin(o, merge(p v)). */
#include "naive/naive.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double PI = 3.14159265358979323846;
enum { MOST_PAIRS = 16 };

typedef struct heads { /* one of q, k, v: [B, rows, count, width] */
    double *x;
    int64_t rows, count, width;
} heads;

static const wf_json *object(const naive_io *io, const char *key) {
    return wf_given(io->layer, key) ? wf_get(io->layer, key)->object : NULL;
}

/* ---- norms of queries and keys ---- */
typedef struct norm { /* of one head, or of all of them: weight and bias NULL when it has none */
    const char *kind;
    double eps, offset;
    const double *weight, *bias;
} norm;

static void norm_group(double *x, int64_t n, const norm *how) {
    double mean = 0.0, variance = 0.0, sum = 0.0;
    bool layer = strcmp(how->kind, "layer") == 0, l2 = strcmp(how->kind, "l2") == 0;
    for (int64_t i = 0; i < n; i++) {
        mean += x[i] / (double)n;
        sum += x[i] * x[i];
    }
    for (int64_t i = 0; i < n; i++)
        variance += (x[i] - mean) * (x[i] - mean) / (double)n;
    for (int64_t i = 0; i < n; i++) {
        double y = layer ? (x[i] - mean) / sqrt(variance + how->eps) : x[i] / sqrt((l2 ? sum : sum / (double)n) + how->eps);
        x[i] = y * (how->weight ? how->weight[i] + how->offset : 1.0) + (how->bias ? how->bias[i] : 0.0);
    }
}

static void norm_heads(naive_io *io, const char *which, const heads *h) {
    const wf_json *options = object(io, "qk_norm");
    const char *scope = wf_json_text(options, "scope", "head");
    char weight[32], bias[32];
    if (!options)
        return;
    int64_t n = strcmp(scope, "all") == 0 ? h->count * h->width : h->width;
    snprintf(weight, sizeof weight, "%s_norm.weight", which);
    snprintf(bias, sizeof bias, "%s_norm.bias", which);
    norm how = {wf_json_text(options, "kind", "rms"), wf_json_double(options, "eps", wf_float(io->layer, "norm_eps")),
                wf_json_double(options, "offset", 0.0), naive_weight(io, weight), naive_weight(io, bias)};
    const double *first = how.weight;
    for (int64_t g = 0; g < io->batch * h->rows * h->count * h->width / n; g++) {
        if (first && strcmp(scope, "heads") == 0)
            how.weight = first + g % h->count * h->width;
        norm_group(h->x + g * n, n, &how);
    }
}

/* Before or after the rotation; the norm of all heads comes before the clip, that of a head after. */
static void prepare(naive_io *io, const char *which, const heads *h) {
    const wf_json *options = object(io, "qk_norm");
    bool values = *which == 'v', early = !values && options && !wf_json_bool(options, "after_rope", false);
    bool all = strcmp(wf_json_text(options, "scope", "head"), "all") == 0;
    if (early && all)
        norm_heads(io, which, h);
    for (int64_t i = 0; wf_given(io->layer, "clip") && i < io->batch * h->rows * h->count * h->width; i++)
        h->x[i] = fmax(fmin(h->x[i], wf_float(io->layer, "clip")), -wf_float(io->layer, "clip"));
    if (early && !all)
        norm_heads(io, which, h);
}

/* ---- rotary positions ---- */
typedef struct turns {
    double frequency[MOST_PAIRS], magnitude, theta;
    int64_t dim, length;
} turns;

static void plain(turns *t) {
    for (int64_t p = 0; p < (t->dim + 1) / 2; p++)
        t->frequency[p] = pow(t->theta, -2.0 * (double)p / (double)t->dim);
}

static void scale_linear(turns *t, const wf_json *s) {
    for (int64_t p = 0; p < (t->dim + 1) / 2; p++)
        t->frequency[p] /= wf_json_double(s, "factor", 0.0);
}

static void scale_dynamic(turns *t, const wf_json *s) {
    double factor = wf_json_double(s, "factor", 0.0), most = wf_json_double(s, "max_position_embeddings", 0.0),
           d = (double)t->dim;
    double length = fmax((double)t->length, most);
    t->theta *= pow(factor * length / most - (factor - 1.0), d / (d - 2.0));
    plain(t);
}

static double yarn_log(double factor, double m) { return factor <= 1.0 ? 1.0 : 0.1 * m * log(factor) + 1.0; }

/* Frequencies that turn often stay, those that turn rarely are divided by the factor, a ramp over the pair index between. */
static void scale_yarn(turns *t, const wf_json *s) {
    double factor = wf_json_double(s, "factor", 0.0), original = wf_json_double(s, "original_max_position_embeddings", 0.0),
           d = (double)t->dim;
    double fast = wf_json_double(s, "beta_fast", 32.0), slow = wf_json_double(s, "beta_slow", 1.0);
    double low = d * log(original / (fast * 2.0 * PI)) / (2.0 * log(t->theta)),
           high = d * log(original / (slow * 2.0 * PI)) / (2.0 * log(t->theta));
    if (wf_json_bool(s, "truncate", true)) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0.0);
    high = fmin(high, d - 1.0);
    if (low == high)
        high += 0.001;
    for (int64_t p = 0; p < (t->dim + 1) / 2; p++) {
        double ramp = ((double)p - low) / (high - low);
        ramp = ramp < 0.0 ? 0.0 : ramp > 1.0 ? 1.0 : ramp;
        t->frequency[p] = t->frequency[p] * (1.0 - ramp) + t->frequency[p] / factor * ramp;
    }
    double m = wf_json_double(s, "mscale", 0.0), m_all = wf_json_double(s, "mscale_all_dim", 0.0);
    t->magnitude = m != 0.0 && m_all != 0.0 ? yarn_log(factor, m) / yarn_log(factor, m_all) : yarn_log(factor, 1.0);
    t->magnitude = wf_json_double(s, "attention_factor", t->magnitude);
}

static void scale_longrope(turns *t, const wf_json *s) {
    double original = wf_json_double(s, "original_max_position_embeddings", 0.0);
    double factor = wf_json_double(s, "factor", wf_json_double(s, "max_position_embeddings", original) / original);
    const wf_json *list = wf_json_get(s, (double)t->length > original ? "long_factor" : "short_factor");
    for (int64_t p = 0; p < (t->dim + 1) / 2; p++)
        t->frequency[p] /= wf_json_at(list, (size_t)p)->number;
    t->magnitude = wf_json_double(s, "attention_factor", factor <= 1.0 ? 1.0 : sqrt(1.0 + log(factor) / log(original)));
}

static void scale_llama3(turns *t, const wf_json *s) {
    double factor = wf_json_double(s, "factor", 0.0), low = wf_json_double(s, "low_freq_factor", 0.0),
           high = wf_json_double(s, "high_freq_factor", 0.0);
    double original = wf_json_double(s, "original_max_position_embeddings", 0.0);
    for (int64_t p = 0; p < (t->dim + 1) / 2; p++) {
        double f = t->frequency[p], turned = original * f / (2.0 * PI), smooth = (turned - low) / (high - low);
        t->frequency[p] = turned > high ? f : turned < low ? f / factor : (1.0 - smooth) * f / factor + smooth * f;
    }
}

static turns rotary(const naive_io *io) {
    const wf_json *rope = object(io, "rope"), *scaling = wf_json_get(rope, "scaling");
    turns t = {.theta = wf_json_double(rope, "theta", 10000.0),
               .magnitude = 1.0,
               .length = io->rows,
               .dim = wf_json_int(rope, "dim", wf_int(io->layer, "key_dim"))};
    const char *type = wf_json_text(scaling, "type", "default");
    const struct {
        const char *name;
        void (*apply)(turns *t, const wf_json *s);
    } rules[] = {{"linear", scale_linear},
                 {"dynamic", scale_dynamic},
                 {"yarn", scale_yarn},
                 {"longrope", scale_longrope},
                 {"llama3", scale_llama3}};
    assert((t.dim + 1) / 2 <= MOST_PAIRS);
    plain(&t);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(type, rules[i].name) == 0)
            rules[i].apply(&t, scaling);
    return t;
}

/* rope; xpos turns interleaved pairs with theta 10000 and multiplies by zeta_p^(sign*i/base). Positions are those of x. */
static void turn(const naive_io *io, const heads *h, bool own_positions, double sign) {
    const wf_json *xpos = object(io, "xpos");
    if (!xpos && !wf_given(io->layer, "rope"))
        return;
    turns t = rotary(io);
    bool half = !xpos && strcmp(wf_json_text(object(io, "rope"), "pairing", "half"), "half") == 0;
    bool reverse = wf_json_bool(object(io, "rope"), "reverse", false);
    for (int64_t i = 0; i < io->batch * h->rows * h->count; i++) {
        int64_t row = i / h->count;
        double position = (double)(io->positions && own_positions ? io->positions[row] : row % h->rows),
               width = (double)h->width;
        for (int64_t p = 0; p < (t.dim + 1) / 2; p++) {
            double zeta = (2.0 * (double)p + 0.4 * width) / (1.4 * width),
                   angle = position * t.frequency[p] * (reverse ? -1.0 : 1.0);
            double m = t.magnitude * (xpos ? pow(zeta, sign * position / wf_json_double(xpos, "base", 512.0)) : 1.0);
            double *a = h->x + i * h->width + (half ? p : 2 * p), *b = half ? a + (t.dim + 1) / 2 : a + 1, first = *a;
            *a = m * (first * cos(angle) - *b * sin(angle));
            *b = m * (*b * cos(angle) + first * sin(angle));
        }
    }
}

static void temper(const naive_io *io, const heads *q) {
    const wf_json *how = object(io, "temper");
    for (int64_t i = 0; how && i < io->batch * q->rows * q->count * q->width; i++) {
        int64_t row = i / (q->count * q->width), p = io->positions ? io->positions[row] : row % q->rows;
        q->x[i] *=
            1.0 + wf_json_double(how, "scale", 0.1) * log1p(floor((double)(p + 1) / wf_json_double(how, "step", 8192.0)));
    }
}

/* ---- scores ---- */
static double slope(int64_t h, int64_t H) {
    int64_t n = 1;
    while (2 * n <= H)
        n *= 2;
    return h < n ? pow(2.0, -8.0 * (double)(h + 1) / (double)n) : pow(2.0, -4.0 * (2.0 * (double)(h - n) + 1.0) / (double)n);
}

static int64_t bucket(int64_t d, int64_t count, int64_t max_distance, bool bidirectional) {
    int64_t first = 0, n = d < 0 ? -d : 0;
    if (bidirectional) {
        count /= 2;
        first = d > 0 ? count : 0;
        n = d < 0 ? -d : d;
    }
    int64_t e = count / 2;
    if (n < e)
        return first + n;
    int64_t far = e + (int64_t)floor(log((double)n / (double)e) / log((double)max_distance / (double)e) * (double)(count - e));
    return first + (far < count - 1 ? far : count - 1);
}

static double rounded(double x) { /* to bfloat16, to the nearest, ties to even */
    union {
        float value;
        uint32_t bits;
    } u = {(float)x};
    u.bits = (u.bits + 0x7fffu + (u.bits >> 16 & 1u)) & 0xffff0000u;
    return (double)u.value;
}

/* Of row j of sequence b, counted over the rows that are not padding. */
static double key_bias(const naive_io *io, int64_t b, int64_t j, int64_t S, int64_t h) {
    const uint8_t *mask = io->memory ? io->memory_mask : io->mask;
    int64_t n = -1;
    if (!wf_flag(io->layer, "alibi_keys") || !naive_real(mask, b * S + j))
        return 0.0;
    for (int64_t k = 0; k <= j; k++)
        n += naive_real(mask, b * S + k);
    return wf_float(io->layer, "scale") * rounded(rounded(slope(h, wf_int(io->layer, "heads"))) * (double)n);
}

static double bias_of(const naive_io *io, int64_t i, int64_t j, int64_t h) {
    int64_t H = wf_int(io->layer, "heads");
    const wf_json *t5 = object(io, "t5_bias");
    double sum = wf_flag(io->layer, "alibi") ? -slope(h, H) * fabs((double)(i - j)) : 0.0;
    if (t5)
        sum += naive_weight(
            io, "rel_bias.weight")[bucket(j - i, wf_json_int(t5, "buckets", 32), wf_json_int(t5, "max_distance", 128),
                                          wf_json_bool(t5, "bidirectional", true)) *
                                       H +
                                   h];
    return sum;
}

static bool within(const naive_io *io, size_t side, int64_t distance) {
    const wf_value *window = wf_get(io->layer, "window");
    return window->type == WF_NULL || window->items[side].type == WF_NULL || distance <= window->items[side].integer;
}

static int64_t chunk_of(const naive_io *io, int64_t b, int64_t i) { /* counted from the first row that is no padding */
    int64_t padding = 0;
    while (io->mask && padding < io->rows && !io->mask[b * io->rows + padding])
        padding++;
    return i < padding ? -1 : (i - padding) / wf_int(io->layer, "chunk");
}

static bool allowed(const naive_io *io, int64_t b, int64_t i, int64_t j, int64_t S) {
    const uint8_t *mask = io->memory ? io->memory_mask : io->mask;
    if (wf_given(io->layer, "chunk"))
        return j <= i && chunk_of(io, b, i) == chunk_of(io, b, j) && naive_real(mask, b * S + j);
    bool near = (!wf_flag(io->layer, "causal") || j <= i) && within(io, 0, i - j) && within(io, 1, j - i);
    bool same = !io->segments || io->memory || io->segments[b * io->rows + i] == io->segments[b * io->rows + j];
    return (near || (io->prefix && j < io->prefix[b])) && same && naive_real(mask, b * S + j);
}

/* Products of the query, or of query and key, with the vector of the distance. */
static double relative_of(const naive_io *io, const double *q, const double *k, int64_t distance, int64_t width) {
    const wf_json *relative = object(io, "relative");
    double sum = 0.0;
    if (!relative)
        return 0.0;
    int64_t length = wf_json_int(relative, "length", 512), row = distance + length - 1;
    row = row < 0 ? 0 : row > 2 * length - 2 ? 2 * length - 2 : row;
    bool both = strcmp(wf_json_text(relative, "of", "query"), "both") == 0;
    for (int64_t c = 0; c < width; c++)
        sum += (q[c] + (both ? k[c] : 0.0)) * naive_weight(io, "relative.weight")[row * width + c];
    return wf_float(io->layer, "scale") * sum;
}

/* ---- a bias by the key, of which the largest stay ---- */
static double *dynamic_biases(naive_io *io, const double *v, int64_t rows, int64_t G) {
    if (!wf_given(io->layer, "dynamic"))
        return NULL;
    double *w = naive_linear(io, "dynamic", v, rows);
    const double *a = naive_weight(io, "dynamic.a");
    for (int64_t i = 0; i < rows * G; i++)
        w[i] = exp(a[i % G] * log1p(exp(w[i])));
    return w;
}

typedef struct query { /* row i of head h of sequence b */
    int64_t b, i, h;
    const double *w; /* the biases of the keys, or NULL */
} query;

/* How many keys that a row may see have a larger bias than j. */
static int64_t rank_of(const naive_io *io, query at, int64_t j, int64_t S, int64_t g, int64_t G) {
    const double *w = at.w + at.b * S * G + g;
    int64_t larger = 0;
    for (int64_t o = 0; o < S; o++)
        larger += allowed(io, at.b, at.i, o, S) && w[o * G] > w[j * G];
    return larger;
}

/* One query row: p [S] and out [V]. */
static void attend(const naive_io *io, query at, const heads *q, const heads *k, const heads *v, double *p, double *out) {
    int64_t b = at.b, i = at.i, h = at.h;
    const double *sinks = naive_weight(io, "sinks");
    double most = sinks ? sinks[h] : -INFINITY, sum = 0.0, cap = wf_float(io->layer, "softcap");
    int64_t S = k->rows, g = h / (q->count / k->count);
    for (int64_t j = 0; j < S; j++) {
        const double *own = q->x + ((b * q->rows + i) * q->count + h) * q->width,
                     *key = k->x + ((b * S + j) * k->count + g) * k->width;
        double z = 0.0;
        for (int64_t c = 0; c < q->width; c++)
            z += own[c] * key[c];
        z *= wf_float(io->layer, "scale");
        z = cap > 0.0 ? cap * tanh(z / cap) : z;
        p[j] = allowed(io, b, i, j, S)
                   ? z + bias_of(io, i, j, h) + key_bias(io, b, j, S, h) + relative_of(io, own, key, i - j, q->width)
                   : -INFINITY;
        if (at.w && p[j] > -INFINITY)
            p[j] = rank_of(io, at, j, S, g, k->count) < wf_json_int(object(io, "dynamic"), "keep", 2048)
                       ? p[j] + at.w[(b * S + j) * k->count + g]
                       : -INFINITY;
        most = fmax(most, p[j]);
    }
    for (int64_t j = 0; j < S; j++) {
        p[j] = p[j] > -INFINITY ? exp(p[j] - most) : 0.0;
        sum += p[j];
    }
    sum += sinks ? exp(sinks[h] - most) : 0.0;
    for (int64_t j = 0; j < S && sum > 0.0; j++) {
        p[j] /= sum;
        for (int64_t c = 0; c < v->width; c++)
            out[c] += p[j] * v->x[((b * S + j) * v->count + g) * v->width + c];
    }
}

static void run(naive_io *io) {
    const wf_layer *l = io->layer;
    int64_t T = io->rows, S = io->memory ? io->memory_rows : T, H = wf_int(l, "heads"), G = wf_int(l, "kv_heads"),
            V = wf_int(l, "value_dim");
    const double *m = io->memory ? io->memory : io->x;
    heads q = {naive_linear(io, "q", io->x, io->batch * T), T, H, wf_int(l, "key_dim")};
    heads k = {naive_linear(io, "k", m, io->batch * S), S, G, wf_int(l, "key_dim")},
          v = {naive_linear(io, "v", m, io->batch * S), S, G, V};
    double *out = naive_zeros(io, io->batch * T * H * V);
    prepare(io, "q", &q);
    prepare(io, "k", &k);
    prepare(io, "v", &v);
    turn(io, &q, true, 1.0);
    turn(io, &k, !io->memory, -1.0);
    if (wf_flag(l, "rope_values"))
        turn(io, &v, !io->memory, -1.0);
    if (object(io, "qk_norm") && wf_json_bool(object(io, "qk_norm"), "after_rope", false)) {
        norm_heads(io, "q", &q);
        norm_heads(io, "k", &k);
    }
    temper(io, &q);
    const double *biases = dynamic_biases(io, v.x, io->batch * S, G);
    io->attention = naive_zeros(io, io->batch * H * T * S);
    for (int64_t b = 0; b < io->batch; b++)
        for (int64_t h = 0; h < H; h++)
            for (int64_t i = 0; i < T; i++)
                attend(io, (query){b, i, h, biases}, &q, &k, &v, io->attention + ((b * H + h) * T + i) * S,
                       out + ((b * T + i) * H + h) * V);
    for (int64_t i = 0; object(io, "o_norm") && i < io->batch * T; i++)
        naive_rms(out + i * H * V, H * V, wf_json_double(object(io, "o_norm"), "eps", wf_float(l, "norm_eps")),
                  naive_weight(io, "o_norm.weight"));
    const double *gate = wf_flag(l, "gate") ? naive_linear(io, "gate", io->x, io->batch * T) : NULL;
    for (int64_t i = 0; gate && i < io->batch * T * H * V; i++)
        out[i] *= naive_activation("sigmoid", gate[i]);
    io->y = naive_linear(io, "o", out, io->batch * T);
    io->width = wf_int(l, "out_dim");
}

static const char *const head_counts[] = {"\"heads\": 3",
                                          "\"heads\": 4, \"kv_heads\": 2, \"key_dim\": 6",
                                          "\"heads\": 6, \"kv_heads\": 1, \"key_dim\": 4, \"value_dim\": 3",
                                          "\"heads\": 8, \"kv_heads\": 4, \"key_dim\": 4, \"value_dim\": 5",
                                          "\"heads\": 1, \"key_dim\": 8, \"value_dim\": 17",
                                          "\"heads\": 3, \"kv_heads\": 3, \"key_dim\": 16, \"value_dim\": 7",
                                          NULL};
static const char *const order[] = {"\"causal\": true", "", "\"causal\": false", NULL};
static const char *const sources[] = {"",
                                      "@positions",
                                      "@segments",
                                      "@positions @segments",
                                      "\"memory_dim\": 7 @memory",
                                      "\"memory_dim\": 10 @memory",
                                      "@memory @positions",
                                      "@memory @segments",
                                      NULL};
static const char *const biases[] = {
    "", "\"bias\": [\"q\", \"k\", \"v\", \"o\"]", "\"bias\": [\"o\"]", "\"bias\": [\"k\"]", "\"bias\": [\"v\", \"q\"]", NULL};
static const char *const scales[] = {"", "\"scale\": 1.0", "\"scale\": 0.2", NULL};
static const char *const caps[] = {"", "\"softcap\": 2.0", "\"softcap\": 0.0", "\"softcap\": 30.0", NULL};
static const char *const windows[] = {"",
                                      "\"window\": [3, null]",
                                      "\"window\": [null, 2]",
                                      "\"window\": [2, 1]",
                                      "\"window\": [null, null]",
                                      "\"alibi_keys\": true",
                                      "\"window\": [0, 0]",
                                      "\"window\": [0, null]",
                                      "\"window\": null",
                                      "\"window\": [20, 5]",
                                      NULL};
#define SCALED(rest) "\"rope\": {\"theta\": 100.0, \"dim\": 4, \"scaling\": {" rest "}}"
static const char *const schemes[] = {
    "",
    "\"rope\": {}",
    "\"rope\": {\"theta\": 50.0, \"pairing\": \"interleaved\"}",
    "\"rope\": {\"dim\": 2}",
    "\"rope\": {\"dim\": 3}",
    "\"rope\": {\"dim\": 4, \"pairing\": \"interleaved\", \"theta\": 7.5, \"reverse\": true}",
    "\"rope\": {\"pairing\": \"half\", \"scaling\": null}",
    SCALED("\"type\": \"default\""),
    SCALED("\"type\": \"linear\", \"factor\": 3.0"),
    SCALED("\"type\": \"dynamic\", \"factor\": 2.0, \"max_position_embeddings\": 8"),
    SCALED("\"type\": \"dynamic\", \"factor\": 2.0, \"max_position_embeddings\": 80"),
    SCALED(
        "\"type\": \"yarn\", \"factor\": 4.0, \"original_max_position_embeddings\": 9, \"beta_fast\": 1.0, \"beta_slow\": 0.2"),
    SCALED("\"type\": \"yarn\", \"factor\": 4.0, \"original_max_position_embeddings\": 40, \"truncate\": false, \"mscale\": "
           "0.7, \"mscale_all_dim\": 1.3"),
    SCALED("\"type\": \"yarn\", \"factor\": 2.0, \"original_max_position_embeddings\": 40, \"attention_factor\": 0.8"),
    SCALED("\"type\": \"longrope\", \"original_max_position_embeddings\": 6, \"max_position_embeddings\": 24, "
           "\"short_factor\": [1.1, 1.4], \"long_factor\": [1.5, 4.0]"),
    SCALED("\"type\": \"longrope\", \"original_max_position_embeddings\": 60, \"factor\": 3.0, \"short_factor\": [1.1, 1.4], "
           "\"long_factor\": [1.5, 4.0]"),
    SCALED("\"type\": \"longrope\", \"original_max_position_embeddings\": 6, \"attention_factor\": 1.2, \"short_factor\": "
           "[1.1, 1.4], \"long_factor\": [1.5, 4.0]"),
    SCALED("\"type\": \"llama3\", \"factor\": 4.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
           "\"original_max_position_embeddings\": 100"),
    SCALED("\"type\": \"llama3\", \"factor\": 4.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
           "\"original_max_position_embeddings\": 12"),
    "\"xpos\": {}",
    "\"xpos\": {\"base\": 16.0}",
    "\"alibi\": true",
    "\"alibi\": true, \"rope\": {}",
    "\"t5_bias\": {\"buckets\": 8, \"max_distance\": 9}",
    "\"t5_bias\": {\"buckets\": 7, \"max_distance\": 13, \"bidirectional\": false}",
    "\"t5_bias\": {}",
    "\"t5_bias\": {\"buckets\": 12, \"max_distance\": 20, \"bidirectional\": true}",
    NULL};
static const char *const norms[] = {"",
                                    "\"qk_norm\": {}",
                                    "\"qk_norm\": {\"kind\": \"rms\", \"scope\": \"all\", \"eps\": 0.02}",
                                    "\"qk_norm\": {\"kind\": \"layer\"}, \"norm_eps\": 0.1",
                                    "\"qk_norm\": {\"kind\": \"layer\", \"scope\": \"all\"}",
                                    "\"qk_norm\": {\"kind\": \"l2\"}",
                                    "\"qk_norm\": {\"affine\": false, \"after_rope\": true}",
                                    "\"qk_norm\": {\"offset\": 1.0, \"after_rope\": true, \"scope\": \"all\"}",
                                    "\"qk_norm\": {\"scope\": \"heads\"}",
                                    "\"qk_norm\": {\"kind\": \"layer\", \"scope\": \"heads\", \"bias\": false}",
                                    "\"qk_norm\": {\"kind\": \"layer\", \"bias\": false, \"offset\": 1.0}",
                                    "\"qk_norm\": {\"kind\": \"l2\", \"scope\": \"all\", \"eps\": 0.3}",
                                    NULL};
static const char *const bounds[] = {
    "", "\"clip\": 0.5", "\"o_norm\": {}", "\"o_norm\": {\"eps\": 0.1}, \"clip\": 2.0", "\"gate\": true", NULL};
static const char *const sinks[] = {"", "\"sinks\": true", NULL};
static const char *const masks[] = {"", "@mask left", "@mask right", "@mask middle", "@mask all", NULL};
static const char *const prefixes[] = {"", "", "@prefix", NULL};
static const char *const rows[] = {"", "@rows 16", "@rows 1", "@rows 37", "@rows 2", "", "@rows 67", NULL};
static const naive_axis axes[] = {head_counts, order,  sources, biases, scales,   caps, windows, schemes,
                                  norms,       bounds, sinks,   masks,  prefixes, rows, NULL};
const naive_row naive_attention = {"attention", run, axes, 300};

/* Chunks do not go with most of the rest. */
static const char *const chunks[] = {"\"causal\": true, \"chunk\": 4", "\"causal\": true, \"chunk\": 1",
                                     "\"causal\": true, \"chunk\": 16", NULL};
static const char *const turned[] = {"", "\"rope\": {}", "\"rope\": {\"pairing\": \"interleaved\", \"theta\": 50.0}", NULL};
static const char *const tempers[] = {"", "\"temper\": {\"step\": 3}", "\"temper\": {\"scale\": 0.7, \"step\": 2.5} @positions",
                                      NULL};
static const naive_axis chunk_axes[] = {head_counts, chunks,  biases, scales, caps, turned,
                                        norms,       tempers, sinks,  masks,  rows, NULL};
const naive_row naive_attention_chunks = {"attention", run, chunk_axes, 80};
static const char *const plain_heads[] = {"\"heads\": 3", "\"heads\": 2, \"key_dim\": 5", "\"heads\": 1, \"key_dim\": 8", NULL};
static const char *const relatives[] = {"\"relative\": {\"length\": 11}", "\"relative\": {\"of\": \"both\", \"length\": 4}",
                                        "\"relative\": {\"of\": \"query\", \"length\": 3}", "\"relative\": {\"of\": \"both\"}",
                                        NULL};
static const char *const sides[] = {"",  "\"causal\": true", "\"window\": [2, 1]", "@memory", "@mask middle", "@mask left",
                                    NULL};
static const naive_axis relative_axes[] = {plain_heads, relatives, sides, scales, NULL};
const naive_row naive_attention_relative = {"attention", run, relative_axes, 20};
static const char *const values_turned[] = {
    "\"rope\": {}, \"rope_values\": true", "\"rope\": {\"pairing\": \"interleaved\", \"dim\": 4}, \"rope_values\": true", NULL};
static const char *const even_heads[] = {"\"heads\": 3", "\"heads\": 4, \"kv_heads\": 2, \"key_dim\": 6", NULL};
static const naive_axis turned_axes[] = {even_heads, values_turned, order, NULL};
const naive_row naive_attention_values = {"attention", run, turned_axes, 8};
static const char *const pieces[] = {"\"q_groups\": 2", "\"k_groups\": 2, \"v_groups\": 2", "\"o_groups\": 2",
                                     "\"q_groups\": 2, \"v_groups\": 2, \"o_groups\": 2", NULL};
static const naive_axis group_axes[] = {even_heads, pieces, biases, NULL};
const naive_row naive_attention_groups = {"attention", run, group_axes, 10};
static const char *const widths[] = {"\"out_dim\": 5", "\"low_rank\": 2", "\"low_rank\": 3, \"out_dim\": 17", NULL};
static const naive_axis width_axes[] = {even_heads, widths, sides, biases, NULL};
const naive_row naive_attention_widths = {"attention", run, width_axes, 12};

static const char *const kept[] = {"\"dynamic\": {}", "\"dynamic\": {\"keep\": 3}", "\"dynamic\": {\"keep\": 1}",
                                   "\"dynamic\": {\"keep\": 4}, \"bias\": [\"v\", \"dynamic\"]", NULL};
static const char *const kept_sides[] = {"\"causal\": true", "", "\"causal\": true, \"window\": [5, null]", "@mask right",
                                         NULL};
static const char *const kept_rows[] = {"", "@rows 37", NULL};
static const naive_axis dynamic_axes[] = {even_heads, kept, kept_sides, kept_rows, NULL};
const naive_row naive_attention_dynamic = {"attention", run, dynamic_axes, 16, true};
