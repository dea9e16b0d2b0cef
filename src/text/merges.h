/* merges.h - reading the merges of a tokenizer.json into a wf_model_source. */
#ifndef WF_TEXT_MERGES_H
#define WF_TEXT_MERGES_H
#include "text/engine.h"

/* A share of the list. */
weft_status wf_merges_share(const wf_loading *l, wf_share *s);
/* The place of the list's bracket, where it seems to stand behind the vocabulary that `r` has just entered; 0: there is none.
 */
size_t wf_merges_find(const wf_loading *l, const wf_json_reader *r);
/* The list that `r` has just entered. Nothing is left to do where it was read ahead and nothing was wrong. */
weft_status wf_merges_read(wf_loading *l, wf_json_reader *r, wf_model_source *s);
/* The parts of a merge, and where in the file it is. */
size_t wf_merge_parts(const wf_loading *l, const wf_share *s, const wf_merge_text *m, wf_bytes parts[2]);
#endif
