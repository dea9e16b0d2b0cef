/* lsh_sort.c - the hashing of the Reformer: tokens into buckets by random rotations, and the order of all rounds * T entries by
 * round, bucket and position (Kitaev et al. 2020, arXiv 2001.04451, section 2; Andoni et al. 2015 for the hash). No gradient:
 * the order is a constant. A piece is one head of one sequence. */
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

/* turned[round*columns + c] = q times every column of the rotations, in double: the order must not hang on rounding. */
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

static void hash_head(const wf_node *node, int piece, int64_t *buckets, double *turned, wf_worker *w) {
    const lsh *a = node->attr;
    const wf_tensor *rotations = node->in[ROTATIONS];
    int64_t b = piece / a->heads, h = piece % a->heads;
    const float *turn = (const float *)rotations->data + (rotations->dims[0] > 1 ? h : 0) * a->width * a->rounds * a->columns;
    float *tmp = (float *)(turned + a->rounds * a->columns);
    for (int64_t t = 0; t < a->t; t++) {
        int64_t row = ((b * a->t + t) * a->heads + h) * a->width;
        bool none = padded(node, b * a->t + t);
        if (!none)
            turn_row(a, wf_load(w, node->in[Q]->data, node->in[Q]->type, row, a->width, tmp), turn, turned);
        for (int64_t r = 0; r < a->rounds; r++)
            buckets[r * a->t + t] = none ? a->buckets : bucket_of(a, turned + r * a->columns);
    }
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const lsh *a = node->attr;
    int64_t n = a->rounds * a->t;
    int64_t *buckets = (int64_t *)node->out[BUCKETS]->data + piece * n, *count = w->scratch;
    (void)pass, (void)phase;
    hash_head(node, piece, buckets, (double *)(count + a->buckets + 2), w);
    for (int64_t r = 0; r < a->rounds; r++)
        sort_round(a, buckets + r * a->t, r, (int32_t *)node->out[ORDER]->data + piece * n, count);
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
    node->scratch = (size_t)(a.buckets + 2) * sizeof(int64_t) + (size_t)(a.rounds * a.columns) * sizeof(double) +
                    (size_t)a.width * sizeof(float);
    return (wf_lsh_order){out[BUCKETS], out[ORDER], wf_order_places(t, out[ORDER], a.t)};
}
