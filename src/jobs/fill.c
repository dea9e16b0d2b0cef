/* fill.c - what may stand where a text has a mask. */
#include <string.h>
#include "jobs/apply.h"

typedef struct filling {
    int64_t top;
    const char *mask; /* how texts write it; NULL: as the model does */
    const char *const *targets;
    size_t n_targets;
    uint32_t *target_ids;
} filling;

typedef struct gap { /* the best tokens of one mask */
    uint32_t *ids;
    float *scores;
    size_t n;
} gap;
typedef struct found {
    gap *gaps;
    size_t n;
} found;

static weft_status read(wf_apply *a, wf_options *o) {
    static const char *const usual[] = {"text"};
    filling *f = a->own;
    f->top = wf_option_int(o, "top_k", 5, 1, 1 << 20);
    f->mask = wf_option_text(o, "mask", NULL);
    f->targets = wf_job_texts(a->job, o, "targets", &f->n_targets);
    if (f->mask && !f->mask[0])
        wf_option_fail(o, wf_json_get(o->object, "mask"), "'mask' must not be empty");
    return wf_apply_fields(a, o, usual, 1);
}

/* A target is a token as the vocabulary spells it, or a text that is one token. */
static weft_status find_target(wf_apply *a, const char *text, uint32_t *out) {
    int64_t id = wf_tokenizer_id(a->m.tok, text, strlen(text));
    wf_ids ids = wf_ids_new(&a->job->env->mem);
    weft_status status = WEFT_OK;
    if (id < 0)
        status = wf_tokenizer_encode(a->m.tok, text, strlen(text), 0, &ids, a->job->err);
    if (status == WEFT_OK && id < 0 && ids.count != 1)
        status = wf_fail(a->job->err, WEFT_USAGE, "fill: '%s' is not one token but %zu", text, ids.count);
    if (status == WEFT_OK && id < 0 && wf_tokenizer_is_special(a->m.tok, ids.data[0]))
        status = wf_fail(a->job->err, WEFT_USAGE, "fill: '%s' is not in the vocabulary", text);
    if (status == WEFT_OK)
        *out = id >= 0 ? (uint32_t)id : ids.data[0];
    wf_ids_free(&ids);
    return status;
}

static weft_status prepare(wf_apply *a) {
    filling *f = a->own;
    WF_CHECK(a->facts.mask >= 0, a->job->err, WEFT_UNSUPPORTED, "%s: the tokenizer has no token for what is hidden", a->model);
    a->how.pick = true;
    f->target_ids = wf_arena_alloc(a->job->arena, (f->n_targets + 1) * sizeof *f->target_ids);
    if (!f->target_ids)
        return wf_fail_memory(a->job->err);
    for (size_t i = 0; i < f->n_targets; i++)
        WF_TRY(find_target(a, f->targets[i], &f->target_ids[i]));
    return WEFT_OK;
}

/* The text with the model's own mask in the place of the user's word for it. */
static weft_status inputs(wf_apply *a, wf_apply_item *item) {
    const filling *f = a->own;
    wf_str text = wf_str_new(&a->job->env->mem);
    WF_TRY(wf_apply_usual_inputs(a, item));
    if (!f->mask)
        return WEFT_OK;
    wf_bytes from = item->inputs[0].text;
    size_t n = strlen(f->mask);
    for (size_t i = 0; i < from.length;) {
        bool here = n <= from.length - i && memcmp(from.data + i, f->mask, n) == 0;
        wf_str_put(&text, here ? a->facts.mask_text.data : from.data + i, here ? a->facts.mask_text.length : 1);
        i += here ? n : 1;
    }
    char *copy = text.failed ? NULL : wf_arena_strndup(&a->arena, wf_str_text(&text), text.length);
    if (copy)
        item->inputs[0].text = (wf_bytes){copy, text.length};
    wf_str_free(&text);
    return copy ? WEFT_OK : wf_fail_memory(a->job->err);
}

static weft_status ready(wf_apply *a, wf_apply_item *item, const wf_encoding *code, wf_sequence *sequence) {
    const filling *f = a->own;
    uint32_t *picks = wf_arena_alloc(&a->arena, (code->count + 1) * sizeof *picks);
    (void)item;
    if (!picks)
        return wf_fail_memory(a->job->err);
    for (size_t i = 0; i < code->count; i++)
        if ((int64_t)code->ids[i] == a->facts.mask)
            picks[sequence->n_picks++] = (uint32_t)i;
    sequence->picks = picks;
    WF_CHECK(sequence->n_picks > 0, a->job->err, WEFT_BAD_INPUT, "there is no %s in the text%s",
             f->mask ? f->mask : wf_arena_strndup(&a->arena, a->facts.mask_text.data, a->facts.mask_text.length),
             code->n_overflow ? ", as far as it was read" : "");
    return WEFT_OK;
}

/* Probabilities among all tokens; of the targets only, when there are some. */
static weft_status take_gap(wf_apply *a, const float *logits, int64_t vocab, gap *out) {
    const filling *f = a->own;
    float *scores = wf_arena_alloc(&a->arena, (size_t)vocab * sizeof *scores), *chosen = scores;
    size_t count = f->n_targets ? f->n_targets : (size_t)vocab, *order;
    if (!scores)
        return wf_fail_memory(a->job->err);
    wf_apply_softmax(logits, vocab, scores);
    if (f->n_targets && !(chosen = wf_arena_alloc(&a->arena, count * sizeof *chosen)))
        return wf_fail_memory(a->job->err);
    for (size_t i = 0; i < f->n_targets; i++)
        chosen[i] = f->target_ids[i] < (uint64_t)vocab ? scores[f->target_ids[i]] : 0.0f;
    out->n = (size_t)f->top < count ? (size_t)f->top : count;
    WF_TRY(wf_apply_best(a, chosen, count, out->n, &order));
    out->ids = wf_arena_alloc(&a->arena, out->n * sizeof *out->ids);
    out->scores = wf_arena_alloc(&a->arena, out->n * sizeof *out->scores);
    if (!out->ids || !out->scores)
        return wf_fail_memory(a->job->err);
    for (size_t i = 0; i < out->n; i++) {
        out->ids[i] = f->n_targets ? f->target_ids[order[i]] : (uint32_t)order[i];
        out->scores[i] = chosen[order[i]];
    }
    return WEFT_OK;
}

static weft_status take(wf_apply *a, wf_apply_item *item, size_t index, const wf_encoding *code, const float *values,
                        int64_t rows, int64_t columns) {
    found *f = wf_arena_alloc(&a->arena, sizeof *f);
    (void)index, (void)code;
    if (!f || !(f->gaps = wf_arena_alloc(&a->arena, (size_t)rows * sizeof *f->gaps)))
        return wf_fail_memory(a->job->err);
    f->n = (size_t)rows;
    item->own = f;
    for (int64_t i = 0; i < rows; i++)
        WF_TRY(take_gap(a, values + i * columns, columns, &f->gaps[i]));
    return WEFT_OK;
}

static weft_status put_token(wf_apply *a, wf_json_writer *w, uint32_t id) {
    wf_str text = wf_str_new(&a->job->env->mem);
    weft_status status = wf_tokenizer_decode(a->m.tok, &id, 1, WF_DECODE_TEXT, &text, a->job->err);
    if (status == WEFT_OK && text.failed)
        status = wf_fail_memory(a->job->err);
    if (status == WEFT_OK && w)
        wf_jw_string_n(w, wf_str_text(&text), text.length);
    else if (status == WEFT_OK)
        wf_apply_put_text(&a->line, (wf_bytes){wf_str_text(&text), text.length});
    wf_str_free(&text);
    return status;
}

/* A line for each mask. */
static weft_status put_text(wf_apply *a, const found *f) {
    for (size_t g = 0; g < f->n; g++) {
        for (size_t i = 0; i < f->gaps[g].n; i++) {
            wf_str_puts(&a->line, i ? "\t" : "");
            WF_TRY(put_token(a, NULL, f->gaps[g].ids[i]));
            wf_apply_put_score(&a->line, f->gaps[g].scores[i]);
        }
        wf_str_putc(&a->line, '\n');
    }
    return WEFT_OK;
}

static weft_status put_json(wf_apply *a, const wf_apply_item *item, const found *f) {
    wf_json_writer w;
    wf_json_writer_init(&w, &a->line, 0);
    wf_jw_begin(&w, '{');
    wf_jw_key(&w, "text");
    wf_jw_string_n(&w, item->inputs[0].text.data, item->inputs[0].text.length);
    wf_jw_key(&w, "masks");
    wf_jw_begin(&w, '[');
    for (size_t g = 0; g < f->n; g++) {
        wf_jw_begin(&w, '[');
        for (size_t i = 0; i < f->gaps[g].n; i++) {
            wf_jw_begin(&w, '{');
            wf_jw_key(&w, "token");
            WF_TRY(put_token(a, &w, f->gaps[g].ids[i]));
            wf_jw_key(&w, "id");
            wf_jw_int(&w, f->gaps[g].ids[i]);
            wf_jw_key(&w, "score");
            wf_jw_float(&w, f->gaps[g].scores[i]);
            wf_jw_end(&w, '}');
        }
        wf_jw_end(&w, ']');
    }
    wf_jw_end(&w, ']');
    wf_jw_end(&w, '}');
    wf_str_putc(&a->line, '\n');
    return WEFT_OK;
}

static weft_status put(wf_apply *a, wf_apply_item *item) {
    return a->json ? put_json(a, item, item->own) : put_text(a, item->own);
}

static const char *const heads[] = {"mlm", NULL};
static const char *const words[] = {"top_k", "mask", "targets", NULL};
static const wf_apply_row row = {.name = "fill",
                                 .heads = heads,
                                 .words = words,
                                 .own = sizeof(filling),
                                 .read = read,
                                 .prepare = prepare,
                                 .inputs = inputs,
                                 .ready = ready,
                                 .take = take,
                                 .put = put};

weft_status wf_job_fill(wf_job *job) { return wf_apply_run(job, &row); }
