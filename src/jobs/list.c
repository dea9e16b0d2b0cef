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
    const char *name, *about;
    const wf_mixer *row; /* of a mixer, NULL of others */
    const char *laws;    /* what it costs */
    weft_status status;
    const wf_task *task; /* of a task, NULL of others */
} entry;

typedef struct list_row {
    const char *name, *about;
    bool (*at)(wf_job *job, size_t i, entry *out); /* false at the end; NULL: a page of its own, shown when asked for */
} list_row;

static bool mixer_at(wf_job *job, const wf_mixer *const *table, size_t i, entry *out) {
    const wf_mixer *row = table[i];
    if (!row)
        return false;
    const char *laws = wf_arena_printf(job->arena, "time %s, state %s", row->time ? row->time : "T", wf_mixer_state_law(row));
    *out = (entry){row->name, row->about, row, laws, laws ? WEFT_OK : wf_fail_memory(job->err), NULL};
    return true;
}

static bool token_mixer(wf_job *job, size_t i, entry *out) { return mixer_at(job, wf_mixers, i, out); }
static bool channel_mixer(wf_job *job, size_t i, entry *out) { return mixer_at(job, wf_channels, i, out); }

static bool preset(wf_job *job, size_t i, entry *out) {
    *out = (entry){wf_preset_name(i), "", NULL, NULL, WEFT_OK, NULL};
    if (out->name)
        out->status = wf_preset_about(job->arena, out->name, &out->about, job->err);
    return out->name != NULL;
}

static bool wiring(wf_job *job, size_t i, entry *out) {
    (void)job;
    *out = (entry){wf_wirings[i].name, wf_wirings[i].about, NULL, NULL, WEFT_OK};
    return out->name != NULL;
}

static bool optimizer(wf_job *job, size_t i, entry *out) {
    (void)job;
    if (wf_optimizers[i])
        *out = (entry){wf_optimizers[i]->name, wf_optimizers[i]->help, NULL, NULL, WEFT_OK, NULL};
    return wf_optimizers[i] != NULL;
}

static bool schedule(wf_job *job, size_t i, entry *out) {
    (void)job;
    if (wf_schedules[i])
        *out = (entry){wf_schedules[i]->name, wf_schedules[i]->help, NULL, NULL, WEFT_OK, NULL};
    return wf_schedules[i] != NULL;
}

static bool average(wf_job *job, size_t i, entry *out) {
    (void)job;
    *out = (entry){wf_averages[i].name, wf_averages[i].help, NULL, NULL, WEFT_OK};
    return out->name != NULL;
}

static bool activation(wf_job *job, size_t i, entry *out) {
    (void)job;
    if (i < WF_ACTIVATION_COUNT)
        *out = (entry){wf_activation_names[i], "", NULL, NULL, WEFT_OK, NULL};
    return i < WF_ACTIVATION_COUNT;
}

static bool op(wf_job *job, size_t i, entry *out) {
    (void)job;
    if (wf_ops[i])
        *out = (entry){wf_ops[i]->name, wf_ops[i]->no_grad ? "no gradient" : "", NULL, NULL, WEFT_OK, NULL};
    return wf_ops[i] != NULL;
}

static bool task(wf_job *job, size_t i, entry *out) {
    (void)job;
    if (wf_tasks[i])
        *out = (entry){.name = wf_tasks[i]->name, .about = wf_tasks[i]->about, .task = wf_tasks[i]};
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

static void put_mixer(wf_job *job, wf_json *out, const wf_mixer *row) {
    const struct {
        const char *key, *text;
    } texts[] = {{"forms", wf_mixer_forms(row)},
                 {"source", row->source},
                 {"flops", row->flops},
                 {"time", row->time ? row->time : "T"},
                 {"memory", row->space ? row->space : "T"},
                 {"state", wf_mixer_state_law(row)}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        wf_json_put(job->arena, out, texts[i].key, string(job, texts[i].text ? texts[i].text : ""));
    wf_json_put(job->arena, out, "bf16_error", wf_json_new_double(job->arena, row->bf16));
}

/* [pairs=8, queries=8], and in JSON what they are. */
static void put_options(wf_job *job, wf_json *out, const wf_task *task) {
    wf_json *list = wf_json_put(job->arena, out, "options", wf_json_new(job->arena, WF_JSON_ARRAY));
    for (size_t i = 0; i < WF_TASK_KEYS && task->keys[i].name; i++) {
        const wf_task_key *key = &task->keys[i];
        wf_json *one = wf_json_push(list, wf_json_new(job->arena, WF_JSON_OBJECT));
        wf_json_put(job->arena, one, "name", string(job, key->name));
        wf_json_put(job->arena, one, "about", string(job, key->help));
        wf_json_put(job->arena, one, "default", wf_json_new_int(job->arena, key->fallback));
        wf_json_put(job->arena, one, "least", wf_json_new_int(job->arena, key->min));
        wf_json_put(job->arena, one, "most", wf_json_new_int(job->arena, key->max));
        wf_str_printf(&job->text, "%s%s=%lld", i ? ", " : "  [", key->name, (long long)key->fallback);
    }
    wf_str_puts(&job->text, task->keys[0].name ? "]" : "");
}

static weft_status add_list(wf_job *job, const list_row *row) {
    wf_json *array = wf_json_put(job->arena, job->json, row->name, wf_json_new(job->arena, WF_JSON_ARRAY));
    entry e;
    for (size_t i = 0; row->at(job, i, &e); i++) {
        WF_TRY(e.status);
        wf_json *one = wf_json_push(array, wf_json_new(job->arena, WF_JSON_OBJECT));
        wf_json_put(job->arena, one, "name", string(job, e.name));
        wf_json_put(job->arena, one, "about", string(job, e.about));
        wf_str_printf(&job->text, "  %-28s %s", e.name, e.about);
        if (e.row) {
            put_mixer(job, one, e.row);
            wf_str_printf(&job->text, "  [%s; %s]", wf_mixer_forms(e.row), e.laws);
        }
        if (e.task)
            put_options(job, one, e.task);
        wf_str_putc(&job->text, '\n');
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
