/* generate_many.c - many texts at the same time, each as it is alone. Every text has a place in the session, which moves all of
 * them on by one token; prompts are read by themselves, and what a state holds of one is put into its place. */
#include <stdlib.h>
#include <string.h>
#include "gen/draft.h"
#include "gen/session.h"

/* Unasked: more texts than these side by side are hardly faster, and their states take memory. */
enum { MOST_PLACES = 32, MOST_STATE_BYTES = 1 << 30 };
/* Rows of sources that a session takes for equal; so many batches of them are sorted at a time. */
enum { SOURCE_GRAIN = 16, WAVES = 8 };

typedef struct hand { /* what draws; one for each thread */
    wf_sampler *sampler;
    wf_rules rules; /* of the text that it draws for */
} hand;

typedef struct turn { /* in which order prompts are begun */
    size_t rows, index;
} turn;

typedef struct desk {
    const wf_model *model;
    const wf_tokenizer *tok;
    const wf_generate_options *o;
    const wf_prompts *prompts;
    wf_generation_fn take;
    void *user;
    turn *order;
    size_t begun, front, n;       /* turns taken; texts handed over; those that are wanted */
    wf_draft **drafts;            /* [prompts] those begun and not handed over, else NULL */
    int64_t most, n_places;       /* sequences of the session: at its largest, now */
    int64_t *places;              /* [most] the text in each of them, -1: free */
    int32_t *next;                /* [most, tokens that a decoder begins with]: what is fed */
    int64_t capacity;             /* tokens of a sequence */
    wf_session *session, *reader; /* reader: of one sequence, for prompts; may be the session itself */
    hand *hands;
    int n_hands;
    bool over; /* the last text has been handed over */
    weft_error *err;
} desk;

static bool is_free(const desk *d, int64_t place) { return d->places[place] < 0; }
static wf_draft *draft_at(const desk *d, int64_t place) { return d->drafts[d->places[place]]; }

static int64_t count_open(const desk *d) {
    int64_t open = 0;
    for (int64_t b = 0; b < d->n_places; b++)
        open += !is_free(d, b);
    return open;
}

/* ---- room ---- */
static size_t source_rows(const desk *d, size_t index) {
    return d->model->encoder ? (d->prompts->list[index].n + SOURCE_GRAIN - 1) / SOURCE_GRAIN * SOURCE_GRAIN : 0;
}

/* The longest text decides; *rows: of the longest source. */
static int64_t capacity_for(const desk *d, size_t *rows) {
    int64_t most = 1;
    *rows = 0;
    for (size_t i = 0; i < d->prompts->n; i++) {
        const wf_prompt *p = &d->prompts->list[i];
        if (p->max_tokens < 0 || p->max_tokens > INT32_MAX)
            continue; /* refused in its turn */
        int64_t room = wf_draft_room(d->model, p, d->o);
        most = room > most ? room : most;
        *rows = source_rows(d, i) > *rows ? source_rows(d, i) : *rows;
    }
    return most;
}

/* Sources are read for all places at once, so that none of these texts can slide alone. */
static int64_t places_for(const desk *d, size_t rows) {
    int64_t tokens = d->capacity + (int64_t)rows, n = (int64_t)d->prompts->n, places = MOST_PLACES;
    if (d->o->beams.beams > 1 || n == 1 || (d->model->encoder && d->o->overflow == WF_OVERFLOW_SLIDE))
        return 1;
    if (d->o->batch > 0)
        places = d->o->batch / tokens;
    else
        while (places > 1 && (double)places * (double)wf_state_bytes_at(d->model, tokens) > MOST_STATE_BYTES)
            places /= 2;
    places = places < n ? places : n;
    return places > 1 ? places : 1;
}

static int longest_first(const void *a, const void *b) {
    const turn *x = a, *y = b;
    if (x->rows != y->rows)
        return x->rows > y->rows ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* A decoder takes the prompts as they come; sources of one length are read together. */
static void choose_order(desk *d) {
    size_t n = d->prompts->n, run = (size_t)d->most * WAVES;
    for (size_t i = 0; i < n; i++)
        d->order[i] = (turn){source_rows(d, i), i};
    for (size_t i = 0; d->model->encoder && i < n; i += run)
        qsort(d->order + i, n - i < run ? n - i : run, sizeof *d->order, longest_first);
}

static weft_status open_desk(desk *d) {
    const wf_mem *mem = &d->model->env->mem;
    size_t rows, fed = d->model->encoder && d->o->n_start ? d->o->n_start : 1;
    d->n = d->prompts->n;
    d->capacity = capacity_for(d, &rows);
    d->most = d->n_places = places_for(d, rows);
    d->order = wf_calloc(mem, d->n, sizeof *d->order);
    d->drafts = wf_calloc(mem, d->n, sizeof(wf_draft *));
    d->places = wf_calloc(mem, (size_t)d->most, sizeof *d->places);
    d->next = wf_calloc(mem, (size_t)d->most * fed, sizeof *d->next);
    if (!d->order || !d->drafts || !d->places || !d->next)
        return wf_fail_memory(d->err);
    for (int64_t b = 0; b < d->most; b++)
        d->places[b] = -1;
    choose_order(d);
    return WEFT_OK;
}

static void close_sessions(desk *d) {
    if (d->reader != d->session)
        wf_session_free(d->reader);
    wf_session_free(d->session);
    d->session = d->reader = NULL;
}

static void close_desk(desk *d) {
    const wf_mem *mem = &d->model->env->mem;
    close_sessions(d);
    for (int i = 0; d->hands && i < d->n_hands; i++)
        wf_sampler_free(d->hands[i].sampler);
    for (size_t i = 0; d->drafts && i < d->prompts->n; i++)
        wf_draft_free(d->drafts[i]);
    wf_free(mem, d->hands);
    wf_free(mem, d->drafts);
    wf_free(mem, d->order);
    wf_free(mem, d->places);
    wf_free(mem, d->next);
}

static weft_status make_hands(desk *d) {
    int threads = wf_pool_threads(d->model->env->pool);
    wf_sampling how = d->o->sampling;
    if (d->hands)
        return WEFT_OK;
    d->n_hands = threads < (int)d->most ? threads : (int)d->most;
    if (!(d->hands = wf_calloc(&d->model->env->mem, (size_t)d->n_hands, sizeof *d->hands)))
        return wf_fail_memory(d->err);
    for (hand *h = d->hands; h < d->hands + d->n_hands; h++) {
        if (d->o->sampling.rules)
            h->rules = *d->o->sampling.rules;
        how.rules = &h->rules;
        WF_TRY(wf_sampler_create(d->model->env, d->model->spec->vocab, &how, &h->sampler, d->err));
    }
    return WEFT_OK;
}

/* A session of n_places; prompts of a decoder are read beside it. */
static weft_status make_session(desk *d) {
    if (d->session && wf_session_state(d->session)->batch == d->n_places)
        return WEFT_OK;
    close_sessions(d);
    WF_TRY(wf_session_create(d->model, d->n_places, d->capacity, &d->session, d->err));
    if (d->n_places > 1 && !d->model->encoder)
        return wf_session_create(d->model, 1, d->capacity, &d->reader, d->err);
    d->reader = d->session;
    return WEFT_OK;
}

/* ---- a text ---- */
/* Where a text has failed, those behind it are not wanted any more. */
static void stop_behind(desk *d, size_t index) {
    d->n = index + 1;
    for (int64_t b = 0; b < d->n_places; b++)
        if (!is_free(d, b) && (size_t)d->places[b] > index)
            d->places[b] = -1;
}

static void settle(desk *d, int64_t place) {
    if (!draft_at(d, place)->done)
        return;
    size_t index = (size_t)d->places[place];
    d->places[place] = -1;
    if (d->drafts[index]->failure.status != WEFT_OK)
        stop_behind(d, index);
}

static void draw(hand *h, wf_draft *t, const float *logits) {
    wf_history history = wf_draft_history(t);
    h->rules = t->rules;
    (void)wf_sampler_next(h->sampler, logits, &history, (uint64_t)t->out.tokens, &t->chosen, &t->failure);
}

static void put_drawn(desk *d, int64_t place) {
    wf_draft *t = draft_at(d, place);
    if (t->failure.status != WEFT_OK)
        wf_draft_end(t, t->failure.status);
    else
        wf_draft_put(t);
    settle(d, place);
}

typedef struct drawing {
    desk *desk;
    const float *logits; /* [n_places, vocab] */
} drawing;

/* A draw is keyed by its text, so that it makes no difference whose hand it is. */
static void draw_some(void *arg, int thread, int n_threads) {
    const drawing *job = arg;
    const desk *d = job->desk;
    int hands = n_threads < d->n_hands ? n_threads : d->n_hands;
    for (int64_t b = thread; thread < hands && b < d->n_places; b += hands)
        if (!is_free(d, b))
            draw(&d->hands[thread], draft_at(d, b), job->logits + b * d->model->spec->vocab);
}

static void draw_all(desk *d, const float *logits) {
    drawing job = {d, logits};
    if (d->n_hands > 1 && count_open(d) > 1)
        wf_pool_run(d->model->env->pool, draw_some, &job);
    else
        draw_some(&job, 0, 1);
    for (int64_t b = 0; b < d->n_places; b++)
        if (!is_free(d, b))
            put_drawn(d, b);
}

static void was_read(desk *d, int64_t place) {
    wf_draft *t = draft_at(d, place);
    wf_draft_was_fed(t);
    if (t->out.tokens == 0)
        t->out.prompt_seconds = wf_seconds() - t->started;
    if (t->max_tokens == 0)
        wf_draft_end(t, WEFT_OK);
    settle(d, place);
}

/* What is not fed yet, into a place that holds nothing; then the first token behind it. */
static weft_status read_text(desk *d, int64_t place) {
    const float *logits;
    int64_t n;
    const int32_t *ids = wf_draft_unfed(draft_at(d, place), &n);
    wf_session_reset(d->reader);
    WF_TRY(wf_session_feed(d->reader, ids, n, &logits, d->err));
    if (d->reader != d->session)
        WF_TRY(wf_state_copy(wf_session_state(d->session), place, wf_session_state(d->reader), 0, d->err));
    was_read(d, place);
    if (is_free(d, place))
        return WEFT_OK;
    draw(&d->hands[0], draft_at(d, place), logits);
    put_drawn(d, place);
    return WEFT_OK;
}

/* ---- beginning ---- */
static bool has_next(desk *d) {
    while (d->begun < d->prompts->n && d->order[d->begun].index >= d->n)
        d->begun++;
    return d->begun < d->prompts->n;
}

/* The next prompt into a place, which stays free when it cannot be asked. */
static weft_status open_next(desk *d, int64_t place) {
    size_t i = d->order[d->begun++].index;
    d->drafts[i] = wf_draft_open(d->model, d->tok, &d->prompts->list[i], d->o);
    if (!d->drafts[i])
        return wf_fail_memory(d->err);
    d->places[place] = (int64_t)i;
    settle(d, place);
    return WEFT_OK;
}

static weft_status write_beams(desk *d, int64_t place) {
    wf_draft *t = draft_at(d, place);
    weft_status status = wf_draft_beams(t, &t->failure);
    if (status == WEFT_INTERRUPTED || status == WEFT_TERMINATED)
        return status;
    wf_draft_end(t, status);
    settle(d, place);
    return WEFT_OK;
}

static weft_status begin_text(desk *d, int64_t place) {
    if (d->o->beams.beams > 1)
        return write_beams(d, place);
    WF_TRY(make_session(d));
    WF_TRY(make_hands(d));
    return read_text(d, place);
}

static weft_status fill_places(desk *d) {
    for (int64_t b = 0; b < d->n_places; b++)
        while (is_free(d, b) && has_next(d)) {
            WF_TRY(open_next(d, b));
            if (!is_free(d, b))
                WF_TRY(begin_text(d, b));
        }
    return WEFT_OK;
}

/* The next sources of one length, side by side. */
static weft_status open_wave(desk *d) {
    size_t rows = 0;
    int64_t n = 0;
    d->n_places = d->most;
    for (int64_t b = 0; b < d->most; b++)
        d->places[b] = -1;
    while (n < d->most && has_next(d) && (n == 0 || d->order[d->begun].rows == rows)) {
        rows = d->order[d->begun].rows;
        WF_TRY(open_next(d, n));
        n += !is_free(d, n);
    }
    d->n_places = 0;
    for (int64_t b = 0; b < n; b++)
        if (!is_free(d, b)) /* one may have failed that stands in front of it */
            d->places[d->n_places++] = d->places[b];
    return WEFT_OK;
}

static weft_status read_sources(desk *d, int32_t *ids, int64_t *lengths, int64_t longest) {
    const float *logits;
    int64_t n = 0;
    for (int64_t b = 0; b < d->n_places; b++) {
        const wf_draft *t = draft_at(d, b);
        memcpy(ids + b * longest, t->source, (size_t)t->n_source * sizeof *ids);
        lengths[b] = t->n_source;
    }
    WF_TRY(wf_session_source(d->session, ids, longest, lengths, d->err));
    for (int64_t b = 0; b < d->n_places; b++) { /* all begin alike */
        const int32_t *start = wf_draft_unfed(draft_at(d, b), &n);
        memcpy(d->next + b * n, start, (size_t)n * sizeof *start);
    }
    WF_TRY(wf_session_feed(d->session, d->next, n, &logits, d->err));
    for (int64_t b = 0; b < d->n_places; b++)
        was_read(d, b);
    draw_all(d, logits);
    return WEFT_OK;
}

static weft_status begin_wave(desk *d) {
    const wf_mem *mem = &d->model->env->mem;
    int64_t longest = 0;
    WF_TRY(open_wave(d));
    if (d->n_places == 0)
        return WEFT_OK;
    WF_TRY(make_session(d));
    WF_TRY(make_hands(d));
    for (int64_t b = 0; b < d->n_places; b++)
        longest = draft_at(d, b)->n_source > longest ? draft_at(d, b)->n_source : longest;
    int32_t *ids = wf_calloc(mem, (size_t)d->n_places * (size_t)longest, sizeof *ids);
    int64_t *lengths = wf_calloc(mem, (size_t)d->n_places, sizeof *lengths);
    weft_status status = ids && lengths ? read_sources(d, ids, lengths, longest) : wf_fail_memory(d->err);
    wf_free(mem, ids);
    wf_free(mem, lengths);
    return status;
}

static weft_status begin(desk *d) {
    if (!d->model->encoder || d->o->beams.beams > 1)
        return fill_places(d);
    return count_open(d) == 0 ? begin_wave(d) : WEFT_OK;
}

/* ---- going on ---- */
/* When no prompt waits and half of the places are free, a smaller session goes on. */
static weft_status shrink(desk *d) {
    int64_t open = count_open(d), to = 0;
    wf_session *smaller;
    if (d->model->encoder || open == 0 || open > d->n_places / 2 || has_next(d))
        return WEFT_OK;
    WF_TRY(wf_session_create(d->model, open, d->capacity, &smaller, d->err));
    for (int64_t b = 0; b < d->n_places; b++) {
        if (is_free(d, b))
            continue;
        (void)wf_state_copy(wf_session_state(smaller), to, wf_session_state(d->session), b, NULL); /* of the same shape */
        d->places[to++] = d->places[b];
    }
    wf_session_free(d->session);
    d->session = smaller;
    d->n_places = open;
    return WEFT_OK;
}

static weft_status make_room(desk *d) {
    for (int64_t b = 0; b < d->n_places; b++)
        while (!is_free(d, b) && wf_draft_is_full(draft_at(d, b))) {
            wf_draft_overflow(draft_at(d, b));
            settle(d, b);
            if (!is_free(d, b))
                WF_TRY(read_text(d, b));
        }
    return WEFT_OK;
}

/* One token for every text. */
static weft_status step(desk *d) {
    const float *logits;
    WF_TRY(make_room(d));
    if (count_open(d) == 0)
        return WEFT_OK;
    for (int64_t b = 0; b < d->n_places; b++) {
        d->next[b] = is_free(d, b) ? 0 : draft_at(d, b)->chosen;
        if (is_free(d, b))
            wf_state_reset(wf_session_state(d->session), b);
    }
    WF_TRY(wf_session_feed(d->session, d->next, 1, &logits, d->err));
    for (int64_t b = 0; b < d->n_places; b++)
        if (!is_free(d, b))
            wf_draft_was_fed(draft_at(d, b));
    draw_all(d, logits);
    return WEFT_OK;
}

/* ---- handing over ---- */
static weft_status hand_over(desk *d) {
    while (d->front < d->n && d->drafts[d->front] && d->drafts[d->front]->done) {
        wf_draft *t = d->drafts[d->front];
        weft_status failed = t->failure.status;
        if (failed != WEFT_OK && d->err)
            *d->err = t->failure;
        d->over = failed != WEFT_OK;
        weft_status status = d->take(d->user, d->front, &t->out, failed);
        wf_draft_free(t);
        d->drafts[d->front++] = NULL;
        d->over |= status != WEFT_OK;
        WF_TRY(failed);
        WF_TRY(status);
    }
    return WEFT_OK;
}

/* What has stopped all of them is told of the first one that is not done. */
static weft_status give_up(desk *d, weft_status status) {
    if (!d->drafts)
        return status;
    WF_TRY(hand_over(d));
    wf_draft *t = d->front < d->n ? d->drafts[d->front] : NULL;
    if (!t)
        return status;
    wf_draft_end(t, status);
    (void)d->take(d->user, d->front, &t->out, status);
    return status;
}

static weft_status write_all(desk *d) {
    WF_TRY(open_desk(d));
    while (d->front < d->n) {
        WF_TRY(begin(d));
        WF_TRY(hand_over(d));
        WF_TRY(shrink(d));
        WF_TRY(step(d));
        WF_TRY(hand_over(d));
    }
    return WEFT_OK;
}

weft_status wf_generate_many(const wf_model *model, const wf_tokenizer *tok, const wf_prompts *prompts,
                             const wf_generate_options *options, wf_generation_fn take, void *user, weft_error *err) {
    desk d = {.model = model, .tok = tok, .o = options, .prompts = prompts, .take = take, .user = user, .err = err};
    if (prompts->n == 0)
        return WEFT_OK;
    weft_status status = write_all(&d);
    if (status != WEFT_OK && !d.over)
        status = give_up(&d, status);
    close_desk(&d);
    return status;
}
