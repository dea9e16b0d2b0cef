/* shape.h - the warm-up and the progress that most schedules share. */
#ifndef WF_TRAIN_SCHEDULES_SHAPE_H
#define WF_TRAIN_SCHEDULES_SHAPE_H
#include "train/schedule.h"

static inline double wf_at_least_one(double x) { return x > 1 ? x : 1; }
static inline double wf_warmup(const double *value, double s) { return s / wf_at_least_one(value[WF_SCHEDULE_WARMUP]); }
/* x = (s - W + ahead)/max(1, T - W) */
static inline double wf_progress(const double *value, double s, double ahead) {
    return (s - value[WF_SCHEDULE_WARMUP] + ahead) / wf_at_least_one(value[WF_SCHEDULE_TOTAL] - value[WF_SCHEDULE_WARMUP]);
}
static inline double wf_half_cosine(double turns) { return 0.5 * (1 + cos(3.14159265358979323846 * turns)); }
#endif
