/* inputs.h - private to the verifier: the arguments of a language model, as fixtures name them. */
#ifndef WF_VERIFY_INPUTS_H
#define WF_VERIFY_INPUTS_H
#include "model/model.h"
#include "verify/fixture.h"

typedef struct wf_model_inputs { /* [B,T] each; NULL: absent */
    int64_t batch, rows;
    int32_t *ids, *types;
    uint8_t *mask;
    int64_t *positions;
    int32_t *targets;            /* labels one row earlier: what the logits of a row predict; -100 counts for nothing */
    const float *probe;          /* [B,T,V] */
    int64_t length;              /* positions reached: the largest + 1 */
} wf_model_inputs;

/* Reads the inputs of a fixture whose tensors may have a leading dimension (`index` of `stacked`; stacked 0: they have none).
 * WEFT_UNSUPPORTED names an input that is not one of these; ids outside the vocabulary are WEFT_BAD_INPUT. */
weft_status wf_model_inputs_read(wf_fixture *fx, const wf_model *model, int64_t stacked, int64_t index, wf_model_inputs *out, weft_error *err);
/* How many targets count. */
int64_t wf_model_inputs_targets(const wf_model_inputs *in);

/* The tensors of one recording of rows first..first+count of sequences b..b+n. */
typedef struct wf_input_tensors {
    wf_tensor *ids, *types, *mask, *positions, *targets;
} wf_input_tensors;
/* Makes inputs for what is there (targets only when asked) and puts them into `ports`. */
wf_input_tensors wf_model_inputs_record(const wf_model_inputs *in, wf_tape *tape, int64_t batch, int64_t rows, bool targets, wf_model_ports *ports);
void wf_model_inputs_load(const wf_model_inputs *in, const wf_input_tensors *t, int64_t b, int64_t first);
#endif
