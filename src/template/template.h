/* template.h - chat templates: the Jinja that checkpoints carry, as Hugging Face renders it (jinja2 3.1: an immutable sandbox,
 * trim_blocks and lstrip_blocks on, no autoescape, loop controls, {% generation %}).
 *
 *     wf_template *t;
 *     WF_TRY(wf_template_compile(mem, source, length, &t, err));
 *     wf_template_result result;
 *     weft_status status = wf_template_render(t, mem, &(wf_template_input){.variables = json}, &result, err);
 *     ... result.text ...
 *     wf_template_result_free(&result);
 *     wf_template_free(t);
 *
 * A template comes from a stranger: source length, nesting, steps, memory and the depth of values are limited, and nothing it
 * says reads anything but the variables. Beyond the limits the error is one of kind WF_TEMPLATE_LIMIT.
 *
 * What is left out: integers beyond 64 bits can be printed and compared but not reckoned with; include, import, extends and
 * autoescape are refused (a chat template is one text); pprint of what does not fit a line, urlize and lipsum are
 * unsupported.
 *
 * Thread rule: a wf_template never changes after its creation, any number of threads may render it. */
#ifndef WF_TEMPLATE_TEMPLATE_H
#define WF_TEMPLATE_TEMPLATE_H
#include "base/env.h"
#include "base/json.h"

typedef struct wf_template wf_template;

/* What kind of error the reference would raise; the status is WEFT_BAD_INPUT for all but LIMIT (WEFT_FAILURE) and what is not
 * built (WEFT_UNSUPPORTED). */
typedef enum wf_template_error {
    WF_TEMPLATE_FINE,
    WF_TEMPLATE_SYNTAX,
    WF_TEMPLATE_RAISED, /* raise_exception(message): the template refuses the conversation */
    WF_TEMPLATE_UNDEFINED,
    WF_TEMPLATE_SECURITY,
    WF_TEMPLATE_RUNTIME,
    WF_TEMPLATE_LIMIT /* recursion, steps, memory */
} wf_template_error;

enum { WF_TEMPLATE_LONGEST = 4 << 20 }; /* bytes of a source */

/* Messages say the line. `source` is copied; it must be UTF-8. */
weft_status wf_template_compile(const wf_mem *mem, const char *source, size_t length, wf_template **out, weft_error *err);
void wf_template_free(wf_template *t); /* NULL is fine */
const char *wf_template_source(const wf_template *t);

typedef struct wf_template_input {
    const wf_json *variables; /* an object: the names the template sees; NULL: none */
    int64_t now;              /* what strftime_now sees: seconds since 1970 */
    bool utc;                 /* `now` is shown as it is; else in the local time zone */
    const wf_env *env;        /* its stop flag ends the rendering; may be NULL */
    size_t memory;            /* limit in bytes, 0: 128 MiB */
    int64_t steps;            /* limit, 0: 20 million */
} wf_template_input;

typedef struct wf_template_span {
    size_t start, end; /* code points of the text */
} wf_template_span;

typedef struct wf_template_result {
    wf_str text;             /* empty after an error */
    wf_template_span *spans; /* what {% generation %} blocks wrote, in the order they ended */
    size_t n_spans;
    wf_template_error error;
    wf_str message; /* RAISED: what the template said, in full */
} wf_template_result;

/* `result` must be freed also after an error. */
weft_status wf_template_render(const wf_template *t, const wf_mem *mem, const wf_template_input *in, wf_template_result *result,
                               weft_error *err);
void wf_template_result_free(wf_template_result *result);
const char *wf_template_error_name(wf_template_error error); /* "syntax", "raise_exception" ...; NULL for FINE */
#endif
