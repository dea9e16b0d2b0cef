/* wordpiece.h - models that look words up: rows of the table of models. */
#ifndef WF_TEXT_WORDPIECE_H
#define WF_TEXT_WORDPIECE_H
#include "text/engine.h"

/* WordPiece: the longest token that a word begins with, then the longest continuation (with a prefix in the vocabulary), and so
 * on; one unknown token for a word where that fails. */
weft_status wf_load_wordpiece(wf_loading *l, const wf_model_source *s, void **model);
weft_status wf_encode_wordpiece(const void *model, wf_encoder *e, wf_piece piece);
void wf_release_wordpiece(void *model, const wf_mem *mem);

/* WordLevel: the word, or the unknown token. */
weft_status wf_load_wordlevel(wf_loading *l, const wf_model_source *s, void **model);
weft_status wf_encode_wordlevel(const void *model, wf_encoder *e, wf_piece piece);

/* Greedy (the vocabularies of RWKV): at every byte the longest token; tokens are spelled in letters, pieces come in letters. */
weft_status wf_load_greedy(wf_loading *l, const wf_model_source *s, void **model);
weft_status wf_encode_greedy(const void *model, wf_encoder *e, wf_piece piece);
bool wf_greedy_takes_letters(const void *model);
void wf_release_greedy(void *model, const wf_mem *mem);
#endif
