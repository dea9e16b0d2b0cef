/* induction_heads.c - random symbols, once a special one; when it comes again, what followed it? (Olsson et al. 2022; Gu & Dao
 * 2023, arXiv 2312.00752, section 4.1.2). */
#include "tasks/task.h"

enum { SYMBOLS };

static int64_t vocab(const wf_task_config *c) { return c->values[SYMBOLS] + 1; }
static int64_t shortest(const wf_task_config *c) {
    (void)c;
    return 3;
}

static void draw(const wf_task_config *c, wf_dice *d, int32_t *ids, int32_t *targets) {
    int64_t symbols = c->values[SYMBOLS], at = wf_dice_below(d, c->length - 2);
    for (int64_t i = 0; i < c->length; i++)
        ids[i] = (int32_t)wf_dice_below(d, symbols);
    ids[at] = ids[c->length - 1] = (int32_t)symbols;
    targets[c->length - 1] = ids[at + 1];
}

const wf_task wf_task_induction_heads = {.name = "induction_heads",
                                         .about = "what followed the special symbol the first time?",
                                         .source = "Gu & Dao 2023, arXiv 2312.00752, section 4.1.2",
                                         .keys = {{"symbols", 15, 2, 1 << 20, "kinds of symbols"}},
                                         .vocab = vocab,
                                         .shortest = shortest,
                                         .draw = draw};
