/* postprocessors.c - the table of post-processors: what is put around a text. The form for pairs of texts is not used here. */
#include "text/engine.h"

#include <string.h>

static weft_status put_ids(wf_loading *l, wf_id_list *list, const uint32_t *ids, size_t n) {
    uint32_t *all = wf_arena_alloc(&l->tok->arena, (list->count + n) * sizeof *all);
    if (!all)
        return wf_fail_memory(l->err);
    if (list->count)
        memcpy(all, list->data, list->count * sizeof *all);
    memcpy(all + list->count, ids, n * sizeof *all);
    *list = (wf_id_list){all, list->count + n};
    return WEFT_OK;
}

/* ["<s>", 0] */
static weft_status load_named_id(wf_loading *l, const wf_json *object, const char *key, wf_id_list *list) {
    const wf_json *pair = wf_json_get(object, key);
    if (!pair || pair->kind != WF_JSON_ARRAY || pair->count != 2 || wf_json_at(pair, 0)->kind != WF_JSON_STRING)
        return wf_load_fail(l, WEFT_BAD_INPUT, pair ? pair : object, "%s must be a token and its id", key);
    uint32_t id = 0;
    WF_TRY(wf_load_id(l, wf_json_at(pair, 1), &id));
    return put_ids(l, list, &id, 1);
}

/* Bert and Roberta differ only in pairs: cls text sep. */
static weft_status load_cls_sep(wf_loading *l, const wf_json *j) {
    WF_TRY(load_named_id(l, j, "cls", &l->tok->before));
    return load_named_id(l, j, "sep", &l->tok->after);
}

static weft_status load_special(wf_loading *l, const wf_json *specials, const wf_json *item, wf_id_list *list) {
    const wf_json *name = wf_json_get(item, "id");
    if (!name || name->kind != WF_JSON_STRING)
        return wf_load_fail(l, WEFT_BAD_INPUT, item, "SpecialToken needs an id");
    const wf_json *ids = wf_json_get(wf_json_get(specials, name->string), "ids");
    if (!ids || ids->kind != WF_JSON_ARRAY)
        return wf_load_fail(l, WEFT_BAD_INPUT, name, "the template names \"%s\", which special_tokens does not define",
                            name->string);
    for (const wf_json *j = ids->child; j; j = j->next) {
        uint32_t id;
        WF_TRY(wf_load_id(l, j, &id));
        WF_TRY(put_ids(l, list, &id, 1));
    }
    return WEFT_OK;
}

static weft_status load_template(wf_loading *l, const wf_json *j) {
    const wf_json *single = wf_json_get(j, "single"), *specials = wf_json_get(j, "special_tokens");
    if (!single || single->kind != WF_JSON_ARRAY)
        return wf_load_fail(l, single ? WEFT_UNSUPPORTED : WEFT_BAD_INPUT, single ? single : j,
                            "TemplateProcessing needs a list \"single\"");
    bool seen = false;
    for (const wf_json *item = single->child; item; item = item->next) {
        const wf_json *special = wf_json_get(item, "SpecialToken"), *sequence = wf_json_get(item, "Sequence");
        if (special) {
            WF_TRY(load_special(l, specials, special, seen ? &l->tok->after : &l->tok->before));
            continue;
        }
        if (!sequence || !wf_json_is_string(wf_json_get(sequence, "id"), "A") || seen)
            return wf_load_fail(l, WEFT_BAD_INPUT, item,
                                "a template for one text holds special tokens and the sequence A once");
        seen = true;
    }
    return seen ? WEFT_OK : wf_load_fail(l, WEFT_BAD_INPUT, single, "the template has no sequence A");
}

static weft_status load_nothing(wf_loading *l, const wf_json *j) { return WEFT_OK; }

static const wf_postprocessor_row rows[] = {
    {.name = "ByteLevel", .load = load_nothing}, /* trims offsets, adds nothing */
    {.name = "BertProcessing", .load = load_cls_sep},
    {.name = "RobertaProcessing", .load = load_cls_sep},
    {.name = "TemplateProcessing", .load = load_template},
};

const wf_postprocessor_row *wf_postprocessor_find(const char *name) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (wf_streq(rows[i].name, name))
            return &rows[i];
    return NULL;
}
