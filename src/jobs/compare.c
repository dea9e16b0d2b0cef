/* compare.c - the job `compare`: several architectures on one text or task under one budget, one after another, and a report.
 */
#include "base/reader.h"
#include "compare/report.h"
#include "jobs/comparison.h"

static weft_status write_report(wf_comparison *c) {
    const wf_mem *mem = &c->job->env->mem;
    const char *path = wf_path_join(c->job->arena, c->out, "report.html");
    wf_str html = wf_str_new(mem);
    weft_status status = path ? wf_report_html(mem, c->run, &html, c->job->err) : wf_fail_memory(c->job->err);
    if (status == WEFT_OK)
        status = wf_write_file(mem, path, wf_str_text(&html), html.length, c->job->err);
    wf_str_free(&html);
    if (status == WEFT_OK)
        status = wf_report_table(mem, c->run, 120, false, &c->job->text, c->job->err);
    if (status == WEFT_OK)
        wf_str_printf(&c->job->text, "\nreport: %s\n", path);
    return status;
}

/* A model that cannot be trained is noted; the others go on. */
static weft_status fail_model(wf_comparison *c, wf_json *entry, weft_status status, weft_error *first) {
    wf_fail_in(c->job->err, "%s", wf_json_text(entry, "name", "model"));
    wf_put_text(c->job->arena, entry, "status", "failed");
    wf_put_text(c->job->arena, entry, "note", c->job->err ? c->job->err->message : weft_status_name(status));
    if (first->status == WEFT_OK && c->job->err)
        *first = *c->job->err;
    return wf_comparison_write(c);
}

static bool is_stop(weft_status status) { return status == WEFT_INTERRUPTED || status == WEFT_TERMINATED; }

static weft_status run_models(wf_comparison *c) {
    int64_t index = 0;
    weft_error first = {0};
    weft_status failed = WEFT_OK;
    for (wf_json *entry = c->list->child; entry; entry = entry->next, index++) {
        if (wf_streq(wf_json_text(entry, "status", ""), "complete"))
            continue;
        weft_status status = wf_comparison_trial(c, index, entry);
        if (is_stop(status))
            wf_put_text(c->job->arena, entry, "status", "interrupted");
        if (is_stop(status) || status == WEFT_NO_MEMORY)
            return status;
        if (status == WEFT_OK)
            continue;
        failed = failed ? failed : status;
        WF_TRY(fail_model(c, entry, status, &first));
    }
    if (failed != WEFT_OK && c->job->err)
        *c->job->err = first;
    return failed;
}

static void set_status(wf_comparison *c, weft_status status) {
    wf_put_text(c->job->arena, c->run, "status", status == WEFT_OK ? "complete" : is_stop(status) ? "interrupted" : "failed");
}

static weft_status compare(wf_comparison *c) {
    weft_error first = {0};
    WF_TRY(c->lesson->read(c));
    WF_TRY(wf_make_dir(c->out, c->job->err));
    WF_TRY(wf_comparison_plan(c));
    WF_TRY(wf_comparison_write(c));
    weft_status status = run_models(c);
    if (is_stop(status))
        wf_fail(c->job->err, status, "stopped; the report shows what is finished, weft compare --resume --out %s goes on",
                c->out);
    if (c->job->err)
        first = *c->job->err;
    set_status(c, status);
    WF_TRY(wf_comparison_write(c));
    weft_status written = write_report(c);
    c->job->json = c->run;
    if (status != WEFT_OK && c->job->err)
        *c->job->err = first;
    return status != WEFT_OK ? status : written;
}

weft_status wf_job_compare(wf_job *job) {
    wf_comparison c = {0};
    WF_TRY(wf_comparison_read(job, &c));
    weft_status status = compare(&c);
    wf_source_close(&c.source);
    return status;
}
