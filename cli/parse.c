/* parse.c - arguments to JSON by the option table. `--name value`, `--name=value`, `--` ends options. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "command.h"

typedef struct parser {
    const cli_command *command;
    cli_run *run;
    cli_buffer *json;
    int argc;
    char **argv;
    int at;
    bool first; /* no member yet */
    bool help;
    int threads;
    const cli_option *seen[64]; /* options already written */
    int n_seen;
} parser;

static const char *option_name(const void *user, int i) {
    const cli_command *command = user;
    int n = 0;
    while (command->options[n].name)
        n++;
    return i < n ? command->options[i].name : cli_global_options[i - n].name;
}

static const cli_option *find_option(const cli_command *command, const char *name, size_t length) {
    for (int i = 0; option_name(command, i); i++) {
        const char *candidate = option_name(command, i);
        if (strlen(candidate) == length && memcmp(candidate, name, length) == 0) {
            int n = 0;
            while (command->options[n].name)
                n++;
            return i < n ? &command->options[i] : &cli_global_options[i - n];
        }
    }
    return NULL;
}

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static bool
usage(const parser *p, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "weft %s: ", p->command->name);
    vfprintf(stderr, fmt, args);
    fprintf(stderr, " (see: weft help %s)\n", p->command->name);
    va_end(args);
    return false;
}

static void put_string(parser *p, const char *text) { cli_put_json_string(p->json, text, strlen(text)); }

static void begin_member(parser *p, const cli_option *o) {
    if (!p->first)
        cli_puts(p->json, ", ");
    p->first = false;
    put_string(p, o->key ? o->key : o->name);
    cli_puts(p->json, ": ");
}

static void put_value(parser *p, cli_type type, const char *value) {
    if (type == CLI_VALUE && cli_is_json_number(value))
        cli_puts(p->json, value);
    else if (type == CLI_VALUE && (strcmp(value, "true") == 0 || strcmp(value, "false") == 0 || strcmp(value, "null") == 0))
        cli_puts(p->json, value);
    else
        put_string(p, value);
}

static void put_list(parser *p, const char *value) {
    char *copy = malloc(strlen(value) + 1), *next;
    if (!copy) {
        p->json->failed = true;
        return;
    }
    strcpy(copy, value);
    cli_puts(p->json, "[");
    for (char *word = copy; word; word = next) {
        next = strchr(word, ',');
        if (next)
            *next++ = 0;
        put_string(p, word);
        cli_puts(p->json, next ? ", " : "");
    }
    cli_puts(p->json, "]");
    free(copy);
}

/* The value of argv[i] when it is a use of `o`, NULL otherwise. */
static const char *use_of(const parser *p, const cli_option *o, int i) {
    const char *arg = p->argv[i];
    size_t n = strlen(o->name);
    if (strncmp(arg, "--", 2) != 0 || strncmp(arg + 2, o->name, n) != 0)
        return NULL;
    return arg[2 + n] == '=' ? arg + 3 + n : arg[2 + n] == 0 && i + 1 < p->argc ? p->argv[i + 1] : NULL;
}

/* Every use of a repeatable option goes into one list, written at its first use. */
static void put_many(parser *p, const cli_option *o) {
    bool first = true;
    begin_member(p, o);
    cli_puts(p->json, "[");
    for (int i = 0; i < p->argc && strcmp(p->argv[i], "--") != 0; i++) {
        const char *value = use_of(p, o, i);
        if (!value)
            continue;
        cli_puts(p->json, first ? "" : ", ");
        put_string(p, value);
        first = false;
    }
    cli_puts(p->json, "]");
}

static bool is_new(parser *p, const cli_option *o) {
    for (int i = 0; i < p->n_seen; i++)
        if (p->seen[i] == o)
            return false;
    if (p->n_seen < (int)(sizeof p->seen / sizeof *p->seen))
        p->seen[p->n_seen++] = o;
    return true;
}

static bool apply_global(parser *p, const cli_option *o, const char *value) {
    const char *name = o->name;
    char *end;
    if (strcmp(name, "json") == 0)
        p->run->json = true;
    else if (strcmp(name, "quiet") == 0)
        p->run->quiet = true;
    else if (strcmp(name, "verbose") == 0)
        p->run->verbose = true;
    else if (strcmp(name, "no-progress") == 0)
        p->run->terminal = false;
    else if (strcmp(name, "help") == 0)
        p->help = true;
    else if (strcmp(name, "family") == 0)
        p->run->family = value;
    else {
        long n = strtol(value, &end, 10);
        if (*end || end == value || n < 1 || n > 256)
            return usage(p, "--threads must be from 1 to 256, not '%s'", value);
        p->threads = (int)n;
    }
    return true;
}

static bool is_global(const cli_option *o) {
    for (const cli_option *g = cli_global_options; g->name; g++)
        if (g == o)
            return true;
    return false;
}

static bool unknown(const parser *p, const char *arg) {
    const char *near = cli_nearest(arg + 2, option_name, p->command);
    return near ? usage(p, "unknown option '%s', did you mean '--%s'?", arg, near) : usage(p, "unknown option '%s'", arg);
}

static bool parse_option(parser *p) {
    const char *arg = p->argv[p->at], *equals = strchr(arg, '=');
    size_t length = equals ? (size_t)(equals - arg) - 2 : strlen(arg) - 2;
    const cli_option *o = find_option(p->command, arg + 2, length);
    if (!o)
        return unknown(p, arg);
    const char *value = NULL;
    if (o->type == CLI_FLAG && equals)
        return usage(p, "--%s takes no value", o->name);
    if (o->type != CLI_FLAG) {
        value = equals ? equals + 1 : p->at + 1 < p->argc ? p->argv[++p->at] : NULL;
        if (!value)
            return usage(p, "--%s needs a value (%s)", o->name, o->value);
    }
    if (is_global(o))
        return apply_global(p, o, value);
    bool fresh = is_new(p, o);
    if (o->type == CLI_MANY) {
        if (fresh)
            put_many(p, o);
        return true;
    }
    if (!fresh)
        return usage(p, "--%s was given twice", o->name);
    begin_member(p, o);
    if (o->type == CLI_FLAG)
        cli_puts(p->json, "true");
    else if (o->type == CLI_LIST)
        put_list(p, value);
    else
        put_value(p, o->type, value);
    return true;
}

static bool put_rest(parser *p) {
    const cli_command *c = p->command;
    if (p->run->n_rest == 0)
        return true;
    if (!c->rest_key && !c->run)
        return usage(p, "unexpected argument '%s'", p->run->rest[0]);
    if (!c->rest_key)
        return true;
    if (c->rest_single && p->run->n_rest > 1)
        return usage(p, "unexpected argument '%s'", p->run->rest[1]);
    begin_member(p, &(cli_option){.name = c->rest_key});
    cli_puts(p->json, c->rest_single ? "" : "[");
    for (int i = 0; i < p->run->n_rest; i++) {
        cli_puts(p->json, i ? ", " : "");
        put_string(p, p->run->rest[i]);
    }
    cli_puts(p->json, c->rest_single ? "" : "]");
    return true;
}

bool cli_parse(const cli_command *command, int argc, char **argv, cli_run *run, cli_buffer *json, int *threads, bool *help) {
    parser p = {.command = command, .run = run, .json = json, .argc = argc, .argv = argv, .first = true};
    bool options = true;
    run->rest = calloc((size_t)argc + 1, sizeof *run->rest);
    if (!run->rest)
        return usage(&p, "out of memory");
    cli_puts(json, "{");
    for (p.at = 0; p.at < argc; p.at++) {
        const char *arg = argv[p.at];
        if (options && strcmp(arg, "--") == 0)
            options = false;
        else if (options && strcmp(arg, "-h") == 0)
            p.help = true;
        else if (options && strncmp(arg, "--", 2) == 0) {
            if (!parse_option(&p))
                return false;
        } else if (options && arg[0] == '-' && arg[1]) {
            return usage(&p, "unknown option '%s'", arg);
        } else {
            run->rest[run->n_rest++] = arg;
        }
    }
    *help = p.help;
    *threads = p.threads;
    if (!p.help && !put_rest(&p))
        return false;
    cli_puts(json, "}");
    return json->failed ? usage(&p, "out of memory") : true;
}
