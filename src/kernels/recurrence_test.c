/* recurrence_test.c - kernel L: every instruction set against the plain form, the plain form against finite differences, and
 * any cut of the sequence against the whole. --bench: microseconds per token, for the same number of tokens cut into sequences
 * of T. */
#include "kernels/kernels.h"

typedef struct shape {
    int64_t batch, t, heads, qk_heads, key_dim, value_dim;
    wf_decay decay;
    bool bonus, states; /* states: s_in, s_out and their gradients */
    double strongest;   /* log decays lie between -strongest and 0 */
} shape;

static const shape shapes[] = {
    {1, 1, 1, 1, 1, 1, WF_DECAY_NONE, false, false, 1},         {2, 2, 2, 2, 3, 5, WF_DECAY_CONST, false, true, 1},
    {1, 3, 4, 2, 17, 7, WF_DECAY_SCALAR, false, false, 1},      {2, 5, 3, 1, 8, 70, WF_DECAY_VECTOR, false, true, 3},
    {1, 4, 2, 2, 16, 64, WF_DECAY_VECTOR, true, true, 1},       {2, 63, 2, 1, 33, 65, WF_DECAY_SCALAR, false, true, 2},
    {1, 64, 1, 1, 64, 64, WF_DECAY_NONE, false, true, 1},       {1, 65, 2, 2, 20, 130, WF_DECAY_VECTOR, false, false, 0.2},
    {1, 66, 2, 2, 40, 31, WF_DECAY_VECTOR, true, true, 6},      {1, 67, 1, 1, 5, 9, WF_DECAY_SCALAR, true, true, 1},
    {2, 97, 4, 4, 9, 12, WF_DECAY_CONST, false, false, 0.1},    {1, 100, 2, 1, 128, 96, WF_DECAY_VECTOR, false, true, 30},
    {1, 128, 2, 1, 64, 48, WF_DECAY_SCALAR, false, true, 0.01}, {2, 129, 2, 2, 24, 24, WF_DECAY_NONE, true, false, 1},
    {1, 130, 3, 3, 48, 80, WF_DECAY_CONST, true, true, 0.5},    {1, 1, 4, 2, 64, 128, WF_DECAY_VECTOR, false, true, 1},
    {2, 1, 2, 2, 33, 20, WF_DECAY_SCALAR, true, true, 1},       {1, 700, 1, 1, 7, 17, WF_DECAY_VECTOR, true, false, 4},
    {2, 3, 3, 3, 16, 64, WF_DECAY_CHANNEL, true, true, 2},      {1, 131, 2, 1, 24, 70, WF_DECAY_CHANNEL, false, true, 0.5},
    {1, 1, 2, 2, 5, 9, WF_DECAY_CHANNEL, true, true, 1},
};
static const shape longs[] = {{1, 8192, 1, 1, 64, 64, WF_DECAY_VECTOR, false, true, 0.1},
                              {1, 8192, 1, 1, 16, 64, WF_DECAY_SCALAR, false, true, 0.002},
                              {1, 8191, 1, 1, 32, 16, WF_DECAY_VECTOR, true, false, 12},
                              {1, 8190, 1, 1, 16, 16, WF_DECAY_NONE, false, true, 0}};

typedef wf_recurrence_args args;
enum { SITE = 0 };
enum { Q, K, V, G, U, S_IN, DO, DS_OUT, INPUTS };
enum { O, S_OUT, DQ, DK, DV, DG, DU, DS_IN, OUTPUTS };
static const char *const output_names[OUTPUTS] = {"o", "s_out", "dq", "dk", "dv", "dg", "dbonus", "ds_in"};
#include "support/kernel_runs.h"

static size_t decay_count(const shape *s) {
    switch (s->decay) {
    case WF_DECAY_CONST:
        return (size_t)s->heads;
    case WF_DECAY_CHANNEL:
        return (size_t)(s->heads * s->key_dim);
    case WF_DECAY_SCALAR:
        return (size_t)(s->batch * s->t * s->heads);
    case WF_DECAY_VECTOR:
        return (size_t)(s->batch * s->t * s->heads * s->key_dim);
    default:
        return 0;
    }
}

static void sizes(run *r) {
    const shape *s = &r->s;
    size_t tokens = (size_t)(s->batch * s->t), slices = (size_t)wf_recurrence_slices(s->value_dim);
    size_t keys = (size_t)(s->heads * s->key_dim), values = (size_t)(s->heads * s->value_dim);
    size_t state = s->states ? (size_t)(s->batch * s->heads * s->key_dim * s->value_dim) : 0;
    size_t bonus = s->bonus ? keys : 0, g = decay_count(s);
    size_t in[INPUTS] = {[Q] = tokens * (size_t)(s->qk_heads * s->key_dim),
                         [V] = tokens * values,
                         [G] = g,
                         [U] = bonus,
                         [S_IN] = state,
                         [DO] = tokens * values,
                         [DS_OUT] = state};
    in[K] = in[Q];
    size_t dg = wf_decay_per_channel(s->decay) ? tokens * keys : s->decay == WF_DECAY_NONE ? 0 : tokens * (size_t)s->heads;
    size_t out[OUTPUTS] = {[O] = tokens * values,
                           [S_OUT] = state,
                           [DQ] = slices * tokens * keys,
                           [DK] = slices * tokens * keys,
                           [DV] = tokens * values,
                           [DG] = slices * dg,
                           [DU] = slices * (size_t)s->batch * bonus,
                           [DS_IN] = state};
    memcpy(r->n_in, in, sizeof in);
    memcpy(r->n_out, out, sizeof out);
}

static span span_of(const shape *s, int input) { return input == G ? (span){-s->strongest, 0} : (span){-1, 1}; }

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
                  .bonus = i[U],
                  .scale = 0.37f,
                  .s_in = i[S_IN],
                  .s_out = o[S_OUT],
                  .o = o[O],
                  .do_ = i[DO],
                  .ds_out = i[DS_OUT],
                  .dq_part = o[DQ],
                  .dk_part = o[DK],
                  .dv = o[DV],
                  .dg_part = o[DG],
                  .dbonus_part = o[DU],
                  .ds_in = o[DS_IN]};
}

static bool is_plain(const wf_kernels *k) { return k->recurrence == wf_kernels_ref.recurrence; }
static bool few(const shape *s) { return s->t <= 70; }
static size_t scratch_bytes(const args *a, bool backward) { return wf_recurrence_scratch(a, backward); }
static int64_t pieces(const args *a) { return a->batch * a->heads * wf_recurrence_slices(a->value_dim); }
static void run_piece(const wf_kernels *k, const args *a, bool backward, int64_t piece, void *scratch) {
    int64_t slices = wf_recurrence_slices(a->value_dim), head = piece / slices;
    (backward ? k->recurrence_back : k->recurrence)(a, head / a->heads, head % a->heads, piece % slices, scratch);
}

static float step_of(int input) { return input == G ? 0.0625f : 0.5f; }

/* The gradient of one input as the caller sums it: over slices, over the heads of a group, over tokens for a constant decay. */
static double summed(const run *r, int input, size_t i) {
    const shape *s = &r->s;
    size_t K_ = (size_t)s->key_dim, H = (size_t)s->heads, G_ = (size_t)s->qk_heads,
           slices = (size_t)wf_recurrence_slices(s->value_dim);
    double sum = 0;
    if (input == V || input == S_IN)
        return r->out[input == V ? DV : DS_IN][i];
    if (input == U) {
        for (size_t part = 0; part < slices * (size_t)s->batch; part++)
            sum += r->out[DU][part * H * K_ + i];
        return sum;
    }
    const float *part = r->out[input == Q ? DQ : input == K ? DK : DG];
    size_t width = r->n_out[input == Q ? DQ : input == K ? DK : DG] / slices;
    for (size_t slice = 0; slice < slices; slice++, part += width) {
        if (input == G && !wf_decay_per_token(s->decay))
            for (size_t token = 0; token < (size_t)(s->batch * s->t); token++)
                sum += part[token * r->n_in[G] + i];
        else if (input == G)
            sum += part[i];
        else
            for (size_t h = 0; h < H / G_; h++)
                sum += part[(i / (G_ * K_) * H + i / K_ % G_ * (H / G_) + h) * K_ + i % K_];
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
    if (wf_decay_per_token(a.decay))
        a.g += first * a.heads * (a.decay == WF_DECAY_VECTOR ? a.key_dim : 1);
    a.s_in = first ? carried : r->a.s_in;
    a.s_out = carried;
    return a;
}

static const struct bounds bounds = {3e-6, 5e-6, 2e-4, 2e-6};

static void bench(void) {
    static const int64_t lengths[] = {1024, 8192, 65536}, dims[] = {64, 128};
    static const char *const names[] = {"none", "const", "channel", "scalar", "vector"};
    check_flush_denormals();
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++) {
        wf_kernels k = check_forms(*isa);
        for (int d = 0; d < 2; d++)
            for (int decay = WF_DECAY_NONE; decay <= WF_DECAY_VECTOR; decay++) {
                printf("recurrence %-11s K=V=%3lld %-6s us/token, T 1k/8k/64k: ", *isa, (long long)dims[d], names[decay]);
                for (int l = 0; l < 3; l++) {
                    shape s = {65536 / lengths[l], lengths[l], 1, 1, dims[d], dims[d], (wf_decay)decay, false, false, 0.1};
                    print_times(&k, &s);
                }
                printf("\n");
            }
    }
    shape one = {1, 1, 12, 12, 64, 64, WF_DECAY_VECTOR, false, true, 0.1};
    print_one_token("recurrence", &one);
}
