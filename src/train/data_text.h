/* data_text.h - the text to train on: files, folders, standard input, plain or gzipped, as documents of bytes.
 *
 *     wf_text text;
 *     WF_TRY(wf_text_load(env, paths, n_paths, NULL, &text, err));
 *     ... text.bytes[0 .. text.length), documents end at text.ends[0 .. text.count) ...
 *     wf_text_free(&text);
 *
 * A path is a file, "-" for standard input, a pipe, or a folder: of a folder every text file is taken, subfolders too, sorted
 * by bytes; hidden entries, empty files, files with a NUL byte (binary) and links to folders are left out, and a line to the
 * log says how many. The format follows the name: .jsonl .ndjson (a field of every line), .csv .tsv (columns under a header
 * line), anything else is plain text, one document per file. Data that begins like gzip is unpacked first (.gz is cut off the
 * name). Bytes are kept as they are; only a byte order mark before JSONL and tables is dropped. Empty documents are left out.
 * A row adds a format: its endings and its reader, in data_text.c. */
#ifndef WF_TRAIN_DATA_TEXT_H
#define WF_TRAIN_DATA_TEXT_H
#include "base/env.h"
#include "base/str.h"

typedef struct wf_text {
    const wf_mem *mem;
    char *bytes;
    size_t length, capacity;
    size_t *ends; /* where each document ends, ascending */
    size_t count, ends_capacity;
    size_t limit; /* bytes at most; 0: none */
    size_t files, skipped_binary, skipped_hidden, skipped_empty, skipped_links;
    uint64_t digest; /* of the bytes, set by wf_text_load */
} wf_text;

typedef struct wf_text_options {
    const char *format;        /* "text", "jsonl", "csv", "tsv"; NULL: by the name */
    const char *const *fields; /* members of JSONL objects or columns; several are joined by a newline. None: "text", or a */
    size_t n_fields;           /* table's only column */
    size_t limit;              /* bytes of text, also of one unpacked file; 0 means 4 GiB */
    bool apart;                /* of tables: every field is a document of its own, an empty one too */
    bool none;                 /* no text at all is fine: it has no documents */
    bool listed;               /* paths come from wf_text_list: binary files are left out as in a folder */
    bool empty;                /* a line of JSONL or of a table whose document is empty has one all the same */
} wf_text_options;

/* `options` may be NULL. Fails when there is no text at all, unless that is fine. */
weft_status wf_text_load(const wf_env *env, const char *const *paths, size_t n, const wf_text_options *options, wf_text *out,
                         weft_error *err);
void wf_text_free(wf_text *text);
/* The files that a folder would be read from, in order, binary ones among them; paths in the arena. */
weft_status wf_text_list(const wf_env *env, wf_arena *arena, const char *folder, const char *const **files, size_t *n,
                         weft_error *err);

/* Putting documents together by hand. */
wf_text wf_text_new(const wf_mem *mem);
weft_status wf_text_put(wf_text *text, const char *bytes, size_t n, weft_error *err); /* to the document that is open */
weft_status wf_text_end(wf_text *text, weft_error *err);                              /* ends it, unless it is empty */
weft_status wf_text_end_any(wf_text *text, weft_error *err);                          /* ends it */

/* ---- formats ---- */
typedef struct wf_text_source {
    const char *where; /* for messages: the path */
    const char *bytes;
    size_t length;
    const wf_text_options *options; /* never NULL */
} wf_text_source;

typedef struct wf_text_format {
    const char *name;
    const char *const *endings; /* of file names, ended by NULL */
    weft_status (*read)(const wf_text_source *source, wf_text *out, weft_error *err);
} wf_text_format;

extern const wf_text_format wf_text_format_jsonl, wf_text_format_csv, wf_text_format_tsv;
/* Ends the document of a line or record: an empty one is left out unless the options keep those. */
weft_status wf_text_end_record(const wf_text_source *source, wf_text *text, weft_error *err);
/* Reads data that is in memory; `format` NULL: by the name `source->where`. */
weft_status wf_text_read(const wf_text_source *source, const char *format, wf_text *out, weft_error *err);

/* Unpacks gzip (several members too); more than `limit` bytes is WEFT_NO_MEMORY. Appends to `out`. */
weft_status wf_gunzip(const wf_mem *mem, const void *data, size_t n, size_t limit, wf_str *out, weft_error *err);
bool wf_is_gzip(const void *data, size_t n);
bool wf_text_is_plain(const char *path); /* by its name */
#endif
