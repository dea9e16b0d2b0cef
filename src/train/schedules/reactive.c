/* reactive.c - schedules that follow a metric: reduce_lr_on_plateau (torch.optim.lr_scheduler.ReduceLROnPlateau) and greedy
 * (transformers.optimization.GreedyLR, arXiv 2512.14527). */
#include "train/schedules/shape.h"

enum {
    MODE = WF_SCHEDULE_OWN,
    FACTOR,
    PATIENCE,
    THRESHOLD,
    THRESHOLD_MODE,
    COOLDOWN,
    MIN_LR,
    EPS,
    MAX_LR,
    WARMUP,
    SMOOTH,
    WINDOW,
    RESET
};
enum { MODE_MIN, MODE_MAX };
enum { RELATIVE, ABSOLUTE };

#define MODE_OPTION                                                                                                            \
    { .name = "mode", .type = WF_OPTION_CHOICE, .at = MODE, .choices = "min|max", .help = "whether less or more is better" }
#define COUNT_OPTION(title, place, standard, text)                                                                             \
    { .name = title, .type = WF_OPTION_INT, .at = place, .fallback = {standard}, .max = 1e15, .help = text }
#define NUMBER_OPTION(title, place, standard, text)                                                                            \
    { .name = title, .at = place, .fallback = {standard}, .max = HUGE_VAL, .help = text }
#define THRESHOLD_MODE_OPTION(standard)                                                                                        \
    {                                                                                                                          \
        .name = "threshold_mode", .type = WF_OPTION_CHOICE, .at = THRESHOLD_MODE, .fallback = {standard},                      \
        .choices = "rel|abs", .help = "threshold as a part of the best, or as a difference"                                    \
    }
#define FACTOR_OPTION(standard, text)                                                                                          \
    { .name = "factor", .at = FACTOR, .fallback = {standard}, .min = 1e-9, .max = 1, .below = true, .help = text }

static const wf_option plateau_keys[] = {MODE_OPTION,
                                         FACTOR_OPTION(0.1, "what the rate is multiplied by"),
                                         COUNT_OPTION("patience", PATIENCE, 10, "bad reports that are borne"),
                                         NUMBER_OPTION("threshold", THRESHOLD, 1e-4, "least improvement that counts"),
                                         THRESHOLD_MODE_OPTION(RELATIVE),
                                         COUNT_OPTION("cooldown", COOLDOWN, 0, "reports ignored after a reduction"),
                                         NUMBER_OPTION("min_lr", MIN_LR, 0, "the lowest rate"),
                                         NUMBER_OPTION("eps", EPS, 1e-8, "smaller changes of the rate are not made"),
                                         {0}};

static const wf_option greedy_keys[] = {
    MODE_OPTION,
    FACTOR_OPTION(0.95, "the rate is divided by it on improvement, multiplied on a plateau"),
    COUNT_OPTION("patience", PATIENCE, 10, "good or bad reports before the rate changes"),
    NUMBER_OPTION("threshold", THRESHOLD, 1e-6, "least improvement that counts"),
    THRESHOLD_MODE_OPTION(ABSOLUTE),
    COUNT_OPTION("cooldown", COOLDOWN, 0, "reports ignored after a reduction"),
    COUNT_OPTION("warmup", WARMUP, 0, "reports ignored after a rise"),
    NUMBER_OPTION("min_lr", MIN_LR, 1e-3, "the lowest rate"),
    NUMBER_OPTION("max_lr", MAX_LR, 1, "the highest rate"),
    NUMBER_OPTION("eps", EPS, 1e-8, "smaller changes of the rate are not made"),
    {.name = "smooth", .type = WF_OPTION_BOOL, .at = SMOOTH, .help = "judge the mean of the last reports"},
    {.name = "window_size",
     .type = WF_OPTION_INT,
     .at = WINDOW,
     .fallback = {50},
     .min = 1,
     .max = WF_SCHEDULE_WINDOW,
     .help = "reports in that mean"},
    COUNT_OPTION("reset_start", RESET, 500, "reductions at the lowest rate before everything starts again"),
    {0}};

static bool better(const double *value, double metric, double best) {
    double margin = value[THRESHOLD];
    if (value[MODE] == MODE_MIN)
        return metric < (value[THRESHOLD_MODE] == RELATIVE ? best * (1 - margin) : best - margin);
    return metric > (value[THRESHOLD_MODE] == RELATIVE ? best * (1 + margin) : best + margin);
}

static double worst(const double *value) { return value[MODE] == MODE_MIN ? INFINITY : -INFINITY; }

static void reduce(wf_schedule *s) {
    double lower = s->state.lr * s->value[FACTOR];
    if (lower < s->value[MIN_LR])
        lower = s->value[MIN_LR];
    if (s->state.lr - lower > s->value[EPS])
        s->state.lr = lower;
}

/* ---- reduce_lr_on_plateau ---- */
static void plateau_start(wf_schedule *s) { s->state.best = worst(s->value); }

static void plateau_report(wf_schedule *s, double metric) {
    wf_schedule_state *state = &s->state;
    if (better(s->value, metric, state->best)) {
        state->best = metric;
        state->bad = 0;
    } else {
        state->bad++;
    }
    if (state->cooldown > 0) {
        state->cooldown--;
        state->bad = 0;
    }
    if ((double)state->bad > s->value[PATIENCE]) {
        reduce(s);
        state->cooldown = (int64_t)s->value[COOLDOWN];
        state->bad = 0;
    }
}

/* ---- greedy ---- */
static void greedy_start(wf_schedule *s) {
    s->state = (wf_schedule_state){.lr = s->base_lr, .best = worst(s->value), .reset = (int64_t)s->value[RESET]};
}

static double smooth(wf_schedule *s, double metric) {
    wf_schedule_state *state = &s->state;
    int64_t size = (int64_t)s->value[WINDOW];
    state->sum += metric;
    if (state->window_count == size) {
        state->sum -= state->window[state->window_first];
        state->window[state->window_first] = metric;
        state->window_first = (state->window_first + 1) % size;
    } else {
        state->window[state->window_count++] = metric;
    }
    return state->sum / (double)state->window_count;
}

static void greedy_raise(wf_schedule *s) {
    double higher = s->state.lr / s->value[FACTOR];
    if (higher > s->value[MAX_LR])
        higher = s->value[MAX_LR];
    if (higher - s->state.lr > s->value[EPS])
        s->state.lr = higher;
    s->state.reset = (int64_t)s->value[RESET];
    s->state.warmup = (int64_t)s->value[WARMUP];
    s->state.good = 0;
}

static void greedy_lower(wf_schedule *s) {
    reduce(s);
    if (s->state.lr <= s->value[MIN_LR] && --s->state.reset <= 0)
        greedy_start(s);
    s->state.cooldown = (int64_t)s->value[COOLDOWN];
    s->state.bad = 0;
}

static void greedy_judge(wf_schedule *s, double metric) {
    wf_schedule_state *state = &s->state;
    if (better(s->value, metric, state->best)) {
        state->best = metric;
        state->bad = 0;
        state->good++;
    } else {
        state->bad++;
        state->good = 0;
    }
    if ((double)state->good > s->value[PATIENCE])
        greedy_raise(s);
    else if ((double)state->bad > s->value[PATIENCE])
        greedy_lower(s);
}

static void greedy_report(wf_schedule *s, double metric) {
    wf_schedule_state *state = &s->state;
    if (s->value[SMOOTH] != 0)
        metric = smooth(s, metric);
    int64_t *quiet = state->cooldown > 0 ? &state->cooldown : state->warmup > 0 ? &state->warmup : NULL;
    if (!quiet) {
        greedy_judge(s, metric);
        return;
    }
    --*quiet;
    state->good = state->bad = 0;
}

const wf_schedule_row wf_schedule_reduce_lr_on_plateau = {.name = "reduce_lr_on_plateau",
                                                          .help = "lower when a metric stops improving",
                                                          .keys = plateau_keys,
                                                          .start = plateau_start,
                                                          .report = plateau_report};
const wf_schedule_row wf_schedule_greedy = {.name = "greedy",
                                            .help = "raise while a metric improves, lower when it does not",
                                            .keys = greedy_keys,
                                            .start = greedy_start,
                                            .report = greedy_report};
