/* additive.c - the decoder of Bahdanau et al. 2015 (arXiv 1409.0473, section 3.1 and appendix A.2): the state asks the memory
 * before every step of a GRU, or of an LSTM as the bottom layer of GNMT's decoder does (Wu et al. 2016, arXiv 1609.08144,
 * section 3). x holds target embeddings, the memory encoder states. */
#include <math.h>
#include "mixers/mixer.h"
#include "parts/time_stack.h"

static const wf_key keys[] = {
    {"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
    {"memory_dim", WF_KEY_INT, "dim", 1, NULL, "width of the memory"},
    {"hidden", WF_KEY_INT, "dim", 1, NULL, "width of the state"},
    {"units", WF_KEY_INT, "hidden", 1, NULL, "width of the scores' hidden layer"},
    {"score", WF_KEY_STRING, "'concat'", 0, "concat", "v . tanh(score.q h + score.k m)"},
    {"normed", WF_KEY_BOOL, "false", 0, NULL, "v of learned length, and a bias inside (Salimans & Kingma 2016)"},
    {"cell", WF_KEY_STRING, "'gru'", 0, "gru|lstm", "what reads x beside the context"},
    {"side", WF_KEY_BOOL, "false", 0, NULL, "the contexts become the stream beside the rows, for later layers"},
    {"init", WF_KEY_STRING, "'zero'", 0, "backward|zero", "first state: from the backward half of the first memory row, or 0"},
    {"reset", WF_KEY_STRING, "'after'", 0, "after|before",
     "of gru: where the reset gate acts, after the product with the state or before it"},
    {"readout", WF_KEY_STRING, "'linear'", 0, "maxout|linear|none",
     "maxout of state, x and context; linear of new state and context; the new state"},
    {"readout_state", WF_KEY_STRING, "'previous'", 0, "previous|current", "of maxout"},
    {"out", WF_KEY_INT, "readout == 'none' ? hidden : dim", 1, NULL, "width of y"},
    {NULL}};

#define GATES "(cell == 'lstm' ? 4 : 3) * hidden"
static const wf_slot slots[] = {
    {"score.q.weight", "[units, hidden]", "linear", NULL, NULL, false, NULL},
    {"score.k.weight", "[units, memory_dim]", "linear", NULL, NULL, false, NULL},
    {"score.v", "[units]", "normal:0.1", NULL, NULL, false, NULL},
    {"score.g", "[1]", "ones", "normed", NULL, false, NULL},
    {"score.b", "[units]", "zeros", "normed", NULL, false, NULL},
    {"init.weight", "[hidden, memory_dim // 2]", "linear", "init == 'backward'", NULL, false, NULL},
    {"init.bias", "[hidden]", "zeros", "init == 'backward'", NULL, false, NULL},
    {"cell.ih.weight", "[" GATES ", dim + memory_dim]", "linear", NULL, NULL, false, NULL},
    {"cell.ih.bias", "[" GATES "]", "zeros", NULL, NULL, false, NULL},
    {"cell.hh.weight", "[" GATES ", hidden]", "linear", NULL, NULL, false, NULL},
    {"cell.hh.bias", "[" GATES "]", "zeros", NULL, NULL, false, NULL},
    {"o.weight", "[readout == 'maxout' ? 2*out : out, hidden + memory_dim + (readout == 'maxout' ? dim : 0)]", "linear_out",
     "readout != 'none'", NULL, false, NULL},
    {"o.bias", "[readout == 'maxout' ? 2*out : out]", "zeros", "readout != 'none'", NULL, false, NULL},
    {NULL}};

static const wf_state_slot states[] = {
    {"h", WF_STATE_FIXED, "[hidden]", NULL, NULL, 0}, {"c", WF_STATE_FIXED, "[hidden]", NULL, "cell == 'lstm'", 0}, {NULL}};

static weft_status check(const wf_layer *l, weft_error *err) {
    WF_CHECK(wf_is(l, "init", "zero") || wf_int(l, "memory_dim") % 2 == 0, err, WEFT_USAGE,
             "'init' backward needs an even memory_dim");
    WF_CHECK(!wf_is(l, "readout", "none") || wf_int(l, "out") == wf_int(l, "hidden"), err, WEFT_USAGE,
             "without a readout 'out' is hidden");
    return WEFT_OK;
}

/* [B,hidden], or NULL for zeros. */
static wf_tensor *first_state(wf_run *r, const wf_layer *l, const wf_ports *io) {
    int64_t half = wf_int(l, "memory_dim") / 2, dims[2] = {r->batch, wf_int(l, "hidden")};
    wf_tensor *given = wf_state_in(r, l, "h"), *begin = NULL;
    if (given && r->mode == WF_STATE_VALUES)
        return given;
    if (wf_is(l, "init", "backward")) {
        wf_tensor *row = wf_slice_channels(r->tape, wf_time_slice(r->tape, io->memory, 0, 1), half, half);
        begin = wf_activate(r->tape, wf_project(r, l, "init", row), WF_TANH);
        begin = begin ? wf_cast(r->tape, wf_reshape(r->tape, begin, 2, dims), WF_F32) : NULL;
    }
    return given ? wf_begin_state(r->tape, given, begin) : begin;
}

/* Of an LSTM, [B,hidden]: from the state, or zeros. */
static wf_tensor *first_cell(wf_run *r, const wf_layer *l) {
    wf_tensor *given = wf_state_in(r, l, "c");
    if (given)
        return r->mode == WF_STATE_IN_PLACE ? wf_begin_state(r->tape, given, NULL) : given;
    return wf_zeros(r->tape, 2, (int64_t[]){r->batch, wf_int(l, "hidden")});
}

/* v, or g v/|v|. */
static wf_tensor *score_vector(wf_run *r, const wf_layer *l) {
    int64_t units = wf_int(l, "units");
    wf_tensor *v = wf_weight(r, l, "score.v");
    if (!wf_flag(l, "normed"))
        return v;
    v = wf_cast(r->tape, wf_rms_norm(r->tape, wf_reshape(r->tape, v, 2, (int64_t[]){1, units}), NULL, 0.0f, 0.0f), WF_F32);
    v = wf_scale_by(r->tape, wf_scale(r->tape, v, 1.0f / sqrtf((float)units)), wf_weight(r, l, "score.g"));
    return v ? wf_reshape(r->tape, v, 1, &units) : NULL;
}

typedef struct rows { /* one tensor per step */
    wf_tensor **before, **after, **context, **probs;
} rows;

static wf_tensor *as_row(wf_run *r, wf_tensor *h) {
    return h ? wf_reshape(r->tape, h, 3, (int64_t[]){r->batch, 1, wf_dim(h, -1)}) : NULL;
}

static wf_tensor *ask(wf_run *r, const wf_layer *l, const wf_ports *io, wf_tensor *h, wf_tensor *k, wf_tensor *v,
                      wf_tensor **probs) {
    wf_tensor *q = wf_linear_as(r->tape, as_row(r, h), wf_weight(r, l, "score.q.weight"), NULL, WF_F32);
    return wf_memory_attention(r->tape, q, k, io->memory, &(wf_memory_spec){.v = v, .mask = io->memory_mask}, probs);
}

/* One step from its input row; h and c (NULL: a GRU) are replaced. */
static wf_tensor *step(wf_run *r, const wf_layer *l, wf_tensor *row, wf_tensor **h, wf_tensor **c) {
    wf_tensor *ih = wf_linear_as(r->tape, row, wf_weight(r, l, "cell.ih.weight"), wf_weight(r, l, "cell.ih.bias"), WF_F32),
              *h_out = NULL, *c_out = NULL;
    const wf_rnn_spec spec = {.hh = wf_weight(r, l, "cell.hh.weight"),
                              .hh_bias = wf_weight(r, l, "cell.hh.bias"),
                              .h_in = *h,
                              .c_in = *c,
                              .h_out = &h_out,
                              .c_out = *c ? &c_out : NULL,
                              .reset_before = !*c && wf_is(l, "reset", "before")};
    wf_tensor *y = *c ? wf_lstm(r->tape, ih, &spec) : wf_gru(r->tape, ih, &spec);
    *h = h_out;
    *c = c_out;
    return y;
}

/* The states after the last row are left in *h and *c. */
static void decode(wf_run *r, const wf_layer *l, const wf_ports *io, wf_tensor **h, wf_tensor **c, const rows *at) {
    wf_tape *t = r->tape;
    wf_tensor *k = wf_linear_as(t, io->memory, wf_weight(r, l, "score.k.weight"), wf_weight(r, l, "score.b"), WF_F32),
              *v = score_vector(r, l);
    for (int64_t i = 0; i < r->rows; i++) {
        at->before[i] = as_row(r, *h);
        at->context[i] = ask(r, l, io, *h, k, v, &at->probs[i]);
        at->after[i] = step(r, l, wf_join_channels(t, wf_time_slice(t, io->x, i, 1), at->context[i]), h, c);
    }
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tape *t = r->tape;
    rows at;
    if (!io->memory) {
        wf_tape_error(t, WEFT_USAGE, "%s: additive attention needs a memory", l->where);
        return WEFT_OK;
    }
    wf_tensor *h = first_state(r, l, io);
    if (!h)
        h = wf_zeros(t, 2, (int64_t[]){r->batch, wf_int(l, "hidden")});
    wf_tensor **list = wf_arena_alloc(wf_tape_arena(t), (size_t)(4 * r->rows) * sizeof(wf_tensor *));
    if (!list) {
        wf_tape_error(t, WEFT_NO_MEMORY, "out of memory");
        return WEFT_OK;
    }
    at = (rows){list, list + r->rows, list + 2 * r->rows, list + 3 * r->rows};
    wf_tensor *c = wf_is(l, "cell", "lstm") ? first_cell(r, l) : NULL;
    decode(r, l, io, &h, &c, &at);
    wf_state_out(r, l, "h", h);
    wf_state_out(r, l, "c", c);
    if (r->want_attention)
        io->attention = wf_time_stack(t, at.probs, r->rows);
    wf_tensor *after = wf_time_stack(t, at.after, r->rows), *context = wf_time_stack(t, at.context, r->rows);
    io->y = after;
    io->side = wf_flag(l, "side") ? context : io->side;
    if (wf_is(l, "readout", "linear"))
        io->y = wf_project(r, l, "o", wf_join_channels(t, after, context));
    if (wf_is(l, "readout", "maxout")) {
        wf_tensor *state = wf_is(l, "readout_state", "current") ? after : wf_time_stack(t, at.before, r->rows);
        io->y = wf_max_pairs(t, wf_project(r, l, "o", wf_join_channels(t, wf_join_channels(t, state, io->x), context)));
    }
    return WEFT_OK;
}

const wf_mixer wf_mixer_additive = {
    .name = "additive",
    .about = "a GRU or LSTM whose state asks a memory before every step",
    .source = "Bahdanau et al. 2015, arXiv 1409.0473, section 3.1, appendix A.2; Wu et al. 2016, arXiv 1609.08144, section 3",
    .keys = keys,
    .slots = slots,
    .states = states,
    .inputs = "x memory memory_mask?",
    .outputs = "y attention? side?",
    .time = "T*T",
    .space = "T*T",
    .flops = "T*T*(20*units + 2*memory_dim)",
    .bf16 = 0.01,
    .traits = WF_CAUSAL | WF_STREAMS,
    .companion = "mlp",
    .check = check,
    .run = run};
