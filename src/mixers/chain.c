/* chain.c - layers one after the other over the same rows, each behind a norm: what Zamba puts before a block's own mixer
 * (Glorioso et al. 2024, arXiv 2405.16712, eq. 4-6; 2411.15242, section 2). */
#include <stdio.h>
#include "base/str.h"
#include "mixers/mixer.h"

static const wf_key keys[] = {{"dim", WF_KEY_INT, NULL, 1, NULL, "width of x"},
                              {"steps", WF_KEY_LIST, NULL, 0, NULL,
                               "list of {mixer, spec, norm {eps (1e-6)}, start (false), add (false), project (false)}: a step "
                               "reads rms(u) * weight, u what the "
                               "one before gave (the first: x); `start`: u beside the rows that the first block read, `add`: x "
                               "+ u; `project`: what it gives goes "
                               "through a matrix"},
                              {NULL}};

static const wf_slot slots[] = {
    {"{n}.step_norm.weight", "[(steps[n].start ?? false) ? 2*dim : dim]", "ones", "(steps[n].norm ?? null) != null",
     "len(steps)", false, NULL},
    {"{n}.project.weight", "[dim, dim]", "linear", "steps[n].project ?? false", "len(steps)", false, NULL},
    {NULL}};

static const wf_json *step_of(const wf_layer *l, size_t i) { return wf_get(l, "steps")->items[i].object; }

static weft_status check_step(const wf_json *step, size_t i, weft_error *err) {
    static const struct {
        const char *name;
        wf_json_kind kind; /* WF_JSON_TRUE: a flag */
    } words[] = {{"mixer", WF_JSON_STRING}, {"spec", WF_JSON_OBJECT}, {"norm", WF_JSON_OBJECT},
                 {"start", WF_JSON_TRUE},   {"add", WF_JSON_TRUE},    {"project", WF_JSON_TRUE}};
    for (const wf_json *j = step->child; j; j = j->next) {
        size_t w = 0;
        while (w < sizeof words / sizeof *words && !wf_streq(j->key, words[w].name))
            w++;
        WF_CHECK(w < sizeof words / sizeof *words, err, WEFT_UNSUPPORTED,
                 "step %zu has no option '%s' (mixer, spec, norm, start, add, project)", i, j->key);
        bool flag = words[w].kind == WF_JSON_TRUE && j->kind == WF_JSON_FALSE;
        WF_CHECK(j->kind == words[w].kind || j->kind == WF_JSON_NULL || flag, err, WEFT_USAGE,
                 "step %zu: '%s' has the wrong type", i, j->key);
    }
    const wf_json *norm = wf_json_get(step, "norm");
    WF_CHECK(wf_json_text(step, "mixer", NULL), err, WEFT_USAGE, "step %zu: 'mixer' (a name) is missing", i);
    for (const wf_json *j = norm ? norm->child : NULL; j; j = j->next)
        WF_CHECK(wf_streq(j->key, "eps"), err, WEFT_UNSUPPORTED, "step %zu: 'norm' has no option '%s' (eps)", i, j->key);
    return WEFT_OK;
}

static weft_status check(const wf_layer *l, weft_error *err) {
    const wf_value *list = wf_get(l, "steps");
    WF_CHECK(list->count > 0, err, WEFT_USAGE, "'steps' is empty");
    for (size_t i = 0; i < list->count; i++) {
        WF_CHECK(list->items[i].type == WF_OBJECT, err, WEFT_USAGE, "'steps': number %zu must be an object", i);
        WF_TRY(check_step(step_of(l, i), i, err));
    }
    return WEFT_OK;
}

static weft_status parts(struct wf_part_builder *b, const wf_layer *l, weft_error *err) {
    char prefix[24];
    for (size_t i = 0; i < wf_get(l, "steps")->count; i++) {
        const wf_json *one = step_of(l, i);
        int64_t wide = wf_json_bool(one, "start", false) ? 2 : 1;
        snprintf(prefix, sizeof prefix, "%zu.", i);
        WF_TRY(wf_layer_add_part(b, prefix, wf_json_text(one, "mixer", ""), wf_json_get(one, "spec"), wide * wf_int(l, "dim"),
                                 err));
    }
    return WEFT_OK;
}

/* What step i reads: u, with what its options add, normed. */
static wf_tensor *input_of(wf_run *r, const wf_layer *l, int i, wf_tensor *u, const wf_ports *io) {
    const wf_json *one = step_of(l, (size_t)i);
    if (wf_json_bool(one, "add", false))
        u = wf_add(r->tape, io->x, u);
    if (wf_json_bool(one, "start", false))
        u = wf_join_channels(r->tape, u, io->start ? io->start : io->x);
    wf_tensor *weight = wf_weight_n(r, l, "{n}.step_norm.weight", i);
    return weight ? wf_rms_norm(r->tape, u, weight, 0.0f, (float)wf_json_double(wf_json_get(one, "norm"), "eps", 1e-6)) : u;
}

static weft_status run(wf_run *r, const wf_layer *l, wf_ports *io) {
    wf_tensor *u = io->x;
    for (int i = 0; i < l->n_parts; i++) {
        wf_ports own = *io;
        own.x = input_of(r, l, i, u, io);
        WF_TRY(wf_run_part(r, l, i, &own));
        wf_tensor *weight = wf_weight_n(r, l, "{n}.project.weight", i);
        u = weight ? wf_linear_as(r->tape, own.y, weight, NULL, WF_F32) : own.y;
        io->aux_loss = own.aux_loss ? own.aux_loss : io->aux_loss;
        io->z_loss = own.z_loss ? own.z_loss : io->z_loss;
    }
    io->y = u;
    return WEFT_OK;
}

const wf_mixer wf_mixer_chain = {.name = "chain",
                                 .about = "layers one after the other, each behind a norm",
                                 .source = "Glorioso et al. 2024, arXiv 2405.16712, eq. 4-6",
                                 .keys = keys,
                                 .slots = slots,
                                 .inputs = "x start? mask? positions? segments?",
                                 .outputs = "y",
                                 .example = "{\"steps\": [{\"mixer\": \"attention\", \"norm\": {}, \"spec\": {\"heads\": "
                                            "\"=dim // 32\", \"causal\": true}}, {\"mixer\": \"mamba\", \"norm\": {}, "
                                            "\"add\": true}]}",
                                 .flops = "0",
                                 .traits = WF_CAUSAL | WF_STREAMS | WF_PADDING_INERT | WF_PERMUTATION | WF_PER_TOKEN,
                                 .bf16 = 0.02,
                                 .companion = "glu",
                                 .check = check,
                                 .parts = parts,
                                 .run = run};
