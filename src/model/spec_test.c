/* The grammar by table: what is read, and what is refused with which words. The normal form of every accepted spec reads back.
 */
#include "support/model.h"

#define ONE "\"dim\": 16, \"vocab\": 11, \"layers\": 1"
#define GRU "\"block\": {\"mixer\": \"gru\"}"

static const char *const good[] = {
    "{" ONE ", " GRU "}",
    "{\"format\": 1, \"name\": \"n\", \"about\": \"a\", \"source\": \"s\", " ONE ", \"context\": 5, " GRU "}",
    "{\"dim\": 16, \"vocab\": 11, \"blocks\": [{\"mixer\": \"gru\"}, {\"mixer\": \"lstm\"}]}",
    "{\"dim\": 16, \"vocab\": 11, \"layers\": 5, \"block\": {\"norm\": \"layer\"}, \"blocks\": [{\"mixer\": \"gru\"}, "
    "{\"mixer\": \"lstm\"}]}",
    "{" ONE ", \"block\": {\"mixer\": {\"mixer\": \"attention\", \"spec\": {\"heads\": 4}}}}",
    "{" ONE ", \"block\": {\"mixer\": {\"mixer\": \"attention\", \"heads\": 3, \"key_dim\": 5}}}",
    "{" ONE ", " GRU ", \"norm\": null, \"stem\": {\"norm\": \"layer\", \"scale\": 4, \"padding\": 2, \"types\": true}}",
    "{" ONE ", " GRU ", \"norm\": {\"kind\": \"layer\", \"bias\": false, \"eps\": 0.001}}",
    "{" ONE ", \"context\": 8, " GRU ", \"stem\": {\"positions\": {\"kind\": \"learned\"}}}",
    "{" ONE ", " GRU ", \"stem\": {\"positions\": {\"kind\": \"sinusoidal\", \"length\": 9, \"offset\": 2}}}",
    "{" ONE ", " GRU ", \"rows\": [{\"kind\": \"pool\", \"apart\": true}, {\"kind\": \"spread\", \"apart\": true, \"of\": 0}]}",
    "{" ONE ", " GRU ", \"head\": {\"tied\": false, \"bias\": true, \"scale\": 0.5, \"softcap\": 30}}",
    "{\"dim\": 16, \"vocab\": 11, \"blocks\": [{\"mixer\": \"gru\"}, {\"mixer\": \"gru\", \"share\": 0}, {\"mixer\": \"gru\", "
    "\"share\": 1}]}",
    "{\"dim\": 16, \"vocab\": 11, \"layers\": 3, \"block\": {\"mixer\": \"gru\", \"share\": 0}}",
    "{\"dim\": 16, \"vocab\": 11, \"layers\": 3, \"block\": {\"mixer\": \"gru\", \"borrow\": {\"mixer.l0.ih.weight\": 0}}}",
    "{" ONE ", " GRU
    ", \"rows\": [{\"kind\": \"learned\", \"count\": 3, \"before\": true}, {\"kind\": \"leave\", \"count\": 2}]}",
};

static const struct {
    const char *spec, *says;
    weft_status status;
} bad[] = {
    {"[]", "must be an object", WEFT_USAGE},
    {"{}", "'dim', 'vocab' and 'layers'", WEFT_USAGE},
    {"{" ONE "}", "'block' or 'blocks'", WEFT_USAGE},
    {"{" ONE ", \"block\": []}", "must be an object", WEFT_USAGE},
    {"{" ONE ", \"block\": {}}", "'mixer' is missing", WEFT_USAGE},
    {"{" ONE ", \"block\": {\"mixer\": 3}}", "must be an object or a name", WEFT_USAGE},
    {"{" ONE ", \"block\": {\"mixer\": {}}}", "'mixer' (a name) is missing", WEFT_USAGE},
    {"{" ONE ", \"block\": {\"mixer\": \"gruu\"}}", "did you mean 'gru'?", WEFT_USAGE},
    {"{" ONE ", \"block\": {\"mixer\": \"gru\", \"channel\": \"mlpp\"}}", "unknown channel mixer 'mlpp', did you mean 'mlp'?",
     WEFT_USAGE},
    {"{" ONE ", \"block\": {\"mixer\": \"gru\", \"mixr\": 1}}", "did you mean 'mixer'?", WEFT_USAGE},
    {"{" ONE ", \"block\": {\"mixer\": {\"mixer\": \"gru\", \"hiden\": 1}}}", "did you mean 'hidden'?", WEFT_UNSUPPORTED},
    {"{" ONE ", \"block\": {\"mixer\": \"gru\", \"wiring\": 1}}", "'wiring' must be a string", WEFT_USAGE},
    {"{" ONE ", \"block\": {\"mixer\": \"gru\", \"wiring\": \"prr\"}}", "did you mean 'pre'?", WEFT_USAGE},
    {"{" ONE ", \"block\": {\"mixer\": \"gru\", \"norm\": \"rsm\"}}", "kind is none, rms, layer or scale", WEFT_USAGE},
    {"{" ONE ", \"block\": {\"mixer\": \"gru\", \"norm\": {\"eps\": -1}}}", "'eps' must be between", WEFT_USAGE},
    {"{" ONE ", \"block\": {\"mixer\": \"gru\", \"dropout\": 1}}", "'dropout' must be between", WEFT_USAGE},
    {"{" ONE ", \"block\": {\"mixer\": \"gru\", \"dropout\": \"x\"}}", "'dropout' must be a number", WEFT_USAGE},
    {"{" ONE ", \"block\": {\"mixer\": \"gru\", \"share\": 1}}", "an earlier block", WEFT_USAGE},
    {"{" ONE ", \"block\": {\"mixer\": \"gru\", \"borrow\": {\"mixer.l0.ih.weight\": 1}}}", "an earlier block", WEFT_USAGE},
    {"{" ONE ", " GRU ", \"rows\": [{\"kind\": \"learned\", \"count\": 3, \"dim\": 4, \"before\": true}]}",
     "rows of width 4 cannot stand before rows of 16", WEFT_USAGE},
    {"{" ONE ", " GRU ", \"rows\": [{\"kind\": \"leave\"}]}", "'count' is needed", WEFT_USAGE},
    {"{" ONE ", \"block\": {\"mixer\": \"gru\", \"share\": -2}}", "'share' must be between", WEFT_USAGE},
    {"{\"dim\": 16, \"vocab\": 11, \"blocks\": [{\"mixer\": \"gru\"}, {\"mixer\": \"lstm\", \"share\": 0}]}",
     "a different mixer", WEFT_USAGE},
    {"{\"dim\": 16, \"vocab\": 11, \"blocks\": [{\"mixer\": \"gru\"}, {\"mixer\": {\"mixer\": \"gru\", \"layers\": 2}, "
     "\"share\": 0}]}",
     "a different mixer", WEFT_USAGE},
    {"{\"dim\": 16, \"vocab\": 11, \"blocks\": [{\"mixer\": \"gru\"}, {\"mixer\": {\"mixer\": \"gru\", \"hidden\": 5}, "
     "\"share\": 0}]}",
     "another shape", WEFT_USAGE},
    {"{\"dim\": 16, \"vocab\": 11, \"blocks\": [{\"mixer\": \"gru\"}, {\"mixer\": \"gru\", \"norm\": \"layer\", \"share\": "
     "0}]}",
     "other norms", WEFT_USAGE},
    {"{" ONE ", " GRU ", \"stem\": {\"positions\": {\"kind\": \"learned\"}}}", "need a 'length'", WEFT_USAGE},
    {"{" ONE ", " GRU ", \"stem\": {\"kind\": \"patches\"}}", "kind is token or frames", WEFT_USAGE},
    {"{" ONE ", " GRU ", \"head\": {\"tied\": 1}}", "'tied' must be true or false", WEFT_USAGE},
    {"{" ONE ", " GRU ", \"rows\": [{\"kind\": \"pool\", \"count\": 3}]}", "'pool' has no option 'count'", WEFT_USAGE},
    {"{" ONE ", " GRU ", \"rows\": [{\"kind\": \"add\", \"of\": 1}]}", "number of an earlier block", WEFT_USAGE},
    {"{" ONE ", " GRU ", \"rows\": [{\"kind\": \"learned\"}]}", "'count' is needed", WEFT_USAGE},
    {"{" ONE ", " GRU ", \"rows\": [{\"kind\": \"learned\", \"count\": 3, \"dim\": 4}, {\"kind\": \"add\", \"of\": 0}]}",
     "rows of width 16 are added to rows of 4", WEFT_USAGE},
    {"{" ONE ", \"block\": {\"mixer\": \"gru\", \"memory\": \"before\"}}", "'gru' reads no memory", WEFT_USAGE},
    {"{" ONE ", " GRU ", \"stem\": {\"hashes\": {\"buckets\": 5, \"multipliers\": [31, 43, 59]}}}", "do not divide a width",
     WEFT_USAGE},
    {"{" ONE ", " GRU ", \"layer_sum\": true, \"project\": {\"dim\": 4}}", "goes neither", WEFT_USAGE},
    {"{" ONE ", " GRU ", \"haed\": {}}", "did you mean 'head'?", WEFT_USAGE},
    {"{" ONE ", \"format\": 7, " GRU "}", "format 7 is not known", WEFT_USAGE},
    {"{\"dim\": 0, \"vocab\": 11, \"layers\": 1, " GRU "}", "'dim' must be between", WEFT_USAGE},
    {"{\"dim\": 16.5, \"vocab\": 11, \"layers\": 1, " GRU "}", "'dim' must be an integer", WEFT_USAGE},
    {"{\"dim\": 2000000, \"vocab\": 11, \"layers\": 1, " GRU "}", "'dim' must be between", WEFT_USAGE},
    {"{\"dim\": 16, \"vocab\": 0, \"layers\": 1, " GRU "}", "'vocab' must be between", WEFT_USAGE},
    {"{\"dim\": 16, \"vocab\": 11, \"layers\": 1025, " GRU "}", "'layers' must be between", WEFT_USAGE},
    {"{\"dim\": 16, \"vocab\": 11, \"layers\": 1, \"blocks\": []}", "'blocks' must be a list", WEFT_USAGE},
    {"{" ONE ", \"block\": {\"mixer\": {\"mixer\": \"attention\", \"heads\": 5}}}", "no default for these sizes", WEFT_USAGE},
    {"{" ONE ", \"block\": {\"mixer\": {\"mixer\": \"attention\"}}}", "'heads' is required", WEFT_USAGE},
    {"{" ONE ", \"block\": {\"mixer\": {\"mixer\": \"attention\", \"heads\": 4, \"kv_heads\": 3}}}", "multiple of 'kv_heads'",
     WEFT_USAGE},
    {"{" ONE ", \"block\": {\"mixer\": {\"mixer\": \"mlp\", \"hidden\": 99999999999}}}", "absurdly large", WEFT_USAGE},
};

static void test_good(void **state) {
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        wf_json *normal, *again;
        wf_spec *spec, *back;
        weft_error err = {0};
        if (wf_spec_read(&e.arena, test_json(&e, good[i]), &spec, &err) != WEFT_OK ||
            wf_spec_normal(&e.arena, spec, &normal, &err) != WEFT_OK ||
            wf_spec_read(&e.arena, normal, &back, &err) != WEFT_OK || wf_spec_normal(&e.arena, back, &again, &err) != WEFT_OK)
            fail_msg("%s: %s", good[i], err.message);
        if (!wf_json_equal(normal, again))
            fail_msg("%s: its normal form reads back as another", good[i]);
    }
    test_env_close(&e);
}

static void test_bad(void **state) {
    test_env e;
    (void)state;
    test_env_open(&e, 1);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        wf_model *model;
        weft_error err = {0};
        weft_status status = wf_model_create(&e.env, test_json(&e, bad[i].spec), &model, &err);
        if (status != bad[i].status || !strstr(err.message, bad[i].says))
            fail_msg("%s: status %d: %s", bad[i].spec, (int)status, err.message);
    }
    test_env_close(&e);
}

/* Every option of the rows is read: it is accepted where it stands, and the same word with a letter more is not. */
static void test_rows(void **state) {
    test_env e;
    char text[256], expected[128];
    (void)state;
    test_env_open(&e, 1);
    for (const wf_spec_part *p = wf_spec_parts; p->name; p++)
        for (const wf_spec_key *k = p->keys; k->name; k++) {
            wf_spec *spec;
            weft_error err = {0};
            assert_true(k->help[0] && k->type[0]);
            snprintf(expected, sizeof expected, "'%sx'", k->name);
            const char *around = strcmp(p->name, "spec") == 0        ? "\"%sx\": 1"
                                 : strcmp(p->name, "positions") == 0 ? "\"stem\": {\"positions\": {\"%sx\": 1}}"
                                 : strcmp(p->name, "block") == 0     ? "\"blocks\": [{\"mixer\": \"gru\", \"%sx\": 1}]"
                                 : strcmp(p->name, "stem") == 0      ? "\"stem\": {\"%sx\": 1}"
                                 : strcmp(p->name, "norm") == 0      ? "\"norm\": {\"%sx\": 1}"
                                                                     : "\"head\": {\"%sx\": 1}";
            char member[128], *at = member;
            for (const char *c = around; *c; c++) /* the format is chosen at run time */
                if (c[0] == '%') {
                    at += snprintf(at, 64, "%s", k->name);
                    c++;
                } else {
                    *at++ = *c;
                }
            *at = 0;
            snprintf(text, sizeof text, "{" ONE ", " GRU ", %s}", member);
            assert_int_equal(wf_spec_read(&e.arena, test_json(&e, text), &spec, &err), WEFT_USAGE);
            if (!strstr(err.message, expected))
                fail_msg("%s: %s", text, err.message);
        }
    test_env_close(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad), cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
