/* jinja.c - compiling and rendering: what the rest of weft sees. */
#include <string.h>
#include "template/syntax.h"

enum { MEMORY = 128 << 20, STEPS = 20000000 };

const char *wf_template_error_name(wf_template_error error) {
    static const char *const names[] = {NULL, "syntax", "raise_exception", "undefined", "security", "runtime", "limit"};
    return names[error];
}

static weft_status compile(wf_tpl *r, wf_template *t, const char *source, size_t length) {
    wf_tpl_token *tokens;
    size_t count;
    if (length > WF_TEMPLATE_LONGEST)
        return wf_tpl_fail(r, WF_TEMPLATE_LIMIT, "a template of more than %d MiB", (int)WF_TEMPLATE_LONGEST >> 20);
    t->source = wf_arena_strndup(&r->arena, source, length);
    WF_TPL_NEED(r, t->source);
    WF_TRY(wf_tpl_lex(r, source, length, &tokens, &count));
    r->line = 0;
    return wf_tpl_parse(r, tokens, &t->body);
}

weft_status wf_template_compile(const wf_mem *mem, const char *source, size_t length, wf_template **out, weft_error *err) {
    static const wf_template_input nothing = {0};
    wf_template *t = *out = NULL;
    wf_tpl r = {.steps = INT64_MAX, .in = &nothing, .err = err};
    if (!(t = wf_calloc(mem, 1, sizeof *t)))
        return wf_fail_memory(err);
    t->mem = mem;
    wf_arena_init(&r.arena, mem, (size_t)1 << 30);
    weft_status status = compile(&r, t, source, length);
    t->arena = r.arena;
    memcpy(t->words, r.words, sizeof t->words);
    if (status) {
        wf_template_free(t);
        return status;
    }
    *out = t;
    return WEFT_OK;
}

void wf_template_free(wf_template *t) {
    if (!t)
        return;
    wf_arena_free(&t->arena);
    wf_free(t->mem, t);
}

const char *wf_template_source(const wf_template *t) { return t->source; }

/* ---- rendering ---- */

static weft_status read_variables(wf_tpl *r, const wf_json *variables) {
    wf_var key, value;
    WF_TRY(wf_dict_new(r, &r->context));
    for (const wf_json *j = variables ? variables->child : NULL; j; j = j->next) {
        WF_TRY(wf_var_string(r, j->key, strlen(j->key), &key));
        WF_TRY(wf_var_from_json(r, j, &value));
        WF_TRY(wf_dict_put(r, r->context, key, value));
    }
    return WEFT_OK;
}

static weft_status render(wf_tpl *r, const wf_template *t) {
    wf_tpl_flow flow = WF_FLOW_ON;
    WF_TRY(read_variables(r, r->in->variables));
    WF_TRY(wf_tpl_new_scope(r, NULL, &r->globals));
    WF_TRY(wf_tpl_exec(r, r->globals, t->body, &flow));
    return r->out.failed ? wf_fail_memory(r->err) : WEFT_OK;
}

weft_status wf_template_render(const wf_template *t, const wf_mem *mem, const wf_template_input *in, wf_template_result *result, weft_error *err) {
    *result = (wf_template_result){.text = wf_str_new(mem), .message = wf_str_new(mem)};
    wf_tpl r = {.out = wf_str_new(mem), .root_mark = SIZE_MAX, .steps = in->steps ? in->steps : STEPS, .in = in, .result = result, .err = err};
    memcpy(r.words, t->words, sizeof r.words);
    wf_arena_init(&r.arena, mem, in->memory ? in->memory : MEMORY);
    weft_status status = render(&r, t);
    wf_arena_free(&r.arena);
    result->error = status ? r.kind : WF_TEMPLATE_FINE;
    if (status)
        wf_str_free(&r.out);
    else
        result->text = r.out;
    return status;
}

void wf_template_result_free(wf_template_result *result) {
    wf_free(result->text.mem, result->spans);
    wf_str_free(&result->text);
    wf_str_free(&result->message);
    *result = (wf_template_result){.text = wf_str_new(NULL)};
}
