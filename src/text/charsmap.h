/* charsmap.h - the precompiled maps of SentencePiece models: which strings are replaced by which. A map is a little-endian u32
 * with the bytes of a trie, the trie (a double array of u32), and replacements that each end in a zero byte. The two
 * normalizers over it read it differently: tokenizer.json's Precompiled looks up whole grapheme clusters and takes the shortest
 * hit, SentencePiece takes the longest hit at every position. */
#ifndef WF_TEXT_CHARSMAP_H
#define WF_TEXT_CHARSMAP_H
#include "text/change.h"
#include "text/loading.h"

typedef struct wf_charsmap {
    const uint8_t *trie; /* unaligned u32s */
    size_t units;
    wf_bytes strings;
    bool keeps[128], quiet[128]; /* ASCII characters that are no key; that begin none together with another of them */
} wf_charsmap;

/* A view into `data`. WEFT_BAD_INPUT when the sizes do not fit. Offsets inside the trie are checked when they are followed. */
weft_status wf_charsmap_open(wf_bytes data, wf_charsmap *out, weft_error *err);
/* The replacement of the shortest or longest key that `text` begins with: *key is its length, 0 when there is none. */
wf_bytes wf_charsmap_find(const wf_charsmap *map, wf_bytes text, bool longest, size_t *key);
/* The map of a member in base64, in the arena; *out is empty when the member is absent or empty. */
weft_status wf_load_charsmap(wf_loading *l, const wf_json *object, const char *key, wf_charsmap *out);

/* Rows of the table of normalizers. */
weft_status wf_load_precompiled(wf_loading *l, const wf_json *j, void **options);
weft_status wf_apply_precompiled(const void *options, wf_piece in, wf_change *out, bool *changed, weft_error *err);
weft_status wf_load_sentencepiece(wf_loading *l, const wf_json *j, void **options);
weft_status wf_apply_sentencepiece(const void *options, wf_piece in, wf_change *out, bool *changed, weft_error *err);
#endif
