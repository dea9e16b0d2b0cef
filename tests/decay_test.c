/* Weight decay through the trainer: what a row's list exempts, and what has one dimension, is the same to the bit with and
 * without it; every other matrix is not. Every word of a list is a slot. */
#include "jobs/one_layer.h"
#include "support/model.h"
#include "train/trainer.h"

enum { DIM = 32, ROWS = 16, BATCH = 2 };

/* `name` is among the words of a list "a|b". */
static bool listed(const char *words, const char *name) {
    size_t n = strlen(name);
    for (const char *at = words; at && *at; at += strcspn(at, "|"), at += *at == '|')
        if (strcspn(at, "|") == n && memcmp(at, name, n) == 0)
            return true;
    return false;
}

static wf_model *after_a_step(test_env *e, const wf_json *spec, const char *optimizer) {
    int32_t ids[BATCH * ROWS], targets[BATCH * ROWS];
    wf_trainer *t;
    wf_step_result r;
    weft_error err = {0};
    wf_model *model = test_model_of(e, spec, 5);
    wf_trainer_options o = {.batch = BATCH, .rows = ROWS, .accumulate = 1, .optimizer = test_json(e, optimizer)};
    for (size_t i = 0; i < model->params.count; i++)
        for (int64_t k = 0; k < model->params.list[i]->count; k++)
            model->params.list[i]->value[k] += 0.01f * (float)(1 + k % 5); /* none is zero */
    for (int i = 0; i < BATCH * ROWS; i++) {
        ids[i] = i * 7 % 31;
        targets[i] = ids[i] * 3 % 31;
    }
    if (wf_trainer_create(model, &o, &t, &err) != WEFT_OK ||
        wf_trainer_step(t, &(wf_train_batch){.ids = ids, .targets = targets}, &r, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    wf_trainer_free(t);
    return model;
}

#define ADAMW(decay) "{\"name\": \"adamw\", \"lr\": 0.01, \"no_decay\": \"usual\", \"weight_decay\": " decay "}"

static void check_row(test_env *e, const wf_mixer *row) {
    wf_json *spec;
    weft_error err = {0};
    if (wf_one_layer_spec(&e->arena, row, NULL, DIM, ROWS, &spec, &err) != WEFT_OK)
        fail_msg("%s: %s", row->name, err.message);
    wf_model *with = after_a_step(e, spec, ADAMW("0.3")), *without = after_a_step(e, spec, ADAMW("0.0"));
    const wf_layer *a = with->spec->blocks[0].mixer, *b = without->spec->blocks[0].mixer;
    for (size_t i = 0; i < a->n_slots; i++) {
        const wf_param *p = a->slots[i].param, *q = b->slots[i].param;
        bool exempt = p->rank < 2 || p->buffer || listed(row->no_decay, a->slots[i].row->name);
        bool same = memcmp(p->value, q->value, (size_t)p->count * sizeof *p->value) == 0;
        if (same != exempt)
            fail_msg("%s: %s %s", row->name, p->name, same ? "does not decay" : "decays");
    }
    wf_model_free(with);
    wf_model_free(without);
}

static void test_rows(void **state) {
    test_env e;
    size_t rows = 0;
    (void)state;
    test_env_open(&e, 1);
    for (const wf_mixer *const *row = wf_mixers; *row; row++)
        if ((*row)->no_decay) {
            check_row(&e, *row);
            rows++;
        }
    assert_true(rows > 0);
    test_env_close(&e);
}

static void test_words(void **state) {
    (void)state;
    for (size_t t = 0; t < 2; t++)
        for (const wf_mixer *const *row = t ? wf_channels : wf_mixers; *row; row++) {
            for (const char *at = (*row)->no_decay; at && *at; at += strcspn(at, "|"), at += *at == '|') {
                size_t n = strcspn(at, "|"), found = 0;
                for (const wf_slot *s = (*row)->slots; s && s->name; s++)
                    found += strlen(s->name) == n && memcmp(s->name, at, n) == 0;
                if (found == 0)
                    fail_msg("%s has no slot '%.*s'", (*row)->name, (int)n, at);
            }
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
