/* folder.h - what stands beside a tokenizer.json and changes it, as AutoTokenizer of Hugging Face's transformers (5.24) reads a
 * folder: tokenizer_config.json, special_tokens_map.json, added_tokens.json and the model_type of config.json. A class that
 * builds its tokenizer anew takes vocabulary, merges, truncation and padding from tokenizer.json, and the rest by its row of
 * src/text/folders/classes.json:
 *
 *   also           other classes that do the same
 *   kind           of the model; a tokenizer.json with another one stays as it is
 *   tokens         the special tokens, where tokenizer_config.json names no others
 *   extra          special tokens without a name, where tokenizer_config.json has no list of them
 *   options        members of tokenizer_config.json that count, and what they are where it has them not
 *   model          options of the model
 *   normalizer, pre_tokenizer, decoder, post_processor
 *                  the sections; a template's items may be short texts, a token stands without its id
 *   resets         special tokens lose their lstrip, rstrip ...
 *
 * In them "{name}" is the option or token of that name, or the file's stage of that type; {if, then, else}: by an option that
 * is set, or a stage that the file has; an item that is nothing is left out. src/text/folders/types.json says which class a
 * model_type has; those of "wrong" have it whatever tokenizer_config.json says, those of "TokenizersBackend" keep
 * tokenizer.json as it is where that names another class. A class without a row keeps it too.
 *
 * For all: tokens of added_tokens_decoder and special tokens that tokenizer.json has not, or has with other flags, are as they
 * say; split_special_tokens; clean_up_tokenization_spaces. add_bos_token and add_eos_token count for nothing beside a
 * tokenizer.json. */
#ifndef WF_TEXT_FOLDER_H
#define WF_TEXT_FOLDER_H
#include "text/tokenizer.h"

/* The text of the tokenizer.json that says the same as the folder; `out` stays empty where it is `text`. */
weft_status wf_folder_adapt(const wf_mem *mem, const char *folder, wf_bytes text, wf_str *out, weft_error *err);
#endif
