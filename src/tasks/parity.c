/* parity.c - is the number of ones odd? (Minsky & Papert 1969; Hahn 2020, arXiv 1906.06755; Deletang et al. 2023, arXiv
 * 2207.02098). */
#include "tasks/task.h"

enum { LEAST };
enum { PADDING = 2, ASK, VOCAB };

static int64_t vocab(const wf_task_config *c) { return (void)c, VOCAB; }
static int64_t shortest(const wf_task_config *c) { return c->values[LEAST] + 1; }

static void draw(const wf_task_config *c, wf_dice *d, int32_t *ids, int32_t *targets) {
    int64_t n = c->exact ? c->length - 1 : wf_dice_between(d, c->values[LEAST], c->length - 1),
            at = wf_task_pad(c, n + 1, PADDING, ids);
    int32_t odd = 0;
    for (int64_t i = 0; i < n; i++)
        odd ^= ids[at + i] = (int32_t)wf_dice_below(d, 2);
    ids[at + n] = ASK;
    targets[at + n] = odd;
}

const wf_task wf_task_parity = {.name = "parity",
                                .about = "is the number of ones odd?",
                                .source = "Deletang et al. 2023, arXiv 2207.02098",
                                .keys = {{"least", 1, 1, 1 << 20, "bits of the shortest contents"}},
                                .vocab = vocab,
                                .shortest = shortest,
                                .draw = draw};
