/* The partial-merge form of ring attention (Liu et al. 2023, arXiv 2310.01889) in one process: every machine of the ring holds
 * a part of the keys; attention to each part by itself, merged by its log-sum-exp, is attention to all of them, with all
 * gradients. Causal: rows before a part see nothing of it. */
#include "support/model.h"
#include <math.h>
#include "tensor/ops.h"

enum { BATCH = 2, ROWS = 37, HEADS = 4, GROUPS = 2, KEY = 5, VALUE = 6, PART = 10 };

typedef struct ring {
    wf_tape *tape;
    wf_tensor *q, *k, *v, *dy, *o;
} ring;

typedef struct partial {
    wf_tensor *o, *lse; /* [B,rows,H,V]; [B*H,rows,1] */
} partial;

static wf_attention_spec spec_of(bool causal) {
    return (wf_attention_spec){.scale = 0.4f, .causal = causal, .left = INT64_MAX, .right = INT64_MAX};
}

static wf_tensor *filled(wf_tape *t, int rank, const int64_t *dims, float value) {
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= dims[i];
    float *values = wf_arena_alloc(wf_tape_arena(t), (size_t)count * sizeof *values);
    for (int64_t i = 0; i < count; i++)
        values[i] = value;
    return wf_constant(t, rank, dims, values);
}

/* Attention to keys first..first+count-1; of rows before a causal part's first key there is none. */
static partial part(const ring *r, int64_t first, int64_t count, bool causal) {
    wf_tape *t = r->tape;
    int64_t from = causal ? first : 0;
    partial p = {NULL, NULL};
    wf_attention_spec spec = spec_of(causal);
    spec.lse = &p.lse;
    p.o = wf_attention(t, wf_time_slice(t, r->q, from, ROWS - from), wf_time_slice(t, r->k, first, count),
                       wf_time_slice(t, r->v, first, count), &spec);
    p.lse = wf_reshape(t, p.lse, 3, (int64_t[]){BATCH * HEADS, ROWS - from, 1});
    if (from > 0) {
        p.o = wf_time_concat(t, wf_zeros(t, 4, (int64_t[]){BATCH, from, HEADS, VALUE}), p.o);
        p.lse = wf_time_concat(t, filled(t, 3, (int64_t[]){BATCH * HEADS, from, 1}, -INFINITY), p.lse);
    }
    return p;
}

static wf_tensor *in_parts(const ring *r, bool causal) {
    partial all = {NULL, NULL};
    int64_t parts = 0;
    for (int64_t first = 0; first < ROWS; first += PART, parts++) {
        partial one = part(r, first, ROWS - first < PART ? ROWS - first : PART, causal);
        all.o = wf_time_concat(r->tape, all.o, one.o);
        all.lse = wf_time_concat(r->tape, all.lse, one.lse);
    }
    wf_tensor *lse = wf_reshape(r->tape, all.lse, 3, (int64_t[]){BATCH, HEADS, parts * ROWS});
    return wf_merge_partials(r->tape, all.o, lse, NULL, NULL, parts);
}

static wf_tensor *input(wf_tape *t, const char *name, int64_t heads, int64_t width) {
    return wf_input_grad(t, name, 4, (int64_t[]){BATCH, ROWS, heads, width});
}

static void fill(wf_tensor *x, uint32_t site) {
    wf_rng rng = wf_rng_make(4, site, 0);
    for (int64_t i = 0; i < x->count; i++)
        ((float *)x->data)[i] = (float)wf_rng_normal(rng, (uint64_t)i);
}

static void run(test_env *e, ring *r, bool merged, bool causal) {
    weft_error err = {0};
    const wf_runtime rt = {.loss_scale = 1.0f};
    assert_int_equal(wf_tape_create(&e->env, &(wf_tape_options){.type = WF_F32, .grad = true}, &r->tape, &err), WEFT_OK);
    r->q = input(r->tape, "q", HEADS, KEY);
    r->k = input(r->tape, "k", GROUPS, KEY);
    r->v = input(r->tape, "v", GROUPS, VALUE);
    wf_attention_spec spec = spec_of(causal);
    r->o = merged ? in_parts(r, causal) : wf_attention(r->tape, r->q, r->k, r->v, &spec);
    r->dy = wf_input(r->tape, "dy", WF_F32, 4, (int64_t[]){BATCH, ROWS, HEADS, VALUE});
    wf_root_seeded(r->tape, r->o, r->dy);
    wf_keep(r->tape, r->o);
    if (wf_tape_plan(r->tape, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    fill(r->q, 1);
    fill(r->k, 2);
    fill(r->v, 3);
    fill(r->dy, 4);
    assert_int_equal(wf_tape_forward(r->tape, &rt, &err), WEFT_OK);
    assert_int_equal(wf_tape_backward(r->tape, &rt, &err), WEFT_OK);
}

static void same(const char *what, const float *a, const float *b, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (!(fabsf(a[i] - b[i]) <= 1e-5f))
            fail_msg("%s: %g in parts, %g at once", what, (double)a[i], (double)b[i]);
}

static void test_parts_are_the_whole(void **state) {
    test_env e;
    (void)state;
    test_env_open(&e, 2);
    for (int causal = 0; causal < 2; causal++) {
        ring merged, whole;
        run(&e, &merged, true, causal);
        run(&e, &whole, false, causal);
        same("o", merged.o->data, whole.o->data, whole.o->count);
        same("dq", merged.q->grad, whole.q->grad, whole.q->count);
        same("dk", merged.k->grad, whole.k->grad, whole.k->count);
        same("dv", merged.v->grad, whole.v->grad, whole.v->count);
        wf_tape_free(merged.tape);
        wf_tape_free(whole.tape);
    }
    test_env_close(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parts_are_the_whole)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
