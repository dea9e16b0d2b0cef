/* reader.h - the one bounded reader of foreign bytes, and files. Errors are sticky: then reads return 0 and do not move. */
#ifndef WF_BASE_READER_H
#define WF_BASE_READER_H
#include <stdbool.h>
#include "base/mem.h"
#include "base/pool.h"

typedef struct wf_reader {
    const uint8_t *base;
    size_t length, position;
    bool failed; /* a read passed the end */
} wf_reader;

wf_reader wf_reader_of(const void *base, size_t length);
uint8_t wf_read_u8(wf_reader *r);
uint16_t wf_read_u16(wf_reader *r); /* little endian, as all below */
uint32_t wf_read_u32(wf_reader *r);
uint64_t wf_read_u64(wf_reader *r);
float wf_read_f32(wf_reader *r);
const uint8_t *wf_read_bytes(wf_reader *r, size_t n); /* a view, NULL past the end */
size_t wf_reader_left(const wf_reader *r);

/* WEFT_FAILURE with "path: what errno says". */
weft_status wf_fail_os(weft_error *err, const char *path);

/* A whole file: mapped read-only when `map`, else read into memory with a 0 behind the last byte. Regular files only.
 * `limit` is the largest size accepted, 0 for any; a larger file is WEFT_BAD_INPUT, everything else WEFT_FAILURE. */
typedef struct wf_file {
    const uint8_t *data;
    size_t size;
    const wf_mem *mem;
    bool mapped;
} wf_file;
weft_status wf_file_open(const wf_mem *mem, const char *path, bool map, size_t limit, wf_file *out, weft_error *err);
/* The same into memory, a large file by all threads of the pool (NULL: by this one). */
weft_status wf_file_open_on(const wf_mem *mem, wf_pool *pool, const char *path, size_t limit, wf_file *out, weft_error *err);
void wf_file_close(wf_file *file);
/* The memory of a file that was read, the caller's from here on (free with wf_free); the file is closed. */
char *wf_file_take(wf_file *file);

/* Writing that never loses the old file: path.tmp.<pid>, every write checked, fsync, rename, fsync of the folder.
 * On any error, and on wf_writer_abort, the temporary file is removed and the old file is untouched. */
typedef struct wf_writer wf_writer;
weft_status wf_writer_open(const wf_mem *mem, const char *path, wf_writer **out, weft_error *err);
weft_status wf_writer_put(wf_writer *w, const void *data, size_t n, weft_error *err); /* buffered */
weft_status wf_writer_commit(wf_writer *w, weft_error *err);                          /* frees w, also on failure */
void wf_writer_abort(wf_writer *w);                                                   /* frees w; NULL is fine */
weft_status wf_write_file(const wf_mem *mem, const char *path, const void *data, size_t n, weft_error *err);
weft_status wf_copy_file(const wf_mem *mem, const char *from, const char *to, weft_error *err);
weft_status wf_remove_file(const char *path, weft_error *err);
weft_status wf_make_dir(const char *path, weft_error *err); /* parents too; fine when it exists */
bool wf_is_dir(const char *path);
bool wf_is_file(const char *path);
/* Joins folder and name with one slash, in the arena. */
char *wf_path_join(wf_arena *arena, const char *folder, const char *name);
/* A name that a file of a folder may give another: of that folder itself, not empty, without slashes and NULs, not hidden. */
bool wf_is_plain_name(const char *name, size_t length);
/* The path of a plain name in a folder, in the arena. WEFT_BAD_INPUT when the name is not plain, or when it is a link that
 * leads out of the folder; in a snapshot of a Hugging Face cache (REPOSITORY/snapshots/REVISION) links may lead to that
 * repository's blobs. A file that is not there is no error here. */
weft_status wf_path_inside(wf_arena *arena, const char *folder, const char *name, char **out, weft_error *err);
/* Names of the entries of a folder, sorted by bytes, without "." and "..", in the arena. */
weft_status wf_list_dir(wf_arena *arena, const char *path, char ***names, size_t *count, weft_error *err);
#endif
