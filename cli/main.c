/* main.c - finds the command, reads its options, opens the library, runs. */
#include <fcntl.h>
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
    {"family", CLI_TEXT, "FILE", "the built-in ones", "a convention of checkpoints to try first (docs/families.md)", NULL},
    {"help", CLI_FLAG, NULL, NULL, "this help", NULL},
    {NULL, CLI_FLAG, NULL, NULL, NULL, NULL}};

const cli_command *cli_find(const char *name) {
    for (const cli_command *const *c = cli_commands; *c; c++)
        if (strcmp((*c)->name, name) == 0)
            return *c;
    return NULL;
}

static weft *running; /* for the signal handler only */
static volatile sig_atomic_t signals, pipe_closed;

static void on_signal(int signal) {
    if (signals++ > 0 || !running)
        _exit(signal == SIGTERM ? 143 : 130); /* a second signal does not wait */
    weft_interrupt(running, signal == SIGTERM ? WEFT_TERMINATED : WEFT_INTERRUPTED);
}

/* The reader has had enough (weft list | head): writing fails from now on, which is no news to anybody. */
static void on_pipe(int signal) {
    (void)signal;
    pipe_closed = 1;
}

bool cli_reader_gone(void) { return pipe_closed && ferror(stdout); }

/* Ends as a program does that never heard of the signal: the shell is to see why. */
static void end_by_pipe(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigaction(SIGPIPE, &action, NULL);
    raise(SIGPIPE);
}

/* Handlers get a stack of their own: products of oneDNN (2.6.3) keep values far below the stack pointer, and a handler on the
 * same stack writes over them. */
static void use_signal_stack(void) {
    static char memory[1 << 16];
    stack_t stack;
    memset(&stack, 0, sizeof stack);
    stack.ss_sp = memory;
    stack.ss_size = sizeof memory;
    sigaltstack(&stack, NULL);
}

static void watch_signals(weft *lib) {
    struct sigaction action;
    use_signal_stack();
    memset(&action, 0, sizeof action);
    action.sa_flags = SA_ONSTACK;
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    running = lib;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = on_pipe;
    sigaction(SIGPIPE, &action, NULL);
    action.sa_handler = SIG_IGN; /* at a limit on file sizes a write fails like on a full disk */
    sigaction(SIGXFSZ, &action, NULL);
}

static void on_log(void *user, int level, const char *line) {
    const cli_run *run = user;
    if (level <= WEFT_LEVEL_WARN || run->verbose)
        fprintf(stderr, "%sweft: %s\n", run->terminal ? "\r\033[K" : "", line);
}

static int open_and_run(cli_run *run, int threads) {
    weft_options options;
    weft_error err = {0};
    weft_options_init(&options);
    options.threads = threads;
    options.family = run->family;
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
    cli_run run = {.command = command, .terminal = isatty(2) != 0, .argv = argv, .argc = argc};
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

const char *cli_nearest_command(const char *word) { return cli_nearest(word, command_name, NULL); }

static int no_such_command(const char *word) {
    const char *near = cli_nearest_command(word);
    if (word[0] == '-')
        fprintf(stderr, "weft: unknown option '%s': options come after the command (see: weft help)\n", word);
    else if (near)
        fprintf(stderr, "weft: unknown command '%s', did you mean '%s'? (see: weft help)\n", word, near);
    else
        fprintf(stderr, "weft: unknown command '%s' (see: weft help)\n", word);
    return WEFT_USAGE;
}

static int run_word(int argc, char **argv) {
    if (argc < 2) {
        cli_print_overview(stderr);
        return WEFT_USAGE;
    }
    const cli_command *command = cli_find(argv[1]);
    if (command)
        return run_command(command, argc - 2, argv + 2);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0)
        printf("weft %s\n", weft_version());
    else if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        cli_print_overview(stdout);
    else
        return no_such_command(argv[1]);
    return 0;
}

/* A file opened later must not take the place of a closed stdin, stdout or stderr. What is written to a closed stdout fails. */
static void guard_streams(void) {
    static const char *const stand_in[] = {"/dev/null", "/dev/full", "/dev/null"};
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open(stand_in[fd], fd == 0 ? O_RDONLY : O_WRONLY) < 0)
            return;
}

int main(int argc, char **argv) {
    guard_streams();
    int code = run_word(argc, argv);
    bool lost = fflush(stdout) != 0 || ferror(stdout);
    if (cli_reader_gone())
        end_by_pipe();
    if (lost)
        fputs("weft: the result could not be written\n", stderr);
    return lost && code == 0 ? WEFT_FAILURE : code;
}
