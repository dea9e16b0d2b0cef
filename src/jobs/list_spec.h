/* list_spec.h - part of the job `list`: the grammar of specs as a page of Markdown (docs/spec.md). */
#ifndef WF_JOBS_LIST_SPEC_H
#define WF_JOBS_LIST_SPEC_H
#include "base/str.h"
#include "mixers/mixer.h"

/* What a row says of itself, in words. */
const char *wf_mixer_forms(const wf_mixer *row);
const char *wf_mixer_state_law(const wf_mixer *row); /* how the bytes of a sequence's state grow */
void wf_spec_page(wf_str *out);
#endif
