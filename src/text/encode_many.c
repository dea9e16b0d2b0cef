/* encode_many.c - many texts over the threads of a pool: every thread takes the next text that nobody has, with an encoder of
 * its own. */
#include <stdatomic.h>
#include <string.h>

#include "base/pool.h"
#include "text/tokenizer.h"

typedef struct many {
    const wf_tokenizer *tok;
    const wf_bytes *texts;
    size_t n;
    unsigned flags;
    wf_ids *ids;
    atomic_size_t next;
    atomic_int failed;  /* the first status that is not good wins */
    weft_error *errors; /* per thread */
} many;

static weft_status encode_some(many *m, weft_error *err) {
    wf_encoder *e;
    WF_TRY(wf_encoder_create(m->tok, &e, err));
    weft_status status = WEFT_OK;
    while (status == WEFT_OK && atomic_load(&m->failed) == WEFT_OK) {
        size_t i = atomic_fetch_add(&m->next, 1);
        if (i >= m->n)
            break;
        wf_ids mine = m->ids[i]; /* lists of neighbours share cache lines: they are written once */
        status = wf_encode(e, m->texts[i].data, m->texts[i].length, m->flags, &mine, err);
        m->ids[i] = mine;
    }
    wf_encoder_free(e);
    return status;
}

static void region(void *arg, int thread, int n_threads) {
    many *m = arg;
    int none = WEFT_OK;
    weft_status status = encode_some(m, &m->errors[thread]);
    if (status != WEFT_OK)
        atomic_compare_exchange_strong(&m->failed, &none, (int)status);
}

weft_status wf_tokenizer_encode_many(const wf_tokenizer *tok, wf_pool *pool, const wf_bytes *texts, size_t n, unsigned flags,
                                     wf_ids *ids, weft_error *err) {
    weft_error errors[256];
    memset(errors, 0, sizeof errors);
    many m = {.tok = tok, .texts = texts, .n = n, .flags = flags, .ids = ids, .errors = errors};
    atomic_init(&m.next, 0);
    atomic_init(&m.failed, WEFT_OK);
    wf_pool_run(pool, region, &m);
    weft_status status = (weft_status)atomic_load(&m.failed);
    for (int i = 0; status != WEFT_OK && i < wf_pool_threads(pool); i++)
        if (errors[i].status == status)
            return wf_fail(err, status, "%s", errors[i].message);
    return status;
}
