/* tensors.h - the tensors of a fixture's safetensors file as fp32 values by name, and their comparison with a result. */
#ifndef WF_VERIFY_TENSORS_H
#define WF_VERIFY_TENSORS_H
#include "base/json.h"

enum { WF_FIXTURE_RANK = 8 };

typedef struct wf_fixture_tensor {
    const char *name;
    int rank;
    int64_t dims[WF_FIXTURE_RANK], count;
    float *data;
} wf_fixture_tensor;

typedef struct wf_fixture_tensors {
    wf_fixture_tensor *items;
    size_t count;
} wf_fixture_tensors;

/* Reads FOLDER/FILE; everything lives in `arena`. A file that is missing gives no tensors when `optional`. */
weft_status wf_fixture_read(wf_arena *arena, const char *folder, const char *file, bool optional, wf_fixture_tensors *out,
                            weft_error *err);
const wf_fixture_tensor *wf_fixture_find(const wf_fixture_tensors *tensors, const char *name); /* NULL when absent */

/* Called once for every tensor compared: the largest difference as a part of the reference's largest value, against the
 * tolerance. Passed when error <= tolerance (a NaN error fails). */
typedef void (*wf_verify_report)(void *user, const char *tensor, double error, double tolerance);
double wf_fixture_error(const wf_fixture_tensor *expected, const float *values, int64_t count);
#endif
