/* scan_test.c - kernel E: every instruction set against the plain form, the plain form against finite differences, and any cut
 * of the sequence against the whole. --bench: microseconds per token, for the same number of tokens cut into sequences of T. */
#include "kernels/kernels.h"

typedef struct shape {
    int64_t batch, t, channels, state;
    bool skip, gate, states; /* states: h_in, h_out and their gradients */
    double longest;          /* dt lies between 0 and longest */
    int64_t groups;          /* of channels; 0: one */
} shape;

static const shape shapes[] = {
    {1, 1, 1, 1, false, false, false, 1},    {2, 2, 3, 2, true, false, true, 1},      {1, 3, 16, 16, true, true, false, 0.1},
    {2, 5, 17, 5, false, true, true, 1},     {1, 63, 20, 16, true, true, true, 0.1},  {1, 64, 33, 7, true, false, false, 2},
    {2, 65, 8, 16, false, false, true, 1},   {1, 66, 40, 17, true, true, true, 20},   {1, 127, 5, 1, true, true, true, 0.01},
    {2, 128, 31, 4, true, true, false, 1},   {1, 129, 48, 33, true, true, true, 1},   {1, 130, 16, 256, true, true, true, 1},
    {3, 1, 24, 16, true, true, true, 0.5},   {1, 300, 9, 8, false, true, true, 0.3},  {2, 7, 42, 5, true, true, true, 1, 2},
    {1, 66, 51, 16, true, true, true, 1, 3}, {2, 65, 4, 3, false, true, false, 1, 4},
};
static const shape longs[] = {{1, 8192, 16, 16, true, true, true, 0.01}, {1, 8191, 3, 4, true, true, true, 1}};

typedef wf_scan_args args;
enum { SITE = 20 };
enum { U, DT, A_LOG, B, C, SKIP, Z, H_IN, DY, DH_OUT, INPUTS };
enum { Y, H_OUT, DU, DDT, DA_LOG, DB, DC, DSKIP, DZ, DH_IN, OUTPUTS };
static const char *const output_names[OUTPUTS] = {"y", "h_out", "du", "ddt", "da_log", "db", "dc", "dskip", "dz", "dh_in"};
#include "support/kernel_runs.h"

static void sizes(run *r) {
    const shape *s = &r->s;
    size_t tokens = (size_t)(s->batch * s->t), rows = tokens * (size_t)s->channels,
           groups = (size_t)(s->groups ? s->groups : 1), reads = tokens * groups * (size_t)s->state;
    size_t state = (size_t)(s->batch * s->channels * s->state), given = s->states ? state : 0,
           blocks = (size_t)wf_scan_blocks(s->channels / (int64_t)groups);
    size_t in[INPUTS] = {[U] = rows,
                         [DT] = rows,
                         [A_LOG] = (size_t)(s->channels * s->state),
                         [B] = reads,
                         [C] = reads,
                         [SKIP] = s->skip ? (size_t)s->channels : 0,
                         [Z] = s->gate ? rows : 0,
                         [H_IN] = given,
                         [DY] = rows,
                         [DH_OUT] = given};
    size_t out[OUTPUTS] = {[Y] = rows,
                           [H_OUT] = given,
                           [DU] = rows,
                           [DDT] = rows,
                           [DA_LOG] = state,
                           [DB] = blocks * reads,
                           [DC] = blocks * reads,
                           [DSKIP] = s->skip ? (size_t)(s->batch * s->channels) : 0,
                           [DZ] = s->gate ? rows : 0,
                           [DH_IN] = given};
    memcpy(r->n_in, in, sizeof in);
    memcpy(r->n_out, out, sizeof out);
    r->n_own = state * (size_t)((s->t + WF_SCAN_CHECKPOINT - 1) / WF_SCAN_CHECKPOINT); /* checkpoints */
}

static span span_of(const shape *s, int input) { return input == DT ? (span){0, s->longest} : (span){-1, 1}; }

static args arguments(const run *r) {
    const shape *s = &r->s;
    float *const *i = r->in, *const *o = r->out;
    return (args){.batch = s->batch,
                  .t = s->t,
                  .channels = s->channels,
                  .state = s->state,
                  .groups = s->groups,
                  .u = i[U],
                  .dt = i[DT],
                  .a_log = i[A_LOG],
                  .b = i[B],
                  .c = i[C],
                  .skip = i[SKIP],
                  .z = i[Z],
                  .h_in = i[H_IN],
                  .h_out = o[H_OUT],
                  .y = o[Y],
                  .checkpoints = r->own,
                  .dy = i[DY],
                  .dh_out = i[DH_OUT],
                  .du = o[DU],
                  .ddt = o[DDT],
                  .dz = o[DZ],
                  .db_part = o[DB],
                  .dc_part = o[DC],
                  .da_log_part = o[DA_LOG],
                  .dskip_part = o[DSKIP],
                  .dh_in = o[DH_IN]};
}

static bool is_plain(const wf_kernels *k) { return k->selective_scan == wf_kernels_ref.selective_scan; }
static bool few(const shape *s) { return s->t * s->channels <= 3000; }
static size_t scratch_bytes(const args *a, bool backward) { return wf_scan_scratch(a, backward); }
static int64_t blocks(const args *a) { return wf_scan_groups(a) * wf_scan_blocks(a->channels / wf_scan_groups(a)); }
static int64_t pieces(const args *a) { return a->batch * blocks(a); }
static void run_piece(const wf_kernels *k, const args *a, bool backward, int64_t piece, void *scratch) {
    (backward ? k->selective_scan_back : k->selective_scan)(a, piece / blocks(a), piece % blocks(a), scratch);
}

static float step_of(int input) { return input == DT || input == A_LOG || input == Z ? 0.03125f : 0.5f; }

/* The gradient of one input as the caller sums it: over blocks or over sequences. */
static double summed(const run *r, int input, size_t i) {
    static const int outputs[INPUTS] = {
        [U] = DU, [DT] = DDT, [A_LOG] = DA_LOG, [B] = DB, [C] = DC, [SKIP] = DSKIP, [Z] = DZ, [H_IN] = DH_IN};
    size_t n = r->n_in[input], parts = r->n_out[outputs[input]] / n;
    double sum = 0;
    for (size_t part = 0; part < parts; part++)
        sum += r->out[outputs[input]][part * n + i];
    return sum;
}

static args part_of(const run *r, int64_t first, int64_t count, float *carried, float *y) {
    args a = r->a;
    a.t = count;
    a.u += first * a.channels;
    a.dt += first * a.channels;
    a.z = a.z ? a.z + first * a.channels : NULL;
    a.b += first * wf_scan_groups(&a) * a.state;
    a.c += first * wf_scan_groups(&a) * a.state;
    a.y = y + first * a.channels;
    a.h_in = first ? carried : r->a.h_in;
    a.h_out = carried;
    a.checkpoints = NULL;
    return a;
}

/* The order of operations does not depend on where the sequence is cut: the same bits. */
static const struct bounds bounds = {3e-6, 3e-6, 3e-4, 0};

static void bench(void) {
    static const int64_t lengths[] = {1024, 8192, 65536};
    check_flush_denormals();
    for (const char *const *isa = wf_kernels_isas(); *isa; isa++) {
        wf_kernels k = check_forms(*isa);
        printf("selective_scan %-11s D=128 N=16 us/token, T 1k/8k/64k: ", *isa);
        for (int l = 0; l < 3; l++)
            print_times(&k, &(shape){65536 / lengths[l], lengths[l], 128, 16, true, true, false, 0.1});
        printf("\n");
    }
}
