/* Every task: its answers against a checker that reads nothing but the sample, the same samples for the same seed, lengths,
 * options. */
#include "tasks/task.h"
#include "support/test.h"
#include <stdlib.h>
#include <string.h>

enum { MOST = 2048, SAMPLES = 300 };

typedef struct sample {
    const wf_task_config *c;
    int64_t n;
    int32_t ids[MOST], targets[MOST];
} sample;

/* ---- checkers: the answer at position t, from the ids up to it; -1: none may be asked ---- */
static int32_t value_of(const sample *s, const char *key) { return (int32_t)wf_task_value(s->c, key); }

static int64_t count_before(const sample *s, int64_t t, int32_t token) {
    int64_t n = 0;
    for (int64_t i = 0; i < t; i++)
        n += s->ids[i] == token;
    return n;
}

/* Markers ask for the symbols in the order they came. */
static int32_t copying(const sample *s, int64_t t) {
    int32_t marker = value_of(s, "symbols") + 1;
    int64_t nth = count_before(s, t, marker);
    for (int64_t i = 0; s->ids[t] == marker && i < t; i++)
        if (s->ids[i] < marker - 1 && nth-- == 0)
            return s->ids[i];
    return -1;
}

static int32_t induction(const sample *s, int64_t t) {
    int32_t special = value_of(s, "symbols");
    for (int64_t i = 0; s->ids[t] == special && i < t; i++)
        if (s->ids[i] == special)
            return s->ids[i + 1];
    return -1;
}

static int32_t recall(const sample *s, int64_t t) {
    int64_t pairs = wf_task_value(s->c, "pairs");
    for (int64_t i = 0; i < pairs && t >= 2 * pairs; i++)
        if (s->ids[2 * i] == s->ids[t])
            return s->ids[2 * i + 1];
    return -1;
}

static int compare_ints(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

/* A stack of open operators with their values. */
static int32_t listops(const sample *s, int64_t t) {
    static int stack[MOST][64], op[MOST], count[MOST];
    int64_t depth = 0;
    count[0] = 0;
    if (s->ids[t] != 16)
        return -1;
    for (int64_t i = 0; i < t; i++) {
        int token = s->ids[i];
        if (token == 15)
            continue;
        if (token < 10) {
            stack[depth][count[depth]++] = token;
        } else if (token < 14) {
            op[++depth] = token;
            count[depth] = 0;
        } else {
            int *v = stack[depth], n = count[depth], sum = 0;
            qsort(v, (size_t)n, sizeof *v, compare_ints);
            for (int k = 0; k < n; k++)
                sum += v[k];
            int result = op[depth] == 10   ? v[0]
                         : op[depth] == 11 ? v[n - 1]
                         : op[depth] == 12 ? (v[(n - 1) / 2] + v[n / 2]) / 2
                                           : sum % 10;
            depth--;
            stack[depth][count[depth]++] = result;
        }
    }
    assert_true(depth == 0 && count[0] == 1);
    return stack[0][0];
}

/* Pixels that are not black belong together when they are at most two apart. */
static int32_t pathfinder(const sample *s, int64_t t) {
    static bool seen[MOST];
    static int64_t queue[MOST];
    int64_t first = 0, head = 0, tail = 0, dots[2], n = 0, side = 1;
    if (s->ids[t] != 258)
        return -1;
    while (s->ids[first] == 259)
        first++;
    const int32_t *p = s->ids + first;
    while (side * side < t - first)
        side++;
    for (int64_t i = 0; i < side * side; i++)
        if (p[i] == 255)
            dots[n++ % 2] = i;
    assert_true(n == 2);
    memset(seen, 0, sizeof seen);
    queue[tail++] = dots[0];
    for (seen[dots[0]] = true; head < tail; head++)
        for (int64_t j = 0; j < side * side; j++) {
            int64_t i = queue[head], dx = llabs(i % side - j % side), dy = llabs(i / side - j / side);
            if (p[j] && !seen[j] && dx <= 2 && dy <= 2) {
                seen[j] = true;
                queue[tail++] = j;
            }
        }
    return seen[dots[1]] ? 257 : 256;
}

static int32_t parity(const sample *s, int64_t t) { return s->ids[t] == 3 ? (int32_t)(count_before(s, t, 1) % 2) : -1; }

/* Looks one token ahead: what closes, and whether it is what should. */
static int32_t dyck(const sample *s, int64_t t) {
    int32_t kinds = value_of(s, "kinds"), open[MOST];
    int64_t depth = 0;
    for (int64_t i = 0; i <= t; i++) {
        if (s->ids[i] < kinds)
            open[depth++] = s->ids[i];
        else if (s->ids[i] < 2 * kinds)
            assert_true(depth > 0 && open[--depth] == s->ids[i] - kinds);
    }
    assert_true(depth <= value_of(s, "depth") && (t + 1 < s->n || depth == 0));
    return t + 1 < s->n && s->ids[t + 1] >= kinds && s->ids[t + 1] < 2 * kinds ? kinds + open[depth - 1] : -1;
}

/* Products first: everything between two signs is one number. */
static int32_t arithmetic(const sample *s, int64_t t) {
    int32_t m = value_of(s, "modulus");
    int64_t total = 0, sign = 1, product = 1;
    if (s->ids[t] != m + 4)
        return -1;
    for (int64_t i = 0; i < t; i++) {
        if (s->ids[i] < m)
            product = product * s->ids[i] % m;
        if (i + 1 == t || s->ids[i] == m || s->ids[i] == m + 1) {
            total += sign * product;
            product = 1;
            sign = s->ids[i] == m + 1 ? -1 : 1;
        }
    }
    return (int32_t)(((total % m) + m) % m);
}

static int32_t reversal(const sample *s, int64_t t) {
    int32_t symbols = value_of(s, "symbols");
    int64_t end = 0;
    while (s->ids[end] != symbols)
        end++;
    return s->ids[t] == symbols + 1 ? s->ids[end - (t - end)] : -1;
}

static int32_t needle(const sample *s, int64_t t) {
    int32_t marker = value_of(s, "words") + value_of(s, "keys");
    int64_t question = s->n - 1;
    while (s->ids[question] != marker + 1)
        question--;
    for (int64_t i = 0; t > question && i < question; i++)
        if (s->ids[i] == marker && s->ids[i + 1] == s->ids[question + 1])
            return s->ids[i + 1 + t - question];
    return -1;
}

typedef struct task_row {
    const char *task, *options;
    int64_t length;
    int32_t (*answer)(const sample *s, int64_t t);
    int64_t answers; /* at least, per sample */
    bool few;        /* fewer samples: they are long, or rarely of the right length and drawn again */
} task_row;

static const task_row rows[] = {{"copying", "", 64, copying, 10},
                                {"copying", ":tokens=3,symbols=2", 6, copying, 3},
                                {"selective_copying", "", 128, copying, 16},
                                {"selective_copying", ":tokens=5,symbols=4", 10, copying, 5},
                                {"induction_heads", "", 64, induction, 1},
                                {"induction_heads", ":symbols=2", 3, induction, 1},
                                {"mqar", "", 128, recall, 8},
                                {"mqar", ":pairs=16,vocab=64", 64, recall, 16},
                                {"mqar", ":pairs=4,vocab=12,power=50", 200, recall, 4},
                                {"listops", "", 128, listops, 1},
                                {"listops", ":depth=3,arguments=4", 40, listops, 1, true},
                                {"listops", ":least=500", 2000, listops, 1, true},
                                {"listops", "", 6, listops, 1},
                                {"pathfinder", "", 128, pathfinder, 1},
                                {"pathfinder", "", 1025, pathfinder, 1, true},
                                {"pathfinder", ":dash=1,distractors=4,steps=30", 600, pathfinder, 1, true},
                                {"parity", "", 40, parity, 1},
                                {"dyck", "", 64, dyck, 1},
                                {"dyck", ":kinds=2,depth=3", 65, dyck, 1},
                                {"modular_arithmetic", "", 40, arithmetic, 1},
                                {"modular_arithmetic", ":modulus=7", 31, arithmetic, 1},
                                {"reversal", "", 41, reversal, 1},
                                {"reversal", ":symbols=3,least=4", 12, reversal, 4},
                                {"needle", "", 128, needle, 2},
                                {"needle", ":needles=1,value=1,words=9", 40, needle, 1},
                                {"needle", ":needles=9,value=3,keys=9", 49, needle, 3}};

static wf_task_config read_task(const char *name, const char *options, int64_t length) {
    char text[128];
    wf_task_config c;
    weft_error err = {0};
    snprintf(text, sizeof text, "%s%s", name, options);
    if (wf_task_read(text, length, &c, &err) != WEFT_OK)
        fail_msg("%s: %s", text, err.message);
    return c;
}

static void check_sample(const task_row *row, const sample *s) {
    int64_t vocab = s->c->task->vocab(s->c), asked = 0;
    for (int64_t t = 0; t < s->n; t++) {
        assert_true(s->ids[t] >= 0 && s->ids[t] < vocab);
        if (s->targets[t] == WF_NOTHING_ASKED)
            continue;
        asked++;
        assert_true(s->targets[t] >= 0 && s->targets[t] < vocab);
        if (row->answer(s, t) != s->targets[t])
            fail_msg("%s%s: at %lld the answer is %d, not %d", row->task, row->options, (long long)t, row->answer(s, t),
                     s->targets[t]);
    }
    if (asked < row->answers)
        fail_msg("%s%s: only %lld answers", row->task, row->options, (long long)asked);
}

static void test_answers(void **state) {
    static sample s;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        wf_task_config c = read_task(rows[i].task, rows[i].options, rows[i].length);
        for (int exact = 0; exact < 2; exact++)
            for (uint64_t k = 0; k < (rows[i].few ? SAMPLES / 10 : SAMPLES); k++) {
                c.exact = exact;
                s.c = &c;
                s.n = c.length;
                wf_task_draw(&c, 7, k, s.ids, s.targets);
                check_sample(&rows[i], &s);
            }
    }
}

/* Classes come up about equally often, contents differ in length, and nothing depends on what was drawn before. */
static void test_samples(void **state) {
    static sample a, b;
    (void)state;
    for (size_t i = 0; wf_tasks[i]; i++) {
        wf_task_config c = read_task(wf_tasks[i]->name, "", 128);
        int64_t same = 0;
        for (uint64_t k = 0; k < 20; k++) {
            wf_task_draw(&c, 3, k, a.ids, a.targets);
            wf_task_draw(&c, 3, k + 1, b.ids, b.targets);
            same += memcmp(a.ids, b.ids, 128 * sizeof *a.ids) == 0;
            wf_task_draw(&c, 3, k, b.ids, b.targets);
            assert_memory_equal(a.ids, b.ids, 128 * sizeof *a.ids);
            assert_memory_equal(a.targets, b.targets, 128 * sizeof *a.targets);
            wf_task_draw(&c, 4, k, b.ids, b.targets);
            same += memcmp(a.ids, b.ids, 128 * sizeof *a.ids) == 0;
        }
        assert_int_equal(same, 0);
    }
}

static void test_balance(void **state) {
    static const struct {
        const char *task;
        int64_t length;
        int32_t yes;
    } two[] = {{"parity", 30, 1}, {"pathfinder", 128, 257}, {"pathfinder", 1025, 257}};
    static sample s;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(two); i++) {
        wf_task_config c = read_task(two[i].task, "", two[i].length);
        int64_t yes = 0, n = 200;
        for (int64_t k = 0; k < n; k++) {
            wf_task_draw(&c, 1, (uint64_t)k, s.ids, s.targets);
            yes += s.targets[c.length - 1] == two[i].yes;
        }
        assert_true(yes > 3 * n / 10 && yes < 7 * n / 10);
    }
}

static void test_refused(void **state) {
    static const struct {
        const char *text;
        int64_t length;
        const char *says;
    } bad[] = {{"copyin", 64, "did you mean 'copying'"},
               {"", 64, "no task"},
               {"copying:token=3", 64, "did you mean 'tokens'"},
               {"copying:tokens", 64, "key=value"},
               {"copying:tokens=x", 64, "between"},
               {"copying:tokens=0", 64, "between"},
               {"copying:tokens=3x", 64, "between"},
               {"copying", 12, "at least 20"},
               {"mqar:pairs=40", 64, "at least 160"},
               {"pathfinder", 64, "at least 101"}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        wf_task_config c;
        weft_error err = {0};
        assert_int_equal(wf_task_read(bad[i].text, bad[i].length, &c, &err), WEFT_USAGE);
        if (!strstr(err.message, bad[i].says))
            fail_msg("%s: %s", bad[i].text, err.message);
    }
}

static void test_every_task_has_a_checker(void **state) {
    (void)state;
    for (size_t i = 0; wf_tasks[i]; i++) {
        bool found = false;
        for (size_t k = 0; k < COUNT_OF(rows); k++)
            found |= strcmp(rows[k].task, wf_tasks[i]->name) == 0;
        if (!found)
            fail_msg("task %s has no checker", wf_tasks[i]->name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers), cmocka_unit_test(test_samples),
                                       cmocka_unit_test(test_balance), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_every_task_has_a_checker)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
