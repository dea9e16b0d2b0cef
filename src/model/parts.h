/* parts.h - private to the model: what spec, stem, head and blocks share. A part (stem.c, head.c) reads its options, declares
 * its parameters, records itself and writes its normal form, all in one file. */
#ifndef WF_MODEL_PARTS_H
#define WF_MODEL_PARTS_H
#include "model/model.h"
#include "model/options.h"

/* ---- reading ---- */
typedef struct wf_spec_reader {
    wf_arena *arena;
    wf_spec *spec;
    weft_error *err;
} wf_spec_reader;

/* The options of a part whose keys are rows; null is an empty object. */
wf_options wf_part_open(const wf_json *object, const char *what, const wf_spec_key *keys, weft_error *err);
/* The index of `word` among the NULL-terminated `words`; -1 after a message that lists them. */
int wf_option_word(wf_options *o, const wf_json *at, const char *key, const char *word, const char *const *words);
/* An absent norm is RMS with eps 1e-6; a string is its kind. */
weft_status wf_norm_read(wf_spec_reader *r, const wf_json *j, const char *what, wf_norm_spec *out);
weft_status wf_stem_read(wf_spec_reader *r, const wf_json *j);
/* `head`, and `heads` beside it. */
weft_status wf_heads_read(wf_spec_reader *r, const wf_json *head, const wf_json *more);

/* ---- parameters ---- */
weft_status wf_declare(wf_model *m, const char *name, int rank, const int64_t *dims, wf_init init, wf_param **out,
                       weft_error *err);
weft_status wf_declare_norm(wf_model *m, const wf_norm_spec *norm, const char *name, int64_t width, wf_param **weight,
                            wf_param **bias, weft_error *err);
float wf_init_std(int64_t width); /* of normal initial values: 0.02 at a width of about 768 */
/* A matrix that a stream of rows goes through, normal with std 0.5/sqrt(fan in), and a bias of zeros where it has one. */
weft_status wf_declare_linear(wf_model *m, const char *name, int64_t out, int64_t in, bool bias, wf_param **weight_bias,
                              weft_error *err);
weft_status wf_stem_declare(wf_model *m, weft_error *err);
weft_status wf_heads_declare(wf_model *m, weft_error *err);

/* ---- recording ---- */
/* Fills up the inputs of sequences where the stem says so; the rows there are then. */
int64_t wf_stem_fill(const wf_model *m, wf_tape *t, int64_t batch, int64_t rows, wf_model_ports *p);
wf_tensor *wf_stem_record(const wf_model *m, wf_tape *t, int64_t batch, int64_t rows, const wf_model_options *o,
                          wf_model_ports *p);

/* ---- the normal form ---- */
typedef struct wf_normal {
    wf_arena *arena;
    wf_json *object;
    bool *failed; /* the arena was full once */
} wf_normal;
wf_normal wf_normal_begin(const wf_normal *of);
void wf_normal_put(const wf_normal *w, const char *key, wf_json *value);
void wf_normal_int(const wf_normal *w, const char *key, int64_t value);
void wf_normal_bool(const wf_normal *w, const char *key, bool value);
void wf_normal_text(const wf_normal *w, const char *key, const char *text);
void wf_normal_float(const wf_normal *w, const char *key, float value);
wf_json *wf_norm_normal(const wf_normal *of, const wf_norm_spec *norm);
wf_json *wf_stem_normal(const wf_normal *of, const wf_stem_spec *stem);
wf_json *wf_head_normal(const wf_normal *of, const wf_head_spec *head);

extern const wf_spec_key wf_stem_keys[], wf_position_keys[], wf_table_keys[], wf_stem_project_keys[], wf_token_dropout_keys[],
    wf_globals_keys[], wf_fill_keys[], wf_head_keys[], wf_head_layer_keys[];
#endif
