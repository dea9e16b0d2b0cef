#include "gen/beam.h"
#include <math.h>
#include <string.h>
#include "base/checked.h"
#include "base/str.h"

const wf_beams wf_beams_usual = {.beams = 1, .returned = 1, .length_penalty = 1.0};

bool wf_early_find(const char *word, wf_early *out) {
    static const char *const words[] = {"false", "true", "never"};
    for (int i = 0; i < 3; i++)
        if (wf_streq(words[i], word)) {
            *out = (wf_early)i;
            return true;
        }
    return false;
}

weft_status wf_beams_check(const wf_beams *b, weft_error *err) {
    WF_CHECK(b->beams >= 1 && b->beams <= WF_BEAMS_MOST, err, WEFT_USAGE, "beams must be from 1 to %d, not %lld", WF_BEAMS_MOST,
             (long long)b->beams);
    WF_CHECK(b->returned >= 1 && b->returned <= b->beams, err, WEFT_USAGE, "%lld beams do not give %lld sequences",
             (long long)b->beams, (long long)b->returned);
    WF_CHECK(isfinite(b->length_penalty), err, WEFT_USAGE, "the length penalty must be a number");
    return WEFT_OK;
}

static const float out_of_reach = -1.0e9f; /* as the reference has it: what is finished, or not there yet */

typedef struct candidate {
    float score;
    int32_t beam, token;
    bool stopped; /* completes a stop string */
} candidate;

typedef struct text { /* that is written, or finished; its ids are those of its slot */
    float score;
    int64_t n;
    bool finished, stopped;
} text;

typedef struct search {
    const wf_beam_job *job;
    const wf_model *model;
    wf_session *session;
    const float *logits;                  /* [rows, each, vocab] */
    int64_t each;                         /* beams, or 1: all beams of a row have the same */
    int64_t beams, width, keep, vocab, n; /* width: ids there is room for; keep: candidates; n: ids of a running text */
    int32_t *running, *finished, *spare;  /* [rows, beams, width]; spare: [beams, width] */
    float *sums;                          /* [rows, beams] of running texts */
    text *texts;                          /* [rows, beams] finished ones */
    candidate *found, *best;              /* [beams, keep] of every beam; [keep] of the row, the best first */
    uint8_t *hope, *open;                 /* [rows]: can improve; is searched */
    double *scores;                       /* [beams, vocab] */
    uint8_t *seen;                        /* [beams, vocab] */
    int32_t *next;                        /* [rows, beams] what is fed */
    int64_t *order;                       /* [rows, beams] where it goes on from */
    int64_t row;                          /* that is looked at */
    atomic_int nan;
} search;

static size_t slot(const search *s, int64_t row, int64_t beam) { return (size_t)(row * s->beams + beam); }
static int32_t *ids_at(const search *s, int32_t *list, int64_t row, int64_t beam) {
    return list + slot(s, row, beam) * (size_t)s->width;
}

/* ---- candidates ---- */
/* Puts one into the list of the n best; the lower index stays in front where scores are equal. */
static int64_t insert(candidate *list, int64_t n, int64_t most, candidate c) {
    int64_t at = n < most ? n : most;
    while (at > 0 && c.score > list[at - 1].score)
        at--;
    if (at == most)
        return n;
    n = n < most ? n + 1 : n;
    memmove(list + at + 1, list + at, (size_t)(n - 1 - at) * sizeof *list);
    list[at] = c;
    return n;
}

/* log(sum(exp(x))) of logits; *largest is one of them. NaN when one is. */
static double log_sum(const float *x, int64_t n, float *largest) {
    double sum = 0.0;
    float top = x[0];
    for (int64_t i = 1; i < n; i++)
        top = x[i] > top ? x[i] : top;
    for (int64_t i = 0; i < n; i++)
        sum += (double)expf(x[i] - top);
    *largest = top;
    return log(sum);
}

static void renormalize(double *z, int64_t n) {
    double sum = 0.0, top = z[0];
    for (int64_t i = 1; i < n; i++)
        top = z[i] > top ? z[i] : top;
    for (int64_t i = 0; i < n; i++)
        sum += exp(z[i] - top);
    for (int64_t i = 0; i < n; i++)
        z[i] -= top + log(sum);
}

/* The best candidates of one beam. */
static void look(search *s, int64_t beam) {
    const wf_beam_job *job = s->job;
    static const wf_rules none;
    const float *x = s->logits + (s->row * s->each + (s->each > 1 ? beam : 0)) * s->vocab;
    double *z = s->scores + beam * s->vocab;
    candidate *list = s->found + beam * s->keep;
    wf_history h = job->prompts[s->row];
    float top, sum = s->sums[slot(s, s->row, beam)];
    double all = log_sum(x, s->vocab, &top);
    int64_t n = 0;
    if (isnan(all))
        atomic_store(&s->nan, 1);
    for (int64_t i = 0; i < s->vocab; i++)
        z[i] = (double)(float)((double)(x[i] - top) - all);
    h.ids = ids_at(s, s->running, s->row, beam);
    h.n = s->n;
    wf_rules_follow(job->sampling->rules ? job->sampling->rules : &none, job->sampling->repetition_penalty, &h, z, s->vocab,
                    s->seen + beam * s->vocab);
    if (job->how.renormalize)
        renormalize(z, s->vocab);
    for (int64_t i = 0; i < s->vocab; i++) {
        float score = (float)z[i] + sum;
        if (n < s->keep || score > list[n - 1].score)
            n = insert(list, n, s->keep, (candidate){score, (int32_t)beam, (int32_t)i, false});
    }
    for (; n < s->keep; n++) /* a vocabulary of few tokens */
        list[n] = (candidate){-INFINITY, (int32_t)beam, 0, false};
}

static void look_share(void *arg, int thread, int n_threads) {
    search *s = arg;
    for (int64_t beam = thread; beam < s->beams; beam += n_threads)
        look(s, beam);
}

static weft_status find_candidates(search *s, weft_error *err) {
    int64_t n = 0;
    if (s->model->env->pool)
        wf_pool_run(s->model->env->pool, look_share, s);
    else
        look_share(s, 0, 1);
    WF_CHECK(!atomic_load(&s->nan), err, WEFT_FAILURE, "the model's output is not a number behind %lld tokens",
             (long long)s->n);
    for (int64_t i = 0; i < s->beams * s->keep; i++)
        n = insert(s->best, n, s->keep, s->found[i]);
    return WEFT_OK;
}

static weft_status find_stops(search *s, weft_error *err) {
    for (int64_t i = 0; i < s->keep; i++) {
        candidate *c = &s->best[i];
        int32_t *ids = ids_at(s, s->running, s->row, c->beam);
        ids[s->n] = c->token;
        WF_TRY(wf_stops_hit(&s->job->stops, ids, s->n + 1, &c->stopped, err));
    }
    return WEFT_OK;
}

/* ---- a row ---- */
static bool is_eos(const search *s, int32_t id) {
    for (size_t i = 0; i < s->job->n_eos; i++)
        if (s->job->eos[i] == id)
            return true;
    return false;
}

static bool ends(const search *s, const candidate *c) { return s->n + 1 >= s->job->most || is_eos(s, c->token) || c->stopped; }

static bool all_finished(const search *s, const text *t) {
    for (int64_t i = 0; i < s->beams; i++)
        if (!t[i].finished)
            return false;
    return true;
}

/* Candidate c among the finished texts of the row, where it is better than the last one. */
static void finish(search *s, const candidate *c, bool counts, float score) {
    text *t = s->texts + slot(s, s->row, 0);
    int64_t at = s->beams, bytes = s->width * (int64_t)sizeof(int32_t);
    while (at > 0 && score > t[at - 1].score)
        at--;
    if (at == s->beams)
        return;
    int32_t *to = ids_at(s, s->finished, s->row, at);
    memmove(t + at + 1, t + at, (size_t)(s->beams - 1 - at) * sizeof *t);
    memmove(to + s->width, to, (size_t)((s->beams - 1 - at) * bytes));
    t[at] = (text){score, s->n + 1, counts, c->stopped};
    memcpy(to, ids_at(s, s->running, s->row, c->beam), (size_t)s->n * sizeof *to);
    to[s->n] = c->token;
}

/* The best that have ended count; the others stand by, out of reach. */
static void finish_all(search *s) {
    const text *t = s->texts + slot(s, s->row, 0);
    float length = (float)pow((double)(s->n + 1 - s->job->given), s->job->how.length_penalty);
    bool full = all_finished(s, t) && s->job->how.early == WF_EARLY_ONCE, hope = s->hope[s->row];
    for (int64_t i = 0; i < s->keep; i++) {
        bool counts = i < s->beams && ends(s, &s->best[i]);
        float score = s->best[i].score / length;
        score += full ? out_of_reach : 0.0f;
        score += hope ? 0.0f : out_of_reach;
        finish(s, &s->best[i], counts, score + (counts ? 0.0f : out_of_reach));
    }
}

/* The best that have not ended go on. True when all candidates have. */
static bool go_on(search *s) {
    candidate *next = s->found; /* done with */
    bool all = true;
    int64_t n = 0;
    for (int64_t i = 0; i < s->keep; i++) {
        candidate c = s->best[i];
        bool ended = ends(s, &c);
        all = all && ended;
        c.score += ended ? out_of_reach : 0.0f;
        n = insert(next, n, s->beams, c);
    }
    memcpy(s->spare, ids_at(s, s->running, s->row, 0), (size_t)(s->beams * s->width) * sizeof *s->spare);
    for (int64_t i = 0; i < s->beams; i++) {
        int32_t *to = ids_at(s, s->running, s->row, i);
        memcpy(to, s->spare + next[i].beam * s->width, (size_t)s->n * sizeof *to);
        to[s->n] = next[i].token;
        s->sums[slot(s, s->row, i)] = next[i].score;
        s->next[slot(s, s->row, i)] = next[i].token;
        s->order[slot(s, s->row, i)] = (int64_t)slot(s, s->row, next[i].beam);
    }
    return all;
}

/* Whether the best running text may still be better than the worst finished one. */
static bool may_improve(const search *s) {
    const text *t = s->texts + slot(s, s->row, 0);
    bool furthest = s->job->how.early == WF_EARLY_NEVER && s->job->how.length_penalty > 0.0;
    double length = (double)((furthest ? s->job->most : s->n + 1) - s->job->given);
    float best = s->sums[slot(s, s->row, 0)] / (float)pow(length, s->job->how.length_penalty);
    return best > (all_finished(s, t) ? t[s->beams - 1].score : out_of_reach);
}

static weft_status step_row(search *s, weft_error *err) {
    WF_TRY(find_candidates(s, err));
    WF_TRY(find_stops(s, err));
    finish_all(s); /* before what runs on takes their place */
    bool ended = go_on(s);
    s->hope[s->row] = s->hope[s->row] && may_improve(s);
    bool enough = s->job->how.early == WF_EARLY_ONCE && all_finished(s, s->texts + slot(s, s->row, 0));
    s->open[s->row] = s->hope[s->row] && !enough && !ended;
    return WEFT_OK;
}

/* ---- all rows ---- */
/* One token for every row; *more: some are not done. A row that is done stays where it is. */
static weft_status step(search *s, bool *more, weft_error *err) {
    *more = false;
    for (s->row = 0; s->row < s->job->rows; s->row++) {
        for (int64_t i = 0; i < s->beams; i++) {
            s->order[slot(s, s->row, i)] = (int64_t)slot(s, s->row, i);
            s->next[slot(s, s->row, i)] = 0;
        }
        if (s->open[s->row])
            WF_TRY(step_row(s, err));
        *more = *more || s->open[s->row];
    }
    s->n++;
    return WEFT_OK;
}

static weft_status feed_next(search *s, weft_error *err) {
    WF_TRY(wf_state_reorder(wf_session_state(s->session), s->order, err));
    s->each = s->beams;
    return wf_session_feed(s->session, s->next, 1, &s->logits, err);
}

/* A decoder alone reads each prompt once, and all beams go on from there. */
static weft_status read_prompts(search *s, wf_session *one, float *first, weft_error *err) {
    for (int64_t r = 0; r < s->job->rows; r++) {
        const wf_history *h = &s->job->prompts[r];
        const float *logits;
        wf_session_reset(one);
        WF_TRY(wf_session_feed(one, h->ids + h->pads, h->n - h->pads, &logits, err));
        memcpy(first + r * s->vocab, logits, (size_t)s->vocab * sizeof *first);
        for (int64_t i = 0; i < s->beams; i++)
            WF_TRY(wf_state_copy(wf_session_state(s->session), (int64_t)slot(s, r, i), wf_session_state(one), 0, err));
    }
    return WEFT_OK;
}

/* The first ids of all texts, side by side: behind an encoder they are few. */
static weft_status read_starts(search *s, float *first, weft_error *err) {
    int64_t n = s->n;
    int32_t *ids = wf_calloc(&s->model->env->mem, slot(s, s->job->rows, 0) * (size_t)n, sizeof *ids);
    if (!ids)
        return wf_fail_memory(err);
    for (int64_t r = 0; r < s->job->rows; r++)
        for (int64_t i = 0; i < s->beams; i++)
            memcpy(ids + slot(s, r, i) * (size_t)n, s->job->prompts[r].ids, (size_t)n * sizeof *ids);
    weft_status status = wf_session_feed(s->session, ids, n, &s->logits, err);
    for (int64_t r = 0; status == WEFT_OK && r < s->job->rows; r++)
        memcpy(first + r * s->vocab, s->logits + slot(s, r, 0) * (size_t)s->vocab, (size_t)s->vocab * sizeof *first);
    wf_free(&s->model->env->mem, ids);
    return status;
}

static weft_status begin(search *s, float *first, weft_error *err) {
    wf_session *one;
    s->logits = first;
    s->each = 1;
    if (s->model->encoder) {
        WF_TRY(read_starts(s, first, err));
        s->logits = first;
        return WEFT_OK;
    }
    WF_TRY(wf_session_create(s->model, 1, wf_session_capacity(s->session), &one, err));
    weft_status status = read_prompts(s, one, first, err);
    wf_session_free(one);
    return status;
}

static void begin_texts(search *s) {
    for (int64_t r = 0; r < s->job->rows; r++) {
        s->open[r] = s->hope[r] = 1;
        for (int64_t i = 0; i < s->beams; i++) {
            size_t bytes = (size_t)s->n * sizeof(int32_t);
            memcpy(ids_at(s, s->running, r, i), s->job->prompts[r].ids, bytes);
            memcpy(ids_at(s, s->finished, r, i), s->job->prompts[r].ids, bytes);
            s->sums[slot(s, r, i)] = i ? out_of_reach : 0.0f;
            s->texts[slot(s, r, i)] = (text){out_of_reach, s->n, false, false};
        }
    }
}

static weft_status run(search *s, float *first, weft_error *err) {
    bool more = s->n < s->job->most;
    begin_texts(s);
    WF_TRY(begin(s, first, err));
    while (more) {
        WF_TRY(step(s, &more, err));
        if (more)
            WF_TRY(feed_next(s, err));
    }
    return WEFT_OK;
}

static weft_status take_room(search *s, weft_error *err) {
    const wf_mem *mem = &s->model->env->mem;
    size_t all = slot(s, s->job->rows, 0), beams = (size_t)s->beams, width = (size_t)s->width, count;
    WF_CHECK(wf_mul_size(all, width, &count) && wf_mul_size(beams, (size_t)s->vocab, &count), err, WEFT_USAGE,
             "texts of %lld tokens are too long", (long long)s->width);
    s->running = wf_calloc(mem, all * width, sizeof *s->running);
    s->finished = wf_calloc(mem, all * width, sizeof *s->finished);
    s->spare = wf_calloc(mem, beams * width, sizeof *s->spare);
    s->sums = wf_calloc(mem, all, sizeof *s->sums);
    s->texts = wf_calloc(mem, all, sizeof *s->texts);
    s->found = wf_calloc(mem, beams * (size_t)s->keep, sizeof *s->found);
    s->best = wf_calloc(mem, (size_t)s->keep, sizeof *s->best);
    s->hope = wf_calloc(mem, (size_t)s->job->rows, 1);
    s->open = wf_calloc(mem, (size_t)s->job->rows, 1);
    s->scores = wf_calloc(mem, beams * (size_t)s->vocab, sizeof *s->scores);
    s->seen = wf_calloc(mem, beams * (size_t)s->vocab, 1);
    s->next = wf_calloc(mem, all, sizeof *s->next);
    s->order = wf_calloc(mem, all, sizeof *s->order);
    bool there = s->running && s->finished && s->spare && s->sums && s->texts && s->found && s->best && s->hope && s->open;
    return there && s->scores && s->seen && s->next && s->order ? WEFT_OK : wf_fail_memory(err);
}

static void give_room(search *s) {
    void *const list[] = {s->running, s->spare, s->sums,   s->texts, s->found, s->best,
                          s->hope,    s->open,  s->scores, s->seen,  s->next,  s->order};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        wf_free(&s->model->env->mem, list[i]);
}

void wf_beam_free(const wf_env *env, wf_beam_found *found) {
    wf_free(&env->mem, found->texts);
    wf_free(&env->mem, found->ids);
    wf_free(&env->mem, found->first);
    *found = (wf_beam_found){NULL, NULL, NULL};
}

static void tell(search *s, wf_beam_found *out) {
    for (int64_t r = 0; r < s->job->rows; r++)
        for (int64_t i = 0; i < s->job->how.returned; i++) {
            const text *t = &s->texts[slot(s, r, i)];
            const int32_t *ids = ids_at(s, s->finished, r, i);
            bool ended = t->n > s->job->prompts[r].n && is_eos(s, ids[t->n - 1]);
            out->texts[r * s->job->how.returned + i] = (wf_beam_text){ids, t->n, t->score, ended, t->stopped && !ended};
        }
}

static weft_status check(const wf_session *session, const wf_beam_job *job, weft_error *err) {
    WF_TRY(wf_beams_check(&job->how, err));
    WF_CHECK(job->sampling->temperature == 0.0, err, WEFT_UNSUPPORTED,
             "beams whose tokens are drawn (a temperature) are not supported");
    WF_CHECK(job->rows > 0 && job->prompts[0].n > 0 && job->most < INT32_MAX, err, WEFT_USAGE, "no prompt to go on from");
    WF_CHECK(job->most - 1 <= wf_session_capacity(session), err, WEFT_USAGE, "the session has no room for %lld tokens",
             (long long)job->most);
    for (int64_t r = 0; r < job->rows; r++)
        WF_CHECK(job->prompts[r].n == job->prompts[0].n && job->prompts[r].pads < job->prompts[r].n, err, WEFT_USAGE,
                 "prompt %lld has another length", (long long)r);
    return WEFT_OK;
}

weft_status wf_beam_search(wf_session *session, const wf_beam_job *job, wf_beam_found *out, weft_error *err) {
    const wf_model *model = wf_session_state(session)->model;
    WF_TRY(check(session, job, err));
    int64_t n = job->prompts[0].n;
    search s = {.job = job,
                .model = model,
                .session = session,
                .beams = job->how.beams,
                .width = n > job->most ? n : job->most,
                .keep = (job->n_eos > 1 ? (int64_t)job->n_eos + 1 : 2) * job->how.beams,
                .vocab = model->spec->vocab,
                .n = n};
    *out = (wf_beam_found){.texts = wf_calloc(&model->env->mem, (size_t)(job->rows * job->how.returned), sizeof *out->texts),
                           .first = wf_calloc(&model->env->mem, (size_t)(job->rows * s.vocab), sizeof *out->first)};
    weft_status status = out->texts && out->first ? take_room(&s, err) : wf_fail_memory(err);
    if (status == WEFT_OK)
        status = run(&s, out->first, err);
    out->ids = s.finished;
    if (status == WEFT_OK)
        tell(&s, out);
    else
        wf_beam_free(model->env, out);
    give_room(&s);
    return status;
}
