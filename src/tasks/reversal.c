/* reversal.c - a string, then as many markers: give it back from its end (Graves et al. 2014; Deletang et al. 2023, arXiv
 * 2207.02098). */
#include "tasks/task.h"

enum { SYMBOLS, LEAST };

/* symbols, the end of the string, marker, padding */
static int64_t vocab(const wf_task_config *c) { return c->values[SYMBOLS] + 3; }
static int64_t shortest(const wf_task_config *c) { return 2 * c->values[LEAST] + 1; }

static void draw(const wf_task_config *c, wf_dice *d, int32_t *ids, int32_t *targets) {
    int64_t symbols = c->values[SYMBOLS], most = (c->length - 1) / 2,
            n = c->exact ? most : wf_dice_between(d, c->values[LEAST], most);
    int64_t at = wf_task_pad(c, 2 * n + 1, (int32_t)(symbols + 2), ids);
    for (int64_t i = 0; i < n; i++)
        ids[at + i] = (int32_t)wf_dice_below(d, symbols);
    ids[at + n] = (int32_t)symbols;
    for (int64_t i = 0; i < n; i++) {
        ids[at + n + 1 + i] = (int32_t)(symbols + 1);
        targets[at + n + 1 + i] = ids[at + n - 1 - i];
    }
}

const wf_task wf_task_reversal = {
    .name = "reversal",
    .about = "a string, then give it back from its end",
    .source = "Deletang et al. 2023, arXiv 2207.02098",
    .keys = {{"symbols", 8, 2, 1 << 20, "kinds of symbols"}, {"least", 1, 1, 1 << 20, "symbols of the shortest string"}},
    .vocab = vocab,
    .shortest = shortest,
    .draw = draw};
