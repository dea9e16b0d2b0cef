/* chat.h - conversations: prepared as Hugging Face's apply_chat_template prepares them, and rendered with the template of a model
 * folder.
 *
 *     wf_chat_folder f;
 *     WF_TRY(wf_chat_open(&arena, "model", NULL, tools != NULL, &f, err));
 *     wf_chat chat = {.messages = messages, .tools = tools, .add_generation_prompt = true, .variables = f.specials};
 *     weft_status status = wf_chat_render(f.template_, mem, &chat, &limits, &result, err);
 *     ...
 *     wf_template_free(f.template_);
 *
 * Thread rule: as of templates; an arena belongs to one thread. */
#ifndef WF_TEMPLATE_CHAT_H
#define WF_TEMPLATE_CHAT_H
#include "template/template.h"

typedef struct wf_chat {
    const wf_json *messages;         /* an array of objects */
    const wf_json *tools, *documents; /* arrays; NULL: none */
    bool add_generation_prompt;
    const char *continue_field; /* "content" (or a field of reasoning): the text ends right behind that of the last message, so
                                   that it can be continued; NULL: it does not */
    const wf_json *variables;   /* an object: more names for the template, special tokens among them; may be NULL */
} wf_chat;

/* A message with `reasoning_content`, `thinking` or `reasoning` gets the first two of them. `limits` names the moment and the
 * limits, its variables are not used. `result` must be freed also after an error. */
weft_status wf_chat_render(const wf_template *t, const wf_mem *mem, const wf_chat *chat, const wf_template_input *limits,
                           wf_template_result *result, weft_error *err);

typedef struct wf_chat_folder {
    wf_template *template_; /* the caller's */
    wf_json *specials;      /* an object: bos_token ... -> text, in the arena */
} wf_chat_folder;

/* The chat template of a model folder: chat_template.jinja, else that of chat_template.json or tokenizer_config.json. Where there
 * are several, `name` chooses ("default", "tool_use"; also a file of additional_chat_templates/); NULL takes tool_use for a
 * conversation with tools where there is one, else default. WEFT_BAD_INPUT when there is none. */
weft_status wf_chat_open(wf_arena *arena, const char *folder, const char *name, bool tools, wf_chat_folder *out, weft_error *err);
#endif
