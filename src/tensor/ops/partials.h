/* partials.h - what attention computed in parts is made whole with (merge_partials.c). */
#ifndef WF_TENSOR_OPS_PARTIALS_H
#define WF_TENSOR_OPS_PARTIALS_H
#include <stdint.h>

/* ln of the sum of e^lse over the parts of a token, added in their order; -INFINITY where none has keys. Part p stands at
 * lse[place[p*step]], or, without places, at lse[p*step]. */
float wf_join_lse(const float *lse, const int32_t *place, int64_t parts, int64_t step);
#endif
