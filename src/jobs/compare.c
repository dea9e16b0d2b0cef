/* compare.c - the job `compare`: several architectures on one text under one budget, one after another, and a report. */
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

static weft_status run_models(wf_comparison *c) {
    int64_t index = 0;
    for (wf_json *entry = c->list->child; entry; entry = entry->next, index++) {
        if (wf_streq(wf_json_text(entry, "status", ""), "complete"))
            continue;
        weft_status status = wf_comparison_model(c, index, entry);
        if (status != WEFT_OK) {
            bool stopped = status == WEFT_INTERRUPTED || status == WEFT_TERMINATED;
            wf_put_text(c->job->arena, entry, "status", stopped ? "interrupted" : "failed");
            return status;
        }
    }
    return WEFT_OK;
}

static void set_status(wf_comparison *c, weft_status status) {
    bool stopped = status == WEFT_INTERRUPTED || status == WEFT_TERMINATED;
    wf_put_text(c->job->arena, c->run, "status", status == WEFT_OK ? "complete" : stopped ? "interrupted" : "failed");
}

static weft_status compare(wf_comparison *c) {
    weft_error first = {0};
    WF_TRY(wf_source_open(c->job, &c->source_options, &c->source));
    WF_TRY(wf_make_dir(c->out, c->job->err));
    WF_TRY(wf_comparison_plan(c));
    WF_TRY(wf_comparison_write(c));
    weft_status status = run_models(c);
    if (status == WEFT_INTERRUPTED || status == WEFT_TERMINATED)
        wf_fail(c->job->err, status, "stopped; the report shows what is finished, weft compare --resume --out %s goes on", c->out);
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
