#include "jobs/subject.h"
#include <stdio.h>
#include <string.h>
#include "base/reader.h"
#include "formats/hub.h"

weft_status wf_subject_find(wf_job *job, const char **name) {
    return *name && !wf_preset_exists(*name) ? wf_hub_path(job->arena, *name, name, job->err) : WEFT_OK;
}

bool wf_subject_is_folder(const char *name) {
    char path[4096];
    if (!name || !wf_is_dir(name) || strlen(name) > sizeof path - 16)
        return false;
    snprintf(path, sizeof path, "%s/config.json", name);
    return wf_is_file(path);
}

weft_status wf_subject_template(wf_job *job, const char *model, const char *spec_file, wf_json **out, weft_error *err) {
    WF_CHECK(!model || !spec_file, err, WEFT_USAGE, "give either a model or a spec file, not both");
    if (spec_file) {
        WF_TRY(wf_json_parse_file(job->arena, spec_file, out, err));
        WF_CHECK((*out)->kind == WF_JSON_OBJECT, err, WEFT_BAD_INPUT, "%s: a spec must be an object", spec_file);
        return WEFT_OK;
    }
    WF_CHECK(!model || !wf_is_dir(model), err, WEFT_BAD_INPUT, "%s: a folder without config.json is no model", model);
    return wf_preset_template(job->arena, model ? model : "llama", out, err);
}

/* Strings of the form "=.." anywhere: the template has free sizes. */
static bool has_free_sizes(const wf_json *j, int depth) {
    if (j->kind == WF_JSON_STRING)
        return j->string[0] == '=';
    for (const wf_json *c = depth < 32 ? j->child : NULL; c; c = c->next)
        if (has_free_sizes(c, depth + 1))
            return true;
    return false;
}

weft_status wf_subject_spec(wf_job *job, const wf_json *template_, const wf_sizing *sizing, wf_json **spec, weft_error *err) {
    if (has_free_sizes(template_, 0))
        return wf_preset_solve(job->env, job->arena, template_, sizing, spec, err);
    *spec = wf_json_copy(job->arena, wf_json_get(template_, "spec") ? wf_json_get(template_, "spec") : template_);
    if (!*spec)
        return wf_fail_memory(err);
    if (!wf_json_get(*spec, "vocab"))
        wf_json_put(job->arena, *spec, "vocab", wf_json_new_int(job->arena, sizing->vocab));
    if (!wf_json_get(*spec, "context"))
        wf_json_put(job->arena, *spec, "context", wf_json_new_int(job->arena, sizing->context));
    return WEFT_OK;
}
