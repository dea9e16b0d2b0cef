/* status.h - how the rooms of weft report errors: a status is returned, the caller's weft_error is filled. */
#ifndef WF_BASE_STATUS_H
#define WF_BASE_STATUS_H
#include "weft/status.h"

#if defined(__GNUC__)
#define WF_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define WF_PRINTF(fmt, args)
#endif

/* Fills `err` (may be NULL) with `status` and a formatted message (truncated to fit; control characters and
 * invalid UTF-8 that it quotes become '?'), offset -1; returns `status`. */
weft_status wf_fail(weft_error *err, weft_status status, const char *fmt, ...) WF_PRINTF(3, 4);
/* The same with a byte offset in the source that was being read. The message should name the offset only if it helps. */
weft_status wf_fail_at(weft_error *err, weft_status status, int64_t offset, const char *fmt, ...) WF_PRINTF(4, 5);
/* Puts "context: " in front of the message already in `err`; returns its status (WEFT_FAILURE without an `err`: keep one). */
weft_status wf_fail_in(weft_error *err, const char *fmt, ...) WF_PRINTF(2, 3);
/* Out of memory: the one message every allocation failure gives. */
weft_status wf_fail_memory(weft_error *err);

#define WF_TRY(expression)                                                                                                     \
    do {                                                                                                                       \
        weft_status wf_try_ = (expression);                                                                                    \
        if (wf_try_ != WEFT_OK)                                                                                                \
            return wf_try_;                                                                                                    \
    } while (0)

/* Leaves early with wf_fail: WF_CHECK(heads > 0, err, WEFT_USAGE, "heads must be positive, not %d", heads). */
#define WF_CHECK(condition, err, status, ...)                                                                                  \
    do {                                                                                                                       \
        if (!(condition))                                                                                                      \
            return wf_fail((err), (status), __VA_ARGS__);                                                                      \
    } while (0)
#endif
