/* tokenizer.h - text to token ids and back: bytes, byte-level BPE trained here, and tokenizer.json files of byte-level BPE
 * models.
 *
 *     wf_tokenizer *tok;
 *     WF_TRY(wf_tokenizer_open(mem, "model/tokenizer.json", &tok, err));
 *     wf_ids ids = wf_ids_new(mem);
 *     weft_status s = wf_tokenizer_encode(tok, "Hello", 5, 0, &ids, err);
 *
 * Bytes that are not valid UTF-8: they pass through the byte level like any others, so decoding gives exactly the bytes that
 * were encoded (unless the file names a normalizer). Pre-tokenizers see each such byte as one character that is neither letter,
 * number nor space; normalizers copy it. References that take text only never see such input.
 * Special strings in the text (added tokens of the file) become their ids, as in the reference, unless WF_ENCODE_PLAIN.
 *
 * Thread rule: a wf_tokenizer never changes after its creation; any number of threads may share it. A wf_encoder and a
 * wf_text_stream belong to one thread. */
#ifndef WF_TEXT_TOKENIZER_H
#define WF_TEXT_TOKENIZER_H
#include <stdbool.h>
#include "base/env.h"
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

/* From the text of a tokenizer.json. What the engine lacks is refused by name with WEFT_UNSUPPORTED. */
weft_status wf_tokenizer_parse(const wf_mem *mem, const char *json, size_t length, wf_tokenizer **out, weft_error *err);
/* From a file, or the tokenizer.json of a folder. Messages start with the path. */
weft_status wf_tokenizer_open(const wf_mem *mem, const char *path, wf_tokenizer **out, weft_error *err);
/* Writes tokenizer.json at `path`: the very bytes it was read from, or what Hugging Face's `tokenizers` opens with equal ids.
 */
weft_status wf_tokenizer_save(const wf_tokenizer *tok, const char *path, weft_error *err);
void wf_tokenizer_free(wf_tokenizer *tok); /* NULL is fine */

/* ---- what it is ---- */
size_t wf_tokenizer_vocab(const wf_tokenizer *tok);    /* the largest id + 1 */
uint64_t wf_tokenizer_digest(const wf_tokenizer *tok); /* of its tokenizer.json: equal tokenizers, equal digests */
/* The id of a token as the file spells it ("<|endoftext|>", "Ġthe"), -1 when there is none. */
int64_t wf_tokenizer_id(const wf_tokenizer *tok, const char *text, size_t length);
/* The bytes a token decodes to; for counting bytes per token. Ids out of range and unused ids have none. */
typedef struct wf_bytes {
    const char *data;
    size_t length;
} wf_bytes;
wf_bytes wf_tokenizer_token(const wf_tokenizer *tok, uint32_t id);
wf_bytes wf_tokenizer_piece(const wf_tokenizer *tok, uint32_t id); /* the token as the file spells it */
bool wf_tokenizer_is_special(const wf_tokenizer *tok, uint32_t id);

/* ---- encoding ---- */
typedef struct wf_ids {
    uint32_t *data;
    size_t count, capacity;
    const wf_mem *mem;
} wf_ids;
wf_ids wf_ids_new(const wf_mem *mem);
void wf_ids_free(wf_ids *ids);

enum {
    WF_ENCODE_SPECIALS = 1, /* add what the post-processor adds (bos, eos ...) */
    WF_ENCODE_PLAIN = 2     /* special strings in the text are plain text; other added tokens still match */
};
/* Appends the ids of one text. Time grows as n log n at worst (one endless word), else linearly. */
weft_status wf_tokenizer_encode(const wf_tokenizer *tok, const void *text, size_t length, unsigned flags, wf_ids *ids,
                                weft_error *err);

/* The same with the scratch memory and the cache of words kept between texts. */
typedef struct wf_encoder wf_encoder;
weft_status wf_encoder_create(const wf_tokenizer *tok, wf_encoder **out, weft_error *err);
weft_status wf_encode(wf_encoder *e, const void *text, size_t length, unsigned flags, wf_ids *ids, weft_error *err);
void wf_encoder_free(wf_encoder *e);

/* ---- decoding ---- */
enum { WF_DECODE_SKIP_SPECIALS = 1 };
/* Appends the bytes of the ids; ids that name no token are skipped, as the reference does. */
void wf_tokenizer_decode(const wf_tokenizer *tok, const uint32_t *ids, size_t count, unsigned flags, wf_str *out);

/* Decoding one id at a time: what comes out never ends inside a UTF-8 character. */
typedef struct wf_text_stream {
    const wf_tokenizer *tok;
    unsigned flags;
    uint8_t held[4]; /* the beginning of a character */
    size_t n_held;
} wf_text_stream;
wf_text_stream wf_text_stream_new(const wf_tokenizer *tok, unsigned flags);
void wf_text_stream_put(wf_text_stream *s, uint32_t id, wf_str *out); /* appends the characters that are complete now */
void wf_text_stream_end(wf_text_stream *s, wf_str *out);              /* appends what is held, as it is */
#endif
