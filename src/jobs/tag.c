/* tag.c - names, words and whatever else a model marks in a text: a class for every token, merged to stretches. */
#include <string.h>
#include "apply/tags.h"
#include "jobs/apply.h"

typedef struct tagging {
    wf_tag_merging how;
    const char *const *labels;
    const char *const *ignored; /* labels that are not shown */
    size_t n_ignored;
} tagging;

typedef struct found { /* of one text, over its windows */
    wf_entities all;
    size_t windows;
} found;

static wf_tag_merging read_merging(wf_options *o) {
    const char *word = wf_option_text(o, "aggregation", "simple");
    for (int i = 0; wf_tag_mergings[i]; i++)
        if (wf_streq(wf_tag_mergings[i], word))
            return (wf_tag_merging)i;
    wf_option_fail(o, wf_json_get(o->object, "aggregation"),
                   "'aggregation' must be none, simple, first, average or max, not '%s'", word);
    return WF_TAGS_SIMPLE;
}

static weft_status read(wf_apply *a, wf_options *o) {
    static const char *const usual[] = {"text"}, *const outside[] = {"O"};
    tagging *t = a->own;
    t->how = read_merging(o);
    a->stride = wf_option_int(o, "stride", -1, 0, 1 << 20);
    t->ignored = wf_job_texts(a->job, o, "ignore", &t->n_ignored);
    if (!t->ignored) {
        t->ignored = outside;
        t->n_ignored = 1;
    }
    return wf_apply_fields(a, o, usual, 1);
}

/* Windows overlap by the stride; without one the rest of a long text is cut off, like everywhere. */
static weft_status prepare(wf_apply *a) {
    tagging *t = a->own;
    a->windowed = a->stride >= 0;
    a->cut.stride = a->windowed ? (size_t)a->stride : 0;
    WF_CHECK(!a->windowed || !a->limit || a->stride <= a->limit / 2, a->job->err, WEFT_USAGE,
             "tag: windows of %lld tokens cannot overlap by %lld", (long long)a->limit, (long long)a->stride);
    return wf_apply_labels(a, &t->labels);
}

static size_t characters(wf_bytes text) {
    size_t n = 0;
    for (size_t i = 0; i < text.length; i++)
        n += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    return n;
}

/* Where characters begin in the bytes of a text: [characters + 1]. */
static weft_status index_characters(wf_apply *a, wf_bytes text, size_t **out) {
    size_t *starts = wf_arena_alloc(&a->arena, (text.length + 2) * sizeof *starts), n = 0;
    if (!starts)
        return wf_fail_memory(a->job->err);
    for (size_t i = 0; i < text.length;) {
        int step = wf_utf8_length(text.data + i, text.length - i);
        starts[n++] = i;
        i += step ? (size_t)step : 1;
    }
    starts[n] = text.length;
    *out = starts;
    return WEFT_OK;
}

/* As transformers tells words apart: by the spelling of the tokens where that shows it, else by the spaces of the text. */
static bool is_inside(const wf_apply *a, const wf_encoding *code, size_t i, wf_bytes text, const size_t *starts) {
    wf_span s = code->spans[i];
    if ((int64_t)code->ids[i] == a->facts.unknown)
        return false;
    if (wf_tokenizer_marks_words(a->m.tok))
        return characters(code->pieces[i]) != s.end - s.start;
    if (s.start == 0)
        return false;
    size_t end = starts[s.start] < text.length ? starts[s.start + 1] : starts[s.start];
    return !memchr(text.data + starts[s.start - 1], ' ', end - starts[s.start - 1]);
}

static size_t list_tokens(wf_apply *a, const wf_encoding *code, wf_bytes text, const size_t *starts, float *scores,
                          int64_t classes, wf_tag_token *tokens) {
    size_t n = 0;
    for (size_t i = 0; i < code->count; i++) {
        if (code->special[i])
            continue;
        tokens[n++] = (wf_tag_token){.scores = scores + (int64_t)i * classes,
                                     .start = code->spans[i].start,
                                     .end = code->spans[i].end,
                                     .index = (uint32_t)i,
                                     .inside = is_inside(a, code, i, text, starts)};
    }
    return n;
}

static bool is_ignored(const tagging *t, const char *label) {
    for (size_t i = 0; i < t->n_ignored; i++)
        if (wf_streq(t->ignored[i], label))
            return true;
    return false;
}

static weft_status add(wf_apply *a, wf_entities *to, const wf_entities *more) {
    const tagging *t = a->own;
    wf_entity *all = wf_arena_alloc(&a->arena, (to->count + more->count + 1) * sizeof *all);
    if (!all)
        return wf_fail_memory(a->job->err);
    if (to->count)
        memcpy(all, to->list, to->count * sizeof *all);
    to->list = all;
    for (size_t i = 0; i < more->count; i++)
        if (!is_ignored(t, more->list[i].label))
            all[to->count++] = more->list[i];
    return WEFT_OK;
}

/* Windows come in any order: they are joined by where their entities stand. */
static weft_status take(wf_apply *a, wf_apply_item *item, size_t index, const wf_encoding *code, const float *values,
                        int64_t rows, int64_t columns) {
    const tagging *t = a->own;
    float *scores = wf_arena_alloc(&a->arena, (size_t)(rows * columns) * sizeof *scores);
    wf_tag_token *tokens = wf_arena_alloc(&a->arena, (code->count + 1) * sizeof *tokens);
    wf_bytes text = item->inputs[0].text;
    wf_entities merged;
    size_t *starts;
    (void)index;
    if (!item->own)
        item->own = wf_arena_alloc(&a->arena, sizeof(found));
    if (!item->own || !scores || !tokens)
        return wf_fail_memory(a->job->err);
    WF_TRY(index_characters(a, text, &starts));
    for (int64_t i = 0; i < rows; i++)
        wf_apply_softmax(values + i * columns, columns, scores + i * columns);
    size_t n = list_tokens(a, code, text, starts, scores, columns, tokens);
    WF_TRY(wf_tags_merge(t->how, &(wf_tag_classes){t->labels, columns}, tokens, n, &a->arena, &merged, a->job->err));
    found *f = item->own;
    f->windows++;
    return add(a, &f->all, &merged);
}

/* ---- lines ---- */
static wf_bytes stretch(wf_bytes text, const size_t *starts, const wf_entity *e) {
    return (wf_bytes){text.data + starts[e->start], starts[e->end] - starts[e->start]};
}

static void put_text(wf_apply *a, const wf_apply_item *item, const wf_entities *f, const size_t *starts) {
    for (size_t i = 0; i < f->count; i++) {
        const wf_entity *e = &f->list[i];
        wf_str_printf(&a->line, "%zu\t%u\t%u\t%s", item->number + 1, (unsigned)e->start, (unsigned)e->end, e->label);
        wf_apply_put_score(&a->line, e->score);
        wf_str_putc(&a->line, '\t');
        wf_apply_put_text(&a->line, stretch(item->inputs[0].text, starts, e));
        wf_str_putc(&a->line, '\n');
    }
}

static void put_json(wf_apply *a, const wf_apply_item *item, const wf_entities *f, const size_t *starts) {
    wf_bytes text = item->inputs[0].text;
    wf_json_writer w;
    wf_json_writer_init(&w, &a->line, 0);
    wf_jw_begin(&w, '{');
    wf_jw_key(&w, "text");
    wf_jw_string_n(&w, text.data, text.length);
    wf_jw_key(&w, "entities");
    wf_jw_begin(&w, '[');
    for (size_t i = 0; i < f->count; i++) {
        wf_bytes part = stretch(text, starts, &f->list[i]);
        wf_jw_begin(&w, '{');
        wf_jw_key(&w, "label");
        wf_jw_string(&w, f->list[i].label);
        wf_jw_key(&w, "score");
        wf_jw_float(&w, f->list[i].score);
        wf_jw_key(&w, "start");
        wf_jw_int(&w, f->list[i].start);
        wf_jw_key(&w, "end");
        wf_jw_int(&w, f->list[i].end);
        wf_jw_key(&w, "text");
        wf_jw_string_n(&w, part.data, part.length);
        wf_jw_end(&w, '}');
    }
    wf_jw_end(&w, ']');
    wf_jw_end(&w, '}');
    wf_str_putc(&a->line, '\n');
}

static weft_status put(wf_apply *a, wf_apply_item *item) {
    static found nothing;
    found *f = item->own ? item->own : &nothing;
    size_t *starts;
    WF_TRY(index_characters(a, item->inputs[0].text, &starts));
    if (f->windows > 1)
        wf_tags_join(&f->all);
    (a->json ? put_json : put_text)(a, item, &f->all, starts);
    return WEFT_OK;
}

static const char *const heads[] = {"tag", NULL};
static const char *const words[] = {"aggregation", "stride", "ignore", NULL};
static const wf_apply_row row = {.name = "tag",
                                 .heads = heads,
                                 .words = words,
                                 .empties = true,
                                 .own = sizeof(tagging),
                                 .read = read,
                                 .prepare = prepare,
                                 .take = take,
                                 .put = put};

weft_status wf_job_tag(wf_job *job) { return wf_apply_run(job, &row); }
