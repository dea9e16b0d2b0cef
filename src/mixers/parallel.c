/* parallel.c - branches side by side over the same rows, summed: Hymba (Dong et al. 2024, arXiv 2411.13676, section 2.1),
 * Falcon-H1 (Zuo et al. 2025, arXiv 2507.22448, section 3). */
#include <stdio.h>
#include "base/str.h"
#include "mixers/mixer.h"

static const wf_key keys[] = {{"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
                              {"branches", WF_KEY_LIST, NULL, 0, NULL,
                               "list of {mixer, spec, in_scale (1), scale (1), norm {eps (1e-6)}}: y = sum of scale * "
                               "rms(branch(in_scale * x)) * weight"},
                              {NULL}};

static const wf_slot slots[] = {
    {"{n}.branch_norm.weight", "[dim]", "ones", "(branches[n].norm ?? null) != null", "len(branches)", false, NULL}, {NULL}};

static const wf_json *branch(const wf_layer *l, size_t i) { return wf_get(l, "branches")->items[i].object; }

static weft_status check_branch(const wf_json *b, size_t i, weft_error *err) {
    static const char *const words[] = {"mixer", "spec", "in_scale", "scale", "norm"};
    for (const wf_json *j = b->child; j; j = j->next) {
        bool known = false;
        for (size_t w = 0; w < sizeof words / sizeof *words; w++)
            known |= wf_streq(j->key, words[w]);
        WF_CHECK(known, err, WEFT_UNSUPPORTED, "branch %zu has no option '%s' (mixer, spec, in_scale, scale, norm)", i, j->key);
    }
    const wf_json *norm = wf_json_get(b, "norm"), *spec = wf_json_get(b, "spec"), *scale = wf_json_get(b, "scale"),
                  *in = wf_json_get(b, "in_scale");
    WF_CHECK(wf_json_text(b, "mixer", NULL), err, WEFT_USAGE, "branch %zu: 'mixer' (a name) is missing", i);
    WF_CHECK(!spec || spec->kind == WF_JSON_OBJECT, err, WEFT_USAGE, "branch %zu: 'spec' must be an object", i);
    WF_CHECK((!scale || scale->kind == WF_JSON_NUMBER) && (!in || in->kind == WF_JSON_NUMBER), err, WEFT_USAGE,
             "branch %zu: 'scale' and 'in_scale' must be numbers", i);
    WF_CHECK(!norm || norm->kind == WF_JSON_NULL || norm->kind == WF_JSON_OBJECT, err, WEFT_USAGE,
             "branch %zu: 'norm' must be an object", i);
    for (const wf_json *j = norm ? norm->child : NULL; j; j = j->next)
        WF_CHECK(wf_streq(j->key, "eps"), err, WEFT_UNSUPPORTED, "branch %zu: 'norm' has no option '%s' (eps)", i, j->key);
    return WEFT_OK;
}

static weft_status check(const wf_layer *l, weft_error *err) {
    const wf_value *list = wf_get(l, "branches");
    WF_CHECK(list->count > 0, err, WEFT_USAGE, "'branches' is empty");
    for (size_t i = 0; i < list->count; i++) {
        WF_CHECK(list->items[i].type == WF_OBJECT, err, WEFT_USAGE, "'branches': number %zu must be an object", i);
        WF_TRY(check_branch(branch(l, i), i, err));
    }
    return WEFT_OK;
}

static weft_status parts(struct wf_part_builder *b, const wf_layer *l, weft_error *err) {
    char prefix[24];
    for (size_t i = 0; i < wf_get(l, "branches")->count; i++) {
        const wf_json *one = branch(l, i);
        snprintf(prefix, sizeof prefix, "%zu.", i);
        WF_TRY(wf_layer_add_part(b, prefix, wf_json_text(one, "mixer", ""), wf_json_get(one, "spec"), wf_int(l, "dim"), err));
    }
    return WEFT_OK;
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tensor *sum = NULL;
    for (int i = 0; i < l->n_parts; i++) {
        const wf_json *one = branch(l, (size_t)i), *norm = wf_json_get(one, "norm");
        wf_ports own = *io;
        own.x = wf_scale(r->tape, io->x, (float)wf_json_double(one, "in_scale", 1.0));
        WF_TRY(wf_run_part(r, l, i, &own));
        wf_tensor *weight = wf_weight_n(r, l, "{n}.branch_norm.weight", i);
        wf_tensor *y = weight ? wf_rms_norm(r->tape, own.y, weight, 0.0f, (float)wf_json_double(norm, "eps", 1e-6)) : own.y;
        y = wf_scale(r->tape, y, (float)wf_json_double(one, "scale", 1.0));
        sum = i ? wf_add(r->tape, sum, y) : y;
        io->aux_loss = own.aux_loss ? own.aux_loss : io->aux_loss;
        io->z_loss = own.z_loss ? own.z_loss : io->z_loss;
    }
    io->y = sum;
    return WEFT_OK;
}

const wf_mixer wf_mixer_parallel = {.name = "parallel",
                                    .about = "a weighted sum of mixers over the same rows",
                                    .source = "Dong et al. 2024, arXiv 2411.13676; Zuo et al. 2025, arXiv 2507.22448",
                                    .keys = keys,
                                    .slots = slots,
                                    .inputs = "x mask? positions? segments?",
                                    .outputs = "y",
                                    .example = "{\"branches\": [{\"mixer\": \"attention\", \"spec\": {\"heads\": \"=dim // "
                                               "32\", \"causal\": true}}, {\"mixer\": \"mamba\"}]}",
                                    .flops = "0",
                                    .bf16 = 0.012,
                                    .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PERMUTATION | WF_PER_TOKEN,
                                    .companion = "glu",
                                    .check = check,
                                    .parts = parts,
                                    .run = run};
