/* selective_copying.c - symbols at random places among blanks, then markers: give the symbols back (Jing et al. 2019; Gu & Dao
 * 2023, arXiv 2312.00752, section 4.1.1). What to remember depends on the content, so a time-invariant system cannot do it. */
#include "tasks/task.h"

enum { TOKENS, SYMBOLS };

static int64_t vocab(const wf_task_config *c) { return c->values[SYMBOLS] + 2; }
static int64_t shortest(const wf_task_config *c) { return 2 * c->values[TOKENS]; }

static void draw(const wf_task_config *c, wf_dice *d, int32_t *ids, int32_t *targets) {
    int64_t n = c->values[TOKENS], symbols = c->values[SYMBOLS], answer = c->length - n, left = n;
    for (int64_t i = 0; i < answer; i++) { /* each place with the chance that makes every choice of n places equal */
        bool here = wf_dice_below(d, answer - i) < left;
        ids[i] = (int32_t)(here ? wf_dice_below(d, symbols) : symbols);
        if (here)
            targets[answer + n - left--] = ids[i];
    }
    for (int64_t i = answer; i < c->length; i++)
        ids[i] = (int32_t)(symbols + 1);
}

const wf_task wf_task_selective_copying = {
    .name = "selective_copying",
    .about = "symbols scattered among blanks, then give them back in order",
    .source = "Gu & Dao 2023, arXiv 2312.00752, section 4.1.1",
    .keys = {{"tokens", 16, 1, 1 << 20, "symbols to copy"}, {"symbols", 14, 2, 1 << 20, "kinds of symbols"}},
    .vocab = vocab,
    .shortest = shortest,
    .draw = draw};
