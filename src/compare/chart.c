/* chart.c - a laid-out chart as SVG. */
#include "compare/chart.h"
#include <math.h>
#include <string.h>
#include "compare/chart_layout.h"

enum { COLOURS = 8, MARKS_EVERY = 14, MARKS_FEW = 6 };

/* Marker outlines around 0,0 in the order of the colours: circle, square, triangle, diamond, triangle down, plus, cross, bar.
 */
static const char *const markers[COLOURS] = {
    "m-3.6 0a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0-7.2 0z",
    "m-3.3-3.3h6.6v6.6h-6.6z",
    "m0-4.4l4.2 7.4h-8.4z",
    "m0-4.8l4.2 4.8l-4.2 4.8l-4.2-4.8z",
    "m0 4.4l4.2-7.4h-8.4z",
    "m-1.3-4.2h2.6v2.9h2.9v2.6h-2.9v2.9h-2.6v-2.9h-2.9v-2.6h2.9z",
    "m-2.2-4.4l2.2 2.2l2.2-2.2l2.2 2.2l-2.2 2.2l2.2 2.2l-2.2 2.2l-2.2-2.2l-2.2 2.2l-2.2-2.2l2.2-2.2l-2.2-2.2z",
    "m-4.4-2h8.8v4h-8.8z"};

/* Colours repeat after eight series; dashes tell the rounds apart. */
static const char *dash_of(int style) {
    static const char *const dashes[] = {"", " stroke-dasharray=\"7 3\"", " stroke-dasharray=\"2 3\"",
                                         " stroke-dasharray=\"9 3 2 3\""};
    return dashes[(style / COLOURS) % 4];
}

static void put_marker(wf_str *out, int style, double x, double y) {
    wf_str_printf(out, "<path class=\"m\" d=\"M%.1f %.1f%s\"/>", x, y, markers[style % COLOURS]);
}

void wf_chart_swatch(wf_str *out, int style) {
    wf_str_printf(out,
                  "<svg class=\"swatch wf-s%d\" width=\"22\" height=\"12\" viewBox=\"0 0 22 12\" aria-hidden=\"true\"><path "
                  "class=\"c\"%s d=\"M1 6H21\"/>",
                  style % COLOURS, dash_of(style));
    put_marker(out, style, 11, 6);
    wf_str_puts(out, "</svg>");
}

/* ---- frame ---- */
static void put_text(wf_str *out, const char *kind, double x, double y, const char *anchor, const char *text) {
    wf_str_printf(out, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\"%s>", kind, x, y, anchor);
    wf_html_escape(out, text);
    wf_str_puts(out, "</text>");
}

static const char *const middle = " text-anchor=\"middle\"", *const at_end = " text-anchor=\"end\"", *const at_start = "";

static void draw_axes(const wf_chart_layout *l, wf_str *out) {
    wf_str_puts(out, "<path class=\"g\" d=\"");
    for (int i = 0; i < l->y_count; i++)
        wf_str_printf(out, "M%.1f %.1fH%.1f", l->left, wf_chart_y(l, l->y_ticks[i].value), l->right);
    wf_str_printf(out, "\"/><path class=\"x\" d=\"M%.1f %.1fH%.1f", l->left, l->bottom, l->right);
    for (int i = 0; i < l->x_count; i++)
        wf_str_printf(out, "M%.1f %.1fv5", wf_chart_x(l, l->x_ticks[i].value), l->bottom);
    wf_str_puts(out, "\"/>");
    for (int i = 0; i < l->y_count; i++)
        put_text(out, "t", l->left - 8, wf_chart_y(l, l->y_ticks[i].value) + 4, at_end, l->y_ticks[i].label);
    for (int i = 0; i < l->x_count; i++)
        put_text(out, "t", l->x_label[i], l->bottom + 18, middle, l->x_ticks[i].label);
    put_text(out, "a", 0, 13, at_start, l->chart->y.title);
    put_text(out, "a", l->right, l->bottom + 37, at_end, l->chart->x.title);
}

static void draw_mark(const wf_chart_layout *l, wf_str *out) {
    const wf_chart *c = l->chart;
    if (!c->mark_label || !(c->mark >= l->x_low && c->mark <= l->x_high))
        return;
    double x = wf_chart_x(l, c->mark), half = wf_text_width(c->mark_label, 12) / 2;
    double centre = x + half > l->width - 1 ? l->width - 1 - half : x - half < 1 ? half + 1 : x;
    wf_str_printf(out, "<path class=\"k\" d=\"M%.1f %.1fV%.1f\"/>", x, l->top - 6, l->bottom);
    put_text(out, "t", centre, l->top - 11, middle, c->mark_label);
}

/* ---- series ---- */
static void draw_curve(const wf_chart_line *line, wf_str *out) {
    bool pen_down = false;
    wf_str_printf(out, "<path class=\"c\"%s d=\"", dash_of(line->series->style));
    for (size_t i = 0; i < line->count; i++) {
        if (!isnan(line->y[i]))
            wf_str_printf(out, "%s%.1f %.1f", pen_down ? "L" : "M", line->x[i], line->y[i]);
        pen_down = !isnan(line->y[i]);
    }
    wf_str_puts(out, "\"/>");
}

static void draw_marker(const wf_chart_layout *l, const wf_chart_line *line, size_t i, wf_str *out) {
    char x[24], y[24];
    if (line->y[i] < l->top - 1 || line->y[i] > l->bottom + 1)
        return;
    wf_axis_text(&l->chart->x, line->at[i], x);
    wf_axis_text(&l->chart->y, line->value[i], y);
    wf_str_puts(out, "<g><title>");
    wf_html_escape(out, line->series->name);
    wf_str_printf(out, ": %s at %s</title>", y, x);
    put_marker(out, line->series->style, line->x[i], line->y[i]);
    wf_str_puts(out, "</g>");
}

/* Markers on every point of a short series; on a long one at even distances, shifted from series to series so that they do not
 * hide each other; always at the end. */
static void draw_markers(const wf_chart_layout *l, const wf_chart_line *line, wf_str *out) {
    double step = (l->right - l->left) / MARKS_FEW,
           next = l->left + step * (0.3 + 0.7 * (line->series->style % COLOURS) / COLOURS);
    bool every = line->count <= MARKS_EVERY;
    for (size_t i = 0; i < line->count; i++) {
        if (isnan(line->y[i]))
            continue;
        bool last = line->x[i] == line->end_x;
        if (!every && !last && (line->x[i] < next || line->end_x - line->x[i] < step / 3))
            continue;
        draw_marker(l, line, i, out);
        while (next <= line->x[i])
            next += step;
    }
}

static void draw_series(const wf_chart_layout *l, const wf_chart_line *line, wf_str *out) {
    if (isnan(line->end_y))
        return;
    wf_str_printf(out, "<g class=\"wf-s%d\"><title>", line->series->style % COLOURS);
    wf_html_escape(out, line->series->name);
    wf_str_puts(out, "</title>");
    draw_curve(line, out);
    draw_markers(l, line, out);
    wf_str_puts(out, "</g>");
}

/* ---- names ---- */
static void draw_name(const wf_chart_line *line, wf_str *out) {
    wf_str_printf(out, "<text class=\"l\" x=\"%.1f\" y=\"%.1f\">", line->label_x, line->label_y + 4.5);
    wf_html_escape(out, line->series->name);
    if (line->series->note) {
        wf_str_puts(out, "<tspan class=\"n\"> ");
        wf_html_escape(out, line->series->note);
        wf_str_puts(out, "</tspan>");
    }
    wf_str_puts(out, "</text>");
}

static void draw_entry(const wf_chart_layout *l, const wf_chart_line *line, wf_str *out) {
    if (isnan(line->end_y))
        return;
    wf_str_printf(out, "<g class=\"wf-s%d\">", line->series->style % COLOURS);
    if (l->legend_below) {
        wf_str_printf(out, "<path class=\"c\"%s d=\"M%.1f %.1fh20\"/>", dash_of(line->series->style), line->label_x - 26,
                      line->label_y);
        put_marker(out, line->series->style, line->label_x - 16, line->label_y);
    } else {
        double end = line->end_y < l->top ? l->top : line->end_y > l->bottom ? l->bottom : line->end_y;
        wf_str_printf(out, "<path class=\"d\" d=\"M%.1f %.1fH%.1fL%.1f %.1f\"/>", line->end_x, end,
                      l->right > line->end_x ? l->right : line->end_x, line->label_x - 12, line->label_y);
        put_marker(out, line->series->style, line->label_x - 7, line->label_y);
    }
    draw_name(line, out);
    wf_str_puts(out, "</g>");
}

static void draw(const wf_chart_layout *l, wf_str *out) {
    const wf_chart *c = l->chart;
    wf_str_printf(
        out,
        "<svg class=\"chart\" id=\"%s\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"",
        c->id, l->width, l->height, l->width, l->height);
    wf_html_escape(out, c->label ? c->label : c->id);
    wf_str_printf(out, "\"><clipPath id=\"%s-clip\"><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/></clipPath>",
                  c->id, l->left - 5, l->top - 5, l->right - l->left + 10, l->bottom - l->top + 10);
    draw_axes(l, out);
    draw_mark(l, out);
    for (size_t i = 0; !l->legend_below && i < l->count; i++)
        draw_entry(l, &l->lines[i], out);
    wf_str_printf(out, "<g clip-path=\"url(#%s-clip)\">", c->id);
    for (size_t i = 0; i < l->count; i++)
        draw_series(l, &l->lines[i], out);
    wf_str_puts(out, "</g>");
    for (size_t i = 0; l->legend_below && i < l->count; i++)
        draw_entry(l, &l->lines[i], out);
    wf_str_puts(out, "</svg>");
}

weft_status wf_chart_svg(const wf_chart *chart, const wf_mem *mem, wf_str *out, weft_error *err) {
    wf_arena arena;
    wf_chart_layout layout;
    wf_arena_init(&arena, mem, 0);
    weft_status status = wf_chart_lay_out(chart, &arena, &layout, err);
    if (status == WEFT_OK)
        draw(&layout, out);
    wf_arena_free(&arena);
    if (status == WEFT_OK && out->failed)
        return wf_fail_memory(err);
    return status;
}
