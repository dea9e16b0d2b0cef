/* bench.c - measuring: the table of benchmarks, the rounds, the report. */
#include "jobs/bench.h"
#include "jobs/put.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "families/load.h"
#include "kernels/gemm/gemm.h"
#include "kernels/kernels.h"
#include "model/model.h"

static const wf_bench_row *const rows[] = {
#define WF_BENCH(name) &wf_bench_##name,
#include "jobs/bench.def"
#undef WF_BENCH
    NULL};

/* ---- series ---- */
void wf_series_add(wf_series *s, double value) {
    if (s->n < WF_BENCH_ROUNDS)
        s->list[s->n++] = value;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

void wf_series_sort(wf_series *s) {
    if (s->n == 0)
        return;
    qsort(s->list, (size_t)s->n, sizeof *s->list, by_value);
    s->median = s->n % 2 ? s->list[s->n / 2] : 0.5 * (s->list[s->n / 2 - 1] + s->list[s->n / 2]);
    s->low = s->list[0];
    s->high = s->list[s->n - 1];
}

/* ---- lines ---- */
const char *wf_bench_text(wf_bench *b, const char *fmt, ...) {
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    const char *copy = wf_arena_strdup(b->job->arena, text);
    return copy ? copy : "";
}

wf_bench_line *wf_bench_add(wf_bench *b, const char *fmt, ...) {
    char text[128];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    wf_bench_line *line = wf_arena_alloc(b->job->arena, sizeof *line);
    if (!line)
        return NULL;
    *line = (wf_bench_line){.label = wf_bench_text(b, "%s", text), .extra = wf_json_new(b->job->arena, WF_JSON_OBJECT)};
    *(b->first ? &b->last->next : &b->first) = line;
    b->last = line;
    return line;
}

static weft_status one_round(wf_bench *b, wf_bench_line *line, const wf_bench_case *c, wf_bench_once once, void *state) {
    double ours, theirs;
    bool absent = false;
    WF_TRY(wf_stopped(b->job->env));
    WF_TRY(once(state, &ours, b->job->err));
    wf_series_add(&line->ours, ours);
    if (!b->peer || !c || line->note) /* a note: the peer was absent in the round before */
        return WEFT_OK;
    WF_TRY(wf_bench_run_peer(b, c, &theirs, &absent));
    if (absent) {
        line->note = "peer skipped: what it needs is not installed";
        return WEFT_OK;
    }
    wf_series_add(&line->peer, theirs);
    wf_series_add(&line->ratio, theirs / ours);
    return WEFT_OK;
}

static void format_seconds(double s, char out[24]) {
    if (s >= 1.0)
        snprintf(out, 24, "%.3g s", s);
    else if (s >= 1e-3)
        snprintf(out, 24, "%.3g ms", s * 1e3);
    else
        snprintf(out, 24, "%.3g us", s * 1e6);
}

/* A long benchmark says each number as soon as it has it. */
static void report_line(wf_bench *b, const wf_bench_line *line, weft_progress *p) {
    char ours[24], peer[24], text[256];
    if (line->ours.n == 0)
        return;
    format_seconds(line->ours.median, ours);
    format_seconds(line->peer.n ? line->peer.median : 0.0, peer);
    if (line->peer.n)
        snprintf(text, sizeof text, "%s: %s: %s, peer %s: %.2fx", b->name, line->label, ours, peer, line->ratio.median);
    else
        snprintf(text, sizeof text, "%s: %s: %s", b->name, line->label, ours);
    p->line = text;
    wf_job_report(b->job, p);
    p->line = NULL;
}

static weft_status all_rounds(wf_bench *b, wf_bench_line *line, const wf_bench_case *c, wf_bench_once once, void *state,
                              weft_progress *p) {
    double warm;
    WF_TRY(once(state, &warm, b->job->err));
    for (p->step = 0; p->step < p->steps; p->step++) {
        wf_job_report(b->job, p);
        WF_TRY(one_round(b, line, c, once, state));
    }
    return WEFT_OK;
}

weft_status wf_bench_rounds(wf_bench *b, wf_bench_line *line, const wf_bench_case *c, int count, wf_bench_once once,
                            void *state) {
    weft_progress p = wf_progress_new("bench", line ? line->label : b->name);
    if (!line)
        return wf_fail_memory(b->job->err);
    p.steps = b->rounds > 0 ? b->rounds : count;
    weft_status status = all_rounds(b, line, c, once, state, &p);
    wf_series_sort(&line->ours);
    wf_series_sort(&line->peer);
    wf_series_sort(&line->ratio);
    report_line(b, line, &p);
    return status;
}

double wf_bench_crossover(const double *lengths, const double *full, const double *other, int n) {
    double before = NAN;
    for (int i = 0; i < n; i++) {
        double ahead = log(full[i] / other[i]);
        if (ahead >= 0.0)
            return i == 0 ? lengths[0] : exp(log(lengths[i]) - log(lengths[i] / lengths[i - 1]) * ahead / (ahead - before));
        before = ahead;
    }
    return NAN;
}

/* ---- parts of a row ---- */
bool wf_bench_wants(const wf_bench *b, const char *part) {
    for (size_t i = 0; i < b->n_only; i++)
        if (wf_streq(b->only[i], part))
            return true;
    return b->n_only == 0;
}

weft_status wf_bench_check_only(const wf_bench *b, const char *(*name)(const void *user, size_t i)) {
    for (size_t i = 0; i < b->n_only; i++) {
        bool known = false;
        for (size_t k = 0; name(NULL, k); k++)
            known |= wf_streq(name(NULL, k), b->only[i]);
        const char *near = known ? NULL : wf_nearest(b->only[i], name, NULL);
        WF_CHECK(known, b->job->err, WEFT_USAGE, "bench %s: no '%s' in it%s%s%s", b->name, b->only[i],
                 near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    return WEFT_OK;
}

/* ---- models ---- */
weft_status wf_bench_json(wf_bench *b, const char *text, wf_json **out) {
    return wf_json_parse(b->job->arena, text, strlen(text), 0, out, b->job->err);
}

weft_status wf_bench_gpt2(wf_bench *b, wf_json **spec) {
    static const char format[] =
        "{\"format\": 1, \"name\": \"gpt2\", \"dim\": %d, \"layers\": %d, \"vocab\": %d, \"context\": 1024, \"stem\": "
        "{\"positions\": {\"kind\": \"learned\"}}, \"block\": {\"norm\": {\"kind\": \"layer\", \"eps\": 1e-5}, \"mixer\": "
        "{\"mixer\": \"attention\", \"heads\": %d, \"causal\": true, \"bias\": [\"q\", \"k\", \"v\", \"o\"]}, \"channel\": "
        "{\"mixer\": \"mlp\", \"hidden\": %d, \"activation\": \"gelu_tanh\", \"bias\": true}}, \"norm\": "
        "{\"kind\": \"layer\", \"eps\": 1e-5}, \"head\": {\"tied\": true}}";
    return wf_bench_json(
        b, b->quick ? wf_bench_text(b, format, 64, 2, 512, 2, 256) : wf_bench_text(b, format, 768, 12, 50257, 12, 3072), spec);
}

weft_status wf_bench_model(wf_bench *b, const wf_json *spec, wf_model **out) {
    WF_TRY(wf_model_create(b->job->env, spec, out, b->job->err));
    weft_status status = wf_params_allocate(&(*out)->params, b->job->err);
    if (status == WEFT_OK)
        wf_params_init(&(*out)->params, 1);
    else
        wf_model_free(*out);
    return status;
}

weft_status wf_bench_opened(wf_bench *b, const wf_json *spec, char folder[WF_BENCH_FOLDER], wf_model **out) {
    wf_model *made;
    snprintf(folder, WF_BENCH_FOLDER, "/tmp/weft-bench-XXXXXX");
    WF_TRY(wf_bench_model(b, spec, &made));
    weft_status status = mkdtemp(folder) ? wf_model_save(made, folder, NULL, b->job->err)
                                         : wf_fail(b->job->err, WEFT_FAILURE, "no folder could be made in /tmp");
    wf_model_free(made);
    if (status == WEFT_OK)
        status = wf_model_load(b->job->env, folder, &(wf_load_options){.map = true, .turned = true}, out, b->job->err);
    if (status != WEFT_OK)
        wf_bench_remove(b, folder);
    return status;
}

double wf_bench_model_flops(const wf_model *m, int64_t batch, int64_t rows_) {
    double tokens = (double)(batch * rows_),
           attention = 12.0 * (double)m->spec->layers * (double)m->spec->dim * (double)rows_ * tokens;
    return 6.0 * (double)wf_params_total(&m->params) * tokens + 0.5 * attention;
}

/* ---- the report ---- */
static void put_series(const wf_job *job, wf_json *out, const char *key, const wf_series *s) {
    if (s->n == 0)
        return;
    wf_json *one = wf_put_object(job->arena, out, key);
    wf_put_number(job->arena, one, "median", s->median);
    wf_put_number(job->arena, one, "low", s->low);
    wf_put_number(job->arena, one, "high", s->high);
    wf_put_int(job->arena, one, "n", s->n);
}

static void tell_rate(wf_job *job, wf_json *out, const wf_bench_line *l, const wf_roofs *roofs) {
    double rate = l->work / l->ours.median, share = rate / roofs->per_second[l->roof];
    bool bytes = l->roof == WF_ROOF_READ;
    wf_put_number(job->arena, out, bytes ? "bytes_per_second" : "flops_per_second", rate);
    wf_str_printf(&job->text, "  %.4g %s", rate * 1e-9, bytes ? "GB/s" : "GFLOP/s");
    if (l->roof == WF_ROOF_NONE)
        return;
    wf_put_number(job->arena, out, "share", share);
    wf_put_text(job->arena, out, "roof", wf_roof_names[l->roof]);
    wf_str_printf(&job->text, " = %.0f %% of %s", share * 100.0, wf_roof_names[l->roof]);
}

static void tell_line(wf_job *job, wf_json *list, const wf_bench_line *l, const wf_roofs *roofs) {
    wf_json *out = wf_json_push(list, l->extra);
    char a[24], low[24], high[24];
    wf_put_text(job->arena, out, "label", l->label);
    wf_str_printf(&job->text, "  %-34s", l->label);
    put_series(job, out, "seconds", &l->ours);
    if (l->ours.n > 0) {
        format_seconds(l->ours.median, a);
        format_seconds(l->ours.low, low);
        format_seconds(l->ours.high, high);
        wf_str_printf(&job->text, " %s", a);
        if (l->ours.n > 1)
            wf_str_printf(&job->text, " (%s to %s, %d times)", low, high, l->ours.n);
    }
    if (l->tokens > 0 && l->ours.n > 0) {
        wf_put_number(job->arena, out, "tokens_per_second", l->tokens / l->ours.median);
        wf_str_printf(&job->text, "  %.4g tokens/s", l->tokens / l->ours.median);
    }
    if (l->work > 0 && l->ours.n > 0)
        tell_rate(job, out, l, roofs);
    put_series(job, out, "peer_seconds", &l->peer);
    put_series(job, out, "ratio", &l->ratio);
    if (l->ratio.n > 0) {
        format_seconds(l->peer.median, a);
        wf_str_printf(&job->text, "  peer %s: %.2fx (%.2f to %.2f)", a, l->ratio.median, l->ratio.low, l->ratio.high);
    }
    if (l->note) {
        wf_put_text(job->arena, out, "note", l->note);
        wf_str_printf(&job->text, "  %s", l->note);
    }
    wf_str_putc(&job->text, '\n');
}

static void tell_roofs(wf_job *job, wf_json *out, const wf_roofs *before, const wf_roofs *after, wf_roofs *best) {
    wf_json *list = wf_put_list(job->arena, out, "roofs");
    bool disturbed = false;
    for (int r = 1; r < WF_ROOF_COUNT; r++) {
        double a = before->per_second[r], b = after->per_second[r], unit = 1e-9;
        wf_json *one = wf_json_push(list, wf_json_new(job->arena, WF_JSON_OBJECT));
        best->per_second[r] = a > b ? a : b;
        disturbed |= fabs(a - b) > 0.05 * best->per_second[r];
        wf_put_text(job->arena, one, "name", wf_roof_names[r]);
        wf_put_number(job->arena, one, "before", a);
        wf_put_number(job->arena, one, "after", b);
        wf_str_printf(&job->text, "  %-34s %.4g %s before, %.4g after\n", wf_roof_names[r], a * unit,
                      r == WF_ROOF_READ ? "GB/s" : "GFLOP/s", b * unit);
    }
    wf_json_put(job->arena, out, "disturbed", wf_json_new_bool(job->arena, disturbed));
    if (disturbed)
        wf_str_puts(&job->text, "  disturbed: the roofs moved by more than 5 %, other work ran beside this\n");
}

static weft_status run_row(wf_bench *b, const wf_bench_row *row, wf_json *list) {
    wf_job *job = b->job;
    wf_roofs before, after, best = {{0}};
    weft_progress p = wf_progress_new("roofs", row->name);
    wf_json *out = wf_json_push(list, wf_json_new(job->arena, WF_JSON_OBJECT)), *lines;
    b->name = row->name;
    b->result = out;
    b->first = b->last = NULL;
    b->skipped = NULL;
    wf_job_report(job, &p);
    WF_TRY(wf_roofs_measure(job->env, b->quick, &before, job->err));
    weft_status status = row->run(b);
    after = before; /* what an interrupted run has found is told too */
    if (status == WEFT_OK)
        WF_TRY(wf_roofs_measure(job->env, b->quick, &after, job->err));
    wf_put_text(job->arena, out, "name", row->name);
    wf_str_printf(&job->text, "%s: %s\n", row->name, row->about);
    if (b->skipped) {
        wf_put_text(job->arena, out, "skipped", b->skipped);
        wf_str_printf(&job->text, "  skipped: %s\n", b->skipped);
        return status;
    }
    tell_roofs(job, out, &before, &after, &best);
    lines = wf_put_list(job->arena, out, "lines");
    for (const wf_bench_line *l = b->first; l; l = l->next)
        tell_line(job, lines, l, &best);
    return status;
}

/* ---- the job ---- */
static const char *row_name(const void *user, size_t i) {
    (void)user;
    return rows[i] ? rows[i]->name : NULL;
}

static const wf_bench_row *find(const char *name) {
    for (size_t i = 0; rows[i]; i++)
        if (wf_streq(rows[i]->name, name))
            return rows[i];
    return NULL;
}

static weft_status check_names(const wf_job *job, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const char *near = find(names[i]) ? NULL : wf_nearest(names[i], row_name, NULL);
        WF_CHECK(find(names[i]), job->err, WEFT_USAGE, "bench: no benchmark '%s'%s%s%s", names[i],
                 near ? ", did you mean '" : "; see: weft bench --list", near ? near : "", near ? "'?" : "");
    }
    return WEFT_OK;
}

static bool wanted(const wf_bench_row *row, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (wf_streq(names[i], row->name))
            return true;
    return n == 0 && !row->on_request;
}

static void tell_machine(wf_job *job) {
    wf_put_text(job->arena, job->json, "instruction_set", job->env->kernels->isa);
    wf_put_text(job->arena, job->json, "matrix_products", wf_gemm_backend());
    wf_put_int(job->arena, job->json, "threads", wf_pool_threads(job->env->pool));
    wf_str_printf(&job->text, "%d threads, %s, matrix products by %s\n", wf_pool_threads(job->env->pool),
                  job->env->kernels->isa, wf_gemm_backend());
}

static void list_rows(wf_job *job) {
    wf_json *list = wf_put_list(job->arena, job->json, "available");
    for (size_t i = 0; rows[i]; i++) {
        wf_json *one = wf_json_push(list, wf_json_new(job->arena, WF_JSON_OBJECT));
        wf_put_text(job->arena, one, "name", rows[i]->name);
        wf_put_text(job->arena, one, "about", rows[i]->about);
        wf_str_printf(&job->text, "  %-12s %s\n", rows[i]->name, rows[i]->about);
    }
}

/* "256..65536", or one length. */
static weft_status read_lengths(wf_bench *b, const char *text) {
    const char *dots = strstr(text, "..");
    const char *first = dots ? wf_arena_printf(b->job->arena, "%.*s", (int)(dots - text), text) : text;
    double low = first ? wf_parse_count(first) : NAN, high = dots ? wf_parse_count(dots + 2) : low;
    WF_CHECK(low >= 1 && high >= low && high <= (1 << 24), b->job->err, WEFT_USAGE,
             "'lengths' is FIRST..LAST in tokens, such as 256..65536, not '%s'", text);
    b->shortest = (int64_t)low;
    b->longest = (int64_t)high;
    return WEFT_OK;
}

weft_status wf_job_bench(wf_job *job) {
    static const char *const words[] = {"names", "peer", "data", "tokenizers", "text",   "program", "rounds", "quick",
                                        "full",  "list", "only", "lengths",    "report", "model",   NULL};
    wf_options o = wf_options_open(job->options, "bench", words, job->err);
    size_t n;
    const char *const *names = wf_job_texts(job, &o, "names", &n);
    wf_bench b = {.job = job,
                  .peer = wf_option_text(&o, "peer", NULL),
                  .data = wf_option_text(&o, "data", NULL),
                  .text = wf_option_text(&o, "text", NULL),
                  .program = wf_option_text(&o, "program", NULL),
                  .rounds = wf_option_int(&o, "rounds", 0, 1, WF_BENCH_ROUNDS),
                  .report = wf_option_text(&o, "report", NULL)};
    const char *lengths = wf_option_text(&o, "lengths", "256..65536");
    b.only = wf_job_texts(job, &o, "only", &b.n_only);
    b.tokenizers = wf_job_texts(job, &o, "tokenizers", &b.n_tokenizers);
    b.model = wf_job_model(job, &o, "model");
    bool list = wf_option_bool(&o, "list", false);
    b.quick = wf_option_bool(&o, "quick", false);
    b.full = wf_option_bool(&o, "full", false);
    const char *peer = b.peer;
    WF_TRY(o.status);
    WF_TRY(check_names(job, names, n));
    WF_TRY(read_lengths(&b, lengths));
    if (list) {
        list_rows(job);
        return WEFT_OK;
    }
    tell_machine(job);
    wf_json *results = wf_put_list(job->arena, job->json, "results");
    for (size_t i = 0; rows[i]; i++) {
        b.peer = peer;
        if (wanted(rows[i], names, n))
            WF_TRY(run_row(&b, rows[i], results));
    }
    return WEFT_OK;
}
