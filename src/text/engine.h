/* engine.h - the inside of a tokenizer: a pipeline of components, each a row of its table. Not for other rooms.
 *
 * Encoding goes depth first: a piece of text passes normalizers, is cut by the pre-tokenizers one after another, and each final
 * piece goes to the model, so nothing but the current piece is kept. Where offsets are asked for, every byte of a changed piece
 * carries the stretch of the original it comes from. A row adds a component: its name in tokenizer.json, how to read its
 * options, what it does. The tables are in normalizers.c, pretokenizers.c, models.c, decoders.c, postprocessors.c. */
#ifndef WF_TEXT_ENGINE_H
#define WF_TEXT_ENGINE_H
#include "base/json.h"
#include "text/bpe_queue.h"
#include "text/change.h"
#include "text/loading.h"
#include "text/matcher.h"
#include "text/regex.h"
#include "text/patterns.h"
#include "text/shares.h"
#include "text/tokenizer.h"
#include "text/vocab.h"

enum {
    WF_STAGES_MAX = 64,     /* normalizers, pre-tokenizers, decoders or post-processors of one file */
    WF_SEQUENCE_DEPTH = 64, /* Sequence inside Sequence */
    WF_PIECE_MAX = 1 << 30  /* bytes of one piece: positions are 32 bits */
};

typedef struct wf_normalizer_row {
    const char *name;
    weft_status (*load)(wf_loading *l, const wf_json *j, void **options); /* may be NULL */
    /* Puts the new text into `out` (empty at first) and sets *changed, or leaves both alone when nothing changes. */
    weft_status (*apply)(const void *options, wf_piece in, wf_change *out, bool *changed, weft_error *err);
    void (*release)(void *options); /* may be NULL */
    bool cuts; /* between an ASCII letter and a blank before another one, neither side knows of the other */
} wf_normalizer_row;

typedef struct wf_pretokenizer_row {
    const char *name;
    weft_status (*load)(wf_loading *l, const wf_json *j, void **options); /* may be NULL */
    /* Cuts the piece and hands each part to wf_encoder_next(e, stage, part). */
    weft_status (*split)(const void *options, wf_encoder *e, int stage, wf_piece piece);
    void (*release)(void *options); /* may be NULL */
    bool makes_letters;             /* pieces leave it as letters */
    /* Always begins a piece (or none) with a blank between two ASCII letters, whatever stands before and after; may be NULL. */
    bool (*cuts)(const void *options);
    bool (*needs_origin)(const void *options); /* asks where in the text a piece begins; may be NULL */
} wf_pretokenizer_row;

/* What was collected from the "model" object while it streamed past; a vocabulary with ids went to tok->vocab. */
typedef struct wf_model_source {
    wf_json *options; /* every member but vocab and merges */
    wf_shares merges; /* has_merges: read; else maybe read ahead */
    size_t n_scores;  /* of the pieces of a list, which went to tok->vocab and tok->scores */
    bool has_vocab, has_merges, has_list, has_ids;
} wf_model_source;

/* By what a file that does not name its model is told apart. */
typedef enum wf_model_needs { WF_NEEDS_NAME, WF_NEEDS_MERGES, WF_NEEDS_PREFIX, WF_NEEDS_VOCAB, WF_NEEDS_LIST } wf_model_needs;
typedef struct wf_model_row {
    const char *name;
    wf_model_needs needs;
    weft_status (*load)(wf_loading *l, const wf_model_source *source, void **model); /* the model lives in the arena */
    /* Appends the tokens of one piece, which is not empty, to e->units. */
    weft_status (*encode)(const void *model, wf_encoder *e, wf_piece piece);
    bool cached;                                     /* the tokens of short pieces are worth keeping */
    bool (*takes_letters)(const void *model);        /* pieces in letters need not be spelled; NULL: they must */
    void (*release)(void *model, const wf_mem *mem); /* may be NULL */
} wf_model_row;

/* Tokens as texts, on their way through decoders. */
typedef struct wf_texts {
    wf_str pool;
    size_t *ends;
    size_t count, capacity;
    const wf_mem *mem;
    bool failed;
} wf_texts;
wf_texts wf_texts_new(const wf_mem *mem);
void wf_texts_free(wf_texts *t);
void wf_texts_clear(wf_texts *t);
void wf_texts_put(wf_texts *t, const char *text, size_t length);
wf_bytes wf_texts_at(const wf_texts *t, size_t i);
/* A text that is put together: its parts are appended to t->pool, then it is closed. */
void wf_texts_close(wf_texts *t);

typedef struct wf_decoder_row {
    const char *name;
    weft_status (*load)(wf_loading *l, const wf_json *j, void **options); /* may be NULL */
    weft_status (*decode)(const void *options, const wf_texts *in, wf_texts *out, weft_error *err);
    /* Appends what a token that is not at the text's edges stands for. */
    void (*token)(const void *options, wf_bytes text, wf_str *out);
    bool by_token;                  /* alone, it decodes each token by itself */
    void (*release)(void *options); /* may be NULL */
} wf_decoder_row;

typedef struct wf_parts { /* encodings side by side: at first the text, and the pair */
    wf_encoding *list;
    size_t count, capacity;
    const wf_mem *mem;
} wf_parts;
typedef struct wf_postprocessor_row {
    const char *name;
    weft_status (*load)(wf_loading *l, const wf_json *j, void **options);
    size_t (*added)(const void *options, bool pair); /* tokens it adds */
    weft_status (*process)(const void *options, wf_parts *parts, bool specials, weft_error *err);
} wf_postprocessor_row;

typedef struct wf_added {
    const char *content; /* in the arena */
    size_t length;
    wf_bytes shown; /* the text it is found by */
    uint32_t id;
    bool special, single_word, lstrip, rstrip, normalized;
    bool reads_special; /* left out of a text without special tokens */
} wf_added;

typedef struct wf_token { /* one id */
    wf_bytes piece;       /* as the file spells it; data NULL for an unused id */
    wf_bytes shown; /* what decoding begins with: the piece, normalised when it is an added token found in normalised text */
    bool special;
} wf_token;
#define WF_ADDED_PLACE ((uint32_t)1 << 31)
typedef struct wf_stage {
    const void *row;
    void *options;
} wf_stage;
typedef struct wf_stages {
    wf_stage list[WF_STAGES_MAX];
    int count;
    bool given; /* the file has the section, maybe an empty one */
} wf_stages;
typedef struct wf_id_list {
    const uint32_t *data;
    size_t count;
} wf_id_list;

struct wf_tokenizer {
    const wf_mem *mem;
    wf_arena arena;
    char *json;
    size_t json_length;
    wf_vocab vocab;              /* the model's; added tokens outside it are in `added_vocab` */
    double *scores;              /* of the pieces of a list, as they are in `vocab`; NULL: it was no list */
    wf_vocab ids;                /* by token, where the file says them beside a list of pieces: then `vocab` has places in it */
    const uint32_t *id_of_piece; /* by that place; NULL: the same */
    wf_vocab added_vocab;
    uint32_t *places; /* by id: the entry of the outer vocabulary + 1, or WF_ADDED_PLACE + the added token; 0: unused */
    size_t n_tokens;
    wf_added *added;
    size_t n_added;
    const wf_vocab_entry **shadowed; /* tokens of the model whose ids added tokens have too (ids with gaps) */
    size_t n_shadowed;
    bool added_ids_given;
    wf_bytes code_opens, code_closes;         /* around a token that begins a text; empty: there are none */
    wf_matcher *match_raw, *match_normalized; /* NULL when there is nothing to find */
    size_t everywhere;                        /* of the normalized ones, that whose text is nothing, + 1; 0: none */
    wf_stages normalizers, pretokenizers, decoders, postprocessors;
    const wf_model_row *model_row;
    void *model;
    wf_truncation truncation;
    wf_padding padding;
    wf_id_list before, after; /* what the post-processors put around a single text */
    bool simple;              /* that is all they do to the ids of a single text */
    bool keeps_origin;        /* pieces must know where they begin, whatever is asked for */
    bool by_token;            /* the text of ids is that of each id, one after another */
    bool splits_specials;     /* special strings in a text are plain text */
    bool names_unknown;       /* the token of an unknown piece is the piece */
    bool cuts;                /* a text is its parts, cut before blanks between ASCII letters, one after another */
    uint32_t unknown;
};

/* The vocabulary with the ids that texts become. */
static inline const wf_vocab *wf_outer_vocab(const wf_tokenizer *tok) { return tok->id_of_piece ? &tok->ids : &tok->vocab; }

wf_token wf_token_of(const wf_tokenizer *tok, uint32_t id); /* any id */

/* ---- the state of encoding ---- */
typedef struct wf_unit { /* a token of the current piece, and the bytes of the piece it covers */
    uint32_t id, start, end;
} wf_unit;
typedef struct wf_units {
    wf_unit *data;
    size_t count, capacity;
} wf_units;

enum { WF_WORD_MAX = 48 /* bytes; longer pieces are not cached */ };
typedef struct wf_word_slot {
    uint64_t hash;
    uint32_t key, ids;
    uint16_t key_length, n_ids;
} wf_word_slot;
typedef struct wf_word_cache { /* short pieces and their tokens; cleared when full */
    wf_word_slot *slots;
    size_t count;
    uint8_t *keys;
    size_t keys_used;
    uint32_t *ids;
    uint8_t (*spans)[2];
    size_t ids_used;
} wf_word_cache;

typedef struct wf_bpe_symbol {
    uint32_t id, length; /* bytes of the piece */
} wf_bpe_symbol;
typedef struct wf_bpe_link { /* symbols of long words are linked */
    uint32_t rank;
    int32_t previous, next;
} wf_bpe_link;
typedef struct wf_bpe_scratch {
    wf_bpe_symbol *symbols;
    size_t count, symbols_capacity;
    wf_bpe_link *links;
    size_t links_capacity;
    wf_bpe_queue queue;
    wf_str text; /* a character with what is put around it */
} wf_bpe_scratch;

typedef struct wf_best_path { /* of a Viterbi search: the best way to each position */
    double score;
    uint32_t id, from; /* WF_NO_PATH: none yet */
} wf_best_path;
#define WF_NO_PATH UINT32_MAX

struct wf_encoder {
    const wf_tokenizer *tok;
    const wf_mem *mem;
    unsigned flags;
    wf_ids *ids;                                       /* where ids go, or: */
    wf_encoding *full;                                 /* where everything goes */
    bool capture;                                      /* pieces go there instead of their tokens, or: */
    weft_status (*on_word)(void *user, wf_bytes word); /* each piece goes there */
    void *on_word_user;
    weft_error *err;
    wf_change normalized[2];
    wf_change *stage_text[2 * WF_STAGES_MAX]; /* text a pre-tokenizer had to change, two a stage; made when needed */
    wf_word_cache cache;
    wf_units units;
    wf_bpe_scratch bpe;
    wf_best_path *paths;
    size_t paths_capacity;
    wf_str letters; /* a piece spelled in letters */
    wf_span *letter_align;
    size_t letter_align_capacity;
    wf_regex_scratch *regex;
    wf_truncation truncation;
    wf_padding padding;
    /* of the text that is being encoded in full */
    wf_bytes original;
    uint32_t *char_at; /* per byte: the number of its character; only filled when the text is not ASCII */
    size_t char_at_capacity;
    bool ascii;
    int32_t word, piece_number; /* word of a list, -1 when it is none; pieces so far */
};
/* Hands a piece to the pre-tokenizer after `stage`, or to the model. */
weft_status wf_encoder_next(wf_encoder *e, int stage, wf_piece piece);
weft_status wf_ids_push(wf_ids *ids, const uint32_t *data, size_t n, weft_error *err);
/* The buffer of a stage, emptied. */
weft_status wf_encoder_stage_text(wf_encoder *e, int stage, wf_piece in, wf_change **out);
/* Hands the pieces of a text, after normalizer and pre-tokenizer and without looking for added tokens, to `fn`. */
weft_status wf_encoder_words(wf_encoder *e, wf_bytes text, weft_status (*fn)(void *user, wf_bytes word), void *user,
                             weft_error *err);
/* The piece with its letters written out, when it is in letters. Valid until the next call. */
weft_status wf_encoder_spelled(wf_encoder *e, wf_piece in, wf_piece *out);
weft_status wf_units_grow(wf_encoder *e, size_t n); /* room for n more */
/* Hands on the units of a long piece so far. */
weft_status wf_units_flush(wf_encoder *e, wf_piece piece);
static inline weft_status wf_units_push(wf_encoder *e, uint32_t id, size_t start, size_t end) {
    if (e->units.count == e->units.capacity)
        WF_TRY(wf_units_grow(e, 1));
    e->units.data[e->units.count++] = (wf_unit){id, (uint32_t)start, (uint32_t)end};
    return WEFT_OK;
}

/* ---- encodings (encoding.c) ---- */
typedef struct wf_entry { /* one token of an encoding */
    uint32_t id, type;
    wf_span span;
    int32_t word, sequence;
    uint8_t special, attention;
    wf_bytes piece;
} wf_entry;
weft_status wf_encoding_push(wf_encoding *g, const wf_entry *x, weft_error *err);
wf_entry wf_encoding_at(const wf_encoding *g, size_t i);
void wf_encoding_clear(wf_encoding *g);
/* Appends `more`, with every overflow of one side beside every overflow of the other, as the reference merges. */
weft_status wf_encoding_join(wf_encoding *g, const wf_encoding *more, weft_error *err);
weft_status wf_encoding_copy(wf_encoding *g, const wf_encoding *from, weft_error *err);
weft_status wf_parts_push(wf_parts *parts, wf_encoding **out, weft_error *err); /* a new empty one */
void wf_parts_free(wf_parts *parts);
weft_status wf_truncate(const wf_truncation *t, size_t specials, wf_encoding *text, wf_encoding *pair, weft_error *err);
weft_status wf_pad(const wf_padding *p, wf_encoding *list, size_t n, weft_error *err);

/* ---- words met before (wordcache.c) ---- */
weft_status wf_word_cache_init(wf_word_cache *c, const wf_mem *mem, weft_error *err);
void wf_word_cache_free(wf_word_cache *c, const wf_mem *mem);
uint64_t wf_word_hash(const uint8_t *word, size_t length);
const wf_word_slot *wf_word_cache_find(const wf_word_cache *c, uint64_t hash, const uint8_t *word, size_t length);
void wf_word_cache_put(wf_word_cache *c, uint64_t hash, wf_piece word, const wf_unit *units, size_t n);

/* ---- the tables ---- */
const wf_normalizer_row *wf_normalizer_find(const char *name);
const wf_pretokenizer_row *wf_pretokenizer_find(const char *name);
const wf_model_row *wf_model_find(const char *name);
const wf_model_row *wf_model_guess(const wf_model_source *s); /* for a file that names none; NULL when none fits */
const wf_decoder_row *wf_decoder_find(const char *name);
const wf_postprocessor_row *wf_postprocessor_find(const char *name);

/* ---- reading and writing (load.c, load_parts.c, load_model.c, save.c) ---- */
/* As wf_tokenizer_parse, but the text, a block of `mem`, is the tokenizer's from here on, also after an error. NULL is an
 * error. `pool` may be NULL. */
weft_status wf_tokenizer_take(const wf_mem *mem, wf_pool *pool, char *json, size_t length, wf_tokenizer **out, weft_error *err);
weft_status wf_load_normalizer(wf_loading *l, const wf_json *j);
weft_status wf_load_pretokenizer(wf_loading *l, const wf_json *j);
weft_status wf_load_postprocessor(wf_loading *l, const wf_json *j);
weft_status wf_load_decoder(wf_loading *l, const wf_json *j);
weft_status wf_load_added(wf_loading *l, const wf_json *j);
weft_status wf_load_truncation(wf_loading *l, const wf_json *j);
weft_status wf_load_padding(wf_loading *l, const wf_json *j);
weft_status wf_load_model(wf_loading *l, wf_json_reader *r);
weft_status wf_load_tokens(wf_loading *l); /* the table by id, once model, decoder and added tokens are known */
/* Runs the decoders over texts: the result is in *a, with *b as the other buffer. */
weft_status wf_run_decoders(const wf_tokenizer *tok, wf_texts *a, wf_texts *b, weft_error *err);

typedef struct wf_bpe_writing {
    const char *const *specials; /* their ids are first_special, first_special + 1, ... */
    size_t n_specials, first_special;
    bool use_regex;            /* of ByteLevel */
    const char *const *tokens; /* the vocabulary by id */
    size_t n_tokens;
    const char *const *merges; /* "left right" */
    size_t n_merges;
} wf_bpe_writing;
/* The text of a byte-level BPE tokenizer.json. */
weft_status wf_write_bpe_json(const wf_bpe_writing *b, wf_str *out, weft_error *err);

/* Not empty, valid UTF-8, no two equal. */
weft_status wf_check_specials(const char *const *specials, size_t n, weft_error *err);
#endif
