/* fill.h - how a simd source puts its forms into the record: one exported filler per source and instruction set.
 *
 *     WF_FILL(rows) {
 *         k->add = add;
 *     }
 */
#ifndef WF_KERNELS_FILL_H
#define WF_KERNELS_FILL_H
#include "kernels/kernels.h"

#define WF_FILL_PASTE(group, isa) wf_fill_##group##_##isa
#define WF_FILL_NAME(group, isa) WF_FILL_PASTE(group, isa)
#define WF_FILL(group)                                                                                                         \
    void WF_FILL_NAME(group, WF_ISA)(wf_kernels * k);                                                                          \
    void WF_FILL_NAME(group, WF_ISA)(wf_kernels * k)
#endif
