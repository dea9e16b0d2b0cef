/* listops.c - nested expressions over digits: MIN, MAX, MED(ian) and SM (sum modulo 10), drawn by the grammar of Nangia &
 * Bowman 2018 (arXiv 1804.06028) with the sizes of the Long Range Arena (Tay et al. 2020, arXiv 2011.04006): an operator with a
 * chance of a quarter, 2 to `arguments` of them, depth at most `depth`; expressions that are too short or too long are drawn
 * again. */
#include "tasks/task.h"

enum { DEPTH, ARGUMENTS, LEAST };
enum { MIN = 10, MAX, MED, SUM, CLOSE, PADDING, ASK, VOCAB, MOST_ARGUMENTS = 32, ATTEMPTS = 1000000 };

typedef struct tree {
    const wf_task_config *c;
    wf_dice *d;
    int32_t *out;
    int64_t n, most; /* tokens so far; more than `most`: given up */
} tree;

static void put(tree *t, int32_t token) {
    if (t->n < t->most)
        t->out[t->n] = token;
    t->n++;
}

static int median(const int *values, int64_t n) { /* of an even number: the mean of the two in the middle, cut off */
    int counts[10] = {0}, middle[2];
    for (int64_t i = 0; i < n; i++)
        counts[values[i]]++;
    for (int side = 0; side < 2; side++) {
        int64_t left = side ? n / 2 : (n - 1) / 2;
        int v = 0;
        for (; left >= counts[v]; v++)
            left -= counts[v];
        middle[side] = v;
    }
    return (middle[0] + middle[1]) / 2;
}

static int apply(int32_t op, const int *values, int64_t n) {
    int result = values[0];
    if (op == MED)
        return median(values, n);
    for (int64_t i = 1; i < n; i++) {
        int v = values[i];
        result = op == MIN ? (v < result ? v : result) : op == MAX ? (v > result ? v : result) : result + v;
    }
    return op == SUM ? result % 10 : result;
}

static int draw_tree(tree *t, int64_t depth) { /* recursion bounded by the option `depth` */
    int values[MOST_ARGUMENTS];
    bool leaf = depth >= t->c->values[DEPTH] || wf_dice_uniform(t->d) > 0.25;
    if (t->n > t->most)
        return 0;
    if (leaf) {
        int v = (int)wf_dice_below(t->d, 10);
        put(t, v);
        return v;
    }
    int64_t n = wf_dice_between(t->d, 2, t->c->values[ARGUMENTS]);
    int32_t op = (int32_t)wf_dice_between(t->d, MIN, SUM);
    put(t, op);
    for (int64_t i = 0; i < n; i++)
        values[i] = draw_tree(t, depth + 1);
    put(t, CLOSE);
    return t->n > t->most ? 0 : apply(op, values, n);
}

/* When nothing of the right length turns up: one operator over digits. */
static int flat(tree *t) {
    int values[MOST_ARGUMENTS];
    int32_t op = (int32_t)wf_dice_between(t->d, MIN, SUM);
    int64_t n = t->most - 2 < t->c->values[ARGUMENTS] ? t->most - 2 : t->c->values[ARGUMENTS];
    t->n = 0;
    put(t, op);
    for (int64_t i = 0; i < n; i++) {
        values[i] = (int)wf_dice_below(t->d, 10);
        put(t, values[i]);
    }
    put(t, CLOSE);
    return apply(op, values, n);
}

static int64_t vocab(const wf_task_config *c) { return (void)c, VOCAB; }
static int64_t shortest(const wf_task_config *c) { return c->values[LEAST] + 6; }

/* ids serve as room for the drawing; the expression then moves to the end, before the question. */
static void draw(const wf_task_config *c, wf_dice *d, int32_t *ids, int32_t *targets) {
    tree t = {.c = c, .d = d, .out = ids, .most = c->length - 1};
    int64_t least = c->values[LEAST] ? c->values[LEAST] : c->exact ? 3 * c->length / 4 : c->length / 4;
    int answer = 0, attempts = 0;
    do {
        t.n = 0;
        answer = draw_tree(&t, 1);
    } while ((t.n <= least || t.n > t.most) && ++attempts < ATTEMPTS);
    if (attempts == ATTEMPTS)
        answer = flat(&t);
    for (int64_t i = t.n; i-- > 0;)
        ids[c->length - 1 - t.n + i] = ids[i];
    wf_task_pad(c, t.n + 1, PADDING, ids);
    ids[c->length - 1] = ASK;
    targets[c->length - 1] = answer;
}

const wf_task wf_task_listops = {
    .name = "listops",
    .about = "the value of a nested list of MIN, MAX, MED and SM over digits",
    .source = "Nangia & Bowman 2018, arXiv 1804.06028; Tay et al. 2020, arXiv 2011.04006",
    .keys = {{"depth", 10, 2, 16, "operators inside each other"},
             {"arguments", 10, 2, MOST_ARGUMENTS, "most of an operator"},
             {"least", 0, 0, 1 << 20, "expressions are longer than this; 0: a quarter of the sample"}},
    .vocab = vocab,
    .shortest = shortest,
    .draw = draw};
