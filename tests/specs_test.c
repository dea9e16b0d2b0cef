/* Specs of every row of the mixer tables, drawn at random from the rows' own options: what is accepted runs forward, backward
 * and (where it streams) decodes, and what is refused says why in one line that names the layer. Nothing may crash: run it with
 * sanitizers. WEFT_SPEC_CASES asks for more cases of each row. */
#include "support/mixer_cases.h"
#include "support/model.h"
#include <stdlib.h>
#include "base/str.h"
#include "gen/session.h"
#include "jobs/one_layer.h"
#include "mixers/layer_cost.h"

enum { CASES = 30, MOST_PARAMS = 100000, MOST_BYTES = 1 << 26 };

/* Sizes that a spec may ask for but a test cannot have. */
static void *resize(void *user, void *block, size_t size) {
    (void)user;
    return size > MOST_BYTES ? NULL : realloc(block, size);
}
static void release(void *user, void *block) {
    (void)user;
    free(block);
}

typedef struct chance { /* draws by counter */
    wf_rng rng;
    uint64_t next;
} chance;

static size_t below(chance *c, size_t n) { return (size_t)wf_rng_below(c->rng, c->next++, n); }

static const char *const values[][12] = {
    [WF_KEY_INT] = {"0", "1", "2", "3", "4", "5", "8", "13", "-1", "1000000000", "null", "\"2\""},
    [WF_KEY_FLOAT] = {"0", "0.5", "1", "-1", "1e-6", "1e9", "1e300", "2", "null", "0.1", "-0.5", "[]"},
    [WF_KEY_BOOL] = {"true", "false", "true", "false", "true", "false", "null", "1", "true", "false", "true", "false"},
    [WF_KEY_STRING] = {"\"nonsense\"", "\"\"", "null", "1", "\"silu\"", "\"none\"", "\"after\"", "\"max\"", "\"all\"",
                       "\"sum\"", "{}", "\"relu\""},
    [WF_KEY_LIST] = {"[]", "[0]", "[1, 2]", "[2, 2, 2]", "[\"q\"]", "[3, 0]", "[null, 1]", "[4, 4]", "[13, 1]", "null",
                     "[\"o\", \"v\"]", "[-1, 2]"},
    [WF_KEY_OBJECT] = {"{}", "null", "{\"nothing\": 1}", "{}", "{\"theta\": 0}", "{\"dim\": 2}", "{\"hidden\": 6}",
                       "{\"heads\": 2}", "{\"mixer\": \"lstm\"}", "{\"kind\": \"l2\"}", "{\"w\": 3}", "[]"},
    [WF_KEY_ANY] = {"0", "2", "[2, 2]", "5", "true", "null", "[]", "4", "[2, 3]", "\"x\"", "-2", "[4]"}};

/* One of the words a string may be, half of the time. */
static void put_value(wf_str *out, const wf_key *key, chance *c) {
    if (key->type == WF_KEY_STRING && key->choices && below(c, 2)) {
        size_t n = 1;
        for (const char *at = key->choices; *at; at++)
            n += *at == '|';
        const char *word = key->choices;
        for (size_t skip = below(c, n); skip > 0; skip--)
            word = strchr(word, '|') + 1;
        wf_str_printf(out, "\"%.*s\"", (int)strcspn(word, "|"), word);
        return;
    }
    wf_str_puts(out, values[key->type][below(c, COUNT_OF(values[0]))]);
}

/* A spec of the row from the table of cases, with up to three options drawn anew. */
static wf_json *draw_options(test_env *e, const wf_mixer *row, chance *c) {
    size_t of_row = 0, n = 0;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        of_row += strcmp(cases[i].mixer, row->name) == 0;
    size_t which = below(c, of_row), at = 0;
    while (strcmp(cases[at].mixer, row->name) != 0 || which-- > 0)
        at++;
    wf_json *options = test_json(e, cases[at].spec);
    while (row->keys[n].name)
        n++;
    for (size_t changes = below(c, 4); changes > 0; changes--) {
        const wf_key *key = &row->keys[below(c, n)];
        wf_str text = wf_str_new(&e->env.mem);
        if (strcmp(key->name, "dim") != 0) {
            put_value(&text, key, c);
            wf_json_put(&e->arena, options, key->name, test_json(e, wf_str_text(&text)));
        }
        wf_str_free(&text);
    }
    return options;
}

static void require(const char *text, weft_status status, const weft_error *err) {
    if (status != WEFT_OK && (err->status != status || !err->message[0] || strchr(err->message, '\n')))
        fail_msg("%s: no clear line: '%s'", text, err->message);
}

/* An option of any row stands in the line, in quotes. */
static bool names_option(const char *line) {
    for (size_t t = 0; t < 2; t++)
        for (const wf_mixer *const *row = t ? wf_channels : wf_mixers; *row; row++)
            for (const wf_key *k = (*row)->keys; k->name; k++) {
                char quoted[64];
                snprintf(quoted, sizeof quoted, "'%s'", k->name);
                if (strstr(line, quoted))
                    return true;
            }
    return false;
}

/* What is refused is refused by one line that names the layer (or a weight of it, too large to be) and an option. */
static void require_named(const char *text, weft_status status, const weft_error *err) {
    require(text, status, err);
    bool named = strstr(err->message, "'block.0.") || strstr(err->message, "has no option '") ||
                 (strstr(err->message, "block 0") && names_option(err->message));
    if (status != WEFT_OK && status != WEFT_NO_MEMORY && !named)
        fail_msg("%s: the layer or the option is not named: '%s'", text, err->message);
}

static void use(test_env *e, const wf_model *model, bool channel, int64_t rows, const char *text) {
    const wf_layer *layer = channel ? model->spec->blocks[0].channel : model->spec->blocks[0].mixer;
    for (int u = WF_LAYER_FORWARD; u <= (wf_layer_streams(layer) ? WF_LAYER_DECODE : WF_LAYER_TRAIN); u++) {
        wf_one_layer one;
        weft_error err = {0};
        const wf_one_layer_how how = {.use = (wf_layer_use)u, .rows = rows, .channel = channel};
        weft_status status = wf_one_layer_record(&e->env, model, &how, &one, &err);
        require_named(text, status, &err);
        if (status == WEFT_OK)
            require(text, wf_one_layer_run(&one, &err), &err);
        wf_one_layer_close(&one);
    }
}

static void run_case(test_env *e, const wf_mixer *row, int number) {
    static const int64_t lengths[] = {1, 2, 3, 8, 13, 16, 32};
    chance c = {wf_rng_make(9, (uint32_t)number, (uint32_t)strlen(row->name) + (uint32_t)row->name[0]), 0};
    int64_t dim = below(&c, 4) ? 12 : 16, rows = lengths[below(&c, COUNT_OF(lengths))];
    wf_str text = wf_str_new(&e->env.mem);
    wf_json *spec;
    wf_model *model;
    weft_error err = {0};
    wf_json_print(&text, draw_options(e, row, &c), 0);
    weft_status status = wf_one_layer_spec(&e->arena, row, wf_str_text(&text), dim, rows, &spec, &err);
    if (status == WEFT_OK)
        status = wf_model_create(&e->env, spec, &model, &err);
    require_named(wf_str_text(&text), status, &err);
    if (status == WEFT_OK) {
        const wf_block_spec *block = &model->spec->blocks[0];
        if (wf_params_total(&model->params) <= MOST_PARAMS && wf_params_allocate(&model->params, NULL) == WEFT_OK &&
            wf_params_allocate_grads(&model->params, NULL) == WEFT_OK) {
            wf_params_init(&model->params, 1);
            use(e, model, block->mixer->row != row, rows, wf_str_text(&text));
        }
        wf_model_free(model);
    }
    wf_str_free(&text);
}

static void test_rows(void **state) {
    const char *more = getenv("WEFT_SPEC_CASES");
    int draws = more ? atoi(more) : CASES;
    (void)state;
    for (size_t t = 0; t < 2; t++)
        for (const wf_mixer *const *row = t ? wf_channels : wf_mixers; *row; row++)
            for (int i = 0; i < draws; i++) {
                test_env e;
                test_env_open(&e, 1);
                e.env.mem = (wf_mem){resize, release, NULL};
                run_case(&e, *row, i);
                test_env_close(&e);
            }
}

/* Values that no option of a type takes. */
static const char *const wrong[][3] = {[WF_KEY_INT] = {"\"two\"", "1.5", "3000000000"},
                                       [WF_KEY_FLOAT] = {"\"two\"", "[]", "true"},
                                       [WF_KEY_BOOL] = {"\"yes\"", "2.5", "[]"},
                                       [WF_KEY_STRING] = {"1", "{}", "\"no such word\""},
                                       [WF_KEY_LIST] = {"3", "\"q\"", "{}"},
                                       [WF_KEY_OBJECT] = {"[]", "\"half\"", "{\"no such member\": 1}"},
                                       [WF_KEY_ANY] = {NULL, NULL, NULL}};

static void refuse_option(test_env *e, const case_row *base, const wf_key *key, const char *value) {
    const wf_mixer *row = wf_mixer_find(base->mixer);
    wf_str text = wf_str_new(&e->env.mem);
    wf_json *options = test_json(e, base->spec), *spec;
    wf_model *model;
    char quoted[64];
    weft_error err = {0};
    wf_json_put(&e->arena, options, key->name, test_json(e, value));
    wf_json_print(&text, options, 0);
    snprintf(quoted, sizeof quoted, "'%s'", key->name);
    weft_status status = wf_one_layer_spec(&e->arena, row, wf_str_text(&text), 12, 13, &spec, &err);
    status = status == WEFT_OK ? wf_model_create(&e->env, spec, &model, &err) : status;
    if (status == WEFT_OK)
        fail_msg("%s %s is taken", row->name, wf_str_text(&text));
    if (!strstr(err.message, "block 0") || !strstr(err.message, quoted))
        fail_msg("%s %s: '%s' does not name the layer and %s", row->name, wf_str_text(&text), err.message, quoted);
    wf_str_free(&text);
}

/* Every option of every row, with values of other types, too small, and words that are not there. */
static void test_options(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        test_env e;
        test_env_open(&e, 1);
        for (const wf_key *k = wf_mixer_find(cases[i].mixer)->keys; k->name; k++) {
            char small[32];
            snprintf(small, sizeof small, "%g", k->min - 1.0);
            for (int v = 0; v < 3 && wrong[k->type][v]; v++)
                if (v < 2 || (k->type != WF_KEY_STRING && k->type != WF_KEY_OBJECT) || k->choices)
                    refuse_option(&e, &cases[i], k, wrong[k->type][v]);
            if (k->type == WF_KEY_INT || (k->type == WF_KEY_FLOAT && k->min > -1e9))
                refuse_option(&e, &cases[i], k, small);
        }
        test_env_close(&e);
    }
}

/* What section by section is refused, each with one line that names the layer and the option. */
static const struct {
    const char *mixer, *options;
    int64_t rows;
    const char *says[3];
} refused[] = {
    {"bigbird", "{\"heads\": 2, \"block\": 4, \"random\": 1}", 16, {"block 0 mixer", "'block'", "five"}},
    {"lsh", "{\"heads\": 2, \"buckets\": 5, \"chunk\": 4}", 16, {"block 0 mixer", "'buckets'", "even"}},
    {"lsh", "{\"heads\": 2, \"buckets\": 4, \"chunk\": 4}", 18, {"block 0 mixer", "'chunk'", "multiple"}},
    {"local_chunk", "{\"heads\": 2, \"chunk\": 0}", 16, {"block 0 mixer", "'chunk'", "at least 1"}},
    {"attention", "{\"heads\": 2, \"window\": [-1, 0]}", 16, {"block 0 mixer", "'window'", "from 0"}},
    {"attention", "{\"heads\": 2, \"window\": 0}", 16, {"block 0 mixer", "'window'", "list"}},
    {"linformer", "{\"heads\": 2, \"max_len\": 8, \"rank\": 2}", 16, {"block 0 mixer", "'max_len'", "16"}},
    {"hyena", "{\"max_len\": 8, \"filter_dim\": 4}", 16, {"block 0 mixer", "'max_len'", "16"}},
    {"axial", "{\"heads\": 2, \"shape\": [3, 4]}", 16, {"block 0 mixer", "'shape'", "16"}},
    {"nystrom", "{\"heads\": 2, \"landmarks\": 5}", 16, {"block 0 mixer", "'landmarks'", "16"}},
    {"attention", "{\"heads\": 2, \"memory_dim\": 8}", 16, {"block 0 mixer", "'memory_dim' is 8", "16 channels"}},
    {"linear_attention", "{\"heads\": 2, \"memory_dim\": 8}", 16, {"block 0 mixer", "'memory_dim' is 8", "16 channels"}},
};

static void test_refusals(void **state) {
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        wf_json *spec;
        wf_model *model;
        wf_one_layer one = {.env = &e.env};
        weft_error err = {0};
        const wf_one_layer_how how = {.use = WF_LAYER_FORWARD, .rows = refused[i].rows};
        weft_status status =
            wf_one_layer_spec(&e.arena, wf_mixer_find(refused[i].mixer), refused[i].options, 16, refused[i].rows, &spec, &err);
        if (status == WEFT_OK && (status = wf_model_create(&e.env, spec, &model, &err)) == WEFT_OK) {
            assert_int_equal(wf_params_allocate(&model->params, &err), WEFT_OK);
            status = wf_one_layer_record(&e.env, model, &how, &one, &err);
            wf_one_layer_close(&one);
            wf_model_free(model);
        }
        if (status == WEFT_OK)
            fail_msg("%s %s is taken", refused[i].mixer, refused[i].options);
        for (int k = 0; k < 3; k++)
            if (!strstr(err.message, refused[i].says[k]))
                fail_msg("%s %s: '%s' says nothing of '%s'", refused[i].mixer, refused[i].options, err.message,
                         refused[i].says[k]);
    }
    test_env_close(&e);
}

/* Rows of another width do not join the stream: the layer and both widths. */
static void test_widths(void **state) {
    static const char *const specs[][2] = {
        {"\"mixer\": {\"mixer\": \"lstm\", \"hidden\": 5}", "block 0 mixer: lstm gives rows of width 5, the stream's is 16"},
        {"\"mixer\": {\"mixer\": \"attention\", \"heads\": 2, \"out_dim\": 24}", "attention gives rows of width 24"}};
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    for (size_t i = 0; i < COUNT_OF(specs); i++) {
        char text[256];
        weft_error err = {0};
        wf_tape *tape;
        wf_model_options options = {.mode = WF_NO_STATE};
        snprintf(text, sizeof text, "{\"dim\": 16, \"layers\": 1, \"vocab\": 8, \"block\": {%s}}", specs[i][0]);
        wf_model *model = test_model_of(&e, test_json(&e, text), 1);
        assert_int_equal(wf_tape_create(&e.env, &(wf_tape_options){.type = WF_F32}, &tape, &err), WEFT_OK);
        wf_model_ports ports = {.ids = wf_input(tape, "ids", WF_I32, 2, (int64_t[]){1, 4})};
        weft_status status = wf_model_record(model, tape, 1, 4, &options, &ports, &err);
        status = status ? status : wf_tape_plan(tape, &err);
        if (status != WEFT_USAGE || !strstr(err.message, specs[i][1]))
            fail_msg("%s: '%s'", specs[i][0], err.message);
        wf_tape_free(tape);
        wf_model_free(model);
    }
    test_env_close(&e);
}

/* The fuzzer of specs begins with every row. */
static void test_seeds(void **state) {
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    for (size_t t = 0; t < 2; t++)
        for (const wf_mixer *const *row = t ? wf_channels : wf_mixers; *row; row++) {
            char path[512];
            wf_json *json;
            wf_spec *spec;
            weft_error err = {0};
            snprintf(path, sizeof path, WEFT_SOURCE_DIR "/tests/fuzz/corpus/spec/%s.json", (*row)->name);
            if (wf_json_parse_file(&e.arena, path, &json, &err) != WEFT_OK ||
                wf_spec_read(&e.arena, json, &spec, &err) != WEFT_OK)
                fail_msg("%s: %s", path, err.message);
        }
    test_env_close(&e);
}

/* Decoding what cannot be: the layer and the option that stands in the way. */
static void test_undecodable(void **state) {
    static const struct {
        const char *mixer, *says;
    } rows[] = {{"{\"mixer\": \"attention\", \"heads\": 2}", "'causal' is false"},
                {"{\"mixer\": \"lstm\", \"hidden\": 8, \"bidirectional\": true}", "'bidirectional' is true"},
                {"{\"mixer\": \"fourier\"}", "full form only"},
                {"{\"mixer\": \"longformer\", \"heads\": 2, \"window\": [2, 0], \"causal\": true}", "!globals"}};
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        weft_error err = {0};
        wf_json *spec = test_json(&e, "{\"dim\": 16, \"layers\": 1, \"vocab\": 8}");
        wf_json *block = wf_json_put(&e.arena, spec, "block", wf_json_new(&e.arena, WF_JSON_OBJECT));
        wf_json_put(&e.arena, block, "mixer", test_json(&e, rows[i].mixer));
        wf_model *model = test_model_of(&e, spec, 1);
        assert_int_equal(wf_model_can_stream(model, &err), WEFT_UNSUPPORTED);
        if (!strstr(err.message, "block 0 mixer") || !strstr(err.message, rows[i].says))
            fail_msg("%s: '%s'", rows[i].mixer, err.message);
        wf_model_free(model);
    }
    test_env_close(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows),     cmocka_unit_test(test_options),
                                       cmocka_unit_test(test_refusals), cmocka_unit_test(test_seeds),
                                       cmocka_unit_test(test_widths),   cmocka_unit_test(test_undecodable)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
