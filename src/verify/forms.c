#include "verify/forms.h"
#include <string.h>

weft_status wf_form_params(wf_params *params, wf_layer *layer, weft_error *err) {
    for (size_t i = 0; i < layer->n_slots; i++) {
        wf_layer_slot *slot = &layer->slots[i];
        WF_TRY(wf_param_add(params, slot->name, slot->rank, slot->dims, &slot->param, err));
        slot->param->buffer = slot->row->buffer;
    }
    WF_TRY(wf_params_allocate(params, err));
    return wf_params_allocate_grads(params, err);
}

/* ---- one recording of `count` rows from `first` ---- */
typedef struct piece {
    const wf_env *env;
    const wf_layer *layer;
    wf_form_io *io;
    const struct piece *before; /* whose states go in; NULL: the first piece */
    int64_t first, count;
    wf_state_mode mode;
    float *buffers[WF_MAX_STATES]; /* in place: memory of the states */
    wf_tape *tape;
    wf_ports ports;
    wf_layer_state state;
    wf_tensor *dy, *state_seed[WF_MAX_STATES];
    int64_t *start; /* [B] */
} piece;

static wf_state_kind state_kind(const wf_layer *l, int i) { return l->states[i].row->kind; }

static wf_tensor *input(piece *p, const char *label, wf_dtype type, bool present) {
    return present ? wf_input(p->tape, label, type, 2, (int64_t[]){p->io->batch, p->count}) : NULL;
}

static void record_inputs(piece *p) {
    const wf_form_io *io = p->io;
    p->ports.x = wf_input_grad(p->tape, "x", 3, (int64_t[]){io->batch, p->count, io->dim});
    p->ports.mask = input(p, "mask", WF_U8, io->mask);
    p->ports.global_mask = input(p, "global_mask", WF_U8, io->global_mask);
    if (io->plan)
        p->ports.plan = wf_input(p->tape, "plan", WF_I64, 3, io->plan_dims);
    p->ports.positions = input(p, "positions", WF_I64, io->positions);
    p->ports.segments = input(p, "segments", WF_I64, io->segments);
    p->ports.kinds = input(p, "kinds", WF_I32, io->kinds);
    if (io->prefix)
        p->ports.prefix = wf_input(p->tape, "prefix", WF_I64, 1, &io->batch);
    if (io->memory)
        p->ports.memory = wf_input_grad(p->tape, "memory", 3, (int64_t[]){io->batch, io->memory_rows, io->memory_dim});
    if (io->v_first)
        p->ports.v_first = wf_input_grad(p->tape, "v_first", 3, (int64_t[]){io->batch, p->count, io->v_first_dim});
    if (io->memory_mask)
        p->ports.memory_mask = wf_input(p->tape, "memory_mask", WF_U8, 2, (int64_t[]){io->batch, io->memory_rows});
}

/* The shape of state i: [B, shape], or [B, rows, shape] for one row per token. */
static int state_dims(const piece *p, int i, int64_t rows, int64_t dims[WF_MAX_RANK]) {
    const wf_layer_state_shape *shape = &p->layer->states[i];
    int rank = 0;
    dims[rank++] = p->io->batch;
    if (state_kind(p->layer, i) == WF_STATE_APPEND)
        dims[rank++] = rows;
    for (int d = 0; d < shape->rank; d++)
        dims[rank++] = shape->dims[d];
    return rank;
}

/* Rows of a cache: as many as the sequence has, or the ring a window needs. */
static int64_t cache_rows(const piece *p, int i) {
    int64_t limit = p->layer->states[i].limit;
    return limit > 0 && limit < p->io->rows ? limit : p->io->rows;
}

/* The states that come in: those of the piece before, or those given from outside, or (in place) all of them. */
static void record_states(piece *p) {
    int64_t dims[WF_MAX_RANK];
    for (int i = 0; i < p->layer->n_states; i++) {
        const wf_tensor *before = p->before ? p->before->state.out[i] : NULL;
        if (!p->layer->states[i].present)
            continue;
        if (p->mode == WF_STATE_IN_PLACE) {
            p->state.in[i] = wf_input(p->tape, "state", WF_F32, state_dims(p, i, cache_rows(p, i), dims), dims);
            if (p->state.in[i])
                wf_bind(p->state.in[i], p->buffers[i]);
        } else if (before) {
            p->state.in[i] = wf_input_grad(p->tape, "state", state_dims(p, i, wf_dim(before, 1), dims), dims);
        } else if (!p->before && p->io->state_in[i]) {
            p->state.in[i] = wf_input_grad(p->tape, "state", state_dims(p, i, 0, dims), dims);
        }
    }
}

static void record_roots(piece *p, bool seed_states) {
    const wf_form_io *io = p->io;
    if (io->dy && p->ports.y) {
        p->dy = wf_input(p->tape, "dy", WF_F32, 3, p->ports.y->dims);
        wf_root_seeded(p->tape, p->ports.y, p->dy);
    }
    if (io->aux_weight != 0.0 && p->ports.aux_loss)
        wf_root(p->tape, wf_scale(p->tape, p->ports.aux_loss, (float)io->aux_weight));
    if (io->z_weight != 0.0 && p->ports.z_loss)
        wf_root(p->tape, wf_scale(p->tape, p->ports.z_loss, (float)io->z_weight));
    for (int i = 0; seed_states && i < p->layer->n_states; i++) {
        wf_tensor *out = p->state.out[i];
        if (!out || !out->needs_grad)
            continue;
        p->state_seed[i] = wf_input(p->tape, "dstate", WF_F32, out->rank, out->dims);
        wf_root_seeded(p->tape, out, p->state_seed[i]);
    }
}

static weft_status record(piece *p, bool grad, bool seed_states, weft_error *err) {
    wf_run run = {.batch = p->io->batch, .rows = p->count, .length = p->io->start + p->io->rows, .mode = p->mode};
    const wf_tape_options how = {.type = p->io->bf16 ? WF_BF16 : WF_F32, .grad = grad, .fixed = p->mode == WF_STATE_IN_PLACE};
    WF_TRY(wf_tape_create(p->env, &how, &p->tape, err));
    record_inputs(p);
    if (p->mode != WF_NO_STATE)
        record_states(p);
    run.tape = p->tape;
    run.state = p->mode == WF_NO_STATE ? NULL : &p->state;
    run.want_losses = p->mode != WF_STATE_IN_PLACE;
    run.want_attention =
        p->mode != WF_STATE_IN_PLACE && p->count == p->io->rows && strstr(p->layer->row->outputs, "attention") != NULL;
    weft_status status = wf_run_layer(&run, p->layer, &p->ports);
    if (status != WEFT_OK)
        return wf_fail(err, status, "%s cannot run here", p->layer->row->name);
    p->ports.y = wf_cast(p->tape, p->ports.y, WF_F32);
    if (p->ports.v_first && !p->io->v_first)
        p->ports.v_first = wf_cast(p->tape, p->ports.v_first, WF_F32);
    if (p->ports.weights)
        p->ports.weights = wf_cast(p->tape, p->ports.weights, WF_F32);
    if (grad)
        record_roots(p, seed_states);
    wf_keep(p->tape, p->ports.y);
    wf_keep(p->tape, p->ports.attention);
    wf_keep(p->tape, p->ports.aux_loss);
    wf_keep(p->tape, p->ports.z_loss);
    wf_keep(p->tape, p->ports.v_first);
    wf_keep(p->tape, p->ports.indices);
    wf_keep(p->tape, p->ports.weights);
    wf_keep(p->tape, p->ports.kept);
    wf_keep(p->tape, p->ports.buckets);
    wf_keep(p->tape, p->ports.members);
    for (int i = 0; i < p->layer->n_states; i++)
        wf_keep(p->tape, p->state.out[i]);
    return wf_tape_plan(p->tape, err);
}

/* ---- rows of [B,T,width] ---- */
static void cut(void *to, const void *from, const wf_form_io *io, int64_t first, int64_t count, size_t width) {
    for (int64_t b = 0; b < io->batch; b++)
        memcpy((char *)to + (size_t)(b * count) * width, (const char *)from + (size_t)(b * io->rows + first) * width,
               (size_t)count * width);
}

static void join(void *to, const void *from, const wf_form_io *io, int64_t first, int64_t count, size_t width) {
    for (int64_t b = 0; b < io->batch; b++)
        memcpy((char *)to + (size_t)(b * io->rows + first) * width, (const char *)from + (size_t)(b * count) * width,
               (size_t)count * width);
}

static void load_inputs(const piece *p) {
    const wf_form_io *io = p->io;
    const struct {
        wf_tensor *tensor;
        const void *from;
        size_t width;
    } rows[] = {{p->ports.x, io->x, (size_t)io->dim * sizeof(float)},
                {io->v_first ? p->ports.v_first : NULL, io->v_first, (size_t)io->v_first_dim * sizeof(float)},
                {p->ports.mask, io->mask, 1},
                {p->ports.global_mask, io->global_mask, 1},
                {p->ports.positions, io->positions, sizeof(int64_t)},
                {p->ports.segments, io->segments, sizeof(int64_t)},
                {p->ports.kinds, io->kinds, sizeof(int32_t)},
                {p->dy, io->dy, p->dy ? (size_t)wf_dim(p->dy, -1) * sizeof(float) : 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].tensor && rows[i].tensor->data)
            cut(rows[i].tensor->data, rows[i].from, io, p->first, p->count, rows[i].width);
    if (p->ports.plan)
        memcpy(p->ports.plan->data, io->plan, (size_t)p->ports.plan->count * sizeof *io->plan);
    if (p->ports.prefix)
        memcpy(p->ports.prefix->data, io->prefix, (size_t)io->batch * sizeof *io->prefix);
    if (p->ports.memory)
        memcpy(p->ports.memory->data, io->memory, (size_t)(io->batch * io->memory_rows * io->memory_dim) * sizeof(float));
    if (p->ports.memory_mask)
        memcpy(p->ports.memory_mask->data, io->memory_mask, (size_t)(io->batch * io->memory_rows));
    for (int64_t b = 0; b < io->batch; b++)
        p->start[b] = io->start + p->first;
    for (int i = 0; i < p->layer->n_states && p->mode == WF_STATE_VALUES; i++)
        if (p->state.in[i])
            memcpy(p->state.in[i]->data, p->before ? p->before->state.out[i]->data : io->state_in[i],
                   (size_t)p->state.in[i]->count * sizeof(float));
}

/* ---- results ---- */
static weft_status save(wf_arena *arena, const wf_tensor *t, float **out, int64_t *count, weft_error *err) {
    if (!t)
        return WEFT_OK;
    WF_CHECK(t->type == WF_F32, err, WEFT_FAILURE, "an output that is not fp32");
    if (!(*out = wf_arena_alloc(arena, (size_t)t->count * sizeof **out)))
        return wf_fail_memory(err);
    memcpy(*out, t->data, (size_t)t->count * sizeof **out);
    if (count)
        *count = t->count;
    return WEFT_OK;
}

static weft_status save_ints(wf_arena *arena, const wf_tensor *t, int64_t **out, int64_t *count, weft_error *err) {
    if (!t)
        return WEFT_OK;
    WF_CHECK(t->type == WF_I64 || t->type == WF_U8, err, WEFT_FAILURE, "choices that are not integers");
    if (!(*out = wf_arena_alloc(arena, (size_t)t->count * sizeof **out)))
        return wf_fail_memory(err);
    for (int64_t i = 0; i < t->count; i++)
        (*out)[i] = t->type == WF_I64 ? ((const int64_t *)t->data)[i] : ((const uint8_t *)t->data)[i];
    if (count)
        *count = t->count;
    return WEFT_OK;
}

static weft_status save_states(const piece *p, wf_arena *arena, weft_error *err) {
    for (int i = 0; i < p->layer->n_states; i++)
        if (p->mode != WF_NO_STATE && state_kind(p->layer, i) == WF_STATE_FIXED)
            WF_TRY(save(arena, p->state.out[i], &p->io->state_out[i], &p->io->state_count[i], err));
    return WEFT_OK;
}

static weft_status add_output(const piece *p, wf_arena *arena, weft_error *err) {
    wf_form_io *io = p->io;
    WF_CHECK(p->ports.y && p->ports.y->type == WF_F32, err, WEFT_FAILURE, "%s gives no output", p->layer->row->name);
    io->width = wf_dim(p->ports.y, -1);
    if (!io->y && !(io->y = wf_arena_alloc(arena, (size_t)(io->batch * io->rows * io->width) * sizeof *io->y)))
        return wf_fail_memory(err);
    join(io->y, p->ports.y->data, io, p->first, p->count, (size_t)io->width * sizeof *io->y);
    return WEFT_OK;
}

static weft_status add_input_gradient(const piece *p, wf_arena *arena, weft_error *err) {
    wf_form_io *io = p->io;
    size_t count = (size_t)(io->batch * io->rows * io->dim);
    if (!io->dx && !(io->dx = wf_arena_alloc(arena, count * sizeof *io->dx)))
        return wf_fail_memory(err);
    if (p->ports.x->grad)
        join(io->dx, p->ports.x->grad, io, p->first, p->count, (size_t)io->dim * sizeof *io->dx);
    return WEFT_OK;
}

static void clear_gradients(const wf_layer *layer) {
    for (size_t i = 0; i < layer->n_slots; i++)
        if (layer->slots[i].param->grad)
            memset(layer->slots[i].param->grad, 0, (size_t)layer->slots[i].param->count * sizeof(float));
}

/* ---- full ---- */
static weft_status forward(piece *p, wf_arena *arena, weft_error *err) {
    wf_runtime rt = {.loss_scale = 1.0f, .start = p->start};
    load_inputs(p);
    WF_TRY(wf_tape_forward(p->tape, &rt, err));
    return add_output(p, arena, err);
}

static weft_status run_full(piece *p, wf_arena *arena, weft_error *err) {
    wf_form_io *io = p->io;
    wf_runtime rt = {.loss_scale = 1.0f, .start = p->start};
    WF_TRY(record(p, io->dy != NULL, false, err));
    WF_TRY(forward(p, arena, err));
    WF_TRY(save(arena, p->ports.attention, &io->attention, &io->attention_count, err));
    WF_TRY(save(arena, p->ports.aux_loss, &io->aux_loss, NULL, err));
    WF_TRY(save(arena, p->ports.z_loss, &io->z_loss, NULL, err));
    if (!io->v_first)
        WF_TRY(save(arena, p->ports.v_first, &io->v_first_out, &io->v_first_count, err));
    WF_TRY(save(arena, p->ports.weights, &io->weights, NULL, err));
    WF_TRY(save_ints(arena, p->ports.indices, &io->indices, &io->choice_count, err));
    WF_TRY(save_ints(arena, p->ports.kept, &io->kept, NULL, err));
    WF_TRY(save_ints(arena, p->ports.buckets, &io->buckets, &io->buckets_count, err));
    WF_TRY(save_ints(arena, p->ports.members, &io->members, &io->members_count, err));
    WF_TRY(save_states(p, arena, err));
    if (!io->dy)
        return WEFT_OK;
    WF_TRY(wf_tape_backward(p->tape, &rt, err));
    WF_TRY(add_input_gradient(p, arena, err));
    if (!p->ports.memory)
        return WEFT_OK;
    size_t count = (size_t)p->ports.memory->count;
    if (!(io->dmemory = wf_arena_alloc(arena, count * sizeof *io->dmemory)))
        return wf_fail_memory(err);
    if (p->ports.memory->grad)
        memcpy(io->dmemory, p->ports.memory->grad, count * sizeof *io->dmemory);
    return WEFT_OK;
}

static weft_status init(piece *p, const wf_env *env, const wf_layer *layer, wf_form_io *io, wf_arena *arena, weft_error *err) {
    *p = (piece){.env = env, .layer = layer, .io = io, .count = io->rows};
    p->start = wf_arena_alloc(arena, (size_t)io->batch * sizeof *p->start);
    return p->start ? WEFT_OK : wf_fail_memory(err);
}

weft_status wf_form_full(const wf_env *env, const wf_layer *layer, wf_form_io *io, bool with_state, wf_arena *arena,
                         weft_error *err) {
    piece p;
    WF_TRY(init(&p, env, layer, io, arena, err));
    p.mode = with_state ? WF_STATE_VALUES : WF_NO_STATE;
    clear_gradients(layer);
    weft_status status = run_full(&p, arena, err);
    wf_tape_free(p.tape);
    return status;
}

/* ---- chunk ---- */
static weft_status forward_pieces(piece *p, const int64_t *pieces, size_t n, wf_arena *arena, weft_error *err) {
    int64_t first = 0;
    for (size_t k = 0; k < n; k++) {
        p[k].mode = WF_STATE_VALUES;
        p[k].before = k ? &p[k - 1] : NULL;
        p[k].first = first;
        p[k].count = pieces[k];
        first += pieces[k];
        WF_TRY(record(&p[k], p[k].io->dy != NULL, k + 1 < n, err));
        WF_TRY(forward(&p[k], arena, err));
    }
    return save_states(&p[n - 1], arena, err);
}

static weft_status backward_pieces(piece *p, size_t n, wf_arena *arena, weft_error *err) {
    for (size_t k = n; k-- > 0;) {
        wf_runtime rt = {.micro = k + 1 < n, .loss_scale = 1.0f, .start = p[k].start};
        for (int i = 0; i < p[k].layer->n_states; i++) {
            wf_tensor *seed = p[k].state_seed[i], *later = k + 1 < n ? p[k + 1].state.in[i] : NULL;
            if (seed && later && later->grad)
                memcpy(seed->data, later->grad, (size_t)seed->count * sizeof(float));
            else if (seed)
                memset(seed->data, 0, (size_t)seed->count * sizeof(float));
        }
        WF_TRY(wf_tape_backward(p[k].tape, &rt, err));
        WF_TRY(add_input_gradient(&p[k], arena, err));
    }
    return WEFT_OK;
}

weft_status wf_form_chunk(const wf_env *env, const wf_layer *layer, wf_form_io *io, const int64_t *pieces, size_t n,
                          wf_arena *arena, weft_error *err) {
    piece *p = wf_arena_alloc(arena, n * sizeof *p);
    weft_status status = p ? WEFT_OK : wf_fail_memory(err);
    for (size_t k = 0; k < n && status == WEFT_OK; k++)
        status = init(&p[k], env, layer, io, arena, err);
    if (status == WEFT_OK) {
        clear_gradients(layer);
        status = forward_pieces(p, pieces, n, arena, err);
        if (status == WEFT_OK && io->dy)
            status = backward_pieces(p, n, arena, err);
    }
    for (size_t k = 0; p && k < n; k++)
        wf_tape_free(p[k].tape);
    return status;
}

/* ---- step ---- */
static weft_status make_buffers(piece *p, wf_arena *arena, weft_error *err) {
    int64_t dims[WF_MAX_RANK];
    for (int i = 0; i < p->layer->n_states; i++) {
        int64_t limit = p->layer->states[i].limit;
        size_t count = 1;
        if (!p->layer->states[i].present)
            continue;
        int rank = state_dims(p, i, cache_rows(p, i), dims);
        WF_CHECK(limit == 0 || state_kind(p->layer, i) == WF_STATE_APPEND, err, WEFT_FAILURE, "a fixed state with a limit");
        for (int d = 0; d < rank; d++)
            count *= (size_t)dims[d];
        if (!(p->buffers[i] = wf_arena_alloc(arena, count * sizeof(float))))
            return wf_fail_memory(err);
        for (size_t k = 0; k < count && state_kind(p->layer, i) == WF_STATE_FIXED; k++)
            p->buffers[i][k] = p->io->state_in[i] ? p->io->state_in[i][k] : p->layer->states[i].row->initial;
    }
    return WEFT_OK;
}

static weft_status run_steps(piece *p, wf_arena *arena, weft_error *err) {
    WF_TRY(make_buffers(p, arena, err));
    WF_TRY(record(p, false, false, err));
    for (p->first = 0; p->first < p->io->rows; p->first++)
        WF_TRY(forward(p, arena, err));
    for (int i = 0; i < p->layer->n_states; i++)
        if (p->buffers[i] && state_kind(p->layer, i) == WF_STATE_FIXED) {
            p->io->state_out[i] = p->buffers[i];
            p->io->state_count[i] = p->state.in[i]->count;
        }
    return WEFT_OK;
}

weft_status wf_form_step(const wf_env *env, const wf_layer *layer, wf_form_io *io, wf_arena *arena, weft_error *err) {
    piece p;
    WF_TRY(init(&p, env, layer, io, arena, err));
    p.mode = WF_STATE_IN_PLACE;
    p.count = 1;
    weft_status status = run_steps(&p, arena, err);
    wf_tape_free(p.tape);
    return status;
}

/* ---- padding ---- */
bool wf_form_unpad(const wf_form_io *io, int64_t b, wf_arena *arena, wf_form_io *out, int64_t *first) {
    int64_t begin = 0, end = io->rows;
    const uint8_t *mask = io->mask + b * io->rows;
    while (begin < end && !mask[begin])
        begin++;
    while (end > begin && !mask[end - 1])
        end--;
    for (int64_t t = begin; t < end; t++)
        if (!mask[t])
            return false;
    int64_t *positions = wf_arena_alloc(arena, (size_t)(end - begin) * sizeof *positions);
    if (!positions || end == begin)
        return false;
    for (int64_t t = begin; t < end; t++)
        positions[t - begin] = io->positions ? io->positions[b * io->rows + t] : io->start + t;
    *out = (wf_form_io){
        .batch = 1, .rows = end - begin, .dim = io->dim, .x = io->x + (b * io->rows + begin) * io->dim, .positions = positions};
    *first = begin;
    return true;
}
