/* tokenize_ids.c - ids and counts of many texts over the threads, each thread writing the lines of the texts it encoded: texts
 * in memory, some neighbours at a time; the lines of standard input as they come; the lines of a file, of which each thread
 * reads the next stretch. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/reader.h"
#include "jobs/put.h"
#include "jobs/tokenize.h"

/* Few units are on their way at a time, so that their memory stays in the caches. */
enum { UNITS = 64, EACH = 4, UNIT_TEXTS = 256, UNIT_BYTES = 1 << 14, PART = 1 << 14, BLOCK = 1 << 20, STRETCH = 1 << 16 };

typedef struct unit { /* some neighbours */
    const wf_bytes *texts;
    size_t count;
    wf_ids ids;
    size_t n_ids[UNIT_TEXTS];
    wf_str text;
    char *data; /* of a file */
    size_t capacity;
    wf_tokenize_counts counts; /* of its lines */
    size_t long_at;            /* where a long line begins behind them; SIZE_MAX: nowhere */
    bool has_zeros;
} unit;

struct wf_tokenize_ids {
    wf_job *job;
    const wf_tokenize_request *r;
    wf_json *list; /* of records; NULL: none are kept */
    wf_tokenize_counts *counts;
    wf_encoders *encoders;
    size_t ahead; /* units that are used: EACH for a thread */
    /* of texts in memory: */
    const wf_bytes *texts;
    size_t *firsts; /* of units */
    size_t firsts_capacity;
    wf_ids long_ids; /* of the long text at hand */
    /* of a file: */
    const char *path;
    int fd;
    size_t size, start, long_at; /* stretches are counted from `start`; the long line that ended the round */
    bool has_zeros;
    unit units[UNITS];
};

weft_status wf_tokenize_ids_open(wf_job *job, const wf_tokenize_request *r, const wf_tokenizer *tok, wf_tokenize_counts *counts,
                                 wf_tokenize_ids **out) {
    wf_tokenize_ids *s = wf_calloc(&job->env->mem, 1, sizeof *s);
    if (!s)
        return wf_fail_memory(job->err);
    *s = (wf_tokenize_ids){.job = job, .r = r, .counts = counts, .ahead = UNITS};
    s->long_ids = wf_ids_new(&job->env->mem);
    if (wf_pool_threads(job->env->pool) < UNITS / EACH)
        s->ahead = EACH * (size_t)wf_pool_threads(job->env->pool);
    s->list = r->records ? wf_put_list(job->arena, job->json, "texts") : NULL;
    for (int i = 0; i < UNITS; i++) {
        s->units[i].ids = wf_ids_new(&job->env->mem);
        s->units[i].text = wf_str_new(&job->env->mem);
    }
    *out = s;
    weft_status status = wf_encoders_create(tok, job->env, &s->encoders, job->err);
    if (status != WEFT_OK)
        wf_tokenize_ids_close(s);
    return status;
}

void wf_tokenize_ids_close(wf_tokenize_ids *s) {
    for (int i = 0; i < UNITS; i++) {
        wf_ids_free(&s->units[i].ids);
        wf_str_free(&s->units[i].text);
        wf_free(&s->job->env->mem, s->units[i].data);
    }
    wf_free(&s->job->env->mem, s->firsts);
    wf_ids_free(&s->long_ids);
    wf_encoders_free(s->encoders);
    wf_free(&s->job->env->mem, s);
}

/* ---- on the threads ---- */

/* A blank behind each, a line's end behind the last one. */
static void put_ids(wf_str *out, const uint32_t *ids, size_t n, bool ends) {
    enum { LONGEST = 24 };
    char text[1024];
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (used > sizeof text - LONGEST - 2) {
            wf_str_put(out, text, used);
            used = 0;
        }
        used += wf_format_u64(ids[i], text + used);
        text[used++] = ' ';
    }
    used -= ends && n > 0;
    if (ends)
        text[used++] = '\n';
    wf_str_put(out, text, used);
}

static void put_line(const wf_tokenize_ids *s, unit *u, const uint32_t *ids, size_t n) {
    if (s->r->show == WF_SHOW_COUNT)
        wf_str_printf(&u->text, "%zu\n", n);
    else
        put_ids(&u->text, ids, n, true);
}

static weft_status encode_unit(void *user, wf_encoder *e, size_t i, weft_error *err) {
    wf_tokenize_ids *s = user;
    unit *u = &s->units[i % s->ahead];
    u->ids.count = 0;
    wf_str_clear(&u->text);
    u->texts = s->texts + s->firsts[i];
    u->count = s->firsts[i + 1] - s->firsts[i];
    for (size_t k = 0; k < u->count; k++) {
        size_t before = u->ids.count;
        WF_TRY(wf_encode(e, u->texts[k].data, u->texts[k].length, wf_tokenize_flags(s->r), &u->ids, err));
        u->n_ids[k] = u->ids.count - before;
        put_line(s, u, u->ids.data ? u->ids.data + before : NULL, u->n_ids[k]);
    }
    return u->text.failed ? wf_fail_memory(err) : WEFT_OK;
}

/* ---- in order ---- */

static void put_record(wf_tokenize_ids *s, const uint32_t *ids, size_t n, size_t bytes) {
    wf_arena *arena = s->job->arena;
    wf_json *one = wf_json_push(s->list, wf_json_new(arena, WF_JSON_OBJECT));
    wf_put_int(arena, one, "tokens", (int64_t)n);
    wf_put_int(arena, one, "bytes", (int64_t)bytes);
    wf_json *list = s->r->show != WF_SHOW_COUNT ? wf_put_list(arena, one, "ids") : NULL;
    for (size_t i = 0; list && i < n; i++)
        wf_json_push(list, wf_json_new_int(arena, ids[i]));
}

/* The lines of the unit behind the others, or in place of none: those of one long text are not held twice. */
static void take_lines(wf_str *text, unit *u) {
    if (text->length) {
        wf_str_put(text, u->text.data, u->text.length);
        return;
    }
    wf_str empty = *text;
    *text = u->text;
    u->text = empty;
}

static weft_status hand_out(wf_tokenize_ids *s, weft_error *err) {
    WF_TRY(wf_job_hand_out(s->job)); /* whose error is the job's */
    return wf_stopped(s->job->env);
}

static weft_status tell_unit(void *user, size_t i, weft_error *err) {
    wf_tokenize_ids *s = user;
    unit *u = &s->units[i % s->ahead];
    take_lines(&s->job->text, u);
    for (size_t k = 0, at = 0; k < u->count; at += u->n_ids[k++]) {
        s->counts->texts++;
        s->counts->tokens += u->n_ids[k];
        s->counts->bytes += u->texts[k].length;
        if (s->list)
            put_record(s, u->ids.data + at, u->n_ids[k], u->texts[k].length);
    }
    return hand_out(s, err);
}

/* Where the next unit begins. */
static size_t next_unit(const wf_bytes *texts, size_t from, size_t n) {
    size_t bytes = 0, at = from;
    for (; at < n && at < from + UNIT_TEXTS && bytes < UNIT_BYTES; at++)
        bytes += texts[at].length;
    return at;
}

static weft_status put_neighbours(wf_tokenize_ids *s, const wf_bytes *texts, size_t n) {
    size_t units = 0;
    s->texts = texts;
    for (size_t at = 0;; at = next_unit(texts, at, n)) {
        WF_TRY(wf_grow(&s->job->env->mem, (void **)&s->firsts, &s->firsts_capacity, units + 1, sizeof *s->firsts, s->job->err));
        s->firsts[units] = at;
        if (at == n)
            break;
        units++;
    }
    return wf_encoders_in_order(s->encoders, units, s->ahead, encode_unit, tell_unit, s, s->job->err);
}

/* ---- one long text ---- */

static weft_status write_part(void *user, wf_encoder *e, size_t i, weft_error *err) {
    wf_tokenize_ids *s = user;
    unit *u = &s->units[i % s->ahead];
    size_t from = i * PART, left = s->long_ids.count - from;
    wf_str_clear(&u->text);
    if (s->r->show == WF_SHOW_COUNT)
        put_line(s, u, NULL, s->long_ids.count);
    else
        put_ids(&u->text, s->long_ids.data + from, left < PART ? left : PART, left <= PART);
    return u->text.failed ? wf_fail_memory(err) : WEFT_OK;
}

static weft_status tell_part(void *user, size_t i, weft_error *err) {
    wf_tokenize_ids *s = user;
    take_lines(&s->job->text, &s->units[i % s->ahead]);
    return hand_out(s, err);
}

/* By all threads at once, and so are its ids written. */
static weft_status put_long(wf_tokenize_ids *s, const wf_bytes *text) {
    wf_ids *ids = &s->long_ids;
    ids->count = 0;
    WF_TRY(wf_encode_on(s->encoders, *text, wf_tokenize_flags(s->r), ids, s->job->err));
    s->counts->texts++;
    s->counts->tokens += ids->count;
    s->counts->bytes += text->length;
    if (s->list)
        put_record(s, ids->data, ids->count, text->length);
    size_t parts = s->r->show == WF_SHOW_COUNT || ids->count == 0 ? 1 : (ids->count + PART - 1) / PART;
    return wf_encoders_in_order(s->encoders, parts, s->ahead, write_part, tell_part, s, s->job->err);
}

weft_status wf_tokenize_ids_put(wf_tokenize_ids *s, const wf_bytes *texts, size_t n) {
    for (size_t i = 0, k; i < n; i = k) {
        for (k = i; k < n && texts[k].length < WF_LONG_TEXT; k++)
            continue;
        if (k > i)
            WF_TRY(put_neighbours(s, texts + i, k - i));
        if (k < n)
            WF_TRY(put_long(s, &texts[k++]));
    }
    return WEFT_OK;
}

/* ---- the lines of a file ---- */

/* Reads from..to into the unit behind the `have` bytes that are there. */
static weft_status read_stretch(wf_tokenize_ids *s, unit *u, size_t have, size_t from, size_t to, weft_error *err) {
    size_t more = to - from;
    WF_TRY(wf_grow(&s->job->env->mem, (void **)&u->data, &u->capacity, have + more, 1, err));
    for (size_t done = 0; done < more;) {
        ssize_t n = pread(s->fd, u->data + have + done, more - done, (off_t)(from + done));
        if (n < 0 && errno != EINTR)
            return wf_fail_os(err, s->path);
        WF_CHECK(n != 0, err, WEFT_FAILURE, "%s: became shorter while it was read", s->path);
        done += n > 0 ? (size_t)n : 0;
    }
    return WEFT_OK;
}

/* The lines that begin in from..to, a stretch of the file: *begin..*end of the unit's data. The byte before tells whether one
 * begins at `from`; the last one goes on behind `to`, and is left out when it is long. */
static weft_status read_lines(wf_tokenize_ids *s, unit *u, size_t from, size_t to, size_t *begin, size_t *end,
                              weft_error *err) {
    size_t before = from > s->start, start = from - before, have = to - start;
    WF_TRY(read_stretch(s, u, 0, start, to, err));
    const char *first = before ? memchr(u->data, '\n', have) : NULL;
    *begin = first ? (size_t)(first + 1 - u->data) : before ? have : 0;
    *end = have;
    bool whole = *begin >= have || u->data[have - 1] == '\n';
    size_t last = have;
    while (!whole && last > *begin && u->data[last - 1] != '\n')
        last--;
    while (!whole && start + have < s->size) {
        if (have - last >= WF_LONG_TEXT) {
            u->long_at = start + last;
            *end = last;
            return WEFT_OK;
        }
        size_t left = s->size - start - have, more = left < STRETCH ? left : STRETCH;
        WF_TRY(read_stretch(s, u, have, start + have, start + have + more, err));
        const char *stop = memchr(u->data + have, '\n', more);
        whole = stop != NULL;
        have += more;
        *end = stop ? (size_t)(stop + 1 - u->data) : have;
    }
    return WEFT_OK;
}

static weft_status encode_line(wf_tokenize_ids *s, wf_encoder *e, unit *u, wf_bytes line, weft_error *err) {
    u->ids.count = 0;
    WF_TRY(wf_encode(e, line.data, line.length, wf_tokenize_flags(s->r), &u->ids, err));
    put_line(s, u, u->ids.data, u->ids.count);
    u->counts.texts++;
    u->counts.tokens += u->ids.count;
    u->counts.bytes += line.length;
    return WEFT_OK;
}

static weft_status encode_stretch(void *user, wf_encoder *e, size_t i, weft_error *err) {
    wf_tokenize_ids *s = user;
    unit *u = &s->units[i % s->ahead];
    size_t from = s->start + i * STRETCH, to = s->size - from < STRETCH ? s->size : from + STRETCH, at, end;
    wf_str_clear(&u->text);
    u->counts = (wf_tokenize_counts){0};
    u->long_at = SIZE_MAX;
    WF_TRY(read_lines(s, u, from, to, &at, &end, err));
    u->has_zeros = at < end && memchr(u->data + at, 0, end - at);
    for (wf_bytes line; wf_tokenize_next_line(u->data, &at, end, &line);)
        WF_TRY(encode_line(s, e, u, line, err));
    return u->text.failed ? wf_fail_memory(err) : WEFT_OK;
}

static weft_status tell_stretch(void *user, size_t i, weft_error *err) {
    wf_tokenize_ids *s = user;
    unit *u = &s->units[i % s->ahead];
    take_lines(&s->job->text, u);
    s->counts->texts += u->counts.texts;
    s->counts->tokens += u->counts.tokens;
    s->counts->bytes += u->counts.bytes;
    s->has_zeros = s->has_zeros || u->has_zeros;
    WF_TRY(hand_out(s, err));
    s->long_at = u->long_at;
    return s->long_at == SIZE_MAX ? WEFT_OK : WEFT_FAILURE; /* the threads are wanted for the long line */
}

/* The long line that ended a round, by all threads; the next round begins behind it. */
static weft_status put_long_line(wf_tokenize_ids *s) {
    unit *u = &s->units[0];
    wf_bytes line;
    size_t have = 0, at = 0;
    for (bool whole = false; !whole && s->long_at + have < s->size;) {
        size_t left = s->size - s->long_at - have, more = have ? have : BLOCK;
        more = more < left ? more : left;
        WF_TRY(read_stretch(s, u, have, s->long_at + have, s->long_at + have + more, s->job->err));
        whole = memchr(u->data + have, '\n', more);
        have += more;
    }
    wf_tokenize_next_line(u->data, &at, have, &line);
    s->start = s->long_at + (at < have ? at : have);
    s->has_zeros = s->has_zeros || memchr(line.data, 0, line.length);
    return put_long(s, &line);
}

static bool tells_lines(const wf_tokenize_request *r) {
    return r->lines && !r->records && !r->format && r->n_fields == 0 && !r->limits &&
           (r->show == WF_SHOW_IDS || r->show == WF_SHOW_COUNT);
}

bool wf_tokenize_is_plain_file(const wf_tokenize_request *r) {
    unsigned char head[2];
    if (r->string || r->n_paths != 1 || !tells_lines(r) || !wf_text_is_plain(r->paths[0]) || !wf_is_file(r->paths[0]))
        return false;
    int fd = open(r->paths[0], O_RDONLY | O_CLOEXEC);
    bool plain = fd >= 0 && read(fd, head, sizeof head) == (ssize_t)sizeof head && !wf_is_gzip(head, sizeof head);
    if (fd >= 0)
        close(fd);
    return plain;
}

static weft_status put_file(wf_tokenize_ids *s) {
    struct stat info;
    if (fstat(s->fd, &info) != 0)
        return wf_fail_os(s->job->err, s->path);
    s->size = (size_t)info.st_size;
    while (s->start < s->size) {
        s->long_at = SIZE_MAX;
        weft_status status = wf_encoders_in_order(s->encoders, (s->size - s->start + STRETCH - 1) / STRETCH, s->ahead,
                                                  encode_stretch, tell_stretch, s, s->job->err);
        if (s->long_at == SIZE_MAX)
            return status;
        WF_TRY(put_long_line(s));
    }
    return WEFT_OK;
}

weft_status wf_tokenize_file(wf_job *job, const wf_tokenize_request *r, const wf_tokenizer *tok, wf_tokenize_counts *counts) {
    wf_tokenize_ids *s;
    WF_TRY(wf_tokenize_ids_open(job, r, tok, counts, &s));
    s->path = r->paths[0];
    s->fd = open(s->path, O_RDONLY | O_CLOEXEC);
    weft_status status = s->fd < 0 ? wf_fail_os(job->err, s->path) : put_file(s);
    if (s->fd >= 0)
        close(s->fd);
    if (s->has_zeros)
        wf_log(job->env, WF_WARN, "%s has NUL bytes: is it a text?", s->path);
    wf_tokenize_ids_close(s);
    return status;
}

/* ---- standard input ---- */

typedef struct input {
    wf_tokenize_ids *ids;
    char *data; /* what has come of lines that are not whole yet */
    size_t length, capacity;
    bool ended;
} input;

bool wf_tokenize_streams(const wf_tokenize_request *r) {
    bool standard = !r->string && (r->n_paths == 0 || (r->n_paths == 1 && wf_streq(r->paths[0], "-")));
    return standard && tells_lines(r);
}

static weft_status read_block(input *in) {
    wf_job *job = in->ids->job;
    WF_TRY(wf_grow(&job->env->mem, (void **)&in->data, &in->capacity, in->length + BLOCK, 1, job->err));
    ssize_t n = read(STDIN_FILENO, in->data + in->length, BLOCK);
    if (n < 0 && errno != EINTR)
        return wf_fail_os(job->err, "-");
    in->length += n > 0 ? (size_t)n : 0;
    in->ended = n == 0;
    return wf_stopped(job->env);
}

static weft_status put_lines(input *in, const char *data, size_t length) {
    wf_tokenize_texts lines = {.text = wf_text_new(&in->ids->job->env->mem)};
    weft_status status = wf_tokenize_push_lines(in->ids->job, &lines, data, length);
    if (status == WEFT_OK)
        status = wf_tokenize_ids_put(in->ids, lines.list, lines.count);
    wf_tokenize_texts_free(&lines);
    return status;
}

/* The lines that are whole; what is left moves to the front. */
static weft_status put_whole(input *in, size_t known) {
    size_t end = in->length;
    while (end > known && in->data[end - 1] != '\n')
        end--;
    if (in->ended)
        end = in->length;
    else if (end == known)
        return WEFT_OK;
    WF_TRY(put_lines(in, in->data, end));
    memmove(in->data, in->data + end, in->length - end);
    in->length -= end;
    return WEFT_OK;
}

static weft_status put_packed(input *in) {
    wf_job *job = in->ids->job;
    wf_str text = wf_str_new(&job->env->mem);
    weft_status status = wf_gunzip(&job->env->mem, in->data, in->length, SIZE_MAX / 4, &text, job->err);
    if (status == WEFT_OK)
        status = put_lines(in, wf_str_text(&text), text.length);
    wf_str_free(&text);
    return status;
}

static weft_status stream(input *in) {
    bool packed = false, any = false;
    while (!in->ended) {
        size_t known = in->length;
        WF_TRY(read_block(in));
        if (!any && in->length >= 2)
            packed = wf_is_gzip(in->data, in->length);
        any = any || in->length >= 2;
        if (!packed && in->length)
            WF_TRY(put_whole(in, known));
    }
    return packed ? put_packed(in) : WEFT_OK;
}

/* A whole file, from its beginning, is read in stretches. */
static bool is_plain_file(int fd) {
    unsigned char head[2];
    struct stat info;
    return fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && lseek(fd, 0, SEEK_CUR) == 0 &&
           pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head && !wf_is_gzip(head, sizeof head);
}

static weft_status put_stdin_file(wf_tokenize_ids *s) {
    s->path = "-";
    s->fd = STDIN_FILENO;
    weft_status status = put_file(s);
    (void)lseek(s->fd, (off_t)s->size, SEEK_SET); /* as one who has read it leaves it */
    return status;
}

weft_status wf_tokenize_stream(wf_job *job, const wf_tokenize_request *r, const wf_tokenizer *tok, wf_tokenize_counts *counts) {
    input in = {.length = 0};
    WF_TRY(wf_tokenize_ids_open(job, r, tok, counts, &in.ids));
    weft_status status = is_plain_file(STDIN_FILENO) ? put_stdin_file(in.ids) : stream(&in);
    wf_tokenize_ids_close(in.ids);
    wf_free(&job->env->mem, in.data);
    return status;
}
