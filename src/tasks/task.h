/* task.h - tasks that tell architectures apart, made on the spot: a task is a row of data and one function that draws a sample.
 * No files, no downloads: sample i of a seed is always the same.
 *
 *     wf_task_config c;
 *     WF_TRY(wf_task_read("mqar:pairs=8", 128, &c, err));      // a name and options, for samples of 128 tokens
 *     wf_task_draw(&c, seed, i, ids, targets);                 // [128] each
 *
 * A target is the token that is asked for after reading the ids up to and including its position; WF_NOTHING_ASKED where none
 * is. Inputs never give an answer away. One file per task and one line in tasks.def. Thread rule: nothing here changes. */
#ifndef WF_TASKS_TASK_H
#define WF_TASKS_TASK_H
#include <stdbool.h>
#include "base/rng.h"
#include "base/status.h"

enum { WF_NOTHING_ASKED = -100, WF_TASK_KEYS = 6 };

typedef struct wf_task_key {
    const char *name;
    int64_t fallback, min, max;
    const char *help;
} wf_task_key;

typedef struct wf_task wf_task;
typedef struct wf_task_config {
    const wf_task *task;
    int64_t length;               /* tokens of a sample */
    int64_t values[WF_TASK_KEYS]; /* per key of the row */
    bool exact; /* contents as long as the sample; else of varied lengths, where the task has them (for training) */
} wf_task_config;

typedef struct wf_dice { /* the random numbers of one sample, drawn one after the other */
    wf_rng rng;
    uint64_t next;
} wf_dice;
int64_t wf_dice_below(wf_dice *d, int64_t n);                   /* 0..n-1 */
int64_t wf_dice_between(wf_dice *d, int64_t low, int64_t high); /* both included */
double wf_dice_uniform(wf_dice *d);                             /* [0, 1) */

struct wf_task {
    const char *name, *about, *source;
    wf_task_key keys[WF_TASK_KEYS + 1]; /* the last one empty */
    int64_t (*vocab)(const wf_task_config *c);
    int64_t (*shortest)(const wf_task_config *c); /* the least length with these options */
    /* Fills ids[length]; targets[length] come as WF_NOTHING_ASKED. */
    void (*draw)(const wf_task_config *c, wf_dice *d, int32_t *ids, int32_t *targets);
};

extern const wf_task *const wf_tasks[]; /* NULL-terminated */
const wf_task *wf_task_find(const char *name);
int64_t wf_task_value(const wf_task_config *c, const char *key); /* the key must exist (assert) */

/* "name" or "name:key=value,key=value". WEFT_USAGE, with the nearest name, for what does not exist or fit. */
weft_status wf_task_read(const char *text, int64_t length, wf_task_config *out, weft_error *err);
void wf_task_draw(const wf_task_config *c, uint64_t seed, uint64_t index, int32_t *ids, int32_t *targets);

/* Contents of n tokens at the end of a sample: what is before them is padding. Returns where they begin. */
int64_t wf_task_pad(const wf_task_config *c, int64_t n, int32_t padding, int32_t *ids);
#endif
