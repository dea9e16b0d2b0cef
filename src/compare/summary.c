/* summary.c - see summary.h. */
#include "compare/summary.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- texts ---- */
static void scaled(double value, const char *const *prefixes, const char *unit, char out[24]) {
    int i = 0;
    while (fabs(value) >= 999.5 && prefixes[i + 1]) {
        value /= 1000;
        i++;
    }
    int digits = fabs(value) >= 99.95 || (i == 0 && value == floor(value)) ? 0 : fabs(value) >= 9.995 ? 1 : 2;
    snprintf(out, 24, "%.*f%s%s", digits, value, prefixes[i], unit);
}

void wf_text_bytes(double bytes, char out[24]) {
    static const char *const prefixes[] = {" ", " k", " M", " G", " T", " P", NULL};
    if (isnan(bytes))
        snprintf(out, 24, "–");
    else
        scaled(bytes, prefixes, "B", out);
}

void wf_text_count(double n, char out[24]) {
    static const char *const prefixes[] = {"", "k", "M", "G", "T", "P", NULL};
    if (isnan(n))
        snprintf(out, 24, "–");
    else
        scaled(n, prefixes, "", out);
}

void wf_text_rate(double rate, char out[24]) {
    if (rate >= 99.95 && rate < 9999.5)
        snprintf(out, 24, "%.0f", rate);
    else
        wf_text_count(rate, out);
}

void wf_text_loss(const wf_measure *m, char out[48]) {
    if (isnan(m->mean))
        snprintf(out, 48, "–");
    else if (isnan(m->spread))
        snprintf(out, 48, "%.3f", m->mean);
    else
        snprintf(out, 48, "%.3f ± %.3f", m->mean, m->spread);
}

void wf_text_accuracy(const wf_measure *m, char out[48]) {
    if (isnan(m->mean))
        snprintf(out, 48, "–");
    else if (isnan(m->spread))
        snprintf(out, 48, "%.1f %%", 100 * m->mean);
    else
        snprintf(out, 48, "%.1f ± %.1f %%", 100 * m->mean, 100 * m->spread);
}

void wf_criterion_text(int criterion, double value, char out[48]) {
    char text[24];
    if (criterion == WF_BY_LOSS) {
        snprintf(out, 48, "%.3f bits/byte", value);
    } else if (criterion == WF_BY_ACCURACY) {
        snprintf(out, 48, "%.1f %%", 100 * value);
    } else if (criterion == WF_BY_TRAINING || criterion == WF_BY_DECODING) {
        wf_text_rate(value, text);
        snprintf(out, 48, "%s tokens/s", text);
    } else {
        wf_text_bytes(value, text);
        snprintf(out, 48, "%s", text);
    }
}

/* ---- reading ---- */
static double number(const wf_json *object, const char *key) { return wf_json_double(object, key, NAN); }

static wf_measure measure(const wf_json *model, const char *key) {
    const wf_json *runs = wf_json_get(model, "runs");
    double sum = 0, squares = 0;
    wf_measure m = {NAN, NAN, 0};
    for (const wf_json *run = runs ? runs->child : NULL; run; run = run->next) {
        double v = number(run, key);
        sum += isnan(v) ? 0 : v;
        m.count += !isnan(v);
    }
    if (m.count == 0)
        return m;
    m.mean = sum / m.count;
    for (const wf_json *run = runs->child; run; run = run->next) {
        double v = number(run, key);
        squares += isnan(v) ? 0 : (v - m.mean) * (v - m.mean);
    }
    if (m.count > 1)
        m.spread = sqrt(squares / (m.count - 1));
    return m;
}

double wf_decode_at(const wf_json *model, const char *key, double context) {
    const wf_json *decode = wf_json_get(model, "decode"), *contexts = wf_json_get(decode, "context");
    size_t i = 0;
    for (const wf_json *c = contexts ? contexts->child : NULL; c; c = c->next, i++) {
        const wf_json *value = wf_json_at(wf_json_get(decode, key), i);
        if (c->kind == WF_JSON_NUMBER && c->number == context)
            return value && value->kind == WF_JSON_NUMBER ? value->number : NAN;
    }
    return NAN;
}

static double longest_context(const wf_json *models) {
    double longest = NAN;
    for (const wf_json *model = models->child; model; model = model->next) {
        const wf_json *contexts = wf_json_path(model, "decode.context");
        for (const wf_json *c = contexts ? contexts->child : NULL; c; c = c->next)
            if (c->kind == WF_JSON_NUMBER && (isnan(longest) || c->number > longest))
                longest = c->number;
    }
    return longest;
}

static void read_model(const wf_json *json, double longest, wf_model_summary *m) {
    *m = (wf_model_summary){.json = json,
                            .name = wf_json_text(json, "name", "?"),
                            .pattern = wf_json_text(json, "pattern", NULL),
                            .status = wf_json_text(json, "status", "complete"),
                            .note = wf_json_text(json, "note", NULL),
                            .params = number(json, "params"),
                            .lr = number(json, "lr"),
                            .steps = number(json, "steps"),
                            .tokens = number(json, "tokens"),
                            .passes = number(json, "passes"),
                            .peak_memory = number(json, "peak_memory_bytes"),
                            .loss = measure(json, "validation_bits_per_byte"),
                            .accuracy = measure(json, "accuracy"),
                            .train_rate = measure(json, "train_tokens_per_second"),
                            .decode_rate = wf_decode_at(json, "tokens_per_second", longest),
                            .state_bytes = wf_decode_at(json, "state_bytes", longest)};
    m->complete = wf_streq(m->status, "complete");
}

/* ---- who won ---- */
typedef struct criterion_row {
    const char *name;
    bool lower;    /* is better */
    double margin; /* of ties when measured once */
} criterion_row;

static const criterion_row rows[WF_CRITERIA] = {
    [WF_BY_LOSS] = {"Best validation loss", true, 0},     [WF_BY_ACCURACY] = {"Best accuracy", false, 0},
    [WF_BY_TRAINING] = {"Fastest training", false, 0.02}, [WF_BY_MEMORY] = {"Least memory", true, 0.005},
    [WF_BY_DECODING] = {"Fastest decoding", false, 0.02}, [WF_BY_STATE] = {"Smallest state", true, 0.005},
};

double wf_criterion_value(const wf_model_summary *m, int criterion) {
    switch (criterion) {
    case WF_BY_LOSS:
        return m->loss.mean;
    case WF_BY_ACCURACY:
        return m->accuracy.mean;
    case WF_BY_TRAINING:
        return m->train_rate.mean;
    case WF_BY_MEMORY:
        return m->peak_memory;
    case WF_BY_DECODING:
        return m->decode_rate;
    default:
        return m->state_bytes;
    }
}

static wf_measure measure_of(const wf_model_summary *m, int criterion) {
    if (criterion == WF_BY_LOSS)
        return m->loss;
    if (criterion == WF_BY_ACCURACY)
        return m->accuracy;
    if (criterion == WF_BY_TRAINING)
        return m->train_rate;
    return (wf_measure){wf_criterion_value(m, criterion), NAN, 1};
}

/* Losses and accuracies are compared by differences, speeds by ratios. */
static bool is_absolute(int criterion) { return criterion == WF_BY_LOSS || criterion == WF_BY_ACCURACY; }

/* Standard deviation of one measurement, pooled over the models (of a speed: relative to its mean). NaN: one seed each. */
static double pooled_spread(const wf_run_summary *s, int criterion) {
    double squares = 0;
    int freedom = 0;
    for (int i = 0; i < s->count; i++) {
        wf_measure m = measure_of(&s->models[i], criterion);
        if (m.count < 2)
            continue;
        double spread = is_absolute(criterion) ? m.spread : m.spread / m.mean;
        squares += spread * spread * (m.count - 1);
        freedom += m.count - 1;
    }
    return freedom ? sqrt(squares / freedom) : NAN;
}

/* The difference two models may show by chance, NaN when the seeds cannot say. */
static double noise_between(const wf_run_summary *s, int criterion, int a, int b) {
    wf_measure x = measure_of(&s->models[a], criterion), y = measure_of(&s->models[b], criterion);
    double spread = pooled_spread(s, criterion) * (is_absolute(criterion) ? 1 : x.mean);
    return 2 * spread * sqrt(1.0 / x.count + 1.0 / y.count);
}

static bool is_better(const criterion_row *row, double a, double b) { return isnan(b) || (row->lower ? a < b : a > b); }

static bool is_tied(const wf_run_summary *s, int criterion, int best, int other) {
    double a = wf_criterion_value(&s->models[best], criterion), b = wf_criterion_value(&s->models[other], criterion);
    double gap = fabs(a - b);
    return gap <= rows[criterion].margin * fabs(a) || gap < noise_between(s, criterion, best, other);
}

static int find_best(const wf_run_summary *s, int criterion) {
    int best = -1;
    double value = NAN;
    for (int i = 0; i < s->count; i++) {
        double v = wf_criterion_value(&s->models[i], criterion);
        if (isnan(v) || !is_better(&rows[criterion], v, value))
            continue;
        value = v;
        best = i;
    }
    return best;
}

static void decide(const wf_run_summary *s, int criterion, wf_criterion *c) {
    const criterion_row *row = &rows[criterion];
    *c = (wf_criterion){.name = row->name, .best = find_best(s, criterion), .next = -1, .value = NAN, .next_value = NAN};
    if (c->best < 0)
        return;
    c->decided = true;
    c->value = wf_criterion_value(&s->models[c->best], criterion);
    c->ties[c->tie_count++] = c->best;
    for (int i = 0; i < s->count; i++) {
        double v = wf_criterion_value(&s->models[i], criterion);
        if (i == c->best || isnan(v))
            continue;
        if (is_tied(s, criterion, c->best, i)) {
            c->ties[c->tie_count++] = i;
        } else if (is_better(row, v, c->next_value)) {
            c->next_value = v;
            c->next = i;
        }
    }
}

void wf_by_loss(const wf_run_summary *s, int *order) {
    for (int i = 0; i < s->count; i++) {
        int at = i;
        double v = s->on_task ? -s->models[i].accuracy.mean : s->models[i].loss.mean;
        for (; at > 0; at--) {
            double before = s->on_task ? -s->models[order[at - 1]].accuracy.mean : s->models[order[at - 1]].loss.mean;
            if (isnan(v) || before <= v)
                break;
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
}

weft_status wf_summarise(wf_arena *arena, const wf_json *run, wf_run_summary *out, weft_error *err) {
    const wf_json *models = wf_json_get(run, "models");
    WF_CHECK(wf_streq(wf_json_text(run, "format", NULL), "weft-run"), err, WEFT_BAD_INPUT,
             "not a run document: \"format\" is not \"weft-run\"");
    WF_CHECK(models && models->kind == WF_JSON_ARRAY, err, WEFT_BAD_INPUT, "run document: \"models\" must be a list");
    WF_CHECK(models->count <= WF_MAX_MODELS, err, WEFT_BAD_INPUT, "run document: more than %d models", WF_MAX_MODELS);
    *out = (wf_run_summary){
        .json = run, .longest = longest_context(models), .loss_noise = NAN, .on_task = wf_json_get(run, "task") != NULL};
    out->models = wf_arena_alloc(arena, (models->count + 1) * sizeof *out->models);
    if (!out->models)
        return wf_fail_memory(err);
    out->partial = !wf_streq(wf_json_text(run, "status", "complete"), "complete");
    for (const wf_json *model = models->child; model; model = model->next) {
        wf_model_summary *m = &out->models[out->count++];
        read_model(model, out->longest, m);
        out->partial = out->partial || !m->complete;
        int seeds = m->loss.count > m->accuracy.count ? m->loss.count : m->accuracy.count;
        out->seeds = seeds > out->seeds ? seeds : out->seeds;
    }
    if (out->seeds > 1)
        out->loss_noise = 2 * pooled_spread(out, out->on_task ? WF_BY_ACCURACY : WF_BY_LOSS) * sqrt(2.0 / out->seeds);
    for (int i = 0; i < WF_CRITERIA; i++)
        decide(out, i, &out->criteria[i]);
    return WEFT_OK;
}
