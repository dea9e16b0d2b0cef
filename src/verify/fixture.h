/* fixture.h - private to the verifier: an open fixture, and comparing with what it expects. */
#ifndef WF_VERIFY_FIXTURE_H
#define WF_VERIFY_FIXTURE_H
#include "base/env.h"
#include "base/json.h"
#include "formats/safetensors.h"

enum { WF_FIXTURE_MASKS = 4 };
typedef struct wf_fixture_mask { /* outputs of [B,T,..] count only where it is 1 */
    const uint8_t *mask;         /* [B,T] */
    int64_t dims[2];
    struct wf_regex *names; /* only outputs whose names begin with a match; NULL: all */
} wf_fixture_mask;

typedef struct wf_fixture {
    const wf_env *env;
    wf_arena arena;   /* of everything made for this fixture */
    const char *path; /* the folder */
    const char *name, *kind;
    const wf_json *json;
    wf_safetensors *inputs, *expected; /* NULL when the file is absent */
    bool *compared;                    /* per expected tensor */
    double gradient_scale;             /* largest gradient entry of the fixture */
    wf_fixture_mask where[WF_FIXTURE_MASKS];
    int n_where;
    /* so far */
    const char *worst;
    double worst_ratio, error, tolerance;
    size_t n_compared;
    bool failed;
} wf_fixture;

/* Reads fixture.json, inputs.safetensors and expected.safetensors. The fixture must be closed also after a failure. */
weft_status wf_fixture_open(const wf_env *env, const char *path, wf_fixture *out, weft_error *err);
void wf_fixture_close(wf_fixture *fx);

/* WEFT_UNSUPPORTED for the first field of fixture.json that is neither common to all kinds nor among `fields`
 * (NULL-terminated). */
weft_status wf_fixture_fields(const wf_fixture *fx, const char *const *fields, weft_error *err);

/* An input by name; NULL when absent. */
const wf_stored_tensor *wf_fixture_input(const wf_fixture *fx, const char *name);
int64_t wf_stored_count(const wf_stored_tensor *t);
/* Elements as numbers of one type, in the arena. WEFT_BAD_INPUT when the file's type cannot be read so. */
weft_status wf_fixture_floats(wf_fixture *fx, const wf_stored_tensor *t, float **out, weft_error *err);
weft_status wf_fixture_ints(wf_fixture *fx, const wf_stored_tensor *t, int64_t **out, weft_error *err);
weft_status wf_fixture_bytes(wf_fixture *fx, const wf_stored_tensor *t, uint8_t **out, weft_error *err);
/* WEFT_BAD_INPUT unless t has exactly this shape. */
weft_status wf_fixture_shape(const wf_stored_tensor *t, int rank, const int64_t *dims, weft_error *err);

/* Compares `got` with the expected tensor of that name, when there is one. `form` ("step", NULL: the plain one) is for
 * messages. A difference does not stop the run: it is kept for the verdict. */
weft_status wf_fixture_compare(wf_fixture *fx, const char *name, const char *form, const float *got, int64_t count,
                               weft_error *err);
weft_status wf_fixture_compare_ints(wf_fixture *fx, const char *name, const char *form, const int64_t *got, int64_t count,
                                    weft_error *err);
/* The same for numbers of double precision (a trace of losses). */
weft_status wf_fixture_compare_doubles(wf_fixture *fx, const char *name, const double *got, int64_t count, weft_error *err);
/* WEFT_UNSUPPORTED names the first expected tensor nothing was compared with. */
weft_status wf_fixture_all_compared(const wf_fixture *fx, weft_error *err);

/* Another mask for the outputs that `pattern` (a regular expression; NULL: all) names. `mask` must outlive the fixture. */
weft_status wf_fixture_add_mask(wf_fixture *fx, const char *pattern, const uint8_t *mask, int64_t batch, int64_t rows,
                                weft_error *err);

/* The kinds: each runs an open fixture. WEFT_UNSUPPORTED says what is not built; other errors are failures of the fixture. */
weft_status wf_verify_mixer(wf_fixture *fx, weft_error *err);
weft_status wf_verify_model(wf_fixture *fx, weft_error *err);
weft_status wf_verify_train(wf_fixture *fx, weft_error *err);
weft_status wf_verify_dynamics(wf_fixture *fx, weft_error *err);
weft_status wf_verify_processors(wf_fixture *fx, weft_error *err); /* its row logits_processor */
weft_status wf_verify_generate(wf_fixture *fx, weft_error *err);
weft_status wf_verify_tokenizer(wf_fixture *fx, weft_error *err);
weft_status wf_verify_tokenizer_training(wf_fixture *fx, weft_error *err);
weft_status wf_verify_template(wf_fixture *fx, weft_error *err);
weft_status wf_verify_format(wf_fixture *fx, weft_error *err);
#endif
