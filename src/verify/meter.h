/* meter.h - private to the verifier: a memory hook with a limit, which counts what is in use. Thread rule: as any hook. */
#ifndef WF_VERIFY_METER_H
#define WF_VERIFY_METER_H
#include <stdatomic.h>
#include "base/mem.h"

typedef struct wf_meter {
    const wf_mem *under;
    atomic_size_t used, most; /* bytes now, and at most so far */
    size_t limit;             /* more is refused */
    atomic_bool refused;
} wf_meter;

/* The hook lives as long as the meter. */
wf_mem wf_meter_hook(wf_meter *meter, const wf_mem *under, size_t limit);
#endif
