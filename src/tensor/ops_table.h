/* ops_table.h - every op row, NULL-terminated. */
#ifndef WF_TENSOR_OPS_TABLE_H
#define WF_TENSOR_OPS_TABLE_H
#include "tensor/tensor.h"
extern const wf_op *const wf_ops[];
#endif
