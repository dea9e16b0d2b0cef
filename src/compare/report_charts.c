/* report_charts.c - the figures of the page as a table: where their numbers are in the run document, and their axes. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "compare/report_parts.h"

typedef struct figure {
    const char *id, *section, *title, *caption;
    const char *x, *y; /* dotted paths of columns in a model */
    wf_axis x_axis, y_axis;
    size_t most_points; /* of a noisy series */
    bool hero;          /* the whole width of the page */
    bool falling;       /* a learning curve: its first steep part may be cut off */
    bool positions;     /* marks the trained length, says where positions end */
    bool longest;       /* marks the trained length only */
} figure;

#define LOSS_AXIS                                                                                                              \
    { .title = "bits per byte" }
#define CONTEXT_AXIS                                                                                                           \
    { .title = "tokens in context", .scale = WF_LOG2, .unit = WF_BINARY }

static const figure figures[] = {
    {.id = "accuracy-time",
     .section = "task",
     .title = "Accuracy against training time",
     .x = "exams.seconds",
     .y = "exams.accuracy",
     .caption = "Share of right answers in exams while training; higher is better.",
     .x_axis = {.title = "training time", .unit = WF_SECONDS, .from_zero = true},
     .y_axis = {.title = "right answers", .from_zero = true},
     .hero = true},
    {.id = "accuracy-steps",
     .section = "task",
     .title = "Accuracy against steps",
     .x = "exams.step",
     .y = "exams.accuracy",
     .caption = "The same samples in the same order for every model.",
     .x_axis = {.title = "steps", .unit = WF_COUNT, .from_zero = true},
     .y_axis = {.title = "right answers", .from_zero = true}},
    {.id = "accuracy-length",
     .section = "task",
     .title = "Accuracy by length",
     .x = "lengths.length",
     .y = "lengths.accuracy",
     .caption = "Exams with shorter and longer samples than those trained on; a line ends where a model's positions do.",
     .x_axis = {.title = "tokens of a sample", .scale = WF_LOG2, .unit = WF_BINARY},
     .y_axis = {.title = "right answers", .from_zero = true},
     .longest = true},
    {.id = "loss-time",
     .section = "learning",
     .title = "Loss against training time",
     .x = "curve.seconds",
     .y = "curve.bits_per_byte",
     .caption = "Validation loss while training; lower is better.",
     .x_axis = {.title = "training time", .unit = WF_SECONDS, .from_zero = true},
     .y_axis = LOSS_AXIS,
     .hero = true,
     .falling = true},
    {.id = "loss-steps",
     .section = "learning",
     .title = "Loss against steps",
     .x = "curve.step",
     .y = "curve.bits_per_byte",
     .caption = "The same batches in the same order for every model.",
     .x_axis = {.title = "steps", .unit = WF_COUNT, .from_zero = true},
     .y_axis = LOSS_AXIS,
     .falling = true},
    {.id = "loss-flops",
     .section = "learning",
     .title = "Loss against computation",
     .x = "curve.flops",
     .y = "curve.bits_per_byte",
     .caption = "Floating-point operations of the model, forward and backward.",
     .x_axis = {.title = "training FLOPs", .unit = WF_COUNT, .from_zero = true},
     .y_axis = LOSS_AXIS,
     .falling = true},
    {.id = "gradient-norm",
     .section = "learning",
     .title = "Gradient norm",
     .x = "gradient_norm.step",
     .y = "gradient_norm.norm",
     .caption = "Before clipping, averaged over stretches of steps.",
     .most_points = 32,
     .x_axis = {.title = "steps", .unit = WF_COUNT, .from_zero = true},
     .y_axis = {.title = "norm of all gradients", .scale = WF_LOG10}},
    {.id = "loss-position",
     .section = "learning",
     .title = "Loss by position",
     .x = "positions.position",
     .y = "positions.bits_per_byte",
     .caption = "What a longer context is worth, and what happens beyond the trained length.",
     .x_axis = {.title = "position in the text window", .scale = WF_LOG2, .unit = WF_BINARY},
     .y_axis = LOSS_AXIS,
     .positions = true},
    {.id = "decode-speed",
     .section = "decoding",
     .title = "Decoding speed",
     .x = "decode.context",
     .y = "decode.tokens_per_second",
     .caption = "Tokens per second for one sequence, as its context grows; higher is better.",
     .x_axis = CONTEXT_AXIS,
     .y_axis = {.title = "tokens per second", .unit = WF_COUNT, .from_zero = true},
     .longest = true},
    {.id = "state-size",
     .section = "decoding",
     .title = "Memory of a sequence",
     .x = "decode.context",
     .y = "decode.state_bytes",
     .caption = "Bytes of state kept between tokens; lower is better.",
     .x_axis = CONTEXT_AXIS,
     .y_axis = {.title = "state", .scale = WF_LOG10, .unit = WF_BYTES},
     .longest = true},
};

enum { HERO_WIDTH = 1120, HERO_HEIGHT = 460, HALF_WIDTH = 544, HALF_HEIGHT = 360, PHONE_WIDTH = 358, PHONE_HEIGHT = 300 };

/* ---- series ---- */
static double *column(wf_report *r, const wf_json *model, const char *path, size_t *count) {
    const wf_json *list = wf_json_path(model, path);
    *count = list && list->kind == WF_JSON_ARRAY ? list->count : 0;
    double *values = wf_report_keep(r, wf_arena_alloc(&r->arena, (*count + 1) * sizeof *values));
    size_t i = 0;
    for (const wf_json *v = values && *count ? list->child : NULL; v; v = v->next)
        values[i++] = v->kind == WF_JSON_NUMBER ? v->number : NAN;
    return values;
}

static const char *position_note(wf_report *r, const wf_json *model) {
    double limit = wf_json_double(wf_json_get(model, "positions"), "limit", NAN);
    return isnan(limit) ? NULL : wf_report_keep(r, wf_arena_printf(&r->arena, "ends at %.0f", limit));
}

static bool make_series(wf_report *r, const figure *f, wf_series *series) {
    bool any = false;
    for (int i = 0; i < r->run.count; i++) {
        const wf_model_summary *m = &r->run.models[i];
        size_t nx, ny;
        double *x = column(r, m->json, f->x, &nx), *y = column(r, m->json, f->y, &ny);
        if (!x || !y)
            return false;
        series[i] = (wf_series){.name = m->name,
                                .style = i,
                                .x = x,
                                .y = y,
                                .count = nx < ny ? nx : ny,
                                .note = f->positions ? position_note(r, m->json) : NULL};
        for (size_t k = 0; k < series[i].count; k++)
            any = any || (isfinite(x[k]) && isfinite(y[k]));
    }
    return any;
}

/* ---- axes of learning curves ---- */
/* The value a curve has after the first fifth of its way. */
static double after_start(const wf_series *s) {
    for (size_t k = 0; k < s->count; k++)
        if (s->x[k] >= s->x[0] + 0.2 * (s->x[s->count - 1] - s->x[0]) && isfinite(s->y[k]))
            return s->y[k];
    return NAN;
}

/* Curves fall from the loss of a uniform guess within a few steps; a frame that shows it hides what follows. Returns whether
 * something is cut off. */
static bool cut_start(const wf_series *series, int n, wf_axis *axis) {
    double low = INFINITY, high = -INFINITY, most = -INFINITY;
    for (int i = 0; i < n; i++) {
        double start = after_start(&series[i]);
        high = start > high ? start : high;
        for (size_t k = 0; k < series[i].count; k++) {
            low = series[i].y[k] < low ? series[i].y[k] : low;
            most = series[i].y[k] > most ? series[i].y[k] : most;
        }
    }
    if (!isfinite(high) || most - low < 1.25 * (high - low))
        return false;
    axis->low = low - 0.05 * (high - low);
    axis->high = high + 0.05 * (high - low);
    return true;
}

/* ---- figures ---- */
static void put_chart(wf_report *r, wf_chart chart, const char *id, const char *size, double width, double height) {
    chart.id = wf_report_keep(r, wf_arena_printf(&r->arena, "%s-%s", id, size));
    if (!chart.id)
        return;
    chart.width = width;
    chart.height = height;
    chart.legend_below = width < HALF_WIDTH;
    size_t before = r->out->length;
    wf_str_printf(r->out, "<div class=\"%s\">", size);
    weft_status status = wf_chart_svg(&chart, r->mem, r->out, NULL);
    wf_str_puts(r->out, "</div>");
    r->failed = r->failed || status == WEFT_NO_MEMORY;
    if (status == WEFT_USAGE && !r->out->failed) { /* nothing to draw */
        r->out->length = before;
        r->out->data[before] = 0;
    }
}

static const char *mark_label(wf_report *r, double length) {
    char text[24];
    wf_axis axis = {.unit = WF_BINARY};
    wf_axis_text(&axis, length, text);
    return wf_report_keep(r, wf_arena_printf(&r->arena, "trained length %s", text));
}

/* Which models have no values beyond a length, as a sentence. */
static void put_undefined(wf_report *r) {
    const char *between = " Not defined where positions end: ";
    for (int i = 0; i < r->run.count; i++) {
        double limit = wf_json_double(wf_json_get(r->run.models[i].json, "positions"), "limit", NAN);
        if (isnan(limit))
            continue;
        wf_put_escaped(r, between, r->run.models[i].name, "");
        wf_str_printf(r->out, " (%.0f)", limit);
        between = ", ";
    }
    wf_str_puts(r->out, between[0] == ',' ? "." : "");
}

static void put_figure(wf_report *r, const figure *f, const wf_series *series) {
    double trained = wf_json_double(wf_json_get(r->run.json, "settings"), "context", NAN);
    wf_chart chart = {.label = f->title,
                      .x = f->x_axis,
                      .y = f->y_axis,
                      .series = series,
                      .count = (size_t)r->run.count,
                      .most_points = f->most_points};
    bool cut = f->falling && cut_start(series, r->run.count, &chart.y);
    if ((f->positions || f->longest) && !isnan(trained)) {
        chart.mark = trained;
        chart.mark_label = mark_label(r, trained);
    }
    wf_str_printf(r->out, "<figure%s id=\"%s\"><figcaption><b>%s</b> %s%s", f->hero ? " class=\"hero\"" : "", f->id, f->title,
                  f->caption, cut ? " The first steps lie above the frame." : "");
    if (f->positions)
        put_undefined(r);
    wf_str_puts(r->out, "</figcaption>");
    if (f->hero)
        put_chart(r, chart, f->id, "full", HERO_WIDTH, HERO_HEIGHT);
    put_chart(r, chart, f->id, "half", HALF_WIDTH, HALF_HEIGHT);
    put_chart(r, chart, f->id, "phone", PHONE_WIDTH, PHONE_HEIGHT);
    wf_str_puts(r->out, "</figure>\n");
}

void wf_report_charts(wf_report *r, const char *section, const char *heading, const char *intro) {
    wf_series *series = wf_report_keep(r, wf_arena_alloc(&r->arena, (size_t)(r->run.count + 1) * sizeof *series));
    bool open = false;
    for (size_t i = 0; series && i < sizeof figures / sizeof *figures; i++) {
        if (!wf_streq(figures[i].section, section) || !make_series(r, &figures[i], series))
            continue;
        if (!open)
            wf_str_printf(r->out, "<section><h2>%s</h2><p class=\"intro\">%s</p><div class=\"figures\">\n", heading, intro);
        open = true;
        put_figure(r, &figures[i], series);
    }
    if (open)
        wf_str_puts(r->out, "</div></section>\n");
}
