#include "jobs/job.h"
#include <math.h>
#include <string.h>
#include "formats/hub.h"

weft_progress wf_progress_new(const char *phase, const char *subject) {
    return (weft_progress){.phase = phase,
                           .subject = subject,
                           .index = -1,
                           .count = -1,
                           .step = -1,
                           .steps = -1,
                           .loss = NAN,
                           .bits_per_byte = NAN,
                           .tokens_per_second = NAN,
                           .seconds_left = NAN};
}

void wf_job_report(const wf_job *job, const weft_progress *progress) {
    if (job->progress)
        job->progress(job->user, progress);
}

typedef struct unit {
    const char *suffix;
    double factor;
} unit;

static double parse_unit(const char *text, const unit *units) {
    double value;
    size_t n = strlen(text);
    for (const unit *u = units; u->suffix; u++) {
        size_t m = strlen(u->suffix);
        if (n > m && strcmp(text + n - m, u->suffix) == 0 && wf_parse_double(text, n - m, &value))
            return value * u->factor;
    }
    return NAN;
}

double wf_parse_seconds(const char *text) {
    static const unit units[] = {{"ms", 1e-3},  {"s", 1.0},     {"m", 60.0}, {"min", 60.0},
                                 {"h", 3600.0}, {"d", 86400.0}, {"", 1.0},   {NULL, 0}};
    return parse_unit(text, units);
}

double wf_parse_count(const char *text) {
    static const unit units[] = {{"k", 1e3}, {"K", 1e3}, {"M", 1e6}, {"G", 1e9}, {"B", 1e9}, {"", 1.0}, {NULL, 0}};
    return parse_unit(text, units);
}

static double number(wf_options *o, const char *key, double fallback, double (*parse)(const char *), const char *what) {
    const wf_json *j = o->status == WEFT_OK ? wf_json_get(o->object, key) : NULL;
    double value = NAN;
    if (!j || j->kind == WF_JSON_NULL)
        return fallback;
    if (j->kind == WF_JSON_NUMBER)
        value = j->number;
    else if (j->kind == WF_JSON_STRING)
        value = parse(j->string);
    if (!(value >= 0.0) || isinf(value)) {
        wf_option_fail(o, j, "'%s' must be %s, not '%s'", key, what,
                       j->kind == WF_JSON_STRING || j->kind == WF_JSON_NUMBER ? j->string : "..");
        return fallback;
    }
    return value;
}

double wf_job_seconds(wf_options *o, const char *key, double fallback) {
    return number(o, key, fallback, wf_parse_seconds, "a time such as 12s, 2m or 1h");
}

double wf_job_count(wf_options *o, const char *key, double fallback) {
    double value = number(o, key, fallback, wf_parse_count, "a count such as 5000, 10k or 1M");
    if (value > 1e15 || (value > 0 && value != floor(value)))
        wf_option_fail(o, wf_json_get(o->object, key), "'%s' must be a whole number up to 1e15, not %.15g", key, value);
    return o->status == WEFT_OK ? value : fallback;
}

double wf_job_positive(wf_options *o, const char *key, double value) {
    const wf_json *j = wf_json_get(o->object, key);
    if (j && j->kind != WF_JSON_NULL && value <= 0)
        wf_option_fail(o, j, "'%s' must be more than 0", key);
    return value;
}

const char *const *wf_job_texts(const wf_job *job, wf_options *o, const char *key, size_t *n) {
    const wf_json *j = o->status == WEFT_OK ? wf_json_get(o->object, key) : NULL, *first = j;
    const char **list = NULL;
    *n = 0;
    if (!j || j->kind == WF_JSON_NULL)
        return NULL;
    size_t count = j->kind == WF_JSON_ARRAY ? j->count : 1;
    if (j->kind == WF_JSON_ARRAY)
        first = j->child;
    if (!(list = wf_arena_alloc(job->arena, (count + 1) * sizeof *list))) {
        o->status = wf_fail_memory(o->err);
        return NULL;
    }
    for (const wf_json *one = first; one && *n < count; one = one->next) {
        if (one->kind != WF_JSON_STRING)
            wf_option_fail(o, one, "'%s' must be a text or a list of texts", key);
        else
            list[(*n)++] = one->string;
    }
    return list;
}

const char *wf_job_model(const wf_job *job, wf_options *o, const char *key) {
    const char *name = wf_option_text(o, key, NULL);
    if (name && o->status == WEFT_OK)
        o->status = wf_hub_path(job->arena, name, &name, o->err);
    return name;
}

static const char *const precisions[] = {
    [WF_PRECISION_FP32] = "fp32", [WF_PRECISION_BF16] = "bf16", [WF_PRECISION_INT8] = "int8"};

static bool read_precision(wf_options *o, int most, const char *list, wf_precision *out) {
    const char *word = wf_option_text(o, "precision", "fp32");
    for (int i = 0; i <= most; i++)
        if (wf_streq(word, precisions[i]))
            return *out = (wf_precision)i, true;
    wf_option_fail(o, wf_json_get(o->object, "precision"), "'precision' must be %s, not '%s'", list, word);
    return false;
}

bool wf_job_bf16(wf_options *o) {
    wf_precision p = WF_PRECISION_FP32;
    return read_precision(o, WF_PRECISION_BF16, "fp32 or bf16", &p) && p == WF_PRECISION_BF16;
}

wf_precision wf_job_precision(wf_options *o) {
    wf_precision p = WF_PRECISION_FP32;
    read_precision(o, WF_PRECISION_INT8, "fp32, bf16 or int8", &p);
    return p;
}

const char *wf_precision_name(wf_precision precision) { return precisions[precision]; }

weft_status wf_job_hand_out(wf_job *job) {
    if (!job->piece || job->text.length == 0)
        return WEFT_OK;
    if (job->text.failed)
        return wf_fail_memory(job->err);
    WF_CHECK(job->piece(job->user, job->text.data, job->text.length) == 0, job->err, WEFT_FAILURE, "the reader has had enough");
    wf_str_clear(&job->text);
    return WEFT_OK;
}
