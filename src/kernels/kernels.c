/* kernels.c - the plain C record, and the choice of vector forms for this processor. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/str.h"
#include "kernels/kernels.h"
#include "kernels/ref/ref.h"

const wf_kernels wf_kernels_ref = {
    .isa = "plain C",
#define WF_KERNEL(result, name, args) .name = wf_ref_##name,
#include "kernels/kernels.def"
#undef WF_KERNEL
};

const char *const wf_activation_names[WF_ACTIVATION_COUNT] = {
    [WF_RELU] = "relu",
    [WF_GELU] = "gelu",
    [WF_GELU_TANH] = "gelu_tanh",
    [WF_QUICK_GELU] = "quick_gelu",
    [WF_SILU] = "silu",
    [WF_RELU2] = "relu2",
    [WF_SIGMOID] = "sigmoid",
    [WF_TANH] = "tanh",
    [WF_IDENTITY] = "identity",
    [WF_ELU1] = "elu1",
    [WF_SOFTPLUS] = "softplus",
    [WF_EXP] = "exp",
    [WF_RELU6] = "relu6",
    [WF_LEAKY_RELU] = "leaky_relu",
    [WF_HARDSWISH] = "hardswish",
    [WF_MISH] = "mish",
    [WF_GELU_10] = "gelu_10",
    [WF_LAPLACE] = "laplace",
    [WF_SQRT_SOFTPLUS] = "sqrtsoftplus",
};

int wf_activation_by_name(const char *name) {
    static const struct {
        const char *name;
        wf_activation kind;
    } aliases[] = {{"gelu_new", WF_GELU_TANH},
                   {"gelu_pytorch_tanh", WF_GELU_TANH},
                   {"gelu_fast", WF_GELU_TANH},
                   {"swish", WF_SILU},
                   {"gelu_python", WF_GELU}};
    for (int i = 0; i < WF_ACTIVATION_COUNT; i++)
        if (wf_streq(name, wf_activation_names[i]))
            return i;
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (wf_streq(name, aliases[i].name))
            return (int)aliases[i].kind;
    return -1;
}

#define WF_ISA_ROW(name, condition) void wf_fill_all_##name(wf_kernels *k);
#include "kernels/isas.def"
#undef WF_ISA_ROW

typedef void (*fill_fn)(wf_kernels *k);

static const char *const known[] = {
#define WF_ISA_ROW(name, condition) #name,
#include "kernels/isas.def"
#undef WF_ISA_ROW
};
enum { KNOWN = sizeof known / sizeof *known };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *found_names[KNOWN + 1]; /* the supported ones: a prefix of known */
static fill_fn found_fill[KNOWN];
static int found_count;

static bool note(const char *name, fill_fn fill, bool supported) {
    if (!supported)
        return false;
    found_names[found_count] = name;
    found_fill[found_count++] = fill;
    return true;
}

static void detect(void) {
#define WF_ISA_ROW(name, condition)                                                                                            \
    if (!note(#name, wf_fill_all_##name, condition))                                                                           \
        return;
#include "kernels/isas.def"
#undef WF_ISA_ROW
}

const char *const *wf_kernels_isas(void) {
    pthread_once(&once, detect);
    return found_names;
}

static const char *next_known(const void *user, size_t i) { return i < KNOWN ? known[i] : NULL; }

/* Place of `mask` in the list of known names. */
static weft_status find_mask(const char *mask, int *place, weft_error *err) {
    for (*place = 0; *place < KNOWN; ++*place)
        if (wf_streq(mask, known[*place]))
            return WEFT_OK;
    const char *near = wf_nearest(mask, next_known, NULL);
    if (near)
        return wf_fail(err, WEFT_USAGE, "unknown instruction set '%.40s', did you mean '%s'?", mask, near);
    char list[128] = "";
    for (int i = 0; i < KNOWN; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", known[i]);
    }
    return wf_fail(err, WEFT_USAGE, "unknown instruction set '%.40s'; known here: %s", mask, list);
}

weft_status wf_kernels_choose(const char *mask, wf_kernels *out, weft_error *err) {
    if (!mask)
        mask = getenv("WEFT_CPU");
    int limit = KNOWN - 1;
    if (mask && *mask)
        WF_TRY(find_mask(mask, &limit, err));
    wf_kernels_isas();
    *out = wf_kernels_ref;
    for (int i = 0; i <= limit && i < found_count; i++) {
        found_fill[i](out);
        out->isa = found_names[i];
    }
    return WEFT_OK;
}
