/* chart.h - line charts as SVG text: linear and logarithmic axes with nice ticks, series told apart by colour, marker and dash,
 * and legends laid out with the real widths of their words, so that nothing overlaps. No script: tooltips are <title> elements.
 *
 *     wf_chart c = {.id = "decode", .x = {.scale = WF_LOG2, .title = "context"}, .y = {.title = "tokens/s", .from_zero = true},
 *                   .series = series, .count = n, .width = 548, .height = 340};
 *     WF_TRY(wf_chart_svg(&c, mem, out, err));
 *
 * Colours and fonts come from the page's style sheet: classes wf-s0.. (stroke and fill of a series), see report_style.c.
 * Coordinates are CSS pixels of the given width; a chart is made for a width, not scaled to it, so its text keeps its size. */
#ifndef WF_COMPARE_CHART_H
#define WF_COMPARE_CHART_H
#include <stdbool.h>
#include "base/str.h"

typedef enum wf_scale { WF_LINEAR, WF_LOG2, WF_LOG10 } wf_scale;
/* How numbers are written: plain digits; with k, M, G, T; powers of two with binary k; bytes; durations. */
typedef enum wf_unit { WF_PLAIN, WF_COUNT, WF_BINARY, WF_BYTES, WF_SECONDS } wf_unit;

typedef struct wf_axis {
    const char *title; /* with the unit, e.g. "bits per byte" */
    wf_scale scale;
    wf_unit unit;
    bool from_zero;   /* linear axes start at 0 */
    double low, high; /* both 0: from the data. Data outside is clipped */
} wf_axis;

enum { WF_MAX_TICKS = 24 };
typedef struct wf_tick {
    double value;
    char label[24];
} wf_tick;

typedef struct wf_series {
    const char *name;
    const char *note;    /* after the name in the legend, quieter; NULL: none */
    int style;           /* 0, 1, ...: colour, marker and dash; the same in every chart of a page */
    const double *x, *y; /* NaN leaves a gap */
    size_t count;
} wf_series;

typedef struct wf_chart {
    const char *id;    /* unique in the page */
    const char *label; /* for screen readers */
    wf_axis x, y;
    const wf_series *series;
    size_t count;
    size_t most_points; /* longer series are averaged over stretches to this many points; 0: 300 */
    double mark;        /* a vertical line here when mark_label is set */
    const char *mark_label;
    double width, height; /* of the plot and its axes; a legend below adds to the height */
    bool legend_below;    /* else names stand at the ends of the lines */
} wf_chart;

/* Writes one <svg>. WEFT_USAGE when there is nothing to draw: no series with a finite point. */
weft_status wf_chart_svg(const wf_chart *chart, const wf_mem *mem, wf_str *out, weft_error *err);

/* ---- the parts, for tests and for the page ---- */
/* Ticks inside low..high, about `target` of them (never more than WF_MAX_TICKS); returns their number. */
int wf_ticks(const wf_axis *axis, double low, double high, int target, wf_tick out[WF_MAX_TICKS]);
void wf_axis_text(const wf_axis *axis, double value, char out[24]); /* one value, for tooltips */
/* Estimated width in pixels of UTF-8 text in a sans-serif face, on the safe side of the common ones. */
double wf_text_width(const char *text, double size);
/* Appends `text` with & < > " ' escaped; invalid UTF-8 and control characters become U+FFFD. Fit for text and attributes. */
void wf_html_escape(wf_str *out, const char *text);
/* A small picture of a series' line and marker, for tables: an <svg>. */
void wf_chart_swatch(wf_str *out, int style);
#endif
