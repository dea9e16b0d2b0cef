#include "command.h"

static const cli_option options[] = {
    {"spec", CLI_TEXT, "FILE", NULL, "a spec as JSON instead of a name", NULL},
    {"params", CLI_VALUE, "N", "1M", "size for a preset or pattern", NULL},
    {"vocab", CLI_VALUE, "N", "256", "vocabulary for a preset or pattern", NULL},
    {"context", CLI_VALUE, "N", "the model's", "tokens of a sequence, for costs, states and memory", NULL},
    {"batch", CLI_VALUE, "N", "8", "sequences of a training step, for its memory", NULL},
    {"precision", CLI_TEXT, "TYPE", "fp32", "of a training step: fp32 or bf16", NULL},
    {"optimizer", CLI_TEXT, "NAME", "adamw", "of a training step", NULL},
    {"checkpoint-activations", CLI_FLAG, NULL, NULL, "a training step that recomputes blocks in the backward",
     "checkpoint_activations"},
    {"keep-activations", CLI_FLAG, NULL, NULL, "one that keeps those of reversible layers, too", "keep_activations"},
    CLI_ADAPTER,
    {NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

const cli_command cli_command_inspect = {
    .name = "inspect",
    .about = "an architecture as a tree: parameters, memory and cost by part",
    .arguments = "[FILE|DIR|NAME|PATTERN]",
    .rest_key = "model",
    .rest_single = true,
    .options = options,
    .job = weft_inspect,
    .details =
        "The argument names a folder (Hugging Face or a training run), a .safetensors file, a tokenizer.json, a spec, a preset "
        "or a\n"
        "pattern. No weights are read.\n\nexamples:\n  weft inspect llama --params 10M\n  weft inspect 'mamba*3+attention'\n"};
