/* ops_table.c - the table of op rows, for listing and for the suites that loop over it. */
#include "tensor/ops_table.h"

#define WF_OP(name) extern const wf_op wf_op_##name;
#include "tensor/ops.def"
#undef WF_OP

const wf_op *const wf_ops[] = {
#define WF_OP(name) &wf_op_##name,
#include "tensor/ops.def"
#undef WF_OP
    NULL};
