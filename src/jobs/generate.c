/* generate.c - text from a trained model. */
#include <string.h>
#include "jobs/apply.h"
#include "jobs/chat.h"
#include "jobs/put.h"
#include "jobs/writing.h"

typedef struct request {
    const char *model, *prompt;
    const char *chat, *template_; /* a conversation to answer, in the place of the prompt */
    wf_precision precision;
    wf_writing writing;
} request;

static weft_status read_request(wf_job *job, request *r) {
    static const char *const words[] = {"model", "prompt",   "precision",      "adapter", "tokenizer",
                                        "chat",  "template", WF_WRITING_WORDS, NULL};
    wf_options o = wf_options_open(job->options, "generate", words, job->err);
    r->model = wf_job_model(job, &o, "model");
    r->prompt = wf_option_text(&o, "prompt", "");
    r->chat = wf_option_text(&o, "chat", NULL);
    r->template_ = wf_option_text(&o, "template", NULL);
    r->precision = wf_job_precision(&o);
    wf_writing_read(job, &o, &r->writing);
    WF_TRY(o.status);
    WF_CHECK(r->model, job->err, WEFT_USAGE, "generate: which model? 'model' names a folder");
    WF_CHECK(!r->chat || !wf_json_get(job->options, "prompt"), job->err, WEFT_USAGE,
             "generate: either a prompt or a chat, not both");
    return WEFT_OK;
}

/* The template writes the special tokens itself, so the tokenizer adds none. */
static weft_status encode_chat(wf_job *job, const request *r, const wf_opened *m, wf_ids *ids) {
    wf_template_result text;
    weft_status status = wf_job_chat(job, &(wf_chat_request){r->model, r->chat, r->template_, .answer = true}, &text);
    if (status == WEFT_OK)
        status = wf_tokenizer_encode(m->tok, wf_str_text(&text.text), text.text.length, 0, ids, job->err);
    wf_template_result_free(&text);
    return status;
}

static weft_status encode(const wf_opened *m, const char *prompt, wf_ids *ids, weft_error *err) {
    WF_TRY(wf_tokenizer_encode(m->tok, prompt, strlen(prompt), WF_ENCODE_SPECIALS, ids, err));
    return ids->count > 0 ? WEFT_OK : wf_writing_begin(m, ids, err);
}

static double rate(int64_t n, double seconds) { return n > 0 && seconds > 0 ? (double)n / seconds : 0.0; }

/* What beams have found: the text is the best; several are all listed. */
static void put_texts(wf_job *job, const wf_generation *g) {
    wf_json *list = wf_json_new(job->arena, WF_JSON_ARRAY);
    for (size_t i = 0; i < g->n_texts; i++) {
        const wf_generated *t = &g->texts[i];
        wf_json *one = wf_json_new(job->arena, WF_JSON_OBJECT);
        wf_json_put(job->arena, one, "text", wf_json_new_string(job->arena, wf_str_text(&t->text), t->text.length));
        wf_put_number(job->arena, one, "score", t->score);
        wf_put_int(job->arena, one, "tokens", t->tokens);
        wf_put_text(job->arena, one, "finish", wf_finish_name(t->finish));
        wf_json_push(list, one);
    }
    if (g->n_texts == 1)
        wf_put_number(job->arena, job->json, "score", g->texts[0].score);
    if (g->n_texts > 1)
        wf_json_put(job->arena, job->json, "sequences", list);
}

static weft_status tell_sampling(wf_job *job, const request *r, const wf_sampling *used, const wf_generation_config *says) {
    wf_str how = wf_str_new(&job->env->mem);
    wf_json *object = wf_put_object(job->arena, job->json, "sampling");
    wf_asked_tell(&r->writing.asked, says, used, &how);
    for (const wf_sampling_row *row = wf_sampling_rows; row->key; row++)
        if (!row->draws || used->temperature > 0)
            wf_put_number(job->arena, object, row->key, wf_sampling_get(used, row));
    wf_put_text(job->arena, object, "about", wf_str_text(&how));
    if (job->piece)
        wf_str_printf(&job->text, "%s\n", wf_str_text(&how));
    bool failed = how.failed;
    wf_str_free(&how);
    return failed ? wf_fail_memory(job->err) : WEFT_OK;
}

static void tell(wf_job *job, const request *r, const wf_generation *g) {
    double prompt = rate(g->prompt_tokens, g->prompt_seconds), decode = rate(g->tokens - 1, g->decode_seconds);
    const char *text = wf_str_text(&g->text);
    wf_put_text(job->arena, job->json, "model", r->model);
    const wf_str *best = g->n_texts ? &g->texts[0].text : &g->text;
    wf_json_put(job->arena, job->json, "text", wf_json_new_string(job->arena, wf_str_text(best), best->length));
    put_texts(job, g);
    wf_put_text(job->arena, job->json, "finish", wf_finish_name(g->finish));
    wf_put_int(job->arena, job->json, "prompt_tokens", g->prompt_tokens);
    wf_put_int(job->arena, job->json, "tokens", g->tokens);
    wf_put_int(job->arena, job->json, "context", g->context);
    wf_put_int(job->arena, job->json, "slides", g->slides);
    wf_put_int(job->arena, job->json, "seed", (int64_t)r->writing.asked.sampling.seed);
    wf_put_number(job->arena, job->json, "prompt_tokens_per_second", prompt);
    wf_put_number(job->arena, job->json, "tokens_per_second", decode);
    wf_put_number(job->arena, job->json, "first_token_seconds", g->first_seconds);
    if (!job->piece) {
        wf_str_put(&job->text, text, g->text.length);
        wf_str_putc(&job->text, '\n');
        return;
    }
    wf_str_printf(&job->text, "%lld prompt tokens at %.0f/s, first token after %.0f ms, %lld tokens at %.1f/s (ended by %s)\n",
                  (long long)g->prompt_tokens, prompt, g->first_seconds * 1e3, (long long)g->tokens, decode,
                  wf_finish_name(g->finish));
}

static void note_overflow(const wf_job *job, const wf_generation *g) {
    if (g->finish == WF_FINISH_CONTEXT)
        wf_log(job->env, WF_WARN, "the text ends here: the context of %lld tokens is full ('slide' as overflow goes on)",
               (long long)g->context);
    if (g->slides > 0)
        wf_log(job->env, WF_WARN, "the context of %lld tokens was full %lld times; each time its first half was forgotten",
               (long long)g->context, (long long)g->slides);
}

static weft_status generate(wf_job *job, const request *r, const wf_opened *m) {
    wf_generate_options how;
    wf_ids ids = wf_ids_new(&job->env->mem);
    wf_generation g = {.text = wf_str_new(&job->env->mem)};
    WF_TRY(wf_writing_prepare(job, r->model, &r->writing, m, &how));
    how.piece = job->piece;
    how.user = job->user;
    weft_status status = r->chat ? encode_chat(job, r, m, &ids) : encode(m, r->prompt, &ids, job->err);
    if (status == WEFT_OK)
        status = wf_writing_run(job, r->model, &r->writing, m, how, &ids, &g);
    if (status == WEFT_OK || g.finish == WF_FINISH_INTERRUPT) {
        tell(job, r, &g);
        if (tell_sampling(job, r, &how.sampling, &m->says) != WEFT_OK)
            status = job->err->status;
        note_overflow(job, &g);
    }
    wf_generation_free(job->env, &g);
    wf_ids_free(&ids);
    return status;
}

weft_status wf_job_generate(wf_job *job) {
    request r;
    wf_opened m;
    bool many = wf_json_get(job->options, "text") != NULL;
    WF_CHECK(!many || !(wf_json_get(job->options, "prompt") || wf_json_get(job->options, "chat")), job->err, WEFT_USAGE,
             "generate: either texts ('text') or one prompt, not both");
    if (many)
        return wf_apply_run(job, &wf_apply_generate);
    WF_TRY(read_request(job, &r));
    WF_TRY(wf_opened_open(job->env, r.model, r.precision, &m, job->err));
    const wf_spec *spec = m.model->spec;
    bool writes = spec->n_heads > 0 && spec->heads[0].row->generates;
    weft_status status = writes ? generate(job, &r, &m) : wf_opened_fail_head(&m, r.model, "generate", "lm", job->err);
    wf_opened_close(&m);
    return status;
}
