/* gru.c - gated recurrent units (Cho et al. 2014, arXiv 1406.1078), stacked and in one or two directions; references:
 * torch.nn.GRU (reset after), the paper (reset before). Rows of the weights are the gates r, z, n. */
#include "mixers/rnn_rows.h"

static const wf_key keys[] = {WF_RNN_KEYS,
                              {"reset", WF_KEY_STRING, "'after'", 0, "after|before",
                               "where the reset gate acts: after the product with the state, or before it"},
                              {0}};

static const wf_slot slots[] = {WF_RNN_SLOTS("3*hidden", "dim"), {0}};
static const wf_state_slot states[] = {WF_RNN_STATE("h"), {0}};

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_rnn_stack stack = {.cell = wf_gru, .reset_before = wf_is(l, "reset", "before")};
    return wf_rnn_rows_run(r, l, io, io->x, &stack);
}

const wf_mixer wf_mixer_gru = {.name = "gru",
                               .about = "h = (1-z) n + z h, gates r and z",
                               .source = "Cho et al. 2014, arXiv 1406.1078, eq. 5-8",
                               .keys = keys,
                               .slots = slots,
                               .states = states,
                               .inputs = "x mask?",
                               .outputs = "y",
                               .flops = "0",
                               .bf16 = 0.008,
                               .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_TORCH_STATES,
                               .companion = "mlp",
                               .check = wf_rnn_rows_check,
                               .run = run};
