/* report_models.c - who won, and the table of the models. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "compare/report_parts.h"

void wf_put_escaped(wf_report *r, const char *before, const char *text, const char *after) {
    wf_str_puts(r->out, before);
    wf_html_escape(r->out, text);
    wf_str_puts(r->out, after);
}

void wf_put_name(wf_report *r, int model) {
    wf_str_puts(r->out, "<span class=\"name\">");
    wf_chart_swatch(r->out, model);
    wf_put_escaped(r, "", r->run.models[model].name, "</span>");
}

/* ---- winners ---- */
/* " at context 16k" for the criteria that depend on it. */
static void put_criterion_name(wf_report *r, int criterion) {
    wf_str_puts(r->out, r->run.criteria[criterion].name);
    if ((criterion == WF_BY_DECODING || criterion == WF_BY_STATE) && !isnan(r->run.longest)) {
        char text[24];
        wf_axis axis = {.unit = WF_BINARY};
        wf_axis_text(&axis, r->run.longest, text);
        wf_str_printf(r->out, " at %s tokens", text);
    }
}

static void put_next(wf_report *r, int criterion, const wf_criterion *c) {
    char text[48];
    if (c->next < 0)
        return;
    wf_criterion_text(criterion, c->next_value, text);
    wf_put_escaped(r, "<dd class=\"then\">then ", r->run.models[c->next].name, ", ");
    wf_put_escaped(r, "", text, "");
    double ratio = c->next_value / c->value;
    if (ratio >= 3 || ratio <= 1.0 / 3)
        wf_str_printf(r->out, " (%.3g×)", ratio);
    else
        wf_str_printf(r->out, " (%s%.1f %%)", ratio >= 1 ? "+" : "−", 100 * fabs(ratio - 1));
    wf_str_puts(r->out, "</dd>");
}

static void put_win(wf_report *r, int criterion) {
    const wf_criterion *c = &r->run.criteria[criterion];
    char text[48];
    if (!c->decided)
        return;
    wf_str_puts(r->out, "<div><dt>");
    put_criterion_name(r, criterion);
    wf_str_puts(r->out, "</dt><dd class=\"who\">");
    for (int i = 0; i < c->tie_count; i++) {
        wf_str_puts(r->out, i ? ", " : "");
        wf_put_name(r, c->ties[i]);
    }
    wf_str_puts(r->out, c->tie_count > 1 ? " <span class=\"tied\">tied</span>" : "");
    wf_criterion_text(criterion, c->value, text);
    wf_put_escaped(r, " <span class=\"value\">", text, "</span></dd>");
    put_next(r, criterion, c);
    wf_str_puts(r->out, "</div>\n");
}

void wf_report_wins(wf_report *r) {
    wf_str_puts(r->out, "<dl class=\"wins\">\n");
    for (int i = 0; i < WF_CRITERIA; i++)
        put_win(r, i);
    wf_str_puts(r->out, "</dl>\n");
}

/* ---- the table ---- */
static bool is_winner(const wf_report *r, int criterion, int model) {
    const wf_criterion *c = &r->run.criteria[criterion];
    for (int i = 0; criterion >= 0 && i < c->tie_count; i++)
        if (c->ties[i] == model)
            return true;
    return false;
}

static void put_cell(wf_report *r, const char *label, const char *text, bool best, bool wide) {
    wf_str_printf(r->out, "<td data-label=\"%s\" class=\"%s%s\"><span>", label, best ? "best " : "", wide ? "wide" : "");
    wf_put_escaped(r, "", text, "</span></td>");
}

/* What was learned: the share of right answers to a task, or the loss on a text. */
static void put_learned(wf_report *r, const wf_model_summary *m, bool best) {
    char text[48];
    if (r->run.on_task) {
        wf_text_accuracy(&m->accuracy, text);
        put_cell(r, "Accuracy", text, best, true);
        return;
    }
    wf_str_printf(r->out, "<td data-label=\"Validation bits/byte\" class=\"%swide\"><span>", best ? "best " : "");
    if (isnan(m->loss.mean))
        wf_str_puts(r->out, "–");
    else
        wf_str_printf(r->out, "%.3f", m->loss.mean);
    if (!isnan(m->loss.spread))
        wf_str_printf(r->out, " <span class=\"pm\">± %.3f</span>", m->loss.spread);
    wf_str_puts(r->out, "</span></td>");
}

static void put_tokens(wf_report *r, const wf_model_summary *m) {
    char text[24];
    wf_text_count(m->tokens, text);
    wf_put_escaped(r, "<td data-label=\"Tokens\"><span>", text, "");
    if (m->passes > 1)
        wf_str_printf(r->out, "<small>%.2g passes</small>", m->passes);
    wf_str_puts(r->out, "</span></td>");
}

static void put_model(wf_report *r, int i) {
    const wf_model_summary *m = &r->run.models[i];
    char text[48];
    wf_str_puts(r->out, "<tr><td>");
    wf_put_name(r, i);
    if (m->pattern)
        wf_put_escaped(r, "<small>", m->pattern, "</small>");
    if (!m->complete)
        wf_put_escaped(r, "<small>", m->status, "</small>");
    wf_str_puts(r->out, "</td>");
    wf_text_count(m->params, text);
    put_cell(r, "Parameters", text, false, false);
    snprintf(text, sizeof text, isnan(m->lr) ? "–" : "%.3g", m->lr);
    put_cell(r, "Peak rate", text, false, false);
    wf_text_count(m->steps, text);
    put_cell(r, "Steps", text, false, false);
    put_tokens(r, m);
    put_learned(r, m, is_winner(r, r->run.on_task ? WF_BY_ACCURACY : WF_BY_LOSS, i));
    wf_text_rate(m->train_rate.mean, text);
    put_cell(r, "Training tokens/s", text, is_winner(r, WF_BY_TRAINING, i), true);
    wf_text_bytes(m->peak_memory, text);
    put_cell(r, "Peak memory", text, is_winner(r, WF_BY_MEMORY, i), true);
    wf_text_rate(m->decode_rate, text);
    put_cell(r, "Decoding tokens/s", text, is_winner(r, WF_BY_DECODING, i), true);
    wf_text_bytes(m->state_bytes, text);
    put_cell(r, "State", text, is_winner(r, WF_BY_STATE, i), true);
    wf_str_puts(r->out, "</tr>\n");
}

static void put_table_notes(wf_report *r) {
    char text[24];
    wf_str_puts(r->out, "<p class=\"foot\">");
    if (!isnan(r->run.longest)) {
        wf_axis axis = {.unit = WF_BINARY};
        wf_axis_text(&axis, r->run.longest, text);
        wf_str_printf(r->out,
                      "Decoding and state with %s tokens in context; a dash where it was not measured, or a model's positions "
                      "end before. ",
                      text);
    }
    if (r->run.seeds > 1 && r->run.on_task)
        wf_str_printf(r->out, "± is the standard deviation over %d seeds; accuracies closer than %.1f points are tied. ",
                      r->run.seeds, 100 * r->run.loss_noise);
    else if (r->run.seeds > 1)
        wf_str_printf(r->out, "± is the standard deviation over %d seeds; losses closer than %.3f bits/byte are tied. ",
                      r->run.seeds, r->run.loss_noise);
    else
        wf_str_printf(r->out, "One seed: small differences in %s may be chance. ", r->run.on_task ? "accuracy" : "loss");
    for (int i = 0; i < r->run.count; i++)
        if (r->run.models[r->order[i]].note)
            wf_put_escaped(r, "", r->run.models[r->order[i]].name, ": "),
                wf_put_escaped(r, "", r->run.models[r->order[i]].note, ". ");
    wf_str_puts(r->out, "</p>\n");
}

void wf_report_models(wf_report *r) {
    wf_str_printf(
        r->out,
        "<section><h2>The models</h2><p class=\"intro\">%s, same batches in the same order, same optimizer and "
        "schedule; the peak learning rate of each from the same grid.</p><table class=\"models\"><thead><tr><th>Model</th>"
        "<th>Parameters</th><th>Peak "
        "rate</th><th>Steps</th><th>Tokens</th><th>%s</th><th>Training<br>tokens/s</th>"
        "<th>Peak<br>memory</th><th>Decoding<br>tokens/s</th><th>State</th></tr></thead><tbody>\n",
        r->run.on_task ? "Same task" : "Same tokenizer", r->run.on_task ? "Accuracy" : "Validation<br>bits/byte");
    for (int i = 0; i < r->run.count; i++)
        put_model(r, r->order[i]);
    wf_str_puts(r->out, "</tbody></table>\n");
    put_table_notes(r);
    wf_str_puts(r->out, "</section>\n");
}
