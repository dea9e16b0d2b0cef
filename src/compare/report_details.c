/* report_details.c - the learning-rate grid, and how the run was made. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "compare/report_parts.h"

/* ---- the grid ---- */
enum { MOST_RATES = 32 };

static int collect_rates(const wf_report *r, double rates[MOST_RATES]) {
    int n = 0;
    for (int i = 0; i < r->run.count; i++) {
        const wf_json *grid = wf_json_get(r->run.models[i].json, "lr_grid");
        for (const wf_json *g = grid ? grid->child : NULL; g; g = g->next) {
            double rate = wf_json_double(g, "lr", NAN);
            int at = 0;
            while (at < n && rates[at] < rate)
                at++;
            if (isnan(rate) || n == MOST_RATES || (at < n && rates[at] == rate))
                continue;
            memmove(&rates[at + 1], &rates[at], (size_t)(n - at) * sizeof *rates);
            rates[at] = rate;
            n++;
        }
    }
    return n;
}

static double grid_loss(const wf_json *model, double rate) {
    const wf_json *grid = wf_json_get(model, "lr_grid");
    for (const wf_json *g = grid ? grid->child : NULL; g; g = g->next)
        if (wf_json_double(g, "lr", NAN) == rate)
            return wf_json_double(g, "bits_per_byte", NAN);
    return NAN;
}

static void put_grid_row(wf_report *r, int model, const double *rates, int n) {
    const wf_model_summary *m = &r->run.models[model];
    char text[24];
    wf_str_puts(r->out, "<tr><td>");
    wf_put_name(r, model);
    wf_str_puts(r->out, "</td>");
    for (int i = 0; i < n; i++) {
        double loss = grid_loss(m->json, rates[i]);
        wf_str_puts(r->out, rates[i] == m->lr ? "<td class=\"best\"><span>" : "<td><span>");
        if (isnan(loss))
            wf_str_puts(r->out, "–");
        else
            wf_str_printf(r->out, "%.3f", loss);
        wf_str_puts(r->out, "</span></td>");
    }
    wf_text_count(wf_json_double(m->json, "lr_grid_tokens", NAN), text);
    wf_put_escaped(r, "<td>", text, "</td></tr>\n");
}

void wf_report_grid(wf_report *r) {
    double rates[MOST_RATES];
    int n = collect_rates(r, rates);
    if (n == 0)
        return;
    wf_str_puts(
        r->out,
        "<section><h2>The learning-rate grid</h2><p class=\"intro\">Bits per byte after a short run at each peak rate; the "
        "marked one was chosen. These tokens come on top of the training above.</p><div "
        "class=\"scroll\"><table><thead><tr><th>Model</th>");
    for (int i = 0; i < n; i++)
        wf_str_printf(r->out, "<th>%.3g</th>", rates[i]);
    wf_str_puts(r->out, "<th>Tokens used</th></tr></thead><tbody>\n");
    for (int i = 0; i < r->run.count; i++)
        put_grid_row(r, r->order[i], rates, n);
    wf_str_puts(r->out, "</tbody></table></div></section>\n");
}

/* ---- facts ---- */
static bool ends_with(const char *text, size_t n, const char *end) {
    size_t m = strlen(end);
    return n >= m && memcmp(text + n - m, end, m) == 0;
}

/* "peak_memory_bytes" -> "peak memory", its number in a unit. */
static void put_fact(wf_report *r, const wf_json *fact) {
    size_t length = strlen(fact->key);
    bool bytes = fact->kind == WF_JSON_NUMBER && ends_with(fact->key, length, "bytes");
    bool seconds = fact->kind == WF_JSON_NUMBER && ends_with(fact->key, length, "_seconds");
    char *name = wf_report_keep(r, wf_arena_strdup(&r->arena, fact->key)), text[24];
    if (!name || fact->kind == WF_JSON_NULL)
        return;
    if (ends_with(name, length, "_bytes"))
        name[length - 6] = 0;
    if (seconds)
        name[length - 8] = 0;
    for (char *c = name; *c; c++)
        *c = *c == '_' ? ' ' : *c;
    wf_put_escaped(r, "<dt>", name, "</dt><dd>");
    if (bytes) {
        wf_text_bytes(fact->number, text);
        wf_str_puts(r->out, text);
    } else if (fact->kind == WF_JSON_STRING) {
        wf_html_escape(r->out, fact->string);
    } else if (fact->kind == WF_JSON_TRUE || fact->kind == WF_JSON_FALSE) {
        wf_str_puts(r->out, fact->kind == WF_JSON_TRUE ? "yes" : "no");
    } else {
        wf_str value = wf_str_new(r->mem);
        wf_json_print(&value, fact, 0);
        wf_put_escaped(r, "", wf_str_text(&value), seconds ? " s" : "");
        r->failed = r->failed || value.failed;
        wf_str_free(&value);
    }
    wf_str_puts(r->out, "</dd>");
}

static void put_facts(wf_report *r, const char *heading, const char *key) {
    const wf_json *facts = wf_json_get(r->run.json, key);
    if (!facts || facts->kind != WF_JSON_OBJECT || !facts->child)
        return;
    wf_str_printf(r->out, "<div><h3>%s</h3><dl>", heading);
    for (const wf_json *fact = facts->child; fact; fact = fact->next)
        put_fact(r, fact);
    wf_str_puts(r->out, "</dl></div>\n");
}

void wf_report_details(wf_report *r) {
    const char *command = wf_json_text(r->run.json, "command", NULL);
    wf_str_puts(r->out, "<section><h2>How it was run</h2><p class=\"intro\">Everything needed to run it again.</p>\n");
    if (command)
        wf_put_escaped(r, "<pre class=\"command\">", command, "</pre>\n");
    wf_str_puts(r->out, "<div class=\"facts\">\n");
    put_facts(r, "Text", "text");
    put_facts(r, "Settings", "settings");
    put_facts(r, "Machine", "machine");
    put_facts(r, "Versions", "versions");
    wf_str_puts(r->out, "</div></section>\n");
}
