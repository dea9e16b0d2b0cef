/* ref.h - the plain C forms: wf_ref_<name> for every line of kernels.def. They are the specification: written to be read, in
 * double inside where that costs nothing, and what every vector form is tested against. */
#ifndef WF_KERNELS_REF_H
#define WF_KERNELS_REF_H
#include "kernels/kernels.h"

#define WF_KERNEL(result, name, args) result wf_ref_##name args;
#include "kernels/kernels.def"
#undef WF_KERNEL

#endif
