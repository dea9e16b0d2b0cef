/* luong.c - the decoder of Luong et al. 2015 (arXiv 1508.04025, section 3): an LSTM, then attention of its state to the memory,
 * global or near a position (local-m, local-p), fed to the next step. x holds target embeddings, the memory encoder states. */
#include "mixers/mixer.h"
#include "parts/time_stack.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"memory_dim", WF_KEY_INT, "dim", 1, NULL, "width of the memory"},
    {"hidden", WF_KEY_INT, "dim", 1, NULL, "width of the state and of y"},
    {"score", WF_KEY_STRING, "'general'", 0, "dot|general|concat", "m.h, h.(W m), or v.tanh(W h + U m)"},
    {"scaled", WF_KEY_BOOL, "false", 0, NULL, "a learned factor of the scores"},
    {"units", WF_KEY_INT, "hidden", 1, NULL, "width of the hidden layers of concat and of the position"},
    {"input_feeding", WF_KEY_BOOL, "true", 0, NULL, "the cell reads x and the last y"},
    {"local", WF_KEY_STRING, "null", 0, "monotonic|predictive",
     "only near p: row t itself, or a predicted share of the memory, weighed by a bell"},
    {"window", WF_KEY_INT, "local != null ? 10 : 1", 1, NULL, "of local: memory rows within this distance of p"},
    {NULL}};

static const wf_slot slots[] = {
    {"cell.ih.weight", "[4*hidden, dim + (input_feeding ? hidden : 0)]", "linear", NULL, NULL, false, NULL},
    {"cell.ih.bias", "[4*hidden]", "zeros", NULL, NULL, false, NULL},
    {"cell.hh.weight", "[4*hidden, hidden]", "linear", NULL, NULL, false, NULL},
    {"cell.hh.bias", "[4*hidden]", "zeros", NULL, NULL, false, NULL},
    {"score.k.weight", "[score == 'concat' ? units : hidden, memory_dim]", "linear", "score != 'dot'", NULL, false, NULL},
    {"score.q.weight", "[units, hidden]", "linear", "score == 'concat'", NULL, false, NULL},
    {"score.v", "[units]", "normal:0.1", "score == 'concat'", NULL, false, NULL},
    {"score.g", "[1]", "ones", "scaled", NULL, false, NULL},
    {"position.weight", "[units, hidden]", "linear", "local == 'predictive'", NULL, false, NULL},
    {"position.v", "[units]", "normal:0.1", "local == 'predictive'", NULL, false, NULL},
    {"o.weight", "[hidden, memory_dim + hidden]", "linear_out", NULL, NULL, false, NULL},
    {NULL}};

static const wf_state_slot states[] = {{"h", WF_STATE_FIXED, "[hidden]", NULL, NULL, 0},
                                       {"c", WF_STATE_FIXED, "[hidden]", NULL, NULL, 0},
                                       {"feed", WF_STATE_FIXED, "[hidden]", NULL, NULL, 0},
                                       {NULL}};

static weft_status check(const wf_layer *l, weft_error *err) {
    WF_CHECK(!wf_is(l, "score", "dot") || wf_int(l, "memory_dim") == wf_int(l, "hidden"), err, WEFT_USAGE,
             "'score' dot needs memory_dim = hidden");
    return WEFT_OK;
}

typedef struct asking { /* what does not change from step to step */
    wf_tensor *k, *v;
} asking;

static asking open_memory(wf_run *r, const wf_layer *l, const wf_ports *io) {
    asking a = {io->memory, wf_weight(r, l, "score.v")};
    if (!wf_is(l, "score", "dot"))
        a.k = wf_linear_as(r->tape, io->memory, wf_weight(r, l, "score.k.weight"), NULL, WF_F32);
    if (a.v && wf_flag(l, "scaled"))
        a.v = wf_scale_by(r->tape, a.v, wf_weight(r, l, "score.g"));
    return a;
}

/* sigmoid(v . tanh(W h)), the share of the memory that lies before p. */
static wf_tensor *position(wf_run *r, const wf_layer *l, wf_tensor *h) {
    wf_tensor *u = wf_activate(r->tape, wf_linear_as(r->tape, h, wf_weight(r, l, "position.weight"), NULL, WF_F32), WF_TANH);
    wf_tensor *v = wf_reshape(r->tape, wf_weight(r, l, "position.v"), 2, (int64_t[]){1, wf_int(l, "units")});
    return wf_activate(r->tape, wf_linear_as(r->tape, u, v, NULL, WF_F32), WF_SIGMOID);
}

/* y of rows h [B,T,hidden], the first of them row `first` of this call. */
static wf_tensor *attend(wf_run *r, const wf_layer *l, const wf_ports *io, const asking *a, wf_tensor *h, int64_t first,
                         wf_tensor **probs) {
    wf_tape *t = r->tape;
    bool local = wf_given(l, "local"), predictive = local && wf_is(l, "local", "predictive");
    wf_memory_spec spec = {.v = a->v,
                           .mask = io->memory_mask,
                           .local = local,
                           .bell = predictive,
                           .window = wf_int(l, "window"),
                           .first = first,
                           .centre = predictive ? position(r, l, h) : NULL};
    wf_tensor *q = a->v ? wf_linear_as(t, h, wf_weight(r, l, "score.q.weight"), NULL, WF_F32) : h;
    if (!a->v && wf_flag(l, "scaled"))
        q = wf_scale_by(t, q, wf_weight(r, l, "score.g"));
    wf_tensor *context = wf_memory_attention(t, q, a->k, io->memory, &spec, probs);
    return wf_cast(t, wf_activate(t, wf_project(r, l, "o", wf_join_channels(t, context, h)), WF_TANH), WF_F32);
}

static wf_tensor *begin(wf_run *r, const wf_layer *l, const char *name) {
    wf_tensor *state = wf_state_in(r, l, name);
    if (state && r->mode == WF_STATE_IN_PLACE)
        return wf_begin_state(r->tape, state, NULL); /* a copy: the new state may be written over it while the old is read */
    return state;
}

static wf_tensor *cell(wf_run *r, const wf_layer *l, wf_tensor *x, wf_tensor **h, wf_tensor **c) {
    wf_tensor *ih = wf_linear_as(r->tape, x, wf_weight(r, l, "cell.ih.weight"), wf_weight(r, l, "cell.ih.bias"), WF_F32),
              *h_out = NULL, *c_out = NULL;
    wf_tensor *y = wf_lstm(r->tape, ih,
                           &(wf_rnn_spec){.hh = wf_weight(r, l, "cell.hh.weight"),
                                          .hh_bias = wf_weight(r, l, "cell.hh.bias"),
                                          .h_in = *h,
                                          .c_in = *c,
                                          .h_out = &h_out,
                                          .c_out = &c_out});
    *h = h_out;
    *c = c_out;
    return y;
}

/* Step by step: each reads what the one before gave. */
static wf_tensor *fed(wf_run *r, const wf_layer *l, wf_ports *io, const asking *a, wf_tensor **h, wf_tensor **c) {
    int64_t hidden = wf_int(l, "hidden"), row[3] = {r->batch, 1, hidden};
    wf_tensor *feed = begin(r, l, "feed"),
              **list = wf_arena_alloc(wf_tape_arena(r->tape), (size_t)(2 * r->rows) * sizeof(wf_tensor *));
    if (!list)
        return wf_tape_error(r->tape, WEFT_NO_MEMORY, "out of memory");
    feed = feed ? wf_reshape(r->tape, feed, 3, row) : wf_zeros(r->tape, 3, row);
    for (int64_t t = 0; t < r->rows; t++) {
        wf_tensor *x = wf_cast(r->tape, wf_time_slice(r->tape, io->x, t, 1), WF_F32);
        wf_tensor *state = cell(r, l, wf_join_channels(r->tape, x, feed), h, c);
        list[t] = feed = attend(r, l, io, a, state, t, &list[r->rows + t]);
    }
    if (r->want_attention)
        io->attention = wf_time_stack(r->tape, list + r->rows, r->rows);
    return wf_time_stack(r->tape, list, r->rows);
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    if (!io->memory) {
        wf_tape_error(r->tape, WEFT_USAGE, "%s: luong attention needs a memory", l->where);
        return WEFT_OK;
    }
    wf_tensor *h = begin(r, l, "h"), *c = begin(r, l, "c"), *probs = NULL;
    asking a = open_memory(r, l, io);
    if (wf_flag(l, "input_feeding")) {
        io->y = fed(r, l, io, &a, &h, &c);
    } else {
        io->y = attend(r, l, io, &a, cell(r, l, io->x, &h, &c), 0, &probs);
        io->attention = r->want_attention ? probs : NULL;
    }
    wf_state_out(r, l, "h", h);
    wf_state_out(r, l, "c", c);
    wf_tensor *last = wf_state_wanted(r) ? wf_time_slice(r->tape, io->y, r->rows - 1, 1) : NULL;
    if (last && last == io->y) /* a state is a tensor of its own: gradients may start at both */
        last = wf_add(r->tape, last, wf_zeros(r->tape, 3, last->dims));
    if (last)
        wf_state_out(r, l, "feed", wf_reshape(r->tape, last, 2, (int64_t[]){r->batch, wf_int(l, "hidden")}));
    return WEFT_OK;
}

const wf_mixer wf_mixer_luong = {.name = "luong",
                                 .about = "an LSTM whose state asks a memory after every step",
                                 .source = "Luong et al. 2015, arXiv 1508.04025, section 3",
                                 .keys = keys,
                                 .slots = slots,
                                 .states = states,
                                 .inputs = "x memory memory_mask?",
                                 .outputs = "y attention?",
                                 .time = "T*T",
                                 .space = "T*T",
                                 .flops = "T*T*2*(hidden + memory_dim)",
                                 .bf16 = 0.012,
                                 .traits = WF_CAUSAL | WF_STREAMS,
                                 .companion = "mlp",
                                 .check = check,
                                 .run = run};
