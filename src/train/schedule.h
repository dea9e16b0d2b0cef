/* schedule.h - learning-rate schedules as rows. Most are a function of the update number; two react to a metric that is
 * reported after each update and keep a plain state, which a checkpoint saves as its bytes.
 *
 *     wf_schedule s;
 *     WF_TRY(wf_schedule_read(options, base_lr, &s, err));        // {"name": "cosine", "warmup_steps": 100, "total_steps":
 * 2000} double multiplier = wf_schedule_at(&s, update);             // update = 0, 1, ...: times base_lr gives the rate
 *     wf_schedule_report(&s, loss);                               // after the update; ignored by the rows that do not react
 *
 * Thread rule: a schedule belongs to one caller. */
#ifndef WF_TRAIN_SCHEDULE_H
#define WF_TRAIN_SCHEDULE_H
#include "train/options.h"

/* Options every row has; a row's own start at WF_SCHEDULE_OWN. */
enum { WF_SCHEDULE_WARMUP, WF_SCHEDULE_TOTAL, WF_SCHEDULE_OWN };
enum { WF_SCHEDULE_WINDOW = 1024 };

typedef struct wf_schedule_state {
    double lr, best;
    double window[WF_SCHEDULE_WINDOW], sum; /* last metrics, oldest at `window_first` */
    int64_t window_count, window_first;
    int64_t good, bad, cooldown, warmup, reset;
} wf_schedule_state;

typedef struct wf_schedule wf_schedule;

typedef struct wf_schedule_row {
    const char *name, *help;
    const wf_option *keys; /* own options; warmup_steps and total_steps are common */
    bool needs_total;      /* total_steps must be given */
    weft_status (*check)(const double *value, double base_lr, weft_error *err); /* may be NULL */
    /* Exactly one of the two: a multiplier of the base rate, or a reaction with its start. */
    double (*at)(const double *value, double base_lr, double update);
    void (*start)(wf_schedule *s);
    void (*report)(wf_schedule *s, double metric);
} wf_schedule_row;

struct wf_schedule {
    const wf_schedule_row *row;
    double value[WF_OPTION_VALUES];
    double base_lr;
    wf_schedule_state state;
};

extern const wf_schedule_row *const wf_schedules[]; /* NULL-terminated */
extern const wf_option wf_schedule_common[];
const wf_schedule_row *wf_schedule_find(const char *name, weft_error *err); /* NULL and a message with the nearest name */

/* `options` NULL means constant. `base_lr` is the optimizer's lr (some rows have absolute rates among their options). */
weft_status wf_schedule_read(const wf_json *options, double base_lr, wf_schedule *out, weft_error *err);
double wf_schedule_at(const wf_schedule *s, int64_t update); /* the multiplier of base_lr */
void wf_schedule_report(wf_schedule *s, double metric);
bool wf_schedule_reacts(const wf_schedule *s); /* it must be given reports, and its state saved */
wf_json *wf_schedule_options(const wf_schedule *s, wf_arena *arena);
#endif
