/* state.c - states as values of a decoding session: one buffer per declared state of every layer. */
#include <string.h>
#include "mixers/layer_cost.h"
#include "model/model.h"

static size_t layer_buffers(const wf_model *m) { return (size_t)m->spec->layers * WF_SIDES * WF_MAX_STATES; }
static size_t buffer_count(const wf_model *m) { return layer_buffers(m) + 4; }

static int64_t ring_rows(const wf_state *s, int64_t limit) {
    int64_t rows = limit > 0 ? limit + s->chunk - 1 : s->capacity; /* a call's own rows must not push out keys it still needs */
    return rows < s->capacity ? rows : s->capacity;
}

static weft_status make_buffer(wf_state *s, const wf_layer *layer, int i, wf_state_buffer *b, weft_error *err) {
    const wf_layer_state_shape *shape = &layer->states[i];
    if (!shape->present)
        return WEFT_OK;
    b->append = layer->states[i].row->kind == WF_STATE_APPEND;
    b->source = layer->states[i].row->kind == WF_STATE_SOURCE;
    b->type = WF_F32;
    b->limit = shape->limit;
    b->initial = layer->states[i].row->initial;
    b->dims[b->rank++] = b->source ? s->batch / s->sharing : s->batch;
    if (b->append)
        b->dims[b->rank++] = ring_rows(s, shape->limit);
    if (b->source)
        b->dims[b->rank++] = s->source;
    b->bytes = sizeof(float);
    for (int d = 0; d < shape->rank; d++)
        b->dims[b->rank++] = shape->dims[d];
    for (int d = 0; d < b->rank; d++)
        b->bytes *= (size_t)b->dims[d];
    b->data = wf_alloc_big(&s->model->env->mem, b->bytes);
    return b->data ? WEFT_OK : wf_fail_memory(err);
}

static weft_status make_buffers(wf_state *s, weft_error *err) {
    const wf_spec *spec = s->model->spec;
    for (int64_t layer = 0; layer < spec->layers; layer++)
        for (int side = 0; side < 2; side++) {
            const wf_layer *l = side ? spec->blocks[layer].channel : spec->blocks[layer].mixer;
            for (int i = 0; l && i < l->n_states; i++)
                WF_TRY(make_buffer(s, l, i, &s->buffers[(WF_SIDES * layer + side) * WF_MAX_STATES + i], err));
        }
    return WEFT_OK;
}

const wf_state_buffer *wf_state_memory(const wf_state *s) { return &s->buffers[layer_buffers(s->model)]; }
const wf_state_buffer *wf_state_memory_mask(const wf_state *s) { return &s->buffers[layer_buffers(s->model) + 1]; }

const wf_state_buffer *wf_state_prefix(const wf_state *s) { return &s->buffers[layer_buffers(s->model) + 2]; }
const wf_state_buffer *wf_state_counts(const wf_state *s) { return &s->buffers[layer_buffers(s->model) + 3]; }

static weft_status make_prefix(wf_state *s, weft_error *err) {
    wf_state_buffer *prefix = &s->buffers[layer_buffers(s->model) + 2];
    if (!s->model->spec->prefixed)
        return WEFT_OK;
    *prefix = (wf_state_buffer){.type = WF_I64, .rank = 1, .dims = {s->batch}, .bytes = (size_t)s->batch * sizeof(int64_t)};
    prefix->data = wf_alloc_big(&s->model->env->mem, prefix->bytes);
    return prefix->data ? WEFT_OK : wf_fail_memory(err);
}

/* Positions that count tokens: how many there were, behind each row. */
static weft_status make_counts(wf_state *s, weft_error *err) {
    wf_state_buffer *counts = &s->buffers[layer_buffers(s->model) + 3];
    if (s->model->spec->stem.count != WF_COUNT_TOKENS)
        return WEFT_OK;
    *counts = (wf_state_buffer){.type = WF_I32,
                                .append = true,
                                .rank = 2,
                                .dims = {s->batch, s->capacity},
                                .bytes = (size_t)(s->batch * s->capacity) * sizeof(int32_t)};
    counts->data = wf_alloc_big(&s->model->env->mem, counts->bytes);
    return counts->data ? WEFT_OK : wf_fail_memory(err);
}

wf_tensor *wf_state_bind(wf_tape *t, const wf_state_buffer *buffer) {
    wf_tensor *x = buffer->data ? wf_input(t, "state", buffer->type, buffer->rank, buffer->dims) : NULL;
    if (x)
        wf_bind(x, buffer->data);
    return x;
}

static weft_status make_memory(wf_state *s, int64_t dim, weft_error *err) {
    wf_state_buffer *memory = &s->buffers[layer_buffers(s->model)], *mask = memory + 1;
    int64_t sources = s->batch / s->sharing;
    *memory = (wf_state_buffer){.type = WF_F32,
                                .source = true,
                                .rank = 3,
                                .dims = {sources, s->source, dim},
                                .bytes = (size_t)(sources * s->source * dim) * sizeof(float)};
    *mask = (wf_state_buffer){
        .type = WF_U8, .source = true, .rank = 2, .dims = {sources, s->source}, .bytes = (size_t)(sources * s->source)};
    bool wanted = false;
    for (int64_t i = 0; i < s->model->spec->layers; i++) {
        const wf_block_spec *b = &s->model->spec->blocks[i];
        wanted |= (b->cross && !wf_layer_keeps_memory(b->cross)) || wf_layer_needs_memory(b->mixer);
    }
    WF_CHECK(!wanted || s->sharing == 1, err, WEFT_UNSUPPORTED, "a memory that is read itself cannot be shared");
    memory->data = wanted ? wf_alloc_big(&s->model->env->mem, memory->bytes) : NULL;
    mask->data = wf_alloc_big(&s->model->env->mem, mask->bytes);
    return mask->data && (memory->data || !wanted) ? WEFT_OK : wf_fail_memory(err);
}

weft_status wf_state_open_source(wf_state *s, int64_t rows, int64_t dim, int64_t sharing, weft_error *err) {
    WF_CHECK(s->source == 0 && rows > 0 && dim > 0 && s->batch <= INT32_MAX && rows <= INT32_MAX, err, WEFT_USAGE,
             "a memory of %lld rows", (long long)rows);
    WF_TRY(wf_memory_check((double)s->batch * (double)rows * (double)dim * sizeof(float), "a source of this length", err));
    s->source = rows;
    s->sharing = sharing;
    for (int64_t layer = 0; layer < s->model->spec->layers; layer++) {
        const wf_layer *l = s->model->spec->blocks[layer].cross;
        for (int i = 0; l && i < l->n_states; i++)
            WF_TRY(make_buffer(s, l, i, &s->buffers[(WF_SIDES * layer + 2) * WF_MAX_STATES + i], err));
    }
    return make_memory(s, dim, err);
}

weft_status wf_state_create(const wf_model *model, int64_t batch, int64_t capacity, int64_t chunk, wf_state **out,
                            weft_error *err) {
    const wf_mem *mem = &model->env->mem;
    wf_state *s = wf_calloc(mem, 1, sizeof *s);
    if (!s)
        return wf_fail_memory(err);
    *s = (wf_state){.model = model, .batch = batch, .capacity = capacity, .chunk = chunk, .sharing = 1};
    s->start = wf_calloc(mem, (size_t)batch, sizeof *s->start);
    s->buffers = wf_calloc(mem, buffer_count(model), sizeof *s->buffers);
    weft_status status = s->start && s->buffers ? make_buffers(s, err) : wf_fail_memory(err);
    status = status == WEFT_OK ? make_prefix(s, err) : status;
    status = status == WEFT_OK ? make_counts(s, err) : status;
    if (status != WEFT_OK) {
        wf_state_free(s);
        return status;
    }
    for (int64_t b = 0; b < batch; b++)
        wf_state_reset(s, b);
    *out = s;
    return WEFT_OK;
}

void wf_state_free(wf_state *s) {
    if (!s)
        return;
    const wf_mem *mem = &s->model->env->mem;
    for (size_t i = 0; s->buffers && i < buffer_count(s->model); i++)
        wf_free_big(mem, s->buffers[i].data);
    wf_free(mem, s->buffers);
    wf_free(mem, s->start);
    wf_free(mem, s);
}

static char *sequence_of(const wf_state_buffer *b, int64_t sequence) {
    return (char *)b->data + (size_t)sequence * (b->bytes / (size_t)b->dims[0]);
}

void wf_state_reset(wf_state *s, int64_t sequence) {
    s->start[sequence] = 0;
    for (size_t i = 0; i < buffer_count(s->model); i++) {
        const wf_state_buffer *b = &s->buffers[i];
        size_t n = b->data && !b->append && !b->source ? b->bytes / (size_t)b->dims[0] / sizeof(float) : 0;
        float *value = b->data ? (float *)sequence_of(b, sequence) : NULL;
        for (size_t j = 0; j < n; j++)
            value[j] = b->initial;
    }
}

/* Bytes of a sequence that mean something: of rows that only grow those that are there. */
static size_t used_bytes(const wf_state *s, const wf_state_buffer *b, int64_t sequence) {
    size_t one = b->bytes / (size_t)b->dims[0];
    return b->append && s->start[sequence] < b->dims[1] ? one / (size_t)b->dims[1] * (size_t)s->start[sequence] : one;
}

weft_status wf_state_copy(wf_state *to, int64_t to_sequence, const wf_state *from, int64_t from_sequence, weft_error *err) {
    WF_CHECK(to->model == from->model && to->capacity == from->capacity && to->chunk == from->chunk &&
                 to->source == from->source && to->sharing == 1 && from->sharing == 1,
             err, WEFT_USAGE, "states of different shapes");
    to->start[to_sequence] = from->start[from_sequence];
    for (size_t i = 0; i < buffer_count(to->model); i++)
        if (to->buffers[i].data)
            memmove(sequence_of(&to->buffers[i], to_sequence), sequence_of(&from->buffers[i], from_sequence),
                    used_bytes(from, &from->buffers[i], from_sequence));
    return WEFT_OK;
}

static weft_status check_order(const wf_state *s, const int64_t *index, weft_error *err) {
    for (int64_t b = 0; b < s->batch; b++) {
        WF_CHECK(index[b] >= 0 && index[b] < s->batch, err, WEFT_USAGE, "no sequence %lld to reorder", (long long)index[b]);
        WF_CHECK(s->sharing == 1 || index[b] / s->sharing == b / s->sharing, err, WEFT_USAGE,
                 "sequence %lld reads another memory than %lld", (long long)index[b], (long long)b);
    }
    return WEFT_OK;
}

weft_status wf_state_reorder(wf_state *s, const int64_t *index, weft_error *err) {
    const wf_mem *mem = &s->model->env->mem;
    size_t most = (size_t)s->batch * sizeof *s->start;
    for (size_t i = 0; i < buffer_count(s->model); i++)
        most = s->buffers[i].bytes > most ? s->buffers[i].bytes : most;
    WF_TRY(check_order(s, index, err));
    char *old = wf_alloc(mem, most);
    if (!old)
        return wf_fail_memory(err);
    for (size_t i = 0; i < buffer_count(s->model); i++) {
        const wf_state_buffer *buffer = &s->buffers[i];
        size_t one = buffer->bytes / (size_t)s->batch;
        if (!buffer->data || (buffer->source && s->sharing > 1))
            continue;
        for (int64_t b = 0; b < s->batch; b++)
            if (index[b] != b)
                memcpy(old + (size_t)index[b] * one, sequence_of(buffer, index[b]), used_bytes(s, buffer, index[b]));
        for (int64_t b = 0; b < s->batch; b++)
            if (index[b] != b)
                memcpy(sequence_of(buffer, b), old + (size_t)index[b] * one, used_bytes(s, buffer, index[b]));
    }
    memcpy(old, s->start, (size_t)s->batch * sizeof *s->start);
    for (int64_t b = 0; b < s->batch; b++)
        memcpy(&s->start[b], old + (size_t)index[b] * sizeof *s->start, sizeof *s->start);
    wf_free(mem, old);
    return WEFT_OK;
}

weft_status wf_state_truncate(wf_state *s, int64_t sequence, int64_t n, weft_error *err) {
    WF_CHECK(n >= 0 && n <= s->start[sequence], err, WEFT_USAGE, "a sequence of %lld tokens cannot be cut to %lld",
             (long long)s->start[sequence], (long long)n);
    const wf_state_buffer *prefix = wf_state_prefix(s);
    WF_CHECK(!prefix->data || n == 0 || n >= ((const int64_t *)prefix->data)[sequence], err, WEFT_UNSUPPORTED,
             "a prefix cannot be cut: its rows have seen each other");
    for (size_t i = 0; n < s->start[sequence] && i < buffer_count(s->model); i++) {
        const wf_state_buffer *b = &s->buffers[i];
        bool lost =
            b->data && b != prefix && !b->source && n > 0 && (!b->append || (b->limit > 0 && s->start[sequence] > b->dims[1]));
        WF_CHECK(!lost, err, WEFT_UNSUPPORTED, "a recurrent state (or a window that has moved on) cannot be cut back");
    }
    if (n == 0)
        wf_state_reset(s, sequence);
    s->start[sequence] = n;
    return WEFT_OK;
}

size_t wf_state_bytes_at(const wf_model *m, int64_t tokens) {
    size_t total = m->spec->stem.count == WF_COUNT_TOKENS && tokens > 0 ? (size_t)tokens * sizeof(int32_t) : 0;
    for (int64_t i = 0; i < m->spec->layers && !m->spec->reshaped; i++) {
        total += wf_layer_state_bytes(m->spec->blocks[i].mixer, tokens);
        if (m->spec->blocks[i].cross)
            total += wf_layer_state_bytes(m->spec->blocks[i].cross, tokens);
        if (m->spec->blocks[i].channel)
            total += wf_layer_state_bytes(m->spec->blocks[i].channel, tokens);
    }
    return total;
}
