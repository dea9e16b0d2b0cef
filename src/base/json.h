/* json.h - JSON from strangers: a pull reader with offsets and limits, a tree in an arena for small documents (specs, configs),
 * and a writer. RFC 8259: UTF-8 is checked, duplicate keys are an error in trees, numbers keep their text, NaN and Infinity are
 * refused. No recursion on the input. Errors say line and column and carry the byte offset. */
#ifndef WF_BASE_JSON_H
#define WF_BASE_JSON_H
#include <stdbool.h>
#include "base/mem.h"
#include "base/str.h"

/* ---- pull reader ---- */
typedef enum wf_json_kind {
    WF_JSON_NULL,
    WF_JSON_FALSE,
    WF_JSON_TRUE,
    WF_JSON_NUMBER,
    WF_JSON_STRING,
    WF_JSON_ARRAY,
    WF_JSON_OBJECT,
    WF_JSON_END /* of an array, object or the document */
} wf_json_kind;

enum { WF_JSON_MAX_DEPTH = 256 };

typedef struct wf_json_reader {
    const char *text;
    size_t length, position;
    size_t value_offset, key_offset;  /* where the last value and the last name began */
    uint8_t stack[WF_JSON_MAX_DEPTH]; /* '{' or '[' per level */
    int depth;
    bool first, started; /* no element yet at this level; the root was read */
    wf_str scratch;      /* decoded strings with escapes */
    weft_error *err;
    weft_status failed; /* errors are sticky: later calls return the first one */
} wf_json_reader;

/* `text` need not end in 0. `mem` serves strings that contain escapes. */
void wf_json_open(wf_json_reader *r, const wf_mem *mem, const char *text, size_t length, weft_error *err);
void wf_json_close(wf_json_reader *r);
/* The next element: in an object, `key` receives its name (a view valid until the next call; pass NULL in arrays or to skip
 * it). ARRAY and OBJECT enter a level that ends with END. Strings and numbers: `value`, `value_length` view the decoded string
 * or the number's text until the next call. After the root, END once when only whitespace is left. */
weft_status wf_json_next(wf_json_reader *r, wf_json_kind *kind, const char **key, size_t *key_length, const char **value,
                         size_t *value_length);
/* The next element at a third of the price where it is of the usual form: in an array a string (n = 1) or an array of n
 * strings, or an array of a string and a number, in an object a name with a whole number below 10^9, all without escapes.
 * false: it is another one, and nothing was read. */
bool wf_json_quick_strings(wf_json_reader *r, size_t n, const char *texts[], size_t lengths[]);
bool wf_json_quick_scored(wf_json_reader *r, const char *texts[2], size_t lengths[2]);
bool wf_json_quick_count(wf_json_reader *r, const char **key, size_t *key_length, uint32_t *value);
/* The same for a name that may have escapes: as it stands in the text, not looked at. */
bool wf_json_quick_raw_count(wf_json_reader *r, const char **key, size_t *key_length, uint32_t *value);
weft_status wf_json_skip(wf_json_reader *r); /* leaves the level just entered, checking it */
/* Reading a container beside what stands before it, maybe on another thread: a reader of its own (close it) that begins at
 * `offset`, taken for the place behind the bracket ('[' or '{') of a sibling of the container that `r` has just entered, or of
 * that one itself; or (not `first`) for the comma between two of its elements. Whether it is one shows when a reader from
 * before it comes to that place. One that has entered the container then goes on where the other reader has left it. */
void wf_json_ahead(const wf_json_reader *r, char bracket, size_t offset, bool first, wf_json_reader *out);
void wf_json_follow(wf_json_reader *r, const wf_json_reader *ahead);
/* Line and column (both from 1, characters) of a byte offset, for messages about what a document means. */
void wf_json_position(const char *text, size_t offset, size_t *line, size_t *column);

/* ---- trees ---- */
typedef struct wf_json wf_json;
struct wf_json {
    wf_json_kind kind;
    int64_t offset;     /* in the source, -1 when built by code */
    const char *key;    /* name inside an object, else NULL */
    const char *string; /* STRING: 0-terminated; NUMBER: its text */
    size_t length;      /* of string */
    double number;
    int64_t integer; /* valid when is_integer */
    bool is_integer;
    wf_json *child, *next; /* first element; next sibling */
    wf_json *last;         /* last element */
    size_t count;          /* of elements */
};

/* Limits: `max_nodes` values (0 = 1,000,000). The tree lives in `arena`. */
weft_status wf_json_parse(wf_arena *arena, const char *text, size_t length, size_t max_nodes, wf_json **out, weft_error *err);
/* The same for a file; messages start with the path. */
weft_status wf_json_parse_file(wf_arena *arena, const char *path, wf_json **out, weft_error *err);
const wf_json *wf_json_get(const wf_json *object, const char *key); /* NULL when absent or not an object */
const wf_json *wf_json_at(const wf_json *array, size_t i);
const wf_json *wf_json_path(const wf_json *root, const char *dotted); /* "a.b.2" */
bool wf_json_is_string(const wf_json *j, const char *text);
int64_t wf_json_int(const wf_json *object, const char *key, int64_t fallback); /* absent, null or another type: fallback */
double wf_json_double(const wf_json *object, const char *key, double fallback);
bool wf_json_bool(const wf_json *object, const char *key, bool fallback);
const char *wf_json_text(const wf_json *object, const char *key, const char *fallback);
/* Building: every function returns NULL when the arena is full; passing a NULL parent is fine and gives NULL. */
wf_json *wf_json_new(wf_arena *arena, wf_json_kind kind);
wf_json *wf_json_new_int(wf_arena *arena, int64_t value);
wf_json *wf_json_new_double(wf_arena *arena, double value);
wf_json *wf_json_new_float(wf_arena *arena, double value); /* the same, but 6 is 6.0: for readers who tell the two apart */
wf_json *wf_json_new_string(wf_arena *arena, const char *text, size_t length);
wf_json *wf_json_new_bool(wf_arena *arena, bool value);
/* Both return the value; putting a name that is there replaces its value. */
wf_json *wf_json_put(wf_arena *arena, wf_json *object, const char *key, wf_json *value);
wf_json *wf_json_push(wf_json *array, wf_json *value);
wf_json *wf_json_copy(wf_arena *arena, const wf_json *j);
bool wf_json_equal(const wf_json *a, const wf_json *b); /* objects by key, any order; numbers by value */
/* Text: compact when indent is 0; numbers keep their source text, doubles print with the fewest digits that read back equal. */
void wf_json_print(wf_str *out, const wf_json *j, int indent);

void wf_json_put_string(wf_str *out, const char *text, size_t length); /* in quotes; invalid UTF-8 becomes U+FFFD */

/* ---- writer for streams: commas and escapes by itself; the wf_str remembers failure ---- */
typedef struct wf_json_writer {
    wf_str *out;
    int depth;
    int indent;
    bool first[64];
    bool after_key;
} wf_json_writer;
void wf_json_writer_init(wf_json_writer *w, wf_str *out, int indent);
void wf_jw_begin(wf_json_writer *w, char open); /* '{' or '[' */
void wf_jw_end(wf_json_writer *w, char close);
void wf_jw_key(wf_json_writer *w, const char *key);
void wf_jw_string(wf_json_writer *w, const char *text);
void wf_jw_string_n(wf_json_writer *w, const char *text, size_t length); /* invalid UTF-8 becomes U+FFFD */
void wf_jw_int(wf_json_writer *w, int64_t value);
void wf_jw_double(wf_json_writer *w, double value); /* not finite: null */
void wf_jw_float(wf_json_writer *w, float value);   /* the same with a float's digits */
void wf_jw_bool(wf_json_writer *w, bool value);
void wf_jw_null(wf_json_writer *w);
void wf_jw_raw(wf_json_writer *w, const char *text, size_t length); /* a value that is JSON already */
void wf_jw_json(wf_json_writer *w, const wf_json *j);
#endif
