/* sessions.h - states as values, of any model that decodes: saved and loaded, forked, reordered and cut they go on with the
 * same bits (see session_moved), and sequences of unequal lengths in a batch give what each gives alone. Two sequences of
 * tokens drawn from the model's vocabulary; `start` is how many of them are there before the states are used. */
#ifndef WF_TESTS_SESSIONS_H
#define WF_TESTS_SESSIONS_H
#include "support/model.h"
#include <math.h>
#include "gen/session.h"

enum { SESSION_SOURCE = 6, SESSION_MORE = 3, SESSION_VOCAB = 32 };

typedef struct session_test {
    const wf_model *model;
    const char *what; /* for messages */
    int64_t start, capacity;
} session_test;

static void session_ok(const session_test *t, weft_status status, const weft_error *err) {
    if (status != WEFT_OK)
        fail_msg("%s: %s", t->what, err->message);
}

/* The token of row i of sequence q. */
static int32_t session_token(const session_test *t, int64_t q, int64_t i) {
    return (int32_t)((7 * i + 5 * q + i * i * (3 + q)) % t->model->spec->vocab);
}

/* Sequences q, q + 1, ..; a model with an encoder has read a source each, of unequal lengths. */
static wf_session *session_open(const session_test *t, int64_t q, int64_t batch, int64_t capacity) {
    int32_t source[2 * SESSION_SOURCE];
    int64_t lengths[2];
    wf_session *s;
    weft_error err = {0};
    session_ok(t, wf_session_create(t->model, batch, capacity, &s, &err), &err);
    for (int64_t b = 0; b < batch; b++) {
        lengths[b] = SESSION_SOURCE - 2 * (q + b);
        for (int64_t i = 0; i < SESSION_SOURCE; i++)
            source[b * SESSION_SOURCE + i] = session_token(t, q + b, 3 * i + 1);
    }
    if (t->model->encoder)
        session_ok(t, wf_session_source(s, source, SESSION_SOURCE, lengths, &err), &err);
    return s;
}

/* Feeds n tokens: sequence b of the session gets those of sequence which[b] from `from[b]` on. The last logits [batch, vocab].
 */
static void session_feed(const session_test *t, wf_session *s, const int64_t *which, const int64_t *from, int64_t n,
                         float *out) {
    int64_t batch = wf_session_state(s)->batch;
    int32_t *ids = malloc((size_t)(batch * n) * sizeof *ids);
    const float *logits;
    weft_error err = {0};
    assert_non_null(ids);
    for (int64_t b = 0; b < batch; b++)
        for (int64_t i = 0; i < n; i++)
            ids[b * n + i] = session_token(t, which[b], from[b] + i);
    session_ok(t, wf_session_feed(s, ids, n, &logits, &err), &err);
    if (out)
        memcpy(out, logits, (size_t)(batch * t->model->spec->vocab) * sizeof *out);
    free(ids);
}

static const int64_t session_both[2] = {0, 1}, session_zero[2] = {0, 0};

static void session_begin(const session_test *t, wf_session *s) {
    session_feed(t, s, session_both, session_zero, t->start, NULL);
}

/* Two more pieces, from where both stand: a chunk and a step. */
static void session_go_on(const session_test *t, wf_session *s, const int64_t *which, const int64_t *from, float *out) {
    int64_t next[2];
    for (int64_t b = 0; b < wf_session_state(s)->batch; b++)
        next[b] = from[b] + SESSION_MORE;
    session_feed(t, s, which, from, SESSION_MORE, NULL);
    session_feed(t, s, which, next, 1, out);
}

static void session_same(const session_test *t, const char *what, const float *a, const float *b, int64_t n) {
    if (memcmp(a, b, (size_t)(n * t->model->spec->vocab) * sizeof *a) != 0)
        fail_msg("%s: %s does not go on as it was", t->what, what);
}

static void session_near(const session_test *t, const char *what, const float *a, const float *b, int64_t n) {
    for (int64_t i = 0; i < n * t->model->spec->vocab; i++)
        if (!(fabsf(a[i] - b[i]) <= 3e-5f * (1.0f + fabsf(b[i]))))
            fail_msg("%s: %s: logit %lld is %g, not %g", t->what, what, (long long)i, (double)a[i], (double)b[i]);
}

/* What goes on at another place of the batch: the same bits, but nearly the same where a channel mixer takes rows in pieces, of
 * which the last, being short, may go another way. */
static void session_moved(const session_test *t, const char *what, const float *a, const float *b) {
    const wf_layer *l = t->model->spec->blocks[0].channel;
    for (const wf_key *k = l ? l->row->keys : NULL; k && k->name; k++)
        if (strcmp(k->name, "chunk") == 0 && wf_given(l, "chunk")) {
            session_near(t, what, a, b, 1);
            return;
        }
    session_same(t, what, a, b, 1);
}

/* Bytes of a state whose sequences are as long as `start` and `start` less nothing: into a fresh session, and one with more
 * room. Bytes that are cut, or of another batch, are refused and change nothing. */
static void session_check_saved(const session_test *t, wf_session *s, const int64_t *from, const float *want) {
    size_t n = wf_state_saved_size(wf_session_state(s));
    char *bytes = malloc(n);
    float got[2 * SESSION_VOCAB];
    weft_error err = {0};
    assert_non_null(bytes);
    wf_session_save(s, bytes);
    for (int more = 0; more < 2; more++) {
        wf_session *fresh = more ? session_open(t, 0, 2, t->capacity + 1) : NULL;
        if (!more)
            session_ok(t, wf_session_create(t->model, 2, t->capacity, &fresh, &err), &err);
        assert_int_equal(wf_session_load(fresh, bytes, n - 1, &err), WEFT_BAD_INPUT);
        assert_int_equal(wf_session_load(fresh, bytes, n < 20 ? n : 20, &err), WEFT_BAD_INPUT);
        session_ok(t, wf_session_load(fresh, bytes, n, &err), &err);
        session_go_on(t, fresh, session_both, from, got);
        if (more)
            session_near(t, "a saved state with more room", got, want, 2);
        else
            session_same(t, "a saved state", got, want, 2);
        wf_session_free(fresh);
    }
    wf_session *one = session_open(t, 0, 1, t->capacity);
    assert_int_equal(wf_session_load(one, bytes, n, &err), WEFT_BAD_INPUT);
    wf_session_free(one);
    free(bytes);
}

/* Reordered: swapped, and the first twice (a fork). */
static void session_check_order(const session_test *t, const float *want) {
    static const int64_t orders[2][2] = {{1, 0}, {0, 0}};
    int64_t vocab = t->model->spec->vocab;
    const int64_t from[2] = {t->start, t->start};
    float got[2 * SESSION_VOCAB];
    weft_error err = {0};
    for (int o = 0; o < 2; o++) {
        wf_session *s = session_open(t, 0, 2, t->capacity);
        session_begin(t, s);
        session_ok(t, wf_state_reorder(wf_session_state(s), orders[o], &err), &err);
        session_go_on(t, s, orders[o], from, got);
        for (int b = 0; b < 2; b++)
            session_moved(t, "a reordered state", got + b * vocab, want + orders[o][b] * vocab);
        wf_session_free(s);
    }
}

/* Forked into another session and within one: the copy goes on as the original, which knows nothing of it. */
static void session_check_fork(const session_test *t, const float *want) {
    const int64_t from[2] = {t->start, t->start};
    float got[2 * SESSION_VOCAB];
    weft_error err = {0};
    wf_session *s = session_open(t, 0, 2, t->capacity), *other = session_open(t, 0, 2, t->capacity);
    session_begin(t, s);
    for (int64_t b = 0; b < 2; b++)
        session_ok(t, wf_state_copy(wf_session_state(other), b, wf_session_state(s), b, &err), &err);
    session_go_on(t, other, (int64_t[]){1, 0}, from, got); /* the copies go another way */
    session_go_on(t, s, session_both, from, got);
    session_same(t, "a forked state", got, want, 2);
    wf_session_reset(other);
    session_begin(t, other);
    session_ok(t, wf_state_copy(wf_session_state(other), 1, wf_session_state(other), 0, &err), &err);
    session_go_on(t, other, session_zero, from, got);
    session_moved(t, "a fork in its own batch", got, want);
    session_moved(t, "a fork in its own batch", got + t->model->spec->vocab, want);
    wf_session_free(s);
    wf_session_free(other);
}

/* Whether all that a sequence of n tokens has is rows that are there. */
static bool session_cuts(const wf_session *s, int64_t n) {
    const wf_state *state = wf_session_state((wf_session *)(uintptr_t)s);
    const wf_spec *spec = state->model->spec;
    for (int64_t i = 0; i < spec->layers * 2; i++) {
        const wf_layer *l = i % 2 ? spec->blocks[i / 2].channel : spec->blocks[i / 2].mixer;
        for (int k = 0; l && k < l->n_states; k++)
            if (l->states[k].present && (l->states[k].row->kind == WF_STATE_FIXED ||
                                         (l->states[k].limit > 0 && n > l->states[k].limit + state->chunk - 1)))
                return false;
    }
    return true;
}

/* Cut back to where they stood, or to nothing; or a line that says why not, and nothing has changed. */
static void session_check_cut(const session_test *t, const float *want) {
    const int64_t from[2] = {t->start, t->start}, after = t->start + SESSION_MORE + 1;
    float got[2 * SESSION_VOCAB], first[2 * SESSION_VOCAB];
    weft_error err = {0};
    wf_session *s = session_open(t, 0, 2, t->capacity);
    session_begin(t, s);
    session_go_on(t, s, (int64_t[]){1, 0}, from, first);
    bool cuts = session_cuts(s, after);
    for (int64_t b = 0; b < 2; b++) {
        weft_status status = wf_state_truncate(wf_session_state(s), b, t->start, &err);
        if (status != (cuts ? WEFT_OK : WEFT_UNSUPPORTED))
            fail_msg("%s: cutting gives status %d", t->what, (int)status);
        assert_int_equal(wf_session_state(s)->start[b], cuts ? t->start : after);
    }
    if (cuts) {
        session_go_on(t, s, session_both, from, got);
        session_same(t, "a state that was cut", got, want, 2);
    }
    for (int64_t b = 0; b < 2; b++)
        session_ok(t, wf_state_truncate(wf_session_state(s), b, 0, &err), &err);
    session_begin(t, s);
    session_go_on(t, s, session_both, from, got);
    session_same(t, "a state that was cut to nothing", got, want, 2);
    wf_session_free(s);
}

/* Sequence 1 begins anew behind the first `start` tokens of sequence 0: both as each alone, and their bytes. */
static void session_check_unequal(const session_test *t) {
    const int64_t from[2] = {t->start, 0}, then[2] = {t->start + SESSION_MORE, SESSION_MORE};
    int64_t vocab = t->model->spec->vocab;
    float both[2 * SESSION_VOCAB], alone[SESSION_VOCAB];
    wf_session *s = session_open(t, 0, 2, t->capacity);
    session_begin(t, s);
    wf_state_reset(wf_session_state(s), 1);
    session_feed(t, s, session_both, from, SESSION_MORE, both);
    for (int64_t b = 0; b < 2; b++) {
        wf_session *one = session_open(t, b, 1, t->capacity);
        if (from[b] > 0)
            session_feed(t, one, &b, (int64_t[]){0}, from[b], NULL);
        session_feed(t, one, &b, &from[b], SESSION_MORE, alone);
        session_near(t, "a chunk of unequal lengths", both + b * vocab, alone, 1);
        wf_session_free(one);
    }
    size_t n = wf_state_saved_size(wf_session_state(s));
    char *bytes = malloc(n);
    assert_non_null(bytes);
    wf_session_save(s, bytes);
    session_go_on(t, s, session_both, then, both);
    for (int64_t b = 0; b < 2; b++) {
        wf_session *one = session_open(t, b, 1, t->capacity);
        int64_t first = !t->model->spec->prefixed ? 1 : b ? SESSION_MORE : t->start; /* what came first is the prefix */
        session_feed(t, one, &b, session_zero, first, NULL);
        for (int64_t i = first; i < then[b]; i++)
            session_feed(t, one, &b, &i, 1, NULL);
        session_go_on(t, one, &b, &then[b], alone);
        session_near(t, "steps of unequal lengths", both + b * vocab, alone, 1);
        wf_session_free(one);
    }
    wf_session *fresh = session_open(t, 0, 2, t->capacity);
    weft_error err = {0};
    float again[2 * SESSION_VOCAB];
    session_ok(t, wf_session_load(fresh, bytes, n, &err), &err);
    session_go_on(t, fresh, session_both, then, again);
    session_same(t, "a saved state of unequal lengths", again, both, 2);
    wf_session_free(fresh);
    wf_session_free(s);
    free(bytes);
}

static void session_check(const wf_model *model, const char *what, int64_t start) {
    const session_test t = {model, what, start, start + 2 * SESSION_MORE + 1};
    const int64_t from[2] = {start, start};
    float want[2 * SESSION_VOCAB];
    assert_true(model->spec->vocab <= SESSION_VOCAB);
    wf_session *s = session_open(&t, 0, 2, t.capacity);
    session_begin(&t, s);
    size_t n = wf_state_saved_size(wf_session_state(s));
    char *bytes = malloc(n);
    weft_error err = {0};
    assert_non_null(bytes);
    wf_session_save(s, bytes);
    session_go_on(&t, s, session_both, from, want);
    session_ok(&t, wf_session_load(s, bytes, n, &err), &err); /* back to where they stood */
    free(bytes);
    session_check_saved(&t, s, from, want);
    wf_session_free(s);
    session_check_order(&t, want);
    session_check_fork(&t, want);
    session_check_cut(&t, want);
    session_check_unequal(&t);
}
#endif
