/* distance_rows.h - what the rows share whose queries meet distances beside keys: sinusoids of distances, queries with a bias.
 */
#ifndef WF_MIXERS_DISTANCE_ROWS_H
#define WF_MIXERS_DISTANCE_ROWS_H
#include "mixers/mixer.h"

/* Sines, then cosines, of the distances first, first + step, .. at rates theta^(-2c/dim), [count,dim]; dim is even. */
wf_tensor *wf_distance_waves(const wf_run *run, int64_t first, int64_t step, int64_t count, int64_t dim, double theta);
/* 0..count-1 in the tape's arena; NULL: the tape says why. */
int32_t *wf_distance_numbers(const wf_run *run, int64_t count);
/* q [B,T,H,K] + the slot's vector for each head; q itself when the slot is not there. */
wf_tensor *wf_distance_query(const wf_run *run, const wf_layer *layer, wf_tensor *q, const char *slot);
#endif
