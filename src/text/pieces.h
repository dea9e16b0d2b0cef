/* pieces.h - a vocabulary that is a list of pieces with scores: Unigram models, and SentencePiece's own. Beside
 * tokenizer.json's members there is `kinds`, a letter per piece: n normal, u unknown, c control, d user-defined, x unused, b
 * byte; without it unk_id is unknown and all others are normal. */
#ifndef WF_TEXT_PIECES_H
#define WF_TEXT_PIECES_H
#include "text/engine.h"
#include "text/trie.h"

typedef enum wf_piece_kind {
    WF_PIECE_NORMAL = 'n',
    WF_PIECE_UNKNOWN = 'u',
    WF_PIECE_CONTROL = 'c',
    WF_PIECE_USER = 'd',
    WF_PIECE_UNUSED = 'x',
    WF_PIECE_BYTE = 'b'
} wf_piece_kind;

typedef struct wf_pieces {
    size_t count;
    const double *scores;
    const char *kinds; /* in the arena */
    bool given_kinds;
    uint32_t unknown; /* UINT32_MAX: none */
    bool byte_fallback;
} wf_pieces;

/* The texts are in tok->vocab, in the order of the ids. */
weft_status wf_load_pieces(wf_loading *l, const wf_model_source *s, wf_pieces *out);
wf_bytes wf_pieces_text(const wf_tokenizer *tok, uint32_t id);
/* A trie of the pieces of one kind; empty when there are none. WF_PIECE_NORMAL takes user-defined and unused ones along. */
weft_status wf_pieces_trie(wf_loading *l, const wf_pieces *p, wf_piece_kind kind, wf_trie *out);
#endif
