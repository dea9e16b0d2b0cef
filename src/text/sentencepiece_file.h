/* sentencepiece_file.h - what a SentencePiece .model file says, and the tokenizer.json written of it. */
#ifndef WF_TEXT_SENTENCEPIECE_FILE_H
#define WF_TEXT_SENTENCEPIECE_FILE_H
#include "text/file_kinds.h"
#include "text/write_json.h"

typedef enum wf_sentencepiece_type { WF_SP_UNIGRAM = 1, WF_SP_BPE, WF_SP_WORD, WF_SP_CHAR } wf_sentencepiece_type;
typedef enum wf_sentencepiece_kind { WF_SP_NORMAL = 1, WF_SP_UNKNOWN, WF_SP_CONTROL, WF_SP_USER } wf_sentencepiece_kind;

typedef struct wf_sentencepiece {
    const wf_kind_input *in; /* its first file; checked */
    wf_bytes charsmap, unknown_surface;
    bool dummy_prefix, remove_extra, escape, suffix, byte_fallback;
    uint64_t type; /* wf_sentencepiece_type */
    int64_t bos, eos;
    size_t pieces;
    wf_str kinds; /* a letter for every piece (pieces.h) */
    int64_t unknown;
    weft_error *err;
} wf_sentencepiece;

typedef struct wf_sentencepiece_piece {
    wf_bytes text;
    float score;
    uint64_t type; /* wf_sentencepiece_kind and others */
} wf_sentencepiece_piece;

typedef void (*wf_piece_fn)(void *user, uint32_t id, const wf_sentencepiece_piece *p);
void wf_each_piece(const wf_sentencepiece *m, void *user, wf_piece_fn fn);
char *wf_piece_name(const wf_sentencepiece *m, wf_arena *arena, int64_t id); /* NULL when there is none */

/* Appends the tokenizer.json, as the class that the options name reads the file; `vocab` is the text of its vocab.json, NULL
 * where the ids are those of the file. */
weft_status wf_write_sentencepiece(const wf_sentencepiece *m, const wf_bytes *vocab, wf_arena *arena, wf_str *json);
#endif
