/* lsh_sort.c - the hashing of the Reformer: tokens into buckets by random rotations, and the order of all rounds * T entries by
 * round, bucket and position (Kitaev et al. 2020, arXiv 2001.04451, section 2; Andoni et al. 2015 for the hash). No gradient:
 * the order is a constant. A piece is one head of one sequence. */
#include <math.h>
#include "kernels/kernels.h"
#include "tensor/ops/elementwise.h"

enum { Q, ROTATIONS, MASK };
enum { BUCKETS, ORDER };

typedef struct lsh {
    int64_t batch, t, heads, width, rounds, columns; /* columns: of the rotations, per round */
    int64_t n_factors, buckets;
    int64_t factors[WF_LSH_FACTORS];
} lsh;

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const lsh *a = node->attr;
    return pass == WF_FORWARD && phase == 0 ? (int)(a->batch * a->heads) : 0;
}

/* turned[round*columns + c] = q times every column of the rotations, in double. */
static void turn_row(const lsh *a, const float *q, const float *rotations, double *turned) {
    int64_t n = a->rounds * a->columns;
    memset(turned, 0, (size_t)n * sizeof *turned);
    for (int64_t d = 0; d < a->width; d++) {
        const double x = (double)q[d];
        const float *row = rotations + d * n;
        for (int64_t c = 0; c < n; c++)
            turned[c] += x * (double)row[c];
    }
}

/* argmax of [r, -r]. */
static int64_t side_of(const double *r, int64_t half) {
    int64_t best = 0, lowest = 0;
    for (int64_t c = 1; c < half; c++) {
        best = r[c] > r[best] ? c : best;
        lowest = r[c] < r[lowest] ? c : lowest;
    }
    return -r[lowest] > r[best] ? half + lowest : best;
}

/* The same of rounded numbers; -1 where it could be another one without the rounding, which is at most `error`. */
static int64_t side_of_rounded(const wf_kernels *k, const float *r, int64_t half, float error) {
    float lead;
    int64_t best = k->largest(&lead, r, half);
    return lead > 2.0f * error ? best + (r[best] < 0.0f ? half : 0) : -1;
}

/* The sides of all factors as one number. */
static int64_t bucket_of(const lsh *a, const double *turned) {
    int64_t bucket = 0, weight = 1, column = 0;
    for (int64_t f = 0; f < a->n_factors; f++) {
        bucket += weight * side_of(turned + column, a->factors[f] / 2);
        weight *= a->factors[f];
        column += a->factors[f] / 2;
    }
    return bucket;
}

static int64_t bucket_of_rounded(const lsh *a, const wf_kernels *k, const float *turned, float error) {
    int64_t bucket = 0, weight = 1, column = 0;
    for (int64_t f = 0; f < a->n_factors; f++) {
        int64_t side = side_of_rounded(k, turned + column, a->factors[f] / 2, error);
        if (side < 0)
            return -1;
        bucket += weight * side;
        weight *= a->factors[f];
        column += a->factors[f] / 2;
    }
    return bucket;
}

static bool padded(const wf_node *node, int64_t i) { return node->in[MASK] && !((const uint8_t *)node->in[MASK]->data)[i]; }

/* Counting sort of one round: entries round*T.. of the order. */
static void sort_round(const lsh *a, const int64_t *buckets, int64_t round, int32_t *order, int64_t *count) {
    memset(count, 0, (size_t)(a->buckets + 2) * sizeof *count);
    for (int64_t t = 0; t < a->t; t++)
        count[buckets[t] + 1]++;
    for (int64_t k = 0; k <= a->buckets; k++)
        count[k + 1] += count[k];
    for (int64_t t = 0; t < a->t; t++)
        order[round * a->t + count[buckets[t]]++] = (int32_t)t;
}

/* ---- one head ---- */
enum { ROWS = WF_GEMM_ROWS, COLUMNS = WF_GEMM_COLUMNS };

typedef struct head {
    const float *rotations; /* [width, n], and in panels */
    int64_t n, padded_n;    /* rounds * columns; up to whole panels */
    float length;           /* of the longest column */
    float *panels, *turned, *rows;
    double *exact;
    int64_t *count;
} head;

static int64_t panel_columns(const lsh *a) { return (a->rounds * a->columns + COLUMNS - 1) / COLUMNS * COLUMNS; }

static size_t scratch_bytes(const lsh *a) {
    int64_t floats = panel_columns(a) * (a->width + ROWS) + ROWS * a->width;
    return (size_t)(a->buckets + 2) * sizeof(int64_t) + (size_t)(a->rounds * a->columns) * sizeof(double) +
           (size_t)floats * sizeof(float);
}

static void divide(const lsh *a, void *scratch, head *h) {
    h->n = a->rounds * a->columns;
    h->padded_n = panel_columns(a);
    h->count = scratch;
    h->exact = (double *)(h->count + a->buckets + 2);
    h->panels = (float *)(h->exact + h->n);
    h->turned = h->panels + h->padded_n * a->width;
    h->rows = h->turned + ROWS * h->padded_n;
}

static void open_head(const wf_node *node, int64_t h, head *out, wf_worker *w) {
    const lsh *a = node->attr;
    const wf_tensor *rotations = node->in[ROTATIONS];
    double most = 0.0;
    divide(a, w->scratch, out);
    out->rotations = (const float *)rotations->data + (rotations->dims[0] > 1 ? h : 0) * a->width * out->n;
    w->k->gemm_pack_rows(out->panels, out->rotations, false, out->n, out->n, a->width, COLUMNS);
    for (int64_t c = 0; c < out->n; c++) {
        double sum = 0.0;
        for (int64_t d = 0; d < a->width; d++)
            sum += (double)out->rotations[d * out->n + c] * (double)out->rotations[d * out->n + c];
        most = sum > most ? sum : most;
    }
    out->length = (float)sqrt(most);
}

/* The order must not hang on rounding: products are rounded, with an error of at most width * 2^-23 |q| |column|, and where
 * that could matter they are computed again in double. */
static void hash_row(const lsh *a, const head *h, const float *q, const float *turned, int64_t *buckets, wf_worker *w) {
    float error = (float)(a->width + 2) * 0x1p-23f * sqrtf((float)w->k->sum_squares(q, a->width)) * h->length;
    bool exact = false;
    for (int64_t r = 0; r < a->rounds; r++) {
        buckets[r * a->t] = bucket_of_rounded(a, w->k, turned + r * a->columns, error);
        if (buckets[r * a->t] >= 0)
            continue;
        if (!exact)
            turn_row(a, q, h->rotations, h->exact);
        exact = true;
        buckets[r * a->t] = bucket_of(a, h->exact + r * a->columns);
    }
}

static void hash_head(const wf_node *node, int piece, const head *hd, int64_t *buckets, wf_worker *w) {
    const lsh *a = node->attr;
    const wf_tensor *q = node->in[Q];
    int64_t b = piece / a->heads, h = piece % a->heads, step = a->heads * a->width;
    for (int64_t t = 0; t < a->t; t += ROWS) {
        int64_t first = ((b * a->t + t) * a->heads + h) * a->width, n = a->t - t < ROWS ? a->t - t : ROWS;
        const float *rows = q->type == WF_F32 ? (const float *)q->data + first : hd->rows;
        int64_t ld = q->type == WF_F32 ? step : a->width;
        for (int64_t i = 0; rows == hd->rows && i < n; i++)
            wf_load(w, q->data, q->type, first + i * step, a->width, hd->rows + i * a->width);
        for (int64_t c = 0; c < hd->padded_n; c += COLUMNS)
            w->k->gemm_block(hd->turned + c, hd->padded_n, rows, ld, 1, hd->panels + c * a->width, a->width, n, COLUMNS, false,
                             NULL);
        for (int64_t i = 0; i < n; i++) {
            if (!padded(node, b * a->t + t + i))
                hash_row(a, hd, rows + i * ld, hd->turned + i * hd->padded_n, buckets + t + i, w);
            for (int64_t r = 0; padded(node, b * a->t + t + i) && r < a->rounds; r++)
                buckets[r * a->t + t + i] = a->buckets;
        }
    }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const lsh *a = node->attr;
    int64_t n = a->rounds * a->t;
    int64_t *buckets = (int64_t *)node->out[BUCKETS]->data + piece * n;
    head h;
    (void)pass, (void)phase;
    open_head(node, piece % a->heads, &h, w);
    hash_head(node, piece, &h, buckets, w);
    for (int64_t r = 0; r < a->rounds; r++)
        sort_round(a, buckets + r * a->t, r, (int32_t *)node->out[ORDER]->data + piece * n, h.count);
}

const wf_op wf_op_lsh_sort = {.name = "lsh_sort", .pieces = pieces, .run = run};

wf_lsh_order wf_lsh_sort(wf_tape *t, wf_tensor *q, wf_tensor *rotations, wf_tensor *mask, const int64_t *factors,
                         int64_t n_factors) {
    const wf_lsh_order none = {NULL, NULL, NULL};
    lsh a = {.n_factors = n_factors, .buckets = 1};
    if (!q || !rotations)
        return none;
    for (int64_t f = 0; f < n_factors && f < WF_LSH_FACTORS; f++) {
        a.factors[f] = factors[f];
        a.buckets *= factors[f];
        a.columns += factors[f] / 2;
    }
    if (q->rank != 4 || rotations->rank != 4 || rotations->type != WF_F32 || n_factors < 1 || n_factors > WF_LSH_FACTORS ||
        rotations->dims[1] != q->dims[3] || rotations->dims[3] != a.columns ||
        (rotations->dims[0] != 1 && rotations->dims[0] != q->dims[2])) {
        wf_tape_error(t, WEFT_USAGE, "lsh_sort: the rotations do not fit");
        return none;
    }
    a.batch = q->dims[0];
    a.t = q->dims[1];
    a.heads = q->dims[2];
    a.width = q->dims[3];
    a.rounds = rotations->dims[2];
    lsh *attr = attr_copy(t, &a, sizeof a);
    int64_t dims[4] = {a.batch, a.heads, a.rounds, a.t}, flat[3] = {a.batch, a.heads, a.rounds * a.t};
    wf_tensor *out[2] = {wf_out(t, WF_I64, 4, dims), wf_out(t, WF_I32, 3, flat)};
    wf_node *node =
        attr && out[0] && out[1] ? wf_record(t, &wf_op_lsh_sort, 3, (wf_tensor *[]){q, rotations, mask}, 2, out, attr) : NULL;
    if (!node)
        return none;
    node->scratch = scratch_bytes(&a);
    return (wf_lsh_order){out[BUCKETS], out[ORDER], wf_order_places(t, out[ORDER], a.t)};
}
