/* main.c - finds the command, reads its options, opens the library, runs. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "command.h"

#define CLI_COMMAND(name) extern const cli_command cli_command_##name;
#include "commands.def"
#undef CLI_COMMAND

const cli_command *const cli_commands[] = {
#define CLI_COMMAND(name) &cli_command_##name,
#include "commands.def"
#undef CLI_COMMAND
    NULL};

const cli_option cli_global_options[] = {
    {"json", CLI_FLAG, NULL, NULL, "print the result as JSON", NULL},
    {"quiet", CLI_FLAG, NULL, NULL, "no progress on stderr", NULL},
    {"verbose", CLI_FLAG, NULL, NULL, "more notes on stderr", NULL},
    {"no-progress", CLI_FLAG, NULL, NULL, "finished lines only, even on a terminal", NULL},
    {"threads", CLI_VALUE, "N", "every processor", "threads to use", NULL},
    {"help", CLI_FLAG, NULL, NULL, "this help", NULL},
    {NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

const cli_command *cli_find(const char *name) {
    for (const cli_command *const *c = cli_commands; *c; c++)
        if (strcmp((*c)->name, name) == 0)
            return *c;
    return NULL;
}

static weft *running; /* for the signal handler only */
static volatile sig_atomic_t signals;

static void on_signal(int signal) {
    if (signals++ > 0 || !running)
        _exit(signal == SIGTERM ? 143 : 130); /* a second signal does not wait */
    weft_interrupt(running, signal == SIGTERM ? WEFT_TERMINATED : WEFT_INTERRUPTED);
}

static void watch_signals(weft *lib) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    running = lib;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a write error, told like any other */
}

static void on_log(void *user, int level, const char *line) {
    const cli_run *run = user;
    if (level <= WEFT_LEVEL_WARN || (run->verbose && level <= WEFT_LEVEL_INFO))
        fprintf(stderr, "%sweft: %s\n", run->terminal ? "\r\033[K" : "", line);
}

static int open_and_run(cli_run *run, int threads) {
    weft_options options;
    weft_error err = {0};
    weft_options_init(&options);
    options.threads = threads;
    options.log = on_log;
    options.log_user = run;
    if (weft_create(&options, &run->lib, &err) != WEFT_OK)
        return cli_fail(&err);
    watch_signals(run->lib);
    int code = run->command->run ? run->command->run(run) : cli_run_job(run);
    running = NULL;
    weft_free(run->lib);
    return code;
}

static int run_command(const cli_command *command, int argc, char **argv) {
    cli_run run = {.command = command, .terminal = isatty(2) != 0};
    cli_buffer json = {0};
    int threads = 0, code = WEFT_USAGE;
    bool help = false;
    if (cli_parse(command, argc, argv, &run, &json, &threads, &help)) {
        run.options = json.data;
        if (help)
            cli_print_help(stdout, command);
        code = help ? 0 : open_and_run(&run, threads);
    }
    cli_buffer_free(&json);
    free(run.rest);
    return code;
}

static const char *command_name(const void *user, int i) {
    (void)user;
    return cli_commands[i] ? cli_commands[i]->name : NULL;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        cli_print_overview(stderr);
        return WEFT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        printf("weft %s\n", weft_version());
        return 0;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        cli_print_overview(stdout);
        return 0;
    }
    const cli_command *command = cli_find(argv[1]);
    if (command)
        return run_command(command, argc - 2, argv + 2);
    const char *near = cli_nearest(argv[1], command_name, NULL);
    fprintf(stderr, "weft: unknown command '%s'%s%s%s (see: weft help)\n", argv[1], near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
    return WEFT_USAGE;
}
