/* parts.h - private to the model: what spec, stem, head and blocks share. A part (head.c) reads its options, declares its
 * parameters, records itself and writes its normal form, all in one file; the stem has a second one for its options. */
#ifndef WF_MODEL_PARTS_H
#define WF_MODEL_PARTS_H
#include "model/model.h"
#include "model/options.h"

/* ---- reading ---- */
typedef struct wf_spec_reader {
    wf_arena *arena;
    wf_spec *spec;
    weft_error *err;
    int64_t width; /* of the stream where the next block is read */
} wf_spec_reader;

/* The options of a part whose keys are rows; null is an empty object. */
wf_options wf_part_open(const wf_json *object, const char *what, const wf_spec_key *keys, weft_error *err);
/* The index of `word` among the NULL-terminated `words`; -1 after a message that lists them. */
int wf_option_word(wf_options *o, const wf_json *at, const char *key, const char *word, const char *const *words);
/* An absent norm is RMS with eps 1e-6; a string is its kind. */
weft_status wf_norm_read(wf_spec_reader *r, const wf_json *j, const char *what, wf_norm_spec *out);
weft_status wf_stem_read(wf_spec_reader *r, const wf_json *j);
/* `rows` of block `index`; the reader's width becomes that behind them. */
weft_status wf_rows_read(wf_spec_reader *r, const wf_json *list, int64_t index, const char *what, wf_rows_list *out);
/* `head`, and `heads` beside it. */
weft_status wf_heads_read(wf_spec_reader *r, const wf_json *head, const wf_json *more);

int64_t wf_spec_end_width(const wf_spec *spec); /* of what the last norm takes */

/* ---- parameters ---- */
weft_status wf_declare(wf_model *m, const char *name, int rank, const int64_t *dims, wf_init init, wf_param **out,
                       weft_error *err);
weft_status wf_declare_norm(wf_model *m, const wf_norm_spec *norm, const char *name, int64_t width, wf_param **weight,
                            wf_param **bias, weft_error *err);
wf_arena *wf_model_arena(wf_model *m); /* of the model, or of that around an encoder */
float wf_init_std(int64_t width);      /* of normal initial values: 0.02 at a width of about 768 */
/* A matrix that a stream of rows goes through, normal with std 0.5/sqrt(fan in), and a bias of zeros where it has one. */
weft_status wf_declare_linear(wf_model *m, const char *name, int64_t out, int64_t in, bool bias, wf_param **weight_bias,
                              weft_error *err);
weft_status wf_stem_declare(wf_model *m, weft_error *err);
weft_status wf_heads_declare(wf_model *m, weft_error *err);
/* The dense layers of a head under a prefix, and running x through them. */
weft_status wf_head_layers_declare(wf_model *m, const char *prefix, const wf_head_spec *h, wf_head_layer_params **out,
                                   weft_error *err);
wf_tensor *wf_head_layers(wf_tape *t, const wf_head_spec *h, const wf_head_layer_params *p, wf_tensor *x, bool dropout);
/* Heads that a row asks (query_head.c). */
weft_status wf_query_declare(wf_model *m, const char *prefix, const wf_head_spec *h, wf_head_params *p, weft_error *err);
wf_tensor *wf_query_logits(wf_tape *t, const wf_head_spec *h, const wf_head_params *p, wf_tensor *x, wf_tensor *ids,
                           wf_tensor *mask, bool dropout);

/* `rows`: parameters under a prefix, recording them, and their multiply-adds x 2. `places`: what each block has given. */
weft_status wf_rows_declare(wf_model *m, const char *prefix, const wf_rows_list *list, wf_rows_params **out, weft_error *err);
void wf_rows_record(wf_tape *t, const wf_rows_list *list, const wf_rows_params *params, const wf_place *places, bool dropout,
                    wf_place *at);
double wf_rows_flops(const wf_spec *spec, int64_t index, int64_t rows);

/* `hashes` of a stem. */
weft_status wf_hashes_read(wf_spec_reader *r, const wf_json *j, wf_stem_spec *s);

/* Of a stem that reads frames: its convolutions. */
weft_status wf_frames_read(wf_spec_reader *r, const wf_json *list);
weft_status wf_frames_declare(wf_model *m, weft_error *err);
wf_tensor *wf_frames_record(const wf_model *m, wf_tape *t, wf_model_ports *p); /* the mask too */

/* ---- recording ---- */
/* Makes the ids that tokens tell and nobody gave, and fills up the inputs of sequences where the stem says so; the rows there
 * are then. */
int64_t wf_stem_fill(const wf_model *m, wf_tape *t, int64_t batch, int64_t rows, wf_model_ports *p);
wf_tensor *wf_stem_kinds(const wf_model *m, const wf_model_ports *p); /* I32 [B,T]; NULL: all are of one kind */
wf_tensor *wf_stem_record(const wf_model *m, wf_tape *t, int64_t batch, int64_t rows, const wf_model_options *o,
                          wf_model_ports *p);

/* The streams of queries as they leave the stem; NULL: none. */
wf_tensor *wf_stem_queries(const wf_model *m, wf_tape *t, int64_t batch, int64_t rows, const wf_model_options *o,
                           const wf_model_ports *p);
/* Clusters of a table (clusters.c): `vocab` rows in pieces, the first of width `dim`. */
weft_status wf_clusters_read(wf_spec_reader *r, const wf_json *j, int64_t vocab, int64_t dim, wf_clusters *out);
int64_t wf_cluster_dim(const wf_clusters *clusters, int64_t dim, int64_t n);
weft_status wf_stem_clusters_declare(wf_model *m, weft_error *err);
wf_tensor *wf_stem_clusters(const wf_model *m, wf_tape *t, wf_tensor *ids);
weft_status wf_head_clusters_declare(wf_model *m, const char *prefix, const wf_head_spec *h, wf_head_params *p,
                                     weft_error *err);
wf_tensor *wf_head_clusters(wf_tape *t, const wf_head_spec *h, const wf_head_params *p, wf_tensor *x);

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
wf_json *wf_frames_normal(const wf_normal *of, const wf_stem_spec *stem);
wf_json *wf_norm_normal(const wf_normal *of, const wf_norm_spec *norm);
wf_json *wf_hashes_normal(const wf_normal *of, const wf_stem_spec *stem);
wf_json *wf_clusters_normal(const wf_normal *of, const wf_clusters *clusters, bool head);
wf_json *wf_rows_normal(const wf_normal *of, const wf_rows_list *steps);
wf_json *wf_stem_normal(const wf_normal *of, const wf_stem_spec *stem);
wf_json *wf_head_normal(const wf_normal *of, const wf_head_spec *head);

extern const wf_spec_key wf_conv_keys[], wf_stem_keys[], wf_position_keys[], wf_table_keys[], wf_stem_project_keys[],
    wf_token_dropout_keys[], wf_hash_keys[], wf_rows_keys[], wf_globals_keys[], wf_fill_keys[], wf_side_keys[], wf_head_keys[],
    wf_head_layer_keys[], wf_cluster_keys[], wf_query_keys[];
#endif
