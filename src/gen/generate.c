#include "gen/generate.h"
#include "gen/session.h"

const wf_overflow_row wf_overflows[] = {{"stop", "the text ends", WF_OVERFLOW_STOP},
                                        {"slide", "the last half of the context is kept and read again", WF_OVERFLOW_SLIDE},
                                        {"error", "an error", WF_OVERFLOW_ERROR},
                                        {NULL, NULL, WF_OVERFLOW_STOP}};

const char *wf_finish_name(wf_finish finish) {
    static const char *const names[] = {"max_tokens", "eos", "stop", "context", "caller", "interrupted"};
    return names[finish];
}

wf_generate_options wf_generate_usual(void) {
    return (wf_generate_options){
        .sampling = {.temperature = 0.8, .top_p = 0.95, .repetition_penalty = 1.0}, .beams = wf_beams_usual, .max_tokens = 256};
}

static bool grows_without_end(const wf_layer *layer) {
    for (int i = 0; layer && i < layer->n_states; i++)
        if (layer->states[i].present && layer->states[i].row->kind == WF_STATE_APPEND && layer->states[i].limit == 0)
            return true;
    return false;
}

int64_t wf_context_end(const wf_model *model) {
    int64_t limit = wf_model_position_limit(model);
    for (int64_t i = 0; i < model->spec->layers && limit == 0; i++)
        if (grows_without_end(model->spec->blocks[i].mixer) || grows_without_end(model->spec->blocks[i].channel))
            return model->spec->context;
    return limit;
}

void wf_generation_free(const wf_env *env, wf_generation *g) {
    for (size_t i = 0; i < g->n_texts; i++)
        wf_str_free(&g->texts[i].text);
    wf_free(&env->mem, g->texts);
    wf_str_free(&g->text);
}

typedef struct keeping {
    const wf_env *env;
    wf_generation *out;
} keeping;

static weft_status keep(void *user, size_t index, wf_generation *g, weft_status status) {
    const keeping *k = user;
    (void)index;
    (void)status;
    wf_generation_free(k->env, k->out);
    *k->out = *g;
    *g = (wf_generation){.text = wf_str_new(&k->env->mem)};
    return WEFT_OK;
}

weft_status wf_generate(const wf_model *model, const wf_tokenizer *tok, const uint32_t *prompt, size_t n,
                        const wf_generate_options *options, wf_generation *out, weft_error *err) {
    const wf_prompt one = {prompt, n, options->max_tokens};
    keeping k = {model->env, out};
    return wf_generate_many(model, tok, &(wf_prompts){&one, 1}, options, keep, &k, err);
}
