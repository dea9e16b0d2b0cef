#include "base/status.h"
#include "base/str.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *weft_status_name(weft_status status) {
    switch (status) {
    case WEFT_OK:
        return "ok";
    case WEFT_FAILURE:
        return "failure";
    case WEFT_USAGE:
        return "usage";
    case WEFT_MISMATCH:
        return "mismatch";
    case WEFT_BAD_INPUT:
        return "bad input";
    case WEFT_NO_MEMORY:
        return "out of memory";
    case WEFT_UNSUPPORTED:
        return "unsupported";
    case WEFT_INTERRUPTED:
        return "interrupted";
    case WEFT_TERMINATED:
        return "terminated";
    }
    return "unknown status";
}

/* Messages quote foreign bytes; a terminal or a log must get one line of valid UTF-8 whatever the bytes were. This also repairs
 * a sequence that truncation cut. */
static void make_printable(char *text) {
    size_t left = strlen(text);
    while (left > 0) {
        size_t step = (size_t)wf_utf8_length(text, left);
        if (step == 0 || (unsigned char)*text < 0x20 || *text == 0x7f) {
            *text = '?';
            step = 1;
        }
        text += step;
        left -= step;
    }
}

WF_PRINTF(4, 0)
static void fill(weft_error *err, weft_status status, int64_t offset, const char *fmt, va_list args) {
    if (!err)
        return;
    err->status = status;
    err->offset = offset;
    if (vsnprintf(err->message, sizeof err->message, fmt, args) < 0)
        err->message[0] = 0;
    make_printable(err->message);
}

weft_status wf_fail(weft_error *err, weft_status status, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fill(err, status, -1, fmt, args);
    va_end(args);
    return status;
}

weft_status wf_fail_at(weft_error *err, weft_status status, int64_t offset, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fill(err, status, offset, fmt, args);
    va_end(args);
    return status;
}

weft_status wf_fail_in(weft_error *err, const char *fmt, ...) {
    if (!err)
        return WEFT_FAILURE;
    char old[WEFT_MESSAGE_SIZE], context[WEFT_MESSAGE_SIZE];
    memcpy(old, err->message, sizeof old);
    old[sizeof old - 1] = 0;
    va_list args;
    va_start(args, fmt);
    if (vsnprintf(context, sizeof context, fmt, args) < 0)
        context[0] = 0;
    va_end(args);
    return wf_fail_at(err, err->status, err->offset, "%s: %s", context, old);
}

weft_status wf_fail_memory(weft_error *err) { return wf_fail(err, WEFT_NO_MEMORY, "out of memory"); }
