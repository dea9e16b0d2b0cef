/* Beams against plain loops that read every text from its first token and sort all candidates; batches, threads, sources that
 * are shared, and what is refused. */
#include "support/model.h"
#include <math.h>
#include <stdlib.h>
#include "gen/beam.h"

enum { VOCAB = 23, MOST = 14, BEAMS = 3, ROWS = 2, PROMPT = 4, SOURCE = 6 };

static const char *const decoder =
    "{\"dim\": 16, \"vocab\": 23, \"layers\": 2, \"blocks\": [{}, {\"mixer\": \"gru\"}], \"block\": {\"mixer\": {\"mixer\": "
    "\"attention\", \"heads\": 2, \"causal\": true, \"window\": [2, null], \"rope\": {}}, \"channel\": \"mlp\"}}";
/* The second kind of decoder looks at places in its source, which cannot be shared. */
#define BOTH(cross)                                                                                                            \
    "{\"dim\": 16, \"vocab\": 23, \"layers\": 2, \"stem\": {\"positions\": {\"kind\": \"learned\", \"length\": 20}},"          \
    " \"encoder\": {\"dim\": 12, \"vocab\": 19, \"layers\": 1, \"block\": {\"mixer\": {\"mixer\": \"attention\", \"heads\": "  \
    "3}, \"channel\": \"mlp\"}, \"bridge\": {\"dim\": 20}}, \"shift\": {\"token\": 2, \"padding\": 1}, \"block\": {\"mixer\":" \
    " {\"mixer\": \"attention\", \"heads\": 2, \"causal\": true}, \"cross\": {\"mixer\": \"attention\", \"heads\": 2, "        \
    "\"memory_dim\": 20" cross "}, \"channel\": \"mlp\"}}"
static const char *const models[] = {NULL, BOTH(""), BOTH(", \"alibi\": true")};

static const int32_t prompts[ROWS][PROMPT] = {{2, 7, 1, 8}, {0, 0, 5, 9}}; /* the second begins with padding */
static const int32_t sources[ROWS * SOURCE] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 0, 0};
static const int64_t lengths[ROWS] = {6, 4}, pads[ROWS] = {0, 2};
static const int32_t eos[] = {3, 11, 17, 6};

/* ---- plain loops ---- */
typedef struct plain_text {
    int32_t ids[MOST];
    int64_t n;
    float score;
    bool finished;
} plain_text;

typedef struct plain {
    const wf_model *model;
    const wf_beam_job *job;
    int64_t row;
    plain_text running[BEAMS], finished[BEAMS];
} plain;

static int by_score(const void *a, const void *b) {
    const plain_text *x = a, *y = b;
    return x->score != y->score ? (x->score > y->score ? -1 : 1) : 0;
}

/* Stable: qsort is not. */
static void sort_texts(plain_text *list, size_t n) {
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0 && by_score(&list[k], &list[k - 1]) < 0; k--) {
            plain_text t = list[k];
            list[k] = list[k - 1];
            list[k - 1] = t;
        }
}

static void log_softmax(const plain *p, const plain_text *t, double *out) {
    wf_session *s;
    const float *logits;
    double sum = 0.0;
    int64_t from = p->model->encoder ? 0 : pads[p->row];
    assert_int_equal(wf_session_create(p->model, 1, MOST, &s, NULL), WEFT_OK);
    if (p->model->encoder)
        assert_int_equal(wf_session_source(s, sources + p->row * SOURCE, SOURCE, lengths + p->row, NULL), WEFT_OK);
    assert_int_equal(wf_session_feed(s, t->ids + from, t->n - from, &logits, NULL), WEFT_OK);
    for (int i = 0; i < VOCAB; i++)
        sum += exp((double)logits[i]);
    for (int i = 0; i < VOCAB; i++)
        out[i] = (double)logits[i] - log(sum);
    wf_session_free(s);
}

static bool ends(const plain *p, const plain_text *t) {
    bool end = t->n >= p->job->most;
    for (size_t i = 0; i < p->job->n_eos; i++)
        end = end || t->ids[t->n - 1] == p->job->eos[i];
    return end;
}

static bool all_finished(const plain *p) {
    return p->finished[0].finished && p->finished[1].finished && p->finished[2].finished;
}

/* False when the search of this row is over. */
static bool plain_step(plain *p, bool *hope) {
    static plain_text all[BEAMS * VOCAB], merged[BEAMS + BEAMS * VOCAB];
    const wf_beams *how = &p->job->how;
    size_t keep = (p->job->n_eos > 1 ? p->job->n_eos + 1 : 2) * BEAMS, n = 0;
    bool full = how->early == WF_EARLY_ONCE && all_finished(p), over = true;
    for (int b = 0; b < BEAMS; b++) {
        double z[VOCAB];
        uint8_t seen[VOCAB];
        wf_history h = {.ids = p->running[b].ids, .n = p->running[b].n, .pads = p->model->encoder ? 0 : pads[p->row]};
        log_softmax(p, &p->running[b], z);
        wf_rules_follow(p->job->sampling->rules, p->job->sampling->repetition_penalty, &h, z, VOCAB, seen);
        for (int i = 0; i < VOCAB; i++) {
            all[n] = p->running[b];
            all[n].score += (float)z[i];
            all[n].ids[all[n].n++] = i;
            n++;
        }
    }
    sort_texts(all, n);
    memcpy(merged, p->finished, sizeof p->finished);
    for (size_t i = 0; i < keep; i++) {
        bool counts = i < BEAMS && ends(p, &all[i]);
        merged[BEAMS + i] = all[i];
        merged[BEAMS + i].finished = counts;
        merged[BEAMS + i].score = counts && !full && *hope
                                      ? all[i].score / (float)pow((double)(all[i].n - p->job->given), how->length_penalty)
                                      : -1e9f;
        all[i].score += ends(p, &all[i]) ? -1e9f : 0.0f;
        over = over && ends(p, &all[i]);
    }
    sort_texts(merged, BEAMS + keep);
    memcpy(p->finished, merged, sizeof p->finished);
    sort_texts(all, keep);
    memcpy(p->running, all, sizeof p->running);
    double length =
        (double)((how->early == WF_EARLY_NEVER && how->length_penalty > 0 ? p->job->most : p->running[0].n) - p->job->given);
    *hope = *hope && p->running[0].score / (float)pow(length, how->length_penalty) >
                         (all_finished(p) ? p->finished[BEAMS - 1].score : -1e9f);
    return *hope && !over && !(how->early == WF_EARLY_ONCE && all_finished(p));
}

static void plain_search(plain *p) {
    bool hope = true;
    for (int b = 0; b < BEAMS; b++) {
        p->running[b] = (plain_text){.n = p->job->prompts[p->row].n, .score = b ? -1e9f : 0.0f};
        memcpy(p->running[b].ids, p->job->prompts[p->row].ids, (size_t)p->running[b].n * sizeof(int32_t));
        p->finished[b] = p->running[b];
        p->finished[b].score = -1e9f;
    }
    while (plain_step(p, &hope))
        ;
}

/* ---- the search itself ---- */
static void search(const wf_model *m, const wf_beam_job *job, wf_beam_found *found) {
    wf_session *s;
    weft_error err = {0};
    assert_int_equal(wf_session_create_shared(m, job->rows * BEAMS, BEAMS, MOST, &s, &err), WEFT_OK);
    if (m->encoder)
        assert_int_equal(
            wf_session_source(s, job->prompts[0].source, SOURCE, lengths + (job->prompts[0].source - sources) / SOURCE, &err),
            WEFT_OK);
    if (wf_beam_search(s, job, found, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    wf_session_free(s);
}

static void check_row(const wf_model *m, const wf_beam_job *job, int64_t row, const wf_beam_text *got) {
    plain p = {.model = m, .job = job, .row = row};
    plain_search(&p);
    for (int i = 0; i < BEAMS; i++) {
        const plain_text *want = &p.finished[i];
        assert_int_equal(got[i].n, want->n);
        assert_memory_equal(got[i].ids, want->ids, (size_t)want->n * sizeof(int32_t));
        assert_true(fabsf(got[i].score - want->score) <= 1e-5f * (1.0f + fabsf(want->score)));
    }
}

/* A row of a batch, alone. */
static void check_alone(const wf_model *m, const wf_beam_job *job, int64_t row, const wf_beam_text *got) {
    wf_beam_found found;
    wf_beam_job one = *job;
    one.rows = 1;
    one.prompts += row;
    search(m, &one, &found);
    for (int i = 0; i < BEAMS; i++) {
        assert_int_equal(found.texts[i].n, got[i].n);
        assert_memory_equal(found.texts[i].ids, got[i].ids, (size_t)got[i].n * sizeof(int32_t));
        assert_true(fabsf(found.texts[i].score - got[i].score) <= 1e-5f * (1.0f + fabsf(got[i].score)));
    }
    wf_beam_free(m->env, &found);
}

static void check(const wf_model *m, const wf_beams *how, size_t n_eos, const wf_rules *rules) {
    const wf_sampling sampling = {.top_p = 1, .repetition_penalty = rules->no_repeat ? 1.3 : 1.0, .rules = rules};
    wf_history given[ROWS];
    wf_beam_found found;
    for (int r = 0; r < ROWS; r++)
        given[r] = (wf_history){.ids = prompts[r],
                                .n = PROMPT,
                                .pads = m->encoder ? 0 : pads[r],
                                .source = sources + r * SOURCE,
                                .n_source = lengths[r]};
    wf_beam_job job = {.rows = ROWS,
                       .prompts = given,
                       .how = *how,
                       .sampling = &sampling,
                       .eos = eos,
                       .n_eos = n_eos,
                       .given = PROMPT,
                       .most = MOST};
    search(m, &job, &found);
    for (int r = 0; r < ROWS; r++) {
        check_row(m, &job, r, found.texts + r * BEAMS);
        check_alone(m, &job, r, found.texts + r * BEAMS);
    }
    wf_beam_free(m->env, &found);
}

static wf_model *far_apart(test_env *e, const char *spec) {
    wf_model *m = test_model(e, spec, 3);
    for (int64_t i = 0; i < m->token->count; i++)
        m->token->value[i] *= 8.0f;
    return m;
}

static void test_plain_loops(void **state) {
    static const wf_rules none, rules = {.no_repeat = 2, .ends = eos, .n_ends = 4, .least_new = 3, .prompt = PROMPT};
    static const double penalties[] = {1.0, 2.5, -0.5, 0.0};
    test_env e;
    test_env_open(&e, 3);
    for (size_t i = 0; i < COUNT_OF(models); i++) {
        wf_model *m = far_apart(&e, models[i] ? models[i] : decoder);
        for (size_t p = 0; p < COUNT_OF(penalties); p++)
            for (int early = 0; early < 3; early++) {
                wf_beams how = {BEAMS, BEAMS, penalties[p], (wf_early)early, false};
                check(m, &how, p % 2 ? 4 : 1, early ? &none : &rules);
            }
        check(m, &(wf_beams){BEAMS, BEAMS, 1.0, WF_EARLY_NO, false}, 0, &none);
        wf_model_free(m);
    }
    test_env_close(&e);
}

static void test_threads(void **state) {
    static const wf_rules none;
    static const wf_sampling cold = {.top_p = 1, .repetition_penalty = 1, .rules = &none};
    const wf_history one = {.ids = prompts[0], .n = PROMPT, .source = sources, .n_source = SOURCE};
    const wf_beam_job job = {.rows = 1,
                             .prompts = &one,
                             .how = {BEAMS, BEAMS, 1.0, WF_EARLY_NEVER, true},
                             .sampling = &cold,
                             .given = PROMPT,
                             .most = MOST};
    for (size_t i = 0; i < COUNT_OF(models); i++) {
        test_env e[2];
        wf_model *m[2];
        wf_beam_found found[2];
        for (int k = 0; k < 2; k++) {
            test_env_open(&e[k], k ? 3 : 1);
            m[k] = far_apart(&e[k], models[i] ? models[i] : decoder);
            search(m[k], &job, &found[k]);
        }
        for (int b = 0; b < BEAMS; b++) {
            const wf_beam_text *x = &found[0].texts[b], *y = &found[1].texts[b];
            assert_int_equal(x->n, MOST);
            assert_memory_equal(x->ids, y->ids, MOST * sizeof(int32_t));
            assert_memory_equal(&x->score, &y->score, sizeof x->score);
        }
        for (int k = 0; k < 2; k++) {
            wf_beam_free(&e[k].env, &found[k]);
            wf_model_free(m[k]);
            test_env_close(&e[k]);
        }
    }
}

static void test_refused(void **state) {
    const wf_sampling cold = {.top_p = 1, .repetition_penalty = 1},
                      warm = {.temperature = 1, .top_p = 1, .repetition_penalty = 1};
    const wf_history one = {.ids = prompts[0], .n = PROMPT};
    wf_beam_job good = {.rows = 1,
                        .prompts = &one,
                        .how = {2, 2, 1.0, WF_EARLY_NO, false},
                        .sampling = &cold,
                        .given = PROMPT,
                        .most = MOST},
                bad;
    wf_beam_found found;
    wf_session *s;
    test_env e;
    test_env_open(&e, 1);
    wf_model *m = test_model(&e, decoder, 3);
    assert_int_equal(wf_session_create_shared(m, 2, 2, MOST - 1, &s, NULL), WEFT_OK);
    bad = good, bad.sampling = &warm;
    assert_int_equal(wf_beam_search(s, &bad, &found, NULL), WEFT_UNSUPPORTED);
    bad = good, bad.how.returned = 3;
    assert_int_equal(wf_beam_search(s, &bad, &found, NULL), WEFT_USAGE);
    bad = good, bad.how.length_penalty = NAN;
    assert_int_equal(wf_beam_search(s, &bad, &found, NULL), WEFT_USAGE);
    bad = good, bad.most = MOST + 1;
    assert_int_equal(wf_beam_search(s, &bad, &found, NULL), WEFT_USAGE);
    m->token->value[7] = NAN;
    assert_int_equal(wf_beam_search(s, &good, &found, NULL), WEFT_FAILURE);
    wf_session_free(s);
    wf_model_free(m);
    test_env_close(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plain_loops), cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
