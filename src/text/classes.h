/* classes.h - what the tokenizer classes of Hugging Face's transformers do with a SentencePiece file: a JSON file each in
 * src/text/classes, named as tokenizer_config.json's tokenizer_class.
 *
 *   options        members of tokenizer_config.json that the class knows, and what they are where the file does not say
 *   agree          members that must be as here where the file has them: what follows from another value is not known
 *   ids            "vocab.json": ids come from that file, beside the pieces
 *   front          tokens with the ids 0, 1 ...; other pieces have their places in the file plus `offset` (a number or the name
 *                  of an option)
 *   back           tokens behind the last piece
 *   special        other special tokens; those that are no pieces follow at the end
 *   languages      names of languages; an object: by the option "language_codes"
 *   mark           how a language is written as a token: "__*__"
 *   codes          {"opens": ">>", "closes": "<<"}: what is written so where a text begins is one token
 *   single, pair   what is put around one text and two: "$A", "$B", tokens, "{src_lang}" for that option's language;
 *                  behind a colon the type of a token
 *   joined         a text is its pieces one after another: those of bytes stay as they are
 *   normalizer     a list of tokenizer.json's normalizers: the pieces are cut as Hugging Face's conversion to tokenizer.json
 *                  does, not as SentencePiece does; `when` and `unless` name options; numbers_end: a number and the comma
 *                  behind it are two pieces
 *   when           an object by options that are true or name a text: members that take the place of those above
 *
 * A token is a text, or {token, lstrip, rstrip, normalized}; with {each: option, from: n} one for every number from n below the
 * option's value, which takes the place of the star, `reverse` the largest first; {"languages": true}: one for every language.
 */
#ifndef WF_TEXT_CLASSES_H
#define WF_TEXT_CLASSES_H
#include "base/json.h"
#include "text/tokenizer.h"
#include "text/write_json.h"

typedef struct wf_class {
    wf_arena *arena; /* everything lives there */
    wf_json *row;    /* NULL: a class nobody knows, or none */
    const char *name;
    const wf_json *said; /* tokenizer_config.json's members; NULL: none */
} wf_class;

extern const char
    *const wf_class_options[]; /* every member of tokenizer_config.json that any class looks at; NULL at the end */

/* The class that `said` names in tokenizer_class. */
weft_status wf_class_open(wf_arena *arena, const wf_json *said, wf_class *out, weft_error *err);
bool wf_class_flag(const wf_class *c, const char *option);
int64_t wf_class_offset(const wf_class *c);

typedef struct wf_class_token {
    char *text;
    bool lstrip, rstrip, normalized;
    struct wf_class_token *next;
} wf_class_token;
/* The tokens of a list ("front", "back", "special"), in order; NULL for none. */
weft_status wf_class_tokens(const wf_class *c, const char *list, wf_class_token **out, weft_error *err);
/* An entry of "single" or "pair" with its language; "" where the option is not set. */
weft_status wf_class_fill(const wf_class *c, const char *entry, char **out, weft_error *err);
#endif
