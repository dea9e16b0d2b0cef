/* generate_texts.c - generate for many prompts: what follows each text, many written at the same time, each as it is alone. */
#include "jobs/apply.h"
#include "jobs/writing.h"

typedef struct generating {
    wf_writing writing;
    wf_generate_options how;
    wf_ids nothing; /* what a prompt without tokens is */
    bool cuts;      /* 'max_length' is asked for: prompts are cut */
    size_t full;
} generating;

static weft_status read(wf_apply *a, wf_options *o) {
    static const char *const usual[] = {"text"};
    generating *t = a->own;
    t->cuts = a->limit > 0;
    wf_writing_read(a->job, o, &t->writing);
    return wf_apply_fields(a, o, usual, 1);
}

static weft_status prepare(wf_apply *a) {
    generating *t = a->own;
    wf_str how = wf_str_new(&a->job->env->mem);
    a->cut.on = t->cuts;
    t->nothing = wf_ids_new(&a->job->env->mem);
    WF_TRY(wf_writing_prepare(a->job, a->model, &t->writing, &a->m, &t->how));
    wf_asked_tell(&t->writing.asked, &a->m.says, &t->how.sampling, &how);
    wf_log(a->job->env, WF_INFO, "%s: %s", a->model, wf_str_text(&how));
    bool failed = how.failed;
    wf_str_free(&how);
    return failed ? wf_fail_memory(a->job->err) : WEFT_OK;
}

static void put_one(wf_json_writer *w, const wf_str *text, int64_t tokens, wf_finish finish, const double *score) {
    wf_jw_key(w, "generated");
    wf_jw_string_n(w, wf_str_text(text), text->length);
    wf_jw_key(w, "tokens");
    wf_jw_int(w, tokens);
    wf_jw_key(w, "finish");
    wf_jw_string(w, wf_finish_name(finish));
    if (score) {
        wf_jw_key(w, "score");
        wf_jw_float(w, (float)*score);
    }
}

static void put_json(wf_apply *a, const wf_apply_item *item, const wf_generation *g) {
    const wf_generated *best = g->n_texts ? &g->texts[0] : NULL;
    wf_json_writer w;
    wf_json_writer_init(&w, &a->line, 0);
    wf_jw_begin(&w, '{');
    wf_jw_key(&w, "text");
    wf_jw_string_n(&w, item->record.fields[0].data, item->record.fields[0].length);
    if (best)
        put_one(&w, &best->text, best->tokens, best->finish, &best->score);
    else
        put_one(&w, &g->text, g->tokens, g->finish, NULL);
    if (g->n_texts > 1) {
        wf_jw_key(&w, "sequences");
        wf_jw_begin(&w, '[');
        for (size_t i = 0; i < g->n_texts; i++) {
            const wf_generated *t = &g->texts[i];
            wf_jw_begin(&w, '{');
            put_one(&w, &t->text, t->tokens, t->finish, &t->score);
            wf_jw_end(&w, '}');
        }
        wf_jw_end(&w, ']');
    }
    wf_jw_end(&w, '}');
    wf_str_putc(&a->line, '\n');
}

/* Several texts of beams stand in one line, with tabs between them. */
static void put_line(wf_apply *a, const wf_generation *g) {
    for (size_t i = 0; i < g->n_texts; i++) {
        wf_apply_put_text(&a->line, (wf_bytes){wf_str_text(&g->texts[i].text), g->texts[i].text.length});
        wf_str_putc(&a->line, i + 1 < g->n_texts ? '\t' : '\n');
    }
    if (g->n_texts == 0) {
        wf_apply_put_text(&a->line, (wf_bytes){wf_str_text(&g->text), g->text.length});
        wf_str_putc(&a->line, '\n');
    }
}

typedef struct written {
    wf_apply *a;
    wf_apply_item *items;
} written;

static weft_status take(void *user, size_t index, wf_generation *g, weft_status status) {
    const written *w = user;
    generating *t = w->a->own;
    if (status != WEFT_OK) {
        if (status != WEFT_INTERRUPTED && status != WEFT_TERMINATED)
            (void)wf_text_record_fail_in(&w->items[index].record, w->a->job->err);
        return status;
    }
    t->full += g->finish == WF_FINISH_CONTEXT;
    if (w->a->json)
        put_json(w->a, &w->items[index], g);
    else
        put_line(w->a, g);
    return wf_apply_put(w->a);
}

static weft_status together(wf_apply *a, wf_apply_item *items, size_t n, const wf_sequence *sequences) {
    generating *t = a->own;
    wf_prompt *list = wf_arena_alloc(&a->arena, (n + 1) * sizeof *list);
    wf_generate_options how = t->how;
    wf_rules rules = wf_writing_rules(&a->m);
    if (!list)
        return wf_fail_memory(a->job->err);
    for (size_t i = 0; i < n; i++) {
        const wf_sequence *s = items[i].n_sequences ? &sequences[items[i].first] : NULL;
        if (!s && t->nothing.count == 0)
            WF_TRY(wf_writing_begin(&a->m, &t->nothing, a->job->err));
        list[i] = s ? (wf_prompt){.ids = s->ids, .n = s->count} : (wf_prompt){.ids = t->nothing.data, .n = t->nothing.count};
        list[i].max_tokens = wf_writing_length(a->job, a->model, &t->writing, &a->m, list[i].n);
    }
    how.sampling.rules = &rules;
    how.batch = a->how.tokens;
    return wf_generate_many(a->m.model, a->m.target, &(wf_prompts){list, n}, &how, take, &(written){a, items}, a->job->err);
}

static void close(wf_apply *a) {
    generating *t = a->own;
    if (t->nothing.mem) /* prepared */
        wf_ids_free(&t->nothing);
}

static weft_status end(wf_apply *a) {
    const generating *t = a->own;
    if (t->full)
        wf_log(a->job->env, WF_WARN, "%zu of %zu texts end where the context was full ('slide' as overflow goes on)", t->full,
               a->texts);
    return WEFT_OK;
}

static const char *const heads[] = {"lm", NULL};
static const char *const words[] = {WF_WRITING_WORDS, NULL};
const wf_apply_row wf_apply_generate = {.name = "generate",
                                        .heads = heads,
                                        .words = words,
                                        .empties = true,
                                        .own = sizeof(generating),
                                        .read = read,
                                        .prepare = prepare,
                                        .together = together,
                                        .end = end,
                                        .close = close};
