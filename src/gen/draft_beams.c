/* draft_beams.c - several texts to one prompt: those that beams find. */
#include "gen/draft.h"
#include "gen/session.h"

static weft_status check_beams(const wf_draft *d, int64_t most, weft_error *err) {
    WF_CHECK(d->o->n_stop == 0, err, WEFT_UNSUPPORTED, "stop strings with beams are not supported");
    WF_CHECK(d->o->overflow == WF_OVERFLOW_STOP || most == d->rules.most, err, WEFT_UNSUPPORTED,
             "beams end with the context of %lld tokens", (long long)d->out.context);
    return WEFT_OK;
}

/* The new tokens of one of them. */
static weft_status write_beam(const wf_draft *d, const wf_beam_text *from, bool full, wf_generated *to, weft_error *err) {
    size_t behind = d->model->encoder ? 0 : (size_t)d->n;
    wf_generation own = {.text = wf_str_new(&d->model->env->mem)};
    wf_generate_options quiet = *d->o;
    quiet.piece = NULL;
    wf_teller w = wf_teller_open(&quiet, &own, d->tok, &d->model->env->mem);
    w.failed |= wf_text_stream_follow(&w.stream, (const uint32_t *)from->ids, behind, NULL) != WEFT_OK;
    for (int64_t i = d->n; i < from->n - from->ended; i++)
        (void)wf_teller_put(&w, (uint32_t)from->ids[i]);
    wf_teller_end(&w);
    wf_teller_close(&w);
    *to = (wf_generated){.text = own.text,
                         .tokens = from->n - d->n,
                         .score = (double)from->score,
                         .finish = from->ended     ? WF_FINISH_EOS
                                   : from->stopped ? WF_FINISH_STOP
                                   : full          ? WF_FINISH_CONTEXT
                                                   : WF_FINISH_LENGTH};
    return w.failed || own.text.failed ? wf_fail_memory(err) : WEFT_OK;
}

static weft_status take_beams(wf_draft *d, const wf_beam_found *found, bool full, weft_error *err) {
    wf_generation *out = &d->out;
    if (!(out->texts = wf_calloc(&d->model->env->mem, (size_t)d->o->beams.returned, sizeof *out->texts)))
        return wf_fail_memory(err);
    for (size_t i = 0; i < (size_t)d->o->beams.returned; i++) {
        wf_generated *to = &out->texts[out->n_texts++];
        WF_TRY(write_beam(d, &found->texts[i], full, to, err));
        if (i > 0)
            wf_str_putc(&out->text, '\n');
        wf_str_put(&out->text, wf_str_text(&to->text), to->text.length);
    }
    out->tokens = out->texts[0].tokens;
    out->finish = out->texts[0].finish;
    if (d->o->piece && out->text.length && d->o->piece(d->o->user, wf_str_text(&out->text), out->text.length))
        out->finish = WF_FINISH_CALLER;
    return WEFT_OK;
}

static weft_status search(wf_draft *d, wf_session *session, int64_t most, weft_error *err) {
    wf_history prompt = wf_draft_history(d);
    wf_sampling sampling = d->o->sampling;
    sampling.rules = &d->rules;
    wf_beam_job job = {.rows = 1,
                       .prompts = &prompt,
                       .how = d->o->beams,
                       .sampling = &sampling,
                       .eos = d->o->eos,
                       .n_eos = d->o->n_eos,
                       .stops = d->o->stops,
                       .given = d->rules.prompt,
                       .most = most};
    wf_beam_found found;
    if (d->model->encoder)
        WF_TRY(wf_session_source(session, d->source, d->n_source, NULL, err));
    d->out.prompt_seconds = d->out.first_seconds = wf_seconds() - d->started;
    WF_TRY(wf_beam_search(session, &job, &found, err));
    weft_status status = take_beams(d, &found, most < d->rules.most, err);
    wf_beam_free(d->model->env, &found);
    return status;
}

weft_status wf_draft_beams(wf_draft *d, weft_error *err) {
    int64_t end = d->out.context, most = end > 0 && end + 1 < d->rules.most ? end + 1 : d->rules.most,
            beams = d->o->beams.beams;
    wf_session *session;
    WF_TRY(check_beams(d, most, err));
    WF_TRY(wf_session_create_shared(d->model, beams, beams, most > d->n ? most - 1 : d->n, &session, err));
    weft_status status = search(d, session, most, err);
    wf_session_free(session);
    return status;
}
