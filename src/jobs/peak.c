#include "jobs/peak.h"
#include <stdio.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

/* A line of /proc/self/status in bytes, 0 when it is not there. */
static double status_bytes(const char *key) {
    char line[256];
    double kb = 0.0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0 && sscanf(line + strlen(key), ": %lf", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return kb * 1024.0;
}

/* What is free but still held would be used again without being seen: it goes back first. */
bool wf_peak_begin(double *resident) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    *resident = status_bytes("RssAnon");
    FILE *f = fopen("/proc/self/clear_refs", "w");
    bool good = f && fputc('5', f) != EOF;
    if (f && fclose(f) != 0)
        good = false;
    return good && *resident > 0.0;
}

/* Pages of the program and its libraries come when they are first run, and stay. */
double wf_peak_bytes(void) { return status_bytes("VmHWM") - status_bytes("RssFile"); }
