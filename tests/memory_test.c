/* The memory that a training step is estimated to take, against what a step of every row really asks of its allocator. */
#include "jobs/one_layer.h"
#include "support/model.h"
#include <math.h>
#include <stdlib.h>
#include "train/trainer.h"

enum { DIM = 64, ROWS = 256, BATCH = 4, HEADER = 64 /* keeps the alignment of what it stands before */ };
/* What is not data is not counted; matrix products in bf16 may keep large records, and experts have hundreds of them. */
static const double SLACK = 0.03, RECORDS[2] = {200e3, 2e6};

typedef struct meter {
    size_t now, most;
} meter;

/* Large blocks are asked for with room to begin at a large page, which is never touched (base/mem.c). */
static size_t used(size_t size) {
    const size_t page = 2u << 20;
    return size > 2 * page ? size - page : size > page ? page : size;
}

static void *resize(void *user, void *block, size_t size) {
    meter *m = user;
    unsigned char *old = block ? (unsigned char *)block - HEADER : NULL;
    size_t before = 0;
    if (old)
        memcpy(&before, old, sizeof before);
    unsigned char *made = realloc(old, size + HEADER);
    if (!made)
        return NULL;
    memcpy(made, &size, sizeof size);
    m->now += used(size) - used(before);
    m->most = m->now > m->most ? m->now : m->most;
    return made + HEADER;
}

static void release(void *user, void *block) {
    meter *m = user;
    size_t size;
    memcpy(&size, (unsigned char *)block - HEADER, sizeof size);
    m->now -= used(size);
    free((unsigned char *)block - HEADER);
}

static void check_row(test_env *e, meter *m, const wf_mixer *row, bool bf16) {
    int32_t ids[BATCH * ROWS] = {0};
    wf_json *spec;
    wf_model *model = NULL;
    wf_trainer *t = NULL;
    wf_memory_parts p;
    wf_step_result r;
    double flops;
    weft_error err = {0};
    wf_trainer_options o = {
        .batch = BATCH, .rows = ROWS, .accumulate = 1, .bf16 = bf16, .optimizer = test_json(e, "{\"name\": \"adamw\"}")};
    if (wf_one_layer_spec(&e->arena, row, NULL, DIM, ROWS, &spec, &err) != WEFT_OK ||
        wf_model_create(&e->env, spec, &model, &err) != WEFT_OK || wf_trainer_measure(model, &o, &p, &flops, &err) != WEFT_OK)
        fail_msg("%s: %s", row->name, err.message);
    size_t before = m->most = m->now;
    if (wf_params_allocate(&model->params, &err) != WEFT_OK)
        fail_msg("%s: %s", row->name, err.message);
    wf_params_init(&model->params, 3);
    if (wf_trainer_create(model, &o, &t, &err) != WEFT_OK ||
        wf_trainer_step(t, &(wf_train_batch){.ids = ids, .targets = ids}, &r, &err) != WEFT_OK)
        fail_msg("%s: %s", row->name, err.message);
    double guess = (double)(p.parameters + p.compute_copies + p.gradients + p.moments + p.activations + p.scratch),
           taken = (double)(m->most - before);
    if (fabs(taken - guess) > SLACK * guess + RECORDS[bf16])
        fail_msg("%s%s: %.0f bytes were estimated, %.0f taken", row->name, bf16 ? " in bf16" : "", guess, taken);
    wf_trainer_free(t);
    wf_model_free(model);
}

static void test_rows(void **state) {
    test_env e;
    meter m = {0, 0};
    (void)state;
    test_env_open(&e, 1);
    e.env.mem = (wf_mem){resize, release, &m};
    for (const wf_mixer *const *row = wf_mixers; *row; row++)
        for (int bf16 = 0; bf16 < 2 && !strstr((*row)->inputs, " memory ") && !strstr((*row)->inputs, "side"); bf16++)
            check_row(&e, &m, *row, bf16);
    test_env_close(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
