/* report.h - a run of `compare` shown to people: one self-contained HTML page, and a table for the terminal. The input is a run
 * document, docs/run-format.md; a partial one (interrupted, models missing figures) renders too and says so. */
#ifndef WF_COMPARE_REPORT_H
#define WF_COMPARE_REPORT_H
#include "base/json.h"

/* The page: inline SVG and style, no script, nothing fetched, light and dark, for phones and wide screens. Appends to `out`. */
weft_status wf_report_html(const wf_mem *mem, const wf_json *run, wf_str *out, weft_error *err);
/* The table and the winners in lines of at most `width` columns (40 at least): columns that do not fit are left out, the least
 * telling first. Escape codes for bold only when `colour`. */
weft_status wf_report_table(const wf_mem *mem, const wf_json *run, int width, bool colour, wf_str *out, weft_error *err);
#endif
