/* list_spec.h - part of the job `list`: the grammar of specs as a page of Markdown (docs/spec.md). */
#ifndef WF_JOBS_LIST_SPEC_H
#define WF_JOBS_LIST_SPEC_H
#include "base/str.h"

void wf_spec_page(wf_str *out);
#endif
