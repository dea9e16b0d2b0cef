/* report_table.c - the terminal's table: see report.h. Widths are counted in characters, so names in any script line up as far
 * as the terminal gives each one column. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "compare/chart.h"
#include "compare/report.h"
#include "compare/summary.h"

enum { CELL = 64, GAP = 2 };

typedef struct column {
    const char *head;
    int keep;      /* columns with the lowest go first when the table is too wide; 9 stays */
    int criterion; /* whose winners are marked, -1: none */
    void (*text)(const wf_model_summary *m, char out[CELL]);
} column;

/* ---- columns ---- */
static void name_text(const wf_model_summary *m, char out[CELL]) {
    snprintf(out, CELL, "%.*s%s", CELL - 8, m->name, m->complete ? "" : " *");
}
static void params_text(const wf_model_summary *m, char out[CELL]) { wf_text_count(m->params, out); }
static void rate_text(const wf_model_summary *m, char out[CELL]) { snprintf(out, CELL, isnan(m->lr) ? "–" : "%.3g", m->lr); }
static void steps_text(const wf_model_summary *m, char out[CELL]) { wf_text_count(m->steps, out); }
static void tokens_text(const wf_model_summary *m, char out[CELL]) { wf_text_count(m->tokens, out); }
static void passes_text(const wf_model_summary *m, char out[CELL]) {
    snprintf(out, CELL, isnan(m->passes) ? "–" : "%.2f", m->passes);
}
static void loss_text(const wf_model_summary *m, char out[CELL]) { wf_text_loss(&m->loss, out); }
static void accuracy_text(const wf_model_summary *m, char out[CELL]) { wf_text_accuracy(&m->accuracy, out); }
static void train_text(const wf_model_summary *m, char out[CELL]) { wf_text_rate(m->train_rate.mean, out); }
static void memory_text(const wf_model_summary *m, char out[CELL]) { wf_text_bytes(m->peak_memory, out); }
static void decode_text(const wf_model_summary *m, char out[CELL]) { wf_text_rate(m->decode_rate, out); }
static void state_text(const wf_model_summary *m, char out[CELL]) { wf_text_bytes(m->state_bytes, out); }

static const column columns[] = {
    {"model", 9, -1, name_text},
    {"params", 5, -1, params_text},
    {"peak lr", 3, -1, rate_text},
    {"steps", 2, -1, steps_text},
    {"tokens", 1, -1, tokens_text},
    {"passes", 0, -1, passes_text},
    {"val bits/byte", 9, WF_BY_LOSS, loss_text},
    {"accuracy", 9, WF_BY_ACCURACY, accuracy_text},
    {"train tok/s", 8, WF_BY_TRAINING, train_text},
    {"memory", 6, WF_BY_MEMORY, memory_text},
    {"decode tok/s", 7, WF_BY_DECODING, decode_text},
    {"state", 4, WF_BY_STATE, state_text},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

typedef struct table {
    wf_run_summary run;
    int *order;
    int width[COLUMNS]; /* 0: left out */
    bool colour;
    wf_str *out;
} table;

/* ---- widths ---- */
static int count_characters(const char *text) {
    int n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

static void measure_columns(table *t) {
    char text[CELL];
    for (int c = 0; c < COLUMNS; c++) {
        bool any = columns[c].criterion < 0 || t->run.criteria[columns[c].criterion].decided ||
                   (columns[c].criterion == WF_BY_LOSS && !t->run.on_task);
        t->width[c] = any ? count_characters(columns[c].head) : 0; /* a column without a figure is left out */
        for (int i = 0; any && i < t->run.count; i++) {
            columns[c].text(&t->run.models[i], text);
            int n = count_characters(text);
            t->width[c] = n > t->width[c] ? n : t->width[c];
        }
    }
}

static int total_width(const table *t) {
    int total = -GAP;
    for (int c = 0; c < COLUMNS; c++)
        total += t->width[c] ? t->width[c] + GAP : 0;
    return total;
}

static void drop_columns(table *t, int width) {
    for (int keep = 0; keep < 9 && total_width(t) > width; keep++)
        for (int c = 0; c < COLUMNS; c++)
            if (columns[c].keep == keep)
                t->width[c] = 0;
}

/* ---- rows ---- */
static bool wins(const table *t, int criterion, int model) {
    for (int i = 0; criterion >= 0 && i < t->run.criteria[criterion].tie_count; i++)
        if (t->run.criteria[criterion].ties[i] == model)
            return true;
    return false;
}

/* Names are set left, figures right. */
static void put_cell(table *t, int c, const char *text, bool bold) {
    int fill = t->width[c] - count_characters(text);
    if (c > 0)
        wf_str_printf(t->out, "%*s", GAP + fill, "");
    wf_str_puts(t->out, bold && t->colour ? "\033[1m" : "");
    wf_str_puts(t->out, text);
    wf_str_puts(t->out, bold && t->colour ? "\033[0m" : "");
    if (c == 0)
        wf_str_printf(t->out, "%*s", fill, "");
}

static void put_rows(table *t) {
    char text[CELL];
    for (int c = 0; c < COLUMNS; c++)
        if (t->width[c])
            put_cell(t, c, columns[c].head, false);
    wf_str_putc(t->out, '\n');
    for (int i = 0; i < t->run.count; i++) {
        int model = t->order[i];
        for (int c = 0; c < COLUMNS; c++) {
            if (!t->width[c])
                continue;
            columns[c].text(&t->run.models[model], text);
            put_cell(t, c, text, wins(t, columns[c].criterion, model));
        }
        wf_str_putc(t->out, '\n');
    }
}

/* ---- lines below ---- */
/* Appends words, breaking lines at `width`; what follows a break is indented. */
static void put_wrapped(table *t, const char *text, int width, int indent) {
    int used = 0;
    while (*text) {
        size_t bytes = strcspn(text, " ");
        char word[256];
        snprintf(word, sizeof word, "%.*s", (int)bytes, text);
        int n = count_characters(word);
        if (used && used + 1 + n > width) {
            wf_str_printf(t->out, "\n%*s", indent, "");
            used = indent;
        } else if (used) {
            wf_str_putc(t->out, ' ');
            used++;
        }
        wf_str_put(t->out, text, bytes);
        used += n;
        text += bytes + strspn(text + bytes, " ");
    }
    wf_str_putc(t->out, '\n');
}

static void describe_win(const table *t, int criterion, const wf_mem *mem, wf_str *line) {
    const wf_criterion *c = &t->run.criteria[criterion];
    char text[48];
    wf_str_printf(line, "%s", c->name);
    if ((criterion == WF_BY_DECODING || criterion == WF_BY_STATE) && !isnan(t->run.longest)) {
        wf_axis axis = {.unit = WF_BINARY};
        wf_axis_text(&axis, t->run.longest, text);
        wf_str_printf(line, " at %s tokens", text);
    }
    for (int i = 0; i < c->tie_count; i++)
        wf_str_printf(line, "%s%s", i ? ", " : ": ", t->run.models[c->ties[i]].name);
    wf_criterion_text(criterion, c->value, text);
    wf_str_printf(line, "%s, %s", c->tie_count > 1 ? " tied" : "", text);
    if (c->next < 0)
        return;
    wf_criterion_text(criterion, c->next_value, text);
    if (criterion != WF_BY_ACCURACY)
        text[strcspn(text, " ")] = criterion == WF_BY_LOSS || strstr(text, "tokens") ? 0 : ' '; /* the unit was just said */
    wf_str_printf(line, " (then %s, %s)", t->run.models[c->next].name, text);
}

static weft_status put_wins(table *t, const wf_mem *mem, int width, weft_error *err) {
    wf_str line = wf_str_new(mem);
    for (int i = 0; i < WF_CRITERIA; i++) {
        if (!t->run.criteria[i].decided)
            continue;
        wf_str_clear(&line);
        describe_win(t, i, mem, &line);
        put_wrapped(t, wf_str_text(&line), width, 2);
    }
    bool failed = line.failed;
    wf_str_free(&line);
    return failed ? wf_fail_memory(err) : WEFT_OK;
}

/* ---- exams on a task ---- */
enum { TIMES = 4, MOST_LENGTHS = 16 };

static double number_at(const wf_json *model, const char *path, size_t i) {
    const wf_json *v = wf_json_at(wf_json_path(model, path), i);
    return v && v->kind == WF_JSON_NUMBER ? v->number : NAN;
}

/* The accuracy of the last exam within the first `seconds` of training. */
static double accuracy_by(const wf_json *model, double seconds) {
    double found = NAN;
    const wf_json *times = wf_json_path(model, "exams.seconds");
    for (size_t i = 0; times && i < times->count && number_at(model, "exams.seconds", i) <= seconds; i++)
        found = number_at(model, "exams.accuracy", i);
    return found;
}

static double last_time(const wf_json *model) {
    const wf_json *times = wf_json_path(model, "exams.seconds");
    return times && times->count ? number_at(model, "exams.seconds", times->count - 1) : 0;
}

static void put_accuracies(table *t, const char *title, const char *const *heads, int n,
                           double (*value)(const wf_json *model, const void *at, int i), const void *at) {
    char text[24];
    wf_str_printf(t->out, "\n%-*s", t->width[0] > 20 ? t->width[0] : 20, title);
    for (int i = 0; i < n; i++)
        wf_str_printf(t->out, " %8s", heads[i]);
    wf_str_putc(t->out, '\n');
    for (int m = 0; m < t->run.count; m++) {
        const wf_model_summary *model = &t->run.models[t->order[m]];
        wf_str_printf(t->out, "%s%*s", model->name, (t->width[0] > 20 ? t->width[0] : 20) - count_characters(model->name), "");
        for (int i = 0; i < n; i++) {
            double v = value(model->json, at, i);
            snprintf(text, sizeof text, "%.1f %%", 100 * v);
            if (isnan(v))
                wf_str_printf(t->out, " %7s–", "");
            else
                wf_str_printf(t->out, " %8s", text);
        }
        wf_str_putc(t->out, '\n');
    }
}

static double by_time(const wf_json *model, const void *at, int i) { return accuracy_by(model, ((const double *)at)[i]); }
static double by_length(const wf_json *model, const void *at, int i) {
    return (void)at, number_at(model, "lengths.accuracy", (size_t)i);
}

static void put_exams(table *t) {
    char texts[MOST_LENGTHS][24];
    const char *heads[MOST_LENGTHS];
    double times[TIMES], longest = 0;
    const wf_json *lengths = NULL;
    for (int m = 0; m < t->run.count; m++) {
        double last = last_time(t->run.models[m].json);
        longest = last > longest ? last : longest;
        lengths = lengths ? lengths : wf_json_path(t->run.models[m].json, "lengths.length");
    }
    for (int i = 0; i < MOST_LENGTHS; i++)
        heads[i] = texts[i];
    for (int i = 0; i < TIMES; i++) {
        times[i] = longest * (i + 1) / TIMES;
        snprintf(texts[i], sizeof texts[i], "%.3g s", times[i]);
    }
    if (longest > 0)
        put_accuracies(t, "right, by time", heads, TIMES, by_time, times);
    int n = lengths ? (int)lengths->count : 0;
    n = n > MOST_LENGTHS ? MOST_LENGTHS : n;
    for (int i = 0; i < n; i++)
        snprintf(texts[i], sizeof texts[i], "%.0f", wf_json_at(lengths, (size_t)i)->number);
    if (n > 0)
        put_accuracies(t, "right, by length", heads, n, by_length, NULL);
}

static void put_notes(table *t, int width) {
    char text[512], passes[24];
    double most = 0;
    for (int i = 0; i < t->run.count; i++)
        most = t->run.models[i].passes > most ? t->run.models[i].passes : most;
    snprintf(passes, sizeof passes, "%.2g", most);
    if (most > 1) {
        snprintf(text, sizeof text, "Training went over the text more than once (up to %s passes).", passes);
        put_wrapped(t, text, width, 2);
    }
    if (t->run.seeds > 1 && !isnan(t->run.loss_noise) && t->run.on_task)
        snprintf(text, sizeof text, "± is the standard deviation over %d seeds; accuracies closer than %.1f points are tied.",
                 t->run.seeds, 100 * t->run.loss_noise);
    else if (t->run.seeds > 1 && !isnan(t->run.loss_noise))
        snprintf(text, sizeof text, "± is the standard deviation over %d seeds; losses closer than %.3f are tied.",
                 t->run.seeds, t->run.loss_noise);
    else
        snprintf(text, sizeof text, "One seed: small differences in %s may be chance.", t->run.on_task ? "accuracy" : "loss");
    put_wrapped(t, text, width, 2);
    if (!t->run.partial)
        return;
    snprintf(text, sizeof text, "Partial results: the run was not finished. %.300s", wf_json_text(t->run.json, "note", ""));
    put_wrapped(t, text, width, 2);
}

static weft_status put_all(table *t, const wf_mem *mem, int width, weft_error *err) {
    wf_by_loss(&t->run, t->order);
    measure_columns(t);
    drop_columns(t, width);
    put_rows(t);
    if (t->run.on_task)
        put_exams(t);
    wf_str_putc(t->out, '\n');
    WF_TRY(put_wins(t, mem, width, err));
    put_notes(t, width);
    return t->out->failed ? wf_fail_memory(err) : WEFT_OK;
}

weft_status wf_report_table(const wf_mem *mem, const wf_json *run, int width, bool colour, wf_str *out, weft_error *err) {
    table t = {.colour = colour, .out = out};
    wf_arena arena;
    wf_arena_init(&arena, mem, 0);
    weft_status status = wf_summarise(&arena, run, &t.run, err);
    if (status == WEFT_OK) {
        t.order = wf_arena_alloc(&arena, (size_t)(t.run.count + 1) * sizeof *t.order);
        status = t.order ? put_all(&t, mem, width < 40 ? 40 : width, err) : wf_fail_memory(err);
    }
    wf_arena_free(&arena);
    return status;
}
