/* A real model with every activation known: gpt-nano-sort of WEFT_DATA/models, a GPT of three layers that sorts six letters.
 * The file of partial results comes from minGPT; each named one is found among the tensors of the tape, and 200 inputs are
 * sorted. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/reader.h"
#include "base/rng.h"
#include "families/load.h"
#include "formats/shards.h"
#include "support/model.h"
#include "tensor/tape.h"

enum { B = 3, T = 11, DIM = 48, HEADS = 3, WIDTH = 16, VOCAB = 3, LETTERS = 6, INPUTS = 200 };
static const double TOLERANCE = 1e-4;

typedef struct run {
    test_env e;
    wf_model *model;
    wf_shards *partials;
    wf_tape *tape;
    wf_tensor *ids, *logits;
} run;

static char *data_path(run *r, const char *name) {
    const char *root = getenv("WEFT_DATA");
    char *path = root ? wf_arena_printf(&r->e.arena, "%s/models/gpt-nano-sort/%s", root, name) : NULL;
    return path && wf_is_file(path) ? path : NULL;
}

static void record(run *r, int64_t batch) {
    wf_model_ports ports = {NULL};
    wf_model_options how = {.mode = WF_NO_STATE};
    weft_error err = {0};
    wf_tape_free(r->tape);
    assert_int_equal(wf_tape_create(&r->e.env, &(wf_tape_options){.type = WF_F32}, &r->tape, NULL), WEFT_OK);
    r->ids = ports.ids = wf_input(r->tape, "ids", WF_I32, 2, (int64_t[]){batch, T});
    assert_int_equal(wf_model_record(r->model, r->tape, batch, T, &how, &ports, NULL), WEFT_OK);
    r->logits = wf_model_logits(r->model, r->tape, ports.hidden);
    for (size_t i = 0; i < r->tape->nodes.count; i++)
        for (int k = 0; k < ((wf_node *)r->tape->nodes.items[i])->n_out; k++)
            if (((wf_node *)r->tape->nodes.items[i])->out[k])
                wf_keep(r->tape, ((wf_node *)r->tape->nodes.items[i])->out[k]);
    if (wf_tape_plan(r->tape, &err) != WEFT_OK)
        fail_msg("%s", err.message);
}

static int setup(void **state) {
    static run r;
    test_env_open(&r.e, 2);
    *state = &r;
    char *model = data_path(&r, "gpt-nano-sort-model.json"), *partials = data_path(&r, "gpt-nano-sort-t0-partials.json");
    if (!model || !partials) {
        print_message("skipped: no models/gpt-nano-sort (WEFT_DATA)\n");
        return 0;
    }
    weft_error err = {0};
    if (wf_model_load(&r.e.env, model, NULL, &r.model, &err) != WEFT_OK ||
        wf_shards_open(&wf_mem_default, partials, &r.partials, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    return 0;
}

static int teardown(void **state) {
    run *r = *state;
    wf_tape_free(r->tape);
    wf_shards_free(r->partials);
    wf_model_free(r->model);
    test_env_close(&r->e);
    return 0;
}

static const float *partial(const run *r, const char *name) {
    const wf_stored_tensor *t = wf_shards_find(r->partials, name);
    assert_non_null(t);
    assert_int_equal(t->type, WF_F32);
    return t->data;
}

/* ---- layouts: index i of a partial result in a tensor of the tape ---- */
typedef size_t (*layout)(size_t i);
static size_t same(size_t i) { return i; }
/* [B,H,T,K] in [B,T,H,K] */
static size_t by_head(size_t i) {
    size_t k = i % WIDTH, t = i / WIDTH % T, h = i / WIDTH / T % HEADS, b = i / WIDTH / T / HEADS;
    return ((b * T + t) * HEADS + h) * WIDTH + k;
}

/* The tensor of the tape that holds these numbers; NULL: none does. */
static const float *find(const run *r, const float *wanted, size_t count, layout at) {
    for (size_t n = 0; n < r->tape->nodes.count; n++) {
        const wf_node *node = r->tape->nodes.items[n];
        const wf_tensor *y = node->n_out ? node->out[0] : NULL;
        double worst = 0.0;
        if (!y || y->type != WF_F32 || y->count != (int64_t)count)
            continue;
        for (size_t i = 0; i < count; i++)
            worst = fmax(worst, fabs((double)wanted[i] - (double)((const float *)y->data)[at(i)]));
        if (worst <= TOLERANCE)
            return y->data;
    }
    return NULL;
}

static const float *must_find(const run *r, const char *name, size_t count, layout at) {
    const float *found = find(r, partial(r, name), count, at);
    if (!found)
        fail_msg("no tensor of the tape holds '%s'", name);
    return found;
}

/* ---- what the tape does not keep: scores and probabilities, from its queries and keys ---- */
static void check_attention(const run *r, const float *q, const float *k) {
    const float *scores = partial(r, "att"), *probabilities = partial(r, "attSm");
    for (size_t row = 0; row < (size_t)B * HEADS * T; row++) {
        size_t t = row % T, h = row / T % HEADS, b = row / T / HEADS;
        double s[T], sum = 0.0;
        for (size_t j = 0; j <= t; j++) {
            s[j] = 0.0;
            for (size_t c = 0; c < WIDTH; c++)
                s[j] +=
                    (double)q[((b * T + t) * HEADS + h) * WIDTH + c] * (double)k[((b * T + j) * HEADS + h) * WIDTH + c] / 4.0;
            assert_true(fabs(s[j] - (double)scores[row * T + j]) <= TOLERANCE);
            sum += exp(s[j]);
        }
        for (size_t j = 0; j < T; j++)
            assert_true(fabs((j <= t ? exp(s[j]) / sum : 0.0) - (double)probabilities[row * T + j]) <= TOLERANCE);
    }
}

static void check_rows(const run *r) {
    const float *tokens = partial(r, "tok_emb"), *places = partial(r, "pos_emb"), *sum = partial(r, "x");
    for (size_t i = 0; i < (size_t)B * T * DIM; i++)
        assert_true(fabs((double)tokens[i] + (double)places[i % (T * DIM)] - (double)sum[i]) <= TOLERANCE);
    for (size_t i = 0; i < (size_t)T * DIM; i++)
        assert_true(fabs((double)places[i] - (double)r->model->position->value[i]) <= TOLERANCE);
    const float *joined = partial(r, "qkv"), *parts[] = {partial(r, "q"), partial(r, "k"), partial(r, "v")};
    for (size_t row = 0; row < (size_t)B * T; row++)
        for (size_t c = 0; c < 3 * DIM; c++) {
            size_t d = c % DIM, i = ((row / T * HEADS + d / WIDTH) * T + row % T) * WIDTH + d % WIDTH;
            assert_true(fabs((double)joined[row * 3 * DIM + c] - (double)parts[c / DIM][i]) <= TOLERANCE);
        }
}

static void check_ends(const run *r) {
    const float *logits = must_find(r, "lm_head", (size_t)B * T * VOCAB, same), *wanted = partial(r, "probs");
    for (size_t row = 0; row < (size_t)B * T; row++) {
        double sum = 0.0;
        for (size_t c = 0; c < VOCAB; c++)
            sum += exp((double)logits[row * VOCAB + c]);
        for (size_t c = 0; c < VOCAB; c++)
            assert_true(fabs(exp((double)logits[row * VOCAB + c]) / sum - (double)wanted[row * VOCAB + c]) <= TOLERANCE);
    }
}

static void test_activations(void **state) {
    static const struct {
        const char *name;
        size_t width;
    } rows[] = {{"tok_emb", DIM},   {"x", DIM},      {"ln1", DIM},    {"y", DIM},        {"yProj", DIM},
                {"attnResid", DIM}, {"ln2", DIM},    {"fc", 4 * DIM}, {"gelu", 4 * DIM}, {"mlp", DIM},
                {"mlpResid", DIM},  {"block0", DIM}, {"block1", DIM}, {"block2", DIM},   {"ln_f", DIM}};
    run *r = *state;
    wf_runtime rt = {.loss_scale = 1.0f};
    if (!r->model)
        skip();
    record(r, B);
    for (size_t i = 0; i < (size_t)B * T; i++)
        ((int32_t *)r->ids->data)[i] = (int32_t)partial(r, "idx")[i];
    assert_int_equal(wf_tape_forward(r->tape, &rt, NULL), WEFT_OK);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        must_find(r, rows[i].name, (size_t)B * T * rows[i].width, same);
    const float *q = must_find(r, "q", (size_t)B * T * DIM, by_head), *k = must_find(r, "k", (size_t)B * T * DIM, by_head);
    must_find(r, "v", (size_t)B * T * DIM, by_head);
    check_attention(r, q, k);
    check_rows(r);
    check_ends(r);
}

/* Six letters, and then the same sorted: each answer is fed back. */
static void test_sorting(void **state) {
    run *r = *state;
    wf_runtime rt = {.loss_scale = 1.0f};
    wf_rng rng = wf_rng_make(7, 1, 1);
    int right = 0;
    if (!r->model)
        skip();
    record(r, INPUTS);
    int32_t *ids = r->ids->data, counts[INPUTS][VOCAB] = {{0}};
    memset(ids, 0, (size_t)INPUTS * T * sizeof *ids);
    for (size_t i = 0; i < INPUTS; i++)
        for (size_t k = 0; k < LETTERS; k++)
            counts[i][ids[i * T + k] = (int32_t)wf_rng_below(rng, i * LETTERS + k, VOCAB)]++;
    bool sorted[INPUTS];
    memset(sorted, 1, sizeof sorted);
    for (size_t step = 0; step < LETTERS; step++) {
        assert_int_equal(wf_tape_forward(r->tape, &rt, NULL), WEFT_OK);
        for (size_t i = 0; i < INPUTS; i++) {
            const float *l = (const float *)r->logits->data + (i * T + LETTERS - 1 + step) * VOCAB;
            int32_t best = l[1] > l[0] ? (l[2] > l[1] ? 2 : 1) : l[2] > l[0] ? 2 : 0, expected = 0;
            for (size_t left = step; left >= (size_t)counts[i][expected]; expected++)
                left -= (size_t)counts[i][expected];
            sorted[i] &= best == expected;
            if (LETTERS + step < T)
                ids[i * T + LETTERS + step] = best;
        }
    }
    for (size_t i = 0; i < INPUTS; i++)
        right += sorted[i];
    assert_int_equal(right, INPUTS);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_activations), cmocka_unit_test(test_sorting)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
