/* schedules.c - the table of schedules, and what is common to them. */
#include "train/schedule.h"
#include <stdio.h>
#include <string.h>

#define ROW(name) extern const wf_schedule_row wf_schedule_##name;
#include "train/schedules.def"
#undef ROW

const wf_schedule_row *const wf_schedules[] = {
#define ROW(name) &wf_schedule_##name,
#include "train/schedules.def"
#undef ROW
    NULL};

const wf_option wf_schedule_common[] = {{.name = "warmup_steps",
                                         .type = WF_OPTION_INT,
                                         .at = WF_SCHEDULE_WARMUP,
                                         .max = 1e15,
                                         .help = "updates until the full rate"},
                                        {.name = "total_steps",
                                         .type = WF_OPTION_INT,
                                         .at = WF_SCHEDULE_TOTAL,
                                         .fallback = {NAN},
                                         .max = 1e15,
                                         .nullable = true,
                                         .help = "updates of the whole run"},
                                        {0}};

static const char *name_at(const void *user, size_t i) { return wf_schedules[i] ? wf_schedules[i]->name : NULL; }

const wf_schedule_row *wf_schedule_find(const char *name, weft_error *err) {
    for (size_t i = 0; wf_schedules[i]; i++)
        if (wf_streq(wf_schedules[i]->name, name))
            return wf_schedules[i];
    const char *near = wf_nearest(name, name_at, NULL);
    wf_fail(err, WEFT_USAGE,
            near ? "unknown schedule \"%s\"; did you mean \"%s\"?" : "unknown schedule \"%s\"; see: weft list schedules", name,
            near);
    return NULL;
}

weft_status wf_schedule_read(const wf_json *options, double base_lr, wf_schedule *out, weft_error *err) {
    memset(out, 0, sizeof *out);
    const char *name = options ? wf_json_text(options, "name", NULL) : "constant";
    WF_CHECK(name, err, WEFT_USAGE, "schedule: option \"name\" is missing");
    out->row = wf_schedule_find(name, err);
    if (!out->row)
        return WEFT_USAGE;
    out->base_lr = base_lr;
    char what[64];
    snprintf(what, sizeof what, "schedule %s", out->row->name);
    WF_TRY(wf_options_read(out->row->keys, wf_schedule_common, options, what, out->value, err));
    WF_CHECK(!out->row->needs_total || !isnan(out->value[WF_SCHEDULE_TOTAL]), err, WEFT_USAGE,
             "%s: option \"total_steps\" is missing", what);
    if (out->row->check)
        WF_TRY(out->row->check(out->value, base_lr, err));
    out->state.lr = base_lr;
    if (out->row->start)
        out->row->start(out);
    return WEFT_OK;
}

double wf_schedule_at(const wf_schedule *s, int64_t update) {
    if (s->row->report)
        return s->base_lr != 0 ? s->state.lr / s->base_lr : 1;
    return s->row->at(s->value, s->base_lr, (double)update);
}

void wf_schedule_report(wf_schedule *s, double metric) {
    if (s->row->report)
        s->row->report(s, metric);
}

bool wf_schedule_reacts(const wf_schedule *s) { return s->row->report != NULL; }

wf_json *wf_schedule_options(const wf_schedule *s, wf_arena *arena) {
    wf_json *object = wf_json_new(arena, WF_JSON_OBJECT);
    if (!object)
        return NULL;
    wf_json_put(arena, object, "name", wf_json_new_string(arena, s->row->name, strlen(s->row->name)));
    wf_options_write(arena, s->row->keys, s->value, object);
    wf_options_write(arena, wf_schedule_common, s->value, object);
    return object;
}
