/* completion for bash: words from the command table. */
#include "command.h"

static const cli_option options[] = {{NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

static void words(const cli_option *o) {
    for (; o->name; o++)
        if (o->help)
            printf(" --%s", o->name);
}

static int run(cli_run *run) {
    (void)run;
    puts("# weft completion for bash: eval \"$(weft completion)\"\n_weft() {\n    local word=${COMP_WORDS[COMP_CWORD]}\n    "
         "case ${COMP_WORDS[1]} in");
    for (const cli_command *const *c = cli_commands; *c; c++) {
        printf("    %s) COMPREPLY=($(compgen -o default -W \"", (*c)->name);
        words((*c)->options);
        words(cli_global_options);
        puts("\" -- \"$word\"));;");
    }
    fputs("    *) COMPREPLY=($(compgen -W \"", stdout);
    for (const cli_command *const *c = cli_commands; *c; c++)
        printf(" %s", (*c)->name);
    puts("\" -- \"$word\"));;\n    esac\n}\ncomplete -o default -F _weft weft");
    return 0;
}

const cli_command cli_command_completion = {
    .name = "completion", .about = "words for the shell's completion (bash)", .options = options, .run = run};
