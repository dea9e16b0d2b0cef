#include "gen/sampler.h"
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "base/rng.h"

#define AT(field) offsetof(wf_sampling, field)
const wf_sampling_row wf_sampling_rows[] = {{"temperature", AT(temperature), false, true, false, 0, 1e6, NAN},
                                            {"top_h", AT(top_h), false, true, false, 0, 1, 0},
                                            {"top_k", AT(top_k), true, true, false, 0, INT32_MAX, 0},
                                            {"top_p", AT(top_p), false, true, true, 0, 1, 1},
                                            {"min_p", AT(min_p), false, true, false, 0, 1, 0},
                                            {"typical_p", AT(typical_p), false, true, false, 0, 1, 1},
                                            {"epsilon_cutoff", AT(epsilon), false, true, false, 0, 1, 0},
                                            {"eta_cutoff", AT(eta), false, true, false, 0, 1, 0},
                                            {"repetition_penalty", AT(repetition_penalty), false, false, true, 0, 1e6, 1},
                                            {NULL, 0, false, false, false, 0, 0, 0}};
#undef AT

double wf_sampling_get(const wf_sampling *s, const wf_sampling_row *row) {
    const char *at = (const char *)s + row->at;
    double real;
    int64_t whole;
    if (row->whole)
        return memcpy(&whole, at, sizeof whole), (double)whole;
    return memcpy(&real, at, sizeof real), real;
}

void wf_sampling_set(wf_sampling *s, const wf_sampling_row *row, double value) {
    int64_t whole = row->whole ? (int64_t)value : 0;
    memcpy((char *)s + row->at, row->whole ? (const void *)&whole : (const void *)&value, sizeof value);
}

void wf_sampling_tell(const wf_sampling *s, wf_str *out) {
    for (const wf_sampling_row *row = wf_sampling_rows; row->key; row++) {
        double value = wf_sampling_get(s, row);
        if ((row->draws && s->temperature == 0) || value == row->off || (value == 0 && row->off == 1))
            continue;
        wf_str_printf(out, ", %s %g", row->key, value);
    }
}

typedef struct candidate {
    double z, p; /* score; probability, or what else it is sorted by */
    int32_t token;
} candidate;

typedef struct sortable {
    uint64_t key; /* falls as the score grows */
    int32_t token;
} sortable;

struct wf_sampler {
    const wf_env *env;
    int64_t vocab;
    wf_sampling options;
    double *scores;
    candidate *list;  /* the most likely first; NULL: never drawn */
    sortable *sorted; /* [2, vocab]; NULL like it */
    uint8_t *seen;
};

static weft_status check_tokens(const int32_t *ids, size_t n, int64_t vocab, weft_error *err) {
    for (size_t i = 0; i < n; i++)
        WF_CHECK(ids[i] >= 0 && ids[i] < vocab, err, WEFT_USAGE, "token %d is outside the vocabulary of %lld", (int)ids[i],
                 (long long)vocab);
    return WEFT_OK;
}

static weft_status check_rules(const wf_rules *r, int64_t vocab, weft_error *err) {
    size_t n = 0;
    if (!r)
        return WEFT_OK;
    for (size_t i = 0; i < r->n_biased; i++)
        n += (size_t)r->bias_lengths[i];
    WF_TRY(check_tokens(r->biased, n, vocab, err));
    return check_tokens(r->banned, r->n_banned, vocab, err);
}

static weft_status check_share(double x, const char *name, weft_error *err) {
    WF_CHECK(x >= 0 && x <= 1, err, WEFT_USAGE, "%s must be in [0, 1], not %g", name, x);
    return WEFT_OK;
}

static weft_status check_options(const wf_sampling *o, int64_t vocab, weft_error *err) {
    WF_CHECK(o->temperature >= 0 && o->temperature <= 1e6, err, WEFT_USAGE, "temperature must be 0 or more, not %g",
             o->temperature);
    WF_CHECK(o->top_k >= 0, err, WEFT_USAGE, "top-k must be 0 or more, not %lld", (long long)o->top_k);
    WF_CHECK(o->top_p > 0 && o->top_p <= 1, err, WEFT_USAGE, "top-p must be in (0, 1], not %g", o->top_p);
    WF_CHECK(o->repetition_penalty > 0, err, WEFT_USAGE, "repetition penalty must be positive, not %g", o->repetition_penalty);
    WF_TRY(check_share(o->min_p, "min-p", err));
    WF_TRY(check_share(o->top_h, "top-h", err));
    WF_TRY(check_share(o->typical_p, "typical-p", err));
    WF_TRY(check_share(o->epsilon, "epsilon", err));
    WF_TRY(check_share(o->eta, "eta", err));
    return check_rules(o->rules, vocab, err);
}

weft_status wf_sampler_create(const wf_env *env, int64_t vocab, const wf_sampling *o, wf_sampler **out, weft_error *err) {
    static const wf_rules none;
    WF_TRY(check_options(o, vocab, err));
    wf_sampler *s = wf_calloc(&env->mem, 1, sizeof *s);
    if (!s)
        return wf_fail_memory(err);
    *s = (wf_sampler){.env = env, .vocab = vocab, .options = *o};
    s->options.rules = o->rules ? o->rules : &none;
    s->scores = wf_calloc(&env->mem, (size_t)vocab, sizeof *s->scores);
    s->seen = wf_calloc(&env->mem, (size_t)vocab, 1);
    bool draws = o->temperature > 0;
    s->list = draws ? wf_calloc(&env->mem, (size_t)vocab, sizeof *s->list) : NULL;
    s->sorted = draws ? wf_calloc(&env->mem, 2 * (size_t)vocab, sizeof *s->sorted) : NULL;
    if (!s->scores || !s->seen || (draws && (!s->list || !s->sorted))) {
        wf_sampler_free(s);
        return wf_fail_memory(err);
    }
    *out = s;
    return WEFT_OK;
}

void wf_sampler_free(wf_sampler *s) {
    if (!s)
        return;
    wf_free(&s->env->mem, s->scores);
    wf_free(&s->env->mem, s->list);
    wf_free(&s->env->mem, s->sorted);
    wf_free(&s->env->mem, s->seen);
    wf_free(&s->env->mem, s);
}

static int by_score(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->z != y->z)
        return x->z > y->z ? -1 : 1;
    return x->token < y->token ? -1 : 1; /* ties: the lower id, so that the order is fixed */
}

/* ---- what is left out: each looks at the first n of the list, the largest first, and says how many stay ---- */
/* Softmax over the first n; gives the entropy. */
static double normalise(wf_sampler *s, int64_t n) {
    double sum = 0.0, top = s->list[0].z, entropy = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += s->list[i].p = exp(s->list[i].z - top);
    for (int64_t i = 0; i < n; i++) {
        s->list[i].p /= sum;
        entropy -= s->list[i].p * (s->list[i].z - top - log(sum));
    }
    return entropy;
}

static int64_t above(const wf_sampler *s, int64_t n, double least) {
    int64_t kept = 1;
    while (kept < n && s->list[kept].p >= least)
        kept++;
    return kept;
}

static int64_t top_h(wf_sampler *s, int64_t n) {
    enum { MOST = 100 };
    int64_t kept = 1;
    n = n < MOST ? n : MOST;
    double most = s->options.top_h * normalise(s, n), sum = -s->list[0].p * log(s->list[0].p);
    while (kept < n && (sum -= s->list[kept].p * log(s->list[kept].p)) <= most)
        kept++;
    return kept;
}

static int64_t top_k(wf_sampler *s, int64_t n) {
    int64_t kept = s->options.top_k < n ? s->options.top_k : n;
    while (kept < n && s->list[kept].z == s->list[kept - 1].z)
        kept++;
    return kept;
}

static int64_t top_p(wf_sampler *s, int64_t n) {
    double mass = 0.0;
    (void)normalise(s, n);
    while (n > 1 && (mass += s->list[n - 1].p) <= 1.0 - s->options.top_p)
        n--;
    return n;
}

static int64_t min_p(wf_sampler *s, int64_t n) {
    (void)normalise(s, n);
    return above(s, n, s->options.min_p * s->list[0].p);
}

static int by_distance(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->p != y->p)
        return x->p < y->p ? -1 : 1;
    return x->token < y->token ? -1 : 1;
}

static int64_t typical_p(wf_sampler *s, int64_t n) {
    double entropy = normalise(s, n), mass = 0.0, log_sum = s->list[0].z - log(s->list[0].p);
    int64_t kept = 0, last = 0;
    for (int64_t i = 0; i < n; i++)
        s->list[i].p = fabs(log_sum - s->list[i].z - entropy);
    qsort(s->list, (size_t)n, sizeof *s->list, by_distance);
    while (last < n - 1 && (mass += exp(s->list[last].z - log_sum)) < s->options.typical_p)
        last++;
    for (kept = last + 1; kept < n && s->list[kept].p <= s->list[last].p;)
        kept++;
    qsort(s->list, (size_t)kept, sizeof *s->list, by_score);
    return kept;
}

static int64_t epsilon(wf_sampler *s, int64_t n) {
    (void)normalise(s, n);
    return above(s, n, s->options.epsilon);
}

static int64_t eta(wf_sampler *s, int64_t n) {
    double e = s->options.eta, by_entropy = sqrt(e) * exp(-normalise(s, n));
    return above(s, n, by_entropy < e ? by_entropy : e);
}

/* The bits of a number as one that grows as the number falls; both zeros are one. */
static uint64_t falling(double z) {
    uint64_t bits;
    z += 0.0;
    memcpy(&bits, &z, sizeof bits);
    return bits >> 63 ? bits : ~bits ^ (uint64_t)1 << 63;
}

/* By score, then by token, as by_score, of n > 0: digit by digit, the lowest first, which leaves equal ones as they come. */
static void sort(wf_sampler *s, int64_t n) {
    enum { DIGIT = 11, VALUES = 1 << DIGIT };
    sortable *from = s->sorted, *to = s->sorted + s->vocab;
    for (int64_t i = 0; i < n; i++)
        from[i] = (sortable){falling(s->list[i].z), s->list[i].token};
    for (int shift = 0; shift < 64; shift += DIGIT) {
        int32_t at[VALUES] = {0};
        for (int64_t i = 0; i < n; i++)
            at[from[i].key >> shift & (VALUES - 1)]++;
        if (at[from[0].key >> shift & (VALUES - 1)] == n)
            continue; /* all the same */
        for (int32_t v = 0, sum = 0, count; v < VALUES; v++, sum += count) {
            count = at[v];
            at[v] = sum;
        }
        for (int64_t i = 0; i < n; i++)
            to[at[from[i].key >> shift & (VALUES - 1)]++] = from[i];
        sortable *other = from;
        from = to;
        to = other;
    }
    for (int64_t i = 0; i < n; i++)
        s->list[i] = (candidate){s->scores[from[i].token] / s->options.temperature, 0.0, from[i].token};
}

/* The list by score without what is left out; how long it is, 0 when nothing may come. */
static int64_t choose_from(wf_sampler *s) {
    enum { FEW = 512 };
    const wf_sampling *o = &s->options;
    const struct {
        bool on;
        int64_t (*run)(wf_sampler *s, int64_t n);
    } rows[] = {{o->top_h > 0, top_h},
                {o->top_k > 0, top_k},
                {o->top_p < 1, top_p},
                {o->min_p > 0, min_p},
                {o->typical_p > 0 && o->typical_p < 1, typical_p},
                {o->epsilon > 0 && o->epsilon < 1, epsilon},
                {o->eta > 0 && o->eta < 1, eta}};
    int64_t n = 0;
    for (int64_t i = 0; i < s->vocab; i++)
        if (s->scores[i] > -INFINITY)
            s->list[n++] = (candidate){s->scores[i] / o->temperature, 0.0, (int32_t)i};
    if (n < FEW)
        qsort(s->list, (size_t)n, sizeof *s->list, by_score);
    else
        sort(s, n);
    for (size_t i = 0; n > 0 && i < sizeof rows / sizeof *rows; i++)
        n = rows[i].on ? rows[i].run(s, n) : n;
    return n;
}

static int32_t draw(wf_sampler *s, int64_t n, uint64_t position) {
    double total = 0.0, u = wf_rng_uniform_double(wf_rng_make(s->options.seed, 0x5a3bu, 0), position);
    (void)normalise(s, n);
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

static weft_status follow(wf_sampler *s, const float *logits, const wf_history *h, uint64_t position, weft_error *err) {
    for (int64_t i = 0; i < s->vocab; i++) {
        WF_CHECK(!isnan(logits[i]), err, WEFT_FAILURE, "the model's output is not a number at token position %llu",
                 (unsigned long long)position);
        s->scores[i] = (double)logits[i];
    }
    wf_rules_follow(s->options.rules, s->options.repetition_penalty, h, s->scores, s->vocab, s->seen);
    return WEFT_OK;
}

weft_status wf_sampler_next(wf_sampler *s, const float *logits, const wf_history *h, uint64_t position, int32_t *token,
                            weft_error *err) {
    int64_t best = 0;
    WF_TRY(follow(s, logits, h, position, err));
    int64_t n = s->options.temperature > 0 ? choose_from(s) : 0;
    for (int64_t i = 1; n == 0 && i < s->vocab; i++)
        best = s->scores[i] > s->scores[best] ? i : best;
    *token = n > 0 ? draw(s, n, position) : (int32_t)best;
    return WEFT_OK;
}

weft_status wf_sampler_scores(wf_sampler *s, const float *logits, const wf_history *h, const double **scores, weft_error *err) {
    WF_TRY(follow(s, logits, h, (uint64_t)h->n, err));
    *scores = s->scores;
    if (s->options.temperature == 0.0)
        return WEFT_OK;
    int64_t n = choose_from(s);
    for (int64_t i = 0; i < s->vocab; i++)
        s->scores[i] = -INFINITY;
    for (int64_t i = 0; i < n; i++)
        s->scores[s->list[i].token] = s->list[i].z;
    return WEFT_OK;
}
