/* verify.h - fixtures: folders that say what a published reference computes, run here and compared. The contract is
 * tests/fixtures/README.md.
 *
 *     static void show(void *user, const wf_verdict *v) { ... }
 *     wf_verify_totals totals;
 *     weft_status status = wf_verify_path(env, "fixtures/mixers", show, NULL, &totals, &err);
 *
 * Thread rule: one caller; runs on the env's pool. */
#ifndef WF_VERIFY_VERIFY_H
#define WF_VERIFY_VERIFY_H
#include "base/env.h"

typedef enum wf_outcome { WF_PASSED, WF_FAILED, WF_NOT_SUPPORTED } wf_outcome;

typedef struct wf_verdict { /* valid during the callback */
    const char *name;       /* of the fixture */
    wf_outcome outcome;
    const char *worst;       /* the tensor nearest to its tolerance, or farthest over it; NULL when none was compared */
    double error, tolerance; /* of that tensor, relative to its largest entry; integers: 1 and 0 when they differ */
    size_t compared;         /* tensors compared, every form counted */
    const char *why;         /* why it failed or is not supported; NULL when it passed */
} wf_verdict;

typedef void (*wf_verdict_fn)(void *user, const wf_verdict *verdict);

typedef struct wf_verify_totals {
    size_t passed, failed, unsupported;
} wf_verify_totals;

/* Runs the fixture at `path`, or every fixture below it in the order of their paths. WEFT_OK when all passed, WEFT_MISMATCH
 * when any failed, WEFT_UNSUPPORTED when some are not supported and none failed, WEFT_USAGE when there is none; WEFT_NO_MEMORY
 * and the stop flag end the run. `totals` counts in any case. */
weft_status wf_verify_path(const wf_env *env, const char *path, wf_verdict_fn fn, void *user, wf_verify_totals *totals,
                           weft_error *err);
#endif
