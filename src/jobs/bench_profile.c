/* bench_profile.c - where the time of a benchmark goes, operation by operation. */
#include "jobs/bench.h"
#include "jobs/put.h"
#include "tensor/tape.h"

enum { SHARES = 32 };
typedef struct shares {
    const char *op[SHARES];
    double seconds[SHARES], total;
    int n;
} shares;

static void add_share(void *user, const char *op, wf_pass pass, double seconds, int calls) {
    shares *s = user;
    int i = 0;
    (void)pass;
    (void)calls;
    s->total += seconds;
    while (i < s->n && !wf_streq(s->op[i], op))
        i++;
    if (i == SHARES)
        return;
    s->n += i == s->n;
    s->op[i] = op;
    s->seconds[i] += seconds;
}

void wf_bench_tell_operations(wf_bench *b, wf_bench_line *line, const wf_tape *tape, double seconds) {
    shares s = {.n = 0};
    wf_json *out = wf_put_object(b->job->arena, line->extra, "operations");
    const char *note = "";
    wf_tape_profile_each(tape, add_share, &s);
    for (int i = 0; i < s.n; i++) {
        wf_put_number(b->job->arena, out, s.op[i], s.seconds[i]);
        if (s.seconds[i] > 0.02 * seconds)
            note = wf_bench_text(b, "%s%s%s %.0f %%", note, note[0] ? ", " : "", s.op[i], 100.0 * s.seconds[i] / seconds);
    }
    wf_put_number(b->job->arena, out, "outside", seconds - s.total);
    line->note = wf_bench_text(b, "%s%s(%s, outside %.0f %%)", line->note ? line->note : "", line->note ? " " : "", note,
                               100.0 * (1.0 - s.total / seconds));
}
