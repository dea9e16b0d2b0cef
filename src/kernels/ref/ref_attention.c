/* ref_attention.c - kernel F in plain loops and double precision: the definition the vector forms are held to. Scores are
 * computed again wherever they are needed, so that no piece needs more memory than one row of accumulators. */
#include <math.h>
#include <string.h>
#include "kernels/ref/ref.h"

typedef struct piece {
    const wf_attention_args *a;
    int64_t b, h;
} piece;

static double element(wf_dtype type, const void *p, int64_t at) {
    return type == WF_BF16 ? (double)wf_bf16_to_f32(((const uint16_t *)p)[at]) : (double)((const float *)p)[at];
}

static void put(wf_dtype type, void *p, int64_t at, double value) {
    if (type == WF_BF16)
        ((uint16_t *)p)[at] = wf_f32_to_bf16((float)value);
    else
        ((float *)p)[at] = (float)value;
}

static int64_t at(wf_strides s, int64_t b, int64_t token, int64_t head) {
    return b * s.batch + token * s.token + head * s.head;
}

/* Row of what has one for all entries of a token. */
static int64_t row_of(piece p, int64_t i) { return p.a->entries ? p.a->entries[(p.b * p.a->heads + p.h) * p.a->t + i] : i; }
static int64_t key_count(const wf_attention_args *a) { return a->entries ? a->t : a->s; }

/* The index of the token in slot j, or -1 when there is none. */
static int64_t key_index(const wf_attention_args *a, int64_t b, int64_t j) {
    if (a->entries)
        return j;
    int64_t len = a->kv_len ? a->kv_len[b] : a->s;
    if (a->ring == 0)
        return j < len ? j : -1;
    int64_t back = (len - 1 - j) % a->ring; /* how far slot j lies behind the newest token */
    int64_t index = len - 1 - (back < 0 ? back + a->ring : back);
    return index >= 0 ? index : -1;
}

static int64_t row_index(const wf_attention_args *a, int64_t b, int64_t i) { return (a->start ? a->start[b] : 0) + i; }

static bool allowed(piece p, int64_t i, int64_t j) {
    const wf_attention_args *a = p.a;
    int64_t b = p.b, key = key_index(a, b, j), row = row_index(a, b, i);
    if (key < 0 || (a->key_mask && !a->key_mask[b * a->s + row_of(p, j)]))
        return false;
    if (a->pattern)
        return true;
    if (a->q_segments && a->q_segments[b * a->t + i] != a->k_segments[b * a->s + j])
        return false;
    if (a->prefix && key < a->prefix[b])
        return true;
    return (!a->causal || key <= row) && row - key <= a->left && key - row <= a->right;
}

static int64_t distance_entry(const wf_attention_args *a, int64_t b, int64_t i, int64_t j) {
    int64_t entry = key_index(a, b, j) - row_index(a, b, i) + a->distance_zero;
    return entry < 0 ? 0 : entry >= a->distances ? a->distances - 1 : entry;
}

/* The logit of row i and slot j, -INFINITY when hidden; *slope: its derivative by scale*q.k (1 but for softcap). */
static double score(piece p, int64_t i, int64_t j, double *slope) {
    const wf_attention_args *a = p.a;
    if (!allowed(p, i, j))
        return -INFINITY;
    int64_t q = at(a->q_stride, p.b, row_of(p, i), p.h), k = at(a->k_stride, p.b, row_of(p, j), p.h / (a->heads / a->kv_heads));
    double z = 0;
    for (int64_t d = 0; d < a->key_dim; d++)
        z += element(a->type, a->q, q + d) * element(a->type, a->k, k + d);
    z *= (double)a->scale;
    *slope = 1;
    if (a->softcap > 0) {
        double th = tanh(z / (double)a->softcap);
        z = (double)a->softcap * th;
        *slope = 1 - th * th;
    }
    if (a->pattern) {
        float weight[WF_ATTENTION_ROWS] = {0};
        int64_t row = row_index(a, p.b, i);
        a->pattern->weights(&(wf_pattern_rows){a, p.b, p.h, row, row}, &(int64_t){key_index(a, p.b, j)}, 1, weight);
        return z + (double)weight[0];
    }
    if (a->slopes)
        z -= (double)a->slopes[p.h] * fabs((double)(row_index(a, p.b, i) - key_index(a, p.b, j)));
    if (a->distance_bias)
        z += (double)a->distance_bias[p.h * a->distances + distance_entry(a, p.b, i, j)];
    if (a->bias)
        z += (double)a->bias[p.b * a->bias_batch + p.h * a->bias_head + i * a->bias_row + j];
    return z;
}

static double kept(piece p, int64_t i, int64_t j) { /* what dropout multiplies p_ij by */
    const wf_attention_args *a = p.a;
    if (a->dropout == 0)
        return 1;
    uint64_t index = (uint64_t)(((p.b * a->heads + p.h) * a->t + i) * a->s + row_of(p, j));
    return wf_rng_uniform(a->rng, index) >= a->dropout ? 1 / (1 - (double)a->dropout) : 0;
}

/* ln of the sum of e^z over the keys (and the sink) of row i. */
static double row_lse(piece p, int64_t i) {
    double max = -INFINITY, slope, sum = 0;
    for (int64_t j = 0; j < key_count(p.a); j++)
        max = fmax(max, score(p, i, j, &slope));
    if (max == -INFINITY)
        return max;
    if (p.a->sinks)
        max = fmax(max, (double)p.a->sinks[p.h]);
    for (int64_t j = 0; j < key_count(p.a); j++)
        sum += exp(score(p, i, j, &slope) - max);
    if (p.a->sinks)
        sum += exp((double)p.a->sinks[p.h] - max);
    return max + log(sum);
}

static double probability(double z, double lse) { return lse == -INFINITY ? 0 : exp(z - lse); }

static void forward_row(piece p, int64_t i, double *o) {
    const wf_attention_args *a = p.a;
    double lse = row_lse(p, i), slope;
    for (int64_t c = 0; c < a->value_dim; c++)
        o[c] = 0;
    for (int64_t j = 0; j < key_count(a); j++) {
        double prob = probability(score(p, i, j, &slope), lse), weight = prob * kept(p, i, j);
        if (a->probs)
            a->probs[((p.b * a->heads + p.h) * a->t + i) * a->s + j] = (float)prob;
        int64_t v = at(a->v_stride, p.b, row_of(p, j), p.h / (a->heads / a->kv_heads));
        for (int64_t c = 0; c < a->value_dim && prob > 0; c++)
            o[c] += weight * element(a->type, a->v, v + c);
    }
    for (int64_t c = 0; c < a->value_dim; c++)
        put(a->type, a->o, at(a->o_stride, p.b, i, p.h) + c, o[c]);
    a->lse[(p.b * a->heads + p.h) * a->t + i] = (float)lse;
}

void wf_ref_attention(const wf_attention_args *a, int64_t batch, int64_t head, int64_t piece_, void *scratch) {
    int64_t rows = wf_attention_blocks(a, false) * WF_ATTENTION_ROWS, first = piece_ * rows,
            end = first + rows < a->t ? first + rows : a->t;
    for (int64_t h = head; h < head + wf_attention_heads(a); h++)
        for (int64_t i = first; i < end; i++)
            forward_row((piece){a, batch, h}, i, scratch);
}

/* Where a number of row i stands that every row has one of. */
static int64_t row_number(piece p, int64_t i) {
    return (p.b * p.a->heads + p.h) * (p.a->entries ? p.a->s : p.a->t) + row_of(p, i);
}
static double row_lse_saved(piece p, int64_t i) { return (double)p.a->lse[row_number(p, i)]; }

/* sum_j p_ij dL/dp_ij - dL/dlse_i: what every score gradient of the row has subtracted (Dao et al. 2022, section B.4). */
static double row_delta(piece p, int64_t i) {
    const wf_attention_args *a = p.a;
    double delta = a->d_lse ? -(double)a->d_lse[row_number(p, i)] : 0;
    int64_t o = at(a->o_stride, p.b, row_of(p, i), p.h), g = at(a->do_stride, p.b, row_of(p, i), p.h);
    for (int64_t c = 0; c < a->value_dim; c++)
        delta += element(a->type, a->o, o + c) * element(a->type, a->do_, g + c);
    return delta;
}

typedef struct pair {
    double prob, weight, dz, dscore;
} pair; /* p, p after dropout, gradients after and before softcap */

static pair pair_gradient(piece p, int64_t i, int64_t j) {
    const wf_attention_args *a = p.a;
    double slope = 1, lse = row_lse_saved(p, i), prob = probability(score(p, i, j, &slope), lse);
    if (prob == 0)
        return (pair){0};
    double keep = kept(p, i, j), dp = 0, delta = row_delta(p, i);
    int64_t v = at(a->v_stride, p.b, row_of(p, j), p.h / (a->heads / a->kv_heads)),
            g = at(a->do_stride, p.b, row_of(p, i), p.h);
    for (int64_t c = 0; c < a->value_dim; c++)
        dp += element(a->type, a->v, v + c) * element(a->type, a->do_, g + c);
    double dz = prob * (dp * keep - delta);
    return (pair){prob, prob * keep, dz, dz * slope};
}

/* dq_i = scale * sum_j ds_ij k_j, and the gradients of what was added to the scores. */
static void back_row(piece p, int64_t i, double *dq, double *distances) {
    const wf_attention_args *a = p.a;
    for (int64_t d = 0; d < a->key_dim; d++)
        dq[d] = 0;
    for (int64_t j = 0; j < key_count(a); j++) {
        pair g = pair_gradient(p, i, j);
        if (a->d_bias)
            a->d_bias[((p.b * a->heads + p.h) * a->t + i) * a->s + j] = (float)g.dz;
        if (a->d_distance_bias && g.prob > 0)
            distances[distance_entry(a, p.b, i, j)] += g.dz;
        int64_t k = at(a->k_stride, p.b, row_of(p, j), p.h / (a->heads / a->kv_heads));
        for (int64_t d = 0; d < a->key_dim && g.prob > 0; d++)
            dq[d] += (double)a->scale * g.dscore * element(a->type, a->k, k + d);
    }
    int64_t to = at(a->dq_stride, p.b, row_of(p, i), p.h);
    for (int64_t d = 0; d < a->key_dim; d++) {
        if (a->entries)
            ((float *)a->dq)[to + d] += (float)dq[d];
        else
            put(a->type, a->dq, to + d, dq[d]);
    }
}

/* dk_j = scale * sum_i ds_ij q_i, dv_j = sum_i p_ij do_i. */
static void back_key(piece p, int64_t j, double *dk, double *dv) {
    const wf_attention_args *a = p.a;
    for (int64_t d = 0; d < a->key_dim; d++)
        dk[d] = 0;
    for (int64_t c = 0; c < a->value_dim; c++)
        dv[c] = 0;
    for (int64_t i = 0; i < a->t; i++) {
        pair g = pair_gradient(p, i, j);
        for (int64_t d = 0; d < a->key_dim && g.prob > 0; d++)
            dk[d] += (double)a->scale * g.dscore * element(a->type, a->q, at(a->q_stride, p.b, row_of(p, i), p.h) + d);
        for (int64_t c = 0; c < a->value_dim && g.prob > 0; c++)
            dv[c] += g.weight * element(a->type, a->do_, at(a->do_stride, p.b, row_of(p, i), p.h) + c);
    }
    int64_t row = (p.b * a->s + row_of(p, j)) * a->heads + p.h;
    for (int64_t d = 0; d < a->key_dim; d++)
        a->dk[row * a->key_dim + d] += (float)dk[d];
    for (int64_t c = 0; c < a->value_dim; c++)
        a->dv[row * a->value_dim + c] += (float)dv[c];
}

/* Of this head, what entries add to. */
static void clear_gradients(piece p) {
    const wf_attention_args *a = p.a;
    for (int64_t j = 0; j < a->s; j++) {
        int64_t row = (p.b * a->s + j) * a->heads + p.h;
        memset(a->dk + row * a->key_dim, 0, (size_t)a->key_dim * sizeof(float));
        memset(a->dv + row * a->value_dim, 0, (size_t)a->value_dim * sizeof(float));
        if (a->entries)
            memset((float *)a->dq + at(a->dq_stride, p.b, j, p.h), 0, (size_t)a->key_dim * sizeof(float));
    }
}

void wf_ref_attention_back(const wf_attention_args *a, int64_t batch, int64_t head, void *scratch) {
    piece p = {a, batch, head};
    double *acc = scratch, *distances = acc + a->key_dim + a->value_dim, sink = 0;
    for (int64_t e = 0; e < a->distances && a->d_distance_bias; e++)
        distances[e] = 0;
    clear_gradients(p);
    for (int64_t i = 0; i < a->t; i++) {
        back_row(p, i, acc, distances);
        if (a->d_sinks && row_lse_saved(p, i) != -INFINITY) /* the sink is a key whose value is 0 */
            sink -= exp((double)a->sinks[head] - row_lse_saved(p, i)) * row_delta(p, i);
    }
    for (int64_t j = 0; j < key_count(a); j++)
        back_key(p, j, acc, acc + a->key_dim);
    for (int64_t e = 0; e < a->distances && a->d_distance_bias; e++)
        a->d_distance_bias[(batch * a->heads + head) * a->distances + e] = (float)distances[e];
    if (a->d_sinks)
        a->d_sinks[batch * a->heads + head] = (float)sink;
}
