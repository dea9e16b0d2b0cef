/* rules.h - private to the families: variables in scope, the words formulas may call, and templates. */
#ifndef WF_FAMILIES_RULES_H
#define WF_FAMILIES_RULES_H
#include "base/expr.h"
#include "families/family.h"

typedef struct wf_var {
    const char *name;
    wf_value value;
} wf_var;

typedef struct wf_vars {
    wf_arena *arena;
    const wf_config_options *options; /* how unlisted members are taken; NULL: ignored */
    wf_var *list;
    size_t count, capacity;
    bool nulls;       /* templates keep members that come out null */
    weft_error *said; /* what a word that failed says, without the expression around it; may be NULL */
} wf_vars;

/* A later variable hides an earlier one of its name. */
weft_status wf_vars_put(wf_vars *vars, const char *name, wf_value value, weft_error *err);
weft_status wf_vars_eval(const wf_vars *vars, const char *expression, wf_value *out, weft_error *err);
/* The formulas of `where`, in order; they see the spec, `block` and `i`. */
weft_status wf_vars_where(wf_vars *vars, const wf_family *family, weft_error *err);
/* Reports a key that no table lists: a warning, or an error in strict mode. `inside` names the object, NULL for the config. */
weft_status wf_unlisted(const wf_config_options *options, const char *inside, const wf_json *key, weft_error *err);

/* What a class of a checkpoint does: the part of its name after "For" or "With"; "LMHeadModel"; else "Model". */
const char *wf_task_of(const char *class_name);

/* The words: `call` of a wf_scope whose user is a wf_vars. */
weft_status wf_word_call(const void *user, const char *name, const wf_value *args, size_t count, wf_arena *arena, wf_value *out,
                         weft_error *err);

/* Fills a template: a string that begins with = is an expression, {"?": condition, "then": a, "else": b} and {"switch":
 * expression, "case": {"text": a, ..}, "else": b} choose, {"each": name, "count": expression, "do": a} repeats; a member that
 * comes out null is left out, but for wf_vars.nulls. */
weft_status wf_template_fill(wf_vars *vars, const wf_json *template_, wf_json **out, weft_error *err);
#endif
