/* An adapter_config.json from a stranger: no text makes it misbehave; an error has a status a user can act on and a message;
 * what is read decides about modules of any name, with patterns of any kind, in bounded time. */
#include <stdlib.h>
#include <string.h>
#include "families/adapter_config.h"
#include "families/family.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static void check_error(weft_status status, const weft_error *err) {
    require(status == WEFT_BAD_INPUT || status == WEFT_UNSUPPORTED || status == WEFT_FAILURE || status == WEFT_NO_MEMORY);
    require(err->status == status && err->message[0]);
}

static void ask(const wf_adapter_config *config, const char *module) {
    weft_error err = {0};
    int64_t rank;
    float scale;
    bool yes;
    weft_status status = wf_adapter_targets(config, &(wf_adapter_module){module, true}, &yes, &err);
    if (status != WEFT_OK)
        check_error(status, &err);
    status = wf_adapter_strength(config, module, &rank, &scale, &err);
    if (status != WEFT_OK)
        check_error(status, &err);
    else
        require(rank >= 1);
    (void)wf_adapter_saves(config, module);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const modules[] = {
        "", "lm_head", "model.layers.0.self_attn.q_proj", "h.12.mlp.c_fc", "a..b.1.", "encoder.layer.3.experts.7.w1.weight"};
    wf_arena arena;
    wf_json *json;
    wf_adapter_config config;
    weft_error err = {0};
    wf_arena_init(&arena, &wf_mem_default, (size_t)64 << 20);
    weft_status status = wf_config_parse(&arena, (const char *)data, size, &json, &err);
    if (status == WEFT_OK)
        status = wf_adapter_config_read(&wf_mem_default, json, &config, &err);
    if (status != WEFT_OK)
        check_error(status, &err);
    for (size_t i = 0; status == WEFT_OK && i < sizeof modules / sizeof *modules; i++)
        ask(&config, modules[i]);
    wf_arena_free(&arena);
    return 0;
}
