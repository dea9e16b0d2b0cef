#include "command.h"

static const cli_option options[] = {{NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

const cli_command cli_command_list = {
    .name = "list",
    .about = "what weft knows: mixers, presets, optimizers, ...",
    .arguments = "[mixers|channels|presets|wirings|optimizers|schedules|averages|activations|tasks|ops|spec]",
    .rest_key = "what",
    .rest_single = true,
    .options = options,
    .job = weft_list};
