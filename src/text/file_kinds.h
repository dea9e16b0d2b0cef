/* file_kinds.h - the kinds of files that hold a tokenizer. Every kind but tokenizer.json is rewritten as a tokenizer.json, in
 * words of weft's own where the format has none, so that there is one loader and every tokenizer can be saved:
 *
 *   normalizer     SentencePiece {precompiled_charsmap, add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces,
 *                  whitespace_as_suffix, prefix_first, kept}
 *   model          ScoredBPE {vocab: [[piece, score]], kinds, unk_id, byte_fallback}: pieces merged by score; `characters`: not
 *                  merged; `words`: neither, a word with its U+2581 in front is a piece or unknown
 *
 *                  ids {token: id} with unknown_id, beside a list of pieces with kinds: their ids, if those are not their
 *                  places
 *
 *                  Greedy {vocab}: the longest token at every byte
 *
 *                  Unigram's kinds and single_precision: as SentencePiece computes
 *
 *                  WordPiece's beginning_subword_prefix
 *
 *                  BPE's merge_ranks by_id: the rank of a merge is the id of what it makes; without `merges` every way to put a
 *                  token together from two others is one
 *
 *   decoder        SentencePiece, CleanSpaces, CleanText, ByteLevel's plain_tokens
 *   top level      added_token_ids, codes {opens, closes}: what is written so where a text begins is one token;
 *                  split_special_tokens: special strings in a text are plain text
 *   post_processor tokens without their ids: cls and sep of one member, short templates without special_tokens
 *   patterns       {"Perl": ...} */
#ifndef WF_TEXT_FILE_KINDS_H
#define WF_TEXT_FILE_KINDS_H
#include "base/json.h"
#include "base/pool.h"
#include "base/reader.h"
#include "text/tokenizer.h"

typedef struct wf_kind_input {
    const wf_mem *mem;
    const wf_bytes *files;  /* as many as the row names */
    const wf_json *options; /* an object, or NULL; an option the kind does not know is an error */
    wf_pool *pool;          /* NULL: one thread */
} wf_kind_input;

typedef struct wf_file_kind {
    const char *name;          /* "vocab.txt" ... */
    const char *const *folder; /* names in a folder that hold it, each with its companions: "vocab.json+merges.txt"; a star
                                  stands for digits; NULL at the end */
    const char *const *target; /* the same for the tokenizer of translations, where a folder has two; NULL: it has one */
    bool (*recognise)(const char *name, wf_bytes content); /* by the file's name and its content */
    const char *const *options;                            /* the names of its options, NULL at the end */
    const char *usual_class;                               /* the tokenizer_class of a folder that names none; NULL: none */
    size_t files;
    bool halves; /* of its files none is anything alone: either one opens both */
    /* Appends the text of a tokenizer.json; NULL: the file is one. */
    weft_status (*convert)(const wf_kind_input *in, wf_str *json, weft_error *err);
} wf_file_kind;

extern const wf_file_kind *const wf_file_kinds[]; /* NULL at the end */
const wf_file_kind *wf_file_kind_find(const char *name);

/* Opens files of a kind (NULL: told by name and content, of the first one). Options may be NULL. */
weft_status wf_tokenizer_open_as(const wf_mem *mem, const char *kind, const char *const *paths, size_t n,
                                 const wf_json *options, wf_tokenizer **out, weft_error *err);
/* The same from memory. */
weft_status wf_tokenizer_read_as(const wf_mem *mem, const wf_file_kind *kind, const wf_bytes *files, const wf_json *options,
                                 wf_tokenizer **out, weft_error *err);

/* The rows. */
extern const wf_file_kind wf_kind_tokenizer_json, wf_kind_vocab_txt, wf_kind_vocab_merges, wf_kind_vocabulary,
    wf_kind_sentencepiece, wf_kind_sentencepiece_ids, wf_kind_sentencepiece_source, wf_kind_tiktoken, wf_kind_rwkv,
    wf_kind_gguf, wf_kind_llama2c;
#endif
