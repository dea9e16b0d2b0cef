/* tasks.c - the table of tasks, their options, and drawing a sample. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "tasks/task.h"

#define WF_TASK(name) extern const wf_task wf_task_##name;
#include "tasks/tasks.def"
#undef WF_TASK

#define WF_TASK(name) &wf_task_##name,
const wf_task *const wf_tasks[] = {
#include "tasks/tasks.def"
    NULL};
#undef WF_TASK

/* ---- dice ---- */
int64_t wf_dice_below(wf_dice *d, int64_t n) { return (int64_t)wf_rng_below(d->rng, d->next++, (uint64_t)n); }
int64_t wf_dice_between(wf_dice *d, int64_t low, int64_t high) { return low + wf_dice_below(d, high - low + 1); }
double wf_dice_uniform(wf_dice *d) { return (double)wf_rng_uniform(d->rng, d->next++); }

/* ---- rows ---- */
static const char *task_name(const void *user, size_t i) {
    (void)user;
    return wf_tasks[i] ? wf_tasks[i]->name : NULL;
}

static const char *key_name(const void *user, size_t i) { return ((const wf_task_key *)user)[i].name; }

const wf_task *wf_task_find(const char *name) {
    for (size_t i = 0; wf_tasks[i]; i++)
        if (wf_streq(wf_tasks[i]->name, name))
            return wf_tasks[i];
    return NULL;
}

static int key_index(const wf_task *task, const char *name) {
    for (int i = 0; task->keys[i].name; i++)
        if (wf_streq(task->keys[i].name, name))
            return i;
    return -1;
}

int64_t wf_task_value(const wf_task_config *c, const char *key) {
    int i = key_index(c->task, key);
    assert(i >= 0);
    return c->values[i];
}

/* ---- reading ---- */
enum { NAME = 64 };

static bool next_word(const char **at, const char *ends, char out[NAME]) {
    size_t n = strcspn(*at, ends);
    if (n == 0 || n >= NAME)
        return false;
    memcpy(out, *at, n);
    out[n] = 0;
    *at += n;
    return true;
}

static weft_status read_key(const char **at, wf_task_config *c, weft_error *err) {
    char name[NAME], text[NAME], *end;
    const wf_task *task = c->task;
    WF_CHECK(next_word(at, "=,", name) && **at == '=', err, WEFT_USAGE,
             "task %s: options are written key=value, with commas between", task->name);
    int i = key_index(task, name);
    const char *near = i < 0 ? wf_nearest(name, key_name, task->keys) : NULL;
    WF_CHECK(i >= 0, err, WEFT_USAGE, "task %s has no option '%s'%s%s%s", task->name, name,
             near ? ", did you mean '" : "; see: weft list tasks", near ? near : "", near ? "'?" : "");
    ++*at;
    bool whole = next_word(at, ",", text);
    long long value = whole ? strtoll(text, &end, 10) : 0;
    WF_CHECK(whole && *end == 0 && value >= task->keys[i].min && value <= task->keys[i].max, err, WEFT_USAGE,
             "task %s: '%s' must be between %lld and %lld", task->name, name, (long long)task->keys[i].min,
             (long long)task->keys[i].max);
    c->values[i] = value;
    *at += **at == ',';
    return WEFT_OK;
}

weft_status wf_task_read(const char *text, int64_t length, wf_task_config *out, weft_error *err) {
    char name[NAME];
    bool named = next_word(&text, ":", name);
    const wf_task *task = named ? wf_task_find(name) : NULL;
    const char *near = named && !task ? wf_nearest(name, task_name, NULL) : NULL;
    WF_CHECK(task, err, WEFT_USAGE, "no task '%s'%s%s%s; weft list tasks shows them", named ? name : "",
             near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
    *out = (wf_task_config){.task = task, .length = length};
    for (int i = 0; task->keys[i].name; i++)
        out->values[i] = task->keys[i].fallback;
    text += *text == ':';
    while (*text)
        WF_TRY(read_key(&text, out, err));
    int64_t least = task->shortest(out);
    WF_CHECK(length >= least && length <= 1 << 24, err, WEFT_USAGE,
             "task %s: with these options a sample has at least %lld tokens, not %lld", task->name, (long long)least,
             (long long)length);
    return WEFT_OK;
}

/* ---- drawing ---- */
static uint32_t site_of(const char *name) {
    uint32_t site = 2166136261u;
    for (; *name; name++)
        site = (site ^ (uint8_t)*name) * 16777619u;
    return site;
}

void wf_task_draw(const wf_task_config *c, uint64_t seed, uint64_t index, int32_t *ids, int32_t *targets) {
    wf_dice dice = {.rng = wf_rng_make(seed ^ (index >> 32) << 32, site_of(c->task->name), (uint32_t)index)};
    for (int64_t i = 0; i < c->length; i++)
        targets[i] = WF_NOTHING_ASKED;
    c->task->draw(c, &dice, ids, targets);
}

int64_t wf_task_pad(const wf_task_config *c, int64_t n, int32_t padding, int32_t *ids) {
    for (int64_t i = 0; i < c->length - n; i++)
        ids[i] = padding;
    return c->length - n;
}
