/* format.c - fixtures of kind `format`: files that must be taken, refused, or either; what is refused is told with its reason
 * and where it stands, within limits of time and memory. One row per kind of file says how it is opened and used. */
#include <string.h>
#include "base/reader.h"
#include "families/family.h"
#include "formats/shards.h"
#include "gen/session.h"
#include "model/model.h"
#include "text/file_kinds.h"
#include "verify/fixture.h"
#include "verify/meter.h"

enum { SMALL = 64 << 20, TOKENS = 3 }; /* bytes for files of a few KiB, the tables of families and a small model included */

typedef struct format_run {
    wf_fixture *fx;
    wf_families families;
    size_t files, wrong;
    weft_error *err;         /* the first file that is not as it should be */
    const char *unsupported; /* a kind of file without a row */
} format_run;

typedef struct subject { /* bytes of a file */
    const char *name;
    const uint8_t *data;
    size_t size;
} subject;

/* ---- kinds of files ---- */
typedef struct format_row {
    const char *name;
    weft_status (*use)(const format_run *run, const wf_env *env, const subject *s, weft_error *err);
} format_row;

static weft_status use_tensors(const format_run *run, const wf_env *env, const subject *s, weft_error *err) {
    wf_tensor_file *file;
    (void)run;
    WF_TRY(wf_tensor_file_parse(&env->mem, wf_format_of(s->name, s->data, s->size), s->data, s->size, &file, err));
    wf_tensor_file_free(file);
    return WEFT_OK;
}

/* The model with random weights, and the tokens 0, 1, 2. */
static weft_status run_tokens(const wf_env *env, const wf_json *spec, weft_error *err) {
    wf_model *model;
    wf_session *session = NULL;
    const float *logits;
    WF_TRY(wf_model_create(env, spec, &model, err));
    weft_status status = wf_params_allocate(&model->params, err);
    if (status == WEFT_OK) {
        int32_t ids[TOKENS];
        wf_params_init(&model->params, 1);
        for (int i = 0; i < TOKENS; i++)
            ids[i] = i % (int32_t)model->spec->vocab;
        status = wf_session_create(model, 1, TOKENS, &session, err);
        if (status == WEFT_OK)
            status = wf_session_feed(session, ids, TOKENS, &logits, err);
    }
    wf_session_free(session);
    wf_model_free(model);
    return status;
}

static weft_status use_config_in(const format_run *run, const wf_env *env, wf_arena *arena, const subject *s, weft_error *err) {
    wf_json *config, *spec;
    const wf_family *family;
    WF_TRY(wf_config_parse(arena, (const char *)s->data, s->size, &config, err));
    WF_TRY(wf_family_of_config(&run->families, config, &family, err));
    WF_TRY(wf_family_spec(family, arena, config, &(wf_config_options){.env = NULL}, &spec, err));
    return run_tokens(env, spec, err);
}

static weft_status use_config(const format_run *run, const wf_env *env, const subject *s, weft_error *err) {
    wf_arena arena;
    wf_arena_init(&arena, &env->mem, 0);
    weft_status status = use_config_in(run, env, &arena, s, err);
    wf_arena_free(&arena);
    return status == WEFT_USAGE ? WEFT_BAD_INPUT : status; /* a config no model can be made of */
}

static weft_status encode(const wf_tokenizer *tok, const wf_mem *mem, weft_error *err) {
    static const char *const texts[] = {"a ab abc zq \xC3\xA9", "aaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbb"};
    wf_encoder *e;
    WF_TRY(wf_encoder_create(tok, &e, err));
    weft_status status = WEFT_OK;
    for (size_t i = 0; i < sizeof texts / sizeof *texts && status == WEFT_OK; i++) {
        wf_encoding g = wf_encoding_new(mem);
        wf_str text = wf_str_new(mem);
        wf_text_input in = {.text = {texts[i], strlen(texts[i])}};
        status = wf_encode_text(e, &in, NULL, WF_ENCODE_SPECIALS, &g, err);
        if (status == WEFT_OK)
            status = wf_tokenizer_decode(tok, g.ids, g.count, WF_DECODE_TEXT, &text, err);
        wf_encoding_free(&g);
        wf_str_free(&text);
    }
    wf_encoder_free(e);
    return status;
}

static weft_status use_tokenizer(const format_run *run, const wf_env *env, const subject *s, weft_error *err) {
    bool json = wf_ends_with(s->name, ".json");
    const wf_file_kind *kind = wf_file_kind_find(json ? "tokenizer.json" : "vocab.txt");
    wf_bytes bytes = {(const char *)s->data, s->size};
    wf_tokenizer *tok;
    (void)run;
    WF_TRY(wf_tokenizer_read_as(&env->mem, kind, &bytes, NULL, &tok, err));
    weft_status status = encode(tok, &env->mem, err);
    wf_tokenizer_free(tok);
    return status == WEFT_NO_MEMORY || status == WEFT_FAILURE ? status : WEFT_OK; /* a text it has no tokens for is told */
}

static const format_row rows[] = {
    {"safetensors", use_tensors},      {"npy", use_tensors},         {"config.json", use_config},
    {"tokenizer.json", use_tokenizer}, {"vocab.txt", use_tokenizer},
};

static const format_row *find_row(const char *name) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (wf_streq(rows[i].name, name))
            return &rows[i];
    return NULL;
}

/* ---- verdicts ---- */
typedef struct limits {
    double seconds;
    size_t bytes;
} limits;

static void wrong(format_run *run, const char *name, const char *what, const char *message) {
    if (run->wrong++ == 0)
        wf_fail(run->err, WEFT_MISMATCH, "%s: %s%s%s", name, what, *message ? ": " : "", message);
}

/* Whether a message says where: a byte, or a key in quotes. */
static bool is_located(const weft_error *e) { return e->offset >= 0 || strchr(e->message, '\''); }

static void judge(format_run *run, const char *name, const char *expect, weft_status status, const weft_error *said) {
    bool refused = status == WEFT_BAD_INPUT || status == WEFT_UNSUPPORTED;
    run->files++;
    if (status != WEFT_OK && !refused)
        wrong(run, name, "it failed", said->message);
    else if (wf_streq(expect, "reject") && !refused)
        wrong(run, name, "it must be refused", "");
    else if (wf_streq(expect, "accept") && refused)
        wrong(run, name, "it must be taken", said->message);
    else if (refused && (!said->message[0] || !is_located(said)))
        wrong(run, name, "the message does not say where", said->message);
}

static void check_subject(format_run *run, const format_row *row, const subject *s, const char *expect, const limits *limit) {
    wf_meter meter;
    wf_env env = *run->fx->env;
    weft_error said = {.offset = -1};
    env.log = NULL;
    env.mem = wf_meter_hook(&meter, &run->fx->env->mem, limit->bytes);
    double start = wf_cpu_seconds();
    weft_status status = row->use(run, &env, s, &said);
    double seconds = wf_cpu_seconds() - start;
    judge(run, s->name, expect, status, &said);
    if (atomic_load(&meter.refused))
        wrong(run, s->name, "it asks for more memory than its limit", "");
    if (atomic_load(&meter.used) != 0)
        wrong(run, s->name, "memory is lost", "");
    if (seconds > limit->seconds)
        wrong(run, s->name, "it takes more time than its limit", "");
}

/* ---- a manifest of files ---- */
static weft_status parse_list(const format_run *run, const char *key, wf_json **out) {
    const char *path = wf_path_join(&run->fx->arena, run->fx->path, wf_json_text(run->fx->json, key, ""));
    if (!path)
        return wf_fail_memory(run->err);
    WF_TRY(wf_json_parse_file(&run->fx->arena, path, out, run->err));
    WF_CHECK((*out)->kind == WF_JSON_ARRAY, run->err, WEFT_BAD_INPUT, "%s is no list", path);
    return WEFT_OK;
}

static weft_status check_file(format_run *run, const format_row *row, const wf_json *entry) {
    static const limits small = {1.0, SMALL};
    const char *name = wf_json_text(entry, "file", "");
    char *path;
    wf_file file;
    WF_TRY(wf_path_inside(&run->fx->arena, run->fx->path, name, &path, run->err));
    WF_TRY(wf_file_open(&run->fx->env->mem, path, false, 0, &file, run->err));
    subject s = {name, file.data, file.size};
    check_subject(run, row, &s, wf_json_text(entry, "expect", "any"), &small);
    wf_file_close(&file);
    return WEFT_OK;
}

static weft_status check_files(format_run *run) {
    const char *name = wf_json_text(run->fx->json, "format_name", "");
    const format_row *row = find_row(name);
    wf_json *manifest;
    WF_CHECK(row, run->err, WEFT_UNSUPPORTED, "files of format %s", name);
    WF_TRY(parse_list(run, "manifest", &manifest));
    for (const wf_json *j = manifest->child; j; j = j->next)
        WF_TRY(check_file(run, row, j));
    return WEFT_OK;
}

/* ---- folders of shards ---- */
static bool same_bytes(const wf_stored_tensor *a, const wf_stored_tensor *b) {
    bool same = b && wf_streq(a->dtype, b->dtype) && a->rank == b->rank && a->size == b->size;
    for (int i = 0; same && i < a->rank; i++)
        same = a->dims[i] == b->dims[i];
    return same && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static void compare_shards(format_run *run, const char *name, const wf_shards *shards) {
    const wf_safetensors *expected = run->fx->expected;
    if (!expected || wf_shards_count(shards) != wf_safetensors_count(expected))
        wrong(run, name, "it has another number of tensors than expected", "");
    for (size_t i = 0; expected && i < wf_safetensors_count(expected); i++) {
        const wf_stored_tensor *t = wf_safetensors_at(expected, i);
        run->fx->compared[i] = true;
        if (!same_bytes(t, wf_shards_find(shards, t->name)))
            wrong(run, name, "a tensor differs", t->name);
    }
}

static weft_status check_folders(format_run *run) {
    wf_json *manifest;
    WF_TRY(parse_list(run, "manifest", &manifest));
    for (const wf_json *j = manifest->child; j; j = j->next) {
        const char *name = wf_json_text(j, "folder", ""), *expect = wf_json_text(j, "expect", "any");
        weft_error said = {.offset = -1};
        wf_shards *shards;
        char *path;
        WF_TRY(wf_path_inside(&run->fx->arena, run->fx->path, name, &path, run->err));
        weft_status status = wf_shards_open(&run->fx->env->mem, path, &shards, &said);
        judge(run, name, expect, status, &said);
        if (status != WEFT_OK)
            continue;
        if (wf_streq(expect, "accept"))
            compare_shards(run, name, shards);
        wf_shards_free(shards);
    }
    return WEFT_OK;
}

/* ---- files with their content ---- */
static int hex_digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

static bool is_hex_of(const char *hex, const wf_stored_tensor *t) {
    const uint8_t *bytes = t->data;
    if (strlen(hex) != 2 * t->size)
        return false;
    for (size_t i = 0; i < t->size; i++)
        if (hex_digit(hex[2 * i]) * 16 + hex_digit(hex[2 * i + 1]) != bytes[i])
            return false;
    return true;
}

static bool is_as_told(const wf_stored_tensor *t, const wf_json *told) {
    const wf_json *shape = wf_json_get(told, "shape");
    bool same = t && wf_json_is_string(wf_json_get(told, "dtype"), t->dtype) && shape && shape->count == (size_t)t->rank;
    for (int i = 0; same && i < t->rank; i++)
        same = wf_json_at(shape, (size_t)i)->integer == t->dims[i];
    return same && is_hex_of(wf_json_text(told, "hex", ""), t);
}

static bool has_told(const wf_safetensors *file, const wf_json *entry) {
    const wf_json *tensors = wf_json_get(entry, "tensors"), *metadata = wf_json_get(entry, "metadata");
    size_t n_metadata;
    wf_safetensors_metadata(file, &n_metadata);
    bool same = tensors && wf_safetensors_count(file) == tensors->count && n_metadata == (metadata ? metadata->count : 0);
    for (const wf_json *j = tensors ? tensors->child : NULL; same && j; j = j->next)
        same = is_as_told(wf_safetensors_find(file, j->key), j);
    for (const wf_json *j = metadata ? metadata->child : NULL; same && j; j = j->next)
        same = wf_json_is_string(j, wf_safetensors_text(file, j->key));
    return same;
}

/* Written again it says the same. */
static weft_status write_again(const format_run *run, const wf_safetensors *file, wf_str *out) {
    size_t n = wf_safetensors_count(file);
    wf_tensor_plan *plan = wf_arena_alloc(&run->fx->arena, n * sizeof *plan);
    wf_safetensors_plan whole = {.tensors = plan, .n_tensors = n};
    int64_t size;
    if (!plan)
        return wf_fail_memory(run->err);
    for (size_t i = 0; i < n; i++) {
        const wf_stored_tensor *t = wf_safetensors_at(file, i);
        plan[i] = (wf_tensor_plan){.name = t->name, .rank = t->rank, .dims = t->dims, .dtype = t->dtype};
    }
    wf_safetensors_order(plan, n);
    whole.metadata = wf_safetensors_metadata(file, &whole.n_metadata);
    WF_TRY(wf_safetensors_header(&whole, out, &size, run->err));
    for (size_t i = 0; i < n; i++) {
        const wf_stored_tensor *t = wf_safetensors_find(file, plan[i].name);
        wf_str_put(out, t->data, t->size);
    }
    return out->failed ? wf_fail_memory(run->err) : WEFT_OK;
}

static weft_status check_content(format_run *run, const wf_json *entry, const wf_safetensors *file, const char *name) {
    wf_str copy = wf_str_new(&run->fx->env->mem);
    wf_safetensors *again = NULL;
    if (!has_told(file, entry))
        wrong(run, name, "it does not hold what is expected", "");
    weft_status status = write_again(run, file, &copy);
    if (status == WEFT_OK)
        status = wf_safetensors_parse(&run->fx->env->mem, copy.data, copy.length, &again, run->err);
    if (status == WEFT_OK && !has_told(again, entry))
        wrong(run, name, "written again, it does not hold what is expected", "");
    wf_safetensors_free(again);
    wf_str_free(&copy);
    return status;
}

static weft_status check_contents(format_run *run) {
    wf_json *expected;
    WF_TRY(parse_list(run, "expected", &expected));
    for (const wf_json *j = expected->child; j; j = j->next) {
        const char *name = wf_json_text(j, "file", "");
        weft_error said = {.offset = -1};
        wf_safetensors *file = NULL;
        char *path;
        WF_TRY(wf_path_inside(&run->fx->arena, run->fx->path, name, &path, run->err));
        weft_status status = wf_safetensors_open(&run->fx->env->mem, path, &file, &said);
        judge(run, name, "accept", status, &said);
        if (status == WEFT_OK)
            status = check_content(run, j, file, name);
        wf_safetensors_free(file);
        if (status == WEFT_NO_MEMORY)
            return wf_fail_memory(run->err);
    }
    return WEFT_OK;
}

/* ---- files that are made: prefix + repeat * count + suffix ---- */
static void put_size(wf_str *out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        wf_str_putc(out, (char)(value >> (8 * i) & 0xff));
}

/* The end of the last "data_offsets". */
static int64_t asked_bytes(const char *suffix) {
    const char *at = strstr(suffix, "data_offsets"), *comma = at ? strchr(at, ',') : NULL;
    int64_t bytes = 0;
    if (comma)
        wf_parse_i64(comma + 1, strspn(comma + 1, "0123456789"), &bytes);
    return bytes;
}

static void make(const wf_json *entry, wf_str *out) {
    static const char zeros[64] = {0};
    const char *prefix = wf_json_text(entry, "prefix", ""), *repeat = wf_json_text(entry, "repeat", ""),
               *suffix = wf_json_text(entry, "suffix", ""), *format = wf_json_text(entry, "format", "");
    int64_t count = wf_json_int(entry, "count", 0), data = asked_bytes(suffix);
    uint64_t length = strlen(prefix) + strlen(repeat) * (uint64_t)count + strlen(suffix);
    if (wf_streq(format, "safetensors"))
        put_size(out, length, 8);
    if (wf_streq(format, "npy")) {
        wf_str_put(out, "\x93NUMPY\x02\x00", 8);
        put_size(out, length, 4);
    }
    wf_str_puts(out, prefix);
    for (int64_t i = 0; i < count && !out->failed; i++)
        wf_str_puts(out, repeat);
    wf_str_puts(out, suffix);
    wf_str_put(out, zeros, (size_t)data < sizeof zeros ? (size_t)data : sizeof zeros);
}

static weft_status check_generated(format_run *run) {
    wf_json *list;
    WF_TRY(parse_list(run, "generators", &list));
    for (const wf_json *j = list->child; j; j = j->next) {
        const wf_json *given = wf_json_get(j, "limits");
        const char *format = wf_json_text(j, "format", "");
        const format_row *row = find_row(format);
        const limits limit = {wf_json_double(given, "seconds", 10), (size_t)wf_json_int(given, "memory_MiB", 1024) << 20};
        wf_str bytes = wf_str_new(&run->fx->env->mem);
        if (!row) {
            run->unsupported = format;
            continue;
        }
        make(j, &bytes);
        char *name = wf_arena_printf(&run->fx->arena, "%s.%s", wf_json_text(j, "name", ""), format);
        if (bytes.failed || !name) {
            wf_str_free(&bytes);
            return wf_fail_memory(run->err);
        }
        subject s = {name, (const uint8_t *)bytes.data, bytes.length};
        check_subject(run, row, &s, wf_json_text(j, "expect", "any"), &limit);
        wf_str_free(&bytes);
    }
    return WEFT_OK;
}

/* ---- the fixture ---- */
static weft_status check_all(format_run *run) {
    const wf_json *json = run->fx->json;
    WF_TRY(wf_families_open(&run->fx->env->mem, &run->families, run->err));
    weft_status status = wf_json_get(json, "generators") ? check_generated(run)
                         : wf_json_get(json, "folders")  ? check_folders(run)
                         : wf_json_get(json, "expected") ? check_contents(run)
                                                         : check_files(run);
    wf_families_close(&run->families);
    return status;
}

weft_status wf_verify_format(wf_fixture *fx, weft_error *err) {
    format_run run = {.fx = fx, .err = err};
    weft_error first = {.offset = -1};
    run.err = &first;
    weft_status status = check_all(&run);
    fx->n_compared += run.files;
    if (status == WEFT_OK && run.wrong > 0)
        return wf_fail(err, WEFT_MISMATCH, "%zu of %zu files: %s", run.wrong, run.files, first.message);
    if (status != WEFT_OK)
        return wf_fail(err, status, "%s", first.message);
    WF_CHECK(!run.unsupported, err, WEFT_UNSUPPORTED, "files of format %s (the other %zu are right)", run.unsupported,
             run.files);
    return WEFT_OK;
}
