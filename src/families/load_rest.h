/* load_rest.h - what a folder says and holds beside its model: its config.json as it is, the tensors that the reference has
 * a place for and nothing here reads (`kept` of the family), the other names of tied tensors (but where the head is
 * tied: the reference has one tensor then, and writes one name), its settings for writing text. A
 * model that is saved as what it was opened as takes them along, so that the reference opens what it gave. In the model's
 * arena; data of tensors may point into its files. */
#ifndef WF_FAMILIES_LOAD_REST_H
#define WF_FAMILIES_LOAD_REST_H
#include "families/load.h"
#include "formats/shards.h"

typedef struct wf_rest_tensor {
    wf_stored_tensor stored; /* under its whole name */
    const char *twin;        /* the name whose values it has again, with no data of its own; NULL: nothing here reads it */
} wf_rest_tensor;

typedef struct wf_rest {
    const char *family;        /* that the folder was opened as */
    const wf_json *config;     /* without the type of the tensors */
    const wf_json *generation; /* generation_config.json; NULL: none, or none that can be read */
    wf_rest_tensor *tensors;
    size_t count;
} wf_rest;

/* Two tensors of the same bits, which are read for that once: pairs found equal before. Zeroed before use. */
enum { WF_PAIRS_MAX = 8 };
typedef struct wf_pairs {
    const wf_stored_tensor *list[WF_PAIRS_MAX][2];
    size_t n;
} wf_pairs;
bool wf_pairs_same(wf_pairs *pairs, const wf_stored_tensor *a, const wf_stored_tensor *b);

typedef struct wf_rest_files { /* what a checkpoint was read from */
    const char *path;          /* of the folder, or a file of weights */
    const wf_shards *shards;
    const wf_stored_tensor *const *read; /* the tensors that the names of the checkpoint have */
    size_t skip;                         /* bytes of every tensor's name in front of the family's own */
    wf_pairs *pairs;                     /* those compared so far */
    bool mapped;                         /* else the data is copied */
} wf_rest_files;
weft_status wf_rest_keep(const wf_checkpoint *c, const wf_rest_files *files, weft_error *err);
/* Whether the model's folder says something under a key of its settings for writing text, or of its config. */
bool wf_rest_says(const wf_model *model, const char *key);
#endif
