/* embed.c - a vector for every text: hidden states through the modules of a sentence-transformers folder, or their mean. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "apply/modules.h"
#include "jobs/apply.h"

typedef struct embedding {
    const char *pooling, *prompt_name, *prompt;
    const struct format_row *format;
    int64_t dims;            /* 0: all */
    bool normalize, written; /* written: the head of the file is out */
    size_t prompt_tokens;
    wf_modules *modules;
} embedding;

/* ---- formats ---- */
typedef struct format_row {
    const char *name;
    bool binary;
    void (*begin)(wf_str *out, size_t rows, size_t columns); /* may be NULL */
    void (*put)(wf_apply *a, const wf_text_record *record, const float *values, size_t n);
} format_row;

static void put_numbers(wf_json_writer *w, const float *values, size_t n) {
    wf_jw_begin(w, '[');
    for (size_t i = 0; i < n; i++)
        wf_jw_float(w, values[i]);
    wf_jw_end(w, ']');
}

static void put_jsonl(wf_apply *a, const wf_text_record *record, const float *values, size_t n) {
    wf_json_writer w;
    wf_json_writer_init(&w, &a->line, 0);
    if (a->json) {
        wf_jw_begin(&w, '{');
        wf_jw_key(&w, "text");
        wf_jw_string_n(&w, record->fields[0].data, record->fields[0].length);
        wf_jw_key(&w, "embedding");
    }
    put_numbers(&w, values, n);
    if (a->json)
        wf_jw_end(&w, '}');
    wf_str_putc(&a->line, '\n');
}

static void put_tsv(wf_apply *a, const wf_text_record *record, const float *values, size_t n) {
    char text[32];
    (void)record;
    for (size_t i = 0; i < n; i++) {
        wf_format_float(values[i], text);
        wf_str_puts(&a->line, i ? "\t" : "");
        wf_str_puts(&a->line, text);
    }
    wf_str_putc(&a->line, '\n');
}

/* Files are little-endian whatever the machine is. */
static void put_u32(wf_str *out, uint32_t bits) {
    const char bytes[4] = {(char)(bits & 255), (char)(bits >> 8 & 255), (char)(bits >> 16 & 255), (char)(bits >> 24)};
    wf_str_put(out, bytes, sizeof bytes);
}

static void put_f32(wf_apply *a, const wf_text_record *record, const float *values, size_t n) {
    (void)record;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        put_u32(&a->line, bits);
    }
}

/* The width before every vector. */
static void put_fvecs(wf_apply *a, const wf_text_record *record, const float *values, size_t n) {
    put_u32(&a->line, (uint32_t)n);
    put_f32(a, record, values, n);
}

/* Version 1.0 of NumPy's format: the header is filled up to a multiple of 64 bytes. */
static void begin_npy(wf_str *out, size_t rows, size_t columns) {
    static const char magic[8] = "\x93NUMPY\x01";
    char header[118];
    int n = snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", rows, columns);
    for (; n < (int)sizeof header - 1; n++)
        header[n] = ' ';
    header[sizeof header - 1] = '\n';
    wf_str_put(out, magic, sizeof magic);
    wf_str_putc(out, (char)sizeof header);
    wf_str_putc(out, 0);
    wf_str_put(out, header, sizeof header);
}

static const format_row formats[] = {{"jsonl", false, NULL, put_jsonl},
                                     {"tsv", false, NULL, put_tsv},
                                     {"npy", true, begin_npy, put_f32},
                                     {"fvecs", true, NULL, put_fvecs},
                                     {"f32", true, NULL, put_f32}};

static const format_row *read_format(wf_options *o) {
    const char *word = wf_option_text(o, "format", "jsonl");
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (wf_streq(formats[i].name, word))
            return &formats[i];
    wf_option_fail(o, wf_json_get(o->object, "format"), "'format' must be jsonl, tsv, npy, fvecs or f32, not '%s'", word);
    return &formats[0];
}

/* ---- the row ---- */
static weft_status read(wf_apply *a, wf_options *o) {
    static const char *const usual[] = {"text"};
    embedding *e = a->own;
    e->pooling = wf_option_text(o, "pooling", NULL);
    e->prompt_name = wf_option_text(o, "prompt", NULL);
    e->prompt = wf_option_text(o, "prompt_text", NULL);
    e->dims = wf_option_int(o, "dims", 0, 1, 1 << 24);
    e->normalize = wf_option_bool(o, "normalize", false);
    e->format = read_format(o);
    WF_TRY(wf_apply_fields(a, o, usual, 1));
    WF_CHECK(!e->prompt || !e->prompt_name, a->job->err, WEFT_USAGE, "embed: either a prompt's name or its text, not both");
    WF_CHECK(!e->format->binary || a->job->piece, a->job->err, WEFT_USAGE, "embed: '%s' is not text: it needs a place to go to",
             e->format->name);
    WF_CHECK(!e->format->binary || !a->json, a->job->err, WEFT_USAGE, "embed: either JSON or '%s', not both", e->format->name);
    WF_TRY(wf_modules_open(a->job->env, a->model, e->pooling, &e->modules, a->job->err));
    a->folder = wf_modules_folder(e->modules);
    a->body = true;
    return WEFT_OK;
}

static weft_status count_prompt(wf_apply *a, embedding *e) {
    wf_ids ids = wf_ids_new(&a->job->env->mem);
    weft_status status = wf_tokenizer_encode(a->m.tok, e->prompt, strlen(e->prompt), WF_ENCODE_SPECIALS, &ids, a->job->err);
    e->prompt_tokens = ids.count;
    if (status == WEFT_OK && ids.count && wf_tokenizer_is_special(a->m.tok, ids.data[ids.count - 1]))
        e->prompt_tokens--; /* the end of a text, which comes later */
    wf_ids_free(&ids);
    return status;
}

static weft_status prepare(wf_apply *a) {
    embedding *e = a->own;
    int64_t said = wf_modules_limit(e->modules), places = wf_runner_limit(a->m.model);
    if (wf_json_get(a->job->options, "max_length") == NULL && said > 0)
        a->limit = places && places < said ? places : said;
    a->cut = (wf_truncation){.on = a->limit > 0, .max_length = (size_t)a->limit};
    const wf_spec *spec = a->m.model->spec;
    WF_CHECK(!a->m.model->encoder, a->job->err, WEFT_UNSUPPORTED,
             "%s: embed needs an encoder or a decoder alone; this model is both (see: weft help translate)", a->model);
    WF_TRY(wf_modules_load(e->modules, spec->project.there ? spec->project.dim : spec->dim, a->job->err));
    WF_CHECK(e->dims <= wf_modules_width(e->modules), a->job->err, WEFT_USAGE, "embed: the vectors have %lld numbers, not %lld",
             (long long)wf_modules_width(e->modules), (long long)e->dims);
    if (!e->dims)
        e->dims = wf_modules_width(e->modules);
    if (!e->prompt)
        WF_TRY(wf_modules_prompt(e->modules, e->prompt_name, &e->prompt, a->job->err));
    if (e->prompt && !wf_modules_pools_prompt(e->modules))
        WF_TRY(count_prompt(a, e));
    a->how.finish = wf_modules_record;
    a->how.user = e->modules;
    return WEFT_OK;
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static wf_bytes strip(wf_bytes text) {
    while (text.length && is_space(text.data[0]))
        text.data++, text.length--;
    while (text.length && is_space(text.data[text.length - 1]))
        text.length--;
    return text;
}

/* The prompt before the text; then, in a sentence-transformers folder, without white space around both. */
static weft_status inputs(wf_apply *a, wf_apply_item *item) {
    const embedding *e = a->own;
    size_t before = e->prompt ? strlen(e->prompt) : 0, length = before;
    for (size_t i = 0; i < a->joined; i++)
        length += item->record.fields[i].length + (i > 0);
    char *text = wf_arena_alloc(&a->arena, length + 1);
    item->inputs = wf_arena_alloc(&a->arena, sizeof *item->inputs);
    if (!text || !item->inputs)
        return wf_fail_memory(a->job->err);
    memcpy(text, before ? e->prompt : "", before);
    for (size_t i = 0, at = before; i < a->joined; i++) {
        if (i > 0)
            text[at++] = '\n';
        memcpy(text + at, item->record.fields[i].data, item->record.fields[i].length);
        at += item->record.fields[i].length;
    }
    for (size_t i = 0; wf_modules_lowers(e->modules) && i < length; i++)
        text[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i];
    item->n = 1;
    item->inputs[0].text = wf_modules_strips(e->modules) ? strip((wf_bytes){text, length}) : (wf_bytes){text, length};
    item->record.fields[0] = (wf_bytes){text + before, length - before};
    return WEFT_OK;
}

static weft_status ready(wf_apply *a, wf_apply_item *item, const wf_encoding *code, wf_sequence *sequence) {
    const embedding *e = a->own;
    (void)item, (void)code;
    if (e->prompt_tokens < sequence->count)
        sequence->skip = e->prompt_tokens;
    return WEFT_OK;
}

static weft_status take(wf_apply *a, wf_apply_item *item, size_t index, const wf_encoding *code, const float *values,
                        int64_t rows, int64_t columns) {
    float *copy = wf_arena_alloc(&a->arena, (size_t)columns * sizeof *copy);
    (void)index, (void)code, (void)rows;
    if (!copy)
        return wf_fail_memory(a->job->err);
    memcpy(copy, values, (size_t)columns * sizeof *copy);
    item->own = copy;
    return WEFT_OK;
}

/* What stands before the first vector, or alone where there is none. */
static void begin(wf_apply *a) {
    embedding *e = a->own;
    if (!e->written && e->format->begin)
        e->format->begin(&a->line, wf_records_count(a->list), (size_t)e->dims);
    e->written = true;
}

static weft_status put(wf_apply *a, wf_apply_item *item) {
    embedding *e = a->own;
    float *values = item->own;
    double squares = 0.0;
    for (int64_t i = 0; i < e->dims; i++)
        squares += (double)values[i] * (double)values[i];
    for (int64_t i = 0; e->normalize && i < e->dims; i++)
        values[i] = (float)((double)values[i] / fmax(sqrt(squares), 1e-12));
    begin(a);
    e->format->put(a, &item->record, values, (size_t)e->dims);
    return WEFT_OK;
}

static weft_status end(wf_apply *a) { return begin(a), WEFT_OK; }

static void close_modules(wf_apply *a) { wf_modules_free(((embedding *)a->own)->modules); }

static const char *const words[] = {"pooling", "prompt", "prompt_text", "dims", "normalize", "format", NULL};
const wf_apply_row wf_apply_embed = {.name = "embed",
                                     .words = words,
                                     .pools = true,
                                     .own = sizeof(embedding),
                                     .read = read,
                                     .prepare = prepare,
                                     .inputs = inputs,
                                     .ready = ready,
                                     .take = take,
                                     .put = put,
                                     .end = end,
                                     .close = close_modules};

weft_status wf_job_embed(wf_job *job) { return wf_apply_run(job, &wf_apply_embed); }
