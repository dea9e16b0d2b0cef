/* optimizers.c - the table of optimizers: one line each. */
#include "train/optimizer.h"

#define ROW(name) extern const wf_optimizer_row wf_optimizer_##name;
#include "train/optimizers.def"
#undef ROW

const wf_optimizer_row *const wf_optimizers[] = {
#define ROW(name) &wf_optimizer_##name,
#include "train/optimizers.def"
#undef ROW
    NULL};

const wf_option wf_optimizer_common[] = {
    {.name = "no_decay",
     .type = WF_OPTION_CHOICE,
     .at = WF_OPT_NO_DECAY,
     .fallback = {NAN},
     .choices = "1-D|usual",
     .nullable = true,
     .help =
         "1-D: tensors with fewer than two dimensions do not decay; usual: nor those that published code of a mixer exempts "
         "(rates and steps of states)"},
    {.name = "maximize", .type = WF_OPTION_BOOL, .at = WF_OPT_MAXIMIZE, .help = "climb instead of descending"},
    {0}};

static const char *name_at(const void *user, size_t i) { return wf_optimizers[i] ? wf_optimizers[i]->name : NULL; }

const wf_optimizer_row *wf_optimizer_find(const char *name, weft_error *err) {
    for (size_t i = 0; wf_optimizers[i]; i++)
        if (wf_streq(wf_optimizers[i]->name, name))
            return wf_optimizers[i];
    const char *near = wf_nearest(name, name_at, NULL);
    wf_fail(err, WEFT_USAGE,
            near ? "unknown optimizer \"%s\"; did you mean \"%s\"?" : "unknown optimizer \"%s\"; see: weft list optimizers",
            name, near);
    return NULL;
}
