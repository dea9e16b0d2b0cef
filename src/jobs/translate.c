/* translate.c - what an encoder-decoder writes to every text: translations, summaries, corrections. */
#include <string.h>
#include "apply/languages.h"
#include "gen/generate.h"
#include "jobs/apply.h"
#include "jobs/beams.h"

typedef struct translating {
    const char *prefix, *from, *to; /* as given, NULL when not */
    wf_bytes before;                /* the text in front of every text */
    wf_asked asked;
    wf_sampling sampling;
    wf_rules rules;
    wf_beams beams;
    int64_t max_tokens; /* 0: the model's own */
    int64_t source;     /* the token of the language of the source, or the wanted one where it stands there; -1: none */
    bool replaces;      /* it takes the place of the tokenizer's own */
    int32_t start[3];
    size_t n_start;
    size_t unfinished;
} translating;

typedef struct translation {
    wf_bytes text;
    size_t tokens;
    bool ended, stopped;      /* by the token for it; by a stop string */
    double score;             /* of beams */
    struct translation *next; /* a less likely one to the same text */
} translation;

enum { USUAL_LENGTH = 256 };

static weft_status read(wf_apply *a, wf_options *o) {
    static const char *const usual[] = {"text"};
    translating *t = a->own;
    t->prefix = wf_option_text(o, "prefix", NULL);
    t->from = wf_option_text(o, "from", NULL);
    t->to = wf_option_text(o, "to", NULL);
    t->max_tokens = wf_option_int(o, "max_tokens", 0, 1, 1 << 24);
    wf_asked_read(o, &t->asked);
    return wf_apply_fields(a, o, usual, 1);
}

/* ---- the task: a prefix of the config ---- */
static const wf_json *prefix_of(const wf_json *task) {
    const wf_json *prefix = wf_json_get(task, "prefix");
    return prefix && prefix->kind == WF_JSON_STRING ? prefix : NULL;
}

/* The object with the prefix: that of the task translation_FROM_to_TO; without both names, that of the only task of
 * translation, or of the only task. */
static const wf_json *find_task(wf_apply *a, const translating *t) {
    const wf_json *tasks = wf_json_get(a->facts.config, "task_specific_params"), *found = NULL, *any = NULL;
    const char *key = t->from && t->to ? wf_arena_printf(a->job->arena, "translation_%s_to_%s", t->from, t->to) : NULL;
    size_t ways = 0, all = 0;
    for (const wf_json *j = tasks && tasks->kind == WF_JSON_OBJECT ? tasks->child : NULL; j; j = j->next) {
        const wf_json *prefix = prefix_of(j);
        bool translates = strncmp(j->key, "translation", strlen("translation")) == 0;
        if (prefix && key && wf_streq(j->key, key))
            return j;
        found = prefix && translates ? j : found;
        any = prefix ? j : any;
        ways += prefix && translates;
        all += prefix != NULL;
    }
    return key ? NULL : ways == 1 ? found : all == 1 ? any : a->facts.config;
}

/* *named: the prefix already says from what to what. What the task says about writing counts too. */
static void choose_prefix(wf_apply *a, translating *t, bool *named) {
    const wf_json *task = find_task(a, t), *prefix = task ? prefix_of(task) : NULL;
    *named = prefix && t->from && t->to;
    if (t->prefix)
        t->before = (wf_bytes){t->prefix, strlen(t->prefix)};
    else if (prefix)
        t->before = (wf_bytes){prefix->string, prefix->length};
    if (prefix && task != a->facts.config && (*named || !t->prefix))
        wf_opened_follow(&a->m, task);
}

static const char *next_task(const void *user, size_t i) {
    for (const wf_json *j = ((const wf_json *)user)->child; j; j = j->next)
        if (prefix_of(j) && i-- == 0)
            return j->key;
    return NULL;
}

/* A model of prefixes alone translates in the ways of its config. */
static weft_status check_task(wf_apply *a, const translating *t, bool named) {
    const wf_json *tasks = wf_json_get(a->facts.config, "task_specific_params");
    bool ways = tasks && tasks->kind == WF_JSON_OBJECT && tasks->child;
    const char *key = ways && t->from && t->to ? wf_arena_printf(a->job->arena, "translation_%s_to_%s", t->from, t->to) : NULL;
    if (!key || named || t->prefix)
        return WEFT_OK;
    const char *near = wf_nearest(key, next_task, tasks);
    WF_CHECK(!near, a->job->err, WEFT_USAGE, "translate: the model's config has no task '%s'; did you mean '%s'?", key, near);
    return WEFT_OK;
}

/* ---- languages ---- */
/* Whether the tokenizer puts the token of a language around a text. */
static weft_status find_own(wf_apply *a, bool *own) {
    wf_ids ids = wf_ids_new(&a->job->env->mem);
    weft_status status = wf_tokenizer_encode(a->m.tok, "", 0, WF_ENCODE_SPECIALS, &ids, a->job->err);
    *own = false;
    for (size_t i = 0; status == WEFT_OK && i < ids.count; i++)
        *own |= wf_is_language(a->m.tok, ids.data[i]);
    wf_ids_free(&ids);
    return status;
}

static weft_status choose_source(wf_apply *a, translating *t, int64_t id) {
    t->source = id;
    WF_TRY(find_own(a, &t->replaces));
    if (!t->replaces && a->cut.on) {
        WF_CHECK(a->cut.max_length > 1, a->job->err, WEFT_USAGE, "translate: there is no room for the token of the language");
        a->cut.max_length--;
    }
    return WEFT_OK;
}

static weft_status choose_from(wf_apply *a, translating *t) {
    wf_language from;
    WF_TRY(wf_language_find(a->m.tok, t->from, a->job->arena, &from, a->job->err));
    WF_CHECK(!from.before, a->job->err, WEFT_USAGE,
             "translate: this model is told the language of the translation only ('to'), not that of the text");
    return choose_source(a, t, from.id);
}

/* The wanted language stands in front of the source, or is what the decoder begins with, behind its first token unless that
 * names a language itself or nobody names it. */
static weft_status choose_to(wf_apply *a, translating *t) {
    wf_language to;
    WF_TRY(wf_language_find(a->m.target, t->to, a->job->arena, &to, a->job->err));
    if (to.before)
        return choose_source(a, t, to.id);
    WF_CHECK(to.id < a->m.model->spec->vocab, a->job->err, WEFT_BAD_INPUT,
             "the tokenizer does not belong to the model: token %lld is outside its vocabulary of %lld", (long long)to.id,
             (long long)a->m.model->spec->vocab);
    t->n_start = a->m.start_usual || wf_is_language(a->m.target, (uint32_t)t->start[0]) ? 0 : 1;
    t->start[t->n_start++] = (int32_t)to.id;
    return WEFT_OK;
}

/* ---- the model ---- */
static weft_status choose_length(wf_apply *a, translating *t) {
    int64_t limit = wf_context_end(a->m.model);
    int64_t longest = wf_generation_config_longest(&a->m.says, 1),
            said = longest > (int64_t)t->n_start ? longest - 1 : USUAL_LENGTH;
    WF_CHECK(!t->max_tokens || !limit || t->max_tokens < limit, a->job->err, WEFT_USAGE,
             "translate: %lld tokens are more than the %lld that the decoder has positions for behind its first",
             (long long)t->max_tokens, (long long)limit - 1);
    a->writing.longest = t->max_tokens ? t->max_tokens : said;
    if (limit && a->writing.longest >= limit)
        a->writing.longest = limit - 1;
    return WEFT_OK;
}

static weft_status choose_sampling(wf_apply *a, translating *t) {
    static const wf_sampling usual = {.top_p = 1.0, .repetition_penalty = 1.0};
    const wf_generation_config *says = &a->m.says;
    wf_str how = wf_str_new(&a->job->env->mem);
    t->rules = wf_generation_config_rules(says, 0, 0, 0);
    WF_TRY(wf_job_beams(a->job, a->model, says, &t->asked, &t->beams));
    t->sampling = wf_asked_sampling(&t->asked, says, &usual);
    t->sampling.temperature = t->beams.beams > 1 ? 0.0 : t->sampling.temperature;
    t->sampling.rules = &t->rules;
    wf_asked_tell(&t->asked, says, &t->sampling, &how);
    wf_log(a->job->env, WF_INFO, "%s: %s", a->model, wf_str_text(&how));
    bool failed = how.failed;
    wf_str_free(&how);
    return failed ? wf_fail_memory(a->job->err) : WEFT_OK;
}

static weft_status prepare(wf_apply *a) {
    static const char *const around[] = {"add_source_bos", "add_source_eos"};
    translating *t = a->own;
    bool named;
    WF_CHECK(a->m.model->encoder, a->job->err, WEFT_UNSUPPORTED,
             "%s: translate needs a decoder that reads a source; this model has a decoder alone (see: weft help generate)",
             a->model);
    for (size_t i = 0; i < sizeof around / sizeof *around; i++)
        WF_CHECK(a->m.target == a->m.tok || !wf_json_bool(a->facts.config, around[i], false), a->job->err, WEFT_UNSUPPORTED,
                 "%s: '%s' of config.json is not supported", a->model, around[i]);
    t->source = -1;
    const wf_generation_config *says = &a->m.says;
    t->n_start = says->n_start;
    memcpy(t->start, says->start, sizeof says->start);
    if (t->n_start == 0)
        t->start[t->n_start++] = wf_first_token(a->m.model, says->eos, says->n_eos);
    choose_prefix(a, t, &named);
    WF_TRY(check_task(a, t, named));
    if (t->from && !named)
        WF_TRY(choose_from(a, t));
    if (t->to && !named)
        WF_TRY(choose_to(a, t));
    WF_TRY(choose_sampling(a, t));
    a->writing = (wf_translator_options){.sampling = t->sampling,
                                         .tokens = a->how.tokens,
                                         .start = t->start,
                                         .n_start = t->n_start,
                                         .beams = t->beams,
                                         .eos = says->eos,
                                         .n_eos = says->n_eos,
                                         .stops = wf_opened_stops(&a->m),
                                         .padding = (int32_t)a->facts.padding};
    return choose_length(a, t);
}

/* ---- a text ---- */
static bool is_blank(wf_bytes text) {
    while (text.length && strchr(" \t\r\n", text.data[text.length - 1]) && text.data[text.length - 1])
        text.length--;
    return text.length == 0;
}

/* A blank text is one without a sequence: its translation is empty, so that lines stay beside each other. */
static weft_status inputs(wf_apply *a, wf_apply_item *item) {
    const translating *t = a->own;
    WF_TRY(wf_apply_usual_inputs(a, item));
    item->own = NULL;
    if (is_blank(item->inputs[0].text)) {
        item->n = 0;
        return WEFT_OK;
    }
    wf_bytes text = item->inputs[0].text;
    if (t->before.length == 0)
        return WEFT_OK;
    char *both = wf_arena_alloc(&a->arena, t->before.length + text.length + 1);
    if (!both)
        return wf_fail_memory(a->job->err);
    memcpy(both, t->before.data, t->before.length);
    memcpy(both + t->before.length, text.data, text.length);
    item->inputs[0].text = (wf_bytes){both, t->before.length + text.length};
    return WEFT_OK;
}

/* The language in the place of the tokenizer's own, or in front. */
static weft_status ready(wf_apply *a, wf_apply_item *item, const wf_encoding *code, wf_sequence *sequence) {
    const translating *t = a->own;
    (void)item;
    if (t->source < 0)
        return WEFT_OK;
    uint32_t *ids = wf_arena_alloc(&a->arena, (code->count + 1) * sizeof *ids);
    if (!ids)
        return wf_fail_memory(a->job->err);
    sequence->ids = ids;
    sequence->count = code->count + !t->replaces;
    if (!t->replaces)
        *ids++ = (uint32_t)t->source;
    for (size_t i = 0; i < code->count; i++) {
        bool own = t->replaces && code->special[i] && code->sequences[i] < 0 && wf_is_language(a->m.tok, code->ids[i]);
        ids[i] = own ? (uint32_t)t->source : code->ids[i];
    }
    return WEFT_OK;
}

static void append(wf_apply_item *item, translation *one) {
    translation *t = item->own;
    while (t && t->next)
        t = t->next;
    if (t)
        t->next = one;
    else
        item->own = one;
}

static weft_status written(wf_apply *a, wf_apply_item *item, const wf_translated *from) {
    const unsigned how = WF_DECODE_SKIP_SPECIALS | WF_DECODE_TEXT;
    translating *t = a->own;
    translation *out = wf_arena_alloc(&a->arena, sizeof *out);
    wf_str text = wf_str_new(&a->job->env->mem);
    if (!out)
        return wf_fail_memory(a->job->err);
    weft_status status = wf_tokenizer_decode(a->m.target, from->ids, from->n, how, &text, a->job->err);
    char *copy = status == WEFT_OK && !text.failed ? wf_arena_strndup(&a->arena, wf_str_text(&text), text.length) : NULL;
    *out = (translation){
        {copy, text.length}, from->n + t->n_start - 1 + from->ended, from->ended, from->stopped, from->score, NULL};
    append(item, out);
    t->unfinished += item->own == out && !from->ended && !from->stopped;
    wf_str_free(&text);
    return status == WEFT_OK && !copy ? wf_fail_memory(a->job->err) : status;
}

static void put_one(wf_json_writer *w, const translation *t, bool scored) {
    wf_jw_key(w, "translation");
    wf_jw_string_n(w, t->text.data, t->text.length);
    wf_jw_key(w, "tokens");
    wf_jw_int(w, (int64_t)t->tokens);
    wf_jw_key(w, "finish");
    wf_jw_string(w, wf_finish_name(t->ended ? WF_FINISH_EOS : t->stopped ? WF_FINISH_STOP : WF_FINISH_LENGTH));
    if (scored) {
        wf_jw_key(w, "score");
        wf_jw_float(w, (float)t->score);
    }
}

static void put_all(wf_json_writer *w, const translation *t) {
    wf_jw_key(w, "sequences");
    wf_jw_begin(w, '[');
    for (; t; t = t->next) {
        wf_jw_begin(w, '{');
        put_one(w, t, true);
        wf_jw_end(w, '}');
    }
    wf_jw_end(w, ']');
}

static weft_status put(wf_apply *a, wf_apply_item *item) {
    static const translation nothing = {.text = {"", 0}, .ended = true};
    const translating *how = a->own;
    const translation *first = item->own ? item->own : &nothing;
    wf_json_writer w;
    if (!a->json) {
        for (const translation *t = first; t; t = t->next) {
            wf_apply_put_text(&a->line, t->text);
            wf_str_putc(&a->line, t->next ? '\t' : '\n');
        }
        return WEFT_OK;
    }
    wf_json_writer_init(&w, &a->line, 0);
    wf_jw_begin(&w, '{');
    wf_jw_key(&w, "text");
    wf_jw_string_n(&w, item->record.fields[0].data, item->record.fields[0].length);
    put_one(&w, first, how->beams.beams > 1);
    if (how->beams.returned > 1)
        put_all(&w, first);
    wf_jw_end(&w, '}');
    wf_str_putc(&a->line, '\n');
    return WEFT_OK;
}

static weft_status end(wf_apply *a) {
    const translating *t = a->own;
    if (t->unfinished)
        wf_log(a->job->env, WF_WARN, "%zu of %zu translations were cut after %lld tokens", t->unfinished, a->texts,
               (long long)a->writing.longest);
    return WEFT_OK;
}

static const char *const heads[] = {"lm", NULL};
static const char *const words[] = {"prefix", "from", "to", "max_tokens", WF_SAMPLING_WORDS, WF_BEAM_WORDS, NULL};
static const wf_apply_row row = {.name = "translate",
                                 .heads = heads,
                                 .words = words,
                                 .empties = true,
                                 .own = sizeof(translating),
                                 .read = read,
                                 .prepare = prepare,
                                 .inputs = inputs,
                                 .ready = ready,
                                 .written = written,
                                 .put = put,
                                 .end = end};

weft_status wf_job_translate(wf_job *job) { return wf_apply_run(job, &row); }
