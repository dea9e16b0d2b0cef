/* chart_layout.h - where everything of a chart stands: computed before a line is drawn. Private to the chart files. */
#ifndef WF_COMPARE_CHART_LAYOUT_H
#define WF_COMPARE_CHART_LAYOUT_H
#include "compare/chart.h"

enum { WF_CHART_POINTS = 300 };

typedef struct wf_chart_line { /* one series in pixels, thinned to WF_CHART_POINTS */
    const wf_series *series;
    double *x, *y;      /* pixels; y NaN: a gap */
    double *at, *value; /* the data there */
    size_t count;
    double end_x, end_y;     /* last drawn point */
    double label_x, label_y; /* of its name: start and middle of the text */
} wf_chart_line;

typedef struct wf_chart_layout {
    const wf_chart *chart;
    double left, top, right, bottom; /* the plot */
    double width, height;            /* of the whole picture */
    double x_low, x_high, y_low, y_high;
    wf_tick x_ticks[WF_MAX_TICKS], y_ticks[WF_MAX_TICKS];
    double x_label[WF_MAX_TICKS]; /* centre of a tick's text: moved where it would leave the picture */
    int x_count, y_count;
    wf_chart_line *lines;
    size_t count;
    bool legend_below;
    double font, line_height;
} wf_chart_layout;

weft_status wf_chart_lay_out(const wf_chart *chart, wf_arena *arena, wf_chart_layout *out, weft_error *err);
double wf_chart_x(const wf_chart_layout *l, double value);
double wf_chart_y(const wf_chart_layout *l, double value);
#endif
