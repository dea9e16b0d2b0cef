/* adapter_config.h - adapter_config.json of a PEFT folder: which modules an adapter changes, and how.
 *
 *     wf_adapter_config config;
 *     WF_TRY(wf_adapter_config_read(mem, json, &config, err));
 *     WF_TRY(wf_adapter_targets(&config, &(wf_adapter_module){"model.layers.0.self_attn.q_proj", true}, &yes, err));
 *
 * Every key that changes the result is honoured or refused by name (WEFT_UNSUPPORTED). Patterns are regular expressions as
 * Python reads them; they run with limits. Thread rule: immutable once read. */
#ifndef WF_FAMILIES_ADAPTER_CONFIG_H
#define WF_FAMILIES_ADAPTER_CONFIG_H
#include "base/json.h"

typedef enum wf_adapter_bias { WF_ADAPTER_BIAS_NONE, WF_ADAPTER_BIAS_ALL, WF_ADAPTER_BIAS_TARGETS } wf_adapter_bias;

typedef struct wf_adapter_config {
    const wf_mem *mem;
    const wf_json *json; /* of the caller; must outlive this */
    int64_t rank;
    double alpha;
    float dropout;
    bool root_scaled, dora; /* use_rslora, use_dora */
    bool all_linear;        /* target_modules is "all-linear" */
    wf_adapter_bias bias;
    const wf_json *targets, *excluded, *saved, *layers, *layers_pattern, *rank_pattern, *alpha_pattern; /* NULL: none */
    const char *const *heads; /* what the task saves whole: names, NULL behind the last */
} wf_adapter_config;

/* From JSON that a file or a caller gave. */
weft_status wf_adapter_config_read(const wf_mem *mem, const wf_json *json, wf_adapter_config *out, weft_error *err);

typedef struct wf_adapter_module {
    const char *name;
    bool linear; /* a projection other than the last one, for "all-linear" */
} wf_adapter_module;

/* Whether the adapter has terms for this module. WEFT_BAD_INPUT: a pattern that is no regular expression; WEFT_FAILURE: one
 * that searches without end. */
weft_status wf_adapter_targets(const wf_adapter_config *config, const wf_adapter_module *module, bool *yes, weft_error *err);
/* Whether the tensor belongs to a module that the adapter holds whole. */
bool wf_adapter_saves(const wf_adapter_config *config, const char *tensor);
/* Rank and scale of a module's terms. */
weft_status wf_adapter_strength(const wf_adapter_config *config, const char *module, int64_t *rank, float *scale,
                                weft_error *err);
#endif
