#include "jobs/apply.h"
#include <stdlib.h>
#include <string.h>
#include "base/pool.h"
#include "jobs/put.h"

enum { WINDOW_RECORDS = 4096, WINDOW_BYTES = 8 << 20, MOST_WORDS = 32 };

/* ---- options ---- */
static const char *const common[] = {"model", "text",       "input", "field",   "precision",
                                     "batch", "max_length", "json",  "adapter", "tokenizer"};
enum { COMMON = sizeof common / sizeof *common };

static weft_status read_request(wf_apply *a, const char *const **paths, size_t *n_paths) {
    const char *words[MOST_WORDS] = {NULL};
    size_t n = 0;
    for (; n < COMMON; n++)
        words[n] = common[n];
    for (size_t i = 0; a->row->words[i] && n < MOST_WORDS - 1; i++)
        words[n++] = a->row->words[i];
    wf_options o = wf_options_open(a->job->options, a->row->name, words, a->job->err);
    a->model = wf_job_model(a->job, &o, "model");
    a->json = wf_option_bool(&o, "json", false);
    a->records = (wf_records_options){.format = wf_option_text(&o, "input", NULL), .whole = a->row->whole};
    a->precision = wf_job_precision(&o);
    a->how = (wf_runner_options){
        .head = -1, .bf16 = a->precision == WF_PRECISION_BF16, .tokens = wf_option_int(&o, "batch", 0, 1, 1 << 24)};
    a->limit = wf_option_int(&o, "max_length", 0, 1, INT32_MAX);
    *paths = wf_job_texts(a->job, &o, "text", n_paths);
    WF_TRY(o.status);
    WF_CHECK(a->model, a->job->err, WEFT_USAGE, "%s: which model? 'model' names a folder", a->row->name);
    WF_TRY(a->row->read(a, &o));
    return o.status;
}

weft_status wf_apply_fields(wf_apply *a, wf_options *o, const char *const *usual, size_t n) {
    size_t given;
    const char *const *names = wf_job_texts(a->job, o, "field", &given);
    WF_TRY(o->status);
    a->joined = given > n ? given - n + 1 : 1;
    for (size_t i = 0; i < n; i++)
        a->fields[i] = (wf_record_field){.name = usual[i]};
    WF_CHECK(given == 0 || (given >= n && given <= WF_RECORD_FIELDS - 1), a->job->err, WEFT_USAGE,
             "%s: 'field' must name %zu fields at least, %d at most", a->row->name, n, (int)WF_RECORD_FIELDS - 1);
    for (size_t i = 0; i < given; i++)
        a->fields[i] = (wf_record_field){.name = names[i]};
    a->records.n_fields = given > n ? given : n;
    a->records.named = given > 0 ? names[0] : NULL;
    return WEFT_OK;
}

/* ---- the model ---- */
static weft_status find_head(wf_apply *a) {
    const wf_spec *s = a->m.model->spec;
    a->head = -1;
    if (!a->row->heads)
        return WEFT_OK;
    for (const char *const *kind = a->row->heads; *kind && a->head < 0; kind++)
        for (int i = 0; i < s->n_heads && a->head < 0; i++)
            if (wf_streq(s->heads[i].row->name, *kind))
                a->head = i;
    return a->head >= 0 ? WEFT_OK : wf_opened_fail_head(&a->m, a->model, a->row->name, a->row->heads[0], a->job->err);
}

/* A text is at least the tokens that the tokenizer puts around it. */
static weft_status check_room(wf_apply *a) {
    wf_ids ids = wf_ids_new(&a->job->env->mem);
    weft_status status = wf_tokenizer_encode(a->m.tok, "", 0, WF_ENCODE_SPECIALS, &ids, a->job->err);
    if (status == WEFT_OK && a->limit && (size_t)a->limit < ids.count)
        status = wf_fail(a->job->err, WEFT_USAGE,
                         "%s: 'max_length' must be more than %lld: the tokenizer puts %zu tokens around a text", a->row->name,
                         (long long)a->limit, ids.count);
    wf_ids_free(&ids);
    return status;
}

static weft_status choose_limit(wf_apply *a) {
    int64_t places = wf_runner_limit(a->m.model);
    WF_CHECK(!a->limit || !places || a->limit <= places, a->job->err, WEFT_USAGE,
             "%s: %lld tokens are more than the %lld positions of the model", a->row->name, (long long)a->limit,
             (long long)places);
    WF_TRY(check_room(a));
    if (!a->limit)
        a->limit = a->facts.limit;
    a->cut = (wf_truncation){.on = a->limit > 0, .max_length = (size_t)a->limit, .stride = (size_t)a->stride};
    return WEFT_OK;
}

static weft_status open_model(wf_apply *a) {
    a->folder = a->folder ? a->folder : a->model;
    WF_TRY(wf_opened_open_part(a->job->env, a->folder, a->precision, a->body, &a->m, a->job->err));
    if (!a->row->written)
        WF_TRY(wf_model_expect(a->m.model, UINT64_MAX, a->job->err));
    WF_TRY(wf_facts_read(a->job->arena, a->folder, a->m.model, a->m.tok, &a->facts, a->job->err));
    WF_TRY(find_head(a));
    a->how.head = a->head;
    a->how.padding = a->facts.padding;
    WF_TRY(choose_limit(a));
    if (a->row->prepare)
        WF_TRY(a->row->prepare(a));
    if (a->row->together)
        return WEFT_OK;
    return a->row->written ? wf_translator_create(a->m.model, &a->writing, &a->translator, a->job->err)
                           : wf_runner_create(a->m.model, &a->how, &a->runner, a->job->err);
}

weft_status wf_apply_labels(wf_apply *a, const char *const **out) {
    const wf_head_spec *h = &a->m.model->spec->heads[a->head];
    const char **list = wf_arena_alloc(a->job->arena, (size_t)(h->classes + 1) * sizeof *list);
    if (!list)
        return wf_fail_memory(a->job->err);
    *out = list;
    for (int64_t i = 0; i < h->classes; i++) {
        const wf_json *name = h->names ? wf_json_at(h->names, (size_t)i) : NULL;
        list[i] = name ? name->string : wf_arena_printf(a->job->arena, "LABEL_%lld", (long long)i);
        if (!list[i])
            return wf_fail_memory(a->job->err);
    }
    return WEFT_OK;
}

/* ---- encoding a window over the threads ---- */
/* One thread's. */
typedef struct encoding_failure {
    weft_error error;
    size_t item;
} encoding_failure;

typedef struct encoding {
    wf_apply *a;
    wf_apply_item *items;
    size_t n;
    atomic_size_t next;
    atomic_int failed;          /* a status */
    encoding_failure *failures; /* per thread */
} encoding;

static weft_status encode_item(wf_apply *a, wf_encoder *e, wf_apply_item *item, weft_error *err) {
    const wf_text_input nothing = {.text = a->facts.nothing};
    for (size_t k = 0; k < item->n; k++) {
        wf_text_input text = {.text = item->inputs[k].text}, pair = {.text = item->inputs[k].pair};
        weft_status status = wf_encode_text(e, &text, pair.text.data ? &pair : NULL, WF_ENCODE_SPECIALS, &item->codes[k], err);
        if (status == WEFT_OK && item->codes[k].count == 0 && a->row->pools)
            status = wf_encode_text(e, &nothing, NULL, WF_ENCODE_SPECIALS, &item->codes[k], err);
        if (status == WEFT_OK && item->codes[k].count == 0 && !a->row->empties)
            status = wf_fail(err, WEFT_BAD_INPUT, "there is nothing in this text for the model to read");
        if (status != WEFT_OK)
            return wf_text_record_fail_in(&item->record, err);
        for (size_t w = 0; a->windowed && w < item->codes[k].n_overflow; w++)
            if (item->codes[k].overflow[w].count == 0)
                return wf_fail(err, WEFT_FAILURE, "an empty window");
    }
    return WEFT_OK;
}

static weft_status encode_some(encoding *job, encoding_failure *failure) {
    weft_error *err = &failure->error;
    static const wf_padding none = {.on = false};
    wf_encoder *e;
    WF_TRY(wf_encoder_create(job->a->m.tok, &e, err));
    weft_status status = WEFT_OK;
    wf_encoder_limits(e, &job->a->cut, &none);
    while (status == WEFT_OK && atomic_load(&job->failed) == WEFT_OK) {
        size_t i = atomic_fetch_add(&job->next, 1);
        if (i >= job->n)
            break;
        failure->item = i;
        status = encode_item(job->a, e, &job->items[i], err);
    }
    wf_encoder_free(e);
    return status;
}

static void encode_region(void *arg, int thread, int n_threads) {
    encoding *job = arg;
    int none = WEFT_OK;
    (void)n_threads;
    weft_status status = encode_some(job, &job->failures[thread]);
    if (status != WEFT_OK)
        atomic_compare_exchange_strong(&job->failed, &none, (int)status);
}

/* Items are taken in order, so that all in front of the first that fails have been encoded. */
static weft_status encode_window(wf_apply *a, wf_apply_item *items, size_t n, size_t *good) {
    enum { MOST_THREADS = 256 };
    wf_pool *pool = a->job->env->pool;
    encoding job = {.a = a, .items = items, .n = n, .failures = wf_arena_alloc(&a->arena, MOST_THREADS * sizeof *job.failures)};
    const encoding_failure *first = NULL;
    *good = n;
    if (!job.failures)
        return wf_fail_memory(a->job->err);
    atomic_init(&job.next, 0);
    atomic_init(&job.failed, WEFT_OK);
    wf_pool_run(pool, encode_region, &job);
    for (const encoding_failure *f = job.failures; f < job.failures + wf_pool_threads(pool); f++)
        if (f->error.status != WEFT_OK && (!first || f->item < first->item))
            first = f;
    if (!first)
        return (weft_status)atomic_load(&job.failed);
    *good = first->item;
    return wf_fail(a->job->err, first->error.status, "%s", first->error.message);
}

/* ---- the records of a window ---- */
/* Several fields as one text, a line each. */
static weft_status join_fields(wf_apply *a, const wf_text_record *record, wf_bytes *out) {
    size_t length = a->joined - 1, at = 0;
    for (size_t i = 0; i < a->joined; i++)
        length += record->fields[i].length;
    char *text = wf_arena_alloc(&a->arena, length + 1);
    if (!text)
        return wf_fail_memory(a->job->err);
    for (size_t i = 0; i < a->joined; i++) {
        memcpy(text + at, record->fields[i].data, record->fields[i].length);
        at += record->fields[i].length;
        text[at++] = i + 1 < a->joined ? '\n' : 0;
    }
    *out = (wf_bytes){text, length};
    return WEFT_OK;
}

weft_status wf_apply_usual_inputs(wf_apply *a, wf_apply_item *item) {
    wf_text_record *r = &item->record;
    item->inputs = wf_arena_alloc(&a->arena, sizeof *item->inputs);
    if (!item->inputs)
        return wf_fail_memory(a->job->err);
    item->n = 1;
    if (a->joined > 1)
        WF_TRY(join_fields(a, r, &r->fields[0]));
    item->inputs[0] = (wf_apply_input){.text = r->fields[0]};
    if (a->records.n_fields > a->joined)
        item->inputs[0].pair = r->fields[a->joined];
    return WEFT_OK;
}

static weft_status prepare_item(wf_apply *a, wf_apply_item *item) {
    weft_status status = a->row->inputs ? a->row->inputs(a, item) : wf_apply_usual_inputs(a, item);
    if (status != WEFT_OK)
        return wf_text_record_fail_in(&item->record, a->job->err);
    item->codes = wf_arena_alloc(&a->arena, (item->n + 1) * sizeof *item->codes);
    if (!item->codes)
        return wf_fail_memory(a->job->err);
    for (size_t k = 0; k < item->n; k++)
        item->codes[k] = wf_encoding_new(&a->job->env->mem);
    return WEFT_OK;
}

/* ---- the sequences of a window ---- */
typedef struct window {
    wf_apply *a;
    wf_apply_item *items;
    size_t n;
    wf_sequence *sequences;
    const wf_encoding **codes; /* of each sequence */
    size_t *owners;            /* the item of each sequence */
    size_t count;
} window;

static weft_status add_sequence(window *w, size_t owner, const wf_encoding *code) {
    wf_apply_item *item = &w->items[owner];
    wf_sequence *s = &w->sequences[w->count];
    *s = (wf_sequence){.ids = code->ids, .types = code->types, .count = code->count};
    w->codes[w->count] = code;
    w->owners[w->count++] = owner;
    item->n_sequences++;
    w->a->tokens += code->count;
    if (w->a->row->ready && w->a->row->ready(w->a, item, code, s) != WEFT_OK)
        return wf_text_record_fail_in(&item->record, w->a->job->err);
    return WEFT_OK;
}

static void count_text(wf_apply *a, const wf_apply_item *item) {
    bool cut = false;
    for (size_t k = 0; k < item->n; k++)
        cut |= item->codes[k].n_overflow > 0;
    a->texts++;
    if (cut && !a->windowed && a->truncated++ == 0)
        a->first_truncated = item->number;
}

/* The sequences of one item; a text without tokens has none. */
static weft_status add_item(window *w, size_t owner) {
    wf_apply_item *item = &w->items[owner];
    item->first = w->count;
    for (size_t k = 0; k < item->n; k++) {
        const wf_encoding *code = &item->codes[k];
        if (code->count > 0)
            WF_TRY(add_sequence(w, owner, code));
        for (size_t v = 0; w->a->windowed && v < code->n_overflow; v++)
            WF_TRY(add_sequence(w, owner, &code->overflow[v]));
    }
    count_text(w->a, item);
    return WEFT_OK;
}

/* Of one that cannot be asked nothing is left, nor of those behind it. */
static weft_status list_sequences(window *w) {
    size_t most = 0;
    for (size_t i = 0; i < w->n; i++)
        for (size_t k = 0; k < w->items[i].n; k++)
            most += 1 + (w->a->windowed ? w->items[i].codes[k].n_overflow : 0);
    w->sequences = wf_arena_alloc(&w->a->arena, (most + 1) * sizeof *w->sequences);
    w->codes = wf_arena_alloc(&w->a->arena, (most + 1) * sizeof *w->codes);
    w->owners = wf_arena_alloc(&w->a->arena, (most + 1) * sizeof *w->owners);
    if (!w->sequences || !w->codes || !w->owners)
        return wf_fail_memory(w->a->job->err);
    for (size_t i = 0, count = 0; i < w->n; i++, count = w->count) {
        weft_status status = add_item(w, i);
        if (status == WEFT_OK)
            continue;
        w->count = count;
        w->n = i;
        return status;
    }
    return WEFT_OK;
}

static weft_status take(void *user, size_t index, const float *values, int64_t rows, int64_t columns) {
    window *w = user;
    wf_apply_item *item = &w->items[w->owners[index]];
    return w->a->row->take(w->a, item, index - item->first, w->codes[index], values, rows, columns);
}

static weft_status written(void *user, size_t index, const wf_translated *text) {
    window *w = user;
    return w->a->row->written(w->a, &w->items[w->owners[index]], text);
}

static weft_status run_sequences(window *w) {
    wf_apply *a = w->a;
    return a->translator ? wf_translator_run(a->translator, w->sequences, w->count, written, w, a->job->err)
                         : wf_runner_run(a->runner, w->sequences, w->count, take, w, a->job->err);
}

/* A record that cannot be asked ends the run behind those in front of it; anything else at once. */
static bool is_bad_record(weft_status status) { return status == WEFT_BAD_INPUT; }

static weft_status answer_items(window *w) {
    const wf_apply_row *row = w->a->row;
    if (row->together)
        return row->together(w->a, w->items, w->n, w->sequences);
    WF_TRY(run_sequences(w));
    for (size_t i = 0; i < w->n; i++) {
        WF_TRY(row->put(w->a, &w->items[i]));
        WF_TRY(wf_apply_put(w->a));
    }
    return WEFT_OK;
}

/* `status`: of the record behind them. */
static weft_status run_items(wf_apply *a, wf_apply_item *items, size_t n, weft_status status) {
    window w = {.a = a, .items = items, .n = n};
    weft_error first = *a->job->err;
    weft_status coded = encode_window(a, items, n, &w.n);
    if (coded != WEFT_OK && !is_bad_record(coded))
        return coded;
    weft_status listed = list_sequences(&w);
    if (listed != WEFT_OK && !is_bad_record(listed))
        return listed;
    if (listed != WEFT_OK || coded != WEFT_OK) {
        status = listed != WEFT_OK ? listed : coded;
        first = *a->job->err;
    }
    WF_TRY(answer_items(&w));
    *a->job->err = first;
    return status;
}

/* As many records as make a window, at least one. After a failure those in front of the one that failed. */
static weft_status collect(wf_apply *a, size_t first, wf_apply_item **items, size_t *n) {
    size_t left = wf_records_count(a->list) - first, bytes = 0, most = left < WINDOW_RECORDS ? left : WINDOW_RECORDS;
    *n = 0;
    if (!(*items = wf_arena_alloc(&a->arena, most * sizeof **items)))
        return wf_fail_memory(a->job->err);
    while (*n < most && bytes < WINDOW_BYTES) {
        wf_apply_item *item = &(*items)[*n];
        item->number = first + *n;
        WF_TRY(wf_records_get(a->list, item->number, &a->arena, &item->record, a->job->err));
        WF_TRY(prepare_item(a, item));
        ++*n; /* from here on its codes are freed */
        for (size_t k = 0; k < item->n; k++)
            bytes += item->inputs[k].text.length + item->inputs[k].pair.length;
    }
    return WEFT_OK;
}

static weft_status run_window(wf_apply *a, size_t first, size_t *n) {
    wf_apply_item *items = NULL;
    *n = 0;
    weft_status status = collect(a, first, &items, n);
    if (status == WEFT_OK || is_bad_record(status))
        status = run_items(a, items, *n, status);
    for (size_t i = 0; items && i < *n; i++)
        for (size_t k = 0; items[i].codes && k < items[i].n; k++)
            wf_encoding_free(&items[i].codes[k]);
    wf_arena_free(&a->arena);
    return status;
}

/* ---- lines ---- */
weft_status wf_apply_put(wf_apply *a) {
    wf_job *job = a->job;
    if (a->line.failed)
        return wf_fail_memory(job->err);
    if (a->line.length && job->piece)
        WF_CHECK(job->piece(job->user, a->line.data, a->line.length) == 0, job->err, WEFT_FAILURE, "the reader has had enough");
    else if (a->line.length)
        wf_str_put(&job->text, a->line.data, a->line.length);
    wf_str_clear(&a->line);
    return WEFT_OK;
}

void wf_apply_put_text(wf_str *out, wf_bytes text) {
    bool quote = false;
    for (size_t i = 0; i < text.length; i++)
        quote |= (unsigned char)text.data[i] < ' ' || text.data[i] == 0x7F;
    if (!quote) {
        wf_str_put(out, text.data, text.length);
        return;
    }
    wf_json_writer w;
    wf_json_writer_init(&w, out, 0);
    wf_jw_string_n(&w, text.data, text.length);
}

/* ---- scores ---- */
void wf_apply_put_score(wf_str *out, float score) { wf_str_printf(out, "\t%.6g", (double)score); }

void wf_apply_softmax(const float *logits, int64_t n, float *out) {
    double most = -INFINITY, sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        most = (double)logits[i] > most ? (double)logits[i] : most;
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - most);
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)(exp((double)logits[i] - most) / sum);
}

typedef struct scored {
    float score;
    size_t index;
} scored;

/* A number that is none sorts behind all; ties by index. */
static int best_first(const void *a, const void *b) {
    const scored *x = a, *y = b;
    if (isnan(x->score) != isnan(y->score))
        return isnan(x->score) ? 1 : -1;
    if (x->score > y->score || x->score < y->score)
        return x->score > y->score ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* The n best so far stand sorted in front; the rest only when all are wanted. */
static size_t keep_best(scored *list, size_t kept, size_t n, scored one) {
    if (kept == n && best_first(&one, &list[n - 1]) > 0)
        return kept;
    size_t at = kept < n ? kept : n - 1;
    for (; at > 0 && best_first(&one, &list[at - 1]) < 0; at--)
        list[at] = list[at - 1];
    list[at] = one;
    return kept < n ? kept + 1 : kept;
}

weft_status wf_apply_best(wf_apply *a, const float *scores, size_t count, size_t n, size_t **order) {
    enum { FEW = 32 };
    size_t kept = 0;
    n = n < count ? n : count;
    scored *list = wf_arena_alloc(&a->arena, (count + 1) * sizeof *list);
    if (!list || !(*order = wf_arena_alloc(&a->arena, (n + 1) * sizeof **order)))
        return wf_fail_memory(a->job->err);
    for (size_t i = 0; n > 0 && i < count; i++) {
        scored one = {scores[i], i};
        if (n <= FEW)
            kept = keep_best(list, kept, n, one);
        else
            list[i] = one;
    }
    if (n > FEW)
        qsort(list, count, sizeof *list, best_first);
    for (size_t i = 0; i < n; i++)
        (*order)[i] = list[i].index;
    return WEFT_OK;
}

/* ---- all together ---- */
static void tell(wf_apply *a, double seconds) {
    wf_arena *arena = a->job->arena;
    wf_json *json = a->job->json;
    wf_put_text(arena, json, "model", a->model);
    wf_put_int(arena, json, "texts", (int64_t)a->texts);
    wf_put_int(arena, json, "tokens", (int64_t)a->tokens);
    wf_put_int(arena, json, "truncated", (int64_t)a->truncated);
    wf_put_number(arena, json, "seconds", seconds);
    wf_put_number(arena, json, "tokens_per_second", seconds > 0 ? (double)a->tokens / seconds : NAN);
    if (a->truncated)
        wf_log(a->job->env, WF_WARN,
               "%zu of %zu texts are longer than %lld tokens: their ends were not read (the first is text %zu)", a->truncated,
               a->texts, (long long)a->limit, a->first_truncated + 1);
}

weft_status wf_apply_records(wf_apply *a) {
    weft_status status = WEFT_OK;
    for (size_t first = 0, n; status == WEFT_OK && first < wf_records_count(a->list); first += n)
        status = run_window(a, first, &n);
    if (status == WEFT_OK && a->row->end)
        status = a->row->end(a);
    return status == WEFT_OK ? wf_apply_put(a) : status;
}

static weft_status open_all(wf_apply *a) {
    static const char *const stdin_path[] = {"-"};
    const char *const *paths;
    size_t n;
    a->own = wf_arena_alloc(a->job->arena, a->row->own);
    if (!a->own)
        return wf_fail_memory(a->job->err);
    WF_TRY(read_request(a, &paths, &n));
    a->records.fields = a->fields;
    WF_TRY(open_model(a));
    return wf_records_load(a->job->env, n ? paths : stdin_path, n ? n : 1, &a->records, &a->list, a->job->err);
}

weft_status wf_apply_open(wf_apply *a, wf_job *job, const wf_apply_row *row) {
    *a = (wf_apply){.job = job, .row = row, .head = -1, .line = wf_str_new(&job->env->mem)};
    wf_arena_init(&a->arena, &job->env->mem, 0);
    return open_all(a);
}

void wf_apply_close(wf_apply *a) {
    if (a->own && a->row->close)
        a->row->close(a);
    wf_runner_free(a->runner);
    wf_translator_free(a->translator);
    wf_records_free(a->list);
    wf_opened_close(&a->m);
    wf_str_free(&a->line);
    wf_arena_free(&a->arena);
}

weft_status wf_apply_run(wf_job *job, const wf_apply_row *row) {
    wf_apply a;
    weft_status status = wf_apply_open(&a, job, row);
    double started = wf_seconds();
    if (status == WEFT_OK) {
        status = wf_apply_records(&a);
        tell(&a, wf_seconds() - started);
    }
    wf_apply_close(&a);
    return status;
}
