/* tokenizer.h - text to token ids and back, with the ids of the reference: every component of tokenizer.json (Hugging Face
 * tokenizers), and the other kinds of vocabulary files (file_kinds.h).
 *
 *     wf_tokenizer *tok;
 *     WF_TRY(wf_tokenizer_open(mem, "model/tokenizer.json", &tok, err));
 *     wf_ids ids = wf_ids_new(mem);
 *     weft_status s = wf_tokenizer_encode(tok, "Hello", 5, 0, &ids, err);
 *
 * Bytes that are not valid UTF-8: they pass through the byte level like any others, so decoding gives exactly the bytes that
 * were encoded (unless the file names a normalizer). Pre-tokenizers see each such byte as one character that is neither letter,
 * number nor space; normalizers copy it; models over characters treat it as an unknown character of one byte. References that
 * take text only never see such input.
 * Special strings in the text (added tokens of the file) become their ids, as in the reference, unless WF_ENCODE_PLAIN.
 *
 * Thread rule: a wf_tokenizer never changes after its creation; any number of threads may share it. A wf_encoder and a
 * wf_text_stream belong to one thread. */
#ifndef WF_TEXT_TOKENIZER_H
#define WF_TEXT_TOKENIZER_H
#include <stdbool.h>
#include "base/env.h"
#include "base/json.h"
#include "base/str.h"

typedef struct wf_tokenizer wf_tokenizer;

/* ---- making one ---- */

/* The byte tokenizer: the id of a byte is its value, the special tokens follow from 256 on. Its vocabulary in tokenizer.json is
 * written in the order of the ids. */
weft_status wf_tokenizer_bytes(const wf_mem *mem, const char *const *specials, size_t n_specials, wf_tokenizer **out,
                               weft_error *err);

typedef struct wf_bpe_training {
    size_t vocab_size;           /* special tokens, 256 letters and merges together */
    uint64_t min_frequency;      /* pairs seen less often are not merged; 0 means 2 */
    const char *const *specials; /* they take the first ids, the letters the next 256 */
    size_t n_specials;
    const size_t *ends; /* where the texts inside `text` end, ascending; NULL: one text */
    size_t n_ends;
    const wf_env *env; /* may be NULL; its stop flag ends the training */
} wf_bpe_training;

/* Byte-level BPE, trained as Hugging Face's BpeTrainer does with the 256 letters as initial alphabet: words by the GPT-2
 * pattern, the most frequent pair first, the smallest pair of ids among equals. Deterministic. A text with too few pairs gives
 * a smaller vocabulary. */
weft_status wf_tokenizer_train(const wf_mem *mem, const wf_bpe_training *how, const void *text, size_t length,
                               wf_tokenizer **out, weft_error *err);

/* An untrained tokenizer of a usual build, for wf_tokenizer_train_on. `kind`: bpe (byte-level), bpe-char, wordpiece, unigram,
 * wordlevel; WEFT_USAGE for another, naming these. */
weft_status wf_tokenizer_blank(const wf_mem *mem, const char *kind, wf_tokenizer **out, weft_error *err);

typedef struct wf_bytes {
    const char *data;
    size_t length;
} wf_bytes;
typedef struct wf_training {
    const wf_tokenizer *start; /* its normalizer, pre-tokenizer and model options; its vocabulary does not count */
    /* The options of the reference's trainer for the model of `start` (an object: vocab_size, min_frequency, special_tokens,
     * initial_alphabet, limit_alphabet, continuing_subword_prefix, end_of_word_suffix, max_token_length, max_piece_length,
     * shrinking_factor, n_sub_iterations, seed_size, unk_token); NULL: the reference's defaults. An unknown one is an error. */
    const wf_json *options;
    const wf_env *env; /* may be NULL; its stop flag ends the training */
} wf_training;
/* Trains BPE, WordPiece, Unigram or WordLevel on n texts. Deterministic; ties go to the smallest pair of ids. */
weft_status wf_tokenizer_train_on(const wf_mem *mem, const wf_training *how, const wf_bytes *texts, size_t n,
                                  wf_tokenizer **out, weft_error *err);

/* From the text of a tokenizer.json. What the engine lacks is refused by name with WEFT_UNSUPPORTED. */
weft_status wf_tokenizer_parse(const wf_mem *mem, const char *json, size_t length, wf_tokenizer **out, weft_error *err);
/* From a file of any kind (file_kinds.h tells them apart by name and content), or from a folder, whose tokenizer file is found
 * by its name. Gzipped files are read too. Messages start with the path. */
weft_status wf_tokenizer_open(const wf_mem *mem, const char *path, wf_tokenizer **out, weft_error *err);
/* The same, with the threads of the pool (NULL: none) for a large file; the tokenizer does not keep it. */
weft_status wf_tokenizer_open_on(const wf_mem *mem, wf_pool *pool, const char *path, wf_tokenizer **out, weft_error *err);
/* The tokenizer of what is translated into, where the folder has another one than wf_tokenizer_open finds; *out is NULL where
 * it has not. */
weft_status wf_tokenizer_open_target(const wf_mem *mem, const char *folder, wf_tokenizer **out, weft_error *err);
/* Writes tokenizer.json at `path`: the very bytes it was read from, or what Hugging Face's `tokenizers` opens with equal ids. A
 * tokenizer of another kind of file is written in weft's own words where tokenizer.json has none (file_kinds.h). */
weft_status wf_tokenizer_save(const wf_tokenizer *tok, const char *path, weft_error *err);
/* The text that saving writes; it lives as long as the tokenizer. */
void wf_tokenizer_json(const wf_tokenizer *tok, const char **text, size_t *length);
void wf_tokenizer_free(wf_tokenizer *tok); /* NULL is fine */

/* ---- what it is ---- */
size_t wf_tokenizer_vocab(const wf_tokenizer *tok);    /* the largest id + 1 */
uint64_t wf_tokenizer_digest(const wf_tokenizer *tok); /* of its tokenizer.json: equal tokenizers, equal digests */
/* The id of a token as the file spells it ("<|endoftext|>", "Ġthe"), -1 when there is none. */
int64_t wf_tokenizer_id(const wf_tokenizer *tok, const char *text, size_t length);
/* Appends the bytes a token stands for inside a text; for counting bytes per token. Ids out of range and unused ids have none.
 */
void wf_tokenizer_put_token(const wf_tokenizer *tok, uint32_t id, wf_str *out);
/* A file without a decoder: a blank stands between two tokens. */
bool wf_tokenizer_blanks(const wf_tokenizer *tok);
wf_bytes wf_tokenizer_piece(const wf_tokenizer *tok, uint32_t id); /* the token as the file spells it */
bool wf_tokenizer_is_special(const wf_tokenizer *tok, uint32_t id);
/* Whether tokens inside a word are spelled with a prefix (##ing). */
bool wf_tokenizer_marks_words(const wf_tokenizer *tok);

/* ---- encoding: ids only ---- */
typedef struct wf_ids {
    uint32_t *data;
    size_t count, capacity;
    const wf_mem *mem;
} wf_ids;
wf_ids wf_ids_new(const wf_mem *mem);
void wf_ids_free(wf_ids *ids);

enum {
    WF_ENCODE_SPECIALS = 1,    /* add what the post-processor adds (bos, eos ...) */
    WF_ENCODE_PLAIN = 2,       /* special strings in the text are plain text; other added tokens still match */
    WF_ENCODE_UNLIMITED = 4,   /* wf_encode_text, _batch: do not truncate and pad as the file says */
    WF_ENCODE_BYTE_OFFSETS = 8 /* spans count bytes of the original text instead of characters */
};
/* Appends the ids of one text, whole: truncation and padding are for wf_encode_text. Time grows as n log n at worst (one
 * endless word), else linearly. */
weft_status wf_tokenizer_encode(const wf_tokenizer *tok, const void *text, size_t length, unsigned flags, wf_ids *ids,
                                weft_error *err);

/* The same with the scratch memory and the cache of words kept between texts. */
typedef struct wf_encoder wf_encoder;
weft_status wf_encoder_create(const wf_tokenizer *tok, wf_encoder **out, weft_error *err);
weft_status wf_encode(wf_encoder *e, const void *text, size_t length, unsigned flags, wf_ids *ids, weft_error *err);
void wf_encoder_free(wf_encoder *e);
/* An encoder for every thread of the pool of `env`, which must outlive the set. A set is used by one caller at a time. */
typedef struct wf_encoders wf_encoders;
weft_status wf_encoders_create(const wf_tokenizer *tok, const wf_env *env, wf_encoders **out, weft_error *err);
void wf_encoders_free(wf_encoders *s); /* NULL is fine */
/* n texts over the threads, text i into ids[i] (made with wf_ids_new), long ones as wf_encode_on does; the same ids for every
 * number of threads. After an error the lists hold anything. */
weft_status wf_encode_many(wf_encoders *s, const wf_bytes *texts, size_t n, unsigned flags, wf_ids *ids, weft_error *err);
/* One text over the threads, with the ids of wf_encode, where the tokenizer's stages let a long text be cut; else on one. */
weft_status wf_encode_on(wf_encoders *s, wf_bytes text, unsigned flags, wf_ids *ids, weft_error *err);
enum { WF_LONG_TEXT = 1 << 20 }; /* bytes from which on that is worth it */
/* Runs fn(user, e, i, err) for every i below n over the threads, with the encoder of the thread. */
typedef weft_status (*wf_encoders_fn)(void *user, wf_encoder *e, size_t i, weft_error *err);
weft_status wf_encoders_each(wf_encoders *s, size_t n, wf_encoders_fn fn, void *user, weft_error *err);
/* The same, and done(user, i, err) in the order of i on the caller's thread while the others go on. fn begins with i only when
 * done has returned for i - ahead: what they share can be kept in so many places. */
typedef weft_status (*wf_encoders_done)(void *user, size_t i, weft_error *err);
weft_status wf_encoders_in_order(wf_encoders *s, size_t n, size_t ahead, wf_encoders_fn fn, wf_encoders_done done, void *user,
                                 weft_error *err);

/* ---- encoding in full ---- */
typedef struct wf_span {
    uint32_t start, end; /* in the text (or in the word of a list of words) the token comes from; 0,0 for special tokens */
} wf_span;
typedef struct wf_encoding wf_encoding;
struct wf_encoding { /* arrays of [count] */
    size_t count, capacity;
    uint32_t *ids, *types;
    wf_span *spans;     /* in characters, see WF_ENCODE_BYTE_OFFSETS */
    int32_t *words;     /* the word of a list, else the piece of the pre-tokenizer; -1 for special tokens */
    int32_t *sequences; /* 0 the text, 1 the pair, -1 special tokens */
    uint8_t *special, *attention;
    wf_bytes *pieces;      /* the token as text; a view that lives as long as the tokenizer and this encoding */
    wf_encoding *overflow; /* [n_overflow] what truncation cut off, in windows that overlap by its stride */
    size_t n_overflow;
    wf_arena arena; /* of texts that are no token's (unknown pieces of Unigram models) */
};
wf_encoding wf_encoding_new(const wf_mem *mem);
void wf_encoding_free(wf_encoding *g);

typedef struct wf_text_input { /* a text, or the words of one */
    wf_bytes text;
    const wf_bytes *words; /* NULL: `text` */
    size_t n_words;
} wf_text_input;
/* One text, or a pair of them (`pair` may be NULL), truncated and padded as the file says. `out` is emptied first. */
weft_status wf_encode_text(wf_encoder *e, const wf_text_input *text, const wf_text_input *pair, unsigned flags,
                           wf_encoding *out, weft_error *err);
/* n texts together, padded to the longest where the file asks for that. pairs NULL, or n of them. */
weft_status wf_encode_batch(wf_encoder *e, const wf_text_input *texts, const wf_text_input *pairs, size_t n, unsigned flags,
                            wf_encoding *out, weft_error *err);

typedef struct wf_truncation {
    bool on;
    size_t max_length, stride;
    enum { WF_CUT_LONGEST, WF_CUT_FIRST, WF_CUT_SECOND } strategy;
    bool left; /* cut off the beginning */
} wf_truncation;
typedef struct wf_padding {
    bool on;
    size_t length;   /* 0: the longest of the batch */
    size_t multiple; /* 0: any length */
    bool left;
    uint32_t id, type;
    wf_bytes token;
} wf_padding;
/* Other limits than the file's from here on; NULL leaves one as it is. The token's text must outlive the encoder. */
void wf_encoder_limits(wf_encoder *e, const wf_truncation *truncation, const wf_padding *padding);

/* Single stages, to look inside. The whole text through the normalizer; the pieces that the pre-tokenizer makes of the whole
 * text without the normalizer (in `pieces` and `spans`; ids are 0). */
weft_status wf_encode_normalized(wf_encoder *e, wf_bytes text, wf_str *out, weft_error *err);
weft_status wf_encode_pretokens(wf_encoder *e, wf_bytes text, unsigned flags, wf_encoding *out, weft_error *err);

/* ---- decoding ---- */
enum {
    WF_DECODE_SKIP_SPECIALS = 1,
    WF_DECODE_TEXT =
        2 /* the text of the reference: what is not UTF-8 becomes U+FFFD. Else byte-level bytes stay as they are. */
};
/* Appends the text of the ids; ids that name no token are skipped, as the reference does. WEFT_FAILURE when a regular
 * expression of the decoder needs too many steps. */
weft_status wf_tokenizer_decode(const wf_tokenizer *tok, const uint32_t *ids, size_t count, unsigned flags, wf_str *out,
                                weft_error *err);

/* Decoding one id at a time: what comes out never ends inside a UTF-8 character. With WF_DECODE_TEXT each put gives what the
 * reference's DecodeStream gives. */
typedef struct wf_text_stream {
    const wf_tokenizer *tok;
    unsigned flags;
    uint8_t held[4]; /* the beginning of a character */
    size_t n_held;
    wf_ids window; /* ids whose text matters for the next one */
    wf_str prefix; /* their text so far given out */
    size_t prefix_ids;
} wf_text_stream;
wf_text_stream wf_text_stream_new(const wf_tokenizer *tok, unsigned flags);
void wf_text_stream_free(wf_text_stream *s);
/* Before the first id: the text goes on behind these, whose own text does not come out (a decoder that takes the space off the
 * first word of a text does not take it off a later one). */
weft_status wf_text_stream_follow(wf_text_stream *s, const uint32_t *ids, size_t n, weft_error *err);
/* Appends the characters that are complete now. */
weft_status wf_text_stream_put(wf_text_stream *s, uint32_t id, wf_str *out, weft_error *err);
/* Appends what is held, as it is. */
weft_status wf_text_stream_end(wf_text_stream *s, wf_str *out, weft_error *err);
#endif
