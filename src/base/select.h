/* select.h - the largest of many numbers, chosen as torch.topk chooses on a CPU: what decides between equal ones is the order
 * in which the C++ library of GNU moves them (std::nth_element and std::partial_sort), so that order is kept. */
#ifndef WF_BASE_SELECT_H
#define WF_BASE_SELECT_H
#include <stdint.h>

typedef struct wf_ranked {
    float value;
    int32_t index;
} wf_ranked;

/* Moves the `keep` largest of x[n] to the front, in no order; 1 <= keep <= n. */
void wf_select_largest(wf_ranked *x, int64_t n, int64_t keep);
#endif
