#include "gen/rules.h"
#include <math.h>
#include <string.h>

typedef struct following {
    const wf_rules *r;
    const wf_history *h;
    double *scores;
    int64_t vocab;
    uint8_t *seen;
} following;

static void ban(const following *f, int32_t id) {
    if (id >= 0 && id < f->vocab)
        f->scores[id] = -INFINITY;
}

static void ban_all(const following *f, const int32_t *ids, size_t n) {
    for (size_t i = 0; i < n; i++)
        ban(f, ids[i]);
}

/* Only these may come. */
static void force(const following *f, const int32_t *ids, size_t n) {
    for (int64_t i = 0; i < f->vocab; i++)
        f->scores[i] = -INFINITY;
    for (size_t i = 0; i < n; i++)
        if (ids[i] >= 0 && ids[i] < f->vocab)
            f->scores[ids[i]] = 0.0;
}

/* Positive scores of these tokens are divided by the penalty, negative ones multiplied, each token once. */
static void penalise(const following *f, double penalty, const int32_t *ids, int64_t n) {
    if (penalty == 1.0)
        return;
    memset(f->seen, 0, (size_t)f->vocab);
    for (int64_t i = 0; i < n; i++)
        if (ids[i] >= 0 && ids[i] < f->vocab && !f->seen[ids[i]]) {
            double *z = &f->scores[ids[i]];
            f->seen[ids[i]] = 1;
            *z = *z < 0 ? *z * penalty : *z / penalty;
        }
}

/* Whether the text ends with these tokens. */
static bool ends_with(const following *f, const int32_t *run, int64_t n) {
    return n <= f->h->n && (n <= 0 || memcmp(f->h->ids + f->h->n - n, run, (size_t)n * sizeof *run) == 0);
}

static void add_bias(const following *f) {
    const int32_t *run = f->r->biased;
    for (size_t i = 0; i < f->r->n_biased; run += f->r->bias_lengths[i++])
        if (ends_with(f, run, f->r->bias_lengths[i] - 1))
            f->scores[run[f->r->bias_lengths[i] - 1]] += f->r->bias[i];
}

/* Bans what would complete a run of `size` tokens of `ids`. */
static void ban_runs(const following *f, int64_t size, const int32_t *ids, int64_t n) {
    for (int64_t i = 0; size > 0 && i + size <= n; i++)
        if (ends_with(f, ids + i, size - 1))
            ban(f, ids[i + size - 1]);
}

static void ban_words(const following *f) {
    const int32_t *word = f->r->words;
    for (size_t i = 0; i < f->r->n_words; word += f->r->lengths[i++])
        if (ends_with(f, word, f->r->lengths[i] - 1))
            ban(f, word[f->r->lengths[i] - 1]);
}

static void decay(const following *f) {
    int64_t k = f->h->n - f->r->prompt - f->r->decay_start;
    double factor = f->r->decay > 0 && k > 0 ? pow(f->r->decay, (double)k) - 1.0 : 0.0;
    for (size_t i = 0; i < f->r->n_ends && factor != 0.0; i++) {
        double *z = f->r->ends[i] >= 0 && f->r->ends[i] < f->vocab ? &f->scores[f->r->ends[i]] : NULL;
        if (z && isfinite(*z))
            *z += fabs(*z) * factor;
    }
}

void wf_rules_follow(const wf_rules *r, double penalty, const wf_history *h, double *scores, int64_t vocab, uint8_t *seen) {
    const following f = {r, h, scores, vocab, seen};
    add_bias(&f);
    penalise(&f, r->source_penalty > 0 ? 1.0 / r->source_penalty : 1.0, h->source, h->n_source);
    if (h->n > h->pads)
        penalise(&f, penalty, h->ids + h->pads, h->n - h->pads);
    ban_runs(&f, r->no_repeat, h->ids, h->n);
    ban_runs(&f, r->no_repeat_source, h->source, h->n_source);
    ban_words(&f);
    if (h->n < r->least || h->n - r->prompt < r->least_new)
        ban_all(&f, r->ends, r->n_ends);
    if (h->n == 1 && r->n_second)
        force(&f, r->second, r->n_second);
    if (h->n + 1 == r->most && r->n_last)
        force(&f, r->last, r->n_last);
    decay(&f);
    ban_all(&f, r->banned, r->n_banned);
    if (h->n == r->begin)
        ban_all(&f, r->not_first, r->n_not_first);
}
