/* bench_mixers.c - every mixer as sequences grow: time forward, forward and backward, and of a decoded token; bytes kept for
 * the backward and of state; the exponents of T beside those of the row's law; from which length on it is faster than full
 * attention. Lengths are doubled twice until the next would take too long or too much memory, which the line says. */
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "base/reader.h"
#include "compare/cost_report.h"
#include "jobs/bench.h"
#include "jobs/inspect.h"
#include "jobs/one_layer.h"
#include "jobs/put.h"
#include "mixers/layer_cost.h"

enum { MOST_LENGTHS = 12, DIM = 256, GROWTH = 4, RUNS = 3 };
static const double NEAR = 0.25; /* an exponent is that of the law */

typedef struct costs {
    const wf_mixer *row;
    int n;
    double length[MOST_LENGTHS], forward[MOST_LENGTHS], train[MOST_LENGTHS], decode[MOST_LENGTHS]; /* seconds; NaN: none */
    double kept[MOST_LENGTHS], state[MOST_LENGTHS];                                                /* bytes */
    double law[MOST_LENGTHS];                                                                      /* FLOPs */
    const char *ended; /* why a longer one was not measured; NULL: none was asked for */
} costs;

/* ---- one length ---- */
/* The fastest of some runs. The first warms up, its pages come from the kernel: only very long ones run no second time. */
static weft_status fastest(const wf_bench *b, const wf_one_layer *one, double *seconds) {
    *seconds = INFINITY;
    for (int i = 0; i < RUNS + 1; i++) {
        WF_TRY(wf_stopped(b->job->env));
        double from = wf_seconds();
        WF_TRY(wf_one_layer_run(one, b->job->err));
        double taken = wf_seconds() - from;
        *seconds = i == 0 || taken < *seconds ? taken : *seconds;
        if (taken > (i == 0 ? 4.0 : 0.3))
            break;
    }
    return WEFT_OK;
}

static weft_status time_use(const wf_bench *b, const wf_model *model, wf_layer_use use, int64_t rows, double *seconds,
                            double *bytes) {
    wf_one_layer one;
    const wf_one_layer_how how = {.use = use, .rows = rows};
    weft_status status = wf_one_layer_record(b->job->env, model, &how, &one, b->job->err);
    if (status == WEFT_OK)
        status = fastest(b, &one, seconds);
    if (status == WEFT_OK && bytes)
        *bytes = (double)wf_tape_stats_of(one.tape).arena_bytes;
    wf_one_layer_close(&one);
    return status;
}

static weft_status measure_model(const wf_bench *b, costs *c, wf_model *model, int64_t rows) {
    const wf_layer *layer = model->spec->blocks[0].mixer;
    int i = c->n;
    WF_TRY(wf_params_allocate_grads(&model->params, b->job->err));
    c->length[i] = (double)rows;
    c->decode[i] = NAN;
    c->law[i] = wf_layer_flops(layer, rows);
    c->state[i] = wf_layer_streams(layer) ? (double)wf_layer_state_bytes(layer, rows) : NAN;
    WF_TRY(time_use(b, model, WF_LAYER_FORWARD, rows, &c->forward[i], NULL));
    WF_TRY(time_use(b, model, WF_LAYER_TRAIN, rows, &c->train[i], &c->kept[i]));
    if (wf_layer_streams(layer))
        WF_TRY(time_use(b, model, WF_LAYER_DECODE, rows, &c->decode[i], NULL));
    c->n++;
    return WEFT_OK;
}

/* A step of more than half of the memory is not tried: what else runs here has the rest. */
static weft_status check_memory(wf_bench *b, costs *c, const wf_model *model, int64_t rows) {
    wf_tape_stats stats;
    wf_one_layer one;
    char size[16];
    const wf_one_layer_how how = {.use = WF_LAYER_TRAIN, .rows = rows, .measured = &stats};
    weft_status status = wf_one_layer_record(b->job->env, model, &how, &one, b->job->err);
    wf_one_layer_close(&one);
    WF_TRY(status);
    double bytes = (double)stats.arena_bytes, total = wf_memory_total();
    wf_format_bytes(bytes, size);
    if (total > 0.0 && bytes > total / 2)
        c->ended = wf_bench_text(b, "T=%lld needs %s", (long long)rows, size);
    return WEFT_OK;
}

static weft_status measure_length(wf_bench *b, costs *c, int64_t rows) {
    wf_json *spec;
    wf_model *model;
    WF_TRY(wf_one_layer_spec(b->job->arena, c->row, NULL, b->quick ? 64 : DIM, rows, &spec, b->job->err));
    WF_TRY(wf_bench_model(b, spec, &model));
    weft_status status = check_memory(b, c, model, rows);
    if (status == WEFT_OK && !c->ended)
        status = measure_model(b, c, model, rows);
    wf_model_free(model);
    return status;
}

/* ---- what the numbers say ---- */
/* The slope of ln y over ln T, least squares, of the longer half of the lengths. */
static double exponent(const costs *c, const double *y) {
    double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (int i = (c->n - 1) / 2; i < c->n; i++) {
        double lx = log(c->length[i]), ly = log(y[i]);
        if (!isfinite(ly))
            continue;
        n += 1;
        sx += lx;
        sy += ly;
        sxx += lx * lx;
        sxy += lx * ly;
    }
    return n < 2 ? NAN : (n * sxy - sx * sy) / (n * sxx - sx * sx);
}

static double crossover(const costs *c, const costs *full) {
    return wf_bench_crossover(c->length, full->train, c->train, c->n < full->n ? c->n : full->n);
}

static void put_numbers(wf_bench *b, wf_json *out, const char *key, const double *values, int n) {
    wf_json *list = wf_put_list(b->job->arena, out, key);
    for (int i = 0; i < n; i++)
        wf_json_push(list, wf_number_or_null(b->job->arena, values[i]));
}

static void put_costs(wf_bench *b, const costs *c, wf_json *out, double cross) {
    const struct {
        const char *key;
        const double *values;
    } lists[] = {{"lengths", c->length},        {"forward_seconds", c->forward}, {"train_seconds", c->train},
                 {"decode_seconds", c->decode}, {"activation_bytes", c->kept},   {"state_bytes", c->state}};
    const struct {
        const char *key;
        double value;
    } numbers[] = {{"time_exponent", exponent(c, c->train)},    {"law_exponent", exponent(c, c->law)},
                   {"decode_exponent", exponent(c, c->decode)}, {"activation_exponent", exponent(c, c->kept)},
                   {"state_exponent", exponent(c, c->state)},   {"crossover", cross}};
    wf_put_text(b->job->arena, out, "name", c->row->name);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        put_numbers(b, out, lists[i].key, lists[i].values, c->n);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        wf_put_number(b->job->arena, out, numbers[i].key, numbers[i].value);
}

static const char *power(wf_bench *b, double e) { return isnan(e) ? "-" : wf_bench_text(b, "T^%.2f", e); }

static void tell(wf_bench *b, wf_bench_line *line, const costs *c, double cross) {
    double time = exponent(c, c->train), law = exponent(c, c->law);
    int at = c->n - 1;
    if (at < 0) {
        line->note = c->ended ? c->ended : "none of these lengths";
        return;
    }
    char kept[16], state[16] = "-";
    wf_format_bytes(c->kept[at], kept);
    if (!isnan(c->state[at]))
        wf_format_bytes(c->state[at], state);
    const char *verdict = isnan(time) ? "" : time <= law + NEAR ? ", as its law" : ", STEEPER than its law";
    const char *where = isnan(cross) ? "none" : wf_bench_text(b, cross <= c->length[0] ? "below %.0f" : "%.0f", cross);
    const char *token = isnan(c->decode[at]) ? "none" : wf_bench_text(b, "%.3g us", 1e6 * c->decode[at]);
    line->note = wf_bench_text(
        b,
        "T=%.0f: forward %.3g ms, with backward %.3g ms, a token %s, kept %s, state %s; time %s (law %s%s), token %s, "
        "kept %s; crossover %s%s%s",
        c->length[at], 1e3 * c->forward[at], 1e3 * c->train[at], token, kept, state, power(b, time), power(b, law), verdict,
        power(b, exponent(c, c->decode)), power(b, exponent(c, c->kept)), where, c->ended ? "; " : "",
        c->ended ? c->ended : "");
}

/* ---- rows ---- */
/* By the fastest runs of the last length, which other work beside this disturbs least: two of each, and growth as of T. */
static bool too_long(wf_bench *b, costs *c, int64_t rows) {
    double most = b->quick ? 0.2 : b->full ? 300.0 : 6.0, next = 2 * GROWTH * (c->forward[c->n - 1] + c->train[c->n - 1]);
    if (next <= most)
        return false;
    if (rows <= b->longest)
        c->ended = wf_bench_text(b, "T=%lld would take %.0f s or more", (long long)rows, next);
    return true;
}

/* Lengths that are too short for the row's options are left out. */
static weft_status run_row(wf_bench *b, const wf_mixer *row, costs *c) {
    weft_status status = WEFT_OK;
    *c = (costs){.row = row};
    for (int64_t rows = b->shortest; rows <= b->longest && c->n < MOST_LENGTHS; rows *= GROWTH) {
        status = measure_length(b, c, rows);
        if ((status != WEFT_OK && !(status == WEFT_USAGE && c->n == 0)) || c->ended)
            break;
        if (c->n > 0 && too_long(b, c, rows * GROWTH))
            break;
    }
    if (status == WEFT_OK || status == WEFT_INTERRUPTED || status == WEFT_TERMINATED)
        return status; /* who stops it needs no message */
    return wf_fail_in(b->job->err, "%s", row->name);
}

static weft_status report_row(wf_bench *b, const costs *c, const costs *full, wf_json *list) {
    double cross = c == full ? NAN : crossover(c, full);
    wf_json *out = wf_json_push(list, wf_json_new(b->job->arena, WF_JSON_OBJECT));
    wf_bench_line *line = wf_bench_add(b, "%s", c->row->name);
    weft_progress p = wf_progress_new("bench", c->row->name);
    if (!line || !out)
        return wf_fail_memory(b->job->err);
    put_costs(b, c, out, cross);
    tell(b, line, c, cross);
    p.line = wf_bench_text(b, "%-18s %s", c->row->name, line->note);
    wf_job_report(b->job, &p);
    return WEFT_OK;
}

static weft_status write_report(wf_bench *b, const wf_json *all) {
    wf_str html = wf_str_new(&b->job->env->mem);
    weft_status status = wf_cost_report_html(&b->job->env->mem, all, &html, b->job->err);
    if (status == WEFT_OK)
        status = wf_write_file(&b->job->env->mem, b->report, wf_str_text(&html), html.length, b->job->err);
    wf_str_free(&html);
    return status;
}

static const char *mixer_name(const void *user, size_t i) {
    (void)user;
    return wf_mixers[i] ? wf_mixers[i]->name : NULL;
}

static weft_status run(wf_bench *b) {
    wf_json *all = b->result, *list = wf_put_list(b->job->arena, all, "mixers");
    costs full, other;
    WF_TRY(wf_bench_check_only(b, mixer_name));
    wf_put_int(b->job->arena, all, "dim", b->quick ? 64 : DIM);
    WF_TRY(run_row(b, wf_mixer_find("attention"), &full));
    WF_TRY(report_row(b, &full, &full, list));
    for (const wf_mixer *const *m = wf_mixers; *m; m++) {
        if (*m == full.row || !wf_bench_wants(b, (*m)->name))
            continue;
        WF_TRY(run_row(b, *m, &other));
        WF_TRY(report_row(b, &other, &full, list));
    }
    return b->report ? write_report(b, all) : WEFT_OK;
}

const wf_bench_row wf_bench_mixers = {.name = "mixers",
                                      .about = "every mixer as sequences grow: time, bytes, exponents, the crossover with full "
                                               "attention (--lengths, --only, --report)",
                                      .run = run,
                                      .on_request = true};
