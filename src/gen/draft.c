#include "gen/draft.h"
#include <string.h>
#include "gen/session.h"

/* ---- what is asked ---- */
static int64_t context_of(const wf_model *model, const wf_generate_options *o) {
    return o->context > 0 ? o->context : wf_context_end(model);
}

static size_t given_length(const wf_model *model, const wf_prompt *prompt, const wf_generate_options *o) {
    return !model->encoder ? prompt->n : o->start && o->n_start ? o->n_start : 1;
}

/* Room for every token when the context never ends, else the context. */
int64_t wf_draft_room(const wf_model *model, const wf_prompt *prompt, const wf_generate_options *o) {
    int64_t wanted = (int64_t)given_length(model, prompt, o) + prompt->max_tokens, end = context_of(model, o);
    return end > 0 && end < wanted ? end : wanted;
}

static weft_status check_source(wf_draft *d) {
    int64_t limit = d->source ? wf_model_position_limit(d->model->encoder) : 0;
    WF_CHECK(!d->source || d->n_source > 0, &d->failure, WEFT_USAGE, "the prompt has no tokens");
    WF_CHECK(limit == 0 || d->n_source <= limit, &d->failure, WEFT_USAGE,
             "the source has %lld tokens, the encoder only %lld positions", (long long)d->n_source, (long long)limit);
    return WEFT_OK;
}

static weft_status check_prompt(wf_draft *d) {
    int64_t end = d->out.context, limit = wf_model_position_limit(d->model);
    weft_error *err = &d->failure;
    WF_CHECK(d->n > 0, err, WEFT_USAGE, "the prompt has no tokens");
    WF_CHECK(d->max_tokens >= 0 && d->max_tokens <= INT32_MAX, err, WEFT_USAGE, "max_tokens must be from 0 to %d, not %lld",
             INT32_MAX, (long long)d->max_tokens);
    WF_CHECK(limit == 0 || d->o->context <= limit, err, WEFT_USAGE,
             "a context of %lld tokens is more than the %lld positions of this model", (long long)d->o->context,
             (long long)limit);
    WF_CHECK(end == 0 || d->n <= end || d->o->overflow == WF_OVERFLOW_SLIDE, err, WEFT_USAGE,
             "the prompt has %lld tokens, the context only %lld ('slide' keeps its end)", (long long)d->n, (long long)end);
    return WEFT_OK;
}

static weft_status take_ids(wf_draft *d, const wf_prompt *prompt, int64_t vocab, int32_t *out) {
    for (size_t i = 0; i < prompt->n; i++) {
        WF_CHECK((int64_t)prompt->ids[i] < vocab, &d->failure, WEFT_BAD_INPUT,
                 "token %u of the prompt is outside the model's vocabulary of %lld", (unsigned)prompt->ids[i],
                 (long long)vocab);
        out[i] = (int32_t)prompt->ids[i];
    }
    return WEFT_OK;
}

int32_t wf_first_token(const wf_model *model, const int32_t *eos, size_t n_eos) {
    const wf_shift_spec *shift = &model->spec->shift;
    return shift->rotate && n_eos ? eos[0] : (int32_t)shift->token;
}

static void take_start(wf_draft *d) {
    int32_t usual = wf_first_token(d->model, d->o->eos, d->o->n_eos);
    bool given = d->o->start && d->o->n_start;
    memcpy(d->ids, given ? d->o->start : &usual, (size_t)d->n * sizeof *d->ids);
}

static weft_status take_prompt(wf_draft *d, const wf_prompt *prompt) {
    const wf_model *m = d->model;
    const wf_mem *mem = &m->env->mem;
    d->n = (int64_t)given_length(m, prompt, d->o);
    WF_TRY(wf_grow(mem, (void **)&d->ids, &d->capacity, (size_t)d->n + 1, sizeof *d->ids, &d->failure));
    if (!m->encoder) {
        WF_TRY(wf_text_stream_follow(&d->teller.stream, prompt->ids, prompt->n, &d->failure));
        return take_ids(d, prompt, m->spec->vocab, d->ids);
    }
    if (!(d->source = wf_calloc(mem, prompt->n + 1, sizeof *d->source)))
        return wf_fail_memory(&d->failure);
    d->n_source = (int64_t)prompt->n;
    take_start(d);
    return take_ids(d, prompt, m->encoder->spec->vocab, d->source);
}

/* The rules for a prompt of this length; behind an encoder what is forced behind the first token counts as written. */
static void take_rules(wf_draft *d) {
    d->n_prompt = d->n;
    if (d->o->sampling.rules)
        d->rules = *d->o->sampling.rules;
    d->rules.prompt = d->model->encoder ? 1 : d->n;
    d->rules.begin = d->n;
    d->rules.most = d->n + d->max_tokens;
}

wf_draft *wf_draft_open(const wf_model *model, const wf_tokenizer *tok, const wf_prompt *prompt, const wf_generate_options *o) {
    const wf_mem *mem = &model->env->mem;
    wf_draft *d = wf_calloc(mem, 1, sizeof *d);
    if (!d)
        return NULL;
    *d = (wf_draft){.model = model, .tok = tok, .o = o, .max_tokens = prompt->max_tokens, .started = wf_seconds()};
    d->out = (wf_generation){.text = wf_str_new(mem),
                             .finish = WF_FINISH_LENGTH,
                             .prompt_tokens = (int64_t)prompt->n,
                             .context = context_of(model, o)};
    d->teller = wf_teller_open(o, &d->out, tok, mem);
    weft_status status = take_prompt(d, prompt);
    if (status == WEFT_OK)
        status = check_source(d);
    if (status == WEFT_OK)
        status = check_prompt(d);
    if (status == WEFT_OK)
        take_rules(d);
    d->room = wf_draft_room(model, prompt, o);
    d->done = status != WEFT_OK;
    return d;
}

void wf_draft_free(wf_draft *d) {
    if (!d)
        return;
    const wf_mem *mem = &d->model->env->mem;
    wf_teller_close(&d->teller);
    wf_generation_free(d->model->env, &d->out);
    wf_free(mem, d->ids);
    wf_free(mem, d->source);
    wf_free(mem, d);
}

wf_history wf_draft_history(const wf_draft *d) {
    return (wf_history){
        .ids = d->ids, .n = d->n, .source = d->source ? d->source : d->ids, .n_source = d->source ? d->n_source : d->n_prompt};
}

/* ---- feeding ---- */
const int32_t *wf_draft_unfed(wf_draft *d, int64_t *n) {
    if (d->n - d->fed > d->room)
        d->fed = d->n - (d->room + 1) / 2;
    *n = d->n - d->fed;
    return d->ids + d->fed;
}

void wf_draft_was_fed(wf_draft *d) {
    d->held += d->n - d->fed;
    d->fed = d->n;
}

bool wf_draft_is_full(const wf_draft *d) { return d->held >= d->room; }

void wf_draft_overflow(wf_draft *d) {
    int64_t keep = (d->room + 1) / 2;
    if (d->o->overflow == WF_OVERFLOW_STOP) {
        d->out.finish = WF_FINISH_CONTEXT;
        wf_draft_end(d, WEFT_OK);
        return;
    }
    if (d->o->overflow != WF_OVERFLOW_SLIDE) {
        wf_draft_end(d, wf_fail(&d->failure, WEFT_FAILURE, "the context of %lld tokens is full", (long long)d->room));
        return;
    }
    d->held = 0;
    d->fed = d->n - keep > 0 ? d->n - keep : 0;
    d->out.slides++;
}

/* ---- what comes ---- */
static bool is_eos(const wf_draft *d, int32_t id) {
    for (size_t i = 0; i < d->o->n_eos; i++)
        if (d->o->eos[i] == id)
            return true;
    return false;
}

/* What was chosen becomes characters. A stop string that stays is looked for in all of the text. */
static weft_status tell_chosen(wf_draft *d, bool *ended, bool *stopped) {
    *ended = is_eos(d, d->chosen);
    *stopped = false;
    if (*ended) {
        d->out.finish = WF_FINISH_EOS;
        return WEFT_OK;
    }
    *ended = !wf_teller_put(&d->teller, (uint32_t)d->chosen);
    return *ended ? WEFT_OK : wf_stops_hit(&d->o->stops, d->ids, d->n, stopped, &d->failure);
}

void wf_draft_put(wf_draft *d) {
    bool ended, stopped;
    if (d->out.tokens == 0)
        d->out.first_seconds = wf_seconds() - d->started;
    weft_status status =
        wf_grow(&d->model->env->mem, (void **)&d->ids, &d->capacity, (size_t)d->n + 1, sizeof *d->ids, &d->failure);
    if (status == WEFT_OK) {
        d->ids[d->n++] = d->chosen;
        d->out.tokens++;
        status = tell_chosen(d, &ended, &stopped);
    }
    if (status != WEFT_OK || ended || stopped || d->out.tokens >= d->max_tokens)
        wf_draft_end(d, status);
    if (status == WEFT_OK && stopped && d->out.finish != WF_FINISH_CALLER)
        d->out.finish = WF_FINISH_STOP;
}

void wf_draft_end(wf_draft *d, weft_status status) {
    d->done = true;
    if (d->out.tokens > 0)
        d->out.decode_seconds = wf_seconds() - d->started - d->out.first_seconds;
    if (status == WEFT_INTERRUPTED || status == WEFT_TERMINATED)
        d->out.finish = WF_FINISH_INTERRUPT;
    wf_teller_end(&d->teller);
    if (status == WEFT_OK && (d->out.text.failed || d->teller.failed))
        (void)wf_fail_memory(&d->failure);
}
