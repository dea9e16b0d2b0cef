/* simd_fill.c - calls the fillers of every group of this instruction set. */
#include "kernels/vec/fill.h"

#define WF_GROUP(group) void WF_FILL_NAME(group, WF_ISA)(wf_kernels * k);
#include "kernels/groups.def"
#undef WF_GROUP

WF_FILL(all) {
#define WF_GROUP(group) WF_FILL_NAME(group, WF_ISA)(k);
#include "kernels/groups.def"
#undef WF_GROUP
}
