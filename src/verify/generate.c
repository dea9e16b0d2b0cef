/* generate.c - fixtures of kind `generate` (a folder, the options of a generation config, prompts: exact sequences) and the row
 * `logits_processor` of kind `dynamics` (what the rules and cuts leave of given logits). */
#include <math.h>
#include <string.h>
#include "families/load.h"
#include "gen/config.h"
#include "verify/fixture.h"

typedef struct generate_run {
    wf_fixture *fx;
    wf_checkpoint c;
    const wf_model *model;
    const wf_json *says;
    wf_generation_config *config;
    wf_rules rules;
    wf_sampling sampling;
    int64_t batch, rows; /* of input_ids */
    int32_t *ids;        /* [batch, rows] */
    int64_t *lengths;    /* [batch] of sources that are filled up; NULL: all of them count */
    int64_t *pads;       /* [batch] in front of prompts; NULL: none */
    int32_t *prompt;     /* [batch, n_prompt] what texts begin with */
    int64_t n_prompt, most;
    /* out */
    float *first;  /* [batch, vocab] */
    int64_t *text; /* [batch, returned, width] */
    int64_t width, returned;
    float *scores;
    weft_error *err;
} generate_run;

static weft_status take_memory(generate_run *g, size_t n, size_t size, void **out) {
    *out = wf_arena_alloc(&g->fx->arena, (n + 1) * size);
    return *out ? WEFT_OK : wf_fail_memory(g->err);
}

/* ---- what the fixture says ---- */
static weft_status read_config(wf_fixture *fx, int64_t vocab, wf_generation_config **out, weft_error *err) {
    const wf_json *says = wf_json_get(fx->json, "generation");
    WF_CHECK(says && says->kind == WF_JSON_OBJECT, err, WEFT_BAD_INPUT, "the fixture has no 'generation'");
    for (const wf_json *j = says->child; j; j = j->next)
        WF_CHECK(wf_generation_config_knows(j->key), err, WEFT_UNSUPPORTED, "'%s' of the generation config", j->key);
    if (!(*out = wf_arena_alloc(&fx->arena, sizeof **out)))
        return wf_fail_memory(err);
    wf_generation_config_init(*out);
    wf_generation_config_ends(*out, vocab, says);
    wf_generation_config_follow(*out, vocab, false, says);
    WF_CHECK((*out)->n_unfollowed == 0, err, WEFT_UNSUPPORTED, "'%s' of the generation config", (*out)->unfollowed[0]);
    return WEFT_OK;
}

static weft_status read_ids(wf_fixture *fx, const char *name, int64_t *batch, int64_t *rows, int32_t **out, weft_error *err) {
    const wf_stored_tensor *t = wf_fixture_input(fx, name);
    int64_t *wide;
    WF_CHECK(t && t->rank == 2 && wf_stored_count(t) > 0, err, WEFT_BAD_INPUT, "no '%s'", name);
    *batch = t->dims[0];
    *rows = t->dims[1];
    WF_TRY(wf_fixture_ints(fx, t, &wide, err));
    if (!(*out = wf_arena_alloc(&fx->arena, (size_t)wf_stored_count(t) * sizeof **out)))
        return wf_fail_memory(err);
    for (int64_t i = 0; i < wf_stored_count(t); i++)
        (*out)[i] = (int32_t)wide[i];
    return WEFT_OK;
}

/* Padding stands in front of prompts and behind sources. */
static weft_status read_mask(generate_run *g) {
    const wf_stored_tensor *t = wf_fixture_input(g->fx, "attention_mask");
    bool encoder = g->model->encoder != NULL;
    int64_t *mask, *counts;
    if (!t)
        return WEFT_OK;
    WF_TRY(wf_fixture_shape(t, 2, (const int64_t[]){g->batch, g->rows}, g->err));
    WF_TRY(wf_fixture_ints(g->fx, t, &mask, g->err));
    WF_TRY(take_memory(g, (size_t)g->batch, sizeof *counts, (void **)&counts));
    for (int64_t b = 0; b < g->batch; b++, mask += g->rows) {
        int64_t n = 0;
        for (int64_t i = 0; i < g->rows; i++)
            n += mask[i] != 0;
        for (int64_t i = 0; i < g->rows; i++)
            WF_CHECK((mask[i] != 0) == (encoder ? i < n : i >= g->rows - n), g->err, WEFT_UNSUPPORTED, "padding on this side");
        counts[b] = encoder ? n : g->rows - n;
    }
    *(encoder ? &g->lengths : &g->pads) = counts;
    return WEFT_OK;
}

static weft_status read_prompt(generate_run *g) {
    int64_t batch = g->batch, start = wf_json_int(g->says, "decoder_start_token_id", g->config->bos);
    g->prompt = g->ids;
    g->n_prompt = g->rows;
    if (!g->model->encoder)
        return WEFT_OK;
    if (wf_fixture_input(g->fx, "decoder_input_ids")) {
        WF_TRY(read_ids(g->fx, "decoder_input_ids", &batch, &g->n_prompt, &g->prompt, g->err));
    } else {
        WF_CHECK(start >= 0 && start < g->model->spec->vocab, g->err, WEFT_BAD_INPUT, "the decoder has nothing to begin with");
        g->n_prompt = 1;
        WF_TRY(take_memory(g, (size_t)g->batch, sizeof *g->prompt, (void **)&g->prompt));
        for (int64_t b = 0; b < g->batch; b++)
            g->prompt[b] = (int32_t)start;
    }
    WF_CHECK(batch == g->batch, g->err, WEFT_BAD_INPUT, "'decoder_input_ids' do not fit 'input_ids'");
    return WEFT_OK;
}

static weft_status read_inputs(generate_run *g) {
    static const char *const names[] = {"input_ids", "attention_mask", "decoder_input_ids"};
    for (size_t i = 0; i < wf_safetensors_count(g->fx->inputs); i++) {
        const char *name = wf_safetensors_at(g->fx->inputs, i)->name;
        size_t k = 0;
        while (k < 3 && !wf_streq(names[k], name))
            k++;
        WF_CHECK(k < 3, g->err, WEFT_UNSUPPORTED, "the input '%s'", name);
    }
    WF_TRY(read_ids(g->fx, "input_ids", &g->batch, &g->rows, &g->ids, g->err));
    WF_TRY(read_mask(g));
    return read_prompt(g);
}

enum { USUAL_LENGTH = 20, MOST_LENGTH = 1 << 20 };

static weft_status read_rules(generate_run *g) {
    const wf_json *fresh = wf_json_get(g->says, "max_new_tokens"), *most = wf_json_get(g->says, "max_length");
    int64_t n = g->n_prompt;
    g->most = fresh && fresh->is_integer ? n + fresh->integer : most && most->is_integer ? most->integer : n + USUAL_LENGTH;
    WF_CHECK(g->most > n && g->most < MOST_LENGTH, g->err, WEFT_BAD_INPUT, "a text of %lld tokens", (long long)g->most);
    WF_CHECK(!g->config->draws, g->err, WEFT_UNSUPPORTED, "tokens that are drawn");
    g->rules = wf_generation_config_rules(g->config, n, n > 1 || g->config->rules.n_second == 0 ? n : n + 1, g->most);
    g->sampling = (wf_sampling){.top_p = 1.0, .repetition_penalty = g->config->sampling.repetition_penalty, .rules = &g->rules};
    if (g->config->n_eos && g->config->pad < 0)
        g->config->pad = g->config->eos[0];
    return WEFT_OK;
}

/* ---- a token at a time ---- */
static wf_history history(const generate_run *g, int64_t b) {
    return (wf_history){.ids = g->prompt + b * g->n_prompt,
                        .n = g->n_prompt,
                        .pads = g->pads ? g->pads[b] : 0,
                        .source = g->ids + b * g->rows,
                        .n_source = g->rows};
}

static bool is_eos(const generate_run *g, int64_t id) {
    for (size_t i = 0; i < g->config->n_eos; i++)
        if (g->config->eos[i] == id)
            return true;
    return false;
}

static weft_status write_row(generate_run *g, wf_session *s, wf_sampler *sampler, int32_t *ids, int64_t b) {
    wf_history h = history(g, b);
    const float *logits;
    const int32_t *next = h.ids + h.pads;
    int64_t n = h.n - h.pads;
    memcpy(ids, h.ids, (size_t)h.n * sizeof *ids);
    h.ids = ids;
    wf_session_reset(s);
    if (g->model->encoder)
        WF_TRY(wf_session_source(s, h.source, h.n_source, g->lengths ? g->lengths + b : NULL, g->err));
    while (h.n < g->most) {
        WF_TRY(wf_session_feed(s, next, n, &logits, g->err));
        if (h.n == g->n_prompt)
            memcpy(g->first + b * g->model->spec->vocab, logits, (size_t)g->model->spec->vocab * sizeof *logits);
        WF_TRY(wf_sampler_next(sampler, logits, &h, 0, &ids[h.n], g->err));
        next = ids + h.n++;
        n = 1;
        if (is_eos(g, *next))
            break;
    }
    for (int64_t i = 0; i < g->most; i++)
        g->text[b * g->most + i] = i < h.n ? ids[i] : g->config->pad;
    g->width = h.n > g->width ? h.n : g->width;
    return WEFT_OK;
}

static weft_status write_greedily(generate_run *g) {
    int32_t *ids;
    wf_session *s = NULL;
    wf_sampler *sampler = NULL;
    WF_TRY(take_memory(g, (size_t)g->most, sizeof *ids, (void **)&ids));
    weft_status status = wf_session_create(g->model, 1, g->most - 1, &s, g->err);
    if (status == WEFT_OK)
        status = wf_sampler_create(g->fx->env, g->model->spec->vocab, &g->sampling, &sampler, g->err);
    for (int64_t b = 0; status == WEFT_OK && b < g->batch; b++)
        status = write_row(g, s, sampler, ids, b);
    wf_sampler_free(sampler);
    wf_session_free(s);
    return status;
}

/* ---- beams ---- */
/* Behind a text that is done: no end, -1; padding, but for the token 0, which the reference takes for none. */
static int64_t filler(const generate_run *g) {
    const wf_generation_config *c = g->config;
    return c->n_eos == 0 ? -1 : c->pad > 0 ? c->pad : c->eos[0];
}

static void take_beams(generate_run *g, const wf_beam_found *found) {
    memcpy(g->first, found->first, (size_t)(g->batch * g->model->spec->vocab) * sizeof *g->first);
    for (int64_t k = 0; k < g->batch * g->returned; k++) {
        const wf_beam_text *t = &found->texts[k];
        g->scores[k] = t->score;
        g->width = t->n > g->width ? t->n : g->width;
        for (int64_t i = 0; i < g->most; i++)
            g->text[k * g->most + i] = i < t->n ? t->ids[i] : filler(g);
    }
}

static weft_status search(generate_run *g, wf_session *s, wf_history *prompts) {
    wf_beam_job job = {.rows = g->batch,
                       .prompts = prompts,
                       .how = g->config->beams,
                       .sampling = &g->sampling,
                       .eos = g->config->eos,
                       .n_eos = g->config->n_eos,
                       .given = g->n_prompt,
                       .most = g->most};
    wf_beam_found found;
    for (int64_t b = 0; b < g->batch; b++)
        prompts[b] = history(g, b);
    if (g->model->encoder)
        WF_TRY(wf_session_source(s, g->ids, g->rows, g->lengths, g->err));
    WF_TRY(wf_beam_search(s, &job, &found, g->err));
    take_beams(g, &found);
    wf_beam_free(g->fx->env, &found);
    return WEFT_OK;
}

static weft_status write_beams(generate_run *g) {
    int64_t beams = g->config->beams.beams;
    wf_history *prompts;
    wf_session *s;
    WF_TRY(wf_beams_check(&g->config->beams, g->err));
    WF_TRY(take_memory(g, (size_t)g->batch, sizeof *prompts, (void **)&prompts));
    WF_TRY(wf_session_create_shared(g->model, g->batch * beams, beams, g->most - 1, &s, g->err));
    weft_status status = search(g, s, prompts);
    wf_session_free(s);
    return status;
}

/* ---- what came out ---- */
static weft_status compare(generate_run *g) {
    int64_t beams = g->config->beams.beams, vocab = g->model->spec->vocab, texts = g->batch * g->returned;
    float *first;
    WF_TRY(take_memory(g, (size_t)(g->batch * beams * vocab), sizeof *first, (void **)&first));
    for (int64_t i = 0; i < g->batch * beams; i++)
        memcpy(first + i * vocab, g->first + i / beams * vocab, (size_t)vocab * sizeof *first);
    for (int64_t i = 0; i < texts; i++)
        memmove(g->text + i * g->width, g->text + i * g->most, (size_t)g->width * sizeof *g->text);
    WF_TRY(wf_fixture_compare(g->fx, "first_logits", NULL, first, g->batch * beams * vocab, g->err));
    WF_TRY(wf_fixture_compare_ints(g->fx, "sequences", NULL, g->text, texts * g->width, g->err));
    return beams > 1 ? wf_fixture_compare(g->fx, "sequences_scores", NULL, g->scores, texts, g->err) : WEFT_OK;
}

static weft_status run(generate_run *g) {
    WF_CHECK(g->fx->inputs && g->fx->expected, g->err, WEFT_BAD_INPUT, "the fixture lacks its inputs or expected tensors");
    WF_TRY(wf_checkpoint_open(g->fx->env, g->fx->path, &(wf_load_options){.strict = true}, &g->c, g->err));
    g->model = g->c.model;
    g->says = wf_json_get(g->fx->json, "generation");
    WF_TRY(read_config(g->fx, g->model->spec->vocab, &g->config, g->err));
    WF_TRY(read_inputs(g));
    WF_TRY(read_rules(g));
    bool beams = g->config->beams.beams > 1;
    g->returned = beams ? g->config->beams.returned : 1;
    WF_CHECK(beams || g->config->beams.returned == 1, g->err, WEFT_UNSUPPORTED, "several sequences without beams");
    size_t texts = (size_t)(g->batch * g->returned);
    WF_TRY(take_memory(g, (size_t)(g->batch * g->model->spec->vocab), sizeof *g->first, (void **)&g->first));
    WF_TRY(take_memory(g, texts * (size_t)g->most, sizeof *g->text, (void **)&g->text));
    WF_TRY(take_memory(g, texts, sizeof *g->scores, (void **)&g->scores));
    WF_TRY(beams ? write_beams(g) : write_greedily(g));
    return compare(g);
}

weft_status wf_verify_generate(wf_fixture *fx, weft_error *err) {
    generate_run g = {.fx = fx, .err = err};
    weft_status status = run(&g);
    if (g.model)
        wf_checkpoint_close(&g.c);
    return status;
}

/* ---- rules and cuts alone ---- */
static void take_result(const double *z, int64_t vocab, int64_t *kept, float *probs) {
    double top = -INFINITY, sum = 0.0;
    for (int64_t i = 0; i < vocab; i++)
        top = z[i] > top ? z[i] : top;
    for (int64_t i = 0; i < vocab; i++)
        sum += exp(z[i] - top);
    for (int64_t i = 0; i < vocab; i++) {
        kept[i] = z[i] > -INFINITY;
        probs[i] = (float)(exp(z[i] - top) / sum);
    }
}

typedef struct processed {
    int64_t batch, n, sources, n_source, vocab;
    int32_t *ids, *source;
    float *logits, *probs;
    int64_t *kept;
} processed;

static weft_status read_processed(wf_fixture *fx, processed *p, weft_error *err) {
    const wf_stored_tensor *t = wf_fixture_input(fx, "logits");
    WF_TRY(read_ids(fx, "input_ids", &p->batch, &p->n, &p->ids, err));
    WF_CHECK(t && t->rank == 2 && t->dims[0] == p->batch && t->dims[1] > 0, err, WEFT_BAD_INPUT, "no 'logits' that fit");
    p->vocab = t->dims[1];
    p->source = p->ids;
    p->sources = p->batch;
    p->n_source = wf_json_int(fx->json, "prompt_length", p->n);
    if (wf_fixture_input(fx, "encoder_input_ids"))
        WF_TRY(read_ids(fx, "encoder_input_ids", &p->sources, &p->n_source, &p->source, err));
    WF_CHECK(p->sources == p->batch && p->n_source >= 0 && (p->source != p->ids || p->n_source <= p->n), err, WEFT_BAD_INPUT,
             "'encoder_input_ids' do not fit 'input_ids'");
    WF_TRY(wf_fixture_floats(fx, t, &p->logits, err));
    p->probs = wf_arena_alloc(&fx->arena, (size_t)(p->batch * p->vocab) * sizeof *p->probs);
    p->kept = wf_arena_alloc(&fx->arena, (size_t)(p->batch * p->vocab) * sizeof *p->kept);
    return p->probs && p->kept ? WEFT_OK : wf_fail_memory(err);
}

static weft_status process(wf_sampler *s, const processed *p, weft_error *err) {
    for (int64_t b = 0; b < p->batch; b++) {
        const double *z;
        int64_t each = p->source == p->ids ? p->n : p->n_source;
        wf_history h = {.ids = p->ids + b * p->n, .n = p->n, .source = p->source + b * each, .n_source = p->n_source};
        WF_TRY(wf_sampler_scores(s, p->logits + b * p->vocab, &h, &z, err));
        take_result(z, p->vocab, p->kept + b * p->vocab, p->probs + b * p->vocab);
    }
    return WEFT_OK;
}

weft_status wf_verify_processors(wf_fixture *fx, weft_error *err) {
    processed p = {0};
    wf_generation_config *config;
    wf_sampler *s;
    WF_TRY(read_processed(fx, &p, err));
    WF_TRY(read_config(fx, p.vocab, &config, err));
    int64_t prompt = wf_json_int(fx->json, "prompt_length", p.n),
            begin = prompt > 1 || config->rules.n_second == 0 ? prompt : prompt + 1;
    wf_rules rules =
        wf_generation_config_rules(config, prompt, begin, wf_json_int(wf_json_get(fx->json, "generation"), "max_length", 0));
    wf_sampling how = config->sampling;
    how.rules = &rules;
    if (!config->draws)
        how = (wf_sampling){.top_p = 1.0, .repetition_penalty = how.repetition_penalty, .rules = &rules};
    WF_TRY(wf_sampler_create(fx->env, p.vocab, &how, &s, err));
    weft_status status = process(s, &p, err);
    wf_sampler_free(s);
    WF_TRY(status);
    WF_TRY(wf_fixture_compare_ints(fx, "kept", NULL, p.kept, p.batch * p.vocab, err));
    return wf_fixture_compare(fx, "probs", NULL, p.probs, p.batch * p.vocab, err);
}
