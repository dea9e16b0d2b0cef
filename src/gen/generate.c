#include "gen/generate.h"
#include <string.h>
#include "text/unicode.h"

const wf_overflow_row wf_overflows[] = {{"stop", "the text ends", WF_OVERFLOW_STOP},
                                        {"slide", "the last half of the context is kept and read again", WF_OVERFLOW_SLIDE},
                                        {"error", "an error", WF_OVERFLOW_ERROR},
                                        {NULL, NULL, WF_OVERFLOW_STOP}};

const char *wf_finish_name(wf_finish finish) {
    static const char *const names[] = {"max_tokens", "eos", "stop", "context", "caller", "interrupted"};
    return names[finish];
}

wf_generate_options wf_generate_usual(void) {
    return (wf_generate_options){
        .sampling = {.temperature = 0.8, .top_p = 0.95, .repetition_penalty = 1.0}, .beams = wf_beams_usual, .max_tokens = 256};
}

static bool grows_without_end(const wf_layer *layer) {
    for (int i = 0; layer && i < layer->n_states; i++)
        if (layer->states[i].present && layer->states[i].row->kind == WF_STATE_APPEND && layer->states[i].limit == 0)
            return true;
    return false;
}

int64_t wf_context_end(const wf_model *model) {
    int64_t limit = wf_model_position_limit(model);
    for (int64_t i = 0; i < model->spec->layers && limit == 0; i++)
        if (grows_without_end(model->spec->blocks[i].mixer) || grows_without_end(model->spec->blocks[i].channel))
            return model->spec->context;
    return limit;
}

/* ---- the text that comes out ---- */
typedef struct writer {
    const wf_generate_options *o;
    wf_generation *out;
    wf_text_stream stream;
    wf_str fresh;   /* characters of the last token */
    wf_str pending; /* not yet told: may be the beginning of a stop string */
    bool failed;    /* out of memory */
} writer;

static writer open_writer(const wf_generate_options *o, wf_generation *out, const wf_tokenizer *tok, const wf_mem *mem) {
    return (writer){o, out, wf_text_stream_new(tok, WF_DECODE_SKIP_SPECIALS), wf_str_new(mem), wf_str_new(mem), false};
}

static void close_writer(writer *w) {
    wf_text_stream_free(&w->stream);
    wf_str_free(&w->fresh);
    wf_str_free(&w->pending);
}

/* Bytes that are no character become U+FFFD, one for as many as could have begun one, as in the references. */
static void put_valid(wf_str *out, const char *text, size_t n) {
    for (size_t i = 0, length; i < n; i += length) {
        int step = wf_utf8_length(text + i, n - i);
        length = step > 0 ? (size_t)step : wf_utf8_broken((const uint8_t *)text + i, n - i);
        if (step > 0)
            wf_str_put(out, text + i, length);
        else
            wf_str_puts(out, "\xEF\xBF\xBD");
    }
}

static const char *find(const char *text, size_t n, const char *word) {
    size_t m = strlen(word);
    for (size_t i = 0; m > 0 && i + m <= n; i++)
        if (memcmp(text + i, word, m) == 0)
            return text + i;
    return NULL;
}

/* Where the first stop string begins, `length` when there is none. */
static size_t stop_at(const writer *w) {
    size_t first = w->pending.length;
    for (size_t i = 0; i < w->o->n_stop; i++) {
        const char *at = find(wf_str_text(&w->pending), w->pending.length, w->o->stop[i]);
        if (at && (size_t)(at - w->pending.data) < first)
            first = (size_t)(at - w->pending.data);
    }
    return first;
}

/* Bytes at the end that could begin a stop string. */
static size_t held_back(const writer *w) {
    size_t most = 0;
    for (size_t i = 0; i < w->o->n_stop; i++) {
        size_t m = strlen(w->o->stop[i]), n = w->pending.length;
        for (size_t k = m > n ? n : m; k > most; k--)
            if (memcmp(w->pending.data + n - k, w->o->stop[i], k) == 0)
                most = k;
    }
    return most;
}

/* Tells the first n bytes of what is pending. */
static bool tell(writer *w, size_t n) {
    int ended = n > 0 && w->o->piece ? w->o->piece(w->o->user, w->pending.data, n) : 0;
    if (n == 0)
        return true;
    wf_str_put(&w->out->text, w->pending.data, n);
    memmove(w->pending.data, w->pending.data + n, w->pending.length - n + 1);
    w->pending.length -= n;
    if (ended)
        w->out->finish = WF_FINISH_CALLER;
    return !ended;
}

/* Hands on what is safe to show; false when the text has ended. */
static bool hand_on(writer *w, bool last) {
    size_t end = stop_at(w);
    w->failed |= w->fresh.failed || w->pending.failed;
    if (end < w->pending.length) {
        if (tell(w, end))
            w->out->finish = WF_FINISH_STOP;
        wf_str_clear(&w->pending);
        return false;
    }
    return tell(w, last ? w->pending.length : w->pending.length - held_back(w));
}

static bool put_token(writer *w, uint32_t id) {
    wf_str_clear(&w->fresh);
    w->failed |= wf_text_stream_put(&w->stream, id, &w->fresh, NULL) != WEFT_OK;
    put_valid(&w->pending, wf_str_text(&w->fresh), w->fresh.length);
    return hand_on(w, false);
}

static void end_text(writer *w) {
    wf_finish finish = w->out->finish;
    wf_str_clear(&w->fresh);
    w->failed |= wf_text_stream_end(&w->stream, &w->fresh, NULL) != WEFT_OK;
    put_valid(&w->pending, wf_str_text(&w->fresh), w->fresh.length);
    if (finish != WF_FINISH_STOP && finish != WF_FINISH_CALLER)
        hand_on(w, true);
}

/* ---- the loop ---- */
typedef struct generator {
    const wf_model *model;
    const wf_tokenizer *tok;
    const wf_generate_options *o;
    wf_generation *out;
    wf_session *session;
    wf_sampler *sampler;
    int32_t *source; /* of an encoder-decoder: the prompt */
    int64_t n_source;
    int32_t *ids; /* prompt and new tokens */
    size_t capacity;
    int64_t n, fed;   /* tokens in ids; tokens in the session */
    int64_t n_prompt; /* of ids */
    wf_rules rules;
    wf_sampling sampling; /* with those */
    const float *logits;
    writer writer;
    double started;
    weft_error *err;
} generator;

/* Room for every token when the context never ends, else the context. */
static int64_t capacity_of(const generator *g) {
    int64_t wanted = g->n + g->o->max_tokens, end = g->out->context;
    return end > 0 && end < wanted ? end : wanted;
}

static weft_status check_prompt(const generator *g) {
    int64_t end = g->out->context, limit = wf_model_position_limit(g->model);
    WF_CHECK(g->n > 0, g->err, WEFT_USAGE, "the prompt has no tokens");
    WF_CHECK(g->o->max_tokens >= 0 && g->o->max_tokens <= INT32_MAX, g->err, WEFT_USAGE,
             "max_tokens must be from 0 to %d, not %lld", INT32_MAX, (long long)g->o->max_tokens);
    WF_CHECK(limit == 0 || g->o->context <= limit, g->err, WEFT_USAGE,
             "a context of %lld tokens is more than the %lld positions of this model", (long long)g->o->context,
             (long long)limit);
    WF_CHECK(end == 0 || g->n <= end || g->o->overflow == WF_OVERFLOW_SLIDE, g->err, WEFT_USAGE,
             "the prompt has %lld tokens, the context only %lld ('slide' keeps its end)", (long long)g->n, (long long)end);
    return WEFT_OK;
}

/* The tokens not yet in the session; of a prompt that does not fit, the end that leaves half of the context free. */
static weft_status feed(generator *g) {
    int64_t capacity = wf_session_capacity(g->session);
    if (g->n - g->fed > capacity)
        g->fed = g->n - (capacity + 1) / 2;
    WF_TRY(wf_session_feed(g->session, g->ids + g->fed, g->n - g->fed, &g->logits, g->err));
    g->fed = g->n;
    return WEFT_OK;
}

/* Makes room for one more token: *ended when the policy says that the text ends here. */
static weft_status make_room(generator *g, bool *ended) {
    int64_t capacity = wf_session_capacity(g->session), keep = (capacity + 1) / 2;
    *ended = false;
    if (wf_session_state(g->session)->start[0] < capacity)
        return WEFT_OK;
    if (g->o->overflow == WF_OVERFLOW_STOP) {
        *ended = true;
        g->out->finish = WF_FINISH_CONTEXT;
        return WEFT_OK;
    }
    WF_CHECK(g->o->overflow == WF_OVERFLOW_SLIDE, g->err, WEFT_FAILURE, "the context of %lld tokens is full",
             (long long)capacity);
    wf_session_reset(g->session);
    g->fed = g->n - keep > 0 ? g->n - keep : 0;
    g->out->slides++;
    return WEFT_OK;
}

static bool is_eos(const generator *g, int32_t id) {
    for (size_t i = 0; i < g->o->n_eos; i++)
        if (g->o->eos[i] == id)
            return true;
    return false;
}

static wf_history history(const generator *g) {
    return (wf_history){
        .ids = g->ids, .n = g->n, .source = g->source ? g->source : g->ids, .n_source = g->source ? g->n_source : g->n_prompt};
}

/* A stop string that stays: all of the text is told before the end is. */
static weft_status find_stop(generator *g, bool *ended) {
    WF_TRY(wf_stops_hit(&g->o->stops, g->ids, g->n, ended, g->err));
    if (!*ended)
        return WEFT_OK;
    end_text(&g->writer);
    if (g->out->finish != WF_FINISH_CALLER)
        g->out->finish = WF_FINISH_STOP;
    return WEFT_OK;
}

/* Chooses a token; *ended when the text has. */
static weft_status choose(generator *g, bool *ended) {
    int32_t id;
    wf_history h = history(g);
    WF_TRY(wf_sampler_next(g->sampler, g->logits, &h, (uint64_t)g->out->tokens, &id, g->err));
    if (g->out->tokens == 0)
        g->out->first_seconds = wf_seconds() - g->started;
    WF_TRY(wf_grow(&g->model->env->mem, (void **)&g->ids, &g->capacity, (size_t)g->n + 1, sizeof *g->ids, g->err));
    g->ids[g->n++] = id;
    g->out->tokens++;
    *ended = is_eos(g, id);
    if (*ended)
        g->out->finish = WF_FINISH_EOS;
    else
        *ended = !put_token(&g->writer, (uint32_t)id);
    return *ended ? WEFT_OK : find_stop(g, ended);
}

static weft_status step(generator *g, bool *ended) {
    WF_TRY(wf_stopped(g->model->env));
    if (g->fed < g->n) {
        WF_TRY(make_room(g, ended));
        if (*ended)
            return WEFT_OK;
        WF_TRY(feed(g));
    }
    return choose(g, ended);
}

static weft_status loop(generator *g) {
    bool ended = g->o->max_tokens == 0;
    weft_status status = WEFT_OK;
    while (!ended && status == WEFT_OK) {
        status = step(g, &ended);
        ended |= g->out->tokens >= g->o->max_tokens;
    }
    if (g->out->tokens > 0)
        g->out->decode_seconds = wf_seconds() - g->started - g->out->first_seconds;
    if (status == WEFT_INTERRUPTED || status == WEFT_TERMINATED)
        g->out->finish = WF_FINISH_INTERRUPT;
    end_text(&g->writer);
    return status;
}

static weft_status start(generator *g) {
    WF_TRY(wf_session_create(g->model, 1, capacity_of(g), &g->session, g->err));
    WF_TRY(wf_sampler_create(g->model->env, g->model->spec->vocab, &g->sampling, &g->sampler, g->err));
    if (g->model->encoder)
        WF_TRY(wf_session_source(g->session, g->source, g->n_source, NULL, g->err));
    WF_TRY(feed(g));
    g->out->prompt_seconds = wf_seconds() - g->started;
    return WEFT_OK;
}

static weft_status take_ids(const generator *g, const uint32_t *prompt, size_t n, int64_t vocab, int32_t *out) {
    for (size_t i = 0; i < n; i++) {
        WF_CHECK((int64_t)prompt[i] < vocab, g->err, WEFT_BAD_INPUT,
                 "token %u of the prompt is outside the model's vocabulary of %lld", (unsigned)prompt[i], (long long)vocab);
        out[i] = (int32_t)prompt[i];
    }
    return WEFT_OK;
}

int32_t wf_first_token(const wf_model *model, const int32_t *eos, size_t n_eos) {
    const wf_shift_spec *shift = &model->spec->shift;
    return shift->rotate && n_eos ? eos[0] : (int32_t)shift->token;
}

static weft_status take_start(generator *g) {
    const int32_t *from = g->o->start, usual = wf_first_token(g->model, g->o->eos, g->o->n_eos);
    size_t n = from && g->o->n_start ? g->o->n_start : 1;
    from = from && g->o->n_start ? from : &usual;
    WF_TRY(wf_grow(&g->model->env->mem, (void **)&g->ids, &g->capacity, n + 1, sizeof *g->ids, g->err));
    memcpy(g->ids, from, n * sizeof *from);
    g->n = (int64_t)n;
    return WEFT_OK;
}

static weft_status take_prompt(generator *g, const uint32_t *prompt, size_t n) {
    const wf_model *m = g->model;
    if (!m->encoder) {
        WF_TRY(wf_grow(&m->env->mem, (void **)&g->ids, &g->capacity, n + 1, sizeof *g->ids, g->err));
        g->n = (int64_t)n;
        WF_TRY(wf_text_stream_follow(&g->writer.stream, prompt, n, g->err));
        return take_ids(g, prompt, n, m->spec->vocab, g->ids);
    }
    if (!(g->source = wf_calloc(&m->env->mem, n + 1, sizeof *g->source)))
        return wf_fail_memory(g->err);
    g->n_source = (int64_t)n;
    WF_TRY(take_ids(g, prompt, n, m->encoder->spec->vocab, g->source));
    return take_start(g);
}

/* The rules for a prompt of this length; behind an encoder what is forced behind the first token counts as written. */
static void take_rules(generator *g) {
    g->n_prompt = g->n;
    if (g->o->sampling.rules)
        g->rules = *g->o->sampling.rules;
    g->rules.prompt = g->model->encoder ? 1 : g->n;
    g->rules.begin = g->n;
    g->rules.most = g->n + g->o->max_tokens;
    g->sampling = g->o->sampling;
    g->sampling.rules = &g->rules;
}

/* ---- several texts at a time ---- */
static weft_status check_beams(const generator *g, int64_t most) {
    WF_CHECK(g->o->n_stop == 0, g->err, WEFT_UNSUPPORTED, "stop strings with beams are not supported");
    WF_CHECK(g->o->overflow == WF_OVERFLOW_STOP || most == g->rules.most, g->err, WEFT_UNSUPPORTED,
             "beams end with the context of %lld tokens", (long long)g->out->context);
    return WEFT_OK;
}

/* The new tokens of one of them. */
static weft_status write_beam(generator *g, const wf_beam_text *from, bool full, wf_generated *to) {
    size_t behind = g->model->encoder ? 0 : (size_t)g->n;
    wf_generation own = {.text = wf_str_new(&g->model->env->mem)};
    wf_generate_options quiet = *g->o;
    quiet.piece = NULL;
    writer w = open_writer(&quiet, &own, g->tok, &g->model->env->mem);
    w.failed |= wf_text_stream_follow(&w.stream, (const uint32_t *)from->ids, behind, NULL) != WEFT_OK;
    for (int64_t i = g->n; i < from->n - from->ended; i++)
        (void)put_token(&w, (uint32_t)from->ids[i]);
    end_text(&w);
    close_writer(&w);
    *to = (wf_generated){.text = own.text,
                         .tokens = from->n - g->n,
                         .score = (double)from->score,
                         .finish = from->ended     ? WF_FINISH_EOS
                                   : from->stopped ? WF_FINISH_STOP
                                   : full          ? WF_FINISH_CONTEXT
                                                   : WF_FINISH_LENGTH};
    return w.failed || own.text.failed ? wf_fail_memory(g->err) : WEFT_OK;
}

static weft_status take_beams(generator *g, const wf_beam_found *found, bool full) {
    wf_generation *out = g->out;
    if (!(out->texts = wf_calloc(&g->model->env->mem, (size_t)g->o->beams.returned, sizeof *out->texts)))
        return wf_fail_memory(g->err);
    for (size_t i = 0; i < (size_t)g->o->beams.returned; i++) {
        wf_generated *to = &out->texts[out->n_texts++];
        WF_TRY(write_beam(g, &found->texts[i], full, to));
        if (i > 0)
            wf_str_putc(&out->text, '\n');
        wf_str_put(&out->text, wf_str_text(&to->text), to->text.length);
    }
    out->tokens = out->texts[0].tokens;
    out->finish = out->texts[0].finish;
    if (g->o->piece && out->text.length && g->o->piece(g->o->user, wf_str_text(&out->text), out->text.length))
        out->finish = WF_FINISH_CALLER;
    return WEFT_OK;
}

static weft_status run_beams(generator *g) {
    int64_t end = g->out->context, most = end > 0 && end + 1 < g->rules.most ? end + 1 : g->rules.most,
            beams = g->o->beams.beams;
    wf_history prompt = history(g);
    wf_beam_job job = {.rows = 1,
                       .prompts = &prompt,
                       .how = g->o->beams,
                       .sampling = &g->sampling,
                       .eos = g->o->eos,
                       .n_eos = g->o->n_eos,
                       .stops = g->o->stops,
                       .given = g->rules.prompt,
                       .most = most};
    wf_beam_found found;
    WF_TRY(check_beams(g, most));
    WF_TRY(wf_session_create_shared(g->model, beams, beams, most > g->n ? most - 1 : g->n, &g->session, g->err));
    if (g->model->encoder)
        WF_TRY(wf_session_source(g->session, g->source, g->n_source, NULL, g->err));
    g->out->prompt_seconds = g->out->first_seconds = wf_seconds() - g->started;
    WF_TRY(wf_beam_search(g->session, &job, &found, g->err));
    g->out->decode_seconds = wf_seconds() - g->started - g->out->first_seconds;
    weft_status status = take_beams(g, &found, most < g->rules.most);
    wf_beam_free(g->model->env, &found);
    return status;
}

static weft_status run(generator *g) {
    WF_TRY(check_prompt(g));
    take_rules(g);
    if (g->o->beams.beams > 1)
        return run_beams(g);
    WF_TRY(start(g));
    return loop(g);
}

void wf_generation_free(const wf_env *env, wf_generation *g) {
    for (size_t i = 0; i < g->n_texts; i++)
        wf_str_free(&g->texts[i].text);
    wf_free(&env->mem, g->texts);
    wf_str_free(&g->text);
}

weft_status wf_generate(const wf_model *model, const wf_tokenizer *tok, const uint32_t *prompt, size_t n,
                        const wf_generate_options *options, wf_generation *out, weft_error *err) {
    const wf_mem *mem = &model->env->mem;
    generator g = {.model = model, .o = options, .out = out, .started = wf_seconds(), .err = err};
    g.tok = tok;
    g.writer = open_writer(options, out, tok, mem);
    out->prompt_tokens = (int64_t)n;
    out->finish = WF_FINISH_LENGTH;
    out->context = options->context > 0 ? options->context : wf_context_end(model);
    weft_status status = take_prompt(&g, prompt, n);
    if (status == WEFT_OK)
        status = run(&g);
    if (status == WEFT_OK && (out->text.failed || g.writer.failed))
        status = wf_fail_memory(err);
    close_writer(&g.writer);
    wf_sampler_free(g.sampler);
    wf_session_free(g.session);
    wf_free(mem, g.ids);
    wf_free(mem, g.source);
    return status;
}
