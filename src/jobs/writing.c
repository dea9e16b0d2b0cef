/* writing.c - what generate is asked, for one prompt or for many. */
#include "jobs/writing.h"

static wf_overflow overflow(wf_options *o) {
    const char *word = wf_option_text(o, "overflow", "stop");
    for (const wf_overflow_row *row = wf_overflows; row->name; row++)
        if (wf_streq(row->name, word))
            return row->policy;
    wf_option_fail(o, wf_json_get(o->object, "overflow"), "'overflow' must be stop, slide or error, not '%s'", word);
    return WF_OVERFLOW_STOP;
}

void wf_writing_read(wf_job *job, wf_options *o, wf_writing *out) {
    wf_generate_options usual = wf_generate_usual();
    *out = (wf_writing){.measured = wf_json_get(job->options, "max_tokens") != NULL,
                        .stops = wf_json_get(job->options, "stop") != NULL};
    usual.max_tokens = wf_option_int(o, "max_tokens", usual.max_tokens, 0, INT32_MAX);
    wf_asked_read(o, &out->asked);
    usual.stop = wf_job_texts(job, o, "stop", &usual.n_stop);
    usual.overflow = overflow(o);
    usual.context = wf_option_int(o, "context", 0, 1, INT32_MAX);
    out->how = usual;
    for (size_t i = 0; i < usual.n_stop; i++)
        if (!usual.stop[i][0])
            wf_option_fail(o, wf_json_get(o->object, "stop"), "an empty stop string would end every text");
}

weft_status wf_writing_begin(const wf_opened *m, wf_ids *ids, weft_error *err) {
    int64_t first = m->says.bos >= 0 ? m->says.bos : m->says.n_eos > 0 ? m->says.eos[0] : -1;
    if (first < 0)
        return wf_tokenizer_encode(m->tok, "\n", 1, 0, ids, err);
    uint32_t id = (uint32_t)first;
    WF_TRY(wf_grow(ids->mem, (void **)&ids->data, &ids->capacity, 1, sizeof *ids->data, err));
    ids->data[0] = id;
    ids->count = 1;
    return WEFT_OK;
}

/* How many new tokens: as asked, else what the config says, else the usual. */
int64_t wf_writing_length(const wf_job *job, const char *model, const wf_writing *r, const wf_opened *m, size_t prompt) {
    bool encoder = m->model->encoder != NULL;
    int64_t given = encoder ? 1 : (int64_t)prompt, fixed = encoder && m->says.n_start ? (int64_t)m->says.n_start : given,
            longest = wf_generation_config_longest(&m->says, given);
    if (r->measured || longest == 0)
        return r->how.max_tokens;
    if (longest > fixed)
        return longest - fixed;
    wf_log(job->env, WF_WARN,
           "%s: 'max_length' of the generation config leaves no token behind the %lld of the prompt: at most "
           "%lld are written ('max_tokens')",
           model, (long long)fixed, (long long)r->how.max_tokens);
    return r->how.max_tokens;
}

weft_status wf_writing_prepare(wf_job *job, const char *model, const wf_writing *w, const wf_opened *m,
                               wf_generate_options *out) {
    const wf_generation_config *says = &m->says;
    *out = w->how;
    out->start = says->start;
    out->n_start = says->n_start;
    out->eos = says->eos;
    out->n_eos = says->n_eos;
    if (!w->stops)
        out->stops = wf_opened_stops(m);
    out->sampling = wf_asked_sampling(&w->asked, says, &w->how.sampling);
    WF_TRY(wf_job_beams(job, model, says, &w->asked, &out->beams));
    if (out->beams.beams > 1)
        out->sampling.temperature = 0.0;
    return WEFT_OK;
}

wf_rules wf_writing_rules(const wf_opened *m) { return wf_generation_config_rules(&m->says, 0, 0, 0); }

weft_status wf_writing_run(wf_job *job, const char *model, const wf_writing *w, const wf_opened *m, wf_generate_options how,
                           const wf_ids *prompt, wf_generation *out) {
    wf_rules rules = wf_writing_rules(m);
    how.sampling.rules = &rules;
    how.max_tokens = wf_writing_length(job, model, w, m, prompt->count);
    return wf_generate(m->model, m->target, prompt->data, prompt->count, &how, out, job->err);
}
