/* env.h - what a library handle owns and every room borrows: the allocator, the pool, the log, the kernels, a stop flag. */
#ifndef WF_BASE_ENV_H
#define WF_BASE_ENV_H
#include <stdatomic.h>
#include "base/mem.h"
#include "base/pool.h"

typedef enum wf_level { WF_ERROR, WF_WARN, WF_INFO, WF_DEBUG } wf_level;
struct wf_kernels;

typedef struct wf_env {
    wf_mem mem;
    wf_pool *pool;
    const struct wf_kernels *kernels; /* chosen at start for this processor, see kernels/kernels.h */
    void (*log)(void *user, int level, const char *line);
    void *log_user;
    const char *family;    /* path of a family file to try before the built-in ones, NULL: none */
    const char *adapter;   /* folder of an adapter to open models with, NULL: none */
    const char *tokenizer; /* file or folder of the tokenizer to open models with, NULL: that of their folder */
    atomic_int *stop;      /* may be NULL; 130 or 143 asks long work to end cleanly with that status */
} wf_env;

/* One line to the log callback; dropped when there is none. */
void wf_log(const wf_env *env, wf_level level, const char *fmt, ...) WF_PRINTF(3, 4);
/* WEFT_OK, or the status asked for by the stop flag. */
weft_status wf_stopped(const wf_env *env);
double wf_seconds(void);     /* monotonic clock */
double wf_cpu_seconds(void); /* processor time of the whole program: other programs do not lengthen it */
#endif
