/* chart_axis.c - nice ticks and their texts. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "compare/chart.h"

/* ---- texts ---- */
static void prefixed(double value, const char *unit, char out[24]) {
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P", "E"};
    int i = 0;
    while (fabs(value) >= 999.9999 && i < 6) {
        value /= 1000;
        i++;
    }
    snprintf(out, 24, "%.4g%s%s%s", value, *unit ? " " : "", prefixes[i], unit);
}

static void duration(double seconds, char out[24]) {
    if (seconds == 0)
        snprintf(out, 24, "0");
    else if (seconds < 120)
        snprintf(out, 24, "%.4g s", seconds);
    else if (seconds < 7200)
        snprintf(out, 24, "%.4g min", seconds / 60);
    else
        snprintf(out, 24, "%.4g h", seconds / 3600);
}

static void binary(double value, char out[24]) {
    if (value >= 1048576 && fmod(value, 1048576) == 0)
        snprintf(out, 24, "%.6gM", value / 1048576);
    else if (value >= 1024 && fmod(value, 1024) == 0)
        snprintf(out, 24, "%.6gk", value / 1024);
    else
        snprintf(out, 24, "%.6g", value);
}

void wf_axis_text(const wf_axis *axis, double value, char out[24]) {
    switch (axis->unit) {
    case WF_COUNT:
        prefixed(value, "", out);
        break;
    case WF_BYTES:
        prefixed(value, "B", out);
        break;
    case WF_BINARY:
        binary(value, out);
        break;
    case WF_SECONDS:
        duration(value, out);
        break;
    default:
        snprintf(out, 24, "%.5g", value);
        break;
    }
}

/* ---- linear ---- */
/* The step of 1, 2, 2.5 or 5 times a power of ten that is not below `rough`. */
static double nice_step(double rough) {
    double power = pow(10, floor(log10(rough))), part = rough / power;
    static const double steps[] = {1, 2, 2.5, 5, 10};
    for (int i = 0; i < 5; i++)
        if (part <= steps[i] * (1 + 1e-9))
            return steps[i] * power;
    return 10 * power;
}

static double nice_seconds(double rough) {
    static const double steps[] = {1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400};
    for (size_t i = 0; rough >= 1 && i < sizeof steps / sizeof *steps; i++)
        if (rough <= steps[i])
            return steps[i];
    return nice_step(rough);
}

static int linear_ticks(const wf_axis *axis, double low, double high, int target, wf_tick out[WF_MAX_TICKS]) {
    double rough = (high - low) / (target > 1 ? target : 1);
    if (!(rough > 0) || isinf(rough))
        return 0;
    double step = axis->unit == WF_SECONDS ? nice_seconds(rough) : nice_step(rough);
    int digits = (int)ceil(-log10(step) - 1e-9) + (fabs(step * pow(10, ceil(-log10(step) - 1e-9)) - 2.5) < 1e-6 ? 1 : 0), n = 0;
    for (double k = ceil(low / step - 1e-9); k * step <= high + step * 1e-9 && n < WF_MAX_TICKS; k++) {
        out[n].value = k == 0 ? 0 : k * step; /* no minus zero */
        if (axis->unit == WF_PLAIN)
            snprintf(out[n].label, sizeof out[n].label, "%.*f", digits > 0 && digits < 12 ? digits : 0, out[n].value);
        else
            wf_axis_text(axis, out[n].value, out[n].label);
        n++;
    }
    return n;
}

/* ---- logarithmic ---- */
static int add_tick(const wf_axis *axis, double value, double low, double high, wf_tick out[WF_MAX_TICKS], int n) {
    if (value < low * (1 - 1e-9) || value > high * (1 + 1e-9) || n >= WF_MAX_TICKS)
        return n;
    out[n].value = value;
    wf_axis_text(axis, value, out[n].label);
    return n + 1;
}

static int log2_ticks(const wf_axis *axis, double low, double high, int target, wf_tick out[WF_MAX_TICKS]) {
    int first = (int)ceil(log2(low) - 1e-9), last = (int)floor(log2(high) + 1e-9), step = 1, n = 0;
    while ((last - first) / step + 1 > target)
        step++;
    for (int k = last; k >= first; k -= step)
        n++;
    int at = last - (n - 1) * step, used = 0; /* so that the largest power keeps its tick */
    for (int k = at; k <= last; k += step)
        used = add_tick(axis, ldexp(1, k), low, high, out, used);
    return used;
}

/* Ticks at `parts` of each `step`-th decade. */
static int decade_ticks(const wf_axis *axis, double low, double high, const char *parts, int step, wf_tick out[WF_MAX_TICKS]) {
    int first = (int)floor(log10(low) + 1e-9), last = (int)ceil(log10(high) - 1e-9), n = 0;
    for (int k = first; k <= last; k++)
        for (const char *part = parts; *part && k % step == 0; part++)
            n = add_tick(axis, (*part - '0') * pow(10, k), low, high, out, n);
    return n;
}

/* The densest choice that is not more than asked for: 1 2 5, 1 3, 1 of each decade, or of every few decades. */
static int log10_ticks(const wf_axis *axis, double low, double high, int target, wf_tick out[WF_MAX_TICKS]) {
    static const char *const choices[] = {"125", "13", "1"};
    double decades = log10(high / low);
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        if (decades * (double)strlen(choices[i]) > target + 0.5)
            continue;
        int n = decade_ticks(axis, low, high, choices[i], 1, out);
        /* Within less than a decade a linear choice of values reads better than one or two ticks. */
        return n >= 3 || decades > 0.8 ? n : linear_ticks(axis, low, high, target, out);
    }
    return decade_ticks(axis, low, high, "1", (int)ceil(decades / target), out);
}

int wf_ticks(const wf_axis *axis, double low, double high, int target, wf_tick out[WF_MAX_TICKS]) {
    target = target < 1 ? 1 : target > WF_MAX_TICKS - 4 ? WF_MAX_TICKS - 4 : target;
    if (!isfinite(low) || !isfinite(high) || high < low)
        return 0;
    if (axis->scale == WF_LINEAR)
        return linear_ticks(axis, low, high, target, out);
    if (!(low > 0))
        return 0;
    return axis->scale == WF_LOG2 ? log2_ticks(axis, low, high, target, out) : log10_ticks(axis, low, high, target, out);
}
