/* list_spec.c - the grammar of specs as a page, from the tables alone: docs/spec.md is what `weft list spec` prints. */
#include "jobs/list_spec.h"
#include <string.h>
#include "model/spec.h"

/* Text of a table's cell: a bar would end it. */
static void put_escaped(wf_str *out, const char *text) {
    for (; *text; text++) {
        if (*text == '|')
            wf_str_putc(out, '\\');
        wf_str_putc(out, *text);
    }
}

static void put_cell(wf_str *out, const char *text) {
    wf_str_puts(out, "| ");
    put_escaped(out, text);
    wf_str_putc(out, ' ');
}

static void put_code(wf_str *out, const char *text) {
    wf_str_puts(out, "| ");
    if (text[0]) {
        wf_str_putc(out, '`');
        put_escaped(out, text);
        wf_str_putc(out, '`');
    }
    wf_str_putc(out, ' ');
}

static void end_row(wf_str *out) { wf_str_puts(out, "|\n"); }

static void put_part(wf_str *out, const wf_spec_part *part) {
    wf_str_printf(out, "\n## %s\n\n| key | type | default | what |\n|---|---|---|---|\n", part->about);
    for (const wf_spec_key *k = part->keys; k->name; k++) {
        put_code(out, k->name);
        put_cell(out, k->type);
        put_cell(out, k->fallback ? k->fallback : "required");
        put_cell(out, k->help);
        end_row(out);
    }
}

static void put_wirings(wf_str *out) {
    wf_str_puts(out, "\n## Wirings\n\nf is the token mixer, then the channel mixer where the block has one.\n\n| name | what | "
                     "norms |\n|---|---|---|\n");
    for (const wf_wiring *w = wf_wirings; w->name; w++) {
        put_code(out, w->name);
        put_cell(out, w->about);
        wf_str_printf(out, "| %d, without a channel mixer %d ", w->norms, w->norms_without_channel);
        end_row(out);
    }
}

static void put_rows(wf_str *out) {
    const char *about, *name;
    wf_str_puts(out,
                "\n## Steps of `rows`\n\nA mask follows the rows: row j counts when any (or all) of its window do. A window of "
                "`pool` is what it pools; that of row j of `conv` are the rows from `j*stride` on. `spread`, `add` and `join` "
                "take the mask of the block they name, learned rows have none. Models with such steps have no chunk and step "
                "forms.\n\n| kind | what |\n|---|---|\n");
    for (size_t i = 0; (name = wf_rows_kind_name(i, &about)); i++) {
        put_code(out, name);
        put_cell(out, about);
        end_row(out);
    }
}

static void put_heads(wf_str *out) {
    wf_str_puts(out, "\n## Heads\n\n| kind | what | pooling | output | labels |\n|---|---|---|---|---|\n");
    for (const wf_head *h = wf_head_rows; h->name; h++) {
        put_code(out, h->name);
        put_cell(out, h->about);
        put_code(out, h->pool);
        put_code(out, h->outputs);
        put_code(out, h->inputs);
        end_row(out);
    }
    wf_str_puts(out, "\n## Poolings\n\n| name | what |\n|---|---|\n");
    for (const wf_pool_row *p = wf_pool_table; p->name; p++) {
        put_code(out, p->name);
        put_cell(out, p->about);
        end_row(out);
    }
}

static const char *const types[] = {
    [WF_KEY_INT] = "integer", [WF_KEY_FLOAT] = "number",  [WF_KEY_BOOL] = "boolean", [WF_KEY_STRING] = "string",
    [WF_KEY_LIST] = "list",   [WF_KEY_OBJECT] = "object", [WF_KEY_ANY] = "any"};

static void put_keys(wf_str *out, const wf_key *keys) {
    wf_str_puts(out, "\n| option | type | default | what |\n|---|---|---|---|\n");
    for (const wf_key *k = keys; k->name; k++) {
        put_code(out, k->name);
        put_cell(out, types[k->type]);
        if (k->fallback)
            put_code(out, k->fallback);
        else
            put_cell(out, strcmp(k->name, "dim") == 0 ? "that of the model" : "required");
        put_cell(out, k->help ? k->help : "");
        if (k->choices) {
            wf_str_puts(out, k->type == WF_KEY_STRING ? "(one of `" : "(members and defaults: `");
            put_escaped(out, k->choices);
            wf_str_puts(out, "`) ");
        }
        if ((k->type == WF_KEY_INT || k->type == WF_KEY_FLOAT) && k->min != 0)
            wf_str_printf(out, "(at least %g) ", k->min);
        end_row(out);
    }
}

static void put_slots(wf_str *out, const wf_mixer *row) {
    wf_str_puts(out, "\n| weight | shape | start | when |\n|---|---|---|---|\n");
    for (const wf_slot *s = row->slots; s->name; s++) {
        put_code(out, s->name);
        put_code(out, s->shape);
        put_cell(out, s->init);
        put_code(out, s->when ? s->when : "");
        if (s->repeat)
            wf_str_printf(out, "for n below `%s` ", s->repeat);
        wf_str_puts(out, s->buffer ? "not trained " : "");
        wf_str_puts(out, wf_slot_no_decay(row, s) ? "not decayed " : "");
        end_row(out);
    }
}

static void put_states(wf_str *out, const wf_state_slot *states) {
    if (!states || !states->name)
        return;
    wf_str_puts(out, "\n| state | shape of one sequence | when |\n|---|---|---|\n");
    for (const wf_state_slot *s = states; s->name; s++) {
        put_code(out, s->name);
        put_code(out, s->shape);
        put_code(out, s->when ? s->when : "");
        wf_str_puts(out, s->kind == WF_STATE_APPEND ? "one row per token " : "");
        if (s->limit)
            wf_str_printf(out, "(a ring of `%s` rows; null grows) ", s->limit);
        end_row(out);
    }
}

static bool has_key(const wf_mixer *row, const char *name) {
    for (const wf_key *k = row->keys; k->name; k++)
        if (strcmp(k->name, name) == 0)
            return true;
    return false;
}

static void put_traits(wf_str *out, const wf_mixer *row) {
    const struct {
        unsigned bit;
        const char *text;
    } rows[] = {{WF_CAUSAL, has_key(row, "causal")          ? "causal where `causal` is true"
                            : has_key(row, "bidirectional") ? "causal unless `bidirectional`"
                                                            : "causal"},
                {WF_STREAMS, "decodes token by token from a state"},
                {WF_PADDING_INERT, "padded rows change nothing"},
                {WF_PADDING_TRACE, "but rows before a sequence may leave a trace"},
                {WF_PADDING_COUNTS, "but rows behind a sequence count as rows"},
                {WF_PERMUTATION, "without positions, an order of rows is as good as another"},
                {WF_PER_TOKEN, "every row by itself"},
                {WF_REBUILDS, "training rebuilds its input from its output"}};
    bool first = true;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (row->traits & rows[i].bit) {
            wf_str_printf(out, "%s%s", first ? "" : "; ", rows[i].text);
            first = false;
        }
}

const char *wf_mixer_forms(const wf_mixer *row) { return row->traits & WF_STREAMS ? "full chunk step" : "full"; }

const char *wf_mixer_state_law(const wf_mixer *row) {
    bool fixed = false, grows = false, ring = false;
    for (const wf_state_slot *s = row->states; s && s->name; s++) {
        fixed |= s->kind == WF_STATE_FIXED;
        grows |= s->kind == WF_STATE_APPEND;
        ring |= s->limit != NULL;
    }
    if (row->parts)
        return "that of its parts";
    return ring ? "T or a window" : grows ? "T" : fixed ? "constant" : "none";
}

static void put_mixer(wf_str *out, const wf_mixer *row) {
    wf_str_printf(out, "\n### %s\n\n%s.\n", row->name, row->about);
    if (row->source && row->source[0])
        wf_str_printf(out, "Source: %s.\n", row->source);
    wf_str_printf(out, "In: %s; out: %s. ", row->inputs, row->outputs);
    put_traits(out, row);
    wf_str_printf(out, ".\nForms: %s. FLOPs beside the projections: `%s`.\n", wf_mixer_forms(row), row->flops);
    wf_str_printf(
        out,
        "Up to a factor, time grows as `%s`, what training keeps as `%s`, the state as %s. bf16 mode: within %g %% of fp32.\n",
        row->time ? row->time : "T", row->space ? row->space : "T", wf_mixer_state_law(row), 100.0 * row->bf16);
    put_keys(out, row->keys);
    put_slots(out, row);
    put_states(out, row->states);
}

static const char head[] = "# Specs\n\n"
                           "<!-- made by `make docs` from the tables of the source: weft list spec -->\n\n"
                           "A spec is a JSON object that describes a model. `weft train --spec FILE`, `weft compare --spec "
                           "FILE` and `weft inspect FILE` read it;\n"
                           "the presets (`src/presets/`) and the families of checkpoints are written in it. What is not known "
                           "is refused with the nearest name.\n\n"
                           "```json\n"
                           "{\"dim\": 128, \"layers\": 4, \"block\": {\"norm\": \"rms\", \"wiring\": \"pre\"},\n"
                           " \"blocks\": [{\"mixer\": {\"mixer\": \"mamba\"}},\n"
                           "            {\"mixer\": {\"mixer\": \"attention\", \"heads\": 4, \"causal\": true, \"rope\": {}}, "
                           "\"channel\": {\"mixer\": \"glu\", \"hidden\": 352}}]}\n"
                           "```\n\n"
                           "In a template (a preset, or a file given to `train` and `compare`) a string that begins with `=` "
                           "is an expression over dim, layers, hidden,\n"
                           "vocab and context; dim and hidden are solved for the number of parameters asked for.\n";

void wf_spec_page(wf_str *out) {
    wf_str_puts(out, head);
    for (const wf_spec_part *p = wf_spec_parts; p->name; p++)
        put_part(out, p);
    put_wirings(out);
    put_rows(out);
    put_heads(out);
    wf_str_puts(out, "\n## Token mixers\n\nDefaults are expressions over the options before them; shapes are expressions over "
                     "all of them.\n");
    for (const wf_mixer *const *m = wf_mixers; *m; m++)
        put_mixer(out, *m);
    wf_str_puts(out, "\n## Channel mixers\n");
    for (const wf_mixer *const *m = wf_channels; *m; m++)
        put_mixer(out, *m);
}
