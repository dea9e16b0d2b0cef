/* compare_measure.c - what a trained model does: decoding as the context grows, loss by position, a sample. */
#include <stdlib.h>
#include "gen/sampler.h"
#include "gen/session.h"
#include "jobs/comparison.h"

enum { LONGEST = 4096, TIMED = 24, SAMPLE = 240, PROMPT = 48, BINS = 24 };
static const int64_t contexts[] = {64, 128, 256, 512, 1024, 2048, LONGEST};
enum { CONTEXTS = sizeof contexts / sizeof *contexts };

/* Validation tokens from the start, repeated as often as needed. */
static int32_t *validation_tokens(wf_comparison *c, int64_t n) {
    int32_t *ids = wf_arena_alloc(c->job->arena, (size_t)(2 * n) * sizeof *ids);
    int64_t length = n < c->recipe.context ? n : c->recipe.context;
    for (int64_t at = 0, w = 0; ids && at < n; at += length, w++) {
        int64_t rows = n - at < length ? n - at : length;
        uint64_t windows = wf_data_validation_windows(c->source.data, length);
        wf_batch b = {.rows = 1, .length = length, .ids = ids + n, .targets = ids + n + length};
        if (2 * length > n) /* one short stretch: its targets need room of their own */
            b.targets = wf_arena_alloc(c->job->arena, (size_t)length * sizeof *ids);
        if (!b.targets)
            return NULL;
        wf_data_validation_batch(c->source.data, (uint64_t)w % windows, 1, &b);
        memcpy(ids + at, b.ids, (size_t)rows * sizeof *ids);
    }
    return ids;
}

/* ---- decoding ---- */
static weft_status time_decoding(wf_session *s, const int32_t *ids, double *rate, weft_error *err) {
    const float *logits;
    double best = INFINITY;
    WF_TRY(wf_session_feed(s, ids, 1, &logits, err)); /* records the tape of one row */
    for (int round = 0; round < 3; round++) {
        double begin = wf_seconds();
        for (int i = 0; i < TIMED / 3; i++)
            WF_TRY(wf_session_feed(s, ids + 1 + round * (TIMED / 3) + i, 1, &logits, err));
        double seconds = (wf_seconds() - begin) / (TIMED / 3);
        best = seconds < best ? seconds : best;
    }
    *rate = 1.0 / best;
    return WEFT_OK;
}

static weft_status fill_and_time(wf_comparison *c, wf_session *s, const wf_model *model, const int32_t *ids,
                                 wf_json *columns[3]) {
    wf_arena *arena = c->job->arena;
    int64_t fed = 0, capacity = wf_session_capacity(s);
    for (int i = 0; i < CONTEXTS; i++) {
        double rate = NAN;
        const float *logits;
        bool fits = contexts[i] <= capacity;
        int64_t before = contexts[i] - TIMED - 1; /* the timed tokens end at the context */
        if (fits && before > fed) {
            WF_TRY(wf_session_feed(s, ids + fed, before - fed, &logits, c->job->err));
            fed = before;
        }
        if (fits)
            WF_TRY(time_decoding(s, ids + fed, &rate, c->job->err));
        fed += fits ? TIMED + 1 : 0;
        wf_json_push(columns[0], wf_json_new_int(arena, contexts[i]));
        wf_json_push(columns[1], wf_number_or_null(arena, rate));
        wf_json_push(columns[2], fits ? wf_json_new_int(arena, (int64_t)wf_state_bytes_at(model, contexts[i]))
                                      : wf_json_new(arena, WF_JSON_NULL));
    }
    return WEFT_OK;
}

weft_status wf_measure_decoding(wf_comparison *c, const wf_model *model, wf_json *entry) {
    wf_arena *arena = c->job->arena;
    int64_t limit = wf_model_position_limit(model), capacity = limit && limit < LONGEST ? limit : LONGEST;
    wf_json *decode = wf_put_object(arena, entry, "decode");
    wf_json *columns[3] = {wf_put_list(arena, decode, "context"), wf_put_list(arena, decode, "tokens_per_second"),
                           wf_put_list(arena, decode, "state_bytes")};
    const int32_t *ids = validation_tokens(c, LONGEST);
    weft_error err = {0};
    wf_session *s;
    if (!ids)
        return wf_fail_memory(c->job->err);
    weft_status status = wf_session_create(model, 1, capacity, &s, &err);
    if (status == WEFT_UNSUPPORTED) { /* it cannot stream: no figures, and the reason */
        wf_put_text(arena, entry, "note", err.message);
        return WEFT_OK;
    }
    if (status != WEFT_OK) {
        if (c->job->err)
            *c->job->err = err;
        return status;
    }
    status = fill_and_time(c, s, model, ids, columns);
    wf_session_free(s);
    return status;
}

/* ---- loss by position ---- */
/* Means over about BINS stretches that grow with the position. */
static void put_bins(wf_arena *arena, wf_json *entry, const double *nats, int64_t rows, double bytes_per_token) {
    wf_json *positions = wf_put_object(arena, entry, "positions");
    wf_json *at = wf_put_list(arena, positions, "position"), *bits = wf_put_list(arena, positions, "bits_per_byte");
    double growth = pow((double)rows, 1.0 / BINS);
    for (int64_t first = 0, end; first < rows; first = end) {
        double sum = 0.0, n = 0.0;
        end = (int64_t)ceil((double)first * growth);
        end = end <= first ? first + 1 : end > rows ? rows : end;
        for (int64_t i = first; i < end; i++)
            if (isfinite(nats[i])) {
                sum += nats[i];
                n += 1.0;
            }
        wf_json_push(at, wf_json_new_int(arena, end));
        wf_json_push(bits, wf_number_or_null(arena, n > 0 ? sum / n / log(2.0) / bytes_per_token : NAN));
    }
}

weft_status wf_measure_positions(wf_comparison *c, const wf_model *model, wf_json *entry) {
    wf_arena *arena = c->job->arena;
    int64_t limit = wf_model_position_limit(model), rows = 4 * c->recipe.context;
    wf_data_part part = wf_data_validation(c->source.data);
    if (limit && limit < rows)
        rows = limit;
    if (rows > (int64_t)part.tokens - 1)
        rows = part.tokens > 2 ? (int64_t)part.tokens - 1 : 1;
    double *nats = wf_arena_alloc(arena, (size_t)rows * sizeof *nats);
    if (!nats)
        return wf_fail_memory(c->job->err);
    wf_evaluation e;
    wf_evaluation_options how = {.batch = 2, .rows = rows, .max_windows = 16, .bf16 = c->recipe.bf16, .position_nats = nats};
    WF_TRY(wf_evaluate(model, c->source.data, &how, &e, c->job->err));
    put_bins(arena, entry, nats, rows, (double)e.bytes / (double)e.tokens);
    wf_json *positions = NULL;
    for (wf_json *j = entry->child; j; j = j->next)
        positions = wf_streq(j->key, "positions") ? j : positions;
    wf_json_put(arena, positions, "limit", limit ? wf_json_new_int(arena, limit) : wf_json_new(arena, WF_JSON_NULL));
    return WEFT_OK;
}

/* ---- a sample ---- */
static weft_status sample(wf_comparison *c, wf_session *s, wf_sampler *sampler, int32_t *ids, int64_t prompt, int64_t n) {
    const float *logits;
    WF_TRY(wf_session_feed(s, ids, prompt, &logits, c->job->err));
    for (int64_t i = prompt; i < n; i++) {
        WF_TRY(wf_sampler_next(sampler, logits, &(wf_history){.ids = ids, .n = i}, (uint64_t)i, &ids[i], c->job->err));
        WF_TRY(wf_session_feed(s, ids + i, 1, &logits, c->job->err));
    }
    return WEFT_OK;
}

static void put_sample(wf_comparison *c, wf_json *entry, const int32_t *ids, int64_t prompt, int64_t n) {
    wf_arena *arena = c->job->arena;
    const wf_tokenizer *tok = c->source.tokenizer;
    wf_json *one = wf_json_push(wf_put_list(arena, entry, "samples"), wf_json_new(arena, WF_JSON_OBJECT));
    for (int part = 0; part < 2; part++) {
        wf_str text = wf_str_new(&c->job->env->mem), json = wf_str_new(&c->job->env->mem);
        const uint32_t *from = (const uint32_t *)ids + (part ? prompt : 0);
        if (wf_tokenizer_decode(tok, from, (size_t)(part ? n - prompt : prompt), WF_DECODE_SKIP_SPECIALS, &text, NULL) !=
            WEFT_OK)
            wf_str_clear(&text);
        wf_json_writer w; /* makes invalid UTF-8 printable */
        wf_json *clean = NULL;
        wf_json_writer_init(&w, &json, 0);
        wf_jw_string_n(&w, wf_str_text(&text), text.length);
        if (!json.failed && wf_json_parse(arena, wf_str_text(&json), json.length, 0, &clean, NULL) == WEFT_OK)
            wf_json_put(arena, one, part ? "text" : "prompt", clean);
        wf_str_free(&text);
        wf_str_free(&json);
    }
}

weft_status wf_measure_sample(wf_comparison *c, const wf_model *model, wf_json *entry) {
    const wf_sampling how = {.temperature = 0.8, .top_p = 0.95, .repetition_penalty = 1.0, .seed = c->recipe.seed};
    int64_t limit = wf_model_position_limit(model), n = PROMPT + SAMPLE, prompt = PROMPT;
    n = limit && limit < n ? limit : n;
    prompt = prompt < n / 2 ? prompt : n / 2;
    int32_t *ids = validation_tokens(c, n);
    wf_session *s = NULL;
    wf_sampler *sampler = NULL;
    if (!ids)
        return wf_fail_memory(c->job->err);
    if (wf_model_can_stream(model, NULL) != WEFT_OK)
        return WEFT_OK;
    weft_status status = wf_session_create(model, 1, n, &s, c->job->err);
    if (status == WEFT_OK)
        status = wf_sampler_create(c->job->env, model->spec->vocab, &how, &sampler, c->job->err);
    if (status == WEFT_OK)
        status = sample(c, s, sampler, ids, prompt, n);
    if (status == WEFT_OK)
        put_sample(c, entry, ids, prompt, n);
    wf_sampler_free(sampler);
    wf_session_free(s);
    return status;
}
