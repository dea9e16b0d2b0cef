/* modular_arithmetic.c - sums, differences and products of digits modulo m, products first (Deletang et al. 2023, arXiv
 * 2207.02098). */
#include "tasks/task.h"

enum { MODULUS, LEAST };

/* digits, + - *, padding, the question */
static int64_t vocab(const wf_task_config *c) { return c->values[MODULUS] + 5; }
static int64_t shortest(const wf_task_config *c) { return 2 * c->values[LEAST]; }

static void draw(const wf_task_config *c, wf_dice *d, int32_t *ids, int32_t *targets) {
    int64_t m = c->values[MODULUS], most = c->length / 2, digits = c->exact ? most : wf_dice_between(d, c->values[LEAST], most);
    int64_t at = wf_task_pad(c, 2 * digits, (int32_t)(m + 3), ids), sum = 0, product = 1, sign = 1;
    for (int64_t i = 0; i < digits; i++) {
        int64_t digit = wf_dice_below(d, m), op = wf_dice_below(d, 3);
        ids[at + 2 * i] = (int32_t)digit;
        ids[at + 2 * i + 1] = (int32_t)(i + 1 < digits ? m + op : m + 4);
        product = product * digit % m;
        if (i + 1 < digits && op == 2)
            continue;
        sum = (sum + sign * product + m) % m;
        product = 1;
        sign = op == 1 ? -1 : 1;
    }
    targets[c->length - 1] = (int32_t)sum;
}

const wf_task wf_task_modular_arithmetic = {
    .name = "modular_arithmetic",
    .about = "the value of sums and products of digits, modulo m",
    .source = "Deletang et al. 2023, arXiv 2207.02098",
    .keys = {{"modulus", 5, 2, 1 << 16, "m"}, {"least", 1, 1, 1 << 20, "digits of the shortest expression"}},
    .vocab = vocab,
    .shortest = shortest,
    .draw = draw};
