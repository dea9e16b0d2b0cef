/* tokenizer_training.c - fixtures of kind `tokenizer-training`: an untrained tokenizer, a corpus and a trainer -> the trained
 * one. */
#include <math.h>
#include <string.h>
#include "base/reader.h"
#include "text/tokenizer.h"
#include "text/vocab.h"
#include "verify/fixture.h"
#include "verify/lines.h"

typedef struct training_run {
    wf_fixture *fx;
    wf_tokenizer *start, *got;
    const wf_json *want; /* the expected file */
    weft_error *err;
} training_run;

static const char *path_of(const training_run *r, const char *key, const char *fallback) {
    return wf_path_join(&r->fx->arena, r->fx->path, wf_json_text(r->fx->json, key, fallback));
}

/* ---- training ---- */

/* The texts are the lines. */
static weft_status cut_lines(const training_run *r, const wf_file *f, wf_bytes **out, size_t *count) {
    size_t n = 1;
    for (size_t i = 0; i < f->size; i++)
        n += f->data[i] == '\n';
    *out = wf_arena_alloc(&r->fx->arena, n * sizeof **out);
    if (!*out)
        return wf_fail_memory(r->err);
    for (size_t at = 0; at < f->size;) {
        const uint8_t *end = memchr(f->data + at, '\n', f->size - at);
        size_t length = end ? (size_t)(end - f->data) - at : f->size - at;
        (*out)[(*count)++] = (wf_bytes){(const char *)f->data + at, length};
        at += length + 1;
    }
    return WEFT_OK;
}

static weft_status train_on_file(training_run *r, const wf_file *f) {
    wf_bytes *texts;
    size_t n = 0;
    wf_training how = {.start = r->start, .options = wf_json_get(r->fx->json, "trainer"), .env = r->fx->env};
    WF_TRY(cut_lines(r, f, &texts, &n));
    return wf_tokenizer_train_on(&r->fx->env->mem, &how, texts, n, &r->got, r->err);
}

static weft_status train(training_run *r) {
    const char *start = path_of(r, "start", "start.json"), *corpus = path_of(r, "corpus", "corpus.txt");
    wf_file f;
    if (!start || !corpus)
        return wf_fail_memory(r->err);
    WF_TRY(wf_tokenizer_open(&r->fx->env->mem, start, &r->start, r->err));
    WF_TRY(wf_file_open(&r->fx->env->mem, corpus, false, 1u << 30, &f, r->err));
    weft_status status = train_on_file(r, &f);
    wf_file_close(&f);
    return status;
}

/* ---- comparing ---- */

static const wf_json *want_of(const training_run *r, const char *key) { return wf_json_path(r->want, key); }

/* The trained file, read back as a tree. */
static weft_status got_tree(const training_run *r, wf_json **out) {
    const char *text;
    size_t length;
    wf_tokenizer_json(r->got, &text, &length);
    return wf_json_parse(&r->fx->arena, text, length, 0, out, r->err);
}

static weft_status same_vocab(const training_run *r, bool ids) {
    const wf_json *vocab = want_of(r, "model.vocab");
    wf_json *tree;
    WF_TRY(got_tree(r, &tree));
    const wf_json *got = wf_json_path(tree, "model.vocab"); /* ids may have gaps */
    size_t n = got ? got->count : 0;
    WF_CHECK(vocab->count == n, r->err, WEFT_MISMATCH, "%zu tokens instead of %zu", n, vocab->count);
    for (const wf_json *j = vocab->child; j; j = j->next) {
        int64_t id = wf_tokenizer_id(r->got, j->key, strlen(j->key));
        WF_CHECK(id >= 0, r->err, WEFT_MISMATCH, "the token \"%s\" is missing", j->key);
        WF_CHECK(!ids || id == j->integer, r->err, WEFT_MISMATCH, "the token \"%s\" has the id %lld instead of %lld", j->key,
                 (long long)id, (long long)j->integer);
    }
    return WEFT_OK;
}

static weft_status same_merges(const training_run *r) {
    wf_json *tree;
    const wf_json *want = want_of(r, "model.merges");
    WF_TRY(got_tree(r, &tree));
    const wf_json *got = wf_json_path(tree, "model.merges");
    if (!want)
        return WEFT_OK;
    WF_CHECK(got, r->err, WEFT_MISMATCH, "no merges");
    size_t i = 0;
    const wf_json *a = want->child, *b = got->child;
    for (; a && b; a = a->next, b = b->next, i++)
        WF_CHECK(wf_json_equal(a, b), r->err, WEFT_MISMATCH, "merge %zu differs", i);
    WF_CHECK(!a && !b, r->err, WEFT_MISMATCH, "%zu merges instead of %zu", got->count, want->count);
    return WEFT_OK;
}

static weft_status specials_keep_ids(const training_run *r) {
    const wf_json *specials = wf_json_path(r->fx->json, "trainer.special_tokens");
    int64_t id = 0;
    for (const wf_json *j = specials ? specials->child : NULL; j; j = j->next, id++)
        WF_CHECK(wf_tokenizer_id(r->got, j->string, j->length) == id, r->err, WEFT_MISMATCH,
                 "the special token \"%s\" has another id", j->string);
    return WEFT_OK;
}

static weft_status agree(const training_run *r) {
    const wf_json *vocab = want_of(r, "model.vocab");
    double least = wf_json_double(r->fx->json, "agreement", 1.0);
    size_t n = wf_tokenizer_vocab(r->got), common = 0;
    for (const wf_json *j = vocab->child; j; j = j->next)
        common += wf_tokenizer_id(r->got, j->key, strlen(j->key)) >= 0;
    double share = (double)common / (double)(n + vocab->count - common);
    WF_CHECK(n + 2 >= vocab->count && n <= vocab->count + 2, r->err, WEFT_MISMATCH, "%zu tokens instead of %zu", n,
             vocab->count);
    WF_CHECK(share >= least, r->err, WEFT_MISMATCH, "%.4f of the tokens are the same, less than %.4f", share, least);
    return WEFT_OK;
}

static const wf_json *score_of(const wf_json *list, const wf_vocab *index, const wf_json *piece) {
    const wf_vocab_entry *e = wf_vocab_find(index, piece->string, piece->length);
    return e ? wf_json_at(wf_json_at(list, e->id), 1) : NULL;
}

static weft_status compare_scores(const training_run *r, const wf_json *got, const wf_vocab *index) {
    const wf_json *want = want_of(r, "model.vocab");
    double tolerance = wf_json_double(r->fx->json, "score_tolerance", 0.0);
    size_t common = 0;
    for (const wf_json *j = want->child; j; j = j->next) {
        const wf_json *score = score_of(got, index, wf_json_at(j, 0));
        double expected = wf_json_at(j, 1)->number;
        common += score != NULL;
        WF_CHECK(!score || fabs(score->number - expected) <= tolerance, r->err, WEFT_MISMATCH,
                 "the score of \"%s\" is %g instead of %g", wf_json_at(j, 0)->string, score->number, expected);
    }
    WF_CHECK((double)common >= 0.97 * (double)want->count, r->err, WEFT_MISMATCH, "%zu of %zu pieces are the same", common,
             want->count);
    return WEFT_OK;
}

static weft_status same_pieces(const training_run *r) {
    wf_json *tree;
    wf_vocab index;
    WF_TRY(got_tree(r, &tree));
    const wf_json *got = wf_json_path(tree, "model.vocab");
    wf_vocab_init(&index, &r->fx->env->mem);
    weft_status status = WEFT_OK;
    uint32_t id = 0;
    for (const wf_json *j = got->child; j && status == WEFT_OK; j = j->next, id++) {
        bool added;
        status = wf_vocab_put(&index, wf_json_at(j, 0)->string, wf_json_at(j, 0)->length, id, &added, r->err);
    }
    if (status == WEFT_OK)
        status = compare_scores(r, got, &index);
    wf_vocab_free(&index);
    return status;
}

static weft_status compare(const training_run *r) {
    const char *how = wf_json_text(r->fx->json, "compare", "pieces");
    WF_CHECK(want_of(r, "model.vocab"), r->err, WEFT_BAD_INPUT, "the expected file has no vocabulary");
    if (wf_streq(how, "pieces"))
        return same_pieces(r);
    if (wf_streq(how, "agreement"))
        return agree(r);
    bool exact = wf_streq(how, "exact"), merges = wf_streq(how, "token-set+merges");
    WF_CHECK(exact || merges || wf_streq(how, "token-set"), r->err, WEFT_UNSUPPORTED, "a comparison '%s'", how);
    WF_TRY(same_vocab(r, exact));
    WF_TRY(specials_keep_ids(r));
    return exact || merges ? same_merges(r) : WEFT_OK;
}

static weft_status run_case(void *user, wf_arena *arena, const wf_json *json) {
    training_run *r = user;
    const wf_json *text = wf_json_get(json, "text"), *want = wf_json_get(json, "ids");
    wf_ids ids = wf_ids_new(arena->mem);
    if (!text || !want)
        return WEFT_OK;
    unsigned flags = wf_json_bool(json, "add_special_tokens", true) ? WF_ENCODE_SPECIALS : 0u;
    weft_status status = wf_tokenizer_encode(r->got, text->string, text->length, flags, &ids, r->err);
    size_t i = 0;
    for (const wf_json *j = want->child; j && status == WEFT_OK; j = j->next, i++)
        if (i >= ids.count || ids.data[i] != (uint32_t)j->integer)
            status = wf_fail(r->err, WEFT_MISMATCH, "ids differ at %zu for \"%.60s\"", i, text->string);
    if (status == WEFT_OK && i != ids.count)
        status = wf_fail(r->err, WEFT_MISMATCH, "%zu ids instead of %zu for \"%.60s\"", ids.count, i, text->string);
    wf_ids_free(&ids);
    return status;
}

static weft_status run(training_run *r) {
    const char *expected = path_of(r, "expected", "expected.json");
    wf_json *want;
    size_t seen = 0;
    if (!expected)
        return wf_fail_memory(r->err);
    WF_TRY(train(r));
    WF_TRY(wf_json_parse_file(&r->fx->arena, expected, &want, r->err));
    r->want = want;
    WF_TRY(compare(r));
    WF_TRY(wf_each_line(r->fx, "cases.jsonl", run_case, r, &seen, r->err));
    r->fx->n_compared += seen + 1;
    return WEFT_OK;
}

weft_status wf_verify_tokenizer_training(wf_fixture *fx, weft_error *err) {
    training_run r = {.fx = fx, .err = err};
    weft_status status = run(&r);
    wf_tokenizer_free(r.start);
    wf_tokenizer_free(r.got);
    return status;
}
