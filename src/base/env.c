#include "base/env.h"
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum { LOG_LINE = 1024 };

void wf_log(const wf_env *env, wf_level level, const char *fmt, ...) {
    if (!env || !env->log)
        return;
    char line[LOG_LINE];
    va_list args;
    va_start(args, fmt);
    int length = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (length >= 0)
        env->log(env->log_user, (int)level, line);
}

weft_status wf_stopped(const wf_env *env) {
    int stop = env && env->stop ? atomic_load_explicit(env->stop, memory_order_relaxed) : 0;
    if (stop == 0)
        return WEFT_OK;
    return stop == WEFT_TERMINATED ? WEFT_TERMINATED : WEFT_INTERRUPTED;
}

static double read_clock(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double wf_seconds(void) { return read_clock(CLOCK_MONOTONIC); }
double wf_cpu_seconds(void) { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }
