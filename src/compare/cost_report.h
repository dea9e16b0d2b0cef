/* cost_report.h - what mixers cost as sequences grow, as one self-contained HTML page: a table, and a chart for each mixer
 * beside full attention. The input is what `weft bench mixers --json` gives for the benchmark: {"dim", "mixers": [{"name",
 * "lengths", "forward_seconds", "train_seconds", "decode_seconds", "activation_bytes", "state_bytes" (lists of one number per
 * length, null where there is none), "time_exponent", "law_exponent", "crossover"}]}, full attention first. */
#ifndef WF_COMPARE_COST_REPORT_H
#define WF_COMPARE_COST_REPORT_H
#include "base/json.h"

weft_status wf_cost_report_html(const wf_mem *mem, const wf_json *costs, wf_str *out, weft_error *err);
#endif
