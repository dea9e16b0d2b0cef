#include "compare/cost_report.h"
#include <math.h>
#include <stdio.h>
#include "compare/report_parts.h"

enum { WIDTH = 544, HEIGHT = 320, MOST_LENGTHS = 64 };

typedef struct page {
    const wf_mem *mem;
    const wf_json *list, *base; /* base: full attention */
    wf_str *out;
    weft_status status;
} page;

/* ---- numbers ---- */
static size_t numbers(const wf_json *mixer, const char *key, double out[MOST_LENGTHS]) {
    const wf_json *list = wf_json_get(mixer, key);
    size_t n = 0;
    for (const wf_json *j = list ? list->child : NULL; j && n < MOST_LENGTHS; j = j->next)
        out[n++] = j->kind == WF_JSON_NUMBER ? j->number : NAN;
    return n;
}

static double last(const wf_json *mixer, const char *key) {
    double list[MOST_LENGTHS];
    size_t n = numbers(mixer, key, list);
    return n ? list[n - 1] : NAN;
}

static void put_cell(page *p, int digits, double value) {
    wf_str_puts(p->out, "<td>");
    if (isfinite(value))
        wf_str_printf(p->out, "%.*f", digits, value);
    wf_str_puts(p->out, "</td>");
}

static void put_axis_cell(page *p, wf_unit unit, double value) {
    char text[24] = "";
    if (isfinite(value))
        wf_axis_text(&(wf_axis){.unit = unit}, value, text);
    wf_str_printf(p->out, "<td>%s</td>", text);
}

/* ---- the table ---- */
static void put_row(page *p, const wf_json *m) {
    wf_str_puts(p->out, "<tr><td>");
    wf_html_escape(p->out, wf_json_text(m, "name", ""));
    wf_str_puts(p->out, "</td>");
    put_axis_cell(p, WF_BINARY, last(m, "lengths"));
    put_cell(p, 2, 1e3 * last(m, "train_seconds"));
    put_cell(p, 2, wf_json_double(m, "time_exponent", NAN));
    put_cell(p, 2, wf_json_double(m, "law_exponent", NAN));
    put_cell(p, 1, 1e6 * last(m, "decode_seconds"));
    put_axis_cell(p, WF_BYTES, last(m, "activation_bytes"));
    put_axis_cell(p, WF_BYTES, last(m, "state_bytes"));
    put_cell(p, 0, wf_json_double(m, "crossover", NAN));
    wf_str_puts(p->out, "</tr>\n");
}

static void put_table(page *p) {
    wf_str_puts(
        p->out,
        "<section><h2>All of them</h2><p class=\"intro\">At the longest length that was measured. The exponent is that of T "
        "in the time of forward and backward; beside it what the law of the row says, projections included. "
        "Crossover: tokens from which the mixer is faster than full attention.</p><div class=\"scroll\"><table><thead><tr>"
        "<th>mixer</th><th>tokens</th><th>forward and backward, ms</th><th>exponent</th><th>by its law</th>"
        "<th>decoding a token, µs</th><th>kept for the backward</th><th>state</th><th>crossover</th></tr></thead>"
        "<tbody>\n");
    for (const wf_json *m = p->list->child; m; m = m->next)
        put_row(p, m);
    wf_str_puts(p->out, "</tbody></table></div></section>\n");
}

/* ---- the charts ---- */
static void put_chart(page *p, const wf_json *m, int index) {
    double x[2][MOST_LENGTHS], y[2][MOST_LENGTHS], cross = wf_json_double(m, "crossover", NAN);
    char id[32], mark[48];
    const wf_json *both[2] = {m, p->base};
    wf_series series[2];
    int n = m == p->base ? 1 : 2;
    for (int i = 0; i < n; i++)
        series[i] = (wf_series){.name = wf_json_text(both[i], "name", ""),
                                .style = i,
                                .x = x[i],
                                .y = y[i],
                                .count = numbers(both[i], "lengths", x[i])};
    for (int i = 0; i < n; i++)
        for (size_t k = 0, count = numbers(both[i], "train_seconds", y[i]); k < count; k++)
            y[i][k] *= 1e3;
    snprintf(id, sizeof id, "mixer-%d", index);
    snprintf(mark, sizeof mark, "%.0f tokens", cross);
    wf_chart chart = {.id = id,
                      .label = series[0].name,
                      .x = {.title = "tokens", .scale = WF_LOG2, .unit = WF_BINARY},
                      .y = {.title = "forward and backward, ms", .scale = WF_LOG10},
                      .series = series,
                      .count = (size_t)n,
                      .mark = cross,
                      .mark_label = isfinite(cross) ? mark : NULL,
                      .width = WIDTH,
                      .height = HEIGHT};
    wf_str_puts(p->out, "<figure><figcaption><b>");
    wf_html_escape(p->out, series[0].name);
    wf_str_puts(p->out, "</b></figcaption>");
    weft_status status = wf_chart_svg(&chart, p->mem, p->out, NULL);
    p->status = status == WEFT_NO_MEMORY ? status : p->status; /* nothing to draw is no failure */
    wf_str_puts(p->out, "</figure>\n");
}

static void put_charts(page *p) {
    int index = 0;
    wf_str_puts(p->out, "<section><h2>One by one</h2><p class=\"intro\">Time of forward and backward of one layer as the "
                        "sequence grows, beside "
                        "full attention.</p><div class=\"figures\">\n");
    for (const wf_json *m = p->list->child; m; m = m->next)
        put_chart(p, m, index++);
    wf_str_puts(p->out, "</div></section>\n");
}

weft_status wf_cost_report_html(const wf_mem *mem, const wf_json *costs, wf_str *out, weft_error *err) {
    page p = {.mem = mem, .list = wf_json_get(costs, "mixers"), .out = out};
    WF_CHECK(p.list && p.list->child, err, WEFT_USAGE, "no costs to show");
    p.base = p.list->child;
    wf_str_puts(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
                     "content=\"width=device-width,initial-scale=1\"><title>weft bench mixers</title><style>");
    wf_str_printf(out, "%s</style></head>\n<body><main>\n<header><p class=\"brand\"><b>weft</b> bench mixers</p>",
                  wf_report_style);
    wf_str_printf(out,
                  "<h1>What mixers cost as sequences grow</h1>\n<p class=\"meta\">One layer of width %.0f, one sequence, "
                  "fp32.</p></header>\n",
                  wf_json_double(costs, "dim", NAN));
    put_table(&p);
    put_charts(&p);
    wf_str_puts(out, "</main></body></html>\n");
    return p.status != WEFT_OK || out->failed ? wf_fail_memory(err) : WEFT_OK;
}
