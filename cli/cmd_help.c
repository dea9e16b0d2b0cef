#include <string.h>
#include "command.h"

static const cli_option options[] = {
    {"man", CLI_FLAG, NULL, NULL, "print the man page instead (troff)", NULL},
    {"pages", CLI_FLAG, NULL, NULL, "write every man page into the folder given instead of a command", NULL},
    {NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

static bool write_page(const char *folder, const cli_command *command) {
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/weft%s%s.1", folder, command ? "-" : "", command ? command->name : "");
    FILE *out = n < (int)sizeof path ? fopen(path, "w") : NULL;
    if (out && command)
        cli_print_man(out, command);
    else if (out)
        cli_print_man_overview(out);
    bool good = out && !ferror(out);
    if (out && fclose(out) != 0)
        good = false;
    if (!good)
        fprintf(stderr, "weft help: %s could not be written\n", path);
    return good;
}

static int write_pages(const char *folder) {
    bool good = write_page(folder, NULL);
    for (const cli_command *const *c = cli_commands; good && *c; c++)
        good = write_page(folder, *c);
    return good ? 0 : WEFT_FAILURE;
}

static int help_on(const char *name, bool man) {
    const cli_command *command = cli_find(name);
    const char *near = command ? NULL : cli_nearest_command(name);
    if (!command) {
        fprintf(stderr, "weft help: unknown command '%s'%s%s%s\n", name, near ? ", did you mean '" : "", near ? near : "",
                near ? "'?" : "");
        return WEFT_USAGE;
    }
    (man ? cli_print_man : cli_print_help)(stdout, command);
    return 0;
}

static int run(cli_run *run) {
    bool man = cli_given(run, "man");
    if (cli_given(run, "pages") && run->n_rest > 0)
        return write_pages(run->rest[0]);
    if (run->n_rest > 1) {
        fprintf(stderr, "weft help: one command at a time, not '%s' too\n", run->rest[1]);
        return WEFT_USAGE;
    }
    if (run->n_rest > 0)
        return help_on(run->rest[0], man);
    (man ? cli_print_man_overview : cli_print_overview)(stdout);
    return 0;
}

const cli_command cli_command_help = {
    .name = "help", .about = "help on a command", .arguments = "[COMMAND|DIR]", .options = options, .run = run};
