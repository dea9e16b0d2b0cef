/* Configs to specs and back, through the built-in families: a table of keys that change the result, a table of what is refused.
 */
#include "families/family.h"
#include <stdlib.h>
#include <string.h>
#include "families/load.h"
#include "families/names.h"
#include "model/spec.h"
#include "support/fail_mem.h"
#include "support/test.h"

#define ROBERTAS                                                                                                               \
    "{\"model_type\": \"encoder-decoder\", \"encoder\": {\"model_type\": \"roberta\", \"pad_token_id\": 1}, "                  \
    "\"decoder\": {\"model_type\": \"roberta\", \"pad_token_id\": 1"
#define NOMIC "{\"architectures\": [\"NomicBertModel\"], \"n_layer\": 2, \"n_head\": 4"
#define MARIAN "{\"architectures\": [\"MarianForCausalLM\"], \"vocab_size\": 61, \"pad_token_id\": 1"
#define LLAMA                                                                                                                  \
    "{\"model_type\": \"llama\", \"hidden_size\": 32, \"intermediate_size\": 44, \"num_hidden_layers\": 2, "                   \
    "\"num_attention_heads\": 4, "                                                                                             \
    "\"num_key_value_heads\": 2, \"vocab_size\": 90, \"max_position_embeddings\": 64"
#define GPT2 "{\"model_type\": \"gpt2\", \"n_embd\": 24, \"n_layer\": 3, \"n_head\": 3, \"vocab_size\": 90, \"n_positions\": 40"

typedef struct fixture {
    wf_arena arena;
    wf_families set;
} fixture;

static void open_fixture(fixture *f) {
    wf_arena_init(&f->arena, &wf_mem_default, 0);
    assert_int_equal(wf_families_open(&wf_mem_default, &f->set, NULL), WEFT_OK);
}

static void close_fixture(fixture *f) {
    wf_families_close(&f->set);
    wf_arena_free(&f->arena);
}

static weft_status read_config(fixture *f, const char *text, bool strict, const wf_family **family, wf_json **normal,
                               weft_error *err) {
    wf_json *config, *json;
    wf_spec *spec;
    WF_TRY(wf_config_parse(&f->arena, text, strlen(text), &config, err));
    WF_TRY(wf_family_of_config(&f->set, config, family, err));
    WF_TRY(wf_family_spec(*family, &f->arena, config, &(wf_config_options){.strict = strict}, &json, err));
    WF_TRY(wf_spec_read(&f->arena, json, &spec, err));
    return wf_spec_normal(&f->arena, spec, normal, err);
}

/* ---- keys that are honoured: what stands where in the spec written out in full ---- */
typedef struct honoured_row {
    const char *config, *path, *value;
} honoured_row;

static const honoured_row honoured[] = {
    {LLAMA "}", "blocks.0.mixer.kv_heads", "2"},
    {LLAMA ", \"num_key_value_heads_\": 1}", "blocks.0.mixer.key_dim", "8"},
    {LLAMA ", \"head_dim\": 12}", "blocks.1.mixer.key_dim", "12"},
    {LLAMA ", \"hidden_act\": \"gelu_new\"}", "blocks.0.channel.activation", "\"gelu_tanh\""},
    {LLAMA ", \"hidden_act\": \"swish\"}", "blocks.0.channel.activation", "\"silu\""},
    {LLAMA ", \"mlp_bias\": true}", "blocks.0.channel.bias", "true"},
    {LLAMA ", \"attention_bias\": true}", "blocks.0.mixer.bias", "[\"q\",\"k\",\"v\",\"o\"]"},
    {LLAMA ", \"attention_dropout\": 0.25}", "blocks.0.attention_dropout", "0.25"},
    {LLAMA ", \"rms_norm_eps\": 0.001}", "norm.eps", "0.001"},
    {LLAMA ", \"tie_word_embeddings\": true}", "head.tied", "true"},
    {LLAMA ", \"pad_token_id\": 7}", "stem.padding", "7"},
    {LLAMA ", \"pad_token_id\": -1}", "stem.padding", "89"},
    {LLAMA ", \"pad_token_id\": null}", "stem.padding", "-1"},
    {LLAMA ", \"rope_theta\": 500}", "blocks.0.mixer.rope.theta", "500"},
    {LLAMA ", \"rope_theta\": 500, \"rope_parameters\": {\"rope_theta\": 7.5}}", "blocks.0.mixer.rope.theta", "7.5"},
    {LLAMA ", \"rope_scaling\": {\"type\": \"linear\", \"factor\": 3}}", "blocks.0.mixer.rope.scaling",
     "{\"type\":\"linear\",\"factor\":3}"},
    {LLAMA ", \"rope_scaling\": {\"factor\": 2.0, \"type\": \"dynamic\"}}",
     "blocks.0.mixer.rope.scaling.max_position_embeddings", "64"},
    {LLAMA ", \"rope_scaling\": {\"type\": \"linear\", \"factor\": 3}, \"rope_parameters\": {\"rope_type\": \"default\"}}",
     "blocks.0.mixer.rope.scaling.factor", "3"},
    {LLAMA ", \"rope_parameters\": {\"rope_type\": \"yarn\", \"factor\": 2, \"original_max_position_embeddings\": 16, "
           "\"beta_slow\": 0}}",
     "blocks.0.mixer.rope.scaling.original_max_position_embeddings", "16"},
    {LLAMA ", \"original_max_position_embeddings\": 8, \"rope_parameters\": {\"rope_type\": \"yarn\", \"factor\": 2, "
           "\"original_max_position_embeddings\": 16}}",
     "blocks.0.mixer.rope.scaling.original_max_position_embeddings", "8"},
    {LLAMA ", \"rope_parameters\": {\"rope_type\": \"yarn\", \"factor\": null, \"original_max_position_embeddings\": 16}}",
     "blocks.0.mixer.rope.scaling.factor", "4"},
    {LLAMA ", \"rope_parameters\": {\"rope_type\": \"default\", \"partial_rotary_factor\": 0.5}}", "blocks.0.mixer.rope.dim",
     "8"},
    {"{\"architectures\": [\"LlamaForCausalLM\"], \"num_hidden_layers\": 1}", "vocab", "32000"},
    {"{\"architectures\": [\"LLaMAForCausalLM\"], \"num_hidden_layers\": 1}", "vocab", "32000"}, /* as published */
    {"{\"model_type\": \"mpt\", \"architectures\": [\"MPTForCausalLM\"], \"n_layers\": 3}", "layers", "3"},
    {NOMIC ", \"n_embd\": 48, \"n_inner\": 40}", "dim", "48"}, /* the keys of the published folders */
    {NOMIC ", \"n_embd\": 48, \"n_inner\": 40}", "blocks.0.channel.hidden", "40"},
    {NOMIC ", \"rotary_emb_base\": 500}", "blocks.0.mixer.rope.theta", "500"},
    {"{\"architectures\": [\"T5EncoderModel\"], \"num_hidden_layers\": 2, \"hidden_size\": 48, \"num_attention_heads\": 3}",
     "dim", "48"},
    {"{\"architectures\": [\"BartModel\"], \"encoder_layers\": 3, \"num_hidden_layers\": 2}", "encoder.layers", "2"},
    {"{\"architectures\": [\"BartModel\"], \"encoder_layers\": 3, \"num_hidden_layers\": 2}", "layers", "12"},
    {"{\"architectures\": [\"KimiLinearForCausalLM\"], \"num_hidden_layers\": 5, \"num_experts_per_tok\": 3}",
     "blocks.1.channel.top_k", "3"},
    {GPT2 "}", "blocks.0.channel.hidden", "96"},
    {GPT2 ", \"n_inner\": 40}", "blocks.2.channel.hidden", "40"},
    {GPT2 ", \"hidden_size\": 48}", "dim", "48"},
    {GPT2 "}", "stem.types", "true"},
    {GPT2 "}", "stem.positions.length", "40"},
    {GPT2 ", \"embd_pdrop\": 0}", "stem.dropout", "0"},
    {GPT2 "}", "blocks.0.dropout", "0.1"},
    {GPT2 ", \"scale_attn_weights\": false}", "blocks.1.mixer.scale", "1"},
    {GPT2 ", \"scale_attn_weights\": false, \"scale_attn_by_inverse_layer_idx\": true}", "blocks.1.mixer.scale", "0.5"},
    {GPT2 ", \"layer_norm_epsilon\": 0.01}", "blocks.0.norm.eps", "0.01"},
    {GPT2 ", \"activation_function\": \"relu\"}", "blocks.0.channel.activation", "\"relu\""},
    {GPT2 ", \"tie_word_embeddings\": false}", "head.tied", "false"},
    {"{\"model_type\": \"ctrl\", \"n_layer\": 1, \"layer_norm_epsilon\": 0.5}", "blocks.0.norm.eps",
     "1e-6"}, /* read by the last only */
    {"{\"model_type\": \"ctrl\", \"n_layer\": 1, \"layer_norm_epsilon\": 0.5}", "norm.eps", "0.5"},
    {"{\"model_type\": \"jetmoe\", \"num_hidden_layers\": 1, \"rms_norm_eps\": 0.5}", "blocks.0.norm.eps", "1e-6"},
    {"{\"model_type\": \"cohere2\", \"num_hidden_layers\": 1, \"head_dim\": 6}", "blocks.0.mixer.key_dim", "6"},
    {"{\"model_type\": \"modernbert-decoder\", \"num_hidden_layers\": 2, \"sliding_window\": 5}", "blocks.1.mixer.window",
     "[4,null]"},
    {"{\"architectures\": [\"LlamaForSequenceClassification\"], \"pad_token_id\": 3}", "head.pool_padding", "3"},
    {"{\"architectures\": [\"LlamaForSequenceClassification\"], \"pad_token_id\": 3}", "head.pool", "\"end\""},
    {"{\"architectures\": [\"GPT2ForSequenceClassification\"], \"num_labels\": 3}", "head.pool", "\"last\""},
    {"{\"architectures\": [\"GPT2ForSequenceClassification\"], \"num_labels\": 3}", "head.classes", "3"},
    {"{\"architectures\": [\"Qwen3Model\"]}", "head", "null"},
    {"{\"model_type\": \"bart\"}", "encoder.layers", "12"}, /* the first of the type, without a class */
    {"{\"model_type\": \"t5gemma\"}", "encoder.layers", "26"},
    {"{\"architectures\": [\"T5GemmaForSequenceClassification\"], \"pad_token_id\": 3}", "head.pool_padding", "3"},
    {"{\"architectures\": [\"T5GemmaForSequenceClassification\"]}", "head.pool_later", "1"},
    {"{\"architectures\": [\"T5GemmaForTokenClassification\"], \"is_encoder_decoder\": false}", "blocks.0.mixer.causal",
     "false"},
    {"{\"architectures\": [\"MixtralForTokenClassification\"], \"output_router_logits\": true}", "blocks.0.channel.aux_weight",
     "0"},
    {ROBERTAS "}}", "encoder.stem.positions.count", "\"tokens\""}, /* positions from the padding, on both sides */
    {ROBERTAS "}}", "stem.positions.count", "\"tokens\""},
    {ROBERTAS "}}", "encoder.stem.padding", "1"},
    {ROBERTAS ", \"hidden_act\": \"relu\"}}", "head.layers.0.activation", "\"gelu\""},
    {"{\"architectures\": [\"BigBirdForQuestionAnswering\"], \"sep_token_id\": 7}", "head.separator", "7"},
    {"{\"architectures\": [\"BigBirdForQuestionAnswering\"]}", "stem.tables.0.separator", "66"},
    {"{\"architectures\": [\"PerceiverModel\"]}", "stem.kind", "\"frames\""},
    {"{\"architectures\": [\"FSMTModel\"]}", "head.output", "\"last_hidden_state\""},
    {"{\"architectures\": [\"BertModel\"], \"is_causal\": false}", "blocks.0.mixer.causal", "false"},
};

static void test_honoured(void **state) {
    fixture f;
    open_fixture(&f);
    for (size_t i = 0; i < COUNT_OF(honoured); i++) {
        const wf_family *family;
        wf_json *normal;
        weft_error err = {0};
        wf_str text = wf_str_new(&wf_mem_default);
        wf_json *wanted;
        if (read_config(&f, honoured[i].config, false, &family, &normal, &err) != WEFT_OK)
            fail_msg("%s: %s", honoured[i].config, err.message);
        const wf_json *found = wf_json_path(normal, honoured[i].path);
        if (!found)
            fail_msg("%s: no %s", honoured[i].config, honoured[i].path);
        wf_json_print(&text, found, 0);
        if (wf_json_parse(&f.arena, honoured[i].value, strlen(honoured[i].value), 100, &wanted, &err) != WEFT_OK)
            fail_msg("%s: %s", honoured[i].value, err.message);
        if (!wf_json_equal(found, wanted))
            fail_msg("%s: %s is %s, not %s", honoured[i].config, honoured[i].path, wf_str_text(&text), honoured[i].value);
        wf_str_free(&text);
    }
    close_fixture(&f);
}

/* ---- what is written reads back ---- */
static void test_back(void **state) {
    fixture f;
    open_fixture(&f);
    for (size_t i = 0; i < COUNT_OF(honoured); i++) {
        const wf_family *family, *again;
        wf_json *normal, *config, *back;
        weft_error err = {0};
        wf_str text = wf_str_new(&wf_mem_default);
        assert_int_equal(read_config(&f, honoured[i].config, false, &family, &normal, &err), WEFT_OK);
        if (wf_family_config(family, &f.arena, normal, 64, &config, &err) != WEFT_OK)
            fail_msg("%s: %s", honoured[i].config, err.message);
        wf_json_print(&text, config, 0);
        if (read_config(&f, wf_str_text(&text), true, &again, &back, &err) != WEFT_OK)
            fail_msg("%s: %s", wf_str_text(&text), err.message);
        if (again != family || !wf_json_equal(back, normal))
            fail_msg("%s does not read back from %s", honoured[i].config, wf_str_text(&text));
        wf_str_free(&text);
    }
    close_fixture(&f);
}

/* ---- what is refused, by name ---- */
typedef struct refused_row {
    const char *config;
    weft_status status; /* strict */
    const char *says;
} refused_row;

static const refused_row refused[] = {
    {"[]", WEFT_BAD_INPUT, "object"},
    {"{}", WEFT_BAD_INPUT, "model_type"},
    {"{\"model_type\": 3}", WEFT_BAD_INPUT, "model_type"},
    {"{\"model_type\": \"llamma\"}", WEFT_UNSUPPORTED, "did you mean 'llama'"},
    {"{\"architectures\": [\"Odd\"]}", WEFT_UNSUPPORTED, "'Odd'"},
    {"{\"architectures\": \"LlamaForCausalLM\"}", WEFT_BAD_INPUT, "architectures"},
    {LLAMA ", \"architectures\": [\"LlamaForMultipleChoice\"]}", WEFT_UNSUPPORTED, "LlamaForMultipleChoice"},
    {"{\"model_type\": \"splinter\", \"architectures\": [\"SplinterForPreTraining\"]}", WEFT_UNSUPPORTED,
     "'SplinterForPreTraining' of model type 'splinter' is not supported: it answers every [QUESTION]"},
    {LLAMA ", \"architectures\": [\"LlamaForCausalL\"]}", WEFT_UNSUPPORTED, "LlamaForCausalL"},
    {NOMIC ", \"prenorm\": true}", WEFT_UNSUPPORTED, "prenorm"},
    {NOMIC ", \"activation_function\": \"geglu\"}", WEFT_UNSUPPORTED, "activation_function"},
    {NOMIC ", \"qkv_proj_bias\": true}", WEFT_UNSUPPORTED, "qkv_proj_bias"},
    {LLAMA ", \"unheard_of\": 1}", WEFT_UNSUPPORTED, "unheard_of"},
    {LLAMA ", \"is_causal\": false}", WEFT_UNSUPPORTED, "is_causal"},
    {"{\"model_type\": \"bart\", \"is_causal\": false}", WEFT_UNSUPPORTED, "is_causal"},
    {"{\"architectures\": [\"BertLMHeadModel\"], \"is_decoder\": true, \"is_causal\": false}", WEFT_UNSUPPORTED, "is_causal"},
    {ROBERTAS ", \"is_causal\": false}}", WEFT_UNSUPPORTED, "is_causal"},
    {"{\"architectures\": [\"BigBirdForQuestionAnswering\"], \"sep_token_id\": null}", WEFT_UNSUPPORTED, "sep_token_id"},
    {"{\"model_type\": \"xglm\", \"add_cross_attention\": true}", WEFT_UNSUPPORTED, "add_cross_attention"},
    {"{\"model_type\": \"gpt_bigcode\", \"add_cross_attention\": true}", WEFT_UNSUPPORTED, "add_cross_attention"},
    {MARIAN ", \"decoder_vocab_size\": 50, \"tie_word_embeddings\": false}", WEFT_UNSUPPORTED, "'decoder_vocab_size' must be"},
    {"{\"architectures\": [\"T5GemmaModel\"], \"is_encoder_decoder\": false}", WEFT_UNSUPPORTED, "class of its own"},
    {"{\"architectures\": [\"T5GemmaEncoderModel\"], \"is_encoder_decoder\": true}", WEFT_UNSUPPORTED, "is_encoder_decoder"},
    {LLAMA ", \"quantization_config\": {\"bits\": 4}}", WEFT_UNSUPPORTED, "quantization_config"},
    {LLAMA ", \"hidden_act\": \"prelu\"}", WEFT_UNSUPPORTED, "prelu"},
    {LLAMA ", \"hidden_act\": \"spiral\"}", WEFT_BAD_INPUT, "spiral"},
    {LLAMA ", \"dtype\": \"float7\"}", WEFT_BAD_INPUT, "dtype"},
    {LLAMA ", \"rms_norm_eps\": NaN}", WEFT_BAD_INPUT, "NaN"},
    {LLAMA ", \"rms_norm_eps\": -Infinity}", WEFT_BAD_INPUT, "rms_norm_eps"},
    {LLAMA ", \"rms_norm_eps\": -1e-6}", WEFT_BAD_INPUT, "rms_norm_eps"},
    {LLAMA ", \"attention_bias\": \"yes\"}", WEFT_BAD_INPUT, "attention_bias"},
    {LLAMA ", \"attention_dropout\": 1.5}", WEFT_BAD_INPUT, "attention_dropout"},
    {LLAMA ", \"head_dim\": 15}", WEFT_BAD_INPUT, "in pairs"},
    {LLAMA ", \"pad_token_id\": 90}", WEFT_BAD_INPUT, "pad_token_id"},
    {LLAMA ", \"rope_theta\": 0}", WEFT_BAD_INPUT, "rope_theta"},
    {LLAMA ", \"rope_parameters\": {\"rope_theta\": -1}}", WEFT_BAD_INPUT, "rope_theta"},
    {LLAMA ", \"rope_parameters\": {\"rope_type\": 4}}", WEFT_BAD_INPUT, "name"},
    {LLAMA ", \"rope_parameters\": {\"rope_type\": \"spiral\"}}", WEFT_UNSUPPORTED, "spiral"},
    {LLAMA ", \"rope_parameters\": {\"rope_type\": \"linear\"}}", WEFT_BAD_INPUT, "factor"},
    {LLAMA ", \"rope_parameters\": {\"rope_type\": \"linear\", \"factor\": 2, \"wave\": 1}}", WEFT_UNSUPPORTED,
     "rope_parameters.wave"},
    {LLAMA ", \"rope_parameters\": {\"rope_type\": \"linear\", \"factor\": 2, \"partial_rotary_factor\": 0.5}}",
     WEFT_UNSUPPORTED, "partial"},
    {LLAMA ", \"rope_parameters\": {\"rope_type\": \"longrope\", \"short_factor\": [1, 1, 1, 1], \"long_factor\": [1, 2]}}",
     WEFT_BAD_INPUT, "long_factor"},
    {LLAMA ", \"rope_parameters\": {\"rope_type\": \"yarn\", \"factor\": 2, \"attention_factor\": -1}}", WEFT_BAD_INPUT,
     "attention_factor"},
    {LLAMA ", \"layer_types\": [\"full_attention\"]}", WEFT_BAD_INPUT, "layer_types"},
    {LLAMA ", \"num_hidden_layers_\": 3, \"hidden_size\": 30}", WEFT_BAD_INPUT, "already has a member"},
    {"{\"model_type\": \"llama\", \"num_hidden_layers\": 1000000000}", WEFT_BAD_INPUT, "layers"},
    {"{\"model_type\": \"llama\", \"vocab_size\": 99999999999}", WEFT_BAD_INPUT, "vocab_size"},
    {"{\"model_type\": \"llama\", \"vocab_size\": 2000000000}", WEFT_BAD_INPUT, "vocab"},
    {"{\"model_type\": \"llama\", \"num_attention_heads\": 30}", WEFT_BAD_INPUT, "num_attention_heads"},
    {"{\"model_type\": \"llama\", \"num_key_value_heads\": 5}", WEFT_BAD_INPUT, "num_key_value_heads"},
    {GPT2 ", \"n_inner\": 0}", WEFT_BAD_INPUT, "n_inner"},
    {GPT2 ", \"n_positions\": -1}", WEFT_BAD_INPUT, "already"},
    {GPT2 ", \"num_attention_heads\": 5}", WEFT_BAD_INPUT, "n_head"},
    {GPT2 ", \"add_cross_attention\": true}", WEFT_UNSUPPORTED, "add_cross_attention"},
    {"{\"model_type\": \"weft\"}", WEFT_BAD_INPUT, "'spec' is missing"},
    {"{\"model_type\": \"weft\", \"spec\": []}", WEFT_BAD_INPUT, "spec"},
};

static void test_refused(void **state) {
    fixture f;
    open_fixture(&f);
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        const wf_family *family;
        wf_json *normal;
        weft_error err = {0};
        weft_status status = read_config(&f, refused[i].config, true, &family, &normal, &err);
        if (status == WEFT_USAGE) /* of the spec; the loader calls it bad input */
            status = WEFT_BAD_INPUT;
        if (status != refused[i].status || !strstr(err.message, refused[i].says))
            fail_msg("%s: status %d, '%s'", refused[i].config, (int)status, err.message);
    }
    close_fixture(&f);
}

/* ---- a family of the user's own ---- */
static const char OWN[] =
    "{\"family\": \"twostep\", \"architectures\": [\"TwoStep\"], \"keys\": {\"width\": [\"size\"], \"deep\": [\"count\", \"=2 "
    "* 2\"]},"
    "\"let\": {\"h\": \"width // 8\"}, \"checks\": {\"width % 8 == 0\": \"'width' must be a multiple of 8\"},"
    "\"spec\": {\"dim\": \"=width\", \"vocab\": 20, \"blocks\": {\"each\": \"i\", \"count\": \"deep\", \"do\": {\"mixer\":"
    "{\"?\": \"i % 2 == 0\", \"then\": {\"mixer\": \"attention\", \"heads\": \"=h\", \"window\": [\"=i + 1\", null]},"
    "\"else\": {\"mixer\": \"mlp\", \"hidden\": \"=9 + i\"}}, \"norm\": \"=null\"}}}, \"names\": \"same\"}";

static void test_own_family(void **state) {
    fixture f;
    const wf_family *family;
    wf_json *normal;
    weft_error err = {0};
    open_fixture(&f);
    assert_int_equal(wf_families_add(&f.set, "own.json", OWN, strlen(OWN), &err), WEFT_OK);
    if (read_config(&f, "{\"model_type\": \"twostep\", \"width\": 16}", true, &family, &normal, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(wf_json_int(normal, "layers", 0), 4);
    assert_true(wf_json_is_string(wf_json_path(normal, "blocks.2.mixer.mixer"), "attention"));
    assert_int_equal(wf_json_path(normal, "blocks.2.mixer.window.0")->integer, 3);
    assert_int_equal(wf_json_path(normal, "blocks.3.mixer.hidden")->integer, 12);
    assert_int_equal(read_config(&f, "{\"model_type\": \"twostep\", \"width\": 12}", true, &family, &normal, &err),
                     WEFT_BAD_INPUT);
    assert_non_null(strstr(err.message, "multiple of 8"));
    assert_int_equal(wf_families_add(&f.set, "bad.json", "{\"name\": 1}", 11, &err), WEFT_BAD_INPUT);
    close_fixture(&f);
}

/* ---- names ---- */
static void test_names(void **state) {
    static const char text[] = "{\"family\": \"n\", \"base\": \"m\", \"unused\": [\"m.{i}.mask\", \"m.x{=1 + 2}.{*}\"], "
                               "\"names\": {\"m.{i}.{x,y}.w\": \"b.{i}.{p,q}\","
                               "\"m.{i}.qk\": {\"to\": [\"b.{i}.a\", \"b.{i}.c\"], \"how\": [\"transpose\"]}}}";
    const wf_named_shape params[] = {{"b.0.p", 1, (int64_t[]){2}},
                                     {"b.0.q.bias", 1, (int64_t[]){3}},
                                     {"b.1.a.weight", 2, (int64_t[]){1, 3}},
                                     {"b.1.c.weight", 2, (int64_t[]){2, 3}}};
    fixture f;
    wf_names names;
    weft_error err = {0};
    open_fixture(&f);
    assert_int_equal(wf_families_add(&f.set, "n", text, strlen(text), &err), WEFT_OK);
    if (wf_names_map(&f.set.list[0], &f.arena, &(wf_named_model){params, 4, 2, NULL}, &names, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(names.count, 3);
    assert_string_equal(names.list[0].name, "m.0.x.w");
    assert_string_equal(names.list[1].name, "m.0.y.w.bias");
    assert_string_equal(names.list[2].name, "m.1.qk.weight");
    assert_int_equal(names.list[2].dims[0], 3);
    assert_int_equal(names.list[2].dims[1], 3);
    const float file[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    float a[3], c[6], scratch[18], back[9];
    wf_map_read(&names.list[2], file, (float *[]){a, c}, scratch);
    assert_memory_equal(a, ((float[]){1, 4, 7}), sizeof a);
    assert_memory_equal(c, ((float[]){2, 5, 8, 3, 6, 9}), sizeof c);
    wf_map_write(&names.list[2], (const float *[]){a, c}, back, scratch);
    assert_memory_equal(back, file, sizeof file);
    assert_true(wf_names_unused(&names, "m.12.mask") && wf_names_unused(&names, "3.mask") &&
                !wf_names_unused(&names, "m.x.mask"));
    assert_true(wf_names_unused(&names, "m.x3.eh.w") && !wf_names_unused(&names, "m.x2.eh.w"));
    const wf_named_shape strange[] = {{"b.0.p", 1, (int64_t[]){2}}, {"elsewhere", 1, (int64_t[]){2}}};
    assert_int_equal(wf_names_map(&f.set.list[0], &f.arena, &(wf_named_model){strange, 2, 2, NULL}, &names, &err),
                     WEFT_UNSUPPORTED);
    assert_non_null(strstr(err.message, "elsewhere"));
    assert_int_equal(wf_names_map(&f.set.list[0], &f.arena, &(wf_named_model){params + 2, 1, 2, NULL}, &names, &err),
                     WEFT_UNSUPPORTED); /* half of a stack */
    close_fixture(&f);
}

/* Classes of one task may have another base. */
static void test_bases(void **state) {
    static const char text[] = "{\"family\": \"n\", \"base\": \"m\", \"bases\": {\"QuestionAnswering\": \"t\"}, "
                               "\"unused\": [\"m.mask\"], \"names\": {\"m.x\": \"a\", \"qa\": \"head\"}}";
    const wf_named_shape params[] = {{"a", 1, (int64_t[]){2}}, {"head", 1, (int64_t[]){2}}};
    fixture f;
    wf_json *spec;
    wf_names names;
    weft_error err = {0};
    (void)state;
    open_fixture(&f);
    assert_int_equal(wf_families_add(&f.set, "n", text, strlen(text), &err), WEFT_OK);
    for (int i = 0; i < 2; i++) {
        const char *said = i ? "{\"head\": {\"task\": \"QuestionAnswering\"}}" : "{\"head\": {\"task\": \"lm\"}}";
        assert_int_equal(wf_json_parse(&f.arena, said, strlen(said), 10, &spec, &err), WEFT_OK);
        if (wf_names_map(&f.set.list[0], &f.arena, &(wf_named_model){params, 2, 0, spec}, &names, &err) != WEFT_OK)
            fail_msg("%s", err.message);
        assert_string_equal(names.list[0].name, i ? "t.x" : "m.x");
        assert_string_equal(names.list[1].name, "qa");
        assert_int_equal(wf_names_unused(&names, "t.mask"), i);
    }
    close_fixture(&f);
}

/* Slices with names, and other orders of dimensions and of pieces, there and back. */
static void test_orders(void **state) {
    static const char text[] = "{\"family\": \"o\", \"zero\": [\"off.{i}\"], \"names\": {\"x_{e:r,w}\": \"rows\", \"p\": "
                               "{\"to\": \"turned\", \"how\": "
                               "[{\"reshape\": \"[2, 2, 3]\"}, {\"permute\": \"[1, 2, 0]\"}, {\"pieces\": \"[1, 0]\"}]}}}";
    const wf_named_shape params[] = {{"rows", 2, (int64_t[]){2, 2}}, {"turned", 2, (int64_t[]){2, 6}}};
    fixture f;
    wf_names names;
    weft_error err = {0};
    open_fixture(&f);
    assert_int_equal(wf_families_add(&f.set, "o", text, strlen(text), &err), WEFT_OK);
    if (wf_names_map(&f.set.list[0], &f.arena, &(wf_named_model){params, 2, 0, NULL}, &names, &err) != WEFT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(names.count, 3);
    assert_string_equal(names.list[0].name, "x_r");
    assert_string_equal(names.list[1].name, "x_w");
    assert_int_equal(names.list[1].parts[0].first, 2);
    const wf_tensor_map *p = &names.list[2];
    assert_int_equal(p->rank, 3);
    assert_true(p->dims[0] == 2 && p->dims[1] == 3 && p->dims[2] == 2);
    const float stack[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    float back[12], file[12], scratch[24];
    wf_map_write(p, (const float *[]){stack}, file, scratch);
    assert_memory_equal(file, ((float[]){3, 9, 4, 10, 5, 11, 0, 6, 1, 7, 2, 8}), sizeof file);
    wf_map_read(p, file, (float *[]){back}, scratch);
    assert_memory_equal(back, stack, sizeof stack);
    assert_true(wf_names_zero(&names, "off.3") && !wf_names_zero(&names, "on.3"));
    close_fixture(&f);
}

/* ---- every family: a config of defaults makes a model, whose parameters all have names and whose spec makes that config ----
 */
static void check_family(fixture *f, const wf_family *family, const wf_json *architecture) {
    const wf_env env = {.mem = wf_mem_default};
    wf_json *normal, *again, *config, *spec;
    wf_spec *read;
    wf_model *model;
    wf_names names;
    const wf_family *found;
    weft_error err = {0};
    const wf_json *types = wf_json_get(family->json, "model_types");
    const char *type = types ? wf_json_at(types, 0)->string : family->name;
    const char *more = strcmp(family->name, "reformer") != 0 ? "" /* whose defaults are refused */
                       : architecture && strstr(architecture->string, "WithLMHead")
                           ? ", \"num_buckets\": 32, \"is_decoder\": true"
                           : ", \"num_buckets\": 32";
    const char *text = architecture ? wf_arena_printf(&f->arena, "{\"model_type\": \"%s\", \"architectures\": [\"%s\"]%s}",
                                                      type, architecture->string, more)
                                    : wf_arena_printf(&f->arena, "{\"model_type\": \"%s\"%s}", type, more);
    if (read_config(f, text, true, &found, &normal, &err) != WEFT_OK)
        fail_msg("%s: %s", family->name, err.message);
    assert_ptr_equal(found, family);
    if (wf_family_config(family, &f->arena, normal, 0, &config, &err) != WEFT_OK ||
        wf_family_spec(family, &f->arena, config, &(wf_config_options){.strict = true}, &spec, &err) != WEFT_OK ||
        wf_spec_read(&f->arena, spec, &read, &err) != WEFT_OK || wf_spec_normal(&f->arena, read, &again, &err) != WEFT_OK)
        fail_msg("%s back: %s", family->name, err.message);
    if (!wf_json_equal(normal, again))
        fail_msg("%s: its config reads back as another spec", text);
    if (architecture && !wf_json_is_string(wf_json_at(wf_json_get(config, "architectures"), 0), architecture->string))
        fail_msg("%s: written as another class", text);
    if (wf_model_create(&env, spec, &model, &err) != WEFT_OK ||
        wf_model_names(model, family, &f->arena, &names, &err) != WEFT_OK)
        fail_msg("%s: %s", text, err.message);
    wf_model_free(model);
}

static void test_every_family(void **state) {
    size_t checked = 0;
    fixture f;
    open_fixture(&f);
    for (size_t i = 0; i < f.set.count; i++)
        if (wf_json_get(f.set.list[i].json, "config")) {
            const wf_json *classes = wf_json_get(f.set.list[i].json, "architectures");
            for (const wf_json *j = classes->child; j; j = j->next)
                check_family(&f, &f.set.list[i], j);
            checked++;
        }
    assert_true(checked >= 2);
    close_fixture(&f);
}

/* ---- memory ---- */
static void test_no_memory(void **state) {
    fail_mem memory = {0};
    while (fail_mem_next(&memory)) {
        wf_mem mem = fail_mem_hook(&memory);
        fixture f;
        const wf_family *family;
        wf_json *normal, *config;
        weft_error err = {0};
        wf_arena_init(&f.arena, &mem, 0);
        weft_status status = wf_families_open(&mem, &f.set, &err);
        if (status == WEFT_OK)
            status = read_config(&f, GPT2 ", \"scale_attn_by_inverse_layer_idx\": true}", true, &family, &normal, &err);
        if (status == WEFT_OK)
            status = wf_family_config(family, &f.arena, normal, 40, &config, &err);
        assert_int_equal(status, atomic_load(&memory.fired) ? WEFT_NO_MEMORY : WEFT_OK);
        wf_families_close(&f.set);
        wf_arena_free(&f.arena);
        assert_int_equal(memory.live, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_honoured),     cmocka_unit_test(test_back),      cmocka_unit_test(test_refused),
        cmocka_unit_test(test_own_family),   cmocka_unit_test(test_names),     cmocka_unit_test(test_orders),
        cmocka_unit_test(test_every_family), cmocka_unit_test(test_no_memory), cmocka_unit_test(test_bases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
