/* mixer.c - kind `mixer`: one token or channel mixer with its projections, in the full form, and in the chunk and step forms
 * where it streams. */
#include <string.h>
#include "base/reader.h"
#include "verify/fixture.h"
#include "verify/forms.h"

typedef struct mixer_run {
    wf_fixture *fx;
    wf_layer *layer;
    wf_params params;
    wf_safetensors *weights;
    wf_form_io io;
    weft_error *err;
} mixer_run;

/* ---- weights ---- */
static weft_status open_weights(mixer_run *m) {
    char *path = wf_path_join(&m->fx->arena, m->fx->path, "weights.safetensors");
    if (!path)
        return wf_fail_memory(m->err);
    if (m->layer->n_slots == 0 && !wf_is_file(path)) /* a mixer without parameters */
        return WEFT_OK;
    return wf_safetensors_open(&m->fx->env->mem, path, &m->weights, m->err);
}

/* The weight of a norm that the file leaves out is 1. */
static weft_status load_weight(mixer_run *m, wf_param *p, const char *start) {
    const wf_stored_tensor *t = wf_safetensors_find(m->weights, p->name);
    if (!t && wf_streq(start, "ones") && wf_ends_with(p->name, "norm.weight")) {
        for (int64_t i = 0; i < p->count; i++)
            p->value[i] = 1.0f;
        return WEFT_OK;
    }
    WF_CHECK(t && t->type >= 0, m->err, WEFT_MISMATCH, "the weights lack '%s'", p->name);
    WF_TRY(wf_fixture_shape(t, p->rank, p->dims, m->err));
    wf_dtypes[t->type].to_f32(p->value, t->data, p->count);
    return WEFT_OK;
}

static weft_status load_weights(mixer_run *m) {
    WF_TRY(wf_form_params(&m->params, m->layer, m->err));
    for (size_t i = 0; i < m->layer->n_slots; i++)
        WF_TRY(load_weight(m, m->layer->slots[i].param, m->layer->slots[i].row->init));
    for (size_t i = 0; m->weights && i < wf_safetensors_count(m->weights); i++) {
        const char *name = wf_safetensors_at(m->weights, i)->name;
        WF_CHECK(wf_param_find(&m->params, name), m->err, WEFT_MISMATCH, "the mixer has no slot for the weight '%s'", name);
    }
    return WEFT_OK;
}

/* ---- inputs ---- */
static bool has_word(const char *words, const char *word) {
    size_t n = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == 0 || at[n] == ' ' || at[n] == '?'))
            return true;
    return false;
}

static int state_index(const wf_layer *layer, const char *name) {
    for (int i = 0; i < layer->n_states; i++)
        if (layer->states[i].present && wf_streq(layer->states[i].name, name))
            return i;
    return -1;
}

/* Sizes come from x and memory; everything else must agree with them. */
static weft_status read_sizes(mixer_run *m) {
    const wf_stored_tensor *x = wf_fixture_input(m->fx, "x"), *memory = wf_fixture_input(m->fx, "memory");
    WF_CHECK(x && x->rank == 3 && wf_stored_count(x) > 0, m->err, WEFT_BAD_INPUT,
             "the input 'x' is missing or of the wrong shape");
    WF_CHECK(!memory || (memory->rank == 3 && memory->dims[0] == x->dims[0]), m->err, WEFT_BAD_INPUT,
             "'memory' has the wrong shape");
    m->io.batch = x->dims[0];
    m->io.rows = x->dims[1];
    m->io.dim = x->dims[2];
    m->io.memory_rows = memory ? memory->dims[1] : 0;
    m->io.memory_dim = memory ? memory->dims[2] : 0;
    return WEFT_OK;
}

static weft_status read_floats(mixer_run *m, const wf_stored_tensor *t, const float **out) {
    float *values;
    WF_TRY(wf_fixture_floats(m->fx, t, &values, m->err));
    *out = values;
    return WEFT_OK;
}

static weft_status read_ints(mixer_run *m, const wf_stored_tensor *t, int rank, const int64_t **out) {
    int64_t *values;
    WF_TRY(wf_fixture_shape(t, rank, (int64_t[]){m->io.batch, m->io.rows}, m->err));
    WF_TRY(wf_fixture_ints(m->fx, t, &values, m->err));
    *out = values;
    return WEFT_OK;
}

static weft_status read_bytes(mixer_run *m, const wf_stored_tensor *t, int64_t rows, const uint8_t **out) {
    uint8_t *values;
    WF_TRY(wf_fixture_shape(t, 2, (int64_t[]){m->io.batch, rows}, m->err));
    WF_TRY(wf_fixture_bytes(m->fx, t, &values, m->err));
    *out = values;
    return WEFT_OK;
}

/* [a,b,rest] -> [b,a,rest]. */
static weft_status swap_first(mixer_run *m, const float **values, int64_t a, int64_t b, int64_t count) {
    float *swapped = wf_arena_alloc(&m->fx->arena, (size_t)count * sizeof *swapped);
    size_t rest = (size_t)(count / (a * b));
    if (!swapped)
        return wf_fail_memory(m->err);
    for (int64_t i = 0; i < a; i++)
        for (int64_t j = 0; j < b; j++)
            memcpy(swapped + (size_t)(j * a + i) * rest, *values + (size_t)(i * b + j) * rest, rest * sizeof *swapped);
    *values = swapped;
    return WEFT_OK;
}

static bool torch_layout(const mixer_run *m, int state) {
    return (m->layer->row->traits & WF_TORCH_STATES) && m->layer->states[state].rank > 0;
}

/* A state that comes in: "position" is how many tokens were seen before, the others are the row's own. */
static weft_status read_state(mixer_run *m, const wf_stored_tensor *t, const char *name) {
    int64_t *position;
    int i = state_index(m->layer, name);
    if (i < 0 && wf_streq(name, "position")) {
        WF_TRY(wf_fixture_ints(m->fx, t, &position, m->err));
        m->io.start = wf_stored_count(t) > 0 ? position[0] : 0;
        return WEFT_OK;
    }
    WF_CHECK(i >= 0, m->err, WEFT_UNSUPPORTED, "state '%s'", name);
    int64_t count = m->io.batch;
    for (int d = 0; d < m->layer->states[i].rank; d++)
        count *= m->layer->states[i].dims[d];
    WF_CHECK(wf_stored_count(t) == count, m->err, WEFT_BAD_INPUT, "'%s' has another shape than expected", t->name);
    WF_TRY(read_floats(m, t, &m->io.state_in[i]));
    return torch_layout(m, i) ? swap_first(m, &m->io.state_in[i], m->layer->states[i].dims[0], m->io.batch, count) : WEFT_OK;
}

static weft_status read_v_first(mixer_run *m, const wf_stored_tensor *t) {
    m->io.v_first_dim = t->rank == 3 ? t->dims[2] : 0;
    WF_TRY(wf_fixture_shape(t, 3, (int64_t[]){m->io.batch, m->io.rows, m->io.v_first_dim}, m->err));
    return read_floats(m, t, &m->io.v_first);
}

static weft_status read_plan(mixer_run *m, const wf_stored_tensor *t) {
    int64_t *values;
    WF_CHECK(t->rank == 3, m->err, WEFT_BAD_INPUT, "'plan' must have three dimensions");
    WF_TRY(wf_fixture_ints(m->fx, t, &values, m->err));
    m->io.plan = values;
    memcpy(m->io.plan_dims, t->dims, sizeof m->io.plan_dims);
    return WEFT_OK;
}

static weft_status read_input(mixer_run *m, const wf_stored_tensor *t) {
    wf_form_io *io = &m->io;
    if (wf_starts_with(t->name, "state.in."))
        return read_state(m, t, t->name + strlen("state.in."));
    if (wf_streq(t->name, "dy"))
        return read_floats(m, t, &io->dy);
    WF_CHECK(has_word(m->layer->row->inputs, t->name), m->err, WEFT_UNSUPPORTED, "input '%s' of %s", t->name,
             m->layer->row->name);
    if (wf_streq(t->name, "x"))
        return read_floats(m, t, &io->x);
    if (wf_streq(t->name, "memory"))
        return read_floats(m, t, &io->memory);
    if (wf_streq(t->name, "v_first"))
        return read_v_first(m, t);
    if (wf_streq(t->name, "mask"))
        return read_bytes(m, t, io->rows, &io->mask);
    if (wf_streq(t->name, "global_mask"))
        return read_bytes(m, t, io->rows, &io->global_mask);
    if (wf_streq(t->name, "plan"))
        return read_plan(m, t);
    if (wf_streq(t->name, "memory_mask"))
        return read_bytes(m, t, io->memory_rows, &io->memory_mask);
    if (wf_streq(t->name, "positions"))
        return read_ints(m, t, 2, &io->positions);
    if (wf_streq(t->name, "segments"))
        return read_ints(m, t, 2, &io->segments);
    WF_CHECK(wf_streq(t->name, "prefix"), m->err, WEFT_UNSUPPORTED, "input '%s'", t->name);
    return read_ints(m, t, 1, &io->prefix);
}

static weft_status read_inputs(mixer_run *m) {
    WF_TRY(read_sizes(m));
    for (size_t i = 0; i < wf_safetensors_count(m->fx->inputs); i++)
        WF_TRY(read_input(m, wf_safetensors_at(m->fx->inputs, i)));
    const wf_stored_tensor *dy = wf_fixture_input(m->fx, "dy");
    return dy ? wf_fixture_shape(dy, 3, (int64_t[]){m->io.batch, m->io.rows, dy->dims[dy->rank - 1]}, m->err) : WEFT_OK;
}

/* ---- what is differentiated ---- */
static weft_status read_backward(mixer_run *m) {
    const char *backward = wf_json_text(m->fx->json, "backward", "sum(y*dy)");
    const wf_json *spec = wf_json_get(m->fx->json, "spec");
    bool router = wf_streq(backward, "sum(y*dy) + aux_weight*aux_loss + z_weight*z_loss");
    WF_CHECK(router || wf_streq(backward, "sum(y*dy)"), m->err, WEFT_UNSUPPORTED, "backward of '%s'", backward);
    if (router) {
        m->io.aux_weight = wf_json_double(spec, "aux_weight", 0.0);
        m->io.z_weight = wf_json_double(spec, "z_weight", 0.0);
    }
    return WEFT_OK;
}

/* ---- comparing ---- */
static weft_status compare(mixer_run *m, const char *name, const char *form, const float *got, int64_t count) {
    return got ? wf_fixture_compare(m->fx, name, form, got, count, m->err) : WEFT_OK;
}

static weft_status compare_states(mixer_run *m, const wf_form_io *io, const char *form) {
    for (int i = 0; i < m->layer->n_states; i++) {
        char *name = wf_arena_printf(&m->fx->arena, "state.out.%s", m->layer->states[i].name);
        if (!name)
            return wf_fail_memory(m->err);
        const float *got = io->state_out[i];
        if (got && torch_layout(m, i))
            WF_TRY(swap_first(m, &got, io->batch, m->layer->states[i].dims[0], io->state_count[i]));
        WF_TRY(compare(m, name, form, got, io->state_count[i]));
    }
    return WEFT_OK;
}

static weft_status compare_gradients(mixer_run *m, const wf_form_io *io, const char *form) {
    WF_TRY(compare(m, "grad.x", form, io->dx, io->batch * io->rows * io->dim));
    WF_TRY(compare(m, "grad.memory", form, io->dmemory, io->batch * io->memory_rows * io->memory_dim));
    for (size_t i = 0; i < m->params.count && io->dy; i++) {
        const wf_param *p = m->params.list[i];
        char *name = wf_arena_printf(&m->fx->arena, "grad.%s", p->name);
        if (!name)
            return wf_fail_memory(m->err);
        WF_TRY(compare(m, name, form, p->grad, p->count));
    }
    return WEFT_OK;
}

static weft_status run_full(mixer_run *m) {
    wf_form_io *io = &m->io;
    bool with_state = io->start != 0;
    for (size_t i = 0; i < wf_safetensors_count(m->fx->inputs); i++)
        with_state |= wf_starts_with(wf_safetensors_at(m->fx->inputs, i)->name, "state.in.");
    for (size_t i = 0; i < wf_safetensors_count(m->fx->expected); i++)
        with_state |= wf_starts_with(wf_safetensors_at(m->fx->expected, i)->name, "state.out.");
    WF_TRY(wf_form_full(m->fx->env, m->layer, io, with_state, &m->fx->arena, m->err));
    WF_TRY(compare(m, "y", NULL, io->y, io->batch * io->rows * io->width));
    WF_TRY(compare(m, "attention", NULL, io->attention, io->attention_count));
    WF_TRY(compare(m, "aux_loss", NULL, io->aux_loss, 1));
    WF_TRY(compare(m, "z_loss", NULL, io->z_loss, 1));
    WF_TRY(compare(m, "v_first", NULL, io->v_first_out, io->v_first_count));
    WF_TRY(compare(m, "weights", NULL, io->weights, io->choice_count));
    if (io->indices)
        WF_TRY(wf_fixture_compare_ints(m->fx, "indices", NULL, io->indices, io->choice_count, m->err));
    if (io->kept)
        WF_TRY(wf_fixture_compare_ints(m->fx, "kept", NULL, io->kept, io->choice_count, m->err));
    if (io->buckets)
        WF_TRY(wf_fixture_compare_ints(m->fx, "buckets", NULL, io->buckets, io->buckets_count, m->err));
    if (io->members)
        WF_TRY(wf_fixture_compare_ints(m->fx, "members", NULL, io->members, io->members_count, m->err));
    WF_TRY(compare_states(m, io, NULL));
    return compare_gradients(m, io, NULL);
}

/* ---- the other forms ---- */
static bool has_rows_state(const wf_layer *layer) {
    for (int i = 0; i < layer->n_states; i++)
        if (layer->states[i].present && layer->states[i].row->kind == WF_STATE_APPEND)
            return true;
    return false;
}

enum { MOST_PIECES = 5 };

/* Cuts drawn anew for every fixture: the sum of `pieces` is rows. */
static size_t draw_pieces(const char *name, int64_t rows, int64_t pieces[MOST_PIECES]) {
    uint32_t site = 0;
    for (const char *at = name; *at; at++)
        site = site * 31u + (uint8_t)*at;
    wf_rng rng = wf_rng_make(7, site, 0);
    size_t n = 0;
    for (uint64_t i = 0; rows > 0; i++) {
        int64_t take = n + 1 == MOST_PIECES ? rows : 1 + (int64_t)wf_rng_below(rng, i, (uint64_t)rows);
        pieces[n++] = take;
        rows -= take;
    }
    return n;
}

static wf_form_io again(const wf_form_io *io) {
    wf_form_io copy = *io;
    copy.y = copy.dx = copy.dmemory = copy.attention = copy.aux_loss = copy.z_loss = copy.v_first_out = copy.weights = NULL;
    copy.indices = copy.kept = NULL;
    memset(copy.state_out, 0, sizeof copy.state_out);
    return copy;
}

static weft_status run_streams(mixer_run *m) {
    int64_t pieces[MOST_PIECES];
    size_t n = draw_pieces(m->fx->name, m->io.rows, pieces);
    wf_form_io chunk = again(&m->io), step = again(&m->io);
    WF_TRY(wf_form_chunk(m->fx->env, m->layer, &chunk, pieces, n, &m->fx->arena, m->err));
    WF_TRY(compare(m, "y", "chunk", chunk.y, chunk.batch * chunk.rows * chunk.width));
    WF_TRY(compare_states(m, &chunk, "chunk"));
    WF_TRY(compare_gradients(m, &chunk, "chunk"));
    WF_TRY(wf_form_step(m->fx->env, m->layer, &step, &m->fx->arena, m->err));
    WF_TRY(compare(m, "y", "step", step.y, step.batch * step.rows * step.width));
    return compare_states(m, &step, "step");
}

/* A mixer that keeps one row per token never keeps padding: its sequences run one by one, without it, but for those that
 * padding before them changes. `y` starts as the full form's, so that padding rows compare equal. */
static weft_status run_unpadded(mixer_run *m) {
    wf_form_io *io = &m->io;
    bool counted = (wf_layer_traits(m->layer) & WF_PADDING_TRACE) != 0;
    size_t bytes = (size_t)(io->batch * io->rows * io->width) * sizeof(float);
    float *chunk = wf_arena_alloc(&m->fx->arena, bytes), *step = wf_arena_alloc(&m->fx->arena, bytes);
    if (!chunk || !step)
        return wf_fail_memory(m->err);
    memcpy(chunk, io->y, bytes);
    memcpy(step, io->y, bytes);
    for (int64_t b = 0; b < io->batch; b++) {
        wf_form_io one, other;
        int64_t first, pieces[MOST_PIECES];
        if (!wf_form_unpad(io, b, &m->fx->arena, &one, &first) || (counted && first > 0))
            continue;
        other = one;
        size_t n = draw_pieces(m->fx->name, one.rows, pieces), at = (size_t)((b * io->rows + first) * io->width);
        WF_TRY(wf_form_chunk(m->fx->env, m->layer, &one, pieces, n, &m->fx->arena, m->err));
        WF_TRY(wf_form_step(m->fx->env, m->layer, &other, &m->fx->arena, m->err));
        memcpy(chunk + at, one.y, (size_t)(one.rows * one.width) * sizeof *chunk);
        memcpy(step + at, other.y, (size_t)(other.rows * other.width) * sizeof *step);
    }
    WF_TRY(compare(m, "y", "chunk", chunk, io->batch * io->rows * io->width));
    return compare(m, "y", "step", step, io->batch * io->rows * io->width);
}

static weft_status run_forms(mixer_run *m) {
    const wf_form_io *io = &m->io;
    if (!wf_layer_streams(m->layer) || io->memory || io->prefix || io->segments || io->aux_weight != 0.0 || io->z_weight != 0.0)
        return WEFT_OK;
    return io->mask && has_rows_state(m->layer) ? run_unpadded(m) : run_streams(m);
}

static weft_status run(mixer_run *m) {
    const char *name = wf_json_text(m->fx->json, "mixer", "");
    const wf_mixer *row = wf_mixer_find(name);
    const wf_json *spec = wf_json_get(m->fx->json, "spec");
    WF_CHECK(row, m->err, WEFT_UNSUPPORTED, "mixer %s", name);
    WF_CHECK(m->fx->inputs && m->fx->expected && spec, m->err, WEFT_BAD_INPUT,
             "the fixture lacks its spec, inputs or expected tensors");
    WF_TRY(wf_layer_build(&m->fx->arena, row, spec, 0, "fixture", &m->layer, m->err));
    WF_TRY(open_weights(m));
    WF_TRY(load_weights(m));
    WF_TRY(read_inputs(m));
    WF_TRY(read_backward(m));
    WF_TRY(run_full(m));
    return run_forms(m);
}

weft_status wf_verify_mixer(wf_fixture *fx, weft_error *err) {
    mixer_run m = {.fx = fx, .err = err};
    wf_params_open(&m.params, fx->env);
    weft_status status = run(&m);
    wf_params_close(&m.params);
    wf_safetensors_free(m.weights);
    return status;
}
