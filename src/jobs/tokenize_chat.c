/* tokenize_chat.c - a conversation through the chat template of a folder, and its tokens. */
#include "jobs/chat.h"
#include "jobs/put.h"
#include "jobs/tokenize.h"

static void tell(wf_job *job, const wf_template_result *result) {
    wf_json_put(job->arena, job->json, "text", wf_json_new_string(job->arena, wf_str_text(&result->text), result->text.length));
    if (!result->n_spans)
        return;
    wf_json *list = wf_put_list(job->arena, job->json, "assistant_spans");
    for (size_t i = 0; i < result->n_spans; i++) {
        wf_json *pair = wf_json_push(list, wf_json_new(job->arena, WF_JSON_ARRAY));
        wf_json_push(pair, wf_json_new_int(job->arena, (int64_t)result->spans[i].start));
        wf_json_push(pair, wf_json_new_int(job->arena, (int64_t)result->spans[i].end));
    }
}

/* The template writes the special tokens itself, so the tokenizer adds none. */
static weft_status tokenize(wf_job *job, const wf_tokenize_request *r, const wf_str *text) {
    wf_tokenize_request plain = *r;
    wf_tokenize_counts counts = {0};
    wf_tokenizer *tok;
    if (r->show == WF_SHOW_TEXT)
        return wf_tokenize_put_text(job, r, text);
    plain.specials = false;
    WF_TRY(wf_tokenizer_open(&job->env->mem, r->tokenizer, &tok, job->err));
    weft_status status = wf_tokenize_show_texts(job, &plain, tok, &(wf_bytes){wf_str_text(text), text->length}, 1, &counts);
    wf_put_int(job->arena, job->json, "tokens", (int64_t)counts.tokens);
    wf_tokenizer_free(tok);
    return status;
}

weft_status wf_tokenize_chat(wf_job *job, const wf_tokenize_request *r) {
    const wf_chat_request request = {
        .folder = r->tokenizer, .path = r->chat, .template_ = r->template_, .prompt = r->generation_prompt, .go_on = r->go_on};
    wf_template_result result;
    WF_CHECK(r->tokenizer, job->err, WEFT_USAGE, "tokenize: chat with which model? 'tokenizer' names its folder");
    WF_CHECK(r->n_paths == 0 && !r->string, job->err, WEFT_USAGE, "tokenize: a chat is one file; no other text goes with it");
    weft_status status = wf_job_chat(job, &request, &result);
    if (status == WEFT_OK) {
        tell(job, &result);
        status = tokenize(job, r, &result.text);
    }
    wf_template_result_free(&result);
    return status;
}
