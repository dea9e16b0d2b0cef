/* verify.c - fixtures of published references, run here and compared. */
#include "jobs/job.h"
#include "jobs/put.h"
#include "verify/verify.h"

static const char *const outcomes[] = {[WF_PASSED] = "pass", [WF_FAILED] = "fail", [WF_NOT_SUPPORTED] = "unsupported"};

typedef struct listing {
    wf_job *job;
    wf_json *list;
    int64_t count;
} listing;

static void put_verdict(wf_job *job, wf_json *one, const wf_verdict *v) {
    wf_put_text(job->arena, one, "name", v->name);
    wf_put_text(job->arena, one, "outcome", outcomes[v->outcome]);
    wf_put_int(job->arena, one, "compared", (int64_t)v->compared);
    if (v->worst) {
        wf_put_text(job->arena, one, "tensor", v->worst);
        wf_put_number(job->arena, one, "error", v->error);
        wf_put_number(job->arena, one, "tolerance", v->tolerance);
    }
    if (v->why)
        wf_put_text(job->arena, one, "why", v->why);
}

static void add_verdict(void *user, const wf_verdict *v) {
    listing *l = user;
    wf_str *text = &l->job->text;
    weft_progress p = wf_progress_new("verify", v->name);
    put_verdict(l->job, wf_json_push(l->list, wf_json_new(l->job->arena, WF_JSON_OBJECT)), v);
    wf_str_printf(text, "%-48s ", v->name);
    if (v->outcome == WF_NOT_SUPPORTED)
        wf_str_printf(text, "unsupported: %s\n", v->why ? v->why : "");
    else if (v->worst)
        wf_str_printf(text, "%-36s %.2e of %.2e  %s%s%s\n", v->worst, v->error, v->tolerance, outcomes[v->outcome],
                      v->why ? ": " : "", v->why ? v->why : "");
    else
        wf_str_printf(text, "%s%s%s\n", outcomes[v->outcome], v->why ? ": " : "", v->why ? v->why : "");
    p.index = l->count++;
    wf_job_report(l->job, &p);
}

static bool ends_everything(weft_status status) {
    return status == WEFT_NO_MEMORY || status == WEFT_INTERRUPTED || status == WEFT_TERMINATED || status == WEFT_FAILURE;
}

/* A failed fixture counts most, then an unsupported one, then a path without any. */
static weft_status verdict(const wf_job *job, const wf_verify_totals *t, const weft_error *none) {
    WF_CHECK(t->failed == 0, job->err, WEFT_MISMATCH, "%zu of %zu fixtures failed", t->failed,
             t->passed + t->failed + t->unsupported);
    WF_CHECK(none->status == WEFT_OK, job->err, none->status, "%s", none->message);
    WF_CHECK(t->unsupported == 0, job->err, WEFT_UNSUPPORTED, "%zu of %zu fixtures are not supported", t->unsupported,
             t->passed + t->unsupported);
    return WEFT_OK;
}

static weft_status run_paths(wf_job *job, const char *const *paths, size_t n, wf_verify_totals *sum) {
    listing l = {job, wf_put_list(job->arena, job->json, "fixtures"), 0};
    weft_error none = {.status = WEFT_OK};
    for (size_t i = 0; i < n; i++) {
        wf_verify_totals t = {0};
        weft_error err = {.status = WEFT_OK};
        weft_status status = wf_verify_path(job->env, paths[i], add_verdict, &l, &t, &err);
        sum->passed += t.passed;
        sum->failed += t.failed;
        sum->unsupported += t.unsupported;
        if (ends_everything(status))
            return wf_fail(job->err, status, "%s", err.message);
        if (t.passed + t.failed + t.unsupported == 0)
            none = err;
    }
    return verdict(job, sum, &none);
}

weft_status wf_job_verify(wf_job *job) {
    static const char *const words[] = {"paths", NULL};
    wf_options o = wf_options_open(job->options, "verify", words, job->err);
    size_t n;
    const char *const *paths = wf_job_texts(job, &o, "paths", &n);
    wf_verify_totals sum = {0};
    WF_TRY(o.status);
    WF_CHECK(n > 0, job->err, WEFT_USAGE, "verify: which fixtures? 'paths' names folders");
    weft_status status = run_paths(job, paths, n, &sum);
    if (sum.passed + sum.failed + sum.unsupported > 0)
        wf_str_printf(&job->text, "%zu passed, %zu failed, %zu unsupported\n", sum.passed, sum.failed, sum.unsupported);
    wf_put_int(job->arena, job->json, "passed", (int64_t)sum.passed);
    wf_put_int(job->arena, job->json, "failed", (int64_t)sum.failed);
    wf_put_int(job->arena, job->json, "unsupported", (int64_t)sum.unsupported);
    return status;
}
