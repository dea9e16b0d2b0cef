/* mqar.c - multi-query associative recall (Arora et al. 2023, arXiv 2312.04927, appendix F): pairs of key and value, then every
 * key once more among random tokens, sooner rather than later: what was its value? */
#include <math.h>
#include "tasks/task.h"

enum { PAIRS, VOCAB, POWER };
enum { MOST_PAIRS = 4096 };

static int64_t vocab(const wf_task_config *c) { return c->values[VOCAB]; }
static int64_t pairs_of(const wf_task_config *c) { /* keys are tokens 1 .. vocab/2 - 1 */
    int64_t most = c->values[VOCAB] / 2 - 1;
    return c->values[PAIRS] < most ? c->values[PAIRS] : most;
}
static int64_t shortest(const wf_task_config *c) { return 4 * pairs_of(c); }

/* Distinct gaps of weights i^(power-1): the smallest of -ln(u)/weight (Efraimidis & Spirakis 2006). */
static void draw_gaps(wf_dice *d, int64_t space, int64_t n, double power, int64_t *gaps) {
    double late[MOST_PAIRS]; /* sorted, as far as it goes */
    int64_t have = 0;
    for (int64_t i = 0; i < space; i++) {
        double score = -log(1.0 - wf_dice_uniform(d)) / pow((double)(i + 1), power - 1.0);
        int64_t at = have < n ? have++ : n;
        if (at == n && !(score < late[n - 1]))
            continue;
        for (at = at == n ? n - 1 : at; at > 0 && late[at - 1] > score; at--) {
            late[at] = late[at - 1];
            gaps[at] = gaps[at - 1];
        }
        late[at] = score;
        gaps[at] = i;
    }
}

static void draw(const wf_task_config *c, wf_dice *d, int32_t *ids, int32_t *targets) {
    int64_t n = pairs_of(c), half = c->values[VOCAB] / 2, gaps[MOST_PAIRS];
    wf_rng keys = wf_rng_make(d->rng.seed ^ d->rng.stream, 0x6b65u, 0);
    for (int64_t i = 2 * n; i < c->length; i++)
        ids[i] = (int32_t)wf_dice_between(d, 1, c->values[VOCAB] - 1);
    draw_gaps(d, (c->length - 2 * n) / 2, n, (double)c->values[POWER] / 100.0, gaps);
    for (int64_t i = 0; i < n; i++) {
        ids[2 * i] = (int32_t)(1 + wf_rng_permute(keys, (uint64_t)i, (uint64_t)half - 1));
        ids[2 * i + 1] = (int32_t)wf_dice_between(d, half, c->values[VOCAB] - 1);
        ids[2 * n + 2 * gaps[i]] = ids[2 * i];
        targets[2 * n + 2 * gaps[i]] = ids[2 * i + 1];
    }
}

const wf_task wf_task_mqar = {.name = "mqar",
                              .about = "pairs of keys and values, then the keys again: their values?",
                              .source = "Arora et al. 2023, arXiv 2312.04927, appendix F",
                              .keys = {{"pairs", 8, 1, MOST_PAIRS, "pairs of key and value"},
                                       {"vocab", 256, 6, 1 << 20, "tokens: the lower half keys, the upper half values"},
                                       {"power", 1, 0, 100, "hundredths of the exponent that puts queries near the pairs"}},
                              .vocab = vocab,
                              .shortest = shortest,
                              .draw = draw};
