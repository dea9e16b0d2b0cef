/* engine.h - the inside of a tokenizer: a pipeline of components, each a row of its table. Not for other rooms.
 *
 * Encoding goes depth first: a piece of text passes normalizers, is cut by the pre-tokenizers one after another, and each final
 * piece goes to the model, so nothing but the current piece is kept. A row adds a component: its name in tokenizer.json, how to
 * read its options, what it does. Rows live in normalizers.c, pretokenizers.c, models.c, decoders.c, postprocessors.c. */
#ifndef WF_TEXT_ENGINE_H
#define WF_TEXT_ENGINE_H
#include "base/json.h"
#include "text/matcher.h"
#include "text/regex.h"
#include "text/tokenizer.h"
#include "text/vocab.h"

enum {
    WF_STAGES_MAX = 16,    /* normalizers, and pre-tokenizers, of one file */
    WF_SEQUENCE_DEPTH = 8, /* Sequence inside Sequence */
    WF_PIECE_MAX = 1 << 30 /* bytes of one piece: positions are 32 bits */
};

/* Text on its way. `letters`: a ByteLevel stage was passed; each byte now stands for its letter. */
typedef struct wf_piece {
    const uint8_t *bytes;
    size_t length;
    bool letters;
} wf_piece;

/* What reading a file needs. Offsets in `section` trees count from `base`. */
typedef struct wf_loading {
    wf_tokenizer *tok;
    const char *where; /* "normalizer", "pre_tokenizer" ... for messages */
    int64_t base;
    weft_error *err;
} wf_loading;
weft_status wf_load_fail(const wf_loading *l, weft_status status, const wf_json *at, const char *fmt, ...) WF_PRINTF(4, 5);
/* A member of the given type. Absent or null: *out is `fallback`; of another type: an error. */
weft_status wf_load_bool(const wf_loading *l, const wf_json *object, const char *key, bool fallback, bool *out);
weft_status wf_load_text(const wf_loading *l, const wf_json *object, const char *key,
                         const wf_json **out); /* NULL when absent */
weft_status wf_load_id(const wf_loading *l, const wf_json *j, uint32_t *out);
/* An error at a byte of the file. */
weft_status wf_load_fail_at(const wf_loading *l, weft_status status, size_t at, const char *fmt, ...) WF_PRINTF(4, 5);
/* The value just read by `r` (entered, when it is a container) as a tree; its offsets count from *base. */
weft_status wf_load_value(const wf_loading *l, wf_json_reader *r, wf_json_kind kind, wf_json **out, int64_t *base);

typedef struct wf_normalizer_row {
    const char *name;
    weft_status (*load)(wf_loading *l, const wf_json *j, void **options);
    /* Writes the normalised text to `out` (empty at first) and sets *changed, or leaves both alone when nothing changes. */
    weft_status (*apply)(const void *options, wf_piece in, wf_str *out, bool *changed, weft_error *err);
} wf_normalizer_row;

typedef struct wf_pretokenizer_row {
    const char *name;
    weft_status (*load)(wf_loading *l, const wf_json *j, void **options);
    /* Cuts the piece and hands each part to wf_encoder_next(e, stage, part). */
    weft_status (*split)(const void *options, wf_encoder *e, int stage, wf_piece piece);
    void (*release)(const wf_mem *mem, void *options); /* may be NULL */
    bool makes_letters;                                /* pieces leave it as letters */
} wf_pretokenizer_row;

/* What was collected from the "model" object while it streamed past; the vocabulary went to tok->vocab. */
typedef struct wf_merge_text {
    size_t offset, at;
    uint32_t left, total;
} wf_merge_text; /* lengths; `at`: where in the file */
typedef struct wf_model_source {
    wf_json *options;  /* every member but vocab and merges */
    wf_str merge_pool; /* left and right side by side */
    wf_merge_text *merges;
    size_t n_merges, merges_capacity;
    bool has_vocab, has_merges;
} wf_model_source;

typedef struct wf_model_row {
    const char *name;
    weft_status (*load)(wf_loading *l, const wf_model_source *source, void **model); /* the model lives in the arena */
    weft_status (*encode)(const void *model, wf_encoder *e, wf_piece piece);
} wf_model_row;

typedef struct wf_decoder_row {
    const char *name;
    /* Appends the bytes a token decodes to. */
    void (*token)(const char *text, size_t length, wf_str *out);
} wf_decoder_row;

typedef struct wf_postprocessor_row {
    const char *name;
    weft_status (*load)(wf_loading *l, const wf_json *j); /* fills tok->before and tok->after */
} wf_postprocessor_row;

typedef struct wf_added {
    const char *content; /* in the arena */
    size_t length;
    uint32_t id;
    bool special, single_word, lstrip, rstrip, normalized;
} wf_added;

typedef struct wf_token { /* one id */
    const char *piece;    /* as the file spells it; NULL for an unused id */
    size_t bytes;         /* into `decoded` */
    uint32_t piece_length, bytes_length;
    bool special;
} wf_token;
typedef struct wf_stage {
    const void *row;
    void *options;
} wf_stage;
typedef struct wf_id_list {
    const uint32_t *data;
    size_t count;
} wf_id_list;

struct wf_tokenizer {
    const wf_mem *mem;
    wf_arena arena;
    char *json;
    size_t json_length;
    uint64_t digest;
    wf_vocab vocab; /* the model's; added tokens outside it are in `added_vocab` */
    wf_vocab added_vocab;
    wf_token *tokens; /* by id */
    size_t n_tokens;
    wf_str decoded; /* the bytes of all tokens */
    wf_added *added;
    size_t n_added;
    wf_matcher *match_raw, *match_normalized; /* NULL when there is nothing to find */
    wf_stage normalizers[WF_STAGES_MAX], pretokenizers[WF_STAGES_MAX];
    int n_normalizers, n_pretokenizers;
    const wf_model_row *model_row;
    void *model;
    const wf_decoder_row *decoder;
    wf_id_list before, after; /* what the post-processor puts around a text */
};

/* ---- the state of encoding ---- */
typedef struct wf_word_slot {
    uint64_t hash;
    uint32_t key, ids;
    uint16_t key_length, n_ids;
} wf_word_slot;
typedef struct wf_word_cache { /* short pieces and their ids; cleared when full */
    wf_word_slot *slots;
    size_t count;
    uint8_t *keys;
    size_t keys_used;
    uint32_t *ids;
    size_t ids_used;
} wf_word_cache;

typedef struct wf_bpe_symbol {
    uint32_t id, rank;
    int32_t previous, next;
} wf_bpe_symbol;
typedef struct wf_bpe_scratch {
    wf_bpe_symbol *symbols;
    size_t symbols_capacity;
    uint64_t *heap; /* rank << 32 | position */
    size_t heap_count, heap_capacity;
} wf_bpe_scratch;

struct wf_encoder {
    const wf_tokenizer *tok;
    const wf_mem *mem;
    unsigned flags;
    wf_ids *ids;
    weft_error *err;
    wf_str normalized[2];
    wf_str stage_text[WF_STAGES_MAX]; /* text a pre-tokenizer had to change */
    wf_word_cache cache;
    wf_bpe_scratch bpe;
    wf_str letters; /* a piece spelled in letters */
    wf_regex_scratch *regex;
};
/* Hands a piece to the pre-tokenizer after `stage`, or to the model. */
weft_status wf_encoder_next(wf_encoder *e, int stage, wf_piece piece);
weft_status wf_ids_push(wf_ids *ids, const uint32_t *data, size_t n, weft_error *err);

/* wordcache.c */
enum { WF_WORD_MAX = 48 }; /* bytes; longer pieces are not cached */
weft_status wf_word_cache_init(wf_word_cache *c, const wf_mem *mem, weft_error *err);
void wf_word_cache_free(wf_word_cache *c, const wf_mem *mem);
uint64_t wf_word_hash(const uint8_t *word, size_t length);
const wf_word_slot *wf_word_cache_find(const wf_word_cache *c, uint64_t hash, const uint8_t *word, size_t length);
void wf_word_cache_put(wf_word_cache *c, uint64_t hash, wf_piece word, const uint32_t *ids, size_t n);

/* ---- the tables ---- */
extern const wf_model_row wf_model_bpe;
const wf_normalizer_row *wf_normalizer_find(const char *name);
const wf_pretokenizer_row *wf_pretokenizer_find(const char *name);
const wf_model_row *wf_model_find(const char *name);
const wf_decoder_row *wf_decoder_find(const char *name);
const wf_postprocessor_row *wf_postprocessor_find(const char *name);

/* ---- reading and writing (load.c, load_parts.c, load_model.c, save.c) ---- */
weft_status wf_load_normalizer(wf_loading *l, const wf_json *j);
weft_status wf_load_pretokenizer(wf_loading *l, const wf_json *j);
weft_status wf_load_postprocessor(wf_loading *l, const wf_json *j);
weft_status wf_load_decoder(wf_loading *l, const wf_json *j);
weft_status wf_load_added(wf_loading *l, const wf_json *j);
weft_status wf_load_model(wf_loading *l, wf_json_reader *r);
weft_status wf_load_tokens(wf_loading *l); /* the table by id, once model, decoder and added tokens are known */

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

/* ---- pieces of the pre-tokenizers ---- */
/* Where the piece of the GPT-2 pattern that begins at `at` ends. */
size_t wf_gpt2_next(const uint8_t *text, size_t n, size_t at);
#endif
