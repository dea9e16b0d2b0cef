#include "parts/time_stack.h"

wf_tensor *wf_time_stack(wf_tape *tape, wf_tensor **rows, int64_t n) {
    if (n == 1)
        return rows[0];
    wf_tensor *a = wf_time_stack(tape, rows, n / 2), *b = wf_time_stack(tape, rows + n / 2, n - n / 2);
    return a && b ? wf_time_concat(tape, a, b) : NULL;
}
