#include "gen/sampler.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"

typedef struct candidate {
    double p; /* logit, then probability */
    int32_t token;
} candidate;

struct wf_sampler {
    const wf_env *env;
    int64_t vocab;
    wf_sampling options;
    candidate *list;
    uint8_t *seen;
};

weft_status wf_sampler_create(const wf_env *env, int64_t vocab, const wf_sampling *o, wf_sampler **out, weft_error *err) {
    WF_CHECK(o->temperature >= 0 && o->temperature <= 1e6, err, WEFT_USAGE, "temperature must be 0 or more, not %g",
             o->temperature);
    WF_CHECK(o->top_k >= 0, err, WEFT_USAGE, "top-k must be 0 or more, not %lld", (long long)o->top_k);
    WF_CHECK(o->top_p > 0 && o->top_p <= 1, err, WEFT_USAGE, "top-p must be in (0, 1], not %g", o->top_p);
    WF_CHECK(o->min_p >= 0 && o->min_p <= 1, err, WEFT_USAGE, "min-p must be in [0, 1], not %g", o->min_p);
    WF_CHECK(o->repetition_penalty > 0, err, WEFT_USAGE, "repetition penalty must be positive, not %g", o->repetition_penalty);
    for (size_t i = 0; i < o->n_banned; i++)
        WF_CHECK(o->banned[i] >= 0 && o->banned[i] < vocab, err, WEFT_USAGE, "token %d is outside the vocabulary of %lld",
                 (int)o->banned[i], (long long)vocab);
    wf_sampler *s = wf_calloc(&env->mem, 1, sizeof *s);
    if (!s)
        return wf_fail_memory(err);
    *s = (wf_sampler){.env = env, .vocab = vocab, .options = *o};
    s->list = wf_calloc(&env->mem, (size_t)vocab, sizeof *s->list);
    s->seen = wf_calloc(&env->mem, (size_t)vocab, 1);
    if (!s->list || !s->seen) {
        wf_sampler_free(s);
        return wf_fail_memory(err);
    }
    *out = s;
    return WEFT_OK;
}

void wf_sampler_free(wf_sampler *s) {
    if (!s)
        return;
    wf_free(&s->env->mem, s->list);
    wf_free(&s->env->mem, s->seen);
    wf_free(&s->env->mem, s);
}

static int by_probability(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->p != y->p)
        return x->p > y->p ? -1 : 1;
    return x->token < y->token ? -1 : 1; /* ties: the lower id, so that the order is fixed */
}

/* Divides positive logits of seen tokens by the penalty and multiplies negative ones. */
static void penalise(wf_sampler *s, const int32_t *history, int64_t n) {
    double penalty = s->options.repetition_penalty;
    if (penalty == 1.0)
        return;
    memset(s->seen, 0, (size_t)s->vocab);
    for (int64_t i = 0; i < n; i++)
        if (history[i] >= 0 && history[i] < s->vocab && !s->seen[history[i]]) {
            candidate *c = &s->list[history[i]];
            s->seen[history[i]] = 1;
            c->p = c->p > 0 ? c->p / penalty : c->p * penalty;
        }
}

/* ---- rules ---- */
static void ban(wf_sampler *s, int32_t id) {
    if (id >= 0 && id < s->vocab)
        s->list[id].p = -INFINITY;
}

static void ban_all(wf_sampler *s, const int32_t *ids, size_t n) {
    for (size_t i = 0; i < n; i++)
        ban(s, ids[i]);
}

static void force(wf_sampler *s, int64_t id) {
    for (int64_t i = 0; i < s->vocab; i++)
        s->list[i].p = i == id ? 0.0 : -INFINITY;
}

/* Whether the history ends with these tokens. */
static bool ends_with(const int32_t *history, int64_t n, const int32_t *run, int64_t length) {
    return length <= n && (length == 0 || memcmp(history + n - length, run, (size_t)length * sizeof *run) == 0);
}

static void follow(wf_sampler *s, const wf_rules *r, const int32_t *history, int64_t n, int64_t written) {
    const int32_t *word = r->words;
    for (int64_t i = 0; r->no_repeat > 0 && i + r->no_repeat <= n; i++)
        if (ends_with(history, n, history + i, r->no_repeat - 1))
            ban(s, history[i + r->no_repeat - 1]);
    for (size_t i = 0; i < r->n_words; word += r->lengths[i++])
        if (ends_with(history, n, word, r->lengths[i] - 1))
            ban(s, word[r->lengths[i] - 1]);
    if (n < r->least || written < r->least_new)
        ban_all(s, r->ends, r->n_ends);
    if (r->second >= 0 && n == 1)
        force(s, r->second);
    if (r->last >= 0 && written + 1 == r->most)
        force(s, r->last);
    if (written == 0)
        ban_all(s, r->not_first, r->n_not_first);
}

static const candidate *best(const wf_sampler *s) {
    const candidate *c = &s->list[0];
    for (int64_t i = 1; i < s->vocab; i++)
        if (s->list[i].p > c->p)
            c = &s->list[i];
    return c;
}

/* Softmax over the first n candidates (the largest is first). */
static void normalise(wf_sampler *s, int64_t n) {
    double sum = 0.0, top = s->list[0].p;
    for (int64_t i = 0; i < n; i++)
        sum += s->list[i].p = exp(s->list[i].p - top);
    for (int64_t i = 0; i < n; i++)
        s->list[i].p /= sum;
}

static int64_t cut(const wf_sampler *s, int64_t n) {
    double mass = 0.0, floor = s->options.min_p * s->list[0].p;
    int64_t kept = 0;
    for (; kept < n; kept++) {
        if (kept > 0 && (s->list[kept].p < floor || (s->options.top_p < 1.0 && mass >= s->options.top_p)))
            break;
        mass += s->list[kept].p;
    }
    return kept;
}

static int32_t draw(const wf_sampler *s, int64_t n, uint64_t position) {
    double total = 0.0, u = wf_rng_uniform_double(wf_rng_make(s->options.seed, 0x5a3bu, 0), position);
    for (int64_t i = 0; i < n; i++)
        total += s->list[i].p;
    u *= total;
    for (int64_t i = 0; i < n; i++) {
        u -= s->list[i].p;
        if (u < 0.0)
            return s->list[i].token;
    }
    return s->list[n - 1].token;
}

weft_status wf_sampler_next(wf_sampler *s, const float *logits, const int32_t *history, int64_t n, uint64_t position,
                            int32_t *token, weft_error *err) {
    for (int64_t i = 0; i < s->vocab; i++) {
        WF_CHECK(!isnan(logits[i]), err, WEFT_FAILURE, "the model's output is not a number at token position %llu",
                 (unsigned long long)position);
        s->list[i] = (candidate){(double)logits[i], (int32_t)i};
    }
    penalise(s, history, n);
    if (s->options.rules)
        follow(s, s->options.rules, history, n, (int64_t)(position & UINT32_MAX));
    ban_all(s, s->options.banned, s->options.n_banned);
    if (s->options.temperature == 0.0) {
        *token = best(s)->token;
        return WEFT_OK;
    }
    for (int64_t i = 0; i < s->vocab; i++)
        s->list[i].p /= s->options.temperature;
    qsort(s->list, (size_t)s->vocab, sizeof *s->list, by_probability);
    if (isinf(s->list[0].p)) { /* nothing may come */
        *token = s->list[0].token;
        return WEFT_OK;
    }
    int64_t kept = s->options.top_k > 0 && s->options.top_k < s->vocab ? s->options.top_k : s->vocab;
    normalise(s, kept);
    *token = draw(s, cut(s, kept), position);
    return WEFT_OK;
}
