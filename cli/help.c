/* help.c - overview, help of a command and its man page, from the same rows. */
#include <ctype.h>
#include <string.h>
#include "command.h"

static const char exit_codes[] =
    "0 ok, 1 failure, 2 usage, 3 mismatch, 4 bad input, 5 out of memory, 6 unsupported, 130/143 interrupted\n";

static void print_option(FILE *out, const cli_option *o) {
    char left[64];
    if (!o->help)
        return;
    snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
    fprintf(out, "  %-26s %s", left, o->help);
    if (o->fallback)
        fprintf(out, " [%s]", o->fallback);
    fputc('\n', out);
}

void cli_print_help(FILE *out, const cli_command *c) {
    fprintf(out, "weft %s - %s\n\nusage: weft %s%s%s%s\n", c->name, c->about, c->name, c->options[0].name ? " [options]" : "",
            c->arguments ? " " : "", c->arguments ? c->arguments : "");
    if (c->options[0].name)
        fputs("\noptions:\n", out);
    for (const cli_option *o = c->options; o->name; o++)
        print_option(out, o);
    fputs("\nfor every command:\n", out);
    for (const cli_option *o = cli_global_options; o->name; o++)
        print_option(out, o);
    if (c->details)
        fprintf(out, "\n%s", c->details);
}

void cli_print_overview(FILE *out) {
    fputs("weft - train, run and compare sequence models on this computer\n\nusage: weft COMMAND [options] [arguments]\n\n",
          out);
    for (const cli_command *const *c = cli_commands; *c; c++)
        fprintf(out, "  %-12s %s\n", (*c)->name, (*c)->about);
    fprintf(out, "\nweft help COMMAND tells more; results go to stdout, talk to stderr.\nexit codes: %s", exit_codes);
}

/* roff: a leading dot or quote would be a request, a minus must be escaped to stay one. */
static void roff(FILE *out, const char *text) {
    for (const char *c = text; *c; c++) {
        if ((c == text || c[-1] == '\n') && (*c == '.' || *c == '\''))
            fputs("\\&", out);
        if (*c == '-')
            fputs("\\-", out);
        else if (*c == '\\')
            fputs("\\e", out);
        else
            fputc(*c, out);
    }
}

static void man_option(FILE *out, const cli_option *o) {
    if (!o->help)
        return;
    fprintf(out, ".TP\n\\fB\\-\\-");
    roff(out, o->name);
    fprintf(out, "\\fR%s%s%s\n", o->value ? " \\fI" : "", o->value ? o->value : "", o->value ? "\\fR" : "");
    roff(out, o->help);
    if (o->fallback) {
        fputs(" [", out);
        roff(out, o->fallback);
        fputs("]", out);
    }
    fputc('\n', out);
}

void cli_print_man(FILE *out, const cli_command *c) {
    char upper[32];
    size_t n = 0;
    for (; c->name[n] && n < sizeof upper - 1; n++)
        upper[n] = (char)toupper((unsigned char)c->name[n]);
    upper[n] = 0;
    fprintf(out, ".TH WEFT\\-%s 1 \"\" \"weft %s\" \"weft\"\n.SH NAME\nweft\\-%s \\- ", upper, weft_version(), c->name);
    roff(out, c->about);
    fprintf(out, "\n.SH SYNOPSIS\n\\fBweft %s\\fR [options] ", c->name);
    roff(out, c->arguments ? c->arguments : "");
    fputs("\n.SH OPTIONS\n", out);
    for (const cli_option *o = c->options; o->name; o++)
        man_option(out, o);
    for (const cli_option *o = cli_global_options; o->name; o++)
        man_option(out, o);
    if (c->details) {
        fputs(".SH DETAILS\n.nf\n", out);
        roff(out, c->details);
        fputs(".fi\n", out);
    }
}

void cli_print_man_overview(FILE *out) {
    fprintf(
        out,
        ".TH WEFT 1 \"\" \"weft %s\" \"weft\"\n.SH NAME\nweft \\- train, run and compare sequence models on this computer\n",
        weft_version());
    fputs(".SH SYNOPSIS\n\\fBweft\\fR \\fICOMMAND\\fR [options] [arguments]\n.SH COMMANDS\n", out);
    for (const cli_command *const *c = cli_commands; *c; c++) {
        fprintf(out, ".TP\n\\fBweft\\-%s\\fR(1)\n", (*c)->name);
        roff(out, (*c)->about);
        fputc('\n', out);
    }
    fputs(".SH EXIT STATUS\n", out);
    roff(out, exit_codes);
}
