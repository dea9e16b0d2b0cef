/* presets.h - whole specs as data, and fitting them to a size.
 *
 * A preset (presets/NAME.json) is a spec whose strings of the form "=expr" are expressions over dim, layers, hidden, vocab and
 * context; its free numbers are solved so that every architecture of a comparison has the same number of parameters. A text
 * pattern such as `mamba*3+attention` names mixers (or presets) whose blocks alternate; the cycle fills the layers. */
#ifndef WF_PRESETS_PRESETS_H
#define WF_PRESETS_PRESETS_H
#include "model/model.h"

typedef struct wf_sizes {
    int64_t dim, layers, hidden, vocab, context;
} wf_sizes;

/* The names of the presets, NULL-terminated; about: one line each. */
const char *wf_preset_name(size_t i); /* NULL at the end */
weft_status wf_preset_about(wf_arena *arena, const char *name, const char **about, weft_error *err);
bool wf_preset_exists(const char *name);

/* The template of a preset, a pattern, or a spec's JSON given as an object (then only sizes written as "=.." are free). */
weft_status wf_preset_template(wf_arena *arena, const char *name, wf_json **out, weft_error *err);
/* The template of a mixer's options, as its row shows them: {"mixer": NAME, "spec": {..}}. */
weft_status wf_preset_mixer(wf_arena *arena, const wf_mixer *row, wf_json **out, weft_error *err);
/* Fills a template's expressions in; every size must be set. */
weft_status wf_preset_fill(wf_arena *arena, const wf_json *template_, const wf_sizes *sizes, wf_json **spec, weft_error *err);
typedef struct wf_sizing {
    int64_t params, vocab, context;
} wf_sizing;
/* The spec of about sizing->params parameters (within 2 %, usually far less); vocabulary and context are given. */
weft_status wf_preset_solve(const wf_env *env, wf_arena *arena, const wf_json *template_, const wf_sizing *sizing,
                            wf_json **spec, weft_error *err);
/* Parameters of a spec, without allocating them. */
weft_status wf_spec_params(const wf_env *env, const wf_json *spec, int64_t *out, weft_error *err);
#endif
