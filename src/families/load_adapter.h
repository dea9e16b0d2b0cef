/* load_adapter.h - a PEFT folder beside a checkpoint: adapter_config.json says which modules of the base it changes,
 * adapter_model.safetensors holds the terms. The family's names carry them to parameters: a module's tensor may hold several
 * parameters (rows of B), or a parameter hold many modules (experts). What an adapter makes of a parameter is tensor/params.h.
 *
 *     wf_load_options how = {.adapter = "adapter", .unmerged = true};
 *     WF_TRY(wf_checkpoint_open(env, "base", &how, &c, err));       // c.model->adapters
 *     WF_TRY(wf_adapters_merge(c.model, err));                       // the values are the base with the terms in it
 *     wf_adapters_unmerge(c.model);                                  // the base's bits again
 *
 * Ownership: the adapters belong to the model. Thread rule: as the model. */
#ifndef WF_FAMILIES_LOAD_ADAPTER_H
#define WF_FAMILIES_LOAD_ADAPTER_H
#include "families/adapter_config.h"
#include "families/load.h"

typedef struct wf_adapters wf_adapters;

/* ---- opening, for load.c ---- */
typedef struct wf_adapter_files {
    wf_adapter_config config;
    const char *config_path;
    struct wf_safetensors *tensors; /* NULL: a new adapter */
    uint64_t seed;
    bool partial; /* the model lacks its heads: what the adapter has for them has no place */
} wf_adapter_files;

/* Reads the folder, or takes the config of a new adapter (`fresh`; folder NULL). Close also after a failure. */
weft_status wf_adapter_files_open(const wf_env *env, wf_arena *arena, const char *folder, const wf_json *fresh,
                                  wf_adapter_files *out, weft_error *err);
void wf_adapter_files_close(wf_adapter_files *files);
/* Whether the adapter changes one use of a tied tensor and not the other: then they are two tensors. */
weft_status wf_adapter_unties(const wf_adapter_files *files, const wf_checkpoint *checkpoint, bool *yes, weft_error *err);
/* Puts the adapter beside the model's parameters, which have their names; `values`: the base has its values. */
weft_status wf_adapters_attach(wf_checkpoint *checkpoint, const wf_adapter_files *files, bool untied, bool values,
                               weft_error *err);

/* ---- tensors, under the keys of the file ---- */
typedef struct wf_adapter_tensor {
    const char *key;
    int rank;
    int64_t dims[WF_NAME_RANK], count;
    bool trained;
    const struct wf_adapter_unit *unit; /* NULL: a tensor of the base, held whole */
    const wf_tensor_map *map;
    int part; /* A, B or the magnitude */
    int64_t slice;
} wf_adapter_tensor;

size_t wf_adapters_count(const wf_model *model); /* 0: no adapter */
const wf_adapter_tensor *wf_adapters_at(const wf_model *model, size_t i);
/* The values (or the gradients) as the file holds them, [count]. */
weft_status wf_adapter_tensor_write(const wf_model *model, const wf_adapter_tensor *tensor, bool gradients, float *file,
                                    weft_error *err);

/* ---- merging ---- */
/* Puts what the adapter makes of each parameter into its value; fails and changes nothing where no file could say it (one use
 * of a tied tensor): WEFT_UNSUPPORTED, unless `used`: the model is used and not written. */
weft_status wf_adapters_merge(wf_model *model, bool used, weft_error *err);
void wf_adapters_unmerge(wf_model *model);
bool wf_adapters_part(const wf_model *model); /* two uses of a tied tensor are two tensors now */
/* Whether this tensor of the base is another one once merged: it has terms, or the adapter holds it whole. */
bool wf_adapters_change(const wf_model *model, const wf_tensor_map *map);
/* Merged for good: the adapter and its parameters are gone. */
void wf_adapters_drop(wf_model *model);
/* Writes adapter_config.json and adapter_model.safetensors; each appears whole or not at all. */
weft_status wf_adapters_save(const wf_model *model, const char *folder, weft_error *err);
#endif
