/* tokenize_ids.c - ids and counts of many texts: some hundred at a time over the threads, each thread writing the lines of the
 * texts it encoded; and the lines of standard input as they come. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/reader.h"
#include "jobs/put.h"
#include "jobs/tokenize.h"

enum { UNITS = 256, UNIT_TEXTS = 256, UNIT_BYTES = 1 << 14, BLOCK = 1 << 20 };

typedef struct unit { /* some neighbours */
    const wf_bytes *texts;
    size_t count;
    wf_ids ids;
    size_t n_ids[UNIT_TEXTS];
    wf_str text;
} unit;

struct wf_tokenize_ids {
    wf_job *job;
    const wf_tokenize_request *r;
    wf_json *list; /* of records; NULL: none are kept */
    wf_tokenize_counts *counts;
    wf_encoders *encoders;
    unit units[UNITS];
};

weft_status wf_tokenize_ids_open(wf_job *job, const wf_tokenize_request *r, const wf_tokenizer *tok, wf_tokenize_counts *counts,
                                 wf_tokenize_ids **out) {
    wf_tokenize_ids *s = wf_calloc(&job->env->mem, 1, sizeof *s);
    if (!s)
        return wf_fail_memory(job->err);
    *s = (wf_tokenize_ids){.job = job, .r = r, .counts = counts};
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
    }
    wf_encoders_free(s->encoders);
    wf_free(&s->job->env->mem, s);
}

/* ---- on the threads ---- */

/* Writes the digits and returns how many there are. */
static size_t write_number(char *out, uint64_t x) {
    char digits[24];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + x % 10);
    while (x /= 10);
    memcpy(out, digits + at, sizeof digits - at);
    return sizeof digits - at;
}

static void put_line(const wf_tokenize_ids *s, unit *u, const uint32_t *ids, size_t n) {
    enum { LONGEST = 24 };
    char text[1024];
    size_t used = s->r->show == WF_SHOW_COUNT ? write_number(text, n) : 0;
    for (size_t i = 0; s->r->show != WF_SHOW_COUNT && i < n; i++) {
        if (used > sizeof text - LONGEST - 2) {
            wf_str_put(&u->text, text, used);
            used = 0;
        }
        if (i)
            text[used++] = ' ';
        used += write_number(text + used, ids[i]);
    }
    text[used++] = '\n';
    wf_str_put(&u->text, text, used);
}

static weft_status encode_unit(void *user, wf_encoder *e, size_t i, weft_error *err) {
    wf_tokenize_ids *s = user;
    unit *u = &s->units[i];
    u->ids.count = 0;
    wf_str_clear(&u->text);
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

static void tell_unit(wf_tokenize_ids *s, unit *u) {
    take_lines(&s->job->text, u);
    for (size_t k = 0, at = 0; k < u->count; at += u->n_ids[k++]) {
        s->counts->texts++;
        s->counts->tokens += u->n_ids[k];
        s->counts->bytes += u->texts[k].length;
        if (s->list)
            put_record(s, u->ids.data + at, u->n_ids[k], u->texts[k].length);
    }
}

/* How many of the texts the unit takes. */
static size_t fill(unit *u, const wf_bytes *texts, size_t n) {
    size_t bytes = 0;
    u->texts = texts;
    for (u->count = 0; u->count < n && u->count < UNIT_TEXTS && bytes < UNIT_BYTES; u->count++)
        bytes += texts[u->count].length;
    return u->count;
}

weft_status wf_tokenize_ids_put(wf_tokenize_ids *s, const wf_bytes *texts, size_t n) {
    while (n > 0) {
        size_t units = 0;
        for (size_t taken; units < UNITS && n > 0; texts += taken, n -= taken)
            taken = fill(&s->units[units++], texts, n);
        WF_TRY(wf_encoders_each(s->encoders, units, encode_unit, s, s->job->err));
        for (size_t i = 0; i < units; i++)
            tell_unit(s, &s->units[i]);
        WF_TRY(wf_job_hand_out(s->job));
        WF_TRY(wf_stopped(s->job->env));
    }
    return WEFT_OK;
}

/* ---- standard input ---- */

typedef struct input {
    wf_tokenize_ids *ids;
    char *data; /* what has come of lines that are not whole yet */
    size_t length, capacity;
    bool ended, empty;
} input;

bool wf_tokenize_streams(const wf_tokenize_request *r) {
    bool standard = !r->string && (r->n_paths == 0 || (r->n_paths == 1 && wf_streq(r->paths[0], "-")));
    return standard && r->lines && !r->records && !r->format && r->n_fields == 0 && !r->limits &&
           (r->show == WF_SHOW_IDS || r->show == WF_SHOW_COUNT);
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
        in->empty = in->empty && in->length == 0;
        if (!packed && in->length)
            WF_TRY(put_whole(in, known));
    }
    WF_CHECK(!in->empty, in->ids->job->err, WEFT_BAD_INPUT, "standard input is empty");
    return packed ? put_packed(in) : WEFT_OK;
}

weft_status wf_tokenize_stream(wf_job *job, const wf_tokenize_request *r, const wf_tokenizer *tok, wf_tokenize_counts *counts) {
    input in = {.empty = true};
    WF_TRY(wf_tokenize_ids_open(job, r, tok, counts, &in.ids));
    weft_status status = stream(&in);
    wf_tokenize_ids_close(in.ids);
    wf_free(&job->env->mem, in.data);
    return status;
}
