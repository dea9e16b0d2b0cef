/* needle.c - facts "key: value" hidden in a long text of other words; at the end one of them is asked for (Kamradt 2023; Hsieh
 * et al. 2024, arXiv 2404.06654: needles with distractors of the same form). */
#include "tasks/task.h"

enum { NEEDLES, VALUE, WORDS, KEYS };
enum { MOST_NEEDLES = 64 };

/* words, keys, needle, question, more */
static int64_t vocab(const wf_task_config *c) { return c->values[WORDS] + c->values[KEYS] + 3; }
static int64_t needles_of(const wf_task_config *c) {
    return c->values[NEEDLES] < c->values[KEYS] ? c->values[NEEDLES] : c->values[KEYS];
}
static int64_t shortest(const wf_task_config *c) { return needles_of(c) * (c->values[VALUE] + 2) + c->values[VALUE] + 1; }

static void draw(const wf_task_config *c, wf_dice *d, int32_t *ids, int32_t *targets) {
    int64_t words = c->values[WORDS], n = needles_of(c), size = c->values[VALUE] + 2, question = c->length - size + 1, left = n;
    int64_t marker = words + c->values[KEYS], at[MOST_NEEDLES];
    wf_rng keys = wf_rng_make(d->rng.seed ^ d->rng.stream, 0x6e65u, 0);
    for (int64_t i = 0; i < c->length; i++)
        ids[i] = (int32_t)wf_dice_below(d, words);
    for (int64_t i = 0, places = question - n * (size - 1); left > 0; i++, places--) { /* a needle counts as one place */
        if (wf_dice_below(d, places) >= left)
            continue;
        at[n - left--] = i;
        i += size - 1;
    }
    for (int64_t i = 0; i < n; i++) {
        ids[at[i]] = (int32_t)marker;
        ids[at[i] + 1] = (int32_t)(words + (int64_t)wf_rng_permute(keys, (uint64_t)i, (uint64_t)c->values[KEYS]));
    }
    int64_t asked = at[wf_dice_below(d, n)];
    ids[question] = (int32_t)(marker + 1);
    ids[question + 1] = ids[asked + 1];
    for (int64_t i = 0; i < c->values[VALUE]; i++) {
        if (i > 0)
            ids[question + 1 + i] = (int32_t)(marker + 2);
        targets[question + 1 + i] = ids[asked + 2 + i];
    }
}

const wf_task wf_task_needle = {.name = "needle",
                                .about = "facts hidden in a long text; one is asked for at the end",
                                .source = "Kamradt 2023; Hsieh et al. 2024, arXiv 2404.06654",
                                .keys = {{"needles", 4, 1, MOST_NEEDLES, "facts, all but one to distract"},
                                         {"value", 2, 1, 1024, "tokens of a value"},
                                         {"words", 64, 2, 1 << 20, "kinds of words"},
                                         {"keys", 16, 1, 1 << 20, "kinds of keys"}},
                                .vocab = vocab,
                                .shortest = shortest,
                                .draw = draw};
