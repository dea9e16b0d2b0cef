/* delta_test.c - kernel D: every instruction set against the plain form, the plain form against finite differences, and any cut
 * of the sequence against the whole. --bench: microseconds per token, for the same number of tokens cut into sequences of T. */
#include "kernels/kernels.h"

typedef struct shape {
    int64_t batch, t, heads, qk_heads, key_dim, value_dim;
    wf_decay decay;
    bool general, states; /* states: s_in, s_out and their gradients */
    double strongest;     /* log decays lie between -strongest and 0 */
} shape;

static const shape shapes[] = {
    {1, 1, 1, 1, 1, 1, WF_DECAY_NONE, false, false, 1},        {2, 2, 2, 2, 3, 5, WF_DECAY_NONE, true, true, 1},
    {1, 3, 4, 2, 17, 7, WF_DECAY_SCALAR, false, false, 1},     {2, 5, 3, 1, 8, 70, WF_DECAY_VECTOR, false, true, 3},
    {1, 4, 2, 2, 16, 64, WF_DECAY_VECTOR, true, true, 1},      {2, 63, 2, 1, 33, 65, WF_DECAY_SCALAR, true, true, 2},
    {1, 64, 1, 1, 64, 64, WF_DECAY_NONE, false, true, 1},      {1, 65, 2, 2, 20, 130, WF_DECAY_VECTOR, true, false, 0.2},
    {1, 66, 2, 2, 40, 31, WF_DECAY_VECTOR, false, true, 6},    {1, 67, 1, 1, 5, 9, WF_DECAY_SCALAR, false, true, 1},
    {1, 100, 2, 1, 128, 96, WF_DECAY_VECTOR, false, true, 30}, {1, 128, 2, 1, 64, 48, WF_DECAY_SCALAR, false, true, 0.01},
    {2, 129, 2, 2, 24, 24, WF_DECAY_NONE, true, false, 1},     {1, 1, 4, 2, 64, 128, WF_DECAY_VECTOR, false, true, 1},
    {2, 1, 2, 2, 33, 20, WF_DECAY_SCALAR, true, true, 1},      {1, 700, 1, 1, 7, 17, WF_DECAY_VECTOR, false, false, 4},
};
static const shape longs[] = {{1, 2048, 1, 1, 64, 64, WF_DECAY_VECTOR, false, true, 0.1},
                              {1, 4095, 1, 1, 16, 16, WF_DECAY_SCALAR, false, true, 0.002},
                              {1, 4094, 1, 1, 16, 16, WF_DECAY_VECTOR, true, true, 1}};

typedef wf_delta_args args;
enum { SITE = 40 };
enum { Q, K, V, G, BETA, A, B, S_IN, DO, DS_OUT, INPUTS };
enum { O, S_OUT, KEPT, DQ, DK, DA, DB, DV, DG, DBETA, DS_IN, OUTPUTS };
static const char *const output_names[OUTPUTS] = {"o", "s_out", "e", "dq", "dk", "da", "db", "dv", "dg", "dbeta", "ds_in"};
#include "support/kernel_runs.h"

static void sizes(run *r) {
    const shape *s = &r->s;
    size_t tokens = (size_t)(s->batch * s->t), slices = (size_t)wf_recurrence_slices(s->value_dim), heads = (size_t)s->heads;
    size_t keys = (size_t)(s->heads * s->key_dim), values = (size_t)(s->heads * s->value_dim),
           rows = tokens * (size_t)(s->qk_heads * s->key_dim);
    size_t state = s->states ? (size_t)(s->batch * s->heads * s->key_dim * s->value_dim) : 0;
    size_t g = tokens * (s->decay == WF_DECAY_NONE     ? 0
                         : s->decay == WF_DECAY_SCALAR ? heads
                                                       : keys),
           general = s->general ? 1 : 0;
    size_t in[INPUTS] = {[Q] = rows,
                         [K] = rows,
                         [V] = tokens * values,
                         [G] = g,
                         [BETA] = (1 - general) * tokens * heads,
                         [A] = general * rows,
                         [B] = general * rows,
                         [S_IN] = state,
                         [DO] = tokens * values,
                         [DS_OUT] = state};
    size_t out[OUTPUTS] = {[O] = tokens * values,
                           [S_OUT] = state,
                           [KEPT] = tokens * values,
                           [DQ] = slices * tokens * keys,
                           [DK] = slices * tokens * keys,
                           [DA] = general * slices * tokens * keys,
                           [DB] = general * slices * tokens * keys,
                           [DV] = tokens * values,
                           [DG] = slices * g,
                           [DBETA] = (1 - general) * slices * tokens * heads,
                           [DS_IN] = state};
    memcpy(r->n_in, in, sizeof in);
    memcpy(r->n_out, out, sizeof out);
    r->n_own = tokens * values; /* the gradient of e */
}

/* Keys of length about 1 and gates below 1 keep the state bounded. */
static span span_of(const shape *s, int input) {
    double unit = 1.7 / sqrt((double)s->key_dim);
    if (input == G)
        return (span){-s->strongest, 0};
    if (input == BETA)
        return (span){0, 1};
    return input == K || input == A || input == B ? (span){-unit, unit} : (span){-1, 1};
}

static args arguments(const run *r) {
    const shape *s = &r->s;
    float *const *i = r->in, *const *o = r->out;
    return (args){.batch = s->batch,
                  .t = s->t,
                  .heads = s->heads,
                  .qk_heads = s->qk_heads,
                  .key_dim = s->key_dim,
                  .value_dim = s->value_dim,
                  .q = i[Q],
                  .k = i[K],
                  .v = i[V],
                  .decay = s->decay,
                  .g = i[G],
                  .beta = i[BETA],
                  .a = i[A],
                  .b = i[B],
                  .scale = 0.37f,
                  .s_in = i[S_IN],
                  .s_out = o[S_OUT],
                  .o = o[O],
                  .e = o[KEPT],
                  .do_ = i[DO],
                  .ds_out = i[DS_OUT],
                  .dq_part = o[DQ],
                  .dk_part = o[DK],
                  .da_part = o[DA],
                  .db_part = o[DB],
                  .dv = o[DV],
                  .de = r->own,
                  .dbeta_part = o[DBETA],
                  .dg_part = o[DG],
                  .ds_in = o[DS_IN]};
}

static bool is_plain(const wf_kernels *k) { return k->delta == wf_kernels_ref.delta; }
static bool few(const shape *s) { return s->t <= 70; }
static size_t scratch_bytes(const args *a, bool backward) { return wf_delta_scratch(a, backward); }
static int64_t pieces(const args *a) { return a->batch * a->heads * wf_recurrence_slices(a->value_dim); }
static void run_piece(const wf_kernels *k, const args *a, bool backward, int64_t piece, void *scratch) {
    int64_t slices = wf_recurrence_slices(a->value_dim), head = piece / slices;
    (backward ? k->delta_back : k->delta)(a, head / a->heads, head % a->heads, piece % slices, scratch);
}

static float step_of(int input) { return input == S_IN || input == Q || input == V ? 0.5f : 0.03125f; }

/* The gradient of one input as the caller sums it: over slices, and over the heads of a group. */
static double summed(const run *r, int input, size_t i) {
    static const int outputs[INPUTS] = {
        [Q] = DQ, [K] = DK, [V] = DV, [G] = DG, [BETA] = DBETA, [A] = DA, [B] = DB, [S_IN] = DS_IN};
    const shape *s = &r->s;
    size_t keys = (size_t)s->key_dim, heads = (size_t)s->heads, groups = (size_t)s->qk_heads,
           slices = (size_t)wf_recurrence_slices(s->value_dim);
    const float *part = r->out[outputs[input]];
    if (input == V || input == S_IN)
        return part[i];
    size_t width = r->n_out[outputs[input]] / slices;
    double sum = 0;
    for (size_t slice = 0; slice < slices; slice++, part += width) {
        if (input == G || input == BETA)
            sum += part[i];
        else
            for (size_t h = 0; h < heads / groups; h++)
                sum += part[(i / (groups * keys) * heads + i / keys % groups * (heads / groups) + h) * keys + i % keys];
    }
    return sum;
}

static args part_of(const run *r, int64_t first, int64_t count, float *carried, float *o) {
    args a = r->a;
    int64_t qk = a.qk_heads * a.key_dim, width = a.heads * a.value_dim;
    a.t = count;
    a.q += first * qk;
    a.k += first * qk;
    a.v += first * width;
    a.o = o + first * width;
    a.e = NULL;
    a.g = a.g ? a.g + first * a.heads * (a.decay == WF_DECAY_VECTOR ? a.key_dim : 1) : NULL;
    a.beta = a.beta ? a.beta + first * a.heads : NULL;
    a.a = a.a ? a.a + first * qk : NULL;
    a.b = a.b ? a.b + first * qk : NULL;
    a.s_in = first ? carried : r->a.s_in;
    a.s_out = carried;
    return a;
}

static const struct bounds bounds = {4e-6, 1e-5, 1e-3, 2e-6};

static void bench(void) {
    static const int64_t lengths[] = {1024, 8192}, dims[] = {64, 128};
    static const char *const names[] = {"none", "scalar", "vector", "vector general"};
    check_flush_denormals();
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++) {
        wf_kernels k = check_forms(*isa);
        for (int d = 0; d < 2; d++)
            for (int kind = 0; kind < 4; kind++) {
                static const wf_decay decays[] = {WF_DECAY_NONE, WF_DECAY_SCALAR, WF_DECAY_VECTOR, WF_DECAY_VECTOR};
                printf("delta %-11s K=V=%3lld %-14s us/token, T 1k/8k: ", *isa, (long long)dims[d], names[kind]);
                for (int l = 0; l < 2; l++) {
                    shape s = {8192 / lengths[l], lengths[l], 1, 1, dims[d], dims[d], decays[kind], kind == 3, false, 0.1};
                    print_times(&k, &s);
                }
                printf("\n");
            }
    }
    shape one = {1, 1, 12, 12, 64, 64, WF_DECAY_VECTOR, false, true, 0.1};
    print_one_token("delta", &one);
}
