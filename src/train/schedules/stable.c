/* stable.c - warm-up, a stable stretch, and a decay. Reference: transformers.optimization, get_wsd_schedule. */
#include "train/schedules/shape.h"

enum { STABLE = WF_SCHEDULE_OWN, DECAY, WARMUP_TYPE, DECAY_TYPE, MIN_RATIO, CYCLES };
enum { LINEAR, COSINE, ROOT };
#define SHAPES "linear|cosine|1-sqrt"

static const wf_option keys[] = {
    {.name = "num_stable_steps",
     .type = WF_OPTION_INT,
     .at = STABLE,
     .fallback = {NAN},
     .max = 1e15,
     .nullable = true,
     .help = "updates at the full rate (null: what total_steps leaves)"},
    {.name = "num_decay_steps",
     .type = WF_OPTION_INT,
     .at = DECAY,
     .max = 1e15,
     .required = true,
     .help = "updates of the decay"},
    {.name = "warmup_type", .type = WF_OPTION_CHOICE, .at = WARMUP_TYPE, .choices = SHAPES, .help = "shape of the warm-up"},
    {.name = "decay_type",
     .type = WF_OPTION_CHOICE,
     .at = DECAY_TYPE,
     .fallback = {COSINE},
     .choices = SHAPES,
     .help = "shape of the decay"},
    {.name = "min_lr_ratio", .at = MIN_RATIO, .max = 1, .help = "the lowest rate as a part of the full one"},
    {.name = "num_cycles", .at = CYCLES, .fallback = {0.5}, .max = 1e9, .help = "waves of a cosine decay"},
    {0}};

static weft_status check(const double *value, double base_lr, weft_error *err) {
    WF_CHECK(!isnan(value[STABLE]) || !isnan(value[WF_SCHEDULE_TOTAL]), err, WEFT_USAGE,
             "schedule warmup_stable_decay: give num_stable_steps or total_steps");
    return WEFT_OK;
}

static double rise(int shape, double p) {
    if (shape == LINEAR)
        return p;
    return shape == COSINE ? wf_half_cosine(1 - p) : 1 - sqrt(1 - p);
}

static double fall(int shape, double p, double cycles) {
    if (shape == LINEAR)
        return 1 - p;
    return shape == COSINE ? wf_half_cosine(2 * cycles * p) : 1 - sqrt(p);
}

static double at(const double *value, double base_lr, double s) {
    double warmup = value[WF_SCHEDULE_WARMUP], decay = value[DECAY], least = value[MIN_RATIO], part;
    double stable = isnan(value[STABLE]) ? value[WF_SCHEDULE_TOTAL] - warmup - decay : value[STABLE];
    if (s < warmup)
        part = rise((int)value[WARMUP_TYPE], wf_warmup(value, s));
    else if (s < warmup + stable)
        return 1;
    else if (s < warmup + stable + decay)
        part = fall((int)value[DECAY_TYPE], (s - warmup - stable) / wf_at_least_one(decay), value[CYCLES]);
    else
        return least;
    part = part * (1 - least) + least;
    return part > 0 ? part : 0;
}

const wf_schedule_row wf_schedule_warmup_stable_decay = {.name = "warmup_stable_decay",
                                                         .help = "warm-up, a stretch at the full rate, and a decay",
                                                         .keys = keys,
                                                         .check = check,
                                                         .at = at};
