/* weft_handle.h - private to the facade: what a library handle holds. */
#ifndef WF_WEFT_HANDLE_H
#define WF_WEFT_HANDLE_H
#include "base/env.h"
#include "base/json.h"
#include "kernels/kernels.h"
#include "weft/weft.h"

struct weft {
    wf_env env;
    wf_kernels kernels;
    atomic_int stop;
    char *family; /* its own copy of the path */
};

struct weft_tokenizer {
    wf_mem mem; /* the engine keeps a pointer to it */
    struct wf_tokenizer *tok;
};
#endif
