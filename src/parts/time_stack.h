/* time_stack.h - rows made one after the other become one tensor. */
#ifndef WF_PARTS_TIME_STACK_H
#define WF_PARTS_TIME_STACK_H
#include "tensor/ops.h"
/* rows[i] [B,1,..] -> [B,n,..], joined pairwise so that each row is copied log n times. n >= 1. */
wf_tensor *wf_time_stack(wf_tape *tape, wf_tensor **rows, int64_t n);
#endif
