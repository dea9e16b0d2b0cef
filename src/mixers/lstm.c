/* lstm.c - long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000), stacked and in one
 * or two directions; reference: torch.nn.LSTM. Rows of the weights are the gates i, f, g, o. */
#include "mixers/rnn_rows.h"

static const wf_key keys[] = {WF_RNN_KEYS,
                              {"side_dim", WF_KEY_INT, "0", 0, NULL,
                               "width of the stream beside the rows, which the first cell reads behind x; 0: does not"},
                              {0}};

static const wf_slot slots[] = {WF_RNN_SLOTS("4*hidden", "dim + side_dim"), {0}};
static const wf_state_slot states[] = {WF_RNN_STATE("h"), WF_RNN_STATE("c"), {0}};

/* x, with the stream beside it where the layer reads that. */
static wf_tensor *rows_of(wf_run *r, const wf_layer *l, const wf_ports *io) {
    int64_t wide = wf_int(l, "side_dim"), there = io->side ? wf_dim(io->side, -1) : 0;
    if (wide == 0)
        return io->x;
    if (there != wide)
        return wf_tape_error(r->tape, WEFT_USAGE,
                             "%s: lstm: the stream beside the rows has %lld channels, not 'side_dim' (%lld)", l->where,
                             (long long)there, (long long)wide);
    return wf_join_channels(r->tape, wf_cast(r->tape, io->x, WF_F32), wf_cast(r->tape, io->side, WF_F32));
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_rnn_stack stack = {.cell = wf_lstm, .c_in = wf_state_in(r, l, "c")};
    WF_TRY(wf_rnn_rows_run(r, l, io, rows_of(r, l, io), &stack));
    wf_state_out(r, l, "c", stack.c_out);
    return WEFT_OK;
}

const wf_mixer wf_mixer_lstm = {.name = "lstm",
                                .about = "c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c)",
                                .source = "Hochreiter & Schmidhuber 1997",
                                .keys = keys,
                                .slots = slots,
                                .states = states,
                                .inputs = "x mask? side?",
                                .outputs = "y",
                                .flops = "0",
                                .bf16 = 0.01,
                                .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_TORCH_STATES,
                                .check = wf_rnn_rows_check,
                                .run = run};
