/* peak.h - the peak memory of this process without its mapped files, as Linux's /proc tells it. */
#ifndef WF_JOBS_PEAK_H
#define WF_JOBS_PEAK_H
#include <stdbool.h>

/* The peak counts from now; *resident: the bytes held now. False where the system does not say. */
bool wf_peak_begin(double *resident);
double wf_peak_bytes(void);
#endif
