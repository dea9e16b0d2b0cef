/* For every row of the mixer tables: what a layer costs follows the laws written in its row. The tape counts its FLOPs and the
 * bytes that training keeps at two lengths, without running: they grow as the row says, and the FLOPs are those of its law. A
 * shorter forward runs, and the keys that its patterns visited are counted. Nothing here depends on how quiet the machine is.
 */
#include "support/model.h"
#include <math.h>
#include <stdlib.h>
#include "jobs/one_layer.h"
#include "mixers/layer_cost.h"

enum { DIM = 64, SHORT = 4096, LONG = 16384, FEWER = 16 /* for rows that record every step by itself */ };

/* Beside the example of every row: options that change its law. */
static const struct {
    const char *mixer, *options;
} cases[] = {
    {"attention", "{\"heads\": 2}"},
    {"attention", "{\"heads\": 2, \"causal\": true, \"window\": [63, 0]}"},
    {"attention", "{\"heads\": 2, \"window\": [32, 32]}"},
    {"attention", "{\"heads\": 2, \"causal\": true, \"chunk\": 64}"},
    {"sparse", "{\"heads\": 2, \"pattern\": \"fixed\", \"summary\": 4, \"stride\": \"=round(sqrt(context))\"}"},
    {"local_chunk", "{\"heads\": 2, \"chunk\": 64, \"after\": 1}"},
    {"longformer", "{\"heads\": 2, \"window\": [32, 32], \"globals\": false}"},
    {"bigbird", "{\"heads\": 2, \"block\": 16, \"random\": 3, \"extra\": 64}"},
    {"linear_attention", "{\"heads\": 2}"},
    {"based", "{\"heads\": 2, \"key_dim\": 4}"},
    {"s4d", "{\"bidirectional\": true}"},
};

typedef struct counts {
    double forward, core, backward, bytes; /* counted; core: forward beside the projections */
    double law, time, space;               /* by the row */
} counts;

static weft_status count_layer(test_env *e, const wf_model *model, const wf_layer *layer, int64_t rows, counts *out,
                               weft_error *err) {
    wf_one_layer one;
    wf_tape_stats stats;
    wf_one_layer_how how = {
        .use = WF_LAYER_TRAIN, .rows = rows, .channel = layer == model->spec->blocks[0].channel, .measured = &stats};
    weft_status status = wf_one_layer_record(&e->env, model, &how, &one, err);
    wf_one_layer_close(&one);
    if (status != WEFT_OK)
        return status;
    *out = (counts){.forward = stats.flops_forward,
                    .core = stats.flops_forward - wf_layer_projections(layer, rows),
                    .backward = stats.flops_backward,
                    .bytes = (double)stats.arena_bytes,
                    .law = wf_layer_flops(layer, rows),
                    .time = wf_layer_time(layer, rows),
                    .space = wf_layer_space(layer, rows)};
    return WEFT_OK;
}

static void count(test_env *e, const wf_mixer *row, const char *options, int64_t rows, counts *out) {
    wf_json *spec;
    wf_model *model;
    weft_error err = {0};
    weft_status status = wf_one_layer_spec(&e->arena, row, options, DIM, rows, &spec, &err);
    if (status == WEFT_OK)
        status = wf_model_create(&e->env, spec, &model, &err);
    if (status == WEFT_OK) {
        const wf_block_spec *block = &model->spec->blocks[0];
        status = count_layer(e, model, block->mixer->row == row ? block->mixer : block->channel, rows, out, &err);
        wf_model_free(model);
    }
    if (status != WEFT_OK)
        fail_msg("%s %s: %s", row->name, options ? options : "", err.message);
}

/* FLOPs of a forward that has run, with what its patterns visited. */
static double visit(test_env *e, const wf_mixer *row, const char *options, int64_t rows) {
    wf_json *spec;
    wf_one_layer one;
    double flops = 0.0;
    weft_error err = {0};
    if (wf_one_layer_spec(&e->arena, row, options, DIM, rows, &spec, &err) != WEFT_OK)
        fail_msg("%s: %s", row->name, err.message);
    wf_model *model = test_model_of(e, spec, 1);
    bool channel = model->spec->blocks[0].mixer->row != row;
    const wf_one_layer_how how = {.use = WF_LAYER_TRAIN, .rows = rows, .channel = channel};
    if (wf_one_layer_record(&e->env, model, &how, &one, &err) != WEFT_OK || wf_one_layer_visited(&one, &flops, &err) != WEFT_OK)
        fail_msg("%s: %s", row->name, err.message);
    wf_one_layer_close(&one);
    wf_model_free(model);
    return flops;
}

static void within(const wf_mixer *row, const char *options, const char *what, double found, double low, double high) {
    if (!(found >= low && found <= high))
        fail_msg("%s %s: %s %g, not from %g to %g", row->name, options ? options : "", what, found, low, high);
}

/* The exponent of T between both lengths. */
static double power(double from, double to) { return log(to / from) / log((double)LONG / SHORT); }

static void check(test_env *e, const wf_mixer *row, const char *options) {
    counts at[2];
    int64_t fewer = strstr(row->inputs, " memory ") ? FEWER : 1;
    count(e, row, options, SHORT / fewer, &at[0]);
    count(e, row, options, LONG / fewer, &at[1]);
    for (int i = 0; i < 2; i++) {
        within(row, options, "FLOPs over those of the law:", at[i].forward / at[i].law, 0.85, 1.15);
        within(row, options, "backward over forward:", at[i].backward / at[i].forward, 0.9, 3.0);
    }
    double time = power(at[0].time, at[1].time), space = power(at[0].space, at[1].space);
    if (at[1].core > 0.02 * at[1].forward)
        within(row, options, "FLOPs grow with T to the power", power(at[0].core, at[1].core), time - 0.05, time + 0.05);
    else
        within(row, options, "FLOPs grow with T to the power", power(at[0].forward, at[1].forward), 0.99, 1.01);
    /* what is linear beside it bends a quadratic law */
    within(row, options, "kept bytes grow with T to the power", power(at[0].bytes, at[1].bytes),
           space > 1.0 ? 1.3 : space - 0.05, space + 0.05);
    if (fewer == 1)
        within(row, options, "FLOPs that ran over those of the law:", visit(e, row, options, LONG / 4) / (at[0].forward), 0.85,
               1.6);
}

static void test_every_row(void **state) {
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    for (size_t t = 0; t < 2; t++)
        for (const wf_mixer *const *row = t ? wf_channels : wf_mixers; *row; row++)
            check(&e, *row, NULL);
    test_env_close(&e);
}

static void test_options(void **state) {
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        check(&e, wf_mixer_find(cases[i].mixer), cases[i].options);
    test_env_close(&e);
}

/* Full attention never holds a matrix of scores: 64 times the tokens take 64 times the memory, forward and backward. */
static void test_attention_in_linear_memory(void **state) {
    const wf_mixer *row = wf_mixer_find("attention");
    counts few, many;
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    count(&e, row, NULL, 1024, &few);
    count(&e, row, NULL, 65536, &many);
    within(row, NULL, "bytes of 64k tokens over 64 times those of 1k:", many.bytes / (64.0 * few.bytes), 0.0, 1.05);
    within(row, NULL, "bytes of a token:", many.bytes / 65536.0, 0.0, 32.0 * sizeof(float) * DIM);
    test_env_close(&e);
}

/* What is inside a layer that works in pieces is kept for one piece only, whatever its width. */
static void test_pieces(void **state) {
    static const struct {
        const char *mixer, *whole, *pieces;
    } rows[] = {
        {"mlp", "{\"hidden\": 1024}", "{\"hidden\": 1024, \"chunk\": 128}"},
        {"glu", "{\"hidden\": 1024}", "{\"hidden\": 1024, \"chunk\": 128}"},
    };
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const wf_mixer *row = wf_mixer_find(rows[i].mixer);
        counts whole, pieces;
        count(&e, row, rows[i].whole, SHORT, &whole);
        count(&e, row, rows[i].pieces, SHORT, &pieces);
        double streams = 8.0 * sizeof(float) * SHORT * DIM, inside = 6.0 * sizeof(float) * 128 * 1024;
        within(row, rows[i].pieces, "bytes:", pieces.bytes, 0.0, streams + inside);
        within(row, rows[i].whole, "bytes:", whole.bytes, 2.0 * sizeof(float) * SHORT * 1024, 1e9);
        within(row, rows[i].pieces, "FLOPs over those of the whole:", pieces.forward / whole.forward, 0.999, 1.001);
    }
    test_env_close(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_row), cmocka_unit_test(test_options),
                                       cmocka_unit_test(test_attention_in_linear_memory), cmocka_unit_test(test_pieces)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
