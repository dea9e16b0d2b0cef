#include "jobs/chat.h"
#include <time.h>
#include "template/chat.h"
#include "train/data_text.h"

static bool has_tools(const wf_json *conversation) {
    const wf_json *tools = wf_json_get(conversation, "tools");
    return tools && tools->kind == WF_JSON_ARRAY && tools->count > 0;
}

static weft_status read_conversation(wf_job *job, const char *path, wf_json **out) {
    wf_text text;
    if (!wf_streq(path, "-"))
        return wf_json_parse_file(job->arena, path, out, job->err);
    WF_TRY(wf_text_load(job->env, &path, 1, &(wf_text_options){.format = "text"}, &text, job->err));
    weft_status status = wf_json_parse(job->arena, text.bytes, text.length, 0, out, job->err);
    wf_text_free(&text);
    return status == WEFT_OK ? WEFT_OK : wf_fail_in(job->err, "standard input");
}

static weft_status render(wf_job *job, const wf_template *t, const wf_chat *chat, wf_template_result *result) {
    wf_template_input limits = {.now = (int64_t)time(NULL), .env = job->env};
    weft_status status = wf_chat_render(t, &job->env->mem, chat, &limits, result, job->err);
    return status == WEFT_OK ? WEFT_OK : wf_fail_in(job->err, "chat template");
}

weft_status wf_job_chat(wf_job *job, const wf_chat_request *r, wf_template_result *result) {
    wf_json *conversation;
    wf_chat chat;
    wf_chat_folder folder;
    *result = (wf_template_result){.text = wf_str_new(&job->env->mem), .message = wf_str_new(&job->env->mem)};
    WF_TRY(read_conversation(job, r->path, &conversation));
    WF_TRY(wf_chat_open(job->arena, r->folder, r->template_, has_tools(conversation), &folder, job->err));
    weft_status status = wf_chat_read(job->arena, conversation, folder.specials, &chat, job->err);
    if (status)
        wf_fail_in(job->err, "%s", wf_streq(r->path, "-") ? "standard input" : r->path);
    chat.continue_field = r->go_on ? r->go_on : chat.continue_field;
    chat.add_generation_prompt |= r->prompt || (r->answer && !chat.continue_field);
    if (status == WEFT_OK)
        status = render(job, folder.template_, &chat, result);
    wf_template_free(folder.template_);
    return status;
}
