/* load.h - model folders: where format, family and model meet. A folder holds config.json and model.safetensors (or shards of
 * it), as Hugging Face writes them.
 *
 *     wf_model *model;
 *     WF_TRY(wf_model_load(env, "gpt2", &(wf_load_options){.map = true}, &model, err));
 *     WF_TRY(wf_model_save(model, "out", NULL, err));
 *
 * Ownership: the model is the caller's (wf_model_free), with the files its parameters may point into. */
#ifndef WF_FAMILIES_LOAD_H
#define WF_FAMILIES_LOAD_H
#include "families/names.h"
#include "model/model.h"

typedef struct wf_load_options {
    bool strict;              /* keys and tensors that no table lists are errors, not warnings */
    bool map;                 /* parameters may point into the mapped file, read-only: for running, not for training */
    bool turned;              /* with map: matrices that the file holds turned stay so (wf_param.turned): for running tapes */
    bool body;                /* the model without its heads: for its hidden states; what the file holds of heads is not read */
    const wf_json *arguments; /* members that replace those of config.json; NULL: none */
    bool config_only;         /* the model without values: the weights are not even opened */
    const char *family;       /* path of a family file to try first; NULL: that of the env, if any */
    /* A PEFT folder (NULL: that of the env, if any), or the config of an adapter that begins here. It is merged into the
     * values, or stands beside them (load_adapter.h) when `unmerged`. */
    const char *adapter;
    const wf_json *new_adapter;
    uint64_t adapter_seed;
    bool unmerged;
} wf_load_options;

/* A folder opened with what it was read by, for those who need the file's own names. */
typedef struct wf_checkpoint {
    wf_families families;
    wf_arena arena;
    const wf_json *config;
    const wf_family *family;
    wf_names names;
    const char **found; /* per map of the names: what the file calls it; NULL: no weights were read */
    wf_model *model;
} wf_checkpoint;

/* `options` NULL: all false. On failure nothing is left to close. */
weft_status wf_checkpoint_open(const wf_env *env, const char *folder, const wf_load_options *options, wf_checkpoint *out,
                               weft_error *err);
void wf_checkpoint_close(wf_checkpoint *checkpoint); /* the model too, unless it was taken (set to NULL) */
/* A tensor's name in the file. */
const char *wf_checkpoint_name(const wf_checkpoint *checkpoint, const wf_tensor_map *map);

weft_status wf_model_load(const wf_env *env, const char *folder, const wf_load_options *options, wf_model **out,
                          weft_error *err);

/* The family's names for the parameters of a model. */
weft_status wf_model_names(const wf_model *model, const wf_family *family, wf_arena *arena, wf_names *out, weft_error *err);

typedef struct wf_save_options {
    wf_dtype type;         /* of the file: F32, BF16 or F16 */
    int64_t bos, eos, pad; /* token ids for the generation settings; -1: none */
} wf_save_options;

/* Writes config.json, model.safetensors and, where there is anything to say, generation_config.json as the first family that
 * says the spec exactly, else as `weft`; a model with an adapter beside it as that adapter's folder. Each file appears whole or
 * not at all. `options` NULL: fp32, no ids. */
weft_status wf_model_save(const wf_model *model, const char *folder, const wf_save_options *options, weft_error *err);
#endif
