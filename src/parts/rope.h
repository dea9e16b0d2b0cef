/* rope.h - rotary angles: theta, partial rotation, pairing and every scaling of the field, from the spec object
 * {theta, dim, pairing, reverse (turns the other way), scaling: {type: linear|dynamic|yarn|longrope|llama3, ...}}. Sources: Su
 * et al. 2021; Peng et al. 2023 (YaRN, arXiv 2309.00071); Ding et al. 2024 (LongRoPE, arXiv 2402.13753); the Llama 3 frequency
 * rule. */
#ifndef WF_PARTS_ROPE_H
#define WF_PARTS_ROPE_H
#include "base/expr.h"
#include "tensor/ops.h"

/* Fills args (pairs, pairing, frequencies in the arena, magnitude) for heads of `key_dim` channels. `length`: positions reached
 * by the call, for dynamic and longrope. Unknown keys and types are errors that name them. */
weft_status wf_rope_args(wf_arena *arena, const wf_json *rope, int64_t key_dim, int64_t length, wf_rotate_args *args,
                         weft_error *err);
/* Checks the object without computing anything. */
weft_status wf_rope_check(const wf_mem *mem, const wf_json *rope, int64_t key_dim, weft_error *err);
/* ALiBi slopes (Press et al. 2022, arXiv 2108.12409), [heads] in the arena; NULL when out of memory. */
float *wf_alibi_slopes(wf_arena *arena, int64_t heads);
#endif
