/* Checkpoints: what is saved comes back bit for bit and training goes on as if nothing had been; damage anywhere is found,
 * named and stepped over. */
#include "train/checkpoint.h"
#include "support/model.h"
#include <stdlib.h>
#include <unistd.h>
#include "base/reader.h"

enum { VOCAB = 17, ROWS = 8, BATCH = 2 };

static const char *const recurrent = "{\"dim\": 16, \"vocab\": 17, \"layers\": 2, \"block\": {\"mixer\": \"gru\", \"dropout\": "
                                     "0.1, \"channel\": {\"mixer\": \"mlp\", \"hidden\": 20}}}";
/* Its buffers are drawn anew as training goes on. */
static const char *const redrawn = "{\"dim\": 16, \"vocab\": 17, \"layers\": 2, \"block\": {\"mixer\": {\"mixer\": "
                                   "\"performer\", \"heads\": 2, \"causal\": true, "
                                   "\"rows\": 9, \"redraw\": 2}, \"channel\": {\"mixer\": \"mlp\", \"hidden\": 20}}}";

typedef struct world {
    test_env e;
    wf_model *model;
    wf_trainer *trainer;
    const char *spec;
    char folder[64];
    char log[1024];
} world;

static void on_log(void *user, int level, const char *line) {
    world *w = user;
    if (level <= WF_WARN)
        snprintf(w->log, sizeof w->log, "%s", line);
}

static void open_run(world *w) {
    weft_error err = {0};
    w->model = test_model(&w->e, w->spec, 5);
    wf_trainer_options o = {.batch = BATCH,
                            .rows = ROWS,
                            .accumulate = 1,
                            .bf16 = true,
                            .optimizer = test_json(&w->e, "{\"name\": \"muon\", \"lr\": 0.02}"),
                            .schedule = test_json(&w->e, "{\"name\": \"linear\", \"warmup_steps\": 2, \"total_steps\": 20}"),
                            .average = "ema",
                            .average_decay = 0.9,
                            .seed = 1};
    if (wf_trainer_create(w->model, &o, &w->trainer, &err) != WEFT_OK)
        fail_msg("%s", err.message);
}

static void close_run(world *w) {
    wf_trainer_free(w->trainer);
    wf_model_free(w->model);
}

static void open_world(world *w, const char *spec) {
    memset(w, 0, sizeof *w);
    w->spec = spec;
    test_env_open(&w->e, 1);
    w->e.env.log = on_log;
    w->e.env.log_user = w;
    strcpy(w->folder, "/tmp/weft-checkpoint-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    open_run(w);
}

static void close_world(world *w) {
    close_run(w);
    assert_int_equal(wf_checkpoint_clear(&w->e.env.mem, w->folder, NULL), WEFT_OK);
    assert_int_equal(rmdir(w->folder), 0); /* nothing else was left there */
    test_env_close(&w->e);
}

static void steps(world *w, int n) {
    for (int i = 0; i < n; i++) {
        int32_t ids[BATCH * ROWS], targets[BATCH * ROWS];
        wf_step_result r;
        weft_error err = {0};
        for (int k = 0; k < BATCH * ROWS; k++) {
            ids[k] = (int32_t)((wf_trainer_steps(w->trainer) * 7 + k * 3) % VOCAB);
            targets[k] = (ids[k] + 1) % VOCAB;
        }
        if (wf_trainer_step(w->trainer, &(wf_train_batch){.ids = ids, .targets = targets}, &r, &err) != WEFT_OK)
            fail_msg("%s", err.message);
    }
}

static void save(world *w) {
    weft_error err = {0};
    wf_json *loop = wf_json_new(&w->e.arena, WF_JSON_OBJECT);
    wf_json_put(&w->e.arena, loop, "step", wf_json_new_int(&w->e.arena, wf_trainer_steps(w->trainer)));
    wf_json_put(&w->e.arena, loop, "cursor", wf_json_new_int(&w->e.arena, 1234567890123));
    if (wf_checkpoint_save(w->trainer, w->model, w->folder, loop, &err) != WEFT_OK)
        fail_msg("%s", err.message);
}

static weft_status load(world *w, bool *found, wf_json **loop, weft_error *err) {
    close_run(w);
    open_run(w);
    w->log[0] = 0;
    return wf_checkpoint_load(w->trainer, w->model, w->folder, &w->e.arena, loop, found, err);
}

static void round_trip(const char *spec) {
    world w;
    wf_json *loop;
    bool found = true;
    weft_error err = {0};
    open_world(&w, spec);
    assert_int_equal(load(&w, &found, &loop, &err), WEFT_OK);
    assert_false(found);
    steps(&w, 9);
    uint64_t expected = wf_params_digest(&w.model->params);
    for (int at = 0; at <= 9; at += 3) {
        close_run(&w);
        open_run(&w);
        steps(&w, at);
        save(&w);
        assert_int_equal(load(&w, &found, &loop, &err), WEFT_OK);
        assert_true(found && w.log[0] == 0);
        assert_int_equal(wf_trainer_steps(w.trainer), at);
        assert_int_equal(wf_json_int(loop, "cursor", 0), 1234567890123);
        steps(&w, 9 - at);
        assert_int_equal(wf_params_digest(&w.model->params), expected);
    }
    close_world(&w);
}

static void test_round_trip(void **state) {
    (void)state;
    round_trip(recurrent);
    round_trip(redrawn);
}

static void newest(world *w, char path[128]) {
    char **names;
    size_t n;
    assert_int_equal(wf_list_dir(&w->e.arena, w->folder, &names, &n, NULL), WEFT_OK);
    assert_int_equal(n, 2); /* the two newest are kept */
    snprintf(path, 128, "%s/%s", w->folder, names[1]);
}

/* Every byte of the file that matters, one flipped at a time. */
static void test_damage(void **state) {
    world w;
    wf_json *loop;
    bool found;
    char path[128];
    wf_file file;
    (void)state;
    open_world(&w, recurrent);
    steps(&w, 1);
    save(&w);
    steps(&w, 1);
    save(&w);
    steps(&w, 1);
    save(&w);
    newest(&w, path);
    assert_int_equal(wf_file_open(&wf_mem_default, path, false, 0, &file, NULL), WEFT_OK);
    char *bytes = malloc(file.size);
    assert_non_null(bytes);
    for (size_t at = 0; at < file.size; at += 1 + file.size / 97) {
        weft_error err = {0};
        memcpy(bytes, file.data, file.size);
        bytes[at] = (char)(bytes[at] ^ 0x20);
        assert_int_equal(wf_write_file(&wf_mem_default, path, bytes, file.size, NULL), WEFT_OK);
        assert_int_equal(load(&w, &found, &loop, &err), WEFT_OK);
        if (wf_trainer_steps(w.trainer) != 2 || !strstr(w.log, "trying the checkpoint before it"))
            fail_msg("byte %zu: at step %lld; %s", at, (long long)wf_trainer_steps(w.trainer), w.log);
    }
    for (size_t size = 0; size < file.size; size += 1 + file.size / 31) {
        weft_error err = {0};
        assert_int_equal(wf_write_file(&wf_mem_default, path, (const char *)file.data, size, NULL), WEFT_OK);
        assert_int_equal(load(&w, &found, &loop, &err), WEFT_OK);
        assert_int_equal(wf_trainer_steps(w.trainer), 2);
    }
    free(bytes);
    wf_file_close(&file);
    close_world(&w);
}

/* A checkpoint of another model, and none that is whole. */
static void test_refused(void **state) {
    world w;
    wf_json *loop;
    bool found;
    weft_error err = {0};
    (void)state;
    open_world(&w, recurrent);
    save(&w);
    wf_model *other = test_model(&w.e, "{\"dim\": 16, \"vocab\": 17, \"layers\": 2, \"block\": {\"mixer\": \"lstm\"}}", 5);
    wf_trainer *t;
    wf_trainer_options o = {.batch = 1, .rows = 4, .accumulate = 1, .optimizer = test_json(&w.e, "{\"name\": \"adamw\"}")};
    assert_int_equal(wf_trainer_create(other, &o, &t, &err), WEFT_OK);
    uint64_t before = wf_params_digest(&other->params);
    assert_int_equal(wf_checkpoint_load(t, other, w.folder, &w.e.arena, &loop, &found, &err), WEFT_BAD_INPUT);
    assert_non_null(strstr(err.message, "tensor '"));
    assert_int_equal(wf_params_digest(&other->params), before);
    wf_trainer_free(t);
    wf_model_free(other);
    close_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_damage),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
