/* report.c - the HTML page: see report.h. */
#include "compare/report.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "compare/report_parts.h"

/* ---- head ---- */
static void put_headline(wf_report *r) {
    const wf_criterion *c = &r->run.criteria[r->run.on_task ? WF_BY_ACCURACY : WF_BY_LOSS];
    const char *what = r->run.on_task ? "this task" : "this text",
               *best = r->run.on_task ? "the best accuracy" : "the best loss";
    if (!c->decided) {
        wf_str_puts(r->out, "No model has been evaluated yet");
        return;
    }
    if (c->tie_count > 3) {
        wf_str_printf(r->out, "%d models tie for %s on %s", c->tie_count, best, what);
        return;
    }
    for (int i = 0; i < c->tie_count; i++) {
        const char *between = i == 0 ? "" : i == c->tie_count - 1 ? " and " : ", ";
        wf_put_escaped(r, between, r->run.models[c->ties[i]].name, "");
    }
    if (c->tie_count > 1)
        wf_str_printf(r->out, " tie for %s on %s", best, what);
    else
        wf_str_printf(r->out, r->run.partial ? " leads on %s so far" : " learns %s best", what);
}

static void put_budget(wf_report *r, const wf_json *settings) {
    char text[24];
    double seconds = wf_json_double(settings, "budget_seconds", NAN), tokens = wf_json_double(settings, "budget_tokens", NAN);
    double steps = wf_json_double(settings, "budget_steps", NAN);
    if (!isnan(seconds))
        wf_str_printf(r->out, ", %.4g s of training each", seconds);
    wf_text_count(tokens, text);
    if (!isnan(tokens))
        wf_str_printf(r->out, ", %s training tokens each", text);
    wf_text_count(steps, text);
    if (!isnan(steps))
        wf_str_printf(r->out, ", %s steps each", text);
}

static void put_meta(wf_report *r) {
    const wf_json *settings = wf_json_get(r->run.json, "settings"), *text = wf_json_get(r->run.json, "text");
    char size[24];
    wf_str_printf(r->out, "<p class=\"meta\">%d architecture%s", r->run.count, r->run.count == 1 ? "" : "s");
    double params = wf_json_double(settings, "params", NAN), context = wf_json_double(settings, "context", NAN);
    wf_text_count(params, size);
    if (!isnan(params))
        wf_str_printf(r->out, " of %s parameters", size);
    put_budget(r, settings);
    if (!isnan(context))
        wf_str_printf(r->out, ", context %.0f", context);
    if (r->run.seeds > 1)
        wf_str_printf(r->out, ", %d seeds", r->run.seeds);
    wf_str_puts(r->out, ".");
    if (text) {
        wf_text_bytes(wf_json_double(text, "bytes", NAN), size);
        wf_put_escaped(r, " The text: ", wf_json_text(text, "name", "unnamed"), ", ");
        wf_str_printf(r->out, "%s.", size);
    }
    const wf_json *task = wf_json_get(r->run.json, "task");
    if (task) {
        wf_put_escaped(r, " The task: ", wf_json_text(task, "name", "unnamed"), ", ");
        wf_put_escaped(r, "", wf_json_text(task, "about", ""), ".");
    }
    wf_str_puts(r->out, "</p>\n");
}

static void put_partial_note(wf_report *r) {
    const char *note = wf_json_text(r->run.json, "note", NULL);
    if (r->run.partial)
        wf_put_escaped(r, "<p class=\"note\"><b>Partial results.</b> The run was not finished. ", note ? note : "", "</p>\n");
    else if (note)
        wf_put_escaped(r, "<p class=\"note\">", note, "</p>\n");
}

static void put_head(wf_report *r) {
    wf_str_puts(r->out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
                        "content=\"width=device-width,initial-scale=1\"><title>weft compare: ");
    put_headline(r);
    wf_str_printf(r->out, "</title><style>%s</style></head>\n<body><main>\n<header>", wf_report_style);
    wf_put_escaped(r, "<p class=\"brand\"><b>weft</b> compare <span>· ", wf_json_text(r->run.json, "created", ""),
                   "</span></p><h1>");
    put_headline(r);
    wf_str_puts(r->out, "</h1>\n");
    put_meta(r);
    put_partial_note(r);
    wf_str_puts(r->out, "</header>\n");
}

/* ---- samples ---- */
static void put_sample(wf_report *r, int model, const wf_json *sample) {
    wf_str_puts(r->out, "<div class=\"sample\"><h3>");
    wf_put_name(r, model);
    wf_put_escaped(r, "</h3><pre><i>", wf_json_text(sample, "prompt", ""), "</i>");
    wf_put_escaped(r, "", wf_json_text(sample, "text", ""), "</pre></div>\n");
}

void wf_report_samples(wf_report *r) {
    bool open = false;
    for (int i = 0; i < r->run.count; i++) {
        const wf_json *samples = wf_json_get(r->run.models[r->order[i]].json, "samples");
        for (const wf_json *s = samples ? samples->child : NULL; s; s = s->next) {
            if (!open)
                wf_str_puts(
                    r->out,
                    "<section><h2>What they write</h2><p class=\"intro\">Continuations of the same prompt, shown in grey, "
                    "with the same sampling seed.</p><div class=\"samples\">\n");
            open = true;
            put_sample(r, r->order[i], s);
        }
    }
    if (open)
        wf_str_puts(r->out, "</div></section>\n");
}

/* ---- page ---- */
static void put_page(wf_report *r) {
    put_head(r);
    wf_report_wins(r);
    wf_report_models(r);
    wf_report_charts(r, "task", "The task", "What part of the answers is right.");
    wf_report_charts(r, "learning", "Learning", "How the loss falls, by what it costs.");
    wf_report_charts(r, "decoding", "Decoding", "What producing text costs as the context grows.");
    wf_report_samples(r);
    wf_report_grid(r);
    wf_report_details(r);
    wf_str_puts(r->out, "</main></body></html>\n");
}

weft_status wf_report_html(const wf_mem *mem, const wf_json *run, wf_str *out, weft_error *err) {
    wf_report r = {.mem = mem, .out = out};
    wf_arena_init(&r.arena, mem, 0);
    weft_status status = wf_summarise(&r.arena, run, &r.run, err);
    if (status == WEFT_OK) {
        r.order = wf_arena_alloc(&r.arena, (size_t)(r.run.count + 1) * sizeof *r.order);
        status = r.order ? WEFT_OK : wf_fail_memory(err);
    }
    if (status == WEFT_OK) {
        wf_by_loss(&r.run, r.order);
        put_page(&r);
        status = out->failed || r.failed ? wf_fail_memory(err) : WEFT_OK;
    }
    wf_arena_free(&r.arena);
    return status;
}
