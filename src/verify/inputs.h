/* inputs.h - private to the verifier: the arguments of a language model, as fixtures name them. */
#ifndef WF_VERIFY_INPUTS_H
#define WF_VERIFY_INPUTS_H
#include "model/model.h"
#include "verify/fixture.h"

typedef struct wf_head_labels { /* NULL classes and values: absent */
    int32_t *classes;           /* as the head's row wants them; -100 counts for nothing */
    float *values;
    int64_t count;
    int columns;      /* of `inverse` */
    float inverse[2]; /* 1 / how many count */
} wf_head_labels;

typedef struct wf_model_inputs { /* [B,T] each; NULL: absent. A decoder without ids reads what its labels or the source make */
    int64_t batch, rows;
    int64_t choices; /* sequences that belong together, as [B/choices, choices, T] in the file; 0: none */
    int32_t *ids, *types;
    float *features; /* [B,T,channels] */
    int64_t channels;
    uint8_t *mask, *global_mask;
    int64_t *positions, *variants;
    int32_t *tables[WF_MAX_TABLES]; /* [B,T,table_columns] */
    int64_t table_columns[WF_MAX_TABLES];
    uint8_t *pairs;    /* [B,T,T]: 1 hides row j from row i */
    float *map;        /* [B,map_rows,T]: where rows of a stream of queries stand */
    int64_t map_rows;  /* 0: there is none */
    int64_t *segments; /* [B,T] */
    float *past;       /* [layers,B,past_rows,dim] */
    int64_t past_rows, past_dim, layers;
    float *memory; /* [B,S,memory_dim] */
    uint8_t *memory_mask;
    int64_t memory_rows, memory_dim;
    int32_t *targets; /* labels[0] where they are a class per row */
    wf_head_labels labels[WF_MAX_HEADS];
    const float *probe; /* of the shape of what is differentiated */
    int64_t probe_count;
    int64_t length;                 /* positions reached: the largest + 1 */
    struct wf_model_inputs *source; /* of the encoder; then these are the decoder's; NULL: none */
} wf_model_inputs;

/* Reads the inputs of a fixture whose tensors may have a leading dimension (`index` of `stacked`; stacked 0: they have none).
 * WEFT_UNSUPPORTED names an input that is not one of these; ids outside the vocabulary are WEFT_BAD_INPUT. */
weft_status wf_model_inputs_read(wf_fixture *fx, const wf_model *model, int64_t stacked, int64_t index, wf_model_inputs *out,
                                 weft_error *err);
/* The labels of one head, with the inputs read before; all zero when they are absent. */
weft_status wf_head_labels_read(wf_fixture *fx, const wf_head_spec *head, const wf_model_inputs *in, int64_t stacked,
                                int64_t index, wf_head_labels *out, weft_error *err);

/* The tensors of one recording of rows first..first+count of sequences b..b+n. */
typedef struct wf_input_tensors {
    wf_tensor *pairs, *map, *segments, **past;
    wf_tensor *ids, *features, *types, *mask, *global_mask, *positions, *variants, *tables[WF_MAX_TABLES], *memory,
        *memory_mask, *labels;
    struct wf_input_tensors *source; /* in the tape's arena */
} wf_input_tensors;
/* Makes inputs for what is there and puts them into `ports`. */
wf_input_tensors wf_model_inputs_record(const wf_model_inputs *in, wf_tape *tape, int64_t batch, int64_t rows,
                                        wf_model_ports *ports);
/* The same of what a decoder reads beside its own tokens: the source, or a memory that is given. */
void wf_source_inputs_record(const wf_model_inputs *in, wf_tape *tape, int64_t batch, wf_model_ports *ports,
                             wf_input_tensors *t);
void wf_model_inputs_load(const wf_model_inputs *in, const wf_input_tensors *t, int64_t b, int64_t first);
void wf_source_inputs_load(const wf_model_inputs *in, const wf_input_tensors *t, int64_t b);
#endif
