/* chart_layout.c - see chart_layout.h. */
#include "compare/chart_layout.h"
#include <math.h>
#include <string.h>

static const double tick_font = 12, label_gap = 30, swatch = 26, entry_gap = 18;

/* ---- scales ---- */
static double part(wf_scale scale, double value, double low, double high) {
    if (scale == WF_LINEAR)
        return (value - low) / (high - low);
    return log(value / low) / log(high / low);
}

double wf_chart_x(const wf_chart_layout *l, double value) {
    return l->left + (l->right - l->left) * part(l->chart->x.scale, value, l->x_low, l->x_high);
}

double wf_chart_y(const wf_chart_layout *l, double value) {
    return l->bottom - (l->bottom - l->top) * part(l->chart->y.scale, value, l->y_low, l->y_high);
}

static int y_tick_target(const wf_chart *c) { return (int)((c->height - 70) / 46); }

static bool drawable(const wf_chart *c, double x, double y) {
    return isfinite(x) && isfinite(y) && (c->x.scale == WF_LINEAR || x > 0) && (c->y.scale == WF_LINEAR || y > 0);
}

static void widen(double value, double *low, double *high) {
    *low = isnan(*low) || value < *low ? value : *low;
    *high = isnan(*high) || value > *high ? value : *high;
}

static void pad(const wf_axis *axis, double amount, double *low, double *high) {
    if (axis->scale != WF_LINEAR) {
        double factor = *high > *low ? pow(*high / *low, amount) : 2;
        *low /= factor;
        *high *= factor;
    } else if (axis->from_zero) {
        *low = *low < 0 ? *low : 0;
        *high = *high > *low ? *high + amount * (*high - *low) : *low + 1;
    } else {
        double extra = *high > *low ? amount * (*high - *low) : fabs(*high) * 0.1 + 1e-9;
        *low -= extra;
        *high += extra;
    }
}

/* The frame of an axis from zero ends on a tick. */
static void up_to_tick(wf_chart_layout *l) {
    wf_tick ticks[WF_MAX_TICKS];
    int n = wf_ticks(&l->chart->y, l->y_low, l->y_high, y_tick_target(l->chart), ticks);
    if (n < 2 || ticks[n - 1].value >= l->y_high)
        return;
    l->y_high = ticks[n - 1].value + (ticks[1].value - ticks[0].value);
}

static weft_status find_domain(wf_chart_layout *l, weft_error *err) {
    const wf_chart *c = l->chart;
    l->x_low = l->x_high = l->y_low = l->y_high = NAN;
    for (size_t i = 0; i < c->count; i++)
        for (size_t k = 0; k < c->series[i].count; k++) {
            double x = c->series[i].x[k], y = c->series[i].y[k];
            if (!drawable(c, x, y))
                continue;
            widen(x, &l->x_low, &l->x_high);
            widen(y, &l->y_low, &l->y_high);
        }
    WF_CHECK(!isnan(l->x_low), err, WEFT_USAGE, "chart %s: there is nothing to draw", c->id);
    if (c->mark_label && drawable(c, c->mark, l->y_low))
        widen(c->mark, &l->x_low, &l->x_high);
    pad(&c->y, 0.05, &l->y_low, &l->y_high);
    if (c->y.from_zero && c->y.scale == WF_LINEAR)
        up_to_tick(l);
    bool one = !(l->x_high > l->x_low);
    if (one || c->x.from_zero)
        pad(&c->x, 0, &l->x_low, &l->x_high);
    if (c->x.low != 0 || c->x.high != 0)
        l->x_low = c->x.low, l->x_high = c->x.high;
    if (c->y.low != 0 || c->y.high != 0)
        l->y_low = c->y.low, l->y_high = c->y.high;
    return WEFT_OK;
}

/* ---- margins and ticks ---- */
static double widest_tick(const wf_tick *ticks, int n) {
    double widest = 0;
    for (int i = 0; i < n; i++) {
        double w = wf_text_width(ticks[i].label, tick_font);
        widest = w > widest ? w : widest;
    }
    return widest;
}

static double entry_width(const wf_chart_layout *l, const wf_series *s) {
    double w = wf_text_width(s->name, l->font);
    return s->note ? w + wf_text_width(" ", l->font) + wf_text_width(s->note, l->font - 1) : w;
}

static double widest_entry(const wf_chart_layout *l) {
    double widest = 0;
    for (size_t i = 0; i < l->chart->count; i++) {
        double w = entry_width(l, &l->chart->series[i]);
        widest = w > widest ? w : widest;
    }
    return widest;
}

/* Whether the x labels stand apart; places them. */
static bool place_x_labels(wf_chart_layout *l) {
    double before = -1e9;
    for (int i = 0; i < l->x_count; i++) {
        double half = wf_text_width(l->x_ticks[i].label, tick_font) / 2, x = wf_chart_x(l, l->x_ticks[i].value);
        x = x + half > l->width - 1 ? l->width - 1 - half : x < half + 1 ? half + 1 : x;
        if (x - half < before + 10)
            return false;
        l->x_label[i] = x;
        before = x + half;
    }
    return true;
}

static void choose_x_ticks(wf_chart_layout *l) {
    double room = l->width < 400 ? 44 : 60; /* for one label */
    for (int target = (int)((l->right - l->left) / room); target >= 1; target--) {
        l->x_count = wf_ticks(&l->chart->x, l->x_low, l->x_high, target, l->x_ticks);
        if (place_x_labels(l))
            return;
    }
    l->x_count = 0;
}

static void place_plot(wf_chart_layout *l) {
    const wf_chart *c = l->chart;
    l->top = c->mark_label ? 44 : 26;
    l->bottom = c->height - 44;
    l->y_count = wf_ticks(&c->y, l->y_low, l->y_high, y_tick_target(c), l->y_ticks);
    l->left = widest_tick(l->y_ticks, l->y_count) + 10;
    l->legend_below = c->legend_below || (double)c->count * l->line_height > l->bottom - l->top + 34;
    l->right = c->width - (l->legend_below ? 12 : label_gap + widest_entry(l) + 2);
    l->height = c->height;
    choose_x_ticks(l);
}

/* ---- lines ---- */
/* Points of a bucket are averaged; a gap inside it is passed over, a bucket of gaps stays one. */
static void add_bucket(const wf_chart_layout *l, wf_chart_line *line, size_t from, size_t to) {
    const wf_series *s = line->series;
    double x = 0, y = 0;
    int n = 0;
    for (size_t k = from; k < to; k++) {
        if (!drawable(l->chart, s->x[k], s->y[k]))
            continue;
        x += s->x[k];
        y += s->y[k];
        n++;
    }
    size_t at = line->count++;
    line->at[at] = n ? x / n : NAN;
    line->value[at] = n ? y / n : NAN;
    line->x[at] = n ? wf_chart_x(l, line->at[at]) : NAN;
    line->y[at] = n ? wf_chart_y(l, line->value[at]) : NAN;
    if (n) {
        line->end_x = line->x[at];
        line->end_y = line->y[at];
    }
}

static weft_status make_line(const wf_chart_layout *l, const wf_series *s, wf_arena *arena, wf_chart_line *line,
                             weft_error *err) {
    size_t most = l->chart->most_points && l->chart->most_points < WF_CHART_POINTS ? l->chart->most_points : WF_CHART_POINTS;
    size_t buckets = s->count < most ? s->count : most;
    double *memory = wf_arena_alloc(arena, 4 * (buckets + 1) * sizeof *memory);
    if (!memory)
        return wf_fail_memory(err);
    *line = (wf_chart_line){.series = s,
                            .x = memory,
                            .y = memory + buckets,
                            .at = memory + 2 * buckets,
                            .value = memory + 3 * buckets,
                            .end_x = NAN,
                            .end_y = NAN};
    for (size_t i = 0; i < buckets; i++)
        add_bucket(l, line, s->count * i / buckets, s->count * (i + 1) / buckets);
    return WEFT_OK;
}

/* ---- legends ---- */
static void sort_by_end(wf_chart_line **order, size_t n) {
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0 && order[k]->label_y < order[k - 1]->label_y; k--) {
            wf_chart_line *swap = order[k];
            order[k] = order[k - 1];
            order[k - 1] = swap;
        }
}

/* Least-squares places a line apart, in order: where names would overlap they form a block around the mean of the places they
 * want (pool adjacent violators), and the whole stays between low and high. */
static void spread_labels(wf_chart_line **order, size_t n, double spacing, double low, double high, double *mean,
                          size_t *size) {
    size_t blocks = 0;
    for (size_t i = 0; i < n; i++) {
        mean[blocks] = order[i]->label_y - spacing * (double)i;
        size[blocks++] = 1;
        while (blocks > 1 && mean[blocks - 2] > mean[blocks - 1]) {
            size_t together = size[blocks - 2] + size[blocks - 1];
            mean[blocks - 2] =
                (mean[blocks - 2] * (double)size[blocks - 2] + mean[blocks - 1] * (double)size[blocks - 1]) / (double)together;
            size[--blocks - 1] = together;
        }
    }
    double most = high - spacing * (double)(n ? n - 1 : 0);
    for (size_t b = 0, i = 0; b < blocks; b++) {
        double at = mean[b] > most ? most : mean[b] < low ? low : mean[b];
        for (size_t k = 0; k < size[b]; k++, i++)
            order[i]->label_y = at + spacing * (double)i;
    }
}

/* Names at the right, in the order of the lines' ends. */
static weft_status label_ends(wf_chart_layout *l, wf_arena *arena, weft_error *err) {
    wf_chart_line **order = wf_arena_alloc(arena, (l->count + 1) * sizeof *order);
    double *mean = wf_arena_alloc(arena, (l->count + 1) * sizeof *mean);
    size_t *size = wf_arena_alloc(arena, (l->count + 1) * sizeof *size), n = 0;
    if (!order || !mean || !size)
        return wf_fail_memory(err);
    for (size_t i = 0; i < l->count; i++) {
        wf_chart_line *line = &l->lines[i];
        line->label_x = l->right + label_gap;
        line->label_y = line->end_y < l->top ? l->top : line->end_y > l->bottom ? l->bottom : line->end_y;
        if (!isnan(line->end_y))
            order[n++] = line;
    }
    sort_by_end(order, n);
    spread_labels(order, n, l->line_height, l->top - 4, l->bottom + 30, mean, size);
    return WEFT_OK;
}

static void label_below(wf_chart_layout *l) {
    double column = swatch + widest_entry(l) + entry_gap;
    size_t columns = (size_t)((l->width + entry_gap) / column), used = 0;
    columns = columns < 1 ? 1 : columns;
    for (size_t i = 0; i < l->count; i++) {
        if (isnan(l->lines[i].end_y))
            continue;
        l->lines[i].label_x = swatch + column * (double)(used % columns);
        l->lines[i].label_y = l->chart->height + 14 + (l->line_height + 4) * (double)(used / columns);
        used++;
    }
    l->height = l->chart->height + (used ? 22 + (l->line_height + 4) * (double)((used - 1) / columns) : 0);
}

weft_status wf_chart_lay_out(const wf_chart *chart, wf_arena *arena, wf_chart_layout *out, weft_error *err) {
    *out = (wf_chart_layout){.chart = chart, .width = chart->width, .font = 13, .line_height = 17};
    WF_TRY(find_domain(out, err));
    place_plot(out);
    out->lines = wf_arena_alloc(arena, (chart->count + 1) * sizeof *out->lines);
    if (!out->lines)
        return wf_fail_memory(err);
    for (; out->count < chart->count; out->count++)
        WF_TRY(make_line(out, &chart->series[out->count], arena, &out->lines[out->count], err));
    if (!out->legend_below)
        return label_ends(out, arena, err);
    label_below(out);
    return WEFT_OK;
}
