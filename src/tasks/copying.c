/* copying.c - a few symbols, blanks, then as many markers: give the symbols back (Hochreiter & Schmidhuber 1997; Arjovsky et
 * al. 2016, arXiv 1511.06464, section 5.1). */
#include "tasks/task.h"

enum { TOKENS, SYMBOLS };

static int64_t vocab(const wf_task_config *c) { return c->values[SYMBOLS] + 2; } /* symbols, blank, marker */
static int64_t shortest(const wf_task_config *c) { return 2 * c->values[TOKENS]; }

static void draw(const wf_task_config *c, wf_dice *d, int32_t *ids, int32_t *targets) {
    int64_t n = c->values[TOKENS], symbols = c->values[SYMBOLS], answer = c->length - n;
    for (int64_t i = 0; i < c->length; i++)
        ids[i] = (int32_t)(i < n ? wf_dice_below(d, symbols) : i < answer ? symbols : symbols + 1);
    for (int64_t i = 0; i < n; i++)
        targets[answer + i] = ids[i];
}

const wf_task wf_task_copying = {
    .name = "copying",
    .about = "symbols, a long pause, then give them back in order",
    .source = "Arjovsky et al. 2016, arXiv 1511.06464, section 5.1",
    .keys = {{"tokens", 10, 1, 1 << 20, "symbols to copy"}, {"symbols", 8, 2, 1 << 20, "kinds of symbols"}},
    .vocab = vocab,
    .shortest = shortest,
    .draw = draw};
