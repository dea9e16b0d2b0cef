/* A model folder says the same in every kind of file: one safetensors file, shards with an index, PyTorch's pickle. The model
 * opened from each has equal bits, and so has what is saved of it. */
#include <zlib.h>
#include "base/reader.h"
#include "families/load.h"
#include "formats/shards.h"
#include "formats/shards_write.h"
#include "support/model.h"

#define FIXTURES WEFT_SOURCE_DIR "/tests/fixtures/"
#define SCRATCH WEFT_BINARY_DIR "/files-scratch"

/* ---- a zip of stored members, as torch.save writes it ---- */
typedef struct zip {
    wf_str bytes, directory;
    int members;
} zip;

static void put_number(wf_str *s, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        wf_str_putc(s, (char)(i < 8 ? value >> (8 * i) & 255 : 0));
}

/* What both headers of a member hold: version, flags, method, time, check, sizes, length of the name. */
static void put_facts(wf_str *s, const char *name, const void *data, size_t size) {
    put_number(s, 20, 2);
    put_number(s, 0, 8);
    put_number(s, crc32_z(0, data, size), 4);
    put_number(s, size, 4);
    put_number(s, size, 4);
    put_number(s, strlen(name), 2);
    put_number(s, 0, 2);
}

static void add_member(zip *z, const char *name, const void *data, size_t size) {
    size_t at = z->bytes.length;
    wf_str_puts(&z->bytes, "PK\3\4");
    put_facts(&z->bytes, name, data, size);
    wf_str_puts(&z->bytes, name);
    wf_str_put(&z->bytes, data, size);
    wf_str_puts(&z->directory, "PK\1\2");
    put_number(&z->directory, 20, 2);
    put_facts(&z->directory, name, data, size);
    put_number(&z->directory, 0, 10);
    put_number(&z->directory, at, 4);
    wf_str_puts(&z->directory, name);
    z->members++;
}

static void finish_zip(zip *z) {
    size_t at = z->bytes.length;
    wf_str_put(&z->bytes, z->directory.data, z->directory.length);
    wf_str_puts(&z->bytes, "PK\5\6");
    put_number(&z->bytes, 0, 4);
    put_number(&z->bytes, (uint64_t)z->members, 2);
    put_number(&z->bytes, (uint64_t)z->members, 2);
    put_number(&z->bytes, z->directory.length, 4);
    put_number(&z->bytes, at, 4);
    put_number(&z->bytes, 0, 2);
}

/* ---- pytorch_model.bin ---- */
static void put_text(wf_str *s, const char *text) {
    wf_str_putc(s, 'X');
    put_number(s, strlen(text), 4);
    wf_str_puts(s, text);
}

static void put_tuple(wf_str *s, int rank, const int64_t *values) {
    wf_str_putc(s, '(');
    for (int i = 0; i < rank; i++) {
        wf_str_putc(s, 'J');
        put_number(s, (uint64_t)values[i], 4);
    }
    wf_str_putc(s, 't');
}

/* torch._utils._rebuild_tensor_v2(storage, 0, dims, strides, False, OrderedDict()) */
static void put_tensor(wf_str *s, const wf_stored_tensor *t, const char *key) {
    int64_t strides[16] = {0}, count = 1;
    for (int i = t->rank; i-- > 0; count *= t->dims[i])
        strides[i] = count;
    put_text(s, t->name);
    wf_str_puts(s, "ctorch._utils\n_rebuild_tensor_v2\n((");
    put_text(s, "storage");
    wf_str_puts(s, "ctorch\nFloatStorage\n");
    put_text(s, key);
    put_text(s, "cpu");
    wf_str_putc(s, 'J');
    put_number(s, (uint64_t)count, 4);
    wf_str_put(s, "tQK\0", 4);
    put_tuple(s, t->rank, t->dims);
    put_tuple(s, t->rank, strides);
    wf_str_puts(s, "\x89"
                   "ccollections\nOrderedDict\n)RtR");
}

static void write_pickle(test_env *e, wf_shards *from, const char *folder) {
    zip z = {wf_str_new(&e->env.mem), wf_str_new(&e->env.mem), 0};
    wf_str pickle = wf_str_new(&e->env.mem);
    wf_str_puts(&pickle, "\x80\2}(");
    for (size_t i = 0; i < wf_shards_count(from); i++)
        put_tensor(&pickle, wf_shards_at(from, i), wf_arena_printf(&e->arena, "%zu", i));
    wf_str_puts(&pickle, "u.");
    add_member(&z, "archive/data.pkl", pickle.data, pickle.length);
    for (size_t i = 0; i < wf_shards_count(from); i++)
        add_member(&z, wf_arena_printf(&e->arena, "archive/data/%zu", i), wf_shards_at(from, i)->data,
                   wf_shards_at(from, i)->size);
    finish_zip(&z);
    const char *path = wf_path_join(&e->arena, folder, "pytorch_model.bin");
    assert_int_equal(wf_write_file(&e->env.mem, path, z.bytes.data, z.bytes.length, NULL), WEFT_OK);
    wf_str_free(&pickle);
    wf_str_free(&z.bytes);
    wf_str_free(&z.directory);
}

/* ---- shards ---- */
static weft_status bytes_of(void *user, size_t i, const void **data, size_t *size, weft_error *err) {
    const wf_stored_tensor *t = wf_shards_at(user, i);
    (void)err;
    *data = t->data;
    *size = t->size;
    return WEFT_OK;
}

static void write_shards(test_env *e, wf_shards *from, const char *folder) {
    size_t n = wf_shards_count(from), all = 0, files;
    wf_tensor_plan *plan = wf_arena_alloc(&e->arena, n * sizeof *plan);
    for (size_t i = 0; i < n; i++) {
        const wf_stored_tensor *t = wf_shards_at(from, i);
        plan[i] = (wf_tensor_plan){t->name, (wf_dtype)t->type, t->rank, t->dims, t->dtype};
        all += t->size;
    }
    assert_int_equal(wf_shards_write(&e->env.mem, folder, &(wf_shards_plan){plan, n, all / 3, bytes_of, from}, &files, NULL),
                     WEFT_OK);
    assert_true(files >= 3);
}

/* ---- the same model ---- */
static uint64_t digest_of(test_env *e, const char *folder, const char *saved) {
    wf_checkpoint c;
    weft_error err = {0};
    if (wf_checkpoint_open(&e->env, folder, &(wf_load_options){.strict = true}, &c, &err) != WEFT_OK)
        fail_msg("%s: %s", folder, err.message);
    if (saved && wf_model_save(c.model, saved, NULL, &err) != WEFT_OK)
        fail_msg("%s: %s", saved, err.message);
    uint64_t digest = wf_params_digest(&c.model->params);
    wf_checkpoint_close(&c);
    return digest;
}

static void write_as(test_env *e, wf_shards *from, const char *config, const char *folder,
                     void (*write)(test_env *, wf_shards *, const char *)) {
    wf_file file;
    assert_int_equal(wf_make_dir(folder, NULL), WEFT_OK);
    assert_int_equal(wf_file_open(&e->env.mem, config, false, 1 << 20, &file, NULL), WEFT_OK);
    assert_int_equal(wf_write_file(&e->env.mem, wf_path_join(&e->arena, folder, "config.json"), file.data, file.size, NULL),
                     WEFT_OK);
    wf_file_close(&file);
    write(e, from, folder);
}

static void test_kinds(void **state) {
    static const char *const fixtures[] = {"decoders/gpt2-right-padded-types",
                                           "decoders/llama-gqa-bias-tied",
                                           "encoders/roberta-qa",
                                           "encoders/bert-tokcls",
                                           "recurrent/mamba2-groups",
                                           "seq2seq/t5-greedy"};
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    for (size_t i = 0; i < sizeof fixtures / sizeof *fixtures; i++) {
        const char *folder = wf_path_join(&e.arena, FIXTURES, fixtures[i]),
                   *config = wf_path_join(&e.arena, folder, "config.json");
        char *bin = wf_arena_printf(&e.arena, SCRATCH "-%zu-bin", i),
             *shards = wf_arena_printf(&e.arena, SCRATCH "-%zu-shards", i),
             *saved = wf_arena_printf(&e.arena, SCRATCH "-%zu-saved", i);
        wf_shards *from;
        assert_int_equal(wf_shards_open(&e.env.mem, folder, &from, NULL), WEFT_OK);
        write_as(&e, from, config, bin, write_pickle);
        write_as(&e, from, config, shards, write_shards);
        wf_shards_free(from);
        uint64_t digest = digest_of(&e, folder, NULL);
        assert_int_equal(digest_of(&e, bin, saved), digest);
        assert_int_equal(digest_of(&e, saved, NULL), digest);
        assert_int_equal(digest_of(&e, shards, NULL), digest);
    }
    test_env_close(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kinds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
