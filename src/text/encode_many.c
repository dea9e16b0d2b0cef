/* encode_many.c - many texts over the threads of a pool: every thread takes the next few that nobody has, with an encoder of
 * its own that lives as long as the set, so that the words it has met stay known. */
#include <sched.h>
#include <stdatomic.h>

#include "base/pool.h"
#include "text/engine.h"

typedef struct seat { /* of a thread */
    wf_encoder *encoder;
    weft_error error;
} seat;

struct wf_encoders {
    const wf_mem *mem;
    wf_pool *pool;
    seat *seats;
    int n_seats;
};

weft_status wf_encoders_create(const wf_tokenizer *tok, const wf_env *env, wf_encoders **out, weft_error *err) {
    wf_encoders *s = wf_calloc(&env->mem, 1, sizeof *s);
    if (!s)
        return wf_fail_memory(err);
    s->mem = &env->mem;
    s->pool = env->pool;
    s->n_seats = wf_pool_threads(env->pool);
    s->seats = wf_calloc(s->mem, (size_t)s->n_seats, sizeof *s->seats);
    weft_status status = s->seats ? WEFT_OK : wf_fail_memory(err);
    for (int i = 0; i < s->n_seats && status == WEFT_OK; i++)
        status = wf_encoder_create(tok, &s->seats[i].encoder, err);
    if (status == WEFT_OK)
        *out = s;
    else
        wf_encoders_free(s);
    return status;
}

void wf_encoders_free(wf_encoders *s) {
    if (!s)
        return;
    for (int i = 0; s->seats && i < s->n_seats; i++)
        wf_encoder_free(s->seats[i].encoder);
    wf_free(s->mem, s->seats);
    wf_free(s->mem, s);
}

typedef struct round {
    wf_encoders *set;
    size_t n, grain;
    wf_encoders_fn fn;
    void *user;
    atomic_size_t next;
    atomic_int failed; /* the first status that is not good wins */
} round;

static weft_status take_turns(round *r, seat *s) {
    while (atomic_load(&r->failed) == WEFT_OK) {
        size_t from = atomic_fetch_add(&r->next, r->grain), to = from + r->grain < r->n ? from + r->grain : r->n;
        if (from >= r->n)
            break;
        for (size_t i = from; i < to; i++)
            WF_TRY(r->fn(r->user, s->encoder, i, &s->error));
    }
    return WEFT_OK;
}

/* The first failure stays. */
static void note(atomic_int *failed, weft_status status) {
    int none = WEFT_OK;
    if (status != WEFT_OK)
        atomic_compare_exchange_strong(failed, &none, (int)status);
}

static void region(void *arg, int thread, int n_threads) {
    round *r = arg;
    note(&r->failed, take_turns(r, &r->set->seats[thread]));
}

static weft_status first_error(const wf_encoders *s, weft_status status, weft_error *err) {
    for (int i = 0; status != WEFT_OK && i < s->n_seats; i++)
        if (s->seats[i].error.status == status)
            return wf_fail(err, status, "%s", s->seats[i].error.message);
    return status;
}

/* Short texts are taken by the dozen, for a counter that both threads write costs as much as a few words. */
static size_t grain_of(const wf_encoders *s, size_t n) {
    enum { TURNS = 32, MOST = 64 };
    size_t grain = n / ((size_t)s->n_seats * TURNS);
    return grain < 1 ? 1 : grain < MOST ? grain : MOST;
}

weft_status wf_encoders_each(wf_encoders *s, size_t n, wf_encoders_fn fn, void *user, weft_error *err) {
    round r = {.set = s, .n = n, .grain = grain_of(s, n), .fn = fn, .user = user};
    atomic_init(&r.next, 0);
    atomic_init(&r.failed, WEFT_OK);
    if (n == 1)
        return fn(user, s->seats[0].encoder, 0, err);
    wf_pool_run(s->pool, region, &r);
    return first_error(s, (weft_status)atomic_load(&r.failed), err);
}

/* ---- in order ---- */

typedef struct queue {
    wf_encoders *set;
    size_t n, ahead;
    wf_encoders_fn fn;
    wf_encoders_done done;
    void *user;
    atomic_size_t next, finished; /* the next to be taken; how many were handed on */
    atomic_size_t *ready;         /* [ahead]: the one in that place + 1 */
    atomic_int failed;
} queue;

/* The caller's thread hands on what is ready; false where the next one is not. */
static bool hand_on(queue *q, weft_error *err) {
    size_t i = atomic_load(&q->finished);
    if (i == q->n || atomic_load(&q->ready[i % q->ahead]) != i + 1)
        return false;
    weft_status status = q->done(q->user, i, err);
    note(&q->failed, status);
    atomic_store(&q->finished, i + 1);
    return status == WEFT_OK;
}

/* Until a place is free for `i`, or, with i == n on the caller's thread, all are handed on. */
static void wait_for(queue *q, size_t i, bool caller, weft_error *err) {
    while (atomic_load(&q->failed) == WEFT_OK &&
           (i < q->n ? i >= atomic_load(&q->finished) + q->ahead : caller && atomic_load(&q->finished) < q->n))
        if (!caller || !hand_on(q, err))
            sched_yield();
}

static void work_in_order(void *arg, int thread, int n_threads) {
    queue *q = arg;
    seat *s = &q->set->seats[thread];
    for (size_t i = 0; i < q->n && atomic_load(&q->failed) == WEFT_OK;) {
        while (thread == 0 && hand_on(q, &s->error))
            continue;
        i = atomic_fetch_add(&q->next, 1);
        i = i < q->n ? i : q->n;
        wait_for(q, i, thread == 0, &s->error);
        if (i == q->n || atomic_load(&q->failed) != WEFT_OK)
            break;
        weft_status status = q->fn(q->user, s->encoder, i, &s->error);
        note(&q->failed, status);
        if (status == WEFT_OK)
            atomic_store(&q->ready[i % q->ahead], i + 1);
    }
}

weft_status wf_encoders_in_order(wf_encoders *s, size_t n, size_t ahead, wf_encoders_fn fn, wf_encoders_done done, void *user,
                                 weft_error *err) {
    queue q = {.set = s, .n = n, .ahead = ahead, .fn = fn, .done = done, .user = user};
    q.ready = wf_calloc(s->mem, ahead, sizeof *q.ready);
    if (!q.ready)
        return wf_fail_memory(err);
    atomic_init(&q.next, 0);
    atomic_init(&q.finished, 0);
    atomic_init(&q.failed, WEFT_OK);
    for (size_t i = 0; i < ahead; i++)
        atomic_init(&q.ready[i], 0);
    wf_pool_run(s->pool, work_in_order, &q);
    wf_free(s->mem, q.ready);
    return first_error(s, (weft_status)atomic_load(&q.failed), err);
}

typedef struct many {
    const wf_bytes *texts;
    unsigned flags;
    wf_ids *ids;
} many;

static weft_status encode_one(void *user, wf_encoder *e, size_t i, weft_error *err) {
    many *m = user;
    wf_ids mine = m->ids[i]; /* lists of neighbours share cache lines: they are written once */
    weft_status status = wf_encode(e, m->texts[i].data, m->texts[i].length, m->flags, &mine, err);
    m->ids[i] = mine;
    return status;
}

/* Every text on one thread. */
static weft_status encode_each(wf_encoders *s, const wf_bytes *texts, size_t n, unsigned flags, wf_ids *ids, weft_error *err) {
    many m = {texts, flags, ids};
    return wf_encoders_each(s, n, encode_one, &m, err);
}

weft_status wf_encode_many(wf_encoders *s, const wf_bytes *texts, size_t n, unsigned flags, wf_ids *ids, weft_error *err) {
    for (size_t i = 0, k; i < n; i = k) {
        for (k = i; k < n && texts[k].length < WF_LONG_TEXT; k++)
            continue;
        if (k > i)
            WF_TRY(encode_each(s, texts + i, k - i, flags, ids + i, err));
        if (k < n)
            WF_TRY(wf_encode_on(s, texts[k], flags, &ids[k], err));
        k += k < n;
    }
    return WEFT_OK;
}

/* ---- one long text ---- */

static bool is_letter(char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }

/* The first blank between two letters from `from` on; the text's length when there is none near. */
static size_t find_cut(wf_bytes text, size_t from) {
    enum { NEAR = 1 << 16 };
    size_t end = text.length - from > NEAR ? from + NEAR : text.length;
    for (size_t i = from; i + 1 < end; i++)
        if (text.data[i] == ' ' && is_letter(text.data[i - 1]) && is_letter(text.data[i + 1]))
            return i;
    return text.length;
}

static weft_status encode_parts(wf_encoders *s, const wf_bytes *parts, size_t n, unsigned flags, wf_ids *lists, wf_ids *ids,
                                weft_error *err) {
    const wf_tokenizer *tok = s->seats[0].encoder->tok;
    bool specials = (flags & WF_ENCODE_SPECIALS) != 0;
    WF_TRY(encode_each(s, parts, n, flags & ~(unsigned)WF_ENCODE_SPECIALS, lists, err));
    if (specials && tok->before.count)
        WF_TRY(wf_ids_push(ids, tok->before.data, tok->before.count, err));
    for (size_t i = 0; i < n; i++)
        if (lists[i].count)
            WF_TRY(wf_ids_push(ids, lists[i].data, lists[i].count, err));
    return specials && tok->after.count ? wf_ids_push(ids, tok->after.data, tok->after.count, err) : WEFT_OK;
}

weft_status wf_encode_on(wf_encoders *s, wf_bytes text, unsigned flags, wf_ids *ids, weft_error *err) {
    enum { EACH = 8, MOST = 256 };
    const wf_tokenizer *tok = s->seats[0].encoder->tok;
    wf_bytes parts[MOST];
    wf_ids lists[MOST];
    size_t n = 0, step = text.length / ((size_t)s->n_seats * EACH) + 1, before = ids->count;
    bool one = !tok->cuts || (!tok->simple && (flags & WF_ENCODE_SPECIALS)) || text.length < WF_LONG_TEXT || s->n_seats == 1;
    if (one)
        return wf_encode(s->seats[0].encoder, text.data, text.length, flags, ids, err);
    for (size_t at = 0, end; at < text.length; at = end, n++) {
        end = text.length - at > step && n + 1 < MOST ? find_cut(text, at + step) : text.length;
        parts[n] = (wf_bytes){text.data + at, end - at};
        lists[n] = wf_ids_new(s->mem);
    }
    weft_status status = encode_parts(s, parts, n, flags, lists, ids, err);
    for (size_t i = 0; i < n; i++)
        wf_ids_free(&lists[i]);
    if (status != WEFT_OK)
        ids->count = before;
    return status;
}
