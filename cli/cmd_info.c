#include "command.h"

static const cli_option options[] = {{NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

const cli_command cli_command_info = {
    .name = "info", .about = "instruction sets, backends, threads", .options = options, .job = weft_info};
