#include "jobs/beams.h"

/* "true", "false" or "never", as a word or as JSON has it. */
static void early(wf_options *o, wf_early *out) {
    const wf_json *j = wf_json_get(o->object, "early_stopping");
    bool flag = j && (j->kind == WF_JSON_TRUE || j->kind == WF_JSON_FALSE);
    if (flag)
        *out = wf_json_bool(o->object, "early_stopping", false) ? WF_EARLY_ONCE : WF_EARLY_NO;
    else if (j && (j->kind != WF_JSON_STRING || !wf_early_find(j->string, out)))
        wf_option_fail(o, j, "'early_stopping' must be true, false or never");
}

static void name_unfollowed(const wf_job *job, const char *model, const wf_generation_config *says) {
    for (size_t i = 0; i < says->n_unfollowed; i++)
        wf_log(job->env, WF_WARN, "%s: '%s' of the generation config is not followed", model, says->unfollowed[i]);
}

static weft_status check(const wf_job *job, const wf_beams *beams, bool chosen, const wf_generation_config *says,
                         const wf_asked *asked) {
    if (beams->beams == 1)
        return WEFT_OK;
    WF_CHECK(chosen || asked->cold || !says->draws, job->err, WEFT_UNSUPPORTED,
             "'do_sample' with 'num_beams' in the generation config is not supported ('beams' says how many)");
    WF_CHECK(!asked->warm, job->err, WEFT_UNSUPPORTED, "%s beams whose tokens are drawn are not supported%s",
             chosen ? "'beams':" : "'num_beams' of the generation config:",
             chosen ? " ('temperature' must be 0)" : " (one beam, or a temperature of 0)");
    return WEFT_OK;
}

weft_status wf_job_beams(wf_job *job, const char *model, const wf_generation_config *says, const wf_asked *asked,
                         wf_beams *out) {
    wf_options o = {.object = job->options, .what = "beams", .err = job->err};
    bool chosen = wf_json_get(job->options, "beams") != NULL;
    *out = says->beams;
    out->beams = wf_option_int(&o, "beams", out->beams, 1, WF_BEAMS_MOST);
    name_unfollowed(job, model, says);
    if (out->returned > out->beams) {
        if (!chosen)
            wf_log(job->env, WF_WARN, "%s: 'num_return_sequences' of the generation config is not followed", model);
        out->returned = out->beams;
    }
    out->length_penalty = wf_option_float(&o, "length_penalty", out->length_penalty, -1e6, 1e6);
    out->returned = wf_option_int(&o, "sequences", out->returned, 1, WF_BEAMS_MOST);
    early(&o, &out->early);
    WF_TRY(o.status);
    WF_TRY(check(job, out, chosen, says, asked));
    return wf_beams_check(out, job->err);
}
