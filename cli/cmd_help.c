#include <string.h>
#include "command.h"

static const cli_option options[] = {{"man", CLI_FLAG, NULL, NULL, "print the man page instead (troff)", NULL}, {NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

static int run(cli_run *run) {
    bool man = strstr(run->options, "\"man\"") != NULL;
    if (run->n_rest == 0) {
        cli_print_overview(stdout);
        return 0;
    }
    const cli_command *command = cli_find(run->rest[0]);
    if (!command) {
        fprintf(stderr, "weft help: unknown command '%s'\n", run->rest[0]);
        return WEFT_USAGE;
    }
    (man ? cli_print_man : cli_print_help)(stdout, command);
    return 0;
}

const cli_command cli_command_help = {.name = "help", .about = "help on a command", .arguments = "[COMMAND]", .options = options, .run = run};
