#include "apply/translator.h"
#include <stdlib.h>
#include "gen/session.h"

enum { USUAL_TOKENS = 2048, GRAIN = 16, ROOM = 4 /* places of the decoder for each token of the sources, at most */ };

struct wf_translator {
    const wf_model *model;
    wf_translator_options options;
    wf_rules rules;
    wf_sampler *sampler;
    wf_session *session; /* of `batch` sequences; NULL: none yet */
    int64_t batch;
    uint64_t before; /* sources of earlier runs */
};

enum { OPEN, BY_TOKEN, BY_STRING }; /* what has ended a text */

typedef struct batch {
    const wf_sequence *list;
    const size_t *order;
    size_t n;
    int64_t rows;     /* of the longest source */
    int32_t *source;  /* [n, rows] */
    int64_t *lengths; /* [n] */
    int32_t *next;    /* [n, n_start]: what is fed */
    int32_t *text;    /* [n, n_start + longest]: `start`, then what is written */
    size_t *written;  /* [n] */
    uint8_t *ended;   /* [n] */
    size_t open;      /* texts that have not ended */
} batch;

static size_t text_width(const wf_translator *t) { return t->options.n_start + (size_t)t->options.longest; }
static int64_t new_tokens(const wf_translator *t) { return t->options.longest - (int64_t)t->options.n_start + 1; }

weft_status wf_translator_create(const wf_model *model, const wf_translator_options *options, wf_translator **out,
                                 weft_error *err) {
    WF_CHECK(model->encoder, err, WEFT_UNSUPPORTED, "the model has no encoder");
    WF_CHECK(options->n_start > 0 && options->longest >= (int64_t)options->n_start && options->longest <= INT32_MAX, err,
             WEFT_USAGE, "a text must have room for a token behind the %zu it begins with", options->n_start);
    wf_translator *t = wf_calloc(&model->env->mem, 1, sizeof *t);
    if (!t)
        return wf_fail_memory(err);
    *t = (wf_translator){.model = model, .options = *options};
    if (!t->options.tokens)
        t->options.tokens = USUAL_TOKENS;
    if (options->sampling.rules)
        t->rules = *options->sampling.rules;
    t->rules.prompt = options->given ? (int64_t)options->given : 1;
    t->rules.begin = (int64_t)options->n_start;
    t->rules.most = options->longest + 1;
    t->options.sampling.rules = &t->rules;
    weft_status status = wf_model_can_stream(model, err);
    if (status == WEFT_OK)
        status = wf_sampler_create(model->env, model->spec->vocab, &t->options.sampling, &t->sampler, err);
    if (status != WEFT_OK) {
        wf_translator_free(t);
        return status;
    }
    *out = t;
    return WEFT_OK;
}

void wf_translator_free(wf_translator *t) {
    if (!t)
        return;
    wf_session_free(t->session);
    wf_sampler_free(t->sampler);
    wf_free(&t->model->env->mem, t);
}

/* ---- batches ---- */
static int64_t rows_for(size_t count) { return ((int64_t)count + GRAIN - 1) / GRAIN * GRAIN; }

/* How many sequences from here share a batch: they are sorted, the longest first. */
static size_t take_batch(const wf_translator *t, const wf_sequence *list, const size_t *order, size_t n) {
    int64_t rows = rows_for(list[order[0]].count), most = t->options.tokens / rows;
    int64_t room = ROOM * t->options.tokens / (t->options.longest + 1) / t->options.beams.beams;
    size_t taken = 1;
    most = room < most ? room : most;
    while (taken < n && (int64_t)taken < most && rows_for(list[order[taken]].count) == rows)
        taken++;
    return taken;
}

static void close_batch(const wf_mem *mem, batch *b) {
    wf_free(mem, b->source);
    wf_free(mem, b->lengths);
    wf_free(mem, b->next);
    wf_free(mem, b->text);
    wf_free(mem, b->written);
    wf_free(mem, b->ended);
}

static weft_status open_batch(const wf_translator *t, batch *b, weft_error *err) {
    const wf_mem *mem = &t->model->env->mem;
    b->rows = (int64_t)b->list[b->order[0]].count;
    b->open = b->n;
    b->source = wf_calloc(mem, b->n * (size_t)b->rows, sizeof *b->source);
    b->lengths = wf_calloc(mem, b->n, sizeof *b->lengths);
    b->next = wf_calloc(mem, b->n * t->options.n_start, sizeof *b->next);
    b->text = wf_calloc(mem, b->n * text_width(t), sizeof *b->text);
    b->written = wf_calloc(mem, b->n, sizeof *b->written);
    b->ended = wf_calloc(mem, b->n, sizeof *b->ended);
    if (!b->source || !b->lengths || !b->next || !b->text || !b->written || !b->ended)
        return wf_fail_memory(err);
    for (size_t i = 0; i < b->n; i++) {
        const wf_sequence *q = &b->list[b->order[i]];
        b->lengths[i] = (int64_t)q->count;
        for (size_t k = 0; k < q->count; k++)
            b->source[i * (size_t)b->rows + k] = (int32_t)q->ids[k];
        for (size_t k = 0; k < t->options.n_start; k++)
            b->next[i * t->options.n_start + k] = b->text[i * text_width(t) + k] = t->options.start[k];
    }
    return WEFT_OK;
}

/* ---- decoding ---- */
static bool ends(const wf_translator *t, int32_t id) {
    for (size_t i = 0; i < t->options.n_eos; i++)
        if (t->options.eos[i] == id)
            return true;
    return false;
}

static wf_history history(const batch *b, size_t i, const int32_t *text, int64_t n) {
    return (wf_history){.ids = text, .n = n, .source = b->source + i * (size_t)b->rows, .n_source = b->lengths[i]};
}

/* One more token of text i. */
static weft_status put(const wf_translator *t, batch *b, size_t i, int32_t id, weft_error *err) {
    int32_t *text = b->text + i * text_width(t);
    size_t n = t->options.n_start + b->written[i];
    bool stopped;
    b->ended[i] = ends(t, id) ? BY_TOKEN : OPEN;
    if (b->ended[i])
        return WEFT_OK;
    text[n] = id;
    b->written[i]++;
    WF_TRY(wf_stops_hit(&t->options.stops, text, (int64_t)n + 1, &stopped, err));
    b->ended[i] = stopped ? BY_STRING : OPEN;
    return WEFT_OK;
}

/* The next token of every text that has not ended, from logits [n, vocab]. */
static weft_status choose(const wf_translator *t, batch *b, const float *logits, int64_t step, weft_error *err) {
    for (size_t i = 0; i < b->n; i++, logits += t->model->spec->vocab) {
        int32_t id = t->options.padding;
        const int32_t *text = b->text + i * text_width(t);
        size_t n = t->options.n_start + b->written[i];
        wf_history h = history(b, i, text, (int64_t)n);
        if (!b->ended[i])
            WF_TRY(wf_sampler_next(t->sampler, logits, &h, (t->before + b->order[i]) << 32 | (uint64_t)step, &id, err));
        b->next[i] = id;
        if (b->ended[i])
            continue;
        WF_TRY(put(t, b, i, id, err));
        b->open -= b->ended[i] != OPEN;
    }
    return WEFT_OK;
}

/* A session for this many sources; the one there is where it fits. */
static weft_status session_for(wf_translator *t, int64_t n, weft_error *err) {
    if (t->session && t->batch == n)
        return WEFT_OK;
    wf_session_free(t->session);
    t->session = NULL;
    t->batch = n;
    return wf_session_create_shared(t->model, n * t->options.beams.beams, t->options.beams.beams, t->options.longest + 1,
                                    &t->session, err);
}

static weft_status decode(wf_translator *t, batch *b, weft_error *err) {
    const float *logits;
    for (int64_t step = 0; step < new_tokens(t) && b->open > 0; step++) {
        WF_TRY(wf_session_feed(t->session, b->next, step ? 1 : (int64_t)t->options.n_start, &logits, err));
        WF_TRY(choose(t, b, logits, step, err));
    }
    return WEFT_OK;
}

typedef struct taker {
    wf_translated_fn take;
    void *user;
} taker;

static weft_status write_texts(wf_translator *t, batch *b, const taker *to, weft_error *err) {
    WF_TRY(decode(t, b, err));
    for (size_t i = 0; i < b->n; i++) {
        const void *text = b->text + i * text_width(t) + t->options.n_start;
        wf_translated one = {
            .ids = text, .n = b->written[i], .ended = b->ended[i] == BY_TOKEN, .stopped = b->ended[i] == BY_STRING};
        WF_TRY(to->take(to->user, b->order[i], &one));
    }
    return WEFT_OK;
}

static weft_status take_beams(const wf_translator *t, const batch *b, const wf_beam_text *texts, const taker *to) {
    for (size_t i = 0; i < b->n; i++)
        for (int64_t k = 0; k < t->options.beams.returned; k++, texts++) {
            const void *text = texts->ids + t->options.n_start;
            size_t n = (size_t)texts->n - t->options.n_start - texts->ended;
            wf_translated one = {
                .ids = text, .n = n, .ended = texts->ended, .stopped = texts->stopped, .score = (double)texts->score};
            WF_TRY(to->take(to->user, b->order[i], &one));
        }
    return WEFT_OK;
}

static weft_status write_beams(wf_translator *t, batch *b, const taker *to, weft_error *err) {
    wf_history *prompts = wf_calloc(&t->model->env->mem, b->n, sizeof *prompts);
    wf_beam_job job = {.rows = (int64_t)b->n,
                       .prompts = prompts,
                       .how = t->options.beams,
                       .sampling = &t->options.sampling,
                       .eos = t->options.eos,
                       .n_eos = t->options.n_eos,
                       .stops = t->options.stops,
                       .given = t->rules.prompt,
                       .most = t->rules.most};
    wf_beam_found found;
    if (!prompts)
        return wf_fail_memory(err);
    for (size_t i = 0; i < b->n; i++)
        prompts[i] = history(b, i, b->text + i * text_width(t), (int64_t)t->options.n_start);
    weft_status status = wf_beam_search(t->session, &job, &found, err);
    wf_free(&t->model->env->mem, prompts);
    WF_TRY(status);
    status = take_beams(t, b, found.texts, to);
    wf_beam_free(t->model->env, &found);
    return status;
}

static weft_status run_batch(wf_translator *t, batch *b, const taker *to, weft_error *err) {
    weft_status status = open_batch(t, b, err);
    if (status == WEFT_OK)
        status = session_for(t, (int64_t)b->n, err);
    if (status == WEFT_OK)
        status = wf_session_source(t->session, b->source, b->rows, b->lengths, err);
    if (status == WEFT_OK)
        status = t->options.beams.beams > 1 ? write_beams(t, b, to, err) : write_texts(t, b, to, err);
    close_batch(&t->model->env->mem, b);
    return status;
}

/* ---- all of them ---- */
static weft_status check(const wf_translator *t, const wf_sequence *q, weft_error *err) {
    int64_t limit = wf_runner_limit(t->model), vocab = t->model->encoder->spec->vocab;
    WF_CHECK(limit == 0 || (int64_t)q->count <= limit, err, WEFT_USAGE,
             "%zu tokens are more than the %lld positions of the encoder", q->count, (long long)limit);
    for (size_t i = 0; i < q->count; i++)
        WF_CHECK((int64_t)q->ids[i] < vocab, err, WEFT_BAD_INPUT,
                 "the tokenizer does not belong to the model: token %lu is outside its vocabulary of %lld",
                 (unsigned long)q->ids[i], (long long)vocab);
    return WEFT_OK;
}

weft_status wf_translator_run(wf_translator *t, const wf_sequence *list, size_t n, wf_translated_fn take, void *user,
                              weft_error *err) {
    weft_status status = WEFT_OK;
    size_t *order;
    for (size_t i = 0; i < n; i++)
        WF_TRY(check(t, &list[i], err));
    if (n == 0)
        return WEFT_OK;
    WF_TRY(wf_longest_first(&t->model->env->mem, list, n, &order, err));
    for (size_t at = 0, taken; status == WEFT_OK && at < n; at += taken) {
        taken = take_batch(t, list, order + at, n - at);
        status = run_batch(t, &(batch){.list = list, .order = order + at, .n = taken}, &(taker){take, user}, err);
    }
    t->before += n;
    wf_free(&t->model->env->mem, order);
    return status;
}
