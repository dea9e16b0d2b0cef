/* A config.json from a stranger, through the family it names to a spec: no text makes it misbehave; an error has a status a
 * user can act on and a message; a spec that reads back says the same when it is written out in full, and its config, when a
 * family can write one, reads back as the same spec. */
#include <stdlib.h>
#include <string.h>
#include "families/family.h"
#include "model/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static const wf_families *families(void) {
    static wf_families set;
    if (!set.count)
        require(wf_families_open(&wf_mem_default, &set, NULL) == WEFT_OK);
    return &set;
}

static void check_error(weft_status status, const weft_error *err) {
    require(status == WEFT_BAD_INPUT || status == WEFT_UNSUPPORTED || status == WEFT_USAGE || status == WEFT_NO_MEMORY);
    require(err->status == status && err->message[0]);
}

/* config -> spec -> spec in full; false when there is an error. */
static bool read(wf_arena *arena, const wf_family *family, const wf_json *config, wf_spec **spec, wf_json **normal) {
    weft_error err = {0};
    wf_json *json;
    weft_status status = wf_family_spec(family, arena, config, &(wf_config_options){0}, &json, &err);
    if (status == WEFT_OK && wf_json_get(json, "layers") && wf_json_int(json, "layers", 0) > 16)
        return false; /* the same, slowly */
    if (status == WEFT_OK)
        status = wf_spec_read(arena, json, spec, &err);
    if (status == WEFT_OK)
        status = wf_spec_normal(arena, *spec, normal, &err);
    if (status != WEFT_OK)
        check_error(status, &err);
    return status == WEFT_OK;
}

static void check_back(wf_arena *arena, const wf_family *family, const wf_spec *spec, const wf_json *normal) {
    wf_json *config, *again;
    wf_spec *other;
    const wf_family *found;
    if (wf_family_config(family, arena, normal, spec->context, &config, NULL) != WEFT_OK)
        return;
    require(wf_family_of_config(families(), config, &found, NULL) == WEFT_OK && found == family);
    if (read(arena, family, config, &other, &again))
        require(wf_json_equal(again, normal));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    wf_arena arena;
    wf_json *config, *normal;
    const wf_family *family;
    wf_spec *spec;
    weft_error err = {0};
    wf_arena_init(&arena, &wf_mem_default, (size_t)64 << 20);
    weft_status status = wf_config_parse(&arena, (const char *)data, size, &config, &err);
    if (status == WEFT_OK)
        status = wf_family_of_config(families(), config, &family, &err);
    if (status != WEFT_OK)
        check_error(status, &err);
    else if (read(&arena, family, config, &spec, &normal))
        check_back(&arena, family, spec, normal);
    wf_arena_free(&arena);
    return 0;
}
