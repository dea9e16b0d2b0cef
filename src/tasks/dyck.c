/* dyck.c - brackets of several kinds: wherever one closes, which? (Hewitt et al. 2020, arXiv 2010.07515: bounded depth; Suzgun
 * et al. 2019). */
#include "tasks/task.h"

enum { KINDS, DEPTH };
enum { MOST_DEPTH = 256 };

/* open kinds, closing kinds, padding */
static int64_t vocab(const wf_task_config *c) { return 2 * c->values[KINDS] + 1; }
static int64_t shortest(const wf_task_config *c) { return (void)c, 2; }

static void draw(const wf_task_config *c, wf_dice *d, int32_t *ids, int32_t *targets) {
    int64_t kinds = c->values[KINDS], n = c->length / 2 * 2, depth = 0, at = wf_task_pad(c, n, (int32_t)(2 * kinds), ids);
    int32_t open[MOST_DEPTH];
    for (int64_t i = 0; i < n; i++) {
        bool must_close = depth == n - i || depth == c->values[DEPTH],
             closes = must_close || (depth > 0 && wf_dice_below(d, 2));
        if (!closes) {
            open[depth++] = ids[at + i] = (int32_t)wf_dice_below(d, kinds);
            continue;
        }
        ids[at + i] = (int32_t)(kinds + open[--depth]);
        targets[at + i - 1] = ids[at + i];
    }
}

const wf_task wf_task_dyck = {
    .name = "dyck",
    .about = "nested brackets: which one closes next?",
    .source = "Hewitt et al. 2020, arXiv 2010.07515",
    .keys = {{"kinds", 8, 1, 1 << 16, "of brackets"}, {"depth", 10, 1, MOST_DEPTH, "brackets open at a time"}},
    .vocab = vocab,
    .shortest = shortest,
    .draw = draw};
