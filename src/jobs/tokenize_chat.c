/* tokenize_chat.c - a conversation through the chat template of a folder, and its tokens. */
#include <time.h>
#include "jobs/put.h"
#include "jobs/tokenize.h"
#include "template/chat.h"
#include "train/data_text.h"

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

static weft_status render(wf_job *job, const wf_tokenize_request *r, const wf_template *t, const wf_chat *chat) {
    wf_template_input limits = {.now = (int64_t)time(NULL), .env = job->env};
    wf_template_result result;
    weft_status status = wf_chat_render(t, &job->env->mem, chat, &limits, &result, job->err);
    if (status)
        wf_fail_in(job->err, "chat template");
    if (status == WEFT_OK) {
        tell(job, &result);
        status = tokenize(job, r, &result.text);
    }
    wf_template_result_free(&result);
    return status;
}

static bool has_tools(const wf_json *conversation) {
    const wf_json *tools = wf_json_get(conversation, "tools");
    return tools && tools->kind == WF_JSON_ARRAY && tools->count > 0;
}

/* A file, or `-` for standard input. */
static weft_status read_conversation(wf_job *job, const char *path, wf_json **out) {
    wf_text text;
    if (!wf_streq(path, "-"))
        return wf_json_parse_file(job->arena, path, out, job->err);
    WF_TRY(wf_text_load(job->env, &path, 1, &(wf_text_options){.format = "text"}, &text, job->err));
    weft_status status = wf_json_parse(job->arena, text.bytes, text.length, 0, out, job->err);
    wf_text_free(&text);
    return status == WEFT_OK ? WEFT_OK : wf_fail_in(job->err, "standard input");
}

weft_status wf_tokenize_chat(wf_job *job, const wf_tokenize_request *r) {
    wf_json *conversation;
    wf_chat chat;
    wf_chat_folder folder;
    WF_CHECK(r->tokenizer, job->err, WEFT_USAGE, "tokenize: chat with which model? 'tokenizer' names its folder");
    WF_CHECK(r->n_paths == 0 && !r->string, job->err, WEFT_USAGE, "tokenize: a chat is one file; no other text goes with it");
    WF_TRY(read_conversation(job, r->chat, &conversation));
    WF_TRY(wf_chat_open(job->arena, r->tokenizer, r->template_, has_tools(conversation), &folder, job->err));
    weft_status status = wf_chat_read(job->arena, conversation, folder.specials, &chat, job->err);
    if (status)
        wf_fail_in(job->err, "%s", r->chat);
    chat.add_generation_prompt |= r->generation_prompt;
    chat.continue_field = r->go_on ? r->go_on : chat.continue_field;
    if (status == WEFT_OK)
        status = render(job, r, folder.template_, &chat);
    wf_template_free(folder.template_);
    return status;
}
