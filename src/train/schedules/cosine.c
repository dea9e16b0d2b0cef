/* cosine.c - the cosine schedules. Reference: transformers.optimization. */
#include "train/schedules/shape.h"

enum { CYCLES = WF_SCHEDULE_OWN, MIN_LR, MIN_RATE, WARMUP_RATE };

#define CYCLES_OPTION(standard, text)                                                                                          \
    { .name = "num_cycles", .at = CYCLES, .fallback = {standard}, .max = 1e9, .help = text }
#define MIN_OPTIONS                                                                                                            \
    {.name = "min_lr", .at = MIN_LR, .fallback = {NAN}, .max = HUGE_VAL, .nullable = true, .help = "the lowest rate"}, {       \
        .name = "min_lr_rate", .at = MIN_RATE, .fallback = {NAN}, .max = 1, .nullable = true,                                  \
        .help = "the lowest rate as a part of the full one"                                                                    \
    }

static const wf_option cosine_keys[] = {CYCLES_OPTION(0.5, "waves until total_steps"), {0}};
static const wf_option restart_keys[] = {CYCLES_OPTION(1, "falls until total_steps"), {0}};
static const wf_option min_keys[] = {CYCLES_OPTION(0.5, "waves until total_steps"), MIN_OPTIONS, {0}};
static const wf_option warm_keys[] = {CYCLES_OPTION(0.5, "waves until total_steps"),
                                      MIN_OPTIONS,
                                      {.name = "warmup_lr_rate",
                                       .at = WARMUP_RATE,
                                       .fallback = {NAN},
                                       .max = 1,
                                       .nullable = true,
                                       .help = "where the warm-up starts, as a part"},
                                      {0}};

static double positive(double x) { return x > 0 ? x : 0; }

static double cosine_at(const double *value, double base_lr, double s) {
    if (s < value[WF_SCHEDULE_WARMUP])
        return wf_warmup(value, s);
    return positive(wf_half_cosine(2 * value[CYCLES] * wf_progress(value, s, 0)));
}

static double restarts_at(const double *value, double base_lr, double s) {
    if (s < value[WF_SCHEDULE_WARMUP])
        return wf_warmup(value, s);
    double x = wf_progress(value, s, 0);
    return x >= 1 ? 0 : positive(wf_half_cosine(fmod(value[CYCLES] * x, 1)));
}

static weft_status check_min(const double *value, double base_lr, weft_error *err) {
    WF_CHECK(isnan(value[MIN_LR]) != isnan(value[MIN_RATE]), err, WEFT_USAGE, "schedule: give one of min_lr and min_lr_rate");
    return WEFT_OK;
}

static double floored(const double *value, double base_lr, double x) {
    double least = isnan(value[MIN_LR]) ? value[MIN_RATE] : value[MIN_LR] / base_lr;
    return positive(wf_half_cosine(2 * value[CYCLES] * x) * (1 - least) + least);
}

static double min_at(const double *value, double base_lr, double s) {
    return s < value[WF_SCHEDULE_WARMUP] ? wf_warmup(value, s) : floored(value, base_lr, wf_progress(value, s, 0));
}

static double warm_at(const double *value, double base_lr, double s) {
    double warmup = value[WF_SCHEDULE_WARMUP], from = value[WARMUP_RATE];
    if (s >= warmup)
        return floored(value, base_lr, wf_progress(value, s, 1));
    return isnan(from) ? (s + 1) / wf_at_least_one(warmup) : from + (1 - from) * s / wf_at_least_one(warmup - 1);
}

const wf_schedule_row wf_schedule_cosine = {
    .name = "cosine", .help = "linear warm-up, then a cosine", .keys = cosine_keys, .needs_total = true, .at = cosine_at};
const wf_schedule_row wf_schedule_cosine_with_restarts = {.name = "cosine_with_restarts",
                                                          .help =
                                                              "linear warm-up, then cosines that start again at the full rate",
                                                          .keys = restart_keys,
                                                          .needs_total = true,
                                                          .at = restarts_at};
const wf_schedule_row wf_schedule_cosine_with_min_lr = {.name = "cosine_with_min_lr",
                                                        .help = "linear warm-up, then a cosine to a lowest rate",
                                                        .keys = min_keys,
                                                        .needs_total = true,
                                                        .check = check_min,
                                                        .at = min_at};
const wf_schedule_row wf_schedule_cosine_warmup_with_min_lr = {.name = "cosine_warmup_with_min_lr",
                                                               .help = "the same with a warm-up that does not start from zero",
                                                               .keys = warm_keys,
                                                               .needs_total = true,
                                                               .check = check_min,
                                                               .at = warm_at};
