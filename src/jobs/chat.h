/* chat.h - a conversation, from a file, as the text that a model's chat template makes of it. */
#ifndef WF_JOBS_CHAT_H
#define WF_JOBS_CHAT_H
#include "jobs/job.h"
#include "template/template.h"

typedef struct wf_chat_request {
    const char *folder, *path; /* of the model; of the conversation, `-` is standard input */
    const char *template_;     /* which of the folder's templates; NULL: its usual one */
    bool answer;               /* the text ends with what makes the model answer, unless it goes on inside the last message */
    bool prompt;               /* it ends with that whatever the conversation says */
    const char *go_on;         /* the field of the last message behind which it ends; NULL: as the conversation says */
} wf_chat_request;

/* Special tokens are in the text. The result must be freed also after an error. */
weft_status wf_job_chat(wf_job *job, const wf_chat_request *request, wf_template_result *result);
#endif
