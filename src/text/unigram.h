/* unigram.h - rows of the table of models. */
#ifndef WF_TEXT_UNIGRAM_H
#define WF_TEXT_UNIGRAM_H
#include "text/engine.h"

weft_status wf_load_unigram(wf_loading *l, const wf_model_source *s, void **model);
void wf_release_unigram(void *model, const wf_mem *mem);
weft_status wf_encode_unigram(const void *model, wf_encoder *e, wf_piece piece);
#endif
