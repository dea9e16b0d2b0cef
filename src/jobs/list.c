/* list.c - what weft knows, straight from the tables: `weft list mixers`, `weft list presets`, ... */
#include <string.h>
#include "jobs/job.h"
#include "jobs/list_spec.h"
#include "model/spec.h"
#include "presets/presets.h"
#include "tasks/task.h"
#include "tensor/ops_table.h"
#include "train/average.h"
#include "train/optimizer.h"
#include "train/schedule.h"

typedef struct entry {
    const char *name, *about, *detail;
    weft_status status;
} entry;

typedef struct list_row {
    const char *name, *about;
    bool (*at)(wf_job *job, size_t i, entry *out); /* false at the end; NULL: a page of its own, shown when asked for */
} list_row;

static const char *forms(const wf_mixer *row) { return row->traits & WF_STREAMS ? "full chunk step" : "full"; }

static bool mixer_at(const wf_mixer *const *table, size_t i, entry *out) {
    if (!table[i])
        return false;
    *out = (entry){table[i]->name, table[i]->about, forms(table[i]), WEFT_OK};
    return true;
}

static bool token_mixer(wf_job *job, size_t i, entry *out) { return (void)job, mixer_at(wf_mixers, i, out); }
static bool channel_mixer(wf_job *job, size_t i, entry *out) { return (void)job, mixer_at(wf_channels, i, out); }

static bool preset(wf_job *job, size_t i, entry *out) {
    *out = (entry){wf_preset_name(i), "", "", WEFT_OK};
    if (out->name)
        out->status = wf_preset_about(job->arena, out->name, &out->about, job->err);
    return out->name != NULL;
}

static bool wiring(wf_job *job, size_t i, entry *out) {
    (void)job;
    *out = (entry){wf_wirings[i].name, wf_wirings[i].about, "", WEFT_OK};
    return out->name != NULL;
}

static bool optimizer(wf_job *job, size_t i, entry *out) {
    (void)job;
    if (wf_optimizers[i])
        *out = (entry){wf_optimizers[i]->name, wf_optimizers[i]->help, "", WEFT_OK};
    return wf_optimizers[i] != NULL;
}

static bool schedule(wf_job *job, size_t i, entry *out) {
    (void)job;
    if (wf_schedules[i])
        *out = (entry){wf_schedules[i]->name, wf_schedules[i]->help, "", WEFT_OK};
    return wf_schedules[i] != NULL;
}

static bool average(wf_job *job, size_t i, entry *out) {
    (void)job;
    *out = (entry){wf_averages[i].name, wf_averages[i].help, "", WEFT_OK};
    return out->name != NULL;
}

static bool activation(wf_job *job, size_t i, entry *out) {
    (void)job;
    if (i < WF_ACTIVATION_COUNT)
        *out = (entry){wf_activation_names[i], "", "", WEFT_OK};
    return i < WF_ACTIVATION_COUNT;
}

static bool op(wf_job *job, size_t i, entry *out) {
    (void)job;
    if (wf_ops[i])
        *out = (entry){wf_ops[i]->name, wf_ops[i]->no_grad ? "no gradient" : "", "", WEFT_OK};
    return wf_ops[i] != NULL;
}

static bool task(wf_job *job, size_t i, entry *out) {
    (void)job;
    if (wf_tasks[i])
        *out = (entry){wf_tasks[i]->name, wf_tasks[i]->about, "", WEFT_OK};
    return wf_tasks[i] != NULL;
}

static const list_row lists[] = {
    {"mixers", "token mixers", token_mixer},          {"channels", "channel mixers", channel_mixer},
    {"presets", "whole architectures", preset},       {"wirings", "residual wirings", wiring},
    {"optimizers", "optimizers", optimizer},          {"schedules", "learning-rate schedules", schedule},
    {"averages", "weight averages", average},         {"activations", "activation functions", activation},
    {"tasks", "tasks for weft compare --task", task}, {"ops", "tape operations", op},
    {"spec", "the grammar of specs, a page", NULL},   {NULL, NULL, NULL}};

static const char *list_name(const void *user, size_t i) { return ((const list_row *)user)[i].name; }

static wf_json *string(wf_job *job, const char *s) { return wf_json_new_string(job->arena, s, strlen(s)); }

static weft_status add_page(wf_job *job, const list_row *row) {
    wf_str page = wf_str_new(&job->env->mem);
    wf_spec_page(&page);
    wf_json_put(job->arena, job->json, row->name, wf_json_new_string(job->arena, wf_str_text(&page), page.length));
    wf_str_put(&job->text, wf_str_text(&page), page.length);
    bool failed = page.failed;
    wf_str_free(&page);
    return failed ? wf_fail_memory(job->err) : WEFT_OK;
}

static weft_status add_list(wf_job *job, const list_row *row) {
    wf_json *array = wf_json_put(job->arena, job->json, row->name, wf_json_new(job->arena, WF_JSON_ARRAY));
    entry e;
    for (size_t i = 0; row->at(job, i, &e); i++) {
        WF_TRY(e.status);
        wf_json *one = wf_json_push(array, wf_json_new(job->arena, WF_JSON_OBJECT));
        wf_json_put(job->arena, one, "name", string(job, e.name));
        wf_json_put(job->arena, one, "about", string(job, e.about));
        if (e.detail[0])
            wf_json_put(job->arena, one, "forms", string(job, e.detail));
        wf_str_printf(&job->text, "  %-28s %s%s%s%s\n", e.name, e.about, e.detail[0] ? "  [" : "", e.detail,
                      e.detail[0] ? "]" : "");
    }
    return WEFT_OK;
}

weft_status wf_job_list(wf_job *job) {
    static const char *const words[] = {"what", NULL};
    wf_options o = wf_options_open(job->options, "list", words, job->err);
    const char *what = wf_option_text(&o, "what", NULL);
    bool found = false;
    WF_TRY(o.status);
    for (const list_row *row = lists; row->name; row++) {
        if (what ? !wf_streq(what, row->name) : !row->at)
            continue;
        if (!what)
            wf_str_printf(&job->text, "%s (%s)\n", row->name, row->about);
        WF_TRY(row->at ? add_list(job, row) : add_page(job, row));
        found = true;
    }
    if (found)
        return WEFT_OK;
    const char *near = wf_nearest(what, list_name, lists);
    return wf_fail(job->err, WEFT_USAGE, "nothing to list under '%s'%s%s%s", what, near ? ", did you mean '" : "",
                   near ? near : "", near ? "'?" : "");
}
