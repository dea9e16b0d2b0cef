#include "verify/inputs.h"
#include "gen/session.h"
#include <string.h>

typedef struct reader {
    wf_fixture *fx;
    const wf_model *model;
    int64_t stacked, index;
    wf_model_inputs *in;
    weft_error *err;
} reader;

/* The integers of one micro-batch of an input [B,T] or [stacked,B,T]; NULL when it is absent. */
static weft_status read_rows(reader *r, const char *name, int64_t **out) {
    const wf_stored_tensor *t = wf_fixture_input(r->fx, name);
    int lead = r->stacked > 0;
    int64_t dims[3] = {r->stacked, r->in->batch, r->in->rows};
    *out = NULL;
    if (!t)
        return WEFT_OK;
    WF_TRY(wf_fixture_shape(t, 2 + lead, dims + 1 - lead, r->err));
    WF_TRY(wf_fixture_ints(r->fx, t, out, r->err));
    *out += r->index * r->in->batch * r->in->rows;
    return WEFT_OK;
}

static weft_status read_ids(reader *r, const char *name, int32_t **out) {
    int64_t *wide, count = r->in->batch * r->in->rows, vocab = r->model->spec->vocab;
    WF_TRY(read_rows(r, name, &wide));
    if (!wide)
        return WEFT_OK;
    if (!(*out = wf_arena_alloc(&r->fx->arena, (size_t)count * sizeof **out)))
        return wf_fail_memory(r->err);
    for (int64_t i = 0; i < count; i++) {
        WF_CHECK(wide[i] >= 0 && wide[i] < vocab, r->err, WEFT_BAD_INPUT, "'%s' holds %lld, outside the vocabulary", name, (long long)wide[i]);
        (*out)[i] = (int32_t)wide[i];
    }
    return WEFT_OK;
}

static weft_status read_mask(reader *r) {
    int64_t *wide, count = r->in->batch * r->in->rows;
    WF_TRY(read_rows(r, "attention_mask", &wide));
    if (!wide)
        return WEFT_OK;
    if (!(r->in->mask = wf_arena_alloc(&r->fx->arena, (size_t)count)))
        return wf_fail_memory(r->err);
    for (int64_t i = 0; i < count; i++)
        r->in->mask[i] = wide[i] != 0;
    return WEFT_OK;
}

static weft_status read_positions(reader *r) {
    int64_t count = r->in->batch * r->in->rows, most = wf_model_position_limit(r->model);
    WF_TRY(read_rows(r, "position_ids", &r->in->positions));
    r->in->length = r->in->rows;
    for (int64_t i = 0; r->in->positions && i < count; i++) {
        int64_t p = r->in->positions[i];
        WF_CHECK(p >= 0 && (most == 0 || p < most), r->err, WEFT_BAD_INPUT, "'position_ids' holds %lld", (long long)p);
        r->in->length = i == 0 || p + 1 > r->in->length ? p + 1 : r->in->length;
    }
    WF_CHECK(r->in->positions || most == 0 || r->in->rows <= most, r->err, WEFT_BAD_INPUT, "the sequence is longer than the %lld positions",
             (long long)most);
    return WEFT_OK;
}

/* Causal models predict the next token: the target of a row is the label of the one after it. */
static weft_status read_targets(reader *r) {
    int64_t *labels, rows = r->in->rows;
    WF_TRY(read_rows(r, "labels", &labels));
    if (!labels)
        return WEFT_OK;
    if (!(r->in->targets = wf_arena_alloc(&r->fx->arena, (size_t)(r->in->batch * rows) * sizeof *r->in->targets)))
        return wf_fail_memory(r->err);
    for (int64_t i = 0; i < r->in->batch * rows; i++) {
        int64_t label = (i + 1) % rows ? labels[i + 1] : -100;
        WF_CHECK(label == -100 || (label >= 0 && label < r->model->spec->vocab), r->err, WEFT_BAD_INPUT, "'labels' holds %lld", (long long)label);
        r->in->targets[i] = (int32_t)label;
    }
    return WEFT_OK;
}

static weft_status check_names(const reader *r) {
    static const char *const known[] = {"input_ids", "attention_mask", "position_ids", "token_type_ids", "labels", "probe", NULL};
    for (size_t i = 0; i < wf_safetensors_count(r->fx->inputs); i++) {
        const char *name = wf_safetensors_at(r->fx->inputs, i)->name;
        size_t k = 0;
        while (known[k] && !wf_streq(known[k], name))
            k++;
        WF_CHECK(known[k], r->err, WEFT_UNSUPPORTED, "input '%s'", name);
    }
    return WEFT_OK;
}

static weft_status read_probe(reader *r) {
    const wf_stored_tensor *probe = wf_fixture_input(r->fx, "probe");
    float *values;
    if (!probe)
        return WEFT_OK;
    WF_TRY(wf_fixture_shape(probe, 3, (int64_t[]){r->in->batch, r->in->rows, r->model->spec->vocab}, r->err));
    WF_TRY(wf_fixture_floats(r->fx, probe, &values, r->err));
    r->in->probe = values;
    return WEFT_OK;
}

weft_status wf_model_inputs_read(wf_fixture *fx, const wf_model *model, int64_t stacked, int64_t index, wf_model_inputs *out, weft_error *err) {
    reader r = {fx, model, stacked, index, out, err};
    const wf_stored_tensor *ids = wf_fixture_input(fx, "input_ids");
    int lead = stacked > 0;
    memset(out, 0, sizeof *out);
    WF_CHECK(ids && ids->rank == 2 + lead && wf_stored_count(ids) > 0, err, WEFT_BAD_INPUT, "'input_ids' is missing or of the wrong shape");
    out->batch = ids->dims[lead];
    out->rows = ids->dims[lead + 1];
    WF_TRY(check_names(&r));
    WF_TRY(read_ids(&r, "input_ids", &out->ids));
    WF_TRY(read_ids(&r, "token_type_ids", &out->types));
    WF_CHECK(!out->types || model->spec->stem.types, err, WEFT_UNSUPPORTED, "input 'token_type_ids' of this model");
    WF_TRY(read_mask(&r));
    WF_TRY(read_positions(&r));
    WF_TRY(read_targets(&r));
    return read_probe(&r);
}

int64_t wf_model_inputs_targets(const wf_model_inputs *in) {
    int64_t n = 0;
    for (int64_t i = 0; in->targets && i < in->batch * in->rows; i++)
        n += in->targets[i] != -100;
    return n;
}

/* ---- on a tape ---- */
wf_input_tensors wf_model_inputs_record(const wf_model_inputs *in, wf_tape *tape, int64_t batch, int64_t rows, bool targets, wf_model_ports *ports) {
    int64_t dims[2] = {batch, rows};
    wf_input_tensors t = {.ids = wf_input(tape, "ids", WF_I32, 2, dims)};
    if (in->types)
        t.types = wf_input(tape, "types", WF_I32, 2, dims);
    if (in->mask)
        t.mask = wf_input(tape, "mask", WF_U8, 2, dims);
    if (in->positions)
        t.positions = wf_input(tape, "positions", WF_I64, 2, dims);
    if (targets && in->targets)
        t.targets = wf_input(tape, "targets", WF_I32, 2, dims);
    ports->ids = t.ids;
    ports->types = t.types;
    ports->mask = t.mask;
    ports->positions = t.positions;
    return t;
}

void wf_model_inputs_load(const wf_model_inputs *in, const wf_input_tensors *t, int64_t b, int64_t first) {
    const struct { wf_tensor *tensor; const void *from; size_t size; } all[] = {{t->ids, in->ids, sizeof *in->ids},
                                                                                {t->types, in->types, sizeof *in->types},
                                                                                {t->mask, in->mask, sizeof *in->mask},
                                                                                {t->positions, in->positions, sizeof *in->positions},
                                                                                {t->targets, in->targets, sizeof *in->targets}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const wf_tensor *to = all[i].tensor;
        if (!to || !to->data)
            continue;
        for (int64_t s = 0; s < to->dims[0]; s++)
            memcpy((char *)to->data + (size_t)(s * to->dims[1]) * all[i].size,
                   (const char *)all[i].from + (size_t)((b + s) * in->rows + first) * all[i].size, (size_t)to->dims[1] * all[i].size);
    }
}
