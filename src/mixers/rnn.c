/* rnn.c - the simple recurrent network (Elman 1990), h_t = act(Lin(ih, x_t) + Lin(hh, h_{t-1})), stacked and in one or two
 * directions; reference: torch.nn.RNN. */
#include "mixers/rnn_rows.h"

static const wf_key keys[] = {WF_RNN_KEYS, {"activation", WF_KEY_STRING, "'tanh'", 0, "tanh|relu", "of the state"}, {0}};

static const wf_slot slots[] = {WF_RNN_SLOTS("hidden", "dim"), {0}};
static const wf_state_slot states[] = {WF_RNN_STATE("h"), {0}};

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_rnn_stack stack = {.cell = wf_plain_rnn, .relu = wf_is(l, "activation", "relu")};
    return wf_rnn_rows_run(r, l, io, io->x, &stack);
}

const wf_mixer wf_mixer_rnn = {.name = "rnn",
                               .about = "h = act(W x + U h), act tanh or relu",
                               .source = "Elman 1990, Cognitive Science 14(2)",
                               .keys = keys,
                               .slots = slots,
                               .states = states,
                               .inputs = "x mask?",
                               .outputs = "y",
                               .flops = "0",
                               .bf16 = 0.01,
                               .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_TORCH_STATES,
                               .companion = "mlp",
                               .check = wf_rnn_rows_check,
                               .run = run};
