/* simple.c - constant, linear, polynomial and inverse square root schedules. Reference: transformers.optimization. */
#include "train/schedules/shape.h"

static const wf_option no_keys[] = {{0}};

static double constant_at(const double *value, double base_lr, double s) { return 1; }

static double warm_constant_at(const double *value, double base_lr, double s) {
    return s < value[WF_SCHEDULE_WARMUP] ? wf_warmup(value, s) : 1;
}

static double linear_at(const double *value, double base_lr, double s) {
    if (s < value[WF_SCHEDULE_WARMUP])
        return wf_warmup(value, s);
    double left = (value[WF_SCHEDULE_TOTAL] - s) / wf_at_least_one(value[WF_SCHEDULE_TOTAL] - value[WF_SCHEDULE_WARMUP]);
    return left > 0 ? left : 0;
}

const wf_schedule_row wf_schedule_constant = {
    .name = "constant", .help = "always the full rate", .keys = no_keys, .at = constant_at};
const wf_schedule_row wf_schedule_constant_with_warmup = {
    .name = "constant_with_warmup", .help = "linear warm-up, then the full rate", .keys = no_keys, .at = warm_constant_at};
const wf_schedule_row wf_schedule_linear = {
    .name = "linear", .help = "linear warm-up, then linear to zero", .keys = no_keys, .needs_total = true, .at = linear_at};

/* ---- polynomial ---- */
enum { LR_END = WF_SCHEDULE_OWN, POWER };

static const wf_option polynomial_keys[] = {
    {.name = "lr_end", .at = LR_END, .fallback = {1e-7}, .max = HUGE_VAL, .help = "the rate after total_steps"},
    {.name = "power", .at = POWER, .fallback = {1}, .max = HUGE_VAL, .help = "of the part that is left"},
    {0}};

static weft_status polynomial_check(const double *value, double base_lr, weft_error *err) {
    WF_CHECK(base_lr > value[LR_END], err, WEFT_USAGE, "schedule polynomial: lr_end %g must be below the rate %g",
             value[LR_END], base_lr);
    return WEFT_OK;
}

static double polynomial_at(const double *value, double base_lr, double s) {
    if (s < value[WF_SCHEDULE_WARMUP])
        return wf_warmup(value, s);
    double end = value[LR_END] / base_lr, x = wf_progress(value, s, 0);
    return s > value[WF_SCHEDULE_TOTAL] || x > 1 ? end : (1 - end) * pow(1 - x, value[POWER]) + end;
}

const wf_schedule_row wf_schedule_polynomial = {.name = "polynomial",
                                                .help = "linear warm-up, then a power of the part that is left",
                                                .keys = polynomial_keys,
                                                .needs_total = true,
                                                .check = polynomial_check,
                                                .at = polynomial_at};

/* ---- inverse square root ---- */
enum { TIMESCALE = WF_SCHEDULE_OWN };

static const wf_option inverse_keys[] = {{.name = "timescale",
                                          .type = WF_OPTION_INT,
                                          .at = TIMESCALE,
                                          .fallback = {NAN},
                                          .min = 1,
                                          .max = 1e15,
                                          .nullable = true,
                                          .help = "updates until the rate falls as 1/sqrt (null: warmup_steps, or 10000)"},
                                         {0}};

static double inverse_at(const double *value, double base_lr, double s) {
    double warmup = value[WF_SCHEDULE_WARMUP], scale = value[TIMESCALE];
    if (s < warmup)
        return wf_warmup(value, s);
    if (isnan(scale))
        scale = warmup > 0 ? warmup : 10000;
    return 1 / sqrt((s + scale - warmup) / scale);
}

const wf_schedule_row wf_schedule_inverse_sqrt = {
    .name = "inverse_sqrt", .help = "linear warm-up, then 1/sqrt", .keys = inverse_keys, .at = inverse_at};
