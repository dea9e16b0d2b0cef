/* weft/status.h - statuses and errors of the weft library.
 *
 *     weft_error err = {0};
 *     if (weft_model_open(lib, "model", &model, &err) != WEFT_OK)
 *         fprintf(stderr, "%s\n", err.message);
 *
 * Every fallible call returns a weft_status and, when `err` is not NULL, fills it. The numbers are also the exit codes of the
 * command line. Thread rule: a weft_error belongs to the caller; nothing here is shared. */
#ifndef WEFT_STATUS_H
#define WEFT_STATUS_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define WEFT_API
#else
#define WEFT_API __attribute__((visibility("default")))
#endif

typedef enum weft_status {
    WEFT_OK = 0,
    WEFT_FAILURE = 1,       /* I/O failed, a loss became NaN, an internal limit */
    WEFT_USAGE = 2,         /* a bad argument: unknown name, malformed spec given by the caller, nothing found */
    WEFT_MISMATCH = 3,      /* a comparison or threshold was not met */
    WEFT_BAD_INPUT = 4,     /* a file or text is malformed */
    WEFT_NO_MEMORY = 5,     /* out of memory or over a budget */
    WEFT_UNSUPPORTED = 6,   /* an option a mixer lacks, a refused config key, a feature not built in */
    WEFT_INTERRUPTED = 130, /* stopped by the caller (Ctrl-C) */
    WEFT_TERMINATED = 143   /* stopped by SIGTERM */
} weft_status;

enum { WEFT_MESSAGE_SIZE = 512 };

typedef struct weft_error {
    weft_status status;
    int64_t offset;                  /* byte offset in the source, -1 when there is none */
    char message[WEFT_MESSAGE_SIZE]; /* one line of UTF-8, no newline */
} weft_error;

/* The name of a status, e.g. "bad input". Never NULL; static storage. */
WEFT_API const char *weft_status_name(weft_status status);

#ifdef __cplusplus
}
#endif
#endif
