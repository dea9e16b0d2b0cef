/* selective_scan.c - the selective scan of Mamba on kernel E. A piece is one block of channels of one sequence; a second phase
 * sums over blocks and over sequences in order. */
#include "tensor/ops/parts.h"

enum { U, DT, B, C, A_LOG, SKIP, Z, H_IN, INPUTS };
enum { Y };

typedef struct scan {
    int64_t batch, t, channels, state, groups, blocks; /* groups read b and c of their own; blocks of a group */
    int h_out, checkpoints;                            /* index among the outputs, -1: not there */
} scan;

static int64_t tokens(const scan *a) { return a->batch * a->t; }

/* The backward's own memory: what cannot go straight into a gradient. */
typedef struct parts {
    float *du, *ddt, *dz, *db, *dc, *da, *dskip, *dh;
    size_t count;
} parts;
static parts map_parts(const scan *a, float *base) {
    int64_t rows = tokens(a) * a->channels, reads = a->blocks * tokens(a) * a->groups * a->state,
            states = a->batch * a->channels * a->state;
    parts p = {0};
    p.du = carve(base, &p.count, rows);
    p.ddt = carve(base, &p.count, rows);
    p.dz = carve(base, &p.count, rows);
    p.db = carve(base, &p.count, reads);
    p.dc = carve(base, &p.count, reads);
    p.da = carve(base, &p.count, states);
    p.dh = carve(base, &p.count, states);
    p.dskip = carve(base, &p.count, a->batch * a->channels);
    return p;
}

static float *output(const wf_node *node, int i) { return i < 0 ? NULL : node->out[i]->data; }

static wf_scan_args forward_args(const wf_node *node) {
    const scan *a = node->attr;
    return (wf_scan_args){.batch = a->batch,
                          .t = a->t,
                          .channels = a->channels,
                          .state = a->state,
                          .groups = a->groups,
                          .u = data_of(node->in[U]),
                          .dt = data_of(node->in[DT]),
                          .a_log = data_of(node->in[A_LOG]),
                          .b = data_of(node->in[B]),
                          .c = data_of(node->in[C]),
                          .skip = data_of(node->in[SKIP]),
                          .z = data_of(node->in[Z]),
                          .h_in = data_of(node->in[H_IN]),
                          .h_out = output(node, a->h_out),
                          .y = node->out[Y]->data,
                          .checkpoints = output(node, a->checkpoints)};
}

static wf_scan_args backward_args(const wf_node *node, const wf_worker *w) {
    const scan *a = node->attr;
    wf_scan_args args = forward_args(node);
    parts p = map_parts(a, node->work_data[WF_BACKWARD]);
    args.h_out = args.y = NULL;
    args.dy = node->out[Y]->grad;
    args.dh_out = a->h_out < 0 ? NULL : node->out[a->h_out]->grad;
    args.du = direct_or(node, U, true, p.du, w);
    args.ddt = direct_or(node, DT, true, p.ddt, w);
    args.dz = node->in[Z] ? direct_or(node, Z, true, p.dz, w) : NULL;
    args.db_part = p.db;
    args.dc_part = p.dc;
    args.da_log_part = p.da;
    args.dskip_part = p.dskip;
    args.dh_in = node->in[H_IN] ? direct_or(node, H_IN, true, p.dh, w) : NULL;
    return args;
}

static int token_pieces(const scan *a) { return wf_split_pieces(tokens(a), 64); }

static void add_tokens(const wf_node *node, const wf_scan_args *args, int piece, const wf_worker *w) {
    const scan *a = node->attr;
    int64_t first, end, d = a->channels, n = a->groups * a->state;
    wf_split_bounds(tokens(a), token_pieces(a), piece, &first, &end);
    add_parts(node, U, first * d, end * d, (sum_of){args->du, 1, 0}, w);
    add_parts(node, DT, first * d, end * d, (sum_of){args->ddt, 1, 0}, w);
    add_parts(node, Z, first * d, end * d, (sum_of){args->dz, 1, 0}, w);
    add_parts(node, B, first * n, end * n, (sum_of){args->db_part, a->blocks, tokens(a) * n}, w);
    add_parts(node, C, first * n, end * n, (sum_of){args->dc_part, a->blocks, tokens(a) * n}, w);
}

static int pieces(const wf_node *node, wf_pass pass, int phase) {
    const scan *a = node->attr;
    if (phase == 0)
        return (int)(a->batch * a->groups * a->blocks);
    return pass == WF_BACKWARD && phase == 1 ? token_pieces(a) + 1 : 0;
}

static void run(const wf_node *node, wf_pass pass, int phase, int piece, wf_worker *w) {
    const scan *a = node->attr;
    int64_t blocks = a->groups * a->blocks;
    wf_scan_args args = pass == WF_FORWARD ? forward_args(node) : backward_args(node, w);
    if (pass == WF_FORWARD) {
        w->k->selective_scan(&args, piece / blocks, piece % blocks, w->scratch);
    } else if (phase == 0) {
        w->k->selective_scan_back(&args, piece / blocks, piece % blocks, w->scratch);
    } else if (piece < token_pieces(a)) {
        add_tokens(node, &args, piece, w);
    } else { /* what has no token axis */
        int64_t states = a->channels * a->state;
        add_parts(node, A_LOG, 0, states, (sum_of){args.da_log_part, a->batch, states}, w);
        add_parts(node, SKIP, 0, a->channels, (sum_of){args.dskip_part, a->batch, a->channels}, w);
        add_parts(node, H_IN, 0, a->batch * states, (sum_of){args.dh_in, 1, 0}, w);
    }
}

/* Per channel, state and token: decay, its exponential (16), update and read; the backward repeats them and does as much again.
 */
static double flops(const wf_node *node, wf_pass pass) {
    const scan *a = node->attr;
    double one = 22.0 * (double)tokens(a) * (double)a->channels * (double)a->state;
    return pass == WF_FORWARD ? one : 2 * one;
}

const wf_op wf_op_selective_scan = {.name = "selective_scan",
                                    .pieces = pieces,
                                    .run = run,
                                    .flops = flops,
                                    .in_place = 1u << 1,
                                    .saves_in = (1u << INPUTS) - 1,
                                    .saves_out = 1u << 1 | 1u << 2};

static bool fits(const scan *a, wf_tensor *const *in) {
    int64_t rows = tokens(a) * a->channels, reads = tokens(a) * a->groups * a->state;
    return in[DT]->count == rows && in[B]->count == reads && in[C]->count == reads &&
           in[A_LOG]->count == a->channels * a->state && (!in[SKIP] || in[SKIP]->count == a->channels) &&
           (!in[Z] || in[Z]->count == rows) && (!in[H_IN] || in[H_IN]->count == a->batch * a->channels * a->state);
}

static wf_node *record(wf_tape *t, wf_tensor *const *in, scan *a, bool want_state) {
    int64_t stretches = (a->t + WF_SCAN_CHECKPOINT - 1) / WF_SCAN_CHECKPOINT;
    wf_tensor *out[3] = {wf_out(t, WF_F32, 3, in[U]->dims)};
    int n = 1;
    a->h_out = a->checkpoints = -1;
    if (want_state)
        out[a->h_out = n++] = wf_out(t, WF_F32, 3, (int64_t[]){a->batch, a->channels, a->state});
    if (wf_tape_grad(t))
        out[a->checkpoints = n++] = wf_out(t, WF_F32, 4, (int64_t[]){a->batch, stretches, a->channels, a->state});
    scan *attr = attr_copy(t, a, sizeof *a);
    wf_node *node = attr ? wf_record(t, &wf_op_selective_scan, INPUTS, in, n, out, attr) : NULL;
    if (!node)
        return NULL;
    wf_scan_args args = {.batch = a->batch, .t = a->t, .channels = a->channels, .state = a->state, .groups = a->groups};
    node->scratch = wf_scan_scratch(&args, wf_tape_grad(t));
    node->work[WF_BACKWARD] = map_parts(a, NULL).count * sizeof(float);
    return node;
}

wf_tensor *wf_selective_scan(wf_tape *t, wf_tensor *u, wf_tensor *dt, wf_tensor *b, wf_tensor *c, const wf_scan_spec *spec) {
    wf_no_output(spec->h_out);
    if (!u || !dt || !b || !c || !spec->a_log)
        return NULL;
    wf_tensor *in[INPUTS] = {u, dt, b, c, spec->a_log, spec->skip, spec->z, spec->h_in};
    for (int i = 0; i < INPUTS; i++)
        if (in[i] && !(in[i] = wf_cast(t, in[i], WF_F32)))
            return NULL;
    if (u->rank != 3 || in[A_LOG]->rank != 2)
        return wf_tape_error(t, WEFT_USAGE, "selective_scan: u is [B,T,D] and a_log is [D,N]");
    scan a = {.batch = u->dims[0],
              .t = u->dims[1],
              .channels = u->dims[2],
              .state = in[A_LOG]->dims[1],
              .groups = b->rank == 4 ? b->dims[2] : 1};
    if (u->dims[2] % a.groups)
        return wf_tape_error(t, WEFT_USAGE, "selective_scan: the channels cannot be cut into groups");
    a.blocks = wf_scan_blocks(u->dims[2] / a.groups);
    if (!fits(&a, in))
        return wf_tape_error(t, WEFT_USAGE, "selective_scan: the shapes of u, dt, b, c and the state do not fit together");
    wf_node *node = record(t, in, &a, spec->h_out != NULL);
    if (node && spec->h_out)
        *spec->h_out = node->out[a.h_out];
    return node ? node->out[Y] : NULL;
}
