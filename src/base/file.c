#include "base/reader.h"
#include "base/str.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

weft_status wf_fail_os(weft_error *err, const char *path) {
    int code = errno;
    char text[256];
    if (strerror_r(code, text, sizeof text) != 0)
        snprintf(text, sizeof text, "error %d", code);
    return wf_fail(err, WEFT_FAILURE, "%s: %s", path, text);
}

/* ---- reading ---- */

/* Reads exactly the bytes from..to; a file that shrank meanwhile is an error, one that grew is cut. */
static weft_status read_all(int fd, const char *path, uint8_t *out, size_t from, size_t to, weft_error *err) {
    for (size_t done = from; done < to;) {
        ssize_t n = pread(fd, out + done, to - done, (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return wf_fail_os(err, path);
        WF_CHECK(n > 0, err, WEFT_FAILURE, "%s: became shorter while it was read", path);
        done += (size_t)n;
    }
    return WEFT_OK;
}

/* A large file in shares, each by a thread. */
typedef struct shares {
    int fd;
    const char *path;
    uint8_t *data;
    size_t size;
    weft_error error; /* of the thread that failed first */
    atomic_int failed;
} shares;

static void read_share(void *arg, int thread, int n_threads) {
    shares *s = arg;
    weft_error error = {0};
    int none = WEFT_OK;
    size_t share = s->size / (size_t)n_threads, from = share * (size_t)thread;
    weft_status status = read_all(s->fd, s->path, s->data, from, thread + 1 == n_threads ? s->size : from + share, &error);
    if (status != WEFT_OK && atomic_compare_exchange_strong(&s->failed, &none, (int)status))
        s->error = error;
}

static weft_status read_shared(int fd, const char *path, wf_pool *pool, wf_file *out, uint8_t *data, weft_error *err) {
    enum { LARGE = 4 << 20 };
    if (!pool || out->size < LARGE)
        return read_all(fd, path, data, 0, out->size, err);
    shares s = {.fd = fd, .path = path, .data = data, .size = out->size};
    wf_pool_run(pool, read_share, &s);
    weft_status status = (weft_status)atomic_load(&s.failed);
    if (status != WEFT_OK && err)
        *err = s.error;
    return status;
}

static weft_status load(int fd, const char *path, wf_pool *pool, wf_file *out, weft_error *err) {
    uint8_t *data = out->size < SIZE_MAX ? wf_alloc(out->mem, out->size + 1) : NULL;
    if (!data)
        return wf_fail_memory(err);
    wf_advise_big(data, out->size);
    data[out->size] = 0; /* so that a text file can be used as a C string */
    weft_status status = read_shared(fd, path, pool, out, data, err);
    if (status != WEFT_OK) {
        wf_free(out->mem, data);
        return status;
    }
    out->data = data;
    return WEFT_OK;
}

static weft_status map_file(int fd, const char *path, wf_file *out, weft_error *err) {
    void *data = mmap(NULL, out->size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return wf_fail_os(err, path);
    out->data = data;
    out->mapped = true;
    return WEFT_OK;
}

typedef struct opening {
    size_t limit;
    bool map;
    wf_pool *pool;
} opening;

static weft_status open_fd(int fd, const char *path, opening how, wf_file *out, weft_error *err) {
    struct stat info;
    if (fstat(fd, &info) != 0)
        return wf_fail_os(err, path);
    WF_CHECK(S_ISREG(info.st_mode), err, WEFT_FAILURE, "%s: not a regular file", path);
    WF_CHECK((uintmax_t)info.st_size <= SIZE_MAX && (how.limit == 0 || (size_t)info.st_size <= how.limit), err, WEFT_BAD_INPUT,
             "%s: has %lld bytes, more than the limit of %zu", path, (long long)info.st_size, how.limit);
    out->size = (size_t)info.st_size;
    return how.map && out->size > 0 ? map_file(fd, path, out, err) : load(fd, path, how.pool, out, err);
}

static weft_status open_file(const wf_mem *mem, const char *path, opening how, wf_file *out, weft_error *err) {
    *out = (wf_file){.mem = mem};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a named pipe must not make us wait for a writer */
    if (fd < 0)
        return wf_fail_os(err, path);
    weft_status status = open_fd(fd, path, how, out, err);
    close(fd);
    if (status != WEFT_OK)
        *out = (wf_file){.mem = mem};
    return status;
}

weft_status wf_file_open(const wf_mem *mem, const char *path, bool map, size_t limit, wf_file *out, weft_error *err) {
    return open_file(mem, path, (opening){.map = map, .limit = limit}, out, err);
}

weft_status wf_file_open_on(const wf_mem *mem, wf_pool *pool, const char *path, size_t limit, wf_file *out, weft_error *err) {
    return open_file(mem, path, (opening){.pool = pool, .limit = limit}, out, err);
}

static void *without_const(const uint8_t *data) {
    union {
        const uint8_t *in;
        void *out;
    } view = {data};
    return view.out;
}

void wf_file_close(wf_file *file) {
    if (!file->data)
        return;
    if (file->mapped)
        munmap(without_const(file->data), file->size);
    else
        wf_free(file->mem, without_const(file->data));
    *file = (wf_file){.mem = file->mem};
}

char *wf_file_take(wf_file *file) {
    assert(!file->mapped);
    char *data = without_const(file->data);
    *file = (wf_file){.mem = file->mem};
    return data;
}

/* ---- writing ---- */

enum { BUFFER = 1 << 16, NAME_TRIES = 10 };

struct wf_writer {
    const wf_mem *mem;
    char *path, *temporary;
    int fd;
    bool failed;
    size_t used;
    char buffer[BUFFER];
};

static void discard(wf_writer *w) {
    if (w->fd >= 0)
        close(w->fd);
    if (w->temporary && w->temporary[0])
        unlink(w->temporary);
    wf_free(w->mem, w->path);
    wf_free(w->mem, w->temporary);
    wf_free(w->mem, w);
}

/* path.tmp.<pid>; with a number behind it while another writer of this process, or a crash, left that name in use. */
static weft_status open_temporary(wf_writer *w, size_t room, weft_error *err) {
    for (int i = 0; i < NAME_TRIES && w->fd < 0; i++) {
        int n = snprintf(w->temporary, room, "%s.tmp.%ld", w->path, (long)getpid());
        if (i > 0)
            snprintf(w->temporary + n, room - (size_t)n, ".%d", i);
        w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (w->fd < 0 && errno != EEXIST)
            break;
    }
    if (w->fd >= 0)
        return WEFT_OK;
    weft_status status = wf_fail_os(err, w->path);
    w->temporary[0] = 0; /* not ours to remove */
    return status;
}

weft_status wf_writer_open(const wf_mem *mem, const char *path, wf_writer **out, weft_error *err) {
    *out = NULL;
    wf_writer *w = wf_alloc(mem, sizeof *w);
    if (!w)
        return wf_fail_memory(err);
    size_t room = strlen(path) + 40;
    w->mem = mem;
    w->fd = -1;
    w->failed = false;
    w->used = 0;
    w->path = wf_strdup(mem, path);
    w->temporary = wf_calloc(mem, 1, room);
    weft_status status = w->path && w->temporary ? open_temporary(w, room, err) : wf_fail_memory(err);
    if (status != WEFT_OK) {
        discard(w);
        return status;
    }
    *out = w;
    return WEFT_OK;
}

static weft_status write_all(wf_writer *w, const char *data, size_t n, weft_error *err) {
    while (n > 0) {
        ssize_t done = write(w->fd, data, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0) {
            w->failed = true;
            return wf_fail_os(err, w->path);
        }
        data += done;
        n -= (size_t)done;
    }
    return WEFT_OK;
}

static weft_status flush(wf_writer *w, weft_error *err) {
    size_t n = w->used;
    w->used = 0;
    return write_all(w, w->buffer, n, err);
}

weft_status wf_writer_put(wf_writer *w, const void *data, size_t n, weft_error *err) {
    WF_CHECK(!w->failed, err, WEFT_FAILURE, "%s: an earlier write failed", w->path);
    if (n >= BUFFER - w->used) {
        WF_TRY(flush(w, err));
        if (n >= BUFFER)
            return write_all(w, data, n, err);
    }
    if (n)
        memcpy(w->buffer + w->used, data, n);
    w->used += n;
    return WEFT_OK;
}

/* A rename is on disk only once its folder is. Some file systems cannot sync a folder and say EINVAL. */
static weft_status sync_folder(wf_writer *w, weft_error *err) {
    char *slash = strrchr(w->temporary, '/');
    if (slash)
        slash[slash == w->temporary] = 0;
    const char *folder = slash ? w->temporary : ".";
    int fd = open(folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (fd < 0)
        return wf_fail_os(err, folder);
    weft_status status = fsync(fd) == 0 || errno == EINVAL ? WEFT_OK : wf_fail_os(err, folder);
    close(fd);
    return status;
}

static weft_status finish(wf_writer *w, weft_error *err) {
    WF_CHECK(!w->failed, err, WEFT_FAILURE, "%s: an earlier write failed", w->path);
    WF_TRY(flush(w, err));
    if (fsync(w->fd) != 0)
        return wf_fail_os(err, w->path);
    int closed = close(w->fd);
    w->fd = -1;
    if (closed != 0 || rename(w->temporary, w->path) != 0)
        return wf_fail_os(err, w->path);
    weft_status status = sync_folder(w, err);
    w->temporary[0] = 0; /* it is the file now */
    return status;
}

weft_status wf_writer_commit(wf_writer *w, weft_error *err) {
    weft_status status = finish(w, err);
    discard(w);
    return status;
}

void wf_writer_abort(wf_writer *w) {
    if (w)
        discard(w);
}

weft_status wf_write_file(const wf_mem *mem, const char *path, const void *data, size_t n, weft_error *err) {
    wf_writer *w;
    WF_TRY(wf_writer_open(mem, path, &w, err));
    weft_status status = wf_writer_put(w, data, n, err);
    if (status == WEFT_OK)
        return wf_writer_commit(w, err);
    wf_writer_abort(w);
    return status;
}

weft_status wf_copy_file(const wf_mem *mem, const char *from, const char *to, weft_error *err) {
    wf_file file;
    WF_TRY(wf_file_open(mem, from, true, 0, &file, err));
    weft_status status = wf_write_file(mem, to, file.data, file.size, err);
    wf_file_close(&file);
    return status;
}

weft_status wf_remove_file(const char *path, weft_error *err) { return unlink(path) == 0 ? WEFT_OK : wf_fail_os(err, path); }
