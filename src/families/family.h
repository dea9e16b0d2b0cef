/* family.h - checkpoint conventions as data. A family is a JSON file (docs/families.md is its language): config keys to a spec,
 * weight names to parameters, and both backwards.
 *
 *     wf_families set;
 *     WF_TRY(wf_families_open(&env->mem, &set, err));
 *     const wf_family *family;
 *     WF_TRY(wf_family_of_config(&set, config, &family, err));
 *     WF_TRY(wf_family_spec(family, &arena, config, &(wf_config_options){.env = env}, &spec, err));
 *
 * Errors about a config are WEFT_BAD_INPUT, or WEFT_UNSUPPORTED for what weft knows and does not do; both name the key and
 * carry its offset. Thread rule: a set is immutable once opened. */
#ifndef WF_FAMILIES_FAMILY_H
#define WF_FAMILIES_FAMILY_H
#include "base/env.h"
#include "base/json.h"

typedef struct wf_family {
    const char *name;
    const wf_json *json;    /* the family's own file, over that of the family it is like */
    const wf_json *pattern; /* the same with {base} in its names */
    const wf_json *common;  /* what every config may hold: keys, ignored, refused */
    bool derived;           /* like another family, whose file its own stands over */
} wf_family;

typedef struct wf_families {
    wf_arena arena;
    wf_family *list; /* those added last come first */
    size_t count, capacity;
    const wf_json *common;
} wf_families;

weft_status wf_families_open(const wf_mem *mem, wf_families *out, weft_error *err); /* the built-in ones */
void wf_families_close(wf_families *set);
/* One more, found before the others: `name` is for messages. */
weft_status wf_families_add(wf_families *set, const char *name, const char *text, size_t size, weft_error *err);

/* A config.json from text. Bare NaN and Infinity, which Python writes, become strings: harmless under a key nobody reads, of
 * the wrong type under the others. */
weft_status wf_config_parse(wf_arena *arena, const char *text, size_t size, wf_json **out, weft_error *err);

/* By model_type, or by architectures when that is absent. WEFT_UNSUPPORTED names what is not known. */
weft_status wf_family_of_config(const wf_families *set, const wf_json *config, const wf_family **out, weft_error *err);

typedef struct wf_config_options {
    const wf_env *env; /* its log gets one warning per key that no table lists; may be NULL */
    bool strict;       /* such a key is WEFT_UNSUPPORTED instead */
    const char *where; /* the config's file, for that warning; NULL: it has none */
} wf_config_options;

/* The spec a config describes, in `arena`. It has not been through wf_spec_read. */
weft_status wf_family_spec(const wf_family *family, wf_arena *arena, const wf_json *config, const wf_config_options *options,
                           wf_json **spec, weft_error *err);
/* The config whose spec would be `normal` (wf_spec_normal), as far as the family can say it: read it back with wf_family_spec
 * and compare. WEFT_BAD_INPUT when an expression fails, which means that it cannot. `context`: trained length, 0 unknown. */
weft_status wf_family_config(const wf_family *family, wf_arena *arena, const wf_json *normal, int64_t context, wf_json **config,
                             weft_error *err);
/* What the reference calls hidden states of such a model: a word, or a list of places ("into N", "of N"); NULL: not said. */
weft_status wf_family_hidden(const wf_family *family, wf_arena *arena, const wf_json *normal, wf_json **out, weft_error *err);
#endif
