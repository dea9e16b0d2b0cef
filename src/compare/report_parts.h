/* report_parts.h - the pieces of the HTML page. Private to the report files. */
#ifndef WF_COMPARE_REPORT_PARTS_H
#define WF_COMPARE_REPORT_PARTS_H
#include "compare/chart.h"
#include "compare/summary.h"

typedef struct wf_report {
    const wf_mem *mem;
    wf_arena arena;
    wf_run_summary run;
    int *order; /* models by loss */
    wf_str *out;
    bool failed; /* out of memory somewhere; the page is not whole */
} wf_report;

extern const char wf_report_style[];

void wf_report_charts(wf_report *r, const char *section, const char *heading, const char *intro); /* a section of figures */
void wf_report_wins(wf_report *r);
void wf_report_models(wf_report *r);
void wf_report_samples(wf_report *r);
void wf_report_grid(wf_report *r);    /* the learning-rate grid */
void wf_report_details(wf_report *r); /* command, text, machine, versions, settings */

/* ---- small helpers ---- */
/* The pointer itself; NULL is remembered as out of memory. */
static inline void *wf_report_keep(wf_report *r, void *memory) {
    r->failed = r->failed || !memory;
    return memory;
}
void wf_put_name(wf_report *r, int model); /* swatch and name */
void wf_put_escaped(wf_report *r, const char *before, const char *text, const char *after);
#endif
