/* loading.h - reading the sections of a tokenizer.json: values with checked types, errors that say where. */
#ifndef WF_TEXT_LOADING_H
#define WF_TEXT_LOADING_H
#include "base/json.h"
#include "base/pool.h"
#include "text/tokenizer.h"

/* What reading a file needs. Offsets in `section` trees count from `base`. */
typedef struct wf_loading {
    wf_tokenizer *tok;
    wf_arena *arena; /* the tokenizer's */
    const wf_mem *mem;
    const char *where; /* "normalizer", "pre_tokenizer" ... for messages */
    int64_t base;
    weft_error *err;
    wf_pool *pool; /* NULL: one thread */
} wf_loading;
/* Runs fn(arg, i, n) on n threads, of which n is WF_LOAD_THREADS at most. */
enum { WF_LOAD_THREADS = 8 };
void wf_load_region(const wf_loading *l, wf_region_fn fn, void *arg);
weft_status wf_load_fail(const wf_loading *l, weft_status status, const wf_json *at, const char *fmt, ...) WF_PRINTF(4, 5);
/* A member of the given type. Absent or null: *out is `fallback`; of another type: an error. */
weft_status wf_load_bool(const wf_loading *l, const wf_json *object, const char *key, bool fallback, bool *out);
weft_status wf_load_text(const wf_loading *l, const wf_json *object, const char *key,
                         const wf_json **out); /* NULL when absent */
weft_status wf_load_count(const wf_loading *l, const wf_json *object, const char *key, size_t fallback, size_t *out);
weft_status wf_load_id(const wf_loading *l, const wf_json *j, uint32_t *out);
/* A required text; `characters` is how many characters it must have, 0 for any number. */
weft_status wf_load_string(const wf_loading *l, const wf_json *object, const char *key, size_t characters, wf_bytes *out);
/* Which of the NULL-terminated names a text member is; absent: *out stays. */
weft_status wf_load_choice(const wf_loading *l, const wf_json *object, const char *key, const char *const *names, int *out);
/* An error at a byte of the file. */
weft_status wf_load_fail_at(const wf_loading *l, weft_status status, size_t at, const char *fmt, ...) WF_PRINTF(4, 5);
/* The value just read by `r` (entered, when it is a container) as a tree; its offsets count from *base. */
weft_status wf_load_value(const wf_loading *l, wf_json_reader *r, wf_json_kind kind, wf_json **out, int64_t *base);
/* Memory of the options of a row, zeroed. */
weft_status wf_load_options(const wf_loading *l, size_t size, void **out);

/* {"String": ...} or {"Regex": ...} (Ruby's dialect) or {"Perl": ...}: what Split and Replace look for. */
struct wf_regex;
typedef struct wf_finder {
    const struct wf_scan *scan; /* by hand; or: */
    struct wf_regex *regex;     /* or a literal: */
    wf_bytes text;
} wf_finder;
weft_status wf_load_finder(wf_loading *l, const wf_json *j, wf_finder *out);

/* The options of Replace, normalizer and decoder: rows' `load` and `release`. */
typedef struct wf_replace {
    wf_finder finder;
    wf_bytes content;
} wf_replace;
weft_status wf_load_replace(wf_loading *l, const wf_json *j, void **options);
void wf_release_replace(void *options);
#endif
