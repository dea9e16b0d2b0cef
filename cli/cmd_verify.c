#include "command.h"

static const cli_option options[] = {{NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

const cli_command cli_command_verify = {
    .name = "verify",
    .about = "run fixtures of published references and compare",
    .arguments = "PATH...",
    .rest_key = "paths",
    .options = options,
    .job = weft_verify,
    .details =
        "PATH is a fixture (a folder with a fixture.json) or a folder of them. One line for each: the tensor nearest to its\n"
        "tolerance, its error, the tolerance, and pass, fail or unsupported.\n\n"
        "exit codes: 0 all passed, 3 any failed, 6 some unsupported and none failed, 2 no fixture found\n"};
