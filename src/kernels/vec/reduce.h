/* reduce.h - the lane sums of WF_VL vectors at once: lane i of the result is the sum of vector i. Pairs of vectors are folded
 * together, so that one sum costs about three instructions. The tree is that of vf_sum: the same bits. */
#ifndef WF_KERNELS_REDUCE_H
#define WF_KERNELS_REDUCE_H
#include "kernels/vec/vec.h"

#ifdef __has_builtin
#if __has_builtin(__builtin_shufflevector)
#define WF_FOLD(a, b, lo, hi) (__builtin_shufflevector(a, b, lo) + __builtin_shufflevector(a, b, hi))
#endif
#endif

#ifdef WF_FOLD
/* Lanes taken by each step: A from the first vector, B from the second, in groups of half the distance folded. */
#if WF_VL == 16
#define WF_LO8 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define WF_HI8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#define WF_LO4 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define WF_HI4 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define WF_LO2 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define WF_HI2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define WF_LO1 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define WF_HI1 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31
#elif WF_VL == 8
#define WF_LO4 0, 1, 2, 3, 8, 9, 10, 11
#define WF_HI4 4, 5, 6, 7, 12, 13, 14, 15
#define WF_LO2 0, 1, 8, 9, 4, 5, 12, 13
#define WF_HI2 2, 3, 10, 11, 6, 7, 14, 15
#define WF_LO1 0, 8, 2, 10, 4, 12, 6, 14
#define WF_HI1 1, 9, 3, 11, 5, 13, 7, 15
#else
#define WF_LO2 0, 1, 4, 5
#define WF_HI2 2, 3, 6, 7
#define WF_LO1 0, 4, 2, 6
#define WF_HI1 1, 5, 3, 7
#endif
#endif

WF_INLINE vf vf_sum_rows(const vf v[WF_VL]) {
    vf r[WF_VL];
#ifdef WF_FOLD
    for (int i = 0; i < WF_VL; i++)
        r[i] = v[i];
#if WF_VL >= 16
    for (int i = 0; i < 8; i++)
        r[i] = WF_FOLD(r[i], r[i + 8], WF_LO8, WF_HI8);
#endif
#if WF_VL >= 8
    for (int i = 0; i < 4; i++)
        r[i] = WF_FOLD(r[i], r[i + 4], WF_LO4, WF_HI4);
#endif
    for (int i = 0; i < 2; i++)
        r[i] = WF_FOLD(r[i], r[i + 2], WF_LO2, WF_HI2);
    return WF_FOLD(r[0], r[1], WF_LO1, WF_HI1);
#else
    for (int i = 0; i < WF_VL; i++)
        r[0][i] = vf_sum(v[i]);
    return r[0];
#endif
}
#endif
