/* weft/weft.h - train, run, decode, compare and measure sequence models from C.
 *
 *     weft *lib;
 *     weft_error err = {0};
 *     if (weft_create(NULL, &lib, &err) != WEFT_OK) { fprintf(stderr, "%s\n", err.message); return err.status; }
 *     weft_result result = {0};
 *     const char *options = "{\"text\": [\"book.txt\"], \"model\": \"llama\", \"time\": \"60s\", \"out\": \"run\"}";
 *     weft_status status = weft_train(lib, options, NULL, NULL, &result, &err);
 *     if (status == WEFT_OK) puts(result.text);
 *     weft_result_free(lib, &result);
 *     weft_free(lib);
 *
 * Two layers. The jobs (weft_train, weft_compare, ...) take their options as one JSON object whose keys are the long options of
 * the command of the same name, with `_` or `-` between words, and give a result both as JSON and as text for people. The
 * handles (weft_model, weft_tokenizer, weft_session) are for programs that embed a model.
 *
 * Ownership: what a function returns through `out` belongs to the caller and goes back to its _free function, which accepts
 * NULL. On failure `out` is untouched, the status is returned and `err` (may be NULL) says why in one line. Strings are UTF-8.
 * Thread rule: a weft handle and what was made from it are used by one thread at a time, except weft_interrupt, which any
 * thread or signal handler may call, and weft_tokenizer, which never changes and may be shared. Different handles are
 * independent. */
#ifndef WEFT_WEFT_H
#define WEFT_WEFT_H
#include <stddef.h>
#include <stdint.h>
#include "weft/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WEFT_VERSION_MAJOR 0
#define WEFT_VERSION_MINOR 1
#define WEFT_VERSION_PATCH 0

typedef struct weft weft;
typedef struct weft_model weft_model;
typedef struct weft_tokenizer weft_tokenizer;
typedef struct weft_session weft_session;

/* ---- the library handle ---- */
typedef enum weft_level { WEFT_LEVEL_ERROR, WEFT_LEVEL_WARN, WEFT_LEVEL_INFO, WEFT_LEVEL_DEBUG } weft_level;

typedef struct weft_options {
    size_t struct_size; /* sizeof(weft_options), set by weft_options_init */
    int threads;        /* 0: every processor this process may use; WEFT_THREADS in the environment comes first */
    const char *cpu;    /* highest instruction set to use, NULL: the best here; WEFT_CPU in the environment comes first */
    void *(*resize)(void *user, void *block, size_t size); /* allocator, like realloc; NULL: the C library's */
    void (*release)(void *user, void *block);              /* like free */
    void *memory_user;
    void (*log)(void *user, int level, const char *line); /* one line without newline; NULL: dropped */
    void *log_user;
    const char *family; /* path of a file with a convention of checkpoints to try before the built-in ones (docs/families.md);
                           NULL: none */
} weft_options;

WEFT_API void weft_options_init(weft_options *options);
/* `options` NULL: defaults. */
WEFT_API weft_status weft_create(const weft_options *options, weft **out, weft_error *err);
WEFT_API void weft_free(weft *lib);
/* Asks the running job to end cleanly with `status` (WEFT_INTERRUPTED or WEFT_TERMINATED); 0 takes it back. Safe in a signal
 * handler; one that may run on a thread inside a job belongs on a stack of its own (sigaltstack, SA_ONSTACK): oneDNN's matrix
 * products (2.6.3) keep values below the stack pointer, where a handler would write over them. */
WEFT_API void weft_interrupt(weft *lib, int status);
WEFT_API const char *weft_version(void); /* "0.1.0" */

/* ---- jobs ---- */
typedef struct weft_result {
    char *json; /* one document, 0-terminated */
    char *text; /* the same for people, ends with a newline; may be "" */
} weft_result;
WEFT_API void weft_result_free(weft *lib, weft_result *result);

typedef struct weft_progress { /* unknown numbers are NaN, unknown counts -1, texts may be NULL; valid during the call */
    const char *phase;         /* "calibrate", "rates", "train", "evaluate", "decode", "verify", "bench", "tokenize", ... */
    const char *subject;       /* model or fixture the phase is about */
    int64_t index, count;      /* of subjects: 0-based, and how many */
    int64_t step, steps;
    double loss, bits_per_byte, tokens_per_second, seconds_left;
    const char *line; /* a finished line for people, e.g. a model's result; NULL for ticks */
} weft_progress;
typedef void (*weft_progress_fn)(void *user, const weft_progress *progress);

/* Every job: `options` is a JSON object (NULL: all defaults); unknown keys are WEFT_USAGE with the nearest name. A job that is
 * interrupted or finds a mismatch returns that status and still fills `result` as far as it came. */
WEFT_API weft_status weft_compare(weft *lib, const char *options, weft_progress_fn progress, void *user, weft_result *result,
                                  weft_error *err);
WEFT_API weft_status weft_train(weft *lib, const char *options, weft_progress_fn progress, void *user, weft_result *result,
                                weft_error *err);
WEFT_API weft_status weft_eval(weft *lib, const char *options, weft_progress_fn progress, void *user, weft_result *result,
                               weft_error *err);
/* A model folder written anew: {"model": FOLDER, "out": NEW FOLDER, "dtype": "fp32|fp16|bf16", "shard_size": "2GB", "prefix":
 * "add|strip", "adapter": FOLDER, "merge": true}. */
WEFT_API weft_status weft_convert(weft *lib, const char *options, weft_progress_fn progress, void *user, weft_result *result,
                                  weft_error *err);
/* Text to tokens: {"tokenizer": PATH, "text": [PATH..] or "string": TEXT, "lines", "show": "ids|pieces|table|count", ...}. The
 * result's json: tokens, bytes, bytes_per_token, and per text in "texts" {"ids", "pieces", "offsets"} as `show` asks
 * ("records": false leaves them out). One of these makes it something else: "decode": true (the texts are ids; "texts" is a
 * list of texts), "train": KIND with "out" (a tokenizer.json that Hugging Face opens), "compare": PATH, "chat": FILE ("text" is
 * the rendered conversation). */
WEFT_API weft_status weft_tokenize(weft *lib, const char *options, weft_progress_fn progress, void *user, weft_result *result,
                                   weft_error *err);
WEFT_API weft_status weft_bench(weft *lib, const char *options, weft_progress_fn progress, void *user, weft_result *result,
                                weft_error *err);
WEFT_API weft_status weft_verify(weft *lib, const char *options, weft_progress_fn progress, void *user, weft_result *result,
                                 weft_error *err);
WEFT_API weft_status weft_inspect(weft *lib, const char *options, weft_progress_fn progress, void *user, weft_result *result,
                                  weft_error *err);
WEFT_API weft_status weft_list(weft *lib, const char *options, weft_progress_fn progress, void *user, weft_result *result,
                               weft_error *err);
WEFT_API weft_status weft_info(weft *lib, const char *options, weft_progress_fn progress, void *user, weft_result *result,
                               weft_error *err);

/* Pieces of text as they come: of generated text complete UTF-8 characters. Return nonzero to stop. */
typedef int (*weft_text_fn)(void *user, const char *text, size_t length);
/* weft_tokenize whose text goes to `text` as it is made; what is left for the end is result->text. With "lines" and without
 * files ("records": false) lines of standard input are told as they come, in memory that does not grow with them. */
WEFT_API weft_status weft_tokenize_stream(weft *lib, const char *options, weft_text_fn text, void *user, weft_result *result,
                                          weft_error *err);
/* {"model": DIR, "prompt": TEXT or "chat": FILE ("template": NAME), "max_tokens": N, "temperature", "top_k", "top_p", "min_p",
 * "typical_p", "top_h", "epsilon_cutoff", "eta_cutoff", "repetition_penalty", "seed", "stop": [..], "overflow":
 * "stop|slide|error", "context": N, "precision": "fp32|bf16"}. What is not given is what the model's generation_config.json
 * says (its "stop_strings" stay in the text; what "stop" names does not); result->json has in "sampling" what was used. `piece`
 * may be NULL: then result->text is the generated text; else that was handed out already, and result->text is a line of
 * statistics and one that tells how tokens were chosen. "beams": N texts are followed at a time (beam search as transformers
 * does it; not with a temperature, "stop" or "slide"), "length_penalty", "early_stopping": true, false or "never", "sequences":
 * how many are given back, a line each; their usual is what the model's generation config says. result->json has the "score" of
 * the text, of several all in "sequences":
 * [{"text", "score", "tokens", "finish"}, ..]. With "text": [PATH..] in the place of "prompt" and "chat" ("input", "field",
 * "json" as for the heads below) a line for every text, what it would be alone: handed to `piece` in order as each is ready. */
WEFT_API weft_status weft_generate(weft *lib, const char *options, weft_text_fn piece, void *user, weft_result *result,
                                   weft_error *err);

/* What a model's head says about texts. Options of all: {"model": DIR, "text": [PATH..] ("-", the default, is standard input),
 * "input": "text|jsonl|csv|tsv", "field": [NAME..], "json": lines are JSON objects, "precision": "fp32|bf16", "batch": tokens
 * at a time, "max_length": tokens of a text}. A line (or several) for every record, in order, is handed to `piece` as soon as
 * it is ready; `piece` NULL: all of them are result->text. A record that cannot be asked is WEFT_BAD_INPUT with its file and
 * line, behind the lines of those in front of it. result->json: texts, tokens, truncated, seconds. A model without the head
 * that is needed is WEFT_UNSUPPORTED, and the message names the head it has. Vectors: "pooling", "prompt": NAME, "prompt_text":
 * TEXT, "dims": N, "normalize", "format": "jsonl|tsv|npy|fvecs|f32". */
WEFT_API weft_status weft_embed(weft *lib, const char *options, weft_text_fn piece, void *user, weft_result *result,
                                weft_error *err);
/* Classes of a text or a pair: "pair": FIELD, "top_k", "threshold", "function": "softmax|sigmoid|none". */
WEFT_API weft_status weft_classify(weft *lib, const char *options, weft_text_fn piece, void *user, weft_result *result,
                                   weft_error *err);
/* Stretches of a text: "aggregation": "none|simple|first|average|max", "stride": tokens that windows of long texts share,
 * "ignore": [LABEL..]. */
WEFT_API weft_status weft_tag(weft *lib, const char *options, weft_text_fn piece, void *user, weft_result *result,
                              weft_error *err);
/* Answers in a context: "question": TEXT (else a field), "top_k", "longest": tokens of an answer, "no_answer", "stride",
 * "lines". */
WEFT_API weft_status weft_answer(weft *lib, const char *options, weft_text_fn piece, void *user, weft_result *result,
                                 weft_error *err);
/* Tokens for a mask: "top_k", "mask": how texts write it, "targets": [TEXT..]. */
WEFT_API weft_status weft_fill(weft *lib, const char *options, weft_text_fn piece, void *user, weft_result *result,
                               weft_error *err);
/* The best first: "query": TEXT, "top_k", "label", "raw". */
WEFT_API weft_status weft_rerank(weft *lib, const char *options, weft_text_fn piece, void *user, weft_result *result,
                                 weft_error *err);
/* What an encoder-decoder writes to every text: "from", "to": codes of languages, "prefix": TEXT, "max_tokens"; "temperature",
 * "top_k", .. and "seed" as weft_generate, but for a temperature of 0 where nobody says otherwise; "beams", "length_penalty",
 * "early_stopping" and "sequences" as weft_generate (of several a line has all, with tabs between them). */
WEFT_API weft_status weft_translate(weft *lib, const char *options, weft_text_fn piece, void *user, weft_result *result,
                                    weft_error *err);

/* ---- models ---- */
/* A folder as Hugging Face or weft_train writes it, or a name in the cache of the Hugging Face hub ("org/name"), which is only
 * read. So for every model and tokenizer named to the library. */
WEFT_API weft_status weft_model_open(weft *lib, const char *folder, weft_model **out, weft_error *err);
/* A new model with random weights from a spec (docs/spec.md). */
WEFT_API weft_status weft_model_create(weft *lib, const char *spec, uint64_t seed, weft_model **out, weft_error *err);
WEFT_API weft_status weft_model_save(const weft_model *model, const char *folder, weft_error *err);
/* Many rows are to go through the model (prompts one after the other): its matrices are kept a second time, as such products
 * read them fastest; for sessions made from now on. fp32, and up to 2^29 parameters: a larger model stays as it is. */
WEFT_API weft_status weft_model_pack(weft_model *model, weft_error *err);
WEFT_API void weft_model_free(weft_model *model);
WEFT_API int64_t weft_model_vocab(const weft_model *model);
WEFT_API int64_t weft_model_parameters(const weft_model *model);
WEFT_API int64_t weft_model_context(const weft_model *model);  /* trained length, 0 unknown */
WEFT_API const char *weft_model_spec(const weft_model *model); /* JSON; valid as long as the model */

/* ---- tokenizers ---- */
WEFT_API weft_status weft_tokenizer_open(weft *lib, const char *path, weft_tokenizer **out, weft_error *err);
WEFT_API void weft_tokenizer_free(weft_tokenizer *tokenizer);
WEFT_API int64_t weft_tokenizer_vocab(const weft_tokenizer *tokenizer); /* the largest id + 1 */
/* *ids [*count] is the caller's: free with weft_ids_free. */
WEFT_API weft_status weft_tokenizer_encode(const weft_tokenizer *tokenizer, const char *text, size_t length, int32_t **ids,
                                           size_t *count, weft_error *err);
WEFT_API void weft_ids_free(const weft_tokenizer *tokenizer, int32_t *ids);
/* *text is 0-terminated and the caller's: free with weft_text_free. */
WEFT_API weft_status weft_tokenizer_decode(const weft_tokenizer *tokenizer, const int32_t *ids, size_t count, char **text,
                                           size_t *length, weft_error *err);
WEFT_API void weft_text_free(const weft_tokenizer *tokenizer, char *text);

/* The spelling of a token in its vocabulary ("\xC4\xA0the"), *length bytes, NULL when there is none; valid as long as the
 * tokenizer. And the other way: -1 when no token is spelt so. */
WEFT_API const char *weft_tokenizer_piece(const weft_tokenizer *tokenizer, int32_t id, size_t *length);
WEFT_API int32_t weft_tokenizer_id(const weft_tokenizer *tokenizer, const char *piece, size_t length);

/* Tokens with their places: token i is ids[i] and stands for text[starts[i] .. ends[i]) (0, 0: added by the tokenizer). */
typedef struct weft_tokens {
    size_t count;
    int32_t *ids;          /* [count] */
    size_t *starts, *ends; /* [count], in bytes, or in characters when asked for */
} weft_tokens;
enum weft_encode_flags {
    WEFT_ENCODE_NO_SPECIALS = 1, /* leave out what the tokenizer puts around a text (bos, eos ...) */
    WEFT_ENCODE_PLAIN = 2,       /* special strings in the text are plain text */
    WEFT_ENCODE_CHARACTERS = 4   /* starts and ends count characters */
};
/* *out is the caller's: free with weft_tokens_free, which empties it. */
WEFT_API weft_status weft_tokenizer_tokens(const weft_tokenizer *tokenizer, const char *text, size_t length, unsigned flags,
                                           weft_tokens *out, weft_error *err);
WEFT_API void weft_tokens_free(const weft_tokenizer *tokenizer, weft_tokens *tokens);

/* Many texts, or a long one: `n` of them over the threads of `lib`, each with the ids that it has alone, whatever the number of
 * threads. A text of a megabyte or more is itself cut for them where the tokenizer lets it be. `flags`: of weft_encode_flags
 * the first two. Every ids [count] is the caller's: free with weft_ids_free. On failure none is set. `lib` is busy meanwhile.
 */
typedef struct weft_text {
    const char *text;
    size_t length;
    int32_t *ids; /* set, with their number: */
    size_t count;
} weft_text;
WEFT_API weft_status weft_tokenizer_encode_many(weft *lib, const weft_tokenizer *tokenizer, weft_text *texts, size_t n,
                                                unsigned flags, weft_error *err);

/* Decoding as the ids come: what comes out never ends inside a character. *text (0-terminated, *length bytes, may be empty) is
 * valid until the next call. The tokenizer must outlive the decoder. */
typedef struct weft_decoder weft_decoder;
WEFT_API weft_status weft_decoder_create(const weft_tokenizer *tokenizer, weft_decoder **out, weft_error *err);
WEFT_API void weft_decoder_free(weft_decoder *decoder);
WEFT_API weft_status weft_decoder_put(weft_decoder *decoder, int32_t id, const char **text, size_t *length, weft_error *err);
WEFT_API weft_status weft_decoder_end(weft_decoder *decoder, const char **text, size_t *length,
                                      weft_error *err); /* what is held back */

/* A conversation through the chat template of a model folder. `conversation` is JSON: a list of messages {"role", "content",
 * ...}, or an object with "messages", "tools", "documents", "add_generation_prompt", "continue_final_message" and variables of
 * the template. result->text is the prompt, exactly as Hugging Face renders it; result->json is {"assistant_spans": [[start,
 * end]..]}, in characters. A template that refuses the conversation is WEFT_BAD_INPUT with its message. */
WEFT_API weft_status weft_chat(weft *lib, const char *folder, const char *conversation, weft_result *result, weft_error *err);

/* ---- sessions: token by token ---- */
/* `batch` sequences of at most `capacity` tokens: WEFT_USAGE for more than the positions of the model, WEFT_UNSUPPORTED where
 * it cannot go on token by token. The model must outlive the session. */
WEFT_API weft_status weft_session_create(const weft_model *model, int64_t batch, int64_t capacity, weft_session **out,
                                         weft_error *err);
WEFT_API void weft_session_free(weft_session *session);
WEFT_API void weft_session_reset(weft_session *session); /* every sequence before its first token */
/* Feeds ids [batch, n]; *logits [batch, vocab] after the last token, valid until the next call on this session. WEFT_USAGE, and
 * nothing is fed, for an id outside the vocabulary or more tokens than the capacity has room for. */
WEFT_API weft_status weft_session_feed(weft_session *session, const int32_t *ids, int64_t n, const float **logits,
                                       weft_error *err);
/* States are values. Reorder: sequence i goes on where index[i] stood (beams; the same twice forks). Truncate: only the first
 * `tokens` tokens of a sequence remain; WEFT_UNSUPPORTED when the model has forgotten them one by one (a recurrent state, a
 * window that has moved on) and tokens > 0. Save: where all sequences stand, into `bytes` of weft_session_state_size bytes;
 * load: the same in a session of the same model and batch, whose capacity may be another; WEFT_BAD_INPUT when it does not fit.
 */
WEFT_API weft_status weft_session_reorder(weft_session *session, const int64_t *index, weft_error *err);
WEFT_API weft_status weft_session_truncate(weft_session *session, int64_t sequence, int64_t tokens, weft_error *err);
WEFT_API size_t weft_session_state_size(const weft_session *session);
WEFT_API void weft_session_save(const weft_session *session, void *bytes);
WEFT_API weft_status weft_session_load(weft_session *session, const void *bytes, size_t size, weft_error *err);

#ifdef __cplusplus
}
#endif
#endif
