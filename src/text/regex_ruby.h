/* regex_ruby.h - regular expressions of tokenizer.json files are in Ruby's dialect. */
#ifndef WF_TEXT_REGEX_RUBY_H
#define WF_TEXT_REGEX_RUBY_H
#include "base/str.h"

/* Appends the pattern as PCRE2 should read it. WEFT_UNSUPPORTED names what cannot be said there, WEFT_BAD_INPUT what is no
 * pattern. */
weft_status wf_regex_from_ruby(const char *pattern, size_t n, wf_str *out, weft_error *err);
#endif
